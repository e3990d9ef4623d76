//! Values on a regular grid over a part of the data: density, or a statistic of a third column in each cell; and their contours.
//!
//! Everything is computed by the processor and does not depend on the number of threads: rows are sorted by cell (counting sort, in
//! the order of the rows), and each cell is then worked on by one thread. A field is drawn as an image
//! ([`crate::ImageTexture::new`] with its `values`); its contours are lines in data units.
//!
//! Choice not taken: a kernel on the device for statistics (a median needs all values of a cell together, and a field changes far
//! more rarely than a view). Cost: about 35 ns a row for the sort and 12 B while it lasts; contours one pass over the cells.

use rayon::prelude::*;

/// Values on a grid. Cell `(i, j)` is `values[j * columns + i]` and covers equal parts of `x` and `y`; `j = 0` is at `y[0]`, so the
/// first line is the lowest. Not a number = no points there.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Cells along x.
    pub columns: usize,
    /// Cells along y.
    pub lines: usize,
    /// Data at the left edge of the first column and the right edge of the last.
    pub x: [f64; 2],
    /// Data at the lower edge of the first line and the upper edge of the last.
    pub y: [f64; 2],
    /// Line by line.
    pub values: Vec<f32>,
}

/// What is told of the values in a cell; values that are not finite are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// Number of values.
    Count,
    /// Arithmetic mean.
    Mean,
    /// Median, exact; the mean of the middle two where their number is even.
    Median,
    /// Least.
    Min,
    /// Greatest.
    Max,
    /// Standard deviation of the values as they are (division by n); 0 for a single one.
    Std,
}

impl Statistic {
    /// All of them, in the order of a menu.
    pub const ALL: [Self; 6] = [Self::Count, Self::Mean, Self::Median, Self::Min, Self::Max, Self::Std];

    /// Name in files and menus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Mean => "mean",
            Self::Median => "median",
            Self::Min => "min",
            Self::Max => "max",
            Self::Std => "std",
        }
    }

    /// Of some values, all finite; reorders them. None where there are none, but a count of 0.
    pub fn of(self, values: &mut [f32]) -> Option<f32> {
        let n = values.len();
        if n == 0 {
            return (self == Self::Count).then_some(0.0);
        }
        let mean = || values.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
        Some(match self {
            Self::Count => n as f32,
            Self::Mean => mean() as f32,
            Self::Median => median(values),
            Self::Min => values.iter().copied().fold(f32::INFINITY, f32::min),
            Self::Max => values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            Self::Std => {
                let mean = mean();
                (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n as f64).sqrt() as f32
            }
        })
    }
}

fn median(values: &mut [f32]) -> f32 {
    let half = values.len() / 2;
    let odd = values.len() % 2 == 1;
    let (below, &mut high, _) = values.select_nth_unstable_by(half, f32::total_cmp);
    let low = below.iter().copied().max_by(f32::total_cmp);
    match low {
        Some(low) if !odd => low * 0.5 + high * 0.5,
        _ => high,
    }
}

/// Cells in which positions lie.
struct Cells {
    columns: usize,
    lines: usize,
    low: [f64; 2],
    per: [f64; 2],
}

impl Cells {
    /// None for a grid or range of no extent.
    fn new(x: [f64; 2], y: [f64; 2], cells: [usize; 2]) -> Option<Self> {
        let [columns, lines] = cells;
        let per = [columns as f64 / (x[1] - x[0]), lines as f64 / (y[1] - y[0])];
        let some = columns > 0 && lines > 0 && columns.checked_mul(lines)? < u32::MAX as usize;
        (some && per.iter().all(|p| p.is_finite() && *p != 0.0)).then_some(Self { columns, lines, low: [x[0], y[0]], per })
    }

    fn of(&self, p: [f32; 2]) -> Option<u32> {
        let at = [0, 1].map(|k| (f64::from(p[k]) - self.low[k]) * self.per[k]);
        let inside = at[0] >= 0.0 && at[1] >= 0.0 && at[0] < self.columns as f64 && at[1] < self.lines as f64;
        inside.then(|| (at[1] as usize * self.columns + at[0] as usize) as u32)
    }
}

