//! Uniform manifold approximation and projection (McInnes, Healy & Melville 2018), parallel and repeatable.
//!
//! The fuzzy graph is umap-learn's: the distance to the nearest neighbour counts as zero, each row's width is found by
//! bisection so that its weights add up to log₂ k, and the two directions are joined as p + q − p·q. The optimiser
//! differs: umap-learn lets threads write over each other, so only a single thread gives the same map twice. Here
//! every row moves itself only: it goes through its edges that are due in an epoch, one after another, each with the
//! pull of both ends and five pushes from rows drawn by a counter (in one wide step, not six), and reads the others as they were before its block of
//! rows moved. Rows move in [`BLOCKS`] interleaved blocks an epoch, which keeps most of the freshness that
//! one-after-another updates have; with a single block hubs overshoot. The map is the same for any number of threads.
//!
//! The start is the principal components. A spectral start, umap-learn's default, is offered; it can take long or fail
//! on graphs that nearly fall apart, and Kobak & Linderman (2021) found both starts equally good.
//!
//! Cost: an epoch is about 7 · N · (edges due, some 7 a row) evaluations of the curve; 200 to 500 epochs. Memory: 8 bytes
//! an edge, some 20 edges a row.

use crate::Error;
use crate::kernel::{self, CHUNK, Rng, mix, wide};
use crate::monitor::{Monitor, Progress, step};
use crate::neighbours::Neighbours;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Blocks of rows that move one after another within an epoch.
const BLOCKS: usize = 4;
/// Random rows that push a row for every edge of its that is due; at most 7.
const NEGATIVES: usize = 5;
/// Rows per piece of a block.
const PIECE: usize = 64;

/// The curve 1 / (1 + a·d^2b) that distances on the map are read by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Curve {
    pub a: f32,
    pub b: f32,
}

impl Curve {
    /// Fitted by least squares to 1 up to `min_dist` and exp(−(d − min_dist) / spread) beyond, as umap-learn does, with
    /// Gauss–Newton steps (damped) on 300 points up to 3 · spread.
    pub fn fit(min_dist: f64, spread: f64) -> Self {
        let points: Vec<(f64, f64)> = (0..300)
            .map(|i| {
                let x = 3.0 * spread * i as f64 / 299.0;
                (x, if x < min_dist { 1.0 } else { (-(x - min_dist) / spread).exp() })
            })
            .collect();
        let error = |a: f64, b: f64| -> f64 { points.iter().map(|(x, y)| (1.0 / (1.0 + a * x.powf(2.0 * b)) - y).powi(2)).sum() };
        let (mut a, mut b, mut damp) = (1.0f64, 1.0f64, 1e-3f64);
        let mut last = error(a, b);
        for _ in 0..200 {
            let (mut aa, mut ab, mut bb, mut ga, mut gb) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for (x, y) in points.iter().filter(|p| p.0 > 0.0) {
                let p = x.powf(2.0 * b);
                let f = 1.0 / (1.0 + a * p);
                let (da, db) = (-f * f * p, -f * f * a * p * 2.0 * x.ln());
                let r = f - y;
                aa += da * da;
                ab += da * db;
                bb += db * db;
                ga += da * r;
                gb += db * r;
            }
            let (aa, bb) = (aa * (1.0 + damp), bb * (1.0 + damp));
            let det = aa * bb - ab * ab;
            if det.abs() < 1e-300 {
                break;
            }
            let (na, nb) = (a - (bb * ga - ab * gb) / det, b - (aa * gb - ab * ga) / det);
            let now = if na > 0.0 && nb > 0.0 { error(na, nb) } else { f64::INFINITY };
            if now < last {
                let done = (last - now) < 1e-14 * last;
                (a, b, last) = (na, nb, now);
                damp *= 0.3;
                if done {
                    break;
                }
            } else {
                damp *= 5.0;
                if damp > 1e12 {
                    break;
                }
            }
        }
        Self { a: a as f32, b: b as f32 }
    }
}

