//! `asterism bench render`: scatters, lassos, an image of any size, ensembles and the whole sky, off screen on the adapter at hand.
//!
//! Each number of rows has a case of its own with what a person waits for: upload, the first picture, frames while panning, a lasso,
//! the nearest row to the cursor, and the memory on the device and in the process beyond the columns themselves. Wall times are of the
//! load at that moment; processor time (`cpu_ms`, all threads) is beside them. Tables are made, the same on every machine.

use std::sync::Arc;
use std::time::Instant;

use asterism_render::grid::PointGrid;
use asterism_render::{Canvas, Points, Renderer, Style, View, ensemble, headless, tiles, wgpu};
use asterism_session::sky::{Flat, Projection, SkyFrame};
use serde_json::{Value, json};

use super::{Mix, cpu_seconds};
use crate::cli::Ended;

/// Size of a picture, pixels.
const PX: [u32; 2] = [1280, 760];
/// Numbers of rows unless the call names one.
const ROWS: [usize; 3] = [100_000, 1_000_000, 10_000_000];
/// Rows on the whole sky unless the call names a number.
const SKY: [usize; 2] = [1_000_000, 5_000_000];
/// Side of the image, pixels.
const SIDE: u32 = 20_000;
/// Curves of the ensemble, and samples of each.
const CURVES: [usize; 2] = [10_000, 4_000];
/// Frames that are timed.
const FRAMES: usize = 20;

/// Run the cases that are wanted.
pub(super) fn cases(rows: Option<usize>, wants: &dyn Fn(&str) -> bool, cases: &mut Vec<Value>) -> Result<(), Ended> {
    let said = |name: &str, n: usize, case: Result<Value, Ended>| {
        case.unwrap_or_else(|e| match e {
            Ended::Failed(why) | Ended::Usage(why) => json!({"name": name, "n": n, "error": why}),
            Ended::Interrupted => json!({"name": name, "n": n, "error": "interrupted"}),
        })
    };
    let own = rows.map(|n| vec![n]);
    if wants("points") {
        for n in own.clone().unwrap_or(ROWS.to_vec()) {
            cases.push(said("points", n, points(n)));
        }
    }
    if wants("sky") {
        for n in own.unwrap_or(SKY.to_vec()) {
            cases.push(said("sky", n, sky(n)));
        }
    }
    if wants("image") {
        cases.push(said("image", SIDE as usize, image()));
    }
    if wants("ensemble") {
        cases.push(ensemble_case());
    }
    Ok(())
}

/// Bytes resident now; 0 where the system does not say.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|p| p.parse::<u64>().ok()).map_or(0, |p| p * 4096)
}

/// Wall and processor milliseconds of some work.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64, f64) {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let made = work();
    (made, start.elapsed().as_secs_f64() * 1e3, (cpu_seconds() - cpu) * 1e3)
}

struct Frames {
    upload_ms: f64,
    first_ms: f64,
    p50: f64,
    p95: f64,
    cpu_ms: f64,
    gpu_bytes: u64,
}

/// Upload and draw; each frame shows a view of its own.
fn frames(xy: &Arc<Vec<[f32; 2]>>, x: [f64; 2], y: [f64; 2]) -> Result<Frames, Ended> {
    let (device, queue, _) = headless::device()?;
    let wait = || device.poll(wgpu::PollType::wait_indefinitely()).is_ok();
    let (points, upload_ms, _) = timed(|| {
        let points = Points::from_shared(&device, &queue, xy.clone(), [0.0; 2], [1.0; 2]);
        queue.submit([]);
        wait();
        points
    });
    let mut renderer = Renderer::new(&device, &queue, wgpu::TextureFormat::Rgba8Unorm)?;
    let mut canvas = Canvas::new(&device);
    let mut frame = |shift: f64| {
        let by = (x[1] - x[0]) * shift;
        let view = View { x: [x[0] + by, x[1] + by], y, px: PX };
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        renderer.draw_points(&device, &queue, &mut encoder, &mut canvas, &points, &view, &Style::default(), None);
        queue.submit([encoder.finish()]);
        wait();
    };
    let ((), first_ms, _) = timed(|| frame(0.0));
    let mut times = Vec::with_capacity(FRAMES);
    let cpu = cpu_seconds();
    for i in 1..=FRAMES {
        times.push(timed(|| frame(i as f64 * 0.002)).1);
    }
    let cpu_ms = (cpu_seconds() - cpu) * 1e3 / FRAMES as f64;
    times.sort_by(f64::total_cmp);
    let gpu_bytes = points.gpu_bytes() + renderer.gpu_bytes() + canvas.gpu_bytes();
    Ok(Frames { upload_ms, first_ms, p50: times[FRAMES / 2 - 1], p95: times[FRAMES * 19 / 20 - 1], cpu_ms, gpu_bytes })
}

