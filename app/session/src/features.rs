//! Features: a recipe that turns rows into vectors.
//!
//! Columns are transformed (log10, asinh, cosine and sine, a column a class), scaled (robust by default) and their blanks filled by a
//! stated policy; spectra are resampled to a common grid, normalised, with bad samples masked
//! (weight 0); light curves are binned by phase or time; images give the pixels of a cut-out. What the scaling learnt is kept ([`Prepared`])
//! so that new rows go through the very same numbers.

use asterism_data::spectrum::{Grid, resample};
use asterism_reduce::prepare::{self, Bend, Kind, Recipe, Treatment};
use asterism_reduce::{self as reduce, Scale, Scaler};
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::curves::CurveColumns;
use crate::document::{Dataset, Layer};
use crate::error::{Error, Result};
use crate::select::{column_or_expression, image_positions};

/// Values that a column may have to be one of classes.
const LEVELS: usize = 20;

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
    /// A column of its own for each value, for classes and flags: none is between two others.
    Levels,
}

impl Transform {
    /// All of them, in the order of a menu.
    pub const ALL: [Self; 6] = [Self::None, Self::Log, Self::Asinh, Self::Circle, Self::Phase, Self::Levels];

    /// As recipes and menus say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Log => "log",
            Self::Asinh => "asinh",
            Self::Circle => "circle",
            Self::Phase => "phase",
            Self::Levels => "levels",
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
        }
    }
}

/// One column of vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureColumn {
    /// A column's name, or an expression such as a colour index `g - r`.
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
}

