//! Every sample from opening to export in the window: mapped, brushed, kept, refined, taken and read back.

use std::path::Path;

use asterism_data::Table;
use egui::{Key, Modifiers};
use egui_kittest::kittest::NodeT;

use crate::drive::*;

/// Whether two numbers are the same up to a share of them.
fn same(a: f64, b: f64, share: f64) -> bool {
    (a.is_nan() && b.is_nan()) || (a - b).abs() <= share * a.abs()
}

/// An export holds the chosen rows of the table, in order, with units where the format has a place for them.
fn assert_same_rows(file: &Path, table: &Table, columns: &[&str], units: bool) {
    let back = asterism_data::read_table(file).expect("the export can be read");
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(back.rows(), table.rows(), "{name}");
    for meta in table.columns() {
        let found = back.column_index(&meta.name).unwrap_or_else(|| panic!("{name} has no column {}", meta.name));
        if units {
            assert_eq!(back.columns()[found].unit, meta.unit, "{name}: unit of {}", meta.name);
        }
    }
    // Text has no type: a number of 32 bits comes back as the nearest one of 64 to its digits.
    let share = if units { 0.0 } else { 1e-6 };
    for column in columns {
        let index = table.column_index(column).unwrap_or_else(|| panic!("no column {column}"));
        if table.is_numeric(index) {
            let (a, b) = (table.f64s(column).expect("numbers"), back.f64s(column).expect("numbers"));
            let differs = a.iter().zip(&b).position(|(a, b)| !same(*a, *b, share));
            assert!(differs.is_none(), "{name}: {column} differs in row {differs:?}");
        } else {
            assert_eq!(table.strings(column).expect("text"), back.strings(column).expect("text"), "{name}: {column}");
        }
    }
    assert!(back.column_index("map_x").is_some() && back.column_index("map_y").is_some(), "{name} has the map's places");
}

/// The sample as a person opens it: mapped, with the group that it is about selected, kept and refined.
fn opened(sample: &str, rows_wanted: usize) -> Window {
    let mut w = window(&[&format!("sample:{sample}")]);
    until(&mut w, "the mapped sample", |w| w.state().session.doc().selection.any() && !w.state().session.busy());
    assert_eq!(rows(&w), rows_wanted);
    assert!(front(&w).subsets.len() == 1 && front(&w).rule.is_some(), "the group that the sample is about");
    key(&mut w, Modifiers::NONE, Key::Escape);
    assert_eq!(selected(&w).count(), 0);
    w
}

/// Some rows of a sample, asked and mapped from the rail.
fn asked(title: &str, most: usize) -> Window {
    let mut w = window(&["sample:no-such-sample"]);
    choose(&mut w, "Service", title);
    fill(&mut w, "Rows at most", &most.to_string());
    press(&mut w, "Search");
    until(&mut w, "the rows", |w| rows(w) == most && !w.state().session.busy());
    assert!(front(&w).table.truncated && shows(&w, "This is not everything"), "it is said that there are more");
    unfold(&mut w, "Map");
    press(&mut w, "PCA");
    press(&mut w, "Start map");
    until(&mut w, "the map", |w| front(w).maps.len() == 1 && !w.state().session.busy());
    w
}

/// From a map on: brush, keep, refine, take, and read back what was taken.
fn loop_of(mut w: Window, sample: &str, condition: &str, columns: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let total = rows(&w);
    let map = front(&w).map().expect("a map").clone();
    assert_eq!(map.xy.len(), total);
    let placed = map.xy.iter().filter(|p| p[0].is_finite()).count();
    assert!(placed * 10 > total * 9, "{placed} of {total} have a place");
    assert!(find(&w, "Scatter plot").is_some());

    // Brush: a condition typed above the table.
    fill(&mut w, "Condition that selects rows", condition);
    let select =
        w.root().children_recursive().find(|n| n.accesskit_node().label().as_deref() == Some("Select") && n.rect().top() > 100.0);
    select.expect("the button beside the condition").click_accesskit();
    until(&mut w, "a selection", |w| w.state().session.doc().selection.any());
    let chosen = selected(&w);
    assert!(chosen.count() > 20 && chosen.count() < total, "{} rows", chosen.count());

    // Keep it under a name.
    fill(&mut w, "Name of the new subset", "mine");
    press(&mut w, "Save selection");
    until(&mut w, "the subset", |w| front(w).subsets.iter().any(|s| s.name == "mine"));
    assert!(find(&w, "Subset mine").is_some());
    assert_eq!(front(&w).subsets.iter().find(|s| s.name == "mine").map(|s| (*s.rows).clone()), Some(chosen.clone()));

    // Refine.
    unfold(&mut w, "Refine");
    press(&mut w, "Fit rule");
    until(&mut w, "the rule", |w| front(w).rule.as_ref().is_some_and(|r| r.of == "mine") && !w.state().session.busy());
    let rule = front(&w).rule.clone().expect("a rule");
    assert!(rule.purity() > 0.3 && rule.completeness() > 0.2, "{} {}", rule.purity(), rule.completeness());
    let percent = format!("{:.0} % purity", rule.purity() * 100.0);
    let tells =
        |n: egui_kittest::Node<'_>| n.accesskit_node().value().or_else(|| n.accesskit_node().label()) == Some(percent.clone());
    assert!(w.root().children_recursive().any(tells), "{percent}");

    // Take, in all four formats.
    let taken = front(&w).table.take(&chosen).expect("rows");
    for (button, ending) in [("VOTable", "vot"), ("FITS", "fits"), ("Parquet", "parquet"), ("CSV", "csv")] {
        let to = folder.path().join(format!("{sample}.{ending}"));
        export(&mut w, button, &to);
        assert_same_rows(&to, &taken, columns, ending != "csv");
    }
    assert_eq!(selected(&w), chosen, "taking changes nothing");
}

#[test]
fn the_loop_goes_round_on_the_spectra_of_cool_dwarfs() {
    loop_of(opened("spex", 1940), "spex", "class = 'L'", &["ra", "dec", "j_2mass", "class"]);
}

#[test]
fn the_loop_goes_round_on_variable_stars() {
    loop_of(asked("Variable stars", 20_000), "ogle3", "class = 'RRLyr' AND period > 0.6", &["period", "i_mag", "class"]);
}

#[test]
fn the_loop_goes_round_on_the_deep_field() {
    loop_of(opened("hdf", 1726), "hdf", "mag < 24 AND npix > 40", &["mag", "g_r", "npix", "ellipticity"]);
}
