//! A TAP service whose tables are the samples, and `obscore`, one row with links behind it.
//!
//! `SELECT [TOP n] columns FROM table [WHERE predicate]` is answered with those rows, TAP_SCHEMA with tables and columns, a join
//! with an uploaded list by position (the form that the program sends) with the rows near the list's; anything else with an ADQL
//! error as services send it. A query is answered at once (`/sync`) or as a job (`/async`, UWS 1.1), which waits for a second and
//! runs for three.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use asterism_archive::replay::{Manner, Reply, Route, Seen};
use asterism_data::crossmatch::{Find, Positions, cross_match};
use asterism_data::{ColumnMeta, Expr, RowSet, Table};
use asterism_session::sample;

use super::{error, escaped, votable};

/// A job waits so long before it runs.
const QUEUED: Duration = Duration::from_secs(1);
/// And has ended so long after it was started.
const ENDED: Duration = Duration::from_secs(4);

/// A query with what came beside it.
#[derive(Clone)]
struct Query {
    adql: String,
    most: Option<usize>,
    /// Uploaded tables, by name.
    uploads: Vec<(String, Vec<u8>)>,
    /// This server, for addresses in answers.
    host: String,
}

#[derive(Clone)]
struct Job {
    id: String,
    query: Query,
    made: String,
    started: Option<Instant>,
    aborted: bool,
}

impl Job {
    fn phase(&self) -> &'static str {
        match self.started.map(|s| s.elapsed()) {
            _ if self.aborted => "ABORTED",
            None => "PENDING",
            Some(t) if t < QUEUED => "QUEUED",
            Some(t) if t < ENDED => "EXECUTING",
            Some(_) if table_of(&self.query).is_ok() => "COMPLETED",
            Some(_) => "ERROR",
        }
    }

    fn document(&self) -> String {
        let (phase, why) = (self.phase(), table_of(&self.query).err());
        let summary = match (phase, why) {
            ("ERROR", Some(why)) => {
                format!(
                    "<uws:errorSummary type=\"fatal\" hasDetail=\"false\"><uws:message>{}</uws:message></uws:errorSummary>",
                    escaped(&why)
                )
            }
            _ => String::new(),
        };
        let results = match phase {
            "COMPLETED" => format!(
                "<uws:results><uws:result id=\"result\" xlink:href=\"http://{}/tap/async/{}/results/result\"/></uws:results>",
                self.query.host, self.id
            ),
            _ => String::new(),
        };
        format!(
            "<uws:job xmlns:uws=\"http://www.ivoa.net/xml/UWS/v1.0\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" version=\"1.1\">\
             <uws:jobId>{}</uws:jobId><uws:phase>{phase}</uws:phase><uws:creationTime>{}</uws:creationTime>\
             <uws:parameters><uws:parameter id=\"QUERY\">{}</uws:parameter></uws:parameters>{results}{summary}</uws:job>",
            self.id,
            self.made,
            escaped(&self.query.adql)
        )
    }
}

/// The routes of the service.
pub fn routes(manner: Manner) -> Vec<Route> {
    let jobs: Arc<Mutex<Vec<Job>>> = Arc::default();
    let mut routes = vec![
        Route::new("POST", "/tap/sync", move |seen, _| Some(answer(&Query::of(seen), manner))),
        Route::new("GET", "/tap/sync", move |seen, _| Some(answer(&Query::of(seen), manner))),
        Route::new("GET", "/tap/examples", |_, _| Some(Reply::bytes(EXAMPLES).header("Content-Type", "application/xhtml+xml"))),
    ];
    for method in ["POST", "GET", "DELETE"] {
        let jobs = jobs.clone();
        routes.push(Route::new(method, "/tap/async", move |seen, _| Some(job(&jobs, seen, manner))));
    }
    routes
}

/// Queries that this service gives as examples.
const EXAMPLES: &str = "<html xmlns=\"http://www.w3.org/1999/xhtml\"><body vocab=\"ivo://ivoa.net/std/DALI-examples#\">\
<div typeof=\"example\" resource=\"#rr\"><h2 property=\"name\">RR Lyrae stars of short period</h2>\
<pre property=\"query\">SELECT TOP 5000 id, ra, dec, class, period, i_mag, v_i, amplitude FROM ogle3\n  WHERE class = 'RR Lyr' AND period &lt; 0.5</pre></div>\
<div typeof=\"example\" resource=\"#dwarfs\"><h2 property=\"name\">Spectra of dwarfs cooler than L0</h2>\
<pre property=\"query\">SELECT * FROM spex\n  WHERE spt &gt; 20</pre></div>\
<div typeof=\"example\" resource=\"#links\"><h2 property=\"name\">An image with links behind it</h2>\
<pre property=\"query\">SELECT * FROM obscore</pre></div></body></html>";

