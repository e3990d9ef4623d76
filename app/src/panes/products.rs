//! What a pane of spectra or light curves says when the table has none in itself but names files
//! that may hold them: how many, and a button that reads them.

use asterism_session::{Command, Dataset, ExportRows, ProductKind, products};
use egui::{Align2, FontId, RichText, Ui, UiBuilder, vec2};

use crate::cx::Cx;
use crate::theme::{self, BODY};
use crate::widgets::format;

/// Rows above which reading the products of all of them is not offered: select some first.
const OFFER_ALL: usize = 5_000;

/// Columns that may name such files.
pub fn candidates(dataset: &Dataset, kind: ProductKind) -> Vec<String> {
    let mut columns = products::columns(&dataset.table);
    if !matches!(kind, ProductKind::Images { .. }) {
        columns.retain(|c| !products::is_preview(c));
    }
    columns
}

/// Observations of MAST name their files in a list of its own: offer that.
fn list(ui: &mut Ui, cx: &mut Cx<'_>, dataset: &Dataset, what: &str) {
    let selected = cx.session.doc().selection.rows.count();
    let (rows, count) = if selected > 0 { (ExportRows::Selection, selected) } else { (ExportRows::All, dataset.table.rows()) };
    let rect = ui.max_rect();
    let place = Align2::CENTER_CENTER.align_size_within_rect(vec2((rect.width() - 32.0).clamp(120.0, 420.0), 76.0), rect);
    let mut child = ui.new_child(UiBuilder::new().max_rect(place).layout(egui::Layout::top_down(egui::Align::Center)));
    let ui = &mut child;
    ui.label(RichText::new(what).color(cx.theme.second));
    ui.add_space(6.0);
    let name = format!("List the products of {} observations", format::count(count));
    let button =
        egui::Button::new(RichText::new(name).color(cx.theme.on_accent)).fill(cx.theme.accent_fill).min_size(vec2(0.0, 26.0));
    let help = "Ask MAST for the files behind them: a table with type, size, rights and address; nothing is downloaded";
    if ui.add_enabled(count <= OFFER_ALL, button).on_hover_text(help).on_disabled_hover_text("Select some rows first").clicked() {
        cx.commands.push(Command::ListProducts { rows });
    }
}

/// Offer to read the products of the selection, or of all rows; `what` and `how` are said where the
/// table names no files.
pub fn offer(ui: &mut Ui, cx: &mut Cx<'_>, dataset: &Dataset, kind: ProductKind, what: &str, how: &str) {
    let columns = candidates(dataset, kind);
    let Some(first) = columns.first() else {
        if products::obsid_column(&dataset.table).is_some() {
            return list(ui, cx, dataset, what);
        }
        return super::empty(ui, cx.theme, what, how);
    };
    let reading = cx.session.jobs().iter().rev().find(|j| j.alive() && j.dataset == dataset.id && j.name.starts_with("Read "));
    if let Some(job) = reading {
        let said = match job.fraction() {
            Some(part) => format!("{:.0} % are here", part * 100.0),
            None => "asking for the first".to_owned(),
        };
        return super::empty(ui, cx.theme, &job.name, &said);
    }
    let selected = cx.session.doc().selection.rows.count();
    let (rows, count) = if selected > 0 { (ExportRows::Selection, selected) } else { (ExportRows::All, dataset.table.rows()) };
    let rect = ui.max_rect();
    let width = (rect.width() - 32.0).clamp(120.0, 420.0);
    let place = Align2::CENTER_CENTER.align_size_within_rect(vec2(width, 110.0), rect);
    let mut child = ui.new_child(UiBuilder::new().max_rect(place).layout(egui::Layout::top_down(egui::Align::Center)));
    let ui = &mut child;
    let id = ui.make_persistent_id("column of products");
    let mut column = ui.data(|d| d.get_temp::<String>(id)).filter(|c| columns.contains(c)).unwrap_or_else(|| first.clone());
    let text = |t: String, colour| RichText::new(t).font(FontId::proportional(BODY)).color(colour);
    let word = kind.word();
    ui.label(text(format!("The rows name files that may hold {word}"), cx.theme.second));
    ui.add_space(6.0);
    let combo = egui::ComboBox::from_id_salt("column of products").selected_text(column.clone()).width(180.0).truncate();
    let shown = combo.show_ui(ui, |ui| {
        for name in &columns {
            ui.selectable_value(&mut column, name.clone(), name);
        }
    });
    shown.response.accessible_name("Column of files");
    ui.data_mut(|d| d.insert_temp(id, column.clone()));
    ui.add_space(6.0);
    let can = selected > 0 || count <= OFFER_ALL;
    let name = if selected > 0 {
        format!("Read {word} of {} selected row{}", format::count(count), if count == 1 { "" } else { "s" })
    } else {
        format!("Read {word} of {}", format::rows(count))
    };
    let button =
        egui::Button::new(RichText::new(name).color(cx.theme.on_accent)).fill(cx.theme.accent_fill).min_size(vec2(0.0, 26.0));
    if ui
        .add_enabled(can, button)
        .on_hover_text(
            "Fetch the files (kept on disk), read them, and add them to the table as columns of arrays  (Undo takes them out)",
        )
        .on_disabled_hover_text("Select some rows first: these are many files")
        .clicked()
    {
        cx.commands.push(Command::ReadProducts { column, kind, rows });
    }
    ui.add_space(4.0);
    let hint = if selected > 0 {
        "Only the selection; the files are kept for the next time"
    } else {
        "Select rows first to read only theirs"
    };
    ui.label(RichText::new(hint).font(theme::small()).color(cx.theme.third));
}
