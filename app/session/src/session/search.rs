//! Asking, and asking again: rows as they arrive, samples with the group they are about, later searches beside the rows that are here.
//!
//! A search is a job that hands its rows on as facts; what it found decides at its end about features. Rows are never a step of undo:
//! only those of a later search are, since they make a subset.

use super::*;
use crate::words::count;

impl Session {
    pub(crate) fn search(&mut self, name: String, ask: Ask) -> Result<()> {
        let client = if matches!(ask, Ask::Archive { .. }) { Some(self.client()?) } else { None };
        self.step("search", false);
        let id = self.fresh_id();
        let name = if name.trim().is_empty() { ledger::name_of(&ask) } else { name };
        let entry = LedgerEntry {
            title: ledger::title_of(&ask),
            service: ledger::service_of(&ask),
            unix_time: unix_time(),
            ..LedgerEntry::default()
        };
        let dataset = Dataset {
            id,
            name: name.clone(),
            ask: ask.clone(),
            table: Arc::default(),
            spectra: None,
            images: Vec::new(),
            ledger: vec![entry],
            latest: Arc::default(),
            features: features::Features::default(),
            maps: Vec::new(),
            current_map: None,
            subsets: Vec::new(),
            rule: None,
            loading: true,
            credit: String::new(),
            added: Vec::new(),
            tables: Vec::new(),
        };
        self.doc.datasets.push(Arc::new(dataset));
        self.doc.active = self.doc.datasets.len() - 1;
        self.clear_selection();
        let waits = self.waits_with_plan();
        self.start(format!("Search {name}"), id, false, move |handle| {
            let mut so_far = Table::default();
            let mut misfit = None;
            let mut first_features = None;
            let outcome = ledger::ask(&ask, client.as_deref(), handle, waits, &mut |met| match met {
                Asked::Plan(plan) => handle.fact(move |s| s.plan_changed(id, plan)),
                // In sight; the page itself takes its place.
                Asked::Early(rows) => {
                    let mut table = so_far.clone();
                    if table.append(&rows).is_ok() {
                        handle.fact(move |s| s.rows_arrived(id, Arc::new(table), None));
                    }
                }
                Asked::Rows(rows) => match so_far.append(&rows) {
                    Ok(()) => {
                        // The first rows say what a map could be made of, so that it can begin before the last.
                        let first = (so_far.rows() == rows.rows()).then(|| {
                            let spectra = SpectraColumn::find(&so_far).map(Arc::new);
                            let probe = ledger::probe(&ask, so_far.clone(), spectra.clone(), Vec::new());
                            let features = features::suggest(&probe);
                            first_features = Some(features.clone());
                            (spectra, features)
                        });
                        let table = Arc::new(so_far.clone());
                        handle.fact(move |s| s.rows_arrived(id, table, first));
                    }
                    Err(e) => misfit = Some(e),
                },
            });
            // A page that does not fit the ones before is a failure too; what fitted stays.
            let answer = match outcome.and_then(|answer| misfit.map_or(Ok(answer), |e| Err(e.into()))) {
                Ok(answer) => answer,
                Err(e) => {
                    // What came before the failure stays.
                    let text = e.to_string();
                    handle.fact(move |s| s.search_ended(id, Err(text)));
                    return Err(e);
                }
            };
            handle.say("reading columns", 0, 0);
            let spectra = SpectraColumn::find(&so_far).map(Arc::new);
            let mut probe = ledger::probe(&ask, so_far, spectra.clone(), answer.images.clone());
            probe.features = features::suggest(&probe);
            let found = Found { spectra, first: first_features.unwrap_or_default(), features: probe.features, answer };
            handle.fact(move |s| s.search_ended(id, Ok(found)));
            Ok(())
        });
        Ok(())
    }
    pub(super) fn rows_arrived(
        &mut self,
        id: u32,
        table: Arc<Table>,
        first: Option<(Option<Arc<SpectraColumn>>, features::Features)>,
    ) {
        let rows = table.rows();
        self.edit(id, |d| {
            d.table = table;
            if let Some((spectra, features)) = first {
                (d.spectra, d.features) = (spectra, features);
            }
            d.latest = Arc::new(RowSet::full(rows));
            if let Some(entry) = d.ledger.last_mut() {
                entry.rows = rows;
                entry.gained = rows;
            }
        });
        if self.doc.dataset().is_some_and(|d| d.id == id) {
            let selection = &mut self.doc.selection;
            selection.rows = Arc::new(selection.rows.resized(rows));
            selection.generation += 1;
        }
        self.ensure_placed(id);
    }
    pub(super) fn search_ended(&mut self, id: u32, found: std::result::Result<Found, String>) {
        let mut notes = Vec::new();
        let alive = self.edit(id, |d| {
            d.loading = false;
            let found = match found {
                Ok(found) => found,
                Err(text) => {
                    if let Some(entry) = d.ledger.last_mut() {
                        entry.error = Some(text);
                    }
                    return;
                }
            };
            d.spectra = found.spectra;
            // Features that a person chose, or that a map was made with, stay.
            if d.maps.is_empty() && d.features == found.first {
                d.features = found.features;
            }
            d.images = found.answer.images;
            d.credit = found.answer.credit;
            d.tables = found.answer.tables;
            if let Some(entry) = d.ledger.last_mut() {
                entry.text = found.answer.text;
                entry.seconds = found.answer.seconds;
                entry.truncated = found.answer.truncated;
            }
            let table = Arc::make_mut(&mut d.table);
            table.truncated |= found.answer.truncated;
            if d.table.truncated {
                let text = match d.plan() {
                    Some(plan) if d.table.rows() == 0 => {
                        format!("{}: {plan}; 'Get all parts' under Search asks for them", d.name)
                    }
                    Some(plan) => format!("{}: {plan}; 'Get the rest' asks for the parts that are not here", d.name),
                    None => format!(
                        "{}: the answer was cut off by a limit after {}; 'Get the rest' asks for all",
                        d.name,
                        crate::words::rows(d.table.rows())
                    ),
                };
                notes.push((NoticeLevel::Warning, text));
            }
            notes.extend(found.answer.warnings.into_iter().map(|w| (NoticeLevel::Warning, w)));
            notes.push((NoticeLevel::Info, format!("{}: {}", d.name, crate::words::rows(d.table.rows()))));
        });
        for (level, text) in notes {
            self.notice(level, text);
        }
        if alive && self.dataset_by_id(id).is_some_and(|d| d.table.rows() > 0) {
            for then in self.when_loaded.remove(&id).unwrap_or_default() {
                then(self);
            }
        }
    }
    /// Open the sample that a first start shows.
    pub fn open_first(&mut self) {
        if let Err(e) = self.open_sample("a478") {
            self.notice(NoticeLevel::Error, e.to_string());
        }
    }
    /// Open a sample: t-SNE of it (PCA where there are many rows), and the group it is about
    /// selected, by a lasso on the map where the group is an island of it.
    pub(super) fn open_sample(&mut self, name: &str) -> Result<()> {
        let sample = crate::sample::by_name(name)
            .ok_or_else(|| Error::said(format!("there is no sample '{name}'; there are {}", crate::sample::names())))?;
        self.search(String::new(), Ask::Sample { name: name.into(), filter: None, max_rows: None })?;
        let id = self.front()?.id;
        self.when_loaded.entry(id).or_default().push(Box::new(move |s: &mut Self| {
            let Some(dataset) = s.dataset_by_id(id) else { return };
            let method = if dataset.table.rows() <= SAMPLE_TSNE { reduce::Method::Tsne } else { reduce::Method::Pca };
            if s.doc.dataset().is_some_and(|d| d.id == id)
                && s.start_map(String::new(), reduce::Params { method, ..Default::default() }, None).is_ok()
            {
                s.when_mapped.entry(id).or_default().push(Box::new(move |s: &mut Self| s.highlight(id, sample)));
            }
        }));
        Ok(())
    }
    /// Select the group that a sample is about, keep it as a subset and fit a rule to it.
    pub(super) fn highlight(&mut self, id: u32, sample: &crate::sample::Sample) {
        // A person who went on to something else is not disturbed.
        if self.doc.selection.any() || self.doc.dataset().is_none_or(|d| d.id != id) || sample.highlight.is_empty() {
            return;
        }
        let Some(dataset) = self.dataset_by_id(id) else { return };
        let Ok(rows) = Expr::parse(&sample.highlight).and_then(|e| e.rows(&dataset.table)) else { return };
        let mut why = Provenance::Where { expr: sample.highlight.clone() };
        let mut chosen = rows.clone();
        if let Some(map) = dataset.map() {
            let at = |row: usize| map.xy.get(row).map_or([f64::NAN; 2], |p| p.map(f64::from));
            let points: Vec<[f64; 2]> = rows.iter().map(at).filter(|p| p[0].is_finite() && p[1].is_finite()).collect();
            if let Some(polygon) = select::island(&points) {
                let lasso = Provenance::Shape { plot: Plot::Map(map.id), shape: Shape::Polygon(polygon) };
                // An island holds most of the group and little else.
                if let Ok(inside) = select::rows_of(&dataset, &lasso)
                    && inside.and(&rows).count() * 10 >= rows.count() * 7
                    && inside.and(&rows).count() * 10 >= inside.count() * 6
                {
                    (why, chosen) = (lasso, inside);
                }
            }
        }
        let steps = vec![(SelectMode::Replace, Arc::new(why.clone()))];
        if self.select(&chosen, why, Some(SelectMode::Replace)).is_ok() {
            self.add_subset(id, sample.highlight_name.clone(), Arc::new(chosen), steps);
            if let Err(e) = self.fit_rule(Vec::new(), 0.5) {
                self.notice(NoticeLevel::Warning, e.to_string());
            }
        }
    }
    pub(super) fn get_rest(&mut self) -> Result<()> {
        let dataset = self.front()?;
        if self.rest_in_parts(&dataset)?.is_some() {
            return Ok(());
        }
        let ask = ledger::without_limit(&dataset.ask);
        self.again(dataset, ask, "the rest")
    }
    pub(super) fn search_again(&mut self) -> Result<()> {
        let dataset = self.front()?;
        let rule = dataset.rule.clone().ok_or_else(|| Error::said("fit a rule first: select rows and press Fit rule"))?;
        let ask = ledger::narrowed(&dataset.ask, &rule)?;
        self.again(dataset, ask, &rule.of)
    }
    pub(super) fn again(&mut self, dataset: Arc<Dataset>, ask: Ask, of: &str) -> Result<()> {
        let client = if matches!(ask, Ask::Archive { .. }) { Some(self.client()?) } else { None };
        let id = dataset.id;
        let title = format!("{} ({of})", ledger::title_of(&ask));
        let rest = of == "the rest";
        let of = of.to_owned();
        self.start(format!("Search again for {of}"), id, false, move |handle| {
            let mut rows = Table::default();
            let mut misfit = None;
            let mut plan = None;
            let answer = ledger::ask(&ask, client.as_deref(), handle, false, &mut |met| match met {
                Asked::Plan(now) => plan = Some(now),
                Asked::Early(_) => {}
                Asked::Rows(page) => {
                    if let Err(e) = rows.append(&page) {
                        misfit = Some(e);
                    }
                }
            });
            // What came of a search in parts is taken in, and the others stay to be got.
            let left = plan.filter(|p| p.is_left() && rest);
            let (answer, failed) = match answer {
                Err(e) if left.is_some() && rows.rows() > 0 => {
                    (ledger::Outcome { truncated: true, ..Default::default() }, Some(e))
                }
                answer => (answer?, None),
            };
            if let Some(e) = misfit {
                return Err(e.into());
            }
            handle.say("comparing rows", 0, 0);
            let met = ledger::meet(&dataset, &rows)?;
            handle.fact(move |s| {
                let id = dataset.id;
                s.take_in(&dataset, met, &rows, title, &of, answer);
                match left {
                    Some(plan) => s.plan_changed(id, plan),
                    // The question is from now on the one without the limit.
                    None if rest => _ = s.edit(id, |d| d.ask = ask),
                    None => {}
                }
            });
            if let Some(e) = failed {
                return Err(e);
            }
            Ok(())
        });
        Ok(())
    }
    /// Lay the rows of a later search beside those that are here. `asked` is the dataset as it was
    /// when the rows were compared with it.
    pub(super) fn take_in(
        &mut self,
        asked: &Dataset,
        met: ledger::Meeting,
        rows: &Table,
        title: String,
        of: &str,
        answer: ledger::Outcome,
    ) {
        let id = asked.id;
        let Some(dataset) = self.dataset_by_id(id) else { return };
        let met = if Arc::ptr_eq(&asked.table, &dataset.table) {
            met
        } else {
            // Another search brought rows meanwhile: compare again with what is here now.
            match ledger::meet(&dataset, rows) {
                Ok(met) => met,
                Err(e) => return self.notice(NoticeLevel::Error, format!("the new rows do not fit the table: {e}")),
            }
        };
        let before = dataset.table.rows();
        let mut table = met.table;
        table.truncated = answer.truncated;
        self.step("search again", true);
        let len = table.rows();
        let latest = RowSet::from_rows(len, met.here.iter().copied().chain(before..len));
        let kept = latest.and(&dataset.latest.resized(len)).count();
        let entry = LedgerEntry {
            title,
            text: answer.text.clone(),
            service: ledger::service_of(&dataset.ask),
            unix_time: unix_time(),
            rows: rows.rows(),
            gained: len - before,
            lost: dataset.latest.count() - kept,
            kept,
            truncated: answer.truncated,
            seconds: answer.seconds,
            error: None,
        };
        let number = dataset.ledger.len() + 1;
        let said = format!(
            "Search {number}: {}, {} gained, {} kept, {} lost",
            crate::words::rows(entry.rows),
            count(entry.gained),
            count(entry.kept),
            count(entry.lost)
        );
        self.edit(id, |d| {
            d.table = Arc::new(table);
            d.latest = Arc::new(latest.clone());
            d.ledger.push(entry);
        });
        if len > before {
            let new = RowSet::from_rows(len, before..len);
            let why = Provenance::Rows { note: format!("new in search {number}"), rows: new.clone() };
            let steps = vec![(SelectMode::Replace, Arc::new(why))];
            self.add_subset(id, format!("new in search {number} ({of})"), Arc::new(new), steps);
        }
        if self.doc.dataset().is_some_and(|d| d.id == id) {
            let selection = &mut self.doc.selection;
            selection.rows = Arc::new(selection.rows.resized(len));
            selection.generation += 1;
        }
        self.notice(if answer.truncated { NoticeLevel::Warning } else { NoticeLevel::Info }, said);
        self.ensure_placed(id);
    }
}

pub(super) struct Found {
    pub(super) spectra: Option<Arc<SpectraColumn>>,
    /// What was suggested when the first rows were here.
    pub(super) first: features::Features,
    pub(super) features: features::Features,
    pub(super) answer: ledger::Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_that_breaks_off_by_an_error_in_the_program_leaves_no_view_waiting() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.csv");
        std::fs::write(&path, "a,b\n1,2\n3,4\n").expect("a table");
        let mut session = Session::new(crate::Settings::default());
        session.apply(Command::Search { name: "t".into(), ask: Ask::file(path) }).expect("it opens");
        session.wait(&mut |_| {}).expect("it is read");
        let id = session.front().expect("a table").id;
        session.edit(id, |d| d.loading = true);
        session.start("Search t", id, false, |_| panic!("on purpose"));
        // The failure is an error of the wait, or a notice alone.
        let _ = session.wait(&mut |_| {});
        let dataset = session.front().expect("a table");
        assert!(!dataset.loading, "it still waits");
        assert!(dataset.ledger.last().and_then(|e| e.error.as_deref()).is_some_and(|e| e.contains("on purpose")));
        assert_eq!(dataset.table.rows(), 2, "what came stays");
    }
}
