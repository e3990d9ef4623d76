//! `search`, `convert`, `refine`, `run`, `draw`, `sample`.

use std::path::PathBuf;
use std::time::Instant;

use asterism_session::data::hats::{self, Catalogue, Cone};
use asterism_session::data::{self, Expr, RowSet};
use asterism_session::{Command, Session, Settings, archive, recipe, rule, run as runs, sample as samples};
use clap::Args;
use serde_json::{Value, json};

use super::{Bar, Common, Done, Ended, Outcome, interrupted, read_dataset};
use crate::picture;
use crate::theme::Theme;

/// Words of `asterism search`.
#[derive(Args)]
pub struct Search {
    /// `mast`, `mast:tic`, `mast:Jwst.Filtered.Nircam` (any service of the portal), `sample:NAME`, an address, a saved service's
    /// name; for --kind mission the mission (`hst`, or
    /// `hst:products`), for --kind registry the words to look for.
    service: String,
    /// Where the rows go; the ending says the format.
    #[arg(short, long, value_name = "TABLE")]
    output: PathBuf,
    /// Kind of service, when the address does not tell. obscore makes the query from the filters (dataproduct_type,
    /// obs_collection, facility_name, instrument_name, target_name, em in metres, t in MJD, calib_level) for a TAP service; filters of
    /// sia2 are its parameters (BAND, TIME, COLLECTION, ...); datalink takes ID=..., registry service=tap|cone|sia|sia2|ssa; hats
    /// takes columns=A,B and conditions on columns, also as a predicate: "where=mag < 15 AND bp_rp > 1".
    #[arg(long, value_parser = ["mast", "mission", "tap", "obscore", "cone", "sia", "sia2", "ssa", "datalink", "hats", "registry"])]
    kind: Option<String>,
    /// "M 31", or degrees: "10.68 41.27".
    #[arg(long, allow_hyphen_values = true)]
    position: Option<String>,
    /// 0.2deg, 12arcmin or 30arcsec.
    #[arg(long, default_value = "0.05deg")]
    radius: String,
    /// A query, or @FILE.
    #[arg(long, value_name = "TEXT|@FILE")]
    adql: Option<String>,
    /// NAME=VALUE,VALUE or NAME=MIN..MAX; may be given several times. For samples: a predicate.
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// A table to upload to a TAP service, or the list of a cross-match (`mast:Tic.Crossmatch`).
    #[arg(long, value_name = "NAME=TABLE")]
    upload: Vec<String>,
    /// At most so many rows.
    #[arg(long, value_name = "N")]
    max_rows: Option<usize>,
    /// Run the query as an asynchronous job.
    #[arg(long = "async")]
    asynchronous: bool,
    /// Another address for the service.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The products behind the rows instead of the rows.
    #[arg(long)]
    products: bool,
    /// How the rows of a VOTable are written: binary2 (the default), tabledata, binary or fits.
    #[arg(long, value_name = "HOW")]
    serialization: Option<data::Serialization>,
}

