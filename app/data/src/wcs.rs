//! World coordinates of images: pixel to sky and back.
//!
//! The steps are those of the standard: pixel → (detector table, SIP, lookup table) → linear matrix
//! (CDi_j, PCi_j × CDELTi, or CDELTi and CROTA2) → (TPV polynomial) → projection → native sphere →
//! celestial sphere → ICRS. The way back is closed except for the polynomials, which are undone by
//! Newton's method; SIP's own inverse (AP, BP) is not used, as it is often missing and never exact.
//!
//! The crate `wcs` was not taken: it turns coordinates as if LONPOLE were always at its default,
//! takes the axes in the order longitude, latitude, has no TPV, no lookup tables and no frames, and
//! slices CTYPE without looking at its length.
//!
//! Standards: Greisen & Calabretta 2002 (paper I), Calabretta & Greisen 2002 (paper II), Shupe et
//! al. 2005 (SIP), the TPV registration, Lasker et al. 1990 (plate solutions, which count before
//! the linear keywords where a header has both, as in wcslib); frames after Hipparcos vol. 1 §1.5.3, Aoki et al. 1983
//! (FK4) and Lieske et al. 1977 (precession).

use std::collections::HashMap;

const D2R: f64 = std::f64::consts::PI / 180.0;
const R2D: f64 = 180.0 / std::f64::consts::PI;

/// Pixel to sky and back. Pixels are 0-based with the centre of the first at (0, 0); sky is ICRS
/// degrees.
#[derive(Clone, Debug)]
pub struct Wcs {
    crpix: [f64; 2],
    /// Row 0 gives the longitude axis, row 1 the latitude axis, degrees a pixel.
    cd: [[f64; 2]; 2],
    inverse: [[f64; 2]; 2],
    projection: Projection,
    pole: Pole,
    frame: Frame,
    sip: Option<[Vec<(i32, i32, f64)>; 2]>,
    tpv: Option<[Vec<f64>; 2]>,
    detector: [Option<Lookup>; 2],
    lookup: [Option<Lookup>; 2],
    plate: Option<Plate>,
}

/// The solution of a scanned photographic plate (Digitized Sky Survey): pixels to millimetres on
/// the plate, and two polynomials of them to standard coordinates.
#[derive(Clone, Debug)]
struct Plate {
    corner: [f64; 2],
    pixel_um: [f64; 2],
    centre_um: [f64; 2],
    x: [f64; 13],
    y: [f64; 13],
}

impl Plate {
    fn from_keys(keys: &Keys) -> Option<(Self, f64, f64)> {
        let amd = |name: &str| -> Option<[f64; 13]> {
            keys.number(&format!("{name}1"))?;
            Some(std::array::from_fn(|i| keys.number(&format!("{name}{}", i + 1)).unwrap_or(0.0)))
        };
        let both = |a: &str, b: &str| Some([keys.number(a)?, keys.number(b)?]);
        let plate = Self {
            corner: both("CNPIX1", "CNPIX2")?,
            pixel_um: both("XPIXELSZ", "YPIXELSZ")?,
            centre_um: both("PPO3", "PPO6")?,
            x: amd("AMDX")?,
            y: amd("AMDY")?,
        };
        let sexagesimal = |a: &str, b: &str, c: &str| Some(keys.number(a)? + keys.number(b)? / 60.0 + keys.number(c)? / 3600.0);
        let ra = sexagesimal("PLTRAH", "PLTRAM", "PLTRAS")? * 15.0;
        let dec = sexagesimal("PLTDECD", "PLTDECM", "PLTDECS")?;
        let sign = if keys.text("PLTDECSN").starts_with('-') { -1.0 } else { 1.0 };
        Some((plate, ra, sign * dec))
    }

    /// Standard coordinates, degrees, of a 1-based pixel.
    fn at(&self, p: [f64; 2]) -> [f64; 2] {
        let x = (self.centre_um[0] - (self.corner[0] + p[0] - 0.5) * self.pixel_um[0]) / 1000.0;
        let y = ((self.corner[1] + p[1] - 0.5) * self.pixel_um[1] - self.centre_um[1]) / 1000.0;
        let sum = |c: &[f64; 13], x: f64, y: f64| {
            let r2 = x * x + y * y;
            let terms = [x, y, 1.0, x * x, x * y, y * y, r2, x * x * x, x * x * y, x * y * y, y * y * y, x * r2, x * r2 * r2];
            c.iter().zip(terms).map(|(c, t)| c * t).sum::<f64>() / 3600.0
        };
        [sum(&self.x, x, y), sum(&self.y, y, x)]
    }

