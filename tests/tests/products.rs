//! Products behind rows: read into columns by recipes and by the window, with what failed told; and
//! maps that begin before the last row is here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use asterism_archive::Services;
use asterism_archive::replay::{Manner, Replay, Reply, Route};
use asterism_session::{
    Ask, Command, CurveColumns, ExportRows, FeatureKind, ProductKind, SelectMode, Session, Settings, reduce, run,
};

use crate::drive::*;

fn fixtures(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(kind)
}

/// A list of files, some of them not there, beside copies of the files.
fn listed(folder: &Path, kind: &str, names: &[&str]) -> PathBuf {
    let mut text = "name,file,period\n".to_owned();
    std::fs::create_dir_all(folder.join("files")).expect("a folder");
    for (i, name) in names.iter().enumerate() {
        // What is missing stays missing.
        let _ = std::fs::copy(fixtures(kind).join(name), folder.join("files").join(name));
        text.push_str(&format!("row {i},files/{name},{}\n", 1.0 + i as f64 / 4.0));
    }
    text.push_str("none,,2\n");
    let path = folder.join("list.csv");
    std::fs::write(&path, text).expect("written");
    path
}

fn ran(folder: &Path, recipe: &str) -> run::Ran {
    let path = folder.join("recipe.toml");
    std::fs::write(&path, recipe).expect("written");
    run::run(&path, &folder.join("out"), Settings::default(), &mut |_| {}).expect("it runs")
}

#[test]
fn a_recipe_maps_the_spectra_that_a_column_of_paths_names() {
    let folder = tempfile::tempdir().expect("a folder");
    listed(folder.path(), "spectra", &["PH957_e.fits", "PH957_f.fits", "SDSSJ220248.31+123656.3.fits", "gone.fits"]);
    let ran = ran(
        folder.path(),
        r#"
asterism = 1
[[search]]
name = "list"
service = "file:list.csv"
[[features]]
name = "flux"
of = "list"
spectra = { column = "file", grid = "3900..5000 A / 64" }
[[map]]
name = "map"
of = "flux"
method = "pca"
[[export]]
of = "list"
to = ["list.parquet"]
"#,
    );
    let products = ran.report.iter().find(|s| s["step"] == "products").expect("a step of its own");
    let said = products["said"].as_str().unwrap_or("");
    assert!(
        said.contains("Read 3 spectra") && said.contains("1 rows name none") && said.contains("1 could not be read"),
        "{said}"
    );
    assert!(said.contains("gone.fits"), "the message names the file: {said}");
    assert!(said.contains("their units differ"), "two surveys, two units: {said}");
    // The arrays travel: the exported table has them, and rows without a file have no place on the map.
    let table = asterism_data::read_table(&folder.path().join("out/list.parquet")).expect("a table");
    let flux = table.column_index("spectrum_flux").expect("the fluxes");
    let lengths: Vec<usize> = (0..5).map(|row| table.array(flux, row).len()).collect();
    assert!(lengths[0] > 100 && lengths[1] > 100 && lengths[2] > 1000, "{lengths:?}");
    assert_eq!(&lengths[3..], [0, 0]);
    assert_eq!(table.columns()[flux].unit, None);
    let d = ran.session.doc().dataset().expect("a table").clone();
    let map = d.map().expect("a map");
    let placed: Vec<bool> = map.xy.iter().map(|p| p[0].is_finite()).collect();
    assert_eq!(placed, [true, true, true, false, false]);
    // What the window would write as a recipe reads the same column again.
    let again = asterism_session::recipe::of_document(ran.session.doc());
    assert!(again.contains("spectra = { column = \"file\""), "{again}");
}