impl Field {
    /// `statistic` of `values` (one a row) in each of `cells` (columns, lines) of the data range `x`, `y`; a range may be given
    /// backwards. Rows outside, or without a finite position or value, are left out; where the slices differ in length the shorter
    /// counts. Positions in data units. None if the grid has no cells or the range no extent.
    pub fn statistic(
        xy: &[[f32; 2]],
        values: &[f32],
        x: [f64; 2],
        y: [f64; 2],
        cells: [usize; 2],
        statistic: Statistic,
    ) -> Option<Self> {
        const NONE: u32 = u32::MAX;
        let grid = Cells::new(x, y, cells)?;
        let of: Vec<u32> =
            xy.par_iter().zip(values).map(|(p, v)| if v.is_finite() { grid.of(*p).unwrap_or(NONE) } else { NONE }).collect();
        let mut starts = vec![0usize; cells[0] * cells[1] + 1];
        of.iter().filter(|&&c| c != NONE).for_each(|&c| starts[c as usize + 1] += 1);
        for c in 1..starts.len() {
            starts[c] += starts[c - 1];
        }
        let mut sorted = vec![0f32; starts.last().copied().unwrap_or(0)];
        let mut next = starts.clone();
        for (&c, &v) in of.iter().zip(values).filter(|(c, _)| **c != NONE) {
            sorted[next[c as usize]] = v;
            next[c as usize] += 1;
        }
        drop((of, next));
        let mut parts = Vec::with_capacity(starts.len() - 1);
        let mut rest = sorted.as_mut_slice();
        for c in starts.windows(2) {
            let (part, tail) = rest.split_at_mut(c[1] - c[0]);
            parts.push(part);
            rest = tail;
        }
        let values = parts.into_par_iter().map(|part| statistic.of(part).unwrap_or(f32::NAN)).collect();
        Some(Self { columns: cells[0], lines: cells[1], x, y, values })
    }

    /// Points per cell, blurred by a Gaussian of `sigma` cells (0 = plain counts; cut off at three sigma, mass at the edges lost).
    /// None as for [`Field::statistic`].
    pub fn density(xy: &[[f32; 2]], x: [f64; 2], y: [f64; 2], cells: [usize; 2], sigma: f32) -> Option<Self> {
        let grid = Cells::new(x, y, cells)?;
        let n = cells[0] * cells[1];
        // Some tables of counts, each of a fixed part of the rows: sums of integers do not depend on the order.
        let part = xy.len().div_ceil(8).max(1 << 16);
        let count = |rows: &[[f32; 2]]| {
            let mut counts = vec![0u32; n];
            rows.iter().filter_map(|p| grid.of(*p)).for_each(|c| counts[c as usize] += 1);
            counts
        };
        let counts = xy.par_chunks(part).map(count).reduce(
            || vec![0; n],
            |mut a, b| {
                a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                a
            },
        );
        let mut field = Self { columns: cells[0], lines: cells[1], x, y, values: counts.into_iter().map(|n| n as f32).collect() };
        field.blur(sigma);
        Some(field)
    }

    /// Convolves with a Gaussian of `sigma` cells, cut off at three sigma; beyond the edges there is nothing.
    pub fn blur(&mut self, sigma: f32) {
        if !(sigma > 0.0 && sigma.is_finite()) {
            return;
        }
        let reach = (sigma * 3.0).ceil() as usize;
        let weight = |d: usize| (-0.5 * (d as f32 / sigma).powi(2)).exp();
        let sum: f32 = (1..=reach).map(|d| 2.0 * weight(d)).sum::<f32>() + 1.0;
        let kernel: Vec<f32> = (0..=reach).map(|d| weight(d) / sum).collect();
        let (w, h) = (self.columns, self.lines);
        let across: Vec<f32> =
            self.values.par_chunks(w).flat_map_iter(|line| (0..w).map(|i| convolved(&kernel, i, w, |k| line[k]))).collect();
        self.values.par_chunks_mut(w).enumerate().for_each(|(j, line)| {
            for (i, v) in line.iter_mut().enumerate() {
                *v = convolved(&kernel, j, h, |k| across[k * w + i]);
            }
        });
    }

    /// Data position of a place in cells, `(0, 0)` being the corner of the first cell.
    pub fn data(&self, [i, j]: [f64; 2]) -> [f64; 2] {
        [
            self.x[0] + i / self.columns as f64 * (self.x[1] - self.x[0]),
            self.y[0] + j / self.lines as f64 * (self.y[1] - self.y[0]),
        ]
    }

