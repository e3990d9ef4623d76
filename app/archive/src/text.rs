//! Words out of answers that are no tables: error documents of the Virtual Observatory, JSON messages, pages of HTML.
//!
//! The scanner is lenient on purpose (a hand-made walk over tags, no XML reader): it must also find the error in a document that is
//! not well-formed, that was cut off, or of which only the first 64 KB are at hand.

use serde_json::Value;

/// What a document says about itself.
#[derive(Default, Debug)]
pub(crate) struct DocumentStatus {
    /// Value and text of each `QUERY_STATUS`, in order.
    pub status: Vec<(String, String)>,
    /// `Error` INFOs and PARAMs of the old protocols.
    pub errors: Vec<String>,
    /// There is a TABLE.
    pub has_table: bool,
    /// It is a VOTable.
    pub is_votable: bool,
}

impl DocumentStatus {
    /// The message, where the document says that the query failed: `QUERY_STATUS` ERROR wins over any table beside it.
    pub fn error_message(&self) -> Option<String> {
        if let Some((_, text)) = self.status.iter().find(|(v, _)| v.eq_ignore_ascii_case("ERROR")) {
            let text = if text.eq_ignore_ascii_case("ERROR") { "" } else { text.as_str() };
            // VizieR puts the sentence for a person into the first Error and the trace into the status.
            let text = match self.errors.first() {
                Some(_) if text.is_empty() => self.errors.join(" "),
                Some(first) if !text.contains(first.as_str()) => format!("{first} {text}"),
                _ => text.to_owned(),
            };
            let text = shorten(&text, 600);
            return Some(if text.is_empty() { "the query failed (no reason given)".into() } else { text });
        }
        if self.is_votable && !self.has_table && !self.errors.is_empty() {
            return Some(self.errors.join(" "));
        }
        None
    }
    pub fn overflow(&self) -> bool {
        self.status.iter().any(|(v, _)| v.eq_ignore_ascii_case("OVERFLOW"))
    }
}

/// Looks for `QUERY_STATUS` and `Error` in (a part of) a VOTable.
pub(crate) fn votable_status(text: &str) -> DocumentStatus {
    let mut found = DocumentStatus::default();
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        rest = &rest[open + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.find("-->").map_or("", |i| &comment[i + 3..]);
            continue;
        }
        let name_end = rest.find(|c: char| c.is_whitespace() || c == '>' || c == '/').unwrap_or(rest.len());
        let name = rest[..name_end].rsplit(':').next().unwrap_or("");
        match name {
            "VOTABLE" => found.is_votable = true,
            "TABLE" => found.has_table = true,
            "INFO" | "PARAM" => {
                let Some(close) = tag_end(rest) else { break };
                let tag = &rest[name_end..close];
                let after = &rest[(close + 1).min(rest.len())..];
                let what = attribute(tag, "name").unwrap_or_default();
                let value = attribute(tag, "value").unwrap_or_default();
                let inner = if tag.ends_with('/') { String::new() } else { text_of(after) };
                if what.eq_ignore_ascii_case("QUERY_STATUS") {
                    found.status.push((value, inner));
                } else if what.eq_ignore_ascii_case("Error") {
                    let message = if value.trim().is_empty() { inner } else { squeeze(&value) };
                    if !message.is_empty() && !found.errors.contains(&message) && found.errors.len() < 6 {
                        found.errors.push(message);
                    }
                }
                rest = after;
            }
            _ => {}
        }
    }
    found
}

/// Whether the element that opens an XML document is closed at its end: a document that was cut in silence is not.
pub(crate) fn is_whole_xml(text: &str) -> bool {
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        rest = &rest[open + 1..];
        match rest.as_bytes().first() {
            Some(b'!') if rest.starts_with("!--") => rest = rest.find("-->").map_or("", |i| &rest[i..]),
            Some(b'?' | b'!') => {}
            Some(_) => {
                let name: String = rest.chars().take_while(|c| !c.is_whitespace() && *c != '>' && *c != '/').collect();
                let Some(close) = tag_end(rest) else { return false };
                let after = &rest[close + 1..];
                return rest[..close].ends_with('/')
                    || after.rfind("</").is_some_and(|i| {
                        after[i + 2..].strip_prefix(name.as_str()).is_some_and(|end| end.trim_start().starts_with('>'))
                    });
            }
            None => return false,
        }
    }
    false
}

