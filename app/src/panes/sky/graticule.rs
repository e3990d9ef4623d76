//! The graticule of the sky in the frame that is shown, with degrees at its lines.
//!
//! The whole sky and a globe have lines each 30°; once less than 60° are shown, round steps of the view itself.

use std::f64::consts::PI;

use asterism_session::sky::{Projection, wrap};
use egui::{Align2, FontId, Pos2, Stroke, Ui, pos2, vec2};

use super::Placed;
use super::overlay::Pen;
use crate::cx::Cx;
use crate::theme::SMALL;
use crate::widgets::{Frame, axes, format};

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
    let label = |at: Pos2, by: egui::Vec2, align: Align2, text: String| {
        if labels && at.x.is_finite() && at.y.is_finite() {
            let galley = painter.layout_no_wrap(text, font.clone(), cx.theme.third);
            // At the right edge a label stands left of its line.
            let over = at.x + by.x + galley.size().x > frame.rect.right();
            let (by, align) = if over { (vec2(-by.x, by.y), Align2([egui::Align::Max, align.y()])) } else { (by, align) };
            let corner = align.anchor_size(at + by, galley.size()).min;
            let ground = egui::Rect::from_min_size(corner, galley.size()).expand2(vec2(2.0, 0.0));
            painter.rect_filled(ground, 2.0, cx.theme.pane.gamma_multiply(0.6));
            painter.galley(corner, galley, cx.theme.third);
        }
    };
    let shown = f64::from(frame.rect.height()) * frame.data_per_pt()[1];
    if map.kind == Projection::Field || shown < 1.05 {
        let deg = 1f64.to_radians();
        let middle = map.sky_in_frame(frame.data_from_pt(frame.rect.center())).unwrap_or((map.ra0, map.dec0));
        let span = (f64::from(frame.rect.height()) * frame.data_per_pt()[1] / deg).max(1e-9);
        let (dec, ra) = (middle.1 / deg, (map.ra0 + wrap(middle.0 - map.ra0)) / deg);
        let across = (span * f64::from(frame.rect.width() / frame.rect.height().max(1.0)) / middle.1.cos().max(0.05)).min(180.0);
        let (decs, dec_step) = axes::ticks([(dec - span * 0.6).max(-90.0), (dec + span * 0.6).min(90.0)], 5);
        let (ras, ra_step) = axes::ticks([ra - across * 0.6, ra + across * 0.6], 5);
        for d in &decs {
            draw(&mut (0..=60).map(|i| [(ra - across + across * 2.0 * f64::from(i) / 60.0) * deg, d * deg]));
            let at = frame.pt_from_data(map.plane_of(middle.0, d * deg));
            let text = format!("{}°", axes::tick_label(*d, dec_step));
            label(pos2(frame.rect.left() + 8.0, at.y), vec2(0.0, -1.0), Align2::LEFT_BOTTOM, text);
        }
        for r in &ras {
            draw(&mut (0..=60).map(|i| [r * deg, (dec - span + span * 2.0 * f64::from(i) / 60.0).clamp(-90.0, 90.0) * deg]));
            let at = frame.pt_from_data(map.plane_of(r * deg, middle.1));
            let text = format!("{}°", axes::tick_label(r.rem_euclid(360.0), ra_step));
            label(pos2(at.x, frame.rect.bottom() - 3.0), vec2(4.0, 0.0), Align2::LEFT_BOTTOM, text);
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
