//! Missions, searches in parts, links, images, the registry, cut-outs and jobs, against recorded answers on loopback.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use asterism_archive::cutout::CutoutFormat;
use asterism_archive::datalink::parse_service_descriptors;
use asterism_archive::replay::{Manner, Replay, Reply, Route, Seen};
use asterism_archive::{Answer, Client, Error, Event, Filter, Kind, Plan, Request, Services};
use asterism_data::{Cell as Value, Table};
use serde_json::json;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

fn fixture(name: &str) -> Reply {
    let reply = Reply::file(fixtures().join(name));
    assert_eq!(reply.status, 200, "{name} is missing");
    reply
}

fn beside(name: &str) -> Option<Reply> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures").join(name);
    if !path.exists() {
        eprintln!("skipped: {name} is not beside the project");
        return None;
    }
    Some(Reply::file(path))
}

fn settings(base: &str) -> Services {
    Services { timeout_s: 5.0, retries: 1, pause_s: 0.01, poll_s: 0.02, saved: vec![], ..Services::at(base) }
}

fn client(replay: &Replay) -> Client {
    Client::new(settings(&replay.base())).unwrap()
}

const GO_ON: &dyn Fn() -> bool = &|| false;

fn search(client: &Client, request: &Request) -> (asterism_archive::Result<Answer>, Table, Vec<Plan>) {
    let (mut table, mut plans) = (Table::default(), Vec::new());
    let result = client.search(request, GO_ON, &mut |event| match event {
        Event::Rows(rows) => table.append(&rows).unwrap(),
        Event::Plan(plan) => plans.push(plan),
        _ => {}
    });
    if let Ok(answer) = &result {
        assert_eq!(answer.rows, table.rows());
    }
    (result, table, plans)
}

fn cell(table: &Table, row: usize, column: &str) -> Value {
    table.cell(row, table.column_index(column).unwrap())
}

fn text(table: &Table, row: usize, column: &str) -> String {
    cell(table, row, column).to_string()
}

fn json_of(seen: &Seen) -> serde_json::Value {
    serde_json::from_slice(&seen.body).unwrap()
}

// ---------------------------------------------------------------------------------------- parts

/// A MAST with these observations (id, right ascension, declination, start) that breaks off above `wall` rows, and that reads numbers
/// to so many decimals.
fn mast_with_wall(rows: Vec<(i64, Option<f64>, Option<f64>, f64)>, wall: usize, decimals: usize) -> Route {
    Route::new("POST", "/api/v0/invoke", move |seen, _| {
        let request = seen.mast();
        let mut chosen: Vec<&(i64, Option<f64>, Option<f64>, f64)> = rows.iter().collect();
        for filter in request["params"]["filters"].as_array().into_iter().flatten() {
            let range = &filter["values"][0];
            let read = |v: &serde_json::Value| format!("{:.decimals$}", v.as_f64().unwrap()).parse::<f64>().unwrap();
            let (min, max) = (read(&range["min"]), read(&range["max"]));
            chosen.retain(|row| {
                let value = match filter["paramName"].as_str().unwrap() {
                    "s_ra" => row.1,
                    "s_dec" => row.2,
                    "t_min" => Some(row.3),
                    other => panic!("{other}"),
                };
                // Both borders belong to a range, as at MAST; nothing is between no value and anything.
                value.is_some_and(|v| min <= v && v <= max)
            });
        }
        if request["params"]["columns"] == "COUNT_BIG(*)" {
            let answer = json!({"status": "COMPLETE", "data": [{"Column1": chosen.len()}], "fields": [{"name": "Column1", "type": "string"}]});
            return Some(Reply::bytes(answer.to_string()));
        }
        if chosen.len() > wall {
            return Some(Reply::bytes("").manner(Manner::Hangup));
        }
        let size = request["pagesize"].as_u64().unwrap() as usize;
        let page = request["page"].as_u64().unwrap() as usize;
        let data: Vec<_> = chosen
            .iter()
            .skip((page - 1) * size)
            .take(size)
            .map(|r| json!({"obsid": r.0, "s_ra": r.1, "s_dec": r.2, "t_min": r.3}))
            .collect();
        let paging = json!({"pagesFiltered": chosen.len().div_ceil(size), "rowsFiltered": chosen.len()});
        let fields = json!([{"name": "obsid", "type": "string"}, {"name": "s_ra", "type": "float"}, {"name": "s_dec", "type": "float"}, {"name": "t_min", "type": "float"}]);
        Some(Reply::bytes(json!({"status": "COMPLETE", "data": data, "fields": fields, "paging": paging}).to_string()))
    })
}

fn everything() -> Request {
    Request::MastFiltered { filters: vec![], position: Some((120.0, 10.0, 30.0)), max_rows: None }
}

/// A crowd over the sky, and a field that was looked at over and over at one position; some rows on the borders of cells.
fn observations() -> Vec<(i64, Option<f64>, Option<f64>, f64)> {
    let mut rows: Vec<(i64, Option<f64>, Option<f64>, f64)> = (0..1200)
        .map(|i| (i, Some(f64::from(i as i32) * 0.3), Some(f64::from((i * 7 % 180) as i32) - 90.0), 50_000.0 + i as f64))
        .collect();
    rows.extend((0..1500).map(|i| (10_000 + i, Some(290.0), Some(44.5), 55_000.0 + i as f64)));
    // Borders of the first halvings.
    rows.extend((0..40).map(|i| (20_000 + i, Some(180.0), Some(if i % 2 == 0 { 0.0 } else { 45.0 }), 52_000.0)));
    rows
}

fn sorted_ids(table: &Table) -> Vec<i64> {
    let mut ids: Vec<i64> = table.f64s("obsid").unwrap().into_iter().map(|v| v as i64).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_search_above_the_wall_of_mast_goes_in_parts() {
    let rows = observations();
    let mut ids: Vec<i64> = rows.iter().map(|r| r.0).collect();
    ids.sort_unstable();
    let replay = Replay::start(vec![mast_with_wall(rows, 1000, 6)]).unwrap();
    let client = Client::new(Services { portal_rows: 1000, page_size: 400, ..settings(&replay.base()) }).unwrap();
    let (result, table, plans) = search(&client, &everything());
    let answer = result.unwrap();
    assert!(!answer.truncated && answer.warnings.is_empty(), "{:?}", answer.warnings);
    // Each row once, also those on the borders.
    assert_eq!(sorted_ids(&table), ids);
    let first = &plans[0];
    assert_eq!((first.total, first.unplaced, first.done()), (Some(ids.len() as u64), 0, 0));
    assert!(first.parts.len() > 4 && first.parts.iter().all(|p| p.rows <= Some(500)), "{first:?}");
    // The field that no cell parts was parted by time.
    assert!(first.parts.iter().any(|p| p.ranges[2] != [15_000.0, 95_000.0]));
    let last = plans.last().unwrap();
    assert_eq!(last.done(), last.parts.len());
    assert!(
        last.to_string().contains(&format!("{} parts", last.parts.len())) && last.words(&last.parts[0]).contains("rows, here")
    );
    // A wish for fewer rows than the wall needs no plan.
    let few = Request::MastFiltered { filters: vec![], position: Some((120.0, 10.0, 30.0)), max_rows: Some(100) };
    assert!(matches!(search(&client, &few).0, Err(Error::Network { .. })), "it is asked for as it is");
}

#[test]
fn a_search_in_parts_goes_on_where_it_stopped() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let broken = Arc::new(AtomicBool::new(true));
    let rows = observations();
    let all = rows.len();
    let gate = broken.clone();
    let breaks = Route::new("POST", "/api/v0/invoke", move |seen, _| {
        let request = seen.mast();
        // After the third part the connection is gone.
        let late = request["params"]["filters"]
            .as_array()
            .is_some_and(|f| f.iter().any(|f| f["paramName"] == "s_ra" && f["values"][0]["min"].as_f64().unwrap() >= 180.0));
        let counting = request["params"]["columns"] == "COUNT_BIG(*)";
        (late && !counting && gate.load(Ordering::Relaxed)).then(|| Reply::bytes("").manner(Manner::Hangup))
    });
    let replay = Replay::start(vec![breaks, mast_with_wall(rows, 1000, 6)]).unwrap();
    let client = Client::new(Services { portal_rows: 1000, page_size: 400, ..settings(&replay.base()) }).unwrap();
    let (result, mut table, _) = search(&client, &everything());
    let error = result.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("parts had come and are kept"), "{text}");
    let Error::PartsLeft { plan, .. } = error else { panic!("{text}") };
    assert!(plan.done() > 0 && plan.done() < plan.parts.len() && plan.rows_left() > Some(0));
    let before = table.rows();
    broken.store(false, Ordering::Relaxed);
    // Through a file, as a session keeps it: the ids are told anew.
    let kept = serde_json::to_string(&Request::Parts { plan: *plan }).unwrap();
    let Request::Parts { mut plan } = serde_json::from_str(&kept).unwrap() else { panic!() };
    plan.remember(&table);
    let asked = replay.seen().len();
    let (result, rest, _) = search(&client, &Request::Parts { plan });
    result.unwrap();
    assert_eq!(before + rest.rows(), all);
    table.append(&rest).unwrap();
    assert_eq!(sorted_ids(&table).windows(2).filter(|w| w[0] == w[1]).count(), 0);
    // Nothing was counted again.
    assert!(replay.seen()[asked..].iter().all(|s| s.mast()["params"]["columns"] != "COUNT_BIG(*)"));
}

