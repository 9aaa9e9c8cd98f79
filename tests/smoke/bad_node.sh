#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bad_node.sh BINDIR: real programs, bad input: each must end with the right exit code and name the
# typed error, never hang, never touch what was there. Needs no root, no network, no huge pages.
set -u
bin=$1
work=$(mktemp -d "${TMPDIR:-/tmp}/cairn-bad.XXXXXX")
pids=()
failed=0
passed=0

finish() {
	for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null; done
	for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
	rm -rf "$work"
}
trap finish EXIT

# expect NAME EXIT PATTERN COMMAND...: runs it, bounded in time; compares.
expect() {
	local name=$1 code=$2 pattern=$3 rc
	shift 3
	timeout 30 "$@" >"$work/out" 2>&1
	rc=$?
	if [ "$rc" -eq "$code" ] && grep -q -- "$pattern" "$work/out"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED $name: exit $rc, wanted $code and '$pattern'; it said:"
		sed 's/^/    /' "$work/out"
	fi
}

# settings NAME [LINE...]: writes NAME.toml for a one-node cluster; LINEs replace by sed.
settings() {
	local name=$1
	shift
	mkdir -p "$work/$name"
	cat >"$work/$name.toml" <<-END
		[node]
		id = 0
		data = "$work/$name"
		runtime = "$work/$name-run"
		[cluster]
		id = "bad1"
		shards = 2
		[memory]
		keys_max = 1024
		value_bytes = "1MiB"
		[net]
		device = "memif:cairn-bad-$$:0"
		address = "10.77.0.1/24"
		[storage]
		wal_bytes = "8MiB"
	END
	for change in "$@"; do sed -i "$change" "$work/$name.toml"; done
}

# await NAME WORD: until the status of node NAME contains WORD; bounded.
await() {
	for _ in $(seq 600); do
		curl -s --unix-socket "$work/$1-run/cairnd.sock" http://node/v1/status \
			>"$work/status" 2>/dev/null && grep -q "$2" "$work/status" && return 0
		read -r -t 0.05 <> <(:)
	done
	echo "FAILED $1: never saw $2 in its status:"
	cat "$work/status"
	failed=$((failed + 1))
	return 1
}

# Configuration.
settings good
expect "good file" 0 ': ok$' "$bin/cairnd" -c "$work/good.toml" --check
expect "no file" 2 CAIRN-0001 "$bin/cairnd" -c "$work/none.toml" --check
expect "a folder" 2 CAIRN-0001 "$bin/cairnd" -c "$work" --check
expect "no options" 2 usage "$bin/cairnd"
expect "unknown option" 2 usage "$bin/cairnd" --colour
settings key 's/^device/devise/'
expect "unknown key" 2 'key.toml:12:1: unknown key "devise" in \[net\] \[CAIRN-0003\]' \
	"$bin/cairnd" -c "$work/key.toml" -n
expect "suggestion" 2 'did you mean "device"?' "$bin/cairn-dataplane" -c "$work/key.toml"
head -c 4096 /dev/urandom >"$work/noise.toml"
expect "noise" 2 'CAIRN-000[0-9]' "$bin/cairnd" -c "$work/noise.toml" -n
settings mode 's/^wal_bytes.*/durability = "memory"/'
expect "durability" 2 CAIRN-0009 "$bin/cairnd" -c "$work/mode.toml" -n

# Data folders.
settings bare
expect "not formatted" 1 CAIRN-0202 "$bin/cairn-dataplane" -c "$work/bare.toml"
rm -r "$work/bare"
expect "no folder" 1 CAIRN-0201 "$bin/cairn-dataplane" -c "$work/bare.toml"
expect "format" 0 '' "$bin/cairnutil" format --config "$work/good.toml"
before=$(sha256sum "$work/good/stream-0.wal")
expect "format twice" 5 '' "$bin/cairnutil" format --config "$work/good.toml"
for change in 's/^id = "bad1"/id = "bad2"/' 's/^id = 0/id = 1/' 's/^shards.*/shards = 3/'; do
	settings other "$change" "s,^data.*,data = \"$work/good\","
	host=$((1 + $(grep -c 'id = 1$' "$work/other.toml")))
	printf '[[peer]]\nid = 0\naddr = "10.77.0.%d"\n' $host >>"$work/other.toml"
	expect "wrong data: $change" 1 CAIRN-0203 "$bin/cairn-dataplane" -c "$work/other.toml"
done
[ "$before" = "$(sha256sum "$work/good/stream-0.wal")" ] || {
	echo "FAILED refused starts changed the log"
	failed=$((failed + 1))
}
settings torn
"$bin/cairnutil" format --config "$work/torn.toml" >/dev/null
printf 'rot' | dd of="$work/torn/stream-0.wal" bs=1 seek=40 conv=notrunc status=none
expect "one damaged copy" 1 'superblock copy 0.*data are intact' \
	"$bin/cairnutil" verify -d "$work/torn"
sed -i 's/^id = "bad1"/id = "bad2"/' "$work/torn.toml"
expect "one damaged copy, a node" 1 'superblock_copy_damaged.*copy=0' \
	"$bin/cairn-dataplane" -c "$work/torn.toml"
