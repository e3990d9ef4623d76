//! Tables and products of astronomy, and the files they live in.
//!
//! A [`Table`] is a polars frame with a unit, UCD, description and null rule for each column.
//! Rows are append-only: row `i` of a table is the same row for as long as the session lives, and
//! sets of rows are bitmaps ([`RowSet`]). Products are [`Image`], [`Spectrum`] and [`LightCurve`].
//! [`read`] looks at the content of a file before its name and returns every part it holds.

pub mod error;
pub mod expr;
pub mod image;
pub mod light_curve;
pub mod product;
pub mod rowset;
pub mod spectrum;
pub mod table;

pub use error::{Error, Result};
pub use expr::Expr;
pub use image::{Image, Picture, Wcs};
pub use light_curve::LightCurve;
pub use product::Part;
pub use rowset::RowSet;
pub use spectrum::{Medium, SpectraColumn, Spectrum};
pub use table::{Cell, ColumnMeta, Param, Table};
