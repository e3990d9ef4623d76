//! From pixel values to grey: the limits of an image and the curve between them.
//!
//! The curves and limits are those of astropy's `visualization` (and so of its colour bars), value
//! for value; `zscale` is IRAF's algorithm as astropy runs it. Histogram equalisation was left out:
//! it hides how bright a thing is.
//!
//! Cost: percentiles select in O(n) on the finite values; zscale looks at 1000 samples.

/// The curve between the limits; takes and gives 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stretch {
    /// y = x.
    #[default]
    Linear,
    /// y = √x.
    Sqrt,
    /// y = x².
    Squared,
    /// y = log(1000 x + 1) / log(1001).
    Log,
    /// y = asinh(x / 0.1) / asinh(10).
    Asinh,
    /// y = sinh(3 x) / sinh(3).
    Sinh,
}

impl Stretch {
    /// All of them, in the order to show.
    pub const ALL: [Self; 6] = [Self::Linear, Self::Sqrt, Self::Squared, Self::Log, Self::Asinh, Self::Sinh];

    /// The curve at `x`, which is 0 at the lower limit and 1 at the upper.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Linear => x,
            Self::Sqrt => x.sqrt(),
            Self::Squared => x * x,
            Self::Log => (1000.0 * x + 1.0).ln() / 1001f64.ln(),
            Self::Asinh => (x / 0.1).asinh() / 10f64.asinh(),
            Self::Sinh => (x * 3.0).sinh() / 3f64.sinh(),
        }
    }
    /// Where the curve has the value `y`; for the ticks of a colour bar.
    pub fn invert(self, y: f64) -> f64 {
        match self {
            Self::Linear => y,
            Self::Sqrt => y * y,
            Self::Squared => y.sqrt(),
            Self::Log => ((y * 1001f64.ln()).exp() - 1.0) / 1000.0,
            Self::Asinh => 0.1 * (y * 10f64.asinh()).sinh(),
            Self::Sinh => (y * 3f64.sinh()).asinh() / 3.0,
        }
    }
    /// A value between the limits as 0 to 1; values outside are clipped, NaN stays NaN.
    pub fn of(self, value: f64, low: f64, high: f64) -> f64 {
        let x = if high == low { value - low } else { (value - low) / (high - low) };
        self.apply(if x.is_nan() { x } else { x.clamp(0.0, 1.0) })
    }
    /// Name in a menu and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Sqrt => "sqrt",
            Self::Squared => "squared",
            Self::Log => "log",
            Self::Asinh => "asinh",
            Self::Sinh => "sinh",
        }
    }
}

/// How the limits are found.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cuts {
    /// The smallest and largest finite value.
    MinMax,
    /// Two percentiles, 0 to 100.
    Percentile(f64, f64),
    /// IRAF's zscale: the slope of the sorted samples around the median.
    ZScale,
    /// Given by hand.
    Manual(f64, f64),
}

impl Default for Cuts {
    fn default() -> Self {
        Self::Percentile(0.5, 99.5)
    }
}

impl Cuts {
    /// Lower and upper limit for these pixels; `None` when nothing is finite.
    pub fn limits(self, pixels: &[f32]) -> Option<(f64, f64)> {
        match self {
            Self::MinMax => {
                let finite = pixels.iter().filter(|v| v.is_finite());
                let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
                (low <= high).then(|| (f64::from(low), f64::from(high)))
            }
            Self::Percentile(low, high) => {
                let mut finite: Vec<f32> = pixels.iter().copied().filter(|v| v.is_finite()).collect();
                if finite.is_empty() {
                    return None;
                }
                Some((percentile(&mut finite, low), percentile(&mut finite, high)))
            }
            Self::ZScale => zscale(pixels),
            Self::Manual(low, high) => Some((low, high)),
        }
    }
}

/// Percentile with linear interpolation between neighbours (numpy's default). Reorders.
fn percentile(values: &mut [f32], percent: f64) -> f64 {
    let at = (percent / 100.0).clamp(0.0, 1.0) * (values.len() - 1) as f64;
    let low = at.floor() as usize;
    let (_, &mut a, above) = values.select_nth_unstable_by(low, f32::total_cmp);
    let b = above.iter().copied().min_by(f32::total_cmp).unwrap_or(a);
    let part = at - low as f64;
    f64::from(a) + (f64::from(b) - f64::from(a)) * part
}

