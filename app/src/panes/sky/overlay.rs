//! What lies over the sky beside the rows and their footprints: the outline of a MOC, as lines on the sphere, projected with the view and
//! broken where the projection tears. Cost: 50 ns a corner and frame.

use std::sync::Arc;

use asterism_session::moc::{Line, Moc};
use asterism_session::sky::{Flat, SkyFrame};
use egui::{Color32, Stroke, Ui};
use parking_lot::Mutex;

use super::survey::bytes_of;
use crate::cx::Cx;
use crate::panes::footprints;
use crate::widgets::{Frame, Work};

/// A coverage ready to be drawn.
pub(super) struct Coverage {
    lines: Vec<Line>,
    frame: SkyFrame,
    /// Share of the sky.
    pub share: f64,
    /// Order it was made of, and that it is drawn at.
    pub orders: [u8; 2],
}

/// What is kept.
#[derive(Default)]
pub(super) struct State {
    coverage: Work<String, Result<Coverage, String>>,
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
        footprints::chain(&self.painter, self.frame, self.map.kind.is_whole(), points, stroke);
    }
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
