//! What else explains a map: columns that were not used and yet tell where a row lies or which group it is in.
//!
//! A map that follows the night, the plate, the airmass or the signal-to-noise shows the instrument, not the sky. For
//! every given column and every map axis (and the groups) the mutual information is taken over 16 bins of equal counts,
//! with missing values as a bin of their own, and compared with what shuffled rows give: the floor is the largest of 40
//! shuffles, so that a column of chance stays below it 39 times in 40. Correlation was not taken: an airmass that
//! bends an arm of the map need not be correlated with either axis.
//!
//! [`information`] is the estimate without bins (Kraskov, Stögbauer & Grassberger 2004) that scikit-learn uses, for one
//! pair at a time and in nats that can be quoted. Cost: 41 · N additions per pair on at most 20,000 random rows.

use crate::Error;
use crate::kernel::{Rng, mix};
use crate::monitor::{Monitor, step};
use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

const ROWS: usize = 20_000;
const BINS: usize = 16;
const SHUFFLES: usize = 40;

/// What a column explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A map axis, from 0.
    Axis(usize),
    /// The groups.
    Groups,
}

/// How much a column that was not used tells of a map.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Influence {
    /// Column, from 0.
    pub column: usize,
    /// What it explains.
    pub target: Target,
    /// Mutual information over bins, nats.
    pub nats: f64,
    /// The largest value that shuffled rows gave: below it there is nothing.
    pub floor: f64,
    /// Share of the target's uncertainty that the column removes beyond the floor, 0..1; above 0.1 worth a look.
    pub share: f64,
}

/// Bins of about equal counts, equal values together; missing values in bin `BINS`.
fn bins(values: &[f64]) -> Vec<u8> {
    let mut order: Vec<u32> = (0..values.len() as u32).filter(|i| values[*i as usize].is_finite()).collect();
    order.sort_unstable_by(|a, b| values[*a as usize].total_cmp(&values[*b as usize]));
    let mut out = vec![BINS as u8; values.len()];
    let count = order.len();
    let mut at = 0;
    while at < count {
        let v = values[order[at] as usize];
        let mut end = at + 1;
        while end < count && values[order[end] as usize] == v {
            end += 1;
        }
        // The bin of the middle of equal values.
        let bin = ((at + end - 1) * BINS / (2 * count)).min(BINS - 1) as u8;
        order[at..end].iter().for_each(|i| out[*i as usize] = bin);
        at = end;
    }
    out
}

/// Groups as bins: the 254 largest on their own, the others together.
fn group_bins(labels: &[i32]) -> (Vec<u8>, usize) {
    let mut counts = std::collections::BTreeMap::new();
    labels.iter().for_each(|l| *counts.entry(*l).or_insert(0usize) += 1);
    let mut order: Vec<(usize, i32)> = counts.into_iter().map(|(l, c)| (c, l)).collect();
    order.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let rank: std::collections::BTreeMap<i32, u8> = order.iter().enumerate().map(|(r, (_, l))| (*l, r.min(254) as u8)).collect();
    (labels.iter().map(|l| rank[l]).collect(), order.len().min(255))
}

fn entropy(counts: &[u32], n: f64) -> f64 {
    counts.iter().filter(|c| **c > 0).map(|c| f64::from(*c) / n).map(|p| -p * p.ln()).sum()
}

/// Mutual information of two binned columns, the second in another order of rows.
fn mutual(a: &[u8], b: &[u8], order: Option<&[u32]>, nb: usize, table: &mut Vec<u32>) -> f64 {
    table.clear();
    table.resize((BINS + 1) * nb, 0);
    match order {
        None => a.iter().zip(b).for_each(|(a, b)| table[usize::from(*a) * nb + usize::from(*b)] += 1),
        Some(o) => a.iter().zip(o).for_each(|(a, i)| table[usize::from(*a) * nb + usize::from(b[*i as usize])] += 1),
    }
    let n = a.len() as f64;
    let rows: Vec<u32> = table.chunks_exact(nb).map(|r| r.iter().sum()).collect();
    let cols: Vec<u32> = (0..nb).map(|c| table.iter().skip(c).step_by(nb).sum()).collect();
    (entropy(&rows, n) + entropy(&cols, n) - entropy(table, n)).max(0.0)
}

