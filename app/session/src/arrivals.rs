//! Rows that arrive while a map of their dataset is being made.
//!
//! The session hands every dataset that grew to the job ([`crate::jobs::Job::grow`]); between two iterations a t-SNE layout asks for
//! them, their vectors are made as those of the first rows were (same columns, same scaling), and they join the descent
//! without a restart. Rows that come during other methods or after the last iteration are placed on the finished
//! map as ever. A map that took rows in while they came depends on when they came: at which iterations and how many is kept with
//! it ([`crate::document::Leg`]), so that a recipe, run with all rows there, hands them over as they came.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use asterism_reduce as reduce;
use parking_lot::Mutex;

use crate::document::Dataset;
use crate::features::{self, Features, Prepared};

/// Where the newest state of a dataset can be had.
pub(crate) type Newest<'a> = &'a (dyn Fn() -> Option<Arc<Dataset>> + Sync);

/// What has been handed over so far.
struct Rows {
    /// Row of the table of each vector.
    rows: Vec<usize>,
    /// Rows of the table that were looked at.
    total: usize,
    /// After each arrival: how many of both there were then, the dataset, and the vectors that came.
    steps: Vec<Step>,
    /// Rows of a table that gave no vectors.
    refused: usize,
}

/// Rows that came.
struct Step {
    /// Iterations that were done.
    at: usize,
    /// Vectors, and rows of the table, that there were then.
    vectors: usize,
    total: usize,
    dataset: Arc<Dataset>,
    x: ndarray::Array2<f32>,
}

/// What a map is of.
pub(crate) struct Taken {
    /// Row of the table of each vector.
    pub rows: Vec<usize>,
    /// Rows of the table that the map covers.
    pub total: usize,
    /// Vectors behind the first ones.
    pub later: Vec<ndarray::Array2<f32>>,
    /// The dataset as it was last taken in; `None` when nothing arrived.
    pub dataset: Option<Arc<Dataset>>,
    /// (iteration, rows of the table), the start first; empty when all rows were there.
    pub arrived: Vec<[usize; 2]>,
}

/// Reports of a computation on the rows that have vectors, spread over all rows of the table, and rows that arrive.
pub(crate) struct Arrivals<'a> {
    handle: &'a dyn reduce::Monitor,
    features: &'a Features,
    prepared: &'a Prepared,
    newest: Option<Newest<'a>>,
    /// The dataset is still being read.
    loading: bool,
    /// Vectors and rows of the table at the start.
    first: (usize, usize),
    /// Iterations of the layout.
    done: AtomicUsize,
    rows: Mutex<Rows>,
}

impl<'a> Arrivals<'a> {
    /// Of vectors that stand for `rows` of a table of `total`; `newest` is asked for more where rows may join.
    pub fn new(
        handle: &'a dyn reduce::Monitor,
        (features, prepared): (&'a Features, &'a Prepared),
        rows: Vec<usize>,
        total: usize,
        newest: Option<Newest<'a>>,
        loading: bool,
    ) -> Self {
        let first = (rows.len(), total);
        let rows = Rows { rows, total, steps: Vec::new(), refused: 0 };
        Self { handle, features, prepared, newest, loading, first, done: AtomicUsize::new(0), rows: Mutex::new(rows) }
    }

    /// What a map with `count` places is of: arrivals that were refused are not on it.
    pub fn taken(self, count: usize) -> Taken {
        let mut all = self.rows.into_inner();
        all.steps.retain(|s| s.vectors <= count);
        all.rows.truncate(count);
        let total = all.steps.last().map_or(self.first.1, |s| s.total);
        let dataset = all.steps.last().map(|s| s.dataset.clone());
        let mut arrived = Vec::new();
        if self.loading {
            arrived.push([0, self.first.1]);
            arrived.extend(all.steps.iter().map(|s| [s.at, s.total]));
        }
        let later = all.steps.into_iter().map(|s| s.x).filter(|x| x.nrows() > 0).collect();
        Taken { rows: all.rows, total, later, dataset, arrived }
    }
}

