//! Colours of a scatter by a column: classes or a ramp, made off the frame, and the legend.

use std::sync::Arc;

use asterism_render::colour::{self, Lut};
use asterism_session::{Dataset, Document, Map, select};
use egui::{Color32, FontId, Rect, Sense, Ui, pos2, vec2};

use super::ScatterPane;
use crate::cx::Cx;
use crate::gpu::OwnColours;
use crate::panes::rows::{self, DataKey, RowLook, next_key};
use crate::theme::SMALL;
use crate::widgets::{Frame, axes, format};

/// Colours of rows by a column, and how they are told.
pub(super) struct ByColumn {
    pub own: OwnColours,
    pub legend: ColourLegend,
}

#[derive(Clone)]
pub(super) enum ColourLegend {
    Ramp { low: f64, high: f64, missing: usize },
    Classes(Vec<(String, Color32, usize)>),
}

impl ScatterPane {
    pub(super) fn colours(&mut self, ui: &Ui, cx: &Cx<'_>, dataset: &Arc<Dataset>) -> Option<Arc<ByColumn>> {
        if self.colour.is_empty() {
            return None;
        }
        let (of, column, lut) = (dataset.clone(), self.colour.clone(), self.lut.clone());
        let map = self.map_of_column(dataset, &column);
        let key = (DataKey::of(dataset), column.clone(), lut.clone(), map.as_ref().map_or(0, |m| m.generation));
        let id = key.0.id;
        self.state.colours.get(ui.ctx(), "scatter-colours", key, move || {
            let is_text = of.table.column_index(&column).is_some_and(|i| !of.table.is_numeric(i));
            match (&map, is_text) {
                (None, true) => classes(&of, &column).map(Arc::new),
                _ => values_of(&of, map.as_deref(), &column).map(|values| Arc::new(ramp(&values, &lut))),
            }
        });
        let made = self.state.colours.newest_for(|k| k.0.id == id)?;
        match &*made {
            Ok(by) => Some(by.clone()),
            Err(why) => {
                super::say_below(ui, cx, why);
                None
            }
        }
    }

    /// How well the map in this view tells the classes apart that it is coloured by, in words; `None` until a thread has told.
    pub(super) fn told(&mut self, ui: &Ui, dataset: &Arc<Dataset>) -> Option<String> {
        let map = self.map(dataset).filter(|m| m.xy.len() == dataset.table.rows()).cloned()?;
        let (of, column) = (dataset.clone(), self.colour.clone());
        let key = (DataKey::of(dataset), column.clone(), map.id, map.generation);
        let judge = move || asterism_session::explain::label_accuracy(&of, &map, &column, &asterism_session::reduce::Quiet).ok();
        self.state.told.get(ui.ctx(), "label-accuracy", key.clone(), judge);
        let labels = (*self.state.told.exact(&key)?)?;
        let per_cent = |v: f64| format!("{:.0} %", v * 100.0);
        Some(format!("{} lie among their own ({} by chance)", per_cent(labels.accuracy), per_cent(labels.chance)))
    }

    /// The map, where this column is one of its own and none of the table's.
    pub(super) fn map_of_column(&self, dataset: &Dataset, column: &str) -> Option<Arc<Map>> {
        let own = |m: &&Arc<Map>| dataset.table.column_index(column).is_none() && own_columns(m).iter().any(|c| c == column);
        self.map(dataset).filter(own).cloned()
    }
}

/// 1st and 99th percentile: one wild value must not take all the colours.
pub(super) fn ends(values: &[f64]) -> (f64, f64) {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    if finite.is_empty() {
        return (0.0, 1.0);
    }
    let last = finite.len() - 1;
    let mut at = |q: f64| {
        let i = (last as f64 * q).round() as usize;
        *finite.select_nth_unstable_by(i, f64::total_cmp).1
    };
    let (low, high) = (at(0.01), at(0.99));
    if low < high { (low, high) } else { (at(0.0), at(1.0)) }
}

