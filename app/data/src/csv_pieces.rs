//! Separated text by pieces: lines of a file that is never in memory as a whole.
//!
//! A file is cut at line ends outside quotes. The types of a piece's columns are found by a scan of its cells with the rules that
//! polars has for a whole file ([`kind`]), and what a column may be is the union over the pieces, so that the types are those that
//! all rows would give. Each piece is then read by polars as a text of its own. Where a later piece widens a column: blank cells become
//! those of the new type, integers become reals, and anything else begins again from the first piece with what is known by then.
//!
//! Nothing is put up with here: whatever is not plain (odd quotes, lines that do not fit the header, bytes that are not UTF-8, integers
//! past 64 bits) is [`Unfit`], and the file is read as a whole by the careful way in [`crate::csv`].
//!
//! Choice not taken: polars' own inference a piece, which keeps every line and matches four regular expressions a cell (half of the
//! time of reading, and memory of the size of the table).
//! Cost: 1 M rows of 10 columns (159 MB) in about 0.95 s of processor time; memory of the table and of a few pieces, as the columns
//! grow in place.

use std::io::{Cursor, Read, Seek, SeekFrom};

use polars::prelude::*;
use rayon::prelude::*;

use crate::column::{Builder, Elem};
use crate::csv::parse;

/// Bytes of text in a piece.
pub(crate) const PIECE: usize = 8 << 20;
/// Lines longer than so many pieces are not waited for.
const LONGEST: usize = 8;
/// Times that a file is begun again because a column turned out to be text.
const AGAIN: usize = 8;

/// A text that is not plain enough for pieces.
#[derive(Debug)]
pub(crate) struct Unfit;

