//! Images: FITS pixels with their world coordinates, and plain pictures (PNG, JPEG).
//!
//! Pixels are kept as `f32`, which is what a screen and a graphics card want; the statistics are
//! taken in double precision before that rounding. Keeping doubles was not taken: it doubles the
//! memory of every image for digits nobody can see.

use crate::fits::{Fits, Hdu};
use crate::{Error, Result};

pub use crate::image_rows::ImageRows;
pub use crate::picture::Picture;
pub use crate::wcs::Wcs;

/// Planes of a cube that are listed one by one; of larger cubes only the first is.
const PLANES_LISTED: usize = 8;

/// A two-dimensional FITS image. Row 0 is the bottom row, as in FITS.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// EXTNAME or file name.
    pub name: String,
    /// Rows, columns.
    pub shape: [usize; 2],
    /// Row-major values after BSCALE, BZERO; NaN for BLANK and NaN. Empty where there is `rows`.
    pub pixels: Vec<f32>,
    /// BUNIT.
    pub unit: String,
    /// World coordinates, where the header has them.
    pub wcs: Option<Wcs>,
    /// Smallest, largest and mean of the finite values, taken in double precision before rounding;
    /// NaN when nothing is finite.
    pub min: f64,
    /// See `min`.
    pub max: f64,
    /// See `min`.
    pub mean: f64,
    /// Values that are not finite.
    pub nan: usize,
    /// Header cards: keyword, value as text, comment.
    pub header: Vec<(String, String, String)>,
    /// Of an image too large to be held in memory: its rows, read from the file when they are wanted. The statistics are NaN then,
    /// until [`Image::scanned`] has gone through the file.
    pub rows: Option<std::sync::Arc<ImageRows>>,
}

/// Every n-th pixel of every n-th row.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Row by row.
    pub values: Vec<f32>,
    /// Rows, columns.
    pub shape: [usize; 2],
    /// The n; the first of them is pixel (0, 0).
    pub step: usize,
}

impl Image {
    /// The image of a unit. A cube gives its planes when there are at most eight of them, else
    /// its first; the names say which.
    ///
    /// # Errors
    /// [`Error::Format`] when the pixels cannot be decoded.
    pub fn of_hdu(fits: &Fits, hdu: &Hdu) -> Result<Vec<Self>> {
        let axes = hdu.axes();
        let planes: usize = axes.iter().skip(2).product();
        let header = hdu.header.as_text();
        let mut wcs = Wcs::from_header(&header);
        if let Some(wcs) = &mut wcs {
            crate::fits_products::add_distortions(fits, hdu, wcs);
        }
        let listed = if planes <= PLANES_LISTED { planes } else { 1 };
        (0..listed)
            .map(|plane| {
                let (pixels, stats) = fits.plane(hdu, plane)?;
                let mut name = fits.title(hdu);
                if planes > 1 {
                    name = format!("{name} (plane {} of {planes})", plane + 1);
                }
                Ok(Self {
                    name,
                    shape: [axes.get(1).copied().unwrap_or(1), axes.first().copied().unwrap_or(0)],
                    pixels,
                    unit: hdu.header.text("BUNIT").unwrap_or("").into(),
                    wcs: wcs.clone(),
                    min: stats.min,
                    max: stats.max,
                    mean: stats.mean,
                    nan: stats.nan,
                    header: header.clone(),
                    rows: None,
                })
            })
            .collect()
    }

    /// An image of these pixels, with its statistics taken.
    ///
    /// # Errors
    /// [`Error::Format`] when `pixels` are not rows × columns.
    pub fn new(name: impl Into<String>, shape: [usize; 2], pixels: Vec<f32>) -> Result<Self> {
        let name = name.into();
        if shape[0].checked_mul(shape[1]) != Some(pixels.len()) {
            return Err(Error::format(name, format!("{} pixels do not make {} × {}", pixels.len(), shape[0], shape[1])));
        }
        let mut image = Self { name, shape, pixels, ..Self::default() };
        image.count();
        Ok(image)
    }

