//! Against recorded answers of scikit-learn and openTSNE (tests/peers) and against itself.
#![allow(clippy::unwrap_used, missing_docs)]

use asterism_reduce::{
    Embedding, Error, Method, Model, Monitor, Params, Quiet, embed, hdbscan, kmeans, neighbours, pca, quality, trustworthiness,
};
use ndarray::{Array2, ArrayView2, s};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

fn peers(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/peers").join(name)
}

fn digits() -> Array2<f32> {
    let bytes = std::fs::read(peers("digits.bin")).unwrap();
    Array2::from_shape_vec((1797, 64), bytes.into_iter().map(f32::from).collect()).unwrap()
}

fn recorded() -> Value {
    serde_json::from_slice(&std::fs::read(peers("reduce.json")).unwrap()).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn map(x: ArrayView2<f32>, params: &Params) -> Embedding {
    embed(x, None, params, &Quiet).unwrap()
}

fn threads<T: Send>(count: usize, job: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap().install(job)
}

/// Random numbers for tests: a plain linear congruential generator.
fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut s = seed.wrapping_mul(2654435761).wrapping_add(12345);
    move || {
        let mut sum = 0.0;
        for _ in 0..12 {
            s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            sum += (s >> 40) as f32 / (1u64 << 24) as f32;
        }
        sum - 6.0
    }
}

#[test]
fn pca_has_scikit_learns_variances_and_first_component() {
    let r = recorded();
    let p = pca(digits().view(), None, 10, &Quiet).unwrap();
    for (a, b) in p.explained_variance.iter().zip(numbers(&r["pca"]["variance"])) {
        assert!((a / b - 1.0).abs() < 1e-5, "{a} against {b}");
    }
    for (a, b) in p.explained_ratio.iter().zip(numbers(&r["pca"]["ratio"])) {
        assert!((a - b).abs() < 1e-6);
    }
    let first = numbers(&r["pca"]["first"]);
    let same: f64 = p.components.row(0).iter().zip(&first).map(|(a, b)| f64::from(*a) * b).sum();
    assert!((same.abs() - 1.0).abs() < 1e-5);
    for c in p.components.rows() {
        let big = c.iter().fold(0.0f32, |b, v| if v.abs() > b.abs() { *v } else { b });
        assert!(big > 0.0, "the largest loading is positive");
    }
}

#[test]
fn pca_agrees_whether_rows_or_columns_are_fewer() {
    // 1,797 rows of 64 columns, and 40 of these rows: the Gram route. Both must rebuild the rows from all components.
    let x = digits().slice(s![..40, ..]).to_owned();
    let p = pca(x.view(), None, 39, &Quiet).unwrap();
    let back = p.scores.dot(&p.components) + &ndarray::Array1::from(p.mean.clone());
    let worst = (&back - &x).iter().fold(0.0f32, |b, v| b.max(v.abs()));
    assert!(worst < 1e-3, "worst difference {worst}");
    assert!((p.explained_ratio.iter().sum::<f64>() - 1.0).abs() < 1e-6);
}

#[test]
fn weighted_pca_sees_through_masked_cells() {
    let mut n = noise(5);
    let (rows, cols) = (300, 30);
    let base: Vec<f32> = (0..2 * cols).map(|_| n()).collect();
    let truth = Array2::from_shape_fn((rows, cols), |_| 0.0f32);
    let mut truth = truth;
    for i in 0..rows {
        let (a, b) = (3.0 * n(), 2.0 * n());
        for j in 0..cols {
            truth[[i, j]] = a * base[j] + b * base[cols + j] + 5.0;
        }
    }
    let mut x = truth.clone();
    let mut w = Array2::from_elem((rows, cols), 4.0f32);
    for i in 0..rows {
        for j in 0..cols {
            if (i * 7 + j * 13) % 5 == 0 {
                x[[i, j]] = f32::NAN;
                w[[i, j]] = 0.0;
            }
        }
    }
    assert!(matches!(pca(x.view(), None, 2, &Quiet), Err(Error::NotFinite { row: 0, dim: 0 })));
    let p = pca(x.view(), Some(w.view()), 2, &Quiet).unwrap();
    let back = p.scores.dot(&p.components) + &ndarray::Array1::from(p.mean.clone());
    let rms = ((&back - &truth).mapv(|v| v * v).mean().unwrap()).sqrt();
    let size = truth.std(0.0);
    assert!(rms < 0.01 * size, "rms {rms} of {size}");
}

