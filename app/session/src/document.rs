//! The document: everything a person made, small enough to snapshot for each step of undo.

use std::collections::BTreeMap;
use std::sync::Arc;

use asterism_data::{Image, Picture, RowSet, SpectraColumn, Table};
use asterism_reduce as reduce;
use serde::{Deserialize, Serialize};

use crate::command::{Ask, SelectMode};
use crate::features::Features;
use crate::rule::FittedRule;
use crate::select::Provenance;

/// Everything in the window.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// Tables with what was made of them.
    pub datasets: Vec<Arc<Dataset>>,
    /// Index of the one in front.
    pub active: usize,
    /// The rows lit up now, of the dataset in front.
    pub selection: Selection,
    /// How the next gesture combines with the selection.
    pub mode: SelectMode,
    /// Rows outside the selection are not drawn at all.
    pub hide_rest: bool,
    /// The panes, as the window wrote them.
    pub layout: serde_json::Value,
}

impl Document {
    /// The dataset in front.
    pub fn dataset(&self) -> Option<&Arc<Dataset>> {
        self.datasets.get(self.active)
    }
}

/// The rows lit up now, and how they came to be.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Rows of the dataset in front.
    pub rows: Arc<RowSet>,
    /// The gestures that made it, in order. Shared with the steps of undo, of which each holds all.
    pub steps: Vec<Gesture>,
    /// Grows with each change: a key for caches.
    pub generation: u64,
}

impl Selection {
    /// Whether any row is selected.
    pub fn any(&self) -> bool {
        !self.rows.is_empty()
    }
}

/// A table that a search, a file or a sample gave, and what was made of it.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Unique within the session.
    pub id: u32,
    /// For a person.
    pub name: String,
    /// The question it answers.
    pub ask: Ask,
    /// The rows, append-only.
    pub table: Arc<Table>,
    /// Where the table keeps spectra, if it does.
    pub spectra: Option<Arc<SpectraColumn>>,
    /// Images of the field.
    pub images: Vec<Arc<ImageLayer>>,
    /// The searches in order.
    pub ledger: Vec<LedgerEntry>,
    /// Rows that the latest search gave.
    pub latest: Arc<RowSet>,
    /// The recipe for vectors that the next map will use.
    pub features: Features,
    /// Maps, oldest first.
    pub maps: Vec<Arc<Map>>,
    /// Id of the map in front.
    pub current_map: Option<u32>,
    /// Named, coloured selections.
    pub subsets: Vec<Arc<Subset>>,
    /// The rule last fitted.
    pub rule: Option<Arc<FittedRule>>,
    /// Still arriving.
    pub loading: bool,
    /// Who to thank, for samples.
    pub credit: String,
    /// What was added to the rows after they came, in order, so that a recipe can repeat it.
    pub added: Vec<Added>,
    /// The tables of the file that it was read from, where that holds several.
    pub tables: Vec<crate::ledger::FileTable>,
}

/// With whom a table was matched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partner {
    /// Another table of the session.
    Table {
        /// Its id.
        id: u32,
        /// Its name then.
        name: String,
        /// Its positions; found by UCD or name when absent.
        #[serde(default)]
        columns: crate::lists::Columns,
    },
    /// A service.
    Service(crate::lists::MatchBy),
}

/// What was added to the rows of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "added", rename_all = "kebab-case")]
pub enum Added {
    /// Columns of a match by position.
    Match {
        /// With whom.
        with: Partner,
        /// How.
        how: crate::lists::Matching,
        /// How many rows were asked about, when not all.
        #[serde(default)]
        rows: Option<usize>,
    },
    /// Images from an address.
    Product {
        /// Address or `mast:` URI.
        address: String,
        /// For a person.
        name: String,
        /// The address is of a service that makes a job of it.
        #[serde(default)]
        by_job: bool,
    },
    /// Images that a service cut.
    CutOut {
        /// Right ascension and declination, degrees ICRS.
        at: (f64, f64),
        /// Which service, and how large.
        from: crate::behind::CutOut,
    },
}

impl Added {
    /// What a match calls the rows that it did not find; empty for anything else.
    pub fn name(&self) -> String {
        match self {
            Self::Match { with: Partner::Table { name, .. }, .. } => format!("not found in {name}"),
            Self::Match { with: Partner::Service(by), .. } => format!("not found in {}", by.label()),
            _ => String::new(),
        }
    }
}

