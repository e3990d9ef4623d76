//! Seconds, memory and quality of one job on a file of little-endian f32 values, one JSON object on standard output:
//!
//! ```text
//! bench_reduce map FILE COLUMNS [SETTINGS] [--out MAP]      settings as JSON: {"method": "tsne", "momentum": 0.8}
//! bench_reduce late FILE COLUMNS [SETTINGS] [--labels FILE] t-SNE with late exaggerations 1, 1.5, 2 and 4
//! bench_reduce neighbours FILE COLUMNS [{"neighbours": 90}]
//! bench_reduce pca FILE COLUMNS [{"dims": 50}]
//! bench_reduce kmeans FILE COLUMNS [{"neighbours": 10}]     groups
//! bench_reduce hdbscan FILE COLUMNS                         smallest size 50, core distances to the 10th row
//! bench_reduce hdbscan-rs FILE COLUMNS                      the same by that crate itself
//! bench_reduce quality FILE COLUMNS --map MAP               what the program shows beside a map
//! bench_reduce trust FILE COLUMNS --map MAP                 the same with the neighbour graph, which is not timed
//! bench_reduce judge FILE COLUMNS --map MAP [--labels FILE] the figures that compare maps of any program
//! ```
//!
//! CPU seconds are those of all threads between start and end of the call, without reading the file. `judge` looks at
//! recall, trustworthiness, continuity and triplets (2,000 rows against all above 20,000; recall of all rows), the share
//! of rows whose label (one byte a row) is the commonest of its ten nearest on the map, and the exact Kullback–Leibler
//! divergence at perplexity 30 up to 100,000 rows.

use asterism_reduce::{
    Density, Graph, Monitor, Params, Progress, Quiet, Search, Selection, divergence, embed, embed_with_graph, kmeans,
    label_accuracy, pca, quality, quality_with_graph,
};
use ndarray::Array2;
use serde_json::{Map, Value, json};
use std::sync::Mutex;
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Stages with the time they began, and frames.
struct Watch {
    clock: Instant,
    stages: Mutex<Vec<(String, f64, u64)>>,
    frames: Mutex<Vec<f64>>,
}

