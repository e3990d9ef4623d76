//! File dialogs, in a thread of their own so that no frame waits; the keys; what this is.
//!
//! Where the desktop has no dialogs at all (no portal and no zenity), a line to type the path into
//! takes their place. `rfd` answers "nothing" then, as it does when a person cancels, and a portal
//! that is asked for and never comes may take half a minute to fail. What tells the two apart is
//! what `rfd` logs: it says an error about zenity, its last resort, when no dialog could be shown.
//! So the log of the program listens for that and for nothing else. Looking for a portal on the
//! bus beforehand was not taken: a portal may be there without a chooser of files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use asterism_session::{ExportRows, Settings};
use egui::{Key, Ui};
use parking_lot::Mutex;

use super::{App, actions, kit};
use crate::theme;

/// What a path is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Purpose {
    /// A table, a product or a session to open.
    Open,
    /// An image for the table in front.
    Image,
    /// A file for the session.
    Session,
    /// A file for the recipe.
    Recipe,
    /// A file for rows, and how a VOTable has them.
    Export(ExportRows, asterism_data::Serialization),
    /// A file for products' addresses.
    Products(ExportRows),
    /// A folder for products.
    Download(ExportRows),
    /// A file for the picture of all views, or of one.
    Picture(Option<egui_tiles::TileId>),
    /// A folder for one product.
    Product,
}

impl Purpose {
    fn title(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Image => "Add images to this table",
            Self::Session => "Save session",
            Self::Recipe => "Save recipe",
            Self::Export(..) => "Export rows",
            Self::Products(_) => "Save products",
            Self::Download(_) => "Folder for the products",
            Self::Picture(_) => "Save picture",
            Self::Product => "Folder for the product",
        }
    }
}

struct Answer {
    purpose: Purpose,
    paths: Vec<PathBuf>,
    suggested: String,
    waited: Duration,
    /// No dialog could be shown.
    failed: bool,
}

/// Listens to `rfd` alone.
struct Listener;

static LISTENER: Listener = Listener;
/// Set when `rfd` said that it could show no dialog.
static FAILED: AtomicBool = AtomicBool::new(false);

impl log::Log for Listener {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.level() == log::Level::Error && metadata.target().split("::").next() == Some("rfd")
    }
    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) && record.args().to_string().contains("zenity") {
            FAILED.store(true, Ordering::Relaxed);
        }
    }
    fn flush(&self) {}
}

/// Whether what `rfd` says is heard: only one listener can be, and the first one stays.
fn listening() -> bool {
    static SET: OnceLock<bool> = OnceLock::new();
    *SET.get_or_init(|| {
        let set = log::set_logger(&LISTENER).is_ok();
        if set {
            log::set_max_level(log::LevelFilter::Error);
        }
        set
    })
}

/// Whether an answer without a path means that there was no dialog. In doubt it does: a line too many can be closed, and a save
/// that does nothing cannot be seen.
fn no_dialog(waited: Duration, heard: bool, said: bool, zenity: bool) -> bool {
    waited < TOO_QUICK || said || (!heard && !zenity)
}

/// Whether the program is there to be run.
fn in_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

struct Prompt {
    purpose: Purpose,
    text: String,
    fresh: bool,
}

/// Dialogs that are open.
#[derive(Default)]
pub struct State {
    /// The page of keys.
    pub shortcuts: bool,
    /// What this is.
    pub about: bool,
    answered: Arc<Mutex<Vec<Answer>>>,
    busy: bool,
    /// There were none when one was last asked for.
    no_dialogs: bool,
    prompt: Option<Prompt>,
}

/// An answer quicker than a hand means that there was no dialog.
const TOO_QUICK: Duration = Duration::from_millis(400);

impl State {
    /// Whether one of the window's own dialogs is open.
    pub fn modal(&self) -> bool {
        self.shortcuts || self.about || self.prompt.is_some()
    }

