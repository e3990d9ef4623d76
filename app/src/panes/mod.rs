//! The views in the middle of the window.
//!
//! A pane holds what a person chose for it (axes, colours, stretch), which is saved with the
//! layout, and caches, which are not. It reads the session and queues commands; it never changes
//! anything itself. All panes read the one selection each frame, so a brush in one lights up in all.

pub mod brush;
pub mod columns;
pub mod gallery;
pub mod histogram;
pub mod image;
pub mod jobs;
pub mod light_curve;
pub mod log;
pub mod rows;
pub mod scatter;
pub mod sky;
pub mod spectra;
pub mod subsets;
pub mod table;

use asterism_session::Dataset;
use egui::{Align2, FontId, Ui};
use egui_tiles::{Container, Linear, LinearDir, Tabs, Tile, TileId, Tiles, Tree};
use serde::{Deserialize, Serialize};

use crate::cx::Cx;
use crate::theme::{BODY, Theme};

/// One view.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "pane", rename_all = "kebab-case")]
pub enum Pane {
    /// A map, or two columns against each other.
    Scatter(Box<scatter::ScatterPane>),
    /// An image of the field with the rows on it.
    Image(Box<image::ImagePane>),
    /// Spectra of the selection.
    Spectra(Box<spectra::SpectraPane>),
    /// Light curves.
    LightCurve(Box<light_curve::LightCurvePane>),
    /// The rows.
    Table(Box<table::TablePane>),
    /// How columns are distributed.
    Histogram(Box<histogram::HistogramPane>),
    /// Cut-outs or previews.
    Gallery(Box<gallery::GalleryPane>),
    /// Positions on the sky.
    Sky(Box<sky::SkyPane>),
    /// Named selections.
    Subsets(subsets::SubsetsPane),
    /// Background work.
    Jobs(jobs::JobsPane),
    /// What happened.
    Log(log::LogPane),
}

impl Pane {
    /// What can be added, with a name for a menu.
    pub fn kinds() -> &'static [(&'static str, fn() -> Self)] {
        &[
            ("Map", || Self::Scatter(Box::default())),
            ("Scatter of columns", || Self::Scatter(Box::new(scatter::ScatterPane::of_columns(String::new(), String::new())))),
            ("Image", || Self::Image(Box::default())),
            ("Spectra", || Self::Spectra(Box::default())),
            ("Light curves", || Self::LightCurve(Box::default())),
            ("Table", || Self::Table(Box::default())),
            ("Gallery", || Self::Gallery(Box::default())),
            ("Histograms", || Self::Histogram(Box::default())),
            ("Sky", || Self::Sky(Box::default())),
            ("Subsets", || Self::Subsets(subsets::SubsetsPane::default())),
            ("Jobs", || Self::Jobs(jobs::JobsPane::default())),
            ("Log", || Self::Log(log::LogPane::default())),
        ]
    }

    /// For the tab.
    pub fn title(&self, cx: &Cx<'_>) -> String {
        match self {
            Self::Scatter(p) => p.title(cx),
            Self::Image(p) => p.title(cx),
            Self::Spectra(p) => p.title(cx),
            Self::LightCurve(_) => "Light curves".into(),
            Self::Table(_) => "Table".into(),
            Self::Histogram(_) => "Histograms".into(),
            Self::Gallery(_) => "Gallery".into(),
            Self::Sky(_) => "Sky".into(),
            Self::Subsets(_) => "Subsets".into(),
            Self::Jobs(p) => p.title(cx),
            Self::Log(p) => p.title(cx),
        }
    }

    /// Draw it in all the space there is.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        match self {
            Self::Scatter(p) => p.ui(ui, cx),
            Self::Image(p) => p.ui(ui, cx),
            Self::Spectra(p) => p.ui(ui, cx),
            Self::LightCurve(p) => p.ui(ui, cx),
            Self::Table(p) => p.ui(ui, cx),
            Self::Histogram(p) => p.ui(ui, cx),
            Self::Gallery(p) => p.ui(ui, cx),
            Self::Sky(p) => p.ui(ui, cx),
            Self::Subsets(p) => p.ui(ui, cx),
            Self::Jobs(p) => p.ui(ui, cx),
            Self::Log(p) => p.ui(ui, cx),
        }
    }

    /// Its small controls at the right end of the tab bar, laid out from right to left.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        match self {
            Self::Scatter(p) => p.tail_ui(ui, cx),
            Self::Image(p) => p.tail_ui(ui, cx),
            Self::Spectra(p) => p.tail_ui(ui, cx),
            Self::LightCurve(p) => p.tail_ui(ui, cx),
            Self::Table(p) => p.tail_ui(ui, cx),
            Self::Histogram(p) => p.tail_ui(ui, cx),
            Self::Gallery(p) => p.tail_ui(ui, cx),
            Self::Sky(p) => p.tail_ui(ui, cx),
            Self::Subsets(p) => p.tail_ui(ui, cx),
            Self::Jobs(p) => p.tail_ui(ui, cx),
            Self::Log(p) => p.tail_ui(ui, cx),
        }
    }
}

