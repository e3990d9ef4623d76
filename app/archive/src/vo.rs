//! The Virtual Observatory: TAP (synchronous, and asynchronous as a UWS job), cone search, SIA, SSA, and the tables of a TAP service.
//!
//! An answer is read as it comes: the reader of VOTable pulls from the open connection and every batch of rows goes on at once.
//! Whatever the status line says, the document itself is looked at: `QUERY_STATUS` ERROR wins over a table beside it, and OVERFLOW
//! after the table says that there is more. A connection that breaks, with or without a word from TCP, ends as
//! [`Error::CutOff`] with the rows that had come handed on.
//!
//! A job's result is fetched from `<job>/results/result` as the TAP standard lays down, and only if there is nothing there from
//! the address in the job document: services behind proxies write addresses into it that cannot be reached from outside.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use asterism_data::{RowSet, Table};
use quick_xml::events::Event as Xml;
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};

use crate::http::{Body, Call, Cancelled, Out, same_scheme};
use crate::text::{describe_other, is_whole_xml, json_message, looks_like_html, squeeze, votable_status};
use crate::{Answer, Client, Error, Event, Request, Result, check_position};

/// Rows of one batch: small enough to be seen at once, large enough to cost nothing.
const BATCH_ROWS: usize = 2000;

/// A column of a TAP service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TapColumn {
    /// As it stands in a query (quoted if need be).
    pub name: String,
    /// ADQL or VOTable type.
    pub datatype: String,
    /// Unit.
    pub unit: String,
    /// Unified Content Descriptor.
    pub ucd: String,
    /// For a person.
    pub description: String,
}

/// A table of a TAP service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TapTable {
    /// As it stands in a query, with its schema.
    pub name: String,
    /// For a person.
    pub description: String,
    /// Columns in the service's order.
    pub columns: Vec<TapColumn>,
}

/// What a TAP service holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TapSchema {
    /// Tables in the service's order.
    pub tables: Vec<TapTable>,
}

/// What the document of a job says (UWS 1.0 and 1.1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Job {
    /// PENDING, QUEUED, EXECUTING, COMPLETED, ERROR, ABORTED, ...
    pub phase: String,
    /// Id and address of each result.
    pub results: Vec<(String, String)>,
    /// Message of the error summary.
    pub error: Option<String>,
}

struct ReadEnd {
    truncated: bool,
    warnings: Vec<String>,
}

