//! Groups around centres: k-means (Lloyd 1982) from k-means++ starts (Arthur & Vassilvitskii 2007).
//!
//! Assignment is one blocked matrix product per chunk of those rows whose group may have changed (Hamerly 2010), sums are
//! added in chunk order. Ten starts are tried and
//! the best kept. Above 20,000 rows they are tried on so many rows, drawn by the seed, and only the best of them goes on
//! with all rows: what tells good starts from bad shows on a sample (100,000 made rows × 10, 10 groups: an inertia 0.1 %
//! below that of three full starts, in a quarter of the time). With all rows it ends when
//! the centres move by less than 1e-4 of the columns' mean variance, scikit-learn's rule; else when no row changes its
//! group. A centre that loses all its rows moves to the row farthest from its own centre. Groups are numbered by size,
//! largest first. Cost: 2·N·k·d flops a round.

use crate::Error;
use crate::kernel::{self, CHUNK, Mat, Rng, distance2, mul};
use crate::level;
use crate::monitor::{Monitor, step};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// Groups of rows around centres.
#[derive(Debug, Clone, PartialEq)]
pub struct KMeans {
    /// Group of each row, 0..k.
    pub labels: Vec<i32>,
    /// Centre of each group, k × d, in the units of the input.
    pub centres: Array2<f32>,
    /// Sum of squared distances from the rows to their centres.
    pub inertia: f64,
}

struct Assigned {
    labels: Vec<u32>,
    counts: Vec<usize>,
    inertia: f64,
}

/// `k` groups of the rows of `x` (N × d); N groups when there are fewer rows than that.
///
/// # Errors
/// No cells, cells that are not finite, k = 0, or stopped.
pub fn kmeans(x: ArrayView2<f32>, k: usize, seed: u64, monitor: &dyn Monitor) -> Result<KMeans, Error> {
    let (data, power) = kernel::levelled(x)?;
    let (n, d) = x.dim();
    if k == 0 {
        return Err(Error::Shape("ask for at least one group".into()));
    }
    let k = k.min(n);
    let mean: Vec<f32> = kernel::column_means(&data, n, d).iter().map(|m| *m as f32).collect();
    let mut centred = data;
    centred.par_chunks_mut(d).for_each(|r| r.iter_mut().zip(&mean).for_each(|(v, m)| *v -= m));
    let sample: Option<Vec<f32>> = (n > SAMPLE.max(2 * k)).then(|| {
        let rows = Rng::new(seed, STARTS as u64).sample(n, SAMPLE.max(2 * k));
        rows.iter().flat_map(|r| centred[r * d..(r + 1) * d].iter().copied()).collect()
    });
    let of = sample.as_deref().unwrap_or(&centred);
    let mut best: Option<(Vec<f32>, Assigned)> = None;
    for start in 0..STARTS {
        let centres = plus_plus(of, of.len() / d, d, k, &mut Rng::new(seed, start as u64));
        let found = lloyd(of, d, k, centres, 0.0, &|round| step(monitor, "groups", start * 300 + round, (STARTS + 1) * 300))?;
        if best.as_ref().is_none_or(|b| found.1.inertia < b.1.inertia) {
            best = Some(found);
        }
    }
    let (mut centres, mut found) = best.ok_or(Error::Empty)?;
    if sample.is_some() {
        let variance =
            centred.par_chunks(CHUNK * d).map(|c| c.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>()).collect::<Vec<_>>();
        let still = 1e-4 * variance.iter().sum::<f64>() / (n * d) as f64;
        let tell = |round| step(monitor, "groups", STARTS * 300 + round, (STARTS + 1) * 300);
        (centres, found) = lloyd(&centred, d, k, centres, still, &tell)?;
    }
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by_key(|c| (std::cmp::Reverse(found.counts[*c]), *c));
    let mut rank = vec![0i32; k];
    order.iter().enumerate().for_each(|(r, c)| rank[*c] = r as i32);
    let mut sorted: Vec<f32> =
        order.iter().flat_map(|c| centres[c * d..(c + 1) * d].iter().zip(&mean).map(|(v, m)| v + m)).collect();
    level::multiply(&mut sorted, power);
    Ok(KMeans {
        labels: found.labels.iter().map(|c| rank[*c as usize]).collect(),
        centres: Array2::from_shape_vec((k, d), sorted).map_err(|e| Error::Shape(e.to_string()))?,
        inertia: found.inertia * level::unit(power).powi(2),
    })
}

