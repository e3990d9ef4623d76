//! Training of the autoencoder: Adam (Kingma & Ba 2015), a cosine schedule with a warm-up, a hold-out whose best state is
//! kept, masked inverse-variance weights (masked cells enter as the column's mean and count nothing).
//!
//! One step has two parallel phases over buffers that are made once: rows in parts of 32 to 128 go forward and back, then blocks of
//! weights take their gradient, one product over the whole batch, and their Adam step while it is in cache. What is
//! one part or block does not depend on the number of threads, so the bits do not either.
//!
//! The variational loss is that of Kingma & Welling (2014) with β (Higgins et al. 2017) and with the noise of the data set
//! to what the net reaches (Rybkin, Daniilidis & Levine 2021): columns · ln(mean squared error) / 2 + β · information.
//! With a fixed noise either the clouds fill the map (few columns) or they do nothing (many). β grows from 0 over the
//! first fifth of the steps, against a collapse at the start. The random point of a cloud comes from a counter.
//!
//! Cost: 6 flops per weight, row and epoch.

use super::layers::{activate, activate_in_place, adam, column_sums, differ, differ_weighted, unactivate};
use super::{LOG_VARIANCE, Layer, Net};
use crate::gpu;
use crate::kernel::{CHUNK, Mat, Rng, column_means, mix, mul};
use crate::monitor::{Monitor, Progress};
use crate::product::{Level, Panels, pack_panel, product};
use rayon::prelude::*;
use std::time::{Duration, Instant};

/// Weights that are stepped together.
const BLOCK: usize = 1 << 16;
/// Largest learning rate.
const PEAK: f64 = 0.01;
/// Flops of a step below which a second thread costs more than it does.
const SERIAL: f64 = 3e7;
/// Flops between two looks at the monitor, for which the loop itself runs in the pool: entering it for every phase of
/// every step would cost two changes of thread each time.
const SLICE: f64 = 2e9;

/// What training gave.
pub(crate) struct Trained {
    pub net: Net,
    /// Map coordinates of the rows and their root mean square errors in the input's units, those of the first few alone where it was
    /// stopped.
    pub coords: Vec<f32>,
    pub errors: Vec<f32>,
    /// Weighted mean squared error of the rows learned from and of those held out, scaled units.
    pub loss: f64,
    pub held_out: f64,
    /// Information of a row's cloud beyond the unit normal (Kullback–Leibler), nats; 0 of a plain net.
    pub information: f64,
    pub epochs: usize,
    pub complete: bool,
    /// Where it was trained if a device was offered, and why not there if it was not.
    pub notes: Vec<String>,
}

/// Settings of the training; 0 = chosen here for `epochs`, `batch` and `rate`.
pub(crate) struct Plan<'a> {
    pub hidden: &'a [usize],
    pub latent: usize,
    pub epochs: usize,
    pub batch: usize,
    pub rate: f64,
    /// β of a variational net.
    pub variational: Option<f64>,
    pub seed: u64,
}

/// Rows with their weights.
struct Rows<'a> {
    x: &'a [f32],
    w: Option<&'a [f32]>,
    d: usize,
}

impl Rows<'_> {
    fn row(&self, i: u32) -> &[f32] {
        &self.x[i as usize * self.d..(i as usize + 1) * self.d]
    }

    fn weights(&self, i: u32) -> Option<&[f32]> {
        self.w.map(|w| &w[i as usize * self.d..(i as usize + 1) * self.d])
    }

    fn weight(&self, i: u32) -> f64 {
        self.weights(i).map_or(self.d as f64, |w| f64::from(w.iter().sum::<f32>()))
    }
}

/// The weights of a step, packed for its products.
struct Packed {
    level: Level,
    /// Of each layer, and of their transposes; the first layer's is not needed.
    forward: Vec<Panels>,
    back: Vec<Panels>,
    /// The derivatives by each layer's sums, for the gradient.
    deltas: Vec<Panels>,
}

impl Packed {
    fn new(net: &Net) -> Self {
        let none = || net.layers.iter().map(|_| Panels::default()).collect();
        Self { level: Level::here(), forward: none(), back: none(), deltas: none() }
    }

