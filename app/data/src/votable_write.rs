//! VOTable 1.4 out, as BINARY2, TABLEDATA, BINARY or FITS.
//!
//! BINARY2 is what is written unless another is asked for: every null, NaN and 64-bit integer comes back as it
//! was, and every VO program has read it since 2013. TABLEDATA can be read by eye and by any XML program, is three
//! times as large and slower to write and read; BINARY is for programs older than VOTable 1.3. Neither can tell a
//! null from NaN, from an empty text or from an empty array. BINARY has no place for the null of an integer but a
//! value that stands for it (`VALUES null`): the one the column came with, else the type's least value that the
//! column does not hold (of bytes the greatest), and where all are taken the next larger type, which
//! [`crate::write::notes`] tells. Integers without a value inside an array take the same way in every serialisation.
//!
//! FITS is a whole FITS file in base64 ([`crate::fits_table`]), for programs that read such files anyway; its own header says what
//! stands for a null, and text beyond ASCII is escaped as in every FITS file that is written here.
//!
//! Types VOTable does not have go to the next larger: `i8` to short, `u16` to int, `u32` to long,
//! `u64` to long where every value fits, else to text. Text beyond ASCII goes to unicodeChar.

use std::collections::HashSet;
use std::io::Write;

use base64::Engine;
use polars::prelude::*;

use crate::column::Elem;
use crate::fits_table::stored;
use crate::table::{ColumnMeta, Table};
use crate::{Error, Result};

/// How the rows of a VOTable are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serialization {
    /// Binary with a flag for each null, in base64 (VOTable 1.3 and later).
    #[default]
    Binary2,
    /// XML elements.
    TableData,
    /// Binary without flags, in base64 (every version).
    Binary,
    /// A FITS file with one binary table, in base64 (every version).
    Fits,
}

impl Serialization {
    /// All of them, the usual one first.
    pub const ALL: [Self; 4] = [Self::Binary2, Self::TableData, Self::Binary, Self::Fits];

    /// The element of the document.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary2 => "BINARY2",
            Self::TableData => "TABLEDATA",
            Self::Binary => "BINARY",
            Self::Fits => "FITS",
        }
    }
}

impl std::str::FromStr for Serialization {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("VOTable has no serialization '{text}' here: there are binary2, tabledata, binary and fits"))
    }
}

pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\r' => out.push_str("&#13;"),
            // Not allowed in XML 1.0 at all.
            c if (c as u32) < 0x20 || c == '\u{fffe}' || c == '\u{ffff}' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// How a column goes out.
pub(crate) struct Out {
    datatype: &'static str,
    arraysize: Option<String>,
    /// Elements of polars to cast to.
    cast: Option<DataType>,
    unicode: bool,
    /// Array cells of one length, without a count.
    fixed: Option<usize>,
    /// Characters of each text of an array of texts.
    pub(crate) string_len: Option<usize>,
    /// What stands for a null integer.
    pub(crate) null: Option<i64>,
    /// All values of the smaller type are taken.
    widened: bool,
}

/// A value of integers that none of `series` has: the least, of bytes the greatest.
fn free_value(series: &Series, datatype: &str) -> Result<Option<i64>> {
    let values = series.cast(&DataType::Int64)?;
    let values = values.i64()?;
    let (first, last, step) = match datatype {
        "unsignedByte" => (255, 0, -1),
        "short" => (i64::from(i16::MIN), i64::from(i16::MAX), 1),
        "int" => (i64::from(i32::MIN), i64::from(i32::MAX), 1),
        _ => (i64::MIN, i64::MAX, 1),
    };
    let extreme = if step > 0 { values.min() } else { values.max() };
    if extreme != Some(first) {
        return Ok(Some(first));
    }
    let taken: HashSet<i64> = values.iter().flatten().collect();
    let mut value = first;
    while taken.contains(&value) {
        if value == last {
            return Ok(None);
        }
        value += step;
    }
    Ok(Some(value))
}

