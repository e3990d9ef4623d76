//! MAST's search of one mission: its own columns, conditions, counts and files.
//!
//! The portal shows what all missions have in common; here stand the mission's own keywords (gratings, guide stars, proposals).
//! A question is JSON, posted; the answer is one object whose rows are read straight into columns (`json`). Pages go by offset over
//! rows that are sorted by the name of the data set, so that no row moves from one page to the next; a small page comes first.
//! Text is padded with blanks and is trimmed; `ang_sep` is in degrees whatever unit the radius had. The choice not taken is the
//! same tables over TAP (`missionmast`), which has no file lists.
//!
//! Protocol: STScI MAST mission search API (`/search/<mission>/api/v0.1`), as astroquery's `missions` speaks it.

use std::cell::RefCell;

use asterism_data::{RowSet, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::body::Body;
use crate::early::Early;
use crate::http::{Call, Cancelled, Out, percent};
use crate::json::{ColumnRule, Page};
use crate::text::{describe_other, json_message, squeeze};
use crate::{Answer, Client, Error, Event, Filter, FilterValues, Request, Result, check_position};

/// Rows of one page at most.
const PAGE_ROWS: usize = 5000;
/// Rows of the first page, so that something is soon to be seen.
const FIRST_ROWS: usize = 500;
/// The service takes no larger radius.
const LARGEST_DEG: f64 = 0.5;

/// Missions: name in addresses, title, column that names a data set.
pub const MISSIONS: &[(&str, &str, &str)] = &[
    ("hst", "Hubble Space Telescope", "sci_data_set_name"),
    ("jwst", "James Webb Space Telescope", "fileSetName"),
    ("roman", "Roman Space Telescope", "fileSetName"),
    ("iue", "International Ultraviolet Explorer", "iue_data_id"),
    ("ullyses", "ULLYSES young stars", "observation_id"),
    ("classy", "CLASSY galaxies", "Target"),
];

/// The column that names a data set of a mission, for [`Request::MissionProducts`].
pub fn dataset_column(mission: &str) -> Option<&'static str> {
    MISSIONS.iter().find(|m| m.0.eq_ignore_ascii_case(mission.trim())).map(|m| m.2)
}

/// A column of a mission.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MissionColumn {
    /// As it stands in conditions.
    pub name: String,
    /// For a person.
    pub title: String,
    /// For a person, at length.
    pub description: String,
    /// `char`, `int`, `double`, ...
    pub datatype: String,
    /// Unit, where the service says one.
    pub unit: String,
    /// Conditions on it are taken.
    pub queryable: bool,
    /// It is among the columns that come when none are named.
    pub default: bool,
}

/// A filter as the service writes conditions: comma for "or", `a..b`, `>=`, `*`.
fn condition(filter: &Filter) -> Value {
    let text = match &filter.values {
        FilterValues::OneOf(list) => list.join(","),
        FilterValues::Range { min: Some(min), max: Some(max) } => format!("{min}..{max}"),
        FilterValues::Range { min: Some(min), max: None } => format!(">={min}"),
        FilterValues::Range { min: None, max: Some(max) } => format!("<={max}"),
        FilterValues::Range { min: None, max: None } => "*".into(),
        FilterValues::Like(pattern) => pattern.clone(),
    };
    json!({filter.name.as_str(): text})
}

fn name_of(mission: &str) -> Result<String> {
    let name = mission.trim().to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        let known = MISSIONS.iter().map(|m| m.0).collect::<Vec<_>>().join(", ");
        let what = format!("'{mission}' is no mission; there are {known}");
        return Err(Error::Unsupported { service: "MAST".into(), what });
    }
    Ok(name)
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

impl Client {
    fn mission_base(&self, mission: &str) -> Result<String> {
        Ok(format!("{}/search/{}/api/v0.1", self.services().mast.trim_end_matches('/'), name_of(mission)?))
    }

    /// The question without its page.
    fn mission_question(&self, request: &Request) -> Result<(String, serde_json::Map<String, Value>)> {
        let Request::Mission { mission, position, filters, columns, .. } = request else {
            return Err(Error::Unsupported { service: "MAST".into(), what: "this is no search of a mission".into() });
        };
        let mut question = serde_json::Map::new();
        if let Some((ra, dec, radius)) = *position {
            check_position(ra, dec, radius)?;
            if radius > LARGEST_DEG {
                let what = format!(
                    "a radius of {radius} degrees: its mission search takes {LARGEST_DEG} at most; search all missions (mast) in its place"
                );
                return Err(Error::Unsupported { service: "MAST".into(), what });
            }
            question.insert("target".into(), json!([format!("{ra} {dec}")]));
            question.insert("radius".into(), json!(radius * 3600.0));
            question.insert("radius_units".into(), json!("arcseconds"));
        } else if filters.is_empty() {
            let what = "a search of a mission needs a position or at least one filter".into();
            return Err(Error::Unsupported { service: "MAST".into(), what });
        }
        question.insert("conditions".into(), filters.iter().map(condition).collect());
        if !columns.is_empty() {
            question.insert("select_cols".into(), json!(columns));
        }
        if let Some(id) = dataset_column(mission) {
            question.insert("sort_by".into(), json!([id]));
            question.insert("sort_desc".into(), json!([false]));
        }
        Ok((format!("{}/search", self.mission_base(mission)?), question))
    }

