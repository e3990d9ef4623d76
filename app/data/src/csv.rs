//! CSV and TSV through polars: types from all rows, 64-bit integers kept.
//!
//! The separator is the one of `, ; tab |` that stands most often and evenly in the first lines. Lines that
//! begin with `#` before the header are skipped (exoplanet and CDS archives put notes there).
//! Empty, `null`, `NULL`, `NaN` and `--` count as no value, and in columns of numbers `NA`, `-`, `None` and their like. Numbers may have
//! blanks around them, a plus, Fortran's exponent (`1D-3`), or, where no comma separates, a decimal comma; digits that begin with a zero (`007`) are names and stay text. Array cells are written as VOTable
//! writes them, numbers separated by blanks.

use std::io::{Cursor, Read, Seek, Write};

use polars::prelude::*;

use crate::column::unique_names;
use crate::csv_pieces::{BLANKS, Head};
use crate::table::{ColumnMeta, Table};
use crate::{Error, Result};

pub(crate) fn guess_separator(text: &[u8]) -> u8 {
    let lines: Vec<&[u8]> = text[..text.len().min(1 << 16)]
        .split(|b| *b == b'\n')
        .filter(|l| !l.starts_with(b"#") && !l.is_empty())
        .take(6)
        .collect();
    let count = |sep: u8, line: &[u8]| {
        let mut quoted = false;
        line.iter()
            .filter(|b| {
                if **b == b'"' {
                    quoted = !quoted;
                }
                !quoted && **b == sep
            })
            .count()
    };
    let score = |sep: u8| {
        let first = lines.first().map_or(0, |l| count(sep, l));
        let even = lines.iter().all(|l| count(sep, l) == first);
        (even && first > 0, first)
    };
    [b',', b'\t', b';', b'|'].into_iter().max_by_key(|s| (score(*s), *s == b',')).unwrap_or(b',')
}

/// Tab-separated text of columns of numbers that blanks divide, where every line has as many as
/// the header has names; none where it is something else.
fn blank_separated(header: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let header = std::str::from_utf8(header).ok()?;
    let body = std::str::from_utf8(body).ok()?;
    let names: Vec<&str> = header.trim_start_matches('#').split_whitespace().collect();
    let numbers = |l: &str| l.split_ascii_whitespace().all(|w| w.parse::<f64>().is_ok());
    let lines = || body.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    if names.len() < 2 || numbers(header.trim_start_matches('#')) || lines().next().is_none() {
        return None;
    }
    let mut out = Vec::with_capacity(body.len());
    out.extend_from_slice(names.join("\t").as_bytes());
    for line in lines() {
        out.push(b'\n');
        let from = out.len();
        let mut count = 0;
        for word in line.split_ascii_whitespace() {
            if out.len() > from {
                out.push(b'\t');
            }
            out.extend_from_slice(word.as_bytes());
            count += 1;
        }
        if count != names.len() || line.contains([',', ';', '|', '"']) || !numbers(line) {
            return None;
        }
    }
    Some(out)
}

/// How a text begins.
pub(crate) enum Start {
    /// Its columns are divided by blanks: the text with tabs.
    Blanks(Vec<u8>),
    /// The last line that begins with `#` is its header: that line without the mark, and where the rows begin.
    Named { header: Vec<u8>, body: usize, separator: u8 },
    /// The header stands at `body`.
    Plain { body: usize, separator: u8 },
}

