//! Readable rules: a few ranges of columns that pick out wanted rows.
//!
//! Two searches run and the better answer by F-beta is returned. The first is the patient rule induction method (bump
//! hunting, Friedman & Fisher 1999): peel 5% off the side that leaves the purest box, again and again; then every
//! column's range of the most promising boxes is set to its best interval given the others (the exact optimum, by
//! Dinkelbach's iteration on a maximum-sum interval) until nothing improves; predicates that hardly matter are dropped;
//! what is left over may get a second or third box. The second is a shallow decision tree (`linfa-trees`), whose pure
//! leaves are boxes. Long boolean formulas from deeper trees fit better and cannot be read.
//!
//! Thresholds are rounded to as few digits as leave the matched rows the same. Missing values match no range.
//! Cost: one sort per column, then about 25 · N · columns per search.

use crate::Error;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;

/// What kind of rule is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleParams {
    /// 0 = complete (all wanted rows, some others) … 1 = pure (only wanted rows, not all).
    pub balance: f64,
    /// Most ranges in the whole rule; at least 1.
    pub max_predicates: usize,
}

impl Default for RuleParams {
    fn default() -> Self {
        Self { balance: 0.5, max_predicates: 4 }
    }
}

/// A range of one column; both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Column, from 0.
    pub column: usize,
    /// Smallest value, in the column's unit.
    pub min: Option<f64>,
    /// Largest value, in the column's unit.
    pub max: Option<f64>,
}

impl Range {
    /// Whether a value is inside; NaN never is.
    pub fn contains(&self, v: f64) -> bool {
        !v.is_nan() && self.min.is_none_or(|m| v >= m) && self.max.is_none_or(|m| v <= m)
    }
}

/// A rule: rows that satisfy all ranges of at least one box.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rule {
    /// Boxes (or), each of ranges (and).
    pub boxes: Vec<Vec<Range>>,
    /// Share of the matched rows that are wanted, 0..1.
    pub purity: f64,
    /// Share of the wanted rows that are matched, 0..1.
    pub completeness: f64,
    /// Rows matched.
    pub matched: usize,
}

impl Rule {
    /// Whether a row matches; `value` gives its value in a column.
    pub fn matches(&self, value: impl Fn(usize) -> f64) -> bool {
        self.boxes.iter().any(|b| b.iter().all(|r| r.contains(value(r.column))))
    }

    /// Ranges in all.
    pub fn predicates(&self) -> usize {
        self.boxes.iter().map(Vec::len).sum()
    }
}

/// Fits a rule that picks out the rows marked in `target`, from columns of numbers (NaN = missing).
///
/// # Errors
/// No rows or columns, columns of different lengths, or a target with no wanted row.
pub fn fit(columns: &[Vec<f64>], target: &[bool], params: impl Borrow<RuleParams>) -> Result<Rule, Error> {
    let search = Search::new(columns, target)?;
    let params = params.borrow();
    let trees = search.tree_boxes();
    let trail = search.peel();
    Ok(search.best(params.balance, params.max_predicates, &trail, &trees))
}

/// Rules from the most complete to the purest, purity rising strictly and completeness falling; empty where [`fit`]
/// would fail.
pub fn fit_path(columns: &[Vec<f64>], target: &[bool], params: impl Borrow<RuleParams>) -> Vec<Rule> {
    let Ok(search) = Search::new(columns, target) else { return Vec::new() };
    let params = *params.borrow();
    let trees = search.tree_boxes();
    let trail = search.peel();
    let mut rules: Vec<Rule> =
        (0..=12).into_par_iter().map(|i| search.best(f64::from(i) / 12.0, params.max_predicates, &trail, &trees)).collect();
    rules.sort_by(|a, b| {
        b.completeness.total_cmp(&a.completeness).then(b.purity.total_cmp(&a.purity)).then(a.predicates().cmp(&b.predicates()))
    });
    let mut path: Vec<Rule> = Vec::new();
    for r in rules {
        if path.last().is_none_or(|last| r.purity > last.purity + 1e-9) {
            path.push(r);
        }
    }
    path
}

/// Most bins of a column.
const BINS: usize = 512;
const NULL: u16 = u16::MAX;
/// F-beta that a predicate must be worth.
const WORTH: f64 = 0.004;

