//! Contours of the density of all rows and of the selected ones, computed off the frame.
//!
//! Cost: a field of 192 × 192 cells and its contours for each layout and selection, in a named thread.

use std::sync::Arc;

use asterism_render::field::{Field, Polyline, contours};
use egui::Ui;

use super::{Placement, ScatterPane};
use crate::cx::Cx;
use crate::gpu::Stored;
use crate::panes::rows::RowLook;
use crate::widgets::{Frame, Range2};

impl ScatterPane {
    /// Contours of all rows, and of the selected ones over them.
    pub(super) fn contours(&mut self, ui: &Ui, cx: &Cx<'_>, frame: &Frame, placement: &Placement, look: &Arc<RowLook>) {
        let (at, home, of) = (placement.at.clone(), placement.home, look.clone());
        let key = (at.key, look.key);
        self.state.contours.get(ui.ctx(), "scatter-contours", key, move || contours_of(&at, home, &of));
        let Some(made) = self.state.contours.newest_for(|k| k.0 == key.0) else { return };
        let painter = ui.painter_at(frame.rect);
        // Over dark cells in a light window, and light ones in a dark one, a line needs an edge.
        let edge = egui::Stroke::new(2.6, cx.theme.pane.gamma_multiply(0.55));
        let lines = made.iter().zip([cx.theme.second, look.own]);
        let stroke = |colour: egui::Color32| egui::Stroke::new(1.0, colour.gamma_multiply(0.9));
        let edges = lines.clone().map(|(l, _)| (l, edge)).filter(|_| self.statistic().is_some());
        for (lines, stroke) in edges.chain(lines.map(|(l, colour)| (l, stroke(colour)))) {
            for line in lines {
                let points: Vec<egui::Pos2> = line.points.iter().map(|p| frame.pt_from_data(*p)).collect();
                painter.add(if line.closed {
                    egui::Shape::closed_line(points, stroke)
                } else {
                    egui::Shape::line(points, stroke)
                });
            }
        }
    }
}

/// Contours around shares of all rows, and of the selected ones where there are any, in data units.
fn contours_of(at: &Stored, home: Range2, look: &RowLook) -> [Vec<Polyline>; 2] {
    const SHARES: [f64; 4] = [0.25, 0.5, 0.75, 0.9];
    // The field is of stored positions; its corners are told in data units again.
    let (low, high) = (at.stored([home.x[0], home.y[0]]), at.stored([home.x[1], home.y[1]]));
    let lines = |xy: &[[f32; 2]]| {
        let (x, y) = ([low[0], high[0]], [low[1], high[1]]);
        let Some(field) = Field::density(xy, x, y, [CELLS; 2], bandwidth(xy, [x, y])) else { return Vec::new() };
        let levels = field.levels_of_shares(&SHARES);
        let mut lines = contours(&field, &levels);
        for p in lines.iter_mut().flat_map(|l| &mut l.points) {
            *p = [p[0] * at.unit[0] + at.origin[0], p[1] * at.unit[1] + at.origin[1]];
        }
        lines
    };
    let chosen = |row: &usize| look.chosen.get(row / 64).is_some_and(|w| w >> (row % 64) & 1 == 1);
    let some: Vec<[f32; 2]> =
        if look.selected > 0 { (0..at.xy.len()).filter(chosen).map(|r| at.xy[r]).collect() } else { Vec::new() };
    [lines(&at.xy), if some.is_empty() { Vec::new() } else { lines(&some) }]
}

/// Cells of the field of contours, along each axis.
const CELLS: usize = 192;

/// Half of Scott's rule (1992) for a Gaussian kernel in two dimensions, in cells: the full width would melt islands together.
fn bandwidth(xy: &[[f32; 2]], ends: [[f64; 2]; 2]) -> f32 {
    let good: Vec<&[f32; 2]> = xy.iter().filter(|p| p[0].is_finite() && p[1].is_finite()).collect();
    let n = good.len().max(1) as f64;
    let spread = |a: usize| {
        let mean = good.iter().map(|p| f64::from(p[a])).sum::<f64>() / n;
        let variance = good.iter().map(|p| (f64::from(p[a]) - mean).powi(2)).sum::<f64>() / n;
        variance.sqrt() / (ends[a][1] - ends[a][0]) * CELLS as f64
    };
    let cells = 0.5 * n.powf(-1.0 / 6.0) * (spread(0) + spread(1)) / 2.0;
    if cells.is_finite() { cells.clamp(1.5, 16.0) as f32 } else { 3.0 }
}