    fn pack(&mut self, net: &Net, parallel: bool) {
        let level = self.level;
        let mut all = Vec::new();
        for (l, (forward, back)) in self.forward.iter_mut().zip(&mut self.back).enumerate() {
            let (from, to) = (net.sizes[l], net.sizes[l + 1]);
            let w = Mat::new(&net.layers[l].w, from, to);
            all.extend(forward.room(level, from, to).map(|(p, out)| (w, p, out)));
            if l > 0 {
                all.extend(back.room(level, to, from).map(|(p, out)| (w.t(), p, out)));
            }
        }
        each(all, parallel, |(w, p, out)| pack_panel(level, w, p, out));
    }

    fn pack_deltas(&mut self, b: &Buffers, rows: usize, parallel: bool) {
        let level = self.level;
        let mut all = Vec::new();
        for (delta, panels) in b.deltas.iter().zip(&mut self.deltas) {
            let n = delta.len() / rows;
            all.extend(panels.room(level, rows, n).map(|(p, out)| (Mat::new(delta, rows, n), p, out)));
        }
        each(all, parallel, |(delta, p, out)| pack_panel(level, delta, p, out));
    }
}

/// Numbers of a batch, rows × width each.
struct Buffers {
    /// Rows of a part.
    part: usize,
    /// Input of each layer.
    inputs: Vec<Vec<f32>>,
    /// Derivative of SiLU at each layer's sums; of the latent layer the mean of the clouds.
    sums: Vec<Vec<f32>>,
    /// Derivative of the loss by each layer's sums.
    deltas: Vec<Vec<f32>>,
    /// Logarithms of the clouds' variances, what was drawn, and the derivatives by the former.
    clouds: [Vec<f32>; 3],
}

/// The same of some rows.
struct Part<'a> {
    rows: &'a [u32],
    /// Number of the first row within the batch.
    first: usize,
    inputs: Vec<&'a mut [f32]>,
    sums: Vec<&'a mut [f32]>,
    deltas: Vec<&'a mut [f32]>,
    clouds: Vec<&'a mut [f32]>,
    /// Weighted squared error and information.
    cost: &'a mut [f64; 2],
}

impl Buffers {
    fn new(net: &Net, batch: usize) -> Self {
        let make = |width: &usize| vec![0.0f32; batch * width];
        let count = net.layers.len();
        let k = if net.spread.is_some() { net.latent_mean.len() } else { 0 };
        Self {
            part: part(batch),
            inputs: net.sizes[..count].iter().map(make).collect(),
            sums: net.sizes[1..count].iter().map(make).collect(),
            deltas: net.sizes[1..].iter().map(make).collect(),
            clouds: [make(&k), make(&k), make(&k)],
        }
    }

    fn parts<'a>(&'a mut self, rows: &'a [u32], costs: &'a mut [[f64; 2]]) -> Vec<Part<'a>> {
        let (batch, part) = (rows.len(), self.part);
        let mut parts: Vec<Part> = rows
            .chunks(part)
            .zip(costs)
            .enumerate()
            .map(|(c, (rows, cost))| Part {
                rows,
                first: c * part,
                inputs: Vec::new(),
                sums: Vec::new(),
                deltas: Vec::new(),
                clouds: Vec::new(),
                cost,
            })
            .collect();
        fn deal<'a, 'b>(
            buffers: &'a mut [Vec<f32>],
            [batch, part]: [usize; 2],
            parts: &mut [Part<'b>],
            to: impl Fn(&mut Part<'b>, &'a mut [f32]),
        ) {
            for b in buffers.iter_mut().filter(|b| !b.is_empty()) {
                let width = b.len() / batch;
                b.chunks_mut(part * width).zip(parts.iter_mut()).for_each(|(b, p)| to(p, b));
            }
        }
        deal(&mut self.inputs, [batch, part], &mut parts, |p, b| p.inputs.push(b));
        deal(&mut self.sums, [batch, part], &mut parts, |p, b| p.sums.push(b));
        deal(&mut self.deltas, [batch, part], &mut parts, |p, b| p.deltas.push(b));
        deal(&mut self.clouds, [batch, part], &mut parts, |p, b| p.clouds.push(b));
        parts
    }
}

