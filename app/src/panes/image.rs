//! An image of the field with the rows on it: FITS values through a stretch, or a colour picture.
//!
//! Values go to the GPU once; cuts, stretch and colours are uniforms there. Without a GPU the
//! stretched image is a texture in tiles. Row positions come through the image's WCS, and a lasso
//! works on them as on any plot. Coordinates are pixels of the image, 0-based with the centre of the
//! first at (0, 0), as [`asterism_session::Plot::Image`] has it; the renderer's are half a pixel more.

use std::sync::Arc;

use asterism_data::Wcs;
use asterism_data::stretch::Cuts;
use asterism_render::colour::Lut;
use asterism_render::{ImageLook, Stretch};
use asterism_session::{Dataset, ImageLayer, Layer, Plot, select};
use egui::{Align2, Color32, FontId, Pos2, Rect, RichText, Sense, Stroke, Ui, pos2, vec2};
use serde::{Deserialize, Serialize};

use super::brush::{Brush, On, row_lines, tip};
use super::rows::{self, DataKey, next_key};
use crate::cx::{Cx, Tool};
use crate::gpu::{self, Pixels, Scatter, Stored};
use crate::theme::SMALL;
use crate::widgets::texture::TiledTexture;
use crate::widgets::{Cache, Frame, Range2, ViewId, Work, axes, format};

/// Settings and caches of an image.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ImagePane {
    /// Which of the dataset's images.
    pub index: usize,
    /// Name of the stretch.
    pub stretch: String,
    /// How the limits are found.
    pub cuts: Cuts,
    /// Name of the colours.
    pub lut: String,
    /// Colours turned round.
    pub inverted: bool,
    /// The rows are drawn on it.
    pub rows: bool,
    /// Rows that are not lit are drawn as well.
    pub others: bool,
    /// Radius of a mark, points.
    pub radius_pt: f32,
    /// Pixel in the middle, and points a pixel; `None` for all.
    pub view: Option<([f64; 2], f64)>,
    #[serde(skip)]
    slots: Cache<(ViewId, ViewId)>,
    #[serde(skip)]
    state: Cache<State>,
}

impl Default for ImagePane {
    fn default() -> Self {
        Self {
            index: 0,
            stretch: "asinh".into(),
            cuts: Cuts::Percentile(2.0, 99.7),
            lut: Lut::Grey.name().into(),
            inverted: false,
            rows: true,
            others: false,
            radius_pt: 2.2,
            view: None,
            slots: Cache::default(),
            state: Cache::default(),
        }
    }
}

#[derive(Default)]
struct State {
    limits: Work<(usize, String), Option<(f64, f64)>>,
    places: Work<(DataKey, usize, usize), Result<Stored, String>>,
    brush: Brush,
    shown: Option<(u32, usize)>,
    texture: TiledTexture,
}

/// Name of a stretch in a menu.
pub fn stretch_name(s: Stretch) -> &'static str {
    match s {
        Stretch::Linear => "linear",
        Stretch::Sqrt => "sqrt",
        Stretch::Squared => "squared",
        Stretch::Log => "log",
        Stretch::Asinh => "asinh",
        Stretch::Sinh => "sinh",
    }
}

fn stretch_of(name: &str) -> Stretch {
    Stretch::ALL.into_iter().find(|s| stretch_name(*s) == name).unwrap_or(Stretch::Asinh)
}

fn cuts_name(cuts: Cuts) -> String {
    match cuts {
        Cuts::MinMax => "min to max".into(),
        Cuts::Percentile(a, b) => format!("{a}–{b} %"),
        Cuts::ZScale => "zscale".into(),
        Cuts::Manual(a, b) => format!("{} to {}", format::number(a, 3), format::number(b, 3)),
    }
}

pub(super) fn pixels_of(layer: &ImageLayer) -> Pixels {
    match &layer.pixels {
        Layer::Fits(image) => Pixels::Values(image.clone()),
        Layer::Picture(picture) => Pixels::Picture(picture.clone()),
    }
}

