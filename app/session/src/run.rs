//! Running a recipe without a window: the same commands as the window's, one after the other.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::command::{ClusterOn, Command, ExportRows, SelectMode};
use crate::document::Dataset;
use crate::error::{Error, Result};
use crate::recipe::{DrawStep, Parsed};
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
    /// Dataset id by the name of its search.
    pub searches: HashMap<String, u32>,
    /// (Dataset id, map id) by name.
    pub maps: HashMap<String, (u32, u32)>,
    /// (Dataset id, subset ids) by name.
    pub subsets: HashMap<String, (u32, Vec<u32>)>,
    /// Files written.
    pub files: Vec<PathBuf>,
    /// Any search was cut off.
    pub truncated: bool,
}

/// Run a recipe; exports go to `out`. `tell` gets a line for each step.
///
/// # Errors
/// With the line of a wrong word, or what a step failed of. What was written before stays.
pub fn run(file: &Path, out: &Path, settings: Settings, tell: &mut dyn FnMut(&str)) -> Result<Ran> {
    let text = std::fs::read_to_string(file).map_err(|e| asterism_data::Error::io(file, e))?;
    let parsed = Parsed::new(&file.display().to_string(), &text)?;
    std::fs::create_dir_all(out).map_err(|e| asterism_data::Error::io(out, e))?;
    let folder = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let mut ran = Ran {
        session: Session::new(settings),
        report: Vec::new(),
        draws: parsed.recipe.draw.clone(),
        searches: HashMap::new(),
        maps: HashMap::new(),
        subsets: HashMap::new(),
        files: Vec::new(),
        truncated: false,
    };
    for step in &parsed.recipe.search {
        let start = Instant::now();
        tell(&format!("search {}", step.name));
        let services = ran.session.settings().services.clone();
        let client = ran.session.client();
        let ask = crate::recipe::ask_of(&parsed, step, &folder, &services, &mut |name| {
            let client = client.as_ref().map_err(|e| Error::said(e.to_string()))?;
            let found = client.resolve(name, &|| false)?;
            Ok((found.ra_deg, found.dec_deg))
        })?;
        ran.session.apply(Command::Search { name: step.name.clone(), ask })?;
        ran.session.wait(&mut |_| {})?;
        let d = ran.front()?;
        ran.searches.insert(step.name.clone(), d.id);
        ran.truncated |= d.table.truncated;
        ran.report.push(json!({"step": "search", "name": step.name, "rows": d.table.rows(), "columns": d.table.columns().len(),
            "truncated": d.table.truncated, "warnings": d.table.warnings, "seconds": start.elapsed().as_secs_f64()}));
    }
    let mut features = HashMap::new();
    for step in &parsed.recipe.features {
        let id = ran.searches[step.of.get_ref()];
        features.insert(step.name.clone(), (id, step.features()));
    }
    for step in &parsed.recipe.map {
        let start = Instant::now();
        tell(&format!("map {}", step.name));
        let (id, f) = features[step.of.get_ref()].clone();
        ran.activate(id)?;
        ran.set_features(f, tell)?;
        ran.session.apply(Command::StartMap { name: step.name.clone(), params: step.params() })?;
        ran.session.wait(&mut |_| {})?;
        let d = ran.front()?;
        let map = d.map().ok_or_else(|| Error::said(format!("map '{}' was not made", step.name)))?;
        ran.maps.insert(step.name.clone(), (id, map.id));
        let quality = map.quality.as_ref().map(|q| crate::store::quality_figures(q));
        ran.report.push(json!({"step": "map", "name": step.name, "rows": map.fitted, "figures": map.figures, "quality": quality,
            "stages": map.seconds, "seconds": start.elapsed().as_secs_f64()}));
    }
    for step in &parsed.recipe.cluster {
        let start = Instant::now();
        tell(&format!("cluster {}", step.name));
        let on = match ran.maps.get(step.of.get_ref()).copied() {
            Some((id, map)) => {
                ran.activate(id)?;
                ran.session.apply(Command::ShowMap { id: map })?;
                ClusterOn::Map
            }
            None => {
                let (id, f) = features[step.of.get_ref()].clone();
                ran.activate(id)?;
                ran.set_features(f, tell)?;
                ClusterOn::Vectors
            }
        };
        let before: Vec<u32> = ran.front()?.subsets.iter().map(|s| s.id).collect();
        let command = match step.method.get_ref().as_str() {
            "kmeans" => Command::KMeans { k: step.k.unwrap_or(8), on },
            "gmm" => Command::Mixture { k: step.k.unwrap_or(0), on },
            _ => Command::Hdbscan {
                min_cluster_size: step.min_cluster_size.unwrap_or(50),
                min_samples: step.min_samples.unwrap_or(0),
                on,
            },
        };
        ran.session.apply(command)?;
        ran.session.wait(&mut |_| {})?;
        let d = ran.front()?;
        let made: Vec<u32> = d.subsets.iter().map(|s| s.id).filter(|id| !before.contains(id)).collect();
        for (n, id) in made.iter().enumerate() {
            ran.session.apply(Command::EditSubset {
                id: *id,
                name: Some(format!("{} {}", step.name, n + 1)),
                colour: None,
                visible: None,
            })?;
        }
        let sizes: Vec<usize> = d.subsets.iter().filter(|s| made.contains(&s.id)).map(|s| s.rows.count()).collect();
        ran.report.push(json!({"step": "cluster", "name": step.name, "clusters": made.len(), "sizes": sizes, "seconds": start.elapsed().as_secs_f64()}));
        ran.subsets.insert(step.name.clone(), (d.id, made));
    }
    for step in &parsed.recipe.select {
        tell(&format!("select {}", step.name));
        let dataset = match (&step.of, &step.map) {
            (Some(of), _) => ran.searches[of.get_ref()],
            (None, Some(map)) => ran.maps[map.get_ref()].0,
            (None, None) => return Err(parsed.wrong(0..0, format!("selection '{}' does not say of which search", step.name))),
        };
        ran.activate(dataset)?;
        let d = ran.front()?;
        if let Some(expr) = &step.expr {
            ran.session
                .apply(Command::SelectWhere { expr: expr.get_ref().clone(), mode: Some(SelectMode::Replace) })
                .and_then(|()| ran.session.wait(&mut |_| {}))
                .map_err(|e| parsed.wrong(expr.span(), e.to_string()))?;
        } else {
            let why = match (&step.polygon, &step.rows) {
                (Some(points), _) => {
                    let plot = match (&step.map, &step.plot, (&step.sky, step.centre)) {
                        (Some(map), ..) => Plot::Map(ran.maps[map.get_ref()].1),
                        (None, Some([x, y]), _) => Plot::Columns { x: x.clone(), y: y.clone() },
                        (None, None, (Some([ra, dec]), Some(centre))) => Plot::Sky { ra: ra.clone(), dec: dec.clone(), centre },
                        (None, None, _) => {
                            let what =
                                format!("selection '{}': a polygon needs a map, a plot, or sky together with centre", step.name);
                            return Err(parsed.wrong(0..0, what));
                        }
                    };
                    Provenance::Shape { plot, shape: Shape::Polygon(points.clone()) }
                }
                (None, Some(path)) => {
                    let rows =
                        rows_of_file(&d, &folder.join(path.get_ref())).map_err(|e| parsed.wrong(path.span(), e.to_string()))?;
                    Provenance::Rows { note: path.get_ref().clone(), rows }
                }
                (None, None) => continue,
            };
            let rows = crate::select::rows_of(&d, &why)?;
            ran.session.apply(Command::Select { rows, why, mode: Some(SelectMode::Replace) })?;
        }
        let count = ran.session.doc().selection.rows.count();
        if count > 0 {
            ran.session.apply(Command::SaveSubset { name: step.name.clone() })?;
            let id = ran.front()?.subsets.last().map(|s| s.id);
            ran.subsets.insert(step.name.clone(), (dataset, id.into_iter().collect()));
        } else {
            tell(&format!("  selection {} is empty", step.name));
            ran.subsets.insert(step.name.clone(), (dataset, Vec::new()));
        }
        ran.report.push(json!({"step": "select", "name": step.name, "rows": count}));
    }
    for step in &parsed.recipe.refine {
        let start = Instant::now();
        tell(&format!("refine {}", step.name));
        let (dataset, subsets) = ran.subsets[step.of.get_ref()].clone();
        ran.activate(dataset)?;
        let Some(first) = subsets.first() else {
            return Err(parsed.wrong(
                step.of.span(),
                format!("selection '{}' is empty: there is nothing to make a rule of", step.of.get_ref()),
            ));
        };
        ran.session.apply(Command::SelectSubset { id: *first, mode: Some(SelectMode::Replace) })?;
        ran.session.apply(Command::FitRule { columns: step.columns.clone(), balance: step.balance.unwrap_or(0.5) })?;
        ran.session.wait(&mut |_| {})?;
        let d = ran.front()?;
        let rule = d.rule.as_ref().ok_or_else(|| Error::said("no rule was found"))?;
        let mut line = json!({"step": "refine", "name": step.name, "rule": rule.sql(), "adql": rule.adql(&d.ask), "mast": rule.mast_filters(),
            "purity": rule.purity(), "completeness": rule.completeness(), "matched": rule.matched(), "seconds": start.elapsed().as_secs_f64()});
        if step.again {
            ran.session.apply(Command::SearchAgain)?;
            ran.session.wait(&mut |_| {})?;
            let d = ran.front()?;
            if let Some(entry) = d.ledger.last() {
                line["again"] = json!({"rows": entry.rows, "gained": entry.gained, "kept": entry.kept, "lost": entry.lost, "truncated": entry.truncated});
            }
        }
        ran.report.push(line);
    }
    for step in &parsed.recipe.export {
        let name = step.of.get_ref();
        let whole = [ExportRows::All];
        let (dataset, rows): (u32, Vec<ExportRows>) = match (ran.subsets.get(name), ran.searches.get(name)) {
            (Some((d, subsets)), _) => (*d, subsets.iter().map(|s| ExportRows::Subset(*s)).collect()),
            (None, Some(d)) => (*d, whole.to_vec()),
            (None, None) => continue,
        };
        ran.activate(dataset)?;
        for to in &step.to {
            for (n, rows) in rows.iter().enumerate() {
                let mut path = out.join(to);
                if n > 0 {
                    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
                    let ending = path.extension().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
                    path.set_file_name(format!("{stem}-{}.{ending}", n + 1));
                }
                tell(&format!("export {}", path.display()));
                ran.session.apply(Command::Export { rows: *rows, to: path.clone() })?;
                ran.session.wait(&mut |_| {})?;
                let count = ran.session.export_rows(*rows)?.count();
                ran.report.push(json!({"step": "export", "of": name, "to": to, "rows": count}));
                ran.files.push(path);
            }
        }
    }
    let kept = out.join("session.asterism");
    ran.session.apply(Command::SaveSession { to: kept.clone() })?;
    ran.session.wait(&mut |_| {})?;
    ran.files.push(kept);
    Ok(ran)
}

