#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same seeds give the same digest, in one process or in several, alone or after others.

usage: digest.py <cairn-sim>
"""
import subprocess
import sys


def digest(*args):
    done = subprocess.run([sys.argv[1], '--digest-only', *args], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f'cairn-sim {" ".join(args)}: exit {done.returncode}: {done.stderr}')
    return int(done.stdout, 16)


def main():
    one_process = digest('--from', '1', '--seeds', '8', '--jobs', '1')
    four_processes = digest('--from', '1', '--seeds', '8', '--jobs', '4')
    # The digest of several seeds is the sum of theirs.
    alone = sum(digest('--seed', str(seed)) for seed in range(1, 9)) % 2**64
    other = digest('--from', '9', '--seeds', '8')
    print(f'one process {one_process:016x}, four {four_processes:016x}, alone {alone:016x}, '
          f'other seeds {other:016x}')
    if not one_process == four_processes == alone:
        sys.exit('the same seeds gave different runs')
    if other == one_process:
        sys.exit('different seeds gave the same digest')


if __name__ == '__main__':
    main()
