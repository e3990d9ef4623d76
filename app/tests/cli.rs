//! The command line's contract: exit status, JSON, files, on real samples.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Run the program with a configuration folder of its own.
pub fn asterism(home: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_asterism"))
        .args(words)
        .env("ASTERISM_HOME", home)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .expect("the program starts")
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn sample(folder: &Path, name: &str) -> String {
    let out = asterism(folder, &["sample", name, "-o", folder.to_str().expect("a path")]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    folder.join(format!("{name}.parquet")).display().to_string()
}

#[test]
fn info_tells_what_a_sample_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = sample(folder.path(), "a478");
    let v = json(&asterism(folder.path(), &["info", &table, "--json"]));
    let part = &v["parts"][0];
    assert_eq!(part["kind"], "table");
    assert_eq!(part["rows"], 1600);
    let ra = part["columns"].as_array().expect("columns").iter().find(|c| c["name"] == "ra").expect("ra");
    assert_eq!(ra["unit"], "deg");
    assert!(ra["ucd"].as_str().is_some_and(|u| u.starts_with("pos.eq.ra")));
    assert!((ra["min"].as_f64().expect("a number") - 63.35).abs() < 0.05);
    let image = folder.path().join("a478-hst.fits").display().to_string();
    let v = json(&asterism(folder.path(), &["info", &image, "--json"]));
    let image = v["parts"].as_array().expect("parts").iter().find(|p| p["kind"] == "image").expect("an image");
    assert!((image["centre_deg"][0].as_f64().expect("a number") - 63.35).abs() < 0.05);
}

#[test]
fn convert_keeps_metadata_and_rows_through_every_format() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = sample(folder.path(), "spex");
    let first = folder.path().join("dwarfs.vot").display().to_string();
    let v = json(&asterism(
        folder.path(),
        &[
            "convert",
            &table,
            &first,
            "--columns",
            "name,ra,dec,class,j_2mass",
            "--where",
            "class = 'T' AND j_2mass IS NOT NULL",
            "--json",
        ],
    ));
    let rows = v["rows"].as_u64().expect("a count");
    assert!(rows > 50 && rows < 300, "{rows}");
    let mut from = first;
    for ending in ["fits", "parquet", "ecsv", "arrow", "vot"] {
        let to = folder.path().join(format!("again.{ending}")).display().to_string();
        let v = json(&asterism(folder.path(), &["convert", &from, &to, "--json"]));
        assert_eq!(v["rows"].as_u64(), Some(rows), "{ending}");
        from = to;
    }
    let v = json(&asterism(folder.path(), &["info", &from, "--json"]));
    let columns = v["parts"][0]["columns"].as_array().expect("columns").clone();
    let names: Vec<&str> = columns.iter().filter_map(|c| c["name"].as_str()).collect();
    assert_eq!(names, ["name", "ra", "dec", "class", "j_2mass"]);
    assert_eq!(columns[1]["unit"], "deg");
    assert_eq!(columns[4]["unit"], "mag");
}

#[test]
fn a_votable_is_written_in_the_serialisation_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = sample(folder.path(), "spex");
    let rows = json(&asterism(folder.path(), &["info", &table, "--json"]))["parts"][0]["rows"].clone();
    for (word, element) in [("tabledata", "<TABLEDATA>"), ("binary", "<BINARY>"), ("binary2", "<BINARY2>")] {
        let to = folder.path().join(format!("{word}.vot")).display().to_string();
        let v = json(&asterism(folder.path(), &["convert", &table, &to, "--serialization", word, "--json"]));
        assert_eq!(v["rows"], rows, "{word}");
        assert!(std::fs::read_to_string(&to).expect("a document").contains(element), "{word}");
        let back = json(&asterism(folder.path(), &["info", &to, "--json"]));
        assert_eq!(back["parts"][0]["rows"], rows, "{word}");
    }
    let csv = folder.path().join("o.csv").display().to_string();
    for (to, word) in [(csv.as_str(), "binary"), ("o.vot", "base64")] {
        let out = asterism(folder.path(), &["convert", &table, to, "--serialization", word]);
        assert_eq!(out.status.code(), Some(2), "{word} to {to}");
    }
    assert!(!Path::new(&csv).exists());

    let recipe = |to: &str, word: &str| {
        let path = folder.path().join("recipe.toml");
        let text = format!(
            "asterism = 1\n[[search]]\nname = 's'\nservice = 'sample:spex'\nmax_rows = 20\n[[export]]\nof = 's'\nto = ['{to}']\nserialization = '{word}'\n"
        );
        std::fs::write(&path, text).expect("a recipe");
        asterism(folder.path(), &["run", &path.display().to_string(), "-o", &folder.path().join("out").display().to_string()])
    };
    assert_eq!(recipe("s.vot", "tabledata").status.code(), Some(0));
    let text = std::fs::read_to_string(folder.path().join("out/s.vot")).expect("an export");
    assert_eq!((text.matches("<TR>").count(), text.contains("<TABLEDATA>")), (20, true));
    let said = |out: std::process::Output| (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned());
    let (done, text) = said(recipe("s.csv", "binary"));
    assert!(!done && text.contains(".vot"), "{text}");
    let (done, text) = said(recipe("s.vot", "base64"));
    assert!(!done && text.contains("tabledata"), "{text}");
}

