//! A search in parts, as a person sees it: how many rows in how many parts, which are here, and what to do next.

use asterism_session::{Command, Dataset, JobState};
use egui::Ui;

use super::{Rail, kit};
use crate::theme;

/// Parts that are listed one by one; the others by their number.
const LISTED: usize = 6;

/// The plan of the search in front, if parts of it are to come. True where it was shown.
pub fn card(rail: &mut Rail<'_>, ui: &mut Ui, dataset: &Dataset) -> bool {
    let Some(plan) = dataset.plan() else { return false };
    let theme = rail.theme;
    let job = rail.session.jobs().iter().rev().find(|j| j.alive() && j.dataset == dataset.id && !j.is_map).cloned();
    let (done, count, here) = (plan.done(), plan.parts.len(), dataset.table.rows());
    ui.add_space(6.0);
    egui::Frame::new().fill(theme.accent.gamma_multiply(0.12)).corner_radius(4.0).inner_margin(8.0).show(ui, |ui| {
        ui.set_width(ui.available_width());
        let all = match plan.total {
            Some(total) => format!("About {} rows in {count} parts", kit::thousands(total as usize)),
            None => format!("{count} parts; the service cannot count rows"),
        };
        kit::note(ui, theme.text, format!("{all}: more than the service sends at once."));
        let mut now = format!("{done} of {count} parts, {} rows here", kit::thousands(here));
        if let (Some(job), Some(left)) = (&job, plan.rows_left().filter(|_| done > 0 && here > 0)) {
            let seconds = job.elapsed().as_secs_f64() * left as f64 / here as f64;
            now.push_str(&format!(", about {} left", kit::seconds(seconds)));
        }
        kit::progress(ui, theme, Some(done as f32 / count.max(1) as f32));
        kit::note(ui, theme.second, now);
        // The parts around the one that is next.
        let next = plan.parts.iter().position(|p| !p.done).unwrap_or(0);
        let first = next.saturating_sub(1).min(count.saturating_sub(LISTED));
        for (i, part) in plan.parts.iter().enumerate().skip(first).take(LISTED) {
            let colour = if part.done { theme.third } else { theme.second };
            let text = format!("{}  {}", i + 1, plan.words(part));
            let galley = kit::elided(ui, &text, theme::small(), colour, ui.available_width());
            let (rect, response) = ui.allocate_exact_size(egui::vec2(ui.available_width(), 18.0), egui::Sense::hover());
            ui.painter().galley(egui::pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, colour);
            response.on_hover_text(text);
        }
        if count > first + LISTED {
            kit::note(ui, theme.third, format!("and {} more", count - first - LISTED));
        }
        ui.add_space(4.0);
        match job {
            Some(job) => {
                let said = job.ends_soon();
                let words = if said { "Stops after this part" } else { "Stop after this part" };
                let help = "The part on its way is still taken in. What is left can be got later, also in a later session";
                if kit::button(ui, words, !said && job.state() != JobState::Paused).on_hover_text(help).clicked() {
                    rail.commands.push(Command::StopAfterPart { id: job.id });
                }
            }
            None => {
                let words = if done == 0 && here == 0 { "Get all parts" } else { "Get the rest" };
                let help = "Ask for the parts that are not here, one after the other. Rows that are here do not come twice";
                if kit::primary(ui, theme, words, true).on_hover_text(help).clicked() {
                    rail.commands.push(Command::GetRest);
                }
            }
        }
    });
    true
}
