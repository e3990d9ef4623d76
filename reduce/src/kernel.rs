//! Small numeric tools that the methods share: matrix products, counter-based random numbers, wide loops.
//!
//! Products go through the `gemm` crate on one thread each; the callers split the work into fixed chunks, so that
//! results do not depend on the number of threads. Loops marked [`wide!`] are compiled a second time for AVX2 and the
//! version is chosen while running; no fused multiply-add is used, so both give the same bits.

use crate::Error;
use ndarray::ArrayView2;
use rayon::prelude::*;
use std::borrow::Cow;

/// Rows per chunk in all chunked sums.
pub(crate) const CHUNK: usize = 1024;

/// Compiles a function twice, for the base instruction set and for AVX2, and picks at run time.
macro_rules! wide {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($a:ident : $t:ty),* $(,)?) $(-> $r:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($a: $t),*) $(-> $r)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn plain($($a: $t),*) $(-> $r)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($a: $t),*) $(-> $r)? { plain($($a),*) }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has just been found to have AVX2, the only requirement of this function.
                    return unsafe { avx2($($a),*) };
                }
            }
            plain($($a),*)
        }
    };
}
pub(crate) use wide;

/// A strided view of a matrix of `f32`.
#[derive(Clone, Copy)]
pub(crate) struct Mat<'a> {
    pub data: &'a [f32],
    pub rows: usize,
    pub cols: usize,
    pub row_stride: usize,
    pub col_stride: usize,
}

impl<'a> Mat<'a> {
    /// Row-major `rows` × `cols`.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert!(data.len() >= rows * cols, "matrix of {rows} × {cols} needs more than {} numbers", data.len());
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// Row-major `rows` × `cols` whose rows start `stride` apart.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(rows == 0 || data.len() >= (rows - 1) * stride + cols);
        Self { data, rows, cols, row_stride: stride, col_stride: 1 }
    }

    /// The transpose, without moving anything.
    pub fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

/// `c = a · b` (or `c += a · b` if `add`), `c` row-major, on the calling thread.
pub(crate) fn mul(c: &mut [f32], a: Mat, b: Mat, add: bool) {
    mul_strided(c, b.cols, a, b, add);
}

