//! numpy's `.npy`: matrices of numbers, for vectors in and coordinates out.
//!
//! Format: numpy/lib/format.py, versions 1.0 to 3.0.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use polars::prelude::*;

use crate::column::Num;
use crate::table::{ColumnMeta, Table};
use crate::{Error, Result, atomic_write};

struct Array<'a> {
    /// `f4`, `i8`, ...
    kind: String,
    big: bool,
    fortran: bool,
    rows: usize,
    cols: usize,
    data: &'a [u8],
}

/// The file whole.
fn parse<'a>(what: &str, bytes: &'a [u8]) -> Result<Array<'a>> {
    let (a, size) = parse_head(what, bytes)?;
    if a.data.len() < a.rows.saturating_mul(a.cols).saturating_mul(size) {
        let why = format!("it breaks off: {} of {} bytes are there", a.data.len(), a.rows * a.cols * size);
        return Err(Error::format(what, format!("is a .npy file that cannot be read: {why}")));
    }
    Ok(a)
}

/// What the header says, with the bytes behind it that are there, and the bytes of a number.
fn parse_head<'a>(what: &str, bytes: &'a [u8]) -> Result<(Array<'a>, usize)> {
    let wrong = |why: &str| Error::format(what, format!("is a .npy file that cannot be read: {why}"));
    if !bytes.starts_with(b"\x93NUMPY") || bytes.len() < 12 {
        return Err(wrong("it does not begin as one"));
    }
    let (len, start) = if bytes[6] == 1 {
        (usize::from(u16::from_le_bytes([bytes[8], bytes[9]])), 10)
    } else {
        (<u32 as Num>::le(&bytes[8..12]) as usize, 12)
    };
    let header = bytes.get(start..start + len).ok_or_else(|| wrong("it is incomplete"))?;
    let header = String::from_utf8_lossy(header);
    let after = |key: &str| header.find(key).map(|i| header[i + key.len()..].trim_start_matches(['\'', '"', ':', ' ']));
    let descr = after("'descr'").or_else(|| after("\"descr\"")).ok_or_else(|| wrong("no type in its header"))?;
    if descr.starts_with('[') {
        return Err(wrong("it is a structured array; save the table as VOTable, FITS or Parquet"));
    }
    let descr: String = descr.chars().take_while(|c| c.is_ascii_alphanumeric() || "<>|=".contains(*c)).collect();
    let fortran = after("'fortran_order'").is_some_and(|s| s.starts_with("True"));
    let shape = after("'shape'")
        .and_then(|s| s.split_once(')'))
        .map(|(s, _)| s.trim_start_matches('('))
        .ok_or_else(|| wrong("no shape"))?;
    let shape: Vec<usize> = shape
        .split(',')
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(|s| s.parse().map_err(|_| wrong("its shape is no number")))
        .collect::<Result<_>>()?;
    let (rows, cols) = match shape.as_slice() {
        [] => (1, 1),
        [n] => (*n, 1),
        [n, rest @ ..] => (*n, rest.iter().product()),
    };
    if fortran && shape.len() > 2 {
        return Err(wrong("it has more than two axes in column order; save it with numpy.ascontiguousarray"));
    }
    let big = descr.starts_with('>');
    let kind = descr.trim_start_matches(['<', '>', '|', '=']).to_owned();
    let size: usize = kind.get(1..).and_then(|s| s.parse().ok()).ok_or_else(|| wrong("its type is not a number"))?;
    let data = &bytes[start + len..];
    Ok((Array { kind, big, fortran, rows, cols, data }, size))
}

impl Array<'_> {
    fn column<T: Num>(&self, col: usize) -> Vec<T> {
        (0..self.rows)
            .map(|row| {
                let i = if self.fortran { col * self.rows + row } else { row * self.cols + col };
                let b = &self.data[i * T::SIZE..(i + 1) * T::SIZE];
                if self.big { T::be(b) } else { T::le(b) }
            })
            .collect()
    }
}

macro_rules! by_kind {
    ($what:expr, $a:expr, $t:ident => $body:expr) => {
        match $a.kind.as_str() {
            "f4" => {
                type $t = f32;
                $body
            }
            "f8" => {
                type $t = f64;
                $body
            }
            "i1" => {
                type $t = i8;
                $body
            }
            "u1" | "b1" => {
                type $t = u8;
                $body
            }
            "i2" => {
                type $t = i16;
                $body
            }
            "u2" => {
                type $t = u16;
                $body
            }
            "i4" => {
                type $t = i32;
                $body
            }
            "u4" => {
                type $t = u32;
                $body
            }
            "i8" => {
                type $t = i64;
                $body
            }
            "u8" => {
                type $t = u64;
                $body
            }
            other => {
                return Err(Error::format($what, format!("its numbers are of type '{other}'; save it as float32 or float64")))
            }
        }
    };
}

