//! Where the texels of an image come from: all of it at once, or in parts, one image or three mixed.
//!
//! A small image goes to the GPU as it is. A large one is a coarse picture under the part in sight (`tiles.rs`); three bands are mixed
//! part by part, so that a colour mosaic is bounded as well. Images on other grids of pixels are laid on that of the first by their
//! places on the sky, each part as it is made ([`asterism_data::reproject`]), so that nothing is copied whole. Each stage is one thread at
//! a time, and the newest that fits is drawn.

use std::sync::Arc;

use asterism_data::Image;
use asterism_data::reproject::{Grid, How, OnSky, bounds, reproject, same_grid};
use asterism_render::ImageLook;
use egui::Ui;

use super::bands::Mix;
use super::tiles::{Tiled, around, first_look, is_large};
use crate::cx::Cx;
use crate::gpu::{self, Part, Pixels, Texels};
use crate::panes::rows::next_key;
use crate::widgets::texture::TiledTexture;
use crate::widgets::{Cache, Frame, Kept, Range2, ViewId, Work};

/// What a picture is made of.
#[derive(Clone, PartialEq)]
struct Of {
    images: Vec<usize>,
    mix: Option<Mix>,
}

type Made = Result<Option<Arc<Part>>, String>;

/// Caches of one view.
#[derive(Default)]
pub struct Source {
    first: Kept<usize, Result<Arc<Part>, String>>,
    /// Of three bands, and one more to blink with.
    tiled: Kept<usize, Result<Arc<Tiled>, String>, 4>,
    /// All of it, and of what stage: every n-th pixel, or means.
    base: Work<(Of, bool), Made>,
    part: Work<(Of, [u64; 4], [u32; 2]), Made>,
    over: Cache<ViewId>,
    /// Small images on the grid of another.
    aligned: Kept<[usize; 2], Made>,
    textures: [TiledTexture; 2],
}

/// The first part as it is, two laid on each other (the second is seen), or three as a picture.
fn mixed(parts: &[Arc<Part>], images: &[Arc<Image>], mix: Option<&Mix>) -> Made {
    let parts = aligned(parts, images)?;
    let (Some(mix), [r, g, b]) = (mix, &parts[..]) else { return Ok(parts.last().cloned()) };
    let rgba = mix.colours([r.values(), g.values(), b.values()], r.shape).map_err(|e| e.to_string())?;
    Ok(Some(Arc::new(Part { shape: r.shape, texels: Texels::Colours(rgba), at: r.at, per: r.per, key: next_key() })))
}

/// Whether pixels of the same number of two images are the same place.
pub fn one_grid(a: &Image, b: &Image) -> bool {
    let on = |i: &Image| Grid::of(i.shape);
    match (&a.wcs, &b.wcs) {
        (Some(wa), Some(wb)) => same_grid(&OnSky { grid: on(a), wcs: wa }, &OnSky { grid: on(b), wcs: wb }),
        _ => a.shape == b.shape,
    }
}

fn grid(part: &Part) -> Grid {
    Grid { shape: part.shape, at: part.at, per: part.per }
}

/// Why two images cannot be laid on each other.
pub fn apart(a: &Image, b: &Image) -> String {
    let say = |s: [usize; 2]| format!("{} × {}", s[1], s[0]);
    format!(
        "{} has {} pixels, {} has {}, and one of them has no coordinates on the sky (WCS): they cannot be laid on each other",
        b.name,
        say(b.shape),
        a.name,
        say(a.shape)
    )
}

/// Parts on the grid of the first.
fn aligned(parts: &[Arc<Part>], images: &[Arc<Image>]) -> Result<Vec<Arc<Part>>, String> {
    let (Some(first), Some(onto)) = (parts.first(), images.first()) else { return Ok(Vec::new()) };
    let lay = |(part, image): (&Arc<Part>, &Arc<Image>)| {
        if Arc::ptr_eq(part, first) || (one_grid(onto, image) && grid(part) == grid(first)) {
            return Ok(part.clone());
        }
        let (Some(to), Some(from)) = (&onto.wcs, &image.wcs) else { return Err(apart(onto, image)) };
        let (to, from) = (OnSky { grid: grid(first), wcs: to }, OnSky { grid: grid(part), wcs: from });
        let texels = Texels::Values(reproject(&to, &from, part.values(), How::Bilinear));
        Ok(Arc::new(Part { shape: first.shape, texels, at: first.at, per: first.per, key: next_key() }))
    };
    parts.iter().zip(images).map(lay).collect()
}

