//! HATS catalogues: Parquet files, one a HEALPix cell, with a list of the cells there are.
//!
//! A cone is read from the cells that meet it, and of them only the columns that are asked for; the
//! rows are then filtered by their true distance. A collection names its primary catalogue and its
//! margins. A margin holds the rows just outside each cell: a cone over several cells needs none,
//! since every cell it meets is read; a margin can be opened as a catalogue of its own, and a cone
//! is then widened by its threshold when cells are chosen.
//!
//! The same code reads a folder and an address: what is needed is asked for through [`Fetch`],
//! which turns a path or address into a file here. The catalogue's sums (`_metadata`) are not read:
//! they are megabytes for a catalogue of many cells, and `partition_info.csv` says the same.
//!
//! IVOA Note "HATS: a standard for the hierarchical adaptive tiling scheme" (2025).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::crossmatch::Progress;
pub use crate::healpix::{Cell, Cone};
use crate::table::Table;
use crate::{Error, Result};

/// Gives a file for a path or address; an error where there is none.
pub type Fetch<'a> = &'a (dyn Fn(&str) -> Result<PathBuf> + Sync);
/// As [`Fetch`], for one thread.
pub type FetchHere<'a> = &'a dyn Fn(&str) -> Result<PathBuf>;

/// Catalogues of more rows are not read whole.
pub const MOST_ROWS: u64 = 50_000_000;

/// A catalogue, opened: what it holds, none of its rows.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// Folder or address of the catalogue itself (of a collection: of its primary one).
    pub location: String,
    /// `obs_collection`.
    pub name: String,
    /// `object`, `source`, `margin`, `index`, ...
    pub kind: String,
    /// Number of rows, where said.
    pub rows: Option<u64>,
    /// Columns of right ascension and declination, degrees.
    pub position: [String; 2],
    /// Cells that have a file.
    pub cells: Vec<Cell>,
    /// Of a margin: how far outside a cell its rows reach, arcsec.
    pub margin_arcsec: f64,
    /// Of a collection: folders or addresses of the margins, the default one first.
    pub margins: Vec<String>,
    /// Everything its properties say.
    pub properties: BTreeMap<String, String>,
    suffix: String,
    dataset: String,
}

/// What to read of a catalogue; by default everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Only rows within.
    pub cone: Option<Cone>,
    /// Only these columns, in this order; empty for all.
    pub columns: Vec<String>,
}

/// [`Fetch`] for folders of this machine.
///
/// # Errors
/// [`Error::Io`] where there is no such file.
pub fn local(path: &str) -> Result<PathBuf> {
    std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    Ok(path.into())
}

fn joined(base: &str, name: &str) -> String {
    if name.contains("://") || Path::new(name).is_absolute() {
        return name.trim_end_matches('/').into();
    }
    format!("{}/{}", base.trim_end_matches('/'), name.trim_matches('/'))
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::io(path, e))
}

fn properties(path: &Path) -> Result<BTreeMap<String, String>> {
    let pair = |line: &str| {
        let (key, value) = line.split_once('=')?;
        (!line.starts_with(['#', '!'])).then(|| (key.trim().to_owned(), value.trim().to_owned()))
    };
    Ok(text(path)?.lines().filter_map(pair).collect())
}

/// Whether a folder is a HATS catalogue or collection.
pub fn is_catalogue(folder: &Path) -> bool {
    folder.join("collection.properties").is_file()
        || ((folder.join("hats.properties").is_file() || folder.join("properties").is_file())
            && (folder.join("dataset").is_dir() || folder.join("partition_info.csv").is_file()))
}

