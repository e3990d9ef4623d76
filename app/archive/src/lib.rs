//! Clients of MAST and of the services of the Virtual Observatory.
//!
//! One blocking [`Client`]: a job's thread calls [`Client::search`] with a [`Request`] and gets [`Event`]s while bytes arrive, rows
//! among them, as [`asterism_data::Table`]s to append in order. Every wait looks at `cancelled`. Every address is a setting
//! ([`Services`]), so that the same code runs against the archives and against recorded answers on loopback ([`replay`]).
//!
//! * [`mast`]: the portal API with its EXECUTING polling and its pages, products, counts, the resolver, catalogs.mast;
//!   [`parts`]: searches above the portal's limit; [`mission`]: the search of one mission; [`cutout`]: TESScut, Zcut, PS1, HSC.
//! * [`vo`]: TAP, synchronous and asynchronous (UWS), cone search, SIA, SSA, and tables of TAP_SCHEMA or VOSI; [`jobs`]: the jobs of
//!   a TAP service; [`datalink`]: DataLink and SODA; [`registry`]: services by words, queries of ObsCore.
//! * `hats`: partitioned catalogues at an address, by cone and columns.
//! * [`samp`]: tables, rows, images and positions to and from other programs of this desktop.
//! * [`download`]: many products into a folder; `cache`: single ones for the views.
//! * `http`: waiting, redirects, retries, words of errors; `json`: MAST's rows straight into columns, `early` while they arrive; `token`: the secret of an account.
//!
//! Protocols: STScI MAST API documentation; IVOA TAP 1.1, ADQL 2.1, UWS 1.1, DALI 1.1, SCS 1.03, SIA 1.0 and 2.0, SSA 1.1, VOSI 1.1, SAMP 1.3.

pub mod adql;
mod adql_check;
mod body;
mod cache;
pub mod cutout;
pub mod datalink;
pub mod download;
mod early;
pub mod error;
mod escape;

pub mod examples;
pub mod form;
mod hats;
mod http;
pub mod jobs;
mod json;
pub mod keyring;
pub mod mast;
pub mod mission;
pub mod parts;
pub mod portal;
pub mod registry;
pub mod replay;
mod resolve;
pub mod samp;
mod services;
mod text;
mod token;
mod unpack;
pub mod vo;

use std::path::PathBuf;
use std::str::FromStr;

use asterism_data::Table;
use serde::{Deserialize, Serialize};

pub use adql::{ADQL_KEYWORDS, adql_cone, parse_position, parse_radius, quote_identifier};
pub use adql_check::check_adql;
pub use error::{Error, Result};
pub use escape::percent_decode;
pub use examples::TapExample;
pub use form::{FormColumn, FormKind, FormOf};
pub use parts::{Axis, Part, Plan};
pub use services::{Kind, SavedService, Services};
pub use token::Token;
pub use vo::{TapColumn, TapSchema, TapTable};

/// Values of a filter.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum FilterValues {
    /// Any of these.
    OneOf(Vec<String>),
    /// Between these, both included; an open end is `None`.
    Range {
        /// Smallest.
        min: Option<f64>,
        /// Largest.
        max: Option<f64>,
    },
    /// A pattern with `*` for anything.
    Like(String),
}

/// A condition on one column; filters are AND-ed.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Filter {
    /// Column, spelled as the service does.
    pub name: String,
    /// What it may be.
    pub values: FilterValues,
}

