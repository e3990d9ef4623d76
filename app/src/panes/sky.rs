//! Positions on the sky: the whole of it in Mollweide or Aitoff, or a field in gnomonic projection.
//!
//! Positions are projected once for each choice of projection and centre, in a named thread, and
//! drawn like any scatter. East is at the left, as on the sky. On the field an outline is kept in
//! degrees east and north of the field's centre, so it can be run again on new rows, across 0° of
//! right ascension and over a pole as anywhere else. The centre stays where it is as rows arrive,
//! and is that of the outline that is kept, so that what was drawn stays where it was drawn.
//! Formulas: Snyder 1987 (USGS PP 1395); the graticule is redrawn with the view.

use std::f64::consts::{FRAC_PI_2, PI};

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

/// How the sphere becomes flat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Projection {
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
    pub projection: Projection,
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
        Self { projection: Projection::Automatic, radius_pt: 1.8, view: None, slot: Cache::default(), state: Cache::default() }
    }
}

#[derive(Default)]
struct State {
    places: Work<(DataKey, Projection, Option<[u64; 2]>), Result<Placed, String>>,
    brush: Brush,
    shown: Option<(u32, Projection)>,
    /// The dataset's field as it was first placed.
    centre: Option<(u32, [f64; 2])>,
}

struct Placed {
    /// On the plane, radians, x growing to the left of the screen (east).
    plane: Stored,
    /// On a field: degrees east and north of the centre.
    field: Stored,
    /// Right ascension and declination of the middle, degrees.
    centre: [f64; 2],
    map: Flat,
    home: Range2,
}

/// A projection with its centre: plane from sky and back. Angles in radians.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Flat {
    kind: Kind,
    ra0: f64,
    dec0: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Mollweide,
    Aitoff,
    Tan,
}

impl Flat {
    /// Plane from sky; x grows to the west, so that east is at the left.
    fn plane(&self, ra: f64, dec: f64) -> [f64; 2] {
        let l = wrap(ra - self.ra0);
        match self.kind {
            Kind::Mollweide => {
                let mut t = dec;
                if dec.abs() < FRAC_PI_2 - 1e-9 {
                    for _ in 0..12 {
                        let f = 2.0 * t + (2.0 * t).sin() - PI * dec.sin();
                        let step = f / (2.0 + 2.0 * (2.0 * t).cos()).max(1e-9);
                        t -= step;
                        if step.abs() < 1e-12 {
                            break;
                        }
                    }
                }
                [-(8f64.sqrt() / PI) * l * t.cos(), 2f64.sqrt() * t.sin()]
            }
            Kind::Aitoff => {
                let a = (dec.cos() * (l / 2.0).cos()).clamp(-1.0, 1.0).acos();
                let s = if a.abs() < 1e-12 { 1.0 } else { a.sin() / a };
                [-2.0 * dec.cos() * (l / 2.0).sin() / s, dec.sin() / s]
            }
            Kind::Tan => {
                let c = self.dec0.sin() * dec.sin() + self.dec0.cos() * dec.cos() * l.cos();
                if c <= 1e-3 {
                    return [f64::NAN; 2];
                }
                [-dec.cos() * l.sin() / c, (self.dec0.cos() * dec.sin() - self.dec0.sin() * dec.cos() * l.cos()) / c]
            }
        }
    }
    /// Sky from plane, where the plane has one.
    fn sky(&self, [x, y]: [f64; 2]) -> Option<(f64, f64)> {
        let x = -x;
        let (l, dec) = match self.kind {
            Kind::Mollweide => {
                let t = (y / 2f64.sqrt()).clamp(-1.0, 1.0).asin();
                let l = PI * x / (8f64.sqrt() * t.cos().max(1e-12));
                if l.abs() > PI + 1e-9 || y.abs() > 2f64.sqrt() {
                    return None;
                }
                (l, ((2.0 * t + (2.0 * t).sin()) / PI).clamp(-1.0, 1.0).asin())
            }
            Kind::Aitoff => {
                // Newton in two dimensions from a good start; a few steps reach 1e-10 inside the outline.
                if (x / PI).powi(2) + (y / FRAC_PI_2).powi(2) > 1.0 {
                    return None;
                }
                let (mut l, mut dec) = (x, y);
                for _ in 0..30 {
                    let at = |l: f64, d: f64| {
                        let p = Self { kind: Kind::Aitoff, ra0: 0.0, dec0: 0.0 }.plane(l, d);
                        [-p[0], p[1]]
                    };
                    let p = at(l, dec);
                    let (ex, ey) = (p[0] - x, p[1] - y);
                    if ex.abs() + ey.abs() < 1e-11 {
                        break;
                    }
                    let h = 1e-6;
                    let (pl, pd) = (at(l + h, dec), at(l, dec + h));
                    let (a, b, c, d) = ((pl[0] - p[0]) / h, (pd[0] - p[0]) / h, (pl[1] - p[1]) / h, (pd[1] - p[1]) / h);
                    let det = a * d - b * c;
                    if det.abs() < 1e-9 {
                        break;
                    }
                    l = (l - (d * ex - b * ey) / det).clamp(-PI, PI);
                    dec = (dec - (a * ey - c * ex) / det).clamp(-FRAC_PI_2, FRAC_PI_2);
                }
                (l, dec)
            }
            Kind::Tan => {
                let rho = x.hypot(y);
                let c = rho.atan();
                if rho == 0.0 {
                    (0.0, self.dec0)
                } else {
                    let dec = (c.cos() * self.dec0.sin() + y * c.sin() * self.dec0.cos() / rho).clamp(-1.0, 1.0).asin();
                    ((x * c.sin()).atan2(rho * self.dec0.cos() * c.cos() - y * self.dec0.sin() * c.sin()), dec)
                }
            }
        };
        Some(((self.ra0 + l).rem_euclid(2.0 * PI), dec))
    }
}

