//! Recipes: the whole path as readable TOML that runs again without a window.
//!
//! A recipe is parsed into steps whose references are checked before anything runs; a wrong word
//! is told with its line. The window writes the same form with *Save recipe*, and *Copy as recipe*
//! beside each step gives one step of it.

mod added;
mod write;

use std::ops::Range;

use asterism_archive::{Filter, FilterValues, Request};
use asterism_reduce as reduce;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::command::Ask;
use crate::document::{Dataset, Document, Leg};
use crate::error::{Error, Result};
use crate::features::{Blanks, FeatureColumn, FeatureKind, Features, Normalise, Transform, Weights};
use crate::select::{Plot, Provenance, Shape};
use crate::sky::{Projection, SkyFrame};
use write::quoted;

pub use added::{ImageStep, MatchStep, step_added};
pub use write::{of_document, params_text, step_features, step_map, step_search, step_select};

/// A whole recipe.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Version of the form: 1.
    pub asterism: Spanned<u32>,
    /// Questions.
    #[serde(default)]
    pub search: Vec<SearchStep>,
    /// Columns from other tables and services, by position.
    #[serde(default, rename = "match")]
    pub matches: Vec<MatchStep>,
    /// Images of a search's field.
    #[serde(default)]
    pub image: Vec<ImageStep>,
    /// Rows to vectors.
    #[serde(default)]
    pub features: Vec<FeaturesStep>,
    /// Vectors to maps.
    #[serde(default)]
    pub map: Vec<MapStep>,
    /// Groups.
    #[serde(default)]
    pub cluster: Vec<ClusterStep>,
    /// Selections, each kept as a subset.
    #[serde(default)]
    pub select: Vec<SelectStep>,
    /// Rules.
    #[serde(default)]
    pub refine: Vec<RefineStep>,
    /// Files of rows.
    #[serde(default)]
    pub export: Vec<ExportStep>,
    /// Pictures.
    #[serde(default)]
    pub draw: Vec<DrawStep>,
}

/// `[[search]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchStep {
    /// For later steps.
    pub name: String,
    /// `mast`, `sample:NAME`, `file:PATH`, or the address or saved name of a service.
    pub service: Spanned<String>,
    /// `mast`, `tap`, `cone`, `sia`, `ssa`, when the address does not tell.
    pub kind: Option<Spanned<String>>,
    /// ADQL of a TAP service.
    pub adql: Option<String>,
    /// Name or degrees.
    pub position: Option<Spanned<String>>,
    /// With unit: `0.2deg`.
    pub radius: Option<Spanned<String>>,
    /// `NAME=VALUE,VALUE` or `NAME=MIN..MAX`; for samples and files one predicate.
    #[serde(default)]
    pub filter: Filters,
    /// Of a file: only these columns.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Of a file of light curves: `{ mask = 1130799, aperture = [12, 13] }`.
    #[serde(default)]
    pub photometry: crate::Photometry,
    /// Limit.
    pub max_rows: Option<usize>,
    /// Asynchronous TAP.
    #[serde(default, rename = "async")]
    pub asynchronous: bool,
    /// Only these parts of a search that goes in parts: `s_ra=0..180; s_dec=..0`, `cone=RA DEC RADIUS`.
    pub parts: Option<Vec<String>>,
}

/// One filter or several.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(untagged)]
pub enum Filters {
    /// None.
    #[default]
    None,
    /// One.
    One(String),
    /// Several, joined by AND.
    Many(Vec<String>),
}

impl Filters {
    fn list(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::One(text) => vec![text.clone()],
            Self::Many(list) => list.clone(),
        }
    }
}

/// `[[features]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeaturesStep {
    /// For later steps.
    pub name: String,
    /// A search.
    pub of: Spanned<String>,
    /// Columns or expressions.
    pub columns: Option<Vec<String>>,
    /// Transform of a column, by its name: `log`, `asinh`, `circle` (degrees), `phase` (0 to 1), `levels` (a column a class or word),
    /// `sphere` (of a pair such as `"ra, dec"`, degrees).
    #[serde(default)]
    pub transforms: std::collections::BTreeMap<String, Transform>,
    /// Numbers that stand for no value, by the column's name.
    #[serde(default)]
    pub missing: std::collections::BTreeMap<String, Vec<f64>>,
    /// Spectra of a column.
    pub spectra: Option<SpectraStep>,
    /// Light curves of a column.
    pub light_curves: Option<CurvesStep>,
    /// Cut-outs, or the pictures of a column.
    pub images: Option<ImagesStep>,
    /// `robust`, `standard`, `none`.
    pub scale: Option<reduce::Scale>,
    /// `median`, `mask`, `omit`.
    pub blanks: Option<Blanks>,
    /// `none`, or `errors`: uncertainties are weights.
    #[serde(default)]
    pub weights: Weights,
}

