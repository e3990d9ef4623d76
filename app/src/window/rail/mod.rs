//! The rail: the loop in six steps, each folding open to what it holds.
//!
//! The rail keeps only what is being typed; everything else is read from the session each frame,
//! and every change goes out as a command.

mod adql;
mod features;
mod form;
mod map;
mod parts;
mod refine;
mod search;
mod subsets;
mod take;

use std::sync::Arc;

use asterism_session::{Command, ExportRows, FeatureKind, Job, JobState, Session, archive::TapSchema, recipe, reduce};
use egui::Ui;

use crate::theme::Theme;
use crate::widgets::Work;

use super::actions::Action;
use super::kit;

pub use form::can_count;
pub use map::params as map_params;
pub use search::{Built, Service, build};

/// What is being typed and unfolded.
pub struct State {
    /// Which steps are open.
    pub open: [bool; 6],
    /// A step to bring into sight.
    pub go_to: Option<usize>,
    /// Whom to ask.
    pub service: Service,
    /// What is typed above the list of services.
    service_words: String,
    /// A name or degrees.
    pub position: String,
    /// With its unit.
    pub radius: String,
    /// Predicate for samples and files.
    pub condition: String,
    /// Columns of files and partitioned catalogues, with commas between.
    pub columns: String,
    /// Names and values.
    pub filters: Vec<(String, String)>,
    /// Empty for no limit.
    pub max_rows: String,
    /// The query.
    pub adql: String,
    /// Run it as a job on the server.
    pub asynchronous: bool,
    /// Address of a service that is not a saved one.
    pub base: String,
    /// The service's tables, once here.
    pub schema: Option<Arc<TapSchema>>,
    /// The address whose tables are wanted.
    pub want_schema: Option<String>,
    editor: adql::State,
    /// Columns that conditions may be about, examples, the count.
    pub form: form::State,
    /// The name last looked up.
    pub looked_up: String,
    /// A search waits for a name to be looked up.
    pub waiting: bool,
    /// What is wrong with what was typed.
    pub complaint: String,
    column_filter: String,
    expression: String,
    grid: String,
    dims: Option<(u32, usize)>,
    /// What of a table may be a feature beside its numbers, by table and rows.
    offers: Work<(u32, usize), features::Offers>,
    /// Chosen columns that say the same.
    twins: Work<(u32, usize, FeatureKind), Vec<(String, String, f64)>>,
    /// Parameters of the next map.
    pub params: reduce::Params,
    layers: String,
    /// Clusters of k-means.
    pub k: usize,
    /// Parts of a Gaussian mixture; 0 for automatic.
    pub parts: usize,
    /// Smallest cluster of HDBSCAN.
    pub min_size: usize,
    /// Rows around a core of HDBSCAN; 0 for as many as make a cluster.
    pub min_samples: usize,
    on_map: bool,
    /// A subset being renamed.
    renaming: Option<(u32, String)>,
    /// Name for the next subset.
    pub subset_name: String,
    /// Columns a rule may use; empty for all.
    pub rule_columns: Vec<String>,
    /// 0 simpler … 1 purer.
    pub balance: f64,
    rows: ExportRows,
    followed: Option<u32>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            open: [true, false, true, true, true, true],
            go_to: None,
            service: Service::Sample("a478".into()),
            service_words: String::new(),
            position: String::new(),
            radius: "0.1 deg".into(),
            condition: String::new(),
            columns: String::new(),
            filters: vec![(String::new(), String::new())],
            max_rows: String::new(),
            adql: String::new(),
            asynchronous: false,
            base: String::new(),
            schema: None,
            want_schema: None,
            editor: adql::State::default(),
            form: form::State::default(),
            looked_up: String::new(),
            waiting: false,
            complaint: String::new(),
            column_filter: String::new(),
            expression: String::new(),
            grid: String::new(),
            dims: None,
            offers: Work::default(),
            twins: Work::default(),
            params: reduce::Params::default(),
            layers: "256, 64".into(),
            k: 6,
            parts: 0,
            min_size: 15,
            min_samples: 0,
            on_map: true,
            renaming: None,
            subset_name: String::new(),
            rule_columns: Vec::new(),
            balance: 0.6,
            rows: ExportRows::Selection,
            followed: None,
        }
    }
}

