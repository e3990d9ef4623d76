//! Pictures on paper: views of a dataset as SVG, and from it as PNG through resvg and as PDF, with the bundled fonts.
//!
//! One drawing serves both, so that a PNG or PDF is what the SVG says; it needs no GPU and no display, so
//! `asterism run` and `asterism draw` make the same pictures on a server. Up to [`SINGLE`] points
//! are drawn one by one; above, they are a raster in the SVG made by the renderer's scalar twin. Plain scatters of very many rows are
//! drawn here; every view of the window, with whatever was chosen in it, is a [`View::Pane`] (`paper.rs`).

mod fonts;
mod paper;
mod pdf;
mod shapes;
pub mod words;

use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use asterism_render::{Style, View as Window, cpu, reference};
use asterism_session::data::{RowSet, Table};
use asterism_session::select::{Plot, positions};
use asterism_session::{Dataset, Document, Error, Result};
use base64::Engine as _;
use egui::Color32;
use rayon::prelude::*;

use crate::panes::Pane;
use crate::panes::histogram::HistogramPane;
use crate::panes::scatter::{Placed, ScatterPane};
use crate::theme::Theme;

/// Most points drawn one by one.
pub const SINGLE: usize = 20_000;

/// Plain scatters of more rows than this are drawn straight from the columns, in half of the time.
const STRAIGHT: usize = 1_000_000;

/// One part of a picture.
#[derive(Clone, Debug)]
pub enum View {
    /// Very many points on a map or two columns.
    Scatter(Plot),
    /// A view of the window.
    Pane(Box<words::Paned>),
}

impl View {
    fn of(pane: Pane) -> Self {
        Self::Pane(Box::new(pane.into()))
    }

    /// A scatter without options.
    fn scatter(dataset: &Dataset, of: Placed) -> Self {
        let is_log = of.is_log() != [false; 2];
        match of {
            Placed::Columns { x, y } if dataset.table.rows() > STRAIGHT && !is_log => Self::Scatter(Plot::Columns { x, y }),
            Placed::Map(id) if dataset.table.rows() > STRAIGHT => Self::Scatter(Plot::Map(id)),
            of => {
                let mut pane = ScatterPane::default();
                pane.of = of;
                Self::of(Pane::Scatter(Box::new(pane)))
            }
        }
    }
}

/// What a dataset is best shown by.
pub fn default_views(dataset: &Dataset) -> Vec<View> {
    let mut views = Vec::new();
    if let Some(map) = dataset.map() {
        views.push(View::scatter(dataset, Placed::Map(map.id)));
    }
    if !dataset.images.is_empty() {
        views.push(View::of(Pane::Image(Box::default())));
    }
    if dataset.spectra.is_some() {
        views.push(View::of(Pane::Spectra(Box::default())));
    }
    let usable: Vec<String> = (0..dataset.table.columns().len())
        .filter(|i| asterism_session::features::usable(dataset, *i))
        .map(|i| dataset.table.columns()[i].name.clone())
        .collect();
    if views.is_empty()
        && let [x, y, ..] = usable.as_slice()
    {
        views.push(View::scatter(dataset, Placed::Columns { x: x.clone(), y: y.clone() }));
    }
    if views.len() < 3 {
        views.extend(usable.into_iter().next().map(|column| {
            let mut pane = HistogramPane::default();
            pane.column = column;
            View::of(Pane::Histogram(Box::new(pane)))
        }));
    }
    views
}

/// Views as recipes and the command line name them, see [`words::HELP`].
///
/// # Errors
/// When a name is not known.
pub fn views_named(dataset: &Dataset, names: &[String]) -> Result<Vec<View>> {
    let mut views = Vec::new();
    for name in names {
        let (words, options) = name.split_once('?').unwrap_or((name, ""));
        let (kind, of) = words.split_once(':').unwrap_or((words, ""));
        // The name of a search may stand there in recipes; what can be none is an option at the wrong place.
        let is_name = !of.contains('=') && of.parse::<f64>().is_err();
        if !is_name && !matches!(kind, "scatter" | "histogram") {
            let instead = if kind == "image" && !of.contains('=') { format!("which={of}") } else { of.into() };
            return Err(Error::said(format!("view '{name}': options stand behind '?', as in {kind}?{instead}")));
        }
        views.push(match kind {
            "scatter" if options.is_empty() => View::scatter(dataset, placed(dataset, of)?),
            _ => View::Pane(Box::new(words::view(dataset, kind, of, options)?)),
        });
    }
    Ok(views)
}

