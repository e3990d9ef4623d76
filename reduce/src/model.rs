//! A fitted map that can be stored; [`crate::Placer`] puts new rows on it without fitting anything again.
//!
//! Files hold a line of JSON and then plain little-endian `f32` arrays: small, and no format of another crate to keep.

use crate::autoencoder::{Layer, Net};
use crate::pca::{project, unproject};
use crate::umap::Curve;
use crate::{Error, Method};
use crate::{kernel, level};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};

const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"ASTRMAP1";

/// A fitted map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Version of this structure.
    pub version: u32,
    pub(crate) kind: Kind,
    /// Rows are divided by 2^power before anything else (`level.rs`).
    #[serde(default)]
    pub(crate) power: i32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Pca(Linear),
    Tsne(Reference),
    Autoencoder { net: Net, typical: f32 },
    Umap { reference: Reference, curve: Curve, neighbours: usize },
    Pacmap { reference: Reference, neighbours: usize },
}

/// A projection: mean (d) and components (k × d); `typical` is the median reconstruction error of the fitted rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Linear {
    pub mean: Vec<f32>,
    pub components: Vec<f32>,
    pub typical: f32,
}

/// Reference rows of a t-SNE map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reference {
    /// Applied to rows before distances are taken.
    pub before: Option<Linear>,
    /// Columns of `rows`.
    pub width: usize,
    /// N × width.
    pub rows: Vec<f32>,
    pub dims: usize,
    /// N × dims.
    pub coords: Vec<f32>,
    /// Median distance of the reference rows to their nearest other ones.
    pub typical: f32,
}

/// Where new rows belong on an old map.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// Places, rows × dims.
    pub coords: Array2<f32>,
    /// How unlike the fitted rows each one is: 1 = typical of them, above 3 = strange. Distance to the nearest
    /// reference rows (t-SNE, UMAP, PaCMAP) or reconstruction error (PCA, autoencoder) divided by the fitted rows' own median.
    pub unlike: Vec<f32>,
}

impl Linear {
    pub(crate) fn k(&self) -> usize {
        self.components.len() / self.mean.len().max(1)
    }
}

/// The median error, but never so small that rounding would look strange.
pub(crate) fn typical(errors: &[f32], x: &[f32], mean: &[f32]) -> f32 {
    let d = mean.len();
    let of_row = |row: &[f32]| f64::from(kernel::distance2(row, mean));
    let parts: Vec<f64> =
        x.par_chunks(kernel::CHUNK * d.max(1)).map(|rows| rows.chunks(d.max(1)).map(of_row).sum::<f64>()).collect();
    let size = parts.iter().sum::<f64>() / x.len().max(1) as f64;
    kernel::median(&mut errors.to_vec()).max(1e-3 * size.sqrt() as f32).max(f32::MIN_POSITIVE)
}

fn matrix(data: Vec<f32>, rows: usize, cols: usize) -> Result<Array2<f32>, Error> {
    Array2::from_shape_vec((rows, cols), data).map_err(|e| Error::Shape(e.to_string()))
}

