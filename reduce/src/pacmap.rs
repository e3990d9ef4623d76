//! Pairwise controlled manifold approximation (Wang, Huang, Rudin & Shaposhnik 2021), parallel and repeatable.
//!
//! Three kinds of pairs pull and push: a row's nearest neighbours by a distance scaled to the surroundings of both ends,
//! "mid-near" rows (the second nearest of six random ones), which carry the large arrangement, and random far rows. In
//! 100 + 100 + 250 iterations of Adam the weight of the mid-near pairs falls from 1000 to nothing. Constants are those
//! of the authors' package.
//!
//! The package adds both ends' gradients pair by pair; here each pair is stored at both of its ends, so that every row
//! sums its own gradient in a fixed order and the map is the same for any number of threads. That costs twice the
//! arithmetic and half the waiting for memory. Random numbers come from a counter.
//!
//! Cost: 450 iterations of about 65 · N pair forces; 8 bytes for each of 35 · N pairs.

use crate::Error;
use crate::kernel::{self, CHUNK, Rng, distance2, mix};
use crate::lanes::{self, Weight};
use crate::monitor::{Monitor, Progress, step};
use crate::neighbours::Neighbours;
use rayon::prelude::*;
use std::time::{Duration, Instant};

/// Candidates among which the neighbours with the smallest scaled distance are chosen, besides the neighbours.
pub(crate) const EXTRA: usize = 50;
const MIDDLE: f64 = 0.5;
const FAR: f64 = 2.0;
const ITERATIONS: usize = 450;

/// Pairs of every row, nearest, mid-near and far, each with both ends.
pub(crate) struct Pairs {
    /// Start of each row's part in `ids`: 3N + 1 numbers, the kinds of a row one after another.
    starts: Vec<usize>,
    ids: Vec<u32>,
}

/// Neighbours of a row where none are given: the default of the authors' package, for any number of rows.
pub(crate) const NEIGHBOURS: usize = 10;

/// Weights of nearest, mid-near and far pairs in an iteration.
fn weights(it: usize) -> [f32; 3] {
    match it {
        0..100 => [2.0, 1000.0 + (3.0 - 1000.0) * it as f32 / 100.0, 1.0],
        100..200 => [3.0, 3.0, 1.0],
        _ => [1.0, 0.0, 1.0],
    }
}

/// Mean distance to the fourth to sixth neighbour of every row.
fn surroundings(near: &Neighbours) -> Vec<f32> {
    near.distances2
        .par_chunks(near.k)
        .map(|d| {
            let part = &d[3.min(d.len() - 1)..6.min(d.len())];
            (part.iter().map(|v| v.sqrt()).sum::<f32>() / part.len() as f32).max(1e-10)
        })
        .collect()
}

