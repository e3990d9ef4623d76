//! Searches that are larger than a service answers at once.
//!
//! MAST's portal breaks off near half a million rows, with a reset connection and no word; TAP services end at a limit of their own and
//! say OVERFLOW; HSC and GALEX send 50,000 rows and no more. So rows are counted where the service can count, and above the limit the
//! search is split into parts: an axis is halved (right ascension, then declination, then time or brightness), until each part counts
//! half the limit at most. A halving that parts nothing (all rows on one side) passes on to the next
//! axis, so that a field that was observed a million times at one position is soon split by time. Rows without a value on an axis
//! are in neither half; the counts show it, another axis is taken, and where all axes lose some the plan says how many.
//! Where nothing can be counted (HSC, GALEX) a cone is covered by seven of half its radius, and each of these again once it comes full.
//!
//! The [`Plan`] is what a person sees, what a session keeps, and what goes on where it stopped ([`Request::Parts`]). Both borders
//! of a range belong to it in MAST's filters, so one half ends at the last double before the other. A server that rounds these
//! numbers sends rows on a border twice: each id is handed on once. Rows that are here already ([`Plan::remember`]) are left out when
//! they come again: by the id, or where there is none by all that a row says, each as often as it is here.
//! Choice not taken: paging through one large query, which dies in the server's memory whatever the size of a page; and for TAP
//! `OFFSET`, which is optional and promises no order. Cost: two counts for each halving. The searches of one mission and catalogs.mast
//! have no such limit: they go by pages.
//!
//! Limits: STScI MAST API documentation, index page; IVOA TAP 1.1, 2.7.4 (MAXREC, overflow).

use std::collections::{HashMap, HashSet};

use asterism_data::{Cell, RowSet, Table};
use serde::{Deserialize, Serialize};

use crate::adql::{is_plain_select, narrowed, quote_identifier};
use crate::http::{Cancelled, Out};
use crate::{Answer, Client, Error, Event, Filter, FilterValues, Request, Result};

/// More parts than this are a question nobody meant.
const MOST_PARTS: usize = 2000;
/// A cone below this holds fewer rows than the limit in the densest field of MAST; it is not counted.
const SMALL_DEG: f64 = 0.2;
/// Cones are not made smaller than this, degrees.
const SMALLEST_CONE_DEG: f64 = 1e-3;

/// A column by which a search is split.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Axis {
    /// As the service spells it.
    pub column: String,
    /// For a person.
    pub name: String,
    /// Behind a number, for a person.
    pub unit: String,
    /// Smallest and largest value there is.
    pub whole: [f64; 2],
    /// A range below this is not halved.
    pub smallest: f64,
}

fn axis(column: &str, name: &str, unit: &str, whole: [f64; 2], smallest: f64) -> Axis {
    Axis { column: column.into(), name: name.into(), unit: unit.into(), whole, smallest }
}

/// One part of a search: a cell on the sky and a span of another quantity, or a cone.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Part {
    /// A range of each axis of the plan; one that is whole is no condition.
    pub ranges: Vec<[f64; 2]>,
    /// Right ascension, declination and radius (degrees), in the place of the search's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cone: Option<[f64; 3]>,
    /// Rows by the server's count; `None` where it cannot count.
    pub rows: Option<u64>,
    /// All its rows came.
    pub done: bool,
}

/// A search in parts.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Plan {
    /// The search as a whole.
    pub base: Box<Request>,
    /// What it is split by.
    pub axes: Vec<Axis>,
    /// The column whose values are unique, where one is known.
    pub id: Option<String>,
    /// Rows in all, by the server's count; `None` where it cannot count.
    pub total: Option<u64>,
    /// Rows that lie in no part, since they have no value on the axes.
    pub unplaced: u64,
    /// In the order in which they are asked for.
    pub parts: Vec<Part>,
    /// Stop after so many rows, in this go.
    pub max_rows: Option<usize>,
    /// These are some parts of the search and the others are not wanted (a recipe of a search that was ended between two parts).
    #[serde(default)]
    pub some: bool,
    /// Ids that were handed on.
    #[serde(skip)]
    seen: HashSet<String>,
    /// Where there are no ids: what the rows say that are here, and how often.
    #[serde(skip)]
    held: HashMap<u64, usize>,
}

