//! Writing recipes: the steps of a dataset, and the whole path of a document, as TOML that [`super::Parsed`] reads again.
//!
//! Text is put together by hand, since the order of keys and the lines are for a person; values go through the TOML writer. What is
//! seldom changed stands there only when it was. Choice not taken: a serialiser of the structures, which writes every field.

use super::*;

pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

/// One line on the parameters of a map, for a person and for exports.
pub fn params_text(p: &reduce::Params) -> String {
    match p.method {
        reduce::Method::Pca => format!("pca, {} dimensions", p.dims),
        reduce::Method::Tsne => format!("t-SNE, perplexity {}, {} iterations, seed {}", p.perplexity, p.iterations, p.seed),
        reduce::Method::Autoencoder => format!("autoencoder, layers {:?}, latent {}, seed {}", p.layers, p.dims, p.seed),
        reduce::Method::Umap => {
            format!("UMAP, {} neighbours, minimal distance {}, seed {}", automatic(p.neighbours), p.min_dist, p.seed)
        }
        reduce::Method::Pacmap => format!("PaCMAP, {} neighbours, seed {}", automatic(p.neighbours), p.seed),
    }
}

pub(super) fn automatic(n: usize) -> String {
    if n == 0 { "automatic".into() } else { n.to_string() }
}

/// `[[search]]` of a dataset.
pub fn step_search(d: &Dataset) -> String {
    let mut s = format!("[[search]]\nname = {}\n", quoted(&d.name));
    let mut line = |key: &str, value: String| s.push_str(&format!("{key} = {value}\n"));
    let filters = |list: &[Filter]| {
        let one = |f: &Filter| match &f.values {
            FilterValues::OneOf(v) => format!("{}={}", f.name, v.join(",")),
            FilterValues::Range { min, max } => format!(
                "{}={}..{}",
                f.name,
                min.map_or(String::new(), |v| v.to_string()),
                max.map_or(String::new(), |v| v.to_string())
            ),
            FilterValues::Like(text) => format!("{}={text}", f.name),
        };
        format!("[{}]", list.iter().map(|f| quoted(&one(f))).collect::<Vec<_>>().join(", "))
    };
    let limit;
    // The question is the whole one; which parts of it came stands beside it.
    let whole;
    let ask = match &d.ask {
        Ask::Archive { request: Request::Parts { plan } } => {
            let came: Vec<&asterism_archive::Part> = plan.parts.iter().filter(|p| p.done).collect();
            if !came.is_empty() {
                let texts: Vec<String> = came.iter().map(|p| quoted(&plan.text_of(p))).collect();
                line("parts", format!("[{}]", texts.join(", ")));
            }
            whole = Ask::Archive { request: (*plan.base).clone() };
            &whole
        }
        ask => ask,
    };
    match ask {
        Ask::Sample { name, filter, max_rows } => {
            line("service", quoted(&format!("sample:{name}")));
            if let Some(f) = filter {
                line("filter", quoted(f));
            }
            limit = *max_rows;
        }
        Ask::File { path, columns, photometry, filter, max_rows } => {
            line("service", quoted(&format!("file:{}", path.display())));
            if !photometry.is_default() {
                let mask = photometry.mask.map(|m| format!("mask = {m}"));
                let aperture = photometry.aperture.as_ref().map(|a| format!("aperture = {a:?}"));
                line("photometry", format!("{{ {} }}", [mask, aperture].into_iter().flatten().collect::<Vec<_>>().join(", ")));
            }
            if !columns.is_empty() {
                line("columns", format!("[{}]", columns.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", ")));
            }
            if let Some(f) = filter {
                line("filter", quoted(f));
            }
            limit = *max_rows;
        }
        Ask::Archive { request } => match request {
            Request::MastCone { ra_deg, dec_deg, radius_deg, max_rows } => {
                line("service", quoted("mast"));
                line("position", quoted(&format!("{ra_deg} {dec_deg}")));
                line("radius", quoted(&format!("{radius_deg}deg")));
                limit = *max_rows;
            }
            Request::MastFiltered { filters: list, position, max_rows } => {
                line("service", quoted("mast"));
                if let Some((ra, dec, r)) = position {
                    line("position", quoted(&format!("{ra} {dec}")));
                    line("radius", quoted(&format!("{r}deg")));
                }
                line("filter", filters(list));
                limit = *max_rows;
            }
            Request::MastCatalog { catalog, ra_deg, dec_deg, radius_deg, filters: list, max_rows } => {
                line("service", quoted(&format!("mast:{catalog}")));
                line("position", quoted(&format!("{ra_deg} {dec_deg}")));
                line("radius", quoted(&format!("{radius_deg}deg")));
                if !list.is_empty() {
                    line("filter", filters(list));
                }
                limit = *max_rows;
            }
            Request::Portal { service, position, filters: list, max_rows, radius_deg, .. } => {
                line("service", quoted(&format!("mast:{service}")));
                if let Some((ra, dec, r)) = position {
                    line("position", quoted(&format!("{ra} {dec}")));
                    line("radius", quoted(&format!("{r}deg")));
                } else if let Some(r) = radius_deg {
                    line("radius", quoted(&format!("{r}deg")));
                }
                if !list.is_empty() {
                    line("filter", filters(list));
                }
                limit = *max_rows;
            }
            Request::MastProducts { obsids } => {
                line("service", quoted("mast:products"));
                let list = obsids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
                line("filter", quoted(&format!("obsid={list}")));
                limit = None;
            }
            // The question that it is part of was put in its place above.
            Request::Parts { plan } => limit = plan.max_rows,
            Request::Mission { .. }
            | Request::MissionProducts { .. }
            | Request::Sia2 { .. }
            | Request::DataLink { .. }
            | Request::Hats { .. }
            | Request::Registry { .. } => {
                if let Some(words) = crate::doors::words(request) {
                    line("service", quoted(&words.service));
                    line("kind", quoted(&words.kind.to_string()));
                    if let Some((ra, dec, r)) = words.position {
                        line("position", quoted(&format!("{ra} {dec}")));
                        line("radius", quoted(&format!("{r}deg")));
                    }
                    if !words.filters.is_empty() {
                        line("filter", filters(&words.filters));
                    }
                }
                limit = request.max_rows();
            }
            Request::Tap { base, adql, asynchronous, max_rows, .. } => {
                line("service", quoted(base));
                line("kind", quoted("tap"));
                line("adql", quoted(adql));
                if *asynchronous {
                    line("async", "true".into());
                }
                limit = *max_rows;
            }
            Request::Cone { base, ra_deg, dec_deg, radius_deg, max_rows }
            | Request::Sia { base, ra_deg, dec_deg, radius_deg, max_rows }
            | Request::Ssa { base, ra_deg, dec_deg, radius_deg, max_rows } => {
                let kind = match request {
                    Request::Sia { .. } => "sia",
                    Request::Ssa { .. } => "ssa",
                    _ => "cone",
                };
                line("service", quoted(base));
                line("kind", quoted(kind));
                line("position", quoted(&format!("{ra_deg} {dec_deg}")));
                line("radius", quoted(&format!("{radius_deg}deg")));
                limit = *max_rows;
            }
        },
    }
    if let Some(limit) = limit {
        s.push_str(&format!("max_rows = {limit}\n"));
    }
    s
}

