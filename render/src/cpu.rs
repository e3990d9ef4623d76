//! Scatters drawn by the processor's threads: for software adapters, devices that cannot compute, and pictures on paper.
//!
//! The picture is that of [`reference::points`], bit for bit and for any number of threads; only the order of the work differs.
//! Threads take parts of the rows by turns and sort what is in view into buckets, one for each band of 8 lines; a full bucket is
//! added to its band by whoever filled it, under the band's lock. So cells are written in runs that stay in the cache, and without
//! atomics. A pass over the bands finds lone points and the histogram, and another draws marks and puts the layers together.
//! Threads are our own, since those of the global pool may all be busy making a map.
//!
//! Choices not taken: atomics on shared cells (four a point, and they leave the cache at every one), a copy of the cells a thread
//! (16 MB each), sorting blocks of rows by band before adding (twice the time: the sorted rows are written and read once more), and
//! rows sorted by place beforehand (a map that moves would have to be sorted for every frame). A software Vulkan interprets the same
//! kernels at six times the cost. Cost: see docs/benchmarks.md; 16 B a pixel and layer with colours, 4 B without, and 0.4 MB a thread
//! and layer.

use std::sync::{
    Mutex, OnceLock, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use rayon::prelude::*;

use crate::{
    reference::{
        self, Bins, Columns, LONE_ALPHA, Placer, Rgba, Strength, bin, by_crowding, bytes, lone_capacity, mark_capacity, over,
        premultiplied, radius, share, unit, wants_field,
    },
    view::{Affine, PLAIN, Style, View},
};

/// Lines of a band.
const LINES: usize = 8;
/// Points that wait for their band before they are added.
const BUCKET: usize = 1 << 12;
/// Rows that a thread takes at a time.
const PART: usize = 1 << 13;
/// Pixels along an axis that a key has room for.
const MOST: u32 = 1 << 15;

/// Runs `f` on threads kept for drawing.
pub(crate) fn on_threads<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    static POOL: OnceLock<Option<rayon::ThreadPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| rayon::ThreadPoolBuilder::new().thread_name(|i| format!("draw-{i}")).build().ok());
    match pool {
        Some(pool) => pool.install(f),
        None => f(),
    }
}

/// One cell of the field: a count, with sums of colours or without.
trait Cell: Copy + Default + Send + Sync {
    /// Key and colour of one point.
    type Entry: Copy + Default + Send + Sync;
    fn entry(key: u32, colour: u32) -> Self::Entry;
    fn key(entry: Self::Entry) -> u32;
    fn add(&mut self, entry: Self::Entry);
    fn count(&self) -> u32;
    /// Sums of red, green and blue.
    fn sums(&self) -> [u32; 3];
}

impl Cell for u32 {
    type Entry = u32;
    fn entry(key: u32, _: u32) -> u32 {
        key
    }
    fn key(entry: u32) -> u32 {
        entry
    }
    fn add(&mut self, _: u32) {
        *self += 1;
    }
    fn count(&self) -> u32 {
        *self
    }
    fn sums(&self) -> [u32; 3] {
        [0; 3]
    }
}

impl Cell for [u32; 4] {
    type Entry = [u32; 2];
    fn entry(key: u32, colour: u32) -> [u32; 2] {
        [key, colour]
    }
    fn key(entry: [u32; 2]) -> u32 {
        entry[0]
    }
    fn add(&mut self, [_, c]: [u32; 2]) {
        let more = [1, c & 255, (c >> 8) & 255, (c >> 16) & 255];
        *self = std::array::from_fn(|k| self[k].wrapping_add(more[k]));
    }
    fn count(&self) -> u32 {
        self[0]
    }
    fn sums(&self) -> [u32; 3] {
        [self[1], self[2], self[3]]
    }
}

/// Memory of one kind of cell, kept between frames.
struct Room<C: Cell> {
    /// Of the rest and of the selection, line by line.
    cells: [Vec<C>; 2],
    /// One a thread.
    buckets: Vec<Buckets<C>>,
}

impl<C: Cell> Default for Room<C> {
    fn default() -> Self {
        Self { cells: [Vec::new(), Vec::new()], buckets: Vec::new() }
    }
}

/// Memory kept between frames.
#[derive(Default)]
pub(crate) struct Scratch {
    counts: Room<u32>,
    colours: Room<[u32; 4]>,
}

