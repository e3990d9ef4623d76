//! Brushing on any plot of rows: hover, gestures, the count beside the cursor, the outline that stays.
//!
//! A grid over the positions is built in a named thread for each new set of positions; until it is
//! there, small sets are searched one by one. What is selected is exact in data space, never a
//! matter of pixels. Cost: hover a few µs; a lasso what [`asterism_render::grid`] says.

use std::sync::Arc;

use asterism_data::{Cell, RowSet};
use asterism_render::grid::PointGrid;
use asterism_session::sky::Projection;
use asterism_session::{Command, Dataset, Plot, Provenance, SelectMode, Shape, select, sphere};
use egui::{Pos2, Response, Ui, pos2, vec2};

use super::rows::next_key;
use crate::cx::{Cx, Drawing, Tool};
use crate::gpu::Stored;
use crate::theme::{SMALL, Theme};
use crate::widgets::gesture::{Gesture, Hold, Outcome, Range, Transform, paint_outline};
use crate::widgets::{Work, format};

/// How far from the cursor a row is still meant, points.
const REACH_PT: f32 = 9.0;
/// Up to so many rows a search without the grid is not felt.
const FEW: usize = 20_000;

/// Up to so many rows an outline on the sphere is counted while it is drawn or moved.
const ON_SPHERE: usize = 300_000;

/// State of one plot.
#[derive(Default)]
pub struct Brush {
    gesture: Gesture,
    grid: Work<u64, PointGrid>,
    /// The rows under the outline being drawn, kept for the outline they were looked for, and how many of them there are.
    counted: Option<(Shape, SelectMode, usize, Drawing)>,
    /// What was selected before the outline that is being moved, by the selection's generation.
    base: Option<(u64, RowSet)>,
    /// What the outline or range on its way holds, while it stays where it is.
    moved: Option<(u64, Kept, usize, Drawing)>,
}

/// What stays on a plot and can be moved.
#[derive(Clone, Debug, PartialEq)]
enum Kept {
    Shape(Shape),
    Elsewhere(Plot, Shape),
    Range(Range),
}

/// What the mouse did on the plot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brushed {
    /// The gesture took the drag: the plot must not pan.
    pub takes_drag: bool,
    /// Row under the cursor.
    pub hover: Option<u32>,
}

/// The plot to brush on.
pub struct On<'a> {
    /// The dataset.
    pub dataset: &'a Dataset,
    /// Its rows' positions.
    pub at: &'a Stored,
    /// The axes, for the provenance; `None` where nothing can be selected (a map that still moves).
    pub plot: Option<&'a Plot>,
    /// Screen from data and back.
    pub transform: &'a dyn Transform,
    /// Columns along x and y, for ranges; of a plot of columns none along an axis says that no range runs along it.
    pub columns: [Option<&'a str>; 2],
}

impl Brush {
    /// Whether a gesture is under way.
    pub fn active(&self) -> bool {
        self.gesture.active()
    }