/// `[[features]]` of a dataset.
pub fn step_features(d: &Dataset, f: &Features, name: &str) -> String {
    let mut s = format!("[[features]]\nname = {}\nof = {}\n", quoted(name), quoted(&d.name));
    // What was read from products is read from them again.
    let source = |column: &str| crate::products::source_of(&d.table, column).unwrap_or(column).to_owned();
    match &f.of {
        FeatureKind::Columns(columns) => {
            s.push_str(&format!("columns = [{}]\n", columns.iter().map(|c| quoted(&c.column)).collect::<Vec<_>>().join(", ")));
            let changed: Vec<String> = columns
                .iter()
                .filter(|c| c.transform != Transform::None)
                .map(|c| format!("{} = {}", quoted(&c.column), quoted(c.transform.word())))
                .collect();
            if !changed.is_empty() {
                s.push_str(&format!("transforms = {{ {} }}\n", changed.join(", ")));
            }
            let missing: Vec<String> = columns
                .iter()
                .filter(|c| !c.missing.is_empty())
                .map(|c| format!("{} = {:?}", quoted(&c.column), c.missing))
                .collect();
            if !missing.is_empty() {
                s.push_str(&format!("missing = {{ {} }}\n", missing.join(", ")));
            }
        }
        FeatureKind::Spectra { column, grid, normalise } => {
            let column = source(column);
            let grid = grid.as_ref().map_or(String::new(), |g| format!(", grid = {}", quoted(g)));
            s.push_str(&format!("spectra = {{ column = {}{grid}, normalise = {} }}\n", quoted(&column), word(normalise)));
        }
        FeatureKind::LightCurves { column, bins, period } => {
            let period = if period.is_empty() { String::new() } else { format!(", period = {}", quoted(period)) };
            s.push_str(&format!("light_curves = {{ column = {}, bins = {bins}{period} }}\n", quoted(&source(column))));
        }
        FeatureKind::Images { size, column } if column.is_empty() => s.push_str(&format!("images = {{ size = {size} }}\n")),
        FeatureKind::Images { size, column } => {
            s.push_str(&format!("images = {{ column = {}, size = {size} }}\n", quoted(&source(column))));
        }
    }
    s.push_str(&format!("scale = {}\nblanks = {}\n", word(&f.scale), word(&f.blanks)));
    if f.weights != Weights::None {
        s.push_str(&format!("weights = {}\n", word(&f.weights)));
    }
    s
}