    /// Reference pixel and matrix near the plate's middle.
    fn linear(&self) -> ([f64; 2], [[f64; 2]; 2]) {
        let p = [0, 1].map(|a| self.centre_um[a] / self.pixel_um[a] - self.corner[a] + 0.5);
        let (o, u, v) = (self.at(p), self.at([p[0] + 1.0, p[1]]), self.at([p[0], p[1] + 1.0]));
        (p, [[u[0] - o[0], v[0] - o[0]], [u[1] - o[1], v[1] - o[1]]])
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Projection {
    Tan,
    Sin { xi: f64, eta: f64 },
    Arc,
    Zea,
    Stg,
    Zpn(Vec<f64>),
    Car,
    Cea { lambda: f64 },
    Mer,
    Sfl,
    Par,
    Mol,
    Ait,
    Hpx,
    Linear { lon: f64, lat: f64 },
}

/// Celestial position of the native pole, and native longitude of the celestial pole, radians.
#[derive(Clone, Copy, Debug)]
struct Pole {
    lon: f64,
    lat: f64,
    phi: f64,
}

#[derive(Clone, Copy, Debug)]
enum Frame {
    Icrs,
    Galactic,
    /// Any rotation from ICRS (rows are the frame's axes).
    Rotated([[f64; 3]; 3], &'static str),
    Fk4,
}

/// ICRS to galactic, by way of FK5 as the galactic system is defined (astropy's values).
const GALACTIC: [[f64; 3]; 3] = [
    [-0.054_875_657_712_592_18, -0.873_437_051_955_616_2, -0.483_835_073_616_715_6],
    [0.494_109_437_192_726_65, -0.444_829_721_223_295_7, 0.746_982_183_986_667_7],
    [-0.867_666_137_559_658_5, -0.198_076_337_273_000_56, 0.455_983_813_687_302_06],
];
/// ICRS to FK5 J2000: the 0.02″ by which they differ.
const FK5: [[f64; 3]; 3] = [
    [0.999_999_999_999_992_8, -1.110_223_329_055_109_5e-7, -4.411_804_498_096_774_8e-8],
    [1.110_223_373_847_502_3e-7, 0.999_999_999_999_989_1, 9.647_792_246_010_133e-8],
    [4.411_803_429_929_63e-8, -9.647_792_745_026_09e-8, 0.999_999_999_999_994_3],
];
/// FK4 B1950 to FK5 J2000, positions.
const FK4: [[f64; 3]; 3] = [
    [0.999_925_679_495_687_7, -0.011_181_483_220_466_2, -0.004_859_003_815_359_2],
    [0.011_181_483_239_171_7, 0.999_937_484_893_313_5, -0.000_027_162_594_714_2],
    [0.004_859_003_772_314_3, -0.000_027_170_293_744, 0.999_988_194_602_374_2],
];
/// E-terms of aberration at B1950.
const E_TERMS: [f64; 3] = [-1.625_57e-6, -0.319_19e-6, -0.138_43e-6];

/// A distortion table on a coarse grid, in pixels.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    pub(crate) shape: [usize; 2],
    pub(crate) crpix: [f64; 2],
    pub(crate) crval: [f64; 2],
    pub(crate) cdelt: [f64; 2],
    pub(crate) values: std::sync::Arc<Vec<f64>>,
}

impl Lookup {
    /// Correction at a 1-based pixel, bilinear, held constant outside.
    fn at(&self, pixel: [f64; 2]) -> f64 {
        let place = |a: usize| {
            let n = self.shape[1 - a];
            let v = (pixel[a] - self.crval[a]) / self.cdelt[a] + self.crpix[a] - 1.0;
            let v = v.clamp(0.0, n.saturating_sub(1) as f64);
            let low = (v as usize).min(n.saturating_sub(2));
            (low, v - low as f64)
        };
        let ((x, u), (y, v)) = (place(0), place(1));
        let [rows, columns] = self.shape;
        let value = |x: usize, y: usize| self.values.get(y.min(rows - 1) * columns + x.min(columns - 1)).copied().unwrap_or(0.0);
        (value(x, y) * (1.0 - u) + value(x + 1, y) * u) * (1.0 - v) + (value(x, y + 1) * (1.0 - u) + value(x + 1, y + 1) * u) * v
    }
}

struct Keys<'a>(HashMap<&'a str, &'a str>);

impl Keys<'_> {
    fn number(&self, key: &str) -> Option<f64> {
        let text = self.0.get(key)?.trim();
        text.parse().ok().or_else(|| text.replace(['D', 'd'], "E").parse().ok()).filter(|v: &f64| v.is_finite())
    }
    fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", |v| v.trim())
    }
}

