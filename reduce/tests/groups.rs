//! Outliers, mixtures, density groups and nuisance columns against recorded answers of scikit-learn.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use asterism_reduce::{
    Covariance, Density, Error, Forest, Graph, Monitor, Quiet, Search, Selection, Target, hdbscan, information, lof, mixture,
    mixtures, nearest_to, nuisance,
};
use common::{blobs, digits, noise, numbers, recorded, threads};
use ndarray::{Array2, s};
use std::sync::atomic::{AtomicUsize, Ordering};

fn points() -> Array2<f32> {
    let p = numbers(&recorded("groups.json")["points"]);
    Array2::from_shape_vec((600, 3), p.into_iter().map(|v| v as f32).collect()).unwrap()
}

/// Area under the curve of hits against false alarms: how well scores tell rows from 570 on from the others.
fn area(scores: &[f32]) -> f64 {
    let (normal, odd) = scores.split_at(570);
    let wins: f64 = odd
        .iter()
        .map(|o| {
            normal
                .iter()
                .map(|n| {
                    if o > n {
                        1.0
                    } else if o == n {
                        0.5
                    } else {
                        0.0
                    }
                })
                .sum::<f64>()
        })
        .sum();
    wins / (normal.len() * odd.len()) as f64
}

fn correlation(a: &[f32], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().map(|v| f64::from(*v)).sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a) - ma, b - mb);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    ab / (aa * bb).sqrt()
}

struct StopAfter(AtomicUsize, usize);

impl Monitor for StopAfter {
    fn stop(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) >= self.1
    }
}

#[test]
fn local_outlier_factors_are_scikit_learns() {
    let r = recorded("groups.json");
    let x = points();
    let graph = Graph::new(x.view(), 30, Search::Auto, &Quiet).unwrap();
    let l = lof(&graph, 20).unwrap();
    for (i, (a, b)) in l.factors.iter().zip(numbers(&r["lof_20"])).enumerate() {
        assert!((f64::from(*a) / b - 1.0).abs() < 1e-4, "row {i}: {a} against {b}");
    }
    assert!(area(&l.factors) > 0.97);
    let fitted = x.slice(s![..500, ..]);
    let l = lof(&Graph::new(fitted, 20, Search::Auto, &Quiet).unwrap(), 20).unwrap();
    let new = l.of_new(fitted, x.slice(s![500.., ..]), &Quiet).unwrap();
    for (i, (a, b)) in new.iter().zip(numbers(&r["lof_new"])).enumerate() {
        assert!((f64::from(*a) / b - 1.0).abs() < 1e-4, "new row {i}: {a} against {b}");
    }
    assert!(matches!(lof(&graph, 0), Err(Error::Shape(_))));
    assert!(matches!(l.of_new(x.view(), fitted, &Quiet), Err(Error::Shape(_))));
}

#[test]
fn forests_score_as_scikit_learns() {
    let r = recorded("groups.json");
    let x = points();
    let f = Forest::fit(x.view(), 500, 256, 0, &Quiet).unwrap();
    let scores = f.scores(x.view()).unwrap();
    let want = numbers(&r["forest"]["scores"]);
    let worst = scores.iter().zip(&want).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    eprintln!(
        "area {:.4} ({}), correlation {:.4}, worst {worst:.4}",
        area(&scores),
        r["forest"]["auc"],
        correlation(&scores, &want)
    );
    // Two forests of other random numbers differ by some hundredths.
    assert!(worst < 0.05 && correlation(&scores, &want) > 0.99);
    assert!(area(&scores) > r["forest"]["auc"].as_f64().unwrap() - 0.01);
    let one = threads(1, || Forest::fit(x.view(), 50, 256, 3, &Quiet).unwrap());
    assert!(one == threads(7, || Forest::fit(x.view(), 50, 256, 3, &Quiet).unwrap()));
    assert!(one != Forest::fit(x.view(), 50, 256, 4, &Quiet).unwrap());
    for (n, d) in [(1, 1), (2, 3), (3, 2), (5, 40)] {
        for constant in [true, false] {
            let mut r = noise(7);
            let x = Array2::from_shape_fn((n, d), |_| if constant { 2.0 } else { r() });
            let s = Forest::fit(x.view(), 10, 256, 0, &Quiet).unwrap().scores(x.view()).unwrap();
            assert!(s.iter().all(|v| (0.0..=1.0).contains(v)), "{n} × {d}: {s:?}");
            let g = Graph::new(x.view(), 20, Search::Auto, &Quiet).unwrap();
            assert!(lof(&g, 20).unwrap().factors.iter().all(|v| v.is_finite() && *v > 0.0));
        }
    }
    // A hundred columns that say nothing change no more than other random numbers do: none of the others is favoured.
    let digits = digits();
    let wide = Array2::from_shape_fn((1797, 164), |(i, j)| if j < 64 { digits[[i, j]] } else { 5.0 });
    let of = |x: &Array2<f32>, seed| Forest::fit(x.view(), 300, 256, seed, &Quiet).unwrap().scores(x.view()).unwrap();
    let as_f64 = |v: Vec<f32>| v.into_iter().map(f64::from).collect::<Vec<_>>();
    let (plain, other, padded) = (as_f64(of(&digits, 0)), of(&digits, 1), of(&wide, 0));
    let (usual, here) = (correlation(&other, &plain), correlation(&padded, &plain));
    assert!(here > usual - 0.03, "{here} with constant columns, {usual} between seeds");
    assert!(matches!(Forest::fit(x.view(), 0, 256, 0, &Quiet), Err(Error::Shape(_))));
    assert!(matches!(f.scores(Array2::zeros((3, 4)).view()), Err(Error::Shape(_))));
}

