//! Spectra of the selection: median and 16–84 % band over those of the whole table in grey.
//!
//! The spectra of the table are read once into a matrix on one grid (in a named thread), stacks are
//! made from it for each new selection (in another), the row under the cursor is drawn as a thin
//! line. Lines from the sky's own list are marked at the redshift. Percentiles are exact over the
//! rows used; of large groups every n-th row is used, and the legend says so. Cost: 4 B a sample for
//! the matrix, at most 128 MB; a stack of 1,600 spectra of 2,000 samples takes about 50 ms.

use std::sync::{Arc, OnceLock};

use asterism_data::spectrum::{Grid, metres_in, resample};
use asterism_data::{Medium, RowSet, SpectraColumn, Table};
use asterism_render::decimate::m4;
use asterism_session::{Dataset, Document, ProductKind};
use egui::epaint::{BandPoint, BandShape};
use egui::{Color32, FontId, Painter, Pos2, Rect, Shape, Stroke, Ui, pos2, vec2};
use serde::{Deserialize, Serialize};

use super::rows::{self, DataKey, colour_of};
use crate::cx::Cx;
use crate::theme::SMALL;
use crate::widgets::{Axes, Cache, Frame, Range2, Work, axes, format};

/// Samples of the matrix at most.
const MATRIX_SAMPLES: usize = 32_000_000;
/// Rows of one stack at most.
const STACK_ROWS: usize = 4_000;
/// Samples of a first stack, which is made within the frame: a few milliseconds.
const FIRST_SAMPLES: usize = 200_000;

/// Settings and caches.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct SpectraPane {
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
        Self { lines: true, by_subset: false, rest: false, view: None, state: Cache::default() }
    }
}

#[derive(Default)]
struct State {
    matrix: Work<DataKey, Result<Arc<Matrix>, String>>,
    all: Work<(DataKey, usize), Stack>,
    groups: Work<GroupsKey, Vec<(String, Color32, Stack)>>,
    dataset: Option<u32>,
    home: Option<(u64, Range2)>,
}

#[derive(Clone, PartialEq)]
struct GroupsKey {
    data: DataKey,
    matrix: usize,
    selection: u64,
    subsets: Vec<(usize, bool)>,
    by_subset: bool,
    dark: bool,
}

/// Spectra of some rows on one grid.
struct Matrix {
    /// Wavelengths in the unit of the column.
    axis: Vec<f64>,
    /// Row of the table of each row of the matrix, ascending.
    rows: Vec<u32>,
    /// Row by row; NaN for no value.
    flux: Vec<f32>,
}

impl Matrix {
    fn row(&self, row: usize) -> Option<&[f32]> {
        let i = self.rows.binary_search(&(row as u32)).ok()?;
        self.flux.get(i * self.axis.len()..(i + 1) * self.axis.len())
    }
}

/// Percentiles of a group at each wavelength.
#[derive(Clone, Debug, Default)]
struct Stack {
    low: Vec<f64>,
    median: Vec<f64>,
    high: Vec<f64>,
    /// Rows of the group, and rows used.
    of: usize,
    used: usize,
}

fn matrix(table: &Table, spectra: &SpectraColumn) -> Result<Matrix, String> {
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
        return Ok(Matrix { axis: axis.clone(), rows: take, flux });
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
    let n = sample.iter().map(asterism_data::Spectrum::len).max().unwrap_or(0).clamp(16, 4096);
    let grid = Grid { start_m, stop_m, n, log: false };
    let step = (rows * n).div_ceil(MATRIX_SAMPLES).max(1);
    let take: Vec<u32> = (0..rows as u32).step_by(step).collect();
    let mut flux = Vec::with_capacity(take.len() * n);
    for row in &take {
        flux.extend(resample(&spectra.spectrum(table, *row as usize), &grid).0);
    }
    Ok(Matrix { axis: grid.points_m().iter().map(|m| m / factor).collect(), rows: take, flux })
}

