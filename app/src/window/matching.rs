//! The dialog that matches the table in front: with another table, or with a service.

use asterism_session::archive::{Kind, TapSchema, TapTable};
use asterism_session::data::crossmatch::Find;
use asterism_session::lists::{MatchBy, MatchInto, Matching};
use asterism_session::{Command, Dataset, ExportRows};
use egui::Ui;

use super::{App, dialogs, kit};
use crate::theme;

/// With what.
#[derive(Clone, Debug, Default, PartialEq)]
enum With {
    #[default]
    Nothing,
    Table(u32),
    Tap(String),
    Cone(String),
    Mast(&'static str),
}

/// Catalogues of MAST that answer cones.
const CATALOGUES: [(&str, &str); 4] = [
    ("gaiadr3", "MAST: Gaia DR3"),
    ("tic", "MAST: TIC"),
    ("hsc", "MAST: Hubble Source Catalog"),
    ("panstarrs", "MAST: Pan-STARRS"),
];

/// The form.
#[derive(Clone, Debug)]
pub struct Form {
    /// A service rather than a table.
    service: bool,
    with: With,
    radius: f64,
    unit: usize,
    find: Find,
    into: MatchInto,
    /// Columns of the table in front and of the other; empty for found by themselves.
    columns: [String; 4],
    table: String,
    selection: bool,
}

const UNITS: [(&str, f64); 3] = [("arcsec", 1.0), ("arcmin", 60.0), ("deg", 3600.0)];
const BY_ITSELF: &str = "by itself";

impl Form {
    /// A fresh form.
    pub fn new(service: bool, selection: bool) -> Self {
        Self {
            service,
            with: With::Nothing,
            radius: 1.0,
            unit: 0,
            find: Find::Best,
            into: MatchInto::Columns,
            columns: Default::default(),
            table: String::new(),
            selection,
        }
    }

    fn columns(&self, first: usize) -> Option<(String, String)> {
        let [a, b] = [self.columns[first].trim(), self.columns[first + 1].trim()];
        (!a.is_empty() && !b.is_empty()).then(|| (a.to_owned(), b.to_owned()))
    }

    /// The command, or what is missing.
    fn command(&self) -> Result<Command, &'static str> {
        let how = Matching {
            radius_arcsec: self.radius * UNITS[self.unit].1,
            find: self.find,
            into: self.into,
            columns: self.columns(0),
        };
        if how.into == MatchInto::Columns && how.find == Find::All {
            return Err("All pairs need a new table");
        }
        let rows = if self.selection { ExportRows::Selection } else { ExportRows::All };
        Ok(match &self.with {
            With::Nothing => return Err(if self.service { "Choose a service" } else { "Choose a table" }),
            With::Table(id) => Command::MatchTables { with: *id, columns: self.columns(2), how },
            With::Tap(base) => {
                if self.table.trim().is_empty() {
                    return Err("Name a table of the service");
                }
                let columns = self.columns(2).unwrap_or_else(|| ("ra".into(), "dec".into()));
                let by = MatchBy::Upload { base: base.clone(), table: self.table.trim().into(), columns };
                Command::MatchService { by, rows, how }
            }
            With::Cone(base) => Command::MatchService { by: MatchBy::Cone { base: base.clone() }, rows, how },
            With::Mast(catalog) => Command::MatchService { by: MatchBy::Mast { catalog: (*catalog).into() }, rows, how },
        })
    }
}

