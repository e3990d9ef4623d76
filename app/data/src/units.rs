//! Spectra in other units, and between air and vacuum.
//!
//! A unit of flux density is read as a product of powers (`erg/s/cm2/Angstrom`,
//! `1e-17 erg.s**-1.cm**-2.Angstrom**-1`, `10-17erg/s/cm2/Å`, `mJy`) down to its dimension, which
//! says what it is per: wavelength, frequency, or photons per wavelength. Behind a solidus stands
//! one factor, as in CDS and FITS units; more go in brackets.
//!
//! Air: Ciddor's dispersion of standard air (15 °C, 101325 Pa, 450 ppm of CO₂), which the IAU and
//! SDSS's later releases use; Morton's for comparison with VALD. Back to vacuum by iteration, which
//! is exact to the last digits; inverse polynomials were not taken, they agree to 10⁻⁸ only.
//! Below 2000 Å wavelengths are in vacuum by convention and stay.
//!
//! Ciddor (1996), Applied Optics 35, 1566; Morton (2000), ApJS 130, 403 (after Birch & Downs 1994).

use crate::spectrum::{Medium, Spectrum, metres_in};
use crate::{Error, Result};

/// Speed of light, m/s.
pub const LIGHT: f64 = 299_792_458.0;
/// Planck's constant, J s.
pub const PLANCK: f64 = 6.626_070_15e-34;
const ELECTRON_VOLT: f64 = 1.602_176_634e-19;
/// Where air begins, metres in vacuum.
const AIR_FROM: f64 = 2000e-10;

/// Whose dispersion of air.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dispersion {
    /// Ciddor (1996).
    #[default]
    Ciddor,
    /// Morton (2000).
    Morton,
}

/// n − 1 of standard air at a vacuum wavelength in metres.
pub fn refractivity(vacuum_m: f64, of: Dispersion) -> f64 {
    // Square of the wave number, µm⁻².
    let s = (1e-6 / vacuum_m).powi(2);
    match of {
        Dispersion::Ciddor => 0.057_921_05 / (238.0185 - s) + 0.001_679_17 / (57.362 - s),
        Dispersion::Morton => 8.34254e-5 + 2.406_147e-2 / (130.0 - s) + 1.5998e-4 / (38.9 - s),
    }
}

/// Wavelength in air of one in vacuum, metres; unchanged below 2000 Å.
pub fn air_of_vacuum(vacuum_m: f64, of: Dispersion) -> f64 {
    if vacuum_m < AIR_FROM { vacuum_m } else { vacuum_m / (1.0 + refractivity(vacuum_m, of)) }
}

/// Wavelength in vacuum of one in air, metres; unchanged below 2000 Å.
pub fn vacuum_of_air(air_m: f64, of: Dispersion) -> f64 {
    // 2000 Å in vacuum are shorter in air; what lies between has no air wavelength of its own.
    if air_m < AIR_FROM {
        return air_m;
    }
    let mut vacuum = air_m;
    for _ in 0..6 {
        vacuum = air_m * (1.0 + refractivity(vacuum, of));
    }
    vacuum
}

/// What a spectral axis is measured in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Axis {
    /// Metres a unit.
    Wavelength(f64),
    /// Hertz a unit.
    Frequency(f64),
    /// Joules a unit.
    Energy(f64),
    /// Waves a metre a unit.
    WaveNumber(f64),
}

impl Axis {
    /// The axis of a unit; `None` for a unit of something else.
    pub fn parse(unit: &str) -> Option<Self> {
        if let Some(m) = metres_in(unit) {
            return Some(Self::Wavelength(m));
        }
        let (scale, dims) = parse(unit)?;
        match dims {
            METRE => Some(Self::Wavelength(scale)),
            [0, 0, -1, 0] => Some(Self::Frequency(scale)),
            [1, 2, -2, 0] => Some(Self::Energy(scale)),
            [0, -1, 0, 0] => Some(Self::WaveNumber(scale)),
            _ => None,
        }
    }
    /// The value on this axis of a vacuum wavelength in metres.
    pub fn of_metres(self, m: f64) -> f64 {
        match self {
            Self::Wavelength(f) => m / f,
            Self::Frequency(f) => LIGHT / m / f,
            Self::Energy(f) => PLANCK * LIGHT / m / f,
            Self::WaveNumber(f) => 1.0 / m / f,
        }
    }
    /// The vacuum wavelength in metres of a value on this axis.
    pub fn metres(self, value: f64) -> f64 {
        match self {
            Self::Wavelength(f) => value * f,
            Self::Frequency(f) => LIGHT / (value * f),
            Self::Energy(f) => PLANCK * LIGHT / (value * f),
            Self::WaveNumber(f) => 1.0 / (value * f),
        }
    }
}

