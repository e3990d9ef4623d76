//! An image on the grid of pixels of another, by their coordinates on the sky: so that bands and images that blink meet.
//!
//! Each target pixel's middle goes to the sky by the target's WCS and to the source by its own (FITS papers I and II, see
//! [`Wcs`]); the value there is that of the nearest pixel, or bilinear between the four around. A value that a blank pixel has a share
//! in is blank, and so is what lies more than half a pixel outside, as in `reproject_interp` of Astropy's reproject package, which the
//! tests are held to. Positions are computed exactly at the corners of tiles of [`TILE`] pixels and interpolated within a tile where
//! that is right to [`CLOSE`] of a pixel at its middle and the middles of its sides, else one by one (SWarp's way). Choices not taken: weights by the overlap of pixels,
//! which conserve flux and cost ten times as much, for what is looked at and not measured; a whole reprojected copy on the disk. A
//! source with much finer pixels should be handed over as means (a level of a pyramid), or it is undersampled. Tiles are spread over all
//! threads. Cost: 10 to 15 ns a target pixel where tiles are smooth; 8 B a pixel of one row of tiles and thread beside the result.

use rayon::prelude::*;

use crate::Wcs;

/// Side of a tile whose positions are interpolated, target pixels.
pub const TILE: usize = 16;
/// Most that interpolated positions may be off, source pixels.
pub const CLOSE: f64 = 0.01;

/// A grid of texels laid over an image: all of its pixels, or means or every n-th of a part of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Rows, columns.
    pub shape: [usize; 2],
    /// Column and row of the image where the first texel begins, counted from the outer edge of its first pixel.
    pub at: [f64; 2],
    /// Pixels of the image along a texel.
    pub per: f64,
}

impl Grid {
    /// All pixels of an image of so many rows and columns.
    pub fn of(shape: [usize; 2]) -> Self {
        Self { shape, at: [0.0; 2], per: 1.0 }
    }
    /// Pixel of the image (0-based, the middle of the first at (0, 0)) at a place in texels, whose middles are whole numbers.
    fn pixel(&self, column: f64, row: f64) -> [f64; 2] {
        [self.at[0] + (column + 0.5) * self.per - 0.5, self.at[1] + (row + 0.5) * self.per - 0.5]
    }
    /// The way back.
    fn texel(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [(x + 0.5 - self.at[0]) / self.per - 0.5, (y + 0.5 - self.at[1]) / self.per - 0.5]
    }
}

/// How a value between pixels is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum How {
    /// That of the nearest pixel: for masks and flags.
    Nearest,
    /// Between the four around.
    #[default]
    Bilinear,
}

/// A grid with the sky of its image.
#[derive(Clone, Copy)]
pub struct OnSky<'a> {
    /// Texels.
    pub grid: Grid,
    /// Of the image, not of the texels.
    pub wcs: &'a Wcs,
}

impl OnSky<'_> {
    /// Texel of `source` at a place of this grid; NaN where one of them has no sky.
    fn to(&self, source: &OnSky<'_>, column: f64, row: f64) -> [f64; 2] {
        let [x, y] = self.grid.pixel(column, row);
        let sky = self.wcs.sky_from_pixel(x, y);
        let there = sky.and_then(|(ra, dec)| source.wcs.pixel_from_sky(ra, dec));
        there.map_or([f64::NAN; 2], |(x, y)| source.grid.texel([x, y]))
    }
}

