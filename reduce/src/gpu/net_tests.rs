//! The autoencoder's kernels against the processor's own step, on whatever adapter there is.
#![allow(clippy::unwrap_used)]

use super::tests::{context, off};
use super::*;
use crate::autoencoder::{Moments, Net, Stepper};
use crate::kernel::Rng;
use crate::monitor::{Monitor, Quiet};
use crate::{Embedding, Method, Model, Params, Progress, embed, embed_on};
use ndarray::Array2;

fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed, 0);
    (0..count).map(|_| rng.normal() as f32).collect()
}

/// Every kernel of a step, from what lies in its buffers afterwards; sizes that fill no tile, more than one tile, one column.
#[test]
fn a_step_is_the_processors() {
    let Some(context) = context() else { return };
    for (d, hidden, latent, batch, weighted) in
        [(100, vec![70, 33], 3, 96, false), (17, vec![8], 2, 16, true), (130, vec![129, 5], 1, 65, true)]
    {
        let n = 200;
        let x = random(n * d, 1);
        // A third of the cells masked.
        let w: Option<Vec<f32>> = weighted.then(|| random(n * d, 2).iter().map(|v| (v.abs() - 0.4).clamp(0.0, 1.0)).collect());
        let mut net = Net::new(d, &hidden, latent, false, 5);
        let mut rng = Rng::new(7, 0);
        net.layers.iter_mut().for_each(|l| l.b.iter_mut().for_each(|b| *b = 0.3 * rng.normal() as f32));
        let mut moments: Vec<Moments> = net.layers.iter().map(Moments::of).collect();
        for m in &mut moments {
            for all in [&mut m.w, &mut m.b] {
                all[1].iter_mut().for_each(|v| *v = 1e-3 * rng.normal() as f32);
                all[2].iter_mut().for_each(|v| *v = 1e-4 * rng.uniform() as f32);
            }
        }
        let order = Rng::new(3, 0).shuffled(n);
        let mut trainer = Trainer::new(&context, &net, &moments, &x, w.as_deref(), batch, n).unwrap();
        trainer.order(&order);
        let step = |first: usize| Step { first: first as u32, scale: 2.0 / (batch * d) as f32, rate: 1e-3, eps: 1e-8 };
        // The second step of two: the first leaves traces if the count of steps does not move on.
        for (s, first) in [0, n - batch].into_iter().enumerate() {
            let rows = &order[first..first + batch];
            let numbers = [step(first).scale, 1e-3, 1e-8];
            let before = net.layers.clone();
            let (cost, want) = Stepper::new(&net, batch, false).look(&mut net, &mut moments, (&x, w.as_deref()), rows, numbers);
            let got = trainer.run(&[step(first)]).unwrap()[0];
            assert!((f64::from(got) / cost - 1.0).abs() < 1e-5, "error {got} and {cost}");
            for (which, name) in ["input", "slope", "derivative"].iter().enumerate() {
                for (l, want) in want[which].iter().enumerate() {
                    // The latent layer has no slope.
                    if which == 1 && l == net.middle() {
                        continue;
                    }
                    let got = trainer.look(which, l, want.len());
                    let differ = off(want, &got);
                    assert!(differ < 2e-5, "step {s}, {d} columns: {name} of layer {l} differs by {differ:.1e}");
                }
            }
            let (mut there, mut theirs) = (net.clone(), net.layers.iter().map(Moments::of).collect::<Vec<_>>());
            trainer.keep(&mut there, &mut theirs).unwrap();
            for l in 0..before.len() {
                let pairs =
                    [(&net.layers[l].w, &there.layers[l].w, &before[l].w), (&net.layers[l].b, &there.layers[l].b, &before[l].b)];
                for (want, got, before) in pairs {
                    let change = |after: &[f32]| after.iter().zip(before).map(|(a, b)| a - b).collect::<Vec<f32>>();
                    let differ = off(&change(want), &change(got));
                    assert!(differ < 1e-3, "step {s}, {d} columns: layer {l} learns something else by {differ:.1e}");
                }
                for a in 1..3 {
                    assert!(off(&moments[l].w[a], &theirs[l].w[a]) < 1e-5 && off(&moments[l].b[a], &theirs[l].b[a]) < 1e-5);
                }
            }
            (net.layers, moments) = (there.layers, theirs);
        }
    }
}