pub(super) fn wcs_of(layer: &ImageLayer) -> Option<&Wcs> {
    match &layer.pixels {
        Layer::Fits(image) => image.wcs.as_ref(),
        Layer::Picture(_) => None,
    }
}

impl ImagePane {
    fn layer(&self, dataset: &Dataset) -> Option<Arc<ImageLayer>> {
        dataset.images.get(self.index).or_else(|| dataset.images.first()).cloned()
    }

    /// For the tab.
    pub fn title(&self, cx: &Cx<'_>) -> String {
        match cx.session.doc().dataset().and_then(|d| self.layer(d)) {
            Some(layer) => format!("Image: {}", layer.title),
            None => "Image".into(),
        }
    }

    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let Some(dataset) = cx.session.doc().dataset().cloned() else { return };
        let Some(layer) = self.layer(&dataset) else { return };
        if matches!(layer.pixels, Layer::Fits(_)) {
            ui.menu_button(RichText::new(cuts_name(self.cuts)).color(cx.theme.second), |ui| {
                ui.set_min_width(170.0);
                for cuts in [
                    Cuts::Percentile(2.0, 99.7),
                    Cuts::Percentile(0.5, 99.5),
                    Cuts::Percentile(0.25, 99.75),
                    Cuts::Percentile(1.0, 99.0),
                    Cuts::Percentile(5.0, 95.0),
                    Cuts::ZScale,
                    Cuts::MinMax,
                ] {
                    if ui.selectable_label(self.cuts == cuts, cuts_name(cuts)).clicked() {
                        self.cuts = cuts;
                    }
                }
                ui.separator();
                if let Some((mut low, mut high)) = self.state.limits.newest().and_then(|l| *l) {
                    let speed = (high - low).abs().max(1e-30) / 200.0;
                    ui.horizontal(|ui| {
                        let a = ui.add(egui::DragValue::new(&mut low).speed(speed).prefix("low ")).accessible_name("Lower limit");
                        let b =
                            ui.add(egui::DragValue::new(&mut high).speed(speed).prefix("high ")).accessible_name("Upper limit");
                        if a.changed() || b.changed() {
                            self.cuts = Cuts::Manual(low, high);
                        }
                    });
                }
            })
            .response
            .on_hover_text("Which values are darkest and brightest");
            ui.menu_button(RichText::new(self.stretch.clone()).color(cx.theme.second), |ui| {
                for stretch in Stretch::ALL {
                    let name = stretch_name(stretch);
                    if ui.selectable_label(self.stretch == name, name).clicked() {
                        self.stretch = name.into();
                        ui.close();
                    }
                }
                ui.separator();
                for lut in Lut::ALL {
                    if ui.selectable_label(self.lut == lut.name(), lut.name()).clicked() {
                        self.lut = lut.name().into();
                        ui.close();
                    }
                }
                ui.checkbox(&mut self.inverted, "Turned round");
            })
            .response
            .on_hover_text("How values become brightness, and the colours");
        }
        ui.menu_button(RichText::new("view").color(cx.theme.second), |ui| {
            ui.set_min_width(180.0);
            ui.checkbox(&mut self.rows, "Rows on the image");
            ui.add_enabled(self.rows, egui::Checkbox::new(&mut self.others, "Rows that are not selected"));
            ui.add(egui::Slider::new(&mut self.radius_pt, 0.5..=12.0).suffix(" pt"))
                .accessible_name("Radius of a mark in points");
            ui.separator();
            for (i, layer) in dataset.images.iter().enumerate() {
                if ui.selectable_label(i == self.index, &layer.title).clicked() {
                    self.index = i;
                    ui.close();
                }
            }
            if ui.button("Frame all").on_hover_text("Also by a double click").clicked() {
                self.view = None;
                ui.close();
            }
        });
    }

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let doc = cx.session.doc();
        let Some(dataset) = doc.dataset().cloned() else {
            super::empty(
                ui,
                cx.theme,
                "No image yet",
                "Open a sample with an image, or a FITS file, to see its rows on the sky.",
            );
            return;
        };
        let Some(layer) = self.layer(&dataset) else {
            super::empty(
                ui,
                cx.theme,
                &format!("{} has no image", dataset.name),
                "Add one with File → Open image (FITS with WCS, PNG or JPEG).",
            );
            return;
        };
        let Some(look) = rows::look(ui.ctx(), doc, cx.theme) else { return };
        self.index = self.index.min(dataset.images.len().saturating_sub(1));
        let shown = (dataset.id, self.index);
        if self.state.shown.is_some_and(|s| s != shown) {
            self.view = None;
        }
        self.state.shown = Some(shown);
        let pixels = pixels_of(&layer);
        let [height, width] = pixels.shape();
        let up = matches!(pixels, Pixels::Values(_));
        let rect = ui.available_rect_before_wrap();
        ui.advance_cursor_after_rect(rect);
        let response = ui.interact(rect, ui.scope_id().with("image"), Sense::click_and_drag());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, format!("Image {}", layer.title)));
        // All of it, filling the pane: a margin of nothing would waste the sky.
        let fit = f64::from((rect.width() / width.max(1) as f32).max(rect.height() / height.max(1) as f32));
        let whole = ([(width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0], fit);
        let at = self.places(ui, &dataset);
        // At first, and after a double click, the part of the image that holds the rows.
        let home = match at.as_deref() {
            Some(Ok(at)) if self.view.is_none() || response.double_clicked() => around(at, rect, whole),
            _ => whole,
        };
        if self.view.is_none() && at.is_some() {
            self.view = Some(home);
        }
        let (centre, scale) = self.view.unwrap_or(home);
        let frame = frame_of(rect, centre, scale, up);

        self.paint_image(ui, cx, &pixels, &layer, frame);
        let mut brushed = super::brush::Brushed::default();
        if let Some(Ok(at)) = at.as_deref() {
            if self.rows {
                let scatter = Scatter {
                    slot: self.slots.1,
                    at: at.clone(),
                    look: look.clone(),
                    colours: None,
                    sizes: None,
                    view: frame.view,
                    radius_pt: self.radius_pt,
                    opacity: 0.4,
                    hide_rest: doc.hide_rest || (!self.others && look.any),
                    context: look.context(cx.theme).gamma_multiply(0.55),
                    hover: cx.shared.hover,
                    equalised: false,
                };
                gpu::paint_scatter(ui, cx.render, cx.theme, rect, scatter);
            }
            let plot = Plot::Image(self.index);
            let on = On { dataset: &dataset, at, plot: Some(&plot), transform: &frame, x_column: None };
            brushed = self.state.brush.update(ui, cx, &on, &response);
        }
        self.mouse(ui, &response, &frame, home, up, brushed.takes_drag);
        self.badges(ui, cx, &layer, &frame, &response);
        if let Some(Err(why)) = at.as_deref() {
            badge(ui, cx, pos2(rect.left() + 8.0, rect.top() + 8.0), Align2::LEFT_TOP, why);
        }
        if let (Some(at), Some(row)) = (response.hover_pos(), brushed.hover) {
            tip(ui, cx.theme, at, &row_lines(&dataset, row as usize, &[]));
        }
    }

    fn mouse(&mut self, ui: &Ui, response: &egui::Response, frame: &Frame, home: ([f64; 2], f64), up: bool, taken: bool) {
        let (mut centre, mut scale) = self.view.unwrap_or(home);
        let mut moved = false;
        if response.dragged() && !taken {
            let d = response.drag_delta();
            centre[0] -= f64::from(d.x) / scale;
            centre[1] += f64::from(d.y) / scale * if up { 1.0 } else { -1.0 };
            moved = true;
        }
        if response.contains_pointer()
            && let Some(at) = ui.ctx().pointer_hover_pos()
        {
            let factor = f64::from(axes::wheel(ui));
            if factor != 1.0 {
                let fixed = frame.data_from_pt(at);
                let next = (scale * factor).clamp(home.1 * 0.2, 200.0f64.max(home.1));
                for i in 0..2 {
                    centre[i] = fixed[i] + (centre[i] - fixed[i]) * scale / next;
                }
                scale = next;
                moved = true;
            }
        }
        if moved {
            self.view = Some((centre, scale));
        }
        if response.double_clicked() {
            self.view = None;
        }
    }

    fn look_of(&mut self, ui: &Ui, layer: &Arc<ImageLayer>) -> Option<ImageLook> {
        let Layer::Fits(image) = &layer.pixels else { return Some(ImageLook::default()) };
        let (of, cuts) = (image.clone(), self.cuts);
        let key = (Arc::as_ptr(image) as usize, format!("{cuts:?}"));
        let address = key.0;
        self.state.limits.get(ui.ctx(), "image-cuts", key, move || cuts.limits(&of.pixels));
        let limits = self.state.limits.newest_for(|k| k.0 == address)?;
        let (low, high) = (*limits)?;
        let mut lut = *Lut::from_name(&self.lut).unwrap_or(Lut::Grey).table();
        if self.inverted {
            lut.reverse();
        }
        Some(ImageLook { lo: low as f32, hi: high as f32, stretch: stretch_of(&self.stretch), lut, ..ImageLook::default() })
    }

    fn paint_image(&mut self, ui: &Ui, cx: &Cx<'_>, pixels: &Pixels, layer: &Arc<ImageLayer>, frame: Frame) {
        let Some(look) = self.look_of(ui, layer) else { return };
        // The renderer counts pixels from their edge.
        let view = Range2 { x: frame.view.x.map(|v| v + 0.5), y: frame.view.y.map(|v| v + 0.5) };
        if !gpu::paint_image(ui, cx.render, self.slots.0, pixels, look, view, frame.rect) {
            self.state.texture.paint(ui, pixels, &look, &Frame { rect: frame.rect, view });
        }
    }

    fn places(&mut self, ui: &Ui, dataset: &Arc<Dataset>) -> Option<Arc<Result<Stored, String>>> {
        let (of, index) = (dataset.clone(), self.index);
        let image = dataset.images.get(index).map_or(0, |l| Arc::as_ptr(l) as usize);
        let key = (DataKey::of(dataset), index, image);
        self.state.places.get(ui.ctx(), "image-places", key, move || {
            select::image_positions(&of, index).map(|p| Stored::of(&p, next_key())).map_err(|e| e.to_string())
        });
        self.state.places.newest_for(|k| k.0.id == key.0.id && k.1 == index)
    }

    fn badges(&self, ui: &Ui, cx: &mut Cx<'_>, layer: &ImageLayer, frame: &Frame, response: &egui::Response) {
        let rect = frame.rect;
        let wcs = wcs_of(layer);
        let mut text = String::new();
        if let Some(at) = response.hover_pos() {
            let p = frame.data_from_pt(at);
            let mut foot = format!("x {:.1}  y {:.1}", p[0] + 1.0, p[1] + 1.0);
            if let Layer::Fits(image) = &layer.pixels {
                let [h, w] = image.shape;
                let (x, y) = (p[0].round(), p[1].round());
                if x >= 0.0 && y >= 0.0 && (x as usize) < w && (y as usize) < h {
                    let v = f64::from(image.pixels[y as usize * w + x as usize]);
                    let unit = format::unit(&image.unit);
                    foot += &if v.is_finite() { format!("  value {} {unit}", format::number(v, 5)) } else { "  no value".into() };
                }
            }
            if let Some((ra, dec)) = wcs.and_then(|w| w.sky_from_pixel(p[0], p[1])) {
                foot += &format!("  {}  {ra:.5} {dec:+.5}", format::sexagesimal(ra, dec)).replace('-', "\u{2212}");
                text = format::minus(&format!("{ra:.4} {dec:.4} · "));
            }
            cx.shared.position = foot;
            cx.shared.hint = match cx.shared.tool {
                Tool::Pan => "Drag pans · wheel zooms · Shift+drag adds by lasso · double click frames all".into(),
                _ => "Drag draws on the image · Shift adds · Alt removes · Esc clears".into(),
            };
        }
        let Some(wcs) = wcs else { return };
        let middle = frame.data_from_pt(rect.center());
        let Some((north, east)) = wcs.compass(middle[0], middle[1]) else { return };
        // Directions on the screen: rows grow upwards there.
        let dir = |v: [f64; 2]| vec2(v[0] as f32, -v[1] as f32);
        let (n, e) = (dir(north), dir(east));
        text += &orientation(n, e);
        let per_pt_deg = wcs.pixel_scale_deg() * frame.data_per_pt()[0];
        let (length_pt, label) = scale_bar(per_pt_deg * 3600.0, f64::from(rect.width()) * 0.2);
        text += &format!(" · {label}");
        badge(ui, cx, pos2(rect.right() - 8.0, rect.bottom() - 8.0), Align2::RIGHT_BOTTOM, &text);
        // Arrows and bar above the badge.
        let painter = ui.painter_at(rect);
        let stroke = Stroke::new(1.5, cx.theme.accent);
        let origin = rect.right_bottom() - vec2(40.0, 66.0);
        // Over whatever the image holds there.
        painter.circle_filled(origin + (n + e) * 12.0, 34.0, cx.theme.frame.gamma_multiply(0.75));
        for (v, name) in [(n, "N"), (e, "E")] {
            painter.arrow(origin, v * 22.0, stroke);
            painter.text(origin + v * 31.0, Align2::CENTER_CENTER, name, FontId::proportional(SMALL), cx.theme.accent);
        }
        let bar = pos2(rect.left() + 14.0, rect.bottom() - 16.0);
        paint_scale_bar(&painter, bar, length_pt as f32, &label, cx.theme.accent, cx.theme.frame);
    }
}