#[test]
fn wrong_words_are_status_2_and_failures_status_1() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = sample(folder.path(), "hdf");
    let out = folder.path().join("o.csv").display().to_string();
    let status = |words: &[&str]| asterism(folder.path(), words).status.code();
    assert_eq!(status(&["convert"]), Some(2));
    assert_eq!(status(&["convert", &table, &out, "--where", "mag >"]), Some(2));
    assert_eq!(status(&["reduce", &table, "-o", &out, "--method", "magic"]), Some(2));
    let gone = asterism(folder.path(), &["info", "no-such-file.vot"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("no-such-file.vot"));
    assert!(!Path::new(&out).exists());
    let recipe = folder.path().join("wrong.toml");
    std::fs::write(&recipe, "asterism = 1\n\n[[search]]\nname = \"a\"\nservice = \"sample:nothing\"\n").expect("written");
    let wrong =
        asterism(folder.path(), &["run", recipe.to_str().expect("a path"), "-o", folder.path().to_str().expect("a path")]);
    assert_eq!(wrong.status.code(), Some(1));
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(said.contains("line 5") && said.contains("nothing"), "{said}");
}

#[test]
fn a_window_without_a_display_says_so_in_one_line() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let out = asterism(folder.path(), &[]);
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    assert!(said.contains("asterism run"), "{said}");
}

#[test]
fn a_truncated_answer_cannot_be_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("o.parquet").display().to_string();
    let out = asterism(folder.path(), &["search", "sample:ogle3", "--max-rows", "500", "-o", &to, "--json"]);
    let v = json(&out);
    assert_eq!(v["rows"], 500);
    assert_eq!(v["truncated"], true);
    assert!(String::from_utf8_lossy(&out.stderr).contains("TRUNCATED"));
    let out = asterism(folder.path(), &["search", "sample:ogle3", "--max-rows", "500", "-o", &to, "--complete"]);
    assert_eq!(out.status.code(), Some(1));
}

#[test]
fn a_recipe_whose_search_was_cut_off_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let recipe = folder.path().join("few.toml");
    std::fs::write(&recipe, "asterism = 1\n[[search]]\nname = \"few\"\nservice = \"sample:hdf\"\nmax_rows = 40\n")
        .expect("written");
    let to = folder.path().join("out").display().to_string();
    let out = asterism(folder.path(), &["run", recipe.to_str().expect("a path"), "-o", &to, "--json"]);
    assert_eq!(json(&out)["truncated"], true);
    assert!(String::from_utf8_lossy(&out.stderr).contains("TRUNCATED"));
}

#[test]
fn a_map_can_be_saved_and_take_new_rows_in_another_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path();
    let path = |name: &str| home.join(name).display().to_string();
    let table = sample(home, "spex");
    let common = ["--columns", "j_2mass,h_2mass,ks_2mass,spt", "--scale", "robust"];
    let mut words = vec!["reduce", &table, "-o"];
    let (map, model, again) = (path("map.parquet"), path("map.model"), path("again.parquet"));
    words.extend([map.as_str(), "--method", "tsne", "--save", &model, "--quality", "--json"]);
    words.extend(common);
    let v = json(&asterism(home, &words));
    assert!(v["quality"]["kl"].as_f64().is_some_and(|k| k > 0.0 && k < 5.0), "{v}");
    assert!(v["quality"]["trustworthiness_15"].as_f64().is_some_and(|t| t > 0.9), "{v}");
    assert!(v["peak_bytes"].as_u64().is_some_and(|b| b > 1_000_000));
    let one = std::fs::read(&map).expect("the map");
    words[2] = "-o";
    let twice = path("twice.parquet");
    words[3] = &twice;
    words.extend(["--threads", "1"]);
    json(&asterism(home, &words));
    assert_eq!(one, std::fs::read(&twice).expect("the map"), "one thread gives another map than all");
    let v = json(&asterism(home, &["reduce", &table, "-o", &again, "--place", &model, "--json"]));
    assert_eq!(v["rows"], 1940);
}

#[test]
fn refine_gives_a_rule_that_selects_what_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = sample(folder.path(), "spex");
    let v = json(&asterism(folder.path(), &["refine", &table, "--where", "class = 'T'", "--columns", "spt", "--json"]));
    assert!(v["purity"].as_f64().is_some_and(|p| p > 0.95), "{v}");
    assert!(v["completeness"].as_f64().is_some_and(|c| c > 0.95), "{v}");
    let to = folder.path().join("matched.csv").display().to_string();
    let rule = v["rule"].as_str().expect("a rule").to_owned();
    let rows = json(&asterism(folder.path(), &["convert", &table, &to, "--where", &rule, "--json"]));
    assert_eq!(rows["rows"], v["matched"], "{rule}");
}

