//! Tables larger than memory: opened without their rows, which are then read by chunks, only some columns of them, and only those
//! for which a predicate is true.
//!
//! Parquet is read by slices of its groups of rows and the wanted columns alone; a FITS binary table by runs of its rows, each decoded
//! as a small file of its own by the one reader there is. Memory is that of a chunk ([`CHUNK_BYTES`], or a group of rows) beside the
//! rows that were kept. Separated text and VOTables are read from their beginning by pieces ([`crate::scan_text`]). Not scanned, and
//! read whole as every file is: ECSV, compressed files, and FITS tables with variable arrays (their cells lie elsewhere in the file).
//!
//! Choice not taken: polars' lazy frames, which know Parquet alone and another language of predicates than the person typed.
//! Cost: that of reading the columns; 10 M rows of 3 columns about a second.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fits::Kind;
use crate::parquet_parts::{CHUNK_ROWS, ParquetFile};
use crate::scan_text::TextRows;
use crate::table::Table;
use crate::{Error, Expr, Result};

/// Told what is done, how much of how much; ends the work with `false`.
pub type Progress<'a> = &'a dyn Fn(&'static str, usize, usize) -> bool;

/// Bytes of a FITS table that are read at once.
pub const CHUNK_BYTES: usize = 8 << 20;

/// A table in a file, opened without its rows.
#[derive(Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Its columns, with no rows.
    pub columns: Table,
    /// Rows of the file.
    pub rows: u64,
    /// Bytes of all rows in memory, about.
    pub bytes: u64,
    /// The number of rows is an estimate, since the file does not say it.
    pub about: bool,
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    Parquet(ParquetFile),
    Fits(FitsRows),
    Text(TextRows),
}

/// Where the rows of a FITS table lie.
#[derive(Debug)]
struct FitsRows {
    /// Header units of the primary and of the table.
    primary: Vec<u8>,
    header: Vec<u8>,
    start: u64,
    width: usize,
}

/// What is wanted of a table; by default all of it.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only these columns, in this order; all when empty.
    pub columns: Vec<String>,
    /// Only rows for which this is true.
    pub filter: Option<Expr>,
    /// At most so many rows, the first ones.
    pub max_rows: Option<usize>,
}

/// What a scan came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Rows that were handed on.
    pub rows: usize,
    /// There are more than `max_rows`.
    pub truncated: bool,
}

/// Bytes of memory that this machine has; 8 GB where the system does not say.
pub fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let kb = line.and_then(|l| l.split_whitespace().next()).and_then(|kb| kb.parse::<u64>().ok());
    kb.map_or(8_000_000_000, |kb| kb * 1024)
}

/// Tables of more bytes than this are asked about before they are read whole: a quarter of the machine's memory, since a table is held
/// once while it is read and once when it is shown, beside its maps.
pub fn default_limit() -> u64 {
    memory_bytes() / 4
}

static LIMIT: AtomicU64 = AtomicU64::new(0);

/// Bytes of a table that are held in memory at most without asking.
pub fn limit() -> u64 {
    match LIMIT.load(Ordering::Relaxed) {
        0 => default_limit(),
        n => n,
    }
}

/// Another limit for the whole program from now on; 0 for [`default_limit`].
pub fn set_limit(bytes: u64) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// That a part of a file is larger than the limit.
pub fn too_large(source: &Source, limit: u64) -> Error {
    let gb = |b: u64| b as f64 / 1e9;
    let why = format!(
        "these rows and columns take more than {:.1} GB of memory ({:.1} GB are in the file); choose fewer columns or rows, or raise the \
         limit in the settings",
        gb(limit),
        gb(source.bytes)
    );
    Error::format(source.path.display().to_string(), why)
}

