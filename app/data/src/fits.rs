//! The FITS container: header cards, data units, image pixels and binary-table columns.
//!
//! A file is cut into header-and-data units once, without copying; pixels and columns are decoded
//! when they are asked for. The reader is lenient where real files are broken: cards that are no
//! cards are kept as text, a missing END at the end of the file, missing padding and truncated
//! data give a warning and what is there.
//!
//! The crate `fitskit` decodes the bit streams of RICE_1, PLIO_1 and HCOMPRESS_1. Its container
//! and its tile assembly are not used: its parser stops at junk cards, it knows no `BLANK`, its
//! integer images have no per-tile fallback columns, and it takes the width of quantised GZIP
//! tiles from ZBITPIX instead of from the data. Reading through cfitsio was not taken because it
//! is a C library.
//!
//! Cost: one pass over the bytes asked for; images decode in parallel, 8 bytes a pixel for
//! compressed ones and 4 for plain ones.
//!
//! Standard: FITS 4.0 (2018-08-13), sections 4 (headers), 5 (scaling), 7.3 (binary tables), 10
//! (tile compression).

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;

use rayon::prelude::*;

use crate::{Error, Result};

const BLOCK: usize = 2880;
const CARD: usize = 80;
/// What a gzip inside may grow to, bytes: protects against bombs.
const MAX_INFLATED: u64 = 16 << 30;

/// The value of a header card.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text in quotes, trailing blanks removed.
    Text(String),
    /// T or F.
    Logical(bool),
    /// A whole number.
    Int(i64),
    /// A number with a point or an exponent.
    Float(f64),
    /// A keyword with no value, or a complex or unreadable one, as it stands.
    Other(String),
    /// COMMENT, HISTORY, blank keyword or a line that is no card.
    Commentary(String),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(v) | Self::Other(v) | Self::Commentary(v) => f.write_str(v),
            Self::Logical(v) => f.write_str(if *v { "T" } else { "F" }),
            Self::Int(v) => write!(f, "{v}"),
            Self::Float(v) => write!(f, "{v}"),
        }
    }
}

/// One header card.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// Keyword; for HIERARCH cards the words after HIERARCH.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// What stands after the slash.
    pub comment: String,
}

/// The cards of a header, in order, with look-up by keyword (the first of duplicates counts).
#[derive(Clone, Debug, Default)]
pub struct Header {
    cards: Vec<Card>,
    index: HashMap<String, usize>,
}

impl Header {
    /// Parse 80-character cards up to END. Returns the header and the bytes used (a multiple of
    /// 80), and whether END was there.
    pub fn parse(bytes: &[u8]) -> (Self, usize, bool) {
        let mut header = Self::default();
        let mut at = 0;
        while at + CARD <= bytes.len() {
            let raw = &bytes[at..at + CARD];
            at += CARD;
            if raw.starts_with(b"END") && raw[3..].iter().all(|b| *b == b' ' || *b == 0) {
                return (header, at, true);
            }
            header.push(raw);
        }
        (header, at, false)
    }

    fn push(&mut self, raw: &[u8]) {
        let text: String = raw.iter().map(|b| if *b == 0 { ' ' } else { char::from(*b) }).collect();
        let head = text.get(..8.min(text.len())).unwrap_or("").trim_end().to_owned();
        if head == "CONTINUE"
            && let Some(Card { value: Value::Text(whole), comment, .. }) = self.cards.last_mut()
            && let Some((Value::Text(more), more_comment)) = parse_value(text.get(8..).unwrap_or(""))
        {
            if whole.ends_with('&') {
                whole.pop();
            }
            whole.push_str(&more);
            if !more_comment.is_empty() {
                comment.push(' ');
                comment.push_str(&more_comment);
            }
            return;
        }
        let commentary = |key: &str, value: &str| Card {
            key: key.into(),
            value: Value::Commentary(value.trim_end().into()),
            comment: String::new(),
        };
        let card = if head == "HIERARCH" && text.contains('=') {
            let rest = text.get(8..).unwrap_or("");
            let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
            let (value, comment) = parse_value(value).unwrap_or((Value::Other(String::new()), String::new()));
            Card { key: key.trim().into(), value, comment }
        } else if matches!(head.as_str(), "COMMENT" | "HISTORY" | "") {
            commentary(&head, text.get(8..).unwrap_or(""))
        } else if let Some(at) = text.find('=').filter(|at| *at <= 8)
            && is_keyword(text.get(..at).unwrap_or("").trim_end())
        {
            let key = text.get(..at).unwrap_or("").trim_end().to_ascii_uppercase();
            let (value, comment) =
                parse_value(text.get(at + 1..).unwrap_or("")).unwrap_or((Value::Other(String::new()), String::new()));
            Card { key, value, comment }
        } else {
            commentary("", &text)
        };
        if !card.key.is_empty() && !matches!(card.value, Value::Commentary(_)) {
            self.index.entry(card.key.clone()).or_insert(self.cards.len());
        }
        self.cards.push(card);
    }

    /// All cards in order.
    pub fn cards(&self) -> &[Card] {
        &self.cards
    }
    /// The first card of that keyword.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.index.get(key).map(|i| &self.cards[*i].value)
    }
    /// A whole number (also one written with a point or in quotes).
    pub fn int(&self, key: &str) -> Option<i64> {
        match self.get(key)? {
            Value::Int(v) => Some(*v),
            Value::Float(v) if v.fract() == 0.0 && v.abs() < 9.2e18 => Some(*v as i64),
            Value::Text(v) => v.trim().parse().ok(),
            _ => None,
        }
    }
    /// A number (also one in quotes).
    pub fn float(&self, key: &str) -> Option<f64> {
        match self.get(key)? {
            Value::Int(v) => Some(*v as f64),
            Value::Float(v) => Some(*v),
            Value::Text(v) => v.trim().parse().ok(),
            _ => None,
        }
    }
    /// Text in quotes, blanks at both ends removed; `None` when empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(v) => Some(v.trim()).filter(|v| !v.is_empty()),
            _ => None,
        }
    }
    /// True only when the value is T.
    pub fn is_true(&self, key: &str) -> bool {
        matches!(self.get(key), Some(Value::Logical(true)))
    }
    /// Cards as keyword, value and comment, all as text.
    pub fn as_text(&self) -> Vec<(String, String, String)> {
        self.cards.iter().map(|c| (c.key.clone(), c.value.to_string(), c.comment.clone())).collect()
    }
}

