//! `asterism reduce`: maps.

use std::path::{Path, PathBuf};
use std::time::Instant;

use asterism_session::axes::Dimensions;
use asterism_session::data::{self, ColumnMeta};
use asterism_session::features::{self, FeatureColumn, FeatureKind, Features};
use asterism_session::reduce::{self, Params, Scale};
use asterism_session::store::{SavedMap, open_map, quality_figures, save_map};
use asterism_session::{Blanks, CurveColumns, Normalise, ProductKind, Transform, export, products, session};
use clap::Args;
use ndarray::{Array2, ArrayView2};
use serde_json::{Value, json};

use super::back::{Back, Made};
use super::{Bar, Common, Done, Ended, Outcome, interrupted, read_dataset};

/// Words of `asterism reduce`.
#[derive(Args)]
pub struct Reduce {
    /// A table, or a matrix in `.npy`.
    input: PathBuf,
    /// The table with its map, or the coordinates alone in `.npy`.
    #[arg(short, long)]
    output: PathBuf,
    /// pca, tsne, umap, pacmap or autoencoder.
    #[arg(long, default_value = "tsne")]
    method: String,
    /// Columns or expressions; by default all numeric ones that are neither ids nor positions.
    #[arg(long, value_delimiter = ',', value_name = "a,b")]
    columns: Vec<String>,
    /// A column of array cells, such as spectra.
    #[arg(long, value_name = "NAME", conflicts_with = "columns")]
    vectors: Option<String>,
    /// Prepare each column as the window does: long tails in logarithms, angles as directions, classes a column for each.
    #[arg(long, conflicts_with = "vectors")]
    prepare: bool,
    /// robust, standard or none; robust by default, none for vectors and matrices.
    #[arg(long, value_parser = ["robust", "standard", "none"])]
    scale: Option<String>,
    /// Dimensions of the map.
    #[arg(long, default_value_t = 2)]
    dims: usize,
    /// Keep the model, to place other rows on this map.
    #[arg(long, value_name = "MODEL")]
    save: Option<PathBuf>,
    /// Put these rows on the map of a saved model; nothing is fitted.
    #[arg(long, value_name = "MODEL")]
    place: Option<PathBuf>,
    /// Say how far the map may be believed.
    #[arg(long)]
    quality: bool,
    /// t-SNE: how many neighbours count (30).
    #[arg(long)]
    perplexity: Option<f64>,
    /// t-SNE: steps.
    #[arg(long)]
    iterations: Option<usize>,
    /// t-SNE: late exaggeration (1: none).
    #[arg(long)]
    exaggeration: Option<f64>,
    /// t-SNE: how much of each step goes on in the next; 0 for automatic.
    #[arg(long)]
    momentum: Option<f64>,
    /// t-SNE: look at a wider surrounding too.
    #[arg(long)]
    multiscale: bool,
    /// t-SNE: go on to the last iteration even when the map hardly improves.
    #[arg(long)]
    no_early_stop: bool,
    /// UMAP: where the layout starts.
    #[arg(long, value_parser = ["pca", "spectral"])]
    start: Option<String>,
    /// t-SNE, UMAP, PaCMAP: with more dimensions, that many principal components are taken first; 0 for never.
    #[arg(long)]
    pca_dims: Option<usize>,
    /// Say how well the map tells the classes of this column apart, by the ten nearest rows.
    #[arg(long, value_name = "NAME")]
    labels: Option<String>,
    /// Say which columns that the map was not made of explain it.
    #[arg(long)]
    explain: bool,
    /// UMAP, PaCMAP: how many neighbours of each row count; 0 for automatic.
    #[arg(long)]
    neighbours: Option<usize>,
    /// UMAP: how close together rows may lie (0.1).
    #[arg(long)]
    min_dist: Option<f64>,
    /// Autoencoder: hidden layers.
    #[arg(long, value_delimiter = ',', value_name = "256,64")]
    layers: Vec<usize>,
    /// Autoencoder: dimensions of the latent space.
    #[arg(long)]
    latent: Option<usize>,
    /// Autoencoder: passes over the rows; UMAP: passes of the layout.
    #[arg(long)]
    epochs: Option<usize>,
    /// Autoencoder: the variational kind, whose rows are clouds and whose map is their middles.
    #[arg(long)]
    variational: bool,
    /// Variational autoencoder: weight of the clouds' information (1); more makes smoother maps.
    #[arg(long)]
    beta: Option<f64>,
    /// PCA, autoencoder: a column of array cells with inverse variances.
    #[arg(long, value_name = "NAME")]
    weights: Option<String>,
    /// PCA, autoencoder: a value counts the less the more uncertain it is (columns of errors beside the columns, errors of spectra).
    #[arg(long, conflicts_with = "weights")]
    errors: bool,
    /// Change a column first: `flux=log`, `colour=asinh`, `pa=circle`, `phase=phase`, `class=levels`, `"ra,dec=sphere"`, `x=none`.
    #[arg(long, value_name = "COLUMN=HOW", conflicts_with = "vectors")]
    transform: Vec<String>,
    #[command(flatten)]
    back: Back,
}