#[test]
fn the_nearest_rows_of_a_row_start_with_itself() {
    let x = digits();
    let near = nearest_to(x.view(), x.row(17).as_slice().unwrap(), 5).unwrap();
    assert_eq!(near[0], (17, 0.0));
    assert!(near.len() == 5 && near.windows(2).all(|w| w[0].1 <= w[1].1));
    assert_eq!(nearest_to(x.slice(s![..2, ..]), x.row(17).as_slice().unwrap(), 5).unwrap().len(), 2);
    assert!(nearest_to(x.view(), &[1.0], 5).is_err());
    let many = blobs(60_000, 2, 3, 1);
    assert_eq!(nearest_to(many.view(), many.row(59_999).as_slice().unwrap(), 1).unwrap()[0].0, 59_999);
}

#[test]
fn mixtures_are_as_likely_as_scikit_learns() {
    let r = recorded("groups.json");
    let x = points().slice(s![..570, ..]).to_owned();
    for (shape, name) in [(Covariance::Full, "full"), (Covariance::Diagonal, "diag")] {
        let (want, bic) = (numbers(&r["mixture"][name]["log_likelihood"]), numbers(&r["mixture"][name]["bic"]));
        let found = mixtures(x.view(), 6, shape, 0, &Quiet).unwrap();
        for (k, m) in found.iter().enumerate() {
            eprintln!("{name} {}: {:.5} against {:.5}, {} rounds", k + 1, m.log_likelihood, want[k], m.rounds);
            // One and three groups have one answer; more than there are clouds end in different ones.
            let tolerance = if k < 3 { 1e-4 } else { 0.04 };
            assert!(m.log_likelihood > want[k] - tolerance, "{name} {}: {} against {}", k + 1, m.log_likelihood, want[k]);
            if k == 0 || k == 2 {
                assert!((m.log_likelihood - want[k]).abs() < 1e-4 && (m.bic - bic[k]).abs() < 0.3);
            }
            assert!((m.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
        let best = (0..6).min_by(|a, b| found[*a].bic.total_cmp(&found[*b].bic)).unwrap();
        assert_eq!(best, 2, "three clouds were made");
        // Every cloud is one group, and new rows go to theirs.
        let p = found[2].predict(x.view()).unwrap();
        let sum: f64 = p.log_likelihood.iter().map(|v| f64::from(*v)).sum::<f64>() / 570.0;
        assert!((sum - found[2].log_likelihood).abs() < 1e-5, "{sum} against {}", found[2].log_likelihood);
        assert!(p.probabilities.rows().into_iter().all(|r| (r.sum() - 1.0).abs() < 1e-5));
        let far = found[2].predict(Array2::from_elem((1, 3), 90.0).view()).unwrap();
        assert!(far.log_likelihood[0] < -100.0 && far.probabilities.iter().all(|v| v.is_finite()));
        assert!(matches!(found[2].predict(Array2::zeros((1, 2)).view()), Err(Error::Shape(_))));
    }
    let p = asterism_reduce::pca(digits().view(), None, 6, &Quiet).unwrap();
    let m = mixture(p.scores.view(), 10, Covariance::Full, 0, &Quiet).unwrap();
    let want = r["mixture"]["digits"]["log_likelihood"].as_f64().unwrap();
    eprintln!("digits: {:.4} against {want:.4}", m.log_likelihood);
    assert!(m.log_likelihood > want - 0.03);
}

#[test]
fn mixtures_repeat_and_take_odd_input() {
    let x = points();
    let one = threads(1, || mixture(x.view(), 4, Covariance::Full, 2, &Quiet).unwrap());
    assert!(one == threads(7, || mixture(x.view(), 4, Covariance::Full, 2, &Quiet).unwrap()));
    for (n, d) in [(1, 1), (2, 3), (3, 2), (5, 40), (40, 3)] {
        for constant in [true, false] {
            for shape in [Covariance::Full, Covariance::Diagonal] {
                let mut r = noise(7);
                let x = Array2::from_shape_fn((n, d), |(i, j)| if constant || j == 1 { 2.0 } else { r() + (i % 2) as f32 });
                let m = mixture(x.view(), 3, shape, 0, &Quiet).unwrap();
                assert_eq!(m.groups(), 3.min(n));
                let p = m.predict(x.view()).unwrap();
                assert!(m.log_likelihood.is_finite() && m.bic.is_finite(), "{n} × {d}");
                assert!(p.probabilities.iter().chain(&p.log_likelihood).all(|v| v.is_finite()), "{n} × {d}");
            }
        }
    }
    assert!(matches!(mixture(x.view(), 0, Covariance::Full, 0, &Quiet), Err(Error::Shape(_))));
    assert!(matches!(mixture(x.view(), 3, Covariance::Full, 0, &StopAfter(AtomicUsize::new(0), 5)), Err(Error::Cancelled)));
}

#[test]
fn density_groups_are_cut_again_and_predict() {
    let x = blobs(3_000, 3, 4, 6);
    let d = Density::new(x.view(), 10, None, &Quiet).unwrap();
    let cut = d.cut(50, Selection::Mass);
    assert!(cut.clusters == hdbscan(x.view(), 50, 10, &Quiet).unwrap(), "a cut is what a new run gives");
    assert_eq!(cut.clusters.labels.iter().max(), Some(&3));
    assert_eq!(cut.persistence.len(), 4);
    // Rows i and i + 4 come from the same cloud.
    let whole = (0..2_996).filter(|i| cut.clusters.labels[*i] == cut.clusters.labels[i + 4]).count();
    assert!(whole > 2_400, "{whole}");
    // A graph of the same rows changes nothing.
    let graph = Graph::new(x.view(), 40, Search::Auto, &Quiet).unwrap();
    let with = Density::new(x.view(), 10, Some(&graph), &Quiet).unwrap();
    assert!(with.cut(50, Selection::Mass) == cut);
    for t in [1, 2, 7] {
        assert!(
            threads(t, || Density::new(x.view(), 10, None, &Quiet).unwrap().cut(20, Selection::Leaves))
                == d.cut(20, Selection::Leaves)
        );
    }
    assert!(d.cut(5, Selection::Leaves).persistence.len() >= d.cut(100, Selection::Leaves).persistence.len());
    // New rows of the same clouds, and one far from all.
    let new = blobs(3_400, 3, 4, 6).slice(s![3_000.., ..]).to_owned();
    let p = d.predict(&cut, new.view(), &Quiet).unwrap();
    let name = |g: usize| (0..3_000).skip(g).step_by(4).map(|i| cut.clusters.labels[i]).find(|l| *l >= 0).unwrap();
    let right = p.labels.iter().enumerate().filter(|(i, l)| **l == name(i % 4)).count();
    let wrong = p.labels.iter().enumerate().filter(|(i, l)| **l >= 0 && **l != name(i % 4)).count();
    eprintln!("{right} of 400 new rows with their own, {wrong} with others");
    assert!(right > 320 && wrong < 8);
    let far = d.predict(&cut, Array2::from_elem((1, 3), 500.0).view(), &Quiet).unwrap();
    assert_eq!((far.labels[0], far.probabilities[0]), (-1, 0.0));
    assert!(p.probabilities.iter().all(|v| (0.0..=1.0).contains(v)));
    assert!(matches!(d.predict(&cut, Array2::zeros((1, 2)).view(), &Quiet), Err(Error::Shape(_))));
}

#[test]
fn the_spanning_tree_is_the_shortest() {
    // Prim's algorithm over all pairs, on data with many ties.
    for (n, d, min_samples) in [(300, 2, 5), (400, 4, 1), (250, 9, 12)] {
        let mut r = noise(n as u64);
        let x = Array2::from_shape_fn((n, d), |_| (2.0 * r()).round() / 2.0);
        let pairs = |i: usize, j: usize| x.row(i).iter().zip(x.row(j)).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        let core: Vec<f32> = (0..n)
            .map(|i| {
                let mut all: Vec<f32> = (0..n).map(|j| pairs(i, j)).collect();
                all.sort_by(f32::total_cmp);
                all[min_samples - 1]
            })
            .collect();
        let (mut inside, mut cost, mut total) = (vec![false; n], vec![f32::INFINITY; n], 0.0f64);
        cost[0] = 0.0;
        for _ in 0..n {
            let i = (0..n).filter(|i| !inside[*i]).min_by(|a, b| cost[*a].total_cmp(&cost[*b])).unwrap();
            inside[i] = true;
            total += f64::from(cost[i]).sqrt();
            for j in 0..n {
                cost[j] = cost[j].min(pairs(i, j).max(core[i]).max(core[j]));
            }
        }
        let density = Density::new(x.view(), min_samples, None, &Quiet).unwrap();
        let length = density.length();
        assert!((length / total - 1.0).abs() < 1e-6, "{n} × {d}: {length} against {total}");
    }
}

#[test]
fn density_groups_of_odd_input_and_cancelled() {
    for n in [1, 2, 3, 4, 10, 3_000] {
        for constant in [true, false] {
            let x = Array2::from_shape_fn((n, 2), |(i, j)| if constant { 1.0 } else { ((i % 7) * (j + 1)) as f32 });
            let d = Density::new(x.view(), 5, None, &Quiet).unwrap();
            let c = d.cut(5, Selection::Mass);
            assert_eq!(c.clusters.labels.len(), n);
            assert!(c.clusters.probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
            assert_eq!(d.predict(&c, x.view(), &Quiet).unwrap().labels.len(), n);
        }
    }
    let x = blobs(20_000, 6, 4, 6);
    let stopped = Density::new(x.view(), 10, None, &StopAfter(AtomicUsize::new(0), 3));
    assert!(matches!(stopped, Err(Error::Cancelled)));
    assert!(matches!(Density::new(Array2::zeros((0, 2)).view(), 5, None, &Quiet), Err(Error::Empty)));
}

#[test]
fn information_is_scikit_learns() {
    let r = recorded("groups.json");
    let t = numbers(&r["information"]["target"]);
    let columns = numbers(&r["information"]["columns"]);
    for (c, want) in numbers(&r["information"]["nats"]).into_iter().enumerate() {
        let column: Vec<f64> = columns.iter().skip(c).step_by(4).copied().collect();
        let got = information(&column, &t, 3).unwrap();
        assert!((got - want).abs() < 2e-3, "column {c}: {got} against {want}");
    }
    assert!(information(&[1.0, f64::NAN], &[1.0, 2.0], 3).is_err());
    assert!(information(&[1.0], &[1.0, 2.0], 3).is_err());
}

#[test]
fn columns_behind_a_map_are_found_and_chance_is_not() {
    let r = recorded("groups.json");
    let t = numbers(&r["information"]["target"]);
    let columns = numbers(&r["information"]["columns"]);
    let n = t.len();
    let mut noise_of = noise(21);
    let map = Array2::from_shape_fn((n, 2), |(i, a)| if a == 0 { t[i] as f32 } else { noise_of() });
    // Columns 0–2 follow axis 0 with more and more noise, 3 is chance, 4 is missing where axis 1 is large, 5 is constant.
    let x = Array2::from_shape_fn((n, 6), |(i, c)| match c {
        0..4 => columns[i * 4 + c],
        4 => {
            if map[[i, 1]] > 0.5 {
                f64::NAN
            } else {
                (i % 13) as f64
            }
        }
        _ => 1.0,
    });
    let labels: Vec<i32> = t.iter().map(|v| if *v < -0.7 { -1 } else { i32::from(*v > 0.7) }).collect();
    let found = nuisance(x.view(), map.view(), Some(&labels), 0, &Quiet).unwrap();
    assert_eq!(found.len(), 18);
    let of = |column: usize, target: Target| *found.iter().find(|f| f.column == column && f.target == target).unwrap();
    let shares: Vec<f64> = (0..4).map(|c| of(c, Target::Axis(0)).share).collect();
    eprintln!("{shares:?}");
    assert!(shares[0] > shares[1] && shares[1] > shares[2] && shares[0] > 0.3);
    assert!(shares[3] < 0.01 && of(0, Target::Axis(1)).share < 0.01);
    assert!(of(4, Target::Axis(1)).share > 0.1, "what is missing tells something");
    assert_eq!(of(5, Target::Axis(0)).share, 0.0);
    assert!(of(0, Target::Groups).share > 0.2 && of(3, Target::Groups).share < 0.01);
    assert!(found.windows(2).all(|w| w[0].share >= w[1].share));
    assert_eq!(found, threads(1, || nuisance(x.view(), map.view(), Some(&labels), 0, &Quiet).unwrap()));
    assert!(matches!(nuisance(x.slice(s![..9, ..]), map.slice(s![..9, ..]), None, 0, &Quiet), Err(Error::Shape(_))));
    assert!(matches!(nuisance(x.view(), map.slice(s![..99, ..]), None, 0, &Quiet), Err(Error::Shape(_))));
}
