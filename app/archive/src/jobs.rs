//! The jobs of a TAP service: what is there, ending one, removing one.
//!
//! A job lives on the server until its time of destruction, whatever becomes of the program that made it. Its address is all that
//! is needed to take it up again: a search with the address in the place of the query reads its result. Services list the jobs of
//! whoever asks (often none for those who did not sign in), so addresses that this program made belong into its session; the list
//! is for what was made elsewhere. Nothing here is kept by the program itself.
//!
//! Standard: IVOA UWS 1.1 (1.0 is read as well).

use quick_xml::events::Event as Xml;
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};

use crate::http::{Call, Cancelled, same_scheme};
use crate::text::{describe_other, is_whole_xml, json_message, squeeze, unescape, votable_status};
use crate::vo::{Job, parse_job};
use crate::{Client, Error, Result};

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
            Ok(other) => crate::vo::add_text(&mut words, other),
        }
    }
    jobs.retain(|j| j.url.starts_with("http"));
    jobs
}

impl Client {
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
