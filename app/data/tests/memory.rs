//! The most memory that reading a table takes, in a process of its own, as multiples of the table's own bytes.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use asterism_data::{ColumnMeta, Table, read_table, write_table};

const ROWS: usize = 1_000_000;

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:"));
    line.and_then(|l| l.split_whitespace().nth(1)).and_then(|kb| kb.parse::<u64>().ok()).map_or(0, |kb| kb * 1024)
}

/// What the test below runs in a process of its own.
#[test]
#[ignore = "run by the test of memory"]
fn child() {
    let path = PathBuf::from(std::env::var_os("ASTERISM_READ").unwrap());
    let before = peak_bytes();
    let table = read_table(&path).unwrap();
    println!("CHILD {} {} {}", table.rows(), table.frame_bytes(), peak_bytes() - before);
}

#[test]
fn reading_takes_little_more_than_the_table() {
    if !Path::new("/proc/self/status").exists() {
        eprintln!("skipped: this system does not tell the memory of a process");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut table = Table::default();
    for column in 0..8u64 {
        let value = |r: u64| ((r * 2_654_435_761 + column * 97) % 1_000_003) as f64 / 10_007.0;
        table.with_f64_column(&format!("c{column}"), (0..ROWS as u64).map(value).collect(), ColumnMeta::default()).unwrap();
    }
    table.with_i32_column("id", (0..ROWS as i32).collect(), ColumnMeta::default()).unwrap();
    let words = ["star", "galaxy", "quasar"];
    table.with_string_column("class", (0..ROWS).map(|i| words[i % 3].into()).collect(), ColumnMeta::default()).unwrap();
    for (ending, most) in [("fits", 2.5), ("parquet", 2.5), ("vot", 2.5), ("csv", 2.0)] {
        let path = folder.path().join(format!("t.{ending}"));
        write_table(&table, None, &path).unwrap();
        let out = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env("ASTERISM_READ", &path)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let line = text.lines().find_map(|l| l.split_once("CHILD ").map(|(_, v)| v)).unwrap_or_else(|| panic!("{text}"));
        let numbers: Vec<u64> = line.split_whitespace().map(|v| v.parse().unwrap()).collect();
        assert_eq!(numbers[0], ROWS as u64, "{ending}");
        let ratio = numbers[2] as f64 / numbers[1] as f64;
        eprintln!("{ending}: {ratio:.2} times the table's {} MB", numbers[1] >> 20);
        assert!(ratio < most, "{ending}: {ratio:.2} times the table's own {} bytes", numbers[1]);
        std::fs::remove_file(path).unwrap();
    }
}