/// One standard normal number for every key (Box & Muller).
fn normal(key: u64) -> f32 {
    let u = 1.0 - (key >> 40) as f32 / (1u64 << 24) as f32;
    let v = (key & 0xff_ffff) as f32 / (1u64 << 24) as f32;
    (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
}

/// Draws a point of the cloud of each row; returns the information of all.
fn draw(z: &mut [f32], log_variances: &mut [f32], bias: &[f32], mut noise: impl FnMut(usize) -> f32) -> f64 {
    let mut information = 0.0f64;
    let k = bias.len();
    for (i, (z, l)) in z.iter_mut().zip(log_variances).enumerate() {
        *l = (*l + bias[i % k]).clamp(LOG_VARIANCE.0, LOG_VARIANCE.1);
        information += 0.5 * f64::from(l.exp() + *z * *z - 1.0 - *l);
        *z += (0.5 * *l).exp() * noise(i);
    }
    information
}

impl Net {
    /// Forward and back for some rows of a batch. `scale` is that of the derivative of the squared error, `pull` the
    /// weight of the information in the same units.
    fn pass(&self, packed: &Packed, p: &mut Part, data: &Rows, scale: f32, pull: f32, key: u64) {
        let (rows, count, middle) = (p.rows.len(), self.layers.len(), self.middle());
        for (to, r) in p.inputs[0].chunks_exact_mut(data.d).zip(p.rows) {
            to.copy_from_slice(data.row(*r));
        }
        *p.cost = [0.0; 2];
        for l in 0..count {
            let (from, to) = (self.sizes[l], self.sizes[l + 1]);
            let layer = &self.layers[l];
            let (below, above) = p.inputs.split_at_mut(l + 1);
            let (a, w) = (Mat::new(&*below[l], rows, from), Mat::new(&layer.w, from, to));
            let through = |out: &mut [f32]| product(packed.level, out, to, a, w, packed.forward[l].all(), false);
            if l + 1 == count {
                through(p.deltas[l]);
            } else if l == middle {
                through(above[0]);
                activate_in_place(above[0], &layer.b, true);
                if let Some(head) = &self.spread {
                    p.sums[l].copy_from_slice(above[0]);
                    let [variances, noise, _] = &mut p.clouds[..] else { continue };
                    mul(variances, a, Mat::new(&head.w, from, to), false);
                    let first = (p.first * to) as u64;
                    noise.iter_mut().enumerate().for_each(|(i, n)| *n = normal(mix(key, first + i as u64)));
                    p.cost[1] = draw(above[0], variances, &head.b, |i| noise[i]);
                }
            } else {
                through(p.sums[l]);
                activate(p.sums[l], &layer.b, above[0]);
            }
        }
        let bias = &self.layers[count - 1].b;
        for ((out, x), r) in p.deltas[count - 1].chunks_exact_mut(data.d).zip(p.inputs[0].chunks_exact(data.d)).zip(p.rows) {
            p.cost[0] += f64::from(match data.weights(*r) {
                None => differ(out, bias, x, scale),
                Some(w) => differ_weighted(out, bias, x, w, scale),
            });
        }
        for l in (1..count).rev() {
            let (from, to) = (self.sizes[l], self.sizes[l + 1]);
            let (below, above) = p.deltas.split_at_mut(l);
            let below = &mut *below[l - 1];
            let (delta, w) = (Mat::new(&*above[0], rows, to), Mat::new(&self.layers[l].w, from, to).t());
            product(packed.level, below, from, delta, w, packed.back[l].all(), false);
            if let Some(head) = self.spread.as_ref().filter(|_| l == middle) {
                mul(below, Mat::new(&*p.clouds[2], rows, to), Mat::new(&head.w, from, to).t(), true);
            }
            if l - 1 != middle {
                unactivate(below, p.sums[l - 1]);
            } else if self.spread.is_some()
                && let [variances, noise, slopes] = &mut p.clouds[..]
            {
                for (i, d) in below.iter_mut().enumerate() {
                    let variance = variances[i].exp();
                    let bound = variances[i] <= LOG_VARIANCE.0 || variances[i] >= LOG_VARIANCE.1;
                    let slope = 0.5 * (*d * variance.sqrt() * noise[i] + pull * (variance - 1.0));
                    slopes[i] = if bound { 0.0 } else { slope };
                    *d += pull * p.sums[middle][i];
                }
            }
        }
    }

    /// Weighted mean squared error of some rows and information of a row.
    fn judge(&self, data: &Rows, rows: &[u32]) -> (f64, f64) {
        let (d, middle) = (data.d, self.middle());
        let forward = self.forward();
        let parts: Vec<[f64; 3]> = rows
            .par_chunks(CHUNK / 4)
            .map(|rows| {
                let n = rows.len();
                let mut x: Vec<f32> = Vec::with_capacity(n * d);
                rows.iter().for_each(|r| x.extend_from_slice(data.row(*r)));
                let (mut z, mut information) = (Vec::new(), 0.0);
                if let Some(head) = &self.spread {
                    let last = forward.run(&x, n, 0..middle);
                    let (from, k) = (self.sizes[middle], head.b.len());
                    z = forward.run(&last, n, middle..middle + 1);
                    let mut variances = vec![0.0f32; n * k];
                    mul(&mut variances, Mat::new(&last, n, from), Mat::new(&head.w, from, k), false);
                    let noise = |i: usize| normal(mix(u64::from(rows[i / k]), 900 + (i % k) as u64));
                    information = draw(&mut z, &mut variances, &head.b, noise);
                }
                let back = match z.is_empty() {
                    true => forward.run(&x, n, 0..self.layers.len()),
                    false => forward.run(&z, n, middle + 1..self.layers.len()),
                };
                let (mut loss, mut sum) = (0.0f64, 0.0f64);
                for ((x, b), r) in x.chunks_exact(d).zip(back.chunks_exact(d)).zip(rows) {
                    sum += data.weight(*r);
                    loss += match data.weights(*r) {
                        None => f64::from(crate::kernel::distance2(x, b)),
                        Some(w) => x.iter().zip(b).zip(w).map(|((x, b), w)| f64::from(w * (x - b) * (x - b))).sum(),
                    };
                }
                [loss, sum, information]
            })
            .collect();
        let all = parts.iter().fold([0.0; 3], |a, p| [a[0] + p[0], a[1] + p[1], a[2] + p[2]]);
        (all[0] / all[1].max(1e-30), all[2] / rows.len().max(1) as f64)
    }

    /// Means of the columns and one scale for all, over what is not masked: then errors count as in a PCA. Masked cells
    /// become the mean, and all are scaled.
    fn prepare(&mut self, x: &mut [f32], w: Option<&[f32]>) {
        let d = self.mean.len();
        let n = x.len() / d;
        let mean: Vec<f64> = match w {
            None => column_means(x, n, d),
            Some(w) => {
                let weighted: Vec<f32> = x.iter().zip(w).map(|(x, w)| x * w).collect();
                let sums = column_means(w, n, d);
                column_means(&weighted, n, d).iter().zip(&sums).map(|(m, s)| m / s.max(1e-30)).collect()
            }
        };
        self.mean = mean.iter().map(|m| *m as f32).collect();
        let parts: Vec<(f64, f64)> = x
            .par_chunks(CHUNK * d)
            .enumerate()
            .map(|(c, x)| {
                let (mut var, mut all) = (0.0f64, 0.0f64);
                for (r, row) in x.chunks_exact(d).enumerate() {
                    let w = w.map(|w| &w[(c * CHUNK + r) * d..][..d]);
                    for (j, (v, m)) in row.iter().zip(&mean).enumerate() {
                        let w = w.map_or(1.0, |w| f64::from(w[j]));
                        var += w * (f64::from(*v) - m).powi(2);
                        all += w;
                    }
                }
                (var, all)
            })
            .collect();
        let (var, all) = parts.iter().fold((0.0, 0.0), |a, p| (a.0 + p.0, a.1 + p.1));
        self.scale = (var / all.max(1e-30)).sqrt() as f32;
        if self.scale.is_nan() || self.scale <= 0.0 {
            self.scale = 1.0;
        }
        if let Some(w) = w {
            x.iter_mut().enumerate().filter(|(i, _)| w[*i] == 0.0).for_each(|(i, v)| *v = self.mean[i % d]);
        }
        self.scale_rows(x);
    }
}

/// Gradient, first and second moments of a layer's weights and biases.
pub(crate) struct Moments {
    pub w: [Vec<f32>; 3],
    pub b: [Vec<f32>; 3],
}

impl Moments {
    pub fn of(layer: &Layer) -> Self {
        let zeros = |v: &Vec<f32>| std::array::from_fn(|_| vec![0.0; v.len()]);
        Self { w: zeros(&layer.w), b: zeros(&layer.b) }
    }
}

/// Weights that are stepped together.
struct Job<'a> {
    /// Inputs and their width, the first input these weights are of (or that they are biases), and derivatives.
    input: &'a [f32],
    from: usize,
    first: Option<usize>,
    delta: &'a [f32],
    panels: &'a [f32],
    to: usize,
    w: &'a mut [f32],
    g: &'a mut [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
}

