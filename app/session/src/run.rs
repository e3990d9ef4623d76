//! Running a recipe: the same commands as the window's, one after the other.
//!
//! A [`Play`] is the recipe cut into parts. Each part gives the session a command or takes in what the one before it
//! found; between two parts the session's jobs end. With no window [`run`] waits for them; in the window
//! [`Session::poll`] goes on with the next part, so that maps move and nothing blocks.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::command::{Ask, ClusterOn, Command, ExportRows, SelectMode};
use crate::document::Dataset;
use crate::error::{Error, Result};
use crate::features::Features;
use crate::products::ProductKind;
use crate::recipe::{
    ClusterStep, DrawStep, ExportStep, ImageStep, MapStep, MatchStep, Parsed, RefineStep, SearchStep, SelectStep,
};
use crate::select::{Plot, Provenance, Shape};
use crate::session::Session;
use crate::settings::Settings;

/// What a recipe made.
pub struct Ran {
    /// The session at its end.
    pub session: Session,
    /// Figures of every step, for `report.json`.
    pub report: Vec<Value>,
    /// Pictures that were asked for; drawing is the program's part.
    pub draws: Vec<DrawStep>,
    /// What its names stand for.
    pub names: Names,
    /// Files written.
    pub files: Vec<PathBuf>,
    /// Any search was cut off.
    pub truncated: bool,
}

/// What the names of a recipe's steps stand for in the session.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Dataset id by the name of its search.
    pub searches: HashMap<String, u32>,
    /// (Dataset id, features) by name.
    pub features: HashMap<String, (u32, Features)>,
    /// (Dataset id, map id) by name.
    pub maps: HashMap<String, (u32, u32)>,
    /// (Dataset id, subset ids) by name.
    pub subsets: HashMap<String, (u32, Vec<u32>)>,
}

/// Run a recipe; exports go to `out`. `tell` gets a line for each step.
///
/// # Errors
/// With the line of a wrong word, or what a step failed of. What was written before stays.
pub fn run(file: &Path, out: &Path, settings: Settings, tell: &mut dyn FnMut(&str)) -> Result<Ran> {
    run_with(file, Some(out), settings, 0, tell, &mut |_| {})
}

/// As [`run`], with a seed for the maps that give none, and with `each`, which is called while a step is at work and may cancel its job.
/// With no `out` nothing is written: exports and pictures are left out.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    file: &Path,
    out: Option<&Path>,
    settings: Settings,
    seed: u64,
    tell: &mut dyn FnMut(&str),
    each: &mut dyn FnMut(&Session),
) -> Result<Ran> {
    let mut play = Play::with_seed(file, out, seed)?;
    if let Some(out) = out {
        std::fs::create_dir_all(out).map_err(|e| asterism_data::Error::io(out, e))?;
    }
    let mut session = Session::new(settings);
    while play.next(&mut session, tell)? {
        session.wait(each)?;
    }
    let Play { report, parsed, names, files, truncated, .. } = play;
    Ok(Ran { session, report, draws: parsed.recipe.draw.clone(), names, files, truncated })
}

type Part = Box<dyn FnOnce(&mut Play, &mut Session) -> Result<()> + Send>;

/// A recipe on its way.
pub struct Play {
    parsed: Arc<Parsed>,
    /// Relative paths count from here.
    folder: PathBuf,
    parts: VecDeque<Part>,
    total: usize,
    names: Names,
    report: Vec<Value>,
    files: Vec<PathBuf>,
    truncated: bool,
    /// When the step at work began.
    start: Instant,
    /// Lines for the person, not told yet.
    lines: Vec<String>,
    /// The question of the search at work, once a name in it was looked up.
    ask: Arc<Mutex<Option<Ask>>>,
    /// Features of the map at work, and the column whose products are read for them.
    features: Option<(Features, Option<(String, ProductKind)>)>,
    /// Subsets that were there before the clusters or the match at work.
    before: Vec<u32>,
}

