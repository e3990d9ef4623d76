//! Images as egui textures, in tiles: where there is no GPU of ours, and for cut-outs.
//!
//! Tiles of at most 2,048 pixels stay below every device's limit. Nearest pixels are shown when
//! magnified, a mean when made smaller. Cost: 4 B a pixel, made anew when the look changes.

use asterism_render::ImageLook;
use egui::{Color32, ColorImage, Rect, TextureHandle, TextureOptions, Ui};

use super::Frame;
use crate::gpu::{Pixels, Texels};

const TILE: usize = 2048;

/// The tiles of one image.
#[derive(Default)]
pub struct TiledTexture {
    of: Option<(u64, ImageLook)>,
    tiles: Vec<(TextureHandle, [usize; 4])>,
}

impl TiledTexture {
    /// Draw the image; `frame` is in pixels whose first covers `0..1`.
    pub fn paint(&mut self, ui: &Ui, pixels: &Pixels, look: &ImageLook, frame: &Frame) {
        let address = pixels.key();
        if self.of.as_ref().is_none_or(|(a, l)| *a != address || l != look) {
            self.tiles = tiles(ui, pixels, look);
            self.of = Some((address, *look));
        }
        let painter = ui.painter_at(frame.rect);
        for (texture, [x, y, w, h]) in &self.tiles {
            let a = frame.pt_from_data([*x as f64, *y as f64]);
            let b = frame.pt_from_data([(x + w) as f64, (y + h) as f64]);
            // First row of the texture at `a`, whichever way the rows run.
            let uv = if a.y <= b.y { [0.0, 1.0] } else { [1.0, 0.0] };
            let uv = Rect::from_min_max(egui::pos2(0.0, uv[0]), egui::pos2(1.0, uv[1]));
            painter.image(texture.id(), Rect::from_two_pos(a, b), uv, Color32::WHITE);
        }
    }
}

fn tiles(ui: &Ui, pixels: &Pixels, look: &ImageLook) -> Vec<(TextureHandle, [usize; 4])> {
    let [height, width] = pixels.shape();
    let mut out = Vec::new();
    for y in (0..height).step_by(TILE) {
        for x in (0..width).step_by(TILE) {
            let (w, h) = (TILE.min(width - x), TILE.min(height - y));
            let image = cut(pixels, look, [x as i64, y as i64], [w, h]);
            out.push((ui.ctx().load_texture("image tile", image, options()), [x, y, w, h]));
        }
    }
    out
}

/// Nearest when magnified, linear when made smaller.
pub fn options() -> TextureOptions {
    TextureOptions {
        magnification: egui::TextureFilter::Nearest,
        minification: egui::TextureFilter::Linear,
        ..TextureOptions::LINEAR
    }
}

/// A part of an image in colour, first row as in the array; outside is transparent.
pub fn cut(pixels: &Pixels, look: &ImageLook, at: [i64; 2], size: [usize; 2]) -> ColorImage {
    let [height, width] = pixels.shape();
    let mut out = Vec::with_capacity(size[0] * size[1]);
    let mut line = vec![f32::NAN; size[0]];
    for y in at[1]..at[1] + size[1] as i64 {
        let inside = |x: i64| x.clamp(0, width as i64) as usize;
        let (from, to) = (inside(at[0]), inside(at[0] + size[0] as i64));
        if let (Pixels::Values(image), true) = (pixels, y >= 0 && (y as usize) < height && from < to) {
            let part = &mut line[(from as i64 - at[0]) as usize..(to as i64 - at[0]) as usize];
            if image.read_row(y as usize, from, part).is_err() {
                part.fill(f32::NAN);
            }
        }
        for x in at[0]..at[0] + size[0] as i64 {
            if x < 0 || y < 0 || x as usize >= width || y as usize >= height {
                out.push(Color32::TRANSPARENT);
                continue;
            }
            let i = y as usize * width + x as usize;
            let rgba = |of: &[u8]| [of[4 * i], of[4 * i + 1], of[4 * i + 2], of[4 * i + 3]];
            let [r, g, b, a] = match pixels {
                Pixels::Values(_) => look.colour(line[(x - at[0]) as usize]),
                Pixels::Picture(picture) => rgba(&picture.rgba),
                Pixels::Part(part) => match &part.texels {
                    Texels::Values(values) => look.colour(values[i]),
                    Texels::Colours(of) => rgba(of),
                },
            };
            out.push(Color32::from_rgba_unmultiplied(r, g, b, a));
        }
    }
    ColorImage::new(size, out)
}
