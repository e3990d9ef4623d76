//! Positions on the sky: the whole of it in Mollweide, Aitoff or Hammer, a globe, or a field in gnomonic projection; in equatorial,
//! galactic or ecliptic coordinates; with a HiPS survey behind, and the outlines of a MOC and of footprints over it.
//!
//! Positions are projected once for each choice of projection and centre, in a named thread, and
//! drawn like any scatter. East is at the left, as on the sky. An outline is kept in degrees east and
//! north of the centre on the plane, so it can be run again on new rows; on a field across 0° of
//! right ascension and over a pole as anywhere else. The centre stays where it is as rows arrive,
//! and is that of the outline that is kept, so that what was drawn stays where it was drawn.
//! A globe is turned by hand and always shows its own middle, so that it is exact to a part of an arcsecond anywhere.
//! The graticule is redrawn with the view.

mod graticule;
mod overlay;
mod survey;

use std::f64::consts::PI;

use asterism_session::sky::{Flat, Projection, SkyFrame, angles, vector};
use asterism_session::{Dataset, Document, Plot, Provenance};
use egui::{Pos2, RichText, Sense, Ui};
use serde::{Deserialize, Serialize};

use super::brush::{Brush, On, row_lines, tip};
use super::footprints::{self, Footprints, Ground};
use super::rows::{self, DataKey, next_key};
use crate::cx::{Cx, Tool};
use crate::gpu::{self, Scatter, Stored};
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
    /// The whole sky, equal areas in Aitoff's outline.
    Hammer,
    /// Half the sky as seen from outside, turned by hand.
    Globe,
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
    /// Frame of the graticule, and what is up.
    pub frame: SkyFrame,
    /// Address or folder of a HiPS survey behind the rows; empty for none.
    pub survey: String,
    /// Strength of the survey, 0 to 1.
    pub strength: f32,
    /// Address or file of a MOC whose outline is drawn; empty for none.
    pub coverage: String,
    /// Regions of the rows are drawn, where a column has them.
    pub footprints: bool,
    /// Longitude and latitude at the middle of the globe in its frame, degrees, once it was turned.
    pub globe: Option<[f64; 2]>,
    /// Middle of the view on the plane, and points a unit of it (radians); `None` for all.
    pub view: Option<([f64; 2], f64)>,
    #[serde(skip)]
    slot: Cache<ViewId>,
    #[serde(skip)]
    state: Cache<State>,
}

impl Default for SkyPane {
    fn default() -> Self {
        Self {
            projection: Choice::Automatic,
            radius_pt: 1.8,
            frame: SkyFrame::Equatorial,
            survey: String::new(),
            strength: 0.8,
            coverage: String::new(),
            footprints: true,
            globe: None,
            view: None,
            slot: Cache::default(),
            state: Cache::default(),
        }
    }
}

#[derive(Default)]
struct State {
    places: Work<PlacesKey, Result<Placed, String>>,
    survey: survey::State,
    overlay: overlay::State,
    footprints: Footprints<Flat>,
    /// Text of the menu, not yet entered: survey, coverage.
    typed: [Option<String>; 2],
    brush: Brush,
    shown: Option<(u32, Choice, SkyFrame)>,
    /// The dataset's field as it was first placed.
    centre: Option<(u32, SkyFrame, [f64; 2])>,
}

type PlacesKey = (DataKey, Choice, SkyFrame, Option<[u64; 2]>);

struct Placed {
    /// On the plane, radians, x growing to the left of the screen (east).
    plane: Stored,
    /// The same as degrees east and north of the centre.
    offsets: Stored,
    /// Longitude and latitude of the middle in the frame, degrees.
    centre: [f64; 2],
    map: Flat,
    home: Range2,
}

/// The middle of the whole sky, degrees: the galactic one has the centre of the Galaxy there.
fn all_sky(frame: SkyFrame) -> [f64; 2] {
    if frame == SkyFrame::Equatorial { [180.0, 0.0] } else { [0.0, 0.0] }
}

