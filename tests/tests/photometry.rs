//! Quality bits and apertures that a person changes: the table follows, undo brings the mission's own back, a recipe repeats it.

use std::path::{Path, PathBuf};

use asterism_data::quality::Flags;
use asterism_data::{LightCurve, Part};
use asterism_session::photometry::Source;
use asterism_session::{Ask, Command, Photometry, Session, Settings, recipe, run};

fn fixture(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let found = ["tests/fixtures", "../shared/fixtures"].iter().map(|base| root.join(base).join(name)).find(|p| p.exists());
    if found.is_none() {
        eprintln!("skipped: {name} is not here");
    }
    found
}

fn opened(path: &Path) -> Session {
    let mut s = Session::new(Settings::default());
    s.apply(Command::Search { name: String::new(), ask: Ask::file(path) }).expect("a job");
    s.wait(&mut |_| {}).expect("it opens");
    s
}

fn flux(s: &Session) -> Vec<f64> {
    let table = s.doc().dataset().expect("a table").table.clone();
    table.array(table.column_index("lc_flux").expect("flux"), 0)
}

fn curve(path: &Path, mask: i64) -> LightCurve {
    let parts = asterism_data::read(path).expect("read");
    let mut curve =
        parts.into_iter().find_map(|p| if let Part::LightCurve(l) = p { Some(l) } else { None }).expect("a light curve");
    curve.set_mask(mask);
    curve
}

#[test]
fn another_quality_mask_makes_the_curve_anew_and_can_be_undone() {
    let path = fixture("lightcurves/ktwo211117077-c04_llc.fits").expect("a fixture of the project");
    let source = Source::read(&path).expect("read");
    assert_eq!(source.flags(), Some(Flags::Kepler));
    let bits = source.bits();
    let usual = Flags::Kepler.default_mask();
    // A bit that changes which rows count, left out as well or no longer.
    let kept_with = |mask: i64| curve(&path, mask).kept_count();
    let (mask, rows) = bits
        .iter()
        .filter(|(_, name, rows)| *rows > 0 && !name.is_empty())
        .map(|(bit, _, rows)| (usual ^ bit, *rows))
        .find(|(mask, _)| kept_with(*mask) != kept_with(usual))
        .expect("such a bit");
    assert!(rows >= kept_with(mask).abs_diff(kept_with(usual)));
    let mut s = opened(&path);
    let before = flux(&s);
    assert_eq!(before.len(), curve(&path, usual).kept_count());
    let chosen = Photometry { mask: Some(mask), aperture: None };
    s.apply(Command::SetPhotometry { photometry: chosen.clone() }).expect("made anew");
    let want = curve(&path, mask);
    let kept: Vec<f64> = want.flux.iter().zip(&want.kept).filter(|(_, k)| **k).map(|(v, _)| *v).collect();
    assert!(kept.len() != before.len());
    assert_eq!(flux(&s), kept);
    assert_eq!(s.doc().dataset().expect("a table").table.f64s("kept").expect("kept"), [kept.len() as f64]);
    assert_eq!(s.undo_name(), Some("quality mask"));
    // The recipe says it and repeats it.
    let folder = tempfile::tempdir().expect("a folder");
    let text = recipe::of_document(s.doc());
    assert!(text.contains(&format!("photometry = {{ mask = {} }}", mask)), "{text}");
    std::fs::write(folder.path().join("r.toml"), &text).expect("written");
    let ran =
        run::run(&folder.path().join("r.toml"), &folder.path().join("out"), Settings::default(), &mut |_| {}).expect("it runs");
    assert_eq!(flux(&ran.session), kept);
    s.apply(Command::Undo).expect("undone");
    assert_eq!(flux(&s), before);
    assert!(matches!(&s.doc().dataset().expect("a table").ask, Ask::File { photometry, .. } if photometry.is_default()));
    s.apply(Command::Redo).expect("redone");
    assert_eq!(flux(&s), kept);
    // Light curves alone have no pixels, and a table of stars has neither.
    let wrong = Photometry { aperture: Some(vec![1]), ..Photometry::default() };
    assert!(s.apply(Command::SetPhotometry { photometry: wrong }).is_err());
    assert_eq!(flux(&s), kept);
    s.apply(Command::Search { name: String::new(), ask: Ask::Sample { name: "spex".into(), filter: None, max_rows: Some(5) } })
        .expect("a job");
    s.wait(&mut |_| {}).expect("it opens");
    let e = s.apply(Command::SetPhotometry { photometry: chosen }).expect_err("no light curves").to_string();
    assert!(e.contains("light curves"), "{e}");
}

#[test]
fn another_aperture_sums_other_pixels() {
    let Some(path) = fixture("lightcurves/ktwo211983544-c18_lpd-targ.fits") else { return };
    let source = Source::read(&path).expect("read");
    let Source::Pixels(pixels, mean) = source.as_ref() else { panic!("target pixels") };
    assert_eq!(mean.len(), 35);
    assert_eq!(source.aperture(&Photometry::default()), pixels.optimal());
    let mut s = opened(&path);
    let before = flux(&s);
    let list = vec![16u32, 17, 18];
    s.apply(Command::SetPhotometry { photometry: Photometry { mask: None, aperture: Some(list.clone()) } }).expect("made anew");
    let mut chosen = vec![false; 35];
    list.iter().for_each(|p| chosen[*p as usize] = true);
    let want = pixels.light_curve(&chosen).expect("a curve");
    let kept: Vec<f64> = want.flux.iter().zip(&want.kept).filter(|(_, k)| **k).map(|(v, _)| *v).collect();
    assert_eq!(flux(&s), kept);
    assert!(kept != before && s.undo_name() == Some("aperture"));
    let none = Photometry { mask: None, aperture: Some(Vec::new()) };
    assert!(s.apply(Command::SetPhotometry { photometry: none }).is_err());
    s.apply(Command::Undo).expect("undone");
    assert_eq!(flux(&s), before);
}
