//! Scalar twins of all kernels: what the tests hold them to, and the way pictures are made without any GPU.
//!
//! The same arithmetic in the same order as the shaders, in f32, so that counts agree exactly and colours to about one step of a
//! byte. Cost: about 20 ns a point for the field, 100 ns and more for a mark; one thread except for the last loop over pixels.
//! Choice not taken: a software rasteriser of its own design that is faster but differs.

use rayon::prelude::*;

use crate::{
    image::{ImageLook, Pyramid, level_for},
    renderer::image_map,
    view::{Affine, Density, PLAIN, Style, Tone, View},
};

/// Columns of a scatter in ordinary memory; positions are stored ones, `data = stored * unit + origin`. Short columns count as
/// missing from there on.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// Stored positions.
    pub xy: &'a [[f32; 2]],
    /// Data at stored 0.
    pub origin: [f64; 2],
    /// Data per stored 1.
    pub unit: [f64; 2],
    /// RGBA8 a row, red lowest; alpha 0 = context colour.
    pub rgba: Option<&'a Vec<u32>>,
    /// Factors on the radius.
    pub sizes: Option<&'a Vec<f32>>,
    /// Bitmap of selected rows, where any are.
    pub selection: Option<&'a Vec<u64>>,
    /// Bitmap of rows that are not drawn.
    pub hidden: Option<&'a Vec<u64>>,
    /// Stored positions that the rows glide to.
    pub to: Option<&'a [[f32; 2]]>,
    /// How far they are, 0..1.
    pub glide: f32,
}

impl<'a> Columns<'a> {
    /// Positions in data units and nothing else.
    pub fn new(xy: &'a [[f32; 2]]) -> Self {
        Self {
            xy,
            origin: [0.0; 2],
            unit: [1.0; 2],
            rgba: None,
            sizes: None,
            selection: None,
            hidden: None,
            to: None,
            glide: 0.0,
        }
    }
}

/// Place between two layouts: `from * (1 - t) + to * t`, so that both ends are exact.
pub(crate) fn between(from: [f32; 2], to: [f32; 2], t: f32) -> [f32; 2] {
    [from[0] * (1.0 - t) + to[0] * t, from[1] * (1.0 - t) + to[1] * t]
}

fn bit(words: Option<&Vec<u64>>, row: usize) -> bool {
    words.and_then(|w| w.get(row / 64)).is_some_and(|w| (w >> (row % 64)) & 1 == 1)
}

/// Radius that is drawn, in pixels.
pub(crate) fn radius(style: &Style) -> f32 {
    if style.radius_px.is_finite() { style.radius_px.clamp(0.5, 64.0) } else { 2.0 }
}

fn area(style: &Style) -> f32 {
    std::f32::consts::PI * radius(style) * radius(style)
}

/// Lone marks of one layer that are drawn.
pub(crate) fn lone_capacity(budget: u32) -> u32 {
    (budget / 4).clamp(64, 1 << 16)
}

/// Opacity of a lone mark, as marks.wgsl has it.
pub(crate) const LONE_ALPHA: f32 = 0.6;

/// Cells whose only point has no other within two diameters: `is_lone` of field.wgsl.
fn lone_cells(cells: &[[u32; 4]], columns: usize, style: &Style) -> Vec<usize> {
    let lines = cells.len() / columns.max(1);
    let k = ((radius(style) * 2.0).ceil() as usize).max(1);
    (0..cells.len())
        .into_par_iter()
        .filter(|&c| {
            let (x, y) = (c % columns, c / columns);
            cells[c][0] == 1
                && (y.saturating_sub(k)..(y + k + 1).min(lines)).all(|j| {
                    (x.saturating_sub(k)..(x + k + 1).min(columns))
                        .all(|i| j * columns + i == c || cells[j * columns + i][0] == 0)
                })
        })
        .collect()
}

/// Whether a draw can end up with a share of the field, so that cells are needed.
pub(crate) fn wants_field(rows: u32, capacity: u32, view: &View, style: &Style, budget: u32) -> bool {
    let px = view.px[0] as f32 * view.px[1] as f32;
    let crowded = rows >= 4096 && rows as f32 * area(style) > 2.0 * px;
    style.density == Density::Always || rows > capacity || (style.density == Density::Auto && (rows > budget / 2 || crowded))
}

