#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job of ./quickstart: quickstart_job.sh BUILD_DIR
# Three nodes on this machine take every path and checksum of Debian's package database, give them
# back from each replica, are killed without warning, start again, and give them back once more.
# A small machine's database is topped up from its own index of packages, to 100,000 records.
# Exit 0 only if every comparison was equal. Everything it starts or makes is gone at its end.
set -u
build=${1:?usage: quickstart_job.sh BUILD_DIR}
bin=$(cd "$build" && pwd)/mgmt
ctl=$bin/cairnctl
bench=$bin/../perf/cairn-bench
wanted=100000
cd "$(dirname "$0")/../.." || exit 1

say() {
	printf '[%3ds] %s\n' "$SECONDS" "$*"
}

die() {
	say "FAILED: $*"
	exit 1
}

tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/cairn-quickstart.XXXXXX") || exit 1
export CAIRN_LAB_DIR=$tmp/lab LC_ALL=C
unset CAIRN_ENDPOINTS

cleanup() {
	local status=$?
	trap - EXIT
	trap '' INT TERM HUP
	[ -d "$CAIRN_LAB_DIR" ] && "$ctl" lab down 2> /dev/null
	rm -rf "$tmp"
	exit $status
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# The package lists as KEY<TAB>VALUE, paths absolute. A path that several packages list is taken
# once: both records would have the same key.
collect() {
	find /var/lib/dpkg/info -name '*.md5sums' -exec cat {} + |
		sed -nE 's|^([0-9a-f]{32}) [ *]/?(.+)$|/\2\t\1|p' |
		sort -t "$(printf '\t')" -k 1,1 -u
}

# The index of Debian packages that apt keeps: file and SHA-256 of each package; or, under "md5/",
# file and MD5.
collect_index() {
	apt-cache dumpavail | awk -v field="$1" -v prefix="$2" '
		$1 == "Filename:" { file = $2 }
		$1 == field { sum = $2 }
		$0 == "" { if (file && sum) print prefix file "\t" sum; file = sum = "" }
		END { if (file && sum) print prefix file "\t" sum }' |
		sort -t "$(printf '\t')" -k 1,1 -u
}

# top_up WHAT FIELD PREFIX: more real records, if there are too few; says how many.
top_up() {
	local before after
	before=$(wc -l < "$tmp/records")
	[ "$before" -ge "$wanted" ] && return
	collect_index "$2" "$3" >> "$tmp/records"
	after=$(wc -l < "$tmp/records")
	say "  $((after - before)) records: $1 of each package in apt's index"
}

# read_back WHEN: reads every key from each replica and compares, byte by byte.
read_back() {
	local node
	for node in 0 1 2; do
		"$ctl" kv export --node "$node" --keys "$tmp/keys" > "$tmp/back" 2> "$tmp/err" ||
			{ cat "$tmp/err" >&2; die "reading from node $node"; }
		cmp "$tmp/records" "$tmp/back" || die "node $node gave back something else"
		say "  node $node: $(wc -l < "$tmp/back") records read back $1, all identical"
	done
}

# measure LABEL CAIRN-BENCH-ARGS...
measure() {
	local label=$1 line
	shift
	line=$("$bench" run --target "lab:$CAIRN_LAB_DIR" --transport memif --closed \
		--result --secs 2 --warmup 0.5 "$@" 2> "$tmp/err" | grep '^RESULT ') ||
		{ cat "$tmp/err" >&2; die "cairn-bench run $*"; }
	# shellcheck disable=SC2086
	set -- $line
	printf '        %-44s %9.0f/s   p50 %8.1f us   p99 %8.1f us\n' "$label" "$2" "$3" "$4"
}

say "collecting the paths and checksums in Debian's package database"
collect > "$tmp/records" || die "no package database in /var/lib/dpkg/info"
say "  $(wc -l < "$tmp/records") records: path and MD5 of each file of the installed packages"
top_up "file and SHA-256" SHA256: ""
top_up "file and MD5" MD5sum: md5/
cut -f 1 "$tmp/records" > "$tmp/keys"
count=$(wc -l < "$tmp/records")
[ "$count" -ge "$wanted" ] || die "only $count records in /var/lib/dpkg/info and in apt's index," \
	"of $wanted; 'apt-get update' fetches the index"
say "  $count records in all"

say "starting three nodes: DPDK dataplane, durable log, control daemon each; memif links"
"$ctl" lab up --keys 1000000 > /dev/null || die "cairnctl lab up"
"$ctl" status -o json > "$tmp/status" || die "cairnctl status"
say "  logs are written by:" \
	"$(sed -nE 's/^ *"disk": "([^"]*)".*/\1/p' "$tmp/status" | sort | uniq -c | xargs)" \
	"nodes; past the page cache: $(grep -c '"direct": true' "$tmp/status") of 3"

say "importing through cairnctl kv import; acknowledged means: on all three disks"
"$ctl" kv import "$tmp/records" --acked "$tmp/acked" -o table > "$tmp/summary" || {
	cat "$tmp/summary"
	die "the import"
}
sed 's/^/        /' "$tmp/summary"
cut -f 1,2 "$tmp/acked" | sort > "$tmp/acked.sorted"
sort "$tmp/records" | cmp - "$tmp/acked.sorted" || die "not every record was acknowledged"
say "  $(wc -l < "$tmp/acked") records acknowledged"

read_back "after the import"

say "killing all three nodes at once, without warning"
"$ctl" lab kill all || die "cairnctl lab kill"
say "starting them again on the same logs"
"$ctl" lab start || die "cairnctl lab start"
read_back "after the kill"

say "a short look at speed; everything shares this machine's $(nproc) cores"
say "  durability: all (3 disks before each acknowledgement); transport: memif through the switch"
say "  closed loops of 64-byte values: an impression, not latency under a given load"
measure "durable write, 1 in flight" --op put --inflight 1
measure "durable write, 64 in flight" --op put --inflight 64
measure "linearizable read, 64 in flight" --op get --inflight 64

say "done: $count records imported, read back from each replica, killed, read back again: no loss"
cat <<END

Try next:
  export PATH=$bin:\$PATH
  cairnctl lab up                      a lab of your own; stays until 'cairnctl lab down'
  cairnctl kv put greeting hello       then: cairnctl kv get greeting --node 2
  cairnctl status                      and: cairnctl lab kill 1; cairnctl health; cairnctl lab start
  cairnctl lab fault drop=5%,dup=5%    the switch loses and repeats frames
  cairnctl help                        all commands; docs/operating.md tells the rest
  ./quickstart test                    the whole test suite
END
