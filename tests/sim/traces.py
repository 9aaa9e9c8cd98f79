#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every stored trace (tests/sim/traces): each ends clean; mutant-N-NAME.trace, the shortest
run that showed the deliberate fault N of tests/mutants.h, fails when that fault is built in.

usage: traces.py FOLDER CAIRN_SIM [CAIRN_SIM_MUTANTS]
"""
import os
import re
import subprocess
import sys


def replay(program, *args):
    done = subprocess.run([program, *args], capture_output=True, text=True, timeout=120)
    if done.returncode not in (0, 1):
        sys.exit(f'{program} {" ".join(args)}: exit {done.returncode}: {done.stderr}')
    return done.returncode == 0, done.stderr.split('\n', 1)[0]


def main():
    folder, sim = sys.argv[1:3]
    mutants = sys.argv[3] if len(sys.argv) > 3 else None
    names = sorted(name for name in os.listdir(folder) if name.endswith('.trace'))
    wrong = 0
    if not names:
        sys.exit(f'{folder}: no traces')
    for name in names:
        path = os.path.join(folder, name)
        clean, why = replay(sim, '--replay', path)
        if not clean:
            print(f'{name}: FAILED: {why}')
            wrong += 1
        number = re.match(r'mutant-(\d+)-', name)
        if not number or not mutants:
            continue
        clean, why = replay(mutants, '--mutant', number.group(1), '--replay', path)
        if clean:
            print(f'{name}: FAILED: ends clean although mutant {number.group(1)} is in; make it '
                  'anew (docs/testing.md, Traces)')
            wrong += 1
        else:
            print(f'{name}: {why.split(": ", 2)[-1]}')
    print(f'traces: {len(names)}, {wrong} wrong')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
