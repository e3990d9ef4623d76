//! The heads of a Parquet file's pages and the widths of its fixed lists, looked at before polars reads them.
//!
//! A page says how many values it holds and how long it is; polars makes room for that many. In a damaged file the number can be any,
//! and room that cannot be had ends the program, which no error can. So numbers that cannot be are an error here. Cost: a seek and a read
//! of some hundred bytes a page, twenty for each million values as most programs write them.
//!
//! Apache Parquet format 2.10, `PageHeader`.

use std::io::{BufReader, Read, Seek, SeekFrom};

use polars::io::parquet::metadata::FileMetadataRef;
use polars::prelude::{ArrowSchema, DataType};
use polars_parquet_format::PageHeader;
use polars_parquet_format::thrift::protocol::TCompactInputProtocol;

use crate::{Error, Result};

/// Bytes of a page's head at most: it may hold the least and greatest value.
const HEAD: usize = 16 << 20;
/// More rows or values than this are no table's.
const MOST: i64 = 1 << 40;

/// Fixed lists may be so wide though no row has one.
const WIDE: usize = 1 << 16;

/// Looks at the widths of fixed lists: room for one is made in every row, also where there is none.
///
/// # Errors
/// [`Error::Format`] with the column.
pub(crate) fn check_widths(what: &str, schema: &ArrowSchema, metadata: &FileMetadataRef) -> Result<()> {
    for (name, field) in schema.iter() {
        let wide = width(&DataType::from_arrow_dtype(field.dtype()));
        let chunks = metadata.row_groups.iter().flat_map(|g| g.parquet_columns());
        let of_column = chunks.filter(|c| c.descriptor().path_in_schema.first().is_some_and(|n| n == name));
        let most = of_column.map(|c| c.num_values()).max().unwrap_or(0);
        if wide > WIDE && i64::try_from(wide).map_or(true, |wide| wide > most) {
            let why = "is a Parquet file that cannot be read: there are fewer values than the fixed lists hold in column";
            return Err(Error::format(what, format!("{why} '{name}'; it may be damaged: fetch it again")));
        }
    }
    Ok(())
}

/// Numbers in a fixed list, also of such lists; the widest where there are several.
fn width(dtype: &DataType) -> usize {
    match dtype {
        DataType::Array(inner, n) => n.saturating_mul(width(inner)),
        DataType::List(inner) => width(inner),
        DataType::Struct(fields) => fields.iter().map(|f| width(f.dtype())).max().unwrap_or(1),
        _ => 1,
    }
}

struct Counted<R> {
    from: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.from.read(buf)?;
        self.read += n as u64;
        Ok(n)
    }
}

/// Looks at the pages of a group of rows, of the columns that `wanted` says by their roots.
///
/// # Errors
/// [`Error::Format`] with the column.
pub(crate) fn check(
    what: &str,
    file: &mut (impl Read + Seek),
    metadata: &FileMetadataRef,
    group: usize,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<()> {
    let Some(group) = metadata.row_groups.get(group) else { return Ok(()) };
    let broken = |column: &str, why: &str| {
        let why = format!("is a Parquet file that cannot be read: {why} in column '{column}'; it may be damaged: fetch it again");
        Error::format(what, why)
    };
    if group.num_rows() as u64 > MOST as u64 {
        return Err(broken("", "a group of rows has no number of rows that can be"));
    }
    for chunk in group.parquet_columns() {
        let path = &chunk.descriptor().path_in_schema;
        let name = path.first().map_or("", |n| n.as_str());
        if !wanted(name) {
            continue;
        }
        let total = chunk.num_values();
        if !(0..=MOST).contains(&total) {
            return Err(broken(name, "an impossible number of values"));
        }
        let range = chunk.byte_range();
        let (mut at, mut seen) = (range.start, 0i64);
        while seen < total && at < range.end {
            let io = |e: std::io::Error| broken(name, &format!("the file breaks off ({e})"));
            file.seek(SeekFrom::Start(at)).map_err(io)?;
            let mut head = Counted { from: BufReader::with_capacity(512, (&mut *file).take(range.end - at)), read: 0 };
            let page = PageHeader::read_from_in_protocol(&mut TCompactInputProtocol::new(&mut head, HEAD));
            let page = page.map_err(|_| broken(name, "the head of a page is none"))?;
            let length = page.compressed_page_size;
            at += head.read;
            if length < 0 || page.uncompressed_page_size < 0 || length as u64 > range.end.saturating_sub(at) {
                return Err(broken(name, "a page is longer than its column"));
            }
            at += length as u64;
            let of_dictionary = page.dictionary_page_header.as_ref().map_or(0, |p| p.num_values);
            let mut values = page.data_page_header.as_ref().map_or(0, |p| p.num_values);
            if let Some(p) = &page.data_page_header_v2 {
                values = p.num_values;
                let levels = [p.definition_levels_byte_length, p.repetition_levels_byte_length];
                let fit =
                    levels.iter().all(|l| *l >= 0) && levels.iter().map(|l| i64::from(*l)).sum::<i64>() <= i64::from(length);
                if !fit || p.num_nulls < 0 || p.num_nulls > values || p.num_rows < 0 || p.num_rows > values.max(0) {
                    return Err(broken(name, "impossible numbers of values"));
                }
            }
            if values < 0 || i64::from(values) > total - seen || of_dictionary < 0 || i64::from(of_dictionary) > MOST {
                return Err(broken(name, "an impossible number of values"));
            }
            seen += i64::from(values);
        }
        // A plain column has a value, or none, for each row.
        let is_plain = chunk.descriptor().descriptor.max_rep_level == 0;
        if seen < total || (is_plain && total as u64 != group.num_rows() as u64) {
            return Err(broken(name, "fewer values than the file says"));
        }
    }
    Ok(())
}
