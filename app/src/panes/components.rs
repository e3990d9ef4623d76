//! What the axes of a map stand for, and the way back from a place on it to a row.
//!
//! For methods that have a way back (PCA, autoencoder): the row that belongs to the place under the cursor (a walk through the latent
//! space), and for each axis what one standard deviation along it does to every column, sample or pixel; of PCA these are the
//! loadings, for spectra the eigen-spectra. A single row is decoded in well under a millisecond, so nothing waits in a thread.

use asterism_render::decimate::m4;
use asterism_session::axes::Axes;
use asterism_session::features::{self, FeatureKind};
use asterism_session::reduce::Method;
use asterism_session::{Dataset, Map};
use egui::{Align2, Color32, FontId, Mesh, Rect, RichText, ScrollArea, Sense, Stroke, Ui, pos2, vec2};
use serde::{Deserialize, Serialize};

use crate::cx::Cx;
use crate::theme::{BODY, SMALL, Theme};
use crate::widgets::text::elided;
use crate::widgets::{Cache, Work, format};

/// Axes that are shown at most.
const AXES: usize = 12;

/// Caches.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ComponentsPane {
    #[serde(skip)]
    axes: Cache<Work<(u32, u64), Option<Axes>>>,
}

/// How vectors are drawn.
enum Shape {
    /// Against wavelength or phase.
    Line(Vec<f64>, String),
    /// A square of pixels.
    Picture(usize),
    /// Columns by name.
    Bars(Vec<String>),
}

fn shape_of(dataset: &Dataset, map: &Map, dims: usize) -> Shape {
    if let Some((axis, label)) = features::axis(dataset, &map.features, dims) {
        return Shape::Line(axis, label);
    }
    let side = (dims as f64).sqrt().round() as usize;
    if matches!(map.features.of, FeatureKind::Images { .. }) && side * side == dims {
        return Shape::Picture(side);
    }
    let names = map.prepared.as_ref().map_or_else(Vec::new, |p| p.names.clone());
    if names.len() == dims && matches!(map.features.of, FeatureKind::Columns(_)) {
        Shape::Bars(names)
    } else {
        Shape::Line((0..dims).map(|i| i as f64).collect(), "sample".into())
    }
}

impl ComponentsPane {
    /// For the tab.
    pub fn title(&self, cx: &Cx<'_>) -> String {
        match cx.session.doc().dataset().and_then(|d| d.map()).map(|m| m.params.method) {
            Some(Method::Autoencoder) => "Latent axes".into(),
            _ => "Components".into(),
        }
    }

    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        if let Some(map) = cx.session.doc().dataset().and_then(|d| d.map()) {
            ui.label(RichText::new(&map.name).color(cx.theme.third));
        }
    }

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let what = "What the axes of a map stand for";
        let how = "PCA and the autoencoder have a way back from the map to a row: make such a map under Map at the left.";
        let Some(dataset) = cx.session.doc().dataset().cloned() else { return super::empty(ui, cx.theme, what, how) };
        let Some(map) = dataset.map().cloned() else { return super::empty(ui, cx.theme, what, how) };
        let key = (map.id, map.generation);
        let of = map.clone();
        self.axes.get(ui.ctx(), "components", key, move || Axes::of_map(&of, AXES));
        let Some(made) = self.axes.exact(&key) else { return };
        let Some(axes) = &*made else {
            let name = asterism_session::session::method_label(map.params.method);
            return super::empty(ui, cx.theme, &format!("{name} has no way back from the map to a row"), how);
        };
        let dims = axes.effects.first().map_or(0, Vec::len);
        let shape = shape_of(&dataset, &map, dims);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            egui::Frame::new().inner_margin(egui::Margin::symmetric(14, 10)).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 8.0;
                walk(ui, cx, &map, axes, &shape);
                let mut sum = 0.0;
                for (d, effect) in axes.effects.iter().enumerate() {
                    let share = axes.explained.get(d).copied().flatten();
                    sum += share.unwrap_or(0.0);
                    let name = if map.params.method == Method::Pca { "PC" } else { "axis" };
                    let second = share.map_or_else(String::new, |s| format!("{:.1} % of the variance", s * 100.0));
                    let third = share.map_or_else(String::new, |_| format!("{:.1} % together", sum * 100.0));
                    block(ui, cx.theme, [&format!("{name} {}", d + 1), &second, &third], share, &shape, effect, true);
                }
                if axes.middle.len() > axes.effects.len() {
                    ui.label(RichText::new(format!("and {} more", axes.middle.len() - axes.effects.len())).color(cx.theme.third));
                }
            });
        });
    }
}

