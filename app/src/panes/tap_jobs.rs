//! The jobs of a TAP service: how each stands, when the service removes it; fetch, abort, delete.
//!
//! Jobs that this program made are remembered from one session to the next; a service may show others.

use std::sync::Arc;

use asterism_session::archive::{Kind, Request};
use asterism_session::behind::Looked;
use asterism_session::tap_jobs::{GONE, JobLine, short};
use asterism_session::{Ask, Command};
use egui::{RichText, ScrollArea, Stroke, Ui, vec2};
use serde::{Deserialize, Serialize};

use crate::cx::Cx;
use crate::theme;
use crate::window::kit;

/// Which service is looked at.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TapJobsPane {
    base: String,
    /// It was asked once by itself.
    #[serde(skip)]
    asked: bool,
}

/// Services that may have jobs: name and base address, that of the table in front first.
fn services(cx: &Cx<'_>) -> Vec<(String, String)> {
    let mut list: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, base: &str| {
        let base = asterism_session::tap_jobs::plain_base(base);
        if !base.is_empty() && !list.iter().any(|(_, b)| *b == base) {
            list.push((name.to_owned(), base));
        }
    };
    if let Some(Ask::Archive { request: Request::Tap { base, .. } }) = cx.session.doc().dataset().map(|d| &d.ask) {
        let saved = cx.session.settings().services.saved.iter().find(|s| s.kind == Kind::Tap && s.url == *base);
        add(saved.map_or(base.as_str(), |s| &s.name), base);
    }
    for job in cx.session.remembered_jobs() {
        let saved = cx.session.settings().services.saved.iter().find(|s| s.url.trim_end_matches('/') == job.base);
        add(saved.map_or(job.base.as_str(), |s| &s.name), &job.base);
    }
    for s in cx.session.settings().services.saved.iter().filter(|s| s.kind == Kind::Tap) {
        add(&s.name, &s.url);
    }
    list
}