fn points(n: usize) -> Result<Value, Ended> {
    let mut mix = Mix(2);
    let mut one = |parts: usize, i: usize| (mix.unit() + mix.unit() + (i % parts) as f64) as f32;
    let xy: Arc<Vec<[f32; 2]>> = Arc::new((0..n).map(|i| [one(5, i), one(3, i)]).collect());
    let before = resident();
    let drawn = frames(&xy, [0.0, 6.0], [0.0, 4.0])?;
    let (grid, grid_ms, _) = timed(|| PointGrid::from_shared(xy.clone()));
    let polygon: Vec<[f64; 2]> = (0..200)
        .map(|i| f64::from(i) / 200.0 * std::f64::consts::TAU)
        .map(|a| [2.5 + 1.4 * a.cos() * (1.0 + 0.2 * (5.0 * a).sin()), 1.8 + a.sin()])
        .collect();
    let best = (0..3).map(|_| timed(|| grid.in_polygon(&polygon))).min_by(|a, b| a.1.total_cmp(&b.1));
    let Some((words, lasso_ms, lasso_cpu_ms)) = best else { return Err(Ended::Failed("nothing was timed".into())) };
    let ((), hover_ms, _) = timed(|| {
        for i in 0..1000 {
            std::hint::black_box(grid.nearest(f64::from(i) * 0.005, 1.5, [0.1, 0.1]));
        }
    });
    let process = resident().saturating_sub(before);
    Ok(json!({"name": "points", "n": n, "upload_ms": drawn.upload_ms, "first_ms": drawn.first_ms,
        "frame_ms": {"p50": drawn.p50, "p95": drawn.p95}, "frame_cpu_ms": drawn.cpu_ms,
        "grid_ms": grid_ms, "lasso_ms": lasso_ms, "lasso_cpu_ms": lasso_cpu_ms,
        "picked": asterism_render::grid::count(&words), "hover_us": hover_ms,
        "gpu_bytes": drawn.gpu_bytes, "process_bytes": process, "bytes_a_point": process as f64 / n.max(1) as f64}))
}

/// Rows of the whole sky in Mollweide's projection and galactic coordinates.
fn sky(n: usize) -> Result<Value, Ended> {
    let mut mix = Mix(3);
    let places: Vec<[f64; 2]> = (0..n).map(|_| [mix.unit() * std::f64::consts::TAU, (mix.unit() * 2.0 - 1.0).asin()]).collect();
    let map = Flat::in_frame(Projection::Mollweide, SkyFrame::Galactic, [0.0, 0.0]);
    let (xy, project_ms, project_cpu_ms) = timed(|| {
        let to = |[ra, dec]: &[f64; 2]| map.plane(*ra, *dec).map(|v| v as f32);
        Arc::new(places.iter().map(to).collect::<Vec<[f32; 2]>>())
    });
    let drawn = frames(&xy, [-2.9, 2.9], [-1.5, 1.5])?;
    Ok(json!({"name": "sky", "n": n, "project_ms": project_ms, "project_cpu_ms": project_cpu_ms, "upload_ms": drawn.upload_ms,
        "first_ms": drawn.first_ms, "frame_ms": {"p50": drawn.p50, "p95": drawn.p95}, "frame_cpu_ms": drawn.cpu_ms,
        "gpu_bytes": drawn.gpu_bytes}))
}

/// The levels of an image that is made row by row, as if read, and a part of it.
fn image() -> Result<Value, Ended> {
    let read = |row: u32, first: u32, out: &mut [f32]| -> Result<(), asterism_render::Error> {
        for (i, v) in out.iter_mut().enumerate() {
            *v = ((first as usize + i) ^ row as usize) as f32;
        }
        Ok(())
    };
    let before = resident();
    let (made, levels_ms, levels_cpu_ms) = timed(|| tiles::TiledImage::new([SIDE, SIDE], 96 << 20, read, |_| true));
    let mut image = made?.ok_or_else(|| Ended::Failed("the levels were not made".into()))?;
    let process = resident().saturating_sub(before);
    let view = |at: f64| View { x: [at, at + 3000.0], y: [at + 2000.0, at], px: PX };
    let (part, part_ms, _) = timed(|| image.patch(&view(8000.0)));
    part?;
    let (again, again_ms, _) = timed(|| image.patch(&view(8000.0)));
    again?;
    Ok(json!({"name": "image", "side": SIDE, "levels_ms": levels_ms, "levels_cpu_ms": levels_cpu_ms, "part_ms": part_ms,
        "part_again_ms": again_ms, "kept_bytes": image.bytes(), "process_bytes": process}))
}

/// Many curves as a density and as percentiles.
fn ensemble_case() -> Value {
    let [curves, samples] = CURVES;
    let mut mix = Mix(4);
    let x: Vec<f64> = (0..samples).map(|i| i as f64).collect();
    let values: Vec<f32> = (0..curves)
        .flat_map(|c| {
            let high = (c % 7) as f64;
            (0..samples).map(|i| (high + (i as f64 / 200.0).sin() + mix.unit()) as f32).collect::<Vec<_>>()
        })
        .collect();
    let view = View { x: [0.0, samples as f64], y: [-2.0, 10.0], px: [1280, 400] };
    let (density, density_ms, density_cpu_ms) = timed(|| ensemble::LineDensity::new(&x, &values, &view));
    std::hint::black_box(density);
    let (bands, bands_ms, bands_cpu_ms) = timed(|| ensemble::percentiles(&values, samples, &[0.05, 0.16, 0.5, 0.84, 0.95]));
    json!({"name": "ensemble", "curves": curves, "samples": samples, "density_ms": density_ms, "density_cpu_ms": density_cpu_ms,
        "percentiles_ms": bands_ms, "percentiles_cpu_ms": bands_cpu_ms, "percentiles": bands.len()})
}
