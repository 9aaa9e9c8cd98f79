#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""membership.py BUILD_DIR [--only STEP]: nodes come, go, die and return while clients write
all the time; every command, its refusals and exit codes; the right word in every situation; cold
starts, also after the cluster had shrunk; unsafe recovery. All that clients saw is judged."""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time

from lab import ENGINE, Lab, expect, main, note, until, version


RAFT = ENGINE == "raft"
GONE = ("DEAD", "SILENT")  # with the raft engine a dead member stays a member: SILENT


class Load:
    """One client that writes and reads back all the time; every command must succeed."""

    def __init__(self, lab, timeout="20s"):
        self.lab, self.timeout = lab, timeout
        self.count, self.bad = 0, []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stop.is_set():
            self.count += 1
            start = time.time()
            put = self.lab.ctl("kv", "put", "load", self.count, "--timeout", self.timeout)
            got = self.lab.ctl("kv", "get", "load", "--timeout", self.timeout)
            if put.code or got.code:
                self.bad.append(f"at {start % 3600:.3f}, {time.time() - start:.3f} s: {put} {got}")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stop.set()
        self.thread.join()
        if kind is None:
            expect(not self.bad, f"{len(self.bad)} of {self.count} failed: {self.bad[:2]}")
            expect(self.count > 0, "the load ran")


def holds(lab, node, key, value):
    expect(lab.ctl("kv", "get", key, "--node", node, code=0).out == f"{value}\n",
           f"node {node} has {key}")


def happened(lab, name, node=None, text=""):
    """Some node reports an event of that name (about that node, with that text)."""
    events = lab.ctl("events", "-o", "json", code=0).json()["events"]
    return any(e["event"] == name and node in (None, e["node"]) and text in e["text"]
               for e in events)


def shapes(lab):
    """JSON that scripts rely on."""
    info = lab.ctl("cluster", "info", "-o", "json", code=0).json()
    expect(info["schema"] == "cairn.cluster/1", f"schema first: {info}")
    cluster = info["cluster"]
    expect(isinstance(cluster["revision"], str) and isinstance(cluster["epoch"], int), cluster)
    expect((cluster["name"], cluster["copies_min"], cluster["unsafe_recoveries"]) == ("lab", 2, 0),
           f"the cluster: {cluster}")
    for member in info["members"]:
        expect(member["role"] == "member" and isinstance(member["incarnation"], str), member)
    leader = lab.ctl("leader", "show", "-o", "json", code=0).json()
    expect(leader["view"] == cluster["leader"] in range(3), f"leader show: {leader}")
    table = lab.ctl("status", "-o", "table", code=0).out
    expect("HEALTHY" in table.splitlines()[0] and "of 3 voters" in table, f"one screen: {table}")
    plain = lab.ctl("member", "list", "-H", code=0).out.splitlines()
    expect(len(plain) == 3 and plain[0].split("\t")[0] == "node0", f"plain rows: {plain}")
    for member in info["members"]:  # any node answers for all
        one = lab.ctl("member", "list", "-o", "json", *lab.socket(member["node"]), code=0).json()
        expect([m["name"] for m in one["members"]] == ["node0", "node1", "node2"], one)


def transfer(lab):
    before = lab.status()["cluster"]["leader"]
    with Load(lab):
        lab.ctl("leader", "transfer", code=0)
        after = lab.status()["cluster"]["leader"]
        expect(after != before, f"another one leads: {before}, {after}")
        lab.ctl("leader", "transfer", f"node{before}", "--wait", "30s", code=0)
        expect(lab.status()["cluster"]["leader"] == before, "the one that was asked for")
    lab.error("CAIRN-0604", 3, "leader", "transfer", "nobody")


def obituary(lab):
    """A dataplane is killed, its cairnd lives: the others are told, and wait for no lease."""
    leader = lab.status()["cluster"]["leader"]
    with Load(lab):
        for node in (leader, (leader + 1) % 3):
            incarnation = lab.members()[node]["incarnation"]
            os.kill(lab.pid("cairn-dataplane", node), signal.SIGKILL)
            for name in ("obituary",) if RAFT else ("obituary", "dead"):
                until(lambda: happened(lab, name, node, f"incarnation {incarnation} was reaped"),
                      30, f"{name} of node {node}, reaped as incarnation {incarnation}")
            lab.serving()
            again = lab.members()[node]["incarnation"]
            expect(int(again) > int(incarnation), "it came back by itself")


def drain(lab):
    with Load(lab):
        lab.ctl("member", "drain", "node1", code=0)
        expect((lab.state(1), lab.word()) == ("DRAINED", "DEGRADED"), lab.status())
        until(lambda: lab.word(*lab.socket(1)) == "DRAINED", 30, "it says what it is, asked alone")
        expect("CAIRN-0113" in lab.ctl("health", code=8).err, "with the reason")
        lab.error("CAIRN-0405", 6, "kv", "get", "load", "--node", 1, "--timeout", "500ms")
        # Two copies are the least: a second one is not given away unasked.
        lab.error("CAIRN-0317", 5, "member", "drain", 2)
        lab.error("CAIRN-0606", 2, "member", "drain", 2, "--force")
        lab.ctl("member", "drain", 1, code=0)  # again: nothing to do
        lab.ctl("member", "undrain", 1, code=0)
        lab.await_word("HEALTHY", "WARNINGS")
    lab.ctl("kv", "put", "d", "after", "--node", 1, code=0)
    holds(lab, 2, "d", "after")
    expect(happened(lab, "shadow", 1) and happened(lab, "member", 1), "its way back is told")


def read_only(lab):
    """By force below copies_min: reads go on, updates are refused; and back."""
    lab.ctl("kv", "put", "ro", "before", code=0)
    lab.ctl("member", "drain", 1, code=0)
    lab.ctl("member", "drain", 2, "--force", "--yes", code=0)
    lab.await_word("READ_ONLY")
    lab.ctl("health", code=1)
    holds(lab, 0, "ro", "before")
    result = lab.ctl("kv", "put", "ro", "during", "--node", 0, "--timeout", "500ms")
    expect(result.code == 6, f"updates are refused: {result}")
    lab.error("CAIRN-0316", 5, "member", "drain", 0, "--force", "--yes")
    lab.ctl("cluster", "copies", 1, code=0)
    lab.await_word("DEGRADED")
    lab.ctl("kv", "put", "ro", "one copy", "--node", 0, code=0)
    lab.ctl("member", "undrain", 1, code=0)
    lab.ctl("member", "undrain", 2, code=0)
    lab.ctl("cluster", "copies", 2, code=0)
    lab.serving()
    holds(lab, 2, "ro", "one copy")
    lab.error("CAIRN-0320", 2, "cluster", "copies", 6)
    lab.error("CAIRN-0706", 2, "cluster", "copies", 9)


def grow(lab):
    """A fourth node, as a learner first; refusals on the way."""
    lab.error("CAIRN-0608", 2, "member", "add", "x")
    lab.error("CAIRN-0608", 2, "member", "add", "x", "--address", "10.77.0.300")
    lab.error("CAIRN-0608", 2, "member", "add", "12", "--address", "10.77.0.9")
    lab.error("CAIRN-0315", 5, "member", "add", "x", "--address", "10.77.0.2")
    lab.error("CAIRN-0315", 5, "member", "add", "node1", "--address", "10.77.0.9")
    lab.error("CAIRN-0604", 3, "member", "remove", 5, "--yes")
    lab.error("CAIRN-0606", 2, "member", "remove", 2)
    with Load(lab):
        lab.ctl("lab", "add", "--learner", code=0)
        expect(lab.state(3) == "LEARNER", f"it waits: {lab.members()[3]}")
        lab.error("CAIRN-0405", 6, "kv", "get", "load", "--node", 3, "--timeout", "500ms")
        lab.ctl("member", "promote", "node3", code=0)
        lab.serving()
    incarnation = lab.members()[3]["incarnation"]
    os.kill(lab.pid("cairn-dataplane", 3), signal.SIGKILL)
    until(lambda: happened(lab, "obituary", 3, f"incarnation {incarnation} was reaped"), 30,
          "nodes that came later tell of their end, too")
    lab.serving()
    holds(lab, 3, "d", "after")
    lab.ctl("kv", "put", "d", "by the fourth", "--node", 3, code=0)
    holds(lab, 0, "d", "by the fourth")
    expect(lab.status()["cluster"]["voters"] == 4, "it votes")


def five_and_three(lab):
    """3 to 5 and back to 3 while serving, founders among those who go; then a start from disks."""
    lab.ctl("kv", "put", "five", "kept", code=0)
    with Load(lab):
        for node in (3, 4):
            lab.ctl("lab", "add", code=0)
            until(lambda: lab.state(node) == "SERVING", 60, f"node {node} is in")
        cluster = lab.status()["cluster"]
        expect((cluster["members"], cluster["voters"]) == (5, 5), f"five: {cluster}")
        for node in (0, 1):
            lab.ctl("member", "remove", node, "--yes", code=0)
        until(lambda: sorted(lab.members()) == [2, 3, 4], 60, f"three: {lab.members()}")
    lab.ctl("cluster", "copies", 2, code=0)
    lab.ctl("lab", "kill", "all", code=0)
    for node in (4, 3, 2):
        lab.ctl("lab", "start", node, code=0)
    for node in (2, 3, 4):
        until(lambda: lab.state(node) == "SERVING", 60, f"node {node} serves")
        holds(lab, node, "five", "kept")
    cluster = lab.status()["cluster"]
    found = cluster["members"], cluster["voters"], cluster["state"]
    expect(found == (3, 3, "HEALTHY"), f"three, from disks: {cluster}")


def replace(lab):
    """A dead node's place is taken by one command, a living one leaves by one."""
    with Load(lab):
        lab.ctl("lab", "kill", 1, code=0)
        lab.await_state(1, *GONE)
        lab.await_word("DEGRADED")
        lab.ctl("lab", "add", "--replaces", 1, code=0)
        until(lambda: sorted(lab.members()) == [0, 2, 3, 4], 60, f"4 for 1: {lab.members()}")
        lab.ctl("member", "remove", "node3", "--yes", code=0)
        until(lambda: sorted(lab.members()) == [0, 2, 4], 60, f"3 is gone: {lab.members()}")
    holds(lab, 4, "d", "by the fourth")
    until(lambda: lab.word(*lab.socket(3)) == "REMOVED", 30, "the removed one says so")
    status = lab.status()["cluster"]
    expect((status["voters"], status["members"], status["state"]) == (3, 3, "HEALTHY"), status)
    lab.ctl("lab", "kill", 3, code=0)
    for name in ("member", "command", "view", "leader", "dataplane_started"):
        expect(happened(lab, name), f"{name} is among the events")


