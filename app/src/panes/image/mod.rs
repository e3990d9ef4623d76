//! An image of the field with the rows on it: FITS values through a stretch, or a colour picture.
//!
//! Values go to the GPU once; cuts, stretch and colours are uniforms there. Without a GPU the
//! stretched image is a texture in tiles. Row positions come through the image's WCS, and a lasso
//! works on them as on any plot. Coordinates are pixels of the image, 0-based with the centre of the
//! first at (0, 0), as [`asterism_session::Plot::Image`] has it; the renderer's are half a pixel more.
//! Images of any size are drawn in parts (`tiles.rs`), three of them as one colour picture (`bands.rs`), and all of a dataset can
//! take turns (blink): the view keeps its place on the sky while they do.

mod badges;
mod bands;
mod source;
pub(crate) mod tiles;

use std::sync::Arc;

use asterism_data::Wcs;
use asterism_data::stretch::Cuts;
use asterism_render::colour::Lut;
use asterism_render::{ImageLook, Stretch};
use asterism_session::{Dataset, Document, ImageLayer, Layer, Plot, select};
use egui::{Align2, FontId, Pos2, Rect, RichText, Sense, Ui, pos2, vec2};
use serde::{Deserialize, Serialize};

use self::bands::Bands;
use self::source::Source;
use super::brush::{Brush, On, row_lines, tip};
use super::footprints::{self, Footprints, Ground, OnImage};
use super::rows::{self, DataKey, next_key};
use crate::cx::Cx;
use crate::gpu::{self, Pixels, Scatter, Stored};
use crate::theme::SMALL;
use crate::widgets::{Cache, Frame, Kept, Range2, ViewId, axes, format};

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
    /// Regions of the rows are drawn on it, where a column has them.
    pub footprints: bool,
    /// Radius of a mark, points.
    pub radius_pt: f32,
    /// Three of the images as one colour picture.
    pub bands: Bands,
    /// The images take turns.
    pub blink: bool,
    /// How often in a second.
    pub blink_hz: f32,
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
            footprints: true,
            radius_pt: 2.2,
            bands: Bands::default(),
            blink: false,
            blink_hz: 1.5,
            view: None,
            slots: Cache::default(),
            state: Cache::default(),
        }
    }
}

