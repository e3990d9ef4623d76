//! Groups and rules: clusters of the vectors or of a map, how odd each row is, and the selection as predicates.
//!
//! The tree of density groups is kept with what it was made of ([`DensityKey`]), to be cut again without computing it anew.

use super::*;

impl Session {
    pub(super) fn cluster(&mut self, how: Cluster, on: ClusterOn) -> Result<()> {
        let dataset = self.front()?;
        let map = dataset.map().cloned();
        if on == ClusterOn::Map && map.is_none() {
            return Err(Error::said("there is no map yet: make one, or cluster the vectors"));
        }
        let name = match how {
            Cluster::KMeans(_) => "k-means",
            Cluster::Hdbscan(..) => "HDBSCAN",
            Cluster::Mixture(_) => "mixture",
        };
        let id = dataset.id;
        let (graph, known) = (self.graphs.get(&id).cloned(), self.density.clone());
        let curve_text = |curve: &[reduce::Mixture]| {
            let of = |m: &reduce::Mixture| format!("{}: {:.0}", m.groups(), m.bic);
            format!(" \u{b7} BIC by number of parts: {}", curve.iter().map(of).collect::<Vec<_>>().join(", "))
        };
        self.start(format!("{name} of {}", dataset.name), id, false, move |handle| {
            handle.say("vectors", 0, 0);
            let (x, rows) = matrix(&dataset, map.as_deref().filter(|_| on == ClusterOn::Map))?;
            let mut figures = String::new();
            let labels = match how {
                Cluster::KMeans(k) => reduce::kmeans(x.view(), k, 0, handle)?.labels,
                Cluster::Mixture(0) => {
                    let curve = reduce::mixtures(x.view(), 12, reduce::Covariance::Full, 0, handle)?;
                    let best = curve.iter().min_by(|a, b| a.bic.total_cmp(&b.bic));
                    let best = best.ok_or_else(|| Error::said("no mixture could be fitted to these rows"))?;
                    figures = curve_text(&curve);
                    best.predict(x.view())?.labels
                }
                Cluster::Mixture(k) => {
                    let found = reduce::mixture(x.view(), k, reduce::Covariance::Full, 0, handle)?;
                    let labels = found.predict(x.view())?.labels;
                    figures = curve_text(&[found]);
                    labels
                }
                Cluster::Hdbscan(size, samples) => {
                    let key = DensityKey::of(&dataset, map.as_deref(), on, if samples == 0 { size } else { samples });
                    let tree = match known.filter(|(k, tree)| *k == key && tree.rows() == x.nrows()) {
                        Some((_, tree)) => tree,
                        None => {
                            let graph = graph.filter(|_| on == ClusterOn::Vectors);
                            Arc::new(reduce::Density::new(x.view(), key.samples, graph.as_deref(), handle)?)
                        }
                    };
                    let cut = tree.cut(size, reduce::Selection::Mass);
                    handle.fact(move |s| s.density = Some((key, tree)));
                    cut.clusters.labels
                }
            };
            handle.fact(move |s| s.clusters_found(id, name, &labels, &rows, &figures));
            Ok(())
        });
        Ok(())
    }
    /// Neighbours of a core point in the tree of density groups that is kept of the dataset in front, if there is one: with them
    /// [`Command::Hdbscan`] cuts it at another size at once.
    pub fn density_samples(&self, on: ClusterOn) -> Option<usize> {
        let dataset = self.front().ok()?;
        let (key, _) = self.density.as_ref()?;
        let now = DensityKey::of(&dataset, dataset.map().map(|m| &**m), on, key.samples);
        (now == *key).then_some(key.samples)
    }
    /// How odd each row is, as a column of the table.
    pub(super) fn score_outliers(&mut self, how: Outliers, on: ClusterOn) -> Result<()> {
        let dataset = self.front()?;
        let map = dataset.map().cloned();
        if on == ClusterOn::Map && map.is_none() {
            return Err(Error::said("there is no map yet: make one, or score the vectors"));
        }
        let (id, graph) = (dataset.id, self.graphs.get(&dataset.id).cloned().filter(|_| on == ClusterOn::Vectors));
        self.start(format!("{} of {}", how.label(), dataset.name), id, false, move |handle| {
            handle.say("vectors", 0, 0);
            let (x, rows) = matrix(&dataset, map.as_deref().filter(|_| on == ClusterOn::Map))?;
            let (scores, graph) = outlier_scores(x.view(), how, graph, 0, handle)?;
            let mut all = vec![f32::NAN; dataset.table.rows()];
            rows.iter().zip(&scores).for_each(|(row, score)| all[*row] = *score);
            handle.fact(move |s| {
                if let Some(graph) = graph {
                    s.graphs.insert(id, graph);
                }
                s.outliers_found(id, how, all);
            });
            Ok(())
        });
        Ok(())
    }
    pub(super) fn outliers_found(&mut self, id: u32, how: Outliers, mut scores: Vec<f32>) {
        let Some(dataset) = self.dataset_by_id(id) else { return };
        // Rows that came in the meantime have no score.
        scores.resize(dataset.table.rows(), f32::NAN);
        let mut table = (*dataset.table).clone();
        let meta = asterism_data::ColumnMeta { description: Some(how.description().into()), ..Default::default() };
        if let Err(e) = table.with_f32_column(how.column(), scores, meta) {
            return self.notice(NoticeLevel::Error, e.to_string());
        }
        self.step("score outliers", true);
        self.edit(id, |d| d.table = Arc::new(table));
        self.notice(
            NoticeLevel::Info,
            format!("Column '{}' says how odd each row is: colour by it, or sort the table", how.column()),
        );
    }
    pub(super) fn clusters_found(&mut self, id: u32, name: &'static str, labels: &[i32], rows: &[usize], figures: &str) {
        let Some(dataset) = self.dataset_by_id(id) else { return };
        let len = dataset.table.rows();
        let mut groups: HashMap<i32, Vec<usize>> = HashMap::new();
        for (label, row) in labels.iter().zip(rows) {
            if *label >= 0 {
                groups.entry(*label).or_default().push(*row);
            }
        }
        let mut groups: Vec<(i32, Vec<usize>)> = groups.into_iter().collect();
        groups.sort_by_key(|(label, rows)| (std::cmp::Reverse(rows.len()), *label));
        let noise = labels.iter().filter(|l| **l < 0).count();
        let found = groups.len();
        groups.truncate(24);
        self.step("cluster", false);
        // A new search for clusters takes the place of the old one's subsets.
        self.edit(id, |d| d.subsets.retain(|s| !s.name.starts_with(name)));
        for (n, (_, members)) in groups.into_iter().enumerate() {
            let rows = RowSet::from_rows(len, members);
            let why = Provenance::Rows { note: name.into(), rows: rows.clone() };
            let steps = vec![(SelectMode::Replace, Arc::new(why))];
            self.add_subset(id, format!("{name} {}", n + 1), Arc::new(rows), steps);
        }
        let more = if found > 24 { ", of which the 24 largest became subsets" } else { "" };
        self.notice(NoticeLevel::Info, format!("{name}: {found} clusters{more}; {noise} rows belong to none{figures}"));
    }
    pub(super) fn fit_rule(&mut self, columns: Vec<String>, balance: f64) -> Result<()> {
        let dataset = self.front()?;
        if !self.doc.selection.any() {
            return Err(Error::said("select some rows first: a rule describes a selection"));
        }
        let rows = self.doc.selection.rows.clone();
        let of = dataset.subsets.iter().find(|s| *s.rows == *rows).map_or("selection".to_owned(), |s| s.name.clone());
        let id = dataset.id;
        self.start(format!("Rule for {of}"), id, false, move |handle| {
            handle.say("fitting", 0, 0);
            let rule = rule::fit_rule(&dataset, &of, &rows, &columns, balance)?;
            handle.fact(move |s| {
                s.step("fit rule", false);
                s.edit(id, |d| d.rule = Some(Arc::new(rule)));
            });
            Ok(())
        });
        Ok(())
    }
}

