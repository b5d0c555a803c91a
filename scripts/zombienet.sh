#!/usr/bin/env bash
# Runs the networks of zombienet/ under zombienet's native provider, with their checks.
#   scripts/zombienet.sh [validators] [network] [faults]       all, if none is named
# CHROOM_BIN_DIR names the folder of the project's programs, CHROOM_ZOMBIE a zombie-cli of one's own. Without that one, installs
# zombie-cli once, into the cache folder: it brings a second Substrate tree, which the workspace must not share.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.7.1
cache="${CHROOM_CACHE:-$HOME/.cache/chroom}"
tools="$cache/tools"
zombie="${CHROOM_ZOMBIE:-$tools/bin/zombie-cli}"
say() { printf 'zombienet: %s\n' "$*" >&2; }

if [ -z "${CHROOM_ZOMBIE:-}" ] && [ "$("$zombie" --version 2>/dev/null)" != "zombie-cli $version" ]; then
    pkg-config --exists openssl || {
        say "zombie-cli needs OpenSSL's headers. Run: sudo apt-get install -y --no-install-recommends libssl-dev"
        exit 3
    }
    say "installing zombie-cli $version from crates.io into $tools; it compiles about 760 crates: half an hour or more"
    # Not the workspace's target folder: nothing of the two trees is shared. It waits for processes most of the time, so that
    # optimising it would cost more than it ever gives back.
    CARGO_TARGET_DIR="$cache/zombienet-target" CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=64 \
        cargo install --locked --force --root "$tools" "zombie-cli@$version"
    rm -rf -- "$cache/zombienet-target"
fi

export CHROOM_ZOMBIE="$zombie"
export CHROOM_BIN_DIR="${CHROOM_BIN_DIR:-${CARGO_TARGET_DIR:-$cache/target}/debug}"
for program in chroom chroom-node chroom-registry chroom-media-node chroom-orchestrator; do
    [ -x "$CHROOM_BIN_DIR/$program" ] || {
        say "$CHROOM_BIN_DIR/$program is missing: make build"
        exit 3
    }
done
npm --prefix e2e run --silent build
exec node e2e/dist/zombienet/main.js "$@"
