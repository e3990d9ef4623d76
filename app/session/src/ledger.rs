//! Asking, and asking again: one function for samples, files and services; and the meeting of a
//! later answer with the rows that are here.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use asterism_archive::{Client, Event, FilterValues, Plan, Request};
use asterism_data::read::Which;
use asterism_data::scan::{self, Source};
use asterism_data::{Expr, Part, RowSet, SpectraColumn, Table};

use crate::command::Ask;
use crate::document::{Dataset, ImageLayer, Layer};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::jobs::Handle;
use crate::photometry;
use crate::rule::{FittedRule, narrowed as narrowed_adql};
use crate::sample;

/// How an answer ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Cut off by a limit.
    pub truncated: bool,
    /// The text sent.
    pub text: String,
    /// Seconds it took.
    pub seconds: f64,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// Images that came with the rows.
    pub images: Vec<Arc<ImageLayer>>,
    /// Whom to thank.
    pub credit: String,
    /// The tables of the file, where it holds more than what is shown.
    pub tables: Vec<FileTable>,
}

/// A table of a file that holds several.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileTable {
    /// As a path names it: `stars.fits[CATALOG]`.
    pub path: PathBuf,
    /// What stands in the brackets.
    pub name: String,
    /// Rows.
    pub rows: usize,
}

/// What an answer brings on its way.
#[derive(Debug)]
pub enum Asked {
    /// Rows, to append in order.
    Rows(Table),
    /// Rows of a page on its way, to be shown behind the others until the page is here.
    Early(Table),
    /// The search goes in parts: at first, and again after each part that came.
    Plan(Plan),
}

/// Ask; `on` gets rows as they come. With `waits` a plan of several parts is handed on and nothing of it asked for.
///
/// # Errors
/// Of the file or service, in words.
pub fn ask(question: &Ask, client: Option<&Client>, handle: &Handle, waits: bool, on: &mut dyn FnMut(Asked)) -> Result<Outcome> {
    let start = Instant::now();
    let mut outcome = match question {
        Ask::Sample { name, filter, max_rows } => {
            handle.say("reading the sample", 0, 0);
            let sample = sample::by_name(name)
                .ok_or_else(|| Error::said(format!("there is no sample '{name}'; there are {}", sample::names())))?;
            let table = sample::table(sample)?;
            let (table, truncated) = limited(table, filter.as_deref(), *max_rows, true)?;
            on(Asked::Rows(table));
            Outcome {
                truncated,
                images: sample::images(sample)?,
                credit: sample.credit.clone(),
                text: filter.clone().unwrap_or_default(),
                ..Outcome::default()
            }
        }
        Ask::File { path, columns, photometry, filter, max_rows } => {
            handle.say("reading", 0, 0);
            if let Some(source) = Source::larger_than(path, scan::limit().min(SCANNED))? {
                return read_part(&source, columns, filter.as_deref(), *max_rows, handle, &mut |table| on(Asked::Rows(table)))
                    .map(|mut outcome| {
                        outcome.seconds = start.elapsed().as_secs_f64();
                        outcome
                    });
            }
            let Read { table, images, warnings, tables } = read_file(path)?;
            let table = if photometry.is_default() {
                table
            } else {
                photometry::Source::read(&Which::split(path).0)?.renew(&table, path, photometry)?
            };
            let table = with_filter(table, filter.as_deref())?;
            let table = if columns.is_empty() { table } else { table.select(columns)? };
            let (table, truncated) = limited(table, None, *max_rows, false)?;
            let truncated = truncated || table.truncated;
            let mut warnings = warnings;
            warnings.extend(table.warnings.iter().map(|w| format!("{}: {w}", path.display())));
            on(Asked::Rows(table));
            Outcome { truncated, images, warnings, tables, text: path.display().to_string(), ..Outcome::default() }
        }
        Ask::Archive { request } => {
            let client = client.ok_or_else(|| Error::said("the network is not set up"))?;
            handle.say("asking", 0, 0);
            let mut rows = 0;
            // Ended between two parts, not in the middle of one.
            let ended = std::cell::Cell::new(false);
            let mut last: Option<Plan> = None;
            let answer = client.search(request, &|| ended.get() || handle.cancelled(), &mut |event| match event {
                Event::Rows(table) => {
                    rows += table.rows();
                    let of = last.as_ref().and_then(|p| p.total).unwrap_or(0);
                    handle.say("rows", rows as u64, of);
                    on(Asked::Rows(table));
                }
                Event::Early(table) => on(Asked::Early(table)),
                Event::Progress { stage, done, of } => handle.say(&stage, done, of.unwrap_or(0)),
                Event::Note(text) => handle.say(&text, 0, 0),
                Event::Job(url) => {
                    handle.say(&format!("Job on the server: {url}"), 0, 0);
                    // One that is taken up again by its address is remembered already.
                    if let Request::Tap { base, adql, .. } = request
                        && !adql.contains(&url)
                    {
                        let (base, adql) = (base.clone(), adql.clone());
                        handle.fact(move |s| s.keep_job(&base, url, adql));
                    }
                }
                Event::Plan(plan) => {
                    handle.say(&plan.to_string(), plan.done() as u64, plan.parts.len() as u64);
                    let first = last.is_none();
                    ended.set((waits && first && plan.parts.len() > 1) || (!first && handle.ends_soon()));
                    last = Some(plan.clone());
                    on(Asked::Plan(plan));
                }
            });
            let answer = match (answer, last) {
                (Err(asterism_archive::Error::Cancelled), Some(plan)) if ended.get() && !handle.cancelled() => {
                    asterism_archive::Answer { truncated: plan.is_left(), text: plan.to_string(), ..Default::default() }
                }
                (answer, _) => answer?,
            };
            Outcome { truncated: answer.truncated, text: answer.text, warnings: answer.warnings, ..Outcome::default() }
        }
    };
    outcome.seconds = start.elapsed().as_secs_f64();
    Ok(outcome)
}

