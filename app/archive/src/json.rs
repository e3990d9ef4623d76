//! MAST's JSON answers straight into columns, while they arrive.
//!
//! A page of 50,000 rows is 40 MB of JSON; as a tree of values it would be ten times that. Here serde walks the bytes once and each
//! value goes to the column of its key. Types follow the values, since the declared type of MAST's answers lies (`obsid` is declared
//! `string` and is an integer); the declaration only decides what the values leave open: whole numbers in a `float` column become
//! doubles, and digits in quotes in a `long` column become integers. 64-bit integers never pass through a double.
//! When the connection breaks in the middle, the rows before the break are there; a row that was cut in two is dropped.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io::Read;

use asterism_data::{ColumnMeta, Table};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::Result;

/// One value of a row.
enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

#[derive(Clone)]
enum Values {
    Null(usize),
    Bool(Vec<Option<bool>>),
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Null(n) => *n,
            Self::Bool(v) => v.len(),
            Self::Int(v) => v.len(),
            Self::Float(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }
    fn pad(&mut self, len: usize) {
        match self {
            Self::Null(n) => *n = len,
            Self::Bool(v) => v.resize(len, None),
            Self::Int(v) => v.resize(len, None),
            Self::Float(v) => v.resize(len, None),
            Self::Text(v) => v.resize(len, None),
        }
    }
    fn push(&mut self, value: Scalar) {
        match (&mut *self, value) {
            (Self::Null(n), Scalar::Null) => *n += 1,
            (Self::Bool(v), Scalar::Null) => v.push(None),
            (Self::Int(v), Scalar::Null) => v.push(None),
            (Self::Float(v), Scalar::Null) => v.push(None),
            (Self::Text(v), Scalar::Null) => v.push(None),
            (Self::Bool(v), Scalar::Bool(x)) => v.push(Some(x)),
            (Self::Int(v), Scalar::Int(x)) => v.push(Some(x)),
            (Self::Float(v), Scalar::Float(x)) => v.push(Some(x)),
            (Self::Float(v), Scalar::Int(x)) if exact(x) => v.push(Some(x as f64)),
            (Self::Text(v), Scalar::Text(x)) => v.push(Some(x)),
            (Self::Text(v), other) => v.push(Some(other.text())),
            (Self::Null(n), value) => {
                let n = *n;
                *self = match value {
                    Scalar::Bool(_) => Self::Bool(vec![None; n]),
                    Scalar::Int(_) => Self::Int(vec![None; n]),
                    Scalar::Float(_) => Self::Float(vec![None; n]),
                    Scalar::Text(_) | Scalar::Null => Self::Text(vec![None; n]),
                };
                self.push(value);
            }
            // Ids that a double would round stay digits, as text, whatever stands beside them.
            (Self::Int(v), Scalar::Float(x)) if v.iter().flatten().all(|v| exact(*v)) => {
                let mut floats: Vec<Option<f64>> = v.iter().map(|v| v.map(|v| v as f64)).collect();
                floats.push(Some(x));
                *self = Self::Float(floats);
            }
            (_, value) => {
                let mut text = self.texts();
                text.push(Some(value.text()));
                *self = Self::Text(text);
            }
        }
    }
    fn texts(&self) -> Vec<Option<String>> {
        match self {
            Self::Null(n) => vec![None; *n],
            Self::Bool(v) => v.iter().map(|v| v.map(|v| v.to_string())).collect(),
            Self::Int(v) => v.iter().map(|v| v.map(|v| v.to_string())).collect(),
            Self::Float(v) => v.iter().map(|v| v.map(|v| v.to_string())).collect(),
            Self::Text(v) => v.clone(),
        }
    }
}

impl Scalar {
    fn text(self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(v) => v.to_string(),
            Self::Int(v) => v.to_string(),
            Self::Float(v) => v.to_string(),
            Self::Text(v) => v,
        }
    }
}

/// What the answer declared about a column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    pub name: String,
    pub kind: String,
    pub description: Option<String>,
    pub unit: Option<String>,
}

