//! numpy's `.npy`: matrices of numbers, for vectors in and coordinates out.
//!
//! Format: numpy/lib/format.py, versions 1.0 to 3.0.

use std::io::Write;
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

fn parse<'a>(what: &str, bytes: &'a [u8]) -> Result<Array<'a>> {
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
    if data.len() < rows.saturating_mul(cols).saturating_mul(size) {
        return Err(wrong(&format!("it breaks off: {} of {} bytes are there", data.len(), rows * cols * size)));
    }
    Ok(Array { kind, big, fortran, rows, cols, data })
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
    atomic_write(path, |out| {
        let io = |e: std::io::Error| Error::io(path, e);
        out.write_all(&header("<f4", &format!("({}, {})", shape[0], shape[1]))).map_err(io)?;
        let mut bytes = Vec::with_capacity(values.len() * 4);
        for v in values {
            v.put_le(&mut bytes);
        }
        out.write_all(&bytes).map_err(io)
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