/// Files of tables with more bytes than this are read by chunks, though they would fit: the rows appear as they come.
const SCANNED: u64 = 256 << 20;
/// Rows of a large file that are handed on at once: each time all rows so far go to the views.
const AT_ONCE: usize = 1_000_000;

/// A part of a large file, in the memory that the limit allows.
fn read_part(
    source: &Source,
    columns: &[String],
    filter: Option<&str>,
    max_rows: Option<usize>,
    handle: &Handle,
    on: &mut dyn FnMut(Table),
) -> Result<Outcome> {
    let limit = scan::limit();
    let query = scan::Query { columns: columns.to_vec(), filter: filter.map(Expr::parse).transpose()?, max_rows };
    let (mut bytes, mut waiting, mut first) = (0u64, Vec::new(), true);
    let (mut rows, mut warnings) = (0usize, Vec::new());
    let progress = |stage: &str, done: usize, of: usize| {
        handle.say(stage, done as u64, of as u64);
        !handle.cancelled()
    };
    let found = source.scan(&query, &progress, &mut |table| {
        bytes += table.frame_bytes();
        if bytes > limit {
            return Err(scan::too_large(source, limit));
        }
        // What is wrong with a document is known at its end.
        for warning in table.warnings.iter().map(|w| format!("{}: {w}", source.path.display())) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        rows += table.rows();
        waiting.push(table);
        // The first rows at once, later ones by the million.
        if std::mem::take(&mut first) || rows >= AT_ONCE {
            rows = 0;
            on(Table::stacked(std::mem::take(&mut waiting))?);
        }
        Ok(())
    })?;
    if !waiting.is_empty() {
        on(Table::stacked(waiting)?);
    }
    let path = source.path.display();
    let text = filter.map_or_else(|| path.to_string(), |f| format!("{path} where {f}"));
    Ok(Outcome { truncated: found.truncated, warnings, text, ..Outcome::default() })
}

fn with_filter(table: Table, filter: Option<&str>) -> Result<Table> {
    Ok(match filter {
        Some(text) => table.take(&Expr::parse(text)?.rows(&table)?)?,
        None => table,
    })
}

