//! Places a million made rows of ten columns on a map of 20,000, in chunks: `bench_placing [METHOD] [ROWS] [CHUNK]`.
//! Prints seconds (wall and processor) and, on Linux, the largest memory of the process before and after.

use asterism_reduce::{Params, Quiet, embed};
use ndarray::Array2;
use std::time::Instant;

fn status(word: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with(word)).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|w| w.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// User and system seconds of this process, all threads.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let words: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |i: usize| words.get(i).and_then(|w| w.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Rows of ten clouds in ten columns.
fn rows(n: usize, seed: u64) -> Array2<f32> {
    let mut s = seed;
    let mut uniform = move || {
        s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (s >> 40) as f32 / (1u64 << 24) as f32
    };
    Array2::from_shape_fn((n, 10), |(i, j)| {
        let centre = (((i % 10) * 7 + j * 3) % 11) as f32;
        centre + (uniform() + uniform() + uniform() + uniform() - 2.0) * (0.5 + (i % 10) as f32 * 0.1)
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let method = args.get(1).map_or(Ok(asterism_reduce::Method::Tsne), |m| m.parse())?;
    let total: usize = args.get(2).map_or(Ok(1_000_000), |v| v.parse())?;
    let chunk: usize = args.get(3).map_or(Ok(50_000), |v| v.parse())?;
    let map = embed(rows(20_000, 1).view(), None, &Params { method, epochs: 20, ..Params::default() }, &Quiet)?;
    let (wall, used) = (Instant::now(), cpu());
    let placer = map.model.placer(&Quiet)?;
    println!("{method}: index and mesh {:.2} s wall, {:.2} s CPU", wall.elapsed().as_secs_f64(), cpu() - used);
    let before = (status("VmRSS:"), status("VmHWM:"));
    let (wall, used) = (Instant::now(), cpu());
    let (mut done, mut strange, mut sum) = (0, 0, 0.0f64);
    while done < total {
        let n = chunk.min(total - done);
        let p = placer.place(rows(n, 2 + done as u64).view(), &Quiet)?;
        strange += p.unlike.iter().filter(|u| **u > 3.0).count();
        sum += p.coords.iter().map(|v| f64::from(*v)).sum::<f64>();
        done += n;
    }
    let (wall, used) = (wall.elapsed().as_secs_f64(), cpu() - used);
    println!(
        "{done} rows in chunks of {chunk}: {wall:.1} s wall, {used:.1} s CPU, {:.1} µs CPU a row; {strange} strange; sum {sum:.3}",
        1e6 * used / done as f64
    );
    println!("memory: {:.0} MB before, peak {:.0} MB before and {:.0} MB after", before.0, before.1, status("VmHWM:"));
    Ok(())
}