/// What stands before the rows; the separator is guessed when not given.
pub(crate) fn start_of(text: &[u8], separator: Option<u8>) -> Start {
    let mut skip = 0;
    let mut last = 0;
    while text[skip..].starts_with(b"#") {
        last = skip;
        match text[skip..].iter().position(|b| *b == b'\n') {
            Some(n) => skip += n + 1,
            None => break,
        }
    }
    let given = separator.is_some();
    let separator = separator.unwrap_or_else(|| guess_separator(&text[skip..]));
    // Columns that blanks divide, under a header that begins with '#' (MACHO, many lists of stars).
    if last < skip
        && let Some(body) = blank_separated(&text[last..skip], &text[skip..])
    {
        return Start::Blanks(body);
    }
    // A header line may itself begin with '#': as many names as the first row has numbers.
    if last < skip {
        let line = |from: usize| text_line(&text[from..]);
        let fields =
            |l: &str| l.trim_start_matches('#').split(char::from(separator)).map(|f| f.trim().to_owned()).collect::<Vec<_>>();
        let (names, first) = (fields(line(last)), fields(line(skip)));
        let number = |f: &String| f.parse::<f64>().is_ok();
        if names.len() == first.len() && first.iter().any(number) && !names.iter().any(|n| number(n) || n.is_empty()) {
            let mut header = names.join(&char::from(separator).to_string()).into_bytes();
            header.push(b'\n');
            return Start::Named { header, body: skip, separator };
        }
    }
    // The same under a plain header, where no other sign divides it.
    let end = text[skip..].iter().position(|b| *b == b'\n').map_or(text.len(), |n| skip + n + 1);
    if !given
        && !text[skip..end].iter().any(|b| matches!(b, b',' | b'\t' | b';' | b'|' | b'"'))
        && let Some(body) = blank_separated(&text[skip..end], &text[end..])
    {
        return Start::Blanks(body);
    }
    Start::Plain { body: skip, separator }
}

/// Read; the separator is guessed when not given.
///
/// # Errors
/// [`Error::Format`] with the line.
pub(crate) fn read_csv(what: &str, bytes: Vec<u8>, separator: Option<u8>) -> Result<Table> {
    let mut text = match crate::votable::text_of(&bytes) {
        std::borrow::Cow::Borrowed(_) => bytes,
        std::borrow::Cow::Owned(text) => text.into_bytes(),
    };
    // Lines of old Macintosh programs.
    if memchr::memchr(b'\n', &text).is_none() {
        text.iter_mut().filter(|b| **b == b'\r').for_each(|b| *b = b'\n');
    }
    match start_of(&text, separator) {
        Start::Blanks(body) => read_separated(what, body, b'\t', None),
        Start::Named { header, body, separator } => {
            text.splice(..body, header);
            read_separated(what, text, separator, None)
        }
        Start::Plain { body, separator } => {
            // In place: a copy of a large file would count.
            text.drain(..body);
            read_separated(what, text, separator, None)
        }
    }
}

/// Bytes in which the header of a file that is read by pieces has to stand.
const HEAD: u64 = 1 << 20;

/// How a file that is read by pieces begins.
pub(crate) fn head_of(file: &mut (impl Read + Seek), separator: Option<u8>) -> Option<Head> {
    let mut first = Vec::new();
    file.rewind().ok()?;
    file.by_ref().take(HEAD).read_to_end(&mut first).ok()?;
    let ended = (first.len() as u64) < HEAD;
    Head::of(&first, separator, ended).ok()
}

/// A file of plain lines by pieces of about `size` bytes ([`crate::csv_pieces`]); none when it is to be read as a whole.
///
/// # Errors
/// [`Error::Polars`].
pub fn read_csv_pieces(file: &mut (impl Read + Seek), separator: Option<u8>, size: usize) -> Result<Option<Table>> {
    let Some(head) = head_of(file, separator) else { return Ok(None) };
    let Ok(mut frame) = crate::csv_pieces::read_all(&head, size, file) else { return Ok(None) };
    numbers_of_text(&mut frame, head.separator)?;
    finished(frame, names_of_numbers(text_line(&head.line), head.separator).into_iter().collect()).map(Some)
}

/// The first line of UTF-8 text.
fn text_line(text: &[u8]) -> &str {
    let end = text.iter().position(|b| *b == b'\n').unwrap_or(text.len());
    std::str::from_utf8(&text[..end]).unwrap_or_default().trim_end_matches('\r')
}

