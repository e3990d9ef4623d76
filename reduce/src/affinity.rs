//! Neighbour lists turned into the joint probabilities of t-SNE.
//!
//! Each row's Gaussian width is found by bisection so that its neighbours have the wanted perplexity (van der Maaten &
//! Hinton 2008); the joint matrix is (P + Pᵀ) / 2N in compressed rows, columns ascending. The transpose is made by a
//! counting sort, so nothing depends on thread order. Cost: N·k exponentials × ~30 steps, then one pass over 2·N·k.

use crate::Error;
use crate::kernel::check_memory;
use crate::monitor::{Monitor, step};
use crate::neighbours::Neighbours;
use rayon::prelude::*;

/// Rows between two looks at the monitor.
const WAVE: usize = 8192;

/// A symmetric sparse matrix in compressed rows.
pub(crate) struct Joint {
    /// Start of each row in the other two, N + 1 numbers.
    pub starts: Vec<usize>,
    /// Column of each entry.
    pub ids: Vec<u32>,
    /// Value of each entry; all add up to 1.
    pub p: Vec<f32>,
}

/// Conditional probabilities of one row's neighbours for a perplexity, from squared distances, nearest first.
pub(crate) fn calibrate(distances2: &[f32], perplexity: f64, p: &mut [f32]) {
    let k = distances2.len();
    if k == 0 {
        return;
    }
    let nearest = f64::from(distances2[0]);
    let spread = f64::from(distances2[k - 1]) - nearest;
    if spread <= 0.0 || perplexity >= k as f64 {
        p.fill(1.0 / k as f32);
        return;
    }
    let want = perplexity.max(1.0).ln();
    let (mut low, mut high) = (0.0f64, f64::INFINITY);
    let mut beta = 1.0 / spread.max(1e-300);
    let mut q = vec![0.0f64; k];
    for _ in 0..200 {
        let (mut sum, mut dot) = (0.0f64, 0.0f64);
        for (q, d) in q.iter_mut().zip(distances2) {
            let d = f64::from(*d) - nearest;
            *q = (-beta * d).exp();
            sum += *q;
            dot += *q * d;
        }
        let entropy = sum.ln() + beta * dot / sum;
        let off = entropy - want;
        if off.abs() < 1e-5 {
            break;
        }
        if off > 0.0 {
            low = beta;
            beta = if high.is_finite() { 0.5 * (low + high) } else { beta * 2.0 };
        } else {
            high = beta;
            beta = 0.5 * (low + high);
        }
        if !beta.is_finite() || beta == 0.0 {
            break;
        }
    }
    let sum: f64 = q.iter().sum();
    for (p, q) in p.iter_mut().zip(&q) {
        *p = (q / sum) as f32;
    }
}

/// Joint probabilities of the rows from their neighbours: the mean over the perplexities. With an `order` row i of the
/// matrix is row `order[i]` of the neighbours.
pub(crate) fn joint(
    near: &Neighbours,
    n: usize,
    perplexities: &[f64],
    order: Option<&[u32]>,
    monitor: &dyn Monitor,
) -> Result<Joint, Error> {
    let cond = conditional(near, n, perplexities, None, None, monitor)?;
    Ok(joined(near, &cond, n, order))
}

/// Conditional probabilities of each row's neighbours, N × k: the mean over the perplexities. What is `known` from before, of
/// as many neighbours of the first rows, stays for rows that have not `changed`.
pub(crate) fn conditional(
    near: &Neighbours,
    n: usize,
    perplexities: &[f64],
    known: Option<Vec<f32>>,
    changed: Option<&[bool]>,
    monitor: &dyn Monitor,
) -> Result<Vec<f32>, Error> {
    let k = near.k;
    check_memory((n * k * 32) as u64)?;
    let k = k.max(1);
    let (mut cond, changed) = match (known, changed) {
        (Some(known), Some(changed)) if known.len().is_multiple_of(k) && perplexities.len() == 1 => (known, Some(changed)),
        _ => (Vec::new(), None),
    };
    cond.resize(n * near.k, 0.0);
    for (w, (cond, distances2)) in cond.chunks_mut(WAVE * k).zip(near.distances2.chunks(WAVE * k)).enumerate() {
        step(monitor, "affinities", w * WAVE, n)?;
        cond.par_chunks_mut(k).zip(distances2.par_chunks(k)).enumerate().for_each(|(i, (p, d))| {
            if changed.is_some_and(|c| !c[w * WAVE + i]) {
                return;
            }
            if let [one] = perplexities {
                calibrate(d, *one, p);
                return;
            }
            let mut each = vec![0.0f32; d.len()];
            for perplexity in perplexities {
                calibrate(d, *perplexity, &mut each);
                p.iter_mut().zip(&each).for_each(|(p, e)| *p += e / perplexities.len() as f32);
            }
        });
    }
    Ok(cond)
}