/// Chooses the pairs. `x` are the N × d rows whose neighbours `near` lists.
pub(crate) fn pairs(
    near: &Neighbours,
    x: &[f32],
    n: usize,
    d: usize,
    k: usize,
    seed: u64,
    monitor: &dyn Monitor,
) -> Result<Pairs, Error> {
    step(monitor, "pairs", 0, 2)?;
    // A few rows must leave some to be far from, or nothing pushes.
    let k = k.min(near.k).min((n - 1).div_ceil(3));
    let middle = ((k as f64 * MIDDLE).round() as usize).min(n - 1);
    let far = ((k as f64 * FAR).round() as usize).min((n - 1).saturating_sub(k));
    let each = k + middle + far;
    kernel::check_memory((n * each * 16) as u64)?;
    let sigma = surroundings(near);
    let seed = mix(seed, 61);
    // One way: k nearest, then mid-near, then far rows of every row.
    let mut one_way = vec![0u32; n * each];
    one_way.par_chunks_mut(each).enumerate().for_each(|(i, out)| {
        let range = i * near.k..(i + 1) * near.k;
        let mut scaled: Vec<(f32, u32)> = near.ids[range.clone()]
            .iter()
            .zip(&near.distances2[range])
            .map(|(j, d2)| (d2 / sigma[i] / sigma[*j as usize], *j))
            .collect();
        scaled.sort_by(|a, b| a.0.total_cmp(&b.0));
        out[..k].iter_mut().zip(&scaled).for_each(|(o, s)| *o = s.1);
        let mut rng = Rng::new(seed, i as u64);
        let me = &x[i * d..(i + 1) * d];
        for m in 0..middle {
            let mut drawn: Vec<(f32, u32)> = Vec::with_capacity(6);
            while drawn.len() < 6.min(n - 1) {
                let j = rng.below(n);
                if j != i && drawn.iter().all(|p| p.1 as usize != j) {
                    drawn.push((distance2(me, &x[j * d..(j + 1) * d]), j as u32));
                }
            }
            drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
            out[k + m] = drawn[1.min(drawn.len() - 1)].1;
        }
        for f in k + middle..each {
            // Tiny tables: after some tries any other row will do.
            let mut j = rng.below(n);
            for _ in 0..100 {
                if j != i && !out[..k].contains(&(j as u32)) && !out[k + middle..f].contains(&(j as u32)) {
                    break;
                }
                j = rng.below(n);
            }
            out[f] = if j == i { ((i + 1) % n) as u32 } else { j as u32 };
        }
    });
    step(monitor, "pairs", 1, 2)?;
    // Both ways, by a counting sort: kind by kind within a row.
    let kind = |p: usize| {
        if p < k {
            0
        } else if p < k + middle {
            1
        } else {
            2
        }
    };
    let mut starts = vec![0usize; 3 * n + 1];
    for (i, row) in one_way.chunks_exact(each).enumerate() {
        for (p, j) in row.iter().enumerate() {
            starts[3 * i + kind(p) + 1] += 1;
            starts[3 * *j as usize + kind(p) + 1] += 1;
        }
    }
    for s in 0..3 * n {
        starts[s + 1] += starts[s];
    }
    let mut at = starts.clone();
    let mut ids = vec![0u32; 2 * n * each];
    for (i, row) in one_way.chunks_exact(each).enumerate() {
        for (p, j) in row.iter().enumerate() {
            for (a, b) in [(i, *j), (*j as usize, i as u32)] {
                let place = &mut at[3 * a + kind(p)];
                ids[*place] = b;
                *place += 1;
            }
        }
    }
    Ok(Pairs { starts, ids })
}

/// Σ factor / (offset + 1 + d²)² · (y_i − y_j) over some rows.
fn sum<const W: usize>(me: &[f32; W], ids: &[u32], y: &[[f32; W]], factor: f32, offset: f32) -> [f32; W] {
    lanes::listed(me, ids, y, Weight::Square { factor, offset: offset + 1.0 })
}

fn gradient<const W: usize>(p: &Pairs, y: &[[f32; W]], first: usize, w: [f32; 3], out: &mut [[f32; W]]) {
    for (r, out) in out.iter_mut().enumerate() {
        let i = first + r;
        let part = |kind: usize| &p.ids[p.starts[3 * i + kind]..p.starts[3 * i + kind + 1]];
        let near = sum(&y[i], part(0), y, 20.0 * w[0], 10.0);
        let far = sum(&y[i], part(2), y, 2.0 * w[2], 1.0);
        (0..W).for_each(|c| out[c] = near[c] - far[c]);
        if w[1] > 0.0 {
            let middle = sum(&y[i], part(1), y, 20_000.0 * w[1], 10_000.0);
            (0..W).for_each(|c| out[c] += middle[c]);
        }
    }
}

/// What came out.
pub(crate) struct Layout {
    pub coords: Vec<f32>,
    pub iterations: usize,
    pub complete: bool,
}

/// Lays the rows out from `start` (N × dims), the principal components of data whose values span `range`.
pub(crate) fn run(p: &Pairs, start: &[f32], n: usize, dims: usize, range: f32, seed: u64, monitor: &dyn Monitor) -> Layout {
    match dims {
        1 => optimise::<1>(p, start, n, range, seed, monitor),
        2 => optimise::<2>(p, start, n, range, seed, monitor),
        _ => optimise::<3>(p, start, n, range, seed, monitor),
    }
}

