//! Maps of the rows: one call for every method.

use crate::autoencoder::{Plan, train};
use crate::feed::{self, Fed};
use crate::kernel;
use crate::level::{self, Levelled};
use crate::memory::fits;
use crate::model::{Kind, Linear, Model, Reference, typical};
use crate::monitor::Monitor;
use crate::tsne::EXACT_3D;
use crate::umap::{self, Curve};
use crate::{Error, Graph, Neighbours, Search, gpu, pacmap, pca};
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// How a map is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Principal components: linear, exact, at once.
    Pca,
    /// t-SNE: neighbours stay neighbours, distances between groups mean little.
    #[default]
    Tsne,
    /// Autoencoder: a learned way to a few numbers and back.
    Autoencoder,
    /// UMAP: neighbours stay neighbours, groups drawn tight and apart.
    Umap,
    /// PaCMAP: between the two, keeps more of the large arrangement.
    Pacmap,
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pca => "pca",
            Self::Tsne => "tsne",
            Self::Autoencoder => "autoencoder",
            Self::Umap => "umap",
            Self::Pacmap => "pacmap",
        })
    }
}

impl std::str::FromStr for Method {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        match s.to_ascii_lowercase().as_str() {
            "pca" => Ok(Self::Pca),
            "tsne" | "t-sne" => Ok(Self::Tsne),
            "autoencoder" => Ok(Self::Autoencoder),
            "umap" => Ok(Self::Umap),
            "pacmap" => Ok(Self::Pacmap),
            _ => Err(Error::Shape(format!("there is no method \"{s}\": choose pca, tsne, umap, pacmap or autoencoder"))),
        }
    }
}

/// Where the layout of a UMAP map starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// From the principal components.
    #[default]
    Pca,
    /// From the slowest vectors of the neighbour graph, umap-learn's default.
    Spectral,
}

/// Settings of a map. Those of other methods are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Params {
    /// The method.
    pub method: Method,
    /// Dimensions of the map.
    pub dims: usize,
    /// Random seed; the same seed gives the same map.
    pub seed: u64,
    /// t-SNE: effective number of neighbours; at most a third of the rows is used.
    pub perplexity: f64,
    /// t-SNE: iterations at most; 0 = 500, 750 for fewer than 5,000 rows, 1,000 for more than 300,000.
    pub iterations: usize,
    /// t-SNE: exaggeration after the early phase, 1 = none; 2–4 draws groups tight, at the price of each row's nearest
    /// neighbours (docs/methods.md); 0 = 1.
    pub exaggeration: f64,
    /// t-SNE: end as soon as the divergence has twice in a row fallen by less than half a per cent in 50 iterations.
    pub settle: bool,
    /// t-SNE: momentum after the early phase, up to 0.99; 0 = 0.95, or 0.85 for fewer than 5,000 rows.
    pub momentum: f64,
    /// t-SNE: look at a wider surrounding too: the mean of this perplexity and of a hundredth of the rows (at most 100).
    pub multiscale: bool,
    /// Autoencoder: widths of the hidden layers, outermost first.
    pub layers: Vec<usize>,
    /// Autoencoder: passes over the rows; 0 = 15 to 100, as many as take some 10 to 30 seconds. UMAP: epochs; 0 = 500, or 200 for more
    /// than 10,000 rows.
    pub epochs: usize,
    /// UMAP and PaCMAP: neighbours of a row (UMAP counts the row itself, as umap-learn does); 0 = 15 for UMAP, 10 for
    /// PaCMAP.
    pub neighbours: usize,
    /// UMAP: how close together places may lie, in the map's units; 0.001–1.
    pub min_dist: f64,
    /// UMAP: where the layout starts.
    pub start: Start,
    /// t-SNE, UMAP, PaCMAP: with more columns than this, that many principal components are taken first; 0 = never.
    pub pca_dims: usize,
    /// Autoencoder: the variational kind, whose rows are clouds and whose map is their middles.
    pub variational: bool,
    /// Variational autoencoder: weight of the clouds' information; 1 = as probability theory has it, more = smoother maps.
    pub beta: f64,
    /// Autoencoder: rows of a step; 0 = chosen by their number.
    pub batch: usize,
    /// Autoencoder: largest learning rate; 0 = chosen.
    pub rate: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            method: Method::default(),
            dims: 2,
            seed: 0,
            perplexity: 30.0,
            iterations: 500,
            exaggeration: 1.0,
            settle: true,
            momentum: 0.0,
            multiscale: false,
            layers: vec![256, 64],
            epochs: 0,
            neighbours: 0,
            min_dist: 0.1,
            start: Start::Pca,
            pca_dims: 50,
            variational: false,
            beta: 1.0,
            batch: 0,
            rate: 0.0,
        }
    }
}