/// The row that belongs to the place under the cursor.
fn walk(ui: &mut Ui, cx: &Cx<'_>, map: &Map, axes: &Axes, shape: &Shape) {
    let hover = cx.shared.hover.filter(|r| map.xy.get(*r as usize).is_some_and(|p| p[0].is_finite()));
    let (place, name) = match (cx.shared.map_at.filter(|(id, _)| *id == map.id), hover) {
        // Over a row all its coordinates are known; beside rows those that the map does not show stay in the middle.
        (_, Some(row)) => {
            let from = row as usize * map.coords.dims;
            (map.coords.values[from..from + map.coords.dims].to_vec(), "row under the cursor")
        }
        (Some((_, [x, y])), None) => {
            let mut place = axes.middle.clone();
            place.iter_mut().zip([x, y]).for_each(|(p, v)| *p = v as f32);
            (place, "place under the cursor")
        }
        (None, None) => (axes.middle.clone(), "middle of the map"),
    };
    let Some(row) = map.model.as_ref().and_then(|m| m.decode_one(&place)) else { return };
    let at: Vec<String> = place.iter().take(2).map(|v| format::minus(&format!("{v:.2}"))).collect();
    let values = match (&map.prepared, shape) {
        (Some(prepared), Shape::Line(..)) => features::in_units(prepared, &row),
        _ => row.iter().map(|v| f64::from(*v)).collect(),
    };
    block(ui, cx.theme, [name, &format!("at {}", at.join(", ")), ""], None, shape, &values, false);
    if let (Shape::Bars(names), Some(prepared)) = (shape, &map.prepared) {
        let real = features::in_units(prepared, &row);
        let name = |n: &str| n.trim_start_matches("log ").trim_start_matches("asinh ").to_owned();
        let text: Vec<String> = names.iter().zip(&real).map(|(n, v)| format!("{} {}", name(n), format::number(*v, 4))).collect();
        ui.add(egui::Label::new(RichText::new(text.join("   ")).color(cx.theme.second)).wrap());
    }
}

/// One vector with its name at the left; `signed` where 0 is in the middle.
fn block(ui: &mut Ui, theme: &Theme, text: [&str; 3], share: Option<f64>, shape: &Shape, values: &[f64], signed: bool) {
    const NAME: f32 = 150.0;
    let width = ui.available_width();
    let height = match shape {
        Shape::Bars(names) => (names.len().min(10) as f32 * 16.0 + 8.0).max(56.0),
        Shape::Line(..) => 92.0,
        Shape::Picture(_) => 104.0,
    };
    let (rect, mut response) = ui.allocate_exact_size(vec2(width, height), Sense::hover());
    if !signed {
        response = response.on_hover_text("The row that the map itself has for this place. Move over the map to walk through it");
    }
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, text.join(" ")));
    let painter = ui.painter_at(rect);
    let first = elided(ui, text[0], FontId::proportional(BODY), theme.text, NAME - 12.0);
    painter.galley(rect.min + vec2(0.0, 2.0), first, theme.text);
    for (i, line) in text[1..].iter().enumerate() {
        let galley = elided(ui, line, FontId::proportional(SMALL), theme.third, NAME - 12.0);
        painter.galley(rect.min + vec2(0.0, 21.0 + 16.0 * i as f32), galley, theme.third);
    }
    if let Some(share) = share {
        let ground = Rect::from_min_size(rect.min + vec2(0.0, height.min(92.0) - 10.0), vec2(NAME - 24.0, 4.0));
        painter.rect_filled(ground, 2.0, theme.hairline);
        let filled = Rect::from_min_size(ground.min, vec2(ground.width() * share.clamp(0.0, 1.0) as f32, 4.0));
        painter.rect_filled(filled, 2.0, theme.accent);
    }
    let plot = Rect::from_min_max(pos2(rect.left() + NAME, rect.top()), rect.max);
    match shape {
        Shape::Line(axis, label) => line(&painter, theme, plot, axis, label, values, signed),
        Shape::Picture(side) => picture(&painter, plot, *side, values, signed),
        Shape::Bars(names) => bars(ui, &painter, theme, plot, names, values),
    }
}

