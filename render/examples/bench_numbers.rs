//! Times of what is computed without a device: lasso, hover, ensembles, fields, contours, projection, tiles and composites. Prints one
//! JSON object.
//!
//! `cargo run --release -p asterism-render --example bench_numbers [-- ROWS]` (10,000,000 by default).

use std::time::Instant;

use asterism_render::{
    View,
    composite::{Lupton, lupton},
    ensemble::{LineDensity, percentiles},
    field::{Field, Statistic, contours},
    grid::{self, PointGrid},
    orbit::Orbit,
    outlines::{OutlineStyle, Outlines},
    thin,
    tiles::TiledImage,
};

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

/// Processor time of this process so far, in ms (steps of 10), where the system tells.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() * 10.0
}

/// Runs `f` and notes median wall and mean processor time of `n` runs.
fn time<T>(out: &mut Vec<String>, name: &str, n: usize, mut f: impl FnMut() -> T) -> Option<T> {
    let cpu = cpu_ms();
    let mut walls = Vec::new();
    let mut last = None;
    for _ in 0..n {
        let start = Instant::now();
        last = Some(f());
        walls.push(start.elapsed().as_secs_f64() * 1e3);
    }
    walls.sort_by(f64::total_cmp);
    let cpu = (cpu_ms() - cpu) / n as f64;
    out.push(format!("\"{name}\": {{\"p50_ms\": {:.3}, \"cpu_ms\": {cpu:.1}}}", walls[n / 2]));
    last
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let n: usize = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(10_000_000);
    let mut out = vec![format!("\"rows\": {n}")];
    let mut rng = Rng(9);
    let centres: Vec<[f64; 3]> =
        (0..40).map(|_| [rng.next() * 8.0 - 4.0, rng.next() * 5.0 - 2.5, 0.05 + rng.next() * 0.4]).collect();
    let xyz: Vec<[f32; 3]> = (0..n)
        .map(|i| {
            let c = centres[i % 40];
            [(c[0] + c[2] * rng.normal()) as f32, (c[1] + c[2] * rng.normal()) as f32, rng.normal() as f32]
        })
        .collect();
    let xy: Vec<[f32; 2]> = xyz.iter().map(|p| [p[0], p[1]]).collect();
    let values: Vec<f32> = xyz.iter().map(|p| p[2]).collect();

    let outline: Vec<[f64; 2]> = (0..200)
        .map(|i| {
            let t = f64::from(i) * std::f64::consts::TAU / 200.0;
            let r = 2.0 + 0.4 * (t * 9.0).sin();
            [r * t.cos(), r * t.sin()]
        })
        .collect();
    time(&mut out, "lasso_without_grid", 5, || grid::in_outline(&xy, &outline));
    let (x, y) = ([-5.0, 5.0], [-3.0, 3.0]);
    let density = time(&mut out, "density_640x380_blurred", 5, || Field::density(&xy, x, y, [640, 380], 2.0)).flatten();
    if let Some(density) = density {
        let levels = density.levels_of_shares(&[0.1, 0.3, 0.5, 0.7, 0.9]);
        time(&mut out, "contours_5_levels", 5, || contours(&density, &levels));
    }
    time(&mut out, "median_of_a_column_640x380", 3, || Field::statistic(&xy, &values, x, y, [640, 380], Statistic::Median));
    time(&mut out, "mean_of_a_column_640x380", 3, || Field::statistic(&xy, &values, x, y, [640, 380], Statistic::Mean));
    let view = View { x, y, px: [1280, 760] };
    time(&mut out, "thin_to_100000", 3, || thin::thin(&xy, &view, 100_000));
    let camera = Orbit::around(&xyz);
    time(&mut out, "project_3d", 5, || camera.project(&xyz));
    drop((xyz, values));
    if let Some(grid) = time(&mut out, "grid", 1, || PointGrid::from_xy(xy.clone())) {
        time(&mut out, "lasso_200_corners", 9, || grid.in_polygon(&outline));
        time(&mut out, "brush_stroke", 9, || grid.in_stroke(&[[-2.0, -1.0], [1.0, 1.0], [2.0, -1.0]], [0.3, 0.3]));
        let mut worst = 0f64;
        time(&mut out, "hover_1000", 3, || {
            for _ in 0..1000 {
                let start = Instant::now();
                let (x, y) = (rng.next() * 8.0 - 4.0, rng.next() * 5.0 - 2.5);
                std::hint::black_box(grid.nearest(x, y, [10.0 / 1280.0 * 12.0; 2]));
                worst = worst.max(start.elapsed().as_secs_f64() * 1e3);
            }
        });
        out.push(format!("\"hover_worst_ms\": {worst:.3}"));
    }
    drop(xy);

    // Boxes of 0.02 to 4 degrees on a plane in radians, as footprints on the whole sky.
    let mut footprints = Outlines::default();
    for row in 0..1_000_000 {
        let (x, y, r) = (rng.next() * 5.8 - 2.9, rng.next() * 2.9 - 1.45, 1.7e-4 * 200f64.powf(rng.next()));
        let (s, c) = (rng.next() * std::f64::consts::TAU).sin_cos();
        footprints.push(row, [[c, s], [-s, c], [-c, -s], [s, -c], [c, s]].map(|[c, s]| [x + r * c, y + r * s]));
    }
    let lit: Vec<u64> = vec![0x0101_0101_0101_0101; 1_000_000 / 64];
    let colours = vec![0xff2f_92f0; 1_000_000];
    let style = OutlineStyle { colours: &colours, lit: Some(&lit), rest: [160, 160, 160, 200], width_px: [1.0, 1.6] };
    for (name, part) in [("all", 1.0), ("tenth_of_the_width", 0.1), ("hundredth_of_the_width", 0.01)] {
        let view = View { x: [-2.9 * part, 2.9 * part], y: [-1.72 * part, 1.72 * part], px: [1280, 760] };
        time(&mut out, &format!("footprints_{name}"), 5, || footprints.draw(&view, &style));
        time(&mut out, &format!("footprints_in_view_{name}"), 5, || footprints.rows_within(view.x, view.y, 1_000));
    }
    out.push(format!("\"footprints_bytes\": {}", footprints.bytes()));
    drop(footprints);

    let (spectra, samples) = (10_000, 4_000);
    let grid: Vec<f64> = (0..samples).map(|i| 3800.0 + 1.3 * f64::from(i)).collect();
    let fluxes: Vec<f32> = (0..spectra * samples as usize)
        .map(|i| {
            let at = (i % samples as usize) as f32;
            (1.0 + (at * 0.01).sin() * 0.3) * (1.0 + (i / samples as usize % 100) as f32 * 0.01) + 0.2 * (rng.next() as f32 - 0.5)
        })
        .collect();
    let view = View { x: [3800.0, 9000.0], y: [0.0, 3.0], px: [1280, 400] };
    time(&mut out, "ensemble_10000x4000_density", 3, || LineDensity::new(&grid, &fluxes, &view));
    time(&mut out, "ensemble_10000x4000_5_percentiles", 3, || {
        percentiles(&fluxes, samples as usize, &[0.025, 0.16, 0.5, 0.84, 0.975])
    });
    drop(fluxes);

    let side = 20_000u32;
    let read = |row: u32, first: u32, out: &mut [f32]| -> Result<(), std::io::Error> {
        out.iter_mut().enumerate().for_each(|(i, v)| *v = ((first + i as u32) ^ row) as f32);
        Ok(())
    };
    let image = time(&mut out, "pyramid_20000x20000", 1, || TiledImage::new([side, side], 96 << 20, read, |_| true));
    if let Some(Ok(Some(mut image))) = image {
        let part = View { x: [9_000.0, 12_000.0], y: [9_000.0, 10_500.0], px: [1280, 640] };
        time(&mut out, "patch_first", 1, || image.patch(&part).map(|p| p.is_some()));
        time(&mut out, "patch_again", 5, || image.patch(&part).map(|p| p.is_some()));
        out.push(format!("\"pyramid_bytes\": {}", image.bytes()));
    }
    let band: Vec<f32> = (0..4_000_000).map(|_| rng.normal().abs() as f32 * 10.0).collect();
    time(&mut out, "lupton_2000x2000", 3, || lupton([&band, &band, &band], 2000, 2000, &Lupton::default()).map(|p| p.len()));
    println!("{{{}}}", out.join(", "));
    Ok(())
}
