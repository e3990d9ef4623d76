//! Groups of any shape and number: HDBSCAN (Campello, Moulavi & Sander 2013; McInnes & Healy 2017).
//!
//! The distance of two rows is the largest of their own and of both rows' core distances, those to the `min_samples`-th
//! neighbour (the row itself counts, as in scikit-learn). The minimum spanning tree under it is found by Borůvka's
//! rounds: every row offers the nearest row of another group from its neighbour list; where the list cannot tell, a k-d
//! tree is asked, which leaves out boxes that lie in the row's own group or are farther than what the group has already
//! got (March, Ram & Gray 2010, with one tree instead of two). The tree is cut by the functions of the `hdbscan-rs` crate, so that labels are those of
//! scikit-learn. Its own spanning tree is not used: it cannot be stopped and depends on the number of threads where
//! distances tie. The spanning tree is kept in [`Density`]: another smallest size only cuts again.
//!
//! In more than some 15 columns the tree search degrades towards N² and densities mean little: reduce the columns first.
//! Cost: the neighbour graph, then a few searches per row and round in log N rounds; 40 bytes per row beside the graph.

use crate::kdtree::Tree;
use crate::kernel::{self, CHUNK, distance2};
use crate::level;
use crate::monitor::{Monitor, step};
use crate::neighbours::{Graph, Search, among};
use crate::{Error, Progress};
use hdbscan_rs::cluster_selection::select_clusters;
use hdbscan_rs::condensed_tree::build_condensed_tree;
use hdbscan_rs::labels::assign_labels;
use hdbscan_rs::linkage::mst_to_single_linkage;
use hdbscan_rs::membership::compute_probabilities;
use hdbscan_rs::{ClusterSelectionMethod, MstEdge, SingleLinkageMerge};
use ndarray::ArrayView2;
use rayon::prelude::*;
use std::collections::HashSet;

/// Groups of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Clusters {
    /// Group of each row, from 0; −1 = in none.
    pub labels: Vec<i32>,
    /// How firmly each row belongs to its group, 0..1.
    pub probabilities: Vec<f32>,
}

/// Groups of at least `min_cluster_size` rows; `min_samples` (larger = more rows left out) is usually the same or less.
/// Values out of range are moved into it (2..N, 1..N).
///
/// # Errors
/// No cells, cells that are not finite, or stopped.
pub fn hdbscan(
    x: ArrayView2<f32>,
    min_cluster_size: usize,
    min_samples: usize,
    monitor: &dyn Monitor,
) -> Result<Clusters, Error> {
    Ok(Density::new(x, min_samples, None, monitor)?.cut(min_cluster_size, Selection::Mass).clusters)
}

/// Which groups of the tree are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Selection {
    /// Those that last longest, weighted by their rows ("excess of mass"): few, of any size.
    #[default]
    Mass,
    /// The tips of the tree: many, small and even.
    Leaves,
}

/// How rows hang together at every density: computed once, cut as often as wanted.
pub struct Density {
    rows: Vec<f32>,
    columns: usize,
    /// What rows are divided by, a power of two.
    power: i32,
    min_samples: usize,
    /// Squared core distance of each row.
    core2: Vec<f32>,
    merges: Vec<SingleLinkageMerge>,
}

/// Groups at one smallest size, with what it takes to put new rows into them.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// The groups.
    pub clusters: Clusters,
    /// How long each group lasts while the density rises; larger = clearer.
    pub persistence: Vec<f64>,
    /// Inverse distance at which each group appears, and the largest one inside it.
    birth: Vec<f64>,
    most: Vec<f64>,
}

impl Density {
    /// How the rows of `x` (N × d) hang together, with core distances to the `min_samples`-th row (moved into 1..N). A
    /// graph of the same rows with at least that many neighbours saves the search for them.
    ///
    /// # Errors
    /// No cells, cells that are not finite, more memory than there is, or stopped.
    pub fn new(x: ArrayView2<f32>, min_samples: usize, graph: Option<&Graph>, monitor: &dyn Monitor) -> Result<Self, Error> {
        let (rows, power) = kernel::levelled(x)?;
        let (n, d) = x.dim();
        step(monitor, "clusters", 0, 20)?;
        let min_samples = min_samples.clamp(1, n);
        if n < 3 {
            return Ok(Self { rows, columns: d, power, min_samples, core2: vec![0.0; n], merges: Vec::new() });
        }
        let k = (min_samples - 1).max(16).min(n - 1);
        let own;
        let graph = match graph {
            Some(g) if g.serves(&rows, n, d, k) => g,
            _ => {
                own = Graph::of(&rows, n, d, k, Search::Auto, monitor)?;
                &own
            }
        };
        let core2: Vec<f32> = (0..n).map(|i| if min_samples < 2 { 0.0 } else { graph.of_row(i).1[min_samples - 2] }).collect();
        let edges = spanning_tree(&rows, n, d, graph, &core2, monitor)?;
        let merges = mst_to_single_linkage(&edges, n);
        monitor.progress(Progress { stage: "clusters", done: 20, of: 20 });
        Ok(Self { rows, columns: d, power, min_samples, core2, merges })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.core2.len()
    }

