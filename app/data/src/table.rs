//! A table: a polars frame and what the archive said about each column.
//!
//! Rows are append-only. Row `i` is the stable id of a row: sorting and filtering make orders and
//! [`RowSet`](crate::RowSet)s, they never move rows. Integers of 64 bits stay integers (Gaia's
//! `source_id` and PanSTARRS' `objID` do not fit in a double).

use polars::prelude::*;

use crate::{Error, Result};

/// What is known about a column, beside its values.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ColumnMeta {
    /// Name, unique within the table.
    pub name: String,
    /// Unit as the source wrote it (VOUnits, FITS or CDS).
    pub unit: Option<String>,
    /// Unified Content Descriptor.
    pub ucd: Option<String>,
    /// Role in a data model.
    pub utype: Option<String>,
    /// DALI extended type (`timestamp`, `point`, ...).
    pub xtype: Option<String>,
    /// For a person.
    pub description: Option<String>,
    /// What stood for "no value" in the source, in words (`-999`, `empty`, `NaN`, `TNULL 0`).
    pub null_rule: Option<String>,
    /// Type as `info --json` prints it: `f64`, `i64[3]`, `string`, `f32[*]`.
    pub datatype: String,
}

/// A value that holds for the whole table (VOTable PARAM or INFO, FITS keyword).
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Param {
    /// Name.
    pub name: String,
    /// Value as text.
    pub value: String,
    /// Unit.
    pub unit: Option<String>,
    /// For a person.
    pub description: Option<String>,
}

/// One cell, for a person and for tests.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// Truth value.
    Bool(bool),
    /// Any integer of up to 64 bits.
    Int(i64),
    /// An unsigned 64-bit integer above `i64::MAX`.
    UInt(u64),
    /// A number. `f32` columns print with the digits of an `f32`.
    Float(f64),
    /// Text.
    Text(String),
    /// An array cell.
    Array(Vec<f64>),
}

/// What [`Table::statistics`] finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Cells without a value: null, and NaN in columns of floats.
    pub nulls: usize,
    /// Smallest value (of all elements of array cells), exact for 64-bit integers;
    /// [`Cell::Null`] when there is none or the column is not made of numbers.
    pub min: Cell,
    /// Largest value, likewise.
    pub max: Cell,
}

impl Default for Statistics {
    fn default() -> Self {
        Self { nulls: 0, min: Cell::Null, max: Cell::Null }
    }
}

impl Cell {
    /// A number as a double (integers above 2^53 rounded).
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(v) => Some(*v as f64),
            Self::UInt(v) => Some(*v as f64),
            Self::Float(v) => Some(*v),
            _ => None,
        }
    }
}

/// Rows × columns with metadata.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Name of the table (TABLE@name, EXTNAME, file stem).
    pub name: String,
    /// For a person.
    pub description: String,
    /// Values that hold for the whole table.
    pub params: Vec<Param>,
    /// The service cut the answer off.
    pub truncated: bool,
    /// What the reader had to put up with.
    pub warnings: Vec<String>,
    frame: DataFrame,
    columns: Vec<ColumnMeta>,
}

