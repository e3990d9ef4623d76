//! How columns are distributed: small multiples, or one column large.
//!
//! All rows in grey, the selection in colour over them. A drag selects a range of the column. The
//! bins run from the 0.5th to the 99.5th percentile of finite values when there are wild ones, else
//! from end to end, and the last bins take what lies beyond. Which bin a row falls into is found once, in
//! a named thread; a selection is then counted in the frame that shows it, or in a thread where that
//! would be felt. Cost: 10 B a row and column.

use std::sync::Arc;

use asterism_data::RowSet;
use asterism_session::{Command, Dataset, Provenance, SelectMode, features, select};
use egui::{Align2, Color32, FontId, Id, Mesh, Rect, ScrollArea, Sense, Stroke, Ui, pos2, vec2};
use serde::{Deserialize, Serialize};

use super::columns;
use super::rows::{self, DataKey, RowLook};
use crate::cx::Cx;
use crate::theme::SMALL;
use crate::widgets::{Cache, Work, axes, format};

/// Settings and caches.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct HistogramPane {
    /// One column or expression; empty for small multiples of all.
    pub column: String,
    /// Number of bins.
    pub bins: usize,
    /// Logarithmic counts.
    pub log: bool,
    #[serde(skip)]
    state: Cache<State>,
}

impl Default for HistogramPane {
    fn default() -> Self {
        Self { column: String::new(), bins: 48, log: false, state: Cache::default() }
    }
}

#[derive(Default)]
struct State {
    counts: Work<(DataKey, usize, Vec<String>), Vec<Result<Counts, String>>>,
    chosen: Work<(u64, u64), Vec<Vec<u32>>>,
    values: Arc<parking_lot::Mutex<Vec<(DataKey, String, Arc<Vec<f64>>)>>>,
    drag: Option<(Id, f64, f64)>,
}

/// Bins of one column.
#[derive(Clone, Debug, PartialEq)]
struct Counts {
    name: String,
    low: f64,
    high: f64,
    all: Vec<u32>,
    blank: usize,
    /// The ends are percentiles, and the outermost bins take what lies beyond.
    cut: bool,
    /// The bin of each row; [`BLANK`] where there is no value.
    bins: Vec<u16>,
}

/// The bin of a row without a value.
const BLANK: u16 = u16::MAX;

/// Selected rows times columns that are counted within a frame: about 3 ms.
const COUNT_AT_ONCE: usize = 4_000_000;

/// Rows of a selection in each bin of each column.
fn chosen(made: &[Result<Counts, String>], rows: &RowSet) -> Vec<Vec<u32>> {
    let one = |counts: &Result<Counts, String>| {
        let Ok(counts) = counts else { return Vec::new() };
        let mut some = vec![0; counts.all.len()];
        for bin in rows.iter().filter_map(|row| counts.bins.get(row)) {
            if let Some(n) = some.get_mut(usize::from(*bin)) {
                *n += 1;
            }
        }
        some
    };
    made.iter().map(one).collect()
}

fn count(name: &str, values: &[f64], bins: usize) -> Counts {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let blank = values.len() - finite.len();
    let (mut low, mut high) = finite.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let mut cut = false;
    if finite.len() > 20 {
        let last = finite.len() - 1;
        let mut at = |q: f64| *finite.select_nth_unstable_by((last as f64 * q).round() as usize, f64::total_cmp).1;
        let (a, b) = (at(0.005), at(0.995));
        if b > a && (high - low) > 3.0 * (b - a) {
            (low, high, cut) = (a, b, true);
        }
    }
    if low > high {
        (low, high) = (0.0, 1.0);
    } else if low == high {
        (low, high) = (low - 0.5, high + 0.5);
    }
    let per = bins as f64 / (high - low);
    let mut all = vec![0; bins];
    let mut bin_of = |v: &f64| {
        if !v.is_finite() {
            return BLANK;
        }
        let bin = (((v - low) * per).max(0.0) as usize).min(bins - 1);
        all[bin] += 1;
        bin as u16
    };
    let bins = values.iter().map(&mut bin_of).collect();
    Counts { name: name.into(), low, high, all, blank, cut, bins }
}