#[test]
fn neighbours_are_exact() {
    let x = digits();
    let near = neighbours(x.view(), 10, &Quiet).unwrap();
    for i in (0..1797).step_by(97) {
        let mut all: Vec<(f32, u32)> = (0..1797usize)
            .filter(|j| *j != i)
            .map(|j| (x.row(i).iter().zip(x.row(j)).map(|(a, b)| (a - b) * (a - b)).sum(), j as u32))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let got = &near.distances2[i * 10..(i + 1) * 10];
        assert_eq!(got, &all[..10].iter().map(|a| a.0).collect::<Vec<_>>()[..], "row {i}");
    }
}

#[test]
fn tsne_of_digits_is_as_good_as_opentsnes_and_places_rows_back() {
    let r = recorded();
    let x = digits();
    let m = map(x.view(), &Params { pca_dims: 0, ..Params::default() });
    assert!(m.complete);
    let kl = m.figures["kl"];
    let limit = r["tsne"]["kl"].as_f64().unwrap();
    eprintln!("divergence {kl:.4}, openTSNE {limit:.4}; seconds {:?}", m.seconds);
    assert!(kl <= 1.02 * limit.min(0.7562));
    let q = quality(x.view(), m.coords.view(), 0, &Quiet).unwrap();
    let trust = r["tsne"]["trustworthiness_15"].as_f64().unwrap();
    eprintln!("{:?}, openTSNE's trustworthiness {trust:.4}", (q.recall_10, q.trustworthiness_15, q.continuity_15, q.triplets));
    assert!(q.trustworthiness_15 >= trust - 0.01);
    assert!(q.recall_10 > 0.55 && q.continuity_15 > 0.95 && q.triplets > 0.6);
    assert!(q.row_trust.iter().all(|v| (0.0..=1.0).contains(v)));

    // Rows placed again land near themselves; strange ones are called strange.
    let some = x.slice(s![..200, ..]);
    let back = m.model.place(some, &Quiet).unwrap();
    let span = m.coords.iter().fold(0.0f32, |b, v| b.max(v.abs())) * 2.0;
    let mut off: Vec<f32> = (0..200)
        .map(|i| ((back.coords[[i, 0]] - m.coords[[i, 0]]).hypot(back.coords[[i, 1]] - m.coords[[i, 1]])) / span)
        .collect();
    off.sort_by(f32::total_cmp);
    eprintln!("placed back: median {:.4}, 90th {:.4} of the span {span:.0}", off[100], off[180]);
    assert!(off[100] < 0.02 && off[180] < 0.06);
    let odd = Array2::from_elem((1, 64), 60.0f32);
    assert!(m.model.place(odd.view(), &Quiet).unwrap().unlike[0] > 3.0);
    assert!(back.unlike.iter().filter(|u| **u > 3.0).count() < 4);

    // Stored and read again it does the same.
    let mut file = Vec::new();
    m.model.save(&mut file).unwrap();
    let again = Model::load(&file[..]).unwrap();
    assert!(again == m.model);
    assert_eq!(again.place(some, &Quiet).unwrap(), back);
    assert!(m.model.decode(m.coords.view()).is_none());
    for cut in [0, 7, 20, file.len() / 2, file.len() - 1] {
        assert!(matches!(Model::load(&file[..cut]), Err(Error::Model(_))));
    }
}

#[test]
fn maps_are_the_same_for_any_number_of_threads() {
    let x = digits();
    for params in [
        Params { iterations: 60, ..Params::default() },
        Params { method: Method::Autoencoder, layers: vec![32], epochs: 2, ..Params::default() },
        Params { method: Method::Pca, dims: 3, ..Params::default() },
    ] {
        let one = threads(1, || map(x.view(), &params).coords);
        let two = threads(2, || map(x.view(), &params).coords);
        assert!(one == two, "{:?}", params.method);
    }
    let one = threads(1, || kmeans(x.view(), 10, 1, &Quiet).unwrap());
    assert_eq!(one, threads(2, || kmeans(x.view(), 10, 1, &Quiet).unwrap()));
}

/// Stops after some questions; counts frames.
struct StopAfter {
    questions: AtomicUsize,
    limit: usize,
    frames: AtomicUsize,
}

