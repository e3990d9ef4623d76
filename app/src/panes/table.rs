//! The rows, of any number: a virtual table of our own.
//!
//! The first visible row is a f64, so nothing hitches at millions of rows (egui's scroll areas keep
//! f32 offsets, egui issue 1391). Only visible cells are formatted. Sorting makes an order in a
//! named thread; rows themselves never move. Cost: cells in view, about 500, each frame.

use std::sync::Arc;

use asterism_data::{Cell, Expr, RowSet};
use asterism_session::{Command, Dataset, Provenance, SelectMode};
use egui::{Align2, CursorIcon, FontId, Key, Rect, Response, RichText, Sense, Stroke, TextEdit, Ui, pos2, vec2};
use serde::{Deserialize, Serialize};

use super::rows::{self, DataKey, RowLook};
use crate::cx::Cx;
use crate::theme::{BODY, ROW_HEIGHT, SMALL};
use crate::widgets::{Cache, Work, format};

const HEADER: f32 = 40.0;
const FILTER: f32 = 30.0;
const BAR: f32 = 10.0;
/// Space at both sides of a cell, points.
const CELL_MARGIN: f32 = 10.0;

/// Settings and caches of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct TablePane {
    /// Column it is sorted by, and whether downwards.
    pub sort: Option<(String, bool)>,
    /// Selected rows stand first.
    pub selected_first: bool,
    /// Widths of columns, points, where a person changed them.
    pub widths: std::collections::BTreeMap<String, f32>,
    /// The filter box.
    pub filter: String,
    /// The filter box is shown.
    pub filter_open: bool,
    #[serde(skip)]
    state: Cache<State>,
}

impl Default for TablePane {
    fn default() -> Self {
        Self {
            sort: None,
            selected_first: false,
            widths: std::collections::BTreeMap::new(),
            filter: String::new(),
            filter_open: true,
            state: Cache::default(),
        }
    }
}

#[derive(Default)]
struct State {
    /// The row whose menu is open.
    menu_row: usize,
    /// First visible row, with its part.
    first: f64,
    left: f32,
    order: Work<OrderKey, Vec<u32>>,
    /// Where a Shift+click reaches from: a place in the order.
    anchor: Option<usize>,
    cursor: Option<usize>,
    columns: Option<(DataKey, u64, Vec<Column>)>,
    trouble: Option<String>,
    /// Selection generation that was last scrolled to.
    seen: Option<(u32, u64)>,
    hover_moved: bool,
}

#[derive(Clone, PartialEq)]
struct OrderKey {
    data: DataKey,
    sort: Option<(String, bool)>,
    /// Key of the map, where that is sorted by; generation of the selection, where that stands first.
    extra: (u64, u64),
}

#[derive(Clone)]
struct Column {
    name: String,
    unit: String,
    hint: String,
    width: f32,
    right: bool,
    from: From,
}

#[derive(Clone)]
enum From {
    Table(usize),
    /// A coordinate of the map in front.
    Map(Arc<Vec<[f32; 2]>>, usize),
    Trust(Arc<asterism_reduce::Quality>),
}

impl From {
    fn cell(&self, dataset: &Dataset, row: usize) -> Cell {
        let float = |v: Option<f32>| v.filter(|v| v.is_finite()).map_or(Cell::Null, |v| Cell::Float(f64::from(v)));
        match self {
            Self::Table(i) => dataset.table.cell(row, *i),
            Self::Map(xy, axis) => float(xy.get(row).map(|p| p[*axis])),
            Self::Trust(quality) => float(quality.row_trust.get(row).copied()),
        }
    }
}

