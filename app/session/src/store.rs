//! A session as one file: a zip archive with `manifest.json`, the tables as Parquet, and the
//! coordinates and models of the maps, so that any tool can look inside.
//!
//! The manifest says its version first. A file of a newer version is refused with a sentence; one
//! of this version is read whole before anything in the window changes. Images are not kept:
//! the manifest names the file or sample they came from.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use asterism_data::{Part, RowSet, SpectraColumn, Table};
use asterism_reduce as reduce;
use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;

use crate::command::{Ask, SelectMode};
use crate::document::ndarray_like::Coords;
use crate::document::{Dataset, Document, LedgerEntry, Map, Selection, Subset};
use crate::error::{Error, Result};
use crate::features::{Features, Prepared};
use crate::rule::FittedRule;

/// Version of the files this program writes.
pub const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Head {
    asterism_session: u32,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    asterism_session: u32,
    program: String,
    active: usize,
    hide_rest: bool,
    mode: SelectMode,
    selection: SelectionKept,
    layout: serde_json::Value,
    datasets: Vec<DatasetKept>,
}

#[derive(Serialize, Deserialize, Default)]
struct SelectionKept {
    rows: RowSet,
    #[serde(with = "crate::document::gestures")]
    steps: Vec<crate::document::Gesture>,
}

#[derive(Serialize, Deserialize)]
struct DatasetKept {
    id: u32,
    name: String,
    ask: Ask,
    table_file: String,
    truncated: bool,
    ledger: Vec<LedgerEntry>,
    latest: RowSet,
    features: Features,
    maps: Vec<MapKept>,
    current_map: Option<u32>,
    subsets: Vec<Subset>,
    image_sources: Vec<String>,
    credit: String,
    /// Absent in files of earlier programs.
    #[serde(default)]
    rule: Option<FittedRule>,
    #[serde(default)]
    added: Vec<crate::document::Added>,
    #[serde(default)]
    tables: Vec<crate::ledger::FileTable>,
}

#[derive(Serialize, Deserialize)]
struct MapKept {
    id: u32,
    name: String,
    params: reduce::Params,
    features: Features,
    dims: usize,
    coords_file: String,
    model_file: Option<String>,
    prepared: Option<Prepared>,
    figures: BTreeMap<String, f64>,
    seconds: BTreeMap<String, f64>,
    quality: Option<BTreeMap<String, f64>>,
    trust_file: Option<String>,
    error_file: Option<String>,
    fitted: usize,
    unlike: Vec<f32>,
    complete: bool,
    /// Absent in files of earlier programs.
    #[serde(default)]
    legs: Vec<crate::document::Leg>,
}

