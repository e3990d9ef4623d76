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

/// A range of one column; both ends belong to it. Without either it means "not missing".
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
pub fn fit(columns: &[Vec<f64>], target: &[bool], params: &RuleParams) -> Result<Rule, Error> {
    let search = Search::new(columns, target)?;
    let trees = search.tree_boxes();
    let trail = search.peel();
    Ok(search.best(params.balance, params.max_predicates, &trail, &trees))
}

/// Rules from the most complete to the purest, purity rising strictly and completeness falling; empty where [`fit`]
/// would fail.
pub fn fit_path(columns: &[Vec<f64>], target: &[bool], params: &RuleParams) -> Vec<Rule> {
    let Ok(search) = Search::new(columns, target) else { return Vec::new() };
    let trees = search.tree_boxes();
    let trail = search.peel();
    let mut rules: Vec<Rule> =
        (0..=8).into_par_iter().map(|i| search.best(f64::from(i) / 8.0, params.max_predicates, &trail, &trees)).collect();
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
/// Rows that the search looks at; the answer is judged on all.
const ROWS: usize = 100_000;

/// One range of bins of a column, both ends included.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    column: usize,
    low: u16,
    high: u16,
}

/// The ranges of one box, at most one per column.
type Bounds = Vec<Span>;

struct Search<'a> {
    columns: &'a [Vec<f64>],
    target: &'a [bool],
    /// Per column the smallest value of each bin.
    edges: Vec<Vec<f64>>,
    /// Per column the largest value of each bin.
    tops: Vec<Vec<f64>>,
    /// Per column the bin of each row.
    bins: Vec<Vec<u16>>,
    /// Rows that the search looks at.
    rows: Vec<u32>,
    /// Wanted rows among them.
    wanted: usize,
}

/// β² of a balance: 25 (completeness counts five times as much) … 1/25.
fn beta2(balance: f64) -> f64 {
    let b = if balance.is_nan() { 0.5 } else { balance.clamp(0.0, 1.0) };
    25.0f64.powf(1.0 - 2.0 * b)
}

fn score((tp, matched): (usize, usize), wanted: usize, b2: f64) -> f64 {
    if tp == 0 { 0.0 } else { (1.0 + b2) * tp as f64 / (matched as f64 + b2 * wanted as f64) }
}

fn plus(a: (usize, usize), b: (usize, usize)) -> (usize, usize) {
    (a.0 + b.0, a.1 + b.1)
}

