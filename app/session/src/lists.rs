//! Lists: the table in front matched by position, with another table or with a service.
//!
//! Both ways end in the same sum: the service gives the rows near each of the list's positions (by an uploaded list where it speaks
//! TAP, by a cone for each row where it does not), and those are matched here with `asterism_data::crossmatch`, so that best, each
//! and all mean the same everywhere and the separation is computed in one place. The choice not taken is the service's own match:
//! services differ in what they call nearest, and not all have one.
//!
//! The result is columns of the table in front (its rows, maps and subsets stay; undo takes the columns back), with the rows that
//! were not found as a subset; or a new table of the pairs, which is written to a Parquet file beside the settings so that session
//! and recipe can open it again.
//!
//! Cost: that of the service, then O(n log n).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use asterism_archive::{Client, Event, Request, quote_identifier};
use asterism_data::crossmatch::{self, Find, Keep, Matches, Positions};
use asterism_data::{ColumnMeta, RowSet, Table};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::command::{Ask, Command, ExportRows, SelectMode};
use crate::document::{Added, Dataset, Partner};
use crate::error::{Error, Result};
use crate::jobs::{Handle, NoticeLevel};
use crate::select::Provenance;
use crate::session::Session;
use crate::settings::Settings;

/// Rows for each of which a service is asked, at most.
const ROW_BY_ROW: usize = 5_000;
/// Rows of an uploaded list at most.
const UPLOADED: usize = 100_000;
/// Rows from which an uploaded list is asked as a job.
const AS_JOB: usize = 2_000;
/// Services asked at once, row by row: a limit that no operator minds.
const AT_ONCE: usize = 3;

/// Right ascension and declination columns, by name.
pub type Columns = Option<(String, String)>;

/// What a match becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatchInto {
    /// Columns of the table in front; not with [`Find::All`].
    #[default]
    Columns,
    /// A new table with a row for each pair.
    Pairs,
    /// A new table of the pairs and of the rows without one.
    AllRows,
}

/// How a service is asked about a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum MatchBy {
    /// The list is uploaded to a TAP service.
    Upload {
        /// Base address.
        base: String,
        /// Its table.
        table: String,
        /// Columns of that table with right ascension and declination, degrees.
        columns: (String, String),
    },
    /// A cone search for each row.
    Cone {
        /// Base address.
        base: String,
    },
    /// A cone search of a catalogue of MAST for each row.
    Mast {
        /// `tic`, `gaiadr3`, `hsc`, `panstarrs`, ...
        catalog: String,
    },
}

impl MatchBy {
    /// For a person, and for the name of the subset.
    pub fn label(&self) -> String {
        let host = |url: &str| url.split("://").nth(1).unwrap_or(url).split('/').next().unwrap_or(url).to_owned();
        match self {
            Self::Upload { table, .. } => table.clone(),
            Self::Cone { base } => host(base),
            Self::Mast { catalog } => catalog.to_uppercase(),
        }
    }
}

/// How two lists are matched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matching {
    /// How far apart a pair may be, arcsec.
    pub radius_arcsec: f64,
    /// Best, each or all.
    #[serde(default)]
    pub find: Find,
    /// What it becomes.
    #[serde(default)]
    pub into: MatchInto,
    /// Positions of the table in front; found by UCD or name when absent.
    #[serde(default)]
    pub columns: Columns,
}

impl Matching {
    fn check(&self) -> Result<()> {
        if self.into == MatchInto::Columns && self.find == Find::All {
            return Err(Error::said("all pairs can be more than the rows there are: make a new table of them, or take the best"));
        }
        if !(self.radius_arcsec > 0.0 && self.radius_arcsec <= 3600.0 * 180.0) {
            return Err(Error::said(format!("{} arcsec is no radius for a match", self.radius_arcsec)));
        }
        Ok(())
    }
}

fn positions(table: &Table, columns: &Columns) -> Result<Positions> {
    Ok(Positions::of(table, columns.as_ref().map(|(a, b)| (a.as_str(), b.as_str())))?)
}

fn pairs(a: &Positions, b: &Positions, how: &Matching, handle: &Handle) -> Result<Matches> {
    Ok(crossmatch::cross_match(a, b, how.radius_arcsec, how.find, &|stage, done, of| {
        handle.say(stage, done as u64, of as u64);
        !handle.cancelled()
    })?)
}