printf 'rot' | dd of="$work/torn/stream-0.wal" bs=1 seek=4136 conv=notrunc status=none
expect "damaged superblock" 1 CAIRN-0204 "$bin/cairn-dataplane" -c "$work/torn.toml"
settings short
"$bin/cairnutil" format --config "$work/short.toml" >/dev/null
truncate -s 512K "$work/short/stream-0.wal"
expect "short file" 1 'CAIRN-0204.*is 524288 bytes, formatted for 8388608' \
	"$bin/cairn-dataplane" -c "$work/short.toml"
for size in 4096 8192 5000000 100 0; do
	truncate -s $size "$work/short/stream-0.wal"
	expect "file of $size bytes" 1 "CAIRN-0204.*is $size bytes" \
		"$bin/cairn-dataplane" -c "$work/short.toml"
	expect "verify, $size bytes" 1 'it was cut' "$bin/cairnutil" verify -d "$work/short"
done
rm "$work/short/stream-0.wal"
mkfifo "$work/short/stream-0.wal"
expect "a FIFO" 1 CAIRN-0203 "$bin/cairn-dataplane" -c "$work/short.toml"
expect "verify, a FIFO" 1 'not a regular file' "$bin/cairnutil" verify -d "$work/short"
rm "$work/short/stream-0.wal"
for other in /dev/zero "$work"; do
	ln -sfn "$other" "$work/short/stream-0.wal"
	expect "verify, $other" 1 'not a regular file' "$bin/cairnutil" verify -d "$work/short"
done

# A format that was interrupted is done again.
settings again
head -c 20000 /dev/urandom >"$work/again/stream-0.wal.tmp"
expect "format again" 0 formatted "$bin/cairnutil" format --config "$work/again.toml"
expect "verify it" 0 '0 of 1' "$bin/cairnutil" verify -d "$work/again"
[ ! -e "$work/again/stream-0.wal.tmp" ] || {
	echo "FAILED format left its temporary file"
	failed=$((failed + 1))
}

settings full
expect "full disk, format" 1 'no space left' unshare -rm bash -c \
	"mount -t tmpfs -o size=512k none $work/full &&
	 $bin/cairnutil format --config $work/full.toml"
settings fullrun
"$bin/cairnutil" format --config "$work/fullrun.toml" >/dev/null
mkdir "$work/fullrun-run"
expect "full disk, start" 1 CAIRN-0215 unshare -rm bash -c \
	"mount -t tmpfs -o size=4k,nr_inodes=4 none $work/fullrun-run &&
	 $bin/cairn-dataplane -c $work/fullrun.toml"

# The machine.
settings nic 's/^device.*/device = "af_packet:cairn-none0"/'
"$bin/cairnutil" format --config "$work/nic.toml" >/dev/null
expect "no such port" 1 CAIRN-0209 "$bin/cairn-dataplane" -c "$work/nic.toml"
settings core 's/^\[memory\]/[cpu]\ncores = [1023]\n[memory]/'
expect "no such core" 2 CAIRN-0005 "$bin/cairn-dataplane" -c "$work/core.toml"
settings run 's,^runtime.*,runtime = "/dev/null/run",'
"$bin/cairnutil" format --config "$work/run.toml" >/dev/null
expect "bad runtime" 1 CAIRN-0207 "$bin/cairn-dataplane" -c "$work/run.toml"
expect "bad runtime, daemon" 1 CAIRN-0207 "$bin/cairnd" -c "$work/run.toml"
settings big 's/^value_bytes.*/value_bytes = "1024GiB"/'
"$bin/cairnutil" format --config "$work/big.toml" >/dev/null
expect "too little memory" 1 CAIRN-0210 "$bin/cairn-dataplane" -c "$work/big.toml"

# A running node, and others that want its place.
"$bin/cairnd" -c "$work/good.toml" 2>"$work/good.log" &
pids+=($!)
await good SERVING
expect "second daemon" 1 'CAIRN-0206.*process [0-9]' "$bin/cairnd" -c "$work/good.toml"
expect "second dataplane" 1 'CAIRN-0206.*process [0-9]' \
	"$bin/cairn-dataplane" -c "$work/good.toml"
settings socket "s,^\[storage\],[control]\nsocket = \"$work/good-run/cairnd.sock\"\n[storage],"
expect "socket taken" 1 CAIRN-0208 "$bin/cairnd" -c "$work/socket.toml"
sed -i "s,^socket = .*,socket = \"$work/good.toml\"," "$work/socket.toml"
expect "no socket" 1 CAIRN-0208 "$bin/cairnd" -c "$work/socket.toml"
if [ ! -s "$work/good.toml" ]; then
	echo "FAILED removed a file that was no socket"
	failed=$((failed + 1))
fi
expect "no such path" 0 CAIRN-0301 curl -s --unix-socket "$work/good-run/cairnd.sock" http://n/v1/x
expect "wrong method" 0 CAIRN-0302 curl -s -X PUT --unix-socket "$work/good-run/cairnd.sock" \
	http://n/v1/status
if [ "$(awk '/HugePages_Free/ { print $2 }' /proc/meminfo)" = 0 ]; then
	grep -q CAIRN-0101 "$work/status" ||
		{ echo "FAILED missing huge pages are not in the status"; failed=$((failed + 1)); }
	passed=$((passed + 1))
fi

# A daemon whose dataplane cannot start stays, and says why.
settings stuck
"$bin/cairnd" -c "$work/stuck.toml" 2>"$work/stuck.log" &
pids+=($!)
await stuck FAILED && await stuck CAIRN-0202 && passed=$((passed + 1))

echo "bad_node: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
