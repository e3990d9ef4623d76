//! Projections of the sky: a field around a centre, or the whole of it. Formulas: Snyder 1987 (USGS PP 1395).

use std::f64::consts::{FRAC_PI_2, PI};

use serde::{Deserialize, Serialize};

/// How the sphere becomes flat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Projection {
    /// Gnomonic around a centre: up to 90° away, great circles are straight.
    #[default]
    Field,
    /// The whole sky, equal areas.
    Mollweide,
    /// The whole sky, modified azimuthal.
    Aitoff,
}

impl std::str::FromStr for Projection {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "field" => Ok(Self::Field),
            "mollweide" => Ok(Self::Mollweide),
            "aitoff" => Ok(Self::Aitoff),
            other => Err(format!("no projection is named '{other}': there are field, mollweide, aitoff")),
        }
    }
}

impl Projection {
    /// As a recipe says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::Mollweide => "mollweide",
            Self::Aitoff => "aitoff",
        }
    }
}

/// A projection with its centre: plane from sky and back. Angles in radians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flat {
    /// How.
    pub kind: Projection,
    /// Right ascension of the middle.
    pub ra0: f64,
    /// Declination of the middle; 0 on the whole sky.
    pub dec0: f64,
}

impl Flat {
    /// A projection with its centre in degrees; the whole sky lies around the equator whatever the centre's declination.
    pub fn new(kind: Projection, [ra, dec]: [f64; 2]) -> Self {
        let dec0 = if kind == Projection::Field { dec.to_radians() } else { 0.0 };
        Self { kind, ra0: ra.to_radians(), dec0 }
    }
    /// Degrees east and north of the centre on the plane, from degrees on the sky.
    pub fn offsets(&self, ra: f64, dec: f64) -> [f64; 2] {
        let [x, y] = self.plane(ra.to_radians(), dec.to_radians());
        [-x.to_degrees(), y.to_degrees()]
    }
    /// Degrees of right ascension (0 to 360) and declination from degrees east and north of the centre on the plane.
    pub fn sky_of_offsets(&self, [east, north]: [f64; 2]) -> Option<(f64, f64)> {
        self.sky([-east.to_radians(), north.to_radians()]).map(|(ra, dec)| (ra.to_degrees(), dec.to_degrees()))
    }
    /// Plane from sky; x grows to the west, so that east is at the left.
    pub fn plane(&self, ra: f64, dec: f64) -> [f64; 2] {
        let l = wrap(ra - self.ra0);
        match self.kind {
            Projection::Mollweide => {
                if !(l.is_finite() && dec.is_finite()) {
                    return [f64::NAN; 2];
                }
                let mut t = dec;
                if dec.abs() < FRAC_PI_2 - 1e-9 {
                    for _ in 0..12 {
                        let f = 2.0 * t + (2.0 * t).sin() - PI * dec.sin();
                        let step = f / (2.0 + 2.0 * (2.0 * t).cos()).max(1e-9);
                        t -= step;
                        if step.abs() < 1e-12 {
                            break;
                        }
                    }
                }
                [-(8f64.sqrt() / PI) * l * t.cos(), 2f64.sqrt() * t.sin()]
            }
            Projection::Aitoff => {
                let a = (dec.cos() * (l / 2.0).cos()).clamp(-1.0, 1.0).acos();
                let s = if a.abs() < 1e-12 { 1.0 } else { a.sin() / a };
                [-2.0 * dec.cos() * (l / 2.0).sin() / s, dec.sin() / s]
            }
            Projection::Field => {
                let c = self.dec0.sin() * dec.sin() + self.dec0.cos() * dec.cos() * l.cos();
                if c.is_nan() || c <= 1e-3 {
                    return [f64::NAN; 2];
                }
                [-dec.cos() * l.sin() / c, (self.dec0.cos() * dec.sin() - self.dec0.sin() * dec.cos() * l.cos()) / c]
            }
        }
    }
    /// Sky from plane, where the plane has one.
    pub fn sky(&self, [x, y]: [f64; 2]) -> Option<(f64, f64)> {
        let x = -x;
        let (l, dec) = match self.kind {
            Projection::Mollweide => {
                let t = (y / 2f64.sqrt()).clamp(-1.0, 1.0).asin();
                let l = PI * x / (8f64.sqrt() * t.cos().max(1e-12));
                if l.abs() > PI + 1e-9 || y.abs() > 2f64.sqrt() {
                    return None;
                }
                (l, ((2.0 * t + (2.0 * t).sin()) / PI).clamp(-1.0, 1.0).asin())
            }
            Projection::Aitoff => {
                // Newton in two dimensions from a good start; a few steps reach 1e-10 inside the outline.
                if (x / PI).powi(2) + (y / FRAC_PI_2).powi(2) > 1.0 {
                    return None;
                }
                let (mut l, mut dec) = (x, y);
                for _ in 0..30 {
                    let at = |l: f64, d: f64| {
                        let p = Self { kind: Projection::Aitoff, ra0: 0.0, dec0: 0.0 }.plane(l, d);
                        [-p[0], p[1]]
                    };
                    let p = at(l, dec);
                    let (ex, ey) = (p[0] - x, p[1] - y);
                    if ex.abs() + ey.abs() < 1e-11 {
                        break;
                    }
                    let h = 1e-6;
                    let (pl, pd) = (at(l + h, dec), at(l, dec + h));
                    let (a, b, c, d) = ((pl[0] - p[0]) / h, (pd[0] - p[0]) / h, (pl[1] - p[1]) / h, (pd[1] - p[1]) / h);
                    let det = a * d - b * c;
                    if det.abs() < 1e-9 {
                        break;
                    }
                    l = (l - (d * ex - b * ey) / det).clamp(-PI, PI);
                    dec = (dec - (a * ey - c * ex) / det).clamp(-FRAC_PI_2, FRAC_PI_2);
                }
                (l, dec)
            }
            Projection::Field => {
                let rho = x.hypot(y);
                let c = rho.atan();
                if rho == 0.0 {
                    (0.0, self.dec0)
                } else {
                    let dec = (c.cos() * self.dec0.sin() + y * c.sin() * self.dec0.cos() / rho).clamp(-1.0, 1.0).asin();
                    ((x * c.sin()).atan2(rho * self.dec0.cos() * c.cos() - y * self.dec0.sin() * c.sin()), dec)
                }
            }
        };
        Some(((self.ra0 + l).rem_euclid(2.0 * PI), dec))
    }
}