impl HistogramPane {
    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        ui.toggle_value(&mut self.log, "log counts").on_hover_text("Logarithmic counts");
        ui.add(egui::DragValue::new(&mut self.bins).range(4..=400).prefix("bins ")).accessible_name("Number of bins");
        columns::pick(ui, cx, "column", Some("all"), &mut self.column);
    }

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let doc = cx.session.doc();
        let Some(dataset) = doc.dataset().cloned() else {
            super::empty(ui, cx.theme, "Nothing to count yet", "A search, a file or a sample fills these.");
            return;
        };
        let Some(look) = rows::look(ui.ctx(), doc, cx.theme) else { return };
        let names = if self.column.is_empty() { wanted(&dataset) } else { vec![self.column.clone()] };
        if names.is_empty() {
            super::empty(ui, cx.theme, &format!("{} has no numeric columns", dataset.name), "Histograms need numbers.");
            return;
        }
        let (selection, generation) = (doc.selection.rows.clone(), doc.selection.generation);
        let key = (DataKey::of(&dataset), self.bins, names.clone());
        let (of, kept, bins) = (dataset.clone(), self.state.values.clone(), self.bins.max(1));
        let data = DataKey::of(&dataset);
        let made = self.state.counts.get(ui.ctx(), "histograms", key, move || {
            names
                .iter()
                .map(|name| {
                    let known = kept.lock().iter().find(|(k, n, _)| *k == data && n == name).map(|(_, _, v)| v.clone());
                    let values = match known {
                        Some(values) => values,
                        None => {
                            let values = Arc::new(select::column_or_expression(&of, name).map_err(|e| e.to_string())?);
                            let mut kept = kept.lock();
                            kept.retain(|(k, _, _)| *k == data);
                            // Of very long tables columns are read again rather than kept.
                            if values.len() < 2_000_000 {
                                kept.push((data, name.clone(), values.clone()));
                            }
                            values
                        }
                    };
                    Ok(count(name, &values, bins))
                })
                .collect()
        });
        let Some(made) = made else { return };
        let key = (self.state.counts.generation(), generation);
        if selection.count() * made.len() <= COUNT_AT_ONCE {
            if !self.state.chosen.knows(&key) {
                self.state.chosen.put(key, chosen(&made, &selection));
            }
        } else {
            let of = made.clone();
            self.state.chosen.get(ui.ctx(), "histogram-selection", key, move || chosen(&of, &selection));
        }
        let some = self.state.chosen.newest_for(|k| k.0 == key.0).unwrap_or_default();
        let some_of = |i: usize| some.get(i).map_or(&[][..], Vec::as_slice);
        let area = ui.available_rect_before_wrap();
        if made.len() == 1 {
            ui.advance_cursor_after_rect(area);
            self.one(ui, cx, &dataset, &look, (&made[0], some_of(0)), area);
            return;
        }
        let across = (area.width() / 230.0).floor().max(1.0) as usize;
        let size = vec2(area.width() / across as f32, 132.0);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(0.0, 0.0);
            for first in (0..made.len()).step_by(across) {
                ui.horizontal(|ui| {
                    for i in first..(first + across).min(made.len()) {
                        let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
                        if ui.is_rect_visible(rect) {
                            self.one(ui, cx, &dataset, &look, (&made[i], some_of(i)), rect);
                        }
                    }
                });
            }
        });
    }

    fn one(
        &mut self,
        ui: &mut Ui,
        cx: &mut Cx<'_>,
        dataset: &Dataset,
        look: &RowLook,
        (counts, chosen): (&Result<Counts, String>, &[u32]),
        outer: Rect,
    ) {
        let painter = ui.painter_at(outer);
        let font = FontId::proportional(SMALL);
        let counts = match counts {
            Ok(counts) => counts,
            Err(why) => {
                painter.text(outer.center(), Align2::CENTER_CENTER, why, font, cx.theme.error);
                return;
            }
        };
        let rect = Rect::from_min_max(outer.min + vec2(12.0, 24.0), outer.max - vec2(12.0, 22.0));
        if rect.height() < 4.0 || rect.width() < 4.0 {
            return;
        }
        let response = ui.interact(rect, ui.scope_id().with(("histogram", &counts.name)), Sense::click_and_drag());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Canvas, true, format!("Histogram of {}", counts.name)));
        let mut title = columns::label(dataset, &counts.name);
        if counts.blank > 0 {
            title += &format!("  ·  {} blank", format::count(counts.blank));
        }
        painter.text(pos2(rect.left(), outer.top() + 6.0), Align2::LEFT_TOP, &title, font.clone(), cx.theme.second);
        let scale = |n: u32| if self.log { f64::from(n + 1).ln() } else { f64::from(n) };
        let most = counts.all.iter().copied().map(scale).fold(1.0, f64::max);
        let highest = counts.all.iter().copied().max().unwrap_or(0);
        let how = if self.log { ", log" } else { "" };
        let told = format!("{} in the highest bin{how}", format::count(highest as usize));
        let room = rect.width() - painter.layout_no_wrap(title.clone(), font.clone(), cx.theme.third).size().x - 12.0;
        if painter.layout_no_wrap(told.clone(), font.clone(), cx.theme.third).size().x <= room {
            painter.text(pos2(rect.right(), outer.top() + 6.0), Align2::RIGHT_TOP, told, font.clone(), cx.theme.third);
        }
        let width = rect.width() / counts.all.len() as f32;
        let mut mesh = Mesh::default();
        let mut bar = |i: usize, n: u32, colour: Color32| {
            if n > 0 {
                let top = rect.bottom() - (rect.height() * (scale(n) / most) as f32).max(1.0);
                let left = rect.left() + width * i as f32;
                mesh.add_colored_rect(
                    Rect::from_min_max(pos2(left, top), pos2(left + (width - 0.5).max(0.5), rect.bottom())),
                    colour,
                );
            }
        };
        let single = look.legend.iter().find(|e| e.lit > 0 && e.lit == look.selected).map(|e| e.colour);
        let colour = single.unwrap_or(look.own);
        let grey = if look.selected > 0 { cx.theme.context } else { cx.theme.context.lerp_to_gamma(cx.theme.second, 0.35) };
        for (i, n) in counts.all.iter().enumerate() {
            bar(i, *n, grey);
        }
        for (i, n) in chosen.iter().enumerate() {
            bar(i, *n, colour);
        }
        painter.add(mesh);
        painter.hline(rect.x_range(), rect.bottom(), Stroke::new(1.0, cx.theme.hairline));
        // Where there is room, lines say how many a bar of their height holds.
        for n in levels(highest, self.log).into_iter().filter(|_| rect.height() >= LINED_PT) {
            let y = rect.bottom() - rect.height() * (scale(n) / most) as f32;
            painter.hline(rect.x_range(), y, Stroke::new(1.0, cx.theme.hairline.gamma_multiply(0.6)));
            let text = painter.layout_no_wrap(format::count(n as usize), font.clone(), cx.theme.second);
            let at = Rect::from_min_size(pos2(rect.left() + 3.0, y - text.size().y), text.size());
            painter.rect_filled(at.expand2(egui::vec2(2.0, 0.0)), 2.0, cx.theme.pane.gamma_multiply(0.75));
            painter.galley(at.min, text, cx.theme.second);
        }
        let x_of = |v: f64| rect.left() + ((v - counts.low) / (counts.high - counts.low)) as f32 * rect.width();
        let v_of = |x: f32| counts.low + f64::from((x - rect.left()) / rect.width()) * (counts.high - counts.low);
        let most = (rect.width() / 70.0).max(2.0) as usize;
        let ticks: Vec<(f64, String)> = if columns::logarithm_of(&counts.name).is_some() {
            let (at, labels) = axes::log_ticks([counts.low, counts.high], most);
            at.into_iter().zip(labels.texts).collect()
        } else {
            let (at, step) = axes::ticks([counts.low, counts.high], most);
            at.into_iter().map(|v| (v, axes::tick_label(v, step))).collect()
        };
        for (v, text) in ticks {
            let text = painter.layout_no_wrap(text, font.clone(), cx.theme.third);
            // Those at the ends stay whole.
            let (low, high) = (outer.left() + 2.0, outer.right() - text.size().x - 2.0);
            let left = (x_of(v) - text.size().x / 2.0).min(high).max(low);
            painter.galley(pos2(left, rect.bottom() + 3.0), text, cx.theme.third);
        }
        // A range, from press to release.
        let id = response.id;
        if response.drag_started()
            && let Some(at) = ui.input(|i| i.pointer.press_origin())
        {
            self.state.drag = Some((id, v_of(at.x), v_of(at.x)));
        }
        if let Some((of, from, to)) = &mut self.state.drag
            && *of == id
        {
            if let Some(at) = response.interact_pointer_pos() {
                *to = v_of(at.x.clamp(rect.left(), rect.right()));
            }
            let (mut a, mut b) = (from.min(*to), from.max(*to));
            let span = Rect::from_x_y_ranges(x_of(a)..=x_of(b), rect.y_range());
            painter.rect_filled(span, 0.0, cx.theme.outline.gamma_multiply(0.14));
            painter.rect_stroke(span, 0.0, Stroke::new(1.0, cx.theme.outline), egui::StrokeKind::Inside);
            if ui.input(|i| i.key_pressed(egui::Key::Escape)) {
                ui.input_mut(|i| i.consume_key(egui::Modifiers::NONE, egui::Key::Escape));
                self.state.drag = None;
            } else if !ui.input(|i| i.pointer.primary_down()) {
                self.state.drag = None;
                if span.width() >= 3.0 {
                    // The outermost bins hold what lies beyond the ends.
                    if counts.cut && a <= counts.low {
                        a = f64::MIN;
                    }
                    if counts.cut && b >= counts.high {
                        b = f64::MAX;
                    }
                    let modifiers = ui.input(|i| i.modifiers);
                    let mode = if modifiers.shift {
                        Some(SelectMode::Or)
                    } else if modifiers.alt || modifiers.command {
                        Some(SelectMode::AndNot)
                    } else {
                        None
                    };
                    let why = Provenance::Range { column: counts.name.clone(), min: a, max: b };
                    if let Ok(rows) = select::rows_of(dataset, &why) {
                        cx.commands.push(Command::Select { rows, why, mode });
                    }
                }
            }
        }
        if let Some(at) = response.hover_pos() {
            let v = v_of(at.x);
            let bin = (((at.x - rect.left()) / width) as usize).min(counts.all.len() - 1);
            painter.vline(at.x, rect.y_range(), Stroke::new(1.0, cx.theme.third));
            let some = match chosen.get(bin) {
                Some(n) if look.selected > 0 => format!("{} / ", format::count(*n as usize)),
                _ => String::new(),
            };
            let log = columns::logarithm_of(&counts.name);
            let v = if log.is_some() { 10f64.powf(v) } else { v };
            cx.shared.position = format!(
                "{} {}  ·  {some}{} in this bin",
                log.as_deref().unwrap_or(&counts.name),
                format::number(v, 5),
                format::count(counts.all[bin] as usize)
            );
            cx.shared.hint = "Drag selects a range · Shift adds · Alt removes · double click opens this column".into();
        }
        // The value of the row under the cursor elsewhere.
        if let Some(row) = cx.shared.hover
            && let Some(values) = self.state.values.lock().iter().find(|(_, n, _)| *n == counts.name).map(|(_, _, v)| v.clone())
            && let Some(v) = values.get(row as usize).filter(|v| v.is_finite())
        {
            let x = x_of(v.clamp(counts.low, counts.high));
            painter.vline(x, rect.y_range(), Stroke::new(1.5, cx.theme.text));
        }
        if response.double_clicked() {
            self.column = if self.column.is_empty() { counts.name.clone() } else { String::new() };
        }
    }
}