/// Up to so many rows are placed within the frame while a globe turns.
const AT_ONCE: usize = 50_000;

/// A field keeps its centre while the rows are about there, degrees.
const STAYS_DEG: f64 = 40.0;

/// One row, or several in one place, are shown in a field of an arcminute.
const LEAST_FIELD_RAD: f64 = PI / 180.0 / 60.0;

fn at_least([low, high]: [f64; 2], width: f64) -> [f64; 2] {
    let more = ((width - (high - low)) / 2.0).max(0.0);
    [low - more, high + more]
}

/// Project the rows; a field or globe around `centre` (degrees in the frame) where there is one; a field leaves it once the rows are
/// elsewhere.
fn place(dataset: &Dataset, projection: Choice, frame: SkyFrame, centre: Option<[f64; 2]>) -> Result<Placed, String> {
    let (ra, dec) = dataset.sky_columns().ok_or("the table has no columns of right ascension and declination in degrees")?;
    let (ra, dec) = (dataset.table.f64s(&ra).map_err(|e| e.to_string())?, dataset.table.f64s(&dec).map_err(|e| e.to_string())?);
    let sky: Vec<[f64; 2]> = ra.iter().zip(&dec).map(|(a, d)| [a.to_radians(), d.to_radians()]).collect();
    // The mean of unit vectors does not mind that right ascension wraps.
    let mut sum = [0.0; 3];
    let good = |p: &&[f64; 2]| p[0].is_finite() && p[1].is_finite();
    for [a, d] in sky.iter().filter(good) {
        let v = vector(*a, *d);
        sum = [sum[0] + v[0], sum[1] + v[1], sum[2] + v[2]];
    }
    let some = sum.iter().any(|v| *v != 0.0);
    let middle = if some { angles(sum) } else { (PI, 0.0) };
    let to = vector(middle.0, middle.1);
    let cos_to = |a: f64, d: f64| {
        let v = vector(a, d);
        (v[0] * to[0] + v[1] * to[1] + v[2] * to[2]).clamp(-1.0, 1.0)
    };
    let widest = sky.iter().filter(good).map(|[a, d]| cos_to(*a, *d)).fold(1.0, f64::min).acos();
    let kind = match projection {
        Choice::Mollweide => Projection::Mollweide,
        Choice::Aitoff => Projection::Aitoff,
        Choice::Hammer => Projection::Hammer,
        Choice::Globe => Projection::Globe,
        Choice::Field => Projection::Field,
        Choice::Automatic if widest < 20f64.to_radians() => Projection::Field,
        Choice::Automatic => Projection::Mollweide,
    };
    // Whole ten-thousandths of a degree, so that a recipe can say it in few digits.
    let round = |v: f64| (v.to_degrees() * 1e4).round() / 1e4;
    let (lon, lat) = frame.of_icrs(middle.0, middle.1);
    let near = |c: &[f64; 2]| {
        let (a, d) = frame.to_icrs(c[0].to_radians(), c[1].to_radians());
        kind == Projection::Globe || cos_to(a, d) > STAYS_DEG.to_radians().cos()
    };
    let centre = centre.filter(near).unwrap_or([round(lon), round(lat)]);
    let centre = if kind.is_whole() { all_sky(frame) } else { centre };
    let map = Flat::in_frame(kind, frame, centre);
    let plane: Vec<[f64; 2]> =
        sky.iter().map(|[a, d]| if a.is_finite() && d.is_finite() { map.plane(*a, *d) } else { [f64::NAN; 2] }).collect();
    let home = match kind {
        Projection::Field => {
            let of_rows = Range2::of_points(plane.iter().copied());
            Range2 { x: at_least(of_rows.x, LEAST_FIELD_RAD), y: at_least(of_rows.y, LEAST_FIELD_RAD) }
        }
        Projection::Mollweide | Projection::Hammer => Range2 { x: [-2.9, 2.9], y: [-1.5, 1.5] },
        Projection::Aitoff => Range2 { x: [-3.25, 3.25], y: [-1.65, 1.65] },
        Projection::Globe => Range2 { x: [-1.02, 1.02], y: [-1.02, 1.02] },
    };
    let offsets: Vec<[f64; 2]> = plane.iter().map(|p| offsets(*p)).collect();
    let stored = |points: &[[f64; 2]]| {
        if kind.is_whole() {
            return Stored::of(points, next_key());
        }
        // Near the middle of a globe or a field, where one looks, small numbers are exact as they are.
        let xy = points.iter().map(|p| p.map(|v| v as f32)).collect();
        let at = Stored::plain(std::sync::Arc::new(xy), next_key());
        if kind == Projection::Globe { at.at_once() } else { at }
    };
    Ok(Placed { plane: stored(&plane), offsets: stored(&offsets), centre, map, home })
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

/// A line to type a value into, taken by Enter or when it is left.
fn typed(ui: &mut Ui, value: &mut String, text: &mut Option<String>, name: &str) {
    let shown = text.get_or_insert_with(|| value.clone());
    let (_, hint) = name.split_once(": ").unwrap_or(("", name));
    let edit = ui.add(egui::TextEdit::singleline(shown).hint_text(hint).desired_width(250.0)).accessible_name(name);
    // A screen reader writes without the focus.
    let written = edit.lost_focus() || (edit.changed() && !edit.has_focus());
    if written && shown.trim() != value {
        *value = shown.trim().to_owned();
    }
    if !edit.has_focus() {
        *text = None;
    }
}

/// The centre of the outline that the document keeps, where it was drawn on these columns.
fn kept_centre(doc: &Document, columns: Option<&(String, String)>, shown: SkyFrame) -> Option<[f64; 2]> {
    let (_, why) = doc.selection.steps.last()?;
    match (&**why, columns?) {
        (Provenance::Shape { plot: Plot::Sky { ra, dec, centre, projection: Projection::Field, frame }, .. }, (r, d))
            if ra == r && dec == d && *frame == shown =>
        {
            Some(*centre)
        }
        _ => None,
    }
}

impl SkyPane {
    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let second = cx.theme.second;
        super::menu(ui, RichText::new("layers").color(second), |ui| self.layers(ui, cx))
            .on_hover_text("A survey behind the rows, the coverage of a survey, footprints, size of the marks");
        ui.menu_button(RichText::new(self.frame.word()).color(second), |ui| {
            for frame in SkyFrame::ALL {
                if ui.selectable_label(self.frame == frame, frame.word()).clicked() {
                    (self.frame, self.view, self.globe) = (frame, None, None);
                    ui.close();
                }
            }
        })
        .response
        .on_hover_text("Coordinates of the graticule, and what is up");
        let name = |p: Choice| match p {
            Choice::Automatic => "automatic",
            Choice::Mollweide => "Mollweide",
            Choice::Aitoff => "Aitoff",
            Choice::Hammer => "Hammer",
            Choice::Globe => "globe",
            Choice::Field => "field",
        };
        let about = |p: Choice| match p {
            Choice::Automatic => "A field where all rows lie close together, else Mollweide",
            Choice::Mollweide => "The whole sky, equal areas",
            Choice::Aitoff => "The whole sky, less sheared at its rim",
            Choice::Hammer => "The whole sky, equal areas in Aitoff's outline (FITS: AIT)",
            Choice::Globe => "Half the sky from outside: drag turns it, the wheel zooms to arcseconds (FITS: SIN)",
            Choice::Field => "Around the middle of the rows; great circles are straight (FITS: TAN)",
        };
        ui.menu_button(RichText::new(name(self.projection)).color(second), |ui| {
            for p in [Choice::Automatic, Choice::Field, Choice::Globe, Choice::Mollweide, Choice::Aitoff, Choice::Hammer] {
                if ui.selectable_label(self.projection == p, name(p)).on_hover_text(about(p)).clicked() {
                    (self.projection, self.view) = (p, None);
                    ui.close();
                }
            }
        })
        .response
        .on_hover_text("Projection of the sky");
    }

    /// The survey at `address` is drawn behind the rows; a name of the menu will do.
    pub fn set_survey(&mut self, address: &str) {
        let known = survey::KNOWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(address));
        self.survey = known.map_or(address, |(_, address)| address).to_owned();
    }

    /// What lies behind and over the rows.
    fn layers(&mut self, ui: &mut Ui, cx: &Cx<'_>) {
        ui.set_min_width(260.0);
        let third = cx.theme.third;
        ui.label(RichText::new("Survey behind the rows").color(third));
        if ui.selectable_label(self.survey.is_empty(), "none").clicked() {
            self.survey.clear();
        }
        for (name, address) in survey::KNOWN {
            if ui.selectable_label(self.survey == address, name).on_hover_text(address).clicked() {
                self.survey = address.to_owned();
            }
        }
        let [survey_text, coverage_text] = &mut self.state.typed;
        typed(ui, &mut self.survey, survey_text, "Survey: address or folder of a HiPS");
        if !self.survey.is_empty() {
            ui.horizontal(|ui| {
                ui.label(RichText::new("Brightness").color(third));
                ui.add(egui::Slider::new(&mut self.strength, 0.1..=1.0).show_value(false))
                    .accessible_name("Brightness of the survey");
            });
        }
        ui.separator();
        ui.label(RichText::new("Coverage (MOC) as an outline").color(third));
        typed(ui, &mut self.coverage, coverage_text, "Coverage: address or file of a MOC");
        let own = format!("{}/Moc.fits", asterism_session::hips::base(&self.survey));
        if !self.survey.is_empty() && self.coverage != own && ui.button("That of the survey").clicked() {
            (self.coverage, *coverage_text) = (own, None);
        }
        if !self.coverage.is_empty() && ui.button("No coverage").clicked() {
            self.coverage.clear();
            *coverage_text = None;
        }
        ui.separator();
        ui.checkbox(&mut self.footprints, "Footprints of the rows")
            .on_hover_text("Regions of a column s_region; a click inside selects the row");
        ui.horizontal(|ui| {
            ui.label(RichText::new("Marks").color(third));
            ui.add(egui::Slider::new(&mut self.radius_pt, 0.5..=8.0).suffix(" pt")).accessible_name("Radius of a mark in points");
        });
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
        let shown = (dataset.id, self.projection, self.frame);
        if self.state.shown.is_some_and(|s| s != shown) {
            self.view = None;
        }
        if self.state.shown.is_some_and(|s| s.0 != dataset.id) {
            self.globe = None;
        }
        self.state.shown = Some(shown);
        let columns = dataset.sky_columns();
        let (of, projection, sky_frame) = (dataset.clone(), self.projection, self.frame);
        let first = self.state.centre.filter(|(id, f, _)| (*id, *f) == (dataset.id, sky_frame)).map(|(.., centre)| centre);
        let centre =
            if projection == Choice::Globe { self.globe } else { kept_centre(doc, columns.as_ref(), sky_frame).or(first) };
        let key: PlacesKey = (DataKey::of(&dataset), projection, sky_frame, centre.map(|c| c.map(f64::to_bits)));
        let make = move || place(&of, projection, sky_frame, centre);
        if projection == Choice::Globe && dataset.table.rows() <= AT_ONCE && !self.state.places.knows(&key) {
            self.state.places.put(key, make());
        } else {
            self.state.places.get(ui.ctx(), "sky-places", key, make);
        }
        let made = self.state.places.newest_for(|k| k.0.id == dataset.id && k.1 == projection && k.2 == sky_frame);
        let settled = self.state.places.knows(&key);
        let placed = match made.as_deref() {
            Some(Ok(placed)) => placed,
            Some(Err(why)) => {
                super::empty(ui, cx.theme, &format!("{} has no positions", dataset.name), why);
                return;
            }
            None => return,
        };
        if placed.map.kind == Projection::Field {
            self.state.centre = Some((dataset.id, sky_frame, placed.centre));
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
        let survey = if self.survey.trim().is_empty() { None } else { self.state.survey.survey(ui, cx, &self.survey) };
        let (mut credit, mut trouble) = (None, None);
        match survey.as_deref() {
            Some(Ok(survey)) => {
                let waits = self.state.survey.paint(ui, cx, survey, &placed.map, &frame, self.strength);
                if waits {
                    ui.ctx().request_repaint_after(std::time::Duration::from_millis(200));
                }
                credit = Some((survey, waits));
            }
            Some(Err(why)) => trouble = Some(why.clone()),
            None => {}
        }
        graticule::paint(ui, cx, placed, &frame, false);
        let coverage = if self.coverage.trim().is_empty() { None } else { self.state.overlay.coverage(ui, cx, &self.coverage) };
        let pen = overlay::Pen::new(ui, &placed.map, &frame);
        let mut note = String::new();
        match coverage.as_deref() {
            Some(Ok(coverage)) => {
                coverage.paint(&pen, cx.theme.outline);
                let share = format::number(coverage.share * 100.0, 3);
                let [of, shown] = coverage.orders;
                note = format!("coverage {share} % of the sky");
                if shown < of {
                    note = format!("{note}, outline of order {shown} of {of}");
                }
            }
            Some(Err(why)) => trouble = trouble.or(Some(why.clone())),
            _ => {}
        }
        // Surveys are dark in either theme: what lies on one is light.
        let on_survey = credit.is_some().then(|| crate::theme::Theme::dark().second);
        let faint = on_survey.unwrap_or(cx.theme.third.gamma_multiply(0.8));
        let hide_rest = doc.hide_rest;
        let ground = Ground { dataset: &dataset, look: &look, frame: &frame, plane: &placed.map, hide_rest, faint };
        let regions = if self.footprints { self.state.footprints.paint(ui, cx, &ground) } else { None };
        let scatter = Scatter {
            slot: *self.slot,
            places: None,
            at: placed.plane.clone(),
            context: on_survey.unwrap_or_else(|| look.context(cx.theme)),
            look: look.clone(),
            colours: None,
            sizes: None,
            view: frame.view,
            radius_pt: self.radius_pt,
            opacity: 0.0,
            hide_rest,
            hover: cx.shared.hover,
            equalised: false,
        };
        gpu::paint_scatter(ui, cx.render, cx.theme, rect, scatter);
        graticule::paint(ui, cx, placed, &frame, true);
        if gpu::is_on_paper(ui.ctx()) {
            let at = rect.left_top() + egui::vec2(8.0, 6.0);
            let words = format!("{} coordinates", sky_frame.word());
            ui.painter().text(at, egui::Align2::LEFT_TOP, words, crate::theme::small(), cx.theme.second);
        }
        if let Some(why) = trouble {
            survey::trouble(ui, cx, &why, &frame);
        }
        if let Some((survey, waits)) = credit {
            survey::credit(ui, cx, survey, &frame, waits);
        }
        if !note.is_empty() {
            let at = frame.rect.right_top() + egui::vec2(-8.0, 6.0);
            let font = egui::FontId::proportional(crate::theme::SMALL);
            ui.painter_at(rect).text(at, egui::Align2::RIGHT_TOP, note, font, cx.theme.second);
        }
        let plot = columns.as_ref().filter(|_| settled).map(|(ra, dec)| Plot::Sky {
            ra: ra.clone(),
            dec: dec.clone(),
            centre: placed.centre,
            projection: placed.map.kind,
            frame: sky_frame,
        });
        let (taken, hovered) = self.brush(ui, cx, &dataset, placed, plot.as_ref(), &frame, &response);
        // Beside every mark a footprint is meant.
        if let (Some(regions), None, Some(at)) = (&regions, hovered, response.hover_pos().filter(|_| !taken))
            && let Some((ra, dec)) = placed.map.sky(frame.data_from_pt(at))
        {
            footprints::touch(ui, cx, (&dataset, &look, hide_rest), regions, &response, (ra, dec));
        }
        let is_globe = placed.map.kind == Projection::Globe;
        let mut moved = false;
        if response.dragged() && !taken {
            let d = response.drag_delta();
            let (dx, dy) = (f64::from(d.x) / scale, f64::from(d.y) / scale);
            if is_globe {
                // What was taken hold of stays under the hand.
                let [lon, lat] = self.globe.unwrap_or(placed.centre);
                let east = dx / lat.to_radians().cos().max(0.02);
                self.globe = Some([(lon + east.to_degrees()).rem_euclid(360.0), (lat + dy.to_degrees()).clamp(-90.0, 90.0)]);
            } else {
                centre = [centre[0] - dx, centre[1] + dy];
            }
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
        if is_globe && moved && centre != [0.0, 0.0] {
            // A globe's own middle is that of the view.
            if let Some((lon, lat)) = placed.map.sky_in_frame(centre) {
                self.globe = Some([lon.to_degrees(), lat.to_degrees()]);
            }
            centre = [0.0, 0.0];
        }
        if moved {
            self.view = Some((centre, scale));
        }
        if crate::widgets::gesture::frames_all(ui, &response) {
            (self.view, self.globe) = (None, None);
        }
        if let Some(at) = response.hover_pos()
            && let Some((ra, dec)) = placed.map.sky(frame.data_from_pt(at))
        {
            let (ra, dec) = (ra.to_degrees(), dec.to_degrees());
            cx.shared.position = format!("{}   {}", format::sexagesimal(ra, dec), format::minus(&format!("{ra:.5} {dec:+.5}")));
            if sky_frame != SkyFrame::Equatorial {
                let (lon, lat) = sky_frame.of_icrs(ra.to_radians(), dec.to_radians());
                let text = format!("   {} {:.5} {:+.5}", sky_frame.word(), lon.to_degrees(), lat.to_degrees());
                cx.shared.position.push_str(&format::minus(&text));
            }
            cx.shared.hint = match cx.shared.tool {
                Tool::Pan if is_globe => "Drag turns · wheel zooms · Shift+drag adds by lasso · double click frames all".into(),
                Tool::Pan => "Drag pans · wheel zooms · Shift+drag adds by lasso · double click frames all".into(),
                _ => "Drag draws on the sky · Shift adds · Alt removes · Esc clears".into(),
            };
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call, and each is a different thing")]
    fn brush(
        &mut self,
        ui: &Ui,
        cx: &mut Cx<'_>,
        dataset: &Dataset,
        placed: &Placed,
        plot: Option<&Plot>,
        frame: &Frame,
        response: &egui::Response,
    ) -> (bool, Option<u32>) {
        let transform = OffsetTransform { frame: *frame };
        let on = match plot {
            Some(plot) => On { dataset, at: &placed.offsets, plot: Some(plot), transform: &transform, columns: [None; 2] },
            None => On { dataset, at: &placed.plane, plot: None, transform: frame, columns: [None; 2] },
        };
        let brushed = self.state.brush.update(ui, cx, &on, response);
        if let (Some(at), Some(row)) = (response.hover_pos(), brushed.hover.filter(|_| !brushed.takes_drag)) {
            tip(ui, cx.theme, at, &row_lines(dataset, row as usize, &[]));
        }
        (brushed.takes_drag, brushed.hover)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::{pos2, vec2};

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