/// What a flux density is per, with its factor to SI.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Density {
    /// Power per area and wavelength: W m⁻² m⁻¹ a unit.
    Wavelength(f64),
    /// Power per area and frequency: W m⁻² Hz⁻¹ a unit.
    Frequency(f64),
    /// Photons per time, area and wavelength: s⁻¹ m⁻² m⁻¹ a unit.
    Photons(f64),
}

impl Density {
    /// The density of a unit; `None` for a unit of something else.
    pub fn parse(unit: &str) -> Option<Self> {
        let (scale, dims) = parse(unit)?;
        match dims {
            [1, -1, -3, 0] => Some(Self::Wavelength(scale)),
            [1, 0, -2, 0] => Some(Self::Frequency(scale)),
            [0, -3, -1, 1] => Some(Self::Photons(scale)),
            _ => None,
        }
    }
    /// What one unit of this is in units of `to`, at a vacuum wavelength in metres.
    pub fn factor(self, to: Self, metres: f64) -> f64 {
        // By way of W m⁻² m⁻¹.
        let one = |d: Self| match d {
            Self::Wavelength(f) => f,
            Self::Frequency(f) => f * LIGHT / (metres * metres),
            Self::Photons(f) => f * PLANCK * LIGHT / metres,
        };
        one(self) / one(to)
    }
}

/// Exponents of kilogram, metre, second and photon.
type Dims = [i32; 4];
const METRE: Dims = [0, 1, 0, 0];

/// Factor to SI and dimensions of a unit; `None` where a word is not known.
fn parse(unit: &str) -> Option<(f64, Dims)> {
    let text: String = unit
        .trim()
        .trim_matches(|c| matches!(c, '[' | ']'))
        .replace("**", "^")
        .replace(['Å', '\u{212b}'], "Angstrom")
        .replace(['µ', 'μ'], "u")
        .replace('²', "^2")
        .replace("⁻¹", "^-1")
        .replace("⁻²", "^-2")
        .replace(['·', '×', '*'], " ");
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    let out = product(&chars, &mut at, 0)?;
    (at == chars.len() && !text.is_empty()).then_some(out)
}

fn product(c: &[char], at: &mut usize, depth: usize) -> Option<(f64, Dims)> {
    let (mut scale, mut dims) = (1.0, [0; 4]);
    let mut below = false;
    let mut any = false;
    if depth > 4 {
        return None;
    }
    while *at < c.len() {
        match c[*at] {
            ' ' | '.' => *at += 1,
            '/' if !below => {
                below = true;
                *at += 1;
            }
            ')' if depth > 0 => break,
            _ => {
                let (s, d) = if c[*at] == '(' {
                    *at += 1;
                    let inner = product(c, at, depth + 1)?;
                    (c.get(*at) == Some(&')')).then_some(())?;
                    *at += 1;
                    let power = exponent(c, at).unwrap_or(1);
                    (inner.0.powi(power), inner.1.map(|v| v.saturating_mul(power)))
                } else if c[*at].is_ascii_digit() {
                    (number(c, at)?, [0; 4])
                } else {
                    let from = *at;
                    while *at < c.len() && c[*at].is_ascii_alphabetic() {
                        *at += 1;
                    }
                    let word: String = c[from..*at].iter().collect();
                    let (s, d) = word_of(&word)?;
                    let power = exponent(c, at).unwrap_or(1);
                    (s.powi(power), d.map(|v| v.saturating_mul(power)))
                };
                let sign = if below { -1 } else { 1 };
                scale *= s.powi(sign);
                for (x, y) in dims.iter_mut().zip(d) {
                    *x += sign * y;
                }
                below = false;
                any = true;
            }
        }
    }
    (any && !below && scale.is_finite() && scale > 0.0).then_some((scale, dims))
}