/// Whether a path is that of a bare matrix.
pub fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"))
}

/// The scaling that a word names.
pub fn scale_of(text: Option<&str>, default: Scale) -> Scale {
    match text {
        Some("robust") => Scale::Robust,
        Some("standard") => Scale::Standard,
        Some("none") => Scale::None,
        _ => default,
    }
}

fn params(a: &Reduce, seed: u64) -> Result<Params, Ended> {
    let method = a.method.parse().map_err(|_| {
        Ended::Usage(format!("no method is named '{}': there are pca, tsne, umap, pacmap, autoencoder", a.method))
    })?;
    let mut p = Params { method, seed, dims: a.latent.unwrap_or(a.dims), ..Params::default() };
    p.perplexity = a.perplexity.unwrap_or(p.perplexity);
    p.exaggeration = a.exaggeration.unwrap_or(p.exaggeration);
    p.neighbours = a.neighbours.unwrap_or(p.neighbours);
    p.min_dist = a.min_dist.unwrap_or(p.min_dist);
    p.iterations = a.iterations.unwrap_or(p.iterations);
    p.epochs = a.epochs.unwrap_or(p.epochs);
    p.momentum = a.momentum.unwrap_or(p.momentum);
    p.multiscale = a.multiscale;
    (p.variational, p.beta) = (a.variational, a.beta.unwrap_or(p.beta));
    p.settle = !a.no_early_stop;
    p.pca_dims = a.pca_dims.unwrap_or(p.pca_dims);
    if a.start.as_deref() == Some("spectral") {
        p.start = reduce::Start::Spectral;
    }
    if !(0.0..=0.99).contains(&p.momentum) {
        return Err(Ended::Usage(format!("momentum {} cannot be: 0 to 0.99 can", p.momentum)));
    }
    if !(p.exaggeration.is_finite() && p.exaggeration >= 1.0) {
        return Err(Ended::Usage(format!("exaggeration {} cannot be: 1 (none) and more can", p.exaggeration)));
    }
    if !(p.perplexity.is_finite() && p.perplexity >= 1.0) {
        return Err(Ended::Usage(format!("perplexity {} cannot be: 1 and more can", p.perplexity)));
    }
    if !a.layers.is_empty() {
        p.layers.clone_from(&a.layers);
    }
    if p.dims == 0 || p.dims > 64 {
        return Err(Ended::Usage(format!("{} dimensions cannot be made: 1 to 64 can", p.dims)));
    }
    Ok(p)
}

/// A warning for each word that the method takes no notice of.
fn unheeded(a: &Reduce, method: reduce::Method) -> Vec<String> {
    use reduce::Method::{Autoencoder, Pacmap, Pca, Tsne, Umap};
    let words: [(&str, bool, &[reduce::Method]); 15] = [
        ("--perplexity", a.perplexity.is_some(), &[Tsne]),
        ("--iterations", a.iterations.is_some(), &[Tsne]),
        ("--exaggeration", a.exaggeration.is_some(), &[Tsne]),
        ("--momentum", a.momentum.is_some(), &[Tsne]),
        ("--multiscale", a.multiscale, &[Tsne]),
        ("--no-early-stop", a.no_early_stop, &[Tsne]),
        ("--start", a.start.is_some(), &[Umap]),
        ("--min-dist", a.min_dist.is_some(), &[Umap]),
        ("--neighbours", a.neighbours.is_some(), &[Umap, Pacmap]),
        ("--pca-dims", a.pca_dims.is_some(), &[Tsne, Umap, Pacmap]),
        ("--epochs", a.epochs.is_some(), &[Umap, Autoencoder]),
        ("--layers", !a.layers.is_empty(), &[Autoencoder]),
        ("--variational", a.variational, &[Autoencoder]),
        ("--beta", a.beta.is_some(), &[Autoencoder]),
        ("--weights", a.weights.is_some(), &[Pca, Autoencoder]),
    ];
    let given = words.into_iter().filter(|(_, given, of)| *given && (a.place.is_some() || !of.contains(&method)));
    let say = |(word, _, of): (&str, bool, &[reduce::Method])| {
        let of: Vec<String> = of.iter().map(ToString::to_string).collect();
        let who = if a.place.is_some() { "rows put on the map of a model take".into() } else { format!("{method} takes") };
        format!("{word} is for {}: {who} no notice of it", of.join(", "))
    };
    given.map(say).collect()
}

