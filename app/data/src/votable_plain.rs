//! Rows of TABLEDATA that are nothing but `<TR><TD>text</TD>…</TR>`, found without an XML event a cell; and readers that can say
//! that nothing comes just now.
//!
//! A row is plain when its tags have no attributes and no prefix, its cells hold neither `&` nor `<` (so no entities, no CDATA, no
//! comments), there is nothing but blanks between the elements and there are as many cells as columns. Where such rows are, only the
//! places of their cells are noted, and each column then reads its cells by itself, so that several threads share the work while a
//! value that does not fit is still told with its row. Every other row goes the careful way through quick-xml.
//!
//! Cost: 1 M rows of 10 columns (249 MB) in 0.55 s of processor time, a quarter of what events take.

use std::io::{BufRead, Read};
use std::time::Duration;

/// Bytes that may come slowly.
pub trait Arriving: BufRead {
    /// Waits at most so long for bytes; whether `fill_buf` has something to say without waiting (the end and a fault are such words).
    fn wait(&mut self, most: Duration) -> bool;
}

impl<R: Arriving + ?Sized> Arriving for &mut R {
    fn wait(&mut self, most: Duration) -> bool {
        (**self).wait(most)
    }
}

/// A reader that does not know whether it would wait.
pub(crate) struct Calm<R>(pub(crate) R);

impl<R: Read> Read for Calm<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
    }
}

impl<R: BufRead> BufRead for Calm<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.0.fill_buf()
    }
    fn consume(&mut self, n: usize) {
        self.0.consume(n);
    }
}

impl<R: BufRead> Arriving for Calm<R> {
    fn wait(&mut self, _: Duration) -> bool {
        true
    }
}

/// Why the rows end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// As many as were asked for.
    Full,
    /// What follows may be a plain row when more bytes have come.
    More,
    /// What follows is none.
    Odd,
}

/// Where a tag stands: all of it, its beginning at the end of the bytes, something else.
#[derive(PartialEq, Eq)]
enum Tag {
    Whole,
    Begun,
    Other,
}

#[inline]
fn tag(text: &[u8], tag: &[u8]) -> Tag {
    if text.starts_with(tag) {
        Tag::Whole
    } else if text.len() < tag.len() && tag.starts_with(text) {
        Tag::Begun
    } else {
        Tag::Other
    }
}

#[inline]
fn blanks(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < text.len() && matches!(text[at], b' ' | b'\n' | b'\r' | b'\t') {
        at += 1;
    }
    at
}

/// Notes from where to where each cell of the plain rows at the beginning of `text` goes, row by row, `most` rows at most. Gives the
/// bytes of these rows, their number and why they end.
pub(crate) fn plain_rows(text: &[u8], width: usize, most: usize, cells: &mut Vec<(u32, u32)>) -> (usize, usize, End) {
    cells.clear();
    let text = &text[..text.len().min(u32::MAX as usize)];
    let (mut done, mut rows) = (0, 0);
    let end = 'rows: loop {
        if rows >= most {
            break End::Full;
        }
        let mut at = blanks(text, done);
        match tag(&text[at..], b"<TR>") {
            Tag::Whole => at += 4,
            Tag::Begun => break End::More,
            Tag::Other => break End::Odd,
        }
        loop {
            at = blanks(text, at);
            let rest = &text[at..];
            if rest.starts_with(b"<TD>") {
                let from = at + 4;
                let Some(length) = memchr::memchr2(b'<', b'&', &text[from..]) else { break 'rows End::More };
                let to = from + length;
                match tag(&text[to..], b"</TD>") {
                    Tag::Whole => at = to + 5,
                    Tag::Begun => break 'rows End::More,
                    Tag::Other => break 'rows End::Odd,
                }
                cells.push((from as u32, to as u32));
            } else if rest.starts_with(b"<TD/>") {
                cells.push((at as u32, at as u32));
                at += 5;
            } else if rest.starts_with(b"</TR>") {
                at += 5;
                break;
            } else if [&b"<TD>"[..], b"<TD/>", b"</TR>"].iter().any(|t| tag(rest, t) == Tag::Begun) {
                break 'rows End::More;
            } else {
                break 'rows End::Odd;
            }
        }
        if cells.len() != (rows + 1) * width {
            break End::Odd;
        }
        rows += 1;
        done = at;
    };
    cells.truncate(rows * width);
    (done, rows, end)
}