impl Ran {
    fn front(&self) -> Result<std::sync::Arc<Dataset>> {
        self.session.doc().dataset().cloned().ok_or_else(|| Error::said("the search gave no table"))
    }
    /// Features of the dataset in front; the products that they name are read first.
    fn set_features(&mut self, mut features: crate::Features, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let start = Instant::now();
        if let Some((column, kind)) = crate::products::wanted(&self.front()?.table, &features) {
            tell(&format!("read {} of column {column}", kind.word()));
            self.session.apply(Command::ReadProducts { column: column.clone(), kind, rows: ExportRows::All })?;
            self.session.wait(&mut |_| {})?;
            features = crate::products::of_values(features);
            let said = self.session.notices().last().map_or(String::new(), |n| n.text.clone());
            self.report.push(json!({"step": "products", "column": column, "kind": kind.word(), "said": said,
                "seconds": start.elapsed().as_secs_f64()}));
        }
        self.session.apply(Command::SetFeatures { features })
    }
    /// Bring a dataset to the front.
    ///
    /// # Errors
    /// As [`Session::apply`].
    pub fn activate(&mut self, id: u32) -> Result<()> {
        if let Some(index) = self.session.doc().datasets.iter().position(|d| d.id == id) {
            self.session.apply(Command::Activate { index })?;
        }
        Ok(())
    }
}

