//! A small archive on loopback: TAP with jobs, uploads and examples over the program's own samples, links and cut-outs, recorded
//! answers of the other protocols. What `asterism-replay` serves.
//!
//! Rows are real (the samples') and so is the connection; what a standard lays down is answered as it says. A cut-out is always
//! the same recorded file, whatever place was asked for: the program does not look into what it gets for that.

mod doors;
mod tap;

use std::path::Path;

use asterism_archive::replay::{Manner, Reply, Route};
use asterism_archive::{Kind, SavedService};
use asterism_data::Table;

/// The routes of the archive, MAST's recorded answers in `mast` among them; `vo`, the folder of recorded answers of other
/// services, and `hats`, one of HATS catalogues, may be missing (their doors answer 404). Tables are sent in this manner.
pub fn routes(mast: &Path, hats: &Path, manner: Manner) -> Vec<Route> {
    let mut routes = tap::routes(manner);
    routes.extend(doors::routes(&mast.with_file_name("vo"), hats, manner));
    routes.extend(doors::mast_routes(mast));
    routes.extend(asterism_archive::replay::Replay::mast_routes(mast, manner));
    routes
}

/// The services at this base address, as the list of services shows them.
pub fn services(base: &str) -> Vec<SavedService> {
    let saved = |(name, kind, path, about): &(&str, Kind, &str, &str)| SavedService {
        name: (*name).into(),
        kind: *kind,
        url: format!("{base}{path}"),
        description: (*about).into(),
    };
    doors::DOORS.iter().map(saved).collect()
}

/// A VOTable's type.
const VOTABLE: (&str, &str) = ("Content-Type", "application/x-votable+xml");

/// An answer as a VOTable.
fn votable(bytes: impl Into<Vec<u8>>) -> Reply {
    Reply::bytes(bytes).header(VOTABLE.0, VOTABLE.1)
}

/// As DALI 1.1 says an error is sent.
fn error(why: &str) -> Reply {
    votable(format!(
        "<?xml version=\"1.0\"?><VOTABLE version=\"1.4\" xmlns=\"http://www.ivoa.net/xml/VOTable/v1.3\"><RESOURCE type=\"results\">\
         <INFO name=\"QUERY_STATUS\" value=\"ERROR\">{}</INFO></RESOURCE></VOTABLE>",
        escaped(why)
    ))
    .status(400)
}

/// A table as VOTable.
fn written(table: &Table) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let path = folder.path().join("answer.vot");
    asterism_data::write_table(table, None, &path).map_err(|e| e.to_string())?;
    std::fs::read(&path).map_err(|e| e.to_string())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
