//! Principal component analysis.
//!
//! The covariance is summed from centred chunks (f32 products, f64 sums) and its leading eigenvectors are taken by
//! `faer`'s self-adjoint solver when the matrix is small or many are wanted, and by block subspace iteration when few
//! are wanted of a large one. Fewer rows than columns: the same on the rows' Gram matrix. More than 2,048 of both:
//! subspace iteration on the data itself (Halko, Martinsson & Tropp 2011), never forming a matrix. A full SVD of the
//! data (what LAPACK-based packages do) costs several times more and gives nothing else.
//!
//! Cells with weights are filled before: alternating least squares of rank ≤ 8 (Wiberg 1976; Bailey 2012, PASP 124,
//! 1015), so that masked cells take the value the model predicts and noisy ones are pulled towards it.
//!
//! Sign rule: the largest loading (by size) of every component is positive. Cost: N·d² flops, or N·d·k per round.

use crate::Error;
use crate::kernel::{self, Mat, Rng, mul};
use crate::level;
use crate::monitor::{Monitor, step};
use crate::product::{Level, Panels, add_squares, pack_panel, product};
use faer::linalg::evd;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use std::borrow::Cow;
use std::cell::RefCell;

/// Rows per chunk of the covariance sum.
const ROWS: usize = 4096;
/// Rows of a chunk that are multiplied at a time, so that their centred copy stays in cache.
const PIECE: usize = 224;
/// Chunks of the covariance that are summed at a time.
const WAVE: usize = 8;
/// Rows that are projected at a time.
const FEW: usize = 64;
/// Largest ratio of eigenvalues, to the third power, for which a block stays apart without being made orthonormal in between.
const SPAN: f64 = 1e10;
/// Above this many rows and columns no square matrix is formed.
const SQUARE: usize = 2048;

/// A principal component analysis of some rows.
#[derive(Debug, Clone)]
pub struct Pca {
    /// Mean of each column, d numbers, in the units of the input.
    pub mean: Vec<f32>,
    /// Components as rows, k × d, orthonormal, most variance first.
    pub components: Array2<f32>,
    /// Variance along each component (divisor N − 1, as in scikit-learn), k numbers.
    pub explained_variance: Vec<f64>,
    /// The same as a share of all variance, k numbers, 0..1.
    pub explained_ratio: Vec<f64>,
    /// The rows on the components, N × k.
    pub scores: Array2<f32>,
}

impl Pca {
    /// Number of components.
    pub fn k(&self) -> usize {
        self.components.nrows()
    }

    /// Share of all variance that the first 1, 2, … components explain together, 0..1.
    pub fn scree(&self) -> Vec<f64> {
        self.explained_ratio
            .iter()
            .scan(0.0, |sum, r| {
                *sum += r;
                Some(*sum)
            })
            .collect()
    }

    /// How many components explain a share (0..1) of all variance; `None` when these do not.
    pub fn needed(&self, share: f64) -> Option<usize> {
        self.scree().iter().position(|s| *s >= share - 1e-12).map(|p| p + 1)
    }

    /// Components times the square root of their variance, k × d, in the units of the input: what one standard deviation
    /// along each does to every column (for spectra: the eigen-spectra at their usual strength).
    pub fn loadings(&self) -> Array2<f32> {
        let mut out = self.components.clone();
        for (mut row, v) in out.rows_mut().into_iter().zip(&self.explained_variance) {
            row.mapv_inplace(|c| (f64::from(c) * v.sqrt()) as f32);
        }
        out
    }

    /// Rows (m × d, fitted or new) on the components, m × k.
    ///
    /// # Errors
    /// No cells, cells that are not finite, or another number of columns.
    pub fn project(&self, x: ArrayView2<f32>) -> Result<Array2<f32>, Error> {
        let (n, d) = x.dim();
        self.same(d)?;
        let data = kernel::checked(x)?;
        let scores = project(&data, n, d, &self.mean, &self.flat(), self.k());
        Array2::from_shape_vec((n, self.k()), scores).map_err(|e| Error::Shape(e.to_string()))
    }

