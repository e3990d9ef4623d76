//! The window: it reads the session each frame, queues commands, and applies them after the frame.
//!
//! One frame goes so: [`eframe::App::logic`] takes in what jobs found and what file dialogs gave,
//! keeps the session and sets the time of the next look; [`eframe::App::ui`] reads the keys, draws
//! the bars, the rail, the views and the foot, and then applies what was asked for. Nothing in a
//! frame waits for a file, a service or a sum. When nothing runs, no frame is drawn.

pub mod actions;
mod device;
mod dialogs;
mod doors;
pub mod kit;
mod large;
mod matching;
mod menu;
mod open;
mod palette;
pub mod rail;
mod settings;
mod start_page;
mod tiles;
mod token;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asterism_session::{Command, NoticeLevel, Session, Settings, recipe};
use egui::{Key, Modifiers, Ui};
use egui_tiles::{TileId, Tree};
use parking_lot::Mutex;

use crate::cx::{Cx, Shared};
use crate::panes::{self, Pane};
use crate::picture;
use crate::theme::{self, Theme};

pub use actions::Action;
pub(crate) use open::has_display;
pub use open::{open, run, run_as};

/// Heights of the bars, points.
const MENU_HEIGHT: f32 = 31.0;
const TOOLS_HEIGHT: f32 = 40.0;
/// Width of the rail at first, points.
const RAIL_WIDTH: f32 = 288.0;
/// How long after a change the session is kept.
const KEEP_AFTER: Duration = Duration::from_secs(3);

/// A message where the person is looking.
struct Toast {
    level: NoticeLevel,
    text: String,
    until: Instant,
}

/// Facts that threads of the window's own bring.
type Said = Arc<Mutex<Vec<(NoticeLevel, String)>>>;

/// The window.
pub struct App {
    /// The document and its jobs.
    pub session: Session,
    /// Colours in force.
    pub theme: Theme,
    /// State that no document keeps.
    pub shared: Shared,
    /// The rail's forms.
    pub rail: rail::State,
    commands: Vec<Command>,
    actions: Vec<Action>,
    tree: Tree<Pane>,
    /// Trees of the tables that are not in front.
    trees: HashMap<u32, Tree<Pane>>,
    /// Tables whose views a person arranged.
    arranged: HashSet<u32>,
    front: Option<u32>,
    /// What the first layout of the table in front was made for.
    made_for: (bool, bool, bool),
    before_press: String,
    /// The keyboard was in a field at the end of the last frame: egui leaves the field on Esc before anybody is asked.
    typing: bool,
    palette: palette::State,
    dialogs: dialogs::State,
    doors: doors::State,
    large: large::State,
    settings: settings::State,
    start: start_page::State,
    toasts: Vec<Toast>,
    notices_seen: usize,
    /// Session files opened so far, as last seen.
    opened: u64,
    info: Option<(String, Instant)>,
    said: Said,
    keep_at: Option<Instant>,
    memory: Option<(Instant, u64)>,
    render: Option<egui_wgpu::RenderState>,
    device: device::Watch,
    /// Who takes the session when the device is lost; none in a window that nothing follows.
    hands: Option<device::Hands>,
    title: String,
    closing: bool,
}

