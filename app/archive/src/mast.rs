//! MAST: the portal API, its catalogues, products, counts, and the name resolver.
//!
//! The portal answers at once or says EXECUTING; then the byte-identical request is sent again until it has the result. Pages are
//! asked for one by one with the otherwise unchanged request (same cache breaker), and each goes to the caller as it comes. A small
//! page goes before them, so that rows are soon in sight. Pages of two sizes do not line up, and the portal promises no order: the
//! large pages start again from the first, and each row of the small page is dropped once where it comes again. Rows of a page that
//! still arrives are in sight before its end (`early`).
//! Units, UCDs and descriptions come from the server's columns configuration, asked once for each client after the first page;
//! without it a built-in list of the CAOM columns stands in. `em_min` and `em_max` are nm, `t_*` are MJD, `distance` is arcsec.
//! The choice not taken is MAST's TAP for everything: the portal alone knows previews and products of all missions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use asterism_data::{RowSet, Table};
use serde_json::{Value, json};

use crate::body::Body;
use crate::early::Early;
use crate::http::{Call, Cancelled, Out, percent};
use crate::json::{ColumnRule, Page};
use crate::text::{describe_other, json_message, shorten};
use crate::{Answer, Client, Error, Event, Filter, FilterValues, Request, Result, check_position};

/// A server that keeps saying EXECUTING is given up after this.
const EXECUTING_LIMIT: Duration = Duration::from_secs(600);
/// Rows of the first answer, so that something is soon to be seen; the pages after it are as large as the settings say.
const FIRST_ROWS: usize = 500;
/// Rows of one page at most.
const PAGE_ROWS: usize = 50_000;

/// Rules of columns by name.
pub(crate) type Config = HashMap<String, ColumnRule>;

/// name, unit, UCD, description
const CAOM: &[(&str, &str, &str, &str)] = &[
    ("intentType", "", "", "Whether observation is for science or calibration"),
    ("obs_collection", "", "meta.id", "Collection"),
    ("provenance_name", "", "", "Name of the pipeline or project"),
    ("instrument_name", "", "instr", "Instrument name"),
    ("project", "", "meta.title", "Processing project"),
    ("filters", "", "phys.transmission;instr.filter", "Instrument filters"),
    ("wavelength_region", "", "meta.ucd", "Energy band"),
    ("target_name", "", "meta.id", "Target name"),
    ("target_classification", "", "src.class", "Type of target"),
    ("obs_id", "", "meta.id", "Observation identifier, given by mission"),
    ("s_ra", "deg", "pos.eq.ra;meta.main", "Observation right ascension"),
    ("s_dec", "deg", "pos.eq.dec;meta.main", "Observation declination"),
    ("proposal_id", "", "meta.id;obs.proposal", "Proposal ID"),
    ("proposal_pi", "", "meta.id.PI", "Principal investigator's last name"),
    ("obs_title", "", "meta.title", "Observation description from proposal"),
    ("dataproduct_type", "", "meta.code.class", "Type of product"),
    ("calib_level", "", "meta.code.status", "Calibration level"),
    ("t_min", "d", "time.start;obs.exposure", "Observation start (MJD)"),
    ("t_max", "d", "time.end;obs.exposure", "Observation end (MJD)"),
    ("t_obs_release", "d", "time.release;meta.dataset", "Release date (MJD)"),
    ("t_exptime", "s", "time.duration;obs.exposure", "Exposure time"),
    ("em_min", "nm", "em.wl;stat.min", "Minimum wavelength"),
    ("em_max", "nm", "em.wl;stat.max", "Maximum wavelength"),
    ("s_region", "deg", "pos;obs.field", "STC-S footprint"),
    ("jpegURL", "", "meta.ref.url", "Preview image URL"),
    ("dataURL", "", "meta.ref.url", "Data URL"),
    ("dataRights", "", "", "Data rights"),
    ("mtFlag", "", "", "Moving target flag"),
    ("srcDen", "", "", "Number of catalogued objects found in observation"),
    ("obsid", "", "meta.record", "Product group ID"),
    ("obsID", "", "meta.record", "Product group ID of the observation"),
    ("objID", "", "meta.record", "Plane ID of observation at given calibration level"),
    ("distance", "arcsec", "pos.angDistance", "Separation from the searched position"),
    ("size", "byte", "phys.size;meta.file", "Size of the file"),
    ("dataURI", "", "meta.ref.uri", "Where the file is"),
    ("productFilename", "", "meta.id;meta.file", "Name of the file"),
];