/// What `scatter:` is of: the name of a map, or two columns or expressions; with neither, the map in front.
fn placed(dataset: &Dataset, of: &str) -> Result<Placed> {
    if of.is_empty()
        && let Some(map) = dataset.map()
    {
        return Ok(Placed::Map(map.id));
    }
    match (dataset.maps.iter().find(|m| m.name == of), of.split_once(',')) {
        (Some(map), _) => Ok(Placed::Map(map.id)),
        (None, Some((x, y))) => Ok(Placed::Columns { x: x.trim().into(), y: y.trim().into() }),
        (None, None) => {
            let have: Vec<&str> = dataset.maps.iter().map(|m| m.name.as_str()).collect();
            let have = if have.is_empty() { "it has none: name two columns, as in scatter:x,y".into() } else { have.join(", ") };
            Err(Error::said(format!("no map is named '{of}' in '{}'; there are: {have}", dataset.name)))
        }
    }
}

/// How a picture is drawn.
#[derive(Clone, Debug)]
pub struct Page {
    /// Width and height, points.
    pub size: [u32; 2],
    /// Pixels of a PNG for a point.
    pub scale: f32,
    /// Colours.
    pub theme: Theme,
    /// Frame of each view (left, top, width, height); by [`frames`] where there are none.
    pub frames: Vec<Frame>,
    /// A view that has nothing to show is an error; else its sentence is drawn.
    pub strict: bool,
}

impl Page {
    /// Of a size, a pixel a point.
    pub fn new(size: [u32; 2], theme: Theme) -> Self {
        Self { size, scale: 1.0, theme, frames: Vec::new(), strict: false }
    }
}

/// Write views of the dataset in front as `.svg`, `.pdf` or `.png`; gives what is missing on it, in words.
///
/// # Errors
/// When there is no dataset, a view cannot be drawn, or the file cannot be written.
pub fn save(doc: &Document, views: &[View], page: &Page, to: &Path) -> Result<Option<String>> {
    let dataset = doc.dataset().ok_or_else(|| Error::said("there is nothing to draw yet"))?;
    let frames = || frames(views.len(), f64::from(page.size[0]), f64::from(page.size[1]));
    let at = if page.frames.len() == views.len() { page.frames.clone() } else { frames() };
    let mut text = svg_in(dataset, &doc.selection.rows, views, &at, page.size, &page.theme)?;
    let panes: Vec<(words::Paned, Frame)> =
        views.iter().zip(&at).filter_map(|(v, f)| if let View::Pane(p) = v { Some(((**p).clone(), *f)) } else { None }).collect();
    let mut missing = None;
    if !panes.is_empty() {
        let drawn = paper::draw(doc, &panes, page.size, &page.theme)?;
        if let (true, Some(why)) = (page.strict, drawn.empty.into_iter().next()) {
            return Err(Error::said(why));
        }
        text.truncate(text.len() - END.len());
        text.push_str(&drawn.svg);
        text.push_str(END);
        missing = drawn.waiting;
    }
    let bytes = match to.extension().map(|e| e.to_ascii_lowercase()).as_deref().and_then(|e| e.to_str()) {
        Some("svg") => text.into_bytes(),
        Some("pdf") => pdf(&text)?,
        _ => png(&text, page.scale)?,
    };
    asterism_session::export::write_whole(to, &bytes)?;
    Ok(missing)
}

/// How every drawing ends.
const END: &str = "</svg>\n";

/// The picture of an SVG text, with `scale` pixels a point.
///
/// # Errors
/// When the text is not SVG.
pub fn png(svg: &str, scale: f32) -> Result<Vec<u8>> {
    use resvg::tiny_skia;
    let tree = tree(svg)?;
    let size = tree.size().to_int_size();
    let size = size.scale_by(scale).ok_or_else(|| Error::said("the picture is too large"))?;
    let mut pixmap =
        tiny_skia::Pixmap::new(size.width(), size.height()).ok_or_else(|| Error::said("the picture is too large"))?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|e| Error::said(format!("the picture could not be written: {e}")))
}

