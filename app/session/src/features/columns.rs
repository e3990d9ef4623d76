//! Vectors of columns: which may be features, what each suggests, and how its numbers or words become dimensions.

use std::collections::BTreeMap;

use asterism_data::ColumnMeta;
use asterism_reduce::Scale;
use asterism_reduce::Scaler;
use asterism_reduce::prepare::{self, Bend, Kind, Recipe, Treatment};
use ndarray::{Array2, Axis};
use rayon::prelude::*;

use super::{Blanks, FeatureColumn, FeatureKind, Features, Normalise, Prepared, Raw, Transform, Weights, median};
use crate::curves::CurveColumns;
use crate::document::Dataset;
use crate::error::{Error, Result};
use crate::select::column_or_expression;

/// Values that a column may have to be one of classes.
const LEVELS: usize = 20;
/// Values by which a column of fractions is judged, about.
const JUDGED: usize = 400_000;
/// Values beyond those that are taken as well, at most.
const RARE: usize = 1_000;
/// Correlation from which on two columns say the same.
const TWINS: f64 = 0.999;
/// Rows that are looked at for columns that say the same.
const TWIN_ROWS: usize = 20_000;

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
            weights: Weights::None,
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
        let mut profile = prepare::profile(&looked_at(&values));
        // Measured numbers are whole where they are large enough, 1e33 erg/s say; names in numbers count, or are of a whole type.
        let counts = profile.range[1] - profile.range[0] < 2.0 * profile.rows as f64;
        if profile.kind == Kind::Id && meta.datatype.starts_with('f') && !counts {
            profile.kind = Kind::Number;
        }
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
    Features {
        name: "columns".into(),
        of: FeatureKind::Columns(columns),
        scale: Scale::Robust,
        blanks: Blanks::Median,
        weights: Weights::None,
    }
}

/// Values by which a column of very many is judged: of one with fractions every n-th, and all that lie beyond those, so that a number
/// that stands for none is there however rare. Whole numbers may be ids or classes, which only all of them tell.
fn looked_at(values: &[f64]) -> std::borrow::Cow<'_, [f64]> {
    let step = values.len() / JUDGED;
    let fraction = |v: &f64| v.is_finite() && v.fract() != 0.0;
    if step < 2 || !values.iter().step_by(step * 64).any(fraction) {
        return values.into();
    }
    let mut some: Vec<f64> = values.iter().copied().step_by(step).collect();
    let finite = some.iter().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    let others =
        move || values.iter().enumerate().filter(move |(i, v)| !i.is_multiple_of(step) && v.is_finite()).map(|(_, v)| *v);
    // A number at an end may be one that stands for none: that it is there more than once is what matters, not how often.
    let beyond = others().filter(|v| *v < low || *v > high).take(RARE);
    let ends: Vec<f64> =
        beyond.chain(others().filter(|v| *v == low).take(2)).chain(others().filter(|v| *v == high).take(2)).collect();
    some.extend(ends);
    some.into()
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
        weights: Weights::None,
    }
}

/// Whether a column of text names rows.
fn is_id(meta: &ColumnMeta) -> bool {
    let ucd = meta.ucd.as_deref().unwrap_or("").to_ascii_lowercase();
    let name = meta.name.to_ascii_lowercase();
    ucd.starts_with("meta.id") || ucd.starts_with("meta.record") || ["id", "name", "objid"].contains(&name.as_str())
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
        "mjd",
        "jd",
        "hjd",
        "bjd",
        "objid",
        "obsid",
        "recno",
        "glon",
        "glat",
        "spaxel",
        "_healpix_29",
    ];
    // The uncertainty of something that is there: E_BV is a colour excess.
    let of_another = |rest: Option<&str>| rest.is_some_and(|rest| table.column_index(rest).is_some());
    let error = of_another(name.strip_prefix("e_"))
        || name.ends_with("_err")
        || name.ends_with("_error")
        || ucd.starts_with("stat.error");
    let time = ucd.starts_with("time.")
        || ["t_min", "t_max", "t_obs_release"].contains(&name.as_str())
        || name.starts_with("mjd_")
        || ["_mjd", "_jd", "_hjd", "_bjd"].iter().any(|end| name.ends_with(end));
    // Galactic coordinates, not the magnitudes of those names.
    let unit = meta.unit.as_deref().unwrap_or("").to_ascii_lowercase();
    let galactic = ["l", "b"].contains(&name.as_str()) && unit != "mag" && (unit.starts_with("deg") || meta.name == name);
    !(position
        || galactic
        || id
        || error
        || time
        || by_name.contains(&name.as_str())
        || name.ends_with("id") && meta.datatype.starts_with('i'))
}