impl Scratch {
    pub fn bytes(&self) -> u64 {
        let counts = self.counts.cells.iter().map(|c| c.len() * 4).sum::<usize>();
        let colours = self.colours.cells.iter().map(|c| c.len() * 16).sum::<usize>();
        (counts + colours) as u64
    }
}

/// The picture of a scatter as RGBA8, gamma-encoded and premultiplied, rows from the top, with at most `budget` marks: equal to
/// [`reference::points`], but by all threads. Empty if the view has no size or range.
pub fn points(view: &View, style: &Style, columns: &Columns<'_>, budget: u32) -> Vec<u8> {
    let mut out = Vec::new();
    draw(&mut Scratch::default(), &mut out, view, style, columns, budget);
    out
}

/// The same into `out`, with memory of the last time.
pub(crate) fn draw(scratch: &mut Scratch, out: &mut Vec<u8>, view: &View, style: &Style, columns: &Columns<'_>, budget: u32) {
    if !view.is_drawable() {
        out.clear();
    } else if view.px.iter().any(|&n| n > MOST) || columns.xy.len() > u32::MAX as usize {
        *out = reference::points(view, style, columns, budget);
    } else if columns.rgba.is_some() {
        on_threads(|| Job::new(view, style, columns, budget).draw(&mut scratch.colours, out));
    } else {
        on_threads(|| Job::new(view, style, columns, budget).draw(&mut scratch.counts, out));
    }
}

impl<C: Cell> Default for Buckets<C> {
    fn default() -> Self {
        Self { entries: Vec::new(), filled: Vec::new() }
    }
}

/// Points of one thread that wait for their bands.
struct Buckets<C: Cell> {
    entries: Vec<C::Entry>,
    /// Of each band, layer by layer.
    filled: Vec<usize>,
}

impl<C: Cell> Buckets<C> {
    fn resize(&mut self, bands: usize) {
        self.entries.resize(bands * BUCKET, C::Entry::default());
        self.filled.resize(bands, 0);
    }

    fn push(&mut self, band: usize, entry: C::Entry, bands: &[Mutex<&mut [C]>]) {
        let filled = &mut self.filled[band];
        self.entries[band * BUCKET + *filled] = entry;
        *filled += 1;
        if *filled == BUCKET {
            self.flush(band, bands);
        }
    }

    /// Adds what waits for a band. Sums of integers do not depend on which thread comes first.
    #[inline(never)]
    fn flush(&mut self, band: usize, bands: &[Mutex<&mut [C]>]) {
        let waiting = &self.entries[band * BUCKET..][..std::mem::take(&mut self.filled[band])];
        let mut cells = bands[band].lock().unwrap_or_else(PoisonError::into_inner);
        for &entry in waiting {
            cells[C::key(entry) as usize].add(entry);
        }
    }
}

/// A round mark.
#[derive(Clone, Copy)]
struct Mark {
    px: [f32; 2],
    radius: f32,
    colour: [u8; 4],
}

/// Marks of one layer in the order in which they are added up.
#[derive(Default)]
struct Marks {
    list: Vec<Mark>,
    /// Opacity of all.
    fade: f32,
    /// Those that reach into each band.
    bands: Vec<Vec<u32>>,
}

/// What the cells of one layer say.
struct Census {
    bins: Bins,
    lone: Vec<u32>,
}

/// How the cells of one layer are shown.
struct Look {
    weight: f32,
    strength: Strength,
    /// Strengths of the first counts: most cells hold few points.
    table: Vec<f32>,
}

impl Look {
    fn alpha(&self, count: u32) -> f32 {
        let v = self.table.get(count as usize).copied().unwrap_or_else(|| self.strength.of(count));
        self.weight * (0.3 + 0.7 * v)
    }
}

struct Job<'a> {
    view: &'a View,
    style: &'a Style,
    columns: &'a Columns<'a>,
    placer: Placer<'a>,
    budget: u32,
    capacity: u32,
    /// Pixels.
    w: usize,
    h: usize,
    bands: usize,
    /// The rest, and the selection if there is any.
    layers: usize,
}