/// `spectra = { … }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectraStep {
    /// Column of fluxes in array cells, or of addresses or paths of spectra.
    #[serde(default)]
    pub column: String,
    /// `0.8..2.4 um / 400`.
    pub grid: Option<String>,
    /// `median`, `l2`, `none`.
    #[serde(default)]
    pub normalise: Normalise,
}

/// `light_curves = { … }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurvesStep {
    /// Column of brightnesses in array cells, or of addresses or paths of light curves.
    #[serde(default)]
    pub column: String,
    /// Parts of the phase or time; 64.
    pub bins: Option<usize>,
    /// Column or expression of the period to fold with; left out: time.
    #[serde(default)]
    pub period: String,
}

/// `images = { size = 32 }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagesStep {
    /// Side of a cut-out in pixels; of the pictures of a column, once they are shrunk.
    pub size: usize,
    /// Column of addresses or paths of pictures; left out: cut-outs of the search's image.
    #[serde(default)]
    pub column: String,
}

/// `[[map]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapStep {
    /// For later steps.
    pub name: String,
    /// Features.
    pub of: Spanned<String>,
    /// `pca`, `tsne`, `umap`, `pacmap`, `autoencoder`.
    pub method: Spanned<String>,
    /// Dimensions.
    pub dims: Option<usize>,
    /// Makes every random choice; that of the run, or 0, where none is given.
    pub seed: Option<u64>,
    /// t-SNE.
    pub perplexity: Option<f64>,
    /// t-SNE.
    pub iterations: Option<usize>,
    /// t-SNE, late.
    pub exaggeration: Option<f64>,
    /// Autoencoder.
    pub layers: Option<Vec<usize>>,
    /// Autoencoder.
    pub latent: Option<usize>,
    /// Autoencoder: the variational kind.
    pub variational: Option<bool>,
    /// Variational autoencoder.
    pub beta: Option<f64>,
    /// Autoencoder; UMAP.
    pub epochs: Option<usize>,
    /// UMAP, PaCMAP; 0 for automatic.
    pub neighbours: Option<usize>,
    /// UMAP.
    pub min_dist: Option<f64>,
    /// UMAP: `pca` or `spectral`.
    pub start: Option<reduce::Start>,
    /// t-SNE: after the early phase; 0 for automatic.
    pub momentum: Option<f64>,
    /// t-SNE: a wider surrounding too.
    pub multiscale: Option<bool>,
    /// t-SNE: end once the map hardly improves.
    pub settle: Option<bool>,
    /// t-SNE, UMAP, PaCMAP: principal components taken first; 0 for none.
    pub pca_dims: Option<usize>,
    /// t-SNE: ended after so many iterations, before those that were planned.
    pub until: Option<usize>,
    /// The table was still being read: (iteration, rows that were there then), the first at 0.
    #[serde(default)]
    pub arrived: Vec<[usize; 2]>,
    /// t-SNE: then it went on from where it was, with these parameters changed, one after the other.
    #[serde(default)]
    pub then: Vec<ThenStep>,
}

/// `then = [{ … }]`: what is left out is as before.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThenStep {
    /// As in a map.
    pub perplexity: Option<f64>,
    /// Of this leg.
    pub iterations: Option<usize>,
    /// As in a map.
    pub exaggeration: Option<f64>,
    /// As in a map.
    pub momentum: Option<f64>,
    /// As in a map.
    pub multiscale: Option<bool>,
    /// As in a map.
    pub settle: Option<bool>,
    /// As in a map.
    pub pca_dims: Option<usize>,
    /// As in a map.
    pub seed: Option<u64>,
    /// Ended after so many iterations of this leg.
    pub until: Option<usize>,
    /// As in a map, iterations of this leg.
    #[serde(default)]
    pub arrived: Vec<[usize; 2]>,
}

/// `[[cluster]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterStep {
    /// For later steps; the subsets get numbers behind it.
    pub name: String,
    /// A map or features.
    pub of: Spanned<String>,
    /// `kmeans`, `hdbscan` or `gmm` (Gaussian mixture).
    pub method: Spanned<String>,
    /// k-means, 8 by default; Gaussian mixture, by the BIC by default.
    pub k: Option<usize>,
    /// HDBSCAN.
    pub min_cluster_size: Option<usize>,
    /// HDBSCAN.
    pub min_samples: Option<usize>,
}

