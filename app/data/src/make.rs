//! Tables made in the program: columns from plain vectors, so that no other crate needs polars.

use polars::prelude::*;

use crate::{ColumnMeta, Result, Table};

impl Table {
    fn put(&mut self, series: Series, meta: ColumnMeta) -> Result<()> {
        if self.columns().is_empty() {
            let mut meta = meta;
            meta.name = series.name().to_string();
            let made = Self::new(self.name.clone(), DataFrame::new(series.len(), vec![series.into_column()])?, vec![meta])?;
            let old = std::mem::replace(self, made);
            self.description = old.description;
            self.params = old.params;
            self.truncated = old.truncated;
            self.warnings = old.warnings;
            return Ok(());
        }
        self.with_column(series, meta)
    }
    /// A column of doubles; NaN stays NaN.
    ///
    /// # Errors
    /// [`crate::Error::Polars`] when the length differs from the table's.
    pub fn with_f64_column(&mut self, name: &str, values: Vec<f64>, meta: ColumnMeta) -> Result<()> {
        self.put(Series::new(name.into(), values), meta)
    }
    /// A column of floats; NaN stays NaN.
    ///
    /// # Errors
    /// [`crate::Error::Polars`] when the length differs from the table's.
    pub fn with_f32_column(&mut self, name: &str, values: Vec<f32>, meta: ColumnMeta) -> Result<()> {
        self.put(Series::new(name.into(), values), meta)
    }
    /// A column of 32-bit integers.
    ///
    /// # Errors
    /// [`crate::Error::Polars`] when the length differs from the table's.
    pub fn with_i32_column(&mut self, name: &str, values: Vec<i32>, meta: ColumnMeta) -> Result<()> {
        self.put(Series::new(name.into(), values), meta)
    }
    /// A column of 64-bit integers.
    ///
    /// # Errors
    /// [`crate::Error::Polars`] when the length differs from the table's.
    pub fn with_i64_column(&mut self, name: &str, values: Vec<i64>, meta: ColumnMeta) -> Result<()> {
        self.put(Series::new(name.into(), values), meta)
    }
    /// A column of text.
    ///
    /// # Errors
    /// [`crate::Error::Polars`] when the length differs from the table's.
    pub fn with_string_column(&mut self, name: &str, values: Vec<String>, meta: ColumnMeta) -> Result<()> {
        self.put(Series::new(name.into(), values), meta)
    }
    /// A column of array cells of any lengths.
    ///
    /// # Errors
    /// [`crate::Error::Polars`] when the length differs from the table's.
    pub fn with_list_column(&mut self, name: &str, values: Vec<Vec<f64>>, meta: ColumnMeta) -> Result<()> {
        let cells: Vec<Series> = values.into_iter().map(|v| Series::new(PlSmallStr::EMPTY, v)).collect();
        let series = if cells.is_empty() {
            Series::new_empty(name.into(), &DataType::List(Box::new(DataType::Float64)))
        } else {
            Series::new(name.into(), cells)
        };
        self.put(series, meta)
    }
    /// A column of 64-bit integers with nulls.
    ///
    /// # Errors
    /// [`crate::Error::Polars`] when the length differs from the table's.
    pub fn with_nullable_i64(&mut self, name: &str, values: Vec<Option<i64>>, meta: ColumnMeta) -> Result<()> {
        self.put(Series::new(name.into(), values), meta)
    }
    /// A column of doubles with nulls.
    ///
    /// # Errors
    /// [`crate::Error::Polars`] when the length differs from the table's.
    pub fn with_nullable_f64(&mut self, name: &str, values: Vec<Option<f64>>, meta: ColumnMeta) -> Result<()> {
        self.put(Series::new(name.into(), values), meta)
    }
    /// A column of text with nulls.
    ///
    /// # Errors
    /// [`crate::Error::Polars`] when the length differs from the table's.
    pub fn with_nullable_string(&mut self, name: &str, values: Vec<Option<String>>, meta: ColumnMeta) -> Result<()> {
        self.put(Series::new(name.into(), values), meta)
    }
    /// A column of truth values with nulls.
    ///
    /// # Errors
    /// [`crate::Error::Polars`] when the length differs from the table's.
    pub fn with_nullable_bool(&mut self, name: &str, values: Vec<Option<bool>>, meta: ColumnMeta) -> Result<()> {
        self.put(Series::new(name.into(), values), meta)
    }
}
