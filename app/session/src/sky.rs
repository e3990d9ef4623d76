//! Projections of the sky in one of three frames: a field around a centre, a globe, or the whole of it.
//!
//! A place is turned into the frame first and then made flat. Centres are told in the frame's own longitude and latitude.
//! Formulas: Snyder 1987 (USGS PP 1395); of Hammer's, Calabretta and Greisen 2002 (A&A 395, 1077), section 5.3.5. Frames: galactic
//! as ESA 1997 (Hipparcos, 1.5.3), ecliptic by the mean obliquity of J2000 (IAU 2006, 84381.406″); both from ICRS directly, without
//! the frame bias of 0.02″. Choice not taken: a general library of reference systems, for three rotations that never change.

use std::f64::consts::{FRAC_PI_2, PI};

use serde::{Deserialize, Serialize};

pub use asterism_data::healpix::{angles, vector};

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
    /// The whole sky, equal areas in Aitoff's outline: what FITS calls AIT.
    Hammer,
    /// A globe seen from far away: half the sky (FITS: SIN).
    Globe,
}

/// Which way is up, and where longitude starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkyFrame {
    /// ICRS right ascension and declination.
    #[default]
    Equatorial,
    /// Galactic longitude and latitude.
    Galactic,
    /// Ecliptic longitude and latitude of J2000.
    Ecliptic,
}

impl SkyFrame {
    /// All of them, in the order of a menu.
    pub const ALL: [Self; 3] = [Self::Equatorial, Self::Galactic, Self::Ecliptic];

    /// As a recipe says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Equatorial => "equatorial",
            Self::Galactic => "galactic",
            Self::Ecliptic => "ecliptic",
        }
    }

    /// Rows are the frame's axes in ICRS.
    fn matrix(self) -> Option<[[f64; 3]; 3]> {
        match self {
            Self::Equatorial => None,
            Self::Galactic => Some([
                [-0.054_875_560_416_215_4, -0.873_437_090_234_885_0, -0.483_835_015_548_713_2],
                [0.494_109_427_875_583_7, -0.444_829_629_960_011_2, 0.746_982_244_497_218_9],
                [-0.867_666_149_019_004_7, -0.198_076_373_431_201_5, 0.455_983_776_175_066_9],
            ]),
            Self::Ecliptic => {
                let (s, c) = (84_381.406 / 3600.0_f64).to_radians().sin_cos();
                Some([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]])
            }
        }
    }

    /// Longitude and latitude in the frame of a place in ICRS, radians.
    pub fn of_icrs(self, ra: f64, dec: f64) -> (f64, f64) {
        self.matrix().map_or((ra, dec), |m| turned(&m, ra, dec, false))
    }

    /// The place in ICRS of a longitude and latitude in the frame, radians.
    pub fn to_icrs(self, lon: f64, lat: f64) -> (f64, f64) {
        self.matrix().map_or((lon, lat), |m| turned(&m, lon, lat, true))
    }
}

impl std::str::FromStr for SkyFrame {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|f| f.word() == s);
        known.ok_or_else(|| format!("no frame of the sky is named '{s}': there are equatorial, galactic, ecliptic"))
    }
}

fn turned(m: &[[f64; 3]; 3], lon: f64, lat: f64, back: bool) -> (f64, f64) {
    let v = vector(lon, lat);
    let at = |i: usize| (0..3).map(|k| if back { m[k][i] } else { m[i][k] } * v[k]).sum::<f64>();
    angles([at(0), at(1), at(2)])
}

impl std::str::FromStr for Projection {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "field" => Ok(Self::Field),
            "mollweide" => Ok(Self::Mollweide),
            "aitoff" => Ok(Self::Aitoff),
            "hammer" => Ok(Self::Hammer),
            "globe" => Ok(Self::Globe),
            other => Err(format!("no projection is named '{other}': there are field, globe, mollweide, aitoff, hammer")),
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
            Self::Hammer => "hammer",
            Self::Globe => "globe",
        }
    }
    /// Whether all of the sky is on the plane.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Mollweide | Self::Aitoff | Self::Hammer)
    }
}

