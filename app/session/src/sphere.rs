//! Outlines on the sphere: what is drawn on a picture of the whole sky, or on a globe, as it is meant.
//!
//! A circle is one on the sphere, and the corners of a polygon are joined by great circles, the shorter way round: neither the edge of the
//! map, nor a pole, nor right ascension 0 is in their way. Both are kept as outlines on a field (gnomonic, where great circles are
//! straight) around their middle. An outline of a field is moved by turning the sphere.

use std::f64::consts::PI;

use crate::select::{Plot, Shape};
use crate::sky::{Flat, Projection, angles, vector};

/// How far from the middle of an outline its edge may be, degrees: a field holds no half sphere.
const WIDEST_DEG: f64 = 80.0;

/// A circle, or a polygon of corners, that was drawn on the whole sky or on a globe: the same on the field around its middle. `None` for
/// a stroke, for what is wider than 80° from the middle or has a corner beside the sky, and on every other plot.
pub fn on_sphere(plot: &Plot, shape: &Shape) -> Option<(Plot, Shape)> {
    let Plot::Sky { ra, dec, centre, projection, frame } = plot else { return None };
    if *projection == Projection::Field {
        return None;
    }
    let flat = Flat::in_frame(*projection, *frame, *centre);
    let field =
        |centre: [f64; 2]| Plot::Sky { ra: ra.clone(), dec: dec.clone(), centre, projection: Projection::Field, frame: *frame };
    match shape {
        Shape::Ellipse { centre: middle, radius } => {
            let (a, d) = flat.sky_of_offsets(*middle)?;
            // As far as its edge is in the four directions, where they are on the map.
            let ends = [[radius[0], 0.0], [-radius[0], 0.0], [0.0, radius[1]], [0.0, -radius[1]]];
            let away = ends.iter().filter_map(|e| {
                let (a1, d1) = flat.sky_of_offsets([middle[0] + e[0], middle[1] + e[1]])?;
                Some(separation_deg([a, d], [a1, d1]))
            });
            let away: Vec<f64> = away.filter(|v| v.is_finite()).collect();
            let mean = away.iter().sum::<f64>() / away.len() as f64;
            if !(mean > 0.0 && mean < WIDEST_DEG) {
                return None;
            }
            let (lon, lat) = frame.of_icrs(a.to_radians(), d.to_radians());
            let radius = mean.to_radians().tan().to_degrees();
            Some((field([lon.to_degrees(), lat.to_degrees()]), Shape::Ellipse { centre: [0.0; 2], radius: [radius; 2] }))
        }
        Shape::Polygon(corners) => {
            let places: Option<Vec<(f64, f64)>> = corners.iter().map(|c| flat.sky_of_offsets(*c)).collect();
            let places = places?;
            let at: Vec<[f64; 3]> = places.iter().map(|(a, d)| vector(a.to_radians(), d.to_radians())).collect();
            let sum: [f64; 3] = std::array::from_fn(|i| at.iter().map(|v| v[i]).sum());
            let length = dot(sum, sum).sqrt();
            let near = |v: &[f64; 3]| dot(*v, sum) > length * WIDEST_DEG.to_radians().cos();
            if !(length > 1e-9 && at.iter().all(near)) {
                return None;
            }
            let (a, d) = angles(sum);
            let (lon, lat) = frame.of_icrs(a, d);
            // Few digits, for recipes: the corners are where they are, whatever the centre.
            let centre = [lon, lat].map(|v| (v.to_degrees() * 1e4).round() / 1e4);
            let flat = Flat::in_frame(Projection::Field, *frame, centre);
            Some((field(centre), Shape::Polygon(places.iter().map(|(a, d)| flat.offsets(*a, *d)).collect())))
        }
        Shape::Stroke { .. } => None,
    }
}

