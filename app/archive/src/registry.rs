//! Services by words (RegTAP), and observations of any archive (ObsCore): questions in ADQL that are made here.
//!
//! The registry is a TAP service like others, with the schema `rr`. A word may stand in the title, the description or a subject;
//! every word must be somewhere. Only interfaces that programs can use are asked for (`intf_role` std, `vs:paramhttp`). Addresses
//! in old records have their `&` escaped twice, and are unescaped once more. The choice not taken is `ivo_hasword` for titles alone
//! and one query for each word: one query is one wait.
//!
//! Standards: IVOA RegTAP 1.1, ObsCore 1.1, ADQL 2.1.

use asterism_data::Table;
use serde::{Deserialize, Serialize};

use crate::http::{Cancelled, Out};
use crate::text::squeeze;
use crate::{Answer, Client, Error, Event, Kind, Request, Result, check_position};

/// Kinds of services and how their standards begin in the registry, in lower case.
const STANDARDS: &[(Kind, &str)] = &[
    (Kind::Sia2, "ivo://ivoa.net/std/sia#query-2"),
    (Kind::Sia, "ivo://ivoa.net/std/sia"),
    (Kind::Cone, "ivo://ivoa.net/std/conesearch"),
    (Kind::Ssa, "ivo://ivoa.net/std/ssa"),
    (Kind::Tap, "ivo://ivoa.net/std/tap"),
    (Kind::DataLink, "ivo://ivoa.net/std/datalink"),
];

/// What joins the parts of a column that was put together by `ivo_string_agg`.
const JOINT: &str = ":::py VO sep:::";

/// A service of the registry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RegistryService {
    /// Its name for machines.
    pub ivoid: String,
    /// A word.
    pub short_name: String,
    /// A line.
    pub title: String,
    /// At length.
    pub description: String,
    /// A page for people.
    pub reference_url: String,
    /// `optical#infrared`, ...
    pub waveband: String,
    /// How it is spoken to, where this program can.
    pub kind: Option<Kind>,
    /// Its standard, as the registry writes it.
    pub standard_id: String,
    /// Address.
    pub access_url: String,
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The query for services that hold all these words; of one kind if given.
///
/// # Errors
/// [`Error::Unsupported`] without a word, or for a kind that registries do not list.
pub fn registry_adql(words: &str, kind: Option<Kind>, max_rows: usize) -> Result<String> {
    let unsupported = |what: String| Error::Unsupported { service: "The registry".into(), what };
    let words: Vec<&str> = words.split_whitespace().collect();
    if words.is_empty() {
        return Err(unsupported("a word is needed: what the service should be about".into()));
    }
    let mut conditions = vec!["intf_role = 'std'".to_owned(), "intf_type = 'vs:paramhttp'".to_owned()];
    match kind {
        Some(kind) => {
            let standard = STANDARDS.iter().find(|(k, _)| *k == kind).map(|(_, s)| *s);
            let standard = standard.ok_or_else(|| {
                unsupported(format!("services of kind '{kind}'; there are tap, cone, sia, sia2, ssa and datalink"))
            })?;
            conditions.push(format!("standard_id LIKE '{standard}%'"));
            if kind == Kind::Sia {
                conditions.push("standard_id NOT LIKE 'ivo://ivoa.net/std/sia#query-2%'".into());
            }
        }
        None => {
            let any: Vec<String> = STANDARDS
                .iter()
                .filter(|(k, _)| !matches!(k, Kind::Sia2 | Kind::DataLink))
                .map(|(_, s)| format!("standard_id LIKE '{s}%'"))
                .collect();
            conditions.push(format!("({})", any.join(" OR ")));
        }
    }
    for word in words {
        let (word, like) = (literal(word), literal(&format!("%{}%", word.to_lowercase())));
        conditions.push(format!(
            "(1 = ivo_hasword(res_description, {word}) OR 1 = ivo_hasword(res_title, {word}) OR ivoid IN \
             (SELECT ivoid FROM rr.res_subject WHERE res_subject ILIKE {like}))"
        ));
    }
    Ok(format!(
        "SELECT DISTINCT TOP {max_rows} ivoid, short_name, res_title, res_description, reference_url, waveband, standard_id, access_url\n\
         FROM rr.resource NATURAL JOIN rr.capability NATURAL JOIN rr.interface\nWHERE {}\nORDER BY short_name",
        conditions.join("\n  AND ")
    ))
}