fn wrap(l: f64) -> f64 {
    (l + PI).rem_euclid(2.0 * PI) - PI
}

/// A field keeps its centre while the rows are about there, degrees.
const STAYS_DEG: f64 = 40.0;

/// Project the rows; a field around `centre` (degrees) where there is one and the rows are near it.
fn place(dataset: &Dataset, projection: Projection, centre: Option<[f64; 2]>) -> Result<Placed, String> {
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
        Projection::Mollweide => Kind::Mollweide,
        Projection::Aitoff => Kind::Aitoff,
        Projection::Field => Kind::Tan,
        Projection::Automatic if widest < 20f64.to_radians() => Kind::Tan,
        Projection::Automatic => Kind::Mollweide,
    };
    // Whole ten-thousandths of a degree, so that a recipe can say it in few digits.
    let round = |v: f64| (v.to_degrees() * 1e4).round() / 1e4;
    let cos_away = |[a, d]: [f64; 2]| {
        let (a, d) = (a.to_radians(), d.to_radians());
        dec0.sin() * d.sin() + dec0.cos() * d.cos() * (a - ra0).cos()
    };
    let centre = centre.filter(|c| cos_away(*c) > STAYS_DEG.to_radians().cos()).unwrap_or([round(ra0), round(dec0)]);
    let map = if kind == Kind::Tan {
        Flat { kind, ra0: centre[0].to_radians(), dec0: centre[1].to_radians() }
    } else {
        Flat { kind, ra0: PI, dec0 }
    };
    let plane: Vec<[f64; 2]> =
        sky.iter().map(|[a, d]| if a.is_finite() && d.is_finite() { map.plane(*a, *d) } else { [f64::NAN; 2] }).collect();
    let home = match kind {
        Kind::Tan => Range2::of_points(plane.iter().copied()),
        Kind::Mollweide => Range2 { x: [-2.9, 2.9], y: [-1.5, 1.5] },
        Kind::Aitoff => Range2 { x: [-3.25, 3.25], y: [-1.65, 1.65] },
    };
    let field: Vec<[f64; 2]> = plane.iter().map(|p| offsets(*p)).collect();
    Ok(Placed { plane: Stored::of(&plane, next_key()), field: Stored::of(&field, next_key()), centre, map, home })
}

