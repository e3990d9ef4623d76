//! Requests that a person can end at any moment.
//!
//! Every wait, for a connection, for an answer, for the next bytes, runs on the caller's own thread and looks at `cancelled`
//! twenty times a second, so a search ends at once also while a service is silent. Tokio's two threads only move bytes. A body is
//! a plain [`BufRead`]: readers of VOTable and JSON pull from it and hand rows on while later bytes are still on their way, with
//! no channel and no second copy in between. The choice not taken is an async API up to the session: the session's jobs are threads.
//!
//! Redirects are followed here and not by reqwest, since 301 and 302 (http to https) must not lose the body of a POST, and since a
//! job's 303 is an answer and not a detour. Retries follow the rules of `protocols`: 429 and 503 wait as told; 5xx and broken
//! connections are tried again with growing pauses where that cannot make a second job.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{BufRead, Read};
use std::pin::pin;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Method, Url};

use crate::text::{plain_words, votable_status};
use crate::{Error, Event, Result, Services};

/// Asked often; true ends the work.
pub(crate) type Cancelled<'a> = &'a dyn Fn() -> bool;

const POLL: Duration = Duration::from_millis(50);
const HEAD_BYTES: usize = 64 << 10;
const TAIL_BYTES: usize = 8 << 10;

/// Events on their way to the caller, and the count of rows.
pub(crate) struct Out<'a> {
    on: RefCell<&'a mut dyn FnMut(Event)>,
    rows: Cell<usize>,
    told: Cell<Instant>,
}

impl<'a> Out<'a> {
    pub fn new(on: &'a mut dyn FnMut(Event)) -> Self {
        Self { on: RefCell::new(on), rows: Cell::new(0), told: Cell::new(Instant::now()) }
    }
    pub fn send(&self, event: Event) {
        if let Event::Rows(table) = &event {
            self.rows.set(self.rows.get() + table.rows());
        }
        (self.on.borrow_mut())(event);
    }
    pub fn rows(&self) -> usize {
        self.rows.get()
    }
    fn bytes(&self, done: u64, of: Option<u64>) {
        if self.told.get().elapsed() > Duration::from_millis(100) {
            self.told.set(Instant::now());
            self.send(Event::Progress { stage: "bytes".into(), done, of });
        }
    }
}

/// One request.
#[derive(Clone)]
pub(crate) struct Call {
    pub method: Method,
    pub url: Url,
    /// Content type and bytes.
    pub body: Option<(String, Vec<u8>)>,
    pub accept: &'static str,
    /// Sending it twice does no harm.
    pub idempotent: bool,
    /// 303 leads on to the answer; otherwise it is the answer.
    pub follow: bool,
    /// In place of the setting.
    pub timeout: Option<Duration>,
}

impl Call {
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, body: None, accept: "*/*", idempotent: true, follow: true, timeout: None }
    }
    pub fn post_form(url: Url, fields: &[(&str, &str)]) -> Self {
        let body = fields.iter().map(|(k, v)| format!("{}={}", percent(k, ""), percent(v, ""))).collect::<Vec<_>>().join("&");
        Self {
            method: Method::POST,
            body: Some(("application/x-www-form-urlencoded".into(), body.into_bytes())),
            ..Self::get(url)
        }
    }
    pub fn accept(self, accept: &'static str) -> Self {
        Self { accept, ..self }
    }
    pub fn creates(self) -> Self {
        Self { idempotent: false, follow: false, ..self }
    }
}

/// An answer whose body has not been read yet.
pub(crate) struct Response {
    pub inner: reqwest::Response,
    pub service: String,
}

impl Response {
    pub fn location(&self) -> Option<Url> {
        let location = self.inner.headers().get(LOCATION)?.to_str().ok()?;
        self.inner.url().join(location).ok()
    }
}

/// The connections of a client.
pub(crate) struct Http {
    outside: reqwest::Client,
    loopback: reqwest::Client,
    runtime: Option<tokio::runtime::Runtime>,
    token: Option<String>,
    pub services: Services,
}

