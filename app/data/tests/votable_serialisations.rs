//! A VOTable in each serialisation: what is written comes back, as far as the serialisation has a place for it.
#![allow(clippy::unwrap_used)]

use asterism_data::{ColumnMeta, Serialization, Table, read_table, write, write_table_as};
use polars::prelude::*;

fn lists<T: PolarsNumericType>(name: &str, cells: &[Option<Vec<Option<T::Native>>>]) -> Column {
    let cells = cells.iter().map(|c| c.as_ref().map(|c| ChunkedArray::<T>::from_slice_options("".into(), c).into_series()));
    ListChunked::from_iter(cells).with_name(name.into()).into_column()
}

fn table(columns: Vec<Column>, null_rules: &[(&str, &str)], datatypes: &[(&str, &str)]) -> Table {
    let of = |pairs: &[(&str, &str)], name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    let metas = columns
        .iter()
        .map(|c| ColumnMeta {
            name: c.name().to_string(),
            null_rule: of(null_rules, c.name()),
            datatype: of(datatypes, c.name()).unwrap_or_default(),
            ..ColumnMeta::default()
        })
        .collect();
    Table::new("t", DataFrame::new(columns[0].len(), columns).unwrap(), metas).unwrap()
}

fn through(table: &Table, how: Serialization, name: &str) -> Table {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    write_table_as(table, None, &path, how).unwrap();
    if name.ends_with(".vot") {
        let text = std::fs::read_to_string(&path).unwrap();
        for other in Serialization::ALL {
            let there = [">", " "].iter().any(|e| text.contains(&format!("<{}{e}", other.name())));
            assert_eq!(there, other == how, "{} in {}", other.name(), how.name());
        }
    }
    let back = read_table(&path).unwrap();
    assert!(back.warnings.is_empty(), "{}: {:?}", how.name(), back.warnings);
    back
}

/// Every cell as a word; `blank` says how a serialisation without flags tells null, NaN and empty.
fn words(table: &Table, name: &str, blank: bool) -> Vec<String> {
    fn word(v: &AnyValue, blank: bool) -> String {
        match v {
            AnyValue::Null => "null".into(),
            AnyValue::Float32(v) if v.is_nan() => if blank { "null" } else { "nan" }.into(),
            AnyValue::Float64(v) if v.is_nan() => if blank { "null" } else { "nan" }.into(),
            AnyValue::Float32(v) => format!("f{:08x}", v.to_bits()),
            AnyValue::Float64(v) => format!("d{:016x}", v.to_bits()),
            AnyValue::String(s) => if blank && s.is_empty() { "null" } else { s }.into(),
            // A null element of an array of reals is NaN everywhere.
            AnyValue::List(s) if blank && s.is_empty() => "null".into(),
            AnyValue::List(s) => {
                let real = s.dtype().is_float();
                let parts: Vec<String> =
                    s.iter().map(|v| if real && v.is_null() { "nan".into() } else { word(&v, false) }).collect();
                parts.join(",")
            }
            other => other.to_string(),
        }
    }
    let column = table.column(name).unwrap();
    (0..table.rows()).map(|r| word(&column.get(r).unwrap(), blank)).collect()
}

