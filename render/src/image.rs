//! Images on the GPU: raw values ([`ImageTexture::new`]) or ready colours ([`ImageTexture::rgba`]), with a pyramid of means.
//!
//! Values go up once as `R32Float`; cuts, stretch and colours are uniforms, so dragging them uploads nothing. The pyramid is made
//! on the CPU and leaves NaN out of its means; level `n` has texels of `2^n` pixels, sizes rounded up. An image larger than the
//! device's textures lies in tiles. Coordinates: pixel `k` covers `k..k + 1` in both axes, row 0 of the array is at `y = 0..1`, so a
//! view with `y = [0, height]` shows row 0 at the bottom, as FITS wants, and `y = [height, 0]` at the top, as photographs do.
//!
//! Choice not taken: hardware mipmaps and filters (`R32Float` is not filterable everywhere, and both smear NaN). Cost: 4 B a pixel
//! and a third for the pyramid. Stretches: astropy.visualization.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::Error;

/// How values between the cuts become brightness; parameters are astropy's defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stretch {
    /// As they are.
    #[default]
    Linear,
    /// Square root.
    Sqrt,
    /// Square.
    Squared,
    /// `log(1 + 1000 t) / log(1001)`.
    Log,
    /// `asinh(10 t) / asinh(10)`.
    Asinh,
    /// `sinh(3 t) / sinh(3)`.
    Sinh,
}

impl Stretch {
    /// All of them, in the order of a menu.
    pub const ALL: [Self; 6] = [Self::Linear, Self::Sqrt, Self::Squared, Self::Log, Self::Asinh, Self::Sinh];

    /// Brightness 0..1 of a value 0..1.
    pub fn apply(self, t: f32) -> f32 {
        match self {
            Self::Linear => t,
            Self::Sqrt => t.sqrt(),
            Self::Squared => t * t,
            Self::Log => (1.0 + 1000.0 * t).ln() / 1001f32.ln(),
            Self::Asinh => (t / 0.1).asinh() / 10f32.asinh(),
            Self::Sinh => (t * 3.0).sinh() / 3f32.sinh(),
        }
    }

    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Linear => 0,
            Self::Sqrt => 1,
            Self::Squared => 2,
            Self::Log => 3,
            Self::Asinh => 4,
            Self::Sinh => 5,
        }
    }
}

/// How values become colours. All colours are straight RGBA, gamma-encoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageLook {
    /// Value of the first colour.
    pub lo: f32,
    /// Value of the last colour; may be below `lo`, which turns the colours round.
    pub hi: f32,
    /// In between.
    pub stretch: Stretch,
    /// Colours, see [`crate::colour`].
    pub lut: [[u8; 4]; 256],
    /// Pixels without a value.
    pub nan: [u8; 4],
    /// Around the image.
    pub background: [u8; 4],
}

impl Default for ImageLook {
    fn default() -> Self {
        Self {
            lo: 0.0,
            hi: 1.0,
            stretch: Stretch::Linear,
            lut: *crate::colour::Lut::Grey.table(),
            nan: [0, 0, 0, 0],
            background: [0, 0, 0, 0],
        }
    }
}

impl ImageLook {
    /// Colour of one value, as both the kernel and its twin compute it.
    pub fn colour(&self, value: f32) -> [u8; 4] {
        if !value.is_finite() {
            return self.nan;
        }
        let t = ((value - self.lo) / self.range()).clamp(0.0, 1.0);
        self.lut[((self.stretch.apply(t).clamp(0.0, 1.0) * 256.0) as usize).min(255)]
    }

    /// With finite cuts, as an image without any value has none: such a look would not even equal itself.
    pub(crate) fn sane(&self) -> Self {
        let lo = if self.lo.is_finite() { self.lo } else { 0.0 };
        Self { lo, hi: if self.hi.is_finite() { self.hi } else { lo + 1.0 }, ..*self }
    }

    /// `hi - lo`, never zero.
    pub(crate) fn range(&self) -> f32 {
        let r = self.hi - self.lo;
        if r == 0.0 || !r.is_finite() { f32::MIN_POSITIVE } else { r }
    }
}

/// One level of a pyramid.
#[derive(Clone, Debug, PartialEq)]
pub struct Level<T> {
    /// Texels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Row by row.
    pub data: Vec<T>,
}

