//! The archive's doors in the window: what is behind a row, a service that cuts, cut-outs by position.

use std::path::{Path, PathBuf};

use asterism_archive::Services;
use asterism_archive::replay::{Replay, Reply, Route};
use asterism_session::Settings;
use egui::{Key, Modifiers};

use crate::drive::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn beside(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures").join(name);
    if !path.exists() {
        eprintln!("skipped: {name} is not beside the project");
        return None;
    }
    Some(path)
}

fn settings(base: &str, cache: &Path) -> Settings {
    let services = Services {
        timeout_s: 5.0,
        retries: 0,
        pause_s: 0.01,
        poll_s: 0.02,
        saved: vec![],
        cache: Some(cache.to_path_buf()),
        ..Services::at(base)
    };
    Settings { services, ..Settings::default() }
}

/// Rows of images, each with a document of links at the server.
fn observations(folder: &Path, base: &str) -> PathBuf {
    let path = folder.join("obs.csv");
    let rows: String = (0..6)
        .map(|i| {
            let ra = 107.2 + f64::from(i) * 0.01;
            format!("o{i},{ra},-70.0,{base}/links?ID=o{i},application/x-votable+xml;content=datalink\n")
        })
        .collect();
    std::fs::write(&path, format!("obs_id,s_ra,s_dec,access_url,access_format\n{rows}")).expect("a table");
    path
}

/// A document of links after the example of DataLink 1.1, with the service of SODA 1.0 beside it.
fn links(base: &str) -> String {
    let field = |name: &str| format!("<FIELD name=\"{name}\" ID=\"{name}\" datatype=\"char\" arraysize=\"*\"/>");
    let names = ["ID", "access_url", "service_def", "error_message", "description", "semantics", "content_type"];
    let row = |cells: [&str; 8]| format!("<TR>{}</TR>", cells.map(|c| format!("<TD>{c}</TD>")).concat());
    let fits = format!("{base}/files/field.fits");
    let rows = [
        row(["o2", &fits, "", "", "The field", "#this", "image/fits", "4000"]),
        row(["o2", "", "cutter", "", "A part of the field", "#cutout", "image/fits", ""]),
        row(["o2", "", "", "NotFoundFault: the dark is lost", "", "#dark", "", ""]),
    ];
    format!(
        r##"<?xml version="1.0"?><VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="results">
<INFO name="QUERY_STATUS" value="OK"/><TABLE>{}<FIELD name="content_length" ID="content_length" datatype="long"/>
<DATA><TABLEDATA>{}</TABLEDATA></DATA></TABLE></RESOURCE>
<RESOURCE type="meta" utype="adhoc:service" ID="cutter"><PARAM name="standardID" datatype="char" arraysize="*" value="ivo://ivoa.net/std/SODA#sync-1.0"/>
<PARAM name="accessURL" datatype="char" arraysize="*" value="{base}/soda"/><GROUP name="inputParams">
<PARAM name="ID" datatype="char" arraysize="*" ref="ID" value=""/>
<PARAM name="CIRCLE" datatype="double" arraysize="3" unit="deg" xtype="circle" value=""/>
<PARAM name="BAND" datatype="double" arraysize="2" unit="m" xtype="interval" value=""><VALUES><MIN value="3e-7"/><MAX value="8e-7"/></VALUES></PARAM>
</GROUP></RESOURCE></VOTABLE>"##,
        names.map(field).concat(),
        rows.concat()
    )
}

