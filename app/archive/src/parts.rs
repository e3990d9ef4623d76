//! Searches that are larger than MAST's portal can answer.
//!
//! The portal breaks off near half a million rows, with a reset connection and no word. So rows are counted first where there may be
//! that many, and above the limit the search is split into parts: the sky is halved in right ascension, then in declination, then
//! time, until each part counts half the limit at most. A halving that parts nothing (all rows on one side) passes on to the next
//! axis, so that a field that was observed a million times at one position is soon split by time. Rows without a value on an axis
//! are in neither half; the counts show it, another axis is taken, and where all axes lose some the plan says how many.
//!
//! The [`Plan`] is what a person sees, what a session keeps, and what goes on where it stopped ([`Request::MastParts`]). Both borders
//! of a range belong to it in MAST's filters, so one half ends at the last double before the other. A server that rounds these
//! numbers sends rows on a border twice: each `obsid` is handed on once. Choice not taken: paging through one large query, which dies in the server's memory whatever the size of a page. Cost: two counts for each halving.
//!
//! Limit: STScI MAST API documentation, index page.

use std::collections::HashSet;

use asterism_data::{RowSet, Table};
use serde::{Deserialize, Serialize};

use crate::http::{Cancelled, Out};
use crate::{Answer, Client, Error, Event, Filter, FilterValues, Request, Result};

/// More parts than this are a question nobody meant.
const MOST_PARTS: usize = 2000;
/// A cone below this holds fewer rows than the limit in the densest field of MAST; it is not counted.
const SMALL_DEG: f64 = 0.2;
/// Axes: column, whole range, smallest width that is halved.
const AXES: [(&str, [f64; 2], f64); 3] =
    [("s_ra", [0.0, 360.0], 1e-4), ("s_dec", [-90.0, 90.0], 1e-4), ("t_min", [15_000.0, 95_000.0], 1e-4)];

/// One part of a search: a cell on the sky and a span of time.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Part {
    /// Right ascension (degrees), declination (degrees), start of the observation (MJD); an axis that is whole is no condition.
    pub ranges: [[f64; 2]; 3],
    /// Rows by the server's count.
    pub rows: u64,
    /// All its rows came.
    pub done: bool,
}

impl Part {
    fn filters(&self) -> Vec<Filter> {
        let end = |value: f64, outermost: f64| (value != outermost).then_some(value);
        AXES.iter()
            .zip(&self.ranges)
            .filter(|((_, whole, _), range)| whole != *range)
            .map(|((name, whole, _), range)| Filter {
                name: (*name).into(),
                values: FilterValues::Range { min: end(range[0], whole[0]), max: end(range[1], whole[1]) },
            })
            .collect()
    }
}

impl std::fmt::Display for Part {
    /// `RA 0..180°, Dec -90..0°: 212345 rows`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut words = Vec::new();
        for (((_, whole, _), range), (name, unit)) in AXES.iter().zip(&self.ranges).zip([("RA", "°"), ("Dec", "°"), ("MJD", "")])
        {
            if range != whole {
                words.push(format!("{name} {}..{}{unit}", range[0], range[1]));
            }
        }
        let place = if words.is_empty() { "everything".into() } else { words.join(", ") };
        write!(f, "{place}: {} rows{}", self.rows, if self.done { ", here" } else { "" })
    }
}

/// A search in parts.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Conditions of the search.
    pub filters: Vec<Filter>,
    /// Right ascension, declination and radius, degrees.
    pub position: Option<(f64, f64, f64)>,
    /// Rows in all, by the server's count.
    pub total: u64,
    /// Rows that lie in no part, since they have neither position nor time.
    pub unplaced: u64,
    /// In the order in which they are asked for.
    pub parts: Vec<Part>,
    /// Stop after so many rows.
    pub max_rows: Option<usize>,
    /// Ids that were handed on.
    #[serde(skip)]
    seen: HashSet<String>,
}