impl Drop for Http {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Http {
    pub fn new(services: Services) -> Result<Self> {
        // Another part of the program may have chosen a provider already; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("archive-io")
            .enable_all()
            .build()
            .map_err(|e| Error::io("network threads", e))?;
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("Asterism/", env!("CARGO_PKG_VERSION"), " (", env!("CARGO_PKG_REPOSITORY"), ")"))
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(Duration::from_secs_f64(services.timeout_s.clamp(0.1, 30.0)))
        };
        let broken = |e: reqwest::Error| Error::Network {
            service: "The network".into(),
            why: reason(&e),
            advice: "Check the certificates of this machine (package ca-certificates on Linux)".into(),
        };
        // A machine without any certificates can still use services that are addressed by plain http.
        let outside = builder().build().or_else(|_| builder().tls_certs_only([]).build()).map_err(broken)?;
        let loopback = builder().no_proxy().tls_certs_only([]).build().map_err(broken)?;
        let token = std::env::var("MAST_API_TOKEN").ok().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        Ok(Self { outside, loopback, runtime: Some(runtime), token, services })
    }

    pub fn url(&self, text: &str) -> Result<Url> {
        let parsed = Url::parse(text.trim()).map_err(|e| Error::Network {
            service: format!("'{text}'"),
            why: format!("this is not an address ({e})"),
            advice: "An address begins with http:// or https://".into(),
        })?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
            return Err(Error::Network {
                service: format!("'{text}'"),
                why: "only http and https addresses can be asked".into(),
                advice: "Check the address in the settings".into(),
            });
        }
        Ok(parsed)
    }

    /// The name of a service for a person.
    pub fn service_name(&self, url: &Url) -> String {
        let text = url.as_str();
        let s = &self.services;
        let starts = |base: &str| !base.is_empty() && text.starts_with(base.trim_end_matches(['/', '?', '&']));
        if let Some(saved) = s.saved.iter().filter(|v| starts(&v.url)).max_by_key(|v| v.url.len()) {
            return saved.name.clone();
        }
        if starts(&s.resolver) {
            return "The name resolver of MAST".into();
        }
        if starts(&s.mast) || starts(&s.catalogs) {
            return "MAST".into();
        }
        match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.into(),
            _ => text.into(),
        }
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.services.timeout_s.clamp(0.05, 86_400.0))
    }

    /// Waits for `future` on this thread, looking at `cancelled` all the while.
    pub fn wait<F: Future>(&self, future: F, limit: Duration, service: &str, cancelled: Cancelled) -> Result<F::Output> {
        let Some(runtime) = &self.runtime else { return Err(Error::Cancelled) };
        runtime.block_on(async {
            let mut future = pin!(future);
            let until = Instant::now() + limit;
            loop {
                if cancelled() {
                    return Err(Error::Cancelled);
                }
                let left = until.saturating_duration_since(Instant::now());
                if let Ok(value) = tokio::time::timeout(POLL.min(left), future.as_mut()).await {
                    return Ok(value);
                }
                if left <= POLL {
                    return Err(Error::Timeout { service: service.into(), seconds: limit.as_secs_f64() });
                }
            }
        })
    }

    /// Sleeps, or ends with [`Error::Cancelled`].
    pub fn pause(&self, length: Duration, cancelled: Cancelled) -> Result<()> {
        let until = Instant::now() + length;
        loop {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(POLL));
        }
    }

    fn build(&self, call: &Call, method: &Method, url: &Url, with_body: bool) -> reqwest::RequestBuilder {
        let client = if is_loopback(url) { &self.loopback } else { &self.outside };
        let mut request = client.request(method.clone(), url.clone()).header(ACCEPT, call.accept);
        if let Some(token) = self.token.as_ref().filter(|_| token_goes_to(url))
            && let Ok(mut value) = reqwest::header::HeaderValue::from_str(&format!("token {token}"))
        {
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some((kind, bytes)) = call.body.as_ref().filter(|_| with_body) {
            request = request.header(CONTENT_TYPE, kind).body(bytes.clone());
        }
        request
    }

    /// Sends once, following redirects.
    fn once(&self, call: &Call, cancelled: Cancelled) -> Result<Response> {
        let service = self.service_name(&call.url);
        let limit = call.timeout.unwrap_or_else(|| self.timeout());
        let (mut method, mut url, mut with_body) = (call.method.clone(), call.url.clone(), true);
        for _ in 0..10 {
            let request = self.build(call, &method, &url, with_body);
            let inner = self.wait(request.send(), limit, &service, cancelled)?.map_err(|e| network(&service, &e, limit))?;
            let response = Response { inner, service: service.clone() };
            let code = response.inner.status().as_u16();
            let Some(next) = response.location().filter(|_| matches!(code, 301 | 302 | 303 | 307 | 308)) else {
                return Ok(response);
            };
            if !matches!(next.scheme(), "http" | "https") {
                return Err(Error::service(&service, format!("it points to {next}, which cannot be followed")));
            }
            let same_place = next.path() == url.path() && next.host_str() == url.host_str();
            match code {
                307 | 308 => {}
                // A move of the whole service, most often from http to https: the same request again.
                301 | 302 if same_place => {}
                _ if !call.follow => return Ok(response),
                _ => {
                    if method != Method::HEAD {
                        method = Method::GET;
                    }
                    with_body = false;
                }
            }
            url = next;
        }
        Err(Error::service(&service, "it points from one address to the next without end (more than 10 redirects)"))
    }

    /// Sends, and tries again where that is right. Gives only successes, and redirects that are answers.
    pub fn send(&self, call: &Call, cancelled: Cancelled) -> Result<Response> {
        let mut attempt = 0;
        loop {
            let last = attempt >= self.services.retries;
            let growing = Duration::from_secs_f64((self.services.pause_s * 2_f64.powi(attempt as i32)).clamp(0.0, 60.0));
            let pause = match self.once(call, cancelled) {
                Ok(response) => {
                    let status = response.inner.status();
                    if status.is_success() || (status.is_redirection() && !call.follow) {
                        return Ok(response);
                    }
                    let code = status.as_u16();
                    let told = retry_after(&response);
                    let error = self.status_error(response, cancelled);
                    let busy = matches!(code, 429 | 503);
                    let passing = call.idempotent && matches!(code, 500 | 502 | 504);
                    match (&error, busy, told) {
                        _ if last => return Err(error),
                        (Error::Cancelled, ..) => return Err(error),
                        // Told to come back later than a person would wait for in front of the screen.
                        (_, true, Some(told)) if told > Duration::from_secs(120) => return Err(error),
                        (_, true, Some(told)) => told.max(Duration::from_millis(10)),
                        (_, true, None) => growing,
                        (Error::Status { .. }, false, _) if passing => growing,
                        _ => return Err(error),
                    }
                }
                Err(Error::Network { .. }) if call.idempotent && !last => growing,
                Err(error) => return Err(error),
            };
            self.pause(pause, cancelled)?;
            attempt += 1;
        }
    }

    /// The words of an answer that is no success.
    pub fn status_error(&self, response: Response, cancelled: Cancelled) -> Error {
        let code = response.inner.status().as_u16();
        let meaning = response.inner.status().canonical_reason().unwrap_or("no reason given").to_lowercase();
        let service = response.service.clone();
        let mut body = Body::new(self, response, cancelled, None);
        let mut bytes = Vec::new();
        if let Err(_e) = (&mut body).take(HEAD_BYTES as u64).read_to_end(&mut bytes)
            && let Some(Error::Cancelled) = body.failed
        {
            return Error::Cancelled;
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some(message) = votable_status(&text).error_message() {
            return Error::Service { service, message };
        }
        if let Some(message) = crate::text::json_message(&text) {
            return Error::Service { service, message };
        }
        let words = plain_words(&text, 240);
        let hint = match code {
            401 => "this is not public; set MAST_API_TOKEN to a token of your account if it is MAST's",
            403 => "access is not allowed",
            404 => "there is nothing at this address; check the address of the service in the settings",
            _ => "",
        };
        let text = [words.as_str(), hint].iter().filter(|v| !v.is_empty()).copied().collect::<Vec<_>>().join("; ");
        Error::Status { service, code, text: if text.is_empty() { meaning } else { text } }
    }

    /// The whole body, up to `limit` bytes.
    pub fn read_all(&self, response: Response, limit: usize, cancelled: Cancelled) -> Result<Vec<u8>> {
        let mut body = Body::new(self, response, cancelled, None);
        let mut bytes = Vec::new();
        let read = (&mut body).take(limit as u64).read_to_end(&mut bytes);
        match (read, body.failed.take()) {
            (_, Some(error)) => Err(error),
            (Err(e), None) => Err(Error::not_a_table(&body.service, e.to_string())),
            (Ok(_), None) => Ok(bytes),
        }
    }

    /// Runs a few small requests in the background and waits at most `wait` for them.
    pub fn farewell(&self, calls: Vec<Call>, wait: Duration) {
        let Some(runtime) = &self.runtime else { return };
        let requests: Vec<_> =
            calls.iter().map(|c| self.build(c, &c.method, &c.url, true).timeout(Duration::from_secs(5))).collect();
        let task = runtime.spawn(async move {
            for request in requests {
                let _ = request.send().await;
            }
        });
        let _ = runtime.block_on(async { tokio::time::timeout(wait, task).await });
    }
}

/// The body of an answer as a blocking reader.
pub(crate) struct Body<'a, 'o> {
    http: &'a Http,
    response: reqwest::Response,
    cancelled: Cancelled<'a>,
    out: Option<&'a Out<'o>>,
    chunk: Vec<u8>,
    at: usize,
    /// Service, for a person.
    pub service: String,
    /// Bytes so far.
    pub read: u64,
    /// Bytes expected, if the service said.
    pub of: Option<u64>,
    /// The first bytes.
    pub head: Vec<u8>,
    /// The last bytes.
    pub tail: Vec<u8>,
    /// The service sent everything.
    pub ended: bool,
    /// Why reading stopped early; the reader itself only sees an `io::Error`.
    pub failed: Option<Error>,
}

impl<'a, 'o> Body<'a, 'o> {
    pub fn new(http: &'a Http, response: Response, cancelled: Cancelled<'a>, out: Option<&'a Out<'o>>) -> Self {
        let Response { inner, service } = response;
        let of = inner.content_length();
        Self {
            http,
            response: inner,
            cancelled,
            out,
            chunk: Vec::new(),
            at: 0,
            service,
            read: 0,
            of,
            head: Vec::new(),
            tail: Vec::new(),
            ended: false,
            failed: None,
        }
    }

    /// The first bytes that are not blank, without taking them.
    pub fn peek(&mut self) -> Vec<u8> {
        while self.head.len() < 512 && !self.ended && self.failed.is_none() && !enough(&self.head) {
            if self.more().is_err() {
                break;
            }
        }
        let start = self.head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.head);
        start.trim_ascii_start().to_vec()
    }

    /// Waits for more bytes and puts them behind those not yet taken.
    fn more(&mut self) -> std::io::Result<()> {
        if self.ended {
            return Ok(());
        }
        let limit = self.http.timeout();
        match self.http.wait(self.response.chunk(), limit, &self.service, self.cancelled) {
            Ok(Ok(Some(bytes))) => {
                self.read += bytes.len() as u64;
                if self.at > 0 {
                    self.chunk.drain(..self.at);
                    self.at = 0;
                }
                self.chunk.extend_from_slice(&bytes);
                let room = HEAD_BYTES.saturating_sub(self.head.len());
                self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
                if bytes.len() >= TAIL_BYTES {
                    self.tail.clear();
                    self.tail.extend_from_slice(&bytes[bytes.len() - TAIL_BYTES..]);
                } else {
                    self.tail.extend_from_slice(&bytes);
                    let over = self.tail.len().saturating_sub(TAIL_BYTES);
                    self.tail.drain(..over);
                }
                if let Some(out) = self.out {
                    out.bytes(self.read, self.of);
                }
                Ok(())
            }
            Ok(Ok(None)) => {
                self.ended = true;
                Ok(())
            }
            Ok(Err(_)) => {
                self.failed = Some(Error::CutOff { service: self.service.clone(), rows: 0 });
                Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the connection was cut off"))
            }
            Err(error) => {
                let text = error.to_string();
                self.failed = Some(error);
                Err(std::io::Error::other(text))
            }
        }
    }
}

