//! Where the texels of an image come from: all of it at once, or in parts, one image or three mixed.
//!
//! A small image goes to the GPU as it is. A large one is a coarse picture under the part in sight (`tiles.rs`); three bands are mixed
//! part by part, so that a colour mosaic is bounded as well. Each stage is one thread at a time, and the newest that fits is drawn.

use std::sync::Arc;

use asterism_data::Image;
use asterism_render::ImageLook;
use egui::Ui;

use super::bands::Mix;
use super::tiles::{Tiled, around, first_look, is_large};
use crate::cx::Cx;
use crate::gpu::{self, Part, Pixels, Texels};
use crate::panes::rows::next_key;
use crate::widgets::texture::TiledTexture;
use crate::widgets::{Cache, Frame, Kept, ViewId, Work};

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
    textures: [TiledTexture; 2],
}

/// Parts of one image, or of three of one shape as a picture.
fn mixed(parts: &[Arc<Part>], mix: Option<&Mix>) -> Made {
    let Some(first) = parts.first() else { return Ok(None) };
    let (Some(mix), [r, g, b]) = (mix, parts) else { return Ok(Some(first.clone())) };
    let rgba = mix.colours([r.values(), g.values(), b.values()], first.shape).map_err(|e| e.to_string())?;
    let part = Part { shape: first.shape, texels: Texels::Colours(rgba), at: first.at, per: first.per, key: next_key() };
    Ok(Some(Arc::new(part)))
}

fn whole(image: &Image) -> Arc<Part> {
    let texels = Texels::Values(image.pixels.clone());
    Arc::new(Part { shape: image.shape, texels, at: [0.0; 2], per: 1.0, key: next_key() })
}

impl Source {
    /// Draw an image, or three mixed; `frame` is in pixels whose first covers `0..1`. What went wrong comes back.
    pub fn paint(
        &mut self,
        ui: &Ui,
        cx: &Cx<'_>,
        slot: ViewId,
        images: &[Arc<Image>],
        mix: Option<Mix>,
        look: &ImageLook,
        frame: Frame,
    ) -> Option<String> {
        let large = images.iter().any(|i| is_large(i));
        if let (false, None, [image]) = (large, &mix, images) {
            self.paint_whole(ui, cx, slot, &Pixels::Values(image.clone()), look, frame);
            return None;
        }
        let of = Of { images: images.iter().map(|i| Arc::as_ptr(i) as usize).collect(), mix };
        let tiled = if large { self.tiled(ui, images) } else { Some(Ok(Vec::new())) };
        let tiled = match tiled {
            Some(Err(why)) => return Some(why),
            Some(Ok(tiled)) => Some(tiled),
            None => None,
        };
        self.base(ui, images, &of, large, tiled.as_deref());
        // While stretch or limits move, the picture before is better than none.
        let same = |k: &Of| k.images == of.images;
        let base = self.base.newest_for(|k| same(&k.0));
        let mut trouble = None;
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
            let mix = of.mix.clone();
            self.part.get(ui.ctx(), "image-part", (of.clone(), bits, px), move || {
                let mut parts = Vec::new();
                for t in &tiled {
                    match t.part(view, px).map_err(|e| e.to_string())? {
                        Some(part) => parts.push(Arc::new(part)),
                        None => return Ok(None),
                    }
                }
                mixed(&parts, mix.as_ref())
            });
            match self.part.newest_for(|k| same(&k.0)).as_deref() {
                Some(Ok(Some(part))) => self.paint_part(ui, cx, *self.over, 1, part, look, frame),
                Some(Err(why)) => trouble = Some(why.clone()),
                _ => {}
            }
        }
        trouble
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
            mixed(&parts, mix.as_ref())
        });
    }
}
