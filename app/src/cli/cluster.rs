//! `asterism cluster`: groups and outlier scores.

use std::path::{Path, PathBuf};
use std::time::Instant;

use asterism_session::data::{self, ColumnMeta};
use asterism_session::features::{self, FeatureColumn, FeatureKind, Features};
use asterism_session::reduce::{self, Scale};
use asterism_session::{Outliers, session};
use clap::Args;
use ndarray::Array2;
use serde_json::json;

use super::reduce::{is_npy, of_vectors, scale_of};
use super::{Bar, Common, Done, Ended, Outcome, interrupted, read_dataset};

/// Words of `asterism cluster`.
#[derive(Args)]
pub struct Cluster {
    /// A table, or a matrix in `.npy`.
    input: PathBuf,
    /// The table with a column `cluster` (−1: none).
    #[arg(short, long)]
    output: PathBuf,
    /// hdbscan, kmeans or gmm (Gaussian mixture); lof or forest give each row an outlier score instead.
    #[arg(long, default_value = "hdbscan", value_parser = ["hdbscan", "kmeans", "gmm", "lof", "forest"])]
    method: String,
    /// Columns; by default all numeric ones that are neither ids nor positions.
    #[arg(long, value_delimiter = ',', value_name = "a,b")]
    columns: Vec<String>,
    /// A column of array cells, such as spectra, or of addresses or paths of products.
    #[arg(long, value_name = "NAME", conflicts_with = "columns")]
    vectors: Option<String>,
    /// robust, standard or none.
    #[arg(long, value_parser = ["robust", "standard", "none"])]
    scale: Option<String>,
    /// k-means: number of clusters, 8 by default; gmm: parts, as many as the BIC likes best by default.
    #[arg(long)]
    k: Option<usize>,
    /// HDBSCAN: the smallest group that counts as one.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(2..))]
    min_cluster_size: u64,
    /// HDBSCAN: neighbours of a core point; the smallest group's size by default.
    #[arg(long)]
    min_samples: Option<usize>,
    /// Find the groups, or fit the scores, in this table or matrix, and put the rows of INPUT into them; nothing is fitted to those.
    #[arg(long, value_name = "TABLE")]
    from: Option<PathBuf>,
}

/// Rows to group, with what they are of.
struct Grouped {
    x: Array2<f32>,
    rows: Vec<usize>,
    table: Option<std::sync::Arc<data::Table>>,
    of: Option<(Features, features::Prepared)>,
    scaler: Option<reduce::Scaler>,
}

impl Grouped {
    /// The rows of a table or matrix; as those of `like`, where they are given.
    fn read(a: &Cluster, path: &Path, like: Option<&Self>) -> Result<Self, Ended> {
        if is_npy(path) {
            if like.is_some_and(|l| l.of.is_some()) {
                return Err(Ended::Usage("--from names a table: the rows must be of a table too, not a bare matrix".into()));
            }
            let (values, shape) = data::npy::read_npy(path)?;
            let mut wide = Array2::from_shape_vec((shape[0], shape[1]), values)?.mapv(f64::from);
            let scaler = match like.and_then(|l| l.scaler.clone()) {
                Some(scaler) => {
                    scaler.apply(&mut wide)?;
                    scaler
                }
                None => reduce::scale(&mut wide, scale_of(a.scale.as_deref(), Scale::None)),
            };
            let x = wide.mapv(|v| v as f32);
            return Ok(Self { x, rows: (0..shape[0]).collect(), table: None, of: None, scaler: Some(scaler) });
        }
        if like.is_some_and(|l| l.of.is_none()) {
            return Err(Ended::Usage("--from names a bare matrix: the rows must be of one too, not of a table".into()));
        }
        let mut dataset = read_dataset(path)?;
        let of_vectors = a.vectors.as_deref().map(|name| of_vectors(&mut dataset, name)).transpose()?;
        if let Some((f, prepared)) = like.and_then(|l| l.of.as_ref()) {
            let v = features::vectors(&dataset, f, 0, Some(prepared))?;
            return Ok(Self { x: v.x, rows: v.rows, table: Some(dataset.table), of: None, scaler: None });
        }
        if let Some(mut f) = of_vectors {
            f.scale = scale_of(a.scale.as_deref(), f.scale);
            let v = features::vectors(&dataset, &f, 0, None)?;
            return Ok(Self { x: v.x, rows: v.rows, table: Some(dataset.table), of: Some((f, v.prepared)), scaler: None });
        }
        let mut f = features::of_columns(&dataset);
        if !a.columns.is_empty() {
            f.of = FeatureKind::Columns(a.columns.iter().map(|c| FeatureColumn::plain(c.as_str())).collect());
        }
        // Coordinates of a map have one scale already.
        let on_map = a.columns.iter().all(|c| c.starts_with("map_")) && !a.columns.is_empty();
        f.scale = scale_of(a.scale.as_deref(), if on_map { Scale::None } else { Scale::Robust });
        let v = features::vectors(&dataset, &f, 0, None)?;
        Ok(Self { x: v.x, rows: v.rows, table: Some(dataset.table), of: Some((f, v.prepared)), scaler: None })
    }
}

/// The nearest of some centres for each row.
fn nearest_centres(x: &Array2<f32>, centres: &Array2<f32>) -> Vec<i32> {
    let away = |row: ndarray::ArrayView1<f32>, centre: ndarray::ArrayView1<f32>| -> f64 {
        row.iter().zip(centre).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
    };
    let nearest = |row: ndarray::ArrayView1<f32>| {
        let each = centres.rows().into_iter().enumerate().map(|(k, c)| (away(row, c), k as i32));
        each.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(-1, |n| n.1)
    };
    x.rows().into_iter().map(nearest).collect()
}