/// Settings of the optimiser.
pub(crate) struct Plan {
    pub curve: Curve,
    /// 0 = 500 up to 10,000 rows, 200 above.
    pub epochs: usize,
    pub seed: u64,
}

/// What came out.
pub(crate) struct Layout {
    pub coords: Vec<f32>,
    pub epochs: usize,
    pub complete: bool,
}

/// Fuzzy memberships of one row's neighbours: `distances` nearest first, `k` counts the row itself.
pub(crate) fn memberships(distances: &[f32], k: usize, mean_of_all: f64, out: &mut [f32]) {
    let target = (k.max(2) as f64).log2();
    let rho = distances.iter().copied().find(|d| *d > 0.0).map_or(0.0, f64::from);
    let (mut low, mut high, mut sigma) = (0.0f64, f64::INFINITY, 1.0f64);
    for _ in 0..64 {
        let sum: f64 = distances
            .iter()
            .map(|d| {
                let d = f64::from(*d) - rho;
                if d > 0.0 { (-d / sigma).exp() } else { 1.0 }
            })
            .sum();
        if (sum - target).abs() < 1e-5 {
            break;
        }
        if sum > target {
            high = sigma;
            sigma = 0.5 * (low + high);
        } else {
            low = sigma;
            sigma = if high.is_finite() { 0.5 * (low + high) } else { sigma * 2.0 };
        }
    }
    // Never narrower than a thousandth of the mean distance.
    let mean = distances.iter().map(|d| f64::from(*d)).sum::<f64>() / distances.len().max(1) as f64;
    let sigma = sigma.max(1e-3 * if rho > 0.0 { mean } else { mean_of_all }).max(1e-30);
    for (o, d) in out.iter_mut().zip(distances) {
        let d = f64::from(*d) - rho;
        *o = if d > 0.0 { (-d / sigma).exp() as f32 } else { 1.0 };
    }
}

/// The symmetric fuzzy graph in compressed rows; weights 0..1.
pub(crate) struct Fuzzy {
    pub starts: Vec<usize>,
    pub ids: Vec<u32>,
    pub weights: Vec<f32>,
}

/// The fuzzy graph of some neighbours (without the rows themselves), edges too weak for any epoch left out.
pub(crate) fn fuzzy(near: &Neighbours, n: usize, epochs: usize, monitor: &dyn Monitor) -> Result<Fuzzy, Error> {
    let k = near.k;
    kernel::check_memory((n * k * 40) as u64)?;
    let distances: Vec<f32> = near.distances2.par_iter().map(|d| d.sqrt()).collect();
    let sums: Vec<f64> = distances.par_chunks(CHUNK * k).map(|c| c.iter().map(|d| f64::from(*d)).sum()).collect();
    let mean = sums.iter().sum::<f64>() / (n * k) as f64;
    let mut p = vec![0.0f32; n * k];
    for (w, (p, distances)) in p.chunks_mut(32 * CHUNK * k).zip(distances.chunks(32 * CHUNK * k)).enumerate() {
        step(monitor, "affinities", w * 32 * CHUNK, n)?;
        p.par_chunks_mut(k).zip(distances.par_chunks(k)).for_each(|(p, d)| memberships(d, k + 1, mean, p));
    }
    let joined = crate::affinity::join(&near.ids, &p, n, k, None, |p, q| p + q - p * q);
    let most = joined.p.par_iter().copied().reduce(|| 0.0, f32::max);
    let least = most / epochs.max(1) as f32;
    let mut out = Fuzzy { starts: vec![0], ids: Vec::new(), weights: Vec::new() };
    for i in 0..n {
        for e in joined.starts[i]..joined.starts[i + 1] {
            if joined.p[e] >= least {
                out.ids.push(joined.ids[e]);
                out.weights.push(joined.p[e] / most);
            }
        }
        out.starts.push(out.ids.len());
    }
    Ok(out)
}