/// Columns whose values are lists, with the sign between them.
const SEPARATED: &[&str] = &["obs_collection", "project", "filters", "wavelength_region", "target_classification"];

/// Columns of real numbers.
const CONTINUOUS: &[&str] = &[
    "s_ra",
    "s_dec",
    "t_min",
    "t_max",
    "t_exptime",
    "t_obs_release",
    "em_min",
    "em_max",
    "srcDen",
    "distance",
    "Tmag",
    "Teff",
    "logg",
];

impl Filter {
    /// The filter as MAST's portal takes it.
    pub fn mast_json(&self) -> Value {
        match &self.values {
            FilterValues::OneOf(list) => {
                // In a column of real numbers the portal takes ranges alone; elsewhere digits are sent as text (proposal_id).
                let numbers: Option<Vec<f64>> = list.iter().map(|v| v.parse().ok()).collect();
                if let Some(numbers) = numbers.filter(|_| CONTINUOUS.contains(&self.name.as_str())) {
                    let ranges: Vec<Value> = numbers.iter().map(|v| json!({"min": v, "max": v})).collect();
                    return json!({"paramName": self.name, "values": ranges});
                }
                let mut filter = json!({"paramName": self.name, "values": list});
                if SEPARATED.contains(&self.name.as_str()) {
                    filter["separator"] = json!(";");
                }
                filter
            }
            FilterValues::Range { min, max } => json!({
                "paramName": self.name,
                "values": [{"min": min.unwrap_or(-1.0e99), "max": max.unwrap_or(1.0e99)}],
            }),
            FilterValues::Like(pattern) => json!({
                "paramName": self.name, "values": [], "freeText": pattern.replace('*', "%"),
            }),
        }
    }
}

/// One question to the portal, page by page.
pub(crate) struct Invoke {
    pub service: String,
    pub params: Value,
    /// Name of the columns configuration.
    pub config: &'static str,
    /// Exactly so many rows means that there are more.
    pub cap: Option<usize>,
}

pub(crate) fn filters_json(filters: &[Filter]) -> Value {
    Value::Array(filters.iter().map(Filter::mast_json).collect())
}

