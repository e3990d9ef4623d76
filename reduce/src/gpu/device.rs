//! The buffers, pipelines and passes of a layout on the device.

use super::{Context, LINE, Places};
use crate::affinity::Joint;
use crate::tsne::Pace;
use crate::tsne::mesh::Mesh;
use std::sync::mpsc::sync_channel;

/// Must agree with `Plan` of `shaders/common.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Plan {
    n: u32,
    nodes: u32,
    size: u32,
    log_size: u32,
    spacing: f32,
    scale: f32,
    early: u32,
    until: u32,
    late: f32,
    momentum: f32,
    blocks: u32,
    teams: u32,
    near: [[f32; 4]; 4],
}

/// Must agree with `State` of `shaders/common.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct State {
    pub centre: [f32; 2],
    pub span: f32,
    pub z: f32,
    mean: [f32; 2],
    pub close: u32,
    pub halt: u32,
    pub iteration: u32,
    pub need: u32,
    moments: [f32; 8],
}

/// Buffers by their binding in `shaders/common.wgsl`; 0 is the plan.
const Y: usize = 1;
const NEXT: usize = 2;
const MOVES: usize = 3;
const FIELD_AT: usize = 4;
const STARTS: usize = 5;
const EDGES: usize = 6;
const GRID: usize = 7;
const SPECTRA: usize = 8;
const FIELD: usize = 9;
const SPECTRUM: usize = 10;
const TWIDDLES: usize = 11;
const PARTIAL: usize = 12;
const STATE: usize = 13;
const ORDER: usize = 14;
const POSITIONS: usize = 15;
const BUFFERS: usize = 16;

/// How many workgroups a kernel has.
#[derive(Clone, Copy)]
enum Over {
    Nodes,
    Rows,
    Blocks,
    Teams,
    Lines,
    Columns,
    One,
}

/// The kernels in the order of an iteration, with what they bind beside the plan. The last one is run only when asked for.
const KERNELS: [(&str, Over, &[usize]); 15] = [
    ("bounds", Over::Blocks, &[Y, PARTIAL]),
    ("bounds_end", Over::One, &[PARTIAL, STATE]),
    ("moments", Over::Blocks, &[Y, PARTIAL, STATE]),
    ("moments_end", Over::One, &[PARTIAL, STATE]),
    ("clear", Over::Nodes, &[GRID]),
    ("spread", Over::Rows, &[Y, GRID, STATE]),
    ("forward_rows", Over::Lines, &[GRID, SPECTRA, TWIDDLES]),
    ("columns", Over::Columns, &[SPECTRA, SPECTRUM, TWIDDLES]),
    ("back_rows", Over::Lines, &[SPECTRA, FIELD, TWIDDLES]),
    ("gather", Over::Blocks, &[Y, FIELD_AT, FIELD, PARTIAL, STATE]),
    ("gather_end", Over::One, &[PARTIAL, STATE]),
    ("attract", Over::Teams, &[Y, NEXT, MOVES, FIELD_AT, STARTS, EDGES, PARTIAL, STATE]),
    ("attract_end", Over::One, &[PARTIAL, STATE]),
    ("finish", Over::Rows, &[Y, NEXT, STATE, ORDER, POSITIONS]),
    ("diverge", Over::Teams, &[Y, STARTS, EDGES, PARTIAL]),
];
/// Kernels up to the repulsion, and those of a whole iteration.
const FORCES: usize = 11;
const ITERATION: usize = 14;
const DIVERGE: usize = 14;

/// A t-SNE layout in the memory of a device.
pub(crate) struct Layout {
    context: Context,
    plan: Plan,
    plan_buffer: wgpu::Buffer,
    buffers: Vec<wgpu::Buffer>,
    pipelines: Vec<wgpu::ComputePipeline>,
    bindings: Vec<wgpu::BindGroup>,
    staging: Option<wgpu::Buffer>,
    /// Σ p ln p.
    entropy: f64,
}

/// Runs what talks to the device and turns what it complains of into words.
pub(super) fn guarded<T>(device: &wgpu::Device, job: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let scopes = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation]
        .map(|filter| device.push_error_scope(filter));
    let answer = job();
    let mut complaint = None;
    for scope in scopes.into_iter().rev() {
        complaint = pollster::block_on(scope.pop()).or(complaint);
    }
    match complaint {
        Some(e) => Err(e.to_string().lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(": ")),
        None => answer,
    }
}

pub(super) fn storage(device: &wgpu::Device, label: &str, bytes: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes.max(16).next_multiple_of(4),
        usage: wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_DST
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::VERTEX,
        mapped_at_creation: false,
    })
}