/// Bounds of one box: per used column the first and last bin.
type Bounds = Vec<Option<(u16, u16)>>;

struct Search<'a> {
    columns: &'a [Vec<f64>],
    target: &'a [bool],
    /// Per column the smallest value of each bin.
    edges: Vec<Vec<f64>>,
    /// Per column the largest value of each bin.
    tops: Vec<Vec<f64>>,
    /// Per column the bin of each row.
    bins: Vec<Vec<u16>>,
    wanted: usize,
}

fn beta2(balance: f64) -> f64 {
    let b = if balance.is_nan() { 0.5 } else { balance.clamp(0.0, 1.0) };
    9.0f64.powf(1.0 - 2.0 * b).powi(2).sqrt().max(1.0 / 9.0)
}

fn score(tp: f64, matched: f64, wanted: f64, b2: f64) -> f64 {
    if tp == 0.0 { 0.0 } else { (1.0 + b2) * tp / (matched + b2 * wanted) }
}

impl<'a> Search<'a> {
    fn new(columns: &'a [Vec<f64>], target: &'a [bool]) -> Result<Self, Error> {
        let n = target.len();
        if n == 0 || columns.is_empty() {
            return Err(Error::Empty);
        }
        if let Some(i) = columns.iter().position(|c| c.len() != n) {
            return Err(Error::Shape(format!("column {i} has {} rows, the selection has {n}", columns[i].len())));
        }
        let wanted = target.iter().filter(|t| **t).count();
        if wanted == 0 {
            return Err(Error::Shape("no row is selected: a rule needs rows to describe".into()));
        }
        let binned: Vec<(Vec<f64>, Vec<f64>, Vec<u16>)> = columns.par_iter().map(|c| bin(c, target)).collect();
        let (mut edges, mut tops, mut bins) = (Vec::new(), Vec::new(), Vec::new());
        for (e, t, b) in binned {
            edges.push(e);
            tops.push(t);
            bins.push(b);
        }
        Ok(Self { columns, target, edges, tops, bins, wanted })
    }

    fn inside(&self, bounds: &Bounds, except: Option<usize>, i: usize) -> bool {
        bounds.iter().enumerate().all(|(c, b)| match b {
            Some((lo, hi)) if Some(c) != except => {
                let v = self.bins[c][i];
                v != NULL && v >= *lo && v <= *hi
            }
            _ => true,
        })
    }

    /// (wanted, all) rows of a box among `free` rows.
    fn count(&self, bounds: &Bounds, free: &[u32]) -> (usize, usize) {
        let mut out = (0, 0);
        for i in free {
            if self.inside(bounds, None, *i as usize) {
                out.1 += 1;
                out.0 += usize::from(self.target[*i as usize]);
            }
        }
        out
    }

    /// Boxes of a peeling run from everything down to a pure or tiny box.
    fn peel(&self) -> Vec<Bounds> {
        let mut bounds: Bounds = vec![None; self.columns.len()];
        let mut rows: Vec<u32> = (0..self.target.len() as u32).collect();
        let mut trail = vec![bounds.clone()];
        let least = (self.wanted / 50).max(3);
        for _ in 0..300 {
            let tp = rows.iter().filter(|i| self.target[**i as usize]).count();
            if tp == rows.len() || tp <= least {
                break;
            }
            let cut = (rows.len() / 20).max(1);
            // The best peel of each column: (purity after, wanted after, column, bounds).
            let best = (0..self.columns.len())
                .into_par_iter()
                .filter_map(|c| {
                    let count = self.edges[c].len();
                    if count < 2 {
                        return None;
                    }
                    let (mut all, mut good) = (vec![0usize; count], vec![0usize; count]);
                    for i in &rows {
                        let b = self.bins[c][*i as usize];
                        if b != NULL {
                            all[b as usize] += 1;
                            good[b as usize] += usize::from(self.target[*i as usize]);
                        }
                    }
                    let (lo, hi) = bounds[c].map_or((0, count - 1), |(a, b)| (a as usize, b as usize));
                    let (n, t) = (all[lo..=hi].iter().sum::<usize>(), good[lo..=hi].iter().sum::<usize>());
                    let mut best: Option<(f64, usize, usize, (u16, u16))> = None;
                    for up in [false, true] {
                        let (mut gone, mut lost) = (0, 0);
                        let mut steps = 0;
                        while gone < cut && lo + steps < hi {
                            let b = if up { hi - steps } else { lo + steps };
                            gone += all[b];
                            lost += good[b];
                            steps += 1;
                        }
                        if gone == 0 || n == gone || t == lost {
                            continue;
                        }
                        let purity = (t - lost) as f64 / (n - gone) as f64;
                        let to = if up { (lo as u16, (hi - steps) as u16) } else { ((lo + steps) as u16, hi as u16) };
                        if best.as_ref().is_none_or(|b| (purity, t - lost) > (b.0, b.1)) {
                            best = Some((purity, t - lost, c, to));
                        }
                    }
                    best
                })
                .collect::<Vec<_>>()
                .into_iter()
                .reduce(|a, b| if (b.0, b.1) > (a.0, a.1) { b } else { a });
            let Some((_, _, c, to)) = best else { break };
            bounds[c] = Some(to);
            rows.retain(|i| {
                let v = self.bins[c][*i as usize];
                v != NULL && v >= to.0 && v <= to.1
            });
            trail.push(bounds.clone());
        }
        trail
    }