fn is_keyword(key: &str) -> bool {
    !key.is_empty() && key.len() <= 8 && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Value and comment of what stands behind `=`.
fn parse_value(text: &str) -> Option<(Value, String)> {
    let text = text.trim_start();
    if let Some(rest) = text.strip_prefix('\'') {
        let mut value = String::new();
        let mut chars = rest.char_indices().peekable();
        let mut end = rest.len();
        while let Some((i, c)) = chars.next() {
            if c != '\'' {
                value.push(c);
            } else if chars.peek().is_some_and(|(_, next)| *next == '\'') {
                value.push('\'');
                chars.next();
            } else {
                end = i + 1;
                break;
            }
        }
        let comment = rest.get(end..).and_then(|r| r.split_once('/')).map_or("", |(_, c)| c).trim();
        return Some((Value::Text(value.trim_end().into()), comment.into()));
    }
    let (value, comment) = text.split_once('/').unwrap_or((text, ""));
    let (value, comment) = (value.trim(), comment.trim().to_owned());
    let value = match value {
        "T" => Value::Logical(true),
        "F" => Value::Logical(false),
        _ => {
            if let Ok(v) = value.parse::<i64>() {
                Value::Int(v)
            } else if value.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
                && let Ok(v) = value.replace(['D', 'd'], "E").parse::<f64>()
            {
                Value::Float(v)
            } else {
                Value::Other(value.into())
            }
        }
    };
    Some((value, comment))
}

/// One header-and-data unit.
#[derive(Clone, Debug)]
pub struct Hdu {
    /// Its cards.
    pub header: Header,
    /// Place in the file, 0 = primary.
    pub number: usize,
    /// Byte range of the data that are there.
    pub data: std::ops::Range<usize>,
    /// Fewer bytes than the header announces.
    pub truncated: bool,
}

/// What an HDU is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No data unit.
    Empty,
    /// An image, plain or tile-compressed.
    Image,
    /// BINTABLE (also a tile-compressed table).
    Table,
    /// ASCII TABLE.
    AsciiTable,
    /// Random groups.
    Groups,
    /// Something else (FOREIGN, ASDF, IUEIMAGE, ...).
    Other,
}

impl Hdu {
    /// What it is.
    pub fn kind(&self) -> Kind {
        let h = &self.header;
        let xtension = h.text("XTENSION").unwrap_or("");
        match xtension {
            "TABLE" => Kind::AsciiTable,
            "BINTABLE" | "A3DTABLE" | "3DTABLE" if h.is_true("ZIMAGE") => Kind::Image,
            "BINTABLE" | "A3DTABLE" | "3DTABLE" => Kind::Table,
            "" | "IMAGE" | "IUEIMAGE" => {
                if h.is_true("GROUPS") && h.int("NAXIS1") == Some(0) {
                    Kind::Groups
                } else if self.axes().is_empty() || self.axes().contains(&0) {
                    Kind::Empty
                } else {
                    Kind::Image
                }
            }
            _ => Kind::Other,
        }
    }
    /// EXTNAME, blanks removed; empty when there is none.
    pub fn name(&self) -> &str {
        self.header.text("EXTNAME").unwrap_or("")
    }
    /// True for a tile-compressed image.
    pub fn is_compressed(&self) -> bool {
        self.header.is_true("ZIMAGE")
    }
    /// Lengths of the image's axes, first axis (columns) first; of the image inside when
    /// compressed.
    pub fn axes(&self) -> Vec<usize> {
        let z = if self.is_compressed() { "Z" } else { "" };
        let n = self.header.int(&format!("{z}NAXIS")).unwrap_or(0).clamp(0, 999);
        (1..=n).map(|i| self.header.int(&format!("{z}NAXIS{i}")).and_then(|v| usize::try_from(v).ok()).unwrap_or(0)).collect()
    }
    /// BITPIX of the image (ZBITPIX when compressed).
    pub fn bitpix(&self) -> i64 {
        self.header.int(if self.is_compressed() { "ZBITPIX" } else { "BITPIX" }).unwrap_or(0)
    }
    pub(crate) fn data_len(&self) -> Option<usize> {
        let h = &self.header;
        let n = h.int("NAXIS").unwrap_or(0);
        if n <= 0 {
            return Some(0);
        }
        let mut product: usize = 1;
        for i in 1..=n {
            let len = usize::try_from(h.int(&format!("NAXIS{i}"))?).ok()?;
            if i == 1 && len == 0 && h.is_true("GROUPS") {
                continue;
            }
            product = product.checked_mul(len)?;
        }
        let pcount = usize::try_from(h.int("PCOUNT").unwrap_or(0)).unwrap_or(0);
        let gcount = usize::try_from(h.int("GCOUNT").unwrap_or(1)).unwrap_or(1);
        let width = usize::try_from(h.int("BITPIX")?.unsigned_abs() / 8).ok()?;
        product.checked_add(pcount)?.checked_mul(gcount)?.checked_mul(width)
    }
}

/// Smallest, largest and mean of the finite values, and how many are not finite.
#[derive(Clone, Copy, Debug)]
pub struct Stats {
    /// NaN when nothing is finite.
    pub min: f64,
    /// NaN when nothing is finite.
    pub max: f64,
    /// NaN when nothing is finite.
    pub mean: f64,
    /// Values that are NaN or infinite.
    pub nan: usize,
}

#[derive(Clone, Copy)]
struct Running {
    min: f64,
    max: f64,
    sum: f64,
    n: usize,
    nan: usize,
}

impl Running {
    const START: Self = Self { min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0.0, n: 0, nan: 0 };
    fn add(&mut self, v: f64) {
        if v.is_finite() {
            self.min = self.min.min(v);
            self.max = self.max.max(v);
            self.sum += v;
            self.n += 1;
        } else {
            self.nan += 1;
        }
    }
    fn join(self, o: Self) -> Self {
        Self { min: self.min.min(o.min), max: self.max.max(o.max), sum: self.sum + o.sum, n: self.n + o.n, nan: self.nan + o.nan }
    }
    fn stats(self) -> Stats {
        if self.n == 0 {
            return Stats { min: f64::NAN, max: f64::NAN, mean: f64::NAN, nan: self.nan };
        }
        Stats { min: self.min, max: self.max, mean: self.sum / self.n as f64, nan: self.nan }
    }
}

/// A FITS file in memory.
#[derive(Clone, Debug)]
pub struct Fits<'a> {
    /// Path or address, for messages.
    pub what: String,
    /// The units, primary first.
    pub hdus: Vec<Hdu>,
    /// What had to be put up with.
    pub warnings: Vec<String>,
    /// Where the file ends inside a header: the unit that is left without one, and the cards of it that are there.
    pub cut_header: Option<(usize, usize)>,
    bytes: Cow<'a, [u8]>,
}

/// Words for a file that breaks off inside the header of a unit.
pub(crate) fn header_cut(hdu: usize, cards: usize) -> String {
    format!(
        "the file ends inside the header of HDU {hdu}, after {cards} cards without END; what follows is missing, fetch it again"
    )
}

