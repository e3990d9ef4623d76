//! Vectors of what lies behind rows: spectra on a common grid, light curves in parts of the phase or time, pixels.

use asterism_data::Spectrum;
use asterism_data::spectrum::{Grid, resample};
use ndarray::Array2;
use rayon::prelude::*;

use super::{Normalise, Raw, median};
use crate::curves::CurveColumns;
use crate::document::{Dataset, Layer};
use crate::error::{Error, Result};
use crate::select::{column_or_expression, image_positions};

pub(super) fn spectra(
    dataset: &Dataset,
    column: &str,
    grid: Option<&str>,
    normalise: Normalise,
    from: usize,
    weigh: bool,
) -> Result<Raw> {
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
    let on_grid = |spectrum: &Spectrum| -> Vec<f64> {
        match &grid {
            Some(grid) => {
                let (flux, weight) = resample(spectrum, grid);
                flux.iter().zip(&weight).map(|(f, w)| if *w > 0.0 { f64::from(*f) } else { f64::NAN }).collect()
            }
            None => spectrum.flux.iter().zip(&spectrum.good).map(|(f, good)| if *good { *f } else { f64::NAN }).collect(),
        }
    };
    // Flux and uncertainty, in units of the level.
    let one = |row: usize| -> [Vec<f64>; 2] {
        let mut spectrum = spectra.spectrum(table, row);
        let mut flux = on_grid(&spectrum);
        let good: Vec<f64> = flux.iter().copied().filter(|v| v.is_finite()).collect();
        let level = match normalise {
            Normalise::None => 1.0,
            Normalise::Median => median(good),
            Normalise::L2 => good.iter().map(|v| v * v).sum::<f64>().sqrt(),
        };
        let level = if level.abs() > 0.0 { level.abs() } else { 1.0 };
        flux.iter_mut().for_each(|v| *v /= level);
        let mut sigma = Vec::new();
        if let Some(error) = spectrum.error.take().filter(|_| weigh) {
            spectrum.flux = error;
            sigma = on_grid(&spectrum);
            sigma.iter_mut().for_each(|v| *v /= level);
        }
        [flux, sigma]
    };
    let (all, sigma): (Vec<Vec<f64>>, Vec<Vec<f64>>) =
        (from..rows).into_par_iter().map(one).map(|[flux, sigma]| (flux, sigma)).unzip();
    let dims = all.iter().map(Vec::len).max().unwrap_or(0);
    if all.iter().any(|v| v.len() != dims && !v.is_empty()) {
        return Err(Error::said(
            "the spectra have different numbers of samples: give a common grid under Features, such as 4750..7400 A / 400",
        ));
    }
    let sigma = sigma.iter().any(|s| !s.is_empty()).then(|| stacked(&sigma, dims));
    Ok(Raw { sigma, ..named(&all, dims, |i| format!("sample {i}")) })
}

fn named(rows: &[Vec<f64>], dims: usize, name: impl Fn(usize) -> String) -> Raw {
    Raw { x: stacked(rows, dims), names: (0..dims).map(name).collect(), ..Raw::default() }
}

/// Inverse variances of each spectrum, cut at their 95th percentile and divided by that; 1 where a spectrum has none.
pub(super) fn weigh(weights: &mut Array2<f32>, sigma: &Array2<f64>) {
    for (mut w, sigma) in weights.outer_iter_mut().zip(sigma.outer_iter()) {
        let inverse = |s: f64| if s > 0.0 && s.is_finite() { s.powi(-2) } else { 0.0 };
        let mut all: Vec<f64> = sigma.iter().map(|s| inverse(*s)).filter(|v| *v > 0.0 && v.is_finite()).collect();
        if all.is_empty() {
            continue;
        }
        let at = (all.len() - 1) * 95 / 100;
        let most = *all.select_nth_unstable_by(at, f64::total_cmp).1;
        w.iter_mut().zip(sigma).for_each(|(w, s)| *w *= (inverse(*s) / most).min(1.0) as f32);
    }
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

/// A grid that most spectra of a column share, where they do not lie on one anyway: from the 75th
/// percentile of their first wavelengths to the 25th of their last (if that leaves nothing, from
/// median to median), with as many points as half of them have there, 64 to 1,000.
pub(super) fn common_grid(dataset: &Dataset, spectra: &asterism_data::SpectraColumn) -> Option<Grid> {
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

pub(super) fn curves(dataset: &Dataset, column: &str, bins: usize, period: &str, from: usize) -> Result<Raw> {
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
    Ok(named(&all, bins, |i| format!("{what} {i}/{bins}")))
}

/// Pixels in array cells, each picture divided by its norm.
pub(super) fn pixels(dataset: &Dataset, column: &str, from: usize) -> Result<Raw> {
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
    Ok(named(&all, dims, |i| format!("pixel {i}")))
}

pub(super) fn cut_outs(dataset: &Dataset, size: usize, from: usize) -> Result<Raw> {
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
                    image.value(x as usize, y as usize).map_or(f64::NAN, f64::from)
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
    let names = (0..size * size).map(|i| format!("pixel {} {}", i % size, i / size)).collect();
    Ok(Raw { x: raw, names, ..Raw::default() })
}
