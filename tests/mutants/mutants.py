#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that every mutant of tests/mutants.h is caught by the rig named there.

usage: mutants.py ROOT BUILD [--jobs J] [--seeds N] [--from S] [--only N]... [--write-doc]
       mutants.py ROOT --check

BUILD is the folder with the rigs (tests/mutants of a release build; ninja mutant-rigs makes them).
Rig sim_PROFILE: seeds of the simulator, until one is violated. Rig replay: the scripts of
tests/replay that say "# kills N", all of which must fail, or, where none does, all scripts, until
one fails. Rig model_NAME: that situation of cairn-model, until it is violated. Rigs of the Raft
core alone: raft_fuzz (seeds, until one is violated) and raft_script (like replay, in tests/raft).
Any other rig: the unit test of that name, until one of its cases fails.

Prints one line per mutant, and fails when one survives, when a script does not fail on a mutant it
names, when a rig fails without any mutant (then a kill would prove nothing), or when the table, the
sources and docs/testing.md do not name the same mutants. --check: only the last. --write-doc: puts
the table, with what was found, into docs/testing.md.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import time

SOURCES = 'replication', 'storage', 'dataplane'
ENTRY = re.compile(r'MUTANT\((\d+), (\w+), (\w+),[\s\\]*"([^"]*)"\)')
# Seeds a mutant gets at first; then all the rest. Most die within a few.
FIRST_SEEDS = 16
TIMEOUT_SECS = 300
MODEL_HEALTHY_SECS, MODEL_SECS = 5, 60
# Rigs that run scripts, the folder of these below tests, the program.
SCRIPTS = {'replay': 'replay', 'raft_script': 'raft'}
PROGRAMS = {'replay': 'cairn-replay-mutants', 'raft_script': 'cairn-raft-script-mutants'}
DOC = 'docs/testing.md'
DOC_HEAD = '| mutant | fault | rig | killed by |\n|---|---|---|---|\n'
ROW = re.compile(r'^\| (\d+) (\w+) \| (.*?) \| (\w+) \| .*\|$', re.M)


class Wrong(Exception):
    """A rig that cannot be run, or tables that contradict each other."""


def read(*path):
    with open(os.path.join(*path), encoding='utf-8') as f:
        return f.read()


def read_table(root):
    text = read(root, 'tests', 'mutants.h')
    table = [(int(n), name, rig, what) for n, name, rig, what in ENTRY.findall(text)]
    numbers = [entry[0] for entry in table]
    if len(re.findall(r'MUTANT\(\d', text)) != len(table):
        raise Wrong('mutants.h: an entry is not of the form MUTANT(number, name, rig, "what")')
    if numbers != sorted(set(numbers)):
        raise Wrong('mutants.h: numbers must grow')
    return table


def numbers_in_sources(root):
    found = {}
    for folder in SOURCES:
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if name.endswith(('.c', '.h')):
                    path = os.path.join(where, name)
                    for number in re.findall(r'\bmutant\((\d+)\)', read(path)):
                        found.setdefault(int(number), os.path.relpath(path, root))
    return found


def scripts_in(root, rig):
    return sorted(glob.glob(os.path.join(root, 'tests', SCRIPTS[rig], '*.txt')))


def rig_of(script):
    folder = os.path.basename(os.path.dirname(script))
    return next(rig for rig, where in SCRIPTS.items() if where == folder)


def claims(root):
    """What scripts say they kill: {number: [script, ...]}."""
    said = {}
    for path in [path for rig in SCRIPTS for path in scripts_in(root, rig)]:
        for line in re.findall(r'^# kills (.*)$', read(path), re.M):
            for number in line.split():
                said.setdefault(int(number), []).append(path)
    return said