/// Set what stands for a null, where `out` needs it.
fn set_null(out: &mut Out, column: &Column, meta: &ColumnMeta, list: bool, how: Serialization) -> Result<()> {
    const WHOLE: [&str; 4] = ["unsignedByte", "short", "int", "long"];
    let Some(mut size) = WHOLE.iter().position(|t| *t == out.datatype) else { return Ok(()) };
    let values = if list { column.list()?.get_inner() } else { column.as_materialized_series().clone() };
    let inside =
        list && (values.null_count() > 0 || (how == Serialization::Binary && out.fixed.is_some() && column.null_count() > 0));
    let flagless = matches!(how, Serialization::Binary | Serialization::Fits);
    let needed = inside || (!list && flagless && column.null_count() > 0);
    if let Some(rule) = &meta.null_rule {
        out.null = rule.strip_prefix("TNULL ").unwrap_or(rule).parse().ok().filter(|v: &i64| match out.datatype {
            "unsignedByte" => u8::try_from(*v).is_ok(),
            "short" => i16::try_from(*v).is_ok(),
            "int" => i32::try_from(*v).is_ok(),
            _ => true,
        });
        // A value that the column holds cannot stand for none.
        if let Some(null) = out.null
            && values.cast(&DataType::Int64)?.i64()?.iter().any(|v| v == Some(null))
        {
            out.null = None;
        }
    }
    while needed && out.null.is_none() {
        out.null = free_value(&values, out.datatype)?;
        if out.null.is_none() {
            size += 1;
            let wider = [DataType::Int16, DataType::Int32, DataType::Int64];
            let (Some(name), Some(to)) = (WHOLE.get(size), wider.get(size - 1)) else {
                return Err(Error::format(
                    column.name().as_str(),
                    "every integer of 64 bits is taken: none can stand for a null",
                ));
            };
            (out.datatype, out.cast, out.widened) = (*name, Some(to.clone()), true);
        }
    }
    Ok(())
}

fn out_of(column: &Column, meta: &ColumnMeta, how: Serialization) -> Result<Out> {
    let (elem, list) = Elem::of(column.dtype())
        .ok_or_else(|| Error::format(column.name().as_str(), format!("type {} cannot be written as VOTable", column.dtype())))?;
    let complex = meta.datatype.starts_with("c32") || meta.datatype.starts_with("c64");
    let mut out = Out {
        datatype: "char",
        arraysize: None,
        cast: None,
        unicode: false,
        fixed: None,
        string_len: None,
        null: None,
        widened: false,
    };
    (out.datatype, out.cast) = match elem {
        Elem::Bool => ("boolean", None),
        Elem::U8 => ("unsignedByte", None),
        Elem::I8 => ("short", Some(DataType::Int16)),
        Elem::I16 => ("short", None),
        Elem::U16 => ("int", Some(DataType::Int32)),
        Elem::I32 => ("int", None),
        Elem::U32 => ("long", Some(DataType::Int64)),
        Elem::I64 => ("long", None),
        Elem::U64 => {
            let fits = if list { column.list()?.get_inner() } else { column.as_materialized_series().clone() };
            if fits.u64()?.max().is_none_or(|m| i64::try_from(m).is_ok()) {
                ("long", Some(DataType::Int64))
            } else {
                ("char", Some(DataType::String))
            }
        }
        Elem::F32 => (if complex { "floatComplex" } else { "float" }, None),
        Elem::F64 => (if complex { "doubleComplex" } else { "double" }, None),
        Elem::Text => ("char", None),
    };
    let text = out.datatype == "char";
    if elem == Elem::Text {
        let flat = if list { column.list()?.get_inner() } else { column.as_materialized_series().clone() };
        let mut longest = 0;
        for s in flat.str()?.iter().flatten() {
            out.unicode |= !s.is_ascii() && how != Serialization::Fits;
            longest = longest.max(s.encode_utf16().count());
        }
        if out.unicode {
            out.datatype = "unicodeChar";
        }
        if list {
            out.string_len = Some(longest.max(1));
            out.arraysize = Some(format!("{}x*", longest.max(1)));
        } else {
            out.arraysize = Some("*".into());
        }
    } else if text {
        out.arraysize = Some("*".into());
        if list {
            out.string_len = Some(20);
            out.arraysize = Some("20x*".into());
        }
    } else if list {
        let shape: Option<Vec<usize>> =
            meta.datatype.split_once('[').and_then(|(_, s)| s.trim_end_matches(']').split(',').map(|n| n.parse().ok()).collect());
        let per = if complex { 2 } else { 1 };
        // The declared shape holds only when every cell has it.
        let product = shape.as_ref().map_or(per, |s| s.iter().product::<usize>() * per);
        let all = (shape.is_some() || (complex && !meta.datatype.contains('['))) && {
            let lists = column.list()?;
            lists.iter().all(|c| c.is_none_or(|c| c.len() == product))
        };
        if all {
            out.fixed = Some(product);
            out.arraysize = shape.filter(|s| !s.is_empty()).map(|s| {
                let dims: Vec<String> = s.iter().rev().map(ToString::to_string).collect();
                if dims.len() == 1 && dims[0] == "1" { "1x1".into() } else { dims.join("x") }
            });
        } else {
            out.arraysize = Some("*".into());
        }
    }
    set_null(&mut out, column, meta, list, how)?;
    if how == Serialization::Fits {
        // Its own header says what stands for none.
        out.null = None;
    }
    Ok(out)
}