impl App {
    /// The window on a session. `open` are files, sessions or `sample:NAME`s; with none, the
    /// session is opened on the sample, unless it has a document already or a crash left one.
    pub fn new(cc: &eframe::CreationContext<'_>, mut session: Session, open: Vec<PathBuf>) -> Self {
        let ctx = &cc.egui_ctx;
        theme::install_fonts(ctx);
        let theme = theme::of(session.settings().light_theme);
        theme::apply(ctx, &theme);
        let zoom = session.settings().zoom;
        if zoom > 0.0 {
            ctx.set_zoom_factor(zoom.clamp(0.6, 3.0));
        }
        ctx.options_mut(|o| o.zoom_with_keyboard = false);
        let waker = ctx.clone();
        // At most about 30 frames a second for what jobs bring: later calls fall into the same wait.
        session.set_asks_first(true);
        session.set_waker(Arc::new(move || waker.request_repaint_after(Duration::from_millis(33))));
        let recovery = Session::recovery();
        let mut app = Self {
            theme,
            shared: Shared { brush_radius_pt: 16.0, ..Shared::default() },
            rail: rail::State::default(),
            commands: open.iter().cloned().map(actions::open_command).collect(),
            actions: Vec::new(),
            tree: panes::default_layout(None),
            trees: HashMap::new(),
            arranged: HashSet::new(),
            front: None,
            made_for: (false, false, false),
            before_press: String::new(),
            typing: false,
            palette: palette::State::default(),
            dialogs: dialogs::State::default(),
            doors: doors::State::default(),
            large: large::State::default(),
            settings: settings::State::default(),
            start: start_page::State::new(recovery.clone()),
            toasts: Vec::new(),
            notices_seen: session.notices().len(),
            opened: session.opened(),
            info: None,
            said: Said::default(),
            keep_at: None,
            memory: None,
            render: cc.wgpu_render_state.clone(),
            device: device::Watch::new(cc.wgpu_render_state.as_ref(), {
                let ctx = ctx.clone();
                move || ctx.request_repaint()
            }),
            hands: None,
            title: String::new(),
            closing: false,
            session,
        };
        if let Some(render) = &app.render {
            let (device, queue) = (render.device.clone(), render.queue.clone());
            let context = asterism_session::reduce::gpu::Context::new(device, queue, render.adapter.get_info());
            app.session.set_gpu(context);
        }
        let empty = app.session.doc().datasets.is_empty();
        if empty && open.is_empty() && recovery.is_none() {
            app.session.open_first();
        }
        if empty
            && open.is_empty()
            && let Some(kept) = recovery
        {
            if device::after_loss() {
                let said = "The graphics device was lost and the program started again, on the session as it was";
                app.session.notice(NoticeLevel::Warning, said);
                app.commands.push(actions::open_command(kept));
            } else {
                app.start.open = true;
            }
        }
        app.take_layouts();
        app
    }

    /// Show the start page rather than a table.
    pub fn with_start_page(mut self) -> Self {
        self.start.open = true;
        self
    }

    /// The adapter's back end and the memory in use, for the foot.
    fn machine(&mut self) -> String {
        let stale = self.memory.is_none_or(|(at, _)| at.elapsed() > Duration::from_secs(1));
        if stale {
            self.memory = Some((Instant::now(), memory_bytes()));
        }
        let bytes = self.memory.map_or(0, |m| m.1);
        let adapter =
            self.render.as_ref().map(|r| format!("{} · ", backend_name(r.adapter.get_info().backend))).unwrap_or_default();
        if bytes == 0 { adapter.trim_end_matches(" · ").to_owned() } else { format!("{adapter}{} MB", bytes / 1_000_000) }
    }

    /// The adapter's name in full.
    fn adapter_long(&self) -> String {
        match &self.render {
            Some(r) => {
                let info = r.adapter.get_info();
                format!("{} ({}), {} {}", info.name, backend_name(info.backend), info.driver, info.driver_info)
            }
            None => "No graphics adapter: drawn in software".into(),
        }
    }

    /// Who draws the marks.
    fn tier(&self) -> String {
        device::tier(self.render.as_ref())
    }

    /// The last thing that was said in passing, while it is fresh.
    fn said(&self) -> Option<String> {
        self.info.as_ref().filter(|(_, until)| *until > Instant::now()).map(|(text, _)| text.clone())
    }

    fn say(&mut self, text: impl Into<String>) {
        self.info = Some((text.into(), Instant::now() + Duration::from_secs(5)));
    }

    // ------------------------------------------------------------------ layout

    /// Trees that the document brought.
    fn take_layouts(&mut self) {
        let layouts = &self.session.doc().layout;
        self.trees.clear();
        self.arranged.clear();
        self.front = None;
        let Some(all) = layouts.get("trees").and_then(|t| t.as_object()) else { return };
        for (id, tree) in all {
            // A pane of a newer version is no reason to refuse the rest: the first layout takes its place.
            if let (Ok(id), Ok(tree)) = (id.parse::<u32>(), serde_json::from_value::<Tree<Pane>>(tree.clone())) {
                self.trees.insert(id, tree);
                self.arranged.insert(id);
            }
        }
    }

    /// The trees as the document keeps them.
    fn layouts(&self) -> serde_json::Value {
        let mut all = serde_json::Map::new();
        let front = self.front.map(|id| (id, &self.tree));
        for (id, tree) in self.trees.iter().map(|(id, t)| (*id, t)).chain(front) {
            if self.arranged.contains(&id)
                && let Ok(value) = serde_json::to_value(tree)
            {
                all.insert(id.to_string(), value);
            }
        }
        serde_json::json!({ "trees": all })
    }