fn jobs<'a>(
    layer: &'a mut Layer,
    moments: &'a mut Moments,
    input: &'a [f32],
    (delta, panels): (&'a [f32], &'a [f32]),
    rows: usize,
    out: &mut Vec<Job<'a>>,
) {
    let (from, to) = (input.len() / rows, layer.b.len());
    let ([gw, mw, vw], [gb, mb, vb]) = (&mut moments.w, &mut moments.b);
    // About as much work in each block.
    let count = (BLOCK / to).clamp(1, from);
    let size = count * to;
    let blocks = layer.w.chunks_mut(size).zip(gw.chunks_mut(size)).zip(mw.chunks_mut(size).zip(vw.chunks_mut(size)));
    for (b, ((w, g), (m, v))) in blocks.enumerate() {
        out.push(Job { input, from, first: Some(b * count), delta, panels, to, w, g, m, v });
    }
    out.push(Job { input, from, first: None, delta, panels, to, w: &mut layer.b, g: gb, m: mb, v: vb });
}

/// Calls `f` with each of some items, by one thread or by all.
fn each<T: Send>(items: Vec<T>, parallel: bool, f: impl Fn(T) + Sync + Send) {
    if parallel { items.into_par_iter().with_max_len(1).for_each(f) } else { items.into_iter().for_each(f) }
}

