//! Searches from the window's rail, against recorded answers on loopback: whole, slow, cancelled, refused, broken, silent.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use asterism_archive::Services;
use asterism_archive::replay::{Manner, Replay, Reply, Route};
use asterism_session::Settings;
use egui::{Key, Modifiers};
use egui_kittest::kittest::NodeT;
use serde_json::{Value, json};

use crate::drive::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// A recorded answer that lies beside the checkout; without it the test says aloud what it leaves out.
fn beside(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures").join(name);
    if !path.exists() {
        eprintln!("skipped: {name} is not beside the project");
        return None;
    }
    Some(path)
}

/// Settings that ask this server alone, and do not wait long.
fn settings(base: &str) -> Settings {
    let services =
        Services { timeout_s: 5.0, retries: 0, pause_s: 0.01, poll_s: 0.02, page_size: 5, saved: vec![], ..Services::at(base) };
    Settings { services, ..Settings::default() }
}

/// A window with a small table of its own in front, so that there is something to lose.
fn with_rows(settings: Settings, folder: &Path) -> Window {
    let path = folder.join("own.csv");
    let rows: String = (0..40).map(|i| format!("{i},{}\n", f64::from(i) * 0.5)).collect();
    std::fs::write(&path, format!("id,x\n{rows}")).expect("a table");
    let mut w = window_with(settings, &[path.to_str().expect("a path")]);
    until(&mut w, "the first table", |w| rows_of(w, 0) == 40 && !w.state().session.busy());
    w
}

fn rows_of(w: &Window, index: usize) -> usize {
    w.state().session.doc().datasets.get(index).map_or(0, |d| d.table.rows())
}

/// Fill the form for MAST and press the button.
fn ask_mast(w: &mut Window, position: &str, radius: &str) {
    choose(w, "Service", "Observations");
    fill(w, "Position", position);
    fill(w, "Radius", radius);
    press(w, "Search");
}