/// `share` of field.wgsl.
pub(crate) fn share(n: f32, capacity: u32, budget: u32, view: &View, style: &Style) -> f32 {
    if style.density == Density::Always || n > capacity as f32 {
        return 1.0;
    }
    if style.density == Density::Never || n < 1.0 {
        return 0.0;
    }
    let mut t = ((n / budget as f32).log2() + 1.0).clamp(0.0, 1.0);
    if n >= 4096.0 {
        let cover = n * area(style) / (view.px[0] as f32 * view.px[1] as f32);
        t = t.max((cover.log2() - 1.0).clamp(0.0, 1.0));
    }
    t
}

/// `by_crowding` of field.wgsl: regl-scatterplot's opacity by density.
pub(crate) fn by_crowding(n: f32, least: f32, view: &View, style: &Style) -> f32 {
    if style.opacity > 0.0 {
        return style.opacity.min(1.0);
    }
    (0.15 * view.px[0] as f32 * view.px[1] as f32 / (n.max(1.0) * area(style))).clamp(least, 1.0)
}

pub(crate) struct Placer<'a> {
    pub columns: &'a Columns<'a>,
    pub affine: Affine,
    pub style: &'a Style,
}

impl Placer<'_> {
    /// Stored position of a row that may glide.
    pub fn stored(&self, row: usize) -> Option<[f32; 2]> {
        let c = self.columns;
        let s = *c.xy.get(row)?;
        let s = match c.to {
            Some(to) => between(s, *to.get(row)?, c.glide),
            None => s,
        };
        (s[0].is_finite() && s[1].is_finite()).then_some(s)
    }

    /// Layer (0 rest, 1 chosen) and pixels of a row, if it is drawn at all.
    pub fn place(&self, row: usize) -> Option<(usize, [f32; 2])> {
        let c = self.columns;
        if bit(c.hidden, row) {
            return None;
        }
        let layer = usize::from(c.selection.is_some() && bit(c.selection, row));
        if layer == 0 && c.selection.is_some() && self.style.hide_rest {
            return None;
        }
        self.stored(row).map(|s| (layer, self.affine.px(s)))
    }

    pub fn colour(&self, row: usize, layer: usize) -> [u8; 4] {
        let c = self.columns;
        if layer == 0 && c.selection.is_some() {
            return self.style.context;
        }
        let Some(rgba) = c.rgba else { return PLAIN };
        let packed = rgba.get(row).copied().unwrap_or(0).to_le_bytes();
        if packed[3] == 0 { self.style.context } else { packed }
    }

    pub fn radius(&self, row: usize) -> f32 {
        let factor = self.columns.sizes.and_then(|s| s.get(row)).copied().unwrap_or(1.0);
        (radius(self.style) * factor).clamp(0.5, 64.0)
    }
}

/// The field: `[count, red sum, green sum, blue sum]` a pixel, row by row from the top, of the rest and of the selection. Twin of
/// `splat`; counts agree exactly. Sums stay zero where all points of a layer have one colour.
pub fn density(view: &View, style: &Style, columns: &Columns<'_>) -> [Vec<[u32; 4]>; 2] {
    let [w, h] = view.px.map(|n| n as usize);
    let any = columns.selection.is_some();
    let mut cells = [vec![[0u32; 4]; w * h], if any { vec![[0u32; 4]; w * h] } else { Vec::new() }];
    let placer = Placer { columns, affine: Affine::new(view, columns.origin, columns.unit), style };
    for row in 0..columns.xy.len() {
        let Some((layer, [x, y])) = placer.place(row) else { continue };
        if !(x >= 0.0 && y >= 0.0 && x < w as f32 && y < h as f32) {
            continue;
        }
        let cell = &mut cells[layer][y as usize * w + x as usize];
        cell[0] += 1;
        if columns.rgba.is_some() && !(layer == 0 && any) {
            let c = placer.colour(row, layer);
            for k in 0..3 {
                cell[k + 1] = cell[k + 1].wrapping_add(u32::from(c[k]));
            }
        }
    }
    cells
}

