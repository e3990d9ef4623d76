//! Columns of a scatter on the GPU: positions, colours, sizes, and one bit each for selected and hidden.
//!
//! Rows lie in chunks of 2 Mi (16 MiB of positions), so that the smallest limits of WebGPU hold at any size, an append costs a
//! chunk, and a draw stays below 2^24 vertices. Positions are f32 relative to an f64 origin and unit, which [`Points::from_f64`]
//! chooses. Cost: 8 B a row (16 B once it glided), +4 B with colours, +4 B with sizes, + 2 bits; where the device cannot compute, or
//! only in software, the columns stay in ordinary memory instead, [`crate::cpu`] draws them, and columns that are handed over as
//! `Arc` cost nothing.
//!
//! A layout glides to another ([`Points::set_target`], [`Points::set_glide`]): both lie on the device and a frame uploads nothing.
//!
//! Choice not taken: colour columns and palettes on the GPU. The caller packs RGBA8, which serves subsets, categories and
//! gradients alike, and changes far more rarely than the view.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::fold::{Fold, Times};
use crate::renderer::Tier;

/// Rows of one chunk.
pub const CHUNK: usize = 1 << 21;

/// Words of 32 bits of one bitmap of `rows` rows.
pub(crate) fn words(rows: usize) -> usize {
    rows.div_ceil(32).max(1)
}

pub(crate) struct Chunk {
    pub rows: usize,
    /// Room for one layout, or for two once one was a target.
    pub xy: wgpu::Buffer,
    /// First byte of this chunk's positions where another's buffer holds those of all chunks.
    pub lent: Option<u64>,
    pub rgba: Option<wgpu::Buffer>,
    pub sizes: Option<wgpu::Buffer>,
    /// Selection, then hidden, `words(rows)` each.
    pub bits: Option<wgpu::Buffer>,
}

/// Factor and summand that make a stored x of a phase.
pub(crate) fn fold_frame(origin: f64, unit: f64) -> (f32, f32) {
    ((1.0 / unit) as f32, (-origin / unit) as f32)
}

/// The columns in ordinary memory, for devices that cannot compute.
#[derive(Default)]
pub(crate) struct Kept {
    pub xy: Arc<Vec<[f32; 2]>>,
    pub to: Option<Arc<Vec<[f32; 2]>>>,
    pub rgba: Arc<Vec<u32>>,
    pub sizes: Vec<f32>,
    pub selection: Vec<u64>,
    pub hidden: Vec<u64>,
}

/// Columns of one scatter.
pub struct Points {
    device: wgpu::Device,
    pub(crate) id: u64,
    pub(crate) generation: u64,
    pub(crate) origin: [f64; 2],
    pub(crate) unit: [f64; 2],
    len: usize,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) kept: Option<Kept>,
    pub(crate) has_colours: bool,
    pub(crate) has_sizes: bool,
    pub(crate) any_selected: bool,
    pub(crate) has_hidden: bool,
    /// Way towards the target, if there is one.
    pub(crate) glide: Option<f32>,
    /// Whether the present layout is the second of the two in each buffer.
    pub(crate) is_second: bool,
    pub(crate) folding: Option<Folding>,
}

/// Times of the rows, and what their phases are made with.
pub(crate) struct Folding {
    times: Times,
    /// Shares of each chunk; none where the processor draws.
    pub shares: Vec<wgpu::Buffer>,
    pub fold: Option<Fold>,
    /// Whether the positions are those of another fold yet.
    pub pending: bool,
}

impl std::fmt::Debug for Points {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Points").field("len", &self.len).field("generation", &self.generation).finish_non_exhaustive()
    }
}

static NEXT: AtomicU64 = AtomicU64::new(1);

pub(crate) fn buffer(device: &wgpu::Device, label: &str, bytes: usize) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: (bytes.max(16) as u64).next_multiple_of(16),
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    })
}

