//! The session: one function applies commands, one drains what jobs found.
//!
//! The document is edited in place through `Arc::make_mut`; a snapshot for undo is a clone of
//! `Arc`s. Rows that arrive from a service are facts, not steps: undoing a selection never takes
//! back rows that came in the meantime.

mod files;
mod groups;
mod maps;
mod parts;
mod search;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use asterism_archive::{Client, Resolved, TapSchema, download};
use asterism_data::{Expr, Picture, RowSet, SpectraColumn, Table};
use asterism_reduce as reduce;
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use crate::arrivals::{Arrivals, Newest, Taken, spread};
use crate::command::{Ask, ClusterOn, Command, ExportRows, Outliers, SelectMode};
use crate::document::ndarray_like::Coords;
use crate::document::{Dataset, Document, LedgerEntry, Leg, Map, Selection, Subset};
use crate::error::{Error, Result};
use crate::features;
use crate::jobs::{self, Finish, Handle, Job, JobId, Live, Notice, NoticeLevel};
use crate::ledger::{self, Asked};
use crate::photometry::{self, Photometry};
use crate::products::{self, ProductKind};
use crate::rule;
use crate::run::Play;
use crate::select::{self, Plot, Provenance, Shape};
use crate::settings::Settings;
use crate::store;

pub use groups::outlier_scores;
use groups::{Cluster, DensityKey, matrix};
#[cfg(test)]
pub(crate) use maps::compute_map_with;
pub use maps::{compute_map, method_label, place_spread};
use search::Found;

/// Colours given to subsets in turn: Okabe and Ito's, without black, the loudest first; then those of Glasbey's set that
/// stand apart from them and from both grounds.
pub const SUBSET_COLOURS: [[u8; 3]; 24] = [
    [0xe6, 0x9f, 0x00],
    [0x00, 0x9e, 0x73],
    [0x56, 0xb4, 0xe9],
    [0xcc, 0x79, 0xa7],
    [0xd5, 0x5e, 0x00],
    [0xf0, 0xe4, 0x42],
    [0x00, 0x72, 0xb2],
    [0x02, 0x88, 0x00],
    [0xb6, 0x00, 0xff],
    [0xb0, 0xa5, 0xff],
    [0x94, 0xad, 0x84],
    [0x9a, 0x69, 0x00],
    [0xd3, 0x00, 0x8c],
    [0xc8, 0x6f, 0x66],
    [0x00, 0xc9, 0x46],
    [0xff, 0x28, 0xfd],
    [0xff, 0x34, 0x65],
    [0x8d, 0x9b, 0xb2],
    [0x82, 0x91, 0x26],
    [0xbc, 0x92, 0x58],
    [0xe5, 0x8f, 0xff],
    [0xc2, 0x44, 0xbd],
    [0x85, 0xd4, 0x01],
    [0xd7, 0x00, 0x00],
];

/// Steps of undo that are kept.
const UNDO_STEPS: usize = 200;

/// A picture that may still be on its way.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// On its way.
    Loading,
    /// Here.
    Ready(Arc<Picture>),
    /// It did not come, with the reason.
    Failed(String),
}

struct Step {
    name: &'static str,
    document: Document,
    /// The step changed the rows themselves, so undoing it takes rows back.
    data: bool,
}

type Pending = Box<dyn FnOnce(&mut Session) + Send>;
type Schemas = Arc<Mutex<HashMap<String, Option<Arc<TapSchema>>>>>;

/// A document, its history and its jobs.
pub struct Session {
    doc: Document,
    undo: Vec<Step>,
    redo: Vec<Step>,
    jobs: Vec<Arc<Job>>,
    facts: (Sender<Finish>, Receiver<Finish>),
    waker: Arc<dyn Fn() + Send + Sync>,
    settings: Settings,
    client: Option<Arc<Client>>,
    notices: Vec<Notice>,
    next_id: u32,
    next_job: JobId,
    schemas: Schemas,
    previews: Arc<Mutex<HashMap<String, Fetched>>>,
    preview_threads: Arc<std::sync::atomic::AtomicUsize>,
    resolved: Arc<Mutex<Option<std::result::Result<Resolved, String>>>>,
    when_loaded: HashMap<u32, Vec<Pending>>,
    when_mapped: HashMap<u32, Vec<Pending>>,
    path: Option<PathBuf>,
    changes: u64,
    saved: u64,
    opened: u64,
    autosaved: u64,
    failures: Vec<(JobId, String)>,
    asks_first: bool,
    pub(crate) interop: Option<crate::interop::Interop>,
    pub(crate) lookups: crate::lookups::Lookups,
    pub(crate) behind: crate::behind::State,
    pub(crate) tap_jobs: crate::tap_jobs::State,
    pub(crate) account: crate::account::State,
    gpu: Option<reduce::gpu::Context>,
    /// The last neighbour graph of each dataset: the next map, density groups and outlier scores of the same vectors
    /// begin with it.
    graphs: HashMap<u32, Arc<reduce::Graph>>,
    /// The last tree of density groups with what it was made of, to be cut again without computing it anew.
    density: Option<(DensityKey, Arc<reduce::Density>)>,
    /// Datasets whose newest rows may still want a place on the map.
    place_next: Vec<u32>,
    /// The content of the last file of light curves whose mask or aperture was changed.
    curves: Option<(PathBuf, Arc<photometry::Source>)>,
    /// The recipe on its way, and the jobs of the step that it waits for.
    play: Option<(Play, std::ops::Range<JobId>)>,
}