/// True when the bytes are FITS (the first card is `SIMPLE  =`, or an extension's).
pub fn is_fits(bytes: &[u8]) -> bool {
    bytes.len() >= CARD && (bytes.starts_with(b"SIMPLE  =") || bytes.starts_with(b"XTENSION="))
}

impl<'a> Fits<'a> {
    /// Cut a file, gzip-compressed or not, into its units.
    ///
    /// # Errors
    /// [`Error::Format`] when it is not FITS or has no end of its first header.
    pub fn open(what: &str, bytes: &'a [u8]) -> Result<Self> {
        let mut warnings = Vec::new();
        let bytes: Cow<'a, [u8]> = if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut out = Vec::new();
            if let Err(e) = flate2::read::MultiGzDecoder::new(bytes).take(MAX_INFLATED).read_to_end(&mut out) {
                if !is_fits(&out) {
                    return Err(Error::format(what, format!("the gzip compression is broken ({e}); fetch the file again")));
                }
                warnings.push(format!("the gzip compression is broken near its end ({e}); what came before is shown"));
            }
            Cow::Owned(out)
        } else {
            Cow::Borrowed(bytes)
        };
        if bytes.starts_with(&[0x1f, 0x9d]) {
            return Err(Error::format(what, "compressed with the old Unix compress (.Z); run `gunzip` on it first"));
        }
        if !is_fits(&bytes) {
            return Err(Error::format(what, "not a FITS file: it does not begin with 'SIMPLE  ='"));
        }
        let mut hdus: Vec<Hdu> = Vec::new();
        let mut cut_header = None;
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            if !hdus.is_empty() && !rest.starts_with(b"XTENSION") {
                if rest.iter().any(|b| *b != 0 && *b != b' ') {
                    warnings.push(format!("{} bytes behind the last extension are no FITS and were left out", rest.len()));
                }
                break;
            }
            let (header, used, ended) = Header::parse(rest);
            // Fewer bytes than a card: nothing more can come of it.
            if used == 0 {
                warnings.push(format!("{} bytes behind the last extension are no FITS and were left out", rest.len()));
                break;
            }
            if !ended {
                if hdus.is_empty() && header.get("BITPIX").is_none() {
                    return Err(Error::format(what, "the file ends inside the first header; fetch it again"));
                }
                cut_header = Some((hdus.len(), used / CARD));
                warnings.push(header_cut(hdus.len(), used / CARD));
            }
            let start = at.saturating_add(used.next_multiple_of(BLOCK)).min(bytes.len());
            let mut hdu = Hdu { header, number: hdus.len(), data: start..start, truncated: false };
            let Some(len) = hdu.data_len() else {
                warnings.push(format!("HDU {} does not say how large it is; it and what follows were left out", hdu.number));
                hdus.push(hdu);
                break;
            };
            let end = start.saturating_add(len);
            hdu.truncated = end > bytes.len();
            if hdu.truncated {
                warnings.push(format!(
                    "HDU {} ({}) is cut short: {} of {len} bytes are there",
                    hdu.number,
                    hdu.name(),
                    bytes.len() - start
                ));
            }
            hdu.data = start..end.min(bytes.len());
            at = start.saturating_add(len.checked_next_multiple_of(BLOCK).unwrap_or(usize::MAX - start));
            hdus.push(hdu);
        }
        Ok(Self { what: what.into(), hdus, warnings, cut_header, bytes })
    }

    /// The units that came whole, in words: `HDU 0 without data, HDU 1 (EVENTS) with a table`.
    pub(crate) fn whole_units(&self) -> String {
        let cut = self.cut_header.map_or(usize::MAX, |c| c.0);
        let words = self.hdus.iter().filter(|h| h.number < cut).map(|h| {
            let what = match h.kind() {
                Kind::Empty => "without data",
                Kind::Image => "with an image",
                Kind::Table | Kind::AsciiTable => "with a table",
                Kind::Groups => "with random groups",
                Kind::Other => "of a kind that is not read",
            };
            let name = if h.name().is_empty() { String::new() } else { format!(" ({})", h.name()) };
            format!("HDU {}{name} {what}", h.number)
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// The whole file, without the gzip that was around it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of a unit's data that are there.
    pub fn data(&self, hdu: &Hdu) -> &[u8] {
        &self.bytes[hdu.data.clone()]
    }

    /// The file's name without folders and endings.
    pub fn stem(&self) -> &str {
        let name = self.what.rsplit(['/', '\\']).next().unwrap_or(&self.what);
        let lower = name.to_ascii_lowercase();
        for end in [".fits.gz", ".fits.fz", ".fit.gz", ".fits", ".fit", ".fts", ".fz", ".gz"] {
            if lower.ends_with(end) && name.len() > end.len() {
                return name.get(..name.len() - end.len()).unwrap_or(name);
            }
        }
        name
    }

    /// The name of a unit for a person: EXTNAME (with EXTVER above 1), else the file's name.
    pub fn title(&self, hdu: &Hdu) -> String {
        let version = hdu.header.int("EXTVER").filter(|v| *v > 1);
        match (hdu.name(), version, hdu.number) {
            ("" | "PRIMARY" | "Primary", _, 0) => self.stem().into(),
            ("", _, n) => format!("{}[{n}]", self.stem()),
            (name, Some(v), _) => format!("{name},{v}"),
            (name, None, _) => name.into(),
        }
    }

    /// Look a keyword up in a unit, then in the primary header.
    pub fn keyword<'b>(&'b self, hdu: &'b Hdu, key: &str) -> Option<&'b Value> {
        hdu.header.get(key).or_else(|| self.hdus.first().and_then(|p| p.header.get(key)))
    }

    /// Text of a keyword in a unit, then in the primary header.
    pub fn keyword_text<'b>(&'b self, hdu: &'b Hdu, key: &str) -> Option<&'b str> {
        hdu.header.text(key).or_else(|| self.hdus.first().and_then(|p| p.header.text(key)))
    }

    fn check_size(&self, hdu: &Hdu) -> Result<usize> {
        let wanted = hdu.axes().iter().try_fold(1usize, |a, n| a.checked_mul(*n)).filter(|n| *n < 1 << 36);
        // A header that a few bytes follow must not take the memory that it speaks of; the best compression is far from this.
        let thin = |n: &usize| *n > 1 << 26 && *n / self.data(hdu).len().max(1) > 4096;
        wanted.filter(|n| !thin(n)).ok_or_else(|| {
            Error::format(
                &self.what,
                format!(
                    "HDU {} announces an image of {:?} pixels, which {} bytes of data cannot be; fetch the file again",
                    hdu.number,
                    hdu.axes(),
                    self.data(hdu).len()
                ),
            )
        })
    }

    /// All physical values of an image unit, first axis fastest; NaN for BLANK.
    ///
    /// # Errors
    /// [`Error::Format`] when it is no image, cut short, or its compression cannot be undone.
    pub fn values(&self, hdu: &Hdu) -> Result<Vec<f64>> {
        let n = self.check_size(hdu)?;
        if hdu.is_compressed() {
            return self.decompress(hdu, n);
        }
        let width = self.pixel_width(hdu)?;
        let data = self.data(hdu);
        let have = (data.len() / width).min(n);
        if have < n && have == 0 {
            return Err(self.cut_short(hdu, n, have));
        }
        let mut out = vec![f64::NAN; n];
        let scaling = Scaling::of(&hdu.header, hdu.bitpix());
        out[..have].par_chunks_mut(1 << 16).zip(data[..have * width].par_chunks(width << 16)).for_each(|(out, raw)| {
            scaling.decode(raw, |i, v| out[i] = v);
        });
        Ok(out)
    }

    fn pixel_width(&self, hdu: &Hdu) -> Result<usize> {
        match hdu.bitpix() {
            8 => Ok(1),
            16 => Ok(2),
            32 | -32 => Ok(4),
            64 | -64 => Ok(8),
            other => Err(Error::format(&self.what, format!("HDU {}: BITPIX {other} is not defined in FITS", hdu.number))),
        }
    }

    fn cut_short(&self, hdu: &Hdu, wanted: usize, have: usize) -> Error {
        Error::format(
            &self.what,
            format!("HDU {} is cut short: {have} of {wanted} pixels are there; fetch the file again", hdu.number),
        )
    }

    /// One plane (counted over all axes above the second) as `f32` and its statistics, which are
    /// taken in double precision before rounding. Missing pixels of a truncated file are NaN.
    ///
    /// # Errors
    /// As [`Fits::values`].
    pub fn plane(&self, hdu: &Hdu, plane: usize) -> Result<(Vec<f32>, Stats)> {
        let total = self.check_size(hdu)?;
        let axes = hdu.axes();
        let size = axes.iter().take(2).product::<usize>();
        let from = plane.saturating_mul(size);
        if from + size > total {
            return Err(Error::format(&self.what, format!("HDU {} has no plane {plane}", hdu.number)));
        }
        let mut out = vec![f32::NAN; size];
        let running = if hdu.is_compressed() {
            let all = self.decompress(hdu, total)?;
            let part = &all[from..from + size];
            out.par_chunks_mut(1 << 16)
                .zip(part.par_chunks(1 << 16))
                .map(|(out, part)| {
                    let mut r = Running::START;
                    for (o, v) in out.iter_mut().zip(part) {
                        r.add(*v);
                        *o = *v as f32;
                    }
                    r
                })
                .collect::<Vec<_>>()
        } else {
            let width = self.pixel_width(hdu)?;
            let data = self.data(hdu);
            let data = &data[(from * width).min(data.len())..((from + size) * width).min(data.len())];
            let have = data.len() / width;
            if have == 0 {
                return Err(self.cut_short(hdu, size, have));
            }
            let scaling = Scaling::of(&hdu.header, hdu.bitpix());
            let mut runs: Vec<Running> = out[..have]
                .par_chunks_mut(1 << 16)
                .zip(data[..have * width].par_chunks(width << 16))
                .map(|(out, raw)| {
                    let mut r = Running::START;
                    scaling.decode(raw, |i, v| {
                        r.add(v);
                        out[i] = v as f32;
                    });
                    r
                })
                .collect();
            runs.push(Running { nan: size - have, ..Running::START });
            runs
        };
        let stats = running.into_iter().fold(Running::START, Running::join).stats();
        Ok((out, stats))
    }

    /// A BINTABLE's columns.
    ///
    /// # Errors
    /// [`Error::Format`] when it is no binary table or its columns do not fit its row.
    pub fn bin_table(&self, hdu: &Hdu) -> Result<BinTable<'_>> {
        BinTable::new(self, hdu)
    }

    fn decompress(&self, hdu: &Hdu, total: usize) -> Result<Vec<f64>> {
        let fail = |why: String| tiles_wrong(&self.what, hdu, why);
        let table = BinTable::new(self, hdu)?;
        let tiles = Tiles::new(&self.what, hdu, &table)?;
        let axes = &tiles.axes;
        let mut out = vec![f64::NAN; total];
        let batch = 4096;
        for first in (0..tiles.count).step_by(batch) {
            let decoded: Vec<_> = (first..(first + batch).min(tiles.count))
                .into_par_iter()
                .map(|t| tiles.decode(t, tiles.columns.map(|c| c.map_or(&[][..], |c| table.raw(t, c)))))
                .collect::<std::result::Result<_, String>>()
                .map_err(&fail)?;
            for (values, dims, origin) in decoded {
                let row = dims[0].max(1);
                for (r, line) in values.chunks(row).enumerate() {
                    let mut rest = r;
                    let mut at = origin;
                    let mut stride = axes[0];
                    for a in 1..dims.len() {
                        at += (rest % dims[a]) * stride;
                        rest /= dims[a];
                        stride *= axes[a];
                    }
                    out[at..at + line.len()].copy_from_slice(line);
                }
            }
        }
        Ok(out)
    }
}

/// BSCALE, BZERO and BLANK of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scaling {
    bitpix: i64,
    scale: f64,
    zero: f64,
    blank: Option<i64>,
}