impl Wcs {
    /// From header cards (keyword, value as text, comment), as in [`Image::header`](crate::Image).
    /// `None` when axes 1 and 2 are not a longitude and a latitude in a projection that is known.
    pub fn from_header(cards: &[(String, String, String)]) -> Option<Self> {
        let mut map = HashMap::new();
        for (key, value, _) in cards {
            map.entry(key.as_str()).or_insert(value.as_str());
        }
        let keys = Keys(map);
        let split = |axis: usize| {
            let ctype = keys.text(&format!("CTYPE{axis}")).to_ascii_uppercase();
            let kind = ctype.split('-').next().unwrap_or("").to_owned();
            let code = ctype.split('-').filter(|s| !s.is_empty()).nth(1).unwrap_or("").to_owned();
            (kind, code, ctype.ends_with("-SIP"))
        };
        let is_lon = |kind: &str| matches!(kind, "RA" | "GLON" | "ELON" | "SLON");
        let is_lat = |kind: &str| matches!(kind, "DEC" | "GLAT" | "ELAT" | "SLAT");
        let (first, second) = (split(1), split(2));
        // axis numbers of longitude and latitude, 1-based
        let (lon, lat) = if is_lon(&first.0) && is_lat(&second.0) {
            (1, 2)
        } else if is_lat(&first.0) && is_lon(&second.0) {
            (2, 1)
        } else {
            return None;
        };
        let (kind, code, sip) = if lon == 1 { first } else { second };

        let cdelt = |i: usize| keys.number(&format!("CDELT{i}"));
        let has = |prefix: &str| (1..=2).any(|i| (1..=2).any(|j| keys.0.contains_key(format!("{prefix}{i}_{j}").as_str())));
        let mut matrix = [[0.0; 2]; 2];
        if has("CD") {
            for (i, row) in matrix.iter_mut().enumerate() {
                for (j, v) in row.iter_mut().enumerate() {
                    *v = keys.number(&format!("CD{}_{}", i + 1, j + 1)).unwrap_or(0.0);
                }
            }
        } else if has("PC") || keys.number(&format!("CROTA{lat}")).unwrap_or(0.0) == 0.0 {
            for (i, row) in matrix.iter_mut().enumerate() {
                for (j, v) in row.iter_mut().enumerate() {
                    let default = if i == j { 1.0 } else { 0.0 };
                    *v = keys.number(&format!("PC{}_{}", i + 1, j + 1)).unwrap_or(default) * cdelt(i + 1).unwrap_or(1.0);
                }
            }
            if !has("PC") && cdelt(1).is_none() {
                return None;
            }
        } else {
            let rho = keys.number(&format!("CROTA{lat}")).unwrap_or(0.0) * D2R;
            let (d_lon, d_lat) = (cdelt(lon)?, cdelt(lat)?);
            matrix[lon - 1][lon - 1] = d_lon * rho.cos();
            matrix[lon - 1][lat - 1] = -d_lat * rho.sin();
            matrix[lat - 1][lon - 1] = d_lon * rho.sin();
            matrix[lat - 1][lat - 1] = d_lat * rho.cos();
        }
        let unit = |axis: usize| match keys.text(&format!("CUNIT{axis}")).to_ascii_lowercase().as_str() {
            "arcsec" => 1.0 / 3600.0,
            "arcmin" => 1.0 / 60.0,
            "mas" => 1.0 / 3.6e6,
            "rad" => R2D,
            _ => 1.0,
        };
        let cd = [matrix[lon - 1].map(|v| v * unit(lon)), matrix[lat - 1].map(|v| v * unit(lat))];
        let plate = if lon == 1 && code == "TAN" && !sip { Plate::from_keys(&keys) } else { None };
        let mut cd = cd;
        let mut crpix = [keys.number("CRPIX1").unwrap_or(0.0), keys.number("CRPIX2").unwrap_or(0.0)];
        let mut lon0 = keys.number(&format!("CRVAL{lon}")).unwrap_or(0.0) * unit(lon);
        let mut lat0 = keys.number(&format!("CRVAL{lat}")).unwrap_or(0.0) * unit(lat);
        if let Some((plate, ra, dec)) = &plate {
            (crpix, cd) = plate.linear();
            (lon0, lat0) = (*ra, *dec);
        }
        let det = cd[0][0] * cd[1][1] - cd[0][1] * cd[1][0];
        if det == 0.0 || !det.is_finite() {
            return None;
        }
        let inverse = [[cd[1][1] / det, -cd[0][1] / det], [-cd[1][0] / det, cd[0][0] / det]];
        let pv = |axis: usize, m: usize| keys.number(&format!("PV{axis}_{m}"));

        let mut tpv = None;
        let is_scamp = code == "TAN" && !sip && (5..40).chain([0]).any(|m| pv(lon, m).is_some() || pv(lat, m).is_some());
        if code == "TPV" || is_scamp {
            let terms = |axis: usize| {
                let mut v: Vec<f64> = (0..40).map(|m| pv(axis, m).unwrap_or(if m == 1 { 1.0 } else { 0.0 })).collect();
                while v.last() == Some(&0.0) {
                    v.pop();
                }
                v
            };
            tpv = Some([terms(lon), terms(lat)]);
        }
        let (projection, theta0) = match code.as_str() {
            "TAN" | "TPV" | "TNX" | "ZPX" | "DSS" => (Projection::Tan, 90.0),
            "SIN" => (Projection::Sin { xi: pv(lat, 1).unwrap_or(0.0), eta: pv(lat, 2).unwrap_or(0.0) }, 90.0),
            "NCP" => (Projection::Sin { xi: 0.0, eta: 1.0 / (lat0 * D2R).tan() }, 90.0),
            "ARC" => (Projection::Arc, 90.0),
            "ZEA" => (Projection::Zea, 90.0),
            "STG" => (Projection::Stg, 90.0),
            "ZPN" => {
                let mut p: Vec<f64> = (0..30).map(|m| pv(lat, m).unwrap_or(0.0)).collect();
                while p.last() == Some(&0.0) {
                    p.pop();
                }
                (Projection::Zpn(p), 90.0)
            }
            "CAR" => (Projection::Car, 0.0),
            "CEA" => (Projection::Cea { lambda: pv(lat, 1).unwrap_or(1.0) }, 0.0),
            "MER" => (Projection::Mer, 0.0),
            "SFL" | "GLS" => (Projection::Sfl, 0.0),
            "PAR" => (Projection::Par, 0.0),
            "MOL" => (Projection::Mol, 0.0),
            "AIT" => (Projection::Ait, 0.0),
            "HPX" => (Projection::Hpx, 0.0),
            "" => (Projection::Linear { lon: lon0, lat: lat0 }, 0.0),
            _ => return None,
        };
        // PVi_3 and PVi_4 of the longitude axis are LONPOLE and LATPOLE, but not for TPV
        let pole_key = |m: usize, key: &str| {
            let own = if tpv.is_none() { pv(lon, m) } else { None };
            own.or_else(|| keys.number(key)).filter(|v| v.abs() < 999.0)
        };
        let phi_p = pole_key(3, "LONPOLE").unwrap_or(if lat0 < theta0 { 180.0 } else { 0.0 });
        let pole = native_pole(lon0, lat0, theta0, phi_p, pole_key(4, "LATPOLE").unwrap_or(90.0))?;

        let sip = if sip || (tpv.is_none() && keys.0.contains_key("A_ORDER")) {
            let terms = |name: &str| {
                let order = keys.number(&format!("{name}_ORDER")).unwrap_or(0.0).clamp(0.0, 20.0) as i32;
                let mut out = Vec::new();
                for p in 0..=order {
                    for q in 0..=order - p {
                        if let Some(c) = keys.number(&format!("{name}_{p}_{q}")).filter(|c| *c != 0.0) {
                            out.push((p, q, c));
                        }
                    }
                }
                out
            };
            Some([terms("A"), terms("B")]).filter(|t| !t[0].is_empty() || !t[1].is_empty())
        } else {
            None
        };
        Some(Self {
            crpix,
            cd,
            inverse,
            projection,
            pole,
            frame: frame_of(&kind, &keys),
            sip,
            tpv,
            detector: [None, None],
            lookup: [None, None],
            plate: plate.map(|p| p.0),
        })
    }

    /// Put distortion tables in: `detector` before everything, `lookup` beside SIP.
    pub(crate) fn set_lookups(&mut self, detector: [Option<Lookup>; 2], lookup: [Option<Lookup>; 2]) {
        self.detector = detector;
        self.lookup = lookup;
    }

