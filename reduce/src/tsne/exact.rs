//! Repulsion of all pairs: the method for small maps and the oracle of the mesh. Cost: about 2 ns per pair.

use crate::kernel::wide;
use rayon::prelude::*;

/// Σ_j q²(y_i − y_j) for each i into `out`, and Σ_{i≠j} q with q = 1 / (1 + d²).
pub(crate) fn forces<const W: usize>(y: &[[f32; W]], out: &mut [[f32; W]]) -> f64 {
    let columns: Vec<Vec<f32>> =
        (0..3).map(|a| if a < W { y.iter().map(|p| p[a]).collect() } else { vec![0.0; y.len()] }).collect();
    let sums: Vec<f64> = out
        .par_chunks_mut(64)
        .enumerate()
        .map(|(c, out)| {
            let mut sum = 0.0f64;
            for (r, out) in out.iter_mut().enumerate() {
                let i = c * 64 + r;
                let me = [columns[0][i], columns[1][i], columns[2][i]];
                let f =
                    if W == 2 { pairs2(me, &columns[0], &columns[1]) } else { pairs3(me, &columns[0], &columns[1], &columns[2]) };
                out.copy_from_slice(&f[1..=W]);
                sum += f64::from(f[0]) - 1.0;
            }
            sum
        })
        .collect();
    sums.iter().sum()
}

fn add(lanes: &[f32; 8]) -> f32 {
    ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]))
}

wide! {
    fn pairs2(me: [f32; 3], x: &[f32], y: &[f32]) -> [f32; 4] {
        let (mut s, mut fx, mut fy) = ([0.0f32; 8], [0.0f32; 8], [0.0f32; 8]);
        let ((x8, xr), (y8, yr)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
        for (x, y) in x8.iter().zip(y8) {
            for l in 0..8 {
                let (dx, dy) = (me[0] - x[l], me[1] - y[l]);
                let q = 1.0 / (1.0 + dx * dx + dy * dy);
                s[l] += q;
                let qq = q * q;
                fx[l] += qq * dx;
                fy[l] += qq * dy;
            }
        }
        for (l, (x, y)) in xr.iter().zip(yr).enumerate() {
            let (dx, dy) = (me[0] - x, me[1] - y);
            let q = 1.0 / (1.0 + dx * dx + dy * dy);
            s[l] += q;
            fx[l] += q * q * dx;
            fy[l] += q * q * dy;
        }
        [add(&s), add(&fx), add(&fy), 0.0]
    }
}

wide! {
    fn pairs3(me: [f32; 3], x: &[f32], y: &[f32], z: &[f32]) -> [f32; 4] {
        let (mut s, mut fx, mut fy, mut fz) = ([0.0f32; 8], [0.0f32; 8], [0.0f32; 8], [0.0f32; 8]);
        for ((x, y), z) in x.chunks(8).zip(y.chunks(8)).zip(z.chunks(8)) {
            for l in 0..x.len() {
                let (dx, dy, dz) = (me[0] - x[l], me[1] - y[l], me[2] - z[l]);
                let q = 1.0 / (1.0 + dx * dx + dy * dy + dz * dz);
                s[l] += q;
                let qq = q * q;
                fx[l] += qq * dx;
                fy[l] += qq * dy;
                fz[l] += qq * dz;
            }
        }
        [add(&s), add(&fx), add(&fy), add(&fz)]
    }
}
