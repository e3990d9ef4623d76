//! Maps along other axes than the first two: any two components, or three of them turned by a camera.
//!
//! A view is two vectors over the map's coordinates ([`Plot::MapAxes`]), kept in whole millionths, so that what is selected in it
//! can be selected again on new rows and written into a recipe. The camera is [`Orbit`]'s, without perspective: only then are the
//! axes all there is to say. Near marks are drawn a little larger instead. Cost: a projection of all rows for each turn, about
//! 10 ns a row.

use std::sync::Arc;

use asterism_render::orbit::Orbit;
use asterism_session::{Map, Plot, select};
use egui::{Align2, FontId, PointerButton, Rect, Response, RichText, Sense, Stroke, Ui, Vec2, pos2, vec2};

use super::{Placement, ScatterPane};
use crate::cx::Cx;
use crate::gpu::Stored;
use crate::panes::rows::next_key;
use crate::theme::SMALL;
use crate::widgets::{Axes, Frame, Range2, Work, axes};

/// Radians a point of a drag.
const TURN_PER_PT: f64 = 0.008;
/// Up to so many rows are turned within the frame, and have sizes by their depth.
const AT_ONCE: usize = 200_000;

/// A cloud of three components, the middle of its box, and how far from there the farthest row lies.
#[derive(Clone)]
pub(super) struct Ball {
    of: (usize, [usize; 3]),
    xyz: Arc<Vec<[f32; 3]>>,
    target: [f64; 3],
    radius: f64,
}

type Key = (usize, u64, [Vec<u64>; 2]);

/// Rows on other axes, with factors on their sizes by depth.
#[derive(Clone)]
pub(super) struct Turned {
    placement: Placement,
    pub sizes: Option<(Arc<Vec<f32>>, u64)>,
}

/// What is kept for it.
#[derive(Default)]
pub(super) struct State {
    ball: Option<Ball>,
    work: Work<Key, Turned>,
}

/// What the view of a map along other axes is.
pub(super) struct Along {
    /// `None` until the newest turn is projected: what is on the screen then has other axes.
    pub plot: Option<Plot>,
    pub placement: Placement,
    pub sizes: Option<(Arc<Vec<f32>>, u64)>,
    /// Camera and the target's place on the plane, in three dimensions.
    pub camera: Option<Camera>,
    pub labels: [String; 2],
}

/// The camera of this frame.
#[derive(Clone)]
pub(super) struct Camera {
    orbit: Orbit,
    centre: [f64; 2],
    radius: f64,
    parts: [usize; 3],
}

fn millionths(v: f64) -> f64 {
    let r = (v * 1e6).round() / 1e6;
    if r == 0.0 { 0.0 } else { r }
}

/// Vectors to the right and up over all components of a map.
fn vectors(dims: usize, parts: [usize; 3], orbit: Option<&Orbit>) -> [Vec<f64>; 2] {
    let mut out = [vec![0.0; dims], vec![0.0; dims]];
    match orbit {
        Some(orbit) => {
            let axes = orbit.axes();
            for (vector, axis) in out.iter_mut().zip(axes) {
                for (part, v) in parts.into_iter().zip(axis) {
                    vector[part] = millionths(v);
                }
            }
        }
        None => (0..2).for_each(|k| out[k][parts[k]] = 1.0),
    }
    out
}

impl ScatterPane {
    /// Whether this map is shown turned: as chosen, else where it has just three dimensions.
    pub(super) fn is_turned(&self, map: &Map) -> bool {
        map.coords.dims >= 3 && self.turned.unwrap_or(map.coords.dims == 3)
    }

    /// The chosen components, within what the map has.
    fn parts_of(&self, dims: usize) -> [usize; 3] {
        let mut parts = self.parts.map(|p| p.min(dims.saturating_sub(1)));
        for k in 1..3 {
            while dims >= 3 && parts[..k].contains(&parts[k]) {
                parts[k] = (parts[k] + 1) % dims;
            }
        }
        parts
    }

