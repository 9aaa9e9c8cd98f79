#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""failover.py BUILD_DIR [options]: how long writes stop when a node of three is killed, beside
etcd with its default settings on the same machine in the same run. docs/failover.md.

Both clusters are never up at the same time; they take turns. Each kill: SIGKILL of everything of
one node, each node in turn, leaders included; six closed-loop clients, each with one write every
10 ms at most, that turn to another node when theirs does not answer. The gap of a kill is the
longest time in which no write of any client was acknowledged, from the kill on."""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from rig import (MS, WRITES, Failed, Rig, Skipped, expect, gap, note, percentile, read_history,
                 until)

CLIENTS, PERIOD_MS, WINDOW_S = 6, 10, 3
SHORTER = 5.0  # than etcd with its default settings, in the median and at worst
# Half of the lab's own timers, which are for suites on busy machines: this is run alone.
TIMERS = {"lease_us": "160000", "election_us": "80000", "detect_us": "100000"}


def client_gaps(ends_by_client, start, stop):
    """The longest gap of each client; the worst is when the last one could write again."""
    return max(gap(ends, start, stop) for ends in ends_by_client.values())


def gaps(ends_by_client, kill):
    start, stop = kill["at"], kill["at"] + WINDOW_S * 1_000_000_000
    everything = [e for ends in ends_by_client.values() for e in ends]
    kill["gap_ms"] = gap(everything, start, stop)
    kill["last_client_ms"] = client_gaps(ends_by_client, start, stop)
    return kill


def slowest(operations, start, stop):
    """The write that took longest, of those under way in that time."""
    o = max((o for o in operations if o.op in WRITES and o.start < stop and o.end > start),
            key=lambda o: o.end - o.start)
    return (f"slot {o.slot} at node {o.node}: {o.op} {o.key} from {(o.start - start) // MS} to "
            f"{(o.end - start) // MS} ms: {o.outcome}")


class Cairn(Rig):
    SLOTS, PINNED, READERS = CLIENTS, 0, 2

    def kills(self, count, first):
        self.start_lab()
        self.healthy()
        found, operations = [], []
        for number in range(first, first + count):
            victim = number % 3
            # New clients for each kill: old ones have moved, and are all where nobody died lately.
            self.start_load(rate=1000 / PERIOD_MS * (CLIENTS + 2 * 3), puts=True)
            time.sleep(1)
            leads = [victim == (self.view_leader() if self.engine == "hermes" else
                                self.shard_leader())]
            self.marks.clear()
            self.kill_node(victim)
            found.append({"system": f"cairn {self.engine}", "victim": victim, "leader": leads[0],
                          "at": self.marks["fault"]})
            time.sleep(WINDOW_S + 0.2)
            found[-1]["events"] = self.ctl("events").out.splitlines()[-12:]
            self.stop_load()
            operations += read_history(self.parts[-1])
            self.start_nodes()
            self.healthy()
        self.marks.clear()
        text, acked = self.verdict(operations)
        ends, reads = {}, {}
        for o in operations:
            if o.op in WRITES and o.outcome == "OK":
                ends.setdefault(o.slot, []).append(o.end)
            elif o.slot >= CLIENTS and o.outcome in ("OK", "NOT_FOUND"):
                reads.setdefault((o.slot - CLIENTS) // 3, {}).setdefault(o.node, []).append(o.end)
        for kill in found:
            gaps(ends, kill)
            at = {o.slot: o.node for o in operations if o.slot < CLIENTS and o.end < kill["at"]}
            kill["clients_at_victim"] = sum(n == kill["victim"] for n in at.values())
            stop = kill["at"] + WINDOW_S * 1_000_000_000
            if kill["last_client_ms"] > 1000:
                kill["slowest"] = slowest(operations, kill["at"], stop)
            kill["read_gap_ms"] = max(gap(e, kill["at"], stop) for n, e in reads[0].items()
                                      if n != kill["victim"])
        note(f"  {text}; {acked} acknowledged writes, none lost")
        return found, self.timers()


class Etcd:
    """Three members with default settings, as Debian packages them, on the same disk."""

    def __init__(self, build):
        self.tmp = tempfile.mkdtemp(prefix="cairn-etcd-", dir="/var/tmp")
        self.members, self.load = [None] * 3, None
        here = os.path.dirname(os.path.abspath(__file__))
        self.source = os.path.join(here, "..", "..", "perf", "failover", "etcdgap.go")
        self.build = build

    def __enter__(self):
        for program in ("etcd", "etcdctl", "go", "dpkg"):
            if not shutil.which(program):
                raise Skipped(f"no {program}: apt-get install etcd-server etcd-client golang-go "
                              "golang-etcd-server-dev")
        listing = subprocess.run(["dpkg", "-L", "golang-etcd-server-dev"], capture_output=True,
                                 text=True, check=False).stdout.split()
        root = next((p for p in listing if p.endswith("/src/go.etcd.io/etcd")), None)
        if not root:
            raise Skipped("no golang-etcd-server-dev")
        self.program = os.path.join(self.tmp, "etcdgap")
        subprocess.run(["go", "build", "-o", self.program, self.source], check=True,
                       env=dict(os.environ, GO111MODULE="off", GOFLAGS="",
                                GOPATH=root[:-len("/src/go.etcd.io/etcd")]))
        ports = free_ports(6)
        self.client, self.peer = ports[:3], ports[3:]
        for member in range(3):
            self.start(member)
        until(lambda: self.leader() is not None, 60, "an etcd leader")
        return self

    def __exit__(self, *_):
        for p in [self.load, *self.members]:
            if p and p.poll() is None:
                p.kill()
                p.wait()
        shutil.rmtree(self.tmp, ignore_errors=True)

    def start(self, member):
        cluster = ",".join(f"m{i}=http://127.0.0.1:{p}" for i, p in enumerate(self.peer))
        client, peer = (f"http://127.0.0.1:{p[member]}" for p in (self.client, self.peer))
        with open(os.path.join(self.tmp, f"m{member}.log"), "a") as log:
            self.members[member] = subprocess.Popen(
                ["etcd", "--name", f"m{member}", "--data-dir", f"{self.tmp}/m{member}",
                 "--listen-client-urls", client, "--advertise-client-urls", client,
                 "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                 "--initial-cluster", cluster, "--initial-cluster-state", "new",
                 "--logger", "zap", "--log-level", "error"], stdout=log, stderr=log)

    def endpoints(self):
        return ",".join(f"127.0.0.1:{p}" for p in self.client)

    def statuses(self):
        done = subprocess.run(["etcdctl", "--endpoints", self.endpoints(), "endpoint", "status",
                               "-w", "json"], capture_output=True, text=True, check=False,
                              env=dict(os.environ, ETCDCTL_API="3"), timeout=30)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return []

    def leader(self):
        for s in self.statuses():
            if s["Status"]["leader"] == s["Status"]["header"]["member_id"]:
                return self.client.index(int(s["Endpoint"].rpartition(":")[2]))
        return None

    def kills(self, count, first):
        path, found = os.path.join(self.tmp, "ends"), []
        with open(path, "w") as out, open(path + ".err", "w") as err:
            self.load = subprocess.Popen(
                [self.program, "-endpoints", self.endpoints(), "-clients", str(CLIENTS),
                 "-period", f"{PERIOD_MS}ms", "-timeout", "100ms"], stdin=subprocess.PIPE,
                stdout=out, stderr=err)
            time.sleep(2)
            for number in range(first, first + count):
                time.sleep(1)
                victim, leads = number % 3, self.leader() == number % 3
                found.append({"system": "etcd", "victim": victim, "leader": leads,
                              "at": time.monotonic_ns()})
                self.members[victim].send_signal(signal.SIGKILL)
                self.members[victim].wait()
                time.sleep(WINDOW_S + 0.2)
                self.start(victim)
                until(lambda: len(self.statuses()) == 3 and self.leader() is not None, 60,
                      "etcd whole again")
            self.load.stdin.close()
            expect(self.load.wait(timeout=30) == 0, "the load on etcd ends well")
        ends = {}
        with open(path) as f:
            for line in f:
                client, at = line.split()
                ends.setdefault(client, []).append(int(at))
        return [gaps(ends, kill) for kill in found], {"heartbeat": "100 ms", "election": "1 s"}


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def summary(kills):
    """One line a system and role. False: not as much shorter than etcd's as it has to be."""
    systems = sorted({k["system"] for k in kills})
    note(f"{'system':14} {'victim':9} {'kills':>5} {'median':>9} {'p90':>9} {'worst':>9} "
         f"{'last client, worst':>19} {'read gap, worst':>16}   (ms)")
    for system in systems:
        for role in ("any", "leader", "follower"):
            some = [k for k in kills if k["system"] == system and
                    (role == "any" or k["leader"] == (role == "leader"))]
            if not some:
                continue
            values = [k["gap_ms"] for k in some]
            reads = [k["read_gap_ms"] for k in some if "read_gap_ms" in k]
            note(f"{system:14} {role:9} {len(some):5} {percentile(values, 50):9.1f} "
                 f"{percentile(values, 90):9.1f} {max(values):9.1f} "
                 f"{max(k['last_client_ms'] for k in some):19.1f} "
                 f"{max(reads) if reads else float('nan'):16.1f}")
    good = True
    for system in systems:
        every = {s: [k["gap_ms"] for k in kills if k["system"] == s] for s in systems}
        led = {s: [k["gap_ms"] for k in kills if k["system"] == s and k["leader"]]
               for s in systems}
        if system == "etcd" or "etcd" not in systems:
            continue
        factors = {"median": percentile(every["etcd"], 50) / max(percentile(every[system], 50),
                                                                 0.01),
                   "worst": max(every["etcd"]) / max(every[system]),
                   "leader's median": percentile(led["etcd"], 50) /
                                      max(percentile(led[system], 50), 0.01)}
        # A follower's death costs etcd nothing: what counts is the kills of all, and of leaders.
        ok = min(factors.values()) >= SHORTER
        good = good and ok
        note(f"failover: {system}: shorter than etcd's: " +
             ", ".join(f"{k} {v:.1f} x" for k, v in factors.items()) +
             ("" if ok else f": FAILED, less than {SHORTER:g} x"))
    return good


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--kills", type=int, default=21, help="of each system")
    p.add_argument("--rounds", type=int, default=3, help="turns the systems take")
    p.add_argument("--systems", default="hermes,raft,etcd")
    p.add_argument("--lab", action="append", default=[], metavar="OPTION")
    p.add_argument("--timer", action="append", default=[], metavar="NAME=VALUE",
                   help="of the view service, in every node's configuration; without it: " +
                        ", ".join("=".join(t) for t in TIMERS.items()))
    p.add_argument("--output", help="every kill as JSON, one a line")
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    timers = {} if "--timers" in args.lab else TIMERS
    timers = {**timers, **dict(t.split("=") for t in args.timer)}
    kills, bad = [], 0
    for turn in range(args.rounds):
        first = args.kills * turn // args.rounds
        count = args.kills * (turn + 1) // args.rounds - first
        for system in args.systems.split(","):
            try:
                made = (Etcd(args.build) if system == "etcd" else
                        Cairn(args.build, engine=system, up=args.lab, seed=turn + 1,
                              timers=timers))
                with made as cluster:
                    found, stated = cluster.kills(count, first)
            except Skipped as reason:
                note(f"{system}: not run: {reason}")
                continue
            except Failed as failure:
                note(f"{system}: FAILED: {failure}")
                bad += 1
                continue
            if turn == 0:
                note(f"{system}: timers {stated}")
            for kill in found:
                events = kill.pop("events", [])
                note(f"  {json.dumps(kill)}")
                if kill["gap_ms"] > 1000 and events:
                    note("    the events:\n    " + "\n    ".join(events))
                if args.output:
                    with open(args.output, "a") as f:
                        f.write(json.dumps(kill) + "\n")
            kills += found
    return 0 if kills and summary(kills) and not bad else 1


if __name__ == "__main__":
    sys.exit(main())
