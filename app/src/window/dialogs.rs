//! File dialogs, in a thread of their own so that no frame waits; the keys; what this is.
//!
//! Where the desktop has no dialogs at all (no portal and no zenity), the answer is "nothing" at
//! once: then a line to type the path into takes their place.

use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    /// A file for the session.
    Session,
    /// A file for the recipe.
    Recipe,
    /// A file for rows.
    Export(ExportRows),
    /// A file for products' addresses.
    Products(ExportRows),
    /// A file for the picture.
    Picture,
}

impl Purpose {
    fn title(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Session => "Save session",
            Self::Recipe => "Save recipe",
            Self::Export(_) => "Export rows",
            Self::Products(_) => "Save products",
            Self::Picture => "Save picture",
        }
    }
}

struct Answer {
    purpose: Purpose,
    paths: Vec<PathBuf>,
    suggested: String,
    waited: Duration,
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
        let (answered, ctx, name) = (self.answered.clone(), ctx.clone(), suggested.clone());
        let work = move || {
            let start = Instant::now();
            let mut dialog = rfd::FileDialog::new().set_title(purpose.title());
            if let Some(ending) = Path::new(&name).extension().map(|e| e.to_string_lossy().into_owned()) {
                dialog = dialog.add_filter(ending.to_uppercase(), &[ending]).set_file_name(&name);
            }
            let paths = if purpose == Purpose::Open {
                dialog
                    .add_filter(
                        "Tables, products, sessions",
                        &["asterism", "vot", "xml", "gz", "fits", "fit", "parquet", "csv", "tsv", "arrow", "feather", "ecsv"],
                    )
                    .add_filter("All files", &["*"])
                    .pick_files()
                    .unwrap_or_default()
            } else {
                dialog.save_file().into_iter().collect()
            };
            answered.lock().push(Answer { purpose, paths, suggested: name, waited: start.elapsed() });
            ctx.request_repaint();
        };
        match std::thread::Builder::new().name("file-dialog".into()).spawn(work) {
            Ok(_) => self.busy = true,
            Err(_) => self.prompt = Some(Prompt { purpose, text: suggested, fresh: true }),
        }
    }

    /// Paths that came in.
    pub fn answers(&mut self) -> Vec<(Purpose, PathBuf)> {
        let mut out = Vec::new();
        for answer in std::mem::take(&mut *self.answered.lock()) {
            self.busy = false;
            if answer.paths.is_empty() && answer.waited < TOO_QUICK {
                let home = std::env::current_dir().unwrap_or_default();
                let text =
                    if answer.suggested.is_empty() { String::new() } else { home.join(&answer.suggested).display().to_string() };
                self.prompt = Some(Prompt { purpose: answer.purpose, text, fresh: true });
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
}

fn modal(ui: &Ui, name: &str, theme: &theme::Theme, width: f32, body: impl FnOnce(&mut Ui)) -> bool {
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
            .hint_text("path of a file")
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
            let word = if prompt.purpose == Purpose::Open { "Open file" } else { "Save file" };
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

const MOUSE: [(&str, &str); 10] = [
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
                    let column = if matches!(menu, "Edit" | "Select" | "Help") { 1 } else { 0 };
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
    let adapter = app.adapter_long();
    let closed = modal(ui, "about", &theme, 460.0, |ui| {
        ui.label(egui::RichText::new("Asterism").font(theme::semibold(20.0)));
        ui.label(egui::RichText::new(concat!("Version ", env!("CARGO_PKG_VERSION"))).color(theme.third));
        ui.add_space(8.0);
        ui.label("An asterism is a pattern of stars that people picked out for themselves. See the shape of a search result, pick out the group that matters, and turn that group back into a better question.");
        ui.add_space(8.0);
        for text in [
            format!("Drawn by {adapter}"),
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
    fn an_ending_is_added_only_where_there_is_none() {
        assert_eq!(with_ending("a/b".into(), "x.vot"), PathBuf::from("a/b.vot"));
        assert_eq!(with_ending("a/b.fits".into(), "x.vot"), PathBuf::from("a/b.fits"));
    }
}
