//! The views in the middle of the window.
//!
//! A pane holds what a person chose for it (axes, colours, stretch), which is saved with the
//! layout, and caches, which are not. It reads the session and queues commands; it never changes
//! anything itself. All panes read the one selection each frame, so a brush in one lights up in all.

pub mod behind;
pub mod brush;
pub mod columns;
pub mod components;
pub mod ensemble;
pub mod explain;
mod footprints;
pub mod gallery;
pub mod histogram;
pub mod image;
pub mod jobs;
pub mod light_curve;
pub mod log;
pub mod maps;
mod photometry;
mod products;
pub mod rows;
pub mod scatter;
pub mod sky;
pub mod spectra;
pub mod subsets;
pub mod table;
pub mod tap_jobs;

use asterism_session::{Ask, Dataset};
use egui::{FontId, Ui};
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
    /// What the axes of a map stand for, and the way back from a place on it.
    Components(components::ComponentsPane),
    /// What else explains the map.
    Explain(explain::ExplainPane),
    /// The maps made so far.
    Maps(maps::MapsPane),
    /// What services have behind a row.
    Behind(Box<behind::BehindPane>),
    /// Named selections.
    Subsets(subsets::SubsetsPane),
    /// Background work.
    Jobs(jobs::JobsPane),
    /// Jobs of TAP services.
    TapJobs(tap_jobs::TapJobsPane),
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
            ("Components of the map", || Self::Components(components::ComponentsPane::default())),
            ("What explains the map", || Self::Explain(explain::ExplainPane::default())),
            ("Maps side by side", || Self::Maps(maps::MapsPane::default())),
            ("Behind this row", || Self::Behind(Box::default())),
            ("Subsets", || Self::Subsets(subsets::SubsetsPane::default())),
            ("Jobs", || Self::Jobs(jobs::JobsPane::default())),
            ("Jobs of TAP services", || Self::TapJobs(tap_jobs::TapJobsPane::default())),
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
            Self::Components(p) => p.title(cx),
            Self::Explain(_) => "What explains the map".into(),
            Self::Maps(_) => "Maps".into(),
            Self::Behind(p) => p.title(cx),
            Self::Subsets(_) => "Subsets".into(),
            Self::Jobs(p) => p.title(cx),
            Self::TapJobs(p) => p.title(cx),
            Self::Log(p) => p.title(cx),
        }
    }

    /// Draw it in all the space there is.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        if !matches!(self, Self::Subsets(_) | Self::Jobs(_) | Self::TapJobs(_) | Self::Log(_))
            && let Some((what, how)) = cx.session.doc().dataset().and_then(|d| no_rows(d))
        {
            return empty(ui, cx.theme, &what, &how);
        }
        match self {
            Self::Scatter(p) => p.ui(ui, cx),
            Self::Image(p) => p.ui(ui, cx),
            Self::Spectra(p) => p.ui(ui, cx),
            Self::LightCurve(p) => p.ui(ui, cx),
            Self::Table(p) => p.ui(ui, cx),
            Self::Histogram(p) => p.ui(ui, cx),
            Self::Gallery(p) => p.ui(ui, cx),
            Self::Sky(p) => p.ui(ui, cx),
            Self::Components(p) => p.ui(ui, cx),
            Self::Explain(p) => p.ui(ui, cx),
            Self::Maps(p) => p.ui(ui, cx),
            Self::Behind(p) => p.ui(ui, cx),
            Self::Subsets(p) => p.ui(ui, cx),
            Self::Jobs(p) => p.ui(ui, cx),
            Self::TapJobs(p) => p.ui(ui, cx),
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
            Self::Components(p) => p.tail_ui(ui, cx),
            Self::Explain(p) => p.tail_ui(ui, cx),
            Self::Maps(p) => p.tail_ui(ui, cx),
            Self::Behind(p) => p.tail_ui(ui, cx),
            Self::Subsets(p) => p.tail_ui(ui, cx),
            Self::Jobs(p) => p.tail_ui(ui, cx),
            Self::TapJobs(p) => p.tail_ui(ui, cx),
            Self::Log(p) => p.tail_ui(ui, cx),
        }
    }
}

