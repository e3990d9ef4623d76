//! The jobs of TAP services: which there are, how they stand, fetching, ending and removing them.
//!
//! A service keeps a job and its result for days, and lists to strangers none. So the addresses of the jobs that this program made
//! are kept in a file of their own beside the settings (`tap-jobs.json`, the newest two hundred, no secrets: an address and the
//! query), from the moment that the service gives them; a later session takes them up again. To keep them in the session's file
//! alone was not taken: the job that matters is often the one whose session was never saved.
//!
//! Cost: one request for the list and one for each job shown. Standard: IVOA UWS 1.1.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use asterism_archive::{Client, Request};
use serde::{Deserialize, Serialize};

use crate::behind::Looked;
use crate::command::{Ask, Command};
use crate::error::{Error, Result};
use crate::jobs::NoticeLevel;
use crate::session::{Session, unix_time};
use crate::settings::Settings;

/// Jobs that are remembered.
const KEPT: usize = 200;
/// Jobs of one service that are shown.
const SHOWN: usize = 50;
/// What stands in the place of a phase when the service knows the job no more.
pub const GONE: &str = "GONE";

/// A job that this program made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeptJob {
    /// Base address of the service.
    pub base: String,
    /// Address of the job.
    pub url: String,
    /// What was asked.
    pub query: String,
    /// Seconds since 1970.
    pub unix_time: u64,
}

/// One job of a service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobLine {
    /// Address.
    pub url: String,
    /// PENDING, QUEUED, EXECUTING, COMPLETED, ERROR, ABORTED, ...; [`GONE`].
    pub phase: String,
    /// What was asked, or the label that its maker gave.
    pub query: String,
    /// When it was made, when it began, when it ended, when the service removes it; ISO 8601, empty where not told.
    pub times: [String; 4],
    /// Why it failed.
    pub error: Option<String>,
    /// Made by this program.
    pub kept: bool,
}

/// What is known of the jobs of services.
#[derive(Default)]
pub(crate) struct State {
    kept: std::sync::OnceLock<Vec<KeptJob>>,
    lists: HashMap<String, Looked<Vec<JobLine>>>,
}

fn read() -> Vec<KeptJob> {
    std::fs::read(file()).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default()
}

fn file() -> PathBuf {
    Settings::folder().join("tap-jobs.json")
}

/// One base address, however it was written.
pub fn plain_base(base: &str) -> String {
    let mut base = base.trim().trim_end_matches(['/', '?']);
    for end in ["/sync", "/async"] {
        base = base.strip_suffix(end).unwrap_or(base);
    }
    base.trim_end_matches('/').to_owned()
}

fn list(client: &Client, base: &str, kept: &[KeptJob], stop: &dyn Fn() -> bool) -> Result<Vec<JobLine>> {
    let shown = match client.tap_jobs(base, Some(SHOWN), stop) {
        Ok(list) => list,
        Err(e @ asterism_archive::Error::Cancelled) => return Err(e.into()),
        // Many services list nothing to strangers; what is remembered can be asked for one by one.
        Err(_) if !kept.is_empty() => Vec::new(),
        Err(e) => return Err(e.into()),
    };
    let mut lines: Vec<JobLine> =
        kept.iter().map(|k| JobLine { url: k.url.clone(), query: k.query.clone(), kept: true, ..JobLine::default() }).collect();
    for job in shown.into_iter().rev() {
        if !lines.iter().any(|l| l.url.trim_end_matches('/') == job.url.trim_end_matches('/')) {
            let times = [job.created, String::new(), String::new(), String::new()];
            lines.push(JobLine { url: job.url, phase: job.phase, query: job.run_id, times, ..JobLine::default() });
        }
    }
    lines.truncate(SHOWN);
    for line in &mut lines {
        match client.tap_job_state(&line.url, stop) {
            Ok(job) => {
                line.phase = job.phase;
                line.error = job.error;
                if !job.query.is_empty() {
                    line.query = job.query;
                }
                for (mine, said) in line.times.iter_mut().zip([job.created, job.started, job.ended, job.destruction]) {
                    if !said.is_empty() {
                        *mine = said;
                    }
                }
            }
            Err(e @ asterism_archive::Error::Cancelled) => return Err(e.into()),
            Err(asterism_archive::Error::Status { code: 404 | 410, .. }) => line.phase = GONE.into(),
            Err(e) => line.error = Some(e.to_string()),
        }
    }
    Ok(lines)
}

impl Session {
    /// The jobs that this program made, newest first: of this session and of earlier ones.
    pub fn remembered_jobs(&self) -> &[KeptJob] {
        self.tap_jobs.kept.get_or_init(read)
    }

