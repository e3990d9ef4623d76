//! Features: a recipe that turns rows into vectors.
//!
//! Columns are transformed (log10, asinh, cosine and sine, a column a class, a place on the sphere), scaled (robust by default) and
//! their blanks filled by a stated policy; spectra are resampled to a common grid, normalised, with bad samples masked
//! (weight 0); light curves are binned by phase or time; images give the pixels of a cut-out. Uncertainties may become weights.
//! What the scaling learnt is kept ([`Prepared`]) so that new rows go through the very same numbers.

mod columns;
mod products;

use std::collections::BTreeMap;

use asterism_data::spectrum::Grid;
use asterism_reduce::prepare::{Bend, Treatment};
use asterism_reduce::{self as reduce, Scale, Scaler};
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use columns::{classes, error_column, light_curves, of_columns, sky, suggest, twins, usable};

use crate::document::Dataset;
use crate::error::{Error, Result};

/// What is done to a number before scaling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transform {
    /// Nothing.
    #[default]
    None,
    /// log10; zero and negative numbers become blanks.
    Log,
    /// asinh(x / softening), softening = the median of |x|.
    Asinh,
    /// Cosine and sine of an angle in degrees: 359° is next to 1°.
    Circle,
    /// Cosine and sine of a phase, 0 to 1.
    Phase,
    /// A column of its own for each value or word, for classes and flags: none is between two others.
    Levels,
    /// A place on the sphere as three numbers: `ra, dec` in degrees become the unit vector of that direction, which knows neither a
    /// seam at 0° nor a pole.
    Sphere,
}

impl Transform {
    /// All of them, in the order of a menu.
    pub const ALL: [Self; 7] = [Self::None, Self::Log, Self::Asinh, Self::Circle, Self::Phase, Self::Levels, Self::Sphere];

    /// As recipes and menus say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Log => "log",
            Self::Asinh => "asinh",
            Self::Circle => "circle",
            Self::Phase => "phase",
            Self::Levels => "levels",
            Self::Sphere => "sphere",
        }
    }
    /// For a person.
    pub fn help(self) -> &'static str {
        match self {
            Self::None => "The numbers as they are",
            Self::Log => "log10; zero and negative numbers become blanks",
            Self::Asinh => "asinh(x / median of |x|): a logarithm that takes zero and negative numbers",
            Self::Circle => "Cosine and sine of an angle in degrees: 359° is next to 1°",
            Self::Phase => "Cosine and sine of a phase from 0 to 1: 0.99 is next to 0.01",
            Self::Levels => "A column of its own for each value, for classes: none is between two others; 20 values at most",
            Self::Sphere => "Two angles in degrees, as in ra, dec, become a direction in space: no seam at 0°, no pole",
        }
    }
}

/// One column of vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureColumn {
    /// A column's name, or an expression such as a colour index `g - r`; with [`Transform::Sphere`] two, with a comma between.
    pub column: String,
    /// What is done to it first.
    #[serde(default)]
    pub transform: Transform,
    /// Numbers that stand for "no value", such as 99 in a column of magnitudes: they become blanks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<f64>,
}

impl FeatureColumn {
    /// A column with nothing done to it.
    pub fn plain(column: impl Into<String>) -> Self {
        Self { column: column.into(), transform: Transform::None, missing: Vec::new() }
    }
}

/// How each spectrum is brought to a common level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalise {
    /// As it is.
    None,
    /// Divided by the median of its good samples.
    #[default]
    Median,
    /// Divided by its Euclidean norm.
    L2,
}

/// What happens to blanks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blanks {
    /// The median of the column takes their place.
    #[default]
    Median,
    /// They count for nothing (weight 0), where the method takes weights; else the median.
    Mask,
    /// Rows with a blank get no place on the map.
    Omit,
}

/// Whether uncertainties count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// Every value counts alike.
    #[default]
    None,
    /// A value counts the less the more uncertain it is, where the method takes weights (PCA, autoencoder). In a column with the
    /// spread s a value ± σ has the weight 1 / (1 + σ²/s²), so that none counts for more than one without noise; a sample of a
    /// spectrum its inverse variance, cut at the 95th percentile of its spectrum and divided by that. Blanks weigh nothing.
    Errors,
}

