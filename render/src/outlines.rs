//! Outlines of any number of regions, such as the footprints of a million observations: how many lines cover each pixel, a plane of
//! counts for each colour, toned as the field of points is.
//!
//! A line is anti-aliased along its longer way: at the middle of every column it passes (every row, where it is steep) it covers its
//! width across, in 256ths of a pixel, half-open, so that the sides of a polygon join without a darker corner. Counts are whole
//! numbers, so that a picture depends neither on the order of the regions nor on the number of threads. A region smaller than a
//! pixel is one dot. Each task has a band of rows of the picture for itself, and lists of the lines that touch it.
//!
//! Choices not taken: atomics on shared planes (as in [`crate::cpu`]); lines by the device (a software adapter takes a microsecond a
//! line, WebGL-class devices cannot add into integers). Cost: 16 B and 3 ns a region out of view, and about 60 ns a side of some
//! pixels; 8 B a corner, and 4 B a pixel and colour while it draws.

use std::ops::Range;

use rayon::prelude::*;

use crate::{
    cpu::on_threads,
    view::{Affine, View},
};

/// Coverage of a whole pixel.
const WHOLE: f32 = 256.0;
/// Bands for each thread: regions crowd somewhere.
const BANDS: usize = 4;
/// Lines that a thread looks through at a time.
const PART: usize = 1 << 15;
/// Widest line, pixels.
const WIDEST: f32 = 64.0;
/// Colours told apart; more are drawn in the last.
const COLOURS: usize = 32;
/// Share of the covered pixels below full strength.
const WHITE: f64 = 0.995;

/// Open and closed lines on a plane, each belonging to a row.
#[derive(Clone, Debug, Default)]
pub struct Outlines {
    origin: [f64; 2],
    at: Vec<[f32; 2]>,
    /// First corner, and the row.
    lines: Vec<(u32, u32)>,
    /// Left, low, right, high.
    bounds: Vec<[f32; 4]>,
}

/// How they are drawn.
#[derive(Clone, Copy, Debug)]
pub struct OutlineStyle<'a> {
    /// Straight RGBA of a row, red in the lowest byte; rows without one, and with alpha 0, are of the rest. Indexed by row.
    pub colours: &'a [u32],
    /// A bit a row (64 to a word): drawn in its colour, above the rest. `None` for none.
    pub lit: Option<&'a [u64]>,
    /// Straight RGBA of the rest; alpha 0 leaves them out.
    pub rest: [u8; 4],
    /// Width of a line of the rest and of those that are lit, pixels.
    pub width_px: [f32; 2],
}

impl Outlines {
    /// None yet; corners are kept as f32 beside `origin` (the middle of what will be looked at, units of the plane).
    pub fn around(origin: [f64; 2]) -> Self {
        Self { origin, ..Self::default() }
    }

    /// Adds a line of `row` through these places. Fewer than two finite ones, and a line beyond 2^32 corners, add nothing; a place
    /// that is not finite ends the line, and the next begins another.
    pub fn push(&mut self, row: u32, places: impl IntoIterator<Item = [f64; 2]>) {
        let mut first = self.at.len();
        let mut bounds = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
        for p in places.into_iter().map(Some).chain([None]) {
            let p = p.map(|p| [(p[0] - self.origin[0]) as f32, (p[1] - self.origin[1]) as f32]);
            if let Some(p) = p.filter(|p| p[0].is_finite() && p[1].is_finite()) {
                bounds = [bounds[0].min(p[0]), bounds[1].min(p[1]), bounds[2].max(p[0]), bounds[3].max(p[1])];
                self.at.push(p);
                continue;
            }
            match u32::try_from(first) {
                Ok(start) if self.at.len() > first + 1 && u32::try_from(self.at.len()).is_ok() => {
                    self.lines.push((start, row));
                    self.bounds.push(bounds);
                }
                _ => self.at.truncate(first),
            }
            first = self.at.len();
            bounds = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
        }
    }

    /// All of them one after the other; of one origin.
    pub fn concat(parts: Vec<Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut all = parts.next().unwrap_or_default();
        for part in parts {
            let start = all.at.len();
            let Ok(shift) = u32::try_from(start) else { break };
            if start + part.at.len() > u32::MAX as usize {
                break;
            }
            all.at.extend(part.at);
            all.lines.extend(part.lines.iter().map(|(from, row)| (from + shift, *row)));
            all.bounds.extend(part.bounds);
        }
        all
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.at.len() * 8 + self.lines.len() * 8 + self.bounds.len() * 16
    }

