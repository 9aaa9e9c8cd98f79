#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ./quickstart bench: quickstart_bench.sh BUILD_DIR [CAIRN-BENCH-ARGS...]
# Without further arguments: the floor, a lab of three nodes, durable writes beside the floor,
# writes and reads with 64 in flight. With arguments: cairn-bench with them. One summary line at
# the end; exit 0 only if every part succeeded. The lab is taken down whatever happens.
set -u
build=$(cd "${1:?usage: quickstart_bench.sh BUILD_DIR [ARGS...]}" && pwd) || exit 1
shift
bench=$build/perf/cairn-bench
ctl=$build/mgmt/cairnctl
export LC_ALL=C

say() {
	printf '[%3ds] %s\n' "$SECONDS" "$*" >&2
}

tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/cairn-bench.XXXXXX") || exit 1

cleanup() {
	local status=$?
	trap - EXIT
	trap '' INT TERM HUP
	[ -d "$tmp/lab" ] && "$ctl" lab down --dir "$tmp/lab" > /dev/null 2>&1
	rm -rf "$tmp"
	exit $status
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# row LOG NAME COLUMN: a figure of a table that cairn-bench printed.
row() {
	awk -v name="$2" -v column="$3" '$1 == name { print $column; exit }' "$tmp/$1"
}

# figures LOG: what the summary line says of a run with the caller's own arguments.
figures() {
	awk '
		prev ~ /^ *ops\/s / { printf "; p50 %s us, p99 %s us", $2, $4 }
		/^(put|get|del|cas|incr|all) +[0-9]/ && NF > 3 {
			printf "; %s %s/s, p50 %s us", $1, $2, $3
		}
		/^(floor|put) +[0-9.]+ +[0-9.]+$/ { printf "; %s p50 %s us", $1, $2 }
		/^ratio of p50/ { printf "; ratio %s", $4 }
		match($0, /durability [^,]*/) { printf "; %s", substr($0, RSTART, RLENGTH) }
		match($0, /transport [^,]*/) { printf "; %s", substr($0, RSTART, RLENGTH) }
		{ prev = $0 }' "$tmp/$1"
}

# pass_through ARGS...: the summary goes to stderr where stdout is JSON.
pass_through() {
	local status out=1
	"$bench" "$@" | tee "$tmp/out"
	status=${PIPESTATUS[0]}
	[[ $(head -c 1 "$tmp/out") == "{" ]] && out=2
	echo "bench: cairn-bench $*: exit $status$(figures out)" >&$out
	exit "$status"
}

# part NAME CAIRN-BENCH-ARGS...: runs one; its table stays in $tmp/NAME.
part() {
	local name=$1
	shift
	say "cairn-bench $*"
	"$bench" "$@" | tee "$tmp/$name"
	if [ "${PIPESTATUS[0]}" -ne 0 ]; then
		echo "bench: FAILED: cairn-bench $*"
		exit 1
	fi
}

[ $# -gt 0 ] && pass_through "$@"

say "the floor: three bare processes that echo and write 4 KiB durably, no product in it"
part floor floor --dir "$tmp"
say "a lab: three nodes, each with 1 GiB of log, in $tmp"
if ! "$ctl" lab up --dir "$tmp/lab" --wal-bytes 1GiB > /dev/null; then
	echo "bench: FAILED: cairnctl lab up"
	exit 1
fi
lab=lab:$tmp/lab
part latency latency --target "$lab"
load="run --target $lab --transport memif --closed --inflight 64 --value 64"
# shellcheck disable=SC2086
part put $load --op put
# shellcheck disable=SC2086
part get $load --op get

durability=$(sed -n 's/.*durability \([^,]*\),.*/\1/p' "$tmp/put")
transport=$(sed -n 's/.*transport \([^,]*\),.*/\1/p' "$tmp/put")
ratio=$(sed -n 's/^ratio of p50: //p' "$tmp/latency")
floor=$(row latency floor 2) put=$(row latency put 2)
puts=$(row put put 2) gets=$(row get get 2)
for figure in "$floor" "$put" "$ratio" "$puts" "$gets" "$durability" "$transport"; do
	if [ -z "$figure" ]; then
		echo "bench: FAILED: a figure is missing in what cairn-bench printed"
		exit 1
	fi
done
echo "bench: floor p50 $floor us, durable put p50 $put us, ratio $ratio; with 64 in flight" \
	"$puts put/s, $gets get/s; durability $durability, transport $transport"
