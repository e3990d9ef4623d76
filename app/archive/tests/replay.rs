//! Every client against recorded answers on loopback: whole, slow, cut off, silent and broken.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use asterism_archive::replay::{Manner, Replay, Reply, Route, Seen};
use asterism_archive::{Answer, Client, Error, Event, Filter, Request, Services};
use asterism_data::{Cell as Value, Table};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

fn fixture(name: &str) -> Reply {
    let reply = Reply::file(fixtures().join(name));
    assert_eq!(reply.status, 200, "{name} is missing");
    reply
}

/// Recorded answers that may not be copied lie beside the project.
fn beside(name: &str) -> Option<Reply> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures").join(name);
    if !path.exists() {
        eprintln!("skipped: {name} is not beside the project");
        return None;
    }
    Some(Reply::file(path))
}

fn settings(base: &str) -> Services {
    Services { timeout_s: 5.0, retries: 2, pause_s: 0.01, poll_s: 0.02, saved: vec![], ..Services::at(base) }
}

fn client(replay: &Replay) -> Client {
    Client::new(settings(&replay.base())).unwrap()
}

const GO_ON: &dyn Fn() -> bool = &|| false;

struct Heard {
    result: asterism_archive::Result<Answer>,
    table: Table,
    batches: usize,
    notes: Vec<String>,
}

fn search(client: &Client, request: &Request) -> Heard {
    let (mut table, mut batches, mut notes) = (Table::default(), 0, Vec::new());
    let result = client.search(request, GO_ON, &mut |event| match event {
        Event::Rows(rows) => {
            table.append(&rows).unwrap();
            batches += 1;
        }
        Event::Note(note) => notes.push(note),
        Event::Job(job) => notes.push(format!("Job on the server: {job}")),
        Event::Progress { .. } | Event::Plan(_) | Event::Early(_) => {}
    });
    if let Ok(answer) = &result {
        assert_eq!(answer.rows, table.rows());
    }
    Heard { result, table, batches, notes }
}

fn text(table: &Table, row: usize, column: &str) -> String {
    table.cell(row, table.column_index(column).unwrap()).to_string()
}

fn cell(table: &Table, row: usize, column: &str) -> Value {
    table.cell(row, table.column_index(column).unwrap())
}

fn cone(radius_deg: f64) -> Request {
    Request::MastCone { ra_deg: 23.3, dec_deg: 60.6, radius_deg, max_rows: None }
}

fn tap(base: &str, adql: &str) -> Request {
    Request::Tap { base: format!("{base}/tap"), adql: adql.into(), asynchronous: false, max_rows: None, uploads: vec![] }
}

fn tap_async(base: &str) -> Request {
    Request::Tap { base: format!("{base}/tap/"), adql: "SELECT 1".into(), asynchronous: true, max_rows: None, uploads: vec![] }
}

/// A server that answers every synchronous query so, and a client for it.
fn tap_server(reply: Reply) -> (Replay, Client) {
    let replay = Replay::start(vec![Route::post("/tap/sync", reply)]).unwrap();
    let client = client(&replay);
    (replay, client)
}

// ---------------------------------------------------------------------------------------- MAST

#[test]
fn mast_cone_gives_rows_units_and_exact_ids() {
    let replay = Replay::mast(fixtures().join("mast")).unwrap();
    let client = client(&replay);
    let heard = search(&client, &cone(0.1));
    let answer = heard.result.unwrap();
    assert_eq!((heard.table.rows(), heard.table.columns().len()), (19, 27));
    assert!(!answer.truncated && heard.table.column_index("_selected_").is_none());
    let t = &heard.table;
    assert_eq!(t.columns()[0].name, "dataproduct_type");
    assert_eq!(cell(t, 0, "obsid"), Value::Int(2_003_585_980));
    assert_eq!(cell(t, 0, "objID"), Value::Int(2_012_765_872));
    assert_eq!(cell(t, 0, "t_exptime"), Value::Float(1500.0));
    assert_eq!(cell(t, 0, "dataURL"), Value::Null);
    assert_eq!(cell(t, 18, "distance"), Value::Float(0.0));
    assert_eq!(text(t, 18, "obs_collection"), "GALEX");
    let meta = |name: &str| &t.columns()[t.column_index(name).unwrap()];
    assert_eq!(meta("em_min").unit.as_deref(), Some("nm"));
    assert_eq!(meta("distance").unit.as_deref(), Some("arcsec"));
    assert_eq!(meta("s_ra").ucd.as_deref(), Some("pos.eq.ra;meta.main"));
    assert_eq!(meta("t_min").unit.as_deref(), Some("d"));
    assert!(meta("t_obs_release").description.as_deref().unwrap().contains("MJD"));
    assert_eq!((meta("obsid").datatype.as_str(), meta("s_dec").datatype.as_str()), ("i64", "f64"));
    // What was sent is what the answer says was sent.
    let seen = &replay.seen_at("/api/v0/invoke")[0];
    assert_eq!(seen.form("request").unwrap(), answer.text);
    assert_eq!(seen.mast()["params"], serde_json::json!({"ra": 23.3, "dec": 60.6, "radius": 0.1}));
    assert_eq!((seen.mast()["format"].as_str(), seen.mast()["service"].as_str()), (Some("json"), Some("Mast.Caom.Cone")));
    assert!(seen.header("user-agent").unwrap().starts_with("Asterism/"));
    assert!(seen.header("authorization").is_none());
}

#[test]
fn mast_columns_have_units_without_the_servers_configuration() {
    let whole = serde_json::from_slice(&fixture("mast/caom.json").body).unwrap();
    let replay = Replay::start(vec![Route::paged("/api/v0/invoke", whole, Manner::Whole)]).unwrap();
    let t = search(&client(&replay), &cone(0.1)).table;
    let meta = |name: &str| &t.columns()[t.column_index(name).unwrap()];
    assert_eq!(meta("em_max").unit.as_deref(), Some("nm"));
    assert_eq!(meta("s_dec").ucd.as_deref(), Some("pos.eq.dec;meta.main"));
}

#[test]
fn mast_pages_come_one_by_one_with_one_cache_breaker() {
    let replay = Replay::mast(fixtures().join("mast")).unwrap();
    let client = Client::new(Services { page_size: 5, ..settings(&replay.base()) }).unwrap();
    let heard = search(&client, &cone(0.1));
    assert_eq!((heard.table.rows(), heard.batches), (19, 4));
    assert!(!heard.result.unwrap().truncated);
    let seen = replay.seen_at("/api/v0/invoke");
    let pages: Vec<_> = seen.iter().map(|s| s.mast()["page"].as_u64().unwrap()).collect();
    assert_eq!(pages, [1, 2, 3, 4]);
    assert!(seen.windows(2).all(|w| w[0].mast()["cachebreaker"] == w[1].mast()["cachebreaker"]));
    // The columns configuration is asked once for a client.
    search(&client, &cone(0.2));
    assert_eq!(replay.seen_at("/portal").len(), 1);
    let all = replay.seen_at("/api/v0/invoke");
    assert_ne!(all[0].mast()["cachebreaker"], all[4].mast()["cachebreaker"]);
    // A wish for fewer rows.
    let some = search(&client, &Request::MastCone { ra_deg: 23.3, dec_deg: 60.6, radius_deg: 0.1, max_rows: Some(7) });
    assert_eq!(some.table.rows(), 7);
    assert!(some.result.unwrap().truncated);
}

