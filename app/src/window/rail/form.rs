//! What helps to ask: conditions on the service's own columns, the tables and examples of a TAP service, a look at the query, and
//! how many rows there would be.
//!
//! Columns come from the service when the first condition is begun; until they are here, and where they are not to be had, any
//! name can be typed.

use std::sync::Arc;

use asterism_session::archive::portal::Takes;
use asterism_session::archive::{FormColumn, FormOf, Kind, TapExample, TapSchema, check_adql};
use asterism_session::{Ask, Looked, Session};
use egui::{RichText, Ui};

use super::search::{Built, Service, address, build, form_of, takes};
use super::{Rail, State as RailState, kit};
use crate::theme::{self, Theme};

/// Columns in the list at most; typing makes it shorter.
const MOST_LISTED: usize = 80;

/// What the form knows of the service.
#[derive(Default)]
pub struct State {
    /// The service whose columns are wanted, once a condition is begun.
    pub want: Option<FormOf>,
    /// Its columns.
    pub columns: Option<Looked<Vec<FormColumn>>>,
    /// The TAP service whose examples are wanted.
    pub want_examples: Option<String>,
    /// They.
    pub examples: Option<Looked<Vec<TapExample>>>,
    /// A count waits for a name to be looked up.
    pub count_waits: bool,
    /// The list of columns was there in the last frame, so it opens by itself no more.
    listed: bool,
    /// What a list of tables is narrowed by.
    narrow: String,
    /// The query that was looked at last, with how many tables were known, and what was found.
    checked: (String, usize, Vec<String>),
}

impl State {
    /// A column by its name.
    pub fn column(&self, name: &str) -> Option<&FormColumn> {
        self.list()?.iter().find(|c| c.name == name.trim())
    }
    fn list(&self) -> Option<&Arc<Vec<FormColumn>>> {
        self.columns.as_ref()?.found()
    }
    /// Look up what is wanted.
    pub fn ask(&mut self, session: &mut Session) {
        if let Some(of) = &self.want {
            self.columns = Some(session.form(of));
        }
        if let Some(base) = &self.want_examples {
            self.examples = Some(session.examples(base));
        }
    }
}

/// Conditions: a column, and what it shall hold.
pub fn filter_rows(rail: &mut Rail<'_>, ui: &mut Ui) {
    let theme = rail.theme;
    ui.add_space(2.0);
    let state = &mut *rail.state;
    let (form, service) = (&mut state.form, &state.service);
    let columns = form.list().cloned();
    // Somebody who waits in the field for the list sees it come.
    let fresh = columns.is_some() != std::mem::replace(&mut form.listed, columns.is_some());
    let mut gone = None;
    let mut begun = false;
    for (i, (name, value)) in state.filters.iter_mut().enumerate() {
        ui.push_id(("filter", i), |ui| {
            ui.horizontal(|ui| {
                kit::field_look(ui, theme);
                ui.spacing_mut().item_spacing.x = 4.0;
                let edit = egui::TextEdit::singleline(name)
                    .hint_text(egui::RichText::new("column").color(theme.third))
                    .desired_width(kit::LABEL_PT + 14.0);
                let edit = ui.add(edit).accessible_name(format!("Filter {} column", i + 1));
                begun |= edit.has_focus() || !name.is_empty();
                if let Some(columns) = &columns {
                    column_list(theme, &edit, columns, name, fresh);
                }
                let column = columns.as_ref().and_then(|c| c.iter().find(|c| c.name == name.trim()));
                let hint = column.map_or_else(|| "A, B or 1..5 or *part*".to_owned(), FormColumn::hint);
                let room = ui.available_width() - 24.0;
                let edit =
                    egui::TextEdit::singleline(value).hint_text(egui::RichText::new(hint).color(theme.third)).desired_width(room);
                let edit = ui.add(edit).accessible_name(format!("Filter {} values", i + 1));
                match column {
                    Some(column) if !column.choices.is_empty() => choice_list(&edit, column, value),
                    Some(column) => {
                        edit.on_hover_ui(|ui| about(ui, theme, column));
                    }
                    None => {
                        edit.on_hover_text(
                            "Values with commas between, or a range 100..5000 (either end may be left out), or *part* of a text",
                        );
                    }
                }
                if kit::icon(ui, theme, &format!("Remove filter {}", i + 1), kit::draw_cross).clicked() {
                    gone = Some(i);
                }
            });
            if let Some(columns) = &columns
                && !name.trim().is_empty()
                && !value.trim().is_empty()
                && !columns.iter().any(|c| c.name == name.trim())
            {
                kit::note(ui, theme.warning, format!("The service lists no column '{}'.", name.trim()));
            }
        });
    }
    if let Some(i) = gone {
        state.filters.remove(i);
    }
    if state.filters.last().is_none_or(|(a, b)| !a.is_empty() && !b.is_empty()) {
        state.filters.push(Default::default());
    }
    if begun && form.want.is_none() {
        form.want = form_of(service);
    }
    match &form.columns {
        Some(Looked::Going) => {
            kit::note(ui, theme.third, "Asking for the columns…");
        }
        Some(Looked::Failed(why)) => {
            kit::note(ui, theme.third, "The list of columns is not to be had; any name can be typed.").on_hover_text(why);
        }
        _ => {}
    }
}