fn line(painter: &egui::Painter, theme: &Theme, rect: Rect, axis: &[f64], label: &str, values: &[f64], signed: bool) {
    let plot = Rect::from_min_max(rect.min, rect.max - vec2(0.0, 15.0));
    painter.rect_filled(plot, 3.0, theme.field);
    let ends = |v: &mut dyn Iterator<Item = f64>| {
        v.filter(|v| v.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)))
    };
    let (x0, x1) = ends(&mut axis.iter().copied());
    let (mut y0, mut y1) = ends(&mut values.iter().copied());
    if signed {
        (y0, y1) = (y0.min(0.0), y1.max(0.0));
    }
    if !(x1 > x0 && y0.is_finite()) {
        return;
    }
    let pad = ((y1 - y0) * 0.06).max(f64::MIN_POSITIVE);
    (y0, y1) = (y0 - pad, y1 + pad);
    let at = |p: [f64; 2]| {
        let (u, v) = ((p[0] - x0) / (x1 - x0), (p[1] - y0) / (y1 - y0));
        pos2(plot.left() + u as f32 * plot.width(), plot.bottom() - v as f32 * plot.height())
    };
    if signed {
        painter.hline(plot.x_range(), at([x0, 0.0]).y, Stroke::new(1.0, theme.hairline));
    }
    let thin = m4(axis, values, x0, x1, (plot.width() * painter.pixels_per_point()).max(1.0) as u32);
    let colour = if signed { theme.accent } else { theme.text };
    for part in thin.split(|p| !(p[0].is_finite() && p[1].is_finite())).filter(|p| p.len() > 1) {
        painter.line(part.iter().map(|p| at(*p)).collect(), Stroke::new(1.2, colour));
    }
    let font = FontId::proportional(SMALL);
    let foot = |x: f32, align, text: String| {
        painter.text(pos2(x, plot.bottom() + 1.0), align, text, font.clone(), theme.third);
    };
    foot(plot.left(), Align2::LEFT_TOP, format::number(x0, 4));
    foot(plot.center().x, Align2::CENTER_TOP, format::unit(label));
    foot(plot.right(), Align2::RIGHT_TOP, format::number(x1, 4));
}

fn picture(painter: &egui::Painter, rect: Rect, side: usize, values: &[f64], signed: bool) {
    let size = rect.height() - 4.0;
    let cell = size / side as f32;
    let most = values.iter().filter(|v| v.is_finite()).fold(0.0f64, |m, v| m.max(v.abs())).max(f64::MIN_POSITIVE);
    let mut mesh = Mesh::default();
    for (i, v) in values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
        // Row 0 of the pixels lies at the bottom, as on the sky.
        let (x, y) = ((i % side) as f32, (side - 1 - i / side) as f32);
        let grey = if signed { 0.5 + 0.5 * v / most } else { (v / most).max(0.0).sqrt() };
        let colour = Color32::from_gray((grey.clamp(0.0, 1.0) * 255.0) as u8);
        let min = rect.min + vec2(x * cell, y * cell + 2.0);
        mesh.add_colored_rect(Rect::from_min_size(min, vec2(cell + 0.3, cell + 0.3)), colour);
    }
    painter.add(mesh);
}

