//! What can go wrong, in plain words.

/// Why no answer could be computed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is not a single row or column.
    #[error("there are no numbers to work on: choose at least one row and one column")]
    Empty,
    /// A cell is missing or infinite.
    #[error("row {row}, column {dim} is missing or infinite: fill or leave out such cells first (both counted from 0)")]
    NotFinite {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        dim: usize,
    },
    /// The computation would not fit in memory.
    #[error(
        "this would need about {} GB of memory, more than is free for it: take fewer rows, fewer neighbours (of t-SNE a smaller perplexity) or smaller layers",
        needs_bytes.div_ceil(1_000_000_000)
    )]
    TooLarge {
        /// Estimate of the memory needed, bytes.
        needs_bytes: u64,
    },
    /// Stopped on request before there was anything to keep.
    #[error("stopped before there was a result")]
    Cancelled,
    /// Matrices or settings that do not fit together.
    #[error("{0}")]
    Shape(String),
    /// A stored model that cannot be read or used.
    #[error("the stored map cannot be used: {0}")]
    Model(String),
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        Error::Model(format!("reading or writing it failed: {e}"))
    }
}
