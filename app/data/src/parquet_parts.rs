//! Parts of Parquet files: some columns of some rows, from the disk by slices, or from an address by ranges of bytes.
//!
//! A file's footer says where each column of each group of rows lies. On the disk the reader maps the file and touches those bytes
//! alone. From an address ([`read_ranges`]) the footer comes first, and then the wanted columns of the wanted groups, into a
//! temporary file of the full length whose other bytes are holes: so the same reader reads both, and nothing else is fetched. A group
//! is passed over when its statistics of an index column say that it holds nothing of what is wanted.
//!
//! Choice not taken: a reader of pages of our own, which could pass over pages within a group: groups of partitioned catalogues are
//! small. Cost: two requests for a small file (its last bytes, and its columns where they lie elsewhere).
//!
//! Apache Parquet format 2.10: the last eight bytes are the footer's length and `PAR1`.

use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use polars::io::parquet::metadata::FileMetadataRef;
use polars::prelude::*;

use crate::table::Table;
use crate::{Error, Result};

/// Last bytes of a file that are asked for first: the footer of most files lies within.
pub const TAIL_BYTES: u64 = 64 << 10;
/// Bytes between two wanted ranges that are fetched rather than asked for twice.
const GAP_BYTES: u64 = 16 << 10;
/// Rows that are handed on at once.
pub(crate) const CHUNK_ROWS: usize = 131_072;
/// A length beyond this is no file's.
const LONGEST: u64 = 1 << 44;

/// A Parquet file on the disk, of which parts are read; no row is held.
#[derive(Clone, Debug)]
pub struct ParquetFile {
    what: String,
    path: PathBuf,
    metadata: FileMetadataRef,
    content: Option<String>,
    names: Vec<String>,
    /// Groups and columns whose pages were looked at ([`crate::parquet_pages`]).
    sound: std::sync::Arc<std::sync::Mutex<std::collections::HashSet<(usize, String)>>>,
}