    /// Rows of a map along the chosen axes; `None` where the first two as they are will do, or they are not there yet.
    pub(super) fn along(&mut self, ui: &Ui, map: &Arc<Map>) -> Option<Along> {
        let dims = map.coords.dims;
        let parts = self.parts_of(dims);
        let turned = self.is_turned(map);
        if !turned && parts[..2] == [0, 1] {
            return None;
        }
        let address = Arc::as_ptr(&map.coords) as usize;
        let mut orbit = Orbit { target: [0.0; 3], yaw: self.turn[0], pitch: self.turn[1], distance: f64::INFINITY };
        let ball = turned.then(|| self.ball(map, address, parts));
        orbit.target = ball.as_ref().map_or([0.0; 3], |b| b.target);
        let vectors = vectors(dims, parts, turned.then_some(&orbit));
        let key: Key = (address, map.generation, vectors.clone().map(|v| v.into_iter().map(f64::to_bits).collect()));
        let (of, axes, cloud) = (map.clone(), vectors.clone(), ball.clone());
        let make = move || {
            let places = select::places_along(&of.coords, [&axes[0], &axes[1]]);
            let few = places.len() <= AT_ONCE;
            let at = Stored::plain(Arc::new(places), next_key()).at_once();
            let sizes = cloud.filter(|_| few).map(|ball| {
                let near = orbit.axes()[2];
                let size = |p: &[f32; 3]| {
                    let depth: f64 = (0..3).map(|k| (f64::from(p[k]) - ball.target[k]) * near[k]).sum();
                    if depth.is_finite() { (1.0 + 0.45 * depth / ball.radius).clamp(0.4, 1.6) as f32 } else { 1.0 }
                };
                (Arc::new(ball.xyz.iter().map(size).collect::<Vec<f32>>()), next_key())
            });
            Turned { placement: Placement::of(at), sizes }
        };
        let work = &mut self.state.turned.work;
        if map.xy.len() <= AT_ONCE && !work.knows(&key) {
            work.put(key.clone(), make());
        } else {
            work.get(ui.ctx(), "scatter-turned", key.clone(), make);
        }
        let made = work.newest_for(|k| k.0 == key.0 && k.1 == key.1)?;
        let camera = ball.map(|ball| {
            let axes = orbit.axes();
            let centre = [0, 1].map(|i| (0..3).map(|k| axes[i][k] * ball.target[k]).sum());
            Camera { orbit, centre, radius: ball.radius, parts }
        });
        let name = super::short(&map.name);
        let labels = [0, 1].map(|k| format!("{name} {}", parts[k] + 1));
        let [right, up] = vectors;
        let plot = self.state.turned.work.knows(&key).then(|| Plot::MapAxes { map: map.id, axes: [right, up] });
        Some(Along { plot, placement: made.placement.clone(), sizes: made.sizes.clone(), camera, labels })
    }

    fn ball(&mut self, map: &Map, address: usize, parts: [usize; 3]) -> Ball {
        if let Some(ball) = self.state.turned.ball.as_ref().filter(|b| b.of == (address, parts)) {
            return ball.clone();
        }
        let xyz: Vec<[f32; 3]> = map.coords.values.chunks_exact(map.coords.dims).map(|c| parts.map(|p| c[p])).collect();
        let around = Orbit::around(&xyz);
        let away = |p: &[f32; 3]| (0..3).map(|k| (f64::from(p[k]) - around.target[k]).powi(2)).sum::<f64>().sqrt();
        let radius = xyz.iter().map(away).filter(|d| d.is_finite()).fold(0.0, f64::max);
        let radius = if radius > 0.0 { radius } else { 1.0 };
        let ball = Ball { of: (address, parts), xyz: Arc::new(xyz), target: around.target, radius };
        self.state.turned.ball = Some(ball.clone());
        ball
    }