/// The modified Julian date of midnight of a date of the Gregorian calendar, `2021-03-04` (59277).
fn mjd_of_date(text: &str) -> Option<f64> {
    let mut parts = text.splitn(3, '-').map(|p| p.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1000..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Fliegel and Van Flandern, Communications of the ACM 11, 657 (1968); every division cuts towards zero.
    let a = (month - 14) / 12;
    let julian =
        (1461 * (year + 4800 + a)) / 4 + (367 * (month - 2 - 12 * a)) / 12 - (3 * ((year + 4900 + a) / 100)) / 4 + day - 32_075;
    Some((julian - 2_400_001) as f64)
}

impl FromStr for Filter {
    type Err = Error;
    /// `NAME=A,B`, `NAME=MIN..MAX` (an end may be left out; of times also dates, `t_min=2021-01-01..2021-12-31`) or `NAME=*x*`.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::Unsupported {
            service: "Asterism".into(),
            what: format!("'{text}' is no filter; write NAME=A,B or NAME=MIN..MAX or NAME=*part*"),
        };
        let (name, values) = text.split_once('=').ok_or_else(wrong)?;
        let (name, values) = (name.trim(), values.trim());
        if name.is_empty() || values.is_empty() {
            return Err(wrong());
        }
        if let Some((min, max)) = values.split_once("..") {
            // Times of observations are days of MJD; a person thinks of dates.
            let in_days = ["t_min", "t_max", "t_obs_release"].iter().any(|t| name.eq_ignore_ascii_case(t));
            let end = |v: &str| match v.trim() {
                "" => Some(None),
                v => {
                    let number = v.parse::<f64>().ok().filter(|v| v.is_finite());
                    number.or_else(|| if in_days { mjd_of_date(v) } else { None }).map(Some)
                }
            };
            // Text with two dots is text, not a range.
            if let (Some(min), Some(max)) = (end(min), end(max)) {
                if min.is_none() && max.is_none() {
                    return Err(wrong());
                }
                if let (Some(a), Some(b)) = (min, max)
                    && a > b
                {
                    return Err(Error::Unsupported {
                        service: "Asterism".into(),
                        what: format!("'{text}' is a range that ends before it begins; write {name}={b}..{a}"),
                    });
                }
                return Ok(Self { name: name.into(), values: FilterValues::Range { min, max } });
            }
        }
        let values = if values.contains('*') {
            FilterValues::Like(values.into())
        } else {
            FilterValues::OneOf(values.split(',').map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()).collect())
        };
        Ok(Self { name: name.into(), values })
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |v: &Option<f64>| v.map(|v| v.to_string()).unwrap_or_default();
        match &self.values {
            FilterValues::OneOf(list) => write!(f, "{}={}", self.name, list.join(",")),
            FilterValues::Range { min, max } => write!(f, "{}={}..{}", self.name, end(min), end(max)),
            FilterValues::Like(pattern) => write!(f, "{}={pattern}", self.name),
        }
    }
}

