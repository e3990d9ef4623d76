//! The body of an answer: a plain reader that pulls bytes from the connection, bounded in size and in time.
//!
//! The first and the last bytes are kept aside, since they say what came and how it ended, also where a reader of tables stopped
//! before. The reader itself only sees an `io::Error`; what really happened stands in [`Body::failed`]. The choice not taken is a
//! task that fills a buffer ahead: it would need a bound of its own and bring nothing, since the socket has one.

use std::io::{BufRead, Read};
use std::time::{Duration, Instant};

use asterism_data::Arriving;

use crate::Error;
use crate::http::{Cancelled, HEAD_BYTES, Http, Out, Response};

const TAIL_BYTES: usize = 8 << 10;

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
    /// Most bytes, unpacked.
    pub limit: u64,
    /// Time spent waiting in this stretch, and the bytes that came in it.
    waited: Duration,
    got: u64,
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
            limit: http.answer_limit(),
            waited: Duration::ZERO,
            got: 0,
        }
    }

    fn fail(&mut self, error: Error) -> std::io::Result<()> {
        let text = error.to_string();
        self.failed = Some(error);
        Err(std::io::Error::other(text))
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

    /// The first 512 bytes, or all there are, without taking them: what a file begins with may come in small pieces.
    pub fn peek_file(&mut self) -> Vec<u8> {
        while self.head.len() < 512 && !self.ended && self.failed.is_none() && self.more().is_ok() {}
        self.head.clone()
    }

    /// Waits for more bytes and puts them behind those not yet taken.
    fn more(&mut self) -> std::io::Result<()> {
        if self.ended {
            return Ok(());
        }
        let limit = self.http.timeout();
        let asked = Instant::now();
        let came = self.http.wait(self.response.chunk(), limit, &self.service, self.cancelled);
        self.waited += asked.elapsed();
        self.came(came, limit)
    }

    /// What came, or why nothing did.
    fn came(&mut self, came: Result<reqwest::Result<Option<impl AsRef<[u8]>>>, Error>, limit: Duration) -> std::io::Result<()> {
        match came {
            Ok(Ok(Some(bytes))) => {
                let bytes = bytes.as_ref();
                self.read += bytes.len() as u64;
                self.got += bytes.len() as u64;
                if self.read > self.limit {
                    let bytes = self.limit;
                    return self.fail(Error::TooLarge { service: self.service.clone(), bytes });
                }
                if self.waited >= limit {
                    let seconds = self.waited.as_secs_f64();
                    if (self.got as f64) < self.http.services.slowest_bytes_per_s * seconds {
                        let bytes = self.got;
                        return self.fail(Error::TooSlow { service: self.service.clone(), bytes, seconds });
                    }
                    self.waited = Duration::ZERO;
                    self.got = 0;
                }
                if self.at > 0 {
                    self.chunk.drain(..self.at);
                    self.at = 0;
                }
                self.chunk.extend_from_slice(bytes);
                let room = HEAD_BYTES.saturating_sub(self.head.len());
                self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
                if bytes.len() >= TAIL_BYTES {
                    self.tail.clear();
                    self.tail.extend_from_slice(&bytes[bytes.len() - TAIL_BYTES..]);
                } else {
                    self.tail.extend_from_slice(bytes);
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
            Err(error) => self.fail(error),
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

impl Arriving for Body<'_, '_> {
    fn wait(&mut self, most: Duration) -> bool {
        if self.at < self.chunk.len() || self.ended || self.failed.is_some() {
            return true;
        }
        let asked = Instant::now();
        let came = self.http.wait(self.response.chunk(), most, &self.service, self.cancelled);
        self.waited += asked.elapsed();
        if matches!(came, Err(Error::Timeout { .. })) {
            return false;
        }
        // A fault is told by the next read.
        let _ = self.came(came, self.http.timeout());
        true
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
