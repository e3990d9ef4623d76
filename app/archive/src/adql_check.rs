//! A look at a query before it is sent: what no service could take, and names that the service does not list.
//!
//! The text is parsed by `sqlparser` with ADQL's quoting (ADQL 2.1, section 2: `"name"` alone delimits names, `TOP` follows SELECT);
//! then every table is looked for in the service's own list and every column in the tables that its query reads. What is found is
//! told and never keeps a query back: services know functions and tables that they do not list. The choice not taken is a grammar
//! of our own, which would be strict where services are not.
//!
//! Cost: below a millisecond for a query of a page. Source: IVOA ADQL 2.1 (2023-12-15).

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, ObjectName, Query, SelectItem, SetExpr, Statement, TableFactor, Visit, Visitor};
use sqlparser::dialect::Dialect;
use sqlparser::parser::Parser;

use crate::{TapSchema, TapTable};

/// Complaints at most: behind the first few stands mostly the same cause.
const MOST: usize = 4;

#[derive(Debug)]
struct Adql;

impl Dialect for Adql {
    fn is_identifier_start(&self, c: char) -> bool {
        c.is_alphabetic() || c == '_'
    }
    fn is_identifier_part(&self, c: char) -> bool {
        c.is_alphanumeric() || c == '_'
    }
    fn is_delimited_identifier_start(&self, c: char) -> bool {
        c == '"'
    }
}

/// What is wrong with a query, one sentence each; nothing where nothing was found. Without a list of tables only the grammar is looked at.
pub fn check_adql(text: &str, schema: Option<&TapSchema>) -> Vec<String> {
    let text = text.trim();
    // The address of a job stands where a query would.
    if text.is_empty() || crate::jobs::job_address(text).is_some() {
        return Vec::new();
    }
    let text = text.trim_end_matches(';');
    let statements = match Parser::parse_sql(&Adql, text) {
        Ok(statements) => statements,
        Err(e) => return vec![words_of(&e.to_string())],
    };
    let query = match statements.as_slice() {
        [Statement::Query(query)] => query,
        [] => return Vec::new(),
        [_] => return vec!["A TAP service takes queries that begin with SELECT only.".into()],
        _ => return vec!["One query at a time: there are several, divided by ';'.".into()],
    };
    let mut found = Vec::new();
    if query.limit_clause.is_some() && !text.to_ascii_uppercase().contains("OFFSET") {
        found.push("ADQL has no LIMIT: write SELECT TOP n.".into());
    }
    if from_is_missing(query) {
        found.push("FROM and the name of a table are missing.".into());
    }
    if let Some(schema) = schema.filter(|s| !s.tables.is_empty()) {
        let mut names = Names::new(schema);
        let _ = query.visit(&mut names);
        found.extend(names.complaints());
    }
    found.truncate(MOST);
    found
}

/// The parser's words for a person: no prefix, the place at the end.
fn words_of(message: &str) -> String {
    let text = message.trim_start_matches("sql parser error: ").trim_start_matches("sql tokenizer error: ");
    let text = text.replace("Expected: ", "expected ").replace(", found: ", ", found ").replace("EOF", "the end");
    let (text, place) = match text.split_once(" at Line: ") {
        Some((text, place)) => (text.to_owned(), place.replace(", Column: ", ", column ")),
        None => (text, String::new()),
    };
    let mut letters = text.trim().chars();
    let text: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    if place.is_empty() { format!("{text}.") } else { format!("Line {place}: {}.", text.trim_end_matches('.')) }
}

fn from_is_missing(query: &Query) -> bool {
    matches!(query.body.as_ref(), SetExpr::Select(s) if s.from.is_empty())
}

