//! What else explains the map: columns that it was not made of, those first that tell most of where a row lies.
//!
//! A map that follows the night, the plate or the noise shows the instrument and not the sky. The sums are made in a named
//! thread for each map and set of subsets.

use std::sync::Arc;

use asterism_session::explain::{Explained, explain};
use asterism_session::reduce::Quiet;
use egui::{Align2, FontId, Rect, RichText, ScrollArea, Sense, Stroke, Ui, pos2, vec2};
use serde::{Deserialize, Serialize};

use super::rows::DataKey;
use crate::cx::Cx;
use crate::theme::{BODY, ROW_HEIGHT, SMALL};
use crate::widgets::text::elided;
use crate::widgets::{Cache, Work};

/// From this share on a column is worth a look.
const WORTH: f64 = 0.1;

/// Caches.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExplainPane {
    #[serde(skip)]
    found: Cache<Work<Key, Result<Vec<Explained>, String>>>,
}

#[derive(Clone, Copy, PartialEq)]
struct Key {
    data: DataKey,
    map: (u32, u64),
    subsets: u64,
}

impl ExplainPane {
    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        if let Some(map) = cx.session.doc().dataset().and_then(|d| d.map()) {
            ui.label(RichText::new(&map.name).color(cx.theme.third));
        }
    }

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let what = "What else explains the map";
        let Some(dataset) = cx.session.doc().dataset().cloned() else {
            return super::empty(ui, cx.theme, what, "Search, and make a map first.");
        };
        let Some(map) = dataset.map().cloned() else {
            let how = "Columns that the map was not made of and that yet tell where a row lies. Make a map first.";
            return super::empty(ui, cx.theme, what, how);
        };
        let key = Key { data: DataKey::of(&dataset), map: (map.id, map.generation), subsets: subsets_key(&dataset) };
        let (of, on) = (dataset.clone(), map.clone());
        self.found.get(ui.ctx(), "explain", key, move || explain(&of, &on, &Quiet).map_err(|e| e.to_string()));
        let found = self.found.newest_for(|k| k.data.id == key.data.id && k.map.0 == key.map.0);
        match found.as_deref() {
            Some(Ok(found)) => list(ui, cx, found),
            Some(Err(why)) => super::empty(ui, cx.theme, "Nothing to tell", why),
            None => super::empty(ui, cx.theme, "Comparing columns with the map", ""),
        }
    }
}

fn subsets_key(dataset: &asterism_session::Dataset) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hash = DefaultHasher::new();
    for s in dataset.subsets.iter().filter(|s| s.visible) {
        (s.id, Arc::as_ptr(&s.rows) as usize).hash(&mut hash);
    }
    hash.finish()
}

fn list(ui: &mut Ui, cx: &mut Cx<'_>, found: &[Explained]) {
    let theme = cx.theme;
    let heads = head_names(found);
    egui::Frame::new().inner_margin(egui::Margin::symmetric(14, 10)).show(ui, |ui| {
        let worth = found.iter().filter(|e| e.most() >= WORTH).count();
        let said = match worth {
            0 => "No column that was left out tells more of this map than chance would.".to_owned(),
            n => format!(
                "{n} column{} that the map was not made of tell{} where a row lies. A night, a plate or a noise here means an artefact.",
                if n == 1 { "" } else { "s" },
                if n == 1 { "s" } else { "" }
            ),
        };
        ui.add(egui::Label::new(RichText::new(said).color(theme.second)).wrap());
        ui.add_space(6.0);
        let width = ui.available_width();
        let name_width = (width * 0.34).clamp(90.0, 240.0);
        let bar_width = ((width - name_width) / heads.len() as f32).min(220.0);
        let (rect, _) = ui.allocate_exact_size(vec2(width, 18.0), Sense::hover());
        for (i, head) in heads.iter().enumerate() {
            let x = rect.left() + name_width + bar_width * i as f32;
            let font = FontId::proportional(SMALL);
            ui.painter().text(pos2(x, rect.center().y), Align2::LEFT_CENTER, head, font, theme.third);
        }
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for e in found {
                line(ui, cx, e, name_width, bar_width);
            }
        });
    });
}

fn head_names(found: &[Explained]) -> Vec<String> {
    let axes = found.first().map_or(0, |e| e.axes.len());
    let subsets = found.iter().any(|e| e.subsets.is_some());
    (1..=axes).map(|a| format!("axis {a}")).chain(subsets.then(|| "subsets".to_owned())).collect()
}

fn line(ui: &mut Ui, cx: &mut Cx<'_>, e: &Explained, name_width: f32, bar_width: f32) {
    let theme = cx.theme;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW_HEIGHT), Sense::click());
    let percent = |s: f64| format!("{:.0} %", s * 100.0);
    let words = e.axes.iter().enumerate().map(|(i, s)| format!("axis {} {}", i + 1, percent(*s)));
    let words: Vec<String> = words.chain(e.subsets.map(|s| format!("subsets {}", percent(s)))).collect();
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Colour the map by {}: {}", e.column, words.join(", ")))
    });
    if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect.expand2(vec2(6.0, 0.0)), 4.0, theme.hovered);
    }
    let y = rect.center().y;
    let colour = if e.most() >= WORTH { theme.text } else { theme.third };
    let font = FontId::proportional(BODY);
    let name = elided(ui, &e.column, font, colour, name_width - 12.0);
    ui.painter().galley(pos2(rect.left(), y - name.size().y / 2.0), name, colour);
    for (i, share) in e.axes.iter().copied().chain(e.subsets).enumerate() {
        let left = rect.left() + name_width + bar_width * i as f32;
        let room = bar_width - 64.0;
        let ground = Rect::from_min_size(pos2(left, y - 3.0), vec2(room.max(8.0), 6.0));
        ui.painter().rect_filled(ground, 3.0, theme.hairline);
        let filled = Rect::from_min_size(ground.min, vec2(ground.width() * share.clamp(0.0, 1.0) as f32, 6.0));
        let fill = if share >= WORTH { theme.accent } else { theme.context };
        ui.painter().rect_filled(filled, 3.0, fill);
        let at = pos2(ground.right() + 8.0, y);
        ui.painter().text(at, Align2::LEFT_CENTER, percent(share), FontId::proportional(SMALL), theme.second);
    }
    ui.painter().hline(rect.x_range(), rect.bottom(), Stroke::new(1.0, theme.hairline));
    let help = "Share of the uncertainty about the place of a row that knowing this column takes away, beyond what shuffled rows give \
                (mutual information over bins). A click colours the map by it.";
    if response.on_hover_text(help).clicked() {
        cx.shared.colour_by = Some(e.column.clone());
    }
}
