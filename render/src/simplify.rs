//! Makes a hand-drawn outline fit for use: fewer corners, and none at all where it encloses nothing.
//!
//! Ramer-Douglas-Peucker with a stack, in pixels, where the hand's jitter is known; the result goes to data units afterwards.
//! Choice not taken: Visvalingam's areas, which round off the thin lobes that people draw on purpose. Cost: n log n as a rule, n² at
//! worst, for some thousand corners. Thresholds as embedding-atlas has them (0.5 px; fewer than 3 corners or 9 px² are no outline).

/// Tolerance for outlines drawn by hand, in pixels.
pub const TOLERANCE_PX: f64 = 0.5;
/// Outlines around less are slips of the hand, in square pixels.
pub const LEAST_AREA_PX2: f64 = 9.0;

fn distance(a: [f64; 2], b: [f64; 2], p: [f64; 2]) -> f64 {
    let d = [b[0] - a[0], b[1] - a[1]];
    let q = [p[0] - a[0], p[1] - a[1]];
    let length = d[0] * d[0] + d[1] * d[1];
    let t = if length > 0.0 { ((q[0] * d[0] + q[1] * d[1]) / length).clamp(0.0, 1.0) } else { 0.0 };
    (q[0] - t * d[0]).hypot(q[1] - t * d[1])
}

/// An open line with every dropped corner within `tolerance` of what is left. Keeps both ends; drops corners that are not finite.
pub fn line(points: &[[f64; 2]], tolerance: f64) -> Vec<[f64; 2]> {
    let points: Vec<[f64; 2]> = points.iter().copied().filter(|p| p[0].is_finite() && p[1].is_finite()).collect();
    if points.len() < 3 {
        return points;
    }
    let mut keep = vec![false; points.len()];
    let last = points.len() - 1;
    (keep[0], keep[last]) = (true, true);
    let mut stack = vec![(0, last)];
    while let Some((a, b)) = stack.pop() {
        let far = (a + 1..b)
            .map(|i| (distance(points[a], points[b], points[i]), i))
            .max_by(|x, y| x.0.total_cmp(&y.0).then(y.1.cmp(&x.1)));
        if let Some((d, i)) = far
            && d > tolerance
        {
            keep[i] = true;
            stack.extend([(a, i), (i, b)]);
        }
    }
    points.iter().zip(keep).filter(|(_, k)| *k).map(|(p, _)| *p).collect()
}

/// A closed outline (the last corner joins the first by itself): it is split at the corner farthest from the first, so that the
/// choice of the first corner does not matter much.
pub fn closed(points: &[[f64; 2]], tolerance: f64) -> Vec<[f64; 2]> {
    let mut points: Vec<[f64; 2]> = points.iter().copied().filter(|p| p[0].is_finite() && p[1].is_finite()).collect();
    while points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    let Some(&first) = points.first() else { return points };
    let reach = |p: &[f64; 2]| (p[0] - first[0]).hypot(p[1] - first[1]);
    let far = (0..points.len()).max_by(|&a, &b| reach(&points[a]).total_cmp(&reach(&points[b]))).unwrap_or(0);
    let mut out = line(&points[..=far], tolerance);
    let mut back: Vec<[f64; 2]> = points[far..].to_vec();
    back.push(first);
    let back = line(&back, tolerance);
    out.extend(&back[1..back.len().max(2) - 1]);
    out
}

/// Area that an outline encloses, without sign; parts that run the other way subtract.
pub fn area(points: &[[f64; 2]]) -> f64 {
    let n = points.len();
    let origin = points.first().copied().unwrap_or([0.0; 2]);
    let at = |i: usize| [points[i % n][0] - origin[0], points[i % n][1] - origin[1]];
    (0..n).map(|i| at(i)[0] * at(i + 1)[1] - at(i + 1)[0] * at(i)[1]).sum::<f64>().abs() / 2.0
}

/// A lasso as it came from the pointer, in pixels: simplified to [`TOLERANCE_PX`]; none if it has fewer than three corners or spans
/// less than [`LEAST_AREA_PX2`] (by its hull's box, so that a figure of eight is not lost).
pub fn lasso(points_px: &[[f64; 2]]) -> Option<Vec<[f64; 2]>> {
    let out = closed(points_px, TOLERANCE_PX);
    let (mut lo, mut hi) = ([f64::MAX; 2], [f64::MIN; 2]);
    for p in &out {
        for k in 0..2 {
            (lo[k], hi[k]) = (lo[k].min(p[k]), hi[k].max(p[k]));
        }
    }
    (out.len() >= 3 && (hi[0] - lo[0]) * (hi[1] - lo[1]) >= LEAST_AREA_PX2).then_some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_dropped_corner_is_near_what_is_left() {
        let circle: Vec<[f64; 2]> = (0..1000)
            .map(|i| {
                let t = f64::from(i) * std::f64::consts::TAU / 1000.0;
                [200.0 + 100.0 * t.cos(), 200.0 + 100.0 * t.sin()]
            })
            .collect();
        let out = closed(&circle, 0.5);
        assert!(out.len() > 15 && out.len() < 60, "{}", out.len());
        for p in &circle {
            let d = (0..out.len()).map(|i| distance(out[i], out[(i + 1) % out.len()], *p)).fold(f64::MAX, f64::min);
            assert!(d <= 0.5 + 1e-9, "{d}");
        }
        assert!((area(&out) / area(&circle) - 1.0).abs() < 0.01);
        assert_eq!(line(&[[0.0, 0.0], [1.0, 0.1], [2.0, 0.0]], 0.5), [[0.0, 0.0], [2.0, 0.0]]);
        assert_eq!(line(&[[0.0, 0.0], [1.0, 0.9], [2.0, 0.0]], 0.5).len(), 3);
    }

    #[test]
    fn slips_of_the_hand_are_no_lasso() {
        assert_eq!(lasso(&[]), None);
        assert_eq!(lasso(&[[1.0, 1.0]; 20]), None);
        assert_eq!(lasso(&[[0.0, 0.0], [50.0, 0.1], [100.0, 0.0]]), None);
        assert_eq!(lasso(&[[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]), None);
        assert_eq!(lasso(&[[0.0, 0.0], [20.0, 0.0], [20.0, 20.0], [f64::NAN, 1.0], [0.0, 20.0], [0.0, 0.0]]).unwrap().len(), 4);
        // A figure of eight encloses no area by the formula, yet it is a lasso.
        assert_eq!(lasso(&[[0.0, 0.0], [20.0, 20.0], [20.0, 0.0], [0.0, 20.0]]).unwrap().len(), 4);
    }
}
