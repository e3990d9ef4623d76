#!/bin/sh
# Check for the system packages that Asterism needs, and install what is missing.
#
#   sh scripts/system-packages.sh build|run|test
#
# build: a C compiler (some crates hold C). run: also Vulkan with a driver, xkb and X libraries.
# test: also Xvfb, xdotool and ImageMagick, for the test in a real window; on Debian also the small
# programs that judge exports and drawing (Vulkan's validation layers, fitsverify, astropy; STILTS where Java is there already).
#
# Installs as root, or through sudo where that works; else prints the one line to type and fails.
# macOS and Windows need nothing. ASTERISM_SKIP_PACKAGES=1 skips the check.

set -eu

what=${1:-run}
[ "${ASTERISM_SKIP_PACKAGES:-}" = 1 ] && exit 0
[ "$(uname -s)" = Linux ] || exit 0

PATH=$PATH:/usr/sbin:/sbin
if command -v apt-get >/dev/null 2>&1; then manager=apt
elif command -v dnf >/dev/null 2>&1; then manager=dnf
elif command -v pacman >/dev/null 2>&1; then manager=pacman
else manager=none
fi

missing=
# need NAME-FOR-A-PERSON APT DNF PACMAN: note a missing thing and its package.
need() {
    case $manager in
    apt) package=$2 ;;
    dnf) package=$3 ;;
    pacman) package=$4 ;;
    *) package=$1 ;;
    esac
    case " $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac
}

libraries=$(ldconfig -p 2>/dev/null || true)
library() {
    case $libraries in
    *"$1 "*) return 0 ;;
    '') # No ldconfig (musl, NixOS): look where libraries usually are.
        for folder in /lib /usr/lib /usr/lib64 /run/opengl-driver/lib; do
            [ -e "$folder/$1" ] && return 0
        done ;;
    esac
    return 1
}
command_there() { command -v "$1" >/dev/null 2>&1; }

command_there cc || need "a C compiler" build-essential gcc base-devel

if [ "$what" = run ] || [ "$what" = test ]; then
    library libvulkan.so.1 || need libvulkan libvulkan1 vulkan-loader vulkan-icd-loader
    # A driver: the software one always works; another only where there is a graphics card.
    driver=no
    for file in /usr/share/vulkan/icd.d/lvp_icd*.json /etc/vulkan/icd.d/lvp_icd*.json /run/opengl-driver/share/vulkan/icd.d/*.json; do
        [ -e "$file" ] && driver=yes
    done
    if [ "$what" = run ] && [ $driver = no ]; then
        for card in /dev/dri/renderD* /dev/nvidia0; do
            [ -e "$card" ] || continue
            for file in /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json; do
                [ -e "$file" ] && driver=yes
            done
        done
        [ -n "${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-}}" ] && driver=yes
    fi
    [ $driver = yes ] || need "Mesa's Vulkan drivers" mesa-vulkan-drivers mesa-vulkan-drivers vulkan-swrast
    library libxkbcommon.so.0 || need libxkbcommon libxkbcommon0 libxkbcommon libxkbcommon
    library libxkbcommon-x11.so.0 || need libxkbcommon-x11 libxkbcommon-x11-0 libxkbcommon-x11 libxkbcommon-x11
    library libX11.so.6 || need libX11 libx11-6 libX11 libx11
    library libX11-xcb.so.1 || need libX11-xcb libx11-xcb1 libX11-xcb libx11
    library libxcb.so.1 || need libxcb libxcb1 libxcb libxcb
    library libXcursor.so.1 || need libXcursor libxcursor1 libXcursor libxcursor
    library libXi.so.6 || need libXi libxi6 libXi libxi
    library libXrandr.so.2 || need libXrandr libxrandr2 libXrandr libxrandr
    [ -d /usr/share/X11/xkb ] || need "xkb data" xkb-data xkeyboard-config xkeyboard-config
fi

if [ "$what" = test ]; then
    command_there Xvfb || need Xvfb xvfb xorg-x11-server-Xvfb xorg-server-xvfb
    command_there xdotool || need xdotool xdotool xdotool xdotool
    command_there import || need ImageMagick imagemagick ImageMagick imagemagick
    # Judges of exports. Tests say aloud what was not judged where they are absent.
    if [ $manager = apt ]; then
        # Looks on while the window is soaked.
        [ -e /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json ] \
            || need "Vulkan's validation layers" vulkan-validationlayers - -
        command_there fitsverify || need fitsverify fitsverify - -
        if command_there java && ! command_there stilts; then need STILTS stilts - -; fi
        "${ASTERISM_PYTHON:-python3}" -c 'import astropy' 2>/dev/null || /usr/bin/python3 -c 'import astropy' 2>/dev/null \
            || need astropy python3-astropy - -
    fi
fi

missing=${missing# }
[ -n "$missing" ] || exit 0

case $manager in
apt) install="apt-get install -qq -y --no-install-recommends $missing" ;;
dnf) install="dnf install -y $missing" ;;
pacman) install="pacman -S --needed --noconfirm $missing" ;;
*)
    echo "Asterism needs, and this system's package manager is not known here: $missing" >&2
    echo "Install them, or set ASTERISM_SKIP_PACKAGES=1 to go on without." >&2
    exit 1 ;;
esac

if [ "$(id -u)" = 0 ]; then as=
elif command_there sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then as=sudo
else
    echo "Asterism needs system packages that are not here. Type this line, then run make again:" >&2
    echo "    sudo $install" >&2
    exit 1
fi

echo "Installing what is missing: ${as:+$as }$install"
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
# Package lists may be absent (a fresh container) or old: get them where the packages are not found.
# shellcheck disable=SC2086
if [ $manager = apt ] && ! apt-get install -s $missing >/dev/null 2>&1; then
    $as apt-get update -qq || true
fi
# shellcheck disable=SC2086
if ! $as $install; then
    # A file that an old list names may be gone from the server.
    # shellcheck disable=SC2086
    [ $manager = apt ] && $as apt-get update -qq && $as $install && exit 0
    echo "That did not work. Type this line, then run make again:" >&2
    echo "    sudo $install" >&2
    exit 1
fi
