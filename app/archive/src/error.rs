//! What can go wrong between this program and an archive, said so that a person can act on it.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error that names the service, what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke before an answer began.
    #[error("{service} could not be reached: {why}. {advice}")]
    Network {
        /// Service, for a person.
        service: String,
        /// What the network said.
        why: String,
        /// What to try.
        advice: String,
    },
    /// An HTTP status that is no success, with the first plain words of the body.
    #[error("{service} answered with status {code}: {text}")]
    Status {
        /// Service, for a person.
        service: String,
        /// HTTP status.
        code: u16,
        /// Plain words of the body (HTML stripped), or the meaning of the status.
        text: String,
    },
    /// The service understood and refused: an ADQL error, a bad parameter, a job that failed.
    #[error("{service} says: {message}")]
    Service {
        /// Service, for a person.
        service: String,
        /// Its own words.
        message: String,
    },
    /// Something else came in the place of a table or a product.
    #[error("{service} did not send what was asked for, but {what}")]
    NotATable {
        /// Service, for a person.
        service: String,
        /// What came.
        what: String,
    },
    /// No byte came for so long.
    #[error("{service} sent nothing for {seconds:.0} s; try again later, ask for less, or run the query asynchronously")]
    Timeout {
        /// Service, for a person.
        service: String,
        /// How long it was waited for.
        seconds: f64,
    },
    /// Bytes came, but so few that the answer would have no end.
    #[error(
        "{service} sends too slowly to be waited for ({bytes} bytes in {seconds:.0} s); what came is kept, try again later or ask for less"
    )]
    TooSlow {
        /// Service, for a person.
        service: String,
        /// Bytes that came in that time.
        bytes: u64,
        /// How long it was waited for them.
        seconds: f64,
    },
    /// An answer without end, or one that unpacks to more than anybody asked for.
    #[error(
        "{service} sent more than {} (unpacked), the limit for one answer; ask for less, or raise the limit in the settings", size_text(*bytes)
    )]
    TooLarge {
        /// Service, for a person.
        service: String,
        /// The limit.
        bytes: u64,
    },
    /// The connection broke in the middle of an answer. The rows that had come were handed on.
    #[error(
        "the connection to {service} was cut off in the middle of the answer; the {rows} rows that had come are kept, search again for the rest"
    )]
    CutOff {
        /// Service, for a person.
        service: String,
        /// Rows handed on before the cut.
        rows: usize,
    },
    /// The connection was lost while a job of an asynchronous query was under way; the job is still there.
    #[error(
        "{source}. The job is still on the server: to take it up again, search with its address in the place of the query: {job}"
    )]
    JobLeft {
        /// Address of the job.
        job: String,
        /// What happened.
        source: Box<Error>,
    },
    /// A search in parts that stopped between them; what came is kept.
    #[error("{source}. {} of {} parts had come and are kept; take the search up again to get the others", plan.done(), plan.parts.len())]
    PartsLeft {
        /// The parts, to go on with ([`crate::Request::MastParts`]).
        plan: Box<crate::Plan>,
        /// What happened.
        source: Box<Error>,
    },
    /// The caller ended it.
    #[error("cancelled")]
    Cancelled,
    /// A position, a radius or a name that could not be understood.
    #[error("{0}")]
    Position(String),
    /// A request that this service has no way to answer.
    #[error("{service} cannot do this: {what}")]
    Unsupported {
        /// Service, for a person.
        service: String,
        /// What, and what to do in its place.
        what: String,
    },
    /// The answer could not be read as a table.
    #[error(transparent)]
    Data(#[from] asterism_data::Error),
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// `1.5 GB`, for a person (powers of ten).
pub(crate) fn size_text(bytes: u64) -> String {
    let (value, unit) = match bytes {
        0..1_000 => return format!("{bytes} bytes"),
        1_000..1_000_000 => (bytes as f64 / 1e3, "kB"),
        1_000_000..1_000_000_000 => (bytes as f64 / 1e6, "MB"),
        _ => (bytes as f64 / 1e9, "GB"),
    };
    let text = format!("{value:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
    pub(crate) fn service(service: &str, message: impl Into<String>) -> Self {
        Self::Service { service: service.into(), message: message.into() }
    }
    pub(crate) fn not_a_table(service: &str, what: impl Into<String>) -> Self {
        Self::NotATable { service: service.into(), what: what.into() }
    }
}
