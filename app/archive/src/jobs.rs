//! The jobs of a TAP service (UWS): making one and waiting for it, what is there, ending one, removing one.
//!
//! A job lives on the server until its time of destruction, whatever becomes of the program that made it. Its address is all that
//! is needed to take it up again: a search with the address in the place of the query reads its result. Services list the jobs of
//! whoever asks (often none for those who did not sign in), so addresses that this program made belong into its session; the list
//! is for what was made elsewhere. Nothing here is kept by the program itself.
//!
//! A job's result is fetched from `<job>/results/result` as the TAP standard lays down, and only if there is nothing there from
//! the address in the job document: services behind proxies write addresses into it that cannot be reached from outside.
//!
//! Standard: IVOA UWS 1.1 (1.0 is read as well).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use quick_xml::events::Event as Xml;
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};

use crate::http::{Call, Cancelled, Out, same_scheme};
use crate::text::{describe_other, is_whole_xml, json_message, squeeze, unescape, votable_status};
use crate::vo::{ReadEnd, add_text, trim};
use crate::{Answer, Client, Error, Event, Result};

/// A job as the list of a service shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TapJob {
    /// Its name on the server.
    pub id: String,
    /// Its address: searched for in the place of a query, it gives the result.
    pub url: String,
    /// PENDING, QUEUED, EXECUTING, COMPLETED, ERROR, ABORTED, ...; empty when the list does not say.
    pub phase: String,
    /// Label that the client gave.
    pub run_id: String,
    /// Who made it, if told.
    pub owner: String,
    /// When it was made (ISO 8601), if told.
    pub created: String,
}

/// Reads a list of jobs (UWS 1.0 and 1.1); addresses relative to `list`.
pub fn parse_jobs(text: &str, list: &str) -> Vec<TapJob> {
    let base = Url::parse(&format!("{}/", list.trim_end_matches('/'))).ok();
    let mut jobs: Vec<TapJob> = Vec::new();
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_end_names = false;
    let (mut inside, mut words) = (false, String::new());
    loop {
        let event = reader.read_event();
        match &event {
            Ok(Xml::Start(tag) | Xml::Empty(tag)) if tag.local_name().as_ref() == "jobref" => {
                let mut job = TapJob::default();
                for a in tag.attributes().with_checks(false).flatten() {
                    match a.key.local_name().as_ref() {
                        "id" => job.id = unescape(&a.value),
                        "href" => job.url = unescape(&a.value),
                        _ => {}
                    }
                }
                if job.url.is_empty() {
                    job.url.clone_from(&job.id);
                }
                if let Some(url) = base.as_ref().and_then(|b| Some(same_scheme(b.join(&job.url).ok()?, b))) {
                    job.url = url.to_string();
                }
                inside = matches!(event, Ok(Xml::Start(_)));
                jobs.push(job);
            }
            Ok(Xml::Start(_)) => words.clear(),
            Ok(Xml::End(tag)) => {
                let text = squeeze(&words);
                if let (true, Some(job)) = (inside, jobs.last_mut()) {
                    match tag.local_name().as_ref() {
                        "jobref" => inside = false,
                        "phase" => job.phase = text.to_ascii_uppercase(),
                        "runId" => job.run_id = text,
                        "ownerId" => job.owner = text,
                        "creationTime" => job.created = text,
                        _ => {}
                    }
                }
                words.clear();
            }
            Ok(Xml::Eof) | Err(_) => break,
            Ok(other) => add_text(&mut words, other),
        }
    }
    jobs.retain(|j| j.url.starts_with("http"));
    jobs
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
    /// The query, or the label that the client gave; empty where neither is told.
    pub query: String,
    /// When it was made (ISO 8601); empty where not told, as the following.
    pub created: String,
    /// When it began.
    pub started: String,
    /// When it ended.
    pub ended: String,
    /// When the service removes it.
    pub destruction: String,
}

