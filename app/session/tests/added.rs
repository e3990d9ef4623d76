//! What is added to rows after they came (a match, an image, a cut-out) stands in the session's file and in the recipe, and a recipe
//! makes it again.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use asterism_archive::Services;
use asterism_archive::replay::{Replay, Reply, Route, Seen};
use asterism_session::behind::CutOut;
use asterism_session::lists::{MatchBy, MatchInto, Matching};
use asterism_session::recipe::{Parsed, of_document};
use asterism_session::{Ask, Command, ExportRows, Session, Settings};

const STARS: [(f64, f64); 4] = [(10.0, 20.0), (10.1, 20.0), (10.2, 20.1), (10.3, 20.1)];

/// A cone search that knows the first three stars with a magnitude, a FITS image at an address, and another by a job.
fn services() -> Replay {
    let image = || {
        let card = |text: &str| format!("{text:<80}");
        let head = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    2"];
        let more = ["NAXIS1  =                    4", "NAXIS2  =                    4", "END"];
        let head: String = head.iter().chain(&more).map(|c| card(c)).collect();
        let mut bytes = format!("{head:<2880}").into_bytes();
        bytes.extend((0..16).chain(std::iter::repeat_n(0, 2864)));
        Reply::bytes(bytes).header("Content-Type", "application/fits")
    };
    let cone = |seen: &Seen| {
        let number = |key: &str| seen.query(key).unwrap().parse::<f64>().unwrap();
        let (ra, dec) = (number("RA"), number("DEC"));
        let near = STARS.iter().take(3).enumerate().filter(|(_, s)| (s.0 - ra).abs() < 1e-3 && (s.1 - dec).abs() < 1e-3);
        let rows: String = near.map(|(i, s)| format!("<TR><TD>{}</TD><TD>{}</TD><TD>{}</TD></TR>", s.0, s.1, 15 + i)).collect();
        let fields = ["ra", "dec", "mag"].map(|n| format!("<FIELD name='{n}' datatype='double'/>")).concat();
        Reply::bytes(format!(
            "<VOTABLE xmlns='http://www.ivoa.net/xml/VOTable/v1.3'><RESOURCE type='results'><INFO name='QUERY_STATUS' value='OK'/>\
             <TABLE>{fields}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
        ))
        .header("Content-Type", "application/x-votable+xml")
    };
    let job = |seen: &Seen| {
        let here = format!("http://{}/soda/async/1", seen.header("host").unwrap());
        Reply::bytes(format!(
            "<uws:job xmlns:uws='http://www.ivoa.net/xml/UWS/v1.0' xmlns:xlink='http://www.w3.org/1999/xlink'><uws:jobId>1</uws:jobId>\
             <uws:phase>COMPLETED</uws:phase><uws:results><uws:result id='a' xlink:href='{here}/results/a.fits'/></uws:results></uws:job>"
        ))
    };
    Replay::start(vec![
        Route::new("GET", "/scs", move |seen, _| Some(cone(seen))),
        Route::new("GET", "/image.fits", move |_, _| Some(image())),
        Route::new("GET", "/soda/async/1/results/", move |_, _| Some(image())),
        Route::new("GET", "/soda/async/1", move |seen, _| Some(job(seen))),
        Route::new("POST", "/soda/async/1/phase", |_, _| Some(Reply::redirect(303, "/soda/async/1"))),
        Route::new("POST", "/soda/async", |_, _| Some(Reply::redirect(303, "/soda/async/1"))),
        Route::new("GET", "/hla/", move |_, _| Some(image())),
    ])
    .unwrap()
}

fn settings(replay: &Replay, cache: &Path) -> Settings {
    let base = replay.base();
    let services = Services {
        retries: 0,
        poll_s: 0.01,
        cache: Some(cache.into()),
        saved: Vec::new(),
        hla: format!("{base}/hla"),
        ..Services::at(&base)
    };
    Settings { services, ..Settings::default() }
}

