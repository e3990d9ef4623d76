//! A camera that turns around a point: maps of three dimensions as positions in the plane of the screen.
//!
//! Project once a camera ([`Orbit::project`]) and give the result to [`crate::Points`]; zoom and pan stay with the plane's own
//! [`crate::View`]. What is selected on the screen is selected in the projection ([`crate::grid::in_outline`], or a
//! [`crate::grid::PointGrid`] of it once the camera rests), so a lasso takes what is seen in it, at any depth.
//!
//! Choice not taken: a matrix in the kernels (hover, lasso and hidden rows would need it too, and two positions a row serve them all
//! as they are). Cost: about 20 ns a point and thread.

use rayon::prelude::*;

/// Steepest view from above or below, in radians: at the pole itself there is no up.
pub const STEEPEST: f64 = 1.55;

/// Directions and distance of a camera. Data's z runs up; at yaw and pitch 0 the camera looks along +y, with x to the right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Orbit {
    /// What it turns around, in data units.
    pub target: [f64; 3],
    /// Radians around z, against the clock as seen from above.
    pub yaw: f64,
    /// Radians above the horizon.
    pub pitch: f64,
    /// Distance to the target in data units; infinite for no perspective.
    pub distance: f64,
}

impl Default for Orbit {
    fn default() -> Self {
        Self { target: [0.0; 3], yaw: 0.5, pitch: 0.4, distance: f64::INFINITY }
    }
}

impl Orbit {
    /// Around the middle of some positions, at three times their half diagonal; those that are not finite do not count.
    pub fn around(xyz: &[[f32; 3]]) -> Self {
        let (mut lo, mut hi) = ([f64::MAX; 3], [f64::MIN; 3]);
        for p in xyz.iter().filter(|p| p.iter().all(|v| v.is_finite())) {
            for k in 0..3 {
                (lo[k], hi[k]) = (lo[k].min(f64::from(p[k])), hi[k].max(f64::from(p[k])));
            }
        }
        if lo[0] > hi[0] {
            return Self::default();
        }
        let target = [0, 1, 2].map(|k| (lo[k] + hi[k]) / 2.0);
        let half = (0..3).map(|k| (hi[k] - lo[k]).powi(2)).sum::<f64>().sqrt() / 2.0;
        Self { target, distance: if half > 0.0 { half * 3.0 } else { f64::INFINITY }, ..Self::default() }
    }

    /// Unit vectors to the right, up, and towards the camera.
    pub fn axes(&self) -> [[f64; 3]; 3] {
        let ((sy, cy), (sp, cp)) = (self.yaw.sin_cos(), self.pitch.clamp(-STEEPEST, STEEPEST).sin_cos());
        [[cy, sy, 0.0], [-sy * sp, cy * sp, cp], [sy * cp, -cy * cp, sp]]
    }

    /// Turns by a drag in radians to the right and up, as if the data were held at the front.
    pub fn turn(&mut self, right: f64, up: f64) {
        self.yaw = (self.yaw - right).rem_euclid(std::f64::consts::TAU);
        self.pitch = (self.pitch - up).clamp(-STEEPEST, STEEPEST);
    }

    /// Place of one position in the plane through the target that faces the camera (right, up, in data units relative to the
    /// target), and its depth towards the camera. None behind or within a thousandth of the distance of the camera, or if it is not
    /// finite.
    pub fn place(&self, p: [f32; 3]) -> Option<([f32; 2], f32)> {
        self.placed(&self.axes(), p)
    }

    fn placed(&self, axes: &[[f64; 3]; 3], p: [f32; 3]) -> Option<([f32; 2], f32)> {
        let d: [f64; 3] = std::array::from_fn(|k| f64::from(p[k]) - self.target[k]);
        let [right, up, near] = axes.map(|a| a[0] * d[0] + a[1] * d[1] + a[2] * d[2]);
        let factor = if self.distance.is_finite() { self.distance / (self.distance - near) } else { 1.0 };
        let place = [(right * factor) as f32, (up * factor) as f32];
        let seen = factor > 0.0 && factor < 1000.0 && place.iter().all(|v| v.is_finite());
        seen.then_some((place, near as f32))
    }

    /// Places of many positions, for [`crate::Points`] and [`crate::grid`]; rows that are not seen are not a number. All threads;
    /// the result does not depend on their number.
    pub fn project(&self, xyz: &[[f32; 3]]) -> Vec<[f32; 2]> {
        let axes = self.axes();
        xyz.par_iter().with_min_len(1 << 12).map(|&p| self.placed(&axes, p).map_or([f32::NAN; 2], |(place, _)| place)).collect()
    }

    /// Depths (towards the camera, data units, 0 at the target) of the same rows: to draw near marks larger
    /// ([`crate::Points::set_sizes`] with [`Orbit::size_at`]).
    pub fn depths(&self, xyz: &[[f32; 3]]) -> Vec<f32> {
        let axes = self.axes();
        xyz.par_iter().with_min_len(1 << 12).map(|&p| self.placed(&axes, p).map_or(f32::NAN, |(_, depth)| depth)).collect()
    }