impl From<std::io::Error> for Unfit {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

impl From<PolarsError> for Unfit {
    fn from(_: PolarsError) -> Self {
        Self
    }
}

/// What cells of a column look like, as bits.
pub(crate) mod bit {
    pub(crate) const TRUTH: u8 = 1;
    pub(crate) const REAL: u8 = 2;
    pub(crate) const WHOLE: u8 = 4;
    pub(crate) const TEXT: u8 = 8;
    /// `-0`, which is another number as an integer than as a real.
    pub(crate) const MINUS_NOUGHT: u8 = 16;
    /// Digits of other scripts.
    pub(crate) const STRANGE: u8 = 32;
}

/// Words for no value.
pub(crate) const BLANKS: [&str; 5] = ["null", "NULL", "NaN", "nan", "--"];

/// What a cell looks like; 0 for one without a value.
pub(crate) fn kind(cell: &[u8]) -> u8 {
    let rest = match cell.first() {
        None => return 0,
        Some(b'-' | b'+') => &cell[1..],
        Some(b'0'..=b'9' | b'.') => cell,
        Some(_) => return word(cell),
    };
    let digits = |from: usize| rest[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(0);
    let mut at = whole;
    if at == rest.len() && whole > 0 {
        // A plus is not of an integer.
        return match cell[0] {
            b'+' => bit::TEXT,
            // `007` is a name: as a number it would lose its zeros.
            b'0' if whole >= 3 => bit::TEXT,
            b'-' if rest.iter().all(|b| *b == b'0') => bit::WHOLE | bit::MINUS_NOUGHT,
            _ => bit::WHOLE,
        };
    }
    if rest.get(at) == Some(&b'.') {
        let part = digits(at + 1);
        at += 1 + part;
        if at == rest.len() {
            return if whole + part > 0 { bit::REAL } else { bit::TEXT };
        }
        // `3.e5` is none.
        if part == 0 {
            return word(cell);
        }
    }
    if at > 0 && matches!(rest.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(rest.get(at + 1), Some(b'-' | b'+')));
        let power = digits(at);
        if power > 0 && at + power == rest.len() {
            return bit::REAL;
        }
    }
    word(cell)
}

/// As [`kind`], of what does not begin as a number.
#[cold]
fn word(cell: &[u8]) -> u8 {
    if BLANKS.iter().any(|b| b.as_bytes() == cell) {
        return 0;
    }
    if cell.eq_ignore_ascii_case(b"true") || cell.eq_ignore_ascii_case(b"false") {
        return bit::TRUTH;
    }
    if matches!(cell.strip_prefix(b"-").or(cell.strip_prefix(b"+")).unwrap_or(cell), b"inf" | b"NaN") {
        return bit::REAL;
    }
    if !cell.is_ascii() && String::from_utf8_lossy(cell).chars().any(|c| !c.is_ascii() && c.is_numeric()) {
        return bit::TEXT | bit::STRANGE;
    }
    bit::TEXT
}

/// The type of a column whose cells look so.
fn type_of(bits: u8) -> DataType {
    const KINDS: u8 = bit::TRUTH | bit::REAL | bit::WHOLE | bit::TEXT;
    match bits & KINDS {
        bit::TRUTH => DataType::Boolean,
        bit::WHOLE => DataType::Int64,
        bit::REAL => DataType::Float64,
        b if b == bit::REAL | bit::WHOLE => DataType::Float64,
        _ => DataType::String,
    }
}

/// Where the lines of a text can be cut: the end of the last one that is whole.
///
/// # Errors
/// [`Unfit`] for a quote inside a cell that is not a quoted one.
fn last_line_end(text: &[u8], separator: u8, ended: bool) -> Result<usize, Unfit> {
    let quotes = memchr::memchr_iter(b'"', text);
    let mut end = None;
    // From where cells are not quoted.
    let mut free = 0;
    let mut open: Option<usize> = None;
    let mut doubled = usize::MAX;
    for at in quotes {
        match open {
            None => {
                if at > 0 && !matches!(text[at - 1], b'\n') && text[at - 1] != separator {
                    return Err(Unfit);
                }
                if let Some(n) = memchr::memrchr(b'\n', &text[free..at]) {
                    end = Some(free + n + 1);
                }
                open = Some(at);
            }
            Some(_) if at == doubled => doubled = usize::MAX,
            Some(_) => match text.get(at + 1) {
                Some(b'"') => doubled = at + 1,
                None if !ended => break,
                Some(b'\n') | None => (open, free) = (None, at + 1),
                Some(b'\r') if matches!(text.get(at + 2), Some(b'\n') | None) => (open, free) = (None, at + 1),
                Some(s) if *s == separator => (open, free) = (None, at + 1),
                Some(_) => return Err(Unfit),
            },
        }
    }
    if open.is_none()
        && let Some(n) = memchr::memrchr(b'\n', &text[free..])
    {
        end = Some(free + n + 1);
    }
    if ended {
        return if open.is_some() { Err(Unfit) } else { Ok(text.len()) };
    }
    Ok(end.unwrap_or(0))
}

/// What the columns of a piece look like; `lines` without the header.
fn kinds(lines: &[u8], separator: u8, columns: usize) -> Vec<u8> {
    let mut bits = vec![0u8; columns];
    let mut column = 0;
    let mut at = 0;
    while at < lines.len() {
        let quoted = lines[at] == b'"';
        let mut end = at;
        if quoted {
            // To the quote that is not doubled.
            end += 1;
            while end < lines.len() {
                if lines[end] != b'"' {
                    end += 1;
                } else if lines.get(end + 1) == Some(&b'"') {
                    end += 2;
                } else {
                    break;
                }
            }
            end = (end + 1).min(lines.len());
        }
        while end < lines.len() && lines[end] != separator && lines[end] != b'\n' {
            end += 1;
        }
        let last = end == lines.len() || lines[end] == b'\n';
        let mut cell = &lines[at..end];
        if last {
            cell = cell.strip_suffix(b"\r").unwrap_or(cell);
        }
        if let Some(b) = bits.get_mut(column) {
            *b |= match cell {
                [b'"', inner @ .., b'"'] if quoted => quoted_kind(inner),
                _ => kind(cell),
            };
        }
        column = if last { 0 } else { column + 1 };
        at = end + 1;
    }
    bits
}

/// As [`kind`], of what stands between quotes.
fn quoted_kind(inner: &[u8]) -> u8 {
    // Nothing between quotes is a text of no letters.
    if inner.is_empty() { bit::TEXT } else { kind(inner) }
}

/// The head of a text: what its columns are called, where its rows begin.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) separator: u8,
    /// The header line with its end.
    pub(crate) line: Vec<u8>,
    /// Bytes before the first row.
    body: usize,
    /// As polars calls the columns.
    names: Vec<PlSmallStr>,
}

