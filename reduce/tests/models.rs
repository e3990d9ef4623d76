//! Principal components as an instrument, and single rows through a model.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use asterism_reduce::{Error, Graph, Method, Params, Quiet, Search, embed, lof, pca};
use common::{blobs, digits, noise};
use ndarray::{Array2, ArrayView1, s};
use std::time::Instant;

#[test]
fn components_project_rebuild_and_judge_rows() {
    let x = digits();
    let p = pca(x.view(), None, 10, &Quiet).unwrap();
    let same = p.project(x.view()).unwrap();
    assert!((&same - &p.scores).iter().all(|v| v.abs() < 1e-4));
    let scree = p.scree();
    assert!(scree.windows(2).all(|w| w[0] < w[1]) && scree[9] < 1.0);
    assert_eq!(p.needed(scree[4]), Some(5));
    assert_eq!(p.needed(0.999), None);
    // What is left over is what the components do not explain.
    let e = p.row_errors(x.view()).unwrap();
    let left = e.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() * 64.0 / 1796.0;
    let all = p.explained_variance[0] / p.explained_ratio[0];
    assert!((left / (all * (1.0 - scree[9])) - 1.0).abs() < 1e-4, "{left}");
    // A rebuilt row has no error; one with fewer components is farther off.
    let back = p.reconstruct(p.scores.view()).unwrap();
    assert!(p.row_errors(back.view()).unwrap().iter().all(|v| *v < 1e-4));
    let few = p.reconstruct(p.scores.slice(s![.., ..3])).unwrap();
    let far = |b: &Array2<f32>| (b - &x).mapv(|v| v * v).sum();
    assert!(far(&few) > far(&back));
    // Loadings squared add up to the explained variance.
    let size: f32 = p.loadings().row(2).mapv(|v| v * v).sum();
    assert!((f64::from(size) / p.explained_variance[2] - 1.0).abs() < 1e-4);
    let odd = Array2::from_shape_fn((1, 64), |(_, j)| if j % 2 == 0 { 40.0 } else { -20.0 });
    let mut sorted = e;
    sorted.sort_by(f32::total_cmp);
    assert!(p.row_errors(odd.view()).unwrap()[0] > 3.0 * sorted[898]);
    assert!(matches!(p.project(Array2::zeros((2, 3)).view()), Err(Error::Shape(_))));
    assert!(matches!(p.reconstruct(Array2::zeros((2, 11)).view()), Err(Error::Shape(_))));
}

#[test]
fn more_than_two_thousand_rows_and_columns_need_no_square_matrix() {
    // Rank 6 and noise, 2,100 × 2,200: variances against those of the covariance route on the same rows, transposed ideas
    // aside: each component's variance is what its scores have.
    let mut r = noise(3);
    let (n, d) = (2_100, 2_200);
    let base = Array2::from_shape_fn((6, d), |_| r());
    let weights = Array2::from_shape_fn((n, 6), |(_, a)| (8 - a) as f32 * r());
    let x = weights.dot(&base) + Array2::from_shape_fn((n, d), |_| 0.1 * r());
    let p = pca(x.view(), None, 6, &Quiet).unwrap();
    assert!(p.needed(0.99).is_some(), "{:?}", p.scree());
    for (c, v) in p.scores.columns().into_iter().zip(&p.explained_variance) {
        assert!((f64::from(c.var(1.0)) / v - 1.0).abs() < 1e-3);
    }
    let gram = p.components.dot(&p.components.t());
    assert!((&gram - &Array2::<f32>::eye(6)).iter().all(|v| v.abs() < 1e-4));
    // 200 of the rows take the Gram route and agree about the space.
    let few = pca(x.slice(s![..200, ..]), None, 6, &Quiet).unwrap();
    let overlap = few.components.dot(&p.components.t()).mapv(|v| v * v).sum();
    assert!(overlap > 5.99, "{overlap}");
}