impl Scaling {
    pub(crate) fn of(h: &Header, bitpix: i64) -> Self {
        let blank = if bitpix > 0 { h.int("BLANK") } else { None };
        Self { bitpix, scale: h.float("BSCALE").unwrap_or(1.0), zero: h.float("BZERO").unwrap_or(0.0), blank }
    }
    /// Values are as they are stored, in single precision.
    pub(crate) fn is_plain_f32(&self) -> bool {
        self.bitpix == -32 && self.scale == 1.0 && self.zero == 0.0
    }
    fn apply(&self, v: f64) -> f64 {
        if self.scale == 1.0 && self.zero == 0.0 { v } else { v * self.scale + self.zero }
    }
    fn integer(&self, v: i64) -> f64 {
        if self.blank == Some(v) {
            return f64::NAN;
        }
        // 64-bit unsigned numbers keep all their bits until the last step
        if self.bitpix == 64 && self.scale == 1.0 && self.zero == 9_223_372_036_854_775_808.0 {
            return (i128::from(v) + (1i128 << 63)) as f64;
        }
        self.apply(v as f64)
    }
    /// Big-endian pixels to physical values.
    pub(crate) fn decode(&self, raw: &[u8], mut put: impl FnMut(usize, f64)) {
        macro_rules! each {
            ($t:ty, $f:expr) => {
                for (i, c) in raw.as_chunks::<{ size_of::<$t>() }>().0.iter().enumerate() {
                    put(i, $f(<$t>::from_be_bytes(*c)));
                }
            };
        }
        match self.bitpix {
            8 => each!(u8, |v| self.integer(i64::from(v))),
            16 => each!(i16, |v| self.integer(i64::from(v))),
            32 => each!(i32, |v| self.integer(i64::from(v))),
            64 => each!(i64, |v| self.integer(v)),
            -32 => each!(f32, |v| self.apply(f64::from(v))),
            _ => each!(f64, |v| self.apply(v)),
        }
    }
}