/// A small whole exponent: `2`, `-1`, `^-2`, `(-2)`.
fn exponent(c: &[char], at: &mut usize) -> Option<i32> {
    let start = *at;
    let hat = c.get(*at) == Some(&'^');
    *at += usize::from(hat);
    let bracket = hat && c.get(*at) == Some(&'(');
    *at += usize::from(bracket);
    let from = *at;
    if matches!(c.get(*at), Some('-' | '+')) {
        *at += 1;
    }
    while c.get(*at).is_some_and(char::is_ascii_digit) {
        *at += 1;
    }
    let text: String = c[from..*at].iter().collect();
    if bracket && c.get(*at) == Some(&')') {
        *at += 1;
    }
    match text.parse::<i32>().ok().filter(|v| v.abs() <= 12) {
        Some(v) => Some(v),
        None => {
            *at = start;
            None
        }
    }
}

/// A factor: `1e-17`, `10-17`, `10^-17`, `10+3`, `0.1`.
fn number(c: &[char], at: &mut usize) -> Option<f64> {
    let from = *at;
    let digits = |at: &mut usize| {
        while c.get(*at).is_some_and(char::is_ascii_digit) {
            *at += 1;
        }
    };
    digits(at);
    if c.get(*at) == Some(&'.') && c.get(*at + 1).is_some_and(char::is_ascii_digit) {
        *at += 1;
        digits(at);
    }
    let mantissa: f64 = c[from..*at].iter().collect::<String>().parse().ok()?;
    // `1e-17`; not the e of `1erg`.
    if matches!(c.get(*at), Some('e' | 'E')) && c.get(*at + 1).is_some_and(|n| n.is_ascii_digit() || matches!(n, '+' | '-')) {
        *at += 1;
        let power = exponent_of_ten(c, at)?;
        return Some(mantissa * 10f64.powi(power));
    }
    if mantissa == 10.0 && matches!(c.get(*at), Some('^' | '+' | '-')) {
        *at += usize::from(c[*at] == '^');
        let bracket = c.get(*at) == Some(&'(');
        *at += usize::from(bracket);
        let power = exponent_of_ten(c, at)?;
        *at += usize::from(bracket);
        return Some(10f64.powi(power));
    }
    Some(mantissa)
}

fn exponent_of_ten(c: &[char], at: &mut usize) -> Option<i32> {
    let from = *at;
    *at += usize::from(matches!(c.get(*at), Some('+' | '-')));
    while c.get(*at).is_some_and(char::is_ascii_digit) {
        *at += 1;
    }
    c[from..*at].iter().collect::<String>().parse().ok().filter(|v: &i32| v.abs() < 60)
}

/// A unit, with its prefix.
fn word_of(word: &str) -> Option<(f64, Dims)> {
    let base = |w: &str| -> Option<(f64, Dims)> {
        Some(match w {
            "W" => (1.0, [1, 2, -3, 0]),
            "J" => (1.0, [1, 2, -2, 0]),
            "erg" => (1e-7, [1, 2, -2, 0]),
            "eV" => (ELECTRON_VOLT, [1, 2, -2, 0]),
            "Jy" => (1e-26, [1, 0, -2, 0]),
            "s" => (1.0, [0, 0, 1, 0]),
            "m" => (1.0, METRE),
            "Hz" => (1.0, [0, 0, -1, 0]),
            "ph" | "photon" => (1.0, [0, 0, 0, 1]),
            _ => return None,
        })
    };
    match word {
        "Angstrom" | "Angstroms" | "angstrom" | "angstroms" | "Ang" | "ang" | "AA" | "A" => return Some((1e-10, METRE)),
        "micron" | "microns" => return Some((1e-6, METRE)),
        "sec" => return Some((1.0, [0, 0, 1, 0])),
        "ergs" => return base("erg"),
        "photons" => return base("ph"),
        "Jansky" => return base("Jy"),
        "Watt" | "watt" => return base("W"),
        "hz" => return base("Hz"),
        _ => {}
    }
    base(word).or_else(|| {
        let prefix = word.chars().next()?;
        let factor = match prefix {
            'f' => 1e-15,
            'p' => 1e-12,
            'n' => 1e-9,
            'u' => 1e-6,
            'm' => 1e-3,
            'c' => 1e-2,
            'k' => 1e3,
            'M' => 1e6,
            'G' => 1e9,
            'T' => 1e12,
            _ => return None,
        };
        let (scale, dims) = base(&word[1..])?;
        Some((scale * factor, dims))
    })
}

