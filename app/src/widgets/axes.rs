//! Axes of a plot: margins, ticks, labels with units, grid, and the mouse that moves the view.
//!
//! Plain drag pans, the wheel zooms at the cursor, a drag or the wheel outside an axis moves that
//! axis alone, a double click frames all. What is drawn inside is the caller's business. A plot
//! crate was not taken: it tessellates every mark on the CPU each frame. Cost: a few dozen shapes.

use egui::{Align2, CursorIcon, FontId, Id, Pos2, Rect, Response, Sense, Stroke, Ui, Vec2, pos2, vec2};
use serde::{Deserialize, Serialize};

use super::format;
use crate::theme::{SMALL, Theme};

/// What a view shows: data at its left and right, and at its bottom and top.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range2 {
    /// Data at the left and at the right edge.
    pub x: [f64; 2],
    /// Data at the bottom and at the top edge.
    pub y: [f64; 2],
}

impl Range2 {
    /// Around bounds, with a margin of 4 % each side; never empty.
    pub fn around(x: [f64; 2], y: [f64; 2]) -> Self {
        Self { x: padded(x, 0.04), y: padded(y, 0.04) }
    }
    /// Around the finite points; 0..1 without any.
    pub fn of_points(points: impl Iterator<Item = [f64; 2]>) -> Self {
        let (mut x, mut y) = ([f64::INFINITY, f64::NEG_INFINITY], [f64::INFINITY, f64::NEG_INFINITY]);
        for p in points {
            if p[0].is_finite() && p[1].is_finite() {
                x = [x[0].min(p[0]), x[1].max(p[0])];
                y = [y[0].min(p[1]), y[1].max(p[1])];
            }
        }
        if x[0] > x[1] { Self { x: [0.0, 1.0], y: [0.0, 1.0] } } else { Self::around(x, y) }
    }
}

fn padded([low, high]: [f64; 2], share: f64) -> [f64; 2] {
    let span = high - low;
    if span.is_finite() && span > 0.0 {
        return [low - span * share, high + span * share];
    }
    let half = if low == 0.0 || !low.is_finite() { 0.5 } else { low.abs() * 0.05 };
    let middle = if low.is_finite() { low } else { 0.0 };
    [middle - half, middle + half]
}

/// A view on the screen: the inner rectangle and what it shows.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Inside the axes, points.
    pub rect: Rect,
    /// What it shows.
    pub view: Range2,
}

impl Frame {
    /// Screen from data.
    pub fn pt_from_data(&self, p: [f64; 2]) -> Pos2 {
        let u = (p[0] - self.view.x[0]) / (self.view.x[1] - self.view.x[0]);
        let v = (p[1] - self.view.y[0]) / (self.view.y[1] - self.view.y[0]);
        pos2(
            self.rect.left() + (u * f64::from(self.rect.width())) as f32,
            self.rect.bottom() - (v * f64::from(self.rect.height())) as f32,
        )
    }
    /// Data from screen.
    pub fn data_from_pt(&self, p: Pos2) -> [f64; 2] {
        let u = f64::from(p.x - self.rect.left()) / f64::from(self.rect.width().max(1.0));
        let v = f64::from(self.rect.bottom() - p.y) / f64::from(self.rect.height().max(1.0));
        [self.view.x[0] + u * (self.view.x[1] - self.view.x[0]), self.view.y[0] + v * (self.view.y[1] - self.view.y[0])]
    }
    /// Data units a point, along x and y (positive).
    pub fn data_per_pt(&self) -> [f64; 2] {
        [
            ((self.view.x[1] - self.view.x[0]) / f64::from(self.rect.width().max(1.0))).abs(),
            ((self.view.y[1] - self.view.y[0]) / f64::from(self.rect.height().max(1.0))).abs(),
        ]
    }
}

/// How a pair of axes looks.
pub struct Axes<'a> {
    /// Name and unit along x.
    pub x_label: &'a str,
    /// Name and unit along y.
    pub y_label: &'a str,
    /// The view that shows everything.
    pub home: Range2,
    /// Lines at each tick.
    pub grid: bool,
    /// Name for a screen reader.
    pub name: &'a str,
    /// y may not be moved (histograms).
    pub fixed_y: bool,
    /// What lies along x, and along y, are decimal logarithms: the ticks say the values themselves.
    pub log: [bool; 2],
}

