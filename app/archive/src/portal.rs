//! The other services of MAST's portal, by their own names: keywords of JWST's instruments, PSFs of WFC3, the TESS catalogues
//! without a place, the Hubble Source Catalog's matches, and the cross-match of a list of one's own objects.
//!
//! What a service takes is a table ([`SERVICES`]); a question becomes the parameters that the portal's own page sends. Rows are read
//! and paged as of every other service of the portal (`mast`). A list goes along as rows of an answer would (`fields`, `data`), in
//! parts of [`OBJECTS_AT_ONCE`], so that no question grows without end; what comes back has the service's columns beside those sent.
//! Two services pass on what others answer (`Vo.*`): the archives that HEASARC knows to hold something at a place, and a VOTable from
//! any address, for networks that reach MAST alone. Where it can be had, the service itself is the better door: it is asked at once
//! and says its own errors.
//!
//! Protocol: STScI MAST API `/api/v0/invoke`, "Services" and "Examples", as astroquery's `mast` speaks it.

use serde_json::{Value, json};

use crate::http::{Cancelled, Out};
use crate::mast::{Invoke, cache_breaker, filters_json};
use crate::{Answer, Client, Error, Event, Filter, FilterValues, Request, Result, check_position};

/// Objects of one question.
pub const OBJECTS_AT_ONCE: usize = 2_000;
/// Rows of one page of a cross-match.
const PAGE_ROWS: usize = 50_000;

/// What a service is asked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A place with a radius.
    Place,
    /// Conditions on its columns.
    Conditions,
    /// Conditions, and a place if wanted.
    ConditionsAndPlace,
    /// A list of objects and a radius.
    Objects,
    /// One value, given as this condition.
    One {
        /// Name of the condition.
        condition: &'static str,
        /// Name of the parameter.
        parameter: &'static str,
    },
    /// Nothing.
    Nothing,
}

/// A service of the portal.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its own name.
    pub name: &'static str,
    /// For a person.
    pub title: &'static str,
    /// What it is asked with.
    pub takes: Takes,
    /// Name of its columns configuration; empty without one.
    pub config: &'static str,
}

const fn service(name: &'static str, title: &'static str, takes: Takes) -> Service {
    Service { name, title, takes, config: "" }
}
const fn keywords(name: &'static str, title: &'static str) -> Service {
    Service { name, title, takes: Takes::Conditions, config: name }
}

/// The number of a match.
const MATCH: Takes = Takes::One { condition: "MatchID", parameter: "input" };

