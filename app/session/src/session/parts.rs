//! Searches that go in parts: their plan stays with the table, is kept in the session's file, and goes on where it stopped.
//!
//! While parts are left the dataset's question is [`Request::Parts`]; once all came it is the question as a whole again. Where a
//! window is there ([`Session::set_asks_first`]) a plan of several parts is shown before it starts; without one it goes through.
//! Choice not taken: a question beside the plan, which two places would have to keep in step.

use std::sync::Arc;

use asterism_archive::{Plan, Request};
use asterism_data::{SpectraColumn, Table};

use super::{Found, Session};
use crate::command::Ask;
use crate::document::{Dataset, LedgerEntry};
use crate::error::{Error, Result};
use crate::features;
use crate::ledger::{self, Asked};

impl Dataset {
    /// The parts of its search, while some are still to come.
    pub fn plan(&self) -> Option<&Plan> {
        match &self.ask {
            Ask::Archive { request: Request::Parts { plan } } if plan.is_left() => Some(plan),
            _ => None,
        }
    }
}

impl Session {
    /// A plan of several parts is shown and waits for a person (*Get the rest*) before its first rows are asked for.
    pub fn set_asks_first(&mut self, asks: bool) {
        self.asks_first = asks;
    }
    /// Whether the next search waits with its plan: never within a recipe.
    pub(super) fn waits_with_plan(&self) -> bool {
        self.asks_first && self.play.is_none()
    }
    /// A part came, or the plan was made.
    pub(super) fn plan_changed(&mut self, id: u32, plan: Plan) {
        // Once all is here it is a search like any other; some parts of one stay what they are.
        let request = if plan.is_left() || plan.some { Request::Parts { plan } } else { *plan.base };
        self.edit(id, |d| d.ask = Ask::Archive { request });
    }
    /// What is left of a search: the parts of its plan, or those of the plan that is made now. `None` where it is no such search.
    pub(super) fn rest_in_parts(&mut self, dataset: &Arc<Dataset>) -> Result<Option<()>> {
        let Ask::Archive { request } = &dataset.ask else { return Ok(None) };
        let client = self.client()?;
        // With the person's own limit lifted it may well fit.
        let limited = request.max_rows().is_some();
        let planned = dataset.plan().is_some();
        let overflows = matches!(request, Request::Tap { .. } | Request::MastCatalog { .. }) && !limited;
        let can = planned || (overflows && client.goes_in_parts(request));
        if !can {
            return Ok(None);
        }
        if dataset.loading {
            return Err(Error::said("this search is under way: wait for it, or end it first"));
        }
        let (id, request, waits) = (dataset.id, request.clone(), self.waits_with_plan() && !planned);
        let table = dataset.table.clone();
        self.edit(id, |d| {
            d.loading = true;
            let entry = LedgerEntry {
                title: format!("{} (the rest)", ledger::title_of(&d.ask)),
                service: ledger::service_of(&d.ask),
                unix_time: super::unix_time(),
                rows: d.table.rows(),
                kept: d.table.rows(),
                ..LedgerEntry::default()
            };
            d.ledger.push(entry);
        });
        self.start(format!("Search {}: the rest", dataset.name), id, false, move |handle| {
            let came = (|| {
                let mut plan = match request {
                    Request::Parts { plan } => plan,
                    request => {
                        handle.say("planning", 0, 0);
                        client.plan(&request, Some(&table), &|| handle.cancelled())?
                    }
                };
                // The person's limit counts all rows, those too that are here; one that was met is lifted.
                plan.max_rows = plan.base.max_rows().map(|m| m.saturating_sub(table.rows())).filter(|m| *m > 0);
                plan.remember(&table);
                let before = table.rows();
                let mut so_far = (*table).clone();
                so_far.truncated = false;
                let mut misfit = None;
                let ask = Ask::Archive { request: Request::Parts { plan } };
                let asked = ledger::ask(&ask, Some(&client), handle, waits, &mut |met| match met {
                    Asked::Rows(rows) => match so_far.append(&rows) {
                        Ok(()) => {
                            let whole = Arc::new(so_far.clone());
                            handle.fact(move |s| s.rest_arrived(id, whole, rows, before));
                        }
                        Err(e) => misfit = Some(e),
                    },
                    // Rows behind many others are waited for.
                    Asked::Early(_) => {}
                    Asked::Plan(plan) => handle.fact(move |s| s.plan_changed(id, plan)),
                });
                let answer = asked.and_then(|answer| misfit.map_or(Ok(answer), |e| Err(e.into())))?;
                Ok((so_far, answer))
            })();
            match came {
                Ok((table, answer)) => {
                    let spectra = SpectraColumn::find(&table).map(Arc::new);
                    let mut probe = ledger::probe(
                        &Ask::Sample { name: String::new(), filter: None, max_rows: None },
                        table,
                        spectra.clone(),
                        Vec::new(),
                    );
                    probe.features = features::suggest(&probe);
                    let found = Found { spectra, first: features::Features::default(), features: probe.features, answer };
                    handle.fact(move |s| {
                        s.edit(id, |d| Arc::make_mut(&mut d.table).truncated = false);
                        s.search_ended(id, Ok(found));
                    });
                    Ok(())
                }
                Err(e) => {
                    let e: Error = e;
                    let text = e.to_string();
                    handle.fact(move |s| s.search_ended(id, Err(text)));
                    Err(e)
                }
            }
        });
        Ok(Some(()))
    }
    /// Rows of a later part, behind those that are here.
    fn rest_arrived(&mut self, id: u32, whole: Arc<Table>, page: Table, before: usize) {
        let Some(dataset) = self.dataset_by_id(id) else { return };
        // Where another search brought rows meanwhile, the page goes behind those.
        let expected = whole.rows() - page.rows();
        let whole = if dataset.table.rows() == expected {
            whole
        } else {
            let mut table = (*dataset.table).clone();
            if let Err(e) = table.append(&page) {
                return self.notice(crate::jobs::NoticeLevel::Error, format!("the new rows do not fit the table: {e}"));
            }
            Arc::new(table)
        };
        self.rows_arrived(id, whole, None);
        self.edit(id, |d| {
            let rows = d.table.rows();
            if let Some(entry) = d.ledger.last_mut() {
                (entry.rows, entry.gained, entry.kept) = (rows, rows - before.min(rows), before);
            }
        });
    }
}
