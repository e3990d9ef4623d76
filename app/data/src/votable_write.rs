//! VOTable 1.4 out: BINARY2, so that every null, NaN and 64-bit integer comes back as it was.
//!
//! TABLEDATA was not taken: it is three times as large, slower to write and read, and cannot tell
//! a null from NaN or an empty text. BINARY2 has been read by every VO program since 2013.
//!
//! Types VOTable does not have go to the next larger: `i8` to short, `u16` to int, `u32` to long,
//! `u64` to long where every value fits, else to text. Text beyond ASCII goes to unicodeChar.

use std::io::Write;

use base64::Engine;
use polars::prelude::*;

use crate::column::Elem;
use crate::fits_table::stored;
use crate::table::{ColumnMeta, Table};
use crate::{Error, Result};

fn escape(text: &str) -> String {
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
struct Out {
    datatype: &'static str,
    arraysize: Option<String>,
    /// Elements of polars to cast to.
    cast: Option<DataType>,
    unicode: bool,
    /// Array cells of one length, without a count.
    fixed: Option<usize>,
    string_len: Option<usize>,
    null: Option<i64>,
}

fn out_of(column: &Column, meta: &ColumnMeta) -> Result<Out> {
    let (elem, list) = Elem::of(column.dtype())
        .ok_or_else(|| Error::format(column.name().as_str(), format!("type {} cannot be written as VOTable", column.dtype())))?;
    let complex = meta.datatype.starts_with("c32") || meta.datatype.starts_with("c64");
    let mut out =
        Out { datatype: "char", arraysize: None, cast: None, unicode: false, fixed: None, string_len: None, null: None };
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
            out.unicode |= !s.is_ascii();
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
    if matches!(out.datatype, "unsignedByte" | "short" | "int" | "long")
        && let Some(rule) = &meta.null_rule
    {
        out.null = rule.strip_prefix("TNULL ").unwrap_or(rule).parse().ok().filter(|v: &i64| match out.datatype {
            "unsignedByte" => u8::try_from(*v).is_ok(),
            "short" => i16::try_from(*v).is_ok(),
            "int" => i32::try_from(*v).is_ok(),
            _ => true,
        });
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

fn outs_of(table: &Table) -> Result<Vec<Out>> {
    table.frame().columns().iter().zip(table.columns()).map(|(c, m)| out_of(c, m)).collect()
}

/// The document without data, which describes the columns of a Parquet or Arrow file.
pub(crate) fn data_less(table: &Table) -> Result<String> {
    let mut s = head(table, &outs_of(table)?);
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

/// Write a whole document.
///
/// # Errors
/// [`Error::Polars`], [`Error::Io`].
pub(crate) fn write_votable(table: &Table, out: &mut dyn Write) -> Result<()> {
    let io = |e: std::io::Error| Error::io("VOTable", e);
    let outs = outs_of(table)?;
    out.write_all(head(table, &outs).as_bytes()).map_err(io)?;
    out.write_all(b"<DATA>\n<BINARY2>\n<STREAM encoding=\"base64\">\n").map_err(io)?;
    let rows = table.rows();
    let width = outs.len();
    // Columns as VOTable has them, in one chunk each.
    let mut columns: Vec<Series> = Vec::with_capacity(width);
    for (column, o) in table.frame().columns().iter().zip(&outs) {
        let mut series = column.as_materialized_series().rechunk();
        if let Some(to) = &o.cast {
            let to = if series.dtype().is_list() { DataType::List(Box::new(to.clone())) } else { to.clone() };
            series = series.cast(&to)?;
        }
        columns.push(series);
    }
    let mut sources = Vec::with_capacity(width);
    for (series, o) in columns.iter().zip(&outs) {
        sources.push(match series.dtype() {
            DataType::String => Source::Text(series.str()?, o.unicode),
            DataType::List(_) => Source::List(series.list()?),
            _ => {
                let bytes = stored(series, o.null)?;
                let n = if rows == 0 { 0 } else { bytes.len() / rows };
                Source::Fixed(bytes, n, (series.null_count() > 0).then(|| series.is_null()))
            }
        });
    }
    let flag_bytes = width.div_ceil(8);
    let engine = base64::engine::general_purpose::STANDARD;
    const CHUNK: usize = 48 * 1024;
    let mut buffer: Vec<u8> = Vec::with_capacity(2 * CHUNK);
    let mut text = String::new();
    let mut flush = |buffer: &mut Vec<u8>, all: bool| -> Result<()> {
        let whole = if all { buffer.len() } else { buffer.len() / CHUNK * CHUNK };
        for piece in buffer[..whole].chunks(CHUNK) {
            text.clear();
            engine.encode_string(piece, &mut text);
            text.push('\n');
            out.write_all(text.as_bytes()).map_err(io)?;
        }
        buffer.drain(..whole);
        Ok(())
    };
    for row in 0..rows {
        let flags_at = buffer.len();
        buffer.resize(flags_at + flag_bytes, 0);
        for (i, (source, o)) in sources.iter().zip(&outs).enumerate() {
            let mut null = false;
            match source {
                Source::Fixed(bytes, n, nulls) => {
                    buffer.extend_from_slice(&bytes[row * n..(row + 1) * n]);
                    null = nulls.as_ref().is_some_and(|m| m.get(row) == Some(true));
                }
                Source::Text(texts, unicode) => match texts.get(row) {
                    Some(t) => {
                        put_count(if *unicode { t.encode_utf16().count() } else { t.len() }, &mut buffer);
                        put_text(t, *unicode, &mut buffer);
                    }
                    None => {
                        null = true;
                        put_count(0, &mut buffer);
                    }
                },
                Source::List(lists) => match lists.get_as_series(row) {
                    Some(cell) => put_list(&cell, o, &mut buffer)?,
                    None => {
                        null = true;
                        match o.fixed {
                            // The cell's bytes are there all the same.
                            Some(n) => {
                                let size = match o.datatype {
                                    "boolean" | "unsignedByte" => 1,
                                    "short" => 2,
                                    "int" | "float" | "floatComplex" => 4,
                                    _ => 8,
                                };
                                let len = buffer.len();
                                buffer.resize(len + n * size, 0);
                            }
                            None => put_count(0, &mut buffer),
                        }
                    }
                },
            }
            if null {
                buffer[flags_at + i / 8] |= 0x80 >> (i % 8);
            }
        }
        if buffer.len() >= CHUNK {
            flush(&mut buffer, false)?;
        }
    }
    flush(&mut buffer, true)?;
    out.write_all(b"</STREAM>\n</BINARY2>\n</DATA>\n</TABLE>\n</RESOURCE>\n</VOTABLE>\n").map_err(io)?;
    Ok(())
}

fn put_list(cell: &Series, o: &Out, out: &mut Vec<u8>) -> Result<()> {
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
    out.extend_from_slice(&stored(cell, o.null)?);
    Ok(())
}