impl Source {
    /// Opens a file that can be scanned; `None` for every other one.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a Parquet file without its footer.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        if path.is_dir() {
            return Ok(None);
        }
        let (whole, which) = crate::read::Which::split(path);
        let path = whole.as_path();
        let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
        let mut head = [0u8; 9];
        if file.read_exact(&mut head).is_err() {
            return Ok(None);
        }
        if head.starts_with(b"PAR1") {
            let parquet = ParquetFile::open(path)?;
            let mut columns = parquet.read(&[], 0, 0)?;
            if columns.name.is_empty() {
                columns.name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            }
            let (rows, bytes) = (parquet.rows() as u64, parquet.unpacked_bytes());
            return Ok(Some(Self { path: path.into(), columns, rows, bytes, about: false, rest: Rest::Parquet(parquet) }));
        }
        if head.starts_with(b"SIMPLE  =") {
            return Self::open_fits(path, &mut file, which.as_ref());
        }
        let Some(text) = TextRows::open(path, &mut file)? else { return Ok(None) };
        let (rows, bytes, about) = (text.rows, text.bytes, text.about);
        Ok(Some(Self { path: path.into(), columns: text.columns, rows, bytes, about, rest: Rest::Text(text.rest) }))
    }

    /// As [`Source::open`], for a table whose rows take more than `limit` bytes. Separated text and VOTables, which have no index of
    /// their rows, are read whole where the program's own [`limit`] allows it: that takes one pass and puts up with more.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn larger_than(path: &Path, limit: u64) -> Result<Option<Self>> {
        // A packed file may be far smaller than its rows, but not a hundredfold in practice.
        if std::fs::metadata(crate::read::Which::split(path).0).map_or(0, |m| m.len()) < limit / 100 {
            return Ok(None);
        }
        let found = Self::open(path)?;
        Ok(found.filter(|s| s.bytes > if matches!(s.rest, Rest::Text(_)) { limit.max(self::limit()) } else { limit }))
    }

    fn open_fits(path: &Path, file: &mut File, which: Option<&crate::read::Which>) -> Result<Option<Self>> {
        let len = file.metadata().map_err(|e| Error::io(path, e))?.len();
        let Some(places) = crate::image_rows::units(file, len, usize::MAX) else { return Ok(None) };
        let rows_of = |p: &crate::image_rows::Place| match p.hdu.axes()[..] {
            [width, rows] => width as u64 * rows as u64,
            _ => 0,
        };
        let tables: Vec<_> =
            places.iter().filter(|p| matches!(p.hdu.kind(), Kind::Table | Kind::AsciiTable) && !p.hdu.is_compressed()).collect();
        let place = match which {
            // What cannot be read by parts is read whole, and so is what is not there.
            Some(which) => which.among(tables.iter().map(|p| p.hdu.name())).map(|at| tables[at]),
            None => tables.iter().copied().filter(|p| p.hdu.kind() == Kind::Table).max_by_key(|p| rows_of(p)),
        };
        let Some(place) = place.filter(|p| p.hdu.kind() == Kind::Table) else { return Ok(None) };
        let header = &place.hdu.header;
        let fields = header.int("TFIELDS").unwrap_or(0).clamp(0, 999);
        let elsewhere = (1..=fields).any(|i| header.text(&format!("TFORM{i}")).is_none_or(|f| f.contains(['P', 'Q'])));
        let [width, rows] = place.hdu.axes()[..] else { return Ok(None) };
        if width == 0 || elsewhere || header.is_true("ZTABLE") {
            return Ok(None);
        }
        let mut part = |from: u64, to: u64| -> Result<Vec<u8>> {
            let mut bytes = vec![0; (to - from) as usize];
            file.seek(SeekFrom::Start(from)).and_then(|_| file.read_exact(&mut bytes)).map_err(|e| Error::io(path, e))?;
            Ok(bytes)
        };
        let first = &places[0];
        let primary = match first.hdu.kind() {
            Kind::Empty => part(first.whole.start, first.data)?,
            _ => crate::image_rows::primary(),
        };
        let rest = FitsRows { primary, header: part(place.whole.start, place.data)?, start: place.data, width };
        let columns = rest.table(path, &[], 0)?;
        Ok(Some(Self {
            path: path.into(),
            columns,
            rows: rows as u64,
            bytes: rows_of(place),
            about: false,
            rest: Rest::Fits(rest),
        }))
    }

    /// The file's own spelling of columns.
    fn named(&self, names: &[String]) -> Result<Vec<String>> {
        names
            .iter()
            .map(|n| match self.columns.column_index(n) {
                Some(i) => Ok(self.columns.columns()[i].name.clone()),
                None => self.columns.column(n).map(|_| n.clone()),
            })
            .collect()
    }

    /// Every chunk of `columns` (all when empty); ends when `on` says `false`.
    fn chunks(&self, columns: &[String], progress: Progress, on: &mut dyn FnMut(Table) -> Result<bool>) -> Result<()> {
        let total = self.rows as usize;
        let tell = |done: usize| if progress("rows", done, total) { Ok(()) } else { Err(Error::Stopped) };
        match &self.rest {
            Rest::Text(text) => return text.chunks(&self.path, columns, total, progress, on),
            Rest::Parquet(parquet) => {
                for (first, rows) in parquet.groups() {
                    for at in (0..rows).step_by(CHUNK_ROWS) {
                        tell(first + at)?;
                        if !on(parquet.read(columns, first + at, CHUNK_ROWS.min(rows - at))?)? {
                            return Ok(());
                        }
                    }
                }
            }
            Rest::Fits(fits) => {
                let mut file = File::open(&self.path).map_err(|e| Error::io(&self.path, e))?;
                let step = (CHUNK_BYTES / fits.width).max(1);
                let mut bytes = Vec::new();
                for at in (0..total).step_by(step) {
                    tell(at)?;
                    let rows = step.min(total - at);
                    bytes.resize(rows * fits.width, 0);
                    let start = fits.start + at as u64 * fits.width as u64;
                    file.seek(SeekFrom::Start(start))
                        .and_then(|_| file.read_exact(&mut bytes))
                        .map_err(|e| Error::io(&self.path, e))?;
                    let table = fits.table(&self.path, &bytes, rows)?;
                    if !on(if columns.is_empty() { table } else { table.select(columns)? })? {
                        return Ok(());
                    }
                }
            }
        }
        tell(total)
    }

    /// How many rows a predicate keeps; reads its columns alone.
    ///
    /// # Errors
    /// As [`Source::scan`].
    pub fn count(&self, filter: Option<&Expr>, progress: Progress) -> Result<u64> {
        let Some(filter) = filter else { return Ok(self.rows) };
        let columns = self.named(&filter.columns())?;
        let mut count = 0u64;
        self.chunks(&columns, progress, &mut |table| {
            count += filter.rows(&table)?.count() as u64;
            Ok(true)
        })?;
        Ok(count)
    }

    /// Reads, and hands rows on as they come.
    ///
    /// # Errors
    /// [`Error::NoColumn`], [`Error::Expr`] for a predicate that does not fit the columns, [`Error::Stopped`], what the file and `on`
    /// say.
    pub fn scan(&self, query: &Query, progress: Progress, on: &mut dyn FnMut(Table) -> Result<()>) -> Result<Found> {
        let wanted = self.named(&query.columns)?;
        let mut columns = wanted.clone();
        if let Some(filter) = query.filter.as_ref().filter(|_| !columns.is_empty()) {
            columns.extend(self.named(&filter.columns())?.into_iter().filter(|c| !wanted.contains(c)));
            // A name twice in a predicate is one column.
            let mut seen = std::collections::HashSet::new();
            columns.retain(|c| seen.insert(c.clone()));
        }
        let mut found = Found::default();
        let limit = query.max_rows.unwrap_or(usize::MAX);
        self.chunks(&columns, progress, &mut |mut table| {
            if let Some(filter) = &query.filter {
                let rows = filter.rows(&table)?;
                if rows.count() < table.rows() {
                    table = table.take(&rows)?;
                }
            }
            if columns.len() > wanted.len() {
                table = table.select(&wanted)?;
            }
            let room = limit - found.rows;
            let enough = table.rows() > room;
            if enough {
                found.truncated = true;
                table = table.take(&crate::RowSet::from_rows(table.rows(), 0..room))?;
            }
            table.name.clone_from(&self.columns.name);
            found.rows += table.rows();
            found.truncated |= table.truncated;
            if table.rows() > 0 || !table.warnings.is_empty() {
                on(table)?;
            }
            Ok(!enough)
        })?;
        if found.rows == 0 {
            // Nothing there, and still a table of these columns.
            on(if wanted.is_empty() { self.columns.clone() } else { self.columns.select(&wanted)? })?;
        }
        Ok(found)
    }

    /// As [`Source::scan`], into one table, which may take `limit` bytes at most (about).
    ///
    /// # Errors
    /// As [`Source::scan`], and [`Error::Format`] beyond the limit.
    pub fn collect(&self, query: &Query, limit: u64, progress: Progress) -> Result<(Table, Found)> {
        let mut chunks: Vec<Table> = Vec::new();
        let mut bytes = 0u64;
        let found = self.scan(query, progress, &mut |table| {
            bytes += table.frame_bytes();
            if bytes > limit {
                return Err(too_large(self, limit));
            }
            chunks.push(table);
            Ok(())
        })?;
        let mut table = Table::stacked(chunks)?;
        table.truncated |= found.truncated;
        Ok((table, found))
    }
}

impl FitsRows {
    /// The table of `rows` rows whose bytes these are.
    fn table(&self, path: &Path, bytes: &[u8], rows: usize) -> Result<Table> {
        let mut file = Vec::with_capacity(self.primary.len() + self.header.len() + bytes.len() + 2880);
        file.extend_from_slice(&self.primary);
        let card = |key: &str, value: usize| format!("{:80}", format!("{key:8}= {value:>20}")).into_bytes();
        for old in self.header.chunks(80) {
            match old {
                _ if old.starts_with(b"NAXIS2  =") => file.extend(card("NAXIS2", rows)),
                _ if old.starts_with(b"PCOUNT  =") => file.extend(card("PCOUNT", 0)),
                _ => file.extend_from_slice(old),
            }
        }
        file.extend_from_slice(bytes);
        file.resize(file.len().next_multiple_of(2880), 0);
        let name = path.display().to_string();
        let mut table = crate::fits_table::table_of_extension(&name, &file, Some(1))?;
        if table.name.is_empty() {
            table.name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        }
        Ok(table)
    }
}
