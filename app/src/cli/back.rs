//! `reduce --axes`, `--decoded`, `--walk` and `--nearest`: what the axes of a map stand for, rows from places, rows alike.

use std::collections::BTreeMap;
use std::path::PathBuf;

use asterism_session::axes::{Axes, Dimensions, decode};
use asterism_session::data::{self, ColumnMeta, Table};
use asterism_session::reduce::{self, Model};
use clap::Args;
use ndarray::{Array2, ArrayView2};
use serde_json::{Value, json};

use super::Ended;

/// Words of `reduce` about the way back.
#[derive(Args)]
pub struct Back {
    /// PCA, autoencoder: write what the axes stand for (loadings, eigen-spectra, shares of the variance), a row for each.
    #[arg(long, value_name = "TABLE")]
    axes: Option<PathBuf>,
    /// PCA, autoencoder: write each row as the map gives it back, in the columns' units, and how far it is from what it was.
    #[arg(long, value_name = "TABLE")]
    decoded: Option<PathBuf>,
    /// PCA, autoencoder: write the rows on the straight way over the map from one row to another (`--between`).
    #[arg(long, value_name = "TABLE", requires = "between")]
    walk: Option<PathBuf>,
    /// The two rows that `--walk` goes between, counted from 0.
    #[arg(long, value_delimiter = ',', value_name = "ROW,ROW", requires = "walk")]
    between: Vec<usize>,
    /// Places on the way of `--walk`, both ends among them.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u64).range(2..=100_000))]
    steps: u64,
    /// Say which rows are most alike to these (counted from 0), by the vectors that the map is made of.
    #[arg(long, value_delimiter = ',', value_name = "ROW,…")]
    nearest: Vec<usize>,
    /// How many rows `--nearest` says.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
}

/// A map that is asked about.
pub struct Made<'a> {
    /// What made it.
    pub model: &'a Model,
    /// Rows × axes; rows without a place are NaN.
    pub coords: ArrayView2<'a, f32>,
    /// Figures of the method.
    pub figures: &'a BTreeMap<String, f64>,
    /// How the dimensions of the vectors are called.
    pub dimensions: Dimensions,
    /// The vectors, and the row that each is of.
    pub vectors: &'a dyn Fn() -> Result<(Array2<f32>, Vec<usize>), Ended>,
}

impl Back {
    /// Whether anything is asked.
    pub fn any(&self) -> bool {
        self.axes.is_some() || self.decoded.is_some() || self.walk.is_some() || !self.nearest.is_empty()
    }

    /// What can be known to be wrong before the work.
    ///
    /// # Errors
    /// Words of the call that cannot be, files that cannot be written.
    pub fn check(&self, method: reduce::Method) -> Result<(), Ended> {
        let files = [("--axes", &self.axes), ("--decoded", &self.decoded), ("--walk", &self.walk)];
        for (name, path) in files {
            let Some(path) = path else { continue };
            if !matches!(method, reduce::Method::Pca | reduce::Method::Autoencoder) {
                return Err(Ended::Usage(format!(
                    "{name}: {method} has no way back from the map to a row; pca and autoencoder have"
                )));
            }
            super::writable_table(path)?;
        }
        if self.walk.is_some() && self.between.len() != 2 {
            return Err(Ended::Usage("--between takes two rows, as in --between 12,840".into()));
        }
        Ok(())
    }