/// Ask an archive.
pub fn search(a: &Search, common: &Common) -> Outcome {
    let start = Instant::now();
    super::writable_table(&a.output)?;
    // Uploads that were made VOTables, until they are sent.
    let mut made: Option<tempfile::TempDir> = None;
    let serialization = serialization_of(a.serialization, &a.output)?;
    let mut settings = Settings::load();
    if let Some(url) = &a.base_url {
        let url = url.trim_end_matches('/').to_owned();
        let s = &mut settings.services;
        s.mast.clone_from(&url);
        s.catalogs.clone_from(&url);
        s.mast_tap = format!("{url}/vo-tap/api/v0.1");
        s.resolver = format!("{url}/Santa-war/query");
        s.registry = format!("{url}/registry/tap");
    }
    // What stands in the place of the service is no address here.
    let named = matches!(a.kind.as_deref(), Some("mission" | "registry"));
    let is_mast = a.kind.as_deref() == Some("mast") || a.service == "mast" || a.service.starts_with("mast:");
    let service = match (&a.base_url, is_mast) {
        (Some(url), false) if !named => url.clone(),
        _ => a.service.clone(),
    };
    let bar = Bar::new();
    let ask = if let Some(name) = service.strip_prefix("sample:") {
        asterism_session::Ask::Sample {
            name: name.into(),
            filter: (!a.filter.is_empty()).then(|| a.filter.join(" AND ")),
            max_rows: a.max_rows,
        }
    } else {
        let client = archive::Client::new(settings.services.clone())?;
        let position = match a.position.as_deref() {
            Some(text) => Some(match archive::parse_position(text) {
                Some(p) => p,
                None => {
                    bar.say("looking the name up", 0, 0);
                    let found = client.resolve(text, &interrupted)?;
                    (found.ra_deg, found.dec_deg)
                }
            }),
            None => None,
        };
        let radius = archive::parse_radius(&a.radius).map_err(|e| Ended::Usage(e.to_string()))?;
        let filters = a
            .filter
            .iter()
            .map(|f| f.parse())
            .collect::<Result<Vec<archive::Filter>, _>>()
            .map_err(|e| Ended::Usage(e.to_string()))?;
        let adql = match a.adql.as_deref() {
            Some(text) => Some(match text.strip_prefix('@') {
                Some(path) => std::fs::read_to_string(path).map_err(|e| Ended::Failed(format!("{path}: {e}")))?,
                None => text.to_owned(),
            }),
            None => None,
        };
        let mut request = recipe::request_of(
            &service,
            a.kind.as_deref(),
            adql.as_deref(),
            position,
            radius,
            filters,
            a.max_rows,
            a.asynchronous,
            &settings.services,
        )
        .map_err(|e| Ended::Usage(e.to_string()))?;
        if let archive::Request::Portal { objects, .. } = &mut request {
            // The list of a cross-match; its name is of no use here.
            for text in &a.upload {
                let path = text.split_once('=').map_or(text.as_str(), |(_, path)| path);
                let list = read_dataset(std::path::Path::new(path))?;
                let at = data::crossmatch::Positions::of(&list.table, None)?;
                objects.extend(at.ra_deg.iter().copied().zip(at.dec_deg.iter().copied()).filter(|(r, d)| (r + d).is_finite()));
            }
        }
        if let archive::Request::Tap { uploads, .. } = &mut request {
            for text in &a.upload {
                let (name, path) =
                    text.split_once('=').ok_or_else(|| Ended::Usage(format!("--upload wants NAME=TABLE, not '{text}'")))?;
                let path = std::path::PathBuf::from(path);
                // Services take VOTables; any other table is made one.
                if data::write::is_votable(&path) {
                    uploads.push((name.into(), path));
                    continue;
                }
                let list = read_dataset(&path)?;
                if made.is_none() {
                    made = Some(tempfile::tempdir()?);
                }
                let Some(folder) = &made else { continue };
                let to = folder.path().join(format!("{}.vot", uploads.len()));
                data::write_table(&list.table, None, &to)?;
                uploads.push((name.into(), to));
            }
        }
        asterism_session::Ask::Archive { request }
    };
    let mut session = Session::new(settings);
    session.apply(Command::Search { name: String::new(), ask })?;
    wait(&mut session, &bar)?;
    let dataset = session.doc().dataset().cloned().ok_or_else(|| Ended::Failed("the service gave no table".into()))?;
    let truncated = dataset.table.truncated;
    if truncated && common.complete {
        return Err(Ended::Failed(format!(
            "{}: the answer was cut off after {} rows, and --complete asks for all: raise --max-rows",
            a.service,
            dataset.table.rows()
        )));
    }
    let mut table = (*dataset.table).clone();
    if a.products {
        table = match &dataset.ask {
            asterism_session::Ask::Archive { request: archive::Request::Mission { mission, .. } } => {
                let column = archive::mission::dataset_column(mission)
                    .filter(|c| table.column_index(c).is_some())
                    .ok_or_else(|| Ended::Failed(format!("the rows do not say which data sets of {mission} they are of")))?;
                let datasets: Vec<String> = table.strings(column)?.into_iter().flatten().collect();
                session.client()?.mission_products(mission, &datasets, &interrupted)?
            }
            _ => {
                let ids = asterism_session::products::obsids(&table, &data::RowSet::full(table.rows()))?;
                session.client()?.products(&ids, &interrupted)?
            }
        };
    }
    data::write_table_as(&table, None, &a.output, serialization)?;
    let entry = dataset.ledger.last();
    Ok(Done {
        json: json!({"service": a.service, "rows": table.rows(), "columns": table.columns().len(), "text": entry.map(|e| e.text.clone()), "output": a.output.display().to_string(),
            "warnings": table.warnings, "seconds": {"search": start.elapsed().as_secs_f64()}}),
        text: format!("{} rows, {} columns to {}", table.rows(), table.columns().len(), a.output.display()),
        truncated,
    })
}