#[test]
fn a_small_page_of_mast_comes_first_and_no_row_is_lost_or_doubled() {
    let rows: Vec<_> = (0..2300).map(|i| serde_json::json!({"obsid": i / 2, "name": format!("o{}", i / 2)})).collect();
    // The large pages come in another order than the small one.
    let other: Vec<_> = rows.iter().rev().cloned().collect();
    let page = |rows: Vec<serde_json::Value>| serde_json::json!({"data": rows, "fields": [{"name": "obsid", "type": "int"}]});
    let small = Route::paged("/api/v0/invoke", page(rows), Manner::Whole);
    let large = Route::paged("/api/v0/invoke", page(other), Manner::Whole);
    let both = Route::new("POST", "/api/v0/invoke", move |seen, n| {
        let route = if seen.mast()["pagesize"] == 500 { &small } else { &large };
        route.answer(seen, n)
    });
    let replay = Replay::start(vec![both]).unwrap();
    let client = Client::new(Services { page_size: 1000, ..settings(&replay.base()) }).unwrap();
    let mut sizes = Vec::new();
    let mut table = Table::default();
    let answer = client
        .search(&cone(0.1), GO_ON, &mut |event| {
            if let Event::Rows(rows) = event {
                sizes.push(rows.rows());
                table.append(&rows).unwrap();
            }
        })
        .unwrap();
    assert_eq!((sizes[0], table.rows(), answer.truncated, answer.warnings.len()), (500, 2300, false, 0));
    let mut ids = table.f64s("obsid").unwrap();
    ids.sort_by(f64::total_cmp);
    assert!(ids.iter().enumerate().all(|(i, v)| *v == (i / 2) as f64), "each id twice");
    let asked: Vec<_> = replay
        .seen_at("/api/v0/invoke")
        .iter()
        .map(|s| (s.mast()["page"].as_u64().unwrap(), s.mast()["pagesize"].as_u64().unwrap()))
        .collect();
    assert_eq!(asked, [(1, 500), (1, 1000), (2, 1000), (3, 1000)]);
    // A wish for fewer rows, between the sizes.
    let few = Request::MastCone { ra_deg: 23.3, dec_deg: 60.6, radius_deg: 0.1, max_rows: Some(1200) };
    let heard = search(&client, &few);
    assert_eq!(heard.table.rows(), 1200);
    assert!(heard.result.unwrap().truncated);
}

#[test]
fn executing_is_answered_with_the_same_bytes() {
    let executing = Reply::bytes(r#"{"status":"EXECUTING","msg":"","data":[],"fields":[],"paging":{}}"#);
    // Rows are counted first; the count may be executing as well.
    let counting = |seen: &Seen| seen.mast()["params"]["columns"] == "COUNT_BIG(*)";
    let count = Route::new("POST", "/api/v0/invoke", move |seen, _| counting(seen).then(|| fixture("mast/countsResp.json")));
    let pages = vec![executing.clone(), executing, fixture("mast/advSearch.json")];
    let replay = Replay::start(vec![count, Route::sequence("POST", "/api/v0/invoke", pages)]).unwrap();
    let filters: Vec<Filter> =
        ["filters=NUV,FUV", "t_max=52264.4586..54452.8914", "obs_id=*200*"].map(|f| f.parse().unwrap()).into();
    let request = Request::MastFiltered { filters, position: None, max_rows: None };
    let heard = search(&client(&replay), &request);
    heard.result.unwrap();
    assert_eq!(heard.table.rows(), 3);
    assert_eq!(text(&heard.table, 0, "obs_id"), "O6AU01MSQ");
    assert_eq!(cell(&heard.table, 0, "em_max"), Value::Float(0.0));
    let mut seen = replay.seen_at("/api/v0/invoke");
    assert!(counting(&seen.remove(0)));
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|s| s.body == seen[0].body));
    let sent = seen[0].mast();
    assert_eq!(sent["service"], "Mast.Caom.Filtered");
    assert_eq!(sent["params"]["filters"][0], serde_json::json!({"paramName":"filters","values":["NUV","FUV"],"separator":";"}));
    assert_eq!(sent["params"]["filters"][2], serde_json::json!({"paramName":"obs_id","values":[],"freeText":"%200%"}));
}

#[test]
fn mast_catalogues() {
    let replay = Replay::mast(fixtures().join("mast")).unwrap();
    let client = client(&replay);
    let ask = |catalog: &str, filters: Vec<Filter>, max_rows| Request::MastCatalog {
        catalog: catalog.into(),
        ra_deg: 254.28746,
        dec_deg: -4.09933,
        radius_deg: 0.01,
        filters,
        max_rows,
    };
    let tic = search(&client, &ask("tic", vec![], None));
    assert_eq!((tic.table.rows(), tic.table.columns().len()), (7, 89));
    assert_eq!(cell(&tic.table, 0, "ID"), Value::Int(10_000_732_589));
    assert_eq!(cell(&tic.table, 1, "SDSS"), Value::Int(1_237_668_629_461_992_674));
    assert_eq!(cell(&tic.table, 0, "HIP"), Value::Null);
    assert_eq!(cell(&tic.table, 1, "e_Tmag"), Value::Float(1.0));
    let teff = &tic.table.columns()[tic.table.column_index("Teff").unwrap()];
    assert_eq!((teff.unit.as_deref(), teff.datatype.as_str()), (Some("K"), "f64"));

    search(&client, &ask("tic", vec!["Tmag=..10".parse().unwrap()], None)).result.unwrap();
    let sent = replay.seen_at("/api/v0/invoke").last().unwrap().mast();
    assert_eq!(sent["service"], "Mast.Catalogs.Filtered.Tic.Position.Rows");
    assert_eq!((sent["params"]["columns"].as_str(), sent["params"]["radius"].as_f64()), (Some("*"), Some(0.01)));

    let hsc = search(&client, &ask("hsc", vec![], None));
    assert_eq!((hsc.table.rows(), hsc.table.columns().len()), (28, 45));
    assert_eq!(cell(&hsc.table, 0, "MatchID"), Value::Int(82_441_651));
    assert!(!hsc.result.unwrap().truncated);
    // Exactly as many rows as were asked for: there are more.
    let capped = search(&client, &ask("hsc", vec![], Some(28)));
    assert!(capped.result.unwrap().truncated);

    let stars = search(&client, &ask("panstarrs", vec!["nDetections=2..".parse().unwrap()], None));
    let t = &stars.table;
    assert_eq!((t.rows(), t.columns().len()), (35, 6));
    assert_eq!(cell(t, 0, "objID"), Value::Int(68_960_059_717_834_079));
    assert_eq!(cell(t, 34, "objID"), Value::Int(68_950_059_842_489_921));
    assert_eq!(cell(t, 0, "iMeanApMag"), Value::Float(20.271799087524414));
    let magnitudes = t.f64s("iMeanApMag").unwrap();
    assert!(magnitudes.iter().all(|m| m.is_nan() || *m > 0.0) && magnitudes.iter().any(|m| m.is_nan()));
    let meta = &t.columns()[4];
    assert_eq!((meta.unit.as_deref(), meta.null_rule.as_deref()), (Some("mag"), Some("-999")));
    let sent = replay.seen_at("/api/v0.1/panstarrs").last().unwrap().clone();
    assert_eq!((sent.query("nDetections.gte").as_deref(), sent.query("radius").as_deref()), (Some("2"), Some("0.01")));

    assert!(matches!(search(&client, &ask("nonsense", vec![], None)).result, Err(Error::Unsupported { .. })));
    assert!(matches!(search(&client, &ask("hsc", vec!["a=1".parse().unwrap()], None)).result, Err(Error::Unsupported { .. })));
}