fn recorded_cone() -> Value {
    let bytes = std::fs::read(fixtures().join("mast/caom.json")).expect("a recorded answer");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// Pages of the recorded cone; those from the third on wait for the gate.
fn gated(gate: &Arc<AtomicBool>) -> Vec<Route> {
    let pages = Replay::mast_routes(fixtures().join("mast"), Manner::Whole);
    let gate = gate.clone();
    let wait = Route::new("POST", "/api/v0/invoke", move |seen, _| {
        if seen.mast()["page"].as_u64().unwrap_or(1) >= 3 {
            for _ in 0..2000 {
                if gate.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        // The recorded pages answer.
        None
    });
    std::iter::once(wait).chain(pages).collect()
}

#[test]
fn a_search_at_mast_goes_from_the_settings_to_an_export() {
    let folder = tempfile::tempdir().expect("a folder");
    let replay = Replay::mast(fixtures().join("mast")).expect("a server");
    let mut w = with_rows(settings("http://127.0.0.1:9"), folder.path());

    // The address is a setting, typed like any other.
    key(&mut w, Modifiers::COMMAND, Key::Comma);
    fill(&mut w, "Portal", &replay.base());
    fill(&mut w, "Resolver", &format!("{}/Santa-war/query", replay.base()));
    press(&mut w, "Close settings");
    let kept = std::fs::read_to_string(home().join("settings.json")).expect("the settings are kept");
    assert!(kept.contains("\"mast\""), "{kept}");

    ask_mast(&mut w, "23.3 60.6", "0.1 deg");
    until(&mut w, "19 rows", |w| rows(w) == 19 && !front(w).loading);
    until_idle(&mut w);
    assert!(shows(&w, "Table of 19 rows"), "the table pane has them");
    assert!(shows(&w, "Histogram of") || shows(&w, "Sky"), "and another pane");
    let asked = replay.seen_at("/api/v0/invoke");
    assert_eq!(asked[0].mast()["params"], json!({"ra": 23.3, "dec": 60.6, "radius": 0.1}));

    // A name is looked up first.
    ask_mast(&mut w, "M101", "6 arcmin");
    until(&mut w, "a search where M101 is", |w| w.state().session.doc().datasets.len() == 3 && !w.state().session.busy());
    let last = replay.seen_at("/api/v0/invoke").last().expect("a request").mast();
    let (ra, radius) = (last["params"]["ra"].as_f64().expect("ra"), last["params"]["radius"].as_f64().expect("radius"));
    assert!((ra - 210.802).abs() < 1e-3 && (radius - 0.1).abs() < 1e-9, "{last}");
    assert_eq!(rows(&w), 19);

    // What was found leaves by the last step.
    key(&mut w, Modifiers::COMMAND, Key::A);
    assert_eq!(selected(&w).count(), 19);
    let to = folder.path().join("observations.vot");
    export(&mut w, "VOTable", &to);
    let back = asterism_data::read_table(&to).expect("the export");
    assert_eq!(back.rows(), 19);
    let unit = |name: &str| back.columns()[back.column_index(name).expect("a column")].unit.clone();
    assert_eq!((unit("em_min").as_deref(), unit("s_ra").as_deref()), (Some("nm"), Some("deg")));
    assert_eq!(back.strings("obs_id").expect("ids"), front(&w).table.strings("obs_id").expect("ids"));
}

#[test]
fn rows_appear_while_later_pages_arrive() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Arc::new(AtomicBool::new(false));
    let replay = Replay::start(gated(&gate)).expect("a server");
    let mut w = with_rows(settings(&replay.base()), folder.path());
    ask_mast(&mut w, "23.3 60.6", "0.1 deg");
    until(&mut w, "the first two pages", |w| rows(w) == 10);
    w.step();
    assert!(front(&w).loading && w.state().session.busy(), "it still asks");
    assert!(shows(&w, "Table of 10 rows"), "ten rows stand in the table");
    assert!(rows(&w) == 10, "the third page is held back");
    gate.store(true, Ordering::Relaxed);
    until(&mut w, "the rest", |w| rows(w) == 19 && !front(w).loading);
    until_idle(&mut w);
    assert!(shows(&w, "Table of 19 rows"));
    assert_eq!(front(&w).ledger.last().map(|l| (l.rows, l.error.clone())), Some((19, None)));
}

#[test]
fn a_cancelled_search_stops_at_once_and_keeps_what_came() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Arc::new(AtomicBool::new(false));
    let replay = Replay::start(gated(&gate)).expect("a server");
    let mut w = with_rows(settings(&replay.base()), folder.path());
    ask_mast(&mut w, "23.3 60.6", "0.1 deg");
    until(&mut w, "the first two pages", |w| rows(w) == 10);
    let job = w.state().session.jobs().iter().rev().find(|j| j.alive()).expect("the search").name.clone();
    press(&mut w, &format!("Cancel {job}"));
    let start = std::time::Instant::now();
    until(&mut w, "the end of the search", |w| !w.state().session.busy());
    assert!(start.elapsed() < Duration::from_secs(3), "the server still says nothing: {:?}", start.elapsed());
    gate.store(true, Ordering::Relaxed);
    for _ in 0..10 {
        w.step();
    }
    assert_eq!(rows(&w), 10, "no page comes after the end");
    assert!(!front(&w).loading);
    assert_eq!(rows_of(&w, 0), 40, "the table before is as it was");
}

/// The message of a search that fails stands in the window, and the rows from before are a step of undo away.
fn refused(manner: &str, reply: Reply, parts: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let replay = Replay::start(vec![Route::post("/api/v0/invoke", reply)]).expect("a server");
    let mut settings = settings(&replay.base());
    settings.services.timeout_s = 1.0;
    let mut w = with_rows(settings, folder.path());
    key(&mut w, Modifiers::COMMAND, Key::A);
    let before = selected(&w);
    ask_mast(&mut w, "23.3 60.6", "0.1 deg");
    until(&mut w, manner, |w| !w.state().session.busy() && w.state().session.doc().datasets.len() == 2);
    w.step();
    w.step();
    for part in parts {
        assert!(shows(&w, part), "{manner}: '{part}' is not in the window; said {:?}", said(&w));
    }
    assert_eq!(rows_of(&w, 0), 40, "{manner}");
    assert!(front(&w).ledger.last().is_some_and(|l| l.error.is_some()), "{manner}: the ledger says that it failed");
    // What was typed is still there to be changed.
    let position = field(&w, "Position").and_then(|f| f.value()).unwrap_or_default();
    assert_eq!(asterism_archive::parse_position(&position), Some((23.3, 60.6)), "{manner}: {position}");
    press(&mut w, "Undo");
    until(&mut w, "the table before", |w| rows(w) == 40);
    assert_eq!(selected(&w), before, "{manner}: with its selection");
}

#[test]
fn a_server_that_fails_says_so_where_the_person_looks() {
    let page = "<html><head><title>Maintenance</title></head><body><h1>MAST is down today</h1></body></html>";
    refused("status 500", Reply::bytes(page).status(500).header("Content-Type", "text/html"), &["500", "MAST is down today"]);
    refused(
        "a page in the place of rows",
        Reply::bytes(page).header("Content-Type", "text/html"),
        &["did not send what was asked for"],
    );
    refused("silence", Reply::bytes("").manner(Manner::Silent), &["sent nothing for 1 s"]);
    let whole = recorded_cone().to_string();
    refused("a cut", Reply::bytes(whole).manner(Manner::Cut { after: 9000 }), &["cut off in the middle"]);
}

#[test]
fn a_query_in_adql_goes_from_the_rail_and_its_error_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let answer = std::fs::read(fixtures().join("vo/scs/scs-result.xml")).expect("a recorded answer");
    let wanted = asterism_data::read_bytes("answer.vot", answer.clone(), None).expect("a table");
    let Some(asterism_data::Part::Table(wanted)) = wanted.into_iter().next() else { panic!("no table in the fixture") };
    let error = r#"<?xml version="1.0"?><VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="results">
        <INFO name="QUERY_STATUS" value="ERROR">Column "parallx" is not in gaiadr3.gaia_source (line 1)</INFO></RESOURCE></VOTABLE>"#;
    let replay = Replay::start(vec![
        Route::new("POST", "/tap/sync", move |seen, _| {
            Some(match seen.form("QUERY") {
                Some(q) if q.contains("parallx") => {
                    Reply::bytes(error).status(400).header("Content-Type", "application/x-votable+xml")
                }
                Some(_) => Reply::bytes(answer.clone()).header("Content-Type", "application/x-votable+xml"),
                None => Reply::bytes("no QUERY").status(400),
            })
        }),
        Route::get("/tap/tables", Reply::file(fixtures().join("vo/tap/tap-tables.xml"))),
    ])
    .expect("a server");
    let mut w = with_rows(settings(&replay.base()), folder.path());
    choose(&mut w, "Service", "TAP service…");
    fill(&mut w, "Address", &format!("{}/tap", replay.base()));
    let query = "SELECT TOP 2000 source_id, parallax\nFROM gaiadr3.gaia_source";
    fill(&mut w, "ADQL", query);
    press(&mut w, "Search");
    until(&mut w, "the rows", |w| w.state().session.doc().datasets.len() == 2 && rows(w) == wanted.rows() && !front(w).loading);
    until_idle(&mut w);
    // The editor asks for the names of tables and columns by itself.
    let mut sent = replay.seen_at("/tap/sync");
    sent.retain(|s| !s.form("QUERY").is_some_and(|q| q.contains("TAP_SCHEMA")));
    assert_eq!(sent[0].form("QUERY").as_deref(), Some(query));
    assert_eq!(sent[0].form("LANG").as_deref(), Some("ADQL"));
    assert!(shows(&w, &format!("Table of {} rows", asterism::window::kit::thousands(wanted.rows()))));
    let names = |t: &asterism_data::Table| t.columns().iter().map(|c| (c.name.clone(), c.unit.clone())).collect::<Vec<_>>();
    assert_eq!(names(&front(&w).table), names(&wanted));

    // A wrong word: the service's own sentence, and the query as it was typed.
    let wrong = "SELECT parallx FROM gaiadr3.gaia_source";
    fill(&mut w, "ADQL", wrong);
    press(&mut w, "Search");
    until(&mut w, "the error", |w| w.state().session.doc().datasets.len() == 3 && !w.state().session.busy());
    w.step();
    w.step();
    assert!(shows(&w, "parallx\" is not in gaiadr3.gaia_source"), "{:?}", said(&w));
    assert_eq!(field(&w, "ADQL").and_then(|f| f.value()).as_deref(), Some(wrong));
    assert_eq!(rows_of(&w, 1), wanted.rows());
}