    /// Distance of each row to its `min_samples`-th neighbour: the inverse of its density, in the units of the input.
    pub fn core_distances(&self) -> Vec<f32> {
        self.core2.iter().map(|v| (f64::from(v.sqrt()) * level::unit(self.power)) as f32).collect()
    }

    /// Length of the spanning tree, in the units of the input.
    pub fn length(&self) -> f64 {
        self.merges.iter().map(|m| m.distance).sum::<f64>() * level::unit(self.power)
    }

    /// Groups of at least `min_cluster_size` rows (moved into 2..N). Quick: nothing is searched again.
    pub fn cut(&self, min_cluster_size: usize, how: Selection) -> Cut {
        let n = self.rows();
        if n < 3 {
            let clusters = Clusters { labels: vec![-1; n], probabilities: vec![0.0; n] };
            return Cut { clusters, persistence: Vec::new(), birth: Vec::new(), most: Vec::new() };
        }
        let tree = build_condensed_tree(&self.merges, n, min_cluster_size.clamp(2, n));
        let how = match how {
            Selection::Mass => ClusterSelectionMethod::Eom,
            Selection::Leaves => ClusterSelectionMethod::Leaf,
        };
        let chosen = select_clusters(&tree, n, how, 0.0, false);
        let labels = assign_labels(&tree, &chosen.selected_clusters, n, false, 0.0);
        let probabilities = compute_probabilities(&tree, &chosen.selected_clusters, &labels, n);
        let mut names: Vec<usize> = chosen.selected_clusters.iter().copied().collect::<HashSet<_>>().into_iter().collect();
        names.sort_unstable();
        let name = |c: usize| names.binary_search(&c).ok();
        let (mut birth, mut most) = (vec![0.0f64; names.len()], vec![0.0f64; names.len()]);
        for e in &tree {
            if let Some(g) = name(e.child) {
                birth[g] = e.lambda_val;
            }
            if e.child < n && labels[e.child] >= 0 && e.lambda_val.is_finite() {
                let g = labels[e.child] as usize;
                most[g] = most[g].max(e.lambda_val);
            }
        }
        let clusters = Clusters { labels, probabilities: probabilities.iter().map(|p| *p as f32).collect() };
        Cut { clusters, persistence: chosen.cluster_persistence, birth, most }
    }

    /// The groups of a cut that new rows (m × d) fall into: that of the nearest fitted row, unless the new row is as far
    /// from it as rows were when the group did not exist yet. Nothing is fitted again.
    ///
    /// # Errors
    /// No cells, cells that are not finite, another number of columns, a cut of another tree, or stopped.
    pub fn predict(&self, cut: &Cut, x: ArrayView2<f32>, monitor: &dyn Monitor) -> Result<Clusters, Error> {
        let mut data = kernel::checked(x)?;
        level::divide(&mut data, self.power);
        let (m, d) = x.dim();
        let n = self.rows();
        if d != self.columns || cut.clusters.labels.len() != n {
            return Err(Error::Shape(format!("the groups are of {n} rows of {} columns, the new rows have {d}", self.columns)));
        }
        let k = (2 * self.min_samples).max(2).min(n);
        let near = among(&data, m, &self.rows, n, d, k, monitor)?;
        let (mut labels, mut probabilities) = (vec![-1i32; m], vec![0.0f32; m]);
        for i in 0..m {
            let (ids, d2) = (&near.ids[i * near.k..(i + 1) * near.k], &near.distances2[i * near.k..(i + 1) * near.k]);
            // The new row counts as its own first neighbour.
            let core = if self.min_samples < 2 { 0.0 } else { d2[(self.min_samples - 2).min(near.k - 1)] };
            let reach = |p: usize| d2[p].max(core).max(self.core2[ids[p] as usize]);
            let best = (0..near.k).fold(0, |b, p| if reach(p) < reach(b) { p } else { b });
            let label = cut.clusters.labels[ids[best] as usize];
            let Ok(g) = usize::try_from(label) else { continue };
            let (Some(birth), Some(most)) = (cut.birth.get(g), cut.most.get(g)) else { continue };
            let lambda = 1.0 / f64::from(reach(best).sqrt()).max(1e-30);
            if lambda >= *birth {
                labels[i] = label;
                let range = most - birth;
                probabilities[i] = if range > 0.0 { ((lambda - birth) / range).clamp(0.0, 1.0) as f32 } else { 1.0 };
            }
        }
        Ok(Clusters { labels, probabilities })
    }
}