impl Play {
    /// Read a recipe and cut it into parts. With no `out` nothing is written: its exports and pictures are left out.
    ///
    /// # Errors
    /// With the line of a wrong word.
    pub fn new(file: &Path, out: Option<&Path>) -> Result<Self> {
        Self::with_seed(file, out, 0)
    }
    fn with_seed(file: &Path, out: Option<&Path>, seed: u64) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|e| asterism_data::Error::io(file, e))?;
        let mut parsed = Parsed::new(&file.display().to_string(), &text)?;
        for map in &mut parsed.recipe.map {
            map.seed.get_or_insert(seed);
        }
        let parsed = Arc::new(parsed);
        let mut play = Self {
            parsed: parsed.clone(),
            folder: file.parent().map_or_else(PathBuf::new, Path::to_path_buf),
            parts: VecDeque::new(),
            total: 0,
            names: Names::default(),
            report: Vec::new(),
            files: Vec::new(),
            truncated: false,
            start: Instant::now(),
            lines: Vec::new(),
            ask: Arc::default(),
            features: None,
            before: Vec::new(),
        };
        for step in &parsed.recipe.search {
            let step = step.clone();
            let again = step.clone();
            play.then(move |p, s| p.question(s, &again));
            let again = step.clone();
            play.then(move |p, s| p.search(s, &again));
            play.then(move |p, s| p.searched(s, &step));
        }
        for step in &parsed.recipe.matches {
            let (step, again) = (step.clone(), step.clone());
            play.then(move |p, s| p.match_rows(s, &again));
            play.then(move |p, s| p.matched(s, &step));
        }
        for step in &parsed.recipe.image {
            let (step, again) = (step.clone(), step.clone());
            play.then(move |p, s| p.image(s, &again));
            play.then(move |p, s| p.shown(s, &step));
        }
        for step in &parsed.recipe.features {
            let step = step.clone();
            play.then(move |p, _| {
                let id = p.names.searches[step.of.get_ref()];
                p.names.features.insert(step.name.clone(), (id, step.features()));
                p.report.push(json!({"step": "features", "name": step.name, "of": step.of.get_ref()}));
                Ok(())
            });
        }
        for step in &parsed.recipe.map {
            let step = step.clone();
            let again = step.clone();
            play.then(move |p, s| {
                p.begin(format!("map {}", again.name));
                p.read_features(s, again.of.get_ref())
            });
            let again = step.clone();
            play.then(move |p, s| {
                p.set_features(s)?;
                let name = again.name.clone();
                match again.until.is_none() && again.then.is_empty() && again.arrived.is_empty() {
                    true => s.apply(Command::StartMap { name, params: again.params() }),
                    false => s.apply(Command::RepeatMap { name, legs: again.legs() }),
                }
            });
            play.then(move |p, s| p.mapped(s, &step));
        }
        for step in &parsed.recipe.cluster {
            let step = step.clone();
            let again = step.clone();
            play.then(move |p, s| {
                p.begin(format!("cluster {}", again.name));
                if p.names.maps.contains_key(again.of.get_ref()) { Ok(()) } else { p.read_features(s, again.of.get_ref()) }
            });
            let again = step.clone();
            play.then(move |p, s| p.cluster(s, &again));
            play.then(move |p, s| p.clustered(s, &step));
        }
        for step in &parsed.recipe.select {
            let step = step.clone();
            let again = step.clone();
            play.then(move |p, s| p.select(s, &again));
            play.then(move |p, s| p.selected(s, &step));
        }
        for step in &parsed.recipe.refine {
            let step = step.clone();
            let again = step.clone();
            play.then(move |p, s| p.refine(s, &again));
            play.then(move |p, s| p.refined(s, &step));
        }
        if let Some(out) = out.map(Path::to_path_buf) {
            for step in &parsed.recipe.export {
                let step = step.clone();
                let out = out.clone();
                play.then(move |p, s| p.export(s, &step, &out));
            }
            let kept = out.join("session.asterism");
            play.then(move |p, s| {
                p.files.push(kept.clone());
                s.apply(Command::SaveSession { to: kept })
            });
        }
        play.total = play.parts.len();
        Ok(play)
    }
    /// Do the next part. False when none was left. The session's jobs must have ended since the part before.
    ///
    /// # Errors
    /// What the part failed of, with the line of the recipe where a word of it was wrong.
    pub fn next(&mut self, session: &mut Session, tell: &mut dyn FnMut(&str)) -> Result<bool> {
        let Some(part) = self.parts.pop_front() else { return Ok(false) };
        let outcome = part(self, session);
        self.lines.drain(..).for_each(|line| tell(&line));
        outcome.map(|()| true)
    }
    /// Share of the parts that are done, 0 … 1.
    pub fn fraction(&self) -> f32 {
        1.0 - self.parts.len() as f32 / self.total.max(1) as f32
    }
    /// The recipe's file.
    pub fn file(&self) -> &str {
        &self.parsed.file
    }
    /// Exports and pictures that the recipe names.
    pub fn leaves(&self) -> usize {
        self.parsed.recipe.export.iter().map(|e| e.to.len()).sum::<usize>() + self.parsed.recipe.draw.len()
    }

    fn then(&mut self, part: impl FnOnce(&mut Self, &mut Session) -> Result<()> + Send + 'static) {
        self.parts.push_back(Box::new(part));
    }
    fn begin(&mut self, line: String) {
        self.start = Instant::now();
        self.lines.push(line);
    }
    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// The question of a search; a name in it is looked up in a job.
    fn question(&mut self, session: &mut Session, step: &SearchStep) -> Result<()> {
        self.begin(format!("search {}", step.name));
        let services = session.settings().services.clone();
        let (parsed, step, folder, ask) = (self.parsed.clone(), step.clone(), self.folder.clone(), self.ask.clone());
        let client = session.client();
        session.start(format!("Question of {}", step.name), 0, false, move |handle| {
            *ask.lock() = Some(crate::recipe::ask_of(&parsed, &step, &folder, &services, &mut |name| {
                handle.say("looking up", 0, 0);
                let found = client.as_ref().map_err(|e| Error::said(e.to_string()))?.resolve(name, &|| handle.cancelled())?;
                Ok((found.ra_deg, found.dec_deg))
            })?);
            Ok(())
        });
        Ok(())
    }
    fn search(&mut self, session: &mut Session, step: &SearchStep) -> Result<()> {
        let ask = self.ask.lock().take();
        let ask = ask.ok_or_else(|| Error::said(format!("search '{}' was ended", step.name)))?;
        session.apply(Command::Search { name: step.name.clone(), ask })
    }
    fn searched(&mut self, session: &mut Session, step: &SearchStep) -> Result<()> {
        let d = front(session)?;
        self.names.searches.insert(step.name.clone(), d.id);
        self.truncated |= d.table.truncated;
        self.report.push(json!({"step": "search", "name": step.name, "rows": d.table.rows(), "columns": d.table.columns().len(),
            "truncated": d.table.truncated, "warnings": d.table.warnings, "seconds": self.seconds()}));
        Ok(())
    }

    fn match_rows(&mut self, session: &mut Session, step: &MatchStep) -> Result<()> {
        self.begin(format!("match {}", step.of.get_ref()));
        activate(session, self.names.searches[step.of.get_ref()])?;
        self.before = front(session)?.subsets.iter().map(|s| s.id).collect();
        let how = step.how(&self.parsed)?;
        let services = &session.settings().services;
        let command = match (step.by(services), &step.with) {
            (Some(by), _) => Command::MatchService { by, rows: ExportRows::All, how },
            (None, Some(with)) => {
                let columns = step.with_columns.clone().map(|[a, b]| (a, b));
                Command::MatchTables { with: self.names.searches[with.get_ref()], columns, how }
            }
            (None, None) => return Ok(()),
        };
        session.apply(command)
    }
    fn matched(&mut self, session: &mut Session, step: &MatchStep) -> Result<()> {
        let d = front(session)?;
        let missed: Vec<&Arc<crate::document::Subset>> = d.subsets.iter().filter(|s| !self.before.contains(&s.id)).collect();
        let count: usize = missed.iter().map(|s| s.rows.count()).sum();
        self.report.push(json!({"step": "match", "name": step.name, "rows": d.table.rows(), "columns": d.table.columns().len(),
            "not_found": count, "seconds": self.seconds()}));
        for subset in &missed {
            let name = Some(step.name.clone());
            session.apply(Command::EditSubset { id: subset.id, name, colour: None, visible: None })?;
        }
        self.names.subsets.insert(step.name.clone(), (d.id, missed.iter().map(|s| s.id).collect()));
        Ok(())
    }

    fn image(&mut self, session: &mut Session, step: &ImageStep) -> Result<()> {
        self.begin(format!("image {}", step.name));
        activate(session, self.names.searches[step.of.get_ref()])?;
        match (&step.address, &step.cut, step.at) {
            (Some(address), ..) => {
                session.apply(Command::OpenProduct { address: address.clone(), name: step.name.clone(), by_job: step.by_job })
            }
            (None, Some(from), Some([ra, dec])) => session.apply(Command::CutOut { at: (ra, dec), from: from.clone() }),
            _ => Ok(()),
        }
    }
    fn shown(&mut self, session: &mut Session, step: &ImageStep) -> Result<()> {
        activate(session, self.names.searches[step.of.get_ref()])?;
        let images = front(session)?.images.len();
        self.report.push(json!({"step": "image", "name": step.name, "images": images, "seconds": self.seconds()}));
        Ok(())
    }

    /// Bring the table of these features to the front; the products that they name are fetched first.
    fn read_features(&mut self, session: &mut Session, name: &str) -> Result<()> {
        let (id, features) = self.names.features[name].clone();
        activate(session, id)?;
        let wanted = crate::products::wanted(&front(session)?.table, &features);
        self.features = Some((features, wanted.clone()));
        let Some((column, kind)) = wanted else { return Ok(()) };
        self.lines.push(format!("read {} of column {column}", kind.word()));
        session.apply(Command::ReadProducts { column, kind, rows: ExportRows::All })
    }
    fn set_features(&mut self, session: &mut Session) -> Result<()> {
        let Some((mut features, read)) = self.features.take() else { return Ok(()) };
        if let Some((column, kind)) = read {
            features = crate::products::of_values(features);
            let said = session.notices().last().map_or(String::new(), |n| n.text.clone());
            self.report.push(json!({"step": "products", "column": column, "kind": kind.word(), "said": said,
                "seconds": self.seconds()}));
        }
        session.apply(Command::SetFeatures { features })
    }
    fn mapped(&mut self, session: &mut Session, step: &MapStep) -> Result<()> {
        let d = front(session)?;
        let map = d.map().ok_or_else(|| Error::said(format!("map '{}' was not made", step.name)))?;
        self.names.maps.insert(step.name.clone(), (d.id, map.id));
        let quality = map.quality.as_ref().map(|q| crate::store::quality_figures(q));
        self.report
            .push(json!({"step": "map", "name": step.name, "rows": map.fitted, "figures": map.figures, "quality": quality,
            "stages": map.seconds, "seconds": self.seconds()}));
        Ok(())
    }

    fn cluster(&mut self, session: &mut Session, step: &ClusterStep) -> Result<()> {
        let on = match self.names.maps.get(step.of.get_ref()).copied() {
            Some((id, map)) => {
                activate(session, id)?;
                session.apply(Command::ShowMap { id: map })?;
                ClusterOn::Map
            }
            None => {
                self.set_features(session)?;
                ClusterOn::Vectors
            }
        };
        self.before = front(session)?.subsets.iter().map(|s| s.id).collect();
        session.apply(match step.method.get_ref().as_str() {
            "kmeans" => Command::KMeans { k: step.k.unwrap_or(8), on },
            "gmm" => Command::Mixture { k: step.k.unwrap_or(0), on },
            _ => Command::Hdbscan {
                min_cluster_size: step.min_cluster_size.unwrap_or(50),
                min_samples: step.min_samples.unwrap_or(0),
                on,
            },
        })
    }
    fn clustered(&mut self, session: &mut Session, step: &ClusterStep) -> Result<()> {
        let d = front(session)?;
        let made: Vec<_> = d.subsets.iter().filter(|s| !self.before.contains(&s.id)).collect();
        for (n, subset) in made.iter().enumerate() {
            let name = Some(format!("{} {}", step.name, n + 1));
            session.apply(Command::EditSubset { id: subset.id, name, colour: None, visible: None })?;
        }
        let sizes: Vec<usize> = made.iter().map(|s| s.rows.count()).collect();
        self.report.push(
            json!({"step": "cluster", "name": step.name, "clusters": made.len(), "sizes": sizes, "seconds": self.seconds()}),
        );
        self.names.subsets.insert(step.name.clone(), (d.id, made.iter().map(|s| s.id).collect()));
        Ok(())
    }

    fn select(&mut self, session: &mut Session, step: &SelectStep) -> Result<()> {
        self.begin(format!("select {}", step.name));
        let parsed = self.parsed.clone();
        let dataset = match (&step.of, &step.map) {
            (Some(of), _) => self.names.searches[of.get_ref()],
            (None, Some(map)) => self.names.maps[map.get_ref()].0,
            (None, None) => return Err(parsed.wrong(0..0, format!("selection '{}' does not say of which search", step.name))),
        };
        activate(session, dataset)?;
        session.apply(Command::ClearSelection)?;
        let d = front(session)?;
        if let Some(expr) = &step.expr {
            return session
                .apply(Command::SelectWhere { expr: expr.get_ref().clone(), mode: Some(SelectMode::Replace) })
                .map_err(|e| parsed.wrong(expr.span(), e.to_string()));
        }
        let why = match (&step.polygon, &step.rows) {
            (Some(points), _) => Provenance::Shape { plot: self.plot(step)?, shape: Shape::Polygon(points.clone()) },
            (None, Some(path)) => {
                let rows =
                    rows_of_file(&d, &self.folder.join(path.get_ref())).map_err(|e| parsed.wrong(path.span(), e.to_string()))?.0;
                Provenance::Rows { note: path.get_ref().clone(), rows }
            }
            (None, None) => return Ok(()),
        };
        let rows = crate::select::rows_of(&d, &why)?;
        session.apply(Command::Select { rows, why, mode: Some(SelectMode::Replace) })
    }
    /// The axes in which a polygon stands.
    fn plot(&self, step: &SelectStep) -> Result<Plot> {
        match (&step.map, &step.plot, (&step.sky, step.centre)) {
            (Some(map), ..) => {
                let id = self.names.maps[map.get_ref()].1;
                Ok(step.axes.clone().map_or(Plot::Map(id), |axes| Plot::MapAxes { map: id, axes }))
            }
            (None, Some([x, y]), _) => Ok(Plot::Columns { x: x.clone(), y: y.clone() }),
            (None, None, (Some([ra, dec]), Some(centre))) => {
                let projection = step.projection.as_ref().and_then(|p| p.get_ref().parse().ok()).unwrap_or_default();
                let frame = step.frame.unwrap_or_default();
                Ok(Plot::Sky { ra: ra.clone(), dec: dec.clone(), centre, projection, frame })
            }
            (None, None, _) => {
                let what = format!("selection '{}': a polygon needs a map, a plot, or sky together with centre", step.name);
                Err(self.parsed.wrong(0..0, what))
            }
        }
    }
    fn selected(&mut self, session: &mut Session, step: &SelectStep) -> Result<()> {
        let count = session.doc().selection.rows.count();
        let dataset = front(session)?.id;
        let mut made = Vec::new();
        if count > 0 {
            session.apply(Command::SaveSubset { name: step.name.clone() })?;
            made.extend(front(session)?.subsets.last().map(|s| s.id));
        } else {
            self.lines.push(format!("  selection {} is empty", step.name));
        }
        self.names.subsets.insert(step.name.clone(), (dataset, made));
        self.report.push(json!({"step": "select", "name": step.name, "rows": count}));
        Ok(())
    }

    fn refine(&mut self, session: &mut Session, step: &RefineStep) -> Result<()> {
        self.begin(format!("refine {}", step.name));
        let (dataset, subsets) = self.names.subsets[step.of.get_ref()].clone();
        activate(session, dataset)?;
        let Some(first) = subsets.first() else {
            let what = format!("selection '{}' is empty: there is nothing to make a rule of", step.of.get_ref());
            return Err(self.parsed.wrong(step.of.span(), what));
        };
        session.apply(Command::SelectSubset { id: *first, mode: Some(SelectMode::Replace) })?;
        session.apply(Command::FitRule { columns: step.columns.clone(), balance: step.balance.unwrap_or(0.5) })
    }
    fn refined(&mut self, session: &mut Session, step: &RefineStep) -> Result<()> {
        let d = front(session)?;
        let rule = d.rule.as_ref().ok_or_else(|| Error::said("no rule was found"))?;
        let line = json!({"step": "refine", "name": step.name, "rule": rule.sql(), "adql": rule.adql(&d.ask), "mast": rule.mast_filters(),
            "purity": rule.purity(), "completeness": rule.completeness(), "matched": rule.matched(), "seconds": self.seconds()});
        self.report.push(line);
        if !step.again {
            return Ok(());
        }
        self.parts.push_front(Box::new(|p, s| {
            let d = front(s)?;
            if let (Some(entry), Some(line)) = (d.ledger.last(), p.report.last_mut()) {
                line["again"] = json!({"rows": entry.rows, "gained": entry.gained, "kept": entry.kept, "lost": entry.lost, "truncated": entry.truncated});
            }
            Ok(())
        }));
        session.apply(Command::SearchAgain)
    }

    /// Every file of an export, each in a part of its own.
    fn export(&mut self, session: &mut Session, step: &ExportStep, out: &Path) -> Result<()> {
        let name = step.of.get_ref().clone();
        let (dataset, rows): (u32, Vec<ExportRows>) = match (self.names.subsets.get(&name), self.names.searches.get(&name)) {
            (Some((d, subsets)), _) => (*d, subsets.iter().map(|s| ExportRows::Subset(*s)).collect()),
            (None, Some(d)) => (*d, vec![ExportRows::All]),
            (None, None) => return Ok(()),
        };
        activate(session, dataset)?;
        let serialization = step.serialization.unwrap_or_default();
        let mut files: Vec<(String, PathBuf, ExportRows)> = Vec::new();
        for to in &step.to {
            for (n, rows) in rows.iter().enumerate() {
                let mut path = out.join(to);
                if n > 0 {
                    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
                    let ending = path.extension().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
                    path.set_file_name(format!("{stem}-{}.{ending}", n + 1));
                }
                files.push((to.clone(), path, *rows));
            }
        }
        for (to, path, rows) in files.into_iter().rev() {
            let name = name.clone();
            self.parts.push_front(Box::new(move |p, s| {
                p.lines.push(format!("export {}", path.display()));
                let count = s.export_rows(rows)?.count();
                p.report.push(json!({"step": "export", "of": name, "to": to, "rows": count}));
                p.files.push(path.clone());
                s.apply(Command::Export { rows, to: path, serialization })
            }));
        }
        Ok(())
    }
}