    /// Take part in this frame.
    pub fn update(&mut self, ui: &Ui, cx: &mut Cx<'_>, on: &On<'_>, response: &Response) -> Brushed {
        let rows = on.at.xy.len();
        let xy = on.at.xy.clone();
        let grid = self.grid.get(ui.ctx(), "point-grid", on.at.key, move || PointGrid::from_xy(xy.to_vec()));
        let grid = grid.filter(|_| self.grid.exact(&on.at.key).is_some());
        let mut out = Brushed::default();
        let Some(plot) = on.plot else {
            out.hover = self.hover(cx, on, grid.as_deref(), rows, response);
            return out;
        };
        // The outline that stays is the document's own, so that undo takes it back as well.
        let last = cx.session.doc().selection.steps.last().map(|(_, why)| why.clone());
        let (kept, far) = match last.as_deref() {
            Some(Provenance::Shape { plot: p, shape }) if p == plot => (Some(shape.clone()), None),
            Some(Provenance::Shape { plot: p, shape }) => (None, Some((p.clone(), shape.clone()))),
            _ => (None, None),
        };
        // One that was drawn on another picture of the sky, as it runs on this one.
        let pieces = far.as_ref().map(|(p, shape)| sphere::outline_elsewhere(plot, p, shape)).unwrap_or_default();
        let hold = match (&kept, &far) {
            (Some(shape), _) => Some(Hold::Here(shape)),
            // What can be turned on the sphere.
            (_, Some((Plot::Sky { projection: Projection::Field, .. }, _))) => Some(Hold::Elsewhere(&pieces)),
            _ => None,
        };
        let range = cx.session.doc().selection.steps.last().and_then(|(_, why)| match &**why {
            Provenance::Range { column, min, max } => {
                let axis = on.columns.iter().position(|c| *c == Some(column.as_str()))?;
                Some(Range { axis, ends: [*min, *max] })
            }
            _ => None,
        });
        let upright = on.columns[0].is_none() || on.columns[1].is_some();
        let radius = if cx.shared.brush_radius_pt > 0.0 { cx.shared.brush_radius_pt } else { 12.0 };
        let outcome = self.gesture.update(ui, response, on.transform, cx.shared.tool, radius, hold, range, upright);
        let painter = ui.painter_at(response.rect);
        let mut shown = kept;
        let mut shown_range = range;
        // An outline on the sphere as it runs on this picture of the sky.
        let mut elsewhere = far.clone();
        out.takes_drag = !matches!(outcome, Outcome::None);
        // On a picture of the whole sky a circle is one on the sphere, and so is a polygon of corners.
        let is_round = |shape: &Shape| matches!(shape, Shape::Ellipse { .. }) || self.gesture.by_clicks();
        let on_sphere = |shape: &Shape| is_round(shape).then(|| sphere::on_sphere(plot, shape)).flatten();
        match outcome {
            Outcome::Drawing(shape, mode) => {
                if let Some((field, round)) = on_sphere(&shape) {
                    elsewhere = Some((field.clone(), round.clone()));
                    let why = Provenance::Shape { plot: field, shape: round };
                    let few = rows < ON_SPHERE;
                    if let Some(rows) = few.then(|| select::rows_of(on.dataset, &why).ok()).flatten() {
                        let count = self.tell(cx, &rows, mode);
                        self.note(ui, cx, count, mode);
                    }
                    shown = None;
                } else {
                    elsewhere = None;
                    let count = self.count(cx, on, grid.as_deref(), &shape, mode);
                    self.note(ui, cx, count, mode);
                    shown = Some(shape);
                }
            }
            Outcome::Drawn(shape, mode) => {
                let round = on_sphere(&shape);
                shown = if round.is_none() { Some(shape.clone()) } else { None };
                elsewhere.clone_from(&round);
                let (plot, shape) = round.unwrap_or((plot.clone(), shape));
                self.select(cx, on, &plot, grid.as_deref(), &shape, mode);
            }
            Outcome::Moving(shape) => {
                let count = self.count_moved(cx, on, &Kept::Shape(shape.clone()), || rows_in(on, grid.as_deref(), &shape));
                self.note(ui, cx, count, None);
                shown = Some(shape);
            }
            Outcome::Moved(shape) => {
                let why = Provenance::Shape { plot: plot.clone(), shape: shape.clone() };
                let rows = exact(on, plot, &why).unwrap_or_else(|| rows_in(on, grid.as_deref(), &shape));
                cx.commands.push(Command::MoveOutline { rows, why });
                (self.base, self.moved) = (None, None);
                shown = Some(shape);
            }
            Outcome::Turning(from, to) | Outcome::Turned(from, to) => {
                let turned = far.as_ref().and_then(|(p, shape)| {
                    let place = |at: [f64; 2]| plot.sky_of_offsets(at);
                    sphere::turned(p, shape, place(from)?, place(to)?)
                });
                // Beside the sky it is where it was.
                if let Some((field, shape)) = turned {
                    elsewhere = Some((field.clone(), shape.clone()));
                    let why = Provenance::Shape { plot: field.clone(), shape: shape.clone() };
                    let found = || select::rows_of(on.dataset, &why).unwrap_or_else(|_| RowSet::from_rows(rows, []));
                    if self.gesture.active() {
                        if rows < ON_SPHERE {
                            let count = self.count_moved(cx, on, &Kept::Elsewhere(field, shape), found);
                            self.note(ui, cx, count, None);
                        }
                    } else {
                        let rows = found();
                        cx.commands.push(Command::MoveOutline { rows, why });
                        (self.base, self.moved) = (None, None);
                    }
                }
            }
            Outcome::Ranging(axis, ends, mode) => {
                let now = Kept::Range(Range { axis, ends });
                let generation = cx.session.doc().selection.generation;
                let count = match &self.moved {
                    Some((g, kept, count, drawing)) if *g == generation && *kept == now => {
                        cx.shared.drawing_next = Some(drawing.clone());
                        *count
                    }
                    _ => {
                        let count = self.tell(cx, &in_ends(on, axis, ends), mode);
                        self.moved = cx.shared.drawing_next.clone().map(|d| (generation, now, count, d));
                        count
                    }
                };
                self.note(ui, cx, count, mode);
                (shown, shown_range) = (None, Some(Range { axis, ends }));
            }
            Outcome::Ranged(axis, ends, mode) => {
                let why = range_why(on, plot, axis, ends);
                let rows = exact(on, plot, &why).unwrap_or_else(|| in_ends(on, axis, ends));
                cx.commands.push(Command::Select { rows, why, mode });
                self.moved = None;
                (shown, shown_range) = (None, Some(Range { axis, ends }));
            }
            Outcome::MovingRange(axis, ends) => {
                let moving = Range { axis, ends };
                let count = self.count_moved(cx, on, &Kept::Range(moving), || in_ends(on, axis, ends));
                self.note(ui, cx, count, None);
                shown_range = Some(moving);
            }
            Outcome::MovedRange(axis, ends) => {
                let why = range_why(on, plot, axis, ends);
                let rows = exact(on, plot, &why).unwrap_or_else(|| in_ends(on, axis, ends));
                cx.commands.push(Command::MoveOutline { rows, why });
                (self.base, self.moved) = (None, None);
                shown_range = Some(Range { axis, ends });
            }
            Outcome::None | Outcome::Ready | Outcome::Dropped => {}
        }
        if let Some(range) = &shown_range {
            range.paint(&painter, on.transform, response.rect, cx.theme.outline);
        }
        if let Some(shape) = &shown {
            paint_outline(&painter, shape, on.transform, cx.theme.outline);
        }
        if let Some((of, shape)) = &elsewhere {
            for piece in sphere::outline_elsewhere(plot, of, shape) {
                let line = piece.iter().map(|p| on.transform.pt_from_data(*p)).collect();
                painter.line(line, egui::Stroke::new(1.5, cx.theme.outline));
            }
        }
        self.gesture.paint(ui, cx.theme.outline);
        self.gesture.paint_corners(&painter, on.transform, cx.theme.outline);
        if cx.shared.tool == Tool::Brush
            && let Some(at) = response.hover_pos()
        {
            painter.circle_stroke(at, radius, egui::Stroke::new(1.0, cx.theme.second));
        }
        if !self.gesture.active() {
            out.hover = self.hover(cx, on, grid.as_deref(), rows, response);
            if response.clicked() && !out.takes_drag {
                click(ui, cx, out.hover, rows);
            }
        }
        out
    }