    /// Ask for a path.
    pub fn pick(&mut self, ctx: &egui::Context, purpose: Purpose, suggested: String) {
        if self.busy || self.prompt.is_some() {
            return;
        }
        if self.no_dialogs {
            self.ask(purpose, &suggested);
            return;
        }
        let (answered, ctx, name) = (self.answered.clone(), ctx.clone(), suggested.clone());
        let work = move || {
            let start = Instant::now();
            let heard = listening();
            FAILED.store(false, Ordering::Relaxed);
            let mut dialog = rfd::FileDialog::new().set_title(purpose.title());
            if let Some(ending) = Path::new(&name).extension().map(|e| e.to_string_lossy().into_owned()) {
                dialog = dialog.add_filter(ending.to_uppercase(), &[ending]).set_file_name(&name);
            }
            let paths = if purpose == Purpose::Open {
                dialog
                    .add_filter(
                        "Tables, products, sessions",
                        &[
                            "asterism", "toml", "vot", "xml", "gz", "fits", "fit", "parquet", "csv", "tsv", "arrow", "feather",
                            "ecsv",
                        ],
                    )
                    .add_filter("All files", &["*"])
                    .pick_files()
                    .unwrap_or_default()
            } else if purpose == Purpose::Image {
                dialog
                    .add_filter("Images", &["fits", "fit", "fz", "gz", "png", "jpg", "jpeg"])
                    .add_filter("All files", &["*"])
                    .pick_files()
                    .unwrap_or_default()
            } else if matches!(purpose, Purpose::Download(_) | Purpose::Product) {
                dialog.pick_folder().into_iter().collect()
            } else {
                dialog.save_file().into_iter().collect()
            };
            let waited = start.elapsed();
            let desktop = cfg!(any(target_os = "macos", target_os = "windows"));
            let failed =
                paths.is_empty() && !desktop && no_dialog(waited, heard, FAILED.load(Ordering::Relaxed), in_path("zenity"));
            answered.lock().push(Answer { purpose, paths, suggested: name, waited, failed });
            ctx.request_repaint();
        };
        match std::thread::Builder::new().name("file-dialog".into()).spawn(work) {
            Ok(_) => self.busy = true,
            Err(_) => self.ask(purpose, &suggested),
        }
    }

    /// A line to type the path into.
    fn ask(&mut self, purpose: Purpose, suggested: &str) {
        let home = std::env::current_dir().unwrap_or_default();
        let text = if suggested.is_empty() { String::new() } else { home.join(suggested).display().to_string() };
        self.prompt = Some(Prompt { purpose, text, fresh: true });
    }

    /// Paths that came in.
    pub fn answers(&mut self) -> Vec<(Purpose, PathBuf)> {
        let mut out = Vec::new();
        let answered = std::mem::take(&mut *self.answered.lock());
        for answer in answered {
            self.busy = false;
            if answer.failed {
                // A hand may have been that quick; a failure after a wait will be one again.
                self.no_dialogs = answer.waited >= TOO_QUICK;
                self.ask(answer.purpose, &answer.suggested);
            }
            out.extend(answer.paths.into_iter().map(|p| (answer.purpose, with_ending(p, &answer.suggested))));
        }
        out
    }
}

/// A path with the ending of the suggested name, where a person typed none.
fn with_ending(path: PathBuf, suggested: &str) -> PathBuf {
    match Path::new(suggested).extension() {
        Some(ending) if path.extension().is_none() => path.with_extension(ending),
        _ => path,
    }
}

/// Where a closed window's session is kept when it has no file of its own.
pub fn kept_path() -> PathBuf {
    Settings::folder().join("last.asterism")
}

/// Whether a path is that one.
pub fn is_kept(path: &Path) -> bool {
    path == kept_path()
}

/// Draw those that are open.
pub fn show(app: &mut App, ui: &mut Ui) {
    prompt(app, ui);
    shortcuts(app, ui);
    about(app, ui);
    super::matching::show(app, ui);
    super::token::show(app, ui);
}

/// A box over the window; whether a click beside it or Escape closes it.
pub(super) fn modal(ui: &Ui, name: &str, theme: &theme::Theme, width: f32, body: impl FnOnce(&mut Ui)) -> bool {
    let id = egui::Id::unique(name);
    let frame = egui::Frame::popup(ui.style()).inner_margin(20.0);
    let response = egui::Modal::new(id).frame(frame).backdrop_color(theme.shadow.gamma_multiply(0.6)).show(ui.ctx(), |ui| {
        ui.set_width(width.min(ui.ctx().content_rect().width() - 80.0));
        body(ui);
    });
    response.should_close()
}

