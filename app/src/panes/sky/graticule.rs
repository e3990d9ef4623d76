//! The graticule of the sky in the frame that is shown, with degrees at its lines.
//!
//! The whole sky and a globe have lines each 30°; once less than 60° are shown, round steps of the view itself, and around a pole whole
//! circles and meridians all round. There a line is named where it leaves the view: parallels at the left, meridians below; one that
//! leaves it nowhere, where it passes the middle. Names never cover each other.

use std::cell::RefCell;
use std::f64::consts::PI;

use asterism_session::sky::{Projection, wrap};
use egui::{Align2, FontId, Pos2, Rect, Stroke, Ui, pos2, vec2};

use super::Placed;
use super::overlay::Pen;
use crate::cx::Cx;
use crate::gpu;
use crate::theme::SMALL;
use crate::widgets::{Frame, axes, format};

/// An edge of the view.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Edge {
    Left,
    Right,
    Top,
    Bottom,
}

/// Where a line passes the first of these edges that it passes.
fn leaves(line: &[Pos2], rect: Rect, edges: [Edge; 2]) -> Option<(Edge, Pos2)> {
    let at = |edge: Edge| {
        line.windows(2).filter(|p| p.iter().all(|p| p.x.is_finite() && p.y.is_finite())).find_map(|p| {
            let (upright, value) = match edge {
                Edge::Left => (true, rect.left()),
                Edge::Right => (true, rect.right()),
                Edge::Top => (false, rect.top()),
                Edge::Bottom => (false, rect.bottom()),
            };
            let (a, b) = if upright { (p[0].x, p[1].x) } else { (p[0].y, p[1].y) };
            if (a < value) == (b < value) {
                return None;
            }
            let at = p[0].lerp(p[1], (value - a) / (b - a));
            let within = if upright { rect.y_range().contains(at.y) } else { rect.x_range().contains(at.x) };
            within.then(|| if upright { pos2(value, at.y) } else { pos2(at.x, value) })
        })
    };
    edges.into_iter().find_map(|edge| at(edge).map(|at| (edge, at)))
}

