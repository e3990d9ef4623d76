//! Footprints of the rows on a plane of the sky: the sky's own views and images.
//!
//! Regions are read once from their column in a named thread, and projected once for each plane. Up to [`FEW`] in view are drawn as
//! lines with all their precision; more are counted on pixels ([`Outlines`]) off the frame, and the newest picture lies where its data
//! are while the next is made. Those of lit rows lie above the rest, in the colours that the rows have everywhere. Cost: a second and
//! 150 MB a million regions once; 3 ms a frame and million to know which are in view.

use std::sync::Arc;

use asterism_data::RowSet;
use asterism_render::{OutlineStyle, Outlines, View};
use asterism_session::footprint::{self, Regions};
use asterism_session::sky::{Flat, vector};
use asterism_session::{Command, Dataset, ImageLayer, Provenance, SelectMode};
use egui::{Color32, ColorImage, Painter, Pos2, Rect, Stroke, TextureHandle, TextureOptions, Ui, pos2};
use rayon::prelude::*;

use super::brush::{row_lines, tip};
use super::rows::{DataKey, RowLook};
use crate::cx::Cx;
use crate::widgets::{Frame, Range2, Work};

/// In view, drawn as lines of their own.
const FEW: usize = 1_000;
/// Up to so many regions are projected within the frame: while a globe turns.
const AT_ONCE: usize = 10_000;
/// Regions that a thread projects at a time.
const PART: usize = 4_096;
/// Width of a line of the rest and of a lit row, points.
const WIDTHS: [f32; 2] = [1.0, 1.6];

/// A plane that places of the sky have places on.
pub(super) trait Plane: Clone + PartialEq + Send + Sync + 'static {
    /// Where a place in ICRS (radians) lies; not finite where it lies nowhere.
    fn place(&self, ra: f64, dec: f64) -> [f64; 2];
    /// Neighbours on the sky may lie at opposite edges.
    fn is_torn(&self) -> bool;
    /// The part of the sky beyond which nothing is wanted: a place in ICRS and a radius, radians.
    fn reach(&self) -> Option<((f64, f64), f64)>;
}

impl Plane for Flat {
    fn place(&self, ra: f64, dec: f64) -> [f64; 2] {
        self.plane(ra, dec)
    }
    fn is_torn(&self) -> bool {
        self.kind.is_whole()
    }
    fn reach(&self) -> Option<((f64, f64), f64)> {
        None
    }
}

/// Pixels of an image with a WCS.
#[derive(Clone)]
pub(super) struct OnImage(pub Arc<ImageLayer>);

impl PartialEq for OnImage {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Plane for OnImage {
    fn place(&self, ra: f64, dec: f64) -> [f64; 2] {
        let at = super::image::wcs_of(&self.0).and_then(|w| w.pixel_from_sky(ra.to_degrees(), dec.to_degrees()));
        at.map_or([f64::NAN; 2], |(x, y)| [x, y])
    }
    fn is_torn(&self) -> bool {
        false
    }
    fn reach(&self) -> Option<((f64, f64), f64)> {
        let [height, width] = super::image::pixels_of(&self.0).shape().map(|n| n as f64);
        let wcs = super::image::wcs_of(&self.0)?;
        let at = |x: f64, y: f64| wcs.sky_from_pixel(x, y).map(|(ra, dec)| (ra.to_radians(), dec.to_radians()));
        let middle = at(width / 2.0, height / 2.0)?;
        let to = vector(middle.0, middle.1);
        let away = |(ra, dec): (f64, f64)| (0..3).map(|k| vector(ra, dec)[k] * to[k]).sum::<f64>().clamp(-1.0, 1.0).acos();
        let corners = [(0.0, 0.0), (width, 0.0), (0.0, height), (width, height)];
        let radius = corners.iter().filter_map(|(x, y)| at(*x, *y)).map(away).fold(0.0, f64::max);
        Some((middle, radius * 1.5))
    }
}

/// Draws a chain of places on a plane, broken where it tears or has no place.
pub(super) fn chain(painter: &Painter, frame: &Frame, torn: bool, points: impl Iterator<Item = [f64; 2]>, stroke: Stroke) {
    let mut run: Vec<Pos2> = Vec::new();
    let mut last: Option<[f64; 2]> = None;
    let reach = frame.rect.expand(frame.rect.width() * 2.0);
    let end = |run: &mut Vec<Pos2>| {
        if run.len() > 1 {
            painter.line(std::mem::take(run), stroke);
        }
        run.clear();
    };
    for p in points {
        let tears = torn && last.is_some_and(|l| is_far(l, p));
        let at = frame.pt_from_data(p);
        if tears || !(at.x.is_finite() && at.y.is_finite()) || !reach.contains(at) {
            end(&mut run);
            last = None;
        }
        if at.x.is_finite() && at.y.is_finite() && reach.contains(at) {
            run.push(at);
            last = Some(p);
        }
    }
    end(&mut run);
}

/// On the whole sky neighbours are near each other on the plane, but across its seam.
fn is_far(a: [f64; 2], b: [f64; 2]) -> bool {
    (a[0] - b[0]).abs() > 1.5 || (a[1] - b[1]).abs() > 1.5
}

#[derive(Clone, PartialEq)]
struct PictureKey<P> {
    data: DataKey,
    plane: P,
    view: [u64; 4],
    px: [u32; 2],
    look: u64,
    rest: Color32,
}

struct Picture {
    image: ColorImage,
    view: Range2,
}

/// What a pane keeps of them.
pub(super) struct Footprints<P> {
    regions: Work<(DataKey, usize), Regions>,
    lines: Work<(DataKey, P), Outlines>,
    /// Rows in view, [`FEW`] and one at most, with the generation of the lines and the view they are of.
    seen: Option<(u64, [u64; 4], Vec<u32>)>,
    picture: Work<PictureKey<P>, Picture>,
    texture: Option<(u64, TextureHandle)>,
}

impl<P> Default for Footprints<P> {
    fn default() -> Self {
        Self { regions: Work::default(), lines: Work::default(), seen: None, picture: Work::default(), texture: None }
    }
}

/// What is drawn over.
pub(super) struct Ground<'a, P> {
    pub dataset: &'a Arc<Dataset>,
    pub look: &'a Arc<RowLook>,
    pub frame: &'a Frame,
    pub plane: &'a P,
    /// Rows that are not lit are left out.
    pub hide_rest: bool,
    pub faint: Color32,
}

