//! A compressed answer of a server that does not say so in its headers, unpacked as it comes: what arrived is there at once.
//!
//! Choice not taken: flate2's reader, which asks for bytes until it has a whole buffer, so that rows of an answer that stalls wait for
//! those behind them.

use std::io::{BufRead, Read, Write};
use std::time::{Duration, Instant};

use asterism_data::Arriving;
use flate2::write::MultiGzDecoder;

/// Compressed bytes that are unpacked at a time.
const PIECE: usize = 16 << 10;

/// Unpacks what `from` brings, up to `limit` bytes.
pub(crate) struct Unpacked<'a, R> {
    from: &'a mut R,
    decoder: MultiGzDecoder<Vec<u8>>,
    ready: Vec<u8>,
    at: usize,
    ended: bool,
    left: u64,
}

impl<'a, R: Arriving> Unpacked<'a, R> {
    pub fn new(from: &'a mut R, limit: u64) -> Self {
        Self { from, decoder: MultiGzDecoder::new(Vec::new()), ready: Vec::new(), at: 0, ended: false, left: limit }
    }

    /// Whether it ended because it would be larger than it may.
    pub fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Takes one piece more.
    fn more(&mut self) -> std::io::Result<()> {
        let packed = self.from.fill_buf()?;
        if packed.is_empty() {
            self.ended = true;
            self.decoder.try_finish()?;
        } else {
            let n = packed.len().min(PIECE);
            self.decoder.write_all(&packed[..n])?;
            self.from.consume(n);
            // Else it keeps back up to 32 KB.
            self.decoder.flush()?;
        }
        self.ready.clear();
        std::mem::swap(&mut self.ready, self.decoder.get_mut());
        self.at = 0;
        if self.ready.len() as u64 >= self.left {
            self.ready.truncate(self.left as usize);
            self.ended = true;
        }
        self.left -= self.ready.len() as u64;
        Ok(())
    }
}

impl<R: Arriving> BufRead for Unpacked<'_, R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        while self.at >= self.ready.len() && !self.ended {
            self.more()?;
        }
        Ok(&self.ready[self.at..])
    }
    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.ready.len());
    }
}

impl<R: Arriving> Read for Unpacked<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let have = self.fill_buf()?;
        let n = have.len().min(into.len());
        into[..n].copy_from_slice(&have[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl<R: Arriving> Arriving for Unpacked<'_, R> {
    fn wait(&mut self, most: Duration) -> bool {
        let until = Instant::now() + most;
        // Some pieces hold no byte of the document.
        while self.at >= self.ready.len() && !self.ended {
            if !self.from.wait(until.saturating_duration_since(Instant::now())) {
                return false;
            }
            // A fault is told by the next read.
            if self.more().is_err() {
                return true;
            }
        }
        true
    }
}
