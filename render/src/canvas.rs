//! The texture that one view is drawn into, and reading it back.
//!
//! It grows in steps of 64 px and shrinks only when it is four times too large, since reallocating for every size while a window
//! is dragged hangs some X11 drivers (wgpu #1971). The hovered mark is drawn over a second texture, a copy, so that a moving
//! pointer does not redraw the points. Cost: 4 B a pixel, 8 B once something was hovered.

use crate::{
    Error,
    points::Points,
    reference::{self, Columns},
    view::{Style, View},
};

/// Format of a canvas: gamma-encoded, premultiplied.
pub const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

/// What the picture on a canvas shows; equal keys need no drawing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Key {
    Points { id: u64, generation: u64, view: View, style: Style },
    Image { id: u64, view: View, look: Box<crate::image::ImageLook> },
}

impl Key {
    pub fn points(points: &Points, view: &View, style: &Style) -> Self {
        Self::Points { id: points.id, generation: points.generation, view: *view, style: *style }
    }
}

pub(crate) struct Layer {
    pub texture: wgpu::Texture,
    pub view: wgpu::TextureView,
    /// For the composite; made by the renderer.
    pub bind: Option<wgpu::BindGroup>,
}

/// Picture of one view.
pub struct Canvas {
    pub(crate) base: Option<Layer>,
    pub(crate) over: Option<Layer>,
    /// Allocated pixels.
    pub(crate) allocated: [u32; 2],
    /// Used pixels.
    pub(crate) used: [u32; 2],
    pub(crate) uniform: wgpu::Buffer,
    pub(crate) key: Option<Key>,
    pub(crate) hover: Option<u32>,
    /// Times the base was drawn.
    pub(crate) drawn: u64,
    /// What the processor drew into the base, rows packed; empty where the device draws.
    pub(crate) picture: Vec<u8>,
    /// Pixels `[x0, y0, x1, y1]` of the second texture that differ from `picture`; none if all of it is old.
    ring: Option<[u32; 4]>,
}

impl std::fmt::Debug for Canvas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canvas").field("used", &self.used).field("allocated", &self.allocated).finish_non_exhaustive()
    }
}

impl Canvas {
    /// An empty canvas; the first draw allocates it.
    pub fn new(device: &wgpu::Device) -> Self {
        Self {
            base: None,
            over: None,
            allocated: [0; 2],
            used: [0; 2],
            uniform: device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("canvas uniform"),
                size: 16,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
            key: None,
            hover: None,
            drawn: 0,
            picture: Vec::new(),
            ring: None,
        }
    }

    /// Size of the picture in pixels; zero before the first draw.
    pub fn size(&self) -> [u32; 2] {
        self.used
    }

    /// How often the picture was really drawn: calls with nothing new do not count.
    pub fn draws(&self) -> u64 {
        self.drawn
    }

    /// Bytes held on the GPU.
    pub fn gpu_bytes(&self) -> u64 {
        let one = u64::from(self.allocated[0]) * u64::from(self.allocated[1]) * 4;
        one * (u64::from(self.base.is_some()) + u64::from(self.over.is_some()))
    }

    /// Forgets what is drawn, so that the next call draws.
    pub fn invalidate(&mut self) {
        self.key = None;
    }

