//! A map, or two columns against each other.
//!
//! The map in front moves while it is computed: positions come from [`asterism_session::Session::live`]
//! and go to the GPU as they are. Colours are by subset unless a column is chosen. Everything made
//! from the table is kept under a key and made anew only when that changes. Cost of a still frame:
//! axes and legend; points are drawn by [`crate::gpu`].

use std::sync::Arc;

mod cells;
mod colours;
mod contours;
mod cutouts;
mod turned;

use asterism_render::colour::Lut;
use asterism_render::field::{Polyline, Statistic};
use asterism_session::explain::Labels;
use asterism_session::{Dataset, Map, Plot, select};
use egui::{Align2, FontId, RichText, Ui, vec2};
use serde::{Deserialize, Serialize};

use super::brush::{Brush, On, row_lines, tip};
use super::columns;
use super::rows::{self, DataKey, next_key};
use crate::cx::{Cx, Tool};
use crate::gpu::{self, Scatter, Stored};
use crate::theme::SMALL;
use crate::widgets::{Cache, Frame, Range2, ViewId, Work, axes, format};
pub(crate) use colours::own_columns;
use colours::{ByColumn, colour_bar, ends, legend};

/// What is placed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placed {
    /// The map in front, and the one being made.
    #[default]
    CurrentMap,
    /// One map, by its id.
    Map(u32),
    /// Two columns or expressions.
    Columns {
        /// Along x.
        x: String,
        /// Along y.
        y: String,
    },
}

impl Placed {
    /// Which of the axes are decimal logarithms of something.
    pub fn is_log(&self) -> [bool; 2] {
        match self {
            Self::Columns { x, y } => [x, y].map(|c| columns::logarithm_of(c).is_some()),
            _ => [false; 2],
        }
    }
}

/// Settings and caches of a scatter.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ScatterPane {
    /// What is placed.
    pub of: Placed,
    /// Column that gives the colour; empty for subsets.
    pub colour: String,
    /// Name of the colours for a column.
    pub lut: String,
    /// Statistic of that column in the cells of a grid, by its name; empty for marks.
    pub cells: String,
    /// A map of three or more dimensions is turned in space; `None` for those of just three.
    pub turned: Option<bool>,
    /// Yaw and pitch of the camera, radians.
    pub turn: [f64; 2],
    /// Which components of a map are shown across, up and deep.
    pub parts: [usize; 3],
    /// Column that gives the size; empty for one size.
    pub size: String,
    /// Radius of a mark, points.
    pub radius_pt: f32,
    /// Lines at the ticks.
    pub grid: bool,
    /// Contours of density.
    pub contours: bool,
    /// The crowded drawing is equalised.
    pub equalised: bool,
    /// Values grow to the left, and downwards: magnitudes are bright at the top.
    pub reversed: [bool; 2],
    /// Few rows in view are shown by their cut-outs, where there is an image.
    pub cutouts: bool,
    /// What is shown; `None` for everything.
    pub view: Option<Range2>,
    #[serde(skip)]
    slot: Cache<ViewId>,
    #[serde(skip)]
    state: Cache<State>,
}

impl Default for ScatterPane {
    fn default() -> Self {
        Self {
            of: Placed::CurrentMap,
            colour: String::new(),
            cells: String::new(),
            turned: None,
            turn: [0.5, 0.4],
            parts: [0, 1, 2],
            lut: Lut::Viridis.name().to_owned(),
            size: String::new(),
            radius_pt: 2.0,
            grid: false,
            contours: false,
            equalised: false,
            reversed: [false; 2],
            cutouts: true,
            view: None,
            slot: Cache::default(),
            state: Cache::default(),
        }
    }
}

/// The rows, two columns, and the place around which positions are exact.
type ColumnsKey = (DataKey, String, String, Option<Cell>);

/// A place in a plot that is looked at from near: along each axis the power of two by which its cells are smaller than the whole, and
/// which cell it is.
type Cell = [(i32, i64); 2];

