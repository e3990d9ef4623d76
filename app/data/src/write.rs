//! A table into a file, by the file's ending.

use std::io::Write;
use std::path::Path;

use crate::sniff::ending;
use crate::{Error, Result, RowSet, Table, atomic_write};

/// Write `table` (of `rows` only those) to `path`, in the format its ending names: `.vot .xml
/// .votable`, `.fits .fit .fts`, `.parquet .pq`, `.arrow .feather .ipc`, `.csv`, `.tsv .tab`,
/// `.ecsv`, `.npy`; with `.gz` behind it, compressed. The file is whole or as it was before.
///
/// # Errors
/// [`Error::Format`] for an ending that is not known, a type the format does not have, or what
/// the disk said (full, not writable) with what to do.
pub fn write_table(table: &Table, rows: Option<&RowSet>, path: &Path) -> Result<()> {
    let taken;
    let table = match rows {
        Some(rows) => {
            taken = table.take(rows)?;
            &taken
        }
        None => table,
    };
    let ending = ending(path);
    let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    if !matches!(
        ending.as_str(),
        "vot"
            | "xml"
            | "votable"
            | "fits"
            | "fit"
            | "fts"
            | "parquet"
            | "pq"
            | "arrow"
            | "feather"
            | "ipc"
            | "csv"
            | "tsv"
            | "tab"
            | "ecsv"
            | "npy"
    ) {
        return Err(Error::format(
            path.display().to_string(),
            format!("the ending '.{ending}' names no format; use .vot, .fits, .parquet, .arrow, .csv, .tsv, .ecsv or .npy"),
        ));
    }
    if name.ends_with(".bz2") {
        return Err(Error::format(path.display().to_string(), "bzip2 is only read; use .gz"));
    }
    atomic_write(path, |out| {
        if name.ends_with(".gz") {
            let mut gz = flate2::write::GzEncoder::new(out, flate2::Compression::new(4));
            write_as(table, &ending, path, &mut gz)?;
            gz.finish().map_err(|e| Error::io(path, e))?;
            return Ok(());
        }
        write_as(table, &ending, path, out)
    })
}

fn write_as(table: &Table, ending: &str, path: &Path, out: &mut dyn Write) -> Result<()> {
    match ending {
        "fits" | "fit" | "fts" => crate::fits_table::write_fits(table, out),
        "parquet" | "pq" => crate::parquet::write_parquet(table, out),
        "arrow" | "feather" | "ipc" => crate::parquet::write_arrow(table, out),
        "csv" => crate::csv::write_csv(table, b',', out),
        "tsv" | "tab" => crate::csv::write_csv(table, b'\t', out),
        "ecsv" => crate::ecsv::write_ecsv(table, out),
        "npy" => crate::npy::write_npy_table(path, table, out),
        _ => crate::votable_write::write_votable(table, out),
    }
}