fn plain_values(
    raw: &[u8],
    n: usize,
    bitpix: i64,
    scaling: &Scaling,
    blank: Option<i64>,
) -> std::result::Result<Vec<f64>, String> {
    let width = (bitpix.unsigned_abs() / 8) as usize;
    if raw.len() < n * width {
        return Err(format!("a tile of {n} pixels has {} bytes", raw.len()));
    }
    let mut out = vec![f64::NAN; n];
    Scaling { bitpix, blank: if bitpix > 0 { blank } else { None }, ..*scaling }.decode(&raw[..n * width], |i, v| out[i] = v);
    Ok(out)
}

fn gunzip(bytes: &[u8]) -> std::result::Result<Vec<u8>, String> {
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes)
        .take(MAX_INFLATED)
        .read_to_end(&mut out)
        .map_err(|e| format!("the gzip compression is broken ({e})"))?;
    Ok(out)
}

/// The bytes of `n` big-endian numbers of a column of a tile-compressed table (FITS 4.0, section 10.3).
pub(crate) fn unpack_column(method: &str, packed: &[u8], n: usize, width: usize) -> std::result::Result<Vec<u8>, String> {
    use fitskit::tile_compress as codec;
    let bytes = match method {
        // 32 numbers take 3 bits at least: more than that is a broken header, and memory asked for in vain.
        "RICE_1" if n > packed.len().saturating_mul(128) => {
            return Err(format!("{n} numbers cannot be in {} bytes", packed.len()));
        }
        "RICE_1" => match width {
            1 => codec::rice_decompress_i8(packed, n, 32),
            2 => codec::rice_decompress_i16(packed, n, 32).map(|v| v.iter().flat_map(|v| v.to_be_bytes()).collect()),
            4 => codec::rice_decompress_i32(packed, n, 32).map(|v| v.iter().flat_map(|v| v.to_be_bytes()).collect()),
            other => return Err(format!("RICE_1 of {other} bytes a number is not known")),
        }
        .map_err(|e| e.to_string())?,
        // What would not become smaller may stand as it is.
        "NOCOMPRESS" => packed.to_vec(),
        "GZIP_1" | "GZIP_2" if !packed.starts_with(&[0x1f, 0x8b]) && packed.len() == n * width => packed.to_vec(),
        "GZIP_1" => gunzip(packed)?,
        "GZIP_2" => unshuffled(gunzip(packed)?, n),
        other => return Err(format!("the compression '{other}' is not known")),
    };
    if bytes.len() != n * width {
        return Err(format!("{} bytes came out in the place of {}", bytes.len(), n * width));
    }
    Ok(bytes)
}

/// GZIP_2 holds the first bytes of all `n` numbers, then the second bytes, and so on.
fn unshuffled(raw: Vec<u8>, n: usize) -> Vec<u8> {
    let width = raw.len() / n.max(1);
    let mut out = vec![0; raw.len()];
    for (b, plane) in raw.chunks_exact(n.max(1)).enumerate().take(width) {
        for (i, v) in plane.iter().enumerate() {
            out[i * width + b] = *v;
        }
    }
    out
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    Rice,
    Gzip1,
    Gzip2,
    Plio,
    Hcompress,
    Plain,
}

pub(crate) fn tiles_wrong(what: &str, hdu: &Hdu, why: String) -> Error {
    Error::format(what, format!("HDU {} (tile-compressed image): {why}", hdu.number))
}

/// Values of a tile, its length along each axis, and the first of its pixels in the image.
pub(crate) type Tile = (Vec<f64>, Vec<usize>, usize);

/// How an image is cut into tiles and how each is unpacked; the packed bytes are handed over.
#[derive(Debug)]
pub(crate) struct Tiles {
    /// Pixels along each axis of the image.
    pub axes: Vec<usize>,
    /// Pixels along each axis of a tile that is not cut off at an edge.
    pub tile: Vec<usize>,
    /// Tiles along each axis.
    pub grid: Vec<usize>,
    /// All of them.
    pub count: usize,
    /// Columns of what is compressed, what only gzip has compressed, and what is not.
    pub columns: [Option<usize>; 3],
    codec: Codec,
    scale: Option<Vec<f64>>,
    zero: Option<Vec<f64>>,
    blank: Option<Vec<f64>>,
    key_scale: Option<f64>,
    key_zero: Option<f64>,
    key_blank: Option<i64>,
    scaling: Scaling,
}

impl Tiles {
    /// Of a unit and its table, whose heap need not be there.
    ///
    /// # Errors
    /// [`Error::Format`] when a tile has no row, or the compression is not known.
    pub fn new(what: &str, hdu: &Hdu, table: &BinTable<'_>) -> Result<Self> {
        let h = &hdu.header;
        let fail = |why: String| tiles_wrong(what, hdu, why);
        let axes = hdu.axes();
        if axes.is_empty() {
            return Err(fail("it has no axes".into()));
        }
        let tile: Vec<usize> = (1..=axes.len())
            .map(|i| {
                let default = if i == 1 { axes[0] } else { 1 };
                h.int(&format!("ZTILE{i}")).and_then(|v| usize::try_from(v).ok()).unwrap_or(default).max(1)
            })
            .collect();
        let grid: Vec<usize> = axes.iter().zip(&tile).map(|(n, t)| n.div_ceil(*t)).collect();
        let count: usize = grid.iter().product();
        if table.rows < count {
            return Err(fail(format!("{} tiles of {count} are there; fetch the file again", table.rows)));
        }
        let codec = Codec::of(h).map_err(&fail)?;
        let data = table.column("COMPRESSED_DATA").ok_or_else(|| fail("there is no column COMPRESSED_DATA".into()))?;
        let per_tile = |name: &str| table.column(name).map(|c| table.floats(c));
        Ok(Self {
            columns: [Some(data), table.column("GZIP_COMPRESSED_DATA"), table.column("UNCOMPRESSED_DATA")],
            scale: per_tile("ZSCALE"),
            zero: per_tile("ZZERO"),
            blank: per_tile("ZBLANK"),
            key_scale: h.float("ZSCALE"),
            key_zero: h.float("ZZERO"),
            key_blank: h.int("ZBLANK").or_else(|| h.int("BLANK")),
            scaling: Scaling::of(h, codec.bitpix),
            axes,
            tile,
            grid,
            count,
            codec,
        })
    }