/// A map of the rows.
#[derive(Debug, Clone)]
pub struct Embedding {
    /// Places, rows × dims; rows that joined while it was made ([`Monitor::arrived`]) stand behind the others.
    pub coords: Array2<f32>,
    /// Figures by name: "kl", "iterations", "explained_1", "explained", "loss", "held_out", "epochs", "information" (nats
    /// a row, variational), "recall_of_search", "joined" (rows that arrived while it was made).
    pub figures: BTreeMap<String, f64>,
    /// Wall-clock seconds by stage.
    pub seconds: BTreeMap<String, f64>,
    /// Root mean square reconstruction error of each row in the units of the input (PCA, autoencoder); with weights, of the
    /// weighted squares. `None` of an autoencoder on many rows that was stopped early.
    pub row_error: Option<Vec<f32>>,
    /// What places new rows on this map.
    pub model: Model,
    /// `false` when it was stopped early.
    pub complete: bool,
    /// The neighbour graph that was used, for the next map, outlier scores or groups of the same rows.
    pub graph: Option<Arc<Graph>>,
    /// Where the layout or the training ran if a device was offered ([`embed_on`]), and why not there if it did not; rows that
    /// arrived and were not taken in. Empty otherwise.
    pub notes: Vec<String>,
}

/// Makes a map of the rows of `x` (N × d).
///
/// `weights` (N × d, ≥ 0, e.g. inverse variances; 0 = masked, such a cell may hold anything) are used by the
/// autoencoder's loss and, for the others, to fill cells from a low-rank model first.
///
/// # Errors
/// No cells, cells that are not finite, shapes or settings that do not fit, more memory than there is, or stopped
/// before there was anything to keep. Stopped later, what there is comes back with `complete` false.
pub fn embed(
    x: ArrayView2<f32>,
    weights: Option<ArrayView2<f32>>,
    params: &Params,
    monitor: &dyn Monitor,
) -> Result<Embedding, Error> {
    embed_with_graph(x, weights, params, None, monitor)
}

/// As [`embed`], with a neighbour graph from an earlier map ([`Embedding::graph`]) or of [`Graph::new`].
///
/// It is used if it is of the very rows whose neighbours are wanted (after filling and principal components) and has
/// enough of them; otherwise a new one is computed, so that a wrong graph costs time but never changes the map.
///
/// # Errors
/// As [`embed`].
pub fn embed_with_graph(
    x: ArrayView2<f32>,
    weights: Option<ArrayView2<f32>>,
    params: &Params,
    graph: Option<Arc<Graph>>,
    monitor: &dyn Monitor,
) -> Result<Embedding, Error> {
    embed_on(None, x, weights, None, params, graph, monitor)
}

