#!/usr/bin/env bash
# Writes a network's raw specification, and checks that it is always the same: it is made twice, by two processes, and
# refused if they differ. Prints what others compare with: the file's SHA-256 and the BLAKE2-256 of the runtime in it.
#   scripts/chain-spec.sh OUT.json dev|local
#   scripts/chain-spec.sh OUT.json --genesis founders.json --name Chroom --id chroom
# The node is $CHROOM_NODE, or that of the last build.
set -euo pipefail

usage() {
    sed -n '4,5s/^# *//p' "$0" >&2
    exit 2
}
[ $# -ge 2 ] || usage
out="$1"
shift
node="${CHROOM_NODE:-${CARGO_TARGET_DIR:-${CHROOM_CACHE:-$HOME/.cache/chroom}/target}/debug/chroom-node}"
[ -x "$node" ] || {
    echo "chain-spec: no node at $node: build it (make build), or name it with CHROOM_NODE" >&2
    exit 2
}

case "$1" in
dev | local)
    [ $# = 1 ] || usage
    make_spec() { "$node" export-chain-spec --chain "$preset" --raw; }
    preset="$1"
    ;;
--*)
    arguments=("$@")
    make_spec() { "$node" new-network "${arguments[@]}" --raw; }
    ;;
*) usage ;;
esac

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
for run in 1 2; do
    make_spec >"$work/$run.json"
done
if ! cmp "$work/1.json" "$work/2.json"; then
    echo "chain-spec: two runs made two specifications" >&2
    exit 1
fi

# The runtime is the value of `:code`.
perl -ne 'print pack("H*", $1) if /"0x3a636f6465":\s*"0x([0-9a-f]*)"/' "$work/1.json" >"$work/code"
[ -s "$work/code" ] || {
    echo "chain-spec: the specification has no runtime in it" >&2
    exit 1
}
cp "$work/1.json" "$out"
printf 'specification  sha256   %s  %s\n' "$(sha256sum <"$out" | cut -d ' ' -f 1)" "$out"
printf 'runtime        blake2   0x%s  %s bytes\n' "$(b2sum -l 256 <"$work/code" | cut -d ' ' -f 1)" "$(stat -c %s "$work/code")"
