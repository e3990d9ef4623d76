//! Products as array cells: the files behind rows, fetched and read into columns of the table.
//!
//! A column of addresses or paths becomes columns of array cells: `spectrum_wavelength`,
//! `spectrum_flux` and `spectrum_error`; or `lc_time`, `lc_flux` and `lc_error`; or
//! `image_pixels`. From there on everything that works on array cells (stacks, light curves,
//! features, exports) works on products, and there is one way to do a thing. The choice not taken:
//! readers in each pane that open files by themselves; maps, recipes and exports could not have
//! used what they found. Files come through the archive's cache, four at a time, so asking again
//! costs a look at the disk. A row whose file is missing or is something else stays blank and is
//! counted with its reason; the others lose nothing.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use asterism_archive::Client;
use asterism_data::light_curve::light_curve_from_table;
use asterism_data::spectrum_layouts::spectra_from_table;
use asterism_data::{Cell, ColumnMeta, Param, Part, Picture, RowSet, Table};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::command::Ask;
use crate::error::{Error, Result};
use crate::features::{FeatureKind, Features};

/// What is read from the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductKind {
    /// The first 1-D spectrum of each file.
    Spectra,
    /// The first light curve of each file.
    LightCurves,
    /// The first image or picture of each file, made `size × size` pixels of brightness.
    Images {
        /// Side, pixels.
        size: usize,
    },
}

impl ProductKind {
    /// For a person, plural.
    pub fn word(self) -> &'static str {
        match self {
            Self::Spectra => "spectra",
            Self::LightCurves => "light curves",
            Self::Images { .. } => "images",
        }
    }
    /// The columns that are made: name, unit-less description, UCD.
    fn columns(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Self::Spectra => &[
                ("spectrum_wavelength", "wavelength of each sample", "em.wl"),
                ("spectrum_flux", "flux of each sample; NaN where the file marks it bad", "phot.flux"),
                ("spectrum_error", "one standard deviation of the flux", "stat.error;phot.flux"),
            ],
            Self::LightCurves => &[
                ("lc_time", "time of each point that passes the mission's default quality mask", "time.epoch"),
                ("lc_flux", "brightness of each point", "phot.flux;time.series"),
                ("lc_error", "one standard deviation of the brightness", "stat.error;phot.flux"),
            ],
            Self::Images { .. } => &[("image_pixels", "brightness of each pixel, rows from below", "phot.flux")],
        }
    }
    /// Name of the column that holds the values (fluxes, brightnesses, pixels).
    pub fn values_column(self) -> &'static str {
        match self {
            Self::Spectra => "spectrum_flux",
            Self::LightCurves => "lc_flux",
            Self::Images { .. } => "image_pixels",
        }
    }
}

/// Prefix of the parameter that keeps which column a product column was read from.
const SOURCE: &str = "products:";

/// The column of addresses that a column of products was read from.
pub fn source_of<'a>(table: &'a Table, values_column: &str) -> Option<&'a str> {
    table.params.iter().find(|p| p.name.strip_prefix(SOURCE) == Some(values_column)).map(|p| p.value.as_str())
}

/// Whether a column holds text.
pub fn is_text(table: &Table, column: &str) -> bool {
    table.column_index(column).is_some_and(|i| table.columns()[i].datatype == "string")
}

/// Columns that hold addresses or paths of products, the likeliest first: `access_url`, `dataURL`
/// and their like, columns with the UCD of an address, then any column of text whose first values
/// look like addresses or files.
pub fn columns(table: &Table) -> Vec<String> {
    let mut found: Vec<(u8, String)> = Vec::new();
    for (i, meta) in table.columns().iter().enumerate() {
        if meta.datatype != "string" {
            continue;
        }
        let name = meta.name.to_ascii_lowercase();
        let ucd = meta.ucd.as_deref().unwrap_or("").to_ascii_lowercase();
        let preview = is_preview(&name);
        let known =
            ["access_url", "dataurl", "datauri", "accref", "file", "filename", "path", "url", "uri"].contains(&name.as_str());
        let by_ucd = ucd.starts_with("meta.ref.url") || ucd.contains("accessreference") || ucd.starts_with("meta.ref.uri");
        let looks = || {
            let first = (0..table.rows().min(50)).find_map(|row| match table.cell(row, i) {
                Cell::Text(text) if !text.trim().is_empty() => Some(text),
                _ => None,
            });
            first.is_some_and(|text| is_address(&text))
        };
        let rank = match (known, by_ucd, preview) {
            (_, _, true) if looks() => 3,
            (true, ..) if looks() => 0,
            (_, true, _) if looks() => 1,
            _ if looks() => 2,
            _ => continue,
        };
        found.push((rank, meta.name.clone()));
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, name)| name).collect()
}