/// Make a map.
pub fn reduce(a: &Reduce, common: &Common) -> Outcome {
    super::writable_table(&a.output)?;
    a.save.as_deref().map_or(Ok(()), super::writable)?;
    let params = params(a, common.seed)?;
    let method = match &a.place {
        Some(model) => open_map(model)?.model.method(),
        None => params.method,
    };
    a.back.check(method)?;
    if a.errors && !matches!(method, reduce::Method::Pca | reduce::Method::Autoencoder) {
        return Err(Ended::Usage(format!("--errors: {method} takes no uncertainties; pca and autoencoder do")));
    }
    if is_npy(&a.input) {
        let named = [
            ("--labels", a.labels.is_some()),
            ("--columns", !a.columns.is_empty()),
            ("--vectors", a.vectors.is_some()),
            ("--weights", a.weights.is_some()),
            ("--explain", a.explain),
            ("--prepare", a.prepare),
            ("--errors", a.errors),
            ("--transform", !a.transform.is_empty()),
        ];
        if let Some((name, _)) = named.iter().find(|n| n.1) {
            return Err(Ended::Usage(format!("{name} is about columns of a table: a matrix in .npy has none")));
        }
    }
    if a.place.is_some() {
        let fits = [
            ("--scale", a.scale.is_some()),
            ("--columns", !a.columns.is_empty()),
            ("--vectors", a.vectors.is_some()),
            ("--weights", a.weights.is_some()),
            ("--explain", a.explain),
            ("--prepare", a.prepare),
            ("--labels", a.labels.is_some()),
            ("--quality", a.quality),
            ("--save", a.save.is_some()),
            ("--errors", a.errors),
            ("--transform", !a.transform.is_empty()),
        ];
        if let Some((name, _)) = fits.iter().find(|n| n.1) {
            return Err(Ended::Usage(format!(
                "{name} is for a new map: with --place rows are put on the map of a model, with its columns and its scaling"
            )));
        }
    }
    let mut done = if is_npy(&a.input) { matrix(a, &params) } else { table(a, &params) }?;
    let unheeded = unheeded(a, method);
    if let Some(list) = done.json["warnings"].as_array_mut() {
        list.extend(unheeded.into_iter().map(Value::from));
    }
    Ok(done)
}

/// Rows that are placed at a time: what is in memory is bounded by them, however many there are.
const PLACE_ROWS: usize = 65_536;

/// Rows of a matrix on the map of a saved model, part by part.
fn place_matrix(a: &Reduce, model: &Path) -> Outcome {
    let bar = Bar::new();
    let start = Instant::now();
    let saved = open_map(model)?;
    if let Some((features, prepared)) = &saved.features {
        let plain = matches!(features.of, FeatureKind::Spectra { normalise: Normalise::None, .. })
            && prepared.scaler.centre.iter().all(|c| *c == 0.0)
            && prepared.scaler.scale.iter().all(|s| *s == 1.0);
        if !plain {
            return Err(Ended::Failed(format!(
                "{}: this model was made of a table ({}), and a bare matrix says neither which column is which nor how they were \
                 scaled: place a table with these columns on it",
                model.display(),
                some_names(&prepared.names)
            )));
        }
    }
    let placer = saved.model.placer(&bar)?;
    let mut input = data::NpyRows::open(&a.input)?;
    let ([rows, columns], dims) = (input.shape, saved.model.dims());
    let read = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let mut each = |take: &mut dyn FnMut(reduce::Placement) -> Result<(), data::Error>| -> Result<(), Ended> {
        for from in (0..rows).step_by(PLACE_ROWS) {
            let part = input.rows(from, from + PLACE_ROWS)?;
            let x = Array2::from_shape_vec((part.len() / columns.max(1), columns), part)?;
            take(placer.place(x.view(), &bar)?)?;
            if interrupted() {
                return Err(Ended::Interrupted);
            }
        }
        Ok(())
    };
    if is_npy(&a.output) {
        let mut outcome = Ok(());
        let written = data::write_npy_parts(&a.output, [rows, dims], |write| {
            let mut packed = Vec::new();
            outcome = each(&mut |placed| {
                packed.clear();
                packed.extend(placed.coords.iter());
                write(&packed)
            });
            Ok(())
        });
        // What stopped the placing says more than that the file is too short.
        outcome?;
        written?;
    } else {
        let (mut coords, mut unlike) = (vec![Vec::with_capacity(rows); dims], Vec::with_capacity(rows));
        each(&mut |placed| {
            coords.iter_mut().enumerate().for_each(|(d, column)| column.extend(placed.coords.column(d)));
            unlike.extend(placed.unlike);
            Ok(())
        })?;
        let mut out = data::Table::default();
        for (d, column) in coords.into_iter().enumerate() {
            out.with_f32_column(&coordinate_name(dims, d), column, ColumnMeta::default())?;
        }
        out.with_f32_column("unlike", unlike, unlike_meta())?;
        data::write_table(&out, None, &a.output)?;
    }
    let seconds = json!({"read": read, "place": start.elapsed().as_secs_f64()});
    let mut done = done(a, rows, columns, &json!({}), None, seconds, &[], false);
    done.json["method"] = json!(saved.model.method().to_string());
    if a.back.any() {
        // These look at all rows at once.
        let (values, shape) = data::npy::read_npy(&a.input)?;
        let x = Array2::from_shape_vec((shape[0], shape[1]), values)?;
        let coords = placer.place(x.view(), &bar)?.coords;
        let of = (&saved.model, coords.view(), &Default::default());
        back(a, &mut done, of, Dimensions::default(), &|| Ok((x.clone(), (0..shape[0]).collect())))?;
    }
    Ok(done)
}