/// What to ask.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Request {
    /// Observations of all MAST missions around a position (Mast.Caom.Cone).
    MastCone {
        /// Right ascension, degrees ICRS.
        ra_deg: f64,
        /// Declination, degrees ICRS.
        dec_deg: f64,
        /// Radius, degrees.
        radius_deg: f64,
        /// Stop after so many rows.
        #[serde(default)]
        max_rows: Option<usize>,
    },
    /// Observations by conditions (Mast.Caom.Filtered, .Position).
    MastFiltered {
        /// Conditions.
        #[serde(default)]
        filters: Vec<Filter>,
        /// Right ascension, declination and radius, degrees.
        #[serde(default)]
        position: Option<(f64, f64, f64)>,
        /// Stop after so many rows.
        #[serde(default)]
        max_rows: Option<usize>,
    },
    /// A catalogue at MAST: `tic`, `ctl`, `hsc`, `gaiadr3` (also `gaiadr2`, `gaiadr1`, `plato`, `diskdetective`, `galex`), `panstarrs`.
    MastCatalog {
        /// Which.
        catalog: String,
        /// Right ascension, degrees ICRS.
        ra_deg: f64,
        /// Declination, degrees ICRS.
        dec_deg: f64,
        /// Radius, degrees.
        radius_deg: f64,
        /// Conditions (TIC, CTL and Pan-STARRS).
        #[serde(default)]
        filters: Vec<Filter>,
        /// Stop after so many rows.
        #[serde(default)]
        max_rows: Option<usize>,
    },
    /// Any other service of MAST's portal, by its own name (see [`portal::SERVICES`]).
    Portal {
        /// Which: `Mast.Jwst.Filtered.Nircam`, `Mast.Tic.Crossmatch`, ...
        service: String,
        /// Right ascension, declination and radius, degrees.
        #[serde(default)]
        position: Option<(f64, f64, f64)>,
        /// Conditions.
        #[serde(default)]
        filters: Vec<Filter>,
        /// Objects to look for in a cross-match: right ascension and declination, degrees ICRS.
        #[serde(default)]
        objects: Vec<(f64, f64)>,
        /// How far a match may be, degrees; 0.001 (3.6 arcsec) where none is given.
        #[serde(default)]
        radius_deg: Option<f64>,
        /// Stop after so many rows.
        #[serde(default)]
        max_rows: Option<usize>,
    },
    /// The files behind observations of MAST (Mast.Caom.Products), each once.
    MastProducts {
        /// The numbers of the observations (`obsid`, not the text `obs_id`).
        obsids: Vec<i64>,
    },
    /// A query in ADQL.
    Tap {
        /// Base address, without `/sync`.
        base: String,
        /// The query.
        adql: String,
        /// As a job on the server (UWS), for what takes longer than a connection lives.
        #[serde(default)]
        asynchronous: bool,
        /// Stop after so many rows (MAXREC).
        #[serde(default)]
        max_rows: Option<usize>,
        /// Tables to send along, as `TAP_UPLOAD.name`.
        #[serde(default)]
        uploads: Vec<(String, PathBuf)>,
    },
    /// Simple cone search.
    Cone {
        /// Base address.
        base: String,
        /// Right ascension, degrees ICRS.
        ra_deg: f64,
        /// Declination, degrees ICRS.
        dec_deg: f64,
        /// Radius, degrees.
        radius_deg: f64,
        /// Stop after so many rows.
        #[serde(default)]
        max_rows: Option<usize>,
    },
    /// Images that cover a place; version 2 where the address says so.
    Sia {
        /// Base address.
        base: String,
        /// Right ascension, degrees ICRS.
        ra_deg: f64,
        /// Declination, degrees ICRS.
        dec_deg: f64,
        /// Radius, degrees.
        radius_deg: f64,
        /// Stop after so many rows.
        #[serde(default)]
        max_rows: Option<usize>,
    },
    /// Spectra of a place.
    Ssa {
        /// Base address.
        base: String,
        /// Right ascension, degrees ICRS.
        ra_deg: f64,
        /// Declination, degrees ICRS.
        dec_deg: f64,
        /// Radius, degrees.
        radius_deg: f64,
        /// Stop after so many rows.
        #[serde(default)]
        max_rows: Option<usize>,
    },
    /// What is left of a search that a service can only answer in parts (see [`parts`]).
    Parts {
        /// The parts, and which of them came already.
        plan: Plan,
    },
    /// Datasets of one mission (`hst`, `jwst`, `roman`, `iue`, `ullyses`, `classy`), with the mission's own columns (see [`mission`]).
    Mission {
        /// Which.
        mission: String,
        /// Right ascension, declination and radius, degrees; 0.5 degrees at most.
        #[serde(default)]
        position: Option<(f64, f64, f64)>,
        /// Conditions; a value may begin with `!`, `<`, `>`, `<=` or `>=`.
        #[serde(default)]
        filters: Vec<Filter>,
        /// Columns; the mission's usual ones if empty.
        #[serde(default)]
        columns: Vec<String>,
        /// Stop after so many rows.
        #[serde(default)]
        max_rows: Option<usize>,
    },
    /// The files behind datasets of one mission, each once.
    MissionProducts {
        /// Which.
        mission: String,
        /// Names of the datasets, as in the mission's own column ([`mission::dataset_column`]).
        datasets: Vec<String>,
    },
    /// Images and cubes by any parameter of SIA 2.
    Sia2 {
        /// Base address, or that of the service's capabilities.
        base: String,
        /// Right ascension, declination and radius, degrees.
        #[serde(default)]
        position: Option<(f64, f64, f64)>,
        /// `BAND` (metres), `TIME` (MJD), `DPTYPE`, `COLLECTION`, ... as the standard writes them; a name may come several times.
        #[serde(default)]
        parameters: Vec<(String, String)>,
        /// Stop after so many rows.
        #[serde(default)]
        max_rows: Option<usize>,
    },
    /// The links behind data sets.
    DataLink {
        /// A links document, or the base address of the service where `ids` are given.
        url: String,
        /// Publisher's identifiers.
        #[serde(default)]
        ids: Vec<String>,
    },
    /// A partitioned catalogue (HATS) at an address.
    Hats {
        /// Address of the catalogue or collection.
        base: String,
        /// Right ascension, declination and radius, degrees.
        #[serde(default)]
        position: Option<(f64, f64, f64)>,
        /// Columns; all if empty.
        #[serde(default)]
        columns: Vec<String>,
        /// Only rows for which this predicate is true.
        #[serde(default)]
        filter: Option<String>,
        /// Stop after so many rows.
        #[serde(default)]
        max_rows: Option<usize>,
    },
    /// Services of the Virtual Observatory, by words.
    Registry {
        /// Words that title, description or subjects hold, all of them.
        words: String,
        /// One kind of service.
        #[serde(default)]
        service: Option<Kind>,
        /// Stop after so many rows.
        #[serde(default)]
        max_rows: Option<usize>,
    },
}

