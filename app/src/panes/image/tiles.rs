//! Images too large to go to the GPU whole: a coarse picture of all of it, and over it the part in sight.
//!
//! An image above [`LARGE_PIXELS`] is seen at once by every n-th of its pixels; then one pass over its rows makes the pyramid of means
//! ([`asterism_render::tiles`]), whose coarse levels stay. The part in sight is made of them or read anew, at about a texel a pixel of
//! the screen, with a margin all around, so that a small movement needs nothing new; until it is there the coarse picture shows. All
//! of it happens in named threads. Limits are those of every n-th pixel, a million of them. Choice not taken: more levels on the
//! disk. Cost: 96 MB an image beside a few parts, whatever its size; times are in `docs/benchmarks.md`.

use std::sync::{Arc, Mutex, PoisonError};

use asterism_data::Image;
use asterism_data::image_rows::LARGE_PIXELS;
use asterism_data::stretch::Cuts;
use asterism_render::tiles::TiledImage;
use asterism_render::view::View;

use crate::gpu::{Part, Texels};
use crate::panes::rows::next_key;
use crate::widgets::Range2;

/// Bytes that the levels and tiles of one image may take.
const BUDGET: usize = 96 << 20;
/// Pixels that limits and the first look are taken of.
const SAMPLE: usize = 1 << 20;
/// Rows read ahead of the pass, in blocks.
const AHEAD: usize = 64;

/// Whether an image is drawn in parts.
pub fn is_large(image: &Image) -> bool {
    image.rows.is_some() || image.shape[0] * image.shape[1] > LARGE_PIXELS
}

/// The limits of an image; of a large one those of a sample.
pub fn limits(image: &Image, cuts: Cuts) -> Option<(f64, f64)> {
    if !is_large(image) {
        return cuts.limits(&image.pixels);
    }
    cuts.limits(&image.sample(SAMPLE).ok()?.values)
}

/// The first look at a large image: every n-th pixel.
///
/// # Errors
/// When the file cannot be read any more.
pub fn first_look(image: &Image) -> asterism_data::Result<Part> {
    let sample = image.sample(SAMPLE)?;
    Ok(Part {
        shape: sample.shape,
        texels: Texels::Values(sample.values),
        at: [0.0; 2],
        per: sample.step as f64,
        key: next_key(),
    })
}

type Read = Box<dyn FnMut(u32, u32, &mut [f32]) -> asterism_data::Result<()> + Send>;

/// A large image with its levels.
pub struct Tiled {
    image: Mutex<TiledImage<Read>>,
    /// All of it, coarse.
    pub overview: Arc<Part>,
}

impl Tiled {
    /// Goes through the image once.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub fn new(image: &Arc<Image>) -> asterism_data::Result<Self> {
        let size = [image.shape[1] as u32, image.shape[0] as u32];
        let tiled = TiledImage::new(size, BUDGET, reader(image.clone()), |_| true)?;
        let Some(tiled) = tiled else { return Err(asterism_data::Error::format(&image.name, "its levels were not made")) };
        let (pyramid, level) = tiled.overview();
        let Some(finest) = pyramid.levels.into_iter().next() else {
            return Err(asterism_data::Error::format(&image.name, "it has no pixels"));
        };
        let overview = Part {
            shape: [finest.height as usize, finest.width as usize],
            texels: Texels::Values(finest.data),
            at: [0.0; 2],
            per: f64::from(1u32 << level),
            key: next_key(),
        };
        Ok(Self { image: Mutex::new(tiled), overview: Arc::new(overview) })
    }

    /// What a view (in pixels whose first covers `0..1`) shows of it, at about a texel a pixel of the screen; `None` for nothing.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub fn part(&self, view: Range2, px: [u32; 2]) -> asterism_data::Result<Option<Part>> {
        let mut image = self.image.lock().unwrap_or_else(PoisonError::into_inner);
        let patch = image.patch(&View { x: view.x, y: view.y, px })?;
        Ok(patch.map(|p| Part {
            shape: [p.texels.height as usize, p.texels.width as usize],
            texels: Texels::Values(p.texels.data),
            at: p.at.map(f64::from),
            per: f64::from(1u32 << p.level),
            key: next_key(),
        }))
    }
}

