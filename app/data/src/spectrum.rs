//! One-dimensional spectra, columns of a table that hold one spectrum a row, and bringing spectra
//! to a common grid.
//!
//! Wavelengths are metres inside, so that files in Å, nm and µm mix; the file's own axis is kept
//! beside them. Resampling averages flux density over bins (what is conserved is the integral over
//! the good part of a bin) and interpolates where the grid is finer than the samples. Splines were
//! not taken: they ring at masked pixels and lines.
//!
//! Cost: reading a row of an array column copies it once, with no conversion of single values;
//! resampling is O(samples + bins).

use std::str::FromStr;

use polars::prelude::{DataType, Series};

use crate::{Error, Result, Table};

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

impl Medium {
    /// From words such as `air`, `vac`, `Vacuum wavelength`.
    pub fn from_text(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let words = || text.split(|c: char| !c.is_ascii_alphabetic());
        if words().any(|w| w.starts_with("vac")) {
            Self::Vacuum
        } else if words().any(|w| w == "air") {
            Self::Air
        } else {
            Self::Unknown
        }
    }
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
    /// Quality bits of each sample, where the file has a column of them.
    pub quality: Option<Vec<i64>>,
    /// Whose bits they are; [`Flags::bits`](crate::quality::Flags::bits) names them.
    pub flags: crate::quality::Flags,
    /// Samples with any of these bits are not good; [`Spectrum::set_mask`] takes another.
    pub mask: i64,
    /// True when the unit of the wavelengths was not in the file and had to be assumed.
    pub units_assumed: bool,
}

impl Spectrum {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.flux.len()
    }
    /// True when there is no sample.
    pub fn is_empty(&self) -> bool {
        self.flux.is_empty()
    }
    /// Samples that are not good.
    pub fn bad(&self) -> usize {
        self.good.iter().filter(|g| !**g).count()
    }
    /// Shortest and longest wavelength, metres.
    pub fn range_m(&self) -> Option<(f64, f64)> {
        let finite = self.wavelength_m.iter().filter(|v| v.is_finite());
        let (a, b) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
        (a <= b).then_some((a, b))
    }
    /// Take samples with any bit of `mask` as bad, and `good` follows: what is finite and has none of
    /// them. Nothing changes where the file has no column of quality bits.
    pub fn set_mask(&mut self, mask: i64) {
        let Some(quality) = &self.quality else { return };
        self.mask = mask;
        self.good = quality.iter().map(|q| q & mask == 0).collect();
        self.tidy_masked(true);
    }
    /// Fill `wavelength_m` from `axis` by `factor` metres a unit.
    pub(crate) fn set_axis(&mut self, axis: Vec<f64>, unit: &str, factor_m: f64) {
        self.wavelength_m = axis.iter().map(|v| v * factor_m).collect();
        self.axis = axis;
        self.axis_unit = unit.into();
    }
    /// Mark what is not finite and what has no error, and make all vectors as long as the shortest.
    pub(crate) fn tidy(&mut self) {
        self.tidy_masked(false);
    }
    /// As [`Spectrum::tidy`]; where the file has a mask of its own, a missing error alone is not bad.
    pub(crate) fn tidy_masked(&mut self, masked: bool) {
        let n = self.flux.len().min(self.axis.len());
        self.flux.truncate(n);
        self.axis.truncate(n);
        self.wavelength_m.truncate(n);
        self.good.resize(n, true);
        if self.error.as_ref().is_some_and(|e| e.len() < n || e.iter().take(n).all(|v| v.is_nan() || *v <= 0.0)) {
            self.error = None;
        }
        if let Some(e) = &mut self.error {
            e.truncate(n);
        }
        if let Some(q) = &mut self.quality {
            q.resize(n, 0);
        }
        for i in 0..n {
            let error = masked || self.error.as_ref().is_none_or(|e| e[i] > 0.0 && e[i].is_finite());
            let place = self.wavelength_m.get(i).is_none_or(|w| w.is_finite() && *w > 0.0);
            self.good[i] &= self.flux[i].is_finite() && self.axis[i].is_finite() && place && error;
        }
    }
}

