//! Requests that a person can end at any moment.
//!
//! Every wait, for a connection, for an answer, for the next bytes, runs on the caller's own thread and looks at `cancelled`
//! twenty times a second, so a search ends at once also while a service is silent. Tokio's two threads only move bytes. A body is
//! a plain `BufRead` (`body`): readers of VOTable and JSON pull from it and hand rows on while later bytes are still on their way, with
//! no channel and no second copy in between. The choice not taken is an async API up to the session: the session's jobs are threads.
//!
//! Redirects are followed here and not by reqwest, since 301 and 302 (http to https) must not lose the body of a POST, and since a
//! job's 303 is an answer and not a detour. What came over https never goes on over http, and the token of MAST goes to MAST alone,
//! whatever an answer points to. Retries: 429 and 503 wait as told (`Retry-After` in seconds or as a date, RFC 9110 §10.2.3), at
//! most two minutes; 5xx and broken connections are tried again with growing pauses where that cannot make a second job. Pauses
//! are spread by chance, so that many programs that were turned away together do not come back together.
//!
//! An answer is bounded in size as it is unpacked ([`Services::answer_gb`], a bomb of gzip is an error long before memory ends) and
//! in time: silence for `timeout_s` ends it, and so does a trickle below `slowest_bytes_per_s` over the same time. Only the time
//! that is spent waiting counts, so a reader that is slow itself is not taken for a slow service. Files are taken as they are
//! stored, with no unpacking on the way, since lengths and ranges are told of the stored bytes.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::Read;
use std::pin::pin;
use std::sync::RwLock;
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{Method, Url};

use crate::body::Body;
use crate::text::{plain_words, votable_status};
use crate::token::Token;
use crate::{Error, Event, Result, Services};

/// Asked often; true ends the work.
pub(crate) type Cancelled<'a> = &'a dyn Fn() -> bool;

const POLL: Duration = Duration::from_millis(50);
pub(crate) const HEAD_BYTES: usize = 64 << 10;
/// A service that asks to be left alone for longer than this is told to the person in front of the screen at once.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

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
    pub fn bytes(&self, done: u64, of: Option<u64>) {
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
    /// The bytes as they are stored: no unpacking on the way.
    pub raw: bool,
    /// Headers beside the usual ones.
    pub headers: Vec<(HeaderName, String)>,
}

impl Call {
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            body: None,
            accept: "*/*",
            idempotent: true,
            follow: true,
            timeout: None,
            raw: false,
            headers: Vec::new(),
        }
    }
    pub fn post_json(url: Url, json: &serde_json::Value) -> Self {
        let body = Some(("application/json".into(), json.to_string().into_bytes()));
        Self { method: Method::POST, body, accept: "application/json", ..Self::get(url) }
    }
    pub fn file(url: Url) -> Self {
        Self { raw: true, ..Self::get(url) }
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
    outside: Pair,
    loopback: Pair,
    runtime: Option<tokio::runtime::Runtime>,
    token: RwLock<Option<Token>>,
    pub services: Services,
}