/// What the rail is given for one frame.
pub struct Rail<'a> {
    /// To read.
    pub session: &'a Session,
    /// Colours.
    pub theme: &'a Theme,
    /// What is being typed.
    pub state: &'a mut State,
    /// Intents for the session.
    pub commands: &'a mut Vec<Command>,
    /// Intents for the window.
    pub actions: &'a mut Vec<Action>,
}

const NAMES: [&str; 6] = ["Search", "Features", "Map", "Subsets", "Refine", "Take"];
/// Tables of a recipe that belong to each step.
const RECIPE: [&[&str]; 6] =
    [&["search", "match", "image"], &["features"], &["map", "cluster"], &["select"], &["refine"], &["export", "draw"]];

/// Draw the rail.
pub fn show(rail: &mut Rail<'_>, ui: &mut Ui) {
    rail.follow();
    let go_to = rail.state.go_to.take();
    egui::ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        for (i, name) in NAMES.iter().enumerate() {
            let top = ui.cursor().top();
            let mut open = rail.state.open[i] || go_to == Some(i);
            let summary = rail.summary(i);
            kit::step(ui, rail.theme, i as u8 + 1, name, &summary, &mut open, |ui| {
                match i {
                    0 => search::show(rail, ui),
                    1 => features::show(rail, ui),
                    2 => map::show(rail, ui),
                    3 => subsets::show(rail, ui),
                    4 => refine::show(rail, ui),
                    _ => take::show(rail, ui),
                };
            });
            rail.state.open[i] = open;
            if go_to == Some(i) {
                let rect = egui::Rect::from_x_y_ranges(ui.max_rect().x_range(), top..=ui.cursor().top());
                ui.scroll_to_rect(rect, Some(egui::Align::Min));
            }
        }
        ui.add_space(24.0);
    });
}

impl Rail<'_> {
    /// Fill the forms from a dataset that came to the front.
    fn follow(&mut self) {
        let Some(dataset) = self.session.doc().dataset() else { return };
        if self.state.followed == Some(dataset.id) {
            return;
        }
        self.state.followed = Some(dataset.id);
        self.state.rule_columns.clear();
        self.state.dims = None;
        search::fill(self.state, &dataset.ask, self.session.settings());
    }

    fn summary(&mut self, step: usize) -> String {
        let doc = self.session.doc();
        let Some(dataset) = doc.dataset() else {
            return if step == 0 { "nothing yet".into() } else { String::new() };
        };
        match step {
            0 => {
                let n = crate::widgets::format::rows(dataset.table.rows());
                if dataset.loading {
                    format!("{n} so far")
                } else if dataset.table.truncated {
                    format!("{n}, cut off")
                } else {
                    n
                }
            }
            1 => match features::dims(self) {
                0 => "none".into(),
                n => format!("{} dims", kit::thousands(n)),
            },
            2 => {
                if let Some(job) = self.session.jobs().iter().rev().find(|j| j.alive() && j.is_map && j.dataset == dataset.id) {
                    let name = job.name.split(" of ").next().unwrap_or(&job.name).to_owned();
                    return job.fraction().map_or(name.clone(), |f| format!("{name}, {:.0} %", f * 100.0));
                }
                match dataset.maps.len() {
                    0 => "none yet".into(),
                    1 => "1 map".into(),
                    n => format!("{n} maps"),
                }
            }
            3 => match dataset.subsets.len() {
                0 => String::new(),
                n => n.to_string(),
            },
            4 => dataset.rule.as_ref().map_or_else(String::new, |r| r.of.clone()),
            _ => "VOTable, FITS, Parquet…".into(),
        }
    }

    /// The words that put this step's part of the recipe into the clipboard.
    fn recipe_word(&mut self, ui: &mut Ui, step: usize) {
        let response = kit::word(ui, self.theme, "Copy as recipe");
        if response.on_hover_text("The same step for `asterism run`, as text for a recipe file").clicked() {
            let text = part_of_recipe(&recipe::of_document(self.session.doc()), RECIPE[step]);
            self.actions.push(if text.is_empty() {
                Action::Copy(String::new(), "There is nothing of this step to copy yet")
            } else {
                Action::Copy(text, "Copied this step as part of a recipe")
            });
        }
    }
}

