#!/bin/sh
# What `make run` does once the system packages are there: the window, or, with no display, the
# first sample's recipe (the same loop without a window).

set -eu
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}

if [ "$(uname -s)" = Linux ] && [ -z "${DISPLAY:-}" ] && [ -z "${WAYLAND_DISPLAY:-}" ]; then
    echo "There is no display here (DISPLAY and WAYLAND_DISPLAY are not set): running the recipe of the first sample instead."
    $cargo run --release -- run recipes/a478.toml -o out/a478
    echo
    echo "Pictures and exports lie in $(pwd)/out/a478:"
    ls -l out/a478 | awk 'NR > 1 { printf "  %-24s %12s bytes\n", $9, $5 }'
else
    exec $cargo run --release
fi
