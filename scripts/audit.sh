#!/usr/bin/env bash
# Licences, bans, sources and duplicate native libraries of all dependencies; advisories where their database can be had.
set -euo pipefail
cd "$(dirname "$0")/.."

tools="${CHROOM_CACHE:-$HOME/.cache/chroom}/tools"
export PATH="$tools/bin:$PATH"
if ! command -v cargo-deny >/dev/null 2>&1; then
    echo "audit: installing cargo-deny into $tools" >&2
    CARGO_TARGET_DIR="$tools/target" cargo install --quiet --locked --root "$tools" cargo-deny
    rm -rf "$tools/target"
fi

cargo deny --all-features check --hide-inclusion-graph licenses bans sources

# One version of each native library: cargo refuses two crates with one `links` value, so what is left to see is the list.
echo "native libraries:"
cargo metadata --format-version 1 --locked |
    node -e 'let t="";process.stdin.on("data",d=>t+=d).on("end",()=>{for(const p of JSON.parse(t).packages)if(p.links)console.log(`  ${p.links}\t${p.name} ${p.version}`)})' | sort -u

if cargo deny fetch db >/dev/null 2>&1; then
    cargo deny check advisories
else
    echo "audit: the advisory database cannot be reached; advisories were not checked" >&2
fi