impl Catalogue {
    /// Open a catalogue or collection in a folder of this machine.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub fn open_folder(folder: &Path) -> Result<Self> {
        let location = folder
            .to_str()
            .ok_or_else(|| Error::format(folder.display().to_string(), "is a name that is not UTF-8; rename it"))?;
        Self::open(location, &local)
    }

    /// Open a catalogue or collection at a folder or address: reads its properties and its list of
    /// cells through `fetch`.
    ///
    /// # Errors
    /// [`Error::Format`] when there are no properties of a catalogue or its list of cells cannot be
    /// understood; what `fetch` said.
    pub fn open(location: &str, fetch: FetchHere) -> Result<Self> {
        let location = location.trim_end_matches('/');
        let mut margins = Vec::new();
        let mut base = location.to_owned();
        if let Ok(file) = fetch(&joined(location, "collection.properties")) {
            let p = properties(&file)?;
            let primary = p.get("hats_primary_table_url").ok_or_else(|| {
                Error::format(location, "is a HATS collection whose collection.properties names no hats_primary_table_url")
            })?;
            let all = p.get("all_margins").map(String::as_str).unwrap_or_default();
            margins = all.split_whitespace().map(|m| joined(location, m)).collect();
            if let Some(first) = p.get("default_margin").map(|m| joined(location, m))
                && let Some(at) = margins.iter().position(|m| *m == first)
            {
                margins.swap(0, at);
            }
            base = joined(location, primary);
        }
        let file = fetch(&joined(&base, "hats.properties")).or_else(|_| fetch(&joined(&base, "properties"))).map_err(|e| {
            Error::format(&base, format!("no HATS catalogue is there: it has neither hats.properties nor properties ({e})"))
        })?;
        let p = properties(&file)?;
        let said = |keys: &[&str]| keys.iter().find_map(|k| p.get(*k)).cloned();
        let kind = said(&["dataproduct_type", "catalog_type"]).ok_or_else(|| {
            Error::format(&base, "has properties that name no dataproduct_type; it is not a HATS catalogue (a HiPS of images?)")
        })?;
        let name =
            said(&["obs_collection", "catalog_name"]).unwrap_or_else(|| base.rsplit('/').next().unwrap_or_default().to_owned());
        let position = [
            said(&["hats_col_ra", "hats_cols_ra", "ra_column"]).unwrap_or_else(|| "ra".into()),
            said(&["hats_col_dec", "hats_cols_dec", "dec_column"]).unwrap_or_else(|| "dec".into()),
        ];
        let mut out = Self {
            name,
            kind,
            rows: said(&["hats_nrows", "total_rows"]).and_then(|v| v.parse().ok()),
            position,
            cells: Vec::new(),
            margin_arcsec: said(&["hats_margin_threshold"]).and_then(|v| v.parse().ok()).unwrap_or(0.0),
            margins,
            suffix: said(&["hats_npix_suffix"]).unwrap_or_else(|| ".parquet".into()),
            properties: p,
            dataset: joined(&base, "dataset"),
            location: base,
        };
        if !out.location.contains("://") && !Path::new(&out.dataset).is_dir() {
            // As the scheme's first version had it.
            out.dataset.clone_from(&out.location);
        }
        if out.kind != "index" {
            out.cells = match fetch(&joined(&out.location, "partition_info.csv")) {
                Ok(file) => cells_of(&file)?,
                Err(e) if out.location.contains("://") => return Err(e),
                Err(_) => cells_in(Path::new(&out.dataset)),
            };
        }
        Ok(out)
    }

    /// Path or address of a cell's file (or folder of files).
    pub fn path_of(&self, cell: Cell) -> String {
        let folder = cell.pixel / 10_000 * 10_000;
        let suffix = self.suffix.trim_end_matches('/');
        format!("{}/Norder={}/Dir={folder}/Npix={}{suffix}", self.dataset, cell.order, cell.pixel)
    }

    /// The cells that a cone needs.
    pub fn cells_for(&self, cone: &Cone) -> Vec<Cell> {
        let wide = Cone { radius_deg: cone.radius_deg + self.margin_arcsec / 3600.0, ..*cone };
        self.cells.iter().filter(|c| c.meets(&wide)).copied().collect()
    }

    /// The catalogue's columns, with no rows: read from its first file's footer.
    ///
    /// # Errors
    /// As [`Catalogue::read`].
    pub fn columns(&self, fetch: FetchHere) -> Result<Table> {
        let common = fetch(&joined(&self.dataset, "_common_metadata"));
        let file = match common {
            Ok(file) => file,
            Err(_) => match self.cells.first() {
                Some(cell) => fetch(&self.path_of(*cell))?,
                None => return Table::new(self.name.clone(), polars::prelude::DataFrame::empty(), Vec::new()),
            },
        };
        let mut table = read_parts(&file, &[], true)?;
        table.name.clone_from(&self.name);
        Ok(table)
    }

    /// Read rows: of the cells that are needed (files are fetched and read by as many threads as
    /// there are cores), filtered, in the order of the cells.
    ///
    /// # Errors
    /// [`Error::Format`] for a catalogue of more than [`MOST_ROWS`] with no cone, or a file that
    /// cannot be read; [`Error::NoColumn`]; [`Error::Stopped`]; what `fetch` said.
    pub fn read(&self, part: &Part, fetch: Fetch, progress: Progress) -> Result<Table> {
        if part.cone.is_none() && self.rows.is_some_and(|n| n > MOST_ROWS) {
            return Err(Error::format(
                &self.location,
                format!("has {} rows, more than {MOST_ROWS}; ask for a part of it with a cone", self.rows.unwrap_or_default()),
            ));
        }
        if self.kind == "index" {
            return self.read_index(part, fetch);
        }
        let cells = match &part.cone {
            Some(cone) => self.cells_for(cone),
            None => self.cells.clone(),
        };
        let columns = self.columns_for(part);
        let done = AtomicUsize::new(0);
        let tables: Vec<Result<Table>> = cells
            .par_iter()
            .map(|cell| {
                if !progress("reading cells", done.load(Ordering::Relaxed), cells.len()) {
                    return Err(Error::Stopped);
                }
                let table = self.keep(read_parts(&fetch(&self.path_of(*cell))?, &columns, false)?, part)?;
                done.fetch_add(1, Ordering::Relaxed);
                Ok(table)
            })
            .collect();
        let mut out = Table::default();
        for table in tables {
            out.append(&table?)?;
        }
        if out.columns().is_empty() {
            // Nothing there, and still a table of these columns.
            out = self.columns(fetch)?;
            if !part.columns.is_empty() {
                out = out.select(&part.columns)?;
            }
        }
        self.describe(&mut out);
        Ok(out)
    }

    /// The columns that have to be read for a part: the positions too, to filter by; all when empty.
    pub fn columns_for(&self, part: &Part) -> Vec<String> {
        let mut columns = part.columns.clone();
        if !columns.is_empty() && part.cone.is_some() {
            columns.extend(self.position.iter().filter(|c| !part.columns.contains(c)).cloned());
        }
        columns
    }

    /// Of rows that were read with [`Catalogue::columns_for`], those within the cone, with the columns that were asked for.
    ///
    /// # Errors
    /// [`Error::NoColumn`] where the positions are missing.
    pub fn keep(&self, mut table: Table, part: &Part) -> Result<Table> {
        if let Some(cone) = &part.cone {
            let (ra, dec) = (table.f64s(&self.position[0])?, table.f64s(&self.position[1])?);
            let rows = crate::RowSet::from_fn(table.rows(), |r| cone.contains(ra[r], dec[r]));
            if rows.count() < table.rows() {
                table = table.take(&rows)?;
            }
        }
        if !part.columns.is_empty() && table.columns().len() > part.columns.len() {
            table = table.select(&part.columns)?;
        }
        self.describe(&mut table);
        Ok(table)
    }

    /// The column of HEALPix numbers and the ranges of them that a cone meets within a cell, to pass over groups of rows; `None`
    /// where that would leave rows out (a margin's rows lie outside their cell).
    pub fn index_for(&self, cell: Cell, cone: &Cone) -> Option<(String, Vec<[u64; 2]>)> {
        let said = |key: &str| self.properties.get(key).filter(|v| !v.is_empty());
        let order = said("hats_col_healpix_order").map_or(Some(crate::healpix::MAX_ORDER), |v| v.parse().ok())?;
        let fits = self.kind != "margin" && cell.order <= order && order <= crate::healpix::MAX_ORDER;
        let column = said("hats_col_healpix").cloned().unwrap_or_else(|| "_healpix_29".into());
        fits.then(|| (column, cone.ranges(cell, order)))
    }

    fn describe(&self, table: &mut Table) {
        table.name.clone_from(&self.name);
        let position = self.position.clone();
        for (name, ucd) in position.iter().zip(["pos.eq.ra;meta.main", "pos.eq.dec;meta.main"]) {
            if let Some(meta) = table.column_index(name).and_then(|i| table.column_meta_mut(i)) {
                meta.ucd.get_or_insert_with(|| ucd.into());
                meta.unit.get_or_insert_with(|| "deg".into());
            }
        }
    }

    /// An index is not divided by cells.
    fn read_index(&self, part: &Part, fetch: Fetch) -> Result<Table> {
        if part.cone.is_some() {
            return Err(Error::format(&self.location, "is an index: it has no positions; ask its catalogue for a cone"));
        }
        let mut table = read_parts(&fetch(&joined(&self.dataset, "index"))?, &part.columns, false)?;
        self.describe(&mut table);
        Ok(table)
    }
}

