//! How far a map can be trusted.
//!
//! Recall, trustworthiness and continuity (Venna & Kaski 2001) compare each row's neighbours in the data with those on
//! the map; random triplets compare distances between groups; the accuracy of labels asks the neighbours on the map for
//! a row's class. Ranks are counted, not sorted: one pass over the distances to all other rows counts those below the up
//! to 15 of interest, in pieces that stay in cache. Neighbours on the map come from a k-d tree, those in the data from
//! the neighbour graph where there is one.
//!
//! Exact up to 20,000 rows (N² work). Above that as many random rows as make 10⁸ pairs with all others, 2,000 at most
//! and 500 at least, drawn by the seed alone: the standard error of a figure ([`Judgement::errors`]) is then the
//! scatter of the rows' own figures over the root of their number. With the neighbour graph at hand, recall and the trust
//! in each row are of all rows even then. A few rows against all others were preferred to all rows among a few, whose
//! ranks are not the map's. Cost: pairs · (2 · d flops and 2 · 15 / 8 comparisons), 200,000 triplets, and with a graph 15
//! neighbours of each row on the map.

use crate::affinity::joint;
use crate::kdtree::Tree;
use crate::kernel::{self, Mat, Rng, mul, wide};
use crate::monitor::Monitor;
use crate::neighbours::{Graph, Neighbours, Search, within};
use crate::{Error, Progress, tsne};
use ndarray::ArrayView2;
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const EXACT: usize = 20_000;
/// Rows judged above [`EXACT`], at most and at least, and the pairs with all others that decide between.
const SAMPLE: usize = 2_000;
const SAMPLE_LEAST: usize = 500;
const PAIRS: usize = 100_000_000;
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

/// Figures of a map with how sure they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The figures.
    pub quality: Quality,
    /// Standard errors of recall, trustworthiness, continuity and triplets, in that order: 0 where all rows were looked at.
    pub errors: [f64; 4],
    /// Rows whose ranks among all others were counted.
    pub sample: usize,
}

/// Rows that are ranked against all others, of `n`.
fn sample_of(n: usize) -> usize {
    if n <= EXACT { n } else { (PAIRS / n).clamp(SAMPLE_LEAST, SAMPLE) }
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
    judge(x, coords, graph, seed, monitor).map(|j| j.quality)
}

/// As [`quality_with_graph`], with the standard errors of what was sampled.
///
/// # Errors
/// As [`quality`].
pub fn judge(
    x: ArrayView2<f32>,
    coords: ArrayView2<f32>,
    graph: Option<&Graph>,
    seed: u64,
    monitor: &dyn Monitor,
) -> Result<Judgement, Error> {
    let (data, map) = (kernel::levelled(x)?.0, kernel::levelled(coords)?.0);
    let (n, d) = x.dim();
    let (m, dims) = coords.dim();
    if n != m {
        return Err(Error::Shape(format!("the map has {m} rows, the data have {n}")));
    }
    if n < 3 {
        let quality =
            Quality { recall_10: 1.0, trustworthiness_15: 1.0, continuity_15: 1.0, triplets: 1.0, row_trust: vec![1.0; n] };
        return Ok(Judgement { quality, errors: [0.0; 4], sample: n });
    }
    let k = 15.min((n - 1) / 2).max(1);
    let kr = 10.min(n - 1);
    let rows = if n <= EXACT { (0..n).collect() } else { Rng::new(seed, 31).sample(n, sample_of(n)) };
    let graph = graph.filter(|g| n > EXACT && g.k() >= k.max(kr) && g.serves(&data, n, d, k));
    let near = graph.map(|_| within(&map, n, dims, k, Search::Exact, monitor).map(|f| f.0)).transpose()?;
    let known = graph.zip(near.as_ref());
    let found = compare(&data, d, &map, dims, n, &rows, k, kr, known, monitor)?;
    let mut row_trust = vec![f32::NAN; n];
    rows.iter().zip(&found).for_each(|(i, f)| row_trust[*i] = f.kept);
    let norm = penalty_norm(n, k);
    let of = |figure: &dyn Fn(&Row) -> f64| mean_and_error(found.iter().map(figure), n);
    let (mut recall_10, mut recall_error) = of(&|f| f.recall);
    let (trust, trust_error) = of(&|f| norm * f.trust);
    let (continuity, continuity_error) = of(&|f| norm * f.continuity);
    if let Some((g, near)) = known {
        let kept = |i: usize, k: usize| in_common(&near.ids[i * near.k..(i + 1) * near.k], g.of_row(i).0, k);
        row_trust = (0..n).into_par_iter().map(|i| kept(i, k) as f32 / k as f32).collect();
        recall_10 = (0..n).into_par_iter().map(|i| kept(i, kr)).sum::<usize>() as f64 / (kr * n) as f64;
        recall_error = 0.0;
    }
    let triplets = triplets(&data, d, &map, dims, n, seed);
    let quality = Quality { recall_10, trustworthiness_15: 1.0 - trust, continuity_15: 1.0 - continuity, triplets, row_trust };
    let triplets_error = (triplets * (1.0 - triplets) / TRIPLETS as f64).sqrt();
    Ok(Judgement { quality, errors: [recall_error, trust_error, continuity_error, triplets_error], sample: rows.len() })
}

