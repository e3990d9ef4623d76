//! The question about a file that is larger than memory: which columns, which rows; and how many that will be.
//!
//! The file was opened without its rows (`asterism_data::scan`), in a thread: its disk may be slow or far. Rows are counted in a thread, and each change of the condition counts
//! anew; nothing is read into the session before a person says so. Choice not taken: a first part of the rows without a question:
//! the first rows of a file are seldom a fair part of it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use asterism_session::data::Expr;
use asterism_session::data::scan::{self, Source};
use asterism_session::{Ask, Command};
use egui::Ui;

use super::{App, dialogs, kit};
use crate::theme;
use crate::widgets::work::Work;

/// What is open.
#[derive(Default)]
pub struct State {
    open: Option<Open>,
    /// Files that are looked at before they are read.
    looking: Vec<Looking>,
    /// A command that was looked at: it is not taken again.
    passes: bool,
}

/// A file whose size is not known yet, and the command that would read it.
struct Looking {
    command: Command,
    found: Receiver<Option<Source>>,
}

struct Open {
    source: Arc<Source>,
    name: String,
    chosen: Vec<bool>,
    look_for: String,
    condition: String,
    max_rows: String,
    counts: Work<String, Result<u64, String>>,
}

impl State {
    /// Whether the question stands.
    pub fn modal(&self) -> bool {
        self.open.is_some()
    }

    /// Takes a command that would read a whole file larger than the limit, and asks instead; `false` for every other one.
    pub fn takes(&mut self, ctx: &egui::Context, command: &Command) -> bool {
        let Command::Search { ask: Ask::File { path, columns, filter: None, max_rows: None, .. }, .. } = command else {
            return false;
        };
        if !columns.is_empty() {
            return false;
        }
        // What is small on the disk is read at once; of anything else a thread reads the head.
        if self.passes || std::fs::metadata(path).map_or(0, |m| m.len()) < scan::limit() / 100 {
            return false;
        }
        let (tell, found) = sync_channel(1);
        let (path, ctx) = (path.clone(), ctx.clone());
        let work = move || {
            // What cannot be opened says so when it is read.
            let _ = tell.send(Source::larger_than(&path, scan::limit()).ok().flatten());
            ctx.request_repaint();
        };
        if std::thread::Builder::new().name("head of a file".into()).spawn(work).is_err() {
            return false;
        }
        self.looking.push(Looking { command: command.clone(), found });
        true
    }

    /// Takes in what the threads found: asks, or gives back the commands of files that can be read whole.
    fn looked(&mut self) -> Vec<Command> {
        let mut whole = Vec::new();
        let mut i = 0;
        // One question at a time; what else was looked at waits for its end.
        while i < self.looking.len() && self.open.is_none() {
            let source = match self.looking[i].found.try_recv() {
                Err(TryRecvError::Empty) => {
                    i += 1;
                    continue;
                }
                Ok(source) => source,
                Err(TryRecvError::Disconnected) => None,
            };
            let command = self.looking.remove(i).command;
            match (source, &command) {
                (Some(source), Command::Search { name, .. }) => self.ask(source, name.clone()),
                _ => whole.push(command),
            }
        }
        whole
    }

    fn ask(&mut self, source: Source, name: String) {
        let n = source.columns.columns().len();
        self.open = Some(Open {
            source: Arc::new(source),
            name,
            chosen: vec![true; n],
            look_for: String::new(),
            condition: String::new(),
            max_rows: String::new(),
            counts: Work::default(),
        });
    }
}

fn gigabytes(bytes: f64) -> String {
    if bytes >= 1e9 { format!("{:.1} GB", bytes / 1e9) } else { format!("{:.0} MB", (bytes / 1e6).max(1.0)) }
}

/// Draw the question.
pub fn show(app: &mut App, ui: &mut Ui) {
    for command in app.large.looked() {
        app.large.passes = true;
        app.apply(&ui.ctx().clone(), command);
        app.large.passes = false;
    }
    let Some(mut open) = app.large.open.take() else { return };
    let theme = app.theme.clone();
    let (mut done, mut dropped) = (None, false);
    let closed = dialogs::modal(ui, "large", &theme, 560.0, |ui| (done, dropped) = body(ui, &theme, &mut open));
    if let Some(command) = done {
        let ctx = ui.ctx().clone();
        app.apply(&ctx, command);
    } else if !closed && !dropped {
        app.large.open = Some(open);
    }
}