/// One Parquet file, or a folder of them.
fn read_parts(path: &Path, columns: &[String], footer: bool) -> Result<Table> {
    if !path.is_dir() {
        return crate::parquet::read_parquet_file(path, columns, footer);
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(path)
        .map_err(|e| Error::io(path, e))?
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "parquet"))
        .collect();
    files.sort();
    let mut out = Table::default();
    for file in files.iter().take(if footer { 1 } else { usize::MAX }) {
        out.append(&crate::parquet::read_parquet_file(file, columns, footer)?)?;
    }
    Ok(out)
}

/// `partition_info.csv`.
fn cells_of(file: &Path) -> Result<Vec<Cell>> {
    let what = file.display().to_string();
    let text = text(file)?;
    let mut lines = text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
    let header: Vec<String> = lines.next().unwrap_or_default().split(',').map(|h| h.trim().to_ascii_lowercase()).collect();
    let column = |name: &str| {
        let at = header.iter().position(|h| h == name);
        at.ok_or_else(|| Error::format(&what, format!("has no column {name}; it should list the cells as Norder,Npix")))
    };
    let (order_at, pixel_at) = (column("norder")?, column("npix")?);
    let mut cells = Vec::new();
    for (n, line) in lines.enumerate() {
        let words: Vec<&str> = line.split(',').map(str::trim).collect();
        let order = words.get(order_at).and_then(|w| w.parse::<u8>().ok()).filter(|o| *o <= crate::healpix::MAX_ORDER);
        let pixel = words.get(pixel_at).and_then(|w| w.parse::<u64>().ok());
        match order.zip(pixel).filter(|(o, p)| *p < 12u64 << (2 * o)) {
            Some((order, pixel)) => cells.push(Cell { order, pixel }),
            None => return Err(Error::format(&what, format!("line {}: '{line}' names no cell", n + 2))),
        }
    }
    Ok(cells)
}

/// The cells that folders name, where there is no list.
fn cells_in(dataset: &Path) -> Vec<Cell> {
    let names = |folder: &Path, with: &str| -> Vec<(u64, PathBuf)> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .filter_map(|e| {
                let name = e.file_name().into_string().ok()?;
                let number = name.strip_prefix(with)?.split('.').next()?.parse().ok()?;
                Some((number, e.path()))
            })
            .collect()
    };
    let mut cells = Vec::new();
    for (order, folder) in names(dataset, "Norder=") {
        let Some(order) = u8::try_from(order).ok().filter(|o| *o <= crate::healpix::MAX_ORDER) else { continue };
        for (_, folder) in names(&folder, "Dir=") {
            cells.extend(names(&folder, "Npix=").into_iter().map(|(pixel, _)| Cell { order, pixel }));
        }
    }
    cells.sort();
    cells
}
