//! Groups as a mixture of normal distributions, fitted by expectation and maximisation (Dempster, Laird & Rubin 1977).
//!
//! Full or diagonal covariances, in f64 and logarithms, about the mean of all rows; the start is k-means, several times
//! with other seeds, and the likeliest is kept. To every variance a millionth of the data's own is added, so that a
//! group of equal rows stays a distribution. The Bayesian information criterion (Schwarz 1978) compares numbers of
//! groups: the smaller the better. `linfa-clustering` has full covariances only and runs on one thread.
//!
//! Sums run in chunks of 1,024 rows in order. Cost: about N · k · d² operations a round (full), N · k · d (diagonal).

use crate::kernel::{self, CHUNK};
use crate::monitor::{Monitor, step};
use crate::{Error, kmeans};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The shape that groups may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Covariance {
    /// Ellipsoids in any direction.
    #[default]
    Full,
    /// Ellipsoids along the columns: far fewer numbers, for many columns or few rows.
    Diagonal,
}

/// A mixture of normal distributions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    /// The shape of its groups.
    pub shape: Covariance,
    /// Share of each group, largest first.
    pub shares: Vec<f64>,
    /// Mean of each group, k × d, in the units of the input.
    pub means: Vec<f64>,
    /// Covariance of each group: k × d × d (full) or k × d (diagonal), input units squared.
    pub covariances: Vec<f64>,
    /// Mean log-likelihood of a fitted row, nats.
    pub log_likelihood: f64,
    /// Bayesian information criterion; of several mixtures of the same rows the smallest is the best.
    pub bic: f64,
    /// Rounds of the best start.
    pub rounds: usize,
    /// Whether it had settled.
    pub settled: bool,
    centre: Vec<f64>,
    /// Inverse Cholesky factors (k × d × d, lower, transposed) or inverse widths (k × d).
    whiten: Vec<f64>,
    /// ln share − ½ ln |2πΣ| of each group.
    offset: Vec<f64>,
}

/// What a mixture says of some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Membership {
    /// Likeliest group of each row, 0..k.
    pub labels: Vec<i32>,
    /// Probability of each group for each row, rows × k.
    pub probabilities: Array2<f32>,
    /// Log-likelihood of each row under the whole mixture, nats: very small means like no group.
    pub log_likelihood: Vec<f32>,
}

const ROUNDS: usize = 300;
const STARTS: usize = 3;

/// Shares, means and second moments, summed over rows.
struct Sums {
    weight: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
    log: f64,
}

impl Sums {
    fn new(k: usize, d: usize, shape: Covariance) -> Self {
        let each = if shape == Covariance::Full { d * d } else { d };
        Self { weight: vec![0.0; k], first: vec![0.0; k * d], second: vec![0.0; k * each], log: 0.0 }
    }

    fn add(&mut self, other: &Self) {
        let plus = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        plus(&mut self.weight, &other.weight);
        plus(&mut self.first, &other.first);
        plus(&mut self.second, &other.second);
        self.log += other.log;
    }

    /// Adds a row with the probabilities `r`.
    fn row(&mut self, x: &[f64], r: &[f64], shape: Covariance) {
        let d = x.len();
        for (g, r) in r.iter().enumerate().filter(|(_, r)| **r > 1e-12) {
            self.weight[g] += r;
            self.first[g * d..(g + 1) * d].iter_mut().zip(x).for_each(|(s, v)| *s += r * v);
            match shape {
                Covariance::Diagonal => {
                    self.second[g * d..(g + 1) * d].iter_mut().zip(x).for_each(|(s, v)| *s += r * v * v);
                }
                Covariance::Full => {
                    let s = &mut self.second[g * d * d..(g + 1) * d * d];
                    for a in 0..d {
                        let t = r * x[a];
                        s[a * d..a * d + a + 1].iter_mut().zip(x).for_each(|(s, v)| *s += t * v);
                    }
                }
            }
        }
    }
}