fn every_kind() -> Table {
    let texts =
        ListChunked::from_iter([Some(Series::new("".into(), ["ab", "α<c", ""])), Some(Series::new("".into(), ["x y"])), None])
            .with_name("texts".into())
            .into_column();
    let truths = ListChunked::from_iter([
        Some(Series::new("".into(), [Some(true), None, Some(false)])),
        Some(Series::new("".into(), [Some(false)])),
        None,
    ])
    .with_name("truths".into())
    .into_column();
    table(
        vec![
            Column::new("truth".into(), [Some(true), None, Some(false)]),
            Column::new("i8".into(), [Some(i8::MIN), None, Some(i8::MAX)]),
            Column::new("u8".into(), [Some(255u8), None, Some(0)]),
            Column::new("i16".into(), [Some(i16::MIN), None, Some(i16::MAX)]),
            Column::new("u16".into(), [Some(u16::MAX), None, Some(0)]),
            Column::new("i32".into(), [Some(i32::MIN), None, Some(i32::MIN + 1)]),
            Column::new("u32".into(), [Some(u32::MAX), None, Some(0)]),
            Column::new("i64".into(), [Some(i64::MIN), None, Some(i64::MAX)]),
            Column::new("u64".into(), [Some(9_007_199_254_740_993u64), None, Some(0)]),
            Column::new("huge".into(), [Some(u64::MAX), None, Some(1)]),
            Column::new("f32".into(), [Some(0.1f32), None, Some(f32::NAN)]),
            Column::new("f64".into(), [Some(-1.797e308), None, Some(f64::NAN)]),
            Column::new("small".into(), [Some(5e-324), Some(f64::INFINITY), Some(f64::NEG_INFINITY)]),
            Column::new("name".into(), [Some("a<b & \"c\" ]]> 'd'"), None, Some("x\ty\nz")]),
            Column::new("greek".into(), [Some("α Cen"), None, Some("é\u{1d6fc}")]),
            lists::<Float32Type>("vector", &[Some(vec![Some(0.1), None]), None, Some(vec![Some(f32::NAN), Some(1e-30)])]),
            lists::<Float64Type>("ragged", &[Some(vec![Some(1e300)]), Some(vec![]), Some(vec![Some(-0.5), Some(2.0), None])]),
            lists::<Int64Type>("ids", &[Some(vec![Some(i64::MIN), None, Some(i64::MAX)]), None, Some(vec![Some(0)])]),
            lists::<UInt8Type>("bytes", &[Some(vec![Some(255), None]), Some(vec![Some(254)]), None]),
            lists::<Float64Type>("complex", &[Some(vec![Some(1.5), Some(-2.5)]), Some(vec![Some(0.1), Some(0.0)]), None]),
            lists::<Int16Type>("pair", &[Some(vec![Some(1), Some(2)]), Some(vec![Some(-1), None]), Some(vec![Some(0), Some(9)])]),
            texts,
            truths,
        ],
        &[("i64", "-9"), ("u8", "TNULL 0")],
        &[("vector", "f32[2]"), ("complex", "c64"), ("pair", "i16[2]")],
    )
}

#[test]
fn every_kind_of_column_comes_back_in_each_serialisation() {
    let table = every_kind();
    for how in Serialization::ALL {
        for name in ["t.vot", "t.xml.gz"] {
            let back = through(&table, how, name);
            for meta in table.columns() {
                let blank = how != Serialization::Binary2;
                let (ours, mut theirs) = (words(&table, &meta.name, blank), words(&back, &meta.name, blank));
                if how == Serialization::Binary {
                    // A whole cell of one length without a value has blanks for elements.
                    let blanks = if meta.name == "complex" || meta.name == "vector" { "nan,nan" } else { "null,null" };
                    theirs.iter_mut().filter(|w| *w == blanks).for_each(|w| *w = "null".into());
                }
                if how == Serialization::Fits && meta.name == "texts" {
                    // Every cell of texts is as long as the longest.
                    theirs = theirs.iter().map(|w| w.trim_end_matches(',').to_owned()).collect();
                    assert_eq!(theirs, ["ab,α<c", "x y", ""]);
                    continue;
                }
                assert_eq!(ours, theirs, "'{}' as {} in {name}", meta.name, how.name());
            }
            assert_eq!(back.columns()[0].datatype, "bool");
        }
    }
}