/// The columns whose name or title holds what was typed, below the field.
fn column_list(theme: &Theme, edit: &egui::Response, columns: &[FormColumn], name: &mut String, fresh: bool) {
    let open = edit.gained_focus() || edit.changed() || (fresh && edit.has_focus());
    let popup = egui::Popup::menu(edit).open_memory(to_open(edit, open));
    popup.close_behavior(egui::PopupCloseBehavior::CloseOnClick).show(|ui| {
        let typed = name.trim().to_lowercase();
        let fits = |c: &&FormColumn| c.name.to_lowercase().contains(&typed) || c.title.to_lowercase().contains(&typed);
        // All of them where one is chosen already, so that another may be.
        let chosen = columns.iter().any(|c| c.name.eq_ignore_ascii_case(&typed));
        let fitting: Vec<&FormColumn> = columns.iter().filter(|c| chosen || fits(c)).collect();
        ui.set_min_width(330.0);
        ui.set_max_width(420.0);
        if fitting.is_empty() {
            kit::note(ui, theme.third, format!("No column is called like '{}'.", name.trim()));
        }
        egui::ScrollArea::vertical().max_height(300.0).min_scrolled_height(300.0).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for column in fitting.iter().take(MOST_LISTED) {
                if two_words(ui, theme, &column.name, &column.title).on_hover_ui(|ui| about(ui, theme, column)).clicked() {
                    name.clone_from(&column.name);
                }
            }
            if fitting.len() > MOST_LISTED {
                kit::note(ui, theme.third, format!("and {} more: type a part of the name", fitting.len() - MOST_LISTED));
            }
        });
    });
}

/// Opens the list below a field, and closes it when the keyboard goes elsewhere.
fn to_open(edit: &egui::Response, open: bool) -> Option<egui::SetOpenCommand> {
    let left = edit.lost_focus() && edit.ctx.input(|i| i.key_pressed(egui::Key::Tab) || i.key_pressed(egui::Key::Escape));
    if left {
        return Some(egui::SetOpenCommand::Bool(false));
    }
    open.then_some(egui::SetOpenCommand::Bool(true))
}

/// A line of a list: a name in code, what it is beside it.
fn two_words(ui: &mut Ui, theme: &Theme, name: &str, what: &str) -> egui::Response {
    let width = ui.available_width();
    let (rect, response) = ui.allocate_exact_size(egui::vec2(width, 22.0), egui::Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, name));
    if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, 3.0, theme.hovered);
    }
    let left = kit::elided(ui, name, theme::mono(12.0), theme.text, width * 0.6);
    let used = left.size().x;
    ui.painter().galley(egui::pos2(rect.left() + 6.0, rect.center().y - left.size().y / 2.0), left, theme.text);
    let right = kit::elided(ui, what, theme::small(), theme.third, width - used - 26.0);
    ui.painter().galley(egui::pos2(rect.left() + used + 16.0, rect.center().y - right.size().y / 2.0), right, theme.third);
    response.on_hover_cursor(egui::CursorIcon::PointingHand)
}

/// A line of a list in words.
fn sentence(ui: &mut Ui, theme: &Theme, text: &str) -> egui::Response {
    let width = ui.available_width();
    let (rect, response) = ui.allocate_exact_size(egui::vec2(width, 24.0), egui::Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, text));
    if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, 3.0, theme.hovered);
    }
    let shown = kit::elided(ui, text, theme::body(), theme.text, width - 12.0);
    ui.painter().galley(egui::pos2(rect.left() + 6.0, rect.center().y - shown.size().y / 2.0), shown, theme.text);
    response.on_hover_cursor(egui::CursorIcon::PointingHand)
}

/// The values there are, to be ticked.
fn choice_list(edit: &egui::Response, column: &FormColumn, value: &mut String) {
    let popup = egui::Popup::menu(edit).open_memory(to_open(edit, edit.gained_focus()));
    popup.close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside).show(|ui| {
        ui.set_min_width(180.0);
        let mut ticked: Vec<String> = value.split(',').map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()).collect();
        for choice in &column.choices {
            let mut on = ticked.iter().any(|t| t.eq_ignore_ascii_case(choice));
            if ui.checkbox(&mut on, choice).changed() {
                ticked.retain(|t| !t.eq_ignore_ascii_case(choice));
                if on {
                    ticked.push(choice.clone());
                }
                *value = ticked.join(", ");
            }
        }
    });
}