#[test]
fn links_behind_a_row_are_listed_opened_and_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = std::fs::read(fixtures().join("fits/images/galactic_2d.fits")).expect("an image");
    let (whole, part) = (Reply::bytes(image.clone()), Reply::bytes(image));
    let replay = Replay::start(vec![
        Route::new("GET", "/links", |seen, _| Some(Reply::bytes(links(&format!("http://{}", seen.header("host")?))))),
        Route::get("/files/field.fits", whole),
        Route::get("/soda", part),
    ])
    .expect("a server");
    let table = observations(folder.path(), &replay.base());
    let mut w = window_with(settings(&replay.base(), folder.path()), &[table.to_str().expect("a path")]);
    until(&mut w, "the table", |w| rows(w) == 6 && !w.state().session.busy());

    // Without a selection the view says what it is for.
    w.state_mut().session.apply(asterism_session::Command::ClearSelection).expect("nothing");
    let select = asterism_session::Command::SelectWhere { expr: "obs_id = 'o2'".into(), mode: None };
    w.state_mut().session.apply(select).expect("a row");
    key(&mut w, Modifiers::COMMAND, Key::B);
    until(&mut w, "the view", |w| shows(w, "Behind this row"));
    assert!(replay.seen().is_empty(), "nothing is asked before the button is pressed");
    press(&mut w, "Look behind");
    until(&mut w, "the links", |w| find(w, "Open The field").is_some());
    assert_eq!(replay.seen_at("/links")[0].query("ID").as_deref(), Some("o2"));
    assert!(shows(&w, "NotFoundFault: the dark is lost"));

    // A link is opened: an image of this table, and undone.
    press(&mut w, "Open The field");
    until(&mut w, "the image", |w| front(w).images.len() == 1 && !w.state().session.busy());
    assert_eq!(front(&w).images[0].title, "The field");
    assert_eq!(w.state().session.undo_name(), Some("add image"));
    w.state_mut().session.apply(asterism_session::Command::Undo).expect("a step");
    w.step();
    assert!(front(&w).images.is_empty());

    // The service cuts where the row is; the band is given by hand.
    fill(&mut w, "BAND", "4e-7 5e-7");
    press(&mut w, "Cut out");
    until(&mut w, "the cut-out", |w| front(w).images.len() == 1 && !w.state().session.busy());
    let asked = replay.seen_at("/soda");
    assert_eq!(asked[0].query("ID").as_deref(), Some("o2"));
    let circle = asked[0].query("CIRCLE").expect("a circle");
    let numbers: Vec<f64> = circle.split(' ').map(|t| t.parse().expect("a number")).collect();
    assert!((numbers[0] - 107.22).abs() < 1e-9 && numbers[1] == -70.0 && (numbers[2] - 1.0 / 60.0).abs() < 1e-4, "{circle}");
    assert_eq!(asked[0].query("BAND").as_deref(), Some("4e-7 5e-7"));

    // A service that refuses says why.
    assert_eq!(rows(&w), 6, "the table in front is the same one");
}

