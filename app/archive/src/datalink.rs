//! DataLink and SODA: the links behind a row, and the services that cut or process its data; SIA 2 with all its parameters.
//!
//! A links document is a VOTable with one row for each link (address, service or error) and, beside the table, descriptors of
//! services. The rows are read by the reader of VOTable as everywhere; the descriptors by a walk over the document's own tags
//! (`quick-xml`, no entities, nothing fetched), since readers of tables pass them over. An address is made from a descriptor, the
//! values of a row for what refers to a column, and what the user gave; nothing that a document says is fetched without being
//! asked for. Links that lead to further links are followed to a depth of three, each document once. Cost: documents are small and
//! held whole, 64 MB at most.
//!
//! Standards: IVOA DataLink 1.1, SODA 1.0, SIA 2.0, VOSI 1.1.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use asterism_data::Table;
use quick_xml::events::{BytesStart, Event as Xml};
use serde::{Deserialize, Serialize};

use crate::body::Body;
use crate::http::{Call, Cancelled, Out};
use crate::text::{describe_other, is_whole_xml, json_message, looks_like_html, squeeze, unescape, votable_status};
use crate::{Answer, Client, Error, Request, Result, check_position};

/// Largest links document.
const DOCUMENT_BYTES: usize = 64 << 20;
/// Media type of a document of links.
pub const DATALINK_TYPE: &str = "application/x-votable+xml;content=datalink";
/// Links documents that lead to links documents: so deep and no deeper.
const DEEPEST: usize = 3;

/// Terms below `#preview` and their like in the vocabulary of DataLink: child, parent.
const CHILDREN: &[(&str, &str)] = &[
    ("#preview-image", "#preview"),
    ("#preview-plot", "#preview"),
    ("#thumbnail", "#preview"),
    ("#bias", "#calibration"),
    ("#dark", "#calibration"),
    ("#flat", "#calibration"),
    ("#weight", "#auxiliary"),
    ("#error", "#auxiliary"),
    ("#noise", "#auxiliary"),
    ("#cutout", "#proc"),
];

/// One link: exactly one of address, service and error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Of the data set.
    pub id: String,
    /// Where the bytes are.
    pub access_url: String,
    /// `ID` of the service in the same document.
    pub service_def: String,
    /// Why there is neither.
    pub error_message: String,
    /// For a person.
    pub description: String,
    /// `#this`, `#preview`, `#cutout`, ...
    pub semantics: String,
    /// Media type.
    pub content_type: String,
    /// Bytes, if said.
    pub content_length: Option<u64>,
}

impl Link {
    /// Whether it means this term or one below it: `#preview-image` is a `#preview`.
    pub fn is(&self, term: &str) -> bool {
        let own = self.semantics.rsplit_once('#').map_or(self.semantics.as_str(), |(_, t)| t);
        let term = term.trim_start_matches('#');
        let parent = || CHILDREN.iter().find(|(c, _)| c.trim_start_matches('#') == own).map(|(_, p)| p.trim_start_matches('#'));
        own == term || parent() == Some(term)
    }
    /// Whether it leads to another document of links.
    pub fn leads_on(&self) -> bool {
        self.content_type.replace(' ', "").to_ascii_lowercase().contains("content=datalink")
    }
}

/// A parameter of a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceParam {
    /// Name in the query.
    pub name: String,
    /// VOTable type.
    pub datatype: String,
    /// VOTable array size.
    pub arraysize: String,
    /// Unit.
    pub unit: String,
    /// `interval`, `circle`, `polygon`, ...
    pub xtype: String,
    /// Unified Content Descriptor.
    pub ucd: String,
    /// For a person.
    pub description: String,
    /// Fixed, where it is not empty: sent as it is.
    pub value: String,
    /// `ID` of the column whose value is sent.
    pub column: Option<String>,
    /// Smallest value.
    pub min: Option<String>,
    /// Largest value; for `circle` and `polygon` the largest shape.
    pub max: Option<String>,
    /// Values it takes, if these are all.
    pub options: Vec<String>,
}

impl ServiceParam {
    /// The user chooses it.
    pub fn is_open(&self) -> bool {
        self.value.is_empty() && self.column.is_none()
    }
}