impl<P: Plane> Footprints<P> {
    /// The regions of the rows, where a column has them.
    fn regions(&mut self, ui: &Ui, dataset: &Arc<Dataset>) -> Option<Arc<Regions>> {
        let column = footprint::column(&dataset.table)?;
        let (of, key) = (dataset.clone(), (DataKey::of(dataset), column));
        self.regions.get(ui.ctx(), "footprints", key, move || Regions::read(&of.table, column));
        self.regions.newest_for(|k| k.0.id == key.0.id).filter(|r| !r.is_empty())
    }

    /// Draw them, and come back with them.
    pub(super) fn paint(&mut self, ui: &Ui, cx: &Cx<'_>, on: &Ground<'_, P>) -> Option<Arc<Regions>> {
        let regions = self.regions(ui, on.dataset)?;
        let painter = ui.painter_at(on.frame.rect);
        let rest = if on.hide_rest && on.look.any { Color32::TRANSPARENT } else { on.faint };
        let data = DataKey::of(on.dataset);
        if regions.len() <= FEW && on.plane.reach().is_none() {
            few(&painter, on, &regions, rest, regions.iter());
        } else {
            let key = (data, on.plane.clone());
            let (of, plane) = (regions.clone(), on.plane.clone());
            if regions.len() <= AT_ONCE && !self.lines.knows(&key) {
                self.lines.put(key.clone(), projected(&of, &plane));
            } else {
                self.lines.get(ui.ctx(), "footprints-plane", key, move || projected(&of, &plane));
            }
            let view = on.frame.view;
            match self.lines.newest_for(|k| k.0.id == data.id && k.1 == *on.plane) {
                Some(lines) => {
                    let of = (self.lines.generation(), [view.x[0], view.x[1], view.y[0], view.y[1]].map(f64::to_bits));
                    if self.seen.as_ref().is_none_or(|s| (s.0, s.1) != of) {
                        let mut rows = lines.rows_within(view.x, view.y, FEW);
                        let many = rows.len() > FEW;
                        rows.sort_unstable();
                        rows.dedup_by(|a, b| a == b && !many);
                        self.seen = Some((of.0, of.1, rows));
                    }
                    let rows = self.seen.as_ref().map_or(&[][..], |s| &s.2);
                    if rows.len() <= FEW {
                        let here = rows.iter().flat_map(|&row| regions.of_row(row).map(move |ring| (row, ring)));
                        few(&painter, on, &regions, rest, here);
                    } else {
                        self.many(ui, &painter, on, data, rest, lines);
                    }
                }
                // While the plane is a new one, some are better than none.
                None => few(&painter, on, &regions, rest, regions.iter().take(FEW)),
            }
        }
        if let Some(row) = cx.shared.hover {
            outline(&painter, on, regions.of_row(row), Stroke::new(WIDTHS[1], cx.theme.text));
        }
        Some(regions)
    }