/// The page of an SVG text, letters and axes as vectors.
///
/// # Errors
/// When the text is not SVG.
pub fn pdf(svg: &str) -> Result<Vec<u8>> {
    pdf::write(&tree(svg)?)
}

/// The shapes of an SVG text.
fn tree(svg: &str) -> Result<resvg::usvg::Tree> {
    use resvg::usvg;
    let mut options = usvg::Options { font_family: "Inter".into(), ..usvg::Options::default() };
    for font in crate::theme::FONTS {
        options.fontdb_mut().load_font_data(font.to_vec());
    }
    // Whatever name the bundled face carries, it is what the SVG's sans-serif means.
    let family = options.fontdb.faces().next().and_then(|f| f.families.first().map(|n| n.0.clone()));
    if let Some(family) = family {
        options.fontdb_mut().set_sans_serif_family(family.clone());
        options.font_family = family;
    }
    usvg::Tree::from_str(svg, &options).map_err(|e| Error::said(format!("the picture could not be drawn: {e}")))
}

/// A frame in pixels: left, top, width, height.
pub type Frame = [f64; 4];

/// Views in their frames as SVG text; of a [`View::Pane`] the frame alone. Rows of visible subsets have their colours; when there is a
/// selection, the rest is grey.
///
/// # Errors
/// When a view cannot be drawn from this dataset.
fn svg_in(
    dataset: &Dataset,
    selection: &RowSet,
    views: &[View],
    frames: &[Frame],
    size: [u32; 2],
    theme: &Theme,
) -> Result<String> {
    let (w, h) = (f64::from(size[0]), f64::from(size[1]));
    let mut s = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" font-family=\"Inter, sans-serif\">\n<rect width=\"{w}\" height=\"{h}\" fill=\"{}\"/>\n",
        hex(theme.pane)
    );
    // Views of the window colour their rows themselves.
    let own = views.iter().any(|v| !matches!(v, View::Pane(_)));
    let colours = if own { Colours::new(dataset, selection, theme) } else { Colours::none(theme) };
    for (view, frame) in views.iter().zip(frames.iter().copied()) {
        let _ = writeln!(
            s,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"{}\"/>",
            frame[0],
            frame[1],
            frame[2],
            frame[3],
            hex(theme.hairline)
        );
        match view {
            View::Scatter(plot) => scatter(&mut s, dataset, plot, frame, &colours, theme)?,
            View::Pane(_) => {}
        }
    }
    s.push_str(END);
    Ok(s)
}

/// One view fills the page; two stand side by side; of three the first is large; else a grid.
fn frames(count: usize, w: f64, h: f64) -> Vec<Frame> {
    match count {
        0 => Vec::new(),
        1 => vec![[0.0, 0.0, w, h]],
        2 => vec![[0.0, 0.0, w / 2.0, h], [w / 2.0, 0.0, w / 2.0, h]],
        3 => {
            let left = (w * 0.55).round();
            vec![[0.0, 0.0, left, h], [left, 0.0, w - left, h / 2.0], [left, h / 2.0, w - left, h / 2.0]]
        }
        n => {
            let columns = (n as f64).sqrt().ceil();
            let rows = (n as f64 / columns).ceil();
            (0..n)
                .map(|i| [(i as f64 % columns) * w / columns, (i as f64 / columns).floor() * h / rows, w / columns, h / rows])
                .collect()
        }
    }
}