    fn mission_page(
        &self,
        (url, mission): (&str, &str),
        question: Value,
        cancelled: Cancelled,
        out: Option<&Out>,
        left: usize,
    ) -> Result<(Page, Option<Error>)> {
        let url = self.http.url(url)?;
        let service = self.http.service_name(&url);
        let response = self.http.send(&Call::post_json(url, &question), cancelled)?;
        let page = RefCell::new(Page::default());
        let shown = |page: Page| {
            let table = mission_table(page, mission, &[]).ok()?;
            if table.rows() > left { table.take(&RowSet::from_fn(table.rows(), |r| r < left)).ok() } else { Some(table) }
        };
        let early = Early::new(out, &shown);
        let looks = || {
            early.look(&page);
            cancelled()
        };
        let mut body = Body::new(&self.http, response, &looks, out);
        let head = body.peek();
        if head.first() != Some(&b'{') {
            if let Some(error) = body.failed.take() {
                return Err(error);
            }
            let mut rest = Vec::new();
            let _ = std::io::Read::read_to_end(&mut std::io::Read::take(&mut body, 65_536), &mut rest);
            return Err(body.failed.take().unwrap_or_else(|| Error::not_a_table(&service, describe_other(&rest))));
        }
        let read = Page::read_shared(&page, std::io::BufReader::with_capacity(1 << 16, &mut body));
        let page = page.take();
        let failed = match (read, body.failed.take()) {
            (_, Some(failed)) => Some(failed),
            (Err(e), None) if e.is_eof() => Some(Error::CutOff { service: service.clone(), rows: 0 }),
            (Err(e), None) => return Err(Error::not_a_table(&service, format!("JSON that cannot be read ({e})"))),
            (Ok(()), None) => None,
        };
        if failed.is_none() && page.fields.is_empty() && page.rows() == 0 && !page.other.contains_key("totalResults") {
            let text = String::from_utf8_lossy(&body.head).into_owned();
            return Err(match json_message(&text) {
                Some(message) => Error::service(&service, message),
                None => Error::not_a_table(&service, describe_other(text.as_bytes())),
            });
        }
        Ok((page, failed))
    }

    pub(crate) fn search_mission(&self, request: &Request, cancelled: Cancelled, out: &Out) -> Result<Answer> {
        let (url, question) = self.mission_question(request)?;
        let Request::Mission { mission, .. } = request else { return Err(Error::Cancelled) };
        let most = request.max_rows().unwrap_or(usize::MAX);
        let size = self.services().page_size.clamp(1, PAGE_ROWS).min(most.max(1));
        let page_of = |offset: usize, limit: usize| {
            let mut question = question.clone();
            question.insert("limit".into(), json!(limit));
            question.insert("offset".into(), json!(offset));
            Value::Object(question)
        };
        let sorted = dataset_column(mission).is_some();
        let mut asked = if sorted && size >= 2 * FIRST_ROWS { FIRST_ROWS } else { size };
        let mut answer = Answer { text: page_of(0, asked).to_string(), url: url.clone(), ..Answer::default() };
        let start = out.rows();
        // Only once rows are here: descriptions are for later.
        let mut about: Option<Vec<MissionColumn>> = None;
        loop {
            let came_before = out.rows() - start;
            let (page, failed) = self.mission_page(
                (url.as_str(), mission.as_str()),
                page_of(came_before, asked),
                cancelled,
                Some(out),
                most - came_before,
            )?;
            let total = page.other.get("totalResults").and_then(number);
            if let Some(list) = page.other.get("messages").and_then(Value::as_array) {
                answer.warnings.extend(list.iter().filter_map(|m| m.as_str().map(squeeze)).filter(|m| !m.is_empty()));
            }
            let came = page.rows();
            if about.is_none() && failed.is_none() {
                let columns = self.mission_columns(mission, cancelled);
                if let Err(Error::Cancelled) = columns {
                    return Err(Error::Cancelled);
                }
                about = Some(columns.unwrap_or_default());
            }
            let table = mission_table(page, mission, about.as_deref().unwrap_or_default())?;
            let left = most - came_before;
            let table = if came > left { table.take(&RowSet::from_fn(came, |r| r < left))? } else { table };
            if table.rows() > 0 || came_before == 0 {
                out.send(Event::Rows(table));
            }
            if let Some(failed) = failed {
                return Err(failed);
            }
            let here = out.rows() - start;
            let of = total.map(|t| t.min(most as u64));
            out.send(Event::Progress { stage: "rows".into(), done: here as u64, of });
            let all = total.map_or(came < asked, |t| here as u64 >= t);
            if all || came == 0 || here >= most {
                if let Some(total) = total.filter(|t| *t > here as u64) {
                    answer.truncated = true;
                    if here < most {
                        answer.warnings.push(format!("MAST announced {total} rows and sent {here}"));
                    }
                } else if total.is_none() && here >= most && came >= asked {
                    answer.truncated = true;
                }
                return Ok(answer);
            }
            asked = size.min(most - here);
        }
    }

