//! Separated text read by pieces gives the table that the whole text gives.
#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use asterism_data::{Part, Table, read_bytes, read_csv_pieces};

/// SplitMix64.
struct Mix(u64);

impl Mix {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const BLANK: [&str; 7] = ["", "", "", "null", "NaN", "--", "nan"];
const WHOLE: [&str; 6] = ["0", "12", "-7", "9007199254740993", "007", "-9223372036854775808"];
const REAL: [&str; 8] = ["0.5", "-1.25e-3", ".5", "3.", "1e5", "inf", "-inf", "2.2250738585072014e-308"];
const TRUTH: [&str; 3] = ["true", "false", "TRUE"];
const TEXT: [&str; 14] =
    ["a", "α Cen", "+5", "1.e5", "1e", ".", "-", "0x1f", "1 2", " 3", "NULLs", "infinity", "--1", "2026-11-23"];
const QUOTED: [&str; 8] =
    ["\"a;b,c\td\"", "\"two\nlines\"", "\"say \"\"so\"\"\"", "\"\"", "\"12\"", "\"0.5\"", "\"\"\"\"", "\"x\r\ny\""];
const ODD: [&str; 6] = ["-0", "-000", "18446744073709551615", "123456789012345678901234567890", "٣", "5\" pipe"];

fn cell(mix: &mut Mix, style: usize) -> String {
    if mix.below(6) == 0 {
        return mix.one(&BLANK).into();
    }
    match style {
        0 => mix.one(&WHOLE).into(),
        1 => mix.one(&REAL).into(),
        2 => mix.one(&TRUTH).into(),
        3 => mix.one(&TEXT).into(),
        4 => mix.one(&QUOTED).into(),
        5 => mix.one(&ODD).into(),
        6 => mix.one(&BLANK).into(),
        _ => format!("{}.{}", mix.below(1000), mix.below(1000)),
    }
}

fn text(mix: &mut Mix) -> Vec<u8> {
    let mut out = String::new();
    let end = if mix.below(3) == 0 { "\r\n" } else { "\n" };
    if mix.below(5) == 0 {
        out.push('\u{feff}');
    }
    let separator = mix.one(&[",", ",", "\t", ";", "|"]);
    for _ in 0..mix.below(8) / 6 {
        out.push_str("# a note, of two parts");
        out.push_str(end);
    }
    let columns = 1 + mix.below(5);
    let names: Vec<&str> = (0..columns).map(|_| mix.one(&["a", "b", "c d", "\"e,f\"", "ra", "dec", ""])).collect();
    if mix.below(10) == 0 {
        out.push_str("# ");
    }
    out.push_str(&names.join(separator));
    out.push_str(end);
    // Most columns are of one kind, and some become another on the way.
    let calm = mix.below(2) == 0;
    let styles: Vec<(usize, usize, usize)> = (0..columns)
        .map(|_| {
            let of = |mix: &mut Mix| if calm { [0, 1, 2, 3, 6, 7][mix.below(6)] } else { mix.below(8) };
            let first = of(mix);
            let then = if mix.below(3) == 0 { of(mix) } else { first };
            (first, then, mix.below(60))
        })
        .collect();
    let rows = mix.below(80);
    for row in 0..rows {
        let mut cells: Vec<String> =
            styles.iter().map(|(first, then, from)| cell(mix, if row < *from { *first } else { *then })).collect();
        if !calm && mix.below(200) == 0 {
            cells.pop();
        }
        if !calm && mix.below(300) == 0 {
            cells.push("more".into());
        }
        out.push_str(&cells.join(separator));
        if row + 1 < rows || mix.below(2) == 0 {
            out.push_str(end);
        }
        if !calm && mix.below(100) == 0 {
            out.push_str(end);
        }
    }
    out.into_bytes()
}

fn same(whole: &Table, pieces: &Table, said: &str) {
    let kinds = |t: &Table| t.columns().iter().map(|c| (c.name.clone(), c.datatype.clone())).collect::<Vec<_>>();
    assert_eq!(kinds(whole), kinds(pieces), "{said}");
    assert_eq!(whole.rows(), pieces.rows(), "{said}");
    assert_eq!(whole.warnings, pieces.warnings, "{said}");
    for (a, b) in whole.frame().columns().iter().zip(pieces.frame().columns()) {
        for row in 0..whole.rows() {
            let word = |v: polars::prelude::AnyValue| match v {
                polars::prelude::AnyValue::Float64(v) => format!("{:016x}", v.to_bits()),
                other => format!("{other:?}"),
            };
            assert_eq!(word(a.get(row).unwrap()), word(b.get(row).unwrap()), "row {row} of '{}': {said}", a.name());
        }
    }
}

#[test]
fn pieces_give_the_table_that_the_whole_text_gives() {
    let mut mix = Mix(20_261_123);
    let (mut taken, mut cases, mut refused) = (0, 0, 0);
    for _ in 0..4000 {
        let text = text(&mut mix);
        let size = 1 + mix.below(300);
        let said = format!("size {size}: {:?}", String::from_utf8_lossy(&text));
        let whole = read_bytes("t.csv", text.clone(), None);
        cases += 1;
        let Some(pieces) = read_csv_pieces(&mut Cursor::new(&text), None, size).unwrap() else { continue };
        match whole.as_deref() {
            Ok([Part::Table(whole)]) => same(whole, &pieces, &said),
            // A word of a service that is no table is no table by pieces either: the whole decides.
            Ok(_) => panic!("{said}"),
            Err(_) => refused += 1,
        }
        taken += 1;
    }
    assert!(taken > cases / 3, "{taken} of {cases}");
    assert_eq!(refused, 0);
}

#[test]
fn what_is_not_plain_is_left_to_the_whole_text() {
    for text in [
        &b"a,b\n1,2\n3,5\" pipe\n"[..],
        b"a,b\n1,2\n3,4,5\n",
        b"a,b\n18446744073709551615,1\n",
        b"a,b\n\xe9,1\n",
        b"# a b\n1 2\n3 4\n",
        b"a\n1\n2\n",
        b"\n\na,b\n1,2\n",
        b"a,b\n\"1,2\n",
        b"",
    ] {
        let read = read_csv_pieces(&mut Cursor::new(text), None, 16).unwrap();
        assert!(read.is_none(), "{:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn a_column_that_turns_into_another_kind_far_down_is_of_that_kind_everywhere() {
    let mut text = String::from("int,real,late,turned\n");
    for i in 0..500 {
        let late = if i < 400 { "" } else { "true" };
        let turned = if i == 499 { "x" } else { "07" };
        let real = if i == 300 { "0.5".into() } else { i.to_string() };
        text.push_str(&format!("{i},{real},{late},{turned}\n"));
    }
    let table = read_csv_pieces(&mut Cursor::new(text.as_bytes()), None, 200).unwrap().unwrap();
    let kinds: Vec<&str> = table.columns().iter().map(|c| c.datatype.as_str()).collect();
    assert_eq!(kinds, ["i64", "f64", "bool", "string"]);
    assert_eq!(table.column("turned").unwrap().str().unwrap().get(0), Some("07"));
    assert_eq!(table.column("late").unwrap().null_count(), 400);
    let sum: f64 = table.column("real").unwrap().f64().unwrap().iter().flatten().sum();
    assert_eq!(sum, f64::from((0..500).sum::<i32>()) - 299.5);
}