    /// Controls of a map of more than two dimensions.
    pub(super) fn axes_menu(&mut self, ui: &mut Ui, cx: &Cx<'_>, map: &Map) {
        let dims = map.coords.dims;
        if dims < 3 {
            return;
        }
        let turned = self.is_turned(map);
        let parts = self.parts_of(dims);
        let shown = if turned { 3 } else { 2 };
        let text = parts[..shown].iter().map(|p| (p + 1).to_string()).collect::<Vec<_>>().join(" · ");
        // A space of just three dimensions has no other axes to choose.
        if !turned || dims > 3 {
            super::super::menu(ui, RichText::new(format!("axes: {text}")).color(cx.theme.second), |ui| {
                for (k, name) in ["across", "up", "deep"].into_iter().enumerate().take(shown) {
                    ui.horizontal(|ui| {
                        ui.add_sized(vec2(46.0, 20.0), egui::Label::new(RichText::new(name).color(cx.theme.third)));
                        for part in 0..dims.min(9) {
                            if ui.selectable_label(parts[k] == part, format!("{}", part + 1)).clicked() {
                                self.choose_part(parts, k, part);
                            }
                        }
                        if dims > 9 {
                            let mut n = parts[k] + 1;
                            let drag =
                                ui.add(egui::DragValue::new(&mut n).range(1..=dims)).accessible_name(format!("Component {name}"));
                            if drag.changed() {
                                self.choose_part(parts, k, n - 1);
                            }
                        }
                    });
                }
            })
            .on_hover_text("Which components of the map are shown");
        }
        let mut on = turned;
        if ui
            .toggle_value(&mut on, "3-D")
            .on_hover_text("Three components at once: drag turns, the wheel zooms, the right button pans")
            .clicked()
        {
            self.turned = Some(on);
            self.view = None;
        }
    }

    /// Another component on an axis; the one it had goes to where the other was.
    fn choose_part(&mut self, mut parts: [usize; 3], k: usize, part: usize) {
        if let Some(other) = (0..3).find(|o| *o != k && parts[*o] == part) {
            parts[other] = parts[k];
        }
        parts[k] = part;
        (self.parts, self.view) = (parts, None);
    }

    /// The plane of a turned map in all the space there is: wheel and double click; drags are [`ScatterPane::turn_by`]'s.
    pub(super) fn plane(&mut self, ui: &mut Ui, camera: &Camera) -> axes::Shown {
        let outer = ui.available_rect_before_wrap();
        ui.advance_cursor_after_rect(outer);
        let rect = outer.shrink(6.0);
        let home = camera.home(rect);
        if let Some(view) = &mut self.view {
            // A window of another shape shows more or less, and never stretches what is turned.
            let half = (view.x[1] - view.x[0]).abs() / 2.0 * f64::from(rect.height() / rect.width().max(1.0));
            let middle = (view.y[0] + view.y[1]) / 2.0;
            view.y = [middle - half, middle + half];
        }
        let frame = Frame { rect, view: self.view.unwrap_or(home) };
        let response = ui.interact(rect, ui.scope_id().with("turned"), Sense::click_and_drag());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Canvas, true, "Scatter plot in three dimensions"));
        if crate::widgets::gesture::frames_all(ui, &response) {
            self.view = None;
        }
        if response.contains_pointer()
            && let Some(at) = ui.ctx().pointer_hover_pos()
        {
            axes::zoom(&mut self.view, &frame, at, Vec2::splat(axes::wheel(ui)));
        }
        axes::Shown { frame, response }
    }

    /// Turn by the left button, pan by the others.
    pub(super) fn turn_by(&mut self, response: &Response, frame: &Frame, camera: &Camera, taken: bool) {
        let by = response.drag_delta();
        if response.dragged_by(PointerButton::Secondary) || response.dragged_by(PointerButton::Middle) {
            axes::pan(&mut self.view, frame, by);
        } else if response.dragged_by(PointerButton::Primary) && !taken && by != Vec2::ZERO {
            let mut orbit = camera.orbit;
            orbit.turn(f64::from(by.x) * TURN_PER_PT, -f64::from(by.y) * TURN_PER_PT);
            self.turn = [orbit.yaw, orbit.pitch];
            // What it turns around stays where it is on the screen.
            if let Some(view) = &mut self.view {
                let (was, is) = (camera.orbit.axes(), orbit.axes());
                let target = camera.orbit.target;
                let moved = [0, 1].map(|i| (0..3).map(|k| (is[i][k] - was[i][k]) * target[k]).sum::<f64>());
                view.x = view.x.map(|v| v + moved[0]);
                view.y = view.y.map(|v| v + moved[1]);
            }
        }
    }
}

