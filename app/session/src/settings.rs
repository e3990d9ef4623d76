//! Settings that outlast a session: addresses, theme, recent files.

use std::path::{Path, PathBuf};

use asterism_archive::Services;
use serde::{Deserialize, Serialize};

/// Kept in the user's configuration folder as `settings.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Addresses of services.
    pub services: Services,
    /// Light rather than dark.
    pub light_theme: bool,
    /// Sessions and files opened before, newest first.
    pub recent: Vec<PathBuf>,
    /// Threads for computations; 0 for all cores.
    pub threads: usize,
    /// Gigabytes (10⁹ bytes) of one table that are read without asking; 0 for a quarter of the machine's memory.
    pub table_gb: f64,
    /// Font scale; 0 for 1.
    pub zoom: f32,
    /// Lock file of the SAMP hub, where it is not the usual one.
    #[serde(skip)]
    pub samp_lock: Option<PathBuf>,
}

impl Settings {
    /// The folder for settings and the session kept as one works. `ASTERISM_HOME` overrides it.
    pub fn folder() -> PathBuf {
        if let Some(home) = std::env::var_os("ASTERISM_HOME") {
            return home.into();
        }
        directories::ProjectDirs::from("", "", "asterism").map_or_else(std::env::temp_dir, |d| d.config_dir().to_path_buf())
    }
    /// Settings from the folder; the defaults where there are none or they cannot be read.
    pub fn load() -> Self {
        std::fs::read(Self::folder().join("settings.json")).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default()
    }
    /// Write them.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self) -> crate::Result<()> {
        let folder = Self::folder();
        std::fs::create_dir_all(&folder).map_err(|e| asterism_data::Error::io(&folder, e))?;
        let text = serde_json::to_vec_pretty(self).map_err(|e| crate::Error::said(e.to_string()))?;
        crate::export::write_whole(&folder.join("settings.json"), &text)
    }
    /// Put a path at the head of the recent ones.
    pub fn opened(&mut self, path: &Path) {
        self.recent.retain(|p| p != path);
        self.recent.insert(0, path.to_path_buf());
        self.recent.truncate(8);
    }
}
