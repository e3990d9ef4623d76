//! Tables larger than memory: the rows and columns that are wanted, in the memory of a chunk.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use asterism_data::scan::{Found, Query, Source};
use asterism_data::write::write_stream;
use asterism_data::{ColumnMeta, Error, Expr, Serialization, Table, read_table, write_table, write_table_as};

const ROWS: usize = 3_000_000;
const STEP: usize = 100_000;
/// What a child process may take beyond what it began with; the table takes 120 MB.
const MOST_BYTES: u64 = 60 << 20;

fn on(_: &'static str, _: usize, _: usize) -> bool {
    true
}

fn value(row: usize, column: usize) -> f64 {
    ((row * (7 + column) + 13 * column) % 100_003) as f64 / 100.0
}

/// Rows `first..first + n` of five columns of doubles, `a` to `e`.
fn piece(first: usize, n: usize) -> Table {
    let mut table = Table::default();
    for (column, name) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        let values = (first..first + n).map(|r| value(r, column)).collect();
        table.with_f64_column(name, values, ColumnMeta { unit: Some("mag".into()), ..ColumnMeta::default() }).unwrap();
    }
    table
}

fn parquet(path: &Path, rows: usize) {
    write_stream(path, &mut |put| {
        for first in (0..rows).step_by(STEP) {
            put(piece(first, STEP.min(rows - first)))?;
        }
        Ok(())
    })
    .unwrap();
}

/// A FITS file of the same, written row by row from the standard's layout.
fn fits(path: &Path, rows: usize) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let block = |cards: &[String]| {
        let mut out: Vec<u8> = cards.iter().flat_map(|c| format!("{c:80}").into_bytes()).collect();
        out.extend(format!("{:80}", "END").into_bytes());
        out.resize(out.len().next_multiple_of(2880), b' ');
        out
    };
    let card = |key: &str, v: &str| format!("{key:8}= {v:>20}");
    file.write_all(&block(&[card("SIMPLE", "T"), card("BITPIX", "8"), card("NAXIS", "0"), card("ORIGIN", "'TEST'")])).unwrap();
    let mut cards = vec!["XTENSION= 'BINTABLE'".to_owned(), card("BITPIX", "8"), card("NAXIS", "2"), card("NAXIS1", "40")];
    cards.extend([card("NAXIS2", &rows.to_string()), card("PCOUNT", "0"), card("GCOUNT", "1"), card("TFIELDS", "5")]);
    for (i, name) in ["a", "b", "c", "d", "e"].iter().enumerate() {
        cards.extend([
            format!("TTYPE{}  = '{name}'", i + 1),
            format!("TFORM{}  = 'D'", i + 1),
            format!("TUNIT{}  = 'mag'", i + 1),
        ]);
    }
    file.write_all(&block(&cards)).unwrap();
    for row in 0..rows {
        for column in 0..5 {
            file.write_all(&value(row, column).to_be_bytes()).unwrap();
        }
    }
    file.write_all(&vec![0; (rows * 40).next_multiple_of(2880) - rows * 40]).unwrap();
    file.flush().unwrap();
}

fn query(columns: &[&str], filter: Option<&str>, max_rows: Option<usize>) -> Query {
    let filter = filter.map(|f| Expr::parse(f).unwrap());
    Query { columns: columns.iter().map(|c| (*c).to_owned()).collect(), filter, max_rows }
}

