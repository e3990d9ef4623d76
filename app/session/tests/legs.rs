//! Maps that were changed on their way or went on, written as a recipe and made again; searches in parts that are stopped and taken up.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use asterism_archive::replay::{Manner, Replay, Reply, Route};
use asterism_archive::{Filter, Request, Services};
use asterism_reduce::{Method, Params};
use asterism_session::{Ask, Command, FeatureColumn, FeatureKind, Features, Session, Settings};
use serde_json::json;

fn table_in(session: &mut Session, folder: &Path) {
    let path = folder.join("clouds.csv");
    // Three clouds by a plain congruential generator.
    let mut state = 7u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(u32::MAX >> 1)
    };
    let rows: String = (0..240)
        .map(|i| {
            let c = f64::from(i % 3) * 4.0;
            format!("{i},{},{},{}\n", c + random(), random() - c, c * 0.5 + random())
        })
        .collect();
    std::fs::write(&path, format!("id,a,b,c\n{rows}")).expect("a table");
    session.apply(Command::Search { name: "clouds".into(), ask: Ask::file(path) }).expect("it opens");
    session.wait(&mut |_| {}).expect("it is read");
}

fn coords(session: &Session, name: &str) -> Vec<f32> {
    let dataset = session.doc().dataset().expect("a table");
    dataset.maps.iter().find(|m| m.name == name).expect("the map").coords.values.clone()
}

#[test]
fn a_map_that_was_changed_and_went_on_is_made_again_bit_for_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path();
    let mut session = Session::new(Settings::default());
    table_in(&mut session, home);
    let params = Params { method: Method::Tsne, iterations: 4000, settle: false, perplexity: 20.0, seed: 3, ..Params::default() };
    session.apply(Command::StartMap { name: "way".into(), params: params.clone() }).expect("it starts");
    // Changed once the layout is under way.
    let job = loop {
        session.poll();
        let job = session.jobs().iter().find(|j| j.is_map).cloned().expect("the job");
        let (stage, done, _) = job.progress();
        assert!(job.alive(), "it ended before it could be changed");
        if stage == "layout" && done > 20 {
            break job;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    };
    let changed = Params { exaggeration: 2.0, perplexity: 12.0, iterations: 300, ..params.clone() };
    session.apply(Command::ChangeMap { id: job.id, params: changed }).expect("it is changed");
    session.wait(&mut |_| {}).expect("it ends");
    session.apply(Command::GoOn { params: Params { iterations: 60, exaggeration: 1.0, ..params.clone() } }).expect("it goes on");
    session.wait(&mut |_| {}).expect("it ends");
    let dataset = session.doc().dataset().expect("a table").clone();
    assert_eq!(dataset.maps.len(), 2);
    let (way, on) = (&dataset.maps[0], &dataset.maps[1]);
    assert_eq!((way.legs.len(), on.legs.len()), (2, 3), "{:?}", on.legs);
    let at = way.legs[0].until.expect("where it was changed");
    assert!((20..4000).contains(&at) && way.legs[1].until.is_none());
    // Through the session's file and as a recipe.
    let kept = home.join("legs.asterism");
    session.save_now(kept.clone()).expect("it is kept");
    let again = asterism_session::store::open(&kept).expect("it opens");
    assert_eq!(again.datasets[0].maps[1].legs, on.legs);
    let text = asterism_session::recipe::of_document(session.doc());
    assert!(text.contains(&format!("until = {at}\n")) && text.contains("then = ["), "{text}");
    let file = home.join("legs.toml");
    std::fs::write(&file, &text).expect("a recipe");
    let ran = asterism_session::run::run(&file, &home.join("out"), Settings::default(), &mut |_| {}).expect("it runs");
    for map in [way, on] {
        let made = coords(&ran.session, &map.name);
        assert!(made.iter().zip(&map.coords.values).all(|(a, b)| a.to_bits() == b.to_bits()), "{}", map.name);
        assert_eq!(made.len(), map.coords.values.len());
    }
    // It can be told apart from one that ran through.
    assert_ne!(coords(&session, &way.name), coords(&session, &on.name));
}