/// Gradient and Adam step of every block of weights.
fn learn(
    net: &mut Net,
    moments: &mut [Moments],
    b: &Buffers,
    packed: &Packed,
    rows: usize,
    [rate, eps]: [f32; 2],
    parallel: bool,
) {
    let (middle, level) = (net.middle(), packed.level);
    let mut all = Vec::new();
    let count = net.layers.len();
    let (of_layers, of_spread) = moments.split_at_mut(count);
    for (l, (layer, m)) in net.layers.iter_mut().zip(of_layers).enumerate() {
        jobs(layer, m, &b.inputs[l], (&b.deltas[l], packed.deltas[l].all()), rows, &mut all);
    }
    if let (Some(layer), [m]) = (&mut net.spread, of_spread) {
        jobs(layer, m, &b.inputs[middle], (&b.clouds[2], &[]), rows, &mut all);
    }
    each(all, parallel, |j| {
        match j.first {
            None => column_sums(j.delta, j.g),
            Some(first) => {
                let a = Mat::strided(&j.input[first..], rows, j.w.len() / j.to, j.from);
                product(level, j.g, j.to, a.t(), Mat::new(j.delta, rows, j.to), j.panels, false);
            }
        }
        adam(j.w, j.g, j.m, j.v, rate, eps);
    });
}

/// Rows of a batch that go through the net together.
fn part(batch: usize) -> usize {
    (batch / 2).clamp(32, 128)
}

/// Rows of a step: small steps learn more from the same rows, large ones keep more threads busy.
fn sensible_batch(n: usize) -> usize {
    match n {
        0..20_000 => 64,
        20_000..50_000 => 128,
        _ => 256,
    }
    .min((n / 8).max(16))
}

/// Epochs that keep the training to some 10 to 30 seconds of one processor: 10¹² flops, 15 to 100 passes.
fn sensible_epochs(parameters: usize, n: usize) -> usize {
    (1.0e12 / (6.0 * parameters as f64 * n as f64)).clamp(15.0, 100.0) as usize
}

/// Shows the map now and then, at most a twentieth of the time.
struct Frames<'a> {
    monitor: &'a dyn Monitor,
    next: Option<Instant>,
}

