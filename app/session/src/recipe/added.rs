//! What was added to the rows of a search after it came: columns of a match by position, images opened from behind a row or cut out
//! at a place. Its steps in a recipe, and its sentences in one that is written.
//!
//! They stand after the searches and are repeated before features and maps, in the order in which they happened. A match of some
//! rows only is written with their number in a comment and repeated for all rows: which rows were selected then, a recipe cannot
//! know before its own selections. Rows of a match that were not found have the match's name for later steps.

use super::*;
use crate::behind::CutOut;
use crate::document::{Added, Partner};
use crate::lists::{MatchBy, MatchInto, Matching};
use asterism_data::crossmatch::Find;

/// `[[match]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchStep {
    /// For later steps: the rows that were not found.
    pub name: String,
    /// A search, whose rows get the columns.
    pub of: Spanned<String>,
    /// Another search.
    pub with: Option<Spanned<String>>,
    /// Or a service: `mast:CATALOGUE`, or its address or saved name (asked by cones for each row, or by an uploaded list where
    /// `table` is given).
    pub service: Option<Spanned<String>>,
    /// Table of a TAP service, with its schema.
    pub table: Option<String>,
    /// With unit: `1arcsec`.
    pub radius: Spanned<String>,
    /// `best`, `each`.
    #[serde(default)]
    pub find: Find,
    /// Right ascension and declination of the search; found by UCD or name when absent.
    pub columns: Option<[String; 2]>,
    /// The same of the other.
    pub with_columns: Option<[String; 2]>,
}

/// `[[image]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageStep {
    /// A search, whose image it becomes.
    pub of: Spanned<String>,
    /// For a person.
    #[serde(default)]
    pub name: String,
    /// Address, or `mast:` URI.
    pub address: Option<String>,
    /// The address is of a service that makes a job of it (SODA async).
    #[serde(default)]
    pub by_job: bool,
    /// Or a service that cuts: `{ from = "pan-starrs", arcmin = 1.0, filters = "gri" }`.
    pub cut: Option<CutOut>,
    /// Where it cuts: right ascension and declination, degrees ICRS.
    pub at: Option<[f64; 2]>,
}

impl MatchStep {
    pub(super) fn check(&self, parsed: &Parsed) -> Result<()> {
        let wrong = |what: &str| Err(parsed.wrong(self.of.span(), format!("match '{}': {what}", self.name)));
        match (&self.with, &self.service) {
            (Some(_), Some(_)) | (None, None) => return wrong("it needs one of with (a search) and service"),
            (Some(_), None) if self.table.is_some() => return wrong("a table is of a service, not of a search"),
            _ => {}
        }
        if self.find == Find::All {
            return wrong("all pairs can be more than the rows there are: find is best or each");
        }
        asterism_archive::parse_radius(self.radius.get_ref()).map_err(|e| parsed.wrong(self.radius.span(), e.to_string()))?;
        Ok(())
    }
    /// How.
    ///
    /// # Errors
    /// With the line of the radius.
    pub fn how(&self, parsed: &Parsed) -> Result<Matching> {
        let degrees = asterism_archive::parse_radius(self.radius.get_ref());
        let degrees = degrees.map_err(|e| parsed.wrong(self.radius.span(), e.to_string()))?;
        let columns = self.columns.clone().map(|[a, b]| (a, b));
        Ok(Matching { radius_arcsec: degrees * 3600.0, find: self.find, into: MatchInto::Columns, columns })
    }
    /// Which service is asked, if it is one.
    pub fn by(&self, services: &asterism_archive::Services) -> Option<MatchBy> {
        let service = self.service.as_ref()?.get_ref();
        if let Some(catalog) = service.strip_prefix("mast:") {
            let word = asterism_archive::mast::word_of(catalog).filter(|w| !w.is_empty());
            return Some(MatchBy::Mast { catalog: word.unwrap_or(catalog).into() });
        }
        let saved = services.saved.iter().find(|s| s.name.eq_ignore_ascii_case(service));
        let base = saved.map_or(service, |s| &s.url).to_owned();
        Some(match &self.table {
            Some(table) => {
                let [ra, dec] = self.with_columns.clone().unwrap_or_else(|| ["ra".into(), "dec".into()]);
                MatchBy::Upload { base, table: table.clone(), columns: (ra, dec) }
            }
            None => MatchBy::Cone { base },
        })
    }
}