impl Monitor for Watch {
    fn progress(&self, p: Progress) {
        if let Ok(mut s) = self.stages.lock() {
            s.push((p.stage.into(), self.clock.elapsed().as_secs_f64(), p.done));
        }
    }
    fn frame(&self, _: &[f32], _: usize, _: &[(&'static str, f64)]) {
        if let Ok(mut f) = self.frames.lock() {
            f.push(self.clock.elapsed().as_secs_f64());
        }
    }
}

/// Seconds that the threads of this process have run, user and system, ended ones too; 0 where the system does not say.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name in brackets: user and system time are the 12th and 13th word, in hundredths.
    let rest = text.rsplit(") ").next().unwrap_or_default();
    rest.split_whitespace().skip(11).take(2).filter_map(|v| v.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// A line of /proc/self/status in MB: resident memory now (`VmRSS`) or at most (`VmHWM`).
fn memory(line: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = text.lines().find(|l| l.starts_with(line)).and_then(|l| l.split_whitespace().nth(1)).and_then(|v| v.parse().ok());
    value.map_or(0.0, |kb: f64| kb / 1024.0)
}

fn read(file: &str, columns: usize) -> Outcome<Array2<f32>> {
    let bytes = std::fs::read(file)?;
    let data: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    Ok(Array2::from_shape_vec((data.len() / columns, columns), data)?)
}

/// Share of rows whose label is the commonest (the smallest of equals) among their ten nearest on the map.
fn accuracy(map: &Array2<f32>, labels: &[u8]) -> Outcome<f64> {
    let labels: Vec<Option<u32>> = labels.iter().map(|l| Some(u32::from(*l))).collect();
    Ok(label_accuracy(map.view(), &labels, 10, &Quiet)?)
}

/// The wall seconds of k-means' rounds over all rows, and how many there were.
fn rounds(watch: &Watch) -> (f64, usize) {
    let Ok(stages) = watch.stages.lock() else { return (0.0, 0) };
    let last: Vec<f64> = stages.iter().filter(|s| s.0 == "groups" && s.2 >= 3000).map(|s| s.1).collect();
    match last[..] {
        [] => (0.0, 0),
        [first, ..] => (watch.clock.elapsed().as_secs_f64() - first, last.len()),
    }
}

fn judge(x: &Array2<f32>, map: &Array2<f32>, labels: Option<&str>, told: &mut Map<String, Value>) -> Outcome<()> {
    let n = x.nrows();
    let graph = Graph::new(x.view(), 90, if n <= 100_000 { Search::Exact } else { Search::Auto }, &Quiet)?;
    let q = quality_with_graph(x.view(), map.view(), Some(&graph), 0, &Quiet)?;
    told.insert("recall_10".into(), q.recall_10.into());
    told.insert("trustworthiness_15".into(), q.trustworthiness_15.into());
    told.insert("continuity_15".into(), q.continuity_15.into());
    told.insert("triplets".into(), q.triplets.into());
    if let Some(file) = labels {
        told.insert("label_accuracy".into(), accuracy(map, &std::fs::read(file)?)?.into());
    }
    if n <= 100_000 {
        told.insert("kl".into(), divergence(x.view(), map.view(), 30.0, Some(&graph), &Quiet)?.into());
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| args.iter().position(|a| a == name).and_then(|p| args.get(p + 1)).map(String::as_str);
    let [job, file, columns, ..] = &args[..] else { return Err("bench_reduce JOB FILE COLUMNS [SETTINGS]".into()) };
    let settings = args.get(3).map(String::as_str).filter(|s| s.starts_with('{')).unwrap_or("{}");
    let given: Value = serde_json::from_str(settings)?;
    let params: Params = serde_json::from_str(settings)?;
    let number = |name: &str, default: usize| given[name].as_u64().map_or(default, |v| v as usize);
    let x = read(file, columns.parse()?)?;
    let map = option("--map").map(|m| read(m, params.dims)).transpose()?;
    let map = |job: &str| map.clone().ok_or(format!("{job} needs --map MAP"));
    let mut told = Map::new();
    told.insert("rows".into(), x.nrows().into());
    told.insert("memory_before".into(), memory("VmRSS").into());
    let watch = Watch { clock: Instant::now(), stages: Mutex::default(), frames: Mutex::default() };
    let before = cpu();
    match job.as_str() {
        "map" => {
            let m = embed(x.view(), None, &params, &watch)?;
            told.insert("stages".into(), json!(m.seconds));
            told.insert("figures".into(), json!(m.figures));
            let frames = watch.frames.lock().map(|f| f.clone()).unwrap_or_default();
            told.insert("first_frame".into(), json!(frames.first()));
            told.insert("frames".into(), frames.len().into());
            if let Some(out) = option("--out") {
                std::fs::write(out, m.coords.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())?;
            }
        }
        // The same map with several late exaggerations from one graph.
        "late" => {
            let mut graph = None;
            let mut maps = Vec::new();
            for exaggeration in [1.0, 1.5, 2.0, 4.0] {
                let p = Params { exaggeration, ..params.clone() };
                let m = embed_with_graph(x.view(), None, &p, graph.take(), &Quiet)?;
                let q = quality_with_graph(x.view(), m.coords.view(), m.graph.as_deref(), 0, &Quiet)?;
                let mut line = json!({"exaggeration": exaggeration, "recall_10": q.recall_10, "triplets": q.triplets});
                line["trustworthiness_15"] = q.trustworthiness_15.into();
                line["figures"] = json!(m.figures);
                if let Some(file) = option("--labels") {
                    line["label_accuracy"] = accuracy(&m.coords, &std::fs::read(file)?)?.into();
                }
                eprintln!("{line}");
                maps.push(line);
                graph = m.graph;
            }
            told.insert("maps".into(), maps.into());
        }
        "neighbours" => {
            let g = Graph::new(x.view(), number("neighbours", 90), Search::Exact, &watch)?;
            told.insert("recall".into(), g.recall().into());
        }
        "pca" => {
            let p = pca(x.view(), None, number("dims", 50), &watch)?;
            told.insert("explained".into(), p.explained_ratio.iter().sum::<f64>().into());
        }
        "kmeans" => {
            let k = kmeans(x.view(), number("neighbours", 10), 0, &watch)?;
            let (seconds, count) = rounds(&watch);
            told.insert("inertia".into(), k.inertia.into());
            told.insert("rounds".into(), count.into());
            told.insert("seconds_of_rounds".into(), seconds.into());
        }
        "hdbscan" => {
            let cut = Density::new(x.view(), 10, None, &watch)?.cut(50, Selection::Mass);
            told.insert("groups".into(), cut.persistence.len().into());
        }
        "hdbscan-rs" => {
            let wide = x.mapv(f64::from);
            let params = hdbscan_rs::HdbscanParams { min_cluster_size: 50, min_samples: Some(10), ..Default::default() };
            let mut peer = hdbscan_rs::Hdbscan::new(params);
            peer.fit(&wide.view())?;
            told.insert("groups".into(), (peer.labels().unwrap_or(&[]).iter().max().copied().unwrap_or(-1) + 1).into());
        }
        "quality" => {
            let q = quality(x.view(), map(job)?.view(), 0, &watch)?;
            told.insert("recall_10".into(), q.recall_10.into());
            told.insert("triplets".into(), q.triplets.into());
        }
        "trust" => {
            let graph = Graph::new(x.view(), number("neighbours", 90), Search::Auto, &Quiet)?;
            let (clock, before) = (Instant::now(), cpu());
            let j = asterism_reduce::judge(x.view(), map(job)?.view(), Some(&graph), 0, &watch)?;
            told.insert("judging_seconds".into(), clock.elapsed().as_secs_f64().into());
            told.insert("judging_cpu_seconds".into(), (cpu() - before).into());
            let q = &j.quality;
            let figures = [q.recall_10, q.trustworthiness_15, q.continuity_15, q.triplets];
            told.insert("recall, trustworthiness, continuity, triplets".into(), json!(figures));
            told.insert("standard_errors".into(), json!(j.errors));
            told.insert("sample".into(), j.sample.into());
        }
        "judge" => judge(&x, &map(job)?, option("--labels"), &mut told)?,
        other => return Err(format!("there is no job {other}").into()),
    }
    told.insert("seconds".into(), watch.clock.elapsed().as_secs_f64().into());
    told.insert("cpu_seconds".into(), (cpu() - before).into());
    told.insert("memory_peak".into(), memory("VmHWM").into());
    println!("{}", Value::Object(told));
    Ok(())
}
