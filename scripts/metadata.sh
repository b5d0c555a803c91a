#!/usr/bin/env bash
# Regenerates chain-client/metadata.scale from the runtime. A test of the runtime fails while the file is stale.
set -euo pipefail
cd "$(dirname "$0")/.."
new="$(mktemp)"
trap 'rm -f "$new"' EXIT
SKIP_WASM_BUILD=1 cargo run --quiet --locked --package chroom-runtime --example metadata >"$new"
if cmp -s "$new" chain-client/metadata.scale; then
    echo "metadata: up to date" >&2
else
    cp "$new" chain-client/metadata.scale
    echo "metadata: chain-client/metadata.scale was replaced; commit it" >&2
fi