/// Services in a table of the registry: one row for each interface, or several in a row, put together by `ivo_string_agg`.
pub fn services_of(table: &Table) -> Vec<RegistryService> {
    let column = |names: [&str; 2]| -> Vec<String> {
        let at = table.columns().iter().position(|c| names.iter().any(|n| c.name.eq_ignore_ascii_case(n)));
        let strings = at.and_then(|i| table.strings(&table.columns()[i].name).ok()).unwrap_or_else(|| vec![None; table.rows()]);
        strings.into_iter().map(Option::unwrap_or_default).collect()
    };
    let (ivoid, short) = (column(["ivoid", ""]), column(["short_name", ""]));
    let (title, about) = (column(["res_title", ""]), column(["res_description", ""]));
    let (page, band) = (column(["reference_url", ""]), column(["waveband", ""]));
    let (urls, standards) = (column(["access_url", "access_urls"]), column(["standard_id", "standard_ids"]));
    let (kinds, roles) = (column(["intf_type", "intf_types"]), column(["intf_role", "intf_roles"]));
    let mut found: Vec<RegistryService> = Vec::new();
    for i in 0..table.rows() {
        let part = |text: &str, n: usize| text.split(JOINT).nth(n).unwrap_or("").trim().to_owned();
        for (n, url) in urls[i].split(JOINT).enumerate() {
            let (kind, role) = (part(&kinds[i], n).to_ascii_lowercase(), part(&roles[i], n).to_ascii_lowercase());
            if url.trim().is_empty() || (!kind.is_empty() && kind != "vs:paramhttp") || (!role.is_empty() && role != "std") {
                continue;
            }
            let standard_id = part(&standards[i], n);
            let lower = standard_id.to_ascii_lowercase();
            let service = RegistryService {
                ivoid: ivoid[i].trim().into(),
                short_name: squeeze(&short[i]),
                title: squeeze(&title[i]),
                description: squeeze(&about[i]),
                reference_url: page[i].trim().into(),
                waveband: band[i].trim().into(),
                kind: STANDARDS.iter().find(|(_, s)| lower.starts_with(s)).map(|(k, _)| *k),
                standard_id,
                access_url: url.trim().replace("&amp;", "&"),
            };
            if !found
                .iter()
                .any(|f| f.access_url == service.access_url && f.standard_id == service.standard_id && f.ivoid == service.ivoid)
            {
                found.push(service);
            }
        }
    }
    found
}

/// Conditions on observations, each of them optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObscoreQuery {
    /// Right ascension, declination and radius, degrees ICRS.
    pub position: Option<(f64, f64, f64)>,
    /// `image`, `cube`, `spectrum`, `timeseries`, `sed`, `visibility`, `event`, `measurements`.
    pub product_types: Vec<String>,
    /// `obs_collection`.
    pub collections: Vec<String>,
    /// `facility_name`.
    pub facilities: Vec<String>,
    /// `instrument_name`.
    pub instruments: Vec<String>,
    /// `target_name`.
    pub targets: Vec<String>,
    /// Wavelengths that must overlap, metres.
    pub band_m: Option<(f64, f64)>,
    /// Times that must overlap, MJD.
    pub time_mjd: Option<(f64, f64)>,
    /// Smallest calibration level.
    pub calib_level: Option<i32>,
}