#[test]
fn a_part_is_what_reading_the_whole_and_filtering_gives() {
    let folder = tempfile::tempdir().unwrap();
    let n = 250_000;
    let (p, f) = (folder.path().join("t.parquet"), folder.path().join("t.fits"));
    parquet(&p, n);
    fits(&f, n);
    let expr = Expr::parse("a < 20 AND c - b > 1").unwrap();
    for path in [&p, &f] {
        let source = Source::open(path).unwrap().unwrap();
        assert_eq!((source.rows, source.columns.rows(), source.columns.columns().len()), (n as u64, 0, 5), "{path:?}");
        assert_eq!(source.columns.columns()[2].unit.as_deref(), Some("mag"));
        assert!(source.bytes >= 40 * n as u64);
        let whole = read_table(path).unwrap();
        let rows = expr.rows(&whole).unwrap();
        let want = whole.take(&rows).unwrap().select(&["e".into(), "a".into()]).unwrap();
        assert!(want.rows() > 1000);
        let (got, found) = source.collect(&query(&["e", "a"], Some("a < 20 AND c - b > 1"), None), u64::MAX, &on).unwrap();
        assert_eq!(found, Found { rows: want.rows(), truncated: false });
        assert!(got.frame().equals(want.frame()), "{path:?}");
        assert_eq!(got.columns()[1].unit.as_deref(), Some("mag"));
        assert_eq!(source.count(Some(&expr), &on).unwrap(), want.rows() as u64);
        assert_eq!(source.count(None, &on).unwrap(), n as u64);
        // All of it, in pieces none of which is large.
        let mut largest = 0;
        let found = source
            .scan(&Query::default(), &on, &mut |t| {
                largest = largest.max(t.rows());
                Ok(())
            })
            .unwrap();
        assert!(found.rows == n && largest < n, "{largest}");
        // Limits, nothing, and what is wrong.
        let (got, found) = source.collect(&query(&["b"], None, Some(7)), u64::MAX, &on).unwrap();
        assert_eq!((got.rows(), found.truncated, got.truncated), (7, true, true));
        let (got, _) = source.collect(&query(&["b"], Some("a > 1e9"), None), u64::MAX, &on).unwrap();
        assert_eq!((got.rows(), got.columns().len()), (0, 1));
        assert!(matches!(source.collect(&query(&["z"], None, None), u64::MAX, &on), Err(Error::NoColumn { .. })));
        assert!(source.count(Some(&Expr::parse("z > 1").unwrap()), &on).is_err());
        assert!(matches!(source.collect(&Query::default(), u64::MAX, &|_, done, _| done < 100_000), Err(Error::Stopped)));
        let text = source.collect(&Query::default(), 1_000_000, &on).unwrap_err().to_string();
        assert!(text.contains("fewer columns or rows"), "{text}");
        assert!(Source::larger_than(path, 1_000_000).unwrap().is_some() && Source::larger_than(path, 1 << 30).unwrap().is_none());
    }
}

