#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every mutant of tests/mutants.h in the simulator until a seed catches it.

usage: mutants.py <cairn-sim-mutants> <mutants.h> [--seeds N] [--from S] [--only N]

Prints one line per mutant and fails when one survives all its seeds, or when the build without a
mutant does not pass the same seeds (then a kill would prove nothing).
"""
import argparse
import re
import subprocess
import sys
import time

ENTRY = re.compile(r'MUTANT\((\d+), (\w+), (\w+), "([^"]*)"\)')
# Seeds a mutant gets at first; then all the rest. Most die within a few.
FIRST_SEEDS = 16


def run(program, mutant, first, count):
    command = [program, '--mutant', str(mutant), '--from', str(first), '--seeds', str(count)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    if done.returncode != 1:
        sys.exit(f'{" ".join(command)}: exit {done.returncode}: {done.stderr}')
    found = re.search(r'seed (\d+): VIOLATION(?: after \d+ events)?: ([^\n]*)', done.stderr)
    if not found:
        sys.exit(f'{" ".join(command)}: no explanation: {done.stderr}')
    return found.group(1), found.group(2)


def hunt(program, mutant, first, count):
    head = min(FIRST_SEEDS, count)
    killed = run(program, mutant, first, head)
    if killed or head == count:
        return killed
    return run(program, mutant, first + head, count - head)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('program')
    parser.add_argument('table')
    parser.add_argument('--seeds', type=int, default=400)
    parser.add_argument('--from', type=int, default=1, dest='first')
    parser.add_argument('--only', type=int)
    args = parser.parse_args()

    with open(args.table, encoding='utf-8') as f:
        table = ENTRY.findall(f.read())
    table = [(int(n), name, what) for n, name, rig, what in table
             if rig == 'sim' and args.only in (None, int(n))]
    if not table:
        sys.exit('mutants.py: no mutants for this rig in the table')

    healthy = run(args.program, 0, args.first, FIRST_SEEDS)
    if healthy:
        sys.exit(f'without any mutant seed {healthy[0]} fails: {healthy[1]}')

    survivors = 0
    for number, name, what in table:
        start = time.monotonic()
        killed = hunt(args.program, number, args.first, args.seeds)
        spent = time.monotonic() - start
        if killed:
            print(f'{number:3} {name:22} killed by seed {killed[0]:>5} in {spent:5.1f} s: '
                  f'{killed[1][:90]}', flush=True)
        else:
            survivors += 1
            print(f'{number:3} {name:22} SURVIVED {args.seeds} seeds ({what})', flush=True)
    print(f'mutants: {len(table)} run, {len(table) - survivors} killed, {survivors} survived')
    return 1 if survivors else 0


if __name__ == '__main__':
    sys.exit(main())
