//! What stands behind a row: its links (DataLink), the services that cut its data (SODA), and cut-outs by position.
//!
//! A row leads on in one of these ways, tried in this order: it names a document of links (`access_format` says so, or a column
//! named after DataLink holds its address); the answer it came in describes a service that lists links for its rows; it is an
//! observation of MAST, which lists its files; it is itself a line of such a list; or it names an address and nothing more. All
//! of them become one list of [`Link`]s, so that a person meets one form of them. Nothing is fetched before it is asked for, and
//! of a row that is looked at only its list.
//!
//! What is opened lands where such things are looked at: images become layers of the table in front (the rows stand on them),
//! spectra, light curves, target pixels and tables become a table of their own. The choice not taken is a viewer for single files:
//! maps, stacks and exports could not have used what it shows. The answer of [`Session::behind`] is no part of the document: it is
//! what a service says now, and asked again when it is wanted again.
//!
//! Cost: one request a row; documents of links are small. Standards: IVOA DataLink 1.1, SODA 1.0.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use asterism_archive::cutout::{CutoutFormat, Ps1Image, TessSector};
use asterism_archive::datalink::{DataLinks, Link, ServiceDescriptor, named_services};
use asterism_archive::{Client, Event, Request, download};
use asterism_data::{Part, Picture, Table};
use serde::{Deserialize, Serialize};

use crate::command::{Ask, Command};
use crate::document::{Added, Dataset, ImageLayer, Layer};
use crate::error::{Error, Result};
use crate::jobs::{Handle, NoticeLevel};
use crate::products;
use crate::session::Session;

/// Cut-outs of one service that are opened at once at most; the others stay in the folder of cut-outs.
const OPENED_AT_ONCE: usize = 24;

/// A service that cuts at a place, and how large. Pixels are columns and rows alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum CutOut {
    /// TESScut: target pixel files of so many pixels (21 arcsec each), of one sector or of all.
    Tess {
        /// Side, pixels; 100 at most by the service's documentation.
        pixels: u32,
        /// Sector; all that saw the place when absent.
        #[serde(default)]
        sector: Option<u32>,
    },
    /// Zcut: deep fields, as FITS images.
    DeepField {
        /// Side, pixels of the field.
        pixels: u32,
        /// One survey; all that cover the place when absent.
        #[serde(default)]
        survey: Option<String>,
    },
    /// The stacks of Pan-STARRS.
    PanStarrs {
        /// Side, arcmin.
        arcmin: f64,
        /// Letters of `grizy`.
        filters: String,
        /// One picture in colour in the place of a FITS image a filter.
        #[serde(default)]
        colour: bool,
    },
    /// An image of the Hubble Legacy Archive.
    Hubble {
        /// The data set's name, as a row names it.
        dataset: String,
        /// Side, pixels.
        pixels: u32,
    },
}

impl CutOut {
    /// For a person.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Tess { .. } => "TESScut",
            Self::DeepField { .. } => "Zcut",
            Self::PanStarrs { .. } => "Pan-STARRS",
            Self::Hubble { .. } => "Hubble Legacy Archive",
        }
    }
}

/// What was found behind a row.
#[derive(Clone, Debug, Default)]
pub struct Behind {
    /// Dataset.
    pub dataset: u32,
    /// Row of it.
    pub row: usize,
    /// Right ascension and declination of the row, degrees.
    pub at: Option<(f64, f64)>,
    /// Links and services.
    pub links: DataLinks,
    /// Where the list is from, for a person.
    pub from: String,
}

/// How a question behind a row stands.
#[derive(Clone, Debug, Default)]
pub enum Looked<T> {
    /// Nobody asked.
    #[default]
    Not,
    /// Asked, no answer yet.
    Asking,
    /// The answer.
    Found(Arc<T>),
    /// It did not come, with the reason.
    Failed(String),
}

/// What the services that cut have at a place. A service that failed gives its reason in place of a list.
#[derive(Clone, Debug)]
pub struct CutOuts {
    /// Right ascension and declination, degrees.
    pub at: (f64, f64),
    /// TESS' looks at it.
    pub tess: std::result::Result<Vec<TessSector>, String>,
    /// Deep fields that cover it.
    pub fields: std::result::Result<Vec<String>, String>,
    /// Pan-STARRS' stacks of it.
    pub ps1: std::result::Result<Vec<Ps1Image>, String>,
}