impl Request {
    /// How many rows the caller wants at most.
    pub fn max_rows(&self) -> Option<usize> {
        match self {
            Self::MastCone { max_rows, .. }
            | Self::MastFiltered { max_rows, .. }
            | Self::MastCatalog { max_rows, .. }
            | Self::Portal { max_rows, .. }
            | Self::Tap { max_rows, .. }
            | Self::Cone { max_rows, .. }
            | Self::Sia { max_rows, .. }
            | Self::Sia2 { max_rows, .. }
            | Self::Mission { max_rows, .. }
            | Self::Registry { max_rows, .. }
            | Self::Hats { max_rows, .. }
            | Self::Ssa { max_rows, .. } => *max_rows,
            Self::Parts { plan } => plan.max_rows,
            Self::MastProducts { .. } | Self::MissionProducts { .. } | Self::DataLink { .. } => None,
        }
    }
}

/// What happens during a search.
#[derive(Clone, Debug)]
pub enum Event {
    /// Rows of a page or batch, to append in order.
    Rows(Table),
    /// The rows that came so far of a page on its way, to be shown behind those handed on; the next rows, early or not, take their place.
    Early(Table),
    /// How far it is.
    Progress {
        /// What is counted: `rows`, `bytes`, `waiting`.
        stage: String,
        /// So much of it is done.
        done: u64,
        /// Of so much, if known.
        of: Option<u64>,
    },
    /// Something a person should see.
    Note(String),
    /// The address of a job on the server, as soon as the server gives it.
    Job(String),
    /// The search goes in parts: at first, and again after each part that came.
    Plan(Plan),
}

/// What a search came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Answer {
    /// Rows handed on.
    pub rows: usize,
    /// There is more than was sent.
    pub truncated: bool,
    /// ADQL, JSON or query string, as sent.
    pub text: String,
    /// Address asked.
    pub url: String,
    /// From the question to the last row.
    pub seconds: f64,
    /// What had to be put up with.
    pub warnings: Vec<String>,
    /// The asynchronous job.
    pub job_url: Option<String>,
}