    /// The same sky for an image whose pixel (0, 0) is pixel (`x0`, `y0`) of this one.
    pub fn shifted(&self, x0: f64, y0: f64) -> Self {
        let mut out = self.clone();
        out.crpix = [self.crpix[0] - x0, self.crpix[1] - y0];
        for table in out.detector.iter_mut().chain(&mut out.lookup).flatten() {
            table.crval = [table.crval[0] - x0, table.crval[1] - y0];
        }
        if let Some(plate) = &mut out.plate {
            plate.corner = [plate.corner[0] + x0, plate.corner[1] + y0];
        }
        out
    }

    /// Name of the header's own frame: `ICRS`, `galactic`, `ecliptic`, `FK4`, `FK5`.
    pub fn frame(&self) -> &'static str {
        match self.frame {
            Frame::Icrs => "ICRS",
            Frame::Galactic => "galactic",
            Frame::Rotated(_, name) => name,
            Frame::Fk4 => "FK4",
        }
    }

    /// Right ascension and declination (ICRS), degrees, of pixel (`x` along columns, `y` along
    /// rows); `None` outside the projection.
    pub fn sky_from_pixel(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let (lon, lat) = self.world_from_pixel(x, y)?;
        if matches!(self.frame, Frame::Icrs) {
            return Some((lon, lat));
        }
        Some(angles(self.frame.to_icrs(vector(lon, lat))))
    }

    /// Longitude and latitude, degrees, in the header's own [frame](Wcs::frame).
    pub fn world_from_pixel(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let [x, y] = self.plane_from_pixel([x, y]);
        if let Projection::Linear { lon, lat } = self.projection {
            return Some(((lon + x).rem_euclid(360.0), lat + y)).filter(|p| p.1.abs() <= 90.0);
        }
        let (phi, theta) = self.projection.sphere_from_plane(x, y)?;
        let Pole { lon, lat, phi: phi_p } = self.pole;
        let (alpha, delta) = turn(phi - phi_p, theta, lat);
        let alpha = ((alpha + lon) * R2D).rem_euclid(360.0);
        let delta = delta * R2D;
        (alpha.is_finite() && delta.is_finite()).then_some((alpha, delta))
    }

    /// Pixel of an ICRS position in degrees; `None` where the projection does not reach.
    pub fn pixel_from_sky(&self, ra_deg: f64, dec_deg: f64) -> Option<(f64, f64)> {
        let (lon, lat) = match self.frame {
            Frame::Icrs => (ra_deg, dec_deg),
            _ => angles(self.frame.of_icrs(vector(ra_deg, dec_deg))),
        };
        self.pixel_from_world(lon, lat)
    }

    /// Pixel of a position in the header's own [frame](Wcs::frame).
    pub fn pixel_from_world(&self, lon_deg: f64, lat_deg: f64) -> Option<(f64, f64)> {
        let plane = if let Projection::Linear { lon, lat } = self.projection {
            [(lon_deg - lon + 180.0).rem_euclid(360.0) - 180.0, lat_deg - lat]
        } else {
            let (phi, theta) = turn(lon_deg * D2R - self.pole.lon, lat_deg * D2R, self.pole.lat);
            let mut phi = phi + self.pole.phi;
            phi -= (phi / (2.0 * std::f64::consts::PI)).round() * 2.0 * std::f64::consts::PI;
            self.projection.plane_from_sphere(phi, theta)?
        };
        let [a, b] = plane;
        let mut p = [
            self.inverse[0][0] * a + self.inverse[0][1] * b + self.crpix[0] - 1.0,
            self.inverse[1][0] * a + self.inverse[1][1] * b + self.crpix[1] - 1.0,
        ];
        if self.is_distorted() {
            let mut converged = false;
            for _ in 0..30 {
                let f = self.plane_from_pixel(p);
                let (dx, dy) = (self.plane_from_pixel([p[0] + 0.5, p[1]]), self.plane_from_pixel([p[0], p[1] + 0.5]));
                let (lx, ly) = (self.plane_from_pixel([p[0] - 0.5, p[1]]), self.plane_from_pixel([p[0], p[1] - 0.5]));
                let j = [[dx[0] - lx[0], dy[0] - ly[0]], [dx[1] - lx[1], dy[1] - ly[1]]];
                let det = j[0][0] * j[1][1] - j[0][1] * j[1][0];
                let r = [plane[0] - f[0], plane[1] - f[1]];
                let step = [(j[1][1] * r[0] - j[0][1] * r[1]) / det, (j[0][0] * r[1] - j[1][0] * r[0]) / det];
                if !step[0].is_finite() || !step[1].is_finite() {
                    return None;
                }
                p = [p[0] + step[0], p[1] + step[1]];
                if step[0].abs().max(step[1].abs()) < 1e-9 {
                    converged = true;
                    break;
                }
                converged = step[0].abs().max(step[1].abs()) < 1e-3;
            }
            if !converged {
                return None;
            }
        }
        (p[0].is_finite() && p[1].is_finite()).then_some((p[0], p[1]))
    }

    /// Side of a pixel at the reference point, degrees (the square root of its area).
    pub fn pixel_scale_deg(&self) -> f64 {
        (self.cd[0][0] * self.cd[1][1] - self.cd[0][1] * self.cd[1][0]).abs().sqrt()
    }

    /// Directions of north and east at a pixel, as unit vectors (along columns, along rows).
    pub fn compass(&self, x: f64, y: f64) -> Option<([f64; 2], [f64; 2])> {
        let (ra, dec) = self.sky_from_pixel(x, y)?;
        let step = self.pixel_scale_deg().clamp(1e-7, 1.0);
        let unit = |to: (f64, f64), sign: f64| {
            let (dx, dy) = (sign * (to.0 - x), sign * (to.1 - y));
            let len = dx.hypot(dy);
            (len > 0.0).then_some([dx / len, dy / len])
        };
        let (dec_to, sign) = if dec + step > 90.0 { (dec - step, -1.0) } else { (dec + step, 1.0) };
        let north = unit(self.pixel_from_sky(ra, dec_to)?, sign)?;
        let cos = (dec * D2R).cos().max(1e-9);
        let east = unit(self.pixel_from_sky((ra + (step / cos).min(90.0)).rem_euclid(360.0), dec)?, 1.0)?;
        Some((north, east))
    }

    /// Angle from the direction of growing rows to north, degrees, counter-clockwise when columns
    /// grow to the right and rows upwards.
    pub fn north_angle_deg(&self, x: f64, y: f64) -> Option<f64> {
        let (n, _) = self.compass(x, y)?;
        Some((-n[0]).atan2(n[1]) * R2D)
    }

    fn is_distorted(&self) -> bool {
        self.plate.is_some()
            || self.sip.is_some()
            || self.tpv.is_some()
            || self.detector.iter().chain(&self.lookup).any(Option::is_some)
    }

    /// Intermediate world coordinates, degrees, of a 0-based pixel.
    fn plane_from_pixel(&self, pixel: [f64; 2]) -> [f64; 2] {
        let mut p = [pixel[0] + 1.0, pixel[1] + 1.0];
        if let Some(plate) = &self.plate {
            return plate.at(p);
        }
        let at = p;
        for (a, table) in self.detector.iter().enumerate() {
            if let Some(table) = table {
                p[a] += table.at(at);
            }
        }
        let at = p;
        for (a, table) in self.lookup.iter().enumerate() {
            if let Some(table) = table {
                p[a] += table.at(at);
            }
        }
        if let Some(terms) = &self.sip {
            let (u, v) = (at[0] - self.crpix[0], at[1] - self.crpix[1]);
            for (p, terms) in p.iter_mut().zip(terms) {
                *p += terms.iter().map(|(i, j, c)| c * u.powi(*i) * v.powi(*j)).sum::<f64>();
            }
        }
        let (u, v) = (p[0] - self.crpix[0], p[1] - self.crpix[1]);
        let (x, y) = (self.cd[0][0] * u + self.cd[0][1] * v, self.cd[1][0] * u + self.cd[1][1] * v);
        match &self.tpv {
            Some([a, b]) => [tpv_polynomial(a, x, y), tpv_polynomial(b, y, x)],
            None => [x, y],
        }
    }
}

