//! Tables larger than memory in files that know no row but by reading all before it: plain separated text ([`crate::csv_pieces`]) and
//! VOTable (TABLEDATA, BINARY2, BINARY; of several tables the first).
//!
//! Opening reads the first rows alone, so how many there are is an estimate, unless the document says it. The types of separated text
//! are those of all its rows, so the first scan reads the file twice: once for the types, which are kept, once for the rows. Text that
//! is not plain enough for pieces is said to be so and cannot be scanned.
//!
//! Choice not taken: types of the first rows, which a later one would make an error of.
//! Cost: that of reading the file by one pass (twice at first for separated text), in the memory of a few pieces.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::OnceLock;

use crate::csv_pieces::{Head, PIECE, Pieces, Unfit, at_once};
use crate::scan::{CHUNK_BYTES, Progress};
use crate::sniff::{Format, sniff};
use crate::table::Table;
use crate::{Error, Result};

/// Bytes of text that are read to know what the rows are.
const FIRST: usize = 1 << 20;
/// Rows of a VOTable that are read for the same.
const FIRST_ROWS: usize = 4000;

/// A file without an index of its rows.
#[derive(Debug)]
pub(crate) enum TextRows {
    Separated {
        head: Head,
        /// What the cells of each column look like, once all of them have been seen.
        kinds: OnceLock<Vec<u8>>,
    },
    Votable {
        /// Rows that are read at once.
        batch: usize,
    },
}

/// What opening found.
pub(crate) struct Opened {
    pub rest: TextRows,
    /// The columns, without rows.
    pub columns: Table,
    pub rows: u64,
    /// Bytes of all rows in memory.
    pub bytes: u64,
    /// The two are estimates.
    pub about: bool,
}

/// The same columns with no rows, and the bytes of a row.
fn without_rows(table: &Table, path: &Path) -> Result<(Table, f64)> {
    let mut columns = table.take(&crate::RowSet::empty(table.rows()))?;
    columns.params.clone_from(&table.params);
    if columns.name.is_empty() {
        columns.name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    }
    Ok((columns, table.frame_bytes() as f64 / table.rows().max(1) as f64))
}

fn unfit(path: &Path) -> Error {
    Error::format(
        path.display().to_string(),
        "is not plain separated text (quotes inside cells, lines that do not fit the header, integers of more than 64 bits or bytes that \
         are not UTF-8), and is too large to be read as a whole; write it as Parquet or FITS with the program it came from",
    )
}

impl TextRows {
    /// Opens separated text and VOTables; none for every other file, and for those that can only be read whole.
    pub(crate) fn open(path: &Path, file: &mut File) -> Result<Option<Opened>> {
        let mut first = Vec::new();
        file.rewind().and_then(|()| file.by_ref().take(FIRST as u64).read_to_end(&mut first)).map_err(|e| Error::io(path, e))?;
        if crate::sniff::is_packed(&first) {
            return Ok(None);
        }
        let len = file.metadata().map_err(|e| Error::io(path, e))?.len();
        match sniff(&path.display().to_string(), &first) {
            Ok(Format::Csv) => Self::open_separated(path, file, len, None),
            Ok(Format::Tsv) => Self::open_separated(path, file, len, Some(b'\t')),
            Ok(Format::Votable) => Self::open_votable(path, file, len, &first),
            _ => Ok(None),
        }
    }

    fn open_separated(path: &Path, file: &mut File, len: u64, separator: Option<u8>) -> Result<Option<Opened>> {
        let Some(head) = crate::csv::head_of(file, separator) else { return Ok(None) };
        let start = head.body() as u64;
        file.seek(SeekFrom::Start(start)).map_err(|e| Error::io(path, e))?;
        let mut bits = vec![0; head.columns()];
        let first = || -> std::result::Result<_, Unfit> {
            let Some(piece) = Pieces::new(&head, file, FIRST).next()? else { return Ok(None) };
            head.looks(std::slice::from_ref(&piece), &mut bits)?;
            Ok(Some((head.read(&piece, &bits)?, head.lines(&piece))))
        };
        let Ok(Some((frame, bytes))) = first() else { return Ok(None) };
        let (columns, row) = without_rows(&crate::csv::finished(frame.clone(), Vec::new())?, path)?;
        let about = (bytes as u64) < len - start;
        let rows = frame.height() as f64 * (len - start) as f64 / bytes.max(1) as f64;
        let rows = if about { rows as u64 } else { frame.height() as u64 };
        let rest = Self::Separated { head, kinds: OnceLock::new() };
        Ok(Some(Opened { rest, columns, rows, bytes: (rows as f64 * row) as u64, about }))
    }