impl Plan {
    /// Parts that came.
    pub fn done(&self) -> usize {
        self.parts.iter().filter(|p| p.done).count()
    }
    /// Parts are still to come.
    pub fn is_left(&self) -> bool {
        self.parts.iter().any(|p| !p.done)
    }
    /// Rows of the parts that are still to come; `None` where they were not counted.
    pub fn rows_left(&self) -> Option<u64> {
        self.parts.iter().filter(|p| !p.done).map(|p| p.rows).sum()
    }
    /// Rows that are here already and shall not be handed on again: after a stop or a restart of the program, before going on.
    pub fn remember(&mut self, table: &Table) {
        (self.seen, self.held) = Default::default();
        if let Some(ids) = self.id.as_ref().and_then(|id| table.strings(id).ok()) {
            self.seen.extend(ids.into_iter().flatten());
            return;
        }
        for row in 0..table.rows() {
            *self.held.entry(row_hash(table, row)).or_default() += 1;
        }
    }
    /// A part as a recipe writes it: `s_ra=0..180; s_dec=..0`, `cone=10.5 -3 0.25`; [`Plan::of_texts`] reads it.
    pub fn text_of(&self, part: &Part) -> String {
        if let Some([ra, dec, radius]) = part.cone {
            return format!("cone={ra} {dec} {radius}");
        }
        self.conditions(part).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
    /// Some parts of a search, as [`Plan::text_of`] wrote them.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a text that is no part, or a request that does not go in parts.
    pub fn of_texts(request: &Request, texts: &[String]) -> Result<Self> {
        let wrong = |text: &str| Error::Unsupported {
            service: "Asterism".into(),
            what: format!("'{text}' is no part of a search; write COLUMN=MIN..MAX; COLUMN=MIN..MAX, or cone=RA DEC RADIUS"),
        };
        let mut read = Vec::new();
        let mut columns: Vec<String> = Vec::new();
        for text in texts {
            if let Some(cone) = text.strip_prefix("cone=") {
                let numbers: Vec<f64> = cone.split_whitespace().filter_map(|w| w.parse().ok()).collect();
                let cone: [f64; 3] = numbers.try_into().map_err(|_| wrong(text))?;
                read.push((Vec::new(), Some(cone)));
                continue;
            }
            let filters = text.split(';').filter(|t| !t.trim().is_empty()).map(|t| t.parse::<Filter>().map_err(|_| wrong(text)));
            let filters: Vec<Filter> = filters.collect::<Result<_>>()?;
            for filter in &filters {
                if !columns.contains(&filter.name) {
                    columns.push(filter.name.clone());
                }
            }
            read.push((filters, None));
        }
        // The columns of a query of TAP are those that its parts name.
        let mut plan = match request {
            Request::Tap { .. } => {
                let mut plan = Self::nothing(request);
                plan.axes = columns.iter().map(|c| axis(c, c, "", [-1e99, 1e99], 1e-4)).collect();
                plan
            }
            _ => Client::start_of_plan(request, None)?,
        };
        plan.some = true;
        plan.parts.clear();
        for (text, (filters, cone)) in texts.iter().zip(read) {
            let mut ranges: Vec<[f64; 2]> = plan.axes.iter().map(|a| a.whole).collect();
            for filter in filters {
                let at = plan.axes.iter().position(|a| a.column == filter.name).ok_or_else(|| wrong(text))?;
                let FilterValues::Range { min, max } = filter.values else { return Err(wrong(text)) };
                ranges[at] = [min.unwrap_or(ranges[at][0]), max.unwrap_or(ranges[at][1])];
            }
            plan.parts.push(Part { ranges, cone, rows: None, done: false });
        }
        Ok(plan)
    }
    fn nothing(request: &Request) -> Self {
        Self {
            base: Box::new(request.clone()),
            axes: Vec::new(),
            id: None,
            total: None,
            unplaced: 0,
            parts: Vec::new(),
            max_rows: request.max_rows(),
            some: false,
            seen: HashSet::new(),
            held: HashMap::new(),
        }
    }
    /// The ranges of a part that are not whole.
    fn conditions(&self, part: &Part) -> Vec<Filter> {
        let end = |value: f64, outermost: f64| (value != outermost).then_some(value);
        let cut = self.axes.iter().zip(&part.ranges).filter(|(axis, range)| axis.whole != **range);
        cut.map(|(axis, range)| Filter {
            name: axis.column.clone(),
            values: FilterValues::Range { min: end(range[0], axis.whole[0]), max: end(range[1], axis.whole[1]) },
        })
        .collect()
    }
    /// One line on a part: `RA 0..180°, Dec -90..0°: 212,345 rows`.
    pub fn words(&self, part: &Part) -> String {
        let mut words = Vec::new();
        if let Some([ra, dec, radius]) = part.cone {
            words.push(format!("{radius:.4}° around {ra:.4} {dec:+.4}"));
        }
        let number = |v: f64| format!("{:.4}", v).trim_end_matches('0').trim_end_matches('.').to_owned();
        // What was parted last tells parts from their neighbours, so it stands first.
        for (axis, range) in self.axes.iter().zip(&part.ranges).rev() {
            if *range != axis.whole {
                words.push(format!("{} {}..{}{}", axis.name, number(range[0]), number(range[1]), axis.unit));
            }
        }
        let place = if words.is_empty() { "everything".into() } else { words.join(", ") };
        let rows = part.rows.map_or_else(|| "not counted".into(), |n| format!("{} rows", thousands(n)));
        format!("{place}: {rows}{}", if part.done { ", here" } else { "" })
    }
    /// For events: what was handed on stays where it is.
    fn shown(&self) -> Self {
        Self {
            base: self.base.clone(),
            axes: self.axes.clone(),
            id: self.id.clone(),
            total: self.total,
            unplaced: self.unplaced,
            parts: self.parts.clone(),
            max_rows: self.max_rows,
            some: self.some,
            seen: HashSet::new(),
            held: HashMap::new(),
        }
    }
    fn request(&self, part: &Part) -> Request {
        let mut request = (*self.base).clone();
        match &mut request {
            Request::MastFiltered { filters, max_rows, .. } => {
                filters.extend(self.conditions(part));
                *max_rows = self.max_rows;
            }
            Request::MastCatalog { filters, max_rows, ra_deg, dec_deg, radius_deg, .. } => {
                filters.extend(self.conditions(part));
                *max_rows = if part.cone.is_some() { None } else { self.max_rows };
                if let Some([ra, dec, radius]) = part.cone {
                    (*ra_deg, *dec_deg, *radius_deg) = (ra, dec, radius);
                }
            }
            Request::Tap { adql, max_rows, .. } => {
                let mut conditions = Vec::new();
                for (axis, range) in self.axes.iter().zip(&part.ranges) {
                    let column = quote_identifier(&axis.column);
                    if range[0] != axis.whole[0] {
                        conditions.push(format!("{column} >= {:?}", range[0]));
                    }
                    if range[1] != axis.whole[1] {
                        // The next half begins at the next double.
                        conditions.push(format!("{column} < {:?}", range[1].next_up()));
                    }
                }
                if !conditions.is_empty() {
                    *adql = narrowed(adql, &conditions.join(" AND "));
                }
                // More than it counts: a limit that is smaller unless one is wished for is not met.
                *max_rows = part.rows.map(|n| n as usize + 1);
            }
            _ => {}
        }
        request
    }
    /// An axis on which the search has a condition of its own is left alone.
    fn free(&self, axis: usize) -> bool {
        let filters = match &*self.base {
            Request::MastFiltered { filters, .. } | Request::MastCatalog { filters, .. } => filters.as_slice(),
            _ => &[],
        };
        !filters.iter().any(|f| f.name.eq_ignore_ascii_case(&self.axes[axis].column))
    }
    /// The rows of the table that were handed on before.
    fn known(&self, table: &Table) -> RowSet {
        if let Some(ids) = self.id.as_ref().and_then(|id| table.strings(id).ok()) {
            return RowSet::from_fn(table.rows(), |r| ids[r].as_ref().is_some_and(|id| self.seen.contains(id)));
        }
        let known = |r: usize| !self.held.is_empty() && self.held.contains_key(&row_hash(table, r));
        RowSet::from_fn(table.rows(), known)
    }
    /// The rows of the table that were not handed on before and lie within the search.
    fn fresh(&mut self, table: Table) -> Result<Table> {
        let mut keep = vec![true; table.rows()];
        if self.parts.iter().any(|p| p.cone.is_some())
            && let Request::MastCatalog { ra_deg, dec_deg, radius_deg, .. } = &*self.base
        {
            let columns = [["MatchRA", "MatchDec"], ["ra", "dec"], ["alpha_j2000", "delta_j2000"]];
            let found = columns.iter().find_map(|[a, d]| Some((table.f64s(a).ok()?, table.f64s(d).ok()?)));
            if let Some((ra, dec)) = found {
                for (keep, (ra, dec)) in keep.iter_mut().zip(ra.into_iter().zip(dec)) {
                    // A row without a place stays.
                    *keep = separation([ra, dec], [*ra_deg, *dec_deg]).is_nan()
                        || separation([ra, dec], [*ra_deg, *dec_deg]) <= *radius_deg;
                }
            }
        }
        if let Some(ids) = self.id.as_ref().and_then(|id| table.strings(id).ok()) {
            for (keep, id) in keep.iter_mut().zip(ids) {
                *keep = *keep && id.is_none_or(|id| self.seen.insert(id));
            }
        } else if !self.held.is_empty() {
            for (row, keep) in keep.iter_mut().enumerate() {
                let hash = row_hash(&table, row);
                if let Some(left) = self.held.get_mut(&hash) {
                    *keep = false;
                    *left -= 1;
                    if *left == 0 {
                        self.held.remove(&hash);
                    }
                }
            }
        }
        if keep.iter().all(|k| *k) {
            return Ok(table);
        }
        Ok(table.take(&RowSet::from_fn(keep.len(), |r| keep[r]))?)
    }
}

impl std::fmt::Display for Plan {
    /// `1,203,400 rows in 7 parts, 2 here`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(total) = self.total {
            write!(f, "{} rows in ", thousands(total))?;
        }
        write!(f, "{} part{}", self.parts.len(), if self.parts.len() == 1 { "" } else { "s" })?;
        match self.done() {
            0 => Ok(()),
            n => write!(f, ", {n} here"),
        }
    }
}

fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// What a row says.
fn row_hash(table: &Table, row: usize) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for column in 0..table.columns().len() {
        match table.cell(row, column) {
            Cell::Array(_) => table.array(column, row).iter().for_each(|v| v.to_bits().hash(&mut hasher)),
            cell => cell.to_string().hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// Angle between two places (degrees), degrees; the haversine.
fn separation([ra, dec]: [f64; 2], [ra0, dec0]: [f64; 2]) -> f64 {
    let (sa, sd) = (((ra - ra0).to_radians() / 2.0).sin(), ((dec - dec0).to_radians() / 2.0).sin());
    let h = sd * sd + dec.to_radians().cos() * dec0.to_radians().cos() * sa * sa;
    2.0 * h.clamp(0.0, 1.0).sqrt().asin().to_degrees()
}

/// Seven cones of half the radius that cover a cone: one in the middle, six around it at √3/2 of the radius. On the plane they just do;
/// two hundredths more make up for the sphere, up to some degrees.
fn cover([ra, dec, radius]: [f64; 3]) -> Vec<[f64; 3]> {
    let mut cones = vec![[ra, dec, radius * 0.51]];
    let (d, away) = (dec.to_radians(), (radius * 0.75f64.sqrt()).to_radians());
    for k in 0..6 {
        let angle = f64::from(k) * std::f64::consts::FRAC_PI_3;
        let dec2 = (d.sin() * away.cos() + d.cos() * away.sin() * angle.cos()).clamp(-1.0, 1.0).asin();
        let ra2 = (angle.sin() * away.sin() * d.cos()).atan2(away.cos() - d.sin() * dec2.sin());
        cones.push([(ra + ra2.to_degrees()).rem_euclid(360.0), dec2.to_degrees(), radius * 0.51]);
    }
    cones
}

/// The columns of right ascension and declination that a query can be split by, as it spells them.
fn tap_position(adql: &str, sample: Option<&Table>) -> Option<[String; 2]> {
    // A cone of the query names them.
    let upper = adql.to_ascii_uppercase();
    if let Some(at) = upper.find("POINT(").or_else(|| upper.find("POINT (")) {
        let inner = adql[at..].split_once('(')?.1.split(')').next().unwrap_or("");
        let mut words: Vec<&str> = inner.split(',').map(str::trim).filter(|w| !w.starts_with('\'')).collect();
        words.truncate(2);
        let name = |w: &&str| {
            w.starts_with(|c: char| c.is_ascii_alphabetic()) && w.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c))
        };
        if words.len() == 2 && words.iter().all(name) {
            return Some([words[0].to_owned(), words[1].to_owned()]);
        }
    }
    let table = sample?;
    // A column that is named anew in the query does not exist where its condition stands.
    let words: Vec<String> = upper.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(str::to_owned).collect();
    let renamed = |name: &str| words.windows(2).any(|w| w[0] == "AS" && w[1] == name.to_ascii_uppercase());
    let find = |ucd: &str, names: &[&str]| {
        let at = table.column_by_ucd(ucd).or_else(|| names.iter().find_map(|n| table.column_index(n)))?;
        Some(table.columns()[at].name.clone()).filter(|name| !renamed(name))
    };
    Some([
        find("pos.eq.ra", &["ra", "s_ra", "raj2000", "ra_icrs"])?,
        find("pos.eq.dec", &["dec", "s_dec", "dej2000", "de_icrs"])?,
    ])
}