/// An image and its means over 2 x 2, 4 x 4, ... pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Pyramid<T> {
    /// Finest first.
    pub levels: Vec<Level<T>>,
}

/// Levels above the finest at most: tiles are multiples of `2^10`.
pub(crate) const MAX_LEVEL: u32 = 10;

fn halve<T: Copy + Send + Sync>(from: &Level<T>, mean: impl Fn(&[T]) -> T + Sync) -> Level<T> {
    let (width, height) = (from.width.div_ceil(2), from.height.div_ceil(2));
    let row = from.width as usize;
    let data = (0..height as usize)
        .into_par_iter()
        .flat_map_iter(|j| {
            let mean = &mean;
            (0..width as usize).map(move |i| {
                let mut four = [from.data[0]; 4];
                let mut n = 0;
                for y in (2 * j)..(2 * j + 2).min(from.height as usize) {
                    for x in (2 * i)..(2 * i + 2).min(row) {
                        four[n] = from.data[y * row + x];
                        n += 1;
                    }
                }
                mean(&four[..n])
            })
        })
        .collect();
    Level { width, height, data }
}

fn pyramid<T: Copy + Send + Sync>(width: u32, height: u32, data: Vec<T>, mean: impl Fn(&[T]) -> T + Sync) -> Pyramid<T> {
    let mut levels = vec![Level { width, height, data }];
    while levels.len() <= MAX_LEVEL as usize {
        match levels.last() {
            Some(last) if last.width.max(last.height) > 32 => levels.push(halve(last, &mean)),
            _ => break,
        }
    }
    Pyramid { levels }
}

fn check(width: u32, height: u32, found: usize) -> Result<(), Error> {
    let expected = (width as usize).saturating_mul(height as usize);
    if expected == 0 || expected != found { Err(Error::ImageShape { width, height, expected, found }) } else { Ok(()) }
}

/// Mean of the finite values among up to four.
pub(crate) fn mean_of_finite(four: &[f32]) -> f32 {
    let (sum, n) = four.iter().filter(|v| v.is_finite()).fold((0.0f32, 0.0f32), |(s, n), v| (s + v, n + 1.0));
    if n > 0.0 { sum / n } else { f32::NAN }
}

impl Pyramid<f32> {
    /// Of `width * height` values, row by row. Values that are not finite are left out of the means.
    ///
    /// # Errors
    /// [`Error::ImageShape`].
    pub fn values(data: &[f32], width: u32, height: u32) -> Result<Self, Error> {
        check(width, height, data.len())?;
        Ok(pyramid(width, height, data.to_vec(), mean_of_finite))
    }
}

impl Pyramid<[u8; 4]> {
    /// Of `width * height` straight RGBA pixels, row by row.
    ///
    /// # Errors
    /// [`Error::ImageShape`].
    pub fn rgba(data: &[[u8; 4]], width: u32, height: u32) -> Result<Self, Error> {
        check(width, height, data.len())?;
        Ok(pyramid(width, height, data.to_vec(), |four| {
            let n = four.len() as u32;
            let alpha: u32 = four.iter().map(|c| u32::from(c[3])).sum();
            let mut out = [0u8; 4];
            for (k, o) in out.iter_mut().take(3).enumerate() {
                let sum: u32 = four.iter().map(|c| u32::from(c[k]) * u32::from(c[3])).sum();
                *o = (sum + alpha / 2).checked_div(alpha).unwrap_or(0) as u8;
            }
            out[3] = ((alpha + n / 2) / n) as u8;
            out
        }))
    }
}

/// Level of a pyramid for a number of pixels of the image along one pixel of the view: there one pixel covers 1 to 2 texels.
pub(crate) fn level_for(per_px: [f64; 2], levels: usize) -> usize {
    let least = per_px[0].min(per_px[1]).max(1.0);
    (least.log2().floor() as usize).min(levels - 1)
}

pub(crate) struct Tile {
    /// First pixel.
    pub at: [u32; 2],
    /// Pixels.
    pub size: [u32; 2],
    pub levels: Vec<(wgpu::TextureView, [u32; 2])>,
}

/// An image on the GPU.
pub struct ImageTexture {
    pub(crate) id: u64,
    pub(crate) tiles: Vec<Tile>,
    pub(crate) is_picture: bool,
    size: [u32; 2],
    bytes: u64,
}

impl std::fmt::Debug for ImageTexture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageTexture").field("size", &self.size).field("tiles", &self.tiles.len()).finish_non_exhaustive()
    }
}

