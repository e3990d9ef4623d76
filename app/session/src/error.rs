//! What can go wrong in a session.

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error told in words that say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or a table.
    #[error(transparent)]
    Data(#[from] asterism_data::Error),
    /// A service.
    #[error(transparent)]
    Archive(#[from] asterism_archive::Error),
    /// A computation.
    #[error(transparent)]
    Reduce(#[from] asterism_reduce::Error),
    /// A recipe with a wrong word.
    #[error("{file}, line {line}: {what}")]
    Recipe {
        /// The recipe's file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong and what would be right.
        what: String,
    },
    /// Anything else that a person should read.
    #[error("{0}")]
    Said(String),
}

impl Error {
    /// An [`Error::Said`].
    pub fn said(text: impl Into<String>) -> Self {
        Self::Said(text.into())
    }
}