/// One answer, or as much of it as came.
#[derive(Clone, Default)]
pub(crate) struct Page {
    pub status: Option<String>,
    pub message: String,
    pub fields: Vec<Declared>,
    pub paging: Value,
    /// Whatever else stood at the top.
    pub other: serde_json::Map<String, Value>,
    names: Vec<String>,
    by_name: HashMap<String, usize>,
    columns: Vec<Values>,
    rows: usize,
}

impl Page {
    /// Reads an answer into `self`; after an error `self` holds what came before it.
    pub fn read(&mut self, reader: impl Read) -> std::result::Result<(), serde_json::Error> {
        let cell = RefCell::new(std::mem::take(self));
        let read = Self::read_shared(&cell, reader);
        *self = cell.into_inner();
        read
    }
    /// As [`Page::read`]; between two bytes the page can be looked at.
    pub fn read_shared(page: &RefCell<Self>, reader: impl Read) -> std::result::Result<(), serde_json::Error> {
        let mut json = serde_json::Deserializer::from_reader(reader);
        PageSeed(page).deserialize(&mut json)?;
        json.end()
    }
    /// The rows that are here, while others still come: columns of which some rows lack a value yet are filled up.
    pub fn so_far(&self) -> Self {
        let mut page = self.clone();
        let rows = page.rows;
        page.columns.iter_mut().for_each(|c| c.pad(rows));
        page
    }
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// A number of `paging`.
    pub fn paging(&self, key: &str) -> Option<usize> {
        let value = &self.paging[key];
        // A number in quotes is the same number.
        value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).map(|v| v as usize)
    }
    fn index(&mut self, name: &str, guess: usize) -> usize {
        if self.names.get(guess).is_some_and(|n| n == name) {
            return guess;
        }
        if let Some(i) = self.by_name.get(name) {
            return *i;
        }
        let mut values = Values::Null(0);
        values.pad(self.rows);
        self.columns.push(values);
        self.names.push(name.into());
        self.by_name.insert(name.into(), self.names.len() - 1);
        self.names.len() - 1
    }
    fn row_done(&mut self) {
        self.rows += 1;
        for column in &mut self.columns {
            if column.len() < self.rows {
                column.pad(self.rows);
            }
        }
    }
    /// What each row says, as a number that depends neither on the order of its columns nor on how a value is kept here.
    fn row_hashes(&self) -> Vec<u64> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hashes = vec![0u64; self.rows];
        for (name, column) in self.names.iter().zip(&self.columns) {
            for (hash, value) in hashes.iter_mut().zip(column.texts()) {
                let Some(value) = value else { continue };
                let mut hasher = DefaultHasher::new();
                (name, value).hash(&mut hasher);
                *hash = hash.wrapping_add(hasher.finish());
            }
        }
        hashes
    }
    /// Remembers the rows, each as often as it is there.
    pub fn remember(&self) -> HashMap<u64, usize> {
        let mut shown = HashMap::new();
        for hash in self.row_hashes() {
            *shown.entry(hash).or_default() += 1;
        }
        shown
    }
    /// Which rows are not among `shown`; those that are found there are taken out of it.
    pub fn fresh(&self, shown: &mut HashMap<u64, usize>) -> Vec<bool> {
        if shown.is_empty() {
            return vec![true; self.rows];
        }
        let mut fresh = Vec::with_capacity(self.rows);
        for hash in self.row_hashes() {
            let known = shown.get_mut(&hash);
            fresh.push(known.is_none());
            if let Some(left) = known {
                *left -= 1;
                if *left == 0 {
                    shown.remove(&hash);
                }
            }
        }
        fresh
    }
    /// The integer in the first row of a column, for counts.
    pub fn first_integer(&self) -> Option<i64> {
        self.columns.iter().find_map(|c| match c {
            Values::Int(v) => v.first().copied().flatten(),
            Values::Float(v) => v.first().copied().flatten().map(|v| v as i64),
            Values::Text(v) => v.first().cloned().flatten()?.trim().parse().ok(),
            _ => None,
        })
    }

    /// The rows as a table, columns in the order of `fields`.
    pub fn table(mut self, name: &str, rules: &dyn Fn(&str) -> ColumnRule) -> Result<Table> {
        let rows = self.rows;
        for (i, name) in self.names.iter_mut().enumerate() {
            // Rows that are arrays name their columns by position.
            if let Some(position) = name.strip_prefix('\u{1}').and_then(|p| p.parse::<usize>().ok()) {
                *name = self.fields.get(position).map_or_else(|| format!("column_{}", position + 1), |f| f.name.clone());
            }
            self.columns[i].pad(rows);
        }
        let mut order: Vec<(String, Option<usize>, Declared)> = Vec::new();
        for field in &self.fields {
            let at = self.names.iter().position(|n| *n == field.name);
            if !order.iter().any(|(n, ..)| *n == field.name) {
                order.push((field.name.clone(), at, field.clone()));
            }
        }
        for (i, name) in self.names.iter().enumerate() {
            if !order.iter().any(|(n, ..)| n == name) {
                order.push((name.clone(), Some(i), Declared::default()));
            }
        }
        if order.is_empty() {
            return Ok(named(name));
        }
        let mut table = named(name);
        for (name, at, declared) in order {
            if name == "_selected_" {
                continue;
            }
            let rule = rules(&name);
            let mut values = Values::Null(rows);
            if let Some(i) = at {
                values = std::mem::replace(&mut self.columns[i], Values::Null(rows));
            }
            let (values, null_rule) = finish(values, &declared.kind, &rule);
            let meta = ColumnMeta {
                unit: rule.unit.or(declared.unit),
                ucd: rule.ucd,
                utype: rule.utype,
                description: rule.description.or(declared.description),
                null_rule,
                ..ColumnMeta::default()
            };
            add_column(&mut table, &name, values, meta)?;
        }
        Ok(table)
    }
}