/// Metres in a unit of length; `None` when it is none.
pub fn metres_in(unit: &str) -> Option<f64> {
    let unit: String = unit.trim().trim_matches(|c| matches!(c, '[' | ']' | '(' | ')')).to_lowercase();
    Some(match unit.as_str() {
        "a" | "ang" | "angs" | "angstrom" | "angstroms" | "aa" | "0.1nm" | "0.1 nm" | "å" | "\u{212b}" | "10**(-10) m"
        | "10-10m" => 1e-10,
        "nm" | "nanometer" | "nanometers" | "nanometre" | "nanometres" => 1e-9,
        "um" | "µm" | "μm" | "micron" | "microns" | "micrometer" | "micrometers" | "micrometre" | "micrometres" | "mum" => 1e-6,
        "mm" | "millimeter" | "millimetre" => 1e-3,
        "cm" | "centimeter" | "centimetre" => 1e-2,
        "m" | "meter" | "meters" | "metre" | "metres" => 1.0,
        _ => return None,
    })
}

/// The unit that wavelengths of this size are in, where the file does not say: metres below
/// 10⁻³, µm below 100, nm below 850, else Å.
pub(crate) fn guess_unit(axis: &[f64]) -> (&'static str, f64) {
    let mut finite: Vec<f64> = axis.iter().copied().filter(|v| v.is_finite() && *v > 0.0).collect();
    if finite.is_empty() {
        return ("Angstrom", 1e-10);
    }
    let middle = finite.len() / 2;
    match *finite.select_nth_unstable_by(middle, f64::total_cmp).1 {
        v if v < 1e-3 => ("m", 1.0),
        v if v < 100.0 => ("um", 1e-6),
        v if v < 850.0 => ("nm", 1e-9),
        _ => ("Angstrom", 1e-10),
    }
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
    /// `error` holds inverse variances.
    pub error_is_inverse_variance: bool,
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
    pub fn find(table: &Table) -> Option<Self> {
        let columns = table.columns();
        let is_list = |i: usize| matches!(table.frame().columns().get(i).map(|c| c.dtype()), Some(DataType::List(inner)) if inner.is_primitive_numeric());
        let named = |i: usize, names: &[&str]| names.iter().any(|n| columns[i].name.eq_ignore_ascii_case(n));
        let ucd = |i: usize| columns[i].ucd.as_deref().unwrap_or("").to_ascii_lowercase();
        let unit = |i: usize| columns[i].unit.clone().unwrap_or_default();

        let gridded = table.params.iter().find_map(|p| {
            let name = p.name.strip_prefix("axis:").or_else(|| p.name.strip_prefix("AXIS:"))?;
            let flux = table.column_index(name).filter(|i| is_list(*i))?;
            let mut words = p.value.split_whitespace();
            let start: f64 = words.next()?.parse().ok()?;
            let step: f64 = words.next()?.parse().ok()?;
            let count: usize = words.next()?.parse().ok().filter(|n| *n < 1 << 24)?;
            let grid: Vec<f64> = (0..count).map(|i| start + step * i as f64).collect();
            let said = p.description.as_deref().unwrap_or("");
            Some((flux, grid, p.unit.clone().unwrap_or_default(), Medium::from_text(said)))
        });
        let (flux, wavelength, grid, axis_unit, medium) = if let Some((flux, grid, axis_unit, medium)) = gridded {
            (flux, None, Some(grid), axis_unit, medium)
        } else {
            let lists = || (0..columns.len()).filter(|i| is_list(*i));
            let wavelength = lists()
                .find(|i| ucd(*i).starts_with("em.wl"))
                .or_else(|| lists().find(|i| named(*i, &["wavelength", "wave", "lambda", "wavelengths", "lam"])))?;
            let flux_like = |i: &usize| {
                let name = columns[*i].name.to_ascii_lowercase();
                !name.contains("err") && ["flux", "spectrum", "spec"].iter().any(|n| name.starts_with(n))
            };
            let flux = lists()
                .find(|i| *i != wavelength && flux_like(i))
                .or_else(|| lists().find(|i| *i != wavelength && ucd(*i).starts_with("phot.flux")))?;
            let said = format!("{} {}", columns[wavelength].name, columns[wavelength].description.as_deref().unwrap_or(""));
            (flux, Some(wavelength), None, unit(wavelength), Medium::from_text(&said))
        };
        let error = (0..columns.len()).find(|i| {
            let i = *i;
            let name = columns[i].name.to_ascii_lowercase();
            i != flux
                && Some(i) != wavelength
                && is_list(i)
                && (ucd(i).starts_with("stat.error")
                    || ucd(i).starts_with("stat.variance")
                    || ["variance", "var", "ivar", "error", "err", "sigma"]
                        .iter()
                        .any(|n| name == *n || name.ends_with(&format!("_{n}")) || name.starts_with(&format!("{n}_"))))
        });
        let error_name = error.map(|i| columns[i].name.to_ascii_lowercase()).unwrap_or_default();
        let inverse = error_name.contains("ivar");
        Some(Self {
            flux,
            error,
            error_is_variance: !inverse
                && (error_name.contains("var") || error.is_some_and(|i| ucd(i).starts_with("stat.variance"))),
            error_is_inverse_variance: inverse,
            wavelength,
            grid,
            axis_unit,
            flux_unit: unit(flux),
            medium,
        })
    }

    /// The flux of one row into `out` (which is emptied first): its length is that of the cell.
    /// Nulls are NaN.
    pub fn matrix_row(&self, table: &Table, row: usize, out: &mut Vec<f64>) {
        out.clear();
        list_row(table, self.flux, row, out);
    }

    /// What a person calls the spectrum of one row.
    pub fn name(&self, table: &Table, row: usize) -> String {
        row_name(table, row)
    }

    /// The spectrum of one row.
    pub fn spectrum(&self, table: &Table, row: usize) -> Spectrum {
        let mut s = Spectrum {
            name: row_name(table, row),
            flux_unit: self.flux_unit.clone(),
            medium: self.medium,
            rule: "one spectrum a row of the table".into(),
            ..Spectrum::default()
        };
        list_row(table, self.flux, row, &mut s.flux);
        let axis = match (&self.grid, self.wavelength) {
            (Some(grid), _) => grid.clone(),
            (None, Some(column)) => {
                let mut axis = Vec::new();
                list_row(table, column, row, &mut axis);
                axis
            }
            (None, None) => Vec::new(),
        };
        if let Some(column) = self.error {
            let mut error = Vec::new();
            list_row(table, column, row, &mut error);
            if self.error_is_variance {
                error.iter_mut().for_each(|v| *v = v.sqrt());
            } else if self.error_is_inverse_variance {
                error.iter_mut().for_each(|v| *v = v.sqrt().recip());
            }
            s.error = Some(error);
        }
        match metres_in(&self.axis_unit) {
            Some(factor) => s.set_axis(axis, &self.axis_unit, factor),
            None => {
                let (unit, factor) = guess_unit(&axis);
                s.set_axis(axis, unit, factor);
                s.units_assumed = true;
            }
        }
        s.tidy();
        s
    }
}

