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
    let mut table = read_separated(what, body.as_bytes().to_vec(), separator, Some(Arc::new(types)))?;
    let mut frame = table.frame().clone();
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
            let series = arrays(texts, elem, &name);
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
            frame.with_column(parts.with_name(name.as_str().into()).into_column())?;
            meta.datatype = "c64".into();
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

/// Cells of JSON as arrays; nested arrays are flattened (their shape is in the datatype).
fn arrays(texts: &StringChunked, elem: Elem, name: &str) -> Series {
    fn flatten(v: &serde_json::Value, out: &mut Vec<serde_json::Value>) {
        match v {
            serde_json::Value::Array(items) => items.iter().for_each(|i| flatten(i, out)),
            other => out.push(other.clone()),
        }
    }
    let mut b = Builder::new(elem, true, name, texts.len());
    for text in texts.iter() {
        let parsed = text.and_then(|t| {
            let clean = t.replace("NaN", "null").replace("-Infinity", "-1e999").replace("Infinity", "1e999");
            serde_json::from_str::<serde_json::Value>(&clean).ok()
        });
        let Some(value) = parsed else {
            b.push_null();
            continue;
        };
        let mut items = Vec::new();
        flatten(&value, &mut items);
        macro_rules! put {
            ($b:expr, $get:expr) => {{
                let values: Vec<Option<_>> = items.iter().map($get).collect();
                $b.append_iter(values.iter().copied())
            }};
        }
        match &mut b {
            Builder::BoolList(b) => put!(b, |v: &serde_json::Value| v.as_bool()),
            Builder::I8List(b) => put!(b, |v: &serde_json::Value| v.as_i64().and_then(|v| i8::try_from(v).ok())),
            Builder::U8List(b) => put!(b, |v: &serde_json::Value| v.as_i64().and_then(|v| u8::try_from(v).ok())),
            Builder::I16List(b) => put!(b, |v: &serde_json::Value| v.as_i64().and_then(|v| i16::try_from(v).ok())),
            Builder::U16List(b) => put!(b, |v: &serde_json::Value| v.as_i64().and_then(|v| u16::try_from(v).ok())),
            Builder::I32List(b) => put!(b, |v: &serde_json::Value| v.as_i64().and_then(|v| i32::try_from(v).ok())),
            Builder::U32List(b) => put!(b, |v: &serde_json::Value| v.as_i64().and_then(|v| u32::try_from(v).ok())),
            Builder::I64List(b) => put!(b, |v: &serde_json::Value| v.as_i64()),
            Builder::U64List(b) => put!(b, |v: &serde_json::Value| v.as_u64()),
            Builder::F32List(b) => put!(b, |v: &serde_json::Value| v.as_f64().map(|v| v as f32)),
            Builder::F64List(b) => put!(b, |v: &serde_json::Value| v.as_f64()),
            Builder::TextList(b) => b.append_values_iter(items.iter().map(|v| v.as_str().unwrap_or_default())),
            other => other.push_null(),
        }
    }
    b.finish()
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
        if let Some(unit) = &meta.unit {
            text.push_str(&format!(", unit: {}", q(unit)));
        }
        if list {
            let shape = meta.datatype.split_once('[').map_or("*", |(_, s)| s.trim_end_matches(']'));
            let complex = meta.datatype.starts_with("c32") || meta.datatype.starts_with("c64");
            let shape = if shape.contains('*') || complex { "null".to_owned() } else { shape.replace(' ', "") };
            text.push_str(&format!(", datatype: string, subtype: '{}[{shape}]'", datatype_of(elem)));
        } else {
            text.push_str(&format!(", datatype: {}", datatype_of(elem)));
        }
        if let Some(d) = &meta.description {
            text.push_str(&format!(", description: {}", q(d)));
        }
        let complex = meta.datatype.starts_with('c').then(|| meta.datatype.clone());
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
            let cells: StringChunked = (0..lists.len()).map(|i| lists.get_as_series(i).map(|cell| json_cell(&cell))).collect();
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

fn json_cell(cell: &Series) -> String {
    let items: Vec<String> = cell
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
    format!("[{}]", items.join(","))
}
