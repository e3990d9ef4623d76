//! Maps: computed in a job leg by leg, changed on their way, gone on, and rows that came later placed on them.
//!
//! A map is made by `reduce` from the vectors of the features and spread over all rows of the table, NaN where a row has no vector.
//! Each stretch with the same parameters is a [`Leg`], so that a recipe can repeat what happened. Choice not taken: one run with the
//! last parameters, which is another map.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::*;

impl Session {
    /// The t-SNE map in front, or the one being computed, which ends with what it has.
    pub(super) fn go_on(&mut self, params: reduce::Params) -> Result<()> {
        let dataset = self.front()?;
        let map = dataset.map().cloned().filter(|m| m.params.method == reduce::Method::Tsne);
        let map = map.ok_or_else(|| Error::said("only a t-SNE map goes on where it is: bring one to the front"))?;
        // The vectors are those that the map was made of, whatever the features say now.
        let params = reduce::Params { method: reduce::Method::Tsne, dims: map.coords.dims, ..params };
        self.start_map(format!("{}, gone on", map.name.trim_end_matches(", gone on")), params, Some(map))
    }
    pub(super) fn start_map(&mut self, name: String, params: reduce::Params, from: Option<Arc<Map>>) -> Result<()> {
        self.lay_out(name, vec![Leg::whole(params)], from, false)
    }
    /// Leg by leg as a map was made that was changed on its way or went on.
    pub(super) fn repeat_map(&mut self, name: String, legs: Vec<Leg>) -> Result<()> {
        self.lay_out(name, legs, None, true)
    }
    pub(super) fn lay_out(&mut self, name: String, legs: Vec<Leg>, from: Option<Arc<Map>>, repeat: bool) -> Result<()> {
        let params = legs.first().map(|l| l.params.clone()).ok_or_else(|| Error::said("a map needs parameters"))?;
        let dataset = self.front()?;
        if dataset.table.rows() == 0 {
            return Err(Error::said("there are no rows to map yet"));
        }
        let id = self.fresh_id();
        let features = from.as_ref().map_or_else(|| dataset.features.clone(), |m| m.features.clone());
        let label = method_label(params.method);
        let (graph, gpu) = (self.graphs.get(&dataset.id).cloned(), self.gpu.clone());
        let name = if name.trim().is_empty() { format!("{label} of {}", features.name) } else { name };
        let dataset_id = dataset.id;
        self.start(format!("{label} of {}", dataset.name), dataset_id, true, move |handle| {
            let (map, graph, notes) = if repeat {
                compute_legs(&dataset, &features, &legs, id, &name, (graph, gpu.as_ref()), handle)?
            } else {
                compute_changing(dataset, &features, params, id, &name, (graph, gpu.as_ref()), from, handle)?
            };
            handle.fact(move |s| {
                if let Some(graph) = graph {
                    s.graphs.insert(dataset_id, graph);
                }
                // Why the processor was taken is of interest only where there is something else.
                let word =
                    |n: &&String| !n.starts_with("laid out on the processor") && !n.starts_with("trained on the processor");
                if let Some(joined) = map.figures.get("joined") {
                    s.notice(NoticeLevel::Info, format!("{}: {joined} rows joined it while it was made", map.name));
                }
                notes.iter().filter(word).for_each(|n| s.notice(NoticeLevel::Info, format!("{}: {n}", map.name)));
                s.map_ended(dataset_id, map);
            });
            Ok(())
        });
        Ok(())
    }
    pub(super) fn map_ended(&mut self, dataset: u32, map: Map) {
        if self.dataset_by_id(dataset).is_none() {
            return;
        }
        self.step("map", false);
        let id = map.id;
        self.edit(dataset, |d| {
            d.maps.push(Arc::new(map));
            d.current_map = Some(id);
        });
        self.ensure_placed(dataset);
        for then in self.when_mapped.remove(&dataset).unwrap_or_default() {
            then(self);
        }
    }
    /// Rows that came after the map in front was made get their place on it.
    pub(super) fn ensure_placed(&mut self, id: u32) {
        let Some(dataset) = self.dataset_by_id(id) else { return };
        // A map that is being made takes them in by itself, if its method can.
        self.jobs.iter().filter(|j| j.is_map && j.dataset == id && j.alive()).for_each(|j| j.grow(dataset.clone()));
        let Some(map) = dataset.map().cloned() else { return };
        let from = map.xy.len();
        // One at a time: the next begins when this one has ended.
        if from >= dataset.table.rows() || self.jobs.iter().any(|j| j.alive() && j.dataset == id && j.name.starts_with(PLACE)) {
            return;
        }
        let (Some(model), Some(prepared)) = (map.model.clone(), map.prepared.clone()) else { return };
        let count = dataset.table.rows() - from;
        self.start(format!("{PLACE} {count} new rows on {}", map.name), id, false, move |handle| {
            let (values, unlike) = placed(&dataset, &map, (&model, &prepared), handle)?;
            let map_id = map.id;
            handle.fact(move |s| {
                s.edit(id, |d| {
                    let Some(map) = d.maps.iter_mut().find(|m| m.id == map_id && m.xy.len() == from) else { return };
                    extend(Arc::make_mut(map), &values, &unlike);
                });
                let strange = unlike.iter().filter(|u| **u > 3.0).count();
                if s.dataset_by_id(id).is_some_and(|d| !d.loading) {
                    s.notice(
                        NoticeLevel::Info,
                        format!("Placed {count} new rows on the map; {strange} are unlike anything it was made of"),
                    );
                }
                s.place_next.push(id);
            });
            Ok(())
        });
    }
}

