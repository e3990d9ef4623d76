//! New rows on an old map, millions of them in chunks.
//!
//! PCA projects, the autoencoder encodes. t-SNE keeps its reference rows and their places: a new row starts at the
//! weighted median of its 25 nearest reference rows and makes 250 steps against the frozen map, whose repulsion is read
//! from one mesh, as openTSNE does (Poličar, Stražar & Zupan 2024). UMAP and PaCMAP do likewise: only the new row moves,
//! drawn by its nearest reference rows and pushed by random ones, which are drawn from the bits of the row itself.
//!
//! Every row is placed on its own, so a row's place depends neither on what else is placed with it nor on how rows are cut
//! into chunks: to the last bit, since products are taken of blocks of a fixed number of rows, filled up with zeros
//! (`gemm` sums few rows in another order than many). The index of the reference rows and the mesh are made once, by
//! [`Model::placer`]. Cost of a row: about √N comparisons for its neighbours, and for t-SNE 250 · (25 + 16) operations;
//! a map of three dimensions or of fewer than 300 rows has no mesh and takes 250 · N. Memory: the index (once more the
//! reference rows), and a chunk with its places.

use crate::affinity::calibrate;
use crate::index::{Index, Scratch};
use crate::kernel::{self, wide};
use crate::level;
use crate::model::{Kind, Linear, Model, Placement, Reference};
use crate::monitor::{Monitor, step};
use crate::pca::{project, unproject};
use crate::tsne::{mesh::Mesh, spacing};
use crate::{Error, Progress, pacmap, umap};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// Rows of a product.
pub(crate) const TILE: usize = 64;
/// Rows between two looks at the monitor.
const WAVE: usize = 1_024;
/// t-SNE: neighbours, steps and perplexity of a new row.
pub(crate) const NEAR: usize = 25;
const STEPS: usize = 250;
pub(crate) const PERPLEXITY: f64 = 5.0;
/// Reference rows below which all of them are summed instead of a mesh.
const MESH: usize = 300;

/// Places rows on a map; what takes time to make is made once. From [`Model::placer`].
pub struct Placer<'a> {
    model: &'a Model,
    field: Option<Field<'a>>,
}

/// A reference map that draws and pushes.
struct Field<'a> {
    reference: &'a Reference,
    index: Index,
    mesh: Option<Mesh>,
    low: [f32; 3],
    high: [f32; 3],
}

impl Model {
    /// Gets ready to place rows: sorts the reference rows, makes the mesh. Worth keeping for more than one chunk.
    ///
    /// # Errors
    /// Stopped.
    pub fn placer(&self, monitor: &dyn Monitor) -> Result<Placer<'_>, Error> {
        let field = match &self.kind {
            Kind::Pca(_) | Kind::Autoencoder { .. } => None,
            Kind::Tsne(r) => Some(Field::new(r, NEAR, true, monitor)?),
            Kind::Umap { reference: r, neighbours, .. } | Kind::Pacmap { reference: r, neighbours } => {
                Some(Field::new(r, (*neighbours).max(5), false, monitor)?)
            }
        };
        Ok(Placer { model: self, field })
    }

    /// Places new rows (same columns, same scaling as the fitted ones) on the map; nothing is fitted. For chunk after
    /// chunk, [`Self::placer`] does the same without sorting the reference rows each time.
    ///
    /// # Errors
    /// No cells, cells that are not finite, another number of columns, or stopped.
    pub fn place(&self, x: ArrayView2<f32>, monitor: &dyn Monitor) -> Result<Placement, Error> {
        self.check(x)?;
        self.placer(monitor)?.place(x, monitor)
    }

    pub(crate) fn check(&self, x: ArrayView2<f32>) -> Result<Vec<f32>, Error> {
        let mut data = kernel::checked(x)?;
        if x.ncols() == self.columns() {
            level::divide(&mut data, self.power);
            return Ok(data);
        }
        Err(Error::Shape(format!(
            "the map was made from {} columns, the new rows have {}: use the same columns",
            self.columns(),
            x.ncols()
        )))
    }
}

