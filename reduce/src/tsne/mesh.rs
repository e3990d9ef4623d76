//! Repulsion through a particle mesh.
//!
//! All points are spread as unit charges on a square grid with cubic B-spline weights, the grid is convolved with
//! K(r) = 1 / (1 + r²) by one forward and one inverse FFT, and potential and force are read back with the same weights
//! and their derivatives: Σ_j q² (y_i − y_j) = −½ ∇φ. One scalar field of like-signed charges is enough, so `f32`
//! suffices; FIt-SNE (Linderman et al. 2019) needs eight `f64` transforms for the same error. The kernel's spectrum is
//! divided by the B-spline's twice (Hockney & Eastwood 1988, Essmann et al. 1995), and each point's force on itself,
//! which the mesh does not cancel exactly, is subtracted in closed form.
//!
//! The spacing is fixed and never shrinks with the map: at a span of 1e-4 the potential (~N) would drown its own
//! gradient. Cost: 16 grid nodes per point twice, and M² log M for M ≈ 2 · span / spacing.

use crate::kernel::CHUNK;
use rayon::prelude::*;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

/// Columns and rows that are transformed together, so that transposing moves whole cache lines.
const TILE: usize = 8;

struct Plans {
    forward_rows: Arc<dyn RealToComplex<f32>>,
    inverse_rows: Arc<dyn ComplexToReal<f32>>,
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
}

#[derive(Clone, Copy, Default)]
struct Spot {
    column: u32,
    row: u32,
    tx: f32,
    ty: f32,
}

/// The mesh with its plans and buffers.
pub(crate) struct Mesh {
    spacing: f32,
    nodes: usize,
    size: usize,
    centre: [f32; 2],
    planner: FftPlanner<f32>,
    real_planner: RealFftPlanner<f32>,
    real_planner64: RealFftPlanner<f64>,
    plans: Option<Plans>,
    /// Per column of the half spectrum `size` numbers.
    spectrum: Vec<f32>,
    /// Kernel of a unit charge on a node, at offsets 0..4 × 0..4: for the force on itself.
    near: [[f32; 4]; 4],
    grid: Vec<f32>,
    half: Vec<Complex<f32>>,
    turned: Vec<Complex<f32>>,
    order: Vec<u32>,
    rank: Vec<u32>,
    spots: Vec<Spot>,
    starts: Vec<usize>,
    found: Vec<[f32; 3]>,
}

/// The smallest even number ≥ `n` without prime factors above 5.
fn smooth(n: usize) -> usize {
    let mut m = n.max(2).next_multiple_of(2);
    loop {
        let mut r = m;
        for p in [2, 3, 5] {
            while r.is_multiple_of(p) {
                r /= p;
            }
        }
        if r == 1 {
            return m;
        }
        m += 2;
    }
}

fn weights(t: f32) -> [f32; 4] {
    let s = 1.0 - t;
    let (t2, t3) = (t * t, t * t * t);
    [s * s * s / 6.0, (3.0 * t3 - 6.0 * t2 + 4.0) / 6.0, (-3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0) / 6.0, t3 / 6.0]
}

fn slopes(t: f32) -> [f32; 4] {
    let (s, t2) = (1.0 - t, t * t);
    [-0.5 * s * s, 1.5 * t2 - 2.0 * t, -1.5 * t2 + t + 0.5, 0.5 * t2]
}

/// Overlaps of a point's weights with themselves shifted by 0..4 nodes (both ways), and half their derivative.
fn overlaps(w: &[f32; 4], v: &[f32; 4]) -> ([f32; 4], [f32; 4]) {
    let (mut e, mut c) = ([0.0f32; 4], [0.0f32; 4]);
    for a in 0..4 {
        e[0] += w[a] * w[a];
        c[0] += w[a] * v[a];
        for m in 1..4 - a {
            e[m] += 2.0 * w[a] * w[a + m];
            c[m] += v[a] * w[a + m] + w[a] * v[a + m];
        }
    }
    (e, c)
}

/// Maps no wider than this are summed by [`close`].
const CLOSE: f32 = 0.2;