impl reduce::Monitor for Arrivals<'_> {
    fn progress(&self, p: reduce::Progress) {
        if p.stage == "layout" {
            self.done.store(p.done as usize, Ordering::Relaxed);
        }
        self.handle.progress(p);
    }
    fn frame(&self, coords: &[f32], dims: usize, figures: &[(&'static str, f64)]) {
        let all = self.rows.lock();
        if coords.len() == all.total * dims {
            drop(all);
            return self.handle.frame(coords, dims, figures);
        }
        let values = spread(coords, dims, &all.rows, all.total);
        drop(all);
        self.handle.frame(&values, dims, figures);
    }
    fn on_device(&self, places: &reduce::gpu::Places) {
        self.handle.on_device(places);
    }
    fn off_device(&self) {
        self.handle.off_device();
    }
    fn watches(&self) -> bool {
        self.handle.watches()
    }
    fn feeds(&self) -> bool {
        self.loading && self.newest.is_some()
    }
    fn arrived(&self) -> Option<ndarray::Array2<f32>> {
        let dataset = self.newest.and_then(|newest| newest())?;
        let mut all = self.rows.lock();
        let from = all.total;
        let rows = dataset.table.rows();
        if rows <= from || rows == all.refused {
            return None;
        }
        // Without vectors they are placed later, and that says why there are none.
        let Ok(v) = features::vectors(&dataset, self.features, from, Some(self.prepared)) else {
            all.refused = rows;
            return None;
        };
        all.total = rows;
        all.rows.extend_from_slice(&v.rows);
        let at = self.done.load(Ordering::Relaxed);
        let step = Step { at, vectors: all.rows.len(), total: rows, dataset, x: v.x.clone() };
        all.steps.push(step);
        (v.x.nrows() > 0).then_some(v.x)
    }
    fn stop(&self) -> bool {
        self.handle.stop()
    }
}

/// Numbers of some rows, `dims` each, among those of all rows; NaN elsewhere.
pub(crate) fn spread(values: &[f32], dims: usize, rows: &[usize], total: usize) -> Vec<f32> {
    let mut all = vec![f32::NAN; total * dims];
    for (from, row) in values.chunks_exact(dims).zip(rows) {
        all[row * dims..(row + 1) * dims].copy_from_slice(from);
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::features::{FeatureColumn, FeatureKind};
    use crate::session::compute_map_with;
    use crate::{Ask, ledger};

    /// A dataset of `n` rows in three clouds; every seventh row has a blank in `b`.
    fn dataset(n: usize) -> Dataset {
        let wave = |i: usize, k: f64| ((i as f64 * 12.9898 + k).sin() * 43_758.545).fract();
        let mut table = asterism_data::Table::default();
        let far = |i: usize| (i % 3) as f64 * 8.0;
        table.with_f64_column("a", (0..n).map(|i| far(i) + wave(i, 1.0)).collect(), Default::default()).unwrap();
        let b = |i: usize| if i % 7 == 3 { f64::NAN } else { wave(i, 2.0) - far(i) };
        table.with_f64_column("b", (0..n).map(b).collect(), Default::default()).unwrap();
        let ask = Ask::file("t.csv");
        ledger::probe(&ask, table, None, Vec::new())
    }

    /// Counts the rows of frames and says how far the layout is.
    #[derive(Default)]
    struct Seen {
        at: AtomicUsize,
        least: AtomicUsize,
        most: AtomicUsize,
    }

    impl reduce::Monitor for Seen {
        fn progress(&self, p: reduce::Progress) {
            if p.stage == "layout" {
                self.at.store(p.done as usize, Ordering::Relaxed);
            }
        }
        fn frame(&self, coords: &[f32], dims: usize, _: &[(&'static str, f64)]) {
            let rows = coords.len() / dims;
            self.most.fetch_max(rows, Ordering::Relaxed);
            let _ =
                self.least.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |v| Some(if v == 0 { rows } else { v.min(rows) }));
        }
    }

    #[test]
    fn rows_that_come_while_a_map_is_made_join_it() {
        let (first, whole) = (dataset(300), Arc::new(dataset(420)));
        let columns = ["a", "b"].map(FeatureColumn::plain);
        let features = Features { of: FeatureKind::Columns(columns.to_vec()), ..Features::default() };
        let params = reduce::Params { iterations: 200, ..Default::default() };
        let seen = Seen::default();
        let newest = || (seen.at.load(Ordering::Relaxed) >= 120).then(|| whole.clone());
        let made =
            compute_map_with(&first, &features, &params, 1, "m".into(), (None, None), (None, Some(&newest)), &seen).unwrap();
        let map = made.map;
        assert_eq!((map.xy.len(), map.fitted, map.coords.values.len()), (420, 420, 840));
        assert_eq!(made.dataset.map(|d| d.table.rows()), Some(420));
        assert_eq!((seen.least.into_inner(), seen.most.into_inner()), (300, 420));
        // Its rows with vectors have places, and none else.
        let v = features::vectors(&whole, &map.features, 0, map.prepared.as_deref()).unwrap();
        let placed: Vec<usize> = (0..420).filter(|i| map.xy[*i][0].is_finite()).collect();
        assert_eq!(placed, v.rows);
        assert!(map.figures["joined"] > 100.0 && map.quality.as_ref().unwrap().row_trust.len() == 420);
        // A late row lies among its own: its nearest row on the map is of its cloud.
        for i in [301, 361, 419].into_iter().filter(|i| placed.contains(i)) {
            let away = |j: usize| (map.xy[i][0] - map.xy[j][0]).hypot(map.xy[i][1] - map.xy[j][1]);
            let near = placed.iter().copied().filter(|j| *j != i).min_by(|a, b| away(*a).total_cmp(&away(*b))).unwrap();
            assert_eq!(near % 3, i % 3, "row {i} lies beside row {near}");
        }
    }

    #[test]
    fn arrivals_that_were_refused_are_not_on_the_map() {
        let (first, whole) = (dataset(60), Arc::new(dataset(80)));
        let columns = ["a", "b"].map(FeatureColumn::plain);
        let features = Features { of: FeatureKind::Columns(columns.to_vec()), ..Features::default() };
        let v = features::vectors(&first, &features, 0, None).unwrap();
        let newest = || Some(whole.clone());
        let of = || Arrivals::new(&reduce::Quiet, (&features, &v.prepared), v.rows.clone(), 60, Some(&newest), true);
        use reduce::Monitor;
        let arrivals = of();
        let more = arrivals.arrived().unwrap().nrows();
        assert!(more > 10 && arrivals.arrived().is_none() && arrivals.feeds());
        let taken = arrivals.taken(v.rows.len() + more);
        assert_eq!((taken.rows.len(), taken.total, taken.later.len()), (v.rows.len() + more, 80, 1));
        let arrivals = of();
        arrivals.arrived().unwrap();
        let taken = arrivals.taken(v.rows.len());
        assert_eq!((taken.rows, taken.total, taken.later.len(), taken.dataset.is_none()), (v.rows.clone(), 60, 0, true));
    }
}