#[test]
fn only_a_failure_of_its_own_step_stops_a_recipe() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path();
    let mut session = Session::new(Settings::default());
    let recipe = "asterism = 1\n[[search]]\nname = \"s\"\nservice = \"sample:ogle3\"\nmax_rows = 400\n[[features]]\nname = \"f\"\nof = \"s\"\ncolumns = [\"i_mag\", \"v_i\"]\n[[map]]\nname = \"m\"\nof = \"f\"\nmethod = \"pca\"\n";
    let file = home.join("beside.toml");
    std::fs::write(&file, recipe).expect("a recipe");
    session.apply(Command::OpenRecipe { path: file }).expect("it opens");
    session.poll();
    // Something else fails beside it.
    session.apply(Command::OpenSession { path: home.join("nothing.asterism") }).expect("a job");
    let failed = session.wait(&mut |_| {}).expect_err("the other job failed");
    assert!(failed.to_string().contains("nothing.asterism"), "{failed}");
    let dataset = session.doc().dataset().expect("the recipe's table");
    assert_eq!((dataset.table.rows(), dataset.maps.len()), (400, 1), "the recipe went on");
    assert!(session.notices().iter().any(|n| n.text.contains("nothing.asterism")), "and the failure was told");
}

/// A MAST with 2400 observations around the sky that breaks off above 1000; while `broken`, also for the last quarter.
fn mast(broken: &Arc<AtomicBool>) -> Replay {
    let broken = broken.clone();
    let route = Route::new("POST", "/api/v0/invoke", move |seen, _| {
        let request = seen.mast();
        let mut chosen: Vec<(i64, f64, f64)> = (0..2400).map(|i| (i, i as f64 * 0.15, (i % 90) as f64 - 45.0)).collect();
        for filter in request["params"]["filters"].as_array().into_iter().flatten() {
            let (min, max) = (filter["values"][0]["min"].as_f64()?, filter["values"][0]["max"].as_f64()?);
            let ra = filter["paramName"] == "s_ra";
            if !ra && filter["paramName"] != "s_dec" {
                continue;
            }
            chosen.retain(|r| min <= if ra { r.1 } else { r.2 } && if ra { r.1 } else { r.2 } <= max);
        }
        if request["params"]["columns"] == "COUNT_BIG(*)" {
            let answer = json!({"status": "COMPLETE", "data": [{"Column1": chosen.len()}], "fields": []});
            return Some(Reply::bytes(answer.to_string()));
        }
        let gone = broken.load(Ordering::Relaxed) && chosen.first().is_some_and(|r| r.1 >= 170.0);
        if chosen.len() > 1000 || gone {
            return Some(Reply::bytes("").manner(Manner::Hangup));
        }
        let data: Vec<_> = chosen.iter().map(|r| json!({"obsid": r.0, "s_ra": r.1, "s_dec": r.2, "t_min": 50_000})).collect();
        Some(Reply::bytes(json!({"status": "COMPLETE", "data": data, "fields": [], "paging": {"pagesFiltered": 1}}).to_string()))
    });
    Replay::start(vec![route]).expect("a server")
}