    /// Rows (m × d, input units) from places on the first components (m × j, j ≤ k).
    ///
    /// # Errors
    /// More places per row than components, or none.
    pub fn reconstruct(&self, scores: ArrayView2<f32>) -> Result<Array2<f32>, Error> {
        let (n, j) = scores.dim();
        if n == 0 || j == 0 || j > self.k() {
            return Err(Error::Shape(format!("there are {} components, rows with {j} cannot be rebuilt", self.k())));
        }
        let (s, d): (Vec<f32>, usize) = (scores.iter().copied().collect(), self.mean.len());
        let back = unproject(&s, n, d, &self.mean, &self.flat()[..j * d], j);
        Array2::from_shape_vec((n, d), back).map_err(|e| Error::Shape(e.to_string()))
    }

    /// Root mean square of what the components leave of each row (m × d), in the units of the input: large for rows that
    /// are unlike the others.
    ///
    /// # Errors
    /// No cells, cells that are not finite, or another number of columns.
    pub fn row_errors(&self, x: ArrayView2<f32>) -> Result<Vec<f32>, Error> {
        let back = self.reconstruct(self.project(x)?.view())?;
        let d = x.ncols() as f64;
        let away = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        Ok(x.rows()
            .into_iter()
            .zip(back.rows())
            .map(|(a, b)| (a.iter().zip(b).map(away).sum::<f64>() / d).sqrt() as f32)
            .collect())
    }

    fn flat(&self) -> Vec<f32> {
        self.components.iter().copied().collect()
    }

    fn same(&self, d: usize) -> Result<(), Error> {
        if d == self.mean.len() {
            return Ok(());
        }
        Err(Error::Shape(format!("the components are of {} columns, the rows have {d}", self.mean.len())))
    }
}

/// Principal components of the rows of `x` (N × d): the first `k`, fewer when there are fewer rows or columns.
///
/// `weights` (N × d, ≥ 0, e.g. inverse variances; 0 = masked, such a cell may hold anything) is optional.
///
/// # Errors
/// No cells, cells that are not finite, weights of another shape, or stopped by the monitor.
pub fn pca(x: ArrayView2<f32>, weights: Option<ArrayView2<f32>>, k: usize, monitor: &dyn Monitor) -> Result<Pca, Error> {
    let (n, d) = x.dim();
    let (power, finite) = level::power_of(x, weights);
    if power != 0 {
        let mut found = pca(level::divided(x, power).view(), weights, k, monitor)?;
        let unit = level::unit(power);
        level::multiply(&mut found.mean, power);
        found.scores.mapv_inplace(|v| (f64::from(v) * unit) as f32);
        found.explained_variance.iter_mut().for_each(|v| *v *= unit * unit);
        return Ok(found);
    }
    let data = filled(x, weights, finite, k, monitor)?;
    fit(&data, n, d, k, monitor)
}

/// The checked numbers of `x` row by row, not looked at again where they were found to be `finite`; with weights a copy in which weighted cells are pulled to a low-rank model and masked ones replaced by it.
pub(crate) fn filled<'a>(
    x: ArrayView2<'a, f32>,
    weights: Option<ArrayView2<f32>>,
    finite: bool,
    k: usize,
    monitor: &dyn Monitor,
) -> Result<Cow<'a, [f32]>, Error> {
    let Some(weights) = weights else {
        return x.to_slice().filter(|_| finite).map_or_else(|| kernel::borrowed(x), |values| Ok(Cow::Borrowed(values)));
    };
    let (data, w) = weighted(x, weights)?;
    let (n, d) = x.dim();
    fill(data, &w, n, d, k.clamp(1, 8), monitor).map(Cow::Owned)
}

