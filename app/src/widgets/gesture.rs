//! Drawing an outline on a plot: lasso, box, circle, brush and range, and moving the one drawn.
//!
//! Plain drags draw when a drawing tool is in hand. A polygon is drawn by clicks, corner by corner: Enter, a double click or a
//! click on the first corner closes it, Backspace takes the last corner back. Shift draws and adds, Ctrl or Alt draws and
//! removes, a press of 400 ms arms the lasso with no key. Esc ends the gesture. The outline stays
//! after release; its edge can be dragged to move it. A range runs along the axis that the hand goes further along; of one that
//! stays each end can be dragged, and the bar between them moves both. Points are collected on the screen, thinned
//! to half a point, and handed on in data units, so that what is selected does not depend on the
//! size of the window beyond what the hand did.

use asterism_session::{SelectMode, Shape};
use egui::{Color32, CursorIcon, Key, PointerButton, Pos2, Rect, Response, Stroke, Ui, pos2, vec2};

use crate::cx::Tool;

/// Seconds of a still press that arm the lasso.
const LONG_PRESS_SECONDS: f64 = 0.4;
/// Width of the bar that moves a range, points.
const BAR_PT: f32 = 6.0;
/// How near the cursor must be to the outline to take hold of it, points.
const GRIP_PT: f32 = 5.0;

/// From screen to data and back, for any kind of plot.
pub trait Transform {
    /// Screen from data.
    fn pt_from_data(&self, p: [f64; 2]) -> Pos2;
    /// Data from screen.
    fn data_from_pt(&self, p: Pos2) -> [f64; 2];
}

impl Transform for super::Frame {
    fn pt_from_data(&self, p: [f64; 2]) -> Pos2 {
        Self::pt_from_data(self, p)
    }
    fn data_from_pt(&self, p: Pos2) -> [f64; 2] {
        Self::data_from_pt(self, p)
    }
}

/// What a frame of a gesture came to.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing of ours: a drag pans.
    None,
    /// Armed or at the outline's edge: a drag would be ours.
    Ready,
    /// At work; the outline so far, and how it will combine.
    Drawing(Shape, Option<SelectMode>),
    /// A range along an axis (0: x, 1: y) so far.
    Ranging(usize, [f64; 2], Option<SelectMode>),
    /// Released.
    Drawn(Shape, Option<SelectMode>),
    /// A range along an axis, released.
    Ranged(usize, [f64; 2], Option<SelectMode>),
    /// The range that was there, on its way.
    MovingRange(usize, [f64; 2]),
    /// The range that was there, moved.
    MovedRange(usize, [f64; 2]),
    /// The outline that was there, on its way.
    Moving(Shape),
    /// The outline that was there, moved.
    Moved(Shape),
    /// The outline that was there and lies on another plane, taken from one place to another, on its way.
    Turning([f64; 2], [f64; 2]),
    /// The same, let go.
    Turned([f64; 2], [f64; 2]),
    /// Ended by Esc, or too small to be meant.
    Dropped,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    /// Pressed long enough.
    Armed(Pos2),
    Drawing {
        tool: Tool,
        mode: Option<SelectMode>,
        points: Vec<Pos2>,
    },
    /// The outline that is kept; `None` for one that lies on another plane.
    Moving {
        shape: Option<Shape>,
        from: Pos2,
    },
    /// A range, by its ends or by the bar between them.
    MovingRange {
        range: Range,
        grip: Grip,
        from: Pos2,
    },
    /// Corners so far, in data units: the view may be zoomed between two of them.
    Corners {
        corners: Vec<[f64; 2]>,
        mode: Option<SelectMode>,
    },
    /// The drag is not ours: nothing more until the button is up.
    Theirs,
    /// Esc was pressed: nothing more until the button is up.
    Dead,
}

/// An outline that stays and can be taken hold of.
#[derive(Clone, Copy)]
pub enum Hold<'a> {
    /// Of this plot.
    Here(&'a Shape),
    /// Of another plane: how it runs here, in data units.
    Elsewhere(&'a [Vec<[f64; 2]>]),
}

impl Hold<'_> {
    fn distance(&self, at: &dyn Transform, p: Pos2) -> f32 {
        match self {
            Self::Here(shape) => edge_distance(shape, at, p),
            Self::Elsewhere(pieces) => {
                let sides = pieces.iter().flat_map(|piece| piece.windows(2));
                let away = sides.map(|w| segment_distance(at.pt_from_data(w[0]), at.pt_from_data(w[1]), p));
                away.fold(f32::INFINITY, f32::min)
            }
        }
    }
}