impl Frames<'_> {
    fn show(&mut self, net: &Net, x: &[f32], epoch: f64, loss: f64, held_out: f64) {
        let now = Instant::now();
        if !self.monitor.watches() || self.next.is_some_and(|t| now < t) {
            return;
        }
        let mut shown = net.clone();
        let mut z = shown.latent(x);
        shown.set_latent(&z);
        shown.to_map(&mut z);
        self.monitor.frame(&z, net.latent_mean.len(), &[("epoch", epoch), ("loss", loss), ("held_out", held_out)]);
        self.next = Some(now + Duration::from_millis(50).max(20 * now.elapsed()));
    }
}

/// Learning rates of the steps: a warm-up, then a cosine to its end, with Adam's correction of the moments.
struct Tempo {
    peak: f64,
    warm: usize,
    total: usize,
}

impl Tempo {
    /// Adam's step and ε at a step, the first is 1.
    fn at(&self, step: usize) -> (f32, f32) {
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / self.total as f64).cos());
        let rate = (0.003 + 0.997 * cosine) * self.peak * (step as f64 / self.warm as f64).min(1.0);
        let correction = (1.0 - 0.999f64.powi(step as i32)).sqrt();
        ((rate * correction / (1.0 - 0.9f64.powi(step as i32))) as f32, (1e-8 * correction) as f32)
    }
}

/// What the processor keeps from step to step.
pub(crate) struct Stepper {
    buffers: Buffers,
    packed: Packed,
    costs: Vec<[f64; 2]>,
    parallel: bool,
}

impl Stepper {
    pub fn new(net: &Net, batch: usize, parallel: bool) -> Self {
        Self {
            buffers: Buffers::new(net, batch),
            packed: Packed::new(net),
            costs: vec![[0.0; 2]; batch.div_ceil(part(batch))],
            parallel,
        }
    }

    /// One step on some rows of `data`; their weighted squared error.
    fn step(
        &mut self,
        net: &mut Net,
        moments: &mut [Moments],
        data: &Rows,
        rows: &[u32],
        [scale, pull, rate, eps]: [f32; 4],
        key: u64,
    ) -> f64 {
        self.packed.pack(net, self.parallel);
        let parts = self.buffers.parts(rows, &mut self.costs);
        each(parts, self.parallel, |mut p| net.pass(&self.packed, &mut p, data, scale, pull, key));
        self.packed.pack_deltas(&self.buffers, rows.len(), self.parallel);
        learn(net, moments, &self.buffers, &self.packed, rows.len(), [rate, eps], self.parallel);
        self.costs.iter().map(|c| c[0]).sum()
    }

    /// A step on rows of `x`, and what was left behind: inputs, slopes and derivatives of the layers.
    #[cfg(test)]
    pub fn look(
        mut self,
        net: &mut Net,
        moments: &mut [Moments],
        (x, w): (&[f32], Option<&[f32]>),
        rows: &[u32],
        [scale, rate, eps]: [f32; 3],
    ) -> (f64, [Vec<Vec<f32>>; 3]) {
        let data = Rows { x, w, d: net.mean.len() };
        let cost = self.step(net, moments, &data, rows, [scale, 0.0, rate, eps], 0);
        (cost, [self.buffers.inputs, self.buffers.sums, self.buffers.deltas])
    }
}

/// The device for a training, if one is offered and fit for it; says what became of it.
fn device_for(
    context: Option<&gpu::Context>,
    net: &Net,
    moments: &[Moments],
    data: &Rows,
    batch: usize,
    learned: usize,
    notes: &mut Vec<String>,
) -> Option<gpu::Trainer> {
    let context = context?;
    if net.spread.is_some() {
        notes.push("trained on the processor: it is the variational kind".into());
        return None;
    }
    if let Err(why) = gpu::fit(context, data.x.len() / data.d, data.d, net.parameters(), batch) {
        notes.push(format!("trained on the processor: {why}"));
        return None;
    }
    match gpu::Trainer::new(context, net, moments, data.x, data.w, batch, learned) {
        Ok(trainer) => {
            notes.push(format!("trained on {} ({})", context.info.name, context.info.backend));
            Some(trainer)
        }
        Err(why) => {
            notes.push(format!("trained on the processor: {} failed: {why}", context.info.name));
            None
        }
    }
}