fn open(session: &mut Session, name: &str, path: &Path) {
    session.apply(Command::Search { name: name.into(), ask: Ask::file(path) }).unwrap();
    session.wait(&mut |_| {}).unwrap();
}

fn names(session: &Session) -> Vec<String> {
    session.doc().dataset().unwrap().table.columns().iter().map(|c| c.name.clone()).collect()
}

#[test]
fn matches_and_images_are_made_again_by_the_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let replay = services();
    let stars: String = STARS.iter().enumerate().map(|(i, s)| format!("{i},{},{}\n", s.0, s.1)).collect();
    let (mine, theirs) = (folder.path().join("mine.csv"), folder.path().join("theirs.csv"));
    std::fs::write(&mine, format!("id,ra,dec\n{stars}")).unwrap();
    std::fs::write(&theirs, "ra,dec,period\n10.3,20.1,7.5\n10.0,20.0,2.5\n").unwrap();
    let mut session = Session::new(settings(&replay, &folder.path().join("cache")));
    open(&mut session, "periods", &theirs);
    open(&mut session, "stars", &mine);
    let other = session.doc().datasets.iter().find(|d| d.name == "periods").unwrap().id;
    let how = Matching { radius_arcsec: 2.0, find: Default::default(), into: MatchInto::Columns, columns: None };
    let commands = [
        Command::MatchTables { with: other, columns: None, how: how.clone() },
        Command::MatchService { by: MatchBy::Cone { base: format!("{}/scs", replay.base()) }, rows: ExportRows::All, how },
        Command::OpenProduct { address: format!("{}/image.fits", replay.base()), name: "field".into(), by_job: false },
        Command::OpenProduct { address: format!("{}/soda/async?ID=a", replay.base()), name: "cut".into(), by_job: true },
        Command::CutOut { at: (10.1, 20.0), from: CutOut::Hubble { dataset: "hst_1".into(), pixels: 4 } },
    ];
    for command in commands {
        session.apply(command).unwrap();
        session.wait(&mut |_| {}).unwrap();
    }
    let d = session.doc().dataset().unwrap().clone();
    assert_eq!((d.added.len(), d.images.len()), (5, 3), "{:?}", session.notices());
    let (columns, table) = (names(&session), d.table.clone());
    assert!(columns.iter().any(|c| c == "period") && columns.iter().any(|c| c == "mag"), "{columns:?}");

    // One step back takes the last image out of the recipe too.
    session.apply(Command::Undo).unwrap();
    assert_eq!(of_document(session.doc()).matches("[[image]]").count(), 2);
    session.apply(Command::Redo).unwrap();

    let text = of_document(session.doc());
    assert!(!text.contains("cannot repeat"), "{text}");
    let file = folder.path().join("again.toml");
    std::fs::write(&file, &text).unwrap();
    let out = folder.path().join("out");
    let ran = asterism_session::run::run(&file, &out, settings(&replay, &folder.path().join("cache 2")), &mut |_| {});
    let ran = ran.unwrap_or_else(|e| panic!("{e}\n{text}"));
    let again = ran.session.doc().datasets.iter().find(|d| d.name == "stars").unwrap();
    assert_eq!(again.table.columns().iter().map(|c| c.name.clone()).collect::<Vec<_>>(), columns, "{text}");
    for row in 0..table.rows() {
        for column in 0..columns.len() {
            assert_eq!(again.table.cell(row, column).to_string(), table.cell(row, column).to_string());
        }
    }
    assert_eq!(again.images.len(), 3);
    assert_eq!(again.added.iter().skip(1).collect::<Vec<_>>(), d.added.iter().skip(1).collect::<Vec<_>>());
    let missed: Vec<(String, usize)> = again.subsets.iter().map(|s| (s.name.clone(), s.rows.count())).collect();
    assert_eq!(missed.iter().map(|m| m.1).collect::<Vec<_>>(), [2, 1], "{missed:?}");
    assert_eq!(missed[0].0, "not found in periods");

    // The session's file keeps it.
    let kept = folder.path().join("kept.asterism");
    session.apply(Command::SaveSession { to: kept.clone() }).unwrap();
    session.wait(&mut |_| {}).unwrap();
    let mut later = Session::new(settings(&replay, &folder.path().join("cache")));
    later.apply(Command::OpenSession { path: kept }).unwrap();
    later.wait(&mut |_| {}).unwrap();
    assert_eq!(later.doc().datasets.iter().find(|d| d.name == "stars").unwrap().added, d.added);
}

