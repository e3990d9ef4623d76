//! Rows of a VOTable while its bytes arrive: plain rows read fast are those read with care, and whole rows do not wait for the next.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::time::Duration;

use asterism_data::{Arriving, ColumnMeta, Serialization, Table, read_bytes, read_votable_arriving, read_votable_batches};
use polars::prelude::AnyValue;

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

const CELLS: [&str; 22] = [
    "1",
    "-7",
    " 12 ",
    "0.5",
    "1e5",
    "NaN",
    "",
    "T",
    "?",
    "text",
    "α Cen",
    "-9",
    "1 2 3",
    "0x1f",
    "\n 4 \n",
    "9007199254740993",
    "a &amp; b",
    "<![CDATA[<x>]]>",
    "x<!-- y -->z",
    "&#945;",
    "a & b",
    "&bogus;",
];

/// A document of rows of which most are plain.
fn document(mix: &mut Mix) -> String {
    let mut doc = String::from(
        "<VOTABLE><RESOURCE><TABLE><FIELD name=\"i\" datatype=\"int\"><VALUES null=\"-9\"/></FIELD><FIELD name=\"d\" datatype=\"double\"/>\
         <FIELD name=\"s\" datatype=\"char\" arraysize=\"6*\"/><FIELD name=\"b\" datatype=\"boolean\"/>\
         <FIELD name=\"v\" datatype=\"float\" arraysize=\"*\"/><FIELD name=\"l\" datatype=\"long\"/>\n<DATA><TABLEDATA>",
    );
    let calm = mix.below(2) == 0;
    for _ in 0..mix.below(120) {
        doc.push_str(mix.one(&["", "\n", " ", "\r\n\t"]));
        if !calm && mix.below(20) == 0 {
            doc.push_str(mix.one(&["<!-- <TR><TD>7</TD></TR> -->", "word", "<TR/>", "<TR><TD>1</TD>", "<OTHER/>"]));
        }
        doc.push_str("<TR>");
        let cells = if !calm && mix.below(20) == 0 { mix.below(9) } else { 6 };
        for _ in 0..cells {
            doc.push_str(mix.one(&["", "", "\n  "]));
            let cell = CELLS[mix.below(if calm { 16 } else { CELLS.len() })];
            match mix.below(12) {
                0 => doc.push_str("<TD/>"),
                1 if !calm => doc.push_str("<TD encoding=\"base64\">AAAAAQ==</TD>"),
                _ => doc.push_str(&format!("<TD>{cell}</TD>")),
            }
        }
        doc.push_str("</TR>");
    }
    doc.push_str(mix.one(&[
        "</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>",
        "\n</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>",
        "<TR><TD>",
    ]));
    doc
}

fn words(table: &Table) -> Vec<String> {
    let word = |v: AnyValue| match v {
        AnyValue::Float64(v) => format!("{:016x}", v.to_bits()),
        AnyValue::Float32(v) => format!("{:08x}", v.to_bits()),
        AnyValue::StringOwned(s) => format!("'{s}'"),
        AnyValue::String(s) => format!("'{s}'"),
        other => format!("{other:?}"),
    };
    (0..table.rows())
        .map(|r| table.frame().columns().iter().map(|c| word(c.get(r).unwrap())).collect::<Vec<_>>().join("|"))
        .collect()
}

fn batches(doc: &[u8], buffer: usize, rows: usize) -> (Vec<String>, Vec<String>) {
    let mut all = Vec::new();
    let mut more = |t: Table| {
        all.extend(words(&t));
        ControlFlow::Continue(())
    };
    let mut said = read_votable_batches(BufReader::with_capacity(buffer, doc), "t", rows, &mut more).unwrap().warnings;
    // A place of a fault is that of the first in reading order, which columns and rows see differently.
    said.iter_mut().for_each(|s| s.truncate(s.find(" (").or(s.find(": ")).unwrap_or(s.len())));
    said.sort();
    (all, said)
}

#[test]
fn plain_rows_read_fast_are_those_read_with_care() {
    let mut mix = Mix(7);
    let mut rows = 0;
    for _ in 0..600 {
        let doc = document(&mut mix);
        // A blank in a tag is nothing to XML, and is not plain.
        let slow = doc.replace("<TD>", "<TD >").replace("<TD/>", "<TD />").replace("<TR>", "<TR >");
        let (fast, said) = batches(doc.as_bytes(), 1 + mix.below(400), 1 + mix.below(60));
        let (careful, told) = batches(slow.as_bytes(), 1 << 16, 1 << 18);
        let other = fast.iter().zip(&careful).find(|(a, b)| a != b);
        assert!(fast.len() == careful.len() && other.is_none(), "{} {} rows, {other:?}: {doc}", fast.len(), careful.len());
        assert_eq!(said, told, "{doc}");
        rows += fast.len();
    }
    assert!(rows > 20_000, "{rows}");
}

