//! t-distributed stochastic neighbour embedding (van der Maaten & Hinton 2008), the optimiser.
//!
//! Attraction runs over the sparse joint matrix; repulsion is exact below [`ALL_PAIRS`] rows and a particle mesh
//! above ([`mesh`], in the spirit of Linderman et al. 2019 with one field instead of four). The schedule is openTSNE's
//! (exaggeration 12, learning rate N / exaggeration, gains, step clip; Belkina et al. 2019) with 150 instead of 250
//! early iterations and momentum 0.95 instead of 0.8 after them. That reaches openTSNE's divergence in about half of
//! its iterations on 10,000 rows and more; on a few thousand it gains nothing and on noisy spectra ends 8% higher, so
//! that small maps take 0.85 (figures in docs/methods.md). The divergence is looked
//! at every 50 iterations and the run ends when it has twice fallen by less than half a per cent; it never comes to
//! rest, the map just spreads, so tests of the gradient's size (tried and removed in openTSNE) never end a run.
//! Barnes–Hut trees were not taken: slower from some thousand rows on and less exact.
//!
//! Everything is summed in fixed chunks, so a map does not depend on the number of threads.

pub(crate) mod exact;
pub(crate) mod mesh;

use crate::affinity::Joint;
use crate::kernel::{CHUNK, Rng};
use crate::lanes::{self, Weight};
use crate::monitor::{Monitor, Progress};
use mesh::Mesh;
use rayon::prelude::*;
use std::time::{Duration, Instant};

/// Below this many rows all pairs are summed: cheaper than any grid.
pub(crate) const ALL_PAIRS: usize = 4000;
/// Above this many rows a three-dimensional map would take too long with all pairs.
pub(crate) const EXACT_3D: usize = 20_000;
const EARLY: usize = 150;
/// Rows below which less momentum ends lower and more iterations cost little.
const FEW: usize = 5_000;
/// Rows above which a map left to itself takes more iterations.
const MANY: usize = 300_000;
/// Relative gain in 50 iterations below which a map has settled.
const SETTLED: f64 = 0.005;

/// Velocities and gains of a layout that goes on, N × dims each.
#[derive(Clone)]
pub(crate) struct Moves {
    pub update: Vec<f32>,
    pub gains: Vec<f32>,
}

/// Settings of the optimiser.
#[derive(Clone)]
pub(crate) struct Schedule {
    /// Iterations at most; 0 = 500, 750 for fewer than [`FEW`] rows, 1,000 for more than [`MANY`].
    pub iterations: usize,
    /// Stop when the divergence has fallen by less than [`SETTLED`] in 50 iterations, twice in a row.
    pub settle: bool,
    /// Momentum after the early phase; 0 = 0.95, or 0.85 for fewer than [`FEW`] rows.
    pub momentum: f64,
    /// Exaggeration after the early phase, 1 = none; 0 = 1.
    pub exaggeration: f64,
    /// Random seed of the jitter.
    pub seed: u64,
    /// Mesh spacing; 0 = choose.
    pub spacing: f32,
    /// The start is a map already: it keeps its size, and the early phase is over.
    pub go_on: bool,
    /// Iterations that were done before, elsewhere: the start is the map they led to.
    pub done: usize,
    /// Iterations of the early phase, if that is settled already.
    pub early: Option<usize>,
    /// Velocities and gains of the start; at rest without.
    pub moves: Option<Moves>,
}

/// A schedule with its numbers chosen.
pub(crate) struct Pace {
    /// Iterations at most.
    pub iterations: usize,
    /// Iterations with the early exaggeration.
    pub early: usize,
    /// Exaggeration afterwards.
    pub late: f64,
    /// Momentum afterwards.
    pub momentum: f32,
}

/// Whether the divergence has fallen by less than [`SETTLED`] twice in a row.
pub(crate) struct Calm {
    before: f64,
    times: usize,
}

impl Calm {
    pub fn new() -> Self {
        Self { before: f64::INFINITY, times: 0 }
    }

    /// Told every 50 iterations. Twice in a row: with much momentum the map swings before it rests.
    pub fn told(&mut self, kl: f64) -> bool {
        self.times = if self.before.is_finite() && self.before - kl < SETTLED * kl.abs() { self.times + 1 } else { 0 };
        self.before = kl;
        self.times == 2
    }
}

impl Schedule {
    /// The numbers for `n` rows.
    pub fn pace(&self, n: usize) -> Pace {
        let iterations = match self.iterations {
            0 if n < FEW => 750,
            0 if n > MANY => 1000,
            0 => 500,
            given => given,
        };
        Pace {
            iterations,
            early: self.early.unwrap_or(if self.go_on { 0 } else { EARLY.min(iterations * 3 / 10) }),
            late: match self.exaggeration {
                e if e.is_finite() && e > 0.0 => e.clamp(1.0, 12.0),
                _ => 1.0,
            },
            momentum: match self.momentum {
                m if m.is_finite() && m > 0.0 => m.min(0.99) as f32,
                _ if n < FEW => 0.85,
                _ => 0.95,
            },
        }
    }
}

