//! How far a map can be trusted.
//!
//! Recall, trustworthiness and continuity (Venna & Kaski 2001) compare each row's neighbours in the data with those on
//! the map; random triplets compare distances between groups. Ranks are counted, not sorted: for each of 15 neighbours
//! one pass over the other rows. Exact up to 20,000 rows (N² work), above that on 2,000 random rows against all others;
//! with the neighbour graph at hand, recall and the trust in each row are of all rows even then.

use crate::affinity::joint;
use crate::kernel::{self, Mat, Rng, mul, wide};
use crate::monitor::Monitor;
use crate::neighbours::{Graph, Search, within};
use crate::{Error, Progress, tsne};
use ndarray::ArrayView2;
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const EXACT: usize = 20_000;
const SAMPLE: usize = 2_000;
const TRIPLETS: usize = 200_000;

/// Figures of a map, each 0..1 and better when larger.
#[derive(Debug, Clone, PartialEq)]
pub struct Quality {
    /// Share of the 10 nearest rows in the data that are among the 10 nearest on the map.
    pub recall_10: f64,
    /// 1 − penalty for map neighbours (15) that are far in the data.
    pub trustworthiness_15: f64,
    /// 1 − penalty for data neighbours (15) that are far on the map.
    pub continuity_15: f64,
    /// Share of random triplets (i, j, k) in which j or k is the nearer to i both in the data and on the map.
    pub triplets: f64,
    /// Per row the share of its 15 nearest rows that stay among the 15 nearest on the map; NaN for rows not looked at.
    pub row_trust: Vec<f32>,
}

#[derive(Clone, Copy, Default)]
struct Row {
    trust: f64,
    continuity: f64,
    recall: f64,
    kept: f32,
}

/// Judges the map `coords` (N × dims) of the rows of `x` (N × d).
///
/// # Errors
/// No cells, cells that are not finite, different numbers of rows, or stopped.
pub fn quality(x: ArrayView2<f32>, coords: ArrayView2<f32>, seed: u64, monitor: &dyn Monitor) -> Result<Quality, Error> {
    quality_with_graph(x, coords, None, seed, monitor)
}

/// As [`quality`], with a neighbour graph of the same rows, if there is one with at least 15 neighbours: then above 20,000
/// rows recall and the trust in each row are of all rows, not of a sample. A graph of other rows is not used.
///
/// # Errors
/// As [`quality`].
pub fn quality_with_graph(
    x: ArrayView2<f32>,
    coords: ArrayView2<f32>,
    graph: Option<&Graph>,
    seed: u64,
    monitor: &dyn Monitor,
) -> Result<Quality, Error> {
    let (data, map) = (kernel::checked(x)?, kernel::checked(coords)?);
    let (n, d) = x.dim();
    let (m, dims) = coords.dim();
    if n != m {
        return Err(Error::Shape(format!("the map has {m} rows, the data have {n}")));
    }
    if n < 3 {
        return Ok(Quality {
            recall_10: 1.0,
            trustworthiness_15: 1.0,
            continuity_15: 1.0,
            triplets: 1.0,
            row_trust: vec![1.0; n],
        });
    }
    let k = 15.min((n - 1) / 2).max(1);
    let rows = if n <= EXACT { (0..n).collect() } else { Rng::new(seed, 31).sample(n, SAMPLE) };
    let found = compare(&data, d, &map, dims, n, &rows, k, 10.min(n - 1), monitor)?;
    let mut row_trust = vec![f32::NAN; n];
    rows.iter().zip(&found).for_each(|(i, f)| row_trust[*i] = f.kept);
    let count = rows.len() as f64;
    let norm = penalty_norm(n, k, rows.len());
    let mut recall_10 = found.iter().map(|f| f.recall).sum::<f64>() / count;
    if let Some(g) = graph.filter(|g| n > EXACT && g.k() >= k && g.serves(&data, n, d, k)) {
        let near = within(&map, n, dims, k, Search::Exact, monitor)?.0;
        let kept = |i: usize, k: usize| {
            let own = &g.of_row(i).0[..k];
            near.ids[i * near.k..i * near.k + k].iter().filter(|j| own.contains(j)).count()
        };
        row_trust = (0..n).into_par_iter().map(|i| kept(i, k) as f32 / k as f32).collect();
        recall_10 = (0..n).into_par_iter().map(|i| kept(i, 10)).sum::<usize>() as f64 / (10 * n) as f64;
    }
    Ok(Quality {
        recall_10,
        trustworthiness_15: 1.0 - norm * found.iter().map(|f| f.trust).sum::<f64>(),
        continuity_15: 1.0 - norm * found.iter().map(|f| f.continuity).sum::<f64>(),
        triplets: triplets(&data, d, &map, dims, n, seed),
        row_trust,
    })
}