fn stack(matrix: &Matrix, keep: impl Fn(usize) -> bool, of: usize, most: usize) -> Stack {
    let members: Vec<usize> = (0..matrix.rows.len()).filter(|i| keep(matrix.rows[*i] as usize)).collect();
    let step = members.len().div_ceil(most.max(1)).max(1);
    let members: Vec<usize> = members.into_iter().step_by(step).collect();
    let n = matrix.axis.len();
    let mut out = Stack { low: vec![f64::NAN; n], median: vec![f64::NAN; n], high: vec![f64::NAN; n], of, used: members.len() };
    const BLOCK: usize = 32;
    let mut columns: Vec<Vec<f32>> = (0..BLOCK).map(|_| Vec::with_capacity(members.len())).collect();
    for first in (0..n).step_by(BLOCK) {
        let width = BLOCK.min(n - first);
        columns.iter_mut().for_each(Vec::clear);
        for i in &members {
            let part = &matrix.flux[i * n + first..i * n + first + width];
            for (column, v) in columns.iter_mut().zip(part) {
                if v.is_finite() {
                    column.push(*v);
                }
            }
        }
        for (k, column) in columns.iter_mut().take(width).enumerate() {
            if column.is_empty() {
                continue;
            }
            let last = column.len() - 1;
            let mut at = |q: f64| {
                let i = (last as f64 * q).round() as usize;
                f64::from(*column.select_nth_unstable_by(i, f32::total_cmp).1)
            };
            (out.low[first + k], out.median[first + k], out.high[first + k]) = (at(0.16), at(0.5), at(0.84));
        }
    }
    out
}

#[derive(Deserialize)]
struct LineList {
    lines: Vec<Line>,
    bands: Vec<Band>,
}

/// A molecular band: a range of wavelengths.
#[derive(Deserialize)]
struct Band {
    name: String,
    from_angstrom: f64,
    to_angstrom: f64,
    kind: String,
}

#[derive(Deserialize)]
struct Line {
    name: String,
    vacuum_angstrom: f64,
    air_angstrom: Option<f64>,
    kind: String,
    group: String,
    rank: u8,
}

fn line_list() -> &'static LineList {
    static LIST: OnceLock<LineList> = OnceLock::new();
    LIST.get_or_init(|| {
        serde_json::from_str(include_str!("../../../assets/lines.json"))
            .unwrap_or_else(|_| LineList { lines: Vec::new(), bands: Vec::new() })
    })
}

fn lines() -> &'static [Line] {
    &line_list().lines
}

/// Rows of names of bands at the foot of the plot.
const BAND_ROWS: usize = 3;

/// Where the names of bands stand: left end and row (0 is the lowest) for each, in the order given. A name stands in the middle of
/// the part of its band that is in sight, in the lowest row where it touches no other; without room it is left out.
fn band_names(bands: &[[f32; 2]], widths: &[f32], [left, right]: [f32; 2]) -> Vec<Option<(f32, usize)>> {
    let mut rows: [Vec<[f32; 2]>; BAND_ROWS] = Default::default();
    let one = |(band, width): (&[f32; 2], &f32)| {
        if right - left < *width {
            return None;
        }
        let middle = (band[0].max(left) + band[1].min(right)) / 2.0;
        let from = (middle - width / 2.0).clamp(left, right - width);
        let free = |row: &Vec<[f32; 2]>| row.iter().all(|t| from + width <= t[0] || from >= t[1]);
        let row = rows.iter().position(free)?;
        rows[row].push([from, from + width]);
        Some((from, row))
    };
    bands.iter().zip(widths).map(one).collect()
}