/// One pass over `turn` on the device, in slices that leave a window its frames; the sums of errors and weights, or `None`
/// when it was stopped. Net and moments come back at the end.
fn pass_on(
    trainer: &mut gpu::Trainer,
    net: &mut Net,
    moments: &mut [Moments],
    data: &Rows,
    turn: &[u32],
    tempo: impl Fn(usize) -> (f32, f32),
    monitor: &dyn Monitor,
) -> Result<Option<(f64, f64)>, String> {
    let batch = trainer.batch();
    trainer.order(turn);
    let norms: Vec<f64> = turn.chunks_exact(batch).map(|rows| rows_weight(data, rows).max(1e-6)).collect();
    let (mut done, mut slice, mut sum) = (0, 1, 0.0f64);
    while done < norms.len() {
        if monitor.stop() {
            return Ok(None);
        }
        let count = slice.min(norms.len() - done);
        let steps: Vec<gpu::Step> = (done..done + count)
            .map(|s| {
                let (rate, eps) = tempo(s + 1);
                gpu::Step { first: (s * batch) as u32, scale: (2.0 / norms[s]) as f32, rate, eps }
            })
            .collect();
        let clock = Instant::now();
        sum += trainer.run(&steps)?.iter().map(|c| f64::from(*c)).sum::<f64>();
        done += count;
        match clock.elapsed() {
            t if t > gpu::SLICE => slice = (slice / 2).max(1),
            t if t < gpu::SLICE / 2 => slice = (slice * 2).min(gpu::MOST),
            _ => {}
        }
    }
    trainer.keep(net, moments)?;
    if !sum.is_finite() {
        return Err("the error is not finite".into());
    }
    Ok(Some((sum, norms.iter().sum())))
}