/// Whether a column holds small pictures for looking at, by its name: no spectra are behind those.
pub fn is_preview(column: &str) -> bool {
    let name = column.to_ascii_lowercase();
    ["jpeg", "preview", "thumb"].iter().any(|word| name.contains(word))
}

/// The column with the numbers of MAST's observations, to list their products by.
pub fn obsid_column(table: &Table) -> Option<usize> {
    table.columns().iter().position(|c| c.name == "obsid").or_else(|| table.columns().iter().position(|c| c.name == "obsID"))
}

/// The numbers of the observations of some rows.
///
/// # Errors
/// When the table has no such column, or the rows have no number in it.
pub fn obsids(table: &Table, rows: &RowSet) -> Result<Vec<i64>> {
    let column = obsid_column(table).ok_or_else(|| {
        Error::said("only observations of MAST (with a column 'obsid') have a list of products; other tables name their files in a column")
    })?;
    let mut seen = std::collections::HashSet::new();
    let name = table.columns()[column].name.clone();
    let list: Vec<i64> = table
        .strings(&name)?
        .into_iter()
        .enumerate()
        .filter(|(row, _)| rows.contains(*row))
        .filter_map(|(_, text)| text?.trim().parse().ok())
        .filter(|id| seen.insert(*id))
        .collect();
    if list.is_empty() {
        return Err(Error::said(format!("none of these rows has a number in column '{name}'")));
    }
    Ok(list)
}

fn is_address(text: &str) -> bool {
    let text = text.trim();
    let file = || {
        let ending = text.trim_end_matches(".gz").rsplit('.').next().unwrap_or("").to_ascii_lowercase();
        !text.contains(char::is_whitespace)
            && ["fits", "fit", "fts", "jpg", "jpeg", "png", "vot", "xml", "csv", "parquet", "ecsv"].contains(&ending.as_str())
    };
    ["http://", "https://", "mast:", "file://"].iter().any(|s| text.starts_with(s)) || file()
}

/// The column of products that features name, and what it holds: they must be read before the
/// features can be.
pub fn wanted(table: &Table, features: &Features) -> Option<(String, ProductKind)> {
    let (column, kind) = match &features.of {
        FeatureKind::Columns(_) => return None,
        FeatureKind::Spectra { column, .. } => (column, ProductKind::Spectra),
        FeatureKind::LightCurves { column, .. } => (column, ProductKind::LightCurves),
        FeatureKind::Images { column, size } => (column, ProductKind::Images { size: *size }),
    };
    is_text(table, column).then(|| (column.clone(), kind))
}

/// The same features of the columns that [`wanted`]'s products were read into.
pub fn of_values(mut features: Features) -> Features {
    match &mut features.of {
        FeatureKind::Columns(_) => {}
        FeatureKind::Spectra { column, .. } => *column = ProductKind::Spectra.values_column().into(),
        FeatureKind::LightCurves { column, .. } => *column = ProductKind::LightCurves.values_column().into(),
        FeatureKind::Images { column, size } => *column = ProductKind::Images { size: *size }.values_column().into(),
    }
    features
}

/// What [`read`] found: cells for some rows.
pub struct Found {
    kind: ProductKind,
    source: String,
    units: [Option<String>; 3],
    description: Option<String>,
    cells: Vec<(usize, [Vec<f64>; 3])>,
    /// Rows whose file does not say the unit of its values.
    pub unitless: usize,
    /// The units that the files say, each once. With more than one the column has none.
    pub said_units: Vec<String>,
    /// Rows of which no address is known.
    pub without: usize,
    /// Rows whose file could not be fetched or read, with the reason.
    pub failed: Vec<(usize, String)>,
}

