//! Every kernel against the processor's own code, on whatever adapter there is (Mesa's software Vulkan will do).
#![allow(clippy::unwrap_used)]

use super::*;
use crate::affinity::{Joint, join};
use crate::kernel::Rng;
use crate::monitor::{Monitor, Quiet};
use crate::tsne::mesh::Mesh;
use crate::tsne::{Pace, Schedule, divergence, exact_divergence};
use crate::{Embedding, Params, embed, embed_on};
use ndarray::Array2;
use std::path::PathBuf;

/// The best adapter; `None`, said aloud, where there is none.
pub(super) fn context() -> Option<Context> {
    let backends = wgpu::Backends::from_env().unwrap_or(wgpu::Backends::PRIMARY);
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    let instance = wgpu::Instance::new(descriptor);
    for adapter in pollster::block_on(instance.enumerate_adapters(backends)) {
        let descriptor = wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
        if let Ok((device, queue)) = pollster::block_on(adapter.request_device(&descriptor)) {
            return Some(Context::new(device, queue, adapter.get_info()).whatever_the_adapter());
        }
    }
    eprintln!("SKIPPED: there is no adapter to compute on");
    None
}

/// Rows of the large map of digits.
const MANY: usize = 4200;

fn cloud(n: usize, span: f32) -> Vec<[f32; 2]> {
    let mut rng = Rng::new(3, 0);
    (0..n).map(|_| [(rng.uniform() as f32 - 0.5) * span, (rng.uniform() as f32 - 0.5) * span]).collect()
}

/// A random symmetric matrix whose rows are of very different lengths.
fn matrix(n: usize) -> Joint {
    let mut rng = Rng::new(9, 0);
    let ids: Vec<u32> = (0..n)
        .flat_map(|i| (0..6).map(|_| ((i + 1 + rng.below(n - 1).min(rng.below(n - 1)) / 4) % n) as u32).collect::<Vec<u32>>())
        .collect();
    let values: Vec<f32> = (0..6 * n).map(|_| rng.uniform() as f32 / (6 * n) as f32).collect();
    join(&ids, &values, n, 6, None, |p, q| p + q)
}

fn pace() -> Pace {
    Pace { iterations: 500, early: 150, late: 1.0, momentum: 0.85 }
}

/// Relative root mean square difference.
pub(super) fn off(a: &[f32], b: &[f32]) -> f64 {
    let square = |v: f64| v * v;
    let (mut off, mut all) = (0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        off += square(f64::from(*a) - f64::from(*b));
        all += square(f64::from(*a));
    }
    (off / all).sqrt()
}

#[test]
fn the_devices_mesh_is_the_processors() {
    let Some(context) = context() else { return };
    for (n, span, spacing) in
        [(2500, 1e-3, 0.5), (2500, 0.19, 0.5), (3000, 1.0, 0.5), (2500, 30.0, 1.0 / 3.0), (2500, 300.0, 0.5)]
    {
        let y = cloud(n, span);
        let mut layout = Layout::new(&context, &matrix(n), &y, None, None, spacing, &pace(), 0).unwrap();
        layout.widen((span / spacing) as usize + 10).unwrap();
        let inside = layout.inside().unwrap();
        let mut want = vec![[0.0f32; 2]; n];
        let mut mesh = Mesh::new(spacing);
        let z = mesh.forces(&y, &mut want);
        let found: Vec<f32> = inside.forces.iter().flat_map(|f| [f[0], f[1]]).collect();
        let forces = off(want.as_flattened(), &found);
        let dz = (f64::from(inside.state.z) / z - 1.0).abs();
        eprintln!("span {span}, {} nodes: forces differ by {forces:.1e}, Z by {dz:.1e}", layout.nodes());
        assert!(forces < 2e-3 && dz < 1e-4, "span {span}: {forces:.1e}, {dz:.1e}");
        assert_eq!(inside.state.close == 1, span <= 0.2);
        assert!((inside.state.span / span - 1.0).abs() < 0.01 && inside.state.halt == 1 && inside.state.iteration == 0);
        if span > 0.2 {
            // The charges spread, and the field at nodes as the sum over all points would have it.
            let spread: f64 = inside.grid.iter().map(|v| f64::from(*v)).sum();
            assert!((spread / n as f64 - 1.0).abs() < 1e-5, "{spread} charges of {n}");
            let nodes = layout.nodes();
            for (row, column) in [(nodes / 2, nodes / 2), (nodes / 2 + 3, nodes / 2 - 2)] {
                let at = |node: usize, a: usize| (node as f32 - (nodes / 2) as f32) * spacing + inside.state.centre[a];
                // At a node the field is 2/3 of its own and 1/6 of either neighbour's value, in both directions.
                let w = [1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0];
                let mut got = 0.0f32;
                for (a, wa) in w.iter().enumerate() {
                    for (b, wb) in w.iter().enumerate() {
                        got += wa * wb * inside.field[(row + a - 1) * nodes + column + b - 1];
                    }
                }
                let (px, py) = (at(column, 0), at(row, 1));
                let want: f32 = y.iter().map(|p| 1.0 / (1.0 + (p[0] - px).powi(2) + (p[1] - py).powi(2))).sum();
                assert!((got / want - 1.0).abs() < 0.05, "field {got} at a node, {want} by the sum");
            }
        }
    }
}