/// What the session knows of the row that was looked behind last.
#[derive(Default)]
pub(crate) struct State {
    row: Option<(u32, usize)>,
    links: Looked<Behind>,
    place: Option<(f64, f64)>,
    cut_outs: Looked<CutOuts>,
}

/// The value of a column, by its name without regard to case; `None` for an empty one.
fn value(table: &Table, row: usize, names: &[&str]) -> Option<String> {
    let at = names.iter().find_map(|n| table.columns().iter().position(|c| c.name.eq_ignore_ascii_case(n)))?;
    let text = table.cell(row, at).to_string();
    Some(text.trim().to_owned()).filter(|t| !t.is_empty())
}

/// Right ascension and declination of a row, degrees.
pub fn position_of(dataset: &Dataset, row: usize) -> Option<(f64, f64)> {
    let (ra, dec) = dataset.sky_columns()?;
    let number = |name: &str| value(&dataset.table, row, &[name])?.parse::<f64>().ok().filter(|v| v.is_finite());
    Some((number(&ra)?, number(&dec)?))
}

/// The name of the Hubble Legacy Archive's data set behind a row, where the row names one.
pub fn hubble_of(table: &Table, row: usize) -> Option<String> {
    value(table, row, &["DatasetName", "Dataset", "ImageName"]).filter(|name| name.to_ascii_lowercase().starts_with("hst_"))
}

fn is_web(text: &str) -> bool {
    ["http://", "https://"].iter().any(|s| text.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s)))
}

/// The address of the document of links that a row names.
fn document_of(table: &Table, row: usize) -> Option<String> {
    let format = value(table, row, &["access_format", "content_type"]).unwrap_or_default().to_ascii_lowercase().replace(' ', "");
    if format.contains("content=datalink") {
        return value(table, row, &["access_url"]).filter(|u| is_web(u));
    }
    let named = table.columns().iter().find(|c| c.name.to_ascii_lowercase().contains("datalink"))?;
    value(table, row, &[&named.name]).filter(|u| is_web(u))
}

/// What the row names by itself: a line of a list of links or products, or an address.
fn own_link(table: &Table, row: usize) -> Option<Link> {
    let address = value(table, row, &["access_url", "dataURI", "dataURL", "accref", "url", "file", "path"])
        .or_else(|| products::columns(table).first().and_then(|name| value(table, row, &[name])))?;
    let kind = value(table, row, &["productType"]).map(|t| match t.to_ascii_uppercase().as_str() {
        "PREVIEW" | "THUMBNAIL" => "#preview".to_owned(),
        "AUXILIARY" => "#auxiliary".into(),
        "INFO" => "#documentation".into(),
        _ => "#this".into(),
    });
    Some(Link {
        access_url: address,
        semantics: value(table, row, &["semantics"]).or(kind).unwrap_or_else(|| "#this".into()),
        description: value(table, row, &["productFilename", "description", "obs_title", "title"]).unwrap_or_default(),
        content_type: value(table, row, &["access_format", "content_type"]).unwrap_or_default(),
        // `access_estsize` of ObsCore is in kilobytes.
        content_length: value(table, row, &["size", "content_length"])
            .and_then(|t| t.parse::<f64>().ok())
            .or_else(|| value(table, row, &["access_estsize"])?.parse::<f64>().ok().map(|kb| kb * 1000.0))
            .filter(|v| *v > 0.0)
            .map(|v| v as u64),
        ..Link::default()
    })
}

