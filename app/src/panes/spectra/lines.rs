//! Spectral lines and molecular bands over a plot of spectra, marked at a redshift.
//!
//! The list is the sky's own (`assets/lines.json`: hydrogen, helium, metals, stellar and telluric lines, TiO and other bands, with
//! vacuum and air wavelengths). The best-known lines come first; a name goes to the right of its line, else to the left, and touches
//! no other; a line of second rank whose name finds no room is left out. Choice not taken: names that stand on end or in several
//! rows, which cover the spectra. Cost: a few dozen texts.

use std::sync::OnceLock;

use asterism_data::spectrum::metres_in;
use asterism_data::{Medium, SpectraColumn};
use egui::{FontId, Painter, Pos2, Rect, Shape, Stroke, pos2, vec2};
use serde::Deserialize;
use std::sync::Arc;

use crate::theme::{SMALL, Theme};
use crate::widgets::Frame;

#[derive(Deserialize)]
struct LineList {
    lines: Vec<Line>,
    bands: Vec<Band>,
}

/// A molecular band: a range of wavelengths.
#[derive(Deserialize)]
struct Band {
    name: String,
    from_angstrom: f64,
    to_angstrom: f64,
    kind: String,
}

#[derive(Deserialize)]
struct Line {
    name: String,
    vacuum_angstrom: f64,
    air_angstrom: Option<f64>,
    kind: String,
    group: String,
    rank: u8,
}

fn line_list() -> &'static LineList {
    static LIST: OnceLock<LineList> = OnceLock::new();
    LIST.get_or_init(|| {
        serde_json::from_str(include_str!("../../../../assets/lines.json"))
            .unwrap_or_else(|_| LineList { lines: Vec::new(), bands: Vec::new() })
    })
}

fn lines() -> &'static [Line] {
    &line_list().lines
}

/// Rows of names of bands at the foot of the plot.
const BAND_ROWS: usize = 3;

/// Where the names of bands stand: left end and row (0 is the lowest) for each, in the order given. A name stands in the middle of
/// the part of its band that is in sight, in the lowest row where it touches no other; without room it is left out.
fn band_names(bands: &[[f32; 2]], widths: &[f32], [left, right]: [f32; 2]) -> Vec<Option<(f32, usize)>> {
    let mut rows: [Vec<[f32; 2]>; BAND_ROWS] = Default::default();
    let one = |(band, width): (&[f32; 2], &f32)| {
        if right - left < *width {
            return None;
        }
        let middle = (band[0].max(left) + band[1].min(right)) / 2.0;
        let from = (middle - width / 2.0).clamp(left, right - width);
        let free = |row: &Vec<[f32; 2]>| row.iter().all(|t| from + width <= t[0] || from >= t[1]);
        let row = rows.iter().position(free)?;
        rows[row].push([from, from + width]);
        Some((from, row))
    };
    bands.iter().zip(widths).map(one).collect()
}

/// Molecular bands as soft spans. Their names and where they stand come back, to be drawn over the lines: at the foot, where no
/// line's name is.
fn bands(painter: &Painter, theme: &Theme, frame: &Frame, metres: f64, z: f64) -> Vec<(Pos2, Arc<egui::Galley>)> {
    let ends = [frame.rect.left(), frame.rect.right()];
    let mut spans = Vec::new();
    let mut names = Vec::new();
    for band in &line_list().bands {
        let shift = if band.kind == "telluric" { 1.0 } else { 1.0 + z };
        let x = |angstrom: f64| frame.pt_from_data([angstrom * 1e-10 * shift / metres, 0.0]).x;
        let (a, b) = (x(band.from_angstrom), x(band.to_angstrom));
        let span = [a.min(b), a.max(b)];
        let in_sight = span[0] < ends[1] && span[1] > ends[0];
        // A span as wide as the view tells nothing.
        if !in_sight || (span[0] <= ends[0] && span[1] >= ends[1]) {
            continue;
        }
        let rect = Rect::from_x_y_ranges(span[0].max(ends[0])..=span[1].min(ends[1]), frame.rect.y_range());
        let soft = if band.kind == "telluric" { 0.07 } else { 0.12 };
        painter.rect_filled(rect, 0.0, theme.third.gamma_multiply(soft));
        spans.push(span);
        names.push(painter.layout_no_wrap(band.name.clone(), FontId::proportional(SMALL - 1.0), theme.third));
    }
    let widths: Vec<f32> = names.iter().map(|g| g.size().x + 8.0).collect();
    let places = band_names(&spans, &widths, ends);
    let at = |(galley, place): (Arc<egui::Galley>, Option<(f32, usize)>)| {
        let (x, row) = place?;
        Some((pos2(x + 4.0, frame.rect.bottom() - 2.0 - (row + 1) as f32 * galley.size().y), galley))
    };
    names.into_iter().zip(places).filter_map(at).collect()
}