fn invoke_of(request: &Request, count: bool, catalog_rows: usize) -> Result<Invoke> {
    let columns = if count { "COUNT_BIG(*)" } else { "*" };
    let caom = "Mast.Caom.Cone";
    Ok(match request {
        Request::MastCone { ra_deg, dec_deg, radius_deg, .. } => {
            check_position(*ra_deg, *dec_deg, *radius_deg)?;
            if count {
                let position = format!("{ra_deg}, {dec_deg}, {radius_deg}");
                let params = json!({"columns": columns, "filters": [], "position": position});
                Invoke { service: "Mast.Caom.Filtered.Position".into(), params, config: caom, cap: None }
            } else {
                let params = json!({"ra": ra_deg, "dec": dec_deg, "radius": radius_deg});
                Invoke { service: caom.into(), params, config: caom, cap: None }
            }
        }
        Request::MastFiltered { filters, position: None, .. } => {
            if filters.is_empty() {
                return Err(Error::Unsupported {
                    service: "MAST".into(),
                    what: "a search needs at least one filter or a position".into(),
                });
            }
            let params = json!({"columns": columns, "filters": filters_json(filters)});
            Invoke { service: "Mast.Caom.Filtered".into(), params, config: caom, cap: None }
        }
        Request::MastFiltered { filters, position: Some((ra, dec, radius)), .. } => {
            check_position(*ra, *dec, *radius)?;
            let params =
                json!({"columns": columns, "filters": filters_json(filters), "position": format!("{ra}, {dec}, {radius}")});
            Invoke { service: "Mast.Caom.Filtered.Position".into(), params, config: caom, cap: None }
        }
        Request::MastCatalog { catalog, ra_deg, dec_deg, radius_deg, filters, max_rows } => {
            check_position(*ra_deg, *dec_deg, *radius_deg)?;
            let place = json!({"ra": ra_deg, "dec": dec_deg, "radius": radius_deg});
            let plain = |service: &str, config| Invoke { service: service.into(), params: place.clone(), config, cap: None };
            let name = catalog.trim().to_ascii_lowercase();
            let invoke = match name.as_str() {
                "tic" | "ctl" if count || !filters.is_empty() => {
                    let table = if name == "tic" { "Tic" } else { "Ctl" };
                    let rows = if count { "" } else { ".Rows" };
                    return Ok(Invoke {
                        service: format!("Mast.Catalogs.Filtered.{table}.Position{rows}"),
                        params: json!({"columns": columns, "filters": filters_json(filters), "ra": ra_deg, "dec": dec_deg, "radius": radius_deg}),
                        config: "Mast.Catalogs.Tess.Cone",
                        cap: None,
                    });
                }
                "tic" => plain("Mast.Catalogs.Tic.Cone", "Mast.Catalogs.Tess.Cone"),
                "ctl" => plain("Mast.Catalogs.Ctl.Cone", "Mast.Catalogs.Tess.Cone"),
                "gaiadr3" | "gaia" => plain("Mast.Catalogs.GaiaDR3.Cone", ""),
                "gaiadr2" => plain("Mast.Catalogs.GaiaDR2.Cone", ""),
                "gaiadr1" => plain("Mast.Catalogs.GaiaDR1.Cone", ""),
                "plato" => plain("Mast.Catalogs.Plato.Cone", ""),
                "diskdetective" => plain("Mast.Catalogs.DiskDetective.Cone", "Mast.Catalogs.Dd.Cone"),
                "hsc" | "galex" => {
                    let cap = max_rows.map_or(catalog_rows, |m| m.clamp(1, catalog_rows));
                    let mut params = place.clone();
                    let service = if name == "hsc" {
                        params["nr"] = json!(cap);
                        params["ni"] = json!(1);
                        params["magtype"] = json!(1);
                        "Mast.Hsc.Db.v3"
                    } else {
                        params["maxrecords"] = json!(cap);
                        "Mast.Galex.Catalog"
                    };
                    Invoke { service: service.into(), params, config: "", cap: Some(cap) }
                }
                other => {
                    return Err(Error::Unsupported {
                        service: "MAST".into(),
                        what: format!("there is no catalogue '{other}' here; try tic, ctl, hsc, gaiadr3 or panstarrs"),
                    });
                }
            };
            if !filters.is_empty() {
                return Err(Error::Unsupported {
                    service: "MAST".into(),
                    what: format!("the catalogue {name} takes no filters; leave them out, or use its TAP service"),
                });
            }
            if count {
                return Err(Error::Unsupported {
                    service: "MAST".into(),
                    what: format!("the catalogue {name} cannot be counted"),
                });
            }
            invoke
        }
        Request::Portal { service, position, filters, max_rows, .. } => {
            crate::portal::invoke_of(service, *position, filters, *max_rows, count)?
        }
        _ => return Err(Error::Unsupported { service: "MAST".into(), what: "this is a request for another service".into() }),
    })
}

/// The word for a question to the portal whose service is named as MAST's own API names it (`Mast.Catalogs.Tic.Cone`, with or
/// without `Mast.`, any case): a catalogue's name, or nothing for the observations themselves (`Mast.Caom.Cone`, `Mast.Caom.Filtered`).
/// None for any other name.
#[must_use]
pub fn word_of(service: &str) -> Option<&'static str> {
    let name = service.trim().to_ascii_lowercase();
    Some(match name.strip_prefix("mast.").unwrap_or(&name) {
        "caom.cone" | "caom.filtered" | "caom.filtered.position" => "",
        "catalogs.tic.cone" | "catalogs.tess.cone" | "catalogs.filtered.tic" | "catalogs.filtered.tic.position" => "tic",
        "catalogs.ctl.cone" | "catalogs.filtered.ctl" | "catalogs.filtered.ctl.position" => "ctl",
        "catalogs.gaiadr3.cone" => "gaiadr3",
        "catalogs.gaiadr2.cone" => "gaiadr2",
        "catalogs.gaiadr1.cone" => "gaiadr1",
        "catalogs.plato.cone" => "plato",
        "catalogs.diskdetective.cone" | "catalogs.dd.cone" => "diskdetective",
        "hsc.db.v3" => "hsc",
        "galex.catalog" => "galex",
        _ => return None,
    })
}

