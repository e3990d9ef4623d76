//! What else explains a map: columns that it was not made of and that yet tell where a row lies, or in which subset.

use asterism_reduce::{self as reduce, Influence, Monitor, Target};
use ndarray::Array2;

use crate::document::{Dataset, Map};
use crate::error::{Error, Result};
use crate::features::FeatureKind;

/// Texts with more values than this say names, not classes.
const CLASSES: usize = 16;

/// What one column tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Its name.
    pub column: String,
    /// Share of the uncertainty about each axis of the map that it removes, 0 … 1.
    pub axes: Vec<f64>,
    /// The same about which visible subset a row is in; `None` without subsets.
    pub subsets: Option<f64>,
}

impl Explained {
    /// The largest share.
    pub fn most(&self) -> f64 {
        self.axes.iter().copied().chain(self.subsets).fold(0.0, f64::max)
    }
}

/// Columns that a map was not made of, those first that tell most of it ([`reduce::nuisance`]). Texts count where they have at
/// most 16 values. The subsets are those that are visible; where two overlap, the first counts.
///
/// # Errors
/// Fewer than 30 rows on the map, no other column, or stopped.
pub fn explain(dataset: &Dataset, map: &Map, monitor: &dyn Monitor) -> Result<Vec<Explained>> {
    let table = &dataset.table;
    let used = used(map);
    let rows: Vec<usize> = (0..map.xy.len().min(table.rows())).filter(|r| map.xy[*r].iter().all(|v| v.is_finite())).collect();
    let mut names = Vec::new();
    let mut values: Vec<Vec<f64>> = Vec::new();
    for (i, meta) in table.columns().iter().enumerate() {
        if used.iter().any(|u| u.eq_ignore_ascii_case(&meta.name)) {
            continue;
        }
        let all = if table.is_numeric(i) { table.f64s(&meta.name).ok() } else { classes(dataset, &meta.name) };
        let Some(all) = all else { continue };
        let mine: Vec<f64> = rows.iter().map(|r| all[*r]).collect();
        let mut finite = mine.iter().filter(|v| v.is_finite());
        // A constant explains nothing.
        let first = finite.next();
        if finite.any(|v| Some(v) != first) {
            names.push(meta.name.clone());
            values.push(mine);
        }
    }
    if names.is_empty() {
        return Err(Error::said("every column of numbers or classes went into this map: nothing is left to explain it"));
    }
    let columns = Array2::from_shape_fn((rows.len(), names.len()), |(r, c)| values[c][r]);
    let dims = map.coords.dims.clamp(1, 4);
    let coords = Array2::from_shape_fn((rows.len(), dims), |(r, d)| map.coords.values[rows[r] * map.coords.dims + d]);
    let labels = labels(dataset, &rows);
    let found = reduce::nuisance(columns.view(), coords.view(), labels.as_deref(), map.params.seed, monitor)?;
    let share = |column: usize, on: Target| {
        let of = |i: &&Influence| i.column == column && i.target == on;
        found.iter().find(of).map(|i| i.share)
    };
    let mut out: Vec<Explained> = names
        .into_iter()
        .enumerate()
        .map(|(c, column)| Explained {
            column,
            axes: (0..dims).map(|a| share(c, Target::Axis(a)).unwrap_or(0.0)).collect(),
            subsets: share(c, Target::Groups),
        })
        .collect();
    out.sort_by(|a, b| b.most().total_cmp(&a.most()));
    Ok(out)
}

/// Names of the columns that went into a map.
fn used(map: &Map) -> Vec<String> {
    match &map.features.of {
        FeatureKind::Columns(columns) => columns
            .iter()
            .flat_map(|c| {
                let inside = asterism_data::Expr::parse(&c.column).map(|e| e.columns()).unwrap_or_default();
                inside.into_iter().chain([c.column.clone()])
            })
            .collect(),
        FeatureKind::Spectra { column, .. } | FeatureKind::LightCurves { column, .. } | FeatureKind::Images { column, .. } => {
            vec![column.clone()]
        }
    }
}

