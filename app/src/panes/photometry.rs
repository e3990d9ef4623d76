//! What a person may change of a light curve: the quality bits that leave rows out, and of target pixels the aperture.
//!
//! The file's content is read once, in a thread; each change is a command ([`Command::SetPhotometry`]), so that the table, the views and
//! the recipe follow and it can be undone. The pixels are drawn as squares in the text's own colour, faint to bright by the square root
//! of the mean flux: at most a few hundred, so no texture is made of them.

use std::path::PathBuf;
use std::sync::Arc;

use asterism_session::photometry::Source;
use asterism_session::{Ask, Command, Dataset, Photometry};
use egui::{Rect, RichText, Sense, Stroke, StrokeKind, Ui, pos2, vec2};

use crate::cx::Cx;
use crate::theme;
use crate::widgets::{Work, format};

/// The file's content, once here.
pub type Reading = Work<PathBuf, Option<Arc<Source>>>;

/// Room that the pixels take at most, points.
const SIDE: f32 = 240.0;

/// The content of the file that a dataset is of, and what is chosen of it; `None` for other datasets, or while it is read.
pub fn source(work: &mut Reading, ui: &Ui, dataset: &Dataset) -> Option<(Arc<Source>, Photometry)> {
    let Ask::File { path, photometry, .. } = &dataset.ask else { return None };
    if dataset.loading || dataset.table.column_index("lc_flux").is_none() || dataset.table.column_index("kept").is_none() {
        return None;
    }
    let of = path.clone();
    work.get(ui.ctx(), "light-curve-file", path.clone(), move || Source::read(&of).ok());
    let read = work.exact(path)?;
    Some((read.as_ref().clone()?, photometry.clone()))
}

/// A menu of the quality bits.
pub fn quality(ui: &mut Ui, cx: &mut Cx<'_>, source: &Source, chosen: &Photometry) {
    let Some(flags) = source.flags() else { return };
    let usual = flags.default_mask();
    let mask = chosen.mask.unwrap_or(usual);
    let word = match mask {
        _ if mask == usual => "quality: default".to_owned(),
        0 => "quality: all rows".to_owned(),
        -1 => "quality: clean rows".to_owned(),
        _ => "quality: chosen".to_owned(),
    };
    let set = |cx: &mut Cx<'_>, mask: i64| {
        let photometry = Photometry { mask: (mask != usual).then_some(mask), ..chosen.clone() };
        cx.commands.push(Command::SetPhotometry { photometry });
    };
    let menu = super::menu(ui, RichText::new(word).color(cx.theme.second), |ui| {
        ui.set_min_width(280.0);
        ui.horizontal(|ui| {
            for (name, help, value) in [
                ("Default", format!("What the software of {} leaves out", flags.name()), usual),
                ("All rows", "Leave no row out".to_owned(), 0),
                ("Clean rows", "Leave every row with any bit out".to_owned(), -1),
            ] {
                if ui.selectable_label(mask == value, name).on_hover_text(help).clicked() {
                    set(cx, value);
                }
            }
        });
        ui.label(RichText::new("Leave rows out that have").font(theme::small()).color(cx.theme.third));
        egui::ScrollArea::vertical().max_height(380.0).show(ui, |ui| {
            for (value, name, rows) in source.bits() {
                let mut out = mask & value != 0;
                let count = if rows == 0 { String::new() } else { format!("  {}", format::count(rows)) };
                let text = RichText::new(format!("{name}{count}"));
                let text = if rows == 0 { text.color(cx.theme.third) } else { text };
                let help = format!("Bit {value}: {} rows have it", format::count(rows));
                if ui.checkbox(&mut out, text).on_hover_text(help).changed() {
                    set(cx, if out { mask | value } else { mask & !value });
                }
            }
        });
    });
    menu.on_hover_text("Which quality bits leave rows out of the light curve");
}

