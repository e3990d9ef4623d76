//! Images of any size in bounded memory: a pyramid of means whose coarse levels are kept and whose fine ones are read when looked at.
//!
//! One pass over the rows makes the levels that fit into a third of the budget; pairs of rows are halved as they come, so nothing but
//! one row a level waits. Tiles of 512 of finer levels are read again from the image when a view needs them, and the last used stay
//! within the rest of the budget. All values are those of [`Pyramid::values`], bit for bit: means of four, of those that are finite. A
//! view is drawn as a patch: one level of the part that it shows, about a texel a pixel ([`TiledImage::patch`]).
//!
//! Choice not taken: writing the pyramid to disk (a third more of it, and a file to look after). Cost: one pass over the image, about
//! 4 ns a pixel with the reading; then for a patch at most the reading of 4 pixels of the image a texel and level below the kept
//! ones. The budget holds to within a tile and a patch.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{
    Error,
    image::{Level, MAX_LEVEL, Pyramid, level_for, mean_of_finite},
    view::View,
};

/// Texels along a tile.
pub const TILE: u32 = 512;

/// An image that is read by parts.
pub struct TiledImage<R> {
    read: R,
    size: [u32; 2],
    /// Number of all levels.
    levels: usize,
    /// The first kept level.
    first: usize,
    kept: Vec<Level<f32>>,
    tiles: HashMap<[u32; 3], (u64, Arc<Level<f32>>)>,
    /// Texels of tiles that may stay.
    room: usize,
    used: usize,
    clock: u64,
}

/// A part of one level of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// A texel is `2^level` pixels wide and high.
    pub level: usize,
    /// First pixel of the image in it, a multiple of `2^level`.
    pub at: [u32; 2],
    /// Its texels.
    pub texels: Level<f32>,
}

impl Patch {
    /// A view of the image in units of the patch's texels: for [`crate::Renderer::draw_image`] with the patch as
    /// [`crate::ImageTexture`], or [`crate::reference::image`].
    pub fn view(&self, view: &View) -> View {
        let per = f64::from(1u32 << self.level);
        let to = |r: [f64; 2], at: u32| r.map(|v| (v - f64::from(at)) / per);
        View { x: to(view.x, self.at[0]), y: to(view.y, self.at[1]), px: view.px }
    }
}

impl<R> std::fmt::Debug for TiledImage<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TiledImage").field("size", &self.size).field("first", &self.first).finish_non_exhaustive()
    }
}

/// Width and height of a level.
fn level_size(size: [u32; 2], level: usize) -> [u32; 2] {
    size.map(|n| n.div_ceil(1 << level))
}

/// A row of the next level from one or two rows of this one.
fn halved(a: &[f32], b: Option<&[f32]>) -> Vec<f32> {
    let pair = |row: &[f32], i: usize| (row[2 * i], row.get(2 * i + 1).copied());
    (0..a.len().div_ceil(2))
        .map(|i| {
            let mut four = [f32::NAN; 4];
            let mut n = 0;
            for row in [Some(a), b].into_iter().flatten() {
                let (left, right) = pair(row, i);
                for v in [Some(left), right].into_iter().flatten() {
                    four[n] = v;
                    n += 1;
                }
            }
            mean_of_finite(&four[..n])
        })
        .collect()
}

/// Halves rows as they come, up through the levels.
struct Halver {
    /// First of a pair of each level.
    waiting: Vec<Option<Vec<f32>>>,
}

impl Halver {
    /// Takes a row of `level` and hands every row that is done to `done` with its level.
    fn push(&mut self, level: usize, row: Vec<f32>, done: &mut impl FnMut(usize, &[f32])) {
        done(level, &row);
        let Some(waiting) = self.waiting.get_mut(level) else { return };
        match waiting.take() {
            Some(first) => self.push(level + 1, halved(&first, Some(&row)), done),
            None => *waiting = Some(row),
        }
    }