    fn hover(&self, cx: &mut Cx<'_>, on: &On<'_>, grid: Option<&PointGrid>, rows: usize, response: &Response) -> Option<u32> {
        let at = response.hover_pos()?;
        let row = nearest(on, grid, rows, at)?;
        cx.shared.hover_next = Some(row);
        Some(row)
    }

    /// How many rows lie in the outline being drawn. What would be selected is told to the other views, which follow it.
    fn count(
        &mut self,
        cx: &mut Cx<'_>,
        on: &On<'_>,
        grid: Option<&PointGrid>,
        shape: &Shape,
        mode: Option<SelectMode>,
    ) -> usize {
        let mode = mode.unwrap_or(cx.session.doc().mode);
        if let Some((of, m, count, drawing)) = &self.counted
            && of == shape
            && *m == mode
        {
            cx.shared.drawing_next = Some(drawing.clone());
            return *count;
        }
        let rows = rows_in(on, grid, shape);
        let count = self.tell(cx, &rows, Some(mode));
        self.counted = cx.shared.drawing_next.clone().map(|drawing| (shape.clone(), mode, count, drawing));
        count
    }

    /// Tells the other views what would be selected if these rows were; how many they are.
    fn tell(&self, cx: &mut Cx<'_>, rows: &RowSet, mode: Option<SelectMode>) -> usize {
        let mode = mode.unwrap_or(cx.session.doc().mode);
        let after = select::combine(&cx.session.doc().selection.rows.resized(rows.len()), rows, mode);
        cx.shared.drawing_next = Some(Drawing { rows: Arc::new(after), key: next_key() });
        rows.count()
    }