/// Words as classes, the commonest first.
fn classes(dataset: &Dataset, column: &str) -> Result<ByColumn, String> {
    let table = &dataset.table;
    let values = table.strings(column).map_err(|e| e.to_string())?;
    let mut counts: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    for v in values.iter().flatten() {
        *counts.entry(v.as_str()).or_default() += 1;
    }
    let mut classes: Vec<(&str, usize)> = counts.into_iter().collect();
    classes.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    classes.truncate(256);
    let packed: std::collections::HashMap<&str, u32> =
        classes.iter().enumerate().map(|(i, (name, _))| (*name, rows::pack(rows::colour_of(colour::categorical(i))))).collect();
    let rgba = values.iter().map(|v| v.as_deref().and_then(|v| packed.get(v)).copied().unwrap_or(0)).collect();
    let legend =
        classes.iter().enumerate().map(|(i, (n, c))| ((*n).to_owned(), rows::colour_of(colour::categorical(i)), *c)).collect();
    Ok(ByColumn { own: OwnColours { rgba: Arc::new(rgba), key: next_key() }, legend: ColourLegend::Classes(legend) })
}

/// A number a row: of a column or expression, or of what the map says of its rows.
///
/// # Errors
/// A sentence for a person, when the column cannot be read as numbers.
pub(super) fn values_of(dataset: &Dataset, map: Option<&Map>, column: &str) -> Result<Vec<f64>, String> {
    match map {
        Some(map) if column == SPREAD => asterism_session::session::place_spread(dataset, map).map_err(|e| e.to_string()),
        Some(map) => {
            let of_map = asterism_session::export::map_columns(map).into_iter().find(|(name, ..)| *name == column);
            Ok(of_map.map_or_else(Vec::new, |(_, v, _)| v.into_iter().map(f64::from).collect()))
        }
        None => select::column_or_expression(dataset, column).map_err(|e| e.to_string()),
    }
}

/// How sure the places on a variational map are.
const SPREAD: &str = "place_spread";

/// What a map says of each of its rows and what can colour them: how far its place may be trusted, how badly it is reconstructed.
pub(crate) fn own_columns(map: &Map) -> Vec<String> {
    let mut names = Vec::new();
    if map.quality.as_ref().is_some_and(|q| !q.row_trust.is_empty()) {
        names.push("trust".to_owned());
    }
    if map.row_error.is_some() {
        names.push("reconstruction_error".to_owned());
    }
    if map.params.variational && map.params.method == asterism_session::reduce::Method::Autoencoder && map.model.is_some() {
        names.push(SPREAD.to_owned());
    }
    names
}

fn ramp(values: &[f64], lut: &str) -> ByColumn {
    let (low, high) = ends(values);
    let lut = Lut::from_name(lut).unwrap_or(Lut::Viridis);
    let rgba = colour::pack_values(lut, values, low, high);
    let missing = values.iter().filter(|v| !v.is_finite()).count();
    ByColumn { own: OwnColours { rgba: Arc::new(rgba), key: next_key() }, legend: ColourLegend::Ramp { low, high, missing } }
}

#[expect(clippy::too_many_arguments, reason = "one call, and each is a different thing")]
pub(super) fn legend(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    frame: &Frame,
    look: &RowLook,
    doc: &Document,
    own: Option<&ByColumn>,
    column: &str,
    lut: &str,
    more: Vec<String>,
) {
    let painter = ui.painter_at(frame.rect);
    let font = FontId::proportional(SMALL);
    let mut y = frame.rect.top() + 6.0;
    let x = frame.rect.left() + 10.0;
    let ground = cx.theme.pane.gamma_multiply(0.8);
    let mut line = |dot: Option<Color32>, text: String, subset: Option<u32>, commands: &mut Vec<asterism_session::Command>| {
        let galley = painter.layout_no_wrap(text.clone(), font.clone(), cx.theme.second);
        let rect = Rect::from_min_size(pos2(x - 6.0, y), vec2(galley.size().x + 26.0, 18.0));
        painter.rect_filled(rect, 3.0, ground);
        if let Some(dot) = dot {
            painter.circle_filled(pos2(x + 2.0, y + 9.0), 4.0, dot);
        }
        painter.galley(pos2(x + 12.0, y + 9.0 - galley.size().y / 2.0), galley, cx.theme.second);
        if let Some(id) = subset {
            let response =
                ui.interact(rect, ui.scope_id().with(("legend", id)), Sense::click()).on_hover_text("Select this subset");
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Select {text}")));
            if response.clicked() {
                commands.push(asterism_session::Command::SelectSubset { id, mode: None });
            }
        }
        y += 18.0;
    };
    match own.map(|o| &o.legend) {
        None => {
            for entry in look.legend.iter().take(14) {
                let text = format!("{} {} / {}", entry.name, format::count(entry.lit), format::count(entry.total));
                line(Some(entry.colour), text, entry.subset, cx.commands);
            }
            if look.legend.len() > 14 {
                line(None, format!("and {} more", look.legend.len() - 14), None, cx.commands);
            }
        }
        Some(ColourLegend::Classes(classes)) => {
            for (name, colour, count) in classes.iter().take(10) {
                line(Some(*colour), format!("{name} {}", format::count(*count)), None, cx.commands);
            }
            if classes.len() > 10 {
                line(None, format!("and {} more classes", classes.len() - 10), None, cx.commands);
            }
        }
        Some(ColourLegend::Ramp { missing, .. }) => {
            if look.selected > 0 {
                let total = doc.dataset().map_or(0, |d| d.table.rows());
                line(None, format!("selected {} / {}", format::count(look.selected), format::count(total)), None, cx.commands);
            }
            if *missing > 0 {
                line(Some(cx.theme.context), format!("{} without {column}", format::rows(*missing)), None, cx.commands);
            }
        }
    }
    more.into_iter().for_each(|text| line(None, text, None, cx.commands));
    if let Some(ColourLegend::Ramp { low, high, .. }) = own.map(|o| &o.legend) {
        colour_bar(ui, cx, frame.rect, &with_unit(cx, column), lut, *low, *high);
    }
}