/// A matrix as `f32`, row after row, and its `[rows, columns]`; more axes are flattened into columns.
///
/// # Errors
/// [`Error::Io`], [`Error::Format`].
#[allow(clippy::unnecessary_cast)] // the macro casts f32 to itself too
pub fn read_npy(path: &Path) -> Result<(Vec<f32>, [usize; 2])> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let what = path.display().to_string();
    let bytes = crate::sniff::unpack(&what, bytes)?;
    let a = parse(&what, &bytes)?;
    let mut out = vec![0f32; a.rows * a.cols];
    by_kind!(what, a, T => {
        if a.fortran {
            for col in 0..a.cols {
                for (row, v) in a.column::<T>(col).into_iter().enumerate() {
                    out[row * a.cols + col] = v as f32;
                }
            }
        } else {
            for (o, b) in out.iter_mut().zip(a.data.chunks_exact(<T as Num>::SIZE)) {
                *o = (if a.big { <T as Num>::be(b) } else { <T as Num>::le(b) }) as f32;
            }
        }
    });
    Ok((out, [a.rows, a.cols]))
}

/// A matrix on disk, read a part at a time: for more rows than memory holds.
pub struct NpyRows {
    what: String,
    from: From,
    /// Rows and columns.
    pub shape: [usize; 2],
}

enum From {
    /// Row after row in a plain file: where its numbers begin, their type and size.
    File { file: std::fs::File, start: u64, kind: String, big: bool, size: usize },
    /// Packed, or column after column: read whole.
    Whole(Vec<f32>),
}

impl NpyRows {
    /// Open a file.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Format`].
    pub fn open(path: &Path) -> Result<Self> {
        let what = path.display().to_string();
        let io = |e: std::io::Error| Error::io(path, e);
        let mut file = std::fs::File::open(path).map_err(io)?;
        let mut head = Vec::new();
        std::io::Read::by_ref(&mut file).take(1 << 16).read_to_end(&mut head).map_err(io)?;
        if !head.starts_with(b"\x93NUMPY") {
            let (values, shape) = read_npy(path)?;
            return Ok(Self { what, from: From::Whole(values), shape });
        }
        let (a, size) = parse_head(&what, &head)?;
        if a.fortran {
            let (values, shape) = read_npy(path)?;
            return Ok(Self { what, from: From::Whole(values), shape });
        }
        let (start, shape) = ((head.len() - a.data.len()) as u64, [a.rows, a.cols]);
        let there = file.metadata().map_err(io)?.len().saturating_sub(start);
        let wanted = (a.rows as u64).saturating_mul(a.cols as u64).saturating_mul(size as u64);
        if there < wanted {
            let why = format!("it breaks off: {there} of {wanted} bytes are there");
            return Err(Error::format(&what, format!("is a .npy file that cannot be read: {why}")));
        }
        let (kind, big) = (a.kind, a.big);
        Ok(Self { what, from: From::File { file, start, kind, big, size }, shape })
    }
    /// Rows `from` up to `to` as `f32`, row after row.
    ///
    /// # Errors
    /// What the disk said, or [`Error::Format`] when its numbers are of a type that is not read.
    #[allow(clippy::unnecessary_cast)] // the macro casts f32 to itself too
    pub fn rows(&mut self, from: usize, to: usize) -> Result<Vec<f32>> {
        let [rows, cols] = self.shape;
        let to = to.min(rows);
        let from = from.min(to);
        let (file, start, kind, big, size) = match &mut self.from {
            From::Whole(values) => return Ok(values[from * cols..to * cols].to_vec()),
            From::File { file, start, kind, big, size } => (file, *start, kind.clone(), *big, *size),
        };
        let io = |e: std::io::Error| Error::io(Path::new(&self.what), e);
        let mut bytes = vec![0; (to - from) * cols * size];
        file.seek(SeekFrom::Start(start + (from * cols * size) as u64)).map_err(io)?;
        file.read_exact(&mut bytes).map_err(io)?;
        let a = Array { kind, big, fortran: false, rows: to - from, cols, data: &bytes };
        let mut out = Vec::with_capacity(a.rows * cols);
        by_kind!(&self.what, a, T => {
            out.extend(
                a.data.chunks_exact(<T as Num>::SIZE).map(|b| (if a.big { <T as Num>::be(b) } else { <T as Num>::le(b) }) as f32),
            );
        });
        Ok(out)
    }
}