#[test]
fn a_part_of_a_text_is_what_reading_the_whole_and_filtering_gives() {
    let folder = tempfile::tempdir().unwrap();
    let n = 250_000;
    let mut table = piece(0, n);
    table.with_string_column("name", (0..n).map(|i| format!("star, {i}")).collect(), ColumnMeta::default()).unwrap();
    // What the first rows would not say: reals at the end, text at the very end.
    let late: Vec<String> = (0..n).map(|i| if i + 2 > n { "x".into() } else { i.to_string() }).collect();
    table.with_string_column("late", late, ColumnMeta::default()).unwrap();
    let expr = Expr::parse("a < 20 AND c - b > 1").unwrap();
    for (file, how) in [
        ("t.csv", Serialization::Binary2),
        ("t.tsv", Serialization::Binary2),
        ("b2.vot", Serialization::Binary2),
        ("td.vot", Serialization::TableData),
        ("b.vot", Serialization::Binary),
    ] {
        let path = folder.path().join(file);
        write_table_as(&table, None, &path, how).unwrap();
        let source = Source::open(&path).unwrap().unwrap();
        assert_eq!((source.columns.rows(), source.columns.columns().len()), (0, 7), "{file}");
        // A VOTable says its rows here; separated text never does.
        assert_eq!(source.about, !file.ends_with("vot"), "{file}");
        assert!(
            (source.rows as f64 / n as f64 - 1.0).abs() < if source.about { 0.1 } else { 0.0 } + 1e-9,
            "{file}: {}",
            source.rows
        );
        assert!(source.bytes >= 30 * n as u64, "{file}: {}", source.bytes);
        let whole = read_table(&path).unwrap();
        let rows = expr.rows(&whole).unwrap();
        let want = whole.take(&rows).unwrap().select(&["late".into(), "e".into(), "name".into()]).unwrap();
        assert!(want.rows() > 1000);
        let (got, found) =
            source.collect(&query(&["late", "e", "name"], Some("a < 20 AND c - b > 1"), None), u64::MAX, &on).unwrap();
        assert_eq!(found, Found { rows: want.rows(), truncated: false });
        assert!(got.frame().equals(want.frame()), "{file}");
        assert_eq!(source.count(Some(&expr), &on).unwrap(), want.rows() as u64);
        let mut largest = 0;
        let found = source
            .scan(&Query::default(), &on, &mut |t| {
                largest = largest.max(t.rows());
                Ok(())
            })
            .unwrap();
        assert!(found.rows == n && largest < n, "{file}: {largest}");
        let (got, found) = source.collect(&query(&["b"], None, Some(7)), u64::MAX, &on).unwrap();
        assert_eq!((got.rows(), found.truncated, got.truncated), (7, true, true));
        let (got, _) = source.collect(&query(&["b"], Some("a > 1e9"), None), u64::MAX, &on).unwrap();
        assert_eq!((got.rows(), got.columns().len()), (0, 1));
        assert!(matches!(source.collect(&query(&["z"], None, None), u64::MAX, &on), Err(Error::NoColumn { .. })));
        assert!(
            matches!(source.collect(&Query::default(), u64::MAX, &|_, done, _| done < 50_000), Err(Error::Stopped)),
            "{file}"
        );
        assert!(source.collect(&Query::default(), 1_000_000, &on).unwrap_err().to_string().contains("fewer columns or rows"));
        // Below the program's own limit a text is read whole.
        assert!(Source::larger_than(&path, 1_000_000).unwrap().is_none());
    }
}

#[test]
fn a_text_with_a_fault_far_down_says_why_it_cannot_be_scanned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let mut text = String::from("a,b\n");
    (0..200_000).for_each(|i| text.push_str(&format!("{i},{i}.5\n")));
    text.push_str("1,2,3\n");
    std::fs::write(&path, &text).unwrap();
    let source = Source::open(&path).unwrap().unwrap();
    let said = source.collect(&Query::default(), u64::MAX, &on).unwrap_err().to_string();
    assert!(said.contains("not plain") && said.contains("Parquet"), "{said}");
    // A VOTable that breaks off gives what it has, and says so.
    let path = folder.path().join("t.vot");
    let mut text = String::from("<VOTABLE><RESOURCE><TABLE><FIELD name=\"a\" datatype=\"int\"/><DATA><TABLEDATA>");
    (0..200_000).for_each(|i| text.push_str(&format!("<TR><TD>{i}</TD></TR>")));
    std::fs::write(&path, &text).unwrap();
    let (table, found) = Source::open(&path).unwrap().unwrap().collect(&Query::default(), u64::MAX, &on).unwrap();
    assert!(found.truncated && table.truncated && table.rows() == 200_000);
    assert!(table.warnings.iter().any(|w| w.contains("breaks off")), "{:?}", table.warnings);
}

#[test]
fn files_that_cannot_be_scanned_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let table = piece(0, 10);
    for name in ["t.ecsv", "t.csv.gz", "t.vot.gz", "t.arrow", "t.fits.gz"] {
        let path = folder.path().join(name);
        write_table(&table, None, &path).unwrap();
        assert!(Source::open(&path).unwrap().is_none(), "{name}");
    }
    assert!(Source::open(folder.path()).unwrap().is_none());
    // Variable arrays lie elsewhere in a FITS file.
    let mut arrays = piece(0, 3);
    arrays.with_list_column("l", vec![vec![1.0], vec![], vec![2.0, 3.0]], ColumnMeta::default()).unwrap();
    let path = folder.path().join("v.fits");
    write_table(&arrays, None, &path).unwrap();
    assert!(Source::open(&path).unwrap().is_none());
}

