//! What a person may hand the window by mistake: each gives a message in sight, and rows, subsets and files stay.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use asterism_session::{Command, Session, Settings};
use egui::{Key, Modifiers};
use egui_kittest::kittest::NodeT;

use crate::drive::*;

/// A file let fall on the window.
#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }
    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|e| e.to_string())
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A window on forty rows, ten of them kept as a subset and selected.
fn with_work(folder: &Path) -> Window {
    let path = folder.join("own.csv");
    let lines: String = (0..40).map(|i| format!("{i},{}\n", f64::from(i) * 0.5)).collect();
    std::fs::write(&path, format!("id,x\n{lines}")).expect("a table");
    let mut w = window(&[path.to_str().expect("a path")]);
    until(&mut w, "the table", |w| rows(w) == 40 && !w.state().session.busy());
    fill(&mut w, "Condition that selects rows", "x < 5");
    press_last(&mut w, "Select");
    fill(&mut w, "Name of the new subset", "ten");
    press(&mut w, "Save selection");
    until(&mut w, "the subset", |w| front(w).subsets.len() == 1);
    w
}

/// The last widget of this name: the button, not the menu.
fn press_last(w: &mut Window, name: &str) {
    let node = w.root().children_recursive().filter(|n| n.accesskit_node().label().as_deref() == Some(name)).last();
    node.unwrap_or_else(|| panic!("no '{name}'")).click_accesskit();
    w.step();
    w.step();
}

/// Let a file fall on the window and wait until it has been looked at.
fn let_fall(w: &mut Window, file: &Path) {
    let seen = said(w).len();
    w.input_mut().dropped_files.push(Arc::new(Dropped(file.to_owned())));
    w.step();
    until(w, "an answer to the file", |w| !w.state().session.busy() && said(w).len() > seen);
    w.step();
    w.step();
}

/// The table that was there, with its subset, whatever has come in front of it.
fn assert_kept(w: &mut Window, what: &str) {
    let doc = w.state().session.doc();
    let own = doc.datasets.iter().find(|d| d.name.contains("own")).unwrap_or_else(|| panic!("{what}: the table is gone"));
    assert_eq!(own.table.rows(), 40, "{what}");
    assert_eq!(own.subsets.iter().map(|s| (s.name.as_str(), s.rows.count())).collect::<Vec<_>>(), [("ten", 10)], "{what}");
    let steps = w.state().session.doc().datasets.len();
    if steps > 1 {
        key(w, Modifiers::COMMAND, Key::Z);
    }
    until(w, "the table back in front", |w| rows(w) == 40);
    assert_eq!(selected(w).count(), 10, "{what}: the selection");
}

#[test]
fn files_that_cannot_be_read_are_told_by_name_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut w = with_work(folder.path());
    let whole = fixture("vo/tap/gaia-1714556098855O-result.fits");
    let cases: [(&str, Vec<u8>, &[&str]); 5] = [
        // The header promises more than there is.
        ("half.fits", whole[..whole.len() / 3].to_vec(), &["half.fits"]),
        ("stub.fits", whole[..1000].to_vec(), &["stub.fits"]),
        // Not what its name says.
        ("picture.fits", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR nothing more".to_vec(), &["picture.fits"]),
        (
            "page.vot",
            b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sorry</body></html>".to_vec(),
            &["page.vot", "Sign in"],
        ),
        ("empty.parquet", Vec::new(), &["empty.parquet"]),
    ];
    for (name, bytes, parts) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let_fall(&mut w, &path);
        for part in parts {
            assert!(shows(&w, part), "{name}: '{part}' is not in the window; said {:?}", said(&w));
        }
        let last = said(&w).pop().unwrap_or_default();
        assert!(last.len() < 400 && !last.contains("panicked") && !last.contains("Error("), "{name}: {last}");
        assert_kept(&mut w, name);
    }
}

#[test]
fn a_table_with_a_broken_row_gives_what_it_has_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut w = with_work(folder.path());
    let row = |i: usize| format!("<TR><TD>{i}</TD><TD>{i}.5</TD></TR>");
    let rows: String = (0..20).map(row).collect();
    let head = r#"<?xml version="1.0"?><VOTABLE version="1.3"><RESOURCE><TABLE><FIELD name="n" datatype="int"/><FIELD name="v" datatype="double"/><DATA><TABLEDATA>"#;
    let broken =
        format!("{head}{rows}<TR><TD>20</TD><TD>twenty</TD></TR>{}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>", row(21));
    let path = folder.path().join("broken.vot");
    std::fs::write(&path, broken).expect("written");
    let_fall(&mut w, &path);
    let notes = said(&w).join("\n");
    assert!(rows_in_front(&w) >= 20, "the good rows are there: {notes}");
    assert!(notes.contains("twenty") || notes.contains("row 21") || notes.contains("cannot be read"), "it is said: {notes}");
    assert_kept(&mut w, "a broken row");

    // The end is missing.
    let cut = folder.path().join("cut.vot");
    std::fs::write(&cut, format!("{head}{rows}<TR><TD>2")).expect("written");
    let_fall(&mut w, &cut);
    assert_eq!(rows_in_front(&w), 20, "{:?}", said(&w));
    assert!(said(&w).iter().any(|t| t.contains("cut.vot") || t.contains("cut off") || t.contains("ends")), "{:?}", said(&w));
    assert_kept(&mut w, "a cut table");
}