/// Columns of text with 2 to 20 different words, which may be features as classes ([`Transform::Levels`]), with the number of words.
pub fn classes(dataset: &Dataset) -> Vec<(String, usize)> {
    let table = &dataset.table;
    let text = |meta: &&ColumnMeta| meta.datatype == "string" && !is_id(meta);
    let few = |meta: &ColumnMeta| {
        let mut seen: Vec<String> = Vec::new();
        let words = table.strings(&meta.name).ok()?;
        for word in words.into_iter().flatten().filter(|w| !w.trim().is_empty()) {
            if !seen.contains(&word) {
                if seen.len() == LEVELS {
                    return None;
                }
                seen.push(word);
            }
        }
        (seen.len() > 1).then(|| (meta.name.clone(), seen.len()))
    };
    let texts: Vec<&ColumnMeta> = table.columns().iter().filter(text).collect();
    texts.into_par_iter().filter_map(few).collect()
}

/// The position on the sky as a feature, where the table has one.
pub fn sky(dataset: &Dataset) -> Option<FeatureColumn> {
    let (ra, dec) = dataset.sky_columns()?;
    Some(FeatureColumn { transform: Transform::Sphere, ..FeatureColumn::plain(format!("{ra}, {dec}")) })
}

/// Name of the column with the uncertainties of another: `e_NAME`, `NAME_err`, `NAME_error` and their like, or the only one whose UCD
/// is `stat.error` of the other's.
pub fn error_column(dataset: &Dataset, name: &str) -> Option<String> {
    let table = &dataset.table;
    let index = table.column_index(name)?;
    let plain = name.to_ascii_lowercase();
    let ends = ["_err", "_error", "err", "error", "_sigma", "_unc", "_uncertainty", "sig", "_e"];
    let starts = ["e_", "err_", "error_", "sigma_", "sig_"];
    let wanted: Vec<String> =
        starts.iter().map(|s| format!("{s}{plain}")).chain(ends.iter().map(|e| format!("{plain}{e}"))).collect();
    let numbers: Vec<usize> = (0..table.columns().len()).filter(|i| *i != index && table.is_numeric(*i)).collect();
    let meta = |i: usize| &table.columns()[i];
    let named = wanted.iter().find_map(|w| numbers.iter().find(|i| meta(**i).name.eq_ignore_ascii_case(w)));
    let by_ucd = || {
        let ucd = meta(index).ucd.as_deref().filter(|u| !u.is_empty())?;
        let of = |i: &&usize| {
            let other = meta(**i).ucd.as_deref().unwrap_or("");
            other.to_ascii_lowercase().strip_prefix("stat.error;").is_some_and(|rest| rest.eq_ignore_ascii_case(ucd))
        };
        let mut found = numbers.iter().filter(of);
        found.next().filter(|_| found.next().is_none())
    };
    named.or_else(by_ucd).map(|i| meta(*i).name.clone())
}