/// Copies of the data (masked cells 0) and of the weights scaled to 0..1: divided by the 95th percentile and capped.
pub(crate) fn weighted(x: ArrayView2<f32>, weights: ArrayView2<f32>) -> Result<(Vec<f32>, Vec<f32>), Error> {
    let (n, d) = x.dim();
    if weights.dim() != (n, d) {
        let (wn, wd) = weights.dim();
        return Err(Error::Shape(format!(
            "the weights are {wn} × {wd} but the data are {n} × {d}: they must have the same shape"
        )));
    }
    if n == 0 || d == 0 {
        return Err(Error::Empty);
    }
    let mut w: Vec<f32> = weights.iter().copied().collect();
    if let Some(i) = w.iter().position(|v| !v.is_finite() || *v < 0.0) {
        return Err(Error::Shape(format!(
            "the weight of row {}, column {} is negative or not finite: use 0 for cells to ignore",
            i / d,
            i % d
        )));
    }
    let mut data: Vec<f32> = x.iter().copied().collect();
    for (i, (v, w)) in data.iter_mut().zip(&w).enumerate() {
        if *w == 0.0 {
            *v = 0.0;
        } else if !v.is_finite() {
            return Err(Error::NotFinite { row: i / d, dim: i % d });
        }
    }
    let mut positive: Vec<f32> = w.iter().copied().filter(|w| *w > 0.0).collect();
    if positive.is_empty() {
        return Err(Error::Shape("every weight is 0: there is nothing left to look at".into()));
    }
    let at = (positive.len() * 95 / 100).min(positive.len() - 1);
    let cap = *positive.select_nth_unstable_by(at, f32::total_cmp).1;
    w.iter_mut().for_each(|w| *w = (*w / cap).min(1.0));
    Ok((data, w))
}

/// Solves the symmetric positive `m` × `m` system in place by Cholesky; returns the solution in `b`.
fn solve(a: &mut [f64], b: &mut [f64], m: usize) {
    for j in 0..m {
        let mut s = a[j * m + j];
        for p in 0..j {
            s -= a[j * m + p] * a[j * m + p];
        }
        let l = s.max(1e-300).sqrt();
        a[j * m + j] = l;
        for i in j + 1..m {
            let mut s = a[i * m + j];
            for p in 0..j {
                s -= a[i * m + p] * a[j * m + p];
            }
            a[i * m + j] = s / l;
        }
    }
    for i in 0..m {
        for p in 0..i {
            b[i] -= a[i * m + p] * b[p];
        }
        b[i] /= a[i * m + i];
    }
    for i in (0..m).rev() {
        for p in i + 1..m {
            b[i] -= a[p * m + i] * b[p];
        }
        b[i] /= a[i * m + i];
    }
}

/// One half step of alternating least squares: for each of `n` lines of `x`, the `m` factors that best give it.
/// `basis` is d × m. `at(i, j)` is the position of cell j of line i.
fn half_step(x: &[f32], w: &[f32], n: usize, d: usize, basis: &[f64], m: usize, across: bool) -> Vec<f64> {
    let mut out = vec![0.0f64; n * m];
    out.par_chunks_mut(m).enumerate().for_each(|(i, out)| {
        let mut a = vec![0.0f64; m * m];
        for j in 0..d {
            let at = if across { i * d + j } else { j * n + i };
            let (w, v) = (f64::from(w[at]), f64::from(x[at]));
            if w == 0.0 {
                continue;
            }
            let b = &basis[j * m..(j + 1) * m];
            for p in 0..m {
                out[p] += w * b[p] * v;
                for q in 0..=p {
                    a[p * m + q] += w * b[p] * b[q];
                }
            }
        }
        let trace: f64 = (0..m).map(|p| a[p * m + p]).sum();
        for p in 0..m {
            a[p * m + p] += 1e-6 * trace / m as f64 + 1e-9;
        }
        solve(&mut a, out, m);
    });
    out
}

