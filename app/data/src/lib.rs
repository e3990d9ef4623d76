//! Tables and products of astronomy, and the files they live in.
//!
//! A [`Table`] is a polars frame with a unit, UCD, description and null rule for each column.
//! Rows are append-only: row `i` of a table is the same row for as long as the session lives, and
//! sets of rows are bitmaps ([`RowSet`]). Products are [`Image`], [`Spectrum`] and [`LightCurve`].
//! [`read`] looks at the content of a file before its name and returns every part it holds.

mod arrow_blocks;
mod arrow_types;
pub mod atomic;
mod column;
pub mod crossmatch;
mod csv;
mod csv_pieces;
mod ecsv;
pub mod error;
pub mod expr;
pub mod fits;
pub mod fits_products;
mod fits_table;
mod fits_text;
pub mod hats;
pub mod healpix;
pub mod image;
pub mod image_rows;
pub mod light_curve;
mod lzw;
pub mod make;
pub mod npy;
pub mod parquet;
mod parquet_pages;
pub mod parquet_parts;
pub mod picture;
pub mod product;
pub mod quality;
pub mod read;
pub mod reproject;
pub mod rowset;
pub mod scan;
mod scan_text;
pub mod sniff;
mod source_columns;
pub mod spectrum;
pub mod spectrum_layouts;
mod spectrum_table;
pub mod stretch;
pub mod table;
mod tar;
pub mod target_pixels;
pub mod units;
pub mod votable;
mod votable_plain;
mod votable_tabledata;
mod votable_write;
pub mod wcs;
pub mod write;

pub use atomic::atomic_write;
pub use csv::read_csv_pieces;
pub use error::{Error, Result};
pub use expr::Expr;
pub use image::{Image, Picture, Wcs};
pub use light_curve::LightCurve;
pub use npy::{NpyRows, read_npy, write_npy, write_npy_parts};
pub use product::Part;
pub use read::{read, read_bytes, read_table, read_with_warnings};
pub use rowset::RowSet;
pub use spectrum::{Medium, SpectraColumn, Spectrum};
pub use table::{Cell, ColumnMeta, Param, Statistics, Table};
pub use target_pixels::TargetPixels;
pub use votable::{VotableEnd, read_votable_arriving, read_votable_batches};
pub use votable_plain::Arriving;
pub use votable_write::Serialization;
pub use write::{write_table, write_table_as};