impl Found {
    /// Rows that have a product now.
    pub fn count(&self) -> usize {
        self.cells.len()
    }
    /// A sentence for the log.
    pub fn sentence(&self) -> String {
        let mut s = format!("Read {} {} from '{}'", self.count(), self.kind.word(), self.source);
        if self.said_units.len() > 1 {
            s.push_str(&format!("; their units differ ({}), so the column has none", self.said_units.join(", ")));
        } else if self.unitless > 0 && self.units[1].is_some() {
            s.push_str(&format!("; {} files say no unit and stand beside those that do", self.unitless));
        }
        if self.without > 0 {
            s.push_str(&format!("; {} rows name none", self.without));
        }
        if let Some((row, why)) = self.failed.first() {
            s.push_str(&format!("; {} could not be read (row {}: {why})", self.failed.len(), row + 1));
        }
        s
    }
    /// The table with the cells in columns of their own; cells of other rows that were read before
    /// stay.
    ///
    /// # Errors
    /// When the columns cannot be put together.
    pub fn into_columns(&self, table: &Table) -> Result<Table> {
        let mut table = table.clone();
        let rows = table.rows();
        for (c, (name, description, ucd)) in self.kind.columns().iter().enumerate() {
            let old = table.column_index(name).filter(|i| table.columns()[*i].datatype.ends_with(']'));
            let mut cells: Vec<Vec<f64>> = match old {
                Some(i) => (0..rows).map(|row| table.array(i, row)).collect(),
                None => vec![Vec::new(); rows],
            };
            if c == 2 && old.is_none() && self.cells.iter().all(|(_, v)| v[2].is_empty()) {
                continue;
            }
            for (row, values) in &self.cells {
                if let Some(cell) = cells.get_mut(*row) {
                    cell.clone_from(&values[c]);
                }
            }
            let description = match (&self.description, c) {
                (Some(more), 0) => format!("{description} ({more})"),
                _ => (*description).to_owned(),
            };
            let meta = ColumnMeta {
                unit: self.units[c].clone(),
                ucd: Some((*ucd).into()),
                description: Some(description),
                ..ColumnMeta::default()
            };
            table.with_list_column(name, cells, meta)?;
        }
        let key = format!("{SOURCE}{}", self.kind.values_column());
        table.params.retain(|p| p.name != key);
        table.params.push(Param { name: key, value: self.source.clone(), ..Param::default() });
        Ok(table)
    }
}

/// Where a relative path of a table counts from.
pub fn folder_of(ask: &Ask) -> Option<PathBuf> {
    match ask {
        Ask::File { path, .. } => path.parent().map(Path::to_path_buf),
        _ => None,
    }
}