#[derive(Default)]
struct State {
    /// Positions of a map, made from these coordinates.
    map: Option<(Arc<Vec<[f32; 2]>>, Placement)>,
    columns: Work<ColumnsKey, Result<Placement, String>>,
    /// What all of two columns takes up, from which it is told how deep a view looks into it.
    whole: Option<(DataKey, String, String, Range2)>,
    colours: Work<(DataKey, String, String, u64), Result<Arc<ByColumn>, String>>,
    sizes: Work<(DataKey, String), Result<(Arc<Vec<f32>>, u64), String>>,
    /// How well the map tells the classes apart that it is coloured by.
    told: Work<(DataKey, String, u32, u64), Option<Labels>>,
    contours: Work<(u64, u64), [Vec<Polyline>; 2]>,
    cells: cells::State,
    cutouts: cutouts::State,
    turned: turned::State,
    brush: Brush,
    /// What the view belonged to.
    shown: Option<(u32, Placed, Option<u32>)>,
}

/// Rows on two axes.
#[derive(Clone)]
struct Placement {
    at: Stored,
    home: Range2,
    missing: usize,
}

impl Placement {
    fn of(at: Stored) -> Self {
        let missing = at.xy.iter().filter(|p| !(p[0].is_finite() && p[1].is_finite())).count();
        let home = Range2::of_points((0..at.xy.len()).map(|r| at.data(r)));
        Self { at, home, missing }
    }
}

/// Two numeric columns that say something together: of a list of observations (CAOM, ObsCore) when and at which wavelengths, or
/// where; else the ones features would take, else the sky.
pub fn suggest_axes(dataset: &Dataset) -> Option<(String, String)> {
    let table = &dataset.table;
    if ["calib_level", "dataproduct_type"].iter().any(|c| table.column_index(c).is_some()) {
        let varies = |name: &str| {
            let values = table.f64s(name).unwrap_or_default();
            let mut finite = values.iter().filter(|v| v.is_finite());
            finite.next().is_some_and(|first| finite.any(|v| v != first))
        };
        for (x, y) in [("t_min", "em_min"), ("s_ra", "s_dec")] {
            if varies(x) && varies(y) {
                return Some((x.into(), y.into()));
            }
        }
    }
    let usable: Vec<String> = (0..dataset.table.columns().len())
        .filter(|i| asterism_session::features::usable(dataset, *i))
        .map(|i| dataset.table.columns()[i].name.clone())
        .collect();
    match usable.as_slice() {
        [x, y, ..] => Some((x.clone(), y.clone())),
        _ => dataset.sky_columns(),
    }
}

impl ScatterPane {
    /// Whether it shows a map, and not two columns.
    pub fn is_map(&self) -> bool {
        !matches!(self.of, Placed::Columns { .. })
    }
    /// Of two columns; empty names are filled with a suggestion when the pane is shown.
    pub fn of_columns(x: String, y: String) -> Self {
        Self { of: Placed::Columns { x, y }, ..Self::default() }
    }