#[test]
fn light_curves_of_files_are_folded_into_vectors() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = "ktwo211117077-c04_llc.fits";
    listed(folder.path(), "lightcurves", &[name, name]);
    let ran = ran(
        folder.path(),
        r#"
asterism = 1
[[search]]
name = "list"
service = "file:list.csv"
[[features]]
name = "folded"
of = "list"
light_curves = { column = "file", bins = 16, period = "period" }
[[map]]
name = "map"
of = "folded"
method = "pca"
"#,
    );
    let d = ran.session.doc().dataset().expect("a table").clone();
    let curves = CurveColumns::find(&d.table).expect("light curves");
    assert!(curves.lists);
    // The number of points that pass the mask, as the fixtures' README says it of this file.
    let points = curves.points(&d.table, 0);
    assert!(points.len() > 2_000, "{}", points.len());
    assert!(points.windows(2).all(|p| p[1][0] > p[0][0]));
    assert!(
        matches!(&d.features.of, FeatureKind::LightCurves { bins: 16, period, .. } if period == "period"),
        "{:?}",
        d.features
    );
    let map = d.map().expect("a map");
    // Two periods, two shapes; the row without a file has no place.
    assert!(map.xy[0] != map.xy[1] && map.xy[0][0].is_finite() && map.xy[2][0].is_nan(), "{:?}", map.xy);
}

#[test]
fn products_of_selected_rows_are_added_to_those_read_before_and_taken_back_by_undo() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = listed(folder.path(), "spectra", &["PH957_e.fits", "PH957_f.fits"]);
    let mut s = Session::new(Settings::default());
    s.apply(Command::Search { name: String::new(), ask: Ask::file(list) }).expect("a job");
    s.wait(&mut |_| {}).expect("read");
    let read = |s: &mut Session, expr: &str| {
        s.apply(Command::SelectWhere { expr: expr.into(), mode: Some(SelectMode::Replace) }).expect("selected");
        let kind = ProductKind::Spectra;
        s.apply(Command::ReadProducts { column: "file".into(), kind, rows: ExportRows::Selection }).expect("a job");
        s.wait(&mut |_| {})
    };
    let lengths = |s: &Session| {
        let table = &s.doc().dataset().expect("a table").table;
        table.column_index("spectrum_flux").map(|c| (0..3).map(|row| table.array(c, row).len()).collect::<Vec<_>>())
    };
    read(&mut s, "name = 'row 1'").expect("read");
    let one = lengths(&s).expect("a column");
    assert!(one[0] == 0 && one[1] > 100, "{one:?}");
    read(&mut s, "name = 'row 0'").expect("read");
    let both = lengths(&s).expect("a column");
    assert!(both[0] > 100 && both[1] == one[1], "{both:?}");
    assert!(s.doc().dataset().expect("a table").spectra.is_some());
    // Of a row that names none: a message, and nothing changes.
    let e = read(&mut s, "name = 'none'").expect_err("no address").to_string();
    assert!(e.contains("column 'file'"), "{e}");
    assert_eq!(lengths(&s).expect("a column"), both);
    // Back over the two selections and the second reading.
    for _ in 0..3 {
        s.apply(Command::Undo).expect("undo");
    }
    assert_eq!(lengths(&s).expect("a column"), one);
}

#[test]
fn a_session_keeps_the_rule_with_its_alternatives() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut s = Session::new(Settings::default());
    s.apply(Command::Search { name: String::new(), ask: Ask::Sample { name: "spex".into(), filter: None, max_rows: None } })
        .expect("a job");
    s.wait(&mut |_| {}).expect("read");
    s.apply(Command::SelectWhere { expr: "j_2mass - ks_2mass > 1.5".into(), mode: Some(SelectMode::Replace) }).expect("selected");
    s.apply(Command::FitRule { columns: vec!["j_2mass".into(), "ks_2mass".into(), "h_2mass".into()], balance: 0.5 })
        .expect("a job");
    s.wait(&mut |_| {}).expect("fitted");
    let rule = s.doc().dataset().and_then(|d| d.rule.clone()).expect("a rule");
    let path = folder.path().join("s.asterism");
    s.apply(Command::SaveSession { to: path.clone() }).expect("a job");
    s.wait(&mut |_| {}).expect("saved");
    let mut again = Session::new(Settings::default());
    again.apply(Command::OpenSession { path }).expect("a job");
    again.wait(&mut |_| {}).expect("opened");
    let kept = again.doc().dataset().and_then(|d| d.rule.clone()).expect("the rule came back");
    assert_eq!((kept.sql(), kept.path.len(), kept.purity()), (rule.sql(), rule.path.len(), rule.purity()));
    // The control that trades purity for completeness still moves it.
    again.apply(Command::SetBalance { balance: 0.0 }).expect("moved");
    assert!(again.doc().dataset().and_then(|d| d.rule.clone()).expect("a rule").completeness() >= kept.completeness());
}