/// Forces and Σ q of a map that is still a speck (width below [`CLOSE`]), or `None` of a wider one.
///
/// There q = 1 − r² + r⁴ and q² = 1 − 2r² + 3r⁴ but for terms of r⁶, and sums of such polynomials over all points
/// follow from moments: exact where the mesh, which sees the whole map in one cell, would be some per cent off.
/// Of the r⁴ terms only Σ q has need; the force leaves out 3r⁴ < 0.5%.
fn close(y: &[[f32; 2]], out: &mut [[f32; 2]]) -> Option<f64> {
    let parts: Vec<[f64; 4]> = y
        .par_chunks(CHUNK)
        .map(|c| {
            let mut m = [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY, f64::NEG_INFINITY];
            for p in c {
                let (x, y) = (f64::from(p[0]), f64::from(p[1]));
                m = [m[0].min(x), m[1].max(x), m[2].min(y), m[3].max(y)];
            }
            m
        })
        .collect();
    let m = parts.into_iter().reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].max(b[3])])?;
    if (m[1] - m[0]).max(m[3] - m[2]) > f64::from(CLOSE) {
        return None;
    }
    let (cx, cy) = (0.5 * (m[0] + m[1]), 0.5 * (m[2] + m[3]));
    // Sums of x, y, x², xy, y², r² x, r² y, r⁴ about the centre.
    let sums: Vec<[f64; 8]> = y
        .par_chunks(CHUNK)
        .map(|c| {
            let mut s = [0.0f64; 8];
            for p in c {
                let (x, y) = (f64::from(p[0]) - cx, f64::from(p[1]) - cy);
                let r2 = x * x + y * y;
                for (s, v) in s.iter_mut().zip([x, y, x * x, x * y, y * y, r2 * x, r2 * y, r2 * r2]) {
                    *s += v;
                }
            }
            s
        })
        .collect();
    let mut s = [0.0f64; 8];
    sums.iter().for_each(|part| s.iter_mut().zip(part).for_each(|(s, p)| *s += p));
    let n = y.len() as f64;
    let second = s[2] + s[4];
    out.par_chunks_mut(CHUNK).zip(y.par_chunks(CHUNK)).for_each(|(out, y)| {
        for (o, p) in out.iter_mut().zip(y) {
            let (x, y) = (f64::from(p[0]) - cx, f64::from(p[1]) - cy);
            let r2 = x * x + y * y;
            // Σ (p − q)(1 − 2|p − q|²), expanded in p and the sums over q.
            let (dot_x, dot_y) = (x * s[2] + y * s[3], x * s[3] + y * s[4]);
            let square = n * r2 - 2.0 * (x * s[0] + y * s[1]) + second;
            let along_x = x * square - (r2 * s[0] - 2.0 * dot_x + s[5]);
            let along_y = y * square - (r2 * s[1] - 2.0 * dot_y + s[6]);
            *o = [(n * x - s[0] - 2.0 * along_x) as f32, (n * y - s[1] - 2.0 * along_y) as f32];
        }
    });
    // Σ |p − q|² = 2nM₂ − 2|M₁|²; Σ |p − q|⁴ expanded likewise.
    let first = s[0] * s[0] + s[1] * s[1];
    let two = 2.0 * n * second - 2.0 * first;
    let tensor = s[2] * s[2] + 2.0 * s[3] * s[3] + s[4] * s[4];
    let four = 2.0 * n * s[7] + 2.0 * second * second + 4.0 * tensor - 8.0 * (s[0] * s[5] + s[1] * s[6]);
    Some(n * n - n - two + four)
}