#[test]
fn rows_without_a_place_are_told_of() {
    let mut rows = observations();
    // Calibrations: no position, but a time.
    rows.extend((0..30).map(|i| (30_000 + i, None, None, 51_000.0)));
    let all = rows.len();
    let replay = Replay::start(vec![mast_with_wall(rows, 1000, 20)]).unwrap();
    let client = Client::new(Services { portal_rows: 1000, page_size: 400, ..settings(&replay.base()) }).unwrap();
    let plan = client.plan(&everything(), None, GO_ON).unwrap();
    let placed: u64 = plan.parts.iter().filter_map(|p| p.rows).sum();
    let (result, table, _) = search(&client, &everything());
    let answer = result.unwrap();
    assert_eq!((table.rows() as u64 + plan.unplaced, placed + plan.unplaced), (all as u64, all as u64));
    assert_eq!(plan.unplaced > 0, answer.truncated);
}

/// A TAP service with a table of `n` rows over the sky that ends every answer at `limit` rows.
fn tap_with_limit(n: usize, limit: usize) -> Route {
    Route::new("POST", "/tap/sync", move |seen, _| {
        let adql = seen.form("QUERY").unwrap();
        let maxrec = seen.form("MAXREC").and_then(|m| m.parse::<usize>().ok()).unwrap_or(usize::MAX);
        // Conditions as this program writes them.
        let number = |column: &str, sign: &str| {
            let at = format!("{column} {sign} ");
            let texts =
                adql.match_indices(&at).map(|(i, _)| adql[i + at.len()..].split([' ', ')', '\n']).next().unwrap().to_owned());
            texts.map(|t| t.parse::<f64>().unwrap()).collect::<Vec<_>>()
        };
        let rows: Vec<(usize, f64, f64)> = (0..n)
            .map(|i| (i, i as f64 * 360.0 / n as f64, (i * 7 % 180) as f64 - 90.0))
            .filter(|(_, ra, dec)| {
                [("ra", ra), ("dec", dec)]
                    .into_iter()
                    .all(|(name, v)| number(name, ">=").iter().all(|min| v >= min) && number(name, "<").iter().all(|max| v < max))
            })
            .collect();
        let fields = |names: &[(&str, &str)]| -> String {
            names.iter().map(|(n, ucd)| format!("<FIELD name=\"{n}\" datatype=\"double\" ucd=\"{ucd}\"/>")).collect()
        };
        let (head, cells, over) = if adql.contains("COUNT(*)") {
            (fields(&[("n", "")]), format!("<TR><TD>{}</TD></TR>", rows.len()), false)
        } else {
            let most = limit.min(maxrec);
            // Twice the same row for each place: what is there twice stays twice.
            let cells = rows.iter().take(most).map(|(_, ra, dec)| format!("<TR><TD>{ra}</TD><TD>{dec}</TD></TR>")).collect();
            (fields(&[("ra", "pos.eq.ra;meta.main"), ("dec", "pos.eq.dec;meta.main")]), cells, rows.len() > most)
        };
        let end = if over { "<INFO name=\"QUERY_STATUS\" value=\"OVERFLOW\"/>" } else { "" };
        Some(Reply::bytes(format!(
            "<?xml version=\"1.0\"?><VOTABLE version=\"1.3\"><RESOURCE type=\"results\"><INFO name=\"QUERY_STATUS\" value=\"OK\"/><TABLE>{head}<DATA><TABLEDATA>{cells}</TABLEDATA></DATA></TABLE>{end}</RESOURCE></VOTABLE>"
        )))
    })
}

#[test]
fn a_query_of_tap_that_overflows_is_taken_up_in_parts() {
    let replay = Replay::start(vec![tap_with_limit(900, 200)]).unwrap();
    let client = client(&replay);
    let tap = |adql: &str| Request::Tap {
        base: format!("{}/tap", replay.base()),
        adql: adql.into(),
        asynchronous: false,
        max_rows: None,
        uploads: vec![],
    };
    let request = tap("SELECT * FROM t WHERE mag IS NOT NULL");
    assert!(client.goes_in_parts(&request));
    let (result, mut table, _) = search(&client, &request);
    assert!(result.unwrap().truncated);
    assert_eq!(table.rows(), 200);
    let mut plan = client.plan(&request, Some(&table), GO_ON).unwrap();
    assert_eq!((plan.total, plan.unplaced), (Some(900), 0));
    assert!(plan.parts.len() > 4 && plan.parts.iter().all(|p| p.rows <= Some(200)), "{plan:?}");
    plan.remember(&table);
    let (result, rest, _) = search(&client, &Request::Parts { plan });
    assert!(!result.unwrap().truncated);
    assert_eq!(rest.rows(), 700, "the rows that were here did not come again");
    table.append(&rest).unwrap();
    let mut ra = table.f64s("ra").unwrap();
    ra.sort_by(f64::total_cmp);
    assert_eq!(ra, (0..900).map(|i| f64::from(i) * 360.0 / 900.0).collect::<Vec<_>>());
    // What cannot be split says so.
    for adql in ["SELECT TOP 10 * FROM t", "SELECT a FROM t ORDER BY a", "SELECT a FROM t JOIN u USING (i)"] {
        assert!(!client.goes_in_parts(&tap(adql)));
        assert!(client.plan(&tap(adql), None, GO_ON).unwrap_err().to_string().contains("plain SELECT"), "{adql}");
    }
    let without = client.plan(&tap("SELECT a FROM t"), None, GO_ON).unwrap_err().to_string();
    assert!(without.contains("positions"), "{without}");
}