impl Placer<'_> {
    /// The map.
    pub fn model(&self) -> &Model {
        self.model
    }

    /// Places rows (n × columns). A row gets the same place, to the last bit, in whatever chunk it comes.
    ///
    /// # Errors
    /// As [`Model::place`].
    pub fn place(&self, x: ArrayView2<f32>, monitor: &dyn Monitor) -> Result<Placement, Error> {
        let data = self.model.check(x)?;
        let (n, d, dims) = (x.nrows(), x.ncols(), self.model.dims());
        let (mut coords, mut unlike) = (vec![0.0f32; n * dims], vec![0.0f32; n]);
        let waves = coords.chunks_mut(WAVE * dims).zip(unlike.chunks_mut(WAVE)).zip(data.chunks(WAVE * d));
        for (w, ((coords, unlike), x)) in waves.enumerate() {
            step(monitor, "placing", w * WAVE, n)?;
            self.some(x, d, coords, unlike);
        }
        monitor.progress(Progress { stage: "placing", done: n as u64, of: n as u64 });
        level::multiply(&mut coords, self.model.map_power());
        let coords = Array2::from_shape_vec((n, dims), coords).map_err(|e| Error::Shape(e.to_string()))?;
        Ok(Placement { coords, unlike })
    }

    fn some(&self, x: &[f32], d: usize, coords: &mut [f32], unlike: &mut [f32]) {
        match (&self.model.kind, &self.field) {
            (Kind::Pca(l), _) => {
                let (scores, errors) = l.apply(x, x.len() / d);
                coords.copy_from_slice(&scores);
                unlike.iter_mut().zip(errors).for_each(|(u, e)| *u = e / l.typical);
            }
            (Kind::Autoencoder { net, typical }, _) => {
                let (z, errors) = net.encode_and_judge(&net.scaled(x), None);
                coords.copy_from_slice(&z);
                unlike.iter_mut().zip(errors).for_each(|(u, e)| *u = e / typical);
            }
            (Kind::Tsne(_), Some(f)) => {
                f.each(x, d, NEAR, coords, unlike, |near, _, out| f.settle(near, out));
            }
            (Kind::Umap { reference: r, curve, neighbours }, Some(f)) => {
                // umap-learn's number of epochs for new rows.
                let rounds = if r.coords.len() / r.dims <= 10_000 { 100 } else { 30 };
                f.each(x, d, *neighbours, coords, unlike, |near, key, out| {
                    let (ids, away): (Vec<u32>, Vec<f32>) = near.iter().map(|(d2, j)| (*j, d2.sqrt())).unzip();
                    umap::place(&r.coords, r.dims, &ids, &away, *curve, key, rounds, out);
                });
            }
            (Kind::Pacmap { reference: r, neighbours }, Some(f)) => {
                f.each(x, d, *neighbours, coords, unlike, |near, key, out| {
                    let ids: Vec<u32> = near.iter().map(|n| n.1).collect();
                    pacmap::place(&r.coords, r.dims, &ids, key, out);
                });
            }
            (_, None) => unreachable!("maps with reference rows have a field"),
        }
    }
}

impl Linear {
    /// Scores (n × k) and root mean square residual of each row.
    pub(crate) fn apply(&self, x: &[f32], n: usize) -> (Vec<f32>, Vec<f32>) {
        let (d, k) = (self.mean.len(), self.k());
        let (mut scores, mut errors) = (vec![0.0f32; n * k], vec![0.0f32; n]);
        scores.par_chunks_mut(TILE * k).zip(errors.par_chunks_mut(TILE)).zip(x.par_chunks(TILE * d)).for_each(|((s, e), x)| {
            let all = whole(x, d);
            let found = project(&all, TILE, d, &self.mean, &self.components, k);
            let back = unproject(&found, TILE, d, &self.mean, &self.components, k);
            s.copy_from_slice(&found[..s.len()]);
            for ((e, b), x) in e.iter_mut().zip(back.chunks_exact(d)).zip(x.chunks_exact(d)) {
                *e = (kernel::distance2(b, x) / d as f32).sqrt();
            }
        });
        (scores, errors)
    }
}

/// [`TILE`] rows of `d` numbers: those given, then zeros.
pub(crate) fn whole(rows: &[f32], d: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(TILE * d);
    out.extend_from_slice(rows);
    out.resize(TILE * d, 0.0);
    out
}

wide! {
    /// Pull of neighbours at (xs, ys, zs) with weights `p` on a place, in lanes of eight.
    fn pull(y: &[f32; 3], at: &[[f32; 8]], p: &[[f32; 8]]) -> [f32; 3] {
        let mut sums = [[0.0f32; 8]; 3];
        for (at, p) in at.chunks_exact(3).zip(p) {
            for l in 0..8 {
                let (dx, dy, dz) = (y[0] - at[0][l], y[1] - at[1][l], y[2] - at[2][l]);
                let w = p[l] / (1.0 + dx * dx + dy * dy + dz * dz);
                sums[0][l] += w * dx;
                sums[1][l] += w * dy;
                sums[2][l] += w * dz;
            }
        }
        sums.map(|s| ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])))
    }
}

