//! One look, two crates: what `data` says a pixel's grey is, for colour bars and pictures on paper, is what `render` draws.

use asterism_data::stretch::{Cuts, Stretch};
use asterism_render::ImageLook;

/// Numbers from 0 to 1, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        // xorshift64* (Vigna 2016).
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn twins() -> impl Iterator<Item = (Stretch, asterism_render::Stretch)> {
    assert_eq!(Stretch::ALL.len(), asterism_render::Stretch::ALL.len());
    Stretch::ALL.into_iter().zip(asterism_render::Stretch::ALL)
}

#[test]
fn both_crates_know_the_same_curves_in_the_same_order() {
    for (data, render) in twins() {
        assert_eq!(data.name(), format!("{render:?}").to_lowercase());
    }
}

#[test]
fn the_curves_agree_on_random_values() {
    let mut dice = Dice(20_260_731);
    for (data, render) in twins() {
        for _ in 0..20_000 {
            // Down to a millionth of the range, where logarithm and asinh are steep.
            let x = 10f64.powf(-6.0 * dice.roll()) as f32;
            let (a, b) = (data.apply(f64::from(x)), f64::from(render.apply(x)));
            assert!((a - b).abs() <= 1e-6 && (a - b).abs() <= 1e-3 * a.abs(), "{data:?} at {x}: {a} and {b}");
        }
        for x in [0.0f32, 1.0] {
            assert!((data.apply(f64::from(x)) - f64::from(render.apply(x))).abs() < 1e-6, "{data:?} at {x}");
        }
    }
}

#[test]
fn a_pixel_between_cuts_of_every_kind_gets_the_same_grey() {
    let mut dice = Dice(42);
    // A sky with noise, some stars, a few pixels without a value.
    let pixels: Vec<f32> = (0..40_000)
        .map(|i| {
            let noise = (0..6).map(|_| dice.roll()).sum::<f64>() - 3.0;
            let star = if i % 97 == 0 { 4000.0 * dice.roll().powi(4) } else { 0.0 };
            if i % 1013 == 0 { f32::NAN } else { (1200.0 + 15.0 * noise + star) as f32 }
        })
        .collect();
    let lut: [[u8; 4]; 256] = std::array::from_fn(|i| [i as u8, i as u8, i as u8, 255]);
    for cuts in [Cuts::MinMax, Cuts::default(), Cuts::Percentile(5.0, 95.0), Cuts::ZScale, Cuts::Manual(1100.5, 1333.25)] {
        let (low, high) = cuts.limits(&pixels).expect("there are values");
        assert!(low < high, "{cuts:?}");
        for (data, render) in twins() {
            let look = ImageLook { lo: low as f32, hi: high as f32, stretch: render, lut, ..ImageLook::default() };
            let mut differ = 0;
            for v in &pixels {
                if v.is_nan() {
                    assert!(data.of(f64::from(*v), low, high).is_nan());
                    assert_eq!(look.colour(*v), look.nan);
                    continue;
                }
                let grey = ((data.of(f64::from(*v), low, high) * 256.0) as i32).clamp(0, 255);
                let drawn = i32::from(look.colour(*v)[0]);
                assert!((grey - drawn).abs() <= 1, "{cuts:?} {data:?} at {v}: {grey} and {drawn}");
                differ += usize::from(grey != drawn);
            }
            // Values at the very edge of a grey may round either way.
            assert!(differ < pixels.len() / 500, "{cuts:?} {data:?}: {differ} of {} differ", pixels.len());
        }
    }
}

/// Subsets are told apart by colour: no two alike, each to be seen on the dark and on the light ground.
#[test]
fn colours_of_subsets_are_apart_and_seen_on_both_grounds() {
    let colours = asterism_session::session::SUBSET_COLOURS;
    for (i, a) in colours.iter().enumerate() {
        let dark = asterism_render::colour::contrast(*a, [0x15, 0x17, 0x1b]);
        let light = asterism_render::colour::contrast(*a, [0xff; 3]);
        // Okabe and Ito's yellow is the faintest on white.
        assert!(dark > 2.9 && light > 1.25, "{a:?}: {dark:.2} on dark, {light:.2} on light");
        for b in &colours[..i] {
            let apart: i32 = a.iter().zip(b).map(|(p, q)| (i32::from(*p) - i32::from(*q)).abs()).sum();
            assert!(apart > 40, "{a:?} and {b:?} are {apart} apart");
        }
    }
}