/// Reads parts of rows; while whole rows are wanted one after the other, a thread of its own reads ahead of them.
fn reader(image: Arc<Image>) -> Read {
    let [rows, columns] = image.shape;
    let (sender, receiver) = std::sync::mpsc::sync_channel::<asterism_data::Result<Vec<f32>>>(2);
    let of = image.clone();
    let ahead = std::thread::Builder::new().name("image-rows".into()).spawn(move || {
        for first in (0..rows).step_by(AHEAD) {
            let n = AHEAD.min(rows - first);
            let mut block = vec![0.0; n * columns];
            let read = block.chunks_mut(columns).enumerate().try_for_each(|(i, line)| of.read_row(first + i, 0, line));
            // Nobody waits any more when the image is closed meanwhile.
            if sender.send(read.map(|()| block)).is_err() {
                break;
            }
        }
    });
    let mut receiver = ahead.ok().map(|_| receiver);
    let mut block: Vec<f32> = Vec::new();
    let mut next = 0;
    Box::new(move |row, first, out| {
        let row = row as usize;
        if let (Some(blocks), true) = (&receiver, row == next && first == 0 && out.len() == columns) {
            if row.is_multiple_of(AHEAD) {
                match blocks.recv() {
                    Ok(read) => block = read?,
                    Err(_) => receiver = None,
                }
            }
            if receiver.is_some() {
                out.copy_from_slice(&block[row % AHEAD * columns..][..columns]);
                next += 1;
                if next == rows {
                    (receiver, block) = (None, Vec::new());
                }
                return Ok(());
            }
        }
        image.read_row(row, first as usize, out)
    })
}

/// The view to make a part for: as the one in sight with a margin, moved in steps, so that it stays the same while the image is moved
/// a little. With the pixels it is drawn on.
pub fn around(view: Range2, px: [u32; 2]) -> (Range2, [u32; 2]) {
    let wide = |[a, b]: [f64; 2]| {
        let step = (b - a).abs() / 4.0;
        let middle = ((a + b) / 2.0 / step).round() * step;
        [middle - (b - a) * 0.75, middle + (b - a) * 0.75]
    };
    (Range2 { x: wide(view.x), y: wide(view.y) }, px.map(|n| n + n / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_the_image_and_the_view_around_stays_while_it_moves_a_little() {
        let (w, h) = (5000, 4000);
        let pixels: Vec<f32> = (0..w * h).map(|i| ((i % w) % 97 + (i / w) % 31) as f32).collect();
        let image = Arc::new(Image::new("big", [h, w], pixels).expect("an image"));
        assert!(is_large(&image));
        let tiled = Tiled::new(&image).expect("levels");
        let part = tiled.part(Range2 { x: [1000.0, 1100.0], y: [200.0, 260.0] }, [200, 120]).expect("read").expect("in sight");
        let Texels::Values(values) = &part.texels else { panic!("values") };
        assert_eq!(part.per, 1.0);
        let (x, y) = (part.at[0] as usize + 5, part.at[1] as usize + 7);
        assert_eq!(values[7 * part.shape[1] + 5], image.pixels[y * w + x]);
        assert!(tiled.part(Range2 { x: [-90.0, -5.0], y: [0.0, 9.0] }, [9, 9]).expect("read").is_none());
        assert!(tiled.overview.shape[1] as f64 * tiled.overview.per >= w as f64);
        let look = first_look(&image).expect("a look");
        let Texels::Values(values) = &look.texels else { panic!("values") };
        assert_eq!(values[look.shape[1] + 1], image.pixels[look.per as usize * (w + 1)]);
        let (low, high) = limits(&image, Cuts::MinMax).expect("limits");
        assert!(low >= 0.0 && high <= 126.0 && high > low);

        let at = |x: f64| around(Range2 { x: [x, x + 400.0], y: [300.0, 0.0] }, [400, 300]);
        let (view, px) = at(1010.0);
        assert_eq!((view, px), at(1030.0));
        assert_ne!(view, at(1200.0).0);
        for x in [1010.0, 1030.0, 1060.0] {
            let v = at(x).0;
            assert!(v.x[0] <= x && v.x[1] >= x + 400.0 && v.y[0] > v.y[1] && v.y[0] >= 300.0 && v.y[1] <= 0.0, "{v:?}");
        }
    }
}
