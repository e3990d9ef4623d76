//! What helps to ask, in the window: columns of the form, counts, a look at a query before it is sent, tables and examples.

use std::path::{Path, PathBuf};

use asterism_archive::Services;
use asterism_archive::replay::{Manner, Replay, Reply, Route};
use asterism_session::Settings;

use crate::drive::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn asking(base: &str, folder: &Path) -> Window {
    let path = folder.join("own.csv");
    std::fs::write(&path, "id,x\n1,2.5\n2,3.5\n").expect("a table");
    let services = Services { timeout_s: 5.0, retries: 0, pause_s: 0.01, poll_s: 0.02, saved: vec![], ..Services::at(base) };
    let mut w = window_with(Settings { services, ..Settings::default() }, &[path.to_str().expect("a path")]);
    until(&mut w, "the first table", |w| rows(w) == 2);
    w
}

#[test]
fn conditions_are_made_of_the_archives_own_columns_and_counted_first() {
    let replay = Replay::start(Replay::mast_routes(fixtures().join("mast"), Manner::Whole)).expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let mut w = asking(&replay.base(), folder.path());
    choose(&mut w, "Service", "Observations");
    assert!(replay.seen_at("/portal").is_empty(), "nobody is asked before a condition is begun");
    fill(&mut w, "Filter 1 column", "instr");
    until(&mut w, "the list of columns", |_| !replay.seen_at("/portal").is_empty());
    until(&mut w, "the columns", |w| w.state().rail.form.column("instrument_name").is_some());
    fill(&mut w, "Filter 1 column", "instrument_name");
    fill(&mut w, "Filter 1 values", "WFPC2");
    fill(&mut w, "Filter 2 column", "t_min");
    fill(&mut w, "Filter 2 values", "2001-01-01..2002-01-01");
    press(&mut w, "Count");
    // The recorded number.
    until(&mut w, "the count", |w| shows(w, "599 rows fit."));
    let sent = replay.seen_at("/api/v0/invoke").last().expect("a question").mast();
    let filters = sent["params"]["filters"].to_string();
    // Dates went out as the service counts them: astropy.time.Time("2001-01-01").mjd is 51910.
    assert!(filters.contains("WFPC2") && filters.contains("51910") && filters.contains("52275"), "{filters}");
    // Another question has not been counted.
    fill(&mut w, "Filter 1 values", "ACS*");
    assert!(!shows(&w, "rows fit."));
    // A column that the service does not have is told of.
    fill(&mut w, "Filter 1 column", "instrument");
    assert!(shows(&w, "The service lists no column 'instrument'."));
}

#[test]
fn a_query_is_looked_at_before_it_is_sent_and_the_services_examples_are_at_hand() {
    let error = |text: &str| {
        Reply::bytes(format!(
            "<VOTABLE xmlns=\"http://www.ivoa.net/xml/VOTable/v1.3\"><RESOURCE type=\"results\"><INFO name=\"QUERY_STATUS\" value=\"ERROR\">{text}</INFO></RESOURCE></VOTABLE>"
        ))
        .header("Content-Type", "application/x-votable+xml")
    };
    let page = r#"<html><body><div typeof="example"><h2 property="name">Bright ones</h2>
        <pre property="query">SELECT TOP 5 * FROM test.table1</pre></div></body></html>"#;
    let replay = Replay::start(vec![
        Route::new("POST", "/tap/sync", move |_, _| Some(error("no TAP_SCHEMA here"))),
        Route::get("/tap/tables", Reply::file(fixtures().join("vo/tap/tap-tables.xml"))),
        Route::get("/tap/examples", Reply::bytes(page)),
    ])
    .expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let mut w = asking(&replay.base(), folder.path());
    choose(&mut w, "Service", "TAP service…");
    fill(&mut w, "Address", &format!("{}/tap", replay.base()));
    fill(&mut w, "ADQL", "SELECT * FROM test.table1 WHERE (a > 3");
    until(&mut w, "the word on the bracket", |w| shows(w, "Expected )"));
    fill(&mut w, "ADQL", "SELECT * FROM test.tabel1");
    until(&mut w, "the service's tables", |w| w.state().rail.schema.is_some());
    until(&mut w, "the word on the table", |w| shows(w, "is test.table1 meant?"));
    fill(&mut w, "ADQL", "SELECT * FROM test.table2");
    assert!(!shows(&w, "meant?") && !shows(&w, "Expected"));

    press(&mut w, "Examples");
    until(&mut w, "the examples", |w| find(w, "Bright ones").is_some());
    press(&mut w, "Bright ones");
    assert_eq!(field(&w, "ADQL").and_then(|f| f.value()).as_deref(), Some("SELECT TOP 5 * FROM test.table1"));
    assert_eq!(replay.seen_at("/tap/examples").len(), 1);
}
