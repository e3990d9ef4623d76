//! Cut-outs of the field around each row, the images themselves where they are the rows, or previews by a column of addresses.
//!
//! A virtual grid: only cells in view are cut or fetched. Cut-outs are made in a named thread, a
//! batch at a time, and kept by row, the ones not seen longest are given back. A cell tells why it
//! is empty. Cost: 36 kB for each cut-out kept, 512 of them at most.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use asterism_data::stretch::Cuts;
use asterism_data::{Cell, Picture, RowSet};
use asterism_render::colour::Lut;
use asterism_render::{ImageLook, Stretch};
use asterism_session::session::Fetched;
use asterism_session::{Command, Dataset, ImageLayer, Provenance, SelectMode, select};
use egui::{Align2, Color32, ColorImage, FontId, Rect, Sense, Stroke, StrokeKind, TextureHandle, Ui, pos2, vec2};
use serde::{Deserialize, Serialize};

use super::brush::{row_lines, tip};
use super::image::pixels_of;
use super::rows::{self, DataKey};
use crate::cx::Cx;
use crate::gpu::Pixels;
use crate::theme::SMALL;
use crate::widgets::texture::{cut, options};
use crate::widgets::{Cache, Work, format};

/// Cut-outs kept at most.
const KEEP: usize = 512;
/// Cut-outs made at a time.
const BATCH: usize = 64;

/// Settings and caches.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct GalleryPane {
    /// Side of a cell's picture, points.
    pub side_pt: f32,
    /// Side of a cut-out, pixels of the image.
    pub cut_px: usize,
    /// Only the selection is shown; else it stands first.
    pub only_selected: bool,
    #[serde(skip)]
    state: Cache<State>,
}

impl Default for GalleryPane {
    fn default() -> Self {
        Self { side_pt: 96.0, cut_px: 40, only_selected: false, state: Cache::default() }
    }
}

type Made = Vec<(u32, Option<ColorImage>)>;

#[derive(Default)]
struct State {
    /// First visible line, with its part.
    first: f64,
    source: Work<(DataKey, usize), Option<Source>>,
    order: Option<(DataKey, u64, bool, Arc<Vec<u32>>)>,
    pictures: HashMap<u32, (Shown, u64)>,
    of: Option<(DataKey, usize, usize)>,
    batch: Option<Receiver<Made>>,
    frame: u64,
}

enum Shown {
    Ready(TextureHandle),
    /// No pixels there.
    Outside,
}

/// What pictures of rows are made from.
pub(super) enum Source {
    /// Cut-outs of an image around the places of the rows.
    Around {
        /// The image.
        pixels: Pixels,
        /// How values become colours.
        look: ImageLook,
        /// Where the rows lie on it, pixels.
        places: Vec<[f64; 2]>,
    },
    /// Each row is one of these images.
    Images(Vec<Arc<ImageLayer>>),
}

/// Column with addresses of preview pictures.
pub fn url_column(dataset: &Dataset) -> Option<usize> {
    let table = &dataset.table;
    ["jpegURL", "preview_url", "thumbnail_url", "preview", "thumbnail"].iter().find_map(|n| table.column_index(n)).or_else(|| {
        let preview =
            |i: &usize| table.columns()[*i].ucd.as_deref().is_some_and(|u| u.to_ascii_lowercase().contains("meta.preview"));
        (0..table.columns().len()).find(preview)
    })
}

pub(super) fn source(dataset: &Dataset) -> Option<Source> {
    if dataset.rows_are_images() {
        return Some(Source::Images(dataset.images.clone()));
    }
    let pixels = pixels_of(dataset.images.first()?);
    let look = match &pixels {
        Pixels::Values(image) => look_between(super::image::tiles::limits(image, CUTS)?),
        Pixels::Picture(_) | Pixels::Part(_) => ImageLook::default(),
    };
    Some(Source::Around { pixels, look, places: select::image_positions(dataset, 0).ok()? })
}

/// Limits of small pictures.
const CUTS: Cuts = Cuts::Percentile(2.0, 99.7);
/// Side of an image made small, pixels.
const SMALL_PX: usize = 192;

fn look_between((low, high): (f64, f64)) -> ImageLook {
    let (lo, hi) = (low as f32, high as f32);
    ImageLook { lo, hi, stretch: Stretch::Asinh, lut: *Lut::Grey.table(), ..ImageLook::default() }
}

