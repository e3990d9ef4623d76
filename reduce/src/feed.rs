//! The layout of a t-SNE map whose rows may still be arriving.
//!
//! Between two iterations the monitor is asked for rows ([`Monitor::arrived`]). When there are some, the layout is halted as it
//! stands, with each row's velocity and gains; the neighbour graph is extended ([`Graph`]), the probabilities of those old
//! rows whose neighbours changed and of the new ones are computed, new rows are put at the weighted median of their nearest
//! old rows' places, at rest, and the descent goes on with all of them, for [`AFTER`] more iterations at least. Nothing
//! is drawn but a jitter from the seed, so the same rows at the same iterations give the same map to the last bit.
//!
//! Rows that cannot be taken in (columns, cells that are not finite, memory) end it: they and later ones are told in the notes.
//! What stays as it was fitted on the first rows: principal components, where they are taken first. Not taken: starting again
//! from scratch (a person loses the map that they look at), and placing later rows on a frozen map ([`crate::Placer`] does that
//! for finished ones), where they can neither push the others aside nor form a group of their own.
//! Cost of m rows that join n: 4·n·m·d flops for the graph or, where that is more than a new search would be, that search;
//! one pass over the probabilities. Sources: van der Maaten & Hinton 2008; the weighted median is openTSNE's.

use crate::affinity::{Joint, calibrate, conditional, joined};
use crate::embed::{Params, neighbours_of, perplexities};
use crate::kernel::{self, CHUNK, Rng};
use crate::memory::fits;
use crate::model::Linear;
use crate::monitor::Monitor;
use crate::placer::{NEAR, PERPLEXITY, weighted_median};
use crate::tsne::{self, Moves, Schedule};
use crate::{Error, Graph, Neighbours, Progress, cells, gpu};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::{Arc, Mutex};

/// Iterations that rows which joined have at least.
const AFTER: usize = 250;
/// Share of new rows from which the early phase is repeated, for twice that share of [`DRAWN`] iterations: without it groups that
/// old and new rows share stay torn (figures in docs/methods.md).
const MANY: f64 = 0.1;
const DRAWN: usize = 150;
/// Iterations after that.
const AFTER_MANY: usize = 400;
/// Rows from which t-SNE lays them out in the order of cells, so that neighbours' places are in cache together.
const TURN: usize = 20_000;

/// Numbers of rows (`dims` each) that stand in `order`, in the rows' own order.
fn back(order: &[u32], values: &[f32], dims: usize) -> Vec<f32> {
    let mut out = vec![0.0f32; values.len()];
    for (i, c) in order.iter().zip(values.chunks_exact(dims)) {
        out[*i as usize * dims..(*i as usize + 1) * dims].copy_from_slice(c);
    }
    out
}

/// The other way round.
fn turn(order: Option<&[u32]>, values: &[f32], dims: usize) -> Vec<f32> {
    match order {
        None => values.to_vec(),
        Some(order) => order.iter().flat_map(|i| &values[*i as usize * dims..][..dims]).copied().collect(),
    }
}

/// Passes frames on in the old order of the rows.
struct Back<'a> {
    order: &'a [u32],
    monitor: &'a dyn Monitor,
}

impl Monitor for Back<'_> {
    fn progress(&self, p: Progress) {
        self.monitor.progress(p);
    }
    fn frame(&self, coords: &[f32], dims: usize, figures: &[(&'static str, f64)]) {
        self.monitor.frame(&back(self.order, coords, dims), dims, figures);
    }
    fn watches(&self) -> bool {
        self.monitor.watches()
    }
    fn stop(&self) -> bool {
        self.monitor.stop()
    }
}

/// Halts the layout when rows arrive, and keeps them.
struct Listening<'a> {
    monitor: &'a dyn Monitor,
    /// Nothing was refused yet: what comes after refused rows is not taken in either, so that rows keep their order.
    open: bool,
    rows: Mutex<Option<Array2<f32>>>,
}