fn see_other(seen: &Seen, id: &str) -> Reply {
    Reply::redirect(303, &format!("http://{}/tap/async/{id}", seen.header("host").unwrap_or_default()))
}

/// What UWS asks of a list of jobs and of one of them.
fn job(jobs: &Mutex<Vec<Job>>, seen: &Seen, manner: Manner) -> Reply {
    let Ok(mut jobs) = jobs.lock() else { return Reply::bytes("").status(500) };
    let words: Vec<&str> = seen.path().trim_start_matches("/tap/async").split('/').filter(|w| !w.is_empty()).collect();
    let xml = |text: String| Reply::bytes(text).header("Content-Type", "application/xml");
    let Some(id) = words.first() else {
        if seen.method == "POST" {
            let query = Query::of(seen);
            let id = format!("{}", jobs.len() + 1);
            let started = (seen.form("PHASE").as_deref() == Some("RUN")).then(Instant::now);
            jobs.push(Job { id: id.clone(), query, made: now(), started, aborted: false });
            return see_other(seen, &id);
        }
        let list: String = jobs
            .iter()
            .filter(|j| !j.id.is_empty())
            .map(|j| {
                format!(
                    "<uws:jobref id=\"{}\"><uws:phase>{}</uws:phase><uws:creationTime>{}</uws:creationTime></uws:jobref>",
                    j.id,
                    j.phase(),
                    j.made
                )
            })
            .collect();
        return xml(format!("<uws:jobs xmlns:uws=\"http://www.ivoa.net/xml/UWS/v1.0\" version=\"1.1\">{list}</uws:jobs>"));
    };
    let Some(job) = jobs.iter_mut().find(|j| j.id == *id) else {
        return Reply::bytes("no such job").status(404);
    };
    match (seen.method.as_str(), words.get(1).copied()) {
        ("DELETE", None) => {
            job.id.clear();
            Reply::redirect(303, &format!("http://{}/tap/async", seen.header("host").unwrap_or_default()))
        }
        ("POST", Some("phase")) => {
            match seen.form("PHASE").as_deref() {
                Some("RUN") if job.started.is_none() => job.started = Some(Instant::now()),
                Some("ABORT") => job.aborted |= !matches!(job.phase(), "COMPLETED" | "ERROR"),
                _ => {}
            }
            see_other(seen, id)
        }
        (_, None) => xml(job.document()),
        (_, Some("phase")) => Reply::bytes(job.phase()),
        (_, Some("results")) if job.phase() == "COMPLETED" => answer(&job.query, manner),
        (_, Some("error")) if job.phase() == "ERROR" => answer(&job.query, manner).status(200),
        _ => Reply::bytes("nothing there").status(404),
    }
}

/// The time, UTC, as UWS writes it.
fn now() -> String {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a date (Fliegel and Van Flandern 1968).
    let mut l = days as i64 + 2_440_588 + 68_569;
    let n = 4 * l / 146_097;
    l -= (146_097 * n + 3) / 4;
    let i = 4000 * (l + 1) / 1_461_001;
    l = l - 1461 * i / 4 + 31;
    let j = 80 * l / 2447;
    let day = l - 2447 * j / 80;
    let month = j + 2 - 12 * (j / 11);
    let year = 100 * (n - 49) + i + j / 11;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

impl Query {
    fn of(seen: &Seen) -> Self {
        let host = seen.header("host").unwrap_or_default().to_owned();
        let kind = seen.header("content-type").unwrap_or_default();
        if let Some(boundary) = kind.split("boundary=").nth(1) {
            return Self { host, ..Self::of_parts(&parts(&seen.body, boundary.trim_matches('"'))) };
        }
        let value = |key: &str| seen.form(key).or_else(|| seen.query(key));
        Self {
            adql: value("QUERY").unwrap_or_default(),
            most: value("MAXREC").and_then(|t| t.parse().ok()),
            uploads: Vec::new(),
            host,
        }
    }

    /// Of a form of several parts, which is how lists are uploaded.
    fn of_parts(parts: &[(String, Vec<u8>)]) -> Self {
        let part = |key: &str| parts.iter().find(|(n, _)| n.eq_ignore_ascii_case(key)).map(|(_, v)| v.as_slice());
        let text = |key: &str| part(key).map(|v| String::from_utf8_lossy(v).into_owned());
        // UPLOAD=name,param:part
        let uploads = parts
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case("UPLOAD"))
            .filter_map(|(_, v)| {
                let said = String::from_utf8_lossy(v).into_owned();
                let (name, from) = said.split_once(",param:")?;
                Some((name.to_owned(), part(from)?.to_vec()))
            })
            .collect();
        Self {
            adql: text("QUERY").unwrap_or_default(),
            most: text("MAXREC").and_then(|t| t.parse().ok()),
            uploads,
            host: String::new(),
        }
    }
}