/// Text with a header line as polars reads it. `ragged` puts up with lines that do not fit; `types` fixes what is known of columns by
/// their names, `schema` all of them.
pub(crate) fn parse(
    body: &[u8],
    separator: u8,
    ragged: bool,
    types: Option<SchemaRef>,
    schema: Option<SchemaRef>,
) -> PolarsResult<DataFrame> {
    CsvReadOptions::default()
        .with_infer_schema_length(None)
        .with_has_header(true)
        .with_schema(schema)
        .with_schema_overwrite(types)
        .with_ignore_errors(ragged)
        .map_parse_options(|o| {
            o.with_separator(separator)
                .with_quote_char(Some(b'"'))
                .with_truncate_ragged_lines(ragged)
                .with_missing_is_null(true)
                .with_null_values(Some(NullValues::AllColumns(BLANKS.iter().map(|s| PlSmallStr::from_static(s)).collect())))
        })
        .into_reader_with_file_handle(Cursor::new(body))
        .finish()
}

/// The columns of separated text that are called `names`, as text in which only the empty cell stands for none.
pub(crate) fn words(body: &[u8], separator: u8, names: &[String]) -> PolarsResult<DataFrame> {
    let frame = CsvReadOptions::default()
        .with_infer_schema_length(Some(0))
        .with_has_header(true)
        .with_columns(Some(names.iter().map(|n| n.as_str().into()).collect()))
        .map_parse_options(|o| o.with_separator(separator).with_quote_char(Some(b'"')).with_missing_is_null(true))
        .into_reader_with_file_handle(Cursor::new(body))
        .finish()?;
    Ok(frame)
}

/// Read separated text; `types` fixes what is known of the columns.
pub(crate) fn read_separated(what: &str, body: Vec<u8>, separator: u8, types: Option<SchemaRef>) -> Result<Table> {
    if !body.iter().any(|b| !b.is_ascii_whitespace()) {
        return Err(Error::format(what, "is empty: no header line"));
    }
    let given = types.is_some();
    let body = if given { body } else { without_remarks(body, separator) };
    let types = if given { types } else { zero_led(&body, separator) };
    let parse = |ragged: bool, types: Option<SchemaRef>| parse(&body, separator, ragged, types, None);
    let mut warnings = Vec::new();
    warnings.extend(names_of_numbers(text_line(&body), separator).filter(|_| !given));
    let mut frame = match parse(false, types.clone()) {
        Ok(frame) => frame,
        Err(first) => {
            let fail = |e: PolarsError| {
                // polars speaks of its own settings after the first line.
                let e = e.to_string();
                let e = e.lines().next().unwrap_or_default();
                Error::format(what, format!("is not a table separated by '{}': {e}", char::from(separator).escape_default()))
            };
            // Integers past the range of i64 make the strict parse fail and would come out empty
            // of the lenient one: take integer columns as text and find their type here.
            let lenient = parse(true, types.clone()).map_err(fail)?;
            let mut as_text = Schema::default();
            for column in lenient.columns() {
                let given = types.as_ref().and_then(|t| t.get(column.name()).cloned());
                let inferred = if column.dtype() == &DataType::Int64 { DataType::String } else { column.dtype().clone() };
                as_text.with_column(column.name().clone(), given.unwrap_or(inferred));
            }
            let as_text: SchemaRef = as_text.into();
            let mut frame = match parse(false, Some(as_text.clone())) {
                Ok(frame) => frame,
                Err(_) => {
                    // polars speaks of its own settings after the first line.
                    let first = first.to_string();
                    let first = first.lines().next().unwrap_or_default().trim_end_matches(" than defined in 'Schema'");
                    warnings.push(format!("some lines do not fit the header and were cut, filled or left empty: {first}"));
                    parse(true, Some(as_text)).map_err(fail)?
                }
            };
            for column in lenient.columns().iter().filter(|c| c.dtype() == &DataType::Int64) {
                if types.as_ref().is_none_or(|t| !t.contains(column.name()))
                    && let Ok(text) = frame.column(column.name())
                {
                    let typed = integers(text)?;
                    frame.with_column(typed)?;
                }
            }
            frame
        }
    };
    frame = without_gaps(frame, has_blank_lines(&body))?;
    // The text is given back before the pieces become one, column by column.
    drop(body);
    if !given {
        numbers_of_text(&mut frame, separator)?;
    }
    finished(frame, warnings)
}

