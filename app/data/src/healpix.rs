//! HEALPix in the nested scheme, to order 29: which cell a position lies in, where a cell and each place in it is, which cells a cone
//! meets.
//!
//! The sphere is cut into twelve faces; a place on a face has `x` to its north-east and `y` to its north-west corner, both 0 to 1,
//! and a cell's number interleaves the bits of both. Partitioned catalogues (`hats`), surveys of images and coverage maps all use it.
//! Choice not taken: the crate `cdshealpix` (0.10): it does far more, brings a file format, a thread pool and the
//! crates of coverage maps, some fifty in all, for the dozen functions below. Held against
//! astropy-healpix in tests (`healpix.json`, `healpix_tiles.json`).
//!
//! Cells that meet a cone are found from circles around cells, going four levels down: never one
//! too few, now and then one too many (within a sixteenth of a cell of the cone's rim); rows are
//! filtered by their true distance afterwards.
//!
//! Cost: about 40 ns a place. Górski et al. (2005), ApJ 622, 759: section 5 the formulas, 4.1 the nested numbers.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use crate::crossmatch::unit_vector;

/// The deepest order whose numbers fit in 64 bits.
pub const MAX_ORDER: u8 = 29;

/// Ring of a face's northern corner counted from the pole, in quarters of the way to the equator.
const RING: [f64; 12] = [2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0, 4.0, 4.0, 4.0, 4.0];
/// Longitude of a face's middle in eighths of the circle.
const LON: [f64; 12] = [1.0, 3.0, 5.0, 7.0, 0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0];

/// Unit vector of a longitude and latitude, radians.
pub fn vector(lon: f64, lat: f64) -> [f64; 3] {
    [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
}

/// Longitude (0 to 2π) and latitude of a vector of any length, radians.
pub fn angles([x, y, z]: [f64; 3]) -> (f64, f64) {
    (y.atan2(x).rem_euclid(2.0 * PI), z.atan2(x.hypot(y)))
}

/// Cells of an order: 12 × 4^order.
pub fn cells(order: u8) -> u64 {
    12 << (2 * u32::from(order.min(MAX_ORDER)))
}

/// Face of a cell, and its place on it in cells along x and y.
pub fn face_xy(order: u8, cell: u64) -> (usize, u64, u64) {
    let order = order.min(MAX_ORDER);
    let inside = cell & ((1 << (2 * u32::from(order))) - 1);
    ((cell >> (2 * u32::from(order))) as usize % 12, even_bits(inside), even_bits(inside >> 1))
}

/// The cell of an order at a place on a face.
pub fn cell_of(order: u8, face: usize, x: u64, y: u64) -> u64 {
    ((face as u64) << (2 * u32::from(order))) | spread(x) | spread(y) << 1
}

fn even_bits(v: u64) -> u64 {
    let mut v = v & 0x5555_5555_5555_5555;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0xffff_ffff),
    ] {
        v = (v | v >> shift) & mask;
    }
    v
}

fn spread(v: u64) -> u64 {
    let mut v = v & 0xffff_ffff;
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff_u64),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        v = (v | v << shift) & mask;
    }
    v
}

/// Longitude (0 to 2π) and latitude of a place on a face, radians; `x` and `y` from 0 to 1.
pub fn sky(face: usize, x: f64, y: f64) -> (f64, f64) {
    let ring = RING[face % 12] - x - y;
    let (nr, z, cos) = if ring < 1.0 {
        let t = ring * ring / 3.0;
        (ring, 1.0 - t, (t * (2.0 - t)).max(0.0).sqrt())
    } else if ring > 3.0 {
        let nr = 4.0 - ring;
        let t = nr * nr / 3.0;
        (nr, t - 1.0, (t * (2.0 - t)).max(0.0).sqrt())
    } else {
        let z = (2.0 - ring) * 2.0 / 3.0;
        (1.0, z, (1.0 - z * z).max(0.0).sqrt())
    };
    let lon = if nr < 1e-15 { 0.0 } else { FRAC_PI_4 * (LON[face % 12] * nr + x - y) / nr };
    (lon.rem_euclid(2.0 * PI), z.atan2(cos))
}

