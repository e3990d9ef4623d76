//! Small pieces that the bars and the rail are put together from: rows with a label, folding
//! steps, buttons with an accessible name.

use egui::{Align, Align2, Color32, Layout, Rect, Response, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use crate::theme::{self, Theme};

/// Width of the label column of the rail, points.
pub const LABEL_PT: f32 = 92.0;

pub use crate::widgets::format::{figure, seconds};
pub use crate::widgets::text::elided;

pub use asterism_session::words::count as thousands;

/// A step of the rail: number, name, summary on the right, folding open.
pub fn step(ui: &mut Ui, theme: &Theme, number: u8, name: &str, summary: &str, open: &mut bool, body: impl FnOnce(&mut Ui)) {
    let width = ui.available_width();
    let (rect, response) = ui.allocate_exact_size(vec2(width, 32.0), Sense::click());
    let response = response.on_hover_cursor(egui::CursorIcon::PointingHand);
    if response.clicked() {
        *open = !*open;
    }
    let is_open = *open;
    response.widget_info(|| WidgetInfo::labeled(Role::DisclosureTriangle, true, format!("Step {number}: {name}")));
    ui.ctx().accesskit_node_builder(response.id, |node| node.set_expanded(is_open));
    if ui.is_rect_visible(rect) {
        if response.has_focus() {
            ui.painter().rect_stroke(rect.shrink(1.0), 2.0, Stroke::new(1.0, theme.accent), egui::StrokeKind::Inside);
        }
        let y = rect.center().y + 2.0;
        let left = rect.left() + theme::PADDING;
        let painter = ui.painter();
        painter.text(pos2(left, y), Align2::LEFT_CENTER, number.to_string(), theme::mono(11.0), theme.accent);
        let title = if response.hovered() { theme.outline } else { theme.text };
        let at = painter.text(pos2(left + 20.0, y), Align2::LEFT_CENTER, name, theme::semibold(theme::BODY), title);
        let fold = rect.right() - theme::PADDING;
        chevron(ui, pos2(fold - 4.0, y), is_open, if response.hovered() { theme.second } else { theme.third });
        let space = fold - 16.0 - at.right() - 12.0;
        let galley = elided(ui, summary, theme::small(), theme.third, space.max(0.0));
        ui.painter().galley(pos2(fold - 16.0 - galley.size().x, y - galley.size().y / 2.0), galley, theme.third);
    }
    if is_open {
        egui::Frame::new().inner_margin(egui::Margin { left: 14, right: 14, top: 2, bottom: 14 }).show(ui, |ui| {
            ui.set_width(ui.available_width());
            steady(ui, name, body);
        });
    }
    let bottom = ui.cursor().top();
    ui.painter().hline(rect.x_range(), bottom, Stroke::new(1.0, theme.hairline));
    ui.add_space(1.0);
}

/// Widgets whose ids do not depend on how many stand before them. A note that comes or goes above a button between press and release
/// would else make it another button, and the click would be lost.
pub fn steady<R>(ui: &mut Ui, name: &str, body: impl FnOnce(&mut Ui) -> R) -> R {
    let id = ui.make_persistent_id(name);
    ui.scope_builder(egui::UiBuilder::new().scope_id(id), body).inner
}

/// A small arrow: down when open, right when not.
pub fn chevron(ui: &Ui, at: egui::Pos2, open: bool, colour: Color32) {
    let s = 3.5;
    let points = if open {
        vec![at + vec2(-s, -s * 0.5), at + vec2(0.0, s * 0.5), at + vec2(s, -s * 0.5)]
    } else {
        vec![at + vec2(-s * 0.5, -s), at + vec2(s * 0.5, 0.0), at + vec2(-s * 0.5, s)]
    };
    ui.painter().add(egui::Shape::line(points, Stroke::new(1.3, colour)));
}

/// Where the label of the row being drawn is kept for the fields in it.
const ROW_LABEL: &str = "row label";

/// A row of the rail: a label at the left, what it labels at the right. Inputs in it that have no
/// name of their own are named by the label.
pub fn row<R>(ui: &mut Ui, theme: &Theme, label: &str, help: &str, body: impl FnOnce(&mut Ui) -> R) -> R {
    ui.horizontal(|ui| {
        ui.set_min_height(26.0);
        let (rect, response) = ui.allocate_exact_size(vec2(LABEL_PT, 26.0), Sense::hover());
        let galley = elided(ui, label, theme::body(), theme.second, LABEL_PT - 6.0);
        ui.painter().galley(pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, theme.second);
        if !help.is_empty() {
            response.on_hover_text(help);
        }
        ui.spacing_mut().item_spacing.x = 6.0;
        ui.scope(|ui| {
            field_look(ui, theme);
            // A hint counts as a name, so a field with one is not named from outside: it is told its name.
            ui.data_mut(|d| d.insert_temp(egui::Id::unique(ROW_LABEL), label.to_owned()));
            let inner = ui.name_inputs(label, body);
            ui.data_mut(|d| d.remove_temp::<String>(egui::Id::unique(ROW_LABEL)));
            inner
        })
        .inner
    })
    .inner
}

/// Widgets from here on look like fields: dark, with a hairline around.
pub fn field_look(ui: &mut Ui, theme: &Theme) {
    let w = &mut ui.visuals_mut().widgets;
    for state in [&mut w.inactive, &mut w.hovered, &mut w.open] {
        state.weak_bg_fill = theme.field;
        state.bg_fill = theme.field;
        state.bg_stroke = Stroke::new(1.0, theme.hairline);
    }
    w.hovered.bg_stroke = Stroke::new(1.0, theme.third);
}

/// A line of text to type into.
pub fn text(ui: &mut Ui, theme: &Theme, value: &mut String, hint: &str) -> Response {
    let width = ui.available_width();
    let edit = egui::TextEdit::singleline(value).hint_text(egui::RichText::new(hint).color(theme.third)).desired_width(width);
    let response = ui.add(edit);
    match ui.data(|d| d.get_temp::<String>(egui::Id::unique(ROW_LABEL))) {
        Some(label) => response.accessible_name(label),
        None => response,
    }
}

/// The button that does what the step is for.
pub fn primary(ui: &mut Ui, theme: &Theme, name: &str, enabled: bool) -> Response {
    let text = egui::RichText::new(name).color(if enabled { theme.on_accent } else { theme.third });
    let button = egui::Button::new(text).fill(if enabled { theme.accent_fill } else { theme.raised }).min_size(vec2(0.0, 26.0));
    ui.add_enabled(enabled, button)
}

/// Any other button.
pub fn button(ui: &mut Ui, name: &str, enabled: bool) -> Response {
    ui.add_enabled(enabled, egui::Button::new(name).min_size(vec2(0.0, 26.0)))
}

/// A small button with a triangle that points down: what belongs to the button before it. The name is for those who do not see it.
pub fn caret(ui: &mut Ui, theme: &Theme, name: &str, enabled: bool) -> Response {
    let response = ui.add_enabled(enabled, egui::Button::new("").min_size(vec2(16.0, 26.0)));
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, name));
    let (c, colour) = (response.rect.center(), if enabled { theme.second } else { theme.context });
    let corners = vec![c + vec2(-3.5, -2.0), c + vec2(3.5, -2.0), c + vec2(0.0, 2.5)];
    ui.painter().add(egui::Shape::convex_polygon(corners, colour, Stroke::NONE));
    response
}

