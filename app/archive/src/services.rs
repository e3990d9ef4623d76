//! Kinds of services, their addresses, and habits of the network: all of it settings.
//!
//! No address is a constant of the code that asks: archives move, and tests ask recorded answers on loopback. A file of settings with
//! gaps is filled from the defaults, so that an older one goes on working. The choice not taken is a registry of addresses that is
//! fetched: the program must start without a network.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How a service is spoken to.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// MAST's portal API.
    Mast,
    /// Table Access Protocol.
    Tap,
    /// Simple cone search.
    Cone,
    /// Simple image access (1 or 2, told by the address).
    Sia,
    /// Simple spectral access.
    Ssa,
    /// MAST's search of one mission.
    Mission,
    /// Observations of any archive, through the table `ivoa.obscore` of a TAP service.
    Obscore,
    /// Simple image access, version 2, with all its parameters.
    Sia2,
    /// The links behind a row (DataLink).
    DataLink,
    /// Services found by words (RegTAP).
    Registry,
    /// A partitioned catalogue: Parquet files by HEALPix cells.
    Hats,
}

impl FromStr for Kind {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "mast" => Self::Mast,
            "tap" => Self::Tap,
            "cone" | "scs" => Self::Cone,
            "sia" => Self::Sia,
            "ssa" => Self::Ssa,
            "mission" => Self::Mission,
            "obscore" => Self::Obscore,
            "sia2" => Self::Sia2,
            "datalink" => Self::DataLink,
            "registry" => Self::Registry,
            "hats" => Self::Hats,
            _ => {
                return Err(Error::Unsupported {
                    service: "Asterism".into(),
                    what: format!(
                        "'{text}' is no kind of service; there are mast, mission, tap, obscore, cone, sia, sia2, ssa, datalink, hats and registry"
                    ),
                });
            }
        })
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Mast => "mast",
            Self::Tap => "tap",
            Self::Cone => "cone",
            Self::Sia => "sia",
            Self::Ssa => "ssa",
            Self::Mission => "mission",
            Self::Obscore => "obscore",
            Self::Sia2 => "sia2",
            Self::DataLink => "datalink",
            Self::Registry => "registry",
            Self::Hats => "hats",
        })
    }
}

/// A service kept by name.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct SavedService {
    /// For a person, and for `asterism search NAME`.
    pub name: String,
    /// How it is spoken to.
    pub kind: Kind,
    /// Base address.
    pub url: String,
    /// For a person.
    #[serde(default)]
    pub description: String,
}

/// Addresses and habits of the network; all are settings.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default)]
pub struct Services {
    /// MAST's portal: `/api/v0/invoke`, `/api/v0.1/Download/file` and `/portal/Mashup/...` are below it.
    pub mast: String,
    /// MAST's name resolver, without the query.
    pub resolver: String,
    /// MAST's catalogs API (Pan-STARRS).
    pub catalogs: String,
    /// MAST's TAP; a collection's name follows (`/caom`, `/tic`).
    pub mast_tap: String,
    /// Services kept by name.
    pub saved: Vec<SavedService>,
    /// Registry of the Virtual Observatory: a TAP service with the schema `rr` (RegTAP).
    pub registry: String,
    /// The scripts of the Pan-STARRS image server (`ps1filenames.py`, `fitscut.cgi`).
    pub ps1_images: String,
    /// The scripts of the Hubble Legacy Archive (`fitscut.cgi`, `getdata.cgi`, `ecfproxy`).
    pub hla: String,
    /// Seconds without a byte after which a service counts as silent.
    pub timeout_s: f64,
    /// An answer that comes more slowly than this, over `timeout_s` of waiting, is given up.
    pub slowest_bytes_per_s: f64,
    /// Gigabytes (10⁹ bytes) of one answer at most, unpacked. 0 for no limit.
    pub answer_gb: f64,
    /// A file of further certificates to trust, in PEM form: an institute's own authority.
    pub certificates: Option<PathBuf>,
    /// How often a request is tried again.
    pub retries: u32,
    /// The first pause before a new try, in seconds; each later one is twice as long.
    pub pause_s: f64,
    /// The first pause between looks at an asynchronous job, in seconds; it grows to ten times that.
    pub poll_s: f64,
    /// Rows of one page of MAST: small enough that the first ones are soon there (50,000 at most).
    pub page_size: usize,
    /// Rows at which MAST's portal breaks off; searches above it go in parts.
    pub portal_rows: usize,
    /// Rows that HSC and GALEX are asked for at most; a cone that comes with so many can go in parts.
    pub catalog_rows: usize,
    /// Where products are kept; the user's cache folder if unset.
    pub cache: Option<PathBuf>,
    /// Gigabytes (10⁹ bytes) of products that are kept at most; the files used longest ago go first. 0 for no limit.
    pub cache_gb: f64,
}

