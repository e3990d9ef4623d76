//! `match`: two tables joined by position.

use std::path::PathBuf;
use std::time::Instant;

use asterism_session::archive;
use asterism_session::data::crossmatch::{self, Find, Keep, Positions};
use asterism_session::data::{self, RowSet};
use clap::Args;
use serde_json::json;

use super::{Bar, Done, Ended, Outcome, interrupted, read_dataset};

/// Words of `asterism match`.
#[derive(Args)]
pub struct Match {
    /// The first table.
    a: PathBuf,
    /// The second table.
    b: PathBuf,
    /// Where the joined table goes; the ending says the format.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// How far apart a pair may be: 1arcsec, 0.5arcmin or 0.01deg.
    #[arg(long, default_value = "1arcsec")]
    radius: String,
    /// best: pairs that are each other's nearest; each: the nearest of B for each row of A; all: all pairs.
    #[arg(long, default_value = "best", value_parser = ["best", "each", "all"])]
    find: String,
    /// found: one row a pair; all-a: also the rows of A that have none.
    #[arg(long, default_value = "found", value_parser = ["found", "all-a"])]
    keep: String,
    /// Columns with the positions of A, degrees; found by UCD or name when not given.
    #[arg(long, value_name = "RA,DEC")]
    columns_a: Option<String>,
    /// Columns with the positions of B.
    #[arg(long, value_name = "RA,DEC")]
    columns_b: Option<String>,
    /// Write the rows of A that have no pair here.
    #[arg(long, value_name = "OUT")]
    missed: Option<PathBuf>,
}

fn pair(words: Option<&str>) -> Result<Option<(&str, &str)>, Ended> {
    let Some(words) = words else { return Ok(None) };
    let (ra, dec) = words.split_once(',').ok_or_else(|| Ended::Usage(format!("columns are named as RA,DEC, not '{words}'")))?;
    Ok(Some((ra.trim(), dec.trim())))
}

/// Join two tables by position.
pub fn cross_match(a: &Match) -> Outcome {
    let radius = archive::parse_radius(&a.radius).map_err(|e| Ended::Usage(e.to_string()))?;
    let (columns_a, columns_b) = (pair(a.columns_a.as_deref())?, pair(a.columns_b.as_deref())?);
    let find = match a.find.as_str() {
        "each" => Find::Each,
        "all" => Find::All,
        _ => Find::Best,
    };
    let keep = if a.keep == "all-a" { Keep::AllA } else { Keep::Found };
    let start = Instant::now();
    let (one, two) = (read_dataset(&a.a)?.table, read_dataset(&a.b)?.table);
    let read = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let (from, to) = (Positions::of(&one, columns_a)?, Positions::of(&two, columns_b)?);
    let bar = std::sync::Mutex::new(Bar::new());
    let matches = crossmatch::cross_match(&from, &to, radius * 3600.0, find, &|stage, done, of| {
        if let Ok(bar) = bar.lock() {
            bar.say(stage, done as u64, of as u64);
        }
        !interrupted()
    })?;
    drop(bar);
    let matched = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let joined = crossmatch::join(&one, &two, &matches, keep)?;
    if interrupted() {
        return Err(Ended::Interrupted);
    }
    data::write_table(&joined, None, &a.output)?;
    if let Some(path) = &a.missed {
        data::write_table(&one, Some(&matches.missed_a), path)?;
    }
    let missed = |rows: &RowSet| rows.count();
    Ok(Done {
        json: json!({"pairs": matches.pairs.len(), "rows": joined.rows(), "columns": joined.columns().len(), "missed_a": missed(&matches.missed_a),
            "missed_b": missed(&matches.missed_b), "positions_a": from.columns, "positions_b": to.columns, "radius_arcsec": radius * 3600.0,
            "output": a.output.display().to_string(), "warnings": joined.warnings,
            "seconds": {"read": read, "match": matched, "write": start.elapsed().as_secs_f64()}}),
        text: format!(
            "{} pairs; {} of {} rows of {} and {} of {} of {} have none; to {}",
            matches.pairs.len(),
            missed(&matches.missed_a),
            one.rows(),
            a.a.display(),
            missed(&matches.missed_b),
            two.rows(),
            a.b.display(),
            a.output.display()
        ),
        truncated: joined.truncated,
    })
}
