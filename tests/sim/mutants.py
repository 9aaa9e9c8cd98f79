#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every mutant of tests/mutants.h in its rig until that catches it.

usage: mutants.py ROOT --sim CAIRN_SIM_MUTANTS --unit NAME TEST_NAME_MUTANTS [--unit ...]
       --replay CAIRN_REPLAY_MUTANTS SCRIPT... [--seeds N] [--from S] [--only NUMBER]

Rig sim: seeds of the simulator, until one is violated. Rig replay: all scripts, until one differs.
Any other rig: the unit test of that name, until one of its cases fails.
Prints one line per mutant and fails when one survives, when a rig fails without any mutant (then a
kill would prove nothing), or when table and sources do not name the same mutants.
"""
import argparse
import os
import re
import subprocess
import sys
import time

SOURCES = 'replication', 'storage', 'dataplane'
ENTRY = re.compile(r'MUTANT\((\d+), (\w+), (\w+), "([^"]*)"\)')
# Seeds a mutant gets at first; then all the rest. Most die within a few.
FIRST_SEEDS = 16


def read_table(root):
    with open(os.path.join(root, 'tests', 'mutants.h'), encoding='utf-8') as f:
        text = f.read()
    table = [(int(n), name, rig, what) for n, name, rig, what in ENTRY.findall(text)]
    numbers = [entry[0] for entry in table]
    if len(re.findall(r'MUTANT\(\d', text)) != len(table):
        sys.exit('mutants.h: an entry is not of the form MUTANT(number, name, rig, "what")')
    if len(set(numbers)) != len(numbers):
        sys.exit('mutants.h: a number is there twice')
    return table


def compare_with_sources(root, table):
    found = {}
    for folder in SOURCES:
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if not name.endswith(('.c', '.h')):
                    continue
                path = os.path.join(where, name)
                with open(path, encoding='utf-8') as f:
                    for number in re.findall(r'\bmutant\((\d+)\)', f.read()):
                        found.setdefault(int(number), os.path.relpath(path, root))
    listed = {entry[0] for entry in table}
    wrong = [f'mutant({n}) in {path} is not in tests/mutants.h'
             for n, path in sorted(found.items()) if n not in listed]
    wrong += [f'mutant {n} of tests/mutants.h is in no source'
              for n in sorted(listed - found.keys())]
    if wrong:
        sys.exit('mutants.py: ' + '; '.join(wrong))


def run_sim(program, mutant, first, count):
    command = [program, '--mutant', str(mutant), '--from', str(first), '--seeds', str(count)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    found = re.search(r'seed (\d+): VIOLATION(?: after \d+ events)?: ([^\n]*)', done.stderr)
    if done.returncode != 1 or not found:
        sys.exit(f'{" ".join(command)}: exit {done.returncode}: {done.stderr}')
    return f'seed {found.group(1)}', found.group(2)


def run_env(command, mutant):
    return subprocess.run(command, capture_output=True, text=True, timeout=300,
                          env=os.environ | {'CAIRN_MUTANT': str(mutant)})


def hunt_sim(args, mutant):
    head = min(FIRST_SEEDS, args.seeds)
    killed = run_sim(args.sim, mutant, args.first, head)
    if killed or head == args.seeds:
        return killed
    return run_sim(args.sim, mutant, args.first + head, args.seeds - head)


def hunt_replay(args, mutant):
    for script in args.replay[1:]:
        done = run_env([args.replay[0], script], mutant)
        if done.returncode != 0:
            name = os.path.basename(script)
            return name, ' / '.join(line.split(': ', 1)[-1] for line in done.stderr.splitlines())
    return None


def hunt_unit(program, mutant):
    done = run_env([program], mutant)
    if done.returncode == 0:
        return None
    output = done.stdout + done.stderr
    case = re.search(r'\[  FAILED  \] (\w+)\n', output)
    error = re.search(r'\[  ERROR   \] --- ([^\n]*)', output)
    if done.returncode < 0 or not case or not error:
        sys.exit(f'{program}, mutant {mutant}: exit {done.returncode}: {output}')
    return case.group(1), error.group(1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('root')
    parser.add_argument('--sim', required=True)
    parser.add_argument('--unit', nargs=2, action='append', default=[])
    parser.add_argument('--replay', nargs='+', required=True)
    parser.add_argument('--seeds', type=int, default=600)
    parser.add_argument('--from', type=int, default=1, dest='first')
    parser.add_argument('--only', type=int)
    args = parser.parse_args()
    hunt = {'sim': lambda mutant: hunt_sim(args, mutant),
            'replay': lambda mutant: hunt_replay(args, mutant)}
    for name, program in args.unit:
        hunt[name] = lambda mutant, program=program: hunt_unit(program, mutant)

    table = read_table(args.root)
    compare_with_sources(args.root, table)
    table = [entry for entry in table if args.only in (None, entry[0])]
    missing = {entry[2] for entry in table} - hunt.keys()
    if missing or not table:
        sys.exit(f'mutants.py: no rig: {", ".join(missing)}' if missing else
                 f'mutants.py: there is no mutant {args.only}')

    for rig in hunt:
        healthy = run_sim(args.sim, 0, args.first, FIRST_SEEDS) if rig == 'sim' else hunt[rig](0)
        if healthy:
            sys.exit(f'{rig}: without any mutant {healthy[0]} fails: {healthy[1]}')

    survivors = 0
    for number, name, rig, what in table:
        start = time.monotonic()
        killed = hunt[rig](number)
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
