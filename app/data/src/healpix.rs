//! HEALPix cells in the nested scheme: which cell a position lies in, where a cell is, which cells
//! a cone meets.
//!
//! Only what partitioned catalogues need. The crate `cdshealpix` does far more and asks for eighty
//! crates and other features of shared ones, so it was not taken.
//!
//! Cells that meet a cone are found from circles around cells, going four levels down: never one
//! too few, now and then one too many (within a sixteenth of a cell of the cone's rim); rows are
//! filtered by their true distance afterwards.
//!
//! Górski et al. (2005), ApJ 622, 759.

use crate::crossmatch::unit_vector;

/// A cell: its order (0 to 29) and number in the nested scheme (below 12·4^order).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Cell {
    /// Order: nside = 2^order.
    pub order: u8,
    /// Number in the nested scheme.
    pub pixel: u64,
}

/// The deepest order whose numbers fit in 64 bits.
pub const MAX_ORDER: u8 = 29;

fn spread(v: u64) -> u64 {
    let mut x = v & 0xffff_ffff;
    x = (x | (x << 16)) & 0x0000_ffff_0000_ffff;
    x = (x | (x << 8)) & 0x00ff_00ff_00ff_00ff;
    x = (x | (x << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    x = (x | (x << 2)) & 0x3333_3333_3333_3333;
    (x | (x << 1)) & 0x5555_5555_5555_5555
}

fn gather(v: u64) -> u64 {
    let mut x = v & 0x5555_5555_5555_5555;
    x = (x | (x >> 1)) & 0x3333_3333_3333_3333;
    x = (x | (x >> 2)) & 0x0f0f_0f0f_0f0f_0f0f;
    x = (x | (x >> 4)) & 0x00ff_00ff_00ff_00ff;
    x = (x | (x >> 8)) & 0x0000_ffff_0000_ffff;
    (x | (x >> 16)) & 0xffff_ffff
}

impl Cell {
    /// The cell of `order` (at most [`MAX_ORDER`]) that a position in degrees lies in; `None` for a
    /// position that is none.
    pub fn of(ra_deg: f64, dec_deg: f64, order: u8) -> Option<Self> {
        if !ra_deg.is_finite() || !(-90.0..=90.0).contains(&dec_deg) {
            return None;
        }
        let order = order.min(MAX_ORDER);
        let nside = 1u64 << order;
        let n = nside as f64;
        let z = dec_deg.to_radians().sin();
        let quarter = (ra_deg.rem_euclid(360.0) / 90.0).min(4.0 - f64::EPSILON * 2.0);
        let (face, x, y) = if z.abs() <= 2.0 / 3.0 {
            let (a, b) = (n * (0.5 + quarter), n * z * 0.75);
            let (down, up) = ((a - b) as u64, (a + b) as u64);
            let (fd, fu) = (down >> order, up >> order);
            let face = match fd.cmp(&fu) {
                std::cmp::Ordering::Equal => (fd & 3) | 4,
                std::cmp::Ordering::Less => fd & 3,
                std::cmp::Ordering::Greater => (fu & 3) + 8,
            };
            (face, up & (nside - 1), nside - 1 - (down & (nside - 1)))
        } else {
            let column = (quarter as u64).min(3);
            let part = quarter - column as f64;
            // n·√(3(1−|z|)), without the loss of digits near the poles.
            let ring = n * dec_deg.to_radians().cos() / ((1.0 + z.abs()) / 3.0).sqrt();
            let a = ((part * ring) as u64).min(nside - 1);
            let b = (((1.0 - part) * ring) as u64).min(nside - 1);
            if z >= 0.0 { (column, nside - b - 1, nside - a - 1) } else { (column + 8, a, b) }
        };
        Some(Self { order, pixel: (face << (2 * order)) | spread(x) | (spread(y) << 1) })
    }
    /// The cell's centre: right ascension and declination, degrees.
    pub fn centre_deg(self) -> (f64, f64) {
        let nside = 1i64 << self.order;
        let n = nside as f64;
        let face = (self.pixel >> (2 * self.order)) as usize % 12;
        let inside = self.pixel & ((1u64 << (2 * self.order)) - 1);
        let (x, y) = (gather(inside) as i64, gather(inside >> 1) as i64);
        const ROW: [i64; 12] = [2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4];
        const COLUMN: [i64; 12] = [1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7];
        let ring = ROW[face] * nside - x - y - 1;
        // z and its complement, so that nothing is lost near the poles.
        let (in_ring, z, cos_dec) = if ring < nside || ring > 3 * nside {
            let in_ring = if ring < nside { ring } else { 4 * nside - ring };
            let low = (in_ring as f64 / n).powi(2) / 3.0;
            (in_ring, if ring < nside { 1.0 - low } else { low - 1.0 }, (low * (2.0 - low)).sqrt())
        } else {
            let z = (2 * nside - ring) as f64 * 2.0 / (3.0 * n);
            (nside, z, (1.0 - z * z).sqrt())
        };
        let eighths = (COLUMN[face] * in_ring + x - y).rem_euclid(8 * in_ring);
        (eighths as f64 / in_ring as f64 * 45.0, z.atan2(cos_dec).to_degrees())
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
