//! Numbers whose squares `f32` cannot hold: fluxes in W/m²/Hz (1e-26), luminosities in erg/s (1e33).
//!
//! Distances and variances are sums of squares. Where the largest number is beyond 2^±40, rows are divided by a power of two first,
//! which changes no digit of them, and what has units is multiplied by it again. Everything else is left as it is, to the last bit.
//! New rows are divided by the power of the rows that were fitted; what is still out of reach then counts as the largest number that
//! is not. Choice not taken: `f64` throughout, which doubles the memory and halves the speed of every map for the sake of a few.

use crate::kernel::wide;
use crate::monitor::Monitor;
use crate::{Progress, gpu};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// Powers of two whose squares, summed over any number of columns, `f32` holds with all their digits.
const REACH: i32 = 40;
/// The largest number that new rows may have.
const LARGEST: f32 = (1u64 << 50) as f32;

/// The power of two to divide by: 0 for what is within reach, and for nothing but zeros.
pub(crate) fn power(values: &[f32]) -> i32 {
    let of = |c: &[f32]| c.iter().map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0f32, f32::max);
    let largest = values.par_chunks(1 << 16).map(of).reduce(|| 0.0, f32::max);
    if largest == 0.0 {
        return 0;
    }
    let power = f64::from(largest).log2().floor() as i32;
    if power.abs() <= REACH { 0 } else { power }
}

wide! {
    /// The bits of the largest number, whatever its sign; those of what is not finite are larger than all others.
    fn largest_bits(values: &[f32]) -> u32 {
        values.iter().fold(0u32, |m, v| m.max(v.to_bits() & 0x7fff_ffff))
    }
}

/// The power of a matrix, of its cells with a weight alone; and whether all of it was found to be finite on the way, in one pass.
pub(crate) fn power_of(x: ArrayView2<f32>, weights: Option<ArrayView2<f32>>) -> (i32, bool) {
    match (x.to_slice(), weights.filter(|w| w.dim() == x.dim())) {
        (Some(values), None) => {
            let bits = values.par_chunks(1 << 16).map(largest_bits).max().unwrap_or(0);
            let largest = f32::from_bits(bits);
            if largest.is_finite() { (power(&[largest]), true) } else { (power(values), false) }
        }
        (_, None) => (power(&x.iter().copied().collect::<Vec<f32>>()), false),
        (_, Some(w)) => (power(&x.iter().zip(w).map(|(v, w)| if *w > 0.0 { *v } else { 0.0 }).collect::<Vec<f32>>()), false),
    }
}

/// 2^power, exact.
pub(crate) fn unit(power: i32) -> f64 {
    f64::from(power).exp2()
}

/// Divides all by 2^power; what is larger than the reach afterwards is taken to its edge.
pub(crate) fn divide(values: &mut [f32], power: i32) {
    let by = unit(-power);
    if power != 0 {
        values.par_iter_mut().for_each(|v| *v = (f64::from(*v) * by) as f32);
    }
    values.par_iter_mut().for_each(|v| *v = v.clamp(-LARGEST, LARGEST));
}

/// Multiplies all by 2^power.
pub(crate) fn multiply(values: &mut [f32], power: i32) {
    if power != 0 {
        let by = unit(power);
        values.iter_mut().for_each(|v| *v = (f64::from(*v) * by) as f32);
    }
}

/// Brings rows within reach; the power that they were divided by.
pub(crate) fn within(values: &mut [f32]) -> i32 {
    let power = power(values);
    if power != 0 {
        divide(values, power);
    }
    power
}

/// A copy divided by 2^power; cells that are not finite (masked ones) stay.
pub(crate) fn divided(x: ArrayView2<f32>, power: i32) -> Array2<f32> {
    let by = unit(-power);
    x.mapv(|v| (f64::from(v) * by) as f32)
}

/// Divides the rows that arrive as the first ones were.
pub(crate) struct Levelled<'a> {
    pub monitor: &'a dyn Monitor,
    pub power: i32,
}

