//! ECSV 1.0 (astropy APE 6): CSV with a header in comments that keeps types, units and
//! descriptions.
//!
//! The header is YAML. Of YAML only what ECSV writers use is understood: the list of columns as
//! flow mappings `{name: a, unit: deg}` or as blocks, and a `meta` that is a flow mapping.
//! Array cells are JSON text with a `subtype`, as the standard has it. UCDs and the like go into
//! each column's `meta`, the table's name, description and parameters into the table's.

use std::io::Write;
use std::sync::Arc;

use polars::prelude::*;

use crate::column::{Builder, Elem};
use crate::csv::read_separated;
use crate::table::{ColumnMeta, Param, Table};
use crate::{Error, Result};

/// A mapping's pairs; nested values are kept as text.
fn pairs(text: &str) -> Vec<(String, String)> {
    let text = text.trim().trim_start_matches("!!omap").trim();
    let text = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
    split_top(text, ',')
        .into_iter()
        .filter_map(|item| {
            let parts = split_top(&item, ':');
            let (key, rest) = parts.split_first()?;
            (!rest.is_empty()).then(|| (scalar(key), rest.join(":").trim().to_owned()))
        })
        .collect()
}

/// Split at `at` outside quotes and brackets; a colon only counts before a blank or a quote.
fn split_top(text: &str, at: char) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut depth = 0i32;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let chars: Vec<char> = text.chars().collect();
    for (i, &c) in chars.iter().enumerate() {
        let mut keep = true;
        match quote {
            Some(q) => {
                if q == '"' && c == '\\' && !escaped {
                    escaped = true;
                } else {
                    if c == q && !escaped {
                        quote = None;
                    }
                    escaped = false;
                }
            }
            None => match c {
                // A quote opens at the head of a key or a value; elsewhere it is a letter like others.
                '"' | '\'' if out.last().is_some_and(|s| s.trim_end().chars().last().is_none_or(|p| ":,{[".contains(p))) => {
                    quote = Some(c)
                }
                '{' | '[' => depth += 1,
                '}' | ']' => depth -= 1,
                _ if c == at
                    && depth == 0
                    && (c != ':' || (out.len() == 1 && chars.get(i + 1).is_none_or(|n| " \"'".contains(*n)))) =>
                {
                    keep = false
                }
                _ => {}
            },
        }
        if keep {
            if let Some(last) = out.last_mut() {
                last.push(c);
            }
        } else {
            out.push(String::new());
        }
    }
    out.retain(|s| !s.trim().is_empty());
    out
}

/// A YAML scalar without its quotes.
fn scalar(text: &str) -> String {
    let text = text.trim();
    if text.starts_with('"') {
        return serde_json::from_str::<String>(text).unwrap_or_else(|_| text.trim_matches('"').to_owned());
    }
    match text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        Some(inner) => inner.replace("''", "'"),
        None => text.to_owned(),
    }
}

#[derive(Default)]
struct Head {
    delimiter: Option<u8>,
    columns: Vec<Vec<(String, String)>>,
    meta: Option<String>,
}

fn parse_head(lines: &[&str]) -> Head {
    let mut head = Head::default();
    let mut section = String::new();
    let mut i = 0;
    while i < lines.len() {
        let mut line = lines[i].to_owned();
        // A flow mapping over several lines.
        let open = |s: &str| s.matches(['{', '[']).count() > s.matches(['}', ']']).count();
        while open(&line) && i + 1 < lines.len() && lines[i + 1].starts_with(' ') {
            i += 1;
            line.push(' ');
            line.push_str(lines[i].trim());
        }
        i += 1;
        let trimmed = line.trim();
        if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let (key, value) = trimmed.split_once(':').unwrap_or((trimmed, ""));
            section = key.to_owned();
            match key {
                "delimiter" => {
                    let d = value.trim();
                    let d = scalar(d);
                    head.delimiter = if d == "\\t" { Some(b'\t') } else { d.bytes().next().or(Some(b' ')) };
                }
                "meta" => head.meta = Some(value.trim().to_owned()),
                _ => {}
            }
        } else if section == "datatype" {
            if let Some(item) = trimmed.strip_prefix("- ") {
                head.columns.push(pairs(item));
            } else if let Some(last) = head.columns.last_mut() {
                last.extend(pairs(trimmed));
            }
        }
    }
    head
}