def lost_disk(lab):
    """A node whose disk is lost is removed, and comes back empty under the same number."""
    node = sorted(lab.members())[-1]
    lab.ctl("lab", "kill", node, code=0)
    lab.await_state(node, *GONE)
    with Load(lab):
        lab.ctl("member", "remove", node, "--yes", code=0)
        rejoin(lab, node)
    holds(lab, node, "d", "by the fourth")


def wrong_engine(lab):
    """Formatted for the other engine a node stops nobody, and says what is wrong, and the cure."""
    node = sorted(lab.members())[-1]
    engine = lab.description()["engine"]
    lab.ctl("lab", "kill", node, code=0)
    lab.await_state(node, *GONE)
    with Load(lab):
        lab.ctl("member", "remove", node, "--yes", code=0)
        format_anew(lab, node, "hermes" if RAFT else "raft")
        lab.ctl("member", "add", f"node{node}", "--address", f"10.77.0.{node + 1}", "--id", node,
                "--no-wait", code=0)
        said = until(lambda: (r := lab.ctl("health", *lab.socket(node))) and
                     "CAIRN-0123" in r.err and r, 20, "it says that it is of another engine")
        expect("OTHER_ENGINE" in said.out + said.err, said)
        expect(f"formatted with --engine {engine}" in said.err, said)
        with open(os.path.join(lab.dir, f"node{node}", "cairnd.log")) as f:
            expect("CAIRN-0123" in f.read(), "its log says so, too")
        for i in range(20):
            lab.ctl("kv", "put", f"odd{i}", "nobody waits for it", "--timeout", "1s", code=0)
        lab.ctl("lab", "kill", node, code=0)
        format_anew(lab, node, engine)
        lab.await_state(node, "SERVING")
        lab.ctl("kv", "put", "odd19", "nobody waits for it", code=0)
    holds(lab, node, "odd19", "nobody waits for it")