    /// Ends all levels: rows without a second are halved alone.
    fn finish(&mut self, done: &mut impl FnMut(usize, &[f32])) {
        for level in 0..self.waiting.len() {
            if let Some(row) = self.waiting[level].take() {
                self.push(level + 1, halved(&row, None), done);
            }
        }
    }
}

impl<E, R: FnMut(u32, u32, &mut [f32]) -> Result<(), E>> TiledImage<R> {
    /// Of `width * height` pixels. `read(row, first, out)` fills `out` with the pixels of a row from column `first` on; it is called
    /// once for each whole row, in order, and later for parts. `budget` is in bytes; at least the coarsest level is kept whatever it
    /// is. `go_on` is asked before each row: false ends with None.
    ///
    /// # Errors
    /// What `read` says.
    ///
    /// # Panics
    /// If the image has no pixels.
    pub fn new(size: [u32; 2], budget: usize, mut read: R, mut go_on: impl FnMut(u32) -> bool) -> Result<Option<Self>, E> {
        assert!(size[0] > 0 && size[1] > 0, "an image without pixels");
        let mut levels = 1;
        while levels <= MAX_LEVEL as usize && level_size(size, levels - 1).into_iter().max() > Some(32) {
            levels += 1;
        }
        let texels = |level: usize| level_size(size, level).iter().map(|&n| n as usize).product::<usize>();
        let from = |first: usize| (first..levels).map(texels).sum::<usize>() * 4;
        let first = (0..levels).find(|&first| from(first) <= budget / 3).unwrap_or(levels - 1);
        let mut kept: Vec<Level<f32>> = (first..levels)
            .map(|level| {
                let [width, height] = level_size(size, level);
                Level { width, height, data: Vec::with_capacity(texels(level)) }
            })
            .collect();
        let mut halver = Halver { waiting: vec![None; levels - 1] };
        let mut keep = |level: usize, row: &[f32]| {
            if level >= first {
                kept[level - first].data.extend_from_slice(row);
            }
        };
        for row in 0..size[1] {
            if !go_on(row) {
                return Ok(None);
            }
            let mut values = vec![f32::NAN; size[0] as usize];
            read(row, 0, &mut values)?;
            halver.push(0, values, &mut keep);
        }
        halver.finish(&mut keep);
        let room = (budget.saturating_sub(from(first)) / 4).max((TILE * TILE) as usize);
        Ok(Some(Self { read, size, levels, first, kept, tiles: HashMap::new(), room, used: 0, clock: 0 }))
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    /// Bytes of the kept levels and tiles.
    pub fn bytes(&self) -> usize {
        self.kept.iter().map(|l| l.data.len() * 4).sum::<usize>() + self.used * 4
    }

    /// The coarse levels, finest first, as a pyramid of texels of `2^n` pixels, and `n`: for cuts and previews.
    pub fn overview(&self) -> (Pyramid<f32>, usize) {
        (Pyramid { levels: self.kept.clone() }, self.first)
    }

    /// Texels of the part of the image that a view shows (in pixels of the image, as [`crate::Renderer::draw_image`] has it), at the
    /// level where a pixel of the view covers one to two texels; a margin of a texel around. None if the view shows nothing of it.
    ///
    /// # Errors
    /// What `read` says.
    pub fn patch(&mut self, view: &View) -> Result<Option<Patch>, E> {
        if !view.is_drawable() {
            return Ok(None);
        }
        let level = level_for(view.data_per_px(), self.levels);
        let per = f64::from(1u32 << level);
        let size = level_size(self.size, level);
        let ends = |r: [f64; 2], n: u32| {
            let clip = |v: f64| v.clamp(0.0, f64::from(n)) as u32;
            (clip((r[0].min(r[1]) / per).floor() - 1.0), clip((r[0].max(r[1]) / per).ceil() + 1.0))
        };
        let shown = |r: [f64; 2], n: u32| r[0].max(r[1]) > 0.0 && r[0].min(r[1]) < f64::from(n);
        if !shown(view.x, self.size[0]) || !shown(view.y, self.size[1]) {
            return Ok(None);
        }
        let ((x0, x1), (y0, y1)) = (ends(view.x, size[0]), ends(view.y, size[1]));
        let (width, height) = (x1 - x0, y1 - y0);
        let mut data = vec![f32::NAN; width as usize * height as usize];
        for ty in y0 / TILE..y1.div_ceil(TILE) {
            for tx in x0 / TILE..x1.div_ceil(TILE) {
                let tile = self.tile(level, tx, ty)?;
                let (left, right) = (x0.max(tx * TILE), x1.min(tx * TILE + tile.width));
                for y in y0.max(ty * TILE)..y1.min(ty * TILE + tile.height) {
                    let from = ((y - ty * TILE) * tile.width + left - tx * TILE) as usize;
                    let to = (y - y0) as usize * width as usize + (left - x0) as usize;
                    let n = (right - left) as usize;
                    data[to..to + n].copy_from_slice(&tile.data[from..from + n]);
                }
            }
        }
        Ok(Some(Patch { level, at: [x0 << level, y0 << level], texels: Level { width, height, data } }))
    }

    /// One tile of a level: `TILE` texels along each axis, fewer at the right and last edges.
    fn tile(&mut self, level: usize, tx: u32, ty: u32) -> Result<Arc<Level<f32>>, E> {
        self.clock += 1;
        let key = [level as u32, tx, ty];
        if let Some((used, tile)) = self.tiles.get_mut(&key) {
            *used = self.clock;
            return Ok(tile.clone());
        }
        let size = level_size(self.size, level);
        let (width, height) = (TILE.min(size[0] - tx * TILE), TILE.min(size[1] - ty * TILE));
        let mut data = Vec::with_capacity((width * height) as usize);
        if level >= self.first {
            let from = &self.kept[level - self.first];
            for y in ty * TILE..ty * TILE + height {
                let at = y as usize * from.width as usize + (tx * TILE) as usize;
                data.extend_from_slice(&from.data[at..at + width as usize]);
            }
            return Ok(Arc::new(Level { width, height, data }));
        }
        let (x, y) = ((tx * TILE) << level, (ty * TILE) << level);
        let part = [self.size[0] - x, self.size[1] - y].map(|n| n.min(TILE << level));
        let mut halver = Halver { waiting: vec![None; level] };
        let mut keep = |at: usize, row: &[f32]| {
            if at == level {
                data.extend_from_slice(row);
            }
        };
        for row in y..y + part[1] {
            let mut values = vec![f32::NAN; part[0] as usize];
            (self.read)(row, x, &mut values)?;
            halver.push(0, values, &mut keep);
        }
        halver.finish(&mut keep);
        let tile = Arc::new(Level { width, height, data });
        self.used += tile.data.len();
        self.tiles.insert(key, (self.clock, tile.clone()));
        while self.used > self.room && self.tiles.len() > 1 {
            let Some(oldest) = self.tiles.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key) else { break };
            self.used -= self.tiles.remove(&oldest).map_or(0, |(_, tile)| tile.data.len());
        }
        Ok(tile)
    }
}

