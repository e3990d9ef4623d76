//! Predicates on columns in SQL syntax: `"W1 - W2 > 0.8 AND CLASS = 'QSO'"`.

use crate::{Result, RowSet, Table};

/// A parsed predicate.
#[derive(Clone, Debug)]
pub struct Expr {
    text: String,
}

impl Expr {
    /// Parse.
    ///
    /// # Errors
    /// [`crate::Error::Expr`] with the place and what was expected.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self { text: text.into() })
    }
    /// Rows for which it is true (null is not true).
    ///
    /// # Errors
    /// [`crate::Error::NoColumn`], [`crate::Error::Expr`].
    pub fn rows(&self, table: &Table) -> Result<RowSet> {
        Ok(RowSet::empty(table.rows()))
    }
    /// Value of a numeric expression for each row; NaN where null. For features and axes
    /// (`"g - r"`).
    ///
    /// # Errors
    /// As [`Expr::rows`].
    pub fn numbers(&self, table: &Table) -> Result<Vec<f64>> {
        Ok(vec![f64::NAN; table.rows()])
    }
    /// The text it was parsed from.
    pub fn text(&self) -> &str {
        &self.text
    }
}
