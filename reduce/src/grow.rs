//! A neighbour graph that takes in rows which come later.
//!
//! The new rows are searched against the old ones, against each other, and the old ones against the new; lists are merged by
//! distance, ties in row order. Of an exact graph that gives the very graph that a search of all rows together would give.
//! Where there are more new rows than old ones, more neighbours are wanted than there are, or the pairs are too many, all
//! are searched anew instead. Cost: 4·n·m·d flops for m rows that join n.

use crate::Error;
use crate::monitor::Monitor;
use crate::neighbours::{Graph, Neighbours, Search, among, mark, within};
use rayon::prelude::*;

/// Operations of the extension (pairs, times columns and thirty for the selection) above which all rows are searched anew,
/// approximately.
const MUCH: f64 = 1.0e12;

/// A graph with the rows that joined it.
pub(crate) struct Grown {
    pub graph: Graph,
    /// Whether the neighbours of a row changed; `None`: all may have.
    pub changed: Option<Vec<bool>>,
    /// Nearest old rows of the new ones.
    pub to_old: Neighbours,
}

impl Graph {
    /// The graph of all `rows` (N × d), of which it knows the first `n`, with `k` neighbours.
    ///
    /// # Errors
    /// More memory than there is, or stopped.
    pub(crate) fn extended(&self, rows: &[f32], n: usize, d: usize, k: usize, monitor: &dyn Monitor) -> Result<Grown, Error> {
        let (old, new) = rows.split_at(n * d);
        let all = rows.len() / d;
        let m = all - n;
        let to_old = among(new, m, old, n, d, k, monitor)?;
        let work = 2.0 * n as f64 * m as f64 * (d as f64 + 30.0);
        if m > n || self.near.k < k || work > MUCH {
            let graph = Self::of(rows, all, d, k, Search::Auto, monitor)?;
            return Ok(Grown { graph, changed: None, to_old });
        }
        // As many as there are lists of, so that rows keep what they have.
        let k = self.near.k;
        let wider;
        let to_old_k = if to_old.k == k.min(n) {
            &to_old
        } else {
            wider = among(new, m, old, n, d, k, monitor)?;
            &wider
        };
        let of_new = if m > 1 { within(new, m, d, k, Search::Exact, monitor)?.0 } else { nothing() };
        let from_old = among(old, n, new, m, d, k, monitor)?;
        let mut near = Neighbours { k, ids: vec![0; all * k], distances2: vec![0.0; all * k] };
        let mut changed = vec![true; all];
        near.ids.par_chunks_mut(k).zip(near.distances2.par_chunks_mut(k)).zip(&mut changed).enumerate().for_each(
            |(i, ((ids, d2), changed))| {
                if i < n {
                    merge(list(&self.near, i, 0), list(&from_old, i, n), ids, d2);
                    *changed = ids != &self.near.ids[i * k..][..k];
                } else {
                    merge(list(to_old_k, i - n, 0), list(&of_new, i - n, n), ids, d2);
                }
            },
        );
        Ok(Grown { graph: Self { near, recall: self.recall, mark: mark(rows, d) }, changed: Some(changed), to_old })
    }
}

fn nothing() -> Neighbours {
    Neighbours { k: 0, ids: Vec::new(), distances2: Vec::new() }
}

/// Neighbours of a row, numbered from `first`.
fn list(near: &Neighbours, row: usize, first: usize) -> impl Iterator<Item = (f32, u32)> + '_ {
    let range = row * near.k..(row + 1) * near.k;
    near.distances2[range.clone()].iter().copied().zip(near.ids[range].iter().map(move |i| i + first as u32))
}

/// The nearest of two lists, both nearest first; of the first at equal distances, whose numbers are smaller.
fn merge(a: impl Iterator<Item = (f32, u32)>, b: impl Iterator<Item = (f32, u32)>, ids: &mut [u32], d2: &mut [f32]) {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    for (id, d) in ids.iter_mut().zip(d2) {
        let of_a = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => x.0 <= y.0,
            (one, _) => one.is_some(),
        };
        if let Some((distance, row)) = if of_a { a.next() } else { b.next() } {
            (*id, *d) = (row, distance);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Rng;
    use crate::monitor::Quiet;

    #[test]
    fn a_graph_that_grew_is_that_of_all_rows() {
        for (n, m, d, k, grid) in
            [(700, 40, 7, 20, false), (700, 1, 3, 20, false), (300, 300, 12, 30, false), (400, 100, 2, 10, true)]
        {
            let mut rng = Rng::new(2, 0);
            // On a grid many distances are equal, and many rows too.
            let one = |rng: &mut Rng| if grid { rng.below(9) as f32 } else { rng.normal() as f32 };
            let rows: Vec<f32> = (0..(n + m) * d).map(|_| one(&mut rng)).collect();
            let before = Graph::of(&rows[..n * d], n, d, k, Search::Exact, &Quiet).unwrap();
            let grown = before.extended(&rows, n, d, k, &Quiet).unwrap();
            let want = Graph::of(&rows, n + m, d, k, Search::Exact, &Quiet).unwrap();
            let changed = grown.changed.unwrap();
            assert_eq!(grown.graph.near.distances2, want.near.distances2, "{n} and {m} rows of {d}");
            if !grid {
                assert_eq!(grown.graph, want, "{n} and {m} rows of {d}");
            }
            for (i, changed) in changed.iter().enumerate().take(n) {
                let same = before.of_row(i).0 == grown.graph.of_row(i).0;
                assert_eq!(*changed, !same);
            }
            assert!(changed[n..].iter().all(|c| *c) && changed.iter().filter(|c| !**c).count() < n);
            assert!(m > 1 || changed.iter().any(|c| !*c));
        }
        // More new rows than old ones: searched anew.
        let rows: Vec<f32> = (0..500).map(|i| (i as f32 * 0.7).sin()).collect();
        let before = Graph::of(&rows[..100], 50, 2, 10, Search::Exact, &Quiet).unwrap();
        let grown = before.extended(&rows, 50, 2, 10, &Quiet).unwrap();
        assert!(grown.changed.is_none() && grown.graph == Graph::of(&rows, 250, 2, 10, Search::Auto, &Quiet).unwrap());
    }
}
