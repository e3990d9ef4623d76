//! Step 2: how rows become vectors.

use asterism_session::reduce::Scale;
use asterism_session::{
    Blanks, Command, CurveColumns, Dataset, FeatureColumn, FeatureKind, Features, Normalise, Transform, Weights, data, features,
};
use egui::Ui;

use super::{Rail, kit};
use crate::theme::{self, Theme};

/// What of a table may be a feature beside its numbers.
#[derive(Default)]
pub struct Offers {
    /// Columns of a few words, with their number.
    classes: Vec<(String, usize)>,
    /// The position on the sky.
    sky: Option<FeatureColumn>,
}

/// Dimensions of the vectors that the features in force give; 0 when there are none.
pub fn dims(rail: &mut Rail<'_>) -> usize {
    let Some(dataset) = rail.session.doc().dataset() else { return 0 };
    match &dataset.features.of {
        FeatureKind::Columns(columns) => {
            let offers = rail.state.offers.newest().unwrap_or_default();
            let words = |name: &str| offers.classes.iter().find(|(n, _)| n == name).map_or(3, |(_, n)| *n);
            let width = |c: &FeatureColumn| match c.transform {
                Transform::None | Transform::Log | Transform::Asinh => 1,
                Transform::Circle | Transform::Phase => 2,
                Transform::Sphere => 3,
                Transform::Levels => words(&c.column),
            };
            columns.iter().map(width).sum()
        }
        FeatureKind::Images { size, .. } => size * size,
        FeatureKind::LightCurves { bins, .. } => *bins,
        FeatureKind::Spectra { grid: Some(grid), .. } => grid.parse::<data::spectrum::Grid>().map_or(0, |g| g.n),
        FeatureKind::Spectra { grid: None, .. } => {
            let Some(spectra) = &dataset.spectra else { return 0 };
            if let Some(grid) = &spectra.grid {
                return grid.len();
            }
            if let Some((id, n)) = rail.state.dims
                && id == dataset.id
                && n > 0
            {
                return n;
            }
            let n = (0..dataset.table.rows().min(4)).map(|row| dataset.table.array(spectra.flux, row).len()).max().unwrap_or(0);
            rail.state.dims = Some((dataset.id, n));
            n
        }
    }
}

/// What a column of spectra covers, for a person.
fn span(dataset: &Dataset) -> Option<String> {
    let spectra = dataset.spectra.as_ref()?;
    let grid = spectra.grid.as_ref()?;
    let unit = match spectra.axis_unit.as_str() {
        "Angstrom" | "angstrom" | "A" => "Å",
        "um" | "micron" => "µm",
        other => other,
    };
    let number = |v: f64| if v >= 100.0 { kit::thousands(v.round() as usize) } else { format!("{v:.2}") };
    Some(format!("{}–{} {unit}", number(*grid.first()?), number(*grid.last()?)))
}

