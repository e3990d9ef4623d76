//! What a column looks like, and what to do with it before distances are taken: a guess that a person can read and change.
//!
//! [`profile`] looks at the values alone: blanks, numbers that stand for "no value" (99, −999, 9999.99 …), levels, skew, and
//! whether a column counts rows or is a Julian date. What a name, unit or UCD says is the caller's knowledge and comes as a
//! [`Kind`]. [`suggest`] makes of both one [`Treatment`]: off, as it is, log₁₀, asinh, cosine and sine, or one column for
//! each level; a [`Recipe`] of them is plain data (JSON) and does the same to new rows. Scaling ([`crate::scale`]) follows.
//!
//! Rules of thumb, not tests: a number made of nines counts as "no value" only if it recurs and stands off from all
//! others by more than they spread; log₁₀ and asinh are taken where the skew (third moment, without the outermost
//! thousandths) is above 2 and at least halved by them. Not guessed from values: angles, modified Julian dates
//! (effective temperatures have the same range), and whether few whole numbers are classes or counts (classes are assumed).
//! Cost: one sort a column.

use crate::Error;
use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Levels up to which whole numbers are taken as classes.
const LEVELS: usize = 20;
/// Skew above which a column is bent.
const SKEW: f64 = 2.0;
/// Share of missing values above which a column is left out.
const MISSING: f64 = 0.5;

/// What a column is, as far as its name, unit or UCD tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A magnitude: 0 and what no object has (above 60, below −60) are no values; never bent.
    Magnitude,
    /// A difference of magnitudes: never bent.
    Colour,
    /// Flux, counts, size, period and the like: bent if skewed.
    Flux,
    /// An angle in degrees, full circle.
    Angle,
    /// A phase, 0..1.
    Phase,
    /// A name in numbers: left out.
    Id,
    /// A time: left out.
    Date,
    /// A flag or a class.
    Class,
    /// Any other number.
    Number,
}

/// What a column's values look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Values in all.
    pub rows: usize,
    /// Values that are not finite.
    pub blanks: usize,
    /// Values that stand for none, with how often they are there.
    pub sentinels: Vec<(f64, usize)>,
    /// Different values among the others.
    pub levels: usize,
    /// Whether all of them are whole numbers.
    pub whole: bool,
    /// Smallest, largest, and the middle one.
    pub range: [f64; 2],
    /// The value with half of the others below it.
    pub median: f64,
    /// Third standardised moment without the outermost thousandths; 0 is symmetric, an exponential has 2.
    pub skew: f64,
    /// The same of log₁₀, if all are above 0, and of asinh(x / softening).
    pub skew_log: Option<f64>,
    /// See [`Self::skew_log`].
    pub skew_asinh: f64,
    /// Median of |x|, the softening of asinh; 1 if that is 0.
    pub softening: f64,
    /// What the values alone say the column is.
    pub kind: Kind,
    /// The levels, ascending, if there are at most 20.
    pub values: Vec<f64>,
}

/// What is done to the values of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bend {
    /// Left out.
    Off,
    /// As they are.
    Plain,
    /// log₁₀; 0 and negative values become missing.
    Log,
    /// asinh(x / softening).
    Asinh {
        /// In the unit of the column, above 0.
        softening: f64,
    },
    /// Cosine and sine.
    Circle {
        /// The full turn, in the unit of the column.
        turn: f64,
    },
    /// A column for each level: `weight` where the value is that level, else 0. New levels are 0 everywhere.
    OneHot {
        /// The levels.
        levels: Vec<f64>,
        /// 1 / √levels keeps the column from counting more than others.
        weight: f64,
    },
}

/// What is done to one column, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Treatment {
    /// What is done.
    pub bend: Bend,
    /// Values that become missing first.
    pub sentinels: Vec<f64>,
    /// Smallest and largest value that is one; what lies outside becomes missing.
    #[serde(default)]
    pub within: Option<[f64; 2]>,
    /// A sentence for a person.
    pub why: String,
}

/// What is done to all columns, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// One for each column.
    pub columns: Vec<Treatment>,
}

/// Whether a number is made of nines only, as numbers are that stand for none: ±9.99, 99, −999.9 …
fn nines(v: f64) -> bool {
    let text = format!("{}", v.abs() as f32);
    text.len() >= 2 && text.chars().all(|c| c == '9' || c == '.') && v.abs() > 9.0
}