impl Client {
    /// Whether a search can go in parts where its answer is cut off.
    pub fn goes_in_parts(&self, request: &Request) -> bool {
        match request {
            Request::MastCone { .. } | Request::MastFiltered { .. } | Request::Parts { .. } => true,
            Request::MastCatalog { catalog, .. } => {
                matches!(catalog.trim().to_ascii_lowercase().as_str(), "tic" | "ctl" | "hsc" | "galex")
            }
            Request::Tap { adql, uploads, .. } => uploads.is_empty() && is_plain_select(adql),
            _ => false,
        }
    }

    /// How a search is split; one part where it fits. `sample` is what came of it so far: its columns say by what a query of TAP is
    /// split, and its length where that service ends.
    ///
    /// # Errors
    /// As [`Client::count`]; [`Error::Unsupported`] for requests that cannot be split, and above 2000 parts.
    pub fn plan(&self, request: &Request, sample: Option<&Table>, cancelled: &dyn Fn() -> bool) -> Result<Plan> {
        let mut plan = Self::start_of_plan(request, sample)?;
        if !plan.parts.is_empty() {
            return Ok(plan);
        }
        let limit = match (request, sample.map(Table::rows)) {
            (Request::Tap { .. }, Some(rows)) if rows > 0 => rows as u64,
            _ => (self.services().portal_rows as u64 / 2).max(1),
        };
        let total = self.count_part(&plan.base, cancelled)?;
        plan.total = Some(total);
        self.split(plan, limit, cancelled, &mut |_| {})
    }