/// The pixels at the left of `ui`, with the aperture that a click changes; [`room_beside`] is what they leave.
pub fn pixels(ui: &mut Ui, cx: &mut Cx<'_>, source: &Source, chosen: &Photometry) {
    let Source::Pixels(pixels, mean) = source else { return };
    let [rows, columns] = pixels.shape;
    let whole = ui.available_rect_before_wrap();
    let room = SIDE.min(whole.width() * 0.4).min(whole.height() - 44.0);
    if room < 60.0 || rows == 0 || columns == 0 {
        return;
    }
    let cell = room / rows.max(columns) as f32;
    let size = vec2(cell * columns as f32, cell * rows as f32);
    let panel = Rect::from_min_size(whole.min + vec2(10.0, 8.0), vec2(size.x.max(110.0), size.y + 34.0));
    let rect = Rect::from_min_size(panel.min + vec2(0.0, 20.0), size);
    let aperture = source.aperture(chosen);
    let used = aperture.iter().filter(|a| **a).count();
    let painter = ui.painter_at(panel.expand(2.0));
    let head = format!("Aperture: {used} of {} pixels", pixels.pixels());
    painter.text(panel.min, egui::Align2::LEFT_TOP, head, theme::small(), cx.theme.third);
    let finite = mean.iter().copied().filter(|v| v.is_finite());
    let (least, most) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    // The first row of the detector is at the bottom.
    let place = |p: usize| {
        let (row, column) = (p / columns, p % columns);
        let corner = pos2(rect.left() + column as f32 * cell, rect.bottom() - (row + 1) as f32 * cell);
        Rect::from_min_size(corner, vec2(cell, cell))
    };
    painter.rect_filled(rect, 0.0, cx.theme.pane);
    for (p, value) in mean.iter().enumerate() {
        let part = if most > least { ((value - least) / (most - least)).max(0.0).sqrt() } else { 0.5 };
        if value.is_finite() {
            painter.rect_filled(place(p).shrink(0.5), 0.0, cx.theme.text.gamma_multiply(0.06 + 0.9 * part));
        }
    }
    let line = Stroke::new(1.5, cx.theme.accent);
    for (p, _) in aperture.iter().enumerate().filter(|(_, a)| **a) {
        let (r, row, column) = (place(p), p / columns, p % columns);
        let within = |dr: isize, dc: isize| {
            let (r, c) = (row as isize + dr, column as isize + dc);
            r >= 0 && c >= 0 && (r as usize) < rows && (c as usize) < columns && aperture[r as usize * columns + c as usize]
        };
        for (out, a, b) in [
            (!within(1, 0), r.left_top(), r.right_top()),
            (!within(-1, 0), r.left_bottom(), r.right_bottom()),
            (!within(0, -1), r.left_top(), r.left_bottom()),
            (!within(0, 1), r.right_top(), r.right_bottom()),
        ] {
            if out {
                painter.line_segment([a, b], line);
            }
        }
    }
    let response = ui.interact(rect, ui.scope_id().with("target pixels"), Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, "Target pixels"));
    let under = response.hover_pos().or_else(|| response.interact_pointer_pos()).and_then(|at| {
        let (c, r) = ((at.x - rect.left()) / cell, (rect.bottom() - at.y) / cell);
        let inside = c >= 0.0 && r >= 0.0 && (c as usize) < columns && (r as usize) < rows;
        inside.then(|| r as usize * columns + c as usize)
    });
    if let Some(p) = under {
        painter.rect_stroke(place(p), 0.0, Stroke::new(1.0, cx.theme.text), StrokeKind::Inside);
        cx.shared.position =
            format!("pixel {}, {}  {} {}", p % columns, p / columns, format::number(f64::from(mean[p]), 5), pixels.unit);
        cx.shared.hint = "Click takes a pixel into the aperture or out of it".into();
        let alone = used == 1 && aperture[p];
        if response.clicked() && !alone {
            let list = (0..aperture.len()).filter(|i| aperture[*i] != (*i == p)).map(|i| i as u32).collect();
            let photometry = Photometry { aperture: Some(list), ..chosen.clone() };
            cx.commands.push(Command::SetPhotometry { photometry });
        } else if response.clicked() {
            cx.shared.hint = "An aperture needs a pixel: take another one in first".into();
        }
    }
    if chosen.aperture.is_some() {
        let button = Rect::from_min_size(pos2(rect.left(), rect.bottom() + 4.0), vec2(panel.width(), 20.0));
        let reset = egui::Button::new(RichText::new("The mission's aperture").font(theme::small())).frame(false);
        if ui.put(button, reset).on_hover_text("The pixels that the mission's software sums").clicked() {
            cx.commands.push(Command::SetPhotometry { photometry: Photometry { aperture: None, ..chosen.clone() } });
        }
    }
}

/// The room that [`pixels`] leaves at its right.
pub fn room_beside(ui: &Ui, source: &Source) -> Rect {
    let whole = ui.available_rect_before_wrap();
    let Source::Pixels(pixels, _) = source else { return whole };
    let [rows, columns] = pixels.shape;
    let room = SIDE.min(whole.width() * 0.4).min(whole.height() - 44.0);
    if room < 60.0 || rows == 0 || columns == 0 {
        return whole;
    }
    let width = (room / rows.max(columns) as f32 * columns as f32).max(110.0);
    Rect::from_min_max(pos2(whole.left() + 10.0 + width + 8.0, whole.top()), whole.max)
}
