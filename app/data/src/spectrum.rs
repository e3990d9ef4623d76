//! One-dimensional spectra, and columns of a table that hold one spectrum a row.

use crate::Table;

/// In what the wavelengths are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    /// Vacuum wavelengths.
    Vacuum,
    /// Air wavelengths.
    Air,
    /// The file does not say.
    #[default]
    Unknown,
}

/// A spectrum: samples with wavelength, flux, error and a mask, all of one length.
#[derive(Clone, Debug, Default)]
pub struct Spectrum {
    /// Name for a person.
    pub name: String,
    /// Wavelength of each sample, metres; ascending or descending as in the file. For a radio
    /// spectrum on a velocity axis this is empty and `axis` holds the values.
    pub wavelength_m: Vec<f64>,
    /// The file's own axis values, in `axis_unit`.
    pub axis: Vec<f64>,
    /// Unit of `axis` as the file wrote it (`Angstrom`, `um`, `nm`, `km/s`).
    pub axis_unit: String,
    /// Flux in `flux_unit`; NaN where there is none.
    pub flux: Vec<f64>,
    /// One-sigma error, where known.
    pub error: Option<Vec<f64>>,
    /// True where the sample is good (mask, quality, finite).
    pub good: Vec<bool>,
    /// Unit of the flux; empty when unknown.
    pub flux_unit: String,
    /// Air or vacuum.
    pub medium: Medium,
    /// Which rule recognised the layout, for a person.
    pub rule: String,
    /// True when units were not in the file and had to be assumed.
    pub units_assumed: bool,
}

/// Where a table keeps one spectrum a row.
///
/// Two forms: a common grid, given by a [`Param`](crate::Param) named `axis:COLUMN` whose value is
/// `start step count` and whose unit is that of the axis (description `air` or `vacuum`); or a
/// list column of wavelengths beside the list column of fluxes (UCD `em.wl`).
#[derive(Clone, Debug, PartialEq)]
pub struct SpectraColumn {
    /// Index of the flux column (array cells).
    pub flux: usize,
    /// Index of the error or variance column, if any.
    pub error: Option<usize>,
    /// `error` holds variances, not standard deviations.
    pub error_is_variance: bool,
    /// Index of the wavelength column where each row has its own grid.
    pub wavelength: Option<usize>,
    /// The common grid in `axis_unit`, when there is one.
    pub grid: Option<Vec<f64>>,
    /// Unit of the wavelengths.
    pub axis_unit: String,
    /// Unit of the flux.
    pub flux_unit: String,
    /// Air or vacuum.
    pub medium: Medium,
}

impl SpectraColumn {
    /// The spectra of a table, if it has any.
    pub fn find(_table: &Table) -> Option<Self> {
        None
    }
    /// The spectrum of one row.
    pub fn spectrum(&self, _table: &Table, _row: usize) -> Spectrum {
        Spectrum::default()
    }
}
