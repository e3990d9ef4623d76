//! Light curves: brightness against time, or against phase once a period is given.
//!
//! A dataset whose table is a light curve (time and flux columns, as Kepler, K2 and TESS files have)
//! is shown point by point, each point a row, so it can be brushed. A dataset with one light curve a
//! row (list columns) shows the one of the row under the cursor, or of the first selected row.
//! Points are drawn by the same path as a scatter; with a period their times lie on the device and become phases there, so that a
//! slider uploads nothing ([`asterism_render::fold`]). The curves of all rows, folded each with its period and
//! relative to their own median and spread, are drawn as one: median with bands, or line density
//! (`panes/ensemble.rs`). Cost: one pass over the points when the period or the rows change.

use std::sync::Arc;

use asterism_data::Table;
use asterism_render::{Fold, Times};
use asterism_session::curves::{binned, phase, phase_expression};
use asterism_session::{CurveColumns, Dataset, Plot, ProductKind};
use egui::{RichText, Stroke, Ui};
use serde::{Deserialize, Serialize};

use super::brush::{Brush, On, row_lines, tip};
use super::ensemble::{self, Curves, Ensemble, GroupsKey, Show};
use super::rows::{self, DataKey, RowLook, next_key};
use super::{columns as pick, empty, photometry};
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
    /// The curves of all rows are drawn as one, in this way; `None` for one row's.
    pub many: Option<Show>,
    /// What is shown; `None` for everything.
    pub view: Option<Range2>,
    #[serde(skip)]
    slot: Cache<ViewId>,
    #[serde(skip)]
    state: Cache<State>,
}

impl Default for LightCurvePane {
    fn default() -> Self {
        Self {
            period: 0.0,
            period_column: String::new(),
            many: None,
            view: None,
            slot: Cache::default(),
            state: Cache::default(),
        }
    }
}

#[derive(Default)]
struct State {
    whole: Work<DataKey, Option<Curve>>,
    /// Phases of all rows, for the hand that brushes.
    phases: Work<(DataKey, u64), Stored>,
    /// The curve of one row.
    one: Option<((DataKey, u32), Arc<Curve>, Vec<f64>)>,
    one_look: Option<Arc<RowLook>>,
    brush: Brush,
    row: Option<u32>,
    points: Work<DataKey, Arc<Points>>,
    folded: Work<(DataKey, u64, String, bool), Arc<Curves>>,
    ensemble: Ensemble,
    file: photometry::Reading,
}

/// A light curve as it is drawn, made once: with time, and to be folded with any period.
struct Curve {
    points: Vec<[f64; 2]>,
    times: Times,
    /// First time, where phases begin.
    zero: f64,
    over_time: Stored,
    over_phase: Stored,
    home: Range2,
}

impl Curve {
    fn of(points: Vec<[f64; 2]>, is_mag: bool) -> Self {
        let times = Times::of(&points.iter().map(|p| p[0]).collect::<Vec<_>>());
        let y: Vec<f64> = points.iter().map(|p| p[1]).collect();
        Self {
            zero: points.iter().map(|p| p[0]).find(|t| t.is_finite()).unwrap_or(0.0),
            over_time: Stored::of(&points, next_key()),
            over_phase: Stored::for_phases(&times, &y, next_key()),
            home: framed(&points, is_mag),
            times,
            points,
        }
    }

    /// Over time, or over the phase where there is a period that it can be folded with; and what frames it.
    fn at(&self, period: f64) -> (Stored, Range2) {
        match self.fold(period) {
            Some(fold) => (self.over_phase.folded(&self.times, fold), Range2 { x: [-0.02, 1.02], y: self.home.y }),
            None => (self.over_time.clone(), self.home),
        }
    }

    fn fold(&self, period: f64) -> Option<Fold> {
        self.times.fold(period, self.zero)
    }

    /// Where a sample stands: its time, or its phase.
    fn x(&self, fold: Option<Fold>, sample: usize) -> f64 {
        fold.map_or(self.points[sample][0], |f| f64::from(f.of(&self.times, sample)))
    }