impl<'a> Job<'a> {
    fn new(view: &'a View, style: &'a Style, columns: &'a Columns<'a>, budget: u32) -> Self {
        let [w, h] = view.px.map(|n| n as usize);
        Self {
            view,
            style,
            columns,
            placer: Placer { columns, affine: Affine::new(view, columns.origin, columns.unit), style },
            budget,
            capacity: mark_capacity(columns.xy.len() as u32, budget, style),
            w,
            h,
            bands: h.div_ceil(LINES),
            layers: if columns.selection.is_some() { 2 } else { 1 },
        }
    }

    fn rows(&self) -> usize {
        self.columns.xy.len()
    }

    fn draw<C: Cell>(&self, room: &mut Room<C>, out: &mut Vec<u8>) {
        let field = wants_field(self.rows() as u32, self.capacity, self.view, self.style, self.budget);
        let count = if field { self.fill(room) } else { self.count() };
        let weight = count.map(|n| if field { share(n as f32, self.capacity, self.budget, self.view, self.style) } else { 0.0 });
        let mut looks = [None, None];
        let mut marks = [Vec::new(), Vec::new()];
        for k in 0..self.layers {
            if weight[k] < 1.0 && count[k] > 0 {
                let alpha = by_crowding(count[k] as f32, [0.05, 0.25][k], self.view, self.style);
                marks[k].push(self.banded(self.marks(k), alpha * (1.0 - weight[k])));
            }
            if weight[k] > 0.0 {
                let census = self.census(&room.cells[k]);
                if census.lone.len() <= lone_capacity(self.budget) as usize {
                    marks[k].push(self.banded(self.lone_marks(k, &census.lone, &room.cells[k]), LONE_ALPHA * weight[k]));
                }
                let strength = Strength::new(self.style.tone, &census.bins);
                let table = (0..1024).map(|n| if n == 0 { 0.0 } else { strength.of(n) }).collect();
                looks[k] = Some(Look { weight: weight[k], strength, table });
            }
        }
        out.resize(self.w * self.h * 4, 0);
        let sums = || [0, 1].map(|k| if marks[k].is_empty() { Vec::new() } else { vec![[0f32; 4]; LINES * self.w] });
        out.par_chunks_mut(LINES * self.w * 4).enumerate().for_each_init(sums, |sums, (band, lines)| {
            let drawn = [0, 1].map(|k| self.add_marks(band, &marks[k], &mut sums[k]));
            self.resolve(band, &room.cells, &looks, [0, 1].map(|k| drawn[k].then_some(sums[k].as_slice())), lines);
        });
    }

    /// Hands layer and pixels of all rows that are drawn to `f`.
    fn each(&self, rows: std::ops::Range<usize>, mut f: impl FnMut(usize, usize, [f32; 2])) {
        let c = self.columns;
        let simple = c.hidden.is_none() && c.selection.is_none() && c.to.is_none();
        let xy = &c.xy[rows.clone()];
        // One call, so that `f` becomes a part of the loop.
        for (row, s) in rows.zip(xy) {
            let placed = if simple {
                (s[0].is_finite() && s[1].is_finite()).then(|| (0, self.placer.affine.px(*s)))
            } else {
                self.placer.place(row)
            };
            if let Some((layer, px)) = placed {
                f(row, layer, px);
            }
        }
    }

    fn radius(&self, row: usize) -> f32 {
        if self.columns.sizes.is_some() { self.placer.radius(row) } else { radius(self.style) }
    }

    /// Whether a mark reaches into the picture.
    fn reaches(&self, px: [f32; 2], r: f32) -> bool {
        let pad = r + 1.0;
        !(px[0] < -pad || px[1] < -pad || px[0] > self.w as f32 + pad || px[1] > self.h as f32 + pad)
    }

    fn part(&self, i: usize) -> std::ops::Range<usize> {
        i * PART..((i + 1) * PART).min(self.rows())
    }

    /// Rows of each layer in view.
    fn count(&self) -> [u32; 2] {
        let of = |i| {
            let mut count = [0; 2];
            self.each(self.part(i), |row, layer, px| count[layer] += u32::from(self.reaches(px, self.radius(row))));
            count
        };
        let add = |a: [u32; 2], b: [u32; 2]| [a[0] + b[0], a[1] + b[1]];
        (0..self.rows().div_ceil(PART)).into_par_iter().map(of).reduce(|| [0; 2], add)
    }