/// x^p for x > 0 to about 1e-4, from exponent and mantissa: the same everywhere and five times faster than powf.
#[inline(always)]
fn power(x: f32, p: f32) -> f32 {
    let bits = x.to_bits() as i32;
    let exponent = ((bits >> 23) - 127) as f32;
    let m = f32::from_bits(((bits & 0x007f_ffff) | 0x3f80_0000) as u32);
    let log = exponent
        + (m - 1.0)
            * (3.115_789_9
                + m * (-3.324_199_0 + m * (2.598_845_2 + m * (-1.231_530_3 + m * (0.318_213_37 - m * 0.034_436_006)))));
    let t = (log * p).clamp(-120.0, 120.0);
    // Adding 1.5 · 2²³ leaves the nearest whole number in the last bits.
    let shifted = t + 12_582_912.0;
    let f = t - (shifted - 12_582_912.0);
    let e = 1.0 + f * (std::f32::consts::LN_2 + f * (0.240_226_5 + f * (0.055_504_11 + f * (0.009_618_129 + f * 0.001_333_356))));
    f32::from_bits((shifted.to_bits().wrapping_sub(0x4b40_0000).wrapping_add(127)) << 23) * e
}

#[inline(always)]
fn clip(v: f32) -> f32 {
    v.clamp(-4.0, 4.0)
}

#[inline(always)]
fn difference<const W: usize>(a: &[f32; W], b: &[f32; W]) -> ([f32; W], f32) {
    let mut delta = [0.0f32; W];
    let mut d2 = 0.0f32;
    for c in 0..W {
        delta[c] = a[c] - b[c];
        d2 += delta[c] * delta[c];
    }
    (delta, d2)
}

#[inline(always)]
fn pull<const W: usize>(y: &mut [f32; W], other: &[f32; W], curve: Curve, rate: f32) {
    let (delta, d2) = difference(y, other);
    if d2 > 0.0 {
        let p = power(d2, curve.b);
        let g = -2.0 * curve.a * curve.b * p / (d2 * (1.0 + curve.a * p));
        for c in 0..W {
            y[c] += rate * clip(g * delta[c]);
        }
    }
}

#[inline(always)]
fn push<const W: usize>(y: &mut [f32; W], other: &[f32; W], curve: Curve, rate: f32) {
    let (delta, d2) = difference(y, other);
    if d2 > 0.0 {
        let g = 2.0 * curve.b / ((0.001 + d2) * (1.0 + curve.a * power(d2, curve.b)));
        for c in 0..W {
            y[c] += rate * clip(g * delta[c]);
        }
    }
}

/// Whether an edge of this weight (0..1) is due in an epoch.
#[inline(always)]
fn due(weight: f32, epoch: usize) -> bool {
    (weight * (epoch + 1) as f32) as u32 != (weight * epoch as f32) as u32
}

/// One epoch of some rows.
struct Turn<'a> {
    graph: &'a Fuzzy,
    curve: Curve,
    rate: f32,
    epoch: usize,
    seed: u64,
    n: usize,
}

wide! {
    fn turn2(t: &Turn, y: &[[f32; 2]], first: usize, out: &mut [[f32; 2]]) {
        turn(t, y, first, out);
    }
}
wide! {
    fn turn3(t: &Turn, y: &[[f32; 3]], first: usize, out: &mut [[f32; 3]]) {
        turn(t, y, first, out);
    }
}