fn hex(c: Color32) -> String {
    format!("#{:02x}{:02x}{:02x}", c.r(), c.g(), c.b())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Colour of each row, and the legend.
struct Colours {
    context: Color32,
    rows: Vec<Color32>,
    lit: Vec<bool>,
    legend: Vec<(String, Color32)>,
}

impl Colours {
    fn is_lit(&self, row: usize) -> bool {
        self.lit.get(row).copied().unwrap_or(false)
    }
    fn none(theme: &Theme) -> Self {
        Self { context: theme.context, rows: Vec::new(), lit: Vec::new(), legend: Vec::new() }
    }
    fn new(dataset: &Dataset, selection: &RowSet, theme: &Theme) -> Self {
        let len = dataset.table.rows();
        let any = !selection.is_empty();
        // Where nothing stands out nothing is kept of the rows.
        let len_lit = if any || dataset.subsets.iter().any(|s| s.visible) { len } else { 0 };
        let mut rows = vec![theme.context; len_lit];
        let mut lit = vec![false; len_lit];
        let mut legend = Vec::new();
        let mut groups: Vec<Arc<RowSet>> = Vec::new();
        for subset in dataset.subsets.iter().filter(|s| s.visible) {
            let [r, g, b] = subset.colour;
            let colour = Color32::from_rgb(r, g, b);
            let mut shown = 0;
            for row in subset.rows.iter().filter(|row| !any || selection.contains(*row)) {
                if row < len_lit {
                    rows[row] = colour;
                    lit[row] = true;
                    shown += 1;
                }
            }
            legend.push((format!("{} {shown} / {}", subset.name, subset.rows.count()), colour));
            groups.push(subset.rows.clone());
        }
        for row in selection.iter().filter(|row| *row < len) {
            if !lit[row] {
                rows[row] = theme.selected;
                lit[row] = true;
            }
        }
        if any && groups.iter().all(|rows| **rows != *selection) {
            legend.push((format!("selected {} / {len}", selection.count()), theme.selected));
        }
        Self { context: theme.context, rows, lit, legend }
    }
}

struct Axes {
    inner: Frame,
    x: [f64; 2],
    y: [f64; 2],
}

impl Axes {
    fn px(&self, p: [f64; 2]) -> [f64; 2] {
        let t = (p[0] - self.x[0]) / (self.x[1] - self.x[0]);
        let u = (p[1] - self.y[0]) / (self.y[1] - self.y[0]);
        [self.inner[0] + t * self.inner[2], self.inner[1] + (1.0 - u) * self.inner[3]]
    }
}

fn axes(
    s: &mut String,
    frame: Frame,
    title: &str,
    x: [f64; 2],
    y: [f64; 2],
    x_label: &str,
    y_label: &str,
    theme: &Theme,
) -> Axes {
    use crate::widgets::axes::{BOTTOM, LEFT, Labels, MARGIN, TICK_GAP, TITLE_GAP, ticks};
    // As the window's own axes stand below the title of a view on paper.
    let [left, bottom, margin] = [LEFT, BOTTOM, MARGIN].map(f64::from);
    let head = paper::TITLE + margin;
    let inner = [frame[0] + left, frame[1] + head, frame[2] - left - margin, frame[3] - head - bottom];
    let axes = Axes { inner, x, y };
    let _ = writeln!(
        s,
        "<text x=\"{}\" y=\"{}\" font-size=\"13\" font-weight=\"600\" fill=\"{}\">{}</text>",
        frame[0] + 14.0,
        frame[1] + paper::TITLE / 2.0 + 5.0,
        hex(theme.text),
        escape(title)
    );
    let (left, top, right, bottom) = (inner[0], inner[1], inner[0] + inner[2], inner[1] + inner[3]);
    let _ = writeln!(s, "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"{}\"/>", hex(theme.hairline));
    // No font is at hand here: a digit of the small one is 7 points wide.
    let width = |text: &str| text.chars().count() as f32 * 7.0;
    let (marks, step) = ticks(x, (inner[2] / 84.0).max(2.0) as usize);
    let apart = (step / (x[1] - x[0]) * inner[2]).abs() as f32;
    let x_labels = Labels::new(&marks, step, apart - 8.0, width);
    for (v, text) in marks.iter().zip(&x_labels.texts) {
        let px = axes.px([*v, y[0]])[0];
        let _ = writeln!(
            s,
            "<path d=\"M{px:.1} {bottom}v4\" stroke=\"{0}\"/><text x=\"{px:.1}\" y=\"{1}\" font-size=\"12\" fill=\"{0}\" text-anchor=\"middle\">{text}</text>",
            hex(theme.third),
            bottom + 18.0
        );
    }
    let (marks, step) = ticks(y, (inner[3] / 44.0).max(2.0) as usize);
    let y_labels = Labels::new(&marks, step, LEFT - TICK_GAP - TITLE_GAP - 15.0, width);
    for (v, text) in marks.iter().zip(&y_labels.texts) {
        let px = axes.px([x[0], *v])[1];
        let _ = writeln!(
            s,
            "<path d=\"M{left} {px:.1}h-4\" stroke=\"{0}\"/><text x=\"{1}\" y=\"{2:.1}\" font-size=\"12\" fill=\"{0}\" text-anchor=\"end\">{text}</text>",
            hex(theme.third),
            left - f64::from(TICK_GAP),
            px + 4.0
        );
    }
    let _ = writeln!(
        s,
        "<text x=\"{}\" y=\"{}\" font-size=\"12\" fill=\"{}\" text-anchor=\"middle\">{}</text>",
        left + inner[2] / 2.0,
        frame[1] + frame[3] - 8.0,
        hex(theme.second),
        escape(&x_labels.title(x_label))
    );
    let (cx, cy) = (frame[0] + f64::from(TITLE_GAP) + 11.0, top + inner[3] / 2.0);
    let _ = writeln!(
        s,
        "<text x=\"{cx}\" y=\"{cy}\" font-size=\"12\" fill=\"{}\" text-anchor=\"middle\" transform=\"rotate(-90 {cx} {cy})\">{}</text>",
        hex(theme.second),
        escape(&y_labels.title(y_label))
    );
    axes
}

/// Smallest and largest finite value along an axis, with a margin; by all threads.
fn range_of(at: &[[f64; 2]], axis: usize) -> [f64; 2] {
    let none = || (f64::INFINITY, f64::NEG_INFINITY);
    let one = |(a, b): (f64, f64), p: &[f64; 2]| if p[axis].is_finite() { (a.min(p[axis]), b.max(p[axis])) } else { (a, b) };
    around(at.par_iter().fold(none, one).reduce(none, |a, b| (a.0.min(b.0), a.1.max(b.1))))
}

fn around((low, high): (f64, f64)) -> [f64; 2] {
    if low > high {
        return [0.0, 1.0];
    }
    let margin = if high > low { (high - low) * 0.04 } else { low.abs().max(1.0) * 0.5 };
    [low - margin, high + margin]
}

fn raster(s: &mut String, rgba: Vec<u8>, [w, h]: [u32; 2], at: Frame) -> Result<()> {
    let buffer = image::RgbaImage::from_raw(w, h, rgba).ok_or_else(|| Error::said("the picture could not be drawn"))?;
    let mut bytes = Cursor::new(Vec::new());
    // Drawings of millions wait for this, and a picture is packed again in the end.
    use image::codecs::png::{CompressionType, FilterType, PngEncoder};
    buffer
        .write_with_encoder(PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Up))
        .map_err(|e| Error::said(format!("the picture could not be drawn: {e}")))?;
    let data = base64::engine::general_purpose::STANDARD.encode(bytes.into_inner());
    let _ = writeln!(
        s,
        "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" xlink:href=\"data:image/png;base64,{data}\"/>",
        at[0], at[1], at[2], at[3]
    );
    Ok(())
}