impl Client {
    /// Reads a VOTable answer and hands its rows on; `limit` rows at most.
    fn read_answer(
        &self,
        response: crate::http::Response,
        limit: Option<usize>,
        cancelled: Cancelled,
        out: &Out,
    ) -> Result<ReadEnd> {
        let service = response.service.clone();
        let mut body = Body::new(&self.http, response, cancelled, Some(out));
        let head = body.peek();
        if let Some(error) = body.failed.take() {
            return Err(error);
        }
        let gzip = head.starts_with(&[0x1f, 0x8b]);
        if !gzip && (head.first() != Some(&b'<') || looks_like_html(&head)) {
            let mut all = Vec::new();
            let _ = std::io::Read::read_to_end(&mut std::io::Read::take(&mut body, 65_536), &mut all);
            if let Some(Error::Cancelled) = body.failed {
                return Err(Error::Cancelled);
            }
            if let Some(message) = json_message(&String::from_utf8_lossy(&all)) {
                return Err(Error::Service { service, message });
            }
            return Err(Error::not_a_table(&service, describe_other(&all)));
        }
        let start = out.rows();
        let cut = Cell::new(false);
        let seen = Cell::new(false);
        let mut hand_on = |table: Table| {
            if cancelled() {
                return ControlFlow::Break(());
            }
            seen.set(true);
            let left = limit.map_or(usize::MAX, |l| l.saturating_sub(out.rows() - start));
            let over = table.rows() > left;
            let table = if over {
                match table.take(&RowSet::from_fn(table.rows(), |r| r < left)) {
                    Ok(table) => table,
                    Err(_) => return ControlFlow::Break(()),
                }
            } else {
                table
            };
            out.send(Event::Rows(table));
            if over {
                cut.set(true);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        let read = if gzip {
            // A compressed file from a server that does not say so in its headers.
            let limit = body.limit;
            let mut unpacked = std::io::Read::take(flate2::bufread::MultiGzDecoder::new(&mut body), limit);
            let read =
                asterism_data::read_votable_batches(std::io::BufReader::new(&mut unpacked), &service, BATCH_ROWS, &mut hand_on);
            if unpacked.limit() == 0 && !cut.get() && !cancelled() {
                return Err(Error::TooLarge { service, bytes: limit });
            }
            read
        } else {
            asterism_data::read_votable_batches(&mut body, &service, BATCH_ROWS, &mut hand_on)
        };
        if cancelled() {
            return Err(Error::Cancelled);
        }
        if let Some(failed) = body.failed.take() {
            return Err(failed);
        }
        let mut status = votable_status(&String::from_utf8_lossy(&body.head));
        if body.read as usize > body.head.len() {
            status.status.extend(votable_status(&String::from_utf8_lossy(&body.tail)).status);
        }
        if let Some(message) = status.error_message() {
            return Err(Error::Service { service, message });
        }
        let end = match read {
            Ok(end) => end,
            Err(error) => return Err(Error::not_a_table(&service, words_of(error, &service))),
        };
        if !seen.get() {
            return Err(Error::not_a_table(&service, "a document without a table"));
        }
        let overflow = status.overflow()
            || end.query_status.as_deref().is_some_and(|s| s.trim_start().to_ascii_uppercase().starts_with("OVERFLOW"));
        // A server that ends the connection in silence: the document has no end.
        if end.truncated && !overflow && !cut.get() && !gzip && body.ended && !ends_like_a_votable(&body.tail) {
            return Err(Error::CutOff { service, rows: 0 });
        }
        let mut warnings = end.warnings;
        warnings.extend(status.errors);
        Ok(ReadEnd { truncated: cut.get() || overflow || end.truncated, warnings })
    }

    pub(crate) fn search_vo(&self, request: &Request, cancelled: Cancelled, out: &Out) -> Result<Answer> {
        match request {
            Request::Tap { base, adql, asynchronous, max_rows, uploads } => {
                let base = tap_base(base);
                if adql.trim().is_empty() {
                    return Err(Error::Unsupported { service: base, what: "the query is empty".into() });
                }
                if let Some(job) = job_address(adql) {
                    self.tap_job(job, *max_rows, cancelled, out)
                } else if *asynchronous {
                    self.tap_async(&base, adql, *max_rows, uploads, cancelled, out)
                } else {
                    self.tap_sync(&base, adql, *max_rows, uploads, cancelled, out)
                }
            }
            Request::Cone { base, ra_deg, dec_deg, radius_deg, max_rows } => {
                check_position(*ra_deg, *dec_deg, *radius_deg)?;
                let pairs = vec![("RA", ra_deg.to_string()), ("DEC", dec_deg.to_string()), ("SR", radius_deg.to_string())];
                self.simple_get(base, pairs, *max_rows, cancelled, out)
            }
            Request::Sia { base, ra_deg, dec_deg, radius_deg, max_rows } => {
                check_position(*ra_deg, *dec_deg, *radius_deg)?;
                let pairs = if is_sia2(base) {
                    vec![("POS", format!("CIRCLE {ra_deg} {dec_deg} {radius_deg}"))]
                } else {
                    vec![
                        ("POS", format!("{ra_deg},{dec_deg}")),
                        ("SIZE", (2.0 * radius_deg).to_string()),
                        ("FORMAT", "ALL".into()),
                    ]
                };
                self.simple_get(base, pairs, *max_rows, cancelled, out)
            }
            Request::Ssa { base, ra_deg, dec_deg, radius_deg, max_rows } => {
                check_position(*ra_deg, *dec_deg, *radius_deg)?;
                let pairs = vec![
                    ("REQUEST", "queryData".into()),
                    ("POS", format!("{ra_deg},{dec_deg}")),
                    ("SIZE", (2.0 * radius_deg).to_string()),
                ];
                self.simple_get(base, pairs, *max_rows, cancelled, out)
            }
            Request::Sia2 { .. } => self.search_sia2(request, cancelled, out),
            Request::DataLink { url, ids } => self.search_datalink(url, ids, cancelled, out),
            Request::Registry { .. } => self.search_registry(request, cancelled, out),
            _ => Err(Error::Unsupported { service: "The Virtual Observatory".into(), what: "this is a request to MAST".into() }),
        }
    }

    /// Cone, SIA and SSA: one GET with the parameters behind the base address.
    pub(crate) fn simple_get(
        &self,
        base: &str,
        mut pairs: Vec<(&str, String)>,
        max_rows: Option<usize>,
        cancelled: Cancelled,
        out: &Out,
    ) -> Result<Answer> {
        if let Some(max) = max_rows {
            pairs.push(("MAXREC", max.to_string()));
        }
        let mut url = self.http.url(&base.replace("&amp;", "&"))?;
        // The base may hold parameters already; ours replace those of the same name.
        let kept: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(k, _)| !k.is_empty() && !pairs.iter().any(|(p, _)| p.eq_ignore_ascii_case(k)))
            .map(|(k, v)| (k.into_owned(), v.into_owned()))
            .collect();
        let text = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("&");
        {
            let mut query = url.query_pairs_mut();
            query.clear().extend_pairs(kept).extend_pairs(pairs);
        }
        let mut answer = Answer { text, url: url.to_string(), ..Answer::default() };
        let response = self.http.send(&Call::get(url).accept("application/x-votable+xml, text/xml, */*"), cancelled)?;
        let end = self.read_answer(response, max_rows, cancelled, out)?;
        answer.truncated = end.truncated;
        answer.warnings = end.warnings;
        Ok(answer)
    }

    /// The form of a query, multipart where tables go along.
    fn tap_call(
        &self,
        url: Url,
        adql: &str,
        max_rows: Option<usize>,
        uploads: &[(String, PathBuf)],
        cancelled: Cancelled,
    ) -> Result<Call> {
        let max = max_rows.map(|m| m.to_string());
        let mut fields = vec![("REQUEST", "doQuery"), ("LANG", "ADQL"), ("RESPONSEFORMAT", "votable"), ("QUERY", adql)];
        if let Some(max) = &max {
            fields.push(("MAXREC", max));
        }
        let accept = "application/x-votable+xml, text/xml, */*";
        if uploads.is_empty() {
            return Ok(Call::post_form(url, &fields).accept(accept));
        }
        let mut tables = Vec::new();
        for (name, path) in uploads {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
            let head = String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]).into_owned();
            if !head.contains("VOTABLE") {
                let what = format!("{} is no VOTable; save the table as VOTable first", path.display());
                return Err(Error::Unsupported { service: "TAP upload".into(), what });
            }
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let what = format!("'{name}' cannot name an uploaded table; use letters, digits and _");
                return Err(Error::Unsupported { service: "TAP upload".into(), what });
            }
            tables.push((name.clone(), bytes));
        }
        let mut boundary = String::from("asterism-part-0");
        for n in 1.. {
            if !tables.iter().any(|(_, b)| contains(b, boundary.as_bytes())) && !adql.contains(&boundary) {
                break;
            }
            boundary = format!("asterism-part-{n}");
        }
        let mut body = Vec::new();
        for (key, value) in &fields {
            body.extend(
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{key}\"\r\n\r\n{value}\r\n").into_bytes(),
            );
        }
        for (i, (name, bytes)) in tables.iter().enumerate() {
            let upload =
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"UPLOAD\"\r\n\r\n{name},param:table{i}\r\n");
            body.extend(upload.into_bytes());
            let part = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"table{i}\"; filename=\"{name}.vot\"\r\nContent-Type: application/x-votable+xml\r\n\r\n"
            );
            body.extend(part.into_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend(format!("--{boundary}--\r\n").into_bytes());
        let mut call = Call::get(url).accept(accept);
        call.method = Method::POST;
        call.body = Some((format!("multipart/form-data; boundary={boundary}"), body));
        Ok(call)
    }

    fn tap_sync(
        &self,
        base: &str,
        adql: &str,
        max_rows: Option<usize>,
        uploads: &[(String, PathBuf)],
        cancelled: Cancelled,
        out: &Out,
    ) -> Result<Answer> {
        let url = self.http.url(&format!("{base}/sync"))?;
        let call = self.tap_call(url.clone(), adql, max_rows, uploads, cancelled)?;
        let response = self.http.send(&call, cancelled)?;
        let end = self.read_answer(response, max_rows, cancelled, out)?;
        Ok(Answer {
            text: adql.into(),
            url: url.to_string(),
            truncated: end.truncated,
            warnings: end.warnings,
            ..Answer::default()
        })
    }

    /// Makes the job, starts it, waits for it, reads its result; ends and removes it on the server when the caller cancels.
    fn tap_async(
        &self,
        base: &str,
        adql: &str,
        max_rows: Option<usize>,
        uploads: &[(String, PathBuf)],
        cancelled: Cancelled,
        out: &Out,
    ) -> Result<Answer> {
        let url = self.http.url(&format!("{base}/async"))?;
        let call = self.tap_call(url.clone(), adql, max_rows, uploads, cancelled)?.creates();
        let response = self.http.send(&call, cancelled)?;
        let service = response.service.clone();
        let Some(job) = response.location().map(|l| same_scheme(l, &url)) else {
            let bytes = self.http.read_head(response, 65_536, cancelled)?;
            let text = String::from_utf8_lossy(&bytes);
            if let Some(message) = votable_status(&text).error_message().or_else(|| json_message(&text)) {
                return Err(Error::Service { service, message });
            }
            let what = format!("no address of a job for the query, {}", describe_other(&bytes));
            return Err(Error::not_a_table(&service, what));
        };
        let result = self.run_job(&job, true, max_rows, &service, cancelled, out);
        if let Err(Error::Cancelled) = result {
            self.drop_job(&job);
        }
        let end = result.map_err(|e| left_behind(e, &job, out.rows()))?;
        Ok(Answer {
            text: adql.into(),
            url: url.to_string(),
            truncated: end.truncated,
            warnings: end.warnings,
            job_url: Some(job.to_string()),
            ..Answer::default()
        })
    }

    /// Takes up a job that is on the server already. It was not made by this search, so a cancelled search leaves it there.
    fn tap_job(&self, address: &str, max_rows: Option<usize>, cancelled: Cancelled, out: &Out) -> Result<Answer> {
        let job = self.http.url(address)?;
        let service = self.http.service_name(&job);
        let response = self.http.send(&Call::get(job.clone()).accept("application/xml, text/xml, */*"), cancelled);
        let response = match response {
            Err(Error::Status { code: 404 | 410, .. }) => {
                return Err(Error::service(&service, format!("it knows no job {job} (any more); send the query again")));
            }
            other => other?,
        };
        let bytes = self.http.read_all(response, 4 << 20, cancelled)?;
        // One that was made and never started waits for that.
        let pending = matches!(parse_job(&String::from_utf8_lossy(&bytes)).phase.as_str(), "PENDING" | "HELD");
        let result = self.run_job(&job, pending, max_rows, &service, cancelled, out);
        let end = result.map_err(|e| left_behind(e, &job, out.rows()))?;
        Ok(Answer {
            text: address.into(),
            url: job.to_string(),
            truncated: end.truncated,
            warnings: end.warnings,
            job_url: Some(job.to_string()),
            ..Answer::default()
        })
    }

    fn drop_job(&self, job: &Url) {
        let (Ok(phase), Ok(delete)) = (self.http.url(&format!("{}/phase", trim(job))), self.http.url(&trim(job))) else { return };
        let mut remove = Call::get(delete);
        remove.method = Method::DELETE;
        self.http.farewell(vec![Call::post_form(phase, &[("PHASE", "ABORT")]), remove], Duration::from_millis(120));
    }

    fn run_job(
        &self,
        job: &Url,
        start: bool,
        max_rows: Option<usize>,
        service: &str,
        cancelled: Cancelled,
        out: &Out,
    ) -> Result<ReadEnd> {
        out.send(Event::Note(format!("Job on the server: {job}")));
        if start {
            let phase_url = self.http.url(&format!("{}/phase", trim(job)))?;
            let mut run = Call::post_form(phase_url, &[("PHASE", "RUN")]);
            run.follow = false;
            run.idempotent = false;
            self.http.send(&run, cancelled)?;
        }
        let state = self.wait_for_job(job, service, cancelled, out)?;
        match state.phase.as_str() {
            "COMPLETED" | "ARCHIVED" => {}
            "ERROR" => return Err(self.job_error(job, service, &state, cancelled)),
            "ABORTED" => {
                return Err(Error::service(service, "the job was aborted on the server (it may have run out of its time)"));
            }
            other => return Err(Error::service(service, format!("the job ended in phase {other}"))),
        }
        let accept = "application/x-votable+xml, text/xml, */*";
        let first = self.http.url(&format!("{}/results/result", trim(job)))?;
        let response = match self.http.send(&Call::get(first).accept(accept), cancelled) {
            Err(Error::Status { code, .. }) if matches!(code, 404 | 410) && !state.results.is_empty() => {
                let href = state.results.iter().find(|(id, _)| id == "result").unwrap_or(&state.results[0]).1.clone();
                let url =
                    job.join(&href).map_err(|e| Error::service(service, format!("the address of the result is wrong: {e}")))?;
                self.http.send(&Call::get(same_scheme(url, job)).accept(accept), cancelled)?
            }
            other => other?,
        };
        self.read_answer(response, max_rows, cancelled, out)
    }

    /// Looks at the job until it ends, less and less often; a server that knows WAIT answers as soon as something changes.
    fn wait_for_job(&self, job: &Url, service: &str, cancelled: Cancelled, out: &Out) -> Result<Job> {
        let start = Instant::now();
        let mut pause = self.services().poll_s.clamp(0.01, 60.0);
        let longest = pause * 10.0;
        let wait = (self.services().timeout_s / 2.0).clamp(1.0, 30.0) as u64;
        loop {
            let mut url = self.http.url(&trim(job))?;
            url.query_pairs_mut().append_pair("WAIT", &wait.to_string());
            let asked = Instant::now();
            let response = self.http.send(&Call::get(url).accept("application/xml, text/xml, */*"), cancelled)?;
            let bytes = self.http.read_all(response, 4 << 20, cancelled)?;
            let mut state = parse_job(&String::from_utf8_lossy(&bytes));
            if state.phase.is_empty() {
                // Some show a page to browsers here; the bare phase is always text.
                let response = self
                    .http
                    .send(&Call::get(self.http.url(&format!("{}/phase", trim(job)))?).accept("text/plain"), cancelled)?;
                let bytes = self.http.read_head(response, 65_536, cancelled)?;
                let text = squeeze(&String::from_utf8_lossy(&bytes)).to_ascii_uppercase();
                if !PHASES.contains(&text.as_str()) {
                    return Err(Error::not_a_table(service, format!("no state of the job, {}", describe_other(&bytes))));
                }
                state.phase = text;
            }
            if matches!(state.phase.as_str(), "COMPLETED" | "ERROR" | "ABORTED" | "ARCHIVED") {
                return Ok(state);
            }
            let what = format!("job {}", state.phase.to_lowercase());
            out.send(Event::Progress { stage: what, done: start.elapsed().as_secs(), of: None });
            if asked.elapsed().as_secs_f64() < pause {
                self.http.pause(Duration::from_secs_f64(pause), cancelled)?;
            }
            pause = (pause * 1.5).min(longest);
        }
    }

    fn job_error(&self, job: &Url, service: &str, state: &Job, cancelled: Cancelled) -> Error {
        let detail = self
            .http
            .url(&format!("{}/error", trim(job)))
            .and_then(|url| self.http.send(&Call { idempotent: false, ..Call::get(url) }, cancelled))
            .and_then(|response| self.http.read_head(response, 65_536, cancelled));
        let mut message = match detail {
            Err(Error::Cancelled) => return Error::Cancelled,
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                votable_status(&text).error_message().unwrap_or_else(|| crate::text::plain_words(&text, 400))
            }
            Err(_) => String::new(),
        };
        if let Some(summary) = &state.error
            && (message.is_empty() || state.error.as_deref().is_some_and(|s| s.contains(&message)))
        {
            message.clone_from(summary);
        }
        Error::service(service, if message.is_empty() { "the job failed and gives no reason".into() } else { message })
    }

    pub(crate) fn count_vo(&self, request: &Request, cancelled: Cancelled) -> Result<u64> {
        let Request::Tap { base, adql, uploads, .. } = request else {
            return Err(Error::Unsupported {
                service: "This service".into(),
                what: "only MAST and TAP can count before sending rows".into(),
            });
        };
        let inner = adql.trim().trim_end_matches(';');
        let query = format!("SELECT COUNT(*) AS n FROM ({inner}) AS q");
        let mut count = None;
        let mut on = |event: Event| {
            if let Event::Rows(table) = event {
                count = count.or_else(|| table.f64s(&table.columns().first()?.name).ok()?.first().copied());
            }
        };
        let base = tap_base(base);
        self.tap_sync(&base, &query, None, uploads, cancelled, &Out::new(&mut on))?;
        count.filter(|n| *n >= 0.0).map(|n| n as u64).ok_or_else(|| Error::not_a_table(&base, "an answer without a count"))
    }

    /// One query, all rows in one table.
    fn query(&self, base: &str, adql: &str, max_rows: usize, cancelled: Cancelled) -> Result<(Table, bool)> {
        let mut all: Option<Table> = None;
        let mut failed = None;
        let mut on = |event: Event| {
            if let Event::Rows(table) = event {
                match &mut all {
                    None => all = Some(table),
                    Some(all) => failed = all.append(&table).err().or(failed.take()),
                }
            }
        };
        let answer = self.tap_sync(base, adql, Some(max_rows), &[], cancelled, &Out::new(&mut on))?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        Ok((all.unwrap_or_default(), answer.truncated))
    }

    /// The tables and columns of a TAP service, by a query to TAP_SCHEMA; from its VOSI document where that fails.
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn tap_tables(&self, base: &str, cancelled: &dyn Fn() -> bool) -> Result<TapSchema> {
        let base = tap_base(base);
        match self.tap_schema(&base, cancelled) {
            Ok(schema) if !schema.tables.is_empty() => Ok(schema),
            Err(Error::Cancelled) => Err(Error::Cancelled),
            first => match self.vosi_tables(&base, cancelled) {
                Ok(schema) => Ok(schema),
                Err(Error::Cancelled) => Err(Error::Cancelled),
                // The one that says more than that there is nothing of the kind here.
                Err(second @ (Error::NotATable { .. } | Error::Status { .. })) => Err(first.err().unwrap_or(second)),
                Err(second) => Err(second),
            },
        }
    }

    fn tap_schema(&self, base: &str, cancelled: Cancelled) -> Result<TapSchema> {
        let text = |table: &Table, name: &str| -> Vec<String> {
            let strings = table.strings(name).unwrap_or_else(|_| vec![None; table.rows()]);
            strings.into_iter().map(|v| squeeze(&v.unwrap_or_default())).collect()
        };
        let (tables, _) = self.query(base, "SELECT table_name, description FROM TAP_SCHEMA.tables", 100_000, cancelled)?;
        let columns_query = "SELECT table_name, column_name, datatype, unit, ucd, description FROM TAP_SCHEMA.columns";
        let (columns, _) = self.query(base, columns_query, 200_000, cancelled)?;
        let mut schema = TapSchema::default();
        let mut at = std::collections::HashMap::new();
        for (name, description) in text(&tables, "table_name").into_iter().zip(text(&tables, "description")) {
            if !name.is_empty() && !at.contains_key(&name) {
                at.insert(name.clone(), schema.tables.len());
                schema.tables.push(TapTable { name, description, columns: Vec::new() });
            }
        }
        let (owner, name) = (text(&columns, "table_name"), text(&columns, "column_name"));
        let (kind, unit) = (text(&columns, "datatype"), text(&columns, "unit"));
        let (ucd, about) = (text(&columns, "ucd"), text(&columns, "description"));
        for i in 0..columns.rows() {
            let index = *at.entry(owner[i].clone()).or_insert_with(|| {
                schema.tables.push(TapTable { name: owner[i].clone(), ..TapTable::default() });
                schema.tables.len() - 1
            });
            schema.tables[index].columns.push(TapColumn {
                name: name[i].clone(),
                datatype: kind[i].clone(),
                unit: unit[i].clone(),
                ucd: ucd[i].clone(),
                description: about[i].clone(),
            });
        }
        Ok(schema)
    }

    fn vosi_tables(&self, base: &str, cancelled: Cancelled) -> Result<TapSchema> {
        let url = self.http.url(&format!("{base}/tables"))?;
        let response = self.http.send(&Call::get(url).accept("application/xml, text/xml, */*"), cancelled)?;
        let service = response.service.clone();
        let bytes = self.http.read_all(response, 256 << 20, cancelled)?;
        let text = String::from_utf8_lossy(&bytes);
        let schema = parse_tableset(&text);
        if !schema.tables.is_empty() && !is_whole_xml(&text) {
            return Err(Error::CutOff { service, rows: 0 });
        }
        if schema.tables.is_empty() {
            return Err(Error::not_a_table(
                &service,
                format!("no list of its tables, {}", describe_other(&bytes[..bytes.len().min(4096)])),
            ));
        }
        Ok(schema)
    }
}

