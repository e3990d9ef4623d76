//! A statistic of a column in the cells of a grid over the plot, in place of single marks.
//!
//! Cells are about [`CELL_PT`] points wide, in halves of halves of the whole range, so that panning shows the same cells and
//! zooming finer ones. The field of what is in view is computed in a named thread for each new range; until then the older one
//! stays where it belongs. Selected rows are drawn over it as marks. Choice not taken: cells of a fixed number for the whole
//! range, which say nothing once zoomed in. Cost: what [`Field::statistic`] says, for each step of zoom or pan by a cell.

use std::sync::Arc;

use asterism_render::colour::{self, Lut};
use asterism_render::field::{Field, Statistic};
use asterism_session::Dataset;
use egui::{Color32, ColorImage, Rect, TextureHandle, TextureOptions, Ui, pos2};

use super::ScatterPane;
use super::colours::{ends, values_of};
use crate::gpu::Stored;
use crate::panes::rows::DataKey;
use crate::widgets::{Frame, Range2, Work};

/// Side of a cell on the screen, about, points.
const CELL_PT: f64 = 8.0;
/// Most cells along an axis.
const MOST: i64 = 1024;

/// What a field is of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    data: DataKey,
    at: u64,
    column: String,
    map: u64,
    statistic: Statistic,
    grid: Grid,
}

/// Cells in halves of halves of the home range: their level and the first and last of each axis.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Grid {
    level: [i32; 2],
    first: [i64; 2],
    last: [i64; 2],
}

impl Grid {
    fn of(home: Range2, frame: &Frame) -> Self {
        let per = frame.data_per_pt();
        let axis = |home: [f64; 2], view: [f64; 2], per: f64| {
            let span = (home[1] - home[0]).abs().max(f64::MIN_POSITIVE);
            let level = (span / (per * CELL_PT)).log2().round().clamp(-8.0, 40.0) as i32;
            let cell = span / 2f64.powi(level);
            let (low, high) = (view[0].min(view[1]), view[0].max(view[1]));
            let from = home[0].min(home[1]);
            let (first, last) = (((low - from) / cell).floor() as i64, ((high - from) / cell).ceil() as i64);
            (level, first, last.clamp(first + 1, first + MOST))
        };
        let (x, y) = (axis(home.x, frame.view.x, per[0]), axis(home.y, frame.view.y, per[1]));
        Self { level: [x.0, y.0], first: [x.1, y.1], last: [x.2, y.2] }
    }
    /// Data at the outer edges.
    fn range(&self, home: Range2) -> Range2 {
        let axis = |k: usize, home: [f64; 2]| {
            let cell = (home[1] - home[0]).abs() / 2f64.powi(self.level[k]);
            [self.first[k], self.last[k]].map(|i| home[0].min(home[1]) + i as f64 * cell)
        };
        Range2 { x: axis(0, home.x), y: axis(1, home.y) }
    }
    fn cells(&self) -> [usize; 2] {
        [0, 1].map(|k| (self.last[k] - self.first[k]) as usize)
    }
}

/// A field that is there.
pub(super) struct Made {
    /// In data units.
    pub range: Range2,
    field: Field,
    /// Ends of the colours.
    pub low: f64,
    /// See there.
    pub high: f64,
}

/// What is kept for it.
#[derive(Default)]
pub(super) struct State {
    work: Work<Key, Result<Made, String>>,
    texture: Option<(u64, String, TextureHandle)>,
}

/// The word of a menu for a statistic.
pub(super) fn word(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::Count => "rows",
        Statistic::Std => "spread",
        other => other.name(),
    }
}

/// Name of the legend's bar: `median of z`, `log10 rows`.
pub(super) fn title(statistic: Statistic, column: &str) -> String {
    match statistic {
        Statistic::Count => "log₁₀ rows in a cell".into(),
        other => format!("{} of {column}", word(other)),
    }
}