/// Mark lines and bands at the redshift `z`.
pub fn marks(painter: &Painter, theme: &Theme, frame: &Frame, spectra: &SpectraColumn, z: f64) {
    let Some(metres) = metres_in(&spectra.axis_unit) else { return };
    let bands = bands(painter, theme, frame, metres, z);
    let mut at: Vec<(f32, &Line)> = lines()
        .iter()
        .filter_map(|l| {
            let angstrom = if spectra.medium == Medium::Air { l.air_angstrom? } else { l.vacuum_angstrom };
            let shift = if l.kind == "telluric" { 1.0 } else { 1.0 + z };
            let x = frame.pt_from_data([angstrom * 1e-10 * shift / metres, 0.0]).x;
            frame.rect.x_range().contains(x).then_some((x, l))
        })
        .collect();
    // The best-known first; a name goes to the right of its line, else to the left, and a line of the
    // second rank whose name finds no room is left out.
    at.sort_by_key(|(_, l)| (l.rank, l.group != "hydrogen"));
    let font = FontId::proportional(SMALL - 1.0);
    let mut taken: Vec<[f32; 2]> = Vec::new();
    let mut named: Vec<(f32, &str)> = Vec::new();
    for (x, l) in at {
        let name = species(&l.name);
        // Two lines of one multiplet side by side share a name.
        let known = named.iter().any(|(at, n)| *n == name && (at - x).abs() < 40.0);
        let galley = painter.layout_no_wrap(name.to_owned(), font.clone(), theme.second);
        let width = galley.size().x + 6.0;
        let inside = |s: &[f32; 2]| s[0] >= frame.rect.left() && s[1] <= frame.rect.right();
        let span = [[x, x + width], [x - width, x]]
            .into_iter()
            .find(|s| !known && inside(s) && taken.iter().all(|t| s[1] <= t[0] || s[0] >= t[1]));
        if span.is_none() && !known && l.rank > 1 {
            continue;
        }
        let stroke = Stroke::new(1.0, theme.third.gamma_multiply(0.8));
        painter.extend(Shape::dashed_line(&[pos2(x, frame.rect.top()), pos2(x, frame.rect.bottom())], stroke, 2.0, 2.0));
        if let Some(span) = span {
            painter.galley(pos2(span[0] + 3.0, frame.rect.top() + 2.0), galley, theme.second);
            taken.push(span);
            named.push((x, name));
        }
    }
    for (at, galley) in bands {
        painter.rect_filled(Rect::from_min_size(at, galley.size()).expand2(vec2(2.0, 0.0)), 2.0, theme.pane.gamma_multiply(0.6));
        painter.galley(at, galley, theme.third);
    }
}

/// `[O III] 5007` → `[O III]`, `Na D2` → `Na D`.
fn species(name: &str) -> &str {
    match name.rsplit_once(' ') {
        Some((front, last)) if last.len() >= 3 && last.chars().all(|c| c.is_ascii_digit()) => front,
        Some((_, "D1" | "D2")) => &name[..name.len() - 1],
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_bands_stand_in_their_band_and_touch_no_other() {
        assert!(line_list().bands.iter().any(|b| b.name == "TiO" && b.from_angstrom < b.to_angstrom));
        // Two that overlap, one apart, one half in sight, and two more at the place of the first two.
        let bands = [[100.0, 200.0], [150.0, 210.0], [400.0, 440.0], [-50.0, 20.0], [100.0, 200.0], [100.0, 200.0]];
        let widths = [40.0; 6];
        let at = band_names(&bands, &widths, [0.0, 600.0]);
        assert_eq!(at[0], Some((130.0, 0)));
        assert_eq!(at[1], Some((160.0, 1)));
        assert_eq!(at[2], Some((400.0, 0)));
        assert_eq!(at[3], Some((0.0, 0)));
        assert_eq!((at[4], at[5]), (Some((130.0, 2)), None));
        assert_eq!(band_names(&bands[..1], &widths, [0.0, 30.0]), [None]);
    }

    #[test]
    fn the_lines_are_there_and_in_air_where_air_is_used() {
        let h_alpha = lines().iter().find(|l| l.name == "Hα").expect("Hα is in the list");
        assert!((h_alpha.vacuum_angstrom - 6564.614).abs() < 0.01);
        assert_eq!(
            [species("[O III] 5007"), species("Na D2"), species("Hα"), species("Ca II H")],
            ["[O III]", "Na D", "Hα", "Ca II H"]
        );
        assert!((h_alpha.air_angstrom.unwrap_or(0.0) - 6562.8).abs() < 0.1);
    }
}