    /// Least and greatest value, if there is any.
    pub fn range(&self) -> Option<[f32; 2]> {
        self.values.iter().filter(|v| v.is_finite()).fold(None, |r, &v| match r {
            Some([lo, hi]) => Some([v.min(lo), v.max(hi)]),
            None => Some([v, v]),
        })
    }

    /// Levels that hold the given shares of the field's sum above them (0.5, 0.9, ...: the densest half, nine tenths), for contours
    /// of a density. Shares are clamped to 0..1; empty if the field holds nothing.
    pub fn levels_of_shares(&self, shares: &[f64]) -> Vec<f32> {
        let mut values: Vec<f32> = self.values.iter().copied().filter(|v| *v > 0.0 && v.is_finite()).collect();
        values.par_sort_unstable_by(|a, b| b.total_cmp(a));
        let all: f64 = values.iter().map(|&v| f64::from(v)).sum();
        let level = |share: &f64| {
            let wanted = share.clamp(0.0, 1.0) * all;
            let mut sum = 0.0;
            values
                .iter()
                .find(|&&v| {
                    sum += f64::from(v);
                    sum >= wanted
                })
                .or(values.last())
                .copied()
        };
        shares.iter().filter_map(level).collect()
    }
}

fn convolved(kernel: &[f32], at: usize, n: usize, value: impl Fn(usize) -> f32) -> f32 {
    let mut sum = value(at) * kernel[0];
    for (d, k) in kernel.iter().enumerate().skip(1) {
        if at >= d {
            sum += value(at - d) * k;
        }
        if at + d < n {
            sum += value(at + d) * k;
        }
    }
    sum
}

/// A contour.
#[derive(Clone, Debug, PartialEq)]
pub struct Polyline {
    /// Its level.
    pub level: f32,
    /// Corners in data units; where `closed`, the first is not repeated.
    pub points: Vec<[f64; 2]>,
    /// Whether the last corner joins the first.
    pub closed: bool,
}

/// Contours of a field at some levels, by marching squares between the centres of the cells, linearly interpolated (Lorensen and Cline
/// 1987 in two dimensions; saddles are decided by the mean of their four corners). Higher values lie to the left of the way of a line
/// in cells. Cells without a value count as lower than any level, and the line passes half way to them; at the edges of the field
/// lines stay open. Levels that are not finite give nothing. Lines come level by level, ordered by where they start.
pub fn contours(field: &Field, levels: &[f32]) -> Vec<Polyline> {
    let of = |&level: &f32| if level.is_finite() { trace(field, level) } else { Vec::new() };
    levels.par_iter().flat_map_iter(of).collect()
}

/// Edges of the squares between cell centres: `2 * cell` is the one to the right, `2 * cell + 1` the one upwards.
type Edge = u32;