/// Rows for which `filter` is true, and of those at most `max_rows`: a fair sample (every n-th)
/// or the first ones.
fn limited(table: Table, filter: Option<&str>, max_rows: Option<usize>, fair: bool) -> Result<(Table, bool)> {
    let table = with_filter(table, filter)?;
    let rows = table.rows();
    match max_rows {
        Some(limit) if limit < rows => {
            let chosen = RowSet::from_rows(rows, (0..limit).map(|i| if fair { i * rows / limit.max(1) } else { i }));
            Ok((table.take(&chosen)?, true))
        }
        _ => Ok((table, false)),
    }
}

/// Bytes below which a file may be an answer of MAST.
const ANSWER: u64 = 2 << 30;

/// The parts of a file as [`asterism_data::read_with_warnings`] has them; an answer of MAST in JSON that someone saved is a table too.
///
/// # Errors
/// As [`asterism_data::read`].
pub fn read_parts(path: &Path) -> Result<(Vec<Part>, Vec<String>)> {
    asterism_data::read_with_warnings(path).or_else(|e| {
        let begins = |path: &Path| -> std::io::Result<bool> {
            let mut head = Vec::new();
            let file = std::fs::File::open(path)?;
            let small = file.metadata()?.len() < ANSWER;
            std::io::Read::read_to_end(&mut std::io::Read::take(file, 64), &mut head)?;
            Ok(small && head.trim_ascii_start().starts_with(b"{"))
        };
        let answer = begins(path).unwrap_or(false).then(|| std::fs::read(path).ok()).flatten();
        let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let table = answer.and_then(|bytes| asterism_archive::mast::parse_answer(&name, &bytes).ok());
        match table.filter(|t| t.rows() > 0 && !t.columns().is_empty()) {
            Some(table) => Ok((vec![Part::Table(table)], Vec::new())),
            None => Err(e.into()),
        }
    })
}

/// What [`read_file`] finds.
#[derive(Debug)]
pub struct Read {
    /// The table that is shown.
    pub table: Table,
    /// Images of the file.
    pub images: Vec<Arc<ImageLayer>>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// The tables of the file, where it holds more than the one that is shown.
    pub tables: Vec<FileTable>,
}

/// The table of a file with its images and warnings; a file of spectra, images or light curves
/// alone becomes a table with a row for each. Of several tables the largest, unless the path names one
/// ([`Which`](asterism_data::read::Which)).
///
/// # Errors
/// When it cannot be read, or holds nothing that can be shown.
pub fn read_file(path: &Path) -> Result<Read> {
    let (file, which) = Which::split(path);
    let (mut parts, _) = read_parts(&file)?;
    let all: Vec<Table> = parts.iter().filter_map(|p| if let Part::Table(t) = p { Some(t.clone()) } else { None }).collect();
    let names = asterism_data::read::names_in_path(&all);
    let tables: Vec<FileTable> = all
        .iter()
        .zip(names)
        .map(|(t, name)| FileTable { path: format!("{}[{name}]", file.display()).into(), name, rows: t.rows() })
        .collect();
    if let Some(which) = &which {
        parts = asterism_data::read::chosen(&file, which, parts)?;
    }
    let (mut list, mut images, mut spectra, mut curves) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Table(t) => list.push(t),
            Part::Image(i) => images.push(Arc::new(ImageLayer {
                title: i.name.clone(),
                pixels: Layer::Fits(Arc::new(i)),
                source: file.display().to_string(),
            })),
            Part::Spectrum(s) => spectra.push(s),
            Part::LightCurve(l) => curves.push(l),
        }
    }
    let read = |table, images, warnings, tables| Ok(Read { table, images, warnings, tables });
    if !spectra.is_empty() {
        return read(sample::table_of_spectra(&file, &spectra)?, images, Vec::new(), tables);
    }
    if !curves.is_empty() {
        return read(sample::table_of_light_curves(&file, &curves)?, images, Vec::new(), tables);
    }
    let mut warnings = Vec::new();
    // The first of equally large ones.
    list.sort_by_key(|t| std::cmp::Reverse(t.rows()));
    if list.len() > 1 {
        let others: Vec<String> = tables.iter().take(8).map(|t| format!("[{}] {}", t.name, crate::words::rows(t.rows))).collect();
        let more = if tables.len() > 8 { ", …" } else { "" };
        warnings.push(format!(
            "{} holds {} tables and the largest is shown; write the name of another behind the path: {}{more}",
            file.display(),
            tables.len(),
            others.join(", ")
        ));
    }
    let tables = if tables.len() > 1 || which.is_some() { tables } else { Vec::new() };
    match list.into_iter().next() {
        Some(table) => read(table, images, warnings, tables),
        None if !images.is_empty() => read(sample::table_of_images(&file, &images)?, images, warnings, tables),
        None => Err(Error::said(format!("{}: there is nothing in it that can be shown", file.display()))),
    }
}

