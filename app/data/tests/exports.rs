//! What is written here, judged by other people's programs: STILTS' votlint, CFITSIO's fitsverify,
//! astropy and pyarrow. Each test says which program judged, and says aloud when it is not here.
//!
//! `ASTERISM_PYTHON` names the Python that has astropy and pyarrow (else `python3`).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use asterism_data::{ColumnMeta, Param, Serialization, Table, write_table, write_table_as};
use polars::prelude::*;

fn lists<T: PolarsNumericType>(name: &str, cells: &[Option<Vec<T::Native>>]) -> Column {
    let mut b = ListPrimitiveChunkedBuilder::<T>::new(name.into(), cells.len(), 8, T::get_static_dtype());
    cells.iter().for_each(|c| b.append_opt_slice(c.as_deref()));
    b.finish().into_column()
}

/// Every type of column, with nulls, NaN, extremes and text beyond ASCII.
fn every_type() -> Table {
    let texts = |name: &str, v: [Option<&str>; 4]| Column::new(name.into(), v.to_vec());
    let columns = vec![
        Column::new("truth".into(), vec![Some(true), Some(false), None, Some(true)]),
        Column::new("b8".into(), vec![Some(i8::MIN), Some(0), Some(-1), Some(i8::MAX)]),
        Column::new("u8".into(), vec![Some(0u8), Some(200), None, Some(255)]),
        Column::new("i16".into(), vec![Some(i16::MIN), Some(i16::MAX), None, Some(7)]),
        Column::new("u16".into(), vec![Some(0u16), Some(u16::MAX), None, Some(32768)]),
        Column::new("i32".into(), vec![Some(i32::MIN), Some(i32::MAX), None, Some(-7)]),
        Column::new("u32".into(), vec![Some(0u32), Some(u32::MAX), None, Some(1 << 31)]),
        Column::new("i64".into(), vec![Some(i64::MIN), Some(i64::MAX), None, Some(4_295_806_720_123_456_789)]),
        Column::new("u64".into(), vec![Some(0u64), Some(9_007_199_254_740_993), None, Some(5)]),
        Column::new("f32".into(), vec![Some(0.1f32), Some(f32::NAN), None, Some(f32::MIN_POSITIVE)]),
        Column::new("f64".into(), vec![Some(0.1f64), Some(f64::NAN), None, Some(-1.797e308)]),
        texts("name", [Some("NGC 1068"), Some("a<b & \"c\""), None, Some("x")]),
        texts("greek", [Some("α Cen"), Some("é\u{1d6fc}"), None, Some("10 µJy")]),
        lists::<Float32Type>("vector", &[1, 2, 3, 4].map(|i| Some(vec![i as f32, f32::NAN, 0.25]))),
        lists::<Float64Type>("ragged", &[Some(vec![1.5]), Some(vec![]), None, Some(vec![2.0, -3.0, 1e-300])]),
        lists::<Int64Type>("ids", &[Some(vec![i64::MAX, 1]), Some(vec![2]), Some(vec![]), Some(vec![-5, 0, 5])]),
        lists::<Float32Type>("image", &[0, 1, 2, 3].map(|i| Some((0..6).map(|j| (10 * i + j) as f32 / 4.0).collect()))),
        lists::<Float64Type>("wave", &[1.0, 2.0, 3.0, 4.0].map(|i| Some(vec![i / 3.0, -i]))),
    ];
    let meta = |name: &str| ColumnMeta {
        name: name.into(),
        unit: match name {
            "f64" => Some("W.m**-2".into()),
            "f32" => Some("mag".into()),
            "vector" => Some("Jy".into()),
            _ => None,
        },
        ucd: match name {
            "f64" => Some("phot.flux".into()),
            "i64" => Some("meta.id;meta.main".into()),
            _ => None,
        },
        description: Some(format!("The column '{name}', with < and & and é in its words")),
        datatype: match name {
            "image" => "f32[2,3]".into(),
            "wave" => "c64".into(),
            _ => String::new(),
        },
        ..ColumnMeta::default()
    };
    let metas = columns.iter().map(|c| meta(c.name())).collect();
    let mut table = Table::new("every type", DataFrame::new(4, columns).unwrap(), metas).unwrap();
    table.description = "One column of each type — for judges".into();
    table.params.push(Param {
        name: "POSEPOCH".into(),
        value: "2016.0".into(),
        unit: Some("yr".into()),
        description: Some("Epoch of positions".into()),
    });
    table.params.push(Param { name: "long name of a note".into(), value: "a value — with a dash".into(), ..Param::default() });
    table
}

