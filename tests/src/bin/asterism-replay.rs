//! A small archive on loopback, to try the whole loop and take pictures of it with no network.
//!
//! ```text
//! asterism-replay [--rate BYTES_PER_SECOND] [--fixtures FOLDER] [--for SECONDS] [--doors]
//! ```
//!
//! It prints the settings that make the program ask it (`settings.json`), then serves:
//! * at the addresses of MAST's portal, the recorded answers of the fixtures;
//! * at `/tap`, a TAP service whose tables are the program's own samples: `SELECT [TOP n] columns FROM
//!   sample [WHERE predicate]` is answered with those rows, TAP_SCHEMA with their columns, anything
//!   else with an ADQL error as services send it. Real rows, a real connection, as slow as is asked;
//! * at `/scs`, `/sia`, `/sia2`, `/ssa` and `/links`, recorded answers of a cone search, of images, spectra and DataLink (the
//!   folder `vo` beside that of MAST's answers), whatever was asked;
//! * at `/registry/tap`, a registry that knows these services; with `--doors` the settings list all of them, else the first.

use std::path::PathBuf;
use std::time::Duration;

use asterism_archive::replay::{Manner, Replay, Reply, Route, Seen};
use asterism_archive::{Kind, SavedService, Services};
use asterism_data::{ColumnMeta, Expr, RowSet, Table};
use asterism_session::{Settings, sample};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().collect();
    let value = |name: &str| words.iter().position(|w| w == name).and_then(|i| words.get(i + 1)).cloned();
    let rate: usize = value("--rate").and_then(|v| v.parse().ok()).unwrap_or(2_000_000);
    let fixtures = value("--fixtures").map_or_else(|| PathBuf::from("tests/fixtures/mast"), PathBuf::from);
    let piece = Duration::from_millis(20);
    let manner = Manner::Slow { chunk: (rate / 50).max(1), delay: piece };
    let mut routes = vec![
        Route::new("POST", "/tap/sync", move |seen, _| Some(answer(seen, manner))),
        Route::new("GET", "/tap/sync", move |seen, _| Some(answer(seen, manner))),
    ];
    let vo = fixtures.with_file_name("vo");
    let described = vo.clone();
    routes.push(Route::new("GET", "/sia2/capabilities", move |seen, _| Some(capabilities(&described, seen))));
    for (path, recorded) in RECORDED {
        let file = vo.join(recorded);
        routes.push(Route::new("GET", path, move |_, _| {
            Some(Reply::file(file.clone()).header("Content-Type", "application/x-votable+xml").manner(manner))
        }));
    }
    routes.push(Route::new("POST", "/registry/tap/sync", move |seen, _| Some(registry(seen))));
    routes.extend(Replay::mast_routes(fixtures, manner));
    let replay = Replay::start(routes)?;
    let mut services = Services::at(&replay.base());
    let listed = if words.iter().any(|w| w == "--doors") { DOORS.len() } else { 1 };
    let saved = DOORS.iter().take(listed).map(|(name, kind, path, about)| SavedService {
        name: (*name).into(),
        kind: *kind,
        url: format!("{}{path}", replay.base()),
        description: (*about).into(),
    });
    services.saved.splice(0..0, saved);
    println!("{}", serde_json::to_string_pretty(&Settings { services, ..Settings::default() })?);
    let seconds = value("--for").and_then(|v| v.parse().ok()).unwrap_or(24 * 3600);
    std::thread::sleep(Duration::from_secs(seconds));
    Ok(())
}

/// Services that answer with what was recorded, by path.
const RECORDED: [(&str, &str); 5] = [
    ("/scs", "scs/scs-result.xml"),
    ("/sia2/v2query", "sia2/sia2-dataset.xml"),
    ("/sia", "sia1/sia1-dataset.xml"),
    ("/ssa", "ssa/ssa-result.xml"),
    ("/links", "datalink/datalink.xml"),
];

