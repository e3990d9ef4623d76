//! Typed column builders: what the readers of every format put their cells into.
//!
//! One builder a column, chosen once; a cell is then a push of a native value into polars' own
//! growable arrays (about 2 ns), never an `AnyValue`. Array cells are polars lists, so integers
//! of 64 bits stay integers inside arrays too.

use polars::prelude::*;

/// Type of one element of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elem {
    Bool,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
    Text,
}

impl Elem {
    /// As `info --json` writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::I16 => "i16",
            Self::U16 => "u16",
            Self::I32 => "i32",
            Self::U32 => "u32",
            Self::I64 => "i64",
            Self::U64 => "u64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Text => "string",
        }
    }
    /// The element type of a polars column and whether it is an array column.
    pub(crate) fn of(dtype: &DataType) -> Option<(Self, bool)> {
        Some(match dtype {
            DataType::List(inner) => (Self::of(inner).filter(|(_, list)| !list)?.0, true),
            DataType::Boolean => (Self::Bool, false),
            DataType::Int8 => (Self::I8, false),
            DataType::UInt8 => (Self::U8, false),
            DataType::Int16 => (Self::I16, false),
            DataType::UInt16 => (Self::U16, false),
            DataType::Int32 => (Self::I32, false),
            DataType::UInt32 => (Self::U32, false),
            DataType::Int64 => (Self::I64, false),
            DataType::UInt64 => (Self::U64, false),
            DataType::Float32 => (Self::F32, false),
            DataType::Float64 => (Self::F64, false),
            DataType::String => (Self::Text, false),
            _ => return None,
        })
    }
}

/// A number that can stand in a cell.
pub(crate) trait Num: Copy + PartialEq + Send + Sync + std::fmt::Display + 'static {
    /// Its polars type.
    type P: PolarsNumericType<Native = Self>;
    /// Bytes in binary formats.
    const SIZE: usize;
    /// From big-endian bytes (exactly `SIZE`).
    fn be(bytes: &[u8]) -> Self;
    /// From little-endian bytes (exactly `SIZE`).
    fn le(bytes: &[u8]) -> Self;
    /// Append big-endian bytes.
    fn put_be(self, out: &mut Vec<u8>);
    /// Append little-endian bytes.
    fn put_le(self, out: &mut Vec<u8>);
    /// From text as astronomers write it: hexadecimal integers, `Inf`, Fortran's `D` exponent.
    fn parse(text: &str) -> Option<Self>;
    /// NaN, for floats.
    fn is_nan(self) -> bool;
}