/// Whether a double holds this integer and no neighbour of it.
fn exact(v: i64) -> bool {
    v.unsigned_abs() < 1 << 53
}

/// A table with a name and nothing in it.
fn named(name: &str) -> Table {
    let mut table = Table::default();
    name.clone_into(&mut table.name);
    table
}

/// A column with nulls.
fn add_column(table: &mut Table, name: &str, values: Values, meta: ColumnMeta) -> Result<()> {
    match values {
        Values::Null(n) => table.with_nullable_string(name, vec![None; n], meta)?,
        Values::Int(v) => table.with_nullable_i64(name, v, meta)?,
        Values::Float(v) => table.with_nullable_f64(name, v, meta)?,
        Values::Text(v) => table.with_nullable_string(name, v, meta)?,
        Values::Bool(v) => table.with_nullable_bool(name, v, meta)?,
    }
    Ok(())
}

/// What is known about a column beside the answer itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct ColumnRule {
    pub unit: Option<String>,
    pub ucd: Option<String>,
    pub utype: Option<String>,
    pub description: Option<String>,
    /// A number that stands for no value, beside the rules of every column.
    pub ignore: Option<f64>,
    /// -999 stands for no value also in columns of real numbers.
    pub minus_999: bool,
    /// Blanks around text are padding.
    pub trim: bool,
}