/// The values of `source` on the grid of `target`, row by row; NaN where it has none.
pub fn reproject(target: &OnSky<'_>, source: &OnSky<'_>, values: &[f32], how: How) -> Vec<f32> {
    let [rows, columns] = target.grid.shape;
    let mut out = vec![f32::NAN; rows * columns];
    if values.len() < source.grid.shape[0] * source.grid.shape[1] || columns == 0 {
        return out;
    }
    // Positions at the corners of tiles, exactly; a corner serves four tiles.
    let ends = |n: usize| (0..n).step_by(TILE).chain([n]).collect::<Vec<_>>();
    let (ys, xs) = (ends(rows), ends(columns));
    let corner = |y: usize| xs.iter().map(|x| target.to(source, *x as f64 - 0.5, y as f64 - 0.5)).collect::<Vec<_>>();
    let corners: Vec<Vec<[f64; 2]>> = ys.par_iter().map(|y| corner(*y)).collect();
    out.par_chunks_mut(TILE * columns).enumerate().for_each(|(band, lines)| {
        let (y0, height) = (band * TILE, lines.len() / columns);
        for (t, (x0, x1)) in xs.windows(2).map(|w| (w[0], w[1])).enumerate() {
            let tile = Corners([corners[band][t], corners[band][t + 1], corners[band + 1][t], corners[band + 1][t + 1]]);
            let size = [(x1 - x0) as f64, height as f64];
            let smooth = tile.holds(size, |u, v| target.to(source, x0 as f64 - 0.5 + u * size[0], y0 as f64 - 0.5 + v * size[1]));
            for (j, line) in lines.chunks_mut(columns).enumerate() {
                for (i, value) in line[x0..x1].iter_mut().enumerate() {
                    let at = if smooth {
                        tile.at((i as f64 + 0.5) / size[0], (j as f64 + 0.5) / size[1])
                    } else {
                        target.to(source, (x0 + i) as f64, (y0 + j) as f64)
                    };
                    *value = sample(values, source.grid.shape, at, how);
                }
            }
        }
    });
    out
}

/// Positions at the corners of a tile: upper left and right by row and column, lower left and right.
struct Corners([[f64; 2]; 4]);

impl Corners {
    fn at(&self, u: f64, v: f64) -> [f64; 2] {
        let [a, b, c, d] = &self.0;
        [0, 1].map(|k| (a[k] * (1.0 - u) + b[k] * u) * (1.0 - v) + (c[k] * (1.0 - u) + d[k] * u) * v)
    }
    /// Whether positions between them are close to the exact ones.
    fn holds(&self, size: [f64; 2], exact: impl Fn(f64, f64) -> [f64; 2]) -> bool {
        let close = |(u, v): (f64, f64)| {
            let (a, b) = (self.at(u, v), exact(u, v));
            (a[0] - b[0]).abs() < CLOSE && (a[1] - b[1]).abs() < CLOSE
        };
        size[0] > 3.0
            && size[1] > 3.0
            && self.0.iter().flatten().all(|v| v.is_finite())
            && [(0.5, 0.5), (0.5, 0.0), (0.0, 0.5), (0.5, 1.0), (1.0, 0.5)].into_iter().all(close)
    }
}

/// The value at a place in texels.
fn sample(values: &[f32], [rows, columns]: [usize; 2], [x, y]: [f64; 2], how: How) -> f32 {
    let inside = |v: f64, n: usize| v >= -0.5 && v <= n as f64 - 0.5;
    if !(inside(x, columns) && inside(y, rows)) {
        return f32::NAN;
    }
    let last = |n: usize| (n - 1) as f64;
    let (x, y) = (x.clamp(0.0, last(columns)), y.clamp(0.0, last(rows)));
    if how == How::Nearest {
        return values[(y + 0.5).floor().min(last(rows)) as usize * columns + (x + 0.5).floor().min(last(columns)) as usize];
    }
    let (i, j) = (x.floor().min(last(columns)) as usize, y.floor().min(last(rows)) as usize);
    let (u, v) = (x - i as f64, y - j as f64);
    let mut sum = 0.0;
    for (dj, wy) in [(0, 1.0 - v), (1, v)] {
        for (di, wx) in [(0, 1.0 - u), (1, u)] {
            // One without a share has none in being blank either.
            if wx * wy > 0.0 {
                sum += wx * wy * f64::from(values[(j + dj) * columns + i + di]);
            }
        }
    }
    sum as f32
}