/// What a tree of density groups was made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DensityKey {
    pub(super) table: usize,
    pub(super) features: features::Features,
    /// Map and its generation; `None` for the vectors.
    pub(super) map: Option<(u32, u64)>,
    pub(super) samples: usize,
}

impl DensityKey {
    fn of(dataset: &Dataset, map: Option<&Map>, on: ClusterOn, samples: usize) -> Self {
        Self {
            table: Arc::as_ptr(&dataset.table) as usize,
            features: dataset.features.clone(),
            map: map.filter(|_| on == ClusterOn::Map).map(|m| (m.id, m.generation)),
            samples,
        }
    }
}

/// The places on a map of the rows that have one, or the vectors of the dataset's features; with their rows.
pub(super) fn matrix(dataset: &Dataset, map: Option<&Map>) -> Result<(ndarray::Array2<f32>, Vec<usize>)> {
    let Some(map) = map else {
        let v = features::vectors(dataset, &features::settled(dataset, &dataset.features), 0, None)?;
        return Ok((v.x, v.rows));
    };
    let dims = map.coords.dims;
    let rows: Vec<usize> =
        (0..map.xy.len()).filter(|r| map.coords.values[r * dims..(r + 1) * dims].iter().all(|v| v.is_finite())).collect();
    let x = ndarray::Array2::from_shape_fn((rows.len(), dims), |(i, d)| map.coords.values[rows[i] * dims + d]);
    Ok((x, rows))
}

/// A score for each row of `x`, larger for odder ones, and the neighbour graph where one was made or used.
///
/// # Errors
/// Fewer rows than a score needs, or stopped.
pub fn outlier_scores(
    x: ndarray::ArrayView2<f32>,
    how: Outliers,
    graph: Option<Arc<reduce::Graph>>,
    seed: u64,
    handle: &dyn reduce::Monitor,
) -> Result<(Vec<f32>, Option<Arc<reduce::Graph>>)> {
    match how {
        Outliers::Lof => {
            let k = LOF_NEIGHBOURS.min(x.nrows().saturating_sub(1));
            if k < 2 {
                return Err(Error::said("a local outlier factor needs at least 3 rows"));
            }
            let graph = match graph.filter(|g| g.fits(x, k)) {
                Some(graph) => graph,
                None => Arc::new(reduce::Graph::new(x, k, reduce::Search::Auto, handle)?),
            };
            Ok((reduce::lof(&graph, k)?.factors, Some(graph)))
        }
        Outliers::Forest => Ok((reduce::Forest::fit(x, 100, 256, seed, handle)?.scores(x)?, None)),
    }
}

/// Neighbours that the local outlier factor compares with, scikit-learn's default.
pub(super) const LOF_NEIGHBOURS: usize = 20;

pub(super) enum Cluster {
    /// Gaussian mixture of so many parts; 0: as many as the BIC likes best, up to 12.
    Mixture(usize),
    KMeans(usize),
    Hdbscan(usize, usize),
}