impl SpectraPane {
    /// For the tab.
    pub fn title(&self, _cx: &Cx<'_>) -> String {
        "Spectra: median and 16–84 %".into()
    }

    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        if cx.session.doc().dataset().is_none_or(|d| d.spectra.is_none()) {
            return;
        }
        let name = if self.lines { "lines on" } else { "lines off" };
        ui.toggle_value(&mut self.lines, name).on_hover_text("Mark spectral lines at the redshift");
        ui.add(egui::DragValue::new(&mut cx.shared.redshift).speed(0.0005).range(-0.1..=20.0).fixed_decimals(4).prefix("z "))
            .accessible_name("Redshift of the line marks")
            .on_hover_text("Redshift of the line marks: drag, or click and type");
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
            self.state.dataset = Some(dataset.id);
            self.view = None;
            let param = dataset.table.params.iter().find(|p| p.name.eq_ignore_ascii_case("redshift"));
            cx.shared.redshift = param.and_then(|p| p.value.trim().parse().ok()).unwrap_or(0.0);
        }
        let key = DataKey::of(&dataset);
        let (table, column) = (dataset.table.clone(), spectra.clone());
        self.state.matrix.get(ui.ctx(), "spectra-matrix", key, move || matrix(&table, &column).map(Arc::new));
        let made = self.state.matrix.newest_for(|k| k.id == dataset.id);
        let matrix = match made.as_deref() {
            Some(Ok(matrix)) => matrix.clone(),
            Some(Err(why)) => {
                super::empty(ui, cx.theme, "These spectra cannot be drawn", why);
                return;
            }
            None => {
                super::empty(ui, cx.theme, "Reading the spectra", "");
                return;
            }
        };
        let address = Arc::as_ptr(&matrix) as usize;
        let total = dataset.table.rows();
        let of = matrix.clone();
        self.state.all.get(ui.ctx(), "spectra-stack-all", (key, address), move || stack(&of, |_| true, total, STACK_ROWS));
        // Stacks of an older matrix would not fit this one's grid.
        let all = self.state.all.newest_for(|k| k.1 == address);
        let groups = self.groups(ui, cx, &dataset, &matrix, key);
        let z = if self.rest { cx.shared.redshift } else { 0.0 };
        let axis: Vec<f64> = matrix.axis.iter().map(|v| v / (1.0 + z)).collect();
        let unit = format::unit(&spectra.axis_unit);
        let medium = match spectra.medium {
            Medium::Air => ", air",
            Medium::Vacuum => ", vacuum",
            Medium::Unknown => "",
        };
        let x_label = format!("{} wavelength ({unit}{medium})", if self.rest { "rest" } else { "observed" });
        let flux_unit = format::unit(&spectra.flux_unit);
        let y_label = if flux_unit.is_empty() { "flux".to_owned() } else { flux_unit };
        let home = self.home(&axis, all.as_deref(), groups.as_deref(), z);
        let axes = Axes { x_label: &x_label, y_label: &y_label, home, grid: false, name: "Spectra", fixed_y: false };
        let shown = axes.show(ui, ui.scope_id().with("axes"), cx.theme, &mut self.view);
        let frame = Frame { rect: shown.frame.rect, view: self.view.unwrap_or(home) };
        if shown.response.dragged() {
            axes::pan(&mut self.view, &frame, shown.response.drag_delta());
        }
        let painter = ui.painter_at(frame.rect);
        if self.lines {
            self.marks(&painter, cx, &frame, &spectra);
        }
        if let Some(all) = &all {
            paint_stack(&painter, &frame, &axis, all, cx.theme.context, 0.28);
        }
        for (_, colour, stack) in groups.iter().flat_map(|g| g.iter()) {
            paint_stack(&painter, &frame, &axis, stack, *colour, 0.3);
        }
        if let Some(row) = cx.shared.hover {
            let flux: Option<Vec<f64>> = matrix.row(row as usize).map(|f| f.iter().map(|v| f64::from(*v)).collect());
            if let Some(flux) = flux {
                line(&painter, &frame, &axis, &flux, Stroke::new(1.0, cx.theme.text.gamma_multiply(0.85)));
            }
        }
        self.legend(&painter, cx, &frame, all.as_deref(), groups.as_deref());
        if let Some(at) = shown.response.hover_pos() {
            let p = frame.data_from_pt(at);
            let rest = p[0] / (1.0 + cx.shared.redshift);
            let rest = if self.rest || cx.shared.redshift == 0.0 { String::new() } else { format!("  rest {rest:.1} {unit}") };
            cx.shared.position = format!("{:.1} {unit}{rest}  flux {}", p[0], format::number(p[1], 4));
            cx.shared.hint = "Drag pans · wheel zooms · drag outside an axis moves that axis · double click frames all".into();
        }
    }

    fn groups(
        &mut self,
        ui: &Ui,
        cx: &Cx<'_>,
        dataset: &Dataset,
        matrix: &Arc<Matrix>,
        data: DataKey,
    ) -> Option<Arc<Vec<(String, Color32, Stack)>>> {
        let doc = cx.session.doc();
        let own = rows::look(ui.ctx(), doc, cx.theme).map_or(cx.theme.selected, |l| l.own);
        let wanted = wanted(doc, dataset, own, self.by_subset);
        let key = GroupsKey {
            data,
            matrix: Arc::as_ptr(matrix) as usize,
            selection: doc.selection.generation,
            subsets: dataset.subsets.iter().map(|s| (Arc::as_ptr(s) as usize, s.visible)).collect(),
            by_subset: self.by_subset,
            dark: cx.theme.dark,
        };
        let address = key.matrix;
        let (n, groups) = (matrix.axis.len(), wanted.len());
        let matrix = matrix.clone();
        let stacks = move |most: usize| -> Vec<_> {
            let one = |(name, colour, rows): &(String, Color32, Arc<RowSet>)| {
                (name.clone(), *colour, stack(&matrix, |r| rows.contains(r), rows.count(), most))
            };
            wanted.iter().map(one).collect()
        };
        if !self.state.groups.knows(&key) {
            // A few of the rows now, so that a selection shows in its own frame; all of them when the thread is done.
            let first = stacks(FIRST_SAMPLES / n.max(1) / groups.max(1));
            self.state.groups.put_first(key.clone(), first);
        }
        self.state.groups.get(ui.ctx(), "spectra-stack", key, move || stacks(STACK_ROWS));
        self.state.groups.newest_for(|k| k.matrix == address)
    }

    /// Everything along x; along y what the medians and bands need, with the peaks of the medians.
    fn home(&mut self, axis: &[f64], all: Option<&Stack>, groups: Option<&Vec<(String, Color32, Stack)>>, z: f64) -> Range2 {
        let key = self.state.groups.generation() ^ self.state.all.generation() << 20 ^ z.to_bits().rotate_left(7);
        if let Some((k, home)) = self.state.home
            && k == key
        {
            return home;
        }
        let mut y = [f64::INFINITY, f64::NEG_INFINITY];
        let groups = groups.into_iter().flatten().map(|(_, _, s)| s);
        for stack in all.into_iter().chain(groups) {
            for v in stack.median.iter().filter(|v| v.is_finite()) {
                y = [y[0].min(*v), y[1].max(*v)];
            }
            let mut high: Vec<f64> = stack.high.iter().copied().filter(|v| v.is_finite()).collect();
            let mut low: Vec<f64> = stack.low.iter().copied().filter(|v| v.is_finite()).collect();
            if !high.is_empty() && !low.is_empty() {
                let (h, l) = ((high.len() - 1) * 99 / 100, (low.len() - 1) / 100);
                y[1] = y[1].max(*high.select_nth_unstable_by(h, f64::total_cmp).1);
                y[0] = y[0].min(*low.select_nth_unstable_by(l, f64::total_cmp).1);
            }
        }
        let x = axis
            .iter()
            .copied()
            .filter(|v| v.is_finite())
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], v| [a.min(v), b.max(v)]);
        if x[0] > x[1] {
            return Range2 { x: [0.0, 1.0], y: [0.0, 1.0] };
        }
        let y = if y[0] > y[1] { [0.0, 1.0] } else { y };
        let home = Range2 { x, y: Range2::around([0.0, 1.0], y).y };
        self.state.home = Some((key, home));
        home
    }

    /// Molecular bands as soft spans. Their names and where they stand come back, to be drawn over the lines: at the foot, where no
    /// line's name is.
    fn bands(&self, painter: &Painter, cx: &Cx<'_>, frame: &Frame, metres: f64, z: f64) -> Vec<(Pos2, Arc<egui::Galley>)> {
        let ends = [frame.rect.left(), frame.rect.right()];
        let mut spans = Vec::new();
        let mut names = Vec::new();
        for band in &line_list().bands {
            let shift = if band.kind == "telluric" { 1.0 } else { 1.0 + z };
            let x = |angstrom: f64| frame.pt_from_data([angstrom * 1e-10 * shift / metres, 0.0]).x;
            let (a, b) = (x(band.from_angstrom), x(band.to_angstrom));
            let span = [a.min(b), a.max(b)];
            let in_sight = span[0] < ends[1] && span[1] > ends[0];
            // A span as wide as the view tells nothing.
            if !in_sight || (span[0] <= ends[0] && span[1] >= ends[1]) {
                continue;
            }
            let rect = Rect::from_x_y_ranges(span[0].max(ends[0])..=span[1].min(ends[1]), frame.rect.y_range());
            let soft = if band.kind == "telluric" { 0.07 } else { 0.12 };
            painter.rect_filled(rect, 0.0, cx.theme.third.gamma_multiply(soft));
            spans.push(span);
            names.push(painter.layout_no_wrap(band.name.clone(), FontId::proportional(SMALL - 1.0), cx.theme.third));
        }
        let widths: Vec<f32> = names.iter().map(|g| g.size().x + 8.0).collect();
        let places = band_names(&spans, &widths, ends);
        let at = |(galley, place): (Arc<egui::Galley>, Option<(f32, usize)>)| {
            let (x, row) = place?;
            Some((pos2(x + 4.0, frame.rect.bottom() - 2.0 - (row + 1) as f32 * galley.size().y), galley))
        };
        names.into_iter().zip(places).filter_map(at).collect()
    }

    fn marks(&self, painter: &Painter, cx: &Cx<'_>, frame: &Frame, spectra: &SpectraColumn) {
        let Some(metres) = metres_in(&spectra.axis_unit) else { return };
        let z = if self.rest { 0.0 } else { cx.shared.redshift };
        let bands = self.bands(painter, cx, frame, metres, z);
        let mut at: Vec<(f32, &Line)> = lines()
            .iter()
            .filter_map(|l| {
                let angstrom = if spectra.medium == Medium::Air { l.air_angstrom? } else { l.vacuum_angstrom };
                let shift = if l.kind == "telluric" { 1.0 } else { 1.0 + z };
                let x = frame.pt_from_data([angstrom * 1e-10 * shift / metres, 0.0]).x;
                frame.rect.x_range().contains(x).then_some((x, l))
            })
            .collect();
        // The best-known first; a name goes to the right of its line, else to the left, and a line of the
        // second rank whose name finds no room is left out.
        at.sort_by_key(|(_, l)| (l.rank, l.group != "hydrogen"));
        let font = FontId::proportional(SMALL - 1.0);
        let mut taken: Vec<[f32; 2]> = Vec::new();
        let mut named: Vec<(f32, &str)> = Vec::new();
        for (x, l) in at {
            let name = species(&l.name);
            // Two lines of one multiplet side by side share a name.
            let known = named.iter().any(|(at, n)| *n == name && (at - x).abs() < 40.0);
            let galley = painter.layout_no_wrap(name.to_owned(), font.clone(), cx.theme.second);
            let width = galley.size().x + 6.0;
            let inside = |s: &[f32; 2]| s[0] >= frame.rect.left() && s[1] <= frame.rect.right();
            let span = [[x, x + width], [x - width, x]]
                .into_iter()
                .find(|s| !known && inside(s) && taken.iter().all(|t| s[1] <= t[0] || s[0] >= t[1]));
            if span.is_none() && !known && l.rank > 1 {
                continue;
            }
            let stroke = Stroke::new(1.0, cx.theme.third.gamma_multiply(0.8));
            painter.extend(Shape::dashed_line(&[pos2(x, frame.rect.top()), pos2(x, frame.rect.bottom())], stroke, 2.0, 2.0));
            if let Some(span) = span {
                painter.galley(pos2(span[0] + 3.0, frame.rect.top() + 2.0), galley, cx.theme.second);
                taken.push(span);
                named.push((x, name));
            }
        }
        for (at, galley) in bands {
            painter.rect_filled(
                Rect::from_min_size(at, galley.size()).expand2(vec2(2.0, 0.0)),
                2.0,
                cx.theme.pane.gamma_multiply(0.6),
            );
            painter.galley(at, galley, cx.theme.third);
        }
    }

    fn legend(
        &self,
        painter: &Painter,
        cx: &Cx<'_>,
        frame: &Frame,
        all: Option<&Stack>,
        groups: Option<&Vec<(String, Color32, Stack)>>,
    ) {
        let font = FontId::proportional(SMALL);
        let mut y = frame.rect.top() + 22.0;
        let text = |name: &str, s: &Stack| {
            let of =
                if s.used < s.of { format!("{} of {}", format::count(s.used), format::count(s.of)) } else { format::count(s.of) };
            format!("{name} {of}")
        };
        let groups = groups.into_iter().flatten().map(|(n, c, s)| (text(n, s), *c));
        for (text, colour) in groups.take(8).chain(all.map(|s| (text("all", s), cx.theme.context))) {
            let galley = painter.layout_no_wrap(text, font.clone(), cx.theme.second);
            let left = frame.rect.left() + 10.0;
            let ground = Rect::from_min_size(pos2(left - 4.0, y - 1.0), vec2(galley.size().x + 30.0, 17.0));
            painter.rect_filled(ground, 3.0, cx.theme.pane.gamma_multiply(0.8));
            painter.hline(left..=left + 14.0, y + galley.size().y / 2.0, Stroke::new(2.0, colour));
            painter.galley(pos2(left + 20.0, y), galley, cx.theme.second);
            y += 17.0;
        }
    }
}

