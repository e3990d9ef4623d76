//! Step 1: whom to ask and what; the answer's tables, and the searches so far.

use asterism_session::archive::mission::MISSIONS;
use asterism_session::archive::portal::{self, Takes};
use asterism_session::archive::{self, Filter, FormOf, Kind, Request, parse_position, parse_radius};
use asterism_session::{Ask, Command, LedgerEntry, Settings, sample};
use egui::Ui;

use super::{Rail, State, kit};
use crate::theme;
use crate::window::actions::Action;

/// Whom to ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Service {
    /// A sample inside the program.
    Sample(String),
    /// Observations of all MAST missions.
    Mast,
    /// A catalogue at MAST.
    Catalog(&'static str),
    /// Another service of MAST's portal, by its own name.
    Portal(&'static str),
    /// The search of one mission at MAST, by its name in addresses.
    Mission(&'static str),
    /// Services of the Virtual Observatory, by words.
    Registry,
    /// A service kept in the settings, by its name.
    Saved(String),
    /// A TAP service by its address.
    Tap,
    /// A cone search by its address.
    Cone,
    /// Images or spectra by the service's address (SIA, SIA 2, SSA).
    Products(Kind),
    /// A partitioned catalogue by its address.
    Hats,
    /// A file.
    File,
}

const CATALOGS: [(&str, &str); 6] = [
    ("tic", "TESS Input Catalog"),
    ("ctl", "TESS Candidate Target List"),
    ("hsc", "Hubble Source Catalog"),
    ("gaiadr3", "Gaia DR3 at MAST"),
    ("panstarrs", "Pan-STARRS"),
    ("galex", "GALEX"),
];

/// What the editor of queries begins with.
pub const DEFAULT_ADQL: &str = "SELECT TOP 2000 *\nFROM ";

impl Service {
    /// The name that the person gave a service; others are named after what is asked.
    pub fn given_name(&self) -> Option<String> {
        if let Self::Saved(name) = self { Some(name.clone()) } else { None }
    }
    fn label(&self) -> String {
        match self {
            Self::Sample(name) => {
                sample::by_name(name).map_or_else(|| format!("Sample: {name}"), |s| format!("Sample: {}", s.title))
            }
            Self::Mast => "MAST observations".into(),
            Self::Catalog(name) => CATALOGS.iter().find(|c| c.0 == *name).map_or_else(|| (*name).to_owned(), |c| c.1.to_owned()),
            Self::Saved(name) => name.clone(),
            Self::Tap => "TAP service…".into(),
            Self::Cone => "Cone search…".into(),
            Self::Mission(name) => MISSIONS.iter().find(|m| m.0 == *name).map_or_else(|| (*name).to_owned(), |m| m.1.to_owned()),
            Self::Portal(name) => portal::find(name).map_or_else(|| (*name).to_owned(), |s| s.title.to_owned()),
            Self::Registry => "Find services…".into(),
            Self::Products(kind) => products_label(*kind).into(),
            Self::Hats => "Partitioned catalogue (HATS)…".into(),
            Self::File => "File…".into(),
        }
    }
}

fn products_label(kind: Kind) -> &'static str {
    match kind {
        Kind::Sia => "Images (SIA 1)…",
        Kind::Sia2 => "Images and cubes (SIA 2)…",
        _ => "Spectra (SSA)…",
    }
}

/// Conditions that have a value; dates are written as the service counts them.
fn filters_of(state: &State) -> Result<Vec<Filter>, String> {
    let typed = state.filters.iter().filter(|(name, value)| !name.trim().is_empty() && !value.trim().is_empty());
    typed
        .map(|(name, value)| {
            let value = state.form.column(name).map_or_else(|| value.trim().to_owned(), |c| c.value(value));
            format!("{}={value}", name.trim()).parse().map_err(|e: archive::Error| e.to_string())
        })
        .collect()
}

/// What a service of the portal is asked with.
pub fn takes(name: &str) -> Takes {
    portal::find(name).map_or(Takes::Nothing, |s| s.takes)
}

/// Whose columns the form shows; `None` where conditions on columns are not taken.
pub fn form_of(service: &Service) -> Option<FormOf> {
    match service {
        Service::Mast => Some(FormOf::Observations),
        Service::Catalog(name) if matches!(*name, "tic" | "ctl" | "panstarrs") => Some(FormOf::Catalog((*name).into())),
        Service::Mission(name) => Some(FormOf::Mission((*name).into())),
        Service::Portal(name) => {
            let conditions = matches!(takes(name), Takes::Conditions | Takes::ConditionsAndPlace | Takes::One { .. });
            conditions.then(|| FormOf::Portal((*name).into()))
        }
        _ => None,
    }
}

/// Names of columns with commas between.
pub fn columns_of(text: &str) -> Vec<String> {
    text.split(',').map(|c| c.trim().to_owned()).filter(|c| !c.is_empty()).collect()
}

/// What kind a service is, and its address.
pub fn address(state: &State, settings: &Settings) -> (Option<Kind>, String) {
    match &state.service {
        Service::Saved(name) => settings.services.find(name).map_or((None, String::new()), |s| (Some(s.kind), s.url.clone())),
        Service::Tap => (Some(Kind::Tap), state.base.trim().to_owned()),
        Service::Cone => (Some(Kind::Cone), state.base.trim().to_owned()),
        Service::Products(kind) => (Some(*kind), state.base.trim().to_owned()),
        Service::Hats => (Some(Kind::Hats), state.base.trim().to_owned()),
        _ => (None, String::new()),
    }
}

/// Fill the form from a question.
pub fn fill(state: &mut State, ask: &Ask, settings: &Settings) {
    let limit = |n: &Option<usize>| n.map_or(String::new(), |n| n.to_string());
    let place = |state: &mut State, ra: f64, dec: f64, radius: f64| {
        // What was typed stays as it was typed while it says the same.
        let same = state.position.trim().eq_ignore_ascii_case(state.looked_up.trim()) && !state.looked_up.is_empty();
        if !same && parse_position(&state.position) != Some((ra, dec)) {
            state.position = format!("{ra} {}{dec}", if dec.is_sign_negative() { "" } else { "+" });
        }
        if parse_radius(&state.radius).ok() != Some(radius) {
            state.radius = format!("{radius} deg");
        }
    };
    let saved =
        |base: &str, kind: Kind| settings.services.saved.iter().find(|s| s.url == base && s.kind == kind).map(|s| s.name.clone());
    state.complaint.clear();
    match ask {
        Ask::Sample { name, filter, max_rows } => {
            state.service = Service::Sample(name.clone());
            state.condition = filter.clone().unwrap_or_default();
            state.max_rows = limit(max_rows);
        }
        Ask::File { path, columns, filter, max_rows, .. } => {
            state.service = Service::File;
            state.columns = columns.join(", ");
            state.base = path.display().to_string();
            state.condition = filter.clone().unwrap_or_default();
            state.max_rows = limit(max_rows);
        }
        Ask::Archive { request } => {
            state.max_rows = limit(&request.max_rows());
            let texts = |filters: &[Filter]| {
                filters
                    .iter()
                    .filter_map(|f| f.to_string().split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())))
                    .chain([Default::default()])
                    .collect()
            };
            match request {
                Request::MastCone { ra_deg, dec_deg, radius_deg, .. } => {
                    state.service = Service::Mast;
                    place(state, *ra_deg, *dec_deg, *radius_deg);
                }
                Request::MastFiltered { filters, position, .. } => {
                    state.service = Service::Mast;
                    state.filters = texts(filters);
                    if let Some((ra, dec, radius)) = position {
                        place(state, *ra, *dec, *radius);
                    }
                }
                Request::MastCatalog { catalog, ra_deg, dec_deg, radius_deg, filters, .. } => {
                    if let Some(c) = CATALOGS.iter().find(|c| c.0 == catalog) {
                        state.service = Service::Catalog(c.0);
                    }
                    state.filters = texts(filters);
                    place(state, *ra_deg, *dec_deg, *radius_deg);
                }
                Request::Portal { service, position, filters, objects, .. } => {
                    // A list of objects is no question that the form could hold.
                    if let Some(s) = portal::find(service).filter(|_| objects.is_empty()) {
                        state.service = Service::Portal(s.name);
                    }
                    state.filters = texts(filters);
                    if let Some((ra, dec, radius)) = position {
                        place(state, *ra, *dec, *radius);
                    }
                }
                Request::Parts { plan } => fill(state, &Ask::Archive { request: (*plan.base).clone() }, settings),
                // Which observations they are of is no question that the form could hold.
                Request::MastProducts { .. } => state.service = Service::Mast,
                Request::Mission { mission, position, filters, .. } => {
                    if let Some(m) = MISSIONS.iter().find(|m| m.0.eq_ignore_ascii_case(mission)) {
                        state.service = Service::Mission(m.0);
                    }
                    state.filters = texts(filters);
                    if let Some((ra, dec, radius)) = position {
                        place(state, *ra, *dec, *radius);
                    }
                }
                Request::Registry { words, .. } => {
                    state.service = Service::Registry;
                    state.condition.clone_from(words);
                }
                Request::Sia2 { base, position, .. } => {
                    state.service = saved(base, Kind::Sia2).map_or(Service::Products(Kind::Sia2), Service::Saved);
                    state.base.clone_from(base);
                    if let Some((ra, dec, radius)) = position {
                        place(state, *ra, *dec, *radius);
                    }
                }
                Request::Hats { base, position, columns, filter, .. } => {
                    state.service = saved(base, Kind::Hats).map_or(Service::Hats, Service::Saved);
                    state.base.clone_from(base);
                    state.columns = columns.join(", ");
                    state.condition = filter.clone().unwrap_or_default();
                    if let Some((ra, dec, radius)) = position {
                        place(state, *ra, *dec, *radius);
                    }
                }
                // Which data sets they are of is no question that the form could hold.
                Request::MissionProducts { .. } | Request::DataLink { .. } => {}
                Request::Tap { base, adql, asynchronous, .. } => {
                    state.service = saved(base, Kind::Tap).map_or(Service::Tap, Service::Saved);
                    state.base.clone_from(base);
                    state.adql.clone_from(adql);
                    state.asynchronous = *asynchronous;
                }
                Request::Cone { base, ra_deg, dec_deg, radius_deg, .. } => {
                    state.service = saved(base, Kind::Cone).map_or(Service::Cone, Service::Saved);
                    state.base.clone_from(base);
                    place(state, *ra_deg, *dec_deg, *radius_deg);
                }
                Request::Sia { base, ra_deg, dec_deg, radius_deg, .. }
                | Request::Ssa { base, ra_deg, dec_deg, radius_deg, .. } => {
                    let kind = if matches!(request, Request::Sia { .. }) { Kind::Sia } else { Kind::Ssa };
                    state.service = saved(base, kind).map_or(Service::Products(kind), Service::Saved);
                    state.base.clone_from(base);
                    place(state, *ra_deg, *dec_deg, *radius_deg);
                }
            }
        }
    }
}