def words(lab):
    """One node dead, two dead, a stopped one, none: the right word each time."""
    first, second, third = sorted(lab.members())
    lab.ctl("lab", "kill", third, code=0)
    lab.await_state(third, *GONE)
    lab.await_word("DEGRADED")
    lab.ctl("lab", "kill", second, code=0)
    lab.await_word("NO_QUORUM")
    result = lab.ctl("health", code=1)
    expect("CAIRN-0114" in result.err, f"with the reason: {result}")
    lab.error("CAIRN-0311", 6, "member", "drain", first)
    lab.ctl("lab", "start", second, code=0)
    lab.ctl("lab", "start", third, code=0)
    lab.await_word("WARNINGS", "HEALTHY")  # nodes lost or removed before do not answer
    post(lab, second, "stop")
    until(lambda: lab.word(*lab.socket(second)) == "STOPPED", 30, "stopped by request")
    lab.await_word("DEGRADED")
    lab.ctl("health", *lab.socket(second), code=1)
    post(lab, second, "start")
    lab.await_state(second, "SERVING")


def post(lab, node, action):
    path = lab.description()["control"][node]
    done = subprocess.run(["curl", "-s", "-X", "POST", "--unix-socket", path,
                           f"http://node/v1/dataplane/{action}"], capture_output=True, text=True,
                          timeout=30, check=True)
    expect(json.loads(done.stdout)["action"] == action, f"{action}: {done}")