    /// The best interval of column `c` given the others, or none at all, for rows not yet matched by other boxes.
    /// `base` are (wanted, all) rows matched before. Returns the score and the interval.
    fn best_interval(&self, bounds: &Bounds, c: usize, free: &[u32], base: (usize, usize), b2: f64) -> (f64, Option<(u16, u16)>) {
        let count = self.edges[c].len();
        let (mut all, mut good) = (vec![0.0f64; count], vec![0.0f64; count]);
        let mut whole = (base.0 as f64, base.1 as f64);
        for i in free {
            let i = *i as usize;
            if !self.inside(bounds, Some(c), i) {
                continue;
            }
            let t = f64::from(u8::from(self.target[i]));
            whole.0 += t;
            whole.1 += 1.0;
            let b = self.bins[c][i];
            if b != NULL {
                all[b as usize] += 1.0;
                good[b as usize] += t;
            }
        }
        let wanted = self.wanted as f64;
        let without = score(whole.0, whole.1, wanted, b2);
        let mut best = (without, None);
        let mut level = without;
        for _ in 0..20 {
            // Largest sum of (1 + β²)·wanted − level·all over an interval.
            let (mut sum, mut from, mut top, mut span) = (0.0f64, 0usize, f64::NEG_INFINITY, (0usize, 0usize));
            for b in 0..count {
                if sum <= 0.0 {
                    (sum, from) = (0.0, b);
                }
                sum += (1.0 + b2) * good[b] - level * all[b];
                if sum > top {
                    (top, span) = (sum, (from, b));
                }
            }
            if top <= 0.0 {
                break;
            }
            // Empty bins at the ends belong to nobody.
            let (mut lo, mut hi) = span;
            while lo < hi && all[lo] == 0.0 {
                lo += 1;
            }
            while hi > lo && all[hi] == 0.0 {
                hi -= 1;
            }
            let (tp, m) = (good[lo..=hi].iter().sum::<f64>() + base.0 as f64, all[lo..=hi].iter().sum::<f64>() + base.1 as f64);
            let f = score(tp, m, wanted, b2);
            if f > best.0 + 1e-12 {
                best = (f, Some((lo as u16, hi as u16)));
            }
            if f <= level + 1e-12 {
                break;
            }
            level = f;
        }
        best
    }

