//! Target pixel files of Kepler, K2, TESS and of cut-outs from full frames: a small image for each
//! cadence, and the apertures of the mission.
//!
//! A person may take any pixels: [`TargetPixels::light_curve`] sums them, as lightkurve's simple
//! aperture photometry does. Frames stay singles, as in the file; sums are doubles.
//!
//! Kepler Archive Manual (KDMC-10008) 2.3.2; TESS Science Data Products Description (2021) 3.2.

use std::path::Path;

use crate::fits::{Fits, Hdu, Kind};
use crate::light_curve::{flags_of, times};
use crate::quality::{Flags, as_bits};
use crate::source_columns::{Cells, Columns, FitsColumns};
use crate::{Error, Image, LightCurve, Result};

/// Aperture bit: the pixel was collected.
pub const COLLECTED: i64 = 1;
/// Aperture bit: the pixel is in the mission's optimal aperture.
pub const OPTIMAL: i64 = 2;

/// A cube of frames in time.
#[derive(Clone, Debug, Default)]
pub struct TargetPixels {
    /// Name for a person.
    pub name: String,
    /// Rows and columns of a frame.
    pub shape: [usize; 2],
    /// Time of each frame, days, BJD (TDB); NaN where there is no cadence.
    pub time_bjd: Vec<f64>,
    /// What `time_bjd` is measured in, as the file says it.
    pub time_system: String,
    /// Flux, frame after frame, rows first; NaN where a pixel was not collected.
    pub flux: Vec<f32>,
    /// One-sigma error, likewise, where the file has it.
    pub error: Option<Vec<f32>>,
    /// Quality bits of each frame, where the file has them.
    pub quality: Option<Vec<i64>>,
    /// Whose bits they are.
    pub flags: Flags,
    /// Aperture bits of each pixel ([`COLLECTED`], [`OPTIMAL`]), where the file has them.
    pub aperture: Option<Vec<i64>>,
    /// Unit of the flux.
    pub unit: String,
    header: Vec<(String, String, String)>,
}

impl TargetPixels {
    /// The target pixels of a file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] when it is not FITS or holds no frames.
    pub fn read(path: &Path) -> Result<Self> {
        let what = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        Self::of_bytes(&what, &crate::sniff::unpack(&what, bytes)?)
    }

    /// The target pixels in the bytes of a FITS file.
    ///
    /// # Errors
    /// [`Error::Format`] when it is not FITS or holds no frames.
    pub fn of_bytes(what: &str, bytes: &[u8]) -> Result<Self> {
        let fits = Fits::open(what, bytes)?;
        let tables = fits.hdus.iter().filter(|h| h.kind() == Kind::Table);
        tables
            .filter_map(|h| Self::of_hdu(&fits, h))
            .next()
            .ok_or_else(|| Error::format(what, "holds no target pixels: no table with TIME and frames in FLUX"))
    }

    pub(crate) fn of_hdu(fits: &Fits, hdu: &Hdu) -> Option<Self> {
        Self::of_columns(&FitsColumns::new(fits, hdu).ok()?)
    }