#[test]
fn iterations_and_divergence_are_the_processors() {
    let Some(context) = context() else { return };
    // More rows than the processor sums all pairs of: both use the mesh.
    let n = 4100;
    let joint = matrix(n);
    for (span, done, iterations) in [(20.0, 0, 1), (20.0, 0, 3), (20.0, 200, 1)] {
        let y = cloud(n, span);
        let schedule = Schedule {
            iterations: 500,
            settle: false,
            momentum: 0.85,
            exaggeration: 1.0,
            seed: 0,
            spacing: 0.5,
            go_on: false,
            done,
            early: None,
            moves: None,
        };
        let mut layout = Layout::new(&context, &joint, &y, None, None, 0.5, &schedule.pace(n), done).unwrap();
        layout.widen(100).unwrap();
        let start = layout.divergence().unwrap();
        let state = layout.iterate(iterations + 5, done + iterations).unwrap();
        assert_eq!(state.iteration as usize, done + iterations, "no iteration beyond the one asked for");
        // The processor from the same places: as if the early phase began there.
        let z = Mesh::new(0.5).forces(&y, &mut vec![[0.0; 2]; n]);
        let want = divergence(&joint, &y, z);
        assert!((start - want).abs() < 1e-4 * want.abs(), "divergence {start} and {want}");
        let twin = processor(&joint, &y, done, iterations);
        let moved: Vec<f32> = twin.as_flattened().iter().zip(y.as_flattened()).map(|(a, b)| a - b).collect();
        let places = layout.places().unwrap();
        let found: Vec<f32> = places.as_flattened().iter().zip(y.as_flattened()).map(|(a, b)| a - b).collect();
        let differ = off(&moved, &found);
        eprintln!("{iterations} iterations after {done}: steps differ by {differ:.1e}");
        assert!(differ < 1e-3, "{iterations} iterations after {done}: {differ:.1e}");
    }
}

/// The plain twin of an iteration, in double precision but for the mesh.
fn processor(joint: &Joint, y: &[[f32; 2]], done: usize, iterations: usize) -> Vec<[f32; 2]> {
    let n = y.len();
    let mut y = y.to_vec();
    let (mut update, mut gains, mut rep) = (vec![[0.0f64; 2]; n], vec![[1.0f64; 2]; n], vec![[0.0f32; 2]; n]);
    let mut mesh = Mesh::new(0.5);
    for it in done..done + iterations {
        let z = mesh.forces(&y, &mut rep);
        let (ex, momentum) = if it < 150 { (12.0, 0.8) } else { (1.0, 0.85) };
        let mut next = vec![[0.0f64; 2]; n];
        for i in 0..n {
            let mut pull = [0.0f64; 2];
            for e in joint.starts[i]..joint.starts[i + 1] {
                let other = y[joint.ids[e] as usize];
                let d = [f64::from(y[i][0] - other[0]), f64::from(y[i][1] - other[1])];
                let w = f64::from(joint.p[e]) / (1.0 + d[0] * d[0] + d[1] * d[1]);
                pull = [pull[0] + w * d[0], pull[1] + w * d[1]];
            }
            for a in 0..2 {
                let grad = ex * pull[a] - f64::from(rep[i][a]) / z;
                let turned = (update[i][a] > 0.0) != (grad > 0.0);
                gains[i][a] = if turned { gains[i][a] + 0.2 } else { (gains[i][a] * 0.8).max(0.01) };
                update[i][a] = momentum * update[i][a] - n as f64 / ex * gains[i][a] * grad;
            }
            let norm = (update[i][0].powi(2) + update[i][1].powi(2)).sqrt();
            for a in 0..2 {
                update[i][a] *= if norm > 5.0 { 5.0 / norm } else { 1.0 };
                next[i][a] = f64::from(y[i][a]) + update[i][a];
            }
        }
        for a in 0..2 {
            let mean = next.iter().map(|p| p[a]).sum::<f64>() / n as f64;
            y.iter_mut().zip(&next).for_each(|(p, q)| p[a] = (q[a] - mean) as f32);
        }
    }
    y
}