    /// Factor on the size of a mark at a depth: 1 at the target and everywhere without perspective.
    pub fn size_at(&self, depth: f32) -> f32 {
        if self.distance.is_finite() { (self.distance / (self.distance - f64::from(depth))) as f32 } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::grid::{self, PointGrid};

    fn close(a: [f32; 2], b: [f64; 2]) -> bool {
        (f64::from(a[0]) - b[0]).abs() < 1e-6 && (f64::from(a[1]) - b[1]).abs() < 1e-6
    }

    #[test]
    fn axes_are_where_they_should_be() {
        let front = Orbit { target: [1.0, 2.0, 3.0], yaw: 0.0, pitch: 0.0, distance: f64::INFINITY };
        assert!(close(front.place([2.0, 9.0, 3.5]).unwrap().0, [1.0, 0.5]));
        // From the side, x runs away from the camera.
        let side = Orbit { yaw: std::f64::consts::FRAC_PI_2, ..front };
        assert!(close(side.place([2.0, 2.5, 3.0]).unwrap().0, [0.5, 0.0]));
        assert!((side.place([2.0, 2.0, 3.0]).unwrap().1 - 1.0).abs() < 1e-6);
        // From above, y runs up (nearly: the pole is not reached).
        let above = Orbit { pitch: 1.0, ..front };
        let p = above.place([1.0, 3.0, 3.0]).unwrap().0;
        assert!(close(p, [0.0, 1f64.sin()]));
        for (yaw, pitch) in [(0.3, 0.2), (4.0, -1.2), (-9.0, 7.0)] {
            let a = Orbit { yaw, pitch, ..front }.axes();
            for i in 0..3 {
                for j in 0..3 {
                    let dot: f64 = (0..3).map(|k| a[i][k] * a[j][k]).sum();
                    assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-12);
                }
            }
            // Right-handed: right x up = towards the camera.
            let cross = [0, 1, 2].map(|k| a[0][(k + 1) % 3] * a[1][(k + 2) % 3] - a[0][(k + 2) % 3] * a[1][(k + 1) % 3]);
            assert!((0..3).all(|k| (cross[k] - a[2][k]).abs() < 1e-12));
        }
    }

    #[test]
    fn perspective_makes_near_things_large_and_hides_what_is_behind() {
        let camera = Orbit { target: [0.0; 3], yaw: 0.0, pitch: 0.0, distance: 10.0 };
        assert!(close(camera.place([1.0, 0.0, 1.0]).unwrap().0, [1.0, 1.0]));
        assert!(close(camera.place([1.0, -5.0, 1.0]).unwrap().0, [2.0, 2.0]));
        assert!(close(camera.place([1.0, 10.0, 1.0]).unwrap().0, [0.5, 0.5]));
        assert_eq!(camera.size_at(5.0), 2.0);
        assert_eq!(camera.place([1.0, -10.0, 1.0]), None);
        assert_eq!(camera.place([1.0, -20.0, 1.0]), None);
        assert_eq!(camera.place([f32::NAN, 0.0, 1.0]), None);
        let around = Orbit::around(&[[0.0, 0.0, 0.0], [2.0, 4.0, 6.0], [f32::NAN, 1e9, 0.0]]);
        assert_eq!(around.target, [1.0, 2.0, 3.0]);
        assert!((around.distance - 3.0 * 14f64.sqrt()).abs() < 1e-9);
        assert_eq!(Orbit::around(&[]), Orbit::default());
        assert!(Orbit::around(&[[1.0; 3]]).distance.is_infinite());
        let mut camera = camera;
        camera.turn(0.1, 9.0);
        assert!(camera.pitch == -STEEPEST && camera.yaw > 6.0);
    }

    #[test]
    fn a_lasso_in_the_projection_takes_what_is_seen_in_it() {
        // Two clouds that cover each other from the front and lie apart from the side.
        let xyz: Vec<[f32; 3]> = (0..2000u32)
            .map(|i| {
                let u = |k: u32| (i.wrapping_mul(0x9e37_79b1).rotate_left(k * 11) >> 8) as f32 / (1 << 24) as f32 - 0.5;
                [u(0), u(1) + if i % 2 == 0 { -4.0 } else { 4.0 }, u(2)]
            })
            .chain([[0.0, -100.0, 0.0]])
            .collect();
        let square = [[-2.0, -2.0], [2.0, -2.0], [2.0, 2.0], [-2.0, 2.0]];
        let front = Orbit { target: [0.0; 3], yaw: 0.0, pitch: 0.0, distance: 50.0 };
        let seen = front.project(&xyz);
        let rows = grid::in_outline(&seen, &square);
        assert_eq!(grid::count(&rows), 2000); // not the one behind the camera
        let side = Orbit { yaw: std::f64::consts::FRAC_PI_2, ..front };
        let seen = side.project(&xyz);
        let right = square.map(|p| [p[0] + 4.0, p[1]]);
        let rows = grid::in_outline(&seen, &right);
        assert!((0..2000).all(|i| (rows[i / 64] >> (i % 64) & 1 == 1) == (i % 2 == 1)));
        assert_eq!(PointGrid::from_xy(seen).in_polygon(&right), rows);
        assert_eq!(side.depths(&xyz).len(), xyz.len());
    }
}
