#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD [--secs N] [TARGET...]: builds the engines and runs each for N seconds (default 60)
# from the committed corpus and what earlier runs found. One summary line; exit 1 if a promise
# broke.
set -u
build=$1
shift
here=$(dirname "$0")
all=$(cd "$here" && ls fuzz_*.c | sed 's/fuzz_//; s/\.c//')
secs=60
targets=()
while [ $# -gt 0 ]; do
	case $1 in
	--secs)
		secs=${2:-}
		shift
		case $secs in
		"" | *[!0-9]* | 0)
			echo "fuzz: --secs needs a number of seconds, not '$secs'" >&2
			exit 2
			;;
		esac
		;;
	-*)
		echo "fuzz: unknown option '$1'; there is --secs N" >&2
		exit 2
		;;
	*)
		if [ ! -f "$here/fuzz_$1.c" ]; then
			echo "fuzz: no target '$1'; there are:" $all >&2
			exit 2
		fi
		targets+=("$1")
		;;
	esac
	shift
done
if [ ${#targets[@]} -eq 0 ]; then
	targets=($all)
fi

child=
trap '[ -n "$child" ] && kill "$child" 2>/dev/null; exit 143' INT TERM
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
inputs=0 broken=0
for name in "${targets[@]}"; do
	engine=$build/tests/fuzz/engine_$name
	found=$build/found/$name
	mkdir -p "$found" "$build/broken"
	if ! ninja -C "$build" "tests/fuzz/engine_$name" > "$build/build-$name.log" 2>&1; then
		tail -n 30 "$build/build-$name.log" >&2
		exit 1
	fi
	echo "fuzz: $name for $secs s" >&2
	"$engine" -max_total_time="$secs" -timeout=10 -max_len=16384 -print_final_stats=1 \
		-artifact_prefix="$build/broken/$name-" "$found" "$here/corpus/$name" \
		> "$build/$name.log" 2>&1 &
	child=$!
	if ! wait "$child"; then
		broken=$((broken + 1))
		tail -n 40 "$build/$name.log" >&2
		echo "fuzz: replay it with $build/tests/fuzz/fuzz_$name --mutations 0" \
			"$build/broken/$name-..." >&2
	fi
	child=
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$name.log")
	inputs=$((inputs + ${runs:-0}))
done
echo "fuzz: ${#targets[@]} targets, $secs s each, $inputs inputs, $broken broken"
[ "$broken" -eq 0 ] && [ "$inputs" -gt 0 ]
