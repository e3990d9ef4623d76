//! Columns made comparable, in a way that can be repeated on new rows.
//!
//! Robust scaling is the default: (x − median) / (IQR / 1.349), clipped to ±10, so that a few wild values neither set
//! the scale nor rule the distances. A column whose middle half is a single value falls back to its standard
//! deviation, a constant one becomes 0. Missing cells (NaN) are ignored and stay NaN. Cost: one sort per column.

use crate::Error;
use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How columns are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Median 0, interquartile range as of a normal distribution of width 1, clipped to ±10.
    #[default]
    Robust,
    /// Mean 0, standard deviation 1.
    Standard,
    /// As they are.
    None,
}

/// What was done to each column, to be done to new rows too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    /// The kind of scaling.
    pub how: Scale,
    /// What was subtracted from each column, in its unit.
    pub centre: Vec<f64>,
    /// What it was divided by, in its unit; 0 marks a constant column, which becomes 0.
    pub scale: Vec<f64>,
}

/// Scales the columns of `x` (rows × columns) in place.
pub fn scale(x: &mut Array2<f64>, how: Scale) -> Scaler {
    let columns: Vec<Vec<f64>> = x.columns().into_iter().map(|c| c.iter().copied().filter(|v| v.is_finite()).collect()).collect();
    let (centre, spread) = columns
        .into_par_iter()
        .map(|mut v| {
            if v.is_empty() || how == Scale::None {
                return (0.0, if how == Scale::None { 1.0 } else { 0.0 });
            }
            let n = v.len() as f64;
            let mean = v.iter().sum::<f64>() / n;
            let deviation = (v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
            let deviation = if deviation > mean.abs() * 1e-12 { deviation } else { 0.0 };
            if how == Scale::Standard {
                return (mean, deviation);
            }
            v.sort_unstable_by(f64::total_cmp);
            let at = |q: f64| {
                let p = q * (n - 1.0);
                let (i, t) = (p.floor() as usize, p.fract());
                v[i] + t * (v[(i + 1).min(v.len() - 1)] - v[i])
            };
            let iqr = at(0.75) - at(0.25);
            (at(0.5), if iqr > at(0.5).abs() * 1e-12 { iqr / 1.349 } else { deviation })
        })
        .unzip();
    let scaler = Scaler { how, centre, scale: spread };
    scaler.run(x);
    scaler
}

impl Scaler {
    /// Scales new rows in the same way, in place.
    ///
    /// # Errors
    /// The number of columns differs from what was scaled first.
    pub fn apply(&self, x: &mut Array2<f64>) -> Result<(), Error> {
        if x.ncols() != self.centre.len() || self.scale.len() != self.centre.len() {
            return Err(Error::Shape(format!("the scaling is for {} columns, the rows have {}", self.centre.len(), x.ncols())));
        }
        self.run(x);
        Ok(())
    }

    fn run(&self, x: &mut Array2<f64>) {
        for ((mut column, centre), scale) in x.columns_mut().into_iter().zip(&self.centre).zip(&self.scale) {
            column.mapv_inplace(|v| {
                if v.is_nan() {
                    v
                } else if *scale == 0.0 {
                    0.0
                } else {
                    let s = (v - centre) / scale;
                    if self.how == Scale::Robust { s.clamp(-10.0, 10.0) } else { s }
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn robust_scaling_ignores_wild_values_and_repeats_on_new_rows() {
        let mut x =
            array![[1.0, 5.0, 0.0], [2.0, 5.0, 0.0], [3.0, 5.0, 0.0], [4.0, 5.0, 0.0], [1e9, 5.0, 1.0], [f64::NAN, 5.0, 0.0]];
        let s = scale(&mut x, Scale::Robust);
        assert_eq!(s.centre[0], 3.0);
        assert!((s.scale[0] - 2.0 / 1.349).abs() < 1e-12);
        assert_eq!(x[[4, 0]], 10.0);
        assert!(x[[5, 0]].is_nan());
        assert!(x.column(1).iter().all(|v| *v == 0.0));
        assert!((s.scale[2] - (1.0f64 / 6.0 * 5.0 / 6.0).sqrt()).abs() < 1e-12, "a middle half of one value: standard deviation");
        let mut new = array![[3.0, 9.0, 0.0]];
        s.apply(&mut new).unwrap();
        assert_eq!([new[[0, 0]], new[[0, 1]]], [0.0, 0.0]);
        assert!(s.apply(&mut array![[1.0]]).is_err());
        let text = serde_json::to_string(&s).unwrap();
        assert_eq!(serde_json::from_str::<Scaler>(&text).unwrap(), s);
    }
}