#[test]
fn a_large_recorded_answer_streams_into_the_window() {
    let Some(path) = beside("vo/tap/esa-hubble-cone_search.vot") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let wanted = asterism_data::read_table(&path).expect("a table").rows();
    let slow = Reply::file(&path).manner(Manner::Slow { chunk: 40_000, delay: Duration::from_millis(60) });
    let replay = Replay::start(vec![Route::post("/tap/sync", slow)]).expect("a server");
    let mut w = with_rows(settings(&replay.base()), folder.path());
    choose(&mut w, "Service", "TAP service…");
    fill(&mut w, "Address", &format!("{}/tap", replay.base()));
    fill(&mut w, "ADQL", "SELECT * FROM ehst.archive");
    press(&mut w, "Search");
    until(&mut w, "all rows", |w| w.state().session.doc().datasets.len() == 2 && rows(w) == wanted && !front(w).loading);
}

#[test]
fn what_is_missing_in_the_form_is_said_beside_the_button() {
    let folder = tempfile::tempdir().expect("a folder");
    let replay = Replay::start(vec![]).expect("a server");
    let mut w = with_rows(settings(&replay.base()), folder.path());
    choose(&mut w, "Service", "Observations");
    fill(&mut w, "Position", "");
    press(&mut w, "Search");
    assert!(shows(&w, "Give a position or a filter"));
    fill(&mut w, "Position", "10.7 41.3");
    fill(&mut w, "Radius", "many");
    press(&mut w, "Search");
    let complaint = w.state().rail.complaint.clone();
    assert!(complaint.contains("many") && shows(&w, &complaint), "{complaint}");
    fill(&mut w, "Rows at most", "lots");
    press(&mut w, "Search");
    assert!(shows(&w, "'lots' is no number of rows"));
    assert!(replay.seen().is_empty(), "nothing was asked");
    let button = find(&w, "Search").expect("the button").rect();
    let note = w.root().children_recursive().find(|n| n.accesskit_node().value().is_some_and(|v| v.contains("'lots'")));
    let note = note.expect("the note").rect();
    assert!(note.bottom() <= button.top() + 8.0 && button.top() - note.bottom() < 40.0, "{note:?} {button:?}");
}

#[test]
fn a_small_page_of_mast_stays_as_it_was_set() {
    let mut w = window_with(settings("http://127.0.0.1:9"), &[]);
    w.state_mut().session.settings_mut().services.page_size = 7;
    key(&mut w, Modifiers::COMMAND, Key::Comma);
    until(&mut w, "the settings", |w| find(w, "Keep at most").is_some() || shows(w, "Page of MAST"));
    for _ in 0..3 {
        w.step();
    }
    assert_eq!(w.state().session.settings().services.page_size, 7);
}