/// Without the lines between the rows that begin with `#` and are no rows: those of fewer fields than the header.
fn without_remarks(body: Vec<u8>, separator: u8) -> Vec<u8> {
    // A quoted cell may hold lines that look like remarks.
    let is_remark = |at: usize| body[at + 1..].starts_with(b"#");
    if !memchr::memchr_iter(b'\n', &body).any(is_remark) || memchr::memchr(b'"', &body).is_some() {
        return body;
    }
    let fields = |line: &[u8]| memchr::memchr_iter(separator, line).count();
    let mut lines = body.split_inclusive(|b| *b == b'\n');
    let wide = fields(lines.next().unwrap_or_default());
    if wide == 0 {
        return body;
    }
    let stays = |line: &&[u8]| !line.starts_with(b"#") || fields(line) == wide;
    body.split_inclusive(|b| *b == b'\n').filter(stays).flatten().copied().collect()
}

/// Whether there is a line with nothing in it.
pub(crate) fn has_blank_lines(text: &[u8]) -> bool {
    let ends = |t: &[u8]| t.first() == Some(&b'\n') || t.starts_with(b"\r\n");
    ends(text) || memchr::memchr_iter(b'\n', text).any(|at| ends(&text[at + 1..]))
}

/// Without the rows that lines with nothing in them became; in a table of a single column such a line may be a row.
pub(crate) fn without_gaps(frame: DataFrame, gaps: bool) -> PolarsResult<DataFrame> {
    if !gaps || frame.width() < 2 {
        return Ok(frame);
    }
    match frame.columns().iter().map(|c| c.is_not_null()).reduce(|a, b| a | b) {
        Some(some) if some.sum().is_some_and(|n| (n as usize) < frame.height()) => frame.filter(&some),
        _ => Ok(frame),
    }
}

/// A warning where the names of the columns are numbers, and may be a row.
fn names_of_numbers(head: &str, separator: u8) -> Option<String> {
    let numbers = head.split(char::from(separator)).all(|f| f.trim().trim_matches('"').parse::<f64>().is_ok());
    let what = "the first line holds numbers alone and was taken for the names of the columns";
    numbers.then(|| format!("{what}: if it is a row, write a line of names above it"))
}

/// Columns of names in digits, such as `007`, which would lose their zeros as numbers; nothing where there are none. Two digits (`05`)
/// are minutes and the like.
fn zero_led(body: &[u8], separator: u8) -> Option<SchemaRef> {
    // Most files have none, and are not read twice.
    let is_digit = |b: Option<&u8>| b.is_some_and(u8::is_ascii_digit);
    let begins = |i: usize| i == 0 || matches!(body[i - 1], b'\n' | b'"' | b' ') || body[i - 1] == separator;
    let led = |i: usize| is_digit(body.get(i + 1)) && is_digit(body.get(i + 2)) && begins(i);
    if !memchr::memchr_iter(b'0', body).any(led) {
        return None;
    }
    let texts = CsvReadOptions::default()
        .with_infer_schema_length(Some(0))
        .with_ignore_errors(true)
        .map_parse_options(|o| o.with_separator(separator).with_quote_char(Some(b'"')).with_truncate_ragged_lines(true))
        .into_reader_with_file_handle(Cursor::new(body))
        .finish()
        .ok()?;
    let mut types = Schema::default();
    for column in texts.columns() {
        let Ok(cells) = column.str() else { continue };
        if cells.iter().flatten().any(is_zero_led) {
            types.with_column(column.name().clone(), DataType::String);
        }
    }
    (!types.is_empty()).then(|| types.into())
}