/// Marks of one layer that a draw of so many rows may hold.
pub(crate) fn mark_capacity(rows: u32, budget: u32, style: &Style) -> u32 {
    match style.density {
        Density::Always => 1,
        Density::Auto => rows.min(budget),
        Density::Never => rows,
    }
    .clamp(1, 1 << 22)
}

/// `bin` of field.wgsl: place of the highest bit and the three bits below it.
pub(crate) fn bin(n: u32) -> usize {
    let e = 31 - n.max(1).leading_zeros();
    let m = if e >= 3 { (n >> (e - 3)) & 7 } else { (n << (3 - e)) & 7 };
    (e * 8 + m) as usize
}

/// `top` of field.wgsl: the largest count of a bin.
fn top(bin: usize) -> u32 {
    let (e, m) = ((bin / 8) as u32, (bin % 8) as u32);
    if e >= 3 { (9 + m).wrapping_shl(e - 3).wrapping_sub(1) } else { (8 + m) >> (3 - e) }
}

/// White point of a field: the count (rounded up to its bin) that 99.5 % of the cells that are not empty do not exceed; what a
/// legend shows as points per pixel.
pub fn white_point(cells: &[[u32; 4]]) -> u32 {
    white_of(&bins(cells))
}

fn bins(cells: &[[u32; 4]]) -> Bins {
    let mut bins = [0u32; 256];
    cells.iter().filter(|c| c[0] > 0).for_each(|c| bins[bin(c[0])] += 1);
    bins
}

/// Cells by the bin of their count.
pub(crate) type Bins = [u32; 256];

fn white_of(bins: &Bins) -> u32 {
    let all: u32 = bins.iter().sum();
    let wanted = all - all / 200;
    let mut sum = 0;
    for (k, n) in bins.iter().enumerate() {
        sum += n;
        if sum >= wanted {
            return if all == 0 { 1 } else { top(k).max(1) };
        }
    }
    1
}

/// Strength 0..1 of a count, by the histogram of all counts of a field: `white` and `strength` of the shaders.
pub(crate) struct Strength {
    tone: Tone,
    white: u32,
    /// Share of the cells up to each bin, without those of the lowest count.
    shares: [f32; 256],
}

impl Strength {
    pub fn new(tone: Tone, bins: &Bins) -> Self {
        let all: u32 = bins.iter().sum();
        let lowest = bins.iter().copied().find(|&n| n > 0).unwrap_or(0);
        let rest = (all - lowest) as f32;
        let mut sum = 0;
        let shares = bins.map(|n| {
            sum += n;
            if all > lowest { sum.saturating_sub(lowest) as f32 / rest } else { 1.0 }
        });
        Self { tone, white: white_of(bins), shares }
    }

    /// Of a count above 0.
    pub fn of(&self, count: u32) -> f32 {
        match self.tone {
            Tone::Log => ((1.0 + count as f32).ln() / (1.0 + self.white as f32).ln()).min(1.0),
            Tone::Equalised => {
                let b = bin(count);
                // Bins of up to 15 hold one count each; within wider ones the share rises in a line.
                let (low, high) = if b == 0 { (0, 1) } else { (top(b - 1), top(b)) };
                let before = if b == 0 { 0.0 } else { self.shares[b - 1] };
                let t = if high > low { (count - low) as f32 / (high - low) as f32 } else { 1.0 };
                before + (self.shares[b] - before) * t
            }
        }
    }
}

pub(crate) type Rgba = [f32; 4];

pub(crate) fn over(top: Rgba, below: Rgba) -> Rgba {
    std::array::from_fn(|k| top[k] + below[k] * (1.0 - top[3]))
}

pub(crate) fn unit(c: [u8; 4]) -> Rgba {
    c.map(|v| f32::from(v) / 255.0)
}

pub(crate) fn premultiplied(c: [u8; 4]) -> Rgba {
    let c = unit(c);
    [c[0] * c[3], c[1] * c[3], c[2] * c[3], c[3]]
}

pub(crate) fn bytes(c: Rgba) -> [u8; 4] {
    c.map(|v| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8)
}