/// Index of the `>` that ends a tag, past quoted attributes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (i, b) in text.bytes().enumerate() {
        match (quote, b) {
            (None, b'>') => return Some(i),
            (None, b'"' | b'\'') => quote = Some(b),
            (Some(q), b) if q == b => quote = None,
            _ => {}
        }
    }
    None
}

pub(crate) fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    while let Some(equal) = rest.find('=') {
        let key = rest[..equal].trim();
        let key = key.rsplit(char::is_whitespace).next().unwrap_or(key);
        let value = rest[equal + 1..].trim_start();
        let quote = value.chars().next().filter(|c| *c == '"' || *c == '\'')?;
        let value = &value[1..];
        let end = value.find(quote)?;
        if key.eq_ignore_ascii_case(name) {
            return Some(unescape(&value[..end]));
        }
        rest = &value[end + 1..];
    }
    None
}

fn text_of(after: &str) -> String {
    let start = after.trim_start();
    if let Some(raw) = start.strip_prefix("<![CDATA[") {
        return squeeze(&raw[..raw.find("]]>").unwrap_or(raw.len())]);
    }
    squeeze(&unescape(&after[..after.find('<').unwrap_or(after.len())]))
}

/// Resolves the entities of XML and HTML that occur in messages; what is not known stays as it is.
pub(crate) fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.into();
    }
    if let Ok(text) = quick_xml::escape::unescape(text) {
        return text.into_owned();
    }
    [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |t, (from, to)| t.replace(from, to))
}

/// One line, single blanks.
pub(crate) fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first plain words of a page, its title first, without tags, scripts and styles.
pub(crate) fn plain_words(text: &str, limit: usize) -> String {
    let words = if looks_like_html(text.as_bytes()) || text.contains("</") {
        let title = html_title(text);
        let mut out = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('<') {
            out.push_str(&rest[..open]);
            out.push(' ');
            rest = &rest[open..];
            let lower: String = rest.chars().take(8).collect::<String>().to_ascii_lowercase();
            let skip = ["script", "style", "title", "head>"].iter().find(|n| lower[1..].starts_with(**n) && **n != "head>");
            if let Some(name) = skip {
                let close = format!("</{name}");
                match rest.to_ascii_lowercase().find(&close) {
                    Some(i) => rest = &rest[i..],
                    None => rest = "",
                }
            }
            rest = match rest.find('>') {
                Some(i) => &rest[i + 1..],
                None => "",
            };
        }
        out.push_str(rest);
        let body = squeeze(&unescape(&out));
        match title {
            Some(title) if body.is_empty() || body.starts_with(&title) => {
                if body.is_empty() {
                    title
                } else {
                    body
                }
            }
            Some(title) => format!("{title}: {body}"),
            None => body,
        }
    } else {
        squeeze(text)
    };
    shorten(&words, limit)
}

pub(crate) fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.into();
    }
    let cut: String = text.chars().take(limit).collect();
    format!("{}…", cut.rsplit_once(' ').map_or(cut.as_str(), |(a, _)| a))
}

pub(crate) fn looks_like_html(head: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&head[..head.len().min(1024)]).to_ascii_lowercase();
    let start = start.trim_start_matches('\u{feff}').trim_start();
    start.starts_with("<!doctype html") || start.starts_with("<html") || (start.contains("<html") && !start.contains("votable"))
}

pub(crate) fn html_title(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    let title = squeeze(&unescape(&text[start..end]));
    (!title.is_empty()).then_some(title)
}

/// What came, for the end of the sentence "did not send what was asked for, but ...".
pub(crate) fn describe_other(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    if head.is_empty() {
        return "an empty answer".into();
    }
    if looks_like_html(head) {
        return match html_title(&text) {
            Some(title) => format!("a web page titled '{}'", shorten(&title, 120)),
            None => format!("a web page: {}", plain_words(&text, 160)),
        };
    }
    if text.contains('\u{fffd}') || text.contains('\0') {
        return format!("{} bytes or more of something else", head.len());
    }
    format!("this text: {}", plain_words(&text, 200))
}