def cold_start(lab):
    """All nodes die at once; all come back, with everything."""
    lab.ctl("kv", "put", "cold", "kept", code=0)
    lab.ctl("lab", "kill", "all", code=0)
    expect(lab.word() == "UNREACHABLE", "nobody answers")
    lab.ctl("health", code=6)
    lab.ctl("lab", "start", code=0)
    lab.serving()
    for node in range(3):
        holds(lab, node, "cold", "kept")
    expect(RAFT or happened(lab, "recovered"), "the start from disks is told")


def cold_start_shrunk(lab):
    """The last two died without the third: who was left out has no say, even if it starts first."""
    lab.ctl("kv", "put", "shrunk", "old", code=0)
    lab.ctl("lab", "kill", 2, code=0)
    lab.await_state(2, *GONE)
    expect(RAFT or happened(lab, "dead", 2), "it is told")
    lab.ctl("kv", "put", "shrunk", "new", code=0)
    lab.ctl("lab", "kill", "all", code=0)
    lab.ctl("lab", "start", 2, code=0)
    lab.await_word("NO_QUORUM")
    lab.ctl("lab", "start", 1, code=0)
    lab.await_word("DEGRADED")
    for node in (1, 2):
        until(lambda: lab.state(node) == "SERVING", 30, f"node {node} serves")
        holds(lab, node, "shrunk", "new")
    lab.ctl("lab", "start", code=0)
    lab.serving()
    holds(lab, 0, "shrunk", "new")


def util(lab, *args):
    return subprocess.run([os.path.join(lab.bin, "cairnutil"), *map(str, args)], text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)


def unsafe_recovery(lab):
    """Two of three disks are gone: the third goes on alone, on record, and takes in new ones."""
    config = os.path.join(lab.dir, "node1", "node.toml")
    lab.ctl("kv", "put", "unsafe", "kept", code=0)
    done = util(lab, "recover", "--unsafe", "--config", config, "--yes")
    expect(done.returncode == 5 and "CAIRN-0809" in done.stderr, f"a running node: {done}")
    lab.ctl("lab", "kill", 1, code=0)
    lab.await_state(1, *GONE)
    # What is going to be lost on purpose is in no history.
    lost = subprocess.run([lab.ctl_path, "kv", "put", "unsafe", "lost", "--node", "0"], text=True,
                          capture_output=True, env=lab.env, timeout=60, check=True).stdout.strip()
    lab.ctl("lab", "kill", "all", code=0)
    for args in ((), ("--unsafe",), ("--unsafe", "--confirm", "other")):
        done = util(lab, "recover", "--config", config, *args)
        expect(done.returncode == 2 and "CAIRN-0811" in done.stderr, f"not confirmed: {done}")
    done = util(lab, "recover", "--unsafe", "--config", config, "--confirm", "lab")
    expect(done.returncode == 0 and "unsafe recoveries 1" in done.stdout, f"recover: {done}")
    rename(lab, re.search("new cluster id: ([0-9a-f]{16})", done.stdout)[1])
    lab.ctl("lab", "start", 1, code=0)
    lab.await_word("WARNINGS", "HEALTHY")
    cluster = lab.status()["cluster"]
    expect((cluster["members"], cluster["voters"], cluster["unsafe_recoveries"]) == (1, 1, 1),
           f"alone, on record: {cluster}")
    expect(happened(lab, "unsafe_recovery"), "and among the events")
    holds(lab, 1, "unsafe", "kept")
    alone = lab.ctl("kv", "put", "unsafe", "alone", "--node", 1, code=0).out.strip()
    expect(version(alone) > version(lost) if RAFT else alone != lost,
           f"no version is given twice: {lost}, {alone}")
    for node in (0, 2):
        rejoin(lab, node)
        holds(lab, node, "unsafe", "alone")
    lab.ctl("cluster", "copies", 2, code=0)
    lab.serving()


