//! What the bits of a quality column mean, mission by mission, and which are left out by default.
//!
//! The defaults are those of the missions' own software: lightkurve's for Kepler, K2 and TESS,
//! `calstis` and `calcos` for HST, `DO_NOT_USE` for JWST. A person can take any other set:
//! [`LightCurve::set_mask`](crate::LightCurve::set_mask),
//! [`Spectrum::set_mask`](crate::Spectrum::set_mask).
//!
//! Kepler Archive Manual (KDMC-10008) table 2-3; TESS Science Data Products Description (2021)
//! table 32; STIS and COS Data Handbooks.

/// One bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bit {
    /// A power of two.
    pub value: i64,
    /// What it says of a row.
    pub name: &'static str,
}

/// Whose bits a quality column holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flags {
    /// Kepler and K2.
    Kepler,
    /// TESS.
    Tess,
    /// HST's STIS.
    Stis,
    /// HST's COS.
    Cos,
    /// JWST.
    Jwst,
    /// Not known: any bit is bad by default.
    #[default]
    Other,
}

macro_rules! bits {
    ($($value:literal $name:literal),* $(,)?) => { &[$(Bit { value: $value, name: $name }),*] };
}

impl Flags {
    /// The bits that have a meaning.
    pub fn bits(self) -> &'static [Bit] {
        match self {
            Self::Kepler => bits![
                1 "attitude tweak", 2 "safe mode", 4 "coarse point", 8 "Earth point", 16 "zero crossing", 32 "desaturation",
                64 "argabrightening", 128 "cosmic ray in the aperture", 256 "manual exclude", 1024 "sensitivity drop-out",
                2048 "impulsive outlier", 4096 "argabrightening on the CCD", 8192 "cosmic ray in collateral data",
                16384 "detector anomaly", 32768 "no fine point", 65536 "no data", 131072 "rolling band in the aperture",
                262144 "rolling band in the mask", 524288 "possible thruster firing", 1048576 "thruster firing",
            ],
            Self::Tess => bits![
                1 "attitude tweak", 2 "safe mode", 4 "coarse point", 8 "Earth point", 16 "argabrightening", 32 "desaturation",
                64 "cosmic ray in the aperture", 128 "manual exclude", 256 "discontinuity corrected", 512 "impulsive outlier",
                1024 "cosmic ray in collateral data", 2048 "stray light, by hand", 4096 "stray light", 8192 "planet search exclude",
                16384 "bad calibration", 32768 "too few stars to point by",
            ],
            Self::Stis => bits![
                1 "Reed-Solomon error", 2 "lost data", 4 "bad detector pixel", 8 "occulted", 16 "hot pixel", 32 "blemish",
                64 "vignetted", 128 "overscan", 256 "saturated", 512 "bad in a reference file", 1024 "small blemish",
                2048 "background rejected", 4096 "bad extraction", 8192 "cosmic ray", 16384 "bad cosmic-ray rejection",
            ],
            Self::Cos => bits![
                1 "Reed-Solomon error", 2 "hot spot", 4 "detector shadow", 8 "poorly calibrated", 16 "very low response",
                32 "background feature", 64 "burst", 128 "out of bounds", 256 "fill data", 512 "pulse height", 1024 "low response",
                2048 "bad time", 4096 "low pulse-height feature", 8192 "gain-sag hole",
            ],
            Self::Jwst => bits![1 "do not use", 2 "saturated", 4 "jump", 8 "drop-out", 16 "outlier"],
            Self::Other => &[],
        }
    }
    /// Rows with any of these bits are left out unless a person says otherwise.
    pub fn default_mask(self) -> i64 {
        match self {
            Self::Kepler => crate::light_curve::KEPLER_MASK,
            Self::Tess => crate::light_curve::TESS_MASK,
            Self::Stis => !(64 | 1024),
            Self::Jwst => 1,
            Self::Cos | Self::Other => -1,
        }
    }
    /// As a person calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kepler => "Kepler",
            Self::Tess => "TESS",
            Self::Stis => "STIS",
            Self::Cos => "COS",
            Self::Jwst => "JWST",
            Self::Other => "quality",
        }
    }
    /// The names of the bits that are set, and the numbers of those that have none.
    pub fn words(self, value: i64) -> Vec<String> {
        let named = self.bits().iter().filter(|b| value & b.value != 0).map(|b| b.name.to_owned());
        let known = self.bits().iter().fold(0, |k, b| k | b.value);
        let rest = (0..63).map(|i| 1i64 << i).filter(|b| value & b & !known != 0).map(|b| format!("bit {b}"));
        named.chain(rest).collect()
    }
}

/// A quality value of a file as bits; what is not finite has all of them.
pub(crate) fn as_bits(values: &[f64]) -> Vec<i64> {
    values.iter().map(|v| if v.is_finite() { *v as i64 } else { -1 }).collect()
}