macro_rules! ints {
    ($($t:ty => $p:ty),*) => {$(
        impl Num for $t {
            type P = $p;
            const SIZE: usize = size_of::<$t>();
            #[inline]
            fn be(bytes: &[u8]) -> Self {
                bytes.try_into().map_or(0, <$t>::from_be_bytes)
            }
            #[inline]
            fn le(bytes: &[u8]) -> Self {
                bytes.try_into().map_or(0, <$t>::from_le_bytes)
            }
            fn put_be(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn put_le(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            #[inline]
            fn parse(text: &str) -> Option<Self> {
                if let Ok(v) = text.parse() {
                    return Some(v);
                }
                let (negative, digits) = match text.strip_prefix('-') {
                    Some(rest) => (true, rest),
                    None => (false, text.strip_prefix('+').unwrap_or(text)),
                };
                if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
                    // Hexadecimal is the pattern of bits: 0xffff in a short is -1.
                    let v = u64::from_str_radix(hex, 16).ok()?;
                    if u32::try_from(Self::SIZE * 8).is_ok_and(|bits| bits < 64 && v >> bits != 0) {
                        return None;
                    }
                    return Some(if negative { (v as Self).wrapping_neg() } else { v as Self });
                }
                // "3.0" and "1e5" as some services write integers; only when exact.
                let v: f64 = text.parse().ok()?;
                (v.fract() == 0.0 && v.abs() < 9e15 && (v as Self) as f64 == v).then_some(v as Self)
            }
            #[inline]
            fn is_nan(self) -> bool {
                false
            }
        }
    )*};
}
ints!(i8 => Int8Type, u8 => UInt8Type, i16 => Int16Type, u16 => UInt16Type, i32 => Int32Type, u32 => UInt32Type, i64 => Int64Type, u64 => UInt64Type);

macro_rules! floats {
    ($($t:ty => $p:ty),*) => {$(
        impl Num for $t {
            type P = $p;
            const SIZE: usize = size_of::<$t>();
            #[inline]
            fn be(bytes: &[u8]) -> Self {
                bytes.try_into().map_or(0.0, <$t>::from_be_bytes)
            }
            #[inline]
            fn le(bytes: &[u8]) -> Self {
                bytes.try_into().map_or(0.0, <$t>::from_le_bytes)
            }
            fn put_be(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn put_le(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            #[inline]
            fn parse(text: &str) -> Option<Self> {
                if let Ok(v) = text.parse() {
                    return Some(v);
                }
                text.replace(['D', 'd'], "E").parse().ok()
            }
            #[inline]
            fn is_nan(self) -> bool {
                self.is_nan()
            }
        }
    )*};
}
floats!(f32 => Float32Type, f64 => Float64Type);

/// A growing column.
pub(crate) enum Builder {
    Bool(BooleanChunkedBuilder),
    Text(StringChunkedBuilder),
    I8(PrimitiveChunkedBuilder<Int8Type>),
    U8(PrimitiveChunkedBuilder<UInt8Type>),
    I16(PrimitiveChunkedBuilder<Int16Type>),
    U16(PrimitiveChunkedBuilder<UInt16Type>),
    I32(PrimitiveChunkedBuilder<Int32Type>),
    U32(PrimitiveChunkedBuilder<UInt32Type>),
    I64(PrimitiveChunkedBuilder<Int64Type>),
    U64(PrimitiveChunkedBuilder<UInt64Type>),
    F32(PrimitiveChunkedBuilder<Float32Type>),
    F64(PrimitiveChunkedBuilder<Float64Type>),
    BoolList(ListBooleanChunkedBuilder),
    TextList(ListStringChunkedBuilder),
    I8List(ListPrimitiveChunkedBuilder<Int8Type>),
    U8List(ListPrimitiveChunkedBuilder<UInt8Type>),
    I16List(ListPrimitiveChunkedBuilder<Int16Type>),
    U16List(ListPrimitiveChunkedBuilder<UInt16Type>),
    I32List(ListPrimitiveChunkedBuilder<Int32Type>),
    U32List(ListPrimitiveChunkedBuilder<UInt32Type>),
    I64List(ListPrimitiveChunkedBuilder<Int64Type>),
    U64List(ListPrimitiveChunkedBuilder<UInt64Type>),
    F32List(ListPrimitiveChunkedBuilder<Float32Type>),
    F64List(ListPrimitiveChunkedBuilder<Float64Type>),
}

/// Run `$body` with `$b` bound to whichever builder it is.
macro_rules! any_builder {
    ($self:expr, $b:ident => $body:expr) => {
        match $self {
            Builder::Bool($b) => $body,
            Builder::Text($b) => $body,
            Builder::I8($b) => $body,
            Builder::U8($b) => $body,
            Builder::I16($b) => $body,
            Builder::U16($b) => $body,
            Builder::I32($b) => $body,
            Builder::U32($b) => $body,
            Builder::I64($b) => $body,
            Builder::U64($b) => $body,
            Builder::F32($b) => $body,
            Builder::F64($b) => $body,
            Builder::BoolList($b) => $body,
            Builder::TextList($b) => $body,
            Builder::I8List($b) => $body,
            Builder::U8List($b) => $body,
            Builder::I16List($b) => $body,
            Builder::U16List($b) => $body,
            Builder::I32List($b) => $body,
            Builder::U32List($b) => $body,
            Builder::I64List($b) => $body,
            Builder::U64List($b) => $body,
            Builder::F32List($b) => $body,
            Builder::F64List($b) => $body,
        }
    };
}

impl Builder {
    /// An empty column.
    pub(crate) fn new(elem: Elem, list: bool, name: &str, rows: usize) -> Self {
        let n: PlSmallStr = name.into();
        if list {
            return match elem {
                Elem::Bool => Self::BoolList(ListBooleanChunkedBuilder::new(n, rows, rows)),
                Elem::Text => Self::TextList(ListStringChunkedBuilder::new(n, rows, rows)),
                Elem::I8 => Self::I8List(ListPrimitiveChunkedBuilder::new(n, rows, rows, DataType::Int8)),
                Elem::U8 => Self::U8List(ListPrimitiveChunkedBuilder::new(n, rows, rows, DataType::UInt8)),
                Elem::I16 => Self::I16List(ListPrimitiveChunkedBuilder::new(n, rows, rows, DataType::Int16)),
                Elem::U16 => Self::U16List(ListPrimitiveChunkedBuilder::new(n, rows, rows, DataType::UInt16)),
                Elem::I32 => Self::I32List(ListPrimitiveChunkedBuilder::new(n, rows, rows, DataType::Int32)),
                Elem::U32 => Self::U32List(ListPrimitiveChunkedBuilder::new(n, rows, rows, DataType::UInt32)),
                Elem::I64 => Self::I64List(ListPrimitiveChunkedBuilder::new(n, rows, rows, DataType::Int64)),
                Elem::U64 => Self::U64List(ListPrimitiveChunkedBuilder::new(n, rows, rows, DataType::UInt64)),
                Elem::F32 => Self::F32List(ListPrimitiveChunkedBuilder::new(n, rows, rows, DataType::Float32)),
                Elem::F64 => Self::F64List(ListPrimitiveChunkedBuilder::new(n, rows, rows, DataType::Float64)),
            };
        }
        match elem {
            Elem::Bool => Self::Bool(BooleanChunkedBuilder::new(n, rows)),
            Elem::Text => Self::Text(StringChunkedBuilder::new(n, rows)),
            Elem::I8 => Self::I8(PrimitiveChunkedBuilder::new(n, rows)),
            Elem::U8 => Self::U8(PrimitiveChunkedBuilder::new(n, rows)),
            Elem::I16 => Self::I16(PrimitiveChunkedBuilder::new(n, rows)),
            Elem::U16 => Self::U16(PrimitiveChunkedBuilder::new(n, rows)),
            Elem::I32 => Self::I32(PrimitiveChunkedBuilder::new(n, rows)),
            Elem::U32 => Self::U32(PrimitiveChunkedBuilder::new(n, rows)),
            Elem::I64 => Self::I64(PrimitiveChunkedBuilder::new(n, rows)),
            Elem::U64 => Self::U64(PrimitiveChunkedBuilder::new(n, rows)),
            Elem::F32 => Self::F32(PrimitiveChunkedBuilder::new(n, rows)),
            Elem::F64 => Self::F64(PrimitiveChunkedBuilder::new(n, rows)),
        }
    }
    /// A cell with no value.
    pub(crate) fn push_null(&mut self) {
        any_builder!(self, b => b.append_null());
    }
    /// The column.
    pub(crate) fn finish(mut self) -> Series {
        any_builder!(&mut self, b => b.finish_series())
    }
}

/// `finish` of both families of polars' builders under one name.
trait FinishSeries {
    fn finish_series(&mut self) -> Series;
}
impl<T: PolarsNumericType> FinishSeries for ListPrimitiveChunkedBuilder<T> {
    fn finish_series(&mut self) -> Series {
        self.finish().into_series()
    }
}
impl FinishSeries for ListBooleanChunkedBuilder {
    fn finish_series(&mut self) -> Series {
        self.finish().into_series()
    }
}
impl FinishSeries for ListStringChunkedBuilder {
    fn finish_series(&mut self) -> Series {
        self.finish().into_series()
    }
}
impl<T: PolarsNumericType> FinishSeries for PrimitiveChunkedBuilder<T> {
    fn finish_series(&mut self) -> Series {
        ChunkedBuilder::finish(std::mem::replace(self, Self::new(PlSmallStr::EMPTY, 0))).into_series()
    }
}
impl FinishSeries for BooleanChunkedBuilder {
    fn finish_series(&mut self) -> Series {
        ChunkedBuilder::finish(std::mem::replace(self, Self::new(PlSmallStr::EMPTY, 0))).into_series()
    }
}
impl FinishSeries for StringChunkedBuilder {
    fn finish_series(&mut self) -> Series {
        std::mem::replace(self, Self::new(PlSmallStr::EMPTY, 0)).finish().into_series()
    }
}

/// Append list values, nulls inside allowed.
pub(crate) fn push_list<T: Num>(b: &mut ListPrimitiveChunkedBuilder<T::P>, values: &[Option<T>]) {
    b.append_iter(values.iter().copied());
}

/// Names made unique: the second `x` becomes `x_2`; empty names become `column_3`.
pub(crate) fn unique_names(names: &mut [String]) {
    let mut seen = std::collections::HashSet::with_capacity(names.len());
    // A name that stands as it is keeps it: `x, x, x_2` gives `x, x_3, x_2`.
    let all: std::collections::HashSet<String> = names.iter().cloned().collect();
    for (i, name) in names.iter_mut().enumerate() {
        if name.is_empty() {
            *name = format!("column_{}", i + 1);
        }
        if !seen.insert(name.clone()) {
            let mut k = 2;
            let fresh = loop {
                let candidate = format!("{name}_{k}");
                if !seen.contains(&candidate) && !all.contains(&candidate) {
                    break candidate;
                }
                k += 1;
            };
            seen.insert(fresh.clone());
            *name = fresh;
        }
    }
}

/// Faults a reader put up with: each kind once, with a count and the first place.
#[derive(Default)]
pub(crate) struct Faults {
    list: Vec<(String, String, usize)>,
}

impl Faults {
    /// Note one; `first` is only called for the first of its `kind`.
    pub(crate) fn note(&mut self, kind: &str, first: impl FnOnce() -> String) {
        match self.list.iter_mut().find(|(k, ..)| k == kind) {
            Some((_, _, n)) => *n += 1,
            None => self.list.push((kind.to_owned(), first(), 1)),
        }
    }
    /// Those of a part read by itself.
    pub(crate) fn add(&mut self, other: Self) {
        for (kind, first, count) in other.list {
            match self.list.iter_mut().find(|(k, ..)| *k == kind) {
                Some((_, _, n)) => *n += count,
                None => self.list.push((kind, first, count)),
            }
        }
    }
    /// In words.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.list
            .iter()
            .map(|(kind, first, n)| match (*n, first.is_empty()) {
                (_, true) => kind.clone(),
                (1, false) => format!("{kind}: {first}"),
                (n, false) => format!("{kind} ({n} times, first: {first})"),
            })
            .collect()
    }
}