/// Seconds since 1970.
pub fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

impl Session {
    /// An empty session.
    pub fn new(settings: Settings) -> Self {
        if settings.table_gb > 0.0 {
            asterism_data::scan::set_limit((settings.table_gb * 1e9) as u64);
        }
        Self {
            doc: Document::default(),
            undo: Vec::new(),
            redo: Vec::new(),
            jobs: Vec::new(),
            facts: bounded(256),
            waker: Arc::new(|| {}),
            settings,
            client: None,
            notices: Vec::new(),
            next_id: 1,
            next_job: 1,
            schemas: Arc::default(),
            previews: Arc::default(),
            preview_threads: Arc::default(),
            resolved: Arc::default(),
            when_loaded: HashMap::new(),
            when_mapped: HashMap::new(),
            path: None,
            changes: 0,
            saved: 0,
            opened: 0,
            autosaved: 0,
            failures: Vec::new(),
            asks_first: false,
            place_next: Vec::new(),
            graphs: HashMap::new(),
            density: None,
            curves: None,
            play: None,
            interop: None,
            lookups: Default::default(),
            behind: crate::behind::State::default(),
            tap_jobs: crate::tap_jobs::State::default(),
            account: crate::account::State::default(),
            gpu: None,
        }
    }
    /// A session on a document, to look at: what is done in it is not what the document's own session knows.
    pub fn of_document(settings: Settings, doc: Document) -> Self {
        Self { doc, ..Self::new(settings) }
    }
    pub(crate) fn waker(&self) -> Arc<dyn Fn() + Send + Sync> {
        self.waker.clone()
    }
    /// A graphics processor on which maps may be computed, where it is fit for that.
    pub fn set_gpu(&mut self, gpu: reduce::gpu::Context) {
        self.gpu = Some(gpu);
    }
    /// Called by jobs whenever something changed.
    pub fn set_waker(&mut self, waker: Arc<dyn Fn() + Send + Sync>) {
        self.waker = waker;
    }
    /// The document.
    pub fn doc(&self) -> &Document {
        &self.doc
    }
    /// Settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
    /// To change settings; addresses are taken up by the next search.
    pub fn settings_mut(&mut self) -> &mut Settings {
        self.client = None;
        &mut self.settings
    }
    /// Jobs, oldest first: those at work and the last that ended.
    pub fn jobs(&self) -> &[Arc<Job>] {
        &self.jobs
    }
    /// Whether any job runs or waits.
    pub fn busy(&self) -> bool {
        self.jobs.iter().any(|j| j.alive()) || !self.facts.1.is_empty()
    }
    /// The newest frame of the map being computed for the dataset in front.
    pub fn live(&self) -> Option<(Arc<Job>, Live)> {
        let dataset = self.doc.dataset()?.id;
        let job = self.jobs.iter().rev().find(|j| j.is_map && j.alive() && j.dataset == dataset)?;
        Some((job.clone(), job.live()?))
    }
    /// The log, newest last.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }
    /// Name of the step that undo would take back.
    pub fn undo_name(&self) -> Option<&str> {
        self.undo.last().map(|s| s.name)
    }
    /// Name of the step that redo would do again.
    pub fn redo_name(&self) -> Option<&str> {
        self.redo.last().map(|s| s.name)
    }
    /// Where the session is kept, once saved.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
    /// Whether anything changed since it was saved.
    pub fn dirty(&self) -> bool {
        self.changes != self.saved
    }
    /// Add a line to the log.
    pub fn notice(&mut self, level: NoticeLevel, text: impl Into<String>) {
        self.notices.push(Notice { level, text: text.into(), unix_time: unix_time() });
    }
    /// The client of network services, made when first needed.
    ///
    /// # Errors
    /// When the network cannot be set up at all.
    pub fn client(&mut self) -> Result<Arc<Client>> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let client = Arc::new(Client::new(self.settings.services.clone())?);
        if let Some(token) = self.account.token() {
            client.set_token(Some(token));
        }
        self.client = Some(client.clone());
        Ok(client)
    }
    pub(crate) fn fresh_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id - 1
    }
    pub(crate) fn step(&mut self, name: &'static str, data: bool) {
        self.undo.push(Step { name, document: self.doc.clone(), data });
        if self.undo.len() > UNDO_STEPS {
            self.undo.remove(0);
        }
        self.redo.clear();
        self.changes += 1;
    }
    /// Change the dataset with this id, if it is still there.
    pub(crate) fn edit(&mut self, id: u32, change: impl FnOnce(&mut Dataset)) -> bool {
        let Some(dataset) = self.doc.datasets.iter_mut().find(|d| d.id == id) else { return false };
        change(Arc::make_mut(dataset));
        self.changes += 1;
        true
    }
    pub(crate) fn front(&self) -> Result<Arc<Dataset>> {
        self.doc.dataset().cloned().ok_or_else(|| Error::said("there is no table yet: search, or open a file or a sample"))
    }
    pub(crate) fn dataset_by_id(&self, id: u32) -> Option<Arc<Dataset>> {
        self.doc.datasets.iter().find(|d| d.id == id).cloned()
    }
    pub(crate) fn start(
        &mut self,
        name: impl Into<String>,
        dataset: u32,
        is_map: bool,
        work: impl FnOnce(&Handle) -> Result<()> + Send + 'static,
    ) {
        let id = self.next_job;
        self.next_job += 1;
        // The list keeps what runs and the last few that ended.
        while self.jobs.len() > 20 {
            let Some(at) = self.jobs.iter().position(|j| !j.alive()) else { break };
            self.jobs.remove(at);
        }
        self.jobs.push(jobs::start(id, name.into(), dataset, is_map, self.facts.0.clone(), self.waker.clone(), work));
    }
    /// The last fact of every job: what went wrong, if anything did.
    pub(crate) fn job_ended(&mut self, id: JobId, said: Option<String>) {
        let Some(text) = said else { return };
        self.notice(NoticeLevel::Error, text.clone());
        // A search that broke off by an error in the program ended without a word: no view waits for it.
        let search = self.jobs.iter().find(|j| j.id == id && j.name.starts_with("Search ")).map(|j| j.dataset);
        if let Some(dataset) = search.filter(|d| self.doc.datasets.iter().any(|o| o.id == *d && o.loading)) {
            self.search_ended(dataset, Err(text.clone()));
        }
        self.failures.push((id, text));
    }
    /// Take in what jobs found. True when anything changed.
    pub fn poll(&mut self) -> bool {
        let mut any = false;
        while let Ok(fact) = self.facts.1.try_recv() {
            fact(self);
            any = true;
        }
        // Rows that came while others were given their place; the job that placed those has ended now.
        for id in std::mem::take(&mut self.place_next) {
            if self.jobs.iter().any(|j| j.alive() && j.dataset == id && j.name.starts_with(PLACE)) {
                self.place_next.push(id);
            } else {
                self.ensure_placed(id);
            }
        }
        any |= self.interop_poll();
        any | self.play_on()
    }
    /// The next part of the recipe, once the jobs of the part before have ended.
    fn play_on(&mut self) -> bool {
        if self.play.is_none() || self.busy() {
            return false;
        }
        let Some((mut play, own)) = self.play.take() else { return false };
        let file = play.file().to_owned();
        // What failed beside it stands in the log and stops nothing.
        let ended = self.jobs.iter().any(|j| own.contains(&j.id) && j.state() == jobs::JobState::Cancelled);
        if ended || self.failures.iter().any(|(id, _)| own.contains(id)) {
            // The failure itself stands in the log already.
            self.notice(NoticeLevel::Warning, format!("{file} stopped there; what it made so far is here"));
            return true;
        }
        let mut lines = Vec::new();
        let first = self.next_job;
        // Without this a search of the recipe would wait for a person.
        let asks = std::mem::take(&mut self.asks_first);
        let outcome = play.next(self, &mut |line| lines.push(line.to_owned()));
        self.asks_first = asks;
        lines.into_iter().for_each(|line| self.notice(NoticeLevel::Info, format!("Recipe: {}", line.trim())));
        match outcome {
            Ok(true) => self.play = Some((play, first..self.next_job)),
            Ok(false) => {
                let leaves = match play.leaves() {
                    0 => String::new(),
                    n => format!(
                        "; {n} file{} that it writes were left out: use Take, or asterism run",
                        if n == 1 { "" } else { "s" }
                    ),
                };
                self.notice(NoticeLevel::Info, format!("{file} is done{leaves}"));
            }
            Err(e) => self.notice(NoticeLevel::Error, format!("{e}; what it made so far is here")),
        }
        (self.waker)();
        true
    }
    /// The recipe on its way: its file, and the share that is done.
    pub fn playing(&self) -> Option<(&str, f32)> {
        self.play.as_ref().map(|(play, _)| (play.file(), play.fraction()))
    }
    /// Wait until no job runs, telling how it stands about ten times a second.
    ///
    /// # Errors
    /// The first failure of a job since the last wait.
    pub fn wait(&mut self, tell: &mut dyn FnMut(&Self)) -> Result<()> {
        loop {
            self.poll();
            tell(self);
            if !self.busy() && self.play.is_none() {
                self.poll();
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(15));
        }
        match std::mem::take(&mut self.failures).into_iter().next() {
            Some((_, text)) => Err(Error::Said(text)),
            None => Ok(()),
        }
    }
    /// Carry out a command. What goes wrong stands in the log as well.
    ///
    /// # Errors
    /// In words for the person who gave the command; nothing has changed then.
    pub fn apply(&mut self, command: Command) -> Result<()> {
        let outcome = self.carry_out(command);
        if let Err(e) = &outcome {
            self.notice(NoticeLevel::Error, e.to_string());
        }
        outcome
    }
    fn carry_out(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Search { name, ask } => self.search(name, ask),
            Command::OpenSample { name } => self.open_sample(&name),
            Command::GetRest => self.get_rest(),
            Command::SetPhotometry { photometry } => self.set_photometry(photometry),
            Command::Activate { index } => {
                if index < self.doc.datasets.len() && index != self.doc.active {
                    self.step("switch table", false);
                    self.doc.active = index;
                    self.clear_selection();
                }
                Ok(())
            }
            Command::CloseDataset { index } => {
                if index < self.doc.datasets.len() {
                    self.step("close table", true);
                    let gone = self.doc.datasets.remove(index);
                    self.jobs.iter().filter(|j| j.dataset == gone.id).for_each(|j| j.cancel());
                    // Large, and made again when they are wanted.
                    self.graphs.remove(&gone.id);
                    self.density = None;
                    if self.doc.active >= index && self.doc.active > 0 {
                        self.doc.active -= 1;
                    }
                    self.clear_selection();
                }
                Ok(())
            }
            Command::SetFeatures { features } => {
                let id = self.front()?.id;
                self.step("features", false);
                self.edit(id, |d| d.features = features);
                Ok(())
            }
            Command::StartMap { name, params } => self.start_map(name, params, None),
            Command::RepeatMap { name, legs } => self.repeat_map(name, legs),
            Command::GoOn { params } => self.go_on(params),
            Command::ShowMap { id } => {
                let dataset = self.front()?;
                if dataset.maps.iter().any(|m| m.id == id) {
                    self.step("show map", false);
                    self.edit(dataset.id, |d| d.current_map = Some(id));
                    self.ensure_placed(dataset.id);
                }
                Ok(())
            }
            Command::DeleteMap { id } => {
                let dataset = self.front()?;
                self.step("delete map", false);
                self.edit(dataset.id, |d| {
                    d.maps.retain(|m| m.id != id);
                    if d.current_map == Some(id) {
                        d.current_map = d.maps.last().map(|m| m.id);
                    }
                });
                Ok(())
            }
            Command::StopAfterPart { id } => self.with_job(id, Job::end_soon),
            Command::ChangeMap { id, params } => self.with_job(id, |job| job.change(params.clone())),
            Command::PauseJob { id } => self.with_job(id, Job::pause),
            Command::ResumeJob { id } => self.with_job(id, Job::resume),
            Command::CancelJob { id } => self.with_job(id, Job::cancel),
            Command::Select { rows, why, mode } => self.select(&rows, why, mode),
            Command::MoveOutline { rows, why } => self.move_outline(&rows, why),
            Command::SelectWhere { expr, mode } => self.select_where(expr, mode),
            Command::ClearSelection => {
                if self.doc.selection.any() {
                    self.step("clear selection", false);
                    self.clear_selection();
                }
                Ok(())
            }
            Command::SelectAlike { k } => self.select_alike(k),
            Command::SelectAll => {
                let rows = RowSet::full(self.front()?.table.rows());
                self.select(&rows, Provenance::Rows { note: "all".into(), rows: rows.clone() }, Some(SelectMode::Replace))
            }
            Command::InvertSelection => {
                let rows = self.doc.selection.rows.resized(self.front()?.table.rows()).not();
                self.select(&rows, Provenance::Rows { note: "inverted".into(), rows: rows.clone() }, Some(SelectMode::Replace))
            }
            Command::SetMode { mode } => {
                self.doc.mode = mode;
                Ok(())
            }
            Command::HideRest { hide } => {
                self.step("hide the rest", false);
                self.doc.hide_rest = hide;
                Ok(())
            }
            Command::SaveSubset { name } => {
                let dataset = self.front()?;
                if !self.doc.selection.any() {
                    return Err(Error::said("select some rows first: a subset keeps a selection"));
                }
                self.step("save selection", false);
                let (rows, steps) = (self.doc.selection.rows.clone(), self.doc.selection.steps.clone());
                self.add_subset(dataset.id, name, rows, steps);
                Ok(())
            }
            Command::SelectSubset { id, mode } => {
                let dataset = self.front()?;
                let subset = dataset.subset(id).ok_or_else(|| Error::said("that subset is not here any more"))?;
                let why = match subset.steps.as_slice() {
                    [(_, one)] => (**one).clone(),
                    _ => Provenance::Rows { note: subset.name.clone(), rows: (*subset.rows).clone() },
                };
                self.select(&subset.rows, why, mode)
            }
            Command::EditSubset { id, name, colour, visible } => {
                let dataset = self.front()?;
                self.step("change subset", false);
                self.edit(dataset.id, |d| {
                    if let Some(s) = d.subsets.iter_mut().find(|s| s.id == id) {
                        let s = Arc::make_mut(s);
                        s.name = name.unwrap_or_else(|| s.name.clone());
                        s.colour = colour.unwrap_or(s.colour);
                        s.visible = visible.unwrap_or(s.visible);
                    }
                });
                Ok(())
            }
            Command::DeleteSubset { id } => {
                let dataset = self.front()?;
                self.step("delete subset", false);
                self.edit(dataset.id, |d| d.subsets.retain(|s| s.id != id));
                Ok(())
            }
            Command::KMeans { k, on } => self.cluster(Cluster::KMeans(k), on),
            Command::Hdbscan { min_cluster_size, min_samples, on } => {
                self.cluster(Cluster::Hdbscan(min_cluster_size, min_samples), on)
            }
            Command::Mixture { k, on } => self.cluster(Cluster::Mixture(k), on),
            Command::ScoreOutliers { how, on } => self.score_outliers(how, on),
            Command::FitRule { columns, balance } => self.fit_rule(columns, balance),
            Command::SetBalance { balance } => {
                let dataset = self.front()?;
                self.edit(dataset.id, |d| {
                    if let Some(rule) = &mut d.rule {
                        Arc::make_mut(rule).set_balance(balance);
                    }
                });
                Ok(())
            }
            Command::SelectRule => {
                let dataset = self.front()?;
                let rule = dataset.rule.as_ref().ok_or_else(|| Error::said("fit a rule first"))?;
                let expr = rule.sql();
                let rows = Expr::parse(&expr)?.rows(&dataset.table)?;
                self.select(&rows, Provenance::Where { expr }, Some(SelectMode::Replace))
            }
            Command::SearchAgain => self.search_again(),
            Command::Connect => self.interop_connect(),
            Command::Disconnect => {
                self.interop = None;
                Ok(())
            }
            Command::SendTable { rows, to } => self.interop_send(rows, to),
            Command::SendImage => self.interop_image(),
            Command::SendSpectrum => self.interop_spectrum(),
            Command::PointOut => self.interop_point(),
            Command::ShareSelection { on } => self.interop_share(on),
            Command::Export { rows, to, serialization } => self.export(rows, to, serialization),
            Command::ListProducts { rows } => {
                let (dataset, rows) = (self.front()?, self.export_rows(rows)?);
                let obsids = products::obsids(&dataset.table, &rows)?;
                self.search(String::new(), Ask::Archive { request: asterism_archive::Request::MastProducts { obsids } })
            }
            Command::ReadProducts { column, kind, rows } => self.read_products(column, kind, rows),
            Command::Download { rows, to } => self.download(rows, to),
            Command::LookBehind { row } => self.look_behind(row),
            Command::OpenProduct { address, name, by_job } => self.open_product(address, name, by_job),
            Command::SaveProduct { address, name, to } => self.save_product(address, name, to),
            Command::FindCutOuts { at } => self.find_cut_outs(at),
            Command::CutOut { at, from } => self.cut_out(at, from),
            Command::ListTapJobs { base } => self.list_tap_jobs(base),
            Command::AbortTapJob { base, url } => self.abort_tap_job(base, url),
            Command::DeleteTapJob { base, url } => self.delete_tap_job(base, url),
            Command::FetchTapJob { base, url } => self.fetch_tap_job(base, url),
            Command::MatchTables { with, columns, how } => self.match_tables(with, columns, how),
            Command::MatchService { by, rows, how } => self.match_service(by, rows, how),
            Command::ExportProducts { rows, to } => {
                let (dataset, rows) = (self.front()?, self.export_rows(rows)?);
                let client = self.client()?;
                let said = crate::export::products(&dataset, &rows, &to, &client)?;
                self.notice(NoticeLevel::Info, said);
                Ok(())
            }
            Command::SaveSession { to } => {
                let (doc, changes) = (self.doc.clone(), self.changes);
                self.start(format!("Save {}", to.display()), 0, false, move |handle| {
                    handle.say("writing", 0, 0);
                    store::save(&doc, &to)?;
                    handle.fact(move |s| s.session_saved(to, changes));
                    Ok(())
                });
                Ok(())
            }
            Command::OpenSession { path } => {
                self.start(format!("Open {}", path.display()), 0, false, move |handle| {
                    handle.say("reading", 0, 0);
                    let doc = store::open(&path)?;
                    handle.fact(move |s| s.session_opened(doc, path));
                    Ok(())
                });
                Ok(())
            }
            Command::OpenRecipe { path } => {
                let play = Play::new(&path, None)?;
                self.failures.clear();
                self.play = Some((play, self.next_job..self.next_job));
                (self.waker)();
                Ok(())
            }
            Command::StopRecipe => {
                if let Some((play, own)) = self.play.take() {
                    self.jobs.iter().filter(|j| j.id >= own.start).for_each(|j| j.cancel());
                    self.notice(NoticeLevel::Info, format!("{} was left; what it made so far is here", play.file()));
                }
                Ok(())
            }
            Command::SaveRecipe { to } => {
                crate::export::write_whole(&to, crate::recipe::of_document(&self.doc).as_bytes())?;
                self.notice(NoticeLevel::Info, format!("Wrote the recipe to {}", to.display()));
                Ok(())
            }
            Command::SetLayout { layout } => {
                self.doc.layout = layout;
                Ok(())
            }
            Command::Undo => {
                self.travel(false);
                Ok(())
            }
            Command::Redo => {
                self.travel(true);
                Ok(())
            }
        }
    }
    fn with_job(&self, id: JobId, f: impl Fn(&Job)) -> Result<()> {
        if let Some(job) = self.jobs.iter().find(|j| j.id == id) {
            f(job);
        }
        Ok(())
    }
    fn travel(&mut self, forth: bool) {
        let (from, to) = if forth { (&mut self.redo, &mut self.undo) } else { (&mut self.undo, &mut self.redo) };
        let Some(step) = from.pop() else { return };
        let mut document = step.document;
        // The panes are where the person left them, whatever is undone.
        document.layout = self.doc.layout.clone();
        if !step.data {
            for old in &mut document.datasets {
                let Some(now) = self.doc.datasets.iter().find(|d| d.id == old.id) else { continue };
                if Arc::ptr_eq(&now.table, &old.table) && now.loading == old.loading && now.ask == old.ask {
                    continue;
                }
                let old = Arc::make_mut(old);
                old.table = now.table.clone();
                old.latest = now.latest.clone();
                old.ledger = now.ledger.clone();
                old.loading = now.loading;
                old.ask = now.ask.clone();
                old.spectra = now.spectra.clone();
                old.images = now.images.clone();
            }
        }
        document.selection.generation = self.doc.selection.generation + 1;
        to.push(Step { name: step.name, document: std::mem::replace(&mut self.doc, document), data: step.data });
        self.changes += 1;
    }
    pub(crate) fn clear_selection(&mut self) {
        let rows = self.doc.dataset().map_or(0, |d| d.table.rows());
        self.doc.selection =
            Selection { rows: Arc::new(RowSet::empty(rows)), steps: Vec::new(), generation: self.doc.selection.generation + 1 };
    }
    fn select(&mut self, rows: &RowSet, why: Provenance, mode: Option<SelectMode>) -> Result<()> {
        let dataset = self.front()?;
        let mode = mode.unwrap_or(self.doc.mode);
        let len = dataset.table.rows();
        self.step("select", false);
        let rows = select::combine(&self.doc.selection.rows.resized(len), &rows.resized(len), mode);
        let mut steps = match mode {
            SelectMode::New | SelectMode::Replace => Vec::new(),
            _ => std::mem::take(&mut self.doc.selection.steps),
        };
        steps.push((mode, Arc::new(why)));
        self.doc.selection = Selection { rows: Arc::new(rows), steps, generation: self.doc.selection.generation + 1 };
        if mode == SelectMode::New && self.doc.selection.any() {
            let (rows, steps) = (self.doc.selection.rows.clone(), self.doc.selection.steps.clone());
            self.add_subset(dataset.id, String::new(), rows, steps);
        }
        Ok(())
    }
    /// What was selected before the last step stays: only that step is another.
    fn move_outline(&mut self, rows: &RowSet, why: Provenance) -> Result<()> {
        let dataset = self.front()?;
        let Some(((mode, _), before)) = self.doc.selection.steps.split_last() else {
            return self.select(rows, why, Some(SelectMode::Replace));
        };
        let (mode, mut steps) = (*mode, before.to_vec());
        let base = select::replayed(&dataset, before)?;
        self.step("move the outline", false);
        let rows = select::combine(&base, &rows.resized(dataset.table.rows()), mode);
        steps.push((mode, Arc::new(why)));
        self.doc.selection = Selection { rows: Arc::new(rows), steps, generation: self.doc.selection.generation + 1 };
        Ok(())
    }
    /// Small tables at once, so that a frame later the rows are lit; large ones in a job, so that no
    /// frame waits.
    fn select_where(&mut self, expr: String, mode: Option<SelectMode>) -> Result<()> {
        let dataset = self.front()?;
        let parsed = Expr::parse(&expr)?;
        if dataset.table.rows() <= WHERE_AT_ONCE {
            let rows = parsed.rows(&dataset.table)?;
            return self.select(&rows, Provenance::Where { expr }, mode);
        }
        let id = dataset.id;
        self.start(format!("Select {expr}"), id, false, move |handle| {
            handle.say("comparing", 0, 0);
            let rows = parsed.rows(&dataset.table)?;
            handle.fact(move |s| {
                if s.doc.dataset().is_some_and(|d| d.id == id)
                    && let Err(e) = s.select(&rows, Provenance::Where { expr }, mode)
                {
                    s.notice(NoticeLevel::Error, e.to_string());
                }
            });
            Ok(())
        });
        Ok(())
    }
    /// The rows nearest to the mean of the selected ones.
    fn select_alike(&mut self, k: usize) -> Result<()> {
        let dataset = self.front()?;
        if !self.doc.selection.any() {
            return Err(Error::said("select one row or several first: those most alike to them are looked for"));
        }
        let (id, chosen) = (dataset.id, self.doc.selection.rows.clone());
        self.start(format!("Rows alike in {}", dataset.name), id, false, move |handle| {
            handle.say("vectors", 0, 0);
            let (x, rows) = matrix(&dataset, None)?;
            let mut target = vec![0.0f64; x.ncols()];
            let mut count = 0.0;
            for (i, _) in rows.iter().enumerate().filter(|(_, row)| **row < chosen.len() && chosen.contains(**row)) {
                target.iter_mut().zip(x.row(i)).for_each(|(t, v)| *t += f64::from(*v));
                count += 1.0;
            }
            if count == 0.0 {
                return Err(Error::said("the selected rows have no vectors: every column of the features is blank there"));
            }
            handle.say("comparing", 0, 0);
            let target: Vec<f32> = target.iter().map(|t| (t / count) as f32).collect();
            let near = reduce::nearest_to(x.view(), &target, k)?;
            let found = RowSet::from_rows(dataset.table.rows(), near.iter().map(|(i, _)| rows[*i]));
            handle.fact(move |s| {
                let why = Provenance::Rows { note: format!("the {k} rows most alike"), rows: found.clone() };
                if s.doc.dataset().is_some_and(|d| d.id == id)
                    && let Err(e) = s.select(&found, why, Some(SelectMode::Replace))
                {
                    s.notice(NoticeLevel::Error, e.to_string());
                }
            });
            Ok(())
        });
        Ok(())
    }
    /// Fetch the products behind rows into columns of the table.
    fn read_products(&mut self, column: String, kind: ProductKind, rows: ExportRows) -> Result<()> {
        let dataset = self.front()?;
        if dataset.loading {
            return Err(Error::said("rows are still arriving: wait for the search to end, or cancel it"));
        }
        let (rows, client, id) = (self.export_rows(rows)?, self.client()?, dataset.id);
        self.start(format!("Read {} of {}", kind.word(), crate::words::rows(rows.count())), id, false, move |handle| {
            handle.say("fetching", 0, rows.count() as u64);
            let tell = |done: usize, of: usize| {
                handle.say("fetching", done as u64, of as u64);
                handle.cancelled()
            };
            let folder = products::folder_of(&dataset.ask);
            let found = products::read(&dataset.table, folder.as_deref(), &column, kind, &rows, &client, &tell)?;
            handle.say("columns", 0, 0);
            let (made, on) = (found.into_columns(&dataset.table)?, dataset.table.clone());
            handle.fact(move |s| s.products_read(id, &on, made, &found));
            Ok(())
        });
        Ok(())
    }
    fn products_read(&mut self, id: u32, on: &Arc<Table>, made: Table, found: &products::Found) {
        let Some(now) = self.dataset_by_id(id) else { return };
        // Rows that came in the meantime: the columns are put together once more.
        let made = if Arc::ptr_eq(&now.table, on) {
            made
        } else {
            match found.into_columns(&now.table) {
                Ok(made) => made,
                Err(e) => return self.notice(NoticeLevel::Error, e.to_string()),
            }
        };
        self.step("read products", true);
        self.edit(id, |d| {
            let before = features::suggest(d);
            d.table = Arc::new(made);
            d.spectra = SpectraColumn::find(&d.table).map(Arc::new);
            // Features that nobody has touched become those of the products.
            if d.features == before || matches!(&d.features.of, features::FeatureKind::Columns(c) if c.is_empty()) {
                d.features = features::suggest(d);
            }
        });
        let level = if found.failed.is_empty() { NoticeLevel::Info } else { NoticeLevel::Warning };
        self.notice(level, found.sentence());
    }
    pub(crate) fn add_subset(
        &mut self,
        dataset: u32,
        name: String,
        rows: Arc<RowSet>,
        steps: Vec<crate::document::Gesture>,
    ) -> u32 {
        let id = self.fresh_id();
        self.edit(dataset, |d| {
            let used: Vec<[u8; 3]> = d.subsets.iter().map(|s| s.colour).collect();
            let colour = SUBSET_COLOURS
                .iter()
                .find(|c| !used.contains(c))
                .copied()
                .unwrap_or(SUBSET_COLOURS[used.len() % SUBSET_COLOURS.len()]);
            let name = if name.trim().is_empty() { format!("subset {}", d.subsets.len() + 1) } else { name };
            d.subsets.push(Arc::new(Subset { id, name, colour, rows, steps, visible: true }));
        });
        id
    }
    /// Light curves of the file in front with other quality bits or pixels; one step of undo.
    fn set_photometry(&mut self, chosen: Photometry) -> Result<()> {
        let dataset = self.front()?;
        let Ask::File { path, columns, photometry: before, filter, max_rows } = dataset.ask.clone() else {
            return Err(Error::said("only a file of light curves or target pixels has a quality mask and an aperture"));
        };
        if before == chosen {
            return Ok(());
        }
        let source = match &self.curves {
            Some((of, source)) if *of == path => source.clone(),
            _ => photometry::Source::read(&path)?,
        };
        let table = source.renew(&dataset.table, &path, &chosen)?;
        self.curves = Some((path.clone(), source));
        let name = if before.mask != chosen.mask { "quality mask" } else { "aperture" };
        self.step(name, true);
        self.edit(dataset.id, |d| {
            d.table = Arc::new(table);
            d.ask = Ask::File { path, columns, photometry: chosen, filter, max_rows };
        });
        Ok(())
    }
}

/// Most rows that a predicate is held against within a frame.
const WHERE_AT_ONCE: usize = 20_000;
/// Most rows of a sample that are mapped by t-SNE when it is opened.
const SAMPLE_TSNE: usize = 20_000;
const PLACE: &str = "Place";
const RECOVERY: &str = "recovery.asterism";
const AUTOSAVE: &str = "Keep the session";

/// A map, the graph that was used, what is to be said, and the dataset with the rows that joined meanwhile.
pub(crate) struct Computed {
    pub map: Map,
    graph: Option<Arc<reduce::Graph>>,
    notes: Vec<String>,
    pub dataset: Option<Arc<Dataset>>,
}