impl TablePane {
    /// Controls at the end of the tab bar.
    pub fn tail_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let doc = cx.session.doc();
        let Some(dataset) = doc.dataset() else { return };
        let rows = dataset.table.rows();
        let selected = doc.selection.rows.count();
        let text = format!("{} / {} selected", format::count(selected), format::count(rows));
        ui.label(RichText::new(text).color(cx.theme.third));
        if dataset.table.truncated {
            ui.label(RichText::new("cut off by a limit").color(cx.theme.warning)).on_hover_text(
                "The service had more rows than it gave. 'Get the rest' under Search asks again without the limit.",
            );
        }
        if self.state.order.busy() {
            ui.label(RichText::new("sorting").color(cx.theme.accent));
        }
        ui.toggle_value(&mut self.selected_first, "selected first").on_hover_text("Selected rows stand above the others");
        ui.toggle_value(&mut self.filter_open, "filter").on_hover_text("A condition that selects rows");
    }

    /// Draw it.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let doc = cx.session.doc();
        let Some(dataset) = doc.dataset().cloned() else {
            super::empty(
                ui,
                cx.theme,
                "No rows yet",
                "A search, a file or a sample fills this table, page by page as it arrives.",
            );
            return;
        };
        if dataset.table.columns().is_empty() {
            let how = if dataset.loading { "Waiting for the first rows." } else { "The answer has no columns." };
            super::empty(ui, cx.theme, &dataset.name, how);
            return;
        }
        let Some(look) = rows::look(ui.ctx(), doc, cx.theme) else { return };
        if self.filter_open && !crate::gpu::is_on_paper(ui.ctx()) {
            self.filter_ui(ui, cx, &dataset);
        }
        let area = ui.available_rect_before_wrap();
        ui.advance_cursor_after_rect(area);
        self.make_columns(ui, &dataset);
        let order = self.order(ui, cx, &dataset);
        self.body(ui, cx, &dataset, &look, order.as_deref(), area);
    }

    fn filter_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, dataset: &Dataset) {
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), FILTER), Sense::hover());
        let mut child = ui.new_child(
            egui::UiBuilder::new()
                .max_rect(rect.shrink2(vec2(10.0, 3.0)))
                .layout(egui::Layout::left_to_right(egui::Align::Center)),
        );
        child.label(RichText::new("WHERE").monospace().size(SMALL).color(cx.theme.third));
        let hint = example(dataset);
        let width = (child.available_width() - 230.0).max(80.0);
        let edit = TextEdit::singleline(&mut self.filter).font(FontId::monospace(SMALL)).hint_text(hint).desired_width(width);
        let edit = child.add(edit).accessible_name("Condition that selects rows");
        if edit.changed() {
            self.state.trouble =
                if self.filter.trim().is_empty() { None } else { Expr::parse(&self.filter).err().map(|e| e.to_string()) };
        }
        let enter = edit.lost_focus() && child.input(|i| i.key_pressed(Key::Enter));
        let ready = !self.filter.trim().is_empty() && self.state.trouble.is_none();
        let go =
            child.add_enabled(ready, egui::Button::new("Select")).on_hover_text("Select the rows for which this is true (Enter)");
        if (enter || go.clicked()) && ready {
            match Expr::parse(&self.filter).and_then(|e| e.rows(&dataset.table)) {
                Ok(_) => cx.commands.push(Command::SelectWhere { expr: self.filter.trim().to_owned(), mode: None }),
                Err(e) => self.state.trouble = Some(e.to_string()),
            }
        }
        if let Some(trouble) = &self.state.trouble {
            let first: String = trouble.lines().next().unwrap_or_default().chars().take(60).collect();
            child.label(RichText::new(first).size(SMALL).color(cx.theme.error)).on_hover_text(trouble);
        }
    }

    fn make_columns(&mut self, ui: &Ui, dataset: &Dataset) {
        let map = dataset.map();
        let extra = map.map_or(0, |m| Arc::as_ptr(&m.xy) as u64 ^ u64::from(m.quality.is_some()));
        let key = DataKey::of(dataset);
        if self.state.columns.as_ref().is_some_and(|(k, e, _)| *k == key && *e == extra) {
            return;
        }
        let table = &dataset.table;
        let mut columns: Vec<Column> = table
            .columns()
            .iter()
            .enumerate()
            .map(|(i, meta)| {
                let unit = meta.unit.as_deref().map(format::unit).unwrap_or_default();
                let mut hint = meta.name.clone();
                for text in [&meta.description, &meta.ucd, &meta.null_rule].into_iter().flatten().filter(|t| !t.is_empty()) {
                    hint.push('\n');
                    hint.push_str(text);
                }
                hint.push('\n');
                hint.push_str(&meta.datatype);
                Column { name: meta.name.clone(), unit, hint, width: 0.0, right: table.is_numeric(i), from: From::Table(i) }
            })
            .collect();
        // Arrays stand last: a person reads numbers first.
        columns.sort_by_key(|c| matches!(c.from, From::Table(i) if table.columns()[i].datatype.ends_with(']')));
        if let Some(map) = map {
            let name = map.name.split(" of ").next().unwrap_or(&map.name);
            for axis in 0..2 {
                columns.push(Column {
                    name: format!("{name} {}", axis + 1),
                    unit: String::new(),
                    hint: format!("Place on the map '{}'", map.name),
                    width: 0.0,
                    right: true,
                    from: From::Map(map.xy.clone(), axis),
                });
            }
            if let Some(quality) = map.quality.clone().filter(|q| q.row_trust.len() == table.rows()) {
                let hint = "Share of the row's neighbours in the vectors that are its neighbours on the map".into();
                columns.push(Column {
                    name: "trust".into(),
                    unit: String::new(),
                    hint,
                    width: 0.0,
                    right: true,
                    from: From::Trust(quality),
                });
            }
        }
        let painter = ui.painter();
        let font = FontId::proportional(BODY);
        for column in &mut columns {
            let text = |t: &str| painter.layout_no_wrap(t.to_owned(), font.clone(), egui::Color32::PLACEHOLDER).size().x;
            let mut width = text(&column.name).max(text(&column.unit));
            for row in (0..table.rows()).step_by((table.rows() / 24).max(1)).take(24) {
                width = width.max(text(&shown(&column.from, dataset, row)));
            }
            column.width = (width + 2.0 * CELL_MARGIN + 12.0).clamp(56.0, 260.0);
        }
        self.state.columns = Some((key, extra, columns));
    }

    fn order(&mut self, ui: &Ui, cx: &Cx<'_>, dataset: &Arc<Dataset>) -> Option<Arc<Vec<u32>>> {
        if self.sort.is_none() && !self.selected_first {
            return None;
        }
        let doc = cx.session.doc();
        let columns = self.state.columns.as_ref().map(|(_, extra, c)| (*extra, c.clone()))?;
        let by = self
            .sort
            .as_ref()
            .and_then(|(name, down)| columns.1.iter().find(|c| c.name == *name).map(|c| (c.from.clone(), *down)));
        let selection = self.selected_first.then(|| doc.selection.rows.clone());
        let of_map = by.as_ref().is_some_and(|(f, _)| !matches!(f, From::Table(_)));
        let key = OrderKey {
            data: DataKey::of(dataset),
            sort: self.sort.clone(),
            extra: (if of_map { columns.0 } else { 0 }, if self.selected_first { doc.selection.generation + 1 } else { 0 }),
        };
        let dataset = dataset.clone();
        self.state.order.get(ui.ctx(), "table-order", key, move || order_of(&dataset, by, selection.as_deref()))
    }

    fn body(
        &mut self,
        ui: &mut Ui,
        cx: &mut Cx<'_>,
        dataset: &Arc<Dataset>,
        look: &RowLook,
        order: Option<&Vec<u32>>,
        area: Rect,
    ) {
        let Some((_, _, columns)) = self.state.columns.clone() else { return };
        let rows = dataset.table.rows();
        let row_at = |place: usize| order.and_then(|o| o.get(place).map(|r| *r as usize)).unwrap_or(place);
        let widths: Vec<f32> = columns.iter().map(|c| self.widths.get(&c.name).copied().unwrap_or(c.width)).collect();
        let total: f32 = widths.iter().sum();
        let body = Rect::from_min_max(
            pos2(area.left(), (area.top() + HEADER).min(area.bottom())),
            pos2(area.right() - BAR, area.bottom()),
        );
        // Columns that leave room spread over the width, as in print.
        let spread = if total < body.width() && self.widths.is_empty() { body.width() / total } else { 1.0 };
        let widths: Vec<f32> = widths.iter().map(|w| w * spread).collect();
        let total = total * spread;
        let visible = f64::from(body.height() / ROW_HEIGHT);
        let last_first = (rows as f64 - visible.floor()).max(0.0);

        let response = ui.interact(body, ui.scope_id().with("rows"), Sense::click_and_drag());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Table, true, format!("Table of {}", format::rows(rows))));
        self.scroll(ui, &response, body, last_first, total);
        self.keys(ui, cx, &response, rows, visible, last_first, &row_at);
        self.follow(cx, dataset.id, look, order, rows, visible, last_first);

        let painter = ui.painter_at(body);
        let font = FontId::proportional(BODY);
        let first = self.state.first.floor().max(0.0) as usize;
        let shift = ((self.state.first - first as f64) * f64::from(ROW_HEIGHT)) as f32;
        let mut under = None;
        let pointer = response.hover_pos();
        self.state.hover_moved = pointer.is_some();
        for place in first..(first + visible.ceil() as usize + 1).min(rows) {
            let top = body.top() + (place - first) as f32 * ROW_HEIGHT - shift;
            let rect = Rect::from_min_size(pos2(body.left(), top), vec2(body.width(), ROW_HEIGHT));
            let row = row_at(place);
            let chosen = cx.session.doc().selection.rows.contains(row);
            let tint = if chosen { look.colour(row).or(Some(look.own)) } else { None };
            if let Some(tint) = tint {
                painter.rect_filled(rect, 0.0, tint.gamma_multiply(if cx.theme.dark { 0.12 } else { 0.18 }));
            }
            let over = pointer.is_some_and(|p| rect.contains(p));
            if over {
                under = Some((place, row));
                cx.shared.hover_next = Some(row as u32);
            }
            if over || cx.shared.hover == Some(row as u32) {
                painter.rect_filled(rect, 0.0, cx.theme.text.gamma_multiply(0.06));
            }
            if self.state.cursor == Some(place) && response.has_focus() {
                painter.rect_stroke(rect, 0.0, Stroke::new(1.0, cx.theme.accent), egui::StrokeKind::Inside);
            }
            painter.hline(rect.x_range(), rect.bottom(), Stroke::new(1.0, cx.theme.hairline.gamma_multiply(0.5)));
            let colour = if chosen { cx.theme.text } else { cx.theme.second };
            let mut x = body.left() - self.state.left;
            for (column, width) in columns.iter().zip(&widths) {
                if x + width > body.left() && x < body.right() {
                    let cell = Rect::from_min_size(pos2(x, top), vec2(*width, ROW_HEIGHT)).shrink2(vec2(CELL_MARGIN, 0.0));
                    let text = shown(&column.from, dataset, row);
                    if !text.is_empty() {
                        let clipped = painter.with_clip_rect(cell.expand2(vec2(2.0, 0.0)).intersect(body));
                        let (at, align) = if column.right {
                            (cell.right_center(), Align2::RIGHT_CENTER)
                        } else {
                            (cell.left_center(), Align2::LEFT_CENTER)
                        };
                        clipped.text(at, align, text, font.clone(), colour);
                    }
                }
                x += width;
            }
        }
        self.header(ui, cx, &columns, &widths, spread, Rect::from_min_max(area.min, pos2(body.right(), body.top())));
        self.bars(ui, cx, area, body, rows, visible, last_first, total);
        if let Some((place, _)) = under
            && response.clicked()
        {
            response.request_focus();
            self.click(ui, cx, place, rows, &row_at);
        }
        if let Some((place, row)) = under
            && response.secondary_clicked()
        {
            response.request_focus();
            self.state.menu_row = row;
            if !cx.session.doc().selection.rows.contains(row) {
                self.click_at(cx, place, rows, false, false, &row_at);
            }
        }
        let row = self.state.menu_row;
        response.context_menu(|ui| super::behind::row_menu(ui, cx, row));
        if pointer.is_some() {
            cx.shared.hint =
                "Click selects a row · Shift+click a run of rows · Ctrl+click adds or takes out · a header sorts".into();
            cx.shared.position = under.map(|(_, row)| format!("row {}", format::count(row + 1))).unwrap_or_default();
        }
    }

    fn scroll(&mut self, ui: &Ui, response: &Response, body: Rect, last_first: f64, total: f32) {
        if response.contains_pointer() {
            let (delta, shift) = ui.input(|i| (i.smooth_scroll_delta(), i.modifiers.shift));
            let (dx, dy) = if shift && delta.x == 0.0 { (delta.y, 0.0) } else { (delta.x, delta.y) };
            self.state.first -= f64::from(dy / ROW_HEIGHT);
            self.state.left -= dx;
        }
        if response.dragged() {
            self.state.first -= f64::from(response.drag_delta().y / ROW_HEIGHT);
            self.state.left -= response.drag_delta().x;
        }
        self.state.first = self.state.first.clamp(0.0, last_first);
        self.state.left = self.state.left.clamp(0.0, (total - body.width()).max(0.0));
    }

    #[expect(clippy::too_many_arguments, reason = "one call, each a different thing")]
    fn keys(
        &mut self,
        ui: &Ui,
        cx: &mut Cx<'_>,
        response: &Response,
        rows: usize,
        visible: f64,
        last_first: f64,
        row_at: &dyn Fn(usize) -> usize,
    ) {
        if !response.has_focus() || rows == 0 {
            return;
        }
        ui.memory_mut(|m| {
            m.set_focus_lock_filter(
                response.id,
                egui::EventFilter { horizontal_arrows: true, vertical_arrows: true, tab: false, escape: false },
            );
        });
        let page = visible.floor().max(1.0) as usize;
        let at = self.state.cursor.unwrap_or(self.state.first as usize).min(rows - 1);
        let (to, extend) = ui.input(|i| {
            let to = if i.key_pressed(Key::ArrowDown) {
                Some((at + 1).min(rows - 1))
            } else if i.key_pressed(Key::ArrowUp) {
                Some(at.saturating_sub(1))
            } else if i.key_pressed(Key::PageDown) {
                Some((at + page).min(rows - 1))
            } else if i.key_pressed(Key::PageUp) {
                Some(at.saturating_sub(page))
            } else if i.key_pressed(Key::Home) {
                Some(0)
            } else if i.key_pressed(Key::End) {
                Some(rows - 1)
            } else {
                None
            };
            (to, i.modifiers.shift)
        });
        if let Some(to) = to {
            self.state.cursor = Some(to);
            if (to as f64) < self.state.first {
                self.state.first = to as f64;
            } else if to as f64 + 1.0 > self.state.first + visible.floor() {
                self.state.first = (to as f64 + 1.0 - visible.floor()).min(last_first);
            }
            self.click_at(cx, to, rows, extend, false, row_at);
        }
        if ui.input(|i| i.key_pressed(Key::Space)) {
            self.click_at(cx, at, rows, false, true, row_at);
        }
    }

    /// Bring a new selection into view, unless the pointer is over the table.
    #[expect(clippy::too_many_arguments, reason = "one call, each a different thing")]
    fn follow(
        &mut self,
        cx: &Cx<'_>,
        id: u32,
        look: &RowLook,
        order: Option<&Vec<u32>>,
        rows: usize,
        visible: f64,
        last_first: f64,
    ) {
        let now = (id, cx.session.doc().selection.generation);
        let before = self.state.seen.replace(now);
        if before.is_none_or(|b| b == now) || self.state.hover_moved || look.selected == 0 {
            return;
        }
        let chosen = &cx.session.doc().selection.rows;
        let first = match order {
            None => chosen.iter().next(),
            Some(order) => order.iter().take(rows).position(|r| chosen.contains(*r as usize)),
        };
        if let Some(first) = first.map(|f| f as f64)
            && (first < self.state.first || first > self.state.first + visible - 1.0)
        {
            self.state.first = (first - 1.0).clamp(0.0, last_first);
        }
    }

    fn click(&mut self, ui: &Ui, cx: &mut Cx<'_>, place: usize, rows: usize, row_at: &dyn Fn(usize) -> usize) {
        let modifiers = ui.input(|i| i.modifiers);
        self.state.cursor = Some(place);
        self.click_at(cx, place, rows, modifiers.shift, modifiers.command, row_at);
    }

    fn click_at(
        &mut self,
        cx: &mut Cx<'_>,
        place: usize,
        rows: usize,
        extend: bool,
        toggle: bool,
        row_at: &dyn Fn(usize) -> usize,
    ) {
        let (set, mode) = match self.state.anchor {
            Some(anchor) if extend => {
                let (a, b) = (anchor.min(place), anchor.max(place).min(rows.saturating_sub(1)));
                (RowSet::from_rows(rows, (a..=b).map(row_at)), if toggle { SelectMode::Or } else { SelectMode::Replace })
            }
            _ => {
                self.state.anchor = Some(place);
                (RowSet::from_rows(rows, [row_at(place)]), if toggle { SelectMode::Xor } else { SelectMode::Replace })
            }
        };
        let why = Provenance::Rows { note: "table".into(), rows: set.clone() };
        cx.commands.push(Command::Select { rows: set, why, mode: Some(mode) });
    }

    fn header(&mut self, ui: &mut Ui, cx: &Cx<'_>, columns: &[Column], widths: &[f32], spread: f32, rect: Rect) {
        let painter = ui.painter_at(rect);
        painter.rect_filled(rect, 0.0, cx.theme.pane);
        painter.hline(rect.x_range(), rect.bottom() - 0.5, Stroke::new(1.0, cx.theme.hairline));
        let mut x = rect.left() - self.state.left;
        for (i, (column, width)) in columns.iter().zip(widths).enumerate() {
            let whole = Rect::from_min_size(pos2(x, rect.top()), vec2(*width, rect.height()));
            x += width;
            if whole.right() < rect.left() || whole.left() > rect.right() {
                continue;
            }
            let seen = whole.intersect(rect);
            let edge = Rect::from_center_size(pos2(whole.right(), rect.center().y), vec2(8.0, rect.height())).intersect(rect);
            let title = ui.interact(
                seen.with_max_x((seen.right() - 4.0).max(seen.left())),
                ui.scope_id().with(("header", i)),
                Sense::click(),
            );
            let sorted = self.sort.as_ref().filter(|(name, _)| *name == column.name).map(|(_, down)| *down);
            title.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ColumnHeader, true, &column.name));
            let inner = whole.shrink2(vec2(CELL_MARGIN, 0.0));
            let clipped = painter.with_clip_rect(inner.expand2(vec2(2.0, 0.0)).intersect(rect));
            let (side, align) = if column.right { (inner.right(), Align2::RIGHT_TOP) } else { (inner.left(), Align2::LEFT_TOP) };
            let arrow = match sorted {
                Some(true) => " ↓",
                Some(false) => " ↑",
                None => "",
            };
            let colour = if sorted.is_some() || title.hovered() { cx.theme.text } else { cx.theme.second };
            clipped.text(
                pos2(side, rect.top() + 4.0),
                align,
                format!("{}{arrow}", column.name),
                FontId::proportional(BODY),
                colour,
            );
            clipped.text(pos2(side, rect.top() + 22.0), align, &column.unit, FontId::proportional(SMALL - 1.0), cx.theme.third);
            if title.clicked() {
                self.sort = match sorted {
                    None => Some((column.name.clone(), false)),
                    Some(false) => Some((column.name.clone(), true)),
                    Some(true) => None,
                };
                self.state.first = 0.0;
            }
            title.on_hover_text(format!("{}\nClick sorts: up, down, as it came", column.hint));
            let grip = ui
                .interact(edge, ui.scope_id().with(("edge", i)), Sense::click_and_drag())
                .on_hover_cursor(CursorIcon::ResizeColumn);
            if grip.dragged() {
                for (c, w) in columns.iter().zip(widths) {
                    if spread != 1.0 {
                        self.widths.insert(c.name.clone(), *w);
                    }
                }
                self.widths.insert(column.name.clone(), (width + grip.drag_delta().x).clamp(32.0, 900.0));
            }
            if grip.double_clicked() {
                self.widths.remove(&column.name);
            }
            if grip.hovered() || grip.dragged() {
                painter.vline(whole.right(), rect.y_range(), Stroke::new(1.0, cx.theme.third));
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call, each a different thing")]
    fn bars(&mut self, ui: &Ui, cx: &Cx<'_>, area: Rect, body: Rect, rows: usize, visible: f64, last_first: f64, total: f32) {
        if last_first > 0.0 {
            let track = Rect::from_min_max(pos2(body.right(), body.top()), area.max);
            let share = (visible / rows as f64) as f32;
            let length = (track.height() * share).clamp(24.0, track.height());
            let room = (track.height() - length).max(1.0);
            let bar = ui.interact(track, ui.scope_id().with("bar"), Sense::click_and_drag());
            bar.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ScrollBar, true, "Scroll rows"));
            if let Some(at) = bar.interact_pointer_pos().filter(|_| bar.dragged() || bar.clicked()) {
                let share = f64::from((at.y - track.top() - length / 2.0) / room).clamp(0.0, 1.0);
                self.state.first = share * last_first;
            }
            let top = track.top() + room * (self.state.first / last_first) as f32;
            let handle = Rect::from_min_size(pos2(track.left() + 2.0, top), vec2(BAR - 4.0, length));
            let colour = if bar.hovered() || bar.dragged() { cx.theme.third } else { cx.theme.hairline };
            ui.painter().rect_filled(handle, 3.0, colour);
        }
        if total > body.width() {
            let track = Rect::from_min_max(pos2(body.left(), area.bottom() - BAR), pos2(body.right(), area.bottom()));
            let length = (track.width() * body.width() / total).clamp(24.0, track.width());
            let room = (track.width() - length).max(1.0);
            let bar = ui.interact(track, ui.scope_id().with("bar x"), Sense::click_and_drag());
            bar.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ScrollBar, true, "Scroll columns"));
            if let Some(at) = bar.interact_pointer_pos().filter(|_| bar.dragged() || bar.clicked()) {
                self.state.left = ((at.x - track.left() - length / 2.0) / room).clamp(0.0, 1.0) * (total - body.width());
            }
            let left = track.left() + room * self.state.left / (total - body.width());
            let handle = Rect::from_min_size(pos2(left, track.top() + 2.0), vec2(length, BAR - 4.0));
            let colour = if bar.hovered() || bar.dragged() { cx.theme.third } else { cx.theme.hairline };
            ui.painter().rect_filled(handle, 3.0, colour);
        }
    }
}