impl Plan {
    /// Parts that came.
    pub fn done(&self) -> usize {
        self.parts.iter().filter(|p| p.done).count()
    }
    /// Rows of the parts that are still to come.
    pub fn rows_left(&self) -> u64 {
        self.parts.iter().filter(|p| !p.done).map(|p| p.rows).sum()
    }
    /// Rows that are here already and shall not be handed on again: after a restart of the program, before going on.
    pub fn remember(&mut self, table: &Table) {
        if let Ok(ids) = table.strings("obsid") {
            self.seen.extend(ids.into_iter().flatten());
        }
    }
    /// For events: the ids stay where they are.
    fn shown(&self) -> Self {
        Self {
            filters: self.filters.clone(),
            position: self.position,
            total: self.total,
            unplaced: self.unplaced,
            parts: self.parts.clone(),
            max_rows: self.max_rows,
            seen: HashSet::new(),
        }
    }
    fn request(&self, part: &Part) -> Request {
        let mut filters = self.filters.clone();
        for new in part.filters() {
            filters.push(new);
        }
        Request::MastFiltered { filters, position: self.position, max_rows: self.max_rows }
    }
    /// An axis on which the search has a condition of its own is left alone.
    fn free(&self, axis: usize) -> bool {
        !self.filters.iter().any(|f| f.name.eq_ignore_ascii_case(AXES[axis].0))
    }
    /// The rows of the table that were not handed on before.
    fn fresh(&mut self, table: Table) -> Result<Table> {
        let Ok(ids) = table.strings("obsid") else { return Ok(table) };
        let keep: Vec<bool> = ids.into_iter().map(|id| id.is_none_or(|id| self.seen.insert(id))).collect();
        if keep.iter().all(|k| *k) {
            return Ok(table);
        }
        Ok(table.take(&RowSet::from_fn(keep.len(), |r| keep[r]))?)
    }
}

impl std::fmt::Display for Plan {
    /// `1203400 rows in 7 parts, 2 here`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows in {} parts, {} here", self.total, self.parts.len(), self.done())
    }
}

impl Client {
    /// How a search of MAST's observations is split; one part where it fits.
    ///
    /// # Errors
    /// As [`Client::count`]; [`Error::Unsupported`] for requests that are no search of observations, and above 2000 parts.
    pub fn plan(&self, request: &Request, cancelled: &dyn Fn() -> bool) -> Result<Plan> {
        let total = self.count_mast(request, cancelled)?;
        self.plan_for(request, total, cancelled, &mut |_| {})
    }

    fn plan_for(&self, request: &Request, total: u64, cancelled: Cancelled, say: &mut dyn FnMut(usize)) -> Result<Plan> {
        let (filters, position, max_rows) = match request {
            Request::MastCone { ra_deg, dec_deg, radius_deg, max_rows } => {
                (Vec::new(), Some((*ra_deg, *dec_deg, *radius_deg)), *max_rows)
            }
            Request::MastFiltered { filters, position, max_rows } => (filters.clone(), *position, *max_rows),
            _ => {
                let what = "only searches of observations go in parts".into();
                return Err(Error::Unsupported { service: "MAST".into(), what });
            }
        };
        let mut plan = Plan { filters, position, total, max_rows, ..Plan::default() };
        let most = (self.services().portal_rows as u64 / 2).max(1);
        let whole = Part { ranges: AXES.map(|(_, whole, _)| whole), rows: total, done: false };
        let mut open = vec![(whole, 0)];
        let mut done: Vec<Part> = Vec::new();
        while let Some((part, axis)) = open.pop() {
            if part.rows <= most {
                if part.rows > 0 {
                    done.push(part);
                }
                continue;
            }
            if done.len() + open.len() > MOST_PARTS {
                let what = format!("{total} rows are more than {MOST_PARTS} parts of its portal; add a filter or a position");
                return Err(Error::Unsupported { service: "MAST".into(), what });
            }
            // The first axis that loses no row; else the one that loses least.
            let mut best: Option<(u64, usize, [Part; 2])> = None;
            for step in 0..AXES.len() {
                let axis = (axis + step) % AXES.len();
                let [low, high] = part.ranges[axis];
                if !plan.free(axis) || high - low < AXES[axis].2 {
                    continue;
                }
                let middle = (low + high) / 2.0;
                let mut halves = [part.clone(), part.clone()];
                // Both borders of a range belong to it: the halves shall not share one, or rows on it would hide rows that are lost.
                halves[0].ranges[axis][1] = middle.next_down();
                halves[1].ranges[axis][0] = middle;
                for half in &mut halves {
                    half.rows = self.count_mast(&plan.request(half), cancelled)?;
                }
                let lost = part.rows.saturating_sub(halves[0].rows + halves[1].rows);
                if best.as_ref().is_none_or(|(least, ..)| lost < *least) {
                    best = Some((lost, axis, halves));
                }
                if lost == 0 {
                    break;
                }
            }
            let Some((lost, axis, [first, second])) = best else {
                // Nothing to halve any more: asked for as it is.
                done.push(part);
                continue;
            };
            plan.unplaced += lost;
            let parted = first.rows.max(second.rows) < part.rows / 50 * 49;
            let next = if parted { axis } else { (axis + 1) % AXES.len() };
            open.push((second, next));
            open.push((first, next));
            say(done.len() + open.len());
        }
        plan.parts = done;
        Ok(plan)
    }