impl Table {
    /// A table of `frame`; `columns` must be as many and named as in the frame.
    /// Missing `datatype`s are filled in from the frame.
    ///
    /// # Errors
    /// [`Error::Format`] when the two disagree.
    pub fn new(name: impl Into<String>, frame: DataFrame, mut columns: Vec<ColumnMeta>) -> Result<Self> {
        let name = name.into();
        if frame.width() != columns.len() {
            return Err(Error::format(name, format!("{} columns of data but {} of metadata", frame.width(), columns.len())));
        }
        for (series, meta) in frame.columns().iter().zip(&mut columns) {
            if series.name().as_str() != meta.name {
                return Err(Error::format(name, format!("column '{}' is described as '{}'", series.name(), meta.name)));
            }
            if meta.datatype.is_empty() {
                meta.datatype = datatype_name(series.dtype());
            }
        }
        Ok(Self { name, frame, columns, ..Self::default() })
    }
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.frame.height()
    }
    /// Metadata of each column, in order.
    pub fn columns(&self) -> &[ColumnMeta] {
        &self.columns
    }
    /// To change units, UCDs, descriptions (never names).
    pub fn column_meta_mut(&mut self, index: usize) -> Option<&mut ColumnMeta> {
        self.columns.get_mut(index)
    }
    /// The polars frame.
    pub fn frame(&self) -> &DataFrame {
        &self.frame
    }
    /// Index of the column named so (exact match first, then without regard to case).
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|c| c.name == name)
            .or_else(|| self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name)))
    }
    /// The number of the column named so; as [`Self::column_index`], with a message.
    ///
    /// # Errors
    /// [`Error::NoColumn`].
    pub fn index_of(&self, name: &str) -> Result<usize> {
        self.column_index(name).ok_or_else(|| Error::NoColumn { name: name.into(), have: self.nearest(name) })
    }
    /// The column named so.
    ///
    /// # Errors
    /// [`Error::NoColumn`].
    pub fn column(&self, name: &str) -> Result<&Column> {
        Ok(&self.frame.columns()[self.index_of(name)?])
    }
    /// The names that are there, the most alike first, for messages.
    fn nearest(&self, name: &str) -> String {
        let mut names: Vec<(usize, &str)> = self.columns.iter().map(|c| (edits(name, &c.name), c.name.as_str())).collect();
        names.sort_by_key(|(d, _)| *d);
        let more = names.len().saturating_sub(8);
        let mut text = names.iter().take(8).map(|(_, n)| *n).collect::<Vec<_>>().join(", ");
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        text
    }
    /// Number of cells without a value (null or NaN), smallest and largest value.
    ///
    /// # Errors
    /// [`Error::NoColumn`] for an index that is not there, [`Error::Polars`].
    pub fn statistics(&self, column: usize) -> Result<Statistics> {
        let series = self
            .frame
            .columns()
            .get(column)
            .ok_or_else(|| Error::NoColumn { name: format!("number {column}"), have: self.nearest("") })?
            .as_materialized_series();
        let mut out = Statistics { nulls: series.null_count(), ..Statistics::default() };
        let inner;
        let values = match series.dtype() {
            DataType::List(_) => {
                inner = series.list()?.get_inner();
                &inner
            }
            _ => series,
        };
        fn bounds<T: PartialOrd + Copy>(it: impl Iterator<Item = Option<T>>) -> (usize, Option<(T, T)>) {
            let mut nan = 0;
            let mut range: Option<(T, T)> = None;
            for v in it.flatten() {
                #[expect(clippy::eq_op, reason = "true only for NaN")]
                if v != v {
                    nan += 1;
                } else {
                    match &mut range {
                        None => range = Some((v, v)),
                        Some((lo, hi)) => {
                            if v < *lo {
                                *lo = v;
                            }
                            if v > *hi {
                                *hi = v;
                            }
                        }
                    }
                }
            }
            (nan, range)
        }
        macro_rules! of {
            ($values:expr, $cell:expr) => {{
                let (nan, range) = bounds($values.iter());
                if let Some((lo, hi)) = range {
                    (out.min, out.max) = ($cell(lo), $cell(hi));
                }
                nan
            }};
        }
        let int = |v: i64| Cell::Int(v);
        let nan = match values.dtype() {
            DataType::Int8 => of!(values.i8()?, |v| int(i64::from(v))),
            DataType::UInt8 => of!(values.u8()?, |v| int(i64::from(v))),
            DataType::Int16 => of!(values.i16()?, |v| int(i64::from(v))),
            DataType::UInt16 => of!(values.u16()?, |v| int(i64::from(v))),
            DataType::Int32 => of!(values.i32()?, |v| int(i64::from(v))),
            DataType::UInt32 => of!(values.u32()?, |v| int(i64::from(v))),
            DataType::Int64 => of!(values.i64()?, int),
            DataType::UInt64 => of!(values.u64()?, |v| cell_of(AnyValue::UInt64(v))),
            DataType::Float32 => of!(values.f32()?, |v| cell_of(AnyValue::Float32(v))),
            DataType::Float64 => of!(values.f64()?, Cell::Float),
            _ => 0,
        };
        if !series.dtype().is_list() {
            out.nulls += nan;
        }
        Ok(out)
    }
    /// Index of the first column whose UCD starts with `ucd`, without regard to case.
    pub fn column_by_ucd(&self, ucd: &str) -> Option<usize> {
        let ucd = ucd.to_ascii_lowercase();
        self.columns.iter().position(|c| c.ucd.as_deref().is_some_and(|u| u.to_ascii_lowercase().starts_with(&ucd)))
    }
    /// Whether the column holds numbers, one a cell.
    pub fn is_numeric(&self, index: usize) -> bool {
        self.frame.columns().get(index).is_some_and(|c| c.dtype().is_primitive_numeric())
    }
    /// A column as doubles; null is NaN. Integers above 2^53 are rounded: for drawing and
    /// features only, never for ids.
    ///
    /// # Errors
    /// [`Error::NoColumn`], or [`Error::Polars`] when the column is not made of numbers.
    pub fn f64s(&self, name: &str) -> Result<Vec<f64>> {
        let column = self.column(name)?.cast(&DataType::Float64)?;
        Ok(column.f64()?.iter().map(|v| v.unwrap_or(f64::NAN)).collect())
    }
    /// A column as text; null is `None`.
    ///
    /// # Errors
    /// [`Error::NoColumn`] or [`Error::Polars`].
    pub fn strings(&self, name: &str) -> Result<Vec<Option<String>>> {
        let column = self.column(name)?;
        if let Ok(text) = column.str() {
            return Ok(text.iter().map(|v| v.map(str::to_owned)).collect());
        }
        let column = column.cast(&DataType::String)?;
        Ok(column.str()?.iter().map(|v| v.map(str::to_owned)).collect())
    }
    /// The numbers of an array cell; null elements are NaN; empty for null.
    pub fn array(&self, column: usize, row: usize) -> Vec<f64> {
        match self.cell(row, column) {
            Cell::Array(v) => v,
            Cell::Float(v) => vec![v],
            Cell::Int(v) => vec![v as f64],
            _ => Vec::new(),
        }
    }
    /// One cell.
    pub fn cell(&self, row: usize, column: usize) -> Cell {
        let Some(series) = self.frame.columns().get(column) else { return Cell::Null };
        match series.get(row) {
            Ok(value) => cell_of(value),
            Err(_) => Cell::Null,
        }
    }
    /// `other`'s rows below this table's, matched by column name; columns that only one has are
    /// filled with nulls. This is how later pages and later searches arrive.
    ///
    /// # Errors
    /// [`Error::Polars`] when types cannot be brought together.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        if self.frame.width() == 0 {
            let warnings = std::mem::take(&mut self.warnings);
            let name = std::mem::take(&mut self.name);
            *self = other.clone();
            self.warnings.splice(0..0, warnings);
            if !name.is_empty() {
                self.name = name;
            }
            return Ok(());
        }
        let mut columns = Vec::with_capacity(self.frame.width());
        for column in self.frame.columns() {
            let mut series = column.as_materialized_series().clone();
            let mut more = match other.column_index(series.name()) {
                Some(i) => other.frame.columns()[i].as_materialized_series().clone(),
                None => Series::full_null(series.name().clone(), other.rows(), series.dtype()),
            };
            if more.dtype() != series.dtype() {
                let mut common = supertype(series.dtype(), more.dtype());
                // Whole numbers on one page and fractions on the next are one column of doubles,
                // unless an integer would be rounded: then it is an id, and stays text.
                let (a, b) = (series.dtype(), more.dtype());
                if common == DataType::String
                    && a.is_primitive_numeric()
                    && b.is_primitive_numeric()
                    && (a.is_float() || b.is_float())
                {
                    let ints = if a.is_float() { &more } else { &series };
                    // 2^53 itself is what its neighbour rounds to.
                    let exact = |v: f64| v.abs() < 9_007_199_254_740_992.0;
                    if ints.cast(&DataType::Float64)?.f64()?.iter().flatten().all(exact) {
                        common = DataType::Float64;
                    }
                }
                series = series.cast(&common)?;
                more = more.cast(&common)?;
            }
            series.append(&more)?;
            columns.push(series.into_column());
        }
        for (i, meta) in other.columns.iter().enumerate() {
            if self.column_index(&meta.name).is_none() {
                let mut series = Series::full_null(meta.name.as_str().into(), self.rows(), other.frame.columns()[i].dtype());
                series.append(other.frame.columns()[i].as_materialized_series())?;
                columns.push(series.into_column());
                self.columns.push(meta.clone());
            }
        }
        let height = self.rows() + other.rows();
        self.frame = DataFrame::new(height, columns)?;
        self.truncated |= other.truncated;
        for warning in &other.warnings {
            if !self.warnings.contains(warning) {
                self.warnings.push(warning.clone());
            }
        }
        Ok(())
    }
    /// Bytes that the values take in memory, about.
    pub fn frame_bytes(&self) -> u64 {
        self.frame.estimated_size() as u64
    }
    /// Tables of the same columns below each other, the first one's metadata; copied once, however many they are.
    ///
    /// # Errors
    /// [`Error::Polars`] when their columns differ.
    pub fn stacked(tables: Vec<Self>) -> Result<Self> {
        let mut tables = tables.into_iter();
        let Some(mut out) = tables.next() else { return Ok(Self::default()) };
        for table in tables {
            out.truncated |= table.truncated;
            for warning in table.warnings {
                if !out.warnings.contains(&warning) {
                    out.warnings.push(warning);
                }
            }
            out.frame.vstack_mut_owned(table.frame)?;
        }
        out.frame.rechunk_mut();
        Ok(out)
    }
    /// A column more (or in the place of one of that name).
    ///
    /// # Errors
    /// [`Error::Polars`] when the length differs.
    pub fn with_column(&mut self, series: Series, mut meta: ColumnMeta) -> Result<()> {
        meta.name = series.name().to_string();
        if meta.datatype.is_empty() {
            meta.datatype = datatype_name(series.dtype());
        }
        let at = self.columns.iter().position(|c| c.name == meta.name);
        self.frame.with_column(series.into_column())?;
        match at {
            Some(i) => self.columns[i] = meta,
            None => self.columns.push(meta),
        }
        Ok(())
    }
    /// The rows of `rows`, in ascending order, as a table of their own.
    ///
    /// # Errors
    /// [`Error::Polars`].
    pub fn take(&self, rows: &crate::RowSet) -> Result<Self> {
        let index: Vec<IdxSize> = rows.iter().filter(|r| *r < self.rows()).map(|r| r as IdxSize).collect();
        let index = IdxCa::from_vec("row".into(), index);
        Ok(Self { frame: self.frame.take(&index)?, ..self.clone() })
    }
    /// The columns named, in that order.
    ///
    /// # Errors
    /// [`Error::NoColumn`].
    pub fn select(&self, names: &[String]) -> Result<Self> {
        let mut columns = Vec::new();
        let mut metas = Vec::new();
        for (n, name) in names.iter().enumerate() {
            if names[..n].contains(name) {
                return Err(Error::format("columns", format!("'{name}' is named twice: a table has each once")));
            }
            columns.push(self.column(name)?.clone());
            if let Some(i) = self.column_index(name) {
                metas.push(self.columns[i].clone());
            }
        }
        Ok(Self { frame: DataFrame::new(self.rows(), columns)?, columns: metas, ..self.clone() })
    }
}