fn elem_of(datatype: &str) -> Option<Elem> {
    Some(match datatype {
        "bool" => Elem::Bool,
        "int8" => Elem::I8,
        "uint8" => Elem::U8,
        "int16" => Elem::I16,
        "uint16" => Elem::U16,
        "int32" => Elem::I32,
        "uint32" => Elem::U32,
        "int64" => Elem::I64,
        "uint64" => Elem::U64,
        "float16" | "float32" => Elem::F32,
        "float64" | "float128" => Elem::F64,
        "string" => Elem::Text,
        _ => return None,
    })
}

fn datatype_of(elem: Elem) -> &'static str {
    match elem {
        Elem::Bool => "bool",
        Elem::I8 => "int8",
        Elem::U8 => "uint8",
        Elem::I16 => "int16",
        Elem::U16 => "uint16",
        Elem::I32 => "int32",
        Elem::U32 => "uint32",
        Elem::I64 => "int64",
        Elem::U64 => "uint64",
        Elem::F32 => "float32",
        Elem::F64 => "float64",
        Elem::Text => "string",
    }
}

fn polars_of(elem: Elem) -> DataType {
    match elem {
        Elem::Bool | Elem::Text => DataType::String,
        Elem::I8 => DataType::Int8,
        Elem::U8 => DataType::UInt8,
        Elem::I16 => DataType::Int16,
        Elem::U16 => DataType::UInt16,
        Elem::I32 => DataType::Int32,
        Elem::U32 => DataType::UInt32,
        Elem::I64 => DataType::Int64,
        Elem::U64 => DataType::UInt64,
        Elem::F32 => DataType::Float32,
        Elem::F64 => DataType::Float64,
    }
}