/// Degrees east and north from the plane, whose x grows to the west; and the same way back, since both only turn x round.
fn offsets([x, y]: [f64; 2]) -> [f64; 2] {
    [-x.to_degrees(), y.to_degrees()]
}

/// Degrees east and north of the centre on the screen, for outlines on a field.
struct FieldTransform {
    frame: Frame,
}

impl Transform for FieldTransform {
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
        (Provenance::Shape { plot: Plot::Sky { ra, dec, centre }, .. }, (r, d)) if ra == r && dec == d => Some(*centre),
        _ => None,
    }
}

impl SkyPane {
    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let name = |p: Projection| match p {
            Projection::Automatic => "automatic",
            Projection::Mollweide => "Mollweide",
            Projection::Aitoff => "Aitoff",
            Projection::Field => "field",
        };
        ui.menu_button(RichText::new(name(self.projection)).color(cx.theme.second), |ui| {
            for p in [Projection::Automatic, Projection::Mollweide, Projection::Aitoff, Projection::Field] {
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
        if placed.map.kind == Kind::Tan {
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
        let columns = dataset.sky_columns().filter(|_| placed.map.kind == Kind::Tan);
        let plot = columns.map(|(ra, dec)| Plot::Sky { ra, dec, centre: placed.centre });
        let transform = FieldTransform { frame: *frame };
        let on = match &plot {
            Some(plot) => On { dataset, at: &placed.field, plot: Some(plot), transform: &transform, x_column: None },
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
        if map.kind == Kind::Tan {
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
    fn projections_turn_back() {
        for kind in [Kind::Mollweide, Kind::Aitoff, Kind::Tan] {
            let map = Flat { kind, ra0: 1.1, dec0: if kind == Kind::Tan { 0.3 } else { 0.0 } };
            for (ra, dec) in [(1.1, 0.3), (1.2, 0.1), (0.9, 0.5), (1.4, -0.2)] {
                let (a, d) = map.sky(map.plane(ra, dec)).expect("inside");
                assert!(wrap(a - ra).abs() < 1e-8 && (d - dec).abs() < 1e-8, "{kind:?} {ra} {dec} gave {a} {d}");
            }
            // East is at the left.
            assert!(map.plane(1.2, map.dec0)[0] < 0.0);
        }
        // Snyder's table: Mollweide at 45° of latitude has y = 0.59204 * 2 ** 0.5.
        let y = Flat { kind: Kind::Mollweide, ra0: 0.0, dec0: 0.0 }.plane(0.0, PI / 4.0)[1];
        assert!((y / 2f64.sqrt() - 0.59204).abs() < 1e-4, "{y}");
    }

    #[test]
    fn an_outline_is_kept_where_it_was_drawn() {
        let rect = egui::Rect::from_min_size(pos2(0.0, 0.0), vec2(400.0, 300.0));
        for centre in [[0.0, 0.0], [359.9, 20.0], [12.0, 89.7], [12.0, -90.0]] {
            let map = Flat { kind: Kind::Tan, ra0: f64::to_radians(centre[0]), dec0: f64::to_radians(centre[1]) };
            let frame = super::super::image::frame_of(rect, [0.0, 0.0], 1e4, true);
            let transform = FieldTransform { frame };
            for p in [pos2(200.0, 150.0), pos2(30.0, 20.0), pos2(390.0, 280.0)] {
                // What the pane shows at a place is what the kept outline means there.
                let offset = transform.data_from_pt(p);
                let (ra, dec) = asterism_session::select::sky_from_field(centre, offset);
                let shown = frame.pt_from_data(map.plane(ra.to_radians(), dec.to_radians()));
                assert!(
                    shown.distance(p) < 1e-2 && transform.pt_from_data(offset).distance(p) < 1e-2,
                    "{centre:?} {p:?} {shown:?}"
                );
            }
        }
    }

    #[test]
    fn nothing_is_shown_behind_a_field() {
        let map = Flat { kind: Kind::Tan, ra0: 0.0, dec0: 0.0 };
        assert!(map.plane(PI, 0.0)[0].is_nan());
        assert!(Flat { kind: Kind::Mollweide, ra0: 0.0, dec0: 0.0 }.sky([5.0, 0.0]).is_none());
    }
}
