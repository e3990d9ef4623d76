//! Images: FITS pixels with their world coordinates, and plain pictures (PNG, JPEG).

/// A two-dimensional FITS image. Row 0 is the bottom row, as in FITS.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// EXTNAME or file name.
    pub name: String,
    /// Rows, columns.
    pub shape: [usize; 2],
    /// Row-major values after BSCALE, BZERO; NaN for BLANK and NaN.
    pub pixels: Vec<f32>,
    /// BUNIT.
    pub unit: String,
    /// World coordinates, where the header has them.
    pub wcs: Option<Wcs>,
    /// Smallest, largest and mean of the finite values, taken in double precision before rounding.
    pub min: f64,
    /// See `min`.
    pub max: f64,
    /// See `min`.
    pub mean: f64,
    /// Values that are not finite.
    pub nan: usize,
    /// Header cards: keyword, value as text, comment.
    pub header: Vec<(String, String, String)>,
}

/// A picture in colour: sRGB, row 0 at the top.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Name for a person.
    pub name: String,
    /// Rows, columns.
    pub shape: [usize; 2],
    /// RGBA, 4 bytes a pixel, not premultiplied.
    pub rgba: Vec<u8>,
}

/// Pixel to sky and back. Pixels are 0-based with the centre of the first at (0, 0); sky is ICRS
/// degrees.
#[derive(Clone, Debug)]
pub struct Wcs {
    _private: (),
}

impl Wcs {
    /// Right ascension and declination, degrees, of pixel (`x` along columns, `y` along rows).
    pub fn sky_from_pixel(&self, _x: f64, _y: f64) -> Option<(f64, f64)> {
        None
    }
    /// Pixel of a sky position in degrees; `None` where the projection does not reach.
    pub fn pixel_from_sky(&self, _ra_deg: f64, _dec_deg: f64) -> Option<(f64, f64)> {
        None
    }
}