fn with(bounds: &Bounds, column: usize, span: Option<(u16, u16)>) -> Bounds {
    let mut out: Bounds = bounds.iter().copied().filter(|s| s.column != column).collect();
    if let Some((low, high)) = span {
        out.push(Span { column, low, high });
        out.sort_by_key(|s| s.column);
    }
    out
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
        // Every so-manieth row, but never so few that wanted ones get rare.
        let stride = n.div_ceil(ROWS).min((wanted / 1000).max(1));
        let rows: Vec<u32> = (0..n as u32).step_by(stride).collect();
        let wanted = rows.iter().filter(|i| target[**i as usize]).count();
        if wanted == 0 {
            let rows: Vec<u32> = (0..n as u32).collect();
            let wanted = target.iter().filter(|t| **t).count();
            return Ok(Self { columns, target, edges, tops, bins, rows, wanted });
        }
        Ok(Self { columns, target, edges, tops, bins, rows, wanted })
    }

    fn inside(&self, bounds: &[Span], i: u32) -> bool {
        bounds.iter().all(|s| {
            let v = self.bins[s.column][i as usize];
            v != NULL && v >= s.low && v <= s.high
        })
    }

    fn is_wanted(&self, i: u32) -> bool {
        self.target[i as usize]
    }

    fn tally(&self, rows: &[u32]) -> (usize, usize) {
        (rows.iter().filter(|i| self.is_wanted(**i)).count(), rows.len())
    }

    /// (wanted, all) rows of a box among `free` rows.
    fn count(&self, bounds: &[Span], free: &[u32]) -> (usize, usize) {
        let mut out = (0, 0);
        for i in free {
            if self.inside(bounds, *i) {
                out.1 += 1;
                out.0 += usize::from(self.is_wanted(*i));
            }
        }
        out
    }

    /// Wanted and all rows per bin of a column.
    fn histogram(&self, column: usize, rows: &[u32]) -> (Vec<usize>, Vec<usize>) {
        let count = self.edges[column].len();
        let (mut good, mut all) = (vec![0usize; count], vec![0usize; count]);
        for i in rows {
            let b = self.bins[column][*i as usize];
            if b != NULL {
                all[b as usize] += 1;
                good[b as usize] += usize::from(self.is_wanted(*i));
            }
        }
        (good, all)
    }

    /// Boxes of a peeling run from everything down to a pure or tiny box, thinned to some sixty.
    fn peel(&self) -> Vec<Bounds> {
        let mut bounds = Bounds::new();
        let mut rows = self.rows.clone();
        let mut trail = Vec::new();
        let least = (self.wanted / 50).max(3);
        for _ in 0..300 {
            let (tp, n) = self.tally(&rows);
            if tp == n || tp <= least {
                break;
            }
            let cut = (n / 20).max(1);
            // The best peel of each column: (purity after, wanted after, span).
            let best = (0..self.columns.len())
                .into_par_iter()
                .filter_map(|column| {
                    let (good, all) = self.histogram(column, &rows);
                    let span = bounds.iter().find(|s| s.column == column);
                    let (lo, hi) = span.map_or((0, all.len() - 1), |s| (s.low as usize, s.high as usize));
                    let (n, t) = (all[lo..=hi].iter().sum::<usize>(), good[lo..=hi].iter().sum::<usize>());
                    let mut best: Option<(f64, usize, Span)> = None;
                    for up in [false, true] {
                        let (mut gone, mut lost, mut steps) = (0, 0, 0);
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
                        let (low, high) = if up { (lo, hi - steps) } else { (lo + steps, hi) };
                        if best.as_ref().is_none_or(|b| (purity, t - lost) > (b.0, b.1)) {
                            best = Some((purity, t - lost, Span { column, low: low as u16, high: high as u16 }));
                        }
                    }
                    best
                })
                .collect::<Vec<_>>()
                .into_iter()
                .reduce(|a, b| if (b.0, b.1) > (a.0, a.1) { b } else { a });
            let Some((_, _, span)) = best else { break };
            bounds = with(&bounds, span.column, Some((span.low, span.high)));
            rows.retain(|i| self.inside(&[span], *i));
            trail.push(bounds.clone());
        }
        let thin = trail.len().div_ceil(60).max(1);
        trail.into_iter().rev().step_by(thin).collect()
    }

    /// The best interval of a column for `rows`, all of which satisfy the other ranges, or none at all.
    /// `base` are (wanted, all) rows matched by other boxes. Returns the score and the interval.
    fn best_interval(&self, column: usize, rows: &[u32], base: (usize, usize), b2: f64) -> (f64, Option<(u16, u16)>) {
        let (good, all) = self.histogram(column, rows);
        let without = score(plus(self.tally(rows), base), self.wanted, b2);
        let mut best = (without, None);
        let mut level = without;
        for _ in 0..20 {
            // Largest sum of (1 + β²)·wanted − level·all over an interval.
            let (mut sum, mut from, mut top, mut span) = (0.0f64, 0usize, 0.0f64, None);
            for b in 0..all.len() {
                if sum <= 0.0 {
                    (sum, from) = (0.0, b);
                }
                sum += (1.0 + b2) * good[b] as f64 - level * all[b] as f64;
                if sum > top {
                    (top, span) = (sum, Some((from, b)));
                }
            }
            let Some((mut lo, mut hi)) = span else { break };
            // Empty bins at the ends belong to nobody; an end with nothing beyond it is no end.
            while lo < hi && all[lo] == 0 {
                lo += 1;
            }
            while hi > lo && all[hi] == 0 {
                hi -= 1;
            }
            if all[..lo].iter().all(|a| *a == 0) {
                lo = 0;
            }
            if all[hi + 1..].iter().all(|a| *a == 0) {
                hi = all.len() - 1;
            }
            let f = score(plus((good[lo..=hi].iter().sum(), all[lo..=hi].iter().sum()), base), self.wanted, b2);
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

    /// Sets each range of a box to its best given the others, until nothing improves.
    fn settle(&self, bounds: &mut Bounds, free: &[u32], base: (usize, usize), b2: f64) -> f64 {
        let mut f = score(plus(self.count(bounds, free), base), self.wanted, b2);
        for _ in 0..6 {
            let before = f;
            for column in bounds.iter().map(|s| s.column).collect::<Vec<_>>() {
                let others = with(bounds, column, None);
                let rows: Vec<u32> = free.iter().copied().filter(|i| self.inside(&others, *i)).collect();
                let (g, span) = self.best_interval(column, &rows, base, b2);
                *bounds = with(&others, column, span);
                f = g;
            }
            if f <= before + 1e-9 {
                break;
            }
        }
        f
    }

    /// Improves a box: intervals in turn, up to `room` columns, dropping those that are not worth a predicate.
    fn polish(&self, mut bounds: Bounds, free: &[u32], base: (usize, usize), b2: f64, room: usize) -> (f64, Bounds) {
        let mut f = self.settle(&mut bounds, free, base, b2);
        while bounds.len() < room {
            // Add the column that helps most, if it is worth it.
            let rows: Vec<u32> = free.iter().copied().filter(|i| self.inside(&bounds, *i)).collect();
            let top = (0..self.columns.len())
                .into_par_iter()
                .filter(|c| bounds.iter().all(|s| s.column != *c))
                .map(|c| (self.best_interval(c, &rows, base, b2), c))
                .collect::<Vec<_>>()
                .into_iter()
                .filter(|((_, span), _)| span.is_some())
                .reduce(|a, b| if b.0.0 > a.0.0 { b } else { a });
            let Some(((_, span), column)) = top.filter(|((g, _), _)| *g > f + WORTH) else { break };
            bounds = with(&bounds, column, span);
            f = self.settle(&mut bounds, free, base, b2);
        }
        // Drop the column that matters least while there are too many or it is not worth its place.
        while bounds.len() > 1 {
            let loss = bounds
                .par_iter()
                .map(|s| (score(plus(self.count(&with(&bounds, s.column, None), free), base), self.wanted, b2), s.column))
                .collect::<Vec<_>>()
                .into_iter()
                .reduce(|a, b| if b.0 > a.0 { b } else { a });
            let Some((g, column)) = loss else { break };
            if bounds.len() <= room && g < f - WORTH {
                break;
            }
            bounds = with(&bounds, column, None);
            f = self.settle(&mut bounds, free, base, b2);
        }
        (f, bounds)
    }

    fn best(&self, balance: f64, max_predicates: usize, trail: &[Bounds], trees: &[Bounds]) -> Rule {
        let b2 = beta2(balance);
        let room = max_predicates.max(1);
        let mut boxes: Vec<Bounds> = Vec::new();
        let (mut free, mut base, mut f) = (self.rows.clone(), (0usize, 0usize), 0.0f64);
        while boxes.len() < 3 {
            let left = room - boxes.iter().map(Vec::len).sum::<usize>().min(room);
            if left == 0 {
                break;
            }
            // Starts: the best boxes of the peeling run and of the tree, and no box at all.
            let top = |list: &[Bounds]| -> Option<Bounds> {
                list.par_iter()
                    .map(|b| score(plus(self.count(b, &free), base), self.wanted, b2))
                    .collect::<Vec<_>>()
                    .into_iter()
                    .zip(list)
                    .reduce(|a, b| if b.0 > a.0 { b } else { a })
                    .map(|b| b.1.clone())
            };
            let mut best: Option<(f64, Bounds)> = None;
            for start in [top(trail), top(trees), Some(Bounds::new())].into_iter().flatten() {
                let (g, b) = self.polish(start, &free, base, b2, left);
                let worth = g - WORTH * b.len() as f64;
                if !b.is_empty() && best.as_ref().is_none_or(|(h, o)| worth > h - WORTH * o.len() as f64) {
                    best = Some((g, b));
                }
            }
            let Some((g, b)) = best else { break };
            if !boxes.is_empty() && g < f + 0.01 + WORTH * b.len() as f64 {
                break;
            }
            base = plus(base, self.count(&b, &free));
            free.retain(|i| !self.inside(&b, *i));
            boxes.push(b);
            f = g;
        }
        let mut chosen = self.finish(&boxes);
        // The tree's own leaves together, when they fit and are better.
        let mut leaves: Vec<Bounds> = Vec::new();
        let (mut free, mut base, mut g, mut used) = (self.rows.clone(), (0usize, 0usize), 0.0f64, 0);
        loop {
            let next = trees
                .iter()
                .filter(|t| used + t.len() <= room)
                .map(|t| (score(plus(self.count(t, &free), base), self.wanted, b2), t))
                .reduce(|a, b| if b.0 > a.0 { b } else { a });
            let Some((s, t)) = next.filter(|t| t.0 > g + 0.01) else { break };
            base = plus(base, self.count(t, &free));
            free.retain(|i| !self.inside(t, *i));
            used += t.len();
            leaves.push(t.clone());
            g = s;
        }
        let price = |r: &Rule, f: f64| f - WORTH * r.predicates() as f64;
        if !leaves.is_empty() {
            let tree = self.finish(&leaves);
            if chosen.boxes.is_empty() || price(&tree, g) > price(&chosen, f) {
                chosen = tree;
            }
        }
        if chosen.boxes.is_empty() { self.hull() } else { chosen }
    }

    /// When no range helps (all rows are wanted, say): the range of the wanted rows in the column where it is tightest.
    fn hull(&self) -> Rule {
        let all: Vec<u32> = (0..self.target.len() as u32).collect();
        let spans = (0..self.columns.len()).filter_map(|column| {
            let (good, _) = self.histogram(column, &all);
            let (low, high) = (good.iter().position(|g| *g > 0)?, good.iter().rposition(|g| *g > 0)?);
            let rows = self.count(&[Span { column, low: low as u16, high: high as u16 }], &all);
            // Most wanted rows first, then fewest others.
            Some(((rows.0, std::cmp::Reverse(rows.1)), column, low, high))
        });
        let Some((_, column, low, high)) = spans.reduce(|a, b| if b.0 > a.0 { b } else { a }) else { return Rule::default() };
        let range = Range { column, min: Some(self.edges[column][low]), max: Some(self.tops[column][high]) };
        self.judged(vec![vec![range]])
    }

    /// A rule of these boxes with round thresholds.
    fn finish(&self, boxes: &[Bounds]) -> Rule {
        let boxes = boxes
            .iter()
            .map(|b| {
                b.iter()
                    .filter_map(|s| {
                        let (c, lo, hi) = (s.column, s.low as usize, s.high as usize);
                        // Any threshold between the last value left out and the first one kept does the same.
                        let min = (lo > 0).then(|| round_between(self.tops[c][lo - 1], self.edges[c][lo], true));
                        let max =
                            (hi + 1 < self.edges[c].len()).then(|| round_between(self.tops[c][hi], self.edges[c][hi + 1], false));
                        // Without both it still says "not missing".
                        (min.is_some() || max.is_some() || self.bins[c].contains(&NULL)).then_some(Range { column: c, min, max })
                    })
                    .collect()
            })
            .filter(|b: &Vec<Range>| !b.is_empty())
            .collect();
        self.judged(boxes)
    }

    /// The rule with its figures over all rows.
    fn judged(&self, boxes: Vec<Vec<Range>>) -> Rule {
        let mut rule = Rule { boxes, ..Default::default() };
        let n = self.target.len();
        let hits: Vec<bool> = (0..n).into_par_iter().map(|i| rule.matches(|c| self.columns[c][i])).collect();
        rule.matched = hits.iter().filter(|h| **h).count();
        let good = hits.iter().zip(self.target).filter(|(h, t)| **h && **t).count();
        let wanted = self.target.iter().filter(|t| **t).count();
        rule.purity = if rule.matched > 0 { good as f64 / rule.matched as f64 } else { 0.0 };
        rule.completeness = good as f64 / wanted as f64;
        rule
    }

    /// Boxes of the leaves of a decision tree of depth 4 in which wanted rows are more common than over all.
    fn tree_boxes(&self) -> Vec<Bounds> {
        use linfa::prelude::Fit;
        // A part of the rows is enough for a start.
        let stride = self.rows.len().div_ceil(20_000);
        let rows: Vec<u32> = self.rows.iter().copied().step_by(stride).collect();
        let d = self.columns.len();
        // Bin numbers instead of values: exact, no missing values (bin −1), and splits fall between bins.
        let x = ndarray::Array2::from_shape_fn((rows.len(), d), |(r, c)| {
            let b = self.bins[c][rows[r] as usize];
            if b == NULL { -1.0f64 } else { f64::from(b) }
        });
        let y = ndarray::Array1::from_iter(rows.iter().map(|i| self.is_wanted(*i)));
        if y.iter().all(|t| *t) || !y.iter().any(|t| *t) {
            return Vec::new();
        }
        let data = linfa::Dataset::new(x, y);
        let least = (rows.len() as f32 / 1000.0).clamp(2.0, 20.0);
        let params = linfa_trees::DecisionTree::params().max_depth(Some(4)).min_weight_leaf(least);
        let Ok(tree) = params.fit(&data) else { return Vec::new() };
        let mut out = Vec::new();
        let mut stack: Vec<(&linfa_trees::TreeNode<f64, bool>, Bounds)> = vec![(tree.root_node(), Bounds::new())];
        let share = self.wanted as f64 / self.rows.len() as f64;
        while let Some((node, bounds)) = stack.pop() {
            if node.is_leaf() {
                let (tp, m) = self.count(&bounds, &self.rows);
                if m > 0 && tp as f64 > 1.5 * share.min(0.6) * m as f64 && !bounds.is_empty() {
                    out.push(bounds);
                }
                continue;
            }
            // Left: bin < at.
            let (column, at, _) = node.split();
            let first_right = at.ceil().max(0.0) as u16;
            let span = bounds.iter().find(|s| s.column == column);
            let (lo, hi) = span.map_or((0, (self.edges[column].len() - 1) as u16), |s| (s.low, s.high));
            let sides = [first_right.checked_sub(1).map(|b| (lo, hi.min(b))), Some((lo.max(first_right), hi))];
            for (child, side) in node.children().into_iter().zip(sides) {
                if let (Some(child), Some((lo, hi))) = (child, side)
                    && lo <= hi
                {
                    stack.push((child, with(&bounds, column, Some((lo, hi)))));
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

/// The number with fewest digits in (low, high] (`upper`: high itself is allowed) or [low, high), nearest the middle. Between numbers
/// that are of single precision it holds after rounding to single precision as well: services compare in either.
fn round_between(low: f64, high: f64, upper: bool) -> f64 {
    let between = |v: f64| if upper { v > low && v <= high } else { v >= low && v < high };
    let single = |v: f64| f64::from(v as f32);
    let both = single(low) == low && single(high) == high;
    let inside = |v: f64| between(v) && (!both || between(single(v)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Rng;

    fn uniform(n: usize, columns: usize) -> Vec<Vec<f64>> {
        let mut rng = Rng::new(1, 1);
        (0..columns).map(|_| (0..n).map(|_| rng.uniform()).collect()).collect()
    }

    #[test]
    fn a_planted_box_is_found_with_short_thresholds() {
        let mut x = uniform(4000, 6);
        for i in (0..4000).step_by(37) {
            x[4][i] = f64::NAN;
        }
        let target: Vec<bool> = (0..4000).map(|i| x[1][i] > 0.3 && x[1][i] < 0.5 && x[3][i] > 0.7).collect();
        let r = fit(&x, &target, &RuleParams::default()).unwrap();
        assert!(r.purity > 0.99 && r.completeness > 0.99, "{r:?}");
        assert_eq!(r.boxes.len(), 1);
        assert_eq!(r.boxes[0].iter().map(|r| r.column).collect::<Vec<_>>(), [1, 3]);
        for v in r.boxes[0].iter().flat_map(|r| [r.min, r.max]).flatten() {
            assert!(v.to_string().len() <= 6, "{v}");
        }
        assert!(r.boxes[0][1].max.is_none());
        let counted = (0..4000).filter(|i| r.matches(|c| x[c][*i])).count();
        assert_eq!(counted, r.matched);
    }

    #[test]
    fn a_few_rare_rows_far_out_are_found() {
        let mut x = uniform(30_000, 5);
        let mut target = vec![false; 30_000];
        for i in (0..30_000).step_by(1500) {
            target[i] = true;
            x[2][i] += 3.0;
        }
        let r = fit(&x, &target, &RuleParams::default()).unwrap();
        assert_eq!((r.purity, r.completeness, r.matched), (1.0, 1.0, 20));
        assert_eq!(r.boxes, [[Range { column: 2, min: Some(2.0), max: None }]]);
    }

    #[test]
    fn two_separate_groups_become_two_boxes() {
        let x = uniform(5000, 3);
        let target: Vec<bool> = (0..5000).map(|i| (x[0][i] < 0.2 && x[1][i] < 0.2) || (x[0][i] > 0.8 && x[1][i] > 0.8)).collect();
        let r = fit(&x, &target, &RuleParams { max_predicates: 4, balance: 0.5 }).unwrap();
        assert_eq!(r.boxes.len(), 2, "{r:?}");
        assert!(r.purity > 0.97 && r.completeness > 0.97, "{r:?}");
        let one = fit(&x, &target, &RuleParams { max_predicates: 2, balance: 0.5 }).unwrap();
        assert!(one.predicates() <= 2);
    }

    #[test]
    fn the_path_trades_completeness_for_purity() {
        let mut rng = Rng::new(9, 0);
        let target: Vec<bool> = (0..3000).map(|i| i % 5 == 0).collect();
        let x: Vec<Vec<f64>> =
            (0..4).map(|c| target.iter().map(|t| rng.normal() + if *t && c < 2 { 1.5 } else { 0.0 }).collect()).collect();
        let path = fit_path(&x, &target, &RuleParams::default());
        assert!(path.len() >= 3, "{path:?}");
        for w in path.windows(2) {
            assert!(w[1].purity > w[0].purity && w[1].completeness <= w[0].completeness, "{path:?}");
        }
        assert!(path[0].completeness > 0.9 && path[path.len() - 1].purity > 0.8, "{path:?}");
        assert!(path.iter().all(|r| r.predicates() <= 4));
    }

    #[test]
    fn odd_targets_have_a_rule_or_a_clear_error() {
        let x = uniform(50, 2);
        let all = fit(&x, &[true; 50], &RuleParams::default()).unwrap();
        assert_eq!((all.purity, all.completeness, all.matched), (1.0, 1.0, 50));
        let mut one = [false; 50];
        one[17] = true;
        let r = fit(&x, &one, &RuleParams::default()).unwrap();
        assert_eq!((r.purity, r.completeness), (1.0, 1.0));
        assert!(matches!(fit(&x, &[false; 50], &RuleParams::default()), Err(Error::Shape(_))));
        assert!(matches!(fit(&x, &[true; 49], &RuleParams::default()), Err(Error::Shape(_))));
        assert!(matches!(fit(&[], &[true], &RuleParams::default()), Err(Error::Empty)));
        assert!(fit_path(&x, &[false; 50], &RuleParams::default()).is_empty());
        let gaps: Vec<f64> = (0..50).map(|i| if i < 20 { f64::NAN } else { 1.0 }).collect();
        let target: Vec<bool> = (0..50).map(|i| i >= 20).collect();
        let r = fit(&[gaps], &target, &RuleParams::default()).unwrap();
        assert_eq!((r.purity, r.completeness), (1.0, 1.0), "not missing: {r:?}");
        assert!(fit(&[vec![f64::NAN; 50]], &target, &RuleParams::default()).is_ok());
        let wild: Vec<f64> = (0..50).map(|i| if i < 20 { f64::NEG_INFINITY } else { f64::INFINITY }).collect();
        assert_eq!(fit(&[wild], &target, &RuleParams::default()).unwrap().purity, 1.0);
    }

    #[test]
    fn thresholds_are_as_short_as_they_can_be() {
        assert_eq!(round_between(1.2345, 1.3456, true), 1.3);
        assert_eq!(round_between(0.19991, 0.20004, false), 0.2);
        assert_eq!(round_between(-3.0, 7.0, true), 0.0);
        assert_eq!(round_between(5.0, 6.0, true), 6.0);
        assert_eq!(round_between(5.0, 6.0, false), 5.0);
        assert_eq!(round_between(123_456.0, 123_789.0, true), 123_600.0);
        assert_eq!(round_between(0.3, f64::INFINITY, false), 0.3);
        // 40.76 is more than the single-precision number next to it, and equal to it once it is rounded.
        let (low, high) = (f64::from(40.76_f32), f64::from(40.77_f32));
        assert_eq!(round_between(low, high, true), 40.77);
        let (a, b) = (0.1, 0.1f64.next_up());
        assert_eq!(round_between(a, b, true), b);
    }
}
