//! What can go wrong when a file or a table is read or written.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error that names the file, what is wrong with it and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The content is not what a reader of this format can read.
    #[error("{what}: {why}")]
    Format {
        /// File or service.
        what: String,
        /// What is wrong, with the place (line, row, byte) where known, and what to do.
        why: String,
    },
    /// An expression could not be understood.
    #[error("expression: {0}")]
    Expr(String),
    /// A column that is not there.
    #[error("no column named '{name}'; there are {have}")]
    NoColumn {
        /// Asked for.
        name: String,
        /// The first few that exist.
        have: String,
    },
    /// Work was ended by the person who asked for it.
    #[error("stopped")]
    Stopped,
    /// polars refused.
    #[error("table: {0}")]
    Polars(#[from] polars::error::PolarsError),
}

impl Error {
    /// A [`Error::Format`].
    pub fn format(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Format { what: what.into(), why: why.into() }
    }
    /// An [`Error::Io`].
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}