/// Third standardised moment of sorted values without the outermost thousandths.
fn skew(sorted: &[f64]) -> f64 {
    let cut = sorted.len() / 1000;
    let v = &sorted[cut..sorted.len() - cut];
    let n = v.len().max(1) as f64;
    let mean = v.iter().sum::<f64>() / n;
    let (two, three) = v.iter().fold((0.0, 0.0), |(a, b), x| (a + (x - mean).powi(2), b + (x - mean).powi(3)));
    let width = (two / n).sqrt();
    if width > mean.abs() * 1e-12 { three / n / width.powi(3) } else { 0.0 }
}

/// Values made of nines that recur and stand off from all others, with their numbers.
fn sentinels(sorted: &[f64]) -> Vec<(f64, usize)> {
    let found: Vec<(f64, usize)> =
        sorted.chunk_by(|a, b| a == b).filter(|c| c.len() >= 2 && nines(c[0])).map(|c| (c[0], c.len())).collect();
    if found.is_empty() {
        return found;
    }
    let rest: Vec<f64> = sorted.iter().copied().filter(|v| !found.iter().any(|f| f.0 == *v)).collect();
    let Some((low, high)) = rest.first().zip(rest.last()) else { return Vec::new() };
    let at = |q: f64| rest[((rest.len() - 1) as f64 * q).round() as usize];
    let spread = at(0.99) - at(0.01);
    found.into_iter().filter(|(v, _)| *v > high + spread || *v < low - spread).collect()
}

/// What a column's values look like; not finite = missing.
pub fn profile(column: &[f64]) -> Profile {
    let mut sorted: Vec<f64> = column.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let blanks = column.len() - sorted.len();
    let sentinels = sentinels(&sorted);
    let is_value = |v: &f64| v.is_finite() && !sentinels.iter().any(|s| s.0 == *v);
    sorted.retain(is_value);
    let n = sorted.len();
    let levels = sorted.chunk_by(|a, b| a == b).count();
    let whole = n > 0 && sorted.iter().all(|v| v.fract() == 0.0);
    let range = sorted.first().zip(sorted.last()).map_or([f64::NAN; 2], |(a, b)| [*a, *b]);
    let mut size: Vec<f64> = sorted.iter().map(|v| v.abs()).collect();
    size.sort_unstable_by(f64::total_cmp);
    let softening = size.get(n / 2).copied().filter(|v| *v > 0.0).unwrap_or(1.0);
    let bent = |f: &dyn Fn(f64) -> f64| skew(&sorted.iter().map(|v| f(*v)).collect::<Vec<f64>>());
    let rises = || {
        let mut last = f64::NEG_INFINITY;
        column.iter().filter(|v| is_value(v)).all(|v| std::mem::replace(&mut last, *v) < *v)
    };
    // Names in numbers: all different and whole, and counting rows, in order, or longer than measured numbers are.
    let id = whole && n >= 20 && levels == n && (range[1] - range[0] < 2.0 * n as f64 || range[1].abs() >= 1e8 || rises());
    let kind = if id {
        Kind::Id
    } else if n > 0 && range[0] >= 2_400_000.5 && range[1] < 2_500_000.5 {
        Kind::Date
    } else if whole && levels <= LEVELS && n >= 10 * levels {
        Kind::Class
    } else {
        Kind::Number
    };
    Profile {
        rows: column.len(),
        blanks,
        levels,
        whole,
        range,
        median: sorted.get(n / 2).copied().unwrap_or(f64::NAN),
        skew: skew(&sorted),
        skew_log: (n > 0 && range[0] > 0.0).then(|| bent(&|v| v.log10())),
        skew_asinh: bent(&|v| (v / softening).asinh()),
        softening,
        kind,
        values: if levels <= LEVELS { sorted.chunk_by(|a, b| a == b).map(|c| c[0]).collect() } else { Vec::new() },
        sentinels,
    }
}