    fn count_part(&self, request: &Request, cancelled: Cancelled) -> Result<u64> {
        match request {
            Request::Tap { .. } => self.count_vo(request, cancelled),
            _ => self.count_mast(request, cancelled),
        }
    }

    /// A plan without parts, or with the first cones where nothing can be counted.
    fn start_of_plan(request: &Request, sample: Option<&Table>) -> Result<Plan> {
        let sky = |ra: &str, dec: &str| vec![axis(ra, "RA", "°", [0.0, 360.0], 1e-4), axis(dec, "Dec", "°", [-90.0, 90.0], 1e-4)];
        let mut plan = Plan::nothing(request);
        let cannot = |service: &str, what: &str| Err(Error::Unsupported { service: service.into(), what: what.into() });
        match request {
            Request::Parts { plan } => return Ok(plan.clone()),
            Request::MastCone { .. } | Request::MastFiltered { .. } => {
                plan.axes = sky("s_ra", "s_dec");
                plan.axes.push(axis("t_min", "MJD", "", [15_000.0, 95_000.0], 1e-4));
                plan.id = Some("obsid".into());
                if let Request::MastCone { ra_deg, dec_deg, radius_deg, max_rows } = request {
                    let position = Some((*ra_deg, *dec_deg, *radius_deg));
                    *plan.base = Request::MastFiltered { filters: Vec::new(), position, max_rows: *max_rows };
                }
            }
            Request::MastCatalog { catalog, ra_deg, dec_deg, radius_deg, .. } => {
                match catalog.trim().to_ascii_lowercase().as_str() {
                    "tic" | "ctl" => {
                        plan.axes = sky("ra", "dec");
                        plan.axes.push(axis("Tmag", "Tmag", "", [-10.0, 40.0], 1e-4));
                        plan.id = Some("ID".into());
                    }
                    name @ ("hsc" | "galex") => {
                        plan.id = Some(if name == "hsc" { "MatchID" } else { "objID" }.into());
                        let part = |cone| Part { ranges: Vec::new(), cone: Some(cone), rows: None, done: false };
                        plan.parts = cover([*ra_deg, *dec_deg, *radius_deg]).into_iter().map(part).collect();
                    }
                    _ => return cannot("MAST", "this catalogue sends all its rows or none: a smaller radius is the way"),
                }
            }
            Request::Tap { adql, uploads, base, .. } => {
                if !uploads.is_empty() || !is_plain_select(adql) {
                    let what = "only a plain SELECT of one table goes in parts (no TOP, JOIN, GROUP BY, ORDER BY, UNION or upload); add conditions to the query so that less comes, or run it asynchronously";
                    return cannot(base, what);
                }
                let Some([ra, dec]) = tap_position(adql, sample) else {
                    return cannot(
                        base,
                        "no columns with positions were found in the answer to split it by; add conditions to the query so that less comes",
                    );
                };
                plan.axes = sky(&ra, &dec);
            }
            _ => return cannot("This service", "its searches do not go in parts"),
        }
        Ok(plan)
    }

