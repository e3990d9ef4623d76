//! Steps of the autoencoder on the device: the twin of `autoencoder/train.rs`' two phases in compute kernels
//! (`shaders/net.wgsl`).
//!
//! All rows lie on the device; a step gathers its batch, runs it forward and back and takes gradient and Adam step in one
//! kernel a layer, so that nothing but the error of each step comes back. Weights and moments are read back after every
//! pass, for the hold-out, for frames and so that the processor can go on from there when the device fails. A number of the
//! batch, the schedule and the order of rows are those of the processor; sums are in another, fixed order.
//!
//! Not taken: half precision (not every device has it) and the clouds of a variational net (the processor trains those).
//! Cost: 6 flops per weight and row; 4 · (N·d + 3 · weights + 3 · batch · widths) bytes on the device, 8 · N · d with weights.
//! Source: Kingma & Ba 2015 (Adam); the tiles are those of Goto & van de Geijn 2008 in workgroup memory.

use super::device::{guarded, read_back, storage};
use super::{Context, usable_adapter};
use crate::autoencoder::{Moments, Net};

/// Steps that are submitted together at most.
pub(crate) const MOST: usize = 64;
/// Flops of a step from which a device is worth its launches: two dozen of about 10 µs beside 5·10⁸ flops, 6 ms of a processor.
const WORTH: f64 = 3e8;

/// Must agree with `Step` of `shaders/net.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Step {
    /// First of its rows in the order of the pass.
    pub first: u32,
    /// Scale of the derivative of the squared error: 2 / the sum of the batch's weights.
    pub scale: f32,
    /// Adam's step and ε, with the correction of the moments.
    pub rate: f32,
    pub eps: f32,
}

/// Buffers of a layer: weights and biases, each with first and second moments.
struct Layer {
    w: [wgpu::Buffer; 3],
    b: [wgpu::Buffer; 3],
}

/// One kernel with what it binds.
struct Dispatch {
    pipeline: usize,
    bindings: wgpu::BindGroup,
    groups: [u32; 2],
}

/// A net that is trained in the memory of a device.
pub(crate) struct Trainer {
    context: Context,
    batch: usize,
    layers: Vec<Layer>,
    steps: wgpu::Buffer,
    now: wgpu::Buffer,
    order: wgpu::Buffer,
    costs: wgpu::Buffer,
    /// Inputs, slopes and derivatives, for tests.
    #[cfg(test)]
    pub inside: [Vec<wgpu::Buffer>; 3],
    pipelines: Vec<wgpu::ComputePipeline>,
    dispatches: Vec<Dispatch>,
    staging: Option<wgpu::Buffer>,
}

const KERNELS: [&str; 10] =
    ["gather", "forward", "forward_linear", "differ", "differ_weighted", "back", "back_linear", "learn", "learn_bias", "finish"];

/// Whether a net of so many weights should be trained on such a device with steps of `batch` rows: a real graphics
/// processor, steps large enough to be worth their launches, rows (`rows` × `columns`) that fit into one buffer.
///
/// # Errors
/// Why not, in plain words.
pub(crate) fn fit(context: &Context, rows: usize, columns: usize, parameters: usize, batch: usize) -> Result<(), String> {
    let limits = context.device.limits();
    if !context.anything {
        usable_adapter(&context.info)?;
        let work = 6.0 * parameters as f64 * batch as f64;
        if work < WORTH {
            return Err(format!(
                "steps of {batch} rows through {parameters} weights are too small: the processor is as fast; larger steps or layers would not be"
            ));
        }
    }
    if limits.max_compute_workgroup_storage_size < 9216 || limits.max_compute_invocations_per_workgroup < 256 {
        return Err("the device has too small workgroups".into());
    }
    let most = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
    let needs = 4 * (rows as u64 * columns as u64).max(parameters as u64);
    if needs > most {
        return Err(format!(
            "{rows} rows of {columns} numbers take {} MB in one buffer and the device takes {} MB",
            needs >> 20,
            most >> 20
        ));
    }
    Ok(())
}

