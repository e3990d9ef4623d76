//! Neighbour search: exact against all pairs, approximate against exact, one graph for several maps.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use asterism_reduce::{
    Error, Graph, Method, Neighbours, Params, Quiet, Search, embed, embed_with_graph, judge, neighbours, quality,
    quality_with_graph, trustworthiness,
};
use common::{blobs, digits, noise, threads};
use ndarray::{Array2, ArrayView2, s};
use std::sync::Arc;

/// The k smallest squared distances of a row, by looking at all.
fn all_pairs(x: ArrayView2<f32>, i: usize, k: usize) -> Vec<f32> {
    let mut all: Vec<f32> =
        (0..x.nrows()).filter(|j| *j != i).map(|j| x.row(i).iter().zip(x.row(j)).map(|(a, b)| (a - b) * (a - b)).sum()).collect();
    all.sort_by(f32::total_cmp);
    all.truncate(k);
    all
}

fn recall(of: &Neighbours, truth: &Neighbours, n: usize) -> f64 {
    let k = truth.k;
    let hits: usize =
        (0..n).map(|i| truth.ids[i * k..(i + 1) * k].iter().filter(|j| of.ids[i * k..(i + 1) * k].contains(j)).count()).sum();
    hits as f64 / (n * k) as f64
}

fn whole(near: &Neighbours, n: usize) {
    for (i, (ids, d)) in near.ids.chunks(near.k).zip(near.distances2.chunks(near.k)).enumerate() {
        assert!(d.windows(2).all(|w| w[0] <= w[1]) && d.iter().all(|v| v.is_finite()), "row {i}: {d:?}");
        let mut seen = ids.to_vec();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), near.k, "row {i} lists a row twice");
        assert!(seen.iter().all(|j| (*j as usize) < n && *j as usize != i), "row {i}");
    }
}

#[test]
fn the_tree_is_exact_in_one_to_five_columns() {
    for d in 1..=5 {
        let mut r = noise(d as u64);
        let x = Array2::from_shape_fn((3000, d), |(i, _)| if i % 7 == 0 { r().round() } else { 10.0 * r() });
        let near = neighbours(x.view(), 12, &Quiet).unwrap();
        whole(&near, 3000);
        for i in (0..3000).step_by(61) {
            let want = all_pairs(x.view(), i, 12);
            for (a, b) in near.distances2[i * 12..].iter().zip(&want) {
                assert!((a - b).abs() <= 1e-5 * b.max(1e-6), "{d} columns, row {i}: {a} against {b}");
            }
        }
    }
}

#[test]
fn cells_find_nearly_all_and_say_how_many() {
    let n = 20_000;
    for (d, k) in [(10, 90), (10, 15), (40, 15), (3, 30)] {
        let x = blobs(n, d, 12, 5);
        let truth = Graph::new(x.view(), k, Search::Exact, &Quiet).unwrap();
        let found = Graph::new(x.view(), k, Search::Approximate, &Quiet).unwrap();
        assert_eq!(truth.recall(), 1.0);
        let real = recall(found.neighbours(), truth.neighbours(), n);
        eprintln!("{n} × {d}, k {k}: recall {real:.4}, said {:.4}", found.recall());
        assert!(real >= if k > 30 { 0.95 } else { 0.98 }, "{d} columns, k {k}: {real}");
        assert!((real - found.recall()).abs() < 0.01);
        whole(found.neighbours(), n);
    }
}

