//! A map, or two columns against each other.
//!
//! The map in front moves while it is computed: positions come from [`asterism_session::Session::live`]
//! and go to the GPU as they are. Colours are by subset unless a column is chosen. Everything made
//! from the table is kept under a key and made anew only when that changes. Cost of a still frame:
//! axes and legend; points are drawn by [`crate::gpu`].

use std::sync::Arc;

use asterism_render::colour::{self, Lut};
use asterism_render::field::{Field, Polyline, contours};
use asterism_session::{Dataset, Document, Map, Plot, select};
use egui::{Align2, Color32, FontId, Rect, RichText, Sense, Ui, pos2, vec2};
use serde::{Deserialize, Serialize};

use super::brush::{Brush, On, row_lines, tip};
use super::columns;
use super::rows::{self, DataKey, RowLook, next_key};
use crate::cx::{Cx, Tool};
use crate::gpu::{self, OwnColours, Scatter, Stored};
use crate::theme::SMALL;
use crate::widgets::{Axes, Cache, Frame, Range2, ViewId, Work, axes, format};

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
            lut: Lut::Viridis.name().to_owned(),
            size: String::new(),
            radius_pt: 2.0,
            grid: false,
            contours: false,
            equalised: false,
            view: None,
            slot: Cache::default(),
            state: Cache::default(),
        }
    }
}

