//! What several tests share: recorded data, made data, thread pools.
#![allow(dead_code)]

use ndarray::Array2;
use serde_json::Value;
use std::path::PathBuf;

pub fn peers(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/peers").join(name)
}

pub fn digits() -> Array2<f32> {
    let bytes = std::fs::read(peers("digits.bin")).unwrap();
    Array2::from_shape_vec((1797, 64), bytes.into_iter().map(f32::from).collect()).unwrap()
}

pub fn recorded(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(peers(name)).unwrap()).unwrap()
}

pub fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

pub fn threads<T: Send>(count: usize, job: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap().install(job)
}

/// About normal random numbers: a plain linear congruential generator.
pub fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut s = seed.wrapping_mul(2654435761).wrapping_add(12345);
    move || {
        let mut sum = 0.0;
        for _ in 0..12 {
            s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            sum += (s >> 40) as f32 / (1u64 << 24) as f32;
        }
        sum - 6.0
    }
}

/// `n` rows of `d` columns in `groups` clouds of different widths; row i belongs to cloud i % groups.
pub fn blobs(n: usize, d: usize, groups: usize, seed: u64) -> Array2<f32> {
    let mut r = noise(seed);
    let centres = Array2::from_shape_fn((groups, d), |_| 4.0 * r());
    Array2::from_shape_fn((n, d), |(i, j)| {
        let g = i % groups;
        centres[[g, j]] + (0.5 + 0.1 * g as f32) * r()
    })
}
