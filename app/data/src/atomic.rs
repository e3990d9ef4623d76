//! Writing a file so that it is either whole or untouched.
//!
//! The content goes to a new file in the target's folder, is flushed and synced to the disk, and
//! takes the target's name by `rename`, which the file system does in one step. When the disk is
//! full, the process is killed or a write fails, the target keeps its old content and the
//! half-written file is removed.

use std::io::{BufWriter, Write};
use std::path::Path;

use crate::{Error, Result};

/// Set once the program was told to end (Ctrl+C): what is being written is given up, and the target stays as it was.
pub static GIVE_UP: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

fn given_up() -> bool {
    GIVE_UP.load(std::sync::atomic::Ordering::Relaxed)
}

/// Write `path` by `fill`; on any error the target is as it was before.
///
/// # Errors
/// What `fill` returns, or [`Error::Format`] naming the file, the step and what to do.
pub fn atomic_write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let fail = |step: &str, e: &std::io::Error| {
        let todo = match e.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                "the disk is full: free some space or choose another folder"
            }
            std::io::ErrorKind::PermissionDenied => "writing is not allowed here: choose another folder",
            std::io::ErrorKind::NotFound => "the folder does not exist: make it first",
            std::io::ErrorKind::ReadOnlyFilesystem => "this disk can only be read: choose another folder",
            _ => "choose another place or try again",
        };
        Error::format(path.display().to_string(), format!("could not {step} ({e}); nothing was written under this name; {todo}"))
    };
    // A link stays one: what it leads to is written.
    let led = if path.is_symlink() { std::fs::canonicalize(path).ok() } else { None };
    let path = led.as_deref().unwrap_or(path);
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    if path.is_dir() {
        return Err(Error::format(path.display().to_string(), "is a folder; give the name of a file"));
    }
    let mut file = tempfile::Builder::new()
        .prefix(".asterism-")
        .suffix(".part")
        .tempfile_in(folder)
        .map_err(|e| fail("make a file in its folder", &e))?;
    {
        let mut out = Guard { inner: BufWriter::with_capacity(1 << 20, file.as_file_mut()), error: None };
        let done = fill(&mut out);
        let flushed = out.flush();
        if given_up() {
            return Err(Error::Stopped);
        }
        // A writer between us and the disk may have turned the system's error into its own words.
        if let Some(e) = out.error.take() {
            return Err(fail("write", &e));
        }
        done?;
        flushed.map_err(|e| fail("write", &e))?;
    }
    file.as_file().sync_all().map_err(|e| fail("write to the disk", &e))?;
    keep_mode(path, file.as_file());
    if given_up() {
        return Err(Error::Stopped);
    }
    file.persist(path).map_err(|e| fail("take the name", &e.error))?;
    Ok(())
}

/// The new file gets the old one's permissions, or those of any new file.
#[cfg(unix)]
fn keep_mode(path: &Path, file: &std::fs::File) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_or(0o644, |m| m.permissions().mode() & 0o777);
    // A file system without permissions is no reason to lose the data.
    let _ = file.set_permissions(std::fs::Permissions::from_mode(mode));
}
#[cfg(not(unix))]
fn keep_mode(_: &Path, _: &std::fs::File) {}

/// Remembers the first error of the disk.
struct Guard<W: Write> {
    inner: W,
    error: Option<std::io::Error>,
}

impl<W: Write> Guard<W> {
    fn note<T>(&mut self, r: std::io::Result<T>) -> std::io::Result<T> {
        if let Err(e) = &r
            && e.kind() != std::io::ErrorKind::Interrupted
            && self.error.is_none()
        {
            self.error = Some(match e.raw_os_error() {
                Some(code) => std::io::Error::from_raw_os_error(code),
                None => std::io::Error::new(e.kind(), e.to_string()),
            });
        }
        r
    }
}

impl<W: Write> Write for Guard<W> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let r = self.inner.write(buf);
        self.note(r)
    }
    fn write_all(&mut self, buf: &[u8]) -> std::io::Result<()> {
        let r = self.inner.write_all(buf);
        self.note(r)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        let r = self.inner.flush();
        self.note(r)
    }
}
