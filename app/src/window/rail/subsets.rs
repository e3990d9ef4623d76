//! Step 4: named, coloured selections.

use asterism_session::data::RowSet;
use asterism_session::{Command, SelectMode, Subset};
use egui::{Align2, Color32, Key, Sense, Ui, WidgetInfo, pos2, vec2};

use super::{Rail, kit};
use crate::theme;
use crate::window::actions::{Action, MODES};

/// Draw the step.
pub fn show(rail: &mut Rail<'_>, ui: &mut Ui) {
    let theme = rail.theme;
    let doc = rail.session.doc();
    let Some(dataset) = doc.dataset().cloned() else {
        kit::note(ui, theme.third, "A selection that you save becomes a subset, with a colour of its own.");
        return;
    };
    let selected = doc.selection.rows.clone();
    if dataset.subsets.is_empty() {
        kit::note(ui, theme.third, "Draw a lasso around a group, then save it here.");
    }
    let total = dataset.table.rows();
    let mut union = RowSet::empty(total);
    for subset in &dataset.subsets {
        union = union.or(&subset.rows);
        row(rail, ui, subset, selected.and(&subset.rows).count());
    }
    if !dataset.subsets.is_empty() {
        let rest = total - union.count().min(total);
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), theme::ROW_HEIGHT), Sense::click());
        response.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, "Select everything else"));
        let y = rect.center().y;
        ui.painter().circle_filled(pos2(rect.left() + 5.0, y), 4.5, theme.context);
        ui.painter().text(pos2(rect.left() + 18.0, y), Align2::LEFT_CENTER, "everything else", theme::body(), theme.second);
        ui.painter().text(pos2(rect.right(), y), Align2::RIGHT_CENTER, kit::thousands(rest), theme::body(), theme.third);
        if response.on_hover_text("Select the rows that are in no subset").clicked() {
            let why = asterism_session::Provenance::Rows { note: "in no subset".into(), rows: union.not() };
            rail.commands.push(Command::Select { rows: union.not(), why, mode: None });
        }
    }
    ui.add_space(6.0);
    ui.horizontal(|ui| {
        let any = doc.selection.any();
        ui.scope(|ui| {
            kit::field_look(ui, theme);
            let hint = format!("subset {}", dataset.subsets.len() + 1);
            let edit = egui::TextEdit::singleline(&mut rail.state.subset_name)
                .hint_text(egui::RichText::new(hint).color(theme.third))
                .desired_width(ui.available_width() - 118.0);
            let response = ui.add(edit).accessible_name("Name of the new subset");
            if response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter)) && any {
                rail.actions.push(Action::SaveSelection);
            }
        });
        if kit::button(ui, "Save selection", any).on_hover_text("Keep the selection as a subset  (Ctrl+D)").clicked() {
            rail.actions.push(Action::SaveSelection);
        }
    });
    ui.horizontal(|ui| kit::right(ui, |ui| rail.recipe_word(ui, 3)));
}