/// Rows named by a CSV file: its first column holds ids of the table, or 0-based row numbers when
/// it is named `row`.
///
/// # Errors
/// When the file cannot be read or none of its ids is here.
pub fn rows_of_file(dataset: &Dataset, path: &Path) -> Result<asterism_data::RowSet> {
    let list = asterism_data::read_table(path)?;
    let first = list.columns().first().ok_or_else(|| Error::said(format!("{}: no column", path.display())))?.name.clone();
    let ids = list.strings(&first)?;
    let len = dataset.table.rows();
    if first.eq_ignore_ascii_case("row") {
        return Ok(asterism_data::RowSet::from_rows(len, ids.into_iter().flatten().filter_map(|t| t.parse().ok())));
    }
    let column = match dataset.table.column_index(&first) {
        Some(_) => first.clone(),
        None => dataset.id_column().ok_or_else(|| {
            Error::said(format!("{}: the table has no column '{first}' and none that identifies a row", path.display()))
        })?,
    };
    let wanted: std::collections::HashSet<String> = ids.into_iter().flatten().collect();
    let own = dataset.table.strings(&column)?;
    let rows = asterism_data::RowSet::from_fn(len, |row| own[row].as_ref().is_some_and(|id| wanted.contains(id)));
    if rows.is_empty() {
        return Err(Error::said(format!("{}: none of its {} ids stands in column '{column}'", path.display(), wanted.len())));
    }
    Ok(rows)
}
