//! Many products into a folder, several at once.
//!
//! Files are laid as users of MAST know them: `mastDownload/<collection>/<obs_id>/<file>`. Previews come first, so that there is
//! something to look at. A few threads take the next file whose server is not busy enough already; each file grows beside its
//! place as `NAME.part` with a note on what it is (`NAME.part.json`), and gets its name only when its length and its first bytes are
//! right. A connection that broke, a program that was closed or a download that was ended goes on from there: `Range` with `If-Range`
//! (RFC 9110 §13.1.5) on a strong `ETag` or `Last-Modified`, so that a file that was changed meanwhile begins anew; without either
//! it begins anew too. Bytes are taken as they are stored: with a content encoding lengths would be those of something else.
//!
//! Names from a server are names and nothing more: what could lead out of the folder (`..`, separators, drive letters, links), what
//! some systems reserve, and what is too long, is replaced; two files never meet in one. What came and what did not, and why, stands
//! in `mastDownload/manifest.csv`. The choice not taken is MAST's bundle, which is made on the server first, cannot be resumed and
//! knows MAST alone. Cost: one buffer of 64 kB for each thread.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use asterism_data::Table;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use serde::{Deserialize, Serialize};

use crate::body::Body;
use crate::cache::wrong_content;
use crate::http::Call;
use crate::text::{describe_other, json_message, votable_status};
use crate::{Client, Error, Result};

/// Longest name of a file or folder, in bytes; file systems take 255, and `.part.json` and a number must fit.
const LONGEST_NAME: usize = 150;

/// A file to get.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// `mast:` URI or address.
    pub uri: String,
    /// Folder: collection.
    pub collection: String,
    /// Folder: observation.
    pub obs_id: String,
    /// Name of the file; from the address if empty.
    pub file: String,
    /// Bytes, as the list of products says.
    pub bytes: Option<u64>,
    /// A picture to look at, which comes before the data.
    pub preview: bool,
}

/// How.
#[derive(Clone, Debug, PartialEq)]
pub struct DownloadOptions {
    /// `mastDownload` is made in it.
    pub folder: PathBuf,
    /// Files at once.
    pub at_once: usize,
    /// Files at once from one server.
    pub per_host: usize,
}

impl DownloadOptions {
    /// Six files at once, four from one server.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), at_once: 6, per_host: 4 }
    }
}

/// What happens meanwhile; `index` is that of the file in the list.
#[derive(Clone, Debug, PartialEq)]
pub enum DownloadEvent {
    /// A file begins, or goes on after so many bytes.
    Started {
        /// File.
        index: usize,
        /// Bytes that were here already.
        from: u64,
    },
    /// Bytes of a file so far, and in all if known; ten times a second at most.
    Progress {
        /// File.
        index: usize,
        /// So many.
        done: u64,
        /// Of so many.
        of: Option<u64>,
    },
    /// A file is here, or is not.
    Ended {
        /// File.
        index: usize,
        /// How.
        outcome: Outcome,
    },
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It came.
    Complete {
        /// Where it is.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// What a person should know: a length other than the list said, a name that was changed.
        note: String,
    },
    /// It was here before, with the length it should have.
    Here {
        /// Where it is.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// It did not come.
    Failed {
        /// Why, and what to do.
        reason: String,
        /// Bytes that are kept for going on.
        kept: u64,
    },
    /// The download was ended before; bytes that came are kept.
    Cancelled {
        /// Bytes that are kept for going on.
        kept: u64,
    },
}

/// All of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DownloadReport {
    /// What became of each file, in the order of the list.
    pub outcomes: Vec<Outcome>,
    /// The list of what came and what did not.
    pub manifest: PathBuf,
}

impl DownloadReport {
    /// Files that are here.
    pub fn complete(&self) -> usize {
        self.outcomes.iter().filter(|o| matches!(o, Outcome::Complete { .. } | Outcome::Here { .. })).count()
    }
    /// Files that are not, for another reason than that the download was ended.
    pub fn failed(&self) -> usize {
        self.outcomes.iter().filter(|o| matches!(o, Outcome::Failed { .. })).count()
    }
    /// Bytes of the files that are here.
    pub fn bytes(&self) -> u64 {
        let of = |o: &Outcome| match o {
            Outcome::Complete { bytes, .. } | Outcome::Here { bytes, .. } => *bytes,
            _ => 0,
        };
        self.outcomes.iter().map(of).sum()
    }
}

