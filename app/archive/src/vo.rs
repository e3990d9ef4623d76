//! The Virtual Observatory: TAP (synchronous, and asynchronous as a UWS job), cone search, SIA, SSA, and the tables of a TAP service.
//!
//! An answer is read as it comes: the reader of VOTable pulls from the open connection and every batch of rows goes on at once.
//! Whatever the status line says, the document itself is looked at: `QUERY_STATUS` ERROR wins over a table beside it, and OVERFLOW
//! after the table says that there is more. A connection that breaks, with or without a word from TCP, ends as
//! [`Error::CutOff`] with the rows that had come handed on.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::PathBuf;

use asterism_data::{RowSet, Table};
use quick_xml::events::Event as Xml;
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};

use crate::body::Body;
use crate::http::{Call, Cancelled, Out};
use crate::jobs::job_address;
use crate::text::{describe_other, is_whole_xml, json_message, looks_like_html, squeeze, votable_status};
use crate::{Answer, Client, Error, Event, Request, Result, check_position};

pub use crate::jobs::{Job, parse_job};

/// Rows of one batch: small enough to be seen at once, large enough to cost nothing.
const BATCH_ROWS: usize = 2000;

/// A column of a TAP service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TapColumn {
    /// As it stands in a query (quoted if need be).
    pub name: String,
    /// ADQL or VOTable type.
    pub datatype: String,
    /// Unit.
    pub unit: String,
    /// Unified Content Descriptor.
    pub ucd: String,
    /// For a person.
    pub description: String,
}

/// A table of a TAP service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TapTable {
    /// As it stands in a query, with its schema.
    pub name: String,
    /// For a person.
    pub description: String,
    /// Columns in the service's order.
    pub columns: Vec<TapColumn>,
}

/// What a TAP service holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TapSchema {
    /// Tables in the service's order.
    pub tables: Vec<TapTable>,
}

pub(crate) struct ReadEnd {
    pub truncated: bool,
    pub warnings: Vec<String>,
}