/// `k` groups of the rows of `x` (N × d); fewer when there are fewer rows.
///
/// # Errors
/// No cells, cells that are not finite, k = 0, more memory than there is, or stopped.
pub fn mixture(x: ArrayView2<f32>, k: usize, shape: Covariance, seed: u64, monitor: &dyn Monitor) -> Result<Mixture, Error> {
    let data = kernel::checked(x)?;
    let (n, d) = x.dim();
    if k == 0 {
        return Err(Error::Shape("ask for at least one group".into()));
    }
    let k = k.min(n);
    let each = if shape == Covariance::Full { d * d } else { d };
    kernel::check_memory((n * d * 8 + 70 * k * each * 8) as u64)?;
    let centre = kernel::column_means(&data, n, d);
    let rows: Vec<f64> = data.iter().enumerate().map(|(i, v)| f64::from(*v) - centre[i % d]).collect();
    let mut variance = vec![0.0f64; d];
    for r in rows.chunks_exact(d) {
        variance.iter_mut().zip(r).for_each(|(s, v)| *s += v * v / n as f64);
    }
    let mean = variance.iter().sum::<f64>() / d as f64;
    // Constant columns take a little of the others' width, all-constant data a width of their own.
    let least = if mean > 0.0 { 1e-9 * mean } else { 1e-12 };
    let floor: Vec<f64> = variance.iter().map(|v| (1e-6 * v).max(least)).collect();
    // The logarithm of a density counts the unit of the columns as well: what is settled must not depend on that.
    let in_unit = if mean > 0.0 { 0.5 * d as f64 * mean.ln() } else { 0.0 };
    let mut best: Option<Mixture> = None;
    let starts = if k == 1 { 1 } else { STARTS };
    for start in 0..starts {
        let labels = kmeans(x, k, seed.wrapping_add(start as u64), monitor)?.labels;
        let mut sums = Sums::new(k, d, shape);
        let mut one = vec![0.0; k];
        for (row, l) in rows.chunks_exact(d).zip(&labels) {
            one.fill(0.0);
            one[*l as usize] = 1.0;
            sums.row(row, &one, shape);
        }
        let mut m = Mixture {
            shape,
            shares: Vec::new(),
            means: Vec::new(),
            covariances: Vec::new(),
            log_likelihood: f64::NEG_INFINITY,
            bic: 0.0,
            rounds: 0,
            settled: false,
            centre: centre.clone(),
            whiten: Vec::new(),
            offset: Vec::new(),
        };
        m.set(&sums, &floor, n);
        for round in 0..ROUNDS {
            step(monitor, "groups", start * ROUNDS + round, starts * ROUNDS)?;
            let sums = m.pass(&rows, monitor)?;
            let now = sums.log / n as f64;
            m.rounds = round;
            m.settled = now - m.log_likelihood < 1e-7 * (now + in_unit).abs().max(1.0);
            m.log_likelihood = now;
            if m.settled {
                break;
            }
            m.set(&sums, &floor, n);
        }
        if best.as_ref().is_none_or(|b| m.log_likelihood > b.log_likelihood) {
            best = Some(m);
        }
    }
    let mut m = best.ok_or(Error::Empty)?;
    m.sort();
    let free = k * d + k - 1 + if shape == Covariance::Full { k * d * (d + 1) / 2 } else { k * d };
    m.bic = -2.0 * m.log_likelihood * n as f64 + free as f64 * (n as f64).ln();
    Ok(m)
}

/// Mixtures of 1 to `most` groups: the curve of the Bayesian information criterion, and the best of them at its minimum.
///
/// # Errors
/// As [`mixture`].
pub fn mixtures(
    x: ArrayView2<f32>,
    most: usize,
    shape: Covariance,
    seed: u64,
    monitor: &dyn Monitor,
) -> Result<Vec<Mixture>, Error> {
    (1..=most.min(x.nrows()).max(1)).map(|k| mixture(x, k, shape, seed, monitor)).collect()
}