/// Trustworthiness with `k` neighbours over all rows, as scikit-learn's function of that name.
///
/// # Errors
/// No cells, cells that are not finite, different numbers of rows, k not in 1..N/2, or stopped.
pub fn trustworthiness(x: ArrayView2<f32>, coords: ArrayView2<f32>, k: usize, monitor: &dyn Monitor) -> Result<f64, Error> {
    let (data, map) = (kernel::checked(x)?, kernel::checked(coords)?);
    let n = x.nrows();
    if n != coords.nrows() || k == 0 || 2 * k >= n {
        return Err(Error::Shape(format!("{k} neighbours of {n} rows on a map of {} rows cannot be judged", coords.nrows())));
    }
    let rows: Vec<usize> = (0..n).collect();
    let found = compare(&data, x.ncols(), &map, coords.ncols(), n, &rows, k, k, monitor)?;
    Ok(1.0 - penalty_norm(n, k, n) * found.iter().map(|f| f.trust).sum::<f64>())
}

/// The Kullback–Leibler divergence that t-SNE lowers, of any map `coords` (N × 1 to 3) of the rows of `x` (N × d): exact,
/// over all pairs, with affinities of that perplexity (at most a third of the rows). Two maps of the same rows, by
/// whatever program, can be compared by it; lower is better. Cost: the neighbours, if no graph with 3 · perplexity of
/// them is given, and N² / 2 ns.
///
/// # Errors
/// No cells, cells that are not finite, different numbers of rows, more than three dimensions, a perplexity below 1, or
/// stopped.
pub fn divergence(
    x: ArrayView2<f32>,
    coords: ArrayView2<f32>,
    perplexity: f64,
    graph: Option<&Graph>,
    monitor: &dyn Monitor,
) -> Result<f64, Error> {
    let (data, map) = (kernel::checked(x)?, kernel::checked(coords)?);
    let ((n, d), (m, dims)) = (x.dim(), coords.dim());
    if n != m || dims > 3 || perplexity.is_nan() || perplexity < 1.0 {
        return Err(Error::Shape(format!("a map of {m} rows in {dims} dimensions cannot be judged at perplexity {perplexity}")));
    }
    if n < 3 {
        return Ok(0.0);
    }
    let perplexity = perplexity.min((n - 1) as f64 / 3.0).max(1.0);
    let k = ((3.0 * perplexity) as usize).clamp(1, n - 1);
    let near = match graph.filter(|g| g.serves(&data, n, d, k)) {
        Some(g) => g.first(k),
        None => within(&data, n, d, k, Search::Auto, monitor)?.0,
    };
    let joint = joint(&near, n, &[perplexity], None, monitor)?;
    Ok(tsne::exact_divergence(&joint, &map, dims))
}

fn penalty_norm(n: usize, k: usize, rows: usize) -> f64 {
    let room = (2 * n) as f64 - 3.0 * k as f64 - 1.0;
    if room > 0.0 { 2.0 / (rows as f64 * k as f64 * room) } else { 0.0 }
}

wide! {
    /// Entries below a value.
    fn below(values: &[f32], limit: f32) -> u32 {
        let mut lanes = [0u32; 16];
        let (whole, rest) = values.as_chunks::<16>();
        for v in whole {
            for l in 0..16 {
                lanes[l] += u32::from(v[l] < limit);
            }
        }
        lanes.iter().sum::<u32>() + rest.iter().map(|v| u32::from(*v < limit)).sum::<u32>()
    }
}

/// Positions of the `k` smallest values, smallest first; ties in order of position.
fn nearest(values: &[f32], k: usize, order: &mut Vec<u32>) -> Vec<u32> {
    order.clear();
    order.extend(0..values.len() as u32);
    let by = |a: &u32, b: &u32| values[*a as usize].total_cmp(&values[*b as usize]).then(a.cmp(b));
    if k < order.len() {
        order.select_nth_unstable_by(k - 1, by);
    }
    let mut best = order[..k].to_vec();
    best.sort_unstable_by(by);
    best
}