/// As [`mul`] with rows of `c` that start `stride` apart.
pub(crate) fn mul_strided(c: &mut [f32], stride: usize, a: Mat, b: Mat, add: bool) {
    assert_eq!(a.cols, b.rows);
    assert!(stride >= b.cols && (a.rows == 0 || c.len() >= (a.rows - 1) * stride + b.cols));
    if a.rows == 0 || b.cols == 0 {
        return;
    }
    if a.cols == 0 {
        if !add {
            c.chunks_mut(stride.max(1)).take(a.rows).for_each(|row| row[..b.cols].fill(0.0));
        }
        return;
    }
    // SAFETY: the three slices were checked to hold the matrices described by the strides, `c` is borrowed mutably and
    // cannot overlap the others.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            c.as_mut_ptr(),
            1,
            stride as isize,
            add,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// SplitMix64 (Steele, Lea & Flood 2014): a well mixed number for every counter value.
pub(crate) fn mix(seed: u64, counter: u64) -> u64 {
    let mut z = seed
        .wrapping_mul(0xd134_2543_de82_ef95)
        .wrapping_add(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of random numbers made of [`mix`] with a counter.
pub(crate) struct Rng {
    seed: u64,
    counter: u64,
}

impl Rng {
    /// Stream number `stream` of `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { seed: mix(seed, stream ^ 0x5151_5151), counter: 0 }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.counter += 1;
        mix(self.seed, self.counter)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in 0..n.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Standard normal (Box & Muller).
    pub fn normal(&mut self) -> f64 {
        let u = 1.0 - self.uniform();
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// The numbers 0..n in random order.
    pub fn shuffled(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }

    /// `m` of the numbers 0..n without repeats, ascending.
    pub fn sample(&mut self, n: usize, m: usize) -> Vec<usize> {
        if m >= n {
            return (0..n).collect();
        }
        // Floyd's algorithm.
        let mut chosen = std::collections::BTreeSet::new();
        for j in n - m..n {
            let t = self.below(j + 1);
            if !chosen.insert(t) {
                chosen.insert(j);
            }
        }
        chosen.into_iter().collect()
    }
}

/// A row-major copy of `x`, checked to be finite and not empty.
pub(crate) fn checked(x: ArrayView2<f32>) -> Result<Vec<f32>, Error> {
    borrowed(x).map(Cow::into_owned)
}

/// [`checked`], brought within reach of squares ([`crate::level`]), and the power of two that they were divided by.
pub(crate) fn levelled(x: ArrayView2<f32>) -> Result<(Vec<f32>, i32), Error> {
    let mut data = checked(x)?;
    let power = crate::level::within(&mut data);
    Ok((data, power))
}

/// The numbers of `x` row by row, not copied where they already stand so, checked to be finite and not empty.
pub(crate) fn borrowed(x: ArrayView2<'_, f32>) -> Result<Cow<'_, [f32]>, Error> {
    let (n, d) = x.dim();
    if n == 0 || d == 0 {
        return Err(Error::Empty);
    }
    let data = match x.to_slice() {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(x.iter().copied().collect()),
    };
    if data.par_chunks(1 << 16).all(finite) {
        return Ok(data);
    }
    match data.iter().position(|v| !v.is_finite()) {
        Some(i) => Err(Error::NotFinite { row: i / d, dim: i % d }),
        None => Ok(data),
    }
}

wide! {
    fn finite(values: &[f32]) -> bool {
        values.chunks(256).all(|c| c.iter().fold(true, |all, v| all & v.is_finite()))
    }
}

/// Checks that a job of `needs` bytes has room: three quarters of what the system says is free, 16 GB where it does not say.
pub(crate) fn check_memory(needs: u64) -> Result<(), Error> {
    let free = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map_or(16_000_000_000, |kib| kib * 1024 / 4 * 3);
    if needs > free { Err(Error::TooLarge { needs_bytes: needs }) } else { Ok(()) }
}

wide! {
    /// Squared Euclidean distance, summed in eight lanes.
    pub(crate) fn distance2(a: &[f32], b: &[f32]) -> f32 {
        let n = a.len().min(b.len());
        let (a, b) = (&a[..n], &b[..n]);
        let mut lanes = [0.0f32; 8];
        let (ca, cb) = (a.chunks_exact(8), b.chunks_exact(8));
        let mut rest = 0.0f32;
        for (x, y) in ca.remainder().iter().zip(cb.remainder()) {
            rest += (x - y) * (x - y);
        }
        for (x, y) in ca.zip(cb) {
            for l in 0..8 {
                let t = x[l] - y[l];
                lanes[l] += t * t;
            }
        }
        ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7])) + rest
    }
}

wide! {
    /// Adds up the columns of some rows.
    fn add_rows(rows: &[f32], sum: &mut [f64]) {
        for row in rows.chunks_exact(sum.len()) {
            for (s, v) in sum.iter_mut().zip(row) {
                *s += f64::from(*v);
            }
        }
    }
}

/// Mean of each column, f64, chunk by chunk.
pub(crate) fn column_means(x: &[f32], n: usize, d: usize) -> Vec<f64> {
    let parts: Vec<Vec<f64>> = x[..n * d]
        .par_chunks(CHUNK * d)
        .map(|chunk| {
            let mut sum = vec![0.0f64; d];
            add_rows(chunk, &mut sum);
            sum
        })
        .collect();
    let mut mean = vec![0.0f64; d];
    for part in parts {
        for (m, p) in mean.iter_mut().zip(part) {
            *m += p;
        }
    }
    mean.iter_mut().for_each(|m| *m /= n as f64);
    mean
}

/// Median of some numbers; 0 for none. Reorders them.
pub(crate) fn median(values: &mut [f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let mid = values.len() / 2;
    *values.select_nth_unstable_by(mid, f32::total_cmp).1
}
