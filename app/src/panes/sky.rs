//! Positions on the sky: the whole of it in Mollweide or Aitoff, or a field in gnomonic projection.
//!
//! Positions are projected once for each choice of projection and centre, in a named thread, and
//! drawn like any scatter. East is at the left, as on the sky. An outline is kept in degrees east and
//! north of the centre on the plane, so it can be run again on new rows; on a field across 0° of
//! right ascension and over a pole as anywhere else. The centre stays where it is as rows arrive,
//! and is that of the outline that is kept, so that what was drawn stays where it was drawn.
//! The graticule is redrawn with the view.

use std::f64::consts::PI;

use asterism_session::sky::{Flat, Projection, wrap};
use asterism_session::{Dataset, Document, Plot, Provenance};
use egui::{Align2, FontId, Pos2, RichText, Sense, Stroke, Ui, pos2, vec2};
use serde::{Deserialize, Serialize};

use super::brush::{Brush, On, row_lines, tip};
use super::rows::{self, DataKey, next_key};
use crate::cx::{Cx, Tool};
use crate::gpu::{self, Scatter, Stored};
use crate::theme::SMALL;
use crate::widgets::gesture::Transform;
use crate::widgets::{Cache, Frame, Range2, ViewId, Work, axes, format};

/// What the person chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// A field when all rows lie within 40°, else Mollweide.
    #[default]
    Automatic,
    /// The whole sky, equal areas.
    Mollweide,
    /// The whole sky.
    Aitoff,
    /// A field around the middle of the rows.
    Field,
}

/// Settings and caches.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct SkyPane {
    /// Projection.
    pub projection: Choice,
    /// Radius of a mark, points.
    pub radius_pt: f32,
    /// Middle of the view on the plane, and points a unit of it (radians); `None` for all.
    pub view: Option<([f64; 2], f64)>,
    #[serde(skip)]
    slot: Cache<ViewId>,
    #[serde(skip)]
    state: Cache<State>,
}

impl Default for SkyPane {
    fn default() -> Self {
        Self { projection: Choice::Automatic, radius_pt: 1.8, view: None, slot: Cache::default(), state: Cache::default() }
    }
}

#[derive(Default)]
struct State {
    places: Work<(DataKey, Choice, Option<[u64; 2]>), Result<Placed, String>>,
    brush: Brush,
    shown: Option<(u32, Choice)>,
    /// The dataset's field as it was first placed.
    centre: Option<(u32, [f64; 2])>,
}

struct Placed {
    /// On the plane, radians, x growing to the left of the screen (east).
    plane: Stored,
    /// The same as degrees east and north of the centre.
    offsets: Stored,
    /// Right ascension and declination of the middle, degrees.
    centre: [f64; 2],
    map: Flat,
    home: Range2,
}

/// The middle of the whole sky, degrees.
const ALL_SKY: [f64; 2] = [180.0, 0.0];

/// A field keeps its centre while the rows are about there, degrees.
const STAYS_DEG: f64 = 40.0;

