//! Places on faces and cells of HEALPix against astropy-healpix' recorded ones.
#![allow(clippy::unwrap_used)]

use asterism_data::healpix::{Cell, Cone, cap, cell_at, cell_of, face_xy, place, sky, vector};

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
        let mine =
            [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)].map(|(dx, dy)| sky(face, (x as f64 + dx) / n, (y as f64 + dy) / n));
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

#[test]
fn ranges_of_a_cone_hold_every_cell_with_a_point_of_it() {
    let cone = Cone { ra_deg: 56.75, dec_deg: 24.1, radius_deg: 1.5 };
    for within in [Cell::of(56.75, 24.1, 2).unwrap(), Cell::of(56.75, 24.1, 5).unwrap(), Cell::of(200.0, -70.0, 3).unwrap()] {
        let ranges = cone.ranges(within, 29);
        let mut met = 0;
        for i in 0..4000 {
            let (a, b) = (f64::from(i % 80) / 40.0 - 1.0, f64::from(i / 80) / 25.0 - 1.0);
            let (ra, dec) = (56.75 + 2.0 * a, 24.1 + 2.0 * b);
            if cone.contains(ra, dec) && Cell::of(ra, dec, within.order) == Some(within) {
                met += 1;
                let cell = Cell::of(ra, dec, 29).unwrap().pixel;
                assert!(ranges.iter().any(|r| r[0] <= cell && cell <= r[1]), "{within:?}: {ra} {dec}");
            }
        }
        assert_eq!(met > 0, !ranges.is_empty(), "{within:?}");
        // Not more than the cone with a rim of a sixteenth of a cell: far less than the whole of a large cell.
        let cells: u64 = ranges.iter().map(|r| r[1] - r[0] + 1).sum();
        let whole = 1u64 << (2 * (29 - u32::from(within.order)));
        assert!(cells <= whole && (within.order > 2 || cells < whole / 4), "{within:?}: {cells} of {whole}");
    }
}