/// Pairs among the chosen columns that say nearly the same (|correlation| above 0.999), so that what they say counts twice; strongest
/// first. Of large tables every so many-th row is looked at.
pub fn twins(dataset: &Dataset, columns: &[FeatureColumn]) -> Vec<(String, String, f64)> {
    let step = dataset.table.rows().div_ceil(TWIN_ROWS).max(1);
    let read = |c: &FeatureColumn| {
        let mut values: Vec<f64> = column_or_expression(dataset, &c.column).ok()?.into_iter().step_by(step).collect();
        values.iter_mut().filter(|v| c.missing.contains(v)).for_each(|v| *v = f64::NAN);
        Some((c.column.clone(), values))
    };
    let plain = |c: &&FeatureColumn| matches!(c.transform, Transform::None | Transform::Log | Transform::Asinh);
    let (names, values): (Vec<String>, Vec<Vec<f64>>) = columns.iter().filter(plain).filter_map(read).unzip();
    prepare::twins(&values, TWINS).into_iter().map(|(a, b, r)| (names[a].clone(), names[b].clone(), r)).collect()
}

/// One feature's numbers, before scaling: a column for each treatment.
struct Part {
    values: Vec<Vec<f64>>,
    treatments: Vec<Treatment>,
    names: Vec<String>,
    /// Uncertainties of the first column of values, in its unit.
    sigma: Option<Vec<f64>>,
}

pub(super) fn raw(
    dataset: &Dataset,
    columns: &[FeatureColumn],
    from: usize,
    prepared: Option<&Prepared>,
    weigh: bool,
) -> Result<Raw> {
    let mut parts = Vec::with_capacity(columns.len());
    let mut words: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut units = BTreeMap::new();
    let mut at = 0;
    for column in columns {
        let known = |i: usize| prepared.and_then(|p| p.treatments.get(at + i).cloned());
        let part = if column.transform == Transform::Sphere {
            sphere(dataset, column, from)?
        } else if let Some(text) = text_of(dataset, column, from)? {
            let known_words = prepared.and_then(|p| p.words.get(&column.column));
            let (values, levels) = coded(column, &text, known_words)?;
            let treatment = known(0).map_or_else(|| treatment(column, &values, None), Ok)?;
            let names = levels.iter().map(|w| format!("{} = {w}", column.column)).collect();
            words.insert(column.column.clone(), levels);
            Part { values: vec![values], treatments: vec![treatment], names, sigma: None }
        } else {
            if let Some(unit) = unit_of(dataset, &column.column) {
                let before = prepared.and_then(|p| p.units.get(&column.column)).filter(|b| plain_unit(b) != plain_unit(&unit));
                if let Some(before) = before {
                    let what = format!("column {} is in {unit} here, and the map was made of {before}", column.column);
                    return Err(Error::said(format!("{what}: bring it to {before} first")));
                }
                units.insert(column.column.clone(), unit);
            }
            let mut values = column_or_expression(dataset, &column.column)?;
            values.drain(..from.min(values.len()));
            // A model of an earlier version kept the softening alone.
            let softening = prepared.and_then(|p| p.softening.get(at).copied()).filter(|s| *s > 0.0);
            let treatment = known(0).map_or_else(|| treatment(column, &values, softening), Ok)?;
            let names = treatment.names(&column.column);
            let sigma = if weigh { sigmas(dataset, column, from)? } else { None };
            Part { values: vec![values], treatments: vec![treatment], names, sigma }
        };
        at += part.treatments.len();
        parts.push(part);
    }
    let sigma = parts.iter().any(|p| p.sigma.is_some()).then(|| sigma_of(&parts));
    let names = parts.iter().flat_map(|p| p.names.clone()).collect();
    let (values, treatments): (Vec<_>, Vec<_>) = parts.into_iter().map(|p| (p.values, p.treatments)).unzip();
    let values: Vec<Vec<f64>> = values.into_iter().flatten().collect();
    let recipe = Recipe { columns: treatments.into_iter().flatten().collect() };
    let x = recipe.apply(&values)?;
    let softening = recipe.columns.iter().map(|t| if let Bend::Asinh { softening } = t.bend { softening } else { 0.0 }).collect();
    Ok(Raw { x, sigma, names, softening, treatments: recipe.columns, words, units })
}

/// The unit of a column, where it has one.
fn unit_of(dataset: &Dataset, name: &str) -> Option<String> {
    let index = dataset.table.column_index(name)?;
    dataset.table.columns()[index].unit.clone().filter(|u| !u.trim().is_empty())
}

