//! Cross-matches against astropy's recorded ones, STILTS where it is installed, and a plain double loop.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use asterism_data::crossmatch::{Find, Keep, Positions, cross_match, join, separation_arcsec};
use asterism_data::{Cell, ColumnMeta, Error, Table, write_table};
use polars::prelude::*;

fn on(_: &'static str, _: usize, _: usize) -> bool {
    true
}

fn positions(ra: Vec<f64>, dec: Vec<f64>) -> Positions {
    Positions { ra_deg: ra, dec_deg: dec, ..Positions::default() }
}

fn recorded() -> (serde_json::Value, Positions, Positions) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/crossmatch.json");
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let numbers = |v: &serde_json::Value| v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
    let of = |name: &str| positions(numbers(&value[name][0]), numbers(&value[name][1]));
    let (a, b) = (of("a"), of("b"));
    (value, a, b)
}

#[test]
fn nearest_rows_are_astropys() {
    let (value, a, b) = recorded();
    let found = cross_match(&a, &b, 3600.0, Find::Each, &on).unwrap();
    assert_eq!(found.pairs.len(), a.len());
    for (p, (index, arcsec)) in
        found.pairs.iter().zip(value["nearest"].as_array().unwrap().iter().zip(value["nearest_arcsec"].as_array().unwrap()))
    {
        assert_eq!(u64::from(p.b), index.as_u64().unwrap(), "row {}", p.a);
        assert!((p.separation_arcsec - arcsec.as_f64().unwrap()).abs() < 2e-9, "row {}: {} {arcsec}", p.a, p.separation_arcsec);
    }
    assert_eq!(found.missed_a.count(), 0);
}

#[test]
fn all_pairs_are_astropys() {
    let (value, a, b) = recorded();
    let radius = value["radius_arcsec"].as_f64().unwrap();
    let found = cross_match(&a, &b, radius, Find::All, &on).unwrap();
    let theirs = value["pairs"].as_array().unwrap();
    assert_eq!(found.pairs.len(), theirs.len());
    assert!(theirs.len() > 300);
    for (p, t) in found.pairs.iter().zip(theirs) {
        assert_eq!((u64::from(p.a), u64::from(p.b)), (t[0].as_u64().unwrap(), t[1].as_u64().unwrap()));
        assert!((p.separation_arcsec - t[2].as_f64().unwrap()).abs() < 2e-9);
    }
}

/// Points of a made sky: a linear congruence, so that the test needs no generator.
fn sky(n: usize, seed: u64) -> Positions {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let (mut ra, mut dec) = (Vec::new(), Vec::new());
    for _ in 0..n {
        ra.push(360.0 * next());
        dec.push((2.0 * next() - 1.0).asin().to_degrees());
    }
    positions(ra, dec)
}