/// What the vectors are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureKind {
    /// Columns and expressions.
    Columns(Vec<FeatureColumn>),
    /// The spectra of a column.
    Spectra {
        /// Name of the flux column; empty for the one that the table has.
        column: String,
        /// `4750..7400 A / 400`, with `log` behind for equal steps of log λ; absent for the
        /// table's own grid.
        #[serde(default)]
        grid: Option<String>,
        /// Level.
        #[serde(default)]
        normalise: Normalise,
    },
    /// The light curves of the table, binned.
    #[serde(rename = "light_curves")]
    LightCurves {
        /// Name of the brightness column; empty for the one that the table has.
        #[serde(default)]
        column: String,
        /// Number of parts of the phase, or of the time.
        bins: usize,
        /// Column or expression of the period to fold with, in the unit of the times; empty for time.
        #[serde(default)]
        period: String,
    },
    /// Cut-outs of the first image around each row, or the pictures of a column.
    Images {
        /// Side of a cut-out, pixels of the image; or of the pictures as they were read.
        size: usize,
        /// Column of pixels in array cells; empty for cut-outs.
        #[serde(default)]
        column: String,
    },
}

/// The recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// For a person and for later steps of a recipe.
    pub name: String,
    /// What of.
    pub of: FeatureKind,
    /// How columns are scaled. Spectra and images are centred only.
    pub scale: Scale,
    /// What happens to blanks.
    #[serde(default)]
    pub blanks: Blanks,
    /// Whether uncertainties count.
    #[serde(default)]
    pub weights: Weights,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            name: "features".into(),
            of: FeatureKind::Columns(Vec::new()),
            scale: Scale::Robust,
            blanks: Blanks::Median,
            weights: Weights::None,
        }
    }
}

/// What was learnt from the rows a map was fitted on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prepared {
    /// Centre and scale of each dimension.
    pub scaler: Scaler,
    /// Softening of asinh, for each column of a [`FeatureKind::Columns`] (0 elsewhere).
    pub softening: Vec<f64>,
    /// What took the place of blanks in each dimension, before scaling.
    pub fill: Vec<f64>,
    /// Names of the dimensions.
    pub names: Vec<String>,
    /// What is done to each column of a [`FeatureKind::Columns`]; empty in files of earlier versions, whose transforms need no more
    /// than the softening.
    #[serde(default)]
    pub treatments: Vec<Treatment>,
    /// Words of the columns of text that were taken as classes, by the column's name, in the order of their dimensions.
    #[serde(default)]
    pub words: BTreeMap<String, Vec<String>>,
    /// Units of the columns, by name: rows in others are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<String, String>,
}

/// `rows × dimensions` with weights.
pub struct Vectors {
    /// Values, finite.
    pub x: Array2<f32>,
    /// 0 where a value was blank, 0 to 1 where uncertainties count; absent when all count alike.
    pub weights: Option<Array2<f32>>,
    /// Row of the table of each row of `x`.
    pub rows: Vec<usize>,
    /// What new rows need.
    pub prepared: Prepared,
    /// Share of values that were blank.
    pub blank_share: f64,
}