/// The whole of an image in memory as such a reader: what tests and small images take.
///
/// # Errors
/// [`Error::ImageShape`] if there are more or fewer values than `width * height`, or none.
pub fn of_slice(
    data: &[f32],
    width: u32,
    height: u32,
    budget: usize,
) -> Result<TiledImage<impl FnMut(u32, u32, &mut [f32]) -> Result<(), Error>>, Error> {
    let expected = width as usize * height as usize;
    let wrong = Error::ImageShape { width, height, expected, found: data.len() };
    if expected != data.len() || expected == 0 {
        return Err(wrong);
    }
    let read = move |row: u32, first: u32, out: &mut [f32]| {
        let at = row as usize * width as usize + first as usize;
        out.copy_from_slice(&data[at..at + out.len()]);
        Ok(())
    };
    TiledImage::new([width, height], budget, read, |_| true)?.ok_or(wrong)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{image::ImageLook, reference};

    fn sky(width: u32, height: u32) -> Vec<f32> {
        (0..width * height)
            .map(|i| {
                if i % 89 == 5 || i / width % 61 < 3 {
                    f32::NAN
                } else {
                    ((i % width) as f32 * 0.03).sin() + (i / width) as f32 * 1e-3
                }
            })
            .collect()
    }

    fn same(a: &[f32], b: &[f32]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
    }

    #[test]
    fn every_level_and_patch_is_that_of_the_whole_pyramid() {
        let (w, h) = (2311, 1407);
        let data = sky(w, h);
        let whole = Pyramid::values(&data, w, h).unwrap();
        for budget in [0, 1 << 20, 8 << 20, 100 << 20] {
            let mut image = of_slice(&data, w, h, budget).unwrap();
            let (overview, first) = image.overview();
            assert_eq!(overview.levels.len() + first, whole.levels.len());
            for (a, b) in overview.levels.iter().zip(&whole.levels[first..]) {
                assert!((a.width, a.height) == (b.width, b.height) && same(&a.data, &b.data));
            }
            for view in [
                View { x: [0.0, 2311.0], y: [0.0, 1407.0], px: [64, 48] },
                View { x: [-50.0, 1300.5], y: [900.0, 300.0], px: [700, 300] },
                View { x: [2000.0, 2311.0], y: [1407.0, 1300.0], px: [311, 107] },
                View { x: [2310.0, 2320.0], y: [0.2, 0.4], px: [400, 400] },
                View { x: [0.0, 2311.0], y: [0.0, 1407.0], px: [600, 400] },
            ] {
                let patch = image.patch(&view).unwrap().unwrap();
                let level = &whole.levels[patch.level];
                let [x0, y0] = patch.at.map(|v| (v >> patch.level) as usize);
                for (y, row) in patch.texels.data.chunks(patch.texels.width as usize).enumerate() {
                    assert!(same(row, &level.data[(y0 + y) * level.width as usize + x0..][..row.len()]), "{view:?} row {y}");
                }
                // The patch alone gives the picture of the whole image.
                let look = ImageLook { lo: -1.0, hi: 2.4, ..ImageLook::default() };
                let texels = Pyramid { levels: vec![patch.texels.clone()] };
                let (got, want) = (reference::image(&patch.view(&view), &look, &texels), reference::image(&view, &look, &whole));
                let differ = got.iter().zip(&want).filter(|(a, b)| a.abs_diff(**b) > 2).count();
                assert!(differ * 200 < got.len(), "{view:?}: {differ} of {}", got.len());
            }
            assert!(image.bytes() <= budget.max((TILE * TILE * 4) as usize) + (TILE * TILE * 4) as usize, "{}", image.bytes());
            for view in [View { x: [-9.0, -1.0], y: [0.0, 9.0], px: [9, 9] }, View { x: [0.0, 9.0], y: [0.0, 9.0], px: [0, 9] }] {
                assert!(image.patch(&view).unwrap().is_none());
            }
        }
        assert!(of_slice(&data, w, h + 1, 0).is_err() && of_slice(&[], 0, 0, 0).is_err());
        let tiny = of_slice(&[3.0], 1, 1, 0).unwrap();
        assert_eq!(tiny.overview().0.levels[0].data, [3.0]);
    }

    #[test]
    fn failures_and_cancelling_come_through() {
        let fails = |row: u32, _: u32, _: &mut [f32]| if row == 5 { Err("torn") } else { Ok(()) };
        assert_eq!(TiledImage::new([10, 10], 0, fails, |_| true).err(), Some("torn"));
        let stopped = TiledImage::new([10, 10], 0, |_, _, _: &mut [f32]| Ok::<(), ()>(()), |row| row < 3).unwrap();
        assert!(stopped.is_none());
    }
}
