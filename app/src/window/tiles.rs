//! The views in the middle: how egui_tiles shows and changes the tree of panes.
//!
//! Tabs have no boxes: the front one is heavier, a hairline lies under the bar, a cross appears
//! under the cursor, and `+` lists what can be added. A pane's own small controls stand at the
//! right end of the bar; since egui_tiles hands out the tree read-only there, the place is kept
//! free while the tree is drawn and filled afterwards. In a narrow bar long titles end in `…`, and
//! where even that leaves them too little room the controls fold into one button; scroll arrows,
//! which hide whole tabs, come only when nothing else helps.

use std::collections::HashMap;

use egui::{Align2, Color32, Id, Rect, Response, Role, Sense, Stroke, Ui, UiBuilder, WidgetInfo, WidgetText, pos2, vec2};
use egui_tiles::{Behavior, Container, EditAction, SimplificationOptions, TabState, Tabs, Tile, TileId, Tiles, Tree, UiResponse};

use crate::cx::Cx;
use crate::panes::Pane;
use crate::theme;

use super::kit;

/// What a person did to the tree in this frame, beside dragging.
#[derive(Default)]
struct Wishes {
    /// Panes to add, each to a bar of tabs.
    add: Vec<(TileId, fn() -> Pane)>,
    /// Tiles to close.
    close: Vec<TileId>,
    /// Ends of tab bars to be filled: the pane in front, where, and whether its controls are folded.
    tails: Vec<(TileId, Rect, bool)>,
    /// The most that the title of a tile may be wide, points.
    widest: HashMap<TileId, f32>,
    /// The tree changed by hand.
    edited: bool,
}

struct Show<'a, 'b> {
    cx: &'a mut Cx<'b>,
    wishes: Wishes,
}

/// Draw the tree. True when a person changed it.
pub fn show(tree: &mut Tree<Pane>, ui: &mut Ui, cx: &mut Cx<'_>) -> bool {
    if tree.is_empty() {
        return empty(tree, ui, cx);
    }
    let mut behavior = Show { cx, wishes: Wishes::default() };
    tree.ui(&mut behavior, ui);
    let Show { cx, wishes } = behavior;
    for (tile, rect, folded) in &wishes.tails {
        tail(tree, ui, cx, *tile, *rect, *folded);
    }
    let mut edited = wishes.edited;
    for (bar, make) in wishes.add {
        add(tree, Some(bar), make());
        edited = true;
    }
    for tile in wishes.close {
        tree.remove_recursively(tile);
        edited = true;
    }
    edited
}

/// Put a pane into a bar of tabs (or the first there is) and bring it to the front.
pub fn add(tree: &mut Tree<Pane>, bar: Option<TileId>, pane: Pane) {
    let bar = bar.or_else(|| {
        let mut bars: Vec<TileId> =
            tree.tiles.iter().filter(|(_, t)| matches!(t, Tile::Container(Container::Tabs(_)))).map(|(id, _)| *id).collect();
        bars.sort_by_key(|id| tree.tiles.rect(*id).map_or(0, |r| -(r.area() as i64)));
        // What speaks of the map stands beside it, not over it.
        let beside = matches!(pane, Pane::Components(_) | Pane::Explain(_) | Pane::Maps(_) | Pane::Behind(_));
        let free = |id: &&TileId| !beside || !holds_map(tree, **id);
        bars.iter().find(free).or(bars.first()).copied()
    });
    let id = tree.tiles.insert_pane(pane);
    match bar.and_then(|bar| tree.tiles.get_mut(bar)) {
        Some(Tile::Container(Container::Tabs(tabs))) => {
            tabs.add_child(id);
            tabs.set_active(id);
        }
        _ => match tree.root {
            Some(root) => tree.root = Some(tree.tiles.insert_horizontal_tile(vec![root, id])),
            None => tree.root = Some(tree.tiles.insert_tab_tile(vec![id])),
        },
    }
}

/// The panes in sight, or the one of this tile, each with its place on the screen and room for its title above it.
pub fn shown(tree: &Tree<Pane>, only: Option<TileId>) -> Vec<(Pane, Rect)> {
    let mut active = tree.active_tiles();
    active.sort_unstable_by_key(|id| id.0);
    let of = |id: TileId| match tree.tiles.get(id) {
        Some(Tile::Pane(pane)) => {
            let rect = tree.tiles.rect(id).filter(|r| r.is_positive())?;
            Some((pane.clone(), Rect::from_min_max(rect.min - vec2(0.0, theme::TAB_HEIGHT), rect.max)))
        }
        _ => None,
    };
    match only {
        Some(id) => of(id).into_iter().collect(),
        None => active.into_iter().filter_map(of).collect(),
    }
}