impl Monitor for StopAfter {
    fn frame(&self, coords: &[f32], dims: usize, figures: &[(&'static str, f64)]) {
        assert_eq!((coords.len(), dims), (1797 * 2, 2));
        assert!(!figures.is_empty());
        self.frames.fetch_add(1, Ordering::Relaxed);
    }
    fn stop(&self) -> bool {
        self.questions.fetch_add(1, Ordering::Relaxed) >= self.limit
    }
}

#[test]
fn stopping_keeps_what_there_is() {
    let x = digits();
    for (method, limit) in [(Method::Tsne, 80), (Method::Autoencoder, 12)] {
        let monitor = StopAfter { questions: AtomicUsize::new(0), limit, frames: AtomicUsize::new(0) };
        let params = Params { method, layers: vec![32], ..Params::default() };
        let m = embed(x.view(), None, &params, &monitor).unwrap();
        assert!(!m.complete, "{method}");
        assert!(m.coords.iter().all(|v| v.is_finite()));
        assert!(monitor.frames.load(Ordering::Relaxed) > 0);
        let at_once = StopAfter { questions: AtomicUsize::new(0), limit: 0, frames: AtomicUsize::new(0) };
        match embed(x.view(), None, &params, &at_once) {
            Ok(m) => assert!(!m.complete),
            Err(e) => assert!(matches!(e, Error::Cancelled)),
        }
    }
}

#[test]
fn autoencoder_beats_pca_and_decodes() {
    let x = digits();
    let params = Params { method: Method::Autoencoder, dims: 2, layers: vec![64, 32], epochs: 60, ..Params::default() };
    let a = map(x.view(), &params);
    let linear = map(x.view(), &Params { method: Method::Pca, ..params.clone() });
    let mean = |e: &Embedding| e.row_error.as_ref().unwrap().iter().map(|v| f64::from(v * v)).sum::<f64>() / 1797.0;
    eprintln!("mean squared error: autoencoder {:.3}, pca {:.3}, {:?} {:?}", mean(&a), mean(&linear), a.figures, a.seconds);
    assert!(mean(&a) < 0.8 * mean(&linear), "{} against {}", mean(&a), mean(&linear));
    for m in [&a, &linear] {
        let back = m.model.decode(m.coords.view()).unwrap();
        let error = (&back - &x).mapv(|v| f64::from(v * v)).mean().unwrap();
        assert!((error / mean(m) - 1.0).abs() < 1e-3, "{error} against {}", mean(m));
        let placed = m.model.place(x.view(), &Quiet).unwrap();
        let worst = (&placed.coords - &m.coords).iter().fold(0.0f32, |b, v| b.max(v.abs()));
        assert!(worst < 1e-3);
        let mut unlike = placed.unlike.clone();
        unlike.sort_by(f32::total_cmp);
        assert!((unlike[898] - 1.0).abs() < 0.02);
        let odd =
            m.model.place(Array2::from_shape_fn((1, 64), |(_, j)| if j % 2 == 0 { 40.0 } else { -20.0 }).view(), &Quiet).unwrap();
        assert!(odd.unlike[0] > 3.0);
        let mut file = Vec::new();
        m.model.save(&mut file).unwrap();
        assert!(Model::load(&file[..]).unwrap() == m.model);
    }
    for axis in a.coords.columns() {
        assert!((axis.std(0.0) - 1.0).abs() < 1e-3 && axis.mean().unwrap().abs() < 1e-3);
    }
}

#[test]
fn masked_cells_do_not_reach_the_autoencoder() {
    let x = digits().slice(s![..400, ..]).to_owned();
    let mut w = Array2::from_elem(x.dim(), 1.0f32);
    let mut bad = x.clone();
    for i in 0..400 {
        w[[i, i % 64]] = 0.0;
        bad[[i, i % 64]] = if i % 2 == 0 { f32::NAN } else { 1e30 };
    }
    let params = Params { method: Method::Autoencoder, layers: vec![32], epochs: 5, ..Params::default() };
    let a = embed(bad.view(), Some(w.view()), &params, &Quiet).unwrap();
    let b = embed(x.view(), Some(w.view()), &params, &Quiet).unwrap();
    assert!(a.coords == b.coords);
}

#[test]
fn kmeans_is_as_good_as_scikit_learns() {
    let r = recorded();
    let x = digits();
    let k = kmeans(x.view(), 10, 0, &Quiet).unwrap();
    let limit = r["kmeans"]["inertia"].as_f64().unwrap();
    eprintln!("inertia {:.0}, scikit-learn {limit:.0}", k.inertia);
    assert!(k.inertia <= 1.01 * limit);
    let mut sum = 0.0f64;
    for (i, l) in k.labels.iter().enumerate() {
        sum += x.row(i).iter().zip(k.centres.row(*l as usize)).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    }
    assert!((sum / k.inertia - 1.0).abs() < 1e-4);
    let sizes: Vec<usize> = (0..10).map(|c| k.labels.iter().filter(|l| **l == c).count()).collect();
    assert!(sizes.windows(2).all(|w| w[0] >= w[1]), "{sizes:?}");
}

#[test]
fn hdbscan_has_scikit_learns_labels() {
    let r = recorded();
    let points: Vec<f32> = numbers(&r["hdbscan"]["points"]).into_iter().map(|v| v as f32).collect();
    let want: Vec<i64> = r["hdbscan"]["labels"].as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect();
    let x = Array2::from_shape_vec((points.len() / 2, 2), points).unwrap();
    let c = hdbscan(x.view(), 15, 10, &Quiet).unwrap();
    // The same groups under any names.
    let mut names = std::collections::BTreeMap::new();
    let same = c.labels.iter().zip(&want).filter(|(a, b)| *names.entry(**a).or_insert(**b) == **b).count();
    assert!(same as f64 >= 0.99 * want.len() as f64, "{same} of {}", want.len());
    assert!(names[&-1] == -1 && names.len() == 4, "{names:?}");
    assert!(c.probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
}

#[test]
fn trustworthiness_is_scikit_learns() {
    let r = recorded();
    let x = digits();
    let untied =
        Array2::from_shape_fn(x.dim(), |(i, j)| (f64::from(x[[i, j]]) + 0.1 * (0.37 * i as f64 + 1.3 * j as f64).sin()) as f32);
    let y: Vec<f32> = numbers(&r["trustworthiness"]["map"]).into_iter().map(|v| v as f32).collect();
    let y = Array2::from_shape_vec((1797, 2), y).unwrap();
    let t = trustworthiness(untied.view(), y.view(), 15, &Quiet).unwrap();
    let want = r["trustworthiness"]["k15"].as_f64().unwrap();
    assert!((t - want).abs() < 1e-6, "{t} against {want}");
    let q = quality(untied.view(), y.view(), 0, &Quiet).unwrap();
    assert_eq!(q.trustworthiness_15, t);
    let same = quality(y.view(), y.view(), 0, &Quiet).unwrap();
    assert_eq!((same.recall_10, same.trustworthiness_15, same.continuity_15, same.triplets), (1.0, 1.0, 1.0, 1.0));
}

#[test]
fn small_and_odd_inputs_have_an_answer_or_a_clear_error() {
    let methods = [Method::Pca, Method::Tsne, Method::Autoencoder, Method::Umap, Method::Pacmap];
    for method in methods {
        for (n, d) in [(1, 1), (1, 5), (2, 1), (2, 3), (3, 2), (4, 4), (7, 1), (10, 100), (60, 3)] {
            for dims in [1, 2, 3] {
                for constant in [false, true] {
                    let mut r = noise((n * 100 + d) as u64);
                    let x = Array2::from_shape_fn((n, d), |_| if constant { 3.5 } else { r() });
                    let params = Params { method, dims, iterations: 40, epochs: 3, layers: vec![8], ..Params::default() };
                    let m = embed(x.view(), None, &params, &Quiet).unwrap_or_else(|e| panic!("{method} {n}×{d}→{dims}: {e}"));
                    assert_eq!(m.coords.dim(), (n, dims));
                    assert!(m.coords.iter().all(|v| v.is_finite()), "{method} {n}×{d}→{dims}");
                    let p = m.model.place(x.view(), &Quiet).unwrap();
                    assert!(p.coords.iter().chain(&p.unlike).all(|v| v.is_finite()), "{method} {n}×{d}→{dims}");
                    let q = quality(x.view(), m.coords.view(), 0, &Quiet).unwrap();
                    assert!(q.trustworthiness_15.is_finite());
                }
            }
        }
        // Many copies of few rows.
        let x = Array2::from_shape_fn((600, 4), |(i, j)| ((i % 3) * (j + 1)) as f32);
        let m = map(x.view(), &Params { method, iterations: 60, epochs: 3, layers: vec![8], ..Params::default() });
        assert!(m.coords.iter().all(|v| v.is_finite()));
        let mut x = Array2::<f32>::zeros((20, 3));
        x[[7, 2]] = f32::NAN;
        assert!(matches!(
            embed(x.view(), None, &Params { method, ..Params::default() }, &Quiet),
            Err(Error::NotFinite { row: 7, dim: 2 })
        ));
        let none = Array2::<f32>::zeros((0, 3));
        assert!(matches!(embed(none.view(), None, &Params { method, ..Params::default() }, &Quiet), Err(Error::Empty)));
        let w = Array2::<f32>::ones((19, 3));
        assert!(matches!(
            embed(Array2::zeros((20, 3)).view(), Some(w.view()), &Params { method, ..Params::default() }, &Quiet),
            Err(Error::Shape(_))
        ));
    }
    assert_eq!(kmeans(Array2::zeros((2, 3)).view(), 5, 0, &Quiet).unwrap().labels.len(), 2);
    assert_eq!(hdbscan(Array2::zeros((2, 3)).view(), 5, 5, &Quiet).unwrap().labels, [-1, -1]);
    assert_eq!("tsne".parse::<Method>().unwrap(), Method::Tsne);
    assert!("som".parse::<Method>().is_err());
    assert_eq!(
        serde_json::from_str::<Params>(r#"{"perplexity": 10}"#).unwrap(),
        Params { perplexity: 10.0, ..Params::default() }
    );
}