impl Default for Services {
    fn default() -> Self {
        let saved = |name: &str, kind, url: &str, description: &str| SavedService {
            name: name.into(),
            kind,
            url: url.into(),
            description: description.into(),
        };
        Self {
            mast: "https://mast.stsci.edu".into(),
            resolver: "http://mastresolver.stsci.edu/Santa-war/query".into(),
            catalogs: "https://catalogs.mast.stsci.edu".into(),
            mast_tap: "https://mast.stsci.edu/vo-tap/api/v0.1".into(),
            saved: vec![
                saved(
                    "MAST CAOM",
                    Kind::Tap,
                    "https://mast.stsci.edu/vo-tap/api/v0.1/caom",
                    "Observations of all MAST missions (dbo.obspointing, ivoa.obscore)",
                ),
                saved(
                    "MAST TIC",
                    Kind::Tap,
                    "https://mast.stsci.edu/vo-tap/api/v0.1/tic",
                    "TESS Input Catalog (dbo.CatalogRecord)",
                ),
                saved(
                    "MAST HSC",
                    Kind::Tap,
                    "https://mast.stsci.edu/vo-tap/api/v0.1/hsc",
                    "Hubble Source Catalog (dbo.SumMagAper2CatView)",
                ),
                saved(
                    "SIMBAD",
                    Kind::Tap,
                    "https://simbad.cds.unistra.fr/simbad/sim-tap",
                    "Objects with names, types and measurements (basic, ident, flux)",
                ),
                saved(
                    "VizieR",
                    Kind::Tap,
                    "https://tapvizier.cds.unistra.fr/TAPVizieR/tap",
                    "Published catalogues; table names need double quotes",
                ),
                saved("Gaia", Kind::Tap, "https://gea.esac.esa.int/tap-server/tap", "ESA's Gaia archive (gaiadr3.gaia_source)"),
                saved(
                    "GAVO",
                    Kind::Tap,
                    "https://dc.zah.uni-heidelberg.de/tap",
                    "German data centre: many surveys and a registry (rr.*)",
                ),
                saved(
                    "Hipparcos cone",
                    Kind::Cone,
                    "https://vizier.cds.unistra.fr/viz-bin/conesearch/I/239/hip_main?",
                    "Hipparcos main catalogue around a position, from VizieR",
                ),
            ],
            registry: "http://reg.g-vo.org/tap".into(),
            ps1_images: "https://ps1images.stsci.edu/cgi-bin".into(),
            hla: "https://hla.stsci.edu/cgi-bin".into(),
            timeout_s: 60.0,
            slowest_bytes_per_s: 50.0,
            answer_gb: 4.0,
            certificates: None,
            retries: 3,
            pause_s: 0.5,
            poll_s: 1.0,
            page_size: 10_000,
            portal_rows: 500_000,
            catalog_rows: 50_000,
            cache: None,
            cache_gb: 5.0,
        }
    }
}

impl Services {
    /// The saved service of that name, without regard to case.
    pub fn find(&self, name: &str) -> Option<&SavedService> {
        self.saved.iter().find(|s| s.name.eq_ignore_ascii_case(name.trim()))
    }
    /// Every address at one server, laid out as [`replay::Replay`] serves it: for tests, and for mirrors of MAST.
    pub fn at(base: &str) -> Self {
        let base = base.trim_end_matches('/');
        Self {
            mast: base.into(),
            resolver: format!("{base}/Santa-war/query"),
            catalogs: base.into(),
            mast_tap: format!("{base}/vo-tap/api/v0.1"),
            registry: format!("{base}/registry/tap"),
            ps1_images: format!("{base}/ps1/cgi-bin"),
            hla: format!("{base}/hla/cgi-bin"),
            ..Self::default()
        }
    }
}