/// How serde writes a unit variant, quoted.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// `[[map]]` of a dataset.
pub fn step_map(map: &crate::document::Map, features: &str) -> String {
    // One leg to the end: its parameters as they stand. More: each with what was new in it.
    let legs = map.legs_or_params();
    let [first, then @ ..] = legs.as_slice() else { return String::new() };
    let mut s = map_text(&map.name, &first.params, features);
    if let Some(until) = first.until {
        s.push_str(&format!("until = {until}\n"));
    }
    // Of all rows there are: nothing to say.
    let all = legs.len() == 1 && first.arrived.len() == 1 && map.xy.len() == first.arrived[0][1];
    if !first.arrived.is_empty() && !all {
        s.push_str(&format!("arrived = {:?}\n", first.arrived));
    }
    if then.is_empty() {
        return s;
    }
    let mut before = &first.params;
    let mut words = Vec::new();
    for leg in then {
        words.push(then_text(before, leg));
        before = &leg.params;
    }
    s.push_str(&format!("then = [\n    {},\n]\n", words.join(",\n    ")));
    s
}

/// A leg of a map that went on: its iterations, and what is other than before.
pub(super) fn then_text(before: &reduce::Params, leg: &Leg) -> String {
    let (p, b) = (&leg.params, before);
    let mut words = vec![format!("iterations = {}", p.iterations)];
    let mut changed = |differs: bool, text: String| {
        if differs {
            words.push(text);
        }
    };
    changed(p.perplexity != b.perplexity, format!("perplexity = {:?}", p.perplexity));
    changed(p.exaggeration != b.exaggeration, format!("exaggeration = {:?}", p.exaggeration));
    changed(p.momentum != b.momentum, format!("momentum = {:?}", p.momentum));
    changed(p.multiscale != b.multiscale, format!("multiscale = {}", p.multiscale));
    changed(p.settle != b.settle, format!("settle = {}", p.settle));
    changed(p.pca_dims != b.pca_dims, format!("pca_dims = {}", p.pca_dims));
    changed(p.seed != b.seed, format!("seed = {}", p.seed));
    changed(leg.until.is_some(), format!("until = {}", leg.until.unwrap_or(0)));
    changed(!leg.arrived.is_empty(), format!("arrived = {:?}", leg.arrived));
    format!("{{ {} }}", words.join(", "))
}

pub(super) fn map_text(name: &str, p: &reduce::Params, features: &str) -> String {
    let mut s = format!(
        "[[map]]\nname = {}\nof = {}\nmethod = {}\nseed = {}\n",
        quoted(name),
        quoted(features),
        quoted(&p.method.to_string()),
        p.seed
    );
    match p.method {
        reduce::Method::Tsne => s.push_str(&format!(
            "dims = {}\nperplexity = {:?}\niterations = {}\nexaggeration = {:?}\n",
            p.dims, p.perplexity, p.iterations, p.exaggeration
        )),
        reduce::Method::Autoencoder => {
            s.push_str(&format!("latent = {}\nlayers = {:?}\nepochs = {}\n", p.dims, p.layers, p.epochs))
        }
        reduce::Method::Pca => s.push_str(&format!("dims = {}\n", p.dims)),
        reduce::Method::Umap => s.push_str(&format!(
            "dims = {}\nneighbours = {}\nmin_dist = {:?}\nepochs = {}\n",
            p.dims, p.neighbours, p.min_dist, p.epochs
        )),
        reduce::Method::Pacmap => s.push_str(&format!("dims = {}\nneighbours = {}\n", p.dims, p.neighbours)),
    }
    // What is seldom changed stands there only when it was.
    let usual = reduce::Params::default();
    let mut changed = |differs: bool, text: String| {
        if differs {
            s.push_str(&text);
        }
    };
    if p.method == reduce::Method::Tsne {
        changed(p.momentum != usual.momentum, format!("momentum = {:?}\n", p.momentum));
        changed(p.multiscale != usual.multiscale, format!("multiscale = {}\n", p.multiscale));
        changed(p.settle != usual.settle, format!("settle = {}\n", p.settle));
    }
    if p.method == reduce::Method::Autoencoder && p.variational {
        changed(true, format!("variational = true\nbeta = {:?}\n", p.beta));
    }
    changed(p.method == reduce::Method::Umap && p.start == reduce::Start::Spectral, "start = \"spectral\"\n".into());
    let neighbours = matches!(p.method, reduce::Method::Tsne | reduce::Method::Umap | reduce::Method::Pacmap);
    changed(neighbours && p.pca_dims != usual.pca_dims, format!("pca_dims = {}\n", p.pca_dims));
    s
}