/// What a person calls a row: its main id, name or number.
fn row_name(table: &Table, row: usize) -> String {
    let main = table.column_by_ucd("meta.id;meta.main").or_else(|| {
        ["name", "main_id", "object", "target_name", "id", "source_id", "objid", "spectrum_id"]
            .iter()
            .find_map(|n| table.column_index(n))
    });
    match main.map(|c| table.cell(row, c).to_string()).filter(|v| !v.is_empty()) {
        Some(name) => name,
        None => format!("row {}", row + 1),
    }
}

/// Append the numbers of an array cell to `out`; nulls are NaN. Nothing for a null cell or a column
/// of another kind.
pub(crate) fn list_row(table: &Table, column: usize, row: usize, out: &mut Vec<f64>) {
    let Some(column) = table.frame().columns().get(column) else { return };
    let Ok(list) = column.as_materialized_series().list() else { return };
    if row < list.len()
        && let Some(cell) = list.get_as_series(row)
    {
        push_numbers(&cell, out);
    }
}

fn push_numbers(cell: &Series, out: &mut Vec<f64>) {
    macro_rules! take {
        ($ca:expr, $convert:expr) => {
            if let Ok(ca) = $ca {
                match ca.cont_slice() {
                    Ok(slice) => out.extend(slice.iter().map(|v| $convert(*v))),
                    Err(_) => out.extend(ca.iter().map(|v| v.map_or(f64::NAN, $convert))),
                }
            }
        };
    }
    match cell.dtype() {
        DataType::Float32 => take!(cell.f32(), f64::from),
        DataType::Float64 => take!(cell.f64(), |v: f64| v),
        DataType::Int32 => take!(cell.i32(), f64::from),
        DataType::Int64 => take!(cell.i64(), |v: i64| v as f64),
        _ => {
            if let Ok(cell) = cell.cast(&DataType::Float64) {
                take!(cell.f64(), |v: f64| v);
            }
        }
    }
}