/// What to do with a column: from its values, and from what its name tells if it tells anything.
pub fn suggest(p: &Profile, known: Option<Kind>) -> Treatment {
    let kind = known.unwrap_or(p.kind);
    let mut sentinels: Vec<f64> = p.sentinels.iter().map(|s| s.0).collect();
    let mut within = None;
    if kind == Kind::Magnitude {
        sentinels.push(0.0);
        within = Some([-60.0, 60.0]);
    }
    let missing = p.blanks + p.sentinels.iter().map(|s| s.1).sum::<usize>();
    let give = |bend: Bend, why: String| Treatment { bend, sentinels: sentinels.clone(), within, why };
    if p.rows == missing {
        return give(Bend::Off, "every value is missing".into());
    }
    if p.levels == 1 {
        return give(Bend::Off, format!("every value is {}", p.range[0]));
    }
    if missing as f64 > MISSING * p.rows as f64 {
        return give(Bend::Off, format!("{missing} of {} values are missing", p.rows));
    }
    match kind {
        Kind::Id => give(Bend::Off, "it names rows".into()),
        Kind::Date => give(Bend::Off, "it is a time".into()),
        Kind::Angle => give(Bend::Circle { turn: 360.0 }, "an angle: 359° is next to 1°".into()),
        Kind::Phase => give(Bend::Circle { turn: 1.0 }, "a phase: 0.99 is next to 0.01".into()),
        Kind::Class if p.levels == 2 => give(Bend::Plain, "a flag".into()),
        Kind::Class if p.levels <= LEVELS => {
            let weight = 1.0 / (p.levels as f64).sqrt();
            give(Bend::OneHot { levels: p.values.clone(), weight }, format!("{} classes: none is between two others", p.levels))
        }
        Kind::Class => give(Bend::Off, format!("{} classes are too many to compare", p.levels)),
        Kind::Magnitude | Kind::Colour => give(Bend::Plain, "magnitudes are logarithms already".into()),
        Kind::Flux | Kind::Number => {
            let halves = |s: f64| p.skew.abs() > SKEW && s.abs() < 0.5 * p.skew.abs();
            match p.skew_log {
                Some(s) if halves(s) => give(Bend::Log, format!("a long tail (skew {:.1}), {s:.1} in log", p.skew)),
                _ if halves(p.skew_asinh) => give(
                    Bend::Asinh { softening: p.softening },
                    format!("a long tail (skew {:.1}) with values at 0 or below, {:.1} in asinh", p.skew, p.skew_asinh),
                ),
                _ => give(Bend::Plain, "numbers without a long tail".into()),
            }
        }
    }
}

impl Treatment {
    /// Number of columns that come of one.
    pub fn width(&self) -> usize {
        match &self.bend {
            Bend::Off => 0,
            Bend::Plain | Bend::Log | Bend::Asinh { .. } => 1,
            Bend::Circle { .. } => 2,
            Bend::OneHot { levels, .. } => levels.len(),
        }
    }

    /// Names of the columns that come of one of this name.
    pub fn names(&self, name: &str) -> Vec<String> {
        match &self.bend {
            Bend::Off => Vec::new(),
            Bend::Plain => vec![name.to_string()],
            Bend::Log => vec![format!("log {name}")],
            Bend::Asinh { .. } => vec![format!("asinh {name}")],
            Bend::Circle { .. } => vec![format!("cos {name}"), format!("sin {name}")],
            Bend::OneHot { levels, .. } => levels.iter().map(|l| format!("{name} = {l}")).collect(),
        }
    }

    /// What becomes of one value: [`Self::width`] numbers; missing stays missing (NaN).
    fn one(&self, v: f64, out: &mut [f64]) {
        let outside = self.within.is_some_and(|[low, high]| v < low || v > high);
        let v = if !v.is_finite() || outside || self.sentinels.contains(&v) { f64::NAN } else { v };
        match &self.bend {
            Bend::Off => {}
            Bend::Plain => out[0] = v,
            Bend::Log => out[0] = if v > 0.0 { v.log10() } else { f64::NAN },
            Bend::Asinh { softening } => out[0] = (v / softening).asinh(),
            Bend::Circle { turn } => (out[1], out[0]) = (v / turn * std::f64::consts::TAU).sin_cos(),
            Bend::OneHot { levels, weight } => {
                for (o, l) in out.iter_mut().zip(levels) {
                    *o = if v.is_nan() { v } else { f64::from(u8::from(v == *l)) * weight };
                }
            }
        }
    }
}

impl Recipe {
    /// What to do with some columns; `known` tells of each what its name says, or is empty.
    pub fn of(columns: &[Vec<f64>], known: &[Option<Kind>]) -> Self {
        let columns =
            columns.par_iter().enumerate().map(|(i, c)| suggest(&profile(c), known.get(i).copied().flatten())).collect();
        Self { columns }
    }

