//! The columns that a search may be asked by, as its service describes them: what a form is made of.
//!
//! MAST's portal has a columns configuration for observations and for the TESS catalogues; a mission's search and Pan-STARRS have
//! lists of their own. All become [`FormColumn`]: a title, what it means, its unit, an example, and the values there are where the
//! service names them. The choice not taken is a list kept in the program, which goes stale with the archive's next mission.
//!
//! Cost: one small document for each service, asked once by the caller. Sources: MAST `Mashup.asmx/columnsconfig`,
//! `search/util/api/v0.1/column_list`, `catalogs.mast.stsci.edu/api/v0.1/panstarrs/.../metadata.json`.

use std::time::Duration;

use serde_json::Value;

use crate::http::{Call, Cancelled};
use crate::text::{describe_other, squeeze};
use crate::{Client, Error, Result};

/// Values that are named at most; a longer list is a sentence with commas.
const MOST_CHOICES: usize = 30;

/// Whose columns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FormOf {
    /// Observations of all missions at MAST.
    Observations,
    /// A catalogue at MAST: `tic`, `ctl`, `panstarrs`.
    Catalog(String),
    /// One mission at MAST.
    Mission(String),
    /// Another service of MAST's portal.
    Portal(String),
}

/// What a condition on a column holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormKind {
    /// The service does not say.
    #[default]
    Any,
    /// Words; `*` stands for any part.
    Text,
    /// A number, or a range `10..20`.
    Number,
    /// A date as Modified Julian Date (days).
    Mjd,
}

/// A column of a form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FormColumn {
    /// As it stands in a condition.
    pub name: String,
    /// For a person, short.
    pub title: String,
    /// For a person, at length.
    pub description: String,
    /// As the service writes it; empty without one.
    pub unit: String,
    /// What a value looks like, in the service's words.
    pub example: String,
    /// What a condition holds.
    pub kind: FormKind,
    /// All values there are, where the service says so.
    pub choices: Vec<String>,
}

impl FormColumn {
    /// One line for an empty field: the example, or what the kind of column takes.
    pub fn hint(&self) -> String {
        match (self.example.as_str(), self.kind) {
            ("", FormKind::Any) => "A, B or 1..5 or *part*".into(),
            ("", FormKind::Text) => "A, B or *part*".into(),
            ("", FormKind::Number) if self.unit.is_empty() => "1..5".into(),
            ("", FormKind::Number) => format!("1..5 {}", self.unit),
            ("", FormKind::Mjd) => "59000..60000 (MJD)".into(),
            (example, _) => example.into(),
        }
    }
}

impl FormColumn {
    /// What was typed, as the service takes it: dates (`2020-01-31`) in a column of days become MJD.
    pub fn value(&self, typed: &str) -> String {
        let typed = typed.trim();
        if self.kind != FormKind::Mjd {
            return typed.into();
        }
        let part = |t: &str| mjd(t.trim()).map_or_else(|| t.trim().to_owned(), |d| d.to_string());
        match typed.split_once("..") {
            Some((from, to)) => format!("{}..{}", part(from), part(to)),
            None => typed.split(',').map(part).collect::<Vec<_>>().join(", "),
        }
    }
}

/// The Modified Julian Date at which a day of the Gregorian calendar begins: days since 1858-11-17 (UTC).
fn mjd(date: &str) -> Option<i64> {
    let mut parts = date.split('-').map(|p| p.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1000..=9999).contains(&year) {
        return None;
    }
    // Years that begin in March.
    let (y, m) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    Some(365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 1 - 678_881)
}

impl Client {
    /// The columns that a search at MAST may be asked by, those that the service puts first in front. Empty for a catalogue that
    /// takes no conditions.
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn form_columns(&self, of: &FormOf, cancelled: &dyn Fn() -> bool) -> Result<Vec<FormColumn>> {
        match of {
            FormOf::Observations => Ok(of_config(&self.columns_config("Mast.Caom.Cone", cancelled)?)),
            FormOf::Catalog(name) => match name.trim().to_ascii_lowercase().as_str() {
                "tic" | "ctl" => Ok(of_config(&self.columns_config("Mast.Catalogs.Tess.Cone", cancelled)?)),
                "panstarrs" => self.panstarrs_columns(cancelled),
                _ => Ok(Vec::new()),
            },
            FormOf::Portal(name) => match crate::portal::find(name).map(|s| s.config) {
                Some("") | None => Ok(Vec::new()),
                Some(config) => Ok(of_config(&self.columns_config(config, cancelled)?)),
            },
            FormOf::Mission(mission) => {
                let columns = self.mission_columns(mission, cancelled)?;
                Ok(columns.into_iter().filter(|c| c.queryable).map(of_mission).collect())
            }
        }
    }

    /// MAST's columns configuration of this name, as it comes.
    pub(crate) fn columns_config(&self, name: &str, cancelled: Cancelled) -> Result<Value> {
        let url =
            self.http.url(&format!("{}/portal/Mashup/Mashup.asmx/columnsconfig", self.services().mast.trim_end_matches('/')))?;
        let mut call = Call::post_form(url, &[("colConfigId", name)]);
        call.timeout = Some(self.http.timeout().min(Duration::from_secs(10)));
        // Without it a search still works: no second try.
        call.idempotent = false;
        let response = self.http.send(&call, cancelled)?;
        let bytes = self.http.read_all(response, 8 << 20, cancelled)?;
        serde_json::from_slice(&bytes).map_err(|e| Error::not_a_table("MAST", e.to_string()))
    }

