#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every mutant of tests/mutants.h in its rig until that catches it.

usage: mutants.py MUTANTS_H CAIRN_SIM_MUTANTS CAIRN_REPLAY_MUTANTS SCRIPT...
       [--seeds N] [--from S] [--only NUMBER]

Rig sim: seeds of the simulator, until one is violated. Rig replay: all scripts, until one differs.
Prints one line per mutant and fails when one survives, or when a rig fails without any mutant
(then a kill would prove nothing).
"""
import argparse
import os
import re
import subprocess
import sys
import time

ENTRY = re.compile(r'MUTANT\((\d+), (\w+), (\w+), "([^"]*)"\)')
# Seeds a mutant gets at first; then all the rest. Most die within a few.
FIRST_SEEDS = 16


def run_sim(program, mutant, first, count):
    command = [program, '--mutant', str(mutant), '--from', str(first), '--seeds', str(count)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    found = re.search(r'seed (\d+): VIOLATION(?: after \d+ events)?: ([^\n]*)', done.stderr)
    if done.returncode != 1 or not found:
        sys.exit(f'{" ".join(command)}: exit {done.returncode}: {done.stderr}')
    return f'seed {found.group(1)}', found.group(2)


def hunt_sim(args, mutant):
    head = min(FIRST_SEEDS, args.seeds)
    killed = run_sim(args.sim, mutant, args.first, head)
    if killed or head == args.seeds:
        return killed
    return run_sim(args.sim, mutant, args.first + head, args.seeds - head)


def hunt_replay(args, mutant):
    for script in args.scripts:
        done = subprocess.run([args.replay, script], capture_output=True, text=True,
                              env=os.environ | {'CAIRN_MUTANT': str(mutant)})
        if done.returncode != 0:
            name = os.path.basename(script)
            return name, ' / '.join(line.split(': ', 1)[-1] for line in done.stderr.splitlines())
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('table')
    parser.add_argument('sim')
    parser.add_argument('replay')
    parser.add_argument('scripts', nargs='+')
    parser.add_argument('--seeds', type=int, default=600)
    parser.add_argument('--from', type=int, default=1, dest='first')
    parser.add_argument('--only', type=int)
    args = parser.parse_args()
    hunt = {'sim': hunt_sim, 'replay': hunt_replay}

    with open(args.table, encoding='utf-8') as f:
        table = [(int(n), name, rig, what) for n, name, rig, what in ENTRY.findall(f.read())
                 if rig in hunt and args.only in (None, int(n))]
    if not table:
        sys.exit('mutants.py: no mutants for these rigs in the table')

    for healthy in run_sim(args.sim, 0, args.first, FIRST_SEEDS), hunt_replay(args, 0):
        if healthy:
            sys.exit(f'without any mutant {healthy[0]} fails: {healthy[1]}')

    survivors = 0
    for number, name, rig, what in table:
        start = time.monotonic()
        killed = hunt[rig](args, number)
        spent = time.monotonic() - start
        if killed:
            print(f'{number:3} {name:22} killed by {rig} {killed[0]} in {spent:.1f} s: '
                  f'{killed[1][:100]}', flush=True)
        else:
            survivors += 1
            print(f'{number:3} {name:22} SURVIVED {rig} ({what})', flush=True)
    print(f'mutants: {len(table)} run, {len(table) - survivors} killed, {survivors} survived')
    return 1 if survivors else 0


if __name__ == '__main__':
    sys.exit(main())
