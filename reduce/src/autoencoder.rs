//! A small autoencoder: rows squeezed through a narrow layer and back.
//!
//! A multilayer perceptron written on `gemm`: encoder, linear latent layer, mirrored decoder, SiLU between (smoother
//! maps than ReLU's, at the price of one exponential), Adam with a cosine schedule, masked inverse-variance loss
//! (masked cells enter as the column's mean and count nothing), a tenth of the rows held out and the best state kept.
//! A framework (burn, candle) was measured 4–8 times slower on such shapes and brings some 200 crates.
//!
//! One step has two parallel phases: rows in chunks of 64 go forward and back, then blocks of weights sum their
//! gradients over the chunks in order and take their Adam step. So the bits do not depend on the number of threads.
//! Cost: 6 flops per weight, row and epoch.

use crate::kernel::{CHUNK, Mat, Rng, mul, wide};
use crate::monitor::{Monitor, Progress};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

const BATCH: usize = 256;
/// Largest learning rate.
const PEAK: f64 = 3e-3;
const ROWS: usize = 64;
const BLOCK: usize = 64;

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
    /// Mean and width of each latent number over the fitted rows: maps show (z − mean) / width.
    pub latent_mean: Vec<f32>,
    pub latent_scale: Vec<f32>,
}

/// What training gave.
pub(crate) struct Trained {
    pub net: Net,
    /// Weighted mean squared error of the rows learned from and of those held out, scaled units.
    pub loss: f64,
    pub held_out: f64,
    pub epochs: usize,
    pub complete: bool,
}

/// Settings of the training.
pub(crate) struct Plan<'a> {
    pub hidden: &'a [usize],
    pub latent: usize,
    pub epochs: usize,
    pub seed: u64,
}

wide! {
    /// Adds the bias to every row, keeps the sum and puts its SiLU (or, if `linear`, itself) into `out`.
    fn activate(sums: &mut [f32], bias: &[f32], linear: bool, out: &mut [f32]) {
        let n = bias.len();
        for (s, o) in sums.chunks_exact_mut(n).zip(out.chunks_exact_mut(n)) {
            for ((s, o), b) in s.iter_mut().zip(o.iter_mut()).zip(bias) {
                *s += *b;
                *o = if linear { *s } else { *s * sigmoid(*s) };
            }
        }
    }
}

wide! {
    /// Multiplies `delta` by the derivative of SiLU at `sums`.
    fn unactivate(delta: &mut [f32], sums: &[f32]) {
        for (d, x) in delta.iter_mut().zip(sums) {
            let s = sigmoid(*x);
            *d *= s * (1.0 + *x * (1.0 - s));
        }
    }
}

/// 1 / (1 + e⁻ˣ) with a polynomial exponential (relative error 3e-6) that compiles to wide instructions.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    let t = (-x).clamp(-80.0, 80.0) * std::f32::consts::LOG2_E;
    let whole = (t + 12_582_912.0) - 12_582_912.0;
    let f = t - whole;
    let p = 1.0 + f * (std::f32::consts::LN_2 + f * (0.240_226_5 + f * (0.055_504_11 + f * (0.009_618_129 + f * 0.001_333_356))));
    let two = f32::from_bits(((whole as i32 + 127) << 23) as u32);
    1.0 / (1.0 + p * two)
}

wide! {
    /// One Adam step (Kingma & Ba 2015) for a block of weights; `rate` has the bias correction in it.
    fn adam(w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], rate: f32, eps: f32) {
        for (((w, g), m), v) in w.iter_mut().zip(g).zip(m.iter_mut()).zip(v.iter_mut()) {
            *m = 0.9 * *m + 0.1 * *g;
            *v = 0.999 * *v + 0.001 * *g * *g;
            *w -= rate * *m / (v.sqrt() + eps);
        }
    }
}

wide! {
    /// Adds `v` times a row of weights.
    fn add(sums: &mut [f32], v: f32, w: &[f32]) {
        for (s, w) in sums.iter_mut().zip(w) {
            *s += v * *w;
        }
    }
}

/// Everything a chunk of rows leaves behind for the gradients.
struct Pass {
    /// Input of each layer, rows × in.
    inputs: Vec<Vec<f32>>,
    /// Derivative of the loss by each layer's sums, rows × out.
    deltas: Vec<Vec<f32>>,
    loss: f64,
    weight: f64,
}

impl Net {
    fn new(d: usize, hidden: &[usize], latent: usize, seed: u64) -> Self {
        let mut sizes = vec![d];
        sizes.extend(hidden.iter().map(|h| (*h).clamp(1, 4096)));
        sizes.push(latent);
        sizes.extend(hidden.iter().rev().map(|h| (*h).clamp(1, 4096)));
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
        Self { sizes, mean: vec![0.0; d], scale: 1.0, layers, latent_mean: vec![0.0; latent], latent_scale: vec![1.0; latent] }
    }