/// `[O III] 5007` → `[O III]`, `Na D2` → `Na D`.
fn species(name: &str) -> &str {
    match name.rsplit_once(' ') {
        Some((front, last)) if last.len() >= 3 && last.chars().all(|c| c.is_ascii_digit()) => front,
        Some((_, "D1" | "D2")) => &name[..name.len() - 1],
        _ => name,
    }
}

/// The groups to be stacked, beside everything.
fn wanted(doc: &Document, dataset: &Dataset, own: Color32, by_subset: bool) -> Vec<(String, Color32, Arc<RowSet>)> {
    let visible = || dataset.subsets.iter().filter(|s| s.visible).take(8);
    if doc.selection.any() && !by_subset {
        let same = visible().find(|s| s.rows == doc.selection.rows);
        return vec![match same {
            Some(s) => (s.name.clone(), colour_of(s.colour), s.rows.clone()),
            None => ("selection".into(), own, doc.selection.rows.clone()),
        }];
    }
    visible().map(|s| (s.name.clone(), colour_of(s.colour), s.rows.clone())).collect()
}

fn paint_stack(painter: &Painter, frame: &Frame, axis: &[f64], stack: &Stack, colour: Color32, opacity: f32) {
    let columns = frame.rect.width().ceil().max(1.0) as usize;
    // Lowest and highest of the band in each column of points: nothing of its envelope is lost.
    let mut band: Vec<Option<(f32, f32, f32)>> = vec![None; columns + 1];
    for (i, x) in axis.iter().enumerate() {
        let (low, high) = (frame.pt_from_data([*x, stack.low[i]]), frame.pt_from_data([*x, stack.high[i]]));
        if !(low.y.is_finite() && high.y.is_finite() && frame.rect.expand(2.0).x_range().contains(low.x)) {
            continue;
        }
        let column = ((low.x - frame.rect.left()).max(0.0) as usize).min(columns);
        let (top, bottom) = (high.y.min(low.y), high.y.max(low.y));
        let entry = band[column].get_or_insert((low.x, top, bottom));
        *entry = (low.x, entry.1.min(top), entry.2.max(bottom));
    }
    let gap = axis.len().max(2);
    let spacing =
        frame.rect.width() as f64 / gap as f64 * ((axis[axis.len() - 1] - axis[0]) / (frame.view.x[1] - frame.view.x[0])).abs();
    let mut run: Vec<BandPoint> = Vec::new();
    let flush = |run: &mut Vec<BandPoint>| {
        if run.len() > 1 {
            painter.add(BandShape::filled(std::mem::take(run), colour.gamma_multiply(opacity)));
        }
        run.clear();
    };
    for (x, top, bottom) in band.into_iter().flatten() {
        if run.last().is_some_and(|p| f64::from(x - p.x) > (3.0 * spacing).max(3.0)) {
            flush(&mut run);
        }
        run.push(BandPoint::new(x, top..=bottom));
    }
    flush(&mut run);
    line(painter, frame, axis, &stack.median, Stroke::new(1.3, colour));
}