    /// Rows of the lines whose bounds touch the ranges `x` and `y` of the plane, at most `most` and one more; a row once for each of
    /// its lines that follow each other.
    pub fn rows_within(&self, x: [f64; 2], y: [f64; 2], most: usize) -> Vec<u32> {
        let [x, y] = [(x, 0), (y, 1)].map(|(r, i)| {
            let r = r.map(|v| (v - self.origin[i]) as f32);
            [r[0].min(r[1]), r[0].max(r[1])]
        });
        let mut rows = Vec::new();
        for (b, (_, row)) in self.bounds.iter().zip(&self.lines) {
            if b[0] <= x[1] && b[2] >= x[0] && b[1] <= y[1] && b[3] >= y[0] && rows.last() != Some(row) {
                rows.push(*row);
                if rows.len() > most {
                    break;
                }
            }
        }
        rows
    }

    fn corners(&self, line: usize) -> &[[f32; 2]] {
        let end = self.lines.get(line + 1).map_or(self.at.len(), |l| l.0 as usize);
        &self.at[self.lines[line].0 as usize..end]
    }

    /// The picture in RGBA8, gamma-encoded and premultiplied, rows packed from the top; empty for a view without size or range.
    pub fn draw(&self, view: &View, style: &OutlineStyle<'_>) -> Vec<u8> {
        if !view.is_drawable() {
            return Vec::new();
        }
        let inks = Inks::new(self, style);
        let (w, h) = (view.px[0] as usize, view.px[1] as usize);
        let affine = Affine::new(view, self.origin, [1.0; 2]);
        let bands = h.min(BANDS * std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
        let planes = self.counts(&affine, style, &inks, [w, h], bands);
        compose(&inks, &planes, w * h)
    }

    /// Counts of the picture, ink by ink, found in so many bands.
    fn counts(
        &self,
        affine: &Affine,
        style: &OutlineStyle<'_>,
        inks: &Inks<'_>,
        [w, h]: [usize; 2],
        bands: usize,
    ) -> Vec<Vec<u32>> {
        let first = |band: usize| band * h / bands;
        let parts: Vec<Vec<u32>> = on_threads(|| {
            // Which lines touch which band, in parts that follow each other.
            let touching: Vec<Vec<Vec<u32>>> = (0..self.len().div_ceil(PART))
                .into_par_iter()
                .map(|part| self.touching(part * PART..self.len().min((part + 1) * PART), affine, style, [w, h], bands))
                .collect();
            let of_band = |band: usize| {
                let lines = touching.iter().flat_map(|part| part[band].iter().map(|&l| l as usize));
                self.band(lines, affine, style, inks, w, first(band)..first(band + 1))
            };
            (0..bands).into_par_iter().map(of_band).collect()
        });
        whole(&parts, inks.inks.len())
    }

    /// Lines in view among those of a range, for each band those that touch it.
    fn touching(
        &self,
        of: Range<usize>,
        affine: &Affine,
        style: &OutlineStyle<'_>,
        [w, h]: [usize; 2],
        bands: usize,
    ) -> Vec<Vec<u32>> {
        let mut lists = vec![Vec::new(); bands];
        let wide = style.width_px[0].max(style.width_px[1]).clamp(1.0, WIDEST) / 2.0 + 1.0;
        let (width, height) = (w as f32 + wide, h as f32 + wide);
        for (i, b) in self.bounds[of.clone()].iter().enumerate() {
            let (p, q) = (affine.px([b[0], b[1]]), affine.px([b[2], b[3]]));
            let (x, y) = ([p[0].min(q[0]), p[0].max(q[0])], [p[1].min(q[1]), p[1].max(q[1])]);
            if !(x[1] >= -wide && x[0] < width && y[1] >= -wide && y[0] < height) {
                continue;
            }
            // Band of a row of pixels: the last that begins at it or before.
            let band = |v: f32| (((v.clamp(0.0, h as f32 - 1.0)) as usize + 1) * bands - 1) / h;
            for list in &mut lists[band(y[0] - wide)..=band(y[1] + wide)] {
                list.push((of.start + i) as u32);
            }
        }
        lists
    }

    /// Counts of the rows of pixels in `rows`, ink by ink.
    fn band(
        &self,
        lines: impl Iterator<Item = usize>,
        affine: &Affine,
        style: &OutlineStyle<'_>,
        inks: &Inks<'_>,
        w: usize,
        rows: Range<usize>,
    ) -> Vec<u32> {
        let n = w * rows.len();
        let mut planes = vec![0u32; n * inks.inks.len()];
        for line in lines {
            let Some(ink) = inks.of(self.lines[line].1) else { continue };
            let plane = &mut planes[ink * n..(ink + 1) * n];
            let b = self.bounds[line];
            let (p, q) = (affine.px([b[0], b[1]]), affine.px([b[2], b[3]]));
            if (p[0] - q[0]).abs() < 1.0 && (p[1] - q[1]).abs() < 1.0 {
                let (x, y) = (floor((p[0] + q[0]) / 2.0), floor((p[1] + q[1]) / 2.0));
                if x >= 0 && (x as usize) < w && y >= rows.start as i32 && (y as usize) < rows.end {
                    plane[(y as usize - rows.start) * w + x as usize] += WHOLE as u32;
                }
                continue;
            }
            let width = style.width_px[usize::from(ink > 0)].clamp(0.25, WIDEST);
            let mut last = None;
            for &corner in self.corners(line) {
                let now = affine.px(corner);
                if let Some(last) = last {
                    side(plane, w, &rows, last, now, width);
                }
                last = Some(now);
            }
        }
        planes
    }
}

/// As the standard library's, which is a call on processors of 2003; saturates.
fn floor(v: f32) -> i32 {
    let i = v as i32;
    i.saturating_sub(i32::from(v < i as f32))
}

fn ceil(v: f32) -> i32 {
    let i = v as i32;
    i.saturating_add(i32::from(v > i as f32))
}

/// Planes of the whole picture from those of its bands.
fn whole(parts: &[Vec<u32>], inks: usize) -> Vec<Vec<u32>> {
    let plane = |k: usize| parts.iter().flat_map(|p| p.chunks(p.len() / inks).nth(k).unwrap_or_default()).copied().collect();
    (0..inks).map(plane).collect()
}

/// Coverage of a side at the middle of each column (row, where it is steep) of the picture.
fn side(plane: &mut [u32], w: usize, rows: &Range<usize>, a: [f32; 2], b: [f32; 2], width: f32) {
    let steep = (b[1] - a[1]).abs() > (b[0] - a[0]).abs();
    let (along, across) = if steep { (1, 0) } else { (0, 1) };
    let (a, b) = if a[along] <= b[along] { (a, b) } else { (b, a) };
    let limits = if steep { [rows.start as i32, rows.end as i32] } else { [0, w as i32] };
    // Middles k + 0.5 with a <= k + 0.5 < b.
    let middle = |v: f32| ceil(v - 0.5).clamp(limits[0], limits[1]);
    let slope = (b[across] - a[across]) / (b[along] - a[along]);
    if !slope.is_finite() {
        return;
    }
    let (low, high) = if steep { (0, w as i32) } else { (rows.start as i32, rows.end as i32) };
    // Steps in the plane, and where it begins.
    let (step_k, step_j) = if steep { (w, 1) } else { (1, w) };
    let start = rows.start * w;
    for k in middle(a[along])..middle(b[along]) {
        let at = a[across] + (k as f32 + 0.5 - a[along]) * slope;
        let [from, to] = [at - width / 2.0, at + width / 2.0];
        for j in floor(from).max(low)..ceil(to).min(high) {
            let covered = to.min(j as f32 + 1.0) - from.max(j as f32);
            plane[k as usize * step_k + j as usize * step_j - start] += (covered * WHOLE + 0.5) as u32;
        }
    }
}

/// The colours in use: that of the rest, then those of rows that are lit.
struct Inks<'a> {
    style: &'a OutlineStyle<'a>,
    inks: Vec<[u8; 4]>,
    known: Vec<(u32, usize)>,
}