    /// The list of a service's jobs as it was asked for last.
    pub fn jobs_of(&self, base: &str) -> Looked<Vec<JobLine>> {
        self.tap_jobs.lists.get(&plain_base(base)).cloned().unwrap_or_default()
    }

    /// Remember a job from the moment that its address is known.
    pub(crate) fn keep_job(&mut self, base: &str, url: String, query: String) {
        // Another window may have written in the meantime.
        self.tap_jobs.kept.take();
        self.remembered_jobs();
        let job = KeptJob { base: plain_base(base), url, query, unix_time: unix_time() };
        let Some(kept) = self.tap_jobs.kept.get_mut() else { return };
        if kept.iter().any(|k| k.url == job.url) {
            return;
        }
        kept.insert(0, job);
        kept.truncate(KEPT);
        self.write_jobs();
    }

    fn write_jobs(&mut self) {
        let Some(kept) = self.tap_jobs.kept.get() else { return };
        let written = std::fs::create_dir_all(Settings::folder())
            .map_err(|e| Error::said(e.to_string()))
            .and_then(|()| serde_json::to_vec_pretty(kept).map_err(|e| Error::said(e.to_string())))
            .and_then(|text| crate::export::write_whole(&file(), &text));
        if let Err(e) = written {
            self.notice(NoticeLevel::Warning, format!("the address of the job could not be kept: {e}"));
        }
    }

    pub(crate) fn list_tap_jobs(&mut self, base: String) -> Result<()> {
        let base = plain_base(&base);
        if base.is_empty() {
            return Err(Error::said("name a TAP service first"));
        }
        let client = self.client()?;
        let kept: Vec<KeptJob> = self.remembered_jobs().iter().filter(|k| k.base == base).cloned().collect();
        // What is there stays to be seen until the new list is here.
        if !matches!(self.jobs_of(&base), Looked::Found(_)) {
            self.tap_jobs.lists.insert(base.clone(), Looked::Asking);
        }
        self.start(format!("Jobs of {base}"), 0, false, move |handle| {
            handle.say("asking", 0, 0);
            let answer = match list(&client, &base, &kept, &|| handle.cancelled()) {
                Ok(lines) => Looked::Found(Arc::new(lines)),
                Err(Error::Archive(asterism_archive::Error::Cancelled)) => Looked::Not,
                Err(e) => Looked::Failed(e.to_string()),
            };
            handle.fact(move |s| {
                s.tap_jobs.lists.insert(base, answer);
            });
            Ok(())
        });
        Ok(())
    }

    pub(crate) fn abort_tap_job(&mut self, base: String, url: String) -> Result<()> {
        let client = self.client()?;
        self.start(format!("Abort job {}", short(&url)), 0, false, move |handle| {
            client.tap_job_abort(&url, &|| handle.cancelled())?;
            handle.fact(move |s| {
                s.notice(NoticeLevel::Info, format!("Job {} was aborted", short(&url)));
                // What goes wrong stands in the log.
                let _ = s.apply(Command::ListTapJobs { base });
            });
            Ok(())
        });
        Ok(())
    }

    pub(crate) fn delete_tap_job(&mut self, base: String, url: String) -> Result<()> {
        let client = self.client()?;
        let gone = match self.jobs_of(&base) {
            Looked::Found(lines) => lines.iter().any(|l| l.url == url && l.phase == GONE),
            _ => false,
        };
        self.start(format!("Delete job {}", short(&url)), 0, false, move |handle| {
            if !gone {
                client.tap_job_delete(&url, &|| handle.cancelled())?;
            }
            handle.fact(move |s| {
                s.tap_jobs.kept.take();
                s.remembered_jobs();
                if let Some(kept) = s.tap_jobs.kept.get_mut() {
                    kept.retain(|k| k.url != url);
                }
                s.write_jobs();
                let what = if gone { "is forgotten" } else { "and its result were removed from the server" };
                s.notice(NoticeLevel::Info, format!("Job {} {what}", short(&url)));
                // What goes wrong stands in the log.
                let _ = s.apply(Command::ListTapJobs { base });
            });
            Ok(())
        });
        Ok(())
    }

    pub(crate) fn fetch_tap_job(&mut self, base: String, url: String) -> Result<()> {
        let name = format!("Job {}", short(&url));
        let request = Request::Tap { base, adql: url, asynchronous: true, max_rows: None, uploads: Vec::new() };
        self.search(name, Ask::Archive { request })
    }
}

/// The job's name on the server.
pub fn short(url: &str) -> &str {
    url.trim_end_matches('/').rsplit('/').next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_service_has_one_address() {
        for text in ["http://x/tap", "http://x/tap/", "http://x/tap/async", " http://x/tap/sync/ "] {
            assert_eq!(plain_base(text), "http://x/tap");
        }
        assert_eq!(short("http://x/tap/async/17/"), "17");
    }
}