impl Trainer {
    /// Copies a net, its moments and all rows (N × d, scaled; `w` their weights) to the device, for passes over at most
    /// `learned` rows in steps of `batch`.
    ///
    /// # Errors
    /// What the device complains of.
    pub fn new(
        context: &Context,
        net: &Net,
        moments: &[Moments],
        x: &[f32],
        w: Option<&[f32]>,
        batch: usize,
        learned: usize,
    ) -> Result<Self, String> {
        let device = &context.device;
        guarded(device, || {
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some("autoencoder"),
                source: wgpu::ShaderSource::Wgsl(include_str!("shaders/net.wgsl").into()),
            });
            let pipelines: Vec<wgpu::ComputePipeline> = KERNELS
                .iter()
                .map(|name| {
                    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                        label: Some(name),
                        layout: None,
                        module: &module,
                        entry_point: Some(name),
                        compilation_options: wgpu::PipelineCompilationOptions::default(),
                        cache: None,
                    })
                })
                .collect();
            let of = |values: &[f32]| {
                let buffer = storage(device, "autoencoder", 4 * values.len() as u64);
                // In pieces, so that the copy on the way stays small.
                for (c, piece) in values.chunks(1 << 22).enumerate() {
                    context.queue.write_buffer(&buffer, (c as u64) << 24, bytemuck::cast_slice(piece));
                }
                buffer
            };
            let numbers = |count: usize| storage(device, "autoencoder", 4 * count as u64);
            let rows = of(x);
            let weights = w.map(of);
            let layers: Vec<Layer> = net
                .layers
                .iter()
                .zip(moments)
                .map(|(l, m)| Layer { w: [of(&l.w), of(&m.w[1]), of(&m.w[2])], b: [of(&l.b), of(&m.b[1]), of(&m.b[2])] })
                .collect();
            let count = layers.len();
            let (sizes, middle) = (&net.sizes, net.middle());
            let inputs: Vec<wgpu::Buffer> = sizes[..count].iter().map(|s| numbers(batch * s)).collect();
            let slopes: Vec<wgpu::Buffer> = sizes[1..count].iter().map(|s| numbers(batch * s)).collect();
            let deltas: Vec<wgpu::Buffer> = sizes[1..].iter().map(|s| numbers(batch * s)).collect();
            let (steps, now, order) = (numbers(4 * MOST), numbers(4), numbers(learned));
            let (row_costs, costs) = (numbers(batch), numbers(MOST));
            let mut dispatches = Vec::new();
            let mut add = |name: &str, shape: [usize; 3], groups: [usize; 2], binds: &[(u32, &wgpu::Buffer)]| {
                let Some(pipeline) = KERNELS.iter().position(|k| *k == name) else { return };
                let plan = device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("autoencoder shape"),
                    size: 16,
                    usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                });
                let shape = [shape[0] as u32, shape[1] as u32, shape[2] as u32, 0];
                context.queue.write_buffer(&plan, 0, bytemuck::cast_slice(&shape));
                let entries: Vec<_> = std::iter::once((0, &plan))
                    .chain(binds.iter().copied())
                    .map(|(binding, b)| wgpu::BindGroupEntry { binding, resource: b.as_entire_binding() })
                    .collect();
                let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some(name),
                    layout: &pipelines[pipeline].get_bind_group_layout(0),
                    entries: &entries,
                });
                dispatches.push(Dispatch { pipeline, bindings, groups: groups.map(|g| g as u32) });
            };
            let tiles = |rows: usize, columns: usize| [columns.div_ceil(64), rows.div_ceil(64)];
            let (d, last) = (sizes[0], count - 1);
            let step = [(7, &steps), (8, &now)];
            let with = |binds: &[(u32, &wgpu::Buffer)], more: &[(u32, &wgpu::Buffer)]| {
                binds.iter().chain(more).map(|(i, b)| (*i, (*b).clone())).collect::<Vec<_>>()
            };
            macro_rules! run {
                ($name:expr, $shape:expr, $groups:expr, $binds:expr) => {{
                    let binds = $binds;
                    let binds: Vec<(u32, &wgpu::Buffer)> = binds.iter().map(|(i, b)| (*i, b)).collect();
                    add($name, $shape, $groups, &binds);
                }};
            }
            run!("gather", [batch, d, 0], [batch, 1], with(&[(1, &rows), (3, &inputs[0]), (9, &order)], &step));
            for l in 0..count {
                let (from, to) = (sizes[l], sizes[l + 1]);
                let factors = [(1, &inputs[l]), (2, &layers[l].w[0]), (6, &layers[l].b[0])];
                if l == last || l == middle {
                    let out = if l == last { &deltas[last] } else { &inputs[l + 1] };
                    run!("forward_linear", [batch, to, from], tiles(batch, to), with(&factors, &[(3, out)]));
                } else {
                    let out = [(3, &inputs[l + 1]), (4, &slopes[l])];
                    run!("forward", [batch, to, from], tiles(batch, to), with(&factors, &out));
                }
            }
            let error = [(1, &inputs[0]), (3, &deltas[last]), (10, &row_costs)];
            match &weights {
                None => run!("differ", [batch, d, 0], [batch, 1], with(&error, &step)),
                Some(w) => {
                    let binds = with(&[(2, w), (9, &order)], &error);
                    let binds: Vec<_> = binds.iter().map(|(i, b)| (*i, b)).collect();
                    run!("differ_weighted", [batch, d, 0], [batch, 1], with(&binds, &step));
                }
            }
            for l in (1..count).rev() {
                let (from, to) = (sizes[l], sizes[l + 1]);
                let factors = [(1, &deltas[l]), (2, &layers[l].w[0]), (3, &deltas[l - 1])];
                if l - 1 == middle {
                    run!("back_linear", [batch, from, to], tiles(batch, from), with(&factors, &[]));
                } else {
                    run!("back", [batch, from, to], tiles(batch, from), with(&factors, &[(4, &slopes[l - 1])]));
                }
            }
            for l in 0..count {
                let (from, to) = (sizes[l], sizes[l + 1]);
                let [w, m, v] = &layers[l].w;
                let binds = [(1, &inputs[l]), (2, &deltas[l]), (3, w), (4, m), (5, v)];
                run!("learn", [from, to, batch], tiles(from, to), with(&binds, &step));
                let [b, m, v] = &layers[l].b;
                let binds = [(1, &deltas[l]), (3, b), (4, m), (5, v)];
                run!("learn_bias", [batch, to, 0], [to.div_ceil(64), 1], with(&binds, &step));
            }
            run!("finish", [batch, 0, 0], [1, 1], with(&[(8, &now), (10, &row_costs), (11, &costs)], &[]));
            Ok(Self {
                context: context.clone(),
                batch,
                layers,
                steps,
                now,
                order,
                costs,
                #[cfg(test)]
                inside: [inputs, slopes, deltas],
                pipelines,
                dispatches,
                staging: None,
            })
        })
    }

    /// Rows of a step.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The rows of a pass in their order.
    pub fn order(&self, rows: &[u32]) {
        self.context.queue.write_buffer(&self.order, 0, bytemuck::cast_slice(rows));
    }

    /// Runs some steps, at most [`MOST`], and waits for them; the weighted squared error of each.
    ///
    /// # Errors
    /// What the device complains of.
    pub fn run(&mut self, steps: &[Step]) -> Result<Vec<f32>, String> {
        let (device, queue) = (self.context.device.clone(), &self.context.queue);
        let steps = &steps[..steps.len().min(MOST)];
        guarded(&device, || {
            queue.write_buffer(&self.steps, 0, bytemuck::cast_slice(steps));
            queue.write_buffer(&self.now, 0, &[0; 4]);
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("autoencoder") });
            {
                let mut pass = encoder
                    .begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("autoencoder"), timestamp_writes: None });
                for _ in steps {
                    for d in &self.dispatches {
                        pass.set_pipeline(&self.pipelines[d.pipeline]);
                        pass.set_bind_group(0, &d.bindings, &[]);
                        pass.dispatch_workgroups(d.groups[0], d.groups[1], 1);
                    }
                }
            }
            queue.submit([encoder.finish()]);
            Ok(())
        })?;
        self.read(&self.costs.clone(), steps.len())
    }

    fn read(&mut self, buffer: &wgpu::Buffer, count: usize) -> Result<Vec<f32>, String> {
        read_back(&self.context, &mut self.staging, buffer, count)
    }

    /// Copies weights and moments back; either all of them or, on an error, none.
    ///
    /// # Errors
    /// What the device complains of, or numbers that are not finite.
    pub fn keep(&mut self, net: &mut Net, moments: &mut [Moments]) -> Result<(), String> {
        let mut all = Vec::with_capacity(6 * net.layers.len());
        for (l, layer) in net.layers.iter().enumerate() {
            for a in 0..3 {
                let (w, b) = (self.layers[l].w[a].clone(), self.layers[l].b[a].clone());
                all.push([self.read(&w, layer.w.len())?, self.read(&b, layer.b.len())?]);
            }
        }
        if all.as_flattened().iter().flatten().any(|v| !v.is_finite()) {
            return Err("its weights are not finite".into());
        }
        let mut all = all.into_iter();
        for (layer, m) in net.layers.iter_mut().zip(moments) {
            let Some([w, b]) = all.next() else { break };
            (layer.w, layer.b) = (w, b);
            for a in 1..3 {
                let Some([w, b]) = all.next() else { break };
                (m.w[a], m.b[a]) = (w, b);
            }
        }
        Ok(())
    }

    /// What tests look into: inputs, slopes or derivatives of a layer.
    #[cfg(test)]
    pub fn look(&mut self, which: usize, layer: usize, count: usize) -> Vec<f32> {
        let buffer = self.inside[which][layer].clone();
        self.read(&buffer, count).unwrap_or_default()
    }
}