/// The services that have no request of their own.
pub const SERVICES: &[Service] = &[
    keywords("Mast.Jwst.Filtered.Nircam", "JWST keywords: NIRCam"),
    keywords("Mast.Jwst.Filtered.Niriss", "JWST keywords: NIRISS"),
    keywords("Mast.Jwst.Filtered.Nirspec", "JWST keywords: NIRSpec"),
    keywords("Mast.Jwst.Filtered.Miri", "JWST keywords: MIRI"),
    keywords("Mast.Jwst.Filtered.Fgs", "JWST keywords: FGS"),
    keywords("Mast.Jwst.Filtered.GuideStar", "JWST keywords: guide stars"),
    keywords("Mast.Jwst.Filtered.Wss", "JWST keywords: wavefront sensing"),
    keywords("Mast.Catalogs.Filtered.Wfc3Psf.Uvis", "WFC3 PSFs, UVIS"),
    keywords("Mast.Catalogs.Filtered.Wfc3Psf.Ir", "WFC3 PSFs, IR"),
    Service {
        name: "Mast.Catalogs.Filtered.Tic",
        title: "TESS Input Catalog, by conditions",
        takes: Takes::ConditionsAndPlace,
        config: "Mast.Catalogs.Tess.Cone",
    },
    Service {
        name: "Mast.Catalogs.Filtered.Ctl",
        title: "TESS Candidate Target List, by conditions",
        takes: Takes::ConditionsAndPlace,
        config: "Mast.Catalogs.Tess.Cone",
    },
    Service {
        name: "Mast.Catalogs.Filtered.DiskDetective",
        title: "Disk Detective, by conditions",
        takes: Takes::ConditionsAndPlace,
        config: "Mast.Catalogs.Dd.Cone",
    },
    service("Mast.Catalogs.Tgas.Cone", "Tycho-Gaia astrometric solution", Takes::Place),
    service("Mast.Hsc.Db.v2", "Hubble Source Catalog, version 2", Takes::Place),
    service("Mast.HscMatches.Db.v3", "Hubble Source Catalog: sources of a match", MATCH),
    service("Mast.HscMatches.Db.v2", "Hubble Source Catalog 2: sources of a match", MATCH),
    service("Mast.HscSpectra.Db.All", "Hubble Source Catalog: spectra", Takes::Nothing),
    service("Vo.Hesarc.DatascopeListable", "Archives with something at a place (HEASARC)", Takes::Place),
    service("Vo.Generic.Table", "A VOTable from an address, by way of MAST", Takes::One { condition: "url", parameter: "url" }),
    service("Mast.Missions.List", "Missions of the archive", Takes::Nothing),
    service("Mast.Caom.Crossmatch", "Objects of mine with observations", Takes::Objects),
    service("Mast.Tic.Crossmatch", "Objects of mine with the TIC", Takes::Objects),
    service("Mast.Ctl.Crossmatch", "Objects of mine with the CTL", Takes::Objects),
    service("Mast.GaiaDR2.Crossmatch", "Objects of mine with Gaia DR2", Takes::Objects),
    service("Mast.GaiaDR1.Crossmatch", "Objects of mine with Gaia DR1", Takes::Objects),
    service("Mast.Tgas.Crossmatch", "Objects of mine with TGAS", Takes::Objects),
    service("Mast.Galex.Crossmatch", "Objects of mine with GALEX", Takes::Objects),
    service("Mast.Sdss.Crossmatch", "Objects of mine with SDSS", Takes::Objects),
    service("Mast.2Mass.Crossmatch", "Objects of mine with 2MASS", Takes::Objects),
    service("Mast.Hsc.Crossmatch.MagAper2v3", "Objects of mine with the HSC (aperture)", Takes::Objects),
    service("Mast.Hsc.Crossmatch.MagAutov3", "Objects of mine with the HSC (automatic)", Takes::Objects),
];

/// A service by its name, with or without `Mast.` in front, in any case.
pub fn find(name: &str) -> Option<&'static Service> {
    let name = name.trim();
    let short = |n: &'static str| n.strip_prefix("Mast.").unwrap_or(n);
    SERVICES.iter().find(|s| s.name.eq_ignore_ascii_case(name) || short(s.name).eq_ignore_ascii_case(name))
}

fn unsupported(what: impl Into<String>) -> Error {
    Error::Unsupported { service: "MAST".into(), what: what.into() }
}

fn known(name: &str) -> Result<&'static Service> {
    find(name).ok_or_else(|| unsupported(format!("the portal has no service '{name}' that is known here")))
}