fn is_zero_led(text: &str) -> bool {
    let text = text.trim();
    text.len() >= 3 && text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit())
}

/// A number with Fortran's exponent of double precision: `1.5D-3`. With neither a point nor a sign (`12D4`) it may be a name.
fn fortran(text: &str) -> Option<f64> {
    let (digits, power) = text.split_once(['d', 'D'])?;
    let plain = |t: &str| t.bytes().any(|b| b.is_ascii_digit()) && t.bytes().all(|b| b.is_ascii_digit() || b"+-.".contains(&b));
    let is_number = digits.contains('.') || power.starts_with(['+', '-']);
    (is_number && plain(digits) && plain(power)).then(|| format!("{digits}e{power}").parse().ok())?
}

/// Words that stand for no value among numbers.
fn is_missing(text: &str) -> bool {
    matches!(
        text,
        "" | "NA" | "N/A" | "n/a" | "NULL" | "null" | "None" | "none" | "nan" | "NaN" | "NAN" | "-" | "--" | "---" | "..." | "?"
    )
}

/// Columns of text that a careful person would take for numbers become numbers.
fn numbers_of_text(frame: &mut DataFrame, separator: u8) -> Result<()> {
    let places: Vec<usize> = (0..frame.width()).filter(|i| frame.columns()[*i].dtype() == &DataType::String).collect();
    for place in places {
        if let Some(column) = numbers_in(&frame.columns()[place], separator)? {
            frame.replace_column(place, column)?;
        }
    }
    Ok(())
}

/// The numbers of a column of text, where all of its cells are numbers or stand for none.
fn numbers_in(column: &Column, separator: u8) -> Result<Option<Column>> {
    let texts = column.str()?;
    let comma = matches!(separator, b';' | b'\t' | b'|');
    let number = |text: &str| -> Option<f64> {
        let decimal = comma && text.matches(',').count() == 1 && !text.contains('.');
        if decimal {
            return text.replace(',', ".").parse().ok();
        }
        text.parse().ok().or_else(|| fortran(text))
    };
    // Whole numbers become whole numbers or stay text: as a real an id of nineteen digits would be another.
    let (mut whole, mut unsigned, mut exact, mut digits) = (true, true, true, false);
    for text in texts.iter().flatten().map(str::trim).filter(|t| !is_missing(t)) {
        if is_zero_led(text) || number(text).is_none() {
            return Ok(None);
        }
        whole &= text.parse::<i64>().is_ok();
        unsigned &= text.parse::<u64>().is_ok();
        let is_whole = text.trim_start_matches(['+', '-']).bytes().all(|b| b.is_ascii_digit());
        exact &= !is_whole || number(text).is_some_and(|v| v.abs() <= 9_007_199_254_740_992.0);
        digits |= text.bytes().any(|b| b.is_ascii_digit());
    }
    // Infinities alone are words.
    if !digits || !(whole || unsigned || exact) {
        return Ok(None);
    }
    let cells = texts.iter().map(|t| t.map(str::trim).filter(|t| !is_missing(t)));
    let name = column.name().clone();
    Ok(Some(if whole {
        let v: Int64Chunked = cells.map(|t| t.and_then(|t| t.parse().ok())).collect();
        v.with_name(name).into_column()
    } else if unsigned {
        let v: UInt64Chunked = cells.map(|t| t.and_then(|t| t.parse().ok())).collect();
        v.with_name(name).into_column()
    } else {
        let v: Float64Chunked = cells.map(|t| t.and_then(number)).collect();
        v.with_name(name).into_column()
    }))
}

