//! What stands over an image: its compass, scale bar and the words in the corner and at the foot of the window.

use asterism_session::{ImageLayer, Layer};
use egui::{Align2, Color32, FontId, Pos2, Rect, Stroke, Ui, pos2, vec2};

use super::{badge, wcs_of};
use crate::cx::{Cx, Tool};
use crate::theme::SMALL;
use crate::widgets::{Frame, format};

/// Pixel (0-based) and value of an image at a place in the pixels of another one, by the sky where their pixels differ; none beside the
/// image, and of a picture in colours.
pub(super) fn value_at(shown: &ImageLayer, base: &ImageLayer, p: [f64; 2]) -> Option<(f64, String)> {
    let Layer::Fits(image) = &shown.pixels else { return None };
    let p = match (wcs_of(base), wcs_of(shown)) {
        (Some(a), Some(b)) if !std::ptr::eq(a, b) => {
            let (ra, dec) = a.sky_from_pixel(p[0], p[1])?;
            b.pixel_from_sky(ra, dec).map(|(x, y)| [x, y])?
        }
        _ => p,
    };
    let [x, y] = p.map(f64::round);
    let inside = x >= 0.0 && y >= 0.0;
    inside.then(|| image.value(x as usize, y as usize)).flatten().map(|v| (f64::from(v), format::unit(&image.unit)))
}

/// Draw them, and say what is under the cursor: of `layer`, whose pixels the view has, and the value of the image that is `shown`.
pub(super) fn paint(ui: &Ui, cx: &mut Cx<'_>, layer: &ImageLayer, shown: &ImageLayer, frame: &Frame, response: &egui::Response) {
    let rect = frame.rect;
    let wcs = wcs_of(layer);
    let mut text = String::new();
    if let Some(at) = response.hover_pos() {
        let p = frame.data_from_pt(at);
        let mut foot = format!("x {:.1}  y {:.1}", p[0] + 1.0, p[1] + 1.0);
        if let Some((v, unit)) = value_at(shown, layer, p) {
            foot += &if v.is_finite() { format!("  value {} {unit}", format::number(v, 5)) } else { "  no value".into() };
            if !std::ptr::eq(shown, layer) {
                foot += &format!(" in {}", shown.title);
            }
        }
        if let Some((ra, dec)) = wcs.and_then(|w| w.sky_from_pixel(p[0], p[1])) {
            foot += &format!("  {}  {ra:.5} {dec:+.5}", format::sexagesimal(ra, dec)).replace('-', "\u{2212}");
            text = format::minus(&format!("{ra:.4} {dec:.4} · "));
        }
        cx.shared.position = foot;
        cx.shared.hint = match cx.shared.tool {
            Tool::Pan => "Drag pans · wheel zooms · Shift+drag adds by lasso · double click frames all".into(),
            _ => "Drag draws on the image · Shift adds · Alt removes · Esc clears".into(),
        };
    }
    let Some(wcs) = wcs else { return };
    let middle = frame.data_from_pt(rect.center());
    let Some((north, east)) = wcs.compass(middle[0], middle[1]) else { return };
    // Directions on the screen: rows grow upwards there.
    let dir = |v: [f64; 2]| vec2(v[0] as f32, -v[1] as f32);
    let (n, e) = (dir(north), dir(east));
    text += &orientation(n, e);
    let per_pt_deg = wcs.pixel_scale_deg() * frame.data_per_pt()[0];
    let (length_pt, label) = scale_bar(per_pt_deg * 3600.0, f64::from(rect.width()) * 0.2);
    text += &format!(" · {label}");
    badge(ui, cx, pos2(rect.right() - 8.0, rect.bottom() - 8.0), Align2::RIGHT_BOTTOM, &text);
    // Arrows and bar above the badge.
    let painter = ui.painter_at(rect);
    let stroke = Stroke::new(1.5, cx.theme.accent);
    let origin = rect.right_bottom() - vec2(40.0, 66.0);
    // Over whatever the image holds there.
    painter.circle_filled(origin + (n + e) * 12.0, 34.0, cx.theme.frame.gamma_multiply(0.75));
    for (v, name) in [(n, "N"), (e, "E")] {
        painter.arrow(origin, v * 22.0, stroke);
        painter.text(origin + v * 31.0, Align2::CENTER_CENTER, name, FontId::proportional(SMALL), cx.theme.accent);
    }
    let bar = pos2(rect.left() + 14.0, rect.bottom() - 16.0);
    paint_scale_bar(&painter, bar, length_pt as f32, &label, cx.theme.accent, cx.theme.frame);
}