/// Air between the bar and its text, points.
const BAR_GAP: f32 = 4.0;
const BAR_WIDTH: f32 = 2.0;

/// A bar with its length above it, both with a halo, so that they read on any image.
fn paint_scale_bar(painter: &egui::Painter, bar: Pos2, length: f32, label: &str, ink: Color32, ground: Color32) {
    let ends = [bar, bar + vec2(length, 0.0)];
    let halo = ground.gamma_multiply(0.8);
    painter.rect_filled(Rect::from_two_pos(ends[0], ends[1]).expand(BAR_WIDTH / 2.0 + 1.0), 1.0, halo);
    painter.line_segment(ends, Stroke::new(BAR_WIDTH, ink));
    let at = bar + vec2(length / 2.0, -BAR_WIDTH / 2.0 - BAR_GAP);
    let font = FontId::proportional(SMALL);
    for (dx, dy) in [(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0), (-0.7, -0.7), (0.7, -0.7), (-0.7, 0.7), (0.7, 0.7)] {
        painter.text(at + vec2(dx, dy), Align2::CENTER_BOTTOM, label, font.clone(), halo);
    }
    painter.text(at, Align2::CENTER_BOTTOM, label, font, ink);
}

/// Centre and scale that show the rows with as much of the image around them, within the whole.
fn around(at: &Stored, rect: Rect, whole: ([f64; 2], f64)) -> ([f64; 2], f64) {
    let range = Range2::of_points((0..at.xy.len()).map(|r| at.data(r)));
    let (w, h) = ((range.x[1] - range.x[0]).abs() * 1.8, (range.y[1] - range.y[0]).abs() * 1.8);
    let scale = (f64::from(rect.width()) / w).min(f64::from(rect.height()) / h);
    if !scale.is_finite() || scale <= whole.1 {
        return whole;
    }
    ([(range.x[0] + range.x[1]) / 2.0, (range.y[0] + range.y[1]) / 2.0], scale)
}

