//! Columns of a scatter on the GPU: positions, colours, sizes, and one bit each for selected and hidden.
//!
//! Rows lie in chunks of 2 Mi (16 MiB of positions), so that the smallest limits of WebGPU hold at any size, an append costs a
//! chunk, and a draw stays below 2^24 vertices. Positions are f32 relative to an f64 origin and unit, which [`Points::from_f64`]
//! chooses. Cost: 8 B a row, +4 B with colours, +4 B with sizes, + 2 bits; where the device has no compute shaders the columns
//! stay in ordinary memory instead and [`crate::reference`] draws them.
//!
//! Choice not taken: colour columns and palettes on the GPU. The caller packs RGBA8, which serves subsets, categories and
//! gradients alike, and changes far more rarely than the view.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::renderer::Tier;

/// Rows of one chunk.
pub const CHUNK: usize = 1 << 21;

/// Words of 32 bits of one bitmap of `rows` rows.
pub(crate) fn words(rows: usize) -> usize {
    rows.div_ceil(32).max(1)
}

pub(crate) struct Chunk {
    pub rows: usize,
    pub xy: wgpu::Buffer,
    pub rgba: Option<wgpu::Buffer>,
    pub sizes: Option<wgpu::Buffer>,
    /// Selection, then hidden, `words(rows)` each.
    pub bits: Option<wgpu::Buffer>,
}

/// The columns in ordinary memory, for devices that cannot compute.
#[derive(Default)]
pub(crate) struct Kept {
    pub xy: Vec<[f32; 2]>,
    pub rgba: Vec<u32>,
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
}

impl std::fmt::Debug for Points {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Points").field("len", &self.len).field("generation", &self.generation).finish_non_exhaustive()
    }
}

static NEXT: AtomicU64 = AtomicU64::new(1);

fn buffer(device: &wgpu::Device, label: &str, bytes: usize) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: (bytes.max(16) as u64).next_multiple_of(16),
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
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
        let mut points = Self {
            device: device.clone(),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            generation: 0,
            origin,
            unit,
            len: 0,
            chunks: Vec::new(),
            kept: matches!(Tier::of(device), Tier::Reference).then(Kept::default),
            has_colours: false,
            has_sizes: false,
            any_selected: false,
            has_hidden: false,
        };
        points.set_positions(device, queue, xy);
        points
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
            .sum()
    }

    /// Replaces all positions (stored units, 8 B a row). With another number of rows the other columns are dropped.
    pub fn set_positions(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, xy: &[[f32; 2]]) {
        self.generation += 1;
        if xy.len() != self.len || (self.kept.is_none() && self.chunks.is_empty()) {
            self.len = xy.len();
            (self.has_colours, self.has_sizes, self.any_selected, self.has_hidden) = (false, false, false, false);
            self.chunks.clear();
            if let Some(kept) = &mut self.kept {
                *kept = Kept::default();
            } else {
                self.chunks = xy
                    .chunks(CHUNK)
                    .map(|part| Chunk {
                        rows: part.len(),
                        xy: buffer(device, "points xy", part.len() * 8),
                        rgba: None,
                        sizes: None,
                        bits: None,
                    })
                    .collect();
            }
        }
        if let Some(kept) = &mut self.kept {
            kept.xy.clear();
            kept.xy.extend_from_slice(xy);
            return;
        }
        for (chunk, part) in self.chunks.iter().zip(xy.chunks(CHUNK)) {
            queue.write_buffer(&chunk.xy, 0, bytemuck::cast_slice(part));
        }
    }

    /// Replaces the colours: one RGBA8 a row, red in the lowest byte (`u32::from_le_bytes([r, g, b, a])`). Alpha 0 stands for
    /// "no value" and is drawn in [`crate::Style::context`]; missing rows count as such.
    pub fn set_colours(&mut self, queue: &wgpu::Queue, rgba: &[u32]) {
        self.generation += 1;
        self.has_colours = !rgba.is_empty();
        if let Some(kept) = &mut self.kept {
            kept.rgba = rgba.to_vec();
            kept.rgba.resize(if rgba.is_empty() { 0 } else { self.len }, 0);
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
