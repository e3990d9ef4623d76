#!/bin/bash
# Write the pictures of screenshots/: the real window under Xvfb with each of the four samples, the
# rule, the light theme and the start page.
#
#   bash scripts/screenshots.sh [WIDTHxHEIGHT] [FOLDER]

set -euo pipefail
cd "$(dirname "$0")/.."
size=${1:-1600x1000}
folder=${2:-screenshots}
cargo=${CARGO:-cargo}
mkdir -p "$folder"
$cargo build --release -p asterism
program="${CARGO_TARGET_DIR:-target}/release/asterism"

home=$(mktemp -d)
number=$(mktemp)
Xvfb -displayfd 3 -screen 0 "${size}x24" -nolisten tcp -noreset 3>"$number" 2>/dev/null &
xvfb=$!
trap 'kill $xvfb 2>/dev/null; [ -z "${window:-}" ] || kill "$window" 2>/dev/null; rm -rf "$home" "$number"' EXIT
for _ in $(seq 50); do [ -s "$number" ] && break; sleep 0.1; done
export DISPLAY=":$(tr -d '[:space:]' <"$number")"
export XDG_RUNTIME_DIR="$home" WAYLAND_DISPLAY=
unset WAYLAND_DISPLAY

# start SETTINGS WORDS...: the window, filling the screen, with settings of its own.
start() {
    export ASTERISM_HOME="$home/$RANDOM"
    mkdir -p "$ASTERISM_HOME"
    [ -z "$1" ] || printf '%s' "$1" >"$ASTERISM_HOME/settings.json"
    shift
    "$program" "$@" 2>/dev/null &
    window=$!
    for _ in $(seq 100); do xdotool search --name '^Asterism|Asterism$' >/dev/null 2>&1 && break; sleep 0.2; done
    id=$(xdotool search --name 'Asterism' | head -n 1)
    xdotool windowsize "$id" "${size%x*}" "${size#*x}" windowmove "$id" 0 0 windowfocus "$id" 2>/dev/null || true
    # Away from any point, so that no row is under the cursor.
    xdotool mousemove 5 5
}

# shot NAME: when nothing has moved for a few seconds.
shot() {
    local last= same=0 now
    for _ in $(seq 120); do
        sleep 1
        import -window root "$folder/$1.png"
        now=$(convert "$folder/$1.png" -depth 8 rgb:- | md5sum)
        if [ "$now" = "$last" ]; then same=$((same + 1)); else same=0; fi
        [ $same -ge 4 ] && break
        last=$now
    done
    echo "$folder/$1.png"
}

close() {
    kill "$window" 2>/dev/null || true
    wait "$window" 2>/dev/null || true
    window=
}

start ''
sleep 8
shot a478
# Refine: the rail scrolled to its rule.
xdotool mousemove 150 $((${size#*x} - 120))
for _ in $(seq 40); do xdotool click 5; done
xdotool mousemove 5 5
shot refine
close
for name in spex ogle3 hdf; do
    start '' "sample:$name"
    sleep 8
    shot "$name"
    close
done
start '{"light_theme": true}'
sleep 8
shot light
close
start '' --start-page
shot start
close