/// Fills masked and noisy cells from a model of rank `rank` (plus the mean).
fn fill(mut data: Vec<f32>, w: &[f32], n: usize, d: usize, rank: usize, monitor: &dyn Monitor) -> Result<Vec<f32>, Error> {
    let mut mean = vec![0.0f64; d];
    for j in 0..d {
        let (mut s, mut sw) = (0.0f64, 0.0f64);
        for i in 0..n {
            s += f64::from(data[i * d + j]) * f64::from(w[i * d + j]);
            sw += f64::from(w[i * d + j]);
        }
        mean[j] = if sw > 0.0 { s / sw } else { 0.0 };
    }
    let mut start = data.clone();
    for (i, v) in start.iter_mut().enumerate() {
        let (w, m) = (f64::from(w[i]), mean[i % d]);
        *v = (w * f64::from(*v) + (1.0 - w) * m) as f32;
    }
    let rank = rank.min(n.saturating_sub(1)).min(d.saturating_sub(1));
    if rank == 0 {
        return Ok(start);
    }
    // Factors: the rank components and one constant, which carries the mean.
    let first = fit(&start, n, d, rank, monitor)?;
    let m = first.components.nrows() + 1;
    let mut basis = vec![0.0f64; d * m];
    for j in 0..d {
        for p in 0..m - 1 {
            basis[j * m + p] = f64::from(first.components[[p, j]]);
        }
        basis[j * m + m - 1] = mean[j];
    }
    let centred: Vec<f32> = data.iter().enumerate().map(|(i, v)| (f64::from(*v) - mean[i % d]) as f32).collect();
    let mut scores = Vec::new();
    let mut last = f64::INFINITY;
    for round in 0..20 {
        step(monitor, "filling", round, 20)?;
        // The basis of the components only; the mean is a score fixed at 1.
        let comps: Vec<f64> = (0..d).flat_map(|j| basis[j * m..j * m + m - 1].to_vec()).collect();
        let shift: Vec<f64> = (0..d).map(|j| basis[j * m + m - 1] - mean[j]).collect();
        let off: Vec<f32> = centred.iter().enumerate().map(|(i, v)| (f64::from(*v) - shift[i % d]) as f32).collect();
        let row = half_step(&off, w, n, d, &comps, m - 1, true);
        scores = row.chunks_exact(m - 1).flat_map(|r| r.iter().copied().chain([1.0])).collect::<Vec<f64>>();
        let cols = half_step(&centred, w, d, n, &scores, m, false);
        for j in 0..d {
            for p in 0..m {
                basis[j * m + p] = cols[j * m + p] + if p == m - 1 { mean[j] } else { 0.0 };
            }
        }
        let loss: f64 = (0..n)
            .into_par_iter()
            .map(|i| {
                (0..d)
                    .map(|j| {
                        let e = model(&scores, &basis, m, i, j) - f64::from(data[i * d + j]);
                        f64::from(w[i * d + j]) * e * e
                    })
                    .sum::<f64>()
            })
            .collect::<Vec<f64>>()
            .iter()
            .sum();
        if loss > last * (1.0 - 1e-5) {
            break;
        }
        last = loss;
    }
    data.par_chunks_mut(d).enumerate().for_each(|(i, row)| {
        for (j, v) in row.iter_mut().enumerate() {
            let w = f64::from(w[i * d + j]);
            *v = (w * f64::from(*v) + (1.0 - w) * model(&scores, &basis, m, i, j)) as f32;
        }
    });
    Ok(data)
}

fn model(scores: &[f64], basis: &[f64], m: usize, i: usize, j: usize) -> f64 {
    scores[i * m..(i + 1) * m].iter().zip(&basis[j * m..(j + 1) * m]).map(|(a, b)| a * b).sum()
}