/// What became of reading the form.
pub enum Built {
    /// Ready to ask.
    Ask(Ask),
    /// A name has to be looked up first.
    LookUp(String),
    /// Something is missing or wrong.
    Wrong(String),
}

/// Read the form.
pub fn build(state: &State, rail: &asterism_session::Session) -> Built {
    match try_build(state, rail) {
        Ok(Some(ask)) => Built::Ask(ask),
        Ok(None) => Built::LookUp(state.position.trim().to_owned()),
        Err(text) => Built::Wrong(text),
    }
}

fn try_build(state: &State, session: &asterism_session::Session) -> Result<Option<Ask>, String> {
    let max_rows = match state.max_rows.trim().replace([',', ' '], "").as_str() {
        "" => None,
        text => Some(text.parse::<usize>().map_err(|_| format!("'{text}' is no number of rows"))?).filter(|n| *n > 0),
    };
    let filter = Some(state.condition.trim().to_owned()).filter(|c| !c.is_empty());
    let filters = || filters_of(state);
    let radius = || parse_radius(&state.radius).map_err(|e| e.to_string());
    // Ok(None): the name is not looked up yet.
    let place = || -> Result<Option<(f64, f64)>, String> {
        if let Some(at) = parse_position(&state.position) {
            return Ok(Some(at));
        }
        if state.position.trim().is_empty() {
            return Err("Give a position: a name such as M 31, or degrees such as 10.68 41.27".into());
        }
        if state.looked_up != state.position.trim() {
            return Ok(None);
        }
        match session.resolved() {
            Some(Ok(found)) => Ok(Some((found.ra_deg, found.dec_deg))),
            Some(Err(text)) => Err(text),
            None => Ok(None),
        }
    };
    let (kind, base) = address(state, session.settings());
    let archive = |request| Ok(Some(Ask::Archive { request }));
    match (&state.service, kind) {
        (Service::Sample(name), _) => Ok(Some(Ask::Sample { name: name.clone(), filter, max_rows })),
        (Service::File, _) => {
            let path = state.base.trim();
            if path.is_empty() {
                return Err("Give the path of a file, or press Browse".into());
            }
            Ok(Some(Ask::File {
                path: path.into(),
                columns: columns_of(&state.columns),
                photometry: Default::default(),
                filter,
                max_rows,
            }))
        }
        (Service::Mast, _) => {
            let filters = filters()?;
            if state.position.trim().is_empty() {
                if filters.is_empty() {
                    return Err("Give a position or a filter".into());
                }
                return archive(Request::MastFiltered { filters, position: None, max_rows });
            }
            let radius_deg = radius()?;
            match place()? {
                None => Ok(None),
                Some((ra_deg, dec_deg)) if filters.is_empty() => {
                    archive(Request::MastCone { ra_deg, dec_deg, radius_deg, max_rows })
                }
                Some((ra, dec)) => archive(Request::MastFiltered { filters, position: Some((ra, dec, radius_deg)), max_rows }),
            }
        }
        (Service::Catalog(catalog), _) => {
            let (filters, radius_deg) = (filters()?, radius()?);
            match place()? {
                None => Ok(None),
                Some((ra_deg, dec_deg)) => {
                    archive(Request::MastCatalog { catalog: (*catalog).into(), ra_deg, dec_deg, radius_deg, filters, max_rows })
                }
            }
        }
        (Service::Portal(name), _) => {
            let filters = filters()?;
            let question = |position| Request::Portal {
                service: (*name).into(),
                position,
                filters,
                objects: Vec::new(),
                radius_deg: None,
                max_rows,
            };
            let placed = matches!(takes(name), Takes::Place | Takes::ConditionsAndPlace);
            if !placed || (takes(name) == Takes::ConditionsAndPlace && state.position.trim().is_empty()) {
                return archive(question(None));
            }
            let radius = radius()?;
            match place()? {
                None => Ok(None),
                Some((ra, dec)) => archive(question(Some((ra, dec, radius)))),
            }
        }
        (Service::Mission(mission), _) => {
            let (mission, filters) = ((*mission).to_owned(), filters()?);
            let question = |position| Request::Mission { mission, position, filters, columns: Vec::new(), max_rows };
            if state.position.trim().is_empty() {
                if filters_of(state)?.is_empty() {
                    return Err("Give a position or a filter".into());
                }
                return archive(question(None));
            }
            let radius = radius()?;
            match place()? {
                None => Ok(None),
                Some((ra, dec)) => archive(question(Some((ra, dec, radius)))),
            }
        }
        (Service::Registry, _) => {
            let words = state.condition.trim().to_owned();
            if words.is_empty() {
                return Err("Give a word or two, such as: quasar spectra".into());
            }
            archive(Request::Registry { words, service: None, max_rows })
        }
        _ if base.is_empty() => Err("Give the address of the service".into()),
        (_, Some(Kind::Tap)) => {
            if state.adql.trim().is_empty() {
                return Err("Write a query in ADQL first".into());
            }
            archive(Request::Tap {
                base,
                adql: state.adql.clone(),
                asynchronous: state.asynchronous,
                max_rows,
                uploads: Vec::new(),
            })
        }
        (_, Some(Kind::Hats)) => {
            let columns = columns_of(&state.columns);
            let question = |position| Request::Hats { base, position, columns, filter, max_rows };
            if state.position.trim().is_empty() {
                if max_rows.is_none() {
                    return Err("Give a position and a radius, or a number of rows: catalogues are large".into());
                }
                return archive(question(None));
            }
            let radius = radius()?;
            match place()? {
                None => Ok(None),
                Some((ra, dec)) => archive(question(Some((ra, dec, radius)))),
            }
        }
        (_, kind) => {
            let radius_deg = radius()?;
            match place()? {
                None => Ok(None),
                Some((ra_deg, dec_deg)) => archive(match kind {
                    Some(Kind::Sia) => Request::Sia { base, ra_deg, dec_deg, radius_deg, max_rows },
                    Some(Kind::Sia2) => {
                        Request::Sia2 { base, position: Some((ra_deg, dec_deg, radius_deg)), parameters: Vec::new(), max_rows }
                    }
                    Some(Kind::Ssa) => Request::Ssa { base, ra_deg, dec_deg, radius_deg, max_rows },
                    _ => Request::Cone { base, ra_deg, dec_deg, radius_deg, max_rows },
                }),
            }
        }
    }
}