/// The question as the portal takes it.
pub(crate) fn invoke_of(
    name: &str,
    position: Option<(f64, f64, f64)>,
    filters: &[Filter],
    max_rows: Option<usize>,
    count: bool,
) -> Result<Invoke> {
    let service = known(name)?;
    let invoke = |name: String, params: Value| Invoke { service: name, params, config: service.config, cap: None };
    if let Some((ra, dec, radius)) = position {
        check_position(ra, dec, radius)?;
    }
    let title = service.title;
    if count && !matches!(service.takes, Takes::Conditions | Takes::ConditionsAndPlace) {
        return Err(unsupported(format!("{title}: the service cannot count before it answers")));
    }
    match service.takes {
        Takes::Conditions | Takes::ConditionsAndPlace => {
            if filters.is_empty() && position.is_none() {
                return Err(unsupported(format!("{title}: a search needs at least one filter")));
            }
            let disks = service.name.ends_with("DiskDetective");
            let mut params = json!({"filters": filters_json(filters)});
            if !disks {
                params["columns"] = json!(if count { "COUNT_BIG(*)" } else { "*" });
            }
            let mut full = service.name.to_owned();
            if let Some((ra, dec, radius)) = position {
                if service.takes == Takes::Conditions {
                    return Err(unsupported(format!("{title}: the service takes conditions and no position")));
                }
                full += ".Position";
                (params["ra"], params["dec"], params["radius"]) = (json!(ra), json!(dec), json!(radius));
            }
            if disks && count {
                full += ".Count";
            }
            // The form of the service that is made for rows.
            if !count && (service.name.ends_with(".Tic") || service.name.ends_with(".Ctl")) {
                full += ".Rows";
            }
            Ok(invoke(full, params))
        }
        Takes::Place => {
            let (ra, dec, radius) = position.ok_or_else(|| unsupported(format!("{title}: a position is needed")))?;
            if !filters.is_empty() {
                return Err(unsupported(format!("{title}: the service takes no filters")));
            }
            let mut params = json!({"ra": ra, "dec": dec, "radius": radius});
            let mut cap = None;
            if service.name.starts_with("Mast.Hsc.Db") {
                let most = max_rows.map_or(PAGE_ROWS, |m| m.clamp(1, PAGE_ROWS));
                (params["nr"], params["ni"], params["magtype"]) = (json!(most), json!(1), json!(1));
                cap = Some(most);
            }
            Ok(Invoke { cap, ..invoke(service.name.into(), params) })
        }
        Takes::One { condition, parameter } => {
            match filters.iter().find(|f| f.name.eq_ignore_ascii_case(condition)).map(|f| &f.values) {
                Some(FilterValues::OneOf(list)) if list.len() == 1 => {
                    Ok(invoke(service.name.into(), Value::from_iter([(parameter.to_owned(), list[0].clone())])))
                }
                _ => Err(unsupported(format!("{title}: give one value, {condition}=…"))),
            }
        }
        Takes::Nothing => Ok(invoke(service.name.into(), json!({}))),
        Takes::Objects => Err(unsupported(format!("{title}: a list of objects is needed"))),
    }
}

impl Client {
    /// A list of objects beside one of MAST's catalogues, part by part.
    pub(crate) fn search_crossmatch(&self, request: &Request, cancelled: Cancelled, out: &Out) -> Result<Answer> {
        let Request::Portal { service, objects, radius_deg, max_rows, .. } = request else { return Err(Error::Cancelled) };
        let known = known(service)?;
        let radius = radius_deg.unwrap_or(0.001);
        if objects.is_empty() {
            return Err(unsupported(format!("{}: a list of objects is needed", known.title)));
        }
        for (ra, dec) in objects {
            check_position(*ra, *dec, radius)?;
        }
        let (limit, breaker) = (max_rows.unwrap_or(usize::MAX), cache_breaker());
        let mut answer = Answer::default();
        let mut sent = false;
        for (part, some) in objects.chunks(OBJECTS_AT_ONCE).enumerate() {
            let rows: Vec<Value> = some.iter().map(|(ra, dec)| json!({"ra": ra, "dec": dec})).collect();
            let list = json!({"fields": [{"name": "ra", "type": "float"}, {"name": "dec", "type": "float"}], "data": rows});
            let params = json!({"raColumn": "ra", "decColumn": "dec", "radius": radius});
            let mut page = 1;
            loop {
                let text = json!({
                    "service": known.name, "params": params, "data": list, "format": "json", "page": page, "pagesize": PAGE_ROWS,
                    "removenullcolumns": false, "timeout": 20, "cachebreaker": breaker,
                });
                // What came before a cut is not told apart from the rest: the part is asked again as a whole.
                let came = self.invoke(&text.to_string(), cancelled, Some(out), &|_| Ok(()), &|_| None)?;
                let (pages, rows) = (came.paging("pagesFiltered").unwrap_or(1), came.rows());
                let mut table = self.page_table(came, known.name, known.config, cancelled)?;
                let left = limit.saturating_sub(out.rows());
                if table.rows() > left {
                    table = table.take(&asterism_data::RowSet::from_rows(table.rows(), 0..left))?;
                    answer.truncated = true;
                }
                // An answer without rows still has columns, once.
                if table.rows() > 0 || !sent {
                    sent = true;
                    out.send(Event::Rows(table));
                }
                if rows == 0 || page >= pages || answer.truncated {
                    break;
                }
                page += 1;
            }
            let done = ((part + 1) * OBJECTS_AT_ONCE).min(objects.len()) as u64;
            out.send(Event::Progress { stage: "objects".into(), done, of: Some(objects.len() as u64) });
            if answer.truncated {
                break;
            }
        }
        Ok(answer)
    }
}