fn points(s: &mut String, axes: &Axes, at: &[[f64; 2]], colours: &Colours, radius: f64, faint: bool) -> Result<()> {
    if at.len() > SINGLE {
        let px = [(axes.inner[2] * 2.0) as u32, (axes.inner[3] * 2.0) as u32];
        let xy: Vec<[f32; 2]> = at.par_iter().map(|p| [p[0] as f32, p[1] as f32]).collect();
        let any = colours.lit.par_iter().any(|l| *l);
        // Without a colour a row has that of the context.
        let rgba: Vec<u32> = match any {
            true => colours.rows.par_iter().map(|c| u32::from_le_bytes([c.r(), c.g(), c.b(), 255])).collect(),
            false => vec![0; at.len()],
        };
        let words = if any { RowSet::from_fn(at.len(), |row| colours.is_lit(row)).words().to_vec() } else { Vec::new() };
        let mut columns = reference::Columns::new(&xy);
        columns.rgba = Some(&rgba);
        columns.selection = any.then_some(&words);
        let window = Window { x: axes.x, y: axes.y, px };
        let context = colours.context;
        let style = Style { radius_px: radius as f32 * 2.0, background: [0; 4], context: context.to_array(), ..Style::default() };
        let mut pixels = cpu::points(&window, &style, &columns, 300_000);
        // Premultiplied to straight, as PNG wants it.
        for p in pixels.chunks_exact_mut(4).filter(|p| p[3] > 0) {
            for i in 0..3 {
                p[i] = (u32::from(p[i]) * 255 / u32::from(p[3])).min(255) as u8;
            }
        }
        return raster(s, pixels, px, axes.inner);
    }
    for pass in [false, true] {
        for (row, p) in at.iter().enumerate() {
            if colours.is_lit(row) != pass || !(p[0].is_finite() && p[1].is_finite()) || (faint && !pass) {
                continue;
            }
            let [x, y] = axes.px(*p);
            let inside = x >= axes.inner[0]
                && x <= axes.inner[0] + axes.inner[2]
                && y >= axes.inner[1]
                && y <= axes.inner[1] + axes.inner[3];
            if inside {
                let _ = writeln!(
                    s,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{}\" fill-opacity=\"{}\"/>",
                    hex(colours.rows.get(row).copied().unwrap_or(colours.context)),
                    if faint { 0.6 } else { 0.9 }
                );
            }
        }
    }
    Ok(())
}

