//! Sums over other rows in eight lanes, the innermost loops of the maps, written out for AVX2.
//!
//! Left to itself the compiler shuffles lanes through the stack here: the sum over all pairs takes 0.6 ns a pair instead
//! of 0.2, that over listed rows 1.7 ns instead of 1.0. Without AVX2 the same sums are made in the same order, so that
//! both give the same bits; there is no fused multiply-add.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
fn avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

/// The eight lanes of a sum.
fn add(lanes: &[f32; 8]) -> f32 {
    ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]))
}

/// How strongly a row at squared distance d² pulls.
#[derive(Clone, Copy)]
pub(crate) enum Weight<'a> {
    /// p / (1 + d²), one p a row.
    Student(&'a [f32]),
    /// factor / (offset + d²)².
    Square {
        /// Above.
        factor: f32,
        /// Below.
        offset: f32,
    },
}

impl Weight<'_> {
    fn offset(&self) -> f32 {
        match self {
            Self::Student(_) => 1.0,
            Self::Square { offset, .. } => *offset,
        }
    }

    #[inline(always)]
    fn of(&self, e: usize, d: f32) -> f32 {
        match self {
            Self::Student(p) => p[e] / d,
            Self::Square { factor, .. } => factor / (d * d),
        }
    }
}

/// Σ weight · (me − y_j) over the listed rows, row e of the list in lane e mod 8.
#[inline]
pub(crate) fn listed<const W: usize>(me: &[f32; W], ids: &[u32], y: &[[f32; W]], weight: Weight) -> [f32; W] {
    let mut sums = [[0.0f32; 8]; W];
    #[cfg(target_arch = "x86_64")]
    if W == 2 && avx2() {
        // SAFETY: AVX2 has just been found.
        let s = unsafe { listed_avx2([me[0], me[1]], ids, y.as_flattened().as_chunks().0, weight) };
        sums[0] = s[0];
        sums[1] = s[1];
    } else {
        listed_plain(me, ids, y, weight, &mut sums);
    }
    #[cfg(not(target_arch = "x86_64"))]
    listed_plain(me, ids, y, weight, &mut sums);
    std::array::from_fn(|c| add(&sums[c]))
}

#[inline(always)]
fn one<const W: usize>(me: &[f32; W], other: &[f32; W], weight: Weight, e: usize, mut to: impl FnMut(usize, f32)) {
    let delta: [f32; W] = std::array::from_fn(|c| me[c] - other[c]);
    let mut d = weight.offset();
    delta.iter().for_each(|v| d += v * v);
    let w = weight.of(e, d);
    delta.iter().enumerate().for_each(|(c, v)| to(c, w * v));
}

