#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Line and branch coverage of replication/ by its rigs: coverage.py BUILD_DIR [--seeds N].

BUILD_DIR is a Meson build with -Db_coverage=true and gcc (./quickstart coverage makes it). Builds
and runs the unit tests of replication/, every script, the fuzzers of the wire format over their
corpus, the simulator and the Raft rig over some seeds and the small models; then counts with gcov.
Prints one line per file and a total; exit 1 when a rig fails or the total is below 95 % of lines
or 90 % of branches.

Not counted, and why (docs/testing.md, Coverage):
  - the false side of must(), must_dbg() and _Static_assert(): it is reached by no correct program;
  - mutant(n): the constant false in this build.
"""
import argparse
import glob
import json
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LINES_MIN, BRANCHES_MIN = 95.0, 90.0
MODELS = {'cairn-model': ['again', 'cas', 'tombstone', 'writes'],  # seconds each
          'cairn-core-model': ['raft_elect', 'raft_grow', 'raft_drift', 'view_restart',
                               'view_drain']}
UNITS = ['base', 'crc', 'wire', 'session', 'hermes', 'view', 'replica', 'retry', 'raft',
         'raft_conf', 'raft_wire', 'membership', 'membership_odd', 'group', 'group_story',
         'join']
# A statement that begins with one of these, up to its semicolon.
NOT_JUDGED = re.compile(r'^\s*(must|must_dbg|_Static_assert)\s*\(')


def log(text):
    print(f'coverage: {text}', file=sys.stderr, flush=True)


def run(name, command, build):
    """In the build directory: what a rig leaves behind stays there."""
    start = time.monotonic()
    done = subprocess.run(command, cwd=build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    last = done.stdout.strip().splitlines()[-1:] or ['']
    log(f'{name}: {time.monotonic() - start:.0f} s: {last[0][:70]}')
    if done.returncode != 0:
        sys.stderr.write(done.stdout[-4000:])
        log(f'FAILED: {name}: {" ".join(command)}')
    return done.returncode == 0


def rigs(build, seeds):
    """(name, target, arguments) of every run."""
    found = [(f'unit {u}', f'tests/test_{u}', []) for u in UNITS]
    scripts = sorted(glob.glob(os.path.join(ROOT, 'tests/replay/*.txt')))
    found.append(('replay', 'tests/replay/cairn-replay', scripts))
    stories = sorted(glob.glob(os.path.join(ROOT, 'tests/raft/*.txt')))
    found += [(os.path.basename(s), 'tests/raft/cairn-raft-script', [s]) for s in stories]
    corpus = os.path.join(ROOT, 'tests/fuzz/corpus/wire')
    found.append(('fuzz wire', 'tests/fuzz/fuzz_wire', [corpus]))
    if seeds > 0:
        found.append(('sim', 'tests/sim/cairn-sim', ['--seeds', str(seeds), '--from', '1']))
        for profile in ('service', 'raft'):
            found.append((f'sim {profile}', 'tests/sim/cairn-sim',
                          ['--profile', profile, '--seeds', str(seeds // 8), '--from', '1']))
        found.append(('raft fuzz', 'tests/raft/cairn-raft-fuzz', ['--seeds', str(seeds)]))
        for program, names in MODELS.items():
            situations = [word for name in names for word in ('--config', name)]
            found.append((program, f'tests/model/{program}', situations))
    return [(n, os.path.join(build, t), t, a) for n, t, a in found]


def excluded_lines(path):
    """Numbers of the lines whose branches are not judged: whole must() statements."""
    numbers, inside = set(), False
    with open(path, encoding='utf-8') as source:
        for number, line in enumerate(source, 1):
            inside = inside or bool(NOT_JUDGED.match(line)) or ' must(' in line
            if inside:
                numbers.add(number)
                inside = ';' not in line
    return numbers


def read_counters(build):
    """{file below replication/: {line: [count, [branch taken, ...]]}}, over all objects."""
    files = {}
    for data in glob.glob(os.path.join(build, '**/*.gcda'), recursive=True):
        done = subprocess.run(['gcov', '--stdout', '--json-format', '--branch-probabilities',
                               data], cwd=build, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f'coverage: FAILED: gcov {data}: {done.stderr[-500:]}')
        for entry in json.loads(done.stdout)['files']:
            folder, name = os.path.split(entry['file'])
            if os.path.basename(folder) != 'replication':
                continue
            lines = files.setdefault('replication/' + name, {})
            for line in entry['lines']:
                here = lines.setdefault(line['line_number'], [0, []])
                here[0] += line['count']
                for index, branch in enumerate(line['branches']):
                    if index == len(here[1]):
                        here[1].append(False)
                    here[1][index] |= branch['count'] > 0
    return files


def judge(files):
    """[(file, lines hit, lines, branches hit, branches, missed lines, missed branch lines)]"""
    rows = []
    for path, lines in sorted(files.items()):
        skip = excluded_lines(os.path.join(ROOT, path))
        branches = {n: b for n, (_, b) in lines.items() if n not in skip}
        rows.append((path, sum(c > 0 for c, _ in lines.values()), len(lines),
                     sum(map(sum, branches.values())), sum(map(len, branches.values())),
                     [n for n, (c, _) in sorted(lines.items()) if c == 0],
                     [n for n, b in sorted(branches.items()) if not all(b)]))
    return rows


def percent(hit, total):
    return 100.0 * hit / total if total else 100.0


def show(name, row):
    print(f'  {name:28} lines {percent(row[0], row[1]):5.1f} % of {row[1]:4}   '
          f'branches {percent(row[2], row[3]):5.1f} % of {row[3]:4}')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('build')
    parser.add_argument('--seeds', type=int, default=120, help='0: neither simulator nor model')
    parser.add_argument('--missed', action='store_true', help='name lines not reached')
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    runs = rigs(build, args.seeds)
    log(f'building {len(runs)} rigs')
    if not run('build', ['ninja', '-C', build] + sorted({t for _, _, t, _ in runs}), build):
        sys.exit(1)
    for path in glob.glob(os.path.join(build, '**/*.gcda'), recursive=True):
        os.unlink(path)
    passed = all([run(name, [program] + args, build) for name, program, _, args in runs])
    rows = judge(read_counters(build))
    total = [sum(r[i] for r in rows) for i in range(1, 5)]
    for row in rows:
        show(row[0], row[1:5])
        if args.missed:
            print(f'    lines {row[5]}\n    branches {row[6]}')
    show('total', total)
    lines, branches = percent(*total[:2]), percent(*total[2:])
    enough = len(rows) > 0 and lines >= LINES_MIN and branches >= BRANCHES_MIN
    print(f'coverage: replication/: lines {lines:.1f} %, branches {branches:.1f} %, '
          f'at least {LINES_MIN:.0f} % and {BRANCHES_MIN:.0f} %: {"yes" if enough else "NO"}'
          f'{"" if passed else "; a rig FAILED"}')
    sys.exit(0 if enough and passed else 1)


if __name__ == '__main__':
    main()