#[test]
fn cut_outs_by_position_land_as_target_pixels_and_say_what_is_there() {
    let (Some(zip), Some(sector)) = (beside("mast/astrocut_107.27_-70.0_5x5.zip"), beside("mast/tess_sector.json")) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let replay = Replay::start(vec![
        Route::get("/tesscut/api/v0.1/astrocut", Reply::file(zip)),
        Route::get("/tesscut/api/v0.1/sector", Reply::file(sector)),
        Route::get("/zcut/api/v0.1/survey", Reply::bytes(r#"{"msg": "", "surveys": []}"#)),
        Route::get("/zcut", Reply::bytes(r#"{"msg": "No matching surveys"}"#)),
    ])
    .expect("a server");
    let table = observations(folder.path(), &replay.base());
    let mut w = window_with(settings(&replay.base(), folder.path()), &[table.to_str().expect("a path")]);
    until(&mut w, "the table", |w| rows(w) == 6 && !w.state().session.busy());
    let select = asterism_session::Command::SelectWhere { expr: "obs_id = 'o3'".into(), mode: None };
    w.state_mut().session.apply(select).expect("a row");
    key(&mut w, Modifiers::COMMAND, Key::B);
    press(&mut w, "What is there?");
    until(&mut w, "what there is", |w| shows(w, "of TESS") && shows(w, "no deep field"));
    press(&mut w, "Cut by TESScut");
    until(&mut w, "target pixels", |w| w.state().session.doc().datasets.len() > 1 && !w.state().session.busy());
    let asked = replay.seen_at("/tesscut/api/v0.1/astrocut");
    assert_eq!((asked[0].query("x").as_deref(), asked[0].query("y").as_deref()), (Some("11"), Some("11")));
    let cut = front(&w);
    assert!(!cut.images.is_empty(), "the mean frame of the target pixels");
    assert!(asterism_session::CurveColumns::find(&cut.table).is_some(), "and their light curve");

    // A service that has nothing there says so, and nothing else changes.
    let before = w.state().session.doc().datasets.len();
    let at = (107.23, -70.0);
    let from = asterism_session::CutOut::DeepField { pixels: 50, survey: None };
    w.state_mut().session.apply(asterism_session::Command::CutOut { at, from }).expect("a job");
    until_idle(&mut w);
    assert!(said(&w).iter().any(|t| t.contains("No matching surveys")), "{:?}", said(&w));
    assert_eq!(w.state().session.doc().datasets.len(), before);
}

#[test]
fn jobs_of_a_tap_service_are_remembered_fetched_aborted_and_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let votable = std::fs::read(fixtures().join("vo/scs/scs-result.xml")).expect("an answer");
    let phase = std::sync::Arc::new(std::sync::Mutex::new(String::from("EXECUTING")));
    let (state, order, gone) = (phase.clone(), phase.clone(), phase.clone());
    let document = move |phase: &str| {
        format!(
            "<uws:job xmlns:uws='http://www.ivoa.net/xml/UWS/v1.0'><uws:jobId>17</uws:jobId><uws:phase>{phase}</uws:phase>\
             <uws:creationTime>2026-03-01T10:00:00Z</uws:creationTime><uws:destruction>2026-03-08T10:00:00Z</uws:destruction>\
             <uws:parameters><uws:parameter id='QUERY'>SELECT a FROM b</uws:parameter></uws:parameters></uws:job>"
        )
    };
    let replay = Replay::start(vec![
        Route::get("/tap/async/17/results/result", Reply::bytes(votable)),
        Route::new("POST", "/tap/async/17/phase", move |seen, _| {
            if seen.form("PHASE").as_deref() == Some("ABORT") {
                *order.lock().expect("a phase") = "ABORTED".into();
            }
            Some(Reply::redirect(303, "/tap/async/17"))
        }),
        Route::new("DELETE", "/tap/async/17", move |_, _| {
            gone.lock().expect("a phase").clear();
            Some(Reply::redirect(303, "/tap/async"))
        }),
        Route::new("GET", "/tap/async/17", move |_, _| {
            let phase = state.lock().expect("a phase").clone();
            Some(if phase.is_empty() { Reply::bytes("no such job").status(404) } else { Reply::bytes(document(&phase)) })
        }),
        Route::new("POST", "/tap/async", |_, _| Some(Reply::redirect(303, "/tap/async/17"))),
        Route::get("/tap/async", Reply::bytes("<uws:jobs xmlns:uws='http://www.ivoa.net/xml/UWS/v1.0'/>")),
    ])
    .expect("a server");
    let base = format!("{}/tap", replay.base());
    let table = observations(folder.path(), &replay.base());
    let open = [table.to_str().expect("a path")];
    let mut w = window_with(settings(&replay.base(), folder.path()), &open);
    until(&mut w, "the table", |w| rows(w) == 6 && !w.state().session.busy());

    // A job is made; its address is kept from the moment the service gives it, and what was broken off leaves it there.
    let request = asterism_archive::Request::Tap {
        base: base.clone(),
        adql: "SELECT a FROM b".into(),
        asynchronous: true,
        max_rows: None,
        uploads: vec![],
    };
    let ask = asterism_session::Ask::Archive { request };
    w.state_mut().session.apply(asterism_session::Command::Search { name: "long".into(), ask }).expect("a job");
    until(&mut w, "its address", |w| w.state().session.remembered_jobs().iter().any(|j| j.base == base));
    *phase.lock().expect("a phase") = "COMPLETED".into();
    until_idle(&mut w);
    assert!(rows(&w) > 0);
    drop(w);

    // Another session knows it still, and shows how it stands.
    let mut w = window_with(settings(&replay.base(), folder.path()), &open);
    until(&mut w, "the table", |w| rows(w) == 6 && !w.state().session.busy());
    assert!(w.state().session.remembered_jobs().iter().any(|j| j.base == base && j.query == "SELECT a FROM b"));
    key(&mut w, Modifiers::COMMAND, Key::K);
    w.event(egui::Event::Text("Jobs of TAP services".into()));
    w.step();
    key(&mut w, Modifiers::NONE, Key::Enter);
    until(&mut w, "the view", |w| find(w, "Service of the jobs").is_some());
    w.state_mut().session.apply(asterism_session::Command::ListTapJobs { base: base.clone() }).expect("a list");
    let lines = |w: &Window| match w.state().session.jobs_of(&base) {
        asterism_session::behind::Looked::Found(lines) => lines.to_vec(),
        _ => Vec::new(),
    };
    until(&mut w, "the list", |w| lines(w).iter().any(|l| l.phase == "COMPLETED"));
    let line = lines(&w)[0].clone();
    assert_eq!((line.query.as_str(), line.times[3].as_str(), line.kept), ("SELECT a FROM b", "2026-03-08T10:00:00Z", true));

    // Its result is taken up as a search; then it is aborted, deleted and forgotten.
    let url = line.url.clone();
    let fetch = asterism_session::Command::FetchTapJob { base: base.clone(), url: url.clone() };
    w.state_mut().session.apply(fetch).expect("a search");
    until(&mut w, "its rows", |w| w.state().session.doc().datasets.len() == 2 && rows(w) > 0 && !front(w).loading);
    *phase.lock().expect("a phase") = "EXECUTING".into();
    let abort = asterism_session::Command::AbortTapJob { base: base.clone(), url: url.clone() };
    w.state_mut().session.apply(abort).expect("an order");
    until(&mut w, "the end of the job", |w| lines(w).iter().any(|l| l.phase == "ABORTED"));
    w.state_mut().session.apply(asterism_session::Command::DeleteTapJob { base: base.clone(), url }).expect("an order");
    until(&mut w, "an empty list", |w| lines(w).is_empty() && !w.state().session.busy());
    assert!(!w.state().session.remembered_jobs().iter().any(|j| j.base == base));
    assert!(replay.seen().iter().any(|s| s.method == "DELETE"));
}

/// A list of positions, one of them far from everything.
fn list(folder: &Path) -> PathBuf {
    let path = folder.join("list.csv");
    std::fs::write(&path, "name,ra,dec\na,10.0,20.0\nb,10.1,20.0\nc,200.0,-5.0\n").expect("a table");
    path
}

#[test]
fn two_tables_are_matched_in_the_window_and_the_match_is_undone() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalogue = folder.path().join("catalogue.csv");
    std::fs::write(&catalogue, "id,mag,ra,dec\n1,15.0,10.0001,20.0\n2,16.0,10.1,20.0002\n3,17.0,50.0,0.0\n").expect("a table");
    let mine = list(folder.path());
    let mut w = window(&[catalogue.to_str().expect("a path"), mine.to_str().expect("a path")]);
    until(&mut w, "both tables", |w| w.state().session.doc().datasets.len() == 2 && !w.state().session.busy());
    let names: Vec<String> = w.state().session.doc().datasets.iter().map(|d| d.name.clone()).collect();
    let at = names.iter().position(|n| n == "list").expect("the list");
    w.state_mut().session.apply(asterism_session::Command::Activate { index: at }).expect("a table");
    key(&mut w, Modifiers::COMMAND, Key::K);
    w.event(egui::Event::Text("Match two tables".into()));
    w.step();
    key(&mut w, Modifiers::NONE, Key::Enter);
    until(&mut w, "the dialog", |w| shows(w, "Match two tables"));
    choose(&mut w, "With", "catalogue · 3 rows");
    press(&mut w, "Match");
    until(&mut w, "the columns", |w| front(w).table.column_index("separation_arcsec").is_some() && !w.state().session.busy());
    let table = front(&w).table.clone();
    assert_eq!(table.rows(), 3, "its rows stay");
    let separations = table.f64s("separation_arcsec").expect("a column");
    // 0.0001° of right ascension at declination 20° is 0.36 arcsec × cos 20°.
    assert!((separations[0] - 0.36 * 20f64.to_radians().cos()).abs() < 1e-6 && (separations[1] - 0.72).abs() < 1e-6);
    assert!(separations[2].is_nan());
    let missed = &front(&w).subsets[0];
    assert_eq!((missed.name.as_str(), missed.rows.iter().collect::<Vec<_>>()), ("not found in catalogue", vec![2]));
    w.state_mut().session.apply(asterism_session::Command::Undo).expect("a step");
    w.step();
    assert!(front(&w).table.column_index("separation_arcsec").is_none() && front(&w).subsets.is_empty());

    // All pairs make a table of their own.
    let with = w.state().session.doc().datasets.iter().find(|d| d.name == "catalogue").expect("it").id;
    let how = asterism_session::lists::Matching {
        radius_arcsec: 3600.0,
        find: asterism_data::crossmatch::Find::All,
        into: asterism_session::lists::MatchInto::Pairs,
        columns: None,
    };
    let all = asterism_session::Command::MatchTables { with, columns: None, how };
    w.state_mut().session.apply(all).expect("a job");
    until(&mut w, "the pairs", |w| w.state().session.doc().datasets.len() == 3 && rows(w) == 4 && !w.state().session.busy());
}

/// One source of the recorded answer of a cone search stands near where it is asked.
fn cone(seen: &asterism_archive::replay::Seen) -> Reply {
    let number = |name: &str| seen.query(name).and_then(|t| t.parse::<f64>().ok()).unwrap_or(f64::NAN);
    let (ra, dec) = (number("RA"), number("DEC"));
    let row = if ra < 100.0 { format!("<TR><TD>{}</TD><TD>{}</TD><TD>{ra}</TD></TR>", ra + 1e-4, dec) } else { String::new() };
    Reply::bytes(format!(
        "<?xml version='1.0'?><VOTABLE version='1.3' xmlns='http://www.ivoa.net/xml/VOTable/v1.3'><RESOURCE type='results'>\
         <INFO name='QUERY_STATUS' value='OK'/><TABLE><FIELD name='cra' datatype='double' unit='deg' ucd='pos.eq.ra;meta.main'/>\
         <FIELD name='cdec' datatype='double' unit='deg' ucd='pos.eq.dec;meta.main'/><FIELD name='flux' datatype='double'/>\
         <DATA><TABLEDATA>{row}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    ))
}

#[test]
fn a_list_is_matched_with_a_service_row_by_row_and_by_upload() {
    let folder = tempfile::tempdir().expect("a folder");
    let both = "<?xml version='1.0'?><VOTABLE version='1.3' xmlns='http://www.ivoa.net/xml/VOTable/v1.3'><RESOURCE type='results'>\
         <INFO name='QUERY_STATUS' value='OK'/><TABLE><FIELD name='ra' datatype='double'/><FIELD name='dec' datatype='double'/>\
         <DATA><TABLEDATA><TR><TD>10.1</TD><TD>20.0001</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>";
    let replay =
        Replay::start(vec![Route::new("GET", "/cone", |seen, _| Some(cone(seen))), Route::post("/tap/sync", Reply::bytes(both))])
            .expect("a server");
    let mine = list(folder.path());
    let mut with_services = settings(&replay.base(), folder.path());
    let saved = |name: &str, kind, path: &str| asterism_archive::SavedService {
        name: name.into(),
        kind,
        url: format!("{}/{path}", replay.base()),
        description: String::new(),
    };
    with_services.services.saved =
        vec![saved("Cones", asterism_archive::Kind::Cone, "cone"), saved("Tables", asterism_archive::Kind::Tap, "tap")];
    let mut w = window_with(with_services, &[mine.to_str().expect("a path")]);
    until(&mut w, "the list", |w| rows(w) == 3 && !w.state().session.busy());
    let open = |w: &mut Window| {
        key(w, Modifiers::COMMAND, Key::K);
        w.event(egui::Event::Text("Match with a service".into()));
        w.step();
        key(w, Modifiers::NONE, Key::Enter);
        until(w, "the dialog", |w| shows(w, "Match with a service"));
    };
    open(&mut w);
    choose(&mut w, "With", "Cones (row by row)");
    press(&mut w, "Match");
    until(&mut w, "the columns", |w| front(w).table.column_index("flux").is_some() && !w.state().session.busy());
    assert_eq!(replay.seen_at("/cone").len(), 3, "one question a row");
    let flux = front(&w).table.f64s("flux").expect("a column");
    assert!(flux[0] == 10.0 && flux[1] == 10.1 && flux[2].is_nan());
    assert_eq!(front(&w).subsets[0].rows.iter().collect::<Vec<_>>(), [2]);
    w.state_mut().session.apply(asterism_session::Command::Undo).expect("a step");

    open(&mut w);
    choose(&mut w, "With", "Tables (list uploaded)");
    fill(&mut w, "Its table", "cat.main");
    press(&mut w, "Match");
    until(&mut w, "the columns", |w| front(w).table.column_index("separation_arcsec").is_some() && !w.state().session.busy());
    // The tables of the service were asked for as well, to be chosen from.
    let sent = replay.seen_at("/tap/sync").into_iter().map(|s| String::from_utf8_lossy(&s.body).into_owned());
    let body = sent.filter(|b| b.contains("TAP_UPLOAD")).collect::<String>();
    assert!(body.contains("TAP_UPLOAD.list") && body.contains("cat.main") && body.contains("asterism_row"), "{body}");
    let separations = front(&w).table.f64s("separation_arcsec").expect("a column");
    assert!(separations[0].is_nan() && (separations[1] - 0.36).abs() < 1e-6 && separations[2].is_nan(), "{separations:?}");
}