impl Mixture {
    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.shares.len()
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.centre.len()
    }

    /// Takes shares, means and covariances from sums; means are kept about the centre until the end.
    fn set(&mut self, sums: &Sums, floor: &[f64], n: usize) {
        let (k, d) = (sums.weight.len(), floor.len());
        self.shares = sums.weight.iter().map(|w| (w / n as f64).max(1e-12)).collect();
        let weight: Vec<f64> = sums.weight.iter().map(|w| w.max(1e-10)).collect();
        self.means = (0..k * d).map(|i| sums.first[i] / weight[i / d]).collect();
        match self.shape {
            Covariance::Diagonal => {
                self.covariances = (0..k * d)
                    .map(|i| (sums.second[i] / weight[i / d] - self.means[i].powi(2)).max(0.0) + floor[i % d])
                    .collect();
                self.whiten = self.covariances.iter().map(|v| 1.0 / v.sqrt()).collect();
                self.offset = (0..k)
                    .map(|g| {
                        let log: f64 =
                            self.covariances[g * d..(g + 1) * d].iter().map(|v| (std::f64::consts::TAU * v).ln()).sum();
                        self.shares[g].ln() - 0.5 * log
                    })
                    .collect();
            }
            Covariance::Full => {
                self.covariances = vec![0.0; k * d * d];
                self.whiten = vec![0.0; k * d * d];
                self.offset = vec![0.0; k];
                for (g, weight) in weight.iter().enumerate() {
                    let c = &mut self.covariances[g * d * d..(g + 1) * d * d];
                    let m = &self.means[g * d..(g + 1) * d];
                    for a in 0..d {
                        for b in 0..=a {
                            let v = sums.second[g * d * d + a * d + b] / weight - m[a] * m[b];
                            let v = if a == b { v.max(0.0) + floor[a] } else { v };
                            c[a * d + b] = v;
                            c[b * d + a] = v;
                        }
                    }
                    let (inverse, log) = invert(c, d, floor);
                    self.whiten[g * d * d..(g + 1) * d * d].copy_from_slice(&inverse);
                    self.offset[g] = self.shares[g].ln() - 0.5 * (d as f64 * std::f64::consts::TAU.ln() + log);
                }
            }
        }
    }

    /// ln (share · density) of every group for one centred row.
    fn logs(&self, x: &[f64], work: &mut [f64], out: &mut [f64]) {
        let d = x.len();
        for (g, out) in out.iter_mut().enumerate() {
            let m = &self.means[g * d..(g + 1) * d];
            let mut square = 0.0;
            match self.shape {
                Covariance::Diagonal => {
                    for ((v, m), w) in x.iter().zip(m).zip(&self.whiten[g * d..(g + 1) * d]) {
                        let t = (v - m) * w;
                        square += t * t;
                    }
                }
                Covariance::Full => {
                    // Row a of the stored factor holds what coordinate a adds to every whitened one from a on.
                    work.fill(0.0);
                    let w = &self.whiten[g * d * d..(g + 1) * d * d];
                    for a in 0..d {
                        let t = x[a] - m[a];
                        work[a..].iter_mut().zip(&w[a * d + a..(a + 1) * d]).for_each(|(s, w)| *s += t * w);
                    }
                    work.iter().for_each(|t| square += t * t);
                }
            }
            *out = self.offset[g] - 0.5 * square;
        }
    }

    /// Probabilities from logarithms, in place; returns the logarithm of their sum.
    fn normalise(logs: &mut [f64]) -> f64 {
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for l in logs.iter_mut() {
            *l = (*l - most).exp();
            sum += *l;
        }
        logs.iter_mut().for_each(|l| *l /= sum);
        most + sum.ln()
    }

    /// One expectation over all rows.
    fn pass(&self, rows: &[f64], monitor: &dyn Monitor) -> Result<Sums, Error> {
        let (k, d) = (self.groups(), self.columns());
        let mut all = Sums::new(k, d, self.shape);
        for wave in rows.chunks(64 * CHUNK * d) {
            if monitor.stop() {
                return Err(Error::Cancelled);
            }
            let parts: Vec<Sums> = wave
                .par_chunks(CHUNK * d)
                .map(|chunk| {
                    let mut sums = Sums::new(k, d, self.shape);
                    let (mut logs, mut work) = (vec![0.0; k], vec![0.0; d]);
                    for x in chunk.chunks_exact(d) {
                        self.logs(x, &mut work, &mut logs);
                        sums.log += Self::normalise(&mut logs);
                        sums.row(x, &logs, self.shape);
                    }
                    sums
                })
                .collect();
            parts.iter().for_each(|p| all.add(p));
        }
        Ok(all)
    }

    /// Largest groups first; means in the units of the input.
    fn sort(&mut self) {
        let (k, d) = (self.groups(), self.columns());
        let mut order: Vec<usize> = (0..k).collect();
        order.sort_by(|a, b| self.shares[*b].total_cmp(&self.shares[*a]).then(a.cmp(b)));
        let pick = |v: &[f64]| -> Vec<f64> {
            let each = v.len() / k;
            order.iter().flat_map(|g| v[g * each..(g + 1) * each].iter().copied()).collect()
        };
        self.shares = pick(&self.shares);
        self.offset = pick(&self.offset);
        self.covariances = pick(&self.covariances);
        self.whiten = pick(&self.whiten);
        self.means = pick(&self.means);
        let sum: f64 = self.shares.iter().sum();
        self.shares.iter_mut().for_each(|s| *s /= sum);
        // The factors and offsets work about the centre; what is shown is not.
        self.means.iter_mut().enumerate().for_each(|(i, m)| *m += self.centre[i % d]);
    }

    /// What the mixture says of rows (m × d), fitted or new.
    ///
    /// # Errors
    /// No cells, cells that are not finite, or another number of columns than the mixture has.
    pub fn predict(&self, x: ArrayView2<f32>) -> Result<Membership, Error> {
        let data = kernel::checked(x)?;
        let (n, d) = x.dim();
        let k = self.groups();
        if d != self.columns() {
            return Err(Error::Shape(format!("the mixture is of {} columns, the rows have {d}", self.columns())));
        }
        let mut about = self.clone();
        about.means.iter_mut().enumerate().for_each(|(i, m)| *m -= self.centre[i % d]);
        let mut probabilities = vec![0.0f32; n * k];
        let mut log_likelihood = vec![0.0f32; n];
        let mut labels = vec![0i32; n];
        probabilities
            .par_chunks_mut(CHUNK * k)
            .zip(log_likelihood.par_chunks_mut(CHUNK))
            .zip(labels.par_chunks_mut(CHUNK))
            .zip(data.par_chunks(CHUNK * d))
            .for_each(|(((p, l), labels), rows)| {
                let (mut logs, mut work, mut x) = (vec![0.0; k], vec![0.0; d], vec![0.0; d]);
                for (r, row) in rows.chunks_exact(d).enumerate() {
                    x.iter_mut().zip(row).zip(&self.centre).for_each(|((x, v), c)| *x = f64::from(*v) - c);
                    about.logs(&x, &mut work, &mut logs);
                    l[r] = Self::normalise(&mut logs).max(f64::from(f32::MIN)) as f32;
                    let mut best = 0;
                    for g in 0..k {
                        p[r * k + g] = logs[g] as f32;
                        if logs[g] > logs[best] {
                            best = g;
                        }
                    }
                    labels[r] = best as i32;
                }
            });
        let probabilities = Array2::from_shape_vec((n, k), probabilities).map_err(|e| Error::Shape(e.to_string()))?;
        Ok(Membership { labels, probabilities, log_likelihood })
    }
}