/// A range that stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// 0: along x, 1: along y.
    pub axis: usize,
    /// Lower and upper end, data units.
    pub ends: [f64; 2],
}

/// What of a range is taken hold of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Grip {
    End(usize),
    Both,
}

impl Range {
    /// Its ends on the screen, along its axis.
    fn pt(&self, at: &dyn Transform, rect: Rect) -> [f32; 2] {
        let middle = at.data_from_pt(rect.center());
        self.ends.map(|v| if self.axis == 0 { at.pt_from_data([v, middle[1]]).x } else { at.pt_from_data([middle[0], v]).y })
    }
    /// The bar that moves it.
    fn bar(&self, at: &dyn Transform, rect: Rect) -> Rect {
        let [a, b] = self.pt(at, rect);
        let (low, high) = (a.min(b), a.max(b));
        let bar = if self.axis == 0 {
            Rect::from_min_max(pos2(low, rect.top()), pos2(high, rect.top() + BAR_PT))
        } else {
            Rect::from_min_max(pos2(rect.right() - BAR_PT, low), pos2(rect.right(), high))
        };
        bar.intersect(rect)
    }
    fn grip(&self, at: &dyn Transform, rect: Rect, p: Pos2) -> Option<Grip> {
        let place = if self.axis == 0 { p.x } else { p.y };
        let ends = self.pt(at, rect);
        let nearest = (0..2).min_by(|a, b| (ends[*a] - place).abs().total_cmp(&(ends[*b] - place).abs()))?;
        if (ends[nearest] - place).abs() <= GRIP_PT {
            return Some(Grip::End(nearest));
        }
        self.bar(at, rect).expand(1.0).contains(p).then_some(Grip::Both)
    }
    /// After a drag from one place to another.
    fn moved(&self, at: &dyn Transform, grip: Grip, from: Pos2, to: Pos2) -> Self {
        let (from, to) = (at.data_from_pt(from)[self.axis], at.data_from_pt(to)[self.axis]);
        let mut ends = self.ends;
        match grip {
            Grip::End(i) => ends[i] = to,
            Grip::Both => ends = ends.map(|v| v + to - from),
        }
        Self { ends: [ends[0].min(ends[1]), ends[0].max(ends[1])], ..*self }
    }
    /// Draw it over a plot.
    pub fn paint(&self, painter: &egui::Painter, at: &dyn Transform, rect: Rect, colour: Color32) {
        let [a, b] = self.pt(at, rect);
        if !(a.is_finite() && b.is_finite()) {
            return;
        }
        let stroke = Stroke::new(1.0, colour);
        let band = if self.axis == 0 {
            Rect::from_x_y_ranges(a.min(b)..=a.max(b), rect.y_range())
        } else {
            Rect::from_x_y_ranges(rect.x_range(), a.min(b)..=a.max(b))
        };
        painter.rect_filled(band.intersect(rect), 0.0, colour.gamma_multiply(0.08));
        painter.rect_filled(self.bar(at, rect), 0.0, colour.gamma_multiply(0.35));
        for end in [a, b] {
            if self.axis == 0 {
                painter.vline(end, rect.y_range(), stroke);
            } else {
                painter.hline(rect.x_range(), end, stroke);
            }
        }
    }
}

/// State of one plot's gesture.
#[derive(Default)]
pub struct Gesture {
    state: State,
    /// Keys held when the button went down last.
    pressed_with: egui::Modifiers,
    /// The outline that the last frame told of is one of corners.
    by_clicks: bool,
}

impl Gesture {
    /// Whether a gesture is under way.
    pub fn active(&self) -> bool {
        matches!(self.state, State::Drawing { .. } | State::Moving { .. } | State::MovingRange { .. } | State::Corners { .. })
    }

    /// Whether the outline that the last [`Self::update`] told of was drawn by clicks, corner by corner.
    pub fn by_clicks(&self) -> bool {
        self.by_clicks
    }