#[test]
fn wrong_words_of_these_steps_are_told_with_their_line() {
    let head = "asterism = 1\n[[search]]\nname = \"a\"\nservice = \"sample:spex\"\n";
    let wrong = |text: &str| match Parsed::new("r.toml", &format!("{head}{text}")) {
        Ok(_) => panic!("{text}: it is taken"),
        Err(e) => e.to_string(),
    };
    let of = "[[match]]\nname = \"m\"\nof = \"a\"\nradius = \"1arcsec\"\n";
    for (text, says) in [
        (of.to_owned(), "one of with (a search) and service"),
        (format!("{of}with = \"b\"\n"), "no search is named 'b'"),
        (format!("{of}service = \"mast:tic\"\nfind = \"all\"\n"), "all pairs"),
        (format!("{of}service = \"mast:tic\"\n").replace("1arcsec", "wide"), "wide"),
        ("[[image]]\nof = \"a\"\n".to_owned(), "an address, or a cut"),
        ("[[draw]]\nviews = [\"cube:a\"]\nto = \"a.png\"\n".to_owned(), "no view is named 'cube'"),
    ] {
        let e = wrong(&text);
        assert!(e.contains(says) && e.contains("r.toml"), "{text}: {e}");
    }
    let right = format!(
        "{head}[[draw]]\nviews = [\"sky?frame=galactic\", \"histograms\", \"light-curves:a?period=2\"]\nto = \"a.png\"\n"
    );
    assert!(Parsed::new("r.toml", &right).is_ok());
}

/// Images of one's own lie under a catalogue: three of them, which are bands then.
#[test]
fn images_on_this_disk_join_the_table_in_front() {
    let folder = tempfile::tempdir().unwrap();
    let stars = folder.path().join("stars.csv");
    std::fs::write(&stars, "ra,dec\n10,20\n10.1,20.1\n").unwrap();
    let card = |text: &str| format!("{text:<80}");
    let head = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    2"];
    let more = ["NAXIS1  =                    4", "NAXIS2  =                    4", "END"];
    let head: String = head.iter().chain(&more).map(|c| card(c)).collect();
    let mut session = Session::new(Settings::default());
    session.apply(Command::Search { name: "stars".into(), ask: Ask::file(&stars) }).unwrap();
    session.wait(&mut |_| {}).unwrap();
    for band in ["red", "green", "blue"] {
        let path = folder.path().join(format!("{band} image.fits"));
        let mut bytes = format!("{head:<2880}").into_bytes();
        bytes.extend((0..16).chain(std::iter::repeat_n(0, 2864)));
        std::fs::write(&path, bytes).unwrap();
        let address = path.display().to_string();
        session.apply(Command::OpenProduct { address, name: band.into(), by_job: false }).unwrap();
        session.wait(&mut |_| {}).unwrap();
    }
    assert_eq!((session.doc().datasets.len(), session.doc().dataset().unwrap().images.len()), (1, 3));
    // The recipe brings them back.
    let file = folder.path().join("with.toml");
    std::fs::write(&file, of_document(session.doc())).unwrap();
    let ran = asterism_session::run::run(&file, &folder.path().join("out"), Settings::default(), &mut |_| {}).unwrap();
    assert_eq!(ran.session.doc().dataset().unwrap().images.len(), 3);
    session.apply(Command::Undo).unwrap();
    assert_eq!(session.doc().dataset().unwrap().images.len(), 2);
}