/// The files of a table of products ([`Client::products`], [`Client::mission_products`]) or of any table with addresses.
///
/// # Errors
/// [`Error::Unsupported`] for a table without `dataURI`, `access_url` or another column of addresses.
pub fn wanted(table: &Table) -> Result<Vec<Wanted>> {
    let find = |names: &[&str]| names.iter().find_map(|n| table.columns().iter().position(|c| c.name.eq_ignore_ascii_case(n)));
    let address = find(&["dataURI", "access_url", "dataURL", "accref", "url"])
        .or_else(|| table.columns().iter().position(|c| c.ucd.as_deref().is_some_and(|u| u.starts_with("meta.ref.ur"))));
    let Some(address) = address else {
        let what =
            "this table has no column of addresses (dataURI, access_url); list the products of the observations first".into();
        return Err(Error::Unsupported { service: "Downloads".into(), what });
    };
    let column = |at: Option<usize>| -> Result<Vec<String>> {
        match at {
            Some(i) => Ok(table.strings(&table.columns()[i].name)?.into_iter().map(Option::unwrap_or_default).collect()),
            None => Ok(vec![String::new(); table.rows()]),
        }
    };
    let uris = column(Some(address))?;
    let (collection, obs_id) = (column(find(&["obs_collection"]))?, column(find(&["obs_id", "obs_publisher_did"]))?);
    let (file, size) = (column(find(&["productFilename", "filename"]))?, column(find(&["size"]))?);
    let kind = column(find(&["productType", "category"]))?;
    let picture = |name: &str| [".jpg", ".jpeg", ".png", ".gif"].iter().any(|e| name.to_ascii_lowercase().ends_with(e));
    let mut seen = HashSet::new();
    Ok((0..table.rows())
        .filter(|i| !uris[*i].trim().is_empty() && seen.insert(uris[*i].trim().to_owned()))
        .map(|i| Wanted {
            uri: uris[i].trim().into(),
            collection: collection[i].trim().into(),
            obs_id: obs_id[i].trim().into(),
            file: file[i].trim().into(),
            bytes: size[i].trim().parse::<f64>().ok().filter(|v| *v > 0.0).map(|v| v as u64),
            preview: matches!(kind[i].to_ascii_uppercase().as_str(), "PREVIEW" | "THUMBNAIL")
                || picture(&file[i])
                || picture(uris[i].trim()),
        })
        .collect())
}

/// A name that is one, on every system: no separators, no reserved names, not too long, never empty.
pub fn safe_name(name: &str) -> String {
    let mut safe: String = name
        .chars()
        .map(|c| if c.is_control() || "/\\:*?\"<>|".contains(c) { '_' } else { c })
        .collect::<String>()
        .trim_matches(|c: char| c == ' ')
        .trim_end_matches(['.', ' '])
        .to_owned();
    if safe.is_empty() {
        safe = "_".into();
    }
    let stem = safe.split('.').next().unwrap_or("").trim_end().to_ascii_uppercase();
    let numbered = |word: &str| {
        stem.strip_prefix(word)
            .is_some_and(|rest| matches!(rest.chars().next(), Some('0'..='9' | '¹' | '²' | '³')) && rest.chars().count() == 1)
    };
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") || numbered("COM") || numbered("LPT") {
        safe.insert(0, '_');
    }
    if safe.len() > LONGEST_NAME {
        // The ending says what it is; the middle goes, and a number from the whole name keeps it apart from its like.
        let mark = format!("~{}", &crate::cache::hash(name)[..8]);
        let ending: String = safe.rfind('.').map(|i| &safe[i..]).filter(|e| e.len() <= 20).unwrap_or("").into();
        let mut room = LONGEST_NAME - mark.len() - ending.len();
        while !safe.is_char_boundary(room) {
            room -= 1;
        }
        safe = format!("{}{mark}{ending}", &safe[..room]);
    }
    safe
}