/// Asks for what is behind a row, in the order that the module's head says.
fn look(dataset: &Dataset, row: usize, client: &Client, cancelled: &dyn Fn() -> bool) -> Result<(DataLinks, String)> {
    let table = &dataset.table;
    if let Some(address) = document_of(table, row) {
        return Ok((client.datalink_all(&address, cancelled)?, "DataLink of the row".into()));
    }
    let services = match &dataset.ask {
        Ask::Archive { request: Request::DataLink { url, .. } } => client.services_of(url, cancelled).unwrap_or_default(),
        // An answer without descriptors is the usual case, and one that does not come again is no reason to stop here.
        Ask::Archive { request } => match client.services_beside(request, cancelled) {
            Err(asterism_archive::Error::Cancelled) => return Err(asterism_archive::Error::Cancelled.into()),
            other => other.unwrap_or_default(),
        },
        Ask::File { path, .. } => services_in(&asterism_data::read::Which::split(path).0),
        Ask::Sample { .. } => Vec::new(),
    };
    let of_row = |name: &str| value(table, row, &[name]);
    let mut found = DataLinks::default();
    for service in &services {
        if service.is_links() {
            if let Ok(address) = service.address(&[], &of_row) {
                let more = client.datalink_all(&address, cancelled)?;
                found.links.extend(more.links);
                found.services.extend(more.services);
            }
        } else if service.params.iter().all(|p| p.column.is_none() || p.column.as_deref().and_then(of_row).is_some()) {
            found.services.push(bound(service, &of_row));
        }
    }
    if !found.links.is_empty() || !found.services.is_empty() {
        if found.links.is_empty() {
            found.links.extend(own_link(table, row));
        }
        return Ok((found, "services beside the answer".into()));
    }
    if table.column_index("dataURI").is_none()
        && let Ok(obsids) = products::obsids(table, &asterism_data::RowSet::from_rows(table.rows(), [row]))
    {
        let files = client.products(&obsids, cancelled)?;
        found.links = (0..files.rows()).filter_map(|i| own_link(&files, i)).collect();
        return Ok((found, "products at MAST".into()));
    }
    found.links.extend(own_link(table, row));
    Ok((found, "the row itself".into()))
}

/// The service with the row's values in place of the columns that it refers to.
fn bound(service: &ServiceDescriptor, row: &dyn Fn(&str) -> Option<String>) -> ServiceDescriptor {
    let mut service = service.clone();
    for param in &mut service.params {
        if let Some(text) = param.column.take().and_then(|c| row(&c)) {
            param.value = text;
        }
    }
    service
}

/// The descriptors in a VOTable on disk; none in any other file.
fn services_in(path: &Path) -> Vec<ServiceDescriptor> {
    const LARGEST: u64 = 64 << 20;
    if std::fs::metadata(path).map_or(true, |m| m.len() > LARGEST) {
        return Vec::new();
    }
    match std::fs::read(path) {
        Ok(bytes) if String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]).contains("VOTABLE") => {
            named_services(&String::from_utf8_lossy(&bytes))
        }
        _ => Vec::new(),
    }
}

/// Files that came, read far enough to know where they belong.
struct Came {
    layers: Vec<Arc<ImageLayer>>,
    tables: Vec<PathBuf>,
}

/// Images and pictures become layers; all else is opened as a table.
fn sort(files: &[PathBuf], name: &str) -> Result<Came> {
    let mut came = Came { layers: Vec::new(), tables: Vec::new() };
    for path in files {
        let title = if files.len() > 1 {
            path.file_stem().map_or_else(|| name.to_owned(), |s| s.to_string_lossy().into_owned())
        } else {
            name.to_owned()
        };
        let source = path.display().to_string();
        if let Some(picture) = picture(path, &title) {
            came.layers.push(Arc::new(ImageLayer { title, pixels: Layer::Picture(Arc::new(picture)), source }));
            continue;
        }
        let parts = asterism_data::read(path)?;
        if parts.is_empty() {
            return Err(Error::said(format!("{title}: there is nothing in it that can be shown")));
        }
        if parts.iter().all(|p| matches!(p, Part::Image(_))) {
            let several = parts.len() > 1;
            for part in parts {
                if let Part::Image(image) = part {
                    let title = if several { format!("{title} {}", image.name) } else { title.clone() };
                    let pixels = Layer::Fits(Arc::new(image));
                    came.layers.push(Arc::new(ImageLayer { title, pixels, source: source.clone() }));
                }
            }
        } else {
            came.tables.push(path.clone());
        }
    }
    Ok(came)
}