    /// As [`Self::count`], of the last outline or range on its way: what was selected before it stays.
    fn count_moved(&mut self, cx: &mut Cx<'_>, on: &On<'_>, kept: &Kept, rows: impl Fn() -> RowSet) -> usize {
        let selection = &cx.session.doc().selection;
        if let Some((generation, of, count, drawing)) = &self.moved
            && *generation == selection.generation
            && of == kept
        {
            cx.shared.drawing_next = Some(drawing.clone());
            return *count;
        }
        let Some(((mode, _), before)) = selection.steps.split_last() else { return 0 };
        let rows = rows();
        if self.base.as_ref().is_none_or(|(generation, _)| *generation != selection.generation) {
            let base = select::replayed(on.dataset, before).unwrap_or_else(|_| RowSet::from_rows(rows.len(), []));
            self.base = Some((selection.generation, base));
        }
        let base = self.base.as_ref().map_or_else(|| RowSet::from_rows(rows.len(), []), |(_, b)| b.resized(rows.len()));
        let after = select::combine(&base, &rows, *mode);
        let drawing = Drawing { rows: Arc::new(after), key: next_key() };
        let count = rows.count();
        self.moved = Some((selection.generation, kept.clone(), count, drawing.clone()));
        cx.shared.drawing_next = Some(drawing);
        count
    }

    fn note(&self, ui: &Ui, cx: &mut Cx<'_>, count: usize, mode: Option<SelectMode>) {
        let sign = match mode.unwrap_or(cx.session.doc().mode) {
            SelectMode::Or => "+ ",
            SelectMode::AndNot => "\u{2212} ",
            _ => "",
        };
        cx.shared.cursor_note = format!("{sign}{}", format::rows(count));
        if let Some(at) = ui.ctx().pointer_latest_pos() {
            tip(ui, cx.theme, at, std::slice::from_ref(&cx.shared.cursor_note));
        }
    }

    fn select(
        &self,
        cx: &mut Cx<'_>,
        on: &On<'_>,
        plot: &Plot,
        grid: Option<&PointGrid>,
        shape: &Shape,
        mode: Option<SelectMode>,
    ) {
        let why = Provenance::Shape { plot: plot.clone(), shape: shape.clone() };
        let rows = exact(on, plot, &why).unwrap_or_else(|| rows_in(on, grid, shape));
        cx.commands.push(Command::Select { rows, why, mode });
    }
}