/// A common grid of wavelengths: `n` points from `start_m` to `stop_m`, both included, evenly
/// spaced or (with `log`) in equal ratios. Written `0.8..2.4 um / 400` or `3600..9800 A / 2000 log`.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Grid {
    /// First point, metres.
    pub start_m: f64,
    /// Last point, metres.
    pub stop_m: f64,
    /// Number of points, at least 2.
    pub n: usize,
    /// Equal ratios in place of equal steps.
    pub log: bool,
}

impl Grid {
    /// The points, metres.
    pub fn points_m(&self) -> Vec<f64> {
        self.at(|i| i as f64)
    }
    /// Borders of the bins around the points, metres: one more than points.
    pub fn edges_m(&self) -> Vec<f64> {
        let mut edges = self.at(|i| i as f64 - 0.5);
        edges.push(self.place(self.n as f64 - 0.5));
        edges
    }
    fn at(&self, index: impl Fn(usize) -> f64) -> Vec<f64> {
        (0..self.n).map(|i| self.place(index(i))).collect()
    }
    fn place(&self, i: f64) -> f64 {
        let part = i / (self.n.max(2) - 1) as f64;
        if self.log {
            self.start_m * (self.stop_m / self.start_m).powf(part)
        } else {
            self.start_m + (self.stop_m - self.start_m) * part
        }
    }
}

impl FromStr for Grid {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let bad = |why: &str| Error::format(format!("grid '{text}'"), format!("{why}; write it as in '0.8..2.4 um / 400'"));
        let (range, count) = text.split_once('/').ok_or_else(|| bad("the number of points is missing"))?;
        let mut words = count.split_whitespace();
        let n: usize = words.next().and_then(|w| w.parse().ok()).ok_or_else(|| bad("the number of points is no number"))?;
        let log = match words.next() {
            None => false,
            Some(w) if w.eq_ignore_ascii_case("log") => true,
            Some(_) => return Err(bad("only the word 'log' may follow the number of points")),
        };
        let (start, rest) = range.split_once("..").ok_or_else(|| bad("the range has no '..'"))?;
        let rest = rest.trim();
        let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | 'e' | 'E'))).unwrap_or(rest.len());
        let (stop, unit) = rest.split_at(end);
        let factor = metres_in(unit).ok_or_else(|| bad("the unit is none of A, nm, um, m"))?;
        let number = |t: &str| t.trim().parse::<f64>().ok().filter(|v| v.is_finite() && *v > 0.0);
        let (Some(start), Some(stop)) = (number(start), number(stop)) else {
            return Err(bad("start and stop must be positive numbers"));
        };
        if stop <= start {
            return Err(bad("the range must ascend"));
        }
        if !(2..=1 << 20).contains(&n) {
            return Err(bad("the number of points must be 2 to 1048576"));
        }
        Ok(Self { start_m: start * factor, stop_m: stop * factor, n, log })
    }
}

impl std::fmt::Display for Grid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tidy = |v: f64| (v * 1e6 * 1e9).round() / 1e9;
        write!(f, "{}..{} um / {}{}", tidy(self.start_m), tidy(self.stop_m), self.n, if self.log { " log" } else { "" })
    }
}