#[test]
fn the_first_recipe_runs_with_no_display() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/a478.toml");
    let v =
        json(&asterism(folder.path(), &["run", recipe.to_str().expect("a path"), "-o", out.to_str().expect("a path"), "--json"]));
    let steps = v["steps"].as_array().expect("steps");
    let step = |kind: &str| steps.iter().find(|s| s["step"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    assert_eq!(step("search")["rows"], 1600);
    assert!(step("map")["figures"]["kl"].as_f64().is_some_and(|k| k > 0.1));
    assert_eq!(step("select")["rows"], 154);
    assert!(step("refine")["completeness"].as_f64().is_some_and(|c| c > 0.6));
    for file in
        ["filament.vot", "filament.parquet", "filament.fits", "filament.csv", "session.asterism", "report.json", "a478.png"]
    {
        assert!(out.join(file).metadata().is_ok_and(|m| m.len() > 500), "{file}");
    }
    let picture = image::open(out.join("a478.png")).expect("a picture").to_rgb8();
    assert_eq!(picture.dimensions(), (1600, 1000));
    // The subset's colour (Okabe and Ito's orange) must be on the map, and on the image beside it.
    let orange = |x0: u32, x1: u32| {
        (x0..x1)
            .flat_map(|x| (0..1000).map(move |y| (x, y)))
            .filter(|(x, y)| {
                let p = picture.get_pixel(*x, *y).0;
                p[0] > 180 && (100..190).contains(&p[1]) && p[2] < 60
            })
            .count()
    };
    assert!(orange(0, 880) > 500, "the map shows no filament");
    assert!(orange(880, 1600) > 200, "the image shows no filament");
    // The title stands at the top left in the theme's text colour: a picture without its fonts has none.
    let lettered =
        (0..120).flat_map(|x| (5..32).map(move |y| (x, y))).filter(|(x, y)| picture.get_pixel(*x, *y).0[0] > 120).count();
    assert!(lettered > 20, "the picture has no text");
    let session = out.join("session.asterism").display().to_string();
    let drawn = folder.path().join("again.svg").display().to_string();
    let v = json(&asterism(folder.path(), &["draw", &session, "-o", &drawn, "--size", "1280x720", "--json"]));
    assert_eq!(v["rows"], 1600);
    assert!(std::fs::read_to_string(&drawn).expect("an SVG").contains("filament"));
}

#[test]
fn the_further_doors_are_asked_by_kind() {
    use asterism_archive::replay::{Manner, Replay, Reply, Route};
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
    let recorded = |name: &str| Reply::file(fixtures.join(name));
    let mut routes = Replay::mast_routes(fixtures.join("mast"), Manner::Whole);
    routes.push(Route::get("/links", recorded("vo/datalink/datalink.xml")));
    routes.push(Route::get("/sia2", recorded("vo/sia2/sia2-dataset.xml")));
    routes.push(Route::post("/tap/sync", recorded("vo/tap/obscore-image.xml")));
    routes.push(Route::post("/registry/tap/sync", recorded("vo/dal/dataset.xml")));
    let replay = Replay::start(routes).expect("a server on loopback");
    let base = replay.base();
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("out.csv").display().to_string();
    let ask = |words: &[&str]| {
        let words: Vec<&str> = [&["search"], words, &["-o", &to, "--json"]].concat();
        let out = asterism(folder.path(), &words);
        assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice::<serde_json::Value>(&out.stdout).expect("JSON")["rows"].as_u64().expect("rows")
    };
    let hst = ["hst", "--kind", "mission", "--position", "40.66963 -0.01328", "--filter", "sci_aec=S", "--base-url", &base];
    assert_eq!(ask(&hst), 10);
    assert!(ask(&[hst.as_slice(), &["--products"]].concat()) > 2);
    assert_eq!(ask(&[&format!("{base}/links?ID=x"), "--kind", "datalink"]), 4);
    let sia2 = ask(&[&format!("{base}/sia2"), "--kind", "sia2", "--position", "10 -5", "--filter", "BAND=1e-6..2e-6"]);
    assert_eq!(sia2, 1);
    ask(&[&format!("{base}/tap"), "--kind", "obscore", "--filter", "dataproduct_type=image,cube"]);
    assert_eq!(ask(&["quasar spectra", "--kind", "registry", "--filter", "service=ssa", "--base-url", &base]), 3);
    let seen = |prefix: &str| replay.seen_at(prefix).pop().expect("a request");
    assert_eq!(seen("/sia2").query("BAND").as_deref(), Some("0.000001 0.000002"));
    assert!(seen("/tap/sync").form("QUERY").expect("a query").contains("dataproduct_type IN ('image', 'cube')"));
    let query = seen("/registry").form("QUERY").expect("a query");
    assert!(query.contains("'quasar'") && query.contains("std/ssa%"), "{query}");
    // Words that mean nothing there.
    let out =
        asterism(folder.path(), &["search", &format!("{base}/tap"), "--kind", "obscore", "--filter", "colour=red", "-o", &to]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("dataproduct_type"));
}

#[test]
fn a_table_larger_than_the_limit_is_converted_by_chunks() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = sample(folder.path(), "ogle3");
    let words = |out: &str| {
        let out = folder.path().join(out).display().to_string();
        json(&asterism(
            folder.path(),
            &["convert", &table, &out, "--columns", "period,class", "--where", "period > 100", "--json"],
        ))
    };
    let (whole, csv) = (words("a.parquet"), words("a.csv"));
    std::fs::write(folder.path().join("settings.json"), r#"{"table_gb": 0.001}"#).expect("written");
    let (part, part_csv) = (words("b.parquet"), words("b.csv"));
    assert!(whole["of_rows"].is_null() && part["of_rows"].as_u64().is_some_and(|n| n > 300_000), "{part}");
    assert_eq!(whole["rows"], part["rows"]);
    assert!(part["rows"].as_u64().is_some_and(|n| n > 1000));
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).expect("a file");
    assert_eq!(csv["rows"], part_csv["rows"]);
    assert_eq!(bytes("a.csv"), bytes("b.csv"));
    let info = |name: &str| json(&asterism(folder.path(), &["info", &folder.path().join(name).display().to_string(), "--json"]));
    assert_eq!(info("a.parquet")["parts"][0]["columns"], info("b.parquet")["parts"][0]["columns"]);
    // So are rows put on a map part by part, as they are put on it at once.
    let at = |name: &str| folder.path().join(name).display().to_string();
    let small = ["convert", &table, &at("few.parquet"), "--where", "period > 300"];
    assert!(asterism(folder.path(), &small).status.success());
    let fit = [
        "reduce",
        &at("few.parquet"),
        "-o",
        &at("few.csv"),
        "--method",
        "pca",
        "--columns",
        "period,i_mag,amplitude",
        "--save",
        &at("m"),
    ];
    assert!(asterism(folder.path(), &fit).status.success());
    let place = |out: &str| json(&asterism(folder.path(), &["reduce", &table, "-o", &at(out), "--place", &at("m"), "--json"]));
    let part = place("part.csv");
    std::fs::remove_file(folder.path().join("settings.json")).expect("removed");
    assert_eq!(place("whole.csv")["rows"], part["rows"]);
    assert!(part["rows"] == 399_679 && part["dims"] == 3 && part["seconds"]["read"].is_null(), "{part}");
    assert!(bytes("part.csv") == bytes("whole.csv"), "part by part it is another map");
    let bad = asterism(folder.path(), &["convert", &table, "never.csv", "--columns", "nothing"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("nothing"));
}

/// A table with magnitudes of a filter called B, a colour excess, luminosities in erg/s and a number that stands for none.
fn photometry(to: &Path, unit: &str) -> String {
    let mut ecsv = String::from("# %ECSV 1.0\n# ---\n# datatype:\n");
    for (name, unit) in [("B", "mag"), ("V", "mag"), ("E_BV", "mag"), ("luminosity", "erg/s"), ("size", unit), ("mjd", "d")] {
        ecsv.push_str(&format!("# - {{name: {name}, unit: {unit}, datatype: float64}}\n"));
    }
    ecsv.push_str("# schema: astropy-2.0\nB V E_BV luminosity size mjd\n");
    for i in 0..300u32 {
        let noise = |k: u32| f64::from((i * 7919 + k * 104_729) % 1000) / 1000.0 - 0.5;
        let bright = if i % 2 == 0 { 1.0 } else { 9.0 };
        let v = if i % 50 == 7 { 99.99 } else { 15.0 + bright + noise(1) };
        let (b, excess, l) = (15.5 + bright + noise(2), 0.3 + 0.1 * noise(3), 1e33 * (bright + noise(4)));
        ecsv.push_str(&format!("{b} {v} {excess} {l:e} {} {}\n", bright + noise(5), 59_000.5 + f64::from(i * 37 % 300)));
    }
    std::fs::write(to, ecsv).expect("written");
    to.display().to_string()
}

#[test]
fn reduce_takes_what_was_measured_and_says_what_it_took() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let run = |words: &[&str]| asterism(folder.path(), words);
    let table = photometry(&folder.path().join("stars.ecsv"), "pc");
    let (map, model) = (at("map.parquet"), at("map.model"));
    let v = json(&run(&["reduce", &table, "-o", &map, "--method", "pca", "--save", &model, "--json"]));
    assert_eq!(v["columns"], serde_json::json!(["B", "V", "E_BV", "luminosity", "size"]), "not the times");
    let warned = v["warnings"].to_string();
    assert!(warned.contains("column V: 99.99"), "{warned}");
    // Luminosities by themselves, as they are: nothing overflows, and the two groups are told apart.
    let words =
        ["reduce", &table, "-o", &map, "--columns", "luminosity", "--scale", "none", "--method", "tsne", "--quality", "--json"];
    let v = json(&run(&words));
    assert!(v["quality"]["trustworthiness_15"].as_f64().expect("a figure") > 0.95, "{v}");
    let v = json(&run(&[
        "cluster",
        &table,
        "-o",
        &map,
        "--columns",
        "luminosity",
        "--scale",
        "none",
        "--method",
        "kmeans",
        "--k",
        "2",
        "--json",
    ]));
    assert!((v["clusters"].as_i64(), v["quality"]["inertia"].as_f64().is_some_and(f64::is_finite)) == (Some(2), true), "{v}");
    // Stages are named as the contract has it, and judging is one.
    let stages = json(&run(&["reduce", &table, "-o", &map, "--method", "tsne", "--json"]))["seconds"].clone();
    assert!(["read", "neighbours", "affinities", "optimise"].iter().all(|s| stages[s].is_number()), "{stages}");
    let twice = run(&["convert", &table, &at("twice.csv"), "--columns", "B,B"]);
    assert!(String::from_utf8_lossy(&twice.stderr).contains("'B' is named twice"));
    // As the window prepares them.
    let v = json(&run(&["reduce", &table, "-o", &map, "--method", "pca", "--prepare", "--columns", "V,luminosity", "--json"]));
    assert_eq!(v["columns"][0], "V");
    // Rows in another unit, and bare matrices, are not put on a map of a table.
    let kpc = photometry(&folder.path().join("kpc.ecsv"), "kpc");
    let refused = run(&["reduce", &kpc, "-o", &map, "--place", &model]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && why.contains("size is in kpc here, and the map was made of pc"), "{why}");
    let matrix = at("rows.npy");
    assert!(run(&["reduce", &table, "-o", &matrix, "--columns", "B,V,E_BV", "--dims", "3", "--method", "pca"]).status.success());
    let refused = run(&["reduce", &matrix, "-o", &map, "--place", &model]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && why.contains("made of a table (B, V, E_BV, luminosity, size)"), "{why}");
    // Options that would do nothing are refused.
    for words in [
        ["reduce", &matrix, "-o", &map, "--columns", "a"],
        ["reduce", &matrix, "-o", &map, "--weights", "a"],
        ["reduce", &table, "-o", &map, "--exaggeration", "nan"],
        ["cluster", &table, "-o", &map, "--min-cluster-size", "0"],
    ] {
        assert_eq!(run(&words).status.code(), Some(2), "{words:?}");
    }
    assert_eq!(run(&["reduce", &table, "-o", &map, "--place", &model, "--quality"]).status.code(), Some(2));
}

