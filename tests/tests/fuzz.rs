//! Mutated fixtures, for a second each; `make fuzz` takes a minute (`ASTERISM_FUZZ_SECONDS`) and another
//! seed (`ASTERISM_FUZZ_SEED`).

use std::time::Duration;

use asterism_tests::fuzz::{TARGETS, run};

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn nothing_that_reads_the_words_of_others_panics() {
    let seconds = setting("ASTERISM_FUZZ_SECONDS", 1);
    let seed = setting("ASTERISM_FUZZ_SEED", 0);
    let only = std::env::var("ASTERISM_FUZZ_TARGET").unwrap_or_default();
    let mut bad = Vec::new();
    for target in TARGETS.iter().filter(|t| only.is_empty() || t.name == only) {
        let ran = run(target, seed, Duration::from_secs(seconds));
        println!("{}: {} mutated inputs in {seconds} s, seed {seed}, {} bad", target.name, ran.inputs, ran.bad.len());
        assert!(ran.inputs > 0);
        bad.extend(ran.bad);
    }
    assert!(bad.is_empty(), "panicked or took too long on: {bad:#?}");
}