    pub(crate) fn count_mission(&self, request: &Request, cancelled: Cancelled) -> Result<u64> {
        let (url, mut question) = self.mission_question(request)?;
        question.insert("count_only".into(), json!(true));
        let (page, failed) = self.mission_page((url.as_str(), ""), Value::Object(question), cancelled, None, 0)?;
        match (failed, page.other.get("totalResults").and_then(number)) {
            (Some(failed), _) => Err(failed),
            (None, Some(total)) => Ok(total),
            (None, None) => Err(Error::not_a_table("MAST", "an answer without a count")),
        }
    }

    /// The columns of a mission, for conditions and for [`Request::Mission`]'s `columns`.
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn mission_columns(&self, mission: &str, cancelled: &dyn Fn() -> bool) -> Result<Vec<MissionColumn>> {
        let base = self.services().mast.trim_end_matches('/');
        let url = self.http.url(&format!("{base}/search/util/api/v0.1/column_list?mission={}", name_of(mission)?))?;
        let response = self.http.send(&Call::get(url).accept("application/json"), cancelled)?;
        let service = response.service.clone();
        let bytes = self.http.read_all(response, 16 << 20, cancelled)?;
        let wrong = || Error::not_a_table(&service, describe_other(&bytes[..bytes.len().min(4096)]));
        let cut = |e: serde_json::Error| match e.is_eof() && !bytes.is_empty() {
            true => Error::CutOff { service: service.clone(), rows: 0 },
            false => wrong(),
        };
        let value: Value = serde_json::from_slice(&bytes).map_err(cut)?;
        let list = value.as_array().ok_or_else(|| {
            json_message(&String::from_utf8_lossy(&bytes)).map_or_else(wrong, |message| Error::service(&service, message))
        })?;
        let text = |v: &Value, key: &str| match &v[key] {
            Value::String(text) => squeeze(text),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let yes = |v: &Value, key: &str| matches!(text(v, key).to_ascii_lowercase().as_str(), "yes" | "true" | "1");
        Ok(list
            .iter()
            .map(|v| MissionColumn {
                name: text(v, "column_name"),
                title: text(v, "field_name"),
                description: text(v, "description"),
                datatype: text(v, "datatype"),
                unit: text(v, "unit"),
                queryable: yes(v, "queryable"),
                default: yes(v, "default_output"),
            })
            .filter(|c| !c.name.is_empty())
            .collect())
    }

    /// The files behind data sets of a mission, each once, in batches of 1000. `dataURI` holds the address of each, and
    /// `productFilename`, `obs_collection` and `obs_id` are there too, as in [`Client::products`].
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn mission_products(&self, mission: &str, datasets: &[String], cancelled: &dyn Fn() -> bool) -> Result<Table> {
        let base = self.mission_base(mission)?;
        let mut seen = std::collections::HashSet::new();
        let mut files: Vec<Value> = Vec::new();
        for batch in datasets.chunks(1000) {
            let url = self.http.url(&format!("{base}/post_list_products"))?;
            let response = self.http.send(&Call::post_json(url, &json!({"dataset_ids": batch})), cancelled)?;
            let service = response.service.clone();
            let bytes = self.http.read_all(response, 512 << 20, cancelled)?;
            let head = || String::from_utf8_lossy(&bytes[..bytes.len().min(65_536)]).into_owned();
            let value: Value = serde_json::from_slice(&bytes).map_err(|e| {
                if e.is_eof() && !bytes.is_empty() {
                    Error::CutOff { service: service.clone(), rows: files.len() }
                } else {
                    Error::not_a_table(&service, describe_other(head().as_bytes()))
                }
            })?;
            let Some(list) = value["products"].as_array() else {
                return Err(match json_message(&head()) {
                    Some(message) => Error::service(&service, message),
                    None => Error::not_a_table(&service, describe_other(head().as_bytes())),
                });
            };
            let mut flat = Vec::new();
            flatten(list, &mut flat);
            for file in flat {
                let key = [&file["dataset"], &file["uri"], &file["product_key"]].map(Value::to_string).concat();
                if !seen.insert(key) {
                    continue;
                }
                let Value::Object(mut file) = file.clone() else { continue };
                let text = |file: &serde_json::Map<String, Value>, key: &str| {
                    file.get(key).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).unwrap_or_default()
                };
                let address = self.mission_download_url(mission, &text(&file, "uri"));
                file.insert("dataURI".into(), json!(address));
                file.insert("productFilename".into(), json!(text(&file, "filename")));
                file.insert("obs_id".into(), json!(text(&file, "dataset")));
                file.insert("obs_collection".into(), json!(mission.trim().to_ascii_uppercase()));
                files.push(Value::Object(file));
            }
        }
        let mut page = Page::default();
        let text = json!({"data": files}).to_string();
        page.read(text.as_bytes()).map_err(|e| Error::not_a_table("MAST", e.to_string()))?;
        let mut table = mission_table(page, mission, &[])?;
        table.name = format!("{} products", mission.trim());
        Ok(table)
    }