/// Columns lie in f64 in the table: the exact answer is there, unless that would be felt.
fn exact(on: &On<'_>, plot: &Plot, why: &Provenance) -> Option<RowSet> {
    let elsewhere = on.plot.is_some_and(|p| p != plot);
    let of_table = matches!(plot, Plot::Columns { .. } | Plot::Sky { .. }) && (elsewhere || on.at.xy.len() < 300_000);
    if of_table { select::rows_of(on.dataset, why).ok() } else { None }
}

fn in_range(v: f64, ends: [f64; 2]) -> bool {
    v >= ends[0] && v <= ends[1]
}

/// Rows between two values along an axis of the plot.
fn in_ends(on: &On<'_>, axis: usize, ends: [f64; 2]) -> RowSet {
    RowSet::from_fn(on.at.xy.len(), |row| in_range(on.at.data(row)[axis], ends))
}

/// A range of a column, or of a plot that has none a box beyond all rows.
fn range_why(on: &On<'_>, plot: &Plot, axis: usize, ends: [f64; 2]) -> Provenance {
    if let Some(column) = on.columns[axis] {
        return Provenance::Range { column: column.to_owned(), min: ends[0], max: ends[1] };
    }
    let across = (0..on.at.xy.len()).map(|r| on.at.data(r)[1 - axis]).filter(|v| v.is_finite());
    let (low, high) = across.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let pad = (high - low).abs().max(1.0);
    let corners = [[ends[0], low - pad], [ends[1], low - pad], [ends[1], high + pad], [ends[0], high + pad]];
    let turned = corners.map(|[a, b]| if axis == 0 { [a, b] } else { [b, a] });
    Provenance::Shape { plot: plot.clone(), shape: Shape::Polygon(turned.to_vec()) }
}

/// A click on a row selects it; with Shift or Ctrl it is added or taken out. Beside every row it clears.
fn click(ui: &Ui, cx: &mut Cx<'_>, hover: Option<u32>, rows: usize) {
    let modifiers = ui.input(|i| i.modifiers);
    if let Some(row) = hover {
        let mode = if modifiers.shift || modifiers.command { SelectMode::Xor } else { SelectMode::Replace };
        let set = RowSet::from_rows(rows, [row as usize]);
        cx.commands.push(Command::Select {
            rows: set.clone(),
            why: Provenance::Rows { note: "clicked".into(), rows: set },
            mode: Some(mode),
        });
    }
}

/// Rows inside an outline.
pub fn rows_in(on: &On<'_>, grid: Option<&PointGrid>, shape: &Shape) -> RowSet {
    let rows = on.at.xy.len();
    if let Some(grid) = grid {
        let stored = |points: &[[f64; 2]]| points.iter().map(|p| on.at.stored(*p)).collect::<Vec<_>>();
        let scaled = |r: &[f64; 2]| [r[0] / on.at.unit[0], r[1] / on.at.unit[1]];
        let words = match shape {
            Shape::Polygon(points) => grid.in_polygon(&stored(points)),
            Shape::Ellipse { centre, radius } => grid.in_circle(on.at.stored(*centre), scaled(radius)),
            Shape::Stroke { points, radius } => grid.in_stroke(&stored(points), scaled(radius)),
        };
        return RowSet::from_fn(rows, |row| words[row / 64] >> (row % 64) & 1 == 1);
    }
    let bounds = bounds(shape);
    RowSet::from_fn(rows, |row| {
        let p = on.at.data(row);
        in_range(p[0], bounds[0]) && in_range(p[1], bounds[1]) && shape.contains(p)
    })
}

fn bounds(shape: &Shape) -> [[f64; 2]; 2] {
    let (points, radius): (&[[f64; 2]], [f64; 2]) = match shape {
        Shape::Polygon(points) => (points, [0.0; 2]),
        Shape::Ellipse { centre, radius } => (std::slice::from_ref(centre), *radius),
        Shape::Stroke { points, radius } => (points, *radius),
    };
    let mut b = [[f64::INFINITY, f64::NEG_INFINITY]; 2];
    for p in points {
        for i in 0..2 {
            b[i] = [b[i][0].min(p[i] - radius[i]), b[i][1].max(p[i] + radius[i])];
        }
    }
    b
}