fn zipped(path: &Path) -> impl Fn(zip::result::ZipError) -> Error + '_ {
    move |e| Error::said(format!("{}: {e}", path.display()))
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Write the document to one file, atomically.
///
/// # Errors
/// When the file cannot be written; the one that was there before is untouched.
pub fn save(doc: &Document, to: &Path) -> Result<()> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut datasets = Vec::new();
    for d in &doc.datasets {
        let table_file = format!("table-{}.parquet", d.id);
        let folder = tempfile::tempdir().map_err(|e| asterism_data::Error::io(std::env::temp_dir(), e))?;
        if !d.table.columns().is_empty() {
            let path = folder.path().join(&table_file);
            asterism_data::write_table(&d.table, None, &path)?;
            files.push((table_file.clone(), std::fs::read(&path).map_err(|e| asterism_data::Error::io(&path, e))?));
        }
        let mut maps = Vec::new();
        for m in &d.maps {
            let name = |what: &str| format!("map-{}-{}.{what}", d.id, m.id);
            files.push((name("coords"), floats(&m.coords.values)));
            let model_file = match &m.model {
                Some(model) => {
                    let mut bytes = Vec::new();
                    model.save(&mut bytes)?;
                    files.push((name("model"), bytes));
                    Some(name("model"))
                }
                None => None,
            };
            let mut keep = |what: &str, values: Option<&[f32]>| {
                values.map(|v| {
                    files.push((name(what), floats(v)));
                    name(what)
                })
            };
            maps.push(MapKept {
                id: m.id,
                name: m.name.clone(),
                params: m.params.clone(),
                features: m.features.clone(),
                dims: m.coords.dims,
                coords_file: name("coords"),
                model_file,
                prepared: m.prepared.as_deref().cloned(),
                figures: m.figures.clone(),
                seconds: m.seconds.clone(),
                trust_file: keep("trust", m.quality.as_ref().map(|q| q.row_trust.as_slice())),
                error_file: keep("error", m.row_error.as_ref().map(|e| e.as_slice())),
                quality: m.quality.as_ref().map(|q| quality_figures(q)),
                fitted: m.fitted,
                unlike: (*m.unlike).clone(),
                complete: m.complete,
                legs: m.legs.clone(),
            });
        }
        datasets.push(DatasetKept {
            id: d.id,
            name: d.name.clone(),
            ask: d.ask.clone(),
            table_file,
            truncated: d.table.truncated,
            ledger: d.ledger.clone(),
            latest: (*d.latest).clone(),
            features: d.features.clone(),
            maps,
            current_map: d.current_map,
            subsets: d.subsets.iter().map(|s| (**s).clone()).collect(),
            image_sources: d.images.iter().map(|i| i.source.clone()).collect(),
            credit: d.credit.clone(),
            rule: d.rule.as_deref().cloned(),
            added: d.added.clone(),
            tables: d.tables.clone(),
        });
    }
    let manifest = Manifest {
        asterism_session: VERSION,
        program: env!("CARGO_PKG_VERSION").into(),
        active: doc.active,
        hide_rest: doc.hide_rest,
        mode: doc.mode,
        selection: SelectionKept { rows: (*doc.selection.rows).clone(), steps: doc.selection.steps.clone() },
        layout: doc.layout.clone(),
        datasets,
    };
    let text = serde_json::to_vec(&manifest).map_err(|e| Error::said(e.to_string()))?;
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let plain = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored).large_file(true);
    let packed = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    let err = zipped(to);
    archive.start_file("manifest.json", packed).map_err(&err)?;
    archive.write_all(&text).map_err(|e| asterism_data::Error::io(to, e))?;
    for (name, bytes) in files {
        archive.start_file(name, plain).map_err(&err)?;
        archive.write_all(&bytes).map_err(|e| asterism_data::Error::io(to, e))?;
    }
    let bytes = archive.finish().map_err(&err)?.into_inner();
    crate::export::write_whole(to, &bytes)
}