fn ids(session: &Session) -> Vec<i64> {
    let mut ids: Vec<i64> = session.doc().datasets[0].table.f64s("obsid").expect("ids").into_iter().map(|v| v as i64).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_search_in_parts_waits_stops_and_is_taken_up_in_a_later_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path();
    let broken = Arc::new(AtomicBool::new(true));
    let server = mast(&broken);
    let services = Services {
        timeout_s: 5.0,
        retries: 0,
        pause_s: 0.01,
        page_size: 1000,
        portal_rows: 1000,
        saved: vec![],
        ..Services::at(&server.base())
    };
    let settings = || Settings { services: services.clone(), ..Settings::default() };
    let mut session = Session::new(settings());
    session.set_asks_first(true);
    let request = Request::MastFiltered { filters: vec![], position: Some((180.0, 0.0, 180.0)), max_rows: None };
    session.apply(Command::Search { name: "all".into(), ask: Ask::Archive { request: request.clone() } }).expect("it starts");
    session.wait(&mut |_| {}).expect("the plan");
    // Nothing was asked for yet: the plan is shown.
    let plan = session.doc().datasets[0].plan().expect("a plan").clone();
    assert_eq!((plan.total, plan.done(), session.doc().datasets[0].table.rows()), (Some(2400), 0, 0));
    assert!(plan.parts.len() >= 5);
    session.apply(Command::GetRest).expect("it goes on");
    let error = session.wait(&mut |_| {}).expect_err("the third part is not to be had").to_string();
    assert!(error.contains("parts had come and are kept"), "{error}");
    let dataset = session.doc().datasets[0].clone();
    let done = dataset.plan().expect("what is left").done();
    assert!(done >= 2 && done < plan.parts.len() && dataset.table.rows() > 0 && !dataset.loading);
    assert!(dataset.ledger.last().is_some_and(|l| l.error.is_some()));
    // A recipe of what is here asks for these parts alone.
    let text = asterism_session::recipe::of_document(session.doc());
    assert!(text.contains("parts = [") && text.contains("service = \"mast\""), "{text}");
    let file = home.join("some.toml");
    std::fs::write(&file, &text).expect("a recipe");
    let ran = asterism_session::run::run(&file, &home.join("out"), settings(), &mut |_| {}).expect("it runs");
    assert_eq!(ids(&ran.session), ids(&session));
    // Another day.
    let kept = home.join("parts.asterism");
    session.save_now(kept.clone()).expect("it is kept");
    drop(session);
    broken.store(false, Ordering::Relaxed);
    let asked = server.seen().len();
    let mut session = Session::new(settings());
    session.set_asks_first(true);
    session.apply(Command::OpenSession { path: kept }).expect("it opens");
    session.wait(&mut |_| {}).expect("it is read");
    // One part more, then it stops.
    session.apply(Command::GetRest).expect("it goes on");
    let job = session.jobs().last().expect("the job").id;
    session.apply(Command::StopAfterPart { id: job }).expect("a wish");
    session.wait(&mut |_| {}).expect("it stops without an error");
    let now = session.doc().datasets[0].plan().expect("parts are left").done();
    assert_eq!(now, done + 1);
    session.apply(Command::GetRest).expect("it goes on");
    session.wait(&mut |_| {}).expect("all came");
    assert_eq!(ids(&session), (0..2400).collect::<Vec<i64>>(), "whole, and none twice");
    assert!(session.doc().datasets[0].plan().is_none() && session.doc().datasets[0].ask == Ask::Archive { request });
    // Nothing was counted again.
    assert!(server.seen()[asked..].iter().all(|s| s.mast()["params"]["columns"] != "COUNT_BIG(*)"));
}

/// Pages of a search of 900 rows, each after the first only once `open` says so.
fn pages(open: &Arc<AtomicUsize>) -> Replay {
    let open = open.clone();
    let route = Route::new("POST", "/api/v0/invoke", move |seen, _| {
        let request = seen.mast();
        if request["params"]["columns"] == "COUNT_BIG(*)" {
            let answer = json!({"status": "COMPLETE", "data": [{"Column1": 900}], "fields": []});
            return Some(Reply::bytes(answer.to_string()));
        }
        let (page, size) = (request["page"].as_u64()? as usize, request["pagesize"].as_u64()? as usize);
        let start = std::time::Instant::now();
        while page > open.load(Ordering::Relaxed) && start.elapsed().as_secs() < 60 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let wave = |i: usize, k: f64| ((i as f64 * 12.9898 + k).sin() * 43_758.545).fract();
        let far = |i: usize| (i % 3) as f64 * 8.0;
        let row = |i: usize| json!({"obsid": i, "s_ra": 100.0 + far(i) + wave(i, 1.0), "s_dec": wave(i, 2.0) - far(i), "t_min": 50_000});
        let data: Vec<_> = ((page - 1) * size..(page * size).min(900)).map(row).collect();
        let paging = json!({"pagesFiltered": 900usize.div_ceil(size), "rowsFiltered": 900, "page": page, "pageSize": size});
        Some(Reply::bytes(json!({"status": "COMPLETE", "data": data, "fields": [], "paging": paging}).to_string()))
    });
    Replay::start(vec![route]).expect("a server")
}