    /// The same done to columns of the same kind, old rows or new: rows × the sum of the widths, missing = NaN.
    ///
    /// # Errors
    /// Another number of columns, columns of different lengths, or settings that cannot be (softening or turn of 0).
    pub fn apply(&self, columns: &[Vec<f64>]) -> Result<Array2<f64>, Error> {
        if columns.len() != self.columns.len() {
            return Err(Error::Shape(format!("the recipe is for {} columns, there are {}", self.columns.len(), columns.len())));
        }
        let rows = columns.first().map_or(0, Vec::len);
        if let Some(c) = columns.iter().position(|c| c.len() != rows) {
            return Err(Error::Shape(format!("column {c} has {} rows, the first has {rows}", columns[c].len())));
        }
        let bad = |t: &Treatment| match t.bend {
            Bend::Asinh { softening: v } | Bend::Circle { turn: v } => !(v.is_finite() && v > 0.0),
            _ => false,
        };
        if let Some(c) = self.columns.iter().position(bad) {
            return Err(Error::Shape(format!("the softening or full turn of column {c} must be above 0")));
        }
        let mut out = Array2::zeros((rows, self.columns.iter().map(Treatment::width).sum()));
        let mut first = 0;
        for (t, column) in self.columns.iter().zip(columns) {
            let mut values = vec![0.0; t.width()];
            for (i, v) in column.iter().enumerate() {
                t.one(*v, &mut values);
                values.iter().enumerate().for_each(|(a, v)| out[[i, first + a]] = *v);
            }
            first += t.width();
        }
        Ok(out)
    }
}

/// Pairs of columns that say the same: |correlation| above `limit` (0.999 is usual) over the rows where both have values,
/// at least ten, strongest first.
pub fn twins(columns: &[Vec<f64>], limit: f64) -> Vec<(usize, usize, f64)> {
    let pairs: Vec<(usize, usize)> = (0..columns.len()).flat_map(|i| (i + 1..columns.len()).map(move |j| (i, j))).collect();
    let mut out: Vec<(usize, usize, f64)> =
        pairs.into_par_iter().map(|(i, j)| (i, j, correlation(&columns[i], &columns[j]))).filter(|p| p.2.abs() > limit).collect();
    out.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()));
    out
}