impl Default for Features {
    fn default() -> Self {
        Self { name: "features".into(), of: FeatureKind::Columns(Vec::new()), scale: Scale::Robust, blanks: Blanks::Median }
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
}

/// `rows × dimensions` with weights.
pub struct Vectors {
    /// Values, finite.
    pub x: Array2<f32>,
    /// 0 where a value was blank; absent when none was or the policy is the median.
    pub weights: Option<Array2<f32>>,
    /// Row of the table of each row of `x`.
    pub rows: Vec<usize>,
    /// What new rows need.
    pub prepared: Prepared,
    /// Share of values that were blank.
    pub blank_share: f64,
}

/// The features a person would start with: the spectra where there are spectra, light curves where
/// there are light curves, else [`of_columns`].
pub fn suggest(dataset: &Dataset) -> Features {
    if let Some(spectra) = &dataset.spectra {
        let column = dataset.table.columns()[spectra.flux].name.clone();
        return Features {
            name: "spectra".into(),
            of: FeatureKind::Spectra { column, grid: None, normalise: Normalise::Median },
            scale: Scale::None,
            blanks: Blanks::Mask,
        };
    }
    if let Some(curves) = CurveColumns::find(&dataset.table).filter(|c| c.lists) {
        return light_curves(dataset, &curves);
    }
    of_columns(dataset)
}

/// The numeric columns that are neither ids nor positions nor times, each with what its values, name, unit and UCD suggest: long
/// tails in log or asinh, angles and phases as cosine and sine, classes a column for each, numbers that stand for none as blanks.
/// Columns with more blanks than values, or with one value alone, are left out.
pub fn of_columns(dataset: &Dataset) -> Features {
    let table = &dataset.table;
    let usable: Vec<usize> = (0..table.columns().len()).filter(|i| usable(dataset, *i)).collect();
    let suggest = |i: &usize| {
        let meta = &table.columns()[*i];
        let values = table.f64s(&meta.name).ok()?;
        let profile = prepare::profile(&values);
        let treatment = prepare::suggest(&profile, kind_of(meta));
        let transform = match treatment.bend {
            Bend::Off => return None,
            Bend::Plain => Transform::None,
            Bend::Log => Transform::Log,
            Bend::Asinh { .. } => Transform::Asinh,
            Bend::Circle { turn } if turn > 1.0 => Transform::Circle,
            Bend::Circle { .. } => Transform::Phase,
            Bend::OneHot { .. } => Transform::Levels,
        };
        // Only what is there: a list that a person reads should not speak of numbers that do not occur.
        let outside = |v: &f64| treatment.within.is_some_and(|[low, high]| *v < low || *v > high);
        let mut missing: Vec<f64> =
            values.iter().copied().filter(|v| v.is_finite() && (treatment.sentinels.contains(v) || outside(v))).collect();
        missing.sort_by(f64::total_cmp);
        missing.dedup();
        missing.truncate(8);
        Some(FeatureColumn { column: meta.name.clone(), transform, missing })
    };
    let columns = usable.par_iter().filter_map(suggest).collect();
    Features { name: "columns".into(), of: FeatureKind::Columns(columns), scale: Scale::Robust, blanks: Blanks::Median }
}

/// What a column's unit, UCD and name tell of it.
fn kind_of(meta: &asterism_data::ColumnMeta) -> Option<Kind> {
    let lower = |text: &Option<String>| text.as_deref().unwrap_or("").to_ascii_lowercase();
    let (unit, ucd, name) = (lower(&meta.unit), lower(&meta.ucd), meta.name.to_ascii_lowercase());
    if ucd.starts_with("phot.color") || ucd.starts_with("phot_ci") {
        Some(Kind::Colour)
    } else if unit == "mag" || ucd.starts_with("phot.mag") || ucd.starts_with("phot_mag") {
        Some(Kind::Magnitude)
    } else if ucd.starts_with("pos.posang")
        || (unit == "deg" && ["pa", "theta", "posang", "position_angle"].contains(&name.as_str()))
    {
        Some(Kind::Angle)
    } else if ucd.starts_with("time.phase") || name == "phase" {
        Some(Kind::Phase)
    } else if ucd.starts_with("meta.code") {
        Some(Kind::Class)
    } else if ucd.starts_with("phot.flux") || ucd.starts_with("phot.count") {
        Some(Kind::Flux)
    } else {
        None
    }
}

/// Light curves in 64 parts, folded where a column says it is the period.
pub fn light_curves(dataset: &Dataset, curves: &CurveColumns) -> Features {
    let table = &dataset.table;
    let period = (0..table.columns().len()).find(|i| {
        let meta = &table.columns()[*i];
        let ucd = meta.ucd.as_deref().unwrap_or("").to_ascii_lowercase();
        table.is_numeric(*i) && (ucd.starts_with("time.period") || meta.name.to_ascii_lowercase().starts_with("period"))
    });
    Features {
        name: "light curves".into(),
        of: FeatureKind::LightCurves {
            column: table.columns()[curves.flux].name.clone(),
            bins: 64,
            period: period.map_or(String::new(), |i| table.columns()[i].name.clone()),
        },
        scale: Scale::None,
        blanks: Blanks::Mask,
    }
}

/// Whether a column may be a feature or a term of a rule: a number, not an id, not a position on
/// the sky or a picture, not a date.
pub fn usable(dataset: &Dataset, index: usize) -> bool {
    let table = &dataset.table;
    let meta = &table.columns()[index];
    if !table.is_numeric(index) {
        return false;
    }
    let ucd = meta.ucd.as_deref().unwrap_or("").to_ascii_lowercase();
    let name = meta.name.to_ascii_lowercase();
    let position = ucd.starts_with("pos.eq")
        || ucd.starts_with("pos.galactic")
        || ucd.starts_with("pos.cartesian")
        || ucd.starts_with("pos_eq");
    let id = ucd.starts_with("meta.id") || ucd.starts_with("meta.record") || ucd.starts_with("id_main");
    let by_name = [
        "ra",
        "dec",
        "s_ra",
        "s_dec",
        "x",
        "y",
        "id",
        "objid",
        "obsid",
        "recno",
        "glon",
        "glat",
        "l",
        "b",
        "spaxel",
        "_healpix_29",
    ];
    let error = name.starts_with("e_") || name.ends_with("_err") || name.ends_with("_error") || ucd.starts_with("stat.error");
    let time = ucd.starts_with("time.") || ["t_min", "t_max", "t_obs_release"].contains(&name.as_str());
    !(position
        || id
        || error
        || time
        || by_name.contains(&name.as_str())
        || name.ends_with("id") && meta.datatype.starts_with('i'))
}

/// Vectors of every row of the dataset from `from` on. With `prepared` the scaling of an older
/// map is used again, for new rows; without, it is learnt.
///
/// # Errors
/// When a column is not there, or nothing is left to make vectors of.
pub fn vectors(dataset: &Dataset, features: &Features, from: usize, prepared: Option<&Prepared>) -> Result<Vectors> {
    let rows = dataset.table.rows();
    let mut treatments = Vec::new();
    let (mut raw, names, mut softening) = match &features.of {
        FeatureKind::Columns(columns) => {
            let (raw, done) = columns_raw(dataset, columns, from, prepared)?;
            treatments = done;
            raw
        }
        FeatureKind::Spectra { column, grid, normalise } => spectra_raw(dataset, column, grid.as_deref(), *normalise, from)?,
        FeatureKind::LightCurves { column, bins, period } => curves_raw(dataset, column, *bins, period, from)?,
        FeatureKind::Images { size, column } if column.is_empty() => images_raw(dataset, *size, from)?,
        FeatureKind::Images { column, .. } => pixels_raw(dataset, column, from)?,
    };
    if raw.ncols() == 0 || rows <= from {
        return Err(Error::said("there is nothing to make vectors of: pick some columns under Features"));
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
        keep = index.iter().map(|i| i + from).collect();
    }
    if raw.nrows() == 0 {
        return Err(Error::said(
            "every row has a blank in the chosen columns: pick other columns, or fill blanks under Features",
        ));
    }
    let weights = (blank > 0 && features.blanks == Blanks::Mask).then(|| raw.mapv(|v| if v.is_finite() { 1.0_f32 } else { 0.0 }));
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
        None => reduce::scale(&mut raw, features.scale),
    };
    softening.resize(raw.ncols(), 0.0);
    let x = raw.mapv(|v| v as f32);
    Ok(Vectors { x, weights, rows: keep, prepared: Prepared { scaler, softening, fill, names, treatments }, blank_share })
}

fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let mid = values.len() / 2;
    *values.select_nth_unstable_by(mid, f64::total_cmp).1
}

type Raw = (Array2<f64>, Vec<String>, Vec<f64>);

fn columns_raw(
    dataset: &Dataset,
    columns: &[FeatureColumn],
    from: usize,
    prepared: Option<&Prepared>,
) -> Result<(Raw, Vec<Treatment>)> {
    let mut values = Vec::with_capacity(columns.len());
    let mut recipe = Recipe::default();
    for (i, column) in columns.iter().enumerate() {
        let mut all = column_or_expression(dataset, &column.column)?;
        all.drain(..from.min(all.len()));
        let known = prepared.and_then(|p| p.treatments.get(i).cloned());
        // A model of an earlier version kept the softening alone.
        let softening = prepared.and_then(|p| p.softening.get(i).copied()).filter(|s| *s > 0.0);
        recipe.columns.push(known.map_or_else(|| treatment(column, &all, softening), Ok)?);
        values.push(all);
    }
    let raw = recipe.apply(&values)?;
    let names = columns.iter().zip(&recipe.columns).flat_map(|(c, t)| t.names(&c.column)).collect();
    let softening = recipe.columns.iter().map(|t| if let Bend::Asinh { softening } = t.bend { softening } else { 0.0 }).collect();
    Ok(((raw, names, softening), recipe.columns))
}

/// What is done to the values of a column.
fn treatment(column: &FeatureColumn, values: &[f64], softening: Option<f64>) -> Result<Treatment> {
    let good = || values.iter().copied().filter(|v| v.is_finite() && !column.missing.contains(v));
    let bend = match column.transform {
        Transform::None => Bend::Plain,
        Transform::Log => Bend::Log,
        Transform::Asinh => {
            let softening = softening.unwrap_or_else(|| median(good().map(f64::abs).collect()));
            Bend::Asinh { softening: if softening > 0.0 { softening } else { 1.0 } }
        }
        Transform::Circle => Bend::Circle { turn: 360.0 },
        Transform::Phase => Bend::Circle { turn: 1.0 },
        Transform::Levels => {
            let mut levels: Vec<f64> = good().collect();
            levels.sort_by(f64::total_cmp);
            levels.dedup();
            if levels.is_empty() || levels.len() > LEVELS {
                let what =
                    format!("'{}' has {} values: a column for each is made of up to {LEVELS}", column.column, levels.len());
                return Err(Error::said(format!("{what}; choose another transform")));
            }
            let weight = 1.0 / (levels.len() as f64).sqrt();
            Bend::OneHot { levels, weight }
        }
    };
    Ok(Treatment { bend, sentinels: column.missing.clone(), within: None, why: String::new() })
}

