#!/usr/bin/env bash
# Runs every check in turn, goes on after a failure, and ends with a table that a person can read.
#   scripts/test.sh            all stages
#   scripts/test.sh STAGE...   some of: format build unit live clippy web e2e (lint = format clippy web-lint)
set -uo pipefail
cd "$(dirname "$0")/.."

: "${CARGO_TARGET_DIR:=$HOME/.cache/chroom/target}"
export CARGO_TARGET_DIR CARGO_TERM_PROGRESS_WHEN=never
logs="$CARGO_TARGET_DIR/test-logs"
rm -rf "$logs" && mkdir -p "$logs"

declare -a names results times
passed=0
failed=0

stage() {
    local name="$1"
    shift
    local log="$logs/$name.log" began=$SECONDS status
    printf '== %s\n' "$name"
    if "$@" >"$log" 2>&1; then status=ok; else status=FAILED; fi
    names+=("$name")
    results+=("$status")
    times+=($((SECONDS - began)))
    if [ "$status" = ok ]; then
        passed=$((passed + 1))
        "summary_$(kind "$name")" "$log"
    else
        failed=$((failed + 1))
        printf -- '-- the last lines of %s\n' "$log"
        tail -n 80 "$log"
    fi
}

kind() {
    case "$1" in
    unit | live) echo cargo ;;
    web | e2e) echo tail ;;
    *) echo none ;;
    esac
}
summary_none() { :; }
summary_cargo() {
    awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 } END { printf "   %d passed, %d failed, %d ignored\n", passed, failed, ignored }' "$1"
}
summary_tail() { tail -n 24 "$1" | sed 's/^/   /'; }

run_build() { cargo build --workspace --bins --locked && npm --prefix web run build; }
# The same selection of packages as the other stages, so that nothing is compiled with other features. The tests mostly wait for blocks of
# nodes of their own: all crates' run at the same time.
run_live() {
    local programs program pid pids=() failed=0
    programs=$(cargo test --workspace --locked --test live --no-run --message-format json-render-diagnostics |
        node -e 'let t="";process.stdin.on("data",d=>t+=d).on("end",()=>{for(const l of t.split("\n").filter(Boolean)){const m=JSON.parse(l);if(m.target?.name==="live"&&m.executable)console.log(m.executable)}})') || return 1
    [ -n "$programs" ] || return 1
    for program in $programs; do
        CHROOM_TEST_NODE="$CARGO_TARGET_DIR/debug/chroom-node" "$program" --ignored &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
    return $failed
}
run_web() { npm --prefix web run lint && npm --prefix web test; }
run_e2e() { CHROOM_BIN_DIR="$CARGO_TARGET_DIR/debug" npm --prefix e2e test; }

wanted=("$@")
[ ${#wanted[@]} = 0 ] && wanted=(format build unit live clippy web e2e)
[ "${wanted[*]}" = lint ] && wanted=(format clippy web-lint)

for name in "${wanted[@]}"; do
    case "$name" in
    format) stage format cargo fmt --all --check ;;
    build) stage build run_build ;;
    unit) stage unit cargo test --workspace --locked --no-fail-fast ;;
    live) stage live run_live ;;
    clippy) stage clippy cargo clippy --workspace --all-targets --locked --keep-going -- -D warnings ;;
    web) stage web run_web ;;
    web-lint) stage web-lint npm --prefix web run lint ;;
    e2e) stage e2e run_e2e ;;
    *)
        echo "unknown stage: $name" >&2
        exit 2
        ;;
    esac
done

for i in "${!names[@]}"; do
    # Said again here: a reader who sees just the end of a long run shall know why it failed.
    if [ "${results[$i]}" = FAILED ]; then
        printf -- '-- first errors of %s\n' "${names[$i]}"
        grep -E -A 6 '^error|^---- .* stdout|panicked at|^ *FAILED|not ok' "$logs/${names[$i]}.log" | head -n 40
    fi
done
printf '\n%-10s %-8s %s\n' stage result time
for i in "${!names[@]}"; do
    printf '%-10s %-8s %d min %02d s\n' "${names[$i]}" "${results[$i]}" $((times[i] / 60)) $((times[i] % 60))
done
printf 'logs: %s\n' "$logs"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