fn wait(session: &mut Session, bar: &Bar) -> Result<(), Ended> {
    session.wait(&mut |s| {
        if let Some(job) = s.jobs().iter().rev().find(|j| j.alive()) {
            let (stage, done, of) = job.progress();
            bar.say(&stage, done, of);
        }
        if interrupted() {
            s.jobs().iter().for_each(|j| j.cancel());
        }
    })?;
    if interrupted() { Err(Ended::Interrupted) } else { Ok(()) }
}

/// Words of `asterism convert`.
#[derive(Args)]
pub struct Convert {
    /// A table, or the folder of a HATS catalogue.
    input: PathBuf,
    /// The new one; the ending says the format.
    output: PathBuf,
    /// Only these columns, in this order.
    #[arg(long, value_delimiter = ',', value_name = "a,b")]
    columns: Vec<String>,
    /// Only rows for which this is true.
    #[arg(long = "where", value_name = "EXPR")]
    expr: Option<String>,
    /// Only rows named in this file: one id a line, or a CSV file whose first column is that of the ids; or row numbers, the first
    /// is 0, in a column named row.
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// Only rows within a circle on the sky: "10.68 41.27 0.5deg" (degrees; a radius of deg, arcmin or arcsec).
    /// Of a HATS catalogue only the files it meets are read.
    #[arg(long, value_name = "RA DEC RADIUS", allow_hyphen_values = true)]
    cone: Option<String>,
    /// How the rows of a VOTable are written: binary2 (the default), tabledata, binary or fits.
    #[arg(long, value_name = "HOW")]
    serialization: Option<data::Serialization>,
}

/// The words of `--serialization`.
fn serialization_of(asked: Option<data::Serialization>, output: &std::path::Path) -> Result<data::Serialization, Ended> {
    if asked.is_some() && !data::write::is_votable(output) {
        return Err(Ended::Usage(format!("--serialization is of VOTables (.vot, .xml), and {} is none", output.display())));
    }
    Ok(asked.unwrap_or_default())
}

/// The words of `--cone`.
fn cone_of(text: &str) -> Result<Cone, Ended> {
    let wrong = || Ended::Usage(format!("--cone wants RA DEC RADIUS, for example \"10.68 41.27 0.5deg\", not '{text}'"));
    let words: Vec<&str> = text.split_whitespace().collect();
    let [ra, dec, radius] = words[..] else { return Err(wrong()) };
    let number = |word: &str| word.parse::<f64>().ok().filter(|v| v.is_finite());
    let (ra_deg, dec_deg) = number(ra).zip(number(dec).filter(|d| d.abs() <= 90.0)).ok_or_else(wrong)?;
    let radius_deg = archive::parse_radius(radius).map_err(|e| Ended::Usage(e.to_string()))?;
    Ok(Cone { ra_deg, dec_deg, radius_deg })
}

/// The part of a HATS catalogue that the words ask for.
fn read_catalogue(a: &Convert, cone: Option<Cone>, expr: Option<&Expr>) -> Result<data::Table, Ended> {
    let catalogue = Catalogue::open_folder(&a.input)?;
    // A predicate may speak of columns that are not written.
    let columns = if expr.is_some() || a.rows.is_some() { Vec::new() } else { a.columns.clone() };
    let bar = std::sync::Mutex::new(Bar::new());
    Ok(catalogue.read(&hats::Part { cone, columns }, &hats::local, &|stage, done, of| {
        if let Ok(bar) = bar.lock() {
            bar.say(stage, done as u64, of as u64);
        }
        !interrupted()
    })?)
}