/// What is asked of the map that was made, or that rows were put on.
fn back<'a>(
    a: &Reduce,
    done: &mut Done,
    (model, coords, figures): (&'a reduce::Model, ArrayView2<'a, f32>, &'a std::collections::BTreeMap<String, f64>),
    dimensions: Dimensions,
    vectors: &'a dyn Fn() -> Result<(Array2<f32>, Vec<usize>), Ended>,
) -> Result<(), Ended> {
    let (json, text) = a.back.tell(&Made { model, coords, figures, dimensions, vectors })?;
    if let (Some(all), Value::Object(more)) = (done.json.as_object_mut(), json) {
        all.extend(more);
    }
    done.text += &text;
    Ok(())
}

/// The first few names, and how many more there are.
fn some_names(names: &[String]) -> String {
    let first = names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 8 { format!("{first} and {} more", names.len() - 8) } else { first }
}

fn unlike_meta() -> ColumnMeta {
    ColumnMeta { description: Some("how unlike the rows of the map: 1 is typical".into()), ..ColumnMeta::default() }
}

fn matrix(a: &Reduce, params: &Params) -> Outcome {
    if let Some(model) = &a.place {
        return place_matrix(a, model);
    }
    let start = Instant::now();
    let (values, shape) = data::npy::read_npy(&a.input)?;
    let mut x = Array2::from_shape_vec((shape[0], shape[1]), values)?;
    let mut seconds = json!({"read": start.elapsed().as_secs_f64()});
    let scale = scale_of(a.scale.as_deref(), Scale::None);
    if scale != Scale::None {
        let mut wide = x.mapv(f64::from);
        reduce::scale(&mut wide, scale);
        x = wide.mapv(|v| v as f32);
    }
    let bar = Bar::new();
    let reduce::Embedding { coords, figures, seconds: stages, model, .. } = reduce::embed(x.view(), None, params, &bar)?;
    if interrupted() {
        return Err(Ended::Interrupted);
    }
    for (stage, s) in &stages {
        seconds[stage_name(stage)] = json!(s);
    }
    let start = Instant::now();
    let quality = quality_of(a, x.view(), coords.view(), params.seed, &bar)?;
    if quality.is_some() {
        seconds["quality"] = json!(start.elapsed().as_secs_f64());
    }
    let start = Instant::now();
    if is_npy(&a.output) {
        let packed: Vec<f32> = coords.iter().copied().collect();
        data::npy::write_npy(&a.output, &packed, [coords.nrows(), coords.ncols()])?;
    } else {
        let mut out = data::Table::default();
        for d in 0..coords.ncols() {
            out.with_f32_column(&coordinate_name(coords.ncols(), d), coords.column(d).to_vec(), ColumnMeta::default())?;
        }
        data::write_table(&out, None, &a.output)?;
    }
    seconds["write"] = json!(start.elapsed().as_secs_f64());
    let mut done = done(a, coords.nrows(), x.ncols(), &json!(figures), quality, seconds, &[], false);
    let of = (&model, coords.view(), &figures);
    back(a, &mut done, of, Dimensions::default(), &|| Ok((x.clone(), (0..x.nrows()).collect())))?;
    if let Some(path) = &a.save {
        save_map(&SavedMap { features: None, model }, path)?;
    }
    Ok(done)
}

/// A stage as the contract of `--json` names it.
pub fn stage_name(stage: &str) -> &str {
    if stage == "layout" { "optimise" } else { stage }
}

/// What a column of coordinates is called.
pub fn coordinate_name(dims: usize, d: usize) -> String {
    match (dims, d) {
        (2, 0) => "map_x".into(),
        (2, 1) => "map_y".into(),
        _ => format!("map_{}", d + 1),
    }
}

fn quality_of(a: &Reduce, x: ArrayView2<f32>, coords: ArrayView2<f32>, seed: u64, bar: &Bar) -> Result<Option<Value>, Ended> {
    if !a.quality {
        return Ok(None);
    }
    Ok(Some(json!(quality_figures(&reduce::quality(x, coords, seed, bar)?))))
}

fn done(
    a: &Reduce,
    rows: usize,
    dims: usize,
    figures: &Value,
    quality: Option<Value>,
    seconds: Value,
    warnings: &[String],
    truncated: bool,
) -> Done {
    let said: Vec<String> =
        figures.as_object().into_iter().flatten().map(|(k, v)| format!("{k} {:.5}", v.as_f64().unwrap_or(f64::NAN))).collect();
    let mut json = json!({"method": a.method, "rows": rows, "dims": dims, "output": a.output.display().to_string(), "figures": figures, "seconds": seconds, "warnings": warnings});
    let mut said = said;
    for (k, v) in quality.as_ref().and_then(Value::as_object).into_iter().flatten() {
        said.extend(v.as_f64().map(|v| format!("{k} {v:.5}")));
    }
    // cli.md: quality figures are a part of the object; what the method itself reports belongs there too.
    let mut all = figures.clone();
    if let (Some(map), Some(Value::Object(more))) = (all.as_object_mut(), &quality) {
        map.extend(more.clone());
    }
    json["quality"] = all;
    let mut text = format!("{rows} rows × {dims} dimensions to {}", a.output.display());
    if !said.is_empty() {
        text += &format!("\n{}", said.join(", "));
    }
    Done { json, text, truncated }
}