fn spectra_raw(dataset: &Dataset, column: &str, grid: Option<&str>, normalise: Normalise, from: usize) -> Result<Raw> {
    let spectra =
        dataset.spectra.as_deref().ok_or_else(|| Error::said(format!("'{}' has no column of spectra", dataset.name)))?;
    let table = &dataset.table;
    if !column.is_empty() && table.column_index(column) != Some(spectra.flux) {
        return Err(Error::said(format!("column '{column}' holds no spectra; '{}' does", table.columns()[spectra.flux].name)));
    }
    let rows = table.rows();
    let grid: Option<Grid> = match grid {
        Some(text) => Some(text.parse()?),
        None => None,
    };
    let one = |row: usize| -> Vec<f64> {
        let spectrum = spectra.spectrum(table, row);
        let mut flux: Vec<f64> = match &grid {
            Some(grid) => {
                let (flux, weight) = resample(&spectrum, grid);
                flux.iter().zip(&weight).map(|(f, w)| if *w > 0.0 { f64::from(*f) } else { f64::NAN }).collect()
            }
            None => spectrum.flux.iter().zip(&spectrum.good).map(|(f, good)| if *good { *f } else { f64::NAN }).collect(),
        };
        let good: Vec<f64> = flux.iter().copied().filter(|v| v.is_finite()).collect();
        let level = match normalise {
            Normalise::None => 1.0,
            Normalise::Median => median(good),
            Normalise::L2 => good.iter().map(|v| v * v).sum::<f64>().sqrt(),
        };
        let level = if level.abs() > 0.0 { level.abs() } else { 1.0 };
        flux.iter_mut().for_each(|v| *v /= level);
        flux
    };
    let all: Vec<Vec<f64>> = (from..rows).into_par_iter().map(one).collect();
    let dims = all.iter().map(Vec::len).max().unwrap_or(0);
    if all.iter().any(|v| v.len() != dims && !v.is_empty()) {
        return Err(Error::said(
            "the spectra have different numbers of samples: give a common grid under Features, such as 4750..7400 A / 400",
        ));
    }
    Ok((stacked(&all, dims), (0..dims).map(|i| format!("sample {i}")).collect(), Vec::new()))
}

/// Rows of one length below each other; a row that is shorter ends in blanks.
fn stacked(rows: &[Vec<f64>], dims: usize) -> Array2<f64> {
    let mut raw = Array2::from_elem((rows.len(), dims), f64::NAN);
    for (row, values) in rows.iter().enumerate() {
        for (i, v) in values.iter().enumerate() {
            raw[[row, i]] = *v;
        }
    }
    raw
}