#[allow(clippy::too_many_arguments)]
fn compare(
    x: &[f32],
    d: usize,
    map: &[f32],
    dims: usize,
    n: usize,
    rows: &[usize],
    k: usize,
    kr: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<Row>, Error> {
    let mean: Vec<f32> = kernel::column_means(x, n, d).iter().map(|v| *v as f32).collect();
    let mut centred = x.to_vec();
    centred.par_chunks_mut(d).for_each(|r| r.iter_mut().zip(&mean).for_each(|(v, m)| *v -= m));
    let norms: Vec<f32> = centred.par_chunks(d).map(|r| 0.5 * r.iter().map(|v| v * v).sum::<f32>()).collect();
    let columns: Vec<Vec<f32>> = (0..dims).map(|a| map.iter().skip(a).step_by(dims).copied().collect()).collect();
    let (stopped, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut out = vec![Row::default(); rows.len()];
    out.par_chunks_mut(32).zip(rows.par_chunks(32)).for_each(|(out, rows)| {
        if stopped.load(Ordering::Relaxed) || monitor.stop() {
            stopped.store(true, Ordering::Relaxed);
            return;
        }
        let q: Vec<f32> = rows.iter().flat_map(|i| centred[i * d..(i + 1) * d].iter().copied()).collect();
        let mut high = vec![0.0f32; rows.len() * n];
        mul(&mut high, Mat::new(&q, rows.len(), d), Mat::new(&centred, n, d).t(), false);
        let mut order = Vec::with_capacity(n);
        let mut low = vec![0.0f32; n];
        for (r, (i, out)) in rows.iter().zip(out.iter_mut()).enumerate() {
            let high = &mut high[r * n..(r + 1) * n];
            high.iter_mut().zip(&norms).for_each(|(s, h)| *s = h - *s);
            low.fill(0.0);
            for c in &columns {
                let me = c[*i];
                low.iter_mut().zip(c).for_each(|(l, v)| *l += (v - me) * (v - me));
            }
            // Itself last, never a neighbour.
            high[*i] = f32::INFINITY;
            low[*i] = f32::INFINITY;
            let near_high = nearest(high, k.max(kr), &mut order);
            let near_low = nearest(&low, k.max(kr), &mut order);
            let in_common = |k: usize| near_low[..k].iter().filter(|j| near_high[..k].contains(j)).count();
            out.recall = in_common(kr) as f64 / kr as f64;
            out.kept = in_common(k) as f32 / k as f32;
            let penalty = |from: &[u32], of: &[u32], values: &[f32]| -> f64 {
                from[..k]
                    .iter()
                    .filter(|j| !of[..k].contains(j))
                    .map(|j| (f64::from(below(values, values[*j as usize])) + 1.0 - k as f64).max(0.0))
                    .sum()
            };
            out.trust = penalty(&near_low, &near_high, high);
            out.continuity = penalty(&near_high, &near_low, &low);
        }
        let so_far = done.fetch_add(rows.len(), Ordering::Relaxed) + rows.len();
        monitor.progress(Progress { stage: "quality", done: so_far as u64, of: n.min(SAMPLE.max(n)) as u64 });
    });
    if stopped.into_inner() { Err(Error::Cancelled) } else { Ok(out) }
}

fn triplets(x: &[f32], d: usize, map: &[f32], dims: usize, n: usize, seed: u64) -> f64 {
    let agree: Vec<usize> = (0..TRIPLETS / 1000)
        .into_par_iter()
        .map(|block| {
            let mut rng = Rng::new(seed, 1000 + block as u64);
            (0..1000)
                .filter(|_| {
                    let i = rng.below(n);
                    let j = (i + 1 + rng.below(n - 1)) % n;
                    let mut k = rng.below(n);
                    while k == i || k == j {
                        k = (k + 1) % n;
                    }
                    let nearer = |v: &[f32], w: usize| {
                        let row = |i: usize| &v[i * w..(i + 1) * w];
                        kernel::distance2(row(i), row(j)) < kernel::distance2(row(i), row(k))
                    };
                    nearer(x, d) == nearer(map, dims)
                })
                .count()
        })
        .collect();
    agree.iter().sum::<usize>() as f64 / TRIPLETS as f64
}