/// Face and place on it of a longitude and latitude, radians.
pub fn place(lon: f64, lat: f64) -> (usize, f64, f64) {
    let (z, tt) = (lat.sin(), lon.rem_euclid(2.0 * PI) / FRAC_PI_2);
    if z.abs() <= 2.0 / 3.0 {
        let (a, b) = (0.5 + tt, 0.75 * z);
        let (up, down) = (a - b, a + b);
        let (ifp, ifm) = (up.floor() as i64, down.floor() as i64);
        let face = match ifp.cmp(&ifm) {
            std::cmp::Ordering::Equal => (ifp & 3) + 4,
            std::cmp::Ordering::Less => ifp & 3,
            std::cmp::Ordering::Greater => (ifm & 3) + 8,
        };
        return (face as usize, down - down.floor(), 1.0 - (up - up.floor()));
    }
    let quarter = (tt.floor() as i64).min(3);
    let tp = tt - quarter as f64;
    // √(3 (1 − |z|)), without the loss near the pole.
    let reach = 6f64.sqrt() * ((FRAC_PI_2 - lat.abs()) / 2.0).sin().abs();
    let (a, b) = ((tp * reach).min(1.0), ((1.0 - tp) * reach).min(1.0));
    if z >= 0.0 { (quarter as usize, 1.0 - b, 1.0 - a) } else { (quarter as usize + 8, a, b) }
}

/// The cell of an order that holds a longitude and latitude, radians.
pub fn cell_at(order: u8, lon: f64, lat: f64) -> u64 {
    let (face, x, y) = place(lon, lat);
    let n = 1u64 << order.min(MAX_ORDER);
    let i = |v: f64| ((v * n as f64) as u64).min(n - 1);
    cell_of(order.min(MAX_ORDER), face, i(x), i(y))
}

/// A cell's middle as a unit vector, and the cosine of the angle to its farthest corner.
pub fn cap(order: u8, cell: u64) -> ([f64; 3], f64) {
    let (face, x, y) = face_xy(order, cell);
    let n = (1u64 << order.min(MAX_ORDER)) as f64;
    let at = |dx: f64, dy: f64| {
        let (lon, lat) = sky(face, (x as f64 + dx) / n, (y as f64 + dy) / n);
        vector(lon, lat)
    };
    let middle = at(0.5, 0.5);
    let dot = |v: [f64; 3]| (0..3).map(|k| v[k] * middle[k]).sum::<f64>();
    let far = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)].map(|(dx, dy)| dot(at(dx, dy)));
    (middle, far.into_iter().fold(1.0, f64::min))
}

/// The place across an edge: as far beyond `edge` on the sphere as `inside` lies before it; all in radians.
pub fn beyond(inside: (f64, f64), edge: (f64, f64)) -> (f64, f64) {
    let (a, b) = (vector(inside.0, inside.1), vector(edge.0, edge.1));
    angles([0, 1, 2].map(|k| 2.0 * b[k] - a[k]))
}

/// A cell: its order (0 to 29) and number in the nested scheme (below 12·4^order).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Cell {
    /// Order: nside = 2^order.
    pub order: u8,
    /// Number in the nested scheme.
    pub pixel: u64,
}

