//! Two windows' worth of sessions on one SAMP hub: a table goes over, and selections go both ways.

use std::path::Path;
use std::time::{Duration, Instant};

use asterism_data::RowSet;
use asterism_session::{Ask, Command, ExportRows, Provenance, Session, Settings};

fn session(lock: &Path) -> Session {
    let settings = Settings { samp_lock: Some(lock.to_owned()), ..Settings::default() };
    let mut session = Session::new(settings);
    session.apply(Command::Connect).expect("to connect");
    until("a connection", &mut [&mut session], |s| s[0].interop().is_some());
    session
}

fn until(what: &str, sessions: &mut [&mut Session], holds: impl Fn(&[&mut Session]) -> bool) {
    let start = Instant::now();
    while !holds(sessions) {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "waited a minute for {what}: {:?}",
            sessions.iter().map(|s| s.notices().last()).collect::<Vec<_>>()
        );
        for session in sessions.iter_mut() {
            session.poll();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn select(session: &mut Session, rows: &[usize]) {
    let total = session.doc().dataset().expect("a table").table.rows();
    let rows = RowSet::from_rows(total, rows.iter().copied());
    let why = Provenance::Rows { note: "test".into(), rows: rows.clone() };
    session.apply(Command::Select { rows, why, mode: Some(asterism_session::SelectMode::Replace) }).expect("to select");
}

fn selected(session: &Session) -> Vec<usize> {
    session.doc().selection.rows.iter().collect()
}

#[test]
fn a_table_and_selections_go_between_programs() {
    let folder = tempfile::tempdir().expect("a folder");
    let lock = folder.path().join(".samp");
    let path = folder.path().join("stars & more.csv");
    let rows: String = (0..50).map(|i| format!("{i},{},{}\n", 10.0 + f64::from(i) * 0.01, -5.0)).collect();
    std::fs::write(&path, format!("id,ra,dec\n{rows}")).expect("a table");
    // The first becomes the hub.
    let (mut a, mut b) = (session(&lock), session(&lock));
    assert!(a.interop().is_some_and(|i| i.is_hub()) && b.interop().is_some_and(|i| !i.is_hub()));
    until("each other's names", &mut [&mut a, &mut b], |s| {
        s.iter().all(|s| s.interop().is_some_and(|i| i.peers().iter().any(|p| p.takes("table.load.votable"))))
    });
    a.apply(Command::Search { name: String::new(), ask: Ask::file(path) }).expect("to open");
    until("the table", &mut [&mut a], |s| s[0].doc().dataset().is_some_and(|d| d.table.rows() == 50) && !s[0].busy());
    // Rows 10 to 29 are sent: row 0 of the other side is row 10 of this one.
    select(&mut a, &(10..30).collect::<Vec<_>>());
    a.apply(Command::SendTable { rows: ExportRows::Selection, to: None }).expect("to send");
    until("the table over there", &mut [&mut a, &mut b], |s| {
        s[1].doc().dataset().is_some_and(|d| d.table.rows() == 20 && !d.loading) && !s[0].busy() && !s[1].busy()
    });
    let there = b.doc().dataset().expect("a table").clone();
    assert_eq!(there.name, "stars & more");
    assert_eq!(there.table.f64s("id").expect("ids")[0], 10.0);
    a.apply(Command::ShareSelection { on: true }).expect("to share");
    b.apply(Command::ShareSelection { on: true }).expect("to share");
    select(&mut a, &[12, 17, 40]);
    until("the selection over there", &mut [&mut a, &mut b], |s| selected(s[1]) == [2, 7]);
    assert_eq!(selected(&a), [12, 17, 40], "what was said does not come back");
    select(&mut b, &[0, 19]);
    until("the selection of over there", &mut [&mut a, &mut b], |s| selected(s[0]) == [10, 29]);
    // A position finds the row that lies there.
    a.apply(Command::ShareSelection { on: false }).expect("to stop sharing");
    select(&mut a, &[25]);
    a.apply(Command::PointOut).expect("to point");
    until("the row pointed at", &mut [&mut a, &mut b], |s| selected(s[1]) == [15]);
    b.apply(Command::Undo).expect("to undo");
    assert_eq!(selected(&b), [0, 19]);
    a.apply(Command::Disconnect).expect("to go");
    until("the end of the hub", &mut [&mut a, &mut b], |s| s[1].interop().is_none());
    let refused = b.apply(Command::SendTable { rows: ExportRows::All, to: None }).expect_err("nobody is there");
    assert!(refused.to_string().contains("Connect to TOPCAT"), "{refused}");
}

#[test]
fn a_spectrum_goes_to_another_program_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let lock = folder.path().join(".samp");
    let (mut a, mut b) = (session(&lock), session(&lock));
    until("each other's names", &mut [&mut a, &mut b], |s| {
        s.iter().all(|s| s.interop().is_some_and(|i| i.peers().iter().any(|p| p.takes("spectrum.load.ssa-generic"))))
    });
    a.apply(Command::OpenSample { name: "a478".into() }).expect("to open");
    until("the sample", &mut [&mut a], |s| s[0].doc().dataset().is_some_and(|d| d.table.rows() == 1600) && !s[0].busy());
    select(&mut a, &[]);
    let refused = a.apply(Command::SendSpectrum).expect_err("no row is selected");
    assert!(refused.to_string().contains("select the row"), "{refused}");
    select(&mut a, &[25, 700]);
    a.apply(Command::SendSpectrum).expect("to send");
    until("the spectrum over there", &mut [&mut a, &mut b], |s| {
        s[1].doc().dataset().is_some_and(|d| d.spectra.is_some() && !d.loading) && !s[0].busy() && !s[1].busy()
    });
    let of = |session: &Session, row: usize| {
        let d = session.doc().dataset().expect("a table").clone();
        let spectra = d.spectra.clone().expect("spectra");
        spectra.spectrum(&d.table, row)
    };
    let (here, there) = (of(&a, 25), of(&b, 0));
    assert_eq!(b.doc().dataset().map(|d| d.table.rows()), Some(1));
    let good = |s: &asterism_data::Spectrum| -> Vec<(f64, f64)> {
        s.wavelength_m.iter().copied().zip(s.flux.iter().copied()).filter(|(_, f)| f.is_finite()).collect()
    };
    let (sent, came) = (good(&here), good(&there));
    assert!(sent.len() > 1000 && sent.len() == came.len(), "{} and {}", sent.len(), came.len());
    let apart = sent.iter().zip(&came).find(|(a, b)| ((a.0 - b.0) / a.0).abs() > 1e-12 || (a.1 - b.1).abs() > 1e-6 * a.1.abs());
    assert_eq!(apart, None);
    assert_eq!((here.axis_unit, here.flux_unit, here.medium), (there.axis_unit, there.flux_unit, there.medium));
    assert_eq!(there.name, here.name);
}
