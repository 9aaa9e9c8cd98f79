#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rejoin.py BUILD_DIR [options]: a node comes back after missing 100,000 writes, and a dead node is
replaced in a cluster that holds 1 GB; each is one command, under half of the load that these
clients reach at most. Says how long each took and what it did to the latency of the clients, whose
operations are all checked; one line for each in the end, over all of its runs: on a machine with
fewer cores than nodes the p99 of two spells without a fault differs more than twice, by who shares
a core with whom. Exit 1 when a node is no member in time, or the p99 of the clients is more than
twice what it was before. docs/failover.md."""
import argparse
import functools
import json
import operator
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
        time.sleep(6)
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

    def members(self):
        return [r["node"] for r in self.info().get("members", []) if r["role"] == "member"]


def latencies(operations):
    """p50 and p99 in ms: of writes, and of reads."""
    out = {}
    for name, want in (("write", False), ("read", True)):
        some = [ns for read, ns in operations if read == want]
        out[name] = tuple(round(percentile(some, p) / MS, 2) for p in (50, 99))
    return out


class Spell:
    """What the clients saw for so long, in one run or in several."""

    def __init__(self, history=(), start=0, stop=0):
        ended = [o for o in history if start <= o.end < stop]
        self.secs, self.ended = (stop - start) / 1e9, len(ended)
        self.served = [(o.op == "get", o.end - o.start) for o in ended
                       if o.outcome in ("OK", "NOT_FOUND", "CONFLICT")]

    def __add__(self, other):
        both = Spell()
        both.secs, both.ended = self.secs + other.secs, self.ended + other.ended
        both.served = self.served + other.served
        return both

    @property
    def rate(self):
        return self.ended / self.secs

    @property
    def ms(self):
        return latencies(self.served)


class Measured:
    """One command, run once or several times, and what the clients saw."""

    def __init__(self, engine, name, highest, secs, spells):
        self.engine, self.name, self.highests, self.secs = engine, name, highest, secs
        self.highest = sum(highest) / len(highest)
        self.before, self.alone, self.during = spells
        was, is_now = self.before.ms, self.during.ms
        self.ratio = {k: round(is_now[k][1] / max(was[k][1], 0.001), 2) for k in was}

    def __add__(self, other):
        return Measured(self.engine, self.name, self.highests + other.highests,
                        self.secs + other.secs,
                        [self.before + other.before, self.alone + other.alone,
                         self.during + other.during])

    @property
    def good(self):
        return (max(self.ratio.values()) <= RATIO_MAX and
                self.before.rate >= LOAD_MIN * self.highest)

    def row(self, judged):
        was, is_now = self.before.ms, self.during.ms
        p99 = "  ".join(f"{k} {was[k][1]:7.2f} -> {is_now[k][1]:7.2f} ms {self.ratio[k]:5.2f} x"
                        for k in was)
        word = "ok" if self.good else f"FAILED: p99 above {RATIO_MAX:g} x, or too little load"
        return (f"{self.engine:7}{self.name:32}{' '.join(f'{s:.1f}' for s in self.secs)} s  "
                f"load {self.before.rate:.0f}/s ({self.before.rate / self.highest:.0%} of "
                f"{self.highest:.0f}), {self.during.rate:.0f}/s while it copies  p99: {p99}  "
                f"{word if judged else ''}")

    def json(self):
        return json.dumps({"engine": self.engine, "name": self.name,
                           "secs": [round(s, 1) for s in self.secs],
                           "rate": round(self.before.rate), "highest": round(self.highest),
                           "rate_during": round(self.during.rate), "before": self.before.ms,
                           "alone": self.alone.ms, "during": self.during.ms,
                           "ratio": self.ratio})


def one(rig, name, load, missed, command):
    """Load, a node's death, so many writes without it, the command, and the judgement. command
    returns the node that has copied."""
    times = {}
    rig.marks.clear()
    rig.start_load(rate=load[1])
    times["load"] = time.monotonic_ns()
    time.sleep(15)
    victim = rig.member()
    rig.kill_node(victim)
    times["fault"] = rig.marks["fault"]
    until(lambda: victim not in rig.members() or rig.engine == "raft", 30, "the view shrinks")
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
    edges = ("load", "fault"), ("alone", "command"), ("command", "done")
    seen = read_history(history)
    measured = Measured(rig.engine, name, [load[0]], [(times["done"] - times["command"]) / 1e9],
                        [Spell(seen, times[a], times[b]) for a, b in edges])
    note(measured.row(judged=False))
    note(f"  {figures['check']}; {figures['acked_writes']} acknowledged writes, none lost; p50/p99 "
         f"ms before {measured.before.ms}, two nodes alone {measured.alone.ms}, while it copies "
         f"{measured.during.ms}")
    return measured


def rejoin(rig, load, args):
    def start(victim):
        rig.ctl("lab", "start", victim, "--wait", f"{args.bound}s", code=0,
                timeout=args.bound + 20)
        until(lambda: victim in rig.members(), args.bound, "a member again")
        rig.healthy(args.bound)
        return victim

    return one(rig, f"rejoin, {args.missed} writes missed", load, args.missed, start)


def replace(rig, load, args):
    def add(victim):
        rig.gone_nodes.add(victim)
        rig.ctl("lab", "add", "--replaces", victim, "--wait", f"{args.bound}s", code=0,
                timeout=args.bound + 20)
        rig.new_nodes.append(3)
        until(lambda: 3 in rig.members(), args.bound, "the new node is a member")
        return 3

    return one(rig, f"replacement, {args.gigabytes:g} GB", load, 0, add)


def in_lab(engine, command, runs, args):
    with Big(args.build, engine=engine, up=args.lab) as rig:
        records = rig.start_big_lab(args.gigabytes)
        note(f"engine {engine}, timers {rig.timers()}")
        took = rig.load_records(records, VALUE_BYTES, "big")
        note(f"{records} records of {VALUE_BYTES} bytes in {took:.0f} s")
        highest, rate = rig.half_load()
        note(f"at most {highest:.0f} operations/s; {SHARE:.0%} of it from now on")
        return [command(rig, (highest, rate), args) for _ in range(runs)]


def measure(engine, args, results):
    """All runs of rejoin in one lab; one lab for each replacement: its node is a fourth one."""
    for name, command, labs in (("rejoin", rejoin, 1), ("replace", replace, args.runs)):
        if args.only in (None, name):
            runs = [run for _ in range(labs)
                    for run in in_lab(engine, command, args.runs // labs, args)]
            results.append(functools.reduce(operator.add, runs))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--engine", default="hermes", help="one, or both: hermes,raft")
    p.add_argument("--missed", type=int, default=100000)
    p.add_argument("--gigabytes", type=float, default=1.0)
    p.add_argument("--runs", type=int, default=3, help="of each")
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
    for line in [m.row(judged=True) for m in results] + failures:
        note(line)
    if args.output:
        with open(args.output, "a") as f:
            f.writelines(m.json() + "\n" for m in results)
    return 1 if failures or not all(m.good for m in results) else 0


if __name__ == "__main__":
    sys.exit(main())
