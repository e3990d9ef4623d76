//! What lies over the sky beside the rows: the outline of a MOC, footprints of observations, an outline drawn on another plane.
//!
//! All three are lines on the sphere, projected with the view and broken where the projection tears. Footprints are read once from
//! their column in a named thread; at most [`MOST`] are drawn, those of the selection first. Cost: 50 ns a corner and frame.

use std::sync::Arc;

use asterism_data::Cell;
use asterism_session::footprint::{self, Ring};
use asterism_session::moc::{Line, Moc};
use asterism_session::sky::{Flat, SkyFrame};
use asterism_session::{Dataset, Document, Plot, Provenance, select};
use egui::{Color32, Pos2, Stroke, Ui};
use parking_lot::Mutex;

use super::survey::bytes_of;
use crate::cx::Cx;
use crate::panes::rows::{DataKey, RowLook};
use crate::widgets::{Frame, Work};

/// Footprints drawn at most.
const MOST: usize = 1_000;

/// A coverage ready to be drawn.
pub(super) struct Coverage {
    lines: Vec<Line>,
    frame: SkyFrame,
    /// Share of the sky.
    pub share: f64,
    /// Order it was made of, and that it is drawn at.
    pub orders: [u8; 2],
}

/// Regions of a row.
pub(super) type Regions = Vec<(u32, Vec<Ring>)>;

/// What is kept.
#[derive(Default)]
pub(super) struct State {
    coverage: Work<String, Result<Coverage, String>>,
    regions: Work<(DataKey, usize), Regions>,
    client: Arc<Mutex<Option<Arc<asterism_archive::Client>>>>,
}

/// Draws lines on the sphere, broken where the projection tears or ends.
pub(super) struct Pen<'a> {
    painter: egui::Painter,
    map: &'a Flat,
    frame: &'a Frame,
}

impl<'a> Pen<'a> {
    pub(super) fn new(ui: &Ui, map: &'a Flat, frame: &'a Frame) -> Self {
        Self { painter: ui.painter_at(frame.rect), map, frame }
    }