/// The path, or the first of `name-2.end`, `name-3.end`, ... where there is nothing.
pub(crate) fn unused(path: &Path) -> PathBuf {
    let mut candidate = path.to_owned();
    let mut n = 2;
    while candidate.symlink_metadata().is_ok() {
        candidate = numbered(path, n);
        n += 1;
    }
    candidate
}

fn numbered(path: &Path, n: usize) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (stem, end) = match name.find('.').filter(|i| *i > 0) {
        Some(i) => name.split_at(i),
        None => (name.as_ref(), ""),
    };
    path.with_file_name(format!("{stem}-{n}{end}"))
}

/// What a part file is a part of.
#[derive(Serialize, Deserialize, Default)]
struct Note {
    url: String,
    etag: Option<String>,
    modified: Option<String>,
    total: Option<u64>,
}

impl Note {
    /// What `If-Range` takes: a strong tag, or a date.
    fn validator(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|t| t.starts_with('"'));
        strong.or(self.modified.as_deref())
    }
}

struct Task {
    index: usize,
    url: reqwest::Url,
    target: PathBuf,
    bytes: Option<u64>,
    note: String,
}

struct Queue {
    tasks: VecDeque<Task>,
    busy: HashMap<String, usize>,
}

impl Client {
    /// Gets files, several at once; what is here already is left as it is, what was begun is gone on with.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder or the manifest cannot be written. What goes wrong with a file is its [`Outcome`], and a download
    /// that was cancelled gives a report as well.
    pub fn download(
        &self,
        files: &[Wanted],
        options: &DownloadOptions,
        cancelled: &dyn Fn() -> bool,
        on: &mut dyn FnMut(DownloadEvent),
    ) -> Result<DownloadReport> {
        let root = options.folder.join("mastDownload");
        std::fs::create_dir_all(&root).map_err(|e| Error::io(&root, e))?;
        let canonical = root.canonicalize().map_err(|e| Error::io(&root, e))?;
        let mut outcomes: Vec<Option<Outcome>> = vec![None; files.len()];
        let mut tasks = Vec::new();
        let mut taken = HashSet::new();
        for (index, file) in files.iter().enumerate() {
            let refused = |reason: String| Outcome::Failed { reason, kept: 0 };
            let url = match self.http.url(&self.download_url(&file.uri)) {
                Ok(url) => url,
                Err(error) => {
                    outcomes[index] = Some(refused(error.to_string()));
                    continue;
                }
            };
            let told = if file.file.is_empty() { crate::cache::file_name(&url, &file.uri) } else { file.file.clone() };
            let mut folder = root.clone();
            for part in [&file.collection, &file.obs_id] {
                if !part.is_empty() {
                    folder.push(safe_name(part));
                }
            }
            let mut target = folder.join(safe_name(&told));
            // Two files of one name; also where the system does not tell A from a.
            let mut n = 2;
            while !taken.insert(target.to_string_lossy().to_lowercase()) {
                target = numbered(&folder.join(safe_name(&told)), n);
                n += 1;
            }
            // A link somewhere below that leads out.
            let made = std::fs::create_dir_all(&folder).and_then(|()| folder.canonicalize());
            match made {
                Ok(real) if real.starts_with(&canonical) => {}
                Ok(real) => {
                    outcomes[index] =
                        Some(refused(format!("{} leads out of the folder, to {}", folder.display(), real.display())));
                    continue;
                }
                Err(e) => {
                    outcomes[index] = Some(refused(Error::io(&folder, e).to_string()));
                    continue;
                }
            }
            let name = target.file_name().unwrap_or_default().to_string_lossy();
            let note = if name == told { String::new() } else { format!("it was named '{}'", crate::text::shorten(&told, 80)) };
            tasks.push((!file.preview, Task { index, url, target, bytes: file.bytes, note }));
        }
        // Stable: the list's own order within previews and within data.
        tasks.sort_by_key(|(later, _)| *later);
        let queue = Mutex::new(Queue { tasks: tasks.into_iter().map(|(_, t)| t).collect(), busy: HashMap::new() });
        let (stop, freed) = (AtomicBool::new(false), Condvar::new());
        for (index, outcome) in outcomes.iter().enumerate() {
            if let Some(outcome) = outcome {
                on(DownloadEvent::Ended { index, outcome: outcome.clone() });
            }
        }
        let (send, receive) = sync_channel::<DownloadEvent>(256);
        std::thread::scope(|scope| {
            for _ in 0..options.at_once.clamp(1, 32) {
                let send = send.clone();
                let (queue, stop, freed) = (&queue, &stop, &freed);
                let spawned = std::thread::Builder::new().name("download".into()).spawn_scoped(scope, move || {
                    self.work_off(queue, freed, stop, options.per_host.max(1), &send);
                });
                if spawned.is_err() {
                    break;
                }
            }
            drop(send);
            loop {
                match receive.recv_timeout(Duration::from_millis(40)) {
                    Ok(event) => {
                        if let DownloadEvent::Ended { index, outcome } = &event {
                            outcomes[*index] = Some(outcome.clone());
                        }
                        on(event);
                    }
                    Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                    Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                }
                if !stop.load(Ordering::Relaxed) && cancelled() {
                    stop.store(true, Ordering::Relaxed);
                    freed.notify_all();
                }
            }
        });
        let outcomes: Vec<Outcome> = outcomes.into_iter().map(|o| o.unwrap_or(Outcome::Cancelled { kept: 0 })).collect();
        let manifest = root.join("manifest.csv");
        write_manifest(&manifest, files, &outcomes)?;
        Ok(DownloadReport { outcomes, manifest })
    }

