//! Fewer marks that still tell the same: rows in thin places stay, those in crowds are thinned.
//!
//! Each row is kept with a probability inverse to the number of rows in its cell of 8 px, so that crowded cells end up about equally
//! full and outliers, alone in theirs, always stay. Which ones is decided by a hash of the row's number: the same at every zoom that
//! gives the same probability, and rows that were kept at a lower limit are kept at a higher one. After embedding-atlas, which does it
//! in a kernel above 4 million points in view.
//!
//! Choice not taken: every n-th row, which loses exactly what is rare. Cost: two passes, about 20 ns a row.

use rayon::prelude::*;

use crate::view::{Affine, View};

/// Pixels along a cell.
const CELL: f32 = 8.0;

/// Even in `0..2^32` for a row's number (the finaliser of MurmurHash3).
fn hash(row: u32) -> u32 {
    let mut h = row ^ 0x5bd1_e995;
    for (shift, k) in [(16, 0x85eb_ca6b), (13, 0xc2b2_ae35)] {
        h = (h ^ (h >> shift)).wrapping_mul(k);
    }
    h ^ (h >> 16)
}

/// Rows in view to be drawn if about `most` are wanted, in rising order: all if there are no more in view; else every cell keeps up to an
/// equal number, chosen so that their sum comes near to `most`, and cells that hold no more than that keep all.
/// At least one row of each cell is wanted whatever `most` is.
pub fn thin(xy: &[[f32; 2]], view: &View, most: usize) -> Vec<u32> {
    if !view.is_drawable() {
        return Vec::new();
    }
    let affine = Affine::new(view, [0.0; 2], [1.0; 2]);
    let [columns, lines] = view.px.map(|n| (n as f32 / CELL).ceil() as usize);
    let cell = |p: &[f32; 2]| {
        let [x, y] = affine.px(*p);
        let inside = x >= 0.0 && y >= 0.0 && x < view.px[0] as f32 && y < view.px[1] as f32;
        inside.then(|| (y / CELL) as usize * columns + (x / CELL) as usize)
    };
    let part = xy.len().div_ceil(8).max(1 << 16);
    let count = |rows: &[[f32; 2]]| {
        let mut counts = vec![0u32; columns * lines];
        rows.iter().filter_map(cell).for_each(|c| counts[c] += 1);
        counts
    };
    let counts = xy.par_chunks(part).map(count).reduce(
        || vec![0; columns * lines],
        |mut a, b| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        },
    );
    let each = share_of_cells(&counts, most);
    let keeps = |row: usize| {
        let Some(c) = cell(&xy[row]) else { return false };
        let n = f64::from(counts[c]);
        n <= each || f64::from(hash(row as u32)) < each / n * 4_294_967_296.0
    };
    (0..xy.len()).into_par_iter().filter(|&row| keeps(row)).map(|row| row as u32).collect()
}

/// The number that each cell may keep, at least 1.
fn share_of_cells(counts: &[u32], most: usize) -> f64 {
    let mut counts: Vec<u32> = counts.iter().copied().filter(|&n| n > 0).collect();
    counts.sort_unstable();
    let mut left = most as f64;
    for (i, &n) in counts.iter().enumerate() {
        let each = left / (counts.len() - i) as f64;
        if f64::from(n) > each {
            return each.max(1.0);
        }
        left -= f64::from(n);
    }
    f64::INFINITY
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn outliers_stay_and_crowds_are_thinned() {
        let n = 100_000u32;
        let u = |i: u32| (f64::from(hash(i)) / 4_294_967_296.0) as f32;
        let mut xy: Vec<[f32; 2]> = (0..n).map(|i| [0.4 + 0.1 * u(2 * i), 0.4 + 0.1 * u(2 * i + 1)]).collect();
        // Fifty apart from all others, some outside, one nowhere.
        let alone: Vec<u32> = (0..50).map(|i| n + i).collect();
        xy.extend((0..50).map(|i| [0.01 + 0.019 * i as f32, if i % 2 == 0 { 0.05 } else { 0.9 }]));
        xy.extend([[2.0, 2.0], [-1.0, 0.5], [f32::NAN, 0.5]]);
        let view = View { x: [0.0, 1.0], y: [0.0, 1.0], px: [800, 800] };
        let kept = thin(&xy, &view, 5000);
        assert!(alone.iter().all(|row| kept.contains(row)));
        assert!(kept.len() > 4500 && kept.len() < 5500, "{}", kept.len());
        assert!(kept.is_sorted() && kept.iter().all(|&row| row < n + 50));
        // A higher limit adds rows and takes none away.
        let more = thin(&xy, &view, 20_000);
        assert!(more.len() > 18_000 && more.len() < 22_000 && kept.iter().all(|row| more.binary_search(row).is_ok()));
        assert_eq!(thin(&xy, &view, 1_000_000).len(), 100_050);
        assert!(thin(&xy, &view, 0).len() >= alone.len());
        assert!(thin(&[], &view, 10).is_empty());
    }
}