    /// Take part in this frame. `outline` and `range` are what is kept on this plot; ranges run along y as well where `upright` says so.
    #[expect(clippy::too_many_arguments, reason = "one call, and each is a different thing")]
    pub fn update(
        &mut self,
        ui: &Ui,
        response: &Response,
        at: &dyn Transform,
        tool: Tool,
        brush_pt: f32,
        outline: Option<Hold<'_>>,
        range: Option<Range>,
        upright: bool,
    ) -> Outcome {
        ui.data_mut(|d| d.insert_temp(egui::Id::unique(CORNERS), tool == Tool::Polygon));
        let (now, pointer, press_origin, pressed_for, escape) = ui.input(|i| {
            let pressed_for = i.pointer.press_start_time().map_or(0.0, |t| i.time - t);
            (i.modifiers, i.pointer.latest_pos(), i.pointer.press_origin(), pressed_for, i.key_pressed(Key::Escape))
        });
        // A frame may take long: every place the pointer went through in it counts, and so do the keys that were held
        // when the button went down, even if they are up by now.
        let mut way: Vec<Pos2> = Vec::new();
        ui.input(|i| {
            for event in &i.events {
                match event {
                    egui::Event::PointerMoved(p) => way.push(*p),
                    egui::Event::PointerButton { button: PointerButton::Primary, pressed: true, modifiers, .. } => {
                        way.clear();
                        self.pressed_with = *modifiers;
                    }
                    _ => {}
                }
            }
        });
        let modifiers =
            if matches!(self.state, State::Idle) && response.is_pointer_button_down_on() { self.pressed_with | now } else { now };
        if escape && (self.active() || matches!(self.state, State::Armed(_))) {
            self.state = State::Dead;
            ui.input_mut(|i| i.consume_key(egui::Modifiers::NONE, Key::Escape));
            return Outcome::Dropped;
        }
        let down = response.is_pointer_button_down_on() && ui.input(|i| i.pointer.primary_down());
        let removes = modifiers.command || modifiers.ctrl || modifiers.alt;
        let with_key = if modifiers.shift {
            Some(SelectMode::Or)
        } else if removes {
            Some(SelectMode::AndNot)
        } else {
            None
        };
        if matches!(self.state, State::Dead | State::Theirs) {
            let theirs = matches!(self.state, State::Theirs);
            if !down {
                self.state = State::Idle;
            }
            return if theirs { Outcome::None } else { Outcome::Dropped };
        }
        // Keys and the long press always lasso, unless another drawing tool is in hand.
        let drawing_tool = if matches!(tool, Tool::Pan | Tool::Polygon) { Tool::Lasso } else { tool };
        let Some(pointer) = pointer else { return Outcome::None };
        self.by_clicks = matches!(self.state, State::Corners { .. });
        if let State::Corners { corners, mode } = &mut self.state {
            let outcome = corner(ui, response, at, tool, pointer, corners, *mode);
            if matches!(outcome, Outcome::Drawn(..) | Outcome::Dropped) {
                self.state = State::Idle;
            }
            return outcome;
        }
        match &mut self.state {
            State::Idle => {
                let on_edge = outline
                    .filter(|_| with_key.is_none())
                    .is_some_and(|o| o.distance(at, press_origin.filter(|_| down).unwrap_or(pointer)) <= GRIP_PT)
                    && response.contains_pointer();
                let hold = press_origin.filter(|_| down).unwrap_or(pointer);
                let grip = range.filter(|_| with_key.is_none() && response.contains_pointer());
                let grip = grip.and_then(|r| r.grip(at, response.rect, hold).map(|g| (r, g)));
                if on_edge {
                    ui.ctx().set_cursor_icon(CursorIcon::Move);
                } else if let Some((range, grip)) = grip {
                    ui.ctx().set_cursor_icon(match (grip, range.axis) {
                        (Grip::Both, _) => CursorIcon::Grab,
                        (_, 0) => CursorIcon::ResizeHorizontal,
                        _ => CursorIcon::ResizeVertical,
                    });
                }
                let on_edge = on_edge || grip.is_some();
                if tool == Tool::Polygon && response.clicked() {
                    self.state = State::Corners { corners: vec![at.data_from_pt(pointer)], mode: with_key };
                    return Outcome::Ready;
                }
                if !down {
                    if response.contains_pointer() && !on_edge && (tool != Tool::Pan || with_key.is_some()) {
                        ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
                    }
                    return if on_edge { Outcome::Ready } else { Outcome::None };
                }
                let origin = press_origin.unwrap_or(pointer);
                if response.drag_started_by(PointerButton::Primary)
                    || (response.is_pointer_button_down_on() && way.iter().chain([&pointer]).any(|p| p.distance(origin) > 3.0))
                {
                    if let Some((range, grip)) = grip {
                        self.state = State::MovingRange { range, grip, from: origin };
                        return Outcome::Ready;
                    }
                    if on_edge && let Some(hold) = outline {
                        let shape = match hold {
                            Hold::Here(shape) => Some(shape.clone()),
                            Hold::Elsewhere(_) => None,
                        };
                        self.state = State::Moving { shape, from: origin };
                        return Outcome::Ready;
                    }
                    if with_key.is_some() || tool != Tool::Pan {
                        let mut points = vec![origin];
                        walk(&mut points, way.into_iter().chain([pointer]), response.rect);
                        self.state = State::Drawing { tool: drawing_tool, mode: with_key, points };
                        return Outcome::Ready;
                    }
                    self.state = State::Theirs;
                    return Outcome::None;
                }
                if pressed_for >= LONG_PRESS_SECONDS && pointer.distance(origin) < 4.0 {
                    self.state = State::Armed(origin);
                    return Outcome::Ready;
                }
                ui.ctx().request_repaint_after_secs((LONG_PRESS_SECONDS - pressed_for).max(0.01) as f32);
                if on_edge || with_key.is_some() || tool != Tool::Pan { Outcome::Ready } else { Outcome::None }
            }
            State::Armed(origin) => {
                let origin = *origin;
                if !down {
                    self.state = State::Idle;
                    return Outcome::None;
                }
                if pointer.distance(origin) > 3.0 {
                    self.state = State::Drawing { tool: drawing_tool, mode: with_key, points: vec![origin, pointer] };
                }
                Outcome::Ready
            }
            State::Drawing { tool, mode, points } => {
                let pointer = pos2(
                    pointer.x.clamp(response.rect.left(), response.rect.right()),
                    pointer.y.clamp(response.rect.top(), response.rect.bottom()),
                );
                match tool {
                    Tool::Lasso | Tool::Pan | Tool::Polygon | Tool::Brush => {
                        walk(points, way.into_iter().chain([pointer]), response.rect)
                    }
                    Tool::Box | Tool::Circle | Tool::Range => {
                        points.truncate(1);
                        points.push(pointer);
                    }
                }
                let (tool, mode) = (*tool, *mode);
                let released = !down;
                if tool == Tool::Range {
                    let way = (pointer - points[0]).abs();
                    let axis = usize::from(upright && way.y > way.x);
                    let ends = [at.data_from_pt(points[0])[axis], at.data_from_pt(pointer)[axis]];
                    let ends = [ends[0].min(ends[1]), ends[0].max(ends[1])];
                    let wide = [way.x, way.y][axis] >= 3.0;
                    if released {
                        self.state = State::Idle;
                        return if wide { Outcome::Ranged(axis, ends, mode) } else { Outcome::Dropped };
                    }
                    return Outcome::Ranging(axis, ends, mode);
                }
                let shape = shape_of(tool, points, at, brush_pt);
                let meant = tool == Tool::Brush || area(points, tool) >= 9.0;
                if released {
                    self.state = State::Idle;
                    return match shape {
                        Some(shape) if meant => Outcome::Drawn(shape, mode),
                        _ => Outcome::Dropped,
                    };
                }
                match shape {
                    Some(shape) => Outcome::Drawing(shape, mode),
                    None => Outcome::Ready,
                }
            }
            State::Moving { shape, from } => {
                let ends = [at.data_from_pt(*from), at.data_from_pt(pointer)];
                let moved = shape.as_ref().map(|shape| shifted(shape, at, *from, pointer));
                if !down {
                    self.state = State::Idle;
                    return moved.map_or(Outcome::Turned(ends[0], ends[1]), Outcome::Moved);
                }
                ui.ctx().set_cursor_icon(CursorIcon::Move);
                moved.map_or(Outcome::Turning(ends[0], ends[1]), Outcome::Moving)
            }
            State::MovingRange { range, grip, from } => {
                let moved = range.moved(at, *grip, *from, pointer);
                if !down {
                    self.state = State::Idle;
                    return Outcome::MovedRange(moved.axis, moved.ends);
                }
                ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
                Outcome::MovingRange(moved.axis, moved.ends)
            }
            State::Dead | State::Theirs | State::Corners { .. } => Outcome::Dropped,
        }
    }

