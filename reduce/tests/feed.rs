//! Rows that join a t-SNE map while it is laid out.
#![allow(clippy::unwrap_used)]

use asterism_reduce::{Embedding, Monitor, Params, Progress, Quiet, divergence, embed};
use ndarray::{Array2, s};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

fn digits() -> Array2<f32> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/peers/digits.bin");
    Array2::from_shape_vec((1797, 64), std::fs::read(file).unwrap().into_iter().map(f32::from).collect()).unwrap()
}

/// Hands over rows when the layout has come to given iterations.
struct Feed {
    at: AtomicUsize,
    rows: Mutex<Vec<(usize, Array2<f32>)>>,
    widths: Mutex<Vec<usize>>,
}

impl Feed {
    fn new(rows: Vec<(usize, Array2<f32>)>) -> Self {
        Self { at: AtomicUsize::new(0), rows: Mutex::new(rows), widths: Mutex::default() }
    }
}

impl Monitor for Feed {
    fn progress(&self, p: Progress) {
        if p.stage == "layout" {
            self.at.store(p.done as usize, Ordering::Relaxed);
        }
    }
    fn frame(&self, coords: &[f32], dims: usize, _: &[(&'static str, f64)]) {
        assert!(coords.iter().all(|v| v.is_finite()));
        self.widths.lock().unwrap().push(coords.len() / dims);
    }
    fn feeds(&self) -> bool {
        true
    }
    fn arrived(&self) -> Option<Array2<f32>> {
        let mut rows = self.rows.lock().unwrap();
        if rows.first().is_some_and(|(at, _)| self.at.load(Ordering::Relaxed) >= *at) { Some(rows.remove(0).1) } else { None }
    }
}

fn fed(x: &Array2<f32>, first: usize, parts: &[(usize, std::ops::Range<usize>)], params: &Params) -> (Embedding, Feed) {
    let feed = Feed::new(parts.iter().map(|(at, rows)| (*at, x.slice(s![rows.clone(), ..]).to_owned())).collect());
    let map = embed(x.slice(s![..first, ..]), None, params, &feed).unwrap();
    (map, feed)
}

#[test]
fn a_map_takes_in_the_other_half_and_is_as_good() {
    let x = digits();
    let params = Params { iterations: 0, pca_dims: 0, ..Params::default() };
    let whole = embed(x.view(), None, &params, &Quiet).unwrap();
    let ends = fed(&x, 900, &[], &params).0.figures["iterations"] as usize;
    // In the middle of the early phase, after it, in three parts, and when the first map is nearly done.
    for parts in [
        vec![(100, 900..1797)],
        vec![(250, 900..1797)],
        vec![(180, 900..1200), (300, 1200..1500), (480, 1500..1797)],
        vec![(ends - 20, 900..1797)],
    ] {
        let (map, feed) = fed(&x, 900, &parts, &params);
        assert_eq!(map.coords.dim(), (1797, 2));
        assert!(map.complete && map.figures["joined"] == 897.0);
        let (got, want) = (map.figures["kl"], whole.figures["kl"]);
        eprintln!("{parts:?}: divergence {got:.4}, of all rows at once {want:.4}; {} iterations", map.figures["iterations"]);
        assert!(got < 1.03 * want, "{parts:?}: {got} against {want}");
        // The figure is that of the map, by all pairs.
        let own = divergence(x.view(), map.coords.view(), 30.0, None, &Quiet).unwrap();
        assert!((own / got - 1.0).abs() < 1e-3, "{own} and {got}");
        let widths = feed.widths.into_inner().unwrap();
        assert!(widths.is_sorted() && widths[0] == 900 && widths.last() == Some(&1797));
        let distances = |map: &Embedding| map.graph.as_ref().map(|g| g.neighbours().distances2.clone());
        assert!(distances(&map) == distances(&whole), "the graph is that of all rows");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let x = digits();
    let params = Params { iterations: 160, pca_dims: 20, ..Params::default() };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fed(&x, 600, &[(60, 600..900), (120, 900..1000)], &params).0)
    };
    let one = run(1);
    assert_eq!(one.coords.nrows(), 1000);
    assert!(run(2).coords == one.coords && run(7).coords == one.coords);
    let other = fed(&x, 600, &[(60, 600..900), (130, 900..1000)], &params).0;
    assert!(other.coords != one.coords, "when they arrive does something");
}

#[test]
fn halting_for_rows_that_are_refused_changes_nothing() {
    let x = digits();
    let params = Params { iterations: 300, settle: false, ..Params::default() };
    let plain = embed(x.slice(s![..700, ..]), None, &params, &Quiet).unwrap();
    for bad in [Array2::zeros((3, 9)), Array2::from_elem((2, 64), f32::NAN)] {
        let feed = Feed::new(vec![(170, bad)]);
        let map = embed(x.slice(s![..700, ..]), None, &params, &feed).unwrap();
        assert!(map.notes.len() == 1 && map.notes[0].contains("not taken in"), "{:?}", map.notes);
        // Velocities, gains and places went on as if nothing had been.
        assert!(map.coords == plain.coords && !map.figures.contains_key("joined"));
    }
}

#[test]
fn a_map_of_few_rows_grows() {
    let x = digits();
    let params = Params::default();
    // Fewer rows than the perplexity asks for; more arrive than there are.
    let (map, _) = fed(&x, 40, &[(50, 40..41), (60, 41..1797)], &params);
    assert_eq!(map.coords.nrows(), 1797);
    let whole = embed(x.view(), None, &params, &Quiet).unwrap().figures["kl"];
    assert!(map.figures["kl"] < 1.05 * whole, "{} and {whole}", map.figures["kl"]);
    // And three rows.
    let (map, _) = fed(&x, 3, &[(10, 3..4)], &params);
    assert_eq!(map.coords.nrows(), 4);
}