/// The features with nothing left open: spectra that lie on grids of their own get a common one,
/// so that maps, models and recipes all name the same numbers. Others are given back as they are.
pub fn settled(dataset: &Dataset, features: &Features) -> Features {
    let mut features = features.clone();
    if let FeatureKind::Spectra { grid: grid @ None, .. } = &mut features.of
        && let Some(spectra) = &dataset.spectra
    {
        *grid = common_grid(dataset, spectra).map(|g| g.to_string());
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

/// A grid that most spectra of a column share, where they do not lie on one anyway: from the 75th
/// percentile of their first wavelengths to the 25th of their last (if that leaves nothing, from
/// median to median), with as many points as half of them have there, 64 to 1,000.
fn common_grid(dataset: &Dataset, spectra: &asterism_data::SpectraColumn) -> Option<Grid> {
    spectra.wavelength?;
    let rows = dataset.table.rows();
    let step = rows.div_ceil(2_000).max(1);
    let axes: Vec<Vec<f64>> = (0..rows)
        .step_by(step)
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|row| spectra.spectrum(&dataset.table, row).wavelength_m)
        .filter(|w| w.len() > 1)
        .collect();
    let first = axes.first()?;
    let same = |w: &Vec<f64>| w.len() == first.len() && w.iter().zip(first).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs());
    if axes.iter().all(same) {
        return None;
    }
    let ends = |pick: fn(&Vec<f64>) -> f64| {
        let mut v: Vec<f64> = axes.iter().map(pick).filter(|v| v.is_finite()).collect();
        v.sort_by(f64::total_cmp);
        v
    };
    let (starts, stops) = (
        ends(|w| w.iter().copied().fold(f64::INFINITY, f64::min)),
        ends(|w| w.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
    );
    let at = |v: &[f64], q: f64| v[((v.len() - 1) as f64 * q).round() as usize];
    let wide = (at(&starts, 0.75), at(&stops, 0.25));
    let (start_m, stop_m) = if wide.1 > wide.0 { wide } else { (at(&starts, 0.5), at(&stops, 0.5)) };
    if !(stop_m > start_m && start_m > 0.0) {
        return None;
    }
    let mut counts: Vec<usize> = axes.iter().map(|w| w.iter().filter(|v| (start_m..=stop_m).contains(*v)).count()).collect();
    counts.sort_unstable();
    let n = counts[counts.len() / 2].clamp(64, 1_000);
    Some(Grid { start_m, stop_m, n, log: false })
}

fn curves_raw(dataset: &Dataset, column: &str, bins: usize, period: &str, from: usize) -> Result<Raw> {
    let table = &dataset.table;
    let curves = CurveColumns::find(table)
        .filter(|c| c.lists)
        .ok_or_else(|| Error::said(format!("'{}' has no column with a light curve in each row", dataset.name)))?;
    if !column.is_empty() && table.column_index(column) != Some(curves.flux) {
        return Err(Error::said(format!(
            "column '{column}' holds no light curves; '{}' does",
            table.columns()[curves.flux].name
        )));
    }
    let bins = bins.clamp(4, 1_024);
    let periods = if period.is_empty() { None } else { Some(column_or_expression(dataset, period)?) };
    let magnitudes = curves.is_magnitude(table);
    let one = |row: usize| match &periods {
        // A row without a period has no phase.
        Some(periods) if !periods.get(row).is_some_and(|p| *p > 0.0) => vec![f64::NAN; bins],
        Some(periods) => crate::curves::binned(&curves.points(table, row), bins, periods[row], magnitudes),
        None => crate::curves::binned(&curves.points(table, row), bins, 0.0, magnitudes),
    };
    let all: Vec<Vec<f64>> = (from..table.rows()).into_par_iter().map(one).collect();
    let what = if period.is_empty() { "time" } else { "phase" };
    Ok((stacked(&all, bins), (0..bins).map(|i| format!("{what} {i}/{bins}")).collect(), Vec::new()))
}

/// Pixels in array cells, each picture divided by its norm.
fn pixels_raw(dataset: &Dataset, column: &str, from: usize) -> Result<Raw> {
    let table = &dataset.table;
    let index = table.column_index(column).ok_or_else(|| Error::said(format!("there is no column '{column}'")))?;
    let mut all: Vec<Vec<f64>> = (from..table.rows()).map(|row| table.array(index, row)).collect();
    let dims = all.iter().map(Vec::len).max().unwrap_or(0);
    if dims == 0 || all.iter().any(|v| v.len() != dims && !v.is_empty()) {
        return Err(Error::said(format!("column '{column}' holds no pictures of one size")));
    }
    for values in &mut all {
        let norm = values.iter().filter(|v| v.is_finite()).map(|v| v * v).sum::<f64>().sqrt();
        if norm > 0.0 {
            values.iter_mut().for_each(|v| *v /= norm);
        }
    }
    Ok((stacked(&all, dims), (0..dims).map(|i| format!("pixel {i}")).collect(), Vec::new()))
}

fn images_raw(dataset: &Dataset, size: usize, from: usize) -> Result<Raw> {
    let layer = dataset.images.first().ok_or_else(|| Error::said(format!("'{}' has no image to cut out of", dataset.name)))?;
    let size = size.clamp(4, 128);
    let at = image_positions(dataset, 0)?;
    let value = |x: i64, y: i64| -> f64 {
        match &layer.pixels {
            Layer::Fits(image) => {
                let [h, w] = image.shape;
                if x < 0 || y < 0 || x as usize >= w || y as usize >= h {
                    f64::NAN
                } else {
                    f64::from(image.pixels[y as usize * w + x as usize])
                }
            }
            Layer::Picture(picture) => {
                let [h, w] = picture.shape;
                if x < 0 || y < 0 || x as usize >= w || y as usize >= h {
                    return f64::NAN;
                }
                let p = (y as usize * w + x as usize) * 4;
                picture.rgba[p..p + 3].iter().map(|v| f64::from(*v)).sum::<f64>() / 3.0
            }
        }
    };
    let at = at.get(from..).unwrap_or(&[]);
    let mut raw = Array2::from_elem((at.len(), size * size), f64::NAN);
    for (row, p) in at.iter().enumerate() {
        if !(p[0].is_finite() && p[1].is_finite()) {
            continue;
        }
        let (x0, y0) = (p[0].round() as i64 - size as i64 / 2, p[1].round() as i64 - size as i64 / 2);
        let mut norm = 0.0;
        for i in 0..size * size {
            let v = value(x0 + (i % size) as i64, y0 + (i / size) as i64);
            raw[[row, i]] = v;
            if v.is_finite() {
                norm += v * v;
            }
        }
        let norm = norm.sqrt();
        if norm > 0.0 {
            raw.row_mut(row).mapv_inplace(|v| v / norm);
        }
    }
    Ok((raw, (0..size * size).map(|i| format!("pixel {} {}", i % size, i / size)).collect(), Vec::new()))
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
        let ask = crate::Ask::File { path: "t.csv".into(), filter: None, max_rows: None };
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