impl Spectrum {
    /// The same spectrum in other units; `None` leaves what it has. The axis may become a
    /// wavelength (`Angstrom`, `nm`, `um`), frequency (`GHz`), energy (`keV`) or wave number
    /// (`1/cm`); frequencies and energies are of the vacuum wavelength. The order of samples stays.
    /// The flux and its error go between densities per wavelength, per frequency and photons.
    ///
    /// # Errors
    /// [`Error::Format`] for a unit that is not understood or measures something else (with the
    /// unit the spectrum has), and for an axis that is no wavelength (a radio velocity).
    pub fn to_units(&self, axis_unit: Option<&str>, flux_unit: Option<&str>) -> Result<Self> {
        let wrong = |why: String| Error::format(&self.name, why);
        if self.wavelength_m.len() != self.flux.len() {
            return Err(wrong(format!("its axis in '{}' has no wavelengths to convert by", self.axis_unit)));
        }
        let vacuum = |w: f64| if self.medium == Medium::Air { vacuum_of_air(w, Dispersion::Ciddor) } else { w };
        let mut out = self.clone();
        if let Some(unit) = axis_unit {
            let axis = Axis::parse(unit)
                .ok_or_else(|| wrong(format!("'{unit}' is no unit of wavelength, frequency, energy or wave number")))?;
            let wave = |w: &f64| if matches!(axis, Axis::Wavelength(_)) { *w } else { vacuum(*w) };
            out.axis = self.wavelength_m.iter().map(|w| axis.of_metres(wave(w))).collect();
            out.axis_unit = unit.trim().into();
        }
        if let Some(unit) = flux_unit {
            let to = Density::parse(unit).ok_or_else(|| {
                wrong(format!("'{unit}' is no unit of flux density (such as Jy, erg/s/cm2/Angstrom, W/m2/um, ph/s/cm2/Angstrom)"))
            })?;
            let from = Density::parse(&self.flux_unit).ok_or_else(|| {
                wrong(format!("its flux is in '{}', which is no flux density that is known here", self.flux_unit))
            })?;
            for (i, w) in self.wavelength_m.iter().enumerate() {
                let factor = from.factor(to, vacuum(*w));
                out.flux[i] *= factor;
                if let Some(e) = out.error.as_mut().and_then(|e| e.get_mut(i)) {
                    *e *= factor;
                }
            }
            out.flux_unit = unit.trim().into();
        }
        Ok(out)
    }

