//! Words of a recipe or of the command line for the archive's further doors: missions, ObsCore, SIA 2, DataLink, HATS, the registry.
//!
//! Each has the same few words as every search (service, position, radius, filters), so that a recipe stays readable: a filter of
//! SIA 2 is a parameter of the service, one of ObsCore a column, one of HATS a condition (or `where=` a predicate), and what the registry is asked for stands in the place of the
//! service. Both ways are here, from words to a request and back, since one undoes the other (tested). The choice not taken is a
//! table in the recipe for each door. Standards: see `asterism_archive`.

use asterism_archive::registry::ObscoreQuery;
use asterism_archive::{Filter, FilterValues, Kind, Request};

use crate::{Error, Result};

/// Observations that one query of ObsCore gives when no limit is set.
const OBSCORE_ROWS: usize = 100_000;

fn list(filter: &Filter) -> Vec<String> {
    match &filter.values {
        FilterValues::OneOf(list) => list.clone(),
        FilterValues::Like(pattern) => vec![pattern.clone()],
        FilterValues::Range { .. } => Vec::new(),
    }
}

/// A filter as a predicate on columns.
fn predicate(filter: &Filter) -> String {
    let name = asterism_archive::quote_identifier(&filter.name);
    let quoted = |v: &str| format!("'{}'", v.replace('\'', "''"));
    match &filter.values {
        FilterValues::Range { min: Some(min), max: Some(max) } => format!("{name} BETWEEN {min} AND {max}"),
        FilterValues::Range { min: Some(min), .. } => format!("{name} >= {min}"),
        FilterValues::Range { max: Some(max), .. } => format!("{name} <= {max}"),
        FilterValues::Range { .. } => format!("{name} IS NOT NULL"),
        FilterValues::Like(pattern) => format!("{name} LIKE {}", quoted(&pattern.replace('*', "%"))),
        FilterValues::OneOf(list) => {
            let number = list.iter().all(|v| v.parse::<f64>().is_ok_and(f64::is_finite));
            let values: Vec<String> = list.iter().map(|v| if number { v.clone() } else { quoted(v) }).collect();
            format!("{name} IN ({})", values.join(", "))
        }
    }
}

/// The text behind the name of a filter.
fn text_of(filter: &Filter) -> String {
    let text = filter.to_string();
    text.split_once('=').map(|(_, t)| t.trim().to_owned()).unwrap_or_default()
}

fn range(filter: &Filter, least: f64, most: f64) -> Result<(f64, f64)> {
    match &filter.values {
        FilterValues::Range { min, max } => Ok((min.unwrap_or(least), max.unwrap_or(most))),
        FilterValues::OneOf(list) if list.len() == 1 && list[0].parse::<f64>().is_ok() => {
            let value = list[0].parse().unwrap_or(least);
            Ok((value, value))
        }
        _ => Err(Error::said(format!("'{}' wants a range: {}=MIN..MAX", filter.name, filter.name))),
    }
}