/// A temporary VOTable of the rows' positions: `asterism_row`, `ra`, `dec`.
fn upload(from: &Positions, rows: &[usize]) -> Result<tempfile::NamedTempFile> {
    let file = tempfile::Builder::new()
        .prefix("list")
        .suffix(".vot")
        .tempfile()
        .map_err(|e| Error::said(format!("the list could not be written for the upload: {e}")))?;
    let mut table = Table::default();
    let degrees = |ucd: &str| ColumnMeta { unit: Some("deg".into()), ucd: Some(ucd.into()), ..ColumnMeta::default() };
    table.with_f64_column("asterism_row", rows.iter().map(|r| *r as f64).collect(), ColumnMeta::default())?;
    table.with_f64_column("ra", rows.iter().map(|r| from.ra_deg[*r]).collect(), degrees("pos.eq.ra;meta.main"))?;
    table.with_f64_column("dec", rows.iter().map(|r| from.dec_deg[*r]).collect(), degrees("pos.eq.dec;meta.main"))?;
    asterism_data::write_table(&table, None, file.path())?;
    Ok(file)
}

/// The query for an uploaded list.
pub fn upload_adql(table: &str, (ra, dec): &(String, String), radius_arcsec: f64) -> String {
    let (ra, dec) = (quote_identifier(ra), quote_identifier(dec));
    let radius = radius_arcsec / 3600.0;
    format!(
        "SELECT t.*\nFROM TAP_UPLOAD.list AS u\nJOIN {table} AS t\n  ON 1 = CONTAINS(POINT('ICRS', t.{ra}, t.{dec}), CIRCLE('ICRS', u.ra, u.dec, {radius}))"
    )
}

/// The rows of a service near the positions, each once; warnings.
fn gather(
    client: &Client,
    by: &MatchBy,
    from: &Positions,
    rows: &[usize],
    radius_arcsec: f64,
    handle: &Handle,
) -> Result<(Table, Vec<String>)> {
    let stop = || handle.cancelled();
    let mut warnings = Vec::new();
    if let MatchBy::Upload { base, table, columns } = by {
        if rows.len() > UPLOADED {
            return Err(Error::said(format!("{} rows are too many for an upload: select {UPLOADED} at most", rows.len())));
        }
        let file = upload(from, rows)?;
        let request = Request::Tap {
            base: base.clone(),
            adql: upload_adql(table, columns, radius_arcsec),
            asynchronous: rows.len() > AS_JOB,
            max_rows: None,
            uploads: vec![("list".into(), file.path().to_path_buf())],
        };
        let mut all = Table::default();
        let mut misfit = None;
        let answer = client.search(&request, &stop, &mut |event| match event {
            Event::Rows(rows) => misfit = misfit.take().or(all.append(&rows).err()),
            Event::Progress { stage, done, of } => handle.say(&stage, done, of.unwrap_or(0)),
            _ => {}
        })?;
        if let Some(e) = misfit {
            return Err(e.into());
        }
        if answer.truncated {
            warnings.push("the service cut its answer off: rows called not found may be there; match fewer at a time".into());
        }
        warnings.extend(answer.warnings);
        return Ok((once(&all)?, warnings));
    }
    if rows.len() > ROW_BY_ROW {
        return Err(Error::said(format!(
            "{} rows would be as many questions: select {ROW_BY_ROW} at most, or use a TAP service, which takes a list",
            rows.len()
        )));
    }
    let (next, done, enough) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let found: Mutex<Vec<(usize, std::result::Result<Table, String>)>> = Mutex::new(Vec::new());
    let cut = AtomicUsize::new(0);
    let work = || {
        while !enough.load(Ordering::Relaxed) {
            let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            let (ra_deg, dec_deg, radius_deg) = (from.ra_deg[*row], from.dec_deg[*row], radius_arcsec / 3600.0);
            let request = match by {
                MatchBy::Mast { catalog } => Request::MastCatalog {
                    catalog: catalog.clone(),
                    ra_deg,
                    dec_deg,
                    radius_deg,
                    filters: Vec::new(),
                    max_rows: None,
                },
                MatchBy::Cone { base } | MatchBy::Upload { base, .. } => {
                    Request::Cone { base: base.clone(), ra_deg, dec_deg, radius_deg, max_rows: None }
                }
            };
            let mut table = Table::default();
            let mut misfit = None;
            let answer = client.search(&request, &|| enough.load(Ordering::Relaxed) || handle.cancelled(), &mut |event| {
                if let Event::Rows(rows) = event {
                    misfit = misfit.take().or(table.append(&rows).err());
                }
            });
            let one = match (answer, misfit) {
                (Ok(answer), None) => {
                    cut.fetch_add(usize::from(answer.truncated), Ordering::Relaxed);
                    Ok(table)
                }
                (Ok(_), Some(e)) => Err(e.to_string()),
                (Err(asterism_archive::Error::Cancelled), _) => return enough.store(true, Ordering::Relaxed),
                (Err(e), _) => Err(e.to_string()),
            };
            found.lock().push((*row, one));
            handle.say("rows asked about", done.fetch_add(1, Ordering::Relaxed) as u64 + 1, rows.len() as u64);
        }
    };
    std::thread::scope(|scope| {
        for i in 1..AT_ONCE.min(rows.len()) {
            // With fewer threads than wished for, the others do their part.
            let _ = std::thread::Builder::new().name(format!("list {i}")).spawn_scoped(scope, work);
        }
        work();
    });
    if handle.cancelled() {
        return Err(asterism_archive::Error::Cancelled.into());
    }
    let mut found = found.into_inner();
    found.sort_by_key(|(row, _)| *row);
    let (mut all, mut failed, mut first) = (Table::default(), 0, None);
    for (row, one) in found {
        match one.and_then(|t| if t.rows() == 0 { Ok(()) } else { all.append(&t).map_err(|e| e.to_string()) }) {
            Ok(()) => {}
            Err(why) => {
                failed += 1;
                first.get_or_insert_with(|| format!("row {}: {why}", row + 1));
            }
        }
    }
    if let Some(why) = first {
        if failed == rows.len() {
            return Err(Error::said(format!("none of the rows could be asked about ({why})")));
        }
        warnings.push(format!("{failed} rows could not be asked about ({why}); they count as not found"));
    }
    if cut.into_inner() > 0 {
        warnings.push("some answers were cut off by the service; a smaller radius asks for less".into());
    }
    Ok((once(&all)?, warnings))
}

