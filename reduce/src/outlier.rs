//! How unlike the others a row is: local outlier factor, isolation forest, and the rows nearest to one.
//!
//! The local outlier factor (Breunig, Kriegel, Ng & Sander 2000) compares a row's density with that of its neighbours
//! and finds rows that are odd for where they are; it reads the neighbour graph and costs next to nothing once that is
//! there. The isolation forest (Liu, Ting & Zhou 2008) cuts random boxes until a row is alone and finds rows that are
//! odd as a whole, without any distance, so that columns of different units need no scaling. Both give the numbers of
//! scikit-learn: the factor to rounding, the forest in distribution (its random numbers are other ones). Reconstruction
//! errors, the third score, come with the maps ([`crate::Embedding::row_error`], [`crate::Pca::row_errors`]).
//!
//! One-class support vector machines were not taken: N² kernels, and worse on most benchmarks. Cost: N·k for the factor,
//! trees · N · 8 comparisons for the forest.

use crate::index::{Index, Scratch};
use crate::kernel::{self, CHUNK, Rng, distance2};
use crate::level;
use crate::monitor::{Monitor, step};
use crate::neighbours::{Graph, among};
use crate::{Error, Quiet};
use ndarray::ArrayView2;
use rayon::prelude::*;

/// New rows between two looks at the monitor.
const WAVE: usize = 8_192;

/// Local outlier factors of fitted rows, and what it takes to judge new ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Lof {
    /// Neighbours that were compared with.
    pub k: usize,
    /// Factor of each row: about 1 within a group of any density, 1.5 and more for an odd row.
    pub factors: Vec<f32>,
    /// Distance to the k-th neighbour of each row, in the units of the input.
    reach: Vec<f32>,
    /// Local reachability density of each row.
    density: Vec<f64>,
}

fn density_of(ids: &[u32], distances2: &[f32], reach: &[f32]) -> f64 {
    let sum: f64 = ids.iter().zip(distances2).map(|(j, d2)| f64::from(d2.sqrt().max(reach[*j as usize]))).sum();
    1.0 / (sum / ids.len() as f64 + 1e-10)
}

fn factor_of(ids: &[u32], own: f64, density: &[f64]) -> f32 {
    let sum: f64 = ids.iter().map(|j| density[*j as usize]).sum();
    (sum / ids.len() as f64 / own) as f32
}

/// Local outlier factors with `k` neighbours (20 is usual) of the rows a graph was made of. A graph with fewer
/// neighbours is used as far as it goes; a single row has factor 1.
///
/// # Errors
/// `k` is 0.
pub fn lof(graph: &Graph, k: usize) -> Result<Lof, Error> {
    if k == 0 {
        return Err(Error::Shape("outliers need at least one neighbour to be compared with".into()));
    }
    let n = graph.rows();
    let k = k.min(graph.k());
    if k == 0 {
        return Ok(Lof { k, factors: vec![1.0; n], reach: vec![0.0; n], density: vec![1.0; n] });
    }
    let near = |i: usize| {
        let (ids, d) = graph.of_row(i);
        (&ids[..k], &d[..k])
    };
    let reach: Vec<f32> = (0..n).into_par_iter().map(|i| near(i).1[k - 1].sqrt()).collect();
    let density: Vec<f64> = (0..n)
        .into_par_iter()
        .map(|i| {
            let (ids, d) = near(i);
            density_of(ids, d, &reach)
        })
        .collect();
    let factors = (0..n).into_par_iter().map(|i| factor_of(near(i).0, density[i], &density)).collect();
    Ok(Lof { k, factors, reach, density })
}

impl Lof {
    /// Factors of new rows (m × d) against the fitted rows (N × d, those of the graph, in its order and units). A row's
    /// factor does not depend on what other new rows there are.
    ///
    /// # Errors
    /// No cells, cells that are not finite, shapes that do not fit, or stopped.
    pub fn of_new(&self, fitted: ArrayView2<f32>, new: ArrayView2<f32>, monitor: &dyn Monitor) -> Result<Vec<f32>, Error> {
        let ((base, power), mut q) = (kernel::levelled(fitted)?, kernel::checked(new)?);
        level::divide(&mut q, power);
        let (n, d) = fitted.dim();
        if n != self.factors.len() || new.ncols() != d {
            return Err(Error::Shape(format!(
                "the scores are of {} rows: {n} × {d} fitted and {} × {} new rows do not go with them",
                self.factors.len(),
                new.nrows(),
                new.ncols()
            )));
        }
        if self.k == 0 {
            return Ok(vec![1.0; new.nrows()]);
        }
        let index = Index::exact(&base, d, monitor)?;
        let mut out = Vec::with_capacity(new.nrows());
        for some in q.chunks(WAVE * d) {
            step(monitor, "outliers", out.len(), new.nrows())?;
            out.par_extend(some.par_chunks(d).map_init(Scratch::default, |scratch, row| {
                let (d2, ids): (Vec<f32>, Vec<u32>) = index.nearest(row, self.k, scratch).into_iter().unzip();
                factor_of(&ids, density_of(&ids, &d2, &self.reach), &self.density)
            }));
        }
        Ok(out)
    }
}

/// Mean depth of an unsuccessful search in a binary tree of `n` rows: what a leaf of `n` rows still hides.
fn hidden(n: usize) -> f64 {
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let m = n as f64 - 1.0;
            2.0 * (m.ln() + 0.577_215_664_901_532_9) - 2.0 * m / n as f64
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Cut {
    /// Column, or `u32::MAX` for a leaf, whose `value` is its depth with what it hides.
    column: u32,
    value: f32,
    /// The first of two children that stand side by side.
    child: u32,
}

/// An isolation forest.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    columns: usize,
    depth: f64,
    trees: Vec<Vec<Cut>>,
}