/// Waits for the device and copies the first `count` values of a buffer; `staging` is made when there is none or too little.
///
/// # Errors
/// What the device complains of.
pub(super) fn read_back<T: bytemuck::AnyBitPattern>(
    context: &Context,
    staging: &mut Option<wgpu::Buffer>,
    buffer: &wgpu::Buffer,
    count: usize,
) -> Result<Vec<T>, String> {
    let (device, queue) = (&context.device, &context.queue);
    let bytes = (count * size_of::<T>()) as u64;
    guarded(device, || {
        if staging.as_ref().is_none_or(|s| s.size() < bytes) {
            *staging = Some(device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("read-back"),
                size: bytes.next_multiple_of(256),
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            }));
        }
        let Some(staging) = staging else { return Err("there is no room for reading back".into()) };
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read-back") });
        encoder.copy_buffer_to_buffer(buffer, 0, staging, 0, bytes);
        let submission = queue.submit([encoder.finish()]);
        let (send, receive) = sync_channel(1);
        staging.map_async(wgpu::MapMode::Read, 0..bytes, move |r| {
            let _ = send.send(r);
        });
        device
            .poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None })
            .map_err(|e| format!("the device was lost: {e}"))?;
        let mapped = receive.recv().map_err(|_| "the device was lost".to_owned())?;
        mapped.map_err(|e| format!("the device was lost or gave nothing back ({e})"))?;
        let values = {
            let range = staging.get_mapped_range(0..bytes).map_err(|e| e.to_string())?;
            range.to_vec()
        };
        staging.unmap();
        Ok(values.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect())
    })
}

impl Layout {
    /// Buffers and kernels for the places `y` with the matrix `joint`, which have seen `done` iterations and have velocities and
    /// gains (x, y each; at rest without). Row i of all is row `order[i]` of what
    /// [`Self::positions`] holds.
    ///
    /// # Errors
    /// What the device complains of, or that a buffer is larger than it takes.
    pub fn new(
        context: &Context,
        joint: &Joint,
        y: &[[f32; 2]],
        moves: Option<&[[f32; 4]]>,
        order: Option<&[u32]>,
        spacing: f32,
        pace: &Pace,
        done: usize,
    ) -> Result<Self, String> {
        let device = &context.device;
        let limits = device.limits();
        let n = y.len();
        let edge_bytes = joint.ids.len() as u64 * 8;
        let most = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
        if edge_bytes.max(16 * n as u64) > most {
            return Err(format!(
                "the probabilities take {} MB and the device takes {} MB in a buffer",
                edge_bytes >> 20,
                most >> 20
            ));
        }
        let blocks = n.div_ceil(1024);
        let teams = n.div_ceil(8);
        // A node's charge is at most 4/9 of all rows'.
        let bits = (32.0 - (n as f64 * 4.0 / 9.0 + 16.0).log2()).floor().min(28.0);
        let plan = Plan {
            n: n as u32,
            nodes: 0,
            size: 0,
            log_size: 0,
            spacing,
            scale: bits.exp2() as f32,
            early: pace.early as u32,
            until: 0,
            late: pace.late as f32,
            momentum: pace.momentum,
            blocks: blocks as u32,
            teams: teams as u32,
            near: [[0.0; 4]; 4],
        };
        guarded(device, || {
            let source = concat!(
                include_str!("shaders/common.wgsl"),
                include_str!("shaders/mesh.wgsl"),
                include_str!("shaders/layout.wgsl")
            );
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some("t-SNE"),
                source: wgpu::ShaderSource::Wgsl(source.into()),
            });
            let pipelines = KERNELS
                .iter()
                .map(|(name, ..)| {
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
            let rows = n as u64;
            let sizes = [0, 8 * rows, 8 * rows, 16 * rows, 16 * rows, 4 * (rows + 1), edge_bytes, 0, 0, 0, 0, 0];
            let mut buffers: Vec<wgpu::Buffer> = sizes.iter().map(|bytes| storage(device, "t-SNE", *bytes)).collect();
            for bytes in [4 * (8 * blocks).max(2 * teams) as u64, size_of::<State>() as u64, 4 * rows, 8 * rows] {
                buffers.push(storage(device, "t-SNE", bytes));
            }
            let plan_buffer = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("t-SNE plan"),
                size: size_of::<Plan>() as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let mut this = Self {
                context: context.clone(),
                plan,
                plan_buffer,
                buffers,
                pipelines,
                bindings: Vec::new(),
                staging: None,
                entropy: 0.0,
            };
            this.fill(joint, y, moves, order, done);
            this.mesh(64);
            Ok(this)
        })
    }