/// Joined sets of rows.
struct Sets(Vec<u32>);

impl Sets {
    fn root(&mut self, mut i: u32) -> u32 {
        while self.0[i as usize] != i {
            self.0[i as usize] = self.0[self.0[i as usize] as usize];
            i = self.0[i as usize];
        }
        i
    }
}

/// The shortest way out of a group: squared length and both ends; shorter ones are smaller, then lower row numbers.
type Exit = (f32, u32, u32);

fn shorter(a: Exit, b: Exit) -> bool {
    a.0.total_cmp(&b.0).then((a.1.min(a.2), a.1.max(a.2)).cmp(&(b.1.min(b.2), b.1.max(b.2)))).is_lt()
}

fn spanning_tree(
    x: &[f32],
    n: usize,
    d: usize,
    graph: &Graph,
    core2: &[f32],
    monitor: &dyn Monitor,
) -> Result<Vec<MstEdge>, Error> {
    const NONE: Exit = (f32::INFINITY, u32::MAX, u32::MAX);
    let tree = Tree::new(x, n, d);
    let cores = tree.smallest(core2);
    let mut sets = Sets((0..n as u32).collect());
    let mut edges = Vec::with_capacity(n - 1);
    let mut round = 0;
    while edges.len() + 1 < n {
        step(monitor, "clusters", (1 + round).min(19), 20)?;
        round += 1;
        let group: Vec<u32> = (0..n as u32).map(|i| sets.root(i)).collect();
        // What the lists say: the best way out, and the least that any way out they do not hold must cost.
        let listed: Vec<(Exit, f32)> = (0..n)
            .into_par_iter()
            .with_min_len(CHUNK)
            .map(|i| {
                let (ids, d2) = graph.of_row(i);
                let mut best = NONE;
                for (j, d2) in ids.iter().zip(d2) {
                    if d2.max(core2[i]) > best.0 {
                        break;
                    }
                    if group[*j as usize] != group[i] {
                        let e = (d2.max(core2[i]).max(core2[*j as usize]), i as u32, *j);
                        if shorter(e, best) {
                            best = e;
                        }
                    }
                }
                (best, d2.last().copied().unwrap_or(0.0).max(core2[i]))
            })
            .collect();
        let mut exits = vec![NONE; n];
        for (i, (e, _)) in listed.iter().enumerate() {
            let g = group[i] as usize;
            if shorter(*e, exits[g]) {
                exits[g] = *e;
            }
        }
        // Rows whose lists cannot rule out a shorter way, in waves: each knows what the waves before it found.
        let whole = tree.owners(&group);
        let unsure: Vec<u32> =
            tree.order().iter().copied().filter(|i| listed[*i as usize].1 < exits[group[*i as usize] as usize].0).collect();
        for wave in unsure.chunks(2048) {
            if monitor.stop() {
                return Err(Error::Cancelled);
            }
            let found: Vec<Exit> = wave
                .par_iter()
                .with_min_len(32)
                .map(|i| {
                    let g = group[*i as usize];
                    let limit = exits[g as usize].0;
                    if listed[*i as usize].1 >= limit {
                        return NONE;
                    }
                    let me = &x[*i as usize * d..(*i as usize + 1) * d];
                    let mut best = (limit, u32::MAX, u32::MAX);
                    tree.way_out(
                        me,
                        core2[*i as usize],
                        g,
                        &whole,
                        &cores,
                        &mut |j, limit| {
                            if group[j as usize] != g {
                                let e = (
                                    distance2(me, &x[j as usize * d..(j as usize + 1) * d])
                                        .max(core2[*i as usize])
                                        .max(core2[j as usize]),
                                    *i,
                                    j,
                                );
                                if e.0 < best.0 {
                                    best = e;
                                }
                            }
                            *limit = best.0;
                        },
                        limit,
                    );
                    if best.1 == u32::MAX { NONE } else { best }
                })
                .collect();
            for (i, e) in wave.iter().zip(found) {
                let g = group[*i as usize] as usize;
                if shorter(e, exits[g]) {
                    exits[g] = e;
                }
            }
        }
        let before = edges.len();
        for (w, a, b) in exits.into_iter().filter(|e| e.1 != u32::MAX) {
            let (ra, rb) = (sets.root(a), sets.root(b));
            if ra != rb {
                sets.0[ra.max(rb) as usize] = ra.min(rb);
                edges.push(MstEdge { u: a as usize, v: b as usize, weight: f64::from(w).sqrt() });
            }
        }
        if edges.len() == before {
            return Err(Error::Shape(
                "the rows could not be joined: some distances are too large, scale the columns first".into(),
            ));
        }
    }
    Ok(edges)
}