impl<'a> Inks<'a> {
    fn new(of: &Outlines, style: &'a OutlineStyle<'a>) -> Self {
        let mut inks = Self { style, inks: vec![style.rest], known: Vec::new() };
        if style.lit.is_some() {
            // By value, so that which colours share the last ink does not depend on the order of rows.
            let lit = of.lines.iter().filter(|l| inks.is_lit(l.1));
            let all: std::collections::BTreeSet<u32> = lit.map(|l| inks.colour(l.1)).collect();
            for colour in all {
                if inks.inks.len() <= COLOURS {
                    inks.inks.push(colour.to_le_bytes());
                }
                inks.known.push((colour, inks.inks.len() - 1));
            }
        }
        inks
    }

    fn colour(&self, row: u32) -> u32 {
        self.style.colours.get(row as usize).copied().unwrap_or(0)
    }

    fn is_lit(&self, row: u32) -> bool {
        let bit = |words: &[u64]| words.get(row as usize / 64).is_some_and(|w| w >> (row % 64) & 1 == 1);
        self.style.lit.is_some_and(bit) && self.colour(row) >> 24 > 0
    }

    /// Number of a row's ink; none where it is not drawn.
    fn of(&self, row: u32) -> Option<usize> {
        if !self.is_lit(row) {
            return (self.style.rest[3] > 0).then_some(0);
        }
        let colour = self.colour(row);
        Some(self.known.binary_search_by_key(&colour, |k| k.0).map_or(self.inks.len() - 1, |i| self.known[i].1))
    }
}