/// Trains on rows of `x` (N × d, own units, masked cells at anything finite); `w` are weights of 0..1 or none. Steps run on the
/// device if one is offered and fit for them, and on the processor from the last whole pass on when it fails.
pub(crate) fn train(
    context: Option<&gpu::Context>,
    mut x: Vec<f32>,
    w: Option<&[f32]>,
    d: usize,
    plan: &Plan,
    monitor: &dyn Monitor,
) -> Trained {
    let n = x.len() / d;
    let mut net = Net::new(d, plan.hidden, plan.latent, plan.variational.is_some(), plan.seed);
    net.prepare(&mut x, w);
    let data = Rows { x: &x, w, d };
    let mut rng = Rng::new(plan.seed, 22);
    let order = rng.shuffled(n);
    let (held, learned) = order.split_at(if n >= 50 { (n / 10).min(4_000) } else { 0 });
    let judges = if held.is_empty() { learned } else { held };
    let mut turn: Vec<u32> = learned.to_vec();
    let batch = if plan.batch > 0 { plan.batch } else { sensible_batch(turn.len()) }.min(turn.len());
    let steps = turn.len() / batch;
    let epochs = if plan.epochs == 0 { sensible_epochs(net.parameters(), n) } else { plan.epochs };
    let total = (epochs * steps).max(1);
    let peak = if plan.rate > 0.0 { plan.rate } else { PEAK };
    let tempo = Tempo { peak, warm: (total / 20).max(1), total };
    // Before the rate has come down, nothing says that the best is behind.
    let patience = (epochs / 2).max(8);
    let work = 6.0 * net.parameters() as f64 * batch as f64;
    let parallel = work > SERIAL;
    let slice = ((SLICE / work) as usize).clamp(1, 64);
    let mut moments: Vec<Moments> = net.layers.iter().chain(&net.spread).map(Moments::of).collect();
    let mut notes = Vec::new();
    let mut device = device_for(context, &net, &moments, &data, batch, turn.len(), &mut notes);
    let mut stepper = Stepper::new(&net, batch, parallel);
    // What a state is worth: smaller is better.
    let cells = rows_weight(&data, judges) / judges.len() as f64;
    let worth = |mse: f64, information: f64| match plan.variational {
        None => mse,
        Some(beta) => 0.5 * cells * mse.max(1e-12).ln() + beta * information,
    };
    let (mut held_out, mut information) = net.judge(&data, judges);
    let mut best = (worth(held_out, information), net.clone(), 0usize, [held_out, information, f64::NAN]);
    // The error that sets the noise of a variational net, and the mean over the last epoch.
    let mut noise = held_out;
    let first = held_out;
    let mut loss = f64::NAN;
    let mut frames = Frames { monitor, next: None };
    let (mut step, mut done, mut complete) = (0usize, 0, true);
    // Steps are made smaller when the net went astray: very wide layers take less than others.
    let mut damp = 1.0f32;
    'training: for epoch in 0..epochs {
        monitor.progress(Progress { stage: "training", done: epoch as u64, of: epochs as u64 });
        for i in (1..turn.len()).rev() {
            turn.swap(i, rng.below(i + 1));
        }
        let (mut sum, mut weight) = (0.0f64, 0.0f64);
        if let Some(trainer) = &mut device {
            let learned = &turn[..steps * batch];
            match pass_on(trainer, &mut net, &mut moments, &data, learned, |s| tempo.at(step + s), monitor) {
                Ok(Some(sums)) => {
                    (sum, weight) = sums;
                    step += steps;
                }
                Ok(None) => {
                    complete = false;
                    break 'training;
                }
                Err(why) => {
                    notes = vec![format!("{} after {epoch} passes and the processor went on: {why}", failed(context))];
                    device = None;
                }
            }
        }
        let rest = if device.is_some() { &[] } else { &turn[..steps * batch] };
        for some in rest.chunks(batch * slice) {
            if monitor.stop() {
                complete = false;
                break 'training;
            }
            let mut run = || {
                for rows in some.chunks_exact(batch) {
                    step += 1;
                    let norm = rows_weight(&data, rows).max(1e-6);
                    let grown = (5.0 * step as f64 / total as f64).min(1.0);
                    let pull = plan.variational.map_or(0.0, |beta| beta * grown * 2.0 * noise / norm);
                    let key = mix(plan.seed ^ 0x7a65, step as u64);
                    let (rate, eps) = tempo.at(step);
                    let numbers = [(2.0 / norm) as f32, pull as f32, rate * damp, eps];
                    let cost = stepper.step(&mut net, &mut moments, &data, rows, numbers, key);
                    sum += cost;
                    weight += norm;
                    noise += 0.05 * (cost / norm - noise);
                }
            };
            if parallel {
                rayon::scope(|_| run())
            } else {
                run()
            }
            if epoch > 0 {
                frames.show(&net, &x, step as f64 / steps as f64, loss, held_out);
            }
        }
        done = epoch + 1;
        loss = sum / weight.max(1e-30);
        (held_out, information) = net.judge(&data, judges);
        // An error of a hundred times what nothing learned would leave is no way to go on from.
        if !(held_out.is_finite() && loss.is_finite() && held_out < 100.0 * first.max(1.0)) && damp > 1e-3 {
            damp *= 0.2;
            notes.push(format!("the error grew without end after {done} passes: the steps were made smaller"));
            net = best.1.clone();
            moments = net.layers.iter().chain(&net.spread).map(Moments::of).collect();
            stepper = Stepper::new(&net, batch, parallel);
            device = None;
            (noise, held_out) = (first, best.3[0]);
            continue;
        }
        let now = worth(held_out, information);
        if now < best.0 {
            best = (now, net.clone(), done, [held_out, information, loss]);
        }
        frames.show(&net, &x, done as f64, loss, held_out);
        if done > best.2 + patience {
            break;
        }
    }
    let (_, mut net, _, [held_out, information, loss]) = best;
    // Nothing was better than the beginning.
    let loss = if loss.is_finite() { loss } else { net.judge(&data, learned).0 };
    monitor.progress(Progress { stage: "training", done: done as u64, of: epochs as u64 });
    // Who stops it wants the map now: the way back is taken for some rows alone, to know what is usual.
    let some = if complete { n } else { n.min(4_096) };
    let (mut coords, errors) = net.encode_and_judge(&x[..some * d], w.map(|w| &w[..some * d]));
    if some < n {
        coords = net.over_rows(&x, 0..net.middle() + 1);
    }
    net.set_latent(&coords);
    net.to_map(&mut coords);
    Trained { net, coords, errors, loss, held_out, information, epochs: done, complete, notes }
}

/// Names a device that failed.
fn failed(context: Option<&gpu::Context>) -> String {
    format!("{} failed", context.map_or("the device", |c| c.info.name.as_str()))
}

/// Sum of all weights of some rows.
fn rows_weight(data: &Rows, rows: &[u32]) -> f64 {
    if data.w.is_none() { (rows.len() * data.d) as f64 } else { rows.iter().map(|r| data.weight(*r)).sum() }
}