/// Draw the step.
pub fn show(rail: &mut Rail<'_>, ui: &mut Ui) {
    let theme = rail.theme;
    let Some(dataset) = rail.session.doc().dataset().cloned() else {
        kit::note(ui, theme.third, "Search first: features are made of the table's columns, spectra or images.");
        return;
    };
    let mut f = dataset.features.clone();
    let before = f.clone();
    kinds(ui, theme, &dataset, &mut f);
    match &mut f.of {
        FeatureKind::Columns(columns) => columns_ui(rail, ui, &dataset, columns),
        FeatureKind::Spectra { grid, normalise, .. } => {
            if let Some(span) = span(&dataset) {
                kit::row(ui, theme, "Range", "What the table's own grid covers", |ui| ui.label(span));
            }
            kit::row(
                ui,
                theme,
                "Grid",
                "A common grid, such as 4750..7400 A / 400, with `log` behind for equal steps of log λ; empty for the table's own",
                |ui| {
                    let state = &mut rail.state.grid;
                    let id = ui.make_persistent_id("grid");
                    if !ui.memory(|m| m.has_focus(id)) {
                        *state = grid.clone().unwrap_or_default();
                    }
                    let edit = egui::TextEdit::singleline(state)
                        .id(id)
                        .hint_text(egui::RichText::new("the table's own").color(theme.third))
                        .desired_width(ui.available_width());
                    if ui.add(edit).accessible_name("Grid").lost_focus() {
                        let text = state.trim().to_owned();
                        if text.is_empty() {
                            *grid = None;
                        } else {
                            match text.parse::<data::spectrum::Grid>() {
                                Ok(_) => *grid = Some(text),
                                Err(e) => rail.actions.push(crate::window::actions::Action::Say(e.to_string())),
                            }
                        }
                    }
                },
            );
            choice(
                ui,
                theme,
                "Level",
                "How each spectrum is brought to a common level before it is compared",
                normalise,
                &[
                    (Normalise::Median, "divided by its median"),
                    (Normalise::L2, "divided by its norm"),
                    (Normalise::None, "as it is"),
                ],
            );
        }
        FeatureKind::LightCurves { bins, period, .. } => {
            kit::row(
                ui,
                theme,
                "Parts",
                "Into how many parts of the phase (or of the time) a curve is binned. Default: 64",
                |ui| ui.add(egui::DragValue::new(bins).range(4..=1024)),
            );
            let names: Vec<String> = (0..dataset.table.columns().len())
                .filter(|i| dataset.table.is_numeric(*i))
                .map(|i| dataset.table.columns()[i].name.clone())
                .collect();
            kit::row(ui, theme, "Fold with", "The column with the period, in the unit of the times; none: by time", |ui| {
                let shown = if period.is_empty() { "none, by time" } else { period.as_str() }.to_owned();
                egui::ComboBox::from_id_salt("fold").selected_text(shown).width(ui.available_width()).truncate().show_ui(
                    ui,
                    |ui| {
                        ui.selectable_value(period, String::new(), "none, by time");
                        for name in names {
                            ui.selectable_value(period, name.clone(), name);
                        }
                    },
                );
            });
        }
        FeatureKind::Images { size, .. } => {
            kit::row(ui, theme, "Cut-out", "Side of the cut-out around each row, pixels of the image", |ui| {
                ui.add(egui::DragValue::new(size).range(4..=128).suffix(" px"))
            });
        }
    }
    if matches!(f.of, FeatureKind::Columns(_)) {
        choice(
            ui,
            theme,
            "Scale",
            "So that columns of different units can be compared. Default: robust",
            &mut f.scale,
            &[(Scale::Robust, "robust (median, IQR)"), (Scale::Standard, "standard (mean, σ)"), (Scale::None, "none")],
        );
    }
    choice(
        ui,
        theme,
        "Blanks",
        "What happens where a value is missing. Masked values have weight 0 where the method takes weights",
        &mut f.blanks,
        &[(Blanks::Median, "median of the column"), (Blanks::Mask, "masked, weight 0"), (Blanks::Omit, "leave the row out")],
    );
    if !matches!(f.of, FeatureKind::Images { .. } | FeatureKind::LightCurves { .. }) {
        choice(
            ui,
            theme,
            "Uncertainty",
            "As weights, a value counts the less the more uncertain it is: in PCA and in the autoencoder, which take weights. The \
             uncertainties of NAME are in a column called e_NAME or NAME_err, or with the UCD stat.error",
            &mut f.weights,
            &[(Weights::None, "ignored"), (Weights::Errors, "as weights")],
        );
    }
    twins(rail, ui, &dataset, &f.of);
    ui.horizontal(|ui| {
        if kit::word(ui, theme, "Suggest").on_hover_text("The features one would start with for this table").clicked() {
            f = features::suggest(&dataset);
        }
        kit::right(ui, |ui| rail.recipe_word(ui, 1));
    });
    if f != before {
        rail.commands.push(Command::SetFeatures { features: f });
    }
}

