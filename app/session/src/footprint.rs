//! Footprints of observations: the regions of an `s_region` column (STC-S, IVOA Note 1.33, 2007; and DALI 1.1's bare shapes).
//!
//! Read are `POLYGON`, `CIRCLE`, `ELLIPSE`, `BOX` and `UNION` of them, with or without a frame, in degrees. Circles become polygons
//! of 48 corners. `INTERSECTION` and `NOT` are not: services publish what was seen, which is a union. Sides are great circles.
//! Choice not taken: a grammar; the words of one region stand in a fixed order. Cost: about 0.1 µs a corner.
//!
//! [`Regions`] holds those of a whole table, 16 B a corner and 24 B a region; the region at a place is found by a cap around each.

use rayon::prelude::*;

use crate::sky::{SkyFrame, angles, vector};

/// Corners of a closed region: right ascension and declination, radians.
pub type Ring = Vec<(f64, f64)>;

/// Corners of a circle.
const CORNERS: usize = 48;

/// The regions of a cell; empty where it says none that can be read.
pub fn parse(text: &str) -> Vec<Ring> {
    let between = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',');
    let mut words = text.split(between).filter(|w| !w.is_empty()).peekable();
    let mut rings = Vec::new();
    let mut numbers: Vec<f64> = Vec::new();
    while let Some(word) = words.next() {
        let Some(kind) = ["POLYGON", "CIRCLE", "ELLIPSE", "BOX"].into_iter().find(|k| word.eq_ignore_ascii_case(k)) else {
            continue;
        };
        let mut frame = SkyFrame::Equatorial;
        numbers.clear();
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
        rings.extend(ring(kind, frame, &numbers));
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

/// The regions of the rows of a table.
#[derive(Clone, Debug, Default)]
pub struct Regions {
    corners: Vec<(f64, f64)>,
    /// First corner, and the row; rows rise.
    rings: Vec<(u32, u32)>,
    /// A unit vector and the cosine of the way to the corner farthest from it.
    caps: Vec<[f32; 4]>,
}

/// Rows that a thread reads at a time.
const ROWS: usize = 4096;

impl Regions {
    /// Those in a column of text, by all threads. Regions beyond 2^32 corners are left out.
    pub fn read(table: &asterism_data::Table, column: usize) -> Self {
        let rows = table.rows();
        let parts: Vec<Vec<(u32, Ring)>> = (0..rows.div_ceil(ROWS))
            .into_par_iter()
            .map(|part| {
                let of_row = |row: usize| match table.cell(row, column) {
                    asterism_data::Cell::Text(text) => parse(&text),
                    _ => Vec::new(),
                };
                let rows = part * ROWS..rows.min((part + 1) * ROWS);
                rows.flat_map(|row| of_row(row).into_iter().map(move |ring| (row as u32, ring))).collect()
            })
            .collect();
        let mut all = Self::default();
        for (row, ring) in parts.into_iter().flatten() {
            all.push(row, &ring);
        }
        all
    }

    /// Adds a region of `row`, which is no lower than the last.
    pub fn push(&mut self, row: u32, ring: &[(f64, f64)]) {
        let Ok(start) = u32::try_from(self.corners.len()) else { return };
        let corners: Vec<[f64; 3]> = ring.iter().map(|p| vector(p.0, p.1)).collect();
        let sum = corners.iter().fold([0.0; 3], |s, v| [s[0] + v[0], s[1] + v[1], s[2] + v[2]]);
        let long = sum.iter().map(|v| v * v).sum::<f64>().sqrt();
        if ring.is_empty() || !long.is_finite() {
            return;
        }
        let to = if long > 1e-9 { sum.map(|v| v / long) } else { corners[0] };
        let dot = |v: &[f64; 3]| (0..3).map(|k| v[k] * to[k]).sum::<f64>();
        // What lies on a great circle between two corners is no farther than they are; what f32 loses is given in addition.
        let edge = if long > 1e-9 { corners.iter().map(dot).fold(1.0, f64::min) } else { -1.0 };
        self.corners.extend_from_slice(ring);
        self.rings.push((start, row));
        self.caps.push([to[0] as f32, to[1] as f32, to[2] as f32, edge.min(1.0) as f32 - 3e-7]);
    }

    /// Number of regions.
    pub fn len(&self) -> usize {
        self.rings.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }

    /// A region's row and corners.
    pub fn get(&self, i: usize) -> Option<(u32, &[(f64, f64)])> {
        let (start, row) = *self.rings.get(i)?;
        let end = self.rings.get(i + 1).map_or(self.corners.len(), |r| r.0 as usize);
        Some((row, &self.corners[start as usize..end]))
    }

    /// Rows and corners of all.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[(f64, f64)])> {
        (0..self.len()).filter_map(|i| self.get(i))
    }

    /// The regions of a row.
    pub fn of_row(&self, row: u32) -> impl Iterator<Item = &[(f64, f64)]> {
        let first = self.rings.partition_point(|r| r.1 < row);
        (first..self.len()).map_while(move |i| self.get(i).filter(|r| r.0 == row).map(|r| r.1))
    }

    /// Numbers of the regions whose caps touch one of `radius` (radians) around a place in ICRS.
    pub fn touching(&self, (ra, dec): (f64, f64), radius: f64) -> Vec<usize> {
        let to = vector(ra, dec).map(|v| v as f32);
        let far = |cap: &[f32; 4]| {
            let away = (cap[0] * to[0] + cap[1] * to[1] + cap[2] * to[2]).clamp(-1.0, 1.0).acos();
            // What f32 knows of a small angle.
            away > cap[3].clamp(-1.0, 1.0).acos() + radius as f32 + 1e-3
        };
        (0..self.len()).filter(|&i| !far(&self.caps[i])).collect()
    }

    /// The row with the smallest region around a place in ICRS (radians) whose row will do. 1 to 2 ns a region.
    pub fn at(&self, ra: f64, dec: f64, will_do: impl Fn(u32) -> bool) -> Option<u32> {
        let to = vector(ra, dec).map(|v| v as f32);
        let mut best: Option<(f32, u32)> = None;
        for (i, cap) in self.caps.iter().enumerate() {
            let near = cap[0] * to[0] + cap[1] * to[1] + cap[2] * to[2];
            if near < cap[3] || best.is_some_and(|(edge, _)| edge >= cap[3]) {
                continue;
            }
            if let Some((row, ring)) = self.get(i)
                && will_do(row)
                && contains(ring, ra, dec)
            {
                best = Some((cap[3], row));
            }
        }
        best.map(|(_, row)| row)
    }
}

