//! What part of the data is shown on how many pixels ([`View`]) and how marks look ([`Style`]).
//!
//! All transforms are f64; the GPU gets f32 relative to the middle of the view, so that deep zooms stay exact to the pixel as
//! long as the stored positions are. Choice not taken: a matrix. Axes are independent, and two numbers an axis invert exactly.

/// The shown range of data and the size of the picture.
///
/// Pixels run right and down from the top left corner of the picture; `y[0]` is the value at the bottom edge and `y[1]` that at the
/// top. A range may be given backwards (`[1.0, 0.0]`), which flips the axis: magnitudes, or pictures whose first row is the top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Data at the left and right edge.
    pub x: [f64; 2],
    /// Data at the bottom and top edge.
    pub y: [f64; 2],
    /// Size in physical pixels.
    pub px: [u32; 2],
}

impl View {
    /// Clip space (-1..1, up) of a data position.
    pub fn clip_from_data(&self, p: [f64; 2]) -> [f64; 2] {
        let t = |v: f64, r: [f64; 2]| (v - r[0]) / (r[1] - r[0]) * 2.0 - 1.0;
        [t(p[0], self.x), t(p[1], self.y)]
    }

    /// Pixels from the top left corner of a data position.
    pub fn px_from_data(&self, p: [f64; 2]) -> [f64; 2] {
        let [w, h] = self.size_f64();
        [(p[0] - self.x[0]) / (self.x[1] - self.x[0]) * w, (self.y[1] - p[1]) / (self.y[1] - self.y[0]) * h]
    }

    /// Data position of a pixel position.
    pub fn data_from_px(&self, p: [f64; 2]) -> [f64; 2] {
        let [w, h] = self.size_f64();
        [self.x[0] + p[0] / w * (self.x[1] - self.x[0]), self.y[1] - p[1] / h * (self.y[1] - self.y[0])]
    }

    /// Data units per pixel along x and y, both positive: turns a distance in pixels into one in data.
    pub fn data_per_px(&self) -> [f64; 2] {
        let [w, h] = self.size_f64();
        [((self.x[1] - self.x[0]) / w).abs(), ((self.y[1] - self.y[0]) / h).abs()]
    }

    /// Whether there is something to draw: a size, and finite ranges that are not empty.
    pub fn is_drawable(&self) -> bool {
        let ok = |r: [f64; 2]| r[0].is_finite() && r[1].is_finite() && r[0] != r[1];
        self.px[0] > 0 && self.px[1] > 0 && ok(self.x) && ok(self.y)
    }

    fn size_f64(&self) -> [f64; 2] {
        [f64::from(self.px[0].max(1)), f64::from(self.px[1].max(1))]
    }
}

/// When points are drawn as a field of counts instead of single marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Density {
    /// By the number of points in view and how much they cover each other.
    #[default]
    Auto,
    /// Marks, as many as the device's buffers hold; slow for millions.
    Never,
    /// The field, for any number.
    Always,
}

/// How the count of a cell of the field becomes its strength.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// `log(1 + n)`, full at the 99.5th percentile of the cells that are not empty.
    #[default]
    Log,
    /// The share of cells that hold no more points: the histogram equalised, as datashader's `eq_hist` does. Shows structure at all
    /// densities at once; strengths are ranks then, not to be read as numbers.
    Equalised,
}

/// How a scatter looks. Colours are straight RGBA, gamma-encoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// Radius of a mark in physical pixels; a row's size multiplies it.
    pub radius_px: f32,
    /// The ground below everything; alpha 0 leaves the window's own.
    pub background: [u8; 4],
    /// Rows outside the selection, and rows without a colour of their own.
    pub context: [u8; 4],
    /// Draw selected rows only, where any are selected.
    pub hide_rest: bool,
    /// Opacity of a mark, 0 = automatic by crowding.
    pub opacity: f32,
    /// Marks or field.
    pub density: Density,
    /// Strength of the field.
    pub tone: Tone,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            radius_px: 2.0,
            background: [0, 0, 0, 0],
            context: [128, 128, 128, 255],
            hide_rest: false,
            opacity: 0.0,
            density: Density::Auto,
            tone: Tone::Log,
        }
    }
}

