#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs cairn-core-model with the deliberate faults of kills.txt: it must find each of them.

usage: kills.py PROGRAM LIST
"""
import os
import re
import subprocess
import sys

SECS_MAX = 120


def hunt(program, mutant, situation):
    """The violation's line, or None."""
    done = subprocess.run([program, '--config', situation, '--secs-max', str(SECS_MAX)],
                          capture_output=True, text=True, timeout=2 * SECS_MAX,
                          env=os.environ | {'CAIRN_MUTANT': mutant})
    if done.returncode not in (0, 1):
        sys.exit(f'{program} --config {situation}, mutant {mutant}: exit {done.returncode}: '
                 f'{done.stderr}')
    found = re.search(r'^# \w+: (\d+ steps to: [^\n]*)', done.stdout, re.M)
    return found.group(1) if found else None


def main():
    program, table = sys.argv[1:]
    with open(table, encoding='utf-8') as f:
        pairs = [line.split() for line in f if line.strip() and not line.startswith('#')]
    alive = 0
    for mutant, situation in pairs:
        how = hunt(program, mutant, situation)
        alive += how is None
        print(f'{mutant} {situation}: {how or "SURVIVED"}', flush=True)
    print(f'kills: {len(pairs)} mutants, {alive} survived')
    return 1 if alive or not pairs else 0


if __name__ == '__main__':
    sys.exit(main())