impl Cell {
    /// The cell of `order` (at most [`MAX_ORDER`]) that a position in degrees lies in; `None` for a
    /// position that is none.
    pub fn of(ra_deg: f64, dec_deg: f64, order: u8) -> Option<Self> {
        if !ra_deg.is_finite() || !(-90.0..=90.0).contains(&dec_deg) {
            return None;
        }
        let order = order.min(MAX_ORDER);
        Some(Self { order, pixel: cell_at(order, ra_deg.to_radians(), dec_deg.to_radians()) })
    }
    /// The cell's centre: right ascension and declination, degrees.
    pub fn centre_deg(self) -> (f64, f64) {
        let (face, x, y) = face_xy(self.order, self.pixel);
        let n = (1u64 << self.order.min(MAX_ORDER)) as f64;
        let (lon, lat) = sky(face, (x as f64 + 0.5) / n, (y as f64 + 0.5) / n);
        (lon.to_degrees(), lat.to_degrees())
    }
    /// No point of a cell of `order` lies farther from its centre, radians.
    pub fn radius(order: u8) -> f64 {
        let n = (1u64 << order.min(MAX_ORDER)) as f64;
        // The cell whose centre lies at the border of the polar cap reaches farthest.
        let at = |z: f64, phi: f64| {
            let r = (1.0 - z * z).max(0.0).sqrt();
            [r * phi.cos(), r * phi.sin(), z]
        };
        let a = at(2.0 / 3.0, std::f64::consts::PI / (4.0 * n));
        let b = at(1.0 - (1.0 - 1.0 / n).powi(2) / 3.0, 0.0);
        1.001 * angle(&a, &b)
    }
    /// Whether the cell meets a cone; see the module's head for how exactly.
    pub fn meets(self, cone: &Cone) -> bool {
        cone.meets(self, &unit_vector(cone.ra_deg, cone.dec_deg), self.order.saturating_add(4).min(MAX_ORDER))
    }
    /// The four cells of the next order that make this one up.
    pub fn children(self) -> [Self; 4] {
        [0, 1, 2, 3].map(|i| Self { order: self.order + 1, pixel: self.pixel * 4 + i })
    }
}

fn angle(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    let d = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    2.0 * ((d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt() / 2.0).min(1.0).asin()
}

/// A circle on the sky, degrees.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Cone {
    /// Right ascension of the centre.
    pub ra_deg: f64,
    /// Declination of the centre.
    pub dec_deg: f64,
    /// Radius, inclusive.
    pub radius_deg: f64,
}

impl Cone {
    /// Whether a position lies in it.
    pub fn contains(&self, ra_deg: f64, dec_deg: f64) -> bool {
        ra_deg.is_finite()
            && dec_deg.is_finite()
            && angle(&unit_vector(self.ra_deg, self.dec_deg), &unit_vector(ra_deg, dec_deg)).to_degrees() <= self.radius_deg
    }
    /// Ranges of cells of `order`, both ends included, that the cone meets within a cell: to the sixteenth of the cell's side, and
    /// never one too few.
    pub fn ranges(&self, within: Cell, order: u8) -> Vec<[u64; 2]> {
        let mut out: Vec<[u64; 2]> = Vec::new();
        let deepest = within.order.saturating_add(4).min(order).min(MAX_ORDER);
        let mut stack = vec![within];
        while let Some(cell) = stack.pop() {
            if !cell.meets(self) {
                continue;
            }
            if cell.order < deepest {
                stack.extend(cell.children().into_iter().rev());
                continue;
            }
            let shift = 2 * u32::from(order.min(MAX_ORDER) - cell.order);
            let (first, last) = (cell.pixel << shift, ((cell.pixel + 1) << shift) - 1);
            match out.last_mut() {
                Some(before) if before[1] + 1 == first => before[1] = last,
                _ => out.push([first, last]),
            }
        }
        out
    }
    fn meets(&self, cell: Cell, centre: &[f64; 3], deepest: u8) -> bool {
        let (ra, dec) = cell.centre_deg();
        let (apart, radius) = (angle(centre, &unit_vector(ra, dec)), self.radius_deg.to_radians());
        if apart <= radius {
            return true;
        }
        if apart > radius + Cell::radius(cell.order) {
            return false;
        }
        cell.order >= deepest || cell.children().iter().any(|c| self.meets(*c, centre, deepest))
    }
}
