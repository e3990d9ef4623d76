//! Exact nearest neighbours in few dimensions by a bucketed k-d tree (Friedman, Bentley & Finkel 1977).
//!
//! The rows are halved by number along their widest direction until 32 are left, so equal values cannot unbalance the
//! tree and its depth is at most log₂(N / 32). A query descends to the nearer half first and leaves out every half
//! whose distance, kept up to date one coordinate at a time (Arya & Mount 1993), is not below that of the k-th best.
//! Ties at that distance are not looked for, so that many copies of a row cost no more than any others.
//!
//! A blocked product over all pairs wins from some six columns on, where hardly any half can be left out.
//! Cost: N log N to build, about 2^d · (k + 32) · log N operations per row; 4·d + 4 bytes per row.

use crate::Error;
use crate::monitor::{Monitor, step};
use crate::neighbours::Neighbours;
use rayon::prelude::*;

const LEAF: usize = 32;
/// Rows between two looks at the monitor.
const WAVE: usize = 32_768;

struct Node {
    dim: u32,
    /// Largest value of the lower half and smallest of the upper one, along `dim`.
    low: f32,
    high: f32,
    /// Children, or 0 for a leaf.
    left: u32,
    right: u32,
    start: u32,
    end: u32,
}

/// A tree over the rows of a matrix.
pub(crate) struct Tree {
    d: usize,
    nodes: Vec<Node>,
    /// Row numbers in leaf order and the rows in that order.
    order: Vec<u32>,
    points: Vec<f32>,
}

/// The best rows so far: a binary heap with the worst on top, and the row that does not count.
struct Best {
    k: usize,
    skip: u32,
    heap: Vec<(f32, u32)>,
}

impl Best {
    fn limit(&self) -> f32 {
        if self.heap.len() < self.k { f32::INFINITY } else { self.heap[0].0 }
    }

    fn offer(&mut self, d2: f32, id: u32) {
        let worse = |a: &(f32, u32), b: &(f32, u32)| a.0 > b.0 || (a.0 == b.0 && a.1 > b.1);
        if id == self.skip {
            return;
        }
        let h = &mut self.heap;
        if h.len() < self.k {
            h.push((d2, id));
            let mut i = h.len() - 1;
            while i > 0 && worse(&h[i], &h[(i - 1) / 2]) {
                h.swap(i, (i - 1) / 2);
                i = (i - 1) / 2;
            }
        } else if worse(&h[0], &(d2, id)) {
            h[0] = (d2, id);
            let mut i = 0;
            loop {
                let mut big = i;
                for c in [2 * i + 1, 2 * i + 2] {
                    if c < h.len() && worse(&h[c], &h[big]) {
                        big = c;
                    }
                }
                if big == i {
                    break;
                }
                h.swap(i, big);
                i = big;
            }
        }
    }
}

impl Tree {
    /// A tree over `n` rows of `d` finite numbers.
    pub fn new(x: &[f32], n: usize, d: usize) -> Self {
        let mut order: Vec<u32> = (0..n as u32).collect();
        let mut nodes = Vec::with_capacity(2 * n / LEAF + 4);
        nodes.push(Node { dim: 0, low: 0.0, high: 0.0, left: 0, right: 0, start: 0, end: n as u32 });
        let mut todo = vec![0usize];
        while let Some(at) = todo.pop() {
            let (start, end) = (nodes[at].start as usize, nodes[at].end as usize);
            if end - start <= LEAF {
                continue;
            }
            let part = &mut order[start..end];
            let mut widest = (0usize, f32::NEG_INFINITY);
            for a in 0..d {
                let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
                for i in part.iter() {
                    let v = x[*i as usize * d + a];
                    low = low.min(v);
                    high = high.max(v);
                }
                if high - low > widest.1 {
                    widest = (a, high - low);
                }
            }
            let dim = widest.0;
            let half = part.len() / 2;
            let value = |i: &u32| x[*i as usize * d + dim];
            part.select_nth_unstable_by(half, |a, b| value(a).total_cmp(&value(b)).then(a.cmp(b)));
            let low = part[..half].iter().map(value).fold(f32::NEG_INFINITY, f32::max);
            let high = value(&part[half]);
            let left = nodes.len();
            let middle = (start + half) as u32;
            nodes.push(Node { dim: 0, low: 0.0, high: 0.0, left: 0, right: 0, start: start as u32, end: middle });
            nodes.push(Node { dim: 0, low: 0.0, high: 0.0, left: 0, right: 0, start: middle, end: end as u32 });
            let node = &mut nodes[at];
            (node.dim, node.low, node.high, node.left, node.right) = (dim as u32, low, high, left as u32, left as u32 + 1);
            todo.extend([left, left + 1]);
        }
        // Leaves keep their rows in row order, so that nothing depends on how the selection moved them.
        for node in nodes.iter().filter(|n| n.left == 0) {
            order[node.start as usize..node.end as usize].sort_unstable();
        }
        let points = order.iter().flat_map(|i| x[*i as usize * d..(*i as usize + 1) * d].iter().copied()).collect();
        Self { d, nodes, order, points }
    }

    fn visit(&self, at: usize, q: &[f32], off: &mut [f32], off2: f32, best: &mut Best) {
        let node = &self.nodes[at];
        if node.left == 0 {
            let (start, end) = (node.start as usize, node.end as usize);
            for (p, id) in self.points[start * self.d..end * self.d].chunks_exact(self.d).zip(&self.order[start..end]) {
                let d2: f32 = p.iter().zip(q).map(|(a, b)| (a - b) * (a - b)).sum();
                if d2 < best.limit() {
                    best.offer(d2, *id);
                }
            }
            return;
        }
        let dim = node.dim as usize;
        let v = q[dim];
        let lower_first = v - node.low < node.high - v;
        let (near, far, gap) =
            if lower_first { (node.left, node.right, node.high - v) } else { (node.right, node.left, v - node.low) };
        self.visit(near as usize, q, off, off2, best);
        let gap = gap.max(0.0);
        let old = off[dim];
        // The distance to the farther half can only grow in this coordinate. A hair is taken off against rounding.
        let gap = gap.max(old);
        let far2 = (off2 - old * old).max(0.0) + gap * gap;
        if far2 * 0.999_999 < best.limit() {
            off[dim] = gap;
            self.visit(far as usize, q, off, far2, best);
            off[dim] = old;
        }
    }

