//! Processor and wall seconds of training an autoencoder on a file of little-endian f32 values:
//! `bench_autoencoder FILE COLUMNS [SETTINGS]`, the settings as JSON such as `{"layers": [256, 64], "epochs": 5}`.
//! Prints one line of JSON; "training" is from the first step to the last, "all" the whole call. Processor seconds
//! are read from /proc and are 0 elsewhere.

use asterism_reduce::{Method, Monitor, Params, Progress, embed};
use std::sync::Mutex;
use std::time::Instant;

/// User and system seconds of this process, all threads.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let words: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |i: usize| words.get(i).and_then(|w| w.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Notes when training begins and ends.
#[derive(Default)]
struct Clock(Mutex<Vec<(f64, Instant)>>);

impl Monitor for Clock {
    fn watches(&self) -> bool {
        false
    }
    fn progress(&self, p: Progress) {
        if let Ok(mut v) = self.0.lock()
            && p.stage == "training"
        {
            v.push((cpu(), Instant::now()));
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, file, columns, rest @ ..] = &args[..] else {
        return Err("bench_autoencoder FILE COLUMNS [SETTINGS]".into());
    };
    let bytes = std::fs::read(file)?;
    let data: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    drop(bytes);
    let columns: usize = columns.parse()?;
    let x = ndarray::Array2::from_shape_vec((data.len() / columns, columns), data)?;
    let mut params: Params = rest.first().map_or(Ok(Params::default()), |s| serde_json::from_str(s))?;
    params.method = Method::Autoencoder;
    let (start, wall, clock) = (cpu(), Instant::now(), Clock::default());
    let m = embed(x.view(), None, &params, &clock)?;
    let all = (cpu() - start, wall.elapsed().as_secs_f64());
    let marks = clock.0.into_inner()?;
    let (first, last) = (marks.first().ok_or("no training")?, marks.last().ok_or("no training")?);
    let errors = m.row_error.ok_or("no errors")?;
    let mse = errors.iter().map(|e| f64::from(e * e)).sum::<f64>() / errors.len() as f64;
    let figures = serde_json::json!({
        "rows": x.nrows(), "columns": columns, "mse": mse, "figures": m.figures,
        "training": {"cpu": last.0 - first.0, "wall": (last.1 - first.1).as_secs_f64()},
        "all": {"cpu": all.0, "wall": all.1},
    });
    println!("{figures}");
    Ok(())
}