    fn map<'a>(&self, dataset: &'a Dataset) -> Option<&'a Arc<Map>> {
        match &self.of {
            Placed::CurrentMap => dataset.map(),
            Placed::Map(id) => dataset.maps.iter().find(|m| m.id == *id),
            Placed::Columns { .. } => None,
        }
    }

    /// For the tab.
    pub fn title(&self, cx: &Cx<'_>) -> String {
        match &self.of {
            Placed::Columns { x, y } if x.is_empty() || y.is_empty() => "Scatter".into(),
            Placed::Columns { x, y } => {
                let [x, y] = [x, y].map(|c| columns::logarithm_of(c).unwrap_or_else(|| c.clone()));
                format!("{y} against {x}")
            }
            _ => {
                let dataset = cx.session.doc().dataset();
                if self.of == Placed::CurrentMap
                    && let Some((job, _)) = cx.session.live()
                {
                    return format!("Map: {}", job.name);
                }
                match dataset.and_then(|d| self.map(d)) {
                    Some(map) => format!("Map: {}", map.name),
                    None => "Map".into(),
                }
            }
        }
    }

    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let Some(dataset) = cx.session.doc().dataset().cloned() else { return };
        if let Some(quality) = self.map(&dataset).and_then(|m| m.quality.clone()) {
            let trust = quality.trustworthiness_15;
            ui.label(RichText::new(format!("trust {trust:.2}")).color(cx.theme.second)).on_hover_text(
                "Trustworthiness, 0 to 1: how far neighbours on this map are neighbours in the vectors as well (Venna and Kaski 2001). \
                 Distances between groups and their sizes mean little in t-SNE.",
            );
        }
        super::menu(ui, RichText::new("view").color(cx.theme.second), |ui| {
            ui.set_min_width(190.0);
            ui.label(RichText::new("Radius of a mark").color(cx.theme.third));
            ui.add(egui::Slider::new(&mut self.radius_pt, 0.5..=8.0).suffix(" pt")).accessible_name("Radius of a mark in points");
            ui.checkbox(&mut self.grid, "Grid lines");
            ui.checkbox(&mut self.contours, "Contours of density").on_hover_text(
                "Around the densest quarter, half, three quarters and nine tenths of the rows; of the selection in its colour",
            );
            ui.checkbox(&mut self.equalised, "Equalise crowds").on_hover_text(
                "Where marks pass into density: shows structure at all densities at once, as ranks and not as counts",
            );
            let before = self.reversed;
            egui::Grid::new(ui.scope_id().with("of each axis")).show(ui, |ui| {
                ui.checkbox(&mut self.reversed[0], "Reverse x").on_hover_text("Values grow to the left");
                ui.checkbox(&mut self.reversed[1], "Reverse y").on_hover_text("Values grow downwards, as for magnitudes");
                ui.end_row();
                let Placed::Columns { x, y } = &mut self.of else { return };
                for (name, column) in [("Log x", x), ("Log y", y)] {
                    let log = columns::logarithm_of(column);
                    let mut is_log = log.is_some();
                    let help = "Decimal logarithms; what is not above zero has no place";
                    if ui.checkbox(&mut is_log, name).on_hover_text(help).changed() && !column.is_empty() {
                        *column = log.unwrap_or_else(|| columns::logarithm(&dataset, column));
                    }
                }
            });
            if let Some(view) = &mut self.view {
                *view = turned_round(*view, [0, 1].map(|i| before[i] != self.reversed[i]));
            }
            if !dataset.images.is_empty() {
                ui.checkbox(&mut self.cutouts, "Cut-outs at deep zoom")
                    .on_hover_text("Where at most 200 rows are in view, their cut-outs of the image stand in place of the marks");
            }
            if !self.colour.is_empty() || self.statistic().is_some() {
                ui.separator();
                ui.label(RichText::new("Colours of the column").color(cx.theme.third));
                for lut in Lut::ALL {
                    if ui.selectable_label(self.lut == lut.name(), lut.name()).clicked() {
                        self.lut = lut.name().into();
                    }
                }
            }
            ui.separator();
            if ui.button("Frame all").on_hover_text("Also by a double click").clicked() {
                self.view = None;
                ui.close();
            }
        });
        columns::pick(ui, cx, "size", Some("one"), &mut self.size);
        let own = self.map(&dataset).map_or_else(Vec::new, |m| own_columns(m));
        self.cells_menu(ui, cx);
        columns::pick_of(ui, cx, "colour", Some("subset"), &own, &mut self.colour);
        if let Some(map) = self.map(&dataset).cloned() {
            self.axes_menu(ui, cx, &map);
        }
        match &mut self.of {
            Placed::Columns { x, y } => {
                let mut changed = false;
                for (name, column) in [("y", y), ("x", x)] {
                    let was_log = columns::logarithm_of(column).is_some();
                    if columns::pick(ui, cx, name, None, column) {
                        changed = true;
                        // An axis of logarithms stays one.
                        if was_log && dataset.table.column_index(column).is_some() {
                            *column = columns::logarithm(&dataset, column);
                        }
                    }
                }
                if changed {
                    self.view = None;
                }
            }
            of => {
                if dataset.maps.len() > 1 {
                    let text = match of {
                        Placed::CurrentMap => "map in front".to_owned(),
                        Placed::Map(id) => format!("map {id}"),
                        Placed::Columns { .. } => String::new(),
                    };
                    ui.menu_button(RichText::new(text).color(cx.theme.second), |ui| {
                        if ui.selectable_label(*of == Placed::CurrentMap, "the map in front").clicked() {
                            *of = Placed::CurrentMap;
                            ui.close();
                        }
                        for map in &dataset.maps {
                            if ui.selectable_label(*of == Placed::Map(map.id), &map.name).clicked() {
                                *of = Placed::Map(map.id);
                                ui.close();
                            }
                        }
                    });
                }
            }
        }
    }

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let doc = cx.session.doc();
        let Some(dataset) = doc.dataset().cloned() else {
            super::empty(
                ui,
                cx.theme,
                "Nothing to show yet",
                "Search an archive, open a file or a sample: its rows appear here.",
            );
            return;
        };
        if let Placed::Columns { x, y } = &mut self.of
            && (x.is_empty() || y.is_empty())
            && let Some((a, b)) = suggest_axes(&dataset)
        {
            (*x, *y) = (a, b);
        }
        let Some(look) = rows::look(ui.ctx(), doc, cx.theme) else { return };
        let map_id = self.map(&dataset).map(|m| m.id);
        let shown = (dataset.id, self.of.clone(), map_id);
        if self.state.shown.as_ref().is_some_and(|s| *s != shown) {
            self.view = None;
        }
        self.state.shown = Some(shown);
        let live = if self.of == Placed::CurrentMap { cx.session.live() } else { None };
        let moving = live.is_some();
        let along = match self.map(&dataset).cloned() {
            Some(map) if !moving => self.along(ui, &map),
            _ => None,
        };
        let (placement, labels) = match &self.of {
            Placed::Columns { x, y } => {
                let labels = [columns::label(&dataset, x), columns::label(&dataset, y)];
                match self.columns(ui, &dataset) {
                    Some(Ok(placement)) => (placement, labels),
                    Some(Err(why)) => {
                        super::empty(ui, cx.theme, "These axes cannot be drawn", &why);
                        return;
                    }
                    None => return,
                }
            }
            _ => {
                let (xy, name) = match (&live, self.map(&dataset)) {
                    (Some((job, live)), _) => (live.xy.clone(), short(&job.name)),
                    (None, Some(map)) => (map.xy.clone(), short(&map.name)),
                    (None, None) => {
                        let how = "Choose a method under Map at the left and start it: the map moves here while it is computed.";
                        super::empty(ui, cx.theme, &format!("No map of {} yet", dataset.name), how);
                        return;
                    }
                };
                match &along {
                    Some(along) => (along.placement.clone(), along.labels.clone()),
                    None => (self.placed(xy), [format!("{name} 1"), format!("{name} 2")]),
                }
            }
        };
        if self.is_map()
            && let Some(column) = cx.shared.colour_by.take()
        {
            self.colour = column;
        }
        let home = turned_round(placement.home, self.reversed);
        let own = self.colours(ui, cx, &dataset);
        let sizes = self.sizes(ui, &dataset);
        let camera = along.as_ref().and_then(|a| a.camera.clone());
        let log = self.of.is_log();
        let shown = match &camera {
            Some(camera) => self.plane(ui, camera),
            None => turned::plain(ui, cx, &mut self.view, &labels, home, self.grid, log),
        };
        let frame = Frame { rect: shown.frame.rect, view: self.view.unwrap_or(shown.frame.view) };
        let frame = if self.view.is_none() && camera.is_none() { Frame { view: home, ..frame } } else { frame };
        let plot = match &self.of {
            Placed::Columns { x, y } => Some(Plot::Columns { x: x.clone(), y: y.clone() }),
            _ if moving => None,
            _ => match &along {
                Some(along) => along.plot.clone(),
                None => map_id.map(Plot::Map),
            },
        };
        let columns = match &self.of {
            Placed::Columns { x, y } => [Some(x.clone()), Some(y.clone())],
            _ => [None, None],
        };
        let hover = cx.shared.hover;
        let statistic = self.statistic();
        let made = statistic.and_then(|s| self.paint_cells(ui, &dataset, s, &placement.at, placement.home, &frame));
        let field = made.as_deref().and_then(|m| m.as_ref().ok());
        if let Some(Err(why)) = made.as_deref() {
            say_below(ui, cx, why);
        }
        let sizes = sizes.or(along.as_ref().and_then(|a| a.sizes.clone()));
        // Over cells the selected rows are marks; without a selection the cells are all.
        let marks = statistic.is_none() || look.selected > 0;
        let own = if statistic.is_some() { None } else { own };
        let scatter = Scatter {
            slot: *self.slot,
            places: live.as_ref().and_then(|(job, _)| job.places()),
            at: placement.at.clone(),
            look: look.clone(),
            colours: own.as_ref().map(|c| c.own.clone()),
            sizes,
            view: frame.view,
            radius_pt: self.radius_pt,
            opacity: 0.0,
            hide_rest: doc.hide_rest || statistic.is_some(),
            context: look.context(cx.theme),
            hover,
            equalised: self.equalised,
        };
        if marks {
            gpu::paint_scatter(ui, cx.render, cx.theme, frame.rect, scatter);
        }
        if marks && !moving {
            self.paint_cutouts(ui, &dataset, &placement.at, &frame, &look, hover);
        }
        if let Some(camera) = &camera {
            camera.paint(ui, cx, frame.rect);
        }
        if self.contours {
            self.contours(ui, cx, &frame, &placement, &look);
        }
        let columns = [columns[0].as_deref(), columns[1].as_deref()];
        let on = On { dataset: &dataset, at: &placement.at, plot: plot.as_ref(), transform: &frame, columns };
        let brushed = self.state.brush.update(ui, cx, &on, &shown.response);
        if let Some(camera) = &camera {
            self.turn_by(&shown.response, &frame, camera, brushed.takes_drag);
        } else if shown.response.dragged() && !brushed.takes_drag && !shown.response.double_clicked() {
            axes::pan(&mut self.view, &frame, shown.response.drag_delta());
        }
        let mut more = Vec::new();
        if own.as_ref().is_some_and(|o| matches!(o.legend, colours::ColourLegend::Classes(_))) && !moving {
            more.extend(self.told(ui, &dataset));
        }
        if placement.missing > 0 {
            more.push(format!("{} without a place", format::rows(placement.missing)));
        }
        legend(ui, cx, &frame, &look, doc, own.as_deref(), &self.colour, &self.lut, more);
        if let (Some(statistic), Some(field)) = (statistic, field) {
            colour_bar(
                ui,
                cx,
                frame.rect,
                &cells::title(statistic, &colours::with_unit(cx, &self.colour)),
                &self.lut,
                field.low,
                field.high,
            );
        }
        if let Some(at) = shown.response.hover_pos() {
            let p = frame.data_from_pt(at);
            if !moving
                && along.is_none()
                && let Some(id) = map_id
            {
                cx.shared.map_at_next = Some((id, p));
            }
            let per = frame.data_per_pt();
            let text = |v: f64, per: f64| format::minus(&format!("{v:.*}", (-per.log10().floor()).clamp(0.0, 10.0) as usize));
            cx.shared.position = match &camera {
                Some(_) => String::new(),
                None => {
                    let said = |i: usize| if log[i] { format::number(10f64.powf(p[i]), 4) } else { text(p[i], per[i]) };
                    format!("{} {}   {} {}", labels[0], said(0), labels[1], said(1))
                }
            };
            cx.shared.hint = hint(cx.shared.tool, moving, camera.is_some());
            let cell = statistic.zip(field).and_then(|(s, f)| Some(cell_line(s, &self.colour, f.at(p)?)));
            if let (Some(line), None) = (&cell, brushed.hover) {
                tip(ui, cx.theme, at, std::slice::from_ref(line));
            }
            if let Some(row) = brushed.hover {
                let mut lines = row_lines(&dataset, row as usize, &[]);
                if let Some(trust) = self.trust(&dataset, row as usize) {
                    lines.push(format!("trust {trust:.2}"));
                }
                lines.extend(cell);
                tip(ui, cx.theme, at, &lines);
            }
        }
    }

    /// Marks, or a statistic of the colour's column in cells.
    fn cells_menu(&mut self, ui: &mut Ui, cx: &Cx<'_>) {
        let shown = Statistic::ALL.into_iter().find(|s| s.name() == self.cells);
        let text = shown.map_or("marks".to_owned(), |s| format!("cells: {}", cells::word(s)));
        ui.menu_button(RichText::new(text).color(cx.theme.second), |ui| {
            ui.set_min_width(170.0);
            if ui.selectable_label(shown.is_none(), "marks, one a row").clicked() {
                self.cells.clear();
                ui.close();
            }
            ui.label(RichText::new("in cells of the plot").color(cx.theme.third));
            for statistic in Statistic::ALL {
                let needs = statistic != Statistic::Count && self.colour.is_empty();
                let text = match (statistic, self.colour.is_empty()) {
                    (Statistic::Count, _) => "number of rows".to_owned(),
                    (s, true) => cells::word(s).to_owned(),
                    (s, false) => cells::title(s, &self.colour),
                };
                let button = egui::Button::selectable(shown == Some(statistic), text);
                let response = ui.add_enabled(!needs, button).on_disabled_hover_text("Choose a column as colour first");
                if response.clicked() {
                    self.cells = statistic.name().to_owned();
                    ui.close();
                }
            }
        })
        .response
        .on_hover_text("Single marks, or how many rows each cell holds, or what their colour's column says there");
    }

    fn trust(&self, dataset: &Dataset, row: usize) -> Option<f32> {
        let quality = self.map(dataset)?.quality.clone()?;
        quality.row_trust.get(row).copied().filter(|v| v.is_finite())
    }

    fn placed(&mut self, xy: Arc<Vec<[f32; 2]>>) -> Placement {
        if let Some((of, placement)) = &self.state.map
            && Arc::ptr_eq(of, &xy)
        {
            return placement.clone();
        }
        let placement = Placement::of(Stored::plain(xy.clone(), next_key()));
        self.state.map = Some((xy, placement.clone()));
        placement
    }

    fn columns(&mut self, ui: &Ui, dataset: &Arc<Dataset>) -> Option<Result<Placement, String>> {
        let Placed::Columns { x, y } = &self.of else { return None };
        let (x, y) = (x.clone(), y.clone());
        let of = dataset.clone();
        let data = DataKey::of(dataset);
        let whole = self.state.whole.clone().filter(|w| w.0 == data && w.1 == x && w.2 == y).map(|w| w.3);
        let cell = whole.zip(self.view).and_then(|(whole, view)| cell_of(whole, view));
        let key = (data, x.clone(), y.clone(), cell);
        let make = move || {
            let at = select::positions(&of, &Plot::Columns { x, y }).map_err(|e| e.to_string())?;
            let Some((cell, whole)) = cell.zip(whole) else { return Ok(Placement::of(Stored::of(&at, next_key()))) };
            let at = Stored::around(&at, Some(middle_of(cell, whole)), next_key()).at_once();
            Ok(Placement { home: whole, ..Placement::of(at) })
        };
        self.state.columns.get(ui.ctx(), "scatter-columns", key.clone(), make);
        let will_do = |k: &ColumnsKey| k.0.id == key.0.id && k.1 == key.1 && k.2 == key.2;
        let made = self.state.columns.newest_for(will_do).map(|r| (*r).clone());
        if let Some(Ok(placement)) = &made {
            self.state.whole = Some((key.0, key.1, key.2, placement.home));
        }
        made
    }

    fn sizes(&mut self, ui: &Ui, dataset: &Arc<Dataset>) -> Option<(Arc<Vec<f32>>, u64)> {
        if self.size.is_empty() {
            return None;
        }
        let (of, column) = (dataset.clone(), self.size.clone());
        let key = (DataKey::of(dataset), column.clone());
        let id = key.0.id;
        self.state.sizes.get(ui.ctx(), "scatter-sizes", key, move || {
            let values = select::column_or_expression(&of, &column).map_err(|e| e.to_string())?;
            let (low, high) = ends(&values);
            let span = (high - low).max(f64::MIN_POSITIVE);
            // Area, not radius, grows with the value: 0.5 to 3 radii.
            let size =
                |v: &f64| if v.is_finite() { (0.25 + 8.75 * ((v - low) / span).clamp(0.0, 1.0)).sqrt() as f32 } else { 0.5 };
            Ok((Arc::new(values.iter().map(size).collect()), next_key()))
        });
        let made = self.state.sizes.newest_for(|k| k.0.id == id)?;
        made.as_ref().as_ref().ok().cloned()
    }
}

