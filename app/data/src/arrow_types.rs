//! Columns of Arrow's types that tables here do not have, as the nearest that they have.
//!
//! | Arrow and Parquet | here |
//! |---|---|
//! | date, timestamp | text of ISO 8601 (`2021-03-04T05:06:07.5`, in UTC with `Z` where a time zone is named) |
//! | time of day | text `05:06:07.5` |
//! | duration | seconds, f64 |
//! | half floats | f32 |
//! | decimals | f64; whole ones i64, and text where a number is too long for it: they are ids |
//! | categories, enumerations, binary | text |
//! | struct | a column for each field, `name.field` |
//! | list of structs (nested light curves), map | an array column for each field, `name.field` |
//! | fixed list | array cells of that shape |
//! | list of lists and what else there is | text |

use std::sync::atomic::{AtomicUsize, Ordering};

use polars::prelude::*;

use crate::column::Elem;
use crate::table::ColumnMeta;
use crate::{Error, Result};

/// A frame of types that tables have, what is known of its columns, and what had to be put up with.
pub(crate) struct Plain {
    pub(crate) frame: DataFrame,
    pub(crate) metas: Vec<ColumnMeta>,
    pub(crate) warnings: Vec<String>,
}

/// See the head of this file.
///
/// # Errors
/// [`Error::Polars`](crate::Error::Polars) where columns are of different lengths.
pub(crate) fn plain(frame: &DataFrame) -> Result<Plain> {
    let mut to = To::default();
    for column in frame.columns() {
        to.put(column.name().to_string(), column.as_materialized_series().clone(), None)?;
    }
    let mut names: Vec<String> = to.out.iter().map(|(_, m)| m.name.clone()).collect();
    crate::column::unique_names(&mut names);
    let mut metas = Vec::with_capacity(names.len());
    let mut columns = Vec::with_capacity(names.len());
    for ((mut series, mut meta), name) in to.out.into_iter().zip(names) {
        series.rename(name.as_str().into());
        meta.name = name;
        columns.push(series.into_column());
        metas.push(meta);
    }
    Ok(Plain { frame: DataFrame::new(frame.height(), columns)?, metas, warnings: to.warnings })
}

/// What stands for one column of a type.
enum Turned {
    /// Values, their unit and their extended type.
    Values(Series, Option<&'static str>, Option<&'static str>),
    /// The fields of a struct.
    Fields(Vec<Series>),
    /// Nothing near.
    Nothing,
}

#[derive(Default)]
struct To {
    out: Vec<(Series, ColumnMeta)>,
    warnings: Vec<String>,
}

impl To {
    fn put(&mut self, name: String, series: Series, shape: Option<&[usize]>) -> Result<()> {
        let meta = |unit: Option<&str>, xtype: Option<&str>, series: &Series| {
            let elem = Elem::of(series.dtype()).filter(|(_, list)| *list).map(|(e, _)| e.name());
            let datatype = shape.zip(elem).map(|(s, e)| {
                let dims: Vec<String> = s.iter().map(ToString::to_string).collect();
                format!("{e}[{}]", dims.join(","))
            });
            ColumnMeta {
                name: name.clone(),
                unit: unit.map(str::to_owned),
                xtype: xtype.map(str::to_owned),
                datatype: datatype.unwrap_or_default(),
                ..ColumnMeta::default()
            }
        };
        if Elem::of(series.dtype()).is_some() {
            let meta = meta(None, None, &series);
            self.out.push((series, meta));
            return Ok(());
        }
        match series.dtype().clone() {
            DataType::Array(_, _) => {
                let mut shape = Vec::new();
                let series = flat(&series, &mut shape)?;
                return self.put(name, series, Some(&shape));
            }
            DataType::List(_) => {
                let lists = series.list()?.rechunk();
                let inner = lists.get_inner();
                match turned(&inner)? {
                    Turned::Values(values, unit, xtype) => {
                        let series = lists.apply_to_inner(&|_| Ok(values.clone()))?.into_series();
                        let meta = meta(unit, xtype, &series);
                        self.out.push((series, meta));
                        return Ok(());
                    }
                    Turned::Fields(fields) => {
                        for field in fields {
                            let of = format!("{name}.{}", field.name());
                            let series = lists.apply_to_inner(&|_| Ok(field.clone()))?.into_series();
                            self.put(of, series, shape)?;
                        }
                        return Ok(());
                    }
                    Turned::Nothing => {}
                }
            }
            _ => match turned(&series)? {
                Turned::Values(values, unit, xtype) => {
                    let meta = meta(unit, xtype, &values);
                    self.out.push((values, meta));
                    return Ok(());
                }
                Turned::Fields(fields) => {
                    for field in fields {
                        self.put(format!("{name}.{}", field.name()), field, None)?;
                    }
                    return Ok(());
                }
                Turned::Nothing => {}
            },
        }
        self.warnings.push(format!("column '{name}' of type {} is shown as text", series.dtype()));
        let texts: StringChunked = series.iter().map(|v| (!v.is_null()).then(|| v.to_string())).collect();
        self.out.push((texts.into_series(), meta(None, None, &Series::new_empty("".into(), &DataType::String))));
        Ok(())
    }
}