/// The same connections for answers, which may be packed on the way, and for files, which may not.
struct Pair {
    answers: reqwest::Client,
    files: reqwest::Client,
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
        Self::with(services, &|builder| builder)
    }

    /// As [`Http::new`]; `more` is asked for each set of connections (tests give names to addresses of loopback with it).
    pub fn with(services: Services, more: &dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Result<Self> {
        // Another part of the program may have chosen a provider already; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("archive-io")
            .enable_all()
            .build()
            .map_err(|e| Error::io("network threads", e))?;
        let builder = || {
            more(reqwest::Client::builder())
                .user_agent(concat!("Asterism/", env!("CARGO_PKG_VERSION"), " (", env!("CARGO_PKG_REPOSITORY"), ")"))
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(Duration::from_secs_f64(services.timeout_s.clamp(0.1, 30.0)))
        };
        let broken = |e: reqwest::Error| Error::Network {
            service: "The network".into(),
            why: reason(&e),
            advice: "Check the certificates of this machine (package ca-certificates on Linux)".into(),
        };
        let trusted = match &services.certificates {
            Some(path) => {
                let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
                let list = reqwest::Certificate::from_pem_bundle(&bytes).unwrap_or_default();
                if list.is_empty() {
                    let source =
                        std::io::Error::new(std::io::ErrorKind::InvalidData, "this file holds no certificate in PEM form");
                    return Err(Error::io(path, source));
                }
                list
            }
            None => Vec::new(),
        };
        let pair = |make: &dyn Fn() -> reqwest::ClientBuilder| -> std::result::Result<Pair, reqwest::Error> {
            Ok(Pair { answers: make().build()?, files: make().gzip(false).build()? })
        };
        // A machine without any certificates can still use services that are addressed by plain http.
        let outside = pair(&|| builder().tls_certs_merge(trusted.clone()))
            .or_else(|_| pair(&|| builder().tls_certs_only(trusted.clone())))
            .map_err(broken)?;
        let loopback = pair(&|| builder().no_proxy().tls_certs_only(trusted.clone())).map_err(broken)?;
        let token = RwLock::new(Token::from_environment());
        Ok(Self { outside, loopback, runtime: Some(runtime), token, services })
    }

    /// The token for MAST from now on.
    pub fn set_token(&self, token: Option<Token>) {
        if let Ok(mut kept) = self.token.write() {
            *kept = token;
        }
    }
    pub fn has_token(&self) -> bool {
        self.token.read().is_ok_and(|t| t.is_some())
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

    pub fn answer_limit(&self) -> u64 {
        gigabytes(self.services.answer_gb)
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
        let pair = if is_loopback(url) { &self.loopback } else { &self.outside };
        let client = if call.raw { &pair.files } else { &pair.answers };
        let mut request = client.request(method.clone(), url.clone()).header(ACCEPT, call.accept);
        if token_goes_to(url)
            && let Ok(token) = self.token.read()
            && let Some(value) = token.as_ref().and_then(Token::header)
        {
            request = request.header(AUTHORIZATION, value);
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
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
            let next = same_scheme(next, &url);
            if url.scheme() == "https" && next.scheme() == "http" {
                let what = format!("it points from https to {next}, where nothing is secret any more; this is not followed");
                return Err(Error::service(&service, what));
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
            let growing = spread(Duration::from_secs_f64((self.services.pause_s * 2_f64.powi(attempt as i32)).clamp(0.0, 60.0)));
            let pause = match self.once(call, cancelled) {
                Ok(response) => {
                    let status = response.inner.status();
                    if status.is_success() || (status.is_redirection() && !call.follow) {
                        return Ok(response);
                    }
                    let code = status.as_u16();
                    let told = retry_after(&response);
                    let mut error = self.status_error(response, cancelled);
                    if let (Error::Status { text, .. }, Some(told)) = (&mut error, told.filter(|t| *t > LONGEST_WAIT)) {
                        text.push_str(&format!("; it asks to be left alone for {:.0} min", told.as_secs_f64() / 60.0));
                    }
                    let busy = matches!(code, 429 | 503);
                    let passing = call.idempotent && matches!(code, 500 | 502 | 504);
                    match (&error, busy, told) {
                        _ if last => return Err(error),
                        (Error::Cancelled, ..) => return Err(error),
                        // Told to come back later than a person would wait for in front of the screen.
                        (_, true, Some(told)) if told > LONGEST_WAIT => return Err(error),
                        (_, true, Some(told)) => told.max(Duration::from_millis(10)) + spread(growing) / 4,
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
            401 => "this is not public; give the token of your account in the settings (or MAST_API_TOKEN) if it is MAST's",
            403 => "access is not allowed",
            404 => "there is nothing at this address; check the address of the service in the settings",
            _ => "",
        };
        let text = [words.as_str(), hint].iter().filter(|v| !v.is_empty()).copied().collect::<Vec<_>>().join("; ");
        Error::Status { service, code, text: if text.is_empty() { meaning } else { text } }
    }

    /// The whole body; an error if it is larger than `limit` bytes.
    pub fn read_all(&self, response: Response, limit: usize, cancelled: Cancelled) -> Result<Vec<u8>> {
        let mut body = Body::new(self, response, cancelled, None);
        body.limit = body.limit.min(limit as u64);
        self.drain(body, limit.saturating_add(1))
    }

    /// The first `limit` bytes of the body, for the words in it.
    pub fn read_head(&self, response: Response, limit: usize, cancelled: Cancelled) -> Result<Vec<u8>> {
        self.drain(Body::new(self, response, cancelled, None), limit)
    }

    fn drain(&self, mut body: Body, limit: usize) -> Result<Vec<u8>> {
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

/// A service reached by https that writes http into its answers means itself.
pub(crate) fn same_scheme(mut url: Url, like: &Url) -> Url {
    if like.scheme() == "https" && url.scheme() == "http" && url.host_str() == like.host_str() && url.port().is_none() {
        let _ = url.set_scheme("https");
    }
    url
}

/// Bytes of a setting in gigabytes; 0 is no limit.
pub(crate) fn gigabytes(gb: f64) -> u64 {
    if gb > 0.0 { (gb * 1e9) as u64 } else { u64::MAX }
}

/// Somewhere between three quarters and five quarters of it, another place each time.
fn spread(pause: Duration) -> Duration {
    use std::hash::{BuildHasher, Hasher};
    // The keys of the standard library's hasher are the random numbers that are at hand.
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    pause.mul_f64(0.75 + 0.5 * (random >> 11) as f64 / (1u64 << 53) as f64)
}

/// How long a service asks to be left alone: seconds, or a date, which is held against the service's own clock where it tells it.
fn retry_after(response: &Response) -> Option<Duration> {
    let headers = response.inner.headers();
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return (0.0..1e9).contains(&seconds).then(|| Duration::from_secs_f64(seconds));
    }
    let until = http_date(text)?;
    let now = headers
        .get(DATE)
        .and_then(|d| http_date(d.to_str().ok()?))
        .or_else(|| SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok().map(|d| d.as_secs() as i64))?;
    Some(Duration::from_secs(u64::try_from(until - now).unwrap_or(0)))
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` or `Sun Nov  6 08:49:37 1994`
/// (RFC 9110 §5.6.7).
fn http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let words: Vec<&str> = text.split([' ', ',', '-']).filter(|w| !w.is_empty()).collect();
    let month_of = |word: &str| MONTHS.iter().position(|m| word.to_ascii_lowercase().starts_with(m));
    let (day, month, year, clock) = match words.as_slice() {
        [_, day, month, year, clock, "GMT" | "UTC"] => (*day, month_of(month)?, *year, *clock),
        [_, month, day, clock, year] => (*day, month_of(month)?, *year, *clock),
        _ => return None,
    };
    let (day, mut year) = (day.parse::<i64>().ok()?, year.parse::<i64>().ok()?);
    if year < 100 {
        year += if year < 70 { 2000 } else { 1900 };
    }
    let clock: Vec<i64> = clock.split(':').map(|v| v.parse().ok()).collect::<Option<_>>()?;
    let &[hour, minute, second] = clock.as_slice() else { return None };
    if !(1..=31).contains(&day) || !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
        return None;
    }
    // Days of the civil calendar, years that begin in March.
    let (y, m) = if month < 2 { (year - 1, month as i64 + 10) } else { (year, month as i64 - 2) };
    let days = 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
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
        "Its certificate could not be checked, so nothing was sent: check the clock and the certificates of this machine, or name \
         your institute's own authority in the settings (certificates)"
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
    fn the_token_does_not_travel_to_another_host() {
        use crate::replay::{Replay, Reply, Route};
        let pem = |name: &str| std::fs::read(format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let secret = "0123456789abcdef";
        let serve = |routes| Replay::start_tls(routes, &pem("server.pem"), &pem("server.key")).unwrap();
        let elsewhere = serve(vec![Route::get("/", Reply::bytes("taken"))]);
        let to = format!("{}/taken", elsewhere.base());
        let mast = serve(vec![Route::get("/away", Reply::redirect(302, &to)), Route::get("/", Reply::bytes("here"))]);
        let services = Services {
            certificates: Some(format!("{}/tests/tls/authority.pem", env!("CARGO_MANIFEST_DIR")).into()),
            retries: 0,
            ..Services::default()
        };
        // The name of MAST leads to loopback here.
        let address = mast.address();
        let http = Http::with(services, &|builder| builder.no_proxy().resolve("mast.stsci.edu", address)).unwrap();
        http.set_token(Some(Token::new(secret).unwrap()));
        for path in ["/here", "/away"] {
            let url = http.url(&format!("https://mast.stsci.edu:{}{path}", address.port())).unwrap();
            http.send(&Call::get(url), &|| false).unwrap();
        }
        // To MAST it went both times; where MAST pointed to it did not go.
        assert!(mast.seen().iter().all(|s| s.header("authorization") == Some("token 0123456789abcdef")));
        assert_eq!((mast.seen().len(), elsewhere.seen().len()), (2, 1));
        assert!(elsewhere.seen()[0].headers.iter().all(|(_, v)| !v.contains(secret)));
    }

    #[test]
    fn dates_of_http_are_read() {
        // RFC 9110's own three spellings of one moment, and `date -u -d '2028-02-29 23:59:59' +%s`.
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(http_date(text), Some(784_111_777), "{text}");
        }
        assert_eq!(http_date("Tue, 29 Feb 2028 23:59:59 GMT"), Some(1_835_481_599));
        for text in ["", "soon", "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn pauses_are_spread_around_their_length() {
        let pauses: Vec<f64> = (0..200).map(|_| spread(Duration::from_secs(4)).as_secs_f64()).collect();
        assert!(pauses.iter().all(|p| (3.0..=5.0).contains(p)));
        assert!(pauses.iter().any(|p| *p < 3.7) && pauses.iter().any(|p| *p > 4.3));
    }

    #[test]
    fn percent_encoding_keeps_what_is_asked() {
        assert_eq!(percent("mast:HST/product/a b.fits", ":/"), "mast:HST/product/a%20b.fits");
        assert_eq!(percent("{\"a\":1}", ""), "%7B%22a%22%3A1%7D");
    }
}