/// Places on a map, and how unlike its rows they are, of the rows of a dataset that it does not cover yet; NaN without vectors.
fn placed(
    dataset: &Dataset,
    map: &Map,
    (model, prepared): (&reduce::Model, &features::Prepared),
    handle: &dyn reduce::Monitor,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let (from, dims) = (map.xy.len(), map.coords.dims);
    let vectors = features::vectors(dataset, &map.features, from, Some(prepared))?;
    let placed = model.place(vectors.x.view(), handle)?;
    let count = dataset.table.rows() - from;
    let (mut values, mut unlike) = (vec![f32::NAN; count * dims], vec![f32::NAN; count]);
    for (i, row) in vectors.rows.iter().enumerate() {
        for d in 0..dims {
            values[(row - from) * dims + d] = placed.coords[[i, d]];
        }
        unlike[row - from] = placed.unlike[i];
    }
    Ok((values, unlike))
}

/// Puts what [`placed`] gave on the map.
fn extend(map: &mut Map, values: &[f32], unlike: &[f32]) {
    let dims = map.coords.dims;
    Arc::make_mut(&mut map.coords).values.extend_from_slice(values);
    Arc::make_mut(&mut map.xy).extend(values.chunks_exact(dims).map(|c| [c[0], c.get(1).copied().unwrap_or(0.0)]));
    Arc::make_mut(&mut map.unlike).extend_from_slice(unlike);
    map.generation += 1;
}

/// Iterations of a t-SNE map whose parameters leave them open, and those that it does at least after a change.
pub(super) const ITERATIONS: usize = 500;
pub(super) const AT_LEAST: usize = 100;

/// Rows that arrive join a map when they are this part of it, or after this time.
const SHARE: usize = 10;
const PATIENCE: Duration = Duration::from_secs(2);

/// How a method is written for a person.
pub fn method_label(method: reduce::Method) -> &'static str {
    match method {
        reduce::Method::Pca => "PCA",
        reduce::Method::Tsne => "t-SNE",
        reduce::Method::Autoencoder => "Autoencoder",
        reduce::Method::Umap => "UMAP",
        reduce::Method::Pacmap => "PaCMAP",
    }
}

/// Vectors, map and quality of a dataset, in one go. The command line calls it too.
///
/// # Errors
/// When there is nothing to make vectors of, or the method refuses.
pub fn compute_map(
    dataset: &Dataset,
    features: &features::Features,
    params: &reduce::Params,
    id: u32,
    name: String,
    handle: &dyn reduce::Monitor,
) -> Result<Map> {
    compute_map_with(dataset, features, params, id, name, (None, None), (None, None), handle).map(|m| m.map)
}