/// PCA of a checked row-major matrix.
pub(crate) fn fit(x: &[f32], n: usize, d: usize, k: usize, monitor: &dyn Monitor) -> Result<Pca, Error> {
    step(monitor, "pca", 0, 3)?;
    let k = k.max(1).min(d).min(n.max(1));
    let mean64 = kernel::column_means(x, n, d);
    let mean: Vec<f32> = mean64.iter().map(|m| *m as f32).collect();
    let dof = (n.max(2) - 1) as f64;
    step(monitor, "pca", 1, 3)?;
    let small = n.min(d);
    let trace = |a: &[f64], m: usize| (0..m).map(|i| a[i * m + i]).sum::<f64>() / dof;
    let (total, mut variance, mut components) = if small > SQUARE {
        let apply = |v: &[f64], l: usize| through_data(x, n, d, &mean, v, l);
        let (values, vectors) = subspace(apply, d, k, 8, Rng::new(7, 0), monitor)?;
        (spread(x, d, &mean64) / dof, values.iter().map(|v| v / dof).collect::<Vec<_>>(), vectors)
    } else if d <= n {
        let c = covariance(x, n, d, &mean, monitor)?;
        let (values, vectors) = leading(&c, d, k, monitor)?;
        (trace(&c, d), values.iter().map(|v| v / dof).collect(), vectors)
    } else {
        let g = gram(x, n, d, &mean, monitor)?;
        let (values, u) = leading(&g, n, k, monitor)?;
        // Rows of u are eigenvectors over the rows; the components are uᵀ X / sqrt(value).
        let mut comps = vec![0.0f64; k * d];
        for p in 0..k {
            for i in 0..n {
                let c = u[p * n + i];
                for j in 0..d {
                    comps[p * d + j] += c * (f64::from(x[i * d + j]) - f64::from(mean[j]));
                }
            }
        }
        orthonormalise(&mut comps, k, d);
        (trace(&g, n), values.iter().map(|v| v / dof).collect(), comps)
    };
    step(monitor, "pca", 2, 3)?;
    for p in 0..k {
        let row = &mut components[p * d..(p + 1) * d];
        let mut big = 0.0f64;
        for v in row.iter() {
            // The small margin keeps the choice stable when two loadings are equal but for rounding.
            if v.abs() > big.abs() * (1.0 + 1e-6) {
                big = *v;
            }
        }
        if big < 0.0 {
            row.iter_mut().for_each(|v| *v = -*v);
        }
    }
    variance.iter_mut().for_each(|v| *v = v.max(0.0));
    let components32: Vec<f32> = components.iter().map(|v| *v as f32).collect();
    let scores = project(x, n, d, &mean, &components32, k);
    let explained_ratio = variance.iter().map(|v| if total > 0.0 { v / total } else { 0.0 }).collect();
    Ok(Pca {
        mean,
        components: Array2::from_shape_vec((k, d), components32).map_err(|e| Error::Shape(e.to_string()))?,
        explained_variance: variance,
        explained_ratio,
        scores: Array2::from_shape_vec((n, k), scores).map_err(|e| Error::Shape(e.to_string()))?,
    })
}

/// Sum of squared distances from the means.
fn spread(x: &[f32], d: usize, mean: &[f64]) -> f64 {
    let of = |row: &[f32]| row.iter().zip(mean).map(|(v, m)| (f64::from(*v) - m).powi(2)).sum::<f64>();
    let parts: Vec<f64> = x.par_chunks(kernel::CHUNK * d).map(|c| c.chunks_exact(d).map(of).sum()).collect();
    parts.iter().sum()
}

/// (x − mean) · componentsᵀ, n × k.
pub(crate) fn project(x: &[f32], n: usize, d: usize, mean: &[f32], components: &[f32], k: usize) -> Vec<f32> {
    let mut out = vec![0.0f32; n * k];
    let (axes, level) = (Mat::new(components, k, d).t(), Level::here());
    let mut panels = Panels::default();
    panels.room(level, d, k).for_each(|(p, out)| pack_panel(level, axes, p, out));
    // Pieces stay in cache; of few rows, zeros are added up to so many, since `gemm` sums these in another order.
    out.par_chunks_mut(FEW * k).zip(x.par_chunks(FEW * d)).for_each(|(out, chunk)| {
        CENTRED.with_borrow_mut(|centred| {
            centre(chunk, mean, centred);
            if chunk.len() == FEW * d {
                return product(level, out, k, Mat::new(centred, FEW, d), axes, panels.all(), false);
            }
            centred.resize(FEW * d, 0.0);
            let mut padded = vec![0.0f32; FEW * k];
            product(level, &mut padded, k, Mat::new(centred, FEW, d), axes, panels.all(), false);
            out.copy_from_slice(&padded[..out.len()]);
        });
    });
    out
}

/// scores · components + mean, n × d.
pub(crate) fn unproject(scores: &[f32], n: usize, d: usize, mean: &[f32], components: &[f32], k: usize) -> Vec<f32> {
    let mut out = vec![0.0f32; n * d];
    out.par_chunks_mut(kernel::CHUNK * d).zip(scores.par_chunks(kernel::CHUNK * k)).for_each(|(out, s)| {
        mul(out, Mat::new(s, s.len() / k, k), Mat::new(components, k, d), false);
        for row in out.chunks_exact_mut(d) {
            for (v, m) in row.iter_mut().zip(mean) {
                *v += m;
            }
        }
    });
    out
}