/// `[[select]]` of a subset; `None` when its rows came from pointing and no predicate says them.
pub fn step_select(d: &Dataset, name: &str, steps: &[crate::document::Gesture]) -> Option<String> {
    let [(_, why)] = steps else { return None };
    let mut s = format!("[[select]]\nname = {}\nof = {}\n", quoted(name), quoted(&d.name));
    match &**why {
        Provenance::Where { expr } => s.push_str(&format!("where = {}\n", quoted(expr))),
        Provenance::Range { column, min, max } => {
            s.push_str(&format!("where = {}\n", quoted(&format!("{column} BETWEEN {min} AND {max}"))))
        }
        Provenance::Shape { plot, shape: Shape::Polygon(points) } => {
            match plot {
                Plot::Map(id) => s.push_str(&format!("map = {}\n", quoted(&d.maps.iter().find(|m| m.id == *id)?.name))),
                Plot::MapAxes { map, axes } => {
                    let name = &d.maps.iter().find(|m| m.id == *map)?.name;
                    let line = format!("map = {}\naxes = [{:?}, {:?}]\n", quoted(name), axes[0], axes[1]);
                    s.push_str(&line);
                }
                Plot::Columns { x, y } => s.push_str(&format!("plot = [{}, {}]\n", quoted(x), quoted(y))),
                Plot::Sky { ra, dec, centre: [a, d], projection, frame } => {
                    s.push_str(&format!("sky = [{}, {}]\ncentre = [{a:?}, {d:?}]\n", quoted(ra), quoted(dec)));
                    if *projection != Projection::Field {
                        s.push_str(&format!("projection = {}\n", quoted(projection.word())));
                    }
                    if *frame != SkyFrame::Equatorial {
                        s.push_str(&format!("frame = {}\n", quoted(frame.word())));
                    }
                }
                Plot::Image(_) => return None,
            }
            let points: Vec<String> = points.iter().map(|p| format!("[{:?}, {:?}]", p[0], p[1])).collect();
            s.push_str(&format!("polygon = [{}]\n", points.join(", ")));
        }
        _ => return None,
    }
    Some(s)
}

/// The path so far as a recipe. What a recipe cannot say (rows pointed at one by one) stands in it
/// as a comment.
pub fn of_document(doc: &Document) -> String {
    let mut s = String::from("# Written by Asterism. Run it with: asterism run THIS.toml -o FOLDER\nasterism = 1\n");
    let Some(d) = doc.dataset() else { return s };
    let mut add = |text: String| {
        s.push('\n');
        s.push_str(&text);
    };
    add(step_search(d));
    for added in &d.added {
        add(step_added(doc, d, added));
    }
    let matched: Vec<String> = d.added.iter().map(crate::document::Added::name).collect();
    let mut named: Vec<(&Features, String)> = Vec::new();
    for map in &d.maps {
        if !named.iter().any(|(f, _)| **f == map.features) {
            let name =
                if named.is_empty() { map.features.name.clone() } else { format!("{} {}", map.features.name, named.len() + 1) };
            add(step_features(d, &map.features, &name));
            named.push((&map.features, name));
        }
    }
    for map in &d.maps {
        if let Some((_, name)) = named.iter().find(|(f, _)| **f == map.features) {
            add(step_map(map, name));
        }
    }
    let mut exports = Vec::new();
    for subset in &d.subsets {
        match step_select(d, &subset.name, &subset.steps) {
            Some(text) => {
                add(text);
                exports.push(subset.name.clone());
            }
            // The match above makes it.
            None if matched.contains(&subset.name) => {}
            None => add(format!(
                "# Subset '{}' ({} rows) was made of several gestures or pointed at: a recipe cannot repeat it.\n",
                subset.name,
                subset.rows.count()
            )),
        }
    }
    if let Some(rule) = &d.rule
        && exports.contains(&rule.of)
    {
        let columns: Vec<String> = rule.columns.iter().map(|c| quoted(c)).collect();
        add(format!(
            "[[refine]]\nname = \"rule\"\nof = {}\ncolumns = [{}]\nbalance = {:?}\n",
            quoted(&rule.of),
            columns.join(", "),
            rule.balance
        ));
    }
    for name in exports {
        let file: String = name.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
        add(format!("[[export]]\nof = {}\nto = [{}]\n", quoted(&name), quoted(&format!("{file}.vot"))));
    }
    if let Some(map) = d.map() {
        add(format!("[[draw]]\nviews = [{}]\nto = \"map.png\"\n", quoted(&format!("scatter:{}", map.name))));
    }
    s
}