/// A text column as numbers of its classes; `None` where it has too many.
fn classes(dataset: &Dataset, name: &str) -> Option<Vec<f64>> {
    let texts = dataset.table.strings(name).ok()?;
    let mut known: Vec<&str> = Vec::new();
    for text in texts.iter().flatten() {
        if !known.contains(&text.as_str()) {
            known.push(text);
            if known.len() > CLASSES {
                return None;
            }
        }
    }
    let number = |t: &Option<String>| t.as_ref().and_then(|t| known.iter().position(|k| k == t)).map_or(f64::NAN, |i| i as f64);
    Some(texts.iter().map(number).collect())
}

/// The visible subset of each row, −1 for none; `None` where there are no subsets.
fn labels(dataset: &Dataset, rows: &[usize]) -> Option<Vec<i32>> {
    let visible: Vec<_> = dataset.subsets.iter().filter(|s| s.visible && !s.rows.is_empty()).collect();
    if visible.is_empty() {
        return None;
    }
    let of = |row: &usize| visible.iter().position(|s| *row < s.rows.len() && s.rows.contains(*row)).map_or(-1, |i| i as i32);
    Some(rows.iter().map(of).collect())
}

/// How well a map tells the classes of a column apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labels {
    /// Share of rows whose class is the commonest among their ten nearest rows on the map.
    pub accuracy: f64,
    /// The same for a map that knows nothing: the share of the commonest class.
    pub chance: f64,
    /// Number of classes.
    pub classes: usize,
    /// Rows that have a class and a place.
    pub rows: usize,
}

/// Classes a column may have to be judged by.
const LABELS: usize = 256;
/// Neighbours that vote.
const VOTES: usize = 10;