fn centre(chunk: &[f32], mean: &[f32], out: &mut Vec<f32>) {
    out.clear();
    out.reserve(chunk.len());
    for row in chunk.chunks_exact(mean.len()) {
        out.extend(row.iter().zip(mean).map(|(v, m)| v - m));
    }
}

fn centred(chunk: &[f32], mean: &[f32]) -> Vec<f32> {
    let mut out = Vec::new();
    centre(chunk, mean, &mut out);
    out
}

/// Sum over rows of the outer products of centred rows, d × d.
fn covariance(x: &[f32], n: usize, d: usize, mean: &[f32], monitor: &dyn Monitor) -> Result<Vec<f64>, Error> {
    let mut c = vec![0.0f64; d * d];
    let chunks: Vec<&[f32]> = x[..n * d].chunks(ROWS * d).collect();
    // Made once: memory that is given back to the system in every wave costs as much as a tenth of the products.
    let mut parts = vec![Vec::new(); chunks.len().min(WAVE)];
    for (wave, group) in chunks.chunks(WAVE).enumerate() {
        step(monitor, "covariance", wave * WAVE, chunks.len())?;
        group.par_iter().zip(&mut parts).for_each(|(chunk, part)| outer(chunk, d, mean, part));
        c.par_chunks_mut(16 * d).enumerate().for_each(|(i, block)| {
            for part in &parts[..group.len()] {
                for (c, p) in block.iter_mut().zip(&part[i * 16 * d..]) {
                    *c += f64::from(*p);
                }
            }
        });
    }
    for i in 0..d {
        for j in 0..i {
            c[i * d + j] = c[j * d + i];
        }
    }
    Ok(c)
}

/// Products of the centred columns of some rows, d × d; below the diagonal only what falls out with blocks of rows.
fn outer(chunk: &[f32], d: usize, mean: &[f32], out: &mut Vec<f32>) {
    let level = Level::here();
    out.clear();
    out.resize(d * d, 0.0);
    CENTRED.with_borrow_mut(|centred| {
        for piece in chunk.chunks(PIECE * d) {
            centre(piece, mean, centred);
            add_squares(level, out, centred, d);
        }
    });
}

thread_local! {
    static CENTRED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Products of centred rows with one another, n × n.
fn gram(x: &[f32], n: usize, d: usize, mean: &[f32], monitor: &dyn Monitor) -> Result<Vec<f64>, Error> {
    step(monitor, "covariance", 0, 1)?;
    let centred = centred(&x[..n * d], mean);
    let mut g = vec![0.0f64; n * n];
    g.par_chunks_mut(64 * n).enumerate().for_each(|(b, block)| {
        let rows = block.len() / n;
        let mut part = vec![0.0f32; rows * n];
        // Long rows in pieces, so that f32 sums stay short.
        for from in (0..d).step_by(ROWS) {
            let to = (from + ROWS).min(d);
            let a = Mat::strided(&centred[b * 64 * d + from..], rows, to - from, d);
            let all = Mat::strided(&centred[from..], n, to - from, d);
            mul(&mut part, a, all.t(), false);
            for (g, p) in block.iter_mut().zip(&part) {
                *g += f64::from(*p);
            }
        }
    });
    Ok(g)
}

/// Xᵀ X v for `l` vectors (rows of `v`, l × d), never forming Xᵀ X.
fn through_data(x: &[f32], n: usize, d: usize, mean: &[f32], v: &[f64], l: usize) -> Vec<f64> {
    let v32: Vec<f32> = v.iter().map(|v| *v as f32).collect();
    let mut out = vec![0.0f64; l * d];
    let chunks: Vec<&[f32]> = x[..n * d].chunks(ROWS * d).collect();
    for group in chunks.chunks(8) {
        let parts: Vec<Vec<f32>> = group
            .par_iter()
            .map(|chunk| {
                let rows = chunk.len() / d;
                let centred = centred(chunk, mean);
                let mut s = vec![0.0f32; rows * l];
                mul(&mut s, Mat::new(&centred, rows, d), Mat::new(&v32, l, d).t(), false);
                let mut part = vec![0.0f32; l * d];
                mul(&mut part, Mat::new(&s, rows, l).t(), Mat::new(&centred, rows, d), false);
                part
            })
            .collect();
        for part in parts {
            for (o, p) in out.iter_mut().zip(part) {
                *o += f64::from(p);
            }
        }
    }
    out
}

/// The `k` largest eigenvalues of a symmetric `m` × `m` matrix and their vectors as rows (k × m).
fn leading(a: &[f64], m: usize, k: usize, monitor: &dyn Monitor) -> Result<(Vec<f64>, Vec<f64>), Error> {
    if m <= 384 || k * 6 > m {
        let (values, vectors) = eigen(a, m)?;
        return Ok((values[..k].to_vec(), vectors[..k * m].to_vec()));
    }
    let apply = |v: &[f64], l: usize| {
        let mut out = vec![0.0f64; l * m];
        // Column blocks of the answer in parallel; every one is a full sum on its own.
        let blocks: Vec<(usize, Vec<f64>)> = (0..m)
            .step_by(128)
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|from| {
                let to = (from + 128).min(m);
                let mut block = vec![0.0f64; l * (to - from)];
                // SAFETY: rows from..to of `a` (m wide), all of `v` (l × m) and `block` (l × rows) are inside their slices.
                unsafe {
                    gemm::gemm(
                        l,
                        to - from,
                        m,
                        block.as_mut_ptr(),
                        1,
                        (to - from) as isize,
                        false,
                        v.as_ptr(),
                        1,
                        m as isize,
                        a[from * m..to * m].as_ptr(),
                        m as isize,
                        1,
                        1.0f64,
                        1.0f64,
                        false,
                        false,
                        false,
                        gemm::Parallelism::None,
                    );
                }
                (from, block)
            })
            .collect();
        for (from, block) in blocks {
            let wide = block.len() / l;
            for p in 0..l {
                out[p * m + from..p * m + from + wide].copy_from_slice(&block[p * wide..(p + 1) * wide]);
            }
        }
        out
    };
    subspace(apply, m, k, 60, Rng::new(7, 0), monitor)
}

