#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py BUILD_DIR [options]: rig R2: real processes, one fault class a run, every client operation
recorded and checked. docs/testing.md, "Real processes and faults". Exit 0: no violation, nothing
acknowledged lost, and the cluster healthy again after every fault."""
import argparse
import json
import random
import signal
import sys
import time
import traceback

from classes import CLASSES
from rig import Failed, Rig, Skipped, note


def options():
    p = argparse.ArgumentParser(description="real processes, real faults, checked histories")
    p.add_argument("build")
    p.add_argument("--runs", type=int, default=0, help="so many; 0: each class once")
    p.add_argument("--engine", choices=("hermes", "raft"), default="hermes")
    p.add_argument("--class", dest="names", action="append", default=[], metavar="NAME",
                   help="a class or a group, more than once; 'short': those of the suite")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--rate", type=int, default=1200, help="operations per second, all clients")
    p.add_argument("--lab", action="append", default=[], metavar="OPTION",
                   help="passed on to `lab up`, such as --lab=--shards=2")
    p.add_argument("--timer", action="append", default=[], metavar="NAME=VALUE",
                   help="of the view service, in every node's configuration")
    p.add_argument("--output", help="results as JSON, one run a line")
    p.add_argument("--events", action="store_true", help="show what the cluster noted")
    p.add_argument("--list", action="store_true")
    return p.parse_args()


def chosen(args):
    """The runs, in order: classes by turns until there are enough."""
    def asked(c):
        names = {c.name, c.group} | ({"short", "short_" + c.group} if c.short else set())
        return not args.names or names & set(args.names)

    if args.names == ["short_raft"]:
        args.names = ["kill_shard_leader", "isolate_leader", "loss_burst"]
    found = [c for c in CLASSES.values() if asked(c)]
    if not found:
        sys.exit(f"no such class: {args.names}; --list names them")
    if args.runs == 0:
        return found
    lot = random.Random(args.seed)
    runs = []
    while len(runs) < args.runs:
        some = list(found)
        lot.shuffle(some)
        runs += some
    return runs[:args.runs]


def one_run(args, which, seed):
    more = dict(which.rig)
    more["timers"] = {**dict(t.split("=") for t in args.timer), **more.get("timers", {})}
    with Rig(args.build, engine=args.engine, seed=seed, up=args.lab, **more) as rig:
        rig.start_lab()
        rig.healthy()
        rig.start_load(args.rate)
        which.act(rig)
        rig.heal()
        rig.start_nodes()
        began = time.monotonic()
        rig.healthy()
        result = {"healthy_after_s": round(time.monotonic() - began, 2)}
        result.update(rig.finish())
        result["timers"] = rig.timers()
        if rig.has_views:
            result["events"] = rig.ctl("events").out.splitlines()[-60:]
        return result


def show(name, result):
    gaps = " ".join(f"{k}={result[k]}" for k in (
        "write_gap_ms", "read_gap_ms", "healthy_after_s", "epochs", "p99_healthy_ms",
        "p99_worst_ms", "back_within_2x_ms", "p99_after_ms") if k in result)
    note(f"{name}: {result['check']}; {result['acked_writes']} acknowledged writes, none lost; "
         f"{gaps}")


def main():
    if "--list" in sys.argv:
        for c in CLASSES.values():
            print(f"{c.group:9} {c.name:26} {(c.act.__doc__ or '').strip().splitlines()[:1]}")
        return 0
    args = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    good, bad, skipped, operations, acked = 0, [], [], 0, 0
    for number, which in enumerate(chosen(args)):
        seed, begin = args.seed + number, time.monotonic()
        record = {"class": which.name, "engine": args.engine, "seed": seed, **which.rig}
        try:
            result = one_run(args, which, seed)
            good += 1
            operations += result["operations"]
            acked += result["acked_writes"]
            show(which.name, result)
            if args.events:
                note("    " + "\n    ".join(result.get("events", [])))
            record.update(result)
        except Skipped as reason:
            skipped.append(which.name)
            note(f"{which.name}: not run: {reason}")
            record["skipped"] = str(reason)
        except Failed as failure:
            bad.append(which.name)
            note(f"{which.name}: FAILED (seed {seed}): {failure}")
            record["failed"] = str(failure)
        except Exception:  # pylint: disable=broad-except
            bad.append(which.name)
            note(f"{which.name}: FAILED (seed {seed}): {traceback.format_exc()}")
            record["failed"] = traceback.format_exc()
        record["secs"] = round(time.monotonic() - begin, 1)
        if args.output:
            with open(args.output, "a") as f:
                f.write(json.dumps(record) + "\n")
    note(f"faults: engine {args.engine}: {good} runs good, {len(bad)} failed {bad}, "
         f"{len(skipped)} not run {skipped}; {operations} operations checked, {acked} acknowledged "
         "writes there")
    return 1 if bad or not good else 0


sys.exit(main())