/// `[[select]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectStep {
    /// Name of the subset.
    pub name: String,
    /// A search; may be left out where a map is named.
    pub of: Option<Spanned<String>>,
    /// A predicate.
    #[serde(rename = "where")]
    pub expr: Option<Spanned<String>>,
    /// A map, with `polygon`.
    pub map: Option<Spanned<String>>,
    /// With `map`: two vectors over its dimensions, to the right and up; the first two dimensions when left out.
    pub axes: Option<[Vec<f64>; 2]>,
    /// Two columns, with `polygon`.
    pub plot: Option<[String; 2]>,
    /// Columns of right ascension and declination, with `centre` and `polygon`.
    pub sky: Option<[String; 2]>,
    /// Centre of the field on the sky in its frame, degrees; the polygon's corners are degrees east and north of it on the plane.
    pub centre: Option<[f64; 2]>,
    /// `field` (gnomonic, when left out), `globe`, `mollweide`, `aitoff`, `hammer`.
    pub projection: Option<Spanned<String>>,
    /// Of centre and plane: equatorial when left out, `galactic`, `ecliptic`.
    pub frame: Option<SkyFrame>,
    /// Outline in data units.
    pub polygon: Option<Vec<[f64; 2]>>,
    /// A CSV file of ids or row numbers.
    pub rows: Option<Spanned<String>>,
}

/// `[[refine]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefineStep {
    /// For later steps.
    pub name: String,
    /// A selection.
    pub of: Spanned<String>,
    /// Columns it may use.
    #[serde(default)]
    pub columns: Vec<String>,
    /// 0 simpler … 1 purer.
    pub balance: Option<f64>,
    /// Search again with the rule; new rows land on the same map.
    #[serde(default)]
    pub again: bool,
}

/// `[[export]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportStep {
    /// A search or a selection.
    pub of: Spanned<String>,
    /// Files; the ending says the format.
    pub to: Vec<String>,
    /// How the rows of those that are VOTables are written: `binary2`, `tabledata`, `binary`, `fits`.
    pub serialization: Option<asterism_data::Serialization>,
}

/// `[[draw]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawStep {
    /// `scatter:MAP`, `spectra:SEARCH`, `sky?frame=galactic`, …: of a kind of [`VIEWS`].
    pub views: Vec<Spanned<String>>,
    /// File, `.png`, `.svg` or `.pdf`.
    pub to: String,
    /// `1600x1000`.
    pub size: Option<String>,
}

/// Kinds of views that can be drawn: `KIND`, `KIND:OF`, `KIND:OF?NAME=VALUE&…`, where OF is a map, a search or a column.
pub const VIEWS: [&str; 13] = [
    "scatter",
    "sky",
    "spectra",
    "light-curves",
    "image",
    "histogram",
    "histograms",
    "gallery",
    "table",
    "components",
    "explain",
    "maps",
    "subsets",
];

/// A recipe with its text, to tell lines.
pub struct Parsed {
    /// File, for messages.
    pub file: String,
    /// The text.
    pub text: String,
    /// The steps.
    pub recipe: Recipe,
}

