//! Footprints of observations: the regions of an `s_region` column (STC-S, IVOA Note 1.33, 2007; and DALI 1.1's bare shapes).
//!
//! Read are `POLYGON`, `CIRCLE`, `ELLIPSE`, `BOX` and `UNION` of them, with or without a frame, in degrees. Circles become polygons
//! of 48 corners. `INTERSECTION` and `NOT` are not: services publish what was seen, which is a union. Sides are great circles.
//! Choice not taken: a grammar; the words of one region stand in a fixed order. Cost: about 0.1 µs a corner.

use crate::sky::{SkyFrame, angles, vector};

/// Corners of a closed region: right ascension and declination, radians.
pub type Ring = Vec<(f64, f64)>;

/// Corners of a circle.
const CORNERS: usize = 48;

/// The regions of a cell; empty where it says none that can be read.
pub fn parse(text: &str) -> Vec<Ring> {
    let spaced = text.replace(['(', ')', ','], " ");
    let mut words = spaced.split_whitespace().peekable();
    let mut rings = Vec::new();
    while let Some(word) = words.next() {
        let kind = word.to_ascii_uppercase();
        if !matches!(kind.as_str(), "POLYGON" | "CIRCLE" | "ELLIPSE" | "BOX") {
            continue;
        }
        let mut frame = SkyFrame::Equatorial;
        let mut numbers: Vec<f64> = Vec::new();
        while let Some(next) = words.peek() {
            match next.parse::<f64>() {
                Ok(v) => numbers.push(v),
                Err(_) if numbers.is_empty() && !is_shape(next) => match next.to_ascii_uppercase().as_str() {
                    "GALACTIC" | "GALACTIC_II" => frame = SkyFrame::Galactic,
                    "ECLIPTIC" => frame = SkyFrame::Ecliptic,
                    _ => {}
                },
                Err(_) => break,
            }
            words.next();
        }
        rings.extend(ring(&kind, frame, &numbers));
    }
    rings
}

fn is_shape(word: &str) -> bool {
    ["POLYGON", "CIRCLE", "ELLIPSE", "BOX", "UNION"].iter().any(|k| word.eq_ignore_ascii_case(k))
}

fn ring(kind: &str, frame: SkyFrame, n: &[f64]) -> Option<Ring> {
    if n.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let icrs = |lon: f64, lat: f64| frame.to_icrs(lon.to_radians(), lat.to_radians());
    match (kind, n) {
        ("POLYGON", n) if n.len() >= 6 => Some(n.as_chunks::<2>().0.iter().map(|p| icrs(p[0], p[1])).collect()),
        ("CIRCLE", [lon, lat, r, ..]) if *r > 0.0 => Some(ellipse(frame, *lon, *lat, *r, *r, 0.0)),
        ("ELLIPSE", [lon, lat, a, b, rest @ ..]) if *a > 0.0 && *b > 0.0 => {
            Some(ellipse(frame, *lon, *lat, *a, *b, rest.first().copied().unwrap_or(0.0)))
        }
        ("BOX", [lon, lat, w, h, ..]) if *w > 0.0 && *h > 0.0 => {
            let corners = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];
            Some(corners.iter().map(|(x, y)| beside(frame, *lon, *lat, x * w / 2.0, y * h / 2.0)).collect())
        }
        _ => None,
    }
}

/// Degrees to the east and north of a place along great circles, in the tangent direction.
fn beside(frame: SkyFrame, lon: f64, lat: f64, east: f64, north: f64) -> (f64, f64) {
    let (l, b) = (lon.to_radians(), lat.to_radians());
    let away = east.hypot(north).to_radians();
    let (e, n) = if away > 0.0 { (east.to_radians() / away, north.to_radians() / away) } else { (0.0, 0.0) };
    let (at, to_east, to_north) = (vector(l, b), [-l.sin(), l.cos(), 0.0], [-b.sin() * l.cos(), -b.sin() * l.sin(), b.cos()]);
    let v = [0, 1, 2].map(|k| at[k] * away.cos() + (to_east[k] * e + to_north[k] * n) * away.sin());
    let (lon, lat) = angles(v);
    frame.to_icrs(lon, lat)
}

fn ellipse(frame: SkyFrame, lon: f64, lat: f64, a: f64, b: f64, angle: f64) -> Ring {
    // The position angle runs from north to east.
    let (s, c) = angle.to_radians().sin_cos();
    (0..CORNERS)
        .map(|i| {
            let t = i as f64 / CORNERS as f64 * std::f64::consts::TAU;
            let (along, across) = (a * t.cos(), b * t.sin());
            beside(frame, lon, lat, along * s + across * c, along * c - across * s)
        })
        .collect()
}

