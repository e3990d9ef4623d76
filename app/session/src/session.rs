//! The session: one function applies commands, one drains what jobs found.
//!
//! The document is edited in place through `Arc::make_mut`; a snapshot for undo is a clone of
//! `Arc`s. Rows that arrive from a service are facts, not steps: undoing a selection never takes
//! back rows that came in the meantime.

mod parts;

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
use crate::document::{Dataset, Document, ImageLayer, LedgerEntry, Leg, Map, Selection, Subset};
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
        if let Some(text) = said {
            self.notice(NoticeLevel::Error, text.clone());
            self.failures.push((id, text));
        }
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
                    [(_, one)] => one.clone(),
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
            Command::OpenProduct { address, name } => self.open_product(address, name),
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
        steps.push((mode, why));
        self.doc.selection = Selection { rows: Arc::new(rows), steps, generation: self.doc.selection.generation + 1 };
        if mode == SelectMode::New && self.doc.selection.any() {
            let (rows, steps) = (self.doc.selection.rows.clone(), self.doc.selection.steps.clone());
            self.add_subset(dataset.id, String::new(), rows, steps);
        }
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
        self.start(format!("Read {} of {} rows", kind.word(), rows.count()), id, false, move |handle| {
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
        steps: Vec<(SelectMode, Provenance)>,
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

    // ------------------------------------------------------------------ search

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

    fn rows_arrived(&mut self, id: u32, table: Arc<Table>, first: Option<(Option<Arc<SpectraColumn>>, features::Features)>) {
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

    fn search_ended(&mut self, id: u32, found: std::result::Result<Found, String>) {
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
            if let Some(entry) = d.ledger.last_mut() {
                entry.text = found.answer.text;
                entry.seconds = found.answer.seconds;
                entry.truncated = found.answer.truncated;
            }
            let table = Arc::make_mut(&mut d.table);
            table.truncated |= found.answer.truncated;
            if d.table.truncated {
                let text = match d.plan() {
                    Some(plan) => format!("{}: {plan}; 'Get the rest' asks for the parts that are not here", d.name),
                    None => format!(
                        "{}: the answer was cut off by a limit after {} rows; 'Get the rest' asks for all",
                        d.name,
                        d.table.rows()
                    ),
                };
                notes.push((NoticeLevel::Warning, text));
            }
            notes.extend(found.answer.warnings.into_iter().map(|w| (NoticeLevel::Warning, w)));
            notes.push((NoticeLevel::Info, format!("{}: {} rows", d.name, d.table.rows())));
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
    fn open_sample(&mut self, name: &str) -> Result<()> {
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
    fn highlight(&mut self, id: u32, sample: &crate::sample::Sample) {
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
        let steps = vec![(SelectMode::Replace, why.clone())];
        if self.select(&chosen, why, Some(SelectMode::Replace)).is_ok() {
            self.add_subset(id, sample.highlight_name.clone(), Arc::new(chosen), steps);
            if let Err(e) = self.fit_rule(Vec::new(), 0.5) {
                self.notice(NoticeLevel::Warning, e.to_string());
            }
        }
    }

    fn get_rest(&mut self) -> Result<()> {
        let dataset = self.front()?;
        if self.rest_in_parts(&dataset)?.is_some() {
            return Ok(());
        }
        let ask = ledger::without_limit(&dataset.ask);
        self.again(dataset, ask, "the rest")
    }

    fn search_again(&mut self) -> Result<()> {
        let dataset = self.front()?;
        let rule = dataset.rule.clone().ok_or_else(|| Error::said("fit a rule first: select rows and press Fit rule"))?;
        let ask = ledger::narrowed(&dataset.ask, &rule)?;
        self.again(dataset, ask, &rule.of)
    }

    fn again(&mut self, dataset: Arc<Dataset>, ask: Ask, of: &str) -> Result<()> {
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
    fn take_in(&mut self, asked: &Dataset, met: ledger::Meeting, rows: &Table, title: String, of: &str, answer: ledger::Outcome) {
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
        let said =
            format!("Search {number}: {} rows, {} gained, {} kept, {} lost", entry.rows, entry.gained, entry.kept, entry.lost);
        self.edit(id, |d| {
            d.table = Arc::new(table);
            d.latest = Arc::new(latest.clone());
            d.ledger.push(entry);
        });
        if len > before {
            let new = RowSet::from_rows(len, before..len);
            let steps =
                vec![(SelectMode::Replace, Provenance::Rows { note: format!("new in search {number}"), rows: new.clone() })];
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

    // ------------------------------------------------------------------ map

    /// The t-SNE map in front, or the one being computed, which ends with what it has.
    fn go_on(&mut self, params: reduce::Params) -> Result<()> {
        let dataset = self.front()?;
        let map = dataset.map().cloned().filter(|m| m.params.method == reduce::Method::Tsne);
        let map = map.ok_or_else(|| Error::said("only a t-SNE map goes on where it is: bring one to the front"))?;
        // The vectors are those that the map was made of, whatever the features say now.
        let params = reduce::Params { method: reduce::Method::Tsne, dims: map.coords.dims, ..params };
        self.start_map(format!("{}, gone on", map.name.trim_end_matches(", gone on")), params, Some(map))
    }

    fn start_map(&mut self, name: String, params: reduce::Params, from: Option<Arc<Map>>) -> Result<()> {
        self.lay_out(name, vec![Leg { params, until: None }], from, false)
    }
    /// Leg by leg as a map was made that was changed on its way or went on.
    fn repeat_map(&mut self, name: String, legs: Vec<Leg>) -> Result<()> {
        self.lay_out(name, legs, None, true)
    }
    fn lay_out(&mut self, name: String, legs: Vec<Leg>, from: Option<Arc<Map>>, repeat: bool) -> Result<()> {
        let params = legs.first().map(|l| l.params.clone()).ok_or_else(|| Error::said("a map needs parameters"))?;
        let dataset = self.front()?;
        if dataset.table.rows() == 0 {
            return Err(Error::said("there are no rows to map yet"));
        }
        let id = self.fresh_id();
        let features = from.as_ref().map_or_else(|| dataset.features.clone(), |m| m.features.clone());
        let label = method_label(params.method);
        let (graph, gpu) = (self.graphs.get(&dataset.id).cloned(), self.gpu.clone());
        let name = if name.trim().is_empty() { format!("{label} of {}", features.name) } else { name };
        let dataset_id = dataset.id;
        self.start(format!("{label} of {}", dataset.name), dataset_id, true, move |handle| {
            let (map, graph, notes) = if repeat {
                compute_legs(&dataset, &features, &legs, id, &name, (graph, gpu.as_ref()), handle)?
            } else {
                compute_changing(dataset, &features, params, id, &name, (graph, gpu.as_ref()), from, handle)?
            };
            handle.fact(move |s| {
                if let Some(graph) = graph {
                    s.graphs.insert(dataset_id, graph);
                }
                // Why the processor was taken is of interest only where there is something else.
                let word =
                    |n: &&String| !n.starts_with("laid out on the processor") && !n.starts_with("trained on the processor");
                if let Some(joined) = map.figures.get("joined") {
                    s.notice(NoticeLevel::Info, format!("{}: {joined} rows joined it while it was made", map.name));
                }
                notes.iter().filter(word).for_each(|n| s.notice(NoticeLevel::Info, format!("{}: {n}", map.name)));
                s.map_ended(dataset_id, map);
            });
            Ok(())
        });
        Ok(())
    }

    fn map_ended(&mut self, dataset: u32, map: Map) {
        if self.dataset_by_id(dataset).is_none() {
            return;
        }
        self.step("map", false);
        let id = map.id;
        self.edit(dataset, |d| {
            d.maps.push(Arc::new(map));
            d.current_map = Some(id);
        });
        self.ensure_placed(dataset);
        for then in self.when_mapped.remove(&dataset).unwrap_or_default() {
            then(self);
        }
    }

    /// Rows that came after the map in front was made get their place on it.
    fn ensure_placed(&mut self, id: u32) {
        let Some(dataset) = self.dataset_by_id(id) else { return };
        // A map that is being made takes them in by itself, if its method can.
        self.jobs.iter().filter(|j| j.is_map && j.dataset == id && j.alive()).for_each(|j| j.grow(dataset.clone()));
        let Some(map) = dataset.map().cloned() else { return };
        let from = map.xy.len();
        // One at a time: the next begins when this one has ended.
        if from >= dataset.table.rows() || self.jobs.iter().any(|j| j.alive() && j.dataset == id && j.name.starts_with(PLACE)) {
            return;
        }
        let (Some(model), Some(prepared)) = (map.model.clone(), map.prepared.clone()) else { return };
        let count = dataset.table.rows() - from;
        self.start(format!("{PLACE} {count} new rows on {}", map.name), id, false, move |handle| {
            let vectors = features::vectors(&dataset, &map.features, from, Some(&prepared))?;
            let placed = model.place(vectors.x.view(), handle)?;
            let dims = map.coords.dims;
            let mut values = vec![f32::NAN; count * dims];
            let mut unlike = vec![f32::NAN; count];
            for (i, row) in vectors.rows.iter().enumerate() {
                for d in 0..dims {
                    values[(row - from) * dims + d] = placed.coords[[i, d]];
                }
                unlike[row - from] = placed.unlike[i];
            }
            let map_id = map.id;
            handle.fact(move |s| {
                s.edit(id, |d| {
                    let Some(map) = d.maps.iter_mut().find(|m| m.id == map_id && m.xy.len() == from) else { return };
                    let map = Arc::make_mut(map);
                    Arc::make_mut(&mut map.coords).values.extend_from_slice(&values);
                    Arc::make_mut(&mut map.xy)
                        .extend(values.chunks_exact(dims).map(|c| [c[0], c.get(1).copied().unwrap_or(0.0)]));
                    Arc::make_mut(&mut map.unlike).extend_from_slice(&unlike);
                    map.generation += 1;
                });
                let strange = unlike.iter().filter(|u| **u > 3.0).count();
                if s.dataset_by_id(id).is_some_and(|d| !d.loading) {
                    s.notice(
                        NoticeLevel::Info,
                        format!("Placed {count} new rows on the map; {strange} are unlike anything it was made of"),
                    );
                }
                s.place_next.push(id);
            });
            Ok(())
        });
    }

    fn cluster(&mut self, how: Cluster, on: ClusterOn) -> Result<()> {
        let dataset = self.front()?;
        let map = dataset.map().cloned();
        if on == ClusterOn::Map && map.is_none() {
            return Err(Error::said("there is no map yet: make one, or cluster the vectors"));
        }
        let name = match how {
            Cluster::KMeans(_) => "k-means",
            Cluster::Hdbscan(..) => "HDBSCAN",
            Cluster::Mixture(_) => "mixture",
        };
        let id = dataset.id;
        let (graph, known) = (self.graphs.get(&id).cloned(), self.density.clone());
        self.start(format!("{name} of {}", dataset.name), id, false, move |handle| {
            handle.say("vectors", 0, 0);
            let (x, rows) = matrix(&dataset, map.as_deref().filter(|_| on == ClusterOn::Map))?;
            let labels = match how {
                Cluster::KMeans(k) => reduce::kmeans(x.view(), k, 0, handle)?.labels,
                Cluster::Mixture(0) => {
                    let curve = reduce::mixtures(x.view(), 12, reduce::Covariance::Full, 0, handle)?;
                    let best = curve.iter().min_by(|a, b| a.bic.total_cmp(&b.bic));
                    let best = best.ok_or_else(|| Error::said("no mixture could be fitted to these rows"))?;
                    best.predict(x.view())?.labels
                }
                Cluster::Mixture(k) => {
                    reduce::mixture(x.view(), k, reduce::Covariance::Full, 0, handle)?.predict(x.view())?.labels
                }
                Cluster::Hdbscan(size, samples) => {
                    let key = DensityKey::of(&dataset, map.as_deref(), on, if samples == 0 { size } else { samples });
                    let tree = match known.filter(|(k, tree)| *k == key && tree.rows() == x.nrows()) {
                        Some((_, tree)) => tree,
                        None => {
                            let graph = graph.filter(|_| on == ClusterOn::Vectors);
                            Arc::new(reduce::Density::new(x.view(), key.samples, graph.as_deref(), handle)?)
                        }
                    };
                    let cut = tree.cut(size, reduce::Selection::Mass);
                    handle.fact(move |s| s.density = Some((key, tree)));
                    cut.clusters.labels
                }
            };
            handle.fact(move |s| s.clusters_found(id, name, &labels, &rows));
            Ok(())
        });
        Ok(())
    }

    /// How odd each row is, as a column of the table.
    fn score_outliers(&mut self, how: Outliers, on: ClusterOn) -> Result<()> {
        let dataset = self.front()?;
        let map = dataset.map().cloned();
        if on == ClusterOn::Map && map.is_none() {
            return Err(Error::said("there is no map yet: make one, or score the vectors"));
        }
        let (id, graph) = (dataset.id, self.graphs.get(&dataset.id).cloned().filter(|_| on == ClusterOn::Vectors));
        self.start(format!("{} of {}", how.label(), dataset.name), id, false, move |handle| {
            handle.say("vectors", 0, 0);
            let (x, rows) = matrix(&dataset, map.as_deref().filter(|_| on == ClusterOn::Map))?;
            let (scores, graph) = outlier_scores(x.view(), how, graph, handle)?;
            let mut all = vec![f32::NAN; dataset.table.rows()];
            rows.iter().zip(&scores).for_each(|(row, score)| all[*row] = *score);
            handle.fact(move |s| {
                if let Some(graph) = graph {
                    s.graphs.insert(id, graph);
                }
                s.outliers_found(id, how, all);
            });
            Ok(())
        });
        Ok(())
    }

    fn outliers_found(&mut self, id: u32, how: Outliers, mut scores: Vec<f32>) {
        let Some(dataset) = self.dataset_by_id(id) else { return };
        // Rows that came in the meantime have no score.
        scores.resize(dataset.table.rows(), f32::NAN);
        let mut table = (*dataset.table).clone();
        let meta = asterism_data::ColumnMeta { description: Some(how.description().into()), ..Default::default() };
        if let Err(e) = table.with_f32_column(how.column(), scores, meta) {
            return self.notice(NoticeLevel::Error, e.to_string());
        }
        self.step("score outliers", true);
        self.edit(id, |d| d.table = Arc::new(table));
        self.notice(
            NoticeLevel::Info,
            format!("Column '{}' says how odd each row is: colour by it, or sort the table", how.column()),
        );
    }

    fn clusters_found(&mut self, id: u32, name: &'static str, labels: &[i32], rows: &[usize]) {
        let Some(dataset) = self.dataset_by_id(id) else { return };
        let len = dataset.table.rows();
        let mut groups: HashMap<i32, Vec<usize>> = HashMap::new();
        for (label, row) in labels.iter().zip(rows) {
            if *label >= 0 {
                groups.entry(*label).or_default().push(*row);
            }
        }
        let mut groups: Vec<(i32, Vec<usize>)> = groups.into_iter().collect();
        groups.sort_by_key(|(label, rows)| (std::cmp::Reverse(rows.len()), *label));
        let noise = labels.iter().filter(|l| **l < 0).count();
        let found = groups.len();
        groups.truncate(24);
        self.step("cluster", false);
        // A new search for clusters takes the place of the old one's subsets.
        self.edit(id, |d| d.subsets.retain(|s| !s.name.starts_with(name)));
        for (n, (_, members)) in groups.into_iter().enumerate() {
            let rows = RowSet::from_rows(len, members);
            let steps = vec![(SelectMode::Replace, Provenance::Rows { note: name.into(), rows: rows.clone() })];
            self.add_subset(id, format!("{name} {}", n + 1), Arc::new(rows), steps);
        }
        let more = if found > 24 { ", of which the 24 largest became subsets" } else { "" };
        self.notice(NoticeLevel::Info, format!("{name}: {found} clusters{more}; {noise} rows belong to none"));
    }

    // ------------------------------------------------------------------ refine and take

    fn fit_rule(&mut self, columns: Vec<String>, balance: f64) -> Result<()> {
        let dataset = self.front()?;
        if !self.doc.selection.any() {
            return Err(Error::said("select some rows first: a rule describes a selection"));
        }
        let rows = self.doc.selection.rows.clone();
        let of = dataset.subsets.iter().find(|s| *s.rows == *rows).map_or("selection".to_owned(), |s| s.name.clone());
        let id = dataset.id;
        self.start(format!("Rule for {of}"), id, false, move |handle| {
            handle.say("fitting", 0, 0);
            let rule = rule::fit_rule(&dataset, &of, &rows, &columns, balance)?;
            handle.fact(move |s| {
                s.step("fit rule", false);
                s.edit(id, |d| d.rule = Some(Arc::new(rule)));
            });
            Ok(())
        });
        Ok(())
    }

    /// The rows that an export would write.
    ///
    /// # Errors
    /// When nothing is selected or the subset is gone.
    pub fn export_rows(&self, rows: ExportRows) -> Result<RowSet> {
        let dataset = self.front()?;
        let len = dataset.table.rows();
        match rows {
            ExportRows::All => Ok(RowSet::full(len)),
            ExportRows::Selection if !self.doc.selection.any() => {
                Err(Error::said("nothing is selected: select rows, or export all"))
            }
            ExportRows::Selection => Ok(self.doc.selection.rows.resized(len)),
            ExportRows::Subset(id) => {
                Ok(dataset.subset(id).ok_or_else(|| Error::said("that subset is not here any more"))?.rows.resized(len))
            }
        }
    }

    fn export(&mut self, rows: ExportRows, to: PathBuf, serialization: asterism_data::Serialization) -> Result<()> {
        let (dataset, rows) = (self.front()?, self.export_rows(rows)?);
        self.start(format!("Export {} rows", rows.count()), dataset.id, false, move |handle| {
            handle.say("writing", 0, 0);
            let count = rows.count();
            let notes = crate::export::table(&dataset, &rows, &to, serialization)?;
            handle.fact(move |s| {
                s.notice(NoticeLevel::Info, format!("Wrote {count} rows to {}", to.display()));
                notes.into_iter().for_each(|note| s.notice(NoticeLevel::Warning, note));
            });
            Ok(())
        });
        Ok(())
    }

    fn download(&mut self, rows: ExportRows, to: PathBuf) -> Result<()> {
        let (dataset, rows, client) = (self.front()?, self.export_rows(rows)?, self.client()?);
        self.start(format!("Download products of {}", dataset.name), dataset.id, false, move |handle| {
            let stop = || handle.cancelled();
            handle.say("list", 0, 0);
            // Of observations the whole list, of products and other addresses the rows themselves.
            let table = match products::obsids(&dataset.table, &rows) {
                Ok(obsids) if dataset.table.column_index("dataURI").is_none() => client.products(&obsids, &stop)?,
                _ => dataset.table.take(&rows)?,
            };
            let wanted = download::wanted(&table)?;
            let total: u64 = wanted.iter().filter_map(|w| w.bytes).sum();
            let mut here = vec![0u64; wanted.len()];
            let mut ended = 0;
            let options = download::DownloadOptions::new(&to);
            let report = client.download(&wanted, &options, &stop, &mut |event| {
                match event {
                    download::DownloadEvent::Started { index, from } => here[index] = from,
                    download::DownloadEvent::Progress { index, done, .. } => here[index] = done,
                    download::DownloadEvent::Ended { .. } => ended += 1,
                }
                if total > 0 {
                    handle.say("bytes", here.iter().sum::<u64>().min(total), total);
                } else {
                    handle.say("files", ended, wanted.len() as u64);
                }
            })?;
            let (complete, failed, all) = (report.complete(), report.failed(), wanted.len());
            let place = to.join("mastDownload");
            let whole = complete == all;
            let text = if whole {
                format!("{all} file{} in {}", if all == 1 { "" } else { "s" }, place.display())
            } else {
                let rest = format!("{failed} did not come: {} says why", report.manifest.display());
                format!("{complete} of {all} files in {}; {rest}. Download again to go on where it was", place.display())
            };
            handle.fact(move |s| s.notice(if whole { NoticeLevel::Info } else { NoticeLevel::Warning }, text));
            Ok(())
        });
        Ok(())
    }

    // ------------------------------------------------------------------ session files

    /// Save before the program ends; waits for the file, as no frame follows.
    ///
    /// # Errors
    /// When it cannot be written; the file that was there before is untouched.
    pub fn save_now(&mut self, to: PathBuf) -> Result<()> {
        store::save(&self.doc, &to)?;
        self.session_saved(to, self.changes);
        Ok(())
    }
    fn session_saved(&mut self, to: PathBuf, changes: u64) {
        self.saved = changes;
        self.settings.opened(&to);
        self.notice(NoticeLevel::Info, format!("Saved the session to {}", to.display()));
        self.path = Some(to);
    }
    fn session_opened(&mut self, doc: Document, path: PathBuf) {
        self.jobs.iter().for_each(|j| j.cancel());
        // Of tables that are not in front any more; ids of the file may be the same ones.
        self.graphs.clear();
        self.density = None;
        self.step("open session", true);
        self.next_id = self.next_id.max(store::highest_id(&doc) + 1);
        self.doc = doc;
        self.doc.selection.generation = self.changes + 1_000_000;
        self.opened += 1;
        // What a crash left has no place of its own: the file goes away at a clean end, so saving asks where.
        if path == Settings::folder().join(RECOVERY) {
            self.path = None;
            self.notice(NoticeLevel::Info, "Brought back what was kept; it is not saved yet".to_owned());
            return;
        }
        self.settings.opened(&path);
        self.saved = self.changes;
        self.notice(NoticeLevel::Info, format!("Opened {}", path.display()));
        self.path = Some(path);
    }
    /// How many session files were opened: when it grows, the panes are those of the file.
    pub fn opened(&self) -> u64 {
        self.opened
    }
    /// A session that a crash left behind.
    pub fn recovery() -> Option<PathBuf> {
        let path = Settings::folder().join(RECOVERY);
        path.exists().then_some(path)
    }
    /// Forget it.
    pub fn discard_recovery() {
        // Nothing to do when it is gone already.
        let _ = std::fs::remove_file(Settings::folder().join(RECOVERY));
    }
    /// Whether the session is being written for recovery.
    pub fn keeping(&self) -> bool {
        self.jobs.iter().any(|j| j.alive() && j.name == AUTOSAVE)
    }
    /// Keep the session as one works. Writes only when something changed and no rows are arriving.
    pub fn autosave(&mut self) {
        if self.changes == self.autosaved || self.doc.datasets.is_empty() || self.doc.datasets.iter().any(|d| d.loading) {
            return;
        }
        if self.jobs.iter().any(|j| j.alive() && j.name == AUTOSAVE) {
            return;
        }
        self.autosaved = self.changes;
        let doc = self.doc.clone();
        let path = Settings::folder().join(RECOVERY);
        self.start(AUTOSAVE, 0, false, move |_| {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(|e| asterism_data::Error::io(folder, e))?;
            }
            store::save(&doc, &path)
        });
    }
    /// A clean end: jobs are told to stop, and no recovery file is left.
    pub fn end(&mut self) {
        self.jobs.iter().for_each(|j| j.cancel());
        Self::discard_recovery();
        if let Err(e) = self.settings.save() {
            self.notice(NoticeLevel::Warning, e.to_string());
        }
    }

    // ------------------------------------------------------------------ look-ups in the background

    /// Tables and columns of a TAP service; `None` until they are here.
    pub fn schema(&mut self, base: &str) -> Option<Arc<TapSchema>> {
        if let Some(entry) = self.schemas.lock().get(base) {
            return entry.clone();
        }
        self.schemas.lock().insert(base.to_owned(), None);
        let (client, schemas, base) = (self.client().ok()?, self.schemas.clone(), base.to_owned());
        self.start(format!("Tables of {base}"), 0, false, move |handle| {
            let schema = client.tap_tables(&base, &|| handle.cancelled())?;
            schemas.lock().insert(base, Some(Arc::new(schema)));
            Ok(())
        });
        None
    }
    /// Look a name up; [`Session::resolved`] has the answer later.
    pub fn resolve(&mut self, name: &str) {
        *self.resolved.lock() = None;
        let client = match self.client() {
            Ok(client) => client,
            Err(e) => return self.notice(NoticeLevel::Error, e.to_string()),
        };
        let (slot, name) = (self.resolved.clone(), name.to_owned());
        self.start(format!("Look up {name}"), 0, false, move |handle| {
            let answer = client.resolve(&name, &|| handle.cancelled());
            *slot.lock() = Some(answer.map_err(|e| e.to_string()));
            Ok(())
        });
    }
    /// What the last look-up found.
    pub fn resolved(&self) -> Option<std::result::Result<Resolved, String>> {
        self.resolved.lock().clone()
    }
    /// A preview picture behind an address, fetched lazily and kept. At most four at a time.
    pub fn preview(&self, url: &str) -> Fetched {
        use std::sync::atomic::Ordering;
        if let Some(known) = self.previews.lock().get(url) {
            return known.clone();
        }
        let Some(client) = self.client.clone() else { return Fetched::Failed("no service is in use".into()) };
        if self.preview_threads.load(Ordering::Relaxed) >= 4 {
            return Fetched::Loading;
        }
        self.preview_threads.fetch_add(1, Ordering::Relaxed);
        self.previews.lock().insert(url.to_owned(), Fetched::Loading);
        let (slot, threads, waker, url) =
            (self.previews.clone(), self.preview_threads.clone(), self.waker.clone(), url.to_owned());
        let work = move || {
            let fetched = client
                .fetch(&url, &|| false, &mut |_, _| {})
                .map_err(|e| e.to_string())
                .and_then(|path| std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display())))
                .and_then(|bytes| Picture::decode(&url, &bytes).map_err(|e| e.to_string()));
            slot.lock().insert(url, fetched.map_or_else(Fetched::Failed, |p| Fetched::Ready(Arc::new(p))));
            threads.fetch_sub(1, Ordering::Relaxed);
            waker();
        };
        if std::thread::Builder::new().name("preview".into()).spawn(work).is_err() {
            self.preview_threads.fetch_sub(1, Ordering::Relaxed);
        }
        Fetched::Loading
    }
    /// Add an image to the dataset in front.
    ///
    /// # Errors
    /// When there is no dataset.
    pub fn add_image(&mut self, layer: ImageLayer) -> Result<()> {
        let id = self.front()?.id;
        self.step("add image", false);
        self.edit(id, |d| d.images.push(Arc::new(layer)));
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

/// What a tree of density groups was made of.
#[derive(Clone, Debug, PartialEq)]
struct DensityKey {
    table: usize,
    features: features::Features,
    /// Map and its generation; `None` for the vectors.
    map: Option<(u32, u64)>,
    samples: usize,
}

impl DensityKey {
    fn of(dataset: &Dataset, map: Option<&Map>, on: ClusterOn, samples: usize) -> Self {
        Self {
            table: Arc::as_ptr(&dataset.table) as usize,
            features: dataset.features.clone(),
            map: map.filter(|_| on == ClusterOn::Map).map(|m| (m.id, m.generation)),
            samples,
        }
    }
}

/// The places on a map of the rows that have one, or the vectors of the dataset's features; with their rows.
fn matrix(dataset: &Dataset, map: Option<&Map>) -> Result<(ndarray::Array2<f32>, Vec<usize>)> {
    let Some(map) = map else {
        let v = features::vectors(dataset, &features::settled(dataset, &dataset.features), 0, None)?;
        return Ok((v.x, v.rows));
    };
    let dims = map.coords.dims;
    let rows: Vec<usize> =
        (0..map.xy.len()).filter(|r| map.coords.values[r * dims..(r + 1) * dims].iter().all(|v| v.is_finite())).collect();
    let x = ndarray::Array2::from_shape_fn((rows.len(), dims), |(i, d)| map.coords.values[rows[i] * dims + d]);
    Ok((x, rows))
}

/// A score for each row of `x`, larger for odder ones, and the neighbour graph where one was made or used.
///
/// # Errors
/// Fewer rows than a score needs, or stopped.
pub fn outlier_scores(
    x: ndarray::ArrayView2<f32>,
    how: Outliers,
    graph: Option<Arc<reduce::Graph>>,
    handle: &dyn reduce::Monitor,
) -> Result<(Vec<f32>, Option<Arc<reduce::Graph>>)> {
    match how {
        Outliers::Lof => {
            let k = LOF_NEIGHBOURS.min(x.nrows().saturating_sub(1));
            if k < 2 {
                return Err(Error::said("a local outlier factor needs at least 3 rows"));
            }
            let graph = match graph.filter(|g| g.fits(x, k)) {
                Some(graph) => graph,
                None => Arc::new(reduce::Graph::new(x, k, reduce::Search::Auto, handle)?),
            };
            Ok((reduce::lof(&graph, k)?.factors, Some(graph)))
        }
        Outliers::Forest => Ok((reduce::Forest::fit(x, 100, 256, 0, handle)?.scores(x)?, None)),
    }
}

/// Neighbours that the local outlier factor compares with, scikit-learn's default.
const LOF_NEIGHBOURS: usize = 20;

enum Cluster {
    /// Gaussian mixture of so many parts; 0: as many as the BIC likes best, up to 12.
    Mixture(usize),
    KMeans(usize),
    Hdbscan(usize, usize),
}

/// Iterations of a t-SNE map whose parameters leave them open, and those that it does at least after a change.
const ITERATIONS: usize = 500;
const AT_LEAST: usize = 100;

struct Found {
    spectra: Option<Arc<SpectraColumn>>,
    /// What was suggested when the first rows were here.
    first: features::Features,
    features: features::Features,
    answer: ledger::Outcome,
}

/// How a method is written for a person.
pub fn method_label(method: reduce::Method) -> &'static str {
    match method {
        reduce::Method::Pca => "PCA",
        reduce::Method::Tsne => "t-SNE",
        reduce::Method::Autoencoder => "Autoencoder",
        reduce::Method::Umap => "UMAP",
        reduce::Method::Pacmap => "PaCMAP",
    }
}

/// Vectors, map and quality of a dataset, in one go. The command line calls it too.
///
/// # Errors
/// When there is nothing to make vectors of, or the method refuses.
pub fn compute_map(
    dataset: &Dataset,
    features: &features::Features,
    params: &reduce::Params,
    id: u32,
    name: String,
    handle: &dyn reduce::Monitor,
) -> Result<Map> {
    compute_map_with(dataset, features, params, id, name, (None, None), (None, None), handle).map(|m| m.map)
}

/// A map, the graph that was used, what is to be said, and the dataset with the rows that joined meanwhile.
pub(crate) struct Computed {
    pub map: Map,
    graph: Option<Arc<reduce::Graph>>,
    notes: Vec<String>,
    pub dataset: Option<Arc<Dataset>>,
}

/// As [`compute_map`], with the neighbour graph of an earlier map of the dataset, which is used if it is of the same
/// vectors; gives the graph that was used, for the next one.
///
/// A t-SNE map goes on from `from`, if there is one.
///
/// # Errors
/// As [`compute_map`].
#[expect(clippy::too_many_arguments, reason = "one call of jobs, and each is a different thing")]
pub(crate) fn compute_map_with(
    dataset: &Dataset,
    features: &features::Features,
    params: &reduce::Params,
    id: u32,
    name: String,
    (graph, gpu): (Option<Arc<reduce::Graph>>, Option<&reduce::gpu::Context>),
    (from, newest): (Option<&Map>, Option<Newest<'_>>),
    handle: &dyn reduce::Monitor,
) -> Result<Computed> {
    handle.progress(reduce::Progress { stage: "features", done: 0, of: 0 });
    let features = &features::settled(dataset, features);
    let v = features::vectors(dataset, features, 0, None)?;
    let total = dataset.table.rows();
    let monitor = Arrivals::new(handle, (features, &v.prepared), v.rows.clone(), total, newest, dataset.loading);
    let weights = v.weights.as_ref().map(|w| w.view());
    let e = match from.map(|map| places(map, &v.rows)) {
        // Rows that came later and were only placed go on with the others.
        Some(Some(start)) => reduce::embed_on(gpu, v.x.view(), weights, Some(start.view()), params, graph, &monitor)?,
        Some(None) => return Err(Error::said("some rows have no place on that map yet: wait until they are placed")),
        None => reduce::embed_on(gpu, v.x.view(), weights, None, params, graph, &monitor)?,
    };
    let notes = e.notes;
    let Taken { rows, total, later, dataset } = monitor.taken(e.coords.nrows());
    let x: Cow<ndarray::Array2<f32>> = match later.is_empty() {
        true => Cow::Borrowed(&v.x),
        false => {
            let all: Vec<_> = std::iter::once(&v.x).chain(&later).map(|x| x.view()).collect();
            Cow::Owned(ndarray::concatenate(ndarray::Axis(0), &all).map_err(|e| Error::said(e.to_string()))?)
        }
    };
    let dims = e.coords.ncols();
    let packed: Vec<f32> = e.coords.iter().copied().collect();
    let values = spread(&packed, dims, &rows, total);
    // The map is to be seen while it is judged.
    handle.frame(&values, dims, &[]);
    handle.progress(reduce::Progress { stage: "quality", done: 0, of: 0 });
    // Without a figure for trust a map is still a map.
    let quality = (rows.len() >= 20)
        .then(|| reduce::quality_with_graph(x.view(), e.coords.view(), e.graph.as_deref(), params.seed, &Unseen(handle)).ok())
        .flatten()
        .map(|mut q| {
            q.row_trust = spread(&q.row_trust, 1, &rows, total);
            Arc::new(q)
        });
    let xy = values.chunks_exact(dims).map(|c| [c[0], c.get(1).copied().unwrap_or(0.0)]).collect();
    let graph = e.graph.clone();
    let iterations = e.figures.get("iterations").copied();
    let map = Map {
        id,
        name,
        params: params.clone(),
        features: features.clone(),
        xy: Arc::new(xy),
        coords: Arc::new(Coords { dims, values }),
        figures: e.figures,
        seconds: e.seconds,
        quality,
        row_error: e.row_error.map(|r| Arc::new(spread(&r, 1, &rows, total))),
        model: Some(Arc::new(e.model)),
        prepared: Some(Arc::new(v.prepared)),
        fitted: total,
        unlike: Arc::default(),
        complete: e.complete,
        generation: 1,
        legs: vec![Leg {
            params: params.clone(),
            until: (!e.complete).then(|| iterations.unwrap_or(0.0) as usize).filter(|_| params.method == reduce::Method::Tsne),
        }],
    };
    Ok(Computed { map, graph, notes, dataset })
}

/// As [`compute_map_with`], and begins anew from where it is each time that a person changes the parameters.
#[expect(clippy::too_many_arguments, reason = "as that of which it is a loop")]
fn compute_changing(
    mut dataset: Arc<Dataset>,
    features: &features::Features,
    mut params: reduce::Params,
    id: u32,
    name: &str,
    (mut graph, gpu): (Option<Arc<reduce::Graph>>, Option<&reduce::gpu::Context>),
    mut from: Option<Arc<Map>>,
    handle: &Handle,
) -> Result<(Map, Option<Arc<reduce::Graph>>, Vec<String>)> {
    let grown = || handle.grown();
    let newest: Option<Newest<'_>> = Some(&grown);
    let done = |m: &Map| m.figures.get("iterations").copied().unwrap_or(0.0);
    loop {
        handle.has_params(&params);
        let made = compute_map_with(
            &dataset,
            features,
            &params,
            id,
            name.to_owned(),
            (graph.clone(), gpu),
            (from.as_deref(), newest),
            handle,
        );
        let (made, next) = (made, handle.changed().filter(|_| !handle.cancelled()));
        let Computed { mut map, graph: known, notes, dataset: grown } = match (made, &next) {
            (Ok(made), _) => made,
            // It was ended before there was a first layout: there is nothing to go on from.
            (Err(_), Some(next)) => {
                params = next.clone();
                continue;
            }
            (Err(e), None) => return Err(e),
        };
        if let Some(from) = &from {
            // What a recipe says is the whole way, not its last part.
            let all = done(from) + done(&map);
            map.params.iterations = all as usize;
            map.figures.insert("iterations".into(), all);
            map.legs.splice(0..0, from.legs_or_params());
        }
        graph = known;
        // It goes on with the rows that joined.
        dataset = grown.unwrap_or(dataset);
        let Some(next) = next else { return Ok((map, graph, notes)) };
        let can = params.method == reduce::Method::Tsne && next.method == reduce::Method::Tsne && next.dims == map.coords.dims;
        params = next;
        from = can.then(|| {
            let all = if params.iterations == 0 { ITERATIONS } else { params.iterations };
            params.iterations = all.saturating_sub(done(&map) as usize).max(AT_LEAST);
            Arc::new(map)
        });
    }
}

/// As [`compute_changing`], with what was changed told beforehand.
fn compute_legs(
    dataset: &Dataset,
    features: &features::Features,
    legs: &[Leg],
    id: u32,
    name: &str,
    (mut graph, gpu): (Option<Arc<reduce::Graph>>, Option<&reduce::gpu::Context>),
    handle: &Handle,
) -> Result<(Map, Option<Arc<reduce::Graph>>, Vec<String>)> {
    let mut from: Option<Map> = None;
    let mut all = 0.0;
    let mut last = None;
    for leg in legs {
        handle.has_params(&leg.params);
        let monitor = Until { inner: handle, at: leg.until, done: std::sync::atomic::AtomicU64::new(u64::MAX) };
        let Computed { mut map, graph: known, notes, .. } =
            compute_map_with(dataset, features, &leg.params, id, name.to_owned(), (graph, gpu), (from.as_ref(), None), &monitor)?;
        all += map.figures.get("iterations").copied().unwrap_or(0.0);
        if let Some(from) = &from {
            map.params.iterations = all as usize;
            map.figures.insert("iterations".into(), all);
            map.legs.splice(0..0, from.legs.iter().cloned());
        }
        graph = known;
        from = Some(map);
        last = Some(notes);
        if handle.cancelled() {
            break;
        }
    }
    match (from, last) {
        (Some(map), Some(notes)) => Ok((map, graph, notes)),
        _ => Err(Error::said("a map needs parameters")),
    }
}

/// Ends a layout after so many iterations.
struct Until<'a> {
    inner: &'a Handle,
    at: Option<usize>,
    /// Iterations that were done; the largest number before the layout.
    done: std::sync::atomic::AtomicU64,
}

impl reduce::Monitor for Until<'_> {
    fn progress(&self, p: reduce::Progress) {
        if p.stage == "layout" {
            self.done.store(p.done, std::sync::atomic::Ordering::Relaxed);
        }
        self.inner.progress(p);
    }
    fn frame(&self, coords: &[f32], dims: usize, figures: &[(&'static str, f64)]) {
        self.inner.frame(coords, dims, figures);
    }
    fn stop(&self) -> bool {
        let done = self.done.load(std::sync::atomic::Ordering::Relaxed);
        self.inner.stop() || (done != u64::MAX && self.at.is_some_and(|at| done >= at as u64))
    }
}

/// How sure the places of rows on a variational autoencoder's map are: the root of the mean square, over the map's axes, of the
/// standard deviation of each row's cloud, in map units; NaN for rows without vectors.
///
/// # Errors
/// For other maps, and when the vectors cannot be made again.
pub fn place_spread(dataset: &Dataset, map: &Map) -> Result<Vec<f64>> {
    let (Some(model), Some(prepared)) = (&map.model, &map.prepared) else {
        return Err(Error::said(format!("'{}' has no model to ask", map.name)));
    };
    let v = features::vectors(dataset, &map.features, 0, Some(prepared))?;
    let spread = model.spread(v.x.view())?.ok_or_else(|| Error::said(format!("'{}' is no variational map", map.name)))?;
    let mut all = vec![f64::NAN; dataset.table.rows()];
    for (row, s) in v.rows.iter().zip(spread.outer_iter()) {
        all[*row] = s.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>().sqrt() / (s.len().max(1) as f64).sqrt();
    }
    Ok(all)
}

/// Places of some rows on a map; `None` when one has none.
fn places(map: &Map, rows: &[usize]) -> Option<ndarray::Array2<f32>> {
    let dims = map.coords.dims;
    let mut out = ndarray::Array2::zeros((rows.len(), dims));
    for (i, row) in rows.iter().enumerate() {
        let place = map.coords.values.get(row * dims..(row + 1) * dims)?;
        if place.iter().any(|v| !v.is_finite()) {
            return None;
        }
        out.row_mut(i).iter_mut().zip(place).for_each(|(o, v)| *o = *v);
    }
    Some(out)
}

/// Progress without frames, for what follows a map.
struct Unseen<'a>(&'a dyn reduce::Monitor);

impl reduce::Monitor for Unseen<'_> {
    fn stop(&self) -> bool {
        self.0.stop()
    }
    fn watches(&self) -> bool {
        false
    }
}