fn enough(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    // A page of HTML or an XML document shows itself within its first tags.
    text.len() >= 256 || matches!(text.first(), Some(b) if *b != b'<')
}

impl BufRead for Body<'_, '_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        while self.at >= self.chunk.len() && !self.ended {
            if let Some(error) = &self.failed {
                return Err(std::io::Error::other(error.to_string()));
            }
            self.more()?;
        }
        Ok(&self.chunk[self.at..])
    }
    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.chunk.len());
    }
}

impl Read for Body<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let have = self.fill_buf()?;
        let n = have.len().min(into.len());
        into[..n].copy_from_slice(&have[..n]);
        self.consume(n);
        Ok(n)
    }
}

/// Percent-encodes all but letters, digits, `-._~` and the bytes of `keep`.
pub(crate) fn percent(text: &str, keep: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.as_bytes().contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|h| h == "localhost" || h == "[::1]" || h.starts_with("127."))
}

/// The token of a MAST account goes to MAST over https and nowhere else.
fn token_goes_to(url: &Url) -> bool {
    url.scheme() == "https" && url.host_str().is_some_and(|h| h == "mast.stsci.edu" || h.ends_with(".mast.stsci.edu"))
}

/// Seconds, or an HTTP date (which is answered by the usual pause).
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.inner.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse::<u64>().ok().map(Duration::from_secs)
}

