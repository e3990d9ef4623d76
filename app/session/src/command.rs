//! What a person wants: plain data, from a menu, a key, the command line, a recipe or a test.

use std::path::PathBuf;

use asterism_archive::Request;
use asterism_data::RowSet;
use asterism_reduce as reduce;
use serde::{Deserialize, Serialize};

use crate::features::Features;
use crate::photometry::Photometry;
use crate::select::Provenance;

/// Whom to ask, and what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Ask {
    /// A sample inside the program, which answers like a service.
    Sample {
        /// `a478`, `spex`, `ogle3` or `hdf`.
        name: String,
        /// Only rows for which this predicate is true.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
        /// At most so many rows, a fair sample of them (every n-th).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_rows: Option<usize>,
    },
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// Only these columns; all when empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        columns: Vec<String>,
        /// How its light curves come to be.
        #[serde(default, skip_serializing_if = "Photometry::is_default")]
        photometry: Photometry,
        /// Only rows for which this predicate is true.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
        /// At most so many rows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_rows: Option<usize>,
    },
    /// A service on the network.
    Archive {
        /// The request.
        request: Request,
    },
}

impl Ask {
    /// All of a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File { path: path.into(), columns: Vec::new(), photometry: Photometry::default(), filter: None, max_rows: None }
    }
}

/// How a gesture combines with what is selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectMode {
    /// Makes a new subset of the gesture's rows.
    New,
    /// The gesture's rows alone.
    #[default]
    Replace,
    /// Adds them.
    Or,
    /// Keeps those in both.
    And,
    /// Those in one but not both.
    Xor,
    /// Removes them.
    AndNot,
}

/// Which rows leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportRows {
    /// Every row.
    All,
    /// The selection.
    Selection,
    /// A subset, by its id.
    Subset(u32),
}

/// What clusters are looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterOn {
    /// The vectors of the features.
    Vectors,
    /// The map in front.
    Map,
}

/// How oddness is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outliers {
    /// Local outlier factor (Breunig et al. 2000): how much thinner the rows lie around it than around its neighbours.
    Lof,
    /// Isolation forest (Liu et al. 2008): how few random cuts set it apart.
    Forest,
}

impl Outliers {
    /// For a person.
    pub fn label(self) -> &'static str {
        match self {
            Self::Lof => "Local outlier factor",
            Self::Forest => "Isolation forest",
        }
    }
    /// The column that is made.
    pub fn column(self) -> &'static str {
        match self {
            Self::Lof => "outlier_lof",
            Self::Forest => "outlier_forest",
        }
    }
    /// What its numbers mean.
    pub fn description(self) -> &'static str {
        match self {
            Self::Lof => "local outlier factor: about 1 among its like, larger where rows lie thinner than around its neighbours",
            Self::Forest => "isolation forest: near 0.5 for most rows, towards 1 for those that few cuts set apart",
        }
    }
}