/// Names of a query beside those of a service.
struct Names<'a> {
    tables: HashMap<String, &'a TapTable>,
    /// Tables that the query reads and the service lists.
    read: Vec<&'a TapTable>,
    /// Names that the query itself gives: of tables (WITH, AS), of columns (AS).
    own_tables: BTreeSet<String>,
    own_columns: BTreeSet<String>,
    unknown_tables: Vec<String>,
    columns: Vec<Vec<String>>,
    /// A table that is not listed or is made by the query: its columns cannot be judged.
    opaque: bool,
}

fn plain(ident: &Ident) -> String {
    ident.value.to_lowercase()
}

fn dotted(name: &ObjectName) -> String {
    let parts = name.0.iter().filter_map(|p| p.as_ident()).map(plain);
    parts.collect::<Vec<_>>().join(".")
}

impl<'a> Names<'a> {
    fn new(schema: &'a TapSchema) -> Self {
        let mut tables = HashMap::new();
        for table in &schema.tables {
            let name = table.name.replace('"', "").to_lowercase();
            // A name without its schema is taken by many services.
            if let Some((_, last)) = name.rsplit_once('.') {
                tables.entry(last.to_owned()).or_insert(table);
            }
            tables.insert(name, table);
        }
        let nothing = BTreeSet::new;
        Self {
            tables,
            read: Vec::new(),
            own_tables: nothing(),
            own_columns: nothing(),
            unknown_tables: Vec::new(),
            columns: Vec::new(),
            opaque: false,
        }
    }

    fn complaints(&self) -> Vec<String> {
        let mut found = Vec::new();
        for name in self.unknown_tables.iter().filter(|n| !self.own_tables.contains(*n)) {
            let near = nearest(name, self.tables.values().map(|t| t.name.as_str()));
            let hint = near.map_or_else(String::new, |n| format!("; is {n} meant?"));
            found.push(format!("The service lists no table '{name}'{hint}"));
        }
        if self.opaque || !found.is_empty() {
            return found;
        }
        let known: BTreeSet<String> =
            self.read.iter().flat_map(|t| &t.columns).map(|c| c.name.replace('"', "").to_lowercase()).collect();
        if known.is_empty() || self.read.iter().any(|t| t.columns.is_empty()) {
            return found;
        }
        let mut told = BTreeSet::new();
        for path in &self.columns {
            let Some(name) = path.last() else { continue };
            if known.contains(name) || self.own_columns.contains(name) || !told.insert(name.clone()) {
                continue;
            }
            let near = nearest(name, self.read.iter().flat_map(|t| &t.columns).map(|c| c.name.as_str()));
            let hint = near.map_or_else(String::new, |n| format!("; is {n} meant?"));
            let of: Vec<&str> = self.read.iter().map(|t| t.name.as_str()).collect();
            found.push(format!("There is no column '{name}' in {}{hint}", of.join(", ")));
        }
        found
    }
}