/// A service beside a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceDescriptor {
    /// `ID` in the document.
    pub id: String,
    /// For a person.
    pub description: String,
    /// Address.
    pub access_url: String,
    /// `ivo://ivoa.net/std/SODA#sync-1.0`, ...
    pub standard_id: String,
    /// What it takes.
    pub params: Vec<ServiceParam>,
}

impl ServiceDescriptor {
    /// Whether it gives an answer at once (SODA sync) rather than making a job.
    pub fn is_sync(&self) -> bool {
        !self.standard_id.to_ascii_lowercase().contains("async")
    }
    /// Whether it lists links (and does not cut or process).
    pub fn is_links(&self) -> bool {
        self.standard_id.to_ascii_lowercase().contains("datalink#links")
    }
    /// The address with its parameters: those that are fixed, those of the row (by `ID` or name of the column), and the user's.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a parameter the service does not have, or a column the row does not have; [`Error::Network`] for
    /// an address that is none.
    pub fn address(&self, values: &[(&str, &str)], row: &dyn Fn(&str) -> Option<String>) -> Result<String> {
        let wrong = |what: String| Error::Unsupported { service: self.access_url.clone(), what };
        let mut url = reqwest::Url::parse(&self.access_url).map_err(|e| Error::Network {
            service: format!("'{}'", self.access_url),
            why: format!("this is not an address ({e})"),
            advice: "The document of links is wrong; tell its service".into(),
        })?;
        let mut pairs: Vec<(String, String)> = Vec::new();
        for param in &self.params {
            let given = values.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&param.name));
            let mut any = false;
            for (_, value) in given {
                pairs.push((param.name.clone(), (*value).into()));
                any = true;
            }
            if any {
                continue;
            }
            if let Some(column) = &param.column {
                let value = row(column).filter(|v| !v.is_empty());
                let value = value.ok_or_else(|| wrong(format!("the row has no value in '{column}', which it wants")))?;
                pairs.push((param.name.clone(), value));
            } else if !param.value.is_empty() {
                pairs.push((param.name.clone(), param.value.clone()));
            }
        }
        for (name, _) in values {
            if !self.params.iter().any(|p| p.name.eq_ignore_ascii_case(name)) {
                let known = self.params.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(wrong(format!("it takes no '{name}'; it takes {known}")));
            }
        }
        let kept: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(k, _)| !k.is_empty() && !pairs.iter().any(|(p, _)| p.eq_ignore_ascii_case(k)))
            .map(|(k, v)| (k.into_owned(), v.into_owned()))
            .collect();
        url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(pairs);
        Ok(url.to_string())
    }
    /// A cut-out by SODA: whichever of CIRCLE and POS the service takes.
    ///
    /// # Errors
    /// As [`ServiceDescriptor::address`]; [`Error::Position`].
    pub fn circle(&self, ra_deg: f64, dec_deg: f64, radius_deg: f64) -> Result<String> {
        check_position(ra_deg, dec_deg, radius_deg)?;
        let has = |name: &str| self.params.iter().any(|p| p.name.eq_ignore_ascii_case(name));
        let circle = format!("{ra_deg} {dec_deg} {radius_deg}");
        if has("CIRCLE") {
            return self.address(&[("CIRCLE", &circle)], &|_| None);
        }
        self.address(&[("POS", &format!("CIRCLE {circle}"))], &|_| None)
    }
}

/// A document of links.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataLinks {
    /// Links, in the document's order.
    pub links: Vec<Link>,
    /// Services beside them.
    pub services: Vec<ServiceDescriptor>,
}

impl DataLinks {
    /// Links of this meaning, or one below it.
    pub fn of<'a>(&'a self, term: &'a str) -> impl Iterator<Item = &'a Link> {
        self.links.iter().filter(move |l| l.is(term))
    }
    /// The service of a link.
    pub fn service(&self, link: &Link) -> Option<&ServiceDescriptor> {
        self.services.iter().find(|s| !s.id.is_empty() && s.id == link.service_def)
    }
}