#[test]
fn the_tree_finds_what_a_double_loop_finds() {
    let (mut a, mut b) = (sky(700, 1), sky(900, 2));
    // Rows without a place, twins, and exact coincidences.
    (a.ra_deg[5], b.dec_deg[7], a.dec_deg[9]) = (f64::NAN, f64::NAN, 91.0);
    for i in 100..140 {
        (b.ra_deg[i], b.dec_deg[i]) = (a.ra_deg[i], a.dec_deg[i]);
        (b.ra_deg[i + 300], b.dec_deg[i + 300]) = (a.ra_deg[i], a.dec_deg[i]);
    }
    for radius in [0.0, 3600.0, 5.0 * 3600.0, 180.0 * 3600.0] {
        let mut pairs = Vec::new();
        for i in 0..a.len() {
            let mut of_row = Vec::new();
            for j in 0..b.len() {
                if a.ra_deg[i].is_nan() || a.dec_deg[i] > 90.0 || b.dec_deg[j].is_nan() {
                    continue;
                }
                let s = separation_arcsec((a.ra_deg[i], a.dec_deg[i]), (b.ra_deg[j], b.dec_deg[j]));
                if s <= radius {
                    of_row.push((s, i as u32, j as u32));
                }
            }
            of_row.sort_by(|x, y| x.partial_cmp(y).unwrap());
            pairs.extend(of_row);
        }
        let all = cross_match(&a, &b, radius, Find::All, &on).unwrap();
        assert_eq!(all.pairs.iter().map(|p| (p.separation_arcsec, p.a, p.b)).collect::<Vec<_>>(), pairs, "{radius}");
        let mut each = pairs.clone();
        each.dedup_by_key(|p| p.1);
        let found = cross_match(&a, &b, radius, Find::Each, &on).unwrap();
        assert_eq!(found.pairs.iter().map(|p| (p.separation_arcsec, p.a, p.b)).collect::<Vec<_>>(), each, "{radius}");
        // Best: the first choice of both. Of equal distances the smaller row.
        let mut best_of_b: std::collections::HashMap<u32, (f64, u32)> = std::collections::HashMap::new();
        for p in &pairs {
            let of = best_of_b.entry(p.2).or_insert((p.0, p.1));
            if (p.0, p.1) < *of {
                *of = (p.0, p.1);
            }
        }
        let mutual: Vec<_> = each.iter().filter(|p| best_of_b[&p.2].1 == p.1).copied().collect();
        let best = cross_match(&a, &b, radius, Find::Best, &on).unwrap();
        assert_eq!(best.pairs.iter().map(|p| (p.separation_arcsec, p.a, p.b)).collect::<Vec<_>>(), mutual, "{radius}");
        assert_eq!(best.missed_a.count(), a.len() - mutual.len());
        assert!(best.missed_a.contains(5) && best.missed_b.contains(7) && best.missed_a.contains(9));
    }
}

fn table(name: &str, p: &Positions) -> Table {
    let ids: Vec<i64> = (0..p.len() as i64).collect();
    let columns = vec![Column::new("id".into(), ids), Column::new("RA".into(), &p.ra_deg), Column::new("Dec".into(), &p.dec_deg)];
    let meta = |name: &str, ucd: &str| ColumnMeta {
        name: name.into(),
        unit: (!ucd.is_empty()).then(|| "deg".into()),
        ucd: (!ucd.is_empty()).then(|| ucd.into()),
        ..ColumnMeta::default()
    };
    let metas = vec![meta("id", ""), meta("RA", "pos.eq.ra;meta.main"), meta("Dec", "pos.eq.dec;meta.main")];
    Table::new(name, DataFrame::new(p.len(), columns).unwrap(), metas).unwrap()
}

#[test]
fn each_and_all_are_those_of_stilts() {
    let found = std::env::var_os("PATH").is_some_and(|p| std::env::split_paths(&p).any(|f| f.join("stilts").is_file()));
    if !found {
        eprintln!("skipped: stilts is not installed");
        return;
    }
    // (Its find=best gives rows whose nearest is taken some of their second choices; ours does not.)
    let (_, a, b) = recorded();
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    write_table(&table("a", &a), None, &path("a.fits")).unwrap();
    write_table(&table("b", &b), None, &path("b.fits")).unwrap();
    for (find, word) in [(Find::Each, "best1"), (Find::All, "all")] {
        let out = Command::new("stilts")
            .args(["tmatch2", "matcher=sky", "params=15", "values1=RA Dec", "values2=RA Dec", "ofmt=csv-noheader"])
            .arg(format!("find={word}"))
            .arg("ocmd=keepcols 'id_1 id_2 Separation'")
            .arg(format!("in1={}", path("a.fits").display()))
            .arg(format!("in2={}", path("b.fits").display()))
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let mut theirs: Vec<(u32, u32, f64)> = text
            .lines()
            .map(|l| l.split(',').collect::<Vec<_>>())
            .map(|w| (w[0].parse().unwrap(), w[1].parse().unwrap(), w[2].parse().unwrap()))
            .collect();
        theirs.sort_by(|x, y| (x.0, x.2).partial_cmp(&(y.0, y.2)).unwrap());
        let ours = cross_match(&a, &b, 15.0, find, &on).unwrap().pairs;
        assert_eq!(ours.len(), theirs.len(), "{word}");
        for (p, t) in ours.iter().zip(&theirs) {
            assert_eq!((p.a, p.b), (t.0, t.1), "{word}");
            assert!((p.separation_arcsec - t.2).abs() < 1e-8, "{word}");
        }
    }
}