/// Rows of a table that is larger than it should be in memory on the map of a saved model: part by part from file to file.
fn place_streamed(a: &Reduce, model: &Path, source: &data::scan::Source) -> Outcome {
    let bar = Bar::new();
    let start = Instant::now();
    let saved = open_map(model)?;
    let (features, prepared) = features_of(&saved, model)?;
    let (placer, dims) = (saved.model.placer(&bar)?, saved.model.dims());
    let ask = asterism_session::Ask::file(a.input.clone());
    let (mut width, mut rows, mut ended, mut warnings) = (0, 0, None, Vec::new());
    let mut place = |table: data::Table| -> Result<data::Table, Ended> {
        for warning in table.warnings.iter().filter(|w| !warnings.contains(*w)).cloned().collect::<Vec<_>>() {
            warnings.push(warning);
        }
        let spectra = data::SpectraColumn::find(&table).map(std::sync::Arc::new);
        let part = asterism_session::ledger::probe(&ask, table, spectra, Vec::new());
        let v = features::vectors(&part, features, 0, Some(prepared))?;
        let placed = placer.place(v.x.view(), &bar)?;
        let total = part.table.rows();
        let mut columns = vec![vec![f32::NAN; total]; dims + 1];
        for (i, row) in v.rows.iter().enumerate() {
            (0..dims).for_each(|d| columns[d][*row] = placed.coords[[i, d]]);
            columns[dims][*row] = placed.unlike[i];
        }
        (width, rows) = (v.x.ncols(), rows + total);
        let mut out = (*part.table).clone();
        let unlike = columns.pop().unwrap_or_default();
        for (d, column) in columns.into_iter().enumerate() {
            out.with_f32_column(&coordinate_name(dims, d), column, ColumnMeta::default())?;
        }
        out.with_f32_column("unlike", unlike, unlike_meta())?;
        if interrupted() { Err(Ended::Interrupted) } else { Ok(out) }
    };
    let written = data::write::write_stream(&a.output, &mut |write| {
        source.scan(&data::scan::Query::default(), &|_, _, _| !interrupted(), &mut |table| match place(table) {
            Ok(out) => write(out),
            Err(e) => {
                ended = Some(e);
                Err(data::Error::Stopped)
            }
        })?;
        Ok(())
    });
    // What stopped the placing says more than that the writing was stopped.
    if let Some(e) = ended {
        return Err(e);
    }
    written?;
    let seconds = json!({"place": start.elapsed().as_secs_f64()});
    let mut done = done(a, rows, width, &json!({}), None, seconds, &warnings, false);
    done.json["method"] = json!(saved.model.method().to_string());
    Ok(done)
}

/// What the rows of a saved map's table were made into vectors by.
fn features_of<'a>(saved: &'a SavedMap, path: &Path) -> Result<(&'a Features, &'a features::Prepared), Ended> {
    let of = saved.features.as_ref().map(|(f, p)| (f, p));
    of.ok_or_else(|| Ended::Failed(format!("{}: this model was made of a bare matrix: place a .npy on it", path.display())))
}

/// A table of more bytes is placed part by part from file to file.
const PLACED_WHOLE: u64 = 256 << 20;