impl TapJobsPane {
    /// For the tab.
    pub fn title(&self, _cx: &Cx<'_>) -> String {
        "Jobs of TAP services".into()
    }

    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, _ui: &mut Ui, _cx: &mut Cx<'_>) {}

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let services = services(cx);
        if self.base.is_empty()
            && let Some((_, base)) = services.first()
        {
            self.base.clone_from(base);
        }
        let known = |base: &str| services.iter().find(|(_, b)| b == base).map_or_else(|| base.to_owned(), |(n, _)| n.clone());
        let looked = cx.session.jobs_of(&self.base);
        // What is remembered is asked about once, as it stands in the list from the beginning.
        if !self.asked && matches!(looked, Looked::Not) && cx.session.remembered_jobs().iter().any(|j| j.base == self.base) {
            self.asked = true;
            cx.commands.push(Command::ListTapJobs { base: self.base.clone() });
        }
        egui::Frame::new().inner_margin(12.0).show(ui, |ui| {
            ui.horizontal(|ui| {
                egui::ComboBox::from_id_salt("service of jobs")
                    .selected_text(known(&self.base))
                    .width(220.0)
                    .truncate()
                    .show_ui(ui, |ui| {
                        for (name, base) in &services {
                            ui.selectable_value(&mut self.base, base.clone(), name).on_hover_text(base);
                        }
                    })
                    .response
                    .accessible_name("Service of the jobs");
                let help = "Ask the service how its jobs stand";
                if kit::button(ui, "Refresh", !self.base.is_empty()).on_hover_text(help).clicked() {
                    cx.commands.push(Command::ListTapJobs { base: self.base.clone() });
                }
            });
            ui.add_space(6.0);
            match looked {
                Looked::Not => {
                    let text = "A long query runs as a job of the service (As a job, under Search). Refresh lists those of this service.";
                    kit::note(ui, cx.theme.third, text);
                }
                Looked::Asking => {
                    kit::note(ui, cx.theme.third, "The service is asked…");
                    kit::progress(ui, cx.theme, None);
                }
                Looked::Failed(why) => {
                    kit::note(ui, cx.theme.error, why);
                }
                Looked::Found(lines) if lines.is_empty() => {
                    kit::note(ui, cx.theme.third, "It shows no jobs to this program, and none are remembered.");
                }
                Looked::Found(lines) => self.lines(ui, cx, &lines),
            }
        });
    }

    fn lines(&self, ui: &mut Ui, cx: &mut Cx<'_>, lines: &Arc<Vec<JobLine>>) {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            for job in lines.iter() {
                ui.push_id(&job.url, |ui| self.line(ui, cx, job));
            }
        });
    }

    fn line(&self, ui: &mut Ui, cx: &mut Cx<'_>, job: &JobLine) {
        let colour = match job.phase.as_str() {
            "COMPLETED" => cx.theme.accent,
            "ERROR" | "ABORTED" => cx.theme.error,
            GONE => cx.theme.third,
            _ => cx.theme.second,
        };
        let running = matches!(job.phase.as_str(), "PENDING" | "QUEUED" | "EXECUTING" | "HELD" | "SUSPENDED");
        let name = short(&job.url).to_owned();
        ui.horizontal(|ui| {
            ui.set_min_height(26.0);
            let (rect, response) = ui.allocate_exact_size(vec2(92.0, 20.0), egui::Sense::hover());
            let phase = if job.phase.is_empty() { "not known" } else { &job.phase };
            let galley = kit::elided(ui, &phase.to_lowercase(), theme::small(), colour, 88.0);
            ui.painter().galley(egui::pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, colour);
            response.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::Label, true, format!("Job {name}: {}", phase.to_lowercase()))
            });
            kit::right(ui, |ui| {
                ui.spacing_mut().item_spacing.x = 6.0;
                let gone = job.phase == GONE;
                let (word, help) = if gone {
                    ("Forget", "The service does not have it any more: take it off this list")
                } else {
                    ("Delete", "Remove the job and its result from the server")
                };
                let button = |ui: &mut Ui, word: &str, on: bool| {
                    ui.add_enabled(on, egui::Button::new(word)).accessible_name(format!("{word} job {name}"))
                };
                let (base, url) = (self.base.clone(), job.url.clone());
                if button(ui, word, true).on_hover_text(help).clicked() {
                    cx.commands.push(Command::DeleteTapJob { base: base.clone(), url: url.clone() });
                }
                if running && button(ui, "Abort", true).on_hover_text("End it; its record stays on the server").clicked() {
                    cx.commands.push(Command::AbortTapJob { base: base.clone(), url: url.clone() });
                }
                let help = if running { "Wait for it, and take its rows as a search" } else { "Take its rows as a search" };
                if !gone && button(ui, "Fetch", running || job.phase == "COMPLETED").on_hover_text(help).clicked() {
                    cx.commands.push(Command::FetchTapJob { base, url });
                }
                let [made, began, ended, removed] = &job.times;
                let when = [ended, began, made].into_iter().find(|t| !t.is_empty()).map(|t| moment(t)).unwrap_or_default();
                let until = if removed.is_empty() { String::new() } else { format!(" · kept to {}", moment(removed)) };
                let told = |word: &str, t: &str| if t.is_empty() { String::new() } else { format!("{word} {t}\n") };
                let all = format!(
                    "{}{}{}{}",
                    told("made", made),
                    told("began", began),
                    told("ended", ended),
                    told("removed by the service on", removed)
                );
                ui.label(RichText::new(format!("{when}{until}")).font(theme::small()).color(cx.theme.third))
                    .on_hover_text(all.trim());
                ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                    let query = job.query.split_whitespace().collect::<Vec<_>>().join(" ");
                    let (text, colour) = match &job.error {
                        Some(why) => (why.clone(), cx.theme.error),
                        None if query.is_empty() => (name.clone(), cx.theme.text),
                        None => (query, cx.theme.text),
                    };
                    let label = ui.add(egui::Label::new(RichText::new(&text).color(colour)).truncate());
                    label.on_hover_text(format!("{}\n{}", job.query, job.url));
                });
            });
        });
        let y = ui.cursor().top() - 2.0;
        ui.painter().hline(ui.max_rect().x_range(), y, Stroke::new(1.0, cx.theme.hairline));
    }
}

/// `2026-01-02 03:04` of an ISO 8601 time; the text itself where it is something else.
fn moment(text: &str) -> String {
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) if day.as_bytes()[4] == b'-' => format!("{day} {time}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_read_to_the_minute() {
        assert_eq!(super::moment("2018-02-01T00:05:00Z"), "2018-02-01 00:05");
        assert_eq!(super::moment("soon"), "soon");
    }
}