/// The parts of a body of `multipart/form-data`, by name.
fn parts(body: &[u8], boundary: &str) -> Vec<(String, Vec<u8>)> {
    let mark = format!("--{boundary}").into_bytes();
    let find = |from: usize, what: &[u8]| body[from..].windows(what.len()).position(|w| w == what).map(|i| from + i);
    let mut found = Vec::new();
    let mut at = find(0, &mark);
    while let Some(start) = at {
        let Some(next) = find(start + mark.len(), &mark) else { break };
        let part = &body[start + mark.len()..next];
        if let Some(end) = part.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&part[..end]).into_owned();
            let name = head.split("name=\"").nth(1).and_then(|t| t.split('"').next()).unwrap_or_default().to_owned();
            found.push((name, part[end + 4..part.len().saturating_sub(2)].to_vec()));
        }
        at = Some(next);
    }
    found
}

fn answer(query: &Query, manner: Manner) -> Reply {
    match table_of(query).and_then(|table| super::written(&table)) {
        Ok(bytes) => votable(bytes).manner(manner),
        Err(why) => error(&why),
    }
}

/// A table of this service.
fn named(name: &str, query: &Query) -> Result<Table, String> {
    match name.to_ascii_uppercase().as_str() {
        "TAP_SCHEMA.TABLES" => tables(),
        "TAP_SCHEMA.COLUMNS" => columns(),
        "OBSCORE" | "IVOA.OBSCORE" => obscore(&query.host),
        other => {
            let known = sample::by_name(&other.to_ascii_lowercase());
            let known = known.ok_or_else(|| format!("Unknown table \"{name}\" (there are {} and obscore)", sample::names()))?;
            sample::table(known).map_err(|e| e.to_string())
        }
    }
}

fn table_of(query: &Query) -> Result<Table, String> {
    let flat = query.adql.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.to_ascii_uppercase().contains(" FROM TAP_UPLOAD.") {
        return joined(&flat, query);
    }
    let most = query.most;
    let upper = flat.to_ascii_uppercase();
    let rest = upper.strip_prefix("SELECT ").ok_or("only SELECT is known here")?;
    let from = rest.find(" FROM ").ok_or("FROM is missing")? + "SELECT ".len();
    let mut list = flat["SELECT ".len()..from].trim();
    let after = flat[from + " FROM ".len()..].trim();
    let at = after.to_ascii_uppercase().find(" WHERE ");
    let (name, condition) = at.map_or((after, None), |i| (after[..i].trim(), Some(&after[i + " WHERE ".len()..])));
    let mut top = most;
    if let Some(more) = list.to_ascii_uppercase().strip_prefix("TOP ").map(str::len) {
        let tail = list[list.len() - more..].trim_start();
        let (n, columns) = tail.split_once(' ').ok_or("TOP has no columns behind it")?;
        let n: usize = n.parse().map_err(|_| format!("TOP {n} is no number"))?;
        top = Some(top.map_or(n, |t| t.min(n)));
        list = columns.trim();
    }
    let table = named(name, query)?;
    let table = match condition {
        Some(text) => {
            let rows = Expr::parse(text).and_then(|e| e.rows(&table)).map_err(|e| e.to_string())?;
            table.take(&rows).map_err(|e| e.to_string())?
        }
        None => table,
    };
    if list.to_ascii_uppercase().replace(' ', "").starts_with("COUNT(*)") {
        let mut counted = Table::default();
        counted.with_string_column("n", vec![table.rows().to_string()], ColumnMeta::default()).map_err(|e| e.to_string())?;
        return Ok(counted);
    }
    let table = match top {
        Some(n) if n < table.rows() => {
            // Every so manieth, so that few rows show the whole.
            let chosen = RowSet::from_rows(table.rows(), (0..n).map(|i| i * table.rows() / n));
            let mut part = table.take(&chosen).map_err(|e| e.to_string())?;
            part.truncated = most == Some(n);
            part
        }
        _ => table,
    };
    if list == "*" {
        return Ok(table);
    }
    let names: Vec<String> = list.split(',').map(|c| c.trim().trim_matches('"').to_owned()).collect();
    table.select(&names).map_err(|e| e.to_string())
}