#[test]
fn a_map_that_took_rows_in_while_they_came_is_made_again_bit_for_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path();
    let open = Arc::new(AtomicUsize::new(1));
    let server = pages(&open);
    let services =
        Services { timeout_s: 60.0, retries: 0, pause_s: 0.01, page_size: 300, saved: vec![], ..Services::at(&server.base()) };
    let settings = || Settings { services: services.clone(), ..Settings::default() };
    let mut session = Session::new(settings());
    let filter: Filter = "t_min=0..60000".parse().expect("a filter");
    let request = Request::MastFiltered { filters: vec![filter], position: None, max_rows: None };
    session.apply(Command::Search { name: "all".into(), ask: Ask::Archive { request } }).expect("it starts");
    let until = |session: &mut Session, what: &str, holds: &dyn Fn(&Session) -> bool| {
        let start = std::time::Instant::now();
        while !holds(session) {
            assert!(start.elapsed().as_secs() < 60, "waited a minute for {what}: {:?}", session.notices().last());
            session.poll();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    };
    let rows = |s: &Session| s.doc().datasets.first().map_or(0, |d| d.table.rows());
    until(&mut session, "the first page", &|s| rows(s) >= 100);
    let columns = ["s_ra", "s_dec"].map(FeatureColumn::plain);
    let features = Features { of: FeatureKind::Columns(columns.to_vec()), ..Features::default() };
    session.apply(Command::SetFeatures { features }).expect("features");
    let params = Params { method: Method::Tsne, iterations: 700, settle: false, seed: 5, ..Params::default() };
    session.apply(Command::StartMap { name: "live".into(), params: params.clone() }).expect("it starts");
    let first = rows(&session);
    let layout = |s: &Session| {
        s.jobs().iter().find(|j| j.is_map).map_or(0, |j| if j.progress().0 == "layout" { j.progress().1 } else { 0 })
    };
    until(&mut session, "the layout", &|s| layout(s) > 30);
    open.store(2, Ordering::Relaxed);
    until(&mut session, "the second page", &|s| rows(s) >= 600);
    let at = layout(&session);
    until(&mut session, "the layout to go on", &|s| layout(s) > at + 30);
    open.store(3, Ordering::Relaxed);
    session.wait(&mut |_| {}).expect("it ends");
    let map = session.doc().dataset().expect("rows").maps.first().cloned().expect("a map");
    let arrived = map.legs[0].arrived.clone();
    assert_eq!(arrived.first(), Some(&[0, first]));
    assert!(arrived.len() >= 3 && arrived.last().is_some_and(|a| a[1] == 900), "{arrived:?}");
    // It goes on, with all rows now.
    session.apply(Command::GoOn { params: Params { iterations: 60, ..params } }).expect("it goes on");
    session.wait(&mut |_| {}).expect("it ends");
    let on = session.doc().dataset().and_then(|d| d.map().cloned()).expect("the second map");
    let text = asterism_session::recipe::of_document(session.doc());
    assert!(text.contains(&format!("arrived = {arrived:?}\n")), "{text}");
    let file = home.join("live.toml");
    std::fs::write(&file, &text).expect("a recipe");
    let ran = asterism_session::run::run(&file, &home.join("out"), settings(), &mut |_| {}).expect("it runs");
    for map in [&map, &on] {
        let made = coords(&ran.session, &map.name);
        let same = made.iter().zip(&map.coords.values).filter(|(a, b)| a.to_bits() == b.to_bits()).count();
        assert_eq!((same, made.len()), (1800, 1800), "{}", map.name);
    }
    // Without what is said of arrivals it is another map.
    let plain: String = text.lines().filter(|l| !l.starts_with("arrived")).map(|l| format!("{l}\n")).collect();
    std::fs::write(&file, plain).expect("a recipe");
    let ran = asterism_session::run::run(&file, &home.join("out"), settings(), &mut |_| {}).expect("it runs");
    assert_ne!(coords(&ran.session, &map.name), map.coords.values);
    // Pairs that fall are refused.
    std::fs::write(&file, text.replace("arrived = [[0, ", "arrived = [[7, ")).expect("a recipe");
    let refused = asterism_session::run::run(&file, &home.join("out"), settings(), &mut |_| {}).err().expect("it is refused");
    assert!(refused.to_string().contains("the first at 0"), "{refused}");
}
