#!/bin/sh
# What `make test` does once the system packages are there.

set -eu
cd "$(dirname "$0")/.."

# Window code wants a private runtime folder; servers and containers often have none.
if [ -z "${XDG_RUNTIME_DIR:-}" ] || [ ! -d "$XDG_RUNTIME_DIR" ]; then
    XDG_RUNTIME_DIR=$(mktemp -d "${TMPDIR:-/tmp}/asterism-runtime.XXXXXX")
    chmod 700 "$XDG_RUNTIME_DIR"
    export XDG_RUNTIME_DIR
    trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT
    trap 'exit 130' INT TERM
fi

${CARGO:-cargo} test --release --workspace --no-fail-fast "$@"