#[test]
fn new_rows_are_put_into_the_groups_of_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let run = |words: &[&str]| asterism(folder.path(), words);
    let table = photometry(&folder.path().join("old.ecsv"), "pc");
    let few = at("few.parquet");
    assert!(run(&["convert", &table, &few, "--where", "B > 20"]).status.success());
    for method in ["kmeans", "gmm", "hdbscan"] {
        let (all, new) = (at("all.csv"), at("new.csv"));
        let size = ["--columns", "B,luminosity", "--method", method, "--min-cluster-size", "20"];
        let k: &[&str] = if method == "hdbscan" { &[] } else { &["--k", "2"] };
        let whole = json(&run(&[&["cluster", &table, "-o", &all, "--json"], &size[..], k].concat()));
        assert!(whole["clusters"].as_i64().is_some_and(|n| if k.is_empty() { n >= 2 } else { n == 2 }), "{method}: {whole}");
        json(&run(&[&["cluster", &few, "-o", &new, "--from", &table, "--json"], &size[..], k].concat()));
        let labels = |path: &str| -> Vec<(String, String)> {
            let text = std::fs::read_to_string(path).expect("written");
            let mut lines = text.lines().filter(|l| !l.starts_with('#'));
            let head: Vec<&str> = lines.next().expect("a head").split(',').collect();
            let at = |name: &str| head.iter().position(|h| *h == name).expect("the column");
            let (b, cluster) = (at("B"), at("cluster"));
            lines
                .map(|l| l.split(',').map(str::to_owned).collect::<Vec<_>>())
                .map(|c| (c[b].clone(), c[cluster].clone()))
                .collect()
        };
        let (known, found) = (labels(&all), labels(&new));
        let same = found.iter().filter(|row| known.contains(row)).count();
        // A row of no group may lie within reach of one when it comes anew.
        let least = if k.is_empty() { found.len() * 9 / 10 } else { found.len() };
        assert!(found.len() > 100 && same >= least, "{method}: {same} of {} rows keep their group", found.len());
    }
    for method in ["lof", "forest"] {
        let v = json(&run(&["cluster", &few, "-o", &at("s.csv"), "--from", &table, "--method", method, "--json"]));
        assert!(v["rows"].as_u64().is_some_and(|n| n > 100), "{v}");
    }
    let seeds: Vec<Vec<u8>> = ["0", "0", "1"]
        .iter()
        .map(|seed| {
            let to = at("f.csv");
            assert!(run(&["cluster", &table, "-o", &to, "--method", "forest", "--seed", seed]).status.success());
            std::fs::read(&to).expect("written")
        })
        .collect();
    assert!(seeds[0] == seeds[1] && seeds[0] != seeds[2], "the seed makes the forest");
}

