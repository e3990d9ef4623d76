//! `asterism info`: what a table or product holds.

use std::path::PathBuf;

use asterism_session::data::{self, Image, LightCurve, Medium, Part, Spectrum, Table};
use clap::Args;
use serde_json::{Value, json};

use super::{Done, Outcome};

/// Words of the call.
#[derive(Args)]
pub struct Info {
    /// A table, a product, or the folder of a HATS catalogue; of a file that holds several tables one alone as `FILE[NAME]` or
    /// `FILE[2]`.
    path: PathBuf,
}

/// Say what is in a file.
pub fn info(a: &Info) -> Outcome {
    if data::hats::is_catalogue(&a.path) {
        return catalogue(&a.path);
    }
    if let Some(picture) = picture(&a.path)? {
        return Ok(picture);
    }
    let (parts, of_file) = asterism_session::ledger::read_parts(&a.path)?;
    let mut warnings: Vec<&String> =
        parts.iter().filter_map(|p| if let Part::Table(t) = p { Some(&t.warnings) } else { None }).flatten().collect();
    // What a table says of the file already is not said twice.
    let has_tables = parts.iter().any(|p| matches!(p, Part::Table(_)));
    let of_file: Vec<&String> = of_file.iter().filter(|w| !has_tables && !warnings.contains(w)).collect();
    warnings.extend(&of_file);
    let truncated = parts.iter().any(|p| matches!(p, Part::Table(t) if t.truncated));
    let described: Vec<Value> = parts.iter().map(describe).collect();
    // Several tables: each with the path that names it.
    let tables: Vec<Table> = parts.iter().filter_map(|p| if let Part::Table(t) = p { Some(t.clone()) } else { None }).collect();
    let mut names = data::read::names_in_path(&tables).into_iter();
    let mut told = |part: &Part| {
        let text = say(part);
        if tables.len() < 2 || !matches!(part, Part::Table(_)) {
            return text;
        }
        let (head, columns) = text.split_once('\n').unwrap_or((&text, ""));
        format!("{head}; alone as {}[{}]\n{columns}", a.path.display(), names.next().unwrap_or_default())
    };
    let text = parts.iter().map(&mut told).chain(of_file.iter().map(|w| format!("warning: {w}"))).collect::<Vec<_>>().join("\n");
    Ok(Done { json: json!({"path": a.path.display().to_string(), "parts": described, "warnings": warnings}), text, truncated })
}

/// A picture in colours (PNG, JPEG), such as a preview.
fn picture(path: &std::path::Path) -> Result<Option<Done>, super::Ended> {
    use std::io::Read;
    let mut head = Vec::new();
    let Ok(file) = std::fs::File::open(path) else { return Ok(None) };
    if file.take(8).read_to_end(&mut head).is_err() || !(head.starts_with(b"\x89PNG") || head.starts_with(b"\xff\xd8\xff")) {
        return Ok(None);
    }
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| data::Error::io(path, e))?;
    let [height, width] = data::Picture::decode(&name, &bytes)?.shape;
    let part = json!({"kind": "picture", "name": name, "width": width, "height": height});
    Ok(Some(Done {
        json: json!({"path": name, "parts": [part], "warnings": []}),
        text: format!("picture of {width} × {height} pixels in colours"),
        truncated: false,
    }))
}

/// A HATS catalogue: what it says of itself, without reading its rows.
fn catalogue(path: &std::path::Path) -> Outcome {
    let c = data::hats::Catalogue::open_folder(path)?;
    let columns = c.columns(&data::hats::local)?;
    let described: Vec<Value> =
        columns.columns().iter().map(|m| json!({"name": m.name, "type": m.datatype, "unit": m.unit, "ucd": m.ucd})).collect();
    let orders = || c.cells.iter().map(|cell| cell.order);
    let names: Vec<&str> = columns.columns().iter().map(|m| m.name.as_str()).collect();
    let text = format!(
        "HATS {} {}: {} rows in {} cells of order {} to {}; columns {}{}",
        c.kind,
        c.name,
        c.rows.map_or("unknown".into(), |n| n.to_string()),
        c.cells.len(),
        orders().min().unwrap_or(0),
        orders().max().unwrap_or(0),
        names.join(", "),
        if c.margins.is_empty() { String::new() } else { format!("; margins {}", c.margins.join(", ")) }
    );
    let part = json!({"kind": "catalogue", "name": c.name, "type": c.kind, "rows": c.rows, "cells": c.cells.len(), "orders": [orders().min(), orders().max()],
        "position": c.position, "margins": c.margins, "columns": described});
    Ok(Done {
        json: json!({"path": path.display().to_string(), "parts": [part], "warnings": columns.warnings}),
        text,
        truncated: false,
    })
}

fn finite(v: f64) -> Value {
    if v.is_finite() { json!(v) } else { Value::Null }
}