    /// One thread: file after file.
    fn work_off(
        &self,
        queue: &Mutex<Queue>,
        freed: &Condvar,
        stop: &AtomicBool,
        per_host: usize,
        send: &SyncSender<DownloadEvent>,
    ) {
        loop {
            let (task, host) = {
                let Ok(mut inner) = queue.lock() else { return };
                loop {
                    if inner.tasks.is_empty() || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let host =
                        |t: &Task| format!("{}:{}", t.url.host_str().unwrap_or(""), t.url.port_or_known_default().unwrap_or(0));
                    let next = inner.tasks.iter().position(|t| inner.busy.get(&host(t)).copied().unwrap_or(0) < per_host);
                    if let Some(task) = next.and_then(|i| inner.tasks.remove(i)) {
                        let host = host(&task);
                        *inner.busy.entry(host.clone()).or_default() += 1;
                        break (task, host);
                    }
                    let Ok((again, _)) = freed.wait_timeout(inner, Duration::from_millis(200)) else { return };
                    inner = again;
                }
            };
            let outcome = self.get_file(&task, stop, send);
            let _ = send.send(DownloadEvent::Ended { index: task.index, outcome });
            if let Ok(mut inner) = queue.lock()
                && let Some(count) = inner.busy.get_mut(&host)
            {
                *count -= 1;
            }
            freed.notify_all();
        }
    }

    fn get_file(&self, task: &Task, stop: &AtomicBool, send: &SyncSender<DownloadEvent>) -> Outcome {
        let here = std::fs::metadata(&task.target).ok().filter(|m| m.is_file() && m.len() > 0);
        if let Some(meta) = here {
            // Without a length to hold it against, a file that has its name was whole when it got it.
            if task.bytes.is_none_or(|b| b == meta.len()) {
                return Outcome::Here { path: task.target.clone(), bytes: meta.len() };
            }
        }
        let part = beside(&task.target, ".part");
        let kept = || std::fs::metadata(&part).map_or(0, |m| m.len());
        let cancelled = || stop.load(Ordering::Relaxed);
        let mut attempt = 0;
        loop {
            let before = kept();
            match self.get_part(task, &part, &cancelled, send) {
                Ok(bytes) => {
                    let mut note = task.note.clone();
                    if let Some(told) = task.bytes.filter(|told| *told != bytes) {
                        let differs = format!("the list of products says {told} bytes");
                        note = if note.is_empty() { differs } else { format!("{note}; {differs}") };
                    }
                    return match std::fs::rename(&part, &task.target) {
                        Ok(()) => {
                            let _ = std::fs::remove_file(beside(&task.target, ".part.json"));
                            Outcome::Complete { path: task.target.clone(), bytes, note }
                        }
                        Err(e) => Outcome::Failed { reason: Error::io(&task.target, e).to_string(), kept: kept() },
                    };
                }
                Err(Error::Cancelled) => return Outcome::Cancelled { kept: kept() },
                // A connection that broke after it brought something may break again; one that brings nothing is tried as often as set.
                Err(Error::CutOff { service, .. }) => {
                    attempt = if kept() > before { 1 } else { attempt + 1 };
                    if attempt > self.services().retries {
                        let reason =
                            format!("the connection to {service} broke in the middle; download it again to go on from there");
                        return Outcome::Failed { reason, kept: kept() };
                    }
                    let pause = Duration::from_secs_f64(self.services().pause_s.clamp(0.0, 10.0));
                    if self.http.pause(pause, &cancelled).is_err() {
                        return Outcome::Cancelled { kept: kept() };
                    }
                }
                Err(error) => return Outcome::Failed { reason: error.to_string(), kept: kept() },
            }
        }
    }