    /// Writes the files and tells the rest: an object for `--json`, and lines for a person.
    ///
    /// # Errors
    /// Rows that are not there or have no place; what the disk says.
    pub fn tell(&self, made: &Made) -> Result<(Value, String), Ended> {
        let (mut json, mut text) = (json!({}), String::new());
        if !self.any() {
            return Ok((json, text));
        }
        let total = made.coords.nrows();
        let there = |row: usize| match row < total {
            true => Ok(row),
            false => Err(Ended::Failed(format!("there is no row {row}: the rows are 0 to {}", total.saturating_sub(1)))),
        };
        if let Some(path) = &self.axes {
            let axes = Axes::of(made.model, made.coords, made.figures, usize::MAX);
            let axes = axes.ok_or_else(|| Ended::Failed("this map has no way back from a place to a row".into()))?;
            data::write_table(&made.dimensions.table_of(&axes)?, None, path)?;
            json["axes"] = json!({"path": path.display().to_string(), "count": axes.effects.len(), "explained": axes.explained});
            text += &format!("\n{} axes to {}", axes.effects.len(), path.display());
        }
        if let Some(path) = &self.decoded {
            let mut table = Table::default();
            table.with_i64_column("row", (0..total as i64).collect(), ColumnMeta::default())?;
            made.dimensions.decoded(made.model, made.coords, &mut table)?;
            let (x, rows) = (made.vectors)()?;
            let back = decode(made.model, made.coords)?;
            let mut error = vec![f32::NAN; total];
            for (own, row) in x.rows().into_iter().zip(&rows) {
                let square = own.iter().zip(back.row(*row)).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>();
                error[*row] = (square / own.len() as f64).sqrt() as f32;
            }
            let meta = "root mean square of what the map loses of the row, in units of the scaled columns";
            table.with_f32_column("error", error, ColumnMeta { description: Some(meta.into()), ..ColumnMeta::default() })?;
            data::write_table(&table, None, path)?;
            json["decoded"] = json!({"path": path.display().to_string(), "rows": total});
            text += &format!("\n{total} rows as the map gives them back to {}", path.display());
        }
        if let Some(path) = &self.walk {
            let (a, b) = (there(self.between[0])?, there(self.between[1])?);
            let (from, to) = (made.coords.row(a), made.coords.row(b));
            if let Some(row) = [a, b].into_iter().find(|r| made.coords.row(*r).iter().any(|v| !v.is_finite())) {
                return Err(Ended::Failed(format!("row {row} has no place on the map: its columns are blank")));
            }
            let steps = self.steps as usize;
            let places = Array2::from_shape_fn((steps, from.len()), |(i, d)| {
                let t = i as f64 / (steps - 1) as f64;
                (f64::from(from[d]) * (1.0 - t) + f64::from(to[d]) * t) as f32
            });
            let mut table = Table::default();
            table.with_i64_column("step", (0..steps as i64).collect(), ColumnMeta::default())?;
            for (d, column) in places.columns().into_iter().enumerate() {
                table.with_f32_column(&super::reduce::coordinate_name(from.len(), d), column.to_vec(), ColumnMeta::default())?;
            }
            made.dimensions.decoded(made.model, places.view(), &mut table)?;
            data::write_table(&table, None, path)?;
            json["walk"] = json!({"path": path.display().to_string(), "between": [a, b], "steps": steps});
            text += &format!("\n{steps} rows on the way from row {a} to row {b} to {}", path.display());
        }
        if !self.nearest.is_empty() {
            let (x, rows) = (made.vectors)()?;
            let mut all = Vec::new();
            for row in &self.nearest {
                let row = there(*row)?;
                let at = rows.iter().position(|r| *r == row);
                let at = at.ok_or_else(|| Ended::Failed(format!("row {row} has no vector: its columns are blank")))?;
                let target = x.row(at).to_vec();
                let found = reduce::nearest_to(x.view(), &target, self.count as usize + 1)?;
                let found: Vec<_> = found.into_iter().filter(|(i, _)| *i != at).take(self.count as usize).collect();
                let names: Vec<usize> = found.iter().map(|(i, _)| rows[*i]).collect();
                let distances: Vec<f64> = found.iter().map(|(_, d)| f64::from(*d)).collect();
                let said: Vec<String> = names.iter().map(ToString::to_string).collect();
                text += &format!("\nmost alike to row {row}: {}", said.join(", "));
                all.push(json!({"row": row, "rows": names, "distances": distances}));
            }
            json["nearest"] = json!(all);
        }
        Ok((json, text))
    }
}