    /// Counts where the answer may be too large, and asks at once or in parts.
    pub(crate) fn search_counted(&self, request: &Request, cancelled: Cancelled, out: &Out) -> Result<Answer> {
        let wall = self.services().portal_rows;
        let small = match request {
            Request::MastCone { radius_deg, .. } => *radius_deg <= SMALL_DEG,
            Request::MastFiltered { position: Some((_, _, radius)), .. } => *radius <= SMALL_DEG,
            _ => false,
        };
        if small || request.max_rows().is_some_and(|m| m <= wall / 2) {
            return self.search_mast(request, cancelled, out);
        }
        let total = match self.count_mast(request, cancelled) {
            Ok(total) => total,
            // Without a count the search is tried as it is; what keeps it from being counted will be said by it.
            Err(Error::Service { .. } | Error::NotATable { .. } | Error::Status { .. }) => 0,
            Err(error) => return Err(error),
        };
        if total <= wall as u64 {
            return self.search_mast(request, cancelled, out);
        }
        out.send(Event::Note(format!("MAST counts {total} rows, more than it sends at once: the search goes in parts")));
        let plan = self.plan_for(request, total, cancelled, &mut |parts| {
            out.send(Event::Progress { stage: "planning".into(), done: parts as u64, of: None });
        })?;
        self.search_parts(plan, cancelled, out)
    }

    /// The parts that are not here yet.
    pub(crate) fn search_parts(&self, plan: Plan, cancelled: Cancelled, out: &Out) -> Result<Answer> {
        let mut answer = Answer { text: plan.to_string(), url: self.services().mast.clone(), ..Answer::default() };
        if plan.unplaced > 0 {
            let warning = format!(
                "{} rows have neither position nor time and lie in no part; search for them by another filter",
                plan.unplaced
            );
            answer.warnings.push(warning);
            answer.truncated = true;
        }
        out.send(Event::Plan(plan.shown()));
        let plan = std::cell::RefCell::new(plan);
        let (count, start) = (plan.borrow().parts.len(), out.rows());
        let from_start = plan.borrow().done() == 0 && plan.borrow().seen.is_empty();
        for i in 0..count {
            let (part, most) = (plan.borrow().parts[i].clone(), plan.borrow().max_rows);
            if part.done {
                continue;
            }
            if most.is_some_and(|m| out.rows() - start >= m) {
                answer.truncated = true;
                break;
            }
            let request = plan.borrow().request(&part);
            let mut failed = None;
            let mut on = |event: Event| match event {
                Event::Rows(table) => match plan.borrow_mut().fresh(table) {
                    Ok(table) => {
                        let left = most.map_or(usize::MAX, |m| m - (out.rows() - start).min(m));
                        let table = if table.rows() > left {
                            table.take(&RowSet::from_fn(table.rows(), |r| r < left)).unwrap_or_default()
                        } else {
                            table
                        };
                        out.send(Event::Rows(table));
                    }
                    Err(error) => failed = Some(error),
                },
                other => out.send(other),
            };
            let came = self.search_mast(&request, cancelled, &Out::new(&mut on));
            match failed.map_or(came, Err) {
                Ok(part_answer) => {
                    answer.truncated |= part_answer.truncated;
                    for warning in part_answer.warnings {
                        if !answer.warnings.contains(&warning) {
                            answer.warnings.push(warning);
                        }
                    }
                }
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(source) => {
                    let source = match source {
                        Error::CutOff { service, .. } => Error::CutOff { service, rows: out.rows() },
                        other => other,
                    };
                    return Err(Error::PartsLeft { plan: Box::new(plan.into_inner()), source: Box::new(source) });
                }
            }
            plan.borrow_mut().parts[i].done = true;
            out.send(Event::Plan(plan.borrow().shown()));
            let (done, of) = (plan.borrow().done() as u64, count as u64);
            out.send(Event::Progress { stage: "parts".into(), done, of: Some(of) });
        }
        let plan = plan.into_inner();
        let (came, placed) = ((out.rows() - start) as u64, plan.total - plan.unplaced.min(plan.total));
        if from_start && came < placed && plan.max_rows.is_none_or(|m| came < m as u64) {
            answer.truncated = true;
            answer.warnings.push(format!("MAST counted {placed} rows in the parts and sent {came}"));
        }
        Ok(answer)
    }
}