    /// Mark the place where a long press armed the lasso.
    pub fn paint(&self, ui: &Ui, colour: Color32) {
        if let State::Armed(at) = self.state {
            ui.painter().circle_stroke(at, 9.0, Stroke::new(1.5, colour));
        }
    }

    /// Mark the corners of a polygon that is being drawn.
    pub fn paint_corners(&self, painter: &egui::Painter, at: &dyn Transform, colour: Color32) {
        if let State::Corners { corners, .. } = &self.state {
            for (i, corner) in corners.iter().enumerate() {
                painter.circle_filled(at.pt_from_data(*corner), if i == 0 { 4.5 } else { 3.0 }, colour);
            }
        }
    }
}

/// Under which name it is kept that clicks set corners.
const CORNERS: &str = "clicks set corners";

/// Whether a double click asks for the whole plot: not where it closes a polygon.
pub fn frames_all(ui: &Ui, response: &Response) -> bool {
    response.double_clicked() && !ui.data(|d| d.get_temp(egui::Id::unique(CORNERS)).unwrap_or(false))
}

/// One frame of a polygon that is drawn by clicks.
fn corner(
    ui: &Ui,
    response: &Response,
    at: &dyn Transform,
    tool: Tool,
    pointer: Pos2,
    corners: &mut Vec<[f64; 2]>,
    mode: Option<SelectMode>,
) -> Outcome {
    if tool != Tool::Polygon {
        return Outcome::Dropped;
    }
    let key = |key: Key| ui.input_mut(|i| i.consume_key(egui::Modifiers::NONE, key));
    if response.contains_pointer() {
        ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
    }
    if !ui.ctx().text_edit_focused() && key(Key::Backspace) {
        corners.pop();
        if corners.is_empty() {
            return Outcome::Dropped;
        }
    }
    let to_first = corners.first().map_or(f32::INFINITY, |c| at.pt_from_data(*c).distance(pointer));
    let mut closes = !ui.ctx().text_edit_focused() && key(Key::Enter);
    if response.double_clicked() || (response.clicked() && to_first < 2.0 * GRIP_PT && corners.len() >= 3) {
        closes = true;
    } else if response.clicked() {
        let last = corners.last().map_or(f32::INFINITY, |c| at.pt_from_data(*c).distance(pointer));
        if last >= 3.0 {
            corners.push(at.data_from_pt(pointer));
        }
    }
    if closes {
        return if corners.len() >= 3 { Outcome::Drawn(Shape::Polygon(corners.clone()), mode) } else { Outcome::Ready };
    }
    let mut shown = corners.clone();
    if response.contains_pointer() {
        shown.push(at.data_from_pt(pointer));
    }
    Outcome::Drawing(Shape::Polygon(shown), mode)
}