    fn count(&mut self) {
        let finite = || self.pixels.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v));
        let n = finite().count();
        let (min, max, sum) = finite().fold((f64::INFINITY, f64::NEG_INFINITY, 0.0), |(l, h, s), v| (l.min(v), h.max(v), s + v));
        self.nan = self.pixels.len() - n;
        (self.min, self.max, self.mean) = if n == 0 { (f64::NAN, f64::NAN, f64::NAN) } else { (min, max, sum / n as f64) };
    }

    /// The pixels of a row from column `first` on, as many as `out` holds, from memory or from the file.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read any more, [`Error::Format`] when there are no such pixels.
    pub fn read_row(&self, row: usize, first: usize, out: &mut [f32]) -> Result<()> {
        if let Some(rows) = &self.rows {
            return rows.read(row, first, out);
        }
        let from = row.saturating_mul(self.shape[1]).saturating_add(first);
        let part = self.pixels.get(from..from.saturating_add(out.len())).filter(|_| first + out.len() <= self.shape[1]);
        let part = part.ok_or_else(|| Error::format(&self.name, format!("there is no row {row} of {:?}", self.shape)))?;
        out.copy_from_slice(part);
        Ok(())
    }

    /// Every n-th pixel of every n-th row, about and at most `most` of them: for limits and a first look.
    ///
    /// # Errors
    /// As [`Image::read_row`].
    pub fn sample(&self, most: usize) -> Result<Sample> {
        let [rows, columns] = self.shape;
        let mut step = 1;
        while rows.div_ceil(step) * columns.div_ceil(step) > most.max(1) {
            step += 1;
        }
        let mut values = Vec::with_capacity(rows.div_ceil(step) * columns.div_ceil(step));
        let mut line = vec![0.0; columns];
        for row in (0..rows).step_by(step) {
            self.read_row(row, 0, &mut line)?;
            values.extend(line.iter().step_by(step));
        }
        Ok(Sample { values, shape: [rows.div_ceil(step), columns.div_ceil(step)], step })
    }

    /// The same image with its statistics taken, which for one that is read by rows means to go through its file.
    ///
    /// # Errors
    /// As [`Image::read_row`].
    pub fn scanned(&self) -> Result<Self> {
        let mut out = self.clone();
        if self.rows.is_none() {
            return Ok(out);
        }
        let (mut min, mut max, mut sum, mut n) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0usize);
        let mut line = vec![0.0; self.shape[1]];
        for row in 0..self.shape[0] {
            self.read_row(row, 0, &mut line)?;
            for v in line.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v)) {
                (min, max, sum, n) = (min.min(v), max.max(v), sum + v, n + 1);
            }
        }
        out.nan = self.shape[0] * self.shape[1] - n;
        if n > 0 {
            (out.min, out.max, out.mean) = (min, max, sum / n as f64);
        }
        Ok(out)
    }

    /// The value at a pixel; `None` outside, and where the file cannot be read any more.
    pub fn value(&self, x: usize, y: usize) -> Option<f32> {
        let mut one = [0.0];
        (x < self.shape[1] && y < self.shape[0]).then(|| self.read_row(y, x, &mut one).ok().map(|()| one[0])).flatten()
    }

    /// Sky position (ICRS degrees) of the middle.
    pub fn centre_deg(&self) -> Option<(f64, f64)> {
        let [rows, columns] = self.shape;
        self.wcs.as_ref()?.sky_from_pixel((columns as f64 - 1.0) / 2.0, (rows as f64 - 1.0) / 2.0)
    }

    /// A square of `size` pixels around pixel (`x`, `y`), NaN where it hangs over the edge. The
    /// world coordinates go with it.
    pub fn cutout(&self, x: f64, y: f64, size: usize) -> Self {
        let [rows, columns] = self.shape;
        let corner = |v: f64| (v - (size as f64 - 1.0) / 2.0).round().clamp(-1e9, 1e9) as i64;
        let (x0, y0) = (corner(x), corner(y));
        let mut pixels = vec![f32::NAN; size * size];
        for (r, line) in pixels.chunks_mut(size.max(1)).enumerate() {
            let row = y0 + r as i64;
            let (from, to) = (x0.clamp(0, columns as i64), (x0 + size as i64).clamp(0, columns as i64));
            if (0..rows as i64).contains(&row) && from < to {
                // Of a file that is gone meanwhile there is nothing to see: blank, as over the edge.
                let part = &mut line[(from - x0) as usize..(to - x0) as usize];
                if self.read_row(row as usize, from as usize, part).is_err() {
                    part.fill(f32::NAN);
                }
            }
        }
        let mut out = Self {
            name: self.name.clone(),
            shape: [size, size],
            pixels,
            unit: self.unit.clone(),
            wcs: self.wcs.as_ref().map(|w| w.shifted(x0 as f64, y0 as f64)),
            ..Self::default()
        };
        out.count();
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutout_keeps_place_and_pads_with_nan() {
        let image = Image::new("i", [3, 4], (0..12).map(|v| v as f32).collect()).unwrap();
        let cut = image.cutout(1.0, 1.0, 3);
        assert_eq!(cut.pixels, [0.0, 1.0, 2.0, 4.0, 5.0, 6.0, 8.0, 9.0, 10.0]);
        let edge = image.cutout(3.0, 2.0, 3);
        assert_eq!(edge.value(1, 1), Some(11.0));
        assert_eq!(edge.nan, 5);
        assert_eq!(image.cutout(1e18, f64::NAN, 2).nan, 4);
        assert!(Image::new("i", [2, 2], vec![0.0]).is_err());
    }
}