    /// Bring the tree of the table in front; make the first one for a table that has none.
    fn match_tree(&mut self) {
        let Some(dataset) = self.session.doc().dataset().cloned() else {
            if let Some(front) = self.front.take() {
                let tree = std::mem::replace(&mut self.tree, panes::default_layout(None));
                self.trees.insert(front, tree);
            }
            return;
        };
        let shape = (dataset.spectra.is_some(), !dataset.images.is_empty(), !dataset.table.columns().is_empty());
        if self.front != Some(dataset.id) {
            let tree = self.trees.remove(&dataset.id).unwrap_or_else(|| panes::default_layout(Some(&dataset)));
            let old = std::mem::replace(&mut self.tree, tree);
            if let Some(front) = self.front.replace(dataset.id) {
                self.trees.insert(front, old);
            }
            self.made_for = shape;
        } else if self.made_for != shape && !self.arranged.contains(&dataset.id) {
            self.tree = panes::default_layout(Some(&dataset));
            self.made_for = shape;
        }
    }

    fn tree_text(&self) -> String {
        serde_json::to_string(&self.tree).unwrap_or_default()
    }

    fn arranged_by_hand(&mut self) {
        if let Some(front) = self.front {
            self.arranged.insert(front);
            let layout = self.layouts();
            self.commands.push(Command::SetLayout { layout });
        }
    }

    // ------------------------------------------------------------------ doing

    fn apply(&mut self, ctx: &egui::Context, command: Command) {
        if self.large.takes(ctx, &command) {
            ctx.request_repaint();
            return;
        }
        let started = matches!(
            command,
            Command::Search { .. }
                | Command::OpenSample { .. }
                | Command::OpenSession { .. }
                | Command::OpenRecipe { .. }
                | Command::Activate { .. }
        );
        if matches!(command, Command::SaveSession { .. }) {
            let layout = self.layouts();
            // Setting the layout cannot fail.
            let _ = self.session.apply(Command::SetLayout { layout });
        }
        // What goes wrong stands in the log, from which the toasts are made.
        if self.session.apply(command).is_ok() && started {
            self.start.open = false;
        }
        self.changed();
        ctx.request_repaint();
    }

    fn changed(&mut self) {
        if self.keep_at.is_none() {
            self.keep_at = Some(Instant::now() + KEEP_AFTER);
        }
    }