#[test]
fn joined_tables_keep_metadata_and_missing_rows() {
    let a = table("first", &positions(vec![10.0, 200.0, 359.99999], vec![0.0, 5.0, -89.9]));
    let b = table("second", &positions(vec![10.0001, 0.0], vec![0.0, -89.9]));
    let (pa, pb) = (Positions::of(&a, None).unwrap(), Positions::of(&b, Some(("RA", "Dec"))).unwrap());
    assert_eq!(pa.columns, ["RA", "Dec"]);
    let matches = cross_match(&pa, &pb, 1.0, Find::Best, &on).unwrap();
    let found = join(&a, &b, &matches, Keep::Found).unwrap();
    let names: Vec<&str> = found.columns().iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["id", "RA", "Dec", "id_2", "RA_2", "Dec_2", "separation_arcsec"]);
    assert_eq!(found.rows(), 2);
    assert_eq!(found.columns()[4].ucd.as_deref(), Some("pos.eq.ra;meta.main"));
    assert_eq!(found.columns()[6].unit.as_deref(), Some("arcsec"));
    let all = join(&a, &b, &matches, Keep::AllA).unwrap();
    assert_eq!(all.rows(), 3);
    assert_eq!((all.cell(1, 0), all.cell(1, 3), all.cell(1, 6)), (Cell::Int(1), Cell::Null, Cell::Null));
    assert_eq!(all.cell(2, 3), Cell::Int(1));
}

#[test]
fn a_match_can_be_ended_and_says_what_is_wrong() {
    let (a, b) = (sky(60_000, 3), sky(60_000, 4));
    let told = AtomicUsize::new(0);
    let ended = cross_match(&a, &b, 10.0, Find::Each, &|_, _, _| told.fetch_add(1, Ordering::Relaxed) < 2);
    assert!(matches!(ended, Err(Error::Stopped)));
    assert!(told.load(Ordering::Relaxed) < 7);
    for radius in [f64::NAN, -1.0, 1e9] {
        assert!(cross_match(&a, &b, radius, Find::Each, &on).unwrap_err().to_string().contains("radius"));
    }
    let mut t = table("t", &positions(vec![1.0], vec![2.0]));
    t.column_meta_mut(1).unwrap().unit = Some("h".into());
    assert_eq!(Positions::of(&t, None).unwrap().ra_deg, [15.0]);
    let e = Positions::of(&t.select(&["id".into()]).unwrap(), None).unwrap_err().to_string();
    assert!(e.contains("right ascension"), "{e}");
}

/// The figure of docs/benchmarks.md: `cargo test --release … --test crossmatch -- --ignored --nocapture million`.
#[test]
#[ignore = "a benchmark"]
fn a_million_against_a_million() {
    let (a, b) = (sky(1_000_000, 5), sky(1_000_000, 6));
    for find in [Find::Best, Find::Each, Find::All] {
        let start = std::time::Instant::now();
        let found = cross_match(&a, &b, 20.0, find, &on).unwrap();
        println!("{find:?}: {} pairs in {:.2} s", found.pairs.len(), start.elapsed().as_secs_f64());
    }
    let folder = std::env::temp_dir();
    write_table(&table("a", &a), None, &folder.join("asterism-a.fits")).unwrap();
    write_table(&table("b", &b), None, &folder.join("asterism-b.fits")).unwrap();
}