impl Monitor for Listening<'_> {
    fn progress(&self, p: Progress) {
        self.monitor.progress(p);
    }
    fn frame(&self, coords: &[f32], dims: usize, figures: &[(&'static str, f64)]) {
        self.monitor.frame(coords, dims, figures);
    }
    fn on_device(&self, places: &gpu::Places) {
        self.monitor.on_device(places);
    }
    fn off_device(&self) {
        self.monitor.off_device();
    }
    fn watches(&self) -> bool {
        self.monitor.watches()
    }
    fn stop(&self) -> bool {
        if self.monitor.stop() {
            return true;
        }
        if !self.open {
            return false;
        }
        let Some(rows) = self.monitor.arrived().filter(|rows| rows.nrows() > 0) else { return false };
        if let Ok(mut slot) = self.rows.lock() {
            *slot = Some(rows);
        }
        true
    }
}

/// The layout of t-SNE, on the device if there is one, in the rows' own order; the matrix is in `order`.
fn lay_out(
    gpu: Option<&gpu::Context>,
    joint: &Joint,
    start: &[f32],
    n: usize,
    dims: usize,
    order: Option<&[u32]>,
    mut schedule: Schedule,
    notes: &mut Vec<String>,
    monitor: &dyn Monitor,
) -> tsne::Layout {
    let in_order = |moves: &Moves| Moves { update: turn(order, &moves.update, dims), gains: turn(order, &moves.gains, dims) };
    schedule.moves = schedule.moves.as_ref().map(in_order);
    let mut places = turn(order, start, dims);
    let mut answer = None;
    if let Some(context) = gpu {
        match gpu::run(context, joint, &places, order, &schedule, monitor) {
            gpu::Outcome::Done(layout) => {
                notes.push(format!("laid out on {} ({})", context.info.name, context.info.backend));
                answer = Some(layout);
            }
            gpu::Outcome::Failed(why, last, done) => {
                notes.push(format!("{} failed after {done} iterations and the processor went on: {why}", context.info.name));
                if done > 0 {
                    places = turn(order, last.as_flattened(), dims);
                    (schedule.done, schedule.moves) = (done, None);
                }
            }
        }
    }
    let on_device = answer.is_some();
    let mut layout = match (answer, order) {
        (Some(layout), _) => layout,
        (None, None) => tsne::run(joint, &places, n, dims, &schedule, monitor),
        (None, Some(order)) => tsne::run(joint, &places, n, dims, &schedule, &Back { order, monitor }),
    };
    if let Some(order) = order {
        if !on_device {
            layout.coords = back(order, &layout.coords, dims);
        }
        if let Some(moves) = &mut layout.moves {
            *moves = Moves { update: back(order, &moves.update, dims), gains: back(order, &moves.gains, dims) };
        }
    }
    layout
}

/// A map to be laid out: what is known of its rows.
pub(crate) struct Fed<'a> {
    pub gpu: Option<&'a gpu::Context>,
    /// N × width, as neighbours are looked for; rows that join are put behind them.
    pub rows: Vec<f32>,
    pub width: usize,
    /// What leads from the input's columns to these.
    pub before: Option<&'a Linear>,
    pub graph: Arc<Graph>,
    pub params: &'a Params,
    /// The start is a map that goes on.
    pub go_on: bool,
}

/// What became of it.
pub(crate) struct Made {
    pub layout: tsne::Layout,
    pub rows: Vec<f32>,
    pub graph: Arc<Graph>,
    /// Rows that joined.
    pub joined: usize,
    /// Seconds until the first iteration.
    pub affinities: f64,
    pub perplexity: f64,
}