    fn middle(&self) -> usize {
        self.layers.len() / 2 - 1
    }

    fn linear(&self, layer: usize) -> bool {
        layer == self.middle() || layer + 1 == self.layers.len()
    }

    /// Number of weights.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|l| l.w.len() + l.b.len()).sum()
    }

    /// Runs some layers on some rows.
    fn run(&self, x: &[f32], rows: usize, layers: std::ops::Range<usize>) -> Vec<f32> {
        let mut a = x.to_vec();
        for l in layers {
            let (from, to) = (self.sizes[l], self.sizes[l + 1]);
            let mut s = vec![0.0f32; rows * to];
            mul(&mut s, Mat::new(&a, rows, from), Mat::new(&self.layers[l].w, from, to), false);
            let mut out = vec![0.0f32; rows * to];
            activate(&mut s, &self.layers[l].b, self.linear(l), &mut out);
            a = out;
        }
        a
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
            let mut out = vec![0.0f32; to];
            activate(&mut s, &self.layers[l].b, self.linear(l), &mut out);
            a = out;
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
        out.par_chunks_mut(self.mean.len())
            .for_each(|r| r.iter_mut().zip(&self.mean).for_each(|(v, m)| *v = (*v - m) / self.scale));
        out
    }

    fn over_rows(&self, x: &[f32], layers: std::ops::Range<usize>) -> Vec<f32> {
        let (from, to) = (self.sizes[layers.start], self.sizes[layers.end]);
        let mut out = vec![0.0f32; x.len() / from * to];
        out.par_chunks_mut(CHUNK * to)
            .zip(x.par_chunks(CHUNK * from))
            .for_each(|(o, x)| o.copy_from_slice(&self.run(x, x.len() / from, layers.clone())));
        out
    }

    /// Raw latent numbers of scaled rows.
    fn latent(&self, x: &[f32]) -> Vec<f32> {
        self.over_rows(x, 0..self.middle() + 1)
    }

    /// Map coordinates of scaled rows, N × latent.
    pub fn encode(&self, x: &[f32]) -> Vec<f32> {
        let mut z = self.latent(x);
        let k = self.latent_mean.len();
        for row in z.chunks_exact_mut(k) {
            for (v, (m, s)) in row.iter_mut().zip(self.latent_mean.iter().zip(&self.latent_scale)) {
                *v = (*v - m) / s;
            }
        }
        z
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

    /// Root mean square difference of each row from what comes back, in the input's units; masked cells do not count.
    pub fn row_errors(&self, scaled: &[f32], weights: Option<&[f32]>) -> Vec<f32> {
        let d = self.mean.len();
        let back = self.over_rows(scaled, 0..self.layers.len());
        scaled
            .par_chunks(d)
            .zip(back.par_chunks(d))
            .enumerate()
            .map(|(i, (x, b))| {
                let (mut e, mut sum) = (0.0f32, 0.0f32);
                for j in 0..d {
                    let w = weights.map_or(1.0, |w| w[i * d + j]);
                    e += w * (x[j] - b[j]).powi(2);
                    sum += w;
                }
                if sum > 0.0 { (e / sum).sqrt() * self.scale } else { 0.0 }
            })
            .collect()
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

    /// Forward and back for some rows; `norm` divides the gradient.
    fn pass(&self, x: Vec<f32>, target: &[f32], w: Option<&[f32]>, rows: usize, norm: f32) -> Pass {
        let count = self.layers.len();
        let mut inputs = vec![x];
        let mut sums = Vec::with_capacity(count);
        for l in 0..count {
            let (from, to) = (self.sizes[l], self.sizes[l + 1]);
            let mut s = vec![0.0f32; rows * to];
            mul(&mut s, Mat::new(&inputs[l], rows, from), Mat::new(&self.layers[l].w, from, to), false);
            let mut out = vec![0.0f32; rows * to];
            activate(&mut s, &self.layers[l].b, self.linear(l), &mut out);
            sums.push(s);
            inputs.push(out);
        }
        let mut delta = inputs.pop().unwrap_or_default();
        let (mut loss, mut weight) = (0.0f64, 0.0f64);
        for (i, (o, t)) in delta.iter_mut().zip(target).enumerate() {
            let w = w.map_or(1.0, |w| w[i]);
            let e = *o - t;
            loss += f64::from(w * e * e);
            weight += f64::from(w);
            *o = 2.0 * w * e / norm;
        }
        let mut deltas = vec![Vec::new(); count];
        for l in (0..count).rev() {
            if !self.linear(l) {
                unactivate(&mut delta, &sums[l]);
            }
            if l > 0 {
                let (from, to) = (self.sizes[l], self.sizes[l + 1]);
                let mut below = vec![0.0f32; rows * from];
                mul(&mut below, Mat::new(&delta, rows, to), Mat::new(&self.layers[l].w, from, to).t(), false);
                deltas[l] = std::mem::replace(&mut delta, below);
            } else {
                deltas[l] = std::mem::take(&mut delta);
            }
        }
        Pass { inputs, deltas, loss, weight }
    }

    /// Weighted mean squared error of scaled rows.
    fn loss(&self, x: &[f32], w: Option<&[f32]>, rows: &[u32]) -> f64 {
        let d = self.mean.len();
        let parts: Vec<(f64, f64)> = rows
            .par_chunks(ROWS * 4)
            .map(|rows| {
                let x: Vec<f32> = rows.iter().flat_map(|r| x[*r as usize * d..(*r as usize + 1) * d].iter().copied()).collect();
                let back = self.run(&x, rows.len(), 0..self.layers.len());
                let (mut loss, mut sum) = (0.0f64, 0.0f64);
                for (i, (x, b)) in x.iter().zip(&back).enumerate() {
                    let w = w.map_or(1.0, |w| w[rows[i / d] as usize * d + i % d]);
                    loss += f64::from(w * (x - b) * (x - b));
                    sum += f64::from(w);
                }
                (loss, sum)
            })
            .collect();
        parts.iter().map(|p| p.0).sum::<f64>() / parts.iter().map(|p| p.1).sum::<f64>().max(1e-30)
    }
}

/// Epochs that keep the training to about a minute: 2·10¹² flops, 30 to 400.
fn sensible_epochs(parameters: usize, n: usize) -> usize {
    (2.0e12 / (6.0 * parameters as f64 * n as f64)).clamp(30.0, 400.0) as usize
}

/// Trains on rows of `x` (N × d, own units, masked cells at anything finite); `w` are weights of 0..1 or none.
pub(crate) fn train(
    mut x: Vec<f32>,
    w: Option<&[f32]>,
    n: usize,
    d: usize,
    plan: &Plan,
    monitor: &dyn Monitor,
) -> (Trained, Vec<f32>) {
    let mut net = Net::new(d, plan.hidden, plan.latent, plan.seed);
    // Column means over what is not masked, one scale for all: then errors count as in a PCA.
    let (mut mean, mut sum) = (vec![0.0f64; d], vec![0.0f64; d]);
    for (i, v) in x.iter().enumerate() {
        let w = f64::from(w.map_or(1.0, |w| w[i]));
        mean[i % d] += w * f64::from(*v);
        sum[i % d] += w;
    }
    mean.iter_mut().zip(&sum).for_each(|(m, s)| *m /= s.max(1e-30));
    let (mut var, mut all) = (0.0f64, 0.0f64);
    for (i, v) in x.iter().enumerate() {
        let w = f64::from(w.map_or(1.0, |w| w[i]));
        var += w * (f64::from(*v) - mean[i % d]).powi(2);
        all += w;
    }
    net.mean = mean.iter().map(|m| *m as f32).collect();
    net.scale = (var / all.max(1e-30)).sqrt() as f32;
    if net.scale.is_nan() || net.scale <= 0.0 {
        net.scale = 1.0;
    }
    if let Some(w) = w {
        x.iter_mut().enumerate().filter(|(i, _)| w[*i] == 0.0).for_each(|(i, v)| *v = net.mean[i % d]);
    }
    let x = net.scaled(&x);
    let mut rng = Rng::new(plan.seed, 22);
    let order = rng.shuffled(n);
    let (held, learn) = order.split_at(if n >= 50 { n / 10 } else { 0 });
    let judge: &[u32] = if held.is_empty() { learn } else { &held[..held.len().min(20_000)] };
    let batch = BATCH.min((learn.len() / 8).max(16)).min(learn.len());
    let steps = learn.len() / batch;
    let epochs = if plan.epochs == 0 { sensible_epochs(net.parameters(), n) } else { plan.epochs };
    let total = (epochs * steps).max(1);
    let warm = (total / 20).max(1);
    let patience = (epochs / 6).max(8);
    let mut moments: Vec<[Vec<f32>; 4]> = net
        .layers
        .iter()
        .map(|l| [vec![0.0; l.w.len()], vec![0.0; l.w.len()], vec![0.0; l.b.len()], vec![0.0; l.b.len()]])
        .collect();
    let mut best = (net.loss(&x, w, judge), net.clone(), 0usize, f64::NAN);
    let mut complete = true;
    let mut step = 0usize;
    let mut done = 0;
    let mut shown: Option<Instant> = None;
    'training: for epoch in 0..epochs {
        monitor.progress(Progress { stage: "training", done: epoch as u64, of: epochs as u64 });
        let mut turn: Vec<u32> = learn.to_vec();
        for i in (1..turn.len()).rev() {
            turn.swap(i, rng.below(i + 1));
        }
        let (mut loss, mut weight) = (0.0f64, 0.0f64);
        for rows in turn.chunks_exact(batch) {
            if monitor.stop() {
                complete = false;
                break 'training;
            }
            step += 1;
            let cosine = 0.5 * (1.0 + (std::f64::consts::PI * (step as f64 / total as f64).min(1.0)).cos());
            let rate = (1e-5 + (PEAK - 1e-5) * cosine) * (step as f64 / warm as f64).min(1.0);
            let norm: f32 = match w {
                None => (batch * d) as f32,
                Some(w) => {
                    rows.iter().map(|r| w[*r as usize * d..(*r as usize + 1) * d].iter().sum::<f32>()).sum::<f32>().max(1e-6)
                }
            };
            let passes: Vec<Pass> = rows
                .par_chunks(ROWS)
                .map(|rows| {
                    let gather = |from: &[f32]| -> Vec<f32> {
                        rows.iter().flat_map(|r| from[*r as usize * d..(*r as usize + 1) * d].iter().copied()).collect()
                    };
                    let input = gather(&x);
                    let target = input.clone();
                    let w = w.map(gather);
                    net.pass(input, &target, w.as_deref(), rows.len(), norm)
                })
                .collect();
            for p in &passes {
                loss += p.loss;
                weight += p.weight;
            }
            let correction = (1.0 - 0.999f64.powi(step as i32)).sqrt();
            let (rate, eps) = ((rate * correction / (1.0 - 0.9f64.powi(step as i32))) as f32, (1e-8 * correction) as f32);
            learn_from(&mut net, &mut moments, &passes, rate, eps);
        }
        done = epoch + 1;
        let loss = loss / weight.max(1e-30);
        let held_out = net.loss(&x, w, judge);
        if held_out < best.0 {
            best = (held_out, net.clone(), done, loss);
        }
        if shown.is_none_or(|t| t.elapsed() > Duration::from_millis(30)) {
            let z = net.latent(&x);
            net.set_latent(&z);
            monitor.frame(&net.encode(&x), plan.latent, &[("epoch", done as f64), ("loss", loss), ("held_out", held_out)]);
            shown = Some(Instant::now());
        }
        if done > best.2 + patience {
            break;
        }
    }
    let (held_out, mut net, _, loss) = best;
    let z = net.latent(&x);
    net.set_latent(&z);
    monitor.progress(Progress { stage: "training", done: done as u64, of: epochs as u64 });
    (Trained { net, loss, held_out, epochs: done, complete }, x)
}