    /// Adds all rows to their cells; returns how many of each layer are in view.
    fn fill<C: Cell>(&self, room: &mut Room<C>) -> [u32; 2] {
        for (layer, cells) in room.cells.iter_mut().enumerate() {
            let n = if layer < self.layers { self.w * self.h } else { 0 };
            if cells.len() == n {
                cells.par_chunks_mut(LINES * self.w).for_each(|cells| cells.fill(C::default()));
            } else {
                *cells = vec![C::default(); n];
            }
        }
        let bands: Vec<Mutex<&mut [C]>> =
            room.cells.iter_mut().flat_map(|cells| cells.chunks_mut(LINES * self.w)).map(Mutex::new).collect();
        let (next, parts) = (AtomicUsize::new(0), self.rows().div_ceil(PART));
        // One task a thread, each with buckets of its own; they take parts until there are none.
        let task = |buckets: &mut Buckets<C>| {
            let mut count = [0; 2];
            loop {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part >= parts {
                    break;
                }
                self.place(self.part(part), buckets, &bands, &mut count);
            }
            (0..bands.len()).for_each(|b| buckets.flush(b, &bands));
            count
        };
        room.buckets.resize_with(rayon::current_num_threads().min(parts), Buckets::default);
        room.buckets.iter_mut().for_each(|b| b.resize(bands.len()));
        room.buckets.par_iter_mut().with_max_len(1).map(task).reduce(|| [0; 2], |a, b| [a[0] + b[0], a[1] + b[1]])
    }

    /// Puts the rows of one part that are in view into the buckets of their bands.
    fn place<C: Cell>(
        &self,
        rows: std::ops::Range<usize>,
        buckets: &mut Buckets<C>,
        bands: &[Mutex<&mut [C]>],
        count: &mut [u32; 2],
    ) {
        let (w, h) = (self.w as f32, self.h as f32);
        let mut all = *count;
        let (sized, plain) = (self.columns.sizes.is_some(), radius(self.style));
        self.each(rows, |row, layer, px| {
            all[layer] += u32::from(self.reaches(px, if sized { self.placer.radius(row) } else { plain }));
            if px[0] >= 0.0 && px[1] >= 0.0 && px[0] < w && px[1] < h {
                let y = px[1] as usize;
                let cell = (y % LINES * self.w) as u32 + px[0] as u32;
                buckets.push(layer * self.bands + y / LINES, C::entry(cell, self.colour(row, layer)), bands);
            }
        });
        *count = all;
    }

    /// Colour that is added to a cell; none where all of the layer have the same.
    fn colour(&self, row: usize, layer: usize) -> u32 {
        if layer == 0 && self.layers == 2 {
            return 0;
        }
        let Some(rgba) = self.columns.rgba else { return 0 };
        let c = rgba.get(row).copied().unwrap_or(0);
        if c >> 24 == 0 { u32::from_le_bytes(self.style.context) } else { c }
    }

    /// Histogram of the counts, and the cells whose only point has no other within two diameters.
    fn census<C: Cell>(&self, cells: &[C]) -> Census {
        let reach = ((radius(self.style) * 2.0).ceil() as usize).max(1);
        let lone = |at: usize| {
            let (x, y) = (at % self.w, at / self.w);
            let across = x.saturating_sub(reach)..(x + reach + 1).min(self.w);
            (y.saturating_sub(reach)..(y + reach + 1).min(self.h)).all(|j| {
                let empty = |c: &[C]| c.iter().all(|c| c.count() == 0);
                let line = &cells[j * self.w..][..self.w];
                if j == y {
                    empty(&line[across.start..x]) && empty(&line[x + 1..across.end])
                } else {
                    empty(&line[across.clone()])
                }
            })
        };
        let band = LINES * self.w;
        let found: Vec<Census> = cells
            .par_chunks(band)
            .enumerate()
            .map(|(i, part)| {
                let mut census = Census { bins: [0; 256], lone: Vec::new() };
                for (at, cell) in part.iter().enumerate().filter(|(_, c)| c.count() > 0) {
                    census.bins[bin(cell.count())] += 1;
                    if cell.count() == 1 && lone(i * band + at) {
                        census.lone.push((i * band + at) as u32);
                    }
                }
                census
            })
            .collect();
        found.into_iter().fold(Census { bins: [0; 256], lone: Vec::new() }, |mut all, one| {
            all.bins.iter_mut().zip(one.bins).for_each(|(a, b)| *a += b);
            all.lone.extend(one.lone);
            all
        })
    }

