//! A fitted map that can be stored, and new rows placed on it without fitting anything again.
//!
//! PCA projects, the autoencoder encodes. t-SNE keeps its reference rows and their places: a new row starts at the
//! median of its 25 nearest reference rows and makes 250 steps against the frozen map, whose repulsion is read from one
//! stored mesh, as openTSNE does (Poličar, Stražar & Zupan 2019). Every row is placed on its own, so a row's place does
//! not depend on what else is placed with it. UMAP and PaCMAP do likewise: only the new row moves, drawn by its nearest
//! reference rows and pushed by random ones, which are drawn from the bits of the row itself.
//!
//! Files hold a line of JSON and then plain little-endian `f32` arrays: small, and no format of another crate to keep.

use crate::affinity::calibrate;
use crate::autoencoder::{Layer, Net};
use crate::kernel;
use crate::monitor::{Monitor, step};
use crate::neighbours::among;
use crate::pca::{project, unproject};
use crate::tsne::{EXACT_BELOW, mesh::Mesh, spacing};
use crate::umap::{self, Curve};
use crate::{Error, Method, pacmap};
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

    /// Scores (n × k) and root mean square residual of each row.
    pub(crate) fn apply(&self, x: &[f32], n: usize) -> (Vec<f32>, Vec<f32>) {
        let (d, k) = (self.mean.len(), self.k());
        let scores = project(x, n, d, &self.mean, &self.components, k);
        let mut errors = vec![0.0f32; n];
        errors.par_chunks_mut(kernel::CHUNK).enumerate().for_each(|(c, e)| {
            let first = c * kernel::CHUNK;
            let back = unproject(&scores[first * k..(first + e.len()) * k], e.len(), d, &self.mean, &self.components, k);
            for (r, e) in e.iter_mut().enumerate() {
                *e = (kernel::distance2(&back[r * d..(r + 1) * d], &x[(first + r) * d..(first + r + 1) * d]) / d as f32).sqrt();
            }
        });
        (scores, errors)
    }
}

/// The median error, but never so small that rounding would look strange.
pub(crate) fn typical(errors: &[f32], x: &[f32], mean: &[f32]) -> f32 {
    let d = mean.len();
    let size = x.iter().enumerate().map(|(i, v)| f64::from(v - mean[i % d]).powi(2)).sum::<f64>() / x.len().max(1) as f64;
    kernel::median(&mut errors.to_vec()).max(1e-3 * size.sqrt() as f32).max(f32::MIN_POSITIVE)
}

fn matrix(data: Vec<f32>, rows: usize, cols: usize) -> Result<Array2<f32>, Error> {
    Array2::from_shape_vec((rows, cols), data).map_err(|e| Error::Shape(e.to_string()))
}

impl Model {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { version: VERSION, kind }
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

    /// Places new rows (same columns, same scaling as the fitted ones) on the map; nothing is fitted.
    ///
    /// # Errors
    /// No cells, cells that are not finite, another number of columns, or stopped.
    pub fn place(&self, x: ArrayView2<f32>, monitor: &dyn Monitor) -> Result<Placement, Error> {
        let (n, d) = x.dim();
        let data = kernel::checked(x)?;
        if d != self.columns() {
            return Err(Error::Shape(format!(
                "the map was made from {} columns, the new rows have {d}: use the same columns",
                self.columns()
            )));
        }
        step(monitor, "placing", 0, n)?;
        match &self.kind {
            Kind::Pca(l) => {
                let (scores, errors) = l.apply(&data, n);
                Ok(Placement { coords: matrix(scores, n, l.k())?, unlike: errors.iter().map(|e| e / l.typical).collect() })
            }
            Kind::Autoencoder { net, typical } => {
                let scaled = net.scaled(&data);
                let errors = net.row_errors(&scaled, None);
                Ok(Placement {
                    coords: matrix(net.encode(&scaled), n, self.dims())?,
                    unlike: errors.iter().map(|e| e / typical).collect(),
                })
            }
            Kind::Tsne(r) => r.place(&data, n, monitor),
            Kind::Umap { reference: r, curve, neighbours } => {
                // umap-learn's number of epochs for new rows.
                let rounds = if r.coords.len() / r.dims <= 10_000 { 100 } else { 30 };
                r.place_each(&data, n, *neighbours, monitor, |ids, d2, key, out| {
                    let distances: Vec<f32> = d2.iter().map(|d| d.sqrt()).collect();
                    umap::place(&r.coords, r.dims, ids, &distances, *curve, key, rounds, out);
                })
            }
            Kind::Pacmap { reference: r, neighbours } => {
                r.place_each(&data, n, *neighbours, monitor, |ids, _, key, out| pacmap::place(&r.coords, r.dims, ids, key, out))
            }
        }
    }