/// The picture of a row; `side` is that of a cut-out in pixels of the image. `None` where there is nothing to be seen.
pub(super) fn cut_row(source: &Source, row: u32, side: usize) -> Option<ColorImage> {
    let (pixels, look, places) = match source {
        Source::Around { pixels, look, places } => (pixels, look, places),
        Source::Images(images) => return small(images.get(row as usize)?),
    };
    let [x, y] = places.get(row as usize).copied().filter(|p| p[0].is_finite() && p[1].is_finite())?;
    let [height, width] = pixels.shape();
    if x < -0.5 || y < -0.5 || x > width as f64 || y > height as f64 {
        return None;
    }
    let at = [x.round() as i64 - side as i64 / 2, y.round() as i64 - side as i64 / 2];
    Some(upright(pixels, cut(pixels, look, at, [side, side])))
}

/// First row at the bottom: turned up.
fn upright(pixels: &Pixels, image: ColorImage) -> ColorImage {
    if !matches!(pixels, Pixels::Values(_)) {
        return image;
    }
    let size = image.size;
    ColorImage::new(size, image.pixels.chunks(size[0]).rev().flatten().copied().collect())
}

/// The middle square of an image, made small by every n-th of its pixels.
fn small(layer: &ImageLayer) -> Option<ColorImage> {
    let image = match pixels_of(layer) {
        Pixels::Picture(picture) => return Some(fitted(&picture, SMALL_PX)),
        Pixels::Values(image) => image,
        Pixels::Part(_) => return None,
    };
    let [height, width] = image.shape;
    // As many as give the shorter side its length.
    let most = SMALL_PX * SMALL_PX * height.max(width) / height.min(width).max(1);
    let sample = image.sample(most).ok()?;
    let look = look_between(CUTS.limits(&sample.values)?);
    let [height, width] = sample.shape;
    let side = height.min(width);
    let pixels = Pixels::Values(Arc::new(asterism_data::Image::new("", sample.shape, sample.values).ok()?));
    let at = [(width - side) / 2, (height - side) / 2].map(|v| v as i64);
    Some(upright(&pixels, cut(&pixels, &look, at, [side, side])))
}