static NEXT: AtomicU64 = AtomicU64::new(1);

impl ImageTexture {
    /// Uploads `width * height` values, row by row, first row at `y = 0`.
    ///
    /// # Errors
    /// [`Error::ImageShape`] if there are more or fewer values.
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, data: &[f32], width: u32, height: u32) -> Result<Self, Error> {
        let p = Pyramid::values(data, width, height)?;
        Ok(Self::upload(device, queue, &p, wgpu::TextureFormat::R32Float, false))
    }

    /// Uploads `width * height` straight RGBA pixels.
    ///
    /// # Errors
    /// [`Error::ImageShape`] if there are more or fewer bytes than 4 a pixel.
    pub fn rgba(device: &wgpu::Device, queue: &wgpu::Queue, data: &[u8], width: u32, height: u32) -> Result<Self, Error> {
        let (pixels, tail) = data.as_chunks::<4>();
        if !tail.is_empty() {
            let expected = width as usize * height as usize;
            return Err(Error::ImageShape { width, height, expected, found: pixels.len() });
        }
        let p = Pyramid::rgba(pixels, width, height)?;
        Ok(Self::upload(device, queue, &p, wgpu::TextureFormat::Rgba8Unorm, true))
    }

    /// Uploads a pyramid that a worker made.
    pub fn from_pyramid(device: &wgpu::Device, queue: &wgpu::Queue, pyramid: &Pyramid<f32>) -> Self {
        Self::upload(device, queue, pyramid, wgpu::TextureFormat::R32Float, false)
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    /// Bytes held on the GPU.
    pub fn gpu_bytes(&self) -> u64 {
        self.bytes
    }

    fn upload<T: bytemuck::Pod>(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        pyramid: &Pyramid<T>,
        format: wgpu::TextureFormat,
        is_picture: bool,
    ) -> Self {
        let tile = (device.limits().max_texture_dimension_2d.min(8192) >> MAX_LEVEL).max(1) << MAX_LEVEL;
        let size = [pyramid.levels[0].width, pyramid.levels[0].height];
        let mut image = Self { id: NEXT.fetch_add(1, Ordering::Relaxed), tiles: Vec::new(), is_picture, size, bytes: 0 };
        for y in (0..size[1]).step_by(tile as usize) {
            for x in (0..size[0]).step_by(tile as usize) {
                let part = [tile.min(size[0] - x), tile.min(size[1] - y)];
                let mut levels = Vec::new();
                for (n, level) in pyramid.levels.iter().enumerate() {
                    let texels = [part[0].div_ceil(1 << n), part[1].div_ceil(1 << n)];
                    let texture = device.create_texture(&wgpu::TextureDescriptor {
                        label: Some("image tile"),
                        size: wgpu::Extent3d { width: texels[0], height: texels[1], depth_or_array_layers: 1 },
                        mip_level_count: 1,
                        sample_count: 1,
                        dimension: wgpu::TextureDimension::D2,
                        format,
                        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
                        view_formats: &[],
                    });
                    // In slices of at most 16 MB, so that the staging memory stays small.
                    let rows_a_slice = ((16 << 20) / (level.width * 4).max(1)).max(1);
                    for row in (0..texels[1]).step_by(rows_a_slice as usize) {
                        let rows = rows_a_slice.min(texels[1] - row);
                        let first = ((y >> n) + row) as usize * level.width as usize + (x >> n) as usize;
                        let last = first + (rows as usize - 1) * level.width as usize + texels[0] as usize;
                        queue.write_texture(
                            wgpu::TexelCopyTextureInfo {
                                texture: &texture,
                                mip_level: 0,
                                origin: wgpu::Origin3d { x: 0, y: row, z: 0 },
                                aspect: wgpu::TextureAspect::All,
                            },
                            bytemuck::cast_slice(&level.data[first..last]),
                            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(level.width * 4), rows_per_image: None },
                            wgpu::Extent3d { width: texels[0], height: rows, depth_or_array_layers: 1 },
                        );
                    }
                    image.bytes += u64::from(texels[0]) * u64::from(texels[1]) * 4;
                    levels.push((texture.create_view(&wgpu::TextureViewDescriptor::default()), texels));
                }
                image.tiles.push(Tile { at: [x, y], size: part, levels });
            }
        }
        image
    }
}
