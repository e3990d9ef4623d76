//! Some rows sorted once, so that the nearest of them are soon found for rows that come later.
//!
//! In up to five columns a k-d tree, exact. In more, about 4·√N cells (a few rounds of k-means on a sample): a query looks at
//! the rows of the cells whose centres are nearest, and leaves out those that by the triangle inequality cannot hold
//! a nearer row. How many cells are looked at is not guessed: for 256 of the rows the true neighbours are found plainly, and
//! the smallest number of cells that holds 99% of them is taken. Fewer than 2,048 rows are one cell, so exact.
//!
//! The neighbour search of all rows among themselves ([`crate::neighbours`]) takes blocks of matrix products; here every
//! query is on its own, so that its answer does not depend on what else is asked with it. Numbers stand column after
//! column within a cell, so that eight rows are compared at a time. Cost: about (4 + P/4)·√N·d operations a query for P
//! cells; 4·d + 4 bytes a row.

use crate::Error;
use crate::kdtree::Tree;
use crate::kernel::{CHUNK, Mat, Rng, distance2, mul, wide};
use crate::monitor::{Monitor, step};
use rayon::prelude::*;

/// Columns up to which a tree is taken.
const TREE: usize = 5;
/// Rows that are not sorted into cells.
const FEW: usize = 2_048;
const ROUNDS: usize = 3;
/// Share of the true neighbours that the cells looked at must hold.
const TARGET: f64 = 0.99;
const JUDGES: usize = 256;

/// Rows ready to be asked for the nearest of them.
pub(crate) struct Index {
    d: usize,
    how: How,
}

enum How {
    Tree(Tree),
    Cells(Cells),
}

struct Cells {
    /// Row numbers, cell after cell, and where each cell starts.
    order: Vec<u32>,
    starts: Vec<usize>,
    /// Centres, column after column, and the distance of the farthest row of each.
    centres: Vec<f32>,
    radius: Vec<f32>,
    /// Rows cell after cell, column after column within a cell.
    rows: Vec<f32>,
    probes: usize,
}

/// What a query needs for the time being.
#[derive(Default)]
pub(crate) struct Scratch {
    away: Vec<f32>,
    turn: Vec<(f32, u32)>,
}

wide! {
    /// Squared distances of `q` to as many points as `out` has, which stand column after column.
    fn distances(q: &[f32], columns: &[f32], out: &mut [f32]) {
        let n = out.len();
        out.fill(0.0);
        for (q, column) in q.iter().zip(columns.chunks_exact(n)) {
            for (o, v) in out.iter_mut().zip(column) {
                *o += (*v - *q) * (*v - *q);
            }
        }
    }
}

/// Numbers row after row turned into column after column.
fn turned(rows: &[f32], d: usize) -> Vec<f32> {
    (0..d).flat_map(|a| rows.iter().skip(a).step_by(d).copied()).collect()
}

/// Nearest of the centres (c × d) for every row.
fn assign(x: &[f32], d: usize, centres: &[f32]) -> Vec<u32> {
    let half: Vec<f32> = centres.chunks_exact(d).map(|r| 0.5 * r.iter().map(|v| v * v).sum::<f32>()).collect();
    let c = half.len();
    let mut out = vec![0u32; x.len() / d];
    out.par_chunks_mut(CHUNK / 4).zip(x.par_chunks(CHUNK / 4 * d)).for_each(|(out, rows)| {
        let mut scores = vec![0.0f32; out.len() * c];
        mul(&mut scores, Mat::new(rows, out.len(), d), Mat::new(centres, c, d).t(), false);
        for (o, s) in out.iter_mut().zip(scores.chunks_exact(c)) {
            let mut best = f32::INFINITY;
            for (i, (s, h)) in s.iter().zip(&half).enumerate() {
                if h - s < best {
                    (best, *o) = (h - s, i as u32);
                }
            }
        }
    });
    out
}

/// Keeps the `k` nearest of what is offered, nearest first, ties in row order.
fn offer(best: &mut Vec<(f32, u32)>, k: usize, d2: f32, id: u32) {
    if best.len() == k && best.last().is_some_and(|l| d2 > l.0 || (d2 == l.0 && id > l.1)) {
        return;
    }
    let at = best.partition_point(|b| b.0 < d2 || (b.0 == d2 && b.1 < id));
    best.insert(at, (d2, id));
    best.truncate(k);
}