/// As [`embed_with_graph`] (and with `from`, N × dims, as [`go_on`]), with a graphics processor on which a t-SNE layout runs if it is
/// fit for that ([`gpu::usable`]), in two dimensions, and an autoencoder (not the variational kind) learns if its steps are large. Otherwise, and also when the device fails in the middle, the processor
/// does it or goes on from the last places read back; [`Embedding::notes`] says so. Other methods take no notice of it.
///
/// # Errors
/// As [`embed`] and [`go_on`]; a device that fails is no error.
pub fn embed_on(
    gpu: Option<&gpu::Context>,
    x: ArrayView2<f32>,
    weights: Option<ArrayView2<f32>>,
    from: Option<ArrayView2<f32>>,
    params: &Params,
    graph: Option<Arc<Graph>>,
    monitor: &dyn Monitor,
) -> Result<Embedding, Error> {
    if from.is_some() && params.method != Method::Tsne {
        return Err(Error::Shape(format!("only a t-SNE map goes on where it was, not one by {}", params.method)));
    }
    let (n, d) = x.dim();
    if n == 0 || d == 0 {
        return Err(Error::Empty);
    }
    if from.is_some_and(|from| from.dim() != (n, params.dims) || from.iter().any(|v| !v.is_finite())) {
        return Err(Error::Shape(format!("the map to go on from must have {n} rows with {} finite places each", params.dims)));
    }
    if params.dims == 0 {
        return Err(Error::Shape("a map needs at least one dimension".into()));
    }
    let (power, finite) = level::power_of(x, weights);
    if power != 0 {
        let monitor = Levelled { monitor, power };
        let x = level::divided(x, power);
        let mut made = embed_on(gpu, x.view(), weights, from, params, graph, &monitor)?;
        made.model.power = power;
        level::multiply(made.row_error.as_deref_mut().unwrap_or_default(), power);
        if params.method == Method::Pca {
            made.coords.mapv_inplace(|v| (f64::from(v) * level::unit(power)) as f32);
        }
        return Ok(made);
    }
    fits(n, d, params, 0)?;
    match params.method {
        Method::Pca => linear(x, weights, finite, params, monitor),
        Method::Tsne | Method::Umap | Method::Pacmap => {
            let iterations = if from.is_some() && params.iterations == 0 { 250 } else { params.iterations };
            let params = Params { iterations, ..params.clone() };
            neighbour_map(gpu, x, weights, finite, &params, graph, from, monitor)
        }
        Method::Autoencoder => learned(gpu, x, weights, params, monitor),
    }
}

/// As [`embed_with_graph`] for t-SNE, from a map of the same rows that is there (`from`, N × dims): the layout keeps its size and goes
/// on where it was, with `params.iterations` (0 = 250) and whatever else of the parameters is different now.
///
/// # Errors
/// As [`embed`], and for other methods, other numbers of rows or dimensions, or places that are not finite.
pub fn go_on(
    x: ArrayView2<f32>,
    weights: Option<ArrayView2<f32>>,
    from: ArrayView2<f32>,
    params: &Params,
    graph: Option<Arc<Graph>>,
    monitor: &dyn Monitor,
) -> Result<Embedding, Error> {
    embed_on(None, x, weights, Some(from), params, graph, monitor)
}

/// Rows × `dims` from rows × k ≤ dims, zeros in the missing columns.
fn padded(scores: &Array2<f32>, dims: usize) -> Array2<f32> {
    let mut out = Array2::zeros((scores.nrows(), dims));
    for (j, c) in scores.columns().into_iter().enumerate().take(dims) {
        out.column_mut(j).assign(&c);
    }
    out
}

fn linear(
    x: ArrayView2<f32>,
    weights: Option<ArrayView2<f32>>,
    finite: bool,
    params: &Params,
    monitor: &dyn Monitor,
) -> Result<Embedding, Error> {
    let (n, d) = x.dim();
    let start = Instant::now();
    let data = pca::filled(x, weights, finite, params.dims, monitor)?;
    let p = pca::fit(&data, n, d, params.dims, monitor)?;
    // Fewer components than asked for (few rows or columns): the others are 0.
    let mut components = p.components.iter().copied().collect::<Vec<f32>>();
    components.resize(params.dims * d, 0.0);
    let mut map = Linear { mean: p.mean, components, typical: 1.0 };
    let (_, mut errors) = map.apply(&data, n);
    if let Some(w) = weights {
        errors = weighted_errors(&map, &data, &pca::weighted(x, w)?.1, n);
    }
    map.typical = typical(&errors, &data, &map.mean);
    let coords = padded(&p.scores, params.dims);
    let mut figures: BTreeMap<String, f64> =
        p.explained_ratio.iter().enumerate().map(|(i, r)| (format!("explained_{}", i + 1), *r)).collect();
    figures.insert("explained".into(), p.explained_ratio.iter().sum());
    let flat: Vec<f32> = coords.iter().copied().collect();
    monitor.frame(&flat, params.dims, &[("explained", p.explained_ratio.iter().sum())]);
    Ok(Embedding {
        coords,
        figures,
        seconds: BTreeMap::from([("pca".to_string(), start.elapsed().as_secs_f64())]),
        row_error: Some(errors),
        model: Model::new(Kind::Pca(map)),
        complete: true,
        graph: None,
        notes: Vec::new(),
    })
}

