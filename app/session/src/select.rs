//! Selections: what they were picked by, so that they can be picked again on new rows.

use asterism_data::{Expr, RowSet};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::command::SelectMode;
use crate::document::Dataset;
use crate::error::{Error, Result};
use crate::sky::{Flat, Projection, SkyFrame};

/// Two axes that a shape was drawn on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plot {
    /// A map, by its id.
    Map(u32),
    /// A map along other axes than its first two: other components, or three of them as a camera saw them.
    MapAxes {
        /// The map, by its id.
        map: u32,
        /// Vectors to the right and up, a number for each of the map's dimensions; a row's place is its coordinates times them.
        axes: [Vec<f64>; 2],
    },
    /// Two columns or expressions.
    Columns {
        /// Along x.
        x: String,
        /// Along y.
        y: String,
    },
    /// Pixels of an image of the dataset (0-based, centre of the first pixel at 0, 0), by index.
    Image(usize),
    /// The plane of a projection of the sky: degrees east and north of a centre. On a field (gnomonic) right ascension has no
    /// seam and a pole is a place like any other, and straight edges are great circles; on the whole sky a shape holds what it
    /// goes round in that projection.
    Sky {
        /// Column of right ascension, degrees.
        ra: String,
        /// Column of declination, degrees.
        dec: String,
        /// Longitude and latitude of the centre in the frame, degrees (right ascension and declination in the equatorial one).
        centre: [f64; 2],
        /// How the sphere becomes flat.
        #[serde(default)]
        projection: Projection,
        /// Which way is north on the plane.
        #[serde(default)]
        frame: SkyFrame,
    },
}

impl Plot {
    /// Right ascension and declination in degrees at a place of a picture of the sky; `None` beside it, and on other plots.
    pub fn sky_of_offsets(&self, at: [f64; 2]) -> Option<(f64, f64)> {
        match self {
            Self::Sky { centre, projection, frame, .. } => Flat::in_frame(*projection, *frame, *centre).sky_of_offsets(at),
            _ => None,
        }
    }
}

/// An outline in data units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// A closed polygon; inside by non-zero winding.
    Polygon(Vec<[f64; 2]>),
    /// A circle on the screen is an ellipse in data units.
    Ellipse {
        /// Centre.
        centre: [f64; 2],
        /// Half axes along x and y.
        radius: [f64; 2],
    },
    /// A painted stroke: points within the half axes of the chain.
    Stroke {
        /// The chain.
        points: Vec<[f64; 2]>,
        /// Half axes of the brush along x and y.
        radius: [f64; 2],
    },
}

impl Shape {
    /// Whether a point is inside. NaN never is.
    pub fn contains(&self, p: [f64; 2]) -> bool {
        if !(p[0].is_finite() && p[1].is_finite()) {
            return false;
        }
        match self {
            Self::Polygon(points) => winding(points, p) != 0,
            Self::Ellipse { centre, radius } => {
                let (u, v) = ((p[0] - centre[0]) / radius[0], (p[1] - centre[1]) / radius[1]);
                u * u + v * v <= 1.0
            }
            Self::Stroke { points, radius } => {
                let q = [p[0] / radius[0], p[1] / radius[1]];
                let scaled = |a: &[f64; 2]| [a[0] / radius[0], a[1] / radius[1]];
                match points.as_slice() {
                    [] => false,
                    [one] => distance2(scaled(one), scaled(one), q) <= 1.0,
                    many => many.windows(2).any(|w| distance2(scaled(&w[0]), scaled(&w[1]), q) <= 1.0),
                }
            }
        }
    }
}

/// Winding number of a closed polygon around `p` (Sunday 2001).
pub fn winding(polygon: &[[f64; 2]], p: [f64; 2]) -> i32 {
    let mut turns = 0;
    for (i, a) in polygon.iter().enumerate() {
        let b = polygon[(i + 1) % polygon.len()];
        let side = (b[0] - a[0]) * (p[1] - a[1]) - (p[0] - a[0]) * (b[1] - a[1]);
        if a[1] <= p[1] {
            if b[1] > p[1] && side > 0.0 {
                turns += 1;
            }
        } else if b[1] <= p[1] && side < 0.0 {
            turns -= 1;
        }
    }
    turns
}