impl Client {
    /// Makes the job, starts it, waits for it, reads its result; ends and removes it on the server when the caller cancels.
    pub(crate) fn tap_async(
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
    pub(crate) fn tap_job(&self, address: &str, max_rows: Option<usize>, cancelled: Cancelled, out: &Out) -> Result<Answer> {
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

    /// Starts a job if it is wished, and waits until it is done.
    fn ended_job(&self, job: &Url, start: bool, service: &str, cancelled: Cancelled, out: &Out) -> Result<Job> {
        out.send(Event::Job(job.to_string()));
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
        Ok(state)
    }

    /// A service that cuts by jobs (SODA async, UWS): makes a job of the address that [`crate::datalink::ServiceDescriptor::address`]
    /// made, waits for it, and fetches its results into the cache, each under the name that its address says. A job that is not
    /// wanted any more is ended and removed on the server. `on` is told of the job ([`Event::Job`], [`Event::Progress`]).
    ///
    /// # Errors
    /// As [`Client::fetch`]; [`Error::Service`] when the job failed, or ended without a result.
    pub fn cut_by_job(&self, address: &str, cancelled: &dyn Fn() -> bool, on: &mut dyn FnMut(Event)) -> Result<Vec<PathBuf>> {
        let whole = self.http.url(address)?;
        let mut url = whole.clone();
        url.set_query(None);
        let pairs: Vec<(String, String)> = whole.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        let fields: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let response =
            self.http.send(&Call::post_form(url.clone(), &fields).accept("application/xml, */*").creates(), cancelled)?;
        let service = response.service.clone();
        let Some(job) = response.location().map(|l| same_scheme(l, &url)) else {
            let bytes = self.http.read_head(response, 65_536, cancelled)?;
            let message = crate::text::plain_words(&String::from_utf8_lossy(&bytes), 200);
            return Err(Error::service(&service, format!("it made no job of the cut: {message}")));
        };
        let ended = self.ended_job(&job, true, &service, cancelled, &Out::new(on));
        if let Err(Error::Cancelled) = ended {
            self.drop_job(&job);
        }
        let state = ended.map_err(|e| left_behind(e, &job, 0))?;
        if state.results.is_empty() {
            return Err(Error::service(&service, "the job ended without a result: there may be no data at this place"));
        }
        let mut files = Vec::new();
        for (_, href) in &state.results {
            let url = job.join(href).map_err(|e| Error::service(&service, format!("the address of a result is wrong: {e}")))?;
            let mut told = |done, of| on(Event::Progress { stage: "bytes".into(), done, of });
            files.push(self.fetch(same_scheme(url, &job).as_str(), cancelled, &mut told)?);
        }
        Ok(files)
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
        let state = self.ended_job(job, start, service, cancelled, out)?;
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

    /// The jobs of a TAP service that it shows to this client, newest last as the service orders them. `last` asks for so many of
    /// the newest (UWS 1.1; older services send all).
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn tap_jobs(&self, base: &str, last: Option<usize>, cancelled: &dyn Fn() -> bool) -> Result<Vec<TapJob>> {
        let list = format!("{}/async", crate::vo::tap_base(base));
        let mut url = self.http.url(&list)?;
        if let Some(last) = last {
            url.query_pairs_mut().append_pair("LAST", &last.to_string());
        }
        let response = self.http.send(&Call::get(url).accept("application/xml, text/xml, */*"), cancelled)?;
        let service = response.service.clone();
        let bytes = self.http.read_all(response, 64 << 20, cancelled)?;
        let text = String::from_utf8_lossy(&bytes);
        let jobs = parse_jobs(&text, &list);
        if jobs.is_empty() && !text.contains("jobs") {
            if let Some(message) = votable_status(&text).error_message().or_else(|| json_message(&text)) {
                return Err(Error::Service { service, message });
            }
            return Err(Error::not_a_table(
                &service,
                format!("no list of jobs, {}", describe_other(&bytes[..bytes.len().min(65_536)])),
            ));
        }
        if !is_whole_xml(&text) {
            return Err(Error::CutOff { service, rows: jobs.len() });
        }
        Ok(jobs)
    }

    /// The state of a job, by its address.
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn tap_job_state(&self, job: &str, cancelled: &dyn Fn() -> bool) -> Result<Job> {
        let url = self.job_url(job)?;
        let response = self.http.send(&Call::get(url).accept("application/xml, text/xml, */*"), cancelled)?;
        let service = response.service.clone();
        let bytes = self.http.read_all(response, 4 << 20, cancelled)?;
        let state = parse_job(&String::from_utf8_lossy(&bytes));
        if state.phase.is_empty() {
            return Err(Error::not_a_table(
                &service,
                format!("no state of the job, {}", describe_other(&bytes[..bytes.len().min(4096)])),
            ));
        }
        Ok(state)
    }

    /// Ends a job that is under way; its record stays on the server.
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn tap_job_abort(&self, job: &str, cancelled: &dyn Fn() -> bool) -> Result<()> {
        let url = self.job_url(job)?;
        let phase = self.http.url(&format!("{}/phase", url.as_str().trim_end_matches('/')))?;
        self.order(Call::post_form(phase, &[("PHASE", "ABORT")]), cancelled)
    }

    /// Removes a job and its result from the server.
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn tap_job_delete(&self, job: &str, cancelled: &dyn Fn() -> bool) -> Result<()> {
        let url = self.job_url(job)?;
        let mut call = Call::get(url.clone());
        call.method = Method::DELETE;
        match self.order(call, cancelled) {
            // Some have DELETE switched off; the standard's other way is a form.
            Err(Error::Status { code: 405 | 501, .. }) => self.order(Call::post_form(url, &[("ACTION", "DELETE")]), cancelled),
            other => other,
        }
    }

    fn job_url(&self, job: &str) -> Result<Url> {
        self.http.url(job.trim().trim_end_matches('/'))
    }

    /// A redirect back to the job is a success, and is not followed.
    fn order(&self, mut call: Call, cancelled: Cancelled) -> Result<()> {
        call.follow = false;
        let service = self.http.service_name(&call.url);
        match self.http.send(&call, cancelled) {
            Err(Error::Status { code: 404 | 410, .. }) => Err(Error::service(&service, "it knows no such job (any more)")),
            other => other.map(|_| ()),
        }
    }
}

/// The address of a job (`…/async/ID`), where a query is nothing else.
pub(crate) fn job_address(adql: &str) -> Option<&str> {
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
                let mut name = tag.local_name().as_ref().to_string();
                if name == "result" {
                    job.results.push(result_of(&tag));
                }
                if name == "parameter" && result_of(&tag).0.eq_ignore_ascii_case("query") {
                    name = "query".into();
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
                    (Some("job") | None, Some(name)) => {
                        let field = match name {
                            "creationTime" => &mut job.created,
                            "startTime" => &mut job.started,
                            "endTime" => &mut job.ended,
                            "destruction" => &mut job.destruction,
                            "runId" if job.query.is_empty() => &mut job.query,
                            _ => &mut String::new(),
                        };
                        *field = squeeze(&words);
                    }
                    (Some("parameters"), Some("query")) => job.query = words.trim().to_owned(),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
            crate::vo::parse_tableset(text);
        }
    }
}