/// Go on along these places, each at least 2 points from the last, kept inside.
fn walk(points: &mut Vec<Pos2>, way: impl Iterator<Item = Pos2>, inside: Rect) {
    for p in way {
        let p = pos2(p.x.clamp(inside.left(), inside.right()), p.y.clamp(inside.top(), inside.bottom()));
        if points.last().is_none_or(|last| last.distance(p) >= 2.0) {
            points.push(p);
        }
    }
}

fn shape_of(tool: Tool, points: &[Pos2], at: &dyn Transform, brush_pt: f32) -> Option<Shape> {
    let (first, last) = (*points.first()?, *points.last()?);
    match tool {
        Tool::Lasso | Tool::Pan | Tool::Polygon | Tool::Range => {
            let outline = thinned(points, 0.5);
            (outline.len() >= 3).then(|| Shape::Polygon(outline.iter().map(|p| at.data_from_pt(*p)).collect()))
        }
        Tool::Box => {
            let r = Rect::from_two_pos(first, last);
            Some(Shape::Polygon(
                [r.left_bottom(), r.right_bottom(), r.right_top(), r.left_top()].iter().map(|p| at.data_from_pt(*p)).collect(),
            ))
        }
        Tool::Circle => {
            let radius = first.distance(last);
            let centre = at.data_from_pt(first);
            let edge = at.data_from_pt(first + vec2(radius, -radius));
            let radius = [(edge[0] - centre[0]).abs(), (edge[1] - centre[1]).abs()];
            (radius[0] > 0.0 && radius[1] > 0.0).then_some(Shape::Ellipse { centre, radius })
        }
        Tool::Brush => {
            let origin = at.data_from_pt(first);
            let edge = at.data_from_pt(first + vec2(brush_pt, -brush_pt));
            let radius = [(edge[0] - origin[0]).abs(), (edge[1] - origin[1]).abs()];
            let points = thinned(points, 0.5).iter().map(|p| at.data_from_pt(*p)).collect();
            (radius[0] > 0.0 && radius[1] > 0.0).then_some(Shape::Stroke { points, radius })
        }
    }
}

