#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill_import.py BUILD_DIR [--rounds 20] [--seed 1] [--records 30000]

The power goes while real records are being imported. Each round: import, SIGKILL of all three nodes
at a moment drawn from the seed, start on the same logs, read back every record acknowledged so far
from each replica. Lost is: missing, older than what was acknowledged, or another value under the
acknowledged version. A newer version is right only with a value that was being written.

In every second round the import itself survives: it goes on when the nodes are back, puts records
of unknown outcome again, and must end with everything acknowledged."""
import argparse
import os
import random
import signal
import time

from lab import Failed, Lab, dpkg_records, expect, main, note, until, version


class Truth:
    """What must be there: the newest acknowledged version of each key, and what may be."""

    def __init__(self):
        self.acked = {}   # key -> (version, value)
        self.tried = {}   # key -> values put since its last check

    def trying(self, records):
        for key, value in records:
            self.tried.setdefault(key, set()).add(value)

    def acknowledged(self, path):
        count = 0
        with open(path) as f:
            for line in f:
                key, value, text = line.rstrip("\n").split("\t")
                count += 1
                if key not in self.acked or version(text) > self.acked[key][0]:
                    self.acked[key] = (version(text), value)
        return count

    def check(self, node, found):
        for key, (acked, value) in self.acked.items():
            expect(key in found, f"LOST at node {node}: {key} {acked} was acknowledged")
            got_value, got = found[key][0], version(found[key][1])
            expect(got >= acked, f"LOST at node {node}: {key} is {got}, acknowledged {acked}")
            if got == acked:
                expect(got_value == value, f"node {node}: {key} {got}: {got_value}, not {value}")
            else:
                expect(got_value in self.tried.get(key, ()),
                       f"node {node}: {key} {got}: '{got_value}' was never put")

    def settle(self, found):
        """What the last replica has, after the others were read, is what later rounds build on.
        A put of unknown outcome whose key was not read stays possible: it may take effect later."""
        for key, (value, text) in found.items():
            self.acked[key] = (version(text), value)
            self.tried.pop(key, None)


def import_records(lab, records, name, *options):
    path, acked = lab.path(name + ".tsv"), lab.path(name + ".acked")
    with open(path, "w") as f:
        f.writelines(f"{k}\t{v}\n" for k, v in records)
    child = lab.spawn("kv", "import", path, "--acked", acked, "--timeout", "1s", *options,
                      stdout=open(lab.path(name + ".out"), "w"),
                      stderr=open(lab.path(name + ".err"), "w"))
    return child, acked


def import_reaches(child, acked, share, records):
    """Waits until the list of acknowledged records has this share of its final size."""
    size = share * sum(len(k) + len(v) + 8 for k, v in records)
    until(lambda: os.path.exists(acked) and os.path.getsize(acked) >= size or
          child.poll() is not None, 60, f"{share:.2f} of the import")


def one_round(lab, truth, records, rng, number):
    survives = number % 2 == 1
    records = [(k, f"{v}-{number}") for k, v in records]
    truth.trying(records)
    options = ("--retry", "--patience", "60s") if survives else ("--patience", "1s")
    child, acked = import_records(lab, records, f"round{number}", *options)
    import_reaches(child, acked, rng.random() * 0.85, records)
    running = child.poll() is None
    lab.ctl("lab", "kill", "all", code=0)
    expect(not [p for p in lab.nodes() if p["state"] != "UNREACHABLE"], "all nodes are dead")
    if not survives:
        child.send_signal(signal.SIGTERM)
        child.wait(60)
    started = time.monotonic()
    lab.ctl("lab", "start", code=0)
    recovery = time.monotonic() - started
    if survives and child.wait(90) != 0:
        raise Failed("the import: " + open(lab.path(f"round{number}.err")).read())
    count = truth.acknowledged(acked)
    if survives:
        expect(count == len(records), f"all acknowledged: {count} of {len(records)}")
    for node in range(3):
        found = lab.export(node, truth.acked)
        truth.check(node, found)
    truth.settle(found)
    note(f"round {number}: {'running' if running else 'import had ended'}, {count} of "
         f"{len(records)} acknowledged, back in {recovery:.1f} s, "
         f"{len(truth.acked)} keys compared at 3 replicas")
    return running


def test(build, args):
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--records", type=int, default=30000)
    options = parser.parse_args(args)
    rng = random.Random(options.seed)
    records = dpkg_records(options.records)
    expect(len(records) > 1000, "real records in /var/lib/dpkg/info")
    truth, during = Truth(), 0
    with Lab(build) as lab:
        lab.up("--wal-bytes", "256MiB", "--shards", 2)
        for number in range(options.rounds):
            sample = rng.sample(records, len(records) // 2)
            during += one_round(lab, truth, sample, rng, number)
    expect(during * 10 >= options.rounds * 8, f"too few kills hit a running import: {during}")
    note(f"{options.rounds} kills of all nodes, {during} during an import, seed {options.seed}: "
         f"{len(truth.acked)} keys, 0 lost")


main(test)