/// The picture of a scatter as RGBA8, gamma-encoded and premultiplied, rows from the top: what `Renderer::draw_points` draws, with
/// `budget` marks. Empty if the view has no size or range.
pub fn points(view: &View, style: &Style, columns: &Columns<'_>, budget: u32) -> Vec<u8> {
    if !view.is_drawable() {
        return Vec::new();
    }
    let [w, h] = view.px.map(|n| n as usize);
    let rows = columns.xy.len().min(u32::MAX as usize) as u32;
    let capacity = mark_capacity(rows, budget, style);
    let any = columns.selection.is_some();
    let placer = Placer { columns, affine: Affine::new(view, columns.origin, columns.unit), style };

    // gather
    let mut marks: [Vec<(u32, [f32; 2])>; 2] = [Vec::new(), Vec::new()];
    let mut count = [0u32; 2];
    for row in 0..columns.xy.len() {
        let Some((layer, px)) = placer.place(row) else { continue };
        let pad = placer.radius(row) + 1.0;
        if px[0] < -pad || px[1] < -pad || px[0] > w as f32 + pad || px[1] > h as f32 + pad {
            continue;
        }
        count[layer] += 1;
        if marks[layer].len() < capacity as usize {
            marks[layer].push((row as u32, px));
        }
    }

    // decide
    let field = wants_field(rows, capacity, view, style, budget);
    let weight = count.map(|n| if field { share(n as f32, capacity, budget, view, style) } else { 0.0 });
    let alpha = [by_crowding(count[0] as f32, 0.05, view, style), by_crowding(count[1] as f32, 0.25, view, style)];

    // splat, histogram, white
    let cells = if field && weight.iter().any(|&t| t > 0.0) { density(view, style, columns) } else { [Vec::new(), Vec::new()] };
    let strength = [0, 1].map(|layer| Strength::new(style.tone, &bins(&cells[layer])));

    // marks
    let mut sums = [Vec::new(), Vec::new()];
    for layer in 0..2 {
        let mut discs: Vec<([f32; 2], f32, Rgba)> = Vec::new();
        if weight[layer] < 1.0 {
            let fade = alpha[layer] * (1.0 - weight[layer]);
            discs.extend(marks[layer].iter().map(|&(row, px)| {
                let c = unit(placer.colour(row as usize, layer));
                (px, placer.radius(row as usize), [c[0], c[1], c[2], c[3] * fade])
            }));
        }
        let lone = lone_cells(&cells[layer], w, style);
        if lone.len() <= lone_capacity(budget) as usize {
            let rest = layer == 0 && any;
            discs.extend(lone.into_iter().map(|at| {
                let sums = cells[layer][at];
                let c = match (columns.rgba, rest) {
                    (_, true) => unit(style.context),
                    (None, _) => unit(PLAIN),
                    _ => unit([sums[1] as u8, sums[2] as u8, sums[3] as u8, 255]),
                };
                let px = [(at % w) as f32 + 0.5, (at / w) as f32 + 0.5];
                (px, radius(style), [c[0], c[1], c[2], c[3] * (LONE_ALPHA * weight[layer])])
            }));
        }
        if discs.is_empty() {
            continue;
        }
        let mut sum = vec![[0f32; 4]; w * h];
        for ([x, y], r, c) in discs {
            let reach = r + 1.0;
            let clip = |v: f32, n: usize| (v.max(0.0) as usize).min(n);
            for j in clip(y - reach, h)..clip(y + reach + 1.0, h) {
                for i in clip(x - reach, w)..clip(x + reach + 1.0, w) {
                    let [dx, dy] = [i as f32 + 0.5 - x, j as f32 + 0.5 - y];
                    let d = (dx * dx + dy * dy).sqrt();
                    let cover = (r + 0.5 - d).clamp(0.0, 1.0);
                    let k = -(1.0 - (c[3] * cover).min(0.999)).ln();
                    let s = &mut sum[j * w + i];
                    *s = [s[0] + c[0] * k, s[1] + c[1] * k, s[2] + c[2] * k, s[3] + k];
                }
            }
        }
        sums[layer] = sum;
    }

    // resolve
    let tone = |cell: Option<&[u32; 4]>, layer: usize| -> Rgba {
        let Some(cell) = cell.filter(|c| c[0] > 0 && weight[layer] > 0.0) else { return [0.0; 4] };
        let n = cell[0] as f32;
        let a = weight[layer] * (0.3 + 0.7 * strength[layer].of(cell[0]));
        let rest = layer == 0 && any;
        let c = if columns.rgba.is_some() && !rest {
            [1, 2, 3].map(|k| cell[k] as f32 / (n * 255.0))
        } else {
            let c = unit(if rest { style.context } else { PLAIN });
            [c[0], c[1], c[2]]
        };
        [c[0] * a, c[1] * a, c[2] * a, a]
    };
    let ink = |sum: Option<&Rgba>| -> Rgba {
        let Some(s) = sum.filter(|s| s[3] > 0.0) else { return [0.0; 4] };
        let a = 1.0 - (-s[3]).exp();
        [s[0] / s[3] * a, s[1] / s[3] * a, s[2] / s[3] * a, a]
    };
    let background = premultiplied(style.background);
    let mut out = vec![0u8; w * h * 4];
    out.par_chunks_mut(w * 4).enumerate().for_each(|(j, line)| {
        for (i, px) in line.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let at = j * w + i;
            let mut c = background;
            for layer in 0..if any { 2 } else { 1 } {
                c = over(tone(cells[layer].get(at), layer), c);
                c = over(ink(sums[layer].get(at)), c);
            }
            *px = bytes(c);
        }
    });
    out
}