/// What the mouse did.
pub struct Shown {
    /// The view on the screen, before this frame's movement took effect.
    pub frame: Frame,
    /// Of the inner rectangle; drags and clicks are the caller's.
    pub response: Response,
}

/// Left of the axes, points: labels and the title of y.
pub const LEFT: f32 = 62.0;
/// Below the axes.
pub const BOTTOM: f32 = 44.0;
/// Above and right of them.
pub const MARGIN: f32 = 10.0;
/// From the labels of the ticks of y to their axis.
pub const TICK_GAP: f32 = 7.0;
/// From the edge to the title of y.
pub const TITLE_GAP: f32 = 4.0;

impl Axes<'_> {
    /// Draw them in all the space there is. `view` is `None` for home.
    pub fn show(&self, ui: &mut Ui, id: Id, theme: &Theme, view: &mut Option<Range2>) -> Shown {
        let outer = ui.available_rect_before_wrap();
        ui.advance_cursor_after_rect(outer);
        let rect = Rect::from_min_max(
            pos2((outer.left() + LEFT).min(outer.right() - 20.0), outer.top() + MARGIN),
            pos2(outer.right() - MARGIN, (outer.bottom() - BOTTOM).max(outer.top() + MARGIN + 10.0)),
        );
        let now = view.unwrap_or(self.home);
        let frame = Frame { rect, view: now };
        let response = ui.interact(rect, id.with("plot"), Sense::click_and_drag());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Canvas, true, self.name));
        let x_axis = ui.interact(
            Rect::from_min_max(pos2(rect.left(), rect.bottom()), pos2(rect.right(), outer.bottom())),
            id.with("x"),
            Sense::click_and_drag(),
        );
        let y_axis =
            ui.interact(Rect::from_min_max(outer.min, pos2(rect.left(), rect.bottom())), id.with("y"), Sense::click_and_drag());
        let x_axis = x_axis.on_hover_cursor(CursorIcon::ResizeHorizontal);
        let y_axis = if self.fixed_y { y_axis } else { y_axis.on_hover_cursor(CursorIcon::ResizeVertical) };
        if x_axis.dragged() {
            pan(view, &frame, vec2(x_axis.drag_delta().x, 0.0));
        }
        if y_axis.dragged() && !self.fixed_y {
            pan(view, &frame, vec2(0.0, y_axis.drag_delta().y));
        }
        if super::gesture::frames_all(ui, &response) || x_axis.double_clicked() || y_axis.double_clicked() {
            *view = None;
        }
        if let Some(at) = ui.ctx().pointer_hover_pos() {
            let over = (response.contains_pointer(), x_axis.contains_pointer(), y_axis.contains_pointer());
            let factor = wheel(ui);
            if factor != 1.0 {
                let by = match over {
                    (true, _, _) => vec2(factor, if self.fixed_y { 1.0 } else { factor }),
                    (_, true, _) => vec2(factor, 1.0),
                    (_, _, true) if !self.fixed_y => vec2(1.0, factor),
                    _ => vec2(1.0, 1.0),
                };
                zoom(view, &frame, at, by);
            }
        }
        self.paint(ui, theme, &frame, outer);
        Shown { frame, response }
    }

    fn paint(&self, ui: &Ui, theme: &Theme, frame: &Frame, outer: Rect) {
        let painter = ui.painter_at(outer);
        let rect = frame.rect;
        let font = FontId::proportional(SMALL);
        let line = Stroke::new(1.0, theme.hairline);
        let label_room = 84.0;
        let width = |text: &str| painter.layout_no_wrap(text.to_owned(), font.clone(), theme.third).size().x;
        let most = (rect.width() / label_room).max(2.0) as usize;
        let (x_ticks, x_labels) = if self.log[0] {
            log_ticks(frame.view.x, most)
        } else {
            let (ticks, step) = ticks(frame.view.x, most);
            let apart = (frame.pt_from_data([frame.view.x[0] + step, 0.0]).x - rect.left()).abs();
            let labels = Labels::new(&ticks, step, apart - 8.0, width);
            (ticks, labels)
        };
        for (v, text) in x_ticks.iter().zip(&x_labels.texts) {
            let x = frame.pt_from_data([*v, frame.view.y[0]]).x;
            if self.grid {
                painter.vline(x, rect.y_range(), line);
            }
            painter.vline(x, rect.bottom()..=rect.bottom() + 4.0, Stroke::new(1.0, theme.third));
            // At the end of an axis a label makes room for itself rather than being cut.
            let half = 0.5 * width(text);
            let middle = x.clamp((outer.left() + half).min(x), (outer.right() - half - 1.0).max(outer.left() + half));
            painter.text(pos2(middle, rect.bottom() + 6.0), Align2::CENTER_TOP, text, font.clone(), theme.third);
        }
        let title = painter.layout_no_wrap(self.y_label.to_owned(), font.clone(), theme.second).size().y;
        let room = rect.left() - TICK_GAP - (outer.left() + TITLE_GAP + title);
        let most = (rect.height() / 44.0).max(2.0) as usize;
        let (y_ticks, y_labels) = if self.log[1] {
            log_ticks(frame.view.y, most)
        } else {
            let (ticks, step) = ticks(frame.view.y, most);
            let labels = Labels::new(&ticks, step, room, width);
            (ticks, labels)
        };
        for (v, text) in y_ticks.iter().zip(&y_labels.texts) {
            let y = frame.pt_from_data([frame.view.x[0], *v]).y;
            if self.grid {
                painter.hline(rect.x_range(), y, line);
            }
            painter.hline(rect.left() - 4.0..=rect.left(), y, Stroke::new(1.0, theme.third));
            painter.text(pos2(rect.left() - TICK_GAP, y), Align2::RIGHT_CENTER, text, font.clone(), theme.third);
        }
        painter.vline(rect.left(), rect.y_range(), line);
        painter.hline(rect.x_range(), rect.bottom(), line);
        let label = painter.layout_no_wrap(x_labels.title(self.x_label), font.clone(), theme.second);
        painter.galley(pos2(rect.center().x - label.size().x / 2.0, outer.bottom() - label.size().y - 4.0), label, theme.second);
        let label = painter.layout_no_wrap(y_labels.title(self.y_label), font, theme.second);
        let at = pos2(outer.left() + TITLE_GAP, rect.center().y + label.size().x / 2.0);
        painter.add(egui::epaint::TextShape::new(at, label, theme.second).with_angle(-std::f32::consts::FRAC_PI_2));
    }
}