/// The TPV polynomial of terms 0..39; `x` is the axis itself, `y` the other one.
fn tpv_polynomial(terms: &[f64], x: f64, y: f64) -> f64 {
    let r = x.hypot(y);
    let mut sum = 0.0;
    let mut m = 0;
    let mut take = |v: f64| {
        if let Some(c) = terms.get(m) {
            sum += c * v;
        }
        m += 1;
    };
    for n in 0..=7i32 {
        for j in 0..=n {
            take(x.powi(n - j) * y.powi(j));
        }
        if n % 2 == 1 {
            take(r.powi(n));
        }
    }
    sum
}

/// Where the pole of the native sphere stands (paper II, equations 8 to 10).
fn native_pole(lon0: f64, lat0: f64, theta0: f64, phi_p: f64, latpole: f64) -> Option<Pole> {
    if theta0 == 90.0 {
        return Some(Pole { lon: lon0 * D2R, lat: lat0 * D2R, phi: phi_p * D2R });
    }
    let cos_p = (phi_p * D2R).cos();
    let ratio = (lat0 * D2R).sin() / cos_p.abs();
    let spread = if ratio.abs() <= 1.0 {
        ratio.acos()
    } else if ratio.abs() < 1.0 + 1e-9 {
        ratio.signum().clamp(-1.0, 1.0).acos()
    } else {
        return None;
    };
    let middle = if cos_p < 0.0 { std::f64::consts::PI } else { 0.0 };
    let half = std::f64::consts::FRAC_PI_2;
    let tidy = |v: f64| v - (v / (2.0 * std::f64::consts::PI)).round() * 2.0 * std::f64::consts::PI;
    let candidates = [tidy(middle + spread), tidy(middle - spread)];
    let lat = candidates
        .into_iter()
        .filter(|v| v.abs() <= half + 1e-9)
        .min_by(|a, b| (a - latpole * D2R).abs().total_cmp(&(b - latpole * D2R).abs()))?
        .clamp(-half, half);
    let (lat0, lon0, phi) = (lat0 * D2R, lon0 * D2R, phi_p * D2R);
    let lon = if lat0.cos().abs() < 1e-12 {
        lon0
    } else if lat.cos().abs() < 1e-12 {
        if lat > 0.0 { lon0 + phi - std::f64::consts::PI } else { lon0 - phi }
    } else {
        let x = -lat.sin() * lat0.sin() / (lat.cos() * lat0.cos());
        let y = phi.sin() / lat0.cos();
        lon0 - y.atan2(x)
    };
    Some(Pole { lon, lat, phi })
}

/// Rotation between spheres about the pole at latitude `pole` (paper II, equations 2 and 5, which
/// are the same but for the offsets of the longitudes). Radians.
fn turn(lon: f64, lat: f64, pole: f64) -> (f64, f64) {
    let (sin_lat, cos_lat) = lat.sin_cos();
    let (sin_pole, cos_pole) = pole.sin_cos();
    let (sin_lon, cos_lon) = lon.sin_cos();
    let x = sin_lat * cos_pole - cos_lat * sin_pole * cos_lon;
    let y = -cos_lat * sin_lon;
    let z = sin_lat * sin_pole + cos_lat * cos_pole * cos_lon;
    (y.atan2(x), z.atan2(x.hypot(y)))
}

fn vector(lon_deg: f64, lat_deg: f64) -> [f64; 3] {
    let (sl, cl) = (lon_deg * D2R).sin_cos();
    let (sb, cb) = (lat_deg * D2R).sin_cos();
    [cb * cl, cb * sl, sb]
}

