//! `asterism bench`: measure this machine.

mod frames;

use std::path::{Path, PathBuf};
use std::time::Instant;

use asterism_render::grid::PointGrid;
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
    /// Only the case of this name (a format, a method, `points`, `lasso`, `start`, `select`).
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Rows.
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
        render(a.rows.unwrap_or(1_000_000), &wants, &mut cases)?;
    }
    if all || a.what == "window" {
        frames::cases(a.rows.unwrap_or(frames::ROWS), common, &wants, &mut cases)?;
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
        cases.push(json!({"name": "ogle3", "method": method.to_string(), "rows": v.x.nrows(), "dims": v.x.ncols(), "threads": common.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
            "seconds": e.seconds, "cpu_seconds": cpu_seconds() - cpu, "quality": e.figures}));
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

fn render(rows: usize, wants: &dyn Fn(&str) -> bool, cases: &mut Vec<Value>) -> Result<(), Ended> {
    let mut mix = Mix(2);
    let xy: Vec<[f32; 2]> = (0..rows)
        .map(|i| [(mix.unit() + mix.unit() + (i % 5) as f64) as f32, (mix.unit() + mix.unit() + (i % 3) as f64) as f32])
        .collect();
    if wants("lasso") {
        let start = Instant::now();
        let grid = PointGrid::from_xy(xy.clone());
        let build_ms = start.elapsed().as_secs_f64() * 1e3;
        let polygon: Vec<[f64; 2]> = (0..200)
            .map(|i| f64::from(i) / 200.0 * std::f64::consts::TAU)
            .map(|a| [2.5 + 1.4 * a.cos() * (1.0 + 0.2 * (5.0 * a).sin()), 1.8 + a.sin()])
            .collect();
        let start = Instant::now();
        let words = grid.in_polygon(&polygon);
        let lasso_ms = start.elapsed().as_secs_f64() * 1e3;
        let picked: u32 = words.iter().map(|w| w.count_ones()).sum();
        let start = Instant::now();
        for i in 0..1000 {
            std::hint::black_box(grid.nearest(f64::from(i) * 0.005, 1.5, [0.1, 0.1]));
        }
        cases.push(json!({"name": "lasso", "n": rows, "build_ms": build_ms, "lasso_ms": lasso_ms, "picked": picked, "hover_us": start.elapsed().as_secs_f64() * 1e3}));
    }
    if wants("points") {
        cases.push(points(&xy).unwrap_or_else(|e| json!({"name": "points", "n": rows, "error": e.to_string()})));
    }
    Ok(())
}

/// Upload, first frame and 20 later ones (each with a view of its own) of a scatter, off screen.
fn points(xy: &[[f32; 2]]) -> Result<Value, asterism_render::Error> {
    use asterism_render::{Canvas, Points, Renderer, Style, View, headless, wgpu};
    let (device, queue, _) = headless::device()?;
    let start = Instant::now();
    let points = Points::from_xy(&device, &queue, xy, [0.0; 2], [1.0; 2]);
    let wait = || device.poll(wgpu::PollType::wait_indefinitely()).is_ok();
    queue.submit([]);
    wait();
    let upload_ms = start.elapsed().as_secs_f64() * 1e3;
    let mut renderer = Renderer::new(&device, &queue, wgpu::TextureFormat::Rgba8Unorm)?;
    let mut canvas = Canvas::new(&device);
    let mut frame = |shift: f64| {
        let start = Instant::now();
        let view = View { x: [shift, 6.0 + shift], y: [0.0, 4.0], px: [1280, 760] };
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        renderer.draw_points(&device, &queue, &mut encoder, &mut canvas, &points, &view, &Style::default(), None);
        queue.submit([encoder.finish()]);
        wait();
        start.elapsed().as_secs_f64() * 1e3
    };
    let first_ms = frame(0.0);
    let mut times: Vec<f64> = (1..=20).map(|i| frame(f64::from(i) * 0.01)).collect();
    times.sort_by(f64::total_cmp);
    Ok(
        json!({"name": "points", "n": xy.len(), "upload_ms": upload_ms, "first_ms": first_ms, "frame_ms": {"p50": times[9], "p95": times[18]},
        "gpu_bytes": points.gpu_bytes() + renderer.gpu_bytes(), "process_bytes": peak_bytes()}),
    )
}