/// Fixed lists, also in fixed lists, as lists; their lengths, the outermost first, go to `shape`.
fn flat(series: &Series, shape: &mut Vec<usize>) -> Result<Series> {
    let mut values = series.clone();
    while let DataType::Array(_, width) = values.dtype() {
        shape.push(*width);
        values = values.array()?.rechunk().get_inner();
    }
    let wide: usize = shape.iter().product();
    let inner = values.dtype().clone();
    let list = DataType::List(Box::new(inner));
    if wide == 0 || series.is_empty() {
        return Ok(Series::full_null("".into(), series.len(), &list));
    }
    // Values of fixed lists lie one after another, those of missing cells too.
    let joined = values.reshape_array(&[ReshapeDimension::Infer, ReshapeDimension::new(wide as i64)])?.cast(&list)?;
    if series.null_count() == 0 {
        return Ok(joined);
    }
    Ok(joined.zip_with(&series.is_not_null(), &Series::full_null("".into(), series.len(), &list))?)
}

/// Scalars of a type that tables do not have.
fn turned(series: &Series) -> Result<Turned> {
    let values = |series: Series| Ok(Turned::Values(series, None, None));
    match series.dtype() {
        dtype if Elem::of(dtype).is_some_and(|(_, list)| !list) => values(series.clone()),
        DataType::Null => values(series.cast(&DataType::Float64)?),
        DataType::Float16 => values(series.cast(&DataType::Float32)?),
        DataType::Decimal(_, 0) => {
            let whole = series.cast(&DataType::Int64)?;
            let fits = whole.null_count() == series.null_count();
            values(if fits { whole } else { series.cast(&DataType::String)? })
        }
        DataType::Decimal(..) => values(series.cast(&DataType::Float64)?),
        DataType::Categorical(..) | DataType::Enum(..) => values(series.cast(&DataType::String)?),
        DataType::Binary => {
            let texts: StringChunked = series.binary()?.iter().map(|v| v.map(crate::votable::text_of)).collect();
            values(texts.into_series())
        }
        DataType::Date => Ok(Turned::Values(series.cast(&DataType::String)?, None, Some("timestamp"))),
        DataType::Datetime(unit, zone) => {
            let plain = series.cast(&DataType::Datetime(*unit, None))?.cast(&DataType::String)?;
            let end = if zone.is_some() { "Z" } else { "" };
            let texts: StringChunked =
                plain.str()?.iter().map(|t| t.map(|t| format!("{}{end}", short(&t.replacen(' ', "T", 1))))).collect();
            Ok(Turned::Values(texts.into_series(), None, Some("timestamp")))
        }
        DataType::Time => {
            let text = |ns: i64| {
                let (seconds, rest) = (ns / 1_000_000_000, ns % 1_000_000_000);
                short(&format!("{:02}:{:02}:{:02}.{rest:09}", seconds / 3600, seconds / 60 % 60, seconds % 60))
            };
            let counts = series.cast(&DataType::Int64)?;
            let texts: StringChunked = counts.i64()?.iter().map(|v| v.map(text)).collect();
            values(texts.into_series())
        }
        DataType::Duration(unit) => {
            let per = match unit {
                TimeUnit::Nanoseconds => 1e9,
                TimeUnit::Microseconds => 1e6,
                TimeUnit::Milliseconds => 1e3,
            };
            let counts = series.cast(&DataType::Int64)?;
            let seconds: Float64Chunked = counts.i64()?.iter().map(|v| v.map(|v| v as f64 / per)).collect();
            Ok(Turned::Values(seconds.into_series(), Some("s"), None))
        }
        DataType::Struct(_) => {
            // What is null as a whole is null in each of its fields.
            let whole = series.propagate_nulls().unwrap_or_else(|| series.clone());
            Ok(Turned::Fields(whole.struct_()?.fields_as_series()))
        }
        _ => Ok(Turned::Nothing),
    }
}

/// A time without the zeros at the end of its fraction.
fn short(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

/// Run what reads a file of polars' formats. Some damaged files make it panic, in threads of its own too: that becomes an error
/// like any other, and says nothing on the terminal.
///
/// # Errors
/// What `read` says; [`Error::Format`] where it panicked.
pub(crate) fn guarded<T>(what: &str, kind: &str, read: impl FnOnce() -> Result<T>) -> Result<T> {
    static READING: AtomicUsize = AtomicUsize::new(0);
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Of a library or of std; a place of our own is told from the workspace on.
            let theirs = info.location().is_some_and(|l| std::path::Path::new(l.file()).is_absolute());
            if !theirs || READING.load(Ordering::Relaxed) == 0 {
                before(info);
            }
        }));
    });
    READING.fetch_add(1, Ordering::Relaxed);
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    READING.fetch_sub(1, Ordering::Relaxed);
    let broken =
        |why: String| Error::format(what, format!("is {kind} file that cannot be read{why}; it may be damaged: fetch it again"));
    match read {
        Ok(Err(Error::Polars(e))) => Err(broken(format!(": {e}"))),
        Ok(read) => read,
        Err(_) => Err(broken(String::new())),
    }
}