/// Starts that are tried.
const STARTS: usize = 10;
/// Rows on which they are tried, at most.
const SAMPLE: usize = 20_000;

/// Rounds of assigning and averaging from these centres until no row changes its group, the centres move by less than
/// `still` (sum of squares over all, as scikit-learn's `tol`), or 300 rounds.
///
/// Every row keeps an upper bound of its distance to its own centre and a lower one to all others; both change with the
/// centres' moves, and while the first is below the second, or below half the gap to the nearest other centre, the row
/// need not be looked at (Hamerly 2010).
fn lloyd(
    x: &[f32],
    d: usize,
    k: usize,
    mut centres: Vec<f32>,
    still: f64,
    tell: &dyn Fn(usize) -> Result<(), Error>,
) -> Result<(Vec<f32>, Assigned), Error> {
    let n = x.len() / d;
    let origin = vec![0.0f32; d];
    let half_norms: Vec<f32> = x.par_chunks(d).with_min_len(CHUNK).map(|r| 0.5 * distance2(r, &origin)).collect();
    let mut rows = vec![Bounds { label: u32::MAX, upper: f32::INFINITY, lower: 0.0 }; n];
    let (mut sums, mut counts) = (vec![0.0f64; k * d], vec![0i64; k]);
    let mut moves = vec![0.0f32; k];
    for round in 0..300 {
        tell(round)?;
        let look = Look::new(&centres, &moves, d);
        let parts: Vec<Change> = rows
            .par_chunks_mut(CHUNK)
            .zip(x.par_chunks(CHUNK * d))
            .zip(half_norms.par_chunks(CHUNK))
            .map(|((rows, x), norms)| look.at(rows, x, norms))
            .collect();
        let changed: usize = parts.iter().map(|p| p.count).sum();
        for part in parts.iter().filter(|p| p.count > 0) {
            sums.iter_mut().zip(&part.sums).for_each(|(a, b)| *a += b);
            counts.iter_mut().zip(&part.counts).for_each(|(a, b)| *a += b);
        }
        if changed == 0 {
            break;
        }
        let before = centres.clone();
        average(x, d, &rows, &sums, &counts, &mut centres);
        moves.iter_mut().zip(before.chunks_exact(d).zip(centres.chunks_exact(d))).for_each(|(m, (a, b))| {
            *m = distance2(a, b).sqrt() * 1.0001;
        });
        if before.iter().zip(&centres).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() <= still {
            break;
        }
    }
    let found = assign(x, n, d, &centres, k);
    Ok((centres, found))
}

/// What is known of a row's distances to the centres.
#[derive(Clone, Copy)]
struct Bounds {
    label: u32,
    /// At most this far from its own centre.
    upper: f32,
    /// At least this far from all others.
    lower: f32,
}

/// What a round changes in the sums of the groups.
#[derive(Default)]
struct Change {
    count: usize,
    sums: Vec<f64>,
    counts: Vec<i64>,
}

/// The centres of a round and how far they have moved.
struct Look<'a> {
    d: usize,
    centres: &'a [f32],
    half: Vec<f32>,
    moves: &'a [f32],
    /// The centre that moved farthest, how far, and the next.
    most: (usize, f32, f32),
    /// Half the distance to the nearest other centre.
    gap: Vec<f32>,
}

