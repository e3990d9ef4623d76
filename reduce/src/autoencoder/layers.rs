//! The loops of the network that are not matrix products, each compiled for wide instructions.

use crate::kernel::wide;

wide! {
    /// Adds the bias to every row's sums and puts SiLU of that into `out` and its derivative into `sums`.
    pub(super) fn activate(sums: &mut [f32], bias: &[f32], out: &mut [f32]) {
        let n = bias.len();
        for (s, o) in sums.chunks_exact_mut(n).zip(out.chunks_exact_mut(n)) {
            for ((s, o), b) in s.iter_mut().zip(o.iter_mut()).zip(bias) {
                let x = *s + *b;
                let f = sigmoid(x);
                *o = x * f;
                *s = f * (1.0 + x * (1.0 - f));
            }
        }
    }
}

wide! {
    /// Adds the bias to every row's sums and takes SiLU, or nothing, in place.
    pub(super) fn activate_in_place(sums: &mut [f32], bias: &[f32], linear: bool) {
        for s in sums.chunks_exact_mut(bias.len()) {
            for (s, b) in s.iter_mut().zip(bias) {
                let v = *s + *b;
                *s = if linear { v } else { v * sigmoid(v) };
            }
        }
    }
}

wide! {
    /// Multiplies `delta` by the derivatives that [`activate`] left.
    pub(super) fn unactivate(delta: &mut [f32], slopes: &[f32]) {
        for (d, s) in delta.iter_mut().zip(slopes) {
            *d *= *s;
        }
    }
}

/// 1 / (1 + e⁻ˣ) with a polynomial exponential (relative error 3e-6) that compiles to wide instructions.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exponential(-x))
}

/// eˣ, relative error 3e-6, of numbers cut to ±80.
#[inline(always)]
pub(super) fn exponential(x: f32) -> f32 {
    let t = x.clamp(-80.0, 80.0) * std::f32::consts::LOG2_E;
    let whole = (t + 12_582_912.0) - 12_582_912.0;
    let f = t - whole;
    let p = 1.0 + f * (std::f32::consts::LN_2 + f * (0.240_226_5 + f * (0.055_504_11 + f * (0.009_618_129 + f * 0.001_333_356))));
    p * f32::from_bits(((whole as i32 + 127) << 23) as u32)
}

wide! {
    /// Turns the sums of the last layer for one row into the derivative of its squared error, times `scale`; returns the
    /// squared error. Summed in eight lanes.
    pub(super) fn differ(out: &mut [f32], bias: &[f32], target: &[f32], scale: f32) -> f32 {
        let mut lanes = [0.0f32; 8];
        let (o8, o_rest) = out.as_chunks_mut::<8>();
        let ((b8, b_rest), (t8, t_rest)) = (bias.as_chunks::<8>(), target.as_chunks::<8>());
        for ((o, b), t) in o8.iter_mut().zip(b8).zip(t8) {
            for l in 0..8 {
                let e = o[l] + b[l] - t[l];
                lanes[l] += e * e;
                o[l] = scale * e;
            }
        }
        let mut sum = ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
        for ((o, b), t) in o_rest.iter_mut().zip(b_rest).zip(t_rest) {
            let e = *o + *b - *t;
            sum += e * e;
            *o = scale * e;
        }
        sum
    }
}

/// As [`differ`], each cell with a weight.
pub(super) fn differ_weighted(out: &mut [f32], bias: &[f32], target: &[f32], weights: &[f32], scale: f32) -> f32 {
    let mut sum = 0.0f32;
    for ((o, b), (t, w)) in out.iter_mut().zip(bias).zip(target.iter().zip(weights)) {
        let e = *o + b - t;
        sum += w * e * e;
        *o = scale * w * e;
    }
    sum
}

wide! {
    /// One Adam step (Kingma & Ba 2015) for a block of weights; `rate` has the bias correction in it.
    pub(super) fn adam(w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], rate: f32, eps: f32) {
        for (((w, g), m), v) in w.iter_mut().zip(g).zip(m.iter_mut()).zip(v.iter_mut()) {
            *m = 0.9 * *m + 0.1 * *g;
            *v = 0.999 * *v + 0.001 * *g * *g;
            *w -= rate * *m / (v.sqrt() + eps);
        }
    }
}

wide! {
    /// Adds `v` times a row of weights.
    pub(super) fn add(sums: &mut [f32], v: f32, w: &[f32]) {
        for (s, w) in sums.iter_mut().zip(w) {
            *s += v * *w;
        }
    }
}

wide! {
    /// Sums of the columns of a matrix of `sums.len()` columns.
    pub(super) fn column_sums(rows: &[f32], sums: &mut [f32]) {
        sums.fill(0.0);
        for row in rows.chunks_exact(sums.len()) {
            for (s, v) in sums.iter_mut().zip(row) {
                *s += *v;
            }
        }
    }
}