#[inline(always)]
fn turn<const W: usize>(t: &Turn, y: &[[f32; W]], first: usize, out: &mut [[f32; W]]) {
    let curve = t.curve;
    // Pull: −2ab·p / (d² (1 + a·p)); push: 2b / ((0.001 + d²)(1 + a·p)), with p = d^2b.
    let (mut plus, mut times, mut least, mut twice) = ([2.0 * curve.b; 8], [0.0f32; 8], [0.001f32; 8], [1.0f32; 8]);
    (plus[0], times[0], least[0], twice[0]) = (0.0, -2.0 * curve.a * curve.b, 1e-20, 2.0);
    for (r, out) in out.iter_mut().enumerate() {
        let i = first + r;
        let mut me = y[i];
        let key = mix(t.seed, ((t.epoch as u64) << 33) ^ i as u64);
        let mut drawn = 0u64;
        for e in t.graph.starts[i]..t.graph.starts[i + 1] {
            if !due(t.graph.weights[e], t.epoch) {
                continue;
            }
            // Lane 0 is the edge, once as its head and once as its tail; then come the pushes. Lanes left over stay at
            // the row's own place, where there is no force.
            let mut delta = [[0.0f32; 8]; W];
            let other = y[t.graph.ids[e] as usize];
            for (delta, (m, o)) in delta.iter_mut().zip(me.iter().zip(&other)) {
                delta[0] = m - o;
            }
            for s in 0..NEGATIVES.div_ceil(2) {
                // Two draws a mix.
                drawn += 1;
                let bits = mix(key, drawn);
                for (h, half) in [bits as u32, (bits >> 32) as u32].into_iter().enumerate() {
                    let lane = 1 + 2 * s + h;
                    if lane <= NEGATIVES {
                        let other = y[((u64::from(half) * t.n as u64) >> 32) as usize];
                        for c in 0..W {
                            delta[c][lane] = me[c] - other[c];
                        }
                    }
                }
            }
            let mut move_by = [[0.0f32; 8]; W];
            for l in 0..8 {
                let mut d2 = 0.0f32;
                for delta in &delta {
                    d2 += delta[l] * delta[l];
                }
                let p = power(d2.max(1e-30), curve.b);
                let g = (plus[l] + times[l] * p) / ((least[l] + d2) * (1.0 + curve.a * p));
                for c in 0..W {
                    move_by[c][l] = twice[l] * clip(g * delta[c][l]);
                }
            }
            for (me, m) in me.iter_mut().zip(&move_by) {
                *me += t.rate * (((m[0] + m[4]) + (m[1] + m[5])) + ((m[2] + m[6]) + (m[3] + m[7])));
            }
        }
        *out = me;
    }
}

/// Lays the rows out from `start` (N × dims, any scale), dims 1 to 3.
pub(crate) fn run(graph: &Fuzzy, start: &[f32], n: usize, dims: usize, plan: &Plan, monitor: &dyn Monitor) -> Layout {
    match dims {
        1 => optimise::<1>(graph, start, n, plan, monitor, turn),
        2 => optimise::<2>(graph, start, n, plan, monitor, turn2),
        _ => optimise::<3>(graph, start, n, plan, monitor, turn3),
    }
}

/// Epochs for a number of rows where none are given.
pub(crate) fn epochs(n: usize) -> usize {
    if n <= 10_000 { 500 } else { 200 }
}