#[test]
fn a_null_integer_takes_a_value_that_the_column_does_not_hold() {
    let how = Serialization::Binary;
    let path = std::path::Path::new("t.vot");
    let table = every_kind();
    assert!(write::notes(&table, path, how).unwrap().is_empty());
    let back = through(&table, how, "t.vot");
    let null = |name: &str| back.columns()[back.column_index(name).unwrap()].null_rule.clone().unwrap();
    // The column's own where it is free; 0 of the bytes is a value, and so is 255.
    assert_eq!((null("i64").as_str(), null("u8").as_str()), ("-9", "254"));
    assert_eq!((null("i16").as_str(), null("i32").as_str()), ("-32767", "-2147483646"));

    // All bytes, and all shorts, and one without a value.
    let bytes: Vec<Option<u8>> = (0..=255).map(Some).chain([None]).collect();
    let all = self::table(vec![Column::new("u8".into(), bytes)], &[], &[]);
    let shorts: Vec<Option<i16>> = (i16::MIN..=i16::MAX).map(Some).chain([None]).collect();
    let long = self::table(vec![Column::new("i16".into(), shorts)], &[], &[]);
    for (table, name, datatype, wide) in [(&all, "u8", "short", "i16"), (&long, "i16", "int", "i32")] {
        let notes = write::notes(table, path, how).unwrap();
        assert!(notes.len() == 1 && notes[0].contains(name) && notes[0].contains(datatype), "{notes:?}");
        let back = through(table, how, "t.vot");
        assert_eq!(back.columns()[0].datatype, wide);
        assert_eq!(words(table, name, false), words(&back, name, false));
        // The other serialisations have a place for it.
        for how in [Serialization::Binary2, Serialization::TableData] {
            assert!(write::notes(table, path, how).unwrap().is_empty());
            assert_eq!(words(table, name, false), words(&through(table, how, "t.vot"), name, false));
        }
    }
}

#[test]
fn a_serialisation_is_named_as_the_standard_does() {
    for how in Serialization::ALL {
        assert_eq!(how.name().parse(), Ok(how));
        assert_eq!(how.name().to_lowercase().parse(), Ok(how));
        assert_eq!(serde_json::to_string(&how).unwrap(), format!("\"{}\"", how.name().to_lowercase()));
    }
    let said = "fit".parse::<Serialization>().unwrap_err();
    assert!(said.contains("'fit'") && said.contains("tabledata"), "{said}");
}

#[test]
fn an_empty_table_is_whole_in_each_serialisation() {
    let empty = every_kind().take(&asterism_data::RowSet::empty(3)).unwrap();
    for how in Serialization::ALL {
        let back = through(&empty, how, "t.vot");
        assert_eq!((back.rows(), back.columns().len()), (0, empty.columns().len()));
    }
}

#[test]
fn a_name_and_a_text_beyond_ascii_come_back_out_of_fits() {
    let table = table(
        vec![
            Column::new("δ".into(), [1.5, 2.5]),
            Column::new("α".into(), ["é", "plain"]),
            Column::new("plain".into(), [Some(1u8), None]),
        ],
        &[],
        &[],
    );
    let back = through(&table, Serialization::Fits, "t.vot");
    let names: Vec<&str> = back.columns().iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["δ", "α", "plain"]);
    assert_eq!(words(&back, "α", true), ["é", "plain"]);
    assert_eq!(words(&back, "plain", true), ["1", "null"]);
    let notes = write::notes(&table, std::path::Path::new("t.vot"), Serialization::Fits).unwrap();
    assert!(notes.len() == 1 && notes[0].contains("'α'"), "{notes:?}");
}

#[test]
fn integers_inside_arrays_keep_their_nulls_in_fits() {
    let all: Vec<Option<u8>> = (0..=255).map(Some).chain([None]).collect();
    let table = table(
        vec![
            lists::<UInt8Type>("full", &[Some(all), Some(vec![Some(1)])]),
            lists::<Int32Type>("ids", &[Some(vec![None, Some(0)]), Some(vec![Some(i32::MIN), Some(1)])]),
        ],
        &[],
        &[],
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.fits");
    asterism_data::write_table(&table, None, &path).unwrap();
    let back = read_table(&path).unwrap();
    for name in ["full", "ids"] {
        assert_eq!(words(&table, name, false), words(&back, name, false));
    }
}
