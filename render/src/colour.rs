//! Colour tables: 256 entries each from published tables, and categorical colours.
//!
//! `luts.bin` and `glasbey.bin` are written by `assets/make_colormaps.py` (licences there: viridis, magma, inferno, plasma, cividis
//! and twilight CC0; RdBu Apache-2.0; glasbey CC-BY 4.0, colorcet). One table serves GPU, twin and legend. Choice not taken:
//! polynomial fits in the shader, which have to be kept in step by hand.

/// A table of 256 colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lut {
    /// Sequential, the default.
    #[default]
    Viridis,
    /// Sequential, safest for colour-blind readers.
    Cividis,
    /// Sequential, black to cream.
    Magma,
    /// Sequential, black to yellow.
    Inferno,
    /// Sequential, blue to yellow.
    Plasma,
    /// Sequential, black to white.
    Grey,
    /// Diverging, blue over white to red: velocities and residuals, centred on zero by the caller.
    BlueRed,
    /// Cyclic: angles and phases.
    Twilight,
}

const BYTES: &[u8; 8 * 768] = include_bytes!("luts.bin");
const GLASBEY_BYTES: &[u8; 768] = include_bytes!("glasbey.bin");

const fn tables() -> [[[u8; 4]; 256]; 8] {
    let mut out = [[[255u8; 4]; 256]; 8];
    let mut i = 0;
    while i < 8 * 256 {
        out[i / 256][i % 256] = [BYTES[i * 3], BYTES[i * 3 + 1], BYTES[i * 3 + 2], 255];
        i += 1;
    }
    out
}

static TABLES: [[[u8; 4]; 256]; 8] = tables();

impl Lut {
    /// All of them, in the order of a menu.
    pub const ALL: [Self; 8] =
        [Self::Viridis, Self::Cividis, Self::Magma, Self::Inferno, Self::Plasma, Self::Grey, Self::BlueRed, Self::Twilight];

    /// Its 256 colours, straight RGBA.
    pub fn table(self) -> &'static [[u8; 4]; 256] {
        &TABLES[Self::ALL.iter().position(|&l| l == self).unwrap_or(0)]
    }

    /// Name in files and menus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viridis => "viridis",
            Self::Cividis => "cividis",
            Self::Magma => "magma",
            Self::Inferno => "inferno",
            Self::Plasma => "plasma",
            Self::Grey => "grey",
            Self::BlueRed => "blue-red",
            Self::Twilight => "twilight",
        }
    }

    /// By name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|l| l.name().eq_ignore_ascii_case(name))
    }
}

/// Colour of `t` in 0..1 (clamped), as matplotlib picks it: entry `int(256 t)`. Not a number gives transparent, which
/// [`crate::Points::set_colours`] draws as "no value".
pub fn sample(lut: Lut, t: f64) -> [u8; 4] {
    if t.is_nan() {
        return [0; 4];
    }
    lut.table()[((t.clamp(0.0, 1.0) * 256.0) as usize).min(255)]
}

/// One colour a value between `lo` and `hi`, packed for [`crate::Points::set_colours`]; values that are not finite get alpha 0.
pub fn pack_values(lut: Lut, values: &[f64], lo: f64, hi: f64) -> Vec<u32> {
    let range = if hi == lo { 1.0 } else { hi - lo };
    values.iter().map(|&v| u32::from_le_bytes(if v.is_finite() { sample(lut, (v - lo) / range) } else { [0; 4] })).collect()
}

/// Packs straight RGBA for [`crate::Points::set_colours`].
pub const fn pack(rgba: [u8; 4]) -> u32 {
    u32::from_le_bytes(rgba)
}

/// Okabe and Ito's eight, in an order whose first ones differ most (black, which dark grounds swallow, last and as grey).
pub const OKABE_ITO: [[u8; 3]; 8] = [
    [0x56, 0xb4, 0xe9], // sky blue
    [0xe6, 0x9f, 0x00], // orange
    [0x00, 0x9e, 0x73], // bluish green
    [0xcc, 0x79, 0xa7], // reddish purple
    [0xd5, 0x5e, 0x00], // vermillion
    [0x00, 0x72, 0xb2], // blue
    [0xf0, 0xe4, 0x42], // yellow
    [0x88, 0x88, 0x88], // in place of black
];