/// Corners of a closed region in ICRS (radians), the first once more at the end; between corners more than 3° apart the great circle
/// has corners as well.
pub fn followed(ring: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    let n = ring.len();
    let sides = (0..n).flat_map(move |i| {
        let (p, q) = (ring[i], ring[(i + 1) % n]);
        // No side is longer than its two ways together.
        let is_short = (p.0 - q.0).abs() + (p.1 - q.1).abs() < 3f64.to_radians();
        let ends = (!is_short).then(|| (vector(p.0, p.1), vector(q.0, q.1)));
        let away = ends.map_or(0.0, |(a, b)| (0..3).map(|k| a[k] * b[k]).sum::<f64>().clamp(-1.0, 1.0).acos());
        let parts = ((away.to_degrees() / 3.0).ceil() as usize).clamp(1, 60);
        (0..parts).map(move |part| {
            let t = part as f64 / parts as f64;
            match ends.filter(|_| part > 0) {
                Some((a, b)) => angles([0, 1, 2].map(|k| a[k] * (1.0 - t) + b[k] * t)),
                None => p,
            }
        })
    });
    sides.chain(ring.first().copied())
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

    fn some() -> Regions {
        let text = |i: usize| match i % 4 {
            0 => format!("CIRCLE {} {} {}", i * 37 % 360, (i * 53 % 170) as f64 - 85.0, 1 + i % 9),
            1 => format!("UNION (POLYGON {i} 0 {0} 0 {0} 2 CIRCLE {i} 50 0.1)", i + 1),
            2 => "nothing".into(),
            _ => String::new(),
        };
        let csv: String = (0..9_000).map(|i| format!("{i},{}\n", text(i % 1500))).collect();
        let parts = asterism_data::read_bytes("rows.csv", format!("n,s_region\n{csv}").into_bytes(), None).expect("a table");
        let table =
            parts.into_iter().find_map(|p| if let asterism_data::Part::Table(t) = p { Some(t) } else { None }).expect("a table");
        Regions::read(&table, column_of(&table))
    }

    fn column_of(table: &asterism_data::Table) -> usize {
        column(table).expect("found by its name")
    }

    #[test]
    fn the_regions_of_a_table_are_found_by_row_and_by_place() {
        let all = some();
        assert_eq!(all.len(), 2250 + 2 * 2250);
        assert_eq!(all.of_row(5).count(), 2);
        assert_eq!((all.of_row(6).count(), all.of_row(4).count(), all.of_row(9_001).count()), (0, 1, 0));
        for i in 0..400usize {
            let (ra, dec) = ((i * 61 % 360) as f64, (i * 31 % 178) as f64 - 89.0);
            let (ra, dec) = (ra.to_radians(), dec.to_radians());
            // The smallest of those that hold the place; of equal ones the first.
            let size = |ring: &[(f64, f64)]| {
                let mut alone = Regions::default();
                alone.push(0, ring);
                alone.caps[0][3]
            };
            let holding: Vec<(u32, f32)> =
                all.iter().filter(|(_, r)| contains(r, ra, dec)).map(|(row, r)| (row, size(r))).collect();
            let least = holding.iter().map(|h| h.1).fold(f32::NEG_INFINITY, f32::max);
            let want = holding.iter().find(|h| h.1 == least).map(|h| h.0);
            assert_eq!(all.at(ra, dec, |_| true), want, "place {i}");
            let touching = all.touching((ra, dec), 0.2);
            assert!(holding.iter().all(|h| touching.iter().any(|&i| all.get(i).is_some_and(|r| r.0 == h.0))));
            assert!(touching.len() < all.len() / 2);
            let odd = holding.iter().filter(|h| h.0 % 8 == 0).map(|h| h.1).fold(f32::NEG_INFINITY, f32::max);
            let want = holding.iter().find(|h| h.0 % 8 == 0 && h.1 == odd).map(|h| h.0);
            assert_eq!(all.at(ra, dec, |row| row % 8 == 0), want, "place {i}");
        }
    }

    #[test]
    fn long_sides_follow_great_circles() {
        let ring = [(0.0, 0.0), (1.0, 0.0), (1.0, 0.5)];
        let on: Vec<_> = followed(&ring).collect();
        assert_eq!((on[0], on[on.len() - 1]), (ring[0], ring[0]));
        assert!(on.len() > 40 && on.windows(2).all(|p| (p[0].0 - p[1].0).hypot(p[0].1 - p[1].1) < 0.06));
        assert_eq!(followed(&[(0.1, 0.1), (0.11, 0.1), (0.11, 0.11)]).count(), 4);
        assert_eq!(followed(&[]).count(), 0);
    }

    #[test]
    fn a_region_over_the_seam_and_over_a_pole_is_one_region() {
        assert!(holds("POLYGON 359 -1 1 -1 1 1 359 1", 0.0, 0.0) && holds("POLYGON 359 -1 1 -1 1 1 359 1", 359.5, 0.5));
        assert!(!holds("POLYGON 359 -1 1 -1 1 1 359 1", 180.0, 0.0));
        let cap = "POLYGON 0 89 90 89 180 89 270 89";
        assert!(holds(cap, 45.0, 89.9) && holds(cap, 200.0, 89.5) && !holds(cap, 45.0, 88.9) && !holds(cap, 45.0, -89.9));
    }
}
