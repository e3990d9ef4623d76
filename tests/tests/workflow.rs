//! The whole loop in the window's own code, driven by accessible names: search, map, brush, refine,
//! take. egui_kittest draws with whatever adapter there is (software Vulkan in CI).

use asterism_session::{ClusterOn, Command, ExportRows, SelectMode, Session, Settings};
use egui_kittest::kittest::{NodeT, Queryable};

use crate::drive::{home, unfold, until, window};

#[test]
fn the_first_start_shows_the_filament_and_the_loop_goes_round() {
    let home = home();

    // Search and map: the first start does both.
    let mut harness = window(&[]);
    until(&mut harness, "the lasso around the filament", |w| {
        w.state().session.doc().selection.any() && !w.state().session.busy()
    });
    let doc = harness.state().session.doc();
    let dataset = doc.dataset().expect("a table").clone();
    assert_eq!(dataset.table.rows(), 1600);
    assert_eq!(dataset.maps.len(), 1);
    let lassoed = doc.selection.rows.count();
    assert!((100..=400).contains(&lassoed), "{lassoed} rows were lassoed");
    assert!(dataset.subsets.iter().any(|s| s.name == "filament"));

    // Refine: the rule of the first start is there; the slider trades.
    let rule = dataset.rule.clone().expect("a rule");
    assert!(rule.purity() > 0.5 && rule.completeness() > 0.5, "{} {}", rule.purity(), rule.completeness());
    unfold(&mut harness, "Refine");
    harness.get_by_label("Search again").click_accesskit();
    until(&mut harness, "the second search", |w| {
        w.state().session.doc().dataset().is_some_and(|d| d.ledger.len() == 2) && !w.state().session.busy()
    });
    let last = harness.state().session.doc().dataset().expect("a table").ledger[1].clone();
    let again = harness.state().session.doc().dataset().and_then(|d| d.rule.as_ref().map(|r| (r.sql(), r.matched())));
    assert_eq!(last.rows, rule.matched(), "{} sent {:?}, now {again:?}", rule.sql(), last.text);
    assert_eq!(last.gained, 0, "the sample holds no rows that were not here");
    assert_eq!(last.kept, rule.matched());
    assert_eq!(last.lost, 1600 - rule.matched());

    // Undo and redo by their buttons.
    let before = harness.state().session.doc().dataset().expect("a table").ledger.len();
    harness.get_by_label("Undo").click();
    until(&mut harness, "undo", |w| w.state().session.doc().dataset().is_some_and(|d| d.ledger.len() == before - 1));
    harness.get_by_label("Redo").click();
    until(&mut harness, "redo", |w| w.state().session.doc().dataset().is_some_and(|d| d.ledger.len() == before));

    // Brush by predicate, keep it, take it.
    let app = harness.state_mut();
    app.session
        .apply(Command::SelectWhere { expr: "f_ha > 700 AND white < 40".into(), mode: Some(SelectMode::Replace) })
        .expect("a selection");
    harness.step();
    harness.get_by_label("Save selection").click_accesskit();
    let count = dataset.subsets.len();
    until(&mut harness, "the new subset", |w| w.state().session.doc().dataset().is_some_and(|d| d.subsets.len() > count));
    let to = home.join("taken.vot");
    let rows = harness.state().session.doc().selection.rows.count();
    harness
        .state_mut()
        .session
        .apply(Command::Export { rows: ExportRows::Selection, to: to.clone(), serialization: Default::default() })
        .expect("an export");
    until(&mut harness, "the export", |w| !w.state().session.busy());
    let back = asterism_data::read_table(&to).expect("the export can be read");
    assert_eq!(back.rows(), rows);
    assert!(back.column_index("map_x").is_some());
    assert_eq!(back.columns()[back.column_index("ra").expect("ra")].unit.as_deref(), Some("deg"));

    // The session opens to the same document.
    let kept = home.join("loop.asterism");
    let app = harness.state_mut();
    app.session.apply(Command::SaveSession { to: kept.clone() }).expect("a job");
    app.session.wait(&mut |_| {}).expect("a session file");
    let mut other = Session::new(Settings::default());
    other.apply(Command::OpenSession { path: kept }).expect("a job");
    other.wait(&mut |_| {}).expect("it opens");
    let (a, b) = (harness.state().session.doc(), other.doc());
    assert_eq!(a.selection.rows, b.selection.rows);
    assert_eq!(a.dataset().map(|d| d.subsets.len()), b.dataset().map(|d| d.subsets.len()));
    let xy = |d: &asterism_session::Document| d.dataset().and_then(|d| d.map().map(|m| m.xy.clone())).expect("a map");
    assert_eq!(xy(a), xy(b));
}

#[test]
fn density_groups_follow_their_slider_without_a_new_tree() {
    let home = home();
    // Two crowds, one of them two when looked at closely.
    let mut csv = String::from("u,v\n");
    for i in 0..600u32 {
        let noise = |k: u32| f64::from((i.wrapping_mul(2_654_435_761).wrapping_add(k * 40_503) >> 7) % 1000) / 1000.0 - 0.5;
        let (u, v) = [(0.0, 0.0), (10.0, 0.0), (10.0, 2.0)][i as usize % 3];
        csv.push_str(&format!("{},{}\n", u + noise(1), v + noise(2)));
    }
    let path = home.join("crowds.csv");
    std::fs::write(&path, csv).expect("written");
    let mut w = window(&[path.to_str().expect("a path")]);
    until(&mut w, "rows", |w| {
        w.state().session.doc().dataset().is_some_and(|d| d.table.rows() == 600) && !w.state().session.busy()
    });
    unfold(&mut w, "Map");
    crate::drive::press(&mut w, "Clusters");
    assert_eq!(w.state().session.density_samples(ClusterOn::Vectors), None);
    let groups = |w: &crate::drive::Window| {
        let dataset = w.state().session.doc().dataset().expect("a table");
        dataset.subsets.iter().filter(|s| s.name.starts_with("HDBSCAN")).count()
    };
    crate::drive::press(&mut w, "HDBSCAN");
    until(&mut w, "groups", |w| groups(w) > 0 && !w.state().session.busy());
    // Fifteen neighbours and rows by default; the slider then changes the rows alone.
    assert_eq!(w.state().session.density_samples(ClusterOn::Vectors), Some(15));
    let before = groups(&w);
    let slider = |n: &egui_kittest::Node<'_>| {
        let inner = n.accesskit_node();
        inner.role() == egui::accesskit::Role::Slider && inner.label().as_deref() == Some("Smallest cluster of HDBSCAN")
    };
    w.root().children_recursive().find(slider).expect("the slider").set_value_accesskit(150.0);
    w.step();
    until(&mut w, "other groups", |w| !w.state().session.busy() && groups(w) != before);
    assert_eq!(w.state().session.density_samples(ClusterOn::Vectors), Some(15), "the tree that was there");
    assert!(groups(&w) < before, "{} groups of at least 150 rows, {before} of 15", groups(&w));
    // Other features, another tree.
    let session = &mut w.state_mut().session;
    let features = session.doc().dataset().expect("a table").features.clone();
    let of = asterism_session::FeatureKind::Columns(vec![asterism_session::FeatureColumn::plain("u")]);
    session.apply(Command::SetFeatures { features: asterism_session::Features { of, ..features } }).expect("set");
    assert_eq!(session.density_samples(ClusterOn::Vectors), None);
}