/// Project the rows; a field around `centre` (degrees) where there is one and the rows are near it.
fn place(dataset: &Dataset, projection: Choice, centre: Option<[f64; 2]>) -> Result<Placed, String> {
    let (ra, dec) = dataset.sky_columns().ok_or("the table has no columns of right ascension and declination in degrees")?;
    let (ra, dec) = (dataset.table.f64s(&ra).map_err(|e| e.to_string())?, dataset.table.f64s(&dec).map_err(|e| e.to_string())?);
    let sky: Vec<[f64; 2]> = ra.iter().zip(&dec).map(|(a, d)| [a.to_radians(), d.to_radians()]).collect();
    // The mean of unit vectors does not mind that right ascension wraps.
    let mut sum = [0.0; 3];
    for [a, d] in sky.iter().filter(|p| p[0].is_finite() && p[1].is_finite()) {
        sum = [sum[0] + d.cos() * a.cos(), sum[1] + d.cos() * a.sin(), sum[2] + d.sin()];
    }
    let length = (sum[0] * sum[0] + sum[1] * sum[1] + sum[2] * sum[2]).sqrt();
    let (mut ra0, mut dec0) = (PI, 0.0);
    if length > 0.0 {
        (ra0, dec0) = (sum[1].atan2(sum[0]).rem_euclid(2.0 * PI), (sum[2] / length).clamp(-1.0, 1.0).asin());
    }
    let near = |p: &&[f64; 2]| p[0].is_finite() && p[1].is_finite();
    let widest = sky
        .iter()
        .filter(near)
        .map(|[a, d]| (dec0.sin() * d.sin() + dec0.cos() * d.cos() * (a - ra0).cos()).clamp(-1.0, 1.0))
        .fold(1.0, f64::min)
        .acos();
    let kind = match projection {
        Choice::Mollweide => Projection::Mollweide,
        Choice::Aitoff => Projection::Aitoff,
        Choice::Field => Projection::Field,
        Choice::Automatic if widest < 20f64.to_radians() => Projection::Field,
        Choice::Automatic => Projection::Mollweide,
    };
    // Whole ten-thousandths of a degree, so that a recipe can say it in few digits.
    let round = |v: f64| (v.to_degrees() * 1e4).round() / 1e4;
    let cos_away = |[a, d]: [f64; 2]| {
        let (a, d) = (a.to_radians(), d.to_radians());
        dec0.sin() * d.sin() + dec0.cos() * d.cos() * (a - ra0).cos()
    };
    let centre = centre.filter(|c| cos_away(*c) > STAYS_DEG.to_radians().cos()).unwrap_or([round(ra0), round(dec0)]);
    let centre = if kind == Projection::Field { centre } else { ALL_SKY };
    let map = Flat::new(kind, centre);
    let plane: Vec<[f64; 2]> =
        sky.iter().map(|[a, d]| if a.is_finite() && d.is_finite() { map.plane(*a, *d) } else { [f64::NAN; 2] }).collect();
    let home = match kind {
        Projection::Field => Range2::of_points(plane.iter().copied()),
        Projection::Mollweide => Range2 { x: [-2.9, 2.9], y: [-1.5, 1.5] },
        Projection::Aitoff => Range2 { x: [-3.25, 3.25], y: [-1.65, 1.65] },
    };
    let offsets: Vec<[f64; 2]> = plane.iter().map(|p| offsets(*p)).collect();
    Ok(Placed { plane: Stored::of(&plane, next_key()), offsets: Stored::of(&offsets, next_key()), centre, map, home })
}

/// Degrees east and north from the plane, whose x grows to the west; and the same way back, since both only turn x round.
fn offsets([x, y]: [f64; 2]) -> [f64; 2] {
    [-x.to_degrees(), y.to_degrees()]
}

/// Degrees east and north of the centre on the screen, for outlines.
struct OffsetTransform {
    frame: Frame,
}

impl Transform for OffsetTransform {
    fn pt_from_data(&self, [east, north]: [f64; 2]) -> Pos2 {
        self.frame.pt_from_data([-east.to_radians(), north.to_radians()])
    }
    fn data_from_pt(&self, p: Pos2) -> [f64; 2] {
        offsets(self.frame.data_from_pt(p))
    }
}

/// The centre of the outline that the document keeps, where it was drawn on these columns.
fn kept_centre(doc: &Document, columns: Option<&(String, String)>) -> Option<[f64; 2]> {
    let (_, why) = doc.selection.steps.last()?;
    match (why, columns?) {
        (Provenance::Shape { plot: Plot::Sky { ra, dec, centre, projection: Projection::Field }, .. }, (r, d))
            if ra == r && dec == d =>
        {
            Some(*centre)
        }
        _ => None,
    }
}

