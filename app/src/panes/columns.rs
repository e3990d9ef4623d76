//! Choosing a column or an expression of the table in front.

use asterism_session::Dataset;
use egui::{Key, RichText, ScrollArea, TextEdit, Ui};

use crate::cx::Cx;
use crate::widgets::format;

/// The decimal logarithm of a column or expression, as an expression.
pub fn logarithm(dataset: &Dataset, of: &str) -> String {
    if dataset.table.column_index(of).is_some() {
        format!("log10(\"{}\")", of.replace('"', "\"\""))
    } else {
        format!("log10({of})")
    }
}

/// What an expression is the decimal logarithm of, where it is one as a whole.
pub fn logarithm_of(text: &str) -> Option<String> {
    let text = text.trim();
    let inner =
        text.get(..6).filter(|head| head.eq_ignore_ascii_case("log10(")).and_then(|_| text[6..].strip_suffix(')'))?.trim();
    let mut open = 0i32;
    let whole = inner.chars().all(|c| {
        open += i32::from(c == '(') - i32::from(c == ')');
        open >= 0
    });
    if !whole || open != 0 || inner.is_empty() {
        return None;
    }
    let quoted = inner.strip_prefix('"').and_then(|i| i.strip_suffix('"')).map(|i| i.replace("\"\"", "\u{0}"));
    Some(match quoted {
        Some(name) if !name.contains('"') => name.replace('\u{0}', "\""),
        _ => inner.to_owned(),
    })
}

/// A column's name with its unit: `f_ha (erg/s)`; of a logarithm that of what it is of, as the axis says the values.
pub fn label(dataset: &Dataset, name: &str) -> String {
    if let Some(of) = logarithm_of(name) {
        return label(dataset, &of);
    }
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
    let log = logarithm_of(value).map(|of| format!("log {of}"));
    let shown = if value.is_empty() { none.unwrap_or("choose") } else { log.as_deref().unwrap_or(value) };
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
                let is_chosen = *value == name || logarithm_of(value).is_some_and(|of| of == name);
                if ui.selectable_label(is_chosen, label(dataset, &name)).clicked() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithm_is_known_as_a_whole() {
        for (text, of) in [
            ("log10(\"period\")", Some("period")),
            (" LOG10( period ) ", Some("period")),
            ("log10(\"a \"\"b\"\"\")", Some("a \"b\"")),
            ("log10(g - (r + 1))", Some("g - (r + 1)")),
            ("log10(a) + log10(b)", None),
            ("log10(\"a\" / \"b\")", Some("\"a\" / \"b\"")),
            ("log10()", None),
            ("period", None),
            ("lög10(a)", None),
        ] {
            assert_eq!(logarithm_of(text).as_deref(), of, "{text}");
        }
    }
}