/// Draws the hovered row with its ring into a picture of [`points`]. Twin of hover.wgsl.
pub fn hover_ring(rgba: &mut [u8], view: &View, style: &Style, columns: &Columns<'_>, row: u32) {
    hover_ring_in(rgba, [0, 0, view.px[0], view.px[1]], view, style, columns, row);
}

/// Centre, radius and colour of the hovered mark.
fn hover_mark(view: &View, style: &Style, columns: &Columns<'_>, row: u32) -> Option<([f32; 2], f32, Rgba)> {
    let placer = Placer { columns, affine: Affine::new(view, columns.origin, columns.unit), style };
    let px = placer.affine.px(placer.stored(row as usize)?);
    Some((px, (placer.radius(row as usize) + 1.0).max(4.0), unit(placer.colour(row as usize, 1))))
}

/// Pixels `[x0, y0, x1, y1]` that the ring covers.
pub(crate) fn hover_bounds(view: &View, style: &Style, columns: &Columns<'_>, row: u32) -> [u32; 4] {
    let Some(([x, y], r, _)) = hover_mark(view, style, columns, row) else { return [0; 4] };
    let clip = |v: f32, n: u32| (v.max(0.0) as u32).min(n);
    let [w, h] = view.px;
    [clip(x - r - 4.0, w), clip(y - r - 4.0, h), clip(x + r + 5.0, w), clip(y + r + 5.0, h)]
}

/// [`hover_ring`] for the pixels `[x0, y0, x1, y1]` alone, which `rgba` holds.
pub(crate) fn hover_ring_in(rgba: &mut [u8], part: [u32; 4], view: &View, style: &Style, columns: &Columns<'_>, row: u32) {
    let Some(([x, y], r, c)) = hover_mark(view, style, columns, row) else { return };
    let [x0, y0, x1, y1] = part;
    if rgba.len() != ((x1 - x0) * (y1 - y0) * 4) as usize {
        return;
    }
    let bounds = hover_bounds(view, style, columns, row);
    for j in bounds[1].max(y0)..bounds[3].min(y1) {
        for i in bounds[0].max(x0)..bounds[2].min(x1) {
            let d = (i as f32 + 0.5 - x).hypot(j as f32 + 0.5 - y);
            let ink = (r + 0.5 - d).clamp(0.0, 1.0);
            let ring = (r + 2.0 - d).clamp(0.0, 1.0);
            let edge = (r + 3.0 - d).clamp(0.0, 1.0);
            let mut top = [0.0, 0.0, 0.0, edge];
            for k in 0..3 {
                let frame = 0.1 + 0.9 * ring;
                top[k] = (frame + (c[k] - frame) * ink) * edge;
            }
            let px = &mut rgba[(((j - y0) * (x1 - x0) + i - x0) * 4) as usize..][..4];
            let below = [px[0], px[1], px[2], px[3]].map(|v| f32::from(v) / 255.0);
            px.copy_from_slice(&bytes(over(top, below)));
        }
    }
}