/// A column of the table in front with its unit.
pub(super) fn with_unit(cx: &Cx<'_>, column: &str) -> String {
    let unit = cx.session.doc().dataset().and_then(|d| {
        let meta = d.table.columns().get(d.table.column_index(column)?)?;
        meta.unit.clone().filter(|u| !u.is_empty())
    });
    unit.map_or_else(|| column.to_owned(), |u| format!("{column} ({})", format::unit(&u)))
}

/// A bar of the colours with its ticks, at the right edge.
pub(super) fn colour_bar(ui: &Ui, cx: &Cx<'_>, rect: Rect, column: &str, lut: &str, low: f64, high: f64) {
    let painter = ui.painter_at(rect);
    let height = (rect.height() * 0.5).min(160.0);
    let bar = Rect::from_min_size(pos2(rect.right() - 20.0, rect.top() + 24.0), vec2(10.0, height));
    let font = FontId::proportional(SMALL);
    let word = |text: String| painter.layout_no_wrap(text, font.clone(), cx.theme.second);
    let (ticks, step) = axes::ticks([low, high], 4);
    let labels: Vec<(f64, std::sync::Arc<egui::Galley>)> = ticks.iter().map(|v| (*v, word(axes::tick_label(*v, step)))).collect();
    let title = word(column.to_owned());
    let title_at = Rect::from_min_size(pos2(bar.right() - title.size().x, bar.top() - 8.0 - title.size().y), title.size());
    // A ground, as cells and crowds are as bright as the letters.
    let widest = labels.iter().map(|(_, l)| l.size().x + 6.0).fold(0.0, f32::max);
    let ground = Rect::from_min_max(pos2(bar.left() - widest, bar.top()), bar.max).expand2(vec2(4.0, 4.0));
    for ground in [title_at.expand2(vec2(4.0, 2.0)), ground] {
        painter.rect_filled(ground, 3.0, cx.theme.pane.gamma_multiply(0.8));
    }
    let lut = Lut::from_name(lut).unwrap_or(Lut::Viridis);
    let mut mesh = egui::Mesh::default();
    for i in 0..=32u32 {
        let t = f64::from(i) / 32.0;
        let [r, g, b, _] = colour::sample(lut, t);
        let y = bar.bottom() - bar.height() * t as f32;
        mesh.colored_vertex(pos2(bar.left(), y), Color32::from_rgb(r, g, b));
        mesh.colored_vertex(pos2(bar.right(), y), Color32::from_rgb(r, g, b));
        if i > 0 {
            let n = i * 2;
            mesh.add_triangle(n - 2, n - 1, n);
            mesh.add_triangle(n - 1, n, n + 1);
        }
    }
    painter.add(mesh);
    for (v, label) in labels {
        let y = bar.bottom() - bar.height() * ((v - low) / (high - low)) as f32;
        painter.galley(pos2(bar.left() - 6.0 - label.size().x, y - label.size().y / 2.0), label, cx.theme.second);
    }
    painter.galley(title_at.min, title, cx.theme.second);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_value_does_not_take_all_the_colours() {
        let mut values: Vec<f64> = (0..1000).map(f64::from).collect();
        values.push(1e12);
        values.push(f64::NAN);
        let (low, high) = ends(&values);
        assert!(low < 20.0 && (980.0..1000.0).contains(&high));
        assert_eq!(ends(&[]), (0.0, 1.0));
    }
}