    fn open_votable(path: &Path, file: &mut File, len: u64, first: &[u8]) -> Result<Option<Opened>> {
        let text = String::from_utf8_lossy(first);
        // A file inside the document, or beside it, is read by other means.
        let Some(data) = ["<TABLEDATA", ":TABLEDATA", "<BINARY", ":BINARY"].iter().filter_map(|t| text.find(t)).min() else {
            return Ok(None);
        };
        let behind: String = text[data..].chars().take(2000).collect();
        if behind.split_once("STREAM").and_then(|(_, s)| s.split_once('>')).is_some_and(|(s, _)| s.contains("href")) {
            return Ok(None);
        }
        let said = text[..data].rsplit_once("nrows=").and_then(|(_, v)| {
            let digits: String = v.chars().skip(1).take_while(char::is_ascii_digit).collect();
            digits.parse::<u64>().ok()
        });
        file.rewind().map_err(|e| Error::io(path, e))?;
        let mut taken = Counted { inner: &mut *file, bytes: 0 };
        let mut found = None;
        let name = path.display().to_string();
        let end =
            crate::votable::read_votable_batches(BufReader::with_capacity(16 << 10, &mut taken), &name, FIRST_ROWS, &mut |t| {
                found = Some(t);
                ControlFlow::Break(())
            });
        let Some(table) = found.filter(|t| end.is_ok() && t.rows() > 0) else { return Ok(None) };
        let (columns, row) = without_rows(&table, path)?;
        let part = taken.bytes.saturating_sub(data as u64).max(1) as f64;
        let estimate = (table.rows() as f64 * len.saturating_sub(data as u64) as f64 / part) as u64;
        let whole = table.rows() < FIRST_ROWS;
        let rows = if whole { table.rows() as u64 } else { said.unwrap_or(estimate) };
        let batch = ((CHUNK_BYTES as f64 / row.max(1.0)) as usize).clamp(1000, 1 << 18);
        let rest = Self::Votable { batch };
        Ok(Some(Opened { rest, columns, rows, bytes: (rows as f64 * row) as u64, about: !whole && said.is_none() }))
    }

    /// Every chunk of `columns` (all when empty); ends when `on` says `false`. `rows` is what progress is told in.
    pub(crate) fn chunks(
        &self,
        path: &Path,
        columns: &[String],
        rows: usize,
        progress: Progress,
        on: &mut dyn FnMut(Table) -> Result<bool>,
    ) -> Result<()> {
        let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
        let len = file.metadata().map_err(|e| Error::io(path, e))?.len();
        let chosen = |table: Table| if columns.is_empty() { Ok(table) } else { table.select(columns) };
        match self {
            Self::Separated { head, kinds } => {
                let start = SeekFrom::Start(head.body() as u64);
                let kinds = match kinds.get() {
                    Some(kinds) => kinds,
                    None => {
                        file.seek(start).map_err(|e| Error::io(path, e))?;
                        let (mut bits, mut done) = (vec![0; head.columns()], 0u64);
                        let mut pieces = Pieces::new(head, &mut file, PIECE);
                        loop {
                            let some = pieces.some(at_once()).map_err(|_| unfit(path))?;
                            if some.is_empty() {
                                break;
                            }
                            if !progress("types", (done >> 10) as usize, (len >> 10) as usize) {
                                return Err(Error::Stopped);
                            }
                            head.looks(&some, &mut bits).map_err(|_| unfit(path))?;
                            done += some.iter().map(|p| p.len() as u64).sum::<u64>();
                        }
                        kinds.get_or_init(|| bits)
                    }
                };
                file.seek(start).map_err(|e| Error::io(path, e))?;
                let mut pieces = Pieces::new(head, &mut file, PIECE);
                let mut done = 0;
                while let Some(piece) = pieces.next().map_err(|_| unfit(path))? {
                    if !progress("rows", done, rows.max(done)) {
                        return Err(Error::Stopped);
                    }
                    let frame = head.read(&piece, kinds).map_err(|_| unfit(path))?;
                    drop(piece);
                    done += frame.height();
                    if !on(chosen(crate::csv::finished(frame, Vec::new())?)?)? {
                        return Ok(());
                    }
                }
                Ok(())
            }
            Self::Votable { batch } => {
                let (mut done, mut failed) = (0, None);
                // The last one waits for what is said at the end of the document.
                let mut last: Option<Table> = None;
                let mut enough = false;
                let end = crate::votable::read_votable_batches(
                    BufReader::with_capacity(1 << 20, file),
                    &path.display().to_string(),
                    *batch,
                    &mut |table| {
                        let step = || -> Result<bool> {
                            if !progress("rows", done, rows.max(done)) {
                                return Err(Error::Stopped);
                            }
                            done += table.rows();
                            match last.replace(chosen(table)?) {
                                Some(before) => on(before),
                                None => Ok(true),
                            }
                        };
                        match step() {
                            Ok(true) => return ControlFlow::Continue(()),
                            Ok(false) => enough = true,
                            Err(e) => failed = Some(e),
                        }
                        ControlFlow::Break(())
                    },
                )?;
                if let Some(e) = failed {
                    return Err(e);
                }
                if let Some(mut table) = last.filter(|_| !enough) {
                    table.truncated |= end.truncated;
                    table.warnings.extend(end.warnings);
                    on(table)?;
                }
                Ok(())
            }
        }
    }
}

/// A reader that counts.
struct Counted<'a> {
    inner: &'a mut File,
    bytes: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.bytes += n as u64;
        Ok(n)
    }
}