impl Parsed {
    /// Parse and check every reference.
    ///
    /// # Errors
    /// [`Error::Recipe`] with the line.
    pub fn new(file: &str, text: &str) -> Result<Self> {
        let recipe: Recipe = toml::from_str(text).map_err(|e| Error::Recipe {
            file: file.into(),
            line: e.span().map_or(1, |s| line_of(text, s.start)),
            what: e.message().replace('\n', " "),
        })?;
        let parsed = Self { file: file.into(), text: text.into(), recipe };
        parsed.check()?;
        Ok(parsed)
    }
    /// An error at a place of the text.
    pub fn wrong(&self, span: Range<usize>, what: impl Into<String>) -> Error {
        Error::Recipe { file: self.file.clone(), line: line_of(&self.text, span.start), what: what.into() }
    }
    fn check(&self) -> Result<()> {
        let r = &self.recipe;
        if *r.asterism.get_ref() != 1 {
            return Err(self.wrong(
                r.asterism.span(),
                format!("this recipe is of form {}, this program reads form 1", r.asterism.get_ref()),
            ));
        }
        let one_of = |word: &Spanned<String>, kind: &str, have: &[&str]| {
            if have.contains(&word.get_ref().as_str()) {
                return Ok(());
            }
            let known = if have.is_empty() { "there is none above".to_owned() } else { format!("there are {}", have.join(", ")) };
            Err(self.wrong(word.span(), format!("no {kind} is named '{}': {known}", word.get_ref())))
        };
        let searches: Vec<&str> = r.search.iter().map(|s| s.name.as_str()).collect();
        let features: Vec<&str> = r.features.iter().map(|s| s.name.as_str()).collect();
        let maps: Vec<&str> = r.map.iter().map(|s| s.name.as_str()).collect();
        let matches = r.matches.iter().map(|m| m.name.as_str());
        let selects: Vec<&str> =
            r.select.iter().map(|s| s.name.as_str()).chain(r.cluster.iter().map(|c| c.name.as_str())).chain(matches).collect();
        // What a later step refers to must be one thing.
        for (kind, names) in
            [("search", &searches), ("features", &features), ("map", &maps), ("select, cluster or match", &selects)]
        {
            if let Some(twice) = names.iter().enumerate().find(|(i, n)| names[..*i].contains(n)).map(|(_, n)| n) {
                return Err(Error::said(format!(
                    "{}: two {kind} steps are named '{twice}': give each a name of its own",
                    self.file
                )));
            }
        }
        for m in &r.matches {
            one_of(&m.of, "search", &searches)?;
            if let Some(with) = &m.with {
                one_of(with, "search", &searches)?;
            }
            m.check(self)?;
        }
        for i in &r.image {
            one_of(&i.of, "search", &searches)?;
            i.check(self)?;
        }
        for f in &r.features {
            one_of(&f.of, "search", &searches)?;
            let given = [f.columns.is_some(), f.spectra.is_some(), f.light_curves.is_some(), f.images.is_some()];
            if given.into_iter().filter(|g| *g).count() != 1 {
                return Err(self.wrong(
                    f.of.span(),
                    format!("features '{}' need exactly one of columns, spectra, light_curves, images", f.name),
                ));
            }
        }
        for m in &r.map {
            one_of(&m.of, "features", &features)?;
            if m.method.get_ref().parse::<reduce::Method>().is_err() {
                return Err(self.wrong(
                    m.method.span(),
                    format!("no method is named '{}': there are pca, tsne, umap, pacmap, autoencoder", m.method.get_ref()),
                ));
            }
            if (m.until.is_some() || !m.then.is_empty()) && m.params().method != reduce::Method::Tsne {
                let what = format!("map '{}': only t-SNE goes on from where it was (until, then)", m.name);
                return Err(self.wrong(m.method.span(), what));
            }
            for arrived in std::iter::once(&m.arrived).chain(m.then.iter().map(|t| &t.arrived)) {
                let rises = arrived.is_sorted() && arrived.windows(2).all(|w| w[0][1] < w[1][1]);
                if arrived.first().is_some_and(|[at, rows]| *at > 0 || *rows == 0) || !rises {
                    let what = "arrived lists pairs of an iteration and the rows there were then: the first at 0, and both rise";
                    return Err(self.wrong(m.method.span(), format!("map '{}': {what}", m.name)));
                }
            }
        }
        for c in &r.cluster {
            one_of(&c.of, "map or features", &maps.iter().chain(&features).copied().collect::<Vec<_>>())?;
            if !["kmeans", "hdbscan", "gmm"].contains(&c.method.get_ref().as_str()) {
                return Err(self.wrong(
                    c.method.span(),
                    format!("no way of clustering is named '{}': there are kmeans, hdbscan, gmm", c.method.get_ref()),
                ));
            }
        }
        for s in &r.select {
            if let Some(of) = &s.of {
                one_of(of, "search", &searches)?;
            }
            if let Some(map) = &s.map {
                one_of(map, "map", &maps)?;
            }
            if let Some(expr) = &s.expr {
                asterism_data::Expr::parse(expr.get_ref()).map_err(|e| self.wrong(expr.span(), e.to_string()))?;
            }
            if let Some(p) = &s.projection {
                p.get_ref().parse::<Projection>().map_err(|e| self.wrong(p.span(), e))?;
            }
            let ways = usize::from(s.expr.is_some()) + usize::from(s.polygon.is_some()) + usize::from(s.rows.is_some());
            if ways != 1 {
                let span = s.of.as_ref().or(s.map.as_ref()).map_or(0..0, Spanned::span);
                return Err(self.wrong(
                    span,
                    format!("selection '{}' needs exactly one of where, polygon (with map, plot or sky), rows", s.name),
                ));
            }
        }
        for s in &r.refine {
            one_of(&s.of, "selection", &selects)?;
        }
        for e in &r.export {
            one_of(&e.of, "search or selection", &searches.iter().chain(&selects).copied().collect::<Vec<_>>())?;
            if e.serialization.is_some() && !e.to.iter().any(|to| asterism_data::write::is_votable(to.as_ref())) {
                return Err(
                    self.wrong(e.of.span(), "serialization is of VOTables, and none of the files in `to` ends in .vot or .xml")
                );
            }
        }
        for d in &r.draw {
            for view in &d.views {
                let kind = view.get_ref().split([':', '?']).next().unwrap_or_default();
                if !VIEWS.contains(&kind) {
                    return Err(self.wrong(view.span(), format!("no view is named '{kind}': there are {}", VIEWS.join(", "))));
                }
            }
        }
        Ok(())
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at.min(text.len())].matches('\n').count() + 1
}