fn parse(text: &str) -> Result<Expr, Ended> {
    Expr::parse(text).map_err(|e| Ended::Usage(e.to_string()))
}

/// A large file, chunk by chunk.
fn convert_part(a: &Convert, source: &data::scan::Source, filter: Option<Expr>, serialization: data::Serialization) -> Outcome {
    let start = Instant::now();
    let query = data::scan::Query { columns: a.columns.clone(), filter, max_rows: None };
    let bar = std::sync::Mutex::new(Bar::new());
    let progress = |stage: &str, done: usize, of: usize| {
        if let Ok(bar) = bar.lock() {
            bar.say(stage, done as u64, of as u64);
        }
        !interrupted()
    };
    let (mut found, mut columns, mut warnings) = (data::scan::Found::default(), 0, Vec::new());
    data::write::write_stream_as(&a.output, serialization, &mut |write| {
        found = source.scan(&query, &progress, &mut |table| {
            columns = table.columns().len();
            for warning in &table.warnings {
                if !warnings.contains(warning) {
                    warnings.push(warning.clone());
                }
            }
            write(table)
        })?;
        Ok(())
    })?;
    Ok(Done {
        json: json!({"rows": found.rows, "columns": columns, "output": a.output.display().to_string(), "warnings": warnings,
            "of_rows": source.rows, "seconds": {"convert": start.elapsed().as_secs_f64()}}),
        text: format!(
            "{} of {}{} rows, {columns} columns to {}",
            found.rows,
            if source.about { "about " } else { "" },
            source.rows,
            a.output.display()
        ),
        truncated: found.truncated,
    })
}

/// Write a table in another format.
pub fn convert(a: &Convert) -> Outcome {
    let start = Instant::now();
    super::writable_table(&a.output)?;
    let serialization = serialization_of(a.serialization, &a.output)?;
    let expr = a.expr.as_deref().map(parse).transpose()?;
    let cone = a.cone.as_deref().map(cone_of).transpose()?;
    let limit = data::scan::limit();
    if a.rows.is_none()
        && cone.is_none()
        && let Some(source) = data::scan::Source::larger_than(&a.input, limit.min(256 << 20))?
    {
        return convert_part(a, &source, expr, serialization);
    }
    let dataset = if a.input.is_dir() {
        let table = read_catalogue(a, cone, expr.as_ref())?;
        let ask = asterism_session::Ask::file(a.input.clone());
        asterism_session::ledger::probe(&ask, table, None, Vec::new())
    } else {
        read_dataset(&a.input)?
    };
    let read = start.elapsed().as_secs_f64();
    let mut missing = None;
    let mut rows = RowSet::full(dataset.table.rows());
    if let Some(cone) = cone.filter(|_| !a.input.is_dir()) {
        let at = data::crossmatch::Positions::of(&dataset.table, None)?;
        rows = RowSet::from_fn(rows.len(), |r| cone.contains(at.ra_deg[r], at.dec_deg[r]));
    }
    if let Some(expr) = expr {
        rows = rows.and(&expr.rows(&dataset.table)?);
    }
    if let Some(path) = &a.rows {
        let (named, warning) = runs::rows_of_file(&dataset, path)?;
        rows = rows.and(&named);
        missing = warning;
    }
    let table = if a.columns.is_empty() { (*dataset.table).clone() } else { dataset.table.select(&a.columns)? };
    let start = Instant::now();
    if interrupted() {
        return Err(Ended::Interrupted);
    }
    let table = table.take(&rows)?;
    data::write_table_as(&table, None, &a.output, serialization)?;
    let mut warnings = table.warnings.clone();
    warnings.extend(missing);
    warnings.extend(data::write::notes(&table, &a.output, serialization)?);
    Ok(Done {
        json: json!({"rows": rows.count(), "columns": table.columns().len(), "output": a.output.display().to_string(), "warnings": warnings,
            "seconds": {"read": read, "write": start.elapsed().as_secs_f64()}}),
        text: format!("{} rows, {} columns to {}", rows.count(), table.columns().len(), a.output.display()),
        truncated: table.truncated,
    })
}