    /// Improves a box: intervals in turn, up to `room` columns, dropping those that are not worth a predicate.
    fn polish(&self, mut bounds: Bounds, free: &[u32], base: (usize, usize), b2: f64, room: usize) -> (f64, Bounds) {
        let n = self.columns.len();
        let mut f = 0.0;
        for _ in 0..6 {
            let before = f;
            for c in 0..n {
                if bounds[c].is_none() {
                    continue;
                }
                let (g, interval) = self.best_interval(&bounds, c, free, base, b2);
                bounds[c] = interval;
                f = g;
            }
            if f <= before + 1e-9 {
                break;
            }
        }
        loop {
            // Add the column that helps most, if it is worth it and there is room.
            let used = bounds.iter().filter(|b| b.is_some()).count();
            if used < room {
                let gains: Vec<(f64, usize, Option<(u16, u16)>)> = (0..n)
                    .into_par_iter()
                    .filter(|c| bounds[*c].is_none())
                    .map(|c| {
                        let (g, i) = self.best_interval(&bounds, c, free, base, b2);
                        (g, c, i)
                    })
                    .collect();
                let top = gains.into_iter().filter(|g| g.2.is_some()).reduce(|a, b| if b.0 > a.0 { b } else { a });
                if let Some((g, c, interval)) = top.filter(|t| t.0 > f + WORTH) {
                    bounds[c] = interval;
                    f = g;
                    for c in 0..n {
                        if bounds[c].is_some() {
                            (f, bounds[c]) = self.best_interval(&bounds, c, free, base, b2);
                        }
                    }
                    continue;
                }
            }
            break;
        }
        // Drop the column that matters least while there are too many or it is not worth its place.
        loop {
            let used: Vec<usize> = (0..n).filter(|c| bounds[*c].is_some()).collect();
            if used.is_empty() {
                break;
            }
            let losses: Vec<(f64, usize)> = used
                .par_iter()
                .map(|c| {
                    let mut without = bounds.clone();
                    without[*c] = None;
                    let (tp, m) = self.count(&without, free);
                    (score((tp + base.0) as f64, (m + base.1) as f64, self.wanted as f64, b2), *c)
                })
                .collect();
            let Some((g, c)) = losses.into_iter().reduce(|a, b| if b.0 > a.0 { b } else { a }) else { break };
            if used.len() <= room && (g < f - WORTH || used.len() == 1) {
                break;
            }
            bounds[c] = None;
            f = g;
            for c in 0..n {
                if bounds[c].is_some() {
                    (f, bounds[c]) = self.best_interval(&bounds, c, free, base, b2);
                }
            }
        }
        (f, bounds)
    }

    fn best(&self, balance: f64, max_predicates: usize, trail: &[Bounds], trees: &[Bounds]) -> Rule {
        let b2 = beta2(balance);
        let room = max_predicates.max(1);
        let all: Vec<u32> = (0..self.target.len() as u32).collect();
        let mut boxes: Vec<Bounds> = Vec::new();
        let (mut free, mut base, mut f) = (all.clone(), (0usize, 0usize), 0.0f64);
        while boxes.len() < 3 {
            let left = room - boxes.iter().map(|b| b.iter().flatten().count()).sum::<usize>();
            if left == 0 {
                break;
            }
            // Starts: the best boxes of the peeling run and of the tree, and no box at all.
            let mut starts: Vec<(f64, &Bounds)> = trail
                .par_iter()
                .chain(trees.par_iter())
                .map(|b| {
                    let (tp, m) = self.count(b, &free);
                    (score((tp + base.0) as f64, (m + base.1) as f64, self.wanted as f64, b2), b)
                })
                .collect();
            starts.sort_by(|a, b| b.0.total_cmp(&a.0));
            let empty: Bounds = vec![None; self.columns.len()];
            let mut best: Option<(f64, Bounds)> = None;
            for start in starts.iter().take(2).map(|s| s.1).chain([&empty]) {
                let (g, b) = self.polish(start.clone(), &free, base, b2, left);
                if b.iter().all(Option::is_none) {
                    continue;
                }
                let used = b.iter().flatten().count() as f64;
                if best.as_ref().is_none_or(|(h, o)| g - WORTH * used > h - WORTH * o.iter().flatten().count() as f64) {
                    best = Some((g, b));
                }
            }
            let Some((g, b)) = best else { break };
            let used = b.iter().flatten().count() as f64;
            if !boxes.is_empty() && g < f + 0.01 + WORTH * used {
                break;
            }
            let (tp, m) = self.count(&b, &free);
            base = (base.0 + tp, base.1 + m);
            free.retain(|i| !self.inside(&b, None, *i as usize));
            boxes.push(b);
            f = g;
        }
        let mut chosen = self.finish(&boxes);
        // The tree's own leaves together, when they fit and are better.
        let mut leaves: Vec<&Bounds> = Vec::new();
        let (mut free, mut base, mut g) = (all, (0usize, 0usize), 0.0f64);
        let mut used = 0;
        loop {
            let next = trees
                .iter()
                .filter(|t| used + t.iter().flatten().count() <= room)
                .map(|t| {
                    let (tp, m) = self.count(t, &free);
                    (score((tp + base.0) as f64, (m + base.1) as f64, self.wanted as f64, b2), t, tp, m)
                })
                .reduce(|a, b| if b.0 > a.0 { b } else { a });
            let Some((s, t, tp, m)) = next.filter(|t| t.0 > g + 0.01) else { break };
            leaves.push(t);
            used += t.iter().flatten().count();
            base = (base.0 + tp, base.1 + m);
            free.retain(|i| !self.inside(t, None, *i as usize));
            g = s;
        }
        let price = |r: &Rule, f: f64| f - WORTH * r.predicates() as f64;
        if !leaves.is_empty() {
            let tree = self.finish(&leaves.into_iter().cloned().collect::<Vec<_>>());
            if chosen.boxes.is_empty() || price(&tree, g) > price(&chosen, f) {
                chosen = tree;
            }
        }
        chosen
    }