/// Draw the step.
pub fn show(rail: &mut Rail<'_>, ui: &mut Ui) {
    let theme = rail.theme;
    tables(rail, ui);
    kit::row(ui, theme, "Service", "Whom to ask: a sample, MAST, a Virtual Observatory service, or a file", |ui| {
        service(rail, ui)
    });
    let settings = rail.session.settings();
    let (kind, base) = address(rail.state, settings);
    let state = &mut *rail.state;
    match (&state.service, kind) {
        (Service::Sample(_), _) => where_row(ui, theme, state),
        (Service::File, _) => {
            kit::row(ui, theme, "File", "VOTable, FITS, Parquet, CSV, Arrow, ECSV, or a session", |ui| {
                kit::text(ui, theme, &mut state.base, "path, or drop a file here")
            });
            parts_row(rail, ui);
            let state = &mut *rail.state;
            columns_row(ui, theme, state);
            where_row(ui, theme, state);
        }
        (_, Some(Kind::Tap)) => {
            if state.service == Service::Tap {
                kit::row(ui, theme, "Address", "The service's base address, without /sync", |ui| {
                    kit::text(ui, theme, &mut state.base, "https://…/tap")
                });
            }
            if state.adql.trim().is_empty() {
                state.adql = DEFAULT_ADQL.into();
            }
            state.want_schema = Some(base.clone()).filter(|b| b.contains("://"));
            let schema = state.schema.clone();
            super::adql::editor(ui, theme, &mut state.editor, &mut state.adql, schema.as_deref());
            super::form::below_query(state, ui, theme);
            ui.checkbox(&mut state.asynchronous, "Run as a job on the server")
                .on_hover_text("UWS: for queries that take longer than a connection lives");
        }
        (Service::Mast | Service::Catalog(_) | Service::Mission(_), _) => {
            place_rows(rail, ui);
            if form_of(&rail.state.service).is_some() {
                super::form::filter_rows(rail, ui);
            } else {
                kit::note(ui, theme.third, "Takes a place only; select on columns in what comes back.");
            }
        }
        (Service::Portal(name), _) => {
            let takes = takes(name);
            if matches!(takes, Takes::Place | Takes::ConditionsAndPlace) {
                place_rows(rail, ui);
            }
            if form_of(&rail.state.service).is_some() {
                super::form::filter_rows(rail, ui);
            }
        }
        (_, Some(Kind::Hats)) => {
            if state.service == Service::Hats {
                kit::row(ui, theme, "Address", "Folder of the catalogue or collection: where hats.properties lies", |ui| {
                    kit::text(ui, theme, &mut state.base, "https://…/gaia_dr3")
                });
            }
            place_rows(rail, ui);
            columns_row(ui, theme, rail.state);
            where_row(ui, theme, rail.state);
        }
        (Service::Registry, _) => {
            kit::row(ui, theme, "Words", "Services whose title, description or subjects hold all of these words", |ui| {
                kit::text(ui, theme, &mut state.condition, "quasar spectra")
            });
        }
        _ => {
            if matches!(state.service, Service::Cone | Service::Products(_)) {
                kit::row(ui, theme, "Address", "The service's address, up to the ? or &", |ui| {
                    kit::text(ui, theme, &mut state.base, "https://…?")
                });
            }
            place_rows(rail, ui);
        }
    }
    kit::row(ui, theme, "Rows at most", "Stop after so many rows; empty for all there are", |ui| {
        kit::text(ui, theme, &mut rail.state.max_rows, "all")
    });
    if !rail.state.complaint.is_empty() {
        kit::note(ui, theme.error, rail.state.complaint.clone());
    }
    ui.add_space(4.0);
    let buttons = |ui: &mut Ui| {
        let label = if rail.state.waiting { "Looking up…" } else { "Search" };
        if kit::primary(ui, theme, label, !rail.state.waiting).on_hover_text("Ask, and show the answer as a new table").clicked()
        {
            rail.actions.push(Action::Search);
        }
        if super::form::can_count(rail.state, rail.session)
            && kit::button(ui, "Count", !rail.state.waiting).on_hover_text("Ask only how many rows there would be").clicked()
        {
            rail.actions.push(Action::Count);
        }
        if rail.state.service == Service::File
            && kit::button(ui, "Browse…", true).on_hover_text("Pick a file  (Ctrl+O)").clicked()
        {
            rail.actions.push(Action::Open);
        }
        kit::right(ui, |ui| rail.recipe_word(ui, 0));
    };
    kit::steady(ui, "search buttons", |ui| ui.horizontal(buttons));
    super::form::count_note(rail, ui);
    arriving(rail, ui);
    found_service(rail, ui);
    history(rail, ui);
}