#[test]
fn cells_leave_out_nothing_that_matters_in_an_exact_search() {
    // Clouds far from the origin, noise that no cell can leave out, and copies.
    let far = blobs(12_000, 8, 40, 3) + 500.0;
    let mut r = noise(4);
    let flat = Array2::from_shape_fn((10_500, 12), |_| r());
    let copies = Array2::from_shape_fn((11_000, 7), |(i, j)| if i % 3 == 0 { 1.0 } else { ((i * (j + 3)) % 97) as f32 });
    for x in [far, flat, copies] {
        let g = Graph::new(x.view(), 20, Search::Exact, &Quiet).unwrap();
        assert_eq!(g.recall(), 1.0);
        whole(g.neighbours(), x.nrows());
        for i in (0..x.nrows()).step_by(431) {
            for (a, b) in g.of_row(i).1.iter().zip(all_pairs(x.view(), i, 20)) {
                assert!((a - b).abs() <= 2e-4 * b.max(1e-3), "row {i}: {a} against {b}");
            }
        }
    }
}

#[test]
fn searches_are_the_same_for_any_number_of_threads() {
    for (n, d, how) in
        [(6_000, 3, Search::Auto), (6_000, 10, Search::Approximate), (6_000, 10, Search::Exact), (11_000, 10, Search::Auto)]
    {
        let x = blobs(n, d, 5, 9);
        let one = threads(1, || Graph::new(x.view(), 20, how, &Quiet).unwrap());
        for t in [2, 7] {
            assert!(one == threads(t, || Graph::new(x.view(), 20, how, &Quiet).unwrap()), "{d} columns, {t} threads");
        }
    }
}

#[test]
fn copies_and_few_rows_do_not_hurt() {
    // Half of the rows are one value, a quarter another.
    let copies = |n: usize, d: usize| {
        let mut r = noise(3);
        Array2::from_shape_fn((n, d), |(i, _)| {
            if i % 2 == 0 {
                1.0
            } else if i % 4 == 1 {
                2.0
            } else {
                r()
            }
        })
    };
    for (d, how) in [(2, Search::Auto), (8, Search::Approximate), (8, Search::Exact)] {
        let x = copies(8_000, d);
        let g = Graph::new(x.view(), 10, how, &Quiet).unwrap();
        whole(g.neighbours(), 8_000);
        assert!((0..8_000).step_by(2).all(|i| g.of_row(i).1.iter().all(|v| *v == 0.0)));
    }
    for n in 1..6 {
        for d in [1, 3, 9] {
            for how in [Search::Auto, Search::Exact, Search::Approximate] {
                let g = Graph::new(copies(n, d).view(), 10, how, &Quiet).unwrap();
                assert_eq!((g.k(), g.rows()), (10.min(n - 1), n));
                assert_eq!(g.of_row(0).0.len(), 10.min(n - 1));
                assert!(g.of_row(n).0.is_empty());
            }
        }
    }
    assert!(matches!(Graph::new(Array2::zeros((0, 3)).view(), 3, Search::Auto, &Quiet), Err(Error::Empty)));
}

#[test]
fn one_graph_serves_several_maps_and_a_wrong_one_is_not_used() {
    let x = digits();
    let params = Params { iterations: 30, ..Params::default() };
    let first = embed(x.view(), None, &params, &Quiet).unwrap();
    let graph = first.graph.clone().unwrap();
    let again = embed_with_graph(x.view(), None, &params, Some(graph.clone()), &Quiet).unwrap();
    assert!(again.coords == first.coords);
    assert!(Arc::ptr_eq(again.graph.as_ref().unwrap(), &graph), "the same graph comes back");
    // Fewer neighbours are its first ones; more are looked for anew.
    let fewer = Params { perplexity: 10.0, ..params.clone() };
    let a = embed_with_graph(x.view(), None, &fewer, Some(graph.clone()), &Quiet).unwrap();
    assert!(a.coords == embed(x.view(), None, &fewer, &Quiet).unwrap().coords);
    assert!(Arc::ptr_eq(a.graph.as_ref().unwrap(), &graph));
    let more =
        embed_with_graph(x.view(), None, &Params { perplexity: 40.0, ..params.clone() }, Some(graph.clone()), &Quiet).unwrap();
    assert_eq!(more.graph.unwrap().k(), 120);
    // A graph of other rows never changes a map.
    let other = x.slice(s![..;-1, ..]).to_owned();
    let b = embed_with_graph(other.view(), None, &params, Some(graph.clone()), &Quiet).unwrap();
    assert!(!Arc::ptr_eq(b.graph.as_ref().unwrap(), &graph));
    assert!(b.coords == embed(other.view(), None, &params, &Quiet).unwrap().coords);
    let plain = Graph::new(x.view(), 5, Search::Auto, &Quiet).unwrap();
    assert!(plain.fits(x.view(), 5) && !plain.fits(x.view(), 6) && !plain.fits(other.view(), 5));
    assert!(embed(x.view(), None, &Params { method: Method::Pca, ..params }, &Quiet).unwrap().graph.is_none());
}