/// The joint matrix of conditional probabilities. With an `order` row i of it is row `order[i]` of the neighbours.
pub(crate) fn joined(near: &Neighbours, cond: &[f32], n: usize, order: Option<&[u32]>) -> Joint {
    let scale = 1.0 / (2.0 * n as f64);
    join(&near.ids, cond, n, near.k, order, |p, q| (p + q) * scale)
}

/// A matrix with the entries `with(p_ij, p_ji)` of a sparse one that has `k` entries in each of `n` rows; with an `order`
/// its row and column i are those numbered `order[i]`.
pub(crate) fn join(
    ids: &[u32],
    cond: &[f32],
    n: usize,
    k: usize,
    order: Option<&[u32]>,
    with: impl Fn(f64, f64) -> f64 + Sync,
) -> Joint {
    let mut place: Vec<u32> = (0..n as u32).collect();
    if let Some(order) = order {
        order.iter().enumerate().for_each(|(p, i)| place[*i as usize] = p as u32);
    }
    let old = |i: usize| order.map_or(i, |o| o[i] as usize);
    let own = |i: usize| {
        let range = old(i) * k..(old(i) + 1) * k;
        ids[range.clone()].iter().map(|j| place[*j as usize]).zip(cond[range].iter().copied())
    };
    // Counting sort by column: entry lists of the transpose come out in row order.
    let mut at = vec![0usize; n + 1];
    for j in ids {
        at[place[*j as usize] as usize + 1] += 1;
    }
    for i in 0..n {
        at[i + 1] += at[i];
    }
    let turned_starts = at.clone();
    let mut turned = vec![(0u32, 0.0f32); n * k];
    for i in 0..n {
        for (j, p) in own(i) {
            let place = &mut at[j as usize];
            turned[*place] = (i as u32, p);
            *place += 1;
        }
    }
    let merged = |i: usize| {
        let mut own: Vec<(u32, f32)> = own(i).collect();
        own.sort_unstable_by_key(|e| e.0);
        merge(&own, &turned[turned_starts[i]..turned_starts[i + 1]], &with)
    };
    let mut out = Joint { starts: vec![0], ids: Vec::with_capacity(2 * n * k), p: Vec::with_capacity(2 * n * k) };
    // In waves, so that rows not yet put behind one another take little memory.
    for wave in (0..n).step_by(WAVE) {
        let rows: Vec<Vec<(u32, f32)>> = (wave..(wave + WAVE).min(n)).into_par_iter().map(merged).collect();
        for row in rows {
            out.ids.extend(row.iter().map(|e| e.0));
            out.p.extend(row.iter().map(|e| e.1));
            out.starts.push(out.ids.len());
        }
    }
    out.ids.shrink_to_fit();
    out.p.shrink_to_fit();
    out
}

/// The entries of two rows that are sorted by column, put together.
fn merge(own: &[(u32, f32)], other: &[(u32, f32)], with: &impl Fn(f64, f64) -> f64) -> Vec<(u32, f32)> {
    let mut row = Vec::with_capacity(own.len() + other.len());
    let (mut a, mut b) = (0, 0);
    while a < own.len() || b < other.len() {
        let first = own.get(a).map_or(u32::MAX, |e| e.0);
        let second = other.get(b).map_or(u32::MAX, |e| e.0);
        let (mut p, mut q) = (0.0, 0.0);
        if first <= second {
            p = f64::from(own[a].1);
            a += 1;
        }
        if second <= first {
            q = f64::from(other[b].1);
            b += 1;
        }
        row.push((first.min(second), with(p, q) as f32));
    }
    row
}