/// With an answer of the registry in front: the service that is selected in it, to be asked or kept.
fn found_service(rail: &mut Rail<'_>, ui: &mut Ui) {
    let theme = rail.theme;
    let Some(dataset) = rail.session.doc().dataset().cloned() else { return };
    if dataset.loading || !matches!(&dataset.ask, Ask::Archive { request: Request::Registry { .. } }) {
        return;
    }
    ui.add_space(6.0);
    let rows = &rail.session.doc().selection.rows;
    let one = (rows.count() == 1).then(|| rows.iter().next()).flatten();
    let Some(row) = one else {
        kit::note(ui, theme.third, "Select one service in the table to ask it.");
        return;
    };
    let mut only = asterism_session::data::RowSet::empty(dataset.table.rows());
    only.insert(row);
    let service = dataset.table.take(&only).ok().and_then(|t| archive::registry::services_of(&t).into_iter().next());
    let Some((service, kind)) = service.and_then(|s| s.kind.map(|k| (s, k))) else {
        kit::note(ui, theme.third, "The selected service speaks no protocol that Asterism does.");
        return;
    };
    let name = if service.short_name.is_empty() { service.title.clone() } else { service.short_name.clone() };
    kit::note(ui, theme.second, format!("{name}  ({kind})")).on_hover_text(format!("{}\n{}", service.title, service.access_url));
    ui.horizontal(|ui| {
        if kit::button(ui, "Ask it", true).on_hover_text("Put this service into the form above").clicked() {
            rail.state.service = match kind {
                Kind::Tap | Kind::Obscore => Service::Tap,
                Kind::Sia | Kind::Sia2 | Kind::Ssa => Service::Products(kind),
                _ => Service::Cone,
            };
            rail.state.base.clone_from(&service.access_url);
            rail.state.schema = None;
            rail.state.want_schema = None;
        }
        let kept = rail.session.settings().services.saved.iter().any(|s| s.url == service.access_url);
        let keep = kit::button(ui, if kept { "Kept" } else { "Keep" }, !kept);
        if keep.on_hover_text("List it under Service from now on").clicked() {
            rail.actions.push(Action::KeepService(archive::SavedService {
                name: name.clone(),
                kind,
                url: service.access_url.clone(),
                description: service.title.clone(),
            }));
        }
    });
}