impl Index {
    /// Sorts the rows of `x` (N × d, finite) for queries of `k` neighbours.
    ///
    /// # Errors
    /// Stopped.
    pub fn new(x: &[f32], d: usize, k: usize, monitor: &dyn Monitor) -> Result<Self, Error> {
        let n = x.len() / d;
        step(monitor, "index", 0, 2)?;
        if d <= TREE {
            return Ok(Self { d, how: How::Tree(Tree::new(x, n, d)) });
        }
        let mut cells = Cells::new(x, n, d, monitor)?;
        if cells.radius.len() > 1 {
            step(monitor, "index", 1, 2)?;
            cells.probes = cells.calibrate(x, n, d, k);
        }
        Ok(Self { d, how: How::Cells(cells) })
    }

    /// As [`Self::new`], but all cells are looked at that may hold a nearer row: for rows that may be far from all others, of which the
    /// usual number of cells would tell too little.
    ///
    /// # Errors
    /// Stopped.
    pub fn exact(x: &[f32], d: usize, monitor: &dyn Monitor) -> Result<Self, Error> {
        let n = x.len() / d;
        step(monitor, "index", 0, 2)?;
        let how = if d <= TREE { How::Tree(Tree::new(x, n, d)) } else { How::Cells(Cells::new(x, n, d, monitor)?) };
        Ok(Self { d, how })
    }

    /// The `k` nearest rows of `q`, nearest first, with their squared distances; fewer when there are fewer rows.
    pub fn nearest(&self, q: &[f32], k: usize, scratch: &mut Scratch) -> Vec<(f32, u32)> {
        match &self.how {
            How::Tree(tree) => tree.nearest(q, k, u32::MAX),
            How::Cells(cells) => cells.nearest(q, self.d, k, cells.probes, scratch),
        }
    }
}

impl Cells {
    fn new(x: &[f32], n: usize, d: usize, monitor: &dyn Monitor) -> Result<Self, Error> {
        let c = if n < FEW { 1 } else { (4.0 * (n as f64).sqrt()) as usize };
        let mut rng = Rng::new(17, 51);
        let some: Vec<f32> = rng.sample(n, 16 * c).iter().flat_map(|i| x[i * d..(i + 1) * d].iter().copied()).collect();
        let mut centres: Vec<f32> =
            rng.sample(some.len() / d, c).iter().flat_map(|i| some[i * d..(i + 1) * d].iter().copied()).collect();
        for _ in 0..if c > 1 { ROUNDS } else { 0 } {
            step(monitor, "index", 0, 2)?;
            let (mut sums, mut counts) = (vec![0.0f64; c * d], vec![0usize; c]);
            for (row, own) in some.chunks_exact(d).zip(assign(&some, d, &centres)) {
                let own = own as usize;
                counts[own] += 1;
                sums[own * d..(own + 1) * d].iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
            }
            for i in (0..c).filter(|i| counts[*i] > 0) {
                for a in 0..d {
                    centres[i * d + a] = (sums[i * d + a] / counts[i] as f64) as f32;
                }
            }
        }
        let own = if c > 1 { assign(x, d, &centres) } else { vec![0; n] };
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.sort_by_key(|i| own[*i as usize]);
        // Cells much larger than the others, such as copies of one row, are cut.
        let most = (4 * n / c).max(64);
        let mut starts = vec![0usize];
        for part in order.chunk_by(|a, b| own[*a as usize] == own[*b as usize]) {
            let first = starts[starts.len() - 1];
            let pieces = if c > 1 { part.len().div_ceil(most) } else { 1 };
            (1..=pieces).for_each(|p| starts.push(first + part.len() * p / pieces));
        }
        let cells: Vec<(Vec<f32>, Vec<f32>, f32)> = starts
            .par_windows(2)
            .map(|s| {
                let part: Vec<f32> =
                    order[s[0]..s[1]].iter().flat_map(|i| x[*i as usize * d..(*i as usize + 1) * d].iter().copied()).collect();
                let rows = turned(&part, d);
                let mean: Vec<f32> = rows
                    .chunks_exact(s[1] - s[0])
                    .map(|c| (c.iter().map(|v| f64::from(*v)).sum::<f64>() / c.len() as f64) as f32)
                    .collect();
                let far = part.chunks_exact(d).map(|r| distance2(r, &mean)).fold(0.0f32, f32::max).sqrt();
                (rows, mean, far)
            })
            .collect();
        let centres: Vec<f32> = cells.iter().flat_map(|c| c.1.iter().copied()).collect();
        let radius: Vec<f32> = cells.iter().map(|c| c.2).collect();
        let rows = cells.into_iter().flat_map(|c| c.0).collect();
        let probes = radius.len();
        Ok(Self { order, starts, centres: turned(&centres, d), radius, rows, probes })
    }