#[test]
fn rows_are_named_by_plain_lists_and_what_is_missing_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (whole, table, list, out) = (sample(folder.path(), "spex"), at("named.parquet"), at("ids.txt"), at("few.csv"));
    // The name is what identifies a row here.
    assert!(asterism(folder.path(), &["convert", &whole, &table, "--columns", "name,ra,dec,class"]).status.success());
    let names = at("names.csv");
    assert!(asterism(folder.path(), &["convert", &table, &names, "--columns", "name"]).status.success());
    let all: Vec<String> = std::fs::read_to_string(&names).expect("names").lines().skip(1).map(str::to_owned).collect();
    // Names that stand once.
    let once = |n: &&String| all.iter().filter(|m| m == n).count() == 1;
    let ids: Vec<String> = all.iter().filter(once).take(13).cloned().collect();
    let convert = |text: &str| {
        std::fs::write(&list, text).expect("written");
        asterism(folder.path(), &["convert", &table, &out, "--rows", &list, "--json"])
    };
    // One id a line, no head: all of them; alone as well.
    let v = json(&convert(&ids.join("\n")));
    assert_eq!((v["rows"].as_u64(), v["warnings"].as_array().map(Vec::len)), (Some(13), Some(0)), "{v}");
    assert_eq!(json(&convert(&ids[0]))["rows"], 1);
    // With a head, and with ids that are nowhere.
    let v = json(&convert(&format!("name\n{}\nnobody\nnowhere\n", ids[1])));
    assert_eq!(v["rows"], 1);
    assert!(v["warnings"].to_string().contains("2 of its 3 ids are not in the table"), "{v}");
    // Row numbers count from 0; those beyond the last are told.
    let v = json(&convert("row\n0\n5\n99999\n"));
    assert_eq!(v["rows"], 2);
    assert!(v["warnings"].to_string().contains("1 of its 3 row numbers"), "{v}");
    // Without --json a warning is on standard error.
    std::fs::write(&list, format!("name\n{}\nnobody\n", ids[1])).expect("written");
    let said = asterism(folder.path(), &["convert", &table, &out, "--rows", &list]);
    assert!(said.status.success() && String::from_utf8_lossy(&said.stderr).contains("1 of its 2 ids"));
    let said = asterism(folder.path(), &["convert", &table, &at("few.npy")]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("left out are 'name'"), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn a_table_that_was_cut_off_says_so_in_every_format_that_can() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let cut = at("cut.vot");
    std::fs::write(
        &cut,
        "<VOTABLE version=\"1.3\"><RESOURCE type=\"results\"><TABLE><FIELD name=\"a\" datatype=\"int\"/><DATA><TABLEDATA>\
         <TR><TD>1</TD></TR></TABLEDATA></DATA></TABLE><INFO name=\"QUERY_STATUS\" value=\"OVERFLOW\"/></RESOURCE></VOTABLE>",
    )
    .expect("written");
    for ending in ["vot", "fits", "parquet", "arrow", "ecsv"] {
        let to = at(&format!("copy.{ending}"));
        assert!(asterism(folder.path(), &["convert", &cut, &to]).status.success());
        let v = json(&asterism(folder.path(), &["info", &to, "--json"]));
        assert!(v["truncated"] == true && v["parts"][0]["truncated"] == true, "{ending}: {v}");
        assert_eq!(v["parts"][0]["rows"], 1, "{ending}");
    }
    // Whoever asks for all gets none of it as done.
    let refused = asterism(folder.path(), &["convert", &cut, &at("copy.vot"), "--complete"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = asterism(folder.path(), &["convert", &cut, &at("copy.csv")]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("no place to say so"));
}

#[test]
fn a_recipe_takes_the_seed_of_the_call_and_a_picture_of_it_exports_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    sample(folder.path(), "ogle3");
    let precious = folder.path().join("precious.csv");
    std::fs::write(&precious, "mine").expect("written");
    let recipe = at("r.toml");
    let text = "asterism = 1\n[[search]]\nname = \"stars\"\nservice = \"file:ogle3.parquet\"\nmax_rows = 300\n\
        [[features]]\nname = \"f\"\nof = \"stars\"\ncolumns = [\"period_d\", \"i_mag\", \"v_mag\"]\n\
        [[map]]\nname = \"m\"\nof = \"f\"\nmethod = \"umap\"\nepochs = 20\n\
        [[export]]\nof = \"stars\"\nto = [\"PRECIOUS\"]\n";
    let columns = json(&asterism(folder.path(), &["info", &at("ogle3.parquet"), "--json"]));
    let numeric: Vec<String> = columns["parts"][0]["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .filter(|c| c["type"].as_str().is_some_and(|t| t.starts_with('f')) && c["min"].is_number())
        .filter_map(|c| c["name"].as_str().map(str::to_owned))
        .take(3)
        .collect();
    let text = text
        .replace("[\"period_d\", \"i_mag\", \"v_mag\"]", &format!("{numeric:?}"))
        .replace("PRECIOUS", &precious.display().to_string());
    std::fs::write(&recipe, &text).expect("written");
    let drawn = asterism(folder.path(), &["draw", &recipe, "-o", &at("p.png")]);
    assert!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    assert_eq!(std::fs::read_to_string(&precious).expect("there"), "mine", "a picture was asked for, no export");
    let table = |out: &str, words: &[&str]| {
        let done = asterism(folder.path(), &[&["run", &recipe, "-o", &at(out)], words].concat());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::read(&precious).expect("written")
    };
    let (a, b, c) = (table("a", &["--seed", "7"]), table("b", &["--seed", "7"]), table("c", &[]));
    assert!(a == b && a != c, "the seed makes the map, which is in the exported table");
    std::fs::write(&recipe, text.replace("[[map]]", "[[search]]\nname = \"stars\"\nservice = \"file:ogle3.parquet\"\n[[map]]"))
        .expect("written");
    let twice = asterism(folder.path(), &["run", &recipe, "-o", &at("d")]);
    assert!(
        twice.status.code() == Some(1) && String::from_utf8_lossy(&twice.stderr).contains("two search steps are named 'stars'")
    );
}

#[test]
fn what_cannot_be_written_or_read_is_said_before_the_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let table = sample(folder.path(), "spex");
    let said = |words: &[&str]| {
        let out = asterism(folder.path(), words);
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (code, why) = said(&["reduce", &table, "-o", &at("no/map.parquet"), "--vectors", "flux"]);
    assert!(code == Some(1) && why.contains("there is no folder"), "{why}");
    let (code, why) = said(&["reduce", &table, "-o", &at("map.foo"), "--vectors", "flux"]);
    assert!(code == Some(1) && why.contains("names no format"), "{why}");
    let (code, why) = said(&["draw", &table, "-o", &at("p.jpg")]);
    assert!(code == Some(2) && why.contains(".png, .svg or .pdf"), "{why}");
    let (code, why) = said(&["info", &at("missing.vot")]);
    assert!(code == Some(1) && why.contains("there is no such file"), "{why}");
    for ending in ["fits", "parquet", "vot", "arrow", "npy"] {
        std::fs::write(at(&format!("err.{ending}")), "ERROR: too many requests\n").expect("written");
        let (code, why) = said(&["info", &at(&format!("err.{ending}"))]);
        assert!(code == Some(1) && why.contains("plain text") && why.contains("too many requests"), "{ending}: {why}");
    }
    // A picture in colours is a product too.
    let picture = at("p.png");
    assert!(asterism(folder.path(), &["draw", &table, "-o", &picture, "--size", "200x100"]).status.success());
    let v = json(&asterism(folder.path(), &["info", &picture, "--json"]));
    assert_eq!((v["parts"][0]["kind"].as_str(), v["parts"][0]["width"].as_u64()), (Some("picture"), Some(200)), "{v}");
    assert!(v["seconds"]["all"].is_number());
    assert_eq!(said(&["bench", "reduce", "--only", "nosuch", "--rows", "50"]).0, Some(2));
    let (code, why) = said(&["redcue", "x.vot"]);
    assert!(code == Some(2) && why.contains("neither a command nor a file named 'redcue'"), "{why}");
}

#[cfg(unix)]
#[test]
fn a_conversion_that_is_ended_leaves_what_was_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let mut csv = String::from("a,b,c,d\n");
    (0..400_000u32).for_each(|i| csv.push_str(&format!("{i},{},{}.5,x{i}\n", i * 7 % 1000, i)));
    std::fs::write(at("large.csv"), csv).expect("written");
    std::fs::write(at("out.vot"), "what was there").expect("written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_asterism"))
        .args(["convert", &at("large.csv"), &at("out.vot"), "--serialization", "tabledata"])
        .env("ASTERISM_HOME", folder.path())
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    std::thread::sleep(std::time::Duration::from_millis(60));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130), "ended by Ctrl+C");
    assert_eq!(std::fs::read_to_string(at("out.vot")).expect("there"), "what was there");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().contains(".part")), "{left:?}");
}