#[test]
fn mast_counts_and_products() {
    let replay = Replay::mast(fixtures().join("mast")).unwrap();
    let client = client(&replay);
    assert_eq!(client.count(&cone(0.1), GO_ON).unwrap(), 599);
    let sent = replay.seen()[0].mast();
    assert_eq!(sent["params"]["columns"], "COUNT_BIG(*)");
    assert_eq!(sent["params"]["position"], "23.3, 60.6, 0.1");
    let products = client.products(&[2_003_738_726], GO_ON).unwrap();
    assert_eq!(products.rows(), 22);
    assert!(products.column_index("_selected_").is_none());
    assert_eq!(text(&products, 0, "dataURI"), "mast:HST/product/u9o40504m_c3m.fits");
    assert_eq!(cell(&products, 0, "size"), Value::Int(207_360));
    assert_eq!(cell(&products, 0, "obsID"), Value::Int(2_003_738_726));
    // 1001 observations are three batches, and a file that lies under several of them comes once.
    let many: Vec<i64> = (1..=1001).collect();
    let products = client.products(&many, GO_ON).unwrap();
    assert_eq!(products.rows(), 22);
    let batches: Vec<usize> = replay.seen_at("/api/v0/invoke")[2..]
        .iter()
        .map(|s| s.mast()["params"]["obsid"].as_str().unwrap().split(',').count())
        .collect();
    assert_eq!(batches, [500, 500, 1]);
    assert_eq!(
        client.download_url("mast:HST/product/u9o40504m c3m.fits"),
        format!("{}/api/v0.1/Download/file?uri=mast:HST/product/u9o40504m%20c3m.fits", replay.base())
    );
}

#[test]
fn an_announcement_of_more_rows_than_came_is_told() {
    let replay = Replay::start(vec![Route::post("/api/v0/invoke", fixture("mast/spectra.json"))]).unwrap();
    let heard = search(&client(&replay), &cone(0.1));
    let answer = heard.result.unwrap();
    assert_eq!(heard.table.rows(), 26);
    assert!(answer.truncated && answer.warnings[0].contains("45762"), "{:?}", answer.warnings);
}

#[test]
fn names_are_resolved() {
    let replay = Replay::mast(fixtures().join("mast")).unwrap();
    let client = client(&replay);
    let m101 = client.resolve(" M101 ", GO_ON).unwrap();
    assert_eq!((m101.ra_deg, m101.dec_deg, m101.resolver.as_str()), (210.802429, 54.34875, "SIMBAD"));
    let tic = client.resolve("TIC 307210830", GO_ON).unwrap();
    assert_eq!((tic.name.as_str(), tic.resolver.as_str(), tic.dec_deg), ("TIC 307210830", "TIC", -68.3129998725044));
    let star = client.resolve("Barnard's star", GO_ON).unwrap();
    assert_eq!(star.ra_deg, 269.4520769586187);
    let Err(Error::Position(why)) = client.resolve("Nobody 17", GO_ON) else { panic!() };
    assert!(why.contains("Nobody 17"));
    assert!(replay.seen_at("/api/v0/invoke").iter().any(|s| s.mast()["service"] == "Mast.Name.Lookup"));
}

#[test]
fn the_portal_resolves_when_the_resolver_is_down() {
    let mut routes = vec![Route::get("/Santa-war", Reply::bytes("<html><title>Down</title></html>").status(503))];
    routes.extend(Replay::mast_routes(fixtures().join("mast"), Manner::Whole));
    let replay = Replay::start(routes).unwrap();
    let m8 = client(&replay).resolve("M8", GO_ON).unwrap();
    assert_eq!((m8.ra_deg, m8.dec_deg), (270.904, -24.387));
}