    /// The same with every position in numbers.
    fn in_numbers(&self, period: f64) -> Stored {
        if self.fold(period).is_none() {
            return self.over_time.clone();
        }
        let points: Vec<[f64; 2]> = self.points.iter().map(|p| [phase(p[0], period, self.zero), p[1]]).collect();
        Stored::of(&points, next_key())
    }
}

/// Times and brightnesses of each row, read once: folding with another period reads nothing anew.
struct Points {
    rows: Vec<Vec<[f64; 2]>>,
    /// Parts of the phase that have a few points each in most curves.
    bins: usize,
}

impl Points {
    fn read(table: &Table, columns: &CurveColumns) -> Self {
        let rows: Vec<Vec<[f64; 2]>> = (0..table.rows().min(CURVES)).map(|r| columns.points(table, r)).collect();
        let mut lengths: Vec<usize> = rows.iter().map(Vec::len).filter(|n| *n > 0).collect();
        lengths.sort_unstable();
        let usual = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
        Self { rows, bins: (usual / 4).clamp(16, 200) }
    }

    /// Each curve over its phase, relative to its median and spread; `period` says each row's.
    fn folded(&self, period: impl Fn(usize) -> f64 + Sync, is_mag: bool) -> Curves {
        use rayon::prelude::*;
        let n = self.bins;
        let mut values = vec![f32::NAN; self.rows.len() * n];
        values.par_chunks_mut(n).zip(self.rows.par_iter().enumerate()).for_each(|(out, (row, points))| {
            for (out, v) in out.iter_mut().zip(binned(points, n, period(row), is_mag)) {
                *out = v as f32;
            }
        });
        let axis = (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect();
        Curves { axis, rows: (0..self.rows.len() as u32).collect(), values, key: next_key() }
    }
}

/// Curves folded together at most.
const CURVES: usize = 100_000;

impl LightCurvePane {
    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let Some(dataset) = cx.session.doc().dataset().cloned() else { return };
        let Some(columns) = CurveColumns::find(&dataset.table) else { return };
        if let Some((source, chosen)) = photometry::source(&mut self.state.file, ui, &dataset) {
            photometry::quality(ui, cx, &source, &chosen);
        }
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
        ui.spacing_mut().slider_width = 80.0;
        let slider = egui::Slider::new(&mut self.period, 0.0..=1000.0)
            .logarithmic(true)
            .smallest_positive(0.01)
            .show_value(false)
            .clamping(egui::SliderClamping::Never);
        if ui.add(slider).accessible_name("Period slider").on_hover_text("Slide through periods; nothing is read anew").changed()
        {
            self.view = None;
        }
        if columns.lists {
            pick::pick(ui, cx, "period of", Some("none"), &mut self.period_column);
            let name = self.many.map_or("one row", Show::name);
            let menu = ui.menu_button(RichText::new(name).color(cx.theme.second), |ui| {
                ui.set_min_width(230.0);
                let kinds = std::iter::once(None).chain(Show::ALL.into_iter().map(Some));
                for kind in kinds {
                    let text = kind.map_or_else(|| "one row: its points".into(), |k| format!("{}: {}", k.name(), k.title()));
                    if ui.selectable_label(self.many == kind, text).clicked() {
                        self.many = kind;
                        self.view = None;
                        ui.close();
                    }
                }
            });
            menu.response
                .on_hover_text("The curve of the row under the cursor, or the curves of all rows folded and drawn as one");
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
        if let (true, Some(show)) = (columns.lists, self.many) {
            self.many(ui, cx, &dataset, &columns, show, is_mag);
        } else if columns.lists {
            let file = photometry::source(&mut self.state.file, ui, &dataset);
            let Some((source, chosen)) = file else {
                return self.one_row(ui, cx, &dataset, &columns, &with_unit(columns.time), &y_label, is_mag);
            };
            let beside = photometry::room_beside(ui, &source);
            photometry::pixels(ui, cx, &source, &chosen);
            let mut child = ui.new_child(egui::UiBuilder::new().max_rect(beside));
            self.one_row(&mut child, cx, &dataset, &columns, &with_unit(columns.time), &y_label, is_mag);
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
        self.state.whole.get(ui.ctx(), "light-curve", DataKey::of(dataset), move || {
            let name = |i: usize| of.table.columns()[i].name.clone();
            let (t, y) = (of.table.f64s(&name(c.time)).ok()?, of.table.f64s(&name(c.flux)).ok()?);
            Some(Curve::of(t.into_iter().zip(y).map(|(t, y)| [t, y]).collect(), is_mag))
        });
        let Some(made) = self.state.whole.newest_for(|k| k.id == dataset.id) else { return };
        let Some(curve) = made.as_ref() else { return };
        let (drawn, home) = curve.at(period);
        let of = made.clone();
        let key = (DataKey::of(dataset), period.to_bits());
        self.state.phases.get(ui.ctx(), "light-curve-phases", key, move || {
            of.as_ref().as_ref().map_or_else(|| Stored::of(&[], next_key()), |c| c.in_numbers(period))
        });
        let Some(numbers) = self.state.phases.newest_for(|k| k.0.id == dataset.id) else { return };
        let at = numbers.as_ref();
        let Some(look) = rows::look(ui.ctx(), cx.session.doc(), cx.theme) else { return };
        let x_label = phase_label(self.period, time);
        let axes = Axes { x_label: &x_label, y_label, home, grid: false, name: "Light curve", fixed_y: false, log: [false; 2] };
        let shown = axes.show(ui, ui.scope_id().with("axes"), cx.theme, &mut self.view);
        let frame = Frame { rect: shown.frame.rect, view: self.view.unwrap_or(home) };
        let scatter = Scatter {
            slot: *self.slot,
            places: None,
            at: drawn,
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
        // On phases an outline or a range is one on the expression that says them.
        let column = match curve.fold(period) {
            Some(_) => phase_expression(&name(columns.time), period, curve.zero),
            None => name(columns.time),
        };
        let brightness = name(columns.flux);
        let plot = Plot::Columns { x: column.clone(), y: brightness.clone() };
        let on = On { dataset, at, plot: Some(&plot), transform: &frame, columns: [Some(&column), Some(&brightness)] };
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

    /// The curves of all rows over their phase.
    fn many(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, dataset: &Arc<Dataset>, columns: &CurveColumns, show: Show, is_mag: bool) {
        let data = DataKey::of(dataset);
        let (of, c) = (dataset.clone(), columns.clone());
        self.state.points.get(ui.ctx(), "light-curve-points", data, move || Arc::new(Points::read(&of.table, &c)));
        let Some(points) = self.state.points.exact(&data) else {
            return empty(ui, cx.theme, "Reading the light curves", "");
        };
        let (of, period) = (dataset.clone(), self.period);
        let column = dataset.table.column_index(&self.period_column).filter(|_| period <= 0.0);
        let key = (data, period.to_bits(), self.period_column.clone(), is_mag);
        let points = points.as_ref().clone();
        self.state.folded.get(ui.ctx(), "light-curve-fold", key, move || {
            let of_row = |row: usize| match column.map(|c| of.table.cell(row, c)) {
                Some(asterism_data::Cell::Float(v)) if v.is_finite() => v,
                _ => period,
            };
            Arc::new(points.folded(of_row, is_mag))
        });
        let Some(curves) = self.state.folded.newest_for(|k| k.0 == data).map(|c| c.as_ref().clone()) else {
            return empty(ui, cx.theme, "Folding the light curves", "");
        };
        let doc = cx.session.doc();
        let own = rows::look(ui.ctx(), doc, cx.theme).map_or(cx.theme.selected, |l| l.own);
        let drawing = cx.shared.drawing.clone();
        let wanted = ensemble::wanted(doc, dataset, own, false, drawing.as_ref());
        let key = GroupsKey::of(&curves, doc, dataset, cx.theme, false, drawing.as_ref());
        let stacks = self.state.ensemble.stacks(ui, &curves, dataset.table.rows(), &key, &wanted);
        let mut home = self.state.ensemble.home(&curves.axis, &stacks, show, curves.key);
        home.x = [-0.03, 1.03];
        let folded = period > 0.0 || column.is_some();
        let x_label = if folded { "phase from the faintest part" } else { "part of the time from first to last point" };
        let y_label = "brightness (of each curve's spread)";
        let axes = Axes { x_label, y_label, home, grid: false, name: "Light curves", fixed_y: false, log: [false; 2] };
        let shown = axes.show(ui, ui.scope_id().with("axes"), cx.theme, &mut self.view);
        let frame = Frame { rect: shown.frame.rect, view: self.view.unwrap_or(home) };
        if shown.response.dragged() {
            axes::pan(&mut self.view, &frame, shown.response.drag_delta());
        }
        self.state.ensemble.paint(ui, cx.theme, &frame, &curves, &curves.axis, 1.0, show, &stacks, &key, &wanted);
        let painter = ui.painter_at(frame.rect);
        if let Some(curve) = cx.shared.hover.and_then(|row| curves.row(row)) {
            ensemble::line(&painter, &frame, &curves.axis, curve, Stroke::new(1.0, cx.theme.text.gamma_multiply(0.85)));
        }
        ensemble::legend(&painter, cx.theme, &frame, &stacks, 6.0);
        if let Some(p) = shown.response.hover_pos() {
            let v = frame.data_from_pt(p);
            cx.shared.position = format!("{} {:.3}  {}", if folded { "phase" } else { "time" }, v[0], format::number(v[1], 4));
            cx.shared.hint = if folded {
                "Drag pans · wheel zooms · double click frames all".into()
            } else {
                "Not folded: slide a period, or choose the column of each row's period, at the head of this view".into()
            };
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
        let key = (DataKey::of(dataset), row);
        if self.state.one.as_ref().is_none_or(|(k, ..)| *k != key) {
            let (t, y) = (dataset.table.array(columns.time, row as usize), dataset.table.array(columns.flux, row as usize));
            let error = columns.error.map(|c| dataset.table.array(c, row as usize)).unwrap_or_default();
            let curve = Curve::of(t.into_iter().zip(y).map(|(t, y)| [t, y]).collect(), is_mag);
            self.state.one = Some((key, Arc::new(curve), error));
        }
        let Some((_, curve, error)) = self.state.one.clone() else { return };
        let period = match dataset.table.column_index(&self.period_column) {
            Some(c) if self.period == 0.0 => match dataset.table.cell(row as usize, c) {
                asterism_data::Cell::Float(v) => v,
                _ => 0.0,
            },
            _ => self.period,
        };
        let (drawn, home) = curve.at(period);
        let x_label = phase_label(period, time);
        let axes = Axes { x_label: &x_label, y_label, home, grid: false, name: "Light curve", fixed_y: false, log: [false; 2] };
        let shown = axes.show(ui, ui.scope_id().with("axes"), cx.theme, &mut self.view);
        let frame = Frame { rect: shown.frame.rect, view: self.view.unwrap_or(home) };
        if shown.response.dragged() {
            axes::pan(&mut self.view, &frame, shown.response.drag_delta());
        }
        let painter = ui.painter_at(frame.rect);
        let fold = curve.fold(period);
        for (i, x) in
            if error.is_empty() { Vec::new() } else { barred(&curve.points, |i| curve.x(fold, i), &frame.view, fold.is_some()) }
        {
            let y = curve.points[i][1];
            if let Some(e) = error.get(i).filter(|e| e.is_finite()) {
                let (a, b) = (frame.pt_from_data([x, y - e]), frame.pt_from_data([x, y + e]));
                painter.line_segment([a, b], Stroke::new(1.0, cx.theme.context.gamma_multiply(0.6)));
            }
        }
        let look = match self.state.one_look.take() {
            Some(look) if look.key == alike_key(cx.theme.selected, drawn.key) => look,
            _ => alike(cx.theme.selected, curve.points.len(), drawn.key),
        };
        self.state.one_look = Some(look.clone());
        let scatter = Scatter {
            slot: *self.slot,
            places: None,
            at: drawn,
            context: look.context(cx.theme),
            look,
            colours: None,
            sizes: None,
            view: frame.view,
            radius_pt: 1.8,
            opacity: 1.0,
            hide_rest: false,
            hover: None,
            equalised: false,
        };
        gpu::paint_scatter(ui, cx.render, cx.theme, frame.rect, scatter);
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

/// What the axis of time is called: with a period the phase, and of which period.
fn phase_label(period: f64, time: &str) -> String {
    if period > 0.0 { format!("phase (period {} d)", format::number(period, 7)) } else { time.to_owned() }
}

/// Error bars that are drawn over phases at most: more of them, lying over each other, hide what they are to show.
const BARS: usize = 4_000;

fn alike_key(colour: egui::Color32, key: u64) -> u64 {
    key ^ u64::from(rows::pack(colour)) << 32
}

/// Points that are all of one colour; `key` is that of their positions.
fn alike(colour: egui::Color32, points: usize, key: u64) -> Arc<RowLook> {
    let rgba = vec![rows::pack(colour); points];
    let key = alike_key(colour, key);
    Arc::new(RowLook { rgba, lit: Vec::new(), any: false, chosen: Vec::new(), legend: Vec::new(), selected: 0, own: colour, key })
}

/// Error bars drawn at most.
const DRAWN: usize = 40_000;

/// Samples in the view whose error bars are drawn, with their x. Over time, of each run of many its faintest and its brightest, so that
/// no flare or transit is lost; over phases all or none, and a narrower view has them.
fn barred(points: &[[f64; 2]], x: impl Fn(usize) -> f64, view: &Range2, on_phases: bool) -> Vec<(usize, f64)> {
    let [from, to] = [view.x[0].min(view.x[1]), view.x[0].max(view.x[1])];
    let all: Vec<(usize, f64)> =
        (0..points.len()).map(|i| (i, x(i))).filter(|(i, x)| (from..=to).contains(x) && points[*i][1].is_finite()).collect();
    match all.len() {
        n if on_phases && n > BARS => Vec::new(),
        n if n <= DRAWN => all,
        n => {
            let run = 2 * n.div_ceil(DRAWN);
            let ends = |run: &[(usize, f64)]| {
                let by = |a: &&(usize, f64), b: &&(usize, f64)| points[a.0][1].total_cmp(&points[b.0][1]);
                let (low, high) = (run.iter().min_by(by).copied(), run.iter().max_by(by).copied());
                let mut two: Vec<(usize, f64)> = low.into_iter().chain(high).collect();
                two.sort_unstable_by_key(|(i, _)| *i);
                two.dedup_by_key(|(i, _)| *i);
                two
            };
            all.chunks(run).flat_map(ends).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::widgets::Range2;

    #[test]
    fn a_flare_among_many_samples_is_drawn() {
        let mut points: Vec<[f64; 2]> = (0..300_000).map(|i| [f64::from(i), (f64::from(i) * 0.1).sin()]).collect();
        points[123_457][1] = 50.0;
        points[200_001] = [f64::NAN, 3.0];
        let over = |points: &[[f64; 2]], from: f64, to: f64, on_phases: bool| -> Vec<usize> {
            let view = Range2 { x: [from, to], y: [-60.0, 60.0] };
            super::barred(points, |i| points[i][0], &view, on_phases).into_iter().map(|(i, _)| i).collect()
        };
        let drawn = over(&points, 0.0, 3e5, false);
        assert!(drawn.contains(&123_457) && drawn.len() <= super::DRAWN + 1 && drawn.is_sorted());
        assert!(!drawn.contains(&200_001));
        assert_eq!(over(&points[..5], 0.0, 3e5, false), [0, 1, 2, 3, 4]);
        // What is in the view has all its bars, also where the axis runs backwards.
        assert_eq!(over(&points, 2010.0, 2000.0, false), (2000..=2010).collect::<Vec<_>>());
        // On phases: none of too many, all of few.
        assert_eq!((over(&points, 0.0, 3e5, true).len(), over(&points, 0.0, 999.5, true).len()), (0, 1000));
    }
}