/// The values in the type they are of, without those that stand for no value, and what stood for it.
fn finish(values: Values, declared: &str, rule: &ColumnRule) -> (Values, Option<String>) {
    let declared = declared.to_ascii_lowercase();
    let declared = declared.split('(').next().unwrap_or("");
    let whole = matches!(declared, "int" | "integer" | "long" | "short" | "unsignedbyte" | "bigint" | "smallint" | "tinyint");
    let real = matches!(declared, "float" | "double" | "decimal" | "real" | "numeric" | "number");
    let values = match values {
        Values::Null(n) if whole => Values::Int(vec![None; n]),
        Values::Null(n) if real => Values::Float(vec![None; n]),
        Values::Null(n) if declared.starts_with("bool") => Values::Bool(vec![None; n]),
        Values::Null(n) => Values::Text(vec![None; n]),
        Values::Int(v) if real => Values::Float(v.into_iter().map(|v| v.map(|v| v as f64)).collect()),
        Values::Text(v) if whole || real => numbers(v, whole),
        Values::Float(v) if whole && v.iter().flatten().all(|v| v.fract() == 0.0 && v.abs() < 9.0e15) => {
            Values::Int(v.into_iter().map(|v| v.map(|v| v as i64)).collect())
        }
        other => other,
    };
    let mut nulls: Vec<String> = Vec::new();
    let mut note = |what: String| {
        if !nulls.contains(&what) {
            nulls.push(what);
        }
    };
    let values = match values {
        Values::Int(mut v) => {
            for x in &mut v {
                if *x == Some(-999) || (x.is_some() && x.map(|x| x as f64) == rule.ignore) {
                    note(x.map_or_else(String::new, |x| x.to_string()));
                    *x = None;
                }
            }
            Values::Int(v)
        }
        Values::Float(mut v) => {
            for x in &mut v {
                let Some(value) = *x else { continue };
                if value.is_nan() {
                    *x = None;
                    note("NaN".into());
                } else if Some(value) == rule.ignore || (rule.minus_999 && value == -999.0) {
                    *x = None;
                    note(value.to_string());
                }
            }
            Values::Float(v)
        }
        Values::Text(mut v) => {
            for x in &mut v {
                if let Some(text) = x.as_mut().filter(|t| rule.trim && (t.starts_with(' ') || t.ends_with(' '))) {
                    *text = text.trim().to_owned();
                }
                if x.as_deref() == Some("") {
                    *x = None;
                    note("empty".into());
                }
            }
            Values::Text(v)
        }
        other => other,
    };
    (values, (!nulls.is_empty()).then(|| nulls.join(", ")))
}

/// Numbers in quotes, where every one is a number.
fn numbers(text: Vec<Option<String>>, whole: bool) -> Values {
    let blank = |v: &str| v.trim().is_empty();
    if whole {
        let parsed: Option<Vec<Option<i64>>> = text
            .iter()
            .map(|v| match v.as_deref() {
                None => Some(None),
                Some(v) if blank(v) => Some(None),
                Some(v) => v.trim().parse().ok().map(Some),
            })
            .collect();
        if let Some(parsed) = parsed {
            return Values::Int(parsed);
        }
    }
    let parsed: Option<Vec<Option<f64>>> = text
        .iter()
        .map(|v| match v.as_deref() {
            None => Some(None),
            Some(v) if blank(v) => Some(None),
            Some(v) => v.trim().parse().ok().map(Some),
        })
        .collect();
    // Digits of an id that do not fit stay text.
    match parsed {
        Some(parsed) if !whole || parsed.iter().flatten().all(|v| v.abs() < 9.0e15) => Values::Float(parsed),
        _ => Values::Text(text),
    }
}

/// The page is taken hold of only between two values, since the reader below may look at it while it waits for bytes.
struct PageSeed<'a>(&'a RefCell<Page>);

impl<'de> DeserializeSeed<'de> for PageSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PageSeed<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an answer of MAST (a JSON object)")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let page = self.0;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "status" => {
                    let status = map.next_value::<Value>()?.as_str().map(str::to_owned);
                    page.borrow_mut().status = status;
                }
                "msg" => {
                    let message = match map.next_value::<Value>()? {
                        Value::String(text) => text,
                        Value::Null => String::new(),
                        other => other.to_string(),
                    };
                    page.borrow_mut().message = message;
                }
                "data" | "results" => map.next_value_seed(Rows(page))?,
                "fields" | "info" => {
                    let fields = map.next_value::<Value>()?;
                    let text = |v: &Value, k: &str| v[k].as_str().map(str::to_owned);
                    page.borrow_mut().fields = fields
                        .as_array()
                        .map(|list| {
                            list.iter()
                                .filter_map(|f| {
                                    Some(Declared {
                                        name: text(f, "name")?,
                                        kind: text(f, "type").or_else(|| text(f, "db_type")).unwrap_or_default(),
                                        description: text(f, "description"),
                                        unit: text(f, "unit").or_else(|| text(f, "units")).filter(|u| !u.is_empty()),
                                    })
                                })
                                .collect()
                        })
                        .unwrap_or_default();
                }
                "paging" => {
                    let paging = map.next_value()?;
                    page.borrow_mut().paging = paging;
                }
                _ => {
                    let value = map.next_value()?;
                    page.borrow_mut().other.insert(key, value);
                }
            }
        }
        Ok(())
    }
}