fn optimise<const W: usize>(
    graph: &Fuzzy,
    start: &[f32],
    n: usize,
    plan: &Plan,
    monitor: &dyn Monitor,
    turn: impl Fn(&Turn, &[[f32; W]], usize, &mut [[f32; W]]) + Sync,
) -> Layout {
    let mean = kernel::column_means(start, n, W);
    let widest = start.iter().enumerate().map(|(i, v)| (f64::from(*v) - mean[i % W]).abs()).fold(0.0f64, f64::max);
    let scale = if widest > 0.0 { 10.0 / widest } else { 0.0 };
    let mut rng = Rng::new(plan.seed, 51);
    let noise = if widest > 0.0 { 1e-4 } else { 1.0 };
    let mut y: Vec<[f32; W]> = start
        .chunks_exact(W)
        .map(|r| std::array::from_fn(|a| ((f64::from(r[a]) - mean[a]) * scale + rng.normal() * noise) as f32))
        .collect();
    let total = if plan.epochs == 0 { epochs(n) } else { plan.epochs };
    let (mut complete, mut done) = (true, 0);
    let mut shown: Option<Instant> = None;
    let mut next = y.clone();
    for epoch in 0..total {
        monitor.progress(Progress { stage: "layout", done: epoch as u64, of: total as u64 });
        if shown.is_none_or(|t| t.elapsed() > Duration::from_millis(30)) {
            monitor.frame(y.as_flattened(), W, &[("epoch", epoch as f64)]);
            shown = Some(Instant::now());
        }
        if monitor.stop() {
            complete = false;
            break;
        }
        let t = Turn { graph, curve: plan.curve, rate: 1.0 - epoch as f32 / total as f32, epoch, seed: mix(plan.seed, 52), n };
        for block in 0..BLOCKS {
            let mine = |c: usize| c % BLOCKS == block;
            next.par_chunks_mut(PIECE).enumerate().filter(|(c, _)| mine(*c)).for_each(|(c, out)| turn(&t, &y, c * PIECE, out));
            y.par_chunks_mut(PIECE)
                .zip(next.par_chunks(PIECE))
                .enumerate()
                .filter(|(c, _)| mine(*c))
                .for_each(|(_, (y, next))| y.copy_from_slice(next));
        }
        // Only differences matter: the map is kept around 0, from which pushes and pulls would slowly carry it off.
        let mean = kernel::column_means(y.as_flattened(), n, W);
        y.par_chunks_mut(CHUNK).for_each(|c| c.iter_mut().for_each(|p| (0..W).for_each(|a| p[a] -= mean[a] as f32)));
        done = epoch + 1;
    }
    let coords = y.into_flattened();
    monitor.frame(&coords, W, &[("epoch", done as f64)]);
    monitor.progress(Progress { stage: "layout", done: done as u64, of: total as u64 });
    Layout { coords, epochs: done, complete }
}

/// A place for one new row on a finished map: the weighted mean of its neighbours' places, then `rounds` epochs in which
/// only it moves. `ids` and `distances` are its nearest fitted rows.
pub(crate) fn place(
    map: &[f32],
    dims: usize,
    ids: &[u32],
    distances: &[f32],
    curve: Curve,
    key: u64,
    rounds: usize,
    out: &mut [f32],
) {
    let n = map.len() / dims;
    let mut w = vec![0.0f32; ids.len()];
    let mean = distances.iter().map(|d| f64::from(*d)).sum::<f64>() / distances.len().max(1) as f64;
    memberships(distances, ids.len(), mean, &mut w);
    let at = |j: usize| -> [f32; 3] { std::array::from_fn(|a| if a < dims { map[j * dims + a] } else { 0.0 }) };
    let total: f32 = w.iter().sum();
    let mut y = [0.0f32; 3];
    for (j, w) in ids.iter().zip(&w) {
        let other = at(*j as usize);
        (0..3).for_each(|a| y[a] += w / total * other[a]);
    }
    let most = w.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let mut drawn = 0;
    for epoch in 0..rounds {
        let rate = 0.25 * (1.0 - epoch as f32 / rounds as f32);
        for (j, w) in ids.iter().zip(&w) {
            if !due(w / most, epoch) {
                continue;
            }
            pull(&mut y, &at(*j as usize), curve, rate);
            for _ in 0..NEGATIVES {
                drawn += 1;
                let other = ((u128::from(mix(key, drawn)) * n as u128) >> 64) as usize;
                push(&mut y, &at(other), curve, rate);
            }
        }
    }
    out.copy_from_slice(&y[..dims]);
}