fn listed_plain<const W: usize>(me: &[f32; W], ids: &[u32], y: &[[f32; W]], weight: Weight, sums: &mut [[f32; 8]; W]) {
    for (e, j) in ids.iter().enumerate() {
        one(me, &y[*j as usize], weight, e, |c, v| sums[c][e % 8] += v);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn listed_avx2(me: [f32; 2], ids: &[u32], y: &[[f32; 2]], weight: Weight) -> [[f32; 8]; 2] {
    let (mx, my) = (_mm256_set1_ps(me[0]), _mm256_set1_ps(me[1]));
    let offset = _mm256_set1_ps(weight.offset());
    let (mut sx, mut sy) = (_mm256_setzero_ps(), _mm256_setzero_ps());
    // Macros, since closures are not put in line here.
    macro_rules! two {
        ($a:expr, $b:expr) => {
            // SAFETY: a place is two numbers, and its index is checked.
            unsafe { _mm_loadh_pd(_mm_load_sd(y[$a as usize].as_ptr().cast()), y[$b as usize].as_ptr().cast()) }
        };
    }
    macro_rules! step {
        ($ids:expr) => {{
            let ids: &[u32; 8] = $ids;
            // x0 y0 x1 y1 | x4 y4 x5 y5 and x2 y2 x3 y3 | x6 y6 x7 y7, then all x and all y.
            let a = _mm256_castpd_ps(_mm256_set_m128d(two!(ids[4], ids[5]), two!(ids[0], ids[1])));
            let b = _mm256_castpd_ps(_mm256_set_m128d(two!(ids[6], ids[7]), two!(ids[2], ids[3])));
            let dx = _mm256_sub_ps(mx, _mm256_shuffle_ps(a, b, 0x88));
            let dy = _mm256_sub_ps(my, _mm256_shuffle_ps(a, b, 0xdd));
            let d = _mm256_add_ps(_mm256_add_ps(offset, _mm256_mul_ps(dx, dx)), _mm256_mul_ps(dy, dy));
            (dx, dy, d)
        }};
    }
    let (whole, rest) = ids.as_chunks::<8>();
    // The last few rows, filled up with rows of no weight.
    let (mut last, mut pull) = ([rest.first().copied().unwrap_or(0); 8], [0.0f32; 8]);
    last[..rest.len()].copy_from_slice(rest);
    match weight {
        Weight::Student(p) => {
            let (p, p_rest) = p[..ids.len()].as_chunks::<8>();
            pull[..rest.len()].copy_from_slice(p_rest);
            let rest = (!rest.is_empty()).then_some((&last, &pull));
            for (ids, p) in whole.iter().zip(p).chain(rest) {
                let (dx, dy, d) = step!(ids);
                // SAFETY: `p` are eight numbers.
                let w = _mm256_div_ps(unsafe { _mm256_loadu_ps(p.as_ptr()) }, d);
                sx = _mm256_add_ps(sx, _mm256_mul_ps(w, dx));
                sy = _mm256_add_ps(sy, _mm256_mul_ps(w, dy));
            }
        }
        Weight::Square { factor, .. } => {
            pull[..rest.len()].fill(factor);
            let all = _mm256_set1_ps(factor);
            for ids in whole {
                let (dx, dy, d) = step!(ids);
                let w = _mm256_div_ps(all, _mm256_mul_ps(d, d));
                sx = _mm256_add_ps(sx, _mm256_mul_ps(w, dx));
                sy = _mm256_add_ps(sy, _mm256_mul_ps(w, dy));
            }
            if !rest.is_empty() {
                let (dx, dy, d) = step!(&last);
                // SAFETY: `pull` are eight numbers.
                let w = _mm256_div_ps(unsafe { _mm256_loadu_ps(pull.as_ptr()) }, _mm256_mul_ps(d, d));
                sx = _mm256_add_ps(sx, _mm256_mul_ps(w, dx));
                sy = _mm256_add_ps(sy, _mm256_mul_ps(w, dy));
            }
        }
    }
    [stored(sx), stored(sy)]
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn stored(v: __m256) -> [f32; 8] {
    let mut out = [0.0f32; 8];
    // SAFETY: there is room for eight numbers.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), v) };
    out
}

/// Σ q and Σ q²·(me − y_j) over all rows, given as one slice an axis; q = 1 / (1 + d²).
pub(crate) fn all<const W: usize>(me: &[f32; W], axes: &[&[f32]; W]) -> (f32, [f32; W]) {
    let n = axes[0].len();
    let whole = n / 8 * 8;
    let mut sums = ([0.0f32; 8], [[0.0f32; 8]; W]);
    #[cfg(target_arch = "x86_64")]
    if avx2() {
        // SAFETY: AVX2 has just been found.
        sums = unsafe { all_avx2(me, axes) };
    } else {
        all_plain(me, axes, 0..whole, &mut sums);
    }
    #[cfg(not(target_arch = "x86_64"))]
    all_plain(me, axes, 0..whole, &mut sums);
    all_plain(me, axes, whole..n, &mut sums);
    (add(&sums.0), std::array::from_fn(|c| add(&sums.1[c])))
}

fn all_plain<const W: usize>(
    me: &[f32; W],
    axes: &[&[f32]; W],
    range: std::ops::Range<usize>,
    sums: &mut ([f32; 8], [[f32; 8]; W]),
) {
    for j in range {
        let delta: [f32; W] = std::array::from_fn(|c| me[c] - axes[c][j]);
        let mut d = 1.0f32;
        delta.iter().for_each(|v| d += v * v);
        let q = 1.0 / d;
        sums.0[j % 8] += q;
        for (sums, delta) in sums.1.iter_mut().zip(&delta) {
            sums[j % 8] += q * q * delta;
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[allow(clippy::needless_range_loop)]
fn all_avx2<const W: usize>(me: &[f32; W], axes: &[&[f32]; W]) -> ([f32; 8], [[f32; 8]; W]) {
    let one = _mm256_set1_ps(1.0);
    let mut s = _mm256_setzero_ps();
    let mut f = [_mm256_setzero_ps(); W];
    let blocks: [&[[f32; 8]]; W] = std::array::from_fn(|c| axes[c].as_chunks::<8>().0);
    for b in 0..blocks[0].len() {
        let mut delta = [one; W];
        let mut d = one;
        for c in 0..W {
            // SAFETY: a block is eight numbers.
            delta[c] = _mm256_sub_ps(_mm256_set1_ps(me[c]), unsafe { _mm256_loadu_ps(blocks[c][b].as_ptr()) });
            d = _mm256_add_ps(d, _mm256_mul_ps(delta[c], delta[c]));
        }
        let q = _mm256_div_ps(one, d);
        s = _mm256_add_ps(s, q);
        let qq = _mm256_mul_ps(q, q);
        for c in 0..W {
            f[c] = _mm256_add_ps(f[c], _mm256_mul_ps(qq, delta[c]));
        }
    }
    (stored(s), std::array::from_fn(|c| stored(f[c])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Rng;

    fn places<const W: usize>(n: usize) -> Vec<[f32; W]> {
        let mut rng = Rng::new(5, 0);
        (0..n).map(|_| std::array::from_fn(|_| rng.normal() as f32 * 10.0)).collect()
    }

    #[test]
    fn both_ways_give_the_same_bits() {
        let y = places::<2>(500);
        let mut rng = Rng::new(6, 0);
        let p: Vec<f32> = (0..64).map(|_| rng.uniform() as f32).collect();
        for count in [0, 3, 8, 21, 64] {
            let ids: Vec<u32> = (0..count).map(|_| rng.below(500) as u32).collect();
            for weight in [Weight::Student(&p[..count]), Weight::Square { factor: 20.0, offset: 11.0 }] {
                let mut plain = [[0.0f32; 8]; 2];
                listed_plain(&y[3], &ids, &y, weight, &mut plain);
                assert_eq!(listed(&y[3], &ids, &y, weight), [add(&plain[0]), add(&plain[1])], "{count}");
            }
        }
        let z = places::<3>(101);
        let axes: [Vec<f32>; 3] = std::array::from_fn(|c| z.iter().map(|p| p[c]).collect());
        let axes = [&axes[0][..], &axes[1][..], &axes[2][..]];
        let mut plain = ([0.0f32; 8], [[0.0f32; 8]; 3]);
        all_plain(&z[7], &axes, 0..101, &mut plain);
        let got = all(&z[7], &axes);
        assert_eq!(got, (add(&plain.0), std::array::from_fn(|c| add(&plain.1[c]))));
        let direct: f64 = z.iter().map(|o| 1.0 / (1.0 + (0..3).map(|c| f64::from(z[7][c] - o[c]).powi(2)).sum::<f64>())).sum();
        assert!((f64::from(got.0) / direct - 1.0).abs() < 1e-5);
    }
}