struct Rows<'a>(&'a RefCell<Page>);

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of rows")
    }
    fn visit_unit<E>(self) -> std::result::Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _text: &str) -> std::result::Result<(), E> {
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        while seq.next_element_seed(Row(self.0))?.is_some() {
            self.0.borrow_mut().row_done();
        }
        Ok(())
    }
}

struct Row<'a>(&'a RefCell<Page>);

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a row (an object or an array)")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let (rows, columns) = (self.0.borrow().rows, self.0.borrow().names.len());
        let mut cells = Vec::with_capacity(columns);
        let mut guess = 0;
        while let Some(key) = map.next_key::<std::borrow::Cow<str>>()? {
            let index = self.0.borrow_mut().index(&key, guess);
            guess = index + 1;
            cells.push((index, map.next_value_seed(ScalarSeed)?));
        }
        // Only a row that came whole counts.
        let page = &mut *self.0.borrow_mut();
        for (index, cell) in cells {
            let column = &mut page.columns[index];
            column.pad_to(rows);
            if column.len() == rows {
                column.push(cell);
            }
        }
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        let (rows, columns) = (self.0.borrow().rows, self.0.borrow().names.len());
        let mut cells = Vec::with_capacity(columns);
        while let Some(cell) = seq.next_element_seed(ScalarSeed)? {
            let position = cells.len();
            let mut page = self.0.borrow_mut();
            let index = if position < page.names.len() { position } else { page.index(&format!("\u{1}{position}"), position) };
            cells.push((index, cell));
        }
        let page = &mut *self.0.borrow_mut();
        for (index, cell) in cells {
            let column = &mut page.columns[index];
            column.pad_to(rows);
            column.push(cell);
        }
        Ok(())
    }
}

impl Values {
    fn pad_to(&mut self, len: usize) {
        if self.len() < len {
            self.pad(len);
        }
    }
}

struct ScalarSeed;

