#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rejoin.py BUILD_DIR [options]: a node comes back after missing 100,000 writes, and a dead node is
replaced in a cluster that holds 1 GB; each is one command, under half of the load that these
clients reach at most. Says how long each took and what it did to the latency of the clients, whose
operations are all checked; one line for each in the end. Exit 1 when a node is no member in time,
or the p99 of the clients is more than twice what it was before. docs/failover.md."""
import argparse
import json
import signal
import subprocess
import sys
import time

from rig import MS, Failed, Rig, expect, note, percentile, read_history, until

VALUE_BYTES = 800
RATIO_MAX = 2.0
SHARE = 0.5  # of what the clients reach at most
LOAD_MIN = 0.45  # of it must be there before the fault, or the run says nothing


class Big(Rig):
    SLOTS, PINNED, READERS = 6, 4, 2

    def start_big_lab(self, gigabytes):
        records = int(gigabytes * 1e9 / VALUE_BYTES)
        self.up("--engine", self.engine, "--keys", max(400000, int(records * 2.6)), "--wal-bytes",
                f"{int(1.5 * gigabytes + 4)}GiB", "--wait", "120s", *self.up_options)
        self.healthy()
        return records

    def reached(self, rate):
        """Operations a second that these clients reach when they are to do so many."""
        self.start_load(rate=rate)
        time.sleep(2)
        began, (ended, _) = time.monotonic(), self.progress()
        time.sleep(4)
        rate = (self.progress()[0] - ended) / (time.monotonic() - began)
        self.stop_load()
        return rate

    def half_load(self):
        """The highest rate of these clients; and the one to ask for to have half of it: who waits
        for an answer is late with its next operation."""
        highest = self.reached(1000000)
        rate = highest * SHARE
        for _ in range(2):
            reached = self.reached(rate)
            expect(reached > 0, "the clients get on")
            rate = min(rate * highest * SHARE / reached, highest)
        return highest, rate

    def is_member(self, node):
        rows = self.info().get("members", [])
        return any(r["node"] == node and r["role"] == "member" for r in rows)


def latencies(operations, start, stop):
    """p50 and p99 of what ended in that time, in ms: of writes, and of reads."""
    out = {}
    for name, want in (("write", False), ("read", True)):
        some = [o.end - o.start for o in operations if start <= o.end < stop and
                (o.op == "get") == want and o.outcome in ("OK", "NOT_FOUND", "CONFLICT")]
        out[name] = tuple(round(percentile(some, p) / MS, 2) for p in (50, 99))
    return out


def rate_of(operations, start, stop):
    return sum(start <= o.end < stop for o in operations) / ((stop - start) / 1e9)


class Measured:
    """One command, and what the clients saw."""

    def __init__(self, rig, name, highest, times, operations):
        self.engine, self.name, self.highest = rig.engine, name, highest
        self.secs = (times["done"] - times["command"]) / 1e9
        began, ended = times["load"], times["fault"]
        self.rate = rate_of(operations, began, ended)
        self.rate_during = rate_of(operations, times["command"], times["done"])
        self.before = latencies(operations, began, ended)
        self.alone = latencies(operations, times["alone"], times["command"])
        self.during = latencies(operations, times["command"], times["done"])
        self.ratio = {k: round(self.during[k][1] / max(self.before[k][1], 0.001), 2)
                      for k in self.before}

    @property
    def good(self):
        return max(self.ratio.values()) <= RATIO_MAX and self.rate >= LOAD_MIN * self.highest

    def row(self):
        p99 = "  ".join(f"{k} {self.before[k][1]:7.2f} -> {self.during[k][1]:7.2f} ms "
                        f"{self.ratio[k]:5.2f} x" for k in ("write", "read"))
        word = "ok" if self.good else f"FAILED: p99 above {RATIO_MAX:g} x, or too little load"
        return (f"{self.engine:7}{self.name:34}{self.secs:7.1f} s  load {self.rate:6.0f}/s "
                f"({self.rate / self.highest:4.0%} of {self.highest:.0f}), "
                f"{self.rate_during:.0f}/s while it copies  p99: {p99}  {word}")

    def json(self):
        return json.dumps({"engine": self.engine, "name": self.name, "secs": round(self.secs, 1),
                           "rate": round(self.rate), "rate_during": round(self.rate_during),
                           "highest": round(self.highest),
                           "before": self.before, "alone": self.alone, "during": self.during,
                           "ratio": self.ratio})


def one(rig, name, load, missed, command):
    """Load, a node's death, so many writes without it, the command, and the judgement. command
    returns the node that has copied."""
    times = {}
    rig.marks.clear()
    rig.start_load(rate=load[1])
    times["load"] = time.monotonic_ns()
    time.sleep(10)
    victim = rig.member()
    rig.kill_node(victim)
    times["fault"] = rig.marks["fault"]
    until(lambda: not rig.is_member(victim) or rig.engine == "raft", 30, "the view shrinks")
    if missed:
        took = rig.load_records(missed, 100, "missed", [n for n in range(3) if n != victim])
        note(f"  {missed} writes without it in {took:.1f} s")
    times["alone"] = time.monotonic_ns()
    time.sleep(5)
    times["command"] = time.monotonic_ns()
    node = command(victim)
    times["done"] = time.monotonic_ns()
    time.sleep(3)
    history = rig.parts[-1]
    figures = rig.finish()
    for prefix in ["big"] + (["missed"] if missed else []):
        rig.check_records(prefix, node)
    measured = Measured(rig, name, load[0], times, read_history(history))
    note(measured.row())
    note(f"  {figures['check']}; {figures['acked_writes']} acknowledged writes, none lost; "
         f"p50/p99 ms before {measured.before}, two nodes alone {measured.alone}, while it copies "
         f"{measured.during}")
    return measured


def rejoin(rig, load, args):
    def start(victim):
        rig.ctl("lab", "start", victim, "--wait", f"{args.bound}s", code=0,
                timeout=args.bound + 20)
        until(lambda: rig.is_member(victim), args.bound, "a member again")
        rig.healthy(args.bound)
        return victim

    return one(rig, f"rejoin, {args.missed} writes missed", load, args.missed, start)


def replace(rig, load, args):
    def add(victim):
        rig.gone_nodes.add(victim)
        rig.ctl("lab", "add", "--replaces", victim, "--wait", f"{args.bound}s", code=0,
                timeout=args.bound + 20)
        rig.new_nodes.append(3)
        until(lambda: rig.is_member(3), args.bound, "the new node is a member")
        return 3

    return one(rig, f"replacement, {args.gigabytes:g} GB", load, 0, add)


def measure(engine, args, results):
    with Big(args.build, engine=engine, up=args.lab) as rig:
        records = rig.start_big_lab(args.gigabytes)
        note(f"engine {engine}, timers {rig.timers()}")
        took = rig.load_records(records, VALUE_BYTES, "big")
        note(f"{records} records of {VALUE_BYTES} bytes in {took:.0f} s")
        highest, rate = rig.half_load()
        note(f"at most {highest:.0f} operations/s; {SHARE:.0%} of it from now on")
        for name, command in (("rejoin", rejoin), ("replace", replace)):
            if args.only in (None, name):
                results.append(command(rig, (highest, rate), args))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--engine", default="hermes", help="one, or both: hermes,raft")
    p.add_argument("--missed", type=int, default=100000)
    p.add_argument("--gigabytes", type=float, default=1.0)
    p.add_argument("--bound", type=int, default=120, help="seconds until it must be a member")
    p.add_argument("--only", choices=("rejoin", "replace"))
    p.add_argument("--lab", action="append", default=[])
    p.add_argument("--output")
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results, failures = [], []
    for engine in args.engine.split(","):
        try:
            measure(engine, args, results)
        except (Failed, subprocess.TimeoutExpired) as failure:
            note(f"FAILED: {engine}: {failure}")
            failures.append(f"{engine:7}FAILED: {str(failure)[:160]}")
    note("")
    for line in [m.row() for m in results] + failures:
        note(line)
    if args.output:
        with open(args.output, "a") as f:
            f.writelines(m.json() + "\n" for m in results)
    return 1 if failures or not all(m.good for m in results) else 0


if __name__ == "__main__":
    sys.exit(main())