/// Draw its lines, or its labels, which lie over the rows.
pub(super) fn paint(ui: &Ui, cx: &Cx<'_>, placed: &Placed, frame: &Frame, labels: bool) {
    let painter = ui.painter_at(frame.rect);
    let stroke = Stroke::new(1.0, cx.theme.hairline);
    let font = FontId::proportional(SMALL - 1.0);
    let map = placed.map;
    let pen = Pen::new(ui, &map, frame);
    let draw = |points: &mut dyn Iterator<Item = [f64; 2]>| {
        if !labels {
            pen.chain(points.map(|p| map.plane_of(p[0], p[1])), stroke);
        }
    };
    let taken: RefCell<Vec<Rect>> = RefCell::default();
    if gpu::is_on_paper(ui.ctx()) {
        // The name of the coordinates stands there.
        taken.borrow_mut().push(Rect::from_min_size(frame.rect.min, vec2(150.0, 24.0)));
    }
    let label = |at: Pos2, by: egui::Vec2, align: Align2, text: String| {
        if labels && at.x.is_finite() && at.y.is_finite() {
            let galley = painter.layout_no_wrap(text, font.clone(), cx.theme.second);
            // At the right edge a label stands left of its line.
            let over = align.x() == egui::Align::Min && at.x + by.x + galley.size().x > frame.rect.right();
            let (by, align) = if over { (vec2(-by.x, by.y), Align2([egui::Align::Max, align.y()])) } else { (by, align) };
            let corner = align.anchor_size(at + by, galley.size()).min;
            let corner = pos2(corner.x, corner.y.max(frame.rect.top() + 1.0));
            let ground = Rect::from_min_size(corner, galley.size()).expand2(vec2(2.0, 0.0));
            if taken.borrow().iter().any(|t| t.intersects(ground)) {
                return;
            }
            taken.borrow_mut().push(ground);
            painter.rect_filled(ground, 2.0, cx.theme.pane.gamma_multiply(0.85));
            painter.galley(corner, galley, cx.theme.second);
        }
    };
    let shown = f64::from(frame.rect.height()) * frame.data_per_pt()[1];
    if map.kind == Projection::Field || shown < 1.05 {
        let deg = 1f64.to_radians();
        let middle = map.sky_in_frame(frame.data_from_pt(frame.rect.center())).unwrap_or((map.ra0, map.dec0));
        let span = (f64::from(frame.rect.height()) * frame.data_per_pt()[1] / deg).max(1e-9);
        let (dec, ra) = (middle.1 / deg, (map.ra0 + wrap(middle.0 - map.ra0)) / deg);
        let wide = f64::from(frame.rect.width() / frame.rect.height().max(1.0));
        // From the middle to a corner, with some to spare.
        let reach = span * 0.5 * (1.0 + wide * wide).sqrt() * 1.2;
        let polar = dec.abs() + reach > 89.0;
        let across = (span * wide / middle.1.cos().max(0.05)).min(180.0);
        let low = if polar { dec - reach } else { dec - span * 0.6 };
        let high = if polar { dec + reach } else { dec + span * 0.6 };
        let (decs, dec_step) = axes::ticks([low.max(-90.0), high.min(90.0)], if polar { 8 } else { 5 });
        let round: Vec<f64> = (0..12).map(|i| 30.0 * f64::from(i)).collect();
        let (ras, ra_step) = if polar { (round, 30.0) } else { axes::ticks([ra - across * 0.6, ra + across * 0.6], 5) };
        let turn = if polar { 180.0 } else { across };
        let steps = if polar { 180 } else { 60 };
        for d in decs.iter().filter(|d| d.abs() < 90.0) {
            let along = |i: i32| [(ra - turn + turn * 2.0 * f64::from(i) / f64::from(steps)) * deg, d * deg];
            draw(&mut (0..=steps).map(along));
            let text = format!("{}°", axes::tick_label(*d, dec_step));
            let line: Vec<Pos2> = (0..=steps).map(along).map(|p| frame.pt_from_data(map.plane_of(p[0], p[1]))).collect();
            let inner = frame.rect.shrink2(vec2(8.0, 0.0));
            let at = leaves(&line, inner, [Edge::Left, Edge::Right]);
            let inside = || Some(frame.pt_from_data(map.plane_of(middle.0, d * deg))).filter(|p| frame.rect.contains(*p));
            match at {
                Some((Edge::Right, at)) => label(at, vec2(-2.0, -1.0), Align2::RIGHT_BOTTOM, text),
                Some((_, at)) => label(at, vec2(0.0, -1.0), Align2::LEFT_BOTTOM, text),
                None => inside().into_iter().for_each(|at| label(at, vec2(3.0, -1.0), Align2::LEFT_BOTTOM, text.clone())),
            }
        }
        for r in &ras {
            // Meridians meet at a pole: they end a little before it.
            let (from, to) =
                if polar { (low.max(-90.0 + span * 0.01), high.min(90.0 - span * 0.01)) } else { (dec - span, dec + span) };
            let along = |i: i32| [r * deg, (from + (to - from) * f64::from(i) / 60.0).clamp(-90.0, 90.0) * deg];
            draw(&mut (0..=60).map(along));
            let text = format!("{}°", axes::tick_label(r.rem_euclid(360.0), ra_step));
            let line: Vec<Pos2> = (0..=60).map(along).map(|p| frame.pt_from_data(map.plane_of(p[0], p[1]))).collect();
            let inner = frame.rect.with_max_y(frame.rect.bottom() - 3.0);
            match leaves(&line, inner, [Edge::Bottom, Edge::Top]) {
                Some((Edge::Top, at)) => label(at, vec2(4.0, 2.0), Align2::LEFT_TOP, text),
                Some((_, at)) => label(at, vec2(4.0, 0.0), Align2::LEFT_BOTTOM, text),
                None if polar => {
                    if let Some((edge, at)) = leaves(&line, frame.rect, [Edge::Left, Edge::Right]) {
                        let (by, align) =
                            if edge == Edge::Left { (4.0, Align2::LEFT_BOTTOM) } else { (-4.0, Align2::RIGHT_BOTTOM) };
                        label(at, vec2(by, -1.0), align, text);
                    }
                }
                None => {}
            }
        }
        return;
    }
    let deg = PI / 180.0;
    // Just inside both edges, so that neither wraps to the other side.
    // A globe has whole tens of degrees, wherever it is turned to.
    let globe = map.kind == Projection::Globe;
    let left = if globe { 1e-9 } else { map.ra0 - PI + 1e-9 };
    if globe && !labels {
        let rim = (0..=180).map(|i| (f64::from(i) * 2.0 * deg).sin_cos());
        pen.chain(rim.map(|(s, c)| [s, c]), stroke);
    }
    for d in (-60..=60).step_by(30) {
        draw(&mut (0..=90).map(|i| [left + (2.0 * PI - 2e-9) * f64::from(i) / 90.0, f64::from(d) * deg]));
        let at = frame.pt_from_data(map.plane_of(map.ra0, f64::from(d) * deg));
        label(at, vec2(3.0, -1.0), Align2::LEFT_BOTTOM, format::minus(&format!("{d}°")));
    }
    for r in (0..=360).step_by(30) {
        let l = left + (2.0 * PI - 2e-9) * f64::from(r) / 360.0;
        draw(&mut (0..=60).map(|i| [l, (-90.0 + 3.0 * f64::from(i)) * deg]));
        if r % 60 == 0 && r < 360 {
            let at = frame.pt_from_data(map.plane_of(l, 0.0));
            label(at, vec2(3.0, 1.0), Align2::LEFT_TOP, format!("{:.0}°", (l / deg).rem_euclid(360.0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_named_where_it_leaves_the_view() {
        let rect = Rect::from_min_max(pos2(0.0, 0.0), pos2(100.0, 50.0));
        let line = [pos2(-20.0, 10.0), pos2(20.0, 20.0), pos2(60.0, 70.0)];
        assert_eq!(leaves(&line, rect, [Edge::Left, Edge::Right]), Some((Edge::Left, pos2(0.0, 15.0))));
        assert_eq!(leaves(&line, rect, [Edge::Right, Edge::Bottom]), Some((Edge::Bottom, pos2(44.0, 50.0))));
        assert_eq!(leaves(&line, rect, [Edge::Right, Edge::Top]), None);
        assert_eq!(leaves(&[pos2(f32::NAN, 0.0), pos2(200.0, 20.0)], rect, [Edge::Left, Edge::Right]), None);
    }
}