/// What the images show in a view of the first, each in its own pixels; empty where the first shows nothing.
fn parts_in(tiled: &[Arc<Tiled>], images: &[Arc<Image>], view: Range2, px: [u32; 2]) -> Result<Vec<Arc<Part>>, String> {
    let mut parts: Vec<Arc<Part>> = Vec::new();
    for (t, image) in tiled.iter().zip(images) {
        let part = match (parts.first(), &images[0].wcs, &image.wcs) {
            (Some(first), Some(to), Some(from)) if !one_grid(&images[0], image) => {
                let there = bounds(&OnSky { grid: grid(first), wcs: to }, &OnSky { grid: Grid::of(image.shape), wcs: from });
                let px = [first.shape[1] as u32, first.shape[0] as u32];
                // A texel more all around, for what lies between two.
                let wide = |[a, b]: [f64; 2], n: u32| {
                    let by = 2.0 * (b - a) / f64::from(n.max(1)) + 2.0;
                    [a - by, b + by]
                };
                let seen = there.map(|[x, y]| Range2 { x: wide(x, px[0]), y: wide(y, px[1]) });
                seen.map_or(Ok(None), |seen| t.part(seen, px)).map_err(|e| e.to_string())?
            }
            _ => t.part(view, px).map_err(|e| e.to_string())?,
        };
        match part {
            Some(part) => parts.push(Arc::new(part)),
            None if parts.is_empty() => return Ok(parts),
            // The others are seen where this one has nothing.
            None => {
                let texels = Texels::Values(vec![f32::NAN]);
                parts.push(Arc::new(Part { shape: [1, 1], texels, at: [0.0; 2], per: 1.0, key: next_key() }));
            }
        }
    }
    Ok(parts)
}

fn whole(image: &Image) -> Arc<Part> {
    let texels = Texels::Values(image.pixels.clone());
    Arc::new(Part { shape: image.shape, texels, at: [0.0; 2], per: 1.0, key: next_key() })
}

impl Source {
    /// Draw an image, the second of two on the grid of the first, or three mixed; `frame` is in pixels whose first covers `0..1`. Whether
    /// there was anything to draw yet.
    ///
    /// # Errors
    /// Why it cannot be drawn, for a person.
    pub fn paint(
        &mut self,
        ui: &Ui,
        cx: &Cx<'_>,
        slot: ViewId,
        images: &[Arc<Image>],
        mix: Option<Mix>,
        look: &ImageLook,
        frame: Frame,
    ) -> Result<bool, String> {
        let large = images.iter().any(|i| is_large(i));
        if let (false, None, [image]) = (large, &mix, images) {
            self.paint_whole(ui, cx, slot, &Pixels::Values(image.clone()), look, frame);
            return Ok(true);
        }
        // Two small ones that take turns: each is laid on the first once.
        if let (false, None, [under, over]) = (large, &mix, images) {
            let key = [under, over].map(|i| Arc::as_ptr(i) as usize);
            let both = images.to_vec();
            let made = self.aligned.get(ui.ctx(), "image-align", &key, move || {
                let parts: Vec<Arc<Part>> = both.iter().map(|i| whole(i)).collect();
                mixed(&parts, &both, None)
            });
            return match made.as_deref() {
                Some(Ok(part)) => {
                    if let Some(part) = part {
                        self.paint_part(ui, cx, slot, 0, part, look, frame);
                    }
                    Ok(true)
                }
                Some(Err(why)) => Err(why.clone()),
                None => Ok(false),
            };
        }
        let of = Of { images: images.iter().map(|i| Arc::as_ptr(i) as usize).collect(), mix };
        let tiled = if large { self.tiled(ui, images) } else { Some(Ok(Vec::new())) };
        let tiled = match tiled {
            Some(Err(why)) => return Err(why),
            Some(Ok(tiled)) => Some(tiled),
            None => None,
        };
        self.base(ui, images, &of, large, tiled.as_deref());
        // While stretch or limits move, the picture before is better than none.
        let same = |k: &Of| k.images == of.images;
        let base = self.base.newest_for(|k| same(&k.0));
        let (mut trouble, mut drawn) = (None, base.is_some() || !large);
        match base.as_deref() {
            Some(Ok(Some(part))) => self.paint_part(ui, cx, slot, 0, part, look, frame),
            Some(Err(why)) => trouble = Some(why.clone()),
            _ if !large => self.paint_whole(ui, cx, slot, &Pixels::Values(images[0].clone()), look, frame),
            _ => {}
        }
        if let (true, Some(tiled)) = (large, tiled) {
            let ppp = ui.ctx().pixels_per_point();
            let px = [frame.rect.width(), frame.rect.height()].map(|v| (v * ppp).round().max(1.0) as u32);
            let (view, px) = around(frame.view, px);
            let bits = [view.x[0], view.x[1], view.y[0], view.y[1]].map(f64::to_bits);
            let (mix, images) = (of.mix.clone(), images.to_vec());
            self.part.get(ui.ctx(), "image-part", (of.clone(), bits, px), move || {
                let parts = parts_in(&tiled, &images, view, px)?;
                mixed(&parts, &images, mix.as_ref())
            });
            match self.part.newest_for(|k| same(&k.0)).as_deref() {
                Some(Ok(Some(part))) => {
                    self.paint_part(ui, cx, *self.over, 1, part, look, frame);
                    drawn = true;
                }
                Some(Err(why)) => trouble = Some(why.clone()),
                _ => {}
            }
        }
        trouble.map_or(Ok(drawn), Err)
    }