/// A string that no other question of any client has.
pub(crate) fn cache_breaker() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros());
    format!("asterism-{now}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Rows of an answer of MAST's portal, missions or catalogs (JSON) that was kept, as a table; a broken answer gives the rows before
/// the break and a warning.
///
/// # Errors
/// When its columns cannot be put together.
pub fn parse_answer(name: &str, bytes: &[u8]) -> Result<asterism_data::Table> {
    let mut page = Page::default();
    let broken = page.read(bytes).err();
    let mut table = page.table(name, &|_| ColumnRule::default())?;
    table.warnings.extend(broken.map(|e| format!("{name}: the answer breaks off or is no JSON of MAST: {e}")));
    Ok(table)
}

impl Client {
    /// One page. The whole request is decided by the caller; EXECUTING is answered with the same bytes.
    pub(crate) fn invoke(
        &self,
        text: &str,
        cancelled: Cancelled,
        out: Option<&Out>,
        on_cut: &dyn Fn(Page) -> Result<()>,
        early: &dyn Fn(Page) -> Option<Table>,
    ) -> Result<Page> {
        let url = self.http.url(&format!("{}/api/v0/invoke", self.services().mast.trim_end_matches('/')))?;
        let service = self.http.service_name(&url);
        let call = Call::post_form(url, &[("request", text)]).accept("text/plain");
        let start = Instant::now();
        let mut wait = 0.2;
        loop {
            let response = self.http.send(&call, cancelled)?;
            let page = RefCell::new(Page::default());
            let early = Early::new(out, early);
            let looks = || {
                early.look(&page);
                cancelled()
            };
            let mut body = Body::new(&self.http, response, &looks, out);
            let head = body.peek();
            if let Some(error) = body.failed.take() {
                return Err(error);
            }
            if head.first() != Some(&b'{') {
                let mut rest = Vec::new();
                let _ = std::io::Read::read_to_end(&mut std::io::Read::take(&mut body, 65_536), &mut rest);
                return Err(Error::not_a_table(&service, describe_other(&rest)));
            }
            let read = Page::read_shared(&page, std::io::BufReader::with_capacity(1 << 16, &mut body));
            let page = page.take();
            if let Err(error) = read {
                let cut = Error::CutOff { service: service.clone(), rows: 0 };
                let failed = match body.failed.take() {
                    Some(failed) => failed,
                    None if error.is_eof() => cut,
                    None => {
                        let what =
                            format!("JSON that cannot be read ({error}): {}", shorten(&String::from_utf8_lossy(&head), 120));
                        return Err(Error::not_a_table(&service, what));
                    }
                };
                if page.rows() > 0 && !matches!(page.status.as_deref(), Some("ERROR")) {
                    on_cut(page)?;
                }
                return Err(failed);
            }
            match page.status.as_deref() {
                Some("EXECUTING") => {
                    if start.elapsed() > EXECUTING_LIMIT {
                        return Err(Error::Timeout { service, seconds: EXECUTING_LIMIT.as_secs_f64() });
                    }
                    if let Some(out) = out {
                        out.send(Event::Progress { stage: "waiting".into(), done: start.elapsed().as_secs(), of: None });
                    }
                    self.http.pause(Duration::from_secs_f64(wait), cancelled)?;
                    wait = (wait * 1.5_f64).min(3.0);
                }
                Some("ERROR") => {
                    let message =
                        if page.message.trim().is_empty() { "it failed and gives no reason" } else { page.message.trim() };
                    return Err(Error::service(&service, crate::text::plain_words(message, 500)));
                }
                // Some other JSON: neither rows, nor columns, nor the resolver's list.
                None if page.rows() == 0 && page.fields.is_empty() && !page.other.contains_key("resolvedCoordinate") => {
                    let text = String::from_utf8_lossy(&body.head).into_owned();
                    return Err(match json_message(&text) {
                        Some(message) => Error::service(&service, message),
                        None => Error::not_a_table(&service, describe_other(text.as_bytes())),
                    });
                }
                // The resolver leaves the status empty.
                Some("COMPLETE" | "") | None => return Ok(page),
                Some(other) => return Err(Error::service(&service, format!("unknown status '{other}' {}", page.message))),
            }
        }
    }

    pub(crate) fn invoke_text(service: &str, params: &Value, page: usize, page_size: usize, breaker: &str) -> String {
        json!({
            "service": service, "params": params, "format": "json", "page": page, "pagesize": page_size,
            "removenullcolumns": false, "timeout": 20, "cachebreaker": breaker,
        })
        .to_string()
    }

    /// The server's rules of columns, once for each client; empty when it does not answer.
    fn config(&self, name: &str, cancelled: Cancelled) -> Arc<Config> {
        if name.is_empty() {
            return Arc::default();
        }
        if let Some(known) = self.configs.lock().ok().and_then(|c| c.get(name).cloned()) {
            return known;
        }
        let fetched = self.fetch_config(name, cancelled).unwrap_or_default();
        let config = Arc::new(fetched);
        if let Ok(mut configs) = self.configs.lock() {
            configs.insert(name.into(), config.clone());
        }
        config
    }

    fn fetch_config(&self, name: &str, cancelled: Cancelled) -> Result<Config> {
        let value = self.columns_config(name, cancelled)?;
        let text = |v: &Value, key: &str| v[key].as_str().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
        let mut config = Config::new();
        for (name, v) in value.as_object().into_iter().flatten() {
            let mjd = v["isMjd"].as_bool() == Some(true) || v["unit"].as_str() == Some("MJD");
            let unit = text(v, "vot.unit").or_else(|| if mjd { Some("d".into()) } else { text(v, "unit") });
            let mut description = text(v, "vot.description").or_else(|| text(v, "text"));
            if let (true, Some(d)) = (mjd, &mut description) {
                d.push_str(" (MJD)");
            }
            let ignore = v["ignoreValue"].as_f64().or_else(|| v["ignoreValue"].as_str().and_then(|t| t.parse().ok()));
            let rule = ColumnRule {
                unit,
                ucd: text(v, "vot.ucd"),
                utype: text(v, "vot.utype"),
                description,
                ignore,
                ..ColumnRule::default()
            };
            config.insert(name.clone(), rule);
        }
        Ok(config)
    }

    /// A page as a table with units, UCDs and descriptions.
    pub(crate) fn page_table(&self, page: Page, name: &str, config: &str, cancelled: Cancelled) -> Result<Table> {
        self.table_with(page, name, config, &self.config(config, cancelled))
    }
    /// As [`Client::page_table`], with what is known of the columns and without a question about them.
    fn early_table(&self, page: Page, name: &str, config: &str) -> Result<Table> {
        let known = self.configs.lock().ok().and_then(|c| c.get(config).cloned()).unwrap_or_default();
        self.table_with(page, name, config, &known)
    }
    fn table_with(&self, page: Page, name: &str, config: &str, rules: &Config) -> Result<Table> {
        let caom = config == "Mast.Caom.Cone" || config == "Mast.Caom.Products";
        page.table(name, &|column| {
            let mut rule = rules.get(column).cloned().unwrap_or_default();
            if let Some((_, unit, ucd, description)) = CAOM.iter().find(|c| caom && c.0 == column) {
                let fill = |to: &mut Option<String>, text: &str| {
                    if to.is_none() && !text.is_empty() {
                        *to = Some(text.into());
                    }
                };
                fill(&mut rule.unit, unit);
                fill(&mut rule.ucd, ucd);
                fill(&mut rule.description, description);
            }
            rule
        })
    }

    pub(crate) fn search_mast(&self, request: &Request, cancelled: Cancelled, out: &Out) -> Result<Answer> {
        if let Request::MastCatalog { catalog, ra_deg, dec_deg, radius_deg, filters, max_rows } = request
            && matches!(catalog.trim().to_ascii_lowercase().as_str(), "panstarrs" | "ps1" | "pan-starrs")
        {
            return self.search_panstarrs((*ra_deg, *dec_deg, *radius_deg), filters, *max_rows, cancelled, out);
        }
        let invoke = invoke_of(request, false, self.services().catalog_rows.max(1))?;
        let max_rows = request.max_rows().unwrap_or(usize::MAX);
        let page_size = self.services().page_size.clamp(1, PAGE_ROWS).min(max_rows.max(1));
        // Not worth a question of its own where it is most of a page.
        let first_size = if page_size >= 2 * FIRST_ROWS { FIRST_ROWS } else { page_size };
        let breaker = cache_breaker();
        let mut answer = Answer {
            text: Self::invoke_text(&invoke.service, &invoke.params, 1, first_size, &breaker),
            url: format!("{}/api/v0/invoke", self.services().mast.trim_end_matches('/')),
            ..Answer::default()
        };
        let name = invoke.service.trim_start_matches("Mast.").to_owned();
        // Rows of the small first page that the large ones will bring again.
        let mut shown: HashMap<u64, usize> = HashMap::new();
        let sent = std::cell::Cell::new(false);
        // Whether rows had to stay out because enough are there.
        let hand_on = |page: Page, shown: &mut HashMap<u64, usize>| -> Result<bool> {
            let fresh = page.fresh(shown);
            let mut left = max_rows - out.rows();
            let keep = RowSet::from_fn(fresh.len(), |r| {
                let kept = fresh[r] && left > 0;
                left -= usize::from(kept);
                kept
            });
            let (came, kept, new) = (fresh.len(), keep.count(), fresh.iter().filter(|f| **f).count());
            let table = self.page_table(page, &name, invoke.config, cancelled)?;
            let table = if kept < came { table.take(&keep)? } else { table };
            // An empty answer still has columns.
            if kept > 0 || !sent.replace(true) {
                out.send(Event::Rows(table));
            }
            Ok(kept < new)
        };
        let mut number = 1;
        let mut asked = first_size;
        loop {
            let text = Self::invoke_text(&invoke.service, &invoke.params, number, asked, &breaker);
            let cut = std::cell::RefCell::new(&mut shown);
            let early = |page: Page| {
                let (left, fresh) = (max_rows - out.rows(), page.fresh(&mut cut.borrow().clone()));
                let keep = RowSet::from_fn(fresh.len(), |r| fresh[r]);
                let table = self.early_table(page, &name, invoke.config).ok()?;
                let table = if keep.count() < fresh.len() { table.take(&keep).ok()? } else { table };
                if table.rows() > left { table.take(&RowSet::from_fn(table.rows(), |r| r < left)).ok() } else { Some(table) }
            };
            let on_cut = |page| hand_on(page, &mut cut.borrow_mut()).map(|_| ());
            let page = self.invoke(&text, cancelled, Some(out), &on_cut, &early)?;
            let (pages, total) = (page.paging("pagesFiltered"), page.paging("rowsFiltered").or(page.paging("rowsTotal")));
            let came = page.rows();
            // Without a word on how many pages there are, a full one may not have been all.
            let small = asked < page_size && pages.map_or(came >= asked, |pages| pages > 1);
            let again = if small { page.remember() } else { HashMap::new() };
            answer.truncated |= hand_on(page, &mut shown)?;
            out.send(Event::Progress {
                stage: "rows".into(),
                done: out.rows() as u64,
                of: total.map(|t| t.min(max_rows) as u64),
            });
            let wall = self.services().portal_rows;
            if number == 1 && asked == first_size && total.is_some_and(|t| t > wall && max_rows > wall) {
                out.send(Event::Note(format!(
                    "MAST holds {} rows for this; its portal breaks off near {wall}. A smaller radius or a filter is safer",
                    total.unwrap_or(0)
                )));
            }
            if small && out.rows() < max_rows {
                asked = page_size;
                shown = again;
                continue;
            }
            let done = out.rows() >= max_rows || came == 0 || number >= pages.unwrap_or(1);
            if done {
                if let Some(total) = total.filter(|t| *t > out.rows()) {
                    answer.truncated = true;
                    if out.rows() < max_rows {
                        answer.warnings.push(format!("MAST announced {total} rows and sent {}", out.rows()));
                    }
                }
                break;
            }
            number += 1;
        }
        if let Some(cap) = invoke.cap.filter(|cap| out.rows() >= *cap) {
            answer.truncated = true;
            answer.warnings.push(format!("{name} sends at most {cap} rows here; there are likely more"));
        }
        Ok(answer)
    }

    /// catalogs.mast: rows are arrays in the order of `info`; -999 stands for no value in every column.
    fn search_panstarrs(
        &self,
        (ra, dec, radius): (f64, f64, f64),
        filters: &[Filter],
        max_rows: Option<usize>,
        cancelled: Cancelled,
        out: &Out,
    ) -> Result<Answer> {
        check_position(ra, dec, radius)?;
        let max_rows = max_rows.unwrap_or(usize::MAX);
        let page_size = self.services().page_size.clamp(1, PAGE_ROWS).min(max_rows.max(1));
        let mut url =
            self.http.url(&format!("{}/api/v0.1/panstarrs/dr2/mean.json", self.services().catalogs.trim_end_matches('/')))?;
        {
            let mut query = url.query_pairs_mut();
            for (key, value) in [("ra", ra), ("dec", dec), ("radius", radius)] {
                query.append_pair(key, &value.to_string());
            }
            for filter in filters {
                match &filter.values {
                    FilterValues::Range { min, max } => {
                        for (op, value) in [("gte", min), ("lte", max)] {
                            if let Some(value) = value {
                                query.append_pair(&format!("{}.{op}", filter.name), &value.to_string());
                            }
                        }
                    }
                    FilterValues::OneOf(list) => {
                        for value in list {
                            query.append_pair(&format!("{}.in", filter.name), value);
                        }
                    }
                    FilterValues::Like(pattern) => {
                        query.append_pair(&format!("{}.like", filter.name), pattern);
                    }
                }
            }
            query.append_pair("pagesize", &page_size.to_string());
        }
        let mut answer = Answer { text: url.query().unwrap_or("").into(), url: url.to_string(), ..Answer::default() };
        let service = self.http.service_name(&url);
        for number in 1.. {
            let mut page_url = url.clone();
            page_url.query_pairs_mut().append_pair("page", &number.to_string());
            let response = self.http.send(&Call::get(page_url).accept("application/json"), cancelled)?;
            let page = RefCell::new(Page::default());
            let left = max_rows - out.rows();
            let shown = |page: Page| {
                let table = panstarrs_table(page).ok()?;
                if table.rows() > left { table.take(&RowSet::from_fn(table.rows(), |r| r < left)).ok() } else { Some(table) }
            };
            let early = Early::new(Some(out), &shown);
            let looks = || {
                early.look(&page);
                cancelled()
            };
            let mut body = Body::new(&self.http, response, &looks, Some(out));
            let head = body.peek();
            if head.first() != Some(&b'{') {
                return Err(body.failed.take().unwrap_or_else(|| Error::not_a_table(&service, describe_other(&head))));
            }
            let read = Page::read_shared(&page, std::io::BufReader::with_capacity(1 << 16, &mut body));
            let page = page.take();
            let failed = match (read, body.failed.take()) {
                (_, Some(failed)) => Some(failed),
                (Err(e), None) if e.is_eof() => Some(Error::CutOff { service: service.clone(), rows: 0 }),
                (Err(e), None) => return Err(Error::not_a_table(&service, format!("JSON that cannot be read ({e})"))),
                (Ok(()), None) => None,
            };
            if failed.is_none()
                && page.fields.is_empty()
                && page.rows() == 0
                && let Some(message) = json_message(&String::from_utf8_lossy(&body.head))
            {
                return Err(Error::service(&service, message));
            }
            let came = page.rows();
            let table = panstarrs_table(page)?;
            let cut = table.rows() > left;
            let table = if cut { table.take(&RowSet::from_fn(table.rows(), |r| r < left))? } else { table };
            if table.rows() > 0 || number == 1 {
                out.send(Event::Rows(table));
            }
            if let Some(failed) = failed {
                return Err(failed);
            }
            answer.truncated = cut || (out.rows() >= max_rows && came >= page_size);
            if came < page_size || out.rows() >= max_rows {
                break;
            }
        }
        Ok(answer)
    }

    pub(crate) fn count_mast(&self, request: &Request, cancelled: Cancelled) -> Result<u64> {
        let invoke = invoke_of(request, true, 1)?;
        let text = Self::invoke_text(&invoke.service, &invoke.params, 1, 1000, &cache_breaker());
        let page = self.invoke(&text, cancelled, None, &|_| Ok(()), &|_| None)?;
        page.first_integer()
            .and_then(|n| u64::try_from(n).ok())
            .ok_or_else(|| Error::not_a_table("MAST", "an answer without a count"))
    }

    /// The files behind observations, each once, by `obsid` (the number, not the text `obs_id`). Batches of 500.
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn products(&self, obsids: &[i64], cancelled: &dyn Fn() -> bool) -> Result<Table> {
        let mut all = Table::default();
        for batch in obsids.chunks(500) {
            let ids = batch.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
            let params = json!({"obsid": ids});
            let breaker = cache_breaker();
            let page_size = self.services().page_size.clamp(1, PAGE_ROWS);
            let mut number = 1;
            loop {
                let text = Self::invoke_text("Mast.Caom.Products", &params, number, page_size, &breaker);
                let page = self.invoke(&text, cancelled, None, &|_| Ok(()), &|_| None)?;
                let (pages, came) = (page.paging("pagesFiltered").unwrap_or(1), page.rows());
                all.append(&self.page_table(page, "Caom.Products", "Mast.Caom.Products", cancelled)?)?;
                if number >= pages || came == 0 {
                    break;
                }
                number += 1;
            }
        }
        if all.column_index("dataURI").is_none() {
            return Ok(all);
        }
        // The same file lies under several observations.
        let mut seen = std::collections::HashSet::new();
        let keep: Vec<bool> = all.strings("dataURI")?.into_iter().map(|uri| uri.is_none_or(|uri| seen.insert(uri))).collect();
        if keep.iter().all(|k| *k) {
            return Ok(all);
        }
        Ok(all.take(&RowSet::from_fn(keep.len(), |r| keep[r]))?)
    }

    /// Where the bytes of a product are: `mast:` URIs go through MAST's download service.
    pub fn download_url(&self, uri: &str) -> String {
        let uri = uri.trim();
        if uri.get(..5).is_some_and(|s| s.eq_ignore_ascii_case("mast:")) {
            let base = self.services().mast.trim_end_matches('/');
            return format!("{base}/api/v0.1/Download/file?uri={}", percent(uri, ":/"));
        }
        uri.into()
    }
}

/// A page of catalogs.mast with units and UCDs.
fn panstarrs_table(page: Page) -> Result<Table> {
    page.table("panstarrs.dr2.mean", &|column| ColumnRule {
        unit: match column {
            "raMean" | "decMean" | "raStack" | "decStack" | "lambda" | "beta" | "l" | "b" | "ra" | "dec" => Some("deg".into()),
            c if c.ends_with("Mag") || c.ends_with("MagErr") || c.ends_with("MagStd") => Some("mag".into()),
            _ => None,
        },
        ucd: match column {
            "objID" => Some("meta.id;meta.main".into()),
            "raMean" => Some("pos.eq.ra;meta.main".into()),
            "decMean" => Some("pos.eq.dec;meta.main".into()),
            _ => None,
        },
        minus_999: true,
        ..ColumnRule::default()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn filters_take_the_portals_form() {
        let json = |t: &str| t.parse::<Filter>().unwrap().mast_json().to_string();
        assert_eq!(json("filters=NUV,FUV"), r#"{"paramName":"filters","values":["NUV","FUV"],"separator":";"}"#);
        assert_eq!(
            json("t_max=52264.4586..54452.8914"),
            r#"{"paramName":"t_max","values":[{"min":52264.4586,"max":54452.8914}]}"#
        );
        assert_eq!(json("obs_id=*200*"), r#"{"paramName":"obs_id","values":[],"freeText":"%200%"}"#);
        assert_eq!(json("t_exptime=100"), r#"{"paramName":"t_exptime","values":[{"min":100.0,"max":100.0}]}"#);
        assert_eq!(json("proposal_id=8880"), r#"{"paramName":"proposal_id","values":["8880"]}"#);
    }

    #[test]
    fn every_caom_column_is_named_once() {
        let mut names: Vec<_> = CAOM.iter().map(|c| c.0).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|w| w[0] != w[1]));
    }
}
