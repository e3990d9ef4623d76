//! Exact nearest neighbours by blocked matrix products.
//!
//! A tile of 192 query rows against 1,024 base rows gives |y|²/2 − x·y for all pairs with one product that stays in
//! cache; scores under the row's current threshold go into a buffer that is cut back to the best whenever it is full.
//! The winners' distances are then computed directly, because the product form loses digits. Measured on 70,000 × 50
//! this beat HNSW and kd-trees up to some 2·10⁵ rows, and the answer does not depend on threads or luck; beyond that
//! it grows with N² and an inverted-file index would be the next step. Cost: 2·N²·d flops.

use crate::kernel::{self, Mat, distance2, mul};
use crate::monitor::Monitor;
use crate::{Error, Progress};
use ndarray::ArrayView2;
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const QUERY: usize = 192;
const BASE: usize = 1024;

/// The nearest rows of each row, nearest first; ties in row order.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// Neighbours per row.
    pub k: usize,
    /// Row numbers, N × k.
    pub ids: Vec<u32>,
    /// Squared Euclidean distances, N × k, in the units of the input squared.
    pub distances2: Vec<f32>,
}

/// The `k` nearest other rows of every row of `x` (N × d); fewer when there are fewer rows.
///
/// # Errors
/// No cells, cells that are not finite, more memory than there is, or stopped.
pub fn neighbours(x: ArrayView2<f32>, k: usize, monitor: &dyn Monitor) -> Result<Neighbours, Error> {
    let data = kernel::checked(x)?;
    within(&data, x.nrows(), x.ncols(), k, monitor)
}

/// Neighbours of every row among the other rows.
pub(crate) fn within(x: &[f32], n: usize, d: usize, k: usize, monitor: &dyn Monitor) -> Result<Neighbours, Error> {
    search(x, n, x, n, d, k.min(n - 1), true, monitor)
}

/// Neighbours of every row of `queries` (m × d) among the rows of `base` (n × d).
pub(crate) fn among(
    queries: &[f32],
    m: usize,
    base: &[f32],
    n: usize,
    d: usize,
    k: usize,
    monitor: &dyn Monitor,
) -> Result<Neighbours, Error> {
    search(queries, m, base, n, d, k.min(n), false, monitor)
}

#[allow(clippy::too_many_arguments)]
fn search(
    q: &[f32],
    m: usize,
    b: &[f32],
    n: usize,
    d: usize,
    k: usize,
    same: bool,
    monitor: &dyn Monitor,
) -> Result<Neighbours, Error> {
    if n > u32::MAX as usize {
        return Err(Error::TooLarge { needs_bytes: (n as u64) * 8 * k as u64 });
    }
    kernel::check_memory((m as u64) * (k as u64) * 8 + 4 * ((n + m) * d) as u64)?;
    if k == 0 {
        return Ok(Neighbours { k, ids: Vec::new(), distances2: Vec::new() });
    }
    // Centred copies: products of far-off-centre rows would cancel.
    let mean: Vec<f32> = kernel::column_means(b, n, d).iter().map(|v| *v as f32).collect();
    let centre = |x: &[f32]| -> Vec<f32> {
        let mut out = x.to_vec();
        out.par_chunks_mut(d).for_each(|row| row.iter_mut().zip(&mean).for_each(|(v, m)| *v -= m));
        out
    };
    let base = centre(&b[..n * d]);
    let own;
    let queries: &[f32] = if same {
        &base
    } else {
        own = centre(&q[..m * d]);
        &own
    };
    let half: Vec<f32> = base.par_chunks(d).map(|r| 0.5 * r.iter().map(|v| v * v).sum::<f32>()).collect();
    // A few more candidates than wanted, since their order by score is not quite that by distance.
    let keep = (k + 8).min(if same { n - 1 } else { n });
    let room = (keep * 3).max(64);
    let done = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let mut ids = vec![0u32; m * k];
    let mut distances2 = vec![0.0f32; m * k];
    monitor.progress(Progress { stage: "neighbours", done: 0, of: m as u64 });
    ids.par_chunks_mut(QUERY * k).zip(distances2.par_chunks_mut(QUERY * k)).enumerate().for_each(|(tile, (ids, dist))| {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        let rows = ids.len() / k;
        let first = tile * QUERY;
        let x = &queries[first * d..(first + rows) * d];
        let mut scores = vec![0.0f32; rows * BASE];
        let mut found: Vec<Vec<(f32, u32)>> = vec![Vec::with_capacity(room + 16); rows];
        let mut limit = vec![f32::INFINITY; rows];
        for from in (0..n).step_by(BASE) {
            if monitor.stop() {
                stopped.store(true, Ordering::Relaxed);
                return;
            }
            let cols = (n - from).min(BASE);
            mul(&mut scores, Mat::new(x, rows, d), Mat::new(&base[from * d..], cols, d).t(), false);
            for r in 0..rows {
                let me = if same { (first + r).wrapping_sub(from) } else { usize::MAX };
                collect(
                    &scores[r * cols..(r + 1) * cols],
                    &half[from..from + cols],
                    from,
                    me,
                    keep,
                    room,
                    &mut limit[r],
                    &mut found[r],
                );
            }
        }
        for r in 0..rows {
            let mine = &q[(first + r) * d..(first + r + 1) * d];
            let mut best: Vec<(f32, u32)> =
                found[r].iter().map(|(_, j)| (distance2(mine, &b[*j as usize * d..(*j as usize + 1) * d]), *j)).collect();
            best.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            for (p, (dd, j)) in best.iter().take(k).enumerate() {
                ids[r * k + p] = *j;
                dist[r * k + p] = *dd;
            }
        }
        let so_far = done.fetch_add(rows, Ordering::Relaxed) + rows;
        monitor.progress(Progress { stage: "neighbours", done: so_far as u64, of: m as u64 });
    });
    if stopped.into_inner() { Err(Error::Cancelled) } else { Ok(Neighbours { k, ids, distances2 }) }
}

fn cut(found: &mut Vec<(f32, u32)>, keep: usize, limit: &mut f32) {
    if found.len() > keep {
        found.select_nth_unstable_by(keep - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        found.truncate(keep);
    }
    if found.len() == keep {
        *limit = found.iter().map(|f| f.0).fold(f32::NEG_INFINITY, f32::max);
    }
}

kernel::wide! {
    fn collect(
        products: &[f32],
        half: &[f32],
        from: usize,
        me: usize,
        keep: usize,
        room: usize,
        limit: &mut f32,
        found: &mut Vec<(f32, u32)>,
    ) {
        let n = products.len().min(half.len());
        let mut at = 0;
        while at < n {
            let to = (at + 16).min(n);
            let mut any = false;
            let mut s = [f32::INFINITY; 16];
            if to - at == 16 {
                let (p, h) = (&products[at..at + 16], &half[at..at + 16]);
                for l in 0..16 {
                    s[l] = h[l] - p[l];
                }
                for v in s {
                    any |= v < *limit;
                }
            } else {
                for l in at..to {
                    s[l - at] = half[l] - products[l];
                }
                any = true;
            }
            if any {
                for (l, v) in s.iter().enumerate().take(to - at) {
                    if *v < *limit && at + l != me {
                        found.push((*v, (from + at + l) as u32));
                    }
                }
                if found.len() >= room {
                    cut(found, keep, limit);
                }
            }
            at = to;
        }
        cut(found, keep, limit);
    }
}