/// Rows on a bent sheet in 20 columns.
fn sheet(n: usize) -> Array2<f32> {
    let mut rng = Rng::new(11, 0);
    let mut x = Array2::zeros((n, 20));
    for mut row in x.rows_mut() {
        let (u, v) = (rng.uniform() * 3.0, rng.uniform() * 2.0);
        row.iter_mut().enumerate().for_each(|(j, c)| {
            let f = j as f64 / 20.0;
            *c = ((u * (1.0 + f)).sin() + (v * f * 3.0).cos() + 0.05 * rng.normal()) as f32;
        });
    }
    x
}

fn on(context: &Context, x: &Array2<f32>, params: &Params, monitor: &dyn Monitor) -> Embedding {
    embed_on(Some(context), x.view(), None, None, params, None, monitor).unwrap()
}

fn params() -> Params {
    Params { method: Method::Autoencoder, layers: vec![32, 16], epochs: 12, batch: 64, ..Params::default() }
}

#[test]
fn what_the_device_learned_is_an_ordinary_model() {
    let Some(context) = context() else { return };
    let x = sheet(900);
    let there = on(&context, &x, &params(), &Quiet);
    let here = embed(x.view(), None, &params(), &Quiet).unwrap();
    assert!(there.notes.len() == 1 && there.notes[0].starts_with("trained on "), "{:?}", there.notes);
    assert!(!there.notes[0].contains("processor") && here.notes.is_empty());
    let (got, want) = (there.figures["held_out"], here.figures["held_out"]);
    eprintln!("held out {got:.5} on the device, {want:.5} here");
    assert!(there.complete && (got / want - 1.0).abs() < 0.05, "{got} and {want}");
    // Saved, read back and used by the processor it gives the places that came with it.
    let mut file = Vec::new();
    there.model.save(&mut file).unwrap();
    let model = Model::load(&file[..]).unwrap();
    let placed = model.place(x.view(), &Quiet).unwrap();
    let differ = off(there.coords.as_slice().unwrap(), &placed.coords.iter().copied().collect::<Vec<f32>>());
    assert!(differ < 1e-5, "{differ}");
}

#[test]
fn the_same_device_and_seed_learn_the_same() {
    let Some(context) = context() else { return };
    let (x, params) = (sheet(400), Params { epochs: 3, ..params() });
    let a = on(&context, &x, &params, &Quiet);
    assert!(a.notes[0].starts_with("trained on ") && !a.notes[0].contains("processor"), "{:?}", a.notes);
    assert!(on(&context, &x, &params, &Quiet).coords == a.coords);
    assert!(on(&context, &x, &Params { seed: 1, ..params }, &Quiet).coords != a.coords, "the seed does something");
}

/// Takes the device away after some passes.
struct Thief<'a>(&'a wgpu::Device);

impl Monitor for Thief<'_> {
    fn progress(&self, p: Progress) {
        if p.stage == "training" && p.done == 4 {
            self.0.destroy();
        }
    }
}

#[test]
fn a_lost_device_is_no_lost_net() {
    let Some(context) = context() else { return };
    let x = sheet(600);
    let a = on(&context, &x, &params(), &Thief(&context.device));
    eprintln!("{:?}", a.notes);
    assert!(a.notes[0].contains("after 4 passes and the processor went on"), "{:?}", a.notes);
    let want = embed(x.view(), None, &params(), &Quiet).unwrap().figures["held_out"];
    assert!(a.complete && a.figures["epochs"] > 4.0 && (a.figures["held_out"] / want - 1.0).abs() < 0.1);
}

#[test]
fn clouds_and_small_steps_stay_at_home() {
    let Some(context) = context() else { return };
    let x = sheet(300);
    let a = on(&context, &x, &Params { variational: true, epochs: 2, ..params() }, &Quiet);
    assert!(a.notes[0].contains("variational"));
    let strict = Context { anything: false, ..context };
    let info =
        |device_type| wgpu::AdapterInfo { name: "a card".into(), ..wgpu::AdapterInfo::new(device_type, wgpu::Backend::Vulkan) };
    let card = Context { info: info(wgpu::DeviceType::DiscreteGpu), ..strict.clone() };
    assert!(fit(&card, 20_000, 784, 435_858, 256) == Ok(()));
    assert!(fit(&card, 10_000, 5, 40_000, 64).unwrap_err().contains("too small"));
    assert!(fit(&card, 100_000_000, 784, 435_858, 256).unwrap_err().contains("MB in one buffer"));
    let software = Context { info: info(wgpu::DeviceType::Cpu), ..strict };
    assert!(fit(&software, 20_000, 784, 435_858, 256).unwrap_err().contains("software"));
}