fn head(table: &Table, outs: &[Out]) -> String {
    let mut s = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<VOTABLE version=\"1.4\" xmlns=\"http://www.ivoa.net/xml/VOTable/v1.3\">\n<RESOURCE type=\"results\">\n",
    );
    s.push_str(&format!("<INFO name=\"QUERY_STATUS\" value=\"{}\"/>\n", if table.truncated { "OVERFLOW" } else { "OK" }));
    s.push_str("<TABLE");
    if !table.name.is_empty() {
        s.push_str(&format!(" name=\"{}\"", escape(&table.name)));
    }
    s.push_str(&format!(" nrows=\"{}\">\n", table.rows()));
    if !table.description.is_empty() {
        s.push_str(&format!("<DESCRIPTION>{}</DESCRIPTION>\n", escape(&table.description)));
    }
    for (meta, out) in table.columns().iter().zip(outs) {
        s.push_str(&format!("<FIELD name=\"{}\" datatype=\"{}\"", escape(&meta.name), out.datatype));
        for (key, value) in [
            ("arraysize", &out.arraysize),
            ("unit", &meta.unit),
            ("ucd", &meta.ucd),
            ("utype", &meta.utype),
            ("xtype", &meta.xtype),
        ] {
            if let Some(value) = value {
                s.push_str(&format!(" {key}=\"{}\"", escape(value)));
            }
        }
        let mut inner = String::new();
        if let Some(d) = &meta.description {
            inner.push_str(&format!("<DESCRIPTION>{}</DESCRIPTION>", escape(d)));
        }
        if let Some(null) = out.null {
            inner.push_str(&format!("<VALUES null=\"{null}\"/>"));
        }
        if inner.is_empty() { s.push_str("/>\n") } else { s.push_str(&format!(">{inner}</FIELD>\n")) }
    }
    for p in &table.params {
        s.push_str(&format!(
            "<PARAM name=\"{}\" datatype=\"{}\" arraysize=\"*\" value=\"{}\"",
            escape(&p.name),
            // `char` is ASCII up to VOTable 1.5.
            if p.value.is_ascii() { "char" } else { "unicodeChar" },
            escape(&p.value)
        ));
        if let Some(unit) = &p.unit {
            s.push_str(&format!(" unit=\"{}\"", escape(unit)));
        }
        match &p.description {
            Some(d) => s.push_str(&format!("><DESCRIPTION>{}</DESCRIPTION></PARAM>\n", escape(d))),
            None => s.push_str("/>\n"),
        }
    }
    s
}

fn outs_of(table: &Table, how: Serialization) -> Result<Vec<Out>> {
    table.frame().columns().iter().zip(table.columns()).map(|(c, m)| out_of(c, m, how)).collect()
}

/// Columns that take a larger type, because every value of their own is taken and a null needs one.
///
/// # Errors
/// [`Error::Polars`], [`Error::Format`] for a type VOTable does not have.
pub(crate) fn widened(table: &Table, how: Serialization) -> Result<Vec<(String, &'static str)>> {
    let mut wide = Vec::new();
    for (column, meta) in table.frame().columns().iter().zip(table.columns()) {
        if matches!(Elem::of(column.dtype()), Some((Elem::U8 | Elem::I16 | Elem::I32, _))) {
            let out = out_of(column, meta, how)?;
            if out.widened {
                wide.push((meta.name.clone(), out.datatype));
            }
        }
    }
    Ok(wide)
}