#[test]
fn a_table_written_in_pieces_is_the_same_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["parquet", "csv", "tsv", "fits", "vot"] {
        let path = folder.path().join(format!("t.{ending}"));
        write_stream(&path, &mut |put| {
            for first in [0, 300, 600] {
                put(piece(first, 300))?;
            }
            Ok(())
        })
        .unwrap();
        let (got, want) = (read_table(&path).unwrap(), piece(0, 900));
        assert_eq!(got.rows(), 900, "{ending}");
        for name in ["a", "e"] {
            assert_eq!(got.f64s(name).unwrap(), want.f64s(name).unwrap(), "{ending}");
        }
    }
    // Nothing stands under the name when a piece fails.
    let path = folder.path().join("never.parquet");
    let failed = write_stream(&path, &mut |put| {
        put(piece(0, 10))?;
        Err(Error::Stopped)
    });
    assert!(failed.is_err() && !path.exists());
}

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:"));
    line.and_then(|l| l.split_whitespace().nth(1)).and_then(|kb| kb.parse::<u64>().ok()).map_or(0, |kb| kb * 1024)
}

/// What the test below runs in a process of its own.
#[test]
#[ignore = "run by the test of memory"]
fn child() {
    let path = PathBuf::from(std::env::var_os("ASTERISM_SCAN").unwrap());
    let before = peak_bytes();
    asterism_data::scan::set_limit(32 << 20);
    let source = Source::larger_than(&path, 32 << 20).unwrap().expect("larger than the limit");
    let kept = query(&["e", "a"], Some("b < 10"), None);
    let count = source.count(kept.filter.as_ref(), &on).unwrap();
    let out = path.with_extension("part.parquet");
    let mut found = Found::default();
    write_stream(&out, &mut |put| {
        found = source.scan(&kept, &on, put)?;
        Ok(())
    })
    .unwrap();
    println!("CHILD {} {} {}", count, found.rows, peak_bytes() - before);
}

#[test]
fn a_table_larger_than_the_limit_is_read_in_the_memory_of_a_chunk() {
    if !Path::new("/proc/self/status").exists() {
        eprintln!("skipped: this system does not tell the memory of a process");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (p, f) = (folder.path().join("t.parquet"), folder.path().join("f.fits"));
    parquet(&p, ROWS);
    fits(&f, ROWS);
    let want = (0..ROWS).filter(|r| value(*r, 1) < 10.0).count();
    let (c, v) = (folder.path().join("c.csv"), folder.path().join("v.vot"));
    let table = read_table(&p).unwrap();
    write_table(&table, None, &c).unwrap();
    write_table_as(&table, None, &v, Serialization::TableData).unwrap();
    drop(table);
    for path in [p, f, c, v] {
        let out = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env("ASTERISM_SCAN", &path)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let line = text.lines().find_map(|l| l.split_once("CHILD ").map(|(_, v)| v)).unwrap_or_else(|| panic!("{text}"));
        let numbers: Vec<u64> = line.split_whitespace().map(|v| v.parse().unwrap()).collect();
        assert_eq!(numbers[..2], [want as u64; 2], "{path:?}");
        eprintln!("{}: {} MB beside a table of {} MB", path.display(), numbers[2] >> 20, (ROWS * 40) >> 20);
        assert!(numbers[2] < MOST_BYTES, "{path:?}: {} bytes", numbers[2]);
        let part = read_table(&path.with_extension("part.parquet")).unwrap();
        assert_eq!((part.rows(), part.columns().len()), (want, 2));
    }
}