fn table(a: &Reduce, params: &Params) -> Outcome {
    if let Some(model) = a.place.as_deref().filter(|_| !a.back.any() && !is_npy(&a.output))
        && let Some(source) = data::scan::Source::larger_than(&a.input, data::scan::limit().min(PLACED_WHOLE))?
    {
        return place_streamed(a, model, &source);
    }
    let start = Instant::now();
    let mut dataset = read_dataset(&a.input)?;
    let mut seconds = json!({"read": start.elapsed().as_secs_f64()});
    let bar = Bar::new();
    let rows = dataset.table.rows();
    if let Some(path) = &a.place {
        let saved = open_map(path)?;
        let (features, prepared) = features_of(&saved, path)?;
        let start = Instant::now();
        let (placer, dims) = (saved.model.placer(&bar)?, saved.model.dims());
        let mut coords = Array2::from_elem((rows, dims), f32::NAN);
        let mut unlike = vec![f32::NAN; rows];
        let mut width = 0;
        for from in (0..rows).step_by(PLACE_ROWS) {
            // Vectors of a part of the rows at a time.
            let part = data::RowSet::from_rows(rows, from..(from + PLACE_ROWS).min(rows));
            let part = asterism_session::Dataset { table: std::sync::Arc::new(dataset.table.take(&part)?), ..dataset.clone() };
            let v = features::vectors(&part, features, 0, Some(prepared))?;
            let placed = placer.place(v.x.view(), &bar)?;
            for (i, row) in v.rows.iter().enumerate() {
                coords.row_mut(from + row).assign(&placed.coords.row(i));
                unlike[from + row] = placed.unlike[i];
            }
            width = v.x.ncols();
            if interrupted() {
                return Err(Ended::Interrupted);
            }
        }
        let mut out = (*dataset.table).clone();
        for d in 0..dims {
            out.with_f32_column(&coordinate_name(dims, d), coords.column(d).to_vec(), ColumnMeta::default())?;
        }
        out.with_f32_column("unlike", unlike, unlike_meta())?;
        seconds["place"] = json!(start.elapsed().as_secs_f64());
        write(&out, &coords, &a.output)?;
        let mut done = done(a, rows, width, &json!({}), None, seconds, &out.warnings, out.truncated);
        done.json["method"] = json!(saved.model.method().to_string());
        let of = (&saved.model, coords.view(), &Default::default());
        back(a, &mut done, of, dimensions(&dataset, features, prepared), &|| {
            let v = features::vectors(&dataset, features, 0, Some(prepared))?;
            Ok((v.x, v.rows))
        })?;
        return Ok(done);
    }
    let mut features = match (&a.vectors, a.columns.is_empty()) {
        (Some(name), _) => {
            let start = Instant::now();
            let f = of_vectors(&mut dataset, name)?;
            if !matches!(&f.of, FeatureKind::Spectra { column, .. } if column == name) {
                seconds["products"] = json!(start.elapsed().as_secs_f64());
            }
            f
        }
        (None, false) => {
            // Words become classes.
            let words = |c: &str| dataset.table.column_index(c).is_some_and(|i| dataset.table.columns()[i].datatype == "string");
            let suggested = suggested_columns(&dataset);
            let column = |c: &String| {
                let known = suggested.iter().find(|s| s.column == *c);
                let plain = if words(c) { Transform::Levels } else { Transform::None };
                FeatureColumn {
                    transform: known.filter(|_| a.prepare).map_or(plain, |s| s.transform),
                    missing: known.map(|s| s.missing.clone()).unwrap_or_default(),
                    ..FeatureColumn::plain(c.as_str())
                }
            };
            let of = FeatureKind::Columns(a.columns.iter().map(column).collect());
            Features { name: "columns".into(), of, ..Features::default() }
        }
        (None, true) => {
            let mut f = features::of_columns(&dataset);
            if let (FeatureKind::Columns(columns), false) = (&mut f.of, a.prepare) {
                columns.iter_mut().for_each(|c| c.transform = Default::default());
            }
            f
        }
    };
    features.scale = scale_of(a.scale.as_deref(), features.scale);
    if let FeatureKind::Columns(columns) = &mut features.of {
        transforms(columns, &a.transform)?;
    }
    if a.errors {
        features.weights = asterism_session::Weights::Errors;
    }
    let taken = blanked(&features);
    if let Some(name) = &a.weights {
        dataset.table.index_of(name)?;
    }
    if a.weights.is_some() && !matches!(params.method, reduce::Method::Pca | reduce::Method::Autoencoder) {
        return Err(Ended::Usage(format!("--weights: {} takes none; pca and autoencoder do", params.method)));
    }
    let map = match &a.weights {
        None => session::compute_map(&dataset, &features, params, 1, "map".into(), &bar)?,
        Some(name) => weighted(&dataset, &features, params, name, a.quality, &bar)?,
    };
    if interrupted() {
        return Err(Ended::Interrupted);
    }
    for (stage, s) in &map.seconds {
        seconds[stage_name(stage)] = json!(s);
    }
    let dims = map.coords.dims;
    let mut out = (*dataset.table).clone();
    for (name, values, description) in export::map_columns(&map) {
        if name == "trust" && !a.quality {
            continue;
        }
        out.with_f32_column(&name, values, ColumnMeta { description: Some(description), ..ColumnMeta::default() })?;
    }
    if params.method == reduce::Method::Autoencoder {
        for d in 0..dims {
            let latent: Vec<f32> = map.coords.values.iter().skip(d).step_by(dims).copied().collect();
            out.with_f32_column(&format!("latent_{}", d + 1), latent, ColumnMeta::default())?;
        }
    }
    let coords = Array2::from_shape_vec((rows, dims), map.coords.values.clone())?;
    let start = Instant::now();
    write(&out, &coords, &a.output)?;
    seconds["write"] = json!(start.elapsed().as_secs_f64());
    if let (Some(path), Some(model), Some(prepared)) = (&a.save, &map.model, &map.prepared) {
        save_map(&SavedMap { features: Some((map.features.clone(), (**prepared).clone())), model: (**model).clone() }, path)?;
    }
    let quality = map.quality.as_ref().filter(|_| a.quality).map(|q| json!(quality_figures(q)));
    let width = map.prepared.as_ref().map_or(0, |p| p.names.len());
    let warnings: Vec<String> = out.warnings.iter().cloned().chain(taken.clone()).collect();
    let mut done = done(a, rows, width, &json!(map.figures), quality, seconds, &warnings, out.truncated);
    if let Some(prepared) = &map.prepared {
        done.json["columns"] = json!(prepared.names);
        if matches!(map.features.of, FeatureKind::Columns(_)) {
            done.text += &format!("\nof {}", some_names(&prepared.names));
            taken.iter().for_each(|w| done.text += &format!("\n{w}"));
        }
    }
    if let Some(name) = &a.labels {
        let l = asterism_session::explain::label_accuracy(&dataset, &map, name, &bar)?;
        done.text += &format!(
            "\n{name}: {:.1} % of {} rows lie among their own class ({} classes; {:.1} % by chance)",
            l.accuracy * 100.0,
            l.rows,
            l.classes,
            l.chance * 100.0
        );
        done.json["quality"]["label_accuracy"] = json!(l.accuracy);
        done.json["quality"]["label_chance"] = json!(l.chance);
    }
    if let (Some(model), Some(prepared)) = (&map.model, &map.prepared) {
        let of = (&**model, coords.view(), &map.figures);
        back(a, &mut done, of, dimensions(&dataset, &map.features, prepared), &|| {
            let v = features::vectors(&dataset, &map.features, 0, Some(prepared))?;
            Ok((v.x, v.rows))
        })?;
    }
    if a.explain {
        let found = asterism_session::explain::explain(&dataset, &map, &bar)?;
        for e in found.iter().take(10).filter(|e| e.most() >= 0.01) {
            let shares: Vec<String> = e.axes.iter().map(|s| format!("{:.0} %", s * 100.0)).collect();
            done.text += &format!("\nnot used, and explains the map: {} ({})", e.column, shares.join(", "));
        }
        done.json["explain"] = found.iter().map(|e| json!({"column": e.column, "axes": e.axes})).collect();
    }
    Ok(done)
}