    /// Where a file of a mission is, by the `uri` of its product row.
    pub fn mission_download_url(&self, mission: &str, uri: &str) -> String {
        let name = mission.trim().to_ascii_lowercase();
        if uri.starts_with("http://") || uri.starts_with("https://") {
            return uri.into();
        }
        if matches!(name.as_str(), "hst" | "jwst" | "roman") && !uri.to_ascii_lowercase().starts_with("mast:") {
            let base = self.services().mast.trim_end_matches('/');
            return format!("{base}/search/{name}/api/v0.1/retrieve_product?product_name={}", percent(uri, ""));
        }
        let with_scheme = uri.to_ascii_lowercase().starts_with("mast:");
        self.download_url(&if with_scheme { uri.into() } else { format!("mast:{uri}") })
    }
}

/// Lists in lists, as the service sometimes nests them.
fn flatten<'a>(list: &'a [Value], into: &mut Vec<&'a Value>) {
    for value in list {
        match value {
            Value::Array(inner) => flatten(inner, into),
            Value::Object(_) => into.push(value),
            _ => {}
        }
    }
}

fn mission_table(page: Page, mission: &str, about: &[MissionColumn]) -> Result<Table> {
    page.table(&format!("{} datasets", mission.trim()), &|column| {
        let lower = column.to_ascii_lowercase();
        let known = about.iter().find(|c| c.name.eq_ignore_ascii_case(column));
        let (unit, ucd) = match lower.as_str() {
            "sci_ra" | "targ_ra" | "ra" | "s_ra" | "ra_targ" => ("deg", "pos.eq.ra;meta.main"),
            "sci_dec" | "targ_dec" | "dec" | "s_dec" | "dec_targ" => ("deg", "pos.eq.dec;meta.main"),
            "ang_sep" => ("deg", "pos.angDistance"),
            "sci_actual_duration" | "effexptm" | "exposure_time" => ("s", "time.duration;obs.exposure"),
            "sci_central_wavelength" => ("Angstrom", "em.wl.central"),
            "size" => ("byte", "phys.size;meta.file"),
            "datauri" => ("", "meta.ref.url"),
            _ => ("", ""),
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ColumnRule {
            unit: known.and_then(|c| some(&c.unit)).or_else(|| some(unit)),
            ucd: some(ucd),
            description: known.and_then(|c| some(&c.description)),
            trim: true,
            ..ColumnRule::default()
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn conditions_take_the_services_form() {
        let json = |t: &str| condition(&t.parse::<Filter>().unwrap()).to_string();
        assert_eq!(json("sci_instrume=STIS,COS"), r#"{"sci_instrume":"STIS,COS"}"#);
        assert_eq!(json("sci_actual_duration=1000..2000"), r#"{"sci_actual_duration":"1000..2000"}"#);
        assert_eq!(json("sci_dec=0.."), r#"{"sci_dec":">=0"}"#);
        assert_eq!(json("sci_dec=..-3.5"), r#"{"sci_dec":"<=-3.5"}"#);
        assert_eq!(json("sci_targname=*GAL*"), r#"{"sci_targname":"*GAL*"}"#);
        assert_eq!(json("sci_aec=!S"), r#"{"sci_aec":"!S"}"#);
    }

    #[test]
    fn a_mission_is_a_word_and_no_path() {
        assert_eq!(name_of(" HST ").unwrap(), "hst");
        for bad in ["", "../admin", "hst/x", "a b"] {
            assert!(name_of(bad).is_err(), "{bad}");
        }
    }
}