#[derive(Default)]
struct State {
    limits: Kept<(usize, String), Option<(f64, f64)>>,
    /// Those of the image in front, for the menu.
    front: Option<(f64, f64)>,
    places: Kept<(DataKey, usize, usize), Result<Stored, String>>,
    brush: Brush,
    footprints: Footprints<OnImage>,
    shown: Option<(u32, usize)>,
    source: Source,
    /// When the next image takes its turn, in egui's seconds.
    turn: f64,
    /// Dataset and number of the image in front when blinking began.
    first: Option<(u32, usize)>,
    /// The image that was drawn last while images take turns.
    drawn: Option<Arc<ImageLayer>>,
    /// Dataset and generation of the selection that was looked at last.
    followed: Option<(u32, u64)>,
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
        if let Some(names) = cx.session.doc().dataset().filter(|_| self.bands.on).and_then(|d| bands::names(d, &self.bands)) {
            return format!("Image: {}", names.join(", "));
        }
        match cx.session.doc().dataset().and_then(|d| self.before(d).or_else(|| self.layer(d))) {
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
                if let Some((mut low, mut high)) = self.state.front {
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
        }
        if matches!(layer.pixels, Layer::Fits(_)) && !self.bands.on {
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
        let was = self.bands.on;
        bands::menu(ui, cx, &dataset, &mut self.bands);
        // Either of the two is seen.
        self.blink &= was || !self.bands.on;
        if dataset.images.len() > 1 {
            let help = "The images take turns, in the same place on the sky (K over the image); how fast is under 'view'";
            self.bands.on &= !(ui.toggle_value(&mut self.blink, "blink").on_hover_text(help).changed() && self.blink);
        }
        ui.menu_button(RichText::new("view").color(cx.theme.second), |ui| {
            ui.set_min_width(180.0);
            ui.checkbox(&mut self.rows, "Rows on the image");
            ui.add_enabled(self.rows, egui::Checkbox::new(&mut self.others, "Rows that are not selected"));
            if asterism_session::footprint::column(&dataset.table).is_some() {
                ui.checkbox(&mut self.footprints, "Footprints of the rows")
                    .on_hover_text("Regions of a column s_region; a click inside selects the row");
            }
            ui.add(egui::Slider::new(&mut self.radius_pt, 0.5..=12.0).suffix(" pt"))
                .accessible_name("Radius of a mark in points");
            if dataset.images.len() > 1 {
                ui.add(egui::Slider::new(&mut self.blink_hz, 0.2..=10.0).logarithmic(true).fixed_decimals(1).suffix(" Hz blink"))
                    .accessible_name("Turns a second while blinking");
            }
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
        self.turns(ui, dataset.images.len());
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
        self.follow(doc, &dataset);
        self.index = self.index.min(dataset.images.len().saturating_sub(1));
        let composed = bands::layers(&dataset, &self.bands);
        if let Some(Ok(of)) = &composed {
            self.index = of.first;
        }
        let painted = dataset.images.get(self.index).cloned().unwrap_or(layer);
        // While images of other pixels take turns, each is laid on the first, and nothing but the picture changes.
        let base = self.base(&dataset);
        let layer = dataset.images.get(base).cloned().unwrap_or_else(|| painted.clone());
        let shown = (dataset.id, base);
        if let Some(before) = self.state.shown.filter(|s| *s != shown) {
            let same = before.0 == shown.0;
            self.view = self.view.filter(|_| same).and_then(|v| same_place(dataset.images.get(before.1)?, &layer, v));
        }
        self.state.shown = Some(shown);
        let pixels = pixels_of(&layer);
        let [height, width] = pixels.shape();
        let up = matches!(pixels, Pixels::Values(_));
        let rect = ui.available_rect_before_wrap();
        ui.advance_cursor_after_rect(rect);
        let response = ui.interact(rect, ui.scope_id().with("image"), Sense::click_and_drag());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, format!("Image {}", layer.title)));
        // In the window it fills the pane, as a margin of nothing would waste the sky; on paper nobody can move it.
        let ratios = [rect.width() / width.max(1) as f32, rect.height() / height.max(1) as f32];
        let fit = if gpu::is_on_paper(ui.ctx()) { ratios[0].min(ratios[1]) } else { ratios[0].max(ratios[1]) };
        let fit = f64::from(fit);
        let whole = ([(width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0], fit);
        let at = self.places(ui, &dataset, base);
        // At first, and after a double click, the part of the image that holds the rows.
        let home = match at.as_deref() {
            Some(Ok(at)) if self.view.is_none() || crate::widgets::gesture::frames_all(ui, &response) => around(at, rect, whole),
            _ => whole,
        };
        if self.view.is_none() && at.is_some() {
            self.view = Some(home);
        }
        let (centre, scale) = self.view.unwrap_or(home);
        let frame = frame_of(rect, centre, scale, up);

        let mut painted = painted;
        let drawn = match composed {
            Some(Err(why)) => Err(why),
            Some(Ok(of)) => self.paint_image(ui, cx, &layer, None, frame, Some(of)),
            None => match (self.paint_image(ui, cx, &painted, Some(&layer), frame, None), self.before(&dataset)) {
                // The one before stays until the next is there to be seen.
                (Ok(false), Some(before)) => {
                    painted = before;
                    self.paint_image(ui, cx, &painted, Some(&layer), frame, None)
                }
                (drawn, _) => drawn,
            },
        };
        self.state.drawn = (self.blink && drawn == Ok(true)).then(|| painted.clone());
        let trouble = drawn.err();
        let hide_rest = doc.hide_rest || (!self.others && look.any);
        let plane = OnImage(layer.clone());
        let regions = if self.footprints && wcs_of(&layer).is_some() {
            let faint = crate::theme::Theme::dark().second.gamma_multiply(0.8);
            let ground = Ground { dataset: &dataset, look: &look, frame: &frame, plane: &plane, hide_rest, faint };
            self.state.footprints.paint(ui, cx, &ground)
        } else {
            None
        };
        let mut brushed = super::brush::Brushed::default();
        if let Some(Ok(at)) = at.as_deref() {
            if self.rows {
                let scatter = Scatter {
                    slot: self.slots.1,
                    places: None,
                    at: at.clone(),
                    look: look.clone(),
                    colours: None,
                    sizes: None,
                    view: frame.view,
                    radius_pt: self.radius_pt,
                    opacity: 0.4,
                    hide_rest,
                    context: look.context(cx.theme).gamma_multiply(0.55),
                    hover: cx.shared.hover,
                    equalised: false,
                };
                gpu::paint_scatter(ui, cx.render, cx.theme, rect, scatter);
            }
            let plot = Plot::Image(base);
            let on = On { dataset: &dataset, at, plot: Some(&plot), transform: &frame, columns: [None; 2] };
            brushed = self.state.brush.update(ui, cx, &on, &response);
        }
        if let (Some(regions), None, Some(at)) = (&regions, brushed.hover, response.hover_pos().filter(|_| !brushed.takes_drag)) {
            let [x, y] = frame.data_from_pt(at);
            if let Some((ra, dec)) = wcs_of(&layer).and_then(|w| w.sky_from_pixel(x, y)) {
                let at = (ra.to_radians(), dec.to_radians());
                footprints::touch(ui, cx, (&dataset, &look, hide_rest), regions, &response, at);
            }
        }
        self.mouse(ui, &response, &frame, home, up, brushed.takes_drag);
        badges::paint(ui, cx, &layer, &painted, &frame, &response);
        if self.blink && dataset.images.len() > 1 && trouble.is_none() {
            badge(ui, cx, rect.left_top() + vec2(8.0, 8.0), Align2::LEFT_TOP, &painted.title);
        }
        if let Some(why) = trouble {
            badge(ui, cx, rect.center(), Align2::CENTER_CENTER, &why);
        }
        let free = !ui.ctx().text_edit_focused() && ui.input(|i| !i.modifiers.any());
        if response.contains_pointer() && free && ui.input_mut(|i| i.consume_key(egui::Modifiers::NONE, egui::Key::K)) {
            self.blink = !self.blink && dataset.images.len() > 1;
            self.bands.on &= !self.blink;
        }
        // A table of the images themselves has nothing to put on them.
        if let Some(Err(why)) = at.as_deref().filter(|_| dataset.table.rows() > dataset.images.len()) {
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
        if crate::widgets::gesture::frames_all(ui, response) {
            self.view = None;
        }
    }

    /// While blinking, the next image when its time has come.
    fn turns(&mut self, ui: &Ui, images: usize) {
        if !self.blink || images < 2 || self.bands.on {
            return;
        }
        let (now, wait) = (ui.input(|i| i.time), 1.0 / f64::from(self.blink_hz.max(0.1)));
        if now >= self.state.turn || self.state.turn > now + wait {
            // Not at the very first sight: the image that was chosen is seen for its time.
            if self.state.turn > 0.0 {
                self.index = (self.index + 1) % images;
                // The title of the tab was written before.
                ui.ctx().request_repaint();
            }
            self.state.turn = now + wait;
        }
        ui.ctx().request_repaint_after(std::time::Duration::from_secs_f64((self.state.turn - now).max(0.01)));
    }

    /// Number of the image whose pixels are those of the view: while images of other pixels blink, the one that was in front.
    fn base(&mut self, dataset: &Dataset) -> usize {
        if !self.blink || self.bands.on {
            self.state.first = None;
            return self.index;
        }
        let first = *self.state.first.get_or_insert((dataset.id, self.index));
        let image = |i: usize| match dataset.images.get(i).map(|l| &l.pixels) {
            Some(Layer::Fits(image)) if image.wcs.is_some() => Some(image),
            _ => None,
        };
        match (image(first.1), image(self.index)) {
            _ if first.0 != dataset.id => {
                self.state.first = None;
                self.index
            }
            (Some(a), Some(b)) if !source::one_grid(a, b) => first.1,
            _ => self.index,
        }
    }

    /// Limits of an image by the cuts in force, once they are known.
    fn limits(&mut self, ui: &Ui, image: &Arc<asterism_data::Image>) -> Option<Option<(f64, f64)>> {
        let (of, cuts) = (image.clone(), self.cuts);
        let key = (Arc::as_ptr(image) as usize, format!("{cuts:?}"));
        self.state.limits.get(ui.ctx(), "image-cuts", &key, move || tiles::limits(&of, cuts)).map(|l| *l)
    }

    fn look_of(&mut self, ui: &Ui, layer: &Arc<ImageLayer>) -> Option<ImageLook> {
        let Layer::Fits(image) = &layer.pixels else { return Some(ImageLook::default()) };
        let limits = self.limits(ui, image)?;
        self.state.front = limits;
        let (low, high) = limits?;
        let mut lut = *Lut::from_name(&self.lut).unwrap_or(Lut::Grey).table();
        if self.inverted {
            lut.reverse();
        }
        Some(ImageLook { lo: low as f32, hi: high as f32, stretch: stretch_of(&self.stretch), lut, ..ImageLook::default() })
    }

    /// Where the rows are the images, the one that is selected alone is shown.
    fn follow(&mut self, doc: &Document, dataset: &Dataset) {
        let now = (dataset.id, doc.selection.generation);
        if self.state.followed.replace(now).is_some_and(|before| before != now)
            && dataset.rows_are_images()
            && doc.selection.rows.count() == 1
            && let Some(row) = doc.selection.rows.iter().next()
        {
            self.index = row;
            self.bands.on = false;
        }
    }

    /// The image that was drawn last, where images take turns.
    fn before(&self, dataset: &Dataset) -> Option<Arc<ImageLayer>> {
        let before = self.state.drawn.as_ref().filter(|_| self.blink)?;
        dataset.images.iter().any(|i| Arc::ptr_eq(i, before)).then(|| before.clone())
    }

    /// Draw the image, or three of them as one; whether there was anything to draw yet.
    ///
    /// # Errors
    /// Why it cannot be drawn, for a person.
    fn paint_image(
        &mut self,
        ui: &Ui,
        cx: &Cx<'_>,
        layer: &Arc<ImageLayer>,
        under: Option<&Arc<ImageLayer>>,
        frame: Frame,
        composed: Option<bands::Layers>,
    ) -> Result<bool, String> {
        // The renderer counts pixels from their edge.
        let view = Range2 { x: frame.view.x.map(|v| v + 0.5), y: frame.view.y.map(|v| v + 0.5) };
        let frame = Frame { rect: frame.rect, view };
        let Some(look) = self.look_of(ui, layer) else {
            // An image without a value is seen as it is: empty.
            return Ok(matches!(&layer.pixels, Layer::Fits(image) if self.limits(ui, image).is_some()));
        };
        if let Some(of) = composed {
            let limits: Vec<_> = of.images.iter().map(|image| self.limits(ui, image)).collect();
            if let Some(without) = of.images.iter().zip(&limits).find(|(_, l)| **l == Some(None)) {
                return Err(format!("{} has no values", without.0.name));
            }
            // Until the limits of all are known the red one stands for the three.
            if let Some(limits) = limits.into_iter().map(Option::flatten).collect::<Option<Vec<_>>>() {
                let mix = bands::Mix::new(&self.bands, limits);
                return self.state.source.paint(ui, cx, self.slots.0, &of.images, Some(mix), &look, frame);
            }
        }
        if let (Layer::Fits(image), Some(Layer::Fits(under))) = (&layer.pixels, under.map(|l| &l.pixels))
            && !Arc::ptr_eq(image, under)
        {
            return self.state.source.paint(ui, cx, self.slots.0, &[under.clone(), image.clone()], None, &look, frame);
        }
        match &layer.pixels {
            Layer::Fits(image) => self.state.source.paint(ui, cx, self.slots.0, std::slice::from_ref(image), None, &look, frame),
            Layer::Picture(_) => {
                self.state.source.paint_whole(ui, cx, self.slots.0, &pixels_of(layer), &look, frame);
                Ok(true)
            }
        }
    }

    fn places(&mut self, ui: &Ui, dataset: &Arc<Dataset>, index: usize) -> Option<Arc<Result<Stored, String>>> {
        let of = dataset.clone();
        let image = dataset.images.get(index).map_or(0, |l| Arc::as_ptr(l) as usize);
        let key = (DataKey::of(dataset), index, image);
        self.state.places.get(ui.ctx(), "image-places", &key, move || {
            select::image_positions(&of, index).map(|p| Stored::of(&p, next_key())).map_err(|e| e.to_string())
        })
    }
}

/// The view that shows the same place of another image: by the sky where both know it, else by the pixel where they are of one size.
fn same_place(before: &ImageLayer, now: &ImageLayer, (centre, scale): ([f64; 2], f64)) -> Option<([f64; 2], f64)> {
    if let (Some(a), Some(b)) = (wcs_of(before), wcs_of(now)) {
        let (ra, dec) = a.sky_from_pixel(centre[0], centre[1])?;
        let (x, y) = b.pixel_from_sky(ra, dec)?;
        return Some(([x, y], scale * b.pixel_scale_deg() / a.pixel_scale_deg()));
    }
    (pixels_of(before).shape() == pixels_of(now).shape()).then_some((centre, scale))
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
    fn rows_of_a_fits_image_grow_upwards_and_of_a_picture_downwards() {
        let rect = Rect::from_min_size(pos2(0.0, 0.0), vec2(100.0, 50.0));
        let up = frame_of(rect, [10.0, 20.0], 2.0, true);
        assert_eq!(up.data_from_pt(rect.center()), [10.0, 20.0]);
        assert!(up.pt_from_data([10.0, 25.0]).y < rect.center().y);
        let down = frame_of(rect, [10.0, 20.0], 2.0, false);
        assert!(down.pt_from_data([10.0, 25.0]).y > rect.center().y);
    }
}