fn digits() -> Array2<f32> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/peers/digits.bin");
    Array2::from_shape_vec((1797, 64), std::fs::read(file).unwrap().into_iter().map(f32::from).collect()).unwrap()
}

fn on(context: &Context, x: &Array2<f32>, params: &Params, monitor: &dyn Monitor) -> Embedding {
    embed_on(Some(context), x.view(), None, None, params, None, monitor).unwrap()
}

/// Counts what it is told.
#[derive(Default)]
struct Told {
    frames: std::sync::atomic::AtomicUsize,
    rows: std::sync::atomic::AtomicUsize,
    /// Times that the places were there, less those that they were taken back.
    lent: std::sync::atomic::AtomicIsize,
}

impl Monitor for Told {
    fn frame(&self, coords: &[f32], dims: usize, _: &[(&'static str, f64)]) {
        assert!(coords.iter().all(|v| v.is_finite()) && coords.len() == MANY * dims);
        self.frames.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    fn on_device(&self, places: &Places) {
        assert_eq!(places.positions().size(), 8 * places.rows() as u64);
        self.rows.fetch_add(places.rows(), std::sync::atomic::Ordering::Relaxed);
        self.lent.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    fn off_device(&self) {
        assert_eq!(self.lent.fetch_sub(1, std::sync::atomic::Ordering::Relaxed), 1);
    }
}

#[test]
fn a_map_of_digits_is_as_good_as_the_processors() {
    let Some(context) = context() else { return };
    // The digits more than twice, with noise: so many rows that the processor takes the mesh too. Software takes its time:
    // fewer iterations than usual.
    let (plain, mut rng) = (digits(), Rng::new(5, 0));
    let x = Array2::from_shape_fn((MANY, 64), |(i, j)| plain[[i % 1797, j]] + rng.normal() as f32);
    let params = Params { iterations: 200, settle: false, ..Params::default() };
    let told = Told::default();
    let a = on(&context, &x, &params, &told);
    assert_eq!((told.rows.into_inner(), told.lent.into_inner()), (MANY, 0));
    assert!(told.frames.into_inner() > 5);
    let here = embed(x.view(), None, &params, &Quiet).unwrap();
    assert!(a.complete && a.figures["iterations"] == 200.0 && a.notes.len() == 1 && a.notes[0].starts_with("laid out on "));
    // The processor's figure is of all pairs; what the device says of its own map is of the mesh.
    let flat: Vec<f32> = a.coords.iter().copied().collect();
    let near = a.graph.as_ref().unwrap().first(90);
    let joint = crate::affinity::joint(&near, MANY, &[30.0], None, &Quiet).unwrap();
    let (told, got, want) = (a.figures["kl"], exact_divergence(&joint, &flat, 2), here.figures["kl"]);
    eprintln!(
        "{:?}: divergence {got:.4} ({told:.4} by the mesh), the processor's {want:.4}; {:?} and {:?}",
        a.notes, a.seconds, here.seconds
    );
    assert!(got < 1.01 * want, "divergence {got} against {want}");
    assert!((told - got).abs() < 6e-3, "{told} by the device, {got} by all pairs");
}

#[test]
fn the_same_device_and_seed_make_the_same_map() {
    let Some(context) = context() else { return };
    let (x, params) = (digits(), Params { iterations: 40, ..Params::default() });
    let a = on(&context, &x, &params, &Quiet);
    assert!(on(&context, &x, &params, &Quiet).coords == a.coords);
    assert!(on(&context, &x, &Params { seed: 1, ..params }, &Quiet).coords != a.coords, "the seed does something");
}

#[test]
fn rows_come_back_in_their_order() {
    let Some(context) = context() else { return };
    let mut rng = Rng::new(4, 0);
    // Six clouds; above 20,000 rows the layout runs in another order.
    let x = Array2::from_shape_fn((20_400, 3), |(i, j)| ((i % 6) as f32 * [9.0, -4.0, 2.5][j]) % 23.0 + rng.normal() as f32);
    let params = Params { iterations: 60, perplexity: 5.0, settle: false, ..Params::default() };
    let a = on(&context, &x, &params, &Quiet);
    let labels: Vec<Option<u32>> = (0..20_400u32).map(|i| Some(i % 6)).collect();
    let share = |e: &Embedding| crate::label_accuracy(e.coords.view(), &labels, 5, &Quiet).unwrap();
    let (got, want) = (share(&a), share(&embed(x.view(), None, &params, &Quiet).unwrap()));
    assert!(got > want - 0.02 && got > 0.5, "{got} of the rows are among their own, {want} on the processor's map");
}

/// Takes the device away in the middle.
struct Thief<'a>(&'a wgpu::Device, std::sync::atomic::AtomicBool);

impl Monitor for Thief<'_> {
    fn progress(&self, p: crate::Progress) {
        if p.stage == "layout" && p.done >= 110 && !self.1.swap(true, std::sync::atomic::Ordering::Relaxed) {
            self.0.destroy();
        }
    }
}

#[test]
fn a_lost_device_is_no_lost_map() {
    let Some(context) = context() else { return };
    let (x, params) = (digits(), Params { settle: false, ..Params::default() });
    let a = on(&context, &x, &params, &Thief(&context.device, Default::default()));
    eprintln!("{:?}", a.notes);
    assert!(a.notes[0].contains("the processor went on") && a.complete && a.figures["iterations"] == 500.0);
    let want = embed(x.view(), None, &params, &Quiet).unwrap().figures["kl"];
    assert!(a.figures["kl"] < 1.02 * want, "{} against {want}", a.figures["kl"]);
}

#[test]
fn a_map_too_wide_for_the_device_goes_on_at_home() {
    let Some(context) = context() else { return };
    let x = digits();
    let first = embed(x.view(), None, &Params { iterations: 200, settle: false, ..Params::default() }, &Quiet).unwrap();
    let wide = &first.coords * 60.0;
    let params = Params { iterations: 3, ..Params::default() };
    let a = embed_on(Some(&context), x.view(), None, Some(wide.view()), &params, first.graph.clone(), &Quiet).unwrap();
    assert!(a.notes[0].contains("wider than the device's largest mesh"), "{:?}", a.notes);
    let b = crate::go_on(x.view(), None, wide.view(), &params, first.graph.clone(), &Quiet).unwrap();
    assert!(a.coords == b.coords && b.notes.is_empty());
}

#[test]
fn only_fit_devices_are_used() {
    let limits = wgpu::Limits::default();
    let info =
        |device_type| wgpu::AdapterInfo { name: "a card".into(), ..wgpu::AdapterInfo::new(device_type, wgpu::Backend::Vulkan) };
    let card = info(wgpu::DeviceType::DiscreteGpu);
    assert_eq!(usable(&card, &limits, 70_000, 90), Ok(()));
    assert_eq!(usable(&info(wgpu::DeviceType::IntegratedGpu), &limits, 70_000, 90), Ok(()));
    let why = |info: &wgpu::AdapterInfo, limits: &wgpu::Limits, rows| usable(info, limits, rows, 90).unwrap_err();
    assert!(why(&info(wgpu::DeviceType::Cpu), &limits, 70_000).contains("software"));
    assert!(why(&info(wgpu::DeviceType::Other), &limits, 70_000).contains("does not say"));
    assert!(why(&card, &limits, 1000).contains("fewer than"));
    assert!(why(&card, &limits, 1_000_000).contains("in one buffer"));
    assert!(
        why(&card, &wgpu::Limits { max_compute_workgroup_storage_size: 8192, ..limits.clone() }, 70_000).contains("8192 bytes")
    );
    assert!(
        why(&card, &wgpu::Limits { max_storage_buffers_per_shader_stage: 4, ..limits.clone() }, 70_000).contains("4 buffers")
    );
}