impl Head {
    /// Of the first bytes of a file, which are all of it where it has `ended`.
    pub(crate) fn of(text: &[u8], separator: Option<u8>, ended: bool) -> Result<Self, Unfit> {
        let mark = if text.starts_with(&[0xef, 0xbb, 0xbf]) { 3 } else { 0 };
        let text = &text[mark..];
        // The head is of whole lines.
        let text = if ended { text } else { &text[..memchr::memrchr(b'\n', text).ok_or(Unfit)? + 1] };
        if std::str::from_utf8(text).is_err() || text.starts_with(&[0xef, 0xbb, 0xbf]) {
            return Err(Unfit);
        }
        let start = crate::csv::start_of(text, separator);
        let (separator, line, body) = match start {
            crate::csv::Start::Blanks(_) => return Err(Unfit),
            crate::csv::Start::Named { header, body, separator } => (separator, header, body),
            crate::csv::Start::Plain { body, separator } => {
                let rest = &text[body..];
                let mut end = 0;
                let mut quoted = false;
                for b in rest {
                    end += 1;
                    match b {
                        b'"' => quoted = !quoted,
                        b'\n' if !quoted => break,
                        _ => {}
                    }
                }
                if rest.is_empty() || quoted || rest[end - 1] != b'\n' {
                    return Err(Unfit);
                }
                (separator, rest[..end].to_vec(), body + end)
            }
        };
        // Blank lines count or not, as the columns are many or one.
        if line.trim_ascii().is_empty() || last_line_end(&line, separator, true).is_err() {
            return Err(Unfit);
        }
        let empty = CsvReadOptions::default()
            .with_has_header(true)
            .with_infer_schema_length(Some(0))
            .map_parse_options(|o| o.with_separator(separator).with_quote_char(Some(b'"')))
            .into_reader_with_file_handle(Cursor::new(line.as_slice()))
            .finish()?;
        let names: Vec<PlSmallStr> = empty.columns().iter().map(|c| c.name().clone()).collect();
        if names.len() < 2 {
            return Err(Unfit);
        }
        Ok(Self { separator, line, body: mark + body, names })
    }

    /// Bytes of the file before the first row.
    pub(crate) fn body(&self) -> usize {
        self.body
    }

    /// How many columns there are.
    pub(crate) fn columns(&self) -> usize {
        self.names.len()
    }

    /// Bytes of a piece without the header.
    pub(crate) fn lines(&self, piece: &[u8]) -> usize {
        piece.len() - self.line.len()
    }

    fn schema(&self, bits: &[u8]) -> SchemaRef {
        Schema::from_iter(self.names.iter().zip(bits).map(|(n, b)| Field::new(n.clone(), type_of(*b)))).into()
    }

    /// The rows of a piece with the types that the columns have.
    pub(crate) fn read(&self, piece: &[u8], bits: &[u8]) -> Result<DataFrame, Unfit> {
        Ok(parse(piece, self.separator, false, None, Some(self.schema(bits)))?)
    }

    /// What the columns of pieces look like, by as many threads as there are.
    pub(crate) fn looks(&self, pieces: &[Vec<u8>], bits: &mut [u8]) -> Result<(), Unfit> {
        let found: Vec<Option<Vec<u8>>> = pieces
            .par_iter()
            .map(|p| std::str::from_utf8(p).is_ok().then(|| kinds(&p[self.line.len()..], self.separator, self.names.len())))
            .collect();
        for found in found {
            for (b, f) in bits.iter_mut().zip(found.ok_or(Unfit)?) {
                *b |= f;
            }
        }
        if bits.iter().any(|b| b & bit::STRANGE != 0) { Err(Unfit) } else { Ok(()) }
    }
}

/// The pieces of a file, each with the header before it.
pub(crate) struct Pieces<'a, R> {
    head: &'a Head,
    reader: R,
    size: usize,
    rest: Vec<u8>,
    ended: bool,
}

impl<'a, R: Read> Pieces<'a, R> {
    /// `reader` stands at the first row.
    pub(crate) fn new(head: &'a Head, reader: R, size: usize) -> Self {
        Self { head, reader, size, rest: Vec::new(), ended: false }
    }

    /// The next piece; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, Unfit> {
        if self.ended {
            return Ok(None);
        }
        let start = self.head.line.len();
        let mut piece = Vec::with_capacity(start + self.rest.len() + self.size);
        piece.extend_from_slice(&self.head.line);
        piece.append(&mut self.rest);
        for _ in 0..LONGEST {
            let want = self.size as u64;
            self.ended = ((&mut self.reader).take(want).read_to_end(&mut piece)? as u64) < want;
            let end = last_line_end(&piece[start..], self.head.separator, self.ended)?;
            if self.ended || end > 0 {
                self.rest = piece.split_off(start + end);
                return Ok((piece.len() > start).then_some(piece));
            }
        }
        Err(Unfit)
    }

    /// Up to so many pieces.
    pub(crate) fn some(&mut self, count: usize) -> Result<Vec<Vec<u8>>, Unfit> {
        let mut pieces = Vec::with_capacity(count);
        while pieces.len() < count
            && let Some(piece) = self.next()?
        {
            pieces.push(piece);
        }
        Ok(pieces)
    }
}