/// What came out.
pub(crate) struct Layout {
    /// N × dims.
    pub coords: Vec<f32>,
    /// Kullback–Leibler divergence of the map.
    pub kl: f64,
    /// Iterations done.
    pub iterations: usize,
    /// All wanted iterations were done.
    pub complete: bool,
    /// Of a layout that was halted: what it needs to go on as if it had not been.
    pub moves: Option<Moves>,
}

/// Mesh spacing for a number of rows.
pub(crate) fn spacing(n: usize) -> f32 {
    if n < ALL_PAIRS { 1.0 / 3.0 } else { 0.5 }
}

/// Lays the rows out from `start` (N × dims, any scale, e.g. principal components), dims 1 to 3.
pub(crate) fn run(joint: &Joint, start: &[f32], n: usize, dims: usize, schedule: &Schedule, monitor: &dyn Monitor) -> Layout {
    if dims == 3 {
        optimise::<3>(joint, start, n, dims, schedule, monitor)
    } else {
        optimise::<2>(joint, start, n, dims, schedule, monitor)
    }
}

/// Scales the start so that its first column has standard deviation 1e-4 and jitters it a little against duplicates.
pub(crate) fn initial<const W: usize>(start: &[f32], n: usize, dims: usize, seed: u64) -> Vec<[f32; W]> {
    let mean = crate::kernel::column_means(start, n, dims);
    let var: f64 = start.chunks_exact(dims).map(|r| (f64::from(r[0]) - mean[0]).powi(2)).sum::<f64>() / n as f64;
    let scale = if var > 0.0 { 1e-4 / var.sqrt() } else { 0.0 };
    let jitter = if var > 0.0 { 1e-6 } else { 1e-4 };
    let mut rng = Rng::new(seed, 11);
    start
        .chunks_exact(dims)
        .map(|r| {
            let mut y = [0.0f32; W];
            for j in 0..dims {
                y[j] = ((f64::from(r[j]) - mean[j]) * scale + rng.normal() * jitter) as f32;
            }
            y
        })
        .collect()
}

enum Repulsion<const W: usize> {
    Exact,
    Mesh(Box<Mesh>),
}

impl<const W: usize> Repulsion<W> {
    /// Σ_j q²(y_i − y_j) for each i into `out`, and Σ_{i≠j} q.
    fn forces(&mut self, y: &[[f32; W]], out: &mut [[f32; W]]) -> f64 {
        match self {
            Self::Exact => exact::forces(y, out),
            Self::Mesh(mesh) => mesh.forces(y.as_flattened().as_chunks().0, out.as_flattened_mut().as_chunks_mut().0),
        }
    }
}

/// Σ_j p q (y_i − y_j) over the entries of each row of a chunk, first row `first`.
fn attract<const W: usize>(joint: &Joint, y: &[[f32; W]], first: usize, out: &mut [[f32; W]]) {
    for (r, out) in out.iter_mut().enumerate() {
        let i = first + r;
        let range = joint.starts[i]..joint.starts[i + 1];
        *out = lanes::listed(&y[i], &joint.ids[range.clone()], y, Weight::Student(&joint.p[range]));
    }
}

/// Σ p ln p + Σ p ln(1 + d²) + ln Z.
pub(crate) fn divergence<const W: usize>(joint: &Joint, y: &[[f32; W]], z: f64) -> f64 {
    let parts: Vec<f64> = (0..y.len().div_ceil(CHUNK))
        .into_par_iter()
        .map(|c| {
            let mut sum = 0.0f64;
            for i in c * CHUNK..((c + 1) * CHUNK).min(y.len()) {
                for e in joint.starts[i]..joint.starts[i + 1] {
                    let other = y[joint.ids[e] as usize];
                    let p = f64::from(joint.p[e]);
                    let d2: f32 = (0..W).map(|c| (y[i][c] - other[c]).powi(2)).sum();
                    if p > 0.0 {
                        sum += p * (p.ln() + f64::from(d2).ln_1p());
                    }
                }
            }
            sum
        })
        .collect();
    parts.iter().sum::<f64>() + z.max(1e-300).ln()
}

/// The divergence of a map (N × dims, dims 1 to 3) with Z summed over all pairs.
pub(crate) fn exact_divergence(joint: &Joint, map: &[f32], dims: usize) -> f64 {
    let y: Vec<[f32; 3]> = map.chunks_exact(dims).map(|p| std::array::from_fn(|a| if a < dims { p[a] } else { 0.0 })).collect();
    if dims == 3 {
        let z = exact::forces(&y, &mut vec![[0.0; 3]; y.len()]);
        return divergence(joint, &y, z);
    }
    let y: Vec<[f32; 2]> = y.iter().map(|p| [p[0], p[1]]).collect();
    let z = exact::forces(&y, &mut vec![[0.0; 2]; y.len()]);
    divergence(joint, &y, z)
}

fn flat<const W: usize>(y: &[[f32; W]], dims: usize) -> Vec<f32> {
    if W == dims { y.as_flattened().to_vec() } else { y.iter().flat_map(|p| p[..dims].to_vec()).collect() }
}