/// First and last texel that a pixel covers, and the ends of what it covers: `span` of image.wgsl.
fn span(p: f32, scale: f32, size: f32) -> (usize, usize, f32, f32) {
    let half = scale.abs() * 0.5;
    let end = size.ceil() - 1.0;
    if half <= 0.5 {
        let at = p.floor().clamp(0.0, end);
        return (at as usize, at as usize, at, at + 1.0);
    }
    let (a, b) = ((p - half).max(0.0), (p + half).min(size));
    (a.floor().clamp(0.0, end) as usize, (b.ceil() - 1.0).clamp(0.0, end) as usize, a, b)
}

fn covered(from: f32, to: f32, i: usize) -> f32 {
    (to.min(i as f32 + 1.0) - from.max(i as f32)).max(0.0)
}

fn image_with<T: Sync>(
    view: &View,
    pyramid: &Pyramid<T>,
    background: [u8; 4],
    mean: impl Fn(&mut dyn Iterator<Item = (&T, f32)>) -> Rgba + Sync,
) -> Vec<u8> {
    if !view.is_drawable() || pyramid.levels.is_empty() {
        return Vec::new();
    }
    let [w, h] = view.px.map(|n| n as usize);
    let n = level_for(view.data_per_px(), pyramid.levels.len());
    let (level, finest) = (&pyramid.levels[n], &pyramid.levels[0]);
    let m = image_map(view, [0, 0], n);
    let per = (1u32 << n) as f32;
    let size = [finest.width as f32 / per, finest.height as f32 / per];
    let ground = premultiplied(background);
    let mut out = vec![0u8; w * h * 4];
    out.par_chunks_mut(w * 4).enumerate().for_each(|(j, line)| {
        for (i, px) in line.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let p = [(i as f32 + 0.5) * m.scale[0] + m.offset[0], (j as f32 + 0.5) * m.scale[1] + m.offset[1]];
            if p[0] < 0.0 || p[1] < 0.0 || p[0] >= size[0] || p[1] >= size[1] {
                *px = bytes(ground);
                continue;
            }
            let (sx, sy) = (span(p[0], m.scale[0], size[0]), span(p[1], m.scale[1], size[1]));
            let mut texels = (sy.0..=sy.1)
                .flat_map(|y| (sx.0..=sx.1).map(move |x| (x, y)))
                .map(|(x, y)| (&level.data[y * level.width as usize + x], covered(sx.2, sx.3, x) * covered(sy.2, sy.3, y)));
            *px = bytes(over(mean(&mut texels), ground));
        }
    });
    out
}

/// The picture of an image of values as RGBA8, premultiplied, rows from the top: what `Renderer::draw_image` draws.
pub fn image(view: &View, look: &ImageLook, pyramid: &Pyramid<f32>) -> Vec<u8> {
    let look = look.sane();
    image_with(view, pyramid, look.background, |texels| {
        let (sum, weight) = texels.filter(|(v, _)| v.is_finite()).fold((0.0, 0.0), |(s, n), (v, w)| (s + v * w, n + w));
        premultiplied(if weight > 0.0 { look.colour(sum / weight) } else { look.nan })
    })
}

/// The same for an image of colours.
pub fn picture(view: &View, background: [u8; 4], pyramid: &Pyramid<[u8; 4]>) -> Vec<u8> {
    image_with(view, pyramid, background, |texels| {
        let (sum, weight) = texels.fold(([0.0; 4], 0.0f32), |(s, n), (&c, w)| {
            let c = premultiplied(c);
            (std::array::from_fn(|k| s[k] + c[k] * w), n + w)
        });
        sum.map(|v: f32| v / weight.max(1e-6))
    })
}