/// A text beyond ASCII as it stands in a FITS file, which may hold ASCII alone (4.0, 7.3.3.1).
fn in_ascii(text: &str) -> String {
    let one = |c: char| match u32::from(c) {
        32..=126 => c.to_string(),
        n if n < 0x1_0000 => format!("\\u{n:04x}"),
        n => format!("\\U{n:08x}"),
    };
    text.chars().map(one).collect()
}

/// The cells as `tests/peers/read_back.py` prints them.
fn expected(table: &Table) -> BTreeMap<String, Vec<String>> {
    fn word(v: &AnyValue) -> String {
        let double = |v: f64| if v.is_nan() { "nan".into() } else { format!("{:016x}", v.to_bits()) };
        match v {
            AnyValue::Null => "null".into(),
            AnyValue::Boolean(v) => v.to_string(),
            AnyValue::Float32(v) => double(f64::from(*v)),
            AnyValue::Float64(v) => double(*v),
            AnyValue::String(v) => (*v).into(),
            AnyValue::List(s) => format!("[{}]", s.iter().map(|v| word(&v)).collect::<Vec<_>>().join(",")),
            other => other.to_string(),
        }
    }
    let columns = table.frame().columns().iter();
    columns.map(|c| (c.name().to_string(), (0..table.rows()).map(|r| word(&c.get(r).unwrap())).collect())).collect()
}

fn have(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|p| std::env::split_paths(&p).any(|f| f.join(program).is_file()));
    if !found {
        eprintln!("skipped: {program} is not installed; this export was not judged by it");
    }
    found
}

/// A Python that can import `module`.
fn python(module: &str) -> Option<String> {
    let program = std::env::var("ASTERISM_PYTHON").unwrap_or_else(|_| "python3".into());
    // Debian keeps astropy for its own Python, which another in the PATH may hide.
    for program in [program, "/usr/bin/python3".into()] {
        let found = Command::new(&program).args(["-c", &format!("import {module}; print({module}.__version__)")]).output();
        if let Ok(found) = found
            && found.status.success()
        {
            println!("judged by {module} {}", String::from_utf8_lossy(&found.stdout).trim());
            return Some(program);
        }
    }
    eprintln!("skipped: no Python here has {module} (ASTERISM_PYTHON can name one)");
    None
}

fn scratch(name: &str, table: &Table) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    write_table(table, None, &path).unwrap();
    (folder, path)
}

fn scratch_as(how: Serialization, table: &Table) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.vot");
    write_table_as(table, None, &path, how).unwrap();
    (folder, path)
}

struct Read {
    unit: Option<String>,
    ucd: Option<String>,
    cells: Vec<String>,
}

fn read_back(program: &str, how: &str, path: &Path) -> BTreeMap<String, Read> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/read_back.py");
    let out = Command::new(program).arg(script).arg(how).arg(path).output().unwrap();
    assert!(out.status.success(), "{how} did not like it: {}", String::from_utf8_lossy(&out.stderr));
    let value: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let text = |v: &serde_json::Value| v.as_str().map(str::to_owned);
    let of = |v: &serde_json::Value| Read {
        unit: text(&v["unit"]),
        ucd: text(&v["ucd"]),
        cells: v["cells"].as_array().unwrap().iter().map(|c| text(c).unwrap()).collect(),
    };
    value.as_object().unwrap().iter().map(|(k, v)| (k.clone(), of(v))).collect()
}