impl GalleryPane {
    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        ui.toggle_value(&mut self.only_selected, "only the selection").on_hover_text("Else the selection stands first");
        for side in [96.0, 64.0] {
            if ui.selectable_label(self.side_pt == side, format!("{side:.0}")).on_hover_text("Size of the pictures").clicked() {
                self.side_pt = side;
            }
        }
        if cx.session.doc().dataset().is_some_and(|d| !d.images.is_empty() && !d.rows_are_images()) {
            ui.add(egui::DragValue::new(&mut self.cut_px).range(8..=400).suffix(" px"))
                .accessible_name("Side of a cut-out in pixels of the image")
                .on_hover_text("Side of a cut-out, in pixels of the image");
        }
    }

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let doc = cx.session.doc();
        let Some(dataset) = doc.dataset().cloned() else {
            super::empty(
                ui,
                cx.theme,
                "No pictures yet",
                "A dataset with an image shows cut-outs, one with preview addresses their previews.",
            );
            return;
        };
        let urls = url_column(&dataset);
        if dataset.images.is_empty() && urls.is_none() {
            let how = "Cut-outs need an image of the field; previews a column of addresses such as jpegURL.";
            super::empty(ui, cx.theme, &format!("{} has no pictures", dataset.name), how);
            return;
        }
        let Some(look) = rows::look(ui.ctx(), doc, cx.theme) else { return };
        let order = self.order(cx, &dataset);
        if order.is_empty() {
            super::empty(ui, cx.theme, "Nothing is selected", "Select rows in any view, or switch 'only the selection' off.");
            return;
        }
        let key = DataKey::of(&dataset);
        let layer = dataset.images.first().map_or(0, |l| Arc::as_ptr(l) as usize);
        if self.state.of != Some((key, layer, self.cut_px)) {
            self.state.of = Some((key, layer, self.cut_px));
            self.state.pictures.clear();
            self.state.batch = None;
        }
        let made = if layer == 0 {
            None
        } else {
            let of = dataset.clone();
            self.state.source.get(ui.ctx(), "gallery-source", (key, layer), move || source(&of));
            self.state.source.newest_for(|k| k.0.id == key.id && k.1 == layer)
        };
        let source = made.filter(|m| m.is_some());
        self.take_batch(ui);
        self.state.frame += 1;

        let area = ui.available_rect_before_wrap();
        ui.advance_cursor_after_rect(area);
        let response = ui.interact(area, ui.scope_id().with("gallery"), Sense::click_and_drag());
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::Grid, true, format!("Gallery of {}", format::rows(order.len())))
        });
        let cell = vec2(self.side_pt + 8.0, self.side_pt + 26.0);
        let across = ((area.width() - 8.0) / cell.x).floor().max(1.0) as usize;
        let lines = order.len().div_ceil(across);
        let visible = f64::from(area.height() / cell.y);
        let last = (lines as f64 - visible).max(0.0);
        if response.contains_pointer() {
            self.state.first -= f64::from(ui.input(|i| i.smooth_scroll_delta().y) / cell.y);
        }
        if response.dragged() {
            self.state.first -= f64::from(response.drag_delta().y / cell.y);
        }
        self.state.first = self.state.first.clamp(0.0, last);
        let painter = ui.painter_at(area);
        let first = self.state.first.floor() as usize;
        let shift = ((self.state.first - first as f64) * f64::from(cell.y)) as f32;
        let pointer = response.hover_pos();
        let mut missing = Vec::new();
        let mut over = None;
        let id_column = if dataset.rows_are_images() {
            dataset.table.column_index("image")
        } else {
            dataset.id_column().and_then(|n| dataset.table.column_index(&n))
        };
        for line in first..(first + visible.ceil() as usize + 1).min(lines) {
            for column in 0..across {
                let Some(row) = order.get(line * across + column).copied() else { break };
                let at = area.min + vec2(4.0 + column as f32 * cell.x, 4.0 + (line - first) as f32 * cell.y - shift);
                let whole = Rect::from_min_size(at, cell);
                let picture = Rect::from_min_size(at + vec2(4.0, 2.0), vec2(self.side_pt, self.side_pt));
                if pointer.is_some_and(|p| whole.contains(p)) {
                    over = Some(row);
                    cx.shared.hover_next = Some(row);
                }
                self.picture(ui, cx, &dataset, row, picture, source.is_some(), urls, &mut missing);
                let chosen = cx.session.doc().selection.rows.contains(row as usize);
                let stroke = if chosen {
                    Stroke::new(2.0, look.colour(row as usize).unwrap_or(look.own))
                } else if cx.shared.hover == Some(row) || over == Some(row) {
                    Stroke::new(1.0, cx.theme.text)
                } else {
                    Stroke::new(1.0, cx.theme.hairline)
                };
                painter.rect_stroke(picture, 2.0, stroke, StrokeKind::Outside);
                let name = id_column.map_or_else(|| format!("{}", row + 1), |c| dataset.table.cell(row as usize, c).to_string());
                let clip = painter.with_clip_rect(
                    Rect::from_min_size(pos2(picture.left(), picture.bottom()), vec2(self.side_pt, 22.0)).intersect(area),
                );
                let colour = if chosen { cx.theme.text } else { cx.theme.third };
                clip.text(
                    pos2(picture.left(), picture.bottom() + 4.0),
                    Align2::LEFT_TOP,
                    name,
                    FontId::proportional(SMALL - 1.0),
                    colour,
                );
            }
        }
        if let Some(source) = source {
            self.make(ui, source, missing);
        }
        if let (Some(row), Some(at)) = (over, pointer) {
            tip(ui, cx.theme, at, &row_lines(&dataset, row as usize, &[]));
            cx.shared.hint = "Click selects · Shift or Ctrl+click adds or takes out · wheel scrolls".into();
            cx.shared.position = format!("row {}", format::count(row as usize + 1));
            if response.clicked() {
                let modifiers = ui.input(|i| i.modifiers);
                let mode = if modifiers.shift || modifiers.command { SelectMode::Xor } else { SelectMode::Replace };
                let rows = RowSet::from_rows(dataset.table.rows(), [row as usize]);
                let why = Provenance::Rows { note: "gallery".into(), rows: rows.clone() };
                cx.commands.push(Command::Select { rows, why, mode: Some(mode) });
            }
        }
        if last > 0.0 {
            let track = Rect::from_min_max(pos2(area.right() - 6.0, area.top()), area.max);
            let length = (track.height() * (visible / lines as f64) as f32).clamp(24.0, track.height());
            let top = track.top() + (track.height() - length) * (self.state.first / last) as f32;
            painter.rect_filled(Rect::from_min_size(pos2(track.left(), top), vec2(4.0, length)), 2.0, cx.theme.hairline);
        }
    }

    /// The selection first, or alone. Kept while rows are being clicked here, so that nothing jumps.
    fn order(&mut self, cx: &Cx<'_>, dataset: &Dataset) -> Arc<Vec<u32>> {
        let doc = cx.session.doc();
        let clicked_here = doc
            .selection
            .steps
            .last()
            .is_some_and(|(_, why)| matches!(&**why, Provenance::Rows { note, .. } if note == "gallery"));
        let key = DataKey::of(dataset);
        if let Some((k, generation, only, order)) = &self.state.order
            && *k == key
            && *only == self.only_selected
            && (*generation == doc.selection.generation || clicked_here)
        {
            return order.clone();
        }
        let chosen = &doc.selection.rows;
        let mut order: Vec<u32> = chosen.iter().filter(|r| *r < key.rows).map(|r| r as u32).collect();
        if !self.only_selected {
            order.extend((0..key.rows).filter(|r| !chosen.contains(*r)).map(|r| r as u32));
        }
        let order = Arc::new(order);
        self.state.order = Some((key, doc.selection.generation, self.only_selected, order.clone()));
        self.state.first = 0.0;
        order
    }

    #[expect(clippy::too_many_arguments, reason = "one call, each a different thing")]
    fn picture(
        &mut self,
        ui: &Ui,
        cx: &Cx<'_>,
        dataset: &Dataset,
        row: u32,
        rect: Rect,
        cuts: bool,
        urls: Option<usize>,
        missing: &mut Vec<u32>,
    ) {
        let painter = ui.painter_at(rect.intersect(ui.clip_rect()));
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        let frame = self.state.frame;
        let say = |text: &str| {
            painter.rect_filled(rect, 2.0, cx.theme.field);
            let galley = painter.layout(text.to_owned(), FontId::proportional(SMALL - 1.0), cx.theme.third, rect.width() - 8.0);
            painter.galley(rect.center() - galley.size() / 2.0, galley, cx.theme.third);
        };
        if let Some((picture, seen)) = self.state.pictures.get_mut(&row) {
            *seen = frame;
            match picture {
                Shown::Ready(texture) => {
                    painter.image(texture.id(), rect, whole, Color32::WHITE);
                }
                Shown::Outside if dataset.rows_are_images() => say("no values"),
                Shown::Outside => say("outside the image"),
            }
            return;
        }
        if cuts {
            missing.push(row);
            say("");
            return;
        }
        let Some(column) = urls else {
            say("");
            return;
        };
        let Cell::Text(url) = dataset.table.cell(row as usize, column) else {
            say("no preview");
            return;
        };
        match cx.session.preview(&url) {
            Fetched::Loading => say("loading"),
            Fetched::Failed(why) => say(&why.chars().take(80).collect::<String>()),
            Fetched::Ready(picture) => {
                let texture = ui.ctx().load_texture(format!("preview {row}"), fitted(&picture, 256), options());
                painter.image(texture.id(), rect, whole, Color32::WHITE);
                self.keep(row, Shown::Ready(texture));
            }
        }
    }

    fn keep(&mut self, row: u32, picture: Shown) {
        let frame = self.state.frame;
        self.state.pictures.insert(row, (picture, frame));
        if self.state.pictures.len() > KEEP {
            let mut seen: Vec<(u64, u32)> = self.state.pictures.iter().map(|(r, (_, f))| (*f, *r)).collect();
            seen.sort_unstable();
            for (_, row) in seen.into_iter().take(KEEP / 8).filter(|(f, _)| *f < frame) {
                self.state.pictures.remove(&row);
            }
        }
    }

    fn make(&mut self, ui: &Ui, source: Arc<Option<Source>>, mut missing: Vec<u32>) {
        if self.state.batch.is_some() || missing.is_empty() {
            return;
        }
        missing.truncate(BATCH);
        let (sender, receiver) = sync_channel(1);
        let (ctx, side) = (ui.ctx().clone(), self.cut_px.max(4));
        let work = move || {
            if let Some(source) = source.as_ref() {
                let made: Made = missing.into_iter().map(|row| (row, cut_row(source, row, side))).collect();
                // The receiver is gone only when the pane or its image is.
                let _ = sender.send(made);
            }
            ctx.request_repaint();
        };
        if std::thread::Builder::new().name("gallery-cuts".into()).spawn(work).is_ok() {
            self.state.batch = Some(receiver);
            ui.ctx().request_repaint_after(std::time::Duration::from_millis(60));
        }
    }

    fn take_batch(&mut self, ui: &Ui) {
        let Some(receiver) = &self.state.batch else { return };
        match receiver.try_recv() {
            Ok(made) => {
                self.state.batch = None;
                for (row, image) in made {
                    let picture = match image {
                        Some(image) => Shown::Ready(ui.ctx().load_texture(format!("cut-out {row}"), image, options())),
                        None => Shown::Outside,
                    };
                    self.keep(row, picture);
                }
            }
            Err(std::sync::mpsc::TryRecvError::Disconnected) => self.state.batch = None,
            Err(std::sync::mpsc::TryRecvError::Empty) => ui.ctx().request_repaint_after(std::time::Duration::from_millis(60)),
        }
    }
}

