//! Products on disk: fetched once, checked, and named so that a half-written file is never found under its name.
//!
//! A file lies under the hash of its address with the name it came by, `3f/3f9c…-u9o40504m_drz.fits`. A 200 can carry a page that
//! says "service down" or a JSON error, so the first bytes are held against what the name promises before the file gets its name.
//!
//! The cache has a limit ([`crate::Services::cache_gb`]). A file's time of change is set anew each time it is asked for, so that
//! it says when the file was last used (times of access are often switched off); above the limit the files used longest ago go,
//! down to nine tenths of it. What was used within the last minutes stays, since somebody may be about to open it: a batch larger
//! than the limit is thinned out later. Only files named as this module names them are counted and removed. Cost: the folder is
//! walked once for each client, and once more each time the limit is reached.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::body::Body;
use crate::http::Call;
use crate::text::{describe_other, json_message, looks_like_html, votable_status};
use crate::{Client, Error, Result};

/// Somebody may be about to open what was used so short a time ago.
const IN_USE: Duration = Duration::from_secs(300);

impl Client {
    /// A product as a file in the cache: at once if it is there, else fetched. `mast:` URIs go through MAST's download service;
    /// a path of this machine is given back as it is. `progress` gets bytes so far and bytes in all, if known.
    ///
    /// # Errors
    /// As [`Client::search`]; [`Error::NotATable`] when something else came in the place of the product; nothing is kept then.
    pub fn fetch(&self, url: &str, cancelled: &dyn Fn() -> bool, progress: &mut dyn FnMut(u64, Option<u64>)) -> Result<PathBuf> {
        self.fetch_named(url, "", cancelled, progress)
    }