impl Points {
    /// Uploads positions in data units. Where the slices differ in length the shorter counts; rows with a value that is not finite
    /// are never drawn.
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, x: &[f32], y: &[f32]) -> Self {
        let xy: Vec<[f32; 2]> = x.iter().zip(y).map(|(&x, &y)| [x, y]).collect();
        Self::from_xy(device, queue, &xy, [0.0; 2], [1.0; 2])
    }

    /// Uploads positions in data units, stored relative to the middle of their own range: times and sky coordinates keep 24 bits
    /// of what varies. [`crate::View`] stays in data units.
    pub fn from_f64(device: &wgpu::Device, queue: &wgpu::Queue, x: &[f64], y: &[f64]) -> Self {
        let frame = |v: &[f64]| {
            let (lo, hi) = v.iter().filter(|v| v.is_finite()).fold((f64::MAX, f64::MIN), |(l, h), &v| (l.min(v), h.max(v)));
            if lo < hi { (lo * 0.5 + hi * 0.5, hi * 0.5 - lo * 0.5) } else { (if lo == hi { lo } else { 0.0 }, 1.0) }
        };
        let ((ox, ux), (oy, uy)) = (frame(x), frame(y));
        let xy: Vec<[f32; 2]> = x.iter().zip(y).map(|(&x, &y)| [((x - ox) / ux) as f32, ((y - oy) / uy) as f32]).collect();
        Self::from_xy(device, queue, &xy, [ox, oy], [ux, uy])
    }

    /// Uploads stored positions; data = `stored * unit + origin`.
    pub fn from_xy(device: &wgpu::Device, queue: &wgpu::Queue, xy: &[[f32; 2]], origin: [f64; 2], unit: [f64; 2]) -> Self {
        let tier = Tier::of(device);
        let mut points = Self::empty(device, tier, origin, unit);
        points.set_positions(device, queue, xy);
        points
    }

    /// The same from positions that others hold too: not copied where the processor draws.
    pub fn from_shared(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        xy: Arc<Vec<[f32; 2]>>,
        origin: [f64; 2],
        unit: [f64; 2],
    ) -> Self {
        let tier = Tier::of(device);
        let mut points = Self::empty(device, tier, origin, unit);
        points.set_positions_shared(device, queue, xy);
        points
    }

    /// The same for a renderer of another tier than the device would get: kernels under test on a software adapter.
    pub fn with_tier(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        xy: &[[f32; 2]],
        origin: [f64; 2],
        unit: [f64; 2],
        tier: Tier,
    ) -> Self {
        let mut points = Self::empty(device, tier, origin, unit);
        points.set_positions(device, queue, xy);
        points
    }

    pub(crate) fn empty(device: &wgpu::Device, tier: Tier, origin: [f64; 2], unit: [f64; 2]) -> Self {
        Self {
            device: device.clone(),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            generation: 0,
            origin,
            unit,
            len: 0,
            chunks: Vec::new(),
            kept: (tier == Tier::Reference).then(Kept::default),
            has_colours: false,
            has_sizes: false,
            any_selected: false,
            has_hidden: false,
            glide: None,
            is_second: false,
            folding: None,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Counts every change of a column.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Bytes held on the GPU.
    pub fn gpu_bytes(&self) -> u64 {
        self.chunks
            .iter()
            .map(|c| c.xy.size() + [&c.rgba, &c.sizes, &c.bits].into_iter().flatten().map(wgpu::Buffer::size).sum::<u64>())
            .chain(self.folding.iter().flat_map(|f| &f.shares).map(wgpu::Buffer::size))
            .sum()
    }

    /// Replaces all positions (stored units, 8 B a row) and ends a glide. With another number of rows the other columns are dropped.
    pub fn set_positions(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, xy: &[[f32; 2]]) {
        self.start(device, xy.len());
        match &mut self.kept {
            Some(kept) => kept.xy = Arc::new(xy.to_vec()),
            None => self.write_layout(queue, xy, self.is_second),
        }
    }

    /// The same with positions that others hold too: not copied where the processor draws.
    pub fn set_positions_shared(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, xy: Arc<Vec<[f32; 2]>>) {
        self.start(device, xy.len());
        match &mut self.kept {
            Some(kept) => kept.xy = xy,
            None => self.write_layout(queue, &xy, self.is_second),
        }
    }

    /// Makes room for new positions.
    pub(crate) fn start(&mut self, device: &wgpu::Device, rows: usize) {
        self.give_back(device, None);
        self.generation += 1;
        self.glide = None;
        self.folding = None;
        if let Some(kept) = &mut self.kept {
            kept.to = None;
        }
        if rows == self.len && (self.kept.is_some() || !self.chunks.is_empty()) {
            return;
        }
        self.len = rows;
        (self.has_colours, self.has_sizes, self.any_selected, self.has_hidden) = (false, false, false, false);
        self.is_second = false;
        if let Some(kept) = &mut self.kept {
            *kept = Kept::default();
            return;
        }
        let rows_of = |i: usize| CHUNK.min(rows - i * CHUNK);
        self.chunks = (0..rows.div_ceil(CHUNK))
            .map(|i| Chunk {
                rows: rows_of(i),
                xy: buffer(device, "points xy", rows_of(i) * 8),
                lent: None,
                rgba: None,
                sizes: None,
                bits: None,
            })
            .collect();
    }

    fn write_layout(&self, queue: &wgpu::Queue, xy: &[[f32; 2]], second: bool) {
        for (chunk, part) in self.chunks.iter().zip(xy.chunks(CHUNK)) {
            queue.write_buffer(&chunk.xy, if second { chunk.rows as u64 * 8 } else { 0 }, bytemuck::cast_slice(part));
        }
    }

    /// Uploads positions (stored units of the same frame) that the rows glide to; they stay where they are until
    /// [`Points::set_glide`] moves them. A target before replaces it. With another number of rows the rows jump, as
    /// [`Points::set_positions`] has it. A row without a finite position in either layout is not drawn on the way.
    pub fn set_target(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, xy: &[[f32; 2]]) {
        if xy.len() != self.len {
            return self.set_positions(device, queue, xy);
        }
        if self.kept.is_some() {
            return self.set_target_shared(device, queue, Arc::new(xy.to_vec()));
        }
        self.folding = None;
        self.give_back(device, Some(queue));
        self.make_room_for_two(device, queue);
        self.write_layout(queue, xy, !self.is_second);
        self.glide = Some(0.0);
        self.generation += 1;
    }

    /// The same with positions that others hold too: not copied where the processor draws.
    pub fn set_target_shared(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, xy: Arc<Vec<[f32; 2]>>) {
        match &mut self.kept {
            Some(kept) if xy.len() == self.len => {
                self.folding = None;
                kept.to = Some(xy);
                self.glide = Some(0.0);
                self.generation += 1;
            }
            Some(_) => self.set_positions_shared(device, queue, xy),
            None => self.set_target(device, queue, &xy),
        }
    }

    fn make_room_for_two(&mut self, device: &wgpu::Device, queue: &wgpu::Queue) {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for chunk in &mut self.chunks {
            let one = chunk.rows as u64 * 8;
            if chunk.xy.size() < one * 2 {
                let both = buffer(device, "points xy twice", chunk.rows * 16);
                encoder.copy_buffer_to_buffer(&chunk.xy, 0, &both, 0, one);
                chunk.xy = both;
            }
        }
        queue.submit([encoder.finish()]);
    }

    /// Moves all rows to `t` of the way to the target: 0 leaves them, 1 is the target exactly. Uploads nothing. Without a target,
    /// or with a `t` that is not a number, nothing happens.
    pub fn set_glide(&mut self, t: f32) {
        if let Some(now) = &mut self.glide
            && !t.is_nan()
            && *now != t.clamp(0.0, 1.0)
        {
            *now = t.clamp(0.0, 1.0);
            self.generation += 1;
        }
    }

    /// Way to the target, if there is one.
    pub fn glide(&self) -> Option<f32> {
        self.glide
    }

    /// Ends a glide: the target is where the rows are now. Uploads nothing.
    pub fn settle(&mut self) {
        if self.glide.take().is_some() {
            self.generation += 1;
            match &mut self.kept {
                Some(kept) => kept.xy = kept.to.take().unwrap_or_else(|| kept.xy.clone()),
                None => self.is_second = !self.is_second,
            }
        }
    }

    /// Uploads times (4 B a row) that x can be made of by [`Points::set_fold`]; where they are of another number of rows nothing happens.
    /// Positions that are set afterwards drop them.
    pub fn set_times(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, times: &Times) {
        if times.len() != self.len {
            return;
        }
        let mut shares = Vec::new();
        for (chunk, part) in self.chunks.iter().zip(times.shares.chunks(CHUNK)) {
            let b = buffer(device, "points times", chunk.rows * 4);
            queue.write_buffer(&b, 0, bytemuck::cast_slice(part));
            shares.push(b);
        }
        self.folding = Some(Folding { times: times.clone(), shares, fold: None, pending: false });
    }

    /// Puts every row at its phase along x, in data units 0 to 1; uploads nothing. Rows whose x was not finite stay away. On a device
    /// [`crate::Renderer::fold`] does it, which is to be called before the next draw. Without times nothing happens.
    pub fn set_fold(&mut self, fold: Fold) {
        self.settle();
        let Some(folding) = &mut self.folding else { return };
        if folding.fold == Some(fold) {
            return;
        }
        folding.fold = Some(fold);
        self.generation += 1;
        let (scale, offset) = fold_frame(self.origin[0], self.unit[0]);
        match &mut self.kept {
            Some(kept) => {
                let at = |(share, p): (&u32, &[f32; 2])| match fold.phase(*share) {
                    phase if phase.is_finite() => [phase * scale + offset, p[1]],
                    _ => *p,
                };
                kept.xy = Arc::new(folding.times.shares.iter().zip(kept.xy.iter()).map(at).collect());
            }
            None => folding.pending = true,
        }
    }

    /// Whether there are times to fold.
    pub fn has_times(&self) -> bool {
        self.folding.is_some()
    }

    /// The fold that the rows are at, or will be at with the next draw.
    pub fn fold(&self) -> Option<Fold> {
        self.folding.as_ref()?.fold
    }

    /// Replaces the colours: one RGBA8 a row, red in the lowest byte (`u32::from_le_bytes([r, g, b, a])`). Alpha 0 stands for
    /// "no value" and is drawn in [`crate::Style::context`]; missing rows count as such.
    pub fn set_colours(&mut self, queue: &wgpu::Queue, rgba: &[u32]) {
        self.generation += 1;
        self.has_colours = !rgba.is_empty();
        if let Some(kept) = &mut self.kept {
            kept.rgba = Arc::new(rgba.to_vec());
            return;
        }
        let mut parts = rgba.chunks(CHUNK);
        for chunk in &mut self.chunks {
            let part = parts.next().unwrap_or_default();
            let part = &part[..part.len().min(chunk.rows)];
            if rgba.is_empty() {
                chunk.rgba = None;
            } else if !part.is_empty() {
                // A fresh buffer is zero: alpha 0 for what is missing.
                if part.len() < chunk.rows {
                    chunk.rgba = None;
                }
                let device = &self.device;
                let rows = chunk.rows;
                let b = chunk.rgba.get_or_insert_with(|| buffer(device, "points rgba", rows * 4));
                queue.write_buffer(b, 0, bytemuck::cast_slice(part));
            } else {
                chunk.rgba = Some(buffer(&self.device, "points rgba", chunk.rows * 4));
            }
        }
    }

    /// The same with colours that others hold too: not copied where the processor draws.
    pub fn set_colours_shared(&mut self, queue: &wgpu::Queue, rgba: Arc<Vec<u32>>) {
        if let Some(kept) = &mut self.kept {
            self.generation += 1;
            self.has_colours = !rgba.is_empty();
            kept.rgba = rgba;
        } else {
            self.set_colours(queue, &rgba);
        }
    }

    /// Replaces the sizes: a factor on [`crate::Style::radius_px`] a row (missing or not finite = 1), or none.
    pub fn set_sizes(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, sizes: Option<&[f32]>) {
        self.generation += 1;
        self.has_sizes = sizes.is_some();
        let Some(sizes) = sizes else {
            self.chunks.iter_mut().for_each(|c| c.sizes = None);
            if let Some(kept) = &mut self.kept {
                kept.sizes.clear();
            }
            return;
        };
        let mut all: Vec<f32> = sizes.iter().take(self.len).map(|&s| if s.is_finite() && s >= 0.0 { s } else { 1.0 }).collect();
        all.resize(self.len, 1.0);
        if let Some(kept) = &mut self.kept {
            kept.sizes = all;
            return;
        }
        for (chunk, part) in self.chunks.iter_mut().zip(all.chunks(CHUNK)) {
            let b = chunk.sizes.get_or_insert_with(|| buffer(device, "points sizes", part.len() * 4));
            queue.write_buffer(b, 0, bytemuck::cast_slice(part));
        }
    }

    /// Replaces the selection: row `r` is bit `r % 64` of word `r / 64`; missing words are empty. `any` false draws all rows alike
    /// whatever the bits are.
    pub fn set_selection(&mut self, queue: &wgpu::Queue, selection: &[u64], any: bool) {
        if !any && !self.any_selected {
            return;
        }
        self.generation += 1;
        self.any_selected = any;
        if any {
            self.write_bits(queue, selection, false);
        }
    }

    /// Replaces the rows that are not drawn at all (same bitmap), or shows all.
    pub fn set_hidden(&mut self, queue: &wgpu::Queue, hidden: Option<&[u64]>) {
        if hidden.is_none() && !self.has_hidden {
            return;
        }
        self.generation += 1;
        self.has_hidden = hidden.is_some();
        if let Some(hidden) = hidden {
            self.write_bits(queue, hidden, true);
        }
    }

    fn write_bits(&mut self, queue: &wgpu::Queue, bits: &[u64], hidden: bool) {
        if let Some(kept) = &mut self.kept {
            let mut bits = bits.to_vec();
            bits.resize(self.len.div_ceil(64), 0);
            if hidden {
                kept.hidden = bits;
            } else {
                kept.selection = bits;
            }
            return;
        }
        let mut parts = bits.chunks(CHUNK / 64);
        for chunk in &mut self.chunks {
            let n = words(chunk.rows);
            let b = chunk.bits.get_or_insert_with(|| buffer(&self.device, "points bits", n * 8));
            let part = parts.next().unwrap_or_default();
            // u64 words to u32 words in the order of rows, on any byte order.
            let mut out: Vec<u32> = part.iter().flat_map(|w| [*w as u32, (*w >> 32) as u32]).take(n).collect();
            out.resize(n, 0);
            queue.write_buffer(b, if hidden { n as u64 * 4 } else { 0 }, bytemuck::cast_slice(&out));
        }
    }
}