#[test]
fn mast_errors_are_said_in_its_words() {
    let error = Reply::bytes(r#"{"status":"ERROR","msg":"Invalid column name 'obs_colection'."}"#);
    let replay = Replay::start(vec![Route::post("/api/v0/invoke", error)]).unwrap();
    let Err(e) = search(&client(&replay), &cone(0.1)).result else { panic!() };
    assert_eq!(e.to_string(), "MAST says: Invalid column name 'obs_colection'.");

    let page =
        "<!DOCTYPE html><html><head><title>Runtime Error</title></head><body><h1>Server Error in '/portal'</h1></body></html>";
    let replay = Replay::start(vec![Route::post("/api/v0/invoke", Reply::bytes(page).status(500))]).unwrap();
    let Err(Error::Status { code: 500, text, .. }) = search(&client(&replay), &cone(0.1)).result else { panic!() };
    assert_eq!(text, "Runtime Error: Server Error in '/portal'");
    // Asking is safe to repeat: once and two more times.
    assert_eq!(replay.seen().len(), 3);

    let replay = Replay::start(vec![Route::post("/api/v0/invoke", Reply::bytes(page))]).unwrap();
    let Err(Error::NotATable { what, .. }) = search(&client(&replay), &cone(0.1)).result else { panic!() };
    assert_eq!(what, "a web page titled 'Runtime Error'");

    let replay = Replay::start(vec![Route::post("/api/v0/invoke", Reply::bytes(""))]).unwrap();
    let Err(Error::NotATable { what, .. }) = search(&client(&replay), &cone(0.1)).result else { panic!() };
    assert_eq!(what, "an empty answer");

    assert!(matches!(search(&client(&replay), &cone(-1.0)).result, Err(Error::Position(_))));
}

#[test]
fn a_cut_answer_of_mast_keeps_its_rows() {
    let whole = fixture("mast/caom.json");
    let half = whole.body.len() / 2;
    for reply in [whole.clone().manner(Manner::Cut { after: half }), whole.manner(Manner::Cut { after: half }).unsized_body()] {
        let replay = Replay::start(vec![Route::post("/api/v0/invoke", reply)]).unwrap();
        let heard = search(&client(&replay), &cone(0.1));
        let Err(Error::CutOff { rows, service }) = heard.result else { panic!("{:?}", heard.result) };
        assert!((5..19).contains(&rows) && rows == heard.table.rows(), "{rows}");
        assert_eq!(cell(&heard.table, 0, "obsid"), Value::Int(2_003_585_980));
        assert_eq!(service, "MAST");
    }
}

#[test]
fn a_second_page_that_breaks_keeps_the_first() {
    let whole: serde_json::Value = serde_json::from_slice(&fixture("mast/caom.json").body).unwrap();
    let replay = Replay::start(vec![
        Route::new("POST", "/api/v0/invoke", |seen: &Seen, _| {
            (seen.mast()["page"] == 3).then(|| Reply::bytes("").manner(Manner::Hangup))
        }),
        Route::paged("/api/v0/invoke", whole, Manner::Whole),
    ])
    .unwrap();
    let client = Client::new(Services { page_size: 6, ..settings(&replay.base()) }).unwrap();
    let heard = search(&client, &cone(0.1));
    assert!(matches!(heard.result, Err(Error::Network { .. })), "{:?}", heard.result);
    assert_eq!(heard.table.rows(), 12);
}

// ---------------------------------------------------------------------------------------- waiting

#[test]
fn silence_ends_as_a_timeout() {
    let replay = Replay::start(vec![
        Route::post("/api/v0/invoke", Reply::bytes("").manner(Manner::Silent)),
        Route::post("/tap/sync", fixture("vo/tap/obscore-image.xml").manner(Manner::Stalled { after: 9000 })),
    ])
    .unwrap();
    let client = Client::new(Services { timeout_s: 0.4, ..settings(&replay.base()) }).unwrap();
    let start = Instant::now();
    let Err(e @ Error::Timeout { .. }) = search(&client, &cone(0.1)).result else { panic!() };
    assert!(e.to_string().starts_with("MAST sent nothing for"), "{e}");
    assert!(start.elapsed() < Duration::from_secs(2));
    // Silence in the middle of an answer counts as well.
    let Err(Error::Timeout { .. }) = search(&client, &tap(&replay.base(), "SELECT 1")).result else { panic!() };
}

#[test]
fn a_search_ends_at_once_when_it_is_cancelled() {
    let slow = Manner::Slow { chunk: 200, delay: Duration::from_millis(400) };
    let page = fixture("mast/caom.json").manner(slow);
    let job = Reply::redirect(303, "/tap/async/1337");
    let executing = fixture("vo/uws/casda-run_job.xml");
    let replay = Replay::start(vec![
        Route::post("/api/v0/invoke", page),
        Route::post("/silent/sync", Reply::bytes("").manner(Manner::Silent)),
        Route::post("/tap/async/1337/phase", Reply::redirect(303, "/tap/async/1337")),
        Route::post("/tap/async", job),
        Route::get("/tap/async/1337", executing),
        Route::new("DELETE", "/tap/async/1337", |_, _| Some(Reply::bytes(""))),
    ])
    .unwrap();
    let client = client(&replay);
    let silent = Request::Tap {
        base: format!("{}/silent", replay.base()),
        adql: "x".into(),
        asynchronous: false,
        max_rows: None,
        uploads: vec![],
    };
    for request in [cone(0.1), silent, tap_async(&replay.base())] {
        let stop = AtomicBool::new(false);
        let ended = std::thread::scope(|scope| {
            let search = scope.spawn(|| {
                let result = client.search(&request, &|| stop.load(Ordering::Relaxed), &mut |_| {});
                (result, Instant::now())
            });
            std::thread::sleep(Duration::from_millis(300));
            let asked = Instant::now();
            stop.store(true, Ordering::Relaxed);
            let (result, at) = search.join().unwrap();
            assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
            at.duration_since(asked)
        });
        assert!(ended < Duration::from_millis(200), "{request:?}: {ended:?}");
    }
    // The job was ended and removed on the server.
    std::thread::sleep(Duration::from_millis(200));
    let seen = replay.seen();
    assert!(seen.iter().any(|s| s.path().ends_with("/phase") && s.form("PHASE").as_deref() == Some("ABORT")));
    assert!(seen.iter().any(|s| s.method == "DELETE"));
}

#[test]
fn rows_appear_while_later_bytes_are_still_coming() {
    // 1,273 photons four times over: batches of 2,000 rows leave before the end.
    let body = String::from_utf8(fixture("vo/tap/obscore-image.xml").body).unwrap();
    let (start, end) = (body.find("<TR>").unwrap(), body.rfind("</TR>").unwrap() + 5);
    let long = format!("{}{}{}", &body[..start], body[start..end].repeat(700), &body[end..]);
    let (chunk, whole) = (long.len() / 10, long.len() as u64);
    let (replay, client) = tap_server(Reply::bytes(long).manner(Manner::Slow { chunk, delay: Duration::from_millis(30) }));
    let (first, bytes) = (Cell::new(None), Cell::new(0));
    let answer = client
        .search(&tap(&replay.base(), "SELECT *"), GO_ON, &mut |event| match event {
            Event::Rows(_) if first.get().is_none() => first.set(Some(bytes.get())),
            Event::Progress { done, of, stage } if stage == "bytes" => bytes.set(done.min(of.unwrap_or(0))),
            _ => {}
        })
        .unwrap();
    assert_eq!(answer.rows, 7000);
    assert!(first.get().unwrap() < whole * 8 / 10, "{first:?} of {whole}");
    assert!(bytes.get() > 0);
}

#[test]
fn busy_services_are_tried_again_as_they_ask() {
    let busy = Reply::bytes("slow down").status(503).header("Retry-After", "1");
    let replay =
        Replay::start(vec![Route::sequence("POST", "/tap/sync", vec![busy.clone(), fixture("vo/dal/dataset.xml")])]).unwrap();
    let start = Instant::now();
    let heard = search(&client(&replay), &tap(&replay.base(), "SELECT 1"));
    assert_eq!(heard.table.rows(), 3);
    assert!(start.elapsed() >= Duration::from_secs(1));
    // An hour is longer than anyone waits.
    let replay = Replay::start(vec![Route::post("/tap/sync", busy.header("Retry-After", "3600"))]).unwrap();
    let _ = replay;
    let hour = Reply::bytes("come back").status(429).header("Retry-After", "3600");
    let (replay, client) = tap_server(hour);
    let Err(Error::Status { code: 429, text, .. }) = search(&client, &tap(&replay.base(), "x")).result else { panic!() };
    assert_eq!((text.as_str(), replay.seen().len()), ("come back; it asks to be left alone for 60 min", 1));
}

#[test]
fn a_service_that_is_not_there_is_named() {
    let base = {
        let replay = Replay::start(vec![]).unwrap();
        replay.base()
    };
    let client = Client::new(Services { retries: 1, pause_s: 0.01, ..Services::default() }).unwrap();
    let Err(Error::Network { service, advice, .. }) = search(&client, &tap(&base, "SELECT 1")).result else { panic!() };
    assert!(service.starts_with("127.0.0.1:") && advice.contains("address"), "{service} {advice}");
    let Err(e) = search(&client, &tap("ftp://x", "SELECT 1")).result else { panic!() };
    assert!(e.to_string().contains("http"), "{e}");
    let Err(e) = search(&client, &tap("nonsense", "SELECT 1")).result else { panic!() };
    assert!(e.to_string().contains("nonsense"), "{e}");
}

#[test]
fn redirects_keep_what_was_posted() {
    for (status, keeps) in [(307, true), (308, true), (303, false)] {
        let replay = Replay::start(vec![
            Route::post("/tap/sync", Reply::redirect(status, "/moved/answer")),
            Route::post("/moved", fixture("vo/dal/dataset.xml")),
            Route::get("/moved", fixture("vo/dal/dataset.xml")),
        ])
        .unwrap();
        let heard = search(&client(&replay), &tap(&replay.base(), "SELECT a"));
        assert_eq!(heard.table.rows(), 3, "{status}");
        let last = replay.seen().pop().unwrap();
        assert_eq!((last.method.as_str(), last.form("QUERY").is_some()), if keeps { ("POST", true) } else { ("GET", false) });
    }
    let replay = Replay::start(vec![Route::post("/tap/sync", Reply::redirect(307, "/tap/sync"))]).unwrap();
    let Err(e) = search(&client(&replay), &tap(&replay.base(), "x")).result else { panic!() };
    assert!(e.to_string().contains("without end"), "{e}");
}

// ---------------------------------------------------------------------------------------- TAP

#[test]
fn tap_reads_gaia_and_simbad() {
    let (replay, client) = tap_server(fixture("vo/tap/gaia-1714556098855O-result.vot"));
    let heard = search(&client, &tap(&replay.base(), "SELECT TOP 20 * FROM gaiadr3.gaia_source"));
    assert_eq!((heard.table.rows(), heard.table.columns().len()), (1, 152));
    assert_eq!(cell(&heard.table, 0, "source_id"), Value::Int(5_929_246_508_730_155_392));
    for null in ["pseudocolour", "vbroad", "rvs_spec_sig_to_noise"] {
        assert_eq!(cell(&heard.table, 0, null), Value::Null, "{null}");
    }
    let seen = &replay.seen()[0];
    let field = |k: &str| seen.form(k).unwrap_or_default();
    assert_eq!((field("REQUEST").as_str(), field("LANG").as_str()), ("doQuery", "ADQL"));
    assert_eq!(field("QUERY"), "SELECT TOP 20 * FROM gaiadr3.gaia_source");

    let (replay, client) = tap_server(fixture("vo/tap/simbad_basic_columns.xml"));
    let heard = search(&client, &tap(&replay.base(), "SELECT 1"));
    assert_eq!(heard.table.rows(), 67);
    assert_eq!(text(&heard.table, 0, "ucd"), "pos.eq.dec;meta.main");

    let (replay, client) = tap_server(fixture("vo/tap/gaia-job_results.xml"));
    let heard = search(&client, &tap(&replay.base(), "SELECT 1"));
    assert_eq!((heard.table.rows(), heard.table.columns().len()), (5, 57));

    if let Some(reply) = beside("mast/tap_results.vot") {
        let (replay, client) = tap_server(reply);
        let heard = search(&client, &tap(&replay.base(), "SELECT 1"));
        assert_eq!((heard.table.rows(), heard.table.columns().len()), (2, 125));
        assert_eq!(cell(&heard.table, 0, "id"), Value::Int(427_705_539));
        assert_eq!(cell(&heard.table, 0, "hip"), Value::Null);
        assert_eq!(text(&heard.table, 0, "gaia"), "4105175444309589248");
    }
}

#[test]
fn a_compressed_document_is_unpacked() {
    // As a file of a server that does not say so in its headers, and as the content encoding of a proxy.
    for reply in
        [fixture("vo/tap/tapplus-result_1.vot.gz"), fixture("vo/tap/tapplus-result_1.vot.gz").header("Content-Encoding", "gzip")]
    {
        let (replay, client) = tap_server(reply);
        let heard = search(&client, &tap(&replay.base(), "SELECT 1"));
        heard.result.unwrap();
        assert_eq!(cell(&heard.table, 0, "source_id"), Value::Int(4_651_515_861_503_587_200));
    }
}

#[test]
fn fifty_thousand_rows_of_mast_do_not_take_long() {
    let recorded: serde_json::Value = serde_json::from_slice(&fixture("mast/caom.json").body).unwrap();
    let rows = recorded["data"].as_array().unwrap().iter().map(serde_json::Value::to_string).collect::<Vec<_>>().join(",");
    let body = format!(
        r#"{{"status":"COMPLETE","msg":"","data":[{}],"fields":{},"paging":{{"pagesFiltered":1,"rowsTotal":50008}}}}"#,
        vec![rows; 2632].join(","),
        recorded["fields"]
    );
    let megabytes = body.len() as f64 / 1e6;
    let replay = Replay::start(vec![Route::post("/api/v0/invoke", Reply::bytes(body))]).unwrap();
    let heard = search(&client(&replay), &cone(0.1));
    let seconds = heard.result.unwrap().seconds;
    assert_eq!(heard.table.rows(), 50_008);
    eprintln!("{megabytes:.0} MB in {seconds:.2} s");
    assert!(seconds < 30.0, "{seconds}");
}

#[test]
fn tap_says_when_it_cut_and_when_it_failed() {
    let (replay, client) = tap_server(fixture("vo/dal/overflowstatus.xml"));
    let heard = search(&client, &tap(&replay.base(), "SELECT 1"));
    assert_eq!(heard.table.rows(), 3);
    assert!(heard.result.unwrap().truncated);

    // ERROR wins over the table beside it.
    let (replay, client) = tap_server(fixture("vo/dal/errorstatus.xml"));
    let heard = search(&client, &tap(&replay.base(), "SELECT 1"));
    assert!(matches!(heard.result, Err(Error::Service { .. })), "{:?}", heard.result);
    assert_eq!(heard.table.rows(), 0);

    for name in ["dataset", "firstresource", "rootinfo"] {
        let (replay, client) = tap_server(fixture(&format!("vo/dal/{name}.xml")));
        let heard = search(&client, &tap(&replay.base(), "SELECT 1"));
        assert_eq!((heard.table.rows(), heard.table.columns().len()), (3, 2), "{name}");
        assert!(!heard.result.unwrap().truncated);
    }
    let (replay, client) = tap_server(fixture("vo/dal/missingtable.xml"));
    assert!(matches!(search(&client, &tap(&replay.base(), "SELECT 1")).result, Err(Error::NotATable { .. })));

    // An ADQL error comes with status 400 and a document.
    let document = "<?xml version='1.0'?><VOTABLE><RESOURCE type='results'><INFO name='QUERY_STATUS' value='ERROR'>\
        Unknown column \"colour\" at line 1, column 8</INFO></RESOURCE></VOTABLE>";
    let (replay, client) = tap_server(Reply::bytes(document).status(400));
    let Err(Error::Service { message, .. }) = search(&client, &tap(&replay.base(), "SELECT colour")).result else { panic!() };
    assert_eq!((message.as_str(), replay.seen().len()), ("Unknown column \"colour\" at line 1, column 8", 1));
    // MAST's TAP says it in JSON.
    let json = r#"{"detail":[{"loc":["query","maxrec"],"msg":"value is not a valid integer","type":"type_error.integer"}]}"#;
    let (replay, client) = tap_server(Reply::bytes(json).status(422));
    let Err(Error::Service { message, .. }) = search(&client, &tap(&replay.base(), "x")).result else { panic!() };
    assert_eq!(message, "maxrec: value is not a valid integer");
    // A proxy in between says it in HTML, with status 200 even.
    let html = "<html><head><title>Service down for maintenance</title></head></html>";
    let (replay, client) = tap_server(Reply::bytes(html));
    let Err(e) = search(&client, &tap(&replay.base(), "x")).result else { panic!() };
    assert!(e.to_string().contains("a web page titled 'Service down for maintenance'"), "{e}");
    for (body, word) in [("", "an empty answer"), ("ERROR: no such table", "no such table")] {
        let (replay, client) = tap_server(Reply::bytes(body));
        let Err(Error::NotATable { what, .. }) = search(&client, &tap(&replay.base(), "x")).result else { panic!() };
        assert!(what.contains(word), "{what}");
    }
}

#[test]
fn a_cut_answer_of_tap_keeps_its_rows() {
    let whole = fixture("vo/tap/obscore-image.xml");
    let after = whole.body.len() * 2 / 3;
    for reply in [whole.clone().manner(Manner::Cut { after }), whole.manner(Manner::Cut { after }).unsized_body()] {
        let sized = reply.sized;
        let (replay, client) = tap_server(reply);
        let heard = search(&client, &tap(&replay.base(), "SELECT 1"));
        let Err(Error::CutOff { rows, .. }) = heard.result else { panic!("{sized} {:?}", heard.result) };
        assert!((1..10).contains(&rows) && heard.table.rows() == rows, "{sized} {rows}");
        assert_eq!(text(&heard.table, 0, "obs_id"), "potsdam/data/fits/POT032_000002E.fits");
    }
}

#[test]
fn max_rows_holds_even_where_the_service_does_not_know_it() {
    let (replay, client) = tap_server(fixture("vo/tap/obscore-image.xml"));
    let request = Request::Tap {
        base: format!("{}/tap", replay.base()),
        adql: "SELECT *".into(),
        asynchronous: false,
        max_rows: Some(4),
        uploads: vec![],
    };
    let heard = search(&client, &request);
    assert_eq!(heard.table.rows(), 4);
    assert!(heard.result.unwrap().truncated);
    assert_eq!(replay.seen()[0].form("MAXREC").as_deref(), Some("4"));
}

#[test]
fn tables_go_along_with_a_query() {
    let (replay, client) = tap_server(fixture("vo/dal/dataset.xml"));
    let request = Request::Tap {
        base: format!("{}/tap", replay.base()),
        adql: "SELECT * FROM TAP_UPLOAD.mine".into(),
        asynchronous: false,
        max_rows: None,
        uploads: vec![("mine".into(), fixtures().join("vo/dal/rootinfo.xml"))],
    };
    assert_eq!(search(&client, &request).table.rows(), 3);
    let seen = &replay.seen()[0];
    let kind = seen.header("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let body = String::from_utf8_lossy(&seen.body);
    assert!(body.ends_with(&format!("--{boundary}--\r\n")));
    assert!(body.contains("name=\"UPLOAD\"\r\n\r\nmine,param:table0\r\n"), "{body}");
    assert!(body.contains("name=\"table0\"; filename=\"mine.vot\"\r\nContent-Type: application/x-votable+xml\r\n\r\n<?xml"));
    assert!(body.contains("name=\"QUERY\"\r\n\r\nSELECT * FROM TAP_UPLOAD.mine\r\n"));
}

#[test]
fn tap_counts() {
    let document = "<VOTABLE><RESOURCE type='results'><TABLE><FIELD name='n' datatype='long'/><DATA><TABLEDATA><TR><TD>1811709771</TD></TR>\
        </TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>";
    let (replay, client) = tap_server(Reply::bytes(document));
    assert_eq!(client.count(&tap(&replay.base(), "SELECT * FROM gaiadr3.gaia_source;"), GO_ON).unwrap(), 1_811_709_771);
    assert_eq!(replay.seen()[0].form("QUERY").unwrap(), "SELECT COUNT(*) AS n FROM (SELECT * FROM gaiadr3.gaia_source) AS q");
}

#[test]
fn an_asynchronous_query_goes_through_its_phases() {
    let replay = Replay::start(vec![
        Route::post("/tap/async/1337/phase", Reply::redirect(303, "/tap/async/1337")),
        Route::post("/tap/async", Reply::redirect(303, "/tap/async/1337")),
        Route::get("/tap/async/1337/results/result", fixture("vo/tap/gaia-job_1.vot")),
        Route::sequence(
            "GET",
            "/tap/async/1337",
            vec![fixture("vo/uws/casda-run_job.xml"), fixture("vo/uws/casda-run_job.xml"), fixture("vo/uws/job.xml")],
        ),
    ])
    .unwrap();
    let heard = search(&client(&replay), &tap_async(&replay.base()));
    let answer = heard.result.unwrap();
    assert_eq!(answer.job_url.as_deref(), Some(format!("{}/tap/async/1337", replay.base()).as_str()));
    assert_eq!((heard.table.rows(), cell(&heard.table, 0, "alpha")), (3, Value::Float(1.0)));
    assert!(heard.notes.iter().any(|n| n.contains("/tap/async/1337")));
    let seen = replay.seen();
    assert_eq!(seen[0].form("QUERY").as_deref(), Some("SELECT 1"));
    assert_eq!((seen[1].path(), seen[1].form("PHASE").as_deref()), ("/tap/async/1337/phase", Some("RUN")));
    assert!(seen[2].query("WAIT").is_some());
    assert_eq!(seen.len(), 6);
}

#[test]
fn a_job_is_found_again_by_its_address_after_a_lost_connection() {
    let result = fixture("vo/tap/obscore-image.xml");
    let cut = result.clone().manner(Manner::Cut { after: result.body.len() * 2 / 3 });
    let replay = Replay::start(vec![
        Route::post("/tap/async/1337/phase", Reply::redirect(303, "/tap/async/1337")),
        Route::post("/tap/async", Reply::redirect(303, "/tap/async/1337")),
        Route::sequence("GET", "/tap/async/1337/results/result", vec![cut, result]),
        Route::get("/tap/async/1337", fixture("vo/uws/job.xml")),
    ])
    .unwrap();
    let client = client(&replay);
    let heard = search(&client, &tap_async(&replay.base()));
    let job = format!("{}/tap/async/1337", replay.base());
    let error = heard.result.unwrap_err();
    let Error::JobLeft { job: left, source } = &error else { panic!("{error}") };
    assert_eq!(left, &job);
    assert!(matches!(**source, Error::CutOff { rows, .. } if rows == heard.table.rows() && rows > 0), "{source}");
    assert!(error.to_string().ends_with(&job) && error.to_string().contains("still on the server"), "{error}");
    // Its address as the query: no new job, no new start.
    let before = replay.seen().len();
    let again = Request::Tap {
        base: format!("{}/tap", replay.base()),
        adql: format!("{job}\n"),
        asynchronous: false,
        max_rows: None,
        uploads: vec![],
    };
    let heard = search(&client, &again);
    assert_eq!(heard.result.unwrap().job_url.as_deref(), Some(job.as_str()));
    assert_eq!(heard.table.rows(), 10);
    assert!(replay.seen()[before..].iter().all(|s| s.method == "GET"));
    // A job that is gone.
    let gone = Request::Tap {
        base: String::new(),
        adql: format!("{}/elsewhere/async/9", replay.base()),
        asynchronous: true,
        max_rows: None,
        uploads: vec![],
    };
    let said = search(&client, &gone).result.unwrap_err().to_string();
    assert!(said.contains("knows no job") && said.contains("send the query again"), "{said}");
}

#[test]
fn a_job_that_fails_says_why() {
    let routes = |error: Reply| {
        vec![
            Route::post("/tap/async/1337/phase", Reply::redirect(303, "/tap/async/1337")),
            Route::post("/tap/async", Reply::redirect(303, "/tap/async/1337")),
            Route::get("/tap/async/1337/error", error),
            Route::get("/tap/async/1337", fixture("vo/uws/job-error.xml")),
        ]
    };
    let detail = "<VOTABLE><RESOURCE type='results'><INFO name='QUERY_STATUS' value='ERROR'>Out of memory in row 7</INFO></RESOURCE></VOTABLE>";
    for (error, words) in [(Reply::bytes("").status(404), "We have problem"), (Reply::bytes(detail), "Out of memory in row 7")] {
        let replay = Replay::start(routes(error)).unwrap();
        let Err(Error::Service { message, .. }) = search(&client(&replay), &tap_async(&replay.base())).result else { panic!() };
        assert_eq!(message, words);
    }
    // A query that is refused at once makes no job, and is not sent a second time.
    let document = "<VOTABLE><RESOURCE><INFO name='QUERY_STATUS' value='ERROR'>Encountered \"SELEC\"</INFO></RESOURCE></VOTABLE>";
    for status in [200, 400, 500] {
        let replay = Replay::start(vec![Route::post("/tap/async", Reply::bytes(document).status(status))]).unwrap();
        let Err(Error::Service { message, .. }) = search(&client(&replay), &tap_async(&replay.base())).result else { panic!() };
        assert_eq!((message.as_str(), replay.seen().len()), ("Encountered \"SELEC\"", 1));
    }
    let replay = Replay::start(vec![Route::post("/tap/async", Reply::bytes("").manner(Manner::Hangup))]).unwrap();
    assert!(matches!(search(&client(&replay), &tap_async(&replay.base())).result, Err(Error::Network { .. })));
    assert_eq!(replay.seen().len(), 1);
}

#[test]
fn job_documents_of_all_kinds_are_read() {
    let job = |name: &str| asterism_archive::vo::parse_job(&String::from_utf8(fixture(name).body).unwrap());
    assert_eq!(job("vo/uws/job.xml").phase, "COMPLETED");
    assert_eq!(
        job("vo/uws/job.xml").results,
        [("result".to_owned(), "http://example.com/tap/async/1337/results/result".to_owned())]
    );
    let failed = job("vo/uws/job-error.xml");
    assert_eq!((failed.phase.as_str(), failed.error.as_deref()), ("ERROR", Some("We have problem")));
    let implicit = job("vo/uws/job-implicit-v1.0.xml");
    assert_eq!((implicit.phase.as_str(), implicit.results.len()), ("COMPLETED", 1));
    assert_eq!(job("vo/uws/casda-run_job.xml").phase, "EXECUTING");
    let casda = job("vo/uws/casda-completed_job.xml");
    assert_eq!((casda.phase.as_str(), casda.results[1].0.as_str()), ("COMPLETED", "cube-244"));
    assert!(casda.results[2].1.contains(".xml\"&X-Amz-Algorithm") || casda.results[2].1.contains("&X-Amz-Algorithm"));
    for name in ["job-with-typed-jobinfo", "job-with-duplicate-elements"] {
        assert_eq!(job(&format!("vo/uws/{name}.xml")).phase, "COMPLETED", "{name}");
    }
    for name in ["vo/old/arihip-tap-async.xml", "vo/old/arihip-tap-async-get.xml"] {
        if let Some(reply) = beside(name) {
            let job = asterism_archive::vo::parse_job(&String::from_utf8(reply.body).unwrap());
            assert_eq!(job.phase, if name.contains("get") { "COMPLETED" } else { "PENDING" });
        }
    }
}

#[test]
fn tables_of_a_service_come_from_its_schema_or_from_vosi() {
    let columns = fixture("vo/tap/simbad_basic_columns.xml");
    let tables = "<VOTABLE><RESOURCE type='results'><TABLE><FIELD name='table_name' datatype='char' arraysize='*'/>\
        <FIELD name='description' datatype='char' arraysize='*'/><DATA><TABLEDATA><TR><TD>basic</TD><TD>General data</TD></TR>\
        </TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>";
    let replay = Replay::start(vec![Route::new("POST", "/tap/sync", move |seen: &Seen, _| {
        let query = seen.form("QUERY").unwrap_or_default();
        Some(if query.contains("TAP_SCHEMA.columns") { columns.clone() } else { Reply::bytes(tables) })
    })])
    .unwrap();
    let schema = client(&replay).tap_tables(&format!("{}/tap", replay.base()), GO_ON).unwrap();
    assert_eq!((schema.tables[0].name.as_str(), schema.tables[0].description.as_str()), ("basic", "General data"));
    let dec = &schema.tables[0].columns[0];
    assert_eq!((dec.name.as_str(), dec.datatype.as_str(), dec.unit.as_str()), ("dec", "DOUBLE", "deg"));
    assert_eq!((dec.ucd.as_str(), dec.description.as_str()), ("pos.eq.dec;meta.main", "Declination"));
    assert_eq!(schema.tables.iter().map(|t| t.columns.len()).sum::<usize>(), 67);

    // No TAP_SCHEMA: the VOSI document.
    let replay = Replay::start(vec![Route::get("/tap/tables", fixture("vo/tap/gaia-tables.xml"))]).unwrap();
    let schema = client(&replay).tap_tables(&format!("{}/tap", replay.base()), GO_ON).unwrap();
    let names: Vec<_> = schema.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["external.apassdr9", "external.catwise2020", "external.gaiadr2_astrophysical_parameters"]);
    assert_eq!(schema.tables.iter().map(|t| t.columns.len()).sum::<usize>(), 181);
    assert!(schema.tables[0].description.starts_with("The AAVSO Photometric All-Sky Survey"));
    let replay = Replay::start(vec![Route::get("/tap/tables", fixture("vo/vosi/tables.xml"))]).unwrap();
    let schema = client(&replay).tap_tables(&format!("{}/tap", replay.base()), GO_ON).unwrap();
    assert_eq!((schema.tables[0].name.as_str(), schema.tables[0].columns[0].ucd.as_str()), ("test.all", "meta.id;meta.main"));
    assert_eq!(schema.tables[0].description, "All test data in one table");
}

// ---------------------------------------------------------------------------------------- cone, SIA, SSA

fn get_server(reply: Reply) -> (Replay, Client) {
    let replay = Replay::start(vec![Route::get("/service", reply)]).unwrap();
    let client = client(&replay);
    (replay, client)
}

fn cone_at(replay: &Replay, max_rows: Option<usize>) -> Request {
    let base = format!("{}/service?cat=ROSAT&VERB=3&", replay.base());
    Request::Cone { base, ra_deg: 78.0, dec_deg: 2.0, radius_deg: 0.5, max_rows }
}

#[test]
fn cone_search_reads_photons() {
    let (replay, client) = get_server(fixture("vo/scs/scs-result.xml"));
    let heard = search(&client, &cone_at(&replay, None));
    heard.result.unwrap();
    let t = &heard.table;
    assert_eq!((t.rows(), t.columns().len()), (1273, 9));
    assert_eq!((cell(t, 0, "raj2000"), cell(t, 0, "dej2000")), (Value::Float(77.6581), Value::Float(1.68358)));
    assert_eq!(text(t, 0, "id"), "1522124650242182041");
    assert_eq!(t.columns()[0].unit.as_deref(), Some("deg"));
    let seen = &replay.seen()[0];
    let query = |k: &str| seen.query(k).unwrap_or_default();
    assert_eq!([query("cat"), query("RA"), query("DEC"), query("SR")], ["ROSAT", "78", "2", "0.5"]);
    let heard = search(&client, &cone_at(&replay, Some(100)));
    assert_eq!(heard.table.rows(), 100);
    assert!(heard.result.unwrap().truncated);

    let (replay, client) = get_server(fixture("vo/catalog/irsa-Cone.xml"));
    let heard = search(&client, &cone_at(&replay, None));
    assert_eq!((heard.table.rows(), heard.table.columns().len()), (1, 45));
    let (replay, client) = get_server(fixture("vo/catalog/vizier-kang2010.xml"));
    let heard = search(&client, &cone_at(&replay, None));
    assert_eq!((heard.table.rows(), heard.table.columns().len()), (50, 22));
}

#[test]
fn old_error_documents_are_errors() {
    let mut cases = vec![
        (Some(fixture("vo/catalog/vizier-no_server_error.xml")), "The database is not currently reachable."),
        (Some(fixture("vo/catalog/ned-error.xml")), "No note found."),
    ];
    cases.push((beside("vo/old/error-sia.xml"), "Forced Fail"));
    cases.push((beside("vo/old/error2-cs.xml"), "DEC parameter out-of-range"));
    cases.push((beside("vo/old/error3-cs.xml"), "Forced Fail"));
    for (reply, words) in cases {
        let Some(reply) = reply else { continue };
        let (replay, client) = get_server(reply);
        let Err(Error::Service { message, .. }) = search(&client, &cone_at(&replay, None)).result else { panic!("{words}") };
        assert!(message.starts_with(words), "{message}");
    }
}

#[test]
fn images_and_spectra() {
    let (replay, client) = get_server(fixture("vo/sia1/sia1-dataset.xml"));
    let place = (288.95, 15.03, 0.1);
    let sia = |base: String| Request::Sia { base, ra_deg: place.0, dec_deg: place.1, radius_deg: place.2, max_rows: None };
    let heard = search(&client, &sia(format!("{}/service", replay.base())));
    assert_eq!((heard.table.rows(), cell(&heard.table, 0, "accsize")), (2, Value::Int(153_280)));
    let seen = &replay.seen()[0];
    assert_eq!((seen.query("POS").as_deref(), seen.query("SIZE").as_deref()), (Some("288.95,15.03"), Some("0.2")));

    let (replay, client) = get_server(fixture("vo/sia2/sia2-dataset.xml"));
    let heard = search(&client, &sia(format!("{}/service/sia2/v2query", replay.base())));
    assert_eq!((heard.table.rows(), heard.table.columns().len()), (1, 34));
    assert_eq!(replay.seen()[0].query("POS").as_deref(), Some("CIRCLE 288.95 15.03 0.1"));

    let (replay, client) = get_server(fixture("vo/ssa/ssa-result.xml"));
    let ssa =
        Request::Ssa { base: format!("{}/service", replay.base()), ra_deg: 180.0, dec_deg: 1.0, radius_deg: 0.1, max_rows: None };
    let heard = search(&client, &ssa);
    assert_eq!((heard.table.rows(), heard.table.columns().len()), (36, 33));
    assert_eq!(replay.seen()[0].query("REQUEST").as_deref(), Some("queryData"));
    assert_eq!(cell(&heard.table, 0, "DataLength"), Value::Int(4000));
}

// ---------------------------------------------------------------------------------------- products

#[test]
fn products_are_fetched_once_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let mut fits = b"SIMPLE  =                    T / conforms".to_vec();
    fits.resize(2880 * 40, b' ');
    let whole = fits.clone();
    let replay = Replay::start(vec![
        Route::new("GET", "/api/v0.1/Download/file", move |seen: &Seen, _| {
            let uri = seen.query("uri").unwrap_or_default();
            Some(match uri.as_str() {
                "mast:HST/product/good.fits" => Reply::bytes(whole.clone()),
                "mast:HST/product/cut.fits" => Reply::bytes(whole.clone()).manner(Manner::Cut { after: 5000 }),
                "mast:HST/product/page.fits" => Reply::bytes("<html><head><title>Sign in</title></head></html>"),
                "mast:HST/product/json.fits" => Reply::bytes(r#"{"status":"ERROR","msg":"No such file"}"#),
                "mast:HST/product/empty.fits" => Reply::bytes(""),
                _ => Reply::bytes("exclusive access").status(401),
            })
        }),
        Route::get("/previews/x.jpg", Reply::bytes([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3])),
    ])
    .unwrap();
    let client = Client::new(Services { cache: Some(folder.path().into()), ..settings(&replay.base()) }).unwrap();
    let (mut last, mut of) = (0, None);
    let mut progress = |done: u64, all: Option<u64>| (last, of) = (done, all);
    let path = client.fetch("mast:HST/product/good.fits", GO_ON, &mut progress).unwrap();
    assert_eq!((last, of), (fits.len() as u64, Some(fits.len() as u64)));
    assert_eq!(std::fs::read(&path).unwrap(), fits);
    assert!(path.file_name().unwrap().to_str().unwrap().ends_with("-good.fits"));
    assert_eq!(client.fetch("mast:HST/product/good.fits", GO_ON, &mut |_, _| {}).unwrap(), path);
    assert_eq!(replay.seen().len(), 1);
    assert_eq!(client.fetch(path.to_str().unwrap(), GO_ON, &mut |_, _| {}).unwrap(), path);
    client.fetch(&format!("{}/previews/x.jpg", replay.base()), GO_ON, &mut |_, _| {}).unwrap();

    let error = |uri: &str| client.fetch(uri, GO_ON, &mut |_, _| {}).unwrap_err();
    let before = replay.seen().len();
    assert!(matches!(error("mast:HST/product/cut.fits"), Error::Network { .. }));
    assert_eq!(replay.seen().len() - before, 3);
    assert!(error("mast:HST/product/page.fits").to_string().contains("Sign in"));
    assert_eq!(error("mast:HST/product/json.fits").to_string(), "MAST says: No such file");
    assert!(matches!(error("mast:HST/product/empty.fits"), Error::NotATable { .. }));
    let refused = error("mast:JWST/product/mine.fits");
    assert!(matches!(refused, Error::Status { code: 401, .. }) && refused.to_string().contains("MAST_API_TOKEN"), "{refused}");
    // Nothing half-written stays.
    let names = |dir: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(dir)
            .unwrap()
            .flat_map(|d| std::fs::read_dir(d.unwrap().path()).unwrap())
            .map(|f| f.unwrap().path())
            .collect()
    };
    assert_eq!(names(folder.path()).len(), 2, "{:?}", names(folder.path()));
}

#[test]
fn the_cache_of_products_keeps_to_its_limit() {
    let mut body = format!("{:<80}", "SIMPLE  =                    T").into_bytes();
    body.resize(2880, b' ');
    let replay = Replay::start(vec![Route::get("/files", Reply::bytes(body))]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let services = Services { cache: Some(folder.path().to_path_buf()), cache_gb: 7e-6, ..settings(&replay.base()) };
    let client = Client::new(services).unwrap();
    let fetch = |n: usize| client.fetch(&format!("{}/files/{n}.fits", replay.base()), GO_ON, &mut |_, _| {}).unwrap();
    let age = |path: &Path, minutes: u64| {
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(60 * minutes)).unwrap();
    };
    let (first, second) = (fetch(1), fetch(2));
    age(&first, 60);
    age(&second, 50);
    // Used again: now the second is the one used longest ago.
    assert_eq!(fetch(1), first);
    let third = fetch(3);
    assert!(first.exists() && !second.exists() && third.exists());
    assert_eq!(replay.seen().len(), 3);
}