fn nearest(on: &On<'_>, grid: Option<&PointGrid>, rows: usize, at: Pos2) -> Option<u32> {
    let centre = on.transform.data_from_pt(at);
    let corner = on.transform.data_from_pt(at + vec2(REACH_PT, -REACH_PT));
    let reach = [(corner[0] - centre[0]).abs() / on.at.unit[0], (corner[1] - centre[1]).abs() / on.at.unit[1]];
    if !centre.iter().chain(&reach).all(|v| v.is_finite()) {
        return None;
    }
    if let Some(grid) = grid {
        let at = on.at.stored(centre);
        return grid.nearest(at[0], at[1], reach);
    }
    if rows > FEW {
        return None;
    }
    let near = |row: usize| {
        let p = on.transform.pt_from_data(on.at.data(row));
        let d = p.distance(at);
        (d <= REACH_PT).then_some((d, row as u32))
    };
    (0..rows).filter_map(near).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, row)| row)
}

/// Some lines of text beside the cursor, over everything.
pub fn tip(ui: &Ui, theme: &Theme, at: Pos2, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let painter = ui.ctx().layer_painter(egui::LayerId::new(egui::Order::Tooltip, egui::Id::unique("cursor tip")));
    let font = egui::FontId::proportional(SMALL);
    let galley = painter.layout_no_wrap(lines.join("\n"), font, theme.text);
    let screen = ui.ctx().content_rect();
    let size = galley.size() + vec2(16.0, 10.0);
    let x = if at.x + 14.0 + size.x > screen.right() { at.x - 10.0 - size.x } else { at.x + 14.0 };
    let y = (at.y + 14.0).min(screen.bottom() - size.y - 4.0);
    let rect = egui::Rect::from_min_size(pos2(x.max(screen.left()), y), size);
    painter.rect(rect, 4.0, theme.frame, egui::Stroke::new(1.0, theme.hairline), egui::StrokeKind::Inside);
    painter.galley(rect.min + vec2(8.0, 5.0), galley, theme.text);
}

/// What a tooltip says of a row: its id and the first few plain columns, or those named.
pub fn row_lines(dataset: &Dataset, row: usize, first: &[&str]) -> Vec<String> {
    let table = &dataset.table;
    let mut lines = Vec::new();
    let id = dataset.id_column();
    match id.as_deref().and_then(|id| table.column_index(id)) {
        Some(i) => lines.push(format!("{} {}", table.columns()[i].name, cell_text(&table.cell(row, i)))),
        None => lines.push(format!("row {}", row + 1)),
    }
    let named = first.iter().filter_map(|n| table.column_index(n));
    let plain = (0..table.columns().len()).filter(|i| !table.columns()[*i].datatype.ends_with(']'));
    let mut seen = Vec::new();
    for i in named.chain(plain) {
        if seen.len() >= 5 {
            break;
        }
        let meta = &table.columns()[i];
        if seen.contains(&i) || Some(&meta.name) == id.as_ref() {
            continue;
        }
        let cell = table.cell(row, i);
        if cell == Cell::Null {
            continue;
        }
        seen.push(i);
        let unit = meta.unit.as_deref().filter(|u| !u.is_empty()).map(|u| format!(" {}", format::unit(u))).unwrap_or_default();
        lines.push(format!("{} {}{unit}", meta.name, cell_text(&cell)));
    }
    lines
}

/// A cell in a tooltip: short.
pub fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Float(v) => format::number(*v, 6),
        Cell::Text(t) if t.chars().count() > 42 => format!("{}…", t.chars().take(40).collect::<String>()),
        Cell::Int(v) => format::minus(&v.to_string()),
        other => other.to_string(),
    }
}