/// The address of a job (`…/async/ID`), where a query is nothing else.
fn job_address(adql: &str) -> Option<&str> {
    let text = adql.trim().trim_end_matches(['/', ';']);
    let web = ["http://", "https://"].iter().any(|s| text.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s)));
    let (_, id) = text.rsplit_once("/async/")?;
    let plain = !id.is_empty() && !id.contains('/') && !text.contains(char::is_whitespace);
    (web && plain).then_some(text)
}

/// A lost connection does not end a job: the error says where it is.
fn left_behind(error: Error, job: &Url, rows: usize) -> Error {
    let source = match error {
        Error::CutOff { service, .. } => Error::CutOff { service, rows },
        error @ (Error::Network { .. } | Error::Timeout { .. }) => error,
        error @ Error::Status { code: 500.., .. } => error,
        other => return other,
    };
    Error::JobLeft { job: job.to_string(), source: Box::new(source) }
}

const PHASES: &[&str] =
    &["PENDING", "QUEUED", "EXECUTING", "COMPLETED", "ERROR", "ABORTED", "UNKNOWN", "HELD", "SUSPENDED", "ARCHIVED"];

/// Base of a TAP service from what a person may paste: with `/sync`, `/async`, `/tables` or a slash at the end.
pub(crate) fn tap_base(base: &str) -> String {
    let mut base = base.trim().trim_end_matches(['/', '?']);
    for end in ["/sync", "/async", "/tables", "/capabilities", "/availability"] {
        base = base.strip_suffix(end).unwrap_or(base);
    }
    base.trim_end_matches('/').into()
}