/// Block subspace iteration with Rayleigh–Ritz for the `k` leading eigenpairs of a positive operator on `m` numbers, sharpened
/// by Chebyshev polynomials of the third degree that stay small below the block's least value (Zhou et al. 2006,
/// J. Comput. Phys. 219, 172).
pub(crate) fn subspace(
    apply: impl Fn(&[f64], usize) -> Vec<f64>,
    m: usize,
    k: usize,
    rounds: usize,
    mut rng: Rng,
    monitor: &dyn Monitor,
) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let l = (k + 10.max(k / 2)).min(m);
    let mut v: Vec<f64> = (0..l * m).map(|_| rng.normal()).collect();
    orthonormalise(&mut v, l, m);
    let mut last = vec![0.0f64; k];
    let mut values = vec![0.0f64; l];
    // The block before, where the next one is made of both.
    let mut before: Option<(Vec<f64>, f64)> = None;
    for round in 0..rounds {
        step(monitor, "components", round, rounds)?;
        // Turning the block to the eigenvectors tells how near it is: not needed in every round.
        let judged = round % 3 == 2 || round + 1 == rounds;
        if judged && before.take().is_some() {
            orthonormalise(&mut v, l, m);
        }
        let mut av = apply(&v, l);
        if !judged {
            match &mut before {
                // Chebyshev's recurrence, of what is wanted for the next round or its end.
                Some((old, bound)) => {
                    let b = *bound;
                    av.iter_mut().zip(&v).zip(old.iter()).for_each(|((a, v), o)| *a = 4.0 / b * *a - 2.0 * v - o);
                    *old = std::mem::replace(&mut v, av);
                    if round % 3 == 1 {
                        before = None;
                        orthonormalise(&mut v, l, m);
                    }
                }
                None => {
                    v = av;
                    orthonormalise(&mut v, l, m);
                }
            }
            continue;
        }
        // Small matrix V A Vᵀ, its eigenvectors turn the block.
        let mut s = vec![0.0f64; l * l];
        for p in 0..l {
            for q in 0..=p {
                let t = dot(&v[p * m..(p + 1) * m], &av[q * m..(q + 1) * m]);
                s[p * l + q] = t;
                s[q * l + p] = t;
            }
        }
        let (e, u) = eigen(&s, l)?;
        values.copy_from_slice(&e);
        let turn = |from: &[f64]| {
            let mut to = vec![0.0f64; l * m];
            to.par_chunks_mut(m).enumerate().for_each(|(p, to)| {
                for q in 0..l {
                    let c = u[p * l + q];
                    for (t, f) in to.iter_mut().zip(&from[q * m..(q + 1) * m]) {
                        *t += c * f;
                    }
                }
            });
            to
        };
        let change = (0..k).map(|p| (values[p] - last[p]).abs() / values[0].abs().max(1e-300)).fold(0.0, f64::max);
        last.copy_from_slice(&values[..k]);
        if change < 1e-10 || round + 1 == rounds {
            v = turn(&v);
            break;
        }
        let (bound, least) = (values[l - 1], values[k - 1]);
        if bound > 0.0 && l < m && (values[0] / least).powi(3) < SPAN {
            let old = turn(&v);
            v = turn(&av);
            v.iter_mut().zip(&old).for_each(|(v, o)| *v = 2.0 / bound * *v - o);
            before = Some((old, bound));
        } else {
            v = turn(&av);
            orthonormalise(&mut v, l, m);
        }
    }
    v.truncate(k * m);
    Ok((last, v))
}