/// How much the wheel or a pinch magnifies in this frame.
pub fn wheel(ui: &Ui) -> f32 {
    ui.input(|i| i.zoom_delta() * (i.smooth_scroll_delta().y * 0.0022).exp())
}

/// Move a view by so many points.
pub fn pan(view: &mut Option<Range2>, frame: &Frame, by_pt: Vec2) {
    let mut v = frame.view;
    let dx = f64::from(by_pt.x) / f64::from(frame.rect.width().max(1.0)) * (v.x[1] - v.x[0]);
    let dy = f64::from(by_pt.y) / f64::from(frame.rect.height().max(1.0)) * (v.y[1] - v.y[0]);
    v.x = [v.x[0] - dx, v.x[1] - dx];
    v.y = [v.y[0] + dy, v.y[1] + dy];
    *view = Some(v);
}

/// Magnify a view at a place on the screen.
pub fn zoom(view: &mut Option<Range2>, frame: &Frame, at: Pos2, by: Vec2) {
    if by == vec2(1.0, 1.0) {
        return;
    }
    let centre = frame.data_from_pt(at);
    let mut v = frame.view;
    let scaled = |[a, b]: [f64; 2], c: f64, by: f32| {
        let by = f64::from(by);
        let next = [c + (a - c) / by, c + (b - c) / by];
        // Below the resolution of a double there is nothing more to see.
        if (next[1] - next[0]).abs() > 1e-12 * c.abs().max(1e-290) && next[0].is_finite() && next[1].is_finite() {
            next
        } else {
            [a, b]
        }
    };
    v.x = scaled(v.x, centre[0], by.x);
    v.y = scaled(v.y, centre[1], by.y);
    *view = Some(v);
}