/// Glasbey's 256 (colorcet `glasbey_bw_minc_20_minl_30`, CC-BY 4.0), each as far as can be from those before it.
pub static GLASBEY: [[u8; 3]; 256] = {
    let mut out = [[0u8; 3]; 256];
    let mut i = 0;
    while i < 256 {
        out[i] = [GLASBEY_BYTES[i * 3], GLASBEY_BYTES[i * 3 + 1], GLASBEY_BYTES[i * 3 + 2]];
        i += 1;
    }
    out
};

/// Colour of category `i`: Okabe-Ito for the first eight, then Glasbey's, then grey for "other".
pub fn categorical(i: usize) -> [u8; 3] {
    match i {
        0..8 => OKABE_ITO[i],
        8..264 => GLASBEY[i - 8],
        _ => [0x80; 3],
    }
}

/// Contrast of two colours, 1..21 (WCAG 2.1, relative luminance).
pub fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
    let luminance = |c: [u8; 3]| {
        let [r, g, b] = c.map(|v| {
            let v = f64::from(v) / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tables_are_the_published_ones() {
        // First and last entries as matplotlib 3.11 gives them.
        for (lut, first, last) in [
            (Lut::Viridis, [68, 1, 84], [253, 231, 37]),
            (Lut::Cividis, [0, 34, 78], [254, 232, 56]),
            (Lut::Magma, [0, 0, 4], [252, 253, 191]),
            (Lut::Inferno, [0, 0, 4], [252, 255, 164]),
            (Lut::Grey, [0, 0, 0], [255, 255, 255]),
            (Lut::BlueRed, [5, 48, 97], [103, 0, 31]),
        ] {
            assert_eq!(lut.table()[0][..3], first, "{lut:?}");
            assert_eq!(lut.table()[255][..3], last, "{lut:?}");
            assert_eq!(Lut::from_name(lut.name()), Some(lut));
        }
        assert_eq!(sample(Lut::Viridis, 0.5)[..3], [33, 145, 140]); // matplotlib.colormaps["viridis"](0.5)
        assert_eq!(sample(Lut::Viridis, f64::NAN), [0; 4]);
        assert_eq!(sample(Lut::Grey, 7.0), [255; 4]);
        assert_eq!(pack_values(Lut::Grey, &[0.0, 1.0, f64::NAN], 0.0, 1.0), [0xff00_0000, 0xffff_ffff, 0]);
    }

    #[test]
    fn sequential_tables_only_get_brighter() {
        for lut in [Lut::Viridis, Lut::Cividis, Lut::Magma, Lut::Inferno, Lut::Plasma, Lut::Grey] {
            let contrasts: Vec<f64> = lut.table().iter().map(|c| contrast([c[0], c[1], c[2]], [0, 0, 0])).collect();
            assert!(contrasts.windows(2).all(|w| w[1] > w[0] - 0.05), "{lut:?}");
        }
    }

    #[test]
    fn categories_differ_and_show_on_a_dark_ground() {
        for i in 0..64 {
            assert!(contrast(categorical(i), [27, 27, 27]) >= 1.5, "{i}");
            for j in 0..i {
                assert_ne!(categorical(i), categorical(j));
            }
        }
        assert!(OKABE_ITO.iter().all(|&c| contrast(c, [27, 27, 27]) >= 3.0));
        let plain = [crate::view::PLAIN[0], crate::view::PLAIN[1], crate::view::PLAIN[2]];
        assert!(contrast(plain, [27, 27, 27]) >= 3.0 && contrast(plain, [248, 248, 248]) >= 2.7);
        assert_eq!(categorical(1000), [0x80; 3]);
    }
}