/// The document without data, which describes the columns of a Parquet or Arrow file.
pub(crate) fn data_less(table: &Table) -> Result<String> {
    let mut s = head(table, &outs_of(table, Serialization::Binary2)?);
    s.push_str("</TABLE>\n</RESOURCE>\n</VOTABLE>\n");
    Ok(s)
}

enum Source<'a> {
    /// Bytes of all cells, so many each, and whether each is null.
    Fixed(Vec<u8>, usize, Option<BooleanChunked>),
    Text(&'a StringChunked, bool),
    List(&'a ListChunked),
}

fn put_text(text: &str, unicode: bool, out: &mut Vec<u8>) {
    if unicode {
        for unit in text.encode_utf16() {
            out.extend_from_slice(&unit.to_be_bytes());
        }
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

fn put_count(n: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(n as u32).to_be_bytes());
}

/// Write a whole document, its rows as `how` says.
///
/// # Errors
/// [`Error::Polars`], [`Error::Io`], [`Error::Format`] for a type VOTable does not have.
pub(crate) fn write_votable(table: &Table, how: Serialization, out: &mut dyn Write) -> Result<()> {
    let io = |e: std::io::Error| Error::io("VOTable", e);
    let outs = outs_of(table, how)?;
    out.write_all(head(table, &outs).as_bytes()).map_err(io)?;
    let rows = table.rows();
    // Columns as VOTable has them, in one chunk each.
    let mut columns: Vec<Series> = Vec::with_capacity(outs.len());
    for (column, o) in table.frame().columns().iter().zip(&outs) {
        let mut series = column.as_materialized_series().rechunk();
        if let Some(to) = &o.cast {
            let to = if series.dtype().is_list() { DataType::List(Box::new(to.clone())) } else { to.clone() };
            series = series.cast(&to)?;
        }
        columns.push(series);
    }
    if how == Serialization::Fits {
        fits(table, columns, out)?;
    } else if how == Serialization::TableData {
        crate::votable_tabledata::write(&columns, &outs, rows, out)?;
    } else {
        binary(&columns, &outs, rows, how, out)?;
    }
    out.write_all(b"</TABLE>\n</RESOURCE>\n</VOTABLE>\n").map_err(io)
}

/// Bytes as lines of base64.
struct Base64Lines<'a> {
    out: &'a mut dyn Write,
    bytes: Vec<u8>,
    text: String,
}

impl Base64Lines<'_> {
    /// Three bytes are four letters.
    const LINE: usize = 48 * 1024;

    fn lines(&mut self, all: bool) -> std::io::Result<()> {
        let whole = if all { self.bytes.len() } else { self.bytes.len() / Self::LINE * Self::LINE };
        for line in self.bytes[..whole].chunks(Self::LINE) {
            self.text.clear();
            base64::engine::general_purpose::STANDARD.encode_string(line, &mut self.text);
            self.text.push('\n');
            self.out.write_all(self.text.as_bytes())?;
        }
        self.bytes.drain(..whole);
        Ok(())
    }
}

impl Write for Base64Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        self.lines(false)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.lines(true)
    }
}

/// Write the DATA as a FITS file, of columns that have the types of the document.
fn fits(table: &Table, columns: Vec<Series>, out: &mut dyn Write) -> Result<()> {
    let io = |e: std::io::Error| Error::io("VOTable", e);
    out.write_all(b"<DATA>\n<FITS extnum=\"1\">\n<STREAM encoding=\"base64\">\n").map_err(io)?;
    let frame = DataFrame::new(table.rows(), columns.into_iter().map(IntoColumn::into_column).collect())?;
    // The document says what holds for the whole table.
    let bare = Table::new(table.name.clone(), frame, table.columns().to_vec())?;
    let mut lines = Base64Lines { out, bytes: Vec::new(), text: String::new() };
    crate::fits_table::write_fits(&bare, &mut lines)?;
    lines.flush().map_err(io)?;
    out.write_all(b"</STREAM>\n</FITS>\n</DATA>\n").map_err(io)
}