/// The blocks `[[name]]` of a recipe with these names.
pub fn part_of_recipe(text: &str, names: &[&str]) -> String {
    let mut out = String::new();
    let mut on = false;
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix("[[").and_then(|l| l.strip_suffix("]]")) {
            on = names.contains(&name);
        }
        if on {
            out.push_str(line);
            out.push('\n');
        }
    }
    let out = out.trim();
    if out.is_empty() { String::new() } else { format!("{out}\n") }
}

/// A running job in one line, with what is left.
pub fn job_line(job: &Job) -> String {
    let (stage, done, of) = job.progress();
    let name = job.name.split(" of ").next().unwrap_or(&job.name);
    if job.state() == JobState::Paused {
        return format!("{name} paused");
    }
    let mut text = name.to_owned();
    if of > 0 {
        text.push_str(&format!(" {}", amount(&stage, done, of)));
    } else if done > 0 {
        text.push_str(&format!(" {} {}", amount(&stage, done, of), if stage == BYTES { "" } else { &stage }));
    } else if !stage.is_empty() {
        text.push_str(&format!(", {stage}"));
    }
    if let Some(left) = left(job) {
        text.push_str(&format!(", {} left", kit::seconds(left)));
    }
    text
}

/// The stage of an answer that is arriving: its numbers are bytes.
const BYTES: &str = "bytes";

/// How far a stage is: `402 of 500`, or `1.6 of 9.3 MB`.
fn amount(stage: &str, done: u64, of: u64) -> String {
    let mega = |n: u64| format!("{:.1}", n as f64 / 1e6);
    match (stage == BYTES, of > 0) {
        (true, true) => format!("{} of {} MB", mega(done), mega(of)),
        (true, false) => format!("{} MB", mega(done)),
        (false, true) => format!("{} of {}", kit::thousands(done as usize), kit::thousands(of as usize)),
        (false, false) => kit::thousands(done as usize),
    }
}

/// Seconds that a job will still take, once that can be told.
pub fn left(job: &Job) -> Option<f64> {
    let f = f64::from(job.fraction()?);
    let elapsed = job.elapsed().as_secs_f64();
    (f > 0.03 && elapsed > 0.5 && f < 1.0).then(|| (elapsed / f * (1.0 - f)).max(1.0).round())
}

/// A running job with its bar, pause and end.
fn job_row(rail: &mut Rail<'_>, ui: &mut Ui, job: &Job) {
    kit::progress(ui, rail.theme, job.fraction());
    let paused = job.state() == JobState::Paused;
    ui.horizontal(|ui| {
        let (stage, done, of) = job.progress();
        // A job that has not said a word yet is called by its name.
        let mut text = if stage.is_empty() { job.name.clone() } else { stage };
        if of > 0 || done > 0 {
            let much = amount(&text, done, of);
            text = if text == BYTES { much } else { format!("{text} {much}") };
        }
        if paused {
            text = format!("paused · {text}");
        } else if let Some(left) = left(job) {
            text = format!("{text}, {} left", kit::seconds(left));
        }
        let room = ui.available_width() - 56.0;
        let galley = kit::elided(ui, &text, crate::theme::small(), rail.theme.second, room);
        let (rect, response) = ui.allocate_exact_size(egui::vec2(room, 20.0), egui::Sense::hover());
        ui.painter().galley(egui::pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, rail.theme.second);
        response.on_hover_text(&job.name);
        kit::right(ui, |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            if kit::icon(ui, rail.theme, &format!("Cancel {}", job.name), kit::draw_cross).clicked() {
                rail.commands.push(Command::CancelJob { id: job.id });
            }
            let (name, draw): (String, fn(&egui::Painter, egui::Rect, egui::Color32)) = if paused {
                (format!("Resume {}", job.name), kit::draw_play)
            } else {
                (format!("Pause {}", job.name), kit::draw_pause)
            };
            if kit::icon(ui, rail.theme, &name, draw).clicked() {
                rail.commands.push(if paused { Command::ResumeJob { id: job.id } } else { Command::PauseJob { id: job.id } });
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_cut_out_of_a_recipe() {
        let text = "asterism = 1\n\n[[search]]\nname = \"a\"\n\n[[map]]\nname = \"m\"\n";
        assert_eq!(part_of_recipe(text, &["search"]), "[[search]]\nname = \"a\"\n");
        assert_eq!(part_of_recipe(text, &["export"]), "");
    }
}