/// The scalar figures of a quality by name.
pub fn quality_figures(q: &reduce::Quality) -> BTreeMap<String, f64> {
    [
        ("recall_10", q.recall_10),
        ("trustworthiness_15", q.trustworthiness_15),
        ("continuity_15", q.continuity_15),
        ("triplets", q.triplets),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Read a document from such a file.
///
/// # Errors
/// When it is not a session, is damaged, or was written by a newer version.
pub fn open(path: &Path) -> Result<Document> {
    let bytes = std::fs::read(path).map_err(|e| asterism_data::Error::io(path, e))?;
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))
        .map_err(|e| Error::said(format!("{}: this is not a session of Asterism, or it is damaged ({e})", path.display())))?;
    let mut file = |name: &str| -> Result<Vec<u8>> {
        let mut entry = archive
            .by_name(name)
            .map_err(|e| Error::said(format!("{}: '{name}' is missing from the session ({e})", path.display())))?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|e| asterism_data::Error::io(path, e))?;
        Ok(bytes)
    };
    let manifest = file("manifest.json")?;
    let damaged = |e: serde_json::Error| Error::said(format!("{}: the session's manifest cannot be read ({e})", path.display()));
    let head: Head = serde_json::from_slice(&manifest).map_err(damaged)?;
    if head.asterism_session > VERSION {
        return Err(Error::said(format!(
            "{}: this session was written by a newer version of Asterism (format {}, this program reads up to {VERSION}); update the program to open it",
            path.display(),
            head.asterism_session
        )));
    }
    let manifest: Manifest = serde_json::from_slice(&manifest).map_err(damaged)?;
    let mut numbers = |name: &str| -> Result<Vec<f32>> {
        Ok(file(name)?.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    };
    let mut kept_numbers: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    for d in &manifest.datasets {
        for m in &d.maps {
            for name in [Some(&m.coords_file), m.trust_file.as_ref(), m.error_file.as_ref()].into_iter().flatten() {
                kept_numbers.insert(name.clone(), numbers(name)?);
            }
        }
    }
    let mut datasets = Vec::new();
    for d in manifest.datasets {
        let mut table = match file(&d.table_file) {
            Ok(bytes) => asterism_data::read_bytes(&d.table_file, bytes, None)?
                .into_iter()
                .find_map(|p| if let Part::Table(t) = p { Some(t) } else { None })
                .unwrap_or_default(),
            Err(_) => Table::default(),
        };
        table.name = d.name.clone();
        table.truncated = d.truncated;
        let mut maps = Vec::new();
        for m in d.maps {
            let values = kept_numbers.remove(&m.coords_file).unwrap_or_default();
            let model = match &m.model_file {
                Some(name) => Some(Arc::new(reduce::Model::load(Cursor::new(file(name)?))?)),
                None => None,
            };
            let figure = |name: &str| m.quality.as_ref().and_then(|q| q.get(name)).copied().unwrap_or(f64::NAN);
            let quality = m.quality.as_ref().map(|_| {
                Arc::new(reduce::Quality {
                    recall_10: figure("recall_10"),
                    trustworthiness_15: figure("trustworthiness_15"),
                    continuity_15: figure("continuity_15"),
                    triplets: figure("triplets"),
                    row_trust: m.trust_file.as_ref().and_then(|f| kept_numbers.remove(f)).unwrap_or_default(),
                })
            });
            maps.push(Arc::new(Map {
                id: m.id,
                name: m.name,
                params: m.params,
                features: m.features,
                xy: Arc::new(values.chunks_exact(m.dims.max(1)).map(|c| [c[0], c.get(1).copied().unwrap_or(0.0)]).collect()),
                coords: Arc::new(Coords { dims: m.dims, values }),
                figures: m.figures,
                seconds: m.seconds,
                quality,
                row_error: m.error_file.as_ref().and_then(|f| kept_numbers.remove(f)).map(Arc::new),
                model,
                prepared: m.prepared.map(Arc::new),
                fitted: m.fitted,
                unlike: Arc::new(m.unlike),
                complete: m.complete,
                legs: m.legs,
                generation: 1,
            }));
        }
        let spectra = SpectraColumn::find(&table).map(Arc::new);
        datasets.push(Arc::new(Dataset {
            id: d.id,
            name: d.name,
            ask: d.ask,
            spectra,
            images: images(&d.image_sources),
            table: Arc::new(table),
            ledger: d.ledger,
            latest: Arc::new(d.latest),
            features: d.features,
            maps,
            current_map: d.current_map,
            subsets: d.subsets.into_iter().map(Arc::new).collect(),
            // A rule without candidates has nothing in front.
            rule: d.rule.filter(|r| !r.path.is_empty()).map(Arc::new),
            loading: false,
            credit: d.credit,
            added: d.added,
            tables: d.tables,
        }));
    }
    Ok(Document {
        active: manifest.active.min(datasets.len().saturating_sub(1)),
        datasets,
        selection: Selection { rows: Arc::new(manifest.selection.rows), steps: manifest.selection.steps, generation: 0 },
        mode: manifest.mode,
        hide_rest: manifest.hide_rest,
        layout: manifest.layout,
    })
}