/// How much each of `columns` (N × c, values that the map was not made of; missing = NaN) tells of the map's axes
/// (N × dims) and of the groups, most first.
///
/// # Errors
/// Different numbers of rows, fewer than 30 rows, or stopped.
pub fn nuisance(
    columns: ArrayView2<f64>,
    coords: ArrayView2<f32>,
    labels: Option<&[i32]>,
    seed: u64,
    monitor: &dyn Monitor,
) -> Result<Vec<Influence>, Error> {
    let (n, c) = columns.dim();
    if n != coords.nrows() || labels.is_some_and(|l| l.len() != n) {
        return Err(Error::Shape(format!(
            "the columns have {n} rows, the map has {}: they must be the same rows",
            coords.nrows()
        )));
    }
    if n < 30 {
        return Err(Error::Shape(format!("what explains a map of {n} rows cannot be told from chance: take at least 30")));
    }
    let rows = Rng::new(seed, 71).sample(n, ROWS);
    let mut targets: Vec<(Target, Vec<u8>, usize)> = (0..coords.ncols())
        .map(|a| (Target::Axis(a), bins(&rows.iter().map(|i| f64::from(coords[[*i, a]])).collect::<Vec<_>>()), BINS + 1))
        .collect();
    if let Some(l) = labels {
        let (b, count) = group_bins(&rows.iter().map(|i| l[*i]).collect::<Vec<_>>());
        targets.push((Target::Groups, b, count));
    }
    let shuffles: Vec<Vec<u32>> =
        (0..SHUFFLES).into_par_iter().map(|s| Rng::new(mix(seed, 72), s as u64).shuffled(rows.len())).collect();
    let mut out = Vec::with_capacity(c * targets.len());
    for column in 0..c {
        step(monitor, "nuisance", column, c)?;
        let a = bins(&rows.iter().map(|i| columns[[*i, column]]).collect::<Vec<_>>());
        for (target, b, count) in &targets {
            let nats = mutual(&a, b, None, *count, &mut Vec::new());
            let floor = shuffles
                .par_iter()
                .map(|o| mutual(&a, b, Some(o), *count, &mut Vec::new()))
                .collect::<Vec<f64>>()
                .into_iter()
                .fold(0.0, f64::max);
            let mut counts = vec![0u32; *count];
            b.iter().for_each(|b| counts[usize::from(*b)] += 1);
            let all = entropy(&counts, b.len() as f64);
            let share = if all > 0.0 { ((nats - floor) / all).clamp(0.0, 1.0) } else { 0.0 };
            out.push(Influence { column, target: *target, nats, floor, share });
        }
    }
    out.sort_by(|a, b| b.share.total_cmp(&a.share));
    Ok(out)
}

/// The logarithmic derivative of the gamma function at positive whole numbers.
fn digamma(n: usize) -> f64 {
    let mut x = n as f64;
    let mut below = 0.0;
    while x < 8.0 {
        below -= 1.0 / x;
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    below + x.ln() - 0.5 / x - r * (1.0 / 12.0 - r * (1.0 / 120.0 - r / 252.0))
}

/// Mutual information of two columns, nats, from the distances to `k` neighbours (3 is usual): about 0 when they know
/// nothing of each other, without upper limit when one follows from the other. Rows with a missing value are left out.
/// Equal values on both sides make it too large; a hair of noise is added against that, as in scikit-learn.
///
/// # Errors
/// Different lengths, or no more than `k` rows without missing values.
pub fn information(a: &[f64], b: &[f64], k: usize) -> Result<f64, Error> {
    if a.len() != b.len() {
        return Err(Error::Shape(format!("the columns have {} and {} rows: they must be the same rows", a.len(), b.len())));
    }
    let pairs: Vec<(f64, f64)> = a.iter().zip(b).filter(|(a, b)| a.is_finite() && b.is_finite()).map(|(a, b)| (*a, *b)).collect();
    let (n, k) = (pairs.len(), k.max(1));
    if n <= k {
        return Err(Error::Shape(format!("{n} rows without missing values are too few for {k} neighbours")));
    }
    let scaled = |pick: fn(&(f64, f64)) -> f64, stream: u64| -> Vec<f64> {
        let mean = pairs.iter().map(pick).sum::<f64>() / n as f64;
        let width = (pairs.iter().map(|p| (pick(p) - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
        let width = if width > 0.0 { width } else { 1.0 };
        let mut rng = Rng::new(73, stream);
        let size = (pairs.iter().map(|p| pick(p).abs()).sum::<f64>() / n as f64 / width).max(1.0);
        pairs.iter().map(|p| pick(p) / width + 1e-10 * size * rng.normal()).collect()
    };
    let (x, y) = (scaled(|p| p.0, 0), scaled(|p| p.1, 1));
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| x[*a].total_cmp(&x[*b]));
    let xs: Vec<f64> = order.iter().map(|i| x[*i]).collect();
    let ys: Vec<f64> = order.iter().map(|i| y[*i]).collect();
    let mut sorted = ys.clone();
    sorted.sort_by(f64::total_cmp);
    // Rows strictly nearer than a radius, with the row itself.
    let within = |s: &[f64], v: f64, r: f64| s.partition_point(|w| *w < v + r) - s.partition_point(|w| *w <= v - r);
    let sums: Vec<f64> = (0..n)
        .into_par_iter()
        .map(|i| {
            // Outwards along x until nothing nearer in both can follow.
            let mut near: Vec<f64> = vec![f64::INFINITY; k];
            let (mut left, mut right) = (i, i + 1);
            loop {
                let dl = if left > 0 { xs[i] - xs[left - 1] } else { f64::INFINITY };
                let dr = if right < n { xs[right] - xs[i] } else { f64::INFINITY };
                let (dx, j) = if dl <= dr { (dl, left.wrapping_sub(1)) } else { (dr, right) };
                if dx >= near[k - 1] || dx.is_infinite() {
                    break;
                }
                if dl <= dr {
                    left -= 1;
                } else {
                    right += 1;
                }
                let d = dx.max((ys[j] - ys[i]).abs());
                if d < near[k - 1] {
                    let at = near.partition_point(|v| *v <= d);
                    near.insert(at, d);
                    near.pop();
                }
            }
            let r = near[k - 1];
            digamma(within(&xs, xs[i], r).max(1)) + digamma(within(&sorted, ys[i], r).max(1))
        })
        .collect();
    Ok((digamma(n) + digamma(k) - sums.iter().sum::<f64>() / n as f64).max(0.0))
}