    fn layer(device: &wgpu::Device, label: &str, size: [u32; 2]) -> Layer {
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d { width: size[0], height: size[1], depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: FORMAT,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT
                | wgpu::TextureUsages::TEXTURE_BINDING
                | wgpu::TextureUsages::COPY_SRC
                | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        Layer { texture, view, bind: None }
    }

    /// Makes room for `px`, which must be within the device's limit. Whatever was drawn is lost if the room changes.
    pub(crate) fn ensure(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, px: [u32; 2]) {
        let limit = device.limits().max_texture_dimension_2d;
        let wanted = [px[0].next_multiple_of(64).min(limit), px[1].next_multiple_of(64).min(limit)];
        let area = |s: [u32; 2]| u64::from(s[0]) * u64::from(s[1]);
        let fits = self.allocated[0] >= px[0] && self.allocated[1] >= px[1] && area(self.allocated) <= area(wanted) * 4;
        if self.base.is_none() || !fits {
            self.allocated = wanted;
            self.base = Some(Self::layer(device, "canvas", wanted));
            self.over = None;
            self.key = None;
            self.used = [0; 2];
        }
        if self.used != px {
            self.used = px;
            queue.write_buffer(&self.uniform, 0, bytemuck::cast_slice(&[px[0] as f32, px[1] as f32, 0.0, 0.0]));
        }
    }

    pub(crate) fn ensure_over(&mut self, device: &wgpu::Device) {
        if self.over.is_none() {
            self.over = Some(Self::layer(device, "canvas with hover", self.allocated));
            self.ring = None;
        }
    }

    /// Uploads what the processor drew.
    pub(crate) fn upload_picture(&mut self, queue: &wgpu::Queue) {
        self.ring = None;
        if let Some(base) = &self.base {
            write_part(queue, &base.texture, &self.picture, self.used, [0, 0, self.used[0], self.used[1]]);
        }
    }

    /// Draws the ring of a row over a copy of the picture: all of it once, then only what the last ring covered and what the new
    /// one does.
    pub(crate) fn upload_ring(&mut self, queue: &wgpu::Queue, view: &View, style: &Style, columns: &Columns<'_>, row: u32) {
        let Some(over) = &self.over else { return };
        let old = self.ring.unwrap_or([0, 0, self.used[0], self.used[1]]);
        write_part(queue, &over.texture, &self.picture, self.used, old);
        let [x0, y0, x1, y1] = reference::hover_bounds(view, style, columns, row);
        self.ring = Some([x0, y0, x1, y1]);
        if x0 < x1 && y0 < y1 {
            let mut part = Vec::with_capacity(((x1 - x0) * (y1 - y0) * 4) as usize);
            for y in y0..y1 {
                let line = (y * self.used[0]) as usize;
                part.extend_from_slice(&self.picture[(line + x0 as usize) * 4..(line + x1 as usize) * 4]);
            }
            reference::hover_ring_in(&mut part, [x0, y0, x1, y1], view, style, columns, row);
            let origin = wgpu::Origin3d { x: x0, y: y0, z: 0 };
            write(queue, &over.texture, origin, &part, (x1 - x0) * 4, [x1 - x0, y1 - y0]);
        }
    }

    /// The layer to be shown.
    pub(crate) fn shown(&self) -> Option<&Layer> {
        self.hover.and(self.over.as_ref()).or(self.base.as_ref())
    }
}

/// Uploads a rectangle `[x0, y0, x1, y1]` of a whole picture to its place.
fn write_part(queue: &wgpu::Queue, texture: &wgpu::Texture, rgba: &[u8], size: [u32; 2], [x0, y0, x1, y1]: [u32; 4]) {
    if x0 < x1 && y0 < y1 && rgba.len() >= (size[0] * size[1] * 4) as usize {
        let from = &rgba[((y0 * size[0] + x0) * 4) as usize..];
        write(queue, texture, wgpu::Origin3d { x: x0, y: y0, z: 0 }, from, size[0] * 4, [x1 - x0, y1 - y0]);
    }
}

fn write(queue: &wgpu::Queue, texture: &wgpu::Texture, origin: wgpu::Origin3d, rgba: &[u8], stride: u32, size: [u32; 2]) {
    queue.write_texture(
        wgpu::TexelCopyTextureInfo { texture, mip_level: 0, origin, aspect: wgpu::TextureAspect::All },
        rgba,
        wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(stride), rows_per_image: None },
        wgpu::Extent3d { width: size[0], height: size[1], depth_or_array_layers: 1 },
    );
}

/// Reads a texture of 4 or 16 bytes a pixel, rows packed. Waits for the device: tests and exports only.
pub(crate) fn read_texture(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    texture: &wgpu::Texture,
    size: [u32; 2],
    pixel_bytes: u32,
) -> Result<Vec<u8>, Error> {
    let row = size[0] * pixel_bytes;
    let stride = row.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
    let staging = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("read back"),
        size: u64::from(stride) * u64::from(size[1]),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &staging,
            layout: wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(stride), rows_per_image: None },
        },
        wgpu::Extent3d { width: size[0], height: size[1], depth_or_array_layers: 1 },
    );
    queue.submit([encoder.finish()]);
    let bytes = read_staging(device, &staging)?;
    let mut out = Vec::with_capacity((row * size[1]) as usize);
    for line in bytes.chunks(stride as usize) {
        out.extend_from_slice(&line[..row as usize]);
    }
    Ok(out)
}

/// Maps a staging buffer and waits for it.
pub(crate) fn read_staging(device: &wgpu::Device, staging: &wgpu::Buffer) -> Result<Vec<u8>, Error> {
    let (send, receive) = std::sync::mpsc::sync_channel(1);
    staging.map_async(wgpu::MapMode::Read, .., move |r| {
        let _ = send.send(r);
    });
    device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| Error::ReadBack(e.to_string()))?;
    receive.recv().map_err(|e| Error::ReadBack(e.to_string()))?.map_err(|e| Error::ReadBack(e.to_string()))?;
    let range = staging.get_mapped_range(..).map_err(|e| Error::ReadBack(e.to_string()))?;
    Ok(range.to_vec())
}

/// The same as [`read_back`], with what went wrong.
///
/// # Errors
/// [`Error::Lost`] on a device that was lost, [`Error::ReadBack`] for anything else.
pub fn try_read_back(device: &wgpu::Device, queue: &wgpu::Queue, canvas: &Canvas) -> Result<Vec<u8>, Error> {
    let Some(layer) = canvas.shown().filter(|_| !canvas.used.contains(&0)) else { return Ok(Vec::new()) };
    if crate::is_lost(device) {
        return Err(Error::Lost);
    }
    read_texture(device, queue, &layer.texture, canvas.used, 4)
}

/// The picture as RGBA8, gamma-encoded and premultiplied (so straight, on an opaque background), rows packed from the top;
/// `canvas.size()` tells width and height. Waits for the device: tests and exports only. Empty before the first draw or after a
/// failure of the device.
pub fn read_back(device: &wgpu::Device, queue: &wgpu::Queue, canvas: &Canvas) -> Vec<u8> {
    try_read_back(device, queue, canvas).unwrap_or_default()
}