/// What a cell shows.
fn shown(from: &From, dataset: &Dataset, row: usize) -> String {
    if let From::Table(i) = from
        && dataset.table.columns().get(*i).is_some_and(|m| m.datatype.ends_with(']'))
    {
        // The numbers of an array are not read just to be counted: its type says enough.
        return dataset.table.columns()[*i].datatype.clone();
    }
    match from.cell(dataset, row) {
        Cell::Float(v) if matches!(from, From::Table(_)) => format::minus(&float(v)),
        Cell::Float(v) => format::minus(&format!("{v:.2}")),
        Cell::Int(v) => format::minus(&v.to_string()),
        Cell::Text(t) if t.len() > 120 => t.chars().take(100).chain(['…']).collect(),
        other => other.to_string(),
    }
}

/// Up to 8 significant digits; the whole number where it is short.
fn float(v: f64) -> String {
    let plain = v.to_string();
    // Large numbers with a fraction, as Julian dates are, keep six decimals: eight digits would make all of a day alike.
    let whole = if v.abs() >= 1e4 && v.abs() < 1e9 { v.abs().log10() as usize + 1 } else { 2 };
    if plain.len() <= 10 { plain } else { format::number(v, whole + 6).replace('\u{2212}', "-") }
}

fn example(dataset: &Dataset) -> String {
    let name = |i: usize| dataset.table.columns()[i].name.clone();
    match (0..dataset.table.columns().len()).find(|i| asterism_session::features::usable(dataset, *i)) {
        Some(i) => format!("{} > 10, then Enter", name(i)),
        None => "a condition on columns, then Enter".into(),
    }
}