/// The descriptors of services in a VOTable (`RESOURCE type="meta" utype="adhoc:service"`); what cannot be read is left out.
pub fn parse_service_descriptors(text: &str) -> Vec<ServiceDescriptor> {
    let mut found: Vec<ServiceDescriptor> = Vec::new();
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_end_names = false;
    // Depth of the RESOURCE of the service, of its group of inputs, of the PARAM that is open.
    let (mut depth, mut service, mut group, mut param) = (0_usize, None, None, None);
    let mut words = String::new();
    loop {
        let (tag, empty) = match reader.read_event() {
            Ok(Xml::Start(tag)) => (tag, false),
            Ok(Xml::Empty(tag)) => (tag, true),
            Ok(Xml::End(tag)) => {
                if tag.local_name().as_ref() == "DESCRIPTION"
                    && let (Some(at), Some(last)) = (service, found.last_mut())
                {
                    let text = squeeze(&words);
                    match (param, last.params.last_mut()) {
                        (Some(_), Some(p)) => p.description = text,
                        _ if depth == at + 1 => last.description = text,
                        _ => {}
                    }
                }
                for open in [&mut service, &mut group, &mut param] {
                    if *open == Some(depth.saturating_sub(1)) {
                        *open = None;
                    }
                }
                depth = depth.saturating_sub(1);
                words.clear();
                continue;
            }
            Ok(Xml::Eof) | Err(_) => break,
            Ok(event) => {
                if service.is_some() {
                    crate::vo::add_text(&mut words, &event);
                }
                continue;
            }
        };
        words.clear();
        let name = tag.local_name().as_ref().to_string();
        let attributes = attributes(&tag);
        let get = |key: &str| attributes.get(key).cloned().unwrap_or_default();
        match name.as_str() {
            "RESOURCE" if service.is_none() && get("utype").to_ascii_lowercase().starts_with("adhoc:") => {
                found.push(ServiceDescriptor { id: get("ID"), ..ServiceDescriptor::default() });
                service = (!empty).then_some(depth);
            }
            "GROUP" if service.is_some() && get("name") == "inputParams" => group = (!empty).then_some(depth),
            "PARAM" if service.is_some() => {
                let Some(last) = found.last_mut() else { break };
                if group.is_some() {
                    let reference = get("ref");
                    last.params.push(ServiceParam {
                        name: get("name"),
                        datatype: get("datatype"),
                        arraysize: get("arraysize"),
                        unit: get("unit"),
                        xtype: get("xtype"),
                        ucd: get("ucd"),
                        value: get("value"),
                        column: (!reference.is_empty()).then_some(reference),
                        ..ServiceParam::default()
                    });
                    param = (!empty).then_some(depth);
                } else {
                    match get("name").as_str() {
                        "accessURL" => last.access_url = get("value").replace("&amp;", "&"),
                        "standardID" => last.standard_id = get("value"),
                        _ => {}
                    }
                }
            }
            "MIN" | "MAX" | "OPTION" if param.is_some() => {
                if let Some(p) = found.last_mut().and_then(|s| s.params.last_mut()) {
                    match name.as_str() {
                        "MIN" => p.min = Some(get("value")),
                        "MAX" => p.max = Some(get("value")),
                        _ => p.options.push(get("value")),
                    }
                }
            }
            _ => {}
        }
        if !empty {
            depth += 1;
        }
    }
    found.retain(|s| !s.access_url.is_empty());
    found
}