fn make(at: &Stored, values: &[f32], statistic: Statistic, grid: Grid, home: Range2) -> Result<Made, String> {
    let range = grid.range(home);
    let (low, high) = (at.stored([range.x[0], range.y[0]]), at.stored([range.x[1], range.y[1]]));
    let field = Field::statistic(&at.xy, values, [low[0], high[0]], [low[1], high[1]], grid.cells(), statistic);
    let mut field = field.ok_or("the view has no extent: frame all by a double click")?;
    if statistic == Statistic::Count {
        // Counts span decades: their logarithms are shown, and nothing where there is nothing.
        field.values.iter_mut().for_each(|v| *v = if *v > 0.0 { v.log10() } else { f32::NAN });
    }
    let filled: Vec<f64> = field.values.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v)).collect();
    let (low, high) = ends(&filled);
    Ok(Made { range, field, low, high: if high > low { high } else { low + 1.0 } })
}

impl Made {
    /// Value of the cell at a place, as it is shown.
    pub fn at(&self, p: [f64; 2]) -> Option<f32> {
        let part = |v: f64, r: [f64; 2], n: usize| {
            let i = (v - r[0]) / (r[1] - r[0]) * n as f64;
            (i >= 0.0 && i < n as f64).then_some(i as usize)
        };
        let (i, j) = (part(p[0], self.range.x, self.field.columns)?, part(p[1], self.range.y, self.field.lines)?);
        self.field.values.get(j * self.field.columns + i).copied().filter(|v| v.is_finite())
    }
    fn image(&self, lut: Lut) -> ColorImage {
        let (w, h) = (self.field.columns, self.field.lines);
        let span = self.high - self.low;
        let colour = |v: f32| {
            if !v.is_finite() {
                return Color32::TRANSPARENT;
            }
            let [r, g, b, _] = colour::sample(lut, ((f64::from(v) - self.low) / span).clamp(0.0, 1.0));
            Color32::from_rgb(r, g, b)
        };
        // The first line of a picture is the top, that of a field the bottom.
        let pixels = self.field.values.chunks(w).rev().flatten().map(|v| colour(*v)).collect();
        ColorImage::new([w, h], pixels)
    }
}

impl ScatterPane {
    /// The statistic chosen, if any; one of a column waits for the column.
    pub(super) fn statistic(&self) -> Option<Statistic> {
        let chosen = Statistic::ALL.into_iter().find(|s| s.name() == self.cells)?;
        (chosen == Statistic::Count || !self.colour.is_empty()).then_some(chosen)
    }