#[test]
fn with_a_graph_every_row_of_a_large_map_is_judged() {
    let x = blobs(21_000, 6, 9, 2);
    let map = x.slice(s![.., ..2]).to_owned();
    let sample = quality(x.view(), map.view(), 0, &Quiet).unwrap();
    assert!(sample.row_trust.iter().any(|v| v.is_nan()));
    let graph = Graph::new(x.view(), 20, Search::Auto, &Quiet).unwrap();
    let all = quality_with_graph(x.view(), map.view(), Some(&graph), 0, &Quiet).unwrap();
    for (a, b) in all.row_trust.iter().zip(&sample.row_trust) {
        assert!(b.is_nan() || (a - b).abs() < 1e-6, "{a} against {b}");
    }
    assert!(all.row_trust.iter().all(|v| (0.0..=1.0).contains(v)));
    assert!((all.recall_10 - sample.recall_10).abs() < 0.02);
    assert_eq!(all.trustworthiness_15, sample.trustworthiness_15);
    // The sample's own figures differ from those of all rows by a few of the standard errors it tells.
    let judged = judge(x.view(), map.view(), None, 0, &Quiet).unwrap();
    assert_eq!((&judged.quality.recall_10, judged.sample), (&sample.recall_10, 2000));
    assert!(judged.errors.iter().all(|e| (1e-6..0.02).contains(e)), "{:?}", judged.errors);
    let exact = trustworthiness(x.view(), map.view(), 15, &Quiet).unwrap();
    for (off, error) in
        [(all.recall_10 - sample.recall_10, judged.errors[0]), (exact - sample.trustworthiness_15, judged.errors[1])]
    {
        assert!(off.abs() < 4.0 * error, "{off} off with a standard error of {error}");
    }
    // A graph of other rows is as good as none.
    let other = Graph::new(map.view(), 20, Search::Auto, &Quiet).unwrap();
    let none = quality_with_graph(x.view(), map.view(), Some(&other), 0, &Quiet).unwrap();
    assert_eq!(none.recall_10, sample.recall_10);
}

/// Stops when asked for the n-th time, and counts how often it is asked after that.
struct StopAt(std::sync::atomic::AtomicUsize, usize);

impl asterism_reduce::Monitor for StopAt {
    fn stop(&self) -> bool {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= self.1
    }
}

#[test]
fn searches_can_be_stopped_at_any_time() {
    let x = blobs(20_000, 8, 12, 5);
    let asked = |limit: usize, how: Search| {
        let monitor = StopAt(Default::default(), limit);
        let answer = Graph::new(x.view(), 20, how, &monitor);
        (answer, monitor.0.into_inner())
    };
    for how in [Search::Exact, Search::Approximate] {
        let (whole, times) = asked(usize::MAX, how);
        assert!(whole.is_ok() && times > 300, "asked only {times} times");
        for limit in [0, 5, 100, times / 2, times - 1] {
            let (answer, after) = asked(limit, how);
            assert!(matches!(answer, Err(Error::Cancelled)), "stopped at {limit} of {times}");
            // Each piece of a wave may ask once more and leave it at that.
            assert!(after <= limit + 150, "went on for {} questions", after - limit);
        }
    }
}