fn tables(rail: &mut Rail<'_>, ui: &mut Ui) {
    let doc = rail.session.doc();
    if doc.datasets.len() < 2 {
        return;
    }
    let now = doc.dataset().map_or_else(String::new, |d| d.name.clone());
    kit::row(ui, rail.theme, "Table", "The tables of this session; the one in front is shown", |ui| {
        egui::ComboBox::from_id_salt("tables").selected_text(now).width(ui.available_width()).truncate().show_ui(ui, |ui| {
            for (index, d) in doc.datasets.iter().enumerate() {
                let text = format!("{}   {}", d.name, kit::thousands(d.table.rows()));
                if ui.selectable_label(index == doc.active, text).clicked() {
                    rail.commands.push(Command::Activate { index });
                }
            }
            ui.separator();
            if ui.button("Close this table").clicked() {
                rail.commands.push(Command::CloseDataset { index: doc.active });
            }
        });
    });
}

/// A line of the list of services: whom it stands for, what it is called, and what is said about it.
type Listed = (Service, String, String);

/// All services under the heads that they stand under.
fn services(saved: &[archive::SavedService]) -> Vec<(&'static str, Vec<Listed>)> {
    let plain = |service: Service, name: &str| (service, name.to_owned(), String::new());
    let samples = sample::list().iter().map(|s| (Service::Sample(s.name.clone()), s.title.clone(), s.description.clone()));
    let about = "Hubble, JWST, Kepler, TESS, GALEX, IUE, FUSE, Pan-STARRS and more";
    let mut mast = vec![(Service::Mast, "Observations".to_owned(), about.to_owned())];
    mast.extend(CATALOGS.iter().map(|(name, title)| plain(Service::Catalog(name), title)));
    // Lists of one's own objects are matched elsewhere.
    let portal = portal::SERVICES.iter().filter(|s| s.takes != Takes::Objects);
    let portal = portal.map(|s| (Service::Portal(s.name), s.title.to_owned(), s.name.to_owned()));
    let missions = MISSIONS.iter().map(|(name, title, _)| plain(Service::Mission(name), title));
    let mut vo: Vec<Listed> = saved
        .iter()
        .map(|s| (Service::Saved(s.name.clone()), format!("{}  ({})", s.name, s.kind), s.description.clone()))
        .collect();
    vo.extend([plain(Service::Tap, "TAP service…"), plain(Service::Cone, "Cone search…")]);
    vo.extend([Kind::Sia, Kind::Sia2, Kind::Ssa].map(|kind| plain(Service::Products(kind), products_label(kind))));
    let words = "The registry of the Virtual Observatory, by words";
    vo.push((Service::Registry, "Find services…".into(), words.into()));
    let cells = "A large catalogue as Parquet files by cells of the sky: only what a circle needs is fetched";
    vo.push((Service::Hats, Service::Hats.label(), cells.into()));
    vec![
        ("Samples", samples.collect()),
        ("MAST", mast),
        ("More of MAST's portal", portal.collect()),
        ("One mission, all its columns", missions.collect()),
        ("Virtual Observatory", vo),
        ("On this machine", vec![plain(Service::File, "File…")]),
    ]
}