/// What a pane says when it has nothing to show: what it is for, and what would fill it.
pub fn empty(ui: &Ui, theme: &Theme, what: &str, how: &str) {
    let rect = ui.max_rect();
    let painter = ui.painter_at(rect);
    let width = (rect.width() - 32.0).max(40.0);
    let first = painter.layout(what.to_owned(), FontId::proportional(BODY), theme.second, width);
    let then = painter.layout(how.to_owned(), FontId::proportional(BODY), theme.third, width);
    let top = rect.center().y - (first.size().y + then.size().y + 4.0) / 2.0;
    let at = |galley: &egui::Galley, y: f32| Align2::CENTER_TOP.anchor_size(egui::pos2(rect.center().x, y), galley.size()).min;
    let next = top + first.size().y + 4.0;
    let (a, b) = (at(&first, top), at(&then, next));
    painter.galley(a, first, theme.second);
    painter.galley(b, then, theme.third);
}

fn tabs(tiles: &mut Tiles<Pane>, panes: Vec<Pane>) -> TileId {
    let children: Vec<TileId> = panes.into_iter().map(|p| tiles.insert_pane(p)).collect();
    let mut tabs = Tabs::new(children.clone());
    if let Some(first) = children.first() {
        tabs.set_active(*first);
    }
    tiles.insert_new(Tile::Container(Container::Tabs(tabs)))
}

fn binary(tiles: &mut Tiles<Pane>, dir: LinearDir, children: [TileId; 2], share: f32) -> TileId {
    tiles.insert_new(Tile::Container(Container::Linear(Linear::new_binary(dir, children, share))))
}

/// The first layout: the map at the left, what stands behind the rows at the right, the rows below.
pub fn default_layout(dataset: Option<&Dataset>) -> Tree<Pane> {
    let mut tiles = Tiles::default();
    let mut map = vec![Pane::Scatter(Box::default())];
    if let Some((x, y)) = dataset.and_then(scatter::suggest_axes) {
        map.push(Pane::Scatter(Box::new(scatter::ScatterPane::of_columns(x, y))));
    }
    let has_image = dataset.is_some_and(|d| !d.images.is_empty());
    let has_spectra = dataset.is_some_and(|d| d.spectra.is_some());
    let has_curves = dataset.is_some_and(|d| light_curve::columns(d).is_some());
    let has_sky = dataset.is_some_and(|d| d.sky_columns().is_some());
    let previews = dataset.is_some_and(|d| gallery::url_column(d).is_some());
    // Above at the right: the picture of the field, else the sky, else histograms.
    let mut above = Vec::new();
    let mut below = Vec::new();
    if has_image {
        above.push(Pane::Image(Box::default()));
    }
    if has_image || previews {
        above.push(Pane::Gallery(Box::default()));
    }
    if has_spectra {
        below.push(Pane::Spectra(Box::default()));
    }
    if has_curves {
        below.push(Pane::LightCurve(Box::default()));
    }
    if above.is_empty() && has_sky {
        above.push(Pane::Sky(Box::default()));
    }
    if below.is_empty() || above.is_empty() {
        let histograms = Pane::Histogram(Box::default());
        if above.is_empty() { above.push(histograms) } else { below.push(histograms) }
    }
    if below.is_empty() {
        below.push(Pane::Subsets(subsets::SubsetsPane::default()));
    }
    let mut rows = vec![Pane::Table(Box::default())];
    if !above.iter().chain(&below).any(|p| matches!(p, Pane::Gallery(_))) {
        rows.push(Pane::Gallery(Box::default()));
    }
    if !above.iter().chain(&below).any(|p| matches!(p, Pane::Histogram(_))) {
        rows.push(Pane::Histogram(Box::default()));
    }
    if !above.iter().any(|p| matches!(p, Pane::Sky(_))) {
        rows.push(Pane::Sky(Box::default()));
    }
    rows.push(Pane::Jobs(jobs::JobsPane::default()));
    rows.push(Pane::Log(log::LogPane::default()));
    let map = tabs(&mut tiles, map);
    let above = tabs(&mut tiles, above);
    let below = tabs(&mut tiles, below);
    let rows = tabs(&mut tiles, rows);
    let right = binary(&mut tiles, LinearDir::Vertical, [above, below], 0.51);
    let top = binary(&mut tiles, LinearDir::Horizontal, [map, right], 0.573);
    let root = binary(&mut tiles, LinearDir::Vertical, [top, rows], 0.68);
    Tree::new(egui::Id::unique("views"), root, tiles)
}