/// Draw it when it is open.
pub fn show(app: &mut App, ui: &mut Ui) {
    let Some(mut form) = app.doors.matching.take() else { return };
    let Some(front) = app.session.doc().dataset().cloned() else { return };
    let theme = app.theme.clone();
    let others: Vec<(u32, String)> = app
        .session
        .doc()
        .datasets
        .iter()
        .filter(|d| d.id != front.id && d.table.rows() > 0)
        .map(|d| (d.id, format!("{} · {} rows", d.name, kit::thousands(d.table.rows()))))
        .collect();
    let services: Vec<(With, String)> = app
        .session
        .settings()
        .services
        .saved
        .iter()
        .filter_map(|s| match s.kind {
            Kind::Tap => Some((With::Tap(s.url.clone()), format!("{} (list uploaded)", s.name))),
            Kind::Cone => Some((With::Cone(s.url.clone()), format!("{} (row by row)", s.name))),
            _ => None,
        })
        .chain(CATALOGUES.iter().map(|(word, name)| (With::Mast(word), format!("{name} (row by row)"))))
        .collect();
    let selected = app.session.doc().selection.rows.count();
    form.selection &= selected > 0;
    let schema = if let With::Tap(base) = &form.with { app.session.schema(base) } else { None };
    let (mut done, mut dropped) = (false, false);
    let closed = dialogs::modal(ui, "match", &theme, 470.0, |ui| {
        let title = if form.service { "Match with a service" } else { "Match two tables" };
        ui.label(egui::RichText::new(title).font(theme::semibold(15.0)));
        kit::note(ui, theme.third, format!("{}: which rows lie at the same place in the sky", front.name));
        ui.add_space(8.0);
        kit::row(ui, &theme, "With", "Whose rows are looked for", |ui| {
            if form.service {
                pick(ui, "With", &mut form.with, &services, "choose a service");
            } else {
                let tables: Vec<(With, String)> = others.iter().map(|(id, n)| (With::Table(*id), n.clone())).collect();
                pick(
                    ui,
                    "With",
                    &mut form.with,
                    &tables,
                    if tables.is_empty() { "open a second table first" } else { "choose a table" },
                );
            }
        });
        if matches!(form.with, With::Tap(_)) {
            kit::row(ui, &theme, "Its table", "As it stands in a query, with its schema", |ui| {
                let tables = schema.as_ref().map_or(0, |s| s.tables.len());
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    let more = kit::caret(ui, &theme, "Tables of the service", tables > 0)
                        .on_hover_text("The tables of the service that have what is typed in their names")
                        .on_disabled_hover_text("The service has not told its tables yet");
                    egui::Popup::menu(&more).show(|ui| {
                        if let Some(schema) = &schema {
                            tables_of(ui, &mut form, schema);
                        }
                    });
                    kit::text(ui, &theme, &mut form.table, "schema.table");
                });
            });
        }
        kit::row(ui, &theme, "Radius", "How far apart a pair may be", |ui| {
            let drag = egui::DragValue::new(&mut form.radius).range(0.001..=3600.0).speed(0.05).max_decimals(3);
            ui.add(drag).accessible_name("Radius of the match");
            egui::ComboBox::from_id_salt("unit").selected_text(UNITS[form.unit].0).width(70.0).show_ui(ui, |ui| {
                for (i, (name, _)) in UNITS.iter().enumerate() {
                    ui.selectable_value(&mut form.unit, i, *name);
                }
            });
        });
        kit::row(ui, &theme, "Pairs", "Which of the pairs within the radius", |ui| {
            let names = [
                (Find::Best, "Best", "Each row is the other's nearest: every row at most once"),
                (Find::Each, "Nearest", "For each row of this table the nearest; one of the others may serve many"),
                (Find::All, "All", "Every pair within the radius"),
            ];
            for (find, name, help) in names {
                ui.radio_value(&mut form.find, find, name).on_hover_text(help);
                ui.add_space(8.0);
            }
        });
        kit::row(ui, &theme, "Becomes", "What is made of it", |ui| {
            let shown = |into| match into {
                MatchInto::Columns => "columns of this table",
                MatchInto::Pairs => "a new table of the pairs",
                MatchInto::AllRows => "a new table of all rows",
            };
            egui::ComboBox::from_id_salt("into").selected_text(shown(form.into)).width(200.0).show_ui(ui, |ui| {
                for into in [MatchInto::Columns, MatchInto::Pairs, MatchInto::AllRows] {
                    ui.selectable_value(&mut form.into, into, shown(into));
                }
            });
        });
        let mine: Vec<String> = numbers(&front);
        column_row(ui, &theme, "My positions", &mut form.columns[..2], &mine);
        match &form.with {
            With::Table(id) => {
                let theirs = app.session.doc().datasets.iter().find(|d| d.id == *id).map(|d| numbers(d)).unwrap_or_default();
                column_row(ui, &theme, "Its positions", &mut form.columns[2..], &theirs);
            }
            With::Tap(_) => {
                kit::row(ui, &theme, "Its positions", "Columns with right ascension and declination, degrees", |ui| {
                    for (i, hint) in [(2, "ra"), (3, "dec")] {
                        let edit = egui::TextEdit::singleline(&mut form.columns[i]).hint_text(hint).desired_width(110.0);
                        ui.add(edit).accessible_name(format!("Its {hint}"));
                    }
                })
            }
            _ => {}
        }
        if form.service && selected > 0 {
            kit::row(ui, &theme, "Rows", "", |ui| {
                ui.checkbox(&mut form.selection, format!("the {} selected only", kit::thousands(selected)));
            });
        }
        ui.add_space(4.0);
        let about = match (form.into, form.service) {
            (MatchInto::Columns, _) => "Rows that are not found become a subset. Undo takes the columns out.",
            (_, _) => "The new table is kept as a Parquet file beside the settings.",
        };
        kit::note(ui, theme.third, about);
        ui.add_space(10.0);
        let made = form.command();
        ui.horizontal(|ui| {
            let go = kit::primary(ui, &theme, "Match", made.is_ok());
            let go = if let Err(why) = &made { go.on_disabled_hover_text(*why) } else { go };
            done = go.clicked();
            dropped = kit::button(ui, "Cancel", true).clicked();
            if let Err(why) = &made {
                kit::note(ui, theme.third, *why);
            }
        });
        if done && let Ok(command) = made {
            app.commands.push(command);
        }
    });
    if !done && !closed && !dropped {
        app.doors.matching = Some(form);
    }
}