impl Client {
    /// Reads a VOTable answer and hands its rows on; `limit` rows at most.
    pub(crate) fn read_answer(
        &self,
        response: crate::http::Response,
        limit: Option<usize>,
        cancelled: Cancelled,
        out: &Out,
    ) -> Result<ReadEnd> {
        let service = response.service.clone();
        let mut body = Body::new(&self.http, response, cancelled, Some(out));
        let head = body.peek();
        if let Some(error) = body.failed.take() {
            return Err(error);
        }
        let gzip = head.starts_with(&[0x1f, 0x8b]);
        if !gzip && (head.first() != Some(&b'<') || looks_like_html(&head)) {
            let mut all = Vec::new();
            let _ = std::io::Read::read_to_end(&mut std::io::Read::take(&mut body, 65_536), &mut all);
            if let Some(Error::Cancelled) = body.failed {
                return Err(Error::Cancelled);
            }
            if let Some(message) = json_message(&String::from_utf8_lossy(&all)) {
                return Err(Error::Service { service, message });
            }
            return Err(Error::not_a_table(&service, describe_other(&all)));
        }
        let start = out.rows();
        let cut = Cell::new(false);
        let seen = Cell::new(false);
        let mut hand_on = |table: Table| {
            if cancelled() {
                return ControlFlow::Break(());
            }
            seen.set(true);
            let left = limit.map_or(usize::MAX, |l| l.saturating_sub(out.rows() - start));
            let over = table.rows() > left;
            let table = if over {
                match table.take(&RowSet::from_fn(table.rows(), |r| r < left)) {
                    Ok(table) => table,
                    Err(_) => return ControlFlow::Break(()),
                }
            } else {
                table
            };
            out.send(Event::Rows(table));
            if over {
                cut.set(true);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        let read = if gzip {
            // A compressed file from a server that does not say so in its headers.
            let limit = body.limit;
            let mut unpacked = crate::unpack::Unpacked::new(&mut body, limit);
            let read = asterism_data::read_votable_arriving(&mut unpacked, &service, BATCH_ROWS, &mut hand_on);
            if unpacked.is_full() && !cut.get() && !cancelled() {
                return Err(Error::TooLarge { service, bytes: limit });
            }
            read
        } else {
            asterism_data::read_votable_arriving(&mut body, &service, BATCH_ROWS, &mut hand_on)
        };
        if cancelled() {
            return Err(Error::Cancelled);
        }
        if let Some(failed) = body.failed.take() {
            return Err(failed);
        }
        let mut status = votable_status(&String::from_utf8_lossy(&body.head));
        if body.read as usize > body.head.len() {
            status.status.extend(votable_status(&String::from_utf8_lossy(&body.tail)).status);
        }
        if let Some(message) = status.error_message() {
            return Err(Error::Service { service, message });
        }
        let end = match read {
            Ok(end) => end,
            Err(error) => return Err(Error::not_a_table(&service, words_of(error, &service))),
        };
        if !seen.get() {
            return Err(Error::not_a_table(&service, "a document without a table"));
        }
        let overflow = status.overflow()
            || end.query_status.as_deref().is_some_and(|s| s.trim_start().to_ascii_uppercase().starts_with("OVERFLOW"));
        // A server that ends the connection in silence: the document has no end.
        if end.truncated && !overflow && !cut.get() && !gzip && body.ended && !ends_like_a_votable(&body.tail) {
            return Err(Error::CutOff { service, rows: 0 });
        }
        let mut warnings = end.warnings;
        warnings.extend(status.errors);
        Ok(ReadEnd { truncated: cut.get() || overflow || end.truncated, warnings })
    }

    pub(crate) fn search_vo(&self, request: &Request, cancelled: Cancelled, out: &Out) -> Result<Answer> {
        match request {
            Request::Tap { base, adql, asynchronous, max_rows, uploads } => {
                let base = tap_base(base);
                if adql.trim().is_empty() {
                    return Err(Error::Unsupported { service: base, what: "the query is empty".into() });
                }
                if let Some(job) = job_address(adql) {
                    self.tap_job(job, *max_rows, cancelled, out)
                } else if *asynchronous {
                    self.tap_async(&base, adql, *max_rows, uploads, cancelled, out)
                } else {
                    self.tap_sync(&base, adql, *max_rows, uploads, cancelled, out)
                }
            }
            Request::Cone { base, ra_deg, dec_deg, radius_deg, max_rows } => {
                check_position(*ra_deg, *dec_deg, *radius_deg)?;
                let pairs = vec![("RA", ra_deg.to_string()), ("DEC", dec_deg.to_string()), ("SR", radius_deg.to_string())];
                self.simple_get(base, pairs, *max_rows, cancelled, out)
            }
            Request::Sia { base, ra_deg, dec_deg, radius_deg, max_rows } => {
                check_position(*ra_deg, *dec_deg, *radius_deg)?;
                let pairs = if is_sia2(base) {
                    vec![("POS", format!("CIRCLE {ra_deg} {dec_deg} {radius_deg}"))]
                } else {
                    vec![
                        ("POS", format!("{ra_deg},{dec_deg}")),
                        ("SIZE", (2.0 * radius_deg).to_string()),
                        ("FORMAT", "ALL".into()),
                    ]
                };
                self.simple_get(base, pairs, *max_rows, cancelled, out)
            }
            Request::Ssa { base, ra_deg, dec_deg, radius_deg, max_rows } => {
                check_position(*ra_deg, *dec_deg, *radius_deg)?;
                let pairs = vec![
                    ("REQUEST", "queryData".into()),
                    ("POS", format!("{ra_deg},{dec_deg}")),
                    ("SIZE", (2.0 * radius_deg).to_string()),
                ];
                self.simple_get(base, pairs, *max_rows, cancelled, out)
            }
            Request::Sia2 { .. } => self.search_sia2(request, cancelled, out),
            Request::DataLink { url, ids } => self.search_datalink(url, ids, cancelled, out),
            Request::Registry { .. } => self.search_registry(request, cancelled, out),
            _ => Err(Error::Unsupported { service: "The Virtual Observatory".into(), what: "this is a request to MAST".into() }),
        }
    }

    /// Cone, SIA and SSA: one GET with the parameters behind the base address.
    pub(crate) fn simple_get(
        &self,
        base: &str,
        mut pairs: Vec<(&str, String)>,
        max_rows: Option<usize>,
        cancelled: Cancelled,
        out: &Out,
    ) -> Result<Answer> {
        if let Some(max) = max_rows {
            pairs.push(("MAXREC", max.to_string()));
        }
        let mut url = self.http.url(&base.replace("&amp;", "&"))?;
        // The base may hold parameters already; ours replace those of the same name.
        let kept: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(k, _)| !k.is_empty() && !pairs.iter().any(|(p, _)| p.eq_ignore_ascii_case(k)))
            .map(|(k, v)| (k.into_owned(), v.into_owned()))
            .collect();
        let text = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("&");
        {
            let mut query = url.query_pairs_mut();
            query.clear().extend_pairs(kept).extend_pairs(pairs);
        }
        let mut answer = Answer { text, url: url.to_string(), ..Answer::default() };
        let response = self.http.send(&Call::get(url).accept("application/x-votable+xml, text/xml, */*"), cancelled)?;
        let end = self.read_answer(response, max_rows, cancelled, out)?;
        answer.truncated = end.truncated;
        answer.warnings = end.warnings;
        Ok(answer)
    }

    /// The form of a query, multipart where tables go along.
    pub(crate) fn tap_call(
        &self,
        url: Url,
        adql: &str,
        max_rows: Option<usize>,
        uploads: &[(String, PathBuf)],
        cancelled: Cancelled,
    ) -> Result<Call> {
        let max = max_rows.map(|m| m.to_string());
        let mut fields = vec![("REQUEST", "doQuery"), ("LANG", "ADQL"), ("RESPONSEFORMAT", "votable"), ("QUERY", adql)];
        if let Some(max) = &max {
            fields.push(("MAXREC", max));
        }
        let accept = "application/x-votable+xml, text/xml, */*";
        if uploads.is_empty() {
            return Ok(Call::post_form(url, &fields).accept(accept));
        }
        let mut tables = Vec::new();
        for (name, path) in uploads {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
            let head = String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]).into_owned();
            if !head.contains("VOTABLE") {
                let what = format!("{} is no VOTable; save the table as VOTable first", path.display());
                return Err(Error::Unsupported { service: "TAP upload".into(), what });
            }
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let what = format!("'{name}' cannot name an uploaded table; use letters, digits and _");
                return Err(Error::Unsupported { service: "TAP upload".into(), what });
            }
            tables.push((name.clone(), bytes));
        }
        let mut boundary = String::from("asterism-part-0");
        for n in 1.. {
            if !tables.iter().any(|(_, b)| contains(b, boundary.as_bytes())) && !adql.contains(&boundary) {
                break;
            }
            boundary = format!("asterism-part-{n}");
        }
        let mut body = Vec::new();
        for (key, value) in &fields {
            body.extend(
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{key}\"\r\n\r\n{value}\r\n").into_bytes(),
            );
        }
        for (i, (name, bytes)) in tables.iter().enumerate() {
            let upload =
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"UPLOAD\"\r\n\r\n{name},param:table{i}\r\n");
            body.extend(upload.into_bytes());
            let part = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"table{i}\"; filename=\"{name}.vot\"\r\nContent-Type: application/x-votable+xml\r\n\r\n"
            );
            body.extend(part.into_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend(format!("--{boundary}--\r\n").into_bytes());
        let mut call = Call::get(url).accept(accept);
        call.method = Method::POST;
        call.body = Some((format!("multipart/form-data; boundary={boundary}"), body));
        Ok(call)
    }

    fn tap_sync(
        &self,
        base: &str,
        adql: &str,
        max_rows: Option<usize>,
        uploads: &[(String, PathBuf)],
        cancelled: Cancelled,
        out: &Out,
    ) -> Result<Answer> {
        let url = self.http.url(&format!("{base}/sync"))?;
        let call = self.tap_call(url.clone(), adql, max_rows, uploads, cancelled)?;
        let response = self.http.send(&call, cancelled)?;
        let end = self.read_answer(response, max_rows, cancelled, out)?;
        Ok(Answer {
            text: adql.into(),
            url: url.to_string(),
            truncated: end.truncated,
            warnings: end.warnings,
            ..Answer::default()
        })
    }

    pub(crate) fn count_vo(&self, request: &Request, cancelled: Cancelled) -> Result<u64> {
        let Request::Tap { base, adql, uploads, .. } = request else {
            return Err(Error::Unsupported {
                service: "This service".into(),
                what: "only MAST and TAP can count before sending rows".into(),
            });
        };
        let inner = adql.trim().trim_end_matches(';');
        let query = format!("SELECT COUNT(*) AS n FROM ({inner}) AS q");
        let mut count = None;
        let mut on = |event: Event| {
            if let Event::Rows(table) = event {
                count = count.or_else(|| table.f64s(&table.columns().first()?.name).ok()?.first().copied());
            }
        };
        let base = tap_base(base);
        self.tap_sync(&base, &query, None, uploads, cancelled, &Out::new(&mut on))?;
        count.filter(|n| *n >= 0.0).map(|n| n as u64).ok_or_else(|| Error::not_a_table(&base, "an answer without a count"))
    }

    /// One query, all rows in one table.
    fn query(&self, base: &str, adql: &str, max_rows: usize, cancelled: Cancelled) -> Result<(Table, bool)> {
        let mut all: Option<Table> = None;
        let mut failed = None;
        let mut on = |event: Event| {
            if let Event::Rows(table) = event {
                match &mut all {
                    None => all = Some(table),
                    Some(all) => failed = all.append(&table).err().or(failed.take()),
                }
            }
        };
        let answer = self.tap_sync(base, adql, Some(max_rows), &[], cancelled, &Out::new(&mut on))?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        Ok((all.unwrap_or_default(), answer.truncated))
    }

    /// The tables and columns of a TAP service, by a query to TAP_SCHEMA; from its VOSI document where that fails.
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn tap_tables(&self, base: &str, cancelled: &dyn Fn() -> bool) -> Result<TapSchema> {
        let base = tap_base(base);
        match self.tap_schema(&base, cancelled) {
            Ok(schema) if !schema.tables.is_empty() => Ok(schema),
            Err(Error::Cancelled) => Err(Error::Cancelled),
            first => match self.vosi_tables(&base, cancelled) {
                Ok(schema) => Ok(schema),
                Err(Error::Cancelled) => Err(Error::Cancelled),
                // The one that says more than that there is nothing of the kind here.
                Err(second @ (Error::NotATable { .. } | Error::Status { .. })) => Err(first.err().unwrap_or(second)),
                Err(second) => Err(second),
            },
        }
    }

    fn tap_schema(&self, base: &str, cancelled: Cancelled) -> Result<TapSchema> {
        let text = |table: &Table, name: &str| -> Vec<String> {
            let strings = table.strings(name).unwrap_or_else(|_| vec![None; table.rows()]);
            strings.into_iter().map(|v| squeeze(&v.unwrap_or_default())).collect()
        };
        let (tables, _) = self.query(base, "SELECT table_name, description FROM TAP_SCHEMA.tables", 100_000, cancelled)?;
        let columns_query = "SELECT table_name, column_name, datatype, unit, ucd, description FROM TAP_SCHEMA.columns";
        let (columns, _) = self.query(base, columns_query, 200_000, cancelled)?;
        let mut schema = TapSchema::default();
        let mut at = std::collections::HashMap::new();
        for (name, description) in text(&tables, "table_name").into_iter().zip(text(&tables, "description")) {
            if !name.is_empty() && !at.contains_key(&name) {
                at.insert(name.clone(), schema.tables.len());
                schema.tables.push(TapTable { name, description, columns: Vec::new() });
            }
        }
        let (owner, name) = (text(&columns, "table_name"), text(&columns, "column_name"));
        let (kind, unit) = (text(&columns, "datatype"), text(&columns, "unit"));
        let (ucd, about) = (text(&columns, "ucd"), text(&columns, "description"));
        for i in 0..columns.rows() {
            let index = *at.entry(owner[i].clone()).or_insert_with(|| {
                schema.tables.push(TapTable { name: owner[i].clone(), ..TapTable::default() });
                schema.tables.len() - 1
            });
            schema.tables[index].columns.push(TapColumn {
                name: name[i].clone(),
                datatype: kind[i].clone(),
                unit: unit[i].clone(),
                ucd: ucd[i].clone(),
                description: about[i].clone(),
            });
        }
        Ok(schema)
    }

    fn vosi_tables(&self, base: &str, cancelled: Cancelled) -> Result<TapSchema> {
        let url = self.http.url(&format!("{base}/tables"))?;
        let response = self.http.send(&Call::get(url).accept("application/xml, text/xml, */*"), cancelled)?;
        let service = response.service.clone();
        let bytes = self.http.read_all(response, 256 << 20, cancelled)?;
        let text = String::from_utf8_lossy(&bytes);
        let schema = parse_tableset(&text);
        if !schema.tables.is_empty() && !is_whole_xml(&text) {
            return Err(Error::CutOff { service, rows: 0 });
        }
        if schema.tables.is_empty() {
            return Err(Error::not_a_table(
                &service,
                format!("no list of its tables, {}", describe_other(&bytes[..bytes.len().min(4096)])),
            ));
        }
        Ok(schema)
    }
}

