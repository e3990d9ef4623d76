//! A table into a file, by the file's ending.

use std::io::Write;
use std::path::Path;

use crate::sniff::ending;
use crate::votable_write::Serialization;
use crate::{Error, Result, RowSet, Table, atomic_write};

/// Write `table` (of `rows` only those) to `path`, in the format its ending names: `.vot .xml
/// .votable`, `.fits .fit .fts`, `.parquet .pq`, `.arrow .feather .ipc`, `.csv`, `.tsv .tab`,
/// `.ecsv`, `.npy`; with `.gz` behind it, compressed. The file is whole or as it was before.
///
/// # Errors
/// [`Error::Format`] for an ending that is not known, a type the format does not have, or what
/// the disk said (full, not writable) with what to do.
pub fn write_table(table: &Table, rows: Option<&RowSet>, path: &Path) -> Result<()> {
    write_table_as(table, rows, path, Serialization::default())
}

/// Whether `path` has an ending of VOTable, the only format that takes a [`Serialization`].
#[must_use]
pub fn is_votable(path: &Path) -> bool {
    matches!(ending(path).as_str(), "vot" | "xml" | "votable")
}

/// [`write_table`] with the serialization of a VOTable; files of other endings have none and are written as ever.
///
/// # Errors
/// As [`write_table`].
pub fn write_table_as(table: &Table, rows: Option<&RowSet>, path: &Path, serialization: Serialization) -> Result<()> {
    let taken;
    let table = match rows {
        Some(rows) => {
            taken = table.take(rows)?;
            &taken
        }
        None => table,
    };
    known(path)?;
    let ending = ending(path);
    let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    atomic_write(path, |out| {
        if name.ends_with(".gz") {
            let mut gz = flate2::write::GzEncoder::new(out, flate2::Compression::new(4));
            write_as(table, &ending, path, serialization, &mut gz)?;
            gz.finish().map_err(|e| Error::io(path, e))?;
            return Ok(());
        }
        write_as(table, &ending, path, serialization, out)
    })
}

/// Whether the ending of a name is that of a format that can be written: to be asked before long work.
///
/// # Errors
/// [`Error::Format`] with the endings there are.
pub fn known(path: &Path) -> Result<()> {
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
    Ok(())
}

/// What a person should know of writing `table` to a file of this ending: what the format cannot hold as it is.
///
/// # Errors
/// [`Error::Polars`].
pub fn notes(table: &Table, path: &Path, serialization: Serialization) -> Result<Vec<String>> {
    let mut said = Vec::new();
    let format = ending(path);
    if table.truncated && matches!(format.as_str(), "csv" | "tsv" | "tab" | "npy") {
        said.push(format!(
            "a limit cut this table off, and .{format} has no place to say so: write it as VOTable, FITS, Parquet or ECSV"
        ));
    }
    if format == "npy" {
        let left: Vec<String> = (0..table.columns().len())
            .filter(|i| !table.is_numeric(*i))
            .map(|i| format!("'{}'", table.columns()[i].name))
            .collect();
        if !left.is_empty() {
            said.push(format!("numpy's matrix holds numbers alone: left out are {}", left.join(", ")));
        }
    }
    if is_votable(path) {
        for (name, datatype) in crate::votable_write::widened(table, serialization)? {
            said.push(format!(
                "column '{name}' holds every value of its type and cells without one: it is written as {datatype}, which has a value to \
                 spare for them"
            ));
        }
        if serialization != Serialization::Fits {
            return Ok(said);
        }
    }
    if !is_votable(path) && matches!(format.as_str(), "fits" | "fit" | "fts") {
        let own: Vec<&str> = table.columns().iter().map(|m| m.name.as_str()).collect();
        let written = crate::fits_text::names(&own);
        let other: Vec<String> =
            own.iter().zip(&written).filter(|(a, b)| **a != b.as_str()).map(|(a, b)| format!("'{a}' as '{b}'")).collect();
        if !other.is_empty() {
            said.push(format!(
                "FITS holds names of columns in ASCII, of at most 68 characters: {} (turned back when Asterism reads them)",
                other.join(", ")
            ));
        }
    }
    let mut names = Vec::new();
    if is_votable(path) || matches!(ending(path).as_str(), "fits" | "fit" | "fts") {
        for column in table.frame().columns() {
            if crate::fits_text::beyond_ascii(column)? {
                names.push(format!("'{}'", column.name()));
            }
        }
    }
    if names.is_empty() {
        return Ok(said);
    }
    let what = if names.len() == 1 { "column" } else { "columns" };
    said.push(format!(
        "FITS holds ASCII text alone: characters beyond it in {what} {} are written as \\uXXXX and turned back when Asterism reads them",
        names.join(", ")
    ));
    Ok(said)
}

/// Write a table that comes in pieces: `fill` gives each piece to the function that it gets. Parquet, CSV and TSV are written as
/// the pieces come, in the memory of one; for the other formats, which say the number of rows first, all are gathered.
///
/// # Errors
/// As [`write_table`], and what `fill` says.
pub fn write_stream(path: &Path, fill: &mut dyn FnMut(&mut dyn FnMut(Table) -> Result<()>) -> Result<()>) -> Result<()> {
    write_stream_as(path, Serialization::default(), fill)
}

/// [`write_stream`] with the serialization of a VOTable.
///
/// # Errors
/// As [`write_stream`].
pub fn write_stream_as(
    path: &Path,
    serialization: Serialization,
    fill: &mut dyn FnMut(&mut dyn FnMut(Table) -> Result<()>) -> Result<()>,
) -> Result<()> {
    let ending = ending(path);
    let packed = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz") || e.eq_ignore_ascii_case("bz2"));
    match ending.as_str() {
        "parquet" | "pq" if !packed => atomic_write(path, |out| {
            let mut pieces = crate::parquet::Pieces::new(out);
            fill(&mut |table| pieces.write(&table))?;
            pieces.finish()
        }),
        "csv" | "tsv" | "tab" if !packed => atomic_write(path, |out| {
            let separator = if ending == "csv" { b',' } else { b'\t' };
            let mut first = true;
            fill(&mut |table| {
                let with_header = std::mem::take(&mut first);
                crate::csv::write_csv_part(&table, separator, with_header, out)
            })
        }),
        _ => {
            let mut all = Vec::new();
            fill(&mut |table| {
                all.push(table);
                Ok(())
            })?;
            write_table_as(&Table::stacked(all)?, None, path, serialization)
        }
    }
}

fn write_as(table: &Table, ending: &str, path: &Path, serialization: Serialization, out: &mut dyn Write) -> Result<()> {
    match ending {
        "fits" | "fit" | "fts" => crate::fits_table::write_fits(table, out),
        "parquet" | "pq" => crate::parquet::write_parquet(table, out),
        "arrow" | "feather" | "ipc" => crate::parquet::write_arrow(table, out),
        "csv" => crate::csv::write_csv(table, b',', out),
        "tsv" | "tab" => crate::csv::write_csv(table, b'\t', out),
        "ecsv" => crate::ecsv::write_ecsv(table, out),
        "npy" => crate::npy::write_npy_table(path, table, out),
        _ => crate::votable_write::write_votable(table, serialization, out),
    }
}
