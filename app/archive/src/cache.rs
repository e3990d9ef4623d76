//! Products on disk: fetched once, checked, and named so that a half-written file is never found under its name.
//!
//! A file lies under the hash of its address with the name it came by, `3f/3f9c…-u9o40504m_drz.fits`. A 200 can carry a page that
//! says "service down" or a JSON error, so the first bytes are held against what the name promises before the file gets its name.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::http::{Body, Call};
use crate::text::{describe_other, json_message, looks_like_html, votable_status};
use crate::{Client, Error, Result};

impl Client {
    /// A product as a file in the cache: at once if it is there, else fetched. `mast:` URIs go through MAST's download service;
    /// a path of this machine is given back as it is. `progress` gets bytes so far and bytes in all, if known.
    ///
    /// # Errors
    /// As [`Client::search`]; [`Error::NotATable`] when something else came in the place of the product; nothing is kept then.
    pub fn fetch(&self, url: &str, cancelled: &dyn Fn() -> bool, progress: &mut dyn FnMut(u64, Option<u64>)) -> Result<PathBuf> {
        let address = self.download_url(url);
        let local = Path::new(address.strip_prefix("file://").unwrap_or(&address));
        if !address.starts_with("http://") && !address.starts_with("https://") && local.exists() {
            return Ok(local.into());
        }
        let parsed = self.http.url(&address)?;
        let name = file_name(&parsed, url);
        let hash = hash(&address);
        let folder = self.cache_folder()?.join(&hash[..2]);
        let target = folder.join(format!("{hash}-{name}"));
        if let Ok(meta) = std::fs::metadata(&target)
            && meta.len() > 0
        {
            progress(meta.len(), Some(meta.len()));
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
            Ok(()) => std::fs::rename(&part, &target).map_err(|e| Error::io(&target, e)).map(|()| target),
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
        let response = self.http.send(&Call::get(url), cancelled)?;
        let service = response.service.clone();
        let mut body = Body::new(&self.http, response, cancelled, None);
        let head = body.peek();
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

/// What is wrong with these first bytes for a file of this name; `None` if they can be right.
fn wrong_content(head: &[u8], name: &str) -> Option<&'static str> {
    if head.is_empty() {
        return Some("is empty");
    }
    let lower = name.to_ascii_lowercase();
    let ends = |list: &[&str]| list.iter().any(|e| lower.ends_with(e));
    let gzip = head.starts_with(&[0x1f, 0x8b]);
    let html_expected = ends(&[".html", ".htm", ".xhtml"]);
    if looks_like_html(head) && !html_expected {
        return Some("would not be a web page");
    }
    if ends(&[".fits", ".fit", ".fits.fz", ".fits.gz", ".fit.gz", ".fts"]) {
        let fits = head.starts_with(b"SIMPLE  =") || head.starts_with(b"XTENSION");
        return (!fits && !gzip && !head.starts_with(b"BZh")).then_some("would begin as FITS");
    }
    if ends(&[".jpg", ".jpeg"]) {
        return (!head.starts_with(&[0xff, 0xd8])).then_some("would begin as JPEG");
    }
    if ends(&[".png"]) {
        return (!head.starts_with(&[0x89, b'P', b'N', b'G'])).then_some("would begin as PNG");
    }
    if ends(&[".zip"]) {
        return (!head.starts_with(b"PK")).then_some("would begin as a zip archive");
    }
    let text = String::from_utf8_lossy(head);
    if head.starts_with(b"{") && (text.contains("\"ERROR\"") || text.contains("\"detail\"")) && !ends(&[".json"]) {
        return Some("would not be an error message");
    }
    if votable_status(&text).error_message().is_some() {
        return Some("would not be an error document");
    }
    None
}

/// The name a file came by, safe for every file system.
fn file_name(url: &reqwest::Url, uri: &str) -> String {
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
fn hash(text: &str) -> String {
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
    fn contents_are_held_against_names() {
        assert!(wrong_content(b"SIMPLE  =                    T", "a.fits").is_none());
        assert!(wrong_content(b"{\"status\":\"ERROR\"}", "a.fits").is_some());
        assert!(wrong_content(b"<!DOCTYPE html><html>", "a.csv").is_some());
        assert!(wrong_content(b"<!DOCTYPE html><html>", "a.html").is_none());
        assert!(wrong_content(b"PK\x03\x04", "a.zip").is_none());
        assert!(wrong_content(b"", "a.csv").is_some());
        assert!(wrong_content(b"a,b\n1,2", "a.csv").is_none());
    }
}