impl Forest {
    /// `trees` (100 is usual) of `sample` (256 is usual) rows each, of the rows of `x` (N × d).
    ///
    /// # Errors
    /// No cells, cells that are not finite, no trees, a sample below 1, or stopped.
    pub fn fit(x: ArrayView2<f32>, trees: usize, sample: usize, seed: u64, monitor: &dyn Monitor) -> Result<Self, Error> {
        let data = kernel::checked(x)?;
        let (n, d) = x.dim();
        if trees == 0 || sample == 0 {
            return Err(Error::Shape("a forest needs at least one tree of at least one row".into()));
        }
        let sample = sample.min(n);
        let deepest = (sample.max(2) as f64).log2().ceil() as usize;
        let mut grown = Vec::with_capacity(trees);
        for first in (0..trees).step_by(32) {
            step(monitor, "forest", first, trees)?;
            let some: Vec<Vec<Cut>> = (first..(first + 32).min(trees))
                .into_par_iter()
                .map(|t| {
                    let mut rng = Rng::new(seed, 7000 + t as u64);
                    let rows = rng.sample(n, sample);
                    grow(&data, d, rows, deepest, &mut rng)
                })
                .collect();
            grown.extend(some);
        }
        Ok(Self { columns: d, depth: hidden(sample).max(1e-9), trees: grown })
    }

    /// How odd each row of `x` (m × d) is, 0..1: about 0.45 for most, towards 1 for what is alone after a few cuts.
    ///
    /// # Errors
    /// No cells, cells that are not finite, or another number of columns than the fitted rows have.
    pub fn scores(&self, x: ArrayView2<f32>) -> Result<Vec<f32>, Error> {
        let data = kernel::checked(x)?;
        let d = x.ncols();
        if d != self.columns {
            return Err(Error::Shape(format!("the forest is of {} columns, the rows have {d}", self.columns)));
        }
        Ok(data
            .par_chunks(d)
            .with_min_len(CHUNK / 4)
            .map(|row| {
                let sum: f64 = self
                    .trees
                    .iter()
                    .map(|t| {
                        let mut at = 0usize;
                        while t[at].column != u32::MAX {
                            at = t[at].child as usize + usize::from(row[t[at].column as usize] > t[at].value);
                        }
                        f64::from(t[at].value)
                    })
                    .sum();
                (-(sum / self.trees.len() as f64) / self.depth).exp2() as f32
            })
            .collect())
    }
}

/// Columns drawn before all are looked at.
const DRAWS: usize = 4;

fn grow(x: &[f32], d: usize, rows: Vec<usize>, deepest: usize, rng: &mut Rng) -> Vec<Cut> {
    let leaf = |depth: usize, n: usize| Cut { column: u32::MAX, value: (depth as f64 + hidden(n)) as f32, child: 0 };
    let mut tree = vec![leaf(0, rows.len())];
    let mut todo = vec![(0usize, rows, 0usize)];
    while let Some((at, rows, depth)) = todo.pop() {
        if depth >= deepest || rows.len() < 2 {
            continue;
        }
        // A random column, each of those that differ as likely as the others: drawn until one does, or among all that do.
        let range = |c: usize| {
            let values = rows.iter().map(|i| x[i * d + c]);
            let (low, high) = values.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
            (low < high).then_some((c, low, high))
        };
        let found = (0..DRAWS).find_map(|_| range(rng.below(d))).or_else(|| {
            let all: Vec<_> = (0..d).filter_map(range).collect();
            (!all.is_empty()).then(|| all[rng.below(all.len())])
        });
        let Some((column, low, high)) = found else { continue };
        let t = rng.uniform();
        let mut value = (f64::from(low) + t * (f64::from(high) - f64::from(low))) as f32;
        if value >= high {
            value = low;
        }
        let (left, right): (Vec<usize>, Vec<usize>) = rows.iter().partition(|i| x[*i * d + column] <= value);
        let child = tree.len();
        tree.push(leaf(depth + 1, left.len()));
        tree.push(leaf(depth + 1, right.len()));
        tree[at] = Cut { column: column as u32, value, child: child as u32 };
        todo.push((child, left, depth + 1));
        todo.push((child + 1, right, depth + 1));
    }
    tree
}

/// The `k` rows of `x` (N × d) nearest to `target` (d numbers), nearest first, with their distances. A row that is the
/// target itself is among them.
///
/// # Errors
/// No cells, cells that are not finite, or a target of another length.
pub fn nearest_to(x: ArrayView2<f32>, target: &[f32], k: usize) -> Result<Vec<(usize, f32)>, Error> {
    let (data, power) = kernel::levelled(x)?;
    let (n, d) = x.dim();
    if target.len() != d || target.iter().any(|v| !v.is_finite()) {
        return Err(Error::Shape(format!("the row to compare with must have {d} finite numbers")));
    }
    let mut target = target.to_vec();
    level::divide(&mut target, power);
    let (target, unit) = (&target[..], level::unit(power));
    let away = |d2: f32| (f64::from(d2.sqrt()) * unit) as f32;
    if n < 50_000 {
        let near = among(target, 1, &data, n, d, k, &Quiet)?;
        return Ok(near.ids.iter().zip(&near.distances2).map(|(j, d2)| (*j as usize, away(*d2))).collect());
    }
    let mut all: Vec<(f32, u32)> = data.par_chunks(d).enumerate().map(|(i, r)| (distance2(r, target), i as u32)).collect();
    let by = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    let k = k.min(n);
    if k < n {
        all.select_nth_unstable_by(k, by);
        all.truncate(k);
    }
    all.sort_unstable_by(by);
    Ok(all.into_iter().map(|(d2, i)| (i as usize, away(d2))).collect())
}