/// Douglas–Peucker: leaves out what moves the line by less than `tolerance` points.
fn thinned(points: &[Pos2], tolerance: f32) -> Vec<Pos2> {
    if points.len() < 3 {
        return points.to_vec();
    }
    let mut keep = vec![false; points.len()];
    keep[0] = true;
    keep[points.len() - 1] = true;
    let mut open = vec![(0, points.len() - 1)];
    while let Some((a, b)) = open.pop() {
        let far = (a + 1..b).map(|i| (i, segment_distance(points[a], points[b], points[i]))).max_by(|x, y| x.1.total_cmp(&y.1));
        if let Some((i, distance)) = far
            && distance > tolerance
        {
            keep[i] = true;
            open.push((a, i));
            open.push((i, b));
        }
    }
    points.iter().zip(keep).filter_map(|(p, k)| k.then_some(*p)).collect()
}

fn segment_distance(a: Pos2, b: Pos2, p: Pos2) -> f32 {
    let ab = b - a;
    let t = if ab.length_sq() > 0.0 { ((p - a).dot(ab) / ab.length_sq()).clamp(0.0, 1.0) } else { 0.0 };
    p.distance(a + ab * t)
}

fn area(points: &[Pos2], tool: Tool) -> f32 {
    match (tool, points) {
        (Tool::Box, [a, .., b]) => ((a.x - b.x) * (a.y - b.y)).abs(),
        (Tool::Circle, [a, .., b]) => a.distance_sq(*b) * std::f32::consts::PI,
        _ => {
            // The box around it: a figure of eight has no signed area but is meant.
            let r = Rect::from_points(points);
            r.width() * r.height()
        }
    }
}

fn edge_distance(shape: &Shape, at: &dyn Transform, p: Pos2) -> f32 {
    let (line, closed) = outline_points(shape, at);
    let n = line.len();
    let ends = if closed { n } else { n.saturating_sub(1) };
    (0..ends).map(|i| segment_distance(line[i], line[(i + 1) % n], p)).fold(f32::INFINITY, f32::min)
}

fn shifted(shape: &Shape, at: &dyn Transform, from: Pos2, to: Pos2) -> Shape {
    let by = to - from;
    let moved = |p: &[f64; 2]| at.data_from_pt(at.pt_from_data(*p) + by);
    match shape {
        Shape::Polygon(points) => Shape::Polygon(points.iter().map(moved).collect()),
        Shape::Ellipse { centre, radius } => Shape::Ellipse { centre: moved(centre), radius: *radius },
        Shape::Stroke { points, radius } => Shape::Stroke { points: points.iter().map(moved).collect(), radius: *radius },
    }
}

/// The outline on the screen, and whether it is closed.
pub fn outline_points(shape: &Shape, at: &dyn Transform) -> (Vec<Pos2>, bool) {
    match shape {
        Shape::Polygon(points) => (points.iter().map(|p| at.pt_from_data(*p)).collect(), true),
        Shape::Ellipse { centre, radius } => {
            let turn = |i: i32| f64::from(i) / 64.0 * std::f64::consts::TAU;
            (
                (0..64)
                    .map(|i| at.pt_from_data([centre[0] + radius[0] * turn(i).cos(), centre[1] + radius[1] * turn(i).sin()]))
                    .collect(),
                true,
            )
        }
        Shape::Stroke { points, .. } => (points.iter().map(|p| at.pt_from_data(*p)).collect(), false),
    }
}