/// How many pieces are in hand at once.
pub(crate) fn at_once() -> usize {
    rayon::current_num_threads().clamp(1, 8)
}

/// Columns that grow by pieces, so that no two copies of the rows are there at once.
struct Grown {
    columns: Vec<Builder>,
    /// What the rows that are there were read as.
    bits: Vec<u8>,
    rows: usize,
    /// Rows that may come in all.
    expected: usize,
}

impl Grown {
    fn builder(name: &str, bits: u8, rows: usize) -> Builder {
        let elem = match type_of(bits) {
            DataType::Boolean => Elem::Bool,
            DataType::Int64 => Elem::I64,
            DataType::Float64 => Elem::F64,
            _ => Elem::Text,
        };
        Builder::new(elem, false, name, rows)
    }

    fn new(head: &Head, bits: &[u8], expected: usize) -> Self {
        let columns = head.names.iter().zip(bits).map(|(n, b)| Self::builder(n, *b, expected)).collect();
        Self { columns, bits: bits.to_vec(), rows: 0, expected }
    }

    /// Takes the types of columns that look like `bits` now.
    ///
    /// # Errors
    /// [`Unfit`] where the rows that are there have to be read again.
    fn widen(&mut self, head: &Head, bits: &[u8]) -> Result<(), Unfit> {
        for (i, (old, new)) in self.bits.iter().zip(bits).enumerate() {
            let (from, to) = (type_of(*old), type_of(*new));
            if from == to {
                continue;
            }
            let mut fresh = Self::builder(&head.names[i], *new, self.expected);
            if *old == 0 {
                (0..self.rows).for_each(|_| fresh.push_null());
            } else if from == DataType::Int64 && to == DataType::Float64 && old & bit::MINUS_NOUGHT == 0 {
                let whole = std::mem::replace(&mut self.columns[i], Self::builder("", 0, 0)).finish();
                append(&mut fresh, &whole.cast(&to)?)?;
            } else {
                return Err(Unfit);
            }
            self.columns[i] = fresh;
        }
        self.bits = bits.to_vec();
        Ok(())
    }

    fn push(&mut self, frame: &DataFrame) -> Result<(), Unfit> {
        for (builder, column) in self.columns.iter_mut().zip(frame.columns()) {
            append(builder, column.as_materialized_series())?;
        }
        self.rows += frame.height();
        Ok(())
    }

    fn finish(self) -> Result<DataFrame, Unfit> {
        let columns = self.columns.into_iter().map(|b| b.finish().into_column()).collect();
        Ok(DataFrame::new(self.rows, columns)?)
    }
}

fn append(builder: &mut Builder, cells: &Series) -> Result<(), Unfit> {
    match builder {
        Builder::Bool(b) => cells.bool()?.iter().for_each(|v| b.append_option(v)),
        Builder::I64(b) => cells.i64()?.iter().for_each(|v| b.append_option(v)),
        Builder::F64(b) => cells.f64()?.iter().for_each(|v| b.append_option(v)),
        Builder::Text(b) => cells.str()?.iter().for_each(|v| b.append_option(v)),
        _ => return Err(Unfit),
    }
    Ok(())
}

/// All rows.
pub(crate) fn read_all(head: &Head, size: usize, file: &mut (impl Read + Seek)) -> Result<DataFrame, Unfit> {
    let length = file.seek(SeekFrom::End(0))?.saturating_sub(head.body as u64) as f64;
    let mut bits = vec![0u8; head.names.len()];
    'again: for _ in 0..AGAIN {
        let (mut grown, mut gaps): (Option<Grown>, bool) = (None, false);
        file.seek(SeekFrom::Start(head.body as u64))?;
        let mut pieces = Pieces::new(head, &mut *file, size);
        loop {
            let some = pieces.some(at_once())?;
            if some.is_empty() {
                break;
            }
            head.looks(&some, &mut bits)?;
            if let Some(grown) = &mut grown
                && grown.bits != bits
                && grown.widen(head, &bits).is_err()
            {
                continue 'again;
            }
            for piece in some {
                gaps |= crate::csv::has_blank_lines(&piece);
                let frame = head.read(&piece, &bits)?;
                let expected = 1.02 * length * frame.height() as f64 / piece.len() as f64;
                grown.get_or_insert_with(|| Grown::new(head, &bits, expected as usize)).push(&frame)?;
            }
        }
        return match grown {
            Some(grown) => Ok(crate::csv::without_gaps(grown.finish()?, gaps)?),
            None => head.read(&head.line, &bits),
        };
    }
    Err(Unfit)
}
