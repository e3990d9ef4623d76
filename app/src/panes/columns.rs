//! Choosing a column or an expression of the table in front.

use asterism_session::Dataset;
use egui::{Key, RichText, ScrollArea, TextEdit, Ui};

use crate::cx::Cx;
use crate::widgets::format;

/// A column's name with its unit: `f_ha (erg/s)`.
pub fn label(dataset: &Dataset, name: &str) -> String {
    let unit = dataset.table.column_index(name).and_then(|i| dataset.table.columns()[i].unit.clone()).filter(|u| !u.is_empty());
    match unit {
        Some(unit) => format!("{name} ({})", format::unit(&unit)),
        None => name.to_owned(),
    }
}

/// Names of the numeric columns.
pub fn numeric(dataset: &Dataset) -> Vec<String> {
    let table = &dataset.table;
    (0..table.columns().len()).filter(|i| table.is_numeric(*i)).map(|i| table.columns()[i].name.clone()).collect()
}

/// A small menu button that chooses a column, or takes an expression. `none` offers an empty choice
/// under that name. True when it changed.
pub fn pick(ui: &mut Ui, cx: &Cx<'_>, what: &str, none: Option<&str>, value: &mut String) -> bool {
    pick_of(ui, cx, what, none, &[], value)
}

/// As [`pick`], with names that stand before the table's.
pub fn pick_of(ui: &mut Ui, cx: &Cx<'_>, what: &str, none: Option<&str>, first: &[String], value: &mut String) -> bool {
    let Some(dataset) = cx.session.doc().dataset() else { return false };
    let mut changed = false;
    let shown = if value.is_empty() { none.unwrap_or("choose") } else { value.as_str() };
    let shown: String = if shown.chars().count() > 18 { shown.chars().take(17).chain(['…']).collect() } else { shown.into() };
    let button = super::menu(ui, RichText::new(format!("{what}: {shown}")).color(cx.theme.second), |ui| {
        ui.set_min_width(190.0);
        let id = ui.scope_id().with("expression");
        let mut text = ui.data_mut(|d| d.get_temp::<String>(id)).unwrap_or_else(|| value.clone());
        let edit = ui.add(TextEdit::singleline(&mut text).hint_text("column or expression, g - r").desired_width(180.0));
        let edit = edit.accessible_name(format!("{what}: column or expression"));
        if edit.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter)) && !text.trim().is_empty() {
            *value = text.trim().to_owned();
            changed = true;
            ui.data_mut(|d| d.remove::<String>(id));
            ui.close();
        } else {
            ui.data_mut(|d| d.insert_temp(id, text.clone()));
        }
        let needle = if text == *value { String::new() } else { text.to_lowercase() };
        ScrollArea::vertical().max_height(300.0).show(ui, |ui| {
            if let Some(none) = none
                && ui.selectable_label(value.is_empty(), none).clicked()
            {
                value.clear();
                changed = true;
                ui.close();
            }
            let names = first.iter().cloned().chain(numeric(dataset));
            for name in names.filter(|n| needle.is_empty() || n.to_lowercase().contains(&needle)) {
                if ui.selectable_label(*value == name, label(dataset, &name)).clicked() {
                    *value = name;
                    changed = true;
                    ui.data_mut(|d| d.remove::<String>(id));
                    ui.close();
                }
            }
        });
    });
    button.on_hover_text(format!("Choose what is shown as {what}"));
    changed
}
