//! New rows on old maps, and the variational autoencoder.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use asterism_reduce::{Error, Method, Model, Monitor, Params, Placement, Quiet, embed};
use common::{blobs, digits, threads};
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use std::sync::atomic::{AtomicUsize, Ordering};

fn model(x: ArrayView2<f32>, params: Params) -> Model {
    embed(x, None, &params, &Quiet).unwrap().model
}

/// Places all rows in chunks of a size.
fn in_chunks(m: &Model, x: ArrayView2<f32>, size: usize) -> Placement {
    let placer = m.placer(&Quiet).unwrap();
    let parts: Vec<Placement> = x.axis_chunks_iter(Axis(0), size).map(|c| placer.place(c, &Quiet).unwrap()).collect();
    let coords: Vec<ArrayView2<f32>> = parts.iter().map(|p| p.coords.view()).collect();
    Placement { coords: concatenate(Axis(0), &coords).unwrap(), unlike: parts.iter().flat_map(|p| p.unlike.clone()).collect() }
}

#[test]
fn a_row_has_the_same_place_in_any_chunk_and_for_any_number_of_threads() {
    let x = blobs(2_600, 9, 5, 11);
    let new = blobs(700, 9, 5, 12);
    let plain = Params { epochs: 3, iterations: 60, layers: vec![16], ..Params::default() };
    for (method, dims, variational, pca_dims) in [
        (Method::Pca, 2, false, 50),
        (Method::Autoencoder, 2, false, 50),
        (Method::Autoencoder, 3, true, 50),
        (Method::Tsne, 2, false, 50),
        (Method::Tsne, 1, false, 6),
        (Method::Umap, 2, false, 50),
        (Method::Pacmap, 3, false, 6),
    ] {
        let m = model(x.view(), Params { method, dims, variational, pca_dims, ..plain.clone() });
        let all = m.place(new.view(), &Quiet).unwrap();
        assert!(all.coords.iter().chain(&all.unlike).all(|v| v.is_finite()), "{method}");
        for size in [1, 7, 64, 65, 333] {
            let some = if size == 1 { new.slice(s![..90, ..]) } else { new.view() };
            let parts = in_chunks(&m, some, size);
            let n = some.nrows();
            assert!(parts.coords == all.coords.slice(s![..n, ..]), "{method}, chunks of {size}");
            assert_eq!(parts.unlike, all.unlike[..n], "{method}, chunks of {size}");
        }
        for count in [1, 2, 7] {
            assert!(threads(count, || m.place(new.view(), &Quiet).unwrap()) == all, "{method}, {count} threads");
        }
    }
}

#[test]
fn rows_land_among_their_own_and_strangers_are_told() {
    // Six clouds in twelve columns: more than the tree takes, more rows than fit into one cell.
    let x = blobs(5_000, 12, 6, 21);
    let new = blobs(600, 12, 6, 21);
    for method in [Method::Tsne, Method::Umap, Method::Pacmap] {
        let e = embed(x.view(), None, &Params { method, iterations: 300, ..Params::default() }, &Quiet).unwrap();
        let p = e.model.place(new.view(), &Quiet).unwrap();
        let own = (0..600).filter(|i| {
            let at = p.coords.row(*i);
            let near = (0..5_000).min_by(|a, b| {
                let far = |j: usize| (&e.coords.row(j) - &at).mapv(|v| v * v).sum();
                far(*a).total_cmp(&far(*b))
            });
            near.unwrap() % 6 == i % 6
        });
        assert!(own.count() >= 594, "{method}");
        let mut unlike = p.unlike.clone();
        unlike.sort_by(f32::total_cmp);
        assert!((0.7..1.5).contains(&unlike[300]), "{method}: {}", unlike[300]);
        let odd = e.model.place(Array2::from_elem((1, 12), 40.0).view(), &Quiet).unwrap();
        assert!(odd.unlike[0] > 5.0, "{method}");
        assert!(matches!(e.model.place(Array2::zeros((2, 3)).view(), &Quiet), Err(Error::Shape(_))));
    }
}