/// The ten columns that matter most.
fn bars(ui: &Ui, painter: &egui::Painter, theme: &Theme, rect: Rect, names: &[String], values: &[f64]) {
    let mut order: Vec<usize> = (0..names.len().min(values.len())).collect();
    order.sort_by(|a, b| values[*b].abs().total_cmp(&values[*a].abs()));
    let most = order.first().map_or(1.0, |i| values[*i].abs()).max(f64::MIN_POSITIVE);
    let name_width = (rect.width() * 0.34).clamp(60.0, 170.0);
    let zero = rect.left() + name_width + (rect.width() - name_width - 56.0) / 2.0;
    let half = ((rect.width() - name_width - 56.0) / 2.0).max(8.0);
    painter.vline(zero, rect.top()..=rect.bottom() - 6.0, Stroke::new(1.0, theme.hairline));
    for (line, i) in order.into_iter().take(10).enumerate() {
        let y = rect.top() + 10.0 + 16.0 * line as f32;
        let name = elided(ui, &names[i], FontId::proportional(SMALL), theme.second, name_width - 8.0);
        painter.galley(pos2(rect.left(), y - name.size().y / 2.0), name, theme.second);
        let end = zero + half * (values[i] / most) as f32;
        let bar = Rect::from_min_max(pos2(zero.min(end), y - 4.0), pos2(zero.max(end), y + 4.0));
        painter.rect_filled(bar, 1.0, if values[i] < 0.0 { theme.selected } else { theme.accent });
        let text = format::minus(&format!("{:+.2}", values[i]));
        painter.text(pos2(rect.right(), y), Align2::RIGHT_CENTER, text, FontId::proportional(SMALL), theme.third);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use asterism_session::reduce::{Params, Quiet, Scale};
    use asterism_session::{Ask, FeatureColumn, Features, ledger, session};

    #[test]
    fn axes_of_a_pca_are_its_loadings() {
        let n = 200;
        let t = |i: usize| i as f64 / n as f64 - 0.5;
        let mut table = asterism_data::Table::default();
        table.with_f64_column("a", (0..n).map(|i| 3.0 * t(i)).collect(), Default::default()).unwrap();
        table.with_f64_column("b", (0..n).map(|i| -4.0 * t(i) + 7.0).collect(), Default::default()).unwrap();
        let ask = Ask::file("t.csv");
        let dataset = ledger::probe(&ask, table, None, Vec::new());
        let columns = ["a", "b"].map(FeatureColumn::plain);
        let features = Features { of: FeatureKind::Columns(columns.to_vec()), scale: Scale::None, ..Features::default() };
        let params = Params { method: Method::Pca, ..Default::default() };
        let map = session::compute_map(&dataset, &features, &params, 1, "m".into(), &Quiet).unwrap();
        let axes = Axes::of_map(&map, AXES).unwrap();
        // One standard deviation along the first axis is one of each column; b is the larger and made positive.
        let std = (1.0f64 / 12.0).sqrt();
        assert!((axes.effects[0][0] + 3.0 * std).abs() < 1e-3 && (axes.effects[0][1] - 4.0 * std).abs() < 1e-3);
        assert!((axes.explained[0].unwrap() - 1.0).abs() < 1e-4);
        assert!(axes.effects[1].iter().all(|e| e.abs() < 1e-3));
        // t-SNE has no way back.
        let params = Params { method: Method::Tsne, iterations: 50, ..Default::default() };
        let map = session::compute_map(&dataset, &features, &params, 1, "m".into(), &Quiet).unwrap();
        assert!(Axes::of_map(&map, AXES).is_none());
    }
}