/// A unit without what its spellings differ in: `km/s`, `km.s-1` and `km s**-1` are one.
fn plain_unit(unit: &str) -> String {
    let (mut out, mut below) = (String::new(), false);
    for part in
        unit.trim().replace("**", "").replace(['^', '(', ')', '{', '}', '_', '"', '\''], "").split_inclusive(['/', '.', '*', ' '])
    {
        let word = part.trim_end_matches(['/', '.', '*', ' ']);
        out.push_str(match word {
            "degree" | "degrees" | "Degrees" => "deg",
            "Angstrom" | "Angstroms" | "angstrom" | "\u{c5}" | "AA" => "A",
            "sec" | "second" | "seconds" => "s",
            "day" | "days" => "d",
            word => word,
        });
        if below && !word.is_empty() {
            out.push_str("-1");
        }
        below = part.ends_with('/');
    }
    out
}

/// The unit vector of a position: x towards (0°, 0°), z towards the pole.
fn sphere(dataset: &Dataset, column: &FeatureColumn, from: usize) -> Result<Part> {
    let Some((ra, dec)) = column.column.split_once(',').map(|(a, b)| (a.trim(), b.trim())) else {
        return Err(Error::said(format!(
            "'{}' is no position: two columns in degrees with a comma between, as in ra, dec",
            column.column
        )));
    };
    let read = |name: &str| column_or_expression(dataset, name).map(|v| v.get(from..).unwrap_or(&[]).to_vec());
    let (ra, dec) = (read(ra)?, read(dec)?);
    let each = |f: fn(f64, f64) -> f64| -> Vec<f64> {
        ra.iter().zip(&dec).map(|(a, d)| if d.abs() <= 90.0 { f(a.to_radians(), d.to_radians()) } else { f64::NAN }).collect()
    };
    let plain = Treatment { bend: Bend::Plain, sentinels: Vec::new(), within: None, why: String::new() };
    Ok(Part {
        values: vec![each(|a, d| d.cos() * a.cos()), each(|a, d| d.cos() * a.sin()), each(|_, d| d.sin())],
        treatments: vec![plain; 3],
        names: ["x", "y", "z"].map(|axis| format!("{axis} of {}", column.column)).to_vec(),
        sigma: None,
    })
}

/// The words of a column that is to be classes; `None` when it holds numbers.
fn text_of(dataset: &Dataset, column: &FeatureColumn, from: usize) -> Result<Option<Vec<Option<String>>>> {
    let text = |i: usize| dataset.table.columns()[i].datatype == "string";
    if column.transform != Transform::Levels || !dataset.table.column_index(&column.column).is_some_and(text) {
        return Ok(None);
    }
    let mut words = dataset.table.strings(&column.column)?;
    words.drain(..from.min(words.len()));
    Ok(Some(words))
}

/// Words as numbers 0, 1, 2, … in their order; a word that was not among those a map was made with is none of them.
fn coded(column: &FeatureColumn, text: &[Option<String>], known: Option<&Vec<String>>) -> Result<(Vec<f64>, Vec<String>)> {
    let word = |w: &Option<String>| w.as_deref().map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned);
    let levels = known.cloned().unwrap_or_else(|| {
        let all: std::collections::BTreeSet<String> = text.iter().filter_map(word).collect();
        all.into_iter().collect()
    });
    if levels.is_empty() || levels.len() > LEVELS {
        let what = format!("'{}' has {} words: a column for each is made of up to {LEVELS}", column.column, levels.len());
        return Err(Error::said(format!("{what}; leave it out")));
    }
    // Beyond the last level stands for a word that is new.
    let code = |w: String| levels.binary_search(&w).unwrap_or(levels.len()) as f64;
    Ok((text.iter().map(|w| word(w).map_or(f64::NAN, code)).collect(), levels))
}

fn sigmas(dataset: &Dataset, column: &FeatureColumn, from: usize) -> Result<Option<Vec<f64>>> {
    let Some(error) = error_column(dataset, &column.column) else { return Ok(None) };
    let mut sigma = dataset.table.f64s(&error)?;
    sigma.drain(..from.min(sigma.len()));
    Ok(Some(sigma))
}