fn outliers(method: &str) -> Option<Outliers> {
    match method {
        "lof" => Some(Outliers::Lof),
        "forest" => Some(Outliers::Forest),
        _ => None,
    }
}

/// Find groups.
pub fn cluster(a: &Cluster, common: &Common) -> Outcome {
    super::writable_table(&a.output)?;
    let start = Instant::now();
    let bar = Bar::new();
    let fitted = a.from.as_deref().map(|path| Grouped::read(a, path, None)).transpose()?;
    let Grouped { x, rows, table, of, .. } = Grouped::read(a, &a.input, fitted.as_ref())?;
    let names = fitted.as_ref().map_or(&of, |f| &f.of).as_ref().map(|(_, p)| p.names.clone());
    // What groups and scores are found in.
    let base = fitted.as_ref().map_or(&x, |f| &f.x);
    let read = start.elapsed().as_secs_f64();
    let start = Instant::now();
    if let Some(how) = outliers(&a.method) {
        let scores = match (&fitted, how) {
            (None, _) => session::outlier_scores(x.view(), how, None, common.seed, &bar)?.0,
            (Some(f), Outliers::Forest) => reduce::Forest::fit(f.x.view(), 100, 256, common.seed, &bar)?.scores(x.view())?,
            (Some(f), Outliers::Lof) => {
                let graph = reduce::Graph::new(f.x.view(), 20, reduce::Search::Auto, &bar)?;
                reduce::lof(&graph, 20)?.of_new(f.x.view(), x.view(), &bar)?
            }
        };
        if interrupted() {
            return Err(Ended::Interrupted);
        }
        let seconds = start.elapsed().as_secs_f64();
        let mut all = vec![f32::NAN; table.as_ref().map_or(x.nrows(), |t| t.rows())];
        rows.iter().zip(&scores).for_each(|(row, score)| all[*row] = *score);
        let mut out = table.map_or_else(data::Table::default, |t| (*t).clone());
        let meta = ColumnMeta { description: Some(how.description().into()), ..ColumnMeta::default() };
        let total = all.len();
        out.with_f32_column(how.column(), all, meta)?;
        data::write_table(&out, None, &a.output)?;
        return Ok(Done {
            json: json!({"method": a.method, "rows": total, "column": how.column(), "output": a.output.display().to_string(),
                "warnings": out.warnings, "seconds": {"read": read, "score": seconds}}),
            text: format!("scores of {total} rows in column {} of {}", how.column(), a.output.display()),
            truncated: out.truncated,
        });
    }
    let (labels, figure) = if a.method == "kmeans" {
        let found = reduce::kmeans(base.view(), a.k.unwrap_or(8), common.seed, &bar)?;
        let labels = if fitted.is_some() { nearest_centres(&x, &found.centres) } else { found.labels };
        (labels, json!({"inertia": found.inertia}))
    } else if a.method == "gmm" {
        let curve = match a.k {
            Some(k) => vec![reduce::mixture(base.view(), k, reduce::Covariance::Full, common.seed, &bar)?],
            None => reduce::mixtures(base.view(), 12, reduce::Covariance::Full, common.seed, &bar)?,
        };
        let best = curve.iter().min_by(|p, q| p.bic.total_cmp(&q.bic));
        let best = best.ok_or_else(|| Ended::Failed("no mixture could be fitted to these rows".into()))?;
        (
            best.predict(x.view())?.labels,
            json!({"bic": best.bic, "parts": best.groups(),
            "bics": curve.iter().map(|m| json!({"parts": m.groups(), "bic": m.bic})).collect::<Vec<_>>()}),
        )
    } else {
        let size = a.min_cluster_size as usize;
        let tree = reduce::Density::new(base.view(), a.min_samples.unwrap_or(size), None, &bar)?;
        let cut = tree.cut(size, reduce::Selection::Mass);
        let labels = if fitted.is_some() { tree.predict(&cut, x.view(), &bar)?.labels } else { cut.clusters.labels };
        (labels, json!({}))
    };
    if interrupted() {
        return Err(Ended::Interrupted);
    }
    let seconds = start.elapsed().as_secs_f64();
    let total = table.as_ref().map_or(x.nrows(), |t| t.rows());
    let mut all = vec![-1; total];
    rows.iter().zip(&labels).for_each(|(row, label)| all[*row] = *label);
    let meta = ColumnMeta {
        description: Some(format!("{} cluster, −1 for none", a.method)),
        ucd: Some("meta.code.class".into()),
        ..ColumnMeta::default()
    };
    let mut out = table.map_or_else(data::Table::default, |t| (*t).clone());
    out.with_i32_column("cluster", all, meta)?;
    data::write_table(&out, None, &a.output)?;
    let clusters = labels.iter().copied().max().map_or(0, |m| m + 1);
    let noise = labels.iter().filter(|l| **l < 0).count();
    Ok(Done {
        json: json!({"method": a.method, "rows": total, "clusters": clusters, "noise": noise, "quality": figure, "columns": names, "output": a.output.display().to_string(),
            "warnings": out.warnings, "seconds": {"read": read, "cluster": seconds}}),
        text: format!("{clusters} clusters, {noise} rows in none, to {}", a.output.display()),
        truncated: out.truncated,
    })
}