/// An angle in radians between −π and π.
pub fn wrap(l: f64) -> f64 {
    (l + PI).rem_euclid(2.0 * PI) - PI
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projections_turn_back() {
        for kind in [Projection::Mollweide, Projection::Aitoff, Projection::Field] {
            let map = Flat { kind, ra0: 1.1, dec0: if kind == Projection::Field { 0.3 } else { 0.0 } };
            for (ra, dec) in [(1.1, 0.3), (1.2, 0.1), (0.9, 0.5), (1.4, -0.2)] {
                let (a, d) = map.sky(map.plane(ra, dec)).expect("inside");
                assert!(wrap(a - ra).abs() < 1e-8 && (d - dec).abs() < 1e-8, "{kind:?} {ra} {dec} gave {a} {d}");
            }
            // East is at the left.
            assert!(map.plane(1.2, map.dec0)[0] < 0.0);
        }
        // Snyder's table: Mollweide at 45° of latitude has y = 0.59204 * 2 ** 0.5.
        let y = Flat::new(Projection::Mollweide, [0.0, 0.0]).plane(0.0, PI / 4.0)[1];
        assert!((y / 2f64.sqrt() - 0.59204).abs() < 1e-4, "{y}");
    }

    #[test]
    fn the_field_turns_back_into_the_sky() {
        for centre in [[10.0, 41.0], [359.9, -89.0], [0.0, 90.0]] {
            let flat = Flat::new(Projection::Field, centre);
            for offset in [[0.0, 0.0], [0.3, -0.2], [-5.0, 4.0], [40.0, 40.0]] {
                let (ra, dec) = flat.sky_of_offsets(offset).expect("on the sky");
                let back = flat.offsets(ra, dec);
                assert!((0..2).all(|i| (back[i] - offset[i]).abs() < 1e-9), "{centre:?} {offset:?} {back:?}");
            }
        }
    }

    #[test]
    fn what_is_not_on_the_plane_has_no_place() {
        let field = Flat::new(Projection::Field, [0.0, 0.0]);
        assert!(field.plane(PI, 0.0)[0].is_nan() && field.offsets(f64::NAN, 0.0)[0].is_nan());
        for kind in [Projection::Mollweide, Projection::Aitoff] {
            let all = Flat::new(kind, [180.0, 0.0]);
            assert!(all.sky([5.0, 0.0]).is_none() && all.offsets(f64::NAN, 10.0)[0].is_nan());
        }
    }
}