/// The inverse of the Cholesky factor of a covariance, transposed (row a: what coordinate a adds to the whitened ones),
/// and ln |Σ|. Where rounding leaves no positive pivot the floor is taken.
fn invert(c: &[f64], d: usize, floor: &[f64]) -> (Vec<f64>, f64) {
    let mut l = c.to_vec();
    let mut log = 0.0;
    for j in 0..d {
        let mut s = l[j * d + j];
        for p in 0..j {
            s -= l[j * d + p] * l[j * d + p];
        }
        let pivot = s.max(0.1 * floor[j]).sqrt();
        l[j * d + j] = pivot;
        log += 2.0 * pivot.ln();
        for i in j + 1..d {
            let mut s = l[i * d + j];
            for p in 0..j {
                s -= l[i * d + p] * l[j * d + p];
            }
            l[i * d + j] = s / pivot;
        }
    }
    // out[a][b] = (L⁻¹)[b][a].
    let mut out = vec![0.0f64; d * d];
    for a in 0..d {
        out[a * d + a] = 1.0 / l[a * d + a];
        for b in a + 1..d {
            let mut s = 0.0;
            for p in a..b {
                s -= l[b * d + p] * out[a * d + p];
            }
            out[a * d + b] = s / l[b * d + b];
        }
    }
    (out, log)
}