    /// Halves until every part is below the limit.
    fn split(&self, mut plan: Plan, most: u64, cancelled: Cancelled, say: &mut dyn FnMut(usize)) -> Result<Plan> {
        let total = plan.total.unwrap_or(0);
        let whole = Part { ranges: plan.axes.iter().map(|a| a.whole).collect(), cone: None, rows: Some(total), done: false };
        let mut open = vec![(whole, 0)];
        let mut done: Vec<Part> = Vec::new();
        while let Some((part, axis)) = open.pop() {
            let rows = part.rows.unwrap_or(0);
            if rows <= most {
                if rows > 0 {
                    done.push(part);
                }
                continue;
            }
            if done.len() + open.len() > MOST_PARTS {
                let what = format!("{total} rows are more than {MOST_PARTS} parts; add a filter or a position");
                return Err(Error::Unsupported { service: crate::service_of(&plan.base), what });
            }
            // The first axis that loses no row; else the one that loses least.
            let mut best: Option<(u64, usize, [Part; 2])> = None;
            for step in 0..plan.axes.len() {
                let axis = (axis + step) % plan.axes.len();
                let [low, high] = part.ranges[axis];
                if !plan.free(axis) || high - low < plan.axes[axis].smallest {
                    continue;
                }
                let middle = (low + high) / 2.0;
                let mut halves = [part.clone(), part.clone()];
                // Both borders of a range belong to it: the halves shall not share one, or rows on it would hide rows that are lost.
                halves[0].ranges[axis][1] = middle.next_down();
                halves[1].ranges[axis][0] = middle;
                for half in &mut halves {
                    // What is counted has no limit.
                    half.rows = None;
                    half.rows = Some(self.count_part(&plan.request(half), cancelled)?);
                }
                let lost = rows.saturating_sub(halves.iter().filter_map(|h| h.rows).sum());
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
            let parted = first.rows.max(second.rows).unwrap_or(0) < rows / 50 * 49;
            let next = if parted { axis } else { (axis + 1) % plan.axes.len() };
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
            Request::MastCone { radius_deg, .. } | Request::MastCatalog { radius_deg, .. } => *radius_deg <= SMALL_DEG,
            Request::MastFiltered { position: Some((_, _, radius)), .. } => *radius <= SMALL_DEG,
            _ => false,
        };
        let counted = !matches!(request, Request::MastCatalog { catalog, .. }
            if !matches!(catalog.trim().to_ascii_lowercase().as_str(), "tic" | "ctl"));
        if small || !counted || request.max_rows().is_some_and(|m| m <= wall / 2) {
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
        out.send(Event::Note(format!(
            "MAST counts {} rows, more than it sends at once: the search goes in parts",
            thousands(total)
        )));
        let mut plan = Self::start_of_plan(request, None)?;
        plan.total = Some(total);
        let most = (wall as u64 / 2).max(1);
        let plan = self.split(plan, most, cancelled, &mut |parts| {
            out.send(Event::Progress { stage: "planning".into(), done: parts as u64, of: None });
        })?;
        self.search_parts(plan, cancelled, out)
    }

    /// The parts that are not here yet.
    pub(crate) fn search_parts(&self, plan: Plan, cancelled: Cancelled, out: &Out) -> Result<Answer> {
        let url = match &*plan.base {
            Request::Tap { base, .. } => base.clone(),
            _ => self.services().mast.clone(),
        };
        let mut answer = Answer { text: plan.to_string(), url, ..Answer::default() };
        if plan.unplaced > 0 {
            let warning = format!(
                "{} rows have no value on the axes of the parts (position, time) and lie in none; search for them by another filter",
                plan.unplaced
            );
            answer.warnings.push(warning);
            answer.truncated = true;
        }
        out.send(Event::Plan(plan.shown()));
        let start = out.rows();
        let plan = std::cell::RefCell::new(plan);
        let from_start = plan.borrow().done() == 0 && plan.borrow().seen.is_empty() && plan.borrow().held.is_empty();
        let left_over = |source: Error, plan: &std::cell::RefCell<Plan>| match source {
            Error::Cancelled => Error::Cancelled,
            source => {
                let source = match source {
                    Error::CutOff { service, .. } => Error::CutOff { service, rows: out.rows() },
                    other => other,
                };
                Error::PartsLeft { plan: Box::new(plan.borrow().shown()), source: Box::new(source) }
            }
        };
        loop {
            let Some((i, part)) = plan.borrow().parts.iter().enumerate().find(|(_, p)| !p.done).map(|(i, p)| (i, p.clone()))
            else {
                break;
            };
            // A person may have ended it between two parts.
            if cancelled() {
                return Err(Error::Cancelled);
            }
            let most = plan.borrow().max_rows;
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
                        // An empty part has nothing to add, but the first says what columns there are.
                        if table.rows() > 0 || out.rows() == 0 {
                            out.send(Event::Rows(table));
                        }
                    }
                    Err(error) => failed = Some(error),
                },
                Event::Early(table) => {
                    // Seen, not taken: the whole page will come.
                    let mut glimpse = Plan { seen: HashSet::new(), held: HashMap::new(), ..plan.borrow().shown() };
                    glimpse.id = None;
                    let known = plan.borrow().known(&table);
                    let table = if known.is_empty() { Ok(table) } else { table.take(&known.not()) };
                    if let Ok(table) = table.map_err(Error::from).and_then(|t| glimpse.fresh(t)) {
                        out.send(Event::Early(table));
                    }
                }
                other => out.send(other),
            };
            let part_out = Out::new(&mut on);
            let came = match &request {
                Request::Tap { .. } => self.search_vo(&request, cancelled, &part_out),
                _ => self.search_mast(&request, cancelled, &part_out),
            };
            match failed.map_or(came, Err) {
                Ok(part_answer) => {
                    if let (true, Some(cone)) = (part_answer.truncated, part.cone)
                        && cone[2] / 2.0 > SMALLEST_CONE_DEG
                    {
                        // It came full: what it holds is asked for in seven smaller ones.
                        let smaller = |cone| Part { cone: Some(cone), ..part.clone() };
                        plan.borrow_mut().parts.splice(i..=i, cover(cone).into_iter().map(smaller));
                        if plan.borrow().parts.len() > MOST_PARTS {
                            let what = format!("there are more than {MOST_PARTS} parts; take a smaller radius");
                            let source = Error::Unsupported { service: crate::service_of(&plan.borrow().base), what };
                            return Err(left_over(source, &plan));
                        }
                        out.send(Event::Plan(plan.borrow().shown()));
                        continue;
                    }
                    answer.truncated |= part_answer.truncated;
                    for warning in part_answer.warnings {
                        if !answer.warnings.contains(&warning) {
                            answer.warnings.push(warning);
                        }
                    }
                }
                Err(source) => return Err(left_over(source, &plan)),
            }
            // Where the person's limit cut it, the part is not whole.
            if most.is_some_and(|m| out.rows() - start >= m) && answer.truncated {
                break;
            }
            plan.borrow_mut().parts[i].done = true;
            out.send(Event::Plan(plan.borrow().shown()));
            let (done, of) = (plan.borrow().done() as u64, plan.borrow().parts.len() as u64);
            out.send(Event::Progress { stage: "parts".into(), done, of: Some(of) });
        }
        let plan = plan.into_inner();
        let came = (out.rows() - start) as u64;
        let placed = plan.total.map_or(0, |total| total - plan.unplaced.min(total));
        if from_start && came < placed && plan.max_rows.is_none_or(|m| came < m as u64) {
            answer.truncated = true;
            answer.warnings.push(format!("{placed} rows were counted in the parts and {came} came"));
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_cones_cover_one() {
        for whole in [[10.0, 20.0, 0.5], [359.9, -75.0, 2.0], [0.1, 89.9, 1.0], [123.0, 0.0, 0.01]] {
            let cones = cover(whole);
            assert_eq!(cones.len(), 7);
            for k in 0..200 {
                for share in [0.0, 0.3, 0.5, 0.8, 0.95, 1.0] {
                    let (angle, away) = (f64::from(k) * 0.0314159, (whole[2] * share).to_radians());
                    let d = whole[1].to_radians();
                    let dec = (d.sin() * away.cos() + d.cos() * away.sin() * angle.cos()).asin();
                    let ra = whole[0] + (angle.sin() * away.sin() * d.cos()).atan2(away.cos() - d.sin() * dec.sin()).to_degrees();
                    let at = [ra, dec.to_degrees()];
                    assert!((separation(at, [whole[0], whole[1]]) - whole[2] * share).abs() < 1e-7);
                    assert!(cones.iter().any(|c| separation(at, [c[0], c[1]]) <= c[2]), "{whole:?} {at:?}");
                }
            }
        }
    }

    #[test]
    fn the_columns_of_positions_are_found_in_a_query() {
        let of = |adql: &str| tap_position(adql, None);
        let cone = "SELECT * FROM t WHERE 1 = CONTAINS(POINT('ICRS', t.ra, t.\"dec\"), CIRCLE('ICRS', 1, 2, 3))";
        assert_eq!(of(cone), None, "a quoted name is not touched");
        let cone = "SELECT * FROM t WHERE 1 = CONTAINS(POINT('ICRS', raj2000, dej2000), CIRCLE('ICRS', 1, 2, 3))";
        assert_eq!(of(cone), Some(["raj2000".into(), "dej2000".into()]));
        assert_eq!(of("SELECT a FROM t"), None);
    }
}
