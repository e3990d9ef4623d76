//! Thins lines to what the screen can show, pixel for pixel: M4 (Jugel et al. 2014, VLDB 7(10)).
//!
//! Of the samples in one column of pixels only the first, lowest, highest and last can change a line drawn without anti-aliasing, so
//! they are kept, in order; absorption spikes of one sample survive. Samples that are not finite break the line: a `[NaN, NaN]`
//! stands in their place. Choice not taken: averaging or every n-th sample, which lose the spikes that are looked for. Cost: one pass,
//! at most 4 points a column and one break.

/// The samples of a line that are needed to draw `x0..x1` on `px` columns. `x` rises (equal values allowed) or falls; where the slices
/// differ in length the shorter counts. One sample on either side of the range is kept, so that the line runs out of the picture.
/// With fewer samples than would be saved the line comes back as it is. Gaps are single `[NaN, NaN]`.
pub fn m4(x: &[f64], y: &[f64], x0: f64, x1: f64, px: u32) -> Vec<[f64; 2]> {
    let n = x.len().min(y.len());
    let (x, y) = (&x[..n], &y[..n]);
    let (lo, hi) = (x0.min(x1), x0.max(x1));
    let mut out = Vec::new();
    let some = hi > lo; // false also for NaN
    if n == 0 || px == 0 || !some {
        return out;
    }
    let range = visible(x, lo, hi);
    let columns = f64::from(px);
    // Columns left and right of the picture hold the samples there.
    let column = |v: f64| ((v - lo) / (hi - lo) * columns).floor().clamp(-1.0, columns);
    let dense = range.len() > px as usize * 4;

    let mut bucket: Option<Bucket> = None;
    for i in range {
        if !(x[i].is_finite() && y[i].is_finite()) {
            if let Some(b) = bucket.take() {
                b.write(x, y, &mut out);
            }
            if out.last().is_some_and(|p: &[f64; 2]| !p[0].is_nan()) {
                out.push([f64::NAN; 2]);
            }
            continue;
        }
        if !dense {
            out.push([x[i], y[i]]);
            continue;
        }
        let c = column(x[i]);
        match &mut bucket {
            Some(b) if b.column == c => b.add(i, y),
            _ => {
                if let Some(b) = bucket.replace(Bucket { column: c, first: i, low: i, high: i, last: i }) {
                    b.write(x, y, &mut out);
                }
            }
        }
    }
    if let Some(b) = bucket {
        b.write(x, y, &mut out);
    }
    while out.last().is_some_and(|p| p[0].is_nan()) {
        out.pop();
    }
    out
}

struct Bucket {
    column: f64,
    first: usize,
    low: usize,
    high: usize,
    last: usize,
}

impl Bucket {
    fn add(&mut self, i: usize, y: &[f64]) {
        if y[i] < y[self.low] {
            self.low = i;
        }
        if y[i] > y[self.high] {
            self.high = i;
        }
        self.last = i;
    }

    fn write(&self, x: &[f64], y: &[f64], out: &mut Vec<[f64; 2]>) {
        let mut four = [self.first, self.low, self.high, self.last];
        four.sort_unstable();
        for (k, &i) in four.iter().enumerate() {
            if k == 0 || four[k - 1] != i {
                out.push([x[i], y[i]]);
            }
        }
    }
}

/// Samples from `lo` to `hi` and one more on either side. Found by halving where `x` is in order, which it is but for gaps.
fn visible(x: &[f64], lo: f64, hi: f64) -> std::ops::Range<usize> {
    let sorted_up = x.iter().all(|v| v.is_finite()) && x.is_sorted();
    let sorted_down = !sorted_up && x.iter().all(|v| v.is_finite()) && x.is_sorted_by(|a, b| a >= b);
    let (a, b) = if sorted_up {
        (x.partition_point(|&v| v < lo), x.partition_point(|&v| v <= hi))
    } else if sorted_down {
        (x.partition_point(|&v| v > hi), x.partition_point(|&v| v >= lo))
    } else {
        (0, x.len())
    };
    a.saturating_sub(1)..(b + 1).min(x.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_column_keeps_its_extremes_and_ends() {
        let n = 100_000;
        let x: Vec<f64> = (0..n).map(f64::from).collect();
        let y: Vec<f64> = (0..n).map(|i| f64::from((i * 7919) % 1009) + if i == 54_321 { -1e6 } else { 0.0 }).collect();
        let out = m4(&x, &y, 0.0, f64::from(n), 500);
        assert!(out.len() <= 2000);
        assert!(out.contains(&[54_321.0, y[54_321]]), "the spike is lost");
        assert!(out.windows(2).all(|w| w[0][0] < w[1][0]));
        for c in 0..500 {
            let part = c * 200..(c + 1) * 200;
            let low = y[part.clone()].iter().copied().fold(f64::MAX, f64::min);
            let high = y[part.clone()].iter().copied().fold(f64::MIN, f64::max);
            let got: Vec<f64> = out.iter().filter(|p| part.contains(&(p[0] as usize))).map(|p| p[1]).collect();
            assert!(got.contains(&low) && got.contains(&high), "column {c}");
            assert_eq!((got[0], got[got.len() - 1]), (y[c * 200], y[c * 200 + 199]));
        }
        // Zoomed in: everything in range, and one sample beyond either edge.
        let out = m4(&x, &y, 1000.5, 1010.5, 500);
        assert_eq!(out.first().unwrap()[0], 1000.0);
        assert_eq!(out.last().unwrap()[0], 1011.0);
        assert_eq!(out.len(), 12);
        // Falling x, as frequencies have it.
        let (xr, yr): (Vec<f64>, Vec<f64>) = x.iter().zip(&y).rev().map(|(x, y)| (*x, *y)).unzip();
        let mut back = m4(&xr, &yr, 1000.5, 1010.5, 500);
        back.reverse();
        assert_eq!(back, out);
    }

    #[test]
    fn gaps_break_the_line_once() {
        let y = [1.0, f64::NAN, f64::NAN, 2.0, 3.0, f64::INFINITY, f64::NAN];
        let x: Vec<f64> = (0..7).map(f64::from).collect();
        let out = m4(&x, &y, 0.0, 6.0, 100);
        assert_eq!(out.len(), 4);
        assert_eq!((out[0], out[2], out[3]), ([0.0, 1.0], [3.0, 2.0], [4.0, 3.0]));
        assert!(out[1][0].is_nan());
        let many: Vec<f64> = (0..10_000).map(|i| if (4000..5000).contains(&i) { f64::NAN } else { 1.0 }).collect();
        let x: Vec<f64> = (0..10_000).map(f64::from).collect();
        let out = m4(&x, &many, 0.0, 10_000.0, 100);
        assert_eq!(out.iter().filter(|p| p[0].is_nan()).count(), 1);
        assert!(m4(&x, &many, 5.0, 5.0, 100).is_empty());
        assert!(m4(&[], &[], 0.0, 1.0, 100).is_empty());
    }
}