#[test]
fn a_map_begins_with_the_first_rows_and_the_later_ones_land_on_it() {
    // 6,000 rows of the variable stars as a VOTable that comes a piece at a time.
    let sample =
        asterism_session::sample::table(asterism_session::sample::by_name("ogle3").expect("the sample")).expect("a table");
    let chosen = asterism_data::RowSet::from_rows(sample.rows(), (0..6_000).map(|i| i * 66));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.vot");
    asterism_data::write_table(&sample.take(&chosen).expect("rows"), None, &path).expect("written");
    let bytes = std::fs::read(&path).expect("read");
    let manner = Manner::Slow { chunk: bytes.len() / 60, delay: Duration::from_millis(50) };
    let replay = Replay::start(vec![Route::post("/tap/sync", Reply::bytes(bytes).manner(manner))]).expect("a server");
    let mut s = Session::new(Settings { services: Services::at(&replay.base()), ..Settings::default() });
    let request = asterism_archive::Request::Tap {
        base: format!("{}/tap", replay.base()),
        adql: "SELECT * FROM t".into(),
        asynchronous: false,
        max_rows: None,
        uploads: Vec::new(),
    };
    s.apply(Command::Search { name: String::new(), ask: Ask::Archive { request } }).expect("a job");
    let (mut started, mut fitted_at) = (0, 0);
    s.wait(&mut |_| {}).ok();
    assert_eq!(s.doc().dataset().map(|d| d.table.rows()), Some(6_000));
    // Once more, now starting a map as soon as there are rows.
    let ask = s.doc().dataset().expect("a table").ask.clone();
    s.apply(Command::Search { name: String::new(), ask }).expect("a job");
    let end = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        s.poll();
        let d = s.doc().dataset().expect("a table").clone();
        if started == 0 && d.table.rows() > 0 {
            assert!(d.loading, "rows show before the last is here");
            started = d.table.rows();
            let params = reduce::Params { method: reduce::Method::Pca, ..Default::default() };
            s.apply(Command::StartMap { name: String::new(), params }).expect("a map");
        }
        if fitted_at == 0
            && let Some(map) = d.map()
        {
            fitted_at = map.fitted;
        }
        if !d.loading && d.map().is_some_and(|m| m.xy.len() == 6_000) && !s.busy() {
            break;
        }
        assert!(std::time::Instant::now() < end, "rows {} map {:?}", d.table.rows(), d.map().map(|m| m.xy.len()));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(started < 6_000 && fitted_at == started, "started with {started}, fitted {fitted_at}");
    let d = s.doc().dataset().expect("a table").clone();
    let map = d.map().expect("a map");
    let late = map.xy[started..].iter().filter(|p| p[0].is_finite()).count();
    assert!(late * 10 > (6_000 - started) * 9, "later rows have a place: {late} of {}", 6_000 - started);
}

#[test]
fn the_window_offers_to_read_products_and_lists_those_of_mast() {
    let replay = Replay::mast(fixtures("mast")).expect("a server");
    let services = Services { timeout_s: 5.0, retries: 0, pause_s: 0.01, saved: vec![], ..Services::at(&replay.base()) };
    let mut w = window_with(Settings { services, ..Settings::default() }, &["--start-page"]);
    choose(&mut w, "Service", "Observations");
    fill(&mut w, "Position", "m101");
    press(&mut w, "Search");
    until(&mut w, "observations", |w| rows(w) == 19 && !w.state().session.busy());
    press(&mut w, "List the products of 19 observations");
    until(&mut w, "the products", |w| rows(w) == 22 && !w.state().session.busy());
    assert!(front(&w).name.starts_with("Products of"), "{}", front(&w).name);
    assert!(find(&w, "Read spectra of 22 rows").is_some(), "the files can be read from here");
    // The recorded server holds none of these files: the message says so and the rows stay.
    press(&mut w, "Read spectra of 22 rows");
    until(&mut w, "the message", |w| said(w).iter().any(|t| t.contains("no spectra could be read")));
    assert_eq!(rows(&w), 22);
}