def compare(root, table):
    found = numbers_in_sources(root)
    listed = {entry[0] for entry in table}
    wrong = [f'mutant({n}) in {path} is not in tests/mutants.h'
             for n, path in sorted(found.items()) if n not in listed]
    wrong += [f'mutant {n} of tests/mutants.h is in no source'
              for n in sorted(listed - found.keys())]
    wrong += [f'{os.path.basename(paths[0])} kills {n}, which is not in tests/mutants.h'
              for n, paths in sorted(claims(root).items()) if n not in listed]
    rows = [(int(n), name, rig, what) for n, name, what, rig in ROW.findall(read(root, DOC))]
    if rows != table:
        here, there = set(table), set(rows)
        odd = sorted(here ^ there) or table
        wrong.append(f'{DOC} and tests/mutants.h differ, first at mutant {odd[0][0]}: '
                     'run ./quickstart mutants --write-doc')
    return wrong


def write_doc(root, table, killed):
    text = read(root, DOC)
    start = text.index(DOC_HEAD) + len(DOC_HEAD)
    end = start + re.match(r'(\|.*\n)*', text[start:]).end()
    old = {int(n): line for line, n in re.findall(r'^(\| (\d+) .*)$', text[start:end], re.M)}
    rows = []
    for number, name, rig, what in table:
        by = killed[number] if number in killed else \
            old[number].split('|')[-2].strip() if number in old else 'not run'
        rows.append(f'| {number} {name} | {what} | {rig} | {by} |\n')
    with open(os.path.join(root, DOC), 'w', encoding='utf-8') as f:
        f.write(text[:start] + ''.join(rows) + text[end:])


def run(command, mutant):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECS,
                              env=os.environ | {'CAIRN_MUTANT': str(mutant)})
    except subprocess.TimeoutExpired:
        raise Wrong(f'mutant {mutant}: {" ".join(command)}: nothing after {TIMEOUT_SECS} s')


class Rigs:
    """Each rig: mutant -> (who killed it, how), or None: it lives. Mutant 0 is none."""

    def __init__(self, args):
        self.root, self.build = args.root, args.build
        self.first, self.seeds = args.first, args.seeds
        self.said = claims(args.root)

    def program(self, name):
        path = os.path.join(self.build, name)
        if not os.path.exists(path):
            raise Wrong(f'no rig: {path}')
        return path

    def hunt(self, rig, mutant):
        if rig in SCRIPTS:
            return self.replay(rig, mutant)
        if rig == 'raft_fuzz':
            return self.seeds_of([self.program('cairn-raft-fuzz-mutants')], mutant)
        if rig.startswith('sim_'):
            return self.sim(rig[len('sim_'):], mutant)
        if rig.startswith('model_'):
            return self.model(rig[len('model_'):], mutant)
        return self.unit(rig, mutant)

    def sim(self, profile, mutant):
        return self.seeds_of([self.program('cairn-sim-mutants'), '--no-shrink', '--output',
                              os.devnull, '--profile', profile], mutant)

    def seeds_of(self, program, mutant):
        first, count = self.first, min(FIRST_SEEDS, self.seeds)
        while count > 0:
            command = program + ['--mutant', str(mutant), '--jobs', '1', '--from', str(first),
                                 '--seeds', str(count)]
            done = run(command, mutant)
            found = re.search(r'seed (\d+): VIOLATION(?: after \d+ events)?: ([^\n]*)',
                              done.stderr)
            if done.returncode == 1 and found:
                return f'seed {found.group(1)}', found.group(2)
            if done.returncode != 0:
                raise Wrong(f'{" ".join(command)}: exit {done.returncode}: {done.stderr}')
            first, count = first + count, 0 if mutant == 0 else self.first + self.seeds - (
                first + count)
        return None

    def script_fails(self, script, mutant):
        done = run([self.program(PROGRAMS[rig_of(script)]), script], mutant)
        if done.returncode == 0:
            return None
        how = ' / '.join(line.split(': ', 1)[-1] for line in done.stderr.splitlines())
        return os.path.basename(script), how

    def replay(self, rig, mutant):
        killed = None
        said = [script for script in self.said.get(mutant, []) if rig_of(script) == rig]
        for script in said or scripts_in(self.root, rig):
            fails = self.script_fails(script, mutant)
            if fails and not said:
                return fails
            if not fails and said:
                raise Wrong(f'{os.path.basename(script)} does not fail on mutant {mutant}')
            killed = killed or fails
        return killed

    def model(self, name, mutant):
        # Without a mutant the whole search is a test of its own; here, what one finds it in.
        limit = MODEL_HEALTHY_SECS if mutant == 0 else MODEL_SECS
        done = run([self.program('cairn-model-mutants'), '--config', name,
                    '--secs-max', str(limit)], mutant)
        found = re.search(r'^# (\w+: \d+ steps) to: ([^\n]*)', done.stdout + done.stderr, re.M)
        if found:
            return found.group(1), found.group(2)
        if done.returncode not in (0, 1):
            raise Wrong(f'cairn-model-mutants --config {name}, mutant {mutant}: exit '
                        f'{done.returncode}: {done.stderr}')
        return None

    def unit(self, name, mutant):
        done = run([self.program(f'test_{name}_mutants')], mutant)
        if done.returncode == 0:
            return None
        output = done.stdout + done.stderr
        case = re.search(r'\[  FAILED  \] (\w+)\n', output)
        error = re.search(r'\[  ERROR   \] --- ([^\n]*)', output) or \
            re.search(r'(assertion failed[^\n]*)', output)
        if not case and done.returncode > 0:
            raise Wrong(f'{name}, mutant {mutant}: exit {done.returncode}: {output}')
        started = re.findall(r'\[ RUN      \] (\w+)', output)
        return (case.group(1) if case else started[-1] if started else f'test_{name}',
                error.group(1) if error else f'exit {done.returncode}')