#[derive(Default)]
struct State {
    /// Positions of a map, made from these coordinates.
    map: Option<(Arc<Vec<[f32; 2]>>, Placement)>,
    columns: Work<(DataKey, String, String), Result<Placement, String>>,
    colours: Work<(DataKey, String, String, u64), Result<Arc<ByColumn>, String>>,
    sizes: Work<(DataKey, String), Result<(Arc<Vec<f32>>, u64), String>>,
    contours: Work<(u64, u64), [Vec<Polyline>; 2]>,
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

struct ByColumn {
    own: OwnColours,
    legend: ColourLegend,
}

#[derive(Clone)]
enum ColourLegend {
    Ramp { low: f64, high: f64, missing: usize },
    Classes(Vec<(String, Color32, usize)>),
}

/// Two numeric columns that say something together: the ones features would take, else the sky.
pub fn suggest_axes(dataset: &Dataset) -> Option<(String, String)> {
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
            Placed::Columns { x, y } => format!("{y} against {x}"),
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
        ui.menu_button(RichText::new("view").color(cx.theme.second), |ui| {
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
            if !self.colour.is_empty() {
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
        columns::pick_of(ui, cx, "colour", Some("subset"), &own, &mut self.colour);
        match &mut self.of {
            Placed::Columns { x, y } => {
                let changed = columns::pick(ui, cx, "y", None, y) | columns::pick(ui, cx, "x", None, x);
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
        let (placement, x_label, y_label) = match &self.of {
            Placed::Columns { x, y } => {
                let (x_label, y_label) = (columns::label(&dataset, x), columns::label(&dataset, y));
                match self.columns(ui, &dataset) {
                    Some(Ok(placement)) => (placement, x_label, y_label),
                    Some(Err(why)) => {
                        super::empty(ui, cx.theme, "These axes cannot be drawn", &why);
                        return;
                    }
                    None => return,
                }
            }
            _ => {
                let xy = match (&live, self.map(&dataset)) {
                    (Some((_, live)), _) => live.xy.clone(),
                    (None, Some(map)) => map.xy.clone(),
                    (None, None) => {
                        let how = "Choose a method under Map at the left and start it: the map moves here while it is computed.";
                        super::empty(ui, cx.theme, &format!("No map of {} yet", dataset.name), how);
                        return;
                    }
                };
                let name = match (&live, self.map(&dataset)) {
                    (Some((job, _)), _) => short(&job.name),
                    (None, Some(map)) => short(&map.name),
                    _ => String::new(),
                };
                (self.placed(xy), format!("{name} 1"), format!("{name} 2"))
            }
        };
        if self.is_map()
            && let Some(column) = cx.shared.colour_by.take()
        {
            self.colour = column;
        }
        let own = self.colours(ui, cx, &dataset);
        let sizes = self.sizes(ui, &dataset);
        let axes = Axes {
            x_label: &x_label,
            y_label: &y_label,
            home: placement.home,
            grid: self.grid,
            name: "Scatter plot",
            fixed_y: false,
        };
        let id = ui.scope_id().with("axes");
        let shown = axes.show(ui, id, cx.theme, &mut self.view);
        let frame = Frame { rect: shown.frame.rect, view: self.view.unwrap_or(placement.home) };
        let plot = match &self.of {
            Placed::Columns { x, y } => Some(Plot::Columns { x: x.clone(), y: y.clone() }),
            _ if moving => None,
            _ => map_id.map(Plot::Map),
        };
        let x_column = match &self.of {
            Placed::Columns { x, .. } => Some(x.clone()),
            _ => None,
        };
        let hover = cx.shared.hover;
        let scatter = Scatter {
            slot: *self.slot,
            at: placement.at.clone(),
            look: look.clone(),
            colours: own.as_ref().map(|c| c.own.clone()),
            sizes,
            view: frame.view,
            radius_pt: self.radius_pt,
            opacity: 0.0,
            hide_rest: doc.hide_rest,
            context: look.context(cx.theme),
            hover,
            equalised: self.equalised,
        };
        gpu::paint_scatter(ui, cx.render, cx.theme, frame.rect, scatter);
        if self.contours {
            self.contours(ui, cx, &frame, &placement, &look);
        }
        let on =
            On { dataset: &dataset, at: &placement.at, plot: plot.as_ref(), transform: &frame, x_column: x_column.as_deref() };
        let brushed = self.state.brush.update(ui, cx, &on, &shown.response);
        if shown.response.dragged() && !brushed.takes_drag && !shown.response.double_clicked() {
            axes::pan(&mut self.view, &frame, shown.response.drag_delta());
        }
        legend(ui, cx, &frame, &look, doc, own.as_deref(), &self.colour, &self.lut, placement.missing);
        if let Some(at) = shown.response.hover_pos() {
            let p = frame.data_from_pt(at);
            if !moving && let Some(id) = map_id {
                cx.shared.map_at_next = Some((id, p));
            }
            let per = frame.data_per_pt();
            let text = |v: f64, per: f64| format::minus(&format!("{v:.*}", (-per.log10().floor()).clamp(0.0, 10.0) as usize));
            cx.shared.position = format!("{x_label} {}   {y_label} {}", text(p[0], per[0]), text(p[1], per[1]));
            cx.shared.hint = hint(cx.shared.tool, moving);
            if let Some(row) = brushed.hover {
                let mut lines = row_lines(&dataset, row as usize, &[]);
                if let Some(trust) = self.trust(&dataset, row as usize) {
                    lines.push(format!("trust {trust:.2}"));
                }
                tip(ui, cx.theme, at, &lines);
            }
        }
    }

    /// Contours of all rows, and of the selected ones over them.
    fn contours(&mut self, ui: &Ui, cx: &Cx<'_>, frame: &Frame, placement: &Placement, look: &Arc<RowLook>) {
        let (at, home, of) = (placement.at.clone(), placement.home, look.clone());
        let key = (at.key, look.key);
        self.state.contours.get(ui.ctx(), "scatter-contours", key, move || contours_of(&at, home, &of));
        let Some(made) = self.state.contours.newest_for(|k| k.0 == key.0) else { return };
        let painter = ui.painter_at(frame.rect);
        for (lines, colour) in made.iter().zip([cx.theme.second, look.own]) {
            for line in lines {
                let points: Vec<egui::Pos2> = line.points.iter().map(|p| frame.pt_from_data(*p)).collect();
                let stroke = egui::Stroke::new(1.0, colour.gamma_multiply(0.9));
                painter.add(if line.closed {
                    egui::Shape::closed_line(points, stroke)
                } else {
                    egui::Shape::line(points, stroke)
                });
            }
        }
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
        let key = (DataKey::of(dataset), x.clone(), y.clone());
        let make = move || {
            select::positions(&of, &Plot::Columns { x, y })
                .map(|p| Placement::of(Stored::of(&p, next_key())))
                .map_err(|e| e.to_string())
        };
        self.state.columns.get(ui.ctx(), "scatter-columns", key.clone(), make);
        let will_do = |k: &(DataKey, String, String)| k.0.id == key.0.id && k.1 == key.1 && k.2 == key.2;
        self.state.columns.newest_for(will_do).map(|r| (*r).clone())
    }

    fn colours(&mut self, ui: &Ui, cx: &Cx<'_>, dataset: &Arc<Dataset>) -> Option<Arc<ByColumn>> {
        if self.colour.is_empty() {
            return None;
        }
        let (of, column, lut) = (dataset.clone(), self.colour.clone(), self.lut.clone());
        // What a map says of its rows is no column of the table.
        let map = self.map(dataset).filter(|m| dataset.table.column_index(&column).is_none() && own_columns(m).contains(&column));
        let map = map.cloned();
        let key = (DataKey::of(dataset), column.clone(), lut.clone(), map.as_ref().map_or(0, |m| m.generation));
        let id = key.0.id;
        self.state.colours.get(ui.ctx(), "scatter-colours", key, move || match map {
            Some(map) if column == SPREAD => asterism_session::session::place_spread(&of, &map)
                .map(|values| Arc::new(ramp(&values, &lut)))
                .map_err(|e| e.to_string()),
            Some(map) => {
                let of_map = asterism_session::export::map_columns(&map).into_iter().find(|(name, ..)| *name == column);
                let values = of_map.map_or_else(Vec::new, |(_, v, _)| v.into_iter().map(f64::from).collect());
                Ok(Arc::new(ramp(&values, &lut)))
            }
            None => by_column(&of, &column, &lut).map(Arc::new),
        });
        let made = self.state.colours.newest_for(|k| k.0.id == id)?;
        match &*made {
            Ok(by) => Some(by.clone()),
            Err(why) => {
                let rect = ui.max_rect();
                ui.painter().text(
                    rect.center_bottom() - vec2(0.0, 60.0),
                    Align2::CENTER_BOTTOM,
                    why,
                    FontId::proportional(SMALL),
                    cx.theme.error,
                );
                None
            }
        }
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

/// Contours around shares of all rows, and of the selected ones where there are any, in data units.
fn contours_of(at: &Stored, home: Range2, look: &RowLook) -> [Vec<Polyline>; 2] {
    const SHARES: [f64; 4] = [0.25, 0.5, 0.75, 0.9];
    // The field is of stored positions; its corners are told in data units again.
    let (low, high) = (at.stored([home.x[0], home.y[0]]), at.stored([home.x[1], home.y[1]]));
    let lines = |xy: &[[f32; 2]]| {
        let (x, y) = ([low[0], high[0]], [low[1], high[1]]);
        let Some(field) = Field::density(xy, x, y, [CELLS; 2], bandwidth(xy, [x, y])) else { return Vec::new() };
        let levels = field.levels_of_shares(&SHARES);
        let mut lines = contours(&field, &levels);
        for p in lines.iter_mut().flat_map(|l| &mut l.points) {
            *p = [p[0] * at.unit[0] + at.origin[0], p[1] * at.unit[1] + at.origin[1]];
        }
        lines
    };
    let chosen = |row: &usize| look.chosen.get(row / 64).is_some_and(|w| w >> (row % 64) & 1 == 1);
    let some: Vec<[f32; 2]> =
        if look.selected > 0 { (0..at.xy.len()).filter(chosen).map(|r| at.xy[r]).collect() } else { Vec::new() };
    [lines(&at.xy), if some.is_empty() { Vec::new() } else { lines(&some) }]
}

/// Cells of the field of contours, along each axis.
const CELLS: usize = 192;

/// Half of Scott's rule (1992) for a Gaussian kernel in two dimensions, in cells: the full width would melt islands together.
fn bandwidth(xy: &[[f32; 2]], ends: [[f64; 2]; 2]) -> f32 {
    let good: Vec<&[f32; 2]> = xy.iter().filter(|p| p[0].is_finite() && p[1].is_finite()).collect();
    let n = good.len().max(1) as f64;
    let spread = |a: usize| {
        let mean = good.iter().map(|p| f64::from(p[a])).sum::<f64>() / n;
        let variance = good.iter().map(|p| (f64::from(p[a]) - mean).powi(2)).sum::<f64>() / n;
        variance.sqrt() / (ends[a][1] - ends[a][0]) * CELLS as f64
    };
    let cells = 0.5 * n.powf(-1.0 / 6.0) * (spread(0) + spread(1)) / 2.0;
    if cells.is_finite() { cells.clamp(1.5, 16.0) as f32 } else { 3.0 }
}

/// `t-SNE of spectra` → `t-SNE`.
fn short(name: &str) -> String {
    name.split(" of ").next().unwrap_or(name).trim().to_owned()
}

fn hint(tool: Tool, moving: bool) -> String {
    if moving {
        return "The map is still moving · wheel zooms · double click frames all".into();
    }
    match tool {
        Tool::Pan => "Drag pans · Shift+drag adds by lasso · Alt+drag removes · double click frames all".into(),
        Tool::Range => "Drag picks a range along x · Shift adds · Alt removes · Esc clears".into(),
        _ => "Drag draws · Shift adds · Alt removes · drag the outline to move it · Esc clears".into(),
    }
}

/// 1st and 99th percentile: one wild value must not take all the colours.
fn ends(values: &[f64]) -> (f64, f64) {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    if finite.is_empty() {
        return (0.0, 1.0);
    }
    let last = finite.len() - 1;
    let mut at = |q: f64| {
        let i = (last as f64 * q).round() as usize;
        *finite.select_nth_unstable_by(i, f64::total_cmp).1
    };
    let (low, high) = (at(0.01), at(0.99));
    if low < high { (low, high) } else { (at(0.0), at(1.0)) }
}

fn by_column(dataset: &Dataset, column: &str, lut: &str) -> Result<ByColumn, String> {
    let table = &dataset.table;
    let text = table.column_index(column).filter(|i| !table.is_numeric(*i));
    if text.is_some() {
        let values = table.strings(column).map_err(|e| e.to_string())?;
        let mut counts: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
        for v in values.iter().flatten() {
            *counts.entry(v.as_str()).or_default() += 1;
        }
        let mut classes: Vec<(&str, usize)> = counts.into_iter().collect();
        classes.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        classes.truncate(256);
        let packed: std::collections::HashMap<&str, u32> = classes
            .iter()
            .enumerate()
            .map(|(i, (name, _))| (*name, rows::pack(rows::colour_of(colour::categorical(i)))))
            .collect();
        let rgba = values.iter().map(|v| v.as_deref().and_then(|v| packed.get(v)).copied().unwrap_or(0)).collect();
        let legend = classes
            .iter()
            .enumerate()
            .map(|(i, (n, c))| ((*n).to_owned(), rows::colour_of(colour::categorical(i)), *c))
            .collect();
        return Ok(ByColumn { own: OwnColours { rgba: Arc::new(rgba), key: next_key() }, legend: ColourLegend::Classes(legend) });
    }
    let values = select::column_or_expression(dataset, column).map_err(|e| e.to_string())?;
    Ok(ramp(&values, lut))
}

/// How sure the places on a variational map are.
const SPREAD: &str = "place_spread";

/// What a map says of each of its rows and what can colour them: how far its place may be trusted, how badly it is reconstructed.
fn own_columns(map: &Map) -> Vec<String> {
    let mut names = Vec::new();
    if map.quality.as_ref().is_some_and(|q| !q.row_trust.is_empty()) {
        names.push("trust".to_owned());
    }
    if map.row_error.is_some() {
        names.push("reconstruction_error".to_owned());
    }
    if map.params.variational && map.params.method == asterism_session::reduce::Method::Autoencoder && map.model.is_some() {
        names.push(SPREAD.to_owned());
    }
    names
}

fn ramp(values: &[f64], lut: &str) -> ByColumn {
    let (low, high) = ends(values);
    let lut = Lut::from_name(lut).unwrap_or(Lut::Viridis);
    let rgba = colour::pack_values(lut, values, low, high);
    let missing = values.iter().filter(|v| !v.is_finite()).count();
    ByColumn { own: OwnColours { rgba: Arc::new(rgba), key: next_key() }, legend: ColourLegend::Ramp { low, high, missing } }
}

#[expect(clippy::too_many_arguments, reason = "one call, and each is a different thing")]
fn legend(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    frame: &Frame,
    look: &RowLook,
    doc: &Document,
    own: Option<&ByColumn>,
    column: &str,
    lut: &str,
    missing: usize,
) {
    let painter = ui.painter_at(frame.rect);
    let font = FontId::proportional(SMALL);
    let mut y = frame.rect.top() + 6.0;
    let x = frame.rect.left() + 10.0;
    let ground = cx.theme.pane.gamma_multiply(0.8);
    let mut line = |dot: Option<Color32>, text: String, subset: Option<u32>, commands: &mut Vec<asterism_session::Command>| {
        let galley = painter.layout_no_wrap(text.clone(), font.clone(), cx.theme.second);
        let rect = Rect::from_min_size(pos2(x - 6.0, y), vec2(galley.size().x + 26.0, 18.0));
        painter.rect_filled(rect, 3.0, ground);
        if let Some(dot) = dot {
            painter.circle_filled(pos2(x + 2.0, y + 9.0), 4.0, dot);
        }
        painter.galley(pos2(x + 12.0, y + 9.0 - galley.size().y / 2.0), galley, cx.theme.second);
        if let Some(id) = subset {
            let response =
                ui.interact(rect, ui.scope_id().with(("legend", id)), Sense::click()).on_hover_text("Select this subset");
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Select {text}")));
            if response.clicked() {
                commands.push(asterism_session::Command::SelectSubset { id, mode: None });
            }
        }
        y += 18.0;
    };
    match own.map(|o| &o.legend) {
        None => {
            for entry in look.legend.iter().take(14) {
                let text = format!("{} {} / {}", entry.name, format::count(entry.lit), format::count(entry.total));
                line(Some(entry.colour), text, entry.subset, cx.commands);
            }
            if look.legend.len() > 14 {
                line(None, format!("and {} more", look.legend.len() - 14), None, cx.commands);
            }
        }
        Some(ColourLegend::Classes(classes)) => {
            for (name, colour, count) in classes.iter().take(10) {
                line(Some(*colour), format!("{name} {}", format::count(*count)), None, cx.commands);
            }
            if classes.len() > 10 {
                line(None, format!("and {} more classes", classes.len() - 10), None, cx.commands);
            }
        }
        Some(ColourLegend::Ramp { missing, .. }) => {
            if look.selected > 0 {
                let total = doc.dataset().map_or(0, |d| d.table.rows());
                line(None, format!("selected {} / {}", format::count(look.selected), format::count(total)), None, cx.commands);
            }
            if *missing > 0 {
                line(Some(cx.theme.context), format!("{} without {column}", format::rows(*missing)), None, cx.commands);
            }
        }
    }
    if missing > 0 {
        line(None, format!("{} without a place", format::rows(missing)), None, cx.commands);
    }
    if let Some(ColourLegend::Ramp { low, high, .. }) = own.map(|o| &o.legend) {
        colour_bar(ui, cx, frame.rect, column, lut, *low, *high);
    }
}

fn colour_bar(ui: &Ui, cx: &Cx<'_>, rect: Rect, column: &str, lut: &str, low: f64, high: f64) {
    let painter = ui.painter_at(rect);
    let height = (rect.height() * 0.5).min(160.0);
    let bar = Rect::from_min_size(pos2(rect.right() - 20.0, rect.top() + 24.0), vec2(10.0, height));
    painter.rect_filled(bar.expand2(vec2(4.0, 4.0)), 3.0, cx.theme.pane.gamma_multiply(0.8));
    let lut = Lut::from_name(lut).unwrap_or(Lut::Viridis);
    let mut mesh = egui::Mesh::default();
    for i in 0..=32u32 {
        let t = f64::from(i) / 32.0;
        let [r, g, b, _] = colour::sample(lut, t);
        let y = bar.bottom() - bar.height() * t as f32;
        mesh.colored_vertex(pos2(bar.left(), y), Color32::from_rgb(r, g, b));
        mesh.colored_vertex(pos2(bar.right(), y), Color32::from_rgb(r, g, b));
        if i > 0 {
            let n = i * 2;
            mesh.add_triangle(n - 2, n - 1, n);
            mesh.add_triangle(n - 1, n, n + 1);
        }
    }
    painter.add(mesh);
    let font = FontId::proportional(SMALL);
    let (ticks, step) = axes::ticks([low, high], 4);
    for v in ticks {
        let y = bar.bottom() - bar.height() * ((v - low) / (high - low)) as f32;
        painter.text(pos2(bar.left() - 6.0, y), Align2::RIGHT_CENTER, axes::tick_label(v, step), font.clone(), cx.theme.second);
    }
    painter.text(pos2(bar.right(), bar.top() - 8.0), Align2::RIGHT_BOTTOM, column, font, cx.theme.second);
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

    #[test]
    fn one_wild_value_does_not_take_all_the_colours() {
        let mut values: Vec<f64> = (0..1000).map(f64::from).collect();
        values.push(1e12);
        values.push(f64::NAN);
        let (low, high) = ends(&values);
        assert!(low < 20.0 && (980.0..1000.0).contains(&high));
        assert_eq!(ends(&[]), (0.0, 1.0));
    }

    #[test]
    fn names_of_axes_are_short() {
        assert_eq!(short("t-SNE of spectra"), "t-SNE");
        assert_eq!(short("PCA"), "PCA");
    }
}