    /// TIME beside FLUX cells that are frames, with an APERTURE unit.
    pub(crate) fn of_columns(c: &FitsColumns) -> Option<Self> {
        let infos = c.infos();
        let time = c.named(&["time"]).filter(|i| infos[*i].cells == Cells::Number)?;
        let flux = c.named(&["flux"]).filter(|i| infos[*i].cells == Cells::Array)?;
        let [columns, rows] = c.table.columns[flux].dims[..] else { return None };
        let pixels = columns.checked_mul(rows).filter(|n| *n > 0 && *n == c.table.columns[flux].repeat)?;
        let aperture = c
            .fits
            .hdus
            .iter()
            .find(|h| h.name().eq_ignore_ascii_case("APERTURE") && h.kind() == Kind::Image && h.axes() == [columns, rows]);
        let singles = |i: usize| c.column(i).into_iter().map(|v| v as f32).collect::<Vec<f32>>();
        let frames = singles(flux);
        let (time_bjd, time_system) = times(c, time);
        if frames.len() != time_bjd.len().checked_mul(pixels)? {
            return None;
        }
        let quality = c.named(&["quality", "sap_quality"]).filter(|i| infos[*i].cells == Cells::Number);
        Some(Self {
            name: c.title(),
            shape: [rows, columns],
            time_bjd,
            time_system,
            error: c.named(&["flux_err"]).map(singles).filter(|e| e.len() == frames.len()),
            flux: frames,
            quality: quality.map(|i| as_bits(&c.column(i))),
            flags: flags_of(c),
            aperture: aperture.and_then(|h| c.fits.values(h).ok()).map(|v| v.into_iter().map(|v| v as i64).collect()),
            unit: infos[flux].unit.clone(),
            header: aperture.map(|h| h.header.as_text()).unwrap_or_default(),
        })
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.time_bjd.len()
    }
    /// True when there is no frame.
    pub fn is_empty(&self) -> bool {
        self.time_bjd.is_empty()
    }
    /// Pixels of a frame.
    pub fn pixels(&self) -> usize {
        self.shape[0] * self.shape[1]
    }
    /// The pixels of one frame, rows first; empty past the last.
    pub fn frame(&self, index: usize) -> &[f32] {
        let n = self.pixels();
        self.flux.get(index * n..(index + 1) * n).unwrap_or_default()
    }
    /// The mission's optimal aperture; all pixels where the file has none.
    pub fn optimal(&self) -> Vec<bool> {
        match &self.aperture {
            Some(bits) if bits.iter().any(|b| b & OPTIMAL != 0) => bits.iter().map(|b| b & OPTIMAL != 0).collect(),
            _ => vec![true; self.pixels()],
        }
    }
    /// Frames that pass `mask` and have a time.
    fn passes(&self, mask: i64) -> impl Fn(usize) -> bool + '_ {
        move |i| self.time_bjd[i].is_finite() && self.quality.as_ref().is_none_or(|q| q[i] & mask == 0)
    }

    /// The sum over the pixels of `aperture` (one a pixel, rows first), with the mission's default
    /// quality mask; [`LightCurve::set_mask`] takes another. Pixels without a value count for
    /// nothing; a frame with none is NaN. The error is the square root of the sum of squares.
    ///
    /// # Errors
    /// [`Error::Format`] for an aperture of another size or without a pixel.
    pub fn light_curve(&self, aperture: &[bool]) -> Result<LightCurve> {
        let n = self.pixels();
        let used: Vec<usize> = (0..n).filter(|p| aperture.get(*p) == Some(&true)).collect();
        if aperture.len() != n || used.is_empty() {
            let why = format!(
                "an aperture needs {n} pixels ({} x {}), some of them chosen; this has {}",
                self.shape[0],
                self.shape[1],
                used.len()
            );
            return Err(Error::format(&self.name, why));
        }
        let sums = |values: &[f32], square: bool| -> Vec<f64> {
            let of_frame = |frame: &[f32]| {
                let mut sum = None;
                for v in used.iter().map(|p| f64::from(frame[*p])).filter(|v| v.is_finite()) {
                    *sum.get_or_insert(0.0) += if square { v * v } else { v };
                }
                sum.map_or(f64::NAN, |s: f64| if square { s.sqrt() } else { s })
            };
            values.chunks_exact(n).map(of_frame).collect()
        };
        let mask = self.flags.default_mask();
        let mut curve = LightCurve {
            name: self.name.clone(),
            time_bjd: self.time_bjd.clone(),
            time_system: self.time_system.clone(),
            flux: sums(&self.flux, false),
            error: self.error.as_deref().map(|e| sums(e, true)),
            quality: self.quality.clone(),
            flags: self.flags,
            flux_unit: self.unit.clone(),
            rule: format!(
                "sum over {}; rows with a bit of the {} mask {mask} are left out",
                if aperture == self.optimal() && used.len() < n {
                    "the optimal aperture's pixels".into()
                } else {
                    format!("{} of {n} pixels", used.len())
                },
                self.flags.name()
            ),
            ..LightCurve::default()
        };
        curve.set_mask(mask);
        Ok(curve)
    }

    /// The mean of the frames that pass the default quality mask, with the aperture's world
    /// coordinates; the name says of how many.
    ///
    /// # Errors
    /// [`Error::Format`] when the file has no pixel.
    pub fn mean_frame(&self) -> Result<Image> {
        let passes = self.passes(self.flags.default_mask());
        let mut sums = vec![(0.0f64, 0usize); self.pixels()];
        let mut count = 0;
        for i in (0..self.len()).filter(|i| passes(*i)) {
            let frame = self.frame(i);
            count += usize::from(frame.iter().any(|v| v.is_finite()));
            for (s, v) in sums.iter_mut().zip(frame).filter(|(_, v)| v.is_finite()) {
                *s = (s.0 + f64::from(*v), s.1 + 1);
            }
        }
        let mean = sums.into_iter().map(|(sum, n)| if n == 0 { f32::NAN } else { (sum / n as f64) as f32 }).collect();
        let mut image = Image::new(format!("{} mean of {count} frames", self.name), self.shape, mean)?;
        image.unit.clone_from(&self.unit);
        image.header.clone_from(&self.header);
        image.wcs = crate::Wcs::from_header(&image.header);
        Ok(image)
    }
}