fn optimise<const W: usize>(joint: &Joint, start: &[f32], n: usize, dims: usize, s: &Schedule, monitor: &dyn Monitor) -> Layout {
    let mut y: Vec<[f32; W]> = if s.go_on || s.done > 0 {
        start.chunks_exact(dims).map(|r| std::array::from_fn(|a| r.get(a).copied().unwrap_or(0.0))).collect()
    } else {
        initial(start, n, dims, s.seed)
    };
    let mut next = y.clone();
    let mut rep = vec![[0.0f32; W]; n];
    let wide =
        |values: &[f32]| values.chunks_exact(dims).map(|r| std::array::from_fn(|a| r.get(a).copied().unwrap_or(0.0))).collect();
    let (mut update, mut gains): (Vec<[f32; W]>, Vec<[f32; W]>) = match &s.moves {
        Some(moves) => (wide(&moves.update), wide(&moves.gains)),
        None => (vec![[0.0; W]; n], vec![[1.0; W]; n]),
    };
    let mut repulsion = if W == 2 && n >= ALL_PAIRS {
        Repulsion::Mesh(Box::new(Mesh::new(if s.spacing > 0.0 { s.spacing } else { spacing(n) })))
    } else {
        Repulsion::<W>::Exact
    };
    let Pace { iterations, early, late, momentum: momentum_late } = s.pace(n);
    let mut calm = Calm::new();
    let mut kl = f64::NAN;
    let mut complete = true;
    let mut done = s.done.min(iterations);
    let mut shown: Option<Instant> = None;
    for it in s.done..iterations {
        monitor.progress(Progress { stage: "layout", done: it as u64, of: iterations as u64 });
        if shown.is_none_or(|t| t.elapsed() > Duration::from_millis(30)) {
            monitor.frame(&flat(&y, dims), dims, &[("iteration", it as f64), ("kl", kl)]);
            shown = Some(Instant::now());
        }
        if monitor.stop() {
            complete = false;
            break;
        }
        let (ex, momentum) = if it < early { (12.0f64, 0.8f32) } else { (late, momentum_late) };
        let rate = (n as f64 / ex).max(1.0) as f32;
        let z = repulsion.forces(&y, &mut rep).max(1e-12);
        if it >= early && it % 50 == 0 {
            kl = divergence(joint, &y, z);
            if calm.told(kl) && s.settle {
                break;
            }
        }
        let (ex, inv_z) = (ex as f32, (1.0 / z) as f32);
        let sums: Vec<[f64; W]> = next
            .par_chunks_mut(CHUNK)
            .zip(update.par_chunks_mut(CHUNK))
            .zip(gains.par_chunks_mut(CHUNK))
            .enumerate()
            .map(|(c, ((next, update), gains))| {
                let first = c * CHUNK;
                let mut pull = vec![[0.0f32; W]; next.len()];
                attract(joint, &y, first, &mut pull);
                let mut sum = [0.0f64; W];
                for r in 0..next.len() {
                    let mut norm = 0.0f32;
                    for a in 0..W {
                        let grad = ex * pull[r][a] - inv_z * rep[first + r][a];
                        let g = &mut gains[r][a];
                        let u = &mut update[r][a];
                        // Faster while the direction stays (update is against the gradient), slower when it turns.
                        *g = if (*u > 0.0) != (grad > 0.0) { *g + 0.2 } else { (*g * 0.8).max(0.01) };
                        *u = momentum * *u - rate * *g * grad;
                        norm += *u * *u;
                    }
                    let norm = norm.sqrt();
                    let clip = if norm > 5.0 { 5.0 / norm } else { 1.0 };
                    for a in 0..W {
                        update[r][a] *= clip;
                        if !update[r][a].is_finite() {
                            update[r][a] = 0.0;
                        }
                        let v = y[first + r][a] + update[r][a];
                        next[r][a] = v;
                        sum[a] += f64::from(v);
                    }
                }
                sum
            })
            .collect();
        let mut mean = [0.0f32; W];
        for a in 0..W {
            mean[a] = (sums.iter().map(|s| s[a]).sum::<f64>() / n as f64) as f32;
        }
        next.par_chunks_mut(CHUNK).for_each(|c| c.iter_mut().for_each(|p| (0..W).for_each(|a| p[a] -= mean[a])));
        std::mem::swap(&mut y, &mut next);
        done = it + 1;
    }
    // A halted layout is wanted at once.
    let z = if n <= 10_000 && complete { exact::forces(&y, &mut rep) } else { repulsion.forces(&y, &mut rep) };
    kl = divergence(joint, &y, z);
    let coords = flat(&y, dims);
    monitor.frame(&coords, dims, &[("iteration", done as f64), ("kl", kl)]);
    monitor.progress(Progress { stage: "layout", done: done as u64, of: iterations as u64 });
    let moves = (!complete).then(|| Moves { update: flat(&update, dims), gains: flat(&gains, dims) });
    Layout { coords, kl, iterations: done, complete, moves }
}