impl<'a> Look<'a> {
    fn new(centres: &'a [f32], moves: &'a [f32], d: usize) -> Self {
        let mut most = (0, 0.0f32, 0.0f32);
        for (c, m) in moves.iter().enumerate() {
            if *m > most.1 {
                most = (c, *m, most.1);
            } else {
                most.2 = most.2.max(*m);
            }
        }
        let centre = |c: usize| &centres[c * d..(c + 1) * d];
        // Pays for few centres only.
        let near = |c: usize| {
            (0..moves.len()).filter(|o| *o != c).map(|o| distance2(centre(c), centre(o))).fold(f32::INFINITY, f32::min)
        };
        let gap = (0..moves.len()).map(|c| if moves.len() > 256 { 0.0 } else { 0.4999 * near(c).sqrt() }).collect();
        let half = centres.chunks_exact(d).map(|c| 0.5 * c.iter().map(|v| v * v).sum::<f32>()).collect();
        Self { d, centres, half, moves, most, gap }
    }

    /// Puts the rows of a chunk into their groups.
    fn at(&self, rows: &mut [Bounds], x: &[f32], half_norms: &[f32]) -> Change {
        let (d, k) = (self.d, self.moves.len());
        let mut unsure: Vec<u32> = Vec::new();
        for (r, b) in rows.iter_mut().enumerate() {
            if b.label == u32::MAX {
                unsure.push(r as u32);
                continue;
            }
            let own = b.label as usize;
            b.upper += self.moves[own];
            b.lower -= if own == self.most.0 { self.most.2 } else { self.most.1 };
            if b.upper >= b.lower.max(self.gap[own]) {
                unsure.push(r as u32);
            }
        }
        let mut change = Change::default();
        if unsure.is_empty() {
            return change;
        }
        let mut some = Vec::new();
        let asked = if unsure.len() == rows.len() {
            x
        } else {
            some.reserve(unsure.len() * d);
            unsure.iter().for_each(|r| some.extend_from_slice(&x[*r as usize * d..(*r as usize + 1) * d]));
            &some[..]
        };
        let mut products = vec![0.0f32; unsure.len() * k];
        mul(&mut products, Mat::new(asked, unsure.len(), d), Mat::new(self.centres, k, d).t(), false);
        for (r, products) in unsure.iter().zip(products.chunks_exact(k)) {
            let (row, norm) = (&mut rows[*r as usize], half_norms[*r as usize]);
            let (mut best, mut second, mut label) = (f32::INFINITY, f32::INFINITY, 0);
            for (c, (p, h)) in products.iter().zip(&self.half).enumerate() {
                let s = h - p;
                if s < best {
                    (second, best, label) = (best, s, c);
                } else if s < second {
                    second = s;
                }
            }
            // A little to the safe side against rounding.
            let slack = 1e-5 * (norm + self.half[label]);
            let old = std::mem::replace(
                row,
                Bounds {
                    label: label as u32,
                    upper: (2.0 * (best + norm + slack)).max(0.0).sqrt(),
                    lower: (2.0 * (second + norm - slack)).max(0.0).sqrt(),
                },
            );
            if old.label != label as u32 {
                if change.count == 0 {
                    (change.sums, change.counts) = (vec![0.0; k * d], vec![0; k]);
                }
                change.count += 1;
                let x = &x[*r as usize * d..(*r as usize + 1) * d];
                change.sums[label * d..(label + 1) * d].iter_mut().zip(x).for_each(|(s, v)| *s += f64::from(*v));
                change.counts[label] += 1;
                if old.label != u32::MAX {
                    let old = old.label as usize;
                    change.sums[old * d..(old + 1) * d].iter_mut().zip(x).for_each(|(s, v)| *s -= f64::from(*v));
                    change.counts[old] -= 1;
                }
            }
        }
        change
    }
}

