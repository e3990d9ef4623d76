//! Bad input loses nothing: what a person had stays, and the message says what to do.

use asterism_session::{Ask, Command, SelectMode, Session, Settings};

fn sample(name: &str, max_rows: Option<usize>) -> Session {
    let mut session = Session::new(Settings::default());
    session
        .apply(Command::Search { name: name.into(), ask: Ask::Sample { name: name.into(), filter: None, max_rows } })
        .expect("a sample");
    session.wait(&mut |_| {}).expect("it loads");
    session
}

#[test]
fn a_broken_file_leaves_the_table_in_front_and_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("table.vot");
    std::fs::write(&page, "<!DOCTYPE html><html><head><title>Service down</title></head><body>Sorry</body></html>")
        .expect("written");
    let mut session = sample("hdf", None);
    let rows = session.doc().dataset().map(|d| d.table.rows());
    session.apply(Command::Search { name: String::new(), ask: Ask::file(page) }).expect("a job");
    let e = session.wait(&mut |_| {}).expect_err("a web page is no table").to_string();
    assert!(e.contains("table.vot") && e.contains("Service down"), "{e}");
    assert_eq!(session.doc().datasets[0].table.rows(), rows.expect("rows"));
    session.apply(Command::Undo).expect("undo");
    assert_eq!(session.doc().dataset().map(|d| d.table.rows()), rows);
}

#[test]
fn a_session_of_a_newer_version_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.asterism");
    let mut session = sample("hdf", Some(50));
    session.apply(Command::SaveSession { to: path.clone() }).expect("a job");
    session.wait(&mut |_| {}).expect("saved");
    // The same file with a higher version.
    let mut archive = zip_with(&path, |text| text.replacen("\"asterism_session\":1", "\"asterism_session\":99", 1));
    let newer = folder.path().join("newer.asterism");
    std::fs::write(&newer, std::mem::take(&mut archive)).expect("written");
    session.apply(Command::OpenSession { path: newer }).expect("a job");
    let e = session.wait(&mut |_| {}).expect_err("newer").to_string();
    assert!(e.contains("newer version"), "{e}");
    assert_eq!(session.doc().dataset().map(|d| d.table.rows()), Some(50));
    let broken = folder.path().join("broken.asterism");
    let bytes = std::fs::read(&path).expect("read");
    std::fs::write(&broken, &bytes[..bytes.len() / 2]).expect("written");
    session.apply(Command::OpenSession { path: broken }).expect("a job");
    let e = session.wait(&mut |_| {}).expect_err("broken").to_string();
    assert!(e.contains("broken.asterism"), "{e}");
    assert_eq!(session.doc().dataset().map(|d| d.table.rows()), Some(50));
}

/// The session's file with its manifest changed.
pub fn zip_with(path: &std::path::Path, change: impl Fn(&str) -> String) -> Vec<u8> {
    use std::io::{Cursor, Read, Write};
    let mut old = zip::ZipArchive::new(std::fs::File::open(path).expect("the session")).expect("a zip");
    let mut new = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for i in 0..old.len() {
        let mut entry = old.by_index(i).expect("an entry");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("its bytes");
        let name = entry.name().expect("a name").into_owned();
        if name == "manifest.json" {
            bytes = change(std::str::from_utf8(&bytes).expect("JSON is text")).into_bytes();
        }
        new.start_file(name, zip::write::SimpleFileOptions::default()).expect("a new entry");
        new.write_all(&bytes).expect("written");
    }
    new.finish().expect("a zip").into_inner()
}

#[test]
fn an_export_that_cannot_be_written_leaves_the_old_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut session = sample("hdf", Some(50));
    let to = folder.path().join("no-such-folder/out.fits");
    session
        .apply(Command::Export { rows: asterism_session::ExportRows::All, to, serialization: Default::default() })
        .expect("a job");
    let e = session.wait(&mut |_| {}).expect_err("no folder").to_string();
    assert!(e.contains("no-such-folder"), "{e}");
    let unknown = folder.path().join("out.xyz");
    session
        .apply(Command::Export {
            rows: asterism_session::ExportRows::All,
            to: unknown.clone(),
            serialization: Default::default(),
        })
        .expect("a job");
    assert!(session.wait(&mut |_| {}).is_err());
    assert!(!unknown.exists());
}

#[test]
fn a_search_again_lands_new_rows_on_the_same_map_and_undo_takes_them_back() {
    let mut session = sample("ogle3", Some(1500));
    let features = session.doc().dataset().expect("a table").features.clone();
    session.apply(Command::SetFeatures { features }).expect("features");
    let params = asterism_session::reduce::Params { method: asterism_session::reduce::Method::Pca, ..Default::default() };
    session.apply(Command::StartMap { name: "m".into(), params }).expect("a map");
    session.wait(&mut |_| {}).expect("it is made");
    session
        .apply(Command::SelectWhere { expr: "class = 'Cep' OR class = 'RRLyr'".into(), mode: Some(SelectMode::Replace) })
        .expect("selected");
    session.apply(Command::FitRule { columns: vec!["period".into(), "i_mag".into()], balance: 0.5 }).expect("a rule");
    session.wait(&mut |_| {}).expect("it is fitted");
    let before = session.doc().dataset().expect("a table").clone();
    session.apply(Command::SearchAgain).expect("again");
    session.wait(&mut |_| {}).expect("it comes");
    let after = session.doc().dataset().expect("a table").clone();
    let entry = after.ledger.last().expect("an entry");
    assert!(entry.gained > 100, "{entry:?}");
    assert_eq!(after.table.rows(), before.table.rows() + entry.gained);
    assert_eq!(entry.kept + entry.gained, entry.rows);
    let map = after.map().expect("the map");
    assert_eq!(map.id, before.map().expect("the map").id);
    assert_eq!(map.xy.len(), after.table.rows());
    assert_eq!(map.xy[..1500], before.map().expect("the map").xy[..1500], "old rows have not moved");
    assert!(map.xy[1500..].iter().filter(|p| p[0].is_finite()).count() > entry.gained / 2);
    while session.doc().dataset().is_some_and(|d| d.table.rows() > 1500) {
        session.apply(Command::Undo).expect("undo");
    }
    assert_eq!(session.doc().dataset().map(|d| d.table.rows()), Some(1500));
}

#[test]
fn undoing_a_selection_keeps_everything_else() {
    let mut session = sample("hdf", Some(200));
    session.apply(Command::SelectAll).expect("all");
    session.apply(Command::SaveSubset { name: "everything".into() }).expect("kept");
    session.apply(Command::ClearSelection).expect("cleared");
    session.apply(Command::Undo).expect("undo");
    assert_eq!(session.doc().selection.rows.count(), 200);
    session.apply(Command::Undo).expect("undo");
    assert!(session.doc().dataset().is_some_and(|d| d.subsets.is_empty()));
    session.apply(Command::Redo).expect("redo");
    assert!(session.doc().dataset().is_some_and(|d| d.subsets.len() == 1));
}
