#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# engines.sh BUILD_DIR [SYSTEM...]: both engines in one table, beside etcd, Redis with WAIT and
# libraft: latency of one client at each node, throughput, and the same with one node dead.
# SYSTEM: hermes raft etcd redis libraft (default: all). The peers' programs are in $PEERS; its
# README says how a row is measured. REPS, SECS, WARM, RAW as there; SHARDS of the labs (1).
# All run on this machine alone, by turns, three nodes each, logs on the same disk.
set -u
build=$(cd "${1:?usage: engines.sh BUILD_DIR [SYSTEM...]}" && pwd) || exit 1
shift
systems=${*:-hermes raft etcd redis libraft}
PEERS=$(cd "${PEERS:-$(dirname "$0")/../../shared/bench/peers}" && pwd) || exit 1
export LC_ALL=C REPS=${REPS:-3} SECS=${SECS:-4} WARM=${WARM:-1}
# shellcheck source=/dev/null
. "$PEERS/lib.sh"
# shellcheck disable=SC2034 # lib.sh reads it
here=$PEERS
export RAW
ctl=$build/mgmt/cairnctl
bench=$build/perf/cairn-bench
export CAIRN_LAB_DIR=$W/lab

finish() {
	trap - EXIT
	[ -d "$W/lab" ] && "$ctl" lab down > /dev/null 2>&1
	rm -rf "$W" "$MEM"
}

# What measure.py counts as the servers.
pids() {
	"$ctl" lab status -o json 2> /dev/null |
		python3 -c 'import json, sys
rows = json.load(sys.stdin)["processes"]
print(",".join(str(row["PID"]) for row in rows if "PID" in row))' || true
}

# one CONFIG OP SERVERS INFLIGHT [BENCH-ARGS]: a closed loop, as the peers' loads are.
one() {
	local config=$1 op=$2 servers=$3 inflight=$4 where=$3
	shift 4
	[ "$servers" = all ] || where=node$servers
	load "cairn-$engine" "$config" "$op@$where" 32 "$inflight" \
		"$bench" run --closed --inflight "$inflight" --op "$op" \
		--servers "$servers" --value 32 --keys 10000 --secs "$SECS" \
		--warmup "$WARM" --failover 0.14 --result "$@"
}

# The words of `health`, once they are there.
wait_for() {
	for _ in $(seq 300); do
		# `health` itself fails unless all is well, and pipefail is on.
		{ "$ctl" health -o json 2> /dev/null || true; } |
			grep -E "\"state\": *\"$1\"" > /dev/null && return 0
		sleep 0.1
	done
	echo "# the lab is not $1 in time" >&2
	return 1
}

leader() {
	"$ctl" leader show -o json | python3 -c 'import json, sys
answer = json.load(sys.stdin)
print(answer["shards"][0] if sys.argv[1] == "raft" else answer["view"])' "$engine"
}

cairn() {
	local n dead servers
	"$ctl" lab up --engine "$engine" --shards "${SHARDS:-1}" --wal-bytes 2GiB > /dev/null
	for _ in $(seq "$REPS"); do
		for n in 0 1 2; do
			one 3x-disk put "$n" 1
			one 3x-disk get "$n" 1
		done
		for n in 1 16 64; do one 3x-disk-udp put all "$n" --transport udp; done
		one 3x-disk-udp get all 64 --transport udp
		for n in 16 64 256; do one 3x-disk put all "$n"; done
		one 3x-disk get all 64
	done
	dead=$(leader)
	echo "# $engine: leader $dead; it dies now" >&2
	"$ctl" lab kill "$dead" > /dev/null
	wait_for DEGRADED || return
	servers=$(((dead + 1) % 3))
	for _ in $(seq "$REPS"); do
		one 3x-disk-one-dead put "$servers" 1
		one 3x-disk-one-dead get "$servers" 1
		one 3x-disk-one-dead put "$servers" 64
		one 3x-disk-one-dead get "$servers" 64
	done
	"$ctl" lab down > /dev/null
}

floors
for system in $systems; do
	case $system in
	hermes | raft)
		engine=$system
		cairn || echo "# $engine: not complete" >&2
		;;
	etcd) ONLY='3x-disk (put@leader|put@all|getlin@leader|getlin@all) 32 (1|16|64)$' \
		"$PEERS/run-etcd" > /dev/null ;;
	redis) ONLY='3x-fsync-always (setwait2|get) 32 (1|16|64)$' "$PEERS/run-redis" > /dev/null ;;
	libraft) ONLY='3x-disk-nodelay apply-at-leader 100 (1|16|64)$' \
		"$PEERS/run-libraft" > /dev/null ;;
	*)
		echo "engines.sh: no system '$system'" >&2
		exit 2
		;;
	esac
done
report