/// Places of the rows: by the column, ties in table order, blanks last; selected ones first if asked.
fn order_of(dataset: &Dataset, by: Option<(From, bool)>, selected: Option<&RowSet>) -> Vec<u32> {
    let rows = dataset.table.rows();
    let mut order: Vec<u32> = (0..rows as u32).collect();
    if let Some((from, down)) = by {
        let name = |i: &usize| dataset.table.columns()[*i].name.clone();
        let numbers = match &from {
            From::Table(i) if dataset.table.is_numeric(*i) => dataset.table.f64s(&name(i)).ok(),
            From::Table(_) => None,
            From::Map(xy, axis) => Some((0..rows).map(|r| xy.get(r).map_or(f64::NAN, |p| f64::from(p[*axis]))).collect()),
            From::Trust(q) => Some((0..rows).map(|r| q.row_trust.get(r).map_or(f64::NAN, |v| f64::from(*v))).collect()),
        };
        if let Some(v) = numbers {
            order.sort_by(|a, b| {
                let (a, b) = (v[*a as usize], v[*b as usize]);
                a.is_nan().cmp(&b.is_nan()).then(if down { b.total_cmp(&a) } else { a.total_cmp(&b) })
            });
        } else if let From::Table(i) = &from
            && let Ok(v) = dataset.table.strings(&name(i))
        {
            order.sort_by(|a, b| {
                let (a, b) = (&v[*a as usize], &v[*b as usize]);
                a.is_none().cmp(&b.is_none()).then(if down { b.cmp(a) } else { a.cmp(b) })
            });
        }
    }
    if let Some(selected) = selected {
        order.sort_by_key(|r| !selected.contains(*r as usize));
    }
    order
}