    /// Rows (n × columns, in the fitted units) from places on the map; `None` for t-SNE, UMAP and PaCMAP, which have no
    /// way back, and for places of another number of dimensions.
    pub fn decode(&self, latent: ArrayView2<f32>) -> Option<Array2<f32>> {
        let (n, k) = latent.dim();
        if k != self.dims() {
            return None;
        }
        let z: Vec<f32> = latent.iter().copied().collect();
        let data = match &self.kind {
            Kind::Pca(l) => unproject(&z, n, l.mean.len(), &l.mean, &l.components, k),
            Kind::Autoencoder { net, .. } => net.decode(&z),
            Kind::Tsne(_) | Kind::Umap { .. } | Kind::Pacmap { .. } => return None,
        };
        Array2::from_shape_vec((n, self.columns()), data).ok()
    }

    /// Map coordinates of a single row (columns numbers, fitted units), in well under a millisecond: for a pointer that
    /// moves. The last digits may differ from those of [`Self::place`]. `None` for methods that place by neighbours, and
    /// for rows of another length or with cells that are not finite.
    pub fn encode_one(&self, row: &[f32]) -> Option<Vec<f32>> {
        if row.len() != self.columns() || row.iter().any(|v| !v.is_finite()) {
            return None;
        }
        match &self.kind {
            Kind::Pca(l) => Some(project(row, 1, row.len(), &l.mean, &l.components, l.k())),
            Kind::Autoencoder { net, .. } => Some(net.encode_one(row)),
            Kind::Tsne(_) | Kind::Umap { .. } | Kind::Pacmap { .. } => None,
        }
    }

    /// A single row (columns numbers, fitted units) from a place on the map (dims numbers), in well under a millisecond:
    /// for a walk over the map. `None` as in [`Self::decode`], and for places that are not finite.
    pub fn decode_one(&self, place: &[f32]) -> Option<Vec<f32>> {
        if place.len() != self.dims() || place.iter().any(|v| !v.is_finite()) {
            return None;
        }
        match &self.kind {
            Kind::Pca(l) => Some(unproject(place, 1, l.mean.len(), &l.mean, &l.components, l.k())),
            Kind::Autoencoder { net, .. } => Some(net.decode_one(place)),
            Kind::Tsne(_) | Kind::Umap { .. } | Kind::Pacmap { .. } => None,
        }
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
                for l in &net.layers {
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
                let net = Net { sizes: self.sizes.clone(), mean, scale: number(1)?, layers, latent_mean, latent_scale };
                Kind::Autoencoder { net, typical: number(0)? }
            }
        };
        Ok(Model { version: self.version, kind })
    }
}

impl Reference {
    /// Places rows one by one: `each` gets a row's nearest reference rows, their squared distances and a key made of the
    /// row's own bits.
    fn place_each(
        &self,
        x: &[f32],
        n: usize,
        neighbours: usize,
        monitor: &dyn Monitor,
        each: impl Fn(&[u32], &[f32], u64, &mut [f32]) + Sync,
    ) -> Result<Placement, Error> {
        let own;
        let rows: &[f32] = match &self.before {
            Some(l) => {
                own = l.apply(x, n).0;
                &own
            }
            None => x,
        };
        let (d, dims, width) = (self.width, self.dims, x.len() / n);
        let near = among(rows, n, &self.rows, self.rows.len() / d, d, neighbours.max(5), monitor)?;
        let (mut coords, mut unlike) = (vec![0.0f32; n * dims], vec![0.0f32; n]);
        let block = 2048;
        for (b, (coords, unlike)) in coords.chunks_mut(block * dims).zip(unlike.chunks_mut(block)).enumerate() {
            step(monitor, "placing", b * block, n)?;
            coords.par_chunks_mut(dims).zip(unlike.par_iter_mut()).enumerate().for_each(|(r, (out, unlike))| {
                let i = b * block + r;
                let range = i * near.k..(i + 1) * near.k;
                let (ids, d2) = (&near.ids[range.clone()], &near.distances2[range]);
                let five = near.k.min(5);
                *unlike = d2[..five].iter().map(|v| v.sqrt()).sum::<f32>() / five as f32 / self.typical;
                let key = x[i * width..(i + 1) * width].iter().fold(1, |h, v| kernel::mix(h, u64::from(v.to_bits())));
                let k = near.k.min(neighbours);
                each(&ids[..k], &d2[..k], key, out);
            });
        }
        monitor.progress(crate::Progress { stage: "placing", done: n as u64, of: n as u64 });
        Ok(Placement { coords: matrix(coords, n, dims)?, unlike })
    }