impl Model {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { version: VERSION, kind, power: 0 }
    }

    /// The map's coordinates are multiplied by two to this power: those of components have the rows' own units.
    pub(crate) fn map_power(&self) -> i32 {
        if matches!(self.kind, Kind::Pca(_)) { self.power } else { 0 }
    }

    /// The method that made the map.
    pub fn method(&self) -> Method {
        match self.kind {
            Kind::Pca(_) => Method::Pca,
            Kind::Tsne(_) => Method::Tsne,
            Kind::Autoencoder { .. } => Method::Autoencoder,
            Kind::Umap { .. } => Method::Umap,
            Kind::Pacmap { .. } => Method::Pacmap,
        }
    }

    /// Columns that rows must have.
    pub fn columns(&self) -> usize {
        match &self.kind {
            Kind::Pca(l) => l.mean.len(),
            Kind::Tsne(r) | Kind::Umap { reference: r, .. } | Kind::Pacmap { reference: r, .. } => {
                r.before.as_ref().map_or(r.width, |l| l.mean.len())
            }
            Kind::Autoencoder { net, .. } => net.mean.len(),
        }
    }

    /// Dimensions of the map.
    pub fn dims(&self) -> usize {
        match &self.kind {
            Kind::Pca(l) => l.k(),
            Kind::Tsne(r) | Kind::Umap { reference: r, .. } | Kind::Pacmap { reference: r, .. } => r.dims,
            Kind::Autoencoder { net, .. } => net.latent_mean.len(),
        }
    }

    /// How sure the places of rows are: the standard deviation of each row's cloud along each map axis (rows × dims, map
    /// units), of a variational autoencoder; `None` of other maps.
    ///
    /// # Errors
    /// As [`Self::place`].
    pub fn spread(&self, x: ArrayView2<f32>) -> Result<Option<Array2<f32>>, Error> {
        let data = self.check(x)?;
        let Kind::Autoencoder { net, .. } = &self.kind else { return Ok(None) };
        net.spreads(&net.scaled(&data)).map(|s| matrix(s, x.nrows(), self.dims())).transpose()
    }

    /// Rows (n × columns, in the fitted units) from places on the map; `None` for t-SNE, UMAP and PaCMAP, which have no
    /// way back, and for places of another number of dimensions.
    pub fn decode(&self, latent: ArrayView2<f32>) -> Option<Array2<f32>> {
        let (n, k) = latent.dim();
        if k != self.dims() {
            return None;
        }
        let mut z: Vec<f32> = latent.iter().copied().collect();
        level::multiply(&mut z, -self.map_power());
        let mut data = match &self.kind {
            Kind::Pca(l) => unproject(&z, n, l.mean.len(), &l.mean, &l.components, k),
            Kind::Autoencoder { net, .. } => net.decode(&z),
            Kind::Tsne(_) | Kind::Umap { .. } | Kind::Pacmap { .. } => return None,
        };
        level::multiply(&mut data, self.power);
        Array2::from_shape_vec((n, self.columns()), data).ok()
    }

    /// Map coordinates of a single row (columns numbers, fitted units), in well under a millisecond: for a pointer that
    /// moves. The last digits may differ from those of [`Self::place`]. `None` for methods that place by neighbours, and
    /// for rows of another length or with cells that are not finite.
    pub fn encode_one(&self, row: &[f32]) -> Option<Vec<f32>> {
        if row.len() != self.columns() || row.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let mut row = row.to_vec();
        level::divide(&mut row, self.power);
        let mut place = match &self.kind {
            Kind::Pca(l) => project(&row, 1, row.len(), &l.mean, &l.components, l.k()),
            Kind::Autoencoder { net, .. } => net.encode_one(&row),
            Kind::Tsne(_) | Kind::Umap { .. } | Kind::Pacmap { .. } => return None,
        };
        level::multiply(&mut place, self.map_power());
        Some(place)
    }

    /// A single row (columns numbers, fitted units) from a place on the map (dims numbers), in well under a millisecond:
    /// for a walk over the map. `None` as in [`Self::decode`], and for places that are not finite.
    pub fn decode_one(&self, place: &[f32]) -> Option<Vec<f32>> {
        if place.len() != self.dims() || place.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let mut place = place.to_vec();
        level::multiply(&mut place, -self.map_power());
        let mut row = match &self.kind {
            Kind::Pca(l) => unproject(&place, 1, l.mean.len(), &l.mean, &l.components, l.k()),
            Kind::Autoencoder { net, .. } => net.decode_one(&place),
            Kind::Tsne(_) | Kind::Umap { .. } | Kind::Pacmap { .. } => return None,
        };
        level::multiply(&mut row, self.power);
        Some(row)
    }

    /// Writes the model.
    ///
    /// # Errors
    /// The writer fails.
    pub fn save(&self, mut to: impl Write) -> Result<(), Error> {
        let (head, arrays) = self.parts();
        let text = serde_json::to_vec(&head).map_err(|e| Error::Model(e.to_string()))?;
        to.write_all(MAGIC)?;
        to.write_all(&(text.len() as u64).to_le_bytes())?;
        to.write_all(&text)?;
        for a in arrays {
            to.write_all(&(a.len() as u64).to_le_bytes())?;
            for block in a.chunks(16_384) {
                let bytes: Vec<u8> = block.iter().flat_map(|v| v.to_le_bytes()).collect();
                to.write_all(&bytes)?;
            }
        }
        Ok(())
    }

    /// Reads a model written by [`Model::save`].
    ///
    /// # Errors
    /// The reader fails, or what it holds is not such a model, is cut short or is of a later version.
    pub fn load(mut from: impl Read) -> Result<Self, Error> {
        let mut magic = [0u8; 8];
        from.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(Error::Model("it is not a map written by this program".into()));
        }
        let length = |from: &mut dyn Read| -> Result<u64, Error> {
            let mut b = [0u8; 8];
            from.read_exact(&mut b)?;
            Ok(u64::from_le_bytes(b))
        };
        let bytes = |from: &mut dyn Read, count: u64| -> Result<Vec<u8>, Error> {
            // Never more than is really there, whatever the stated length.
            let mut data = Vec::new();
            from.take(count).read_to_end(&mut data)?;
            if data.len() as u64 == count { Ok(data) } else { Err(Error::Model("it is cut short".into())) }
        };
        let count = length(&mut from)?;
        let head: Head = serde_json::from_slice(&bytes(&mut from, count)?).map_err(|e| Error::Model(e.to_string()))?;
        if head.version != VERSION {
            return Err(Error::Model(format!("it is of version {}, this program reads version {VERSION}", head.version)));
        }
        let mut arrays = Vec::new();
        for _ in 0..head.arrays.min(1000) {
            let count = length(&mut from)?;
            let data = bytes(&mut from, count.saturating_mul(4))?;
            arrays.push(data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect::<Vec<f32>>());
        }
        head.assemble(arrays)
    }

    fn parts(&self) -> (Head, Vec<&[f32]>) {
        let mut head = Head {
            version: self.version,
            method: self.method(),
            dims: self.dims(),
            width: 0,
            before: false,
            sizes: Vec::new(),
            numbers: Vec::new(),
            arrays: 0,
            power: self.power,
        };
        let arrays: Vec<&[f32]> = match &self.kind {
            Kind::Pca(l) => {
                head.numbers = vec![l.typical];
                vec![&l.mean, &l.components]
            }
            Kind::Tsne(r) | Kind::Umap { reference: r, .. } | Kind::Pacmap { reference: r, .. } => {
                head.width = r.width;
                head.before = r.before.is_some();
                head.numbers = vec![r.typical, r.before.as_ref().map_or(1.0, |l| l.typical)];
                match &self.kind {
                    Kind::Umap { curve, neighbours, .. } => head.numbers.extend([*neighbours as f32, curve.a, curve.b]),
                    Kind::Pacmap { neighbours, .. } => head.numbers.push(*neighbours as f32),
                    _ => {}
                }
                let mut a: Vec<&[f32]> = vec![&r.rows, &r.coords];
                if let Some(l) = &r.before {
                    a.extend([&l.mean[..], &l.components]);
                }
                a
            }
            Kind::Autoencoder { net, typical } => {
                head.sizes = net.sizes.clone();
                head.numbers = vec![*typical, net.scale];
                let mut a: Vec<&[f32]> = vec![&net.mean, &net.latent_mean, &net.latent_scale];
                for l in net.layers.iter().chain(&net.spread) {
                    a.extend([&l.w[..], &l.b]);
                }
                a
            }
        };
        head.arrays = arrays.len();
        (head, arrays)
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    method: Method,
    dims: usize,
    width: usize,
    before: bool,
    sizes: Vec<usize>,
    numbers: Vec<f32>,
    arrays: usize,
    #[serde(default)]
    power: i32,
}