/// An outline of a field after the sphere was turned so that `from` came to lie at `to` (right ascension and declination, degrees).
/// `None` for outlines of other plots.
pub fn turned(plot: &Plot, shape: &Shape, from: (f64, f64), to: (f64, f64)) -> Option<(Plot, Shape)> {
    let Plot::Sky { ra, dec, centre, projection: Projection::Field, frame } = plot else { return None };
    let [a, b] = [from, to].map(|(ra, dec)| vector(ra.to_radians(), dec.to_radians()));
    // Rodrigues: about the pole of the great circle through both.
    let axis = cross(a, b);
    let cos = dot(a, b);
    let turn = |(ra, dec): (f64, f64)| {
        let v = vector(ra, dec);
        let (c, along) = (cross(axis, v), dot(axis, v) / (1.0 + cos).max(1e-9));
        angles(std::array::from_fn(|i| v[i] * cos + c[i] + axis[i] * along))
    };
    let middle = turn(frame.to_icrs(centre[0].to_radians(), centre[1].to_radians()));
    let (lon, lat) = frame.of_icrs(middle.0, middle.1);
    let to = [lon.to_degrees().rem_euclid(360.0), lat.to_degrees()];
    let (before, after) = (Flat::in_frame(Projection::Field, *frame, *centre), Flat::in_frame(Projection::Field, *frame, to));
    let moved = |p: &[f64; 2]| {
        let (ra, dec) = before.sky_of_offsets(*p)?;
        let (ra, dec) = turn((ra.to_radians(), dec.to_radians()));
        Some(after.offsets(ra.to_degrees(), dec.to_degrees()))
    };
    let chain = |points: &[[f64; 2]]| points.iter().map(moved).collect::<Option<Vec<_>>>();
    let shape = match shape {
        Shape::Polygon(points) => Shape::Polygon(chain(points)?),
        Shape::Ellipse { centre, radius } => Shape::Ellipse { centre: moved(centre)?, radius: *radius },
        Shape::Stroke { points, radius } => Shape::Stroke { points: chain(points)?, radius: *radius },
    };
    Some((Plot::Sky { ra: ra.clone(), dec: dec.clone(), centre: to, projection: Projection::Field, frame: *frame }, shape))
}

/// Where an outline that was drawn on one picture of the sky runs on another of the same columns, in degrees east and north of that one's
/// centre: in pieces, as the map's edge or a globe's far side cut it. Empty for other plots.
pub fn outline_elsewhere(on: &Plot, of: &Plot, shape: &Shape) -> Vec<Vec<[f64; 2]>> {
    let (Plot::Sky { ra, dec, .. }, Plot::Sky { ra: of_ra, dec: of_dec, .. }) = (on, of) else { return Vec::new() };
    let flat = |plot: &Plot| match plot {
        Plot::Sky { centre, projection, frame, .. } => Some(Flat::in_frame(*projection, *frame, *centre)),
        _ => None,
    };
    let (Some(here), Some(there)) = (flat(on), flat(of)) else { return Vec::new() };
    if (ra, dec) != (of_ra, of_dec) {
        return Vec::new();
    }
    let way: Vec<[f64; 2]> = match shape {
        Shape::Ellipse { centre, radius } => (0..=180)
            .map(|i| (f64::from(i) * 2.0).to_radians())
            .map(|t| [centre[0] + radius[0] * t.cos(), centre[1] + radius[1] * t.sin()])
            .collect(),
        Shape::Polygon(corners) => (0..corners.len())
            .flat_map(|i| {
                let (a, b) = (corners[i], corners[(i + 1) % corners.len()]);
                (0..=16).map(f64::from).map(move |t| between(a, b, t / 16.0))
            })
            .collect(),
        Shape::Stroke { points, .. } => points.clone(),
    };
    let place = |p: [f64; 2]| {
        let (a, d) = there.sky_of_offsets(p)?;
        Some(here.offsets(a, d)).filter(|q| q.iter().all(|v| v.is_finite()))
    };
    let near = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]) < NEIGHBOURS_DEG;
    let mut pieces: Vec<Vec<[f64; 2]>> = vec![Vec::new()];
    let mut last: Option<([f64; 2], Option<[f64; 2]>)> = None;
    for p in way {
        let now = place(p);
        let is_torn = last.is_some_and(|(_, before)| match (before, now) {
            (Some(a), Some(b)) => !near(a, b),
            (None, None) => false,
            _ => true,
        });
        if let (Some((from, before)), true) = (last, is_torn) {
            // Both pieces go on to where it tears.
            let (mut low, mut high) = (0.0, 1.0);
            for _ in 0..20 {
                let middle = (low + high) / 2.0;
                let is_before = match (before, place(between(from, p, middle))) {
                    (Some(a), Some(q)) => near(a, q),
                    (None, None) => true,
                    _ => false,
                };
                if is_before { low = middle } else { high = middle }
            }
            let ends = [low, high].map(|t| place(between(from, p, t)));
            let goes_on = matches!(ends, [Some(a), Some(b)] if (a[0] - b[0]).hypot(a[1] - b[1]) < 1.0);
            if let (Some(piece), Some(end)) = (pieces.last_mut(), ends[0]) {
                piece.push(end);
            }
            if !goes_on {
                pieces.push(Vec::new());
            }
            if let (Some(piece), Some(end)) = (pieces.last_mut(), ends[1]) {
                piece.push(end);
            }
        }
        if let (Some(piece), Some(place)) = (pieces.last_mut(), now) {
            piece.push(place);
        }
        last = Some((p, now));
    }
    pieces.retain(|piece| piece.len() > 1);
    pieces
}