#[test]
fn the_input_catalogue_goes_in_parts_too() {
    let rows: Vec<(i64, f64, f64, f64)> =
        (0..900).map(|i| (1000 + i, 100.0 + i as f64 * 1e-5, 20.0, 5.0 + i as f64 * 0.01)).collect();
    let tic = Route::new("POST", "/api/v0/invoke", move |seen, _| {
        let request = seen.mast();
        let mut chosen = rows.clone();
        for filter in request["params"]["filters"].as_array().into_iter().flatten() {
            let (min, max) = (filter["values"][0]["min"].as_f64().unwrap(), filter["values"][0]["max"].as_f64().unwrap());
            chosen.retain(|r| {
                let v = match filter["paramName"].as_str().unwrap() {
                    "ra" => r.1,
                    "dec" => r.2,
                    "Tmag" => r.3,
                    other => panic!("{other}"),
                };
                min <= v && v <= max
            });
        }
        if request["params"]["columns"] == "COUNT_BIG(*)" {
            assert_eq!(request["service"], "Mast.Catalogs.Filtered.Tic.Position");
            let answer = json!({"status": "COMPLETE", "data": [{"Column1": chosen.len()}], "fields": []});
            return Some(Reply::bytes(answer.to_string()));
        }
        if chosen.len() > 400 {
            return Some(Reply::bytes("").manner(Manner::Hangup));
        }
        assert_eq!(request["service"], "Mast.Catalogs.Filtered.Tic.Position.Rows");
        let data: Vec<_> = chosen.iter().map(|r| json!({"ID": r.0, "ra": r.1, "dec": r.2, "Tmag": r.3})).collect();
        Some(Reply::bytes(json!({"status": "COMPLETE", "data": data, "fields": [], "paging": {"pagesFiltered": 1}}).to_string()))
    });
    let replay = Replay::start(vec![tic]).unwrap();
    let client = Client::new(Services { portal_rows: 400, page_size: 400, ..settings(&replay.base()) }).unwrap();
    let request = Request::MastCatalog {
        catalog: "tic".into(),
        ra_deg: 100.0,
        dec_deg: 20.0,
        radius_deg: 0.5,
        filters: vec![],
        max_rows: None,
    };
    let (result, table, plans) = search(&client, &request);
    assert!(!result.unwrap().truncated);
    assert_eq!(table.rows(), 900);
    let mut ids: Vec<f64> = table.f64s("ID").unwrap();
    ids.sort_by(f64::total_cmp);
    ids.dedup();
    assert_eq!(ids.len(), 900);
    assert!(plans[0].parts.len() > 4 && plans[0].axes[2].column == "Tmag", "{:?}", plans[0]);
}

#[test]
fn a_catalogue_that_cannot_count_is_covered_by_cones() {
    // Stars on a grid, denser in one corner; the service sends the first 60 of a cone.
    let mut stars: Vec<(i64, f64, f64)> = Vec::new();
    for i in 0..20 {
        for k in 0..20 {
            stars.push((i * 20 + k, 150.0 + (i as f64 - 9.5) * 0.01, (k as f64 - 9.5) * 0.01));
        }
    }
    stars.extend((0..300).map(|i| (1000 + i, 150.05 + (i % 20) as f64 * 5e-4, 0.05 + (i / 20) as f64 * 5e-4)));
    let inside: Vec<i64> = stars.iter().filter(|s| ((s.1 - 150.0).powi(2) + s.2.powi(2)).sqrt() <= 0.09).map(|s| s.0).collect();
    let hsc = Route::new("POST", "/api/v0/invoke", move |seen, _| {
        let params = &seen.mast()["params"];
        let get = |k: &str| params[k].as_f64().unwrap();
        let (ra, dec, radius) = (get("ra"), get("dec"), get("radius"));
        let near = stars.iter().filter(|s| ((s.1 - ra).powi(2) + (s.2 - dec).powi(2)).sqrt() <= radius);
        let cap = 60;
        let data: Vec<_> = near.take(cap).map(|s| json!({"MatchID": s.0, "MatchRA": s.1, "MatchDec": s.2})).collect();
        Some(Reply::bytes(json!({"status": "COMPLETE", "data": data, "fields": [], "paging": {"pagesFiltered": 1}}).to_string()))
    });
    let replay = Replay::start(vec![hsc]).unwrap();
    let client = Client::new(Services { catalog_rows: 60, ..settings(&replay.base()) }).unwrap();
    let request = Request::MastCatalog {
        catalog: "hsc".into(),
        ra_deg: 150.0,
        dec_deg: 0.0,
        radius_deg: 0.09,
        filters: vec![],
        max_rows: None,
    };
    let (result, mut table, _) = search(&client, &request);
    assert!(result.unwrap().truncated);
    let mut plan = client.plan(&request, Some(&table), GO_ON).unwrap();
    assert_eq!((plan.parts.len(), plan.total), (7, None));
    plan.remember(&table);
    let (result, rest, plans) = search(&client, &Request::Parts { plan });
    assert!(!result.unwrap().truncated);
    assert!(plans.last().unwrap().parts.len() > 7, "full cones were asked for in smaller ones");
    table.append(&rest).unwrap();
    let mut ids: Vec<i64> = table.f64s("MatchID").unwrap().into_iter().map(|v| v as i64).collect();
    ids.sort_unstable();
    let mut inside = inside;
    inside.sort_unstable();
    assert_eq!(ids, inside, "each star once, none from outside");
}

#[test]
fn parts_are_written_for_a_recipe_and_read_again() {
    let plan = Plan::of_texts(
        &everything(),
        &["s_ra=0..180; s_dec=..0".to_owned(), "s_ra=180..; t_min=50000.25..51000".to_owned(), String::new()],
    )
    .unwrap();
    assert!(plan.some && plan.parts.len() == 3 && plan.parts[2].ranges == plan.axes.iter().map(|a| a.whole).collect::<Vec<_>>());
    let texts: Vec<String> = plan.parts.iter().map(|p| plan.text_of(p)).collect();
    assert_eq!(texts, ["s_ra=..180; s_dec=..0", "s_ra=180..; t_min=50000.25..51000", ""]);
    assert_eq!(Plan::of_texts(&everything(), &texts).unwrap().parts, plan.parts);
    for bad in ["s_ra=a,b", "other=1..2", "cone=1 2"] {
        assert!(Plan::of_texts(&everything(), &[bad.to_owned()]).is_err(), "{bad}");
    }
}

// ---------------------------------------------------------------------------------------- missions

#[test]
fn a_mission_gives_its_own_columns() {
    let replay = Replay::start(vec![
        Route::post("/search/hst/api/v0.1/search", fixture("mast/mission_results.json")),
        Route::get("/search/util/api/v0.1/column_list", fixture("mast/mission_columns.json")),
    ])
    .unwrap();
    let client = client(&replay);
    let filters: Vec<Filter> = ["sci_instrume=STIS,ACS", "sci_aec=S"].map(|f| f.parse().unwrap()).into();
    let request = Request::Mission {
        mission: "HST".into(),
        position: Some((40.66963, -0.01328, 0.05)),
        filters,
        columns: vec!["sci_data_set_name".into(), "sci_ra".into()],
        max_rows: Some(10),
    };
    let (result, t, _) = search(&client, &request);
    let answer = result.unwrap();
    // 193 in all, as the service says; ten were wished for.
    assert!(answer.truncated && answer.warnings.is_empty(), "{answer:?}");
    assert_eq!((t.rows(), t.columns().len()), (10, 23));
    let meta = |name: &str| &t.columns()[t.column_index(name).unwrap()];
    assert_eq!((meta("sci_ra").unit.as_deref(), meta("sci_ra").ucd.as_deref()), (Some("deg"), Some("pos.eq.ra;meta.main")));
    assert_eq!(meta("ang_sep").unit.as_deref(), Some("deg"));
    assert!(meta("sci_data_set_name").description.as_deref().unwrap().contains("nine-character name"));
    // Blanks that pad are gone.
    for column in ["sci_instrume", "sci_aper_1234"] {
        for row in 0..t.rows() {
            let value = text(&t, row, column);
            assert_eq!(value, value.trim(), "{column}");
        }
    }
    // What was sent.
    let sent = json_of(&replay.seen_at("/search/hst")[0]);
    assert_eq!(sent["target"], json!(["40.66963 -0.01328"]));
    assert_eq!((sent["radius"].as_f64(), sent["radius_units"].as_str()), (Some(180.0), Some("arcseconds")));
    assert_eq!(sent["conditions"], json!([{"sci_instrume": "STIS,ACS"}, {"sci_aec": "S"}]));
    assert_eq!((sent["limit"].as_u64(), sent["offset"].as_u64()), (Some(10), Some(0)));
    assert_eq!(sent["select_cols"], json!(["sci_data_set_name", "sci_ra"]));
    // More than its service takes.
    let wide = Request::Mission {
        mission: "hst".into(),
        position: Some((1.0, 1.0, 2.0)),
        filters: vec![],
        columns: vec![],
        max_rows: None,
    };
    assert!(client.count(&wide, GO_ON).unwrap_err().to_string().contains("0.5 at most"));
    let nothing = Request::Mission { mission: "hst".into(), position: None, filters: vec![], columns: vec![], max_rows: None };
    assert!(matches!(search(&client, &nothing).0, Err(Error::Unsupported { .. })));
    let columns = client.mission_columns("hst", GO_ON).unwrap();
    let dataset = columns.iter().find(|c| c.name == "sci_data_set_name").unwrap();
    assert!(dataset.queryable && dataset.default && dataset.title == "Dataset");
    assert!(!columns[0].queryable);
}