    /// Marks of the rows in view, in the order of the rows.
    fn marks(&self, wanted: usize) -> Vec<Mark> {
        let of = |i| {
            let mut marks = Vec::new();
            self.each(self.part(i), |row, layer, px| {
                if layer == wanted && self.reaches(px, self.radius(row)) {
                    marks.push(Mark { px, radius: self.radius(row), colour: self.placer.colour(row, layer) });
                }
            });
            marks
        };
        (0..self.rows().div_ceil(PART)).into_par_iter().flat_map_iter(of).collect()
    }

    fn lone_marks<C: Cell>(&self, layer: usize, lone: &[u32], cells: &[C]) -> Vec<Mark> {
        let of = |&at: &u32| {
            let at = at as usize;
            let [r, g, b] = cells[at].sums().map(|s| s as u8);
            let colour = match self.columns.rgba {
                _ if layer == 0 && self.layers == 2 => self.style.context,
                None => PLAIN,
                Some(_) => [r, g, b, 255],
            };
            Mark { px: [(at % self.w) as f32 + 0.5, (at / self.w) as f32 + 0.5], radius: radius(self.style), colour }
        };
        lone.iter().map(of).collect()
    }

    /// Lines (or columns) that a mark reaches.
    fn reach(at: f32, radius: f32, n: usize) -> std::ops::Range<usize> {
        let clip = |v: f32| (v.max(0.0) as usize).min(n);
        clip(at - radius - 1.0)..clip(at + radius + 2.0)
    }

    fn banded(&self, list: Vec<Mark>, fade: f32) -> Marks {
        let mut bands = vec![Vec::new(); self.bands];
        for (i, mark) in list.iter().enumerate() {
            let lines = Self::reach(mark.px[1], mark.radius, self.h);
            bands[lines.start / LINES..lines.end.div_ceil(LINES)].iter_mut().for_each(|b| b.push(i as u32));
        }
        Marks { list, fade, bands }
    }

    /// Adds up the marks of one band; whether there were any.
    fn add_marks(&self, band: usize, marks: &[Marks], sums: &mut [Rgba]) -> bool {
        if marks.iter().all(|m| m.bands[band].is_empty()) {
            return false;
        }
        sums.fill([0.0; 4]);
        for of in marks {
            for &i in &of.bands[band] {
                self.add_mark(band, &of.list[i as usize], of.fade, sums);
            }
        }
        true
    }