impl Visitor for Names<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|w| &w.cte_tables) {
            self.own_tables.insert(plain(&cte.alias.name));
            self.opaque = true;
        }
        if let SetExpr::Select(select) = query.body.as_ref() {
            for item in &select.projection {
                if let SelectItem::ExprWithAlias { alias, .. } = item {
                    self.own_columns.insert(plain(alias));
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if !matches!(factor, TableFactor::Table { .. } | TableFactor::NestedJoin { .. }) {
            self.opaque = true;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let name = dotted(relation);
        match self.tables.get(&name) {
            Some(table) => self.read.push(table),
            // Tables that came along with the query.
            None if name.starts_with("tap_upload.") => self.opaque = true,
            None => self.unknown_tables.push(name),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(one) => self.columns.push(vec![plain(one)]),
            Expr::CompoundIdentifier(path) => self.columns.push(path.iter().map(plain).collect()),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The name that differs least, if by no more than a third of its letters.
fn nearest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).replace('"', "").to_lowercase();
    let short = last(wanted);
    let best = names.map(|n| (distance(&short, &last(n)).min(distance(wanted, &n.to_lowercase())), n)).min()?;
    (best.0 <= (short.chars().count() / 3).max(1)).then_some(best.1)
}

/// Letters to insert, delete or change to make one of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TapColumn;

    fn schema() -> TapSchema {
        let column = |name: &str| TapColumn { name: name.into(), ..TapColumn::default() };
        let table = |name: &str, columns: &[&str]| TapTable {
            name: name.into(),
            columns: columns.iter().map(|c| column(c)).collect(),
            ..TapTable::default()
        };
        TapSchema {
            tables: vec![
                table("gaiadr3.gaia_source", &["ra", "dec", "parallax", "\"size\""]),
                table("ivoa.obscore", &["s_ra", "s_dec", "obs_collection"]),
            ],
        }
    }

    #[test]
    fn good_queries_are_left_alone() {
        let good = [
            "SELECT TOP 10 ra, dec FROM gaiadr3.gaia_source WHERE 1 = CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 10.68, 41.27, 0.1))",
            "select g.ra as x, \"size\" from gaia_source as g where x > 3 order by x desc",
            "SELECT DISTINCT TOP 5 * FROM ivoa.obscore WHERE obs_collection LIKE 'H%' AND s_ra BETWEEN 1 AND 2;",
            "SELECT COUNT(*) AS n, obs_collection FROM ivoa.obscore GROUP BY obs_collection HAVING COUNT(*) > 5 ORDER BY n",
            "SELECT a.ra FROM gaiadr3.gaia_source AS a JOIN TAP_UPLOAD.mine AS m ON 1 = CONTAINS(POINT('ICRS', a.ra, a.dec), CIRCLE('ICRS', m.foo, m.bar, 1/3600.))",
            "SELECT q.z FROM (SELECT ra + 1 AS z FROM gaiadr3.gaia_source) AS q",
            "WITH q AS (SELECT ra FROM gaiadr3.gaia_source) SELECT ra FROM q",
            "SELECT ra FROM gaiadr3.gaia_source -- a word\nWHERE ra IN (SELECT s_ra FROM ivoa.obscore)",
            "SELECT DISTANCE(POINT('', ra, dec), POINT('', 266.4, -29.0)) AS dist FROM gaiadr3.gaia_source WHERE 1=INTERSECTS(POLYGON('', 1,2,3,4,5,6), BOX('', ra, dec, 1, 1))",
        ];
        for query in good {
            assert_eq!(check_adql(query, Some(&schema())), Vec::<String>::new(), "{query}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let says = |query: &str, part: &str| {
            let found = check_adql(query, Some(&schema()));
            assert!(found.first().is_some_and(|f| f.contains(part)), "{query}: {found:?}");
        };
        says("SELECT ra FROM gaiadr3.gaia_source WHERE (ra > 3", "xpected");
        says("SELECT ra FROM gaiadr3.gaia_source WHERE ra > 'x", "nterminated");
        says("SELEC ra FROM gaiadr3.gaia_source", "xpected");
        says("SELECT ra FROM gaiadr3.gaia_source LIMIT 5", "TOP");
        says("SELECT ra", "FROM");
        says("DELETE FROM gaiadr3.gaia_source", "SELECT only");
        says("SELECT ra FROM gaiadr3.gaia_sourc", "is gaiadr3.gaia_source meant?");
        says("SELECT ra, parallx FROM gaiadr3.gaia_source", "is parallax meant?");
        says("SELECT s_ra FROM gaiadr3.gaia_source", "no column 's_ra'");
        says("SELECT ra FROM a.b; SELECT 1", "One query");
        // Without a list of tables the grammar alone is judged.
        assert!(check_adql("SELECT x FROM nowhere", None).is_empty());
        assert!(check_adql("  ", None).is_empty());
        // A query nested without end is an answer, too.
        let deep = format!("SELECT {}1{} FROM a", "(".repeat(5000), ")".repeat(5000));
        assert_eq!(check_adql(&deep, None).len(), 1);
    }
}