/// Air between the bar and its text, points.
const BAR_GAP: f32 = 4.0;
const BAR_WIDTH: f32 = 2.0;

/// A bar with its length above it, both with a halo, so that they read on any image.
fn paint_scale_bar(painter: &egui::Painter, bar: Pos2, length: f32, label: &str, ink: Color32, ground: Color32) {
    let ends = [bar, bar + vec2(length, 0.0)];
    let halo = ground.gamma_multiply(0.8);
    painter.rect_filled(Rect::from_two_pos(ends[0], ends[1]).expand(BAR_WIDTH / 2.0 + 1.0), 1.0, halo);
    painter.line_segment(ends, Stroke::new(BAR_WIDTH, ink));
    let at = bar + vec2(length / 2.0, -BAR_WIDTH / 2.0 - BAR_GAP);
    let font = FontId::proportional(SMALL);
    for (dx, dy) in [(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0), (-0.7, -0.7), (0.7, -0.7), (-0.7, 0.7), (0.7, 0.7)] {
        painter.text(at + vec2(dx, dy), Align2::CENTER_BOTTOM, label, font.clone(), halo);
    }
    painter.text(at, Align2::CENTER_BOTTOM, label, font, ink);
}

/// `N up, E left`, where the arrows are near an axis; else the angle.
fn orientation(n: egui::Vec2, e: egui::Vec2) -> String {
    let side = |v: egui::Vec2| {
        let v = v.normalized();
        if v.y < -0.95 {
            Some("up")
        } else if v.y > 0.95 {
            Some("down")
        } else if v.x > 0.95 {
            Some("right")
        } else if v.x < -0.95 {
            Some("left")
        } else {
            None
        }
    };
    match (side(n), side(e)) {
        (Some(n), Some(e)) => format!("N {n}, E {e}"),
        _ => format!("N at {:.0}°", (-n.x).atan2(-n.y).to_degrees()),
    }
}

/// Length in points and label of a bar of a round number of arcseconds, at most `most_pt` long.
fn scale_bar(arcsec_per_pt: f64, most_pt: f64) -> (f64, String) {
    let most = arcsec_per_pt * most_pt;
    if !(most > 0.0 && most.is_finite()) {
        return (0.0, String::new());
    }
    let (unit, name) = if most >= 3600.0 {
        (3600.0, "°")
    } else if most >= 60.0 {
        (60.0, "′")
    } else {
        (1.0, "″")
    };
    let in_unit = most / unit;
    let power = 10f64.powf(in_unit.log10().floor());
    let round = [5.0, 2.0, 1.0].iter().map(|m| m * power).find(|v| *v <= in_unit).unwrap_or(power);
    (round * unit / arcsec_per_pt, format!("{}{name}", format::number(round, 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_named() {
        assert_eq!(orientation(vec2(0.0, -1.0), vec2(-1.0, 0.0)), "N up, E left");
    }

    #[test]
    fn a_scale_bar_is_round_and_fits() {
        let (length, label) = scale_bar(0.1, 120.0);
        assert_eq!((length, label.as_str()), (100.0, "10″"));
        let (length, label) = scale_bar(2.0, 100.0);
        assert_eq!((length, label.as_str()), (60.0, "2′"));
        assert!(length <= 100.0);
    }

    #[test]
    fn the_text_of_a_scale_bar_stands_clear_of_it() {
        let ctx = egui::Context::default();
        let (ink, ground) = (Color32::RED, Color32::WHITE);
        let out = ctx.run_ui(egui::RawInput::default(), |ui| {
            paint_scale_bar(ui.painter(), pos2(50.0, 100.0), 80.0, "10″", ink, ground);
        });
        let mut texts = 0;
        for clipped in &out.shapes {
            if let egui::Shape::Text(text) = &clipped.shape {
                texts += 1;
                let halo = if text.fallback_color == ink { 0.0 } else { 1.0 };
                assert!(text.visual_bounding_rect().bottom() <= 100.0 - 1.0 - 4.0 + halo + 0.01, "{text:?}");
            }
        }
        assert_eq!(texts, 9, "eight of the halo, and the text");
    }
}