/// A word that can be pressed, in the second colour, with no box until the cursor is on it.
pub fn word(ui: &mut Ui, theme: &Theme, name: &str) -> Response {
    let galley = ui.painter().layout_no_wrap(name.to_owned(), theme::small(), theme.third);
    let (rect, response) = ui.allocate_exact_size(galley.size() + vec2(4.0, 6.0), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), name));
    let colour = if !ui.is_enabled() {
        theme.context
    } else if response.hovered() || response.has_focus() {
        theme.accent
    } else {
        theme.third
    };
    let at = pos2(rect.left() + 2.0, rect.center().y - galley.size().y / 2.0);
    ui.painter().galley_with_override_text_color(at, galley, colour);
    response.on_hover_cursor(egui::CursorIcon::PointingHand)
}

/// A symbol that can be pressed, `size` square, with a name for readers and a tooltip.
pub fn icon(ui: &mut Ui, theme: &Theme, name: &str, draw: impl FnOnce(&egui::Painter, Rect, Color32)) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(20.0, 20.0), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), name));
    if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, 4.0, theme.raised_hovered);
    }
    draw(ui.painter(), rect, if response.hovered() { theme.text } else { theme.third });
    response.on_hover_text(name)
}

/// A cross, for closing and deleting.
pub fn draw_cross(p: &egui::Painter, rect: Rect, colour: Color32) {
    let c = rect.center();
    let s = 3.5;
    p.line_segment([c + vec2(-s, -s), c + vec2(s, s)], Stroke::new(1.2, colour));
    p.line_segment([c + vec2(-s, s), c + vec2(s, -s)], Stroke::new(1.2, colour));
}

