#!/usr/bin/env bash
# Brings a Debian machine to the state that `make up` (setup.sh run) or `make test` (setup.sh test) needs: Debian packages,
# the Wasm target, npm packages. Says what it installs, does nothing twice, and never asks for a password: without root
# or password-less sudo it prints the exact line to run and exits with 3.
set -euo pipefail
cd "$(dirname "$0")/.."

purpose="${1:-run}"
case "$purpose" in
run | test) ;;
*)
    echo "usage: scripts/setup.sh run|test" >&2
    exit 2
    ;;
esac

cache="${CHROOM_CACHE:-$HOME/.cache/chroom}"
mkdir -p "$cache"
say() { printf 'setup: %s\n' "$*" >&2; }

need() {
    command -v "$1" >/dev/null 2>&1 && return
    say "missing: $1. $2"
    exit 3
}
need cargo "Install Rust with rustup (https://rustup.rs), stable 1.93 or later, then run this again."
need cc "Install a C compiler (Debian: apt-get install build-essential), then run this again."
need node "Install Node.js 20.19 or later with npm, then run this again."
if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
    say "Node.js $(node --version) is too old: install 20.19 or later, then run this again."
    exit 3
fi
need npm "Install Node.js 20.19 or later with npm, then run this again."

packages=(protobuf-compiler clang libclang-dev cmake pkg-config libvpx-dev nasm)
[ "$purpose" = test ] && packages+=(chromium coturn ffmpeg python3-venv)

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

install_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    if ! command -v apt-get >/dev/null 2>&1; then
        say "not a Debian system; install the equivalents of: ${missing[*]}"
        exit 3
    fi
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        say "these Debian packages are missing and this user may not install them. Run:"
        printf '    sudo apt-get update && sudo apt-get install -y --no-install-recommends %s\n' "${missing[*]}" >&2
        exit 3
    fi
    say "installing Debian packages: ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# A test starts a TURN server of its own. The package would start one, too, for everyone to see; masked before, it does not.
mask_coturn() {
    local unit=/etc/systemd/system/coturn.service
    if [ -e "$unit" ] || [ -L "$unit" ] || command -v turnserver >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
        return
    fi
    as_root mkdir -p "${unit%/*}" 2>/dev/null && as_root ln -s /dev/null "$unit" 2>/dev/null || return 0
    say "coturn is for a test alone: its service stays off (systemctl unmask coturn lets it start)"
}

[ "$purpose" = test ] && mask_coturn
install_packages "${packages[@]}"

# The environment that builds need, written once and read by the Makefile.
environment="$cache/build.env"

has_wasm_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32v1-none/lib" ]; }

wasm_from_debian() {
    # Debian ships a compiler and the library's sources of one version, without the target's libraries: they are compiled
    # once, and the runtime alone is then built with that toolchain.
    install_packages rustc-web cargo-web rust-web-src
    rustup toolchain link debian-web /usr
    local target_lib=/usr/lib/rustlib/wasm32v1-none/lib
    if ! ls "$target_lib"/libcore-*.rlib >/dev/null 2>&1; then
        say "compiling core and alloc for wasm32v1-none with Debian's compiler"
        local work
        work="$(mktemp -d)"
        cargo init --quiet --lib --name wasm_core "$work"
        printf '#![no_std]\n' >"$work/src/lib.rs"
        (cd "$work" && RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$work/target" cargo +debian-web build --quiet --release \
            --target wasm32v1-none -Zbuild-std=core,alloc)
        as_root mkdir -p "$target_lib"
        as_root cp "$work"/target/wasm32v1-none/release/deps/lib{core,alloc,compiler_builtins}-*.rlib "$target_lib/"
        rm -rf "$work"
    fi
    local linker
    linker="$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld"
    printf 'export WASM_BUILD_TOOLCHAIN=debian-web\nexport CARGO_TARGET_WASM32V1_NONE_LINKER=%s\n' "$linker" >"$environment"
}

if [ "${CHROOM_WASM_FALLBACK:-0}" != 1 ] && has_wasm_target; then
    : >"$environment"
else
    need rustup "Install Rust with rustup (https://rustup.rs), then run this again."
    if [ "${CHROOM_WASM_FALLBACK:-0}" != 1 ] && { say "adding the Rust target wasm32v1-none"; timeout 300 rustup target add wasm32v1-none; }; then
        : >"$environment"
    else
        say "rustup cannot fetch the Wasm target; falling back to Debian's rustc-web"
        wasm_from_debian
    fi
fi

install_npm() {
    local folder="$1" stamp
    [ -f "$folder/package-lock.json" ] || return 0
    stamp="$folder/node_modules/.chroom-lock"
    if ! cmp -s "$folder/package-lock.json" "$stamp" 2>/dev/null; then
        say "installing npm packages of $folder"
        (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error)
        cp "$folder/package-lock.json" "$stamp"
    fi
}
install_npm web
[ "$purpose" = test ] && install_npm e2e

# The end-to-end suite's second WebRTC client, in a Python environment of its own.
install_aiortc() {
    local requirements=e2e/aiortc/requirements.txt stamp="$cache/aiortc/requirements.txt"
    cmp -s "$requirements" "$stamp" 2>/dev/null && return
    say "installing aiortc from PyPI"
    rm -rf "$cache/aiortc"
    python3 -m venv "$cache/aiortc"
    "$cache/aiortc/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$stamp"
}
[ "$purpose" = test ] && install_aiortc

say "ready"