    /// Cells that have to be looked at for [`TARGET`] of the true neighbours of some rows.
    fn calibrate(&self, x: &[f32], n: usize, d: usize, k: usize) -> usize {
        let mut cell = vec![0u32; n];
        for (c, s) in self.starts.windows(2).enumerate() {
            self.order[s[0]..s[1]].iter().for_each(|i| cell[*i as usize] = c as u32);
        }
        let mut ranks: Vec<usize> = Rng::new(17, 52)
            .sample(n, JUDGES)
            .into_par_iter()
            .flat_map_iter(|i| {
                let mut scratch = Scratch::default();
                let q = &x[i * d..(i + 1) * d];
                let near = self.nearest(q, d, k + 1, self.radius.len(), &mut scratch);
                let mut rank = vec![0usize; self.radius.len()];
                self.in_turn(q, self.radius.len(), &mut scratch);
                scratch.turn.iter().enumerate().for_each(|(r, (_, c))| rank[*c as usize] = r);
                near.into_iter()
                    .filter(|(_, j)| *j as usize != i)
                    .map(|(_, j)| rank[cell[j as usize] as usize])
                    .collect::<Vec<_>>()
            })
            .collect();
        ranks.sort_unstable();
        let enough = ranks.get(((ranks.len() as f64 * TARGET) as usize).min(ranks.len().max(1) - 1)).map_or(1, |r| r + 1);
        enough.max(4).max((2 * k).div_ceil(n / self.radius.len())).min(self.radius.len())
    }

    /// The `count` cells nearest to `q` in turn, with the squared distances of their centres.
    fn in_turn(&self, q: &[f32], count: usize, scratch: &mut Scratch) {
        let Scratch { away, turn } = scratch;
        away.resize(self.radius.len(), 0.0);
        distances(q, &self.centres, away);
        turn.clear();
        turn.extend(away.iter().zip(0u32..).map(|(a, c)| (*a, c)));
        let by = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if count < turn.len() {
            turn.select_nth_unstable_by(count, by);
            turn.truncate(count);
        }
        turn.sort_unstable_by(by);
    }

    fn nearest(&self, q: &[f32], d: usize, k: usize, probes: usize, scratch: &mut Scratch) -> Vec<(f32, u32)> {
        let mut best: Vec<(f32, u32)> = Vec::with_capacity(k + 1);
        if k == 0 {
            return best;
        }
        self.in_turn(q, probes, scratch);
        let Scratch { away, turn } = scratch;
        for (centre, c) in turn.iter() {
            let c = *c as usize;
            let limit = if best.len() < k { f32::INFINITY } else { best[k - 1].0 };
            // A hair against rounding.
            if (centre.sqrt() - self.radius[c]) * 0.9999 > limit.sqrt() {
                continue;
            }
            let (from, to) = (self.starts[c], self.starts[c + 1]);
            away.resize(to - from, 0.0);
            let away = &mut away[..to - from];
            distances(q, &self.rows[from * d..to * d], away);
            for (a, id) in away.iter().zip(&self.order[from..to]) {
                if *a <= limit {
                    offer(&mut best, k, *a, *id);
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quiet;

    #[test]
    fn most_of_the_true_neighbours_are_found_whatever_the_columns() {
        for (n, d, least) in [(1, 7, 1.0), (3, 2, 1.0), (1_000, 12, 1.0), (6_000, 3, 1.0), (6_000, 10, 0.97), (6_000, 40, 0.95)] {
            let mut rng = Rng::new(5, n as u64);
            // Eight clouds, and a row in ten a copy of the first.
            let centres: Vec<f32> = (0..8 * d).map(|_| 6.0 * rng.normal() as f32).collect();
            let mut x: Vec<f32> = (0..n * d).map(|i| centres[(i / d % 8) * d + i % d] + rng.normal() as f32).collect();
            for i in (10..n).step_by(10) {
                x.copy_within(0..d, i * d);
            }
            let index = Index::new(&x, d, 10, &Quiet).unwrap();
            let (mut hits, mut all) = (0, 0);
            for _ in 0..200 {
                let c = rng.below(8);
                let q: Vec<f32> = (0..d).map(|a| centres[c * d + a] + 1.2 * rng.normal() as f32).collect();
                let found = index.nearest(&q, 10, &mut Scratch::default());
                assert_eq!(found.len(), n.min(10));
                assert!(found.windows(2).all(|w| w[0].0 <= w[1].0));
                let mut truth: Vec<f32> = x.chunks_exact(d).map(|r| distance2(r, &q)).collect();
                truth.sort_by(f32::total_cmp);
                let worst = truth[found.len() - 1] * 1.000_01;
                hits += found.iter().filter(|f| f.0 <= worst).count();
                all += found.len();
            }
            let recall = f64::from(hits as u32) / f64::from(all as u32);
            assert!(recall >= least, "{n} × {d}: {recall}");
        }
    }
}