fn numbers(dataset: &Dataset) -> Vec<String> {
    let table = &dataset.table;
    (0..table.columns().len()).filter(|i| table.is_numeric(*i)).map(|i| table.columns()[i].name.clone()).collect()
}

/// Tables in the list at most; typing makes it shorter.
const MOST_LISTED: usize = 200;

/// The tables of the service, to be chosen; one that marks its positions fills in their columns.
fn tables_of(ui: &mut Ui, form: &mut Form, schema: &TapSchema) {
    ui.set_min_width(320.0);
    ui.set_max_width(400.0);
    let typed = form.table.trim().to_lowercase();
    // A name that was chosen is no reason to hide the others.
    let whole = schema.tables.iter().any(|t| t.name.to_lowercase() == typed);
    let fits = |t: &&TapTable| typed.is_empty() || whole || t.name.to_lowercase().contains(&typed);
    egui::ScrollArea::vertical().max_height(320.0).min_scrolled_height(240.0).show(ui, |ui| {
        let mut none = true;
        for table in schema.tables.iter().filter(fits).take(MOST_LISTED) {
            none = false;
            if ui.button(&table.name).on_hover_text(&table.description).clicked() {
                form.table.clone_from(&table.name);
                let of = |axis: &str| {
                    let ucd = format!("pos.eq.{axis}");
                    let main = table.columns.iter().find(|c| c.ucd.to_lowercase().starts_with(&format!("{ucd};meta.main")));
                    let any = || table.columns.iter().find(|c| c.ucd.to_lowercase().starts_with(&ucd));
                    main.or_else(any).map(|c| c.name.clone())
                };
                if let (Some(ra), Some(dec)) = (of("ra"), of("dec")) {
                    (form.columns[2], form.columns[3]) = (ra, dec);
                }
                ui.close();
            }
        }
        if none {
            ui.label("No table of the service has this in its name.");
        }
    });
}

fn pick(ui: &mut Ui, name: &str, with: &mut With, list: &[(With, String)], none: &str) {
    let shown = list.iter().find(|(w, _)| w == with).map_or_else(|| none.to_owned(), |(_, n)| n.clone());
    let combo = egui::ComboBox::from_id_salt(name).selected_text(shown).width(ui.available_width()).truncate();
    let response = combo.show_ui(ui, |ui| {
        for (value, label) in list {
            ui.selectable_value(with, value.clone(), label);
        }
    });
    response.response.accessible_name(name);
}

fn column_row(ui: &mut Ui, theme: &theme::Theme, label: &str, columns: &mut [String], names: &[String]) {
    kit::row(ui, theme, label, "Columns with right ascension and declination; found by UCD or name", |ui| {
        for (i, column) in columns.iter_mut().enumerate() {
            let shown = if column.is_empty() { BY_ITSELF } else { column.as_str() };
            let combo = egui::ComboBox::from_id_salt((label, i)).selected_text(shown).width(124.0).truncate();
            let response = combo.show_ui(ui, |ui| {
                ui.selectable_value(column, String::new(), BY_ITSELF);
                for name in names {
                    ui.selectable_value(column, name.clone(), name);
                }
            });
            let word = if i == 0 { "right ascension" } else { "declination" };
            response.response.accessible_name(format!("{label}: {word}"));
        }
    });
}
