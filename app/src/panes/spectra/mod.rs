//! Spectra of the selection over those of the whole table: as median and bands, or as the density of their lines.
//!
//! The spectra of the table are read once into a matrix on one grid (in a named thread); stacks and densities are made from it for
//! each new selection and follow a lasso while it is drawn (`panes/ensemble.rs`). The row under the cursor, or the only selected one,
//! is drawn by itself with its error band (`one.rs`). Lines from the sky's own list are marked at the redshift (`lines.rs`).
//! Percentiles are exact over the rows used; of tables too large for the matrix every n-th row is used, and the legend says so. Cost:
//! 4 B a sample for the matrix, at most 192 MB; 10,000 spectra of 4,000 samples take all of them.

mod lines;
mod one;

use std::sync::Arc;

use asterism_data::spectrum::{Grid, metres_in, resample};
use asterism_data::{Medium, SpectraColumn, Spectrum, Table};
use asterism_session::ProductKind;
use egui::Ui;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::ensemble::{self, Curves, Ensemble, GroupsKey, Show};
use super::rows::{self, DataKey, next_key};
use crate::cx::Cx;
use crate::gpu;
use crate::widgets::{Axes, Cache, Frame, Range2, Work, axes, format};

/// Samples of the matrix at most.
const MATRIX_SAMPLES: usize = 48_000_000;
const _: () = assert!(10_000 * 4_000 <= MATRIX_SAMPLES, "ten thousand long spectra are all used");

/// Settings and caches.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct SpectraPane {
    /// How many spectra are drawn as one.
    pub show: Show,
    /// Lines are marked.
    pub lines: bool,
    /// A stack for each visible subset rather than for the selection.
    pub by_subset: bool,
    /// The wavelengths are shown at rest.
    pub rest: bool,
    /// What is shown; `None` for everything.
    pub view: Option<Range2>,
    #[serde(skip)]
    state: Cache<State>,
}

impl Default for SpectraPane {
    fn default() -> Self {
        Self { show: Show::Stack, lines: true, by_subset: false, rest: false, view: None, state: Cache::default() }
    }
}

#[derive(Default)]
struct State {
    matrix: Work<DataKey, Result<Arc<Curves>, String>>,
    ensemble: Ensemble,
    /// The last spectrum drawn by itself.
    one: Option<(DataKey, u32, Arc<Spectrum>)>,
    dataset: Option<u32>,
}

fn matrix(table: &Table, spectra: &SpectraColumn) -> Result<Curves, String> {
    let rows = table.rows();
    if rows == 0 {
        return Err("the table has no rows yet".into());
    }
    if let Some(axis) = &spectra.grid {
        let n = axis.len().max(1);
        let step = (rows * n).div_ceil(MATRIX_SAMPLES).max(1);
        let take: Vec<u32> = (0..rows as u32).step_by(step).collect();
        let mut flux = Vec::with_capacity(take.len() * n);
        let mut cell = Vec::new();
        for row in &take {
            spectra.matrix_row(table, *row as usize, &mut cell);
            flux.extend((0..n).map(|i| cell.get(i).map_or(f32::NAN, |v| *v as f32)));
        }
        return Ok(Curves { axis: axis.clone(), rows: take, values: flux, key: next_key() });
    }
    // Each row has a grid of its own: the common one spans what most of them span.
    let factor = metres_in(&spectra.axis_unit).unwrap_or(1e-10);
    let sample: Vec<_> =
        (0..rows).step_by((rows / 200).max(1)).map(|r| spectra.spectrum(table, r)).filter(|s| !s.is_empty()).collect();
    let mut starts: Vec<f64> = sample.iter().filter_map(|s| s.range_m()).map(|r| r.0).collect();
    let mut stops: Vec<f64> = sample.iter().filter_map(|s| s.range_m()).map(|r| r.1).collect();
    if starts.is_empty() {
        return Err("the spectra have no wavelengths".into());
    }
    starts.sort_by(f64::total_cmp);
    stops.sort_by(f64::total_cmp);
    let (start_m, stop_m) = (starts[starts.len() / 10], stops[stops.len() - 1 - stops.len() / 10]);
    let n = sample.iter().map(Spectrum::len).max().unwrap_or(0).clamp(16, 4096);
    let grid = Grid { start_m, stop_m, n, log: false };
    let step = (rows * n).div_ceil(MATRIX_SAMPLES).max(1);
    let take: Vec<u32> = (0..rows as u32).step_by(step).collect();
    let mut flux = vec![f32::NAN; take.len() * n];
    flux.par_chunks_mut(n).zip(&take).for_each(|(out, row)| {
        out.copy_from_slice(&resample(&spectra.spectrum(table, *row as usize), &grid).0);
    });
    Ok(Curves { axis: grid.points_m().iter().map(|m| m / factor).collect(), rows: take, values: flux, key: next_key() })
}