#[test]
fn single_rows_go_through_a_model_in_less_than_a_millisecond() {
    let x = blobs(600, 784, 6, 2);
    for method in [Method::Autoencoder, Method::Pca] {
        let m = embed(x.view(), None, &Params { method, epochs: 2, ..Params::default() }, &Quiet).unwrap().model;
        let all = m.place(x.view(), &Quiet).unwrap().coords;
        let row = x.row(5).to_vec();
        let z = m.encode_one(&row).unwrap();
        assert!(z.iter().zip(all.row(5)).all(|(a, b)| (a - b).abs() < 1e-3 * b.abs().max(1.0)), "{method}");
        let back = m.decode(all.slice(s![5..6, ..])).unwrap();
        let one = m.decode_one(&z).unwrap();
        assert!(one.iter().zip(back.row(0)).all(|(a, b)| (a - b).abs() < 1e-2), "{method}");
        // The best of some tries: others may be using the machine.
        let best = (0..50)
            .map(|_| {
                let start = Instant::now();
                let z = m.encode_one(&row).unwrap();
                assert_eq!(m.decode_one(&z).unwrap().len(), 784);
                start.elapsed().as_secs_f64()
            })
            .fold(f64::INFINITY, f64::min);
        eprintln!("{method}: there and back in {:.3} ms", 1e3 * best);
        assert!(best < 2e-3);
        assert!(m.encode_one(&row[1..]).is_none() && m.decode_one(&[0.0; 5]).is_none());
        assert!(m.decode_one(&[f32::NAN, 0.0]).is_none());
    }
    let t = embed(x.view(), None, &Params { iterations: 5, ..Params::default() }, &Quiet).unwrap().model;
    assert!(t.encode_one(&x.row(0).to_vec()).is_none() && t.decode_one(&[0.0, 0.0]).is_none());
}

#[test]
fn filled_cells_do_not_count_in_the_errors_of_components() {
    // Rank 2 exactly, but for one row whose seen half is off: its error is that of the seen cells alone.
    let mut r = noise(9);
    let base = Array2::from_shape_fn((2, 12), |_| r());
    let mut x = Array2::from_shape_fn((200, 2), |_| 3.0 * r()).dot(&base);
    let mut w = Array2::from_elem(x.dim(), 1.0f32);
    for j in 0..12 {
        if j % 2 == 0 {
            x[[7, j]] += if j % 4 == 0 { 2.0 } else { -2.0 };
        } else {
            x[[7, j]] = f32::NAN;
            w[[7, j]] = 0.0;
        }
    }
    let m = embed(x.view(), Some(w.view()), &Params { method: Method::Pca, ..Params::default() }, &Quiet).unwrap();
    let e = m.row_error.unwrap();
    let back = m.model.decode(m.coords.view()).unwrap();
    let want = ((0..12).step_by(2).map(|j| (x[[7, j]] - back[[7, j]]).powi(2)).sum::<f32>() / 6.0).sqrt();
    assert!((e[7] / want - 1.0).abs() < 1e-3, "{} against {want}", e[7]);
    assert!(e.iter().enumerate().all(|(i, v)| i == 7 || *v < 0.3 * e[7]));
}

#[test]
fn new_rows_are_judged_by_cells_as_by_all_pairs() {
    let x = blobs(6_000, 8, 4, 31);
    let new = blobs(300, 8, 4, 32);
    let graph = Graph::new(x.view(), 20, Search::Exact, &Quiet).unwrap();
    let l = lof(&graph, 20).unwrap();
    let found = l.of_new(x.view(), new.view(), &Quiet).unwrap();
    // The definition, with all pairs.
    let near = |q: ArrayView1<f32>| {
        let mut all: Vec<(f32, usize)> =
            x.rows().into_iter().enumerate().map(|(i, r)| ((&r - &q).mapv(|v| v * v).sum().sqrt(), i)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.truncate(20);
        all
    };
    let reach = |i: usize| graph.of_row(i).1[19].sqrt();
    let mean = |v: Vec<f32>| v.iter().sum::<f32>() / v.len() as f32;
    let fitted = |i: usize| {
        let (ids, d2) = graph.of_row(i);
        1.0 / mean(ids.iter().zip(d2).map(|(j, d)| d.sqrt().max(reach(*j as usize))).collect())
    };
    let mut same = 0;
    for (i, f) in found.iter().enumerate().take(60) {
        let own = near(new.row(i));
        let density = 1.0 / mean(own.iter().map(|(d, j)| d.max(reach(*j))).collect());
        let want = mean(own.iter().map(|(_, j)| fitted(*j)).collect()) / density;
        same += usize::from((f / want - 1.0).abs() < 1e-3);
    }
    assert!(same == 60, "{same} of 60");
    let alone = l.of_new(x.view(), new.slice(s![9..10, ..]), &Quiet).unwrap();
    assert_eq!(alone[0], found[9]);
}