fn front(session: &Session) -> Result<Arc<Dataset>> {
    session.doc().dataset().cloned().ok_or_else(|| Error::said("the search gave no table"))
}

/// Bring a dataset to the front.
fn activate(session: &mut Session, id: u32) -> Result<()> {
    match session.doc().datasets.iter().position(|d| d.id == id) {
        Some(index) => session.apply(Command::Activate { index }),
        None => Err(Error::said("a table of the recipe was closed")),
    }
}

impl Ran {
    /// Bring a dataset to the front.
    ///
    /// # Errors
    /// As [`Session::apply`].
    pub fn activate(&mut self, id: u32) -> Result<()> {
        activate(&mut self.session, id)
    }
}

/// Rows named by a list: one id a line, or a CSV file whose first column holds ids of the table or, where it is named `row`,
/// 0-based row numbers. With how many of them are not here.
///
/// # Errors
/// When the file cannot be read or none of its ids is here.
pub fn rows_of_file(dataset: &Dataset, path: &Path) -> Result<(asterism_data::RowSet, Option<String>)> {
    let list = asterism_data::read_table(path)?;
    let first = list.columns().first().ok_or_else(|| Error::said(format!("{}: no column", path.display())))?.name.clone();
    let mut wanted: std::collections::BTreeSet<String> = list.strings(&first)?.into_iter().flatten().collect();
    let len = dataset.table.rows();
    let missing = |found: usize, of: usize, what: &str| {
        (found < of).then(|| format!("{}: {} of its {of} {what} are not in the table", path.display(), of - found))
    };
    if first.eq_ignore_ascii_case("row") {
        let rows: Vec<usize> = wanted.iter().filter_map(|t| t.parse().ok()).filter(|r| *r < len).collect();
        let (found, of) = (rows.len(), wanted.len());
        if found == 0 {
            return Err(Error::said(format!(
                "{}: none of its {of} row numbers is below {len}; the first row is 0",
                path.display()
            )));
        }
        return Ok((asterism_data::RowSet::from_rows(len, rows), missing(found, of, "row numbers")));
    }
    let column = match dataset.table.column_index(&first) {
        Some(_) => first.clone(),
        None => {
            let column = dataset.id_column().ok_or_else(|| {
                Error::said(format!("{}: the table has no column '{first}' and none that identifies a row", path.display()))
            })?;
            // A plain list has no head: its first line is an id as all others.
            let is_id = first.parse::<f64>().is_ok()
                || dataset.table.strings(&column)?.iter().flatten().any(|id| id.trim() == first.trim());
            if is_id {
                wanted.insert(first.clone());
            }
            column
        }
    };
    let own = dataset.table.strings(&column)?;
    let mut found: std::collections::HashSet<&str> = std::collections::HashSet::new();
    let rows = asterism_data::RowSet::from_fn(len, |row| {
        own[row].as_deref().is_some_and(|id| {
            wanted.contains(id) && {
                found.insert(id);
                true
            }
        })
    });
    if rows.is_empty() {
        return Err(Error::said(format!("{}: none of its {} ids stands in column '{column}'", path.display(), wanted.len())));
    }
    let warning = missing(found.len(), wanted.len(), "ids");
    Ok((rows, warning))
}