impl<'de> DeserializeSeed<'de> for ScalarSeed {
    type Value = Scalar;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Scalar, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ScalarSeed {
    type Value = Scalar;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Null)
    }
    fn visit_bool<E>(self, v: bool) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Int(v))
    }
    fn visit_u64<E>(self, v: u64) -> std::result::Result<Scalar, E> {
        // Above i64 an id is kept by its digits.
        Ok(i64::try_from(v).map_or_else(|_| Scalar::Text(v.to_string()), Scalar::Int))
    }
    fn visit_f64<E>(self, v: f64) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Float(v))
    }
    fn visit_str<E>(self, v: &str) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Text(v.into()))
    }
    fn visit_string<E>(self, v: String) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Text(v))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Scalar, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element::<Value>()? {
            list.push(value);
        }
        Ok(Scalar::Text(Value::Array(list).to_string()))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Scalar, A::Error> {
        let mut object = serde_json::Map::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            object.insert(key, value);
        }
        Ok(Scalar::Text(Value::Object(object).to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use asterism_data::Cell;

    fn table(text: &str) -> Table {
        let mut page = Page::default();
        page.read(text.as_bytes()).unwrap();
        page.table("t", &|_| ColumnRule::default()).unwrap()
    }

    #[test]
    fn types_follow_values_and_big_integers_stay_exact() {
        let t = table(
            r#"{"data":[{"id":9007199254740993,"f":0,"s":"x","n":-999,"e":""},{"id":18446744073709551615,"f":1,"extra":[1,2],"n":4,"flag":true}],
               "fields":[{"name":"id","type":"string"},{"name":"f","type":"float"},{"name":"s","type":"string"},{"name":"n","type":"int"},{"name":"_selected_","type":"boolean"}]}"#,
        );
        assert_eq!(t.columns().iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["id", "f", "s", "n", "e", "extra", "flag"]);
        assert_eq!((t.cell(0, 6), t.cell(1, 6), t.columns()[6].datatype.as_str()), (Cell::Null, Cell::Bool(true), "bool"));
        assert_eq!(t.cell(0, 0), Cell::Text("9007199254740993".into()));
        assert_eq!(t.cell(1, 0), Cell::Text("18446744073709551615".into()));
        assert_eq!(t.cell(0, 1), Cell::Float(0.0));
        assert_eq!((t.cell(0, 3), t.cell(1, 3)), (Cell::Null, Cell::Int(4)));
        assert_eq!(t.columns()[3].null_rule.as_deref(), Some("-999"));
        assert_eq!(t.cell(0, 4), Cell::Null);
        assert_eq!(t.cell(1, 5), Cell::Text("[1,2]".into()));
    }

    #[test]
    fn an_id_beside_a_fraction_is_not_rounded() {
        let after = table(r#"{"data":[{"id":9007199254740993},{"id":0.5}],"fields":[{"name":"id","type":"string"}]}"#);
        assert_eq!(after.cell(0, 0), Cell::Text("9007199254740993".into()));
        let before = table(r#"{"data":[{"id":0.5},{"id":9007199254740993}],"fields":[{"name":"id","type":"string"}]}"#);
        assert_eq!(before.cell(1, 0), Cell::Text("9007199254740993".into()));
        let small = table(r#"{"data":[{"m":12},{"m":12.5}],"fields":[{"name":"m","type":"string"}]}"#);
        assert_eq!((small.cell(0, 0), small.cell(1, 0)), (Cell::Float(12.0), Cell::Float(12.5)));
    }

    #[test]
    fn a_cut_answer_keeps_its_whole_rows() {
        let text = r#"{"status":"COMPLETE","data":[{"a":1,"b":"x"},{"a":2,"b":"y"},{"a":3,"b"#;
        let mut page = Page::default();
        assert!(page.read(text.as_bytes()).unwrap_err().is_eof());
        assert_eq!(page.rows(), 2);
        let t = page.table("t", &|_| ColumnRule::default()).unwrap();
        assert_eq!((t.rows(), t.cell(1, 0)), (2, Cell::Int(2)));
    }

    #[test]
    fn rows_that_were_shown_are_known_again_each_as_often_as_it_was_there() {
        let page = |text: &str| {
            let mut page = Page::default();
            page.read(text.as_bytes()).unwrap();
            page
        };
        // Another order of rows and keys, an integer that became a double, a null that was left out, a row twice.
        let first = page(r#"{"data":[{"a":1,"b":"x"},{"a":2,"b":null},{"a":1,"b":"x"}]}"#);
        let whole = page(r#"{"data":[{"a":2},{"b":"x","a":1.0},{"a":0.5,"b":"x"},{"a":1,"b":"x"},{"a":1,"b":"x"}]}"#);
        let mut shown = first.remember();
        assert_eq!(whole.fresh(&mut shown), [false, false, true, false, true]);
        assert!(shown.is_empty());
        assert_eq!(whole.fresh(&mut shown), [true; 5]);
    }

    #[test]
    fn rows_that_are_arrays_take_their_names_from_info() {
        let t = table(
            r#"{"data":[["a","68960059717834079",-1.5],["b",null,2]],"info":[{"name":"n","type":"char"},{"name":"objID","type":"long"},{"name":"x","type":"double"}]}"#,
        );
        assert_eq!(t.cell(0, 1), Cell::Int(68_960_059_717_834_079));
        assert_eq!(t.cell(1, 2), Cell::Float(2.0));
        assert_eq!(t.columns()[1].name, "objID");
    }
}