/// Base of a TAP service from what a person may paste: with `/sync`, `/async`, `/tables` or a slash at the end.
pub(crate) fn tap_base(base: &str) -> String {
    let mut base = base.trim().trim_end_matches(['/', '?']);
    for end in ["/sync", "/async", "/tables", "/capabilities", "/availability"] {
        base = base.strip_suffix(end).unwrap_or(base);
    }
    base.trim_end_matches('/').into()
}

fn is_sia2(base: &str) -> bool {
    let lower = base.to_ascii_lowercase();
    ["sia2", "siav2", "sia/v2", "v2query", "sia-2", "siap2"].iter().any(|w| lower.contains(w))
}

pub(crate) fn trim(url: &Url) -> String {
    url.as_str().trim_end_matches('/').into()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|w| w == part)
}

fn ends_like_a_votable(tail: &[u8]) -> bool {
    String::from_utf8_lossy(tail).to_ascii_uppercase().contains("VOTABLE>")
}

/// The reader's complaint without the name of the service, which our sentence has already.
fn words_of(error: asterism_data::Error, service: &str) -> String {
    let text = error.to_string();
    let text = text.strip_prefix(service).map_or(text.as_str(), |t| t.trim_start_matches([':', ' ']));
    format!("something that {text}")
}

pub(crate) fn add_text(words: &mut String, event: &Xml) {
    match event {
        Xml::Text(t) => words.push_str(&t.xml10_content()),
        Xml::CData(t) => words.push_str(&t.xml10_content()),
        Xml::GeneralRef(r) => match r.resolve_char_ref() {
            Ok(Some(c)) => words.push(c),
            _ => words.push_str(&crate::text::unescape(&format!("&{};", r.xml10_content()))),
        },
        _ => {}
    }
}