    fn act(&mut self, ctx: &egui::Context, action: Action) {
        use dialogs::Purpose;
        ctx.request_repaint();
        match action {
            Action::Do(command) => self.apply(ctx, command),
            Action::Tool(tool) => self.shared.tool = tool,
            Action::Open => self.dialogs.pick(ctx, Purpose::Open, String::new()),
            Action::AddImage => self.dialogs.pick(ctx, Purpose::Image, String::new()),
            Action::OpenPath(path) => self.apply(ctx, actions::open_command(path)),
            Action::Sample(name) => {
                self.apply(ctx, Command::OpenSample { name });
            }
            Action::Save => match self.session.path().filter(|p| !dialogs::is_kept(p)).map(PathBuf::from) {
                Some(to) => self.apply(ctx, Command::SaveSession { to }),
                None => self.act(ctx, Action::SaveAs),
            },
            Action::SaveAs => self.dialogs.pick(ctx, Purpose::Session, format!("{}.asterism", self.stem())),
            Action::SaveRecipe => self.dialogs.pick(ctx, Purpose::Recipe, format!("{}.toml", self.stem())),
            Action::CopyRecipe => {
                ctx.copy_text(recipe::of_document(self.session.doc()));
                self.say("Copied the recipe: save it and run it with `asterism run`");
            }
            Action::Copy(text, about) => {
                if !text.is_empty() {
                    ctx.copy_text(text);
                }
                self.say(about);
            }
            Action::Export(rows, ending) => {
                self.dialogs.pick(ctx, Purpose::Export(rows, Default::default()), format!("{}.{ending}", self.stem()))
            }
            Action::ExportVotable(rows, how) => {
                self.dialogs.pick(ctx, Purpose::Export(rows, how), format!("{}.vot", self.stem()))
            }
            Action::ExportProducts(rows, ending) => {
                self.dialogs.pick(ctx, Purpose::Products(rows), format!("{}-products.{ending}", self.stem()))
            }
            Action::Download(rows) => self.dialogs.pick(ctx, Purpose::Download(rows), String::new()),
            Action::KeepService(service) => {
                let name = service.name.clone();
                self.session.settings_mut().services.saved.push(service);
                self.keep_settings();
                self.session.notice(NoticeLevel::Info, format!("{name} is listed under Service from now on"));
            }
            Action::SavePicture(ending) => self.dialogs.pick(ctx, Purpose::Picture(None), format!("{}.{ending}", self.stem())),
            Action::StartPage => self.start.open = !self.start.open,
            Action::Quit => ctx.send_viewport_cmd(egui::ViewportCommand::Close),
            Action::Palette => self.palette.show(),
            Action::Shortcuts => self.dialogs.shortcuts = !self.dialogs.shortcuts,
            Action::Settings => self.settings.open = !self.settings.open,
            Action::About => self.dialogs.about = true,
            Action::Theme => {
                let light = self.theme.dark;
                self.theme = theme::of(light);
                theme::apply(ctx, &self.theme);
                self.session.settings_mut().light_theme = light;
                self.keep_settings();
            }
            Action::FirstLayout => {
                if let Some(dataset) = self.session.doc().dataset() {
                    self.tree = panes::default_layout(Some(dataset));
                    self.arranged.remove(&dataset.id);
                    let layout = self.layouts();
                    self.apply(ctx, Command::SetLayout { layout });
                }
            }
            Action::AddView(make) => {
                tiles::add(&mut self.tree, None, make());
                self.arranged_by_hand();
            }
            Action::Zoom(by) => {
                let zoom = if by == 0.0 { 1.0 } else { (ctx.zoom_factor() + by).clamp(0.6, 3.0) };
                ctx.set_zoom_factor(zoom);
                self.session.settings_mut().zoom = zoom;
                self.keep_settings();
            }
            Action::Step(step) => self.rail.go_to = Some(step),
            Action::Search => self.search(ctx),
            Action::Count => self.count(ctx),
            Action::MapBy(method) => {
                self.rail.params.method = method;
                self.act(ctx, Action::StartMap);
            }
            Action::StartMap => {
                tiles::bring_map(&mut self.tree);
                let params = rail::map_params(&self.rail);
                self.apply(ctx, Command::StartMap { name: String::new(), params });
            }
            Action::FitRule => {
                let (columns, balance) = (self.rail.rule_columns.clone(), self.rail.balance);
                self.apply(ctx, Command::FitRule { columns, balance });
            }
            Action::SaveSelection => {
                let name = std::mem::take(&mut self.rail.subset_name);
                self.apply(ctx, Command::SaveSubset { name: name.trim().to_owned() });
            }
            Action::Resolve(name) => {
                self.session.resolve(&name);
                self.rail.looked_up = name;
            }
            Action::Say(text) => self.session.notice(NoticeLevel::Warning, text),
            Action::Behind => self.wish(ctx, crate::cx::Wish::Behind),
            Action::Token => self.show_token(),
            Action::TapJobs => self.show_tap_jobs(),
            Action::Match(service) => {
                self.doors.matching = Some(matching::Form::new(service, self.session.doc().selection.any()))
            }
        }
    }

    /// Ask what the form of the rail says; look the name up first where there is one.
    fn search(&mut self, ctx: &egui::Context) {
        self.rail.complaint.clear();
        self.rail.waiting = false;
        match rail::build(&self.rail, &self.session) {
            rail::Built::Ask(ask) => {
                let name = self.rail.service.given_name().unwrap_or_default();
                self.apply(ctx, Command::Search { name, ask });
            }
            rail::Built::LookUp(name) => {
                self.rail.waiting = true;
                if self.rail.looked_up != name {
                    self.act(ctx, Action::Resolve(name));
                }
            }
            // What is wrong with a name is told below it already.
            rail::Built::Wrong(text) if self.session.resolved().is_some_and(|r| r.is_err_and(|e| e == text)) => {}
            rail::Built::Wrong(text) => self.rail.complaint = text,
        }
    }

    /// Ask how many rows the form's question has; look the name up first where there is one.
    fn count(&mut self, ctx: &egui::Context) {
        self.rail.complaint.clear();
        self.rail.form.count_waits = false;
        match rail::build(&self.rail, &self.session) {
            rail::Built::Ask(ask) => self.session.count(&ask),
            rail::Built::LookUp(name) => {
                self.rail.form.count_waits = true;
                if self.rail.looked_up != name {
                    self.act(ctx, Action::Resolve(name));
                }
            }
            rail::Built::Wrong(text) if self.session.resolved().is_some_and(|r| r.is_err_and(|e| e == text)) => {}
            rail::Built::Wrong(text) => self.rail.complaint = text,
        }
    }