impl Dataset {
    /// The map in front.
    pub fn map(&self) -> Option<&Arc<Map>> {
        self.current_map.and_then(|id| self.maps.iter().find(|m| m.id == id))
    }
    /// The subset with this id.
    pub fn subset(&self, id: u32) -> Option<&Arc<Subset>> {
        self.subsets.iter().find(|s| s.id == id)
    }
    /// Whether the rows are the images themselves, as of a file that holds nothing else: row n is image n.
    pub fn rows_are_images(&self) -> bool {
        let described = ["image", "width", "height", "mean"].iter().all(|n| self.table.column_index(n).is_some());
        described && !self.images.is_empty() && self.table.rows() <= self.images.len()
    }
    /// Names of the columns with the positions on the sky, degrees (by UCD, then by name).
    pub fn sky_columns(&self) -> Option<(String, String)> {
        let by_name = |names: &[&str]| names.iter().find_map(|n| self.table.column_index(n));
        let ra = self.table.column_by_ucd("pos.eq.ra").or_else(|| by_name(&["ra", "s_ra", "raj2000", "_raj2000", "ra_icrs"]))?;
        let dec = self
            .table
            .column_by_ucd("pos.eq.dec")
            .or_else(|| by_name(&["dec", "s_dec", "decl", "dej2000", "_dej2000", "de_icrs"]))?;
        let name = |i: usize| self.table.columns()[i].name.clone();
        (self.table.is_numeric(ra) && self.table.is_numeric(dec)).then(|| (name(ra), name(dec)))
    }
    /// Names of the columns with pixel positions on the first picture, for images without WCS.
    pub fn pixel_columns(&self) -> Option<(String, String)> {
        let (x, y) = (self.table.column_index("x")?, self.table.column_index("y")?);
        (self.table.is_numeric(x) && self.table.is_numeric(y))
            .then(|| (self.table.columns()[x].name.clone(), self.table.columns()[y].name.clone()))
    }
    /// Name of the column that identifies a row, if one can be told.
    pub fn id_column(&self) -> Option<String> {
        let index = self.table.column_by_ucd("meta.id;meta.main").or_else(|| {
            ["obsid", "obs_id", "source_id", "objid", "matchid", "id", "spaxel", "name", "main_id", "designation"]
                .iter()
                .find_map(|n| self.table.column_index(n))
        })?;
        Some(self.table.columns()[index].name.clone())
    }
}

/// An image behind the rows.
#[derive(Clone, Debug)]
pub struct ImageLayer {
    /// For a person.
    pub title: String,
    /// The pixels.
    pub pixels: Layer,
    /// Where it came from: a file's path, or `sample:NAME/FILE`.
    pub source: String,
}

/// The pixels of a layer.
#[derive(Clone, Debug)]
pub enum Layer {
    /// FITS values with WCS.
    Fits(Arc<Image>),
    /// A colour picture, row 0 at the top.
    Picture(Arc<Picture>),
}

/// A low-dimensional placement of the rows of a dataset.
#[derive(Clone, Debug)]
pub struct Map {
    /// Unique within the session.
    pub id: u32,
    /// For a person.
    pub name: String,
    /// Method and parameters.
    pub params: reduce::Params,
    /// How rows became vectors.
    pub features: Features,
    /// First two coordinates of each row of the table, rows in table order. NaN where a row has
    /// no place yet.
    pub xy: Arc<Vec<[f32; 2]>>,
    /// All coordinates, rows × dims.
    pub coords: Arc<ndarray_like::Coords>,
    /// Figures by name: `kl`, `explained_variance`, `reconstruction_error`, ...
    pub figures: BTreeMap<String, f64>,
    /// Seconds of each stage.
    pub seconds: BTreeMap<String, f64>,
    /// How far the map may be believed.
    pub quality: Option<Arc<reduce::Quality>>,
    /// Reconstruction error of each row, where the method has one.
    pub row_error: Option<Arc<Vec<f32>>>,
    /// What places new rows.
    pub model: Option<Arc<reduce::Model>>,
    /// How the features were scaled.
    pub prepared: Option<Arc<crate::features::Prepared>>,
    /// Rows the map was fitted on; later ones were placed.
    pub fitted: usize,
    /// How unlike the fitted rows each placed row is (1 = typical), in row order from `fitted` on.
    pub unlike: Arc<Vec<f32>>,
    /// False when it was stopped before its end.
    pub complete: bool,
    /// Grows when the coordinates change: a key for caches.
    pub generation: u64,
    /// How it came about, in order; one leg where nothing was changed on the way. Empty for maps that were not computed here.
    pub legs: Vec<Leg>,
}