struct Stops(AtomicUsize);

impl Monitor for Stops {
    fn stop(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) >= 4
    }
}

#[test]
fn placing_stops_between_blocks_of_rows() {
    let x = blobs(3_000, 8, 3, 1);
    let m = model(x.view(), Params { method: Method::Umap, epochs: 5, ..Params::default() });
    let placer = m.placer(&Quiet).unwrap();
    let many = blobs(20_000, 8, 3, 2);
    assert!(matches!(placer.place(many.view(), &Stops(AtomicUsize::new(0))), Err(Error::Cancelled)));
    assert!(matches!(m.placer(&Stops(AtomicUsize::new(4))), Err(Error::Cancelled)));
}

#[test]
fn a_variational_map_is_made_of_clouds_of_unit_normal_size_and_can_be_stored() {
    let x = digits();
    let params = Params { method: Method::Autoencoder, layers: vec![64, 32], epochs: 60, variational: true, ..Params::default() };
    let e = embed(x.view(), None, &params, &Quiet).unwrap();
    let linear = embed(x.view(), None, &Params { method: Method::Pca, ..Params::default() }, &Quiet).unwrap();
    let mean = |e: &[f32]| e.iter().map(|v| f64::from(v * v)).sum::<f64>() / e.len() as f64;
    let (ours, pca) = (mean(e.row_error.as_ref().unwrap()), mean(linear.row_error.as_ref().unwrap()));
    let spread = e.model.spread(x.view()).unwrap().unwrap();
    let middle = |a: usize| {
        let mut v: Vec<f32> = spread.column(a).to_vec();
        v.sort_by(f32::total_cmp);
        v[898]
    };
    eprintln!("error {ours:.2}, pca {pca:.2}, {:?}, clouds {:.3} {:.3}", e.figures, middle(0), middle(1));
    assert!(ours < 0.85 * pca, "{ours} against {pca}");
    // Not collapsed (as wide as the map, no information), not points.
    let nats = e.figures["information"];
    assert!((2.0..12.0).contains(&nats), "{nats}");
    for a in 0..2 {
        assert!((0.005..0.5).contains(&middle(a)), "{}", middle(a));
    }
    let mut file = Vec::new();
    e.model.save(&mut file).unwrap();
    let again = Model::load(&file[..]).unwrap();
    assert!(again == e.model);
    assert!(again.spread(x.view()).unwrap().unwrap() == spread);
    assert!(matches!(Model::load(&file[..file.len() - 9]), Err(Error::Model(_))));
    // The map is where the rows are placed; the clouds say nothing of other maps.
    assert!(again.place(x.view(), &Quiet).unwrap().coords == e.coords);
    assert!(linear.model.spread(x.view()).unwrap().is_none());
    // A stronger β holds the clouds closer to the unit normal: less information, a larger error.
    let held = embed(x.view(), None, &Params { beta: 20.0, ..params.clone() }, &Quiet).unwrap();
    assert!(held.figures["information"] < 0.8 * nats, "{}", held.figures["information"]);
    assert!(mean(held.row_error.as_ref().unwrap()) > ours);
    let short = Params { epochs: 2, ..params };
    let one = threads(1, || embed(x.view(), None, &short, &Quiet).unwrap().coords);
    for count in [2, 7] {
        assert!(one == threads(count, || embed(x.view(), None, &short, &Quiet).unwrap().coords), "{count} threads");
    }
    let few = embed(x.slice(s![..3, ..]), None, &Params { layers: vec![], ..short.clone() }, &Quiet).unwrap();
    assert!(few.coords.iter().all(|v| v.is_finite()));
    assert!(embed(x.view(), None, &Params { beta: -1.0, ..short }, &Quiet).is_err());
}