    /// Draw pixels that are all there.
    pub fn paint_whole(&mut self, ui: &Ui, cx: &Cx<'_>, slot: ViewId, pixels: &Pixels, look: &ImageLook, frame: Frame) {
        if !gpu::paint_image(ui, cx.render, slot, pixels, *look, frame.view, frame.rect) {
            self.textures[0].paint(ui, pixels, look, &frame);
        }
    }

    fn paint_part(
        &mut self,
        ui: &Ui,
        cx: &Cx<'_>,
        slot: ViewId,
        texture: usize,
        part: &Arc<Part>,
        look: &ImageLook,
        frame: Frame,
    ) {
        let (pixels, view) = (Pixels::Part(part.clone()), part.view(frame.view));
        if !gpu::paint_image(ui, cx.render, slot, &pixels, *look, view, frame.rect) {
            self.textures[texture].paint(ui, &pixels, look, &Frame { rect: frame.rect, view });
        }
    }

    /// The levels of large images, once all are made; the first that cannot be read says why.
    fn tiled(&mut self, ui: &Ui, images: &[Arc<Image>]) -> Option<Result<Vec<Arc<Tiled>>, String>> {
        let mut out = Vec::new();
        for image in images {
            let of = image.clone();
            let make = move || Tiled::new(&of).map(Arc::new).map_err(|e| e.to_string());
            match self.tiled.get(ui.ctx(), "image-levels", &(Arc::as_ptr(image) as usize), make)?.as_ref() {
                Ok(tiled) => out.push(tiled.clone()),
                Err(why) => return Some(Err(why.clone())),
            }
        }
        Some(Ok(out))
    }