fn distance2(a: [f64; 2], b: [f64; 2], p: [f64; 2]) -> f64 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let length2 = dx * dx + dy * dy;
    let t = if length2 > 0.0 { (((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length2).clamp(0.0, 1.0) } else { 0.0 };
    let (ex, ey) = (p[0] - a[0] - t * dx, p[1] - a[1] - t * dy);
    ex * ex + ey * ey
}

/// How rows were picked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Provenance {
    /// An outline on two axes.
    Shape {
        /// The axes.
        plot: Plot,
        /// The outline.
        shape: Shape,
    },
    /// A range on one column or expression.
    Range {
        /// Column or expression.
        column: String,
        /// Lower end, inclusive.
        min: f64,
        /// Upper end, inclusive.
        max: f64,
    },
    /// A predicate.
    Where {
        /// SQL.
        expr: String,
    },
    /// Rows pointed at (table, gallery, spectra), or found by a cluster search.
    Rows {
        /// Where it was done, for a person.
        note: String,
        /// The rows.
        rows: RowSet,
    },
}

/// Positions of a dataset's rows on two axes.
///
/// # Errors
/// When a column or a map is not there.
pub fn positions(dataset: &Dataset, plot: &Plot) -> Result<Vec<[f64; 2]>> {
    match plot {
        Plot::Map(id) => {
            let map = dataset
                .maps
                .iter()
                .find(|m| m.id == *id)
                .ok_or_else(|| Error::said("the map that this selection was drawn on is not here any more"))?;
            Ok(map.xy.iter().map(|p| [f64::from(p[0]), f64::from(p[1])]).collect())
        }
        Plot::MapAxes { map, axes: [right, up] } => {
            let map = dataset
                .maps
                .iter()
                .find(|m| m.id == *map)
                .ok_or_else(|| Error::said("the map that this selection was drawn on is not here any more"))?;
            let dims = map.coords.dims;
            if right.len() != dims || up.len() != dims {
                let (n, m) = (right.len(), up.len());
                let what =
                    format!("the map '{}' has {dims} dimensions, but the selection's axes {n} and {m}: draw it again", map.name);
                return Err(Error::said(what));
            }
            Ok(places_along(&map.coords, [right, up]).into_iter().map(|p| p.map(f64::from)).collect())
        }
        Plot::Columns { x, y } => {
            let x = column_or_expression(dataset, x)?;
            let y = column_or_expression(dataset, y)?;
            Ok(x.into_par_iter().zip(y).map(|(x, y)| [x, y]).collect())
        }
        Plot::Image(index) => image_positions(dataset, *index),
        Plot::Sky { ra, dec, centre, projection, frame } => {
            let (ra, dec) = (dataset.table.f64s(ra)?, dataset.table.f64s(dec)?);
            let flat = Flat::in_frame(*projection, *frame, *centre);
            Ok(ra.par_iter().zip(&dec).map(|(ra, dec)| flat.offsets(*ra, *dec)).collect())
        }
    }
}

/// Coordinates of rows times two vectors, of as many numbers as the coordinates have dimensions; further ones count as 0. In f32, as
/// they are drawn, so that a selection is what was seen.
pub fn places_along(coords: &crate::document::ndarray_like::Coords, axes: [&[f64]; 2]) -> Vec<[f32; 2]> {
    let dot =
        |row: &[f32], axis: &[f64]| row.iter().zip(axis).filter(|(_, a)| **a != 0.0).map(|(v, a)| f64::from(*v) * a).sum::<f64>();
    coords.values.par_chunks_exact(coords.dims.max(1)).map(|row| axes.map(|a| dot(row, a) as f32)).collect()
}