fn reason(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(next) = source.source() {
        source = next;
    }
    source.to_string()
}

fn network(service: &str, error: &reqwest::Error, limit: Duration) -> Error {
    if error.is_timeout() {
        return Error::Timeout { service: service.into(), seconds: limit.as_secs_f64() };
    }
    let text = format!("{error:?}").to_lowercase();
    let advice = if text.contains("dns") {
        "Check the connection to the internet and the name of the service in the settings"
    } else if text.contains("certificate") || text.contains("tls") {
        "The certificate could not be checked: check the clock and the certificates of this machine"
    } else if text.contains("refused") {
        "Nothing listens there: check the address and the port, or try later"
    } else {
        "Check the connection and try again"
    };
    let why = reason(error);
    let why = if text.contains("dns") { format!("its name is not known here ({why})") } else { why };
    Error::Network { service: service.into(), why, advice: advice.into() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_token_goes_to_mast_over_https_alone() {
        let goes = |u: &str| token_goes_to(&Url::parse(u).unwrap());
        assert!(goes("https://mast.stsci.edu/api/v0/invoke"));
        assert!(goes("https://auth.mast.stsci.edu/x"));
        assert!(!goes("http://mast.stsci.edu/api/v0/invoke"));
        assert!(!goes("https://evilmast.stsci.edu.example/x"));
        assert!(!goes("https://simbad.cds.unistra.fr/simbad/sim-tap"));
        assert!(!goes("http://127.0.0.1:8080/api/v0/invoke"));
    }

    #[test]
    fn percent_encoding_keeps_what_is_asked() {
        assert_eq!(percent("mast:HST/product/a b.fits", ":/"), "mast:HST/product/a%20b.fits");
        assert_eq!(percent("{\"a\":1}", ""), "%7B%22a%22%3A1%7D");
    }
}
