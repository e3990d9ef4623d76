//! A small autoencoder: rows squeezed through a narrow layer and back.
//!
//! A multilayer perceptron written on `gemm`: encoder, linear latent layer, mirrored decoder, SiLU between (smoother
//! maps than ReLU's, at the price of one exponential), trained by Adam on a masked inverse-variance loss
//! ([`train`]). The **variational** kind (Kingma & Welling 2014) gives every row a cloud in place of a point: a second head
//! of the encoder says how wide it is, training decodes a random point of it, and clouds are held to the unit normal.
//! Maps are not torn then, and a row's cloud tells how sure its place is.
//!
//! A framework (burn, candle) was measured 4–8 times slower on such shapes and brings some 200 crates.
//! Cost: 2 flops per weight and row to encode or decode.

mod layers;
mod train;

#[cfg(test)]
pub(crate) use train::Stepper;
pub(crate) use train::{Moments, Plan, train};

use crate::kernel::{Mat, Rng, mul};
use crate::placer::{TILE, whole};
use crate::product::{Level, Panels, pack_panel, product};
use layers::{activate_in_place, add};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// One fully connected layer, weights in × out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Layer {
    pub w: Vec<f32>,
    pub b: Vec<f32>,
}

/// The network with the scaling of its input and of its latent numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Net {
    /// Width of each stage: columns, hidden layers, latent, hidden layers, columns.
    pub sizes: Vec<usize>,
    /// Mean of each column, in its unit.
    pub mean: Vec<f32>,
    /// One scale for all columns, in their unit.
    pub scale: f32,
    pub layers: Vec<Layer>,
    /// Of a variational net: from the last hidden layer of the encoder to the logarithm of each latent number's variance.
    #[serde(default)]
    pub spread: Option<Layer>,
    /// Mean and width of each latent number over the fitted rows: maps show (z − mean) / width.
    pub latent_mean: Vec<f32>,
    pub latent_scale: Vec<f32>,
}

/// Logarithms of variances are cut to this range.
const LOG_VARIANCE: (f32, f32) = (-10.0, 4.0);

/// A net that goes forward, its weights packed once for all rows.
struct Forward<'a> {
    net: &'a Net,
    level: Level,
    panels: Vec<Panels>,
}

impl Forward<'_> {
    /// Runs some layers on some rows.
    fn run(&self, x: &[f32], rows: usize, layers: std::ops::Range<usize>) -> Vec<f32> {
        let net = self.net;
        let mut a = Vec::new();
        for l in layers {
            let from = if a.is_empty() { x } else { &a[..] };
            let mut s = vec![0.0f32; rows * net.sizes[l + 1]];
            let w = Mat::new(&net.layers[l].w, net.sizes[l], net.sizes[l + 1]);
            product(self.level, &mut s, w.cols, Mat::new(from, rows, w.rows), w, self.panels[l].all(), false);
            activate_in_place(&mut s, &net.layers[l].b, net.linear(l));
            a = s;
        }
        if a.is_empty() { x.to_vec() } else { a }
    }
}

impl Net {
    pub(crate) fn new(d: usize, hidden: &[usize], latent: usize, variational: bool, seed: u64) -> Self {
        let mut sizes = vec![d];
        sizes.extend(hidden.iter().map(|h| (*h).max(1)));
        sizes.push(latent);
        sizes.extend(hidden.iter().rev().map(|h| (*h).max(1)));
        sizes.push(d);
        let mut rng = Rng::new(seed, 21);
        let middle = hidden.len();
        let layers = sizes
            .windows(2)
            .enumerate()
            .map(|(l, s)| {
                // Keeps the size of what passes: after SiLU the mean square of a unit normal is 0.36.
                let gain = if l == 0 || l == middle + 1 { 1.0 } else { 2.8 };
                let width = (gain / s[0] as f64).sqrt();
                Layer { w: (0..s[0] * s[1]).map(|_| (rng.normal() * width) as f32).collect(), b: vec![0.0; s[1]] }
            })
            .collect();
        // Clouds start small, e⁻² of the unit normal's variance, and all alike.
        let spread = variational.then(|| Layer { w: vec![0.0; sizes[middle] * latent], b: vec![-2.0; latent] });
        Self {
            sizes,
            mean: vec![0.0; d],
            scale: 1.0,
            layers,
            spread,
            latent_mean: vec![0.0; latent],
            latent_scale: vec![1.0; latent],
        }
    }