def hunt_all(args, table, pool):
    rigs = Rigs(args)
    names = sorted({rig for _, _, rig, _ in table} | set(SCRIPTS))
    for rig, healthy in zip(names, pool.map(lambda name: rigs.hunt(name, 0), names)):
        if healthy:
            raise Wrong(f'{rig}: without any mutant {healthy[0]} fails: {healthy[1]}')

    def timed(entry):
        start = time.monotonic()
        killed = rigs.hunt(entry[2], entry[0])
        return killed, time.monotonic() - start

    survivors, killers = 0, {}
    for (number, name, rig, what), (killed, secs) in zip(table, pool.map(timed, table)):
        if killed:
            killers[number] = killed[0]
            print(f'{number:3} {name:22} killed by {rig} {killed[0]} in {secs:.1f} s: '
                  f'{killed[1][:100]}', flush=True)
        else:
            survivors += 1
            print(f'{number:3} {name:22} SURVIVED {rig} ({what})', flush=True)
    # Scripts that name a mutant of another rig must fail on it, too.
    rest = [(script, number) for number, _, rig, _ in table
            for script in rigs.said.get(number, []) if rig_of(script) != rig]
    for (script, number), fails in zip(rest, pool.map(lambda x: rigs.script_fails(*x), rest)):
        if not fails:
            raise Wrong(f'{os.path.basename(script)} does not fail on mutant {number}')
    if args.write_doc:
        write_doc(args.root, read_table(args.root), killers)
    print(f'mutants: {len(table)} run, {len(table) - survivors} killed, {survivors} survived')
    return survivors


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('root')
    parser.add_argument('build', nargs='?')
    parser.add_argument('--check', action='store_true')
    parser.add_argument('--write-doc', action='store_true')
    parser.add_argument('--jobs', type=int, default=min(os.cpu_count() or 1, 8))
    parser.add_argument('--seeds', type=int, default=600)
    parser.add_argument('--from', type=int, default=1, dest='first')
    parser.add_argument('--only', type=int, action='append', default=[])
    args = parser.parse_args()
    try:
        table = read_table(args.root)
        wrong = [] if args.write_doc else compare(args.root, table)
        if wrong:
            raise Wrong('; '.join(wrong))
        if args.check:
            return 0
        table = [entry for entry in table if not args.only or entry[0] in args.only]
        if not args.build or not table:
            raise Wrong('which build?' if table else 'there is no such mutant')
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            return 1 if hunt_all(args, table, pool) else 0
    except Wrong as e:
        sys.exit(f'mutants.py: {e}')


if __name__ == '__main__':
    sys.exit(main())