    fn place(&self, x: &[f32], n: usize, monitor: &dyn Monitor) -> Result<Placement, Error> {
        let own;
        let rows: &[f32] = match &self.before {
            Some(l) => {
                own = l.apply(x, n).0;
                &own
            }
            None => x,
        };
        let (d, dims) = (self.width, self.dims);
        let count = self.rows.len() / d;
        let near = among(rows, n, &self.rows, count, d, 25, monitor)?;
        let k = near.k;
        step(monitor, "placing", 0, n)?;
        // Two-dimensional places of the reference rows; one-dimensional maps have 0 in the second.
        let flat: Vec<[f32; 2]> = if dims <= 2 {
            self.coords.chunks_exact(dims).map(|c| [c[0], c.get(1).copied().unwrap_or(0.0)]).collect()
        } else {
            Vec::new()
        };
        let mesh = (dims <= 2 && count >= EXACT_BELOW).then(|| {
            let mut mesh = Mesh::new(spacing(count));
            mesh.load(&flat);
            mesh
        });
        let repel = |y: &[f32; 3]| -> ([f32; 3], f32) {
            if let Some(mesh) = &mesh {
                let [phi, fx, fy] = mesh.probe([y[0], y[1]]);
                return ([fx, fy, 0.0], phi);
            }
            let (mut f, mut z) = ([0.0f32; 3], 0.0f32);
            for c in self.coords.chunks_exact(dims) {
                let mut delta = [0.0f32; 3];
                let mut d2 = 1.0f32;
                for a in 0..dims {
                    delta[a] = y[a] - c[a];
                    d2 += delta[a] * delta[a];
                }
                let q = 1.0 / d2;
                z += q;
                for a in 0..dims {
                    f[a] += q * q * delta[a];
                }
            }
            (f, z)
        };
        let (mut low, mut high) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
        for c in self.coords.chunks_exact(dims) {
            for a in 0..dims {
                low[a] = low[a].min(c[a]);
                high[a] = high[a].max(c[a]);
            }
        }
        let mut coords = vec![0.0f32; n * dims];
        let mut unlike = vec![0.0f32; n];
        let block = 256;
        for (b, (coords, unlike)) in coords.chunks_mut(block * 8 * dims).zip(unlike.chunks_mut(block * 8)).enumerate() {
            step(monitor, "placing", b * block * 8, n)?;
            coords.par_chunks_mut(dims).zip(unlike.par_iter_mut()).enumerate().for_each(|(r, (out, unlike))| {
                let i = b * block * 8 + r;
                let (ids, d2) = (&near.ids[i * k..(i + 1) * k], &near.distances2[i * k..(i + 1) * k]);
                let five = k.min(5);
                *unlike = d2[..five].iter().map(|v| v.sqrt()).sum::<f32>() / five as f32 / self.typical;
                let mut p = vec![0.0f32; k];
                calibrate(d2, 5.0f64.min(k as f64 / 3.0), &mut p);
                let at = |j: u32, a: usize| self.coords[j as usize * dims + a];
                let mut y = [0.0f32; 3];
                for (a, y) in y.iter_mut().enumerate().take(dims) {
                    let mut all: Vec<(f32, f32)> = ids.iter().zip(&p).map(|(j, p)| (at(*j, a), *p)).collect();
                    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                    // The weighted median: half of the weight on either side.
                    let mut sum = 0.0;
                    *y = all[all.len() - 1].0;
                    for (v, w) in all {
                        sum += w;
                        if sum >= 0.5 {
                            *y = v;
                            break;
                        }
                    }
                }
                let mut update = [0.0f32; 3];
                let mut gains = [1.0f32; 3];
                for _ in 0..250 {
                    let (f, z) = repel(&y);
                    let mut grad = [0.0f32; 3];
                    for (j, p) in ids.iter().zip(&p) {
                        let mut delta = [0.0f32; 3];
                        let mut d2 = 1.0f32;
                        for a in 0..dims {
                            delta[a] = y[a] - at(*j, a);
                            d2 += delta[a] * delta[a];
                        }
                        for a in 0..dims {
                            grad[a] += 1.5 * p / d2 * delta[a];
                        }
                    }
                    let mut norm = 0.0f32;
                    for a in 0..dims {
                        grad[a] -= f[a] / z.max(1e-12);
                        norm += grad[a] * grad[a];
                    }
                    let clip = if norm > 0.0625 { 0.25 / norm.sqrt() } else { 1.0 };
                    for a in 0..dims {
                        let g = grad[a] * clip;
                        gains[a] = if (update[a] > 0.0) != (g > 0.0) { gains[a] + 0.2 } else { (gains[a] * 0.8).max(0.01) };
                        update[a] = 0.8 * update[a] - 0.1 * gains[a] * g;
                        y[a] = (y[a] + update[a]).clamp(low[a], high[a]);
                    }
                }
                out.copy_from_slice(&y[..dims]);
            });
        }
        monitor.progress(crate::Progress { stage: "placing", done: n as u64, of: n as u64 });
        Ok(Placement { coords: matrix(coords, n, dims)?, unlike })
    }
}
