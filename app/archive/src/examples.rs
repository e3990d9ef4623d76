//! Examples that a TAP service gives of its queries (DALI 1.1, section 2.3; TAP 1.1, section 2.4.2): an XHTML page with RDFa marks.
//!
//! Pages in use are written by hand and are seldom well-formed (`<` stands bare in queries), so the marks are looked for in the
//! text, and nothing of it is rendered or followed. The choice not taken is an HTML parser, for three attributes.
//!
//! Cost: one pass over the page.

use crate::http::Call;
use crate::text::{attribute, squeeze, unescape};
use crate::vo::tap_base;
use crate::{Client, Error, Result};

/// A query that a service shows as an example.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TapExample {
    /// What it does.
    pub name: String,
    /// ADQL, with its lines.
    pub query: String,
}

impl Client {
    /// The queries that a TAP service gives as examples; an empty list where its page has none.
    ///
    /// # Errors
    /// As [`Client::search`]; most services without examples answer with status 404.
    pub fn tap_examples(&self, base: &str, cancelled: &dyn Fn() -> bool) -> Result<Vec<TapExample>> {
        let url = self.http.url(&format!("{}/examples", tap_base(base)))?;
        let response = self.http.send(&Call::get(url).accept("application/xhtml+xml, text/html, */*"), cancelled)?;
        let service = response.service.clone();
        let bytes = self.http.read_all(response, 4 << 20, cancelled)?;
        if bytes.is_empty() {
            return Err(Error::not_a_table(&service, "an empty page of examples".to_owned()));
        }
        Ok(parse_examples(&String::from_utf8_lossy(&bytes)))
    }
}

/// The examples in a page, in its order; those without a query are left out.
pub fn parse_examples(page: &str) -> Vec<TapExample> {
    let mut found: Vec<TapExample> = Vec::new();
    let mut rest = page;
    while let Some(open) = rest.find('<') {
        rest = &rest[open + 1..];
        let Some(end) = rest.find('>') else { break };
        let tag = &rest[..end];
        let inside = &rest[end + 1..];
        let word = tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or("");
        // The text up to the end of this element, with the tags inside it left out.
        let text = || {
            let close = format!("</{word}");
            let whole = &inside[..inside.find(close.as_str()).unwrap_or(inside.len())];
            unescape(&without_tags(whole))
        };
        let has = |name: &str, value: &str| attribute(tag, name).is_some_and(|v| v.split_whitespace().any(|w| w == value));
        if has("typeof", "example") {
            found.push(TapExample::default());
        } else if let Some(last) = found.last_mut() {
            if has("property", "name") && last.name.is_empty() {
                last.name = squeeze(&text());
            } else if has("property", "query") && last.query.is_empty() {
                last.query = unindented(&text());
            }
        }
        // A bare '<' in a query ends no element: go on behind it.
        if word.is_empty() || !(word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!' || c == '?')) {
            continue;
        }
        rest = inside;
    }
    found.retain(|e| !e.query.is_empty());
    found
}

/// Text between tags; a '<' that begins no tag stays.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        let after = &rest[open + 1..];
        let is_tag = after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
        match after.find('>') {
            Some(end) if is_tag => rest = &after[end + 1..],
            _ => {
                out.push('<');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Lines without the blanks that all of them begin with.
fn unindented(text: &str) -> String {
    let text = text.replace('\t', "    ");
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let filled = |l: &&&str| !l.trim().is_empty();
    // The first line often stands right behind the tag.
    let indent = |l: &str| l.len() - l.trim_start().len();
    let least = lines.iter().filter(filled).skip(1).map(|l| indent(l)).min().unwrap_or(0);
    let cut = |l: &&str| l[indent(l).min(least)..].to_owned();
    lines.iter().filter(filled).map(cut).collect::<Vec<_>>().join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_read_from_a_page_that_is_not_well_formed() {
        let page = r##"<!DOCTYPE html><html><body vocab="ivo://ivoa.net/std/DALI-examples#"><div id="a" typeof="example" resource="#a">
            <h2 property="name">A cone &amp; more</h2><p>Words <b>here</b>.</p>
            <pre property="query">
                SELECT *
                  FROM t <em>AS</em> u
                WHERE a &lt; 3 AND b < 4 AND c > 5
            </pre></div>
            <div typeof='example'><h2 property='name'>Nothing</h2></div>
            <div typeof="example"><span property="name">One line</span> <code property="query dali:query">SELECT TOP 1 x FROM y</code></div>"##;
        let found = parse_examples(page);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].name, "A cone & more");
        assert_eq!(found[0].query, "SELECT *\n  FROM t AS u\nWHERE a < 3 AND b < 4 AND c > 5");
        assert_eq!((found[1].name.as_str(), found[1].query.as_str()), ("One line", "SELECT TOP 1 x FROM y"));
        for i in 0..page.len() {
            parse_examples(page.get(..i).unwrap_or(""));
        }
    }
}