fn service(rail: &mut Rail<'_>, ui: &mut Ui) {
    let theme = rail.theme;
    let saved = &rail.session.settings().services.saved;
    let state = &mut *rail.state;
    let before = state.service.clone();
    egui::ComboBox::from_id_salt("service")
        .selected_text(before.label())
        .width(ui.available_width())
        .height(520.0)
        .truncate()
        .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
        .show_ui(ui, |ui| {
            ui.set_min_width(280.0);
            let field = kit::text(ui, theme, &mut state.service_words, "Find a service by its name");
            let field = field.accessible_name("Find a service by its name");
            // It is what is typed into as soon as the list is open.
            let open = egui::Id::unique("services are listed");
            let frame = ui.ctx().cumulative_frame_nr();
            let seen: u64 = ui.data(|d| d.get_temp(open)).unwrap_or(0);
            if seen + 1 < frame {
                state.service_words.clear();
                field.request_focus();
            }
            ui.data_mut(|d| d.insert_temp(open, frame));
            let words: Vec<String> = state.service_words.split_whitespace().map(str::to_lowercase).collect();
            let fits = |head: &str, line: &Listed| {
                let text = format!("{head} {} {}", line.1, line.2).to_lowercase();
                words.iter().all(|w| text.contains(w))
            };
            let enter = field.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter)) && !words.is_empty();
            let (mut any, mut chosen) = (false, None);
            for (head, lines) in services(saved) {
                let mut lines = lines.into_iter().filter(|l| fits(head, l)).peekable();
                if lines.peek().is_some() {
                    ui.add_space(4.0);
                    ui.label(egui::RichText::new(head).font(theme::small()).color(theme.third));
                }
                for (service, name, about) in lines {
                    let first = !std::mem::replace(&mut any, true);
                    let mut line = ui.selectable_label(state.service == service, name);
                    if !about.is_empty() {
                        line = line.on_hover_text(about);
                    }
                    if line.clicked() || (enter && first) {
                        chosen = Some(service);
                    }
                }
            }
            if !any {
                kit::note(ui, theme.third, "No service here has these words: choose Find services… to ask the registry");
            }
            if let Some(service) = chosen {
                state.service = service;
                ui.close();
            }
        });
    if state.service != before {
        state.complaint.clear();
        state.form = super::form::State::default();
        state.schema = None;
        state.want_schema = None;
        // The address is of another kind of service.
        state.base.clear();
        state.condition.clear();
        state.columns.clear();
    }
}