/// Values of a column or, when there is none of that name, of an expression.
///
/// # Errors
/// When neither can be read.
pub fn column_or_expression(dataset: &Dataset, text: &str) -> Result<Vec<f64>> {
    if dataset.table.column_index(text).is_some() {
        return Ok(dataset.table.f64s(text)?);
    }
    Ok(Expr::parse(text)?.numbers(&dataset.table)?)
}

/// Pixel positions of the rows on an image of the dataset: through its WCS and the sky columns,
/// or by the columns `x`, `y` for a picture without one.
///
/// # Errors
/// When the image or the columns are not there.
pub fn image_positions(dataset: &Dataset, index: usize) -> Result<Vec<[f64; 2]>> {
    let layer = dataset.images.get(index).ok_or_else(|| Error::said("there is no such image"))?;
    if let crate::Layer::Fits(image) = &layer.pixels
        && let Some(wcs) = &image.wcs
        && let Some((ra, dec)) = dataset.sky_columns()
    {
        let (ra, dec) = (dataset.table.f64s(&ra)?, dataset.table.f64s(&dec)?);
        return Ok(ra
            .par_iter()
            .zip(&dec)
            .map(|(ra, dec)| wcs.pixel_from_sky(*ra, *dec).map_or([f64::NAN; 2], |(x, y)| [x, y]))
            .collect());
    }
    let has_wcs = matches!(&layer.pixels, crate::Layer::Fits(image) if image.wcs.is_some());
    let why = if has_wcs {
        "the rows have no position on this image: the table has no columns of right ascension and declination"
    } else {
        "the rows have no position on this image: it has no WCS, and the table no columns x and y"
    };
    let (x, y) = dataset.pixel_columns().ok_or_else(|| Error::said(why))?;
    let (x, y) = (dataset.table.f64s(&x)?, dataset.table.f64s(&y)?);
    Ok(x.into_par_iter().zip(y).map(|(x, y)| [x, y]).collect())
}

/// The rows that a provenance finds in a dataset as it is now.
///
/// # Errors
/// When its columns or map are not there.
pub fn rows_of(dataset: &Dataset, why: &Provenance) -> Result<RowSet> {
    let len = dataset.table.rows();
    match why {
        Provenance::Shape { plot, shape } => {
            let at = positions(dataset, plot)?;
            let inside: Vec<bool> = at.par_iter().map(|p| shape.contains(*p)).collect();
            Ok(RowSet::from_fn(len, |row| inside.get(row).copied().unwrap_or(false)))
        }
        Provenance::Range { column, min, max } => {
            let values = column_or_expression(dataset, column)?;
            Ok(RowSet::from_fn(len, |row| values[row] >= *min && values[row] <= *max))
        }
        Provenance::Where { expr } => Ok(Expr::parse(expr)?.rows(&dataset.table)?),
        Provenance::Rows { rows, .. } => Ok(rows.resized(len)),
    }
}

/// `now` combined with a gesture's rows.
pub fn combine(now: &RowSet, gesture: &RowSet, mode: SelectMode) -> RowSet {
    match mode {
        SelectMode::New | SelectMode::Replace => gesture.clone(),
        SelectMode::Or => now.or(gesture),
        SelectMode::And => now.and(gesture),
        SelectMode::Xor => now.xor(gesture),
        SelectMode::AndNot => now.and_not(gesture),
    }
}

/// The rows that some steps select, one after the other.
///
/// # Errors
/// When a column or a map of a step is not there any more.
pub fn replayed(dataset: &Dataset, steps: &[crate::document::Gesture]) -> Result<RowSet> {
    let mut now = RowSet::from_rows(dataset.table.rows(), []);
    for (mode, why) in steps {
        now = combine(&now, &rows_of(dataset, why)?, *mode);
    }
    Ok(now)
}