/// A dataset for the functions that look at one, before it is part of a document.
pub fn probe(question: &Ask, table: Table, spectra: Option<Arc<SpectraColumn>>, images: Vec<Arc<ImageLayer>>) -> Dataset {
    Dataset {
        id: 0,
        name: name_of(question),
        ask: question.clone(),
        table: Arc::new(table),
        spectra,
        images,
        ledger: Vec::new(),
        latest: Arc::default(),
        features: Features::default(),
        maps: Vec::new(),
        current_map: None,
        subsets: Vec::new(),
        rule: None,
        loading: false,
        credit: String::new(),
        added: Vec::new(),
        tables: Vec::new(),
    }
}

/// A short name for what a question gives.
pub fn name_of(question: &Ask) -> String {
    match question {
        Ask::Sample { name, .. } => sample::by_name(name).map_or_else(|| name.clone(), |s| s.title.clone()),
        Ask::File { path, .. } => {
            let (file, which) = Which::split(path);
            let stem = file.file_stem().map_or_else(|| "file".into(), |s| s.to_string_lossy().into_owned());
            match which {
                Some(Which::Name(name, 1)) => format!("{stem} {name}"),
                Some(Which::Name(name, n)) => format!("{stem} {name} {n}"),
                Some(Which::Number(n)) => format!("{stem} {n}"),
                None => stem,
            }
        }
        Ask::Archive { request } => match request {
            Request::Parts { plan } => name_of(&Ask::Archive { request: (*plan.base).clone() }),
            Request::MastCone { .. } | Request::MastFiltered { .. } => "MAST".into(),
            Request::MastCatalog { catalog, .. } => catalog.to_uppercase(),
            Request::Portal { service, .. } => {
                asterism_archive::portal::find(service).map_or_else(|| service.clone(), |s| s.title.into())
            }
            Request::MastProducts { obsids } => format!("Products of {} observations", obsids.len()),
            Request::Mission { mission, .. } => mission.to_uppercase(),
            Request::MissionProducts { mission, datasets } => {
                format!("Products of {} data sets of {}", datasets.len(), mission.to_uppercase())
            }
            Request::Hats { base, .. } => base.trim_end_matches('/').rsplit('/').next().unwrap_or(base).to_owned(),
            Request::Sia2 { base, .. } | Request::DataLink { url: base, .. } => host(base),
            Request::Registry { words, .. } => format!("Services: {words}"),
            Request::Tap { base, .. } | Request::Cone { base, .. } | Request::Sia { base, .. } | Request::Ssa { base, .. } => {
                host(base)
            }
        },
    }
}

fn host(url: &str) -> String {
    url.split("://").nth(1).unwrap_or(url).split('/').next().unwrap_or(url).to_owned()
}

/// The service's name.
pub fn service_of(question: &Ask) -> String {
    match question {
        Ask::Sample { name, .. } => format!("sample:{name}"),
        Ask::File { path, .. } => format!("file:{}", path.display()),
        Ask::Archive { request } => match request {
            Request::Parts { plan } => service_of(&Ask::Archive { request: (*plan.base).clone() }),
            Request::MastCone { .. }
            | Request::MastFiltered { .. }
            | Request::MastCatalog { .. }
            | Request::Portal { .. }
            | Request::Mission { .. }
            | Request::MissionProducts { .. }
            | Request::MastProducts { .. } => "mast".into(),
            Request::Sia2 { base, .. } | Request::DataLink { url: base, .. } | Request::Hats { base, .. } => base.clone(),
            Request::Registry { .. } => "registry".into(),
            Request::Tap { base, .. } | Request::Cone { base, .. } | Request::Sia { base, .. } | Request::Ssa { base, .. } => {
                base.clone()
            }
        },
    }
}