fn holds_map(tree: &Tree<Pane>, bar: TileId) -> bool {
    let is_map = |id: &TileId| matches!(tree.tiles.get(*id), Some(Tile::Pane(Pane::Scatter(p))) if p.is_map());
    matches!(tree.tiles.get(bar), Some(Tile::Container(Container::Tabs(tabs))) if tabs.children.iter().any(is_map))
}

/// Bring the view of the map to the front of its bar, where it is behind others.
pub fn bring_map(tree: &mut Tree<Pane>) {
    tree.make_active(|_, tile| matches!(tile, Tile::Pane(Pane::Scatter(p)) if p.is_map()));
}

/// Bring a view of this kind to the front of its bar; add one where there is none.
pub fn bring(tree: &mut Tree<Pane>, is: impl Fn(&Pane) -> bool, make: impl FnOnce() -> Pane) {
    if !tree.make_active(|_, tile| matches!(tile, Tile::Pane(p) if is(p))) {
        add(tree, None, make());
    }
}

fn empty(tree: &mut Tree<Pane>, ui: &mut Ui, cx: &mut Cx<'_>) -> bool {
    let mut edited = false;
    let theme = cx.theme;
    ui.painter().rect_filled(ui.max_rect(), 0.0, theme.pane);
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.35).max(8.0));
        ui.label(egui::RichText::new("No view is open").font(theme::semibold(theme::BODY)).color(theme.second));
        ui.add_space(4.0);
        ui.label(egui::RichText::new("Pick one, or bring the first layout back under View.").color(theme.third));
        ui.add_space(12.0);
        let width = 110.0 * Pane::kinds().len().min(5) as f32;
        ui.allocate_ui(vec2(width, 60.0), |ui| {
            ui.horizontal_wrapped(|ui| {
                for (name, make) in Pane::kinds() {
                    if ui.button(*name).clicked() {
                        add(tree, None, make());
                        edited = true;
                    }
                }
            });
        });
    });
    edited
}

fn tail(tree: &mut Tree<Pane>, ui: &mut Ui, cx: &mut Cx<'_>, tile: TileId, rect: Rect, folded: bool) {
    let id = Id::unique(("tail", tile));
    let Some(Tile::Pane(pane)) = tree.tiles.get_mut(tile) else { return };
    let layout = egui::Layout::right_to_left(egui::Align::Center);
    let mut child = ui.new_child(UiBuilder::new().id_salt(id).max_rect(rect).layout(layout));
    child.set_clip_rect(rect.intersect(ui.clip_rect()));
    if folded {
        let name = format!("Options of {}", pane.title(cx));
        child.spacing_mut().item_spacing.x = 2.0;
        let icon = kit::icon(&mut child, cx.theme, &name, kit::draw_sliders);
        // An icon alone says too little where the controls were.
        let text = egui::RichText::new("Options").font(theme::small()).color(cx.theme.second);
        let button = icon | child.add(egui::Button::new(text).frame(false));
        egui::Popup::menu(&button).close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside).show(|ui| {
            ui.set_min_width(140.0);
            pane.tail_ui(ui, cx);
        });
        return;
    }
    child.style_mut().text_styles.insert(egui::TextStyle::Body, theme::small());
    child.style_mut().text_styles.insert(egui::TextStyle::Button, theme::small());
    child.visuals_mut().widgets.inactive.weak_bg_fill = Color32::TRANSPARENT;
    child.visuals_mut().widgets.noninteractive.fg_stroke.color = cx.theme.third;
    child.visuals_mut().widgets.inactive.fg_stroke.color = cx.theme.second;
    child.spacing_mut().item_spacing.x = 8.0;
    child.spacing_mut().button_padding = vec2(4.0, 2.0);
    pane.tail_ui(&mut child, cx);
    let width = child.min_rect().width();
    let before = ui.data(|d| d.get_temp::<f32>(id)).unwrap_or(0.0);
    if (before - width).abs() > 0.5 {
        ui.data_mut(|d| d.insert_temp(id, width));
        ui.ctx().request_repaint();
    }
}

/// Beside its title a tab has its left edge and the place of its cross, points.
const TAB_EDGES_PT: f32 = 26.0;
/// The button that stands for folded controls, points.
const FOLDED_PT: f32 = 72.0;
/// A title is not made narrower than this for the sake of the controls beside it, points.
const TITLE_LEAST_PT: f32 = 110.0;