impl ObscoreQuery {
    /// The query in ADQL, `max_rows` rows at most.
    ///
    /// # Errors
    /// [`Error::Unsupported`] without any condition or with a range that is none; [`Error::Position`].
    pub fn adql(&self, max_rows: usize) -> Result<String> {
        let unsupported = |what: &str| Error::Unsupported { service: "ObsCore".into(), what: what.into() };
        let mut conditions = Vec::new();
        if let Some((ra, dec, radius)) = self.position {
            check_position(ra, dec, radius)?;
            conditions.push(format!("1 = CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', {ra:?}, {dec:?}, {radius:?}))"));
        }
        for (column, list) in [
            ("dataproduct_type", &self.product_types),
            ("obs_collection", &self.collections),
            ("facility_name", &self.facilities),
            ("instrument_name", &self.instruments),
            ("target_name", &self.targets),
        ] {
            let literals: Vec<String> = list.iter().filter(|v| !v.trim().is_empty()).map(|v| literal(v.trim())).collect();
            match literals.as_slice() {
                [] => {}
                [one] => conditions.push(format!("{column} = {one}")),
                many => conditions.push(format!("{column} IN ({})", many.join(", "))),
            }
        }
        for (low, high, range) in [("em_min", "em_max", self.band_m), ("t_min", "t_max", self.time_mjd)] {
            if let Some((from, to)) = range {
                if !(from.is_finite() && to.is_finite() && from <= to) {
                    return Err(unsupported("a range whose end is before its beginning"));
                }
                conditions.push(format!("{low} <= {to:?} AND {high} >= {from:?}"));
            }
        }
        if let Some(level) = self.calib_level {
            conditions.push(format!("calib_level >= {level}"));
        }
        if conditions.is_empty() {
            return Err(unsupported("a search without any condition; give a position, a type of data or a collection"));
        }
        Ok(format!("SELECT TOP {max_rows} *\nFROM ivoa.obscore\nWHERE {}", conditions.join("\n  AND ")))
    }
}

impl Client {
    pub(crate) fn search_registry(&self, request: &Request, cancelled: Cancelled, out: &Out) -> Result<Answer> {
        let Request::Registry { words, service, max_rows } = request else { return Err(Error::Cancelled) };
        let adql = registry_adql(words, *service, max_rows.unwrap_or(1000))?;
        let base = self.services().registry.clone();
        let ask = Request::Tap { base, adql, asynchronous: false, max_rows: *max_rows, uploads: Vec::new() };
        self.search_vo(&ask, cancelled, out)
    }

    /// Services of the Virtual Observatory that hold all these words in title, description or subjects.
    ///
    /// # Errors
    /// As [`Client::search`]; [`Error::Unsupported`] without a word.
    pub fn find_services(
        &self,
        words: &str,
        kind: Option<Kind>,
        max_rows: usize,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<RegistryService>> {
        let mut all = Table::default();
        let mut failed = None;
        let mut on = |event: Event| {
            if let Event::Rows(table) = event {
                failed = all.append(&table).err().or(failed.take());
            }
        };
        let request = Request::Registry { words: words.into(), service: kind, max_rows: Some(max_rows) };
        self.search(&request, cancelled, &mut on)?;
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(services_of(&all)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_query_quotes_what_people_type() {
        let adql = registry_adql("pulsar o'clock", Some(Kind::Cone), 50).unwrap();
        assert!(adql.contains("ivo_hasword(res_title, 'o''clock')") && adql.contains("'%o''clock%'"), "{adql}");
        assert!(
            adql.contains("standard_id LIKE 'ivo://ivoa.net/std/conesearch%'") && adql.starts_with("SELECT DISTINCT TOP 50 ")
        );
        assert!(registry_adql("x", Some(Kind::Sia), 5).unwrap().contains("NOT LIKE 'ivo://ivoa.net/std/sia#query-2%'"));
        assert!(registry_adql("  ", None, 5).is_err());
        assert!(registry_adql("x", Some(Kind::Mast), 5).is_err());
    }

    #[test]
    fn observations_are_asked_for_in_adql() {
        let query = ObscoreQuery {
            position: Some((10.68, 41.27, 0.1)),
            product_types: vec!["spectrum".into(), "cube".into()],
            collections: vec!["it's".into()],
            band_m: Some((1e-6, 2.5e-6)),
            time_mjd: Some((50000.0, 60000.5)),
            calib_level: Some(2),
            ..ObscoreQuery::default()
        };
        assert_eq!(
            query.adql(10).unwrap(),
            "SELECT TOP 10 *\nFROM ivoa.obscore\nWHERE 1 = CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', 10.68, 41.27, 0.1))\n  \
             AND dataproduct_type IN ('spectrum', 'cube')\n  AND obs_collection = 'it''s'\n  AND em_min <= 2.5e-6 AND em_max >= 1e-6\n  \
             AND t_min <= 60000.5 AND t_max >= 50000.0\n  AND calib_level >= 2"
        );
        assert!(ObscoreQuery::default().adql(10).is_err());
        assert!(ObscoreQuery { band_m: Some((2.0, 1.0)), ..ObscoreQuery::default() }.adql(10).is_err());
    }
}