    /// The layer that gives the latent numbers.
    pub(crate) fn middle(&self) -> usize {
        self.layers.len() / 2 - 1
    }

    fn linear(&self, layer: usize) -> bool {
        layer == self.middle() || layer + 1 == self.layers.len()
    }

    /// Number of weights.
    pub fn parameters(&self) -> usize {
        self.layers.iter().chain(&self.spread).map(|l| l.w.len() + l.b.len()).sum()
    }

    /// The net with its weights packed for going forward over many rows.
    fn forward(&self) -> Forward<'_> {
        let level = Level::here();
        let mut panels: Vec<Panels> = self.layers.iter().map(|_| Panels::default()).collect();
        panels.par_iter_mut().enumerate().for_each(|(l, panels)| {
            let w = Mat::new(&self.layers[l].w, self.sizes[l], self.sizes[l + 1]);
            panels.room(level, w.rows, w.cols).for_each(|(p, out)| pack_panel(level, w, p, out));
        });
        Forward { net: self, level, panels }
    }

    /// Runs some layers on a single row: no copies of weights, no threads, a fraction of a millisecond.
    fn one(&self, x: Vec<f32>, layers: std::ops::Range<usize>) -> Vec<f32> {
        let mut a = x;
        for l in layers {
            let to = self.sizes[l + 1];
            let mut s = vec![0.0f32; to];
            for (v, w) in a.iter().zip(self.layers[l].w.chunks_exact(to)) {
                add(&mut s, *v, w);
            }
            activate_in_place(&mut s, &self.layers[l].b, self.linear(l));
            a = s;
        }
        a
    }

    /// Map coordinates of one row in its own units.
    pub fn encode_one(&self, x: &[f32]) -> Vec<f32> {
        let scaled = x.iter().zip(&self.mean).map(|(v, m)| (v - m) / self.scale).collect();
        let mut z = self.one(scaled, 0..self.middle() + 1);
        z.iter_mut().zip(self.latent_mean.iter().zip(&self.latent_scale)).for_each(|(v, (m, s))| *v = (*v - m) / s);
        z
    }

    /// One row in its own units from its map coordinates.
    pub fn decode_one(&self, z: &[f32]) -> Vec<f32> {
        let raw = z.iter().zip(self.latent_mean.iter().zip(&self.latent_scale)).map(|(v, (m, s))| v * s + m).collect();
        let mut x = self.one(raw, self.middle() + 1..self.layers.len());
        x.iter_mut().zip(&self.mean).for_each(|(v, m)| *v = *v * self.scale + m);
        x
    }

    /// Scaled copies of rows in their own units.
    pub fn scaled(&self, x: &[f32]) -> Vec<f32> {
        let mut out = x.to_vec();
        self.scale_rows(&mut out);
        out
    }

    /// Scales rows in place.
    pub fn scale_rows(&self, x: &mut [f32]) {
        x.par_chunks_mut(self.mean.len())
            .for_each(|r| r.iter_mut().zip(&self.mean).for_each(|(v, m)| *v = (*v - m) / self.scale));
    }

    /// Runs some layers on any number of rows, [`TILE`] at a time, so that a row's answer does not depend on the others.
    pub(crate) fn over_rows(&self, x: &[f32], layers: std::ops::Range<usize>) -> Vec<f32> {
        let (from, to) = (self.sizes[layers.start], self.sizes[layers.end]);
        let mut out = vec![0.0f32; x.len() / from * to];
        let forward = self.forward();
        out.par_chunks_mut(TILE * to).zip(x.par_chunks(TILE * from)).for_each(|(o, x)| {
            let n = o.len();
            o.copy_from_slice(&forward.run(&whole(x, from), TILE, layers.clone())[..n]);
        });
        out
    }

    /// Raw latent numbers of scaled rows.
    fn latent(&self, x: &[f32]) -> Vec<f32> {
        self.over_rows(x, 0..self.middle() + 1)
    }

    /// Map coordinates from raw latent numbers, in place.
    fn to_map(&self, z: &mut [f32]) {
        for row in z.chunks_exact_mut(self.latent_mean.len()) {
            for (v, (m, s)) in row.iter_mut().zip(self.latent_mean.iter().zip(&self.latent_scale)) {
                *v = (*v - m) / s;
            }
        }
    }

    /// Standard deviation of the cloud of each scaled row along each map axis, N × latent; `None` of a plain net.
    pub fn spreads(&self, x: &[f32]) -> Option<Vec<f32>> {
        let head = self.spread.as_ref()?;
        let (d, k, width) = (self.mean.len(), self.latent_mean.len(), self.sizes[self.middle()]);
        let mut out = vec![0.0f32; x.len() / d * k];
        let forward = self.forward();
        out.par_chunks_mut(TILE * k).zip(x.par_chunks(TILE * d)).for_each(|(out, x)| {
            let last = forward.run(&whole(x, d), TILE, 0..self.middle());
            let mut all = vec![0.0f32; TILE * k];
            mul(&mut all, Mat::new(&last, TILE, width), Mat::new(&head.w, width, k), false);
            out.copy_from_slice(&all[..out.len()]);
            for row in out.chunks_exact_mut(k) {
                for ((v, b), s) in row.iter_mut().zip(&head.b).zip(&self.latent_scale) {
                    *v = (0.5 * (*v + b).clamp(LOG_VARIANCE.0, LOG_VARIANCE.1)).exp() / s;
                }
            }
        });
        Some(out)
    }

    /// Rows in their own units from map coordinates.
    pub fn decode(&self, z: &[f32]) -> Vec<f32> {
        let k = self.latent_mean.len();
        let raw: Vec<f32> = z.iter().enumerate().map(|(i, v)| v * self.latent_scale[i % k] + self.latent_mean[i % k]).collect();
        let mut x = self.over_rows(&raw, self.middle() + 1..self.layers.len());
        let d = self.mean.len();
        for row in x.chunks_exact_mut(d) {
            row.iter_mut().zip(&self.mean).for_each(|(v, m)| *v = *v * self.scale + m);
        }
        x
    }

    /// Map coordinates of scaled rows and the root mean square difference of each from what comes back, in the input's
    /// units; masked cells do not count. Rows are decoded chunk by chunk and not kept.
    pub fn encode_and_judge(&self, scaled: &[f32], weights: Option<&[f32]>) -> (Vec<f32>, Vec<f32>) {
        let (d, k, middle) = (self.mean.len(), self.latent_mean.len(), self.middle());
        let n = scaled.len() / d;
        let (mut z, mut errors) = (vec![0.0f32; n * k], vec![0.0f32; n]);
        let forward = self.forward();
        z.par_chunks_mut(TILE * k).zip(errors.par_chunks_mut(TILE)).enumerate().for_each(|(c, (z, errors))| {
            let (first, rows) = (c * TILE, errors.len());
            let x = &scaled[first * d..(first + rows) * d];
            let all = forward.run(&whole(x, d), TILE, 0..middle + 1);
            z.copy_from_slice(&all[..rows * k]);
            let back = forward.run(&all, TILE, middle + 1..self.layers.len());
            for (r, e) in errors.iter_mut().enumerate() {
                let (x, b) = (&x[r * d..(r + 1) * d], &back[r * d..(r + 1) * d]);
                let (sum, weight) = match weights {
                    None => (crate::kernel::distance2(x, b), d as f32),
                    Some(w) => {
                        let w = &w[(first + r) * d..(first + r + 1) * d];
                        let sum = w.iter().zip(x.iter().zip(b)).map(|(w, (x, b))| w * (x - b) * (x - b)).sum::<f32>();
                        (sum, w.iter().sum::<f32>())
                    }
                };
                *e = if weight > 0.0 { (sum / weight).sqrt() * self.scale } else { 0.0 };
            }
        });
        self.to_map(&mut z);
        (z, errors)
    }

    /// Sets mean and width of the latent numbers from some of them.
    fn set_latent(&mut self, z: &[f32]) {
        let k = self.latent_mean.len();
        let n = z.len() / k;
        let mean = crate::kernel::column_means(z, n, k);
        for a in 0..k {
            let var = z.chunks_exact(k).map(|r| (f64::from(r[a]) - mean[a]).powi(2)).sum::<f64>() / n as f64;
            self.latent_mean[a] = mean[a] as f32;
            self.latent_scale[a] = if var > 1e-20 { var.sqrt() as f32 } else { 1.0 };
        }
    }
}