fn line(painter: &Painter, frame: &Frame, axis: &[f64], flux: &[f64], stroke: Stroke) {
    let columns = (frame.rect.width() * painter.pixels_per_point()).max(1.0) as u32;
    let thin = m4(axis, flux, frame.view.x[0], frame.view.x[1], columns);
    for part in thin.split(|p| !(p[0].is_finite() && p[1].is_finite())).filter(|p| p.len() > 1) {
        painter.line(part.iter().map(|p| frame.pt_from_data(*p)).collect(), stroke);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_has_the_median_and_the_band() {
        let n = 40;
        let rows: Vec<u32> = (0..101).collect();
        let flux = rows.iter().flat_map(|r| (0..n).map(move |i| if i == 7 && *r > 50 { f32::NAN } else { *r as f32 })).collect();
        let m = Matrix { axis: (0..n).map(f64::from).collect(), rows, flux };
        let s = stack(&m, |_| true, 101, STACK_ROWS);
        assert_eq!((s.low[0], s.median[0], s.high[39]), (16.0, 50.0, 84.0));
        // Blanks count for nothing.
        assert_eq!(s.median[7], 25.0);
        let s = stack(&m, |r| r < 3, 3, STACK_ROWS);
        assert_eq!((s.median[0], s.used), (1.0, 3));
        assert!(stack(&m, |_| false, 0, STACK_ROWS).median[0].is_nan());
    }

    #[test]
    fn names_of_bands_stand_in_their_band_and_touch_no_other() {
        assert!(line_list().bands.iter().any(|b| b.name == "TiO" && b.from_angstrom < b.to_angstrom));
        // Two that overlap, one apart, one half in sight, and two more at the place of the first two.
        let bands = [[100.0, 200.0], [150.0, 210.0], [400.0, 440.0], [-50.0, 20.0], [100.0, 200.0], [100.0, 200.0]];
        let widths = [40.0; 6];
        let at = band_names(&bands, &widths, [0.0, 600.0]);
        assert_eq!(at[0], Some((130.0, 0)));
        assert_eq!(at[1], Some((160.0, 1)));
        assert_eq!(at[2], Some((400.0, 0)));
        assert_eq!(at[3], Some((0.0, 0)));
        assert_eq!((at[4], at[5]), (Some((130.0, 2)), None));
        assert_eq!(band_names(&bands[..1], &widths, [0.0, 30.0]), [None]);
    }

    #[test]
    fn the_lines_are_there_and_in_air_where_air_is_used() {
        let h_alpha = lines().iter().find(|l| l.name == "Hα").expect("Hα is in the list");
        assert!((h_alpha.vacuum_angstrom - 6564.614).abs() < 0.01);
        assert_eq!(
            [species("[O III] 5007"), species("Na D2"), species("Hα"), species("Ca II H")],
            ["[O III]", "Na D", "Hα", "Ca II H"]
        );
        assert!((h_alpha.air_angstrom.unwrap_or(0.0) - 6562.8).abs() < 0.1);
    }
}