    /// As [`Client::fetch`], of a file whose address does not say its name.
    pub(crate) fn fetch_named(
        &self,
        url: &str,
        name: &str,
        cancelled: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<PathBuf> {
        let address = self.download_url(url);
        let local = Path::new(address.strip_prefix("file://").unwrap_or(&address));
        if !address.starts_with("http://") && !address.starts_with("https://") && local.exists() {
            return Ok(local.into());
        }
        let parsed = self.http.url(&address)?;
        let name = if name.is_empty() { file_name(&parsed, url) } else { name.to_owned() };
        let hash = hash(&address);
        let folder = self.cache_folder()?.join(&hash[..2]);
        let target = folder.join(format!("{hash}-{name}"));
        if let Ok(meta) = std::fs::metadata(&target)
            && meta.len() > 0
        {
            progress(meta.len(), Some(meta.len()));
            // On a read-only disk the order of use is not known, and that is all.
            let _ = std::fs::File::options().append(true).open(&target).and_then(|f| f.set_modified(SystemTime::now()));
            return Ok(target);
        }
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let part = folder.join(format!("{hash}.part-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let mut attempt = 0;
        let result = loop {
            match self.fetch_to(parsed.clone(), &name, &part, cancelled, progress) {
                Err(Error::CutOff { service, .. }) if attempt >= self.services().retries => {
                    break Err(Error::Network {
                        service,
                        why: format!("the connection broke in the middle of {name}"),
                        advice: "Nothing was kept of it; fetch it again".into(),
                    });
                }
                Err(Error::CutOff { .. }) => {
                    attempt += 1;
                    let pause = std::time::Duration::from_secs_f64(self.services().pause_s.clamp(0.0, 10.0));
                    if let Err(error) = self.http.pause(pause, cancelled) {
                        break Err(error);
                    }
                }
                other => break other,
            }
        };
        match result {
            Ok(()) => {
                std::fs::rename(&part, &target).map_err(|e| Error::io(&target, e))?;
                self.hold_to_limit(&target);
                Ok(target)
            }
            Err(error) => {
                let _ = std::fs::remove_file(&part);
                Err(error)
            }
        }
    }

    fn fetch_to(
        &self,
        url: reqwest::Url,
        name: &str,
        part: &Path,
        cancelled: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<()> {
        let response = self.http.send(&Call::file(url), cancelled)?;
        let service = response.service.clone();
        let mut body = Body::new(&self.http, response, cancelled, None);
        // Products are as large as they are; they go to the disk and not into memory.
        body.limit = u64::MAX;
        let head = body.peek_file();
        if let Some(error) = body.failed.take() {
            return Err(error);
        }
        if let Some(wrong) = wrong_content(&head, name) {
            let mut rest = Vec::new();
            let _ = (&mut body).take(65_536).read_to_end(&mut rest);
            let text = String::from_utf8_lossy(&rest);
            if let Some(message) = json_message(&text).or_else(|| votable_status(&text).error_message()) {
                return Err(Error::Service { service, message });
            }
            return Err(Error::not_a_table(&service, format!("{} ({name} {wrong})", describe_other(&rest))));
        }
        let mut file = std::fs::File::create(part).map_err(|e| Error::io(part, e))?;
        let mut buffer = vec![0; 1 << 16];
        let mut done = 0;
        loop {
            let n = match body.read(&mut buffer) {
                Ok(n) => n,
                Err(e) => return Err(body.failed.take().unwrap_or_else(|| Error::io(part, e))),
            };
            if n == 0 {
                break;
            }
            file.write_all(&buffer[..n]).map_err(|e| Error::io(part, e))?;
            done += n as u64;
            progress(done, body.of);
        }
        file.sync_all().map_err(|e| Error::io(part, e))
    }

    /// After `newest` came: makes room where the limit is passed.
    fn hold_to_limit(&self, newest: &Path) {
        let limit = (self.services().cache_gb * 1e9) as u64;
        let (Ok(folder), Ok(mut cached)) = (self.cache_folder(), self.cached.lock()) else { return };
        if limit == 0 {
            return;
        }
        let bytes = match *cached {
            Some(bytes) => bytes + std::fs::metadata(newest).map_or(0, |m| m.len()),
            None => kept_files(&folder).iter().map(|f| f.bytes).sum(),
        };
        *cached = Some(if bytes > limit { make_room(&folder, limit, newest, SystemTime::now()) } else { bytes });
    }

    /// Where products are kept.
    ///
    /// # Errors
    /// When the system names no cache folder and none is set.
    pub fn cache_folder(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.services().cache {
            return Ok(folder.clone());
        }
        directories::ProjectDirs::from("", "", "asterism").map(|d| d.cache_dir().join("products")).ok_or_else(|| {
            Error::io(
                "cache folder",
                std::io::Error::new(std::io::ErrorKind::NotFound, "this system names none; set one in the settings"),
            )
        })
    }
}

struct Kept {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// The files of the cache, and of nothing else that may lie in the folder: `3f/3f9c…-name`.
fn kept_files(folder: &Path) -> Vec<Kept> {
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let mut files = Vec::new();
    for shelf in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let shelf_name = shelf.file_name();
        let Some(shelf_name) = shelf_name.to_str().filter(|n| n.len() == 2 && hex(n)) else { continue };
        for file in std::fs::read_dir(shelf.path()).into_iter().flatten().flatten() {
            let name = file.file_name();
            let ours = name.to_str().and_then(|n| Some((n.get(..32)?, n.get(32..)?))).is_some_and(|(hash, rest)| {
                hex(hash) && hash.starts_with(shelf_name) && (rest.starts_with('-') || rest.starts_with(".part-"))
            });
            // Of the link itself, which would be removed, not of what it leads to.
            if let (true, Ok(meta)) = (ours, file.metadata())
                && meta.is_file()
            {
                let used = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                files.push(Kept { path: file.path(), bytes: meta.len(), used });
            }
        }
    }
    files
}

/// Removes the files used longest ago until nine tenths of the limit are left; gives the bytes that are.
fn make_room(folder: &Path, limit: u64, newest: &Path, now: SystemTime) -> u64 {
    let mut files = kept_files(folder);
    files.sort_by_key(|f| f.used);
    let mut bytes: u64 = files.iter().map(|f| f.bytes).sum();
    for file in files {
        if bytes <= limit / 10 * 9 {
            break;
        }
        // A time to come (a clock was set back) is no recent use.
        let in_use = now.duration_since(file.used).is_ok_and(|age| age < IN_USE);
        if file.path != newest && !in_use && std::fs::remove_file(&file.path).is_ok() {
            bytes -= file.bytes;
        }
    }
    bytes
}

/// What is wrong with these first bytes for a file of this name; `None` if they can be right.
pub(crate) fn wrong_content(head: &[u8], name: &str) -> Option<&'static str> {
    if head.is_empty() {
        return Some("is empty");
    }
    let lower = name.to_ascii_lowercase();
    let ends = |list: &[&str]| list.iter().any(|e| lower.ends_with(e));
    let begins = |list: &[&[u8]]| list.iter().any(|m| head.starts_with(m));
    if looks_like_html(head) && !ends(&[".html", ".htm", ".xhtml"]) {
        return Some("would not be a web page");
    }
    let (gzip, bzip): (&[u8], &[u8]) = (&[0x1f, 0x8b], b"BZh");
    // Name endings, the first bytes they promise, the words for it.
    let promises: &[(&[&str], &[&[u8]], &str)] = &[
        (
            &[".fits", ".fit", ".fts", ".fits.fz", ".fits.gz", ".fit.gz", ".fits.bz2"],
            &[b"SIMPLE  =", b"XTENSION", gzip, bzip],
            "would begin as FITS",
        ),
        (&[".jpg", ".jpeg"], &[&[0xff, 0xd8]], "would begin as JPEG"),
        (&[".png"], &[&[0x89, b'P', b'N', b'G']], "would begin as PNG"),
        (&[".gif"], &[b"GIF8"], "would begin as GIF"),
        (&[".zip"], &[b"PK"], "would begin as a zip archive"),
        (&[".gz", ".tgz"], &[gzip], "would begin as gzip"),
        (&[".bz2"], &[bzip], "would begin as bzip2"),
        (&[".pdf"], &[b"%PDF"], "would begin as PDF"),
        (&[".asdf"], &[b"#ASDF"], "would begin as ASDF"),
        (&[".parquet"], &[b"PAR1"], "would begin as Parquet"),
        (&[".vot", ".votable"], &[b"<", gzip], "would begin as VOTable"),
    ];
    if let Some((_, magic, words)) = promises.iter().find(|(endings, ..)| ends(endings)) {
        if !begins(magic) {
            return Some(words);
        }
        if !magic.contains(&(b"<" as &[u8])) {
            return None;
        }
    }
    let text = String::from_utf8_lossy(head);
    if head.starts_with(b"{")
        && ["\"ERROR\"", "\"detail\"", "\"error\"", "\"msg\""].iter().any(|w| text.contains(w))
        && !ends(&[".json"])
    {
        return Some("would not be an error message");
    }
    if votable_status(&text).error_message().is_some() || (text.contains("<Error>") && text.contains("<Code>")) {
        return Some("would not be an error document");
    }
    None
}

/// The name a file came by, safe for every file system.
pub(crate) fn file_name(url: &reqwest::Url, uri: &str) -> String {
    let from_uri = uri.split(['?', '#']).next().unwrap_or("").rsplit(['/', ':']).next().unwrap_or("");
    let last = if uri.starts_with("http") {
        // ...?file=x.fits and ...?uri=mast:a/b.fits name the file in the query.
        let in_query = url.query_pairs().map(|(_, v)| v.rsplit(['/', ':']).next().unwrap_or("").to_owned()).find(|v| {
            v.rsplit_once('.')
                .is_some_and(|(stem, end)| !stem.is_empty() && (2..=8).contains(&end.len()) && end.parse::<f64>().is_err())
        });
        in_query.unwrap_or_else(|| from_uri.to_owned())
    } else {
        from_uri.to_owned()
    };
    let safe: String = last.chars().map(|c| if c.is_ascii_alphanumeric() || "._-+".contains(c) { c } else { '_' }).collect();
    let safe = safe.trim_start_matches('.');
    let cut = safe.len().saturating_sub(100);
    if safe.is_empty() { "product".into() } else { safe[cut..].into() }
}

/// 128 bits of FNV-1a: the same on every machine and in every version, unlike the hasher of the standard library.
pub(crate) fn hash(text: &str) -> String {
    let mut h: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in text.bytes() {
        h ^= u128::from(byte);
        h = h.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    format!("{h:032x}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_and_hashes() {
        let url = |u: &str| reqwest::Url::parse(u).unwrap();
        let direct = "https://x.org/a/b%20c/u1.fits?x=1";
        assert_eq!(file_name(&url(direct), direct), "u1.fits");
        let query = "https://x.org/get?file=/data/spec.fits&v=1.25";
        assert_eq!(file_name(&url(query), query), "spec.fits");
        assert_eq!(file_name(&url("https://m/D?uri=mast:HST/product/u9.fits"), "mast:HST/product/u9.fits"), "u9.fits");
        assert_eq!(file_name(&url("https://x.org/"), "https://x.org/"), "product");
        assert_eq!(hash(""), "6c62272e07bb014262b821756295c58d");
        assert_ne!(hash("a"), hash("b"));
    }

    #[test]
    fn the_files_used_longest_ago_go_first_and_nothing_else_goes() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let put = |name: &str, bytes: usize, minutes: u64| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, vec![0; bytes]).unwrap();
            let file = std::fs::File::options().append(true).open(&path).unwrap();
            file.set_modified(now - Duration::from_secs(60 * minutes)).unwrap();
            path
        };
        let hash = "3f".to_owned() + &"0".repeat(30);
        let old = put(&format!("3f/{hash}-old.fits"), 400, 900);
        let left_over = put(&format!("3f/{hash}.part-12-0"), 150, 800);
        let used = put(&format!("3f/{hash}-used.fits"), 400, 60);
        let new = put(&format!("3f/{hash}-new.fits"), 400, 0);
        let others = [put("3f/thesis.tex", 5000, 9000), put(&format!("{hash}-x"), 900, 9000), put("ab/3f.fits", 900, 9000)];
        assert_eq!(kept_files(folder.path()).len(), 4);
        assert_eq!(make_room(folder.path(), 1000, &new, now), 800);
        assert!(!old.exists() && !left_over.exists() && used.exists() && new.exists());
        // The newest stays, however small the limit; so does what was used just now.
        assert_eq!(make_room(folder.path(), 10, &new, now), 400);
        assert!(!used.exists() && new.exists());
        let other = put(&format!("3f/{hash}-other.fits"), 400, 20);
        assert_eq!(make_room(folder.path(), 10, &other, now), 800);
        assert!(others.iter().all(|p| p.exists()));
    }

    #[test]
    fn contents_are_held_against_names() {
        assert!(wrong_content(b"SIMPLE  =                    T", "a.fits").is_none());
        assert!(wrong_content(b"{\"status\":\"ERROR\"}", "a.fits").is_some());
        assert!(wrong_content(b"<!DOCTYPE html><html>", "a.csv").is_some());
        assert!(wrong_content(b"<!DOCTYPE html><html>", "a.html").is_none());
        assert!(wrong_content(b"PK\x03\x04", "a.zip").is_none());
        assert!(wrong_content(b"", "a.csv").is_some());
        assert!(wrong_content(b"a,b\n1,2", "a.csv").is_none());
        assert!(wrong_content(b"SIMPLE  =", "a.fits.gz").is_none());
        assert!(wrong_content(b"not packed", "a.tar.gz").is_some());
        assert!(wrong_content(b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a.csv").is_some());
        assert!(wrong_content(b"#ASDF 1.0.0", "a.asdf").is_none());
        assert!(wrong_content(b"{\"msg\":\"No\"}", "a.txt").is_some());
    }
}