impl Head {
    fn assemble(self, arrays: Vec<Vec<f32>>) -> Result<Model, Error> {
        let wrong = |what: &str| Error::Model(format!("its {what} do not fit together"));
        let mut arrays = arrays.into_iter();
        let mut next = || arrays.next().ok_or_else(|| wrong("arrays"));
        let number =
            |i: usize| self.numbers.get(i).copied().filter(|v| v.is_finite() && *v > 0.0).ok_or_else(|| wrong("numbers"));
        let linear = |mean: Vec<f32>, components: Vec<f32>, typical: f32| {
            if mean.is_empty() || components.is_empty() || !components.len().is_multiple_of(mean.len()) {
                Err(wrong("components"))
            } else {
                Ok(Linear { mean, components, typical })
            }
        };
        let kind = match self.method {
            Method::Pca => Kind::Pca(linear(next()?, next()?, number(0)?)?),
            Method::Tsne | Method::Umap | Method::Pacmap => {
                let (rows, coords) = (next()?, next()?);
                let before = if self.before { Some(linear(next()?, next()?, number(1)?)?) } else { None };
                let whole =
                    self.width > 0 && (1..=3).contains(&self.dims) && !rows.is_empty() && rows.len().is_multiple_of(self.width);
                if !whole
                    || coords.len() != rows.len() / self.width * self.dims
                    || before.as_ref().is_some_and(|l| l.k() != self.width)
                {
                    return Err(wrong("reference rows"));
                }
                let reference = Reference { before, width: self.width, rows, dims: self.dims, coords, typical: number(0)? };
                let count = |i: usize| number(i).map(|v| (v as usize).max(1));
                match self.method {
                    Method::Umap => {
                        let curve = Curve { a: number(3)?, b: number(4)? };
                        Kind::Umap { reference, curve, neighbours: count(2)? }
                    }
                    Method::Pacmap => Kind::Pacmap { reference, neighbours: count(2)? },
                    _ => Kind::Tsne(reference),
                }
            }
            Method::Autoencoder => {
                let (mean, latent_mean, latent_scale) = (next()?, next()?, next()?);
                let mut layers = Vec::new();
                for s in self.sizes.windows(2) {
                    let layer = Layer { w: next()?, b: next()? };
                    if layer.b.len() != s[1] || Some(layer.w.len()) != s[0].checked_mul(s[1]) {
                        return Err(wrong("layers"));
                    }
                    layers.push(layer);
                }
                let s = &self.sizes;
                if s.len() < 3
                    || s.len().is_multiple_of(2)
                    || s[0] != mean.len()
                    || s[s.len() - 1] != mean.len()
                    || mean.is_empty()
                {
                    return Err(wrong("layers"));
                }
                if s[s.len() / 2] != latent_mean.len() || latent_mean.len() != latent_scale.len() || latent_mean.is_empty() {
                    return Err(wrong("latent numbers"));
                }
                let mut spread = None;
                if self.arrays == 3 + 2 * layers.len() + 2 {
                    let head = Layer { w: next()?, b: next()? };
                    if head.b.len() != latent_mean.len() || Some(head.w.len()) != s[s.len() / 2 - 1].checked_mul(head.b.len()) {
                        return Err(wrong("layers"));
                    }
                    spread = Some(head);
                }
                let net = Net { sizes: self.sizes.clone(), mean, scale: number(1)?, layers, spread, latent_mean, latent_scale };
                Kind::Autoencoder { net, typical: number(0)? }
            }
        };
        Ok(Model { version: self.version, kind, power: self.power.clamp(-200, 200) })
    }
}