    fn panstarrs_columns(&self, cancelled: Cancelled) -> Result<Vec<FormColumn>> {
        let base = self.services().catalogs.trim_end_matches('/');
        let url = self.http.url(&format!("{base}/api/v0.1/panstarrs/dr2/mean/metadata.json"))?;
        let response = self.http.send(&Call::get(url).accept("application/json"), cancelled)?;
        let service = response.service.clone();
        let bytes = self.http.read_all(response, 8 << 20, cancelled)?;
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|_| Error::not_a_table(&service, describe_other(&bytes[..bytes.len().min(4096)])))?;
        let list = value.as_array().or_else(|| value["data"].as_array());
        let list = list.ok_or_else(|| Error::not_a_table(&service, "no list of columns".to_owned()))?;
        let text = |v: &Value, keys: &[&str]| keys.iter().find_map(|k| v[*k].as_str()).map(squeeze).unwrap_or_default();
        let columns = list.iter().map(|v| FormColumn {
            name: text(v, &["name", "column_name"]),
            title: String::new(),
            description: text(v, &["description"]),
            unit: text(v, &["unit", "units"]),
            kind: kind_of(&text(v, &["db_type", "datatype", "type"])),
            ..FormColumn::default()
        });
        Ok(columns.filter(|c| !c.name.is_empty()).collect())
    }
}

fn kind_of(datatype: &str) -> FormKind {
    let lower = datatype.to_ascii_lowercase();
    if lower.is_empty() {
        return FormKind::Any;
    }
    let numbers = ["int", "long", "short", "float", "double", "real", "numeric", "decimal", "number", "byte"];
    if numbers.iter().any(|n| lower.contains(n)) { FormKind::Number } else { FormKind::Text }
}

/// Columns of a configuration: those that a service has (not removed, not added by the portal), in its order.
fn of_config(config: &Value) -> Vec<FormColumn> {
    let text = |v: &Value, key: &str| v[key].as_str().map(squeeze).unwrap_or_default();
    let yes = |v: &Value, key: &str| v[key].as_bool() == Some(true);
    let mut columns: Vec<(i64, FormColumn)> = Vec::new();
    for (name, v) in config.as_object().into_iter().flatten() {
        if yes(v, "remove") || yes(v, "add") || name.starts_with('_') {
            continue;
        }
        let example = text(v, "example");
        if example.starts_with("*Not available") {
            continue;
        }
        let mjd = yes(v, "isMjd") || v["unit"].as_str() == Some("MJD");
        let first = |a: String, b: String| if a.is_empty() { b } else { a };
        let column = FormColumn {
            title: text(v, "text"),
            description: text(v, "vot.description"),
            unit: if mjd { "d".into() } else { first(text(v, "vot.unit"), text(v, "unit")) },
            kind: if mjd { FormKind::Mjd } else { kind_of(&first(text(v, "vot.datatype"), text(v, "type"))) },
            choices: choices(&example),
            example,
            name: name.clone(),
        };
        // Those with an order stand first, those that a form shows unasked next.
        let order =
            v["order"].as_i64().unwrap_or(if yes(v, "defaultFacet") || !v["prefilterOrder"].is_null() { 1000 } else { 2000 });
        columns.push((order, column));
    }
    columns.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.name.cmp(&b.1.name)));
    columns.into_iter().map(|c| c.1).collect()
}

fn of_mission(column: crate::mission::MissionColumn) -> FormColumn {
    // The description ends with examples in brackets.
    let (about, example) = match column.description.rfind("(e.g. ") {
        Some(at) if column.description.ends_with(')') => {
            (column.description[..at].trim().to_owned(), column.description[at + 6..column.description.len() - 1].to_owned())
        }
        _ => (column.description, String::new()),
    };
    FormColumn {
        name: column.name,
        title: column.title,
        description: about,
        unit: column.unit,
        kind: kind_of(&column.datatype),
        choices: Vec::new(),
        example,
    }
}

/// The values in "Valid values: A, B, C".
fn choices(example: &str) -> Vec<String> {
    let Some(list) = example.strip_prefix("Valid values:") else { return Vec::new() };
    let list: Vec<String> =
        list.split(',').map(|t| t.trim().trim_end_matches('.').to_owned()).filter(|t| !t.is_empty()).collect();
    if list.len() > MOST_CHOICES || list.iter().any(|t| t.split_whitespace().count() > 3) { Vec::new() } else { list }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_days() {
        // astropy.time.Time("2020-01-31").mjd and so on.
        assert_eq!(
            [mjd("2020-01-31"), mjd("1858-11-17"), mjd("2000-02-29"), mjd("1999-03-01")],
            [Some(58879), Some(0), Some(51603), Some(51238)]
        );
        let column = FormColumn { kind: FormKind::Mjd, ..FormColumn::default() };
        assert_eq!(column.value("2020-01-31..2020-02-01"), "58879..58880");
        assert_eq!(column.value("..2020-02-01"), "..58880");
        assert_eq!(column.value("58000.5.."), "58000.5..");
        assert_eq!(FormColumn::default().value(" 2020-01-31 "), "2020-01-31");
        assert_eq!(mjd("2020-13-01"), None);
    }
}