/// A picture made smaller by taking every n-th pixel, and cut to a square in its middle.
fn fitted(picture: &Picture, most: usize) -> ColorImage {
    let [height, width] = picture.shape;
    let side = height.min(width).max(1);
    let (left, top) = ((width - side.min(width)) / 2, (height - side.min(height)) / 2);
    let n = side.min(most);
    let mut pixels = Vec::with_capacity(n * n);
    for y in 0..n {
        for x in 0..n {
            let i = 4 * ((top + y * side / n) * width + left + x * side / n);
            let p = picture.rgba.get(i..i + 4).unwrap_or(&[0; 4]);
            pixels.push(Color32::from_rgba_unmultiplied(p[0], p[1], p[2], p[3]));
        }
    }
    ColorImage::new([n, n], pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_cut_to_a_square() {
        let mut rgba = vec![0u8; 4 * 6 * 4];
        rgba.chunks_mut(4).enumerate().for_each(|(i, p)| p.copy_from_slice(&[(i % 6) as u8, 0, 0, 255]));
        let image = fitted(&Picture { name: String::new(), shape: [4, 6], rgba }, 256);
        assert_eq!(image.size, [4, 4]);
        assert_eq!(image.pixels[0].r(), 1);
    }

    #[test]
    fn an_image_that_is_a_row_is_its_middle_made_small() {
        let (h, w) = (400, 1000);
        let values = (0..h * w).map(|i| (i / w) as f32).collect();
        let image = asterism_data::Image::new("tall", [h, w], values).expect("an image");
        let layer =
            ImageLayer { title: "tall".into(), pixels: asterism_session::Layer::Fits(Arc::new(image)), source: String::new() };
        let shown = cut_row(&Source::Images(vec![Arc::new(layer)]), 0, 40).expect("a picture");
        assert!(shown.size[0] == shown.size[1] && (SMALL_PX / 2..=SMALL_PX * 2).contains(&shown.size[0]), "{:?}", shown.size);
        // Rows grow upwards: the first line is the brightest.
        let (top, bottom) = (shown.pixels[0].r(), shown.pixels[shown.pixels.len() - 1].r());
        assert!(top > 250 && bottom < 5, "{top} {bottom}");
        assert!(cut_row(&Source::Images(Vec::new()), 0, 40).is_none());
    }

    #[test]
    fn a_cut_out_is_centred_and_turned_up() {
        let image = asterism_data::Image {
            shape: [5, 5],
            pixels: (0..25).map(|v| v as f32).collect(),
            ..asterism_data::Image::default()
        };
        let look = ImageLook { lo: 0.0, hi: 25.0, ..ImageLook::default() };
        let source = Source::Around {
            pixels: Pixels::Values(Arc::new(image)),
            look,
            places: vec![[2.0, 2.0], [f64::NAN, 1.0], [90.0, 2.0]],
        };
        let cut = cut_row(&source, 0, 4).expect("it lies on the image");
        // Rows 0..4 and columns 0..4, the last row first: its first value is 15.
        let grey = look.colour(15.0);
        assert_eq!(cut.pixels[0], Color32::from_rgb(grey[0], grey[1], grey[2]));
        assert!(cut_row(&source, 1, 4).is_none() && cut_row(&source, 2, 4).is_none());
    }
}