/// A PNG or JPEG by its first bytes.
pub(crate) fn picture(path: &Path, name: &str) -> Option<Picture> {
    let bytes = std::fs::read(path).ok()?;
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    (starts(b"\x89PNG") || starts(b"\xff\xd8\xff")).then(|| Picture::decode(name, &bytes).ok()).flatten()
}

/// Where cut-outs are unpacked: a folder of its own for each, below the cache of products.
fn cut_folder(client: &Client, label: &str, (ra, dec): (f64, f64)) -> Result<PathBuf> {
    let base = client.cache_folder()?.join("cut-outs");
    let name = download::safe_name(&format!("{label}_{ra:.5}_{dec:+.5}"));
    let mut folder = base.join(&name);
    let mut n = 2;
    while folder.exists() {
        folder = base.join(format!("{name}-{n}"));
        n += 1;
    }
    Ok(folder)
}

fn cut(client: &Client, at: (f64, f64), from: &CutOut, handle: &Handle) -> Result<Vec<(PathBuf, String)>> {
    let stop = || handle.cancelled();
    let mut tell = |done: u64, of: Option<u64>| handle.say("bytes", done, of.unwrap_or(0));
    let (ra, dec) = at;
    let stem = |p: &PathBuf| p.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let archive = |url: String, tell: &mut dyn FnMut(u64, Option<u64>)| -> Result<Vec<(PathBuf, String)>> {
        let files = client.cutouts(&url, &cut_folder(client, from.label(), at)?, &stop, tell)?;
        if files.is_empty() {
            return Err(Error::said(format!("{} cut nothing at {ra:.5} {dec:+.5}", from.label())));
        }
        Ok(files.into_iter().map(|p| (p.clone(), stem(&p))).collect())
    };
    match from {
        CutOut::Tess { pixels, sector } => archive(client.tess_cutout_url(ra, dec, (*pixels, *pixels), *sector), &mut tell),
        CutOut::DeepField { pixels, survey } => {
            archive(client.zcut_url(ra, dec, (*pixels, *pixels), survey.as_deref(), CutoutFormat::Fits), &mut tell)
        }
        CutOut::PanStarrs { arcmin, filters, colour } => {
            handle.say("images there", 0, 0);
            let images = client.ps1_images(ra, dec, filters, &stop)?;
            if images.is_empty() {
                return Err(Error::said(format!(
                    "Pan-STARRS has no stack in {filters} at {ra:.5} {dec:+.5}: it covers the sky north of declination -30"
                )));
            }
            let size = arcmin / 60.0;
            if *colour {
                let all: Vec<&Ps1Image> = images.iter().collect();
                let url = client.ps1_cutout_url(&all, ra, dec, size, CutoutFormat::Jpg);
                return Ok(vec![(client.fetch(&url, &stop, &mut tell)?, format!("Pan-STARRS {filters}"))]);
            }
            let mut files = Vec::new();
            for image in &images {
                let url = client.ps1_cutout_url(&[image], ra, dec, size, CutoutFormat::Fits);
                files.push((client.fetch(&url, &stop, &mut tell)?, format!("Pan-STARRS {}", image.filter)));
            }
            Ok(files)
        }
        CutOut::Hubble { dataset, pixels } => {
            let url = client.hsc_image_url(dataset, ra, dec, *pixels, CutoutFormat::Fits);
            Ok(vec![(client.fetch(&url, &stop, &mut tell)?, dataset.clone())])
        }
    }
}

impl Session {
    /// What is behind the row that was asked about last; [`Looked::Not`] when that was another row.
    pub fn behind(&self, dataset: u32, row: usize) -> Looked<Behind> {
        if self.behind.row == Some((dataset, row)) { self.behind.links.clone() } else { Looked::Not }
    }

    /// The row that was asked about last, with its dataset.
    pub fn behind_row(&self) -> Option<(u32, usize)> {
        self.behind.row
    }

    /// What the services that cut have at this place, when it was asked for last.
    pub fn cut_outs(&self, at: (f64, f64)) -> Looked<CutOuts> {
        if self.behind.place == Some(at) { self.behind.cut_outs.clone() } else { Looked::Not }
    }