/// Two bars, for pausing.
pub fn draw_pause(p: &egui::Painter, rect: Rect, colour: Color32) {
    let c = rect.center();
    for dx in [-2.5, 2.5] {
        p.line_segment([c + vec2(dx, -4.0), c + vec2(dx, 4.0)], Stroke::new(2.0, colour));
    }
}

/// Three sliders, for options that are folded away.
pub fn draw_sliders(p: &egui::Painter, rect: Rect, colour: Color32) {
    let c = rect.center();
    for (dy, knob) in [(-4.0, 2.5), (0.0, -2.5), (4.0, 1.0)] {
        p.line_segment([c + vec2(-6.0, dy), c + vec2(6.0, dy)], Stroke::new(1.2, colour));
        p.circle_filled(c + vec2(knob, dy), 1.9, colour);
    }
}

/// A triangle, for going on.
pub fn draw_play(p: &egui::Painter, rect: Rect, colour: Color32) {
    let c = rect.center();
    p.add(egui::Shape::convex_polygon(vec![c + vec2(-3.0, -4.5), c + vec2(4.5, 0.0), c + vec2(-3.0, 4.5)], colour, Stroke::NONE));
}

/// An eye, open or struck out.
pub fn draw_eye(p: &egui::Painter, rect: Rect, colour: Color32, open: bool) {
    let c = rect.center();
    let arc = |sign: f32| {
        (0..=12)
            .map(|i| {
                let t = i as f32 / 12.0;
                c + vec2(-7.0 + 14.0 * t, sign * 4.2 * (std::f32::consts::PI * t).sin())
            })
            .collect::<Vec<_>>()
    };
    p.add(egui::Shape::line(arc(1.0), Stroke::new(1.2, colour)));
    p.add(egui::Shape::line(arc(-1.0), Stroke::new(1.2, colour)));
    p.circle_filled(c, 2.0, colour);
    if !open {
        p.line_segment([c + vec2(-5.0, 5.0), c + vec2(5.0, -5.0)], Stroke::new(1.2, colour));
    }
}

/// A bar that shows how far something is; without a fraction, a bar that is merely there.
pub fn progress(ui: &mut Ui, theme: &Theme, fraction: Option<f32>) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 3.0), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::new(Role::ProgressIndicator);
        info.value = fraction.map(|f| f64::from(f) * 100.0);
        info
    });
    ui.painter().rect_filled(rect, 1.5, theme.hairline);
    let f = fraction.unwrap_or(0.3).clamp(0.0, 1.0);
    let filled = Rect::from_min_size(rect.min, vec2(rect.width() * f, rect.height()));
    ui.painter().rect_filled(filled, 1.5, if fraction.is_some() { theme.accent } else { theme.third });
}

/// A note under a row, wrapped.
pub fn note(ui: &mut Ui, colour: Color32, text: impl Into<String>) -> Response {
    ui.add(egui::Label::new(egui::RichText::new(text).font(theme::small()).color(colour)).wrap())
}

/// Put `body` at the right end of a row.
pub fn right<R>(ui: &mut Ui, body: impl FnOnce(&mut Ui) -> R) -> R {
    ui.with_layout(Layout::right_to_left(Align::Center), body).inner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1600), "1,600");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(seconds(4.04), "4.0 s");
        assert_eq!(seconds(125.0), "2 min 5 s");
        assert_eq!(figure(1.41234), "1.412");
    }
}