/// As [`Linear::apply`], each cell with its weight, so that what was filled counts nothing.
fn weighted_errors(map: &Linear, data: &[f32], weights: &[f32], n: usize) -> Vec<f32> {
    let (d, k) = (map.mean.len(), map.k());
    let back = pca::unproject(&map.apply(data, n).0, n, d, &map.mean, &map.components, k);
    let rows = data.chunks_exact(d).zip(back.chunks_exact(d)).zip(weights.chunks_exact(d));
    rows.map(|((x, b), w)| {
        let sum: f32 = w.iter().zip(x.iter().zip(b)).map(|(w, (x, b))| w * (x - b) * (x - b)).sum();
        let all: f32 = w.iter().sum();
        if all > 0.0 { (sum / all).sqrt() } else { 0.0 }
    })
    .collect()
}

/// Rows as their neighbours are looked for: filled, and with fewer columns when there are many.
struct Ready {
    /// Principal components, N × dims, where the layout starts.
    start: Vec<f32>,
    /// What led from the input to `rows`, if anything did.
    before: Option<Linear>,
    rows: Vec<f32>,
    width: usize,
}

fn ready(
    x: ArrayView2<f32>,
    weights: Option<ArrayView2<f32>>,
    finite: bool,
    params: &Params,
    monitor: &dyn Monitor,
) -> Result<Ready, Error> {
    let (n, d) = x.dim();
    let dims = params.dims;
    let data = pca::filled(x, weights, finite, 5, monitor)?;
    let reduce = params.pca_dims > 0 && d > params.pca_dims.max(dims);
    let p = pca::fit(&data, n, d, if reduce { params.pca_dims.max(dims) } else { dims }, monitor)?;
    let mut start = vec![0.0f32; n * dims];
    for (i, row) in start.chunks_exact_mut(dims).enumerate() {
        for (j, v) in row.iter_mut().enumerate().take(p.scores.ncols()) {
            *v = p.scores[[i, j]];
        }
    }
    let (before, rows, width) = if reduce {
        let width = p.components.nrows();
        let l = Linear { mean: p.mean, components: p.components.iter().copied().collect(), typical: 1.0 };
        (Some(l), p.scores.iter().copied().collect::<Vec<f32>>(), width)
    } else {
        (None, data.into_owned(), d)
    };
    Ok(Ready { start, before, rows, width })
}

/// The given graph if it serves, or a new one.
fn graph_of(r: &Ready, n: usize, k: usize, given: Option<Arc<Graph>>, monitor: &dyn Monitor) -> Result<Arc<Graph>, Error> {
    match given {
        Some(g) if g.serves(&r.rows, n, r.width, k) => Ok(g),
        _ => Ok(Arc::new(Graph::of(&r.rows, n, r.width, k, Search::Auto, monitor)?)),
    }
}

/// Median over the rows of the mean distance to the five nearest others: the measure of what is unlike them.
fn typical_distance(near: &Neighbours, n: usize) -> f32 {
    let five = near.k.min(5);
    let mut own: Vec<f32> =
        near.distances2.chunks_exact(near.k).map(|r| r[..five].iter().map(|v| v.sqrt()).sum::<f32>() / five as f32).collect();
    let typical = kernel::median(&mut own);
    let typical = if typical > 0.0 { typical } else { own.iter().sum::<f32>() / n as f32 };
    if typical > 0.0 { typical } else { 1.0 }
}

/// What the settings of a method must be like.
fn fitting(params: &Params, n: usize) -> Result<(), Error> {
    let (dims, method) = (params.dims, params.method);
    let name = match method {
        Method::Umap => "UMAP",
        Method::Pacmap => "PaCMAP",
        _ => "t-SNE",
    };
    if dims > 3 {
        return Err(Error::Shape(format!("a {name} map has 1 to 3 dimensions, not {dims}")));
    }
    if method == Method::Tsne {
        if dims == 3 && n > EXACT_3D {
            return Err(Error::Shape(format!(
                "a t-SNE map in three dimensions is limited to {EXACT_3D} rows: take two dimensions or fewer rows"
            )));
        }
        if !params.perplexity.is_finite() || params.perplexity < 1.0 {
            return Err(Error::Shape("the perplexity must be at least 1".into()));
        }
    }
    if method == Method::Umap && !(1e-4..=3.0).contains(&params.min_dist) {
        return Err(Error::Shape("the smallest distance on a UMAP map must be between 0.0001 and 3".into()));
    }
    Ok(())
}