/// Reads a VOSI tableset (also `nrows`, ESA's attributes and unbound prefixes, which are passed over).
pub fn parse_tableset(text: &str) -> TapSchema {
    let mut schema = TapSchema::default();
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_end_names = false;
    let mut path: Vec<String> = Vec::new();
    let mut words = String::new();
    loop {
        match reader.read_event() {
            Ok(Xml::Start(tag)) => {
                let name = tag.local_name().as_ref().to_string();
                match name.as_str() {
                    "table" => schema.tables.push(TapTable::default()),
                    "column" if path.last().is_some_and(|p| p == "table") => {
                        if let Some(table) = schema.tables.last_mut() {
                            table.columns.push(TapColumn::default());
                        }
                    }
                    _ => {}
                }
                words.clear();
                path.push(name);
            }
            Ok(Xml::End(_)) => {
                let parent = path.len().checked_sub(2).map(|i| path[i].as_str());
                let text = squeeze(&words);
                if let Some(table) = schema.tables.last_mut() {
                    match (parent, path.last().map(String::as_str)) {
                        (Some("table"), Some("name")) => table.name = text,
                        (Some("table"), Some("description")) => table.description = text,
                        (Some("column"), Some(what)) => {
                            if let Some(column) = table.columns.last_mut() {
                                match what {
                                    "name" => column.name = text,
                                    "description" => column.description = text,
                                    "unit" => column.unit = text,
                                    "ucd" => column.ucd = text,
                                    "dataType" => column.datatype = text,
                                    _ => {}
                                }
                            }
                        }
                        _ => {}
                    }
                }
                path.pop();
                words.clear();
            }
            Ok(Xml::Eof) | Err(_) => break,
            Ok(event) => add_text(&mut words, &event),
        }
    }
    schema.tables.retain(|t| !t.name.is_empty());
    schema
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bases_are_read_as_people_paste_them() {
        for text in ["http://x/tap", "http://x/tap/", "http://x/tap/sync", " http://x/tap/async/ ", "http://x/tap/tables?"] {
            assert_eq!(tap_base(text), "http://x/tap");
        }
        assert!(is_sia2("https://ws.cadc-ccda.hia-iha.nrc-cnrc.gc.ca/argus/sia2/v2query"));
        assert!(!is_sia2("https://irsa.ipac.caltech.edu/cgi-bin/2MASS/IM/nph-im_sia?type=at&ds=asky&"));
    }
}