impl FeaturesStep {
    /// As the session keeps them.
    pub fn features(&self) -> Features {
        let of = if let Some(s) = &self.spectra {
            FeatureKind::Spectra { column: s.column.clone(), grid: s.grid.clone(), normalise: s.normalise }
        } else if let Some(l) = &self.light_curves {
            FeatureKind::LightCurves { column: l.column.clone(), bins: l.bins.unwrap_or(64), period: l.period.clone() }
        } else if let Some(i) = &self.images {
            FeatureKind::Images { size: i.size, column: i.column.clone() }
        } else {
            let columns = self.columns.clone().unwrap_or_default();
            FeatureKind::Columns(
                columns
                    .into_iter()
                    .map(|c| FeatureColumn {
                        transform: self.transforms.get(&c).copied().unwrap_or_default(),
                        missing: self.missing.get(&c).cloned().unwrap_or_default(),
                        column: c,
                    })
                    .collect(),
            )
        };
        let columns = matches!(of, FeatureKind::Columns(_));
        Features {
            name: self.name.clone(),
            of,
            scale: self.scale.unwrap_or(if columns { reduce::Scale::Robust } else { reduce::Scale::None }),
            blanks: self.blanks.unwrap_or(if columns { Blanks::Median } else { Blanks::Mask }),
            weights: self.weights,
        }
    }
}

impl MapStep {
    /// What happened, in order.
    pub fn legs(&self) -> Vec<Leg> {
        let mut legs = vec![Leg { params: self.params(), until: self.until, arrived: self.arrived.clone() }];
        for t in &self.then {
            let mut p = legs[legs.len() - 1].params.clone();
            p.perplexity = t.perplexity.unwrap_or(p.perplexity);
            p.iterations = t.iterations.unwrap_or(p.iterations);
            p.exaggeration = t.exaggeration.unwrap_or(p.exaggeration);
            p.momentum = t.momentum.unwrap_or(p.momentum);
            p.multiscale = t.multiscale.unwrap_or(p.multiscale);
            p.settle = t.settle.unwrap_or(p.settle);
            p.pca_dims = t.pca_dims.unwrap_or(p.pca_dims);
            p.seed = t.seed.unwrap_or(p.seed);
            legs.push(Leg { params: p, until: t.until, arrived: t.arrived.clone() });
        }
        legs
    }
    /// As the method takes them.
    pub fn params(&self) -> reduce::Params {
        let mut p = reduce::Params { seed: self.seed.unwrap_or(0), ..reduce::Params::default() };
        if let Ok(method) = self.method.get_ref().parse() {
            p.method = method;
        }
        p.dims = self.latent.or(self.dims).unwrap_or(p.dims);
        p.perplexity = self.perplexity.unwrap_or(p.perplexity);
        p.iterations = self.iterations.unwrap_or(p.iterations);
        p.exaggeration = self.exaggeration.unwrap_or(p.exaggeration);
        p.layers = self.layers.clone().unwrap_or(p.layers);
        p.epochs = self.epochs.unwrap_or(p.epochs);
        p.neighbours = self.neighbours.unwrap_or(p.neighbours);
        p.min_dist = self.min_dist.unwrap_or(p.min_dist);
        p.start = self.start.unwrap_or(p.start);
        p.momentum = self.momentum.unwrap_or(p.momentum);
        p.multiscale = self.multiscale.unwrap_or(p.multiscale);
        p.settle = self.settle.unwrap_or(p.settle);
        p.pca_dims = self.pca_dims.unwrap_or(p.pca_dims);
        p.variational = self.variational.unwrap_or(p.variational);
        p.beta = self.beta.unwrap_or(p.beta);
        p
    }
}