/// As [`compute_map`], with the neighbour graph of an earlier map of the dataset, which is used if it is of the same
/// vectors; gives the graph that was used, for the next one.
///
/// A t-SNE map goes on from `from`, if there is one.
///
/// # Errors
/// As [`compute_map`].
#[expect(clippy::too_many_arguments, reason = "one call of jobs, and each is a different thing")]
pub(crate) fn compute_map_with(
    dataset: &Dataset,
    features: &features::Features,
    params: &reduce::Params,
    id: u32,
    name: String,
    (graph, gpu): (Option<Arc<reduce::Graph>>, Option<&reduce::gpu::Context>),
    (from, newest): (Option<&Map>, Option<Newest<'_>>),
    handle: &dyn reduce::Monitor,
) -> Result<Computed> {
    handle.progress(reduce::Progress { stage: "features", done: 0, of: 0 });
    let features = &features::settled(dataset, features);
    let v = features::vectors(dataset, features, 0, None)?;
    let total = dataset.table.rows();
    let monitor = Arrivals::new(handle, (features, &v.prepared), v.rows.clone(), total, newest, dataset.loading);
    let weights = v.weights.as_ref().map(|w| w.view());
    let e = match from.map(|map| places(map, &v.rows)) {
        // Rows that came later and were only placed go on with the others.
        Some(Some(start)) => reduce::embed_on(gpu, v.x.view(), weights, Some(start.view()), params, graph, &monitor)?,
        Some(None) => return Err(Error::said("some rows have no place on that map yet: wait until they are placed")),
        None => reduce::embed_on(gpu, v.x.view(), weights, None, params, graph, &monitor)?,
    };
    let notes = e.notes;
    let Taken { rows, total, later, dataset, arrived } = monitor.taken(e.coords.nrows());
    let x: Cow<ndarray::Array2<f32>> = match later.is_empty() {
        true => Cow::Borrowed(&v.x),
        false => {
            let all: Vec<_> = std::iter::once(&v.x).chain(&later).map(|x| x.view()).collect();
            Cow::Owned(ndarray::concatenate(ndarray::Axis(0), &all).map_err(|e| Error::said(e.to_string()))?)
        }
    };
    let dims = e.coords.ncols();
    let packed: Vec<f32> = e.coords.iter().copied().collect();
    let values = spread(&packed, dims, &rows, total);
    // The map is to be seen while it is judged.
    handle.frame(&values, dims, &[]);
    handle.progress(reduce::Progress { stage: "quality", done: 0, of: 0 });
    // Without a figure for trust a map is still a map.
    let quality = (rows.len() >= 20)
        .then(|| reduce::quality_with_graph(x.view(), e.coords.view(), e.graph.as_deref(), params.seed, &Unseen(handle)).ok())
        .flatten()
        .map(|mut q| {
            q.row_trust = spread(&q.row_trust, 1, &rows, total);
            Arc::new(q)
        });
    let xy = values.chunks_exact(dims).map(|c| [c[0], c.get(1).copied().unwrap_or(0.0)]).collect();
    let graph = e.graph.clone();
    let iterations = e.figures.get("iterations").copied();
    let map = Map {
        id,
        name,
        params: params.clone(),
        features: features.clone(),
        xy: Arc::new(xy),
        coords: Arc::new(Coords { dims, values }),
        figures: e.figures,
        seconds: e.seconds,
        quality,
        row_error: e.row_error.map(|r| Arc::new(spread(&r, 1, &rows, total))),
        model: Some(Arc::new(e.model)),
        prepared: Some(Arc::new(v.prepared)),
        fitted: total,
        unlike: Arc::default(),
        complete: e.complete,
        generation: 1,
        legs: vec![Leg {
            params: params.clone(),
            until: (!e.complete).then(|| iterations.unwrap_or(0.0) as usize).filter(|_| params.method == reduce::Method::Tsne),
            arrived,
        }],
    };
    Ok(Computed { map, graph, notes, dataset })
}

/// As [`compute_map_with`], and begins anew from where it is each time that a person changes the parameters.
#[expect(clippy::too_many_arguments, reason = "as that of which it is a loop")]
pub(super) fn compute_changing(
    mut dataset: Arc<Dataset>,
    features: &features::Features,
    mut params: reduce::Params,
    id: u32,
    name: &str,
    (mut graph, gpu): (Option<Arc<reduce::Graph>>, Option<&reduce::gpu::Context>),
    mut from: Option<Arc<Map>>,
    handle: &Handle,
) -> Result<(Map, Option<Arc<reduce::Graph>>, Vec<String>)> {
    // A few rows ten times a second would cost the graph anew each time, and the layout would not come on: they wait for one another.
    let taken = Mutex::new((dataset.table.rows(), Instant::now()));
    let grown = || {
        let now = handle.grown()?;
        let mut taken = taken.lock();
        let enough = now.table.rows() >= taken.0 + taken.0 / SHARE || !now.loading || taken.1.elapsed() > PATIENCE;
        if !enough || now.table.rows() <= taken.0 {
            return None;
        }
        *taken = (now.table.rows(), Instant::now());
        Some(now)
    };
    let newest: Option<Newest<'_>> = Some(&grown);
    let done = |m: &Map| m.figures.get("iterations").copied().unwrap_or(0.0);
    loop {
        handle.has_params(&params);
        let made = compute_map_with(
            &dataset,
            features,
            &params,
            id,
            name.to_owned(),
            (graph.clone(), gpu),
            (from.as_deref(), newest),
            handle,
        );
        let (made, next) = (made, handle.changed().filter(|_| !handle.cancelled()));
        let Computed { mut map, graph: known, notes, dataset: grown } = match (made, &next) {
            (Ok(made), _) => made,
            // It was ended before there was a first layout: there is nothing to go on from.
            (Err(_), Some(next)) => {
                params = next.clone();
                continue;
            }
            (Err(e), None) => return Err(e),
        };
        if let Some(from) = &from {
            // What a recipe says is the whole way, not its last part.
            let all = done(from) + done(&map);
            map.params.iterations = all as usize;
            map.figures.insert("iterations".into(), all);
            map.legs.splice(0..0, from.legs_or_params());
        }
        graph = known;
        // It goes on with the rows that joined.
        dataset = grown.unwrap_or(dataset);
        let Some(next) = next else { return Ok((map, graph, notes)) };
        let can = params.method == reduce::Method::Tsne && next.method == reduce::Method::Tsne && next.dims == map.coords.dims;
        params = next;
        from = can.then(|| {
            let all = if params.iterations == 0 { ITERATIONS } else { params.iterations };
            params.iterations = all.saturating_sub(done(&map) as usize).max(AT_LEAST);
            Arc::new(map)
        });
    }
}

/// As [`compute_changing`], with what was changed told beforehand.
pub(super) fn compute_legs(
    dataset: &Dataset,
    features: &features::Features,
    legs: &[Leg],
    id: u32,
    name: &str,
    (mut graph, gpu): (Option<Arc<reduce::Graph>>, Option<&reduce::gpu::Context>),
    handle: &Handle,
) -> Result<(Map, Option<Arc<reduce::Graph>>, Vec<String>)> {
    let mut from: Option<Map> = None;
    let mut all = 0.0;
    let mut last = None;
    for leg in legs {
        handle.has_params(&leg.params);
        let monitor = Until { inner: handle, at: leg.until, done: AtomicU64::new(u64::MAX) };
        // With the rows that were there then, and those that came as they came.
        let first = leg.arrived.first().map(|[_, rows]| first_rows(dataset, *rows)).transpose()?;
        let start = first.as_ref().unwrap_or(dataset);
        if let Some(map) = from.as_mut().filter(|m| m.xy.len() < start.table.rows())
            && let (Some(model), Some(prepared)) = (map.model.clone(), map.prepared.clone())
        {
            let (values, unlike) = placed(start, map, (&model, &prepared), handle)?;
            extend(map, &values, &unlike);
        }
        let told = AtomicUsize::new(1);
        let newest = || {
            let next = leg.arrived.get(told.load(Ordering::Relaxed)).filter(|[at, _]| monitor.reached(*at))?;
            told.fetch_add(1, Ordering::Relaxed);
            first_rows(dataset, next[1]).ok().map(Arc::new)
        };
        let newest: Option<Newest<'_>> = if leg.arrived.is_empty() { None } else { Some(&newest) };
        let before = (from.as_ref(), newest);
        let Computed { mut map, graph: known, notes, .. } =
            compute_map_with(start, features, &leg.params, id, name.to_owned(), (graph, gpu), before, &monitor)?;
        all += map.figures.get("iterations").copied().unwrap_or(0.0);
        if let Some(from) = &from {
            map.params.iterations = all as usize;
            map.figures.insert("iterations".into(), all);
            map.legs.splice(0..0, from.legs.iter().cloned());
        }
        graph = known;
        from = Some(map);
        last = Some(notes);
        if handle.cancelled() {
            break;
        }
    }
    match (from, last) {
        (Some(map), Some(notes)) => Ok((map, graph, notes)),
        _ => Err(Error::said("a map needs parameters")),
    }
}

/// A dataset as it was when so many of its rows were there, and more still to come.
fn first_rows(dataset: &Dataset, rows: usize) -> Result<Dataset> {
    let mut first = dataset.clone();
    let rows = rows.min(dataset.table.rows());
    first.table = Arc::new(dataset.table.take(&RowSet::from_rows(dataset.table.rows(), 0..rows))?);
    first.loading = true;
    Ok(first)
}

/// Ends a layout after so many iterations.
pub(super) struct Until<'a> {
    inner: &'a Handle,
    at: Option<usize>,
    /// Iterations that were done; the largest number before the layout.
    done: AtomicU64,
}