/// Read.
///
/// # Errors
/// [`Error::Format`].
pub(crate) fn read_ecsv(what: &str, bytes: Vec<u8>) -> Result<Table> {
    let text = crate::votable::text_of(&bytes);
    let mut lines = Vec::new();
    let mut body = text.as_ref();
    while body.starts_with('#') {
        let (line, rest) = body.split_once('\n').unwrap_or((body, ""));
        let line = line.trim_end_matches('\r').trim_start_matches('#');
        lines.push(line.strip_prefix(' ').unwrap_or(line));
        body = rest;
    }
    let head = parse_head(&lines);
    let separator = head.delimiter.unwrap_or(b' ');
    let of =
        |c: &[(String, String)], key: &str| c.iter().find(|(k, _)| k == key).map(|(_, v)| scalar(v)).filter(|v| !v.is_empty());
    let mut types = Schema::default();
    for c in &head.columns {
        if let (Some(name), Some(datatype)) = (of(c, "name"), of(c, "datatype")) {
            // polars leaves doubled quotes in names of the header line as they are.
            types.with_column(name.replace('"', "\"\"").into(), elem_of(&datatype).map_or(DataType::String, polars_of));
        }
    }
    if head.columns.is_empty() {
        return Err(Error::format(what, "is ECSV but its header lists no columns (datatype)"));
    }
    let texts: Vec<String> = types.iter().filter(|(_, t)| **t == DataType::String).map(|(n, _)| n.to_string()).collect();
    let mut table = read_separated(what, body.as_bytes().to_vec(), separator, Some(Arc::new(types)))?;
    let mut frame = table.frame().clone();
    // In a column of text `nan` and `NULL` are words.
    if !texts.is_empty()
        && let Ok(words) = crate::csv::words(body.as_bytes(), separator, &texts)
        && words.height() == frame.height()
    {
        for word in words.columns() {
            let name = word.name().replace("\"\"", "\"");
            if let Some(i) = frame.get_column_index(&name) {
                frame.replace_column(i, word.clone().with_name(name.into()))?;
            }
        }
    }
    let mut broken = 0;
    let mut metas: Vec<ColumnMeta> = table.columns().to_vec();
    for c in &head.columns {
        let Some(name) = of(c, "name") else { continue };
        let Some(i) = metas.iter().position(|m| m.name == name) else { continue };
        let meta = &mut metas[i];
        meta.unit = of(c, "unit");
        meta.description = of(c, "description");
        if let Some((_, extra)) = c.iter().find(|(k, _)| k == "meta") {
            let extra = pairs(extra);
            meta.ucd = of(&extra, "ucd");
            meta.utype = of(&extra, "utype");
            meta.xtype = of(&extra, "xtype");
            meta.null_rule = of(&extra, "null_rule");
            if let Some(datatype) = of(&extra, "datatype") {
                meta.datatype = datatype;
            }
        }
        let datatype = of(c, "datatype").unwrap_or_default();
        let column = frame.columns()[i].clone();
        let Ok(texts) = column.str() else { continue };
        if let Some(subtype) = of(c, "subtype") {
            let (base, shape) = subtype.split_once('[').map_or((subtype.as_str(), ""), |(b, s)| (b, s.trim_end_matches(']')));
            let Some(elem) = elem_of(base) else { continue };
            let (series, bad) = arrays(texts, elem, &name);
            broken += bad;
            frame.with_column(series.into_column())?;
            if !meta.datatype.contains('[') {
                meta.datatype = if shape.is_empty() || shape.contains("null") {
                    format!("{}[*]", elem.name())
                } else {
                    format!("{}[{shape}]", elem.name())
                };
            }
        } else if let ("complex64" | "complex128" | "complex256", false) = (datatype.as_str(), meta.datatype.contains('[')) {
            // `(1+2j)`, as astropy writes it: real and imaginary part.
            let parts: ListChunked =
                texts.iter().map(|t| t.and_then(complex).map(|[re, im]| Series::new("".into(), [re, im]))).collect();
            let single = datatype == "complex64";
            let to = DataType::List(Box::new(if single { DataType::Float32 } else { DataType::Float64 }));
            frame.with_column(parts.with_name(name.as_str().into()).into_column().cast(&to)?)?;
            meta.datatype = if single { "c32" } else { "c64" }.into();
        } else if datatype == "bool" {
            let bools: BooleanChunked = texts
                .iter()
                .map(|t| match t.unwrap_or_default() {
                    "True" | "true" | "1" | "T" => Some(true),
                    "False" | "false" | "0" | "F" => Some(false),
                    _ => None,
                })
                .collect();
            frame.with_column(bools.with_name(name.as_str().into()).into_column())?;
            meta.datatype = "bool".into();
        }
    }
    let warnings = std::mem::take(&mut table.warnings);
    let mut table = Table::new("", frame, metas)?;
    table.warnings = warnings;
    if broken > 0 {
        table.warnings.push(format!("{broken} array cells are no JSON arrays and were left empty"));
    }
    if let Some(meta) = &head.meta
        && let Ok(meta) = serde_json::from_str::<serde_json::Value>(meta)
    {
        let text = |k: &str| meta.get(k).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
        table.name = text("name");
        table.description = text("description");
        table.truncated |= meta.get("truncated").and_then(serde_json::Value::as_bool).unwrap_or(false);
        if let Some(params) = meta.get("params") {
            table.params = serde_json::from_value::<Vec<Param>>(params.clone()).unwrap_or_default();
        }
    }
    Ok(table)
}

/// Real and imaginary part of a number such as `(1.5-2e3j)`, `2j` or `1`.
fn complex(text: &str) -> Option<[f64; 2]> {
    let text = text.trim().trim_start_matches('(').trim_end_matches(')');
    let Some(body) = text.strip_suffix(['j', 'J']) else { return text.parse().ok().map(|re| [re, 0.0]) };
    // The last sign that is no exponent's.
    let at = body
        .char_indices()
        .rev()
        .find(|(i, c)| *i > 0 && matches!(c, '+' | '-') && !body[..*i].ends_with(['e', 'E']))
        .map(|(i, _)| i);
    let (re, im) = at.map_or(("0", body), |i| body.split_at(i));
    Some([re.parse().ok()?, im.parse().ok()?])
}

/// The elements of an array in JSON, arrays within it one after another; `NaN` and the infinities stand as Python writes them.
/// None where it is no array.
fn elements(text: &str) -> Option<Vec<Element<'_>>> {
    let mut out = Vec::new();
    let mut depth = 0usize;
    let mut rest = text.trim();
    rest.starts_with('[').then_some(())?;
    loop {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        match first {
            '[' => depth += 1,
            ']' => depth = depth.checked_sub(1)?,
            ',' => {}
            '"' => {
                let mut escaped = false;
                let end = rest[1..].char_indices().find(|(_, c)| {
                    let ends = *c == '"' && !escaped;
                    escaped = *c == '\\' && !escaped;
                    ends
                })?;
                let (word, after) = rest.split_at(end.0 + 2);
                out.push(Element::Text(serde_json::from_str(word).ok()?));
                rest = after;
                continue;
            }
            _ => {
                let end = rest.find([',', ']', '[', '"']).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                out.push(match word.trim_end() {
                    "null" => Element::Null,
                    "true" => Element::Bool(true),
                    "false" => Element::Bool(false),
                    "NaN" => Element::Number("NaN"),
                    "Infinity" => Element::Number("inf"),
                    "-Infinity" => Element::Number("-inf"),
                    number if number.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) => {
                        Element::Number(number)
                    }
                    _ => return None,
                });
                rest = after;
                continue;
            }
        }
        rest = &rest[1..];
        if depth == 0 {
            return rest.trim().is_empty().then_some(out);
        }
    }
}

