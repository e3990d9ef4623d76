//! The palette: any command by a few of its letters.

use egui::{Align2, Key, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use crate::theme;

use super::App;
use super::actions::{Entry, key_text};

/// What the palette remembers while it is open.
#[derive(Default)]
pub struct State {
    /// Whether it is shown.
    pub open: bool,
    text: String,
    at: usize,
}

impl State {
    /// Open it, empty.
    pub fn show(&mut self) {
        *self = Self { open: true, ..Self::default() };
    }
}

/// How well `query` is found in `name`: `None` when its letters are not there in order. Beginnings
/// of words and letters that follow each other count for more.
pub fn score(query: &str, name: &str) -> Option<i32> {
    // Jumping ahead to the beginning of a word may leave a later letter without a place.
    walk(query, name, true).max(walk(query, name, false))
}

fn walk(query: &str, name: &str, jump: bool) -> Option<i32> {
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let mut at = 0;
    let mut total = 0;
    let mut last = None;
    for c in query.to_lowercase().chars().filter(|c| !c.is_whitespace()) {
        // A letter at the beginning of a word, if there is one ahead, else the next one.
        let starts = |i: usize| i == 0 || !name[i - 1].is_alphanumeric();
        let next = (at..name.len()).find(|i| name[*i] == c)?;
        let follows = last.is_some_and(|l: usize| l + 1 == next);
        let pick = if follows || !jump { next } else { (at..name.len()).find(|i| name[*i] == c && starts(*i)).unwrap_or(next) };
        total += if follows {
            8
        } else if starts(pick) {
            6
        } else {
            1
        };
        total -= (pick - at).min(6) as i32 / 2;
        last = Some(pick);
        at = pick + 1;
    }
    Some(total * 4 - name.len() as i32 / 8)
}

/// Show it when it is open.
pub fn show(app: &mut App, ui: &mut Ui) {
    if !app.palette.open {
        return;
    }
    let theme = app.theme.clone();
    let entries = super::actions::entries(app);
    let query = app.palette.text.clone();
    let mut found: Vec<(&Entry, i32)> =
        entries.iter().filter_map(|e| score(&query, &format!("{} {}", e.name, e.menu)).map(|s| (e, s))).collect();
    if !query.trim().is_empty() {
        found.sort_by_key(|(e, s)| (!e.enabled, -s));
    }
    let (up, down, enter, escape) = ui.input_mut(|i| {
        (
            i.consume_key(egui::Modifiers::NONE, Key::ArrowUp),
            i.consume_key(egui::Modifiers::NONE, Key::ArrowDown),
            i.consume_key(egui::Modifiers::NONE, Key::Enter),
            i.consume_key(egui::Modifiers::NONE, Key::Escape),
        )
    });
    let count = found.len();
    if down && count > 0 {
        app.palette.at = (app.palette.at + 1) % count;
    }
    if up && count > 0 {
        app.palette.at = (app.palette.at + count - 1) % count;
    }
    app.palette.at = app.palette.at.min(count.saturating_sub(1));
    let mut run = enter.then_some(app.palette.at);
    let screen = ui.ctx().content_rect();
    let area = egui::Modal::default_area(egui::Id::unique("palette")).anchor(Align2::CENTER_TOP, vec2(0.0, 64.0));
    let frame = egui::Frame::popup(ui.style()).inner_margin(8.0);
    let response = egui::Modal::new(egui::Id::unique("palette"))
        .area(area)
        .frame(frame)
        .backdrop_color(theme.shadow.gamma_multiply(0.5))
        .show(ui.ctx(), |ui| {
            ui.set_width(560.0_f32.min(screen.width() - 80.0));
            super::kit::field_look(ui, &theme);
            let edit =
                egui::TextEdit::singleline(&mut app.palette.text).hint_text("Find any command").desired_width(f32::INFINITY);
            let edit = ui.add(edit);
            edit.request_focus();
            if edit.changed() {
                app.palette.at = 0;
            }
            ui.add_space(4.0);
            if found.is_empty() {
                ui.label(egui::RichText::new("No command has these letters.").color(theme.third));
            }
            egui::ScrollArea::vertical().max_height((screen.height() * 0.55).min(430.0)).auto_shrink([false, true]).show(
                ui,
                |ui| {
                    ui.spacing_mut().item_spacing.y = 0.0;
                    for (i, (entry, _)) in found.iter().enumerate() {
                        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 28.0), Sense::click());
                        response.widget_info(|| WidgetInfo::labeled(Role::Button, entry.enabled, &entry.name));
                        let on = i == app.palette.at;
                        if on {
                            ui.painter().rect_filled(rect, 4.0, theme.soft);
                            if up || down {
                                response.scroll_to_me(None);
                            }
                        } else if response.hovered() {
                            ui.painter().rect_filled(rect, 4.0, theme.hovered);
                        }
                        let colour = match (entry.enabled, on) {
                            (false, _) => theme.context,
                            (_, true) => theme.on_soft,
                            _ => theme.text,
                        };
                        let y = rect.center().y;
                        ui.painter().text(pos2(rect.left() + 10.0, y), Align2::LEFT_CENTER, &entry.name, theme::body(), colour);
                        let side = entry.key.as_ref().map_or_else(|| entry.menu.to_owned(), key_text);
                        let font = if entry.key.is_some() { theme::mono(11.0) } else { theme::small() };
                        ui.painter().text(pos2(rect.right() - 10.0, y), Align2::RIGHT_CENTER, side, font, theme.third);
                        if response.clicked() {
                            run = Some(i);
                        }
                    }
                },
            );
            ui.painter().hline(ui.min_rect().x_range(), ui.min_rect().top(), Stroke::NONE);
        });
    if let Some(entry) = run.and_then(|i| found.get(i)).map(|(e, _)| e) {
        if entry.enabled {
            app.actions.push(entry.action.clone());
        }
        app.palette.open = !entry.enabled;
    }
    if escape || response.should_close() {
        app.palette.open = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_order_find_a_command() {
        assert!(score("sa", "Search again").is_some());
        assert!(score("xq", "Search again").is_none());
        assert!(score("inv", "Invert selection") > score("inv", "Save in view"));
        assert!(score("fr", "Fit rule") > score("fr", "Bring the first one back"));
    }
}