/// A smooth outline around the main group of some points: their hull after the far ones are left
/// out, widened a little and rounded. `None` for fewer than five points.
///
/// Points further than three times the median distance from the median point are left out.
pub fn island(points: &[[f64; 2]]) -> Option<Vec<[f64; 2]>> {
    if points.len() < 5 {
        return None;
    }
    let median = |mut v: Vec<f64>| -> f64 {
        let mid = v.len() / 2;
        *v.select_nth_unstable_by(mid, f64::total_cmp).1
    };
    let centre = [median(points.iter().map(|p| p[0]).collect()), median(points.iter().map(|p| p[1]).collect())];
    let away = |p: &[f64; 2]| (p[0] - centre[0]).hypot(p[1] - centre[1]);
    let reach = 3.0 * median(points.iter().map(away).collect());
    let mut near: Vec<[f64; 2]> = points.iter().filter(|p| away(p) <= reach).copied().collect();
    near.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    // Andrew's monotone chain.
    let cross = |o: [f64; 2], a: [f64; 2], b: [f64; 2]| (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
    let mut hull: Vec<[f64; 2]> = Vec::new();
    for pass in 0..2 {
        let start = hull.len();
        let order: Box<dyn Iterator<Item = &[f64; 2]>> =
            if pass == 0 { Box::new(near.iter()) } else { Box::new(near.iter().rev()) };
        for p in order {
            while hull.len() >= start + 2 && cross(hull[hull.len() - 2], hull[hull.len() - 1], *p) <= 0.0 {
                hull.pop();
            }
            hull.push(*p);
        }
        hull.pop();
    }
    if hull.len() < 3 {
        return None;
    }
    let wider: Vec<[f64; 2]> =
        hull.iter().map(|p| [centre[0] + (p[0] - centre[0]) * 1.07, centre[1] + (p[1] - centre[1]) * 1.07]).collect();
    // Chaikin's corner cutting, twice.
    let cut = |ring: &[[f64; 2]]| -> Vec<[f64; 2]> {
        (0..ring.len())
            .flat_map(|i| {
                let (a, b) = (ring[i], ring[(i + 1) % ring.len()]);
                let mix = |t: f64| [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t];
                [mix(0.2), mix(0.8)]
            })
            .collect()
    };
    Some(cut(&cut(&wider)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_that_crosses_itself_loses_nothing() {
        // A pentagram: even-odd would lose the middle.
        let star: Vec<[f64; 2]> = (0..5).map(|i| (f64::from(i) * 144.0).to_radians()).map(|a| [a.sin(), a.cos()]).collect();
        assert!(Shape::Polygon(star.clone()).contains([0.0, 0.0]));
        assert!(!Shape::Polygon(star.clone()).contains([2.0, 0.0]));
        assert!(!Shape::Polygon(star).contains([f64::NAN, 0.0]));
    }

    fn on_the_sky(places: &[[f64; 2]]) -> Dataset {
        let mut table = asterism_data::Table::default();
        let column = |i: usize| places.iter().map(|p| Some(p[i])).collect::<Vec<_>>();
        table.with_nullable_f64("ra", column(0), Default::default()).unwrap();
        table.with_nullable_f64("dec", column(1), Default::default()).unwrap();
        let ask = crate::Ask::file("sky.csv");
        crate::ledger::probe(&ask, table, None, Vec::new())
    }

    fn around(centre: [f64; 2], corners: &[[f64; 2]]) -> Provenance {
        let flat = Flat::new(Projection::Field, centre);
        let polygon = corners.iter().map(|p| flat.offsets(p[0], p[1])).collect();
        let plot =
            Plot::Sky { ra: "ra".into(), dec: "dec".into(), centre, projection: Projection::Field, frame: Default::default() };
        Provenance::Shape { plot, shape: Shape::Polygon(polygon) }
    }

    #[test]
    fn an_outline_across_the_seam_of_right_ascension_keeps_both_sides() {
        let rows = on_the_sky(&[
            [359.5, 0.0],
            [0.5, 0.0],
            [358.5, 0.0],
            [1.5, 0.0],
            [180.0, 0.0],
            [0.0, 0.9],
            [360.0, -1.5],
            [f64::NAN, 0.0],
        ]);
        let corners = [[359.0, -1.0], [1.0, -1.0], [361.0, 1.0], [-1.0, 1.0]];
        // The centre may lie on either side, or be written either way.
        for centre in [[0.0, 0.0], [359.7, 0.2], [0.2, -0.3], [-0.1, 0.0]] {
            let found = rows_of(&rows, &around(centre, &corners)).unwrap();
            assert_eq!(found.iter().collect::<Vec<_>>(), [0, 1, 5], "{centre:?}");
        }
    }

    #[test]
    fn an_outline_over_a_pole_keeps_what_is_around_it() {
        for sign in [1.0, -1.0] {
            let rows = on_the_sky(&[
                [10.0, 90.0 * sign],
                [100.0, 89.8 * sign],
                [280.0, 89.6 * sign],
                // Between two corners the side is a great circle, which is nearer to the pole than they are.
                [45.0, 89.25 * sign],
                [0.0, 89.25 * sign],
                [190.0, 88.9 * sign],
                [10.0, -90.0 * sign],
            ]);
            let corners = [0.0, 90.0, 180.0, 270.0].map(|ra| [ra, 89.2 * sign]);
            for centre in [[0.0, 90.0 * sign], [77.0, 89.5 * sign], [359.0, 88.0 * sign]] {
                let found = rows_of(&rows, &around(centre, &corners)).unwrap();
                assert_eq!(found.iter().collect::<Vec<_>>(), [0, 1, 2, 4], "{centre:?}");
            }
        }
    }

    #[test]
    fn an_outline_on_the_whole_sky_keeps_what_it_goes_round() {
        let rows = on_the_sky(&[[180.0, 0.0], [150.0, 30.0], [0.0, 80.0], [200.0, 85.0], [0.0, -80.0], [90.0, 0.0]]);
        for projection in [Projection::Mollweide, Projection::Aitoff] {
            // A cap of declination over 60 degrees goes round the pole: a band at the top of the plane.
            let flat = Flat::new(projection, [180.0, 0.0]);
            let edge: Vec<[f64; 2]> = (0..=60).map(|i| flat.offsets(0.001 + f64::from(i) * 5.9999, 60.0)).collect();
            let mut polygon = edge;
            polygon.extend([[170.0, 100.0], [-170.0, 100.0]]);
            let plot =
                Plot::Sky { ra: "ra".into(), dec: "dec".into(), centre: [180.0, 0.0], projection, frame: Default::default() };
            let why = Provenance::Shape { plot, shape: Shape::Polygon(polygon) };
            assert_eq!(rows_of(&rows, &why).unwrap().iter().collect::<Vec<_>>(), [2, 3], "{projection:?}");
        }
    }

    #[test]
    fn a_stroke_is_as_wide_as_its_brush() {
        let stroke = Shape::Stroke { points: vec![[0.0, 0.0], [10.0, 0.0]], radius: [1.0, 2.0] };
        assert!(stroke.contains([5.0, 1.9]));
        assert!(!stroke.contains([5.0, 2.1]));
        assert!(stroke.contains([10.9, 0.0]));
        assert!(!stroke.contains([11.1, 0.0]));
    }

    #[test]
    fn modes_are_set_algebra() {
        let (a, b) = (RowSet::from_rows(8, [0, 1]), RowSet::from_rows(8, [1, 2]));
        let rows = |mode| combine(&a, &b, mode).iter().collect::<Vec<_>>();
        assert_eq!(rows(SelectMode::Replace), [1, 2]);
        assert_eq!(rows(SelectMode::Or), [0, 1, 2]);
        assert_eq!(rows(SelectMode::And), [1]);
        assert_eq!(rows(SelectMode::Xor), [0, 2]);
        assert_eq!(rows(SelectMode::AndNot), [0]);
    }
}