/// How well a map tells the classes of a column (words, or whole numbers; blanks are no class) apart, by the ten nearest rows.
///
/// # Errors
/// When the column is not there, or has fewer than 2 or more than 256 classes.
pub fn label_accuracy(dataset: &Dataset, map: &Map, column: &str, monitor: &dyn reduce::Monitor) -> Result<Labels> {
    let table = &dataset.table;
    let index = table.column_index(column).ok_or_else(|| Error::said(format!("there is no column '{column}'")))?;
    let words: Vec<Option<String>> = if table.is_numeric(index) {
        table.f64s(column)?.into_iter().map(|v| (v.is_finite() && v.fract() == 0.0).then(|| v.to_string())).collect()
    } else {
        table.strings(column)?
    };
    let dims = map.coords.dims;
    let place = |row: usize| map.coords.values.get(row * dims..(row + 1) * dims).filter(|p| p.iter().all(|v| v.is_finite()));
    let mut numbers: std::collections::BTreeMap<&str, (u32, usize)> = std::collections::BTreeMap::new();
    let (mut places, mut labels) = (Vec::new(), Vec::new());
    for (row, word) in words.iter().enumerate() {
        let Some(word) = word.as_deref().map(str::trim).filter(|w| !w.is_empty()) else { continue };
        let Some(at) = place(row) else { continue };
        let next = numbers.len() as u32;
        let known = numbers.entry(word).or_insert((next, 0));
        known.1 += 1;
        if numbers.len() > LABELS {
            return Err(Error::said(format!("'{column}' has more than {LABELS} different values: it is no column of classes")));
        }
        labels.push(Some(numbers[word].0));
        places.extend_from_slice(at);
    }
    if numbers.len() < 2 {
        return Err(Error::said(format!("'{column}' has fewer than two classes among the rows of the map")));
    }
    let rows = labels.len();
    let coords = ndarray::Array2::from_shape_vec((rows, dims), places).map_err(|e| Error::said(e.to_string()))?;
    let accuracy = reduce::label_accuracy(coords.view(), &labels, VOTES, monitor)?;
    let most = numbers.values().map(|v| v.1).max().unwrap_or(0);
    Ok(Labels { accuracy, chance: most as f64 / rows.max(1) as f64, classes: numbers.len(), rows })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::features::{FeatureColumn, Features};
    use crate::{Ask, ledger, session};

    #[test]
    fn a_column_that_shaped_the_map_unseen_is_found() {
        // Two quantities; the instrument's temperature leaks into the second. Chance explains nothing.
        let n = 600;
        // splitmix64
        let noise = |i: usize, k: u64| {
            let mut z = (i as u64 * 8 + k).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 33) as f64 / 2f64.powi(31)
        };
        let warm: Vec<f64> = (0..n).map(|i| noise(i, 1)).collect();
        let mut table = asterism_data::Table::default();
        table.with_f64_column("a", (0..n).map(|i| noise(i, 2)).collect(), Default::default()).unwrap();
        table.with_f64_column("b", (0..n).map(|i| 3.0 * warm[i] + 0.1 * noise(i, 3)).collect(), Default::default()).unwrap();
        table.with_f64_column("temperature", warm.clone(), Default::default()).unwrap();
        table.with_f64_column("chance", (0..n).map(|i| noise(i, 4)).collect(), Default::default()).unwrap();
        table.with_f64_column("constant", vec![1.0; n], Default::default()).unwrap();
        let ask = Ask::file("t.csv");
        let dataset = ledger::probe(&ask, table, None, Vec::new());
        let columns = ["a", "b"].map(FeatureColumn::plain);
        let features = Features { of: FeatureKind::Columns(columns.to_vec()), scale: reduce::Scale::None, ..Features::default() };
        let params = reduce::Params { method: reduce::Method::Pca, ..Default::default() };
        let map = session::compute_map(&dataset, &features, &params, 1, "m".into(), &reduce::Quiet).unwrap();
        let found = explain(&dataset, &map, &reduce::Quiet).unwrap();
        assert_eq!(found.iter().map(|e| e.column.as_str()).collect::<Vec<_>>(), ["temperature", "chance"]);
        assert!(found[0].axes[0] > 0.5 && found[1].most() < 0.1, "{found:?}");
        assert_eq!(found[0].subsets, None);
    }

    #[test]
    fn classes_that_lie_apart_are_told_apart() {
        // Two clouds 100 apart along one column, each of one class but for the last row; a third column is blank or nothing.
        let n = 80;
        let mut table = asterism_data::Table::default();
        let side = |i: usize| if i.is_multiple_of(4) { 100.0 } else { 0.0 };
        table.with_f64_column("a", (0..n).map(|i| side(i) + (i as f64 * 0.618).fract()).collect(), Default::default()).unwrap();
        table.with_f64_column("b", (0..n).map(|i| (i as f64 * 0.414).fract()).collect(), Default::default()).unwrap();
        let word = |i: usize| if i + 1 == n || i.is_multiple_of(4) { "far" } else { "near" };
        table.with_string_column("side", (0..n).map(|i| word(i).to_owned()).collect(), Default::default()).unwrap();
        let ask = Ask::file("t.csv");
        let dataset = ledger::probe(&ask, table, None, Vec::new());
        let columns = ["a", "b"].map(FeatureColumn::plain);
        let features = Features { of: FeatureKind::Columns(columns.to_vec()), scale: reduce::Scale::None, ..Features::default() };
        let params = reduce::Params { method: reduce::Method::Pca, ..Default::default() };
        let map = session::compute_map(&dataset, &features, &params, 1, "m".into(), &reduce::Quiet).unwrap();
        let told = label_accuracy(&dataset, &map, "side", &reduce::Quiet).unwrap();
        assert_eq!((told.classes, told.rows), (2, n));
        // The last row lies among the other class.
        assert!((told.accuracy - (n - 1) as f64 / n as f64).abs() < 1e-12, "{told:?}");
        assert!((told.chance - (n - n / 4 - 1) as f64 / n as f64).abs() < 1e-12, "{told:?}");
        assert!(label_accuracy(&dataset, &map, "a", &reduce::Quiet).is_err(), "no whole numbers");
        assert!(label_accuracy(&dataset, &map, "none", &reduce::Quiet).is_err());
    }
}