/// A view whose axes run the other way.
fn turned_round(mut view: Range2, [x, y]: [bool; 2]) -> Range2 {
    if x {
        view.x.reverse();
    }
    if y {
        view.y.reverse();
    }
    view
}

/// Views this many times smaller than the whole are drawn from positions around them: f32 has no more to tell them by.
const DEEP: f64 = 1000.0;

/// Where a view is that looks deep into a plot; `None` for all others.
fn cell_of(whole: Range2, view: Range2) -> Option<Cell> {
    let of = |whole: [f64; 2], view: [f64; 2]| {
        let (all, part) = (whole[1] - whole[0], (view[1] - view[0]).abs());
        if !(part > 0.0 && all / part >= DEEP) {
            return (0, 0);
        }
        // In steps of eight, so that a turn of the wheel is not always another cell.
        let power = ((all / part).log2() / 3.0).floor() as i32 * 3;
        let middle = view[0] * 0.5 + view[1] * 0.5;
        (power, ((middle - whole[0]) / all * f64::from(power).exp2()).floor() as i64)
    };
    let cell = [of(whole.x, view.x), of(whole.y, view.y)];
    cell.iter().any(|c| c.0 > 0).then_some(cell)
}

/// The middle of a cell.
fn middle_of(cell: Cell, whole: Range2) -> [f64; 2] {
    let of =
        |whole: [f64; 2], (power, at): (i32, i64)| whole[0] + (whole[1] - whole[0]) * (at as f64 + 0.5) / f64::from(power).exp2();
    [of(whole.x, cell[0]), of(whole.y, cell[1])]
}