/// How the dimensions of the vectors of a table are called.
fn dimensions(dataset: &asterism_session::Dataset, features: &Features, prepared: &features::Prepared) -> Dimensions {
    Dimensions {
        prepared: Some(prepared.clone()),
        apart: matches!(features.of, FeatureKind::Columns(_)),
        axis: features::axis(dataset, features, prepared.names.len()),
    }
}

/// Does `--transform` to the columns; one that is not among them joins them.
fn transforms(columns: &mut Vec<FeatureColumn>, words: &[String]) -> Result<(), Ended> {
    let list = || Transform::ALL.map(Transform::word).join(", ");
    for word in words {
        let (column, how) = word
            .rsplit_once('=')
            .ok_or_else(|| Ended::Usage(format!("--transform {word}: write COLUMN=HOW; HOW is one of {}", list())))?;
        let how = Transform::ALL.into_iter().find(|t| t.word() == how.trim());
        let how = how.ok_or_else(|| Ended::Usage(format!("--transform {word}: HOW is one of {}", list())))?;
        let column = column.trim();
        match columns.iter_mut().find(|c| c.column == column) {
            Some(known) => known.transform = how,
            None => columns.push(FeatureColumn { transform: how, ..FeatureColumn::plain(column) }),
        }
    }
    Ok(())
}

/// What is suggested for the numeric columns of a table.
fn suggested_columns(dataset: &asterism_session::Dataset) -> Vec<FeatureColumn> {
    match features::of_columns(dataset).of {
        FeatureKind::Columns(columns) => columns,
        _ => Vec::new(),
    }
}

/// A warning for each column in which numbers are taken for blanks.
fn blanked(features: &Features) -> Vec<String> {
    let FeatureKind::Columns(columns) = &features.of else { return Vec::new() };
    let of = |c: &FeatureColumn| {
        let numbers: Vec<String> = c.missing.iter().map(ToString::to_string).collect();
        format!("column {}: {} stands for no value and was taken as a blank", c.column, numbers.join(", "))
    };
    columns.iter().filter(|c| !c.missing.is_empty()).map(of).collect()
}

/// The vectors of a column of array cells, or of the products whose addresses or paths it holds, which are read into the table.
///
/// # Errors
/// When the column is not there, holds no arrays, or nothing could be read.
pub fn of_vectors(dataset: &mut asterism_session::Dataset, name: &str) -> Result<Features, Ended> {
    if products::is_text(&dataset.table, name) {
        let kind = read_products(dataset, name)?;
        let f = match (kind, CurveColumns::find(&dataset.table)) {
            (ProductKind::LightCurves, Some(curves)) => features::light_curves(dataset, &curves),
            _ => features::suggest(dataset),
        };
        return Ok(Features { name: format!("{} of {name}", kind.word()), ..f });
    }
    if dataset.spectra.as_deref().is_none_or(|s| dataset.table.column_index(name) != Some(s.flux)) {
        dataset.spectra = Some(std::sync::Arc::new(array_column(&dataset.table, name)?));
    }
    let of = FeatureKind::Spectra { column: name.to_owned(), grid: None, normalise: Normalise::None };
    Ok(Features { name: name.to_owned(), of, scale: Scale::None, blanks: Blanks::Mask, ..Features::default() })
}