/// The frame of an image whose pixel `centre` is in the middle, at so many points a pixel.
pub(super) fn frame_of(rect: Rect, centre: [f64; 2], scale: f64, up: bool) -> Frame {
    let (w, h) = (f64::from(rect.width()) / scale / 2.0, f64::from(rect.height()) / scale / 2.0);
    let y = if up { [centre[1] - h, centre[1] + h] } else { [centre[1] + h, centre[1] - h] };
    Frame { rect, view: Range2 { x: [centre[0] - w, centre[0] + w], y } }
}

/// `N up, E left`, where the arrows are near an axis; else the angle.
fn orientation(n: egui::Vec2, e: egui::Vec2) -> String {
    let side = |v: egui::Vec2| {
        let v = v.normalized();
        if v.y < -0.95 {
            Some("up")
        } else if v.y > 0.95 {
            Some("down")
        } else if v.x > 0.95 {
            Some("right")
        } else if v.x < -0.95 {
            Some("left")
        } else {
            None
        }
    };
    match (side(n), side(e)) {
        (Some(n), Some(e)) => format!("N {n}, E {e}"),
        _ => format!("N at {:.0}°", (-n.x).atan2(-n.y).to_degrees()),
    }
}

/// Length in points and label of a bar of a round number of arcseconds, at most `most_pt` long.
fn scale_bar(arcsec_per_pt: f64, most_pt: f64) -> (f64, String) {
    let most = arcsec_per_pt * most_pt;
    if !(most > 0.0 && most.is_finite()) {
        return (0.0, String::new());
    }
    let (unit, name) = if most >= 3600.0 {
        (3600.0, "°")
    } else if most >= 60.0 {
        (60.0, "′")
    } else {
        (1.0, "″")
    };
    let in_unit = most / unit;
    let power = 10f64.powf(in_unit.log10().floor());
    let round = [5.0, 2.0, 1.0].iter().map(|m| m * power).find(|v| *v <= in_unit).unwrap_or(power);
    (round * unit / arcsec_per_pt, format!("{}{name}", format::number(round, 2)))
}