fn prompt(app: &mut App, ui: &mut Ui) {
    let Some(mut prompt) = app.dialogs.prompt.take() else { return };
    let theme = app.theme.clone();
    let mut done = false;
    let mut dropped = false;
    let closed = modal(ui, "path", &theme, 520.0, |ui| {
        ui.label(egui::RichText::new(prompt.purpose.title()).font(theme::semibold(15.0)));
        ui.add_space(8.0);
        kit::field_look(ui, &theme);
        let edit = egui::TextEdit::singleline(&mut prompt.text)
            .hint_text(if matches!(prompt.purpose, Purpose::Download(_) | Purpose::Product) {
                "path of a folder"
            } else {
                "path of a file"
            })
            .desired_width(f32::INFINITY)
            .font(theme::mono(12.0));
        let response = ui.add(edit).accessible_name("Path");
        if prompt.fresh {
            response.request_focus();
            prompt.fresh = false;
        }
        let enter = response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
        ui.add_space(12.0);
        ui.horizontal(|ui| {
            let word = match prompt.purpose {
                Purpose::Open => "Open file",
                Purpose::Image => "Add image",
                Purpose::Download(_) | Purpose::Product => "Download",
                _ => "Save file",
            };
            done = (kit::primary(ui, &theme, word, !prompt.text.trim().is_empty()).clicked() || enter)
                && !prompt.text.trim().is_empty();
            dropped = kit::button(ui, "Cancel", true).clicked();
        });
    });
    if done {
        let path = PathBuf::from(shell_home(prompt.text.trim()));
        let ctx = ui.ctx().clone();
        app.picked(&ctx, prompt.purpose, path);
    } else if !closed && !dropped {
        app.dialogs.prompt = Some(prompt);
    }
}

/// `~` at the beginning as a shell reads it.
fn shell_home(text: &str) -> String {
    match (text.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) => format!("{home}/{rest}"),
        _ => text.to_owned(),
    }
}

const MOUSE: [(&str, &str); 11] = [
    ("Drag", "pans, or does what the tool in hand does"),
    ("Wheel", "zooms at the cursor"),
    ("Drag outside an axis", "moves that axis alone"),
    ("Double click", "frames all"),
    ("Shift+drag", "lassoes and adds"),
    ("Ctrl+drag, Alt+drag", "lassoes and removes"),
    ("Long press, then drag", "lassoes with no key"),
    ("Drag a drawn outline", "moves it, and the selection with it"),
    ("Esc", "ends the gesture, then clears the selection"),
    ("Middle click on a tab", "closes the view"),
    ("K over an image", "the images take turns (blink)"),
];

fn shortcuts(app: &mut App, ui: &mut Ui) {
    if !app.dialogs.shortcuts {
        return;
    }
    let theme = app.theme.clone();
    let entries = actions::entries(app);
    let close_key = ui.input_mut(|i| i.consume_key(egui::Modifiers::NONE, Key::F1));
    let line = |ui: &mut Ui, key: &str, what: &str| {
        let (rect, response) = ui.allocate_exact_size(egui::vec2(ui.available_width(), 22.0), egui::Sense::hover());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, format!("{key}: {what}")));
        let y = rect.center().y;
        ui.painter().text(egui::pos2(rect.left(), y), egui::Align2::LEFT_CENTER, what, theme::body(), theme.second);
        ui.painter().text(egui::pos2(rect.right(), y), egui::Align2::RIGHT_CENTER, key, theme::mono(11.5), theme.text);
    };
    let closed = modal(ui, "keys", &theme, 860.0, |ui| {
        ui.label(egui::RichText::new("Keys and mouse").font(theme::semibold(15.0)));
        ui.add_space(10.0);
        egui::ScrollArea::vertical().max_height(ui.ctx().content_rect().height() - 160.0).show(ui, |ui| {
            // The columns stand apart, and clear of the scroll bar.
            ui.spacing_mut().item_spacing.x = 40.0;
            ui.set_max_width(ui.available_width() - 16.0);
            ui.columns(2, |columns| {
                let head = |ui: &mut Ui, text: &str| {
                    ui.add_space(4.0);
                    ui.label(egui::RichText::new(text).font(theme::small()).color(theme.third));
                };
                for ui in columns.iter_mut() {
                    ui.spacing_mut().item_spacing.y = 0.0;
                }
                head(&mut columns[0], "Mouse");
                for (key, what) in MOUSE {
                    line(&mut columns[0], key, what);
                }
                for menu in actions::MENUS {
                    let column = if matches!(menu, "Edit" | "Select" | "Map" | "Help") { 1 } else { 0 };
                    let ui = &mut columns[column];
                    head(ui, menu);
                    for e in entries.iter().filter(|e| e.menu == menu) {
                        if let Some(key) = &e.key {
                            line(ui, &actions::key_text(key), &e.name);
                        }
                    }
                }
            });
        });
    });
    if closed || close_key {
        app.dialogs.shortcuts = false;
    }
}

