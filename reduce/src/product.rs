//! Matrix products with an operand packed once and used many times, for the training of the autoencoder and the
//! covariance.
//!
//! The right matrix is laid out in panels of two vectors' width, each panel row after row. A tile of 8 (AVX-512) or 6
//! (AVX2) rows of the answer stays in registers while a panel passes: one broadcast of the left matrix and two fused
//! multiply-adds per row. The left matrix is read where it stands when it is row-major and copied into tiles when it is a
//! transpose. Sums are cut into pieces of about [`DEEP`] terms, so that a panel's piece stays in the first cache.
//!
//! The `gemm` crate, which stays the way of every other product and of processors without these instructions, packs both
//! operands in every call: for a net whose weights meet four parts of a batch that was a fifth of the training's time.
//! The instructions are chosen while running; what is chosen depends on the processor alone, so results do not depend on
//! the number of threads, but differ between kinds of processor by rounding, as those of `gemm` do.
//!
//! Cost: 2·m·n·k flops. Tiling after Goto & van de Geijn 2008 (ACM TOMS 34, 12).

use crate::kernel::{Mat, mul_strided};
use std::cell::RefCell;

/// Largest number of terms that are summed at a time.
const DEEP: usize = 224;
/// Answers narrower than this are left to `gemm`: most of a panel would be empty.
const NARROW: usize = 8;
/// Columns of a matrix of squares that are summed together, whole panels; only what is right of them is.
const STRIPE: usize = 32;

/// The instructions that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// AVX-512F: tiles of 8 × 32.
    Wide,
    /// AVX2 with fused multiply-add: tiles of 6 × 16.
    Medium,
    /// `gemm`.
    Other,
}

impl Level {
    /// What this processor has.
    pub fn here() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                return Self::Wide;
            }
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                return Self::Medium;
            }
        }
        Self::Other
    }

    /// Columns of a panel.
    pub fn cols(self) -> usize {
        if self == Self::Wide { 32 } else { 16 }
    }

    /// Rows of a tile.
    fn rows(self) -> usize {
        if self == Self::Wide { 8 } else { 6 }
    }
}

/// A right matrix in panels, from a whole cache line on.
#[derive(Default)]
pub(crate) struct Panels {
    data: Vec<f32>,
    start: usize,
    size: usize,
}

/// Numbers of a cache line.
const LINE: usize = 16;

impl Panels {
    /// Room for `k` × `n`, by panels: number and place of each, for [`pack_panel`]. None where `gemm` does the product.
    pub fn room(&mut self, level: Level, k: usize, n: usize) -> impl Iterator<Item = (usize, &mut [f32])> {
        self.size = if level == Level::Other || n < NARROW { 0 } else { n.div_ceil(level.cols()) * k * level.cols() };
        if self.data.len() < self.size + LINE {
            self.data.resize(self.size + LINE, 0.0);
        }
        self.start = self.data.as_ptr().align_offset(4 * LINE).min(LINE);
        let all = &mut self.data[self.start..self.start + self.size];
        all.chunks_mut((k * level.cols()).max(1)).enumerate()
    }

    /// The panels, one after the other; none where `gemm` does the product.
    pub fn all(&self) -> &[f32] {
        &self.data[self.start..self.start + self.size]
    }
}

/// Copies panel number `panel` of `b`; columns beyond its last are 0.
pub(crate) fn pack_panel(level: Level, b: Mat, panel: usize, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if b.col_stride == 1 && level != Level::Other && (panel + 1) * level.cols() <= b.cols {
        let k = out.len() / level.cols();
        let from = &b.data[panel * level.cols()..];
        assert!(k == 0 || from.len() >= (k - 1) * b.row_stride + level.cols());
        // SAFETY: the level is what the processor was found to have; rows of a panel's width were checked to be there.
        return unsafe {
            match level {
                Level::Wide => wide::pack(from, b.row_stride, out),
                _ => medium::pack(from, b.row_stride, out),
            }
        };
    }
    match level.cols() {
        32 => pack_columns::<32>(b, panel * 32, out),
        _ => pack_columns::<16>(b, panel * 16, out),
    }
}

