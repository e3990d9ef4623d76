//! UMAP, PaCMAP and the variants of t-SNE against recorded figures of the peers (tests/peers/maps.json).
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use asterism_reduce::{
    Embedding, Error, Method, Model, Monitor, Params, Quiet, Start, embed, embed_with_graph, go_on, label_accuracy, neighbours,
    quality,
};
use common::{blobs, digits, recorded, threads};
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use std::sync::atomic::{AtomicUsize, Ordering};

fn classes() -> Vec<usize> {
    recorded("maps.json")["classes"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn map(x: ArrayView2<f32>, params: &Params) -> Embedding {
    embed(x, None, params, &Quiet).unwrap()
}

/// The class that most of some rows have; the smallest of several.
fn vote(ids: &[u32], labels: &[usize]) -> usize {
    let mut votes = [0usize; 10];
    ids.iter().for_each(|j| votes[labels[*j as usize]] += 1);
    (0..10).rev().max_by_key(|c| votes[*c]).unwrap()
}

/// How often the ten nearest rows on the map name the class.
fn accuracy(y: ArrayView2<f32>, labels: &[usize]) -> f64 {
    let labels: Vec<Option<u32>> = labels.iter().map(|l| Some(*l as u32)).collect();
    label_accuracy(y, &labels, 10, &Quiet).unwrap()
}

#[test]
fn the_accuracy_of_labels_is_scikit_learns() {
    let r = recorded("labels.json");
    let x = digits();
    let components = map(x.view(), &Params { method: Method::Pca, ..Params::default() }).coords;
    let labels: Vec<Option<u32>> = classes().iter().map(|l| Some(*l as u32)).collect();
    let some: Vec<Option<u32>> = labels.iter().enumerate().map(|(i, l)| l.filter(|_| i % 3 != 0)).collect();
    // Rows of whole numbers have equally near neighbours, of which each program takes others.
    for (name, y, tolerance) in [("digits", &x, 0.003), ("components", &components, 1.5 / 1797.0)] {
        for (key, labels, k) in [("1", &labels, 1), ("10", &labels, 10), ("some_10", &some, 10)] {
            let (got, want) = (label_accuracy(y.view(), labels, k, &Quiet).unwrap(), r[name][key].as_f64().unwrap());
            eprintln!("{name} {key}: {got:.5}, scikit-learn {want:.5}");
            assert!((got - want).abs() < tolerance, "{name} {key}: {got} against {want}");
        }
    }
    assert!(label_accuracy(x.view(), &labels[1..], 10, &Quiet).is_err() && label_accuracy(x.view(), &labels, 0, &Quiet).is_err());
    assert_eq!(label_accuracy(x.view(), &vec![None; 1797], 10, &Quiet).unwrap(), 0.0);
}

/// Nine tenths of the digits mapped and the last tenth placed: how often the classes around them are their own.
fn placed_accuracy(params: &Params) -> f64 {
    let (x, labels) = (digits(), classes());
    let (fit, new): (Vec<usize>, Vec<usize>) = (0..1797).partition(|i| i % 10 != 0);
    let m = map(x.select(Axis(0), &fit).view(), params);
    let rows = x.select(Axis(0), &new);
    let placed = m.model.place(rows.view(), &Quiet).unwrap();
    // Each row is placed on its own: alone it lands on the same spot.
    let alone = m.model.place(rows.slice(s![7..8, ..]), &Quiet).unwrap();
    assert!(alone.coords.row(0) == placed.coords.row(7));
    let mut file = Vec::new();
    m.model.save(&mut file).unwrap();
    let again = Model::load(&file[..]).unwrap();
    assert!(again == m.model && again.method() == params.method);
    assert_eq!(again.place(rows.view(), &Quiet).unwrap(), placed);
    assert!(m.model.decode(m.coords.view()).is_none());
    for cut in [9, 30, file.len() / 2, file.len() - 1] {
        assert!(matches!(Model::load(&file[..cut]), Err(Error::Model(_))));
    }
    let odd = m.model.place(Array2::from_elem((1, 64), 60.0).view(), &Quiet).unwrap();
    assert!(odd.unlike[0] > 3.0 && odd.coords.iter().all(|v| v.is_finite()));
    // The nearest fitted rows of the placed ones: the last rows of one matrix of both.
    let both = concatenate(Axis(0), &[m.coords.view(), placed.coords.view()]).unwrap();
    let fitted: Vec<usize> = fit.iter().map(|i| labels[*i]).collect();
    let right = (0..new.len())
        .filter(|r| {
            let me = both.row(fit.len() + r);
            let mut near: Vec<(f32, u32)> =
                (0..fit.len()).map(|j| (both.row(j).iter().zip(me).map(|(a, b)| (a - b).powi(2)).sum(), j as u32)).collect();
            near.sort_by(|a, b| a.0.total_cmp(&b.0));
            let ids: Vec<u32> = near[..10].iter().map(|n| n.1).collect();
            vote(&ids, &fitted) == labels[new[*r]]
        })
        .count();
    right as f64 / new.len() as f64
}

fn compare(method: Method, peer: &str) {
    let r = recorded("maps.json");
    let want = |key: &str| r[peer][key].as_f64().unwrap();
    let (x, labels) = (digits(), classes());
    // One map is luck: the median of three seeds against the median of five of the peer.
    let mut found: Vec<[f64; 4]> = (0..3)
        .map(|seed| {
            let m = map(x.view(), &Params { method, seed, pca_dims: 0, ..Params::default() });
            assert!(m.complete);
            let q = quality(x.view(), m.coords.view(), 0, &Quiet).unwrap();
            eprintln!("{method}: {:?} {:?}", m.seconds, m.figures);
            [q.recall_10, q.trustworthiness_15, accuracy(m.coords.view(), &labels), q.triplets]
        })
        .collect();
    let median = |a: usize, found: &mut Vec<[f64; 4]>| {
        found.sort_by(|p, q| p[a].total_cmp(&q[a]));
        found[1][a]
    };
    for (a, (key, tolerance)) in
        [("recall_10", 0.015), ("trustworthiness_15", 0.003), ("labels", 0.006), ("triplets", 0.03)].iter().enumerate()
    {
        let got = median(a, &mut found);
        eprintln!("{method} {key}: {got:.4}, {peer} {:.4}", want(key));
        assert!(got >= want(key) - tolerance, "{method} {key}: {got} against {}", want(key));
    }
}

#[test]
fn umap_is_as_good_as_umap_learn() {
    compare(Method::Umap, "umap");
}

#[test]
fn pacmap_is_as_good_as_pacmap() {
    compare(Method::Pacmap, "pacmap");
}

#[test]
fn new_rows_land_among_their_own() {
    let want = recorded("maps.json")["umap"]["placed_labels"].as_f64().unwrap();
    for method in [Method::Umap, Method::Pacmap, Method::Tsne] {
        let got = placed_accuracy(&Params { method, iterations: 300, pca_dims: 20, ..Params::default() });
        eprintln!("{method}: {got:.4} of the placed rows among their own, umap-learn {want:.4}");
        assert!(got >= want - 0.02, "{method}: {got}");
    }
}

#[test]
fn a_spectral_start_works_too_even_in_pieces() {
    let x = digits();
    let params = Params { method: Method::Umap, start: Start::Spectral, ..Params::default() };
    let a = accuracy(map(x.view(), &params).coords.view(), &classes());
    assert!(a > 0.975, "{a}");
    // Five clouds without a single edge between them.
    let far = blobs(400, 3, 5, 8) * 100.0;
    let m = map(far.view(), &Params { epochs: 60, ..params });
    assert!(m.coords.iter().all(|v| v.is_finite()));
}

#[test]
fn maps_are_the_same_for_any_number_of_threads_and_with_a_shared_graph() {
    let x = digits();
    for method in [Method::Umap, Method::Pacmap] {
        for dims in [2, 3] {
            let params = Params { method, dims, epochs: 40, ..Params::default() };
            let one = threads(1, || map(x.view(), &params));
            for t in [2, 7] {
                assert!(one.coords == threads(t, || map(x.view(), &params)).coords, "{method}, {t} threads");
            }
            // The t-SNE graph has 90 neighbours, enough for both.
            let graph = map(x.view(), &Params { iterations: 1, dims, ..Params::default() }).graph;
            let shared = embed_with_graph(x.view(), None, &params, graph, &Quiet).unwrap();
            assert!(one.coords == shared.coords);
            assert!(one.coords != map(x.view(), &Params { seed: 1, ..params }).coords, "the seed does something");
        }
    }
}

struct StopAfter(AtomicUsize, usize);

impl Monitor for StopAfter {
    fn stop(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) >= self.1
    }
}

#[test]
fn stopping_keeps_what_there_is() {
    for method in [Method::Umap, Method::Pacmap] {
        let x = blobs(1000, 3, 4, 2);
        for limit in [0, 3, 40] {
            match embed(x.view(), None, &Params { method, ..Params::default() }, &StopAfter(AtomicUsize::new(0), limit)) {
                Ok(m) => assert!(!m.complete && m.coords.iter().all(|v| v.is_finite())),
                Err(e) => assert!(matches!(e, Error::Cancelled)),
            }
        }
    }
}

#[test]
fn tsne_stops_when_it_has_settled() {
    let x = blobs(1200, 5, 6, 4);
    let long = map(x.view(), &Params { iterations: 2000, ..Params::default() });
    let all = map(x.view(), &Params { iterations: 2000, settle: false, ..Params::default() });
    let (its, kl) = (long.figures["iterations"], long.figures["kl"]);
    eprintln!("settled after {its} at {kl:.4}; 2,000 iterations give {:.4}", all.figures["kl"]);
    assert!((250.0..1500.0).contains(&its));
    assert_eq!(all.figures["iterations"], 2000.0);
    assert!(kl < 1.05 * all.figures["kl"]);
    // Left to itself a small map takes more iterations at less momentum.
    let own = map(x.view(), &Params { iterations: 0, momentum: 0.0, settle: false, ..Params::default() });
    assert_eq!(own.figures["iterations"], 750.0);
    assert!(own.figures["kl"] < 1.02 * long.figures["kl"]);
}

#[test]
fn tsne_in_three_dimensions_multiscale_and_exaggerated() {
    let x = digits();
    let labels = classes();
    for params in [
        Params { dims: 3, iterations: 250, ..Params::default() },
        Params { multiscale: true, perplexity: 10.0, ..Params::default() },
        Params { exaggeration: 2.0, iterations: 300, ..Params::default() },
    ] {
        let m = map(x.view(), &params);
        let a = accuracy(m.coords.view(), &labels);
        eprintln!("{params:?}: {a:.4}");
        assert!(a > 0.975, "{a}");
    }
    let span = |e: f64| {
        let m = map(x.view(), &Params { exaggeration: e, iterations: 250, ..Params::default() });
        m.coords.iter().fold(0.0f32, |b, v| b.max(v.abs()))
    };
    assert!(span(3.0) < 0.8 * span(1.0), "exaggeration draws the map together");
    let many = Array2::<f32>::zeros((20_001, 2));
    match embed(many.view(), None, &Params { dims: 3, ..Params::default() }, &Quiet) {
        Err(Error::Shape(why)) => assert!(why.contains("20000 rows")),
        other => panic!("{other:?}"),
    }
    for bad in [
        Params { method: Method::Umap, dims: 4, ..Params::default() },
        Params { method: Method::Umap, min_dist: f64::NAN, ..Params::default() },
        Params { method: Method::Pacmap, dims: 4, ..Params::default() },
        Params { perplexity: 0.5, ..Params::default() },
    ] {
        assert!(matches!(embed(x.view(), None, &bad, &Quiet), Err(Error::Shape(_))));
    }
}

/// Keeps the last frame.
struct Last(std::sync::Mutex<Vec<f32>>);

impl Monitor for Last {
    fn frame(&self, coords: &[f32], _: usize, _: &[(&'static str, f64)]) {
        *self.0.lock().unwrap() = coords.to_vec();
    }
}

#[test]
fn large_maps_keep_the_order_of_the_rows() {
    // Above 20,000 rows t-SNE works in another order; rows i and i + 6 come from the same cloud.
    let x = blobs(21_000, 4, 6, 3);
    let params = Params { iterations: 120, perplexity: 10.0, ..Params::default() };
    let last = Last(std::sync::Mutex::default());
    let m = embed(x.view(), None, &params, &last).unwrap();
    assert!(*last.0.lock().unwrap() == m.coords.iter().copied().collect::<Vec<f32>>(), "frames come in the rows' order");
    let near = neighbours(m.coords.view(), 5, &Quiet).unwrap();
    let own =
        near.ids.chunks(5).enumerate().map(|(i, ids)| ids.iter().filter(|j| **j as usize % 6 == i % 6).count()).sum::<usize>();
    let own = own as f64 / (5.0 * 21_000.0);
    assert!(own > 0.95, "{own} of the neighbours on the map are of the row's own cloud");
    assert!(threads(1, || map(x.view(), &params)).coords == m.coords);
}

#[test]
fn a_map_goes_on_where_it_was() {
    let x = digits();
    let x = x.slice(s![..600, ..]);
    let short = Params { iterations: 400, settle: false, ..Params::default() };
    let first = embed(x, None, &short, &Quiet).unwrap();
    let more = Params { iterations: 150, ..short.clone() };
    let on = go_on(x, None, first.coords.view(), &more, first.graph.clone(), &Quiet).unwrap();
    assert!(on.figures["kl"] < first.figures["kl"], "{} {}", on.figures["kl"], first.figures["kl"]);
    // It is the same map, larger: rows keep to the side of the middle where they were.
    let same = |a: usize| {
        let both = first.coords.column(a).iter().zip(on.coords.column(a)).filter(|(p, q)| (**p > 0.0) == (**q > 0.0)).count();
        both as f64 / 600.0
    };
    assert!(same(0) > 0.9 && same(1) > 0.9, "{} {}", same(0), same(1));
    // Without the graph the same again; not for another method or other rows.
    assert_eq!(go_on(x, None, first.coords.view(), &more, None, &Quiet).unwrap().coords, on.coords);
    assert!(go_on(x.slice(s![..500, ..]), None, first.coords.view(), &more, None, &Quiet).is_err());
    let umap = Params { method: Method::Umap, ..more };
    assert!(go_on(x, None, first.coords.view(), &umap, None, &Quiet).is_err());
}

#[test]
fn a_few_rows_do_not_fall_together() {
    for n in 3..12 {
        let x = Array2::from_shape_fn((n, 4), |(i, j)| ((i * 7 + j * 3) % 11) as f32);
        for method in [Method::Umap, Method::Pacmap, Method::Tsne] {
            let y = map(x.view(), &Params { method, ..Params::default() }).coords;
            let nearest = (0..n)
                .flat_map(|i| (0..i).map(move |j| (i, j)))
                .map(|(i, j)| (&y.row(i) - &y.row(j)).mapv(|v| v * v).sum().sqrt());
            let (least, most) = nearest.fold((f32::INFINITY, 0.0f32), |(l, m), v| (l.min(v), m.max(v)));
            assert!(least.is_finite() && most > 1e-3, "{method} of {n} rows: {least} to {most}");
        }
    }
}

#[test]
fn a_very_wide_net_learns_something_finite() {
    let x = blobs(60, 3, 4, 2);
    for (layers, rate) in [(vec![3000], 0.0), (vec![64], 1.0)] {
        let params = Params { method: Method::Autoencoder, layers, rate, epochs: 12, ..Params::default() };
        let made = map(x.view(), &params);
        assert!(made.figures["loss"].is_finite() && made.coords.iter().all(|v| v.is_finite()), "{:?}", made.figures);
        let start = map(x.view(), &Params { epochs: 1, rate: 1e-6, ..params.clone() });
        assert!(made.figures["held_out"] <= start.figures["held_out"] * 1.001, "{:?} after {:?}", made.figures, start.figures);
    }
}