const SAMPLES: usize = 1000;
const CONTRAST: f64 = 0.25;
const MAX_REJECT: f64 = 0.5;
const MIN_PIXELS: usize = 5;
const K_REJECT: f64 = 2.5;
const ITERATIONS: usize = 5;

fn zscale(pixels: &[f32]) -> Option<(f64, f64)> {
    let finite = pixels.iter().filter(|v| v.is_finite()).count();
    if finite == 0 {
        return None;
    }
    let stride = (finite as f64 / SAMPLES as f64).max(1.0) as usize;
    let mut samples: Vec<f64> =
        pixels.iter().filter(|v| v.is_finite()).step_by(stride).take(SAMPLES).map(|v| f64::from(*v)).collect();
    samples.sort_by(f64::total_cmp);
    let n = samples.len();
    let (mut low, mut high) = (samples[0], samples[n - 1]);
    let enough = MIN_PIXELS.max((n as f64 * MAX_REJECT) as usize);
    let grow = ((n as f64 * 0.01) as usize).max(1);
    let mut bad = vec![false; n];
    let (mut good, mut last_good) = (n, n + 1);
    let mut slope = 0.0;
    for _ in 0..ITERATIONS {
        if good >= last_good || good < enough {
            break;
        }
        let (a, b) = fit_line(&samples, &bad);
        slope = b;
        let flat: Vec<f64> = samples.iter().enumerate().map(|(i, v)| v - (a + b * i as f64)).collect();
        let kept = || flat.iter().zip(&bad).filter(|(_, bad)| !**bad).map(|(v, _)| *v);
        let count = kept().count() as f64;
        let mean = kept().sum::<f64>() / count;
        let threshold = K_REJECT * (kept().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
        for (bad, v) in bad.iter_mut().zip(&flat) {
            *bad |= v.abs() > threshold;
        }
        // np.convolve(bad, ones(grow), mode="same")
        let before = grow - 1 - (grow - 1) / 2;
        let after = (grow - 1) / 2;
        bad = (0..n).map(|i| bad[i.saturating_sub(before)..(i + after + 1).min(n)].iter().any(|b| *b)).collect();
        last_good = good;
        good = bad.iter().filter(|b| !**b).count();
    }
    if good >= enough {
        let slope = slope / CONTRAST;
        let centre = (n - 1) / 2;
        let median = if n % 2 == 1 { samples[n / 2] } else { (samples[n / 2 - 1] + samples[n / 2]) / 2.0 };
        low = low.max(median - (centre as f64 - 1.0) * slope);
        high = high.min(median + (n - centre) as f64 * slope);
    }
    Some((low, high))
}

/// Least squares through the samples that are not bad: value at 0, slope.
fn fit_line(samples: &[f64], bad: &[bool]) -> (f64, f64) {
    let kept = || samples.iter().enumerate().zip(bad).filter(|(_, bad)| !**bad).map(|((i, v), _)| (i as f64, *v));
    let n = kept().count() as f64;
    let (mx, my) = kept().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (xx, xy) = kept().fold((0.0, 0.0), |(a, b), (x, y)| (a + (x - mx) * (x - mx), b + (x - mx) * (y - my)));
    let slope = if xx == 0.0 { 0.0 } else { xy / xx };
    (my - slope * mx, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_come_back() {
        for s in Stretch::ALL {
            assert!(s.apply(0.0).abs() < 1e-15 && (s.apply(1.0) - 1.0).abs() < 1e-12);
            for x in [0.01, 0.3, 0.9] {
                assert!((s.invert(s.apply(x)) - x).abs() < 1e-12, "{s:?}");
            }
        }
        assert!(Stretch::Log.of(f64::NAN, 0.0, 1.0).is_nan());
        assert_eq!(Stretch::Linear.of(5.0, 0.0, 1.0), 1.0);
    }

    #[test]
    fn limits_of_nothing_and_of_one_value() {
        for cuts in [Cuts::MinMax, Cuts::ZScale, Cuts::default()] {
            assert_eq!(cuts.limits(&[f32::NAN]), None);
            assert_eq!(cuts.limits(&[3.0, f32::NAN]), Some((3.0, 3.0)));
        }
    }
}
