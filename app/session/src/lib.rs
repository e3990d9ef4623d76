//! The document of Asterism and what happens to it, without a window.
//!
//! A [`Session`] holds a [`Document`]: the tables that searches gave, their features, maps,
//! subsets, rule and ledger, and the one selection. A person's intent is a [`Command`]; one
//! function, [`Session::apply`], applies it, and may start a job in a named thread. What a job
//! finds comes back through [`Session::poll`]. Undo is a snapshot of the document, which is small
//! because everything large in it is an `Arc`.
//!
//! The window, the command line and the tests all drive this crate and nothing beside it.

pub mod account;
mod arrivals;
pub mod axes;
pub mod behind;
pub mod command;
pub mod curves;
pub mod document;
mod doors;
pub mod error;
pub mod explain;
pub mod export;
pub mod features;
pub mod footprint;
pub use asterism_data::healpix;
pub mod hips;
pub mod interop;
pub mod jobs;
pub mod ledger;
pub mod lists;
pub mod lookups;
pub mod moc;
pub mod photometry;
pub mod products;
pub mod recipe;
pub mod rule;
pub mod run;
pub mod sample;
pub mod select;
pub mod session;
pub mod settings;
pub mod sky;
pub mod sphere;
pub mod store;
pub mod tap_jobs;
pub mod words;

pub use asterism_archive as archive;
pub use asterism_data as data;
pub use asterism_reduce as reduce;

pub use behind::CutOut;
pub use command::{Ask, ClusterOn, Command, ExportRows, Outliers, SelectMode};
pub use curves::CurveColumns;
pub use document::*;
pub use error::{Error, Result};
pub use features::{Blanks, FeatureColumn, FeatureKind, Features, Normalise, Transform, Vectors, Weights};
pub use jobs::{Job, JobId, JobState, Live, Notice, NoticeLevel};
pub use lookups::Looked;
pub use photometry::Photometry;
pub use products::ProductKind;
pub use rule::FittedRule;
pub use select::{Plot, Provenance, Shape};
pub use session::Session;
pub use settings::Settings;