/// Round numbers between the ends, at most about `most`, and their step.
pub fn ticks([a, b]: [f64; 2], most: usize) -> (Vec<f64>, f64) {
    let (low, high) = (a.min(b), a.max(b));
    let span = high - low;
    if !(span > 0.0 && span.is_finite()) {
        return (Vec::new(), 1.0);
    }
    let rough = span / most.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].iter().map(|m| m * power).find(|s| *s >= rough * 0.999).unwrap_or(10.0 * power);
    let first = (low / step).ceil() as i64;
    let ticks = (0..64).map(|i| (first + i) as f64 * step).take_while(|v| *v <= high + step * 1e-9).collect();
    (ticks, step)
}

/// Ticks of an axis of decimal logarithms, where they lie on it, and what they say: powers of ten, with 2 and 5 between them where there is
/// room, or within about a decade round numbers as on any axis.
pub fn log_ticks([a, b]: [f64; 2], most: usize) -> (Vec<f64>, Labels) {
    let (low, high) = (a.min(b), a.max(b));
    let most = most.max(1);
    if !(high - low > 0.0 && low > -300.0 && high < 300.0) {
        return (Vec::new(), Labels::of(Vec::new()));
    }
    if high - low < 1.2 {
        let (values, step) = ticks([10f64.powf(low), 10f64.powf(high)], most);
        let values: Vec<f64> = values.into_iter().filter(|v| *v > 0.0).collect();
        let texts = values.iter().map(|v| tick_label(*v, step)).collect();
        return (values.iter().map(|v| v.log10()).collect(), Labels::of(texts));
    }
    let (first, last) = (low.ceil() as i32, high.floor() as i32);
    let decades = (last - first + 1).max(1) as usize;
    let between: &[u8] = if decades * 3 <= most { &[1, 2, 5] } else { &[1] };
    let step = decades.div_ceil(most).max(1) as i32;
    let mut all = Vec::new();
    for power in (first - 1..=last).filter(|p| p.rem_euclid(step) == 0) {
        for of in between {
            let at = f64::from(power) + f64::from(*of).log10();
            if at >= low - 1e-9 && at <= high + 1e-9 {
                all.push((at, power_label(*of, power)));
            }
        }
    }
    let (at, texts) = all.into_iter().unzip();
    (at, Labels::of(texts))
}

/// `0.02`, `500`, `10⁶`, `2×10⁻⁵`.
fn power_label(of: u8, power: i32) -> String {
    if (-4..=5).contains(&power) {
        let decimals = (-power).max(0) as usize;
        return format!("{:.decimals$}", f64::from(of) * 10f64.powi(power));
    }
    let raised: String = power.to_string().chars().map(format::superscript).collect();
    if of == 1 { format!("10{raised}") } else { format!("{of}×10{raised}") }
}

/// Labels of an axis: as they are where they fit, else without what they have in common, which the title says.
#[derive(Debug, PartialEq)]
pub struct Labels {
    /// One a tick.
    pub texts: Vec<String>,
    /// Power of ten that the labels are times of.
    power: i32,
    /// What is added to them, written out.
    plus: Option<String>,
}