    /// Unpack tile `t` from the bytes of its cells in [`Tiles::columns`].
    ///
    /// # Errors
    /// A sentence, when they cannot be.
    pub fn decode(&self, t: usize, [packed, gzip, plain]: [&[u8]; 3]) -> std::result::Result<Tile, String> {
        let (mut rest, mut origin, mut stride) = (t, 0, 1);
        let mut dims = Vec::with_capacity(self.axes.len());
        for ((axis, tile), grid) in self.axes.iter().zip(&self.tile).zip(&self.grid) {
            let c = rest % grid;
            rest /= grid;
            dims.push((*tile).min(axis - c * tile));
            origin += c * tile * stride;
            stride *= axis;
        }
        let n: usize = dims.iter().product();
        let own = |of: &Option<Vec<f64>>| of.as_ref().and_then(|v| v.get(t).copied());
        let (codec, float) = (&self.codec, self.codec.bitpix < 0);
        let (scale, zero) = (own(&self.scale).or(self.key_scale), own(&self.zero).or(self.key_zero));
        let blank = match own(&self.blank) {
            Some(v) => Some(v as i64),
            None => self.key_blank.or(float.then_some(-2_147_483_648)),
        };
        let values = if packed.is_empty() {
            let raw: Cow<[u8]> = match (gzip, plain) {
                ([], []) => return Err(format!("tile {t} is empty")),
                ([], plain) => Cow::Borrowed(plain),
                (gzip, _) => Cow::Owned(gunzip(gzip)?),
            };
            plain_values(&raw, n, codec.bitpix, &self.scaling, blank)?
        } else if float && codec.is_lossless() && scale.is_none_or(|s| s == 0.0) {
            plain_values(&codec.bytes(packed, n)?, n, codec.bitpix, &self.scaling, blank)?
        } else {
            let ints = codec.ints(packed, &dims)?;
            if ints.len() < n {
                return Err(format!("tile {t} holds {} of {n} pixels", ints.len()));
            }
            if float {
                codec.unquantise(&ints[..n], t, scale.unwrap_or(1.0), zero.unwrap_or(0.0), blank)
            } else {
                ints[..n].iter().map(|v| if Some(*v) == blank { f64::NAN } else { self.scaling.apply(*v as f64) }).collect()
            }
        };
        Ok((values, dims, origin))
    }
}

/// How tiles are packed.
#[derive(Debug)]
struct Codec {
    method: Method,
    bitpix: i64,
    blocksize: usize,
    bytepix: usize,
    dither: u8,
    seed: i64,
}

impl Codec {
    fn of(h: &Header) -> std::result::Result<Self, String> {
        let method = match h.text("ZCMPTYPE").unwrap_or("") {
            "RICE_1" | "RICE_ONE" => Method::Rice,
            "GZIP_1" => Method::Gzip1,
            "GZIP_2" => Method::Gzip2,
            "PLIO_1" => Method::Plio,
            "HCOMPRESS_1" => Method::Hcompress,
            "NOCOMPRESS" => Method::Plain,
            other => return Err(format!("the compression '{other}' is not known")),
        };
        let mut codec = Self {
            method,
            bitpix: h.int("ZBITPIX").unwrap_or(0),
            blocksize: 32,
            bytepix: 4,
            dither: match h.text("ZQUANTIZ") {
                Some("SUBTRACTIVE_DITHER_1") => 1,
                Some("SUBTRACTIVE_DITHER_2") => 2,
                _ => 0,
            },
            seed: h.int("ZDITHER0").unwrap_or(1),
        };
        for i in 1..100 {
            let Some(name) = h.text(&format!("ZNAME{i}")) else { break };
            let value = h.int(&format!("ZVAL{i}")).and_then(|v| usize::try_from(v).ok());
            match (name, value) {
                ("BLOCKSIZE", Some(v)) => codec.blocksize = v,
                ("BYTEPIX", Some(v)) => codec.bytepix = v,
                _ => {}
            }
        }
        if !matches!(codec.bitpix, 8 | 16 | 32 | 64 | -32 | -64) {
            return Err(format!("ZBITPIX {} is not defined in FITS", codec.bitpix));
        }
        Ok(codec)
    }
    fn is_lossless(&self) -> bool {
        matches!(self.method, Method::Gzip1 | Method::Gzip2 | Method::Plain)
    }
    /// The bytes of a GZIP or plain tile of `n` pixels, in pixel order.
    fn bytes<'b>(&self, packed: &'b [u8], n: usize) -> std::result::Result<Cow<'b, [u8]>, String> {
        if self.method == Method::Plain {
            return Ok(Cow::Borrowed(packed));
        }
        let raw = gunzip(packed)?;
        if self.method == Method::Gzip1 {
            return Ok(Cow::Owned(raw));
        }
        Ok(Cow::Owned(unshuffled(raw, n)))
    }
    fn ints(&self, packed: &[u8], dims: &[usize]) -> std::result::Result<Vec<i64>, String> {
        use fitskit::tile_compress as codec;
        let n: usize = dims.iter().product();
        match self.method {
            Method::Rice => match self.bytepix {
                1 => codec::rice_decompress_i8(packed, n, self.blocksize).map(|v| v.into_iter().map(i64::from).collect()),
                2 => codec::rice_decompress_i16(packed, n, self.blocksize).map(|v| v.into_iter().map(i64::from).collect()),
                4 => codec::rice_decompress_i32(packed, n, self.blocksize).map(|v| v.into_iter().map(i64::from).collect()),
                other => return Err(format!("RICE_1 with {other} bytes a pixel is not known")),
            }
            .map_err(|e| e.to_string()),
            Method::Plio => {
                let words: Vec<i16> = packed.as_chunks::<2>().0.iter().map(|c| i16::from_be_bytes(*c)).collect();
                codec::plio_decompress(&words, n).map(|v| v.into_iter().map(i64::from).collect()).map_err(|e| e.to_string())
            }
            Method::Hcompress => {
                // smoothing only softens the picture of lossy tiles; the stored values are taken
                codec::hcompress_decompress(packed, !matches!(self.bitpix, 8 | 16), 0).map(|(v, ..)| v).map_err(|e| e.to_string())
            }
            Method::Gzip1 | Method::Gzip2 | Method::Plain => {
                // writers store 32-bit integers whatever ZBITPIX says, or the width of ZBITPIX
                let raw = self.bytes(packed, n)?;
                let width = raw.len() / n.max(1);
                if !matches!(width, 1 | 2 | 4 | 8) {
                    return Err(format!("a tile of {n} pixels has {} bytes", raw.len()));
                }
                Ok(raw
                    .chunks_exact(width)
                    .take(n)
                    .map(|c| match *c {
                        [a] => i64::from(a),
                        [a, b] => i64::from(i16::from_be_bytes([a, b])),
                        [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
                        [a, b, c, d, e, f, g, h] => i64::from_be_bytes([a, b, c, d, e, f, g, h]),
                        _ => 0,
                    })
                    .collect())
            }
        }
    }
    /// Undo linear quantisation and subtractive dithering (FITS 4.0, section 10.2 and appendix I).
    fn unquantise(&self, ints: &[i64], tile: usize, scale: f64, zero: f64, blank: Option<i64>) -> Vec<f64> {
        let random = dither_sequence();
        let mut seed = (tile as i64 + self.seed - 1).rem_euclid(random.len() as i64) as usize;
        let mut next = (random[seed] * 500.0) as usize;
        ints.iter()
            .map(|&q| {
                let value = if Some(q) == blank {
                    f64::NAN
                } else if self.dither == 2 && q == -2_147_483_646 {
                    0.0
                } else if self.dither > 0 {
                    (q as f64 - f64::from(random[next]) + 0.5) * scale + zero
                } else {
                    q as f64 * scale + zero
                };
                next += 1;
                if next == random.len() {
                    seed = (seed + 1) % random.len();
                    next = (random[seed] * 500.0) as usize;
                }
                value
            })
            .collect()
    }
}

