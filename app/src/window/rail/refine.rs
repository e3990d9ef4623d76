//! Step 5: the selection as a rule that the archive can be asked with.

use asterism_session::{Command, FittedRule, features};
use egui::text::{LayoutJob, TextFormat};
use egui::{Ui, vec2};

use super::{Rail, kit};
use crate::theme::{self, Theme};
use crate::window::actions::Action;

/// Draw the step.
pub fn show(rail: &mut Rail<'_>, ui: &mut Ui) {
    let theme = rail.theme;
    let doc = rail.session.doc();
    let Some(dataset) = doc.dataset().cloned() else {
        kit::note(ui, theme.third, "A rule says a selection in the archive's own columns.");
        return;
    };
    let any = doc.selection.any() && doc.selection.rows.count() < dataset.table.rows();
    kit::row(ui, theme, "Columns", "What the rule may speak of; all that a service could query when none is chosen", |ui| {
        let names: Vec<String> = (0..dataset.table.columns().len())
            .filter(|i| features::usable(&dataset, *i))
            .map(|i| dataset.table.columns()[i].name.clone())
            .collect();
        let chosen = &mut rail.state.rule_columns;
        let text = match chosen.len() {
            0 => format!("all {}", names.len()),
            _ => chosen.join(", "),
        };
        egui::ComboBox::from_id_salt("rule columns")
            .selected_text(text)
            .width(ui.available_width())
            .truncate()
            .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
            .show_ui(ui, |ui| {
                if ui.button("All of them").clicked() {
                    chosen.clear();
                }
                for name in &names {
                    let mut on = chosen.contains(name);
                    if ui.checkbox(&mut on, name).changed() {
                        if on {
                            chosen.push(name.clone());
                        } else {
                            chosen.retain(|c| c != name);
                        }
                    }
                }
            });
    });
    let Some(rule) = dataset.rule.clone() else {
        if !any {
            kit::note(ui, theme.third, "Select a group first; the rule tells it from the rest.");
        }
        ui.add_space(4.0);
        if kit::primary(ui, theme, "Fit rule", any)
            .on_hover_text("Find ranges of columns that tell the selection from the rest  (Ctrl+R)")
            .clicked()
        {
            rail.actions.push(Action::FitRule);
        }
        return;
    };
    ui.add_space(2.0);
    code(ui, theme, &rule);
    ui.add_space(6.0);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        let width = ui.available_width() / 3.0;
        big(
            ui,
            theme,
            width,
            &format!("{:.0} %", rule.purity() * 100.0),
            "purity",
            "Share of the rows it matches that were selected",
        );
        big(
            ui,
            theme,
            width,
            &format!("{:.0} %", rule.completeness() * 100.0),
            "completeness",
            "Share of the selected rows that it matches",
        );
        big(ui, theme, width, &kit::thousands(rule.matched()), "rows match", "Rows of this table that it matches");
    });
    ui.add_space(4.0);
    let mut balance = rule.balance;
    let response = ui.scope(|ui| {
        ui.spacing_mut().slider_width = ui.available_width();
        ui.name_inputs("Balance of the rule", |ui| ui.add(egui::Slider::new(&mut balance, 0.0..=1.0).show_value(false)))
    });
    if response.inner.changed() {
        rail.state.balance = balance;
        rail.commands.push(Command::SetBalance { balance });
    }
    ui.horizontal(|ui| {
        let small = |t: &str| egui::RichText::new(t).font(theme::small()).color(theme.third);
        ui.label(small("simpler"));
        kit::right(ui, |ui| ui.label(small("purer")));
    });
    ui.add_space(2.0);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
        if kit::primary(ui, theme, "Search again", true)
            .on_hover_text("Ask the service with this rule; new rows land on the same map  (Ctrl+Shift+R)")
            .clicked()
        {
            rail.commands.push(Command::SearchAgain);
        }
        if kit::button(ui, "Copy ADQL", true).on_hover_text(rule.adql(&dataset.ask)).clicked() {
            rail.actions.push(Action::Copy(rule.adql(&dataset.ask), "Copied the rule as ADQL"));
        }
        if kit::button(ui, "Select matches", true).on_hover_text("Select the rows that the rule matches").clicked() {
            rail.commands.push(Command::SelectRule);
        }
        let filters = rule.mast_filters();
        let can = !filters.is_null();
        let help = if can {
            "The rule as filters of MAST's portal API"
        } else {
            "MAST's filters cannot say a rule with OR: move the slider towards simpler"
        };
        if kit::button(ui, "Copy MAST filters", can).on_hover_text(help).on_disabled_hover_text(help).clicked() {
            rail.actions.push(Action::Copy(
                serde_json::to_string_pretty(&filters).unwrap_or_default(),
                "Copied the rule as MAST filters",
            ));
        }
        if kit::button(ui, "Fit rule", any).on_hover_text("Fit it again to what is selected now  (Ctrl+R)").clicked() {
            rail.actions.push(Action::FitRule);
        }
    });
    if dataset.ledger.len() > 1
        && let Some(last) = dataset.ledger.last()
    {
        ui.add_space(6.0);
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            let width = ui.available_width() / 3.0;
            big(ui, theme, width, &kit::thousands(last.gained), "gained", "Rows that were not here before the last search");
            big(ui, theme, width, &kit::thousands(last.lost), "lost", "Rows that the search before gave and the last did not");
            big(ui, theme, width, &kit::thousands(last.kept), "kept", "Rows in both");
        });
    }
    ui.horizontal(|ui| kit::right(ui, |ui| rail.recipe_word(ui, 4)));
}

