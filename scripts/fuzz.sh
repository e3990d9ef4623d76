#!/bin/sh
# What `make fuzz` does: each target for a minute, by cargo-fuzz where it and a nightly compiler are
# installed, else by mutated fixtures on the stable one. ASTERISM_FUZZ_SECONDS sets the time.

set -eu
cd "$(dirname "$0")/.."
seconds=${ASTERISM_FUZZ_SECONDS:-60}

if command -v cargo-fuzz >/dev/null 2>&1 && cargo +nightly --version >/dev/null 2>&1; then
    for file in fuzz/fuzz_targets/*.rs; do
        target=$(basename "$file" .rs)
        echo "cargo-fuzz: $target for $seconds s"
        # What it finds goes to the first folder; the fixtures are read only.
        mkdir -p "fuzz/corpus/$target"
        cargo +nightly fuzz run "$target" "fuzz/corpus/$target" tests/fixtures -- -max_total_time="$seconds" -max_len=200000 -rss_limit_mb=4096
    done
else
    seed=${ASTERISM_FUZZ_SEED:-$(date +%s)}
    echo "cargo-fuzz or a nightly compiler is not installed: mutated fixtures for $seconds s each, seed $seed"
    ASTERISM_FUZZ_SECONDS=$seconds ASTERISM_FUZZ_SEED=$seed \
        ${CARGO:-cargo} test --release -p asterism -p asterism-tests --test program fuzz:: -- --nocapture
fi