/// Words of `asterism refine`.
#[derive(Args)]
pub struct Refine {
    /// A table.
    input: PathBuf,
    /// The rows to describe, as a predicate.
    #[arg(long = "where", value_name = "EXPR", conflicts_with = "rows", required_unless_present = "rows")]
    expr: Option<String>,
    /// The rows to describe, named in a file as for `convert --rows`.
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// Columns that the rule may use.
    #[arg(long, value_delimiter = ',', value_name = "a,b")]
    columns: Vec<String>,
    /// 0 simpler and more complete … 1 purer.
    #[arg(long, default_value_t = 0.5)]
    balance: f64,
}

/// Turn rows into a rule.
pub fn refine(a: &Refine) -> Outcome {
    let start = Instant::now();
    let expr = a.expr.as_deref().map(parse).transpose()?;
    let dataset = read_dataset(&a.input)?;
    let read = start.elapsed().as_secs_f64();
    let mut warnings = dataset.table.warnings.clone();
    let rows = match (&expr, &a.rows) {
        (Some(expr), _) => expr.rows(&dataset.table)?,
        (None, Some(path)) => {
            let (rows, missing) = runs::rows_of_file(&dataset, path)?;
            warnings.extend(missing);
            rows
        }
        (None, None) => return Err(Ended::Usage("say which rows: --where or --rows".into())),
    };
    let start = Instant::now();
    let fitted = rule::fit_rule(&dataset, "selection", &rows, &a.columns, a.balance)?;
    let path: Vec<Value> =
        fitted.path.iter().map(|r| json!({"purity": r.purity, "completeness": r.completeness, "matched": r.matched})).collect();
    Ok(Done {
        json: json!({"rule": fitted.sql(), "predicates": fitted.predicates(), "adql": fitted.adql(&dataset.ask), "mast": fitted.mast_filters(),
            "purity": fitted.purity(), "completeness": fitted.completeness(), "matched": fitted.matched(), "target": fitted.target, "path": path,
            "warnings": warnings, "seconds": {"read": read, "fit": start.elapsed().as_secs_f64()}}),
        text: format!(
            "WHERE {}\npurity {:.1} %, completeness {:.1} %, {} rows match, {} were given",
            fitted.sql(),
            fitted.purity() * 100.0,
            fitted.completeness() * 100.0,
            fitted.matched(),
            fitted.target
        ),
        truncated: dataset.table.truncated,
    })
}