    /// A rule of these boxes, with round thresholds, judged on the rows themselves.
    fn finish(&self, boxes: &[Bounds]) -> Rule {
        let boxes: Vec<Vec<Range>> = boxes
            .iter()
            .map(|b| {
                b.iter()
                    .enumerate()
                    .filter_map(|(c, b)| {
                        let (lo, hi) = (*b)?;
                        let (lo, hi, last) = (lo as usize, hi as usize, self.edges[c].len() - 1);
                        // Anything above the values left out and up to the values kept is the same.
                        let min = (lo > 0).then(|| round_between(self.tops[c][lo - 1], self.edges[c][lo], true));
                        let max = (hi < last).then(|| round_between(self.tops[c][hi], self.edges[c][hi + 1], false));
                        if min.is_none() && max.is_none() && !self.bins[c].contains(&NULL) {
                            return None;
                        }
                        // All values but not the missing ones: any bound that holds for all says so.
                        let min = if min.is_none() && max.is_none() { Some(self.edges[c][0]) } else { min };
                        Some(Range { column: c, min, max })
                    })
                    .collect()
            })
            .filter(|b: &Vec<Range>| !b.is_empty())
            .collect();
        let mut rule = Rule { boxes, ..Default::default() };
        let mut good = 0usize;
        for i in 0..self.target.len() {
            if rule.matches(|c| self.columns[c][i]) {
                rule.matched += 1;
                good += usize::from(self.target[i]);
            }
        }
        rule.purity = if rule.matched > 0 { good as f64 / rule.matched as f64 } else { 0.0 };
        rule.completeness = good as f64 / self.wanted as f64;
        rule
    }

    /// Boxes of the leaves of a decision tree of depth 4 in which wanted rows are more common than over all.
    fn tree_boxes(&self) -> Vec<Bounds> {
        use linfa::prelude::Fit;
        let n = self.target.len();
        // A fixed sample that keeps all rows where there are few.
        let stride = n.div_ceil(20_000);
        let rows: Vec<usize> = (0..n).step_by(stride).collect();
        let d = self.columns.len();
        // Bin numbers instead of values: exact, no missing values (bin −1), and splits fall between bins.
        let x = ndarray::Array2::from_shape_fn((rows.len(), d), |(r, c)| {
            let b = self.bins[c][rows[r]];
            if b == NULL { -1.0f64 } else { f64::from(b) }
        });
        let y = ndarray::Array1::from_iter(rows.iter().map(|i| self.target[*i]));
        if y.iter().all(|t| *t) || !y.iter().any(|t| *t) {
            return Vec::new();
        }
        let data = linfa::Dataset::new(x, y);
        let params =
            linfa_trees::DecisionTree::params().max_depth(Some(4)).min_weight_leaf((rows.len() as f32 / 1000.0).clamp(2.0, 20.0));
        let Ok(tree) = params.fit(&data) else { return Vec::new() };
        let mut out = Vec::new();
        let mut stack: Vec<(&linfa_trees::TreeNode<f64, bool>, Bounds)> = vec![(tree.root_node(), vec![None; d])];
        let all: Vec<u32> = (0..n as u32).collect();
        let share = self.wanted as f64 / n as f64;
        while let Some((node, bounds)) = stack.pop() {
            if node.is_leaf() {
                let (tp, m) = self.count(&bounds, &all);
                if m > 0 && tp as f64 > 1.5 * share.min(0.6) * m as f64 && bounds.iter().any(Option::is_some) {
                    out.push(bounds);
                }
                continue;
            }
            let (c, at, _) = node.split();
            let last = (self.edges[c].len() - 1) as u16;
            let (lo, hi) = bounds[c].unwrap_or((0, last));
            for (child, left) in node.children().into_iter().zip([true, false]) {
                let Some(child) = child else { continue };
                let mut b = bounds.clone();
                // Left: bin < at.
                let edge = at.ceil();
                if left {
                    if edge < 1.0 {
                        continue;
                    }
                    b[c] = Some((lo, hi.min(edge as u16 - 1)));
                } else {
                    b[c] = Some((lo.max(edge.max(0.0) as u16), hi));
                }
                if b[c].is_some_and(|(lo, hi)| lo <= hi) {
                    stack.push((child, b));
                }
            }
        }
        out
    }
}