fn legend(s: &mut String, at: [f64; 2], colours: &Colours, theme: &Theme) {
    for (n, (text, colour)) in colours.legend.iter().take(12).enumerate() {
        let y = at[1] + n as f64 * 18.0;
        let _ = writeln!(
            s,
            "<circle cx=\"{}\" cy=\"{}\" r=\"4\" fill=\"{}\"/><text x=\"{}\" y=\"{}\" font-size=\"12\" fill=\"{}\">{}</text>",
            at[0],
            y,
            hex(*colour),
            at[0] + 11.0,
            y + 4.0,
            hex(theme.text),
            escape(text)
        );
    }
}

fn unit(table: &Table, name: &str) -> String {
    match table.column_index(name).and_then(|i| table.columns()[i].unit.clone()) {
        Some(unit) if !unit.is_empty() => format!("{name} ({unit})"),
        _ => name.to_owned(),
    }
}

fn scatter(s: &mut String, dataset: &Dataset, plot: &Plot, frame: Frame, colours: &Colours, theme: &Theme) -> Result<()> {
    let at = positions(dataset, plot)?;
    let (title, x, y) = match plot {
        Plot::Map(id) => {
            let map = dataset.maps.iter().find(|m| m.id == *id);
            let label = map.map_or("map", |m| asterism_session::session::method_label(m.params.method));
            (map.map_or_else(String::new, |m| m.name.clone()), format!("{label} 1"), format!("{label} 2"))
        }
        Plot::MapAxes { map, .. } => {
            let map = dataset.maps.iter().find(|m| m.id == *map);
            let label = map.map_or("map", |m| asterism_session::session::method_label(m.params.method));
            (map.map_or_else(String::new, |m| m.name.clone()), format!("{label}, across"), format!("{label}, up"))
        }
        Plot::Columns { x, y } => (format!("{y} against {x}"), unit(&dataset.table, x), unit(&dataset.table, y)),
        Plot::Sky { .. } => ("sky".into(), "east (°)".into(), "north (°)".into()),
        Plot::Image(_) => ("image".into(), "x (pixel)".into(), "y (pixel)".into()),
    };
    let axes = axes(s, frame, &title, range_of(&at, 0), range_of(&at, 1), &x, &y, theme);
    points(s, &axes, &at, colours, if at.len() > 5000 { 1.5 } else { 2.5 }, false)?;
    legend(s, [axes.inner[0] + 12.0, axes.inner[1] + 8.0], colours, theme);
    Ok(())
}
