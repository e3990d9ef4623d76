//! `reduce` and `cluster`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use asterism_session::data::{self, ColumnMeta};
use asterism_session::features::{self, FeatureColumn, FeatureKind, Features};
use asterism_session::reduce::{self, Params, Scale};
use asterism_session::store::{SavedMap, open_map, quality_figures, save_map};
use asterism_session::{Blanks, CurveColumns, Normalise, Outliers, ProductKind, Transform, export, products, session};
use clap::Args;
use ndarray::{Array2, ArrayView2};
use serde_json::{Value, json};

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
    /// t-SNE: how many neighbours count.
    #[arg(long, default_value_t = 30.0)]
    perplexity: f64,
    /// t-SNE: steps.
    #[arg(long)]
    iterations: Option<usize>,
    /// t-SNE: late exaggeration.
    #[arg(long, default_value_t = 1.0)]
    exaggeration: f64,
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
    #[arg(long, default_value_t = 0)]
    neighbours: usize,
    /// UMAP: how close together rows may lie.
    #[arg(long, default_value_t = 0.1)]
    min_dist: f64,
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
    /// Variational autoencoder: weight of the clouds' information; more makes smoother maps.
    #[arg(long, default_value_t = 1.0)]
    beta: f64,
    /// Autoencoder: a column of array cells with inverse variances.
    #[arg(long, value_name = "NAME")]
    weights: Option<String>,
}

fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"))
}

fn scale_of(text: Option<&str>, default: Scale) -> Scale {
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
    let mut p = Params {
        method,
        seed,
        dims: a.latent.unwrap_or(a.dims),
        perplexity: a.perplexity,
        exaggeration: a.exaggeration,
        neighbours: a.neighbours,
        min_dist: a.min_dist,
        ..Params::default()
    };
    p.iterations = a.iterations.unwrap_or(p.iterations);
    p.epochs = a.epochs.unwrap_or(p.epochs);
    p.momentum = a.momentum.unwrap_or(p.momentum);
    p.multiscale = a.multiscale;
    (p.variational, p.beta) = (a.variational, a.beta);
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

/// Make a map.
pub fn reduce(a: &Reduce, common: &Common) -> Outcome {
    super::writable_table(&a.output)?;
    a.save.as_deref().map_or(Ok(()), super::writable)?;
    let params = params(a, common.seed)?;
    if is_npy(&a.input) {
        let named = [
            ("--labels", a.labels.is_some()),
            ("--columns", !a.columns.is_empty()),
            ("--vectors", a.vectors.is_some()),
            ("--weights", a.weights.is_some()),
            ("--explain", a.explain),
            ("--prepare", a.prepare),
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
        ];
        if let Some((name, _)) = fits.iter().find(|n| n.1) {
            return Err(Ended::Usage(format!(
                "{name} is for a new map: with --place rows are put on the map of a model, with its columns and its scaling"
            )));
        }
    }
    if is_npy(&a.input) { matrix(a, &params) } else { table(a, &params) }
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
    Ok(done)
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
    if let Some(path) = &a.save {
        save_map(&SavedMap { features: None, model }, path)?;
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
    Ok(done(a, coords.nrows(), x.ncols(), &json!(figures), quality, seconds, &[], false))
}

/// A stage as the contract of `--json` names it.
pub fn stage_name(stage: &str) -> &str {
    if stage == "layout" { "optimise" } else { stage }
}

fn coordinate_name(dims: usize, d: usize) -> String {
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
    Done { json, text: format!("{rows} rows × {dims} dimensions to {}\n{}", a.output.display(), said.join(", ")), truncated }
}

fn table(a: &Reduce, params: &Params) -> Outcome {
    let start = Instant::now();
    let mut dataset = read_dataset(&a.input)?;
    let mut seconds = json!({"read": start.elapsed().as_secs_f64()});
    let bar = Bar::new();
    let rows = dataset.table.rows();
    if let Some(path) = &a.place {
        let saved = open_map(path)?;
        let (features, prepared) = saved.features.ok_or_else(|| {
            Ended::Failed(format!("{}: this model was made of a bare matrix: place a .npy on it", path.display()))
        })?;
        let start = Instant::now();
        let (placer, dims) = (saved.model.placer(&bar)?, saved.model.dims());
        let mut coords = Array2::from_elem((rows, dims), f32::NAN);
        let mut unlike = vec![f32::NAN; rows];
        let mut width = 0;
        for from in (0..rows).step_by(PLACE_ROWS) {
            // Vectors of a part of the rows at a time.
            let part = data::RowSet::from_rows(rows, from..(from + PLACE_ROWS).min(rows));
            let part = asterism_session::Dataset { table: std::sync::Arc::new(dataset.table.take(&part)?), ..dataset.clone() };
            let v = features::vectors(&part, &features, 0, Some(&prepared))?;
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
        return Ok(done);
    }
    let mut features = match (&a.vectors, a.columns.is_empty()) {
        (Some(name), _) if products::is_text(&dataset.table, name) => {
            let start = Instant::now();
            let kind = read_products(&mut dataset, name)?;
            seconds["products"] = json!(start.elapsed().as_secs_f64());
            let f = match (kind, CurveColumns::find(&dataset.table)) {
                (ProductKind::LightCurves, Some(curves)) => features::light_curves(&dataset, &curves),
                _ => features::suggest(&dataset),
            };
            Features { name: format!("{} of {name}", kind.word()), ..f }
        }
        (Some(name), _) => {
            let spectra = dataset.spectra.as_deref().filter(|s| dataset.table.column_index(name) == Some(s.flux));
            if spectra.is_none() {
                dataset.spectra = Some(std::sync::Arc::new(array_column(&dataset.table, name)?));
            }
            let of = FeatureKind::Spectra { column: name.clone(), grid: None, normalise: Normalise::None };
            Features { name: name.clone(), of, scale: Scale::None, blanks: Blanks::Mask, ..Features::default() }
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
    let taken = blanked(&features);
    if a.weights.is_some() && params.method != reduce::Method::Autoencoder {
        return Err(Ended::Usage("--weights is for the autoencoder".into()));
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
    let flux = table.column_index(name).ok_or_else(|| Ended::Failed(format!("no column is named '{name}'")))?;
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
    let column = dataset.table.column_index(name).ok_or_else(|| Ended::Failed(format!("no column is named '{name}'")))?;
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
        let dataset = read_dataset(path)?;
        if let Some((f, prepared)) = like.and_then(|l| l.of.as_ref()) {
            let v = features::vectors(&dataset, f, 0, Some(prepared))?;
            return Ok(Self { x: v.x, rows: v.rows, table: Some(dataset.table), of: None, scaler: None });
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
