//! Positions that something else computes on the same device: drawn from its buffer, without a copy.
//!
//! A layout that runs in compute kernels keeps its places in a buffer of interleaved `f32` x and y, in the rows' order. A scatter that
//! follows it ([`Points::follow`]) binds that buffer, chunk by chunk, in place of its own; colours, sizes, selection and hidden rows
//! stay the scatter's. Work submitted to one queue runs in order, so a picture sees the places between two iterations, never half of one.
//! The buffer is never written: the next upload of positions, or a glide, makes the scatter's own again. Where the
//! processor draws there is nothing to follow, and positions are uploaded as ever.

use crate::points::{CHUNK, Chunk, Points, buffer};
use crate::renderer::Tier;

impl Points {
    /// A scatter of the `rows` positions in `xy` (stored units, data = `stored * unit + origin`; usage STORAGE and COPY_SRC, 8 B a
    /// row); `None` where the processor draws or the buffer is too short.
    pub fn from_buffer(
        device: &wgpu::Device,
        xy: &wgpu::Buffer,
        rows: usize,
        origin: [f64; 2],
        unit: [f64; 2],
        tier: Tier,
    ) -> Option<Self> {
        let mut points = Self::empty(device, tier, origin, unit);
        points.follow(device, xy, rows).then_some(points)
    }

    /// Draws the `rows` positions in `xy` from now on, as they are at each draw ([`Points::renewed`]), in the frame of the scatter.
    /// With another number of rows the other columns are dropped. False, and nothing changes, where the processor draws or the
    /// buffer is too short.
    pub fn follow(&mut self, device: &wgpu::Device, xy: &wgpu::Buffer, rows: usize) -> bool {
        let fits =
            xy.size() >= rows as u64 * 8 && xy.usage().contains(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
        if self.kept.is_some() || !fits || rows == 0 {
            return false;
        }
        if self.follows() && rows == self.len() && self.chunks.first().is_some_and(|c| c.xy == *xy) {
            self.renewed();
            return true;
        }
        self.start(device, rows);
        self.is_second = false;
        for (i, chunk) in self.chunks.iter_mut().enumerate() {
            chunk.xy = xy.clone();
            chunk.lent = Some((i * CHUNK * 8) as u64);
        }
        true
    }

    /// Whether positions are drawn from a buffer of something else.
    pub fn follows(&self) -> bool {
        self.chunks.first().is_some_and(|c| c.lent.is_some())
    }

    /// Says that the buffer that is followed holds newer positions: the next draw shows them.
    pub fn renewed(&mut self) {
        self.generation += u64::from(self.follows());
    }

    /// Own buffers again, with a copy of what was followed if there is a queue to copy by.
    pub(crate) fn give_back(&mut self, device: &wgpu::Device, queue: Option<&wgpu::Queue>) {
        if !self.follows() {
            return;
        }
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for chunk in &mut self.chunks {
            let own = buffer(device, "points xy", chunk.rows * 8);
            if let Some(first) = chunk.lent.take() {
                encoder.copy_buffer_to_buffer(&chunk.xy, first, &own, 0, chunk.rows as u64 * 8);
            }
            chunk.xy = own;
        }
        if let Some(queue) = queue {
            queue.submit([encoder.finish()]);
        }
    }
}

impl Chunk {
    /// The positions of this chunk, for a kernel.
    pub(crate) fn positions(&self) -> wgpu::BindingResource<'_> {
        match self.lent {
            None => self.xy.as_entire_binding(),
            Some(offset) => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &self.xy,
                offset,
                size: std::num::NonZeroU64::new(self.rows as u64 * 8),
            }),
        }
    }
}