    fn write<T: bytemuck::NoUninit>(&self, buffer: usize, values: &[T]) {
        self.context.queue.write_buffer(&self.buffers[buffer], 0, bytemuck::cast_slice(values));
    }

    fn fill(&mut self, joint: &Joint, y: &[[f32; 2]], moves: Option<&[[f32; 4]]>, order: Option<&[u32]>, done: usize) {
        self.write(Y, y);
        self.write(NEXT, y);
        match moves {
            Some(moves) => self.write(MOVES, moves),
            None => self.write(MOVES, &vec![[0.0f32, 0.0, 1.0, 1.0]; y.len()]),
        }
        self.write(STARTS, &joint.starts.iter().map(|s| *s as u32).collect::<Vec<u32>>());
        // In pieces, so that the copy in the program's memory stays small.
        const PIECE: usize = 1 << 20;
        for (c, (ids, p)) in joint.ids.chunks(PIECE).zip(joint.p.chunks(PIECE)).enumerate() {
            let edges: Vec<[u32; 2]> = ids.iter().zip(p).map(|(j, p)| [*j, p.to_bits()]).collect();
            self.context.queue.write_buffer(&self.buffers[EDGES], (c * PIECE * 8) as u64, bytemuck::cast_slice(&edges));
        }
        let own: Vec<u32>;
        let order = match order {
            Some(order) => order,
            None => {
                own = (0..y.len() as u32).collect();
                &own
            }
        };
        self.write(ORDER, order);
        let mut placed = vec![[0.0f32; 2]; y.len()];
        order.iter().zip(y).for_each(|(i, p)| placed[*i as usize] = *p);
        self.write(POSITIONS, &placed);
        self.write(STATE, &[State { z: 1.0, iteration: done as u32, ..bytemuck::Zeroable::zeroed() }]);
        self.entropy = joint.p.iter().map(|p| f64::from(*p)).filter(|p| *p > 0.0).map(|p| p * p.ln()).sum();
    }

