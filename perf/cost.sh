#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ./quickstart cost: cost.sh BUILD_DIR [LIMITS_FILE]
# Instructions per committed 64-byte write and per local read, by valgrind's callgrind: the whole of
# three replicas in memory, and what is spent inside replica_step (its callees included). Each
# figure is the difference between a run of 2 K and one of K operations, so that start and warm-up
# cancel out; it is exact, and the same on every run of one binary. Fails when a figure is more than
# 10 % above the limits file (docs/testing.md, Cost).
set -u
build=$(cd "${1:?usage: cost.sh BUILD_DIR [LIMITS_FILE]}" && pwd) || exit 1
limits=${2:-$(dirname "$0")/cost_limits.txt}
program=$build/perf/cairn-cost
count=6000
tolerance_percent=10
export LC_ALL=C

[ -x "$program" ] || { echo "cost: $program is not there: build it first" >&2; exit 1; }
[ -r "$limits" ] || { echo "cost: $limits cannot be read" >&2; exit 1; }
tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/cairn-cost.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT

# instructions OP COUNT [CALLGRIND-ARGS...]: of one run.
instructions() {
	local op=$1 count=$2
	shift 2
	valgrind --tool=callgrind --callgrind-out-file="$tmp/out" "$@" "$program" "$op" "$count" \
		> "$tmp/log" 2>&1 || { tail -n 5 "$tmp/log" >&2; return 1; }
	sed -n 's/^==[0-9]*== Collected *: *\([0-9]*\)$/\1/p' "$tmp/log"
}

# cost OP [CALLGRIND-ARGS...]: instructions of one operation, rounded.
cost() {
	local op=$1 one two
	shift
	one=$(instructions "$op" "$count" "$@") || return 1
	two=$(instructions "$op" "$((2 * count))" "$@") || return 1
	# A profiler that counts nothing (a renamed function, say) must not pass for a fast product.
	[ "${one:-0}" -gt 0 ] && [ "${two:-0}" -gt "$one" ] || return 1
	echo $(((two - one + count / 2) / count))
}

status=0

# measure NAME OP [CALLGRIND-ARGS...]: its figure, held against the limit of that name.
measure() {
	local name=$1 limit
	shift
	limit=$(sed -n "s/^$name \([0-9][0-9]*\)$/\1/p" "$limits")
	if [ -z "$limit" ]; then
		echo "cost: no limit called $name in $limits" >&2
		exit 1
	fi
	if ! figure=$(cost "$@"); then
		echo "cost: FAILED: callgrind gave no figure for $name (is valgrind installed?)" >&2
		exit 1
	fi
	awk -v name="$name" -v figure="$figure" -v limit="$limit" -v tolerance=$tolerance_percent '
		BEGIN {
			change = 100 * (figure - limit) / limit
			bad = change > tolerance
			printf "  %-12s %8d   before %8d   %+6.1f %%%s\n", name, figure, limit,
				change, bad ? "   FAILED: over " tolerance " %" : ""
			exit bad
		}' >&2 || status=1
}

inside=(--toggle-collect=replica_step)
measure write_total write
write=$figure
measure write_step write "${inside[@]}"
write_step=$figure
measure read_total read
read=$figure
measure read_step read "${inside[@]}"
read_step=$figure
echo "cost: $write instructions per committed 64 B write ($write_step in replica_step)," \
	"$read per local read ($read_step in replica_step)"
exit $status