#[test]
fn the_way_back_from_a_map_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    // Two columns on a line: one axis holds all, and gives every row back.
    let rows: String = (0..200).map(|i| format!("{},{},{}\n", 10.0 + 0.5 * f64::from(i), 300.0 - f64::from(i), i % 7)).collect();
    std::fs::write(at("t.csv"), format!("a,b,kind\n{rows}")).expect("a table");
    let words = ["reduce", &at("t.csv"), "-o", &at("m.csv"), "--method", "pca", "--dims", "2", "--columns", "a,b"];
    let more = ["--axes", &at("axes.csv"), "--decoded", &at("back.csv"), "--walk", &at("walk.csv"), "--between", "0,100"];
    let rest = ["--steps", "3", "--nearest", "50", "--count", "2", "--save", &at("m.model"), "--perplexity", "9", "--json"];
    let v = json(&asterism(folder.path(), &[&words[..], &more, &rest].concat()));
    assert_eq!(v["nearest"][0]["row"], 50);
    let near: Vec<u64> = v["nearest"][0]["rows"].as_array().expect("rows").iter().filter_map(Value::as_u64).collect();
    assert!(near == [49, 51] || near == [51, 49], "{near:?}");
    assert!(v["warnings"][0].as_str().is_some_and(|w| w.contains("--perplexity is for tsne")), "{}", v["warnings"]);
    let lines = |name: &str| -> Vec<Vec<f64>> {
        let text = std::fs::read_to_string(at(name)).expect(name);
        text.lines().skip(1).map(|l| l.split(',').map(|c| c.parse().unwrap_or(f64::NAN)).collect()).collect()
    };
    let axes = lines("axes.csv");
    // axis, spread, explained, together, a, b: one standard deviation is as much of each scaled column.
    assert!((axes[0][2] - 1.0).abs() < 1e-5 && (axes[1][3] - 1.0).abs() < 1e-5, "{axes:?}");
    assert!((axes[0][4] + axes[0][5]).abs() < 1e-4 * axes[0][4].abs(), "{axes:?}");
    let back = lines("back.csv");
    assert!(back.len() == 200 && (back[40][1] - 30.0).abs() < 1e-3 && (back[40][2] - 260.0).abs() < 1e-2, "{:?}", back[40]);
    assert!(back.iter().all(|r| r[3] < 1e-4), "what the map loses");
    // step, map_x, map_y, a, b: in the middle of the way the row between.
    let walk = lines("walk.csv");
    assert!((walk[1][3] - 35.0).abs() < 1e-3 && (walk[1][4] - 250.0).abs() < 1e-2, "{walk:?}");
    // The same of a saved model, and of a bare matrix's columns.
    let words =
        ["reduce", &at("t.csv"), "-o", &at("p.csv"), "--place", &at("m.model"), "--walk", &at("again.csv"), "--between", "0,100"];
    let v = json(&asterism(folder.path(), &[&words[..], &["--steps", "3", "--epochs", "4", "--json"]].concat()));
    assert!(v["warnings"].as_array().expect("warnings").iter().any(|w| w.as_str().is_some_and(|w| w.contains("--epochs"))));
    assert_eq!(std::fs::read_to_string(at("again.csv")).ok(), std::fs::read_to_string(at("walk.csv")).ok());
    // A column's own transform; mistakes are said before any work.
    let words = [
        "reduce",
        &at("t.csv"),
        "-o",
        &at("m.csv"),
        "--method",
        "pca",
        "--columns",
        "a,b",
        "--transform",
        "kind=levels",
        "--json",
    ];
    assert_eq!(json(&asterism(folder.path(), &words))["dims"], 9);
    for (more, said) in [
        (&["--axes", "x.csv"][..], "tsne has no way back"),
        (&["--method", "pca", "--transform", "a=lag"], "HOW is one of none, log"),
        (&["--method", "pca", "--walk", "w.csv", "--between", "3"], "--between takes two rows"),
        (&["--method", "umap", "--errors"], "umap takes no uncertainties"),
    ] {
        let out = asterism(folder.path(), &[&["reduce", &at("t.csv"), "-o", &at("m.csv")][..], more].concat());
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(2) && text.contains(said), "{more:?}: {text}");
    }
    let out = asterism(
        folder.path(),
        &["reduce", &at("t.csv"), "-o", &at("m.csv"), "--method", "pca", "--walk", &at("w.csv"), "--between", "0,200"],
    );
    assert!(String::from_utf8_lossy(&out.stderr).contains("the rows are 0 to 199"));
    // Groups of array cells.
    let spex = sample(folder.path(), "spex");
    let v = json(&asterism(
        folder.path(),
        &["cluster", &spex, "-o", &at("c.csv"), "--vectors", "spectrum", "--method", "kmeans", "--k", "3", "--json"],
    ));
    assert_eq!((&v["clusters"], v["columns"].as_array().map(Vec::len)), (&Value::from(3), Some(472)));
}