/// A small text on a ground of its own.
pub(super) fn badge(ui: &Ui, cx: &Cx<'_>, at: Pos2, align: Align2, text: &str) {
    let painter = ui.painter();
    let galley = painter.layout(text.to_owned(), FontId::proportional(SMALL), cx.theme.text, 420.0);
    let rect = align.anchor_size(at, galley.size() + vec2(16.0, 8.0));
    painter.rect_filled(rect, 4.0, cx.theme.frame.gamma_multiply(0.88));
    painter.galley(rect.min + vec2(8.0, 4.0), galley, cx.theme.text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_bar_is_round_and_fits() {
        let (length, label) = scale_bar(0.1, 120.0);
        assert_eq!((length, label.as_str()), (100.0, "10″"));
        let (length, label) = scale_bar(2.0, 100.0);
        assert_eq!((length, label.as_str()), (60.0, "2′"));
        assert!(length <= 100.0);
    }

    #[test]
    fn the_text_of_a_scale_bar_stands_clear_of_it() {
        let ctx = egui::Context::default();
        let (ink, ground) = (Color32::RED, Color32::WHITE);
        let out = ctx.run_ui(egui::RawInput::default(), |ui| {
            paint_scale_bar(ui.painter(), pos2(50.0, 100.0), 80.0, "10″", ink, ground);
        });
        let mut texts = 0;
        for clipped in &out.shapes {
            if let egui::Shape::Text(text) = &clipped.shape {
                texts += 1;
                let halo = if text.fallback_color == ink { 0.0 } else { 1.0 };
                assert!(text.visual_bounding_rect().bottom() <= 100.0 - 1.0 - 4.0 + halo + 0.01, "{text:?}");
            }
        }
        assert_eq!(texts, 9, "eight of the halo, and the text");
    }

    #[test]
    fn rows_of_a_fits_image_grow_upwards_and_of_a_picture_downwards() {
        let rect = Rect::from_min_size(pos2(0.0, 0.0), vec2(100.0, 50.0));
        let up = frame_of(rect, [10.0, 20.0], 2.0, true);
        assert_eq!(up.data_from_pt(rect.center()), [10.0, 20.0]);
        assert!(up.pt_from_data([10.0, 25.0]).y < rect.center().y);
        let down = frame_of(rect, [10.0, 20.0], 2.0, false);
        assert!(down.pt_from_data([10.0, 25.0]).y > rect.center().y);
        assert_eq!(orientation(vec2(0.0, -1.0), vec2(-1.0, 0.0)), "N up, E left");
    }
}