/// Read the products that a column of addresses or paths names: spectra, or else light curves.
fn read_products(dataset: &mut asterism_session::Dataset, column: &str) -> Result<ProductKind, Ended> {
    let client = asterism_session::archive::Client::new(asterism_session::Settings::load().services)?;
    let rows = data::RowSet::full(dataset.table.rows());
    let folder = products::folder_of(&dataset.ask);
    let read = |kind| products::read(&dataset.table, folder.as_deref(), column, kind, &rows, &client, &|_, _| interrupted());
    let (kind, found) = match read(ProductKind::Spectra) {
        Ok(found) => (ProductKind::Spectra, found),
        Err(why) => match read(ProductKind::LightCurves) {
            Ok(found) => (ProductKind::LightCurves, found),
            Err(_) => return Err(why.into()),
        },
    };
    if interrupted() {
        return Err(Ended::Interrupted);
    }
    let mut table = found.into_columns(&dataset.table)?;
    if !found.failed.is_empty() || found.without > 0 {
        table.warnings.push(found.sentence());
    }
    dataset.spectra = data::SpectraColumn::find(&table).map(std::sync::Arc::new);
    dataset.table = std::sync::Arc::new(table);
    Ok(kind)
}

/// Array cells of no known axis, as if they were spectra against their own index.
fn array_column(table: &data::Table, name: &str) -> Result<data::SpectraColumn, Ended> {
    let flux = table.index_of(name)?;
    let length = (0..table.rows()).map(|row| table.array(flux, row).len()).find(|n| *n > 0).unwrap_or(0);
    if length < 2 {
        return Err(Ended::Failed(format!("column '{name}' holds no arrays: --columns takes plain columns")));
    }
    Ok(data::SpectraColumn {
        flux,
        error: None,
        error_is_variance: false,
        error_is_inverse_variance: false,
        wavelength: None,
        grid: Some((1..=length).map(|i| i as f64).collect()),
        axis_unit: "Angstrom".into(),
        flux_unit: String::new(),
        medium: data::Medium::Unknown,
    })
}

/// A map with inverse variances from a column of array cells.
fn weighted(
    dataset: &asterism_session::Dataset,
    features: &Features,
    params: &Params,
    name: &str,
    judge: bool,
    bar: &Bar,
) -> Result<asterism_session::Map, Ended> {
    let v = features::vectors(dataset, features, 0, None)?;
    let column = dataset.table.index_of(name)?;
    let mut w = Array2::zeros(v.x.dim());
    // Inverse variances of tiny fluxes are beyond f32; which of them is larger is all that counts.
    let mut most = 0.0f64;
    for row in &v.rows {
        most = dataset.table.array(column, *row).into_iter().filter(|v| v.is_finite()).fold(most, f64::max);
    }
    let unit = if most > 0.0 { most.log2().floor().exp2() } else { 1.0 };
    for (i, row) in v.rows.iter().enumerate() {
        let own = dataset.table.array(column, *row);
        if own.len() != v.x.ncols() {
            return Err(Ended::Failed(format!("row {row} has {} weights for {} values", own.len(), v.x.ncols())));
        }
        for (d, value) in own.iter().enumerate() {
            w[[i, d]] = if value.is_finite() && *value > 0.0 { (*value / unit) as f32 } else { 0.0 };
        }
    }
    if let Some(mask) = &v.weights {
        w *= mask;
    }
    let e = reduce::embed(v.x.view(), Some(w.view()), params, bar)?;
    let dims = e.coords.ncols();
    let total = dataset.table.rows();
    let quality = if judge {
        let mut found = reduce::quality(v.x.view(), e.coords.view(), params.seed, bar)?;
        let mut trust = vec![f32::NAN; total];
        v.rows.iter().zip(&found.row_trust).for_each(|(row, t)| trust[*row] = *t);
        found.row_trust = trust;
        Some(std::sync::Arc::new(found))
    } else {
        None
    };
    let mut values = vec![f32::NAN; total * dims];
    let mut error = vec![f32::NAN; total];
    for (i, row) in v.rows.iter().enumerate() {
        for d in 0..dims {
            values[row * dims + d] = e.coords[[i, d]];
        }
        if let Some(own) = &e.row_error {
            error[*row] = own[i];
        }
    }
    Ok(asterism_session::Map {
        id: 1,
        name: "map".into(),
        params: params.clone(),
        features: features.clone(),
        xy: std::sync::Arc::new(values.chunks_exact(dims).map(|c| [c[0], c.get(1).copied().unwrap_or(0.0)]).collect()),
        coords: std::sync::Arc::new(asterism_session::ndarray_like::Coords { dims, values }),
        figures: e.figures,
        seconds: e.seconds,
        quality,
        row_error: e.row_error.map(|_| std::sync::Arc::new(error)),
        model: Some(std::sync::Arc::new(e.model)),
        prepared: Some(std::sync::Arc::new(v.prepared)),
        fitted: total,
        unlike: Default::default(),
        complete: e.complete,
        legs: Vec::new(),
        generation: 1,
    })
}

fn write(table: &data::Table, coords: &Array2<f32>, to: &Path) -> Result<(), Ended> {
    if is_npy(to) {
        let packed: Vec<f32> = coords.iter().copied().collect();
        data::npy::write_npy(to, &packed, [coords.nrows(), coords.ncols()])?;
    } else {
        data::write_table(table, None, to)?;
    }
    Ok(())
}