/// One line for the ledger.
pub fn title_of(question: &Ask) -> String {
    match question {
        Ask::Sample { filter: Some(filter), .. } => format!("{} where {filter}", name_of(question)),
        Ask::File { filter: Some(filter), .. } => format!("{} where {filter}", name_of(question)),
        Ask::Archive { request: Request::MastCone { ra_deg, dec_deg, radius_deg, .. } } => {
            format!("MAST within {radius_deg}° of {ra_deg:.5} {dec_deg:+.5}")
        }
        Ask::Archive { request: Request::MastCatalog { catalog, ra_deg, dec_deg, radius_deg, .. } } => {
            format!("{} within {radius_deg}° of {ra_deg:.5} {dec_deg:+.5}", catalog.to_uppercase())
        }
        Ask::Archive { request: Request::Parts { plan } } => title_of(&Ask::Archive { request: (*plan.base).clone() }),
        Ask::Archive { request: Request::Tap { adql, .. } } => adql.split_whitespace().collect::<Vec<_>>().join(" "),
        _ => name_of(question),
    }
}

/// The question without its limit.
pub fn without_limit(question: &Ask) -> Ask {
    let mut question = question.clone();
    match &mut question {
        Ask::Sample { max_rows, .. } | Ask::File { max_rows, .. } => *max_rows = None,
        Ask::Archive { request } => match request {
            Request::MastCone { max_rows, .. }
            | Request::MastFiltered { max_rows, .. }
            | Request::MastCatalog { max_rows, .. }
            | Request::Portal { max_rows, .. }
            | Request::Cone { max_rows, .. }
            | Request::Sia { max_rows, .. }
            | Request::Sia2 { max_rows, .. }
            | Request::Mission { max_rows, .. }
            | Request::Registry { max_rows, .. }
            | Request::Hats { max_rows, .. }
            | Request::Ssa { max_rows, .. } => *max_rows = None,
            Request::Parts { plan } => plan.max_rows = None,
            Request::MastProducts { .. } | Request::MissionProducts { .. } | Request::DataLink { .. } => {}
            Request::Tap { max_rows, adql, .. } => {
                *max_rows = None;
                // Without a condition `narrowed` takes out TOP and adds one that is always true.
                *adql = narrowed_adql(adql, "1 = 1").replace("\nWHERE 1 = 1", "").replace("\n  AND (1 = 1)", "");
            }
        },
    }
    question
}