fn angles(v: [f64; 3]) -> (f64, f64) {
    ((v[1].atan2(v[0]) * R2D).rem_euclid(360.0), v[2].atan2(v[0].hypot(v[1])) * R2D)
}

fn rotate(m: &[[f64; 3]; 3], v: [f64; 3]) -> [f64; 3] {
    [0, 1, 2].map(|i| m[i][0] * v[0] + m[i][1] * v[1] + m[i][2] * v[2])
}

fn rotate_back(m: &[[f64; 3]; 3], v: [f64; 3]) -> [f64; 3] {
    [0, 1, 2].map(|i| m[0][i] * v[0] + m[1][i] * v[1] + m[2][i] * v[2])
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

impl Frame {
    fn to_icrs(self, v: [f64; 3]) -> [f64; 3] {
        match self {
            Self::Icrs => v,
            Self::Galactic => rotate_back(&GALACTIC, v),
            Self::Rotated(m, _) => rotate_back(&m, v),
            Self::Fk4 => {
                let along = dot(v, E_TERMS);
                rotate_back(&FK5, rotate(&FK4, [0, 1, 2].map(|i| v[i] - E_TERMS[i] + along * v[i])))
            }
        }
    }
    fn of_icrs(self, v: [f64; 3]) -> [f64; 3] {
        match self {
            Self::Icrs => v,
            Self::Galactic => rotate(&GALACTIC, v),
            Self::Rotated(m, _) => rotate(&m, v),
            Self::Fk4 => {
                let u = rotate_back(&FK4, rotate(&FK5, v));
                let mut w = u;
                for _ in 0..3 {
                    let along = dot(w, E_TERMS);
                    w = [0, 1, 2].map(|i| u[i] + E_TERMS[i] - along * w[i]);
                }
                w
            }
        }
    }
}

fn frame_of(kind: &str, keys: &Keys) -> Frame {
    match kind {
        "GLON" | "GLAT" => return Frame::Galactic,
        "ELON" | "ELAT" => {
            let (s, c) = (23.439_291_1 * D2R).sin_cos();
            return Frame::Rotated([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]], "ecliptic");
        }
        _ => {}
    }
    let equinox = keys.number("EQUINOX").or_else(|| keys.number("EPOCH")).filter(|e| (1800.0..2200.0).contains(e));
    let system = ["RADESYS", "RADECSYS"].iter().map(|k| keys.text(k)).find(|v| !v.is_empty()).unwrap_or("").to_ascii_uppercase();
    let fk4 = match system.as_str() {
        "FK4" | "FK4-NO-E" => true,
        "" => equinox.is_some_and(|e| e < 1984.0),
        _ => false,
    };
    if fk4 {
        return Frame::Fk4;
    }
    match equinox {
        Some(year) if (system == "FK5" || system.is_empty()) && (year - 2000.0).abs() > 0.01 => {
            let p = precession(year);
            let column = |j: usize| rotate(&p, [FK5[0][j], FK5[1][j], FK5[2][j]]);
            let (a, b, c) = (column(0), column(1), column(2));
            Frame::Rotated([0, 1, 2].map(|i| [a[i], b[i], c[i]]), "FK5")
        }
        Some(_) if system.is_empty() => Frame::Rotated(FK5, "FK5"),
        _ if system == "FK5" => Frame::Rotated(FK5, "FK5"),
        _ => Frame::Icrs,
    }
}

/// From J2000 to the equinox of `year` (Lieske et al. 1977).
fn precession(year: f64) -> [[f64; 3]; 3] {
    let t = (year - 2000.0) / 100.0;
    let arcsec = D2R / 3600.0;
    let zeta = (2306.2181 * t + 0.30188 * t * t + 0.017998 * t * t * t) * arcsec;
    let z = (2306.2181 * t + 1.09468 * t * t + 0.018203 * t * t * t) * arcsec;
    let theta = (2004.3109 * t - 0.42665 * t * t - 0.041833 * t * t * t) * arcsec;
    let ((sa, ca), (sz, cz), (st, ct)) = (zeta.sin_cos(), z.sin_cos(), theta.sin_cos());
    [
        [ca * ct * cz - sa * sz, -sa * ct * cz - ca * sz, -st * cz],
        [ca * ct * sz + sa * cz, -sa * ct * sz + ca * cz, -st * sz],
        [ca * st, -sa * st, ct],
    ]
}