/// Centres in the middle of their rows; one that has none moves to the row farthest from its own centre.
fn average(x: &[f32], d: usize, rows: &[Bounds], sums: &[f64], counts: &[i64], centres: &mut [f32]) {
    let mut far: Option<Vec<f32>> = None;
    for (c, count) in counts.iter().enumerate() {
        if *count > 0 {
            let sum = &sums[c * d..(c + 1) * d];
            centres[c * d..(c + 1) * d].iter_mut().zip(sum).for_each(|(v, s)| *v = (s / *count as f64) as f32);
            continue;
        }
        let away = far.get_or_insert_with(|| {
            let own = |b: &Bounds| &centres[b.label as usize * d..(b.label as usize + 1) * d];
            rows.par_iter().zip(x.par_chunks(d)).map(|(b, row)| distance2(row, own(b))).collect()
        });
        let i = (0..away.len()).fold(0, |b, i| if away[i] > away[b] { i } else { b });
        away[i] = 0.0;
        centres[c * d..(c + 1) * d].copy_from_slice(&x[i * d..(i + 1) * d]);
    }
}

/// Starting centres: each next one a row drawn with the square of its distance, the best of a few draws.
fn plus_plus(x: &[f32], n: usize, d: usize, k: usize, rng: &mut Rng) -> Vec<f32> {
    let rows = rng.sample(n, 20_000.max(k));
    let row = |i: usize| &x[rows[i] * d..(rows[i] + 1) * d];
    let mut centres = row(rng.below(rows.len())).to_vec();
    let mut near: Vec<f32> = (0..rows.len()).into_par_iter().map(|i| distance2(row(i), &centres)).collect();
    let tries = 2 + (k as f64).ln() as usize;
    while centres.len() < k * d {
        let total: f64 = near.iter().map(|v| f64::from(*v)).sum();
        let mut best: Option<(f64, usize, Vec<f32>)> = None;
        for _ in 0..tries {
            let mut left = rng.uniform() * total;
            let mut pick = rows.len() - 1;
            for (i, v) in near.iter().enumerate() {
                left -= f64::from(*v);
                if left < 0.0 {
                    pick = i;
                    break;
                }
            }
            let after: Vec<f32> =
                (0..rows.len()).into_par_iter().with_min_len(CHUNK).map(|i| near[i].min(distance2(row(i), row(pick)))).collect();
            let sum: f64 = after.iter().map(|v| f64::from(*v)).sum();
            if best.as_ref().is_none_or(|b| sum < b.0) {
                best = Some((sum, pick, after));
            }
        }
        let Some((_, pick, after)) = best else { break };
        centres.extend_from_slice(row(pick));
        near = after;
    }
    centres
}

fn assign(x: &[f32], n: usize, d: usize, centres: &[f32], k: usize) -> Assigned {
    let half: Vec<f32> = centres.chunks_exact(d).map(|c| 0.5 * c.iter().map(|v| v * v).sum::<f32>()).collect();
    let parts: Vec<(Vec<u32>, f64)> = x[..n * d]
        .par_chunks(CHUNK * d)
        .map(|chunk| {
            let rows = chunk.len() / d;
            let mut products = vec![0.0f32; rows * k];
            mul(&mut products, Mat::new(chunk, rows, d), Mat::new(centres, k, d).t(), false);
            let (mut labels, mut inertia) = (vec![0u32; rows], 0.0f64);
            for ((label, products), row) in labels.iter_mut().zip(products.chunks_exact(k)).zip(chunk.chunks_exact(d)) {
                let (mut best, mut c) = (f32::INFINITY, 0);
                for (j, (p, h)) in products.iter().zip(&half).enumerate() {
                    if h - p < best {
                        (best, c) = (h - p, j);
                    }
                }
                *label = c as u32;
                inertia += f64::from(distance2(row, &centres[c * d..(c + 1) * d]));
            }
            (labels, inertia)
        })
        .collect();
    let mut all = Assigned { labels: Vec::with_capacity(n), counts: vec![0; k], inertia: 0.0 };
    for (labels, inertia) in parts {
        labels.iter().for_each(|c| all.counts[*c as usize] += 1);
        all.labels.extend(labels);
        all.inertia += inertia;
    }
    all
}