/// The type that holds the values of both without loss; text when there is none.
fn supertype(a: &DataType, b: &DataType) -> DataType {
    use DataType::{Boolean, Float32, Float64, Int8, Int16, Int32, Int64, List, String, UInt8, UInt16, UInt32, UInt64};
    let signed = |d: &DataType| match d {
        Boolean => Some((1, true)),
        Int8 => Some((8, true)),
        UInt8 => Some((8, false)),
        Int16 => Some((16, true)),
        UInt16 => Some((16, false)),
        Int32 => Some((32, true)),
        UInt32 => Some((32, false)),
        Int64 => Some((64, true)),
        UInt64 => Some((64, false)),
        _ => None,
    };
    match (a, b) {
        _ if a == b => a.clone(),
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (List(x), List(y)) => List(Box::new(supertype(x, y))),
        (List(x), y) | (y, List(x)) => List(Box::new(supertype(x, y))),
        (Float32 | Float64, Float32 | Float64) => Float64,
        (Float32 | Float64, other) | (other, Float32 | Float64) => match signed(other) {
            // A 64-bit id would be rounded.
            Some((64, _)) => String,
            Some(_) => Float64,
            None => String,
        },
        _ => match (signed(a), signed(b)) {
            (Some((m, x)), Some((n, y))) => {
                // Of one kind the wider; mixed, a signed one wider than the unsigned.
                let bits = if x == y {
                    m.max(n)
                } else if x {
                    m.max(2 * n)
                } else {
                    n.max(2 * m)
                };
                match (bits, x || y) {
                    (..=8, true) => Int8,
                    (..=8, false) => UInt8,
                    (9..=16, true) => Int16,
                    (9..=16, false) => UInt16,
                    (17..=32, true) => Int32,
                    (17..=32, false) => UInt32,
                    (33..=64, true) => Int64,
                    (33..=64, false) => UInt64,
                    _ => String,
                }
            }
            _ => String,
        },
    }
}