/// The standard's 10000 pseudo-random numbers (Park and Miller's generator, seed 1).
fn dither_sequence() -> &'static [f32] {
    static SEQUENCE: std::sync::OnceLock<Vec<f32>> = std::sync::OnceLock::new();
    SEQUENCE.get_or_init(|| {
        let mut seed: u64 = 1;
        (0..10_000)
            .map(|_| {
                seed = seed * 16807 % 2_147_483_647;
                (seed as f64 / 2_147_483_647.0) as f32
            })
            .collect()
    })
}

/// A column of a binary table.
#[derive(Clone, Debug)]
pub struct BinColumn {
    /// TTYPE, blanks removed.
    pub name: String,
    /// TUNIT.
    pub unit: String,
    /// TUCD.
    pub ucd: String,
    /// TUTYP.
    pub utype: String,
    /// Letter of TFORM: L X B I J K A E D C M P Q.
    pub code: u8,
    /// For P and Q the letter of the elements.
    pub element: u8,
    /// Elements a cell (not for P and Q).
    pub repeat: usize,
    /// TDIM, first index fastest; empty when there is none.
    pub dims: Vec<usize>,
    offset: usize,
    scale: f64,
    zero: f64,
    null: Option<i64>,
}

/// Bytes an element of that TFORM letter takes.
fn element_width(code: u8) -> usize {
    match code {
        b'L' | b'B' | b'A' | b'X' => 1,
        b'I' => 2,
        b'J' | b'E' => 4,
        b'K' | b'D' | b'C' | b'P' => 8,
        b'M' | b'Q' => 16,
        _ => 0,
    }
}

/// The columns of a BINTABLE, decoded on demand.
#[derive(Clone, Debug)]
pub struct BinTable<'a> {
    /// Its columns.
    pub columns: Vec<BinColumn>,
    /// Rows that are there.
    pub rows: usize,
    row_len: usize,
    data: &'a [u8],
    heap: &'a [u8],
}

impl<'a> BinTable<'a> {
    fn new(fits: &'a Fits, hdu: &Hdu) -> Result<Self> {
        let h = &hdu.header;
        let what = || format!("{}, HDU {}", fits.what, hdu.number);
        let size = |key: &str| h.int(key).and_then(|v| usize::try_from(v).ok());
        let (Some(row_len), Some(rows)) = (size("NAXIS1"), size("NAXIS2")) else {
            return Err(Error::format(what(), "a binary table must give NAXIS1 and NAXIS2"));
        };
        let fields = size("TFIELDS").unwrap_or(0).min(9999);
        let mut columns = Vec::with_capacity(fields);
        let mut offset = 0usize;
        for i in 1..=fields {
            let text = |key: &str| h.text(&format!("{key}{i}")).unwrap_or("").to_owned();
            let form = text("TFORM");
            let digits = form.bytes().take_while(u8::is_ascii_digit).count();
            let repeat = if digits == 0 { 1 } else { form[..digits].parse().unwrap_or(0) };
            let code = form.as_bytes().get(digits).copied().unwrap_or(b' ').to_ascii_uppercase();
            let element = form.as_bytes().get(digits + 1).copied().unwrap_or(b' ').to_ascii_uppercase();
            let width = if code == b'X' { usize::div_ceil(repeat, 8) } else { element_width(code).saturating_mul(repeat) };
            let dims = text("TDIM")
                .trim_matches(|c| c == '(' || c == ')' || c == ' ')
                .split(',')
                .filter_map(|v| v.trim().parse().ok())
                .collect();
            columns.push(BinColumn {
                name: text("TTYPE"),
                unit: text("TUNIT"),
                ucd: text("TUCD"),
                utype: text("TUTYP"),
                code,
                element,
                repeat,
                dims,
                offset,
                scale: h.float(&format!("TSCAL{i}")).unwrap_or(1.0),
                zero: h.float(&format!("TZERO{i}")).unwrap_or(0.0),
                null: h.int(&format!("TNULL{i}")),
            });
            offset = offset.saturating_add(width);
        }
        if offset > row_len {
            return Err(Error::format(what(), format!("its columns take {offset} bytes a row but NAXIS1 says {row_len}")));
        }
        let data = fits.data(hdu);
        let rows = if row_len == 0 { 0 } else { rows.min(data.len() / row_len) };
        let start = size("THEAP").unwrap_or(row_len.saturating_mul(rows)).min(data.len());
        Ok(Self { columns, rows, row_len, data, heap: &data[start..] })
    }