/// What a column is, for a tooltip.
fn about(ui: &mut Ui, theme: &Theme, column: &FormColumn) {
    ui.set_max_width(360.0);
    let title = if column.title.is_empty() { &column.name } else { &column.title };
    let unit = if column.unit.is_empty() { String::new() } else { format!("  ({})", column.unit) };
    ui.label(egui::RichText::new(format!("{title}{unit}")).strong());
    if !column.description.is_empty() && column.description != *title {
        ui.label(&column.description);
    }
    if !column.example.is_empty() {
        ui.label(egui::RichText::new(&column.example).color(theme.third));
    }
    let takes = match column.kind {
        asterism_session::archive::FormKind::Number => "A number, several with commas between, or a range 1..5",
        asterism_session::archive::FormKind::Mjd => "A range of days, 59000..60000 (MJD) or 2020-01-01..2021-01-01",
        _ => "Values with commas between, or *part* of a text",
    };
    ui.label(egui::RichText::new(takes).font(theme::small()).color(theme.third));
}

/// Below the editor of a query: what was found wrong with it, the service's tables and its examples.
pub fn below_query(state: &mut RailState, ui: &mut Ui, theme: &Theme) {
    let schema = state.schema.clone();
    let known = schema.as_ref().map_or(0, |s| s.tables.len());
    if state.form.checked.0 != state.adql || state.form.checked.1 != known {
        // The query that a new form begins with is not whole, and nobody needs to be told.
        let whole = state.adql.trim() != super::search::DEFAULT_ADQL.trim();
        let found = if whole { check_adql(&state.adql, schema.as_deref()) } else { Vec::new() };
        state.form.checked = (state.adql.clone(), known, found);
    }
    for complaint in &state.form.checked.2 {
        kit::note(ui, theme.warning, complaint.clone()).on_hover_text("A query can be sent nevertheless");
    }
    let buttons = |ui: &mut Ui| {
        let base = state.want_schema.clone();
        let enabled = base.is_some();
        let tables = kit::button(ui, "Tables", enabled && schema.is_some())
            .on_hover_text("The tables and columns of the service; pressed, a name goes into the query")
            .on_disabled_hover_text("The service has not told its tables yet");
        egui::Popup::menu(&tables).close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside).show(|ui| {
            if let Some(schema) = &schema {
                browse(ui, theme, schema, &mut state.form.narrow, &mut state.adql);
            }
        });
        let examples = kit::button(ui, "Examples", enabled).on_hover_text("Queries that the service shows, and some of ours");
        if examples.clicked() {
            state.form.want_examples.clone_from(&base);
        }
        egui::Popup::menu(&examples).show(|ui| {
            ui.set_min_width(320.0);
            ui.set_max_width(380.0);
            let mut put = |ui: &mut Ui, name: &str, query: &str| {
                if sentence(ui, theme, name).on_hover_text(RichText::new(query).font(theme::mono(12.0))).clicked() {
                    query.clone_into(&mut state.adql);
                    ui.close();
                }
            };
            // A menu has the height of its first frame, when the service had not answered yet.
            egui::ScrollArea::vertical().max_height(360.0).min_scrolled_height(300.0).show(ui, |ui| {
                match &state.form.examples {
                    Some(Looked::Here(list)) if !list.is_empty() => {
                        for e in list.iter() {
                            put(ui, if e.name.is_empty() { "Without a name" } else { &e.name }, &e.query);
                        }
                    }
                    Some(Looked::Going) => {
                        kit::note(ui, theme.third, "Asking the service…");
                    }
                    _ => {
                        kit::note(ui, theme.third, "The service shows no examples.");
                    }
                }
                ui.separator();
                for (name, query) in own_examples(schema.as_deref()) {
                    put(ui, &name, &query);
                }
            });
        });
    };
    kit::steady(ui, "query buttons", |ui| ui.horizontal(buttons));
}