impl SkyPane {
    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let name = |p: Choice| match p {
            Choice::Automatic => "automatic",
            Choice::Mollweide => "Mollweide",
            Choice::Aitoff => "Aitoff",
            Choice::Field => "field",
        };
        ui.menu_button(RichText::new(name(self.projection)).color(cx.theme.second), |ui| {
            for p in [Choice::Automatic, Choice::Mollweide, Choice::Aitoff, Choice::Field] {
                if ui.selectable_label(self.projection == p, name(p)).clicked() {
                    self.projection = p;
                    self.view = None;
                    ui.close();
                }
            }
            ui.add(egui::Slider::new(&mut self.radius_pt, 0.5..=8.0).suffix(" pt")).accessible_name("Radius of a mark in points");
        })
        .response
        .on_hover_text("Projection of the sky");
    }

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let doc = cx.session.doc();
        let Some(dataset) = doc.dataset().cloned() else {
            super::empty(
                ui,
                cx.theme,
                "No positions yet",
                "A table with right ascension and declination shows its rows on the sky.",
            );
            return;
        };
        let Some(look) = rows::look(ui.ctx(), doc, cx.theme) else { return };
        if self.state.shown.is_some_and(|s| s != (dataset.id, self.projection)) {
            self.view = None;
        }
        self.state.shown = Some((dataset.id, self.projection));
        let (of, projection) = (dataset.clone(), self.projection);
        let centre = kept_centre(doc, dataset.sky_columns().as_ref()).or(self
            .state
            .centre
            .filter(|(id, _)| *id == dataset.id)
            .map(|(_, centre)| centre));
        let key = (DataKey::of(&dataset), projection, centre.map(|c| c.map(f64::to_bits)));
        self.state.places.get(ui.ctx(), "sky-places", key, move || place(&of, projection, centre));
        let made = self.state.places.newest_for(|k| k.0.id == dataset.id && k.1 == projection);
        let placed = match made.as_deref() {
            Some(Ok(placed)) => placed,
            Some(Err(why)) => {
                super::empty(ui, cx.theme, &format!("{} has no positions", dataset.name), why);
                return;
            }
            None => return,
        };
        if placed.map.kind == Projection::Field {
            self.state.centre = Some((dataset.id, placed.centre));
        }
        let rect = ui.available_rect_before_wrap();
        ui.advance_cursor_after_rect(rect);
        let response = ui.interact(rect, ui.scope_id().with("sky"), Sense::click_and_drag());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Canvas, true, "Sky"));
        let (w, h) = (placed.home.x[1] - placed.home.x[0], placed.home.y[1] - placed.home.y[0]);
        let fit = (f64::from(rect.width() - 20.0) / w).min(f64::from(rect.height() - 20.0) / h).max(1e-6);
        let home = ([(placed.home.x[0] + placed.home.x[1]) / 2.0, (placed.home.y[0] + placed.home.y[1]) / 2.0], fit);
        let (mut centre, mut scale) = self.view.unwrap_or(home);
        let frame = super::image::frame_of(rect, centre, scale, true);
        self.graticule(ui, cx, placed, &frame);
        let scatter = Scatter {
            slot: *self.slot,
            at: placed.plane.clone(),
            context: look.context(cx.theme),
            look,
            colours: None,
            sizes: None,
            view: frame.view,
            radius_pt: self.radius_pt,
            opacity: 0.0,
            hide_rest: doc.hide_rest,
            hover: cx.shared.hover,
            equalised: false,
        };
        gpu::paint_scatter(ui, cx.render, cx.theme, rect, scatter);
        let taken = self.brush(ui, cx, &dataset, placed, &frame, &response);
        let mut moved = false;
        if response.dragged() && !taken {
            let d = response.drag_delta();
            centre = [centre[0] - f64::from(d.x) / scale, centre[1] + f64::from(d.y) / scale];
            moved = true;
        }
        if response.contains_pointer()
            && let Some(at) = ui.ctx().pointer_hover_pos()
        {
            let factor = f64::from(axes::wheel(ui));
            if factor != 1.0 {
                let fixed = frame.data_from_pt(at);
                let next = (scale * factor).clamp(home.1 * 0.3, 1e9);
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
        if let Some(at) = response.hover_pos()
            && let Some((ra, dec)) = placed.map.sky(frame.data_from_pt(at))
        {
            let (ra, dec) = (ra.to_degrees(), dec.to_degrees());
            cx.shared.position = format!("{}   {}", format::sexagesimal(ra, dec), format::minus(&format!("{ra:.5} {dec:+.5}")));
            cx.shared.hint = match cx.shared.tool {
                Tool::Pan => "Drag pans · wheel zooms · Shift+drag adds by lasso · double click frames all".into(),
                _ => "Drag draws on the sky · Shift adds · Alt removes · Esc clears".into(),
            };
        }
    }

    fn brush(
        &mut self,
        ui: &Ui,
        cx: &mut Cx<'_>,
        dataset: &Dataset,
        placed: &Placed,
        frame: &Frame,
        response: &egui::Response,
    ) -> bool {
        let projection = placed.map.kind;
        let plot = dataset.sky_columns().map(|(ra, dec)| Plot::Sky { ra, dec, centre: placed.centre, projection });
        let transform = OffsetTransform { frame: *frame };
        let on = match &plot {
            Some(plot) => On { dataset, at: &placed.offsets, plot: Some(plot), transform: &transform, x_column: None },
            None => On { dataset, at: &placed.plane, plot: None, transform: frame, x_column: None },
        };
        let brushed = self.state.brush.update(ui, cx, &on, response);
        if let (Some(at), Some(row)) = (response.hover_pos(), brushed.hover.filter(|_| !brushed.takes_drag)) {
            tip(ui, cx.theme, at, &row_lines(dataset, row as usize, &[]));
        }
        brushed.takes_drag
    }

    fn graticule(&self, ui: &Ui, cx: &Cx<'_>, placed: &Placed, frame: &Frame) {
        let painter = ui.painter_at(frame.rect);
        let stroke = Stroke::new(1.0, cx.theme.hairline);
        let font = FontId::proportional(SMALL - 1.0);
        let map = placed.map;
        let draw = |points: &mut dyn Iterator<Item = [f64; 2]>| {
            let mut run: Vec<Pos2> = Vec::new();
            for p in points {
                let at = frame.pt_from_data(map.plane(p[0], p[1]));
                let jump = run.last().is_some_and(|last| last.distance(at) > frame.rect.width());
                if !at.x.is_finite() || !at.y.is_finite() || jump {
                    if run.len() > 1 {
                        painter.line(std::mem::take(&mut run), stroke);
                    }
                    run.clear();
                }
                if at.x.is_finite() && at.y.is_finite() {
                    run.push(at);
                }
            }
            if run.len() > 1 {
                painter.line(run, stroke);
            }
        };
        if map.kind == Projection::Field {
            let deg = 1f64.to_radians();
            let middle = map.sky(frame.data_from_pt(frame.rect.center())).unwrap_or((map.ra0, map.dec0));
            let span = (f64::from(frame.rect.height()) * frame.data_per_pt()[1] / deg).max(1e-9);
            let (dec, ra) = (middle.1 / deg, (map.ra0 + wrap(middle.0 - map.ra0)) / deg);
            let across =
                (span * f64::from(frame.rect.width() / frame.rect.height().max(1.0)) / middle.1.cos().max(0.05)).min(180.0);
            let (decs, dec_step) = axes::ticks([(dec - span * 0.6).max(-90.0), (dec + span * 0.6).min(90.0)], 5);
            let (ras, ra_step) = axes::ticks([ra - across * 0.6, ra + across * 0.6], 5);
            for d in &decs {
                draw(&mut (0..=60).map(|i| [(ra - across + across * 2.0 * f64::from(i) / 60.0) * deg, d * deg]));
                let at = frame.pt_from_data(map.plane(middle.0, d * deg));
                let text = format!("{}°", axes::tick_label(*d, dec_step));
                painter.text(pos2(frame.rect.left() + 6.0, at.y - 2.0), Align2::LEFT_BOTTOM, text, font.clone(), cx.theme.third);
            }
            for r in &ras {
                draw(&mut (0..=60).map(|i| [r * deg, (dec - span + span * 2.0 * f64::from(i) / 60.0).clamp(-90.0, 90.0) * deg]));
                let at = frame.pt_from_data(map.plane(r * deg, middle.1));
                let text = format!("{}°", axes::tick_label(r.rem_euclid(360.0), ra_step));
                painter.text(
                    pos2(at.x + 3.0, frame.rect.bottom() - 3.0),
                    Align2::LEFT_BOTTOM,
                    text,
                    font.clone(),
                    cx.theme.third,
                );
            }
            return;
        }
        let deg = PI / 180.0;
        // Just inside both edges, so that neither wraps to the other side.
        let left = map.ra0 - PI + 1e-9;
        for d in (-60..=60).step_by(30) {
            draw(&mut (0..=90).map(|i| [left + (2.0 * PI - 2e-9) * f64::from(i) / 90.0, f64::from(d) * deg]));
            let at = frame.pt_from_data(map.plane(map.ra0, f64::from(d) * deg));
            painter.text(
                at + vec2(2.0, -1.0),
                Align2::LEFT_BOTTOM,
                format::minus(&format!("{d}°")),
                font.clone(),
                cx.theme.third,
            );
        }
        for r in (0..=360).step_by(30) {
            let l = left + (2.0 * PI - 2e-9) * f64::from(r) / 360.0;
            draw(&mut (0..=60).map(|i| [l, (-90.0 + 3.0 * f64::from(i)) * deg]));
            if r % 60 == 0 && r < 360 {
                let at = frame.pt_from_data(map.plane(l, 0.0));
                painter.text(
                    at + vec2(2.0, 1.0),
                    Align2::LEFT_TOP,
                    format!("{:.0}°", (l / deg).rem_euclid(360.0)),
                    font.clone(),
                    cx.theme.third,
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_is_kept_where_it_was_drawn() {
        let rect = egui::Rect::from_min_size(pos2(0.0, 0.0), vec2(400.0, 300.0));
        for centre in [[0.0, 0.0], [359.9, 20.0], [12.0, 89.7], [12.0, -90.0]] {
            let map = Flat::new(Projection::Field, centre);
            let frame = super::super::image::frame_of(rect, [0.0, 0.0], 1e4, true);
            let transform = OffsetTransform { frame };
            for p in [pos2(200.0, 150.0), pos2(30.0, 20.0), pos2(390.0, 280.0)] {
                // What the pane shows at a place is what the kept outline means there.
                let offset = transform.data_from_pt(p);
                let (ra, dec) = map.sky_of_offsets(offset).expect("on the sky");
                let shown = frame.pt_from_data(map.plane(ra.to_radians(), dec.to_radians()));
                assert!(
                    shown.distance(p) < 1e-2 && transform.pt_from_data(offset).distance(p) < 1e-2,
                    "{centre:?} {p:?} {shown:?}"
                );
            }
        }
    }
}