#[test]
fn one_table_of_a_file_is_named_by_its_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let table = |name: &str, rows: usize| {
        let cells: String = (0..rows).map(|i| format!("<TR><TD>{i}</TD></TR>")).collect();
        format!("<TABLE name='{name}'><FIELD name='x' datatype='int'/><DATA><TABLEDATA>{cells}</TABLEDATA></DATA></TABLE>")
    };
    let text = format!("<VOTABLE version='1.4'><RESOURCE>{}{}</RESOURCE></VOTABLE>", table("few", 2), table("many", 5));
    std::fs::write(at("two.vot"), text).expect("a document");
    let out = asterism(folder.path(), &["info", &at("two.vot")]);
    assert!(String::from_utf8_lossy(&out.stdout).contains("two.vot[few]"), "{}", String::from_utf8_lossy(&out.stdout));
    let rows = |from: &str| json(&asterism(folder.path(), &["convert", &at(from), &at("o.csv"), "--json"]))["rows"].clone();
    assert_eq!((rows("two.vot[few]"), rows("two.vot[2]")), (Value::from(2), Value::from(5)));
    let out = asterism(folder.path(), &["convert", &at("two.vot[none]"), &at("o.csv")]);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() == Some(1) && text.contains("its tables are few, many"), "{text}");
    // An answer of MAST that someone saved is a table.
    let saved = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/mast/caom.json").display().to_string();
    let v = json(&asterism(folder.path(), &["info", &saved, "--json"]));
    assert!(v["parts"][0]["rows"].as_u64().is_some_and(|n| n > 0), "{v}");
    json(&asterism(folder.path(), &["convert", &saved, &at("caom.vot"), "--json"]));
    // In a recipe as well.
    let recipe =
        "asterism = 1\n[[search]]\nname = \"t\"\nservice = \"file:two.vot[few]\"\n[[export]]\nof = \"t\"\nto = [\"few.csv\"]\n";
    std::fs::write(at("r.toml"), recipe).expect("a recipe");
    let v = json(&asterism(folder.path(), &["run", &at("r.toml"), "-o", &at("out"), "--json"]));
    assert!(std::fs::read_to_string(at("out/few.csv")).is_ok_and(|t| t.lines().count() == 3), "{v}");
}

/// A full disk behind `>` is told; a reader that went away is not.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_said_is_a_failure() {
    use std::process::Stdio;
    let dir = tempfile::tempdir().expect("a folder");
    let table = dir.path().join("t.csv");
    std::fs::write(&table, "a,b\n1,2\n").expect("written");
    for words in [vec!["info"], vec!["info", "--json"]] {
        let run = |out: Stdio| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_asterism"));
            command.args(&words).arg(&table).env("ASTERISM_HOME", dir.path()).stdout(out).output().expect("the program starts")
        };
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
        let ended = run(full.into());
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{words:?}");
        assert!(said.contains("standard output cannot be written"), "{said}");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        assert_eq!(run(writer.into()).status.code(), Some(0), "{words:?}");
    }
}