    /// The same spectrum on wavelengths in air or vacuum (Ciddor).
    ///
    /// # Errors
    /// [`Error::Format`] when it is not known what its wavelengths are in: set `medium` first.
    pub fn to_medium(&self, medium: Medium) -> Result<Self> {
        if medium == self.medium {
            return Ok(self.clone());
        }
        let convert = match (self.medium, medium) {
            (Medium::Vacuum, Medium::Air) => air_of_vacuum,
            (Medium::Air, Medium::Vacuum) => vacuum_of_air,
            _ => {
                return Err(Error::format(
                    &self.name,
                    "does not say whether its wavelengths are in air or vacuum; say which first",
                ));
            }
        };
        let mut out = self.clone();
        out.wavelength_m.iter_mut().for_each(|w| *w = convert(*w, Dispersion::Ciddor));
        if let Some(Axis::Wavelength(factor)) = Axis::parse(&self.axis_unit) {
            out.axis = out.wavelength_m.iter().map(|w| w / factor).collect();
        }
        out.medium = medium;
        Ok(out)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn peers() -> serde_json::Value {
        serde_json::from_str(include_str!("../../../tests/peers/units.json")).unwrap()
    }

    fn numbers(v: &serde_json::Value) -> Vec<f64> {
        v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    }

    #[test]
    fn air_and_vacuum_are_those_of_specutils() {
        let peers = peers();
        let waves = numbers(&peers["angstrom"]);
        for (of, name) in [(Dispersion::Ciddor, "Ciddor1996"), (Dispersion::Morton, "Morton2000")] {
            let lists = ["index_minus_1", "air", "vacuum_of_the_same_as_air"].map(|k| numbers(&peers[k][name]));
            for (i, w) in waves.iter().enumerate() {
                let m = w * 1e-10;
                assert!((refractivity(m, of) - lists[0][i]).abs() < 1e-12, "{name} {w}");
                assert!((air_of_vacuum(m, of) * 1e10 - lists[1][i]).abs() < 1e-8, "{name} {w}");
                assert!((vacuum_of_air(m, of) * 1e10 - lists[2][i]).abs() < 1e-8, "{name} {w}");
                assert!((air_of_vacuum(vacuum_of_air(m, of), of) / m - 1.0).abs() < 1e-15);
            }
        }
        assert_eq!(air_of_vacuum(1215.67e-10, Dispersion::Ciddor), 1215.67e-10);
        // Hydrogen alpha as catalogues print it.
        assert!((vacuum_of_air(6562.79e-10, Dispersion::Ciddor) * 1e10 - 6564.603).abs() < 0.001);
    }

    #[test]
    fn units_are_converted_as_astropy_does() {
        let peers = peers();
        for case in peers["flux"].as_array().unwrap() {
            let get = |k: &str| case[k].as_f64().unwrap();
            let unit = |k: &str| Density::parse(case[k].as_str().unwrap()).unwrap_or_else(|| panic!("{case}"));
            let new = get("value") * unit("unit").factor(unit("to"), get("metres"));
            assert!((new / get("new") - 1.0).abs() < 1e-9, "{case}: {new}");
        }
        for case in peers["axis"].as_array().unwrap() {
            let axis = Axis::parse(case["unit"].as_str().unwrap()).unwrap_or_else(|| panic!("{case}"));
            let (m, value) = (case["metres"].as_f64().unwrap(), case["value"].as_f64().unwrap());
            assert!((axis.of_metres(m) / value - 1.0).abs() < 1e-12, "{case}");
            assert!((axis.metres(value) / m - 1.0).abs() < 1e-12, "{case}");
        }
    }

    #[test]
    fn one_unit_in_the_words_of_many() {
        let want = Density::Wavelength(1e-17 * 1e-7 * 1e4 * 1e10);
        for text in [
            "1e-17 erg/s/cm2/Angstrom",
            "10-17erg/s/cm2/Angstrom",
            "10**-17 erg s**-1 cm**-2 Angstrom**-1",
            "1E-17 erg/(s cm^2 Å)",
            "10^(-17) erg s-1 cm-2 AA-1",
            "1e-17 erg.s**-1.cm**-2.Angstrom**-1",
            "1e-17 ergs/cm^2/s/A",
        ] {
            let Some(Density::Wavelength(f)) = Density::parse(text) else { panic!("{text}: {:?}", Density::parse(text)) };
            let Density::Wavelength(w) = want else { unreachable!() };
            assert!((f / w - 1.0).abs() < 1e-12, "{text}");
        }
        for text in ["", "electron/s", "erg/s/cm2", "mag", "erg/s/cm2/", "((((((((Jy", "Jy)", "1e999 Jy", "K", "é"] {
            assert_eq!(Density::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_spectrum_goes_there_and_back() {
        let mut s = Spectrum {
            flux: vec![1.0, 2.0, f64::NAN],
            error: Some(vec![0.1, 0.2, 0.3]),
            good: vec![true, true, false],
            flux_unit: "erg/s/cm2/Angstrom".into(),
            medium: Medium::Air,
            ..Spectrum::default()
        };
        s.set_axis(vec![5000.0, 6000.0, 7000.0], "Angstrom", 1e-10);
        let jy = s.to_units(Some("THz"), Some("Jy")).unwrap();
        assert_eq!((jy.axis_unit.as_str(), jy.flux_unit.as_str()), ("THz", "Jy"));
        let vacuum = vacuum_of_air(5000e-10, Dispersion::Ciddor);
        assert!((jy.axis[0] - LIGHT / vacuum / 1e12).abs() < 1e-9);
        assert!((jy.flux[0] / (vacuum * 1e10).powi(2) * 2.997_924_58e-5 - 1.0).abs() < 1e-9);
        assert!((jy.error.as_ref().unwrap()[1] / jy.flux[1] - 0.1).abs() < 1e-12);
        let back = jy.to_units(Some("Angstrom"), Some("erg/s/cm2/Angstrom")).unwrap();
        assert!((back.flux[1] - 2.0).abs() < 1e-12 && (back.axis[1] - 6000.0).abs() < 1e-9);
        let there = s.to_medium(Medium::Vacuum).unwrap();
        assert!((there.axis[1] - 6001.66).abs() < 0.01, "{}", there.axis[1]);
        assert!((there.to_medium(Medium::Air).unwrap().axis[1] - 6000.0).abs() < 1e-9);
        s.medium = Medium::Unknown;
        assert!(s.to_medium(Medium::Air).unwrap_err().to_string().contains("air or vacuum"));
        assert!(s.to_units(Some("parsec"), None).unwrap_err().to_string().contains("parsec"));
        s.flux_unit = "electron/s".into();
        assert!(s.to_units(None, Some("Jy")).unwrap_err().to_string().contains("electron/s"));
    }
}