fn kinds(ui: &mut Ui, theme: &Theme, dataset: &Dataset, f: &mut Features) {
    let now = match f.of {
        FeatureKind::Columns(_) => 0,
        FeatureKind::Spectra { .. } => 1,
        FeatureKind::Images { .. } => 2,
        FeatureKind::LightCurves { .. } => 3,
    };
    let curves = CurveColumns::find(&dataset.table).filter(|c| c.lists);
    let can = [true, dataset.spectra.is_some(), !dataset.images.is_empty(), curves.is_some()];
    if can == [true, false, false, false] && now == 0 {
        return;
    }
    kit::row(ui, theme, "Of", "What the vectors are made of", |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        ui.spacing_mut().button_padding.x = 5.0;
        for (i, name) in ["Columns", "Spectra", "Images", "Curves"].into_iter().enumerate() {
            if can[i] && ui.selectable_label(now == i, name).clicked() && now != i {
                *f = match i {
                    0 => features::of_columns(dataset),
                    1 => features::suggest(dataset),
                    3 if let Some(curves) = &curves => features::light_curves(dataset, curves),
                    _ => Features {
                        name: "images".into(),
                        of: FeatureKind::Images { size: 24, column: String::new() },
                        scale: Scale::None,
                        ..Features::default()
                    },
                };
            }
        }
    });
}

/// A row with a list to choose from.
pub fn choice<T: PartialEq + Copy>(ui: &mut Ui, theme: &Theme, label: &str, help: &str, value: &mut T, all: &[(T, &str)]) {
    let now = all.iter().find(|(v, _)| v == value).map_or("", |(_, n)| *n);
    kit::row(ui, theme, label, help, |ui| {
        egui::ComboBox::from_id_salt(label).selected_text(now).width(ui.available_width()).truncate().show_ui(ui, |ui| {
            for (v, name) in all {
                ui.selectable_value(value, *v, *name);
            }
        });
    });
}

/// A word of warning where two columns say the same.
fn twins(rail: &mut Rail<'_>, ui: &mut Ui, dataset: &std::sync::Arc<Dataset>, of: &FeatureKind) {
    let FeatureKind::Columns(columns) = of else { return };
    if columns.len() < 2 || dataset.loading {
        return;
    }
    let key = (dataset.id, dataset.table.rows(), of.clone());
    let (table, chosen) = (dataset.clone(), columns.clone());
    rail.state.twins.get(ui.ctx(), "twins", key.clone(), move || features::twins(&table, &chosen));
    let Some(found) = rail.state.twins.exact(&key).filter(|t| !t.is_empty()) else { return };
    let (a, b, r) = &found[0];
    let more = if found.len() > 1 { format!(", and {} more pairs", found.len() - 1) } else { String::new() };
    let r = if r.abs() < 0.9999 { format!("r = {r:.4}") } else { "|r| > 0.9999".to_owned() };
    let text = format!("{a} and {b} say the same ({r}){more}: they count twice.");
    let list: Vec<String> = found.iter().take(12).map(|(a, b, r)| format!("{a} and {b}: r = {r:.5}")).collect();
    kit::note(ui, rail.theme.second, &text).on_hover_text(list.join("\n"));
}

