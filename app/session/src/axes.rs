//! What the axes of a map stand for, and the rows that a map gives back: of PCA and the autoencoder, which have a way from a place on
//! the map to a row.
//!
//! The effect of an axis is what one standard deviation of the rows along it does to every dimension of the vectors, in the units of
//! the scaled columns: of PCA the loadings (components times the root of their variance; for spectra the eigen-spectra), of an
//! autoencoder half the difference of the two rows that it decodes one standard deviation to either side of the middle.
//!
//! Cost: two rows decoded an axis; decoding is rows × dimensions × axes for PCA.

use std::collections::BTreeMap;

use asterism_data::{ColumnMeta, Table};
use asterism_reduce::Model;
use ndarray::{Array2, ArrayView2, Axis};

use crate::document::Map;
use crate::error::{Error, Result};
use crate::features::{Prepared, in_units};

/// What each axis of a map does.
#[derive(Clone, Debug, PartialEq)]
pub struct Axes {
    /// Middle of the rows along each axis, map units.
    pub middle: Vec<f32>,
    /// Standard deviation of the rows along each axis, map units.
    pub spread: Vec<f32>,
    /// Change of each dimension of the vectors by one standard deviation, for each axis.
    pub effects: Vec<Vec<f64>>,
    /// Share of the variance, 0 to 1, where the method says it.
    pub explained: Vec<Option<f64>>,
}

impl Axes {
    /// Of coordinates (rows × axes; rows without a place are NaN) and the model that made them, for the first `most` axes; `None` of
    /// methods without a way back.
    pub fn of(model: &Model, coords: ArrayView2<f32>, figures: &BTreeMap<String, f64>, most: usize) -> Option<Self> {
        let dims = coords.ncols();
        let (mut middle, mut spread) = (vec![0.0f32; dims], vec![0.0f32; dims]);
        for (d, column) in coords.axis_iter(Axis(1)).enumerate() {
            let values = || column.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v));
            let n = values().count().max(1) as f64;
            let mean = values().sum::<f64>() / n;
            middle[d] = mean as f32;
            spread[d] = (values().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt() as f32;
        }
        let mut effects = Vec::new();
        for d in 0..dims.min(most) {
            let at = |sign: f32| {
                let mut place = middle.clone();
                place[d] += sign * spread[d];
                model.decode_one(&place)
            };
            let (up, down) = (at(1.0)?, at(-1.0)?);
            effects.push(up.iter().zip(&down).map(|(u, v)| f64::from(u - v) / 2.0).collect());
        }
        let explained = (1..=dims).map(|d| figures.get(&format!("explained_{d}")).copied()).collect();
        Some(Self { middle, spread, effects, explained })
    }

    /// Of a map of the session.
    pub fn of_map(map: &Map, most: usize) -> Option<Self> {
        let dims = map.coords.dims;
        let coords = ArrayView2::from_shape((map.coords.values.len() / dims.max(1), dims), &map.coords.values).ok()?;
        Self::of(map.model.as_ref()?, coords, &map.figures, most)
    }
}

/// How the dimensions of the vectors are called in tables.
#[derive(Clone, Debug, Default)]
pub struct Dimensions {
    /// What was learnt of the columns, which brings vectors to their units; none of a bare matrix.
    pub prepared: Option<Prepared>,
    /// A column for each dimension; else one column of array cells.
    pub apart: bool,
    /// What array cells stand against, and its unit: wavelengths, phases.
    pub axis: Option<(Vec<f64>, String)>,
}

impl Dimensions {
    fn names(&self, count: usize) -> Vec<String> {
        match &self.prepared {
            Some(p) if p.names.len() == count => p.names.clone(),
            _ => (1..=count).map(|d| format!("column_{d}")).collect(),
        }
    }

    /// Adds values (rows × dimensions) to a table, as columns or as one column of arrays.
    fn put(&self, table: &mut Table, values: &[Vec<f64>], array: &str, about: &str) -> Result<()> {
        let meta = || ColumnMeta { description: Some(about.into()), ..ColumnMeta::default() };
        if self.apart {
            let names = self.names(values.first().map_or(0, Vec::len));
            for (d, name) in names.iter().enumerate() {
                table.with_f64_column(name, values.iter().map(|v| v[d]).collect(), meta())?;
            }
            return Ok(());
        }
        if let Some((axis, unit)) = &self.axis {
            let meta = ColumnMeta { unit: Some(unit.clone()).filter(|u| !u.contains(' ')), ..ColumnMeta::default() };
            table.with_list_column("along", values.iter().map(|_| axis.clone()).collect(), meta)?;
        }
        table.with_list_column(array, values.to_vec(), meta())?;
        Ok(())
    }

    /// One row an axis: its number, the share of the variance it explains, of it and those before it, and its effect.
    ///
    /// # Errors
    /// When the table cannot be put together.
    pub fn table_of(&self, axes: &Axes) -> Result<Table> {
        let mut table = Table::default();
        let count = axes.effects.len();
        let meta = |text: &str| ColumnMeta { description: Some(text.into()), ..ColumnMeta::default() };
        table.with_i64_column("axis", (1..=count as i64).collect(), meta("number of the axis"))?;
        table.with_f64_column(
            "spread",
            axes.spread[..count].iter().map(|s| f64::from(*s)).collect(),
            meta("standard deviation of the rows along the axis, map units"),
        )?;
        if axes.explained.iter().any(Option::is_some) {
            let own: Vec<f64> = axes.explained[..count].iter().map(|e| e.unwrap_or(f64::NAN)).collect();
            let sums = own.iter().scan(0.0, |sum, e| {
                *sum += e;
                Some(*sum)
            });
            let sums = sums.collect();
            table.with_f64_column("explained", own, meta("share of the variance that the axis explains"))?;
            table.with_f64_column("together", sums, meta("share of the variance that it and those before it explain"))?;
        }
        self.put(
            &mut table,
            &axes.effects,
            "effect",
            "what one standard deviation along the axis adds, in units of the scaled column",
        )?;
        Ok(table)
    }

    /// The rows that places (rows × axes) on the map give back, in the units of the columns.
    ///
    /// # Errors
    /// When the method has no way back.
    pub fn decoded(&self, model: &Model, places: ArrayView2<f32>, table: &mut Table) -> Result<()> {
        let back = decode(model, places)?;
        let real: Vec<Vec<f64>> = back
            .rows()
            .into_iter()
            .map(|row| match &self.prepared {
                Some(p) => in_units(p, &row.to_vec()),
                None => row.iter().map(|v| f64::from(*v)).collect(),
            })
            .collect();
        self.put(table, &real, "decoded", "what the map gives back for this place")
    }
}

/// Rows from places; those without a place are NaN.
///
/// # Errors
/// When the method has no way back.
pub fn decode(model: &Model, places: ArrayView2<f32>) -> Result<Array2<f32>> {
    let whole: Vec<usize> = (0..places.nrows()).filter(|i| places.row(*i).iter().all(|v| v.is_finite())).collect();
    let mut out = Array2::from_elem((places.nrows(), model.columns()), f32::NAN);
    let back = model.decode(places.select(Axis(0), &whole).view());
    let back = back.ok_or_else(|| {
        Error::said(format!("{} has no way back from the map to a row: pca and autoencoder have one", model.method()))
    })?;
    whole.iter().zip(back.rows()).for_each(|(i, row)| out.row_mut(*i).assign(&row));
    Ok(out)
}