    /// A file name from the table's.
    fn stem(&self) -> String {
        let name = self.session.doc().dataset().map_or("asterism", |d| d.name.as_str());
        let plain: String =
            name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c.to_ascii_lowercase() } else { '-' }).collect();
        plain.trim_matches('-').chars().take(60).collect()
    }

    fn keep_settings(&mut self) {
        if let Err(e) = self.session.settings().save() {
            self.session.notice(NoticeLevel::Warning, format!("the settings could not be kept: {e}"));
        }
    }

    /// Write the views as they are now as a picture, or one of them alone, in a thread of its own.
    fn save_picture(&mut self, ctx: &egui::Context, to: PathBuf, only: Option<TileId>) {
        let shown = tiles::shown(&self.tree, only);
        let all = shown.iter().fold(egui::Rect::NOTHING, |all, (_, rect)| all.union(*rect));
        if !all.is_positive() {
            return self.session.notice(NoticeLevel::Warning, "no view is open that could be drawn");
        }
        let mut page = picture::Page::new([all.width(), all.height()].map(|v| v.round() as u32), self.theme.clone());
        page.scale = (ctx.pixels_per_point() * 2.0).min(4.0);
        let views = shown.into_iter().map(|(pane, rect)| {
            let rect = rect.translate(-all.min.to_vec2());
            page.frames.push([rect.left(), rect.top(), rect.width(), rect.height()].map(f64::from));
            let view = picture::words::Paned { redshift: Some(self.shared.redshift), ..pane.into() };
            picture::View::Pane(Box::new(view))
        });
        let views: Vec<picture::View> = views.collect();
        let (doc, said, ctx) = (self.session.doc().clone(), self.said.clone(), ctx.clone());
        self.say("Drawing the picture…");
        let work = move || {
            let outcome = match picture::save(&doc, &views, &page, &to) {
                Ok(None) => (NoticeLevel::Info, format!("Wrote the picture to {}", to.display())),
                Ok(Some(missing)) => (NoticeLevel::Warning, format!("Wrote the picture to {}: {missing}", to.display())),
                Err(e) => (NoticeLevel::Error, e.to_string()),
            };
            said.lock().push(outcome);
            ctx.request_repaint();
        };
        if let Err(e) = std::thread::Builder::new().name("picture".into()).spawn(work) {
            self.session.notice(NoticeLevel::Error, format!("the picture could not be drawn: {e}"));
        }
    }

    /// What a file dialog gave.
    fn picked(&mut self, ctx: &egui::Context, purpose: dialogs::Purpose, path: PathBuf) {
        use dialogs::Purpose;
        match purpose {
            Purpose::Open => self.apply(ctx, actions::open_command(path)),
            Purpose::Image => {
                let name = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
                let address = std::path::absolute(&path).unwrap_or(path).display().to_string();
                self.apply(ctx, Command::OpenProduct { address, name, by_job: false });
            }
            Purpose::Session => self.apply(ctx, Command::SaveSession { to: path }),
            Purpose::Recipe => self.apply(ctx, Command::SaveRecipe { to: path }),
            Purpose::Export(rows, serialization) => self.apply(ctx, Command::Export { rows, to: path, serialization }),
            Purpose::Download(rows) => self.apply(ctx, Command::Download { rows, to: path }),
            Purpose::Products(rows) => self.apply(ctx, Command::ExportProducts { rows, to: path }),
            Purpose::Picture(only) => self.save_picture(ctx, path, only),
            Purpose::Product => self.save_product(ctx, path),
        }
    }

    // ------------------------------------------------------------------ parts of a frame

    fn keys(&mut self, ctx: &egui::Context) {
        if !ctx.input(|i| i.events.iter().any(|e| matches!(e, egui::Event::Key { pressed: true, .. }))) {
            return;
        }
        if self.palette.open || self.modal() {
            return;
        }
        let typing = ctx.text_edit_focused();
        if !typing
            && ctx.input_mut(|i| {
                i.consume_key(Modifiers::NONE, Key::Questionmark) || i.consume_key(Modifiers::SHIFT, Key::Questionmark)
            })
        {
            self.actions.push(Action::Shortcuts);
            return;
        }
        let mut entries = actions::entries(self);
        // Ctrl+Shift+Z must be looked for before Ctrl+Z.
        entries.sort_by_key(|e| e.key.map_or(0, |k| -i32::from(k.modifiers.shift)));
        for entry in entries {
            let Some(key) = entry.key else { continue };
            let plain = !key.modifiers.any();
            let letter = plain && key.logical_key.name().len() == 1;
            // What a text field does with Ctrl: select all, cut, copy, paste, undo, redo.
            let of_text = matches!(key.logical_key, Key::A | Key::C | Key::X | Key::V | Key::Y | Key::Z);
            if typing && (letter || of_text || key.conflicts_with_text_editing()) {
                continue;
            }
            // A plain letter is a tool only when no modifier is held with it.
            if plain && ctx.input(|i| i.modifiers.any()) {
                continue;
            }
            if ctx.input_mut(|i| i.consume_shortcut(&key)) {
                if entry.enabled {
                    self.actions.push(entry.action);
                }
                return;
            }
        }
    }

    fn drops(&mut self, ctx: &egui::Context) {
        let files: Vec<PathBuf> = ctx.input(|i| {
            i.raw.dropped_files.iter().map(|f| f.path().to_path_buf()).filter(|p| !p.as_os_str().is_empty()).collect()
        });
        for path in files {
            self.commands.push(actions::open_command(path));
        }
    }

    fn drop_veil(&self, ui: &Ui) {
        if !ui.input(|i| !i.raw.hovered_files.is_empty()) {
            return;
        }
        let rect = ui.ctx().content_rect();
        let painter = ui.ctx().layer_painter(egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop")));
        painter.rect_filled(rect, 0.0, self.theme.frame.gamma_multiply(0.85));
        painter.rect_stroke(rect.shrink(16.0), 8.0, egui::Stroke::new(2.0, self.theme.accent), egui::StrokeKind::Inside);
        painter.text(rect.center(), egui::Align2::CENTER_CENTER, "Drop to open", theme::semibold(20.0), self.theme.text);
    }

    fn read_notices(&mut self, ctx: &egui::Context) {
        for (level, text) in std::mem::take(&mut *self.said.lock()) {
            self.session.notice(level, text);
        }
        let notices = self.session.notices();
        let fresh: Vec<_> = notices.get(self.notices_seen.min(notices.len())..).unwrap_or(&[]).to_vec();
        self.notices_seen = notices.len();
        for notice in fresh {
            if notice.level == NoticeLevel::Info {
                self.info = Some((notice.text, Instant::now() + Duration::from_secs(5)));
                continue;
            }
            let seconds = if notice.level == NoticeLevel::Error { 14 } else { 9 };
            self.toasts.retain(|t| t.text != notice.text);
            self.toasts.push(Toast {
                level: notice.level,
                text: notice.text,
                until: Instant::now() + Duration::from_secs(seconds),
            });
        }
        let now = Instant::now();
        self.toasts.retain(|t| t.until > now);
        if self.toasts.len() > 4 {
            self.toasts.remove(0);
        }
        let ends = self.toasts.iter().map(|t| t.until).chain(self.info.iter().map(|i| i.1).filter(|t| *t > now)).min();
        if let Some(end) = ends {
            ctx.request_repaint_after(end - now + Duration::from_millis(20));
        }
    }

    fn toasts(&mut self, ui: &mut Ui) {
        if self.toasts.is_empty() {
            return;
        }
        let theme = self.theme.clone();
        let mut gone = None;
        let top = MENU_HEIGHT + TOOLS_HEIGHT + 12.0;
        egui::Area::new(egui::Id::unique("toasts"))
            .anchor(egui::Align2::CENTER_TOP, [0.0, top])
            .order(egui::Order::Foreground)
            .show(ui.ctx(), |ui| {
                ui.set_width(620.0_f32.min(ui.ctx().content_rect().width() - 80.0));
                for (i, toast) in self.toasts.iter().enumerate() {
                    let colour = if toast.level == NoticeLevel::Error { theme.error } else { theme.warning };
                    let frame =
                        egui::Frame::popup(ui.style()).inner_margin(egui::Margin { left: 16, right: 10, top: 10, bottom: 10 });
                    let response = frame.show(ui, |ui| {
                        ui.horizontal(|ui| {
                            let width = ui.available_width() - 30.0;
                            ui.allocate_ui(egui::vec2(width, 20.0), |ui| {
                                ui.set_width(width);
                                ui.add(
                                    egui::Label::new(egui::RichText::new(&toast.text).color(theme.text)).wrap().selectable(true),
                                );
                            });
                            kit::right(ui, |ui| {
                                if kit::icon(ui, &theme, "Dismiss message", kit::draw_cross).clicked() {
                                    gone = Some(i);
                                }
                            });
                        });
                    });
                    let r = response.response.rect;
                    ui.painter().rect_filled(
                        egui::Rect::from_min_max(r.min, egui::pos2(r.left() + 4.0, r.bottom())),
                        2.0,
                        colour,
                    );
                    ui.add_space(6.0);
                }
            });
        if let Some(i) = gone {
            self.toasts.remove(i);
        }
    }

    fn show_rail(&mut self, ui: &mut Ui) {
        let mut rail = rail::Rail {
            session: &self.session,
            theme: &self.theme,
            state: &mut self.rail,
            commands: &mut self.commands,
            actions: &mut self.actions,
        };
        rail::show(&mut rail, ui);
    }

    fn show_views(&mut self, ui: &mut Ui) {
        let (pressed, released) = ui.input(|i| (i.pointer.any_pressed(), i.pointer.any_released()));
        if pressed {
            self.before_press = self.tree_text();
        }
        let mut cx = Cx {
            session: &self.session,
            theme: &self.theme,
            shared: &mut self.shared,
            commands: &mut self.commands,
            render: self.render.as_ref(),
        };
        let edited = tiles::show(&mut self.tree, ui, &mut cx);
        if (edited && !ui.input(|i| i.pointer.any_down()))
            || (released && !self.before_press.is_empty() && self.tree_text() != self.before_press)
        {
            self.arranged_by_hand();
        }
        if released {
            self.before_press.clear();
        }
        if let Some(tile) = self.shared.picture_of.take() {
            let name = format!("{}.png", self.stem());
            self.dialogs.pick(ui.ctx(), dialogs::Purpose::Picture(Some(tile)), name);
        }
    }

    /// What is left of Esc after the panes: it clears the selection.
    fn escape(&mut self, ui: &Ui, popup: bool) {
        if popup || !ui.input_mut(|i| i.consume_key(Modifiers::NONE, Key::Escape)) {
            return;
        }
        if self.start.open && self.session.doc().dataset().is_some() {
            self.start.open = false;
        } else if self.settings.open {
            self.settings.open = false;
        } else if self.typing {
            ui.memory_mut(|m| m.stop_text_input());
        } else if self.session.doc().selection.any() {
            self.commands.push(Command::ClearSelection);
        }
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.device.make(ctx, self.render.as_ref(), false);
        if self.device.lost().is_some() {
            // Another window goes on, see `device`.
            if let Some(hands) = &self.hands {
                hands.stands(ctx);
            }
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            return;
        }
        if self.session.poll() {
            if self.session.opened() != self.opened {
                self.opened = self.session.opened();
                self.take_layouts();
            }
            self.changed();
            ctx.request_repaint();
        }
        if self.rail.waiting && self.session.resolved().is_some() {
            self.search(ctx);
        }
        if self.rail.form.count_waits && self.session.resolved().is_some() {
            self.count(ctx);
        }
        if let Some(base) = self.rail.want_schema.clone() {
            self.rail.schema = self.session.schema(&base);
        }
        self.rail.form.ask(&mut self.session);
        for (purpose, path) in self.dialogs.answers() {
            self.picked(ctx, purpose, path);
        }
        let now = Instant::now();
        match self.keep_at {
            Some(at) if at <= now => {
                self.keep_at = None;
                self.session.autosave();
            }
            Some(at) => ctx.request_repaint_after(at - now),
            None => {}
        }
        for e in self.device.complaints() {
            let what = e.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ");
            let help = "If a view stays empty, start the program with WGPU_BACKEND=gl, or update the graphics driver";
            self.session.notice(NoticeLevel::Error, format!("The graphics device refused a drawing: {what}. {help}"));
        }
        self.read_notices(ctx);
        let name = self
            .session
            .path()
            .filter(|p| !dialogs::is_kept(p))
            .and_then(|p| p.file_stem())
            .map(|s| s.to_string_lossy().into_owned());
        let title = match (name, self.session.doc().dataset()) {
            (Some(name), _) => format!("{name} · Asterism"),
            (None, Some(d)) => format!("{} · Asterism", d.name),
            _ => "Asterism".to_owned(),
        };
        if title != self.title {
            ctx.send_viewport_cmd(egui::ViewportCommand::Title(title.clone()));
            self.title = title;
        }
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        // Nothing can be painted any more: egui-wgpu would panic.
        if self.device.lost().is_some() {
            return;
        }
        let ctx = ui.ctx().clone();
        let popup = egui::Popup::is_any_open(&ctx) || self.palette.open || self.modal();
        self.keys(&ctx);
        self.drops(&ctx);
        self.match_tree();
        self.shared.hover = self.shared.hover_next.take();
        self.shared.map_at = self.shared.map_at_next.take();
        let drawn = self.shared.drawing.as_ref().map(|d| d.key);
        self.shared.drawing = self.shared.drawing_next.take();
        let (hover, map_at) = (self.shared.hover, self.shared.map_at);

        let bar = |fill| egui::Frame::new().fill(fill);
        let fill = self.theme.frame;
        egui::Panel::top("menu")
            .exact_size(MENU_HEIGHT)
            .frame(bar(fill))
            .show_separator_line(false)
            .show(ui, |ui| menu::show(self, ui));
        egui::Panel::top("tools")
            .exact_size(TOOLS_HEIGHT)
            .frame(bar(fill))
            .show_separator_line(false)
            .show(ui, |ui| menu::tools(self, ui));
        let foot = egui::Panel::bottom("foot")
            .exact_size(theme::FOOT_HEIGHT)
            .frame(bar(fill))
            .show_separator_line(false)
            .show(ui, |ui| ui.max_rect())
            .inner;
        let narrow = ctx.content_rect().width() < 1180.0;
        egui::Panel::left("rail")
            .default_size(if narrow { 256.0 } else { RAIL_WIDTH })
            .size_range(236.0..=460.0)
            .frame(bar(fill))
            .show(ui, |ui| self.show_rail(ui));
        if self.settings.open {
            egui::Panel::right("settings")
                .default_size(360.0)
                .size_range(300.0..=560.0)
                .frame(bar(fill))
                .show(ui, |ui| settings::show(self, ui));
        }
        self.shared.position.clear();
        self.shared.hint.clear();
        self.shared.cursor_note.clear();
        let pane = self.theme.pane;
        egui::CentralPanel::no_frame().frame(bar(pane)).show(ui, |ui| {
            if self.start.open || self.session.doc().dataset().is_none() {
                start_page::show(self, ui);
            } else {
                self.show_views(ui);
            }
        });
        let mut child = ui.new_child(egui::UiBuilder::new().id_salt("foot").max_rect(foot));
        menu::foot(self, &mut child);

        palette::show(self, ui);
        dialogs::show(self, ui);
        large::show(self, ui);
        self.toasts(ui);
        self.drop_veil(ui);
        self.escape(ui, popup);
        self.typing = ctx.text_edit_focused();
        // What was under an outline is wanted in the frame after it ended, too: the views go back.
        let drawing = self.shared.drawing_next.as_ref().map(|d| d.key);
        let follow = drawing != self.shared.drawing.as_ref().map(|d| d.key) || (drawn.is_some() && drawing.is_none());
        if self.shared.hover_next != hover || self.shared.map_at_next != map_at || follow {
            ctx.request_repaint();
        }
        for command in std::mem::take(&mut self.commands) {
            self.apply(&ctx, command);
        }
        for wish in std::mem::take(&mut self.shared.wishes) {
            self.wish(&ctx, wish);
        }
        for action in std::mem::take(&mut self.actions) {
            self.act(&ctx, action);
        }
        // Commands that actions queued (a new layout) belong to the same frame.
        for command in std::mem::take(&mut self.commands) {
            self.apply(&ctx, command);
        }
        self.device.make(&ctx, self.render.as_ref(), true);
    }

    fn clear_color(&self, _visuals: &egui::Visuals) -> [f32; 4] {
        self.theme.frame.to_normalized_gamma_f32()
    }

    fn on_exit(&mut self) {
        // A session that goes to another window goes on.
        if self.closing || (self.device.lost().is_some() && self.hands.is_some()) {
            return;
        }
        self.closing = true;
        for job in self.session.jobs() {
            job.cancel();
        }
        if self.session.dirty() && !self.session.doc().datasets.is_empty() {
            let to = self.session.path().map_or_else(dialogs::kept_path, PathBuf::from);
            let layout = self.layouts();
            // What goes wrong now stands on the terminal: there is no window any more.
            let _ = self.session.apply(Command::SetLayout { layout });
            if let Some(folder) = to.parent() {
                let _ = std::fs::create_dir_all(folder);
            }
            if let Err(e) = self.session.save_now(to) {
                eprintln!("asterism: the session could not be saved: {e}");
                return;
            }
        }
        self.session.end();
    }
}

impl Drop for App {
    /// The end of a window whose device was lost, also when egui-wgpu panicked on it: the session is handed on.
    fn drop(&mut self) {
        if let (Some(hands), Some(why)) = (self.hands.take(), self.device.lost()) {
            let none = Session::new(Settings { table_gb: 0.0, ..Settings::default() });
            hands.give(std::mem::replace(&mut self.session, none), why);
        }
    }
}

fn backend_name(backend: wgpu::Backend) -> &'static str {
    match backend {
        wgpu::Backend::Vulkan => "Vulkan",
        wgpu::Backend::Metal => "Metal",
        wgpu::Backend::Dx12 => "Direct3D 12",
        wgpu::Backend::Gl => "OpenGL",
        wgpu::Backend::BrowserWebGpu => "WebGPU",
        _ => "no adapter",
    }
}

/// Resident memory of this process, bytes; 0 where it cannot be read.
fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * 4096)
}