/// How many letters differ between two names (Levenshtein), without regard to case.
fn edits(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

fn cell_of(value: AnyValue) -> Cell {
    match value {
        AnyValue::Null => Cell::Null,
        AnyValue::Boolean(v) => Cell::Bool(v),
        AnyValue::String(v) => Cell::Text(v.into()),
        AnyValue::StringOwned(v) => Cell::Text(v.to_string()),
        AnyValue::Float32(v) => Cell::Float(v.to_string().parse().unwrap_or(f64::from(v))),
        AnyValue::Float64(v) => Cell::Float(v),
        AnyValue::UInt64(v) => i64::try_from(v).map_or(Cell::UInt(v), Cell::Int),
        AnyValue::List(series) => {
            if series.dtype() == &DataType::String {
                return Cell::Text(series.iter().map(|v| v.str_value().to_string()).collect::<Vec<_>>().join(" "));
            }
            match series.cast(&DataType::Float64) {
                Ok(v) => Cell::Array(v.f64().map(|v| v.iter().map(|v| v.unwrap_or(f64::NAN)).collect()).unwrap_or_default()),
                Err(_) => Cell::Text(format!("{} values", series.len())),
            }
        }
        other => match other.extract::<i64>() {
            Some(v) => Cell::Int(v),
            None => Cell::Text(other.str_value().to_string()),
        },
    }
}

/// The name `info --json` gives a polars type.
pub fn datatype_name(dtype: &DataType) -> String {
    match dtype {
        DataType::Boolean => "bool".into(),
        DataType::Int8 => "i8".into(),
        DataType::UInt8 => "u8".into(),
        DataType::Int16 => "i16".into(),
        DataType::UInt16 => "u16".into(),
        DataType::Int32 => "i32".into(),
        DataType::UInt32 => "u32".into(),
        DataType::Int64 => "i64".into(),
        DataType::UInt64 => "u64".into(),
        DataType::Float32 => "f32".into(),
        DataType::Float64 => "f64".into(),
        DataType::List(inner) => format!("{}[*]", datatype_name(inner)),
        _ => "string".into(),
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Bool(v) => write!(f, "{v}"),
            Self::Int(v) => write!(f, "{v}"),
            Self::UInt(v) => write!(f, "{v}"),
            Self::Float(v) if *v != 0.0 && v.is_finite() && !(1e-5..1e16).contains(&v.abs()) => write!(f, "{v:e}"),
            Self::Float(v) => write!(f, "{v}"),
            Self::Text(v) => f.write_str(v),
            Self::Array(v) => write!(f, "[{} values]", v.len()),
        }
    }
}
