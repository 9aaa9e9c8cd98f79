#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rejoin.py BUILD_DIR [options]: a node comes back after missing 100,000 writes, and a dead node is
replaced in a cluster that holds 1 GB; each is one command, under half of the load that these
clients reach at most. Says how long each took and what it did to the latency of the clients, whose
operations are all checked. docs/failover.md."""
import argparse
import json
import random
import signal
import subprocess
import sys
import time

from rig import MS, Failed, Rig, expect, note, percentile, read_history, until

VALUE_BYTES = 800


class Big(Rig):
    SLOTS, PINNED, READERS = 6, 4, 2

    def start_big_lab(self, gigabytes):
        records = int(gigabytes * 1e9 / VALUE_BYTES)
        self.up("--engine", self.engine, "--keys", max(400000, int(records * 2.6)), "--wal-bytes",
                f"{int(1.5 * gigabytes + 1)}GiB", "--wait", "120s", *self.up_options)
        self.healthy()
        return records

    def load_records(self, count, value_bytes, prefix, nodes=(0, 1, 2)):
        """So many writes, through `kv import`, without a history: the load has one of its own."""
        path = self.path(prefix)
        lot = random.Random(1)
        with open(path, "w") as f:
            for i in range(count):
                f.write(f"{prefix}{i}\t{lot.getrandbits(64):016x}{'v' * (value_bytes - 16)}\n")
        begin = time.monotonic()
        done = self.plain("kv", "import", path, "--retry", "--patience", "600s", "-o", "json",
                          "--endpoints", self.endpoints(nodes))
        expect(done["acknowledged"] == count, f"all acknowledged: {done}")
        return time.monotonic() - begin

    def plain(self, *args):
        """A command of clients that is not recorded."""
        done = subprocess.run([self.ctl_path, *map(str, args)], env=self.env, text=True,
                              capture_output=True, timeout=1200, check=False)
        expect(done.returncode == 0, f"{args}: {done.stderr[-600:]}")
        return json.loads(done.stdout)

    def highest_rate(self):
        """What these clients reach when nothing holds them back."""
        self.start_load(rate=1000000)
        began, (ended, _) = time.monotonic(), self.progress()
        time.sleep(4)
        rate = (self.progress()[0] - ended) / (time.monotonic() - began)
        self.stop_load()
        return rate

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


def report(rig, name, times, command_s):
    operations = read_history(rig.parts[-2])
    before = latencies(operations, times["load"], times["fault"])
    alone = latencies(operations, times["alone"], times["command"])
    during = latencies(operations, times["command"], times["done"])
    ratio = {k: round(during[k][1] / before[k][1], 2) for k in before}
    note(f"{name}: {command_s:.1f} s; p50/p99 ms before {before}, two nodes alone {alone}, "
         f"while it copies {during}: p99 {ratio} x")
    return {"name": name, "secs": round(command_s, 1), "before": before, "alone": alone,
            "during": during, "ratio": ratio}


def one(rig, name, rate, missed, command):
    """Load, a node's death, so many writes without it, the command, and the judgement."""
    times = {}
    rig.marks.clear()
    rig.start_load(rate=rate)
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
    command(victim)
    times["done"] = time.monotonic_ns()
    time.sleep(3)
    figures = rig.finish()
    note(f"  {figures['check']}; {figures['acked_writes']} acknowledged writes, none lost")
    return report(rig, name, times, (times["done"] - times["command"]) / 1e9)


def rejoin(rig, rate, missed):
    def start(victim):
        rig.ctl("lab", "start", victim, "--wait", "600s", code=0, timeout=700)
        until(lambda: rig.is_member(victim), 600, "a member again")
        rig.healthy(600)

    return one(rig, f"rejoin after {missed} missed writes (lab start)", rate, missed, start)


def replace(rig, rate, gigabytes):
    def add(victim):
        rig.gone_nodes.add(victim)
        rig.ctl("lab", "add", "--replaces", victim, "--wait", "20m", code=0, timeout=1300)
        rig.new_nodes.append(3)
        until(lambda: rig.is_member(3), 600, "the new node is a member")

    return one(rig, f"replace with {gigabytes} GB (lab add --replaces)", rate, 0, add)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--engine", default="hermes")
    p.add_argument("--missed", type=int, default=100000)
    p.add_argument("--gigabytes", type=float, default=1.0)
    p.add_argument("--only", choices=("rejoin", "replace"))
    p.add_argument("--lab", action="append", default=[])
    p.add_argument("--output")
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = []
    try:
        with Big(args.build, engine=args.engine, up=args.lab) as rig:
            records = rig.start_big_lab(args.gigabytes)
            note(f"timers {rig.timers()}")
            took = rig.load_records(records, VALUE_BYTES, "big")
            note(f"{records} records of {VALUE_BYTES} bytes in {took:.0f} s")
            rate = rig.highest_rate()
            note(f"at most {rate:.0f} operations/s; half of it from now on")
            if args.only != "replace":
                results.append(rejoin(rig, rate / 2, args.missed))
            if args.only != "rejoin":
                results.append(replace(rig, rate / 2, args.gigabytes))
    except Failed as failure:
        note(f"FAILED: {failure}")
        return 1
    if args.output:
        with open(args.output, "a") as f:
            for r in results:
                f.write(json.dumps({"engine": args.engine, **r}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