fn big(ui: &mut Ui, theme: &Theme, width: f32, value: &str, what: &str, help: &str) {
    let (rect, response) = ui.allocate_exact_size(vec2(width, 38.0), egui::Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, format!("{value} {what}")));
    ui.painter().text(rect.left_top(), egui::Align2::LEFT_TOP, value, theme::semibold(17.0), theme.text);
    ui.painter().text(rect.left_bottom(), egui::Align2::LEFT_BOTTOM, what, theme::small(), theme.third);
    response.on_hover_text(help);
}

/// `WHERE … AND …` in colours, a predicate a line.
fn code(ui: &mut Ui, theme: &Theme, rule: &FittedRule) {
    egui::Frame::new()
        .fill(theme.field)
        .stroke(egui::Stroke::new(1.0, theme.hairline))
        .corner_radius(4.0)
        .inner_margin(egui::Margin::symmetric(10, 8))
        .show(ui, |ui| {
            let width = ui.available_width();
            ui.set_width(width);
            let mut job = LayoutJob::default();
            job.wrap.max_width = width;
            let font = theme::mono(12.0);
            let mut put = |text: &str, colour| {
                job.append(text, 0.0, TextFormat { line_height: Some(18.0), ..TextFormat::simple(font.clone(), colour) })
            };
            let boxes = rule.predicates();
            for (i, one) in boxes.iter().enumerate() {
                for (j, predicate) in one.iter().enumerate() {
                    let word = match (i, j) {
                        (0, 0) => "WHERE ",
                        (_, 0) => "\n   OR ",
                        _ => "\n  AND ",
                    };
                    put(word, theme.selected);
                    let mut rest = predicate.as_str();
                    while let Some((at, key)) =
                        ["BETWEEN", " AND ", "IS NOT NULL"].iter().filter_map(|k| rest.find(k).map(|i| (i, *k))).min()
                    {
                        put(&rest[..at], theme.text);
                        put(key, theme.selected);
                        rest = &rest[at + key.len()..];
                    }
                    put(rest, theme.text);
                }
            }
            let text = job.text.clone();
            let response = ui.add(egui::Label::new(job).selectable(true));
            ui.ctx().accesskit_node_builder(response.id, |n| n.set_label(format!("Rule: {}", text.replace('\n', " "))));
        });
}