/// What a search step asks. Positions that are names are looked up by `resolve`.
///
/// # Errors
/// With the line of the word that is wrong.
pub fn ask_of(
    parsed: &Parsed,
    step: &SearchStep,
    folder: &std::path::Path,
    services: &asterism_archive::Services,
    resolve: &mut dyn FnMut(&str) -> Result<(f64, f64)>,
) -> Result<Ask> {
    let service = step.service.get_ref();
    let filters = step.filter.list();
    let predicate = (!filters.is_empty()).then(|| filters.join(" AND "));
    if let Some(name) = service.strip_prefix("sample:") {
        if crate::sample::by_name(name).is_none() {
            return Err(
                parsed.wrong(step.service.span(), format!("no sample is named '{name}': there are {}", crate::sample::names()))
            );
        }
        return Ok(Ask::Sample { name: name.into(), filter: predicate, max_rows: step.max_rows });
    }
    if let Some(path) = service.strip_prefix("file:") {
        return Ok(Ask::File {
            path: folder.join(path),
            columns: step.columns.clone(),
            photometry: step.photometry.clone(),
            filter: predicate,
            max_rows: step.max_rows,
        });
    }
    let position = match &step.position {
        Some(text) => match asterism_archive::parse_position(text.get_ref()) {
            Some(p) => Some(p),
            None => Some(resolve(text.get_ref()).map_err(|e| parsed.wrong(text.span(), e.to_string()))?),
        },
        None => None,
    };
    let radius = match &step.radius {
        Some(text) => asterism_archive::parse_radius(text.get_ref()).map_err(|e| parsed.wrong(text.span(), e.to_string()))?,
        None => 0.05,
    };
    let parsed_filters = filters
        .iter()
        .map(|f| f.parse::<Filter>())
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|e| parsed.wrong(step.service.span(), e.to_string()))?;
    let kind = step.kind.as_ref().map(|k| k.get_ref().as_str());
    request_of(service, kind, step.adql.as_deref(), position, radius, parsed_filters, step.max_rows, step.asynchronous, services)
        .and_then(|request| match &step.parts {
            Some(texts) => Ok(Request::Parts { plan: asterism_archive::Plan::of_texts(&request, texts)? }),
            None => Ok(request),
        })
        .map(|request| Ask::Archive { request })
        .map_err(|e| parsed.wrong(step.service.span(), e.to_string()))
}