fn rows_in_front(w: &Window) -> usize {
    rows(w)
}

#[test]
fn sessions_and_recipes_that_do_not_fit_are_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut w = with_work(folder.path());
    // A session of a newer version.
    let good = folder.path().join("good.asterism");
    w.state_mut().session.apply(Command::SaveSession { to: good.clone() }).expect("a job");
    until_idle(&mut w);
    let newer = folder.path().join("newer.asterism");
    let bytes = crate::recovery::zip_with(&good, |text| text.replacen("\"asterism_session\":1", "\"asterism_session\":99", 1));
    std::fs::write(&newer, bytes).expect("written");
    let_fall(&mut w, &newer);
    assert!(shows(&w, "newer version"), "{:?}", said(&w));
    assert_eq!(rows(&w), 40);
    assert_kept(&mut w, "a newer session");
    // Half a session.
    let half = folder.path().join("half.asterism");
    let bytes = std::fs::read(&good).expect("the session");
    std::fs::write(&half, &bytes[..bytes.len() / 2]).expect("written");
    let_fall(&mut w, &half);
    assert!(shows(&w, "half.asterism"), "{:?}", said(&w));
    assert_kept(&mut w, "half a session");
    // A recipe is run, not opened: the line of its wrong word is named.
    let recipe = folder.path().join("wrong.toml");
    let text = [
        "asterism = 1",
        "[[search]]",
        "name = \"s\"",
        "service = \"sample:hdf\"",
        "[[features]]",
        "name = \"f\"",
        "of = \"s\"",
        "columns = [\"mag\", \"npix\"]",
        "[[map]]",
        "name = \"m\"",
        "of = \"f\"",
        "method = \"tnse\"",
    ];
    std::fs::write(&recipe, text.join("\n")).expect("written");
    let e = asterism_session::run::run(&recipe, &folder.path().join("out"), Settings::default(), &mut |_| {});
    let e = e.err().expect("a wrong word").to_string();
    assert!(e.contains("line 12") && e.contains("tnse"), "{e}");
}

#[test]
fn what_cannot_be_written_is_told_and_what_was_there_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut w = with_work(folder.path());
    unfold(&mut w, "Take");
    let seen = |w: &Window| said(w).len();
    let mut places = vec![folder.path().join("no-such-folder/out.vot"), folder.path().join("own.csv/out.vot")];
    if cfg!(target_os = "linux") {
        // Nobody can write here, whoever runs the tests.
        places.push(PathBuf::from("/proc/out.vot"));
    }
    for to in places {
        let before = seen(&w);
        press(&mut w, "VOTable");
        save_as(&mut w, &to);
        until(&mut w, "an answer", |w| !w.state().session.busy() && said(w).len() > before);
        w.step();
        w.step();
        let name = to.parent().expect("a folder").display().to_string();
        assert!(shows(&w, &name), "{name} is not in the window; said {:?}", said(&w));
        assert_eq!((rows(&w), selected(&w).count()), (40, 10));
    }
    // An export that fails leaves the file of before, and nothing half-written beside it.
    let there = folder.path().join("kept.fits");
    export(&mut w, "FITS", &there);
    let old = std::fs::read(&there).expect("an export");
    std::fs::write(folder.path().join("blocked"), b"").expect("written");
    let before = seen(&w);
    press(&mut w, "Session");
    save_as(&mut w, &folder.path().join("blocked/session.asterism"));
    until(&mut w, "an answer", |w| !w.state().session.busy() && said(w).len() > before);
    assert_eq!(std::fs::read(&there).expect("the export"), old);
    let names: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").flatten().map(|f| f.file_name()).collect();
    assert_eq!(names.len(), 3, "own.csv, kept.fits and blocked: {names:?}");
    // The same session can still be saved elsewhere and opens with everything.
    let good = folder.path().join("good.asterism");
    press(&mut w, "Session");
    save_as(&mut w, &good);
    until(&mut w, "the session", |w| !w.state().session.busy() && good.exists());
    let mut other = Session::new(Settings::default());
    other.apply(Command::OpenSession { path: good }).expect("a job");
    other.wait(&mut |_| {}).expect("it opens");
    let d = other.doc().dataset().expect("the table");
    assert_eq!((d.table.rows(), d.subsets.len(), other.doc().selection.rows.count()), (40, 1, 10));
}
