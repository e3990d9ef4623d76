//! Text that must fit.

use egui::{Color32, Ui};

/// Text on one line, with `…` where it must end early.
pub fn elided(ui: &Ui, text: &str, font: egui::FontId, colour: Color32, width: f32) -> std::sync::Arc<egui::Galley> {
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, colour);
    job.wrap = egui::text::TextWrapping::truncate_at_width(width);
    ui.fonts_mut(|f| f.layout_job(job))
}
