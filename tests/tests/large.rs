//! A file larger than memory in the window: what is asked, what is counted, what is read.

use asterism_data::scan;
use asterism_data::{ColumnMeta, Table, write::write_stream};
use asterism_session::{Ask, Settings};

use crate::drive::*;

const ROWS: usize = 1_500_000;

fn value(row: usize, column: usize) -> f64 {
    ((row * (7 + column)) % 10_007) as f64
}

#[test]
fn a_file_larger_than_the_limit_is_asked_about_and_read_in_part() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.parquet");
    write_stream(&path, &mut |put| {
        for first in (0..ROWS).step_by(100_000) {
            let mut table = Table::default();
            for (column, name) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
                let values = (first..first + 100_000).map(|r| value(r, column)).collect();
                table.with_f64_column(name, values, ColumnMeta::default())?;
            }
            put(table)?;
        }
        Ok(())
    })
    .expect("written");
    // The limit is one for the process, and no other test opens a table of fifty megabytes.
    let mut w = window_with(Settings { table_gb: 0.05, ..Settings::default() }, &[&path.display().to_string()]);
    until(&mut w, "the question", |w| shows(w, "Choose columns and rows"));
    assert!(shows(&w, "large.parquet has 1,500,000 rows of 5 columns"));
    assert!(shows(&w, "still too many"), "all of it does not fit");
    assert_eq!(rows(&w), 0);
    let want = (0..ROWS).filter(|r| value(*r, 1) < 20.0).count();
    fill(&mut w, "Rows where", "b <");
    until(&mut w, "what is wrong", |w| shows(w, "expression"));
    fill(&mut w, "Rows where", "b < 20");
    let counted = format!("{} rows of 5 columns", asterism::window::kit::thousands(want));
    until(&mut w, "the count", |w| shows(w, &counted));
    press(&mut w, "none");
    press(&mut w, "a");
    press(&mut w, "e");
    press(&mut w, "Open");
    until(&mut w, "the rows", |w| rows(w) == want);
    until_idle(&mut w);
    scan::set_limit(0);
    assert!(!shows(&w, "Choose columns and rows"));
    let d = front(&w);
    assert_eq!(d.table.columns().iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a", "e"]);
    let Ask::File { columns, filter, .. } = &d.ask else { panic!("a file") };
    assert_eq!((columns.join(","), filter.as_deref()), ("a,e".to_owned(), Some("b < 20")));
    let first = (0..ROWS).find(|r| value(*r, 1) < 20.0 && *r > 0).expect("a row");
    assert!(d.table.f64s("e").expect("e").contains(&value(first, 4)));
}
