//! Where a table keeps light curves, and one of them as vectors.
//!
//! Two forms: the table *is* a light curve (each row a point in time), or each row has one, in
//! array cells of time and brightness (`time`, `flux` and their like, or the columns that
//! [`crate::products`] makes of files). Columns are told by UCD first and by name second.

use asterism_data::Table;

/// Columns of time, brightness and error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurveColumns {
    /// Index of the time column.
    pub time: usize,
    /// Index of the brightness column.
    pub flux: usize,
    /// Index of its error, if any.
    pub error: Option<usize>,
    /// One light curve a row, in array cells.
    pub lists: bool,
}

const TIMES: [&str; 9] = ["lc_time", "time", "bjd", "hjd", "mjd", "jd", "t", "time_bjd", "bjdo"];
const FLUXES: [&str; 9] = ["lc_flux", "pdcsap_flux", "flux", "sap_flux", "fcor", "mag", "magnitude", "flux_corr", "corr_flux"];
const ERRORS: [&str; 9] =
    ["lc_error", "pdcsap_flux_err", "flux_err", "sap_flux_err", "mag_err", "e_mag", "error", "flux_error", "magerr"];

impl CurveColumns {
    /// The light curves of a table, if it has any.
    pub fn find(table: &Table) -> Option<Self> {
        let is_list = |i: usize| table.columns()[i].datatype.ends_with(']');
        let named = |names: &[&str], list: bool| {
            names.iter().find_map(|n| table.column_index(n).filter(|i| is_list(*i) == list && (list || table.is_numeric(*i))))
        };
        [true, false].into_iter().find_map(|lists| {
            let (time, flux) = (named(&TIMES, lists)?, named(&FLUXES, lists)?);
            Some(Self { time, flux, error: named(&ERRORS, lists), lists })
        })
    }
    /// Whether smaller numbers are brighter: magnitudes, by unit or by name.
    pub fn is_magnitude(&self, table: &Table) -> bool {
        let meta = &table.columns()[self.flux];
        meta.unit.as_deref().is_some_and(|u| u.to_ascii_lowercase().starts_with("mag")) || meta.name.starts_with("mag")
    }
    /// Times and brightnesses of a row, pairs of finite numbers.
    pub fn points(&self, table: &Table, row: usize) -> Vec<[f64; 2]> {
        let (t, y) = (table.array(self.time, row), table.array(self.flux, row));
        t.into_iter().zip(y).map(|(t, y)| [t, y]).filter(|p| p[0].is_finite() && p[1].is_finite()).collect()
    }
}

/// Phase of a time, in 0 … 1; the time itself where the period is not positive.
pub fn phase(time: f64, period: f64, zero: f64) -> f64 {
    if period > 0.0 { ((time - zero) / period).rem_euclid(1.0) } else { time }
}

/// [`phase`] of a column of times as an expression: what is selected on phases can be said by it, and found again.
pub fn phase_expression(column: &str, period: f64, zero: f64) -> String {
    let name = column.replace('"', "\"\"");
    format!("MOD(MOD((\"{name}\" - ({zero:?})) / {period:?}, 1) + 1, 1)")
}

/// A light curve as `bins` numbers: the median brightness of each part of the phase (with a
/// period) or of the time from first to last point (without), relative to the median of all and in
/// units of its spread (5th to 95th percentile), fainter downwards. A folded curve begins at its
/// faintest bin, so that curves of one kind look alike whatever the time they were begun at. Parts
/// with no point are NaN; fewer than 5 points give NaN throughout.
pub fn binned(points: &[[f64; 2]], bins: usize, period: f64, magnitudes: bool) -> Vec<f64> {
    let mut out = vec![f64::NAN; bins];
    if points.len() < 5 || bins == 0 {
        return out;
    }
    let (first, last) = points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), p| (a.min(p[0]), b.max(p[0])));
    let sign = if magnitudes { -1.0 } else { 1.0 };
    let mut parts: Vec<Vec<f64>> = vec![Vec::new(); bins];
    for p in points {
        let part = if period > 0.0 { phase(p[0], period, first) } else { (p[0] - first) / (last - first).max(f64::MIN_POSITIVE) };
        parts[((part * bins as f64) as usize).min(bins - 1)].push(sign * p[1]);
    }
    let mut all: Vec<f64> = points.iter().map(|p| sign * p[1]).collect();
    all.sort_by(f64::total_cmp);
    let at = |q: f64| all[((all.len() - 1) as f64 * q).round() as usize];
    let (middle, spread) = (at(0.5), at(0.95) - at(0.05));
    let spread = if spread > 0.0 { spread } else { 1.0 };
    for (value, part) in out.iter_mut().zip(&mut parts) {
        if !part.is_empty() {
            let half = part.len() / 2;
            *value = (*part.select_nth_unstable_by(half, f64::total_cmp).1 - middle) / spread;
        }
    }
    if period > 0.0
        && let Some((faintest, _)) = out.iter().enumerate().filter(|(_, v)| v.is_finite()).min_by(|a, b| a.1.total_cmp(b.1))
    {
        out.rotate_left(faintest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_gives_phases() {
        assert!((phase(10.25, 0.5, 10.0) - 0.5).abs() < 1e-12);
        assert!((phase(9.9, 0.5, 10.0) - 0.8).abs() < 1e-9);
        assert_eq!(phase(10.25, 0.0, 10.0), 10.25);
    }

    #[test]
    fn a_folded_curve_does_not_depend_on_when_it_was_begun_or_on_its_level() {
        let curve = |start: f64, level: f64, magnitudes: bool| {
            let points: Vec<[f64; 2]> = (0..2000)
                .map(|i| {
                    let t = f64::from(i) * 0.0137;
                    let dip = if (t + start).rem_euclid(1.7) < 0.17 { -0.5 } else { 0.0 };
                    [t, if magnitudes { level - dip } else { level + dip * 3.0 }]
                })
                .collect();
            binned(&points, 20, 1.7, magnitudes)
        };
        let (a, b) = (curve(0.0, 10.0, false), curve(0.4, -3.0, false));
        let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).filter(|d| *d > 0.3).count();
        // The edges of the dip may fall into the neighbouring bin.
        assert!(worst <= 2, "{a:?}\n{b:?}");
        let m = curve(0.0, 15.0, true);
        assert!(a[0] < -0.5 && m[0] < -0.5, "a dip is a dip in flux and in magnitudes: {a:?} {m:?}");
    }

    #[test]
    fn too_few_points_are_blank() {
        assert!(binned(&[[0.0, 1.0]; 4], 8, 0.0, false).iter().all(|v| v.is_nan()));
    }
}