fn columns_ui(rail: &mut Rail<'_>, ui: &mut Ui, dataset: &std::sync::Arc<Dataset>, chosen: &mut Vec<FeatureColumn>) {
    let theme = rail.theme;
    let table = &dataset.table;
    let names: Vec<(usize, &str)> = (0..table.columns().len())
        .filter(|i| features::usable(dataset, *i))
        .map(|i| (i, table.columns()[i].name.as_str()))
        .collect();
    let whole = dataset.clone();
    let make = move || Offers { classes: features::classes(&whole), sky: features::sky(&whole) };
    // While rows arrive, the first ones tell.
    let rows = if dataset.loading { 0 } else { table.rows() };
    let offers = rail.state.offers.get(ui.ctx(), "classes", (dataset.id, rows), make);
    let offers = offers.filter(|_| rail.state.offers.newest_for(|k| k.0 == dataset.id).is_some()).unwrap_or_default();
    let starts = |name: &str| match &offers.sky {
        Some(sky) if sky.column == name => sky.clone(),
        _ if offers.classes.iter().any(|(c, _)| c == name) => {
            FeatureColumn { transform: Transform::Levels, ..FeatureColumn::plain(name) }
        }
        _ => FeatureColumn::plain(name),
    };
    if names.len() > 12 {
        kit::row(ui, theme, "Columns", "Only those with these letters are listed", |ui| {
            kit::text(ui, theme, &mut rail.state.column_filter, "find")
        });
    }
    let wanted = rail.state.column_filter.to_lowercase();
    let expressions: Vec<String> = chosen
        .iter()
        .filter(|c| table.column_index(&c.column).is_none() && c.transform != Transform::Sphere)
        .map(|c| c.column.clone())
        .collect();
    egui::ScrollArea::vertical().id_salt("columns").max_height(190.0).show(ui, |ui| {
        ui.set_width(ui.available_width());
        let words = offers.classes.iter().map(|(n, _)| (table.column_index(n), n.as_str()));
        let all = expressions.iter().map(|e| (None, e.as_str())).chain(names.iter().map(|(i, n)| (Some(*i), *n)));
        let all = all.chain(words).chain(offers.sky.iter().map(|c| (None, c.column.as_str())));
        for (index, name) in all {
            if names.len() > 12 && !name.to_lowercase().contains(&wanted) {
                continue;
            }
            let at = chosen.iter().position(|c| c.column == name);
            ui.horizontal(|ui| {
                ui.set_min_height(theme::ROW_HEIGHT);
                let mut on = at.is_some();
                kit::field_look(ui, theme);
                let room = ui.available_width() - 66.0;
                let text = kit::elided(ui, name, theme::body(), if on { theme.text } else { theme.second }, room - 24.0);
                let response = ui.allocate_ui(egui::vec2(room, 22.0), |ui| ui.checkbox(&mut on, text)).inner;
                ui.ctx().accesskit_node_builder(response.id, |n| n.set_label(format!("Feature {name}")));
                if let Some(meta) = index.map(|i| &table.columns()[i]) {
                    let mut help = meta.description.clone().unwrap_or_else(|| meta.name.clone());
                    if let Some(unit) = meta.unit.as_ref().filter(|u| !u.is_empty()) {
                        help.push_str(&format!("  [{unit}]"));
                    }
                    response.clone().on_hover_text(help);
                }
                if response.changed() {
                    match at {
                        Some(at) => {
                            chosen.remove(at);
                        }
                        None => chosen.push(starts(name)),
                    }
                }
                // Words and positions have one way each.
                let one_way = starts(name).transform != Transform::None;
                if one_way && at.is_some() {
                    let transform = starts(name).transform;
                    kit::right(ui, |ui| {
                        ui.label(egui::RichText::new(transform.word()).color(theme.third)).on_hover_text(transform.help())
                    });
                }
                if let Some(column) = chosen.iter_mut().find(|c| c.column == name && !one_way) {
                    kit::right(ui, |ui| {
                        let word = |t: Transform| if t == Transform::None { "as is" } else { t.word() };
                        let label = format!("Transform of {name}");
                        ui.name_inputs(label, |ui| {
                            ui.spacing_mut().button_padding.x = 4.0;
                            egui::ComboBox::from_id_salt(("transform", name))
                                .selected_text(word(column.transform))
                                .width(58.0)
                                .show_ui(ui, |ui| {
                                    for t in Transform::ALL.into_iter().filter(|t| *t != Transform::Sphere) {
                                        ui.selectable_value(&mut column.transform, t, word(t)).on_hover_text(t.help());
                                    }
                                    if !column.missing.is_empty() {
                                        let list: Vec<String> = column.missing.iter().map(f64::to_string).collect();
                                        ui.separator();
                                        let text = format!("no value: {}", list.join(", "));
                                        let help =
                                            "These numbers stand for no value and become blanks. A click takes them as numbers";
                                        if ui.selectable_label(true, text).on_hover_text(help).clicked() {
                                            column.missing.clear();
                                        }
                                    }
                                });
                        });
                    });
                }
            });
        }
    });
    kit::row(ui, theme, "Add", "A colour index or any expression of columns, such as g - r", |ui| {
        let response = kit::text(ui, theme, &mut rail.state.expression, "g - r");
        let text = rail.state.expression.trim().to_owned();
        if response.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter)) && !text.is_empty() {
            match data::Expr::parse(&text).and_then(|e| e.numbers(table)) {
                Ok(_) => {
                    if !chosen.iter().any(|c| c.column == text) {
                        chosen.push(FeatureColumn::plain(text));
                    }
                    rail.state.expression.clear();
                }
                Err(e) => rail.actions.push(crate::window::actions::Action::Say(e.to_string())),
            }
        }
    });
}
