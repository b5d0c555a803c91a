#!/usr/bin/env bash
# Measures the runtime's weights and writes them into the tree: pallets/*/src/weights.rs from the benchmarks of each of our pallets,
# runtime/src/weights/ from accesses to both databases with a state of thousands of nodes, and from an empty block.
#   scripts/weights.sh                     all of it: an hour with its builds; leave the machine alone meanwhile
#   scripts/weights.sh pallets [NAME...]   the pallets, or some of them
#   scripts/weights.sh databases           the databases: a node is loaded on each first (make bench-chain)
#   scripts/weights.sh overhead            a block and a transaction
# CHROOM_WEIGHTS, CHROOM_WEIGHTS_WASM and CHROOM_NODE (with chroom-bench-chain beside it) name programs and a runtime that are built already.
# The runtime does not use runtime/src/weights/ yet: docs/decisions/weights.md.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${CARGO_TARGET_DIR:=$HOME/.cache/chroom/target}"
export CARGO_TARGET_DIR
steps=${CHROOM_WEIGHTS_STEPS:-50} repeat=${CHROOM_WEIGHTS_REPEAT:-20}

tool() {
    [ -n "${CHROOM_WEIGHTS:-}" ] && return
    echo 'weights: building the measuring program'
    cargo build --release --locked --manifest-path bench/weights/Cargo.toml
    CHROOM_WEIGHTS=$CARGO_TARGET_DIR/release/chroom-weights
}

runtime() {
    [ -n "${CHROOM_WEIGHTS_WASM:-}" ] && return
    echo 'weights: building the runtime with its benchmarks'
    cargo build --release --locked --package chroom-runtime --features runtime-benchmarks
    CHROOM_WEIGHTS_WASM=$CARGO_TARGET_DIR/release/wbuild/chroom-runtime/chroom_runtime.compact.compressed.wasm
}

pallets() {
    local names=("$@") name
    [ ${#names[@]} = 0 ] && names=(anchor enactment nodes pools qos rewards validators)
    tool
    runtime
    for name in "${names[@]}"; do
        echo "weights: pallet $name"
        "$CHROOM_WEIGHTS" pallet --runtime "$CHROOM_WEIGHTS_WASM" --genesis-builder runtime --genesis-builder-preset dev \
            --pallet "pallet_chroom_$name" --extrinsic '*' --steps "$steps" --repeat "$repeat" --heap-pages 4096 \
            --template .maintain/pallet-weights.hbs --output "pallets/$name/src/weights.rs"
    done
}

databases() {
    local folder database
    mkdir -p runtime/src/weights
    folder=$(mktemp -d)
    # Expanded now: the name is this function's own.
    trap "rm -rf -- '$folder'" EXIT
    tool
    if [ -z "${CHROOM_NODE:-}" ]; then
        cargo build --release --locked --package chroom-node --package chroom-bench-chain
        CHROOM_NODE=$CARGO_TARGET_DIR/release/chroom-node
    fi
    "$(dirname "$CHROOM_NODE")/chroom-bench-chain" --node "$CHROOM_NODE" --logs "$folder"
    for database in rocksdb paritydb; do
        echo "weights: $database"
        "$CHROOM_WEIGHTS" storage --chain "$folder/chain.json" --base-path "$folder/$database/data" --database "$database" \
            --state-version 1 --warmups 5 --batch-size 1000 --template-path .maintain/database-weights.hbs \
            --weight-path "runtime/src/weights/$database.rs"
    done
}

overhead() {
    mkdir -p runtime/src/weights
    tool
    runtime
    echo 'weights: overhead'
    "$CHROOM_WEIGHTS" overhead --runtime "$CHROOM_WEIGHTS_WASM" --genesis-builder-preset dev --warmup 10 --repeat 100 \
        --weight-path runtime/src/weights
}

case "${1:-all}" in
all) pallets && databases && overhead ;;
pallets | databases | overhead) "$@" ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