/// Neighbours of a row in a UMAP (with itself) or PaCMAP map.
fn wanted(params: &Params) -> usize {
    match (params.neighbours, params.method) {
        (0, Method::Pacmap) => pacmap::NEIGHBOURS,
        (0, _) => 15,
        (k, _) => k.max(2),
    }
}

/// Perplexities whose mean t-SNE takes, the narrowest first.
pub(crate) fn perplexities(params: &Params, n: usize) -> Vec<f64> {
    let own = params.perplexity.min(n.saturating_sub(1) as f64 / 3.0).max(1.0);
    let wide = (n as f64 / 100.0).min(100.0);
    if params.multiscale && wide > own { vec![own, wide] } else { vec![own] }
}

/// Neighbours of each row that a map of `n` rows asks for.
pub(crate) fn neighbours_of(params: &Params, n: usize) -> usize {
    match params.method {
        Method::Umap => wanted(params) - 1,
        Method::Pacmap => wanted(params) + pacmap::EXTRA,
        _ => perplexities(params, n).last().map_or(1, |p| (3.0 * p).floor() as usize),
    }
    .min(n.saturating_sub(1))
    .max(1)
}

fn neighbour_map(
    gpu: Option<&gpu::Context>,
    x: ArrayView2<f32>,
    weights: Option<ArrayView2<f32>>,
    finite: bool,
    params: &Params,
    given: Option<Arc<Graph>>,
    from: Option<ArrayView2<f32>>,
    monitor: &dyn Monitor,
) -> Result<Embedding, Error> {
    let n = x.nrows();
    let dims = params.dims;
    fitting(params, n)?;
    let mut seconds = BTreeMap::new();
    let clock = Instant::now();
    let mut lap = {
        let mut last = 0.0f64;
        move |name: &str, seconds: &mut BTreeMap<String, f64>| {
            let now = clock.elapsed().as_secs_f64();
            seconds.insert(name.to_string(), now - last);
            last = now;
        }
    };
    let mut r = ready(x, weights, finite, params, monitor)?;
    lap("pca", &mut seconds);
    let mut start = std::mem::take(&mut r.start);
    if let Some(from) = from {
        start = from.iter().copied().collect();
    }
    // Something to look at while the neighbours are searched.
    monitor.frame(&start, dims, &[("iteration", 0.0)]);
    let mut figures = BTreeMap::new();
    let mut complete = true;
    let mut graph = None;
    let mut notes = Vec::new();
    let wanted = wanted(params);
    let curve = Curve::fit(params.min_dist, params.min_dist.max(1.0));
    let (coords, typical) = if n < 3 {
        // One row or two: nothing to arrange.
        (start, 1.0)
    } else {
        let k = neighbours_of(params, n);
        let mut g = graph_of(&r, n, k, given, monitor)?;
        lap("neighbours", &mut seconds);
        figures.insert("recall_of_search".into(), g.recall());
        let own;
        let near = if g.k() == k {
            g.neighbours()
        } else {
            own = g.first(k);
            &own
        };
        let coords = match params.method {
            Method::Umap => {
                let epochs = if params.epochs == 0 { umap::epochs(n) } else { params.epochs };
                let fuzzy = umap::fuzzy(near, n, epochs, monitor)?;
                lap("affinities", &mut seconds);
                if params.start == Start::Spectral {
                    start = umap::spectral(&fuzzy, n, dims, params.seed, monitor)?;
                    lap("spectral", &mut seconds);
                }
                let plan = umap::Plan { curve, epochs, seed: params.seed };
                let layout = umap::run(&fuzzy, &start, n, dims, &plan, monitor);
                figures.insert("epochs".into(), layout.epochs as f64);
                figures.insert("edges".into(), (fuzzy.ids.len() / 2) as f64);
                complete = layout.complete;
                layout.coords
            }
            Method::Pacmap => {
                let pairs = pacmap::pairs(near, &r.rows, n, r.width, wanted, params.seed, monitor)?;
                lap("pairs", &mut seconds);
                let (low, high) = r.rows.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
                let layout = pacmap::run(&pairs, &start, n, dims, high - low, params.seed, monitor);
                figures.insert("iterations".into(), layout.iterations as f64);
                complete = layout.complete;
                layout.coords
            }
            _ => {
                let fed = Fed {
                    gpu,
                    rows: std::mem::take(&mut r.rows),
                    width: r.width,
                    before: r.before.as_ref(),
                    graph: g.clone(),
                    params,
                    go_on: from.is_some(),
                };
                let made = feed::run(fed, start, &mut notes, monitor)?;
                let layout = made.layout;
                (r.rows, g) = (made.rows, made.graph);
                seconds.insert("affinities".into(), made.affinities);
                figures.insert("kl".into(), layout.kl);
                figures.insert("iterations".into(), layout.iterations as f64);
                figures.insert("perplexity".into(), made.perplexity);
                if made.joined > 0 {
                    figures.insert("joined".into(), made.joined as f64);
                }
                complete = layout.complete;
                layout.coords
            }
        };
        lap("layout", &mut seconds);
        if params.method == Method::Tsne {
            let before = seconds.get("affinities").copied().unwrap_or_default();
            seconds.entry("layout".into()).and_modify(|s| *s -= before);
        }
        let typical = typical_distance(g.neighbours(), g.rows());
        graph = Some(g);
        (coords, typical)
    };
    let reference = Reference { before: r.before, width: r.width, rows: r.rows, dims, coords: coords.clone(), typical };
    let kind = match params.method {
        Method::Umap => Kind::Umap { reference, curve, neighbours: wanted },
        Method::Pacmap => Kind::Pacmap { reference, neighbours: wanted },
        _ => Kind::Tsne(reference),
    };
    Ok(Embedding {
        coords: Array2::from_shape_vec((coords.len() / dims, dims), coords).map_err(|e| Error::Shape(e.to_string()))?,
        figures,
        seconds,
        row_error: None,
        model: Model::new(kind),
        complete,
        graph,
        notes,
    })
}