/// Lays out a map from `start` (N × dims), taking in rows that arrive.
///
/// # Errors
/// More memory than there is, or stopped before the first iteration.
pub(crate) fn run(mut fed: Fed, mut start: Vec<f32>, notes: &mut Vec<String>, monitor: &dyn Monitor) -> Result<Made, Error> {
    let (params, width, dims) = (fed.params, fed.width, fed.params.dims);
    let first = fed.rows.len() / width;
    let clock = std::time::Instant::now();
    let mut affinities = None;
    let mut schedule = Schedule {
        iterations: params.iterations,
        settle: params.settle,
        momentum: params.momentum,
        exaggeration: params.exaggeration,
        seed: params.seed,
        spacing: 0.0,
        go_on: fed.go_on,
        done: 0,
        early: None,
        moves: None,
    };
    // Kept from one arrival to the next; `None` until rows can arrive at all, since it takes 4·N·k bytes.
    let mut cond: Option<Vec<f32>> = None;
    let mut changed: Option<Vec<bool>> = None;
    let mut open = true;
    loop {
        let n = fed.rows.len() / width;
        let (k, all) = (neighbours_of(params, n), perplexities(params, n));
        let near = first_of(&fed.graph, k);
        let order = if n >= TURN { Some(cells::order(&fed.rows, n, width, monitor)?) } else { None };
        let probabilities = conditional(&near, n, &all, cond.take(), changed.as_deref(), monitor)?;
        let joint = joined(&near, &probabilities, n, order.as_deref());
        cond = monitor.feeds().then_some(probabilities);
        let _ = affinities.get_or_insert(clock.elapsed().as_secs_f64());
        let fit = fed.gpu.filter(|gpu| match if dims == 2 { gpu.usable(n, k) } else { Err(format!("{dims} dimensions")) } {
            Ok(()) => true,
            Err(why) => {
                notes.push(format!("laid out on the processor: {why}"));
                false
            }
        });
        let pace = schedule.pace(n);
        let (until, early) = (pace.iterations, pace.early);
        let listening = Listening { monitor, open, rows: Mutex::new(None) };
        let layout = lay_out(fit, &joint, &start, n, dims, order.as_deref(), schedule.clone(), notes, &listening);
        let arrived = listening.rows.into_inner().unwrap_or_default();
        let Some(x) = arrived.filter(|_| !layout.complete) else {
            let affinities = affinities.unwrap_or_default();
            let joined = n - first;
            return Ok(Made { layout, rows: fed.rows, graph: fed.graph, joined, affinities, perplexity: all[0] });
        };
        drop(joint);
        notes.clear();
        // Where it stands; with the rows that came, if they can be taken in.
        (start, changed) = (layout.coords, Some(vec![false; n]));
        schedule.iterations = until;
        (schedule.done, schedule.early, schedule.moves) = (layout.iterations, Some(early), layout.moves);
        match rows_of(x.view(), fed.before, width, n, params) {
            Err(why) => {
                open = false;
                notes.push(format!("{} rows that arrived were not taken in: {why}", x.nrows()));
            }
            Ok(new) => {
                fed.rows.extend_from_slice(&new);
                let k = neighbours_of(params, n + x.nrows());
                let grown = fed.graph.extended(&fed.rows, n, width, k, monitor)?;
                place(&mut start, dims, &grown.to_old, params.seed);
                if let Some(moves) = &mut schedule.moves {
                    moves.update.resize(start.len(), 0.0);
                    moves.gains.resize(start.len(), 1.0);
                }
                let share = x.nrows() as f64 / (n + x.nrows()) as f64;
                let many = share >= MANY && layout.iterations >= early;
                let drawn = if many { DRAWN.min((share * 2.0 * DRAWN as f64) as usize) } else { 0 };
                if many {
                    schedule.early = Some(layout.iterations + drawn);
                }
                schedule.iterations = until.max(layout.iterations + drawn + if many { AFTER_MANY } else { AFTER });
                fed.graph = Arc::new(grown.graph);
                changed = grown.changed;
            }
        }
    }
}

/// Only the `k` nearest of every row.
fn first_of(graph: &Graph, k: usize) -> Cow<'_, Neighbours> {
    if graph.k() == k { Cow::Borrowed(graph.neighbours()) } else { Cow::Owned(graph.first(k)) }
}

/// Rows that arrived as neighbours are looked for.
fn rows_of(x: ArrayView2<f32>, before: Option<&Linear>, width: usize, n: usize, params: &Params) -> Result<Vec<f32>, Error> {
    let data = kernel::checked(x)?;
    let columns = before.map_or(width, |l| l.mean.len());
    if x.ncols() != columns {
        return Err(Error::Shape(format!("they have {} columns, the others {columns}", x.ncols())));
    }
    fits(n + x.nrows(), columns, params, 0)?;
    Ok(match before {
        None => data,
        Some(l) => crate::pca::project(&data, x.nrows(), l.mean.len(), &l.mean, &l.components, l.k()),
    })
}

/// Puts new rows behind the places of the old ones, each at the weighted median of its nearest old rows' places, with a jitter
/// of a thousandth of the map against duplicates.
fn place(places: &mut Vec<f32>, dims: usize, to_old: &Neighbours, seed: u64) {
    let n = places.len() / dims;
    let mean = kernel::column_means(places, n, dims);
    let var: f64 = places.chunks_exact(dims).map(|r| (f64::from(r[0]) - mean[0]).powi(2)).sum::<f64>() / n as f64;
    let jitter = 1e-3 * var.sqrt();
    let (k, near) = (to_old.k, to_old.k.min(NEAR));
    let m = to_old.ids.len() / k.max(1);
    let mut new = vec![0.0f32; m * dims];
    new.par_chunks_mut(CHUNK * dims).enumerate().for_each(|(c, chunk)| {
        let mut p = vec![0.0f32; near];
        for (r, out) in chunk.chunks_exact_mut(dims).enumerate() {
            let i = c * CHUNK + r;
            let (ids, d2) = (&to_old.ids[i * k..][..near], &to_old.distances2[i * k..][..near]);
            calibrate(d2, PERPLEXITY.min(near as f64 / 3.0), &mut p);
            let mut rng = Rng::new(seed ^ 0xfeed, (n + i) as u64);
            for (a, v) in out.iter_mut().enumerate() {
                *v = weighted_median(near, |j| (places[ids[j] as usize * dims + a], p[j])) + (rng.normal() * jitter) as f32;
            }
        }
    });
    places.extend_from_slice(&new);
}