/// Pearson's correlation over the rows where both have values; 0 of fewer than ten, or of a constant.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let both = || a.iter().zip(b).filter(|(a, b)| a.is_finite() && b.is_finite());
    let n = both().count();
    if n < 10 {
        return 0.0;
    }
    let (ma, mb) = both().fold((0.0, 0.0), |s, (a, b)| (s.0 + a, s.1 + b));
    let (ma, mb) = (ma / n as f64, mb / n as f64);
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    for (a, b) in both() {
        aa += (a - ma).powi(2);
        bb += (b - mb).powi(2);
        ab += (a - ma) * (b - mb);
    }
    let size = (aa * bb).sqrt();
    if size > 0.0 { (ab / size).clamp(-1.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Rng;

    fn normals(n: usize, seed: u64) -> Vec<f64> {
        let mut r = Rng::new(seed, 0);
        (0..n).map(|_| r.normal()).collect()
    }

    #[test]
    fn columns_are_told_apart_by_their_values() {
        let g = normals(1000, 1);
        let kind = |c: Vec<f64>| profile(&c).kind;
        assert_eq!(kind((0..1000).map(f64::from).collect()), Kind::Id);
        assert_eq!(kind((0..1000).map(|i| f64::from(i * 7919 % 1000)).collect()), Kind::Id, "a shuffled counter");
        assert_eq!(kind((0..1000).map(|i| 4.2e17 + 1e6 * f64::from(i * 37 % 1000)).collect()), Kind::Id);
        assert_eq!(kind(g.iter().map(|v| 2_455_000.0 + 300.0 * v).collect()), Kind::Date);
        assert_eq!(kind((0..1000).map(|i| f64::from(i % 4)).collect()), Kind::Class);
        assert_eq!(kind(g.iter().map(|v| (v * 1e4).round()).collect()), Kind::Number, "whole, but measured");
        assert_eq!(kind(g.clone()), Kind::Number);
        assert_eq!(kind(vec![]), Kind::Number);
        // Skew: that of an exponential is 2, of a normal distribution 0.
        let mut r = Rng::new(2, 0);
        let e = profile(&(0..100_000).map(|_| -(1.0 - r.uniform()).ln()).collect::<Vec<_>>());
        assert!((e.skew - 2.0).abs() < 0.25, "{}", e.skew);
        assert!(profile(&normals(100_000, 3)).skew.abs() < 0.05);
    }

    #[test]
    fn numbers_that_stand_for_none_are_found_and_honest_nines_are_not() {
        let mut mag: Vec<f64> = normals(500, 4).iter().map(|v| 19.0 + v).collect();
        (0..20).for_each(|i| mag[i] = if i % 2 == 0 { 99.99 } else { -99.0 });
        mag[30] = f64::NAN;
        let p = profile(&mag);
        assert_eq!((p.sentinels.clone(), p.blanks), (vec![(-99.0, 10), (99.99, 10)], 1));
        assert!(p.range[0] > 14.0 && p.range[1] < 24.0);
        // f32 columns hold 99.99 as 99.98999786.
        let single: Vec<f64> = mag.iter().map(|v| f64::from(*v as f32)).collect();
        assert_eq!(profile(&single).sentinels.len(), 2);
        let counts: Vec<f64> = (0..2000).map(|i| f64::from(i % 150)).collect();
        assert!(profile(&counts).sentinels.is_empty(), "99 among 0..149");
        assert!(profile(&[99.0; 50]).sentinels.is_empty(), "nothing else is there");
        let t = suggest(&p, Some(Kind::Magnitude));
        let x = Recipe { columns: vec![t] }.apply(&[vec![19.5, 99.99, -99.0, 0.0, 150.0, f64::NAN]]).unwrap();
        assert_eq!(x[[0, 0]], 19.5);
        assert!(x.iter().skip(1).all(|v| v.is_nan()));
    }

    #[test]
    fn suggestions_are_readable_changeable_and_repeat_on_new_rows() {
        let g = normals(1000, 5);
        let columns: Vec<Vec<f64>> = vec![
            (0..1000).map(f64::from).collect(),
            g.iter().map(|v| (2.0 * v).exp()).collect(),
            g.iter().zip(normals(1000, 6)).map(|(v, w)| (2.5 * v).exp() - (1.5 * w).exp()).collect(),
            g.iter().map(|v| 180.0 + 80.0 * v).collect(),
            (0..1000).map(|i| f64::from(i % 4)).collect(),
            (0..1000).map(|i| f64::from(i % 2)).collect(),
            vec![7.0; 1000],
            vec![f64::NAN; 1000],
            (0..1000).map(|i| if i < 600 { f64::NAN } else { f64::from(i) * 0.5 }).collect(),
            g.clone(),
        ];
        let mut known = vec![None; 4];
        known[3] = Some(Kind::Angle);
        let mut r = Recipe::of(&columns, &known);
        let bends: Vec<&Bend> = r.columns.iter().map(|t| &t.bend).collect();
        assert_eq!(bends[..2], [&Bend::Off, &Bend::Log]);
        assert!(matches!(bends[2], Bend::Asinh { softening } if *softening > 0.0), "{:?}", r.columns[2]);
        assert_eq!(bends[3], &Bend::Circle { turn: 360.0 });
        assert_eq!(bends[4], &Bend::OneHot { levels: vec![0.0, 1.0, 2.0, 3.0], weight: 0.5 });
        assert_eq!(bends[5..], [&Bend::Plain, &Bend::Off, &Bend::Off, &Bend::Off, &Bend::Plain]);
        let x = r.apply(&columns).unwrap();
        assert_eq!(x.dim(), (1000, 1 + 1 + 2 + 4 + 1 + 1));
        assert!((x[[3, 0]] - columns[1][3].log10()).abs() < 1e-12);
        for i in 0..1000 {
            assert!((x[[i, 2]].powi(2) + x[[i, 3]].powi(2) - 1.0).abs() < 1e-12);
            assert_eq!((4..8).map(|a| x[[i, a]]).collect::<Vec<_>>()[i % 4], 0.5);
            assert!((4..8).map(|a| x[[i, a]]).sum::<f64>() == 0.5);
        }
        let names: Vec<String> = r.columns.iter().flat_map(|t| t.names("c")).collect();
        assert_eq!(names.len(), x.ncols());
        assert_eq!(names[2..5], ["cos c", "sin c", "c = 0"]);
        let text = serde_json::to_string(&r).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), r);
        r.columns[9].bend = Bend::Asinh { softening: 0.0 };
        assert!(matches!(r.apply(&columns), Err(Error::Shape(_))));
        assert!(matches!(r.apply(&columns[..3]), Err(Error::Shape(_))));
        assert!(Recipe::default().apply(&[]).unwrap().is_empty());
    }

    #[test]
    fn columns_that_say_the_same_are_named() {
        let g = normals(400, 7);
        let mut same: Vec<f64> = g.iter().map(|v| 3.0 - 2.0 * v).collect();
        same[5] = f64::NAN;
        let found = twins(&[g, normals(400, 8), same, vec![1.0; 400]], 0.999);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0, found[0].1), (0, 2));
        assert!(found[0].2 < -0.999_999);
    }
}