#[test]
fn pages_of_a_mission_go_by_offset() {
    let page = |seen: &Seen, _: usize| {
        let asked = json_of(seen);
        let (offset, limit) = (asked["offset"].as_u64().unwrap(), asked["limit"].as_u64().unwrap());
        let rows: Vec<_> =
            (offset..(offset + limit).min(1733)).map(|i| json!({"fileSetName": format!("jw{i:05}"), "n": i})).collect();
        let info = json!([{"name": "fileSetName", "type": "VARCHAR(60)"}, {"name": "n", "type": "INTEGER"}]);
        Some(Reply::bytes(json!({"info": info, "results": rows, "totalResults": 1733, "messages": ["one thing"]}).to_string()))
    };
    let replay = Replay::start(vec![Route::new("POST", "/search/jwst/api/v0.1/search", page)]).unwrap();
    let client = Client::new(Services { page_size: 1000, ..settings(&replay.base()) }).unwrap();
    let ask = |max_rows| Request::Mission {
        mission: "jwst".into(),
        position: None,
        filters: vec!["instrume=MIRI".parse().unwrap()],
        columns: vec![],
        max_rows,
    };
    let (result, t, _) = search(&client, &ask(None));
    assert!(!result.unwrap().truncated);
    let n = t.f64s("n").unwrap();
    assert!(n.iter().enumerate().all(|(i, v)| *v == i as f64) && n.len() == 1733);
    let sent: Vec<_> = replay.seen().iter().filter(|s| s.method == "POST").map(json_of).collect();
    let pages: Vec<_> = sent.iter().map(|s| (s["offset"].as_u64().unwrap(), s["limit"].as_u64().unwrap())).collect();
    assert_eq!(pages, [(0, 500), (500, 1000), (1500, 1000)]);
    assert!(sent.iter().all(|s| s["sort_by"] == json!(["fileSetName"])));
    let (result, t, _) = search(&client, &ask(Some(700)));
    assert!(t.rows() == 700 && result.unwrap().truncated);
}

