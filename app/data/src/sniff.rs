//! What a file is, by its first bytes; its name only decides where the bytes do not.
//!
//! Archives hand out FITS files that are gzip inside, tar archives named `.vot.gz`, and web pages
//! named `.xml` that say that the service is down. So the content speaks first.

use std::io::Read;
use std::path::Path;

use crate::{Error, Result};

/// Formats that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// FITS.
    Fits,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC file.
    Arrow,
    /// VOTable.
    Votable,
    /// Enhanced CSV.
    Ecsv,
    /// numpy array.
    Npy,
    /// Separated by commas (or what the first lines show).
    Csv,
    /// Separated by tabs.
    Tsv,
}

fn start(bytes: &[u8], with: &[u8]) -> bool {
    bytes.starts_with(with)
}

pub(crate) fn is_tar(bytes: &[u8]) -> bool {
    bytes.len() > 262 && &bytes[257..262] == b"ustar"
}

/// Whether these first bytes are packed, or text of 16 bits a letter.
pub(crate) fn is_packed(head: &[u8]) -> bool {
    [&[0x1f, 0x8b][..], b"BZh", &[0xff, 0xfe], &[0xfe, 0xff]].iter().any(|m| start(head, m)) || crate::lzw::is_lzw(head)
}

/// Take gzip, bzip2 and `compress` (`.Z`) off (also twice); a truncated one gives what there is.
///
/// # Errors
/// [`Error::Format`] when nothing can be unpacked.
pub fn unpack(what: &str, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    for _ in 0..3 {
        let mut out = Vec::new();
        let read = if start(&bytes, &[0x1f, 0x8b]) {
            flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut out)
        } else if start(&bytes, b"BZh") && bytes.get(4..10) == Some(&[0x31, 0x41, 0x59, 0x26, 0x53, 0x59]) {
            bzip2::read::MultiBzDecoder::new(bytes.as_slice()).read_to_end(&mut out)
        } else if crate::lzw::is_lzw(&bytes) {
            let (unpacked, wrong) = crate::lzw::unpack(&bytes);
            out = unpacked;
            match wrong {
                Some(why) => Err(std::io::Error::other(why)),
                None => Ok(out.len()),
            }
        } else {
            return Ok(bytes);
        };
        // Junk behind the packed data and a packed file that breaks off both leave something to read.
        if let Err(e) = read
            && out.is_empty()
        {
            return Err(Error::format(
                what,
                format!("is compressed but cannot be unpacked ({e}); the file may be incomplete: fetch it again"),
            ));
        }
        bytes = out;
    }
    Ok(bytes)
}

/// UTF-16 with a byte order mark to UTF-8; anything else as it is.
pub(crate) fn utf8(bytes: Vec<u8>) -> Vec<u8> {
    let units: Vec<u16> = if start(&bytes, &[0xff, 0xfe]) {
        bytes[2..].chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect()
    } else if start(&bytes, &[0xfe, 0xff]) {
        bytes[2..].chunks_exact(2).map(|c| u16::from_be_bytes([c[0], c[1]])).collect()
    } else if start(&bytes, &[0xef, 0xbb, 0xbf]) {
        return bytes[3..].to_vec();
    } else {
        return bytes;
    };
    String::from_utf16_lossy(&units).into_bytes()
}