/// Where `target` lies on `source`: least and greatest column and row in pixels of the source's image, counted from the outer edge of
/// the first; `None` where they do not meet.
pub fn bounds(target: &OnSky<'_>, source: &OnSky<'_>) -> Option<[[f64; 2]; 2]> {
    let [rows, columns] = target.grid.shape.map(|n| n as f64);
    let mut found: Option<[[f64; 2]; 2]> = None;
    for j in 0..=32 {
        for i in 0..=32 {
            let at = target.to(source, columns * f64::from(i) / 32.0 - 0.5, rows * f64::from(j) / 32.0 - 0.5);
            if at.iter().all(|v| v.is_finite()) {
                let p = source.grid.pixel(at[0], at[1]).map(|v| v + 0.5);
                let f = found.get_or_insert([[p[0]; 2], [p[1]; 2]]);
                for k in 0..2 {
                    f[k] = [f[k][0].min(p[k]), f[k][1].max(p[k])];
                }
            }
        }
    }
    found
}

/// Whether pixels of the same number of two images of one shape lie at the same place, to a twentieth of a pixel.
pub fn same_grid(a: &OnSky<'_>, b: &OnSky<'_>) -> bool {
    let [rows, columns] = a.grid.shape.map(|n| n as f64 - 1.0);
    let near = |(x, y): (f64, f64)| {
        let at = a.to(b, x, y);
        (at[0] - x).abs() < 0.05 && (at[1] - y).abs() < 0.05
    };
    let whole = [(0.0, 0.0), (columns, 0.0), (0.0, rows), (columns, rows), (columns / 2.0, rows / 2.0)];
    a.grid == b.grid && whole.into_iter().all(near)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wcs(cards: &[(&str, f64)]) -> Wcs {
        let text = [("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN")].map(|(k, v)| (k.to_owned(), v.to_owned(), String::new()));
        let numbers = cards.iter().map(|(k, v)| ((*k).to_owned(), v.to_string(), String::new()));
        Wcs::from_header(&text.into_iter().chain(numbers).collect::<Vec<_>>()).unwrap()
    }

    fn around(crpix: [f64; 2], scale: f64, turn_deg: f64) -> Wcs {
        let (s, c) = turn_deg.to_radians().sin_cos();
        wcs(&[
            ("CRPIX1", crpix[0]),
            ("CRPIX2", crpix[1]),
            ("CRVAL1", 10.0),
            ("CRVAL2", 40.0),
            ("CD1_1", -scale * c),
            ("CD1_2", scale * s),
            ("CD2_1", scale * s),
            ("CD2_2", scale * c),
        ])
    }

    #[test]
    fn onto_itself_nothing_changes_and_by_whole_pixels_it_moves() {
        let (a, b) = (around([20.0, 15.0], 1e-4, 0.0), around([23.0, 13.0], 1e-4, 0.0));
        let grid = Grid::of([30, 40]);
        let values: Vec<f32> = (0..1200).map(|i| (i * 37 % 101) as f32).collect();
        let here = OnSky { grid, wcs: &a };
        for how in [How::Nearest, How::Bilinear] {
            let same = reproject(&here, &here, &values, how);
            assert!(same.iter().zip(&values).all(|(s, v)| (s - v).abs() < 1e-3), "{how:?}");
            let moved = reproject(&here, &OnSky { grid, wcs: &b }, &values, how);
            assert!((moved[10 * 40 + 5] - values[8 * 40 + 8]).abs() < 1e-3, "{how:?}");
            assert!(moved[0].is_nan() && moved[1199].is_nan());
        }
        assert!(same_grid(&here, &here) && !same_grid(&here, &OnSky { grid, wcs: &b }));
    }

    #[test]
    fn a_blank_pixel_blanks_what_it_has_a_share_in_and_a_mask_stays_a_mask() {
        let (a, b) = (around([20.0, 20.0], 1e-4, 0.0), around([20.0, 20.0], 0.7e-4, 30.0));
        let mut values = vec![1.0_f32; 1600];
        values[20 * 40 + 20] = f32::NAN;
        values[0] = 7.0;
        let (target, source) = (OnSky { grid: Grid::of([50, 50]), wcs: &b }, OnSky { grid: Grid::of([40, 40]), wcs: &a });
        let blank = |how| reproject(&target, &source, &values, how).iter().filter(|v| v.is_nan()).count();
        assert!(blank(How::Bilinear) > blank(How::Nearest));
        let mask = reproject(&target, &source, &values, How::Nearest);
        assert!(mask.iter().all(|v| v.is_nan() || *v == 1.0 || *v == 7.0));
    }

    #[test]
    fn means_of_a_part_lie_where_their_pixels_are() {
        // A plane in the pixels of the source, as means of 4 x 4 of a part of it.
        let w = around([100.0, 100.0], 1e-4, 0.0);
        let part = Grid { shape: [20, 20], at: [40.0, 60.0], per: 4.0 };
        let values: Vec<f32> = (0..400)
            .map(|i| {
                let [x, y] = part.pixel(f64::from(i % 20), f64::from(i / 20));
                (3.0 * x - 2.0 * y) as f32
            })
            .collect();
        let target = OnSky { grid: Grid { shape: [30, 30], at: [50.0, 70.0], per: 1.0 }, wcs: &w };
        let out = reproject(&target, &OnSky { grid: part, wcs: &w }, &values, How::Bilinear);
        for (i, v) in out.iter().enumerate() {
            let [x, y] = [50.0 + (i % 30) as f64, 70.0 + (i / 30) as f64];
            assert!((f64::from(*v) - (3.0 * x - 2.0 * y)).abs() < 1e-2, "{x} {y}: {v}");
        }
        let b = bounds(&target, &OnSky { grid: part, wcs: &w }).unwrap();
        assert!((b[0][0] - 50.0).abs() < 1e-6 && (b[1][1] - 100.0).abs() < 1e-6, "{b:?}");
    }

    #[test]
    fn the_grid_of_reproject_gives_its_values() {
        let recorded: serde_json::Value = serde_json::from_str(include_str!("../../../tests/peers/reproject.json")).unwrap();
        for case in recorded["cases"].as_array().unwrap() {
            let cards = |of: &str| -> Vec<(String, String, String)> {
                let all = case[of].as_object().unwrap().iter();
                let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
                all.map(|(k, v)| (k.clone(), text(v), String::new())).collect()
            };
            let (from, to) = (Wcs::from_header(&cards("from")).unwrap(), Wcs::from_header(&cards("to")).unwrap());
            let shape = |of: &str| [0, 1].map(|i| case[of][i].as_u64().unwrap() as usize);
            let [rows, columns] = shape("from_shape");
            // The same sum of waves that the script makes.
            let values: Vec<f32> = (0..rows * columns)
                .map(|i| {
                    let (x, y) = ((i % columns) as f64, (i / columns) as f64);
                    (100.0 * (x / 5.0).sin() + 50.0 * (y / 7.0 + x / 11.0).cos() + x - 2.0 * y) as f32
                })
                .collect();
            let source = OnSky { grid: Grid::of([rows, columns]), wcs: &from };
            let target = OnSky { grid: Grid::of(shape("to_shape")), wcs: &to };
            for (how, name) in [(How::Bilinear, "bilinear"), (How::Nearest, "nearest")] {
                let ours = reproject(&target, &source, &values, how);
                let theirs = case[name].as_array().unwrap();
                let step = case["every"].as_u64().unwrap() as usize;
                let (mut off, mut blank) = (0, 0);
                for (k, there) in theirs.iter().enumerate() {
                    let v = ours[k * step];
                    match there.as_f64() {
                        None => blank += usize::from(!v.is_nan()),
                        Some(t) => off += usize::from((f64::from(v) - t).abs() >= 0.35 || v.is_nan()),
                    }
                }
                // Nearest: a place halfway between two pixels may go to either.
                let most = if how == How::Nearest { theirs.len() / 100 } else { 0 };
                assert!(
                    off <= most && blank <= theirs.len() / 200,
                    "{} {name}: {off} off, {blank} blank of {}",
                    case["name"],
                    theirs.len()
                );
            }
        }
    }
}