def rename(lab, cluster):
    """The new id, where it is written. Nodes with the old one belong to nobody any more."""
    old = lab.description()["cluster"]
    expect(cluster != old, "the id is a new one")
    paths = [os.path.join(lab.dir, f"node{n}", "node.toml") for n in range(3)]
    for path in paths + [os.path.join(lab.dir, "lab.json")]:
        with open(path) as f:
            text = f.read()
        expect(old in text, f"the old id is in {path}")
        with open(path, "w") as f:
            f.write(text.replace(old, cluster))


def format_anew(lab, node, engine):
    """An empty disk, formatted to join; its node is started."""
    data = os.path.join(lab.dir, f"node{node}", "data")
    shutil.rmtree(data)
    os.mkdir(data)
    config = os.path.join(lab.dir, f"node{node}", "node.toml")
    lab.ctl("cluster", "init", "--config", config, "--engine", engine, "--join", code=0)
    lab.ctl("lab", "start", node, code=0)


def rejoin(lab, node):
    """A node whose disk is lost comes back under its old number, formatted to join."""
    format_anew(lab, node, lab.description()["engine"])  # it waits to be told who its cluster is
    lab.ctl("member", "add", f"node{node}", "--address", f"10.77.0.{node + 1}", "--id", node,
            code=0)


def witness(lab):
    """Two data nodes and a witness: one data node may die, and no other serves data."""
    lab.ctl("kv", "put", "w", "both", code=0)
    expect(lab.state(2) == "VOTING", lab.members())
    with Load(lab):
        lab.ctl("lab", "kill", 1, code=0)
        lab.await_state(1, *GONE)
        lab.ctl("kv", "put", "w", "one", code=0)
    expect(lab.word() == "DEGRADED", "it goes on with one")
    lab.error("CAIRN-0405", 6, "kv", "get", "w", "--node", 2, "--timeout", "500ms")
    if not RAFT:
        lab.error("CAIRN-0316", 5, "member", "drain", 0, "--force", "--yes")
    done = util(lab, "recover", "--unsafe", "--yes", "--config",
                os.path.join(lab.dir, "node2", "node.toml"))
    expect(done.returncode == 5, f"a running witness: {done}")
    lab.ctl("lab", "start", code=0)
    lab.serving()
    holds(lab, 1, "w", "one")
    lab.ctl("lab", "kill", 2, code=0)
    lab.await_word("DEGRADED")
    with Load(lab):
        lab.ctl("kv", "put", "w", "without the witness", code=0)
    lab.ctl("lab", "start", code=0)
    lab.serving()


def run(lab, *steps):
    for step in steps:
        note(f"membership: {step.__name__}")
        step(lab)


def test(build, args):
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", help="one step by name, on a lab of its own")
    options = parser.parse_args(args)
    up = ("--shards", 2, "--keys", 20000, "--wal-bytes", "64MiB")
    with Lab(build) as lab:
        if options.only:
            lab.up(*up, *(("--witness",) if options.only == "witness" else ()))
            run(lab, globals()[options.only])
            return
        lab.up(*up)
        run(lab, shapes, transfer, obituary, drain, read_only, grow, replace, lost_disk,
            wrong_engine, words)
        lab.ctl("lab", "down", code=0)
        lab.up(*up)
        run(lab, cold_start, cold_start_shrunk, unsafe_recovery)
        lab.ctl("lab", "down", code=0)
        lab.up(*up)
        run(lab, five_and_three)
        lab.ctl("lab", "down", code=0)
        lab.up(*up, "--witness")
        run(lab, witness)


main(test)