fn trace(field: &Field, level: f32) -> Vec<Polyline> {
    let (w, h) = (field.columns, field.lines);
    if w < 2 || h < 2 || field.values.len() != w * h {
        return Vec::new();
    }
    let is_high = |c: usize| field.values[c] >= level;
    // At most two lines leave a square, each by an edge that no other line of that square enters: the way on from an edge, of the
    // square before it, is therefore unique. `next[edge]` is the edge by which a line that came in by `edge` goes out.
    const NONE: Edge = Edge::MAX;
    let mut next = vec![NONE; w * h * 2];
    let mut starts = Vec::new();
    let mut has_before = vec![false; w * h * 2];
    for j in 0..h - 1 {
        for i in 0..w - 1 {
            let c = j * w + i;
            let corners = [c, c + 1, c + w + 1, c + w];
            let bits = corners.iter().enumerate().map(|(k, &c)| usize::from(is_high(c)) << k).sum::<usize>();
            let [bottom, right, top, left] = [2 * c, 2 * (c + 1) + 1, 2 * (c + w), 2 * c + 1].map(|e| e as Edge);
            let mut join = |a: Edge, b: Edge| {
                next[a as usize] = b;
                has_before[b as usize] = true;
                starts.push(a);
            };
            // From a to b with the higher corner to the left.
            match bits {
                1 => join(bottom, left),
                2 => join(right, bottom),
                3 => join(right, left),
                4 => join(top, right),
                6 => join(top, bottom),
                7 => join(top, left),
                8 => join(left, top),
                9 => join(bottom, top),
                11 => join(right, top),
                12 => join(left, right),
                13 => join(bottom, right),
                14 => join(left, bottom),
                5 | 10 => {
                    let mean = corners.iter().map(|&c| field.values[c]).sum::<f32>() / 4.0;
                    match (bits == 5, mean >= level) {
                        (true, true) => {
                            join(bottom, right);
                            join(top, left);
                        }
                        (true, false) => {
                            join(bottom, left);
                            join(top, right);
                        }
                        (false, true) => {
                            join(left, bottom);
                            join(right, top);
                        }
                        (false, false) => {
                            join(right, bottom);
                            join(left, top);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    let place = |edge: Edge| {
        let (a, is_up) = (edge as usize / 2, edge % 2 == 1);
        let b = if is_up { a + w } else { a + 1 };
        let (va, vb) = (f64::from(field.values[a]), f64::from(field.values[b]));
        let t = if va.is_finite() && vb.is_finite() && va != vb { (f64::from(level) - va) / (vb - va) } else { 0.5 };
        let (i, j) = ((a % w) as f64 + 0.5, (a / w) as f64 + 0.5);
        field.data(if is_up { [i, j + t] } else { [i + t, j] })
    };
    let mut lines = Vec::new();
    // Open lines from their ends first; what is left then are rings.
    for open in [true, false] {
        for &start in &starts {
            if next[start as usize] == NONE || (open && has_before[start as usize]) {
                continue;
            }
            let mut points = Vec::new();
            let mut at = start;
            loop {
                points.push(place(at));
                let then = std::mem::replace(&mut next[at as usize], NONE);
                if then == NONE || then == start {
                    break;
                }
                at = then;
            }
            points.dedup();
            while !open && points.len() > 1 && points.first() == points.last() {
                points.pop();
            }
            if points.len() > 1 {
                lines.push(Polyline { level, points, closed: !open });
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::simplify;

    fn made(columns: usize, lines: usize, f: impl Fn(f64, f64) -> f64) -> Field {
        let mut field = Field { columns, lines, x: [-2.0, 2.0], y: [3.0, -3.0], values: Vec::new() };
        field.values = (0..lines * columns)
            .map(|c| {
                let [x, y] = field.data([(c % columns) as f64 + 0.5, (c / columns) as f64 + 0.5]);
                f(x, y) as f32
            })
            .collect();
        field
    }

    /// Even in 0..1 (the finaliser of MurmurHash3).
    fn noise(i: usize) -> f32 {
        let mut h = i as u32 ^ 0x5bd1_e995;
        for k in [0x85eb_ca6b, 0xc2b2_ae35] {
            h = (h ^ (h >> 15)).wrapping_mul(k);
        }
        ((h ^ (h >> 16)) >> 8) as f32 / (1 << 24) as f32
    }

    #[test]
    fn contours_of_a_hill_are_circles_with_the_height_to_the_left() {
        let field = made(400, 600, |x, y| -(x * x + y * y));
        let lines = contours(&field, &[-1.0, -2.25, f32::NAN, 5.0]);
        assert_eq!(lines.len(), 2);
        for (line, radius) in lines.iter().zip([1.0, 1.5]) {
            assert!(line.closed && line.points.len() > 100);
            for [x, y] in &line.points {
                assert!((x.hypot(*y) - radius).abs() < 2e-4, "{x} {y}");
            }
            assert!((simplify::area(&line.points) - std::f64::consts::PI * radius * radius).abs() < 1e-2);
            let at = |k: usize| line.points[k % line.points.len()];
            // y runs backwards here, so left in cells is right in data: clockwise.
            let turn: f64 = (0..line.points.len()).map(|k| at(k)[0] * at(k + 1)[1] - at(k + 1)[0] * at(k)[1]).sum();
            assert!(turn < 0.0);
        }
        // Cut by the edge: four open arcs at radius 2.5 (x ends at 2), every end on the frame of the centres.
        let lines = contours(&field, &[-6.25]);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|l| !l.closed));
        for line in &lines {
            for end in [line.points[0], line.points[line.points.len() - 1]] {
                assert!((end[0].abs() - 1.995).abs() < 1e-9, "{end:?}");
            }
        }
    }

    #[test]
    fn contours_part_high_from_low_everywhere() {
        // Noise has every case, saddles included: winding numbers of all lines must tell high cells from low ones.
        for seed in 0..20 {
            let mut field = made(13, 11, |_, _| 0.0);
            for (c, v) in field.values.iter_mut().enumerate() {
                let edge = c % 13 == 0 || c % 13 == 12 || c / 13 == 0 || c / 13 == 10;
                *v = if edge { 0.0 } else { noise(seed * 1000 + c) };
                if !edge && c % 17 == 3 {
                    *v = f32::NAN;
                }
            }
            let lines = contours(&field, &[0.5]);
            assert!(lines.iter().all(|l| l.closed));
            for (c, v) in field.values.iter().enumerate() {
                let p = field.data([(c % 13) as f64 + 0.5, (c / 13) as f64 + 0.5]);
                let inside = lines.iter().filter(|l| crate::grid::in_polygon(&l.points, p)).count() % 2 == 1;
                assert_eq!(inside, *v >= 0.5, "seed {seed}, cell {c}");
            }
        }
    }

    #[test]
    fn statistics_are_those_of_the_rows_in_each_cell() {
        let n = 20_000;
        let xy: Vec<[f32; 2]> = (0..n).map(|i| [noise(i) * 1.2 - 0.1, noise(i + n) * 1.2 - 0.1]).collect();
        let values: Vec<f32> = (0..n).map(|i| if i % 11 == 0 { f32::NAN } else { noise(i * 3) * 100.0 }).collect();
        let (x, y) = ([0.0, 1.0], [1.0, 0.0]);
        for statistic in Statistic::ALL {
            let field = Field::statistic(&xy, &values, x, y, [7, 40], statistic).unwrap();
            for c in 0..7 * 40 {
                let mut of: Vec<f64> = (0..n)
                    .filter(|&i| {
                        let p = [f64::from(xy[i][0]) * 7.0, (1.0 - f64::from(xy[i][1])) * 40.0];
                        values[i].is_finite() && p[0].floor() == (c % 7) as f64 && p[1].floor() == (c / 7) as f64
                    })
                    .map(|i| f64::from(values[i]))
                    .collect();
                of.sort_by(f64::total_cmp);
                let m = of.len() as f64;
                let mean = of.iter().sum::<f64>() / m;
                let want = match statistic {
                    Statistic::Count => m,
                    Statistic::Mean => mean,
                    Statistic::Median => (of[(of.len() - 1) / 2] + of[of.len() / 2]) / 2.0,
                    Statistic::Min => of[0],
                    Statistic::Max => of[of.len() - 1],
                    Statistic::Std => (of.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / m).sqrt(),
                };
                assert!((f64::from(field.values[c]) - want).abs() < 1e-4, "{statistic:?} of cell {c}");
            }
        }
        let empty = Field::statistic(&xy, &values, [5.0, 6.0], y, [2, 2], Statistic::Mean).unwrap();
        assert!(empty.values.iter().all(|v| v.is_nan()) && empty.range().is_none());
        assert_eq!(Field::statistic(&xy, &values, [5.0, 6.0], y, [2, 2], Statistic::Count).unwrap().values, [0.0; 4]);
        assert!(Field::statistic(&xy, &values, [1.0, 1.0], y, [2, 2], Statistic::Mean).is_none());
        assert!(Field::statistic(&xy, &values, x, y, [0, 2], Statistic::Mean).is_none());
    }

    #[test]
    fn a_blurred_density_keeps_its_sum_and_its_shares() {
        let n = 200_000;
        let xy: Vec<[f32; 2]> = (0..n)
            .map(|i| {
                let (r, t) = ((-2.0 * noise(i).max(1e-6).ln()).sqrt(), noise(i + n) * std::f32::consts::TAU);
                [r * t.cos(), r * t.sin()]
            })
            .collect();
        let plain = Field::density(&xy, [-8.0, 8.0], [-8.0, 8.0], [160, 160], 0.0).unwrap();
        let soft = Field::density(&xy, [-8.0, 8.0], [-8.0, 8.0], [160, 160], 2.0).unwrap();
        let sum = |f: &Field| f.values.iter().map(|&v| f64::from(v)).sum::<f64>();
        assert_eq!(sum(&plain), n as f64);
        assert!((sum(&soft) / sum(&plain) - 1.0).abs() < 1e-5);
        // Half of a normal distribution lies within 1.1774 sigma; the blur (0.2) adds in squares.
        let level = soft.levels_of_shares(&[0.5]);
        let line = contours(&soft, &level).into_iter().max_by_key(|l| l.points.len()).unwrap();
        let radius = (simplify::area(&line.points) / std::f64::consts::PI).sqrt();
        assert!((radius - 1.1774 * 1.04f64.sqrt()).abs() < 0.03, "{radius}");
    }
}
