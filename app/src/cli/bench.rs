//! `asterism bench`: measure this machine.

mod drawing;
mod frames;

use std::path::{Path, PathBuf};
use std::time::Instant;

use asterism_session::data::{self, ColumnMeta, Table};
use asterism_session::reduce::{self, Params, Quiet};
use asterism_session::{Ask, Command, Session, Settings};
use clap::Args;
use serde_json::{Value, json};

use super::{Common, Done, Ended, Outcome, peak_bytes};

/// Words of the call.
#[derive(Args)]
pub struct Bench {
    /// render, read, reduce, window or all.
    #[arg(default_value = "all", value_parser = ["all", "render", "read", "reduce", "window"])]
    what: String,
    /// Only the case of this name (a format, a method, `points`, `sky`, `image`, `ensemble`, `start`, `select`).
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Rows; by default 100,000, a million and ten million of `render`.
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Keep the files of `read` in this folder, so that other programs can be timed on them.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Read this file alone, whatever it is, once.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// What a process that this command starts measures in itself.
    #[arg(long, hide = true, value_enum)]
    inside: Option<frames::Inside>,
}

/// Measure.
pub fn bench(a: &Bench, common: &Common) -> Outcome {
    if let Some(inside) = a.inside {
        return frames::inside(inside, a.rows.unwrap_or(frames::ROWS));
    }
    if let Some(path) = &a.file {
        return read_one(path);
    }
    let mut cases = Vec::new();
    let wants = |name: &str| a.only.as_deref().is_none_or(|o| o == name);
    let all = a.what == "all";
    if all || a.what == "read" {
        read(a.rows.unwrap_or(1_000_000), a.keep.as_deref(), &wants, &mut cases)?;
    }
    if all || a.what == "reduce" {
        reduce_cases(a.rows.unwrap_or(10_000), common, &wants, &mut cases)?;
    }
    if all || a.what == "render" {
        drawing::cases(a.rows, &wants, &mut cases)?;
    }
    if all || a.what == "window" {
        frames::cases(a.rows.unwrap_or(frames::ROWS), common, &wants, &mut cases)?;
    }
    if let (Some(only), true) = (&a.only, cases.is_empty()) {
        return Err(Ended::Usage(format!("no case of '{}' is named '{only}'", a.what)));
    }
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .and_then(|l| l.split(':').nth(1))
        .unwrap_or("unknown")
        .trim()
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let adapter = asterism_render::headless::device()
        .map_or_else(|e| format!("none: {e}"), |(_, _, info)| format!("{} ({:?})", info.name, info.backend));
    let text = cases.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    Ok(Done {
        json: json!({"machine": {"cpu": cpu, "cores": cores, "adapter": adapter}, "cases": cases, "warnings": []}),
        text: format!("{cpu}, {cores} cores, {adapter}\n{text}"),
        truncated: false,
    })
}

/// A small generator (SplitMix64): the table is the same on every machine.
struct Mix(u64);

impl Mix {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn read(rows: usize, keep: Option<&Path>, wants: &dyn Fn(&str) -> bool, cases: &mut Vec<Value>) -> Result<(), Ended> {
    let mut mix = Mix(1);
    let mut table = Table::default();
    "bench".clone_into(&mut table.name);
    for c in 0..8 {
        table.with_f64_column(
            &format!("c{c}"),
            (0..rows).map(|_| mix.unit() * 100.0).collect(),
            ColumnMeta { unit: Some("mag".into()), ..ColumnMeta::default() },
        )?;
    }
    table.with_i32_column("id", (0..rows as i32).collect(), ColumnMeta::default())?;
    table.with_string_column(
        "class",
        (0..rows).map(|i| ["star", "galaxy", "quasar"][i % 3].into()).collect(),
        ColumnMeta::default(),
    )?;
    let own = tempfile::tempdir()?;
    if let Some(folder) = keep {
        std::fs::create_dir_all(folder)?;
    }
    for format in ["parquet", "fits", "vot", "csv"] {
        if !wants(format) {
            continue;
        }
        let path = keep.unwrap_or(own.path()).join(format!("bench.{format}"));
        data::write_table(&table, None, &path)?;
        let bytes = std::fs::metadata(&path).map_or(0, |m| m.len());
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let back = data::read_table(&path)?;
        let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        if back.rows() != rows {
            return Err(Ended::Failed(format!("{format}: {} rows were read of {rows}", back.rows())));
        }
        cases.push(json!({"name": "read", "format": format, "rows": rows, "columns": 10, "bytes": bytes, "seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak_bytes()}));
        if keep.is_none() {
            // The next format must not find this one's file in memory.
            let _ = std::fs::remove_file(path);
        }
    }
    Ok(())
}

/// One file: seconds, CPU seconds, the table's own bytes and the most memory beyond what the process began with.
fn read_one(path: &Path) -> Outcome {
    let (start, cpu, before) = (Instant::now(), cpu_seconds(), peak_bytes());
    let table = data::read_table(path)?;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let (bytes, peak) = (table.frame_bytes(), peak_bytes() - before);
    let ratio = peak as f64 / bytes.max(1) as f64;
    Ok(Done {
        json: json!({"rows": table.rows(), "columns": table.columns().len(), "seconds": seconds, "cpu_seconds": cpu, "table_bytes": bytes,
            "peak_over_start": peak, "peak_over_table": ratio}),
        text: format!("{} rows in {seconds:.2} s, {cpu:.2} s CPU, {ratio:.1} times the table's {bytes} bytes", table.rows()),
        truncated: false,
    })
}

fn reduce_cases(rows: usize, common: &Common, wants: &dyn Fn(&str) -> bool, cases: &mut Vec<Value>) -> Result<(), Ended> {
    let mut session = Session::new(Settings::default());
    session.apply(Command::Search {
        name: "ogle3".into(),
        ask: Ask::Sample { name: "ogle3".into(), filter: None, max_rows: Some(rows) },
    })?;
    session.wait(&mut |_| {})?;
    let dataset = session.doc().dataset().cloned().ok_or_else(|| Ended::Failed("the sample is not there".into()))?;
    let v = asterism_session::features::vectors(&dataset, &dataset.features, 0, None)?;
    for method in [reduce::Method::Pca, reduce::Method::Tsne, reduce::Method::Autoencoder] {
        if !wants(&method.to_string()) {
            continue;
        }
        let cpu = cpu_seconds();
        let e = reduce::embed(v.x.view(), None, &Params { method, seed: common.seed, ..Params::default() }, &Quiet)?;
        let seconds: std::collections::BTreeMap<&str, f64> =
            e.seconds.iter().map(|(stage, s)| (super::reduce::stage_name(stage), *s)).collect();
        cases.push(json!({"name": "ogle3", "method": method.to_string(), "rows": v.x.nrows(), "dims": v.x.ncols(), "threads": common.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
            "seconds": seconds, "cpu_seconds": cpu_seconds() - cpu, "quality": e.figures}));
    }
    Ok(())
}

/// User and system seconds of this process (Linux).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
    // Clock ticks are 1/100 s on every Linux that Rust runs on.
    (ticks(11) + ticks(12)) / 100.0
}
