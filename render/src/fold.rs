//! Times folded with a period where they lie: a slider moves a period, and no position is uploaded.
//!
//! A row's time is kept as its share of the whole span, a whole number of 2^-32 of it ([`Times`]). The span holds so many cycles, a
//! number of 32 bits before and 32 behind the point ([`Fold`]). The phase is the product's part behind the point: in whole numbers that wrap around it
//! is exact, on the device as on the processor, where a time in f32 would lose its phase after some thousand cycles. Error: half
//! of 2^-32 of the span times the cycles, 5e-5 of a cycle for four years and a period of five minutes.
//!
//! Scalar twin of fold.wgsl: [`Fold::phase`]. Cost: 4 B a row beside its position; a pass that reads 4 B and writes 4 B a row when
//! the period changes.

use std::sync::Arc;

/// Rows without a time.
pub(crate) const NONE: u32 = u32::MAX;

/// Times of rows as shares of their span.
#[derive(Clone, Debug)]
pub struct Times {
    pub(crate) shares: Arc<Vec<u32>>,
    start: f64,
    span: f64,
}

impl Times {
    /// Of times in any unit; those that are not finite have no phase.
    #[must_use]
    pub fn of(times: &[f64]) -> Self {
        let finite = times.iter().copied().filter(|t| t.is_finite());
        let (low, high) = finite.fold((f64::MAX, f64::MIN), |(l, h), t| (l.min(t), h.max(t)));
        let (start, span) =
            if low < high && (high - low).is_finite() { (low, high - low) } else { (if low == high { low } else { 0.0 }, 1.0) };
        let share = |t: &f64| {
            if t.is_finite() {
                ((t - start) / span * f64::from(NONE - 1)).round().clamp(0.0, f64::from(NONE - 1)) as u32
            } else {
                NONE
            }
        };
        Self { shares: Arc::new(times.iter().map(share).collect()), start, span }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shares.len()
    }

    /// Whether a row has a time.
    #[must_use]
    pub fn has(&self, row: usize) -> bool {
        self.shares.get(row).is_some_and(|s| *s != NONE)
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// Folding with `period` (in the unit of the times), phase 0 at the time `zero`; none where the period is no positive number or
    /// too short for 2^32 cycles in the span.
    #[must_use]
    pub fn fold(&self, period: f64, zero: f64) -> Option<Fold> {
        // A share counts in steps of a little more than 2^-32 of the span.
        let cycles = self.span / period * (4_294_967_296.0 / f64::from(NONE - 1));
        if !(period > 0.0 && cycles.is_finite() && cycles < f64::from(u32::MAX)) {
            return None;
        }
        let whole = cycles.floor();
        let part = (((cycles - whole) * 4_294_967_296.0) as u64).min(u64::from(u32::MAX)) as u32;
        let before = ((zero - self.start) / period).rem_euclid(1.0);
        Some(Fold { whole: whole as u32, part, shift: (before * 4_294_967_296.0) as u64 as u32 })
    }
}

/// A period in the units of [`Times`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fold {
    /// Cycles in the span, the whole ones.
    pub(crate) whole: u32,
    /// The rest of a cycle, in 2^-32.
    pub(crate) part: u32,
    /// Phase of the first time before phase 0 is where it should be, in 2^-32.
    pub(crate) shift: u32,
}

impl Fold {
    /// Phase of a share, 0 to 1 (not 1); NaN of a row without a time.
    #[must_use]
    pub(crate) fn phase(self, share: u32) -> f32 {
        if share == NONE {
            return f32::NAN;
        }
        let product = share.wrapping_mul(self.whole).wrapping_add(((u64::from(share) * u64::from(self.part)) >> 32) as u32);
        // 24 bits, as a float holds them exactly.
        (product.wrapping_sub(self.shift) >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Phase of a row.
    #[must_use]
    pub fn of(self, times: &Times, row: usize) -> f32 {
        times.shares.get(row).map_or(f32::NAN, |s| self.phase(*s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_those_in_double_precision() {
        // Four years of Kepler: half an hour between, days of a large zero point.
        let times: Vec<f64> = (0..70_000).map(|i| 2_454_953.5 + f64::from(i) * 0.020_43).chain([f64::NAN]).collect();
        let kept = Times::of(&times);
        for (period, most) in [(3.5225, 1e-6), (0.089_143, 4e-6), (1500.0, 1e-6), (0.0035, 1e-4), (700.123, 1e-6)] {
            let zero = times[12_345];
            let fold = kept.fold(period, zero).expect("a period");
            for (row, t) in times.iter().enumerate().take(70_000) {
                let exact = ((t - zero) / period).rem_euclid(1.0);
                let near = (f64::from(fold.of(&kept, row)) - exact).abs();
                assert!(near.min(1.0 - near) < most, "{period} at {row}: {} beside {exact}", fold.of(&kept, row));
            }
            assert!(fold.of(&kept, 70_000).is_nan());
        }
        assert!(kept.fold(0.0, 0.0).is_none() && kept.fold(f64::NAN, 0.0).is_none() && kept.fold(1e-9, 0.0).is_none());
        // One time, none at all.
        assert!(Times::of(&[5.0]).fold(2.0, 5.0).is_some_and(|f| f.of(&Times::of(&[5.0]), 0) == 0.0));
        assert!(Times::of(&[f64::NAN]).fold(1.0, 0.0).is_some_and(|f| f.phase(NONE).is_nan()) && Times::of(&[]).is_empty());
    }
}
