//! What can go wrong when a file or a table is read or written.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error that names the file, what is wrong with it and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{}: {}", path.display(), in_words(source))]
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

/// What the system said, for a person, with what to do.
pub fn in_words(e: &std::io::Error) -> String {
    use std::io::ErrorKind as Kind;
    let text = match e.kind() {
        Kind::NotFound => "there is no such file or folder: look for a typing mistake in its name",
        Kind::PermissionDenied => "it may not be read or written by you: ask its owner, or choose another place",
        Kind::IsADirectory => "this is a folder; give the name of a file in it",
        Kind::NotADirectory => "a part of this path is a file, no folder",
        Kind::AlreadyExists => "there is a file of this name: choose another, or remove it first",
        Kind::InvalidData => "this is no text: is it the file that you meant?",
        Kind::StorageFull => "the disk is full: free some space, or choose another place",
        _ => return e.to_string(),
    };
    text.into()
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
