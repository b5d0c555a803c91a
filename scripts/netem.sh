#!/usr/bin/env bash
# Measures media behind bad lines that are the kernel's own: netem and tbf between network namespaces.
#   scripts/netem.sh [ARGUMENT...]     arguments of `chroom-bench-media … impair --netem`, those of the program itself before `--`:
#   scripts/netem.sh --server chroom -- --loss 0,2 --rtt 50
# On a kernel without netem it starts Debian's Linux for user mode, whose processes see this machine's files, read only, and whose network is
# its own. CHROOM_BENCH_MEDIA names the program (chroom-bench-sfu lies beside it), CHROOM_NETEM=guest takes the guest in any case.
set -euo pipefail
cd "$(dirname "$0")/.."

cache="${CHROOM_CACHE:-$HOME/.cache/chroom}"
program="${CHROOM_BENCH_MEDIA:-${CARGO_TARGET_DIR:-$cache/target}/release/chroom-bench-media}"
say() { printf 'netem: %s\n' "$*" >&2; }

[ -x "$program" ] || {
    say "there is no $program: make bench-netem builds it"
    exit 1
}
before=()
after=()
while [ $# -gt 0 ]; do
    [ "$1" = -- ] && {
        shift
        before=("${after[@]}")
        after=()
        continue
    }
    after+=("$1")
    shift
done

tools=(unshare taskset setpriv ip tc sysctl)
for tool in "${tools[@]}"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null || {
        say "missing: $tool. Run: sudo apt-get install -y --no-install-recommends iproute2 util-linux procps"
        exit 3
    }
done

has_netem() {
    [ "$(id -u)" = 0 ] && [ "${CHROOM_NETEM:-}" != guest ] &&
        unshare --net -- tc qdisc add dev lo root netem delay 1ms 2>/dev/null
}
if has_netem; then
    say "on this kernel, $(uname -r)"
    exec "$program" "${before[@]}" impair --netem "${after[@]}"
fi

# The guest has one processor; server and generator share it.
kernel=$(command -v linux.uml || true)
modules=$(echo /usr/lib/uml/modules/*)
[ -n "$kernel" ] && [ -d "$modules" ] && PATH=$PATH:/usr/sbin:/sbin command -v modprobe >/dev/null || {
    say "this kernel ($(uname -r)) or user has no netem. A guest that has it is in these packages. Run:"
    say "    sudo apt-get install -y --no-install-recommends user-mode-linux kmod"
    exit 3
}
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
command=$(printf ' %q' "$program" --core 0 --generator-core 0 "${before[@]}" impair --netem "${after[@]}")
cat >"$folder/init" <<EOF
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run TMPDIR=/run
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mount -t hostfs -o $folder none /mnt
mkdir -p /run/modules/lib/modules
ln -s $modules /run/modules/lib/modules/\$(uname -r)
for module in veth sch_netem sch_tbf; do modprobe -d /run/modules \$module; done
{$command; echo \$? >/mnt/status; } >/mnt/out 2>/mnt/err
echo o >/proc/sysrq-trigger
sleep 60
EOF
chmod +x "$folder/init"
say "in a guest, $(basename "$modules"): this kernel ($(uname -r)) or user has no netem"
touch "$folder/out" "$folder/err"
tail --follow --quiet "$folder/err" >&2 &
follower=$!
trap 'kill "$follower" 2>/dev/null || true; rm -rf -- "$folder"' EXIT
# The guest's own words are of no use unless it doesn't come up.
"$kernel" mem=2048M root=/dev/root rootfstype=hostfs rootflags=/ ro init="$folder/init" con=null con0=null,fd:1 quiet \
    </dev/null >"$folder/console" 2>&1 || true
sleep 0.2
cat "$folder/out"
[ -s "$folder/status" ] || {
    say "the guest ended without a result:"
    tail -n 20 "$folder/console" >&2
    exit 1
}
exit "$(cat "$folder/status")"
