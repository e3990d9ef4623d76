//! The menu bar: the program's name, six menus read from [`super::actions`], and the field that
//! finds any command.

use egui::{Align, Align2, Layout, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use crate::theme;

use super::actions::{Action, Entry, MENUS, key_text};
use super::{App, kit};

/// Draw it.
pub fn show(app: &mut App, ui: &mut Ui) {
    let theme = app.theme.clone();
    let entries = super::actions::entries(app);
    let rect = ui.max_rect();
    ui.painter().hline(rect.x_range(), rect.bottom(), Stroke::new(1.0, theme.hairline));
    egui::MenuBar::new().ui(ui, |ui| {
        ui.set_height(rect.height());
        ui.add_space(theme::PADDING);
        let name = ui.label(egui::RichText::new("Asterism").font(theme::semibold(theme::BODY)));
        name.on_hover_text("Search, map, brush, refine, take");
        ui.add_space(8.0);
        ui.spacing_mut().item_spacing.x = 2.0;
        ui.spacing_mut().button_padding = vec2(7.0, 2.0);
        let tallest = ui.ctx().content_rect().height() - rect.bottom() - 40.0;
        for menu in MENUS {
            ui.menu_button(egui::RichText::new(menu).color(theme.second), |ui| {
                ui.set_min_width(250.0);
                egui::ScrollArea::vertical().max_height(tallest).show(ui, |ui| {
                    for entry in entries.iter().filter(|e| e.menu == menu) {
                        if entry.line {
                            ui.separator();
                        }
                        if item(ui, entry).clicked() {
                            app.actions.push(entry.action.clone());
                            ui.close();
                        }
                    }
                });
            });
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.add_space(theme::PADDING);
            if finder(ui, &theme).clicked() {
                app.actions.push(Action::Palette);
            }
        });
    });
}

fn item(ui: &mut Ui, entry: &Entry) -> egui::Response {
    let name = if entry.checked { format!("{} ✓", entry.name) } else { entry.name.clone() };
    let mut button = egui::Button::new(name);
    if let Some(key) = &entry.key {
        button = button.shortcut_text(key_text(key));
    }
    ui.add_enabled(entry.enabled, button)
}

fn finder(ui: &mut Ui, theme: &theme::Theme) -> egui::Response {
    let (rect, response) = ui.allocate_exact_size(vec2(280.0, 23.0), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Find any command"));
    let edge = if response.hovered() || response.has_focus() { theme.third } else { theme.hairline };
    ui.painter().rect(rect, 4.0, theme.field, Stroke::new(1.0, edge), egui::StrokeKind::Inside);
    let y = rect.center().y;
    ui.painter().text(pos2(rect.left() + 10.0, y), Align2::LEFT_CENTER, "Find any command", theme::body(), theme.third);
    ui.painter().text(pos2(rect.right() - 10.0, y), Align2::RIGHT_CENTER, "Ctrl K", theme::mono(11.0), theme.third);
    response.on_hover_cursor(egui::CursorIcon::Text)
}

/// The tool bar: tools, modes, undo, the switch for the grey context.
pub fn tools(app: &mut App, ui: &mut Ui) {
    use super::actions::{MODES, TOOLS};
    use asterism_session::Command;
    let theme = app.theme.clone();
    let rect = ui.max_rect();
    ui.painter().hline(rect.x_range(), rect.bottom(), Stroke::new(1.0, theme.hairline));
    let narrow = rect.width() < 1180.0;
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = if narrow { 1.0 } else { 4.0 };
        ui.add_space(8.0);
        for (tool, name, key, help) in TOOLS {
            let on = app.shared.tool == tool;
            let pressed = tool_button(ui, &theme, name, key.name(), on, false, !narrow, true);
            if pressed.on_hover_text(format!("{help}  ({})", key.name())).clicked() {
                app.shared.tool = tool;
            }
        }
        bar(ui, &theme);
        let mode = app.session.doc().mode;
        for (m, name, help) in MODES {
            if tool_button(ui, &theme, name, "", mode == m, true, false, true).on_hover_text(help).clicked() {
                app.commands.push(Command::SetMode { mode: m });
            }
        }
        bar(ui, &theme);
        let undo = app.session.undo_name().map(str::to_owned);
        let redo = app.session.redo_name().map(str::to_owned);
        let help = |word: &str, name: &Option<String>, key: &str| match name {
            Some(name) => format!("{word}: {name}  ({key})"),
            None => format!("Nothing to {}", word.to_lowercase()),
        };
        if tool_button(ui, &theme, "Undo", "", false, false, false, undo.is_some())
            .on_hover_text(help("Undo", &undo, "Ctrl+Z"))
            .clicked()
            && undo.is_some()
        {
            app.commands.push(Command::Undo);
        }
        if tool_button(ui, &theme, "Redo", "", false, false, false, redo.is_some())
            .on_hover_text(help("Redo", &redo, "Ctrl+Shift+Z"))
            .clicked()
            && redo.is_some()
        {
            app.commands.push(Command::Redo);
        }
        bar(ui, &theme);
        let hide = app.session.doc().hide_rest;
        let response = tool_button(ui, &theme, "Hide the rest", "", hide, true, false, true);
        if response.on_hover_text("Do not draw the rows outside the selection  (Ctrl+H)").clicked() {
            app.commands.push(Command::HideRest { hide: !hide });
        }
    });
}

fn bar(ui: &mut Ui, theme: &theme::Theme) {
    let (rect, _) = ui.allocate_exact_size(vec2(25.0, 18.0), Sense::hover());
    ui.painter().vline(rect.center().x, rect.y_range(), Stroke::new(1.0, theme.hairline));
}

