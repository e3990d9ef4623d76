//! Background work: what runs, how far it is and how fast, with pause and cancel, and what went wrong.

use std::collections::HashMap;
use std::time::Duration;

use asterism_session::{Command, Job, JobState};
use egui::{Align, Layout, ProgressBar, RichText, ScrollArea, Stroke, Ui, vec2};
use serde::{Deserialize, Serialize};

use crate::cx::Cx;
use crate::widgets::{Cache, format};

/// Nothing is chosen here; rates are measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct JobsPane {
    #[serde(skip)]
    rates: Cache<HashMap<u64, Rate>>,
}

#[derive(Clone, Debug)]
struct Rate {
    stage: String,
    at: Duration,
    done: u64,
    per_second: f64,
}

impl JobsPane {
    /// For the tab.
    pub fn title(&self, cx: &Cx<'_>) -> String {
        match cx.session.jobs().iter().filter(|j| j.alive()).count() {
            0 => "Jobs".into(),
            n => format!("Jobs ({n})"),
        }
    }

    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let alive: Vec<u64> = cx.session.jobs().iter().filter(|j| j.alive()).map(|j| j.id).collect();
        if alive.len() > 1 && ui.button("Cancel all").clicked() {
            cx.commands.extend(alive.into_iter().map(|id| Command::CancelJob { id }));
        }
    }

    fn rate(&mut self, job: &Job) -> Option<(f64, Option<f64>)> {
        let (stage, done, of) = job.progress();
        let now = job.elapsed();
        let rate = self.rates.entry(job.id).or_insert_with(|| Rate { stage: stage.clone(), at: now, done, per_second: 0.0 });
        if rate.stage != stage || done < rate.done {
            *rate = Rate { stage, at: now, done, per_second: 0.0 };
        }
        let seconds = now.saturating_sub(rate.at).as_secs_f64();
        if seconds > 0.5 {
            let fresh = (done - rate.done) as f64 / seconds;
            rate.per_second = if rate.per_second > 0.0 { 0.6 * rate.per_second + 0.4 * fresh } else { fresh };
            (rate.at, rate.done) = (now, done);
        }
        let left = (of > done && rate.per_second > 0.0).then(|| (of - done) as f64 / rate.per_second);
        (rate.per_second > 0.0).then_some((rate.per_second, left))
    }

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let jobs = cx.session.jobs().to_vec();
        let playing = cx.session.playing().map(|(file, done)| (file.to_owned(), done));
        if jobs.is_empty() && playing.is_none() {
            super::empty(
                ui,
                cx.theme,
                "Nothing has run yet",
                "Searches, maps, downloads and exports work here in the background.",
            );
            return;
        }
        self.rates.retain(|id, _| jobs.iter().any(|j| j.id == *id && j.alive()));
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            egui::Frame::new().inner_margin(10.0).show(ui, |ui| {
                if let Some((file, done)) = playing {
                    recipe(ui, cx, &file, done);
                }
                for job in jobs.iter().rev() {
                    self.line(ui, cx, job);
                }
            });
        });
    }

    fn line(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, job: &Job) {
        let state = job.state();
        let (stage, done, of) = job.progress();
        ui.horizontal(|ui| {
            ui.set_min_height(24.0);
            ui.add_sized(vec2(240.0, 20.0), egui::Label::new(RichText::new(&job.name).color(cx.theme.text)).truncate());
            match &state {
                JobState::Running | JobState::Paused => {
                    let bar = match job.fraction() {
                        Some(f) => ProgressBar::new(f).text(RichText::new(format!("{:.0} %", f * 100.0)).small()),
                        None => ProgressBar::new(0.0)
                            .animate(state == JobState::Running)
                            .text(RichText::new(format::count(done as usize)).small()),
                    };
                    ui.add(bar.desired_width(160.0).fill(cx.theme.accent_fill));
                    let mut text = stage;
                    if of > 0 {
                        text += &format!(" {} of {}", format::count(done as usize), format::count(of as usize));
                    }
                    if state == JobState::Paused {
                        text += " · paused";
                    } else if let Some((rate, left)) = self.rate(job) {
                        text += &format!(" · {} per second", format::number(rate, 3));
                        if let Some(left) = left {
                            text += &format!(" · {} left", lasted(left));
                        }
                    }
                    ui.label(RichText::new(text).color(cx.theme.second));
                }
                JobState::Done => {
                    ui.label(RichText::new(format!("done in {}", lasted(job.elapsed().as_secs_f64()))).color(cx.theme.third));
                }
                JobState::Cancelled => {
                    ui.label(
                        RichText::new(format!("cancelled after {}", lasted(job.elapsed().as_secs_f64()))).color(cx.theme.warning),
                    );
                }
                JobState::Failed(why) => {
                    ui.add(egui::Label::new(RichText::new(why).color(cx.theme.error)).wrap().selectable(true));
                }
            }
            if job.alive() {
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    let name = &job.name;
                    if ui
                        .button("Cancel")
                        .accessible_name(format!("Cancel {name}"))
                        .on_hover_text("End it; what it has so far is kept")
                        .clicked()
                    {
                        cx.commands.push(Command::CancelJob { id: job.id });
                    }
                    if state == JobState::Paused {
                        if ui.button("Go on").accessible_name(format!("Go on with {name}")).clicked() {
                            cx.commands.push(Command::ResumeJob { id: job.id });
                        }
                    } else if ui.button("Pause").accessible_name(format!("Pause {name}")).clicked() {
                        cx.commands.push(Command::PauseJob { id: job.id });
                    }
                });
            }
        });
        let y = ui.cursor().top() - 2.0;
        ui.painter().hline(ui.max_rect().x_range(), y, Stroke::new(1.0, cx.theme.hairline));
    }
}

/// The recipe on its way, above its jobs.
fn recipe(ui: &mut Ui, cx: &mut Cx<'_>, file: &str, done: f32) {
    let name = std::path::Path::new(file).file_name().map_or_else(|| file.into(), |n| n.to_string_lossy());
    ui.horizontal(|ui| {
        ui.set_min_height(24.0);
        let label = egui::Label::new(RichText::new(format!("Recipe {name}")).color(cx.theme.text)).truncate();
        ui.add_sized(vec2(240.0, 20.0), label).on_hover_text(file);
        let text = RichText::new(format!("{:.0} %", done * 100.0)).small();
        ui.add(ProgressBar::new(done).text(text).desired_width(160.0).fill(cx.theme.accent_fill));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let stop = ui.button("Stop").accessible_name("Stop the recipe");
            if stop.on_hover_text("Leave the rest of it; what it made so far stays").clicked() {
                cx.commands.push(Command::StopRecipe);
            }
        });
    });
    let y = ui.cursor().top() - 2.0;
    ui.painter().hline(ui.max_rect().x_range(), y, Stroke::new(1.0, cx.theme.hairline));
}

/// `0.4 s`, `12 s`, `3 min`.
fn lasted(seconds: f64) -> String {
    if seconds < 10.0 {
        format!("{seconds:.1} s")
    } else if seconds < 100.0 {
        format!("{seconds:.0} s")
    } else if seconds < 6000.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!([lasted(0.42), lasted(12.3), lasted(180.0), lasted(9000.0)], ["0.4 s", "12 s", "3 min", "2.5 h"]);
    }
}