impl ParquetFile {
    /// Reads the footer.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] when there is none.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_as(&path.display().to_string(), path)
    }

    fn open_as(what: &str, path: &Path) -> Result<Self> {
        let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
        crate::arrow_types::guarded(what, "a Parquet", || {
            let mut reader = ParquetReader::new(file);
            let metadata = reader.get_metadata().map_err(|e| broken(what, &e))?.clone();
            let pairs = metadata.key_value_metadata();
            let content = pairs.as_ref().and_then(|p| p.iter().find(|kv| kv.key == crate::parquet::CONTENT_KEY)?.value.clone());
            let schema = reader.schema().map_err(|e| broken(what, &e))?;
            crate::parquet_pages::check_widths(what, &schema, &metadata)?;
            let names = schema.iter_names().map(|n| n.to_string()).collect();
            Ok(Self { what: what.to_owned(), path: path.to_owned(), metadata, content, names, sound: Default::default() })
        })
    }

    /// Rows of the file.
    pub fn rows(&self) -> usize {
        self.metadata.num_rows
    }
    /// Bytes of all columns when they are unpacked, as the footer says.
    pub fn unpacked_bytes(&self) -> u64 {
        self.metadata.row_groups.iter().map(|g| g.total_byte_size() as u64).fold(0, u64::saturating_add)
    }
    /// First row and number of rows of each group.
    pub fn groups(&self) -> Vec<(usize, usize)> {
        let mut first = 0usize;
        let one = |n: usize| {
            let at = first;
            first = first.saturating_add(n);
            (at, n)
        };
        self.metadata.row_groups.iter().map(|g| g.num_rows()).map(one).collect()
    }

    /// The columns of the file in which `columns` lie: a field of a struct, `name.field`, lies in that of the struct.
    ///
    /// # Errors
    /// [`Error::NoColumn`].
    fn roots(&self, columns: &[String]) -> Result<Vec<String>> {
        let mut roots: Vec<String> = Vec::with_capacity(columns.len());
        for column in columns {
            let holds = |name: &&String| column.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'));
            let Some(root) = self.names.iter().find(|n| *n == column).or_else(|| self.names.iter().find(holds)) else {
                let have = self.names.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
                return Err(Error::NoColumn { name: column.clone(), have });
            };
            if !roots.contains(root) {
                roots.push(root.clone());
            }
        }
        Ok(roots)
    }

    /// `rows` rows from `first`, of which only `columns` (all when empty), in this order.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NoColumn`], [`Error::Format`].
    pub fn read(&self, columns: &[String], first: usize, rows: usize) -> Result<Table> {
        let roots = self.roots(columns)?;
        let file = std::fs::File::open(&self.path).map_err(|e| Error::io(&self.path, e))?;
        let table = crate::arrow_types::guarded(&self.what, "a Parquet", || {
            let mut reader = ParquetReader::new(file);
            reader.set_metadata(self.metadata.clone());
            let rows = rows.min(self.rows().saturating_sub(first));
            self.check(&roots, first, rows)?;
            reader = reader.with_slice(Some((first, rows)));
            if !roots.is_empty() {
                reader = reader.with_columns(Some(roots));
            }
            let frame = reader.set_rechunk(true).finish().map_err(|e| broken(&self.what, &e))?;
            crate::parquet::described(&self.what, frame, self.content.as_deref())
        })?;
        // Columns come in the order of the file.
        if columns.is_empty() {
            return Ok(table);
        }
        // A struct by its name alone is all its fields.
        let fields = |c: &String| -> Vec<String> {
            if table.column_index(c).is_some() {
                return vec![c.clone()];
            }
            let within = |n: &&String| n.strip_prefix(c.as_str()).is_some_and(|rest| rest.starts_with('.'));
            let found: Vec<String> = table.columns().iter().map(|m| &m.name).filter(within).cloned().collect();
            if found.is_empty() { vec![c.clone()] } else { found }
        };
        table.select(&columns.iter().flat_map(fields).collect::<Vec<_>>())
    }

    /// Looks at the pages of some rows that were not looked at before.
    fn check(&self, roots: &[String], first: usize, rows: usize) -> Result<()> {
        let mut file = std::fs::File::open(&self.path).map_err(|e| Error::io(&self.path, e))?;
        for (group, (at, count)) in self.groups().into_iter().enumerate() {
            if rows == 0 || at >= first.saturating_add(rows) || at.saturating_add(count) <= first {
                continue;
            }
            let mut sound = self.sound.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let wanted =
                |name: &str| (roots.is_empty() || roots.iter().any(|r| r == name)) && !sound.contains(&(group, name.to_owned()));
            crate::parquet_pages::check(&self.what, &mut file, &self.metadata, group, &wanted)?;
            let names = if roots.is_empty() { &self.names } else { roots };
            sound.extend(names.iter().map(|n| (group, n.clone())));
        }
        Ok(())
    }

    /// Where the columns of a group lie, from the first to the last, near ones together.
    fn ranges(&self, group: usize, columns: &[String]) -> Vec<Range<u64>> {
        let Some(group) = self.metadata.row_groups.get(group) else { return Vec::new() };
        let root = |c: &str| columns.is_empty() || columns.iter().any(|n| n == c);
        let chunks = group.parquet_columns().iter();
        let wanted = chunks.filter(|c| c.descriptor().path_in_schema.first().is_some_and(|n| root(n.as_str())));
        let mut ranges: Vec<Range<u64>> = wanted.map(|c| c.byte_range()).filter(|r| r.start < r.end).collect();
        ranges.sort_by_key(|r| r.start);
        let mut out: Vec<Range<u64>> = Vec::new();
        for range in ranges {
            match out.last_mut() {
                Some(last) if range.start <= last.end.saturating_add(GAP_BYTES) => last.end = last.end.max(range.end),
                _ => out.push(range),
            }
        }
        out
    }

    /// Least and greatest value of an integer column in a group, where the footer says them.
    fn bounds(&self, group: usize, column: &str) -> Option<[i64; 2]> {
        let group = self.metadata.row_groups.get(group)?;
        let chunk = group.parquet_columns().iter().find(|c| {
            let path = &c.descriptor().path_in_schema;
            path.len() == 1 && path[0].as_str() == column
        })?;
        let statistics = chunk.statistics(&self.metadata.footer_buf)?.ok()?;
        let ints = statistics.as_int64()?;
        Some([ints.min_value?, ints.max_value?])
    }
}