fn row(rail: &mut Rail<'_>, ui: &mut Ui, subset: &Subset, chosen: usize) {
    let theme = rail.theme;
    let width = ui.available_width();
    if let Some((id, name)) = &mut rail.state.renaming
        && *id == subset.id
    {
        let response = ui.name_inputs("Rename subset", |ui| ui.add(egui::TextEdit::singleline(name).desired_width(width)));
        response.request_focus();
        let (done, dropped) = ui.input(|i| (i.key_pressed(Key::Enter), i.key_pressed(Key::Escape)));
        if done || response.clicked_elsewhere() {
            let name = name.trim().to_owned();
            if !name.is_empty() && name != subset.name {
                rail.commands.push(Command::EditSubset { id: subset.id, name: Some(name), colour: None, visible: None });
            }
        }
        if done || dropped || response.clicked_elsewhere() {
            rail.state.renaming = None;
        }
        return;
    }
    let (rect, response) = ui.allocate_exact_size(vec2(width, theme::ROW_HEIGHT), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, format!("Subset {}", subset.name)));
    let over = ui.rect_contains_pointer(rect);
    if over || response.has_focus() {
        ui.painter().rect_filled(rect.expand2(vec2(6.0, 0.0)), 4.0, theme.hovered);
    }
    let y = rect.center().y;
    let [r, g, b] = subset.colour;
    let colour = if subset.visible { Color32::from_rgb(r, g, b) } else { theme.context };
    let dot = egui::Rect::from_center_size(pos2(rect.left() + 5.0, y), vec2(16.0, 16.0));
    let swatch = ui.interact(dot, response.id.with("colour"), Sense::click());
    swatch.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, format!("Colour of {}", subset.name)));
    ui.painter().circle_filled(dot.center(), 4.5, colour);
    if swatch.hovered() {
        ui.painter().circle_stroke(dot.center(), 6.5, egui::Stroke::new(1.0, theme.second));
    }
    let total = subset.rows.count();
    let counts = if chosen == total || chosen == 0 {
        kit::thousands(total)
    } else {
        format!("{} / {}", kit::thousands(chosen), kit::thousands(total))
    };
    let eye_room = if over || !subset.visible { 24.0 } else { 0.0 };
    let counts = kit::elided(ui, &counts, theme::body(), theme.third, 110.0);
    let name_room = width - 18.0 - counts.size().x - 10.0 - eye_room;
    let name = kit::elided(ui, &subset.name, theme::body(), if subset.visible { theme.text } else { theme.third }, name_room);
    ui.painter().galley(pos2(rect.left() + 18.0, y - name.size().y / 2.0), name, theme.text);
    let right = rect.right() - eye_room;
    ui.painter().galley(pos2(right - counts.size().x, y - counts.size().y / 2.0), counts, theme.third);
    let mut eye_clicked = false;
    if eye_room > 0.0 {
        let at = egui::Rect::from_center_size(pos2(rect.right() - 8.0, y), vec2(18.0, 18.0));
        let eye = ui.interact(at, response.id.with("eye"), Sense::click());
        let word = if subset.visible { "Hide" } else { "Show" };
        eye.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, format!("{word} {}", subset.name)));
        kit::draw_eye(ui.painter(), at, if eye.hovered() { theme.text } else { theme.third }, subset.visible);
        if eye.on_hover_text(format!("{word} its colour")).clicked() {
            eye_clicked = true;
            rail.commands.push(Command::EditSubset { id: subset.id, name: None, colour: None, visible: Some(!subset.visible) });
        }
    }
    egui::Popup::menu(&swatch).show(|ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            for c in theme::OKABE_ITO {
                let (rect, response) = ui.allocate_exact_size(vec2(20.0, 20.0), Sense::click());
                response
                    .widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, format!("Colour {} {} {}", c[0], c[1], c[2])));
                ui.painter().circle_filled(
                    rect.center(),
                    if response.hovered() { 9.0 } else { 7.5 },
                    Color32::from_rgb(c[0], c[1], c[2]),
                );
                if response.clicked() {
                    rail.commands.push(Command::EditSubset { id: subset.id, name: None, colour: Some(c), visible: None });
                    ui.close();
                }
            }
        });
    });
    if response.double_clicked() {
        rail.state.renaming = Some((subset.id, subset.name.clone()));
    } else if response.clicked() && !eye_clicked && !swatch.clicked() {
        rail.commands.push(Command::SelectSubset { id: subset.id, mode: None });
    }
    response.context_menu(|ui| {
        for (mode, name, help) in MODES.into_iter().filter(|m| m.0 != SelectMode::New) {
            if ui.button(format!("Select: {name}")).on_hover_text(help).clicked() {
                rail.commands.push(Command::SelectSubset { id: subset.id, mode: Some(mode) });
            }
        }
        ui.separator();
        if ui.button("Rename").clicked() {
            rail.state.renaming = Some((subset.id, subset.name.clone()));
        }
        if ui.button(if subset.visible { "Hide its colour" } else { "Show its colour" }).clicked() {
            rail.commands.push(Command::EditSubset { id: subset.id, name: None, colour: None, visible: Some(!subset.visible) });
        }
        if ui.button("Delete").clicked() {
            rail.commands.push(Command::DeleteSubset { id: subset.id });
        }
    });
    response.on_hover_text(format!(
        "{} of {} selected. Click selects, double click renames.",
        kit::thousands(chosen),
        kit::thousands(total)
    ));
}
