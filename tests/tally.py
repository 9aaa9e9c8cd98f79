#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tally: read a Meson testlog.json, show the tail of every test that did not pass, and print
"passed failed skipped" as the last line.

  tests/tally.py TESTLOG.json
"""
import json
import sys

PASSED = {"OK", "EXPECTEDFAIL"}
TAIL_LINES = 40


def tail(text):
    return "\n".join((text or "").rstrip().split("\n")[-TAIL_LINES:])


def main():
    passed = failed = skipped = 0
    try:
        with open(sys.argv[1], encoding="utf-8", errors="replace") as f:
            results = [json.loads(line) for line in f]
    except (OSError, ValueError) as e:
        print(f"tally: {e}")
        print("0 1 0")
        return
    for r in results:
        if r["result"] in PASSED:
            passed += 1
            continue
        skipped += r["result"] == "SKIP"
        failed += r["result"] != "SKIP"
        print(f"---- {r['name']}: {r['result']} after {r['duration']:.1f} s; the end of its log:")
        print(tail(r.get("stdout")))
        print(tail(r.get("stderr")))
    if not results:
        print("tally: no test ran")
        failed = 1
    print(passed, failed, skipped)


main()