/// Fetch and read the products of `rows` that `column` names. `tell` gets done and of, and may say
/// that it is enough (true); what was read by then is kept.
///
/// # Errors
/// When there is no such column, when it holds no addresses, or when every file failed: then the
/// first reason.
pub fn read(
    table: &Table,
    folder: Option<&Path>,
    column: &str,
    kind: ProductKind,
    rows: &RowSet,
    client: &Client,
    tell: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Result<Found> {
    let names = table.strings(column)?;
    let mut wanted: Vec<(usize, String)> = Vec::new();
    let mut without = 0;
    for row in rows.iter().filter(|r| *r < names.len()) {
        match names[row].as_deref().map(str::trim).filter(|t| !t.is_empty()) {
            Some(text) => wanted.push((row, address(text, folder))),
            None => without += 1,
        }
    }
    if wanted.is_empty() {
        return Err(Error::said(format!("none of these rows has an address or a path in column '{column}'")));
    }
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results: Mutex<Vec<(usize, std::result::Result<Read, String>)>> = Mutex::new(Vec::new());
    let enough = std::sync::atomic::AtomicBool::new(false);
    let work = || {
        while !enough.load(Ordering::Relaxed) {
            let Some((row, at)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            let one = one(client, at, kind, &|| enough.load(Ordering::Relaxed));
            results.lock().push((*row, one));
            if tell(done.fetch_add(1, Ordering::Relaxed) + 1, wanted.len()) {
                enough.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for i in 1..4.min(wanted.len()) {
            // With fewer threads than wished for, the others do their part.
            let _ = std::thread::Builder::new().name(format!("products {i}")).spawn_scoped(scope, work);
        }
        work();
    });
    let mut results = results.into_inner();
    results.sort_by_key(|(row, _)| *row);
    let mut found = Found {
        kind,
        source: column.into(),
        units: [None, None, None],
        description: None,
        cells: Vec::new(),
        unitless: 0,
        said_units: Vec::new(),
        without,
        failed: Vec::new(),
    };
    for (row, result) in results {
        match result {
            Ok(read) => {
                found.unitless += usize::from(read.units[1].is_none());
                if let Some(unit) = &read.units[1]
                    && !found.said_units.contains(unit)
                {
                    found.said_units.push(unit.clone());
                }
                if found.cells.is_empty() {
                    found.units = read.units;
                    found.description = read.description;
                }
                found.cells.push((row, read.values));
            }
            Err(why) => found.failed.push((row, why)),
        }
    }
    if found.said_units.len() > 1 {
        // One column cannot have two units: it has none, and says so.
        found.units[1] = None;
        found.units[2] = None;
    }
    match found.failed.first() {
        Some((_, why)) if found.cells.is_empty() => Err(Error::said(format!("no {} could be read: {why}", kind.word()))),
        _ => Ok(found),
    }
}

fn address(text: &str, folder: Option<&Path>) -> String {
    if text.contains("://") || text.starts_with("mast:") || Path::new(text).is_absolute() {
        return text.to_owned();
    }
    folder.map_or_else(|| text.to_owned(), |f| f.join(text).display().to_string())
}

struct Read {
    values: [Vec<f64>; 3],
    units: [Option<String>; 3],
    description: Option<String>,
}

fn one(client: &Client, address: &str, kind: ProductKind, cancelled: &dyn Fn() -> bool) -> std::result::Result<Read, String> {
    let path = client.fetch(address, cancelled, &mut |_, _| {}).map_err(|e| e.to_string())?;
    let name = path.display();
    let unit = |u: &str| Some(u.to_owned()).filter(|u| !u.is_empty());
    if let ProductKind::Images { size } = kind {
        let bytes = std::fs::read(&path).map_err(|e| format!("{name}: {e}"))?;
        let looks_fits = bytes.starts_with(b"SIMPLE");
        let (shape, pixels): ([usize; 2], Vec<f64>) = if looks_fits {
            let parts = asterism_data::read_bytes(&name.to_string(), bytes, None).map_err(|e| e.to_string())?;
            let image = parts.into_iter().find_map(|p| if let Part::Image(i) = p { Some(i) } else { None });
            let image = image.ok_or_else(|| format!("{name} holds no image"))?;
            (image.shape, image.pixels.iter().map(|v| f64::from(*v)).collect())
        } else {
            let p = Picture::decode(&path.display().to_string(), &bytes).map_err(|e| e.to_string())?;
            let grey = p.rgba.chunks_exact(4).map(|c| (f64::from(c[0]) + f64::from(c[1]) + f64::from(c[2])) / 3.0).collect();
            (p.shape, grey)
        };
        let values = [shrunk(shape, &pixels, size.clamp(4, 128)), Vec::new(), Vec::new()];
        return Ok(Read { values, units: [None, None, None], description: None });
    }
    let parts = asterism_data::read(&path).map_err(|e| e.to_string())?;
    match kind {
        ProductKind::Spectra => {
            let spectrum = parts.iter().find_map(|p| if let Part::Spectrum(s) = p { Some(s.clone()) } else { None });
            // A table of samples is one too, where a spectrum is what was asked for.
            let of_table = |p: &Part| if let Part::Table(t) = p { spectra_from_table(t).into_iter().next() } else { None };
            let spectrum = spectrum.or_else(|| parts.iter().find_map(of_table));
            let s = spectrum.ok_or_else(|| format!("{name} holds no spectrum that this program knows"))?;
            if s.wavelength_m.is_empty() {
                return Err(format!("{name}: its axis ({}) is no wavelength", s.axis_unit));
            }
            let flux = s.flux.iter().zip(&s.good).map(|(f, good)| if *good { *f } else { f64::NAN }).collect();
            Ok(Read {
                values: [s.wavelength_m.iter().map(|w| w * 1e10).collect(), flux, s.error.unwrap_or_default()],
                units: [unit("Angstrom"), unit(&s.flux_unit), unit(&s.flux_unit)],
                description: Some(format!("{:?}", s.medium).to_lowercase()),
            })
        }
        _ => {
            let curve = parts.iter().find_map(|p| if let Part::LightCurve(l) = p { Some(l.clone()) } else { None });
            let of_table = |p: &Part| if let Part::Table(t) = p { light_curve_from_table(t) } else { None };
            let curve = curve.or_else(|| parts.iter().find_map(of_table));
            let l = curve.ok_or_else(|| format!("{name} holds no light curve that this program knows"))?;
            let kept = |v: &[f64]| v.iter().zip(&l.kept).filter(|(_, k)| **k).map(|(v, _)| *v).collect::<Vec<f64>>();
            Ok(Read {
                values: [kept(&l.time_bjd), kept(&l.flux), l.error.as_deref().map(kept).unwrap_or_default()],
                units: [unit("d"), unit(&l.flux_unit), unit(&l.flux_unit)],
                description: Some(l.time_system.clone()).filter(|t| !t.is_empty()),
            })
        }
    }
}

/// The middle square of an image as `size × size` means of its pixels; NaN where there is none.
/// `shape` is rows, columns.
fn shrunk(shape: [usize; 2], pixels: &[f64], size: usize) -> Vec<f64> {
    let [h, w] = shape;
    let side = h.min(w);
    let (top, left) = ((h - side) / 2, (w - side) / 2);
    let edge = |i: usize| i * side / size;
    let mut out = Vec::with_capacity(size * size);
    for y in 0..size {
        for x in 0..size {
            let (y0, y1) = (edge(y), edge(y + 1).max(edge(y) + 1).min(side));
            let (x0, x1) = (edge(x), edge(x + 1).max(edge(x) + 1).min(side));
            let (mut sum, mut n) = (0.0, 0);
            for row in y0..y1 {
                for v in &pixels[(top + row) * w + left + x0..(top + row) * w + left + x1] {
                    if v.is_finite() {
                        sum += v;
                        n += 1;
                    }
                }
            }
            out.push(if n > 0 { sum / f64::from(n) } else { f64::NAN });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_files_are_told_from_words() {
        for yes in ["https://mast.stsci.edu/x", "mast:HST/product/u1_drz.fits", "spectra/a.fits.gz", "b.jpg"] {
            assert!(is_address(yes), "{yes}");
        }
        for no in ["M 31", "galaxy", "3.14", "see fig.fits for it"] {
            assert!(!is_address(no), "{no}");
        }
    }

    #[test]
    fn an_image_is_shrunk_by_means() {
        let pixels: Vec<f64> = (0..24).map(f64::from).collect();
        // 4 × 6: the middle 4 × 4 has columns 1 to 4.
        let out = shrunk([4, 6], &pixels, 2);
        assert_eq!(out, [(1.0 + 2.0 + 7.0 + 8.0) / 4.0, (3.0 + 4.0 + 9.0 + 10.0) / 4.0, 16.5, 18.5]);
        assert_eq!(shrunk([1, 1], &[5.0], 2), [5.0; 4]);
    }

    /// SSA services give spectra as VOTables, and people have them as text.
    #[test]
    fn a_table_of_samples_is_a_spectrum_where_one_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let samples: Vec<(f64, f64)> = (0..20).map(|i| (400.0 + f64::from(i), f64::from(i * i))).collect();
        let text = folder.path().join("one.csv");
        let lines: String = samples.iter().map(|(w, f)| format!("{w},{f}\n")).collect();
        std::fs::write(&text, format!("wavelength,flux\n{lines}")).unwrap();
        let votable = folder.path().join("one.vot");
        let cells: String = samples.iter().map(|(w, f)| format!("<TR><TD>{w}</TD><TD>{f}</TD></TR>")).collect();
        let field = |name: &str, unit: &str, axis: &str| {
            format!("<FIELD name='{name}' unit='{unit}' datatype='double' utype='spec:Data.{axis}.Value'/>")
        };
        let fields = field("x", "nm", "SpectralAxis") + &field("y", "Jy", "FluxAxis");
        let table = format!("<TABLE>{fields}<DATA><TABLEDATA>{cells}</TABLEDATA></DATA></TABLE>");
        std::fs::write(&votable, format!("<VOTABLE version='1.4'><RESOURCE>{table}</RESOURCE></VOTABLE>")).unwrap();
        let client = Client::new(Default::default()).unwrap();
        for path in [text, votable] {
            let read = one(&client, &path.display().to_string(), ProductKind::Spectra, &|| false).unwrap();
            assert_eq!(read.values[1], samples.iter().map(|s| s.1).collect::<Vec<_>>());
            for (angstrom, (nm, _)) in read.values[0].iter().zip(&samples) {
                assert!((angstrom - 10.0 * nm).abs() < 1e-6, "{angstrom} {nm}");
            }
        }
    }

    #[test]
    fn paths_count_from_the_tables_own_folder() {
        assert_eq!(address("a/b.fits", Some(Path::new("/data"))), "/data/a/b.fits");
        assert_eq!(address("mast:HST/x.fits", Some(Path::new("/data"))), "mast:HST/x.fits");
    }
}
