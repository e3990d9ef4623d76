#!/bin/bash
# Write the pictures of screenshots/: the real window under Xvfb with each of the four samples, the
# rule, a search in progress, the light theme and the start page. The search asks a small TAP service
# on loopback (tests/src/bin/asterism-replay.rs) that gives rows of the sample `ogle3` slowly.
#
#   bash scripts/screenshots.sh [WIDTHxHEIGHT] [FOLDER]

set -euo pipefail
cd "$(dirname "$0")/.."
size=${1:-1600x1000}
folder=${2:-screenshots}
cargo=${CARGO:-cargo}
mkdir -p "$folder"
$cargo build --release -p asterism -p asterism-tests --bins
program="${CARGO_TARGET_DIR:-target}/release/asterism"
replay="${CARGO_TARGET_DIR:-target}/release/asterism-replay"

home=$(mktemp -d)
number=$(mktemp)
Xvfb -displayfd 3 -screen 0 "${size}x24" -nolisten tcp -noreset 3>"$number" 2>/dev/null &
xvfb=$!
trap 'kill $xvfb 2>/dev/null; [ -z "${window:-}" ] || kill "$window" 2>/dev/null; [ -z "${server:-}" ] || kill "$server" 2>/dev/null; rm -rf "$home" "$number"' EXIT
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

# settle FILE: take the window's picture until nothing has moved for a few seconds.
settle() {
    local last= same=0 now
    for _ in $(seq 120); do
        sleep 1
        import -window root "$1"
        now=$(convert "$1" -depth 8 rgb:- | md5sum)
        if [ "$now" = "$last" ]; then same=$((same + 1)); else same=0; fi
        [ $same -ge 4 ] && break
        last=$now
    done
}

# shot NAME: when nothing moves any more.
shot() {
    settle "$folder/$1.png"
    echo "$folder/$1.png"
}

# press X Y [SECONDS]: a click, and time for what it opens.
press() {
    xdotool mousemove "$1" "$2"
    sleep 0.3
    xdotool click 1
    sleep "${3:-1.5}"
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
    # The largest one is judged for a while after its map stands still.
    if [ "$name" = ogle3 ]; then sleep 25; else sleep 8; fi
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

# A search in progress: rows arrive from the service, and the first of them are being mapped.
"$replay" --rate 250000 >"$home/served.json" &
server=$!
sleep 1
start "$(cat "$home/served.json")" --start-page
settle "$home/before.png"
press 204 120
# The service on loopback stands in the place of the first one that is kept; the list is longer than its window.
xdotool mousemove 230 500
xdotool click --repeat 45 --delay 50 5
sleep 1
press 196 176
press 150 180
# No window manager here gives the keyboard to anyone.
xdotool windowfocus --sync "$id"
sleep 0.5
xdotool key ctrl+a
xdotool type --delay 40 'SELECT TOP 60000 * FROM ogle3 '
sleep 1
press 42 339 8
# The map is started by its key, wherever its button lies.
xdotool windowfocus --sync "$id"
xdotool key ctrl+m
sleep 7
xdotool mousemove 5 5
sleep 1
import -window root "$folder/search.png"
echo "$folder/search.png"
close
kill $server
server=