impl Monitor for Levelled<'_> {
    fn progress(&self, p: Progress) {
        self.monitor.progress(p);
    }
    fn frame(&self, coords: &[f32], dims: usize, figures: &[(&'static str, f64)]) {
        self.monitor.frame(coords, dims, figures);
    }
    fn on_device(&self, places: &gpu::Places) {
        self.monitor.on_device(places);
    }
    fn off_device(&self) {
        self.monitor.off_device();
    }
    fn watches(&self) -> bool {
        self.monitor.watches()
    }
    fn stop(&self) -> bool {
        self.monitor.stop()
    }
    fn feeds(&self) -> bool {
        self.monitor.feeds()
    }
    fn arrived(&self) -> Option<Array2<f32>> {
        let rows = self.monitor.arrived()?;
        Some(divided(rows.view(), self.power).mapv_into(|v| v.clamp(-LARGEST, LARGEST)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::kernel::Rng;
    use crate::{Graph, Method, Model, Params, Quiet, Search};

    /// Five groups in six columns.
    fn groups(n: usize) -> Array2<f32> {
        let mut rng = Rng::new(5, 1);
        let x = Array2::from_shape_fn((n, 6), |(i, j)| ((i % 5 == j) as u8 as f64 * 9.0 + rng.normal()) as f32);
        // The largest number between 1 and 2, as it is after a division: then all digits are the same.
        let largest = x.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        times(&x, -(largest.log2().floor() as i32))
    }

    fn times(x: &Array2<f32>, power: i32) -> Array2<f32> {
        x.mapv(|v| (f64::from(v) * unit(power)) as f32)
    }

    /// 1e-26 and 1e33, about.
    const POWERS: [i32; 2] = [-86, 110];

    #[test]
    fn what_is_within_reach_is_left_alone() {
        for power in [-36, 0, 30] {
            assert_eq!(super::power(times(&groups(9), power).as_slice().unwrap()), 0);
        }
        assert_eq!((super::power(&[]), super::power(&[0.0, -0.0]), super::power(&[f32::NAN, f32::INFINITY])), (0, 0, 0));
        assert_eq!((super::power(&[0.0, -1e-30, f32::NAN]), super::power(&[1.0, -2f32.powi(100)])), (-100, 100));
        let masked = ndarray::array![[1.0f32, 1e30], [f32::NAN, 2.0]];
        let weights = ndarray::array![[1.0f32, 0.0], [0.0, 1.0]];
        assert_eq!(power_of(masked.view(), Some(weights.view())), (0, false));
    }

    #[test]
    fn one_pass_finds_the_power_and_what_is_not_finite() {
        let x = times(&groups(300), 90);
        assert_eq!(power_of(x.view(), None), (super::power(x.as_slice().unwrap()), true));
        assert_eq!(power_of(x.t(), None), (super::power(x.as_slice().unwrap()), false));
        for bad in [f32::NAN, f32::NEG_INFINITY] {
            let mut y = x.clone();
            y[[7, 3]] = bad;
            assert!(!power_of(y.view(), None).1);
            assert!(matches!(
                crate::embed(y.view(), None, &Params::default(), &Quiet),
                Err(crate::Error::NotFinite { row: 7, dim: 3 })
            ));
        }
    }

    #[test]
    fn maps_of_tiny_and_huge_numbers_are_those_of_usual_ones() {
        let x = groups(400);
        for method in [Method::Pca, Method::Tsne, Method::Umap, Method::Pacmap, Method::Autoencoder] {
            let params = Params { method, iterations: 120, epochs: 5, layers: vec![12], ..Params::default() };
            let usual = crate::embed(x.view(), None, &params, &Quiet).unwrap();
            for power in POWERS {
                let y = times(&x, power);
                let made = crate::embed(y.view(), None, &params, &Quiet).unwrap();
                assert!(made.coords.iter().all(|v| v.is_finite()), "{method} at 2^{power}");
                let unit = if method == Method::Pca { unit(power) } else { 1.0 };
                let worst = usual.coords.iter().zip(&made.coords).map(|(a, b)| (f64::from(*b) / unit - f64::from(*a)).abs());
                assert!(worst.fold(0.0, f64::max) < 1e-6, "{method} at 2^{power}");
                let errors = |e: &crate::Embedding| e.row_error.clone().map(|r| r.iter().map(|v| f64::from(*v)).sum::<f64>());
                if let (Some(a), Some(b)) = (errors(&usual), errors(&made)) {
                    assert!((b / super::unit(power) / a - 1.0).abs() < 1e-2, "{method} at 2^{power}: {a} {b}");
                }
                // The model knows it, in a file as well; a row beyond everything is placed too.
                let mut file = Vec::new();
                made.model.save(&mut file).unwrap();
                let model = Model::load(&file[..]).unwrap();
                assert_eq!(model, made.model);
                let mut new = y.slice(ndarray::s![..20, ..]).to_owned();
                new.row_mut(19).fill(3e38);
                let placed = model.place(new.view(), &Quiet).unwrap();
                let expected = usual.model.place(x.slice(ndarray::s![..19, ..]), &Quiet).unwrap();
                assert!(placed.coords.iter().chain(&placed.unlike).all(|v| v.is_finite()), "{method} at 2^{power}");
                let worst = expected.coords.iter().zip(&placed.coords).map(|(a, b)| (f64::from(*b) / unit - f64::from(*a)).abs());
                assert!(worst.fold(0.0, f64::max) < 0.05, "{method} at 2^{power}");
                assert!(placed.unlike[19] > 100.0 || power < 0 && placed.unlike[19] > 3.0, "{method}: {}", placed.unlike[19]);
                if let Some(back) = model.decode(placed.coords.slice(ndarray::s![..5, ..])) {
                    let there = usual.model.decode(expected.coords.slice(ndarray::s![..5, ..])).unwrap();
                    let worst = back.iter().zip(&there).map(|(b, a)| (f64::from(*b) / super::unit(power) - f64::from(*a)).abs());
                    assert!(worst.fold(0.0, f64::max) < 0.05, "{method} at 2^{power}");
                    let one = model.decode_one(placed.coords.row(0).as_slice().unwrap()).unwrap();
                    assert!(
                        one.iter()
                            .zip(back.row(0))
                            .all(|(a, b)| (a / b - 1.0).abs() < 1e-3 || (a - b).abs() < 1e-3 * unit as f32)
                    );
                    let place = model.encode_one(y.row(3).as_slice().unwrap()).unwrap();
                    assert!(place.iter().zip(placed.coords.row(3)).all(|(a, b)| ((a - b) / b.abs().max(1e-30)).abs() < 0.05));
                }
            }
        }
    }

    #[test]
    fn groups_scores_and_figures_of_tiny_and_huge_numbers_are_those_of_usual_ones() {
        let x = groups(300);
        let map = x.slice(ndarray::s![.., ..2]).to_owned();
        let k = crate::kmeans(x.view(), 5, 0, &Quiet).unwrap();
        let mixed = crate::mixture(x.view(), 5, crate::Covariance::Full, 0, &Quiet).unwrap().predict(x.view()).unwrap().labels;
        let dense = crate::hdbscan(x.view(), 10, 5, &Quiet).unwrap().labels;
        let figures = crate::quality(x.view(), map.view(), 0, &Quiet).unwrap();
        let components = crate::pca(x.view(), None, 2, &Quiet).unwrap();
        for power in POWERS {
            let y = times(&x, power);
            let here = crate::kmeans(y.view(), 5, 0, &Quiet).unwrap();
            assert_eq!(here.labels, k.labels);
            assert!((here.inertia / unit(power).powi(2) / k.inertia - 1.0).abs() < 1e-4);
            assert!((f64::from(here.centres[[0, 0]]) / unit(power) - f64::from(k.centres[[0, 0]])).abs() < 1e-4);
            let m = crate::mixture(y.view(), 5, crate::Covariance::Full, 0, &Quiet).unwrap();
            assert_eq!(m.predict(y.view()).unwrap().labels, mixed);
            assert_eq!(crate::hdbscan(y.view(), 10, 5, &Quiet).unwrap().labels, dense);
            let q = crate::quality(y.view(), times(&map, power).view(), 0, &Quiet).unwrap();
            assert!((q.recall_10 - figures.recall_10).abs() < 1e-3 && (q.triplets - figures.triplets).abs() < 1e-3);
            let p = crate::pca(y.view(), None, 2, &Quiet).unwrap();
            assert!((p.explained_variance[0] / unit(power).powi(2) / components.explained_variance[0] - 1.0).abs() < 1e-4);
            assert!((p.explained_ratio[1] - components.explained_ratio[1]).abs() < 1e-6);
            let (a, b) = (p.row_errors(y.view()).unwrap(), components.row_errors(x.view()).unwrap());
            assert!((f64::from(a[0]) / unit(power) / f64::from(b[0]) - 1.0).abs() < 1e-3);
            let graph = Graph::new(y.view(), 10, Search::Auto, &Quiet).unwrap();
            assert!(graph.fits(y.view(), 10) && !graph.fits(times(&x, 1).view(), 10));
            let lof = crate::lof(&graph, 10).unwrap();
            assert!(lof.factors.iter().all(|v| (0.5..3.0).contains(v)));
            let again = lof.of_new(y.view(), y.slice(ndarray::s![..3, ..]), &Quiet).unwrap();
            assert!(again.iter().all(|v| (0.3..3.0).contains(v)));
            let near = crate::nearest_to(y.view(), y.row(7).as_slice().unwrap(), 3).unwrap();
            assert_eq!((near[0].0, near[0].1), (7, 0.0));
            assert!(near[1].1 > 0.0 && near[1].1.is_finite());
        }
    }
}