/// Vectors of every row of the dataset from `from` on. With `prepared` the scaling of an older
/// map is used again, for new rows; without, it is learnt.
///
/// # Errors
/// When a column is not there, or nothing is left to make vectors of.
pub fn vectors(dataset: &Dataset, features: &Features, from: usize, prepared: Option<&Prepared>) -> Result<Vectors> {
    let rows = dataset.table.rows();
    let weigh = features.weights == Weights::Errors;
    let Raw { x: mut raw, mut sigma, names, mut softening, treatments, words, units } = match &features.of {
        FeatureKind::Columns(columns) => columns::raw(dataset, columns, from, prepared, weigh)?,
        FeatureKind::Spectra { column, grid, normalise } => {
            products::spectra(dataset, column, grid.as_deref(), *normalise, from, weigh)?
        }
        FeatureKind::LightCurves { column, bins, period } => products::curves(dataset, column, *bins, period, from)?,
        FeatureKind::Images { size, column } if column.is_empty() => products::cut_outs(dataset, *size, from)?,
        FeatureKind::Images { column, .. } => products::pixels(dataset, column, from)?,
    };
    if weigh && sigma.is_none() {
        return Err(Error::said(
            "no uncertainties were found to weigh by: a column NAME needs one called e_NAME or NAME_err, or with the UCD stat.error; \
             else leave --errors out (Uncertainties: ignored under Features)",
        ));
    }
    if raw.ncols() == 0 || rows <= from {
        return Err(Error::said(
            "there is nothing to make vectors of: ids, positions, dates, uncertainties, text and columns with a single value are left \
             out by themselves. Name columns, under Features or with --columns a,b",
        ));
    }
    let blank = raw.iter().filter(|v| !v.is_finite()).count();
    let blank_share = blank as f64 / raw.len().max(1) as f64;
    let mut keep: Vec<usize> = (from..rows).collect();
    // A row with no number at all has no place; with `Omit`, neither has one with any blank.
    let placed: Vec<bool> = raw
        .axis_iter(Axis(0))
        .map(|r| if features.blanks == Blanks::Omit { r.iter().all(|v| v.is_finite()) } else { r.iter().any(|v| v.is_finite()) })
        .collect();
    if placed.iter().any(|p| !p) {
        let index: Vec<usize> = (0..placed.len()).filter(|i| placed[*i]).collect();
        raw = raw.select(Axis(0), &index);
        sigma = sigma.map(|s| s.select(Axis(0), &index));
        keep = index.iter().map(|i| i + from).collect();
    }
    if raw.nrows() == 0 {
        return Err(Error::said(
            "every row has a blank in the chosen columns: pick other columns, or fill blanks under Features",
        ));
    }
    let masked = blank > 0 && features.blanks == Blanks::Mask || weigh;
    let mut weights = masked.then(|| raw.mapv(|v| if v.is_finite() { 1.0_f32 } else { 0.0 }));
    let fill: Vec<f64> = match prepared {
        Some(p) if p.fill.len() == raw.ncols() => p.fill.clone(),
        Some(p) => {
            return Err(Error::said(format!("the map was made of {} dimensions, these rows have {}", p.fill.len(), raw.ncols())));
        }
        None => raw
            .axis_iter(Axis(1))
            .into_par_iter()
            .map(|c| median(c.iter().copied().filter(|v| v.is_finite()).collect()))
            .collect(),
    };
    for (mut column, fill) in raw.axis_iter_mut(Axis(1)).zip(&fill) {
        column.mapv_inplace(|v| if v.is_finite() { v } else { *fill });
    }
    let scaler = match prepared {
        Some(p) => {
            p.scaler.apply(&mut raw)?;
            p.scaler.clone()
        }
        None => {
            let mut scaler = reduce::scale(&mut raw, features.scale);
            // Numbers that f32 does not have, 1e45 erg/s say, are counted in a power of two.
            let largest = raw.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            if largest > 1e36 || largest > 0.0 && largest < 1e-36 {
                let unit = largest.log2().floor().exp2();
                raw.mapv_inplace(|v| v / unit);
                scaler.scale.iter_mut().for_each(|s| *s *= unit);
            }
            scaler
        }
    };
    if let (Some(weights), Some(sigma)) = (&mut weights, &sigma) {
        match &features.of {
            FeatureKind::Columns(_) => columns::weigh(weights, sigma, &scaler),
            _ => products::weigh(weights, sigma),
        }
    }
    softening.resize(raw.ncols(), 0.0);
    // New rows may be out of all proportion to those that were scaled.
    let x = raw.mapv(|v| v.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32);
    Ok(Vectors {
        x,
        weights,
        rows: keep,
        prepared: Prepared { scaler, softening, fill, names, treatments, words, units },
        blank_share,
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let mid = values.len() / 2;
    *values.select_nth_unstable_by(mid, f64::total_cmp).1
}

/// Vectors before blanks are filled and before scaling.
#[derive(Default)]
struct Raw {
    /// rows × dimensions; NaN where there is no value.
    x: Array2<f64>,
    /// Uncertainty (one sigma) of each value, in the same units; NaN where none is known. Absent when there are none at all.
    sigma: Option<Array2<f64>>,
    names: Vec<String>,
    softening: Vec<f64>,
    treatments: Vec<Treatment>,
    words: BTreeMap<String, Vec<String>>,
    units: BTreeMap<String, String>,
}

/// The features with nothing left open: spectra that lie on grids of their own get a common one,
/// so that maps, models and recipes all name the same numbers. Others are given back as they are.
pub fn settled(dataset: &Dataset, features: &Features) -> Features {
    let mut features = features.clone();
    if let FeatureKind::Spectra { grid: grid @ None, .. } = &mut features.of
        && let Some(spectra) = &dataset.spectra
    {
        *grid = products::common_grid(dataset, spectra).map(|g| g.to_string());
    }
    features
}

/// What the dimensions of vectors stand against: wavelengths in the unit of the table's spectra, or phases, with a label. `None` for
/// columns and images.
pub fn axis(dataset: &Dataset, features: &Features, dims: usize) -> Option<(Vec<f64>, String)> {
    let axis: (Vec<f64>, String) = match &features.of {
        FeatureKind::Spectra { grid, .. } => {
            let spectra = dataset.spectra.as_ref()?;
            let factor = asterism_data::spectrum::metres_in(&spectra.axis_unit).unwrap_or(1e-10);
            let own = || spectra.grid.clone();
            let given = grid.as_deref().and_then(|g| g.parse::<Grid>().ok());
            let points = given.map(|g| g.points_m().iter().map(|m| m / factor).collect()).or_else(own)?;
            (points, spectra.axis_unit.clone())
        }
        FeatureKind::LightCurves { bins, period, .. } => {
            let label = if period.is_empty() { "part of the time" } else { "phase" };
            ((0..*bins).map(|i| (i as f64 + 0.5) / *bins as f64).collect(), label.into())
        }
        FeatureKind::Columns(_) | FeatureKind::Images { .. } => return None,
    };
    (axis.0.len() == dims).then_some(axis)
}

/// A vector in the units of its columns again: scaling, logarithms and asinh taken back. Cosines, sines and levels stay as they are.
pub fn in_units(prepared: &Prepared, vector: &[f32]) -> Vec<f64> {
    let bends: Vec<&Bend> = prepared.treatments.iter().flat_map(|t| std::iter::repeat_n(&t.bend, t.width())).collect();
    let one = |(i, v): (usize, &f32)| {
        let of = |list: &[f64], usual: f64| list.get(i).copied().unwrap_or(usual);
        let v = f64::from(*v) * of(&prepared.scaler.scale, 1.0) + of(&prepared.scaler.centre, 0.0);
        match bends.get(i) {
            Some(Bend::Log) => 10f64.powf(v),
            Some(Bend::Asinh { softening }) => v.sinh() * softening,
            _ => v,
        }
    };
    vector.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use asterism_data::{ColumnMeta, Table};

    fn dataset(rows: std::ops::Range<usize>) -> Dataset {
        let f = |make: &dyn Fn(usize) -> f64| rows.clone().map(make).collect::<Vec<_>>();
        let with = |name: &str, unit: &str, ucd: &str| ColumnMeta {
            name: name.into(),
            unit: Some(unit.into()),
            ucd: Some(ucd.into()),
            ..ColumnMeta::default()
        };
        let spread = |i: usize| ((i * 7919) % 1000) as f64 / 1000.0;
        let mut t = Table::default();
        let mag = f(&|i| if i % 10 == 3 { 99.0 } else { 15.0 + 5.0 * spread(i) });
        t.with_f64_column("j_mag", mag, with("j_mag", "mag", "phot.mag;em.IR.J")).unwrap();
        t.with_f64_column("flux", f(&|i| 10f64.powf(6.0 * spread(i + 11))), with("flux", "Jy", "phot.flux")).unwrap();
        t.with_f64_column("pa", f(&|i| 360.0 * spread(i + 5)), with("pa", "deg", "pos.posAng")).unwrap();
        t.with_f64_column("kind", f(&|i| (i % 3) as f64), with("kind", "", "meta.code.class")).unwrap();
        t.with_f64_column("serial", f(&|i| i as f64), with("serial", "", "")).unwrap();
        t.with_f64_column("same", f(&|_| 4.0), with("same", "", "")).unwrap();
        let ask = crate::Ask::file("t.csv");
        crate::ledger::probe(&ask, t, None, Vec::new())
    }

    #[test]
    fn columns_are_told_apart_by_their_values_and_what_stands_with_them() {
        let FeatureKind::Columns(columns) = of_columns(&dataset(0..400)).of else { panic!("columns") };
        let found: Vec<_> = columns.iter().map(|c| (c.column.as_str(), c.transform, c.missing.as_slice())).collect();
        let none: &[f64] = &[];
        assert_eq!(
            found,
            [
                ("j_mag", Transform::None, [99.0].as_slice()),
                ("flux", Transform::Log, none),
                ("pa", Transform::Circle, none),
                ("kind", Transform::Levels, none),
            ]
        );
    }

    #[test]
    fn new_rows_go_through_the_same_numbers() {
        let (all, first, rest) = (dataset(0..400), dataset(0..300), dataset(300..400));
        let features = of_columns(&all);
        let fitted = vectors(&first, &features, 0, None).unwrap();
        assert_eq!(fitted.prepared.names, ["j_mag", "log flux", "cos pa", "sin pa", "kind = 0", "kind = 1", "kind = 2"]);
        assert!(fitted.x.iter().all(|v| v.is_finite()));
        // 99 counts as blank, and stands at the median.
        assert_eq!(fitted.x[[3, 0]], 0.0);
        // The rows from 300 on by themselves, and as the end of the whole table.
        let alone = vectors(&rest, &features, 0, Some(&fitted.prepared)).unwrap();
        let end = vectors(&all, &features, 300, Some(&fitted.prepared)).unwrap();
        assert_eq!(alone.x, end.x);
        let back = in_units(&fitted.prepared, fitted.x.row(5).as_slice().unwrap());
        let flux = all.table.f64s("flux").unwrap()[5];
        assert!((back[1] / flux - 1.0).abs() < 1e-4, "{} {flux}", back[1]);
    }

    #[test]
    fn words_become_classes_and_a_new_word_is_none_of_them() {
        let with = |words: &[&str]| {
            let mut data = dataset(0..words.len());
            let mut table = (*data.table).clone();
            let words = words.iter().map(|w| (*w).to_owned()).collect();
            table.with_string_column("type", words, ColumnMeta::default()).unwrap();
            data.table = table.into();
            data
        };
        let old = with(&["star", "galaxy", "", "star", "QSO"]);
        assert_eq!(classes(&old), [("type".to_owned(), 3)]);
        let column = FeatureColumn { transform: Transform::Levels, ..FeatureColumn::plain("type") };
        let features = Features {
            of: FeatureKind::Columns(vec![column, FeatureColumn::plain("serial")]),
            scale: Scale::None,
            ..Features::default()
        };
        let fitted = vectors(&old, &features, 0, None).unwrap();
        assert_eq!(fitted.prepared.names, ["type = QSO", "type = galaxy", "type = star", "serial"]);
        let on = 1.0 / 3f32.sqrt();
        assert_eq!(fitted.x.row(0).to_vec(), [0.0, 0.0, on, 0.0]);
        assert_eq!(fitted.x.row(4).to_vec(), [on, 0.0, 0.0, 4.0]);
        let new = vectors(&with(&["galaxy", "comet"]), &features, 0, Some(&fitted.prepared)).unwrap();
        assert_eq!(new.x.row(0).to_vec(), [0.0, on, 0.0, 0.0]);
        assert_eq!(new.x.row(1).to_vec(), [0.0, 0.0, 0.0, 1.0], "a word that the map does not know");
    }

    #[test]
    fn positions_have_no_seam_and_no_pole() {
        let mut data = dataset(0..4);
        let mut table = (*data.table).clone();
        table.with_f64_column("ra", vec![359.9, 0.1, 12.0, 192.0], ColumnMeta::default()).unwrap();
        table.with_f64_column("dec", vec![0.0, 0.0, 89.9, 89.9], ColumnMeta::default()).unwrap();
        data.table = table.into();
        let column = sky(&data).unwrap();
        assert_eq!((column.column.as_str(), column.transform), ("ra, dec", Transform::Sphere));
        let features = Features { of: FeatureKind::Columns(vec![column]), scale: Scale::None, ..Features::default() };
        let x = vectors(&data, &features, 0, None).unwrap().x;
        let apart = |a: usize, b: usize| (&x.row(a) - &x.row(b)).mapv(|v| v * v).sum().sqrt().to_degrees();
        assert!((apart(0, 1) - 0.2).abs() < 1e-3 && (apart(2, 3) - 0.2).abs() < 1e-3, "{} {}", apart(0, 1), apart(2, 3));
    }

    #[test]
    fn uncertain_values_weigh_less_where_that_is_asked_for() {
        let mut data = dataset(0..40);
        let mut table = (*data.table).clone();
        let value = |i: usize| (i % 5) as f64 - 2.0;
        table.with_f64_column("v", (0..40).map(value).collect(), ColumnMeta::default()).unwrap();
        let sigma = |i: usize| if i == 7 { 3.0 } else { 0.0015 };
        table.with_f64_column("e_v", (0..40).map(sigma).collect(), ColumnMeta::default()).unwrap();
        data.table = table.into();
        assert_eq!(error_column(&data, "v").as_deref(), Some("e_v"));
        assert_eq!(error_column(&data, "flux"), None);
        let features = |of: &[&str], weights| Features {
            of: FeatureKind::Columns(of.iter().map(|c| FeatureColumn::plain(*c)).collect()),
            weights,
            ..Features::default()
        };
        assert!(vectors(&data, &features(&["v", "flux"], Weights::None), 0, None).unwrap().weights.is_none());
        let made = vectors(&data, &features(&["v", "flux"], Weights::Errors), 0, None).unwrap();
        let weights = made.weights.unwrap();
        let spread = made.prepared.scaler.scale[0];
        let expected = 1.0 / (1.0 + (3.0 / spread).powi(2));
        assert!((f64::from(weights[[7, 0]]) - expected).abs() < 1e-6, "{} {expected}", weights[[7, 0]]);
        assert!(weights[[6, 0]] > 0.999 && weights.column(1).iter().all(|w| *w == 1.0));
        let refused = vectors(&data, &features(&["flux"], Weights::Errors), 0, None);
        assert!(refused.err().unwrap().to_string().contains("e_NAME"));
    }

    #[test]
    fn columns_that_say_the_same_are_named() {
        let mut data = dataset(0..200);
        let mut table = (*data.table).clone();
        let magnitude = data.table.f64s("j_mag").unwrap();
        table.with_f64_column("again", magnitude.iter().map(|v| 2.0 * v + 1.0).collect(), ColumnMeta::default()).unwrap();
        data.table = table.into();
        let columns: Vec<_> = ["j_mag", "flux", "again"].map(FeatureColumn::plain).to_vec();
        let found = twins(&data, &columns);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("j_mag", "again"));
    }

    #[test]
    fn a_model_of_an_earlier_version_keeps_its_softening() {
        let all = dataset(0..50);
        let column = FeatureColumn { transform: Transform::Asinh, ..FeatureColumn::plain("flux") };
        let features = Features { of: FeatureKind::Columns(vec![column]), scale: Scale::None, ..Features::default() };
        let mut old = vectors(&all, &features, 0, None).unwrap().prepared;
        (old.treatments, old.softening) = (Vec::new(), vec![2.0]);
        let flux = all.table.f64s("flux").unwrap();
        let x = vectors(&all, &features, 0, Some(&old)).unwrap().x;
        assert!((f64::from(x[[7, 0]]) - (flux[7] / 2.0).asinh()).abs() < 1e-4);
    }
}
