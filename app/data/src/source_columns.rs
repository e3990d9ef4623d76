//! One view on the columns of a FITS table and of a [`Table`], for the readers of spectra and
//! light curves, which do not care where the columns came from.

use polars::prelude::DataType;

use crate::Table;
use crate::fits::{BinTable, Fits, Hdu};

/// What a column's cells hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cells {
    Number,
    Array,
    Text,
}

#[derive(Clone, Debug)]
pub(crate) struct Info {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) ucd: String,
    pub(crate) utype: String,
    pub(crate) cells: Cells,
}

pub(crate) trait Columns {
    /// Name of the table for a person.
    fn title(&self) -> String;
    fn rows(&self) -> usize;
    fn infos(&self) -> &[Info];
    /// Numbers of a cell (one for a plain column).
    fn cell(&self, row: usize, column: usize) -> Vec<f64>;
    /// A plain column.
    fn column(&self, column: usize) -> Vec<f64>;
    /// Any cell as text.
    fn text(&self, row: usize, column: usize) -> String;
    /// A keyword or parameter that holds for the table.
    fn key(&self, key: &str) -> Option<String>;

    /// The first column, of those names in that order, without regard to case.
    fn named(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|n| self.infos().iter().position(|c| c.name.eq_ignore_ascii_case(n)))
    }
    fn with_utype(&self, end: &str) -> Option<usize> {
        let end = end.to_ascii_lowercase();
        self.infos().iter().position(|c| c.utype.to_ascii_lowercase().ends_with(&end))
    }
    fn with_ucd(&self, start: &str) -> Option<usize> {
        self.infos().iter().position(|c| c.ucd.to_ascii_lowercase().starts_with(start))
    }
    fn number_key(&self, key: &str) -> Option<f64> {
        self.key(key)?.trim().parse().ok()
    }
}

/// Columns of a FITS binary table.
pub(crate) struct FitsColumns<'a> {
    pub(crate) fits: &'a Fits<'a>,
    pub(crate) hdu: &'a Hdu,
    pub(crate) table: BinTable<'a>,
    infos: Vec<Info>,
}

impl<'a> FitsColumns<'a> {
    pub(crate) fn new(fits: &'a Fits<'a>, hdu: &'a Hdu) -> crate::Result<Self> {
        let table = fits.bin_table(hdu)?;
        let infos = (0..table.columns.len())
            .map(|i| {
                let c = &table.columns[i];
                Info {
                    name: c.name.clone(),
                    unit: c.unit.clone(),
                    ucd: c.ucd.clone(),
                    utype: c.utype.clone(),
                    cells: if !table.is_number(i) {
                        Cells::Text
                    } else if c.repeat == 1 && !matches!(c.code, b'P' | b'Q') {
                        Cells::Number
                    } else {
                        Cells::Array
                    },
                }
            })
            .collect();
        Ok(Self { fits, hdu, table, infos })
    }
}

impl Columns for FitsColumns<'_> {
    fn title(&self) -> String {
        let target = ["TARGNAME", "OBJECT", "TARGETID", "TARGET"].iter().find_map(|k| self.fits.keyword_text(self.hdu, k));
        match (target, self.hdu.name()) {
            (None, _) => self.fits.title(self.hdu),
            (Some(t), "") => t.into(),
            (Some(t), _) => format!("{t} {}", self.fits.title(self.hdu)),
        }
    }
    fn rows(&self) -> usize {
        self.table.rows
    }
    fn infos(&self) -> &[Info] {
        &self.infos
    }
    fn cell(&self, row: usize, column: usize) -> Vec<f64> {
        self.table.cell(row, column)
    }
    fn column(&self, column: usize) -> Vec<f64> {
        self.table.floats(column)
    }
    fn text(&self, row: usize, column: usize) -> String {
        if self.infos[column].cells == Cells::Number {
            return self.table.cell(row, column).first().map_or(String::new(), f64::to_string);
        }
        self.table.text(row, column)
    }
    fn key(&self, key: &str) -> Option<String> {
        self.fits.keyword(self.hdu, key).map(ToString::to_string)
    }
}

/// Columns of a table of any origin.
pub(crate) struct TableColumns<'a> {
    pub(crate) table: &'a Table,
    infos: Vec<Info>,
}

impl<'a> TableColumns<'a> {
    pub(crate) fn new(table: &'a Table) -> Self {
        let own = |v: &Option<String>| v.clone().unwrap_or_default();
        let infos = table
            .columns()
            .iter()
            .zip(table.frame().columns())
            .map(|(c, data)| Info {
                name: c.name.clone(),
                unit: own(&c.unit),
                ucd: own(&c.ucd),
                utype: own(&c.utype),
                cells: match data.dtype() {
                    DataType::List(inner) if inner.is_primitive_numeric() => Cells::Array,
                    t if t.is_primitive_numeric() => Cells::Number,
                    _ => Cells::Text,
                },
            })
            .collect();
        Self { table, infos }
    }
}

impl Columns for TableColumns<'_> {
    fn title(&self) -> String {
        self.table.name.clone()
    }
    fn rows(&self) -> usize {
        self.table.rows()
    }
    fn infos(&self) -> &[Info] {
        &self.infos
    }
    fn cell(&self, row: usize, column: usize) -> Vec<f64> {
        let mut out = Vec::new();
        crate::spectrum::list_row(self.table, column, row, &mut out);
        if out.is_empty() && self.infos[column].cells == Cells::Number {
            out = self.table.array(column, row);
        }
        out
    }
    fn column(&self, column: usize) -> Vec<f64> {
        self.table.f64s(&self.infos[column].name).unwrap_or_default()
    }
    fn text(&self, row: usize, column: usize) -> String {
        self.table.cell(row, column).to_string()
    }
    fn key(&self, key: &str) -> Option<String> {
        self.table.params.iter().find(|p| p.name.eq_ignore_ascii_case(key)).map(|p| p.value.clone())
    }
}
