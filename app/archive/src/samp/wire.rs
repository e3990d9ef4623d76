//! The web as far as SAMP needs it: XML-RPC calls out, and a small server on loopback for those that come.
//!
//! One request a connection, bodies with a Content-Length of at most 16 MB, loopback alone. A server crate was not taken: each
//! of them brings an engine of threads of its own for this one method.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::xmlrpc::{self, Value};

/// Longest body, bytes.
const BODY: u64 = 16 << 20;
/// How long a connection may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Call a method at `url`, `http://host:port/path` of this machine.
///
/// # Errors
/// Why there is no answer, or the words of a fault.
pub fn call(url: &str, method: &str, params: &[Value]) -> Result<Value, String> {
    let rest = url.strip_prefix("http://").ok_or_else(|| format!("'{url}' is no http address"))?;
    let (host, path) = rest.split_once('/').map_or((rest, String::from("/")), |(h, p)| (h, format!("/{p}")));
    let with_port = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let addresses: Vec<SocketAddr> =
        std::net::ToSocketAddrs::to_socket_addrs(&with_port).map_err(|e| format!("{host}: {e}"))?.collect();
    let mut why = format!("{host} has no address");
    let mut stream = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, Duration::from_secs(3)) {
            Ok(open) => {
                stream = Some(open);
                break;
            }
            Err(e) => why = format!("{host}: {e}"),
        }
    }
    let mut stream = stream.ok_or(why)?;
    let body = xmlrpc::call(method, params);
    let head = format!(
        "POST {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: Asterism\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let told = |e: std::io::Error| format!("{host}: {e}");
    stream.set_read_timeout(Some(PATIENCE)).map_err(told)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(told)?;
    stream.write_all(head.as_bytes()).map_err(told)?;
    stream.write_all(body.as_bytes()).map_err(told)?;
    let mut reader = BufReader::new(stream);
    let (first, length) = head_of(&mut reader).map_err(told)?;
    let mut text = Vec::new();
    let most = length.unwrap_or(BODY).min(BODY);
    reader.take(most).read_to_end(&mut text).map_err(told)?;
    if first.split_whitespace().nth(1) != Some("200") {
        return Err(format!("{host} answered '{}'", first.trim()));
    }
    xmlrpc::read_answer(&String::from_utf8_lossy(&text))
}

/// First line and length of the body.
fn head_of(reader: &mut impl BufRead) -> std::io::Result<(String, Option<u64>)> {
    let line = |reader: &mut dyn BufRead| -> std::io::Result<String> {
        let mut text = Vec::new();
        reader.take(16 << 10).read_until(b'\n', &mut text)?;
        Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
    };
    let first = line(reader)?;
    let mut length = None;
    for _ in 0..200 {
        let header = line(reader)?;
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    Ok((first, length))
}

/// What answers a call: the method and its parameters in, a value or the words of a fault out.
pub type Answer = dyn Fn(&str, Vec<Value>) -> Result<Value, String> + Send + Sync;

/// A server on loopback; it ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Answers calls on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the system gives no port or no thread.
    pub fn start(name: &str, answer: Arc<Answer>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0))?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let ended = stop.clone();
        let own = name.to_owned();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let answer = answer.clone();
                // Without a thread the caller gets no answer and says so.
                let _ = std::thread::Builder::new().name(format!("{own}-call")).spawn(move || serve(stream, &*answer));
            }
        })?;
        Ok(Self { address, stop, thread: Some(thread) })
    }
    /// `http://127.0.0.1:port/xmlrpc`
    pub fn url(&self) -> String {
        format!("http://{}/xmlrpc", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The listener wakes by a connection.
        if TcpStream::connect_timeout(&self.address, Duration::from_millis(500)).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn serve(stream: TcpStream, answer: &Answer) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (first, length) = head_of(&mut reader)?;
    let body = match length {
        Some(length) if first.starts_with("POST ") && length <= BODY => {
            let mut text = Vec::new();
            reader.take(length).read_to_end(&mut text)?;
            let text = String::from_utf8_lossy(&text);
            let done = xmlrpc::read_call(&text).and_then(|(method, params)| answer(&method, params));
            Some(done.map_or_else(|words| xmlrpc::fault(1, &words), |value| xmlrpc::answer(&value)))
        }
        _ => None,
    };
    let (status, body) = body.map_or(("400 Bad Request", String::new()), |b| ("200 OK", b));
    let head =
        format!("HTTP/1.0 {status}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}