/// Opacity by the number of lines on a pixel (256ths): of one line, and of as many as the crowded pixels have.
struct Shade {
    one: f32,
    full: f32,
    white: f32,
}

impl Shade {
    fn new(counts: impl Iterator<Item = u32>, full: f32) -> Self {
        let mut some: Vec<u32> = counts.filter(|&n| n > WHOLE as u32).collect();
        let white = if some.is_empty() {
            1.0
        } else {
            let at = ((some.len() - 1) as f64 * WHITE) as usize;
            *some.select_nth_unstable(at).1 as f32 / WHOLE
        };
        // A few lines that cross are as strong as one; among hundreds one is faint.
        let one = full * (1.0 / (1.0 + 0.45 * (white / 4.0).max(1.0).ln())).max(0.22);
        Self { one, full, white: white.max(4.0) }
    }

    fn opacity(&self, n: u32) -> f32 {
        let lines = n as f32 / WHOLE;
        if lines <= 1.0 {
            return lines * self.one;
        }
        self.one + (self.full - self.one) * (lines.ln() / self.white.ln()).min(1.0)
    }
}

/// Lays the lit lines over the rest.
fn compose(inks: &Inks<'_>, planes: &[Vec<u32>], pixels: usize) -> Vec<u8> {
    let (rest, lit) = planes.split_first().map_or((&[][..], &[][..]), |(r, l)| (r.as_slice(), l));
    let total: Vec<u32> =
        (0..if lit.is_empty() { 0 } else { pixels }).map(|i| lit.iter().fold(0u32, |s, p| s.saturating_add(p[i]))).collect();
    let under = Shade::new(rest.iter().copied(), f32::from(inks.style.rest[3]) / 255.0);
    let over = Shade::new(total.iter().copied(), 1.0);
    let mut out = vec![0u8; pixels * 4];
    out.par_chunks_mut(4).enumerate().for_each(|(i, out)| {
        let below = rest.get(i).map_or(0.0, |&n| if n == 0 { 0.0 } else { under.opacity(n) });
        let mut colour = [0, 1, 2].map(|c| f32::from(inks.style.rest[c]) * below);
        let mut alpha = below;
        let n = total.get(i).copied().unwrap_or(0);
        if n > 0 {
            let mean = [0, 1, 2].map(|c| {
                let sum: f64 = lit.iter().zip(&inks.inks[1..]).map(|(p, ink)| f64::from(p[i]) * f64::from(ink[c])).sum();
                (sum / f64::from(n)) as f32
            });
            let above = over.opacity(n);
            for c in 0..3 {
                colour[c] = colour[c] * (1.0 - above) + mean[c] * above;
            }
            alpha = alpha * (1.0 - above) + above;
        }
        for c in 0..3 {
            out[c] = colour[c].round().clamp(0.0, 255.0) as u8;
        }
        out[3] = (alpha * 255.0).round().clamp(0.0, 255.0) as u8;
    });
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Even in 0..1 (the finaliser of MurmurHash3).
    fn noise(i: usize) -> f64 {
        let mut h = i as u32 ^ 0x5bd1_e995;
        for k in [0x85eb_ca6b, 0xc2b2_ae35] {
            h = (h ^ (h >> 15)).wrapping_mul(k);
        }
        f64::from((h ^ (h >> 16)) >> 8) / f64::from(1 << 24)
    }

    /// Boxes and triangles of many sizes, some larger than the view and some smaller than a pixel.
    fn many(n: usize) -> Outlines {
        let mut all = Outlines::around([0.5, 0.5]);
        for i in 0..n {
            let (x, y) = (noise(7 * i) * 1.4 - 0.2, noise(7 * i + 1) * 1.4 - 0.2);
            let size = 0.001 * 3000f64.powf(noise(7 * i + 2));
            let corners = 3 + i % 3;
            let turn = noise(7 * i + 3);
            let ring = (0..=corners).map(|k| {
                let t = (k % corners) as f64 / corners as f64 * std::f64::consts::TAU + turn;
                [x + size * t.cos(), y + size * t.sin()]
            });
            all.push((i * 7 % n) as u32, ring);
        }
        all
    }

    /// The counts by the definition: every side against every pixel.
    fn twin(of: &Outlines, view: &View, style: &OutlineStyle<'_>) -> Vec<Vec<u32>> {
        let inks = Inks::new(of, style);
        let (w, h) = (view.px[0] as usize, view.px[1] as usize);
        let affine = Affine::new(view, of.origin, [1.0; 2]);
        let mut planes = vec![vec![0u32; w * h]; inks.inks.len()];
        for line in 0..of.len() {
            let Some(ink) = inks.of(of.lines[line].1) else { continue };
            let px: Vec<[f32; 2]> = of.corners(line).iter().map(|&c| affine.px(c)).collect();
            let range = |i: usize| px.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), p| (l.min(p[i]), h.max(p[i])));
            let (x, y) = (range(0), range(1));
            let is_dot = x.1 - x.0 < 1.0 && y.1 - y.0 < 1.0;
            let width = style.width_px[usize::from(ink > 0)];
            for j in 0..h {
                for i in 0..w {
                    let n = &mut planes[ink][j * w + i];
                    if is_dot {
                        let at = [((x.0 + x.1) / 2.0).floor(), ((y.0 + y.1) / 2.0).floor()];
                        *n += if at == [i as f32, j as f32] { 256 } else { 0 };
                        continue;
                    }
                    for s in px.windows(2) {
                        let steep = (s[1][1] - s[0][1]).abs() > (s[1][0] - s[0][0]).abs();
                        let (along, across) = if steep { (1, 0) } else { (0, 1) };
                        let (a, b) = if s[0][along] <= s[1][along] { (s[0], s[1]) } else { (s[1], s[0]) };
                        let here = [i as f32 + 0.5, j as f32 + 0.5];
                        if here[along] < a[along] || here[along] >= b[along] {
                            continue;
                        }
                        let at = a[across] + (here[along] - a[along]) * ((b[across] - a[across]) / (b[along] - a[along]));
                        let low = here[across] - 0.5;
                        let covered = (at + width / 2.0).min(low + 1.0) - (at - width / 2.0).max(low);
                        *n += (covered.max(0.0) * 256.0).round() as u32;
                    }
                }
            }
        }
        planes
    }

    fn planes_of(of: &Outlines, view: &View, style: &OutlineStyle<'_>, bands: usize) -> Vec<Vec<u32>> {
        let affine = Affine::new(view, of.origin, [1.0; 2]);
        of.counts(&affine, style, &Inks::new(of, style), view.px.map(|n| n as usize), bands)
    }

    #[test]
    fn counts_are_those_of_the_definition_for_any_bands() {
        let of = many(300);
        let colours: Vec<u32> = (0..300).map(|i| [0xff00_00ff, 0xff00_ff00, 0][i % 3]).collect();
        let lit: Vec<u64> = (0..5).map(|i| 0x5555_1234_abcd_ffff_u64.rotate_left(i * 7)).collect();
        for (view, width_px) in [
            (View { x: [0.0, 1.0], y: [0.0, 1.0], px: [61, 43] }, [1.0, 1.6]),
            (View { x: [0.3, 0.1], y: [0.45, 0.5], px: [40, 70] }, [0.7, 3.2]),
        ] {
            let style = OutlineStyle { colours: &colours, lit: Some(&lit), rest: [90, 90, 90, 200], width_px };
            let want = twin(&of, &view, &style);
            assert_eq!(want.len(), 3);
            assert!(want.iter().all(|p| p.iter().any(|&n| n > 0)), "every colour is seen");
            for bands in [1, 2, 7, 43] {
                assert!(planes_of(&of, &view, &style, bands) == want, "{bands} bands");
            }
        }
    }

    #[test]
    fn a_picture_does_not_depend_on_the_order_of_regions() {
        let of = many(200);
        let mut turned = Outlines::around([0.5, 0.5]);
        for line in (0..of.len()).rev() {
            turned.push(of.lines[line].1, of.corners(line).iter().map(|c| [f64::from(c[0]) + 0.5, f64::from(c[1]) + 0.5]));
        }
        let view = View { x: [0.0, 1.0], y: [0.0, 1.0], px: [80, 60] };
        let colours: Vec<u32> = (0..200u32).map(|i| 0xff00_0000 | i.wrapping_mul(0x01_2345) & 0xff_ffff).collect();
        let style = OutlineStyle { colours: &colours, lit: Some(&[u64::MAX; 2]), rest: [90, 90, 90, 200], width_px: [1.0, 1.5] };
        let picture = of.draw(&view, &style);
        assert_eq!(picture.len(), 80 * 60 * 4);
        assert!(picture == turned.draw(&view, &style));
        assert!(picture.chunks(4).any(|p| p[3] == 0) && picture.chunks(4).any(|p| p[3] > 200));
        // Premultiplied: no channel above alpha.
        assert!(picture.chunks(4).all(|p| p[..3].iter().all(|&c| c <= p[3].saturating_add(1))));
        let half: Vec<Outlines> = (0..2)
            .map(|i| {
                let mut part = Outlines::around([0.5, 0.5]);
                for line in i * 100..(i + 1) * 100 {
                    part.push(of.lines[line].1, of.corners(line).iter().map(|c| [f64::from(c[0]) + 0.5, f64::from(c[1]) + 0.5]));
                }
                part
            })
            .collect();
        assert!(picture == Outlines::concat(half).draw(&view, &style));
    }

    #[test]
    fn rows_in_view_and_degenerate_lines() {
        let mut of = Outlines::around([0.0; 2]);
        of.push(4, [[0.0, 0.0], [1.0, 0.0], [f64::NAN, 0.0], [5.0, 5.0], [6.0, 6.0], [f64::NAN, 1.0], [9.0, 9.0]]);
        of.push(5, [[2.0, 2.0]]);
        of.push(6, []);
        of.push(7, [[0.5, -3.0], [0.5, 3.0]]);
        assert_eq!(of.len(), 3);
        assert_eq!(of.rows_within([0.0, 2.0], [1.0, -1.0], 10), [4, 7]);
        assert_eq!(of.rows_within([4.0, 5.5], [4.0, 5.5], 10), [4]);
        assert_eq!(of.rows_within([-9.0, 9.0], [-9.0, 9.0], 0).len(), 1);
        assert!(of.rows_within([10.0, 11.0], [0.0, 1.0], 10).is_empty());
        let view = View { x: [0.0, 0.0], y: [0.0, 1.0], px: [8, 8] };
        let style = OutlineStyle { colours: &[], lit: None, rest: [9, 9, 9, 255], width_px: [1.0; 2] };
        assert!(of.draw(&view, &style).is_empty());
        let view = View { x: [-1.0, 7.0], y: [-4.0, 4.0], px: [8, 8] };
        let drawn = of.draw(&view, &style);
        // The upright line stands in the second column, all but its ends.
        assert_eq!((0..8).map(|y| drawn[(y * 8 + 1) * 4 + 3] > 100).collect::<Vec<_>>()[1..7], [true; 6]);
        assert!(of.draw(&view, &OutlineStyle { rest: [9, 9, 9, 0], ..style }).iter().all(|&v| v == 0));
    }
}