impl ImageStep {
    pub(super) fn check(&self, parsed: &Parsed) -> Result<()> {
        match (&self.address, &self.cut, &self.at) {
            (Some(_), None, None) | (None, Some(_), Some(_)) => Ok(()),
            _ => Err(parsed.wrong(self.of.span(), "an image needs an address, or a cut together with the place `at`")),
        }
    }
}

/// `[[match]]` or `[[image]]` of a dataset; the search that a match needs stands before it. For one that cannot be repeated the reason
/// alone, as a comment.
pub fn step_added(doc: &Document, d: &Dataset, added: &Added) -> String {
    let pair = |columns: &Option<(String, String)>| columns.as_ref().map(|(a, b)| format!("[{}, {}]", quoted(a), quoted(b)));
    let mut s = String::new();
    match added {
        Added::Match { with, how, rows } => {
            let mut lines = vec![format!("name = {}", quoted(&added.name())), format!("of = {}", quoted(&d.name))];
            let mut theirs = None;
            match with {
                Partner::Table { id, name, columns } => {
                    let Some(other) = doc.datasets.iter().find(|o| o.id == *id) else {
                        return format!(
                            "# The columns of '{name}' were matched; that table was closed, so a recipe cannot repeat it.\n"
                        );
                    };
                    let other = Dataset { name: other_name(d, other), ..(**other).clone() };
                    s.push_str(&step_search(&other));
                    s.push('\n');
                    lines.push(format!("with = {}", quoted(&other.name)));
                    theirs.clone_from(columns);
                }
                Partner::Service(MatchBy::Mast { catalog }) => {
                    lines.push(format!("service = {}", quoted(&format!("mast:{catalog}"))))
                }
                Partner::Service(MatchBy::Cone { base }) => lines.push(format!("service = {}", quoted(base))),
                Partner::Service(MatchBy::Upload { base, table, columns }) => {
                    lines.push(format!("service = {}\ntable = {}", quoted(base), quoted(table)));
                    theirs = Some(columns.clone());
                }
            }
            lines.push(format!("radius = {}", quoted(&format!("{}arcsec", how.radius_arcsec))));
            if how.find != Find::Best {
                lines.push(format!("find = {}", write::word(&how.find)));
            }
            lines.extend(pair(&how.columns).map(|c| format!("columns = {c}")));
            lines.extend(pair(&theirs).map(|c| format!("with_columns = {c}")));
            if let Some(rows) = rows {
                s.push_str(&format!("# {} were matched; here all rows are.\n", crate::words::rows(*rows)));
            }
            s.push_str(&format!("[[match]]\n{}\n", lines.join("\n")));
        }
        Added::Product { address, name, by_job } => {
            s.push_str(&format!("[[image]]\nof = {}\nname = {}\naddress = {}\n", quoted(&d.name), quoted(name), quoted(address)));
            if *by_job {
                s.push_str("by_job = true\n");
            }
        }
        Added::CutOut { at, from } => {
            // A structure of one level is an inline table.
            let fields = toml::Table::try_from(from).unwrap_or_default();
            let fields: Vec<String> = fields.iter().map(|(k, v)| format!("{} = {v}", k)).collect();
            s.push_str(&format!(
                "[[image]]\nof = {}\ncut = {{ {} }}\nat = [{:?}, {:?}]\n",
                quoted(&d.name),
                fields.join(", "),
                at.0,
                at.1
            ));
        }
    }
    s
}

/// The other table's name, which must not be that of the one in front.
fn other_name(d: &Dataset, other: &Dataset) -> String {
    if other.name == d.name { format!("{} 2", other.name) } else { other.name.clone() }
}