/// How well the map `coords` (N × dims) tells classes apart: the share of rows whose label is the commonest among the
/// labels of their `k` nearest other rows on the map (scikit-learn's `KNeighborsClassifier` asked for the rows it was fitted
/// with, each left out). Of equally common labels the smallest counts. Rows without a label (`None`) neither vote nor count;
/// 0 if there are fewer than two with one. Cost: a k-d tree over the map, exact.
///
/// # Errors
/// No cells, cells that are not finite, another number of labels than rows, k = 0, or stopped.
pub fn label_accuracy(coords: ArrayView2<f32>, labels: &[Option<u32>], k: usize, monitor: &dyn Monitor) -> Result<f64, Error> {
    let map = kernel::levelled(coords)?.0;
    let (n, dims) = coords.dim();
    if labels.len() != n || k == 0 {
        return Err(Error::Shape(format!("{} labels of {n} rows cannot be asked of {k} neighbours", labels.len())));
    }
    let own: Vec<u32> = labels.iter().flatten().copied().collect();
    if own.len() < 2 {
        return Ok(0.0);
    }
    let rows: Vec<f32> =
        map.chunks_exact(dims).zip(labels).filter(|(_, l)| l.is_some()).flat_map(|(p, _)| p.iter().copied()).collect();
    let near = within(&rows, own.len(), dims, k, Search::Exact, monitor)?.0;
    let right: Vec<bool> = near
        .ids
        .par_chunks(near.k)
        .zip(&own)
        .map(|(ids, me)| {
            let mut votes: Vec<u32> = ids.iter().map(|j| own[*j as usize]).collect();
            votes.sort_unstable();
            // The first of the longest runs of equals.
            let mut best = (0, 0);
            for run in votes.chunk_by(|a, b| a == b) {
                if run.len() > best.0 {
                    best = (run.len(), run[0]);
                }
            }
            best.1 == *me
        })
        .collect();
    Ok(right.iter().filter(|r| **r).count() as f64 / own.len() as f64)
}

/// Mean of some of `n` rows' figures, and its standard error.
fn mean_and_error(values: impl Iterator<Item = f64> + Clone, n: usize) -> (f64, f64) {
    let count = values.clone().count().max(1);
    let mean = values.clone().sum::<f64>() / count as f64;
    if count >= n || count < 2 {
        return (mean, 0.0);
    }
    let variance = values.map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1) as f64;
    (mean, (variance / count as f64).sqrt())
}

/// Trustworthiness with `k` neighbours over all rows, as scikit-learn's function of that name.
///
/// # Errors
/// No cells, cells that are not finite, different numbers of rows, k not in 1..N/2, or stopped.
pub fn trustworthiness(x: ArrayView2<f32>, coords: ArrayView2<f32>, k: usize, monitor: &dyn Monitor) -> Result<f64, Error> {
    let (data, map) = (kernel::levelled(x)?.0, kernel::levelled(coords)?.0);
    let n = x.nrows();
    if n != coords.nrows() || k == 0 || 2 * k >= n {
        return Err(Error::Shape(format!("{k} neighbours of {n} rows on a map of {} rows cannot be judged", coords.nrows())));
    }
    let rows: Vec<usize> = (0..n).collect();
    let found = compare(&data, x.ncols(), &map, coords.ncols(), n, &rows, k, k, None, monitor)?;
    let norm = penalty_norm(n, k);
    Ok(1.0 - mean_and_error(found.iter().map(|f| norm * f.trust), n).0)
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
    let (data, map) = (kernel::levelled(x)?.0, kernel::levelled(coords)?.0);
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

/// What one row's penalty counts in its own figure.
fn penalty_norm(n: usize, k: usize) -> f64 {
    let room = (2 * n) as f64 - 3.0 * k as f64 - 1.0;
    if room > 0.0 { 2.0 / (k as f64 * room) } else { 0.0 }
}

/// Values in a piece that stays in cache while it is counted.
const PIECE: usize = 4096;

wide! {
    /// Adds to each of `counts` the entries below its limit.
    fn count_below(values: &[f32], limits: &[f32], counts: &mut [u32]) {
        for piece in values.chunks(PIECE) {
            let (whole, rest) = piece.as_chunks::<16>();
            for (limit, count) in limits.iter().zip(counts.iter_mut()) {
                let mut lanes = [0u32; 16];
                for v in whole {
                    for l in 0..16 {
                        lanes[l] += u32::from(v[l] < *limit);
                    }
                }
                *count += lanes.iter().sum::<u32>() + rest.iter().map(|v| u32::from(*v < *limit)).sum::<u32>();
            }
        }
    }
}

wide! {
    /// The smallest of sixteen values.
    fn least(values: &[f32; 16]) -> f32 {
        let mut m = [0.0f32; 8];
        for l in 0..8 {
            m[l] = if values[l] < values[l + 8] { values[l] } else { values[l + 8] };
        }
        m.iter().fold(f32::INFINITY, |a, b| if *b < a { *b } else { a })
    }
}

/// Positions of the `k` smallest values, smallest first; ties in order of position.
fn nearest(values: &[f32], k: usize) -> Vec<u32> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(k + 1);
    let mut limit = f32::INFINITY;
    let mut offer = |v: f32, at: usize| {
        if v < limit || best.len() < k {
            let place = best.partition_point(|b| b.0 <= v);
            best.insert(place, (v, at as u32));
            best.truncate(k);
            if best.len() == k {
                limit = best[k - 1].0;
            }
        }
        limit
    };
    let (whole, rest) = values.as_chunks::<16>();
    let mut limit = f32::INFINITY;
    for (c, chunk) in whole.iter().enumerate() {
        if least(chunk) < limit {
            for (l, v) in chunk.iter().enumerate() {
                limit = offer(*v, 16 * c + l);
            }
        }
    }
    rest.iter().enumerate().for_each(|(l, v)| {
        offer(*v, 16 * whole.len() + l);
    });
    best.into_iter().map(|b| b.1).collect()
}