    /// Have the picture of all of it made: of every n-th pixel first.
    fn base(&mut self, ui: &Ui, images: &[Arc<Image>], of: &Of, large: bool, tiled: Option<&[Arc<Tiled>]>) {
        let mut looks = Vec::new();
        if large && tiled.is_none() {
            for image in images {
                let here = image.clone();
                let make = move || first_look(&here).map(Arc::new).map_err(|e| e.to_string());
                match self.first.get(ui.ctx(), "image-look", &(Arc::as_ptr(image) as usize), make).as_deref() {
                    Some(Ok(part)) => looks.push(part.clone()),
                    _ => return,
                }
            }
        }
        let means: Option<Vec<Arc<Part>>> = tiled.filter(|_| large).map(|t| t.iter().map(|t| t.overview.clone()).collect());
        let stage = means.is_some();
        let (images, mix) = (images.to_vec(), of.mix.clone());
        self.base.get(ui.ctx(), "image-base", (of.clone(), stage), move || {
            let parts = match means {
                Some(means) => means,
                None if large => looks,
                None => images.iter().map(|i| whole(i)).collect(),
            };
            mixed(&parts, &images, mix.as_ref())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use asterism_data::Wcs;

    fn image(shape: [usize; 2], scale: f64, turn: f64) -> Arc<Image> {
        let (s, c) = f64::to_radians(turn).sin_cos();
        let cards = [
            ("CTYPE1", "RA---TAN".to_owned()),
            ("CTYPE2", "DEC--TAN".to_owned()),
            ("CRPIX1", format!("{}", shape[1] as f64 / 2.0 + 0.5)),
            ("CRPIX2", format!("{}", shape[0] as f64 / 2.0 + 0.5)),
            ("CRVAL1", "30".to_owned()),
            ("CRVAL2", "-20".to_owned()),
            ("CD1_1", format!("{}", -scale * c)),
            ("CD1_2", format!("{}", scale * s)),
            ("CD2_1", format!("{}", scale * s)),
            ("CD2_2", format!("{}", scale * c)),
        ];
        let cards: Vec<_> = cards.into_iter().map(|(k, v)| (k.to_owned(), v, String::new())).collect();
        let wcs = Wcs::from_header(&cards).expect("a WCS");
        // Degrees north of the middle, whichever way it is turned.
        let north = |i: usize| {
            let (x, y) = ((i % shape[1]) as f64, (i / shape[1]) as f64);
            wcs.sky_from_pixel(x, y).map_or(f64::NAN, |(_, dec)| dec + 20.0) as f32
        };
        let mut image = Image::new("made", shape, (0..shape[0] * shape[1]).map(north).collect()).expect("an image");
        image.wcs = Some(wcs);
        Arc::new(image)
    }

    #[test]
    fn bands_of_other_pixels_are_laid_on_the_first() {
        let (a, b) = (image([60, 80], 1e-3, 0.0), image([200, 160], 0.6e-3, 40.0));
        assert!(!one_grid(&a, &b) && one_grid(&a, &a));
        let parts = [whole(&a), whole(&b)];
        let both = aligned(&parts, &[a.clone(), b.clone()]).expect("laid");
        assert_eq!(both[1].shape, [60, 80]);
        let (first, second) = (both[0].values(), both[1].values());
        let met = first.iter().zip(second).filter(|(_, v)| v.is_finite());
        // A place in the outer half of a pixel at the edge has its value.
        let exact = met.clone().filter(|(a, b)| (*a - *b).abs() < 1e-5).count();
        let all = met.clone().count();
        assert!(all > 3000 && exact * 20 > all * 19, "{exact} of {all} have the same value at the same place");
        assert!(met.clone().all(|(a, b)| (a - b).abs() < 6e-4));
        // Without a sky nothing can be laid on it, and that is said.
        let plain = Arc::new(Image::new("plain", [9, 9], vec![0.0; 81]).expect("an image"));
        let why = aligned(&[whole(&a), whole(&plain)], &[a, plain]).err().expect("refused");
        assert!(why.contains("no coordinates on the sky"), "{why}");
    }

    #[test]
    fn the_value_under_the_cursor_is_that_of_the_image_that_is_shown() {
        use asterism_session::{ImageLayer, Layer};
        let layer =
            |image: Arc<Image>| ImageLayer { title: image.name.clone(), pixels: Layer::Fits(image), source: String::new() };
        let (a, b) = (layer(image([60, 80], 1e-3, 0.0)), layer(image([200, 160], 0.6e-3, 40.0)));
        let value = |shown, p| super::super::badges::value_at(shown, &a, p).map(|v| v.0);
        // Both hold degrees north of the middle, so both say the same at a place, to half a pixel.
        for p in [[40.0, 30.0], [50.0, 40.0], [35.0, 22.0]] {
            let (first, second) = (value(&a, p).expect("a value"), value(&b, p).expect("a value"));
            assert!((first - second).abs() < 1e-3, "{first} and {second} at {p:?}");
        }
        // Where the first has no pixels the second has a value still, and beside both there is none.
        assert!(value(&a, [40.0, 62.0]).is_none() && value(&b, [40.0, 62.0]).is_some());
        assert!(value(&b, [400.0, 300.0]).is_none());
    }

    #[test]
    fn parts_of_other_pixels_meet_in_a_view() {
        let (a, b) = (image([300, 400], 1e-4, 0.0), image([500, 500], 0.8e-4, -25.0));
        let images = [a, b];
        let tiled: Vec<Arc<Tiled>> = images.iter().map(|i| Arc::new(Tiled::new(i).expect("levels"))).collect();
        let view = Range2 { x: [150.0, 250.0], y: [100.0, 200.0] };
        let parts = parts_in(&tiled, &images, view, [100, 100]).expect("read");
        let both = aligned(&parts, &images).expect("laid");
        let met: Vec<_> = both[0].values().iter().zip(both[1].values()).filter(|(_, v)| v.is_finite()).collect();
        assert!(met.len() * 10 > both[0].values().len() * 9, "{} of {}", met.len(), both[0].values().len());
        assert!(met.iter().all(|(a, b)| (*a - *b).abs() < 2e-5));
        // Beside the second image there is nothing of it, and no error.
        let corner = Range2 { x: [0.0, 4.0], y: [0.0, 4.0] };
        let parts = parts_in(&tiled, &images, corner, [40, 40]).expect("read");
        assert_eq!(aligned(&parts, &images).expect("laid").len(), 2);
    }
}