/// A request of one of these doors.
///
/// # Errors
/// When something is missing, or a filter has no meaning there.
pub(crate) fn request(
    kind: Kind,
    service: &str,
    base: String,
    position: Option<(f64, f64)>,
    radius_deg: f64,
    mut filters: Vec<Filter>,
    max_rows: Option<usize>,
) -> Result<Request> {
    let position = position.map(|(ra, dec)| (ra, dec, radius_deg));
    match kind {
        Kind::Mission => {
            let mission = service.trim().to_ascii_lowercase();
            if let Some(mission) = mission.strip_suffix(":products") {
                let datasets: Vec<String> = filters.iter().filter(|f| f.name == "dataset").flat_map(list).collect();
                if datasets.is_empty() {
                    return Err(Error::said(format!("{mission}:products needs names of data sets: filter = \"dataset=NAME,…\"")));
                }
                return Ok(Request::MissionProducts { mission: mission.into(), datasets });
            }
            if mission.contains('/') || mission.contains(':') {
                let known = asterism_archive::mission::MISSIONS.iter().map(|m| m.0).collect::<Vec<_>>().join(", ");
                return Err(Error::said(format!("'{service}' is no mission: there are {known}")));
            }
            // One filter is no condition: the columns that are wanted.
            let columns = filters.iter().filter(|f| f.name == "columns").flat_map(list).collect();
            filters.retain(|f| f.name != "columns");
            Ok(Request::Mission { mission, position, filters, columns, max_rows })
        }
        Kind::Obscore => {
            let mut query = ObscoreQuery { position, ..ObscoreQuery::default() };
            for filter in &filters {
                match filter.name.to_ascii_lowercase().as_str() {
                    "dataproduct_type" => query.product_types = list(filter),
                    "obs_collection" => query.collections = list(filter),
                    "facility_name" => query.facilities = list(filter),
                    "instrument_name" => query.instruments = list(filter),
                    "target_name" => query.targets = list(filter),
                    "em" => query.band_m = Some(range(filter, 0.0, f64::MAX)?),
                    "t" => query.time_mjd = Some(range(filter, f64::MIN, f64::MAX)?),
                    "calib_level" => query.calib_level = Some(range(filter, 0.0, 4.0)?.0 as i32),
                    other => {
                        return Err(Error::said(format!(
                            "obscore takes no filter '{other}': there are dataproduct_type, obs_collection, facility_name, \
                             instrument_name, target_name, em (metres), t (MJD) and calib_level; for others give ADQL to kind tap"
                        )));
                    }
                }
            }
            let adql = query.adql(max_rows.unwrap_or(OBSCORE_ROWS))?;
            Ok(Request::Tap { base, adql, asynchronous: false, max_rows, uploads: Vec::new() })
        }
        Kind::Sia2 => {
            let end = |v: Option<f64>, open: &str| v.map_or_else(|| open.to_owned(), |v| v.to_string());
            let parameters = filters
                .iter()
                .flat_map(|f| match &f.values {
                    FilterValues::Range { min, max } => {
                        vec![(f.name.clone(), format!("{} {}", end(*min, "-Inf"), end(*max, "+Inf")))]
                    }
                    _ => list(f).into_iter().map(|v| (f.name.clone(), v)).collect(),
                })
                .collect();
            Ok(Request::Sia2 { base, position, parameters, max_rows })
        }
        Kind::DataLink => {
            let ids = filters.iter().filter(|f| f.name.eq_ignore_ascii_case("id")).flat_map(list).collect();
            Ok(Request::DataLink { url: base, ids })
        }
        Kind::Registry => {
            let wanted = filters.iter().find(|f| f.name == "service").map(list).unwrap_or_default();
            let service_kind = match wanted.first() {
                Some(word) => Some(word.parse::<Kind>()?),
                None => None,
            };
            Ok(Request::Registry { words: service.trim().into(), service: service_kind, max_rows })
        }
        Kind::Hats => {
            let columns = filters.iter().filter(|f| f.name == "columns").flat_map(list).collect();
            filters.retain(|f| f.name != "columns");
            let one = |f: &Filter| if f.name.eq_ignore_ascii_case("where") { text_of(f) } else { predicate(f) };
            let conditions: Vec<String> = filters.iter().map(one).collect();
            let filter = match conditions.len() {
                0 => None,
                1 => conditions.into_iter().next(),
                _ => Some(conditions.iter().map(|c| format!("({c})")).collect::<Vec<_>>().join(" AND ")),
            };
            if let Some(text) = &filter {
                asterism_data::Expr::parse(text)?;
            }
            Ok(Request::Hats { base, position, columns, filter, max_rows })
        }
        other => Err(Error::said(format!("kind '{other}' is asked in another way"))),
    }
}

/// Words of a recipe for a request of these doors.
pub(crate) struct Words {
    pub service: String,
    pub kind: Kind,
    pub position: Option<(f64, f64, f64)>,
    pub filters: Vec<Filter>,
}