/// A request from the words of a recipe or of the command line.
///
/// # Errors
/// When a service cannot be told, or needs something that is not given.
pub fn request_of(
    service: &str,
    kind: Option<&str>,
    adql: Option<&str>,
    position: Option<(f64, f64)>,
    radius_deg: f64,
    filters: Vec<Filter>,
    max_rows: Option<usize>,
    asynchronous: bool,
    services: &asterism_archive::Services,
) -> Result<Request> {
    use asterism_archive::Kind;
    let saved = services.saved.iter().find(|s| s.name.eq_ignore_ascii_case(service));
    let base = saved.map_or(service, |s| s.url.as_str()).to_owned();
    let mut kind = match kind {
        Some(text) => Some(
            text.parse::<Kind>()
                .map_err(|_| Error::said(format!("no kind of service is named '{text}': there are mast, mission, tap, obscore, cone, sia, sia2, ssa, datalink, hats, registry")))?,
        ),
        None => saved.map(|s| s.kind),
    };
    // Services of the portal by their own names are questions that have a word here.
    let catalogue = service.strip_prefix("mast:").map(|name| asterism_archive::mast::word_of(name).unwrap_or(name));
    if kind.is_none() {
        kind = if service == "mast" || catalogue.is_some() {
            Some(Kind::Mast)
        } else if adql.is_some() || service.to_ascii_lowercase().contains("tap") {
            Some(Kind::Tap)
        } else if service.contains("://") {
            Some(Kind::Cone)
        } else {
            None
        };
    }
    let needs_address = !matches!(kind, None | Some(Kind::Mast | Kind::Mission | Kind::Obscore | Kind::Registry | Kind::Hats));
    if needs_address && !base.contains("://") {
        return Err(Error::said(format!(
            "'{service}' is no address of a service (https://…) and no saved service is named so; those that are kept stand in the window's list of services"
        )));
    }
    let here =
        || position.ok_or_else(|| Error::said("a position is needed: a name such as M 31, or degrees such as 10.68 41.27"));
    match kind {
        Some(Kind::Mast) => match (catalogue.filter(|name| !name.is_empty()), position) {
            (Some("products"), _) => {
                let wanted = filters.iter().find(|f| f.name.eq_ignore_ascii_case("obsid"));
                let obsids: Vec<i64> = match wanted.map(|f| &f.values) {
                    Some(FilterValues::OneOf(list)) => list.iter().filter_map(|v| v.trim().parse().ok()).collect(),
                    _ => Vec::new(),
                };
                if obsids.is_empty() {
                    return Err(Error::said("mast:products needs the numbers of observations: filter = \"obsid=2003585980,…\""));
                }
                Ok(Request::MastProducts { obsids })
            }
            (Some(name), at) if asterism_archive::portal::find(name).is_some() => Ok(Request::Portal {
                service: asterism_archive::portal::find(name).map_or_else(String::new, |s| s.name.into()),
                position: at.map(|(ra, dec)| (ra, dec, radius_deg)),
                filters,
                objects: Vec::new(),
                radius_deg: Some(radius_deg),
                max_rows,
            }),
            (Some(name), _) => {
                let (ra_deg, dec_deg) = here()?;
                Ok(Request::MastCatalog { catalog: name.into(), ra_deg, dec_deg, radius_deg, filters, max_rows })
            }
            (None, Some((ra_deg, dec_deg))) if filters.is_empty() => {
                Ok(Request::MastCone { ra_deg, dec_deg, radius_deg, max_rows })
            }
            (None, None) if filters.is_empty() => Err(Error::said("MAST needs a position or filters")),
            (None, at) => Ok(Request::MastFiltered { filters, position: at.map(|(ra, dec)| (ra, dec, radius_deg)), max_rows }),
        },
        Some(Kind::Tap) => {
            let adql = adql.ok_or_else(|| Error::said("a TAP service needs a query: give it ADQL"))?;
            Ok(Request::Tap { base, adql: adql.into(), asynchronous, max_rows, uploads: Vec::new() })
        }
        Some(kind @ (Kind::Mission | Kind::Obscore | Kind::Sia2 | Kind::DataLink | Kind::Registry | Kind::Hats)) => {
            crate::doors::request(kind, service, base, position, radius_deg, filters, max_rows)
        }
        Some(Kind::Cone) => here().map(|(ra_deg, dec_deg)| Request::Cone { base, ra_deg, dec_deg, radius_deg, max_rows }),
        Some(Kind::Sia) => here().map(|(ra_deg, dec_deg)| Request::Sia { base, ra_deg, dec_deg, radius_deg, max_rows }),
        Some(Kind::Ssa) => here().map(|(ra_deg, dec_deg)| Request::Ssa { base, ra_deg, dec_deg, radius_deg, max_rows }),
        None => Err(Error::said(format!(
            "'{service}' is no service: give mast, sample:NAME, file:PATH, an address, or a saved service's name"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use crate::command::SelectMode;

    use super::write::{map_text, quoted};
    use super::*;

    #[test]
    fn a_wrong_word_is_told_with_its_line() {
        let text = "asterism = 1\n[[search]]\nname = 'a'\nservice = 'sample:a478'\n\n[[features]]\nname = 'f'\nof = 'b'\ncolumns = ['x']\n";
        let Err(Error::Recipe { line, what, .. }) = Parsed::new("r.toml", text) else { panic!("accepted") };
        assert_eq!(line, 8);
        assert!(what.contains("'b'") && what.contains("there are a"), "{what}");
        let Err(Error::Recipe { line, .. }) = Parsed::new("r.toml", "asterism = 1\n\n[[serch]]\nname = 'a'\n") else {
            panic!("accepted")
        };
        assert_eq!(line, 3);
    }

    #[test]
    fn services_of_the_portal_are_asked_by_their_own_names() {
        let services = asterism_archive::Services::default();
        let ask = |name: &str, at| request_of(name, None, None, at, 0.1, Vec::new(), Some(5), false, &services);
        for (name, word) in [("Mast.Catalogs.Tic.Cone", "tic"), ("catalogs.gaiadr2.cone", "gaiadr2"), ("Mast.Hsc.Db.v3", "hsc")] {
            let Ok(Request::MastCatalog { catalog, .. }) = ask(&format!("mast:{name}"), Some((1.0, 2.0))) else {
                panic!("{name}")
            };
            assert_eq!(catalog, word);
        }
        assert!(matches!(ask("mast:Mast.Caom.Cone", Some((1.0, 2.0))), Ok(Request::MastCone { .. })));
        assert!(ask("mast:Mast.Caom.Filtered", None).is_err_and(|e| e.to_string().contains("needs a position or filters")));
        // A query for something that is no address.
        let said = request_of("nosuch", None, Some("SELECT 1"), None, 0.1, Vec::new(), None, false, &services).unwrap_err();
        assert!(said.to_string().contains("'nosuch' is no address of a service"), "{said}");
    }

    #[test]
    fn every_parameter_of_a_map_is_written_and_read() {
        let mut p = reduce::Params { seed: 3, perplexity: 12.5, iterations: 260, exaggeration: 1.5, ..reduce::Params::default() };
        (p.momentum, p.multiscale, p.settle, p.pca_dims) = (0.8, true, false, 20);
        let umap = reduce::Params {
            method: reduce::Method::Umap,
            start: reduce::Start::Spectral,
            neighbours: 9,
            min_dist: 0.25,
            epochs: 77,
            ..reduce::Params::default()
        };
        let clouds = reduce::Params {
            method: reduce::Method::Autoencoder,
            variational: true,
            beta: 2.5,
            dims: 3,
            layers: vec![64, 16],
            epochs: 9,
            ..reduce::Params::default()
        };
        for p in [p, umap, clouds, reduce::Params::default()] {
            let text = map_text("m", &p, "f");
            let head = "asterism = 1\n[[search]]\nname = 's'\nservice = 'sample:a478'\n[[features]]\nname = 'f'\nof = 's'\ncolumns = ['f_ha']\n";
            let parsed = Parsed::new("r.toml", &format!("{head}{text}")).expect("it is read again");
            assert_eq!(parsed.recipe.map[0].params(), p, "{text}");
        }
    }

    #[test]
    fn an_outline_on_a_turned_map_is_written_and_read() {
        let ask = crate::Ask::Sample { name: "a478".into(), filter: None, max_rows: None };
        let mut dataset = crate::ledger::probe(&ask, Default::default(), None, Vec::new());
        let coords =
            crate::document::ndarray_like::Coords { dims: 3, values: vec![1.0, 0.0, 5.0, 0.0, 1.0, -5.0, 3.0, 3.0, 0.0] };
        dataset.maps.push(std::sync::Arc::new(crate::Map::of_coords(4, "space", coords)));
        let axes = [vec![0.0, 0.0, 1.0], vec![0.6, 0.8, 0.0]];
        let plot = Plot::MapAxes { map: 4, axes: axes.clone() };
        let at = crate::select::positions(&dataset, &plot).expect("it is there");
        assert!((at[0][0] - 5.0).abs() < 1e-6 && (at[0][1] - 0.6).abs() < 1e-6 && (at[2][1] - 4.2).abs() < 1e-6, "{at:?}");
        let short = Plot::MapAxes { map: 4, axes: [vec![1.0, 0.0], vec![0.0, 1.0]] };
        assert!(crate::select::positions(&dataset, &short).is_err());
        let why = Provenance::Shape { plot, shape: Shape::Polygon(vec![[-0.5, -0.5], [0.5, -0.5], [0.0, 0.25]]) };
        let text =
            step_select(&dataset, "side", &[(SelectMode::Replace, std::sync::Arc::new(why))]).expect("a recipe can say it");
        let step: SelectStep = toml::from_str(text.trim_start_matches("[[select]]")).expect("it is read again");
        assert_eq!(step.axes, Some(axes));
        assert_eq!(step.map.map(|m| m.into_inner()), Some("space".into()));
    }

    #[test]
    fn an_outline_on_the_sky_is_written_and_read() {
        let ask = crate::Ask::Sample { name: "a478".into(), filter: None, max_rows: None };
        let dataset = crate::ledger::probe(&ask, Default::default(), None, Vec::new());
        let why = Provenance::Shape {
            plot: Plot::Sky {
                ra: "ra".into(),
                dec: "dec".into(),
                centre: [359.9, -89.0],
                projection: Projection::Mollweide,
                frame: Default::default(),
            },
            shape: Shape::Polygon(vec![[-0.5, -0.5], [0.5, -0.5], [0.0, 0.25]]),
        };
        let text = step_select(&dataset, "cap", &[(SelectMode::Replace, std::sync::Arc::new(why))]).expect("a recipe can say it");
        let search = format!("asterism = 1\n[[search]]\nname = {}\nservice = 'sample:a478'\n", quoted(&dataset.name));
        let parsed = Parsed::new("r.toml", &format!("{search}{text}")).expect("it is read again");
        let step = &parsed.recipe.select[0];
        assert_eq!(step.projection.as_ref().map(|p| p.get_ref().as_str()), Some("mollweide"));
        assert_eq!((step.sky.clone(), step.centre), (Some(["ra".into(), "dec".into()]), Some([359.9, -89.0])));
        assert_eq!(step.polygon.as_deref().map(|p| (p.len(), p[2])), Some((3, [0.0, 0.25])));
    }
}