/// A projection with its centre: plane from sky and back. Angles in radians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flat {
    /// How.
    pub kind: Projection,
    /// In which frame.
    pub frame: SkyFrame,
    /// Longitude of the middle in the frame (right ascension in the equatorial one).
    pub ra0: f64,
    /// Latitude of the middle in the frame; 0 on the whole sky.
    pub dec0: f64,
}

impl Flat {
    /// A projection in the equatorial frame with its centre in degrees; the whole sky lies around the equator whatever the centre's
    /// declination.
    pub fn new(kind: Projection, centre: [f64; 2]) -> Self {
        Self::in_frame(kind, SkyFrame::Equatorial, centre)
    }
    /// The same in any frame; the centre in its own longitude and latitude, degrees.
    pub fn in_frame(kind: Projection, frame: SkyFrame, [lon, lat]: [f64; 2]) -> Self {
        let dec0 = if kind.is_whole() { 0.0 } else { lat.to_radians() };
        Self { kind, frame, ra0: lon.to_radians(), dec0 }
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
    /// Plane from ICRS; x grows to the west, so that east is at the left.
    pub fn plane(&self, ra: f64, dec: f64) -> [f64; 2] {
        let (lon, lat) = self.frame.of_icrs(ra, dec);
        self.plane_of(lon, lat)
    }
    /// Plane from the frame's own longitude and latitude.
    pub fn plane_of(&self, lon: f64, dec: f64) -> [f64; 2] {
        let l = wrap(lon - self.ra0);
        match self.kind {
            Projection::Mollweide => {
                if !(l.is_finite() && dec.is_finite()) {
                    return [f64::NAN; 2];
                }
                // With the angle from the pole, where the equation has a triple root: 2ψ − sin 2ψ = π (1 − sin |φ|).
                let far = PI * 2.0 * ((FRAC_PI_2 - dec.abs()) / 2.0).sin().powi(2);
                let mut from_pole = (0.75 * far).cbrt();
                for _ in 0..12 {
                    let (s, c) = from_pole.sin_cos();
                    let slope = 4.0 * s * s;
                    if slope < 1e-300 {
                        break;
                    }
                    let step = (2.0 * (from_pole - s * c) - far) / slope;
                    from_pole -= step;
                    if step.abs() < 1e-14 {
                        break;
                    }
                }
                [-(8f64.sqrt() / PI) * l * from_pole.sin(), 2f64.sqrt() * from_pole.cos().copysign(dec)]
            }
            Projection::Aitoff => {
                let a = (dec.cos() * (l / 2.0).cos()).clamp(-1.0, 1.0).acos();
                let s = if a.abs() < 1e-12 { 1.0 } else { a.sin() / a };
                [-2.0 * dec.cos() * (l / 2.0).sin() / s, dec.sin() / s]
            }
            Projection::Hammer => {
                let g = (2.0 / (1.0 + dec.cos() * (l / 2.0).cos())).sqrt();
                [-2.0 * g * dec.cos() * (l / 2.0).sin(), g * dec.sin()]
            }
            Projection::Globe => {
                let c = self.dec0.sin() * dec.sin() + self.dec0.cos() * dec.cos() * l.cos();
                if c.is_nan() || c < 0.0 {
                    return [f64::NAN; 2];
                }
                // The sine of a small difference is exact where a difference of sines is not.
                let north = (dec - self.dec0).sin() + 2.0 * self.dec0.sin() * dec.cos() * (l / 2.0).sin().powi(2);
                [-dec.cos() * l.sin(), north]
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
    /// ICRS from plane, where the plane has a place of the sky.
    pub fn sky(&self, p: [f64; 2]) -> Option<(f64, f64)> {
        self.sky_in_frame(p).map(|(lon, lat)| self.frame.to_icrs(lon, lat))
    }
    /// The frame's own longitude and latitude from plane.
    pub fn sky_in_frame(&self, [x, y]: [f64; 2]) -> Option<(f64, f64)> {
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
                        let p = Self::new(Projection::Aitoff, [0.0, 0.0]).plane_of(l, d);
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
            Projection::Hammer => {
                let z2 = 1.0 - (x / 4.0).powi(2) - (y / 2.0).powi(2);
                if z2.is_nan() || z2 < 0.5 - 1e-12 {
                    return None;
                }
                let z = z2.sqrt();
                (2.0 * (z * x / 2.0).atan2(2.0 * z2 - 1.0), (y * z).clamp(-1.0, 1.0).asin())
            }
            Projection::Globe => {
                let rho2 = x * x + y * y;
                if rho2 > 1.0 {
                    return None;
                }
                let c = (1.0 - rho2).sqrt();
                let dec = (c * self.dec0.sin() + y * self.dec0.cos()).clamp(-1.0, 1.0).asin();
                (x.atan2(c * self.dec0.cos() - y * self.dec0.sin()), dec)
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
        let kinds = [Projection::Mollweide, Projection::Aitoff, Projection::Hammer, Projection::Field, Projection::Globe];
        for (kind, frame) in kinds.into_iter().flat_map(|k| SkyFrame::ALL.map(|f| (k, f))) {
            let (lon, lat) = frame.of_icrs(1.1, 0.3);
            let map = Flat::in_frame(kind, frame, [lon.to_degrees(), lat.to_degrees()]);
            for (ra, dec) in [(1.1, 0.3), (1.2, 0.1), (0.9, 0.5), (1.4, -0.2)] {
                let (a, d) = map.sky(map.plane(ra, dec)).expect("inside");
                assert!(wrap(a - ra).abs() < 1e-8 && (d - dec).abs() < 1e-8, "{kind:?} {ra} {dec} gave {a} {d}");
            }
            // East is at the left.
            assert!(map.plane_of(map.ra0 + 0.1, map.dec0)[0] < 0.0);
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
        for kind in [Projection::Mollweide, Projection::Aitoff, Projection::Hammer] {
            let all = Flat::new(kind, [180.0, 0.0]);
            assert!(all.sky([5.0, 0.0]).is_none() && all.offsets(f64::NAN, 10.0)[0].is_nan());
        }
    }

    #[test]
    fn frames_and_planes_are_astropys() {
        let record: serde_json::Value = serde_json::from_str(include_str!("../../../tests/peers/sky.json")).expect("the record");
        let list = |v: &serde_json::Value| -> Vec<Option<[f64; 2]>> { serde_json::from_value(v.clone()).expect("pairs") };
        let places: Vec<[f64; 2]> = list(&record["places"]).into_iter().flatten().collect();
        for (name, frame) in [("galactic", SkyFrame::Galactic), ("ecliptic", SkyFrame::Ecliptic)] {
            for (p, q) in places.iter().zip(list(&record[name])) {
                let q = q.expect("everywhere");
                let (lon, lat) = frame.of_icrs(p[0].to_radians(), p[1].to_radians());
                let (a, b) = (vector(lon, lat), vector(q[0].to_radians(), q[1].to_radians()));
                let off = (0..3).map(|k| (a[k] - b[k]).powi(2)).sum::<f64>().sqrt().to_degrees() * 3600.0;
                // Astropy goes by FK5 and by the frame bias: 0.03″ at most.
                assert!(off < 0.05, "{name} {p:?}: {off}″");
                let back = frame.to_icrs(lon, lat);
                assert!(wrap(back.0 - p[0].to_radians()).abs() * p[1].to_radians().cos() < 1e-12);
            }
        }
        for (name, wanted) in record["planes"].as_object().expect("planes") {
            let mut words = name.split(' ');
            let kind: Projection = words.next().and_then(|w| w.parse().ok()).expect("a projection");
            let centre: Vec<f64> = words.map(|w| w.parse().expect("degrees")).collect();
            let flat = Flat::new(kind, [centre[0], centre[1]]);
            let mut seen = 0;
            for (p, q) in places.iter().zip(list(wanted)) {
                // Half the sky is behind a globe or a field; the seam belongs to both sides.
                let (Some(q), seam) = (q, kind.is_whole() && (wrap((p[0] - centre[0]).to_radians()).abs() - PI).abs() < 1e-9)
                else {
                    continue;
                };
                let at = flat.offsets(p[0], p[1]);
                if seam || at[0].is_nan() {
                    continue;
                }
                seen += 1;
                let size = q[0].hypot(q[1]).max(1.0);
                assert!((0..2).all(|i| (at[i] - q[i]).abs() < 1e-8 * size), "{name} {p:?}: {at:?} {q:?}");
            }
            assert!(seen >= 2, "{name} was checked at {seen} places");
        }
    }
}
