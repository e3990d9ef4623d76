//! Times of this machine: upload, first frame, frames, lasso and hover at 100 k and 1 M points. Prints one JSON object, the `render`
//! part of `asterism bench`.
//!
//! `cargo run --release -p asterism-render --example bench_render [-- ROWS...]`; `BENCH_DENSITY=never|always` chooses marks or field,
//! `BENCH_TIER=full` the device's kernels also where it is software.

use std::sync::Arc;
use std::time::Instant;

use asterism_render::{Canvas, Density, Points, Renderer, Style, Tier, View, colour, grid::PointGrid, headless, wgpu};

const PX: [u32; 2] = [1280, 760];

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.next().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * self.next()).cos()
    }
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// Text of a JSON string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Resident memory now and at its peak, where the system tells.
fn resident_bytes() -> u64 {
    status("VmRSS:")
}

fn peak_bytes() -> u64 {
    status("VmHWM:")
}

fn status(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|k| k.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Processor time of this process so far, in ms (steps of 10), where the system tells.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() * 10.0
}

fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|l| l.starts_with("model name")).unwrap_or_default();
    line.split_once(':').map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

fn case(gpu: &(wgpu::Device, wgpu::Queue, wgpu::AdapterInfo), n: usize) -> Result<String, Box<dyn std::error::Error>> {
    let (device, queue, _) = gpu;
    let mut rng = Rng(1 + n as u64);
    let centres: Vec<[f64; 3]> =
        (0..40).map(|_| [rng.next() * 8.0 - 4.0, rng.next() * 5.0 - 2.5, 0.05 + rng.next() * 0.4]).collect();
    let xy: Vec<[f32; 2]> = (0..n)
        .map(|i| {
            let c = centres[i % 40];
            [(c[0] + c[2] * rng.normal()) as f32, (c[1] + c[2] * rng.normal()) as f32]
        })
        .collect();
    let colours: Vec<u32> = (0..n)
        .map(|i| {
            let [r, g, b] = colour::categorical(i % 40);
            colour::pack([r, g, b, 255])
        })
        .collect();
    let wait = || device.poll(wgpu::PollType::wait_indefinitely());

    let tier = if std::env::var("BENCH_TIER").as_deref() == Ok("full") { Tier::by_limits(device) } else { Tier::of(device) };
    let mut renderer = Renderer::with_tier(device, wgpu::TextureFormat::Rgba8Unorm, tier)?;
    let (xy, colours) = (Arc::new(xy), Arc::new(colours));
    let before = resident_bytes();
    let start = Instant::now();
    let mut points = match tier {
        Tier::Full => Points::with_tier(device, queue, &xy, [0.0; 2], [1.0; 2], tier),
        Tier::Reference => Points::from_shared(device, queue, xy.clone(), [0.0; 2], [1.0; 2]),
    };
    points.set_colours_shared(queue, colours);
    queue.submit([]);
    wait()?;
    let upload = ms(start);

    let mut canvas = Canvas::new(device);
    let density = match std::env::var("BENCH_DENSITY").as_deref() {
        Ok("never") => Density::Never,
        Ok("always") => Density::Always,
        _ => Density::Auto,
    };
    let style = Style { background: [20, 22, 26, 255], density, ..Style::default() };
    let mut frame = |k: f64| -> Result<f64, wgpu::PollError> {
        // A slow pan: every frame is drawn.
        let view = View { x: [-5.0 + k * 0.01, 5.0 + k * 0.01], y: [-3.0, 3.0], px: PX };
        let start = Instant::now();
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        renderer.draw_points(device, queue, &mut encoder, &mut canvas, &points, &view, &style, None);
        queue.submit([encoder.finish()]);
        wait()?;
        Ok(ms(start))
    };
    let first = frame(0.0)?;
    let cpu = cpu_ms();
    let mut frames = (1..=21).map(|k| frame(f64::from(k))).collect::<Result<Vec<_>, _>>()?;
    let cpu = (cpu_ms() - cpu) / 21.0;
    frames.sort_by(f64::total_cmp);

    let start = Instant::now();
    let grid = PointGrid::from_shared(xy);
    let build = ms(start);
    let outline: Vec<[f64; 2]> = (0..200)
        .map(|i| {
            let t = f64::from(i) * std::f64::consts::TAU / 200.0;
            let r = 2.0 + 0.4 * (t * 9.0).sin();
            [r * t.cos(), r * t.sin()]
        })
        .collect();
    let start = Instant::now();
    let selected = asterism_render::grid::count(&grid.in_polygon(&outline));
    let lasso = ms(start);
    let start = Instant::now();
    let per_px = 10.0 / f64::from(PX[0]);
    let mut hits = 0;
    for _ in 0..1000 {
        let (x, y) = (rng.next() * 8.0 - 4.0, rng.next() * 5.0 - 2.5);
        hits += u32::from(grid.nearest(x, y, [per_px * 12.0; 2]).is_some());
    }
    let hover = ms(start);
    Ok(format!(
        "{{\"name\": \"points\", \"n\": {n}, \"upload_ms\": {upload:.2}, \"first_ms\": {first:.2}, \"frame_ms\": {{\"p50\": {:.2}, \
         \"p95\": {:.2}, \"cpu\": {cpu:.1}}}, \"grid_ms\": {build:.2}, \"lasso_ms\": {lasso:.2}, \"lasso_rows\": {selected}, \"hover_us\": {hover:.2}, \
         \"hover_hits\": {hits}, \"gpu_bytes\": {}, \"process_bytes\": {}, \"added_bytes_a_point\": {:.1}}}",
        frames[frames.len() / 2],
        frames[frames.len() * 95 / 100],
        points.gpu_bytes() + canvas.gpu_bytes() + renderer.gpu_bytes(),
        peak_bytes(),
        resident_bytes().saturating_sub(before) as f64 / n as f64,
    ))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rows: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    if rows.is_empty() {
        rows = vec![100_000, 1_000_000];
    }
    let gpu = headless::device()?;
    let cases = rows.into_iter().map(|n| case(&gpu, n)).collect::<Result<Vec<_>, _>>()?;
    println!(
        "{{\"machine\": {{\"cpu\": {}, \"cores\": {}, \"adapter\": {}, \"backend\": {}}}, \"cases\": [{}]}}",
        quoted(&cpu_name()),
        std::thread::available_parallelism().map_or(1, usize::from),
        quoted(&gpu.2.name),
        quoted(&gpu.2.backend.to_string()),
        cases.join(", ")
    );
    Ok(())
}
