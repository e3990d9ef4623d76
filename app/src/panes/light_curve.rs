//! Light curves: brightness against time, or against phase once a period is given.
//!
//! A dataset whose table is a light curve (time and flux columns, as Kepler, K2 and TESS files have)
//! is shown point by point, each point a row, so it can be brushed. A dataset with one light curve a
//! row (list columns) shows the one of the row under the cursor, or of the first selected row.
//! Points are drawn by the same path as a scatter. Cost: one pass over the points when the period or
//! the rows change.

use std::sync::Arc;

use asterism_session::curves::phase;
use asterism_session::{CurveColumns, Dataset, Plot, ProductKind};
use egui::{Stroke, Ui};
use serde::{Deserialize, Serialize};

use super::brush::{Brush, On, row_lines, tip};
use super::rows::{self, DataKey, next_key};
use super::{columns as pick, empty};
use crate::cx::Cx;
use crate::gpu::{self, Scatter, Stored};
use crate::widgets::{Axes, Cache, Frame, Range2, ViewId, Work, axes, format};

/// Settings and caches.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct LightCurvePane {
    /// Folded with this period, in the unit of the times; 0 for not at all.
    pub period: f64,
    /// Column that gives the period of the row under the cursor; empty for none.
    pub period_column: String,
    /// What is shown; `None` for everything.
    pub view: Option<Range2>,
    #[serde(skip)]
    slot: Cache<ViewId>,
    #[serde(skip)]
    state: Cache<State>,
}

impl Default for LightCurvePane {
    fn default() -> Self {
        Self { period: 0.0, period_column: String::new(), view: None, slot: Cache::default(), state: Cache::default() }
    }
}

#[derive(Default)]
struct State {
    whole: Work<(DataKey, u64), Option<(Stored, Range2)>>,
    brush: Brush,
    row: Option<u32>,
}