enum Element<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(String),
}

impl Element<'_> {
    fn number<T: std::str::FromStr>(&self) -> Option<T> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// Cells of JSON as arrays, and how many are none; nested arrays are flattened (their shape is in the datatype).
fn arrays(texts: &StringChunked, elem: Elem, name: &str) -> (Series, usize) {
    let mut b = Builder::new(elem, true, name, texts.len());
    let mut broken = 0;
    for text in texts.iter() {
        let Some(items) = text.and_then(elements) else {
            broken += usize::from(text.is_some());
            b.push_null();
            continue;
        };
        macro_rules! put {
            ($b:expr, $get:expr) => {{
                let values: Vec<Option<_>> = items.iter().map($get).collect();
                $b.append_iter(values.iter().copied())
            }};
        }
        match &mut b {
            Builder::BoolList(b) => put!(b, |v: &Element| if let Element::Bool(v) = v { Some(*v) } else { None }),
            Builder::I8List(b) => put!(b, Element::number),
            Builder::U8List(b) => put!(b, Element::number),
            Builder::I16List(b) => put!(b, Element::number),
            Builder::U16List(b) => put!(b, Element::number),
            Builder::I32List(b) => put!(b, Element::number),
            Builder::U32List(b) => put!(b, Element::number),
            Builder::I64List(b) => put!(b, Element::number),
            Builder::U64List(b) => put!(b, Element::number),
            Builder::F32List(b) => put!(b, Element::number),
            Builder::F64List(b) => put!(b, Element::number),
            Builder::TextList(b) => {
                let words: Vec<Option<&str>> =
                    items.iter().map(|v| if let Element::Text(v) = v { Some(v.as_str()) } else { None }).collect();
                b.append_trusted_len_iter(words.into_iter());
            }
            other => other.push_null(),
        }
    }
    (b.finish(), broken)
}

/// A shape of more than numbers that all cells of a column have; none where some cell has another.
fn shape_of(column: &Column, datatype: &str) -> Result<Option<Vec<usize>>> {
    let Some((_, dims)) = datatype.split_once('[') else { return Ok(None) };
    let Some(shape) = dims.trim_end_matches(']').split(',').map(|n| n.trim().parse().ok()).collect::<Option<Vec<usize>>>() else {
        return Ok(None);
    };
    let total: usize = shape.iter().product();
    let lists = column.list()?;
    Ok((!shape.is_empty() && lists.iter().all(|c| c.is_none_or(|c| c.len() == total))).then_some(shape))
}