impl Labels {
    /// As they are.
    fn of(texts: Vec<String>) -> Self {
        Self { texts, power: 0, plus: None }
    }
    /// In `room` points; `width` measures a text.
    pub fn new(ticks: &[f64], step: f64, room: f32, width: impl Fn(&str) -> f32) -> Self {
        let fit = |texts: &[String]| texts.iter().all(|t| width(t) <= room);
        let plain = Self { texts: ticks.iter().map(|v| tick_label(*v, step)).collect(), power: 0, plus: None };
        let most = ticks.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        if fit(&plain.texts) || most == 0.0 {
            return plain;
        }
        let scaled = Self::scaled(ticks, step, None);
        let (first, last) =
            (ticks.iter().copied().fold(f64::INFINITY, f64::min), ticks.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        if fit(&scaled.texts) {
            return scaled;
        }
        // What lies far from zero: of 253.06371 the last digits alone, above a round number below all of them.
        let round = 10f64.powf(((last - first).max(step).log10() - 1e-6).ceil());
        let plus = (first / round + 1e-6).floor() * round;
        let rest: Vec<f64> = ticks.iter().map(|v| v - plus).collect();
        let decimals = (-round.log10().round()).clamp(0.0, 15.0) as usize;
        let said = format::minus(&format!("{:.decimals$}", plus.abs()));
        let said = format!("{} {said}", if plus < 0.0 { "\u{2212}" } else { "+" });
        let texts: Vec<String> = rest.iter().map(|v| tick_label(*v, step)).collect();
        let short = fit(&texts) && !texts.iter().any(|t| t.contains('e'));
        let near = if short { Self { texts, power: 0, plus: Some(said) } } else { Self::scaled(&rest, step, Some(said)) };
        // Where nothing fits (no room at all) the shortest has to do.
        let longest = |l: &Self| l.texts.iter().map(|t| t.chars().count()).max().unwrap_or(0);
        if longest(&near) < longest(&scaled) { near } else { scaled }
    }

    /// Times a power of ten by which the largest is between 1 and 10.
    fn scaled(ticks: &[f64], step: f64, plus: Option<String>) -> Self {
        let most = ticks.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let power = if most > 0.0 { (most.log10() + 1e-9).floor() as i32 } else { 0 };
        let unit = 10f64.powi(power);
        let decimals = (-(step / unit).log10() - 1e-9).ceil().clamp(0.0, 15.0) as usize;
        let text = |v: &f64| {
            let v = if v.abs() < step * 1e-6 { 0.0 } else { v / unit };
            format::minus(&format!("{v:.decimals$}"))
        };
        Self { texts: ticks.iter().map(text).collect(), power, plus }
    }

    /// The title with what the labels have in common: `flux  × 10⁻⁴`, `time  × 10⁻² + 2458331`.
    pub fn title(&self, title: &str) -> String {
        let mut text = title.to_owned();
        if self.power != 0 {
            text += "  × 10";
            text.extend(self.power.to_string().chars().map(format::superscript));
        }
        if let Some(plus) = &self.plus {
            text += if self.power == 0 { "  " } else { " " };
            text += plus;
        }
        text
    }
}

/// A tick's number with just the decimals that its step needs.
pub fn tick_label(v: f64, step: f64) -> String {
    let v = if v.abs() < step * 1e-6 { 0.0 } else { v };
    // Julian dates and their like, large numbers that differ in their last digits, are written out.
    let large = v.abs() >= 1e6 && (step >= 1e4 || v.abs() >= 1e9);
    // Small steps far from zero are written out as well: 253.06371 and not 2.5306371e2.
    if v != 0.0 && (large || (step < 1e-5 && v.abs() < 1e-2)) {
        let digits = ((v.abs().log10().floor() - step.log10().floor()).max(0.0) as usize).min(12);
        return format::minus(&format!("{v:.digits$e}"));
    }
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    format::minus(&format!("{v:.decimals$}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let (t, step) = ticks([-55.0, 61.0], 6);
        assert_eq!(t, [-40.0, -20.0, 0.0, 20.0, 40.0, 60.0]);
        assert_eq!(step, 20.0);
        assert_eq!(tick_label(-40.0, 20.0), "−40");
        assert_eq!(tick_label(0.25, 0.05), "0.25");
        assert_eq!(tick_label(2_458_330.0, 5.0), "2458330");
        assert_eq!(tick_label(4e6, 1e6), "4e6");
        assert_eq!(tick_label(253.063_71, 1e-6), "253.063710");
        assert_eq!(tick_label(2e-6, 1e-6), "2e−6");
        assert!(ticks([1.0, 1.0], 5).0.is_empty());
        // An axis that runs backwards (right ascension) has the same ticks.
        assert_eq!(ticks([61.0, -55.0], 6).0.len(), 6);
    }

    /// Letters of seven points, as wide as a digit of the small font at most.
    #[test]
    fn an_axis_of_logarithms_says_the_values() {
        let (at, labels) = log_ticks([-2.3, 3.1], 6);
        assert_eq!(labels.texts, ["0.01", "0.1", "1", "10", "100", "1000"]);
        assert_eq!(at, [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0]);
        // Backwards; few decades have ticks between; many leave some out.
        assert_eq!(log_ticks([2.1, -0.1], 9).1.texts, ["1", "2", "5", "10", "20", "50", "100"]);
        assert_eq!(log_ticks([-20.5, 9.5], 5).1.texts, ["10⁻¹⁸", "10⁻¹²", "10⁻⁶", "1", "10⁶"]);
        // Within a decade they are those of any axis, at their logarithms.
        let (at, labels) = log_ticks([1.0, 1.5], 4);
        assert_eq!(labels.texts, ["10", "20", "30"]);
        assert!((at[1] - 20f64.log10()).abs() < 1e-12);
        assert!(log_ticks([f64::NAN, 1.0], 4).0.is_empty() && log_ticks([1.0, 1.0], 4).0.is_empty());
    }

    fn labels(range: [f64; 2], most: usize, room: f32) -> Labels {
        let (ticks, step) = ticks(range, most);
        Labels::new(&ticks, step, room, |t| t.chars().count() as f32 * 7.0)
    }

    #[test]
    fn labels_that_do_not_fit_leave_to_the_title_what_they_have_in_common() {
        // As they are while they fit.
        assert_eq!(labels([-20.0, 20.0], 4, 36.0).title("t-SNE 2"), "t-SNE 2");
        // A layout that begins.
        let tiny = labels([-0.00012, 0.00012], 4, 36.0);
        assert_eq!(tiny.texts, ["−1", "0", "1"]);
        assert_eq!(tiny.title("t-SNE 2"), "t-SNE 2  × 10⁻⁴");
        assert_eq!(labels([0.0, 250_000.0], 3, 36.0).title("n"), "n  × 10⁵");
        // Far from zero: a right ascension, a Julian date, a flux below zero.
        let near = labels([253.063_704_1, 253.063_715_9], 3, 36.0);
        assert_eq!(near.title("ra"), "ra  × 10⁻⁵ + 253.06370");
        assert_eq!(near.texts, ["0.5", "1.0", "1.5"]);
        let days = labels([2_458_330.0, 2_458_350.0], 4, 36.0);
        assert_eq!((days.texts[0].as_str(), days.title("time (d)")), ("30", "time (d)  + 2458300".into()));
        let below = labels([-1000.02, -1000.0], 2, 36.0);
        assert_eq!(below.title("v"), "v  − 1000.1");
        // What the title and a label say is the tick.
        for (range, room) in [([-0.00012, 0.00012], 36.0), ([1e-12, 9e-12], 30.0), ([0.1234561, 0.1234569], 36.0)] {
            let (at, step) = ticks(range, 4);
            let l = labels(range, 4, room);
            let plus: f64 = l.plus.as_ref().map_or(0.0, |p| p.replace(' ', "").replace('−', "-").parse().unwrap());
            for (v, text) in at.iter().zip(&l.texts) {
                let said = text.replace('−', "-").parse::<f64>().unwrap() * 10f64.powi(l.power) + plus;
                assert!((said - v).abs() < step * 1e-3, "{said} for {v}: {l:?}");
                assert!(text.chars().count() as f32 * 7.0 <= room, "{l:?}");
            }
        }
        // With no room at all there is still something to read.
        assert_eq!(labels([0.0, 1.0], 4, 0.0).texts.len(), 3);
        assert_eq!(labels([1.0, 1.0], 4, 36.0).texts.len(), 0);
    }

    #[test]
    fn the_place_under_the_cursor_stays_while_zooming() {
        let frame = Frame {
            rect: Rect::from_min_size(pos2(10.0, 20.0), vec2(200.0, 100.0)),
            view: Range2 { x: [0.0, 10.0], y: [5.0, -5.0] },
        };
        let at = pos2(60.0, 45.0);
        let before = frame.data_from_pt(at);
        let mut view = None;
        zoom(&mut view, &frame, at, vec2(2.0, 2.0));
        let after = Frame { rect: frame.rect, view: view.unwrap_or(frame.view) };
        let p = after.data_from_pt(at);
        assert!((p[0] - before[0]).abs() < 1e-9 && (p[1] - before[1]).abs() < 1e-9);
        assert!((after.view.x[1] - after.view.x[0] - 5.0).abs() < 1e-9);
        let round = frame.data_from_pt(frame.pt_from_data([3.0, 1.0]));
        assert!((round[0] - 3.0).abs() < 1e-4 && (round[1] - 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_range_is_never_empty() {
        for r in [Range2::of_points(std::iter::empty()), Range2::of_points([[2.0, f64::NAN], [3.0, 3.0]].into_iter())] {
            assert!(r.x[1] > r.x[0] && r.y[1] > r.y[0]);
        }
    }
}