/// The message in a JSON answer that says what was wrong (422 of FastAPI, MAST's `msg`, `error`, `message`).
pub(crate) fn json_message(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text.trim()).ok()?;
    if let Some(list) = value["detail"].as_array() {
        let words: Vec<String> = list
            .iter()
            .map(|d| {
                let place = d["loc"].as_array().map(|l| {
                    l.iter().filter_map(Value::as_str).filter(|p| *p != "query" && *p != "body").collect::<Vec<_>>().join(".")
                });
                match (place.filter(|p| !p.is_empty()), d["msg"].as_str()) {
                    (Some(place), Some(msg)) => format!("{place}: {msg}"),
                    (None, Some(msg)) => msg.into(),
                    _ => d.to_string(),
                }
            })
            .collect();
        return Some(words.join("; "));
    }
    ["detail", "msg", "message", "error", "error_description"]
        .iter()
        .find_map(|k| value[*k].as_str().map(|v| plain_words(v, 400)))
        .filter(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_error_wins_over_a_table() {
        let text = "<VOTABLE><RESOURCE><INFO name='QUERY_STATUS' value='ERROR'>No such &lt;column&gt;</INFO><TABLE/></RESOURCE></VOTABLE>";
        assert_eq!(votable_status(text).error_message().unwrap(), "No such <column>");
        let text = "<a:VOTABLE><a:RESOURCE><a:PARAM name=\"Error\" value=\"DEC > 90\"/></a:RESOURCE></a:VOTABLE>";
        assert_eq!(votable_status(text).error_message().unwrap(), "DEC > 90");
        let text = "<VOTABLE><RESOURCE><INFO name=\"QUERY_STATUS\" value=\"ERROR\"><![CDATA[a < b]]></INFO></RESOURCE></VOTABLE>";
        assert_eq!(votable_status(text).error_message().unwrap(), "a < b");
        assert!(votable_status("<VOTABLE><INFO name='QUERY_STATUS' value='OK'/><TABLE/>").error_message().is_none());
    }

    #[test]
    fn a_document_that_is_whole_is_told_from_one_that_was_cut() {
        for whole in ["<a/>", "<?xml version='1.0'?><!-- <b> --><v:a x='>'><b/></v:a >\n", "<a></a>"] {
            assert!(is_whole_xml(whole), "{whole}");
        }
        for cut in ["", "<a>", "<a><b></b>", "<a x='", "<?xml version='1.0'?>", "<a></ab>", "plain"] {
            assert!(!is_whole_xml(cut), "{cut}");
        }
    }

    #[test]
    fn html_becomes_words() {
        let page = "<html><head><title>503 Service &amp; down</title><style>p{}</style></head><body><script>x<y</script><p>Come <b>back</b></p></body></html>";
        assert_eq!(plain_words(page, 100), "503 Service & down: Come back");
        assert_eq!(describe_other(page.as_bytes()), "a web page titled '503 Service & down'");
        assert_eq!(describe_other(b""), "an empty answer");
    }

    #[test]
    fn json_says_which_parameter() {
        let text = r#"{"detail":[{"loc":["query","maxrec"],"msg":"value is not a valid integer","type":"type_error"}]}"#;
        assert_eq!(json_message(text).unwrap(), "maxrec: value is not a valid integer");
        assert_eq!(json_message(r#"{"status":"ERROR","msg":"Bad radius"}"#).unwrap(), "Bad radius");
        assert!(json_message("plain").is_none());
    }

    #[test]
    fn no_slice_of_a_document_panics() {
        let page = "<html><tïtle>é<script>ü</head><INFO name='QUERY_STATUS' value=\"x><![CDATA[";
        for i in (0..=page.len()).filter(|i| page.is_char_boundary(*i)) {
            plain_words(&page[..i], 20);
            votable_status(&page[..i]);
            describe_other(&page.as_bytes()[..i]);
        }
    }
}