/// A table of what polars read.
pub(crate) fn finished(frame: DataFrame, warnings: Vec<String>) -> Result<Table> {
    let mut names: Vec<String> = frame
        .columns()
        .iter()
        .map(|c| {
            let name = c.name().trim();
            // polars names a repeated column `x_duplicated_0`.
            // and leaves doubled quotes in names as they are.
            name.split_once("_duplicated_").map_or(name, |(n, _)| n).replace("\"\"", "\"")
        })
        .collect();
    unique_names(&mut names);
    let mut columns = Vec::with_capacity(names.len());
    for (column, name) in frame.columns().iter().zip(&names) {
        let column = match column.dtype() {
            // Integers past the range of i64 are given as text rather than rounded.
            DataType::String | DataType::Boolean | DataType::Int64 | DataType::Float64 => column.clone(),
            d if crate::column::Elem::of(d).is_some() => column.clone(),
            DataType::Null => column.cast(&DataType::String)?,
            _ => column.cast(&DataType::String)?,
        };
        columns.push(column.with_name(name.as_str().into()));
    }
    let height = frame.height();
    // The pieces that polars read are given back as they become one, column by column.
    drop(frame);
    let mut frame = DataFrame::new(height, columns)?;
    frame.rechunk_mut();
    let metas = names.into_iter().map(|name| ColumnMeta { name, ..ColumnMeta::default() }).collect();
    let mut table = Table::new("", frame, metas)?;
    table.warnings = warnings;
    Ok(table)
}

/// A text column as i64, else u64, where every cell is one; else as it is.
fn integers(column: &Column) -> Result<Column> {
    let texts = column.str()?;
    let name = column.name().clone();
    let fits = |f: &dyn Fn(&str) -> bool| texts.iter().flatten().all(|t| f(t.trim()));
    if fits(&|t| t.parse::<i64>().is_ok()) {
        let v: Int64Chunked = texts.iter().map(|t| t.and_then(|t| t.trim().parse().ok())).collect();
        return Ok(v.with_name(name).into_column());
    }
    if fits(&|t| t.parse::<u64>().is_ok()) {
        let v: UInt64Chunked = texts.iter().map(|t| t.and_then(|t| t.trim().parse().ok())).collect();
        return Ok(v.with_name(name).into_column());
    }
    Ok(column.clone())
}

/// A copy of the frame in which array cells are text.
pub(crate) fn flat(table: &Table) -> Result<DataFrame> {
    let mut columns = Vec::new();
    for column in table.frame().columns() {
        if let DataType::List(inner) = column.dtype() {
            let list = column.list()?;
            let texts: StringChunked = (0..list.len())
                .map(|i| {
                    let cell = list.get_as_series(i)?;
                    Some(array_text(&cell, inner))
                })
                .collect();
            columns.push(texts.with_name(column.name().clone()).into_column());
        } else {
            columns.push(column.clone());
        }
    }
    Ok(DataFrame::new(table.rows(), columns)?)
}

/// An array cell as text.
pub(crate) fn array_text(cell: &Series, inner: &DataType) -> String {
    if inner == &DataType::String {
        let items: Vec<String> =
            cell.str().map(|c| c.iter().map(|v| v.unwrap_or_default().to_owned()).collect()).unwrap_or_default();
        return serde_json::to_string(&items).unwrap_or_default();
    }
    cell.iter().map(|v| if v.is_null() { "NaN".to_owned() } else { v.to_string() }).collect::<Vec<_>>().join(" ")
}

/// Write with a header line.
///
/// # Errors
/// [`Error::Polars`] or what the disk said.
pub(crate) fn write_csv(table: &Table, separator: u8, out: &mut dyn Write) -> Result<()> {
    write_csv_part(table, separator, true, out)
}

/// Rows of a table that comes in pieces; only the first has a header.
pub(crate) fn write_csv_part(table: &Table, separator: u8, header: bool, out: &mut dyn Write) -> Result<()> {
    let mut frame = flat(table)?;
    CsvWriter::new(out).include_header(header).with_separator(separator).finish(&mut frame)?;
    Ok(())
}