    /// The rest of a file, or all of it, into the part file; its whole length.
    fn get_part(&self, task: &Task, part: &Path, cancelled: &dyn Fn() -> bool, send: &SyncSender<DownloadEvent>) -> Result<u64> {
        let note_path = beside(&task.target, ".part.json");
        let address = task.url.to_string();
        let note: Note = std::fs::read(&note_path).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
        let mut from = std::fs::metadata(part).map_or(0, |m| m.len());
        let mut call = Call::file(task.url.clone());
        match note.validator().filter(|_| note.url == address && from > 0) {
            Some(validator) => {
                call.headers.push((RANGE, format!("bytes={from}-")));
                call.headers.push((IF_RANGE, validator.to_owned()));
            }
            None => from = 0,
        }
        let response = match self.http.send(&call, cancelled) {
            Err(Error::Status { code: 416, .. }) if from > 0 => {
                // Nothing after these bytes: they are all, or the file became shorter.
                if note.total == Some(from) {
                    return Ok(from);
                }
                std::fs::remove_file(part).map_err(|e| Error::io(part, e))?;
                return Err(Error::CutOff { service: self.http.service_name(&task.url), rows: 0 });
            }
            other => other?,
        };
        let service = response.service.clone();
        let header = |name| response.inner.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let range = header(CONTENT_RANGE).and_then(|text| content_range(&text));
        if response.inner.status() == StatusCode::PARTIAL_CONTENT {
            if range.is_none_or(|(start, _)| start != from) {
                return Err(Error::not_a_table(&service, "another part of the file than was asked for"));
            }
        } else {
            from = 0;
        }
        let total = match range.filter(|_| from > 0) {
            Some((_, total)) => total,
            None => response.inner.content_length(),
        };
        let fresh = Note { url: address, etag: header(ETAG), modified: header(LAST_MODIFIED), total };
        let mut body = Body::new(&self.http, response, cancelled, None);
        body.limit = u64::MAX;
        if from == 0 {
            let head = body.peek_file();
            if let Some(error) = body.failed.take() {
                return Err(error);
            }
            let name = task.target.file_name().unwrap_or_default().to_string_lossy();
            if let Some(wrong) = wrong_content(&head, &name) {
                let mut rest = Vec::new();
                let _ = (&mut body).take(65_536).read_to_end(&mut rest);
                let text = String::from_utf8_lossy(&rest);
                if let Some(message) = json_message(&text).or_else(|| votable_status(&text).error_message()) {
                    return Err(Error::Service { service, message });
                }
                return Err(Error::not_a_table(&service, format!("{} ({name} {wrong})", describe_other(&rest))));
            }
        }
        let text = serde_json::to_vec(&fresh).map_err(|e| Error::io(&note_path, std::io::Error::other(e)))?;
        std::fs::write(&note_path, text).map_err(|e| Error::io(&note_path, e))?;
        let mut file = if from > 0 { std::fs::File::options().append(true).open(part) } else { std::fs::File::create(part) }
            .map_err(|e| Error::io(part, e))?;
        let _ = send.send(DownloadEvent::Started { index: task.index, from });
        let (mut done, mut told) = (from, std::time::Instant::now());
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) => return Err(body.failed.take().unwrap_or_else(|| Error::io(part, e))),
            };
            file.write_all(&buffer[..n]).map_err(|e| Error::io(part, e))?;
            done += n as u64;
            if told.elapsed() > Duration::from_millis(100) {
                told = std::time::Instant::now();
                let _ = send.send(DownloadEvent::Progress { index: task.index, done, of: total });
            }
        }
        file.sync_all().map_err(|e| Error::io(part, e))?;
        match total {
            Some(total) if done < total => Err(Error::CutOff { service, rows: 0 }),
            Some(total) if done > total => {
                let _ = std::fs::remove_file(part);
                Err(Error::not_a_table(&service, format!("{done} bytes in the place of {total}")))
            }
            // No word on the length: the list's own is the only one, and a file shorter than that was cut.
            None if task.bytes.is_some_and(|b| done < b) => Err(Error::CutOff { service, rows: 0 }),
            _ => {
                let _ = send.send(DownloadEvent::Progress { index: task.index, done, of: Some(done) });
                Ok(done)
            }
        }
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(end);
    path.with_file_name(name)
}