fn is_sia2(base: &str) -> bool {
    let lower = base.to_ascii_lowercase();
    ["sia2", "siav2", "sia/v2", "v2query", "sia-2", "siap2"].iter().any(|w| lower.contains(w))
}

fn trim(url: &Url) -> String {
    url.as_str().trim_end_matches('/').into()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|w| w == part)
}

fn ends_like_a_votable(tail: &[u8]) -> bool {
    String::from_utf8_lossy(tail).to_ascii_uppercase().contains("VOTABLE>")
}

/// The reader's complaint without the name of the service, which our sentence has already.
fn words_of(error: asterism_data::Error, service: &str) -> String {
    let text = error.to_string();
    let text = text.strip_prefix(service).map_or(text.as_str(), |t| t.trim_start_matches([':', ' ']));
    format!("something that {text}")
}

/// Reads the document of a job; what cannot be read is left empty.
pub fn parse_job(text: &str) -> Job {
    let mut job = Job::default();
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_end_names = false;
    let mut path: Vec<String> = Vec::new();
    let mut words = String::new();
    loop {
        match reader.read_event() {
            Ok(Xml::Start(tag)) => {
                words.clear();
                let name = tag.local_name().as_ref().to_string();
                if name == "result" {
                    job.results.push(result_of(&tag));
                }
                path.push(name);
            }
            Ok(Xml::Empty(tag)) => {
                if tag.local_name().as_ref() == "result" {
                    job.results.push(result_of(&tag));
                }
            }
            Ok(Xml::End(_)) => {
                let parent = path.len().checked_sub(2).map(|i| path[i].as_str());
                match (parent, path.last().map(String::as_str)) {
                    (Some("job") | None, Some("phase")) if job.phase.is_empty() => {
                        job.phase = squeeze(&words).to_ascii_uppercase()
                    }
                    (Some("errorSummary"), Some("message")) => {
                        let message = squeeze(&words);
                        job.error = (!message.is_empty()).then_some(message);
                    }
                    _ => {}
                }
                path.pop();
                words.clear();
            }
            Ok(event) => add_text(&mut words, &event),
            Err(_) => break,
        }
        if path.is_empty() && !words.is_empty() && job.phase.is_empty() && words.len() > 1 << 20 {
            break;
        }
        if reader.buffer_position() as usize >= text.len() {
            break;
        }
    }
    job
}