/// Samples of an outline that lie further apart on the plane are looked at for the map's edge between them.
const NEIGHBOURS_DEG: f64 = 60.0;

fn between(a: [f64; 2], b: [f64; 2], t: f64) -> [f64; 2] {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t]
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn separation_deg(a: [f64; 2], b: [f64; 2]) -> f64 {
    let [a, b] = [a, b].map(|p| vector(p[0].to_radians(), p[1].to_radians()));
    let chord: [f64; 3] = std::array::from_fn(|i| a[i] - b[i]);
    // Exact for small angles, where the cosine is not.
    (2.0 * (dot(chord, chord).sqrt() / 2.0).min(1.0).asin()).min(PI).to_degrees()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Dataset;
    use crate::select::{Provenance, rows_of};
    use crate::sky::SkyFrame;

    /// 4,000 places evenly over the sphere, and a dataset of them.
    fn everywhere() -> (Vec<(f64, f64)>, Dataset) {
        let places: Vec<(f64, f64)> = (0..4000)
            .map(|i| (f64::from(i) * 137.507_764 % 360.0, (1.0 - 2.0 * (f64::from(i) + 0.5) / 4000.0).asin().to_degrees()))
            .collect();
        let mut table = asterism_data::Table::default();
        table.with_f64_column("ra", places.iter().map(|p| p.0).collect(), Default::default()).unwrap();
        table.with_f64_column("dec", places.iter().map(|p| p.1).collect(), Default::default()).unwrap();
        let dataset = crate::ledger::probe(&crate::Ask::file("t.csv"), table, None, Vec::new());
        (places, dataset)
    }

    fn sky(projection: Projection, frame: SkyFrame, centre: [f64; 2]) -> (Plot, Flat) {
        let plot = Plot::Sky { ra: "ra".into(), dec: "dec".into(), centre, projection, frame };
        (plot, Flat::in_frame(projection, frame, centre))
    }

    /// Rows within 25° of a place near the pole, and of one on the edge of the map, whatever picture the circle was drawn on.
    #[test]
    fn a_circle_on_the_whole_sky_is_one_on_the_sphere() {
        let (places, dataset) = everywhere();
        for projection in [Projection::Mollweide, Projection::Hammer, Projection::Globe] {
            for (middle, frame) in [
                ([200.0, 84.0], SkyFrame::Equatorial),
                ([359.5, 10.0], SkyFrame::Equatorial),
                ([20.0, -80.0], SkyFrame::Galactic),
            ] {
                let centre = if projection == Projection::Globe { middle } else { [180.0, 0.0] };
                let (plot, flat) = sky(projection, frame, centre);
                let (lon, lat) = (f64::to_radians(middle[0]), f64::to_radians(middle[1]));
                let (a, d) = frame.to_icrs(lon, lat);
                let drawn = Shape::Ellipse { centre: flat.offsets(a.to_degrees(), d.to_degrees()), radius: [9.0, 9.0] };
                let (field, circle) = on_sphere(&plot, &drawn).unwrap();
                let Shape::Ellipse { radius, .. } = &circle else { panic!("{circle:?}") };
                let reach = radius[0].to_radians().atan().to_degrees();
                assert!((3.0..40.0).contains(&reach), "{projection:?} {middle:?}: {reach}");
                let rows = rows_of(&dataset, &Provenance::Shape { plot: field.clone(), shape: circle.clone() }).unwrap();
                let near = |i: usize| separation_deg([a.to_degrees(), d.to_degrees()], [places[i].0, places[i].1]);
                for i in (0..places.len()).filter(|i| (near(*i) - reach).abs() > 1e-6) {
                    assert_eq!(rows.contains(i), near(i) < reach, "{projection:?} {middle:?} row {i} at {}", near(i));
                }
                assert!(rows.count() > 4);
                let line = outline_elsewhere(&plot, &field, &circle);
                assert!(!line.is_empty() && line.iter().flatten().count() > 80, "{projection:?} {middle:?}");
            }
        }
        let plot = Plot::Columns { x: "ra".into(), y: "dec".into() };
        assert!(on_sphere(&plot, &Shape::Ellipse { centre: [1.0; 2], radius: [1.0; 2] }).is_none());
    }

    /// Corners on both sides of the map's edge and around the pole: rows inside are those on the inner side of every great circle.
    #[test]
    fn a_polygon_by_its_corners_crosses_the_edge_of_the_map() {
        let (places, dataset) = everywhere();
        let over_the_edge = [[340.0, -20.0], [25.0, -25.0], [30.0, 20.0], [345.0, 35.0]];
        let around_the_pole = [[0.0, 70.0], [90.0, 55.0], [180.0, 65.0], [270.0, 60.0]];
        for projection in [Projection::Mollweide, Projection::Aitoff, Projection::Hammer] {
            let (plot, flat) = sky(projection, SkyFrame::Equatorial, [180.0, 0.0]);
            for (corners, pieces) in [(over_the_edge, 2), (around_the_pole, 1)] {
                let drawn = Shape::Polygon(corners.iter().map(|c| flat.offsets(c[0], c[1])).collect());
                let (field, polygon) = on_sphere(&plot, &drawn).unwrap();
                let rows = rows_of(&dataset, &Provenance::Shape { plot: field.clone(), shape: polygon.clone() }).unwrap();
                let at = corners.map(|c| vector(c[0].to_radians(), c[1].to_radians()));
                let mut inside = 0;
                for (i, (ra, dec)) in places.iter().enumerate() {
                    let v = vector(ra.to_radians(), dec.to_radians());
                    let is_in = (0..4).all(|k| dot(cross(at[k], at[(k + 1) % 4]), v) > 0.0);
                    assert_eq!(rows.contains(i), is_in, "{projection:?} {corners:?} {ra} {dec}");
                    inside += usize::from(is_in);
                }
                assert!(inside > 50, "{inside}");
                // Drawn in pieces that end at the map's edge, half the sky away from its middle.
                let line = outline_elsewhere(&plot, &field, &polygon);
                assert!(line.len() > pieces - 1, "{projection:?} {} pieces", line.len());
                if pieces == 2 {
                    for end in line.iter().flat_map(|l| [l[0], l[l.len() - 1]]) {
                        let (ra, dec) = flat.sky_of_offsets(end).unwrap_or((0.0, f64::NAN));
                        let corner = corners.iter().any(|c| separation_deg(*c, [ra, dec]) < 1e-6);
                        let edge = dec.is_nan() || ra.min(360.0 - ra) * dec.to_radians().cos() < 0.01;
                        assert!(corner || edge, "{projection:?} a piece ends at {ra} {dec}");
                    }
                }
            }
            // Wider than a field, or with a corner beside the sky: as it is on the plane.
            let wide = [[90.0, 0.0], [270.0, 0.0], [180.0, 80.0]].map(|c| flat.offsets(c[0], c[1]));
            assert!(on_sphere(&plot, &Shape::Polygon(wide.to_vec())).is_none());
            assert!(on_sphere(&plot, &Shape::Polygon(vec![[170.0, 80.0], [0.0, 0.0], [10.0, 0.0]])).is_none());
        }
    }

    #[test]
    fn an_outline_of_a_field_moves_over_the_sphere_as_it_is() {
        for (centre, from, to) in [
            ([20.0, 80.0], (20.0, 80.0), (200.0, 85.0)),
            ([359.0, 5.0], (0.5, 6.0), (180.0, -70.0)),
            ([100.0, -30.0], (90.0, -30.0), (90.0, -30.0)),
        ] {
            let (plot, flat) = sky(Projection::Field, SkyFrame::Galactic, centre);
            let corners = vec![[-5.0, -4.0], [6.0, -3.0], [2.0, 7.0]];
            let (moved, shape) = turned(&plot, &Shape::Polygon(corners.clone()), from, to).unwrap();
            let (Plot::Sky { centre, .. }, Shape::Polygon(after)) = (&moved, &shape) else { panic!() };
            let now = Flat::in_frame(Projection::Field, SkyFrame::Galactic, *centre);
            let sky_of = |flat: &Flat, p: [f64; 2]| flat.sky_of_offsets(p).map(|(a, d)| [a, d]).unwrap();
            for i in 0..3 {
                // As far from the hand as before, and from each other.
                let before = separation_deg(sky_of(&flat, corners[i]), [from.0, from.1]);
                assert!((separation_deg(sky_of(&now, after[i]), [to.0, to.1]) - before).abs() < 1e-9);
                let side = |flat: &Flat, p: &[[f64; 2]]| separation_deg(sky_of(flat, p[i]), sky_of(flat, p[(i + 1) % 3]));
                assert!((side(&flat, &corners) - side(&now, after)).abs() < 1e-9);
            }
            // A circle is where its middle is.
            let round = Shape::Ellipse { centre: [0.0; 2], radius: [3.0; 2] };
            let (_, circle) = turned(&plot, &round, from, to).unwrap();
            let Shape::Ellipse { centre, radius } = circle else { panic!() };
            assert!(centre[0].abs() + centre[1].abs() < 1e-9 && radius == [3.0; 2]);
        }
        let (globe, _) = sky(Projection::Globe, SkyFrame::Equatorial, [0.0, 0.0]);
        assert!(turned(&globe, &Shape::Polygon(vec![]), (0.0, 0.0), (1.0, 1.0)).is_none());
    }
}