/// A name with its place on the sky.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resolved {
    /// Name as the resolver writes it.
    pub name: String,
    /// Right ascension, degrees ICRS.
    pub ra_deg: f64,
    /// Declination, degrees ICRS.
    pub dec_deg: f64,
    /// Who knew it (SIMBAD, NED, TIC, ...).
    pub resolver: String,
}

/// Asks archives. Cheap to keep for the life of the program; calls block, so make them from a job's thread.
pub struct Client {
    http: http::Http,
    configs: std::sync::Mutex<std::collections::HashMap<String, std::sync::Arc<mast::Config>>>,
    /// Bytes in the cache of products, once they have been counted.
    cached: std::sync::Mutex<Option<u64>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("services", &self.http.services).finish_non_exhaustive()
    }
}

impl Client {
    /// A client with these settings. The token of a MAST account ([`Client::set_token`], at first that of the environment variable
    /// `MAST_API_TOKEN`) goes to MAST over https and nowhere else.
    ///
    /// # Errors
    /// When the system gives no threads or no TLS.
    pub fn new(services: Services) -> Result<Self> {
        Ok(Self { http: http::Http::new(services)?, configs: Default::default(), cached: Default::default() })
    }
    /// The settings.
    pub fn services(&self) -> &Services {
        &self.http.services
    }
    /// The token of a MAST account for what is not public, from now on; `None` for none.
    pub fn set_token(&self, token: Option<Token>) {
        self.http.set_token(token);
    }
    /// Whether there is one.
    pub fn has_token(&self) -> bool {
        self.http.has_token()
    }
    /// Asks, and hands rows on as they come. `cancelled` is looked at twenty times a second, also while waiting for bytes.
    ///
    /// # Errors
    /// [`Error`]; rows handed on before it remain good.
    pub fn search(&self, request: &Request, cancelled: &dyn Fn() -> bool, on: &mut dyn FnMut(Event)) -> Result<Answer> {
        let start = std::time::Instant::now();
        let out = http::Out::new(on);
        let mut answer = match request {
            Request::MastCone { .. } | Request::MastFiltered { .. } | Request::MastCatalog { .. } => {
                self.search_counted(request, cancelled, &out)
            }
            Request::Portal { objects, .. } if !objects.is_empty() => self.search_crossmatch(request, cancelled, &out),
            Request::Portal { .. } => self.search_mast(request, cancelled, &out),
            Request::Parts { plan } => self.search_parts(plan.clone(), cancelled, &out),
            Request::Mission { .. } => self.search_mission(request, cancelled, &out),
            Request::MissionProducts { mission, datasets } => self.mission_products(mission, datasets, cancelled).map(|table| {
                out.send(Event::Rows(table));
                let text = format!("{} datasets of {mission}", datasets.len());
                Answer { url: self.services().mast.clone(), text, ..Answer::default() }
            }),
            Request::MastProducts { obsids } => self.products(obsids, cancelled).map(|table| {
                out.send(Event::Rows(table));
                Answer { url: self.services().mast.clone(), text: format!("{} observations", obsids.len()), ..Answer::default() }
            }),
            Request::Hats { .. } => self.search_hats(request, cancelled, &out),
            _ => self.search_vo(request, cancelled, &out),
        }
        .map_err(|e| match e {
            Error::CutOff { service, .. } => Error::CutOff { service, rows: out.rows() },
            other => other,
        })?;
        answer.rows = out.rows();
        answer.seconds = start.elapsed().as_secs_f64();
        Ok(answer)
    }
    /// How many rows a search would give.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the service cannot count; else as [`Client::search`].
    pub fn count(&self, request: &Request, cancelled: &dyn Fn() -> bool) -> Result<u64> {
        match request {
            Request::MastCone { .. } | Request::MastFiltered { .. } | Request::MastCatalog { .. } | Request::Portal { .. } => {
                self.count_mast(request, cancelled)
            }
            Request::Parts { plan } => match plan.total {
                Some(total) => Ok(total),
                None => self.count(&plan.base, cancelled),
            },
            Request::Mission { .. } => self.count_mission(request, cancelled),
            Request::MastProducts { .. } | Request::MissionProducts { .. } => {
                Err(Error::Unsupported { service: "MAST".into(), what: "counting products before they are listed".into() })
            }
            _ => self.count_vo(request, cancelled),
        }
    }
}