/// `t-SNE of spectra` → `t-SNE`.
fn short(name: &str) -> String {
    name.split(" of ").next().unwrap_or(name).trim().to_owned()
}

/// What a cell says beside the cursor.
fn cell_line(statistic: Statistic, column: &str, value: f32) -> String {
    match statistic {
        Statistic::Count => format!("{} in this cell", format::rows(10f64.powf(f64::from(value)).round() as usize)),
        other => format!("{} in this cell {}", cells::title(other, column), format::number(f64::from(value), 4)),
    }
}

/// A sentence at the lower edge, where something cannot be drawn.
fn say_below(ui: &Ui, cx: &Cx<'_>, why: &str) {
    let at = ui.max_rect().center_bottom() - vec2(0.0, 60.0);
    ui.painter().text(at, Align2::CENTER_BOTTOM, why, FontId::proportional(SMALL), cx.theme.error);
}

fn hint(tool: Tool, moving: bool, turned: bool) -> String {
    if moving {
        return "The map is still moving · wheel zooms · double click frames all".into();
    }
    match tool {
        Tool::Pan if turned => {
            "Drag turns · wheel zooms · right button pans · Shift+drag adds by lasso · double click frames all".into()
        }
        Tool::Pan => "Drag pans · Shift+drag adds by lasso · Alt+drag removes · double click frames all".into(),
        Tool::Polygon => "Click the corners · Enter or the first corner closes · Backspace takes one back · Esc ends".into(),
        Tool::Range => "Drag picks a range along x · Shift adds · Alt removes · Esc clears".into(),
        _ => "Drag draws · Shift adds · Alt removes · drag the outline to move it · Esc clears".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_a_place_are_counted_and_do_not_frame() {
        let xy = Arc::new(vec![[0.0, 0.0], [f32::NAN, 1.0], [10.0, 5.0]]);
        let placement = Placement::of(Stored::plain(xy, 1));
        assert_eq!(placement.missing, 1);
        assert!(placement.home.x[0] < 0.0 && placement.home.x[1] > 10.0 && placement.home.x[1] < 11.0);
    }

    /// Days that differ in the tenth digit, with one far from them: told apart once the view is near.
    #[test]
    fn a_view_from_near_tells_rows_apart_that_f32_cannot() {
        let mut days: Vec<[f64; 2]> = (0..200).map(|i| [2_460_000.5 + 1e-6 * f64::from(i), 0.5]).collect();
        days.push([2_450_000.0, 0.5]);
        let whole = Range2::of_points(days.iter().copied());
        assert_eq!(cell_of(whole, whole), None);
        let view = Range2 { x: [2_460_000.5, 2_460_000.5 + 2e-4], y: whole.y };
        let cell = cell_of(whole, view).expect("it is near");
        let middle = middle_of(cell, whole);
        assert!((middle[0] - 2_460_000.5).abs() < 8.0 * 2e-4 && cell[1].0 == 0, "{cell:?} {middle:?}");
        let at = Stored::around(&days, Some(middle), 1);
        for (row, day) in days.iter().enumerate().take(200) {
            assert!((at.data(row)[0] - day[0]).abs() < 2e-8, "row {row}: {}", at.data(row)[0] - day[0]);
        }
        // Relative to the middle of all they are one heap.
        let coarse = Stored::of(&days, 1);
        assert!((coarse.data(0)[0] - days[0][0]).abs() > 1e-5);
        // The next view beside it keeps the cell.
        let beside = Range2 { x: [2_460_000.5 + 1e-5, 2_460_000.5 + 2.1e-4], y: whole.y };
        assert_eq!(cell_of(whole, beside), Some(cell));
    }

    #[test]
    fn names_of_axes_are_short() {
        assert_eq!(short("t-SNE of spectra"), "t-SNE");
        assert_eq!(short("PCA"), "PCA");
    }
}