/// Sums the gradients of each block of weights over the chunks, in order, and steps.
fn learn_from(net: &mut Net, moments: &mut [[Vec<f32>; 4]], passes: &[Pass], rate: f32, eps: f32) {
    let sizes = &net.sizes;
    let mut jobs = Vec::new();
    for (l, (layer, [mw, vw, mb, vb])) in net.layers.iter_mut().zip(moments.iter_mut()).enumerate() {
        let out = sizes[l + 1];
        jobs.push((l, None, &mut layer.b[..], &mut mb[..], &mut vb[..]));
        for (b, ((w, m), v)) in
            layer.w.chunks_mut(BLOCK * out).zip(mw.chunks_mut(BLOCK * out)).zip(vw.chunks_mut(BLOCK * out)).enumerate()
        {
            jobs.push((l, Some(b * BLOCK), w, m, v));
        }
    }
    jobs.into_par_iter().for_each(|(l, block, w, m, v)| {
        let (from, to) = (sizes[l], sizes[l + 1]);
        let mut g = vec![0.0f32; w.len()];
        for p in passes {
            let rows = p.deltas[l].len() / to;
            match block {
                None => {
                    for row in p.deltas[l].chunks_exact(to) {
                        g.iter_mut().zip(row).for_each(|(g, d)| *g += d);
                    }
                }
                Some(first) => {
                    let count = w.len() / to;
                    let a = Mat::strided(&p.inputs[l][first..], rows, count, from);
                    mul(&mut g, a.t(), Mat::new(&p.deltas[l], rows, to), true);
                }
            }
        }
        adam(w, &g, m, v, rate, eps);
    });
}