/// Draw an outline with a faint fill of its edge.
pub fn paint_outline(painter: &egui::Painter, shape: &Shape, at: &dyn Transform, colour: Color32) {
    let (line, closed) = outline_points(shape, at);
    if line.iter().any(|p| !p.x.is_finite() || !p.y.is_finite()) {
        return;
    }
    match shape {
        Shape::Stroke { points, radius } => {
            let Some(first) = points.first() else { return };
            let edge = at.pt_from_data([first[0] + radius[0], first[1]]);
            let width = at.pt_from_data(*first).distance(edge);
            let faint = colour.gamma_multiply(0.18);
            if line.len() == 1 {
                painter.circle_filled(line[0], width, faint);
            }
            painter.line(line.clone(), Stroke::new(width * 2.0, faint));
            painter.line(line, Stroke::new(1.0, colour));
        }
        _ if closed && line.len() > 2 => {
            painter.add(egui::Shape::closed_line(line, Stroke::new(1.5, colour)));
        }
        _ => {
            painter.line(line, Stroke::new(1.5, colour));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::widgets::axes::{Frame, Range2};

    fn frame() -> Frame {
        Frame { rect: Rect::from_min_size(pos2(0.0, 0.0), vec2(100.0, 100.0)), view: Range2 { x: [0.0, 10.0], y: [0.0, 10.0] } }
    }

    #[test]
    fn a_lasso_keeps_its_corners_and_loses_the_rest() {
        let mut points: Vec<Pos2> = (0..=50).map(|i| pos2(i as f32, 0.0)).collect();
        points.extend((1..=50).map(|i| pos2(50.0, i as f32)));
        assert_eq!(thinned(&points, 0.5), [pos2(0.0, 0.0), pos2(50.0, 0.0), pos2(50.0, 50.0)]);
        let shape = shape_of(Tool::Lasso, &points, &frame(), 0.0).unwrap();
        assert!(shape.contains([4.0, 9.0]));
        assert!(!shape.contains([1.0, 6.0]));
    }

    #[test]
    fn box_circle_and_brush_are_where_they_were_drawn() {
        let points = [pos2(10.0, 10.0), pos2(30.0, 40.0)];
        let rect = shape_of(Tool::Box, &points, &frame(), 0.0).unwrap();
        assert!(rect.contains([2.0, 8.0]) && !rect.contains([2.0, 5.0]));
        let circle = shape_of(Tool::Circle, &points, &frame(), 0.0).unwrap();
        assert!(circle.contains([1.0, 9.0]) && circle.contains([4.5, 9.0]) && !circle.contains([5.0, 9.0]));
        let stroke = shape_of(Tool::Brush, &points, &frame(), 10.0).unwrap();
        assert!(stroke.contains([1.0, 9.9]) && !stroke.contains([5.0, 9.9]));
    }

    #[test]
    fn a_range_is_moved_by_its_bar_and_changed_by_its_ends() {
        let rect = frame().rect;
        let x = Range { axis: 0, ends: [2.0, 5.0] };
        assert_eq!(x.grip(&frame(), rect, pos2(22.0, 60.0)), Some(Grip::End(0)));
        assert_eq!(x.grip(&frame(), rect, pos2(52.0, 60.0)), Some(Grip::End(1)));
        assert_eq!((x.grip(&frame(), rect, pos2(35.0, 60.0)), x.grip(&frame(), rect, pos2(35.0, 3.0))), (None, Some(Grip::Both)));
        let close = |r: Range, ends: [f64; 2]| (0..2).all(|i| (r.ends[i] - ends[i]).abs() < 1e-5);
        assert!(close(x.moved(&frame(), Grip::Both, pos2(35.0, 3.0), pos2(45.0, 50.0)), [3.0, 6.0]));
        // An end that goes past the other becomes the other.
        assert!(close(x.moved(&frame(), Grip::End(0), pos2(20.0, 50.0), pos2(80.0, 50.0)), [5.0, 8.0]));
        let y = Range { axis: 1, ends: [2.0, 5.0] };
        assert_eq!(y.grip(&frame(), rect, pos2(40.0, 80.0)), Some(Grip::End(0)));
        assert_eq!(y.grip(&frame(), rect, pos2(97.0, 65.0)), Some(Grip::Both));
        assert!(close(y.moved(&frame(), Grip::Both, pos2(97.0, 65.0), pos2(0.0, 75.0)), [1.0, 4.0]));
    }

    #[test]
    fn an_outline_can_be_moved_by_its_edge() {
        let shape = Shape::Polygon(vec![[1.0, 1.0], [2.0, 1.0], [2.0, 2.0]]);
        assert!(edge_distance(&shape, &frame(), pos2(15.0, 90.0)) < 0.01);
        let Shape::Polygon(p) = shifted(&shape, &frame(), pos2(0.0, 0.0), pos2(10.0, -10.0)) else { panic!() };
        assert!((p[0][0] - 2.0).abs() < 1e-5 && (p[0][1] - 2.0).abs() < 1e-5);
    }
}