/// A matrix as a table of columns `c0`, `c1`, ...
pub(crate) fn read_npy_table(what: &str, bytes: &[u8]) -> Result<Table> {
    let a = parse(what, bytes)?;
    let mut columns = Vec::with_capacity(a.cols);
    by_kind!(what, a, T => {
        for col in 0..a.cols {
            let values = ChunkedArray::<<T as Num>::P>::from_vec(format!("c{col}").into(), a.column::<T>(col));
            columns.push(values.into_series().into_column());
        }
    });
    let metas = columns.iter().map(|c| ColumnMeta { name: c.name().to_string(), ..ColumnMeta::default() }).collect();
    Table::new("", DataFrame::new(a.rows, columns)?, metas)
}

fn header(descr: &str, shape: &str) -> Vec<u8> {
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let total = (10 + text.len() + 1).div_ceil(64) * 64;
    while 10 + text.len() + 1 < total {
        text.push(' ');
    }
    text.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out
}

/// Write a matrix of `[rows, columns]`, row after row, as `f32`.
///
/// # Errors
/// [`Error::Format`] when the shape does not fit, or what the disk said.
pub fn write_npy(path: &Path, values: &[f32], shape: [usize; 2]) -> Result<()> {
    if values.len() != shape[0] * shape[1] {
        return Err(Error::format(
            path.display().to_string(),
            format!("{} numbers do not make {} x {}", values.len(), shape[0], shape[1]),
        ));
    }
    write_npy_parts(path, shape, |part| part(values))
}

/// Write a matrix of `[rows, columns]` as `f32` from parts: `fill` hands over one after the other, row after row.
///
/// # Errors
/// What `fill` returns, [`Error::Format`] when its parts do not make the shape, or what the disk said.
pub fn write_npy_parts(
    path: &Path,
    shape: [usize; 2],
    fill: impl FnOnce(&mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()>,
) -> Result<()> {
    atomic_write(path, |out| {
        let io = |e: std::io::Error| Error::io(path, e);
        out.write_all(&header("<f4", &format!("({}, {})", shape[0], shape[1]))).map_err(io)?;
        let mut written = 0;
        let mut bytes = Vec::new();
        fill(&mut |values| {
            written += values.len();
            bytes.clear();
            values.iter().for_each(|v| v.put_le(&mut bytes));
            out.write_all(&bytes).map_err(io)
        })?;
        if written != shape[0] * shape[1] {
            let what = format!("{written} numbers do not make {} x {}", shape[0], shape[1]);
            return Err(Error::format(path.display().to_string(), what));
        }
        Ok(())
    })
}

/// The numeric columns of a table as a matrix of doubles (floats when all are `f32`).
pub(crate) fn write_npy_table(path: &Path, table: &Table, out: &mut dyn Write) -> Result<()> {
    let names: Vec<&str> =
        (0..table.columns().len()).filter(|i| table.is_numeric(*i)).map(|i| table.columns()[i].name.as_str()).collect();
    if names.is_empty() {
        return Err(Error::format(path.display().to_string(), "the table has no numeric columns to write as .npy"));
    }
    let single = names.iter().all(|n| table.column(n).is_ok_and(|c| c.dtype() == &DataType::Float32));
    let columns: Vec<Vec<f64>> = names.iter().map(|n| table.f64s(n)).collect::<Result<_>>()?;
    let io = |e: std::io::Error| Error::io(path, e);
    out.write_all(&header(if single { "<f4" } else { "<f8" }, &format!("({}, {})", table.rows(), columns.len()))).map_err(io)?;
    let mut bytes = Vec::new();
    for row in 0..table.rows() {
        for c in &columns {
            if single { (c[row] as f32).put_le(&mut bytes) } else { c[row].put_le(&mut bytes) }
        }
        if bytes.len() > 1 << 20 {
            out.write_all(&bytes).map_err(io)?;
            bytes.clear();
        }
    }
    out.write_all(&bytes).map_err(io)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parts_of_a_matrix_are_the_matrix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.npy");
        let values: Vec<f32> = (0..35).map(|i| i as f32 / 3.0).collect();
        write_npy_parts(&path, [7, 5], |part| values.chunks(10).try_for_each(part)).unwrap();
        assert_eq!(read_npy(&path).unwrap(), (values.clone(), [7, 5]));
        let mut rows = NpyRows::open(&path).unwrap();
        assert_eq!(rows.shape, [7, 5]);
        let parts: Vec<f32> = [(0, 3), (3, 6), (6, 99)].into_iter().flat_map(|(a, b)| rows.rows(a, b).unwrap()).collect();
        assert_eq!(parts, values);
        assert!(rows.rows(9, 12).unwrap().is_empty());
        // Too few numbers leave nothing behind; a file that breaks off is told.
        let short = folder.path().join("s.npy");
        assert!(write_npy_parts(&short, [7, 5], |part| part(&values[..10])).is_err() && !short.exists());
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&short, &bytes[..bytes.len() - 4]).unwrap();
        assert!(NpyRows::open(&short).is_err_and(|e| e.to_string().contains("breaks off")));
    }
}
