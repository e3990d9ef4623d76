//! A small archive on loopback, to try the whole loop and take pictures of it with no network.
//!
//! ```text
//! asterism-replay [--rate BYTES_PER_SECOND] [--fixtures FOLDER] [--hats FOLDER] [--for SECONDS] [--doors]
//! ```
//!
//! It prints the settings that make the program ask it (`settings.json`), then serves:
//! * at the addresses of MAST's portal, the recorded answers of the fixtures; its services that cut, and a token that it knows;
//! * at `/tap`, a TAP service whose tables are the program's own samples, at once or by jobs, with uploads and examples;
//! * at `/scs`, `/sia`, `/sia2` and `/ssa`, recorded answers of a cone search, of images and spectra (the folder `vo` beside that
//!   of MAST's answers), whatever was asked; at `/cone/NAME`, a cone search of a sample;
//! * at `/links`, links behind a row of `/tap`'s table `obscore`, with SODA at once and by jobs;
//! * at `/hats/`, the folder of HATS catalogues that is named;
//! * at `/registry/tap`, a registry that knows these services; with `--doors` the settings list all of them, else the first.

use std::path::PathBuf;
use std::time::Duration;

use asterism_archive::Services;
use asterism_archive::replay::{Manner, Replay};
use asterism_session::Settings;
use asterism_tests::archive;

const USAGE: &str = "asterism-replay [--rate BYTES_PER_SECOND] [--fixtures FOLDER] [--hats FOLDER] [--for SECONDS] [--doors]";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|w| w == "--help" || w == "-h") {
        println!("{USAGE}");
        return Ok(());
    }
    let known = ["--rate", "--fixtures", "--hats", "--for", "--doors"];
    if let Some(strange) = words.iter().find(|w| w.starts_with("--") && !known.contains(&w.as_str())) {
        return Err(format!("{strange} is not known: {USAGE}").into());
    }
    let value = |name: &str| words.iter().position(|w| w == name).and_then(|i| words.get(i + 1)).cloned();
    let rate: usize = value("--rate").and_then(|v| v.parse().ok()).unwrap_or(2_000_000);
    let fixtures = value("--fixtures").map_or_else(|| PathBuf::from("tests/fixtures/mast"), PathBuf::from);
    let hats = value("--hats").map_or_else(|| fixtures.with_file_name("hats"), PathBuf::from);
    let manner = Manner::Slow { chunk: (rate / 50).max(1), delay: Duration::from_millis(20) };
    let replay = Replay::start(archive::routes(&fixtures, &hats, manner))?;
    let mut services = Services::at(&replay.base());
    let listed = if words.iter().any(|w| w == "--doors") { usize::MAX } else { 1 };
    services.saved.splice(0..0, archive::services(&replay.base()).into_iter().take(listed));
    println!("{}", serde_json::to_string_pretty(&Settings { services, ..Settings::default() })?);
    let seconds = value("--for").and_then(|v| v.parse().ok()).unwrap_or(24 * 3600);
    std::thread::sleep(Duration::from_secs(seconds));
    Ok(())
}
