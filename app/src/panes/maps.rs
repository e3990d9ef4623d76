//! The maps made so far, side by side: a small picture of each with its method, parameters and figures. The rail's list of maps says
//! the same of each.

use std::sync::Arc;

use asterism_session::reduce::Method;
use asterism_session::{Command, Map};
use egui::{Align2, Color32, FontId, Mesh, Rect, ScrollArea, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};
use serde::{Deserialize, Serialize};

use super::rows::{self, RowLook};
use crate::cx::Cx;
use crate::theme::{self, SMALL, Theme};
use crate::widgets::text::elided;
use crate::widgets::{Cache, Range2, Work, format};

/// Rows of a picture at most.
const MARKS: usize = 3_000;
const CARD: egui::Vec2 = vec2(208.0, 226.0);

/// Caches.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MapsPane {
    #[serde(skip)]
    pictures: Cache<Vec<Picture>>,
}

/// Marks in a unit square, y downwards, with their colours.
type Marks = Vec<([f32; 2], Color32)>;

struct Picture {
    map: u32,
    /// By generation of the map and key of the colours.
    marks: Work<(u64, u64), Marks>,
}

impl MapsPane {
    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let count = cx.session.doc().dataset().map_or(0, |d| d.maps.len());
        ui.label(egui::RichText::new(format!("{count} map{}", if count == 1 { "" } else { "s" })).color(cx.theme.third));
    }

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let doc = cx.session.doc();
        let Some(dataset) = doc.dataset().cloned().filter(|d| !d.maps.is_empty()) else {
            let how = "Every map that is made under Map at the left stays here with its figures, to be compared.";
            return super::empty(ui, cx.theme, "No maps yet", how);
        };
        let Some(look) = rows::look(ui.ctx(), doc, cx.theme) else { return };
        self.pictures.retain(|p| dataset.maps.iter().any(|m| m.id == p.map));
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            egui::Frame::new().inner_margin(12.0).show(ui, |ui| {
                ui.horizontal_wrapped(|ui| {
                    ui.spacing_mut().item_spacing = vec2(10.0, 10.0);
                    for map in &dataset.maps {
                        let marks = self.picture(ui, cx, map, &look);
                        card(ui, cx, map, dataset.current_map == Some(map.id), &marks);
                    }
                });
            });
        });
    }

    fn picture(&mut self, ui: &Ui, cx: &Cx<'_>, map: &Arc<Map>, look: &Arc<RowLook>) -> Arc<Marks> {
        let at = self.pictures.iter().position(|p| p.map == map.id).unwrap_or_else(|| {
            self.pictures.push(Picture { map: map.id, marks: Work::default() });
            self.pictures.len() - 1
        });
        let (of, colours, context) = (map.clone(), look.clone(), look.context(cx.theme));
        let key = (map.generation, look.key);
        self.pictures[at].marks.get(ui.ctx(), "small maps", key, move || marks_of(&of, &colours, context)).unwrap_or_default()
    }
}

fn marks_of(map: &Map, look: &RowLook, context: Color32) -> Marks {
    let home = Range2::of_points(map.xy.iter().map(|p| p.map(f64::from)));
    let step = map.xy.len().div_ceil(MARKS).max(1);
    let place = |(row, p): (usize, &[f32; 2])| {
        let unit = |v: f32, ends: [f64; 2]| ((f64::from(v) - ends[0]) / (ends[1] - ends[0]).max(f64::MIN_POSITIVE)) as f32;
        let at = [unit(p[0], home.x), 1.0 - unit(p[1], home.y)];
        at.iter().all(|v| v.is_finite()).then(|| (at, look.colour(row).unwrap_or(context)))
    };
    let mut marks: Marks = map.xy.iter().enumerate().step_by(step).filter_map(place).collect();
    // What is lit lies on top.
    marks.sort_by_key(|(_, c)| *c != context);
    marks
}