impl Projection {
    /// Native longitude and latitude, radians, of a point of the plane, degrees.
    fn sphere_from_plane(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        use std::f64::consts::{FRAC_PI_2, PI};
        let (u, v) = (x * D2R, y * D2R);
        let r = u.hypot(v);
        let phi = if r == 0.0 { 0.0 } else { u.atan2(-v) };
        let inside = |lon: f64, lat: f64| (lon.abs() <= 2.0 * PI && lat.abs() <= FRAC_PI_2 + 1e-12).then_some((lon, lat));
        match self {
            Self::Tan => Some((phi, 1f64.atan2(r))),
            Self::Sin { xi, eta } if *xi == 0.0 && *eta == 0.0 => (r <= 1.0).then(|| (phi, r.acos())),
            Self::Sin { xi, eta } => {
                let a = xi * xi + eta * eta + 1.0;
                let b = xi * (u - xi) + eta * (v - eta);
                let c = (u - xi).powi(2) + (v - eta).powi(2) - 1.0;
                let root = b * b - a * c;
                if root < 0.0 {
                    return None;
                }
                let s = [(-b + root.sqrt()) / a, (-b - root.sqrt()) / a]
                    .into_iter()
                    .filter(|s| s.abs() <= 1.0 + 1e-12)
                    .fold(f64::NAN, f64::max);
                let w = 1.0 - s;
                s.is_finite().then(|| ((u - xi * w).atan2(-(v - eta * w)), s.clamp(-1.0, 1.0).asin()))
            }
            Self::Arc => (r <= PI).then_some((phi, FRAC_PI_2 - r)),
            Self::Zea => (r <= 2.0).then(|| (phi, FRAC_PI_2 - 2.0 * (r / 2.0).asin())),
            Self::Stg => Some((phi, FRAC_PI_2 - 2.0 * (r / 2.0).atan())),
            Self::Zpn(p) => {
                let mut z = r;
                for _ in 0..50 {
                    let (mut f, mut d) = (0.0, 0.0);
                    for c in p.iter().rev() {
                        d = d * z + f;
                        f = f * z + c;
                    }
                    let step = (f - r) / d;
                    if !step.is_finite() {
                        return None;
                    }
                    z -= step;
                    if step.abs() < 1e-14 {
                        return (0.0..=PI).contains(&z).then_some((phi, FRAC_PI_2 - z));
                    }
                }
                None
            }
            Self::Car => inside(u, v),
            Self::Cea { lambda } => {
                let s = v * lambda;
                if s.abs() <= 1.0 { inside(u, s.asin()) } else { None }
            }
            Self::Mer => inside(u, 2.0 * v.exp().atan() - FRAC_PI_2),
            Self::Sfl => {
                let lon = if v.cos().abs() < 1e-12 { 0.0 } else { u / v.cos() };
                if lon.abs() <= PI + 1e-9 { inside(lon, v) } else { None }
            }
            Self::Par => {
                let s = v / PI;
                if s.abs() > 0.5 {
                    return None;
                }
                let lat = 3.0 * s.asin();
                let lon = u / (1.0 - 4.0 * s * s);
                (lon.abs() <= PI + 1e-9).then_some((lon, lat))
            }
            Self::Mol => {
                let s = v / std::f64::consts::SQRT_2;
                if s.abs() > 1.0 {
                    return None;
                }
                let gamma = s.asin();
                let lat = ((2.0 * gamma + (2.0 * gamma).sin()) / PI).clamp(-1.0, 1.0).asin();
                let lon = if gamma.cos() < 1e-12 { 0.0 } else { u * PI / (2.0 * std::f64::consts::SQRT_2 * gamma.cos()) };
                (lon.abs() <= PI + 1e-9).then_some((lon, lat))
            }
            Self::Ait => {
                let z2 = 1.0 - (u / 4.0).powi(2) - (v / 2.0).powi(2);
                if z2 < 0.5 {
                    return None;
                }
                let z = z2.sqrt();
                Some((2.0 * (z * u / 2.0).atan2(2.0 * z2 - 1.0), (v * z).clamp(-1.0, 1.0).asin()))
            }
            Self::Hpx => {
                if y.abs() <= 45.0 {
                    return inside(u, (y / 67.5).asin());
                }
                let sigma = 2.0 - y.abs() / 45.0;
                if sigma < 0.0 {
                    return None;
                }
                let centre = -180.0 + (2.0 * ((x + 180.0) / 90.0).floor() + 1.0) * 45.0;
                let lat = (1.0 - sigma * sigma / 3.0).asin() * y.signum();
                let off = if sigma == 0.0 { 0.0 } else { (x - centre) / sigma };
                (off.abs() <= 45.0 + 1e-9).then_some(((centre + off) * D2R, lat))
            }
            Self::Linear { .. } => None,
        }
    }

