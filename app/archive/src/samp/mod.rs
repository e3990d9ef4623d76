//! SAMP 1.3: tables, rows, images, spectra and positions to and from TOPCAT, Aladin, DS9 and their like on this desktop.
//!
//! The standard profile: a hub is found by its lock file (`$SAMP_HUB`, else `~/.samp`), everything is XML-RPC on loopback. Where no
//! hub runs, [`Hub`] is one. [`Connection`] is this program as a client: what others send comes as [`Message`]s through a closure,
//! and what is sent is told who takes it. Incoming messages are data, never commands: nothing but the kinds subscribed to is handed
//! on. The web profile is not spoken: a desktop program needs the standard one alone.
//!
//! Standard: IVOA SAMP 1.3 (2012); kinds of messages as on the SAMP pages of the IVOA.

mod connection;
mod hub;
mod wire;
pub mod xmlrpc;

use std::path::{Path, PathBuf};

pub use connection::{Connection, Peer};
pub use hub::Hub;
pub use xmlrpc::Value;

/// What another program sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its kind, `table.load.votable` and so on.
    pub mtype: String,
    /// What it says, by name.
    pub params: Value,
    /// Name of the program it came from, for a person.
    pub sender: String,
}

/// A message as SAMP carries it.
pub fn message(mtype: &str, params: Value) -> Value {
    Value::map([("samp.mtype", Value::from(mtype)), ("samp.params", params)])
}

/// Where a hub's lock file lies: `$SAMP_HUB` (`std-lockurl:file:///…`), else `.samp` in the home folder.
pub fn lock_file() -> Option<PathBuf> {
    if let Some(told) = std::env::var("SAMP_HUB").ok().filter(|t| !t.is_empty()) {
        let url = told.strip_prefix("std-lockurl:").unwrap_or(&told);
        let path = url.strip_prefix("file://").map_or(url, |rest| rest.strip_prefix("localhost").unwrap_or(rest));
        return Some(PathBuf::from(path.replace("%20", " ")));
    }
    directories::BaseDirs::new().map(|d| d.home_dir().join(".samp"))
}

/// What a lock file says.
#[derive(Clone, PartialEq, Eq)]
struct Lock {
    secret: String,
    url: String,
}

/// Reads a lock file.
///
/// # Errors
/// That no hub runs, or what is missing in the file.
fn read_lock(path: &Path) -> Result<Lock, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|_| "no SAMP hub runs: start TOPCAT or Aladin, or let Asterism be the hub".to_owned())?;
    let value = |key: &str| {
        let line = |l: &str| l.split_once('=').filter(|(k, _)| k.trim() == key).map(|(_, v)| v.trim().replace('\\', ""));
        text.lines().filter(|l| !l.trim_start().starts_with('#')).find_map(line)
    };
    match (value("samp.secret"), value("samp.hub.xmlrpc.url")) {
        (Some(secret), Some(url)) => Ok(Lock { secret, url }),
        _ => Err(format!("{} is no lock file of a SAMP hub: delete it when no hub runs", path.display())),
    }
}

/// A word that nobody guesses: 128 bits of the system's random numbers, which seed the maps of the standard library.
fn secret() -> String {
    use std::hash::{BuildHasher, Hasher};
    let half = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

/// Whether a subscription (`table.*`, `*`, a whole name) takes a kind of message.
fn takes(subscription: &str, mtype: &str) -> bool {
    match subscription.strip_suffix('*') {
        Some("") => true,
        Some(start) => mtype.starts_with(start),
        None => subscription == mtype,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lock_files_of_java_hubs_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".samp");
        std::fs::write(&path, "# SAMP lockfile\nsamp.secret=abc\nsamp.hub.xmlrpc.url=http\\://127.0.0.1\\:4711/xmlrpc\n")
            .unwrap();
        let lock = read_lock(&path).unwrap();
        assert_eq!((lock.secret.as_str(), lock.url.as_str()), ("abc", "http://127.0.0.1:4711/xmlrpc"));
        std::fs::write(&path, "nothing").unwrap();
        assert!(read_lock(&path).err().unwrap().contains("delete it"));
        assert!(read_lock(&folder.path().join("none")).err().unwrap().contains("no SAMP hub runs"));
    }

    #[test]
    fn subscriptions_end_in_a_star() {
        assert!(takes("*", "a.b") && takes("table.*", "table.load.fits") && takes("a.b", "a.b"));
        assert!(!takes("table.*", "tables.x") && !takes("a.b", "a.b.c"));
        assert_ne!(secret(), secret());
    }
}
