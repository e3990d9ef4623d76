//! Every command of the window in one list: the menus, the keys, the palette and the page of
//! shortcuts are all read from it, so that none can be forgotten in one of them.

use std::path::PathBuf;

use asterism_session::reduce::{Method, Params};
use asterism_session::{Ask, ClusterOn, Command, ExportRows, Outliers, SelectMode, products, sample};
use egui::{Key, KeyboardShortcut, Modifiers};

use crate::cx::Tool;
use crate::panes::Pane;

use super::App;

/// What a menu, a key or a button asks of the window.
#[derive(Clone)]
pub enum Action {
    /// A command of the session.
    Do(Command),
    /// Take a tool in hand.
    Tool(Tool),
    /// Show a file dialog.
    Open,
    /// Show a file dialog for images of the table in front.
    AddImage,
    /// Open a path, or an address.
    OpenPath(PathBuf),
    /// Open a sample.
    Sample(String),
    /// Write the session where it was written before.
    Save,
    /// Ask where, then write the session.
    SaveAs,
    /// Ask where, then write the recipe.
    SaveRecipe,
    /// Put the recipe into the clipboard.
    CopyRecipe,
    /// Put a text into the clipboard; the second is said about it.
    Copy(String, &'static str),
    /// Ask where, then write rows in the format of that ending.
    Export(ExportRows, &'static str),
    /// Ask where, then write rows as a VOTable of this serialisation.
    ExportVotable(ExportRows, asterism_data::Serialization),
    /// Ask where, then write the products' addresses.
    ExportProducts(ExportRows, &'static str),
    /// Ask for a folder, then download the products into it.
    Download(ExportRows),
    /// List a service under Service.
    KeepService(asterism_session::archive::SavedService),
    /// Ask where, then write the picture of the views.
    SavePicture(&'static str),
    /// Show or leave the start page.
    StartPage,
    /// End the program.
    Quit,
    /// Show the palette.
    Palette,
    /// Show the keys.
    Shortcuts,
    /// Show the settings.
    Settings,
    /// Show what this is.
    About,
    /// Light or dark.
    Theme,
    /// Bring the first layout back.
    FirstLayout,
    /// Add a view.
    AddView(fn() -> Pane),
    /// Make everything larger or smaller; 0 for the natural size.
    Zoom(f32),
    /// Fold a step of the rail open and go there.
    Step(usize),
    /// Press the button of the step Search.
    Search,
    /// Ask how many rows the search in the form would give.
    Count,
    /// Press the button of the step Map.
    StartMap,
    /// Choose a method in the step Map, then press its button.
    MapBy(Method),
    /// Press the button of the step Refine.
    FitRule,
    /// Keep the selection under the name typed in the rail.
    SaveSelection,
    /// Look a name up.
    Resolve(String),
    /// Say that something typed is wrong.
    Say(String),
    /// Show the view of what is behind the selected row.
    Behind,
    /// Show the dialog for the token of a MAST account.
    Token,
    /// Show the view of the jobs of TAP services.
    TapJobs,
    /// Show the dialog that matches the table in front, with a service or with another table.
    Match(bool),
}

/// One line of a menu.
pub struct Entry {
    /// The menu that it stands in.
    pub menu: &'static str,
    /// What it is called.
    pub name: String,
    /// Its key.
    pub key: Option<KeyboardShortcut>,
    /// What it does.
    pub action: Action,
    /// Whether it can be done now.
    pub enabled: bool,
    /// A line stands above it.
    pub line: bool,
    /// Shown with a mark.
    pub checked: bool,
}

/// Names of the menus, in order.
pub const MENUS: [&str; 7] = ["File", "Edit", "View", "Select", "Map", "Share", "Help"];

/// The tools with their keys and what they do.
pub const TOOLS: [(Tool, &str, Key, &str); 7] = [
    (Tool::Pan, "Pan", Key::H, "Drag moves the view. Wheel zooms at the cursor, double click frames all."),
    (Tool::Lasso, "Lasso", Key::L, "Drag a free outline around points. Shift+drag does it with any tool and adds."),
    (
        Tool::Polygon,
        "Polygon",
        Key::P,
        "Click the corners of an outline; Enter, a double click or a click on the first corner closes it, Backspace takes one back.",
    ),
    (Tool::Box, "Box", Key::R, "Drag a rectangle around points."),
    (Tool::Circle, "Circle", Key::C, "Drag a circle from its centre."),
    (Tool::Brush, "Brush", Key::B, "Paint over points. Ctrl+wheel sets the size of the brush."),
    (
        Tool::Range,
        "Range",
        Key::X,
        "Drag a range along either axis; its ends and the bar between them can be dragged afterwards.",
    ),
];

/// The modes with what they do.
pub const MODES: [(SelectMode, &str, &str); 6] = [
    (SelectMode::New, "New", "The next gesture makes a new subset"),
    (SelectMode::Replace, "Replace", "The next gesture replaces the selection"),
    (SelectMode::Or, "Or", "The next gesture adds to the selection"),
    (SelectMode::And, "And", "The next gesture keeps only what is in both"),
    (SelectMode::Xor, "Xor", "The next gesture keeps what is in one but not both"),
    (SelectMode::AndNot, "And not", "The next gesture removes from the selection"),
];

/// Formats for tables.
pub const FORMATS: [(&str, &str); 4] = [("VOTable", "vot"), ("FITS", "fits"), ("Parquet", "parquet"), ("CSV", "csv")];

/// Tables of one file that the menu offers; the form has all.
const FILE_TABLES: usize = 8;
const CTRL: Modifiers = Modifiers::COMMAND;
const CTRL_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);

/// How a key is written for a person.
pub fn key_text(key: &KeyboardShortcut) -> String {
    let mut text = String::new();
    if key.modifiers.command || key.modifiers.ctrl {
        text.push_str(if cfg!(target_os = "macos") { "⌘" } else { "Ctrl+" });
    }
    if key.modifiers.alt {
        text.push_str("Alt+");
    }
    if key.modifiers.shift {
        text.push_str("Shift+");
    }
    text.push_str(match key.logical_key {
        Key::Comma => ",",
        Key::Escape => "Esc",
        Key::Plus => "+",
        Key::Minus => "-",
        other => other.name(),
    });
    text
}

struct List(Vec<Entry>);

impl List {
    fn add(
        &mut self,
        menu: &'static str,
        name: impl Into<String>,
        key: Option<(Modifiers, Key)>,
        enabled: bool,
        action: Action,
    ) -> &mut Entry {
        let key = key.map(|(m, k)| KeyboardShortcut::new(m, k));
        self.0.push(Entry { menu, name: name.into(), key, action, enabled, line: false, checked: false });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }
}

/// Everything that can be done, as things stand.
pub fn entries(app: &App) -> Vec<Entry> {
    let doc = app.session.doc();
    let data = doc.dataset().is_some();
    let selected = doc.selection.any();
    let rule = doc.dataset().is_some_and(|d| d.rule.is_some());
    let has_products = data;
    let mut l = List(Vec::with_capacity(96));

    l.add("File", "Open…", Some((CTRL, Key::O)), true, Action::Open);
    l.add("File", "Add images to this table…", None, data, Action::AddImage);
    for path in app.session.settings().recent.iter().take(6) {
        let name = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
        l.add("File", format!("Open {name}"), None, true, Action::OpenPath(path.clone()));
    }
    for (i, s) in sample::list().iter().enumerate() {
        l.add("File", format!("Sample: {}", s.title), None, true, Action::Sample(s.name.clone())).line = i == 0;
    }
    l.add("File", "Save session", Some((CTRL, Key::S)), data, Action::Save).line = true;
    l.add("File", "Save session as…", Some((CTRL_SHIFT, Key::S)), data, Action::SaveAs);
    l.add("File", "Save recipe…", None, data, Action::SaveRecipe);
    l.add("File", "Stop the recipe", None, app.session.playing().is_some(), Action::Do(Command::StopRecipe));
    l.add("File", "Copy as recipe", None, data, Action::CopyRecipe);
    for (i, (name, ending)) in FORMATS.iter().enumerate() {
        l.add(
            "File",
            format!("Export selection as {name}…"),
            (i == 0).then_some((CTRL, Key::E)),
            selected,
            Action::Export(ExportRows::Selection, ending),
        )
        .line = i == 0;
    }
    for (name, ending) in FORMATS {
        l.add("File", format!("Export all rows as {name}…"), None, data, Action::Export(ExportRows::All, ending));
    }
    let listed = doc.dataset().is_some_and(|d| products::obsid_column(&d.table).is_some());
    l.add(
        "File",
        "Show the products of the selection",
        None,
        selected && listed,
        Action::Do(Command::ListProducts { rows: ExportRows::Selection }),
    )
    .line = true;
    l.add(
        "File",
        "Products of the selection as a list…",
        None,
        selected && has_products,
        Action::ExportProducts(ExportRows::Selection, "txt"),
    );
    l.add(
        "File",
        "Products of the selection as a script…",
        None,
        selected && has_products,
        Action::ExportProducts(ExportRows::Selection, "sh"),
    );
    l.add("File", "Download the products of the selection…", None, selected, Action::Download(ExportRows::Selection));
    l.add("File", "Behind this row: links and cut-outs", Some((CTRL, Key::B)), selected, Action::Behind);
    l.add("File", "Save picture as PNG…", None, data, Action::SavePicture("png"));
    l.add("File", "Save picture as SVG…", None, data, Action::SavePicture("svg"));
    l.add("File", "Save picture as PDF…", None, data, Action::SavePicture("pdf"));
    let tables = doc.dataset().map(|d| (d.tables.as_slice(), &d.ask));
    for (i, table) in tables.iter().flat_map(|(list, _)| list.iter()).take(FILE_TABLES).enumerate() {
        let shown = matches!(tables, Some((_, Ask::File { path, .. })) if *path == table.path);
        let open = Command::Search { name: String::new(), ask: Ask::file(table.path.clone()) };
        l.add("File", format!("Open table {} of this file", table.name), None, !shown, Action::Do(open)).line = i == 0;
    }
    l.add("File", "Start page", None, true, Action::StartPage).line = true;
    l.add("File", "Close table", None, data, Action::Do(Command::CloseDataset { index: doc.active }));
    l.add("File", "Quit", Some((CTRL, Key::Q)), true, Action::Quit);

    let undo = app.session.undo_name().map_or("Undo".to_owned(), |n| format!("Undo {n}"));
    let redo = app.session.redo_name().map_or("Redo".to_owned(), |n| format!("Redo {n}"));
    l.add("Edit", undo, Some((CTRL, Key::Z)), app.session.undo_name().is_some(), Action::Do(Command::Undo));
    l.add("Edit", redo, Some((CTRL_SHIFT, Key::Z)), app.session.redo_name().is_some(), Action::Do(Command::Redo));
    for (i, (tool, name, key, _)) in TOOLS.into_iter().enumerate() {
        let e = l.add("Edit", format!("Tool: {name}"), Some((Modifiers::NONE, key)), true, Action::Tool(tool));
        e.line = i == 0;
        e.checked = app.shared.tool == tool;
    }
    l.add("Edit", "Search", None, true, Action::Search).line = true;
    l.add("Edit", "Count the rows of this search", None, super::rail::can_count(&app.rail, &app.session), Action::Count);
    l.add(
        "Edit",
        "Get the rest of a truncated answer",
        None,
        data && doc.dataset().is_some_and(|d| d.table.truncated),
        Action::Do(Command::GetRest),
    );
    l.add("Edit", "Match two tables…", None, data && doc.datasets.len() > 1, Action::Match(false)).line = true;
    l.add("Edit", "Match with a service…", None, data, Action::Match(true));
    l.add("Edit", "Jobs of TAP services", None, data, Action::TapJobs);
    l.add("Edit", "MAST token…", None, true, Action::Token).line = true;
    l.add("Edit", "Settings…", Some((CTRL, Key::Comma)), true, Action::Settings);

    l.add("View", "Find any command…", Some((CTRL, Key::K)), true, Action::Palette);
    for (i, name) in ["Search", "Features", "Map", "Subsets", "Refine", "Take"].iter().enumerate() {
        l.add(
            "View",
            format!("Step {}: {name}", i + 1),
            Some((CTRL, [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6][i])),
            true,
            Action::Step(i),
        )
        .line = i == 0;
    }
    for (i, (name, make)) in Pane::kinds().iter().enumerate() {
        l.add("View", format!("Add view: {name}"), None, data, Action::AddView(*make)).line = i == 0;
    }
    l.add("View", "Layout: bring the first one back", None, data, Action::FirstLayout).line = true;
    l.add("View", if app.theme.dark { "Light theme" } else { "Dark theme" }, Some((CTRL, Key::T)), true, Action::Theme).line =
        true;
    l.add("View", "Larger", Some((CTRL, Key::Plus)), true, Action::Zoom(0.1));
    l.add("View", "Smaller", Some((CTRL, Key::Minus)), true, Action::Zoom(-0.1));
    l.add("View", "Natural size", Some((CTRL, Key::Num0)), true, Action::Zoom(0.0));

    l.add("Select", "Select all", Some((CTRL, Key::A)), data, Action::Do(Command::SelectAll));
    l.add("Select", "Invert selection", Some((CTRL, Key::I)), data, Action::Do(Command::InvertSelection));
    l.add("Select", "The 30 rows most alike", Some((CTRL, Key::L)), selected, Action::Do(Command::SelectAlike { k: 30 }));
    l.add("Select", "The 300 rows most alike", None, selected, Action::Do(Command::SelectAlike { k: 300 }));
    l.add("Select", "Clear selection", None, selected, Action::Do(Command::ClearSelection));
    let e = l.add("Select", "Hide the rest", Some((CTRL, Key::H)), data, Action::Do(Command::HideRest { hide: !doc.hide_rest }));
    e.checked = doc.hide_rest;
    l.add("Select", "Save selection", Some((CTRL, Key::D)), selected, Action::SaveSelection);
    for (i, (mode, name, _)) in MODES.into_iter().enumerate() {
        let e = l.add("Select", format!("Mode: {name}"), None, true, Action::Do(Command::SetMode { mode }));
        e.line = i == 0;
        e.checked = doc.mode == mode;
    }
    if let Some(dataset) = doc.dataset() {
        for (i, s) in dataset.subsets.iter().take(12).enumerate() {
            l.add(
                "Select",
                format!("Subset: {}", s.name),
                None,
                true,
                Action::Do(Command::SelectSubset { id: s.id, mode: None }),
            )
            .line = i == 0;
        }
        l.add("Select", "Rows that match the rule", None, rule, Action::Do(Command::SelectRule)).line = true;
    }

    maps(app, &mut l, data, selected);
    programs(app, &mut l, data, selected);

    l.add("Help", "Keys and mouse", Some((Modifiers::NONE, Key::F1)), true, Action::Shortcuts);
    l.add("Help", "About Asterism", None, true, Action::About);
    l.0
}

/// What is computed: maps, clusters, scores, rules.
fn maps(app: &App, l: &mut List, data: bool, selected: bool) {
    let dataset = app.session.doc().dataset();
    let rows = dataset.is_some_and(|d| d.table.rows() > 0);
    let map = dataset.and_then(|d| d.map());
    l.add("Map", "Start map", Some((CTRL, Key::M)), rows, Action::StartMap);
    for (i, method) in METHODS.into_iter().enumerate() {
        let label = asterism_session::session::method_label(method);
        l.add("Map", format!("Map by {label}"), None, rows, Action::MapBy(method)).line = i == 0;
    }
    let params = super::rail::map_params(&app.rail);
    let goes_on = map.is_some_and(|m| m.params.method == Method::Tsne) && params.method == Method::Tsne;
    let on = Params { iterations: 250, settle: false, ..params };
    l.add("Map", "Let the map go on", None, goes_on, Action::Do(Command::GoOn { params: on }));
    for (i, job) in app.session.jobs().iter().filter(|j| j.alive() && j.dataset != 0).enumerate() {
        let paused = job.state() == asterism_session::JobState::Paused;
        let id = job.id;
        let (word, command) = if paused { ("Resume", Command::ResumeJob { id }) } else { ("Pause", Command::PauseJob { id }) };
        l.add("Map", format!("{word} {}", job.name), None, true, Action::Do(command)).line = i == 0;
        l.add("Map", format!("Cancel {}", job.name), None, true, Action::Do(Command::CancelJob { id }));
    }
    let rail = &app.rail;
    for (on, word, can) in [(ClusterOn::Vectors, "vectors", data), (ClusterOn::Map, "map", map.is_some())] {
        l.add("Map", format!("k-means of the {word}"), None, can, Action::Do(Command::KMeans { k: rail.k, on })).line = true;
        l.add("Map", format!("Gaussian mixture of the {word}"), None, can, Action::Do(Command::Mixture { k: rail.parts, on }));
        let c = Command::Hdbscan { min_cluster_size: rail.min_size, min_samples: rail.min_samples, on };
        l.add("Map", format!("HDBSCAN of the {word}"), None, can, Action::Do(c));
        for how in [Outliers::Lof, Outliers::Forest] {
            let name = format!("Outliers of the {word}: {}", how.label());
            l.add("Map", name, None, can, Action::Do(Command::ScoreOutliers { how, on }));
        }
    }
    let rule = dataset.is_some_and(|d| d.rule.is_some());
    l.add("Map", "Fit rule", Some((CTRL, Key::R)), selected, Action::FitRule).line = true;
    l.add("Map", "Search again", Some((CTRL_SHIFT, Key::R)), rule, Action::Do(Command::SearchAgain));
}

/// The methods of maps, as they stand in the rail.
const METHODS: [Method; 5] = [Method::Tsne, Method::Umap, Method::Pacmap, Method::Pca, Method::Autoencoder];

/// What goes to other programs of this desktop.
fn programs(app: &App, l: &mut List, data: bool, selected: bool) {
    let Some(interop) = app.session.interop() else {
        l.add("Share", "Connect to TOPCAT, Aladin, DS9…", None, true, Action::Do(Command::Connect));
        return;
    };
    let peers = interop.peers();
    let with = |mtype: &str| peers.iter().any(|p| p.takes(mtype));
    let tables = with("table.load.votable");
    let all = Command::SendTable { rows: ExportRows::All, to: None };
    l.add("Share", "Send the table to all programs", None, data && tables, Action::Do(all));
    let rows = if selected { ExportRows::Selection } else { ExportRows::All };
    let what = if selected { "selection" } else { "table" };
    for peer in peers.iter().filter(|p| p.takes("table.load.votable")).take(6) {
        let to = Some(peer.id.clone());
        l.add("Share", format!("Send the {what} to {}", peer.name), None, data, Action::Do(Command::SendTable { rows, to }));
    }
    let e = l.add(
        "Share",
        "Share the selection with other programs",
        None,
        data && (tables || interop.sharing()),
        Action::Do(Command::ShareSelection { on: !interop.sharing() }),
    );
    e.checked = interop.sharing();
    let points = with("coord.pointAt.sky") || with("table.highlight.row");
    l.add("Share", "Point other programs at the selected row", None, selected && points, Action::Do(Command::PointOut));
    let image = app.session.doc().dataset().is_some_and(|d| !d.images.is_empty());
    l.add("Share", "Send the image to other programs", None, image && with("image.load.fits"), Action::Do(Command::SendImage));
    let spectrum = app.session.doc().dataset().is_some_and(|d| d.spectra.is_some() && (selected || d.table.rows() == 1));
    let takes = with("spectrum.load.ssa-generic");
    l.add("Share", "Send the row's spectrum to other programs", None, spectrum && takes, Action::Do(Command::SendSpectrum));
    l.add("Share", "Disconnect from other programs", None, true, Action::Do(Command::Disconnect));
}

/// The command that opens a path or a word of the command line, by what it is.
pub fn open_command(path: PathBuf) -> Command {
    let text = path.to_string_lossy().into_owned();
    if text.to_ascii_lowercase().ends_with(".asterism") {
        return Command::OpenSession { path };
    }
    if text.to_ascii_lowercase().ends_with(".toml") {
        return Command::OpenRecipe { path };
    }
    if let Some(name) = text.strip_prefix("sample:") {
        return Command::OpenSample { name: name.into() };
    }
    Command::Search { name: String::new(), ask: Ask::file(path) }
}