impl Mesh {
    /// A mesh of this spacing (map units).
    pub fn new(spacing: f32) -> Self {
        Self {
            spacing,
            nodes: 0,
            size: 0,
            centre: [0.0; 2],
            planner: FftPlanner::new(),
            real_planner: RealFftPlanner::new(),
            real_planner64: RealFftPlanner::new(),
            plans: None,
            spectrum: Vec::new(),
            near: [[0.0; 4]; 4],
            grid: Vec::new(),
            half: Vec::new(),
            turned: Vec::new(),
            order: Vec::new(),
            rank: Vec::new(),
            spots: Vec::new(),
            starts: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Σ_j q²(y_i − y_j) for each i into `out`, and Σ_{i≠j} q.
    pub fn forces(&mut self, y: &[[f32; 2]], out: &mut [[f32; 2]]) -> f64 {
        if let Some(z) = close(y, out) {
            return z;
        }
        self.load(y);
        let mut found = std::mem::take(&mut self.found);
        found.resize(y.len(), [0.0; 3]);
        let this = &*self;
        let sums: Vec<f64> = found
            .par_chunks_mut(CHUNK)
            .zip(this.spots.par_chunks(CHUNK))
            .map(|(found, spots)| {
                let mut sum = 0.0f64;
                for (f, s) in found.iter_mut().zip(spots) {
                    *f = this.read(s, true);
                    sum += f64::from(f[0]);
                }
                sum
            })
            .collect();
        out.par_chunks_mut(CHUNK).zip(this.rank.par_chunks(CHUNK)).for_each(|(out, rank)| {
            for (o, rank) in out.iter_mut().zip(rank) {
                let f = found[*rank as usize];
                *o = [f[1], f[2]];
            }
        });
        self.found = found;
        sums.iter().sum()
    }

    /// Spreads the points and convolves: afterwards [`Self::probe`] reads their field.
    pub fn load(&mut self, y: &[[f32; 2]]) {
        let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
        for p in y {
            for a in 0..2 {
                low[a] = low[a].min(p[a]);
                high[a] = high[a].max(p[a]);
            }
        }
        self.centre = [0.5 * (low[0] + high[0]), 0.5 * (low[1] + high[1])];
        let span = (high[0] - low[0]).max(high[1] - low[1]);
        let need = ((span / self.spacing).ceil() as usize + 8).max(32);
        if need > self.nodes || need * 10 < self.nodes * 7 {
            self.build(need);
        }
        self.sort(y);
        self.spread();
        self.convolve();
    }

    /// Potential, and Σ_j q²(p − y_j), of the loaded points at any place; outside of the grid that of its edge.
    pub fn probe(&self, p: [f32; 2]) -> [f32; 3] {
        self.read(&self.spot(p), false)
    }

    /// The spectrum of the kernel for a mesh of `size` / 2 nodes (column after column of the half spectrum, `size` numbers each,
    /// with the norm of both transforms), and the field of a unit charge at 0..4 × 0..4 nodes' distance: what the device's mesh
    /// shares with this one.
    pub fn kernel(spacing: f32, size: usize) -> (Vec<f32>, [[f32; 4]; 4]) {
        let mut mesh = Self::new(spacing);
        mesh.build_size(size);
        (mesh.spectrum, mesh.near)
    }

    fn build(&mut self, need: usize) {
        // An eighth of head room, so that a growing map does not need a new grid at every step.
        self.build_size(smooth(2 * need.max(need + need / 8)));
    }

    fn build_size(&mut self, size: usize) {
        self.size = size;
        self.nodes = size / 2;
        let n = self.nodes;
        self.plans = Some(Plans {
            forward_rows: self.real_planner.plan_fft_forward(size),
            inverse_rows: self.real_planner.plan_fft_inverse(size),
            forward: self.planner.plan_fft_forward(size),
            inverse: self.planner.plan_fft_inverse(size),
        });
        let wide = n + 1;
        // The kernel is even in both directions: its transform is real and only a quarter of it need be known.
        let fft = self.real_planner64.plan_fft_forward(size);
        let h2 = f64::from(self.spacing).powi(2);
        let transform = |line: &mut dyn FnMut(usize) -> f64| -> Vec<f64> {
            let mut input: Vec<f64> = (0..size).map(|i| line(i.min(size - i))).collect();
            let mut output = fft.make_output_vec();
            match fft.process(&mut input, &mut output) {
                Ok(()) => output.iter().map(|c| c.re).collect(),
                Err(_) => vec![0.0; wide],
            }
        };
        let rows: Vec<Vec<f64>> =
            (0..wide).into_par_iter().map(|i| transform(&mut |j| 1.0 / (1.0 + h2 * ((i * i + j * j) as f64)))).collect();
        let smear: Vec<f64> =
            (0..wide).map(|u| ((4.0 + 2.0 * (std::f64::consts::TAU * u as f64 / size as f64).cos()) / 6.0).powi(2)).collect();
        let norm = 1.0 / (size as f64 * size as f64);
        self.spectrum.clear();
        self.spectrum.resize(wide * size, 0.0);
        self.spectrum.par_chunks_mut(size).enumerate().for_each(|(v, column)| {
            let line = transform(&mut |i| rows[i][v]);
            for (u, s) in column.iter_mut().enumerate() {
                let u = u.min(size - u);
                *s = (line[u] / (smear[u] * smear[v]) * norm) as f32;
            }
        });
        self.half.clear();
        self.half.resize(n * wide, Complex::default());
        self.turned.clear();
        self.turned.resize(n * wide, Complex::default());
        self.grid.clear();
        self.grid.resize(n * n, 0.0);
        self.grid[8 * n + 8] = 1.0;
        self.convolve();
        for m in 0..4 {
            for l in 0..4 {
                self.near[m][l] = self.grid[(8 + m) * n + 8 + l];
            }
        }
    }

    /// The cell of a place and where in it. Counted from the centre, so that tiny maps keep all their digits.
    fn spot(&self, p: [f32; 2]) -> Spot {
        let middle = (self.nodes / 2) as f32;
        let last = (self.nodes - 3) as f32;
        let axis = |a: usize| {
            let d = (p[a] - self.centre[a]) / self.spacing;
            let cell = d.floor().clamp(1.0 - middle, last - middle);
            ((cell + middle) as u32, (d - cell).clamp(0.0, 1.0))
        };
        let ((column, tx), (row, ty)) = (axis(0), axis(1));
        Spot { column, row, tx, ty }
    }

    /// Puts the points in order of their grid row (a counting sort, stable), with their cells.
    fn sort(&mut self, y: &[[f32; 2]]) {
        let n = y.len();
        let rows: Vec<u32> = y.par_iter().map(|p| self.spot(*p).row).collect();
        self.starts.clear();
        self.starts.resize(self.nodes + 1, 0);
        for r in &rows {
            self.starts[*r as usize + 1] += 1;
        }
        for r in 0..self.nodes {
            self.starts[r + 1] += self.starts[r];
        }
        let mut at = self.starts.clone();
        self.order.resize(n, 0);
        self.rank.resize(n, 0);
        for (i, r) in rows.iter().enumerate() {
            let place = &mut at[*r as usize];
            self.order[*place] = i as u32;
            self.rank[i] = *place as u32;
            *place += 1;
        }
        let mut spots = std::mem::take(&mut self.spots);
        spots.resize(n, Spot::default());
        spots.par_iter_mut().zip(self.order.par_iter()).for_each(|(s, i)| *s = self.spot(y[*i as usize]));
        self.spots = spots;
    }

    /// Every grid row gathers from the four rows of points that touch it, in point order, in f64.
    fn spread(&mut self) {
        let (n, starts, spots) = (self.nodes, &self.starts, &self.spots);
        self.grid.par_chunks_mut(n).enumerate().for_each_init(
            || vec![0.0f64; n],
            |sum, (r, line)| {
                sum.fill(0.0);
                for a in 0..4 {
                    let Some(row) = (r + 1).checked_sub(a).filter(|row| *row < n) else { continue };
                    for s in &spots[starts[row]..starts[row + 1]] {
                        let wy = weights(s.ty)[a];
                        let wx = weights(s.tx);
                        let first = s.column as usize - 1;
                        for (v, w) in sum[first..first + 4].iter_mut().zip(wx) {
                            *v += f64::from(wy * w);
                        }
                    }
                }
                for (v, s) in line.iter_mut().zip(sum.iter()) {
                    *v = *s as f32;
                }
            },
        );
    }

    /// Convolves the grid with the kernel, in place.
    fn convolve(&mut self) {
        let Some(plans) = &self.plans else { return };
        let (n, size) = (self.nodes, self.size);
        let wide = n + 1;
        let grid = &self.grid;
        self.half.par_chunks_mut(wide).zip(grid.par_chunks(n)).for_each_init(
            || (plans.forward_rows.make_input_vec(), plans.forward_rows.make_scratch_vec()),
            |(input, scratch), (half, line)| {
                input[..n].copy_from_slice(line);
                input[n..].fill(0.0);
                if plans.forward_rows.process_with_scratch(input, half, scratch).is_err() {
                    half.fill(Complex::default());
                }
            },
        );
        let (half, spectrum) = (&self.half, &self.spectrum);
        let scratch_len = plans.forward.get_inplace_scratch_len().max(plans.inverse.get_inplace_scratch_len());
        self.turned.par_chunks_mut(TILE * n).enumerate().for_each_init(
            || (vec![Complex::default(); TILE * size], vec![Complex::default(); scratch_len]),
            |(columns, scratch), (tile, turned)| {
                let first = tile * TILE;
                let count = turned.len() / n;
                let columns = &mut columns[..count * size];
                columns.fill(Complex::default());
                for r in 0..n {
                    for c in 0..count {
                        columns[c * size + r] = half[r * wide + first + c];
                    }
                }
                for (c, column) in columns.chunks_exact_mut(size).enumerate() {
                    plans.forward.process_with_scratch(column, scratch);
                    for (v, s) in column.iter_mut().zip(&spectrum[(first + c) * size..]) {
                        *v *= *s;
                    }
                    plans.inverse.process_with_scratch(column, scratch);
                    turned[c * n..(c + 1) * n].copy_from_slice(&column[..n]);
                }
            },
        );
        let turned = &self.turned;
        self.grid.par_chunks_mut(TILE * n).enumerate().for_each_init(
            || {
                (
                    vec![Complex::default(); TILE * wide],
                    plans.inverse_rows.make_output_vec(),
                    plans.inverse_rows.make_scratch_vec(),
                )
            },
            |(lines, output, scratch), (tile, grid)| {
                let first = tile * TILE;
                let count = grid.len() / n;
                for c in 0..wide {
                    for r in 0..count {
                        lines[r * wide + c] = turned[c * n + first + r];
                    }
                }
                for r in 0..count {
                    let line = &mut lines[r * wide..(r + 1) * wide];
                    line[0].im = 0.0;
                    line[wide - 1].im = 0.0;
                    if plans.inverse_rows.process_with_scratch(line, output, scratch).is_err() {
                        output.fill(0.0);
                    }
                    grid[r * n..(r + 1) * n].copy_from_slice(&output[..n]);
                }
            },
        );
    }

    /// Potential and force at a spot; without the spot's own charge if `own`.
    fn read(&self, s: &Spot, own: bool) -> [f32; 3] {
        let (wx, wy, vx, vy) = (weights(s.tx), weights(s.ty), slopes(s.tx), slopes(s.ty));
        let first = (s.row as usize - 1) * self.nodes + s.column as usize - 1;
        let (mut phi, mut gx, mut gy) = (0.0f32, 0.0f32, 0.0f32);
        for a in 0..4 {
            let line = &self.grid[first + a * self.nodes..first + a * self.nodes + 4];
            let sum = line[0] * wx[0] + line[1] * wx[1] + line[2] * wx[2] + line[3] * wx[3];
            let slope = line[0] * vx[0] + line[1] * vx[1] + line[2] * vx[2] + line[3] * vx[3];
            phi += wy[a] * sum;
            gx += wy[a] * slope;
            gy += vy[a] * sum;
        }
        if own {
            let ((ex, cx), (ey, cy)) = (overlaps(&wx, &vx), overlaps(&wy, &vy));
            for m in 0..4 {
                for l in 0..4 {
                    let k = self.near[m][l];
                    phi -= ey[m] * ex[l] * k;
                    gx -= ey[m] * cx[l] * k;
                    gy -= cy[m] * ex[l] * k;
                }
            }
        }
        let scale = -0.5 / self.spacing;
        [phi, scale * gx, scale * gy]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Rng;
    use crate::tsne::exact;

    fn cloud(n: usize, span: f32) -> Vec<[f32; 2]> {
        let mut rng = Rng::new(3, 0);
        (0..n).map(|_| [(rng.uniform() as f32 - 0.5) * span, (rng.uniform() as f32 - 0.5) * span]).collect()
    }

    /// Relative RMS error of the mesh force and relative error of Z.
    fn errors(n: usize, span: f32, spacing: f32) -> (f64, f64) {
        let y = cloud(n, span);
        let (mut a, mut b) = (vec![[0.0; 2]; n], vec![[0.0; 2]; n]);
        let za = exact::forces(&y, &mut a);
        let zb = Mesh::new(spacing).forces(&y, &mut b);
        let (mut off, mut all) = (0.0f64, 0.0f64);
        for (a, b) in a.iter().zip(&b) {
            for c in 0..2 {
                off += f64::from(a[c] - b[c]).powi(2);
                all += f64::from(a[c]).powi(2);
            }
        }
        ((off / all).sqrt(), (zb / za - 1.0).abs())
    }

    #[test]
    fn mesh_forces_agree_with_all_pairs_at_every_span() {
        let cases = [
            (1e-3, 1.0 / 3.0, 0.002, 1e-5),
            (0.1, 0.5, 0.01, 1e-3),
            (0.2, 0.5, 0.01, 1e-3),
            (1.0, 1.0 / 3.0, 0.02, 1e-3),
            (1.0, 0.5, 0.05, 5e-3),
            (30.0, 1.0 / 3.0, 0.015, 1e-3),
            (120.0, 1.0 / 3.0, 0.02, 2e-3),
            (120.0, 0.5, 0.06, 4e-3),
        ];
        let found: Vec<(f64, f64)> = cases.iter().map(|(span, spacing, ..)| errors(2500, *span, *spacing)).collect();
        for ((span, spacing, force, z), (f, dz)) in cases.into_iter().zip(found) {
            eprintln!("span {span}, spacing {spacing}: force error {f:.2e}, Z error {dz:.2e}");
            assert!(f < force && dz < z, "span {span}, spacing {spacing}: force error {f:.2e}, Z error {dz:.2e}");
        }
    }

    #[test]
    fn sizes_are_even_and_smooth() {
        assert_eq!([smooth(1), smooth(64), smooth(77), smooth(1201)], [2, 64, 80, 1250]);
    }
}