fn about(app: &mut App, ui: &mut Ui) {
    if !app.dialogs.about {
        return;
    }
    let theme = app.theme.clone();
    let (adapter, tier) = (app.adapter_long(), app.tier());
    let closed = modal(ui, "about", &theme, 460.0, |ui| {
        ui.label(egui::RichText::new("Asterism").font(theme::semibold(20.0)));
        ui.label(egui::RichText::new(concat!("Version ", env!("CARGO_PKG_VERSION"))).color(theme.third));
        ui.add_space(8.0);
        ui.label("An asterism is a pattern of stars that people picked out for themselves. See the shape of a search result, pick out the group that matters, and turn that group back into a better question.");
        ui.add_space(8.0);
        for text in [
            format!("Drawn by {adapter}"),
            tier,
            format!("Settings in {}", Settings::folder().display()),
            "MIT or Apache-2.0; Inter and JetBrains Mono under the Open Font License".into(),
        ] {
            kit::note(ui, theme.third, text);
        }
    });
    if closed {
        app.dialogs.about = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_that_failed_is_told_from_one_that_was_cancelled() {
        let long = Duration::from_secs(25);
        // Cancelled by hand, with a portal or with zenity.
        assert!(!no_dialog(long, true, false, false) && !no_dialog(long, true, false, true));
        // Failed, however long it took.
        assert!(no_dialog(long, true, true, false) && no_dialog(Duration::from_millis(5), true, false, true));
        // Nobody listens: in doubt a line to type into.
        assert!(no_dialog(long, false, false, false) && !no_dialog(long, false, false, true));
    }

    #[test]
    fn a_failure_after_a_long_wait_opens_the_line_to_type_into() {
        let mut state = State::default();
        let answer = |failed| Answer {
            purpose: Purpose::Session,
            paths: Vec::new(),
            suggested: "x.asterism".into(),
            waited: Duration::from_secs(25),
            failed,
        };
        state.busy = true;
        state.answered.lock().push(answer(false));
        assert!(state.answers().is_empty() && !state.modal() && !state.busy);
        state.answered.lock().push(answer(true));
        assert!(state.answers().is_empty() && state.modal());
        assert!(state.prompt.as_ref().is_some_and(|p| p.text.ends_with("x.asterism")));
        // Nobody waits for the portal a second time.
        state.prompt = None;
        state.pick(&egui::Context::default(), Purpose::Picture(None), "y.png".into());
        assert!(state.modal() && !state.busy);
    }

    #[test]
    fn what_rfd_says_of_its_last_resort_is_heard() {
        use log::Log;
        let say = |target: &str, text: &str| {
            let args = format_args!("{text}");
            LISTENER.log(&log::Record::builder().level(log::Level::Error).target(target).args(args).build());
        };
        FAILED.store(false, Ordering::Relaxed);
        say("rfd::backend::xdg_desktop_portal::portal", "Failed to connect to session bus: no");
        say("wgpu_hal", "zenity");
        assert!(!FAILED.load(Ordering::Relaxed), "zenity may still come");
        say("rfd::backend::xdg_desktop_portal", "Failed to save file with zenity: No such file or directory (os error 2)");
        assert!(FAILED.load(Ordering::Relaxed));
    }

    #[test]
    fn an_ending_is_added_only_where_there_is_none() {
        assert_eq!(with_ending("a/b".into(), "x.vot"), PathBuf::from("a/b.vot"));
        assert_eq!(with_ending("a/b.fits".into(), "x.vot"), PathBuf::from("a/b.fits"));
    }
}
