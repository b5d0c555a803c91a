#!/usr/bin/env bash
# Fuzzes with libFuzzer, guided by coverage of what reads foreign bytes: scripts/fuzz.sh SECONDS [TARGET...]. What it learns is kept under
# the target folder; an input that breaks something is left in fuzz/failures, to become a seed.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(frames stun sdp reports payloads descriptors assembly pipes signalling connection)
flags='["-Cpasses=sancov-module", "-Cllvm-args=-sanitizer-coverage-level=4", "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters", "-Cllvm-args=-sanitizer-coverage-pc-table", "-Cllvm-args=-sanitizer-coverage-trace-compares", "-Ccodegen-units=1"]'
arguments=(--locked --package chroom-fuzz --features libfuzzer --bin fuzz-target)
# Only these are watched: the others are compiled as they are for tests.
for package in chroom-media-node chroom-orchestrator chroom-fuzz str0m is dimpl sctp-proto str0m-proto; do
    arguments+=(--config "profile.dev.package.$package.rustflags=$flags")
done
export __CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS=nightly CARGO_UNSTABLE_PROFILE_RUSTFLAGS=true SKIP_WASM_BUILD=1
echo "fuzz: compiling with coverage"
cargo build --quiet "${arguments[@]}"
binary=${CARGO_TARGET_DIR:-target}/debug/fuzz-target
mkdir -p fuzz/failures
failed=0
for target in "${targets[@]}"; do
    corpus=${CARGO_TARGET_DIR:-target}/fuzz-corpus/$target
    mkdir -p "$corpus"
    echo "fuzz: $target for $seconds s"
    log=$corpus.log
    CHROOM_FUZZ=$target CHROOM_FUZZ_CORPUS=$corpus "$binary" "$corpus" -max_total_time="$seconds" -max_len=8192 -timeout=10 \
        -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="fuzz/failures/$target-" >"$log" 2>&1 || failed=1
    grep -E "^(stat::number|stat::new|==.*ERROR|SUMMARY|thread|artifact)|DONE" "$log" || tail -n 5 "$log"
done
exit "$failed"
