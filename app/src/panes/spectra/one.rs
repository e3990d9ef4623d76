//! One spectrum by itself: its samples as a line, or as steps where there is room for them, with the band of its errors; samples that
//! are masked or have no value are gaps.
//!
//! Steps, because a sample is the mean over its bin: a line between middles would show slopes that nobody measured. Borders lie half
//! way between neighbours. Cost: one pass over the samples in sight.

use asterism_data::Spectrum;
use egui::{Painter, Stroke, pos2};

use crate::panes::ensemble;
use crate::theme::Theme;
use crate::widgets::Frame;

/// Points between samples from which on they are steps.
const STEP_PT: f64 = 4.0;

/// Draw it; `metres` is the unit of the axis, `factor` what wavelengths are multiplied by (to be at rest).
pub fn paint(painter: &Painter, theme: &Theme, frame: &Frame, spectrum: &Spectrum, metres: Option<f64>, factor: f64) {
    let (x, y, error) = samples(spectrum, metres, factor);
    if x.len() < 2 {
        return;
    }
    if let Some(error) = &error {
        let (low, high): (Vec<f32>, Vec<f32>) = y.iter().zip(error).map(|(v, e)| (v - e, v + e)).unzip();
        ensemble::band(painter, frame, &x, [&low, &high], theme.text.gamma_multiply(0.22));
    }
    let stroke = Stroke::new(1.0, theme.text.gamma_multiply(0.85));
    let wide = (x[x.len() - 1] - x[0]).abs() / (x.len() - 1) as f64 / frame.data_per_pt()[0];
    if wide < STEP_PT {
        ensemble::line(painter, frame, &x, &y, stroke);
        return;
    }
    for run in steps(&x, &y) {
        painter.line(run.into_iter().map(|p| frame.pt_from_data(p)).map(|p| pos2(p.x.clamp(-1e6, 1e6), p.y)).collect(), stroke);
    }
}

/// Wavelengths as they are shown, rising; values and errors with NaN where a sample is not good.
fn samples(s: &Spectrum, metres: Option<f64>, factor: f64) -> (Vec<f64>, Vec<f32>, Option<Vec<f32>>) {
    let n = s.flux.len();
    let x: Vec<f64> = match (metres, s.wavelength_m.len() == n) {
        (Some(metres), true) => s.wavelength_m.iter().map(|m| m / metres * factor).collect(),
        _ => s.axis.iter().map(|v| v * factor).collect(),
    };
    let mut order: Vec<usize> = (0..n.min(x.len())).filter(|i| x[*i].is_finite()).collect();
    order.sort_by(|a, b| x[*a].total_cmp(&x[*b]));
    let good = |i: usize, v: f64| if s.good.get(i).copied().unwrap_or(true) { v as f32 } else { f32::NAN };
    let error = s.error.as_ref().filter(|e| e.len() == n);
    let error = error.map(|e| order.iter().map(|i| good(*i, e[*i])).collect());
    (order.iter().map(|i| x[*i]).collect(), order.iter().map(|i| good(*i, s.flux[*i])).collect(), error)
}

/// Runs of corners: each sample from border to border of its bin, broken at gaps (no value, or a hole of twice the usual step).
fn steps(x: &[f64], y: &[f32]) -> Vec<Vec<[f64; 2]>> {
    let n = x.len();
    let mut widths: Vec<f64> = x.windows(2).map(|p| p[1] - p[0]).collect();
    if widths.is_empty() {
        return Vec::new();
    }
    let middle = widths.len() / 2;
    let usual = *widths.select_nth_unstable_by(middle, f64::total_cmp).1;
    let half = |i: usize, j: usize| (x[j] - x[i]).abs() / 2.0;
    let mut runs: Vec<Vec<[f64; 2]>> = Vec::new();
    let mut run: Vec<[f64; 2]> = Vec::new();
    for i in 0..n {
        let before = if i > 0 { half(i - 1, i) } else { half(0, 1) };
        let after = if i + 1 < n { half(i, i + 1) } else { half(n - 2, n - 1) };
        let hole = |width: f64| width > usual;
        let v = f64::from(y[i]);
        if !v.is_finite() || hole(before) {
            runs.extend((!run.is_empty()).then(|| std::mem::take(&mut run)));
        }
        if v.is_finite() {
            let side = |width: f64| if hole(width) { usual / 2.0 } else { width };
            run.push([x[i] - side(before), v]);
            run.push([x[i] + side(after), v]);
        }
    }
    runs.extend((!run.is_empty()).then_some(run));
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_meet_half_way_and_break_at_gaps() {
        let x = [1.0, 2.0, 3.0, 4.0, 10.0, 11.0];
        let y = [5.0, 6.0, f32::NAN, 7.0, 8.0, 9.0];
        let runs = steps(&x, &y);
        assert_eq!(runs.len(), 3, "{runs:?}");
        assert_eq!(runs[0], [[0.5, 5.0], [1.5, 5.0], [1.5, 6.0], [2.5, 6.0]]);
        assert_eq!(runs[1], [[3.5, 7.0], [4.5, 7.0]]);
        assert_eq!(runs[2], [[9.5, 8.0], [10.5, 8.0], [10.5, 9.0], [11.5, 9.0]]);
    }

    #[test]
    fn samples_rise_and_bad_ones_are_gaps() {
        let s = Spectrum {
            wavelength_m: vec![3e-10, 2e-10, 1e-10],
            flux: vec![3.0, 2.0, 1.0],
            error: Some(vec![0.3, 0.2, 0.1]),
            good: vec![true, false, true],
            ..Spectrum::default()
        };
        let (x, y, error) = samples(&s, Some(1e-10), 0.5);
        assert_eq!(x.iter().map(|v| (v * 2.0).round()).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
        assert!(y[0] == 1.0 && y[1].is_nan() && y[2] == 3.0);
        assert!((error.expect("errors")[2] - 0.3).abs() < 1e-6);
    }
}