/// `bytes 100-199/1000`: where it begins, and the whole length if told.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// A CSV in the manner of astroquery's manifests: `Local Path, Status, Message, URL`, and the length.
fn write_manifest(path: &Path, files: &[Wanted], outcomes: &[Outcome]) -> Result<()> {
    let quote = |text: &str| {
        // A cell that begins as a formula is none.
        let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
        format!("\"{}\"", text.replace('"', "\"\"").replace(['\r', '\n'], " "))
    };
    let mut csv = String::from("Local Path,Status,Message,URL,Bytes\n");
    for (file, outcome) in files.iter().zip(outcomes) {
        let (place, status, message, bytes) = match outcome {
            Outcome::Complete { path, bytes, note } => (path.display().to_string(), "COMPLETE", note.clone(), *bytes),
            Outcome::Here { path, bytes } => (path.display().to_string(), "COMPLETE", "it was here".into(), *bytes),
            Outcome::Failed { reason, kept } => (String::new(), "ERROR", reason.clone(), *kept),
            Outcome::Cancelled { kept } => (String::new(), "SKIPPED", "the download was ended".into(), *kept),
        };
        let cells = [quote(&place), status.into(), quote(&message), quote(&file.uri), bytes.to_string()];
        csv.push_str(&cells.join(","));
        csv.push('\n');
    }
    let part = beside(path, ".part");
    std::fs::write(&part, csv).map_err(|e| Error::io(&part, e))?;
    std::fs::rename(&part, path).map_err(|e| Error::io(path, e))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_names_on_every_system() {
        for (name, safe) in [
            ("u9o40504m_c3m.fits", "u9o40504m_c3m.fits"),
            ("../../etc/passwd", ".._.._etc_passwd"),
            ("..", "_"),
            ("", "_"),
            ("/abs/x", "_abs_x"),
            ("C:\\x.fits", "C__x.fits"),
            ("nul", "_nul"),
            ("Aux.fits.gz", "_Aux.fits.gz"),
            ("com1", "_com1"),
            ("com10", "com10"),
            ("end. . ", "end"),
            ("a\u{0}b\nc", "a_b_c"),
            ("Ångström ✓.fits", "Ångström ✓.fits"),
        ] {
            assert_eq!(safe_name(name), safe, "{name:?}");
        }
        let long = format!("{}.fits", "ö".repeat(400));
        let other = format!("{}x.fits", "ö".repeat(400));
        assert!(safe_name(&long).len() <= LONGEST_NAME && safe_name(&long).ends_with(".fits"));
        assert_ne!(safe_name(&long), safe_name(&other));
    }

    #[test]
    fn ranges_are_read() {
        assert_eq!(content_range("bytes 100-199/1000"), Some((100, Some(1000))));
        assert_eq!(content_range("bytes 0-9/*"), Some((0, None)));
        assert_eq!(content_range("bytes */1000"), None);
        assert_eq!(content_range("pages 1-2/3"), None);
    }

    #[test]
    fn only_a_strong_tag_vouches_for_a_part() {
        let note = |etag: Option<&str>, modified: Option<&str>| Note {
            etag: etag.map(str::to_owned),
            modified: modified.map(str::to_owned),
            ..Note::default()
        };
        assert_eq!(note(Some("\"a\""), Some("d")).validator(), Some("\"a\""));
        assert_eq!(note(Some("W/\"a\""), Some("d")).validator(), Some("d"));
        assert_eq!(note(Some("W/\"a\""), None).validator(), None);
    }
}
