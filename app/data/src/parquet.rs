//! Parquet and Arrow IPC through polars, with astronomy's metadata.
//!
//! Neither format has a place for units, UCDs and descriptions. The VOParquet convention (IVOA
//! note, 2025) puts a VOTable without data into the file's key-value metadata under
//! `IVOA.VOTable-Parquet.content`; Arrow files get the same under the same key in the schema.
//! Foreign files without it are read as they are.
//!
//! Cost: 1 M rows of 10 columns 0.1 s to read, 0.5 s to write (zstd where built in, else plain).

use std::io::{Cursor, Write};
use std::sync::Arc;

use polars::prelude::*;

use crate::arrow_types::guarded;
use crate::table::Table;
use crate::{Error, Result};

/// Key of the VOTable inside a Parquet or Arrow file.
pub const CONTENT_KEY: &str = "IVOA.VOTable-Parquet.content";
/// Key of the convention's version.
pub const VERSION_KEY: &str = "IVOA.VOTable-Parquet.version";

/// A Parquet file.
///
/// # Errors
/// [`Error::Format`].
pub(crate) fn read_parquet(what: &str, bytes: Vec<u8>) -> Result<Table> {
    guarded(what, "a Parquet", || {
        let fail = |e: PolarsError| {
            Error::format(what, format!("is a Parquet file that cannot be read: {e}; it may be incomplete: fetch it again"))
        };
        let mut content = None;
        let mut head = ParquetReader::new(Cursor::new(&bytes));
        let metadata = head.get_metadata().map_err(fail)?.clone();
        crate::parquet_pages::check_widths(what, &*head.schema().map_err(fail)?, &metadata)?;
        for group in 0..metadata.row_groups.len() {
            crate::parquet_pages::check(what, &mut Cursor::new(&bytes), &metadata, group, &|_| true)?;
        }
        let mut reader = ParquetReader::new(Cursor::new(bytes));
        reader.set_metadata(metadata.clone());
        if let Some(pairs) = metadata.key_value_metadata() {
            content = pairs.iter().find(|kv| kv.key == CONTENT_KEY).and_then(|kv| kv.value.clone());
        }
        let frame = reader.set_rechunk(true).finish().map_err(fail)?;
        described(what, frame, content.as_deref())
    })
}

/// A Parquet file on the disk, of which only `columns` are read (all when empty), or with `footer`
/// its columns and no rows.
///
/// # Errors
/// [`Error::Io`], [`Error::NoColumn`], [`Error::Format`].
pub(crate) fn read_parquet_file(path: &std::path::Path, columns: &[String], footer: bool) -> Result<Table> {
    let file = crate::parquet_parts::ParquetFile::open(path)?;
    file.read(columns, 0, if footer { 0 } else { usize::MAX })
}

/// An Arrow IPC (Feather 2) file.
///
/// # Errors
/// [`Error::Format`].
pub(crate) fn read_arrow(what: &str, bytes: Vec<u8>) -> Result<Table> {
    guarded(what, "an Arrow", || {
        let fail = |e: PolarsError| {
            Error::format(what, format!("is an Arrow file that cannot be read: {e}; it may be incomplete: fetch it again"))
        };
        crate::arrow_blocks::check(what, &bytes)?;
        let mut reader = IpcReader::new(Cursor::new(bytes));
        let content = reader
            .custom_metadata()
            .map_err(fail)?
            .and_then(|m| m.iter().find(|(k, _)| k.as_str() == CONTENT_KEY).map(|(_, v)| v.to_string()));
        let frame = reader.set_rechunk(true).finish().map_err(fail)?;
        described(what, frame, content.as_deref())
    })
}

/// A table of a frame and the data-less VOTable that describes it.
pub(crate) fn described(what: &str, frame: DataFrame, content: Option<&str>) -> Result<Table> {
    let plain = crate::arrow_types::plain(&frame)?;
    let mut table = Table::new("", plain.frame, plain.metas)?;
    table.warnings = plain.warnings;
    if let Some(content) = content {
        match crate::votable::read_votable(content.as_bytes(), what, None) {
            Ok(mut described) if !described.is_empty() => {
                let head = described.swap_remove(0);
                crate::votable::overlay(&mut table, head.columns().iter());
                table.name = head.name;
                table.description = head.description;
                table.params = head.params;
                table.truncated = head.truncated;
            }
            Ok(_) => {}
            Err(e) => table.warnings.push(format!("the VOTable that describes the columns could not be read: {e}")),
        }
    }
    Ok(table)
}

/// Write Parquet.
///
/// # Errors
/// [`Error::Polars`] or what the disk said.
pub(crate) fn write_parquet(table: &Table, out: &mut dyn Write) -> Result<()> {
    let content = crate::votable_write::data_less(table)?;
    let meta = KeyValueMetadata::from_static(vec![(VERSION_KEY.into(), "1.0".into()), (CONTENT_KEY.into(), content)]);
    let mut frame = table.frame().clone();
    ParquetWriter::new(out)
        .with_key_value_metadata(Some(meta))
        .with_compression(ParquetCompression::Snappy)
        .finish(&mut frame)?;
    Ok(())
}

/// Parquet written piece by piece, each a group of rows or more.
pub(crate) struct Pieces<'a> {
    out: Option<&'a mut dyn Write>,
    writer: Option<polars::io::parquet::write::BatchedWriter<&'a mut dyn Write>>,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(out: &'a mut dyn Write) -> Self {
        Self { out: Some(out), writer: None }
    }
    pub(crate) fn write(&mut self, table: &Table) -> Result<()> {
        if let Some(out) = self.out.take() {
            let content = crate::votable_write::data_less(table)?;
            let meta = KeyValueMetadata::from_static(vec![(VERSION_KEY.into(), "1.0".into()), (CONTENT_KEY.into(), content)]);
            let writer = ParquetWriter::new(out)
                .with_key_value_metadata(Some(meta))
                .with_compression(ParquetCompression::Snappy)
                .batched(table.frame().schema())?;
            self.writer = Some(writer);
        }
        if let Some(writer) = &mut self.writer {
            let mut frame = table.frame().clone();
            frame.align_chunks_par();
            writer.write_batch(&frame)?;
        }
        Ok(())
    }
    pub(crate) fn finish(mut self) -> Result<()> {
        if let Some(writer) = &mut self.writer {
            writer.finish()?;
        }
        Ok(())
    }
}

/// Write Arrow IPC.
///
/// # Errors
/// [`Error::Polars`] or what the disk said.
pub(crate) fn write_arrow(table: &Table, out: &mut dyn Write) -> Result<()> {
    let content = crate::votable_write::data_less(table)?;
    let mut frame = table.frame().clone();
    let mut writer = IpcWriter::new(out).with_compat_level(CompatLevel::oldest());
    writer.set_custom_schema_metadata(Arc::new(
        [(VERSION_KEY.into(), "1.0".into()), (CONTENT_KEY.into(), content.into())].into_iter().collect(),
    ));
    writer.finish(&mut frame)?;
    Ok(())
}