/// Whether a place (radians) lies in a region smaller than half the sky: by the winding of its corners as seen from the place.
pub fn contains(ring: &[(f64, f64)], ra: f64, dec: f64) -> bool {
    if ring.len() < 3 {
        return false;
    }
    let at = vector(ra, dec);
    let corners: Vec<[f64; 3]> = ring.iter().map(|p| vector(p.0, p.1)).collect();
    let middle = corners.iter().fold([0.0; 3], |s, v| [s[0] + v[0], s[1] + v[1], s[2] + v[2]]);
    if (0..3).map(|k| middle[k] * at[k]).sum::<f64>() <= 0.0 {
        return false;
    }
    // Tangent directions to the corners, as angles around the place.
    let (to_east, to_north) = ([-ra.sin(), ra.cos(), 0.0], [-dec.sin() * ra.cos(), -dec.sin() * ra.sin(), dec.cos()]);
    let dot = |a: &[f64; 3], b: &[f64; 3]| (0..3).map(|k| a[k] * b[k]).sum::<f64>();
    let turn: Vec<f64> = corners.iter().map(|v| dot(v, &to_east).atan2(dot(v, &to_north))).collect();
    let winding: f64 = (0..turn.len()).map(|i| crate::sky::wrap(turn[(i + 1) % turn.len()] - turn[i])).sum();
    winding.abs() > std::f64::consts::PI
}

/// The column of footprints: by name or UCD.
pub fn column(table: &asterism_data::Table) -> Option<usize> {
    let by_name = ["s_region", "footprint", "region"].iter().find_map(|n| table.column_index(n));
    by_name.or_else(|| table.column_by_ucd("pos.outline;obs.field")).filter(|i| !table.is_numeric(*i))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str, ra: f64, dec: f64) -> bool {
        parse(text).iter().any(|r| contains(r, ra.to_radians(), dec.to_radians()))
    }

    #[test]
    fn what_services_write_is_read() {
        let polygon = "POLYGON ICRS 202.4 47.1 202.6 47.1 202.6 47.3 202.4 47.3";
        assert!(holds(polygon, 202.5, 47.2) && !holds(polygon, 202.7, 47.2) && !holds(polygon, 22.5, -47.2));
        assert!(holds("Polygon J2000 202.4 47.1 202.6 47.1 202.6 47.3 202.4 47.3", 202.5, 47.2));
        assert!(holds("polygon 10 -1 12 -1 12 1 10 1", 11.0, 0.0));
        assert!(holds("CIRCLE ICRS 10.0 41.0 0.5", 10.3, 41.2) && !holds("CIRCLE ICRS 10.0 41.0 0.5", 10.0, 41.6));
        let union = "Union ICRS (Polygon 0 0 1 0 1 1 0 1 Circle 50 20 0.1)";
        assert_eq!(parse(union).len(), 2);
        assert!(holds(union, 0.5, 0.5) && holds(union, 50.05, 20.0) && !holds(union, 25.0, 10.0));
        assert!(holds("BOX ICRS 359.9 0 1 1", 0.3, 0.4) && !holds("BOX ICRS 359.9 0 1 1", 0.5, 0.0));
        assert!(holds("CIRCLE GALACTIC 0 0 1", 266.405, -28.936));
        // The position angle turns the long axis from north to east.
        assert!(holds("ELLIPSE ICRS 30 0 2 0.2 90", 31.5, 0.0) && !holds("ELLIPSE ICRS 30 0 2 0.2 90", 30.0, 1.5));
        for bad in ["", "POLYGON ICRS 1 2", "CIRCLE ICRS 1 2 -3", "POLYGON ICRS nan 1 2 3 4 5", "null"] {
            assert!(parse(bad).is_empty(), "{bad}");
        }
    }

    #[test]
    fn a_region_over_the_seam_and_over_a_pole_is_one_region() {
        assert!(holds("POLYGON 359 -1 1 -1 1 1 359 1", 0.0, 0.0) && holds("POLYGON 359 -1 1 -1 1 1 359 1", 359.5, 0.5));
        assert!(!holds("POLYGON 359 -1 1 -1 1 1 359 1", 180.0, 0.0));
        let cap = "POLYGON 0 89 90 89 180 89 270 89";
        assert!(holds(cap, 45.0, 89.9) && holds(cap, 200.0, 89.5) && !holds(cap, 45.0, 88.9) && !holds(cap, 45.0, -89.9));
    }
}