    /// Point of the plane, degrees, of a native position, radians.
    fn plane_from_sphere(&self, phi: f64, theta: f64) -> Option<[f64; 2]> {
        use std::f64::consts::{FRAC_PI_2, PI, SQRT_2};
        let polar = |r: f64| Some([r * phi.sin() * R2D, -r * phi.cos() * R2D]);
        let (s, c) = theta.sin_cos();
        match self {
            Self::Tan => {
                if s <= 0.0 {
                    return None;
                }
                polar(c / s)
            }
            Self::Sin { xi, eta } => {
                if s < -1e-12 && *xi == 0.0 && *eta == 0.0 {
                    return None;
                }
                Some([(c * phi.sin() + xi * (1.0 - s)) * R2D, -(c * phi.cos() - eta * (1.0 - s)) * R2D])
            }
            Self::Arc => polar(FRAC_PI_2 - theta),
            Self::Zea => polar(2.0 * ((FRAC_PI_2 - theta) / 2.0).sin()),
            Self::Stg => {
                if s <= -1.0 + 1e-15 {
                    return None;
                }
                polar(2.0 * ((FRAC_PI_2 - theta) / 2.0).tan())
            }
            Self::Zpn(p) => {
                let z = FRAC_PI_2 - theta;
                polar(p.iter().rev().fold(0.0, |f, c| f * z + c))
            }
            Self::Car => Some([phi * R2D, theta * R2D]),
            Self::Cea { lambda } => Some([phi * R2D, s / lambda * R2D]),
            Self::Mer => (c > 1e-12).then(|| [phi * R2D, ((FRAC_PI_2 + theta) / 2.0).tan().ln() * R2D]),
            Self::Sfl => Some([phi * c * R2D, theta * R2D]),
            Self::Par => Some([phi * (2.0 * (2.0 * theta / 3.0).cos() - 1.0) * R2D, 180.0 * (theta / 3.0).sin()]),
            Self::Mol => {
                let target = PI * s;
                let mut g = theta;
                for _ in 0..100 {
                    let step = (2.0 * g + (2.0 * g).sin() - target) / (2.0 + 2.0 * (2.0 * g).cos()).max(1e-9);
                    g -= step;
                    if step.abs() < 1e-14 {
                        break;
                    }
                }
                let g = g.clamp(-FRAC_PI_2, FRAC_PI_2);
                Some([2.0 * SQRT_2 / PI * phi * g.cos() * R2D, SQRT_2 * g.sin() * R2D])
            }
            Self::Ait => {
                let g = (2.0 / (1.0 + c * (phi / 2.0).cos())).sqrt();
                Some([2.0 * g * c * (phi / 2.0).sin() * R2D, g * s * R2D])
            }
            Self::Hpx => {
                let lon = phi * R2D;
                if s.abs() <= 2.0 / 3.0 {
                    return Some([lon, 67.5 * s]);
                }
                let sigma = (3.0 * (1.0 - s.abs())).sqrt();
                let centre = -180.0 + (2.0 * ((lon + 180.0) / 90.0).floor().min(3.0) + 1.0) * 45.0;
                Some([centre + (lon - centre) * sigma, (45.0 * (2.0 - sigma)).copysign(s)])
            }
            Self::Linear { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(pairs: &[(&str, &str)]) -> Vec<(String, String, String)> {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into(), String::new())).collect()
    }

    #[test]
    fn every_projection_comes_back_to_its_pixel() {
        for code in ["TAN", "SIN", "ARC", "ZEA", "STG", "CAR", "CEA", "MER", "SFL", "PAR", "MOL", "AIT", "HPX", "NCP", "ZPN"] {
            for (lat, angle) in [("41.5", "0"), ("-63.0", "33.0"), ("80.0", "-120")] {
                if code == "ZPN" && lat == "80.0" {
                    continue;
                }
                let (ra, dec) = (format!("RA---{code}"), format!("DEC--{code}"));
                let mut cards = vec![
                    ("CTYPE1", ra.as_str()),
                    ("CTYPE2", dec.as_str()),
                    ("CRPIX1", "50.5"),
                    ("CRPIX2", "40.0"),
                    ("CRVAL1", "359.9"),
                    ("CRVAL2", lat),
                    ("CDELT1", "-0.02"),
                    ("CDELT2", "0.02"),
                    ("CROTA2", angle),
                ];
                if code == "ZPN" {
                    cards.extend([("PV2_1", "1.0"), ("PV2_3", "42.0")]);
                }
                let wcs = Wcs::from_header(&header(&cards)).unwrap();
                for (x, y) in [(0.0, 0.0), (49.5, 39.0), (99.0, 12.5)] {
                    let (a, d) = wcs.sky_from_pixel(x, y).unwrap();
                    let (u, v) = wcs.pixel_from_sky(a, d).unwrap();
                    assert!((u - x).abs() < 1e-6 && (v - y).abs() < 1e-6, "{code} {lat}: {x},{y} -> {a},{d} -> {u},{v}");
                }
                let (a, d) = wcs.sky_from_pixel(49.5, 39.0).unwrap();
                assert!((a - 359.9).abs() < 1e-9 && (d - lat.parse::<f64>().unwrap()).abs() < 1e-9, "{code}: {a} {d}");
            }
        }
    }

    #[test]
    fn frames_turn_to_icrs_as_astropy_does() {
        let keys = |pairs: &'static [(&'static str, &'static str)]| Keys(pairs.iter().copied().collect());
        let fk4 = keys(&[("EQUINOX", "1950")]);
        let fk5 = keys(&[("RADESYS", "FK5"), ("EQUINOX", "1975")]);
        // frame, longitude, latitude, astropy 8.0's RA and Dec, what may be off in arcsec
        for (frame, lon, lat, ra, dec, off) in [
            (frame_of("GLON", &keys(&[])), 0.0, 0.0, 266.404_988_286_544_7, -28.936_177_761_791_473, 1e-5),
            (frame_of("RA", &fk4), 200.0, 10.0, 200.623_864_520_907_52, 9.738_930_891_019_576, 0.2),
            (frame_of("RA", &fk4), 83.8, -5.4, 84.414_463_489_186_19, -5.371_401_057_915_301, 0.2),
            (frame_of("RA", &fk5), 200.0, 10.0, 200.311_858_936_130_22, 9.869_337_847_450_334, 0.1),
            (frame_of("RA", &keys(&[("RADESYS", "FK5")])), 200.0, 10.0, 199.999_994_707_247_42, 10.000_000_484_722_728, 1e-5),
            (frame_of("ELON", &keys(&[])), 100.0, 10.0, 101.769_750_484_277_04, 33.031_609_721_911_27, 0.1),
        ] {
            let (a, d) = angles(frame.to_icrs(vector(lon, lat)));
            let apart = (((a - ra) * (dec * D2R).cos()).hypot(d - dec)) * 3600.0;
            assert!(apart < off, "{frame:?}: {a} {d}, {apart} arcsec");
            let back = angles(frame.of_icrs(frame.to_icrs(vector(lon, lat))));
            let around = (back.0 - lon + 180.0).rem_euclid(360.0) - 180.0;
            assert!(around.abs() < 1e-7 && (back.1 - lat).abs() < 1e-7, "{frame:?} {back:?}");
        }
    }

    #[test]
    fn headers_without_a_sky_have_none() {
        for cards in [
            header(&[]),
            header(&[("CTYPE1", "LINEAR"), ("CTYPE2", "LINEAR"), ("CDELT1", "1")]),
            header(&[("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN"), ("CDELT1", "0"), ("CDELT2", "0")]),
            header(&[("CTYPE1", "RA"), ("CTYPE2", "X")]),
        ] {
            assert!(Wcs::from_header(&cards).is_none());
        }
    }

    #[test]
    fn compass_points_north_and_east() {
        let wcs = Wcs::from_header(&header(&[
            ("CTYPE1", "RA---TAN"),
            ("CTYPE2", "DEC--TAN"),
            ("CRPIX1", "1"),
            ("CRPIX2", "1"),
            ("CRVAL1", "10"),
            ("CRVAL2", "20"),
            ("CDELT1", "-0.001"),
            ("CDELT2", "0.001"),
        ]))
        .unwrap();
        let (n, e) = wcs.compass(0.0, 0.0).unwrap();
        assert!(n[1] > 0.999_999 && e[0] < -0.999_999, "{n:?} {e:?}");
        assert!(wcs.north_angle_deg(0.0, 0.0).unwrap().abs() < 1e-3);
        assert!((wcs.pixel_scale_deg() - 0.001).abs() < 1e-12);
    }
}