/// A spectrum on a common grid: flux density, and the weight of each point: the share of its bin
/// that good samples cover (1 where interpolated between good neighbours). Flux is NaN where the
/// weight is 0. A spectrum on a velocity axis has weight 0 everywhere.
pub fn resample(spec: &Spectrum, grid: &Grid) -> (Vec<f32>, Vec<f32>) {
    let mut flux = vec![f32::NAN; grid.n];
    let mut weight = vec![0f32; grid.n];
    let n = spec.wavelength_m.len();
    let mut order: Vec<usize> = (0..n).filter(|i| spec.wavelength_m[*i].is_finite()).collect();
    if n > 1 && spec.wavelength_m[0] > spec.wavelength_m[n - 1] {
        order.reverse();
    }
    if !order.is_sorted_by(|a, b| spec.wavelength_m[*a] <= spec.wavelength_m[*b]) {
        order.sort_by(|a, b| spec.wavelength_m[*a].total_cmp(&spec.wavelength_m[*b]));
    }
    if order.len() < 2 {
        return (flux, weight);
    }
    let w: Vec<f64> = order.iter().map(|i| spec.wavelength_m[*i]).collect();
    let m = w.len();
    // each sample reaches half way to its neighbours, but not into a gap
    let reach = |i: usize| {
        let left = if i > 0 { w[i] - w[i - 1] } else { w[1] - w[0] };
        let right = if i + 1 < m { w[i + 1] - w[i] } else { w[m - 1] - w[m - 2] };
        let most = 2.0 * left.min(right);
        let most = if most > 0.0 { most } else { left.max(right) };
        (w[i] - left.min(most) / 2.0, w[i] + right.min(most) / 2.0)
    };
    let gap = |i: usize| {
        let here = w[i + 1] - w[i];
        let before = if i > 0 { w[i] - w[i - 1] } else { here };
        let after = if i + 2 < m { w[i + 2] - w[i + 1] } else { here };
        here > 5.0 * before.min(after).max(f64::MIN_POSITIVE) && before.min(after) > 0.0
    };
    let edges = grid.edges_m();
    let points = grid.points_m();
    let mut first = 0;
    for k in 0..grid.n {
        let (low, high) = (edges[k], edges[k + 1]);
        while first < m && reach(first).1 <= low {
            first += 1;
        }
        let left = w.partition_point(|v| *v <= points[k]);
        if left > 0 && left < m && w[left] - w[left - 1] > high - low {
            // finer than the samples
            let (i, j) = (left - 1, left);
            if spec.good[order[i]] && spec.good[order[j]] && !gap(i) {
                let part = (points[k] - w[i]) / (w[j] - w[i]);
                flux[k] = (spec.flux[order[i]] * (1.0 - part) + spec.flux[order[j]] * part) as f32;
                weight[k] = 1.0;
            }
            continue;
        }
        let (mut sum, mut covered) = (0.0, 0.0);
        let mut i = first;
        while i < m {
            let (from, to) = reach(i);
            if from >= high {
                break;
            }
            let overlap = to.min(high) - from.max(low);
            if overlap > 0.0 && spec.good[order[i]] {
                sum += spec.flux[order[i]] * overlap;
                covered += overlap;
            }
            i += 1;
        }
        if covered > 0.0 {
            flux[k] = (sum / covered) as f32;
            weight[k] = (covered / (high - low)).min(1.0) as f32;
        }
    }
    (flux, weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: usize, start: f64, step: f64) -> Spectrum {
        let mut s = Spectrum { flux: (0..n).map(|i| 2.0 + 3.0 * (start + step * i as f64)).collect(), ..Spectrum::default() };
        s.set_axis((0..n).map(|i| start + step * i as f64).collect(), "um", 1e-6);
        s.tidy();
        s
    }

    #[test]
    fn grid_reads_what_people_write() {
        let g: Grid = "0.8..2.4 um / 400".parse().unwrap();
        assert_eq!((g.start_m, g.n, g.log), (0.8e-6, 400, false));
        assert!((g.points_m()[399] - 2.4e-6).abs() < 1e-18);
        let g: Grid = "3600..9800 Angstrom/100 log".parse().unwrap();
        let p = g.points_m();
        assert!((p[1] / p[0] - p[99] / p[98]).abs() < 1e-12 && (p[99] - 9.8e-7).abs() < 1e-18);
        assert_eq!(g.edges_m().len(), 101);
        assert_eq!("0.8..2.4 um / 400".parse::<Grid>().unwrap().to_string(), "0.8..2.4 um / 400");
        for bad in ["", "1..2", "1..2 um", "2..1 um / 4", "1..2 parsec / 4", "1..2 um / 1", "a..2 um / 4", "1..2 um / 5 lin"] {
            assert!(bad.parse::<Grid>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_straight_line_stays_one_on_any_grid() {
        for (n, step) in [(1601, 0.001), (81, 0.02)] {
            let mut s = line(n, 0.8, step);
            for _ in 0..2 {
                let g: Grid = "0.9..2.3 um / 300".parse().unwrap();
                let (flux, weight) = resample(&s, &g);
                for (k, p) in g.points_m().iter().enumerate() {
                    assert!((f64::from(flux[k]) - (2.0 + 3.0 * p * 1e6)).abs() < 1e-3, "{k} {}", flux[k]);
                    assert!((weight[k] - 1.0).abs() < 1e-4);
                }
                s.wavelength_m.reverse();
                s.axis.reverse();
                s.flux.reverse();
            }
        }
    }

    #[test]
    fn bad_samples_and_gaps_have_no_weight() {
        let mut s = line(1601, 0.8, 0.001);
        for i in 400..500 {
            s.good[i] = false;
            s.flux[i] = 1e9;
        }
        let g: Grid = "0.5..2.3 um / 181".parse().unwrap();
        let (flux, weight) = resample(&s, &g);
        for (k, p) in g.points_m().iter().enumerate() {
            let um = p * 1e6;
            if um < 0.79 || (1.206..1.293).contains(&um) {
                assert!(weight[k] == 0.0 && flux[k].is_nan(), "{um}");
            } else if um > 0.81 && !(1.19..1.31).contains(&um) {
                assert!(weight[k] > 0.99, "{um}");
            }
            assert!(flux[k].is_nan() || flux[k] <= 100.0);
        }
        // a hole between samples is not bridged
        let mut s = line(1601, 0.8, 0.001);
        for v in [&mut s.wavelength_m, &mut s.flux, &mut s.axis] {
            v.drain(400..800);
        }
        s.good.drain(400..800);
        let (_, weight) = resample(&s, &"1.21..1.59 um / 1000".parse().unwrap());
        assert!(weight.iter().all(|w| *w == 0.0));
    }

    #[test]
    fn integral_is_kept() {
        let mut s = line(1000, 1.0, 0.001);
        s.flux = (0..1000).map(|i| if i % 7 == 0 { 5.0 } else { 1.0 }).collect();
        let g = Grid { start_m: 1.0e-6, stop_m: 1.998e-6, n: 60, log: false };
        let (flux, weight) = resample(&s, &g);
        let edges = g.edges_m();
        let got: f64 = (0..60).map(|k| f64::from(flux[k] * weight[k]) * (edges[k + 1] - edges[k])).sum();
        let want: f64 = s.flux.iter().sum::<f64>() * 1e-9;
        assert!((got / want - 1.0).abs() < 1e-4, "{got} {want}");
    }

    #[test]
    fn units_of_length() {
        for (unit, m) in
            [("Angstroms", 1e-10), ("ANGSTROM", 1e-10), ("MICRON", 1e-6), ("nm", 1e-9), ("µm", 1e-6), ("[Ang]", 1e-10)]
        {
            assert_eq!(metres_in(unit), Some(m), "{unit}");
        }
        assert_eq!(metres_in("Hz"), None);
        assert_eq!(guess_unit(&[1200.0, 1300.0]).0, "Angstrom");
        assert_eq!(guess_unit(&[0.8, 2.4]).0, "um");
    }
}