/// Bins of a column: at most [`BINS`], of about equal numbers of rows, finer where the wanted rows are.
fn bin(column: &[f64], target: &[bool]) -> (Vec<f64>, Vec<f64>, Vec<u16>) {
    let mut sorted: Vec<f64> = column.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut wanted: Vec<f64> = column.iter().zip(target).filter(|(v, t)| **t && !v.is_nan()).map(|(v, _)| *v).collect();
    wanted.sort_unstable_by(f64::total_cmp);
    let mut distinct = sorted.clone();
    distinct.dedup();
    let mut edges: Vec<f64> = if distinct.len() <= BINS {
        distinct
    } else {
        let mut e: Vec<f64> = Vec::with_capacity(BINS);
        for (list, count) in [(&sorted, BINS / 2), (&wanted, BINS / 2 - 1)] {
            if !list.is_empty() {
                e.extend((0..count).map(|i| list[i * list.len() / count]));
            }
        }
        // Just above the last wanted value a bin ends, so that a range can stop there.
        if let Some(top) = wanted.last() {
            e.extend(sorted.get(sorted.partition_point(|v| v <= top)));
        }
        e.sort_unstable_by(f64::total_cmp);
        e.dedup();
        e
    };
    if edges.is_empty() {
        edges.push(0.0);
    }
    let bins: Vec<u16> = column
        .iter()
        .map(|v| if v.is_nan() { NULL } else { edges.partition_point(|e| e <= v).saturating_sub(1) as u16 })
        .collect();
    let mut tops = edges.clone();
    for (v, b) in column.iter().zip(&bins) {
        if *b != NULL {
            tops[*b as usize] = tops[*b as usize].max(*v);
        }
    }
    (edges, tops, bins)
}

/// The number with fewest digits in (low, high] (`upper`: high itself is allowed) or [low, high), nearest the middle.
fn round_between(low: f64, high: f64, upper: bool) -> f64 {
    let inside = |v: f64| if upper { v > low && v <= high } else { v >= low && v < high };
    if !low.is_finite() || !high.is_finite() {
        return if upper { high } else { low };
    }
    if inside(0.0) {
        return 0.0;
    }
    let middle = 0.5 * low + 0.5 * high;
    let top = low.abs().max(high.abs()).log10().floor() as i32 + 1;
    for digits in -top..40 {
        // Decimal text rather than powers of ten, so that 0.3 is 0.3.
        let step = 10f64.powi(-digits);
        let k = (middle / step).round();
        let mut best: Option<f64> = None;
        for k in [k - 1.0, k, k + 1.0] {
            let v = format!("{k:.0}e{}", -digits).parse::<f64>().unwrap_or(f64::NAN);
            if inside(v) && best.is_none_or(|b: f64| (v - middle).abs() < (b - middle).abs()) {
                best = Some(v);
            }
        }
        if let Some(v) = best {
            return v;
        }
    }
    if upper { high } else { low }
}