fn pack_columns<const COLS: usize>(b: Mat, first: usize, out: &mut [f32]) {
    let width = COLS.min(b.cols - first);
    if b.col_stride == 1 {
        for (t, o) in out.as_chunks_mut::<COLS>().0.iter_mut().enumerate() {
            let at = t * b.row_stride + first;
            o[..width].copy_from_slice(&b.data[at..at + width]);
            o[width..].fill(0.0);
        }
        return;
    }
    // A transpose: a few rows of the answer at a time, so that what is written stays in the first cache.
    for (piece, o) in out.as_chunks_mut::<COLS>().0.chunks_mut(16).enumerate() {
        for j in 0..width {
            let column = &b.data[(first + j) * b.col_stride + piece * 16 * b.row_stride..];
            o.iter_mut().enumerate().for_each(|(t, o)| o[j] = column[t * b.row_stride]);
        }
        o.iter_mut().for_each(|o| o[width..].fill(0.0));
    }
}

/// `c = a · b` (or `c += a · b` if `add`); `c` row-major, its rows `stride` apart, `panels` those of `b`.
pub(crate) fn product(level: Level, c: &mut [f32], stride: usize, a: Mat, b: Mat, panels: &[f32], add: bool) {
    let (m, k, n) = (a.rows, a.cols, b.cols);
    if panels.is_empty() || m == 0 || k == 0 {
        return mul_strided(c, stride, a, b, add);
    }
    assert_eq!(k, b.rows);
    assert!(stride >= n && c.len() >= (m - 1) * stride + n && panels.len() >= n.div_ceil(level.cols()) * k * level.cols());
    assert!(a.data.len() > (m - 1) * a.row_stride + (k - 1) * a.col_stride);
    #[cfg(target_arch = "x86_64")]
    LEFT.with_borrow_mut(|tiles| {
        if a.col_stride != 1 {
            pack_left(level, a, tiles);
        }
        let left = if a.col_stride == 1 { (a.data, Some(a.row_stride)) } else { (&tiles[..], None) };
        // SAFETY: the level is only ever what the processor was found to have; sizes were checked above.
        unsafe {
            match level {
                Level::Wide => wide::product(c, stride, [m, n, k], left, panels, add),
                Level::Medium => medium::product(c, stride, [m, n, k], left, panels, add),
                Level::Other => {}
            }
        }
    });
}

/// Adds to `c` (d × d) the products of the columns of `x` (rows × d) with one another; below the diagonal only what falls out
/// with stripes of 32 columns.
pub(crate) fn add_squares(level: Level, c: &mut [f32], x: &[f32], d: usize) {
    let rows = x.len() / d;
    RIGHT.with_borrow_mut(|panels| {
        panels.room(level, rows, d).for_each(|(p, out)| pack_panel(level, Mat::new(x, rows, d), p, out));
        for from in (0..d).step_by(STRIPE) {
            let to = (from + STRIPE).min(d);
            let left = Mat::strided(&x[from..], rows, to - from, d);
            let right = Mat::strided(&x[from..], rows, d - from, d);
            // The panels of all columns from the stripe's first on.
            let rest = panels.all().get(from * rows..).unwrap_or(&[]);
            product(level, &mut c[from * d + from..], d, left.t(), right, rest, true);
        }
    });
}

/// `c = a · b`, packing `b` for this one product.
#[cfg(test)]
fn product_once(level: Level, c: &mut [f32], stride: usize, a: Mat, b: Mat, add: bool) {
    RIGHT.with_borrow_mut(|panels| {
        panels.room(level, b.rows, b.cols).for_each(|(p, out)| pack_panel(level, b, p, out));
        product(level, c, stride, a, b, panels.all(), add);
    });
}

thread_local! {
    static LEFT: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    static RIGHT: RefCell<Panels> = const { RefCell::new(Panels { data: Vec::new(), start: 0, size: 0 }) };
}

/// Tiles of a transposed left matrix: for every term the numbers of all its rows.
fn pack_left(level: Level, a: Mat, out: &mut Vec<f32>) {
    match level.rows() {
        8 => pack_tiles::<8>(a, out),
        _ => pack_tiles::<6>(a, out),
    }
}

