//! Seconds and recall of the neighbour searches on made data: `bench_graph ROWS COLUMNS K [exact]`.
//!
//! The data are 30 clouds that fill seven columns and noise in the others, so that no column is idle.

use asterism_reduce::{Graph, Monitor, Progress, Search};
use ndarray::Array2;
use std::sync::Mutex;
use std::time::Instant;

/// Seconds of each stage.
struct Stages(Mutex<Vec<(&'static str, Instant)>>);

impl Monitor for Stages {
    fn progress(&self, p: Progress) {
        if let Ok(mut s) = self.0.lock()
            && s.last().is_none_or(|l| l.0 != p.stage)
        {
            s.push((p.stage, Instant::now()));
        }
    }
}

impl Stages {
    fn tell(&self) {
        let Ok(s) = self.0.lock() else { return };
        let ends = s.iter().skip(1).map(|s| s.1).chain([Instant::now()]);
        let texts: Vec<String> =
            s.iter().zip(ends).map(|((name, at), end)| format!("{name} {:.1} s", (end - *at).as_secs_f64())).collect();
        println!("  {}", texts.join(", "));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, n, d, k, rest @ ..] = &args[..] else { return Err("bench_graph ROWS COLUMNS K [exact]".into()) };
    let (n, d, k): (usize, usize, usize) = (n.parse()?, d.parse()?, k.parse()?);
    let mut s = 1u64;
    let mut normal = move || {
        let mut sum = 0.0f32;
        for _ in 0..12 {
            s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            sum += (s >> 40) as f32 / (1u64 << 24) as f32;
        }
        sum - 6.0
    };
    let centres = Array2::from_shape_fn((30, d), |(_, j)| if j < 7 { 3.0 * normal() } else { 0.0 });
    let x = Array2::from_shape_fn((n, d), |(i, j)| centres[[i % 30, j]] + normal());
    let start = Instant::now();
    let stages = Stages(Mutex::default());
    let g = Graph::new(x.view(), k, Search::Approximate, &stages)?;
    println!("{n} × {d}, k = {k}: cells {:.1} s, recall {:.4}", start.elapsed().as_secs_f64(), g.recall());
    stages.tell();
    if !rest.is_empty() {
        let start = Instant::now();
        let stages = Stages(Mutex::default());
        let e = Graph::new(x.view(), k, Search::Exact, &stages)?;
        stages.tell();
        let seconds = start.elapsed().as_secs_f64();
        let hits: usize = (0..n).step_by(37).map(|i| e.of_row(i).0.iter().filter(|j| g.of_row(i).0.contains(j)).count()).sum();
        println!("exact {seconds:.1} s, recall against it {:.4}", hits as f64 / (n.div_ceil(37) * k) as f64);
    }
    Ok(())
}