/// Compare; `same(column, ours, theirs)` says where a format has no place for the difference.
fn compare(how: &str, table: &Table, theirs: &BTreeMap<String, Read>, same: impl Fn(&str, &str, &str) -> bool) {
    let mut wrong = Vec::new();
    for (name, ours) in expected(table) {
        let read = theirs.get(&name).unwrap_or_else(|| panic!("{how} has no column '{name}': {:?}", theirs.keys()));
        assert_eq!(read.cells.len(), ours.len(), "{how} {name}");
        for (row, (a, b)) in ours.iter().zip(&read.cells).enumerate() {
            if a != b && !same(&name, a, b) {
                wrong.push(format!("{name}[{row}]: written {a}, {how} reads {b}"));
            }
        }
    }
    assert_eq!(theirs.len(), table.columns().len(), "{how}: columns");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Powers by word: `W/m2` and `W m-2` are the same.
fn powers(unit: &Option<String>) -> BTreeMap<String, i32> {
    let mut out = BTreeMap::new();
    let text = unit.as_deref().unwrap_or("").replace("**", "").replace('^', "").replace("/ ", "/").replace('/', " /");
    for word in text.split([' ', '.', '*']).filter(|w| !w.is_empty() && *w != "1") {
        let (sign, word) = word.strip_prefix('/').map_or((1, word), |w| (-1, w));
        let end = word.find(|c: char| c == '-' || c.is_ascii_digit()).unwrap_or(word.len());
        *out.entry(word[..end].to_owned()).or_insert(0) += sign * word[end..].parse::<i32>().unwrap_or(1);
    }
    out
}

fn units_hold(how: &str, table: &Table, theirs: &BTreeMap<String, Read>) {
    for meta in table.columns() {
        let read = &theirs[&meta.name];
        assert_eq!(powers(&meta.unit), powers(&read.unit), "{how} {}", meta.name);
        assert_eq!(meta.ucd, read.ucd, "{how} {}", meta.name);
    }
}

#[test]
fn votlint_finds_nothing_wrong_with_a_votable() {
    if !have("stilts") {
        return;
    }
    for how in Serialization::ALL {
        let (_folder, path) = scratch_as(how, &every_type());
        let out = Command::new("stilts").args(["votlint", "ucd=true", "unit=true"]).arg(&path).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        println!("{} judged by STILTS votlint: {said}", how.name());
        // STIL reads the FITS inside as a stream, which has no variable arrays there, and takes them for text.
        let theirs = ["variable length arrays not supported", "([D != java.lang.String)", "([J != java.lang.String)"];
        let fits = how == Serialization::Fits;
        let said: Vec<&str> = said.lines().filter(|l| !fits || !theirs.iter().any(|t| l.contains(t))).collect();
        let said = said.join("\n");
        assert!(out.status.success() && !said.contains("ERROR") && !said.contains("WARNING"), "{}: {said}", how.name());
    }
}

#[test]
fn fitsverify_finds_nothing_wrong_with_a_fits_table() {
    let Some(program) = ["fitsverify", "ftverify"].into_iter().find(|p| have(p)) else { return };
    let (_folder, path) = scratch("all.fits", &every_type());
    let out = Command::new(program).arg(&path).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    println!("judged by {program}: {said}");
    assert!(said.contains("found 0 warning(s) and 0 error(s)"), "{said}");
}

#[test]
fn astropy_reads_back_the_votable() {
    let Some(program) = python("astropy") else { return };
    let table = every_type();
    for how in Serialization::ALL {
        if how == Serialization::Fits {
            // astropy only reads such a file by its address.
            continue;
        }
        let (_folder, path) = scratch_as(how, &table);
        let theirs = read_back(&program, "astropy-votable", &path);
        // astropy gives an empty text and an empty array for a null, and holds NaN and null for the same.
        compare(&format!("astropy of {}", how.name()), &table, &theirs, |name, a, b| match name {
            "f32" | "f64" | "vector" => a.replace("null", "nan") == b.replace("null", "nan"),
            "name" | "greek" => a == "null" && b.is_empty(),
            "ragged" => a == "null" && b == "[]",
            _ => false,
        });
        units_hold("astropy", &table, &theirs);
    }
}

#[test]
fn astropy_reads_back_the_fits_table() {
    let Some(program) = python("astropy") else { return };
    let table = every_type();
    let (_folder, path) = scratch("all.fits", &table);
    let theirs = read_back(&program, "astropy-fits", &path);
    compare("astropy", &table, &theirs, |name, a, b| match name {
        "f32" | "f64" => a == "null" && b == "nan",
        "name" => a == "null" && b.is_empty(),
        "greek" if a == "null" => b.is_empty(),
        "greek" => b == in_ascii(a) && !a.is_ascii(),
        // A zero byte stands for no truth value; astropy shows it as false.
        "truth" => a == "null" && b == "false",
        "ragged" => a == "null" && b == "[]",
        _ => false,
    });
    units_hold("astropy", &table, &theirs);
}

/// The FITS file in a document is one as any other.
#[test]
fn astropy_reads_back_the_fits_file_in_a_votable() {
    use base64::Engine;
    let Some(program) = python("astropy") else { return };
    let table = every_type();
    let (folder, path) = scratch_as(Serialization::Fits, &table);
    let text = std::fs::read_to_string(&path).unwrap();
    let (_, rest) = text.split_once("<STREAM encoding=\"base64\">").unwrap();
    let (stream, _) = rest.split_once("</STREAM>").unwrap();
    let letters: String = stream.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(letters).unwrap();
    let fits = folder.path().join("inside.fits");
    std::fs::write(&fits, bytes).unwrap();
    // What VOTable has no type for is there as in any VOTable: the next larger one. astropy reads a document that refers to such a
    // file only where numpy's types of both agree, which those of text never do.
    let theirs = read_back(&program, "astropy-fits", &fits);
    compare("astropy of FITS in a VOTable", &table, &theirs, |name, a, b| match name {
        "f32" | "f64" => a == "null" && b == "nan",
        "name" => a == "null" && b.is_empty(),
        "greek" if a == "null" => b.is_empty(),
        "greek" => b == in_ascii(a) && !a.is_ascii(),
        "truth" => a == "null" && b == "false",
        "ragged" => a == "null" && b == "[]",
        _ => false,
    });
    units_hold("astropy", &table, &theirs);
}

#[test]
fn astropy_reads_back_the_ecsv() {
    let Some(program) = python("astropy") else { return };
    let table = every_type();
    let (_folder, path) = scratch("all.ecsv", &table);
    let theirs = read_back(&program, "astropy-ecsv", &path);
    compare("astropy", &table, &theirs, |name, a, b| match name {
        // Without a value: masked in one version, NaN in another.
        "f32" | "f64" => matches!(a, "null" | "nan") && matches!(b, "null" | "nan"),
        "ragged" => a == "null" && b == "[]",
        _ => false,
    });
    units_hold("astropy", &table, &theirs);
}

#[test]
fn pyarrow_reads_back_parquet_and_arrow() {
    let Some(program) = python("pyarrow") else { return };
    let table = every_type();
    for name in ["all.parquet", "all.arrow"] {
        let (_folder, path) = scratch(name, &table);
        let theirs = read_back(&program, "pyarrow", &path);
        compare(&format!("pyarrow ({name})"), &table, &theirs, |_, _, _| false);
    }
}

#[test]
fn stilts_reads_back_votable_and_fits() {
    if !have("stilts") {
        return;
    }
    let table = every_type();
    for (name, format) in [("all.vot", "votable"), ("all.fits", "fits")] {
        let (_folder, path) = scratch(name, &table);
        let out = Command::new("stilts")
            .args(["tpipe", &format!("ifmt={format}"), "ofmt=csv", "cmd=keepcols 'truth u8 i16 u16 i32 u32 i64 f64 name'"])
            .arg(format!("in={}", path.display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let lines: Vec<&str> = said.lines().collect();
        println!("judged by STILTS tpipe ({name})");
        assert_eq!(
            lines[1..],
            [
                "true,0,-32768,0,-2147483648,0,-9223372036854775808,0.1,NGC 1068".to_owned(),
                "false,200,32767,65535,2147483647,4294967295,9223372036854775807,,\"a<b & \"\"c\"\"\"".to_owned(),
                ",,,,,,,,".to_owned(),
                "true,255,7,32768,-7,2147483648,4295806720123456789,-1.797E308,x".to_owned(),
            ],
            "{name}"
        );
    }
}