/// Height from which a histogram has lines of counts, points.
const LINED_PT: f32 = 120.0;

/// Counts at which a line is drawn: round ones below the highest, or powers of ten.
fn levels(highest: u32, log: bool) -> Vec<u32> {
    if log {
        return (0..10).map(|p| 10u32.saturating_pow(p)).take_while(|n| *n <= highest).collect();
    }
    let (ticks, _) = axes::ticks([0.0, f64::from(highest)], 4);
    ticks.into_iter().filter(|v| *v >= 1.0 && v.fract() == 0.0).map(|v| v as u32).collect()
}

/// Columns worth counting: those features would take, else all numbers; 24 at most.
fn wanted(dataset: &Dataset) -> Vec<String> {
    let usable: Vec<String> = (0..dataset.table.columns().len())
        .filter(|i| features::usable(dataset, *i))
        .map(|i| dataset.table.columns()[i].name.clone())
        .collect();
    let mut names = if usable.is_empty() { columns::numeric(dataset) } else { usable };
    names.truncate(24);
    names
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_of_counts_are_round() {
        assert_eq!(super::levels(0, false), [0u32; 0]);
        let some = super::levels(1234, false);
        assert!(some.len() >= 2 && some.iter().all(|n| *n <= 1234 && n % 100 == 0), "{some:?}");
        assert_eq!(super::levels(1234, true), [1, 10, 100, 1000]);
        assert!(super::levels(3, false).iter().all(|n| (1..=3).contains(n)));
    }

    use super::*;

    #[test]
    fn bins_hold_every_finite_value() {
        let mut values: Vec<f64> = (0..1000).map(f64::from).collect();
        values.push(f64::NAN);
        let c = count("x", &values, 10);
        assert_eq!(c.all, [100; 10]);
        assert_eq!((c.blank, c.cut), (1, false));
        // A wild value does not flatten the rest, and is still counted.
        values[5] = 1e15;
        let c = count("x", &values, 10);
        assert!(c.cut && c.all.iter().sum::<u32>() == 1000 && c.all[3] > 50);
        // Nothing at all.
        assert_eq!(count("x", &[f64::NAN], 4).all, [0; 4]);
    }

    #[test]
    fn a_selection_is_counted_in_the_bins_of_all() {
        let mut values: Vec<f64> = (0..1000).map(f64::from).collect();
        values.push(f64::NAN);
        let made = vec![Ok(count("x", &values, 10)), Err("no such column".into())];
        let some = chosen(&made, &RowSet::from_rows(1001, (0..150).chain([1000])));
        assert_eq!(some, [vec![100, 50, 0, 0, 0, 0, 0, 0, 0, 0], vec![]]);
        // A selection of a longer table, before its columns were counted.
        assert_eq!(chosen(&made, &RowSet::from_rows(5000, [4000])).concat().iter().sum::<u32>(), 0);
    }
}