/// The question with a rule added.
///
/// # Errors
/// When the service cannot be asked that way.
pub fn narrowed(question: &Ask, rule: &FittedRule) -> Result<Ask> {
    let both =
        |filter: &Option<String>| Some(filter.as_ref().map_or_else(|| rule.sql(), |f| format!("({f}) AND ({})", rule.sql())));
    let boxes = || {
        rule.filters().ok_or_else(|| Error::said("MAST takes ranges joined by AND only, and this rule has an OR: move the slider towards simpler, or use a TAP service"))
    };
    Ok(match question {
        Ask::Sample { name, filter, max_rows } => Ask::Sample { name: name.clone(), filter: both(filter), max_rows: *max_rows },
        Ask::File { path, columns, photometry, filter, max_rows } => Ask::File {
            path: path.clone(),
            columns: columns.clone(),
            photometry: photometry.clone(),
            filter: both(filter),
            max_rows: *max_rows,
        },
        Ask::Archive { request } => {
            let request = match request.clone() {
                Request::Tap { base, adql, asynchronous, max_rows, uploads } => {
                    Request::Tap { base, adql: narrowed_adql(&adql, &rule.adql_where()), asynchronous, max_rows, uploads }
                }
                Request::MastCone { ra_deg, dec_deg, radius_deg, max_rows } => {
                    Request::MastFiltered { filters: boxes()?, position: Some((ra_deg, dec_deg, radius_deg)), max_rows }
                }
                Request::MastFiltered { mut filters, position, max_rows } => {
                    for new in boxes()? {
                        filters.retain(|f| !(f.name == new.name && matches!(f.values, FilterValues::Range { .. })));
                        filters.push(new);
                    }
                    Request::MastFiltered { filters, position, max_rows }
                }
                Request::MastCatalog { catalog, ra_deg, dec_deg, radius_deg, mut filters, max_rows } => {
                    filters.extend(boxes()?);
                    Request::MastCatalog { catalog, ra_deg, dec_deg, radius_deg, filters, max_rows }
                }
                Request::Portal { service, position, mut filters, objects, radius_deg, max_rows } if objects.is_empty() => {
                    filters.extend(boxes()?);
                    Request::Portal { service, position, filters, objects, radius_deg, max_rows }
                }
                Request::Mission { mission, position, mut filters, columns, max_rows } => {
                    filters.extend(boxes()?);
                    Request::Mission { mission, position, filters, columns, max_rows }
                }
                Request::Hats { base, position, columns, filter, max_rows } => {
                    Request::Hats { base, position, columns, filter: both(&filter), max_rows }
                }
                Request::Parts { plan } => return narrowed(&Ask::Archive { request: *plan.base }, rule),
                Request::MastProducts { .. } | Request::MissionProducts { .. } => {
                    return Err(Error::said(
                        "products are listed by observation and take no conditions: search the observations again instead",
                    ));
                }
                Request::Cone { .. }
                | Request::Portal { .. }
                | Request::Sia { .. }
                | Request::Sia2 { .. }
                | Request::DataLink { .. }
                | Request::Registry { .. }
                | Request::Ssa { .. } => {
                    return Err(Error::said(
                        "this kind of service takes no conditions on columns: ask the archive's TAP service instead, or copy the ADQL",
                    ));
                }
            };
            Ask::Archive { request }
        }
    })
}

/// How a later answer meets the rows that are here.
pub struct Meeting {
    /// The rows that are here with the new ones below.
    pub table: Table,
    /// Rows of the table that the answer gave again.
    pub here: Vec<usize>,
}

/// Match rows of `answer` with those of the dataset: by the column that identifies a row when its
/// values are unique, else by all the cells that both have.
///
/// # Errors
/// When the new rows do not fit the table.
pub fn meet(dataset: &Dataset, answer: &Table) -> Result<Meeting> {
    let own = keys(dataset, &dataset.table);
    let there = keys(dataset, answer);
    let index: HashMap<&str, usize> = own.iter().enumerate().map(|(row, key)| (key.as_str(), row)).collect();
    let mut seen: HashSet<&str> = HashSet::new();
    let (mut new_rows, mut here) = (RowSet::empty(answer.rows()), Vec::new());
    for (row, key) in there.iter().enumerate() {
        match index.get(key.as_str()) {
            Some(old) => here.push(*old),
            None if seen.insert(key) => new_rows.insert(row),
            None => {}
        }
    }
    let mut table = (*dataset.table).clone();
    table.append(&answer.take(&new_rows)?)?;
    Ok(Meeting { table, here })
}

fn keys(dataset: &Dataset, table: &Table) -> Vec<String> {
    if let Some(name) = dataset.id_column()
        && let (Ok(own), Ok(ids)) = (dataset.table.strings(&name), table.strings(&name))
        && own.iter().collect::<HashSet<_>>().len() == own.len()
    {
        return ids.into_iter().map(Option::unwrap_or_default).collect();
    }
    let columns: Vec<usize> = table
        .columns()
        .iter()
        .enumerate()
        .filter(|(_, c)| dataset.table.column_index(&c.name).is_some())
        .map(|(i, _)| i)
        .collect();
    (0..table.rows())
        .map(|row| {
            columns
                .iter()
                .map(|c| table.cell(row, *c))
                .filter(|c| !matches!(c, asterism_data::Cell::Array(_)))
                .map(|c| c.to_string())
                .collect::<Vec<_>>()
                .join("\u{1f}")
        })
        .collect()
}