/// Queries for any service, with the names of its first table that has a position.
fn own_examples(schema: Option<&TapSchema>) -> Vec<(String, String)> {
    let mut list = vec![(
        "Tables and how many rows they have".to_owned(),
        "SELECT table_name, description\nFROM TAP_SCHEMA.tables\nORDER BY table_name".to_owned(),
    )];
    let is = |ucd: &str, word: &str| ucd.to_lowercase().starts_with(word);
    let placed = schema.into_iter().flat_map(|s| &s.tables).find_map(|t| {
        let of = |axis: &str| t.columns.iter().find(|c| is(&c.ucd, &format!("pos.eq.{axis};meta.main")) || c.name == axis);
        Some((t, of("ra")?, of("dec")?))
    });
    if let Some((table, ra, dec)) = placed {
        let (t, ra, dec) = (&table.name, &ra.name, &dec.name);
        list.push((
            format!("Around a position, in {t}"),
            format!(
                "SELECT TOP 1000 *\nFROM {t}\nWHERE 1 = CONTAINS(POINT('ICRS', {ra}, {dec}), CIRCLE('ICRS', 10.68, 41.27, 0.1))"
            ),
        ));
        list.push((format!("Some rows of {t}"), format!("SELECT TOP 100 *\nFROM {t}")));
    }
    list
}

/// The tables of a service, each with its columns; a name that is pressed goes to the end of the query.
fn browse(ui: &mut Ui, theme: &Theme, schema: &TapSchema, narrow: &mut String, query: &mut String) {
    ui.set_min_width(380.0);
    let hint = format!("narrow {} tables", kit::thousands(schema.tables.len()));
    kit::field_look(ui, theme);
    kit::text(ui, theme, narrow, &hint).accessible_name("Narrow the tables");
    let wanted = narrow.trim().to_lowercase();
    let fits = |text: &str| text.to_lowercase().contains(&wanted);
    let shown: Vec<_> = schema.tables.iter().filter(|t| wanted.is_empty() || fits(&t.name) || fits(&t.description)).collect();
    egui::ScrollArea::vertical().max_height(380.0).min_scrolled_height(300.0).auto_shrink([false, true]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        for table in shown.iter().take(300) {
            let title = egui::RichText::new(&table.name).font(theme::mono(12.0));
            let head = egui::CollapsingHeader::new(title).id_salt(&table.name).show(ui, |ui| {
                if !table.description.is_empty() {
                    kit::note(ui, theme.second, table.description.clone());
                }
                if kit::word(ui, theme, "Put the table into the query").clicked() {
                    add_word(query, &table.name);
                }
                for c in &table.columns {
                    let what = match (c.unit.is_empty(), c.description.is_empty()) {
                        (true, _) => c.description.clone(),
                        (false, true) => c.unit.clone(),
                        (false, false) => format!("{}: {}", c.unit, c.description),
                    };
                    let more = format!("{}\n{}  {}", c.description, c.datatype, c.ucd);
                    if two_words(ui, theme, &c.name, &what).on_hover_text(more.trim()).clicked() {
                        add_word(query, &c.name);
                    }
                }
            });
            if !table.description.is_empty() {
                head.header_response.on_hover_text(&table.description);
            }
        }
        if shown.len() > 300 {
            kit::note(ui, theme.third, format!("and {} more: narrow the list", kit::thousands(shown.len() - 300)));
        }
        if shown.is_empty() {
            kit::note(ui, theme.third, "No table is called like that.");
        }
    });
}

fn add_word(query: &mut String, word: &str) {
    if !query.is_empty() && !query.ends_with([' ', '\n', '(']) {
        query.push(' ');
    }
    query.push_str(word);
}

/// Whether the service that is chosen can count before it answers.
pub fn can_count(state: &RailState, session: &Session) -> bool {
    match (&state.service, address(state, session.settings()).0) {
        (Service::Mast | Service::Catalog("tic" | "ctl") | Service::Mission(_), _) => true,
        (Service::Portal(name), _) => matches!(takes(name), Takes::Conditions | Takes::ConditionsAndPlace),
        (_, kind) => kind == Some(Kind::Tap),
    }
}

/// The number of rows of the question in the form, where it was counted.
pub fn count_note(rail: &mut Rail<'_>, ui: &mut Ui) {
    let theme = rail.theme;
    let Built::Ask(ask) = build(rail.state, rail.session) else { return };
    let Some(counted) = rail.session.counted(&ask) else { return };
    ui.add_space(4.0);
    match counted {
        Looked::Going => kit::note(ui, theme.third, "Counting…"),
        Looked::Failed(why) => kit::note(ui, theme.error, why),
        Looked::Here(n) => kit::note(ui, theme.text, said(*n, &ask)),
    };
}

fn said(n: u64, ask: &Ask) -> String {
    let limit = match ask {
        Ask::Archive { request } => request.max_rows(),
        _ => None,
    };
    let rows = match n {
        0 => "No row fits.".to_owned(),
        1 => "One row fits.".to_owned(),
        n => format!("{} rows fit.", kit::thousands(usize::try_from(n).unwrap_or(usize::MAX))),
    };
    match limit {
        Some(limit) if (limit as u64) < n => format!("{rows} The search stops at {}.", kit::thousands(limit)),
        _ => rows,
    }
}