    fn add_mark(&self, band: usize, mark: &Mark, fade: f32, sums: &mut [Rgba]) {
        let ([x, y], r) = (mark.px, mark.radius);
        let c = unit(mark.colour);
        let alpha = c[3] * fade;
        let ink = |cover: f32| -(1.0 - (alpha * cover).min(0.999)).ln();
        let full = ink(1.0);
        let lines = Self::reach(y, r, self.h);
        let first = band * LINES;
        for j in lines.start.max(first)..lines.end.min(first + LINES) {
            let dy = j as f32 + 0.5 - y;
            let line = &mut sums[(j - first) * self.w..][..self.w];
            for i in Self::reach(x, r, self.w) {
                let dx = i as f32 + 0.5 - x;
                let cover = (r + 0.5 - (dx * dx + dy * dy).sqrt()).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let k = if cover == 1.0 { full } else { ink(cover) };
                    let s = line[i];
                    line[i] = [s[0] + c[0] * k, s[1] + c[1] * k, s[2] + c[2] * k, s[3] + k];
                }
            }
        }
    }

    /// Puts the layers of one band together.
    fn resolve<C: Cell>(
        &self,
        band: usize,
        cells: &[Vec<C>; 2],
        looks: &[Option<Look>; 2],
        sums: [Option<&[Rgba]>; 2],
        lines: &mut [u8],
    ) {
        let background = premultiplied(self.style.background);
        let plain = bytes(background);
        let first = band * LINES * self.w;
        for (i, px) in lines.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let (mut c, mut touched) = (background, false);
            for layer in 0..self.layers {
                if let Some(look) = &looks[layer]
                    && cells[layer][first + i].count() > 0
                {
                    c = over(self.tone(look, &cells[layer][first + i], layer), c);
                    touched = true;
                }
                if let Some(s) = sums[layer].map(|s| s[i]).filter(|s| s[3] > 0.0) {
                    let a = 1.0 - (-s[3]).exp();
                    c = over([s[0] / s[3] * a, s[1] / s[3] * a, s[2] / s[3] * a, a], c);
                    touched = true;
                }
            }
            *px = if touched { bytes(c) } else { plain };
        }
    }

    /// Colour and alpha of a cell of the field, premultiplied.
    fn tone<C: Cell>(&self, look: &Look, cell: &C, layer: usize) -> Rgba {
        let a = look.alpha(cell.count());
        let rest = layer == 0 && self.layers == 2;
        let c = if self.columns.rgba.is_some() && !rest {
            cell.sums().map(|s| s as f32 / (cell.count() as f32 * 255.0))
        } else {
            let c = unit(if rest { self.style.context } else { PLAIN });
            [c[0], c[1], c[2]]
        };
        [c[0] * a, c[1] * a, c[2] * a, a]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::view::{Density, Tone};

    struct Rng(u64);

    impl Rng {
        fn next(&mut self) -> f64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    /// A dense middle with a thin surround, one row in thirty without a position.
    fn clump(n: usize, seed: u64) -> Vec<[f32; 2]> {
        let mut rng = Rng(seed);
        (0..n)
            .map(|i| {
                let [x, y] = [0, 1].map(|_| (0..3).map(|_| rng.next() - 0.5).product::<f64>() * 60.0);
                if i % 30 == 7 { [f32::NAN, y as f32] } else { [x as f32, y as f32] }
            })
            .collect()
    }

    #[test]
    fn pictures_are_those_of_the_scalar_twin_bit_for_bit() {
        let view = View { x: [-4.0, 4.5], y: [-3.0, 4.0], px: [203, 101] };
        for n in [0, 1, 3, PART, PART + 1, 40 * PART + 11] {
            let (xy, to) = (clump(n, 5), clump(n, 6));
            let colours: Vec<u32> =
                (0..n as u32).map(|i| i.wrapping_mul(0x9e37_79b1) | if i % 9 == 0 { 0 } else { 0xff00_0000 }).collect();
            let sizes: Vec<f32> = (0..n).map(|i| 0.3 + (i % 5) as f32).collect();
            let [selection, hidden] = [3, 7]
                .map(|k| (0..n.div_ceil(64) as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) << k).collect::<Vec<u64>>());
            let plain = Columns::new(&xy);
            let coloured = Columns { rgba: Some(&colours), ..plain };
            let chosen = Columns { selection: Some(&selection), ..coloured };
            let all = Columns { hidden: Some(&hidden), to: Some(&to), glide: 0.3, ..chosen };
            let sized = Columns { sizes: Some(&sizes), ..all };
            for columns in [plain, Columns { selection: Some(&selection), ..plain }, coloured, chosen, all, sized] {
                for (density, tone, budget) in [
                    (Density::Auto, Tone::Log, 500),
                    (Density::Auto, Tone::Equalised, n as u32 + 100),
                    (Density::Always, Tone::Equalised, 20_000),
                    (Density::Never, Tone::Log, 20_000),
                ] {
                    if density == Density::Never && n > PART + 1 {
                        continue; // slow by the twin, and no other code
                    }
                    let ground = if n % 2 == 0 { [0; 4] } else { [20, 22, 26, 255] };
                    let style = Style { density, tone, background: ground, hide_rest: budget == 500, ..Style::default() };
                    let got = points(&view, &style, &columns, budget);
                    let want = reference::points(&view, &style, &columns, budget);
                    assert!(got == want, "{n} rows, {style:?}");
                    assert!(n < PART || want.chunks(4).any(|c| c != ground));
                }
            }
        }
    }

    #[test]
    fn a_frame_leaves_nothing_to_the_next() {
        let (many, few) = (clump(30 * PART + 1, 1), clump(100, 2));
        let style = Style { density: Density::Always, ..Style::default() };
        let mut scratch = Scratch::default();
        let mut out = Vec::new();
        for (xy, px) in [(&many, [300, 200]), (&few, [300, 200]), (&few, [31, 77]), (&Vec::new(), [31, 77]), (&many, [0, 5])] {
            let view = View { x: [-4.0, 4.0], y: [-3.0, 3.0], px };
            draw(&mut scratch, &mut out, &view, &style, &Columns::new(xy), 1000);
            assert!(out == reference::points(&view, &style, &Columns::new(xy), 1000), "{px:?}");
        }
    }
}