impl LightCurvePane {
    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let Some(dataset) = cx.session.doc().dataset().cloned() else { return };
        let Some(columns) = CurveColumns::find(&dataset.table) else { return };
        let speed = if self.period > 0.0 { self.period * 1e-4 } else { 0.01 };
        let drag = egui::DragValue::new(&mut self.period).speed(speed).range(0.0..=1e6).max_decimals(7).prefix("period ");
        if ui
            .add(drag)
            .accessible_name("Period for folding")
            .on_hover_text("Fold with this period; 0 shows time. Drag, or click and type")
            .changed()
        {
            self.view = None;
        }
        if columns.lists {
            pick::pick(ui, cx, "period of", Some("none"), &mut self.period_column);
        }
    }

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let doc = cx.session.doc();
        let Some(dataset) = doc.dataset().cloned() else {
            empty(ui, cx.theme, "No light curve yet", "Open a light-curve file of Kepler, K2 or TESS.");
            return;
        };
        let Some(columns) = CurveColumns::find(&dataset.table) else {
            let how = "Open a light-curve file (Kepler, K2, TESS), or a table with columns of time and flux, or with one list of each a row.";
            super::products::offer(
                ui,
                cx,
                &dataset,
                ProductKind::LightCurves,
                &format!("{} has no light curves", dataset.name),
                how,
            );
            return;
        };
        let meta = |i: usize| &dataset.table.columns()[i];
        let with_unit = |i: usize| match meta(i).unit.as_deref().filter(|u| !u.is_empty()) {
            Some(unit) => format!("{} ({})", meta(i).name, format::unit(unit)),
            None => meta(i).name.clone(),
        };
        let is_mag = columns.is_magnitude(&dataset.table);
        let y_label = with_unit(columns.flux);
        if columns.lists {
            self.one_row(ui, cx, &dataset, &columns, &with_unit(columns.time), &y_label, is_mag);
        } else {
            self.whole(ui, cx, &dataset, &columns, &with_unit(columns.time), &y_label, is_mag);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call, each a different thing")]
    fn whole(
        &mut self,
        ui: &mut Ui,
        cx: &mut Cx<'_>,
        dataset: &Arc<Dataset>,
        columns: &CurveColumns,
        time: &str,
        y_label: &str,
        is_mag: bool,
    ) {
        let (of, c, period) = (dataset.clone(), columns.clone(), self.period);
        let key = (DataKey::of(dataset), period.to_bits());
        self.state.whole.get(ui.ctx(), "light-curve", key, move || {
            let name = |i: usize| of.table.columns()[i].name.clone();
            let (t, y) = (of.table.f64s(&name(c.time)).ok()?, of.table.f64s(&name(c.flux)).ok()?);
            let zero = t.iter().copied().find(|v| v.is_finite()).unwrap_or(0.0);
            let points: Vec<[f64; 2]> = t.iter().zip(&y).map(|(t, y)| [phase(*t, period, zero), *y]).collect();
            Some((Stored::of(&points, next_key()), framed(&points, is_mag)))
        });
        let made = self.state.whole.newest_for(|k| k.0.id == dataset.id);
        let Some(Some((at, home))) = made.as_deref() else { return };
        let Some(look) = rows::look(ui.ctx(), cx.session.doc(), cx.theme) else { return };
        let x_label = if self.period > 0.0 { "phase".to_owned() } else { time.to_owned() };
        let axes = Axes { x_label: &x_label, y_label, home: *home, grid: false, name: "Light curve", fixed_y: false };
        let shown = axes.show(ui, ui.scope_id().with("axes"), cx.theme, &mut self.view);
        let frame = Frame { rect: shown.frame.rect, view: self.view.unwrap_or(*home) };
        let scatter = Scatter {
            slot: *self.slot,
            at: at.clone(),
            context: look.context(cx.theme),
            look,
            colours: None,
            sizes: None,
            view: frame.view,
            radius_pt: 1.6,
            opacity: 0.0,
            hide_rest: cx.session.doc().hide_rest,
            hover: cx.shared.hover,
            equalised: false,
        };
        gpu::paint_scatter(ui, cx.render, cx.theme, frame.rect, scatter);
        let name = |i: usize| dataset.table.columns()[i].name.clone();
        let plot = Plot::Columns { x: name(columns.time), y: name(columns.flux) };
        let column = name(columns.time);
        let on = On {
            dataset,
            at,
            // A shape on phases is no shape on columns.
            plot: (self.period <= 0.0).then_some(&plot),
            transform: &frame,
            x_column: Some(&column),
        };
        let brushed = self.state.brush.update(ui, cx, &on, &shown.response);
        if shown.response.dragged() && !brushed.takes_drag {
            axes::pan(&mut self.view, &frame, shown.response.drag_delta());
        }
        if let Some(p) = shown.response.hover_pos() {
            let v = frame.data_from_pt(p);
            cx.shared.position = format!("{x_label} {}  {y_label} {}", format::number(v[0], 10), format::number(v[1], 6));
            cx.shared.hint = "Drag pans · Shift+drag adds by lasso · the range tool picks a stretch of time".into();
            if let Some(row) = brushed.hover {
                tip(ui, cx.theme, p, &row_lines(dataset, row as usize, &[]));
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call, each a different thing")]
    fn one_row(
        &mut self,
        ui: &mut Ui,
        cx: &mut Cx<'_>,
        dataset: &Arc<Dataset>,
        columns: &CurveColumns,
        time: &str,
        y_label: &str,
        is_mag: bool,
    ) {
        let row = cx
            .shared
            .hover
            .or_else(|| cx.session.doc().selection.rows.iter().next().map(|r| r as u32))
            .or(self.state.row)
            .unwrap_or(0);
        if self.state.row != Some(row) {
            self.view = None;
            self.state.row = Some(row);
        }
        let (t, y) = (dataset.table.array(columns.time, row as usize), dataset.table.array(columns.flux, row as usize));
        let error = columns.error.map(|c| dataset.table.array(c, row as usize)).unwrap_or_default();
        let period = match dataset.table.column_index(&self.period_column) {
            Some(c) if self.period == 0.0 => match dataset.table.cell(row as usize, c) {
                asterism_data::Cell::Float(v) => v,
                _ => 0.0,
            },
            _ => self.period,
        };
        let zero = t.iter().copied().find(|v| v.is_finite()).unwrap_or(0.0);
        let points: Vec<[f64; 2]> = t.iter().zip(&y).map(|(t, y)| [phase(*t, period, zero), *y]).collect();
        let home = framed(&points, is_mag);
        let x_label = if period > 0.0 { "phase".to_owned() } else { time.to_owned() };
        let axes = Axes { x_label: &x_label, y_label, home, grid: false, name: "Light curve", fixed_y: false };
        let shown = axes.show(ui, ui.scope_id().with("axes"), cx.theme, &mut self.view);
        let frame = Frame { rect: shown.frame.rect, view: self.view.unwrap_or(home) };
        if shown.response.dragged() {
            axes::pan(&mut self.view, &frame, shown.response.drag_delta());
        }
        let painter = ui.painter_at(frame.rect);
        let step = points.len().div_ceil(20_000).max(1);
        for (i, p) in points.iter().enumerate().step_by(step) {
            if !(p[0].is_finite() && p[1].is_finite()) {
                continue;
            }
            if let Some(e) = error.get(i).filter(|e| e.is_finite()) {
                let (a, b) = (frame.pt_from_data([p[0], p[1] - e]), frame.pt_from_data([p[0], p[1] + e]));
                painter.line_segment([a, b], Stroke::new(1.0, cx.theme.context));
            }
            painter.circle_filled(frame.pt_from_data(*p), 1.8, cx.theme.selected);
        }
        let name = row_lines(dataset, row as usize, &[]).into_iter().next().unwrap_or_default();
        // On a ground of its own, as the curve runs behind it.
        let galley = painter.layout_no_wrap(name, crate::theme::small(), cx.theme.text);
        let place = egui::Rect::from_min_size(frame.rect.left_top() + egui::vec2(6.0, 5.0), galley.size());
        painter.rect_filled(place.expand2(egui::vec2(5.0, 2.0)), 3.0, cx.theme.pane.gamma_multiply(0.85));
        painter.galley(place.min, galley, cx.theme.text);
    }
}

/// All of it; magnitudes run downwards.
fn framed(points: &[[f64; 2]], is_mag: bool) -> Range2 {
    let mut home = Range2::of_points(points.iter().copied());
    if is_mag {
        home.y.reverse();
    }
    home
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_run_downwards() {
        let mag = framed(&[[0.0, 15.0], [1.0, 16.0]], true);
        assert!(mag.y[0] > mag.y[1]);
    }
}
