//! Named selections, as a list: colour, name, counts, and what to do with each.

use asterism_session::{Command, SelectMode};
use egui::{Align, Key, Layout, RichText, ScrollArea, Sense, Stroke, TextEdit, Ui, vec2};
use serde::{Deserialize, Serialize};

use super::rows;
use crate::cx::Cx;
use crate::theme::ROW_HEIGHT;
use crate::widgets::{Cache, format};

/// Nothing but what is being typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SubsetsPane {
    #[serde(skip)]
    state: Cache<State>,
}

#[derive(Default)]
struct State {
    name: String,
    renaming: Option<(u32, String)>,
}

impl SubsetsPane {
    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let count = cx.session.doc().dataset().map_or(0, |d| d.subsets.len());
        ui.label(RichText::new(format!("{count} subsets")).color(cx.theme.third));
    }

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let doc = cx.session.doc();
        let Some(dataset) = doc.dataset().cloned() else {
            super::empty(ui, cx.theme, "No subsets yet", "Select rows in any view and keep them here under a name and a colour.");
            return;
        };
        let Some(look) = rows::look(ui.ctx(), doc, cx.theme) else { return };
        let selected = look.selected;
        egui::Frame::new().inner_margin(10.0).show(ui, |ui| {
            ui.horizontal(|ui| {
                let hint = if selected > 0 {
                    format!("name for the {} selected", format::rows(selected))
                } else {
                    "select rows first".into()
                };
                let edit = TextEdit::singleline(&mut self.state.name).hint_text(hint).desired_width(220.0);
                let edit = ui.add_enabled(selected > 0, edit).accessible_name("Name of a new subset");
                let enter = edit.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
                let keep = ui.add_enabled(selected > 0, egui::Button::new("Keep selection"));
                let keep =
                    keep.on_hover_text("Keep the selected rows under this name").on_disabled_hover_text("Select rows first");
                if keep.clicked() || (enter && selected > 0) {
                    cx.commands.push(Command::SaveSubset { name: std::mem::take(&mut self.state.name).trim().to_owned() });
                }
            });
            ui.add_space(6.0);
            if dataset.subsets.is_empty() {
                ui.label(RichText::new("None yet. Clusters found under Map become subsets as well.").color(cx.theme.third));
            }
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                for subset in &dataset.subsets {
                    self.line(ui, cx, subset, look.legend.iter().find(|e| e.subset == Some(subset.id)).map(|e| e.lit));
                }
            });
        });
    }

    fn line(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, subset: &asterism_session::Subset, lit: Option<usize>) {
        let id = subset.id;
        ui.allocate_ui_with_layout(vec2(ui.available_width(), ROW_HEIGHT), Layout::left_to_right(Align::Center), |ui| {
            let mut rgb = subset.colour;
            if ui
                .color_edit_button_srgb(&mut rgb)
                .on_hover_text("Colour")
                .accessible_name(format!("Colour of {}", subset.name))
                .changed()
            {
                cx.commands.push(Command::EditSubset { id, name: None, colour: Some(rgb), visible: None });
            }
            let mut visible = subset.visible;
            let check = ui.checkbox(&mut visible, "").on_hover_text("Drawn in its colour");
            if check.accessible_name(format!("{} is drawn in its colour", subset.name)).changed() {
                cx.commands.push(Command::EditSubset { id, name: None, colour: None, visible: Some(visible) });
            }
            match &mut self.state.renaming {
                Some((of, text)) if *of == id => {
                    let edit = ui.add(TextEdit::singleline(text).desired_width(180.0)).accessible_name("New name of the subset");
                    if edit.lost_focus() {
                        if !ui.input(|i| i.key_pressed(Key::Escape)) && !text.trim().is_empty() {
                            cx.commands.push(Command::EditSubset {
                                id,
                                name: Some(text.trim().to_owned()),
                                colour: None,
                                visible: None,
                            });
                        }
                        self.state.renaming = None;
                    } else {
                        edit.request_focus();
                    }
                }
                _ => {
                    let name = ui.add(egui::Label::new(RichText::new(&subset.name).color(cx.theme.text)).sense(Sense::click()));
                    let name = name.on_hover_text("Click selects, double click renames");
                    if name.double_clicked() {
                        self.state.renaming = Some((id, subset.name.clone()));
                    } else if name.clicked() {
                        let mode = ui.input(|i| if i.modifiers.shift { Some(SelectMode::Or) } else { None });
                        cx.commands.push(Command::SelectSubset { id, mode });
                    }
                }
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.small_button("Delete").on_hover_text("Forget this subset; its rows stay. Ctrl+Z brings it back").clicked() {
                    cx.commands.push(Command::DeleteSubset { id });
                }
                if ui.small_button("Select").on_hover_text("Select its rows").clicked() {
                    cx.commands.push(Command::SelectSubset { id, mode: None });
                }
                let total = format::count(subset.rows.count());
                let text = lit.map_or_else(|| total.clone(), |lit| format!("{} / {total}", format::count(lit)));
                ui.label(RichText::new(text).color(cx.theme.second));
            });
        });
        let y = ui.cursor().top() - 2.0;
        ui.painter().hline(ui.max_rect().x_range(), y, Stroke::new(1.0, cx.theme.hairline));
    }
}