/// `SELECT t.* FROM TAP_UPLOAD.list AS u JOIN table AS t ON 1 = CONTAINS(POINT('ICRS', t.ra, t.dec), CIRCLE('ICRS', u.ra, u.dec, r))`.
fn joined(flat: &str, query: &Query) -> Result<Table, String> {
    let word = |after: &str| flat.split(after).nth(1).and_then(|t| t.split([' ', ',', ')']).find(|w| !w.is_empty()));
    let list = word("TAP_UPLOAD.").ok_or("which upload is joined?")?;
    let name = word("JOIN ").ok_or("JOIN is missing")?;
    let radius = flat.trim_end_matches([')', ' ']).rsplit([',', ' ']).next().and_then(|t| t.parse::<f64>().ok());
    let radius = radius.ok_or("a join is by CIRCLE with a number for its radius")?;
    let point = flat.split("POINT(").nth(1).and_then(|t| t.split(')').next()).ok_or("a join is by POINT")?;
    let columns: Vec<&str> =
        point.split(',').skip(1).map(|c| c.trim().rsplit('.').next().unwrap_or("").trim_matches('"')).collect();
    let [ra, dec] = columns[..] else { return Err("POINT has two columns".into()) };
    let bytes =
        &query.uploads.iter().find(|(n, _)| n.eq_ignore_ascii_case(list)).ok_or(format!("no table {list} was uploaded"))?.1;
    let mut sent = None;
    asterism_data::read_votable_batches(bytes.as_slice(), "upload", usize::MAX, &mut |table| {
        sent.get_or_insert(table);
        std::ops::ControlFlow::Continue(())
    })
    .map_err(|e| e.to_string())?;
    let sent = sent.ok_or("the upload has no rows")?;
    let table = named(name, query)?;
    let mine = Positions::of(&sent, Some(("ra", "dec"))).map_err(|e| e.to_string())?;
    let theirs = Positions::of(&table, Some((ra, dec))).map_err(|e| e.to_string())?;
    let pairs = cross_match(&mine, &theirs, radius * 3600.0, Find::All, &|_, _, _| true).map_err(|e| e.to_string())?;
    let near = RowSet::from_rows(table.rows(), pairs.pairs.iter().map(|p| p.b as usize));
    table.take(&near).map_err(|e| e.to_string())
}

fn strings(columns: &[(&str, Vec<String>)]) -> Result<Table, String> {
    let mut table = Table::default();
    for (name, values) in columns {
        table.with_string_column(name, values.clone(), ColumnMeta::default()).map_err(|e| e.to_string())?;
    }
    Ok(table)
}

fn tables() -> Result<Table, String> {
    let list = sample::list();
    let column = |f: fn(&sample::Sample) -> &String, last: &str| {
        list.iter().map(|s| f(s).clone()).chain([last.to_owned()]).collect::<Vec<_>>()
    };
    strings(&[
        ("table_name", column(|s| &s.name, "obscore")),
        ("description", column(|s| &s.title, "Data products, with links behind them")),
    ])
}

fn columns() -> Result<Table, String> {
    let mut cells: [Vec<String>; 6] = Default::default();
    let mut add = |name: &str, table: &Table| {
        for meta in table.columns() {
            let text = |v: &Option<String>| v.clone().unwrap_or_default();
            let row = [
                name.to_owned(),
                meta.name.clone(),
                meta.datatype.clone(),
                text(&meta.unit),
                text(&meta.ucd),
                text(&meta.description),
            ];
            cells.iter_mut().zip(row).for_each(|(c, v)| c.push(v));
        }
    };
    for s in sample::list() {
        add(&s.name, &sample::table(s).map_err(|e| e.to_string())?);
    }
    add("obscore", &obscore("")?);
    let names = ["table_name", "column_name", "datatype", "unit", "ucd", "description"];
    strings(&names.into_iter().zip(cells).collect::<Vec<_>>())
}

/// One row of ObsCore 1.1: the image of the sample `a478`, behind a document of links.
fn obscore(host: &str) -> Result<Table, String> {
    let csv = format!(
        "dataproduct_type,obs_collection,obs_id,target_name,s_ra,s_dec,access_format,access_url\n\
         image,Samples,a478,Abell 478,63.3553,10.4654,application/x-votable+xml;content=datalink,http://{host}/links?ID=a478\n"
    );
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let path: PathBuf = folder.path().join("obscore.csv");
    std::fs::write(&path, csv).map_err(|e| e.to_string())?;
    asterism_data::read_table(&path).map_err(|e| e.to_string())
}