/// How many of the first `k` are among the first `k` of the others.
fn in_common(a: &[u32], b: &[u32], k: usize) -> usize {
    a[..k].iter().filter(|j| b[..k].contains(j)).count()
}

/// Ranks of some rows' neighbours. `known` are the neighbours of all rows in the data and on the map.
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
    known: Option<(&Graph, &Neighbours)>,
    monitor: &dyn Monitor,
) -> Result<Vec<Row>, Error> {
    let mean: Vec<f32> = kernel::column_means(x, n, d).iter().map(|v| *v as f32).collect();
    let mut centred = x.to_vec();
    centred.par_chunks_mut(d).for_each(|r| r.iter_mut().zip(&mean).for_each(|(v, m)| *v -= m));
    let norms: Vec<f32> = centred.par_chunks(d).map(|r| 0.5 * r.iter().map(|v| v * v).sum::<f32>()).collect();
    let columns: Vec<Vec<f32>> = (0..dims).map(|a| map.iter().skip(a).step_by(dims).copied().collect()).collect();
    let most = k.max(kr);
    let tree = (known.is_none() && dims <= 5).then(|| Tree::new(map, n, dims));
    let (stopped, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let all = rows.len();
    let mut out = vec![Row::default(); all];
    // Distances of so many rows at a time to all others as take 4 MB.
    let block = ((1 << 20) / n).clamp(8, 32);
    let scratch = || (vec![0.0f32; block * n], vec![0.0f32; n]);
    out.par_chunks_mut(block).zip(rows.par_chunks(block)).for_each_init(scratch, |(high, low), (out, rows)| {
        if stopped.load(Ordering::Relaxed) || monitor.stop() {
            stopped.store(true, Ordering::Relaxed);
            return;
        }
        let q: Vec<f32> = rows.iter().flat_map(|i| centred[i * d..(i + 1) * d].iter().copied()).collect();
        let high = &mut high[..rows.len() * n];
        mul(high, Mat::new(&q, rows.len(), d), Mat::new(&centred, n, d).t(), false);
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
            let (near_high, near_low) = match known {
                Some((graph, near)) => (graph.of_row(*i).0.to_vec(), near.ids[*i * near.k..(*i + 1) * near.k].to_vec()),
                None => {
                    // The product form loses digits: some more, put in order by their distances themselves.
                    let mut some: Vec<(f32, u32)> = nearest(high, (most + 4).min(n - 1))
                        .into_iter()
                        .map(|j| {
                            let j = j as usize;
                            (kernel::distance2(&x[i * d..(i + 1) * d], &x[j * d..(j + 1) * d]), j as u32)
                        })
                        .collect();
                    some.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                    let near_low = match &tree {
                        Some(tree) => {
                            tree.nearest(&map[i * dims..(i + 1) * dims], most, *i as u32).into_iter().map(|f| f.1).collect()
                        }
                        None => nearest(low, most),
                    };
                    (some.into_iter().map(|s| s.1).collect(), near_low)
                }
            };
            out.recall = in_common(&near_low, &near_high, kr) as f64 / kr as f64;
            out.kept = in_common(&near_low, &near_high, k) as f32 / k as f32;
            let penalty = |from: &[u32], of: &[u32], values: &[f32]| -> f64 {
                let limits: Vec<f32> = from[..k].iter().filter(|j| !of[..k].contains(j)).map(|j| values[*j as usize]).collect();
                let mut counts = vec![0u32; limits.len()];
                count_below(values, &limits, &mut counts);
                counts.iter().map(|c| (f64::from(*c) + 1.0 - k as f64).max(0.0)).sum()
            };
            out.trust = penalty(&near_low, &near_high, high);
            out.continuity = penalty(&near_high, &near_low, low);
        }
        let so_far = done.fetch_add(out.len(), Ordering::Relaxed) + out.len();
        monitor.progress(Progress { stage: "quality", done: so_far as u64, of: all as u64 });
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