#[test]
fn counts_and_files_of_a_mission() {
    let replay = Replay::start(vec![
        Route::post("/search/hst/api/v0.1/search", fixture("mast/mission_count_only.json")),
        Route::post("/search/hst/api/v0.1/post_list_products", fixture("mast/mission_products.json")),
    ])
    .unwrap();
    let client = client(&replay);
    let request = Request::Mission {
        mission: "hst".into(),
        position: Some((1.0, 2.0, 0.1)),
        filters: vec![],
        columns: vec![],
        max_rows: None,
    };
    let recorded: serde_json::Value = serde_json::from_slice(&fixture("mast/mission_count_only.json").body).unwrap();
    assert_eq!(client.count(&request, GO_ON).unwrap(), recorded["totalResults"].as_u64().unwrap());
    assert_eq!(json_of(&replay.seen()[0])["count_only"], true);

    let recorded: serde_json::Value = serde_json::from_slice(&fixture("mast/mission_products.json").body).unwrap();
    let (result, t, _) = search(&client, &Request::MissionProducts { mission: "hst".into(), datasets: vec!["Z14Z0104T".into()] });
    result.unwrap();
    assert_eq!(t.rows(), recorded["products"].as_array().unwrap().len());
    assert_eq!(text(&t, 0, "instrument_name"), "HRS");
    assert_eq!(cell(&t, 0, "size"), Value::Int(31_680));
    assert_eq!(
        text(&t, 0, "dataURI"),
        format!("{}/search/hst/api/v0.1/retrieve_product?product_name=Z14Z0104T%2Fz14z0104t_shf.fits", replay.base())
    );
    assert_eq!((text(&t, 0, "productFilename").as_str(), text(&t, 0, "obs_id").as_str()), ("z14z0104t_shf.fits", "Z14Z0104T"));
    assert_eq!(client.mission_download_url("iue", "IUE/a.fits"), client.download_url("mast:IUE/a.fits"));
    // A thousand and one data sets are two questions, and a file that comes twice is there once.
    let many: Vec<String> = (0..1001).map(|i| format!("d{i}")).collect();
    let before = replay.seen().len();
    assert_eq!(client.mission_products("hst", &many, GO_ON).unwrap().rows(), t.rows());
    let sizes: Vec<usize> = replay.seen()[before..].iter().map(|s| json_of(s)["dataset_ids"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [1000, 1]);
}

// ---------------------------------------------------------------------------------------- links, images, registry

#[test]
fn links_and_their_services_are_read() {
    let replay = Replay::start(vec![Route::get("/links", fixture("vo/datalink/datalink.xml"))]).unwrap();
    let links = client(&replay).datalink(&format!("{}/links?ID=a", replay.base()), GO_ON).unwrap();
    assert_eq!(links.links.len(), 4);
    let this = links.of("#this").next().unwrap();
    assert_eq!((this.content_type.as_str(), this.content_length), ("image/fits", Some(100_800)));
    assert!(links.links[0].leads_on() && !this.leads_on());
    assert_eq!(links.of("#preview").count(), 1);
    let proc = links.of("#proc").next().unwrap();
    let service = links.service(proc).unwrap();
    assert!(service.is_sync() && !service.is_links());
    let band = service.params.iter().find(|p| p.name == "BAND").unwrap();
    assert!(band.is_open() && band.xtype == "interval" && band.unit == "m");
    assert_eq!((band.min.as_deref(), band.max.as_deref()), (Some("4.01053e-07"), Some("6.792e-07")));
    let calib = service.params.iter().find(|p| p.name == "FLUXCALIB").unwrap();
    assert_eq!(calib.options, ["RELATIVE", "NORMALIZED"]);
    assert!(calib.description.starts_with("Recalibrate the spectrum."));
    let url = service.address(&[("BAND", "4.5e-7 5e-7")], &|_| None).unwrap();
    let url = reqwest_like(&url);
    assert_eq!(url[0], "http://dc.zah.uni-heidelberg.de/flashheros/q/sdl/dlget");
    assert_eq!(url[1..], ["ID=ivo://org.gavo.dc/~?flashheros/data/ca90/f0011.mt", "BAND=4.5e-7 5e-7"]);
    assert!(
        service.address(&[("COLOUR", "1")], &|_| None).unwrap_err().to_string().contains("it takes no 'COLOUR'; it takes ID")
    );
}

/// Address and decoded pairs.
fn reqwest_like(url: &str) -> Vec<String> {
    let (base, query) = url.split_once('?').unwrap();
    let seen = Seen { method: String::new(), target: url.into(), headers: vec![], body: vec![], at: std::time::Instant::now() };
    let keys = query.split('&').map(|p| p.split('=').next().unwrap().to_owned());
    std::iter::once(base.to_owned()).chain(keys.map(|k| format!("{k}={}", seen.query(&k).unwrap()))).collect()
}

#[test]
fn cut_outs_are_addressed_by_soda() {
    let text = String::from_utf8(fixture("vo/datalink/cutout1.xml").body).unwrap();
    let services = parse_service_descriptors(&text);
    assert_eq!(services.len(), 4);
    let sync: Vec<_> = services.iter().filter(|s| s.is_sync()).collect();
    assert_eq!(sync.len(), 2);
    let url = sync[0].circle(88.77, -67.78, 0.01).unwrap();
    let pairs = reqwest_like(&url);
    assert!(
        pairs.contains(&"CIRCLE=88.77 -67.78 0.01".to_owned()) && pairs.contains(&"ID=ad:MACHO/cal054150r.fits.fz".to_owned())
    );
    assert!(sync[0].circle(0.0, 95.0, 1.0).is_err());
    // A service beside a search's rows: the value of a column.
    let text = String::from_utf8(fixture("vo/datalink/datalink-obscore.xml").body).unwrap();
    let services = parse_service_descriptors(&text);
    assert!(services[0].is_links());
    let url = services[0].address(&[], &|column| (column == "caomPlaneURI").then(|| "ivo://a?b/c".into())).unwrap();
    assert!(reqwest_like(&url).contains(&"ID=ivo://a?b/c".to_owned()), "{url}");
    assert!(services[0].address(&[], &|_| None).unwrap_err().to_string().contains("caomPlaneURI"));
    // Documents that are broken.
    for i in (0..text.len()).step_by(97) {
        parse_service_descriptors(text.get(..i).unwrap_or(""));
    }
}

/// A SODA service that cuts by jobs: the first look finds it at work, the second done, with two files.
fn cutting(ends: &'static str) -> Replay {
    let job = move |seen: &Seen, n: usize| {
        let here = format!("http://{}/soda/async/7", seen.header("host").unwrap());
        let (phase, more) = match n {
            0 => ("EXECUTING", String::new()),
            _ if ends == "COMPLETED" => {
                let result = |i| format!("<uws:result id='{i}' xlink:href='{here}/results/{i}'/>");
                (ends, format!("<uws:results>{}{}</uws:results>", result(1), result(2)))
            }
            _ => (ends, "<uws:errorSummary><uws:message>no pixels there</uws:message></uws:errorSummary>".into()),
        };
        Reply::bytes(format!(
            "<uws:job xmlns:uws='http://www.ivoa.net/xml/UWS/v1.0' xmlns:xlink='http://www.w3.org/1999/xlink'>\
             <uws:jobId>7</uws:jobId><uws:phase>{phase}</uws:phase>{more}</uws:job>"
        ))
    };
    Replay::start(vec![
        Route::new("POST", "/soda/async/7/phase", |_, _| Some(Reply::redirect(303, "/soda/async/7"))),
        Route::new("POST", "/soda/async", |_, _| Some(Reply::redirect(303, "/soda/async/7"))),
        Route::new("GET", "/soda/async/7/results/", |seen, _| {
            let head = format!("{:<80}{:<80}", "SIMPLE  =                    T", "END");
            Some(Reply::bytes(format!("{head:<2880}{}", seen.path().rsplit('/').next().unwrap())))
        }),
        Route::new("GET", "/soda/async/7/error", |_, _| Some(Reply::bytes("no pixels there"))),
        Route::new("GET", "/soda/async/7", move |seen, n| Some(job(seen, n))),
        Route::new("DELETE", "/soda/async/7", |_, _| Some(Reply::bytes(""))),
    ])
    .unwrap()
}

#[test]
fn a_cut_out_by_a_job_is_waited_for_and_its_files_come() {
    let cache = tempfile::tempdir().unwrap();
    let of = |replay: &Replay| Client::new(Services { cache: Some(cache.path().into()), ..settings(&replay.base()) }).unwrap();
    let replay = cutting("COMPLETED");
    let address = format!("{}/soda/async?ID=ivo://a/b&CIRCLE=10+20+0.1", replay.base());
    let mut jobs = Vec::new();
    let files = of(&replay)
        .cut_by_job(&address, GO_ON, &mut |event| {
            if let Event::Job(url) = event {
                jobs.push(url);
            }
        })
        .unwrap();
    assert_eq!(jobs, [format!("{}/soda/async/7", replay.base())]);
    let ends: Vec<u8> = files.iter().map(|f| *std::fs::read(f).unwrap().last().unwrap()).collect();
    assert_eq!(ends, b"12");
    let asked = &replay.seen()[0];
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/soda/async"));
    assert_eq!((asked.form("ID").as_deref(), asked.form("CIRCLE").as_deref()), (Some("ivo://a/b"), Some("10 20 0.1")));

    let replay = cutting("ERROR");
    let why =
        of(&replay).cut_by_job(&address.replace(&address[..address.find("/soda").unwrap()], &replay.base()), GO_ON, &mut |_| {});
    assert!(why.unwrap_err().to_string().contains("no pixels there"));

    // Nobody waits any more: the job is ended and removed.
    let replay = cutting("COMPLETED");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let result = of(&replay).cut_by_job(
        &format!("{}/soda/async?ID=x", replay.base()),
        &|| stop.load(std::sync::atomic::Ordering::Relaxed),
        &mut |event| stop.store(matches!(event, Event::Progress { .. }), std::sync::atomic::Ordering::Relaxed),
    );
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    assert!(replay.seen().iter().any(|s| s.method == "DELETE"));
}

#[test]
fn links_that_lead_to_links_are_followed_and_not_for_ever() {
    // A document whose progenitor is a document whose progenitor is the first, and so on.
    let text = String::from_utf8(fixture("vo/datalink/datalink.xml").body).unwrap();
    let routes = vec![Route::new("GET", "/links", move |seen: &Seen, _| {
        let depth: usize = seen.query("depth").and_then(|d| d.parse().ok()).unwrap_or(0);
        let host = seen.header("host").unwrap_or("").to_owned();
        let from = "http://dc.zah.uni-heidelberg.de/flashheros/q/echdl/dlmeta?ID=ivo%3A%2F%2Forg.gavo.dc%2F%7E%3Fflashheros%2Fdata_raw%2Fca90%2Fn0011.mt";
        assert!(text.contains(from));
        Some(Reply::bytes(text.replace(from, &format!("http://{host}/links?depth={}", depth + 1))))
    })];
    let replay = Replay::start(routes).unwrap();
    let links = client(&replay).datalink_all(&format!("{}/links?depth=0", replay.base()), GO_ON).unwrap();
    // Three documents of three links each, and the one link that was not followed.
    assert_eq!((replay.seen().len(), links.links.len()), (3, 10));
}

#[test]
fn links_come_as_rows_too() {
    let replay = Replay::start(vec![Route::get("/links", fixture("vo/datalink/alma-datalink.xml"))]).unwrap();
    let ids: Vec<String> = (0..25).map(|i| format!("ivo://x?{i}")).collect();
    let (result, t, _) = search(&client(&replay), &Request::DataLink { url: format!("{}/links", replay.base()), ids });
    result.unwrap();
    assert_eq!(replay.seen().len(), 2);
    assert_eq!(replay.seen()[0].target.matches("ID=").count(), 20);
    assert!(t.rows() > 0 && t.column_index("semantics").is_some());
}

#[test]
fn images_by_all_the_parameters_of_sia2() {
    let replay = Replay::start(vec![
        Route::new("GET", "/sia/capabilities", |seen: &Seen, _| {
            let text = String::from_utf8(fixture("vo/sia2/sia2-capabilities.xml").body).unwrap();
            let here = format!("http://{}/", seen.header("host").unwrap());
            Some(Reply::bytes(text.replace("https://example.com/", &here)))
        }),
        Route::get("/sia/v2query", fixture("vo/sia2/sia2-dataset.xml")),
    ])
    .unwrap();
    let client = client(&replay);
    let parameters = vec![
        ("BAND".to_owned(), "1e-6 2e-6".to_owned()),
        ("COLLECTION".to_owned(), "A".to_owned()),
        ("COLLECTION".to_owned(), "B".to_owned()),
    ];
    let request = Request::Sia2 {
        base: format!("{}/sia/capabilities", replay.base()),
        position: Some((10.0, -5.0, 0.25)),
        parameters,
        max_rows: Some(50),
    };
    let (result, t, _) = search(&client, &request);
    result.unwrap();
    assert_eq!((t.rows(), t.columns().len()), (1, 34));
    let seen = &replay.seen()[1];
    assert_eq!(seen.query("POS").as_deref(), Some("CIRCLE 10 -5 0.25"));
    assert_eq!((seen.query("BAND").as_deref(), seen.query("MAXREC").as_deref()), (Some("1e-6 2e-6"), Some("50")));
    assert_eq!(seen.target.matches("COLLECTION=").count(), 2);
    let nothing =
        Request::Sia2 { base: format!("{}/sia/v2query", replay.base()), position: None, parameters: vec![], max_rows: None };
    assert!(matches!(search(&client, &nothing).0, Err(Error::Unsupported { .. })));
}

#[test]
fn services_are_found_by_words() {
    let answer = "<VOTABLE><RESOURCE type='results'><INFO name='QUERY_STATUS' value='OK'/><TABLE>\
        <FIELD name='ivoid' datatype='char' arraysize='*'/><FIELD name='short_name' datatype='char' arraysize='*'/>\
        <FIELD name='standard_id' datatype='char' arraysize='*'/><FIELD name='access_url' datatype='char' arraysize='*'/>\
        <DATA><TABLEDATA><TR><TD>ivo://a</TD><TD>A</TD><TD>ivo://ivoa.net/std/ConeSearch</TD><TD>http://a/scs?x=1&amp;amp;y=2&amp;amp;</TD></TR>\
        <TR><TD>ivo://a</TD><TD>A</TD><TD>ivo://ivoa.net/std/sia#query-2.0</TD><TD>http://a/sia</TD></TR>\
        <TR><TD>ivo://a</TD><TD>A</TD><TD>ivo://ivoa.net/std/sia</TD><TD>http://a/sia1</TD></TR>\
        </TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>";
    let replay = Replay::start(vec![Route::post("/registry/tap/sync", Reply::bytes(answer))]).unwrap();
    let found = client(&replay).find_services("quasar variability", Some(Kind::Cone), 100, GO_ON).unwrap();
    let kinds: Vec<_> = found.iter().map(|s| s.kind).collect();
    assert_eq!(kinds, [Some(Kind::Cone), Some(Kind::Sia2), Some(Kind::Sia)]);
    assert_eq!(found[0].access_url, "http://a/scs?x=1&y=2&");
    let query = replay.seen()[0].form("QUERY").unwrap();
    assert!(query.contains("'quasar'") && query.contains("'variability'") && query.contains("rr.interface"), "{query}");

    // A recorded answer, put together by ivo_string_agg.
    if let Some(reply) = beside("vo/registry/regtap.xml") {
        let replay = Replay::start(vec![Route::post("/registry/tap/sync", reply)]).unwrap();
        let found = client(&replay).find_services("pulsar", None, 1000, GO_ON).unwrap();
        assert!(found.len() > 10, "{}", found.len());
        let heasarc = found.iter().find(|s| s.access_url.contains("xamin/vo/cone") && s.access_url.contains("table=pulsar&"));
        let heasarc = heasarc.unwrap();
        assert_eq!((heasarc.kind, heasarc.waveband.as_str()), (Some(Kind::Cone), "radio"));
        assert!(heasarc.access_url.ends_with("table=pulsar&"), "{}", heasarc.access_url);
        assert!(found.iter().all(|s| !s.access_url.contains("&amp;") && !s.access_url.contains("W3Browse/w3query")));
    }
}

// ---------------------------------------------------------------------------------------- cut-outs

#[test]
fn cut_outs_of_tess_and_of_deep_fields() {
    let replay = Replay::start(vec![
        Route::get("/tesscut/api/v0.1/sector", fixture("mast/tess_sector.json")),
        Route::get("/tesscut/api/v0.1/astrocut", Reply::bytes(r#"{"msg": "Too many requests"}"#)),
        Route::get("/zcut/api/v0.1/survey", Reply::bytes(r#"{"surveys": ["candels_gn_60mas", "3dhst_goods-n"]}"#)),
        Route::get("/zcut/api/v0.1/astrocut", fixture("mast/astrocut_189.49206_62.20615_100x100px.zip")),
    ])
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(Services { cache: Some(folder.path().join("cache")), ..settings(&replay.base()) }).unwrap();
    let sectors = client.tess_sectors(107.18, -70.5, 0.2, GO_ON).unwrap();
    assert_eq!((sectors[0].name.as_str(), sectors[0].sector, sectors[0].camera, sectors[0].ccd), ("tess-s0001-1-3", 1, 1, 3));
    let url = client.tess_cutout_url(107.27, -70.0, (5, 5), Some(1));
    assert!(url.ends_with("/tesscut/api/v0.1/astrocut?ra=107.27&dec=-70&x=5&y=5&units=px&sector=1"), "{url}");
    // The answer above the limit of requests has status 200 and is no archive.
    let out = folder.path().join("cutouts");
    let error = client.cutouts(&url, &out, GO_ON, &mut |_, _| {}).unwrap_err();
    assert_eq!(error.to_string(), "MAST says: Too many requests");
    assert_eq!(client.zcut_surveys(189.49, 62.2, 0.1, GO_ON).unwrap().len(), 2);
    let url = client.zcut_url(189.49206, 62.20615, (100, 100), Some("candels_gn_60mas"), CutoutFormat::Jpg);
    let files = client.cutouts(&url, &out, GO_ON, &mut |_, _| {}).unwrap();
    assert_eq!(files.len(), 3);
    for (file, bytes) in files.iter().zip([3478, 1975, 3617]) {
        assert_eq!(std::fs::metadata(file).unwrap().len(), bytes);
        assert!(file.starts_with(&out) && std::fs::read(file).unwrap().starts_with(&[0xff, 0xd8]));
    }
    // Once more: beside the others, not over them.
    assert!(client.cutouts(&url, &out, GO_ON, &mut |_, _| {}).unwrap()[0].to_string_lossy().contains("-2"));
}

#[test]
fn images_of_pan_starrs_and_spectra_of_hubble() {
    let list = "projcell subcell ra dec filter mjd type filename shortname badflag\n\
        1334 75 10.7 41.3 y 0 stack /rings/y.fits y.fits 0\n1334 75 10.7 41.3 g 55 stack /rings/g.fits g.fits 0\n\
        1334 75 10.7 41.3 i 55 stack /rings/i.fits i.fits 0\n";
    let replay = Replay::start(vec![
        Route::get("/ps1/cgi-bin/ps1filenames.py", Reply::bytes(list)),
        Route::post("/api/v0/invoke", fixture("mast/spectra.json")),
    ])
    .unwrap();
    let client = client(&replay);
    let images = client.ps1_images(10.7, 41.3, "giyX", GO_ON).unwrap();
    assert_eq!(replay.seen()[0].query("filters").as_deref(), Some("giy"));
    assert_eq!(images.iter().map(|i| i.filter.as_str()).collect::<String>(), "giy");
    let all: Vec<_> = images.iter().collect();
    let url = client.ps1_cutout_url(&all, 10.7, 41.3, 0.01, CutoutFormat::Jpg);
    assert!(
        url.ends_with("size=144&format=jpg&autoscale=99.5&asinh=1&red=/rings/y.fits&green=/rings/i.fits&blue=/rings/g.fits"),
        "{url}"
    );
    let url = client.ps1_cutout_url(&all[..1], 10.7, 41.3, 0.01, CutoutFormat::Fits);
    assert!(url.ends_with("format=fits&red=/rings/g.fits"), "{url}");
    let mut table = Table::default();
    let mut on = |event: Event| {
        if let Event::Rows(rows) = event {
            table.append(&rows).unwrap();
        }
    };
    assert_eq!(client.hsc_spectra(Some(26), GO_ON, &mut on).unwrap(), 26);
    let name = text(&table, 0, "DatasetName").replace('+', "%2B");
    assert!(text(&table, 0, "dataURI").contains(&name), "{} of {name}", text(&table, 0, "dataURI"));
    assert!(client.hsc_spectrum_url("X", 1).ends_with("/hla/cgi-bin/getdata.cgi?config=ops&dataset=X"));
    assert!(client.hsc_spectrum_url("X", 2).ends_with("/hla/cgi-bin/ecfproxy?file_id=X.fits"));
}

// ---------------------------------------------------------------------------------------- jobs

#[test]
fn jobs_of_a_service_are_listed_ended_and_removed() {
    let replay = Replay::start(vec![
        Route::post("/tap/async/1/phase", Reply::redirect(303, "/tap/async/1")),
        Route::new("DELETE", "/tap/async/1", |_, _| Some(Reply::bytes("").status(405))),
        Route::post("/tap/async/1", Reply::redirect(303, "/tap/async")),
        Route::new("DELETE", "/tap/async/2", |_, _| Some(Reply::redirect(303, "/tap/async"))),
        Route::get("/tap/async/2", fixture("vo/uws/job.xml")),
        Route::get("/tap/async/", Reply::bytes("none").status(404)),
        Route::get("/tap/async", fixture("vo/uws/tapplus-jobs_list.xml")),
        Route::get(
            "/own/async",
            Reply::bytes(
                "<?xml version='1.0'?><u:jobs xmlns:u='x' xmlns:xl='y'><u:jobref id='7'><u:phase>EXECUTING</u:phase><u:runId>mine</u:runId>\
                 <u:ownerId xsi:nil='true'/><u:creationTime>2026-01-02T03:04:05Z</u:creationTime></u:jobref><u:jobref id='8' xl:href='async/8'/></u:jobs>",
            ),
        ),
        Route::get("/none/async", Reply::bytes("<uws:jobs xmlns:uws='x'/>")),
    ])
    .unwrap();
    let client = client(&replay);
    let base = replay.base();
    let jobs = client.tap_jobs(&format!("{base}/tap/"), Some(10), GO_ON).unwrap();
    assert_eq!(jobs.iter().map(|j| j.phase.as_str()).collect::<Vec<_>>(), ["COMPLETED", "ERROR"]);
    assert_eq!(jobs[0].url, "http://gea.esac.esa.int/tap-server/tap/async/1479386030738O");
    assert_eq!(replay.seen()[0].query("LAST").as_deref(), Some("10"));
    let own = client.tap_jobs(&format!("{base}/own"), None, GO_ON).unwrap();
    assert_eq!((own[0].url.as_str(), own[0].run_id.as_str()), (format!("{base}/own/async/7").as_str(), "mine"));
    assert_eq!((own[0].created.as_str(), own[0].phase.as_str()), ("2026-01-02T03:04:05Z", "EXECUTING"));
    assert_eq!(own.len(), 2);
    assert!(client.tap_jobs(&format!("{base}/none"), None, GO_ON).unwrap().is_empty());
    client.tap_job_abort(&format!("{base}/tap/async/1"), GO_ON).unwrap();
    assert_eq!(replay.seen().last().unwrap().form("PHASE").as_deref(), Some("ABORT"));
    // DELETE is switched off here: the form does it.
    client.tap_job_delete(&format!("{base}/tap/async/1/"), GO_ON).unwrap();
    assert_eq!(replay.seen().last().unwrap().form("ACTION").as_deref(), Some("DELETE"));
    client.tap_job_delete(&format!("{base}/tap/async/2"), GO_ON).unwrap();
    let state = client.tap_job_state(&format!("{base}/tap/async/2"), GO_ON).unwrap();
    assert_eq!((state.phase.as_str(), state.query.as_str()), ("COMPLETED", "SELECT 'test'"));
    let times = [state.created, state.started, state.ended, state.destruction];
    assert_eq!(times, ["2018-01-01T00:00:00Z", "2018-01-01T00:05:00Z", "2018-01-01T02:00:00Z", "2018-02-01T00:00:00Z"]);
    assert!(client.tap_job_abort(&format!("{base}/tap/async/9"), GO_ON).unwrap_err().to_string().contains("knows no such job"));
}

// ------------------------------------------------------------------------------------------- forms

#[test]
fn forms_are_made_of_what_the_services_tell() {
    use asterism_archive::{FormKind, FormOf};
    let metadata = r#"[{"name": "objID", "description": "Unique object identifier.", "db_type": "bigint"},
        {"name": "gMeanPSFMag", "description": "Mean PSF magnitude from g filter detections.", "unit": "AB mag", "db_type": "float"}]"#;
    let mut routes = vec![Route::get("/api/v0.1/panstarrs/dr2/mean/metadata.json", Reply::bytes(metadata))];
    routes.extend(Replay::mast_routes(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/mast"),
        Manner::Whole,
    ));
    let replay = Replay::start(routes).unwrap();
    let client = client(&replay);

    let observations = client.form_columns(&FormOf::Observations, GO_ON).unwrap();
    let names: Vec<&str> = observations.iter().map(|c| c.name.as_str()).collect();
    // In the portal's order; what the portal adds, removes or does not take conditions on is left out.
    assert_eq!(names[..3], ["intentType", "obs_collection", "instrument_name"]);
    assert!(!names.contains(&"_selected_") && !names.contains(&"access_estsize") && !names.contains(&"srcDen"));
    let of = |name: &str| observations.iter().find(|c| c.name == name).unwrap();
    assert_eq!(of("intentType").choices, ["science", "calibration"]);
    assert!(of("dataproduct_type").choices.contains(&"TIMESERIES".to_owned()));
    let start = of("t_min");
    assert_eq!((start.kind, start.unit.as_str(), start.title.as_str()), (FormKind::Mjd, "d", "Start Time"));
    assert_eq!(start.value("2020-01-01..2021-01-01"), "58849..59215");
    assert_eq!((of("em_min").kind, of("em_min").hint()), (FormKind::Number, "1..5 nm".to_owned()));
    assert_eq!(of("filters").hint(), "F469N, NUV, FUV, LOW DISP, MIRROR");

    let stars = client.form_columns(&FormOf::Catalog("tic".into()), GO_ON).unwrap();
    assert_eq!((stars[0].name.as_str(), stars[0].title.as_str()), ("ID", "TIC ID"));
    let hubble = client.form_columns(&FormOf::Mission("hst".into()), GO_ON).unwrap();
    assert!(hubble.iter().all(|c| c.name != "search_pos"));
    let instrument = hubble.iter().find(|c| c.name == "sci_instrume").unwrap();
    assert_eq!((instrument.description.as_str(), &instrument.example[..8]), ("Instrument used", "ACS, COS"));
    let stack = client.form_columns(&FormOf::Catalog("panstarrs".into()), GO_ON).unwrap();
    assert_eq!((stack.len(), stack[1].kind, stack[1].unit.as_str()), (2, FormKind::Number, "AB mag"));
    // A catalogue that takes no conditions has none, and nobody is asked.
    let before = replay.seen().len();
    assert!(client.form_columns(&FormOf::Catalog("hsc".into()), GO_ON).unwrap().is_empty());
    assert_eq!(replay.seen().len(), before);
}

#[test]
fn services_show_examples_of_queries() {
    let page = r#"<html><body vocab="ivo://ivoa.net/std/DALI-examples#"><div typeof="example" id="a"><h2 property="name">Bright</h2>
        <pre property="query">SELECT TOP 5 * FROM t WHERE mag &lt; 6</pre></div></body></html>"#;
    let replay = Replay::start(vec![Route::get("/tap/examples", Reply::bytes(page))]).unwrap();
    let found = client(&replay).tap_examples(&format!("{}/tap/sync", replay.base()), GO_ON).unwrap();
    assert_eq!((found[0].name.as_str(), found[0].query.as_str()), ("Bright", "SELECT TOP 5 * FROM t WHERE mag < 6"));
    assert!(client(&replay).tap_examples(&format!("{}/other", replay.base()), GO_ON).is_err());

    // As a service sends them.
    if let Some(reply) = beside("vo/tap/tap-examples.htm") {
        let replay = Replay::start(vec![Route::get("/tap/examples", reply)]).unwrap();
        let found = client(&replay).tap_examples(&format!("{}/tap", replay.base()), GO_ON).unwrap();
        assert!(found.len() >= 5, "{}", found.len());
        assert!(found.iter().all(|e| e.query.to_uppercase().starts_with("SELECT") && !e.name.is_empty()));
        for example in &found {
            assert_eq!(asterism_archive::check_adql(&example.query, None), Vec::<String>::new(), "{}", example.query);
        }
    }
}

// ------------------------------------------------------------------------------------------- portal

#[test]
fn every_service_of_the_portal_is_asked_as_its_own_page_asks_it() {
    use asterism_archive::portal::{OBJECTS_AT_ONCE, SERVICES, Takes};
    let answer = |seen: &Seen, _: usize| {
        let request = seen.mast();
        let rows: Vec<_> = match request["data"]["data"].as_array() {
            // The nearest of a catalogue for each of the objects but the last.
            Some(list) => list[..list.len() - 1]
                .iter()
                .map(|o| json!({"ra": o["ra"], "dec": o["dec"], "MatchID": o["ra"].as_f64().unwrap() * 10.0}))
                .collect(),
            None => vec![json!({"ra": 1.0, "dec": 2.0, "MatchID": 3.0})],
        };
        let fields =
            json!([{"name": "ra", "type": "float"}, {"name": "dec", "type": "float"}, {"name": "MatchID", "type": "float"}]);
        let paging = json!({"page": 1, "pageSize": 50000, "pagesFiltered": 1, "rows": rows.len(), "rowsFiltered": rows.len(), "rowsTotal": rows.len()});
        Some(Reply::bytes(json!({"status": "COMPLETE", "msg": "", "data": rows, "fields": fields, "paging": paging}).to_string()))
    };
    let replay = Replay::start(vec![
        Route::new("POST", "/api/v0/invoke", answer),
        Route::post("/portal/Mashup/Mashup.asmx/columnsconfig", Reply::bytes("")),
    ])
    .unwrap();
    let client = client(&replay);
    let ask = |service: &str, takes: Takes, objects: Vec<(f64, f64)>| Request::Portal {
        service: service.into(),
        position: matches!(takes, Takes::Place | Takes::ConditionsAndPlace).then_some((10.0, 20.0, 0.1)),
        filters: match takes {
            Takes::Conditions | Takes::ConditionsAndPlace => vec!["exp_type=NRC_IMAGE".parse().unwrap()],
            Takes::One { condition, .. } => vec![format!("{condition}=17").parse().unwrap()],
            _ => vec![],
        },
        objects,
        radius_deg: Some(0.002),
        max_rows: None,
    };
    for service in SERVICES {
        let objects = if service.takes == Takes::Objects { vec![(1.5, -2.5), (3.5, 4.5)] } else { vec![] };
        let (result, t, _) = search(&client, &ask(service.name, service.takes, objects));
        result.unwrap_or_else(|e| panic!("{}: {e}", service.name));
        assert_eq!(t.rows(), 1, "{}", service.name);
        let sent = replay.seen_at("/api/v0/invoke").last().unwrap().mast();
        let name = sent["service"].as_str().unwrap();
        assert!(name.starts_with(service.name), "{name}");
        match service.takes {
            Takes::Place => assert_eq!((&sent["params"]["ra"], &sent["params"]["radius"]), (&json!(10.0), &json!(0.1))),
            Takes::Objects => {
                assert_eq!(sent["params"], json!({"raColumn": "ra", "decColumn": "dec", "radius": 0.002}));
                assert_eq!(sent["data"]["data"][0], json!({"ra": 1.5, "dec": -2.5}));
            }
            Takes::One { parameter, .. } => assert_eq!(sent["params"], json!({ parameter: "17" })),
            Takes::Nothing => assert_eq!(sent["params"], json!({})),
            Takes::Conditions => assert!(sent["params"]["filters"].to_string().contains("NRC_IMAGE")),
            Takes::ConditionsAndPlace => assert!(name.contains(".Position") && sent["params"]["dec"] == json!(20.0)),
        }
    }
    // A long list goes in parts, and every row comes once.
    let many: Vec<(f64, f64)> = (0..OBJECTS_AT_ONCE + 5).map(|i| (i as f64 / 10.0, 1.0)).collect();
    let before = replay.seen_at("/api/v0/invoke").len();
    let (result, t, _) = search(&client, &ask("Tic.Crossmatch", Takes::Objects, many.clone()));
    result.unwrap();
    assert_eq!((replay.seen_at("/api/v0/invoke").len() - before, t.rows()), (2, many.len() - 2));
    // What a service does not take is said before anything is sent.
    let before = replay.seen().len();
    let refused = |request: &Request| search(&client, request).0.unwrap_err().to_string();
    assert!(refused(&ask("Tic.Crossmatch", Takes::Objects, vec![])).contains("a list of objects"));
    assert!(refused(&ask("Mast.Jwst.Filtered.Miri", Takes::Place, vec![])).contains("no position"));
    assert!(refused(&ask("Mast.Nothing.Of.It", Takes::Nothing, vec![])).contains("no service"));
    assert!(client.count(&ask("Mast.Missions.List", Takes::Nothing, vec![]), GO_ON).is_err());
    assert_eq!(replay.seen().len(), before);
}

#[test]
fn services_beside_an_answer_are_asked_for_once_more_and_name_their_columns() {
    let document = "<VOTABLE version='1.3' xmlns='http://www.ivoa.net/xml/VOTable/v1.3'><RESOURCE type='results'><TABLE>\
        <FIELD ID='col1' name='obs_publisher_did' datatype='char' arraysize='*'/><DATA><TABLEDATA><TR><TD>ivo://a?1</TD></TR></TABLEDATA></DATA>\
        </TABLE></RESOURCE><RESOURCE type='meta' utype='adhoc:service'>\
        <PARAM name='standardID' datatype='char' arraysize='*' value='ivo://ivoa.net/std/DataLink#links-1.0'/>\
        <PARAM name='accessURL' datatype='char' arraysize='*' value='http://x/links'/>\
        <GROUP name='inputParams'><PARAM name='ID' datatype='char' arraysize='*' ref='col1' value=''/></GROUP></RESOURCE></VOTABLE>";
    let replay = Replay::start(vec![Route::get("/tap/sync", Reply::bytes(document))]).unwrap();
    let client = client(&replay);
    let request = Request::Tap {
        base: format!("{}/tap", replay.base()),
        adql: "SELECT * FROM ivoa.obscore".into(),
        asynchronous: false,
        max_rows: None,
        uploads: vec![],
    };
    let services = client.services_beside(&request, GO_ON).unwrap();
    assert_eq!(services[0].params[0].column.as_deref(), Some("obs_publisher_did"));
    let row = |name: &str| (name == "obs_publisher_did").then(|| "ivo://a?1".to_owned());
    assert_eq!(services[0].address(&[], &row).unwrap(), "http://x/links?ID=ivo%3A%2F%2Fa%3F1");
    let asked = &replay.seen()[0];
    assert_eq!(
        (asked.query("MAXREC").as_deref(), asked.query("QUERY").as_deref()),
        (Some("1"), Some("SELECT * FROM ivoa.obscore"))
    );
}