/// The service of a request, for a person.
pub(crate) fn service_of(request: &Request) -> String {
    match request {
        Request::Tap { base, .. } => base.clone(),
        _ => "MAST".into(),
    }
}

/// Checks a position before it is sent.
pub(crate) fn check_position(ra_deg: f64, dec_deg: f64, radius_deg: f64) -> Result<()> {
    if !ra_deg.is_finite() || !(-90.0..=90.0).contains(&dec_deg) {
        return Err(Error::Position(format!("{ra_deg} {dec_deg} is no position: declination goes from -90 to 90 degrees")));
    }
    if !(radius_deg > 0.0 && radius_deg <= 180.0) {
        return Err(Error::Position(format!("{radius_deg} degrees is no radius: it must be above 0 and at most 180")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn filters_are_read_and_written() {
        let f = |t: &str| t.parse::<Filter>().unwrap();
        assert_eq!(f("filters=NUV, FUV").values, FilterValues::OneOf(vec!["NUV".into(), "FUV".into()]));
        assert_eq!(f("t_max=52264.5..54452.9").values, FilterValues::Range { min: Some(52264.5), max: Some(54452.9) });
        assert_eq!(f("Tmag=..10").values, FilterValues::Range { min: None, max: Some(10.0) });
        assert_eq!(f("obs_id=*200*").values, FilterValues::Like("*200*".into()));
        assert_eq!(f("obs_title=a..b").values, FilterValues::OneOf(vec!["a..b".into()]));
        for text in ["filters=NUV,FUV", "t_max=1..2.5", "Tmag=..10", "obs_id=*200*"] {
            assert_eq!(f(text).to_string(), text);
        }
        // Times may be given as dates (MJD 59277 is 2021-03-04 by astropy).
        let days = FilterValues::Range { min: Some(59277.0), max: Some(59946.0) };
        assert_eq!(f("t_min=2021-03-04..2023-01-02").values, days);
        assert_eq!(f("T_MAX=1858-11-17..").values, FilterValues::Range { min: Some(0.0), max: None });
        assert!(matches!(f("obs_title=2021-03-04..2023-01-02").values, FilterValues::OneOf(_)));
        assert!("t_min=5..1".parse::<Filter>().unwrap_err().to_string().contains("t_min=1..5"));
        for bad in ["", "x", "x=", "=3", "x=..", "t_min=2021-03-04..2020-01-01"] {
            assert!(bad.parse::<Filter>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_request_survives_toml_like_serde() {
        let request = Request::Tap {
            base: "http://x".into(),
            adql: "SELECT 1".into(),
            asynchronous: true,
            max_rows: Some(3),
            uploads: vec![],
        };
        let text = serde_json::to_string(&request).unwrap();
        assert!(text.contains("\"kind\":\"tap\""), "{text}");
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
        let short: Request = serde_json::from_str(r#"{"kind":"mast-cone","ra_deg":1,"dec_deg":2,"radius_deg":0.1}"#).unwrap();
        assert_eq!(short.max_rows(), None);
    }

    #[test]
    fn a_client_is_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Client>();
    }

    #[test]
    fn settings_with_gaps_are_filled_from_the_defaults() {
        let s: Services = serde_json::from_str(r#"{"timeout_s":5}"#).unwrap();
        assert_eq!((s.timeout_s, s.mast.as_str()), (5.0, "https://mast.stsci.edu"));
        assert_eq!("SIA".parse::<Kind>().unwrap(), Kind::Sia);
        assert!("ftp".parse::<Kind>().is_err());
    }
}
