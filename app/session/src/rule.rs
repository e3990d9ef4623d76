//! A rule: the selection as readable predicates on columns that a service can query.
//!
//! The fit itself (box peeling, shallow tree) is `reduce::rule`; here columns get their names,
//! rules get printed as SQL, ADQL and MAST filters, and the trade between purity and completeness
//! is a walk along the list of candidates.

pub use asterism_archive::adql::narrowed;
use asterism_data::RowSet;
use asterism_reduce::rule as fit;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::Ask;
use crate::document::Dataset;
use crate::error::{Error, Result};
use crate::features::usable;

/// A rule fitted to a selection, with its alternatives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FittedRule {
    /// What it describes: a subset's name or "selection".
    pub of: String,
    /// Rows it was fitted to.
    pub target: usize,
    /// Columns the ranges speak of.
    pub columns: Vec<String>,
    /// From the most complete to the purest.
    pub path: Vec<fit::Rule>,
    /// Which of `path` is in front.
    pub at: usize,
    /// 0 simpler and more complete … 1 purer.
    pub balance: f64,
}

impl FittedRule {
    /// The rule in front.
    pub fn rule(&self) -> &fit::Rule {
        &self.path[self.at.min(self.path.len() - 1)]
    }
    /// Share of the matched rows that were selected.
    pub fn purity(&self) -> f64 {
        self.rule().purity
    }
    /// Share of the selected rows that match.
    pub fn completeness(&self) -> f64 {
        self.rule().completeness
    }
    /// Rows that match.
    pub fn matched(&self) -> usize {
        self.rule().matched
    }
    /// Move along the trade-off.
    pub fn set_balance(&mut self, balance: f64) {
        self.balance = balance.clamp(0.0, 1.0);
        self.at = (self.balance * (self.path.len() - 1) as f64).round() as usize;
    }
    /// The predicates, boxes joined by OR: `[["f_ha > 58.3", "ew_nii > 11.2"], …]`.
    pub fn predicates(&self) -> Vec<Vec<String>> {
        self.predicates_with(|name| if plain(name) { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) })
    }
    fn predicates_with(&self, quote: impl Fn(&str) -> String) -> Vec<Vec<String>> {
        let one = |r: &fit::Range| {
            let name = quote(&self.columns[r.column]);
            match (r.min, r.max) {
                (Some(a), Some(b)) => format!("{name} BETWEEN {a} AND {b}"),
                (Some(a), None) => format!("{name} >= {a}"),
                (None, Some(b)) => format!("{name} <= {b}"),
                (None, None) => format!("{name} IS NOT NULL"),
            }
        };
        self.rule().boxes.iter().map(|b| b.iter().map(one).collect()).collect()
    }
    /// As one SQL predicate, readable by [`asterism_data::Expr`].
    pub fn sql(&self) -> String {
        join(&self.predicates())
    }
    /// As one ADQL predicate: reserved words and odd names are quoted.
    pub fn adql_where(&self) -> String {
        join(&self.predicates_with(asterism_archive::quote_identifier))
    }
    /// As a whole ADQL query on the table that the dataset was asked from (or a name to fill in).
    pub fn adql(&self, ask: &Ask) -> String {
        if let Ask::Archive { request: asterism_archive::Request::Tap { adql, .. } } = ask {
            return narrowed(adql, &self.adql_where());
        }
        format!("SELECT *\nFROM my_table\nWHERE {}", self.adql_where())
    }
    /// As filters of MAST's portal API. Only a single box can be said that way.
    pub fn mast_filters(&self) -> Value {
        self.filters().map_or(Value::Null, |list| list.iter().map(asterism_archive::Filter::mast_json).collect())
    }
    /// The same as filters for [`asterism_archive::Request`].
    pub fn filters(&self) -> Option<Vec<asterism_archive::Filter>> {
        let [one] = self.rule().boxes.as_slice() else { return None };
        Some(
            one.iter()
                .map(|r| asterism_archive::Filter {
                    name: self.columns[r.column].clone(),
                    values: asterism_archive::FilterValues::Range { min: r.min, max: r.max },
                })
                .collect(),
        )
    }
}

fn plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn join(boxes: &[Vec<String>]) -> String {
    match boxes {
        [one] => one.join(" AND "),
        many => many.iter().map(|b| format!("({})", b.join(" AND "))).collect::<Vec<_>>().join(" OR "),
    }
}

/// Fit a rule to `target` on columns of the dataset (all usable ones when none are named).
///
/// # Errors
/// When the selection is empty or everything, or no column can be used.
pub fn fit_rule(dataset: &Dataset, of: &str, target: &RowSet, columns: &[String], balance: f64) -> Result<FittedRule> {
    let count = target.count();
    if count == 0 {
        return Err(Error::said("select some rows first: a rule describes a selection"));
    }
    if count == dataset.table.rows() {
        return Err(Error::said("everything is selected: a rule needs rows to tell apart"));
    }
    let columns: Vec<String> = if columns.is_empty() {
        (0..dataset.table.columns().len())
            .filter(|i| usable(dataset, *i))
            .map(|i| dataset.table.columns()[i].name.clone())
            .collect()
    } else {
        columns.to_vec()
    };
    if columns.is_empty() {
        return Err(Error::said("the table has no numeric column that a rule could use"));
    }
    let values = columns.iter().map(|c| Ok(dataset.table.f64s(c)?)).collect::<Result<Vec<_>>>()?;
    let target: Vec<bool> = (0..dataset.table.rows()).map(|row| target.contains(row)).collect();
    let path = fit::fit_path(&values, &target, &fit::RuleParams { balance, ..Default::default() });
    if path.is_empty() {
        return Err(Error::said("no rule on these columns tells the selection from the rest"));
    }
    let mut rule = FittedRule { of: of.into(), target: count, columns, path, at: 0, balance };
    rule.set_balance(balance);
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_joins_a_plain_query() {
        assert_eq!(narrowed("SELECT TOP 10 a, b FROM t", "a > 1"), "SELECT a, b FROM t\nWHERE a > 1");
        assert_eq!(narrowed("SELECT a FROM t WHERE a=1 OR b=2;", "c > 1"), "SELECT a FROM t\nWHERE (a=1 OR b=2)\n  AND (c > 1)");
        assert!(
            narrowed("SELECT a FROM t ORDER BY a", "c > 1").starts_with("SELECT *\nFROM (SELECT a FROM t ORDER BY a) AS earlier")
        );
    }
}