/// Uncertainties in the units of the dimensions, by the slope of what is done to the values.
fn sigma_of(parts: &[Part]) -> Array2<f64> {
    let rows = parts.first().and_then(|p| p.values.first()).map_or(0, Vec::len);
    let width: usize = parts.iter().flat_map(|p| &p.treatments).map(Treatment::width).sum();
    let mut out = Array2::from_elem((rows, width), f64::NAN);
    let mut first = 0;
    for part in parts {
        let own: usize = part.treatments.iter().map(Treatment::width).sum();
        if let (Some(sigma), Some(values)) = (&part.sigma, part.values.first()) {
            let slope = |v: f64| match part.treatments[0].bend {
                Bend::Plain => 1.0,
                Bend::Log => 1.0 / (v.abs() * std::f64::consts::LN_10),
                Bend::Asinh { softening } => 1.0 / v.hypot(softening),
                Bend::Circle { turn } => std::f64::consts::TAU / turn,
                Bend::Off | Bend::OneHot { .. } => f64::NAN,
            };
            for (row, (s, v)) in sigma.iter().zip(values).enumerate() {
                let here = if *s > 0.0 { s * slope(*v) } else { f64::NAN };
                (first..first + own).for_each(|d| out[[row, d]] = here);
            }
        }
        first += own;
    }
    out
}

/// The weight 1 / (1 + σ²/s²) with the spread s of the dimension; 1 where no uncertainty is known.
pub(super) fn weigh(weights: &mut Array2<f32>, sigma: &Array2<f64>, scaler: &Scaler) {
    for (d, mut column) in weights.axis_iter_mut(Axis(1)).enumerate() {
        // Without scaling the uncertainties themselves say what is much.
        let spread = match scaler.how {
            Scale::None => median(sigma.column(d).iter().copied().filter(|s| s.is_finite()).collect()),
            _ => scaler.scale[d],
        };
        for (w, s) in column.iter_mut().zip(sigma.column(d)) {
            if s.is_finite() && spread > 0.0 {
                *w *= (1.0 / (1.0 + (s / spread).powi(2))) as f32;
            }
        }
    }
}

/// What is done to the values of a column.
fn treatment(column: &FeatureColumn, values: &[f64], softening: Option<f64>) -> Result<Treatment> {
    let good = || values.iter().copied().filter(|v| v.is_finite() && !column.missing.contains(v));
    let bend = match column.transform {
        Transform::None | Transform::Sphere => Bend::Plain,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_unit_are_one() {
        for same in
            [["km/s", "km s-1"], ["km.s**-1", "km s^-1"], ["deg", "degrees"], ["erg/s/cm2", "erg s-1 cm2-1"], [" mag", "mag "]]
        {
            assert_eq!(plain_unit(same[0]), plain_unit(same[1]), "{same:?}");
        }
        for other in [["mm", "cm"], ["mJy", "MJy"], ["km/s", "km s"], ["deg", "arcsec"]] {
            assert_ne!(plain_unit(other[0]), plain_unit(other[1]), "{other:?}");
        }
    }

    #[test]
    fn of_very_many_values_some_are_judged_and_what_is_rare_and_far_off_is_among_them() {
        let mut values: Vec<f64> = (0..2_000_000_i64).map(|i| (i * 7919 % 1_000_003) as f64 / 1e5).collect();
        values[77_777] = -999.0;
        values[1_555_555] = -999.0;
        let some = looked_at(&values);
        assert!(some.len() < 500_000 && some.iter().filter(|v| **v == -999.0).count() == 2);
        let (all, part) = (prepare::profile(&values), prepare::profile(&some));
        assert_eq!(all.sentinels, part.sentinels);
        assert!((all.median - part.median).abs() < 0.02 && (all.skew - part.skew).abs() < 0.02);
        // Ids are told by all of them.
        let ids: Vec<f64> = (0..2_000_000_i64).map(|i| (i * 7919 % 2_000_003) as f64).collect();
        assert_eq!(looked_at(&ids).len(), ids.len());
    }
}