fn body(ui: &mut Ui, theme: &theme::Theme, open: &mut Open) -> (Option<Command>, bool) {
    let source = open.source.clone();
    let file = source.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    ui.label(egui::RichText::new("Choose columns and rows").font(theme::semibold(15.0)));
    ui.add_space(4.0);
    let limit = scan::limit();
    kit::note(
        ui,
        theme.second,
        format!(
            "{file} has {}{} rows of {} columns, {} in memory: more than the {} that are read without asking.",
            if source.about { "about " } else { "" },
            kit::thousands(source.rows as usize),
            source.columns.columns().len(),
            gigabytes(source.bytes as f64),
            gigabytes(limit as f64)
        ),
    );
    ui.add_space(8.0);
    kit::row(ui, theme, "Rows where", "Only rows for which this is true, in SQL: phot_g_mean_mag < 15 AND parallax > 1", |ui| {
        kit::text(ui, theme, &mut open.condition, "every row")
    });
    kit::row(ui, theme, "At most", "The first so many; empty for all", |ui| kit::text(ui, theme, &mut open.max_rows, "all"));
    ui.add_space(4.0);
    columns(ui, theme, open);
    ui.add_space(8.0);
    // How many rows, and whether they fit.
    let condition = open.condition.trim().to_owned();
    let parsed = if condition.is_empty() { Ok(None) } else { Expr::parse(&condition).map(Some).map_err(|e| e.to_string()) };
    let unknown = parsed.as_ref().ok().and_then(|e| e.as_ref()).and_then(|e| {
        let missing = e.columns().into_iter().find(|c| source.columns.column_index(c).is_none())?;
        source.columns.column(&missing).err().map(|e| e.to_string())
    });
    let count = match (&parsed, &unknown) {
        (Err(text), _) => Some(Err(text.clone())),
        (_, Some(text)) => Some(Err(text.clone())),
        (Ok(None), _) => Some(Ok(source.rows)),
        (Ok(Some(expr)), None) => {
            let (expr, source) = (expr.clone(), source.clone());
            let counted = open.counts.get(ui.ctx(), "count-rows", condition.clone(), move || {
                source.count(Some(&expr), &|_, _, _| true).map_err(|e| e.to_string())
            });
            counted.filter(|_| open.counts.knows(&condition)).map(|c| (*c).clone())
        }
    };
    let most = open.max_rows.trim().replace([',', ' '], "");
    let max_rows = most.parse::<usize>().ok().filter(|n| *n > 0);
    let wrong_limit =
        (!most.is_empty() && max_rows.is_none()).then(|| format!("'{}' is no number of rows", open.max_rows.trim()));
    let chosen = open.chosen.iter().filter(|c| **c).count();
    let share = chosen as f64 / open.chosen.len().max(1) as f64;
    let mut fits = false;
    match (&wrong_limit, &count) {
        (Some(text), _) | (None, Some(Err(text))) => {
            kit::note(ui, theme.error, text.clone());
        }
        (None, None) => {
            kit::note(ui, theme.third, "Counting rows…");
        }
        (None, Some(Ok(rows))) => {
            let rows = max_rows.map_or(*rows, |m| (m as u64).min(*rows));
            let bytes = source.bytes as f64 * share * rows as f64 / source.rows.max(1) as f64;
            fits = bytes <= limit as f64 && chosen > 0;
            let text = format!(
                "{} rows of {chosen} columns: about {}{}",
                kit::thousands(rows as usize),
                gigabytes(bytes),
                if fits || chosen == 0 { "" } else { ", still too many: choose fewer columns or rows" }
            );
            kit::note(ui, if fits { theme.second } else { theme.warning }, text);
        }
    }
    ui.add_space(12.0);
    let (mut command, mut dropped) = (None, false);
    ui.horizontal(|ui| {
        if kit::primary(ui, theme, "Open", fits).on_hover_text("Read these columns of these rows").clicked() {
            let names = source.columns.columns().iter().zip(&open.chosen).filter(|(_, c)| **c).map(|(m, _)| m.name.clone());
            let ask = Ask::File {
                path: source.path.clone(),
                columns: names.collect(),
                photometry: Default::default(),
                filter: (!condition.is_empty()).then(|| condition.clone()),
                max_rows,
            };
            command = Some(Command::Search { name: open.name.clone(), ask });
        }
        dropped = kit::button(ui, "Cancel", true).clicked();
    });
    (command, dropped)
}

fn columns(ui: &mut Ui, theme: &theme::Theme, open: &mut Open) {
    ui.horizontal(|ui| {
        ui.label(egui::RichText::new("Columns").font(theme::small()).color(theme.third));
        kit::right(ui, |ui| {
            if kit::word(ui, theme, "none").clicked() {
                open.chosen.fill(false);
            }
            if kit::word(ui, theme, "all").clicked() {
                open.chosen.fill(true);
            }
        });
    });
    if open.chosen.len() > 12 {
        kit::text(ui, theme, &mut open.look_for, "find a column").accessible_name("Find a column");
    }
    let looked_for = open.look_for.trim().to_lowercase();
    let source = open.source.clone();
    egui::ScrollArea::vertical().max_height(220.0).auto_shrink([false, true]).show(ui, |ui| {
        for (meta, chosen) in source.columns.columns().iter().zip(&mut open.chosen) {
            if !meta.name.to_lowercase().contains(&looked_for) {
                continue;
            }
            let unit = meta.unit.as_deref().filter(|u| !u.is_empty()).map(|u| format!("  [{u}]")).unwrap_or_default();
            let response = ui.checkbox(chosen, format!("{}{unit}", meta.name));
            if let Some(text) = meta.description.as_deref().filter(|t| !t.is_empty()) {
                response.on_hover_text(text);
            }
        }
    });
}