/// A spectral start: the eigenvectors 1..=dims of the normalised graph, by block power steps with Rayleigh–Ritz, at most
/// 120 rounds. In a graph that falls apart they tell the parts from one another, and the layout does the rest.
pub(crate) fn spectral(graph: &Fuzzy, n: usize, dims: usize, seed: u64, monitor: &dyn Monitor) -> Result<Vec<f32>, Error> {
    let degree: Vec<f64> = (0..n)
        .map(|i| graph.weights[graph.starts[i]..graph.starts[i + 1]].iter().map(|w| f64::from(*w)).sum::<f64>().max(1e-12))
        .collect();
    let root: Vec<f64> = degree.iter().map(|d| 1.0 / d.sqrt()).collect();
    // (I + D^-1/2 W D^-1/2) / 2 has eigenvalues 0..1; the largest vector is known.
    let apply = |v: &[f64], l: usize| -> Vec<f64> {
        let mut out = vec![0.0f64; l * n];
        out.par_chunks_mut(n).zip(v.par_chunks(n)).for_each(|(out, v)| {
            for i in 0..n {
                let mut s = 0.0;
                for e in graph.starts[i]..graph.starts[i + 1] {
                    let j = graph.ids[e] as usize;
                    s += f64::from(graph.weights[e]) * root[j] * v[j];
                }
                out[i] = 0.5 * (v[i] + root[i] * s);
            }
        });
        out
    };
    step(monitor, "spectral", 0, 1)?;
    let (_, vectors) = crate::pca::subspace(apply, n, (dims + 1).min(n), 120, Rng::new(seed, 53), monitor)?;
    let mut out = vec![0.0f32; n * dims];
    for a in 0..dims.min((vectors.len() / n).saturating_sub(1)) {
        for i in 0..n {
            out[i * dims + a] = (vectors[(a + 1) * n + i] * root[i] * 1e3) as f32;
        }
    }
    // The sign of a vector is free: the largest entry of each column is positive.
    for a in 0..dims {
        let big = out.iter().skip(a).step_by(dims).fold(0.0f32, |b, v| if v.abs() > b.abs() * (1.0 + 1e-4) { *v } else { b });
        if big < 0.0 {
            out.iter_mut().skip(a).step_by(dims).for_each(|v| *v = -*v);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_umap_learns() {
        // umap-learn 0.5: find_ab_params(1.0, 0.1), (1.0, 0.5) and (1.0, 0.001).
        for (min_dist, a, b) in
            [(0.1, 1.576_943_5, 0.895_060_88), (0.5, 0.583_030_2, 1.334_167), (0.001, 1.929_073_7, 0.791_505_1)]
        {
            let c = Curve::fit(min_dist, 1.0);
            assert!((c.a - a).abs() < 2e-3 && (c.b - b).abs() < 2e-3, "{min_dist}: {c:?}");
        }
    }

    #[test]
    fn powers_are_near_enough() {
        for p in [0.3f32, 0.79, 0.895, 1.3] {
            for i in -60..60 {
                let x = 1.37f32.powi(i);
                let (got, want) = (power(x, p), x.powf(p));
                if (1e-30..1e30).contains(&want) {
                    assert!((got / want - 1.0).abs() < 1e-3, "{x}^{p}: {got} against {want}");
                }
            }
        }
    }

    #[test]
    fn memberships_add_up_to_the_logarithm() {
        let d: Vec<f32> = (1..15).map(|i| 1.0 + (i as f32).sqrt()).collect();
        let mut p = vec![0.0; 14];
        memberships(&d, 15, 3.0, &mut p);
        assert_eq!(p[0], 1.0);
        assert!((f64::from(p.iter().sum::<f32>()) - 15f64.log2()).abs() < 1e-3);
        memberships(&[0.0; 14], 15, 0.0, &mut p);
        assert!(p.iter().all(|v| *v == 1.0));
    }

    #[test]
    fn edges_come_up_as_often_as_they_weigh() {
        for w in [1.0f32, 0.5, 0.31, 0.01] {
            let count = (0..500).filter(|e| due(w, *e)).count();
            assert!((count as f32 - 500.0 * w).abs() <= 1.0, "{w}: {count}");
        }
    }
}