wide! {
    /// Σ q² (y − c) and Σ q over all places of a map.
    fn push(y: &[f32; 3], map: &[f32], dims: usize) -> ([f32; 3], f32) {
        let (mut f, mut z) = ([0.0f32; 3], 0.0f32);
        for c in map.chunks_exact(dims) {
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
    }
}

impl<'a> Field<'a> {
    fn new(r: &'a Reference, k: usize, repels: bool, monitor: &dyn Monitor) -> Result<Self, Error> {
        let index = Index::new(&r.rows, r.width, k, monitor)?;
        let count = r.coords.len() / r.dims;
        let mesh = (repels && r.dims <= 2 && count >= MESH).then(|| {
            // One-dimensional maps have 0 in the second.
            let flat: Vec<[f32; 2]> = r.coords.chunks_exact(r.dims).map(|c| [c[0], c.get(1).copied().unwrap_or(0.0)]).collect();
            let mut mesh = Mesh::new(spacing(count));
            mesh.load(&flat);
            mesh
        });
        let (mut low, mut high) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
        for c in r.coords.chunks_exact(r.dims) {
            for (a, v) in c.iter().enumerate() {
                low[a] = low[a].min(*v);
                high[a] = high[a].max(*v);
            }
        }
        Ok(Self { reference: r, index, mesh, low, high })
    }

    /// Calls `place` with the `k` nearest reference rows of each row, a key made of the row's bits, and where its place goes.
    fn each(
        &self,
        x: &[f32],
        d: usize,
        k: usize,
        coords: &mut [f32],
        unlike: &mut [f32],
        place: impl Fn(&[(f32, u32)], u64, &mut [f32]) + Sync,
    ) {
        let r = self.reference;
        let own = r.before.as_ref().map(|l| l.apply(x, x.len() / d).0);
        let rows = own.as_deref().unwrap_or(x);
        coords
            .par_chunks_mut(r.dims)
            .zip(unlike.par_iter_mut())
            .zip(rows.par_chunks(r.width).zip(x.par_chunks(d)))
            .with_min_len(16)
            .for_each_init(Scratch::default, |scratch, ((out, unlike), (row, x))| {
                let near = self.index.nearest(row, k.max(5), scratch);
                let five = near.len().min(5);
                *unlike = near[..five].iter().map(|n| n.0.sqrt()).sum::<f32>() / five as f32 / r.typical;
                let key = x.iter().fold(1, |h, v| kernel::mix(h, u64::from(v.to_bits())));
                place(&near[..near.len().min(k)], key, out);
            });
    }

    /// The place of a row of a t-SNE map.
    fn settle(&self, near: &[(f32, u32)], out: &mut [f32]) {
        let (dims, k) = (self.reference.dims, near.len());
        let d2: Vec<f32> = near.iter().map(|n| n.0).collect();
        let mut p = vec![0.0f32; k];
        calibrate(&d2, PERPLEXITY.min(k as f64 / 3.0), &mut p);
        let at = |j: usize, a: usize| if a < dims { self.reference.coords[near[j].1 as usize * dims + a] } else { 0.0 };
        let mut y: [f32; 3] = std::array::from_fn(|a| if a < dims { weighted_median(k, |j| (at(j, a), p[j])) } else { 0.0 });
        let lanes = k.div_ceil(8);
        let spot = |j: usize, a: usize| if j < k { at(j, a) } else { 0.0 };
        let places: Vec<[f32; 8]> = (0..3 * lanes).map(|i| std::array::from_fn(|l| spot(i / 3 * 8 + l, i % 3))).collect();
        let weights: Vec<[f32; 8]> =
            (0..lanes).map(|i| std::array::from_fn(|l| p.get(i * 8 + l).map_or(0.0, |p| 1.5 * p))).collect();
        let (mut update, mut gains) = ([0.0f32; 3], [1.0f32; 3]);
        for _ in 0..STEPS {
            let (f, z) = match &self.mesh {
                Some(mesh) => {
                    let [phi, fx, fy] = mesh.probe([y[0], y[1]]);
                    ([fx, fy, 0.0], phi)
                }
                None => push(&y, &self.reference.coords, dims),
            };
            let mut grad = pull(&y, &places, &weights);
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
                y[a] = (y[a] + update[a]).clamp(self.low[a], self.high[a]);
            }
        }
        out.copy_from_slice(&y[..dims]);
    }
}

/// The value with half of the weight on either side.
pub(crate) fn weighted_median(k: usize, of: impl Fn(usize) -> (f32, f32)) -> f32 {
    let mut all: Vec<(f32, f32)> = (0..k).map(of).collect();
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut sum = 0.0;
    all.iter()
        .find(|(_, w)| {
            sum += w;
            sum >= 0.5
        })
        .or(all.last())
        .map_or(0.0, |v| v.0)
}