    pub(crate) fn look_behind(&mut self, row: usize) -> Result<()> {
        let dataset = self.front()?;
        if row >= dataset.table.rows() {
            return Err(Error::said("that row is not here any more"));
        }
        let (client, key) = (self.client()?, (dataset.id, row));
        (self.behind.row, self.behind.links) = (Some(key), Looked::Asking);
        self.start(format!("Links of row {}", row + 1), dataset.id, false, move |handle| {
            handle.say("asking", 0, 0);
            let found = look(&dataset, row, &client, &|| handle.cancelled());
            let answer = match found {
                Ok((links, from)) => {
                    let at = position_of(&dataset, row);
                    Looked::Found(Arc::new(Behind { dataset: dataset.id, row, at, links, from }))
                }
                Err(Error::Archive(asterism_archive::Error::Cancelled)) => Looked::Not,
                Err(e) => Looked::Failed(e.to_string()),
            };
            handle.fact(move |s| {
                if s.behind.row == Some(key) {
                    s.behind.links = answer;
                }
            });
            Ok(())
        });
        Ok(())
    }

    pub(crate) fn open_product(&mut self, address: String, name: String, by_job: bool) -> Result<()> {
        let (client, dataset) = (self.client()?, self.doc().dataset().map_or(0, |d| d.id));
        let name = if name.trim().is_empty() { last_name(&address) } else { name };
        self.start(format!("Open {name}"), dataset, false, move |handle| {
            let stop = || handle.cancelled();
            let files = if by_job {
                client.cut_by_job(&address, &stop, &mut |event| match event {
                    Event::Progress { stage, done, of } if stage == "bytes" => handle.say("bytes", done, of.unwrap_or(0)),
                    // Seconds since the job was made.
                    Event::Progress { stage, .. } => handle.say(&stage, 0, 0),
                    _ => {}
                })?
            } else {
                vec![client.fetch(&address, &stop, &mut |done, of| handle.say("bytes", done, of.unwrap_or(0)))?]
            };
            handle.say("reading", 0, 0);
            let came = sort(&files, &name)?;
            let added = Added::Product { address, name: name.clone(), by_job };
            handle.fact(move |s| s.land(dataset, came, &name, added));
            Ok(())
        });
        Ok(())
    }

    /// Layers onto the table that was in front when they were asked for, tables beside it.
    fn land(&mut self, dataset: u32, came: Came, name: &str, added: Added) {
        let images = came.layers.len();
        if images > 0 && self.dataset_by_id(dataset).is_some() {
            self.step("add image", false);
            self.edit(dataset, |d| {
                d.images.extend(came.layers);
                d.added.push(added);
            });
            let text = match images {
                1 => format!("{name} is an image of this table now: the view Image shows it"),
                n => format!("{name}: {n} images of this table more, which the view Image shows"),
            };
            self.notice(NoticeLevel::Info, text);
        }
        let more = came.tables.len().saturating_sub(OPENED_AT_ONCE);
        for path in came.tables.into_iter().take(OPENED_AT_ONCE) {
            let stem = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
            let name = if name.is_empty() { stem } else { name.to_owned() };
            // What goes wrong stands in the log.
            let _ = self.apply(Command::Search { name, ask: Ask::file(path) });
        }
        if more > 0 {
            self.notice(
                NoticeLevel::Warning,
                format!("{more} more files of {name} were not opened: ask for one sector or survey"),
            );
        }
    }

    pub(crate) fn save_product(&mut self, address: String, name: String, to: PathBuf) -> Result<()> {
        let (client, dataset) = (self.client()?, self.doc().dataset().map_or(0, |d| d.id));
        let name = if name.trim().is_empty() { last_name(&address) } else { name };
        self.start(format!("Download {name}"), dataset, false, move |handle| {
            let wanted = [download::Wanted { uri: address, file: name.clone(), ..download::Wanted::default() }];
            let options = download::DownloadOptions::new(&to);
            let report = client.download(&wanted, &options, &|| handle.cancelled(), &mut |event| {
                if let download::DownloadEvent::Progress { done, of, .. } = event {
                    handle.say("bytes", done, of.unwrap_or(0));
                }
            })?;
            if report.complete() == 0 {
                return Err(Error::said(format!("{name} did not come: {} says why", report.manifest.display())));
            }
            let text = format!("{name} is in {}", to.join("mastDownload").display());
            handle.fact(move |s| s.notice(NoticeLevel::Info, text));
            Ok(())
        });
        Ok(())
    }