/// Equal rows once: cones that overlap give the same row twice.
fn once(table: &Table) -> Result<Table> {
    let mut seen = std::collections::HashSet::new();
    let keep = RowSet::from_fn(table.rows(), |row| {
        let key: Vec<String> = (0..table.columns().len()).map(|c| table.cell(row, c).to_string()).collect();
        seen.insert(key.join("\u{1f}"))
    });
    Ok(if keep.count() == table.rows() { table.clone() } else { table.take(&keep)? })
}

/// What a match of the table in front with another came to.
struct Made {
    table: Table,
    missed: RowSet,
    found: usize,
    other: String,
    warnings: Vec<String>,
    added: Added,
}

impl Session {
    pub(crate) fn match_tables(&mut self, with: u32, columns: Columns, how: Matching) -> Result<()> {
        how.check()?;
        let front = self.front()?;
        let other = self.dataset_by_id(with).ok_or_else(|| Error::said("the other table is not here any more"))?;
        if other.id == front.id {
            return Err(Error::said("a table is matched with another one: open it first"));
        }
        if front.loading || other.loading {
            return Err(Error::said("rows are still arriving: wait for the search to end, or cancel it"));
        }
        // Wrong columns are told at once.
        let a = positions(&front.table, &how.columns)?;
        let b = positions(&other.table, &columns)?;
        self.start(format!("Match {} with {}", front.name, other.name), front.id, false, move |handle| {
            let matches = pairs(&a, &b, &how, handle)?;
            handle.say("columns", 0, 0);
            let added = Added::Match {
                with: Partner::Table { id: other.id, name: other.name.clone(), columns },
                how: how.clone(),
                rows: None,
            };
            finish(&front, &other.table, &matches, &how, other.name.clone(), Vec::new(), None, added, handle)
        });
        Ok(())
    }

    pub(crate) fn match_service(&mut self, by: MatchBy, rows: ExportRows, how: Matching) -> Result<()> {
        how.check()?;
        let front = self.front()?;
        if front.loading {
            return Err(Error::said("rows are still arriving: wait for the search to end, or cancel it"));
        }
        let a = positions(&front.table, &how.columns)?;
        let (chosen, client) = (self.export_rows(rows)?, self.client()?);
        let asked: Vec<usize> = chosen.iter().filter(|r| a.ra_deg[*r].is_finite() && a.dec_deg[*r].is_finite()).collect();
        if asked.is_empty() {
            return Err(Error::said("none of these rows has a position"));
        }
        self.start(format!("Match {} with {}", front.name, by.label()), front.id, false, move |handle| {
            let (other, warnings) = gather(&client, &by, &a, &asked, how.radius_arcsec, handle)?;
            if other.rows() == 0 {
                let text = format!("{} has nothing within {} arcsec of these rows", by.label(), how.radius_arcsec);
                handle.fact(move |s| {
                    s.notice(NoticeLevel::Warning, text);
                    warnings.into_iter().for_each(|w| s.notice(NoticeLevel::Warning, w));
                });
                return Ok(());
            }
            let columns = match &by {
                MatchBy::Upload { columns, .. } => Some(columns.clone()),
                _ => None,
            };
            let b = positions(&other, &columns)?;
            // Rows that were not asked about have no pair and are not "not found".
            let mut a = a;
            for row in 0..a.len() {
                if !chosen.contains(row) {
                    a.ra_deg[row] = f64::NAN;
                }
            }
            let matches = pairs(&a, &b, &how, handle)?;
            let some = (chosen.count() < a.len()).then(|| chosen.count());
            let added = Added::Match { with: Partner::Service(by.clone()), how: how.clone(), rows: some };
            finish(&front, &other, &matches, &how, by.label(), warnings, Some(&chosen), added, handle)
        });
        Ok(())
    }