    fn many(&mut self, ui: &Ui, painter: &Painter, on: &Ground<'_, P>, data: DataKey, rest: Color32, lines: Arc<Outlines>) {
        let ppp = painter.pixels_per_point();
        let most = ui.input(|i| i.max_texture_side).max(1) as u32;
        let px = [on.frame.rect.width(), on.frame.rect.height()].map(|v| ((v * ppp).round() as u32).clamp(1, most));
        let view = on.frame.view;
        let bits = [view.x[0], view.x[1], view.y[0], view.y[1]].map(f64::to_bits);
        let key = PictureKey { data, plane: on.plane.clone(), view: bits, px, look: on.look.key, rest };
        let look = on.look.clone();
        let make = move || {
            let style = OutlineStyle {
                colours: &look.rgba,
                lit: look.any.then_some(look.lit.as_slice()),
                rest: rest.to_srgba_unmultiplied(),
                width_px: WIDTHS.map(|w| w * ppp),
            };
            let rgba = lines.draw(&View { x: view.x, y: view.y, px }, &style);
            Picture { image: ColorImage::from_rgba_premultiplied([px[0] as usize, px[1] as usize], &rgba), view }
        };
        self.picture.get(ui.ctx(), "footprints-picture", key, make);
        let Some(picture) = self.picture.newest_for(|k| k.data.id == data.id && k.plane == *on.plane) else { return };
        let generation = self.picture.generation();
        if self.texture.as_ref().is_none_or(|(g, _)| *g != generation) {
            match &mut self.texture {
                Some((g, texture)) => {
                    texture.set(picture.image.clone(), TextureOptions::LINEAR);
                    *g = generation;
                }
                None => {
                    let texture = ui.ctx().load_texture("footprints", picture.image.clone(), TextureOptions::LINEAR);
                    self.texture = Some((generation, texture));
                }
            }
        }
        if let Some((_, texture)) = &self.texture {
            let a = on.frame.pt_from_data([picture.view.x[0], picture.view.y[1]]);
            let b = on.frame.pt_from_data([picture.view.x[1], picture.view.y[0]]);
            let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            painter.image(texture.id(), Rect::from_min_max(a, b), whole, Color32::WHITE);
        }
    }
}

/// All that lie on a plane, by all threads.
fn projected<P: Plane>(regions: &Regions, plane: &P) -> Outlines {
    let wanted: Vec<usize> = match plane.reach() {
        Some((at, radius)) => regions.touching(at, radius),
        None => (0..regions.len()).collect(),
    };
    // Small numbers are exact as they are: planes have the sky's middle at 0, images begin there.
    let of_part = |part: &[usize]| {
        let mut lines = Outlines::around([0.0; 2]);
        for (row, ring) in part.iter().filter_map(|&i| regions.get(i)) {
            let mut last: Option<[f64; 2]> = None;
            let places = footprint::followed(ring).flat_map(|(ra, dec)| {
                let p = plane.place(ra, dec);
                let tears = plane.is_torn() && last.is_some_and(|l| is_far(l, p));
                last = Some(p);
                tears.then_some([f64::NAN; 2]).into_iter().chain([p])
            });
            lines.push(row, places);
        }
        lines
    };
    Outlines::concat(wanted.par_chunks(PART).map(of_part).collect())
}

/// As lines, those of lit rows last.
fn few<'a, P: Plane>(
    painter: &Painter,
    on: &Ground<'_, P>,
    regions: &Regions,
    rest: Color32,
    here: impl Iterator<Item = (u32, &'a [(f64, f64)])>,
) {
    let mut lit: Vec<(u32, Color32)> = Vec::new();
    for (row, ring) in here {
        match on.look.colour(row as usize).filter(|_| on.look.any) {
            Some(colour) if lit.last().is_none_or(|l| l.0 != row) => lit.push((row, colour)),
            Some(_) => {}
            None if rest.a() > 0 => outline(painter, on, std::iter::once(ring), Stroke::new(WIDTHS[0], rest)),
            None => {}
        }
    }
    for (row, colour) in lit {
        outline(painter, on, regions.of_row(row), Stroke::new(WIDTHS[1], colour));
    }
}

fn outline<'a, P: Plane>(painter: &Painter, on: &Ground<'_, P>, rings: impl Iterator<Item = &'a [(f64, f64)]>, stroke: Stroke) {
    for ring in rings {
        let places = footprint::followed(ring).map(|(ra, dec)| on.plane.place(ra, dec));
        chain(painter, on.frame, on.plane.is_torn(), places, stroke);
    }
}

/// The cursor is inside a footprint and beside every mark: the smallest one is meant. A click selects its row.
pub(super) fn touch(
    ui: &Ui,
    cx: &mut Cx<'_>,
    on: (&Dataset, &RowLook, bool),
    regions: &Regions,
    response: &egui::Response,
    (ra, dec): (f64, f64),
) {
    let (dataset, look, hide_rest) = on;
    let seen = |row: u32| !(hide_rest && look.any) || look.colour(row as usize).is_some();
    let (Some(at), Some(row)) = (response.hover_pos(), regions.at(ra, dec, seen)) else { return };
    cx.shared.hover_next = Some(row);
    tip(ui, cx.theme, at, &row_lines(dataset, row as usize, &[]));
    if response.clicked() {
        let modifiers = ui.input(|i| i.modifiers);
        let mode = if modifiers.shift || modifiers.command { SelectMode::Xor } else { SelectMode::Replace };
        let rows = RowSet::from_rows(dataset.table.rows(), [row as usize]);
        let why = Provenance::Rows { note: "footprint".into(), rows: rows.clone() };
        cx.commands.push(Command::Select { rows, why, mode: Some(mode) });
    }
}