/// The format of unpacked `bytes`.
///
/// # Errors
/// [`Error::Format`] that says what it is instead: a web page with its title, an archive, a
/// message of a service, an image.
pub fn sniff(name: &str, bytes: &[u8]) -> Result<Format> {
    let wrong = |why: String| Err(Error::format(name, why));
    if bytes.is_empty() {
        return wrong("is empty; fetch or write it again".into());
    }
    if start(bytes, b"SIMPLE  =") || start(bytes, b"XTENSION=") {
        return Ok(Format::Fits);
    }
    if start(bytes, b"PAR1") {
        return Ok(Format::Parquet);
    }
    if start(bytes, b"ARROW1") {
        return Ok(Format::Arrow);
    }
    if start(bytes, b"\x93NUMPY") {
        return Ok(Format::Npy);
    }
    if start(bytes, b"PK\x03\x04") {
        return wrong("is a zip archive; unpack it and open the file you want".into());
    }
    if is_tar(bytes) {
        return wrong("is a tar archive, whatever its name says; unpack it and open the file you want".into());
    }
    for (magic, kind) in [
        (&b"\x89PNG"[..], "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"%PDF", "a PDF document"),
        (b"\x89HDF", "an HDF5 file"),
        (b"GIF8", "a GIF picture"),
    ] {
        if start(bytes, magic) {
            return wrong(format!("is {kind}, not a table"));
        }
    }
    let head = crate::votable::text_of(&bytes[..bytes.len().min(65536)]);
    let head = head.trim_start_matches('\u{feff}').trim_start();
    if head.starts_with('<') {
        let lower = head.to_ascii_lowercase();
        if let Some(title) = web_page_title(&lower, head) {
            return wrong(format!("is a web page, not a table: title '{title}'"));
        }
        return Ok(Format::Votable);
    }
    if head.starts_with("# %ECSV") || head.starts_with("#%ECSV") || head.starts_with("%ECSV") {
        return Ok(Format::Ecsv);
    }
    if head.starts_with(['{', '[']) {
        return wrong(json_complaint(bytes));
    }
    if bytes[..bytes.len().min(4096)].contains(&0) {
        return wrong("is not in a format that can be read here (VOTable, FITS, Parquet, Arrow, CSV, TSV, ECSV, npy)".into());
    }
    let ending = ending(Path::new(name));
    let other = match ending.as_str() {
        "fits" | "fit" | "fts" => Some("FITS"),
        "parquet" | "pq" => Some("Parquet"),
        "arrow" | "feather" => Some("Arrow"),
        "vot" | "votable" | "xml" => Some("VOTable"),
        "npy" => Some("numpy"),
        _ => None,
    };
    if let Some(other) = other {
        let line: String = head.lines().next().unwrap_or("").chars().take(80).collect();
        return wrong(format!(
            "is plain text, no {other} file; it begins '{line}'. Fetch it again, or name it .csv if it is a table of text"
        ));
    }
    if matches!(ending.as_str(), "tsv" | "tab") {
        return Ok(Format::Tsv);
    }
    Ok(Format::Csv)
}

/// The ending of a name in lower case, without `.gz` or `.bz2`.
pub(crate) fn ending(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let name = name.trim_end_matches(".gz").trim_end_matches(".bz2").trim_end_matches(".z");
    name.rsplit_once('.').map(|(_, e)| e.to_owned()).unwrap_or_default()
}

fn web_page_title(lower: &str, head: &str) -> Option<String> {
    let body = lower.find("<votable");
    let html = lower.find("<html").or_else(|| lower.find("<!doctype html"))?;
    if body.is_some_and(|b| b < html) {
        return None;
    }
    let title = lower.find("<title").and_then(|i| {
        let from = i + lower[i..].find('>')? + 1;
        let to = from + lower[from..].find('<')?;
        head.get(from..to)
    });
    Some(title.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A service's message in JSON, in its own words.
fn json_complaint(bytes: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else {
        return "looks like JSON but cannot be parsed; it is not a table".into();
    };
    let mut said = Vec::new();
    collect_messages(&value, 0, &mut said);
    if said.is_empty() {
        "is JSON, not a table".into()
    } else {
        format!("is a message of a service, not a table: {}", said.join("; "))
    }
}

fn collect_messages(value: &serde_json::Value, depth: usize, said: &mut Vec<String>) {
    if depth > 3 || said.len() > 3 {
        return;
    }
    if let serde_json::Value::Object(map) = value {
        for (key, v) in map {
            let k = key.to_ascii_lowercase();
            if let serde_json::Value::String(text) = v
                && ["error", "message", "msg", "detail", "status", "description", "reason", "title"].contains(&k.as_str())
                && !text.is_empty()
            {
                said.push(format!("{key}: {text}"));
            } else {
                collect_messages(v, depth + 1, said);
            }
        }
    }
}