    /// The `k` nearest rows of `q`, nearest first, without row `skip` (`u32::MAX` = none).
    pub fn nearest(&self, q: &[f32], k: usize, skip: u32) -> Vec<(f32, u32)> {
        let mut best = Best { k, skip, heap: Vec::with_capacity(k) };
        if k > 0 && !self.order.is_empty() {
            self.visit(0, q, &mut vec![0.0; self.d], 0.0, &mut best);
        }
        best.heap.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        best.heap
    }
}

impl Tree {
    /// Row numbers in the order of the leaves.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The smallest of the rows' values in every node.
    pub fn smallest(&self, values: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::INFINITY; self.nodes.len()];
        // Children stand behind their parents.
        for (at, node) in self.nodes.iter().enumerate().rev() {
            out[at] = if node.left == 0 {
                self.order[node.start as usize..node.end as usize]
                    .iter()
                    .map(|i| values[*i as usize])
                    .fold(f32::INFINITY, f32::min)
            } else {
                out[node.left as usize].min(out[node.right as usize])
            };
        }
        out
    }

    /// The group that all rows of a node are in, or `u32::MAX`.
    pub fn owners(&self, group: &[u32]) -> Vec<u32> {
        let mut out = vec![u32::MAX; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate().rev() {
            out[at] = if node.left == 0 {
                let rows = &self.order[node.start as usize..node.end as usize];
                let first = group[rows[0] as usize];
                if rows.iter().all(|i| group[*i as usize] == first) { first } else { u32::MAX }
            } else if out[node.left as usize] == out[node.right as usize] {
                out[node.left as usize]
            } else {
                u32::MAX
            };
        }
        out
    }

    /// Offers all rows that may be nearer to `q` than a limit and are not in nodes that belong to `group` as a whole. The
    /// length of a way is at least `core` and what [`Self::smallest`] says of its other end; `offer` may lower the limit.
    pub fn way_out(
        &self,
        q: &[f32],
        core: f32,
        group: u32,
        owners: &[u32],
        cores: &[f32],
        offer: &mut dyn FnMut(u32, &mut f32),
        mut limit: f32,
    ) {
        if core < limit && !self.order.is_empty() {
            self.leave(0, q, group, owners, cores, &mut vec![0.0; self.d], 0.0, offer, &mut limit);
        }
    }

    fn leave(
        &self,
        at: usize,
        q: &[f32],
        group: u32,
        owners: &[u32],
        cores: &[f32],
        off: &mut [f32],
        off2: f32,
        offer: &mut dyn FnMut(u32, &mut f32),
        limit: &mut f32,
    ) {
        if owners[at] == group || cores[at] >= *limit {
            return;
        }
        let node = &self.nodes[at];
        if node.left == 0 {
            self.order[node.start as usize..node.end as usize].iter().for_each(|j| offer(*j, limit));
            return;
        }
        let dim = node.dim as usize;
        let v = q[dim];
        let (near, far, gap) = if v - node.low < node.high - v {
            (node.left, node.right, node.high - v)
        } else {
            (node.right, node.left, v - node.low)
        };
        self.leave(near as usize, q, group, owners, cores, off, off2, offer, limit);
        let old = off[dim];
        let gap = gap.max(old);
        let far2 = (off2 - old * old).max(0.0) + gap * gap;
        if far2 * 0.999_99 < *limit {
            off[dim] = gap;
            self.leave(far as usize, q, group, owners, cores, off, far2, offer, limit);
            off[dim] = old;
        }
    }
}

/// Neighbours of every row of `q` (m × d) among the rows of `b` (n × d); `same` when both are the same rows.
pub(crate) fn search(
    q: &[f32],
    m: usize,
    b: &[f32],
    n: usize,
    d: usize,
    k: usize,
    same: bool,
    monitor: &dyn Monitor,
) -> Result<Neighbours, Error> {
    step(monitor, "neighbours", 0, m)?;
    let tree = Tree::new(b, n, d);
    let (mut ids, mut distances2) = (vec![0u32; m * k], vec![0.0f32; m * k]);
    if k == 0 {
        return Ok(Neighbours { k, ids, distances2 });
    }
    // In leaf order, so that queries one after another touch the same part of the tree.
    let turn: Vec<u32> = if same { tree.order.clone() } else { (0..m as u32).collect() };
    for (wave, part) in turn.chunks(WAVE).enumerate() {
        step(monitor, "neighbours", wave * WAVE, m)?;
        let found: Vec<Vec<(f32, u32)>> = part
            .par_iter()
            .with_min_len(64)
            .map(|i| {
                let row = &q[*i as usize * d..(*i as usize + 1) * d];
                tree.nearest(row, k, if same { *i } else { u32::MAX })
            })
            .collect();
        for (i, found) in part.iter().zip(found) {
            for (p, (d2, j)) in found.into_iter().enumerate() {
                ids[*i as usize * k + p] = j;
                distances2[*i as usize * k + p] = d2;
            }
        }
    }
    monitor.progress(crate::Progress { stage: "neighbours", done: m as u64, of: m as u64 });
    Ok(Neighbours { k, ids, distances2 })
}