    /// A chain of places on the plane.
    pub(super) fn chain(&self, points: impl Iterator<Item = [f64; 2]>, stroke: Stroke) {
        let mut run: Vec<Pos2> = Vec::new();
        let mut last: Option<[f64; 2]> = None;
        let reach = self.frame.rect.expand(self.frame.rect.width() * 2.0);
        let end = |run: &mut Vec<Pos2>| {
            if run.len() > 1 {
                self.painter.line(std::mem::take(run), stroke);
            }
            run.clear();
        };
        for p in points {
            // On the whole sky neighbours are near each other on the plane, but across its seam.
            let torn = last.is_some_and(|l| (l[0] - p[0]).abs() > 1.5 || (l[1] - p[1]).abs() > 1.5) && self.map.kind.is_whole();
            let at = self.frame.pt_from_data(p);
            if torn || !(at.x.is_finite() && at.y.is_finite()) || !reach.contains(at) {
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

    /// A closed region in ICRS; long sides follow great circles.
    fn ring(&self, ring: &[(f64, f64)], stroke: Stroke) {
        let n = ring.len();
        let points = (0..n).flat_map(|i| {
            let (a, b) = (vector(ring[i]), vector(ring[(i + 1) % n]));
            let away = (0..3).map(|k| a[k] * b[k]).sum::<f64>().clamp(-1.0, 1.0).acos();
            let parts = ((away.to_degrees() / 3.0).ceil() as usize).clamp(1, 60);
            (0..parts).map(move |p| {
                let t = p as f64 / parts as f64;
                asterism_session::sky::angles([0, 1, 2].map(|k| a[k] * (1.0 - t) + b[k] * t))
            })
        });
        let closed = points.chain(ring.first().copied());
        self.chain(closed.map(|(ra, dec)| self.map.plane(ra, dec)), stroke);
    }
}

fn vector((lon, lat): (f64, f64)) -> [f64; 3] {
    asterism_session::sky::vector(lon, lat)
}

impl State {
    /// The coverage behind an address or path.
    pub(super) fn coverage(&mut self, ui: &Ui, cx: &Cx<'_>, address: &str) -> Option<Arc<Result<Coverage, String>>> {
        let (client, settings, from) = (self.client.clone(), cx.session.settings().clone(), address.trim().to_owned());
        let key = from.clone();
        self.coverage.get(ui.ctx(), "moc-outline", key.clone(), move || {
            let moc = Moc::read(&from, &bytes_of(&client, &settings, &from)?).map_err(|e| e.to_string())?;
            let (lines, order) = moc.outline();
            Ok(Coverage { lines, frame: moc.frame, share: moc.share(), orders: [moc.order, order] })
        });
        self.coverage.newest_for(|k| *k == key)
    }

    /// The footprints of the rows, where a column has them.
    pub(super) fn regions(&mut self, ui: &Ui, dataset: &Arc<Dataset>) -> Option<Arc<Regions>> {
        let column = footprint::column(&dataset.table)?;
        let (of, key) = (dataset.clone(), (DataKey::of(dataset), column));
        self.regions.get(ui.ctx(), "sky-footprints", key, move || {
            let of_row = |row: usize| match of.table.cell(row, column) {
                Cell::Text(text) => footprint::parse(&text),
                _ => Vec::new(),
            };
            (0..of.table.rows()).map(|r| (r as u32, of_row(r))).filter(|(_, rings)| !rings.is_empty()).collect()
        });
        self.regions.newest_for(|k| k.0.id == key.0.id)
    }
}

impl Coverage {
    /// Draw its outline.
    pub(super) fn paint(&self, pen: &Pen<'_>, colour: Color32) {
        let stroke = Stroke::new(1.2, colour);
        for line in &self.lines {
            let icrs = line.iter().map(|(lon, lat)| self.frame.to_icrs(*lon, *lat));
            pen.chain(icrs.map(|(ra, dec)| pen.map.plane(ra, dec)), stroke);
        }
    }
}

/// Draw footprints: those of all rows in `faint`, then those of the selection and of the row under the cursor. True when some were left
/// out.
pub(super) fn paint_regions(
    pen: &Pen<'_>,
    cx: &Cx<'_>,
    doc: &Document,
    regions: &Regions,
    look: &RowLook,
    faint: Color32,
) -> bool {
    let chosen = |row: u32| doc.selection.rows.contains(row as usize);
    let any = look.selected > 0;
    let mut drawn = 0;
    if !(any && doc.hide_rest) {
        for (_, rings) in regions.iter().filter(|(row, _)| !chosen(*row)).take(MOST) {
            rings.iter().for_each(|r| pen.ring(r, Stroke::new(1.0, faint)));
            drawn += 1;
        }
    }
    for (row, rings) in regions.iter().filter(|(row, _)| chosen(*row)).take(MOST) {
        let colour = look.colour(*row as usize).unwrap_or(look.own);
        rings.iter().for_each(|r| pen.ring(r, Stroke::new(1.6, colour)));
        drawn += 1;
    }
    if let Some(row) = cx.shared.hover
        && let Ok(i) = regions.binary_search_by_key(&row, |(r, _)| *r)
    {
        regions[i].1.iter().for_each(|r| pen.ring(r, Stroke::new(1.6, cx.theme.text)));
    }
    drawn < regions.len() && !doc.hide_rest
}

/// The row with the smallest footprint around a place in ICRS, radians.
pub(super) fn region_at(regions: &Regions, ra: f64, dec: f64) -> Option<u32> {
    let size = |ring: &Ring| {
        let at = vector(ring[0]);
        ring.iter().map(|p| vector(*p)).map(|v| (0..3).map(|k| v[k] * at[k]).sum::<f64>()).fold(1.0, f64::min)
    };
    let here = regions.iter().flat_map(|(row, rings)| rings.iter().map(move |r| (*row, r)));
    let inside = here.filter(|(_, r)| footprint::contains(r, ra, dec));
    inside.map(|(row, r)| (row, size(r))).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(row, _)| row)
}

/// The outline that the document keeps, where it was drawn on another plane of the same columns: where it lies on this one.
pub(super) fn paint_other_plane(pen: &Pen<'_>, doc: &Document, columns: &(String, String), plot: &Plot, colour: Color32) {
    let Some((_, Provenance::Shape { plot: drawn, shape })) = doc.selection.steps.last() else { return };
    let Plot::Sky { ra, dec, .. } = drawn else { return };
    if drawn == plot || (ra, dec) != (&columns.0, &columns.1) {
        return;
    }
    for piece in select::outline_elsewhere(plot, drawn, shape) {
        pen.chain(piece.into_iter().map(|[east, north]| [-east.to_radians(), north.to_radians()]), Stroke::new(1.5, colour));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_footprint_under_the_cursor_is_meant() {
        let regions: Regions = ["CIRCLE 10 10 5", "CIRCLE 11 10 1", "POLYGON 50 0 51 0 51 1"]
            .iter()
            .enumerate()
            .map(|(i, t)| (i as u32, footprint::parse(t)))
            .collect();
        let at = |ra: f64, dec: f64| region_at(&regions, ra.to_radians(), dec.to_radians());
        assert_eq!((at(11.2, 10.0), at(8.0, 10.0), at(50.8, 0.2), at(100.0, 0.0)), (Some(1), Some(0), Some(2), None));
    }
}