/// The words that give this request again; `None` for requests of other doors.
pub(crate) fn words(request: &Request) -> Option<Words> {
    let one_of = |name: &str, list: &[String]| Filter { name: name.into(), values: FilterValues::OneOf(list.to_vec()) };
    Some(match request {
        Request::Mission { mission, position, filters, columns, .. } => {
            let mut filters = filters.clone();
            if !columns.is_empty() {
                filters.push(one_of("columns", columns));
            }
            Words { service: mission.clone(), kind: Kind::Mission, position: *position, filters }
        }
        Request::MissionProducts { mission, datasets } => Words {
            service: format!("{mission}:products"),
            kind: Kind::Mission,
            position: None,
            filters: vec![one_of("dataset", datasets)],
        },
        Request::Sia2 { base, position, parameters, .. } => Words {
            service: base.clone(),
            kind: Kind::Sia2,
            position: *position,
            filters: parameters
                .iter()
                .map(|(name, value)| {
                    let end = |v: &str| v.parse::<f64>().ok();
                    let pair = value.split_once(' ').and_then(|(a, b)| Some((end(a)?, end(b)?)));
                    match pair {
                        Some((min, max)) if min.is_finite() || max.is_finite() => Filter {
                            name: name.clone(),
                            values: FilterValues::Range {
                                min: min.is_finite().then_some(min),
                                max: max.is_finite().then_some(max),
                            },
                        },
                        _ => one_of(name, std::slice::from_ref(value)),
                    }
                })
                .collect(),
        },
        Request::DataLink { url, ids } => Words {
            service: url.clone(),
            kind: Kind::DataLink,
            position: None,
            filters: if ids.is_empty() { Vec::new() } else { vec![one_of("ID", ids)] },
        },
        Request::Hats { base, position, columns, filter, .. } => {
            let mut filters: Vec<Filter> = filter.iter().map(|f| one_of("where", std::slice::from_ref(f))).collect();
            if !columns.is_empty() {
                filters.push(one_of("columns", columns));
            }
            Words { service: base.clone(), kind: Kind::Hats, position: *position, filters }
        }
        Request::Registry { words, service, .. } => Words {
            service: words.clone(),
            kind: Kind::Registry,
            position: None,
            filters: service.iter().map(|k| one_of("service", &[k.to_string()])).collect(),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_and_requests_undo_each_other() {
        let filters = |list: &[&str]| list.iter().map(|f| f.parse().unwrap()).collect::<Vec<Filter>>();
        let cases = [
            (
                Kind::Mission,
                "hst",
                filters(&["sci_instrume=STIS,COS", "sci_actual_duration=1000..2000", "columns=sci_data_set_name,sci_ra"]),
            ),
            (Kind::Mission, "jwst:products", filters(&["dataset=jw01,jw02"])),
            (Kind::Sia2, "http://x/sia2", filters(&["BAND=1e-6..2e-6", "TIME=50000..", "DPTYPE=image", "COLLECTION=HST,JWST"])),
            (Kind::DataLink, "http://x/links", filters(&["ID=ivo://a?b,ivo://c"])),
            (Kind::Hats, "http://x/sky", filters(&["where=mag < 10 AND class IN ('a', 'b')", "columns=ra,dec,mag"])),
            (Kind::Registry, "quasar spectra", filters(&["service=ssa"])),
        ];
        for (kind, service, filters) in cases {
            let made = request(kind, service, service.into(), Some((10.0, -5.0)), 0.1, filters, Some(7)).unwrap();
            let w = words(&made).unwrap();
            assert_eq!(w.kind, kind);
            let base = w.service.clone();
            let place = w.position.map(|(ra, dec, _)| (ra, dec));
            let again = request(kind, &w.service, base, place, 0.1, w.filters, Some(7)).unwrap();
            assert_eq!(again, made);
        }
    }

    #[test]
    fn filters_of_a_catalogue_are_one_predicate() {
        let filters =
            ["mag=..10", "class=a,b", "name=*x*", "n=1,2", "where=b - v > 0.5"].map(|t| t.parse::<Filter>().unwrap()).to_vec();
        let made = request(Kind::Hats, "s", "http://x/sky".into(), None, 0.1, filters, None).unwrap();
        let Request::Hats { filter: Some(text), .. } = made else { panic!() };
        assert_eq!(text, "(mag <= 10) AND (class IN ('a', 'b')) AND (name LIKE '%x%') AND (n IN (1, 2)) AND (b - v > 0.5)");
        let wrong = vec!["where=b >".parse::<Filter>().unwrap()];
        assert!(request(Kind::Hats, "s", "http://x/sky".into(), None, 0.1, wrong, None).is_err());
    }

    #[test]
    fn obscore_becomes_a_query_and_says_what_it_takes() {
        let filters = |t: &str| vec![t.parse::<Filter>().unwrap()];
        let ask = |f: Vec<Filter>| request(Kind::Obscore, "s", "http://x/tap".into(), None, 0.1, f, Some(50));
        let Request::Tap { adql, .. } = ask(filters("dataproduct_type=spectrum")).unwrap() else { panic!() };
        assert!(adql.starts_with("SELECT TOP 50 *") && adql.ends_with("dataproduct_type = 'spectrum'"), "{adql}");
        assert!(ask(filters("colour=red")).unwrap_err().to_string().contains("dataproduct_type"));
        assert!(ask(filters("em=red")).unwrap_err().to_string().contains("MIN..MAX"));
    }
}
