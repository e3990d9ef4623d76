//! A small web server on loopback that plays recorded answers: whole, slow, cut off, silent, broken, in pages, one after the other.
//!
//! The tests of this crate and of the whole program run against it, so that every answer is read from real bytes through a real
//! connection, and the pictures of a search in progress are taken with it. It speaks as much HTTP/1.1 as a client needs (one
//! request a connection, Content-Length) with the standard library alone; a server crate would be one more thing that can hide
//! a fault of the client. It speaks TLS too, lies about lengths, trickles and cuts, since archives do; the tests of faults need all
//! of that. Nothing of it is used by the program itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path with its query, as sent.
    pub target: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// When it had come.
    pub at: Instant,
}

impl Seen {
    /// Path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }
    /// A parameter of the query, decoded; names without regard to case.
    pub fn query(&self, key: &str) -> Option<String> {
        pair(self.target.split_once('?')?.1, key)
    }
    /// A field of the form in the body, decoded; names without regard to case.
    pub fn form(&self, key: &str) -> Option<String> {
        pair(&String::from_utf8_lossy(&self.body), key)
    }
    /// The JSON of MAST's `request=`.
    pub fn mast(&self) -> Value {
        let text = self.form("request").or_else(|| self.query("request")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

fn pair(text: &str, key: &str) -> Option<String> {
    text.split('&').filter_map(|p| p.split_once('=')).find(|(k, _)| decode(k).eq_ignore_ascii_case(key)).map(|(_, v)| decode(v))
}

fn decode(text: &str) -> String {
    String::from_utf8_lossy(&crate::percent_decode(text, true)).into_owned()
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manner {
    /// At once.
    Whole,
    /// So many bytes, a pause, and so on.
    Slow {
        /// Bytes of a piece.
        chunk: usize,
        /// Pause between pieces.
        delay: Duration,
    },
    /// The connection ends after so many bytes of the body.
    Cut {
        /// Bytes of the body.
        after: usize,
    },
    /// The request is taken and never answered.
    Silent,
    /// So many bytes of the body, then nothing more, the connection open.
    Stalled {
        /// Bytes of the body.
        after: usize,
    },
    /// The connection ends without an answer.
    Hangup,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers beside those of the length and the connection.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// How it is sent.
    pub manner: Manner,
    /// Say the length beforehand. Without it the end of the connection is the end of the body, and a cut cannot be told.
    pub sized: bool,
    /// Say this length in place of the true one.
    pub claim: Option<u64>,
}

impl Reply {
    /// Status 200 with these bytes.
    pub fn bytes(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into(), manner: Manner::Whole, sized: true, claim: None }
    }
    /// Status 200 with the bytes of a file; 404 with a sentence where it is not there.
    pub fn file(path: impl AsRef<Path>) -> Self {
        match std::fs::read(path.as_ref()) {
            Ok(body) => Self::bytes(body),
            Err(e) => Self::bytes(format!("no recorded answer: {}: {e}", path.as_ref().display())).status(404),
        }
    }
    /// Another status.
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }
    /// A header more.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
    /// Another manner.
    pub fn manner(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }
    /// Without the length beforehand.
    pub fn unsized_body(self) -> Self {
        Self { sized: false, ..self }
    }
    /// With a length that may be a lie.
    pub fn claiming(self, length: u64) -> Self {
        Self { claim: Some(length), ..self }
    }
    /// A redirect.
    pub fn redirect(status: u16, to: &str) -> Self {
        Self::bytes("").status(status).header("Location", to)
    }
}

type Handler = Box<dyn Fn(&Seen, usize) -> Option<Reply> + Send + Sync>;

/// Which requests get which answers.
pub struct Route {
    method: String,
    prefix: String,
    calls: AtomicUsize,
    handler: Handler,
}

impl Route {
    /// Requests of this method whose path begins so; the function sees the request and how many came before it, and may pass
    /// (`None`) so that the next route is asked.
    pub fn new(method: &str, prefix: &str, handler: impl Fn(&Seen, usize) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self { method: method.into(), prefix: prefix.into(), calls: AtomicUsize::new(0), handler: Box::new(handler) }
    }
    /// Always the same answer to GET.
    pub fn get(prefix: &str, reply: Reply) -> Self {
        Self::new("GET", prefix, move |_, _| Some(reply.clone()))
    }
    /// Always the same answer to POST.
    pub fn post(prefix: &str, reply: Reply) -> Self {
        Self::new("POST", prefix, move |_, _| Some(reply.clone()))
    }
    /// One answer after the other; the last one stays.
    pub fn sequence(method: &str, prefix: &str, replies: Vec<Reply>) -> Self {
        Self::new(method, prefix, move |_, n| replies.get(n.min(replies.len().saturating_sub(1))).cloned())
    }
    /// What this route says to a request, for a route that chooses among others.
    pub fn answer(&self, seen: &Seen, before: usize) -> Option<Reply> {
        (self.handler)(seen, before)
    }
    /// A whole recorded answer of the portal in pages of the size that is asked for.
    pub fn paged(prefix: &str, whole: Value, manner: Manner) -> Self {
        Self::new("POST", prefix, move |seen, _| Some(page_of(&whole, &seen.mast()).manner(manner)))
    }
}

fn page_of(whole: &Value, request: &Value) -> Reply {
    let size = request["pagesize"].as_u64().unwrap_or(1000).max(1) as usize;
    let page = request["page"].as_u64().unwrap_or(1).max(1) as usize;
    let rows = whole["data"].as_array().cloned().unwrap_or_default();
    let part: Vec<Value> = rows.iter().skip((page - 1) * size).take(size).cloned().collect();
    let paging = json!({
        "page": page, "pageSize": size, "pagesFiltered": rows.len().div_ceil(size), "rows": part.len(),
        "rowsFiltered": rows.len(), "rowsTotal": rows.len(),
    });
    let answer = json!({"status": "COMPLETE", "msg": "", "data": part, "fields": whole["fields"], "paging": paging});
    Reply::bytes(answer.to_string()).header("Content-Type", "text/plain")
}

/// The part of a recorded answer of a mission that is asked for; its own count is of what was recorded.
fn mission_page(recorded: &Reply, seen: &Seen) -> Reply {
    if recorded.status != 200 {
        return recorded.clone();
    }
    let asked: Value = serde_json::from_slice(&seen.body).unwrap_or(Value::Null);
    let mut whole: Value = serde_json::from_slice(&recorded.body).unwrap_or(Value::Null);
    let number = |key: &str, other: usize| asked[key].as_u64().map_or(other, |v| v as usize);
    let rows = whole["results"].as_array().cloned().unwrap_or_default();
    whole["totalResults"] = json!(rows.len());
    whole["results"] = if asked["count_only"] == true {
        json!([])
    } else {
        rows.into_iter().skip(number("offset", 0)).take(number("limit", 5000)).collect()
    };
    Reply::bytes(whole.to_string())
}

struct Shared {
    routes: Vec<Route>,
    seen: Mutex<Vec<Seen>>,
    stop: AtomicBool,
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// The server; it ends when it is dropped.
pub struct Replay {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Replay {
    /// Serves these routes on a free port of 127.0.0.1; the first route that fits answers.
    ///
    /// # Errors
    /// When the system gives no port or no thread.
    pub fn start(routes: Vec<Route>) -> std::io::Result<Self> {
        Self::serve(routes, None)
    }

    /// As [`Replay::start`], over TLS with this certificate chain and key (PEM).
    ///
    /// # Errors
    /// As [`Replay::start`], and when the certificate or the key cannot be read.
    pub fn start_tls(routes: Vec<Route>, chain_pem: &[u8], key_pem: &[u8]) -> std::io::Result<Self> {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let wrong = |e: &dyn std::fmt::Display| std::io::Error::new(std::io::ErrorKind::InvalidData, e.to_string());
        let _ = rustls::crypto::ring::default_provider().install_default();
        let chain = CertificateDer::pem_slice_iter(chain_pem).collect::<Result<Vec<_>, _>>().map_err(|e| wrong(&e))?;
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|e| wrong(&e))?;
        let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).map_err(|e| wrong(&e))?;
        Self::serve(routes, Some(Arc::new(config)))
    }

    fn serve(routes: Vec<Route>, tls: Option<Arc<rustls::ServerConfig>>) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { routes, seen: Mutex::new(Vec::new()), stop: AtomicBool::new(false), tls });
        let inner = shared.clone();
        let thread = std::thread::Builder::new().name("replay".into()).spawn(move || {
            for stream in listener.incoming() {
                if inner.stop.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let inner = inner.clone();
                let _ = std::thread::Builder::new().name("replay-answer".into()).spawn(move || {
                    let _ = meet(&inner, stream);
                });
            }
        })?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// The recorded answers of MAST in `folder` (files named as in the fixtures: `caom.json`, `products.json`, ...), as its portal,
    /// resolver, catalogs and download would give them, pages and all.
    ///
    /// # Errors
    /// As [`Replay::start`].
    pub fn mast(folder: impl Into<PathBuf>) -> std::io::Result<Self> {
        Self::start(Self::mast_routes(folder, Manner::Whole))
    }

    /// The routes of [`Replay::mast`], to put others before them; tables are sent in this manner.
    pub fn mast_routes(folder: impl Into<PathBuf>, manner: Manner) -> Vec<Route> {
        let folder: PathBuf = folder.into();
        let file = move |name: &str| Reply::file(folder.join(name));
        let (invoke, config, names, stars, missions) = (file.clone(), file.clone(), file.clone(), file.clone(), file.clone());
        let (keywords, listed, sectors, files) = (file.clone(), file.clone(), file.clone(), file);
        vec![
            Route::new("POST", "/search/hst/api/v0.1/search", move |seen, _| {
                Some(mission_page(&missions("mission_results.json"), seen))
            }),
            Route::new("POST", "/search/hst/api/v0.1/post_list_products", move |_, _| Some(listed("mission_products.json"))),
            Route::new("GET", "/search/util/api/v0.1/column_list", move |_, _| Some(keywords("mission_columns.json"))),
            Route::new("GET", "/tesscut/api/v0.1/sector", move |_, _| Some(sectors("tess_sector.json"))),
            Route::new("POST", "/api/v0/invoke", move |seen, _| {
                let request = seen.mast();
                let service = request["service"].as_str().unwrap_or("").to_owned();
                let counting =
                    request["params"]["columns"].as_str().is_some_and(|c| c.to_ascii_uppercase().contains("COUNT_BIG"));
                let name = match service.as_str() {
                    _ if counting => "countsResp.json",
                    "Mast.Name.Lookup" => {
                        let wanted = request["params"]["input"].as_str().unwrap_or("").to_lowercase();
                        return Some(resolved(&invoke("resolver.json"), &[wanted]));
                    }
                    "Mast.Caom.Cone" => "caom.json",
                    "Mast.Caom.Filtered" | "Mast.Caom.Filtered.Position" => "advSearch.json",
                    "Mast.Caom.Products" => "products.json",
                    s if s.contains(".Tic.") || s.contains(".Ctl.") => "tic.json",
                    s if s.starts_with("Mast.Hsc.Db") => "hsc.json",
                    "Mast.HscSpectra.Db.All" => "spectra.json",
                    _ => {
                        let message = format!("No such service: {service}");
                        return Some(Reply::bytes(json!({"status": "ERROR", "msg": message}).to_string()));
                    }
                };
                let recorded = invoke(name);
                if recorded.status != 200 {
                    return Some(recorded);
                }
                let asked = request["pagesize"].as_u64().unwrap_or(1000) as usize;
                match serde_json::from_slice::<Value>(&recorded.body) {
                    Ok(whole) if whole["data"].as_array().is_some_and(|d| d.len() > asked) => {
                        Some(page_of(&whole, &request).manner(manner))
                    }
                    _ => Some(recorded.header("Content-Type", "text/plain").manner(manner)),
                }
            }),
            Route::new("POST", "/portal/Mashup/Mashup.asmx/columnsconfig", move |seen, _| {
                Some(match seen.form("colConfigId").as_deref() {
                    Some("Mast.Caom.Cone") => config("columnsconfig.json"),
                    Some("Mast.Catalogs.Tess.Cone") => config("ticcolumns.json"),
                    // What the real server does with a name it does not know.
                    _ => Reply::bytes(""),
                })
            }),
            Route::new("GET", "/Santa-war/query", move |seen, _| {
                let wanted: Vec<String> = seen
                    .target
                    .split_once('?')
                    .map_or("", |t| t.1)
                    .split('&')
                    .filter_map(|p| p.strip_prefix("name="))
                    .map(|n| decode(n).to_lowercase())
                    .collect();
                Some(resolved(&names("resolver.json"), &wanted))
            }),
            Route::new("GET", "/api/v0.1/panstarrs/", move |_, _| Some(stars("panstarrs.json").manner(manner))),
            Route::new("GET", "/api/v0.1/Download/file", move |seen, _| {
                let uri = seen.query("uri").unwrap_or_default();
                let name = uri.rsplit(['/', ':']).next().unwrap_or("").to_owned();
                Some(if name.is_empty() || name.contains("..") {
                    Reply::bytes("no uri").status(400)
                } else {
                    files(&name).manner(manner)
                })
            }),
        ]
    }

    /// `http://127.0.0.1:port`, or `https://localhost:port`.
    pub fn base(&self) -> String {
        if self.shared.tls.is_some() {
            return format!("https://localhost:{}", self.address.port());
        }
        format!("http://{}", self.address)
    }
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
    /// The requests so far, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().map(|s| s.clone()).unwrap_or_default()
    }
    /// Requests whose path begins so.
    pub fn seen_at(&self, prefix: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|s| s.path().starts_with(prefix)).collect()
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The entries of a recorded resolver answer for these names; names nobody knows are simply absent.
fn resolved(recorded: &Reply, wanted: &[String]) -> Reply {
    if recorded.status != 200 {
        return recorded.clone();
    }
    let whole: Value = serde_json::from_slice(&recorded.body).unwrap_or(Value::Null);
    let list: Vec<&Value> = whole["resolvedCoordinate"]
        .as_array()
        .map(|l| l.iter().filter(|v| wanted.iter().any(|w| v["searchString"].as_str() == Some(w))).collect())
        .unwrap_or_default();
    Reply::bytes(json!({"resolvedCoordinate": list, "status": ""}).to_string())
}

fn meet(shared: &Shared, stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_nodelay(true)?;
    let Some(tls) = &shared.tls else { return answer(shared, stream) };
    let connection = rustls::ServerConnection::new(tls.clone()).map_err(std::io::Error::other)?;
    answer(shared, rustls::StreamOwned::new(connection, stream))
}

fn answer(shared: &Shared, mut stream: impl Read + Write) -> std::io::Result<()> {
    let Some(seen) = read_request(&mut stream)? else { return Ok(()) };
    if let Ok(mut list) = shared.seen.lock() {
        list.push(seen.clone());
    }
    let mut reply = None;
    for route in &shared.routes {
        if route.method == seen.method && seen.path().starts_with(&route.prefix) {
            let n = route.calls.load(Ordering::Relaxed);
            reply = (route.handler)(&seen, n);
            if reply.is_some() {
                route.calls.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
    }
    let reply = reply.unwrap_or_else(|| {
        let page = format!("<html><head><title>404 Not Found</title></head><body>Nothing at {}</body></html>", seen.path());
        Reply::bytes(page).status(404).header("Content-Type", "text/html")
    });
    let hold = || {
        while !shared.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    match reply.manner {
        Manner::Silent => {
            hold();
            return Ok(());
        }
        Manner::Hangup => return Ok(()),
        _ => {}
    }
    let mut head = format!("HTTP/1.1 {} Recorded\r\nConnection: close\r\n", reply.status);
    if reply.sized {
        head.push_str(&format!("Content-Length: {}\r\n", reply.claim.unwrap_or(reply.body.len() as u64)));
    }
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if seen.method == "HEAD" {
        return Ok(());
    }
    match reply.manner {
        Manner::Slow { chunk, delay } => {
            for piece in reply.body.chunks(chunk.max(1)) {
                stream.write_all(piece)?;
                stream.flush()?;
                if shared.stop.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::sleep(delay);
            }
        }
        Manner::Cut { after } => stream.write_all(&reply.body[..after.min(reply.body.len())])?,
        Manner::Stalled { after } => {
            stream.write_all(&reply.body[..after.min(reply.body.len())])?;
            stream.flush()?;
            hold();
        }
        _ => stream.write_all(&reply.body)?,
    }
    stream.flush()
}

fn read_request(stream: &mut impl Read) -> std::io::Result<Option<Seen>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    let end = loop {
        if let Some(i) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break i;
        }
        let n = stream.read(&mut buffer)?;
        if n == 0 || bytes.len() > 1 << 20 {
            return Ok(None);
        }
        bytes.extend_from_slice(&buffer[..n]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or("").split(' ');
    let (method, target) = (first.next().unwrap_or("").to_owned(), first.next().unwrap_or("").to_owned());
    let headers: Vec<(String, String)> =
        lines.filter_map(|l| l.split_once(':')).map(|(n, v)| (n.trim().to_ascii_lowercase(), v.trim().to_owned())).collect();
    let length = headers.iter().find(|(n, _)| n == "content-length").and_then(|(_, v)| v.parse::<usize>().ok()).unwrap_or(0);
    let mut body = bytes[end + 4..].to_vec();
    while body.len() < length {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        body.extend_from_slice(&buffer[..n]);
    }
    Ok(Some(Seen { method, target, headers, body, at: Instant::now() }))
}
