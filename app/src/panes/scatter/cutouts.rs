//! Cut-outs in place of marks where few rows are in view and the dataset has an image: at deep zoom one sees what the rows are.
//!
//! Which rows are in view, and their pictures, are found in named threads; a picture that would cover another is left a mark.
//! Pictures are the gallery's. Cost: one pass over the rows for a new view, and 6 kB a picture, [`KEEP`] of them at most.

use std::collections::HashMap;
use std::sync::Arc;

use asterism_session::Dataset;
use egui::{Color32, ColorImage, Rect, Stroke, StrokeKind, TextureHandle, Ui, Vec2, pos2};

use super::ScatterPane;
use crate::gpu::Stored;
use crate::panes::gallery::{Source, cut_row, source};
use crate::panes::rows::{DataKey, RowLook};
use crate::widgets::texture::options;
use crate::widgets::{Frame, Work};

/// Rows in view from which on marks say more.
const FEW: usize = 200;
/// Side of a cut-out, pixels of the image.
const PIXELS: usize = 40;
/// Textures kept at most.
const KEEP: usize = 400;

type InView = (u64, [u64; 4]);

/// What is kept for them.
#[derive(Default)]
pub(super) struct State {
    rows: Work<InView, Option<Vec<u32>>>,
    source: Work<(DataKey, usize), Option<Source>>,
    made: Work<Vec<u32>, Vec<(u32, Option<ColorImage>)>>,
    taken: u64,
    of: Option<(DataKey, usize)>,
    textures: HashMap<u32, Option<TextureHandle>>,
}

/// The rows in view, where they are few.
fn in_view(at: &Stored, x: [f64; 2], y: [f64; 2]) -> Option<Vec<u32>> {
    let (low, high) = ([x[0].min(x[1]), y[0].min(y[1])], [x[0].max(x[1]), y[0].max(y[1])]);
    let inside = |row: &usize| {
        let p = at.data(*row);
        (0..2).all(|k| p[k] >= low[k] && p[k] <= high[k])
    };
    let rows: Vec<u32> = (0..at.xy.len()).filter(inside).take(FEW + 1).map(|r| r as u32).collect();
    (rows.len() <= FEW).then_some(rows)
}

impl ScatterPane {
    /// Draw them over the marks, if they are wanted and few rows are in view.
    pub(super) fn paint_cutouts(
        &mut self,
        ui: &Ui,
        dataset: &Arc<Dataset>,
        at: &Stored,
        frame: &Frame,
        look: &RowLook,
        hover: Option<u32>,
    ) {
        let Some(layer) = dataset.images.first().filter(|_| self.cutouts) else { return };
        let state = &mut self.state.cutouts;
        let of = (DataKey::of(dataset), Arc::as_ptr(layer) as usize);
        if state.of != Some(of) {
            *state = State { of: Some(of), ..State::default() };
        }
        let view = frame.view;
        let key: InView = (at.key, [view.x[0], view.x[1], view.y[0], view.y[1]].map(f64::to_bits));
        let stored = at.clone();
        state.rows.get(ui.ctx(), "scatter-in-view", key, move || in_view(&stored, view.x, view.y));
        let Some(found) = state.rows.newest_for(|k| k.0 == at.key) else { return };
        let Some(rows) = found.as_ref() else { return };
        let from = dataset.clone();
        let pictures = state.source.get(ui.ctx(), "scatter-cut-source", of, move || source(&from));
        let Some(pictures) = pictures.filter(|p| p.is_some()) else { return };
        let missing: Vec<u32> = rows.iter().copied().filter(|r| !state.textures.contains_key(r)).collect();
        if !missing.is_empty() || state.made.busy() {
            let wanted = missing.clone();
            state.made.get(ui.ctx(), "scatter-cuts", missing, move || {
                let Some(pictures) = pictures.as_ref() else { return Vec::new() };
                wanted.into_iter().map(|row| (row, cut_row(pictures, row, PIXELS))).collect()
            });
        }
        if state.made.generation() != state.taken {
            state.taken = state.made.generation();
            if state.textures.len() > KEEP {
                state.textures.retain(|row, _| rows.binary_search(row).is_ok());
            }
            for (row, image) in state.made.newest().iter().flat_map(|m| m.iter()) {
                let texture = image.clone().map(|i| ui.ctx().load_texture(format!("cut-out {row}"), i, options()));
                state.textures.insert(*row, texture);
            }
        }
        let each = (frame.rect.area() / rows.len().max(1) as f32).sqrt() * 0.55;
        let side = each.clamp(26.0, 72.0);
        let painter = ui.painter_at(frame.rect);
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        let mut taken: Vec<Rect> = Vec::new();
        // The row under the cursor first, so that it is never the one left out.
        let first = hover.filter(|h| rows.binary_search(h).is_ok());
        for row in first.into_iter().chain(rows.iter().copied().filter(|r| Some(*r) != first)) {
            let Some(Some(texture)) = state.textures.get(&row) else { continue };
            let middle = frame.pt_from_data(at.data(row as usize));
            let rect = Rect::from_center_size(middle, Vec2::splat(side));
            if !frame.rect.intersects(rect) || taken.iter().any(|t| t.intersects(rect)) {
                continue;
            }
            taken.push(rect);
            painter.image(texture.id(), rect, whole, Color32::WHITE);
            let colour = look.colour(row as usize).unwrap_or(ui.visuals().weak_text_color());
            let stroke = if first == Some(row) { Stroke::new(2.0, ui.visuals().text_color()) } else { Stroke::new(1.0, colour) };
            painter.rect_stroke(rect, 2.0, stroke, StrokeKind::Outside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_few_rows_are_told_one_by_one() {
        let points: Vec<[f64; 2]> = (0..1000).map(|i| [f64::from(i), 0.0]).collect();
        let at = Stored::of(&points, 1);
        assert_eq!(in_view(&at, [9.5, 12.5], [1.0, -1.0]), Some(vec![10, 11, 12]));
        assert_eq!(in_view(&at, [0.0, 999.0], [-1.0, 1.0]), None);
        assert_eq!(in_view(&at, [0.0, 5.0], [3.0, 4.0]), Some(Vec::new()));
    }
}
