//! HEALPix in the nested order: from a cell or a place in it to the sky and back, to order 29.
//!
//! The sphere is cut into twelve faces; a place on a face has `x` to its north-east and `y` to its north-west corner, both 0 to 1, and
//! a cell's number interleaves the bits of both. Formulas: Górski et al. 2005 (ApJ 622, 759), section 5; nested numbers: their 4.1.
//! Choice not taken: a crate for it: the sky needs two functions of what those hold. Cost: about 40 ns a place.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use crate::sky::{angles, vector};

/// The finest order whose cells have numbers of 64 bits.
pub const MAX_ORDER: u8 = 29;

/// Ring of a face's northern corner counted from the pole, in quarters of the way to the equator.
const RING: [f64; 12] = [2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0, 4.0, 4.0, 4.0, 4.0];
/// Longitude of a face's middle in eighths of the circle.
const LON: [f64; 12] = [1.0, 3.0, 5.0, 7.0, 0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0];

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn close(a: (f64, f64), b: [f64; 2]) -> bool {
        let (p, q) = (vector(a.0, a.1), vector(b[0].to_radians(), b[1].to_radians()));
        (0..3).all(|k| (p[k] - q[k]).abs() < 1e-11)
    }

    #[test]
    fn cells_lie_where_astropy_has_them() {
        let record: serde_json::Value = serde_json::from_str(include_str!("../../../tests/peers/healpix_tiles.json")).unwrap();
        let cells = record["cells"].as_array().unwrap();
        assert!(cells.len() > 80);
        for c in cells {
            let (order, cell) = (c[0].as_u64().unwrap() as u8, c[1].as_u64().unwrap());
            let at = [c[2].as_f64().unwrap(), c[3].as_f64().unwrap()];
            let (face, x, y) = face_xy(order, cell);
            assert_eq!(cell_of(order, face, x, y), cell);
            let n = (1u64 << order) as f64;
            let middle = sky(face, (x as f64 + 0.5) / n, (y as f64 + 0.5) / n);
            assert!(close(middle, at), "{order}/{cell}: {middle:?} {at:?}");
            assert_eq!(cell_at(order, at[0].to_radians(), at[1].to_radians()), cell, "{order}/{cell} {at:?}");
            let corners: Vec<[f64; 2]> = serde_json::from_value(c[4].clone()).unwrap();
            let mine = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
                .map(|(dx, dy)| sky(face, (x as f64 + dx) / n, (y as f64 + dy) / n));
            for corner in corners {
                assert!(mine.iter().any(|m| close(*m, corner)), "{order}/{cell}: {corner:?} is none of {mine:?}");
            }
        }
    }

    #[test]
    fn a_place_on_a_face_turns_back() {
        for face in 0..12 {
            for (x, y) in [(0.5, 0.5), (0.01, 0.97), (0.97, 0.01), (0.99, 0.99), (0.01, 0.01), (0.3, 0.8)] {
                let (lon, lat) = sky(face, x, y);
                let (f, u, v) = place(lon, lat);
                assert!(f == face && (u - x).abs() < 1e-9 && (v - y).abs() < 1e-9, "{face} {x} {y}: {f} {u} {v}");
            }
        }
    }

    #[test]
    fn a_cell_lies_within_its_cap() {
        for (order, cell) in [(0, 4), (1, 0), (3, 357), (7, 96_740)] {
            let (middle, cos) = cap(order, cell);
            let (face, x, y) = face_xy(order, cell);
            let n = (1u64 << order) as f64;
            for i in 0..=20 {
                for (dx, dy) in [(f64::from(i) / 20.0, 0.0), (0.0, f64::from(i) / 20.0), (1.0, f64::from(i) / 20.0)] {
                    let (lon, lat) = sky(face, (x as f64 + dx) / n, (y as f64 + dy) / n);
                    let v = vector(lon, lat);
                    assert!((0..3).map(|k| v[k] * middle[k]).sum::<f64>() > cos - 0.02 * (1.0 - cos) - 1e-12);
                }
            }
        }
    }
}
