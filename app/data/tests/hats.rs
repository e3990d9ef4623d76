//! HEALPix cells against astropy-healpix' recorded ones, and partitioned catalogues.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use asterism_data::hats::{Catalogue, Cell, Cone, Part, is_catalogue, local};
use asterism_data::{ColumnMeta, Error, Table, read_table, write_table};
use polars::prelude::*;

fn on(_: &'static str, _: usize, _: usize) -> bool {
    true
}

fn recorded() -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/healpix.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(v: &serde_json::Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn cells_and_centres_are_those_of_astropy_healpix() {
    let value = recorded();
    let (ra, dec) = (numbers(&value["ra"]), numbers(&value["dec"]));
    for order in [0u8, 1, 5, 12, 29] {
        let cells = value["cells"][order.to_string()].as_array().unwrap();
        let centres = &value["centres"][order.to_string()];
        let (lon, lat) = (numbers(&centres[0]), numbers(&centres[1]));
        for i in 0..ra.len() {
            let pixel: u64 = cells[i].as_str().unwrap().parse().unwrap();
            assert_eq!(Cell::of(ra[i], dec[i], order).unwrap().pixel, pixel, "order {order}, {} {}", ra[i], dec[i]);
            let (x, y) = Cell { order, pixel }.centre_deg();
            let across = ((x - lon[i] + 540.0).rem_euclid(360.0) - 180.0) * lat[i].to_radians().cos();
            assert!(across.abs() < 1e-9 && (y - lat[i]).abs() < 1e-9, "order {order}, {pixel}: {x} {y}, {} {}", lon[i], lat[i]);
        }
    }
    assert_eq!(Cell::of(f64::NAN, 0.0, 3), None);
    assert_eq!(Cell::of(0.0, 90.1, 3), None);
}

#[test]
fn a_cone_meets_all_cells_that_hold_a_point_of_it_and_few_others() {
    let value = recorded();
    for case in value["cones"].as_array().unwrap() {
        let c = numbers(&case["cone"]);
        let cone = Cone { ra_deg: c[0], dec_deg: c[1], radius_deg: c[2] };
        let order = case["order"].as_u64().unwrap() as u8;
        let ours: Vec<u64> = (0..12u64 << (2 * order)).filter(|p| Cell { order, pixel: *p }.meets(&cone)).collect();
        let theirs: Vec<u64> = case["cells"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
        // Theirs is a cover with cells too many as well: ours must hold every cell with a point of the
        // cone in it, and none that theirs has not.
        for p in &ours {
            assert!(theirs.contains(p), "{cone:?}: {p} is not met");
        }
        for i in 0..400 {
            let (turn, out) = (f64::from(i) * 0.9, f64::from(i % 20) / 19.0 * c[2]);
            let (dec0, d) = (c[1].to_radians(), out.to_radians());
            let t = turn.to_radians();
            let dec = (dec0.sin() * d.cos() + dec0.cos() * d.sin() * t.cos()).asin();
            let ra = c[0].to_radians() + (t.sin() * d.sin() * dec0.cos()).atan2(d.cos() - dec0.sin() * dec.sin());
            let cell = Cell::of(ra.to_degrees(), dec.to_degrees(), order).unwrap();
            assert!(ours.contains(&cell.pixel), "{cone:?}: {cell:?} has a point of it");
        }
    }
}

/// A small catalogue of 4,000 rows in cells of two orders, made here, with its margin in a collection.
fn made(folder: &Path) -> (PathBuf, Table) {
    let n = 4000usize;
    let golden = 180.0 * (3.0 - 5f64.sqrt());
    let dec: Vec<f64> = (0..n).map(|i| (1.0 - 2.0 * (i as f64 + 0.5) / n as f64).asin().to_degrees()).collect();
    let ra: Vec<f64> = (0..n).map(|i| (i as f64 * golden).rem_euclid(360.0)).collect();
    let whole = DataFrame::new(
        n,
        vec![
            Column::new("id".into(), (0..n as i64).collect::<Vec<_>>()),
            Column::new("RAJ".into(), &ra),
            Column::new("DEJ".into(), &dec),
            Column::new("mag".into(), (0..n).map(|i| i as f32 / 100.0).collect::<Vec<_>>()),
        ],
    )
    .unwrap();
    let metas = ["id", "RAJ", "DEJ", "mag"].map(|name| ColumnMeta { name: name.into(), ..ColumnMeta::default() }).to_vec();
    let table = Table::new("made", whole, metas).unwrap();
    let base = folder.join("sky");
    let mut list = "Norder,Npix\n".to_owned();
    for base_pixel in 0..12u64 {
        // The northern cells are divided once more.
        let order = if base_pixel < 4 { 1 } else { 0 };
        let cells: Vec<Cell> = if order == 1 {
            Cell { order: 0, pixel: base_pixel }.children().to_vec()
        } else {
            vec![Cell { order: 0, pixel: base_pixel }]
        };
        for cell in cells {
            let rows = asterism_data::RowSet::from_fn(n, |i| Cell::of(ra[i], dec[i], cell.order) == Some(cell));
            let path = base.join(format!("dataset/Norder={}/Dir=0", cell.order));
            std::fs::create_dir_all(&path).unwrap();
            write_table(&table, Some(&rows), &path.join(format!("Npix={}.parquet", cell.pixel))).unwrap();
            list.push_str(&format!("{},{}\n", cell.order, cell.pixel));
        }
    }
    std::fs::write(base.join("partition_info.csv"), list).unwrap();
    let head =
        "#HATS catalog\nobs_collection=made\ndataproduct_type=object\nhats_nrows=4000\nhats_col_ra=RAJ\nhats_col_dec=DEJ\n";
    std::fs::write(base.join("hats.properties"), head).unwrap();
    std::fs::write(
        folder.join("collection.properties"),
        "#HATS Collection\nobs_collection=all\nhats_primary_table_url=sky\nall_margins=m1 m2\ndefault_margin=m2\n",
    )
    .unwrap();
    (folder.to_path_buf(), table)
}

#[test]
fn a_cone_reads_only_the_cells_it_meets() {
    let scratch = tempfile::tempdir().unwrap();
    let (folder, whole) = made(scratch.path());
    assert!(is_catalogue(&folder) && is_catalogue(&folder.join("sky")) && !is_catalogue(&folder.join("sky/dataset")));
    let fetched = Mutex::new(Vec::new());
    let fetch = |path: &str| {
        fetched.lock().unwrap().push(path.to_owned());
        local(path)
    };
    let catalogue = Catalogue::open(folder.to_str().unwrap(), &fetch).unwrap();
    assert_eq!((catalogue.name.as_str(), catalogue.rows, catalogue.cells.len()), ("made", Some(4000), 24));
    assert!(catalogue.margins[0].ends_with("/m2") && catalogue.margins[1].ends_with("/m1"));
    let (ra, dec) = (whole.f64s("RAJ").unwrap(), whole.f64s("DEJ").unwrap());
    for (cone, most) in [((0.0, 30.0, 10.0), 6), ((123.0, 90.0, 5.0), 4), ((10.0, -89.0, 3.0), 4), ((100.0, 0.0, 4.0), 4)] {
        let cone = Cone { ra_deg: cone.0, dec_deg: cone.1, radius_deg: cone.2 };
        fetched.lock().unwrap().clear();
        let part = Part { cone: Some(cone), columns: vec!["mag".into(), "id".into()] };
        let found = catalogue.read(&part, &fetch, &on).unwrap();
        let parquet = fetched.lock().unwrap().iter().filter(|p| p.ends_with(".parquet")).count();
        assert!(parquet >= 1 && parquet <= most, "{cone:?}: {parquet} files");
        let mut ids: Vec<i64> = found.column("id").unwrap().i64().unwrap().iter().flatten().collect();
        ids.sort_unstable();
        let want: Vec<i64> = (0..4000usize).filter(|i| cone.contains(ra[*i], dec[*i])).map(|i| i as i64).collect();
        assert!(!want.is_empty());
        assert_eq!(ids, want, "{cone:?}");
        assert_eq!(found.columns().iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["mag", "id"]);
    }
    // Nothing there: still a table of these columns.
    let empty = Part { cone: Some(Cone { ra_deg: 1.0, dec_deg: 1.0, radius_deg: 1e-7 }), columns: vec!["id".into()] };
    let found = catalogue.read(&empty, &fetch, &on).unwrap();
    assert_eq!((found.rows(), found.columns().len()), (0, 1));
    // The whole, as any folder is opened; the cells' rows are all there, positions are known as such.
    let all = read_table(&folder).unwrap();
    assert_eq!(all.rows(), 4000);
    assert_eq!(all.columns()[1].ucd.as_deref(), Some("pos.eq.ra;meta.main"));
    assert_eq!(catalogue.columns(&local).unwrap().rows(), 0);
    assert!(matches!(catalogue.read(&Part::default(), &local, &|_, _, _| false), Err(Error::Stopped)));
    let wrong = Part { columns: vec!["nothing".into()], ..Part::default() };
    assert!(matches!(catalogue.read(&wrong, &local, &on), Err(Error::NoColumn { .. })));
}

#[test]
fn cells_without_a_list_are_those_of_the_folders_and_broken_lists_are_told() {
    let scratch = tempfile::tempdir().unwrap();
    let (folder, _) = made(scratch.path());
    let list = folder.join("sky/partition_info.csv");
    std::fs::remove_file(&list).unwrap();
    assert_eq!(Catalogue::open_folder(&folder).unwrap().cells.len(), 24);
    std::fs::write(&list, "Norder,Npix\n1,99\n").unwrap();
    let e = Catalogue::open_folder(&folder).unwrap_err().to_string();
    assert!(e.contains("line 2") && e.contains("partition_info.csv"), "{e}");
    std::fs::write(&list, "a,b\n").unwrap();
    assert!(Catalogue::open_folder(&folder).unwrap_err().to_string().contains("norder"));
    let e = Catalogue::open_folder(scratch.path().join("sky/dataset").as_path()).unwrap_err().to_string();
    assert!(e.contains("no HATS catalogue"), "{e}");
}

#[test]
fn the_small_sky_of_the_hats_package() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/hats/small_sky_o1_collection");
    if !folder.exists() {
        eprintln!("skipped: the HATS fixture is not here");
        return;
    }
    let catalogue = Catalogue::open_folder(&folder).unwrap();
    assert_eq!((catalogue.kind.as_str(), catalogue.rows), ("object", Some(131)));
    assert!(catalogue.margins[0].ends_with("small_sky_order1_margin"));
    let all = read_table(&folder).unwrap();
    assert_eq!((all.rows(), all.columns().len()), (131, 6));
    let (ra, dec) = (all.f64s("ra").unwrap(), all.f64s("dec").unwrap());
    // The catalogue's own index agrees with ours, down to order 29.
    let index = all.column("_healpix_29").unwrap().i64().unwrap().clone();
    for i in 0..131 {
        assert_eq!(Cell::of(ra[i], dec[i], 29).unwrap().pixel as i64, index.get(i).unwrap());
    }
    let cone = Cone { ra_deg: 308.5, dec_deg: -69.5, radius_deg: 5.0 };
    let found = catalogue.read(&Part { cone: Some(cone), columns: Vec::new() }, &local, &on).unwrap();
    assert_eq!(found.rows(), (0..131).filter(|i| cone.contains(ra[*i], dec[*i])).count());
    assert!(found.rows() > 3);
    // A margin: its rows lie outside their cells, and a cone finds them all the same.
    let margin = Catalogue::open_folder(Path::new(&catalogue.margins[0])).unwrap();
    assert_eq!((margin.kind.as_str(), margin.margin_arcsec, margin.cells.len()), ("margin", 7200.0, 7));
    let rows = margin.read(&Part::default(), &local, &on).unwrap();
    assert_eq!(rows.rows(), 47);
    let near = Cone { ra_deg: 347.5, dec_deg: -29.5, radius_deg: 0.1 };
    let found = margin.read(&Part { cone: Some(near), columns: Vec::new() }, &local, &on).unwrap();
    assert!(found.rows() >= 1);
    let empty = Catalogue::open_folder(Path::new(&catalogue.margins[1])).unwrap();
    let rows = empty.read(&Part::default(), &local, &on).unwrap();
    assert_eq!((rows.rows(), rows.columns().len()), (0, 6));
    let index = Catalogue::open_folder(&folder.join("small_sky_order1_id_index")).unwrap();
    assert_eq!(index.read(&Part::default(), &local, &on).unwrap().rows(), 131);
}