impl SpectraPane {
    /// For the tab.
    pub fn title(&self, _cx: &Cx<'_>) -> String {
        format!("Spectra: {}", self.show.title())
    }

    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        if cx.session.doc().dataset().is_none_or(|d| d.spectra.is_none()) {
            return;
        }
        ensemble::menu(ui, cx.theme, &mut self.show);
        let name = if self.lines { "lines on" } else { "lines off" };
        ui.toggle_value(&mut self.lines, name).on_hover_text("Mark spectral lines at the redshift");
        ui.add(egui::DragValue::new(&mut cx.shared.redshift).speed(0.0005).range(-0.1..=20.0).fixed_decimals(4).prefix("z "))
            .accessible_name("Redshift of the line marks")
            .on_hover_text("Redshift of the line marks: drag, or click and type");
        // Moving marks over a spectrum until they fit is how a redshift is found by eye: fine near zero, coarse above.
        ui.spacing_mut().slider_width = 70.0;
        ui.add(
            egui::Slider::new(&mut cx.shared.redshift, 0.0..=10.0)
                .logarithmic(true)
                .smallest_positive(0.002)
                .show_value(false)
                .clamping(egui::SliderClamping::Never),
        )
        .accessible_name("Redshift slider")
        .on_hover_text("Slide the line marks until they lie on the lines of the spectrum");
        ui.toggle_value(&mut self.rest, "at rest").on_hover_text("Wavelengths divided by 1 + z");
        ui.toggle_value(&mut self.by_subset, "by subset").on_hover_text("A stack for each visible subset");
    }

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let doc = cx.session.doc();
        let Some(dataset) = doc.dataset().cloned() else {
            super::empty(
                ui,
                cx.theme,
                "No spectra yet",
                "Open the sample Abell 478 or SpeX, or a table with a column of spectra.",
            );
            return;
        };
        let Some(spectra) = dataset.spectra.clone() else {
            let how = "A table needs a column of arrays with a common grid, or one of fluxes beside one of wavelengths.";
            let what = format!("{} has no column of spectra", dataset.name);
            super::products::offer(ui, cx, &dataset, ProductKind::Spectra, &what, how);
            return;
        };
        if self.state.dataset != Some(dataset.id) {
            // A view that is new keeps what it was given: a kept layout, a picture of a view.
            if self.state.dataset.is_some() {
                self.view = None;
            }
            self.state.dataset = Some(dataset.id);
        }
        if cx.shared.redshift_of != Some(dataset.id) {
            cx.shared.redshift_of = Some(dataset.id);
            let param = dataset.table.params.iter().find(|p| p.name.eq_ignore_ascii_case("redshift"));
            cx.shared.redshift = param.and_then(|p| p.value.trim().parse().ok()).unwrap_or(0.0);
        }
        let data = DataKey::of(&dataset);
        let (table, column) = (dataset.table.clone(), spectra.clone());
        self.state.matrix.get(ui.ctx(), "spectra-matrix", data, move || matrix(&table, &column).map(Arc::new));
        let made = self.state.matrix.newest_for(|k| k.id == dataset.id);
        let curves = match made.as_deref() {
            Some(Ok(curves)) => curves.clone(),
            Some(Err(why)) => {
                super::empty(ui, cx.theme, "These spectra cannot be drawn", why);
                return;
            }
            None => {
                super::empty(ui, cx.theme, "Reading the spectra", "");
                return;
            }
        };
        let own = rows::look(ui.ctx(), doc, cx.theme).map_or(cx.theme.selected, |l| l.own);
        let drawing = cx.shared.drawing.clone();
        let wanted = ensemble::wanted(doc, &dataset, own, self.by_subset, drawing.as_ref());
        let key = GroupsKey::of(&curves, doc, &dataset, cx.theme, self.by_subset, drawing.as_ref());
        let stacks = self.state.ensemble.stacks(ui, &curves, dataset.table.rows(), &key, &wanted);
        let z = if self.rest { cx.shared.redshift } else { 0.0 };
        let factor = 1.0 / (1.0 + z);
        let axis: Vec<f64> = curves.axis.iter().map(|v| v * factor).collect();
        let unit = format::unit(&spectra.axis_unit);
        let medium = match spectra.medium {
            Medium::Air => ", air",
            Medium::Vacuum => ", vacuum",
            Medium::Unknown => "",
        };
        let x_label = format!("{} wavelength ({unit}{medium})", if self.rest { "rest" } else { "observed" });
        let flux_unit = format::unit(&spectra.flux_unit);
        let y_label = if flux_unit.is_empty() { "flux".to_owned() } else { flux_unit };
        let chosen = &doc.selection.rows;
        let only = || (chosen.count() == 1).then(|| chosen.iter().next().map(|r| r as u32)).flatten();
        let row = cx.shared.hover.or_else(only).filter(|r| (*r as usize) < dataset.table.rows());
        if let Some(row) = row
            && self.state.one.as_ref().is_none_or(|(k, r, _)| *k != data || *r != row)
        {
            self.state.one = Some((data, row, Arc::new(spectra.spectrum(&dataset.table, row as usize))));
        }
        let mut home = self.state.ensemble.home(&axis, &stacks, self.show, z.to_bits());
        // In the window the axes stay where they are while the cursor goes from row to row; on paper the row that was asked for is whole.
        if let Some((_, _, spectrum)) = self.state.one.as_ref().filter(|_| row.is_some() && gpu::is_on_paper(ui.ctx())) {
            for v in spectrum.flux.iter().filter(|v| v.is_finite()) {
                home.y = [home.y[0].min(*v), home.y[1].max(*v)];
            }
        }
        let axes =
            Axes { x_label: &x_label, y_label: &y_label, home, grid: false, name: "Spectra", fixed_y: false, log: [false; 2] };
        let shown = axes.show(ui, ui.scope_id().with("axes"), cx.theme, &mut self.view);
        let frame = Frame { rect: shown.frame.rect, view: self.view.unwrap_or(home) };
        if shown.response.dragged() {
            axes::pan(&mut self.view, &frame, shown.response.drag_delta());
        }
        let painter = ui.painter_at(frame.rect);
        self.state.ensemble.paint(ui, cx.theme, &frame, &curves, &axis, factor, self.show, &stacks, &key, &wanted);
        if let Some((_, _, spectrum)) = self.state.one.as_ref().filter(|_| row.is_some()) {
            one::paint(&painter, cx.theme, &frame, spectrum, metres_in(&spectra.axis_unit), factor);
        }
        if self.lines {
            let z = if self.rest { 0.0 } else { cx.shared.redshift };
            lines::marks(&painter, cx.theme, &frame, &spectra, z);
        }
        ensemble::legend(&painter, cx.theme, &frame, &stacks, 22.0);
        if let Some(at) = shown.response.hover_pos() {
            let p = frame.data_from_pt(at);
            let rest = p[0] / (1.0 + cx.shared.redshift);
            let rest = if self.rest || cx.shared.redshift == 0.0 { String::new() } else { format!("  rest {rest:.1} {unit}") };
            cx.shared.position = format!("{:.1} {unit}{rest}  flux {}", p[0], format::number(p[1], 4));
            cx.shared.hint = "Drag pans · wheel zooms · drag outside an axis moves that axis · double click frames all".into();
        }
    }
}