/// The tables of the file in front, where it holds several: another is opened beside the one that is shown.
fn parts_row(rail: &mut Rail<'_>, ui: &mut Ui) {
    let Some(dataset) = rail.session.doc().dataset().filter(|d| !d.tables.is_empty()).cloned() else { return };
    let Ask::File { path, .. } = &dataset.ask else { return };
    if path != std::path::Path::new(rail.state.base.trim()) {
        return;
    }
    let shown = dataset.tables.iter().find(|t| t.path == *path);
    let now = match shown {
        Some(table) => table.name.clone(),
        None if dataset.tables.len() == 1 => "1 table".into(),
        None => format!("{} tables", dataset.tables.len()),
    };
    kit::row(ui, rail.theme, "Part", "The tables in this file; the one that is chosen opens beside this one", |ui| {
        egui::ComboBox::from_id_salt("tables of the file").selected_text(now).width(ui.available_width()).truncate().show_ui(
            ui,
            |ui| {
                for table in &dataset.tables {
                    let text = format!("{}   {}", table.name, kit::thousands(table.rows));
                    if ui.selectable_label(shown == Some(table), text).clicked() && shown != Some(table) {
                        rail.commands.push(Command::Search { name: String::new(), ask: Ask::file(table.path.clone()) });
                    }
                }
            },
        );
    });
}

fn where_row(ui: &mut Ui, theme: &theme::Theme, state: &mut State) {
    kit::row(ui, theme, "Where", "Only rows for which this is true, in SQL: f_ha > 500 AND v_gas < 0", |ui| {
        kit::text(ui, theme, &mut state.condition, "every row")
    });
}

fn columns_row(ui: &mut Ui, theme: &theme::Theme, state: &mut State) {
    kit::row(
        ui,
        theme,
        "Columns",
        "Only these columns are read, with commas between: source_id, ra, dec, phot_g_mean_mag",
        |ui| kit::text(ui, theme, &mut state.columns, "every column"),
    );
}

fn place_rows(rail: &mut Rail<'_>, ui: &mut Ui) {
    let theme = rail.theme;
    let mut look_up = None;
    let state = &mut *rail.state;
    let response = kit::row(
        ui,
        theme,
        "Position",
        "A name (M 31, TIC 307210830, NGC 1275) or degrees ICRS (10.68 41.27) or sexagesimal",
        |ui| kit::text(ui, theme, &mut state.position, "M 31, or 10.68 41.27"),
    );
    if response.lost_focus()
        && parse_position(&state.position).is_none()
        && !state.position.trim().is_empty()
        && state.looked_up != state.position.trim()
    {
        look_up = Some(state.position.trim().to_owned());
    }
    let typed = state.position.trim().to_owned();
    if parse_position(&typed).is_none() && !typed.is_empty() && state.looked_up == typed {
        match rail.session.resolved() {
            Some(Ok(found)) => kit::note(
                ui,
                theme.third,
                format!("{}: {:.5} {:+.5} ({})", found.name, found.ra_deg, found.dec_deg, found.resolver),
            ),
            Some(Err(text)) => kit::note(ui, theme.error, text),
            None => kit::note(ui, theme.third, "looking up…"),
        };
    }
    kit::row(ui, theme, "Radius", "With its unit: 0.2 deg, 12 arcmin, 30 arcsec", |ui| {
        kit::text(ui, theme, &mut state.radius, "0.1 deg")
    });
    if let Some(name) = look_up {
        rail.actions.push(Action::Resolve(name));
    }
}