fn describe(part: &Part) -> Value {
    match part {
        Part::Table(t) => table(t),
        Part::Image(i) => image(&i.scanned().unwrap_or_else(|_| i.clone())),
        Part::Spectrum(s) => spectrum(s),
        Part::LightCurve(l) => light_curve(l),
    }
}

fn table(t: &Table) -> Value {
    let columns: Vec<Value> = t
        .columns()
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let mut v = json!({"name": c.name, "type": c.datatype, "unit": c.unit, "ucd": c.ucd, "description": c.description});
            // Columns without statistics (text arrays) keep their name and type.
            let s = t.statistics(i).unwrap_or_default();
            v["nulls"] = json!(s.nulls);
            v["min"] = number(s.min);
            v["max"] = number(s.max);
            v
        })
        .collect();
    json!({"kind": "table", "name": t.name, "rows": t.rows(), "truncated": t.truncated, "columns": columns})
}

/// 64-bit integers stay integers.
fn number(cell: data::Cell) -> Value {
    match cell {
        data::Cell::Int(v) => json!(v),
        data::Cell::UInt(v) => json!(v),
        data::Cell::Float(v) => finite(v),
        data::Cell::Text(v) => json!(v),
        data::Cell::Bool(v) => json!(v),
        data::Cell::Null | data::Cell::Array(_) => Value::Null,
    }
}

fn image(i: &Image) -> Value {
    let mut v = json!({"kind": "image", "name": i.name, "shape": i.shape, "unit": i.unit, "min": finite(i.min), "max": finite(i.max), "mean": finite(i.mean), "nan": i.nan});
    let centre = i.wcs.as_ref().and_then(|w| w.sky_from_pixel((i.shape[1] as f64 - 1.0) / 2.0, (i.shape[0] as f64 - 1.0) / 2.0));
    if let Some((ra, dec)) = centre {
        v["centre_deg"] = json!([ra, dec]);
    }
    v
}

fn ends(values: &[f64]) -> Value {
    let (a, b) =
        values.iter().filter(|v| v.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    if a <= b { json!([a, b]) } else { Value::Null }
}

fn spectrum(s: &Spectrum) -> Value {
    let medium = match s.medium {
        Medium::Vacuum => "vacuum",
        Medium::Air => "air",
        Medium::Unknown => "unknown",
    };
    json!({"kind": "spectrum", "name": s.name, "samples": s.flux.len(), "wavelength_m": ends(&s.wavelength_m), "axis": ends(&s.axis), "axis_unit": s.axis_unit,
        "flux_unit": s.flux_unit, "medium": medium, "bad": s.bad(), "rule": s.rule, "units_assumed": s.units_assumed})
}

fn light_curve(l: &LightCurve) -> Value {
    json!({"kind": "light_curve", "name": l.name, "samples": l.flux.len(), "kept": l.kept.iter().filter(|k| **k).count(), "time_bjd": ends(&l.time_bjd),
        "flux_unit": l.flux_unit, "rule": l.rule})
}

fn say(part: &Part) -> String {
    match part {
        Part::Table(t) => {
            let mut text = format!(
                "table '{}': {} rows, {} columns{}",
                t.name,
                t.rows(),
                t.columns().len(),
                if t.truncated { " (TRUNCATED)" } else { "" }
            );
            for c in t.columns() {
                let unit = c.unit.as_deref().map_or(String::new(), |u| format!(" [{u}]"));
                let ucd = c.ucd.as_deref().unwrap_or("");
                text.push_str(&format!("\n  {:24} {:8}{unit:16} {ucd}", c.name, c.datatype));
            }
            for w in &t.warnings {
                text.push_str(&format!("\n  warning: {w}"));
            }
            text
        }
        Part::Image(i) if i.rows.is_some() && i.min.is_nan() && i.nan == 0 => match i.scanned() {
            Ok(i) => say(&Part::Image(Image { rows: None, ..i })),
            Err(e) => format!("image '{}': {} × {} (rows × columns), {e}", i.name, i.shape[0], i.shape[1]),
        },
        Part::Image(i) => format!(
            "image '{}': {} × {} (rows × columns), {} … {} {}, {} without a value",
            i.name, i.shape[0], i.shape[1], i.min, i.max, i.unit, i.nan
        ),
        Part::Spectrum(s) => format!(
            "spectrum '{}': {} samples, {} bad, flux in {} ({})",
            s.name,
            s.flux.len(),
            s.bad(),
            if s.flux_unit.is_empty() { "unknown units" } else { &s.flux_unit },
            s.rule
        ),
        Part::LightCurve(l) => format!(
            "light curve '{}': {} samples, {} kept ({})",
            l.name,
            l.flux.len(),
            l.kept.iter().filter(|k| **k).count(),
            l.rule
        ),
    }
}