/// The greatest width at which titles so wide, cut to it, fit into `room`; all in points.
fn widest_title(titles: &[f32], room: f32) -> f32 {
    let mut sorted = titles.to_vec();
    sorted.sort_by(f32::total_cmp);
    let mut left = room - TAB_EDGES_PT * titles.len() as f32;
    for (i, width) in sorted.iter().enumerate() {
        let share = left / (sorted.len() - i) as f32;
        if *width > share {
            return share.max(24.0);
        }
        left -= width;
    }
    f32::INFINITY
}

impl Behavior<Pane> for Show<'_, '_> {
    fn pane_ui(&mut self, ui: &mut Ui, tile_id: TileId, pane: &mut Pane) -> UiResponse {
        let rect = ui.max_rect();
        ui.painter().rect_filled(rect, 0.0, self.cx.theme.pane);
        ui.set_clip_rect(rect.intersect(ui.clip_rect()));
        ui.push_id(tile_id, |ui| pane.ui(ui, self.cx));
        UiResponse::None
    }

    fn tab_title_for_pane(&mut self, pane: &Pane) -> WidgetText {
        pane.title(self.cx).into()
    }

    fn tab_hover_cursor_icon(&self) -> egui::CursorIcon {
        egui::CursorIcon::Default
    }

    fn tab_ui(&mut self, tiles: &mut Tiles<Pane>, ui: &mut Ui, id: Id, tile_id: TileId, state: &TabState) -> Response {
        let theme = self.cx.theme;
        let title = match tiles.get(tile_id) {
            Some(Tile::Pane(pane)) => pane.title(self.cx),
            _ => "views".to_owned(),
        };
        let font = if state.active { theme::semibold(theme::BODY) } else { theme::body() };
        let widest = self.wishes.widest.get(&tile_id).copied().unwrap_or(f32::INFINITY);
        let galley = kit::elided(ui, &title, font, theme.text, widest);
        let (_, rect) = ui.allocate_space(vec2(galley.size().x + TAB_EDGES_PT, ui.available_height()));
        let response = ui.interact(rect, id, Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, state.active, &title));
        if state.is_being_dragged || !ui.is_rect_visible(rect) {
            return response;
        }
        let over = ui.rect_contains_pointer(rect);
        let colour = if state.active {
            theme.text
        } else if over {
            theme.second
        } else {
            theme.third
        };
        let at = pos2(rect.left() + 8.0, rect.center().y - galley.size().y / 2.0);
        let galley_cut = galley.elided;
        ui.painter().galley_with_override_text_color(at, galley, colour);
        if over || response.has_focus() {
            let cross = Rect::from_center_size(pos2(rect.right() - 9.0, rect.center().y), vec2(16.0, 16.0));
            let close = ui.interact(cross, id.with("close"), Sense::click());
            close.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Close {title}")));
            if close.hovered() {
                ui.painter().rect_filled(cross, 3.0, theme.raised_hovered);
            }
            kit::draw_cross(ui.painter(), cross, if close.hovered() { theme.text } else { theme.third });
            if close.clicked() {
                self.wishes.close.push(tile_id);
            }
        }
        let response = if galley_cut { response.on_hover_text(&title) } else { response };
        if response.middle_clicked() {
            self.wishes.close.push(tile_id);
        }
        response.context_menu(|ui| {
            if ui
                .button("Save as picture…")
                .on_hover_text("This view as it is now: .png, .svg or .pdf, by the ending of the name")
                .clicked()
            {
                self.cx.shared.picture_of = Some(tile_id);
                ui.close();
            }
            if ui.button("Close").clicked() {
                self.wishes.close.push(tile_id);
                ui.close();
            }
        });
        response
    }

    fn tab_bar_trailing_ui(&mut self, _tiles: &Tiles<Pane>, ui: &mut Ui, tile_id: TileId, _tabs: &Tabs) {
        let theme = self.cx.theme;
        ui.add_space(2.0);
        let (rect, response) = ui.allocate_exact_size(vec2(22.0, 22.0), Sense::click());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Add a view"));
        if response.hovered() {
            ui.painter().rect_filled(rect, 4.0, theme.raised);
        }
        let colour = if response.hovered() { theme.text } else { theme.third };
        ui.painter().text(rect.center(), Align2::CENTER_CENTER, "+", theme::body(), colour);
        let response = response.on_hover_text("Add a view to these tabs");
        egui::Popup::menu(&response).show(|ui| {
            ui.set_min_width(150.0);
            for (name, make) in Pane::kinds() {
                if ui.button(*name).clicked() {
                    self.wishes.add.push((tile_id, *make));
                    ui.close();
                }
            }
        });
    }

    fn top_bar_right_ui(&mut self, tiles: &Tiles<Pane>, ui: &mut Ui, _tile_id: TileId, tabs: &Tabs, _offset: &mut f32) {
        let full = ui.max_rect();
        let titles: Vec<f32> = tabs
            .children
            .iter()
            .filter_map(|id| match tiles.get(*id) {
                Some(Tile::Pane(pane)) => {
                    let font = if tabs.active == Some(*id) { theme::semibold(theme::BODY) } else { theme::body() };
                    Some(ui.painter().layout_no_wrap(pane.title(self.cx), font, self.cx.theme.text).size().x)
                }
                _ => None,
            })
            .collect();
        let active = tabs.active.filter(|id| matches!(tiles.get(*id), Some(Tile::Pane(_))));
        let wanted = active.and_then(|id| ui.data(|d| d.get_temp::<f32>(Id::unique(("tail", id))))).unwrap_or(0.0);
        // Beside tabs and controls: the gap between them, `+`, and the spaces of the bar's own layout.
        let room = full.width() - 10.0 - 24.0 - 12.0;
        let narrowest = titles.iter().fold(0.0_f32, |a, w| a.max(*w)).min(TITLE_LEAST_PT);
        let folded = wanted > 30.0 && widest_title(&titles, room - wanted) < narrowest;
        let width = if folded { FOLDED_PT } else { wanted };
        let widest = widest_title(&titles, room - width);
        self.wishes.widest.extend(tabs.children.iter().map(|id| (*id, widest)));
        let Some(active) = active else { return };
        ui.add_space(10.0);
        let (_, rect) = ui.allocate_space(vec2(width, full.height()));
        // Controls measure themselves in what is drawn: they get more room than they asked for last time.
        let left = if folded { rect.left() } else { full.left() + full.width() * 0.3 };
        let place = Rect::from_min_max(pos2(left, full.top()), pos2(rect.right(), full.bottom()));
        self.wishes.tails.push((active, place, folded));
    }

    fn tab_bar_height(&self, _style: &egui::Style) -> f32 {
        theme::TAB_HEIGHT
    }

    fn gap_width(&self, _style: &egui::Style) -> f32 {
        1.0
    }

    fn min_size(&self) -> f32 {
        80.0
    }

    fn simplification_options(&self) -> SimplificationOptions {
        SimplificationOptions { all_panes_must_have_tabs: true, ..SimplificationOptions::default() }
    }

    fn tab_bar_color(&self, _visuals: &egui::Visuals) -> Color32 {
        self.cx.theme.frame
    }

    fn tab_bar_hline_stroke(&self, _visuals: &egui::Visuals) -> Stroke {
        Stroke::new(1.0, self.cx.theme.hairline)
    }

    fn resize_stroke(&self, _style: &egui::Style, state: egui_tiles::ResizeState) -> Stroke {
        match state {
            egui_tiles::ResizeState::Idle => Stroke::new(1.0, self.cx.theme.hairline),
            egui_tiles::ResizeState::Hovering => Stroke::new(2.0, self.cx.theme.third),
            egui_tiles::ResizeState::Dragging => Stroke::new(2.0, self.cx.theme.accent),
        }
    }

    fn drag_preview_color(&self, _visuals: &egui::Visuals) -> Color32 {
        self.cx.theme.accent.gamma_multiply(0.15)
    }

    fn drag_preview_stroke(&self, _visuals: &egui::Visuals) -> Stroke {
        Stroke::new(1.0, self.cx.theme.accent)
    }

    fn on_edit(&mut self, action: EditAction) {
        if action != EditAction::TabSelected {
            self.wishes.edited = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_cut_only_where_they_must_be() {
        let edges = TAB_EDGES_PT;
        assert!(widest_title(&[100.0, 50.0], 150.0 + 2.0 * edges).is_infinite());
        assert_eq!(widest_title(&[100.0, 50.0], 130.0 + 2.0 * edges), 80.0);
        assert_eq!(widest_title(&[100.0, 90.0, 20.0], 120.0 + 3.0 * edges), 50.0);
        assert_eq!(widest_title(&[100.0], 0.0), 24.0);
    }
}