#[expect(clippy::too_many_arguments, reason = "one private painter for all buttons of the bar")]
fn tool_button(
    ui: &mut Ui,
    theme: &theme::Theme,
    name: &str,
    key: &str,
    on: bool,
    accent: bool,
    with_key: bool,
    enabled: bool,
) -> egui::Response {
    let word = ui.painter().layout_no_wrap(name.to_owned(), theme::body(), theme.text);
    let cap = (with_key && !key.is_empty()).then(|| ui.painter().layout_no_wrap(key.to_owned(), theme::mono(10.5), theme.third));
    let cap_width = cap.as_ref().map_or(0.0, |c| c.size().x + 5.0);
    let (rect, response) = ui.allocate_exact_size(vec2(word.size().x + cap_width + 20.0, 26.0), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, enabled, on, name));
    let fill = match (on, accent) {
        (true, true) => Some(theme.soft),
        (true, false) => Some(theme.raised),
        _ if enabled && response.hovered() => Some(theme.hovered),
        _ => None,
    };
    if let Some(fill) = fill {
        ui.painter().rect_filled(rect, 5.0, fill);
    }
    if response.has_focus() {
        ui.painter().rect_stroke(rect, 5.0, Stroke::new(1.0, theme.accent), egui::StrokeKind::Inside);
    }
    let colour = match (enabled, on, accent) {
        (false, ..) => theme.context,
        (_, true, true) => theme.on_soft,
        (_, true, false) => theme.outline,
        _ => theme.second,
    };
    let at = pos2(rect.left() + 10.0, rect.center().y - word.size().y / 2.0);
    let after = at.x + word.size().x + 5.0;
    ui.painter().galley_with_override_text_color(at, word, colour);
    if let Some(cap) = cap {
        ui.painter().galley(pos2(after, rect.center().y - cap.size().y / 2.0 + 0.5), cap, theme.third);
    }
    response
}

/// The foot: position, shown of total, the mouse here, what runs, adapter and memory.
pub fn foot(app: &mut App, ui: &mut Ui) {
    let theme = app.theme.clone();
    let rect = ui.max_rect();
    ui.painter().hline(rect.x_range(), rect.top(), Stroke::new(1.0, theme.hairline));
    let doc = app.session.doc().clone();
    let (chosen, total) = doc.dataset().map_or((0, 0), |d| (doc.selection.rows.count(), d.table.rows()));
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        ui.add_space(theme::PADDING);
        let small = |text: String, colour| egui::RichText::new(text).font(theme::small()).color(colour);
        let split = |ui: &mut Ui| {
            let (r, _) = ui.allocate_exact_size(vec2(23.0, theme::FOOT_HEIGHT - 10.0), Sense::hover());
            ui.painter().vline(r.center().x, r.y_range(), Stroke::new(1.0, theme.hairline));
        };
        if !app.shared.position.is_empty() {
            ui.label(small(app.shared.position.clone(), theme.text));
            split(ui);
        }
        if total > 0 {
            ui.label(small(kit::thousands(chosen), if chosen > 0 { theme.text } else { theme.second }));
            let rest = if doc.hide_rest && chosen > 0 { "shown" } else { "selected" };
            ui.label(small(format!(" / {} {rest}", kit::thousands(total)), theme.third));
            split(ui);
        }
        let running: Vec<_> = app.session.jobs().iter().filter(|j| j.alive() && j.dataset != 0).cloned().collect();
        let machine = app.machine();
        let machine_width = ui.painter().layout_no_wrap(machine.clone(), theme::small(), theme.third).size().x + 40.0;
        if let Some(job) = running.last() {
            let text = super::rail::job_line(job);
            let text = if running.len() > 1 { format!("{text}  (+{})", running.len() - 1) } else { text };
            let response = ui.add(egui::Label::new(small(text, theme.accent)).sense(Sense::click()));
            if response.on_hover_text("Show the step").clicked() {
                app.actions.push(Action::Step(if job.is_map { 2 } else { 0 }));
            }
            if let Some(f) = job.fraction() {
                ui.add_space(8.0);
                let (r, _) = ui.allocate_exact_size(vec2(70.0, 3.0), Sense::hover());
                ui.painter().rect_filled(r, 1.5, theme.hairline);
                ui.painter().rect_filled(egui::Rect::from_min_size(r.min, vec2(r.width() * f, r.height())), 1.5, theme.accent);
            }
            split(ui);
        }
        let hint = match app.said() {
            Some(text) => Some((text, theme.second)),
            None if !app.shared.hint.is_empty() => Some((app.shared.hint.clone(), theme.third)),
            None => Some((default_hint(app), theme.third)),
        };
        if let Some((text, colour)) = hint {
            let room = (ui.available_width() - machine_width).max(0.0);
            let galley = kit::elided(ui, &text, theme::small(), colour, room);
            let (r, response) = ui.allocate_exact_size(vec2(galley.size().x, theme::FOOT_HEIGHT), Sense::hover());
            response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &text));
            ui.painter().galley(pos2(r.left(), r.center().y - galley.size().y / 2.0), galley, colour);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.add_space(theme::PADDING);
            ui.label(small(machine, theme.third)).on_hover_text(app.adapter_long());
        });
    });
}

fn default_hint(app: &App) -> String {
    if app.session.doc().dataset().is_none() {
        "Pick a sample, open a file, or search an archive".into()
    } else {
        "Shift+drag adds by lasso · Alt+drag removes · Esc clears".into()
    }
}
