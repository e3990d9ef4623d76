//! The start page: samples, what was open before, what a crash left behind.

use std::path::PathBuf;

use asterism_session::{Session, sample};
use egui::{Align2, Rect, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use super::{Action, App, kit};
use crate::theme;

/// What the page knows.
pub struct State {
    /// Shown over the views.
    pub open: bool,
    recovery: Option<PathBuf>,
}

impl State {
    /// With what a crash left behind.
    pub fn new(recovery: Option<PathBuf>) -> Self {
        Self { open: false, recovery }
    }
}

/// Draw it.
pub fn show(app: &mut App, ui: &mut Ui) {
    let theme = app.theme.clone();
    egui::ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let full = ui.available_width();
        let width = (full - 96.0).clamp(320.0, 880.0);
        ui.horizontal(|ui| {
            ui.add_space(((full - width) / 2.0).max(16.0));
            ui.vertical(|ui| {
                ui.set_width(width);
                page(app, ui, &theme, width);
            });
        });
    });
}

fn page(app: &mut App, ui: &mut Ui, theme: &theme::Theme, width: f32) {
    let tall = ui.ctx().content_rect().height() > 800.0;
    ui.add_space(if tall { 72.0 } else { 32.0 });
    ui.label(egui::RichText::new("Asterism").font(theme::semibold(28.0)));
    ui.label(
        egui::RichText::new(
            "See the shape of a search result, pick out the group that matters, and turn it into a better question.",
        )
        .color(theme.second),
    );
    ui.add_space(24.0);
    recovery(app, ui, theme);

    head(ui, theme, "Start with a sample");
    let gap = 16.0;
    let columns = if width > 620.0 { 2 } else { 1 };
    let card_width = (width - gap * (columns as f32 - 1.0)) / columns as f32;
    for chunk in sample::list().chunks(columns) {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            for s in chunk {
                if card(ui, theme, card_width, s).clicked() {
                    app.actions.push(Action::Sample(s.name.clone()));
                }
            }
        });
        ui.add_space(gap - 4.0);
    }
    ui.add_space(12.0);
    head(ui, theme, "Or with your own");
    ui.horizontal(|ui| {
        if kit::primary(ui, theme, "Open a file…", true)
            .on_hover_text("VOTable, FITS, Parquet, CSV, a session or a recipe  (Ctrl+O)")
            .clicked()
        {
            app.actions.push(Action::Open);
        }
        if kit::button(ui, "Search an archive", true)
            .on_hover_text("MAST and the Virtual Observatory, in step 1 at the left")
            .clicked()
        {
            app.rail.service = super::rail::Service::Mast;
            app.actions.push(Action::Step(0));
        }
        ui.label(egui::RichText::new("or drop files anywhere on the window").color(theme.third));
    });
    let recent = app.session.settings().recent.clone();
    let recent: Vec<_> = recent.into_iter().filter(|p| p.exists()).collect();
    if !recent.is_empty() {
        ui.add_space(24.0);
        head(ui, theme, "Recent");
        for path in recent {
            let (rect, response) = ui.allocate_exact_size(vec2(width, 28.0), Sense::click());
            let name = if super::dialogs::is_kept(&path) {
                "Last session".into()
            } else {
                path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
            };
            response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Open {name}")));
            if response.hovered() || response.has_focus() {
                ui.painter().rect_filled(rect.expand2(vec2(8.0, 0.0)), 4.0, theme.hovered);
            }
            let y = rect.center().y;
            let at = ui.painter().text(pos2(rect.left(), y), Align2::LEFT_CENTER, &name, theme::body(), theme.text);
            let folder = path.parent().map(|p| p.display().to_string()).unwrap_or_default();
            let galley = kit::elided(ui, &folder, theme::small(), theme.third, (width - at.width() - 24.0).max(0.0));
            ui.painter().galley(pos2(at.right() + 16.0, y - galley.size().y / 2.0), galley, theme.third);
            if response.clicked() {
                app.actions.push(Action::OpenPath(path));
            }
        }
    }
    ui.add_space(40.0);
}

fn head(ui: &mut Ui, theme: &theme::Theme, text: &str) {
    ui.label(egui::RichText::new(text).font(theme::semibold(theme::BODY)).color(theme.text));
    ui.add_space(6.0);
}

fn recovery(app: &mut App, ui: &mut Ui, theme: &theme::Theme) {
    let Some(path) = app.start.recovery.clone() else { return };
    egui::Frame::new().fill(theme.soft).corner_radius(6.0).inner_margin(14.0).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.label(
            egui::RichText::new("Asterism did not end well last time").font(theme::semibold(theme::BODY)).color(theme.on_soft),
        );
        ui.label(egui::RichText::new("What you were working on was kept.").color(theme.on_soft));
        ui.add_space(8.0);
        ui.horizontal(|ui| {
            if kit::primary(ui, theme, "Bring it back", true).clicked() {
                app.actions.push(Action::OpenPath(path));
                app.start.recovery = None;
            }
            if kit::button(ui, "Forget it", true).clicked() {
                Session::discard_recovery();
                app.start.recovery = None;
            }
        });
    });
    ui.add_space(24.0);
}

fn card(ui: &mut Ui, theme: &theme::Theme, width: f32, s: &sample::Sample) -> egui::Response {
    let text_width = width - 32.0;
    let title = kit::elided(ui, &s.title, theme::semibold(14.0), theme.text, text_width);
    let body = ui.painter().layout(s.description.clone(), theme::body(), theme.second, text_width);
    let credit = kit::elided(ui, &s.credit, theme::small(), theme.third, text_width);
    let height = (16.0 + title.size().y + 6.0 + body.size().y + 10.0 + credit.size().y + 16.0).max(132.0);
    let (rect, response) = ui.allocate_exact_size(vec2(width, height), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Sample: {}", s.title)));
    let on = response.hovered() || response.has_focus();
    let edge = if on { theme.accent } else { theme.hairline };
    ui.painter().rect(rect, 6.0, if on { theme.hovered } else { theme.frame }, Stroke::new(1.0, edge), egui::StrokeKind::Inside);
    let inner: Rect = rect.shrink(16.0);
    let mut y = inner.top();
    let (h1, h2, h3) = (title.size().y, body.size().y, credit.size().y);
    ui.painter().galley(pos2(inner.left(), y), title, theme.text);
    y += h1 + 6.0;
    ui.painter().galley(pos2(inner.left(), y), body, theme.second);
    y += h2 + 10.0;
    ui.painter().galley(pos2(inner.left(), y.max(inner.bottom() - h3)), credit, theme.third);
    response.on_hover_cursor(egui::CursorIcon::PointingHand)
}