#[test]
fn many_plain_rows_are_shared_by_threads_and_faults_keep_their_rows() {
    let mut doc = String::from(
        "<VOTABLE><RESOURCE><TABLE><FIELD name=\"i\" datatype=\"int\"/><FIELD name=\"d\" datatype=\"double\"/><DATA><TABLEDATA>",
    );
    for i in 0..20_000 {
        doc.push_str(&format!("<TR><TD>{}</TD><TD>{}.25</TD></TR>\n", if i == 12_345 { "x".into() } else { i.to_string() }, i));
    }
    doc.push_str("</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>");
    let parts = read_bytes("t.vot", doc.into_bytes(), None).unwrap();
    let [asterism_data::Part::Table(table)] = parts.as_slice() else { panic!() };
    assert_eq!(table.rows(), 20_000);
    assert_eq!(table.warnings, ["column 'i': value(s) that do not fit its type are left empty: 'x' in row 12346"]);
    for (row, v) in table.column("i").unwrap().i32().unwrap().iter().enumerate() {
        assert_eq!(v, (row != 12_345).then_some(row as i32));
    }
    assert!(table.column("d").unwrap().f64().unwrap().iter().enumerate().all(|(r, v)| v == Some(r as f64 + 0.25)));
}

/// Pieces of a document, after each of which nothing comes until the reader has waited in vain.
struct Trickle {
    pieces: Vec<Vec<u8>>,
    now: usize,
    at: usize,
    waits: usize,
}

impl Read for Trickle {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let have = self.fill_buf()?;
        let n = have.len().min(buf.len());
        buf[..n].copy_from_slice(&have[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Trickle {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.now < self.pieces.len() && self.at == self.pieces[self.now].len() {
            (self.now, self.at) = (self.now + 1, 0);
        }
        Ok(self.pieces.get(self.now).map_or(&[], |p| &p[self.at..]))
    }
    fn consume(&mut self, n: usize) {
        self.at += n;
    }
}

impl Arriving for Trickle {
    fn wait(&mut self, most: Duration) -> bool {
        assert!(most <= Duration::from_millis(100));
        let inside = self.pieces.get(self.now).is_some_and(|p| self.at < p.len());
        self.waits += usize::from(!inside);
        inside
    }
}

#[test]
fn whole_rows_do_not_wait_for_those_to_come() {
    let rows = 40;
    let mut table = Table::default();
    table.with_i32_column("id", (0..rows).collect(), ColumnMeta::default()).unwrap();
    table.with_f64_column("x", (0..rows).map(|i| f64::from(i) / 3.0).collect(), ColumnMeta::default()).unwrap();
    table.with_string_column("name", (0..rows).map(|i| format!("star {i}")).collect(), ColumnMeta::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.vot");
    for how in [Serialization::TableData, Serialization::Binary2, Serialization::Binary] {
        asterism_data::write_table_as(&table, None, &path, how).unwrap();
        let doc = std::fs::read(&path).unwrap();
        let text = String::from_utf8(doc.clone()).unwrap();
        // The document stops in the middle of a row, twice.
        let (start, end) = match how {
            Serialization::TableData => (text.find("<TABLEDATA>").unwrap(), text.find("</TABLEDATA>").unwrap()),
            _ => (text.find("base64").unwrap(), text.find("</STREAM>").unwrap()),
        };
        let places = [start + (end - start) / 2 + 3, start + 3 * (end - start) / 4 + 1];
        let pieces = vec![doc[..places[0]].to_vec(), doc[places[0]..places[1]].to_vec(), doc[places[1]..].to_vec()];
        let mut trickle = Trickle { pieces, now: 0, at: 0, waits: 0 };
        let mut came: Vec<usize> = Vec::new();
        let mut all = Vec::new();
        let end = read_votable_arriving(&mut trickle, "t", 10_000, &mut |t| {
            came.push(t.rows());
            all.extend(words(&t));
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(end.warnings.is_empty() && !end.truncated, "{}: {end:?}", how.name());
        assert_eq!(all, words(&table), "{}", how.name());
        // Half of them came before the second piece was there, a quarter before the third.
        assert!(came.len() >= 3 && (15..=21).contains(&came[0]) && (8..=11).contains(&came[1]), "{}: {came:?}", how.name());
        assert!(trickle.waits >= 2, "{}", how.name());
    }
}

#[test]
fn one_byte_at_a_time_gives_the_same_rows() {
    struct Bytes<'a>(&'a [u8]);
    impl Read for Bytes<'_> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buf)
        }
    }
    impl BufRead for Bytes<'_> {
        fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
            Ok(&self.0[..self.0.len().min(1)])
        }
        fn consume(&mut self, n: usize) {
            self.0 = &self.0[n..];
        }
    }
    impl Arriving for Bytes<'_> {
        fn wait(&mut self, _: Duration) -> bool {
            // Never in time.
            false
        }
    }
    let mut table = Table::default();
    table.with_i32_column("id", (0..30).collect(), ColumnMeta::default()).unwrap();
    table.with_string_column("α", (0..30).map(|i| "é".repeat(i % 7)).collect(), ColumnMeta::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.vot");
    for how in [Serialization::TableData, Serialization::Binary2, Serialization::Binary] {
        asterism_data::write_table_as(&table, None, &path, how).unwrap();
        let doc = std::fs::read(&path).unwrap();
        let mut all = Vec::new();
        read_votable_arriving(Bytes(&doc), "t", 10_000, &mut |t| {
            assert!(t.rows() <= 1);
            all.extend(words(&t));
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(all, words(&asterism_data::read_table(&path).unwrap()), "{}", how.name());
    }
}