    fn matched(&mut self, id: u32, on: &Arc<Table>, made: Made) {
        let Some(now) = self.dataset_by_id(id) else { return };
        if !Arc::ptr_eq(&now.table, on) {
            let text = "the table changed while it was matched: match it again".to_owned();
            return self.notice(NoticeLevel::Error, text);
        }
        self.step("match", true);
        self.edit(id, |d| {
            d.table = Arc::new(made.table);
            d.added.push(made.added);
        });
        let missed = made.missed.count();
        if missed > 0 {
            let name = format!("not found in {}", made.other);
            let rows = Arc::new(made.missed);
            let why = Provenance::Rows { note: name.clone(), rows: (*rows).clone() };
            self.add_subset(id, name, rows, vec![(SelectMode::Replace, Arc::new(why))]);
        }
        self.notice(NoticeLevel::Info, sentence(made.found, missed, &made.other));
        made.warnings.into_iter().for_each(|w| self.notice(NoticeLevel::Warning, w));
    }
}

fn sentence(found: usize, missed: usize, other: &str) -> String {
    let found = crate::words::rows(found);
    match missed {
        0 => format!("{found} matched with {other}; all were found"),
        1 => format!("{found} matched with {other}; 1 was not found: it is a subset now"),
        n => format!("{found} matched with {other}; {} were not found: they are a subset now", crate::words::count(n)),
    }
}

#[expect(clippy::too_many_arguments, reason = "one end of both ways, and each is a different thing")]
fn finish(
    front: &Arc<Dataset>,
    other: &Table,
    matches: &Matches,
    how: &Matching,
    name: String,
    warnings: Vec<String>,
    asked: Option<&RowSet>,
    added: Added,
    handle: &Handle,
) -> Result<()> {
    let keep = if how.into == MatchInto::Pairs { Keep::Found } else { Keep::AllA };
    let table = crossmatch::join(&front.table, other, matches, keep)?;
    let missed = match asked {
        Some(asked) => matches.missed_a.and(asked),
        None => matches.missed_a.clone(),
    };
    let found = front.table.rows() - matches.missed_a.count();
    let id = front.id;
    if how.into == MatchInto::Columns {
        let on = front.table.clone();
        let made = Made { table, missed, found, other: name, warnings, added };
        handle.fact(move |s| s.matched(id, &on, made));
        return Ok(());
    }
    handle.say("writing", 0, 0);
    let title = format!("{} × {name}", front.name);
    let path = match_file(&format!("{} x {name}", front.name))?;
    asterism_data::write_table(&table, None, &path)?;
    let text = sentence(found, missed.count(), &name).replace(": it is a subset now", "").replace(": they are a subset now", "");
    handle.fact(move |s| {
        s.notice(NoticeLevel::Info, format!("{text}; the new table is kept as {}", path.display()));
        warnings.into_iter().for_each(|w| s.notice(NoticeLevel::Warning, w));
        // What goes wrong stands in the log.
        let _ = s.apply(Command::Search { name: title, ask: Ask::file(path) });
    });
    Ok(())
}

/// A file of its own for a new table, beside the settings.
fn match_file(name: &str) -> Result<PathBuf> {
    let folder = Settings::folder().join("matches");
    std::fs::create_dir_all(&folder).map_err(|e| asterism_data::Error::io(&folder, e))?;
    let stem = asterism_archive::download::safe_name(name);
    let mut path = folder.join(format!("{stem}.parquet"));
    let mut n = 2;
    while path.exists() {
        path = folder.join(format!("{stem}-{n}.parquet"));
        n += 1;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_list_is_asked_about_in_adql() {
        let text = upload_adql("gaiadr3.gaia_source", &("ra".into(), "dec".into()), 3.6);
        assert!(text.contains("TAP_UPLOAD.list AS u") && text.contains("CIRCLE('ICRS', u.ra, u.dec, 0.001)"), "{text}");
    }

    #[test]
    fn equal_rows_are_kept_once() {
        let mut t = Table::default();
        t.with_f64_column("x", vec![1.0, 2.0, 1.0], ColumnMeta::default()).unwrap();
        assert_eq!(once(&t).unwrap().f64s("x").unwrap(), [1.0, 2.0]);
    }

    #[test]
    fn all_pairs_are_no_columns() {
        let how = Matching { radius_arcsec: 1.0, find: Find::All, into: MatchInto::Columns, columns: None };
        assert!(how.check().unwrap_err().to_string().contains("new table"));
        assert!(Matching { radius_arcsec: 0.0, find: Find::Best, ..how }.check().is_err());
    }
}