    pub(crate) fn find_cut_outs(&mut self, at: (f64, f64)) -> Result<()> {
        let client = self.client()?;
        let dataset = self.doc().dataset().map_or(0, |d| d.id);
        (self.behind.place, self.behind.cut_outs) = (Some(at), Looked::Asking);
        self.start("What cut-outs there are", dataset, false, move |handle| {
            let stop = || handle.cancelled();
            let (ra, dec) = at;
            handle.say("TESScut", 0, 3);
            let tess = client.tess_sectors(ra, dec, 0.0, &stop).map_err(|e| e.to_string());
            handle.say("Zcut", 1, 3);
            let fields = client.zcut_surveys(ra, dec, 0.0, &stop).map_err(|e| e.to_string());
            handle.say("Pan-STARRS", 2, 3);
            let ps1 = client.ps1_images(ra, dec, "grizy", &stop).map_err(|e| e.to_string());
            let stopped = handle.cancelled();
            handle.fact(move |s| {
                if s.behind.place == Some(at) {
                    let found = CutOuts { at, tess, fields, ps1 };
                    s.behind.cut_outs = if stopped { Looked::Not } else { Looked::Found(Arc::new(found)) };
                }
            });
            Ok(())
        });
        Ok(())
    }

    pub(crate) fn cut_out(&mut self, at: (f64, f64), from: CutOut) -> Result<()> {
        let client = self.client()?;
        let dataset = self.doc().dataset().map_or(0, |d| d.id);
        self.start(format!("Cut out by {}", from.label()), dataset, false, move |handle| {
            let files = cut(&client, at, &from, handle)?;
            handle.say("reading", 0, files.len() as u64);
            let mut came = Came { layers: Vec::new(), tables: Vec::new() };
            for (i, (path, name)) in files.into_iter().enumerate() {
                handle.say("reading", i as u64, 0);
                let one = sort(&[path], &name)?;
                came.layers.extend(one.layers);
                came.tables.extend(one.tables);
            }
            let name = if came.tables.is_empty() { from.label() } else { "" };
            let added = Added::CutOut { at, from };
            handle.fact(move |s| s.land(dataset, came, name, added));
            Ok(())
        });
        Ok(())
    }
}

/// The last part of an address, without its query.
fn last_name(address: &str) -> String {
    let path = address.split(['?', '#']).next().unwrap_or(address).trim_end_matches('/');
    path.rsplit(['/', ':']).next().filter(|n| !n.is_empty()).unwrap_or("product").to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn table(text: &str) -> Table {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        asterism_data::read_table(&path).unwrap()
    }

    #[test]
    fn a_row_leads_to_its_links_by_format_or_by_name() {
        let t = table(
            "access_url,access_format,access_estsize\nhttp://x/links?ID=1,application/x-votable+xml;content=datalink,\nhttp://x/a.fits,image/fits,12\n",
        );
        assert_eq!(document_of(&t, 0).as_deref(), Some("http://x/links?ID=1"));
        assert_eq!(document_of(&t, 1), None);
        let own = own_link(&t, 1).unwrap();
        assert_eq!((own.access_url.as_str(), own.content_length), ("http://x/a.fits", Some(12_000)));
        let t = table("source_id,datalink_url\n5,https://x/dl?5\n6,none\n");
        assert_eq!((document_of(&t, 0).as_deref(), document_of(&t, 1)), (Some("https://x/dl?5"), None));
    }

    #[test]
    fn names_of_products_come_from_their_addresses() {
        assert_eq!(last_name("mast:HST/product/u1_drz.fits"), "u1_drz.fits");
        assert_eq!(last_name("http://x/a/b.fits?c=/d"), "b.fits");
        assert_eq!(last_name("http://x/"), "x");
    }
}