fn broken(what: &str, e: &PolarsError) -> Error {
    Error::format(what, format!("is a Parquet file that cannot be read: {e}; it may be incomplete: fetch it again"))
}

/// What of a Parquet file at an address is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Columns; all when empty.
    pub columns: Vec<String>,
    /// An integer column, and the ranges of its values, both ends included, outside of which no row is wanted.
    pub index: Option<(String, Vec<[u64; 2]>)>,
}

/// Read parts of a Parquet file of `len` bytes whose bytes `get` gives; `tail` are its last bytes ([`TAIL_BYTES`], or all of a
/// shorter file). Rows go to `on` in order, a bounded number at once; reading ends when it says `false`.
///
/// # Errors
/// [`Error::Format`] when it is no Parquet file, [`Error::NoColumn`], what `get` and `on` say.
pub fn read_ranges(
    what: &str,
    len: u64,
    tail: &[u8],
    wanted: &Wanted,
    get: &mut dyn FnMut(Range<u64>) -> Result<Vec<u8>>,
    on: &mut dyn FnMut(Table) -> Result<bool>,
) -> Result<()> {
    let none = || Error::format(what, "is no Parquet file: its end is not that of one; it may be incomplete: fetch it again");
    if len > LONGEST || tail.len() < 12 || !tail.ends_with(b"PAR1") {
        return Err(none());
    }
    let size: [u8; 4] = tail[tail.len() - 8..tail.len() - 4].try_into().map_err(|_| none())?;
    let footer = u64::from(u32::from_le_bytes(size)) + 8;
    if footer > len {
        return Err(none());
    }
    let mut file = tempfile::NamedTempFile::new().map_err(|e| Error::io(std::env::temp_dir(), e))?;
    let path = file.path().to_owned();
    let fail = |e: std::io::Error| Error::io(&path, e);
    file.as_file().set_len(len).map_err(fail)?;
    let mut put = |at: u64, bytes: &[u8]| -> Result<()> {
        file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(bytes)).map_err(fail)
    };
    let have = len - tail.len() as u64;
    put(have, tail)?;
    if footer > tail.len() as u64 {
        let start = len - footer;
        put(start, &fetched(what, start..have, get)?)?;
    }
    let parquet = ParquetFile::open_as(what, &path)?;
    let roots = parquet.roots(&wanted.columns)?;
    for (group, (first, rows)) in parquet.groups().into_iter().enumerate() {
        let bounds = wanted.index.as_ref().and_then(|(column, ranges)| Some((parquet.bounds(group, column)?, ranges)));
        if let Some(([least, most], ranges)) = bounds
            && least >= 0
            && !ranges.iter().any(|r| r[0] <= most as u64 && least as u64 <= r[1])
        {
            continue;
        }
        for range in parquet.ranges(group, &roots) {
            if range.end > len {
                return Err(none());
            }
            // What the tail holds is here already.
            if range.start < have {
                let range = range.start..range.end.min(have);
                put(range.start, &fetched(what, range, get)?)?;
            }
        }
        for at in (0..rows).step_by(CHUNK_ROWS) {
            if !on(parquet.read(&wanted.columns, first + at, CHUNK_ROWS.min(rows - at))?)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn fetched(what: &str, range: Range<u64>, get: &mut dyn FnMut(Range<u64>) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let bytes = get(range.clone())?;
    if bytes.len() as u64 != range.end - range.start {
        let why = format!("{} bytes were asked for and {} came; try again", range.end - range.start, bytes.len());
        return Err(Error::format(what, why));
    }
    Ok(bytes)
}
