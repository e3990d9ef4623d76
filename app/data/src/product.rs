//! Any file of astronomy, by its content: [`read`](crate::read) gives its parts.

use crate::{Image, LightCurve, Spectrum, Table};

/// One part of a file.
#[derive(Clone, Debug)]
pub enum Part {
    /// Rows and columns.
    Table(Table),
    /// A FITS image (two axes).
    Image(Image),
    /// A one-dimensional spectrum.
    Spectrum(Spectrum),
    /// A light curve.
    LightCurve(LightCurve),
}