/// Words of `asterism run`.
#[derive(Args)]
pub struct Run {
    /// A recipe.
    recipe: PathBuf,
    /// The folder for exports, pictures, session and report.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// Ends the jobs of a session once Ctrl+C was pressed.
fn stopping(session: &Session) {
    if interrupted() {
        session.jobs().iter().for_each(|j| j.cancel());
    }
}

/// Run a recipe.
pub fn run(a: &Run, common: &Common) -> Outcome {
    let start = Instant::now();
    let quiet = common.json;
    let mut tell = |line: &str| {
        if !quiet {
            eprintln!("{line}");
        }
    };
    let mut ran = runs::run_with(&a.recipe, Some(&a.output), Settings::load(), common.seed, &mut tell, &mut stopping)?;
    let mut pictures = Vec::new();
    for draw in ran.draws.clone() {
        let names: Vec<String> = draw.views.iter().map(|v| v.get_ref().clone()).collect();
        // The dataset in front is the one that the first named view belongs to.
        let of = names
            .iter()
            .filter_map(|n| n.split_once('?').map_or(n.as_str(), |(name, _)| name).split_once(':').map(|(_, of)| of))
            .find_map(|of| ran.names.searches.get(of).copied().or_else(|| ran.names.maps.get(of).map(|m| m.0)));
        if let Some(id) = of {
            ran.activate(id)?;
        }
        let size = draw.size.as_deref().map_or(Ok([1600, 1000]), size_of)?;
        let to = a.output.join(&draw.to);
        let doc = ran.session.doc();
        let views = match doc.dataset() {
            Some(dataset) => picture::views_named(dataset, &names)?,
            None => Vec::new(),
        };
        if let Some(missing) = picture::save(doc, &views, &picture::Page::new(size, Theme::dark()), &to)? {
            ran.session.notice(asterism_session::NoticeLevel::Warning, format!("{}: {missing}", draw.to));
        }
        pictures.push(draw.to.clone());
        ran.report.push(json!({"step": "draw", "to": draw.to, "views": names}));
        ran.files.push(to);
    }
    let report = json!({"recipe": a.recipe.display().to_string(), "steps": ran.report, "pictures": pictures, "truncated": ran.truncated,
        "warnings": ran.session.notices().iter().filter(|n| n.level != asterism_session::NoticeLevel::Info).map(|n| n.text.clone()).collect::<Vec<_>>(),
        "seconds": {"all": start.elapsed().as_secs_f64()}, "peak_bytes": super::peak_bytes()});
    let path = a.output.join("report.json");
    let text = serde_json::to_vec_pretty(&report)?;
    asterism_session::export::write_whole(&path, &text)?;
    ran.files.push(path);
    if interrupted() {
        return Err(Ended::Interrupted);
    }
    let list = ran.files.iter().map(|f| format!("  {}", f.display())).collect::<Vec<_>>().join("\n");
    Ok(Done { json: report, text: format!("Wrote\n{list}"), truncated: ran.truncated })
}

fn size_of(text: &str) -> Result<[u32; 2], Ended> {
    let wrong = || Ended::Usage(format!("a size is written 1600x1000, not '{text}'"));
    let (w, h) = text.split_once(['x', '×']).ok_or_else(wrong)?;
    let (w, h) = (w.trim().parse().map_err(|_| wrong())?, h.trim().parse().map_err(|_| wrong())?);
    if !(64..=16_384).contains(&w) || !(64..=16_384).contains(&h) {
        return Err(Ended::Usage(format!("the size {text} is not between 64x64 and 16384x16384")));
    }
    Ok([w, h])
}

/// Words of `asterism draw`.
#[derive(Args)]
pub struct Draw {
    /// A session, a recipe or a table.
    input: PathBuf,
    /// Where the picture goes: `.png`, `.svg` or `.pdf`.
    #[arg(short, long, value_name = "PICTURE")]
    output: PathBuf,
    /// Width and height, pixels (of SVG and PDF 1/96 inch).
    #[arg(long, default_value = "1600x1000")]
    size: String,
    /// Pixels of a PNG for each of them: 3 makes letters of 12 points sharp in print.
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    scale: f32,
    /// On a light ground.
    #[arg(long)]
    light: bool,
    /// A view, see below; may be given several times, what suits by default.
    #[arg(long, value_name = "VIEW")]
    view: Vec<String>,
    /// Rows that are selected in the picture, as a predicate in SQL.
    #[arg(long = "where", value_name = "EXPR")]
    filter: Option<String>,
}

/// Examples and the words of views.
pub fn draw_help() -> String {
    let examples = "Example: asterism draw stars.parquet -o stars.png --size 1600x1000
         asterism draw stars.parquet -o sky.pdf --view 'sky?projection=mollweide&frame=galactic' --light
         asterism draw stars.parquet -o cells.svg --view 'scatter:x,y?colour=z&cells=median&contours=yes'";
    format!("{examples}\n\n{}", picture::words::HELP)
}

/// Draw.
pub fn draw(a: &Draw, common: &Common) -> Outcome {
    let start = Instant::now();
    let picture = a.output.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    if !matches!(picture.as_str(), "png" | "svg" | "pdf") {
        return Err(Ended::Usage(format!("{}: a picture is .png, .svg or .pdf", a.output.display())));
    }
    super::writable(&a.output)?;
    let size = size_of(&a.size)?;
    if !(0.1..=16.0).contains(&a.scale) || size.iter().any(|n| *n as f32 * a.scale > 32_768.0) {
        return Err(Ended::Usage(format!("a scale of {} makes no picture of 32768 pixels or fewer", a.scale)));
    }
    let ending = a.input.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let mut session = Session::new(Settings::load());
    match ending.as_str() {
        "toml" => {
            let mut tell = |line: &str| {
                if !common.json {
                    eprintln!("{line}");
                }
            };
            // What it would export stays as it is: a picture is asked for.
            session = runs::run_with(&a.input, None, Settings::load(), common.seed, &mut tell, &mut stopping)?.session;
        }
        "asterism" => {
            session.apply(Command::OpenSession { path: a.input.clone() })?;
            wait(&mut session, &Bar::new())?;
        }
        _ => {
            let ask = asterism_session::Ask::file(a.input.clone());
            session.apply(Command::Search { name: String::new(), ask })?;
            wait(&mut session, &Bar::new())?;
        }
    }
    if let Some(expr) = &a.filter {
        session.apply(Command::SelectWhere { expr: expr.clone(), mode: Some(asterism_session::SelectMode::Replace) })?;
        // Of a large table that is a job.
        wait(&mut session, &Bar::new())?;
    }
    let dataset = session
        .doc()
        .dataset()
        .cloned()
        .ok_or_else(|| Ended::Failed(format!("{}: there is nothing to draw", a.input.display())))?;
    let views = if a.view.is_empty() {
        picture::default_views(&dataset)
    } else {
        picture::views_named(&dataset, &a.view).map_err(|e| Ended::Usage(e.to_string()))?
    };
    let theme = if a.light { Theme::light() } else { Theme::dark() };
    let page = picture::Page { scale: a.scale, strict: true, ..picture::Page::new(size, theme) };
    let warnings: Vec<String> = picture::save(session.doc(), &views, &page, &a.output)?.into_iter().collect();
    Ok(Done {
        json: json!({"output": a.output.display().to_string(), "rows": dataset.table.rows(), "views": views.len(), "warnings": warnings, "seconds": {"draw": start.elapsed().as_secs_f64()}}),
        text: format!("Drew {}", a.output.display()),
        truncated: dataset.table.truncated,
    })
}

/// Words of `asterism sample`.
#[derive(Args)]
pub struct Sample {
    /// `a478`, `spex`, `ogle3` or `hdf`.
    name: Option<String>,
    /// Folder to write it to.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// List the samples, or write one out.
pub fn sample(a: &Sample) -> Outcome {
    let list: Vec<Value> = samples::list()
        .iter()
        .map(
            |s| json!({"name": s.name, "title": s.title, "description": s.description, "credit": s.credit, "licence": s.licence}),
        )
        .collect();
    let Some(name) = &a.name else {
        let text = samples::list()
            .iter()
            .map(|s| format!("{:6} {}\n       {}\n       {}", s.name, s.title, s.description, s.credit))
            .collect::<Vec<_>>()
            .join("\n");
        return Ok(Done { json: json!({"samples": list, "warnings": []}), text, truncated: false });
    };
    let sample = samples::by_name(name)
        .ok_or_else(|| Ended::Usage(format!("there is no sample '{name}'; there are {}", samples::names())))?;
    let folder = a.output.as_ref().ok_or_else(|| Ended::Usage(format!("say where to: asterism sample {name} -o DIR")))?;
    std::fs::create_dir_all(folder).map_err(|e| Ended::Failed(format!("{}: {e}", folder.display())))?;
    let mut files = Vec::new();
    for file in std::iter::once(&sample.table).chain(sample.images.iter().map(|i| &i.file)) {
        let bytes = samples::bytes(file).ok_or_else(|| Ended::Failed(format!("the program holds no file {file}")))?;
        let to = folder.join(file);
        asterism_session::export::write_whole(&to, bytes)?;
        files.push(to.display().to_string());
    }
    Ok(Done {
        json: json!({"name": name, "files": files, "credit": sample.credit, "licence": sample.licence, "warnings": []}),
        text: format!("Wrote {}\n{}", files.join(", "), sample.credit),
        truncated: false,
    })
}