fn result_of(tag: &quick_xml::events::BytesStart) -> (String, String) {
    let (mut id, mut href) = (String::new(), String::new());
    for attribute in tag.attributes().with_checks(false).flatten() {
        let value = crate::text::unescape(&attribute.value);
        match attribute.key.local_name().as_ref() {
            "id" => id = value,
            "href" => href = value,
            _ => {}
        }
    }
    (id, href)
}

pub(crate) fn add_text(words: &mut String, event: &Xml) {
    match event {
        Xml::Text(t) => words.push_str(&t.xml10_content()),
        Xml::CData(t) => words.push_str(&t.xml10_content()),
        Xml::GeneralRef(r) => match r.resolve_char_ref() {
            Ok(Some(c)) => words.push(c),
            _ => words.push_str(&crate::text::unescape(&format!("&{};", r.xml10_content()))),
        },
        _ => {}
    }
}

/// Reads a VOSI tableset (also `nrows`, ESA's attributes and unbound prefixes, which are passed over).
pub fn parse_tableset(text: &str) -> TapSchema {
    let mut schema = TapSchema::default();
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_end_names = false;
    let mut path: Vec<String> = Vec::new();
    let mut words = String::new();
    loop {
        match reader.read_event() {
            Ok(Xml::Start(tag)) => {
                let name = tag.local_name().as_ref().to_string();
                match name.as_str() {
                    "table" => schema.tables.push(TapTable::default()),
                    "column" if path.last().is_some_and(|p| p == "table") => {
                        if let Some(table) = schema.tables.last_mut() {
                            table.columns.push(TapColumn::default());
                        }
                    }
                    _ => {}
                }
                words.clear();
                path.push(name);
            }
            Ok(Xml::End(_)) => {
                let parent = path.len().checked_sub(2).map(|i| path[i].as_str());
                let text = squeeze(&words);
                if let Some(table) = schema.tables.last_mut() {
                    match (parent, path.last().map(String::as_str)) {
                        (Some("table"), Some("name")) => table.name = text,
                        (Some("table"), Some("description")) => table.description = text,
                        (Some("column"), Some(what)) => {
                            if let Some(column) = table.columns.last_mut() {
                                match what {
                                    "name" => column.name = text,
                                    "description" => column.description = text,
                                    "unit" => column.unit = text,
                                    "ucd" => column.ucd = text,
                                    "dataType" => column.datatype = text,
                                    _ => {}
                                }
                            }
                        }
                        _ => {}
                    }
                }
                path.pop();
                words.clear();
            }
            Ok(Xml::Eof) | Err(_) => break,
            Ok(event) => add_text(&mut words, &event),
        }
    }
    schema.tables.retain(|t| !t.name.is_empty());
    schema
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bases_are_read_as_people_paste_them() {
        for text in ["http://x/tap", "http://x/tap/", "http://x/tap/sync", " http://x/tap/async/ ", "http://x/tap/tables?"] {
            assert_eq!(tap_base(text), "http://x/tap");
        }
        assert!(is_sia2("https://ws.cadc-ccda.hia-iha.nrc-cnrc.gc.ca/argus/sia2/v2query"));
        assert!(!is_sia2("https://irsa.ipac.caltech.edu/cgi-bin/2MASS/IM/nph-im_sia?type=at&ds=asky&"));
    }

    #[test]
    fn the_address_of_a_job_is_told_from_a_query() {
        assert_eq!(job_address(" https://x.org/tap/async/17a/\n"), Some("https://x.org/tap/async/17a"));
        for text in ["SELECT 'http://x/async/1' FROM t", "http://x/tap/async", "http://x/tap/async/1/results", "x/async/1", ""] {
            assert_eq!(job_address(text), None, "{text}");
        }
    }

    #[test]
    fn https_stays_https() {
        let like = Url::parse("https://x.org/tap/async").unwrap();
        assert_eq!(same_scheme(Url::parse("http://x.org/tap/async/1").unwrap(), &like).as_str(), "https://x.org/tap/async/1");
        assert_eq!(same_scheme(Url::parse("http://y.org/1").unwrap(), &like).as_str(), "http://y.org/1");
    }

    #[test]
    fn a_broken_job_document_does_not_hang() {
        for text in ["", "<", "<a><b></a>", "not xml", "<uws:job xmlns:uws='x'><uws:phase>COMPLETED"] {
            parse_job(text);
            parse_tableset(text);
        }
    }
}