    /// A mesh of `size` / 2 nodes, `size` a power of two up to [`LINE`].
    fn mesh(&mut self, size: usize) {
        let nodes = size / 2;
        let (spectrum, near) = Mesh::kernel(self.plan.spacing, size);
        let turns: Vec<[f32; 2]> = (0..nodes)
            .map(|k| {
                let angle = -std::f64::consts::TAU * k as f64 / size as f64;
                [angle.cos() as f32, angle.sin() as f32]
            })
            .collect();
        let device = &self.context.device;
        for (buffer, bytes) in [
            (GRID, 4 * nodes * nodes),
            (SPECTRA, 8 * nodes * (nodes + 1)),
            (FIELD, 4 * nodes * nodes),
            (SPECTRUM, 4 * spectrum.len()),
            (TWIDDLES, 8 * nodes),
        ] {
            self.buffers[buffer] = storage(device, "t-SNE mesh", bytes as u64);
        }
        self.write(SPECTRUM, &spectrum);
        self.write(TWIDDLES, &turns);
        (self.plan.nodes, self.plan.size, self.plan.log_size, self.plan.near) = (nodes as u32, size as u32, size.ilog2(), near);
        let entry = |binding: usize| {
            let buffer = if binding == 0 { &self.plan_buffer } else { &self.buffers[binding] };
            wgpu::BindGroupEntry { binding: binding as u32, resource: buffer.as_entire_binding() }
        };
        debug_assert_eq!(self.buffers.len(), BUFFERS);
        self.bindings = KERNELS
            .iter()
            .zip(&self.pipelines)
            .map(|((name, _, binds), pipeline)| {
                let entries: Vec<_> = std::iter::once(0).chain(binds.iter().copied()).map(entry).collect();
                device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some(name),
                    layout: &pipeline.get_bind_group_layout(0),
                    entries: &entries,
                })
            })
            .collect();
    }

    /// Makes a mesh that holds a map which needs so many nodes, with an eighth of head room if there is room for it.
    ///
    /// # Errors
    /// That the map is too wide for the largest mesh, or what the device complains of.
    pub fn widen(&mut self, need: usize) -> Result<(), String> {
        if 2 * need > LINE {
            return Err(format!(
                "the map has become wider than the device's largest mesh ({} nodes of {})",
                LINE / 2,
                self.plan.spacing
            ));
        }
        let size = (2 * (need + need / 8)).next_power_of_two().clamp(64, LINE);
        if size != self.plan.size as usize {
            let device = self.context.device.clone();
            return guarded(&device, || {
                self.mesh(size);
                Ok(())
            });
        }
        Ok(())
    }

    fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>, kernels: std::ops::Range<usize>) {
        let p = &self.plan;
        for k in kernels {
            let groups = match KERNELS[k].1 {
                Over::Nodes => (p.nodes * p.nodes).div_ceil(256),
                Over::Rows => p.n.div_ceil(256),
                Over::Blocks => p.blocks,
                Over::Teams => p.teams,
                Over::Lines => p.nodes,
                Over::Columns => p.nodes + 1,
                Over::One => 1,
            };
            // At most 65,535 groups in a direction.
            let high = groups.div_ceil(65_535);
            pass.set_pipeline(&self.pipelines[k]);
            pass.set_bind_group(0, &self.bindings[k], &[]);
            pass.dispatch_workgroups(groups.div_ceil(high), high, 1);
        }
    }

    /// Submits up to `count` iterations, none beyond `until` in all, and reads how far the device came.
    ///
    /// # Errors
    /// What the device complains of.
    pub fn iterate(&mut self, count: usize, until: usize) -> Result<State, String> {
        self.plan.until = until as u32;
        self.submit(|this, pass| (0..count).for_each(|_| this.dispatch(pass, 0..ITERATION)))?;
        self.state()
    }

    fn submit(&self, passes: impl FnOnce(&Self, &mut wgpu::ComputePass<'_>)) -> Result<(), String> {
        let (device, queue) = (&self.context.device, &self.context.queue);
        guarded(device, || {
            queue.write_buffer(&self.plan_buffer, 0, bytemuck::bytes_of(&self.plan));
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("t-SNE") });
            {
                let mut pass =
                    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("t-SNE"), timestamp_writes: None });
                passes(self, &mut pass);
            }
            queue.submit([encoder.finish()]);
            Ok(())
        })
    }

    /// Repulsion and Z of the places as they are, without moving them, then their Kullback–Leibler divergence.
    ///
    /// # Errors
    /// What the device complains of.
    pub fn divergence(&mut self) -> Result<f64, String> {
        self.submit(|this, pass| {
            this.dispatch(pass, 0..FORCES);
            this.dispatch(pass, DIVERGE..DIVERGE + 1);
        })?;
        let parts: Vec<f32> = self.read(PARTIAL, self.plan.teams as usize)?;
        let z = f64::from(self.state()?.z);
        Ok(self.entropy + parts.iter().map(|v| f64::from(*v)).sum::<f64>() + z.max(1e-300).ln())
    }

    fn state(&mut self) -> Result<State, String> {
        self.read(STATE, 1).map(|s: Vec<State>| s[0])
    }

    /// Waits for the device and copies the first `count` values of a buffer.
    fn read<T: bytemuck::AnyBitPattern>(&mut self, buffer: usize, count: usize) -> Result<Vec<T>, String> {
        read_back(&self.context, &mut self.staging, &self.buffers[buffer], count)
    }

    /// Where the places are on the device.
    pub fn positions(&self) -> Places {
        Places { buffer: self.buffers[POSITIONS].clone(), rows: self.plan.n as usize, device: self.context.device.clone() }
    }

    /// Nodes of the mesh in a direction.
    pub fn nodes(&self) -> usize {
        self.plan.nodes as usize
    }

    /// Places in the rows' own order.
    ///
    /// # Errors
    /// What the device complains of.
    pub fn places(&mut self) -> Result<Vec<[f32; 2]>, String> {
        self.read(POSITIONS, self.plan.n as usize)
    }

    /// Velocities and gains in the order of the matrix.
    ///
    /// # Errors
    /// What the device complains of.
    pub fn moves(&mut self) -> Result<Vec<[f32; 4]>, String> {
        self.read(MOVES, self.plan.n as usize)
    }

    /// What tests look into.
    #[cfg(test)]
    pub fn inside(&mut self) -> Result<Inside, String> {
        self.plan.until = 0;
        let nodes = self.nodes();
        self.submit(|this, pass| this.dispatch(pass, 0..FORCES))?;
        let scale = self.plan.scale;
        let grid: Vec<u32> = self.read(GRID, nodes * nodes)?;
        Ok(Inside {
            state: self.state()?,
            grid: grid.into_iter().map(|v| v as f32 / scale).collect(),
            field: self.read(FIELD, nodes * nodes)?,
            forces: self.read(FIELD_AT, self.plan.n as usize)?,
        })
    }
}

/// The mesh and the forces of the places as they are.
#[cfg(test)]
pub(crate) struct Inside {
    pub state: State,
    pub grid: Vec<f32>,
    pub field: Vec<f32>,
    pub forces: Vec<[f32; 4]>,
}