fn arriving(rail: &mut Rail<'_>, ui: &mut Ui) {
    let theme = rail.theme;
    let Some(dataset) = rail.session.doc().dataset().cloned() else { return };
    let jobs: Vec<_> =
        rail.session.jobs().iter().filter(|j| j.alive() && !j.is_map && (j.dataset == dataset.id)).cloned().collect();
    for job in jobs {
        ui.add_space(6.0);
        super::job_row(rail, ui, &job);
    }
    if super::parts::card(rail, ui, &dataset) {
        return;
    }
    let cut_off = dataset.table.truncated || dataset.ledger.last().is_some_and(|l| l.truncated);
    if cut_off && !dataset.loading {
        ui.add_space(6.0);
        egui::Frame::new().fill(theme.warning.gamma_multiply(0.14)).corner_radius(4.0).inner_margin(8.0).show(ui, |ui| {
            ui.set_width(ui.available_width());
            kit::note(
                ui,
                theme.warning,
                format!("This is not everything: the answer was cut off at {} rows.", kit::thousands(dataset.table.rows())),
            );
            if kit::button(ui, "Get the rest", true).on_hover_text("Ask again with the limit lifted").clicked() {
                rail.commands.push(Command::GetRest);
            }
        });
    }
}

fn history(rail: &mut Rail<'_>, ui: &mut Ui) {
    let theme = rail.theme;
    let Some(dataset) = rail.session.doc().dataset().cloned() else { return };
    if dataset.ledger.len() < 2 && dataset.ledger.last().is_none_or(|e| e.error.is_none() && dataset.ask_is_local()) {
        return;
    }
    ui.add_space(8.0);
    ui.label(egui::RichText::new("Searches").font(theme::small()).color(theme.third));
    for (i, entry) in dataset.ledger.iter().enumerate() {
        ledger_row(ui, theme, i + 1, entry);
    }
}

fn ledger_row(ui: &mut Ui, theme: &theme::Theme, number: usize, entry: &LedgerEntry) {
    let (rect, response) = ui.allocate_exact_size(egui::vec2(ui.available_width(), 20.0), egui::Sense::hover());
    let y = |g: &egui::Galley| rect.center().y - g.size().y / 2.0;
    let (text, colour) = match &entry.error {
        Some(_) => ("failed".to_owned(), theme.error),
        None if number > 1 => (
            format!("+{}  −{}  ={}", kit::thousands(entry.gained), kit::thousands(entry.lost), kit::thousands(entry.kept)),
            theme.second,
        ),
        None => (kit::thousands(entry.rows), theme.second),
    };
    let right = kit::elided(ui, &text, theme::small(), colour, rect.width() * 0.6);
    let left =
        kit::elided(ui, &format!("{number}  {}", entry.title), theme::small(), theme.third, rect.width() - right.size().x - 10.0);
    let (ly, ry) = (y(&left), y(&right));
    ui.painter().galley(egui::pos2(rect.right() - right.size().x, ry), right, colour);
    ui.painter().galley(egui::pos2(rect.left(), ly), left, theme.third);
    response.on_hover_ui(|ui| {
        ui.label(&entry.title);
        if let Some(error) = &entry.error {
            ui.label(egui::RichText::new(error).color(theme.error));
        }
        ui.label(format!("{} rows in {}", kit::thousands(entry.rows), kit::seconds(entry.seconds)));
        if number > 1 {
            ui.label(format!(
                "{} gained, {} lost, {} kept",
                kit::thousands(entry.gained),
                kit::thousands(entry.lost),
                kit::thousands(entry.kept)
            ));
        }
        if !entry.text.is_empty() {
            let shown: String = entry.text.chars().take(800).collect();
            ui.label(egui::RichText::new(shown).font(theme::mono(11.0)).color(theme.third));
        }
    });
}

trait Local {
    fn ask_is_local(&self) -> bool;
}

impl Local for asterism_session::Dataset {
    fn ask_is_local(&self) -> bool {
        !matches!(self.ask, Ask::Archive { .. })
    }
}