fn pack_tiles<const ROWS: usize>(a: Mat, out: &mut Vec<f32>) {
    out.resize(a.rows.div_ceil(ROWS) * ROWS * a.cols, 0.0);
    for (tile, o) in out.as_chunks_mut::<ROWS>().0.chunks_exact_mut(a.cols).enumerate() {
        let first = tile * ROWS;
        let height = ROWS.min(a.rows - first);
        for (t, o) in o.iter_mut().enumerate() {
            let at = t * a.col_stride + first * a.row_stride;
            // Lengths known when compiling: a call of memmove for eight numbers would cost more than the copy.
            match a.data[at..].first_chunk::<ROWS>() {
                Some(from) if a.row_stride == 1 && height == ROWS => *o = *from,
                _ => (0..height).for_each(|i| o[i] = a.data[at + i * a.row_stride]),
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! kernels {
    ($name:ident, $features:literal, $rows:literal, $lanes:literal, [$($m:literal)*],
     $zero:ident, $set:ident, $load:ident, $store:ident, $fma:ident, $add:ident) => {
        mod $name {
            use std::arch::x86_64::*;

            const ROWS: usize = $rows;
            const COLS: usize = 2 * $lanes;

            /// `M` rows of the answer with one panel. Left numbers of a term stand together, [`ROWS`] apart from those of
            /// the next, if `PACKED`; else terms stand together and rows `apart`.
            ///
            /// # Safety
            /// The processor has the features; `a`, `b` and `c` hold what is read and written.
            #[target_feature(enable = $features)]
            #[allow(clippy::too_many_arguments)]
            unsafe fn tile<const M: usize, const PACKED: bool>(
                k: usize, a: *const f32, apart: usize, b: *const f32, c: *mut f32, stride: usize, cols: usize, add: bool,
            ) {
                // SAFETY: by the caller's promise.
                unsafe {
                    let mut sums = [[$zero(); 2]; M];
                    // What is written at the end is on its way meanwhile.
                    for i in 0..M {
                        _mm_prefetch::<_MM_HINT_T0>(c.add(i * stride).cast());
                        _mm_prefetch::<_MM_HINT_T0>(c.add(i * stride + cols - 1).cast());
                    }
                    let rows: [*const f32; M] = std::array::from_fn(|i| if PACKED { a.add(i) } else { a.add(i * apart) });
                    for t in 0..k {
                        let (b0, b1) = ($load(b.add(t * COLS)), $load(b.add(t * COLS + $lanes)));
                        for i in 0..M {
                            let v = $set(*rows[i].add(if PACKED { t * ROWS } else { t }));
                            sums[i][0] = $fma(v, b0, sums[i][0]);
                            sums[i][1] = $fma(v, b1, sums[i][1]);
                        }
                    }
                    for i in 0..M {
                        let c = c.add(i * stride);
                        if cols == COLS {
                            if add {
                                sums[i][0] = $add($load(c), sums[i][0]);
                                sums[i][1] = $add($load(c.add($lanes)), sums[i][1]);
                            }
                            $store(c, sums[i][0]);
                            $store(c.add($lanes), sums[i][1]);
                        } else {
                            let mut all = [0.0f32; COLS];
                            $store(all.as_mut_ptr(), sums[i][0]);
                            $store(all.as_mut_ptr().add($lanes), sums[i][1]);
                            for (j, v) in all[..cols].iter().enumerate() {
                                *c.add(j) = if add { *c.add(j) + v } else { *v };
                            }
                        }
                    }
                }
            }

            /// Copies rows of a panel's width that start `apart`. A call of memcpy for each would cost more than the copy.
            ///
            /// # Safety
            /// The processor has the features; `from` holds as many rows as `out`.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn pack(from: &[f32], apart: usize, out: &mut [f32]) {
                for (t, o) in out.as_chunks_mut::<COLS>().0.iter_mut().enumerate() {
                    // SAFETY: by the caller's promise.
                    unsafe {
                        let from = from.as_ptr().add(t * apart);
                        $store(o.as_mut_ptr(), $load(from));
                        $store(o.as_mut_ptr().add($lanes), $load(from.add($lanes)));
                    }
                }
            }

            /// # Safety
            /// The processor has the features; the slices hold matrices of these sizes.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn product(
                c: &mut [f32], stride: usize, [m, n, k]: [usize; 3], left: (&[f32], Option<usize>), panels: &[f32], add: bool,
            ) {
                let (a, apart) = left;
                let pieces = k.div_ceil(super::DEEP);
                let deep = k.div_ceil(pieces);
                for from in (0..k).step_by(deep) {
                    let terms = deep.min(k - from);
                    for first in (0..n).step_by(COLS) {
                        let cols = COLS.min(n - first);
                        for row in (0..m).step_by(ROWS) {
                            let height = ROWS.min(m - row);
                            let add = add || from > 0;
                            // SAFETY: all of it lies inside the matrices; packed ones are filled up to whole tiles and panels.
                            unsafe {
                                let b = panels.as_ptr().add(first * k + from * COLS);
                                let c = c.as_mut_ptr().add(row * stride + first);
                                match apart {
                                    Some(apart) => {
                                        let a = a.as_ptr().add(row * apart + from);
                                        match height {
                                            $($m => tile::<$m, false>(terms, a, apart, b, c, stride, cols, add),)*
                                            _ => unreachable!("tiles have up to {ROWS} rows"),
                                        }
                                    }
                                    None => {
                                        let a = a.as_ptr().add(row * k + from * ROWS);
                                        match height {
                                            $($m => tile::<$m, true>(terms, a, 0, b, c, stride, cols, add),)*
                                            _ => unreachable!("tiles have up to {ROWS} rows"),
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernels!(
    wide, "avx512f", 8, 16, [1 2 3 4 5 6 7 8],
    _mm512_setzero_ps, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps, _mm512_add_ps
);
#[cfg(target_arch = "x86_64")]
kernels!(
    medium, "avx2,fma", 6, 8, [1 2 3 4 5 6],
    _mm256_setzero_ps, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, _mm256_add_ps
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Rng;

    #[test]
    fn squares_are_right_of_the_diagonal() {
        let mut rng = Rng::new(3, 5);
        for [rows, d] in [[37, 150], [300, 64], [4, 3], [16, 70]] {
            let x: Vec<f32> = (0..rows * d).map(|_| rng.normal() as f32).collect();
            for level in [Level::here(), Level::Other] {
                let mut c = vec![1.0f32; d * d];
                add_squares(level, &mut c, &x, d);
                for (i, j) in (0..d).flat_map(|i| (i..d).map(move |j| (i, j))) {
                    let sum = 1.0 + (0..rows).map(|r| f64::from(x[r * d + i]) * f64::from(x[r * d + j])).sum::<f64>();
                    assert!((f64::from(c[i * d + j]) - sum).abs() < 2e-4, "{level:?} {rows} × {d} at {i}, {j}");
                }
            }
        }
    }

    #[test]
    fn products_are_those_in_double_precision() {
        let mut rng = Rng::new(3, 4);
        let levels = match Level::here() {
            Level::Wide => vec![Level::Wide, Level::Medium, Level::Other],
            Level::Medium => vec![Level::Medium, Level::Other],
            Level::Other => vec![Level::Other],
        };
        for [m, n, k] in [[1, 8, 1], [13, 33, 7], [128, 256, 784], [5, 3, 9], [29, 50, 451], [6, 16, 224]] {
            let a: Vec<f32> = (0..m * k).map(|_| rng.normal() as f32).collect();
            let b: Vec<f32> = (0..k * n).map(|_| rng.normal() as f32).collect();
            let old: Vec<f32> = (0..m * (n + 3)).map(|_| rng.normal() as f32).collect();
            for level in &levels {
                for turned in 0..8 {
                    let (ta, tb, add) = (turned & 1 > 0, turned & 2 > 0, turned & 4 > 0);
                    let left = if ta { Mat::new(&a, k, m).t() } else { Mat::new(&a, m, k) };
                    let right = if tb { Mat::new(&b, n, k).t() } else { Mat::new(&b, k, n) };
                    let mut c = old.clone();
                    product_once(*level, &mut c, n + 3, left, right, add);
                    for (i, j) in (0..m).flat_map(|i| (0..n + 3).map(move |j| (i, j))) {
                        let at = i * (n + 3) + j;
                        if j >= n {
                            assert_eq!(c[at], old[at], "{level:?} wrote beside the answer");
                            continue;
                        }
                        let of = |t: usize| {
                            let l = if ta { a[t * m + i] } else { a[i * k + t] };
                            f64::from(l) * f64::from(if tb { b[j * k + t] } else { b[t * n + j] })
                        };
                        let sum = (0..k).map(of).sum::<f64>() + if add { f64::from(old[at]) } else { 0.0 };
                        let near = (f64::from(c[at]) - sum).abs() < 4e-6 * (k as f64).sqrt() * 3.0 + 1e-6;
                        assert!(near, "{level:?} {m} × {n} × {k} at {i}, {j}: {} beside {sum}", c[at]);
                    }
                }
            }
        }
    }
}