fn optimise<const W: usize>(p: &Pairs, start: &[f32], n: usize, range: f32, seed: u64, monitor: &dyn Monitor) -> Layout {
    let mean = kernel::column_means(start, n, W);
    let scale = if range > 0.0 { 0.01 / range } else { 0.0 };
    let mut rng = Rng::new(seed, 62);
    // Copies of a row would stay on top of one another for ever.
    let jitter = if range > 0.0 { 1e-5 } else { 1e-2 };
    let mut y: Vec<[f32; W]> = start
        .chunks_exact(W)
        .map(|r| std::array::from_fn(|a| (r[a] - mean[a] as f32) * scale + (rng.normal() * jitter) as f32))
        .collect();
    let mut grad = vec![[0.0f32; W]; n];
    let (mut m, mut v) = (vec![[0.0f32; W]; n], vec![[0.0f32; W]; n]);
    let (mut complete, mut done) = (true, 0);
    let mut shown: Option<Instant> = None;
    for it in 0..ITERATIONS {
        monitor.progress(Progress { stage: "layout", done: it as u64, of: ITERATIONS as u64 });
        if shown.is_none_or(|t| t.elapsed() > Duration::from_millis(30)) {
            monitor.frame(y.as_flattened(), W, &[("iteration", it as f64)]);
            shown = Some(Instant::now());
        }
        if monitor.stop() {
            complete = false;
            break;
        }
        let w = weights(it);
        grad.par_chunks_mut(CHUNK / 4).enumerate().for_each(|(c, g)| gradient(p, &y, c * (CHUNK / 4), w, g));
        let t = it as i32 + 1;
        let rate = ((1.0 - 0.999f64.powi(t)).sqrt() / (1.0 - 0.9f64.powi(t))) as f32;
        y.par_chunks_mut(CHUNK).zip(grad.par_chunks(CHUNK)).zip(m.par_chunks_mut(CHUNK)).zip(v.par_chunks_mut(CHUNK)).for_each(
            |(((y, g), m), v)| {
                for (((y, g), m), v) in y.iter_mut().zip(g).zip(m.iter_mut()).zip(v.iter_mut()) {
                    for a in 0..W {
                        m[a] += 0.1 * (g[a] - m[a]);
                        v[a] += 0.001 * (g[a] * g[a] - v[a]);
                        y[a] -= rate * m[a] / (v[a].sqrt() + 1e-7);
                    }
                }
            },
        );
        done = it + 1;
    }
    let coords = y.into_flattened();
    monitor.frame(&coords, W, &[("iteration", done as f64)]);
    monitor.progress(Progress { stage: "layout", done: done as u64, of: ITERATIONS as u64 });
    Layout { coords, iterations: done, complete }
}

/// A place for one new row on a finished map: from the mean place of its nearest fitted rows, 100 Adam steps in which
/// only it moves, pulled by them and pushed by twice as many random ones, with the weights of the last phase.
pub(crate) fn place(map: &[f32], dims: usize, ids: &[u32], key: u64, out: &mut [f32]) {
    let n = map.len() / dims;
    let at = |j: usize| -> [f32; 3] { std::array::from_fn(|a| if a < dims { map[j * dims + a] } else { 0.0 }) };
    let near: Vec<[f32; 3]> = ids.iter().map(|j| at(*j as usize)).collect();
    let far: Vec<[f32; 3]> =
        (0..2 * ids.len() as u64).map(|c| at(((u128::from(mix(key, c)) * n as u128) >> 64) as usize)).collect();
    let mut y: [f32; 3] = std::array::from_fn(|a| near.iter().map(|p| p[a]).sum::<f32>() / near.len().max(1) as f32);
    let (mut m, mut v) = ([0.0f32; 3], [0.0f32; 3]);
    let all_near: Vec<u32> = (0..near.len() as u32).collect();
    let all_far: Vec<u32> = (0..far.len() as u32).collect();
    for t in 1..=100 {
        let (pull, push) = (sum(&y, &all_near, &near, 20.0, 10.0), sum(&y, &all_far, &far, 2.0, 1.0));
        let rate = 0.1 * ((1.0 - 0.999f64.powi(t)).sqrt() / (1.0 - 0.9f64.powi(t))) as f32;
        for a in 0..dims {
            let g = pull[a] - push[a];
            m[a] += 0.1 * (g - m[a]);
            v[a] += 0.001 * (g * g - v[a]);
            y[a] -= rate * m[a] / (v[a].sqrt() + 1e-7);
        }
    }
    out.copy_from_slice(&y[..dims]);
}