impl Camera {
    fn home(&self, rect: Rect) -> Range2 {
        let (w, h) = (f64::from(rect.width().max(1.0)), f64::from(rect.height().max(1.0)));
        let per = self.radius * 2.08 / w.min(h);
        let range = |c: f64, n: f64| [c - per * n / 2.0, c + per * n / 2.0];
        Range2 { x: range(self.centre[0], w), y: range(self.centre[1], h) }
    }
    /// Three short axes in the corner, those that point away fainter.
    pub(super) fn paint(&self, ui: &Ui, cx: &Cx<'_>, rect: Rect) {
        let painter = ui.painter_at(rect);
        let at = pos2(rect.left() + 40.0, rect.bottom() - 40.0);
        let axes = self.orbit.axes();
        let mut order = [0, 1, 2];
        order.sort_by(|a, b| axes[2][*a].total_cmp(&axes[2][*b]));
        for k in order {
            let way = vec2(axes[0][k] as f32, -(axes[1][k] as f32)) * 24.0;
            let colour = if axes[2][k] >= -0.05 { cx.theme.second } else { cx.theme.third };
            painter.line_segment([at, at + way], Stroke::new(1.5, colour));
            let end = at + way + way.normalized() * 8.0;
            painter.text(end, Align2::CENTER_CENTER, format!("{}", self.parts[k] + 1), FontId::proportional(SMALL), colour);
        }
    }
}

/// The axes of the plain case, drawn by [`Axes`].
pub(super) fn plain(
    ui: &mut Ui,
    cx: &Cx<'_>,
    view: &mut Option<Range2>,
    labels: &[String; 2],
    home: Range2,
    grid: bool,
    log: [bool; 2],
) -> axes::Shown {
    let axes = Axes { x_label: &labels[0], y_label: &labels[1], home, grid, name: "Scatter plot", fixed_y: false, log };
    let id = ui.scope_id().with("axes");
    axes.show(ui, id, cx.theme, view)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_say_what_the_camera_sees() {
        let orbit = Orbit { target: [0.0; 3], yaw: 0.7, pitch: 0.3, distance: f64::INFINITY };
        let coords =
            asterism_session::document::ndarray_like::Coords { dims: 4, values: vec![1.0, -2.0, 0.5, 9.0, 0.0, 3.0, 4.0, 9.0] };
        let [right, up] = vectors(4, [0, 1, 2], Some(&orbit));
        let places = select::places_along(&coords, [&right, &up]);
        for (place, p) in places.iter().zip([[1.0, -2.0, 0.5], [0.0, 3.0, 4.0]]) {
            let (seen, _) = orbit.place(p).expect("nothing is behind it");
            assert!((0..2).all(|k| (seen[k] - place[k]).abs() < 1e-5), "{seen:?} {place:?}");
        }
        let [right, up] = vectors(4, [2, 0, 1], None);
        assert_eq!((right, up), (vec![0.0, 0.0, 1.0, 0.0], vec![1.0, 0.0, 0.0, 0.0]));
    }

    #[test]
    fn components_are_never_the_same_twice() {
        let mut pane = ScatterPane::default();
        pane.choose_part([0, 1, 2], 0, 2);
        assert_eq!(pane.parts, [2, 1, 0]);
        pane.parts = [7, 7, 7];
        let parts = pane.parts_of(3);
        assert!(parts[0] != parts[1] && parts[1] != parts[2] && parts[0] != parts[2] && parts.iter().all(|p| *p < 3));
    }
}