fn card(ui: &mut Ui, cx: &mut Cx<'_>, map: &Map, front: bool, marks: &[([f32; 2], Color32)]) {
    let theme = cx.theme;
    let (rect, response) = ui.allocate_exact_size(CARD, Sense::click());
    response.widget_info(|| WidgetInfo::selected(egui::Role::Button, true, front, format!("Map {}", map.name)));
    if !ui.is_rect_visible(rect) {
        return;
    }
    let edge = match (front, response.hovered() || response.has_focus()) {
        (true, _) => theme.accent,
        (false, true) => theme.third,
        (false, false) => theme.hairline,
    };
    ui.painter().rect(rect, 6.0, theme.frame, Stroke::new(1.0, edge), egui::StrokeKind::Inside);
    let square = Rect::from_min_size(rect.min + vec2(10.0, 10.0), vec2(CARD.x - 20.0, 140.0));
    ui.painter().rect_filled(square, 4.0, theme.pane);
    let inner = square.shrink(6.0);
    let mut mesh = Mesh::default();
    for ([x, y], colour) in marks {
        let at = pos2(inner.left() + x * inner.width(), inner.top() + y * inner.height());
        mesh.add_colored_rect(Rect::from_center_size(at, vec2(1.6, 1.6)), *colour);
    }
    ui.painter().add(mesh);
    let left = square.left();
    let name = elided(ui, &map.name, theme::semibold(theme::BODY), theme.text, square.width());
    ui.painter().galley(pos2(left, square.bottom() + 8.0), name, theme.text);
    let made = if map.complete { how(map) } else { format!("{}, stopped", how(map)) };
    let trust = map.quality.as_ref().map(|q| format!("trust {:.3} · recall {:.2}", q.trustworthiness_15, q.recall_10));
    let seconds: f64 = map.seconds.values().sum();
    let second = [made, figure(map)].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(" · ");
    let third = [trust, (seconds > 0.0).then(|| format::seconds(seconds))].into_iter().flatten().collect::<Vec<_>>().join(" · ");
    for (i, text) in [second, third].into_iter().enumerate() {
        let galley = elided(ui, &text, FontId::proportional(SMALL), theme.second, square.width());
        ui.painter().galley(pos2(left, square.bottom() + 28.0 + 17.0 * i as f32), galley, theme.second);
    }
    if front {
        let at = square.right_top() + vec2(-6.0, 6.0);
        ui.painter().text(at, Align2::RIGHT_TOP, "in front", FontId::proportional(SMALL), theme.accent);
    }
    if response.on_hover_ui(|ui| about(ui, theme, map)).clicked() {
        cx.commands.push(Command::ShowMap { id: map.id });
    }
}

/// What it was made with, shortly.
pub fn how(map: &Map) -> String {
    match map.params.method {
        Method::Tsne => format!("perplexity {}", map.params.perplexity),
        Method::Pca => format!("{} of {}", 2.min(map.coords.dims), map.coords.dims),
        Method::Autoencoder => format!("{} latent", map.coords.dims),
        Method::Umap | Method::Pacmap if map.params.neighbours > 0 => format!("{} neighbours", map.params.neighbours),
        Method::Umap | Method::Pacmap => format!("seed {}", map.params.seed),
    }
}

/// The figure that tells how good it is, by its method.
pub fn figure(map: &Map) -> String {
    let get = |names: &[&str]| names.iter().find_map(|n| map.figures.get(*n)).copied();
    let text = match map.params.method {
        Method::Tsne => get(&["kl"]).map(|v| format!("KL {v:.3}")),
        Method::Pca => {
            get(&["explained", "explained_variance"]).map(|v| format!("{:.0} %", if v <= 1.0 { v * 100.0 } else { v }))
        }
        Method::Umap | Method::Pacmap => map.quality.as_ref().map(|q| format!("trust {:.2}", q.trustworthiness_15)),
        Method::Autoencoder => get(&["held_out", "reconstruction_error", "loss"]).map(|v| format!("err {}", format::figure(v))),
    };
    text.unwrap_or_default()
}

/// What a map was made with and what is known of it, for a tip.
pub fn about(ui: &mut Ui, theme: &Theme, map: &Map) {
    ui.label(egui::RichText::new(&map.name).font(theme::semibold(theme::BODY)));
    ui.label(asterism_session::recipe::params_text(&map.params));
    for (name, value) in &map.figures {
        ui.label(egui::RichText::new(format!("{name} {}", format::figure(*value))).color(theme.second));
    }
    if let Some(q) = &map.quality {
        ui.label(format!("Trust: {:.0} % of each row's 10 nearest rows are still its nearest on the map", q.recall_10 * 100.0));
        ui.label(
            egui::RichText::new(format!(
                "trustworthiness {:.3}, continuity {:.3}, triplets {:.3}",
                q.trustworthiness_15, q.continuity_15, q.triplets
            ))
            .color(theme.second),
        );
    }
    let total: f64 = map.seconds.values().sum();
    if total > 0.0 {
        ui.label(
            egui::RichText::new(format!("{} rows in {}", format::count(map.fitted), format::seconds(total))).color(theme.third),
        );
    }
    if matches!(map.params.method, Method::Tsne | Method::Umap) {
        ui.label(
            egui::RichText::new("On a map of neighbours, distances between islands and the size of an island say little.")
                .color(theme.third),
        );
    }
}