/// Images again from where they came; one that is gone is left out.
fn images(sources: &[String]) -> Vec<Arc<crate::ImageLayer>> {
    let mut layers: Vec<Arc<crate::ImageLayer>> = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for source in sources {
        if let Some(rest) = source.strip_prefix("sample:") {
            let found = rest
                .split('/')
                .next()
                .and_then(crate::sample::by_name)
                .and_then(|s| crate::sample::images(s).ok())
                .unwrap_or_default();
            layers.extend(found.into_iter().filter(|l| l.source == *source));
        } else if !done.contains(&source.as_str()) {
            done.push(source);
            let path = PathBuf::from(source);
            let title = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
            if let Some(picture) = crate::behind::picture(&path, &title) {
                let pixels = crate::Layer::Picture(Arc::new(picture));
                layers.push(Arc::new(crate::ImageLayer { title, pixels, source: source.clone() }));
                continue;
            }
            let parts = asterism_data::read(&PathBuf::from(source)).unwrap_or_default();
            layers.extend(parts.into_iter().filter_map(|p| match p {
                Part::Image(i) => Some(Arc::new(crate::ImageLayer {
                    title: i.name.clone(),
                    pixels: crate::Layer::Fits(Arc::new(i)),
                    source: source.clone(),
                })),
                _ => None,
            }));
        }
    }
    layers
}

/// The highest id in use, so that new ones do not clash.
pub fn highest_id(doc: &Document) -> u32 {
    doc.datasets
        .iter()
        .flat_map(|d| std::iter::once(d.id).chain(d.maps.iter().map(|m| m.id)).chain(d.subsets.iter().map(|s| s.id)))
        .max()
        .unwrap_or(0)
}

/// What `asterism reduce --save` writes and `--place` reads: a map's model with the recipe that
/// makes vectors for it.
pub struct SavedMap {
    /// How rows become vectors; absent when the map was made of a bare matrix.
    pub features: Option<(Features, Prepared)>,
    /// What places rows.
    pub model: reduce::Model,
}

/// Write a model, atomically: a zip archive with `features.json` and `model`.
///
/// # Errors
/// When the file cannot be written.
pub fn save_map(saved: &SavedMap, to: &Path) -> Result<()> {
    let err = zipped(to);
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    let io = |e| Error::from(asterism_data::Error::io(to, e));
    archive.start_file("features.json", options).map_err(&err)?;
    archive.write_all(&serde_json::to_vec(&saved.features).map_err(|e| Error::said(e.to_string()))?).map_err(io)?;
    archive.start_file("model", options).map_err(&err)?;
    let mut bytes = Vec::new();
    saved.model.save(&mut bytes)?;
    archive.write_all(&bytes).map_err(io)?;
    let bytes = archive.finish().map_err(&err)?.into_inner();
    crate::export::write_whole(to, &bytes)
}

/// Read such a file.
///
/// # Errors
/// When it is not one, or is damaged.
pub fn open_map(path: &Path) -> Result<SavedMap> {
    let bytes = std::fs::read(path).map_err(|e| asterism_data::Error::io(path, e))?;
    let wrong =
        |e: String| Error::said(format!("{}: this is not a model written by 'asterism reduce --save' ({e})", path.display()));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| wrong(e.to_string()))?;
    let mut file = |name: &str| -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        archive.by_name(name).map_err(|e| wrong(e.to_string()))?.read_to_end(&mut bytes).map_err(|e| wrong(e.to_string()))?;
        Ok(bytes)
    };
    let features = serde_json::from_slice(&file("features.json")?).map_err(|e| wrong(e.to_string()))?;
    Ok(SavedMap { features, model: reduce::Model::load(Cursor::new(file("model")?))? })
}