/// All eigenvalues, largest first, and vectors as rows, of a symmetric matrix; on one thread, so that bits never vary.
fn eigen(a: &[f64], m: usize) -> Result<(Vec<f64>, Vec<f64>), Error> {
    use faer::dyn_stack::{MemBuffer, MemStack};
    let a = faer::Mat::<f64>::from_fn(m, m, |i, j| a[i * m + j]);
    let mut u = faer::Mat::<f64>::zeros(m, m);
    let mut s = faer::diag::Diag::<f64>::zeros(m);
    let par = faer::Par::Seq;
    let scratch = evd::self_adjoint_evd_scratch::<f64>(m, evd::ComputeEigenvectors::Yes, par, Default::default());
    evd::self_adjoint_evd(
        a.as_ref(),
        s.as_mut(),
        Some(u.as_mut()),
        par,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .map_err(|_| {
        Error::Shape("the eigenvectors did not converge: the values may be too large, scale the columns first".into())
    })?;
    let values: Vec<f64> = (0..m).rev().map(|p| s[p]).collect();
    let mut vectors = Vec::with_capacity(m * m);
    for p in (0..m).rev() {
        vectors.extend((0..m).map(|i| u[(i, p)]));
    }
    Ok((values, vectors))
}

kernel::wide! {
    fn dot(a: &[f64], b: &[f64]) -> f64 {
        let (a, ra) = a.as_chunks::<8>();
        let (b, rb) = b.as_chunks::<8>();
        let mut lanes = [0.0f64; 8];
        for (a, b) in a.iter().zip(b) {
            for l in 0..8 {
                lanes[l] += a[l] * b[l];
            }
        }
        lanes.iter().sum::<f64>() + ra.iter().zip(rb).map(|(a, b)| a * b).sum::<f64>()
    }
}

/// Makes the rows of `v` (l × m) orthonormal: Gram–Schmidt, twice. Rows that vanish become unit vectors.
fn orthonormalise(v: &mut [f64], l: usize, m: usize) {
    for p in 0..l {
        let (done, rest) = v.split_at_mut(p * m);
        let row = &mut rest[..m];
        let before = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        for _ in 0..2 {
            for q in done.chunks_exact(m) {
                let t = dot(row, q);
                row.iter_mut().zip(q).for_each(|(a, b)| *a -= t * b);
            }
        }
        let mut norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm <= before * 1e-12 || norm == 0.0 {
            for unit in 0..m {
                row.fill(0.0);
                row[unit] = 1.0;
                for _ in 0..2 {
                    for q in done.chunks_exact(m) {
                        let t: f64 = row.iter().zip(q).map(|(a, b)| a * b).sum();
                        row.iter_mut().zip(q).for_each(|(a, b)| *a -= t * b);
                    }
                }
                norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
                if norm > 0.1 / (m as f64).sqrt() {
                    break;
                }
            }
        }
        row.iter_mut().for_each(|x| *x /= norm);
    }
}