/// What the list of services shows first: name, kind, path, description.
const DOORS: [(&str, Kind, &str, &str); 5] = [
    ("Samples by TAP", Kind::Tap, "/tap", "The samples, on this machine"),
    ("Recorded cone search", Kind::Cone, "/scs", "Rows of a cone search, as recorded"),
    ("Recorded images", Kind::Sia, "/sia", "Images by SIA 1, as recorded"),
    ("Recorded images (2)", Kind::Sia2, "/sia2/capabilities", "Images by SIA 2, as recorded"),
    ("Recorded spectra", Kind::Ssa, "/ssa", "Spectra by SSA, as recorded"),
];

/// The recorded capabilities of an SIA 2 service, with this server's own address.
fn capabilities(vo: &std::path::Path, seen: &Seen) -> Reply {
    match std::fs::read_to_string(vo.join("sia2/sia2-capabilities.xml")) {
        Ok(text) => {
            let here = format!("http://{}/sia2/", seen.header("host").unwrap_or_default());
            Reply::bytes(text.replace("https://example.com/sia/", &here).replace("https://example.com/", &here))
        }
        Err(e) => Reply::bytes(e.to_string()).status(404),
    }
}

/// The services above, as a registry tells of them.
fn registry(seen: &Seen) -> Reply {
    let standard = |kind: Kind| match kind {
        Kind::Cone => "ivo://ivoa.net/std/conesearch",
        Kind::Sia => "ivo://ivoa.net/std/sia",
        Kind::Sia2 => "ivo://ivoa.net/std/sia#query-2.0",
        Kind::Ssa => "ivo://ivoa.net/std/ssa",
        _ => "ivo://ivoa.net/std/tap",
    };
    let host = seen.header("host").unwrap_or_default();
    let query = seen.form("QUERY").unwrap_or_default();
    // The patterns behind a phrase, without their '%'.
    let begins = |phrase: &str, standard: &str| {
        query.split(phrase).skip(1).any(|t| t.split('%').next().is_some_and(|pattern| standard.starts_with(pattern)))
    };
    let wanted = |kind: Kind| begins("standard_id LIKE '", standard(kind)) && !begins("standard_id NOT LIKE '", standard(kind));
    let mut rows = String::new();
    for (name, kind, path, about) in DOORS.iter().filter(|d| wanted(d.1)) {
        let short = path.trim_matches('/');
        rows += &format!(
            "<TR><TD>ivo://replay/{short}</TD><TD>{short}</TD><TD>{name}</TD><TD>{about}</TD><TD/><TD>optical</TD><TD>{}</TD><TD>http://{host}{path}</TD></TR>",
            standard(*kind)
        );
    }
    let fields: String =
        ["ivoid", "short_name", "res_title", "res_description", "reference_url", "waveband", "standard_id", "access_url"]
            .map(|f| format!("<FIELD name='{f}' datatype='char' arraysize='*'/>"))
            .concat();
    Reply::bytes(format!(
        "<VOTABLE xmlns='http://www.ivoa.net/xml/VOTable/v1.3'><RESOURCE type='results'><INFO name='QUERY_STATUS' value='OK'/>\
         <TABLE>{fields}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    ))
    .header("Content-Type", "application/x-votable+xml")
}

fn answer(seen: &Seen, manner: Manner) -> Reply {
    let query = seen.form("QUERY").or_else(|| seen.query("QUERY")).unwrap_or_default();
    let most = seen.form("MAXREC").or_else(|| seen.query("MAXREC")).and_then(|t| t.parse().ok());
    let table = match table_of(&query, most) {
        Ok(table) => table,
        Err(why) => return error(&why),
    };
    let written = tempfile::tempdir().map_err(|e| e.to_string()).and_then(|folder| {
        let path = folder.path().join("answer.vot");
        asterism_data::write_table(&table, None, &path).map_err(|e| e.to_string())?;
        std::fs::read(&path).map_err(|e| e.to_string())
    });
    match written {
        Ok(bytes) => Reply::bytes(bytes).header("Content-Type", "application/x-votable+xml").manner(manner),
        Err(why) => error(&why),
    }
}

/// As DALI 1.1 says an error is sent.
fn error(why: &str) -> Reply {
    let why = why.replace('&', "&amp;").replace('<', "&lt;");
    Reply::bytes(format!(
        "<?xml version=\"1.0\"?><VOTABLE version=\"1.4\" xmlns=\"http://www.ivoa.net/xml/VOTable/v1.3\"><RESOURCE type=\"results\">\
         <INFO name=\"QUERY_STATUS\" value=\"ERROR\">{why}</INFO></RESOURCE></VOTABLE>"
    ))
    .status(400)
    .header("Content-Type", "application/x-votable+xml")
}

fn table_of(query: &str, most: Option<usize>) -> Result<Table, String> {
    let flat = query.split_whitespace().collect::<Vec<_>>().join(" ");
    let upper = flat.to_ascii_uppercase();
    let rest = upper.strip_prefix("SELECT ").ok_or("only SELECT is known here")?;
    let from = rest.find(" FROM ").ok_or("FROM is missing")? + "SELECT ".len();
    let mut list = flat["SELECT ".len()..from].trim();
    let after = flat[from + " FROM ".len()..].trim();
    let at = after.to_ascii_uppercase().find(" WHERE ");
    let (name, condition) = at.map_or((after, None), |i| (after[..i].trim(), Some(&after[i + " WHERE ".len()..])));
    let mut top = most;
    if let Some(more) = list.to_ascii_uppercase().strip_prefix("TOP ").map(str::len) {
        let tail = list[list.len() - more..].trim_start();
        let (n, columns) = tail.split_once(' ').ok_or("TOP has no columns behind it")?;
        let n: usize = n.parse().map_err(|_| format!("TOP {n} is no number"))?;
        top = Some(top.map_or(n, |t| t.min(n)));
        list = columns.trim();
    }
    let table = match name.to_ascii_uppercase().as_str() {
        "TAP_SCHEMA.TABLES" => tables()?,
        "TAP_SCHEMA.COLUMNS" => columns()?,
        other => {
            let known = sample::by_name(&other.to_ascii_lowercase());
            let known = known.ok_or_else(|| format!("Unknown table \"{name}\" (there are {})", sample::names()))?;
            sample::table(known).map_err(|e| e.to_string())?
        }
    };
    let table = match condition {
        Some(text) => {
            let rows = Expr::parse(text).and_then(|e| e.rows(&table)).map_err(|e| e.to_string())?;
            table.take(&rows).map_err(|e| e.to_string())?
        }
        None => table,
    };
    let table = match top {
        Some(n) if n < table.rows() => {
            // Every so manieth, so that few rows show the whole.
            let chosen = RowSet::from_rows(table.rows(), (0..n).map(|i| i * table.rows() / n));
            let mut part = table.take(&chosen).map_err(|e| e.to_string())?;
            part.truncated = most == Some(n);
            part
        }
        _ => table,
    };
    if list == "*" {
        return Ok(table);
    }
    let names: Vec<String> = list.split(',').map(|c| c.trim().trim_matches('"').to_owned()).collect();
    table.select(&names).map_err(|e| e.to_string())
}

fn tables() -> Result<Table, String> {
    let mut table = Table::default();
    let list = sample::list();
    let column = |f: fn(&sample::Sample) -> &String| list.iter().map(|s| f(s).clone()).collect::<Vec<_>>();
    let put = |table: &mut Table, name: &str, values| {
        table.with_string_column(name, values, ColumnMeta::default()).map_err(|e| e.to_string())
    };
    put(&mut table, "table_name", column(|s| &s.name))?;
    put(&mut table, "description", column(|s| &s.title))?;
    Ok(table)
}

fn columns() -> Result<Table, String> {
    let mut cells: [Vec<String>; 6] = Default::default();
    for s in sample::list() {
        let table = sample::table(s).map_err(|e| e.to_string())?;
        for meta in table.columns() {
            let text = |v: &Option<String>| v.clone().unwrap_or_default();
            let row = [
                s.name.clone(),
                meta.name.clone(),
                meta.datatype.clone(),
                text(&meta.unit),
                text(&meta.ucd),
                text(&meta.description),
            ];
            cells.iter_mut().zip(row).for_each(|(c, v)| c.push(v));
        }
    }
    let mut table = Table::default();
    let names = ["table_name", "column_name", "datatype", "unit", "ucd", "description"];
    for (name, values) in names.into_iter().zip(cells) {
        table.with_string_column(name, values, ColumnMeta::default()).map_err(|e| e.to_string())?;
    }
    Ok(table)
}