/// The descriptors of services in a VOTable, with the columns that they refer to (by `ID`) under the columns' names.
pub fn named_services(text: &str) -> Vec<ServiceDescriptor> {
    let mut found = parse_service_descriptors(text);
    let mut names: HashMap<String, String> = HashMap::new();
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_end_names = false;
    loop {
        match reader.read_event() {
            Ok(Xml::Start(tag) | Xml::Empty(tag)) if tag.local_name().as_ref() == "FIELD" => {
                let mut a = attributes(&tag);
                if let (Some(id), Some(name)) = (a.remove("ID"), a.remove("name")) {
                    names.insert(id, name);
                }
            }
            Ok(Xml::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    for column in found.iter_mut().flat_map(|s| &mut s.params).filter_map(|p| p.column.as_mut()) {
        if let Some(name) = names.get(column) {
            column.clone_from(name);
        }
    }
    found
}

fn attributes(tag: &BytesStart) -> HashMap<String, String> {
    tag.attributes()
        .with_checks(false)
        .flatten()
        .map(|a| (a.key.local_name().as_ref().to_string(), unescape(&a.value).trim().to_owned()))
        .collect()
}

fn links_of(table: &Table) -> Vec<Link> {
    let column = |name: &str| -> Vec<String> {
        let at = table.columns().iter().position(|c| c.name.eq_ignore_ascii_case(name));
        let strings = at.and_then(|i| table.strings(&table.columns()[i].name).ok()).unwrap_or_else(|| vec![None; table.rows()]);
        strings.into_iter().map(|v| v.unwrap_or_default().trim().to_owned()).collect()
    };
    let (id, url, service, error) = (column("ID"), column("access_url"), column("service_def"), column("error_message"));
    let (about, semantics, kind, length) =
        (column("description"), column("semantics"), column("content_type"), column("content_length"));
    (0..table.rows())
        .map(|i| Link {
            id: id[i].clone(),
            access_url: url[i].clone(),
            service_def: service[i].clone(),
            error_message: error[i].clone(),
            description: squeeze(&about[i]),
            semantics: semantics[i].clone(),
            content_type: kind[i].clone(),
            content_length: length[i].parse().ok(),
        })
        .collect()
}

impl Client {
    /// A whole VOTable of bounded size, and its text.
    fn document(&self, url: &str, cancelled: Cancelled) -> Result<(Table, String)> {
        let url = self.http.url(&url.replace("&amp;", "&"))?;
        let response = self.http.send(&Call::get(url).accept("application/x-votable+xml, text/xml, */*"), cancelled)?;
        let service = response.service.clone();
        let mut body = Body::new(&self.http, response, cancelled, None);
        body.limit = body.limit.min(DOCUMENT_BYTES as u64);
        let mut bytes = Vec::new();
        let read = std::io::Read::read_to_end(&mut body, &mut bytes);
        if let Some(failed) = body.failed.take() {
            return Err(failed);
        }
        read.map_err(|e| Error::not_a_table(&service, e.to_string()))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(message) = votable_status(&text).error_message().or_else(|| json_message(&text)) {
            return Err(Error::Service { service, message });
        }
        if !text.trim_start().starts_with('<') || looks_like_html(&bytes) {
            return Err(Error::not_a_table(&service, describe_other(&bytes[..bytes.len().min(65_536)])));
        }
        if !is_whole_xml(&text) {
            return Err(Error::CutOff { service, rows: 0 });
        }
        let mut all: Option<Table> = None;
        let end = asterism_data::read_votable_batches(bytes.as_slice(), &service, usize::MAX, &mut |table| {
            all.get_or_insert(table);
            ControlFlow::Continue(())
        });
        match (all, end) {
            (Some(table), Ok(end)) if !end.truncated => Ok((table, text)),
            (_, Err(error)) => Err(Error::not_a_table(&service, error.to_string())),
            (Some(_), _) => Err(Error::CutOff { service, rows: 0 }),
            (None, _) => Err(Error::not_a_table(&service, "a document without a table")),
        }
    }

    /// The links behind a data set, by the address of its links document (`access_url` of a row whose `access_format` is
    /// [`DATALINK_TYPE`], or one made by [`ServiceDescriptor::address`]).
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn datalink(&self, url: &str, cancelled: &dyn Fn() -> bool) -> Result<DataLinks> {
        let (table, text) = self.document(url, cancelled)?;
        Ok(DataLinks { links: links_of(&table), services: parse_service_descriptors(&text) })
    }

    /// As [`Client::datalink`], with the links that further documents of links hold in the place of the links to these
    /// (to a depth of three, each document once; one that cannot be had leaves its link with the reason).
    ///
    /// # Errors
    /// As [`Client::search`], for the first document.
    pub fn datalink_all(&self, url: &str, cancelled: &dyn Fn() -> bool) -> Result<DataLinks> {
        let mut seen = HashSet::from([url.to_owned()]);
        self.datalink_below(url, 1, &mut seen, cancelled)
    }

    fn datalink_below(&self, url: &str, depth: usize, seen: &mut HashSet<String>, cancelled: Cancelled) -> Result<DataLinks> {
        let mut all = self.datalink(url, cancelled)?;
        if depth >= DEEPEST {
            return Ok(all);
        }
        let mut links = Vec::new();
        for mut link in std::mem::take(&mut all.links) {
            // A service that lists links, with nothing left to choose, is a link to a document too.
            let further = if !link.access_url.is_empty() {
                Some(link.access_url.clone())
            } else {
                all.services
                    .iter()
                    .find(|s| s.id == link.service_def)
                    .and_then(|s| s.address(&[], &|_| Some(link.id.clone())).ok())
            };
            match further.filter(|_| link.leads_on()) {
                Some(address) if seen.insert(address.clone()) => {
                    match self.datalink_below(&address, depth + 1, seen, cancelled) {
                        Ok(below) => {
                            links.extend(below.links);
                            all.services.extend(below.services);
                        }
                        Err(Error::Cancelled) => return Err(Error::Cancelled),
                        Err(error) => {
                            link.error_message = error.to_string();
                            links.push(link);
                        }
                    }
                }
                _ => links.push(link),
            }
        }
        all.links = links;
        Ok(all)
    }

    /// The services beside the table of an answer: for the links of each row ([`ServiceDescriptor::is_links`]).
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn services_of(&self, url: &str, cancelled: &dyn Fn() -> bool) -> Result<Vec<ServiceDescriptor>> {
        self.document(url, cancelled).map(|(_, text)| parse_service_descriptors(&text))
    }

    /// The services beside the answer of a request, with the names of the columns that they take their values from: the question is
    /// asked once more for one row, as descriptors are lost when rows are read. Empty where the kind of request has none.
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn services_beside(&self, request: &Request, cancelled: &dyn Fn() -> bool) -> Result<Vec<ServiceDescriptor>> {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        let base = match request {
            Request::Tap { base, adql, uploads, .. } if uploads.is_empty() && crate::jobs::job_address(adql).is_none() => {
                pairs.extend([("REQUEST", "doQuery".to_owned()), ("LANG", "ADQL".into()), ("QUERY", adql.clone())]);
                format!("{}/sync", crate::vo::tap_base(base))
            }
            Request::Cone { base, ra_deg, dec_deg, radius_deg, .. } => {
                pairs.extend([("RA", ra_deg.to_string()), ("DEC", dec_deg.to_string()), ("SR", radius_deg.to_string())]);
                base.clone()
            }
            Request::Sia { base, ra_deg, dec_deg, radius_deg, .. } | Request::Ssa { base, ra_deg, dec_deg, radius_deg, .. } => {
                pairs.extend([("POS", format!("{ra_deg},{dec_deg}")), ("SIZE", (radius_deg * 2.0).to_string())]);
                if matches!(request, Request::Ssa { .. }) {
                    pairs.push(("REQUEST", "queryData".into()));
                }
                base.clone()
            }
            Request::Sia2 { base, position, parameters, .. } => {
                if let Some((ra, dec, radius)) = position {
                    pairs.push(("POS", format!("CIRCLE {ra} {dec} {radius}")));
                }
                pairs.extend(parameters.iter().map(|(k, v)| (k.as_str(), v.clone())));
                let end = base.trim_end_matches(['/', '?', '&']);
                if end.ends_with("/capabilities") { self.sia2_endpoint(end, cancelled)? } else { base.clone() }
            }
            _ => return Ok(Vec::new()),
        };
        pairs.push(("MAXREC", "1".into()));
        let mut url = self.http.url(&base.replace("&amp;", "&"))?;
        let kept: Vec<(String, String)> =
            url.query_pairs().filter(|(k, _)| !k.is_empty()).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(pairs);
        self.document(url.as_str(), cancelled).map(|(_, text)| named_services(&text))
    }

    pub(crate) fn search_datalink(&self, url: &str, ids: &[String], cancelled: Cancelled, out: &Out) -> Result<Answer> {
        let mut answer =
            Answer { text: if ids.is_empty() { url.into() } else { ids.join("\n") }, url: url.into(), ..Answer::default() };
        let batches: Vec<&[String]> = if ids.is_empty() { vec![&[]] } else { ids.chunks(20).collect() };
        for batch in batches {
            let pairs = batch.iter().map(|id| ("ID", id.clone())).collect();
            let part = self.simple_get(url, pairs, None, cancelled, out)?;
            answer.truncated |= part.truncated;
            answer.warnings.extend(part.warnings);
        }
        Ok(answer)
    }

    /// The address of an SIA 2 service's query, from that of its capabilities.
    ///
    /// # Errors
    /// As [`Client::search`]; [`Error::Unsupported`] when the service offers no open SIA 2.
    pub fn sia2_endpoint(&self, capabilities: &str, cancelled: &dyn Fn() -> bool) -> Result<String> {
        let url = self.http.url(capabilities)?;
        let response = self.http.send(&Call::get(url).accept("application/xml, text/xml, */*"), cancelled)?;
        let service = response.service.clone();
        let bytes = self.http.read_all(response, 16 << 20, cancelled)?;
        let text = String::from_utf8_lossy(&bytes);
        if !text.contains("capabilit") {
            return Err(Error::not_a_table(&service, describe_other(&bytes[..bytes.len().min(4096)])));
        }
        endpoint(&text, "ivo://ivoa.net/std/sia#query-2").ok_or_else(|| Error::Unsupported {
            service,
            what: "its capabilities name no SIA 2 that is open to all; try its TAP service (obscore)".into(),
        })
    }

    pub(crate) fn search_sia2(&self, request: &Request, cancelled: Cancelled, out: &Out) -> Result<Answer> {
        let Request::Sia2 { base, position, parameters, max_rows } = request else { return Err(Error::Cancelled) };
        let end = base.trim_end_matches(['/', '?', '&']);
        let base = if end.ends_with("/capabilities") { self.sia2_endpoint(end, cancelled)? } else { base.clone() };
        let mut pairs: Vec<(&str, String)> = Vec::new();
        if let Some((ra, dec, radius)) = *position {
            check_position(ra, dec, radius)?;
            pairs.push(("POS", format!("CIRCLE {ra} {dec} {radius}")));
        }
        pairs.extend(parameters.iter().map(|(name, value)| (name.as_str(), value.clone())));
        if pairs.is_empty() {
            let what = "a search of images needs a position or a parameter (BAND, TIME, COLLECTION, ...)".into();
            return Err(Error::Unsupported { service: base, what });
        }
        self.simple_get(&base, pairs, *max_rows, cancelled, out)
    }
}

/// The first open address of a capability in a VOSI document, the standard's name compared without regard to case.
pub(crate) fn endpoint(text: &str, standard: &str) -> Option<String> {
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_end_names = false;
    let (mut wanted, mut secured, mut url, mut in_url) = (false, false, String::new(), false);
    loop {
        match reader.read_event() {
            Ok(Xml::Start(tag)) => match tag.local_name().as_ref() {
                "capability" => {
                    let id = attributes(&tag).remove("standardID").unwrap_or_default().to_ascii_lowercase();
                    wanted = id.starts_with(standard);
                }
                "interface" => (secured, url) = (false, String::new()),
                "securityMethod" => secured |= attributes(&tag).contains_key("standardID"),
                "accessURL" => {
                    in_url = true;
                    url.clear();
                }
                _ => {}
            },
            Ok(Xml::Empty(tag)) => {
                if tag.local_name().as_ref() == "securityMethod" {
                    secured |= attributes(&tag).contains_key("standardID");
                }
            }
            Ok(Xml::End(tag)) => match tag.local_name().as_ref() {
                "accessURL" => in_url = false,
                "interface" if wanted && !secured && !url.trim().is_empty() => return Some(url.trim().into()),
                _ => {}
            },
            Ok(Xml::Eof) | Err(_) => return None,
            Ok(event) if in_url => crate::vo::add_text(&mut url, &event),
            Ok(_) => {}
        }
    }
}