/// What every view of rows says while there are none: that they are on their way, why they did not
/// come, or that the answer was empty.
fn no_rows(dataset: &Dataset) -> Option<(String, String)> {
    if dataset.table.rows() > 0 {
        return None;
    }
    let last = dataset.ledger.last();
    let service = last.map_or("the service", |e| e.service.as_str());
    if dataset.loading {
        return Some(("Waiting for the first rows".into(), format!("{service} is asked; Jobs shows how it stands")));
    }
    if let Some(error) = last.and_then(|e| e.error.as_ref()) {
        let more = "Change the search at the left and press Search again. Earlier tables are under Table at the top left.";
        return Some(("This search failed".into(), format!("{error}\n\n{more}")));
    }
    if dataset.plan().is_some() {
        let how = "The service sends fewer rows at once than there are. The plan stands under Search at the left: Get all parts starts it.";
        return Some(("This search goes in parts".into(), how.into()));
    }
    Some(("No rows answer this search".into(), "Widen the radius, loosen the filters, or check the spelling of values.".into()))
}

/// A small menu that stays open while things in it are typed, ticked or slid; a choice that ends it calls `ui.close()`.
pub fn menu<R>(ui: &mut Ui, text: impl Into<egui::WidgetText>, content: impl FnOnce(&mut Ui) -> R) -> egui::Response {
    use egui::containers::menu::{MenuButton, MenuConfig, SubMenuButton, is_in_menu};
    let config = MenuConfig::new().close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside);
    // Where the head has no room it is itself a menu, and this one opens beside it.
    if is_in_menu(ui) {
        return SubMenuButton::new(text.into()).config(config).ui(ui, content).0;
    }
    MenuButton::new(text.into()).config(config).ui(ui, content).0
}

/// What views of a context have said that have nothing to show, since it was last asked.
pub fn said_empty(ctx: &egui::Context) -> Vec<String> {
    ctx.data_mut(|d| d.remove_temp(egui::Id::unique("nothing to show"))).unwrap_or_default()
}

/// What a pane says when it has nothing to show: what it is for, and what would fill it.
pub fn empty(ui: &Ui, theme: &Theme, what: &str, how: &str) {
    ui.ctx().data_mut(|d| {
        let said: &mut Vec<String> = d.get_temp_mut_or_default(egui::Id::unique("nothing to show"));
        if said.len() < 16 {
            said.push(format!("{what}. {how}"));
        }
    });
    let rect = ui.max_rect();
    let painter = ui.painter_at(rect);
    let width = (rect.width() - 32.0).clamp(40.0, 520.0);
    let lines = |text: &str, colour| {
        let mut job = egui::text::LayoutJob::simple(text.to_owned(), FontId::proportional(BODY), colour, width);
        job.halign = egui::Align::Center;
        painter.layout_job(job)
    };
    let (first, then) = (lines(what, theme.second), lines(how, theme.third));
    let top = rect.center().y - (first.size().y + then.size().y + 4.0) / 2.0;
    let next = top + first.size().y + 4.0;
    // Centred text hangs on the middle of its lines.
    painter.galley(egui::pos2(rect.center().x, top), first, theme.second);
    painter.galley(egui::pos2(rect.center().x, next), then, theme.third);
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
    let has_curves = dataset.is_some_and(|d| asterism_session::CurveColumns::find(&d.table).is_some());
    let has_sky = dataset.is_some_and(|d| d.sky_columns().is_some());
    let previews = dataset.is_some_and(|d| gallery::url_column(d).is_some());
    // Above at the right: the picture of the field, else the sky, else histograms.
    let mut above = Vec::new();
    let mut below = Vec::new();
    // Images opened by themselves are what is to be seen: their table says but how large they are.
    let are_images = dataset.is_some_and(Dataset::rows_are_images);
    if are_images {
        map.insert(0, Pane::Image(Box::default()));
    } else if has_image {
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
    if below.is_empty()
        && dataset.is_some_and(|d| {
            let files = !products::candidates(d, asterism_session::ProductKind::Spectra).is_empty();
            files || asterism_session::products::obsid_column(&d.table).is_some()
        })
    {
        below.push(Pane::Spectra(Box::default()));
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
    // Until there is a map, two columns against each other stand where it will be.
    if let (Some(d), Some(Tile::Container(Container::Tabs(tabs)))) = (dataset, tiles.get_mut(map))
        && d.maps.is_empty()
        && !matches!(d.ask, Ask::Sample { .. })
        && !are_images
        && let Some(columns) = tabs.children.get(1).copied()
    {
        tabs.set_active(columns);
    }
    let above = tabs(&mut tiles, above);
    let below = tabs(&mut tiles, below);
    let rows = tabs(&mut tiles, rows);
    let right = binary(&mut tiles, LinearDir::Vertical, [above, below], 0.51);
    let top = binary(&mut tiles, LinearDir::Horizontal, [map, right], 0.573);
    let root = binary(&mut tiles, LinearDir::Vertical, [top, rows], 0.68);
    Tree::new(egui::Id::unique("views"), root, tiles)
}