/// Write, separated by commas.
///
/// # Errors
/// [`Error::Polars`], [`Error::Io`].
pub(crate) fn write_ecsv(table: &Table, out: &mut dyn Write) -> Result<()> {
    let q = |s: &str| serde_json::to_string(s).unwrap_or_default();
    let mut text = String::from("# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n");
    let mut columns = Vec::new();
    for (column, meta) in table.frame().columns().iter().zip(table.columns()) {
        let (elem, list) = Elem::of(column.dtype()).unwrap_or((Elem::Text, false));
        text.push_str(&format!("# - {{name: {}", q(&meta.name)));
        let is_complex = list && meta.datatype.starts_with('c');
        // A complex number a cell; arrays of them, which JSON does not have, stand as their parts.
        let one_complex = match meta.datatype.as_str() {
            "c32" if is_complex => Some("complex64"),
            "c64" if is_complex => Some("complex128"),
            _ => None,
        };
        let shape = if list && !is_complex { shape_of(column, &meta.datatype)? } else { None };
        if let Some(unit) = &meta.unit {
            text.push_str(&format!(", unit: {}", q(unit)));
        }
        if list {
            let dims: Vec<String> = shape.iter().flatten().map(ToString::to_string).collect();
            let dims = if dims.is_empty() { "null".to_owned() } else { dims.join(",") };
            match one_complex {
                Some(name) => text.push_str(&format!(", datatype: {name}")),
                None => text.push_str(&format!(", datatype: string, subtype: '{}[{dims}]'", datatype_of(elem))),
            }
        } else {
            text.push_str(&format!(", datatype: {}", datatype_of(elem)));
        }
        if let Some(d) = &meta.description {
            text.push_str(&format!(", description: {}", q(d)));
        }
        let complex = (is_complex && one_complex.is_none()).then(|| meta.datatype.clone());
        let extra: Vec<String> = [
            ("ucd", &meta.ucd),
            ("utype", &meta.utype),
            ("xtype", &meta.xtype),
            ("null_rule", &meta.null_rule),
            ("datatype", &complex),
        ]
        .iter()
        .filter_map(|(k, v)| v.as_ref().map(|v| format!("{k}: {}", q(v))))
        .collect();
        if !extra.is_empty() {
            text.push_str(&format!(", meta: {{{}}}", extra.join(", ")));
        }
        text.push_str("}\n");
        columns.push(if list {
            let lists = column.list()?;
            let one = |cell: Series| match one_complex {
                Some(_) => complex_cell(&cell),
                None => json_cell(&cell, shape.as_deref().unwrap_or_default()),
            };
            let cells: StringChunked = (0..lists.len()).map(|i| lists.get_as_series(i).map(one)).collect();
            cells.with_name(column.name().clone()).into_column()
        } else if elem == Elem::Bool {
            let cells: StringChunked = column.bool()?.iter().map(|v| v.map(|v| if v { "True" } else { "False" })).collect();
            cells.with_name(column.name().clone()).into_column()
        } else {
            column.clone()
        });
    }
    let mut meta = serde_json::json!({"name": table.name, "description": table.description, "params": table.params});
    if table.truncated {
        meta["truncated"] = true.into();
    }
    text.push_str(&format!("# meta: {meta}\n# schema: astropy-2.0\n"));
    out.write_all(text.as_bytes()).map_err(|e| Error::io("ECSV", e))?;
    let mut frame = DataFrame::new(table.rows(), columns)?;
    CsvWriter::new(out).include_header(true).finish(&mut frame)?;
    Ok(())
}

/// `(1.5-2j)`, as Python writes and reads it.
fn complex_cell(cell: &Series) -> String {
    let part = |i: usize| match cell.get(i) {
        Ok(AnyValue::Float32(f)) => format!("{f:?}"),
        Ok(AnyValue::Float64(f)) => format!("{f:?}"),
        _ => "nan".into(),
    };
    let (re, im) = (part(0).to_ascii_lowercase(), part(1).to_ascii_lowercase());
    let sign = if im.starts_with('-') { "" } else { "+" };
    format!("({re}{sign}{im}j)")
}

/// An array in JSON; of several dimensions when `shape` has several.
fn json_cell(cell: &Series, shape: &[usize]) -> String {
    let mut items: Vec<String> = cell
        .iter()
        .map(|v| match v {
            AnyValue::Null => "null".into(),
            AnyValue::String(s) => serde_json::to_string(s).unwrap_or_default(),
            AnyValue::StringOwned(s) => serde_json::to_string(s.as_str()).unwrap_or_default(),
            AnyValue::Boolean(b) => b.to_string(),
            AnyValue::Float32(f) if f.is_nan() => "NaN".into(),
            AnyValue::Float64(f) if f.is_nan() => "NaN".into(),
            AnyValue::Float32(f) if f.is_infinite() => {
                if f > 0.0 {
                    "Infinity".into()
                } else {
                    "-Infinity".into()
                }
            }
            AnyValue::Float64(f) if f.is_infinite() => {
                if f > 0.0 {
                    "Infinity".into()
                } else {
                    "-Infinity".into()
                }
            }
            AnyValue::Float32(f) => format!("{f:?}"),
            AnyValue::Float64(f) => format!("{f:?}"),
            other => other.to_string(),
        })
        .collect();
    // The innermost dimension first: each round puts brackets around runs of its length.
    for width in shape.iter().skip(1).rev().filter(|w| **w > 0) {
        items = items.chunks(*width).map(|run| format!("[{}]", run.join(","))).collect();
    }
    format!("[{}]", items.join(","))
}