    /// Index of the column of that name, without regard to case.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))
    }

    /// The bytes of a cell; for P and Q those on the heap. Empty where they are not there.
    pub fn raw(&self, row: usize, column: usize) -> &'a [u8] {
        match self.on_heap(row, column) {
            Some((from, bytes)) => self.heap.get(from..from.saturating_add(bytes)).unwrap_or(&[]),
            None => self.in_row(row, column),
        }
    }

    fn in_row(&self, row: usize, column: usize) -> &'a [u8] {
        let c = &self.columns[column];
        let at = row * self.row_len + c.offset;
        let len = if c.code == b'X' { c.repeat.div_ceil(8) } else { element_width(c.code) * c.repeat };
        self.data.get(at..at + len).unwrap_or(&[])
    }

    /// First byte on the heap and number of bytes of a cell of P or Q; `None` of other columns.
    pub(crate) fn on_heap(&self, row: usize, column: usize) -> Option<(usize, usize)> {
        let (c, cell) = (&self.columns[column], self.in_row(row, column));
        let (count, from) = match (c.code, cell.len()) {
            (b'P', 8..) => (be_u32(cell) as usize, be_u32(&cell[4..]) as usize),
            (b'Q', 16..) => (be_u64(cell) as usize, be_u64(&cell[8..]) as usize),
            (b'P' | b'Q', _) => (0, 0),
            _ => return None,
        };
        Some((from, count.saturating_mul(element_width(c.element))))
    }

    /// Numbers of a cell after TSCAL, TZERO; NaN for TNULL.
    pub fn cell(&self, row: usize, column: usize) -> Vec<f64> {
        let mut out = Vec::new();
        self.extend(row, column, &mut out);
        out
    }

    fn extend(&self, row: usize, column: usize, out: &mut Vec<f64>) {
        let c = &self.columns[column];
        let raw = self.raw(row, column);
        let code = if matches!(c.code, b'P' | b'Q') { c.element } else { c.code };
        let scaled = |v: f64| if c.scale == 1.0 && c.zero == 0.0 { v } else { v * c.scale + c.zero };
        let int = |v: i64| if c.null == Some(v) { f64::NAN } else { scaled(v as f64) };
        match code {
            b'B' => out.extend(raw.iter().map(|v| int(i64::from(*v)))),
            b'L' => out.extend(raw.iter().map(|v| match v {
                b'T' => 1.0,
                b'F' => 0.0,
                _ => f64::NAN,
            })),
            b'I' => out.extend(raw.as_chunks::<2>().0.iter().map(|v| int(i64::from(i16::from_be_bytes(*v))))),
            b'J' => out.extend(raw.as_chunks::<4>().0.iter().map(|v| int(i64::from(i32::from_be_bytes(*v))))),
            b'K' => out.extend(raw.as_chunks::<8>().0.iter().map(|v| int(i64::from_be_bytes(*v)))),
            b'E' => out.extend(raw.as_chunks::<4>().0.iter().map(|v| scaled(f64::from(f32::from_be_bytes(*v))))),
            b'D' => out.extend(raw.as_chunks::<8>().0.iter().map(|v| scaled(f64::from_be_bytes(*v)))),
            _ => {}
        }
    }

    /// Whether the column holds numbers.
    pub fn is_number(&self, column: usize) -> bool {
        let c = &self.columns[column];
        matches!(if matches!(c.code, b'P' | b'Q') { c.element } else { c.code }, b'B' | b'I' | b'J' | b'K' | b'E' | b'D')
    }

    /// All cells of a column behind each other, `repeat` numbers a row.
    pub fn floats(&self, column: usize) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.rows * self.columns[column].repeat.min(1 << 20));
        for row in 0..self.rows {
            self.extend(row, column, &mut out);
        }
        out
    }

    /// A column of whole numbers, exact to 64 bits; the first of each cell, before TSCAL.
    pub fn ints(&self, column: usize) -> Vec<i64> {
        (0..self.rows)
            .map(|row| match *self.raw(row, column) {
                [a] => i64::from(a),
                [a, b] => i64::from(i16::from_be_bytes([a, b])),
                [a, b, c, d, ..] if matches!(self.columns[column].code, b'J') => i64::from(i32::from_be_bytes([a, b, c, d])),
                [a, b, c, d, e, f, g, h, ..] => i64::from_be_bytes([a, b, c, d, e, f, g, h]),
                _ => 0,
            })
            .collect()
    }

    /// Text of a cell of kind A, up to the first NUL, trailing blanks removed.
    pub fn text(&self, row: usize, column: usize) -> String {
        let raw = self.raw(row, column);
        let raw = raw.split(|b| *b == 0).next().unwrap_or(&[]);
        raw.iter().map(|b| char::from(*b)).collect::<String>().trim_end().to_owned()
    }
}

fn be_u32(b: &[u8]) -> u32 {
    b.first_chunk::<4>().map_or(0, |c| u32::from_be_bytes(*c))
}

fn be_u64(b: &[u8]) -> u64 {
    b.first_chunk::<8>().map_or(0, |c| u64::from_be_bytes(*c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(text: &str) -> Vec<u8> {
        format!("{text:<80}").into_bytes()
    }

    #[test]
    fn cards_of_every_kind_are_read() {
        let mut bytes = Vec::new();
        for line in [
            "SIMPLE  =                    T / yes",
            "NAME    = 'O''Hara & sons &'   / who",
            "CONTINUE  'and more'",
            "HIERARCH ESO DET CHIP1 GAIN = 1.5D3 / e/ADU",
            "########################",
            "P.I.    = 'someone'",
            "NOVALUE =                      / nothing",
            "RA      = -.5E-1",
            "RA      = 7",
            "COMMENT = no value",
        ] {
            bytes.extend(card(line));
        }
        bytes.extend(card("END"));
        let (h, used, ended) = Header::parse(&bytes);
        assert!(ended);
        assert_eq!(used, bytes.len());
        assert_eq!(h.text("NAME"), Some("O'Hara & sons and more"));
        assert_eq!(h.float("ESO DET CHIP1 GAIN"), Some(1500.0));
        assert_eq!(h.float("RA"), Some(-0.05));
        assert_eq!(h.text("P.I."), Some("someone"));
        assert_eq!(h.get("NOVALUE"), Some(&Value::Other(String::new())));
        assert_eq!(h.cards().len(), 9);
    }

    #[test]
    fn dither_sequence_ends_as_the_standard_says() {
        let last = dither_sequence()[9999];
        assert_eq!(last, (1_043_618_065.0 / 2_147_483_647.0) as f32);
    }

    #[test]
    fn garbage_is_an_error_not_a_panic() {
        assert!(Fits::open("x", b"").is_err());
        assert!(Fits::open("x", &[0x1f, 0x8b, 1, 2, 3]).is_err());
        assert!(Fits::open("x", b"<html>").is_err());
        let mut bytes = card("SIMPLE  =                    T");
        bytes.extend(card("BITPIX  =                   16"));
        bytes.extend(card("NAXIS   =                    2"));
        bytes.extend(card("NAXIS1  =  9223372036854775807"));
        bytes.extend(card("NAXIS2  =  9223372036854775807"));
        bytes.extend(card("END"));
        let fits = Fits::open("x", &bytes).unwrap();
        assert!(fits.values(&fits.hdus[0]).is_err());
        assert!(!fits.warnings.is_empty());
    }
}