/// Write the DATA as BINARY2 or BINARY.
fn binary(columns: &[Series], outs: &[Out], rows: usize, how: Serialization, out: &mut dyn Write) -> Result<()> {
    let io = |e: std::io::Error| Error::io("VOTable", e);
    let flagged = how == Serialization::Binary2;
    out.write_all(format!("<DATA>\n<{}>\n<STREAM encoding=\"base64\">\n", how.name()).as_bytes()).map_err(io)?;
    let width = outs.len();
    let mut sources = Vec::with_capacity(width);
    for (series, o) in columns.iter().zip(outs) {
        sources.push(match series.dtype() {
            DataType::String => Source::Text(series.str()?, o.unicode),
            DataType::List(_) => Source::List(series.list()?),
            _ => {
                let bytes = cells_of(series, o, flagged)?;
                let n = if rows == 0 { 0 } else { bytes.len() / rows };
                Source::Fixed(bytes, n, (series.null_count() > 0).then(|| series.is_null()))
            }
        });
    }
    let flag_bytes = if flagged { width.div_ceil(8) } else { 0 };
    let mut lines = Base64Lines { out, bytes: Vec::with_capacity(2 * Base64Lines::LINE), text: String::new() };
    for row in 0..rows {
        let buffer = &mut lines.bytes;
        let flags_at = buffer.len();
        buffer.resize(flags_at + flag_bytes, 0);
        for (i, (source, o)) in sources.iter().zip(outs).enumerate() {
            let mut null = false;
            match source {
                Source::Fixed(bytes, n, nulls) => {
                    buffer.extend_from_slice(&bytes[row * n..(row + 1) * n]);
                    null = nulls.as_ref().is_some_and(|m| m.get(row) == Some(true));
                }
                Source::Text(texts, unicode) => match texts.get(row) {
                    Some(t) => {
                        put_count(if *unicode { t.encode_utf16().count() } else { t.len() }, buffer);
                        put_text(t, *unicode, buffer);
                    }
                    None => {
                        null = true;
                        put_count(0, buffer);
                    }
                },
                Source::List(lists) => match lists.get_as_series(row) {
                    Some(cell) => put_list(&cell, o, flagged, buffer)?,
                    None => {
                        null = true;
                        match o.fixed {
                            // The cell's bytes are there all the same.
                            Some(n) => {
                                let none = Series::full_null(lists.name().clone(), n, lists.inner_dtype());
                                buffer.extend_from_slice(&cells_of(&none, o, flagged)?);
                            }
                            None => put_count(0, buffer),
                        }
                    }
                },
            }
            if null && flagged {
                buffer[flags_at + i / 8] |= 0x80 >> (i % 8);
            }
        }
        if buffer.len() >= Base64Lines::LINE {
            lines.lines(false).map_err(io)?;
        }
    }
    lines.flush().map_err(io)?;
    out.write_all(format!("</STREAM>\n</{}>\n</DATA>\n", how.name()).as_bytes()).map_err(io)
}

/// The bytes of cells one after the other; a truth value that nothing else says to be missing is `?`.
fn cells_of(series: &Series, o: &Out, flagged: bool) -> Result<Vec<u8>> {
    let mut bytes = stored(series, o.null)?;
    if !flagged && o.datatype == "boolean" {
        bytes.iter_mut().filter(|b| **b == 0).for_each(|b| *b = b'?');
    }
    Ok(bytes)
}

fn put_list(cell: &Series, o: &Out, flagged: bool, out: &mut Vec<u8>) -> Result<()> {
    if let Some(len) = o.string_len {
        let texts = cell.str()?;
        put_count(texts.len() * len, out);
        let width = if o.unicode { 2 } else { 1 };
        for t in texts.iter() {
            let start = out.len();
            put_text(t.unwrap_or_default(), o.unicode, out);
            out.resize(start + len * width, 0);
        }
        return Ok(());
    }
    if o.fixed.is_none() {
        let per = if o.datatype.ends_with("Complex") { 2 } else { 1 };
        put_count(cell.len() / per, out);
    }
    out.extend_from_slice(&cells_of(cell, o, flagged)?);
    Ok(())
}
