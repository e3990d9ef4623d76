//! Three images of one field as one colour picture: which is red, green and blue, and how bright.
//!
//! The hue-preserving asinh of Lupton et al. (2004), [`asterism_render::composite`]. Each band is first brought to 0 … 1 between the
//! limits in force (the menu of cuts), so that bands in different units meet and the sky is grey; *stretch* and *Q* are the paper's, in
//! that scale. Bands on other pixels are laid on those of the red one by their places on the sky (`source.rs`). Cost: 25 ns a pixel and band for scaling and picture, off the frame.

use std::sync::Arc;

use asterism_data::Image;
use asterism_render::composite::{Lupton, lupton};
use asterism_session::{Dataset, Layer};
use egui::{RichText, Ui};
use serde::{Deserialize, Serialize};

use crate::cx::Cx;

/// Which images are the bands, and how they are mixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bands {
    /// Shown.
    pub on: bool,
    /// Numbers of the images that are red, green and blue.
    pub layers: [usize; 3],
    /// Range that is about linear, where 1 is from limit to limit; larger is fainter.
    pub stretch: f64,
    /// How much bright parts are compressed.
    pub q: f64,
}

impl Default for Bands {
    fn default() -> Self {
        Self { on: false, layers: [0, 1, 2], stretch: 0.5, q: 8.0 }
    }
}

/// The images that are mixed.
pub struct Layers {
    /// Number of the red one, whose coordinates are those of the picture.
    pub first: usize,
    /// Red, green, blue.
    pub images: Vec<Arc<Image>>,
}

/// FITS images of a dataset with their numbers and titles.
fn candidates(dataset: &Dataset) -> Vec<(usize, &str)> {
    let fits = |(i, l): (usize, &'_ Arc<asterism_session::ImageLayer>)| matches!(l.pixels, Layer::Fits(_)).then_some(i);
    dataset.images.iter().enumerate().filter_map(fits).map(|i| (i, dataset.images[i].title.as_str())).collect()
}

/// Titles of the bands, red first.
pub fn names(dataset: &Dataset, bands: &Bands) -> Option<Vec<String>> {
    bands.layers.iter().map(|i| dataset.images.get(*i).map(|l| l.title.clone())).collect()
}

/// The images to mix; why they cannot be; `None` when they are not wanted.
pub fn layers(dataset: &Dataset, bands: &Bands) -> Option<Result<Layers, String>> {
    if !bands.on || candidates(dataset).len() < 2 {
        return None;
    }
    let mut images = Vec::new();
    for i in bands.layers {
        match dataset.images.get(i).map(|l| &l.pixels) {
            Some(Layer::Fits(image)) => images.push(image.clone()),
            _ => return Some(Err("Choose an image of values for each of red, green and blue, under 'bands'".into())),
        }
    }
    let apart = |other: &&Arc<Image>| (other.wcs.is_none() || images[0].wcs.is_none()) && other.shape != images[0].shape;
    if let Some(other) = images.iter().find(apart) {
        return Some(Err(super::source::apart(&images[0], other)));
    }
    Some(Ok(Layers { first: bands.layers[0], images }))
}

/// The menu at the head of the view; nothing where there are no bands to mix.
pub fn menu(ui: &mut Ui, cx: &Cx<'_>, dataset: &Dataset, bands: &mut Bands) {
    let candidates = candidates(dataset);
    if candidates.len() < 2 {
        return;
    }
    let colour = if bands.on { cx.theme.accent } else { cx.theme.second };
    ui.menu_button(RichText::new("bands").color(colour), |ui| {
        ui.set_min_width(210.0);
        ui.checkbox(&mut bands.on, "Three bands as one picture");
        ui.separator();
        for (k, name) in ["red", "green", "blue"].into_iter().enumerate() {
            let now = dataset.images.get(bands.layers[k]).map_or("choose", |l| l.title.as_str());
            ui.menu_button(format!("{name}: {now}"), |ui| {
                for (i, title) in &candidates {
                    if ui.selectable_label(bands.layers[k] == *i, *title).clicked() {
                        bands.layers[k] = *i;
                        bands.on = true;
                        ui.close();
                    }
                }
            });
        }
        ui.separator();
        ui.add(egui::Slider::new(&mut bands.stretch, 0.005..=20.0).logarithmic(true).text("stretch"))
            .on_hover_text("Range that is about linear, where 1 is from limit to limit: larger is fainter");
        ui.add(egui::Slider::new(&mut bands.q, 0.0..=50.0).text("Q")).on_hover_text("How much bright parts are compressed");
    })
    .response
    .on_hover_text("Three images as red, green and blue (Lupton et al. 2004)");
}

/// How bands become colours.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    limits: Vec<(f64, f64)>,
    look: Lupton,
}

impl Mix {
    /// By the limits of red, green and blue.
    pub fn new(bands: &Bands, limits: Vec<(f64, f64)>) -> Self {
        Self { limits, look: Lupton { minimum: [0.0; 3], stretch: bands.stretch.max(1e-6), q: bands.q } }
    }

    /// Straight RGBA of three bands of one shape (rows, columns); transparent where one has no value.
    ///
    /// # Errors
    /// When they are not of that shape.
    pub fn colours(&self, bands: [&[f32]; 3], shape: [usize; 2]) -> Result<Vec<u8>, asterism_render::Error> {
        let scaled: Vec<Vec<f32>> = bands
            .iter()
            .zip(&self.limits)
            .map(|(band, (low, high))| {
                let range = if high > low { high - low } else { 1.0 };
                band.iter().map(|v| ((f64::from(*v) - low) / range) as f32).collect()
            })
            .collect();
        let of = |k: usize| scaled.get(k).map_or(&[][..], Vec::as_slice);
        lupton([of(0), of(1), of(2)], shape[1] as u32, shape[0] as u32, &self.look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_in_their_own_units_meet_between_their_limits() {
        let mix = Mix::new(&Bands::default(), vec![(10.0, 20.0), (0.0, 1e-17), (-5.0, 5.0)]);
        // The same place between the limits in all three: grey. Much red, red.
        let at = |r: f32, g: f32, b: f32| mix.colours([&[r], &[g], &[b]], [1, 1]).expect("one pixel");
        let grey = at(15.0, 5e-18, 0.0);
        assert!(grey[0].abs_diff(grey[1]) < 3 && grey[0].abs_diff(grey[2]) < 3 && grey[0] > 60, "{grey:?}");
        let red = at(60.0, 1e-18, -4.0);
        assert!(red[0] > 3 * red[1].max(red[2]), "{red:?}");
        assert_eq!(at(f32::NAN, 0.0, 0.0)[3], 0);
        assert!(mix.colours([&[1.0], &[1.0], &[]], [1, 1]).is_err());
    }
}