impl Until<'_> {
    /// Whether so many iterations are done.
    fn reached(&self, at: usize) -> bool {
        let done = self.done.load(Ordering::Relaxed);
        done != u64::MAX && done >= at as u64
    }
}

impl reduce::Monitor for Until<'_> {
    fn progress(&self, p: reduce::Progress) {
        if p.stage == "layout" {
            self.done.store(p.done, Ordering::Relaxed);
        }
        self.inner.progress(p);
    }
    fn frame(&self, coords: &[f32], dims: usize, figures: &[(&'static str, f64)]) {
        self.inner.frame(coords, dims, figures);
    }
    fn on_device(&self, places: &reduce::gpu::Places) {
        self.inner.on_device(places);
    }
    fn off_device(&self) {
        self.inner.off_device();
    }
    fn stop(&self) -> bool {
        self.inner.stop() || self.at.is_some_and(|at| self.reached(at))
    }
}

/// How sure the places of rows on a variational autoencoder's map are: the root of the mean square, over the map's axes, of the
/// standard deviation of each row's cloud, in map units; NaN for rows without vectors.
///
/// # Errors
/// For other maps, and when the vectors cannot be made again.
pub fn place_spread(dataset: &Dataset, map: &Map) -> Result<Vec<f64>> {
    let (Some(model), Some(prepared)) = (&map.model, &map.prepared) else {
        return Err(Error::said(format!("'{}' has no model to ask", map.name)));
    };
    let v = features::vectors(dataset, &map.features, 0, Some(prepared))?;
    let spread = model.spread(v.x.view())?.ok_or_else(|| Error::said(format!("'{}' is no variational map", map.name)))?;
    let mut all = vec![f64::NAN; dataset.table.rows()];
    for (row, s) in v.rows.iter().zip(spread.outer_iter()) {
        all[*row] = s.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>().sqrt() / (s.len().max(1) as f64).sqrt();
    }
    Ok(all)
}

/// Places of some rows on a map; `None` when one has none.
pub(super) fn places(map: &Map, rows: &[usize]) -> Option<ndarray::Array2<f32>> {
    let dims = map.coords.dims;
    let mut out = ndarray::Array2::zeros((rows.len(), dims));
    for (i, row) in rows.iter().enumerate() {
        let place = map.coords.values.get(row * dims..(row + 1) * dims)?;
        if place.iter().any(|v| !v.is_finite()) {
            return None;
        }
        out.row_mut(i).iter_mut().zip(place).for_each(|(o, v)| *o = *v);
    }
    Some(out)
}

/// Progress without frames, for what follows a map.
pub(super) struct Unseen<'a>(&'a dyn reduce::Monitor);

impl reduce::Monitor for Unseen<'_> {
    fn stop(&self) -> bool {
        self.0.stop()
    }
    fn watches(&self) -> bool {
        false
    }
}