    /// Draw the field of what is in view; what is there of it for legend and cursor.
    pub(super) fn paint_cells(
        &mut self,
        ui: &Ui,
        dataset: &Arc<Dataset>,
        statistic: Statistic,
        at: &Stored,
        home: Range2,
        frame: &Frame,
    ) -> Option<Arc<Result<Made, String>>> {
        let map = self.map_of_column(dataset, &self.colour);
        let column = if statistic == Statistic::Count { String::new() } else { self.colour.clone() };
        // Cells are counted upwards; a reversed axis only draws them the other way round.
        let up = |[a, b]: [f64; 2]| [a.min(b), a.max(b)];
        let upright = Frame { rect: frame.rect, view: Range2 { x: up(frame.view.x), y: up(frame.view.y) } };
        let grid = Grid::of(home, &upright);
        let key = Key {
            data: DataKey::of(dataset),
            at: at.key,
            column: column.clone(),
            map: map.as_ref().map_or(0, |m| m.generation),
            statistic,
            grid,
        };
        let (of, stored) = (dataset.clone(), at.clone());
        let state = &mut self.state.cells;
        state.work.get(ui.ctx(), "scatter-cells", key.clone(), move || {
            let values: Vec<f32> = if statistic == Statistic::Count {
                vec![1.0; stored.xy.len()]
            } else {
                values_of(&of, map.as_deref(), &column)?.into_iter().map(|v| v as f32).collect()
            };
            make(&stored, &values, statistic, grid, home)
        });
        let same = |k: &Key| k.data.id == key.data.id && k.column == key.column && k.statistic == statistic && k.at == key.at;
        let made = state.work.newest_for(same)?;
        let Ok(field) = made.as_ref() else { return Some(made) };
        let generation = state.work.generation();
        if state.texture.as_ref().is_none_or(|(g, lut, _)| *g != generation || *lut != self.lut) {
            let lut = Lut::from_name(&self.lut).unwrap_or(Lut::Viridis);
            let texture = ui.ctx().load_texture("cells", field.image(lut), TextureOptions::NEAREST);
            state.texture = Some((generation, self.lut.clone(), texture));
        }
        if let Some((.., texture)) = &state.texture {
            let (a, b) = (
                frame.pt_from_data([field.range.x[0], field.range.y[1]]),
                frame.pt_from_data([field.range.x[1], field.range.y[0]]),
            );
            let ends = |a: f32, b: f32| if a <= b { (0.0, 1.0) } else { (1.0, 0.0) };
            let ((left, right), (top, bottom)) = (ends(a.x, b.x), ends(a.y, b.y));
            let whole = Rect::from_min_max(pos2(left, top), pos2(right, bottom));
            ui.painter_at(frame.rect).image(texture.id(), Rect::from_two_pos(a, b), whole, Color32::WHITE);
        }
        Some(made)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use egui::vec2;

    fn frame(x: [f64; 2], y: [f64; 2]) -> Frame {
        Frame { rect: Rect::from_min_size(pos2(0.0, 0.0), vec2(640.0, 320.0)), view: Range2 { x, y } }
    }

    #[test]
    fn cells_stay_where_they_are_while_panning() {
        let home = Range2 { x: [0.0, 10.0], y: [-1.0, 1.0] };
        let one = Grid::of(home, &frame([0.0, 10.0], [-1.0, 1.0]));
        let two = Grid::of(home, &frame([0.03, 10.03], [-1.0, 1.0]));
        assert_eq!(one.level, two.level);
        let cell = 10.0 / 2f64.powi(one.level[0]);
        let off = (two.range(home).x[0] - one.range(home).x[0]) / cell;
        assert!((off - off.round()).abs() < 1e-9, "{off}");
        // Zoomed in eight times, cells are an eighth.
        assert_eq!(Grid::of(home, &frame([5.0, 6.25], [0.0, 0.25])).level, [one.level[0] + 3, one.level[1] + 3]);
    }

    #[test]
    fn the_value_under_the_cursor_is_that_of_its_rows() {
        let home = Range2 { x: [0.0, 8.0], y: [0.0, 4.0] };
        let at = Stored::of(&[[1.01, 1.01], [1.02, 1.02], [1.03, 1.0], [7.0, 3.5], [f64::NAN, 1.0]], 1);
        let grid = Grid::of(home, &frame([0.0, 8.0], [0.0, 4.0]));
        let values = [5.0, 1.0, 2.0, 9.0, 100.0];
        let median = make(&at, &values, Statistic::Median, grid, home).unwrap();
        assert_eq!(median.at([1.02, 1.01]), Some(2.0));
        assert_eq!(median.at([7.0, 3.5]), Some(9.0));
        assert_eq!(median.at([4.0, 2.0]), None);
        let count = make(&at, &[1.0; 5], Statistic::Count, grid, home).unwrap();
        assert!((count.at([1.02, 1.01]).unwrap() - 3f32.log10()).abs() < 1e-6);
        let image = count.image(Lut::Viridis);
        assert_eq!(image.pixels.iter().filter(|p| p.a() > 0).count(), 2);
        // The lower row of the plot is the lower half of the picture.
        let first = image.pixels.iter().rposition(|p| p.a() > 0).unwrap();
        assert!(first / image.size[0] > image.size[1] / 2);
    }
}