/// Colour of the rows of a scatter that was given no colours (Okabe and Ito's sky blue: 3:1 on dark and on light grounds of the
/// program's themes).
pub const PLAIN: [u8; 4] = [0x2a, 0x9d, 0xdc, 255];

/// Position of a stored coordinate in pixels, as kernels compute it: `(stored - centre) * scale + offset`, in f32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Affine {
    pub centre: [f32; 2],
    pub scale: [f32; 2],
    pub offset: [f32; 2],
}

impl Affine {
    /// For positions stored as `(value - origin) / unit`.
    pub fn new(view: &View, origin: [f64; 2], unit: [f64; 2]) -> Self {
        let mut a = Self { centre: [0.0; 2], scale: [0.0; 2], offset: [0.0; 2] };
        let range = [view.x, [view.y[1], view.y[0]]];
        for i in 0..2 {
            let n = f64::from(view.px[i]);
            let per = n / (range[i][1] - range[i][0]) * unit[i];
            // Half of each first: the sum of two huge limits must not overflow.
            let centre = ((range[i][0] * 0.5 + range[i][1] * 0.5) - origin[i]) / unit[i];
            a.centre[i] = centre as f32;
            a.scale[i] = per as f32;
            // What f32 lost of the centre goes into the offset, so that panning moves by parts of a pixel.
            a.offset[i] = (n * 0.5 + (f64::from(a.centre[i]) - centre) * per) as f32;
        }
        a
    }

    /// Pixels of a stored position.
    pub fn px(&self, s: [f32; 2]) -> [f32; 2] {
        [(s[0] - self.centre[0]) * self.scale[0] + self.offset[0], (s[1] - self.centre[1]) * self.scale[1] + self.offset[1]]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn transforms_invert_each_other_also_flipped_and_far_from_zero() {
        for view in [
            View { x: [0.0, 10.0], y: [-1.0, 1.0], px: [640, 480] },
            View { x: [10.0, 0.0], y: [25.0, 14.0], px: [333, 777] },
            View { x: [2455002.5, 2455002.6], y: [1e30, -1e30], px: [1, 4096] },
        ] {
            for p in [[0.0, 0.0], [1.0, 1.0], [100.5, 3.25]] {
                let back = view.px_from_data(view.data_from_px(p));
                // 1e-9 of a Julian date is the step of f64 there, and 0.1 d lie on one pixel.
                assert!((back[0] - p[0]).abs() < 1e-6 && (back[1] - p[1]).abs() < 1e-6, "{view:?} {p:?} {back:?}");
            }
            let mid = [(view.x[0] + view.x[1]) / 2.0, (view.y[0] + view.y[1]) / 2.0];
            let clip = view.clip_from_data(mid);
            assert!(clip[0].abs() < 1e-6 && clip[1].abs() < 1e-6);
            assert_eq!(view.clip_from_data([view.x[1], view.y[1]]), [1.0, 1.0]);
            assert_eq!(view.px_from_data([view.x[0], view.y[1]]), [0.0, 0.0]);
        }
    }

    #[test]
    fn kernels_agree_with_the_view_at_a_zoom_of_a_million() {
        // Modified Julian dates, stored relative to an origin; one pixel is 1e-8 of the range.
        let (origin, unit) = ([59_000.0, 0.0], [100.0, 1.0]);
        let view = View { x: [59_050.0, 59_050.001], y: [0.0, 1.0], px: [1000, 10] };
        let a = Affine::new(&view, origin, unit);
        for i in 0..=10 {
            let stored = ((59_050.0 + 0.0001 * f64::from(i) - origin[0]) / unit[0]) as f32;
            // Exact place of what f32 stored.
            let exact = view.px_from_data([f64::from(stored) * unit[0] + origin[0], 0.5]);
            assert!((f64::from(a.px([stored, 0.5])[0]) - exact[0]).abs() < 0.01, "{i}");
        }
    }
}
