//! Layouts and the autoencoder's steps on a graphics processor, the one place in this crate that knows wgpu.
//!
//! [`Trainer`] (`net.rs`) trains the autoencoder; what follows is about t-SNE.
//!
//! [`Layout`] runs the iterations of t-SNE in compute kernels, by the same spline mesh, schedule and start as the processor
//! ([`crate::embed`]). Places stay in a buffer on the device that a renderer on the same device can draw
//! ([`crate::Monitor::on_device`]); they are read back only for frames that are asked for and every 50 iterations, so that the
//! processor can go on from there when a device is lost. Charges are spread in fixed point and all other sums are made in
//! two levels and in fixed order: the same device and seed give the same map. Another device may differ in the last bit.
//!
//! On the device are the layout's iterations; neighbours and probabilities are the processor's. Lines are transformed in
//! workgroup memory, so a mesh has at most 1,024 nodes in a direction: a map wider than that (some 500 units) goes on on the
//! processor. Work is handed over in slices of about 8 ms. No graphics processor has been measured yet, only Mesa's software
//! Vulkan, on which the kernels are tested.
//!
//! CUDA or another second implementation of the whole program was not taken: the window has a wgpu device anyway. A
//! software adapter is refused ([`usable`]), the processor's own code is several times faster.
//!
//! Cost on the device, for N rows with E edges and a mesh of M² / 4 nodes: 8 · E bytes read an iteration, 32 · N atomic or
//! read mesh nodes, and Fourier transforms of 2 · M lines; memory 8 · E + 80 · N + 10 · M² bytes.
//! Sources: Linderman et al. 2019; Pezzotti et al. 2020 (t-SNE in compute shaders); Govindaraju et al. 2008 (Stockham's
//! transform in shared memory).

mod device;
mod layout;
mod net;
#[cfg(test)]
mod net_tests;
#[cfg(test)]
mod tests;

pub(crate) use device::Layout;
pub(crate) use layout::{Outcome, run};
pub(crate) use net::{MOST, Step, Trainer, fit};

use crate::tsne::ALL_PAIRS;

/// Largest line of a transform: 16 KB of workgroup memory, what every device of WebGPU has.
pub(crate) const LINE: usize = 2048;
/// Work handed to the device at a time, so that a window on the same device keeps its frame rate.
pub(crate) const SLICE: std::time::Duration = std::time::Duration::from_millis(8);

/// A device to compute on, for instance the window's. Cheap to clone: handles.
#[derive(Debug, Clone)]
pub struct Context {
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    /// What the adapter says about itself.
    pub info: wgpu::AdapterInfo,
    anything: bool,
}

impl Context {
    /// A device with its queue and its adapter's description.
    pub fn new(device: wgpu::Device, queue: wgpu::Queue, info: wgpu::AdapterInfo) -> Self {
        Self { device, queue, info, anything: false }
    }

    /// Takes adapters that [`usable`] calls too slow as well, and any number of rows: for tests and measurements.
    #[must_use]
    pub fn whatever_the_adapter(mut self) -> Self {
        self.anything = true;
        self
    }

    /// Whether a t-SNE map of `rows` with `neighbours` each (three times the perplexity) can and should run here.
    ///
    /// # Errors
    /// Why not, in plain words, as [`usable`].
    pub fn usable(&self, rows: usize, neighbours: usize) -> Result<(), String> {
        if self.anything {
            room(&self.device.limits(), rows, neighbours)
        } else {
            usable(&self.info, &self.device.limits(), rows, neighbours)
        }
    }
}

/// The places of a map that is being laid out on a device.
#[derive(Debug, Clone)]
pub struct Places {
    buffer: wgpu::Buffer,
    rows: usize,
    device: wgpu::Device,
}

impl Places {
    /// Whether they lie on this device: a buffer of one that was lost cannot be drawn by another.
    pub fn is_on(&self, device: &wgpu::Device) -> bool {
        self.device == *device
    }

    /// Two `f32` a row (x, y), in map units and in the rows' own order, without gaps; usage STORAGE, VERTEX, COPY_SRC and
    /// COPY_DST. It is renewed by every iteration on the same queue, so a picture submitted to that queue sees a whole one.
    pub fn positions(&self) -> &wgpu::Buffer {
        &self.buffer
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// Whether a t-SNE map of `rows` with `neighbours` each (three times the perplexity) can and should run on such a device:
/// a real graphics processor, limits that hold lines of 2,048 numbers and the probabilities in one buffer, and enough rows.
/// Memory itself cannot be asked for in wgpu: where it is short the layout fails later and the processor goes on.
///
/// # Errors
/// Why not, in plain words.
pub fn usable(info: &wgpu::AdapterInfo, limits: &wgpu::Limits, rows: usize, neighbours: usize) -> Result<(), String> {
    usable_adapter(info)?;
    if rows < ALL_PAIRS {
        return Err(format!("fewer than {ALL_PAIRS} rows: the processor sums all pairs exactly and is as fast"));
    }
    room(limits, rows, neighbours)
}

/// Whether the adapter is a real graphics processor.
fn usable_adapter(info: &wgpu::AdapterInfo) -> Result<(), String> {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu | wgpu::DeviceType::IntegratedGpu | wgpu::DeviceType::VirtualGpu => Ok(()),
        wgpu::DeviceType::Cpu => Err(format!("{} is software: the processor's own code is faster", info.name)),
        wgpu::DeviceType::Other => Err(format!("{} does not say that it is a graphics processor", info.name)),
    }
}

/// Bytes of the probabilities: an edge is a row number and a number, and joining both ways makes about 1.43 of one; 1.6 are
/// reckoned with.
fn edge_bytes(rows: usize, neighbours: usize) -> u64 {
    (1.6 * rows as f64 * neighbours as f64 * 8.0) as u64
}

fn room(limits: &wgpu::Limits, rows: usize, neighbours: usize) -> Result<(), String> {
    let line = LINE as u32 * 8;
    if limits.max_compute_workgroup_storage_size < line || limits.max_compute_invocations_per_workgroup < 256 {
        return Err(format!(
            "the device has workgroups of {} threads and {} bytes; 256 and {line} are needed",
            limits.max_compute_invocations_per_workgroup, limits.max_compute_workgroup_storage_size
        ));
    }
    if limits.max_storage_buffers_per_shader_stage < 8 {
        return Err(format!(
            "the device binds {} buffers to a kernel; 8 are needed",
            limits.max_storage_buffers_per_shader_stage
        ));
    }
    let most = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
    let needs = edge_bytes(rows, neighbours).max(16 * rows as u64);
    if needs > most {
        return Err(format!(
            "the probabilities of {rows} rows take about {} MB in one buffer and the device takes {} MB: a smaller perplexity takes less",
            needs >> 20,
            most >> 20
        ));
    }
    Ok(())
}