/// A stretch of a map's computation with the same parameters.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Leg {
    /// With which.
    pub params: reduce::Params,
    /// Ended before its end, after so many iterations of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<usize>,
    /// Where the table was still being read: how many of its rows were there, at the start and from an iteration on, as
    /// (iteration, rows). Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrived: Vec<[usize; 2]>,
}

impl Leg {
    /// To its end, of all rows.
    pub fn whole(params: reduce::Params) -> Self {
        Self { params, until: None, arrived: Vec::new() }
    }
}

impl Map {
    /// How it came about; one leg with its parameters where that was not kept.
    pub fn legs_or_params(&self) -> Vec<Leg> {
        if self.legs.is_empty() { vec![Leg::whole(self.params.clone())] } else { self.legs.clone() }
    }
    /// A whole map of coordinates and nothing else known of it.
    pub fn of_coords(id: u32, name: &str, coords: ndarray_like::Coords) -> Self {
        let xy = coords.values.chunks_exact(coords.dims.max(1)).map(|c| [c[0], c.get(1).copied().unwrap_or(0.0)]).collect();
        Self {
            id,
            name: name.to_owned(),
            params: reduce::Params { dims: coords.dims, ..reduce::Params::default() },
            features: Features::default(),
            xy: Arc::new(xy),
            fitted: coords.values.len() / coords.dims.max(1),
            coords: Arc::new(coords),
            figures: BTreeMap::new(),
            seconds: BTreeMap::new(),
            quality: None,
            row_error: None,
            model: None,
            prepared: None,
            unlike: Arc::default(),
            complete: true,
            legs: Vec::new(),
            generation: 0,
        }
    }
}

/// Plain storage for coordinates.
pub mod ndarray_like {
    /// rows × dims, row-major.
    #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
    pub struct Coords {
        /// Dimensions a row.
        pub dims: usize,
        /// Values, row by row.
        pub values: Vec<f32>,
    }
}

/// How a selection was changed, and by what.
pub type Gesture = (SelectMode, Arc<Provenance>);

/// Gestures, written as what they are.
pub(crate) mod gestures {
    use super::{Arc, Deserialize, Gesture, Provenance, SelectMode, Serialize};

    pub fn serialize<S: serde::Serializer>(steps: &[Gesture], to: S) -> Result<S::Ok, S::Error> {
        steps.iter().map(|(mode, why)| (mode, &**why)).collect::<Vec<(&SelectMode, &Provenance)>>().serialize(to)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Gesture>, D::Error> {
        let steps = Vec::<(SelectMode, Provenance)>::deserialize(from)?;
        Ok(steps.into_iter().map(|(mode, why)| (mode, Arc::new(why))).collect())
    }
}

/// Rows behind an `Arc`, written as the rows themselves.
mod shared {
    use super::{Arc, Deserialize, RowSet, Serialize};
    pub fn write<S: serde::Serializer>(rows: &Arc<RowSet>, to: S) -> Result<S::Ok, S::Error> {
        rows.as_ref().serialize(to)
    }
    pub fn read<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Arc<RowSet>, D::Error> {
        RowSet::deserialize(from).map(Arc::new)
    }
}

/// A named, coloured selection that lasts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subset {
    /// Unique within the session.
    pub id: u32,
    /// For a person.
    pub name: String,
    /// sRGB.
    pub colour: [u8; 3],
    /// Its rows.
    #[serde(serialize_with = "shared::write", deserialize_with = "shared::read")]
    pub rows: Arc<RowSet>,
    /// How it came to be, to be run again on new rows.
    #[serde(with = "gestures")]
    pub steps: Vec<Gesture>,
    /// Drawn in its colour.
    pub visible: bool,
}

/// One search in the ledger.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// For a person: what was asked.
    pub title: String,
    /// The text sent (ADQL or JSON).
    pub text: String,
    /// Service.
    pub service: String,
    /// Seconds since 1970.
    pub unix_time: u64,
    /// Rows in the answer.
    pub rows: usize,
    /// Rows that were not here before.
    pub gained: usize,
    /// Rows that the search before gave and this one does not.
    pub lost: usize,
    /// Rows in both.
    pub kept: usize,
    /// The answer was cut off by a limit.
    pub truncated: bool,
    /// Seconds it took.
    pub seconds: f64,
    /// What went wrong, if it did.
    pub error: Option<String>,
}