/// An intent. [`crate::Session::apply`] is the one function that carries it out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Command {
    /// Ask, and show the answer as a new dataset.
    Search {
        /// Name for the dataset; empty for one made from the question.
        name: String,
        /// The question.
        ask: Ask,
    },
    /// Open a sample as a newcomer should see it: mapped, with the group it is about selected.
    OpenSample {
        /// Its name.
        name: String,
    },
    /// Get what is missing of a truncated answer: the parts that are left of a search that goes in parts, else all rows by the
    /// dataset's question with the limit lifted.
    GetRest,
    /// End a search that goes in parts once the part on its way is here; *GetRest* goes on later.
    StopAfterPart {
        /// The job's id.
        id: u64,
    },
    /// Make the light curves of the file in front anew: other quality bits, other pixels.
    SetPhotometry {
        /// As it is to be.
        photometry: Photometry,
    },
    /// Show another dataset.
    Activate {
        /// Its index.
        index: usize,
    },
    /// Forget a dataset.
    CloseDataset {
        /// Its index.
        index: usize,
    },
    /// Set how rows become vectors.
    SetFeatures {
        /// The recipe.
        features: Features,
    },
    /// Compute a map of the dataset in front with its features.
    StartMap {
        /// Name; empty for one made from the method.
        name: String,
        /// Method and parameters.
        params: reduce::Params,
    },
    /// Compute a map leg by leg as another was: with parameters that were changed on the way, or that went on.
    RepeatMap {
        /// Name; empty for one made from the method.
        name: String,
        /// What happened, in order.
        legs: Vec<crate::document::Leg>,
    },
    /// Let the t-SNE map in front go on from where it is, with these parameters: a map of its own beside it.
    GoOn {
        /// Iterations to do, and whatever else is to be different.
        params: reduce::Params,
    },
    /// Bring a map to the front.
    ShowMap {
        /// Its id.
        id: u32,
    },
    /// Forget a map.
    DeleteMap {
        /// Its id.
        id: u32,
    },
    /// Let the map that is being computed go on with other parameters: t-SNE from where it is, other methods from their beginning.
    ChangeMap {
        /// The job's id.
        id: u64,
        /// What it is to go on with.
        params: reduce::Params,
    },
    /// Pause a job.
    PauseJob {
        /// Its id.
        id: u64,
    },
    /// Let a paused job go on.
    ResumeJob {
        /// Its id.
        id: u64,
    },
    /// End a job; what it has so far is kept.
    CancelJob {
        /// Its id.
        id: u64,
    },
    /// Combine rows with the selection.
    Select {
        /// The gesture's rows.
        rows: RowSet,
        /// How they were picked.
        why: Provenance,
        /// How they combine; the document's mode when absent.
        #[serde(default)]
        mode: Option<SelectMode>,
    },
    /// The outline drawn last lies elsewhere: it takes the place of the last step, in its mode.
    MoveOutline {
        /// Rows inside of it.
        rows: RowSet,
        /// Where it is now.
        why: Provenance,
    },
    /// Combine the rows that a predicate finds with the selection.
    SelectWhere {
        /// SQL predicate.
        expr: String,
        /// How; the document's mode when absent.
        #[serde(default)]
        mode: Option<SelectMode>,
    },
    /// Select nothing.
    ClearSelection,
    /// Select the rows most alike to those selected: nearest to their mean in the vectors of the features.
    SelectAlike {
        /// How many.
        k: usize,
    },
    /// Select every row.
    SelectAll,
    /// Select the others.
    InvertSelection,
    /// How the next gesture combines.
    SetMode {
        /// The mode.
        mode: SelectMode,
    },
    /// Draw the rows outside the selection, or not.
    HideRest {
        /// Do not draw them.
        hide: bool,
    },
    /// Keep the selection under a name.
    SaveSubset {
        /// The name; empty for "subset n".
        name: String,
    },
    /// Select a subset's rows.
    SelectSubset {
        /// Its id.
        id: u32,
        /// How; the document's mode when absent.
        #[serde(default)]
        mode: Option<SelectMode>,
    },
    /// Change a subset's name, colour or visibility.
    EditSubset {
        /// Its id.
        id: u32,
        /// New name.
        #[serde(default)]
        name: Option<String>,
        /// New colour, sRGB.
        #[serde(default)]
        colour: Option<[u8; 3]>,
        /// Drawn in its colour.
        #[serde(default)]
        visible: Option<bool>,
    },
    /// Forget a subset.
    DeleteSubset {
        /// Its id.
        id: u32,
    },
    /// k-means; makes coloured subsets.
    KMeans {
        /// Number of clusters.
        k: usize,
        /// Of what.
        on: ClusterOn,
    },
    /// HDBSCAN; makes coloured subsets.
    Hdbscan {
        /// Smallest group that counts as one.
        min_cluster_size: usize,
        /// Neighbours of a core point; 0 for the same as `min_cluster_size`.
        min_samples: usize,
        /// Of what.
        on: ClusterOn,
    },
    /// Gaussian mixture; makes coloured subsets.
    Mixture {
        /// Number of parts; 0 for as many as the BIC likes best, up to 12.
        k: usize,
        /// Of what.
        on: ClusterOn,
    },
    /// Say how odd each row is, in a column of the table.
    ScoreOutliers {
        /// By which method.
        how: Outliers,
        /// Of what.
        on: ClusterOn,
    },
    /// Turn the selection into a rule on columns.
    FitRule {
        /// Columns it may use; empty for all that a service could query.
        columns: Vec<String>,
        /// 0 simpler and more complete … 1 purer.
        balance: f64,
    },
    /// Trade purity against completeness for the rule that is there.
    SetBalance {
        /// 0 … 1.
        balance: f64,
    },
    /// Select the rows that the rule matches.
    SelectRule,
    /// Ask the service again with the rule; new rows land on the same map.
    SearchAgain,
    /// Connect to TOPCAT, Aladin, DS9 and their like by SAMP; become the hub where none runs.
    Connect,
    /// End that connection.
    Disconnect,
    /// Send rows as a table to another program.
    SendTable {
        /// Which.
        rows: ExportRows,
        /// The hub's word for the program; all that take tables when absent.
        #[serde(default)]
        to: Option<String>,
    },
    /// Send the first image that is a FITS file to the programs that take images.
    SendImage,
    /// Send the spectrum of the first selected row, or the only one, to the programs that take spectra.
    SendSpectrum,
    /// Point the other programs at the first selected row.
    PointOut,
    /// Tell other programs the selection whenever it changes, or no longer.
    ShareSelection {
        /// Share it.
        on: bool,
    },
    /// Write rows to a file; the ending says the format.
    Export {
        /// Which.
        rows: ExportRows,
        /// Where.
        to: PathBuf,
        /// How the rows of a VOTable are written.
        #[serde(default)]
        serialization: asterism_data::Serialization,
    },
    /// List the files behind observations of MAST as a table of their own.
    ListProducts {
        /// Of which rows.
        rows: ExportRows,
    },
    /// Fetch the products that a column names and read them into columns of array cells.
    ReadProducts {
        /// Column of addresses or paths.
        column: String,
        /// What they are.
        kind: crate::products::ProductKind,
        /// Of which rows.
        rows: ExportRows,
    },
    /// Download the files behind rows into a folder, as `mastDownload/<collection>/<obs_id>/<file>`. What was broken off goes on.
    Download {
        /// Which.
        rows: ExportRows,
        /// Folder.
        to: PathBuf,
    },
    /// Look what a service has behind a row of the table in front: links (DataLink), services that cut (SODA), products.
    /// [`crate::Session::behind`] has the answer.
    LookBehind {
        /// The row.
        row: usize,
    },
    /// Fetch one product and show it: images as layers of the table in front, anything else as a table of its own.
    OpenProduct {
        /// Address or `mast:` URI.
        address: String,
        /// For a person.
        name: String,
        /// The address is of a service that makes a job of it (SODA async).
        #[serde(default)]
        by_job: bool,
    },
    /// Download one product into a folder.
    SaveProduct {
        /// Address or `mast:` URI.
        address: String,
        /// File name; from the address when empty.
        name: String,
        /// Folder.
        to: PathBuf,
    },
    /// Ask TESScut, Zcut and Pan-STARRS what they have at a place. [`crate::Session::cut_outs`] has the answer.
    FindCutOuts {
        /// Right ascension and declination, degrees ICRS.
        at: (f64, f64),
    },
    /// Let a service cut at a place, and show what comes as [`Command::OpenProduct`] does.
    CutOut {
        /// Right ascension and declination, degrees ICRS.
        at: (f64, f64),
        /// Which service, and how large.
        from: crate::behind::CutOut,
    },
    /// Ask a TAP service for its jobs. [`crate::Session::jobs_of`] has the answer.
    ListTapJobs {
        /// Base address.
        base: String,
    },
    /// End a job of a TAP service.
    AbortTapJob {
        /// Base address.
        base: String,
        /// The job's.
        url: String,
    },
    /// Remove a job and its result from the server; one that is gone there is forgotten here.
    DeleteTapJob {
        /// Base address.
        base: String,
        /// The job's.
        url: String,
    },
    /// Take a job up: wait for it if need be, and show its rows as a search.
    FetchTapJob {
        /// Base address.
        base: String,
        /// The job's.
        url: String,
    },
    /// Match the table in front with another one by position.
    MatchTables {
        /// The other's id.
        with: u32,
        /// The other's positions; found by UCD or name when absent.
        #[serde(default)]
        columns: crate::lists::Columns,
        /// How.
        how: crate::lists::Matching,
    },
    /// Match rows of the table in front with a service by position.
    MatchService {
        /// How it is asked.
        by: crate::lists::MatchBy,
        /// Which rows.
        rows: ExportRows,
        /// How pairs are chosen.
        how: crate::lists::Matching,
    },
    /// Write the addresses of the rows' products, one a line, or as a shell script (`.sh`).
    ExportProducts {
        /// Which.
        rows: ExportRows,
        /// Where.
        to: PathBuf,
    },
    /// Write everything in the window into one file.
    SaveSession {
        /// Where.
        to: PathBuf,
    },
    /// Open such a file.
    OpenSession {
        /// Which.
        path: PathBuf,
    },
    /// Do what a recipe says, step by step, in this session. Its exports and pictures are left to *Take*.
    OpenRecipe {
        /// The TOML file.
        path: PathBuf,
    },
    /// Leave the rest of the recipe; what it made so far stays.
    StopRecipe,
    /// Write the path so far as a recipe.
    SaveRecipe {
        /// Where.
        to: PathBuf,
    },
    /// The window's panes changed.
    SetLayout {
        /// As the window writes them.
        layout: serde_json::Value,
    },
    /// One step back.
    Undo,
    /// One step forth.
    Redo,
}