fn learned(
    gpu: Option<&gpu::Context>,
    x: ArrayView2<f32>,
    weights: Option<ArrayView2<f32>>,
    params: &Params,
    monitor: &dyn Monitor,
) -> Result<Embedding, Error> {
    let (n, d) = x.dim();
    if params.layers.contains(&0) {
        return Err(Error::Shape("a hidden layer needs at least one number".into()));
    }
    if !(0.0..=1e6).contains(&params.beta) || !(0.0..=1.0).contains(&params.rate) {
        return Err(Error::Shape("beta must be 0 or more, and the learning rate between 0 and 1".into()));
    }
    let start = Instant::now();
    let (data, w) = match weights {
        None => (kernel::checked(x)?, None),
        Some(w) => {
            let (data, w) = pca::weighted(x, w)?;
            (data, Some(w))
        }
    };
    kernel::check_memory((n * d * 16) as u64)?;
    let plan = Plan {
        hidden: &params.layers,
        latent: params.dims,
        epochs: params.epochs,
        batch: params.batch,
        rate: params.rate,
        variational: params.variational.then_some(params.beta),
        seed: params.seed,
    };
    let trained = train(gpu, data, w.as_deref(), d, &plan, monitor);
    let (net, coords, errors) = (trained.net, trained.coords, trained.errors);
    let typical = kernel::median(&mut errors.clone()).max(1e-3 * net.scale).max(f32::MIN_POSITIVE);
    let mut figures = BTreeMap::from([
        ("loss".to_string(), trained.loss),
        ("held_out".to_string(), trained.held_out),
        ("epochs".to_string(), trained.epochs as f64),
        ("weights".to_string(), net.parameters() as f64),
    ]);
    if params.variational {
        figures.insert("information".into(), trained.information);
    }
    monitor.frame(&coords, params.dims, &[("loss", trained.loss), ("held_out", trained.held_out)]);
    Ok(Embedding {
        coords: Array2::from_shape_vec((n, params.dims), coords).map_err(|e| Error::Shape(e.to_string()))?,
        figures,
        seconds: BTreeMap::from([("training".to_string(), start.elapsed().as_secs_f64())]),
        row_error: Some(errors).filter(|e| e.len() == n),
        model: Model::new(Kind::Autoencoder { net, typical }),
        complete: trained.complete,
        graph: None,
        notes: trained.notes,
    })
}
