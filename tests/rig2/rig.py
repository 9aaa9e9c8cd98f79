# SPDX-License-Identifier: Apache-2.0
"""rig.py: rig R2: a lab of real processes under recorded load, its faults, and the judgement.

A run: lab up; clients (cairn-recorder) on all nodes; a fault; healing; the cluster healthy again;
every key read at every node; all of it one history for cairn-check, and, besides, every
acknowledged write must be there: no key at any node older than what was acknowledged for it."""
import bisect
import fcntl
import filecmp
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "smoke"))
from lab import Failed, Lab, Result, expect, note, until, version  # noqa: E402

MS = 1_000_000
BACK_S = 6  # with one member slow, lab timers, the others are back within 2 x after so many seconds
WRITES = {"put", "del", "cas", "incr", "casv"}
ANSWERED = {"OK", "NOT_FOUND", "CONFLICT"}


class Skipped(Exception):
    """This machine or this build cannot do that."""


class Operation:
    __slots__ = ("slot", "node", "op", "key", "result", "version", "start", "end", "outcome")

    def __init__(self, line):
        (client, self.op, self.key, _, self.result, self.version, start, end,
         self.outcome) = line.split()
        self.slot, self.node = divmod(int(client), 10)
        self.start, self.end = int(start), int(end)


def read_history(path):
    with open(path) as f:
        return [Operation(line) for line in f if line.strip() and not line.startswith("#")]


class Rig(Lab):
    """A lab with load. Options of `lab up` that this build does not know make it Skipped."""

    SLOTS, PINNED, READERS = 6, 2, 2

    def __init__(self, build, nodes=3, engine="hermes", witnesses=0, seed=1, up=(), timers=None):
        super().__init__(build)
        self.nodes_count, self.engine, self.witnesses = nodes, engine, witnesses
        self.seed, self.up_options = seed, list(up)
        self.other_timers = {name: int(value) for name, value in (timers or {}).items()}
        self.recorder_path = os.path.join(os.path.abspath(build), "tests", "rig2",
                                          "cairn-recorder")
        self.load_process, self.parts = None, []
        self.stopped, self.cgroups, self.mounts = set(), [], []
        self.new_nodes, self.gone_nodes = [], set()
        self.marks = {}  # name -> monotonic ns
        commands = self.ctl("--dump-commands", code=0).json()["commands"]
        self.commands = {c["path"]: {o["name"] for o in c.get("options", [])} for c in commands}

    def show_logs(self):
        """Logs are kept instead, with the history (keep_evidence)."""

    def keep_evidence(self):
        to = tempfile.mkdtemp(prefix="cairn-rig2-", dir="/var/tmp")
        for folder, _, names in os.walk(self.tmp):
            for name in names:
                path = os.path.join(folder, name)
                if (name.endswith((".wal", ".img")) or not os.path.isfile(path) or
                        os.path.getsize(path) > 32 << 20):
                    continue
                flat = os.path.relpath(path, self.tmp).replace("/", "_")
                shutil.copyfile(path, os.path.join(to, flat))
        note(f"logs and history are kept in {to}")

    def __exit__(self, kind, value, trace):
        try:
            self.heal_processes()
            if self.load_process and self.load_process.poll() is None:
                self.load_process.kill()
                self.load_process.wait()
        finally:
            self.end_lab_first()
            if kind is not None and kind is not Skipped:
                self.keep_evidence()
            try:
                super().__exit__(kind, value, trace)
            finally:
                self.remove_cgroups()

    def end_lab_first(self):
        """Before the folder is removed: nothing may be mounted in it, and nobody use the mount."""
        if self.mounts:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            until(lambda: not self.processes(), 20, "killed")
            self.remove_mounts()

    # ---- up ----

    def has(self, command, option=None):
        return command in self.commands and (not option or option in self.commands[command])

    @property
    def has_views(self):
        return self.has("cluster info")

    def start_lab(self):
        args = ["--nodes", self.nodes_count, "--wal-bytes", "512MiB", "--keys", 20000]
        if self.engine != "hermes":
            if not self.has("lab up", "engine"):
                raise Skipped("lab up has no --engine")
            args += ["--engine", self.engine]
        if self.witnesses:
            if not self.has("lab up", "witnesses"):
                raise Skipped("lab up has no --witnesses")
            args += ["--witnesses", self.witnesses]
        self.up(*args, *self.up_options)
        if self.other_timers and self.has_views:
            self.change_timers()

    def change_timers(self):
        """Into every node's configuration, then a restart of all."""
        for node in range(self.nodes_count):
            path = os.path.join(self.dir, f"node{node}", "node.toml")
            with open(path) as f:
                text = f.read()
            for name, value in self.other_timers.items():
                text, count = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
                expect(count == 1, f"{path} has {name}")
            with open(path, "w") as f:
                f.write(text)
        self.kill_nodes(range(self.nodes_count))
        self.start_nodes()
        self.marks.clear()

    def data_nodes(self):
        return list(range(self.nodes_count - self.witnesses))

    def endpoints(self, nodes=None):
        """For clients: those of nodes that hold data; empty ones for nodes that are gone."""
        nodes = self.data_nodes() if nodes is None else nodes
        ports = self.description()["gateway"]
        if "gateway_ports" in self.description():
            ports = [f"127.0.0.1:{p}" for p in self.description()["gateway_ports"]]
        return ",".join("gw:" + ports[n] if n in nodes else "" for n in range(max(nodes) + 1))

    def pids(self):
        """{(program, node): pid}"""
        rows = self.ctl("lab", "status", "-o", "json").json()["processes"]
        return {(r["PROGRAM"], r.get("NODE", -1)): r["PID"] for r in rows if r.get("PID")}

    # ---- what the cluster says ----

    def info(self):
        result = self.ctl("cluster", "info", "-o", "json")
        try:
            return result.json()
        except ValueError:
            return {}

    def view_leader(self):
        """The node that leads the view service; node 0 where there is none."""
        if not self.has_views:
            return 0

        def led():
            leader = self.info().get("cluster", {}).get("leader")
            return [leader] if isinstance(leader, int) and leader >= 0 else None

        return until(led, 20, "a view leader")[0]

    def shard_leader(self, shard=0):
        """Raft engine: the node that leads a shard."""
        def led():
            try:
                shards = self.ctl("leader", "show", "-o", "json").json()["shards"]
                leader = shards[shard]
                leader = leader["leader"] if isinstance(leader, dict) else leader
            except (ValueError, KeyError, IndexError, TypeError):
                return None
            return [leader] if isinstance(leader, int) and leader >= 0 else None

        return until(led, 20, "a shard leader")[0]

    def member(self):
        """A data node that does not lead."""
        leader = self.view_leader()
        return next(n for n in reversed(self.data_nodes()) if n != leader)

    def timers(self):
        """What the lab's nodes run with, in ms, to be stated with every figure."""
        return {**self.description().get("timers", {}), **self.other_timers}

    def epoch(self):
        return self.info().get("cluster", {}).get("epoch", 0) if self.has_views else 0

    def healthy(self, seconds=60):
        """Waits until every node takes part again, and is heard by all."""
        if not self.has_views:
            self.serving(seconds)
            return

        def all_there():
            try:
                return self.ctl("health", "-o", "json").json()["state"] in ("HEALTHY", "WARNINGS")
            except (ValueError, KeyError):
                return False

        until(all_there, seconds, "every node healthy")

    def word(self):
        """The one word for the cluster, of the best informed node that answers."""
        return self.ctl("health").out.split()[:1]

    def word_is(self, *words, seconds=10):
        """While a fault is there: the word says so, soon."""
        until(lambda: self.word() and self.word()[0] in words, seconds,
              f"the word is one of {words}: it is {self.word()}")

    # ---- load ----

    def load_records(self, count, value_bytes, prefix, nodes=(0, 1, 2)):
        """So many writes, through `kv import`, without a history: the load has one of its own."""
        path = self.path(prefix)
        lot = random.Random(1)
        with open(path, "w") as f:
            for i in range(count):
                f.write(f"{prefix}{i}\t{lot.getrandbits(64):016x}{'v' * (value_bytes - 16)}\n")
        begin = time.monotonic()
        done = subprocess.run(
            list(map(str, [self.ctl_path, "kv", "import", path, "--retry", "--patience", "600s",
                           "-o", "json", "--endpoints", self.endpoints(nodes)])),
            env=self.env, text=True, capture_output=True, timeout=1200, check=False)
        expect(done.returncode == 0 and json.loads(done.stdout)["acknowledged"] == count,
               f"all acknowledged: {done.stdout[-300:]} {done.stderr[-600:]}")
        return time.monotonic() - begin

    def check_records(self, prefix, node):
        """What load_records wrote, read at that node: all of it, to the byte."""
        path = self.path(prefix)
        with open(path + ".read", "w") as f:
            done = subprocess.run(
                [self.ctl_path, "kv", "export", "--keys", path, "--node", str(node), "-o", "plain"],
                env=self.env, stdout=f, stderr=subprocess.PIPE, text=True, timeout=600, check=False)
        expect(done.returncode == 0 and filecmp.cmp(path, path + ".read", shallow=False),
               f"node {node} has the records \"{prefix}\": {done.stderr[-600:]}")

    def start_load(self, rate=1200, **more):
        history, progress = self.path(f"load-{len(self.parts)}"), self.path("progress")
        if os.path.exists(progress):
            os.remove(progress)
        args = [self.recorder_path, "--endpoints", self.endpoints(), "--cluster",
                self.description()["cluster"], "--nodes", len(self.data_nodes()), "--history",
                history, "--progress", progress, "--secs", 600, "--rate", rate, "--slots",
                self.SLOTS, "--pinned", self.PINNED, "--readers", self.READERS, "--seed",
                self.seed]
        for name, value in more.items():
            args += ["--" + name.replace("_", "-")] + ([] if value is True else [value])
        self.load_process = subprocess.Popen(list(map(str, args)), stdout=subprocess.PIPE,
                                             stderr=subprocess.PIPE, text=True)
        self.parts.append(history)
        self.more_load(300)

    def progress(self):
        try:
            with open(self.path("progress")) as f:
                return tuple(map(int, f.read().split()))
        except (OSError, ValueError):
            return (0, 0)

    def more_load(self, operations, seconds=60):
        """Waits until so many more operations were acknowledged."""
        ok = self.progress()[1]
        until(lambda: self.progress()[1] >= ok + operations or self.load_process.poll(), seconds,
              f"{operations} more operations acknowledged")
        expect(self.load_process.poll() is None, "the recorder goes on")

    def stop_load(self):
        self.marks["end"] = time.monotonic_ns()
        self.load_process.send_signal(signal.SIGTERM)
        out, err = self.load_process.communicate(timeout=120)
        expect(self.load_process.returncode == 0, f"the recorder: {err[-1500:]}")
        return json.loads(out)

    def read_all(self):
        """Every key at every data node, into the history."""
        path = self.path(f"final-{len(self.parts)}")
        nodes = sorted(set(self.data_nodes() + self.new_nodes) - self.gone_nodes)
        absent = sum(1 << n for n in range(max(nodes) + 1) if n not in nodes)
        done = subprocess.run(
            list(map(str, [self.recorder_path, "--final", "--endpoints", self.endpoints(nodes),
                           "--cluster", self.description()["cluster"], "--nodes",
                           max(nodes) + 1, "--absent", absent, "--history", path, "--timeout",
                           20])),
            capture_output=True, text=True, timeout=120, check=False)
        self.parts.append(path)
        expect(done.returncode == 0, f"every key can be read at every node: {done.stderr[-1500:]}")
        # What was refused while leadership moved was asked again.
        return [o for o in read_history(path) if o.outcome in ANSWERED]

    # ---- judgement ----

    def check_history(self):
        files = self.parts + [p for p in self.histories.values() if os.path.exists(p)]
        self.histories.clear()
        log = ["--log"] if self.engine == "raft" else []
        done = subprocess.run([self.check_path, *log, *files], capture_output=True, text=True,
                              timeout=600, check=False)
        expect(done.returncode == 0 and "linearizable" in done.stdout,
               f"VIOLATION: {done.stdout[:3000]} {done.stderr[:2000]}")
        return done.stdout.strip().rpartition(":")[2].strip()

    def check_acknowledged(self, operations, touched, final):
        """Apart from the checker: nothing acknowledged is missing at any node in the end, and all
        nodes say the same."""
        newest = {}
        for o in operations:
            if o.op in WRITES and o.outcome == "OK":
                new = version(o.version)
                if o.key not in newest or new > newest[o.key]:
                    newest[o.key] = new
        found = {}
        for o in final:
            found.setdefault(o.key, set()).add((o.version, o.result, o.outcome))
        for o in touched + final:
            acked = newest.get(o.key)
            # 0.0.0: absent, its tombstone forgotten; cairn-check judges whether it may be.
            if acked and o.version != "0.0.0":
                expect(version(o.version) >= acked,
                       f"LOST at node {o.node}: {o.key} is {o.version}, acknowledged {acked}")
        for key, answers in found.items():
            expect(len({(r, s) for _, r, s in answers}) == 1, f"nodes differ: {key}: {answers}")
        return sum(o.op in WRITES and o.outcome == "OK" for o in operations)

    def verdict(self, operations):
        """Final reads, the checker, and what was acknowledged in these operations."""
        # A key that was not touched since may wait for its replay, at some nodes, or be nowhere
        # else (its outcome is UNKNOWN): the first reader finishes it. After that all agree.
        touched, final = self.read_all(), self.read_all()
        return self.check_history(), self.check_acknowledged(operations, touched, final)

    def finish(self):
        """Ends the load, judges, and returns figures."""
        self.more_load(200)
        counts = self.stop_load()
        operations = read_history(self.parts[-1])
        text, acked = self.verdict(operations)
        return {"operations": counts["ended"], "acked_writes": acked,
                "unknown": counts.get("UNKNOWN", 0) + counts.get("EVICTED", 0),
                "not_serving": counts.get("NOT_SERVING", 0), "check": text,
                **self.figures(operations)}

    def slow_figures(self, operations):
        """p99 of the writes that the other nodes coordinate: before one got slow; after how long
        it is within twice that, of what begins in a whole second, and at least half as much
        begins as before; and of all writes from then on, when the slow one is on trial again now
        and then."""
        slow, start, end = (self.marks[k] for k in ("slow", "fault", "slow_end"))
        nodes = len(self.data_nodes())
        pinned = range(self.SLOTS, self.SLOTS + self.PINNED * nodes)
        writes = sorted((o.start, o.end - o.start) for o in operations
                        if o.slot in pinned and o.op in WRITES and
                        o.outcome in ("OK", "UNKNOWN") and
                        (o.slot - self.SLOTS) % nodes != slow)
        before = [(at, t) for at, t in writes if at < start]
        healthy = percentile([t for _, t in before], 99)
        enough = len(before) * 500 * MS / (start - before[0][0])
        back = None
        for at in range(start, end - 1000 * MS, 100 * MS):
            second = [t for began, t in writes if at <= began < at + 1000 * MS]
            if len(second) >= enough and percentile(second, 99) <= 2 * healthy:
                back = at
                break
        expect(back and back - start <= BACK_S * 1000 * MS,
               f"p99 of the others within 2 x {healthy / MS:.1f} ms after {BACK_S} s: "
               f"{(back - start) / MS if back else 'never'}")
        after = percentile([t for at, t in writes if back <= at < end], 99)
        return {"p99_healthy_ms": round(healthy / MS, 2),
                "back_within_2x_ms": (back - start) / MS,
                "p99_after_ms": round(after / MS, 2),
                "p99_worst_ms": round(max(t for at, t in writes if at >= start) / MS, 2)}

    def figures(self, operations):
        """Gaps in ms while the fault was there (marks fault..end)."""
        start = self.marks.get("fault", 0)
        stop = self.marks["end"]
        nodes = len(self.data_nodes())
        quiet = range(self.SLOTS + self.PINNED * nodes, self.SLOTS + (self.PINNED + 1) * nodes)
        writes = [o.end for o in operations if o.op in WRITES and o.outcome == "OK"]
        out = {"write_gap_ms": gap(writes, start, stop)}
        hit = self.marks.get("victims", set())
        reads = {}
        for o in operations:
            if o.slot in quiet and o.outcome in ANSWERED and o.node not in hit:
                reads.setdefault(o.node, []).append(o.end)
        if reads:
            out["read_gap_ms"] = max(gap(ends, start, stop) for ends in reads.values())
        if "slow_end" in self.marks:
            out.update(self.slow_figures(operations))
        if "epochs" in self.marks:
            out["epochs"] = self.marks["epochs"]
        return out

    # ---- faults: processes ----

    def mark(self, victims=()):
        """From now on there is a fault; the figures of survivors leave out the victims."""
        self.marks.setdefault("fault", time.monotonic_ns())
        self.marks.setdefault("victims", set()).update(victims)

    def own(self, pid):
        expect(pid in self.processes(), f"{pid} is a process of this lab")
        return pid

    def kill_nodes(self, nodes, only=None):
        """SIGKILL, daemons first: they would start the others again. Who ended by itself since it
        was listed is as dead, and whom its daemon had started by then is found the second time."""
        programs = [only] if only else ["cairnd", "cairn-dataplane"]
        for _ in programs:
            pids = self.pids()
            victims = [pids[p, n] for p in programs for n in nodes if (p, n) in pids]
            living = set(self.processes())
            self.mark(nodes)
            for pid in filter(living.__contains__, victims):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            until(lambda: not set(victims) & set(self.processes()), 20, "killed")

    def kill_node(self, node, only=None):
        self.kill_nodes([node], only)

    def start_nodes(self):
        """Whatever is down and not gone for good."""
        if not self.gone_nodes:
            self.ctl("lab", "start", "all", code=0)
            return
        for node in sorted(set(range(self.nodes_count)) | set(self.new_nodes)):
            if node not in self.gone_nodes:
                self.ctl("lab", "start", node, code=0)

    def stop_dataplane(self, nodes, seconds, meanwhile=None):
        """SIGSTOP, SIGCONT after so long; meanwhile: what has to be so, if it is long."""
        def living():
            """Who was left out ends, and starts again: for a moment there is nobody to stop."""
            pids = self.pids()
            pids = [pids.get(("cairn-dataplane", n), 0) for n in nodes]
            return pids if set(pids) <= set(self.processes()) else None

        pids = until(living, 20, f"the dataplanes of {nodes}")
        self.mark(nodes)
        self.stopped |= set(pids)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        end = time.monotonic() + seconds
        if meanwhile and seconds >= 10:
            meanwhile()
        time.sleep(max(0, end - time.monotonic()))
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
            self.stopped.discard(pid)

    def heal_processes(self):
        alive = set(self.processes())
        for pid in self.stopped & alive:
            os.kill(pid, signal.SIGCONT)
        self.stopped.clear()

    # ---- faults: network ----

    def switch(self, command):
        """Straight to the switch (dataplane/switch_control.h): the moment counts."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(10)
            s.connect(os.path.join(self.dir, "switch.sock"))
            s.sendall(command.encode() + b"\n")
            reply = s.recv(1024).decode()
        expect(reply.startswith("ok"), f"the switch: {command}: {reply}")

    def fault(self, text):
        self.switch("fault " + text)

    def partition(self, text):
        self.switch("heal" if text == "off" else
                    ("block " if ">" in text else "partition ") + text)

    def heal(self):
        self.heal_processes()
        self.remove_cgroups()
        self.fault("off")
        self.partition("off")

    # ---- faults: disks ----

    def slow_disk(self, node, writes_a_second):
        """The kernel's own limit, on this node's dataplane alone: cgroup v1 blkio or v2 io."""
        stat = os.stat(self.dir)
        device = f"{os.major(stat.st_dev)}:{os.minor(stat.st_dev)}"
        pid = self.own(self.pids()["cairn-dataplane", node])
        name = f"cairn-rig2-{os.getpid()}-{len(self.cgroups)}"
        for root, file, text in (
                ("/sys/fs/cgroup/blkio", "blkio.throttle.write_iops_device",
                 f"{device} {writes_a_second}"),
                ("/sys/fs/cgroup", "io.max", f"{device} wiops={writes_a_second}")):
            path = os.path.join(root, name)
            try:
                os.mkdir(path)
                self.cgroups.append((root, path))
                with open(os.path.join(path, file), "w") as f:
                    f.write(text)
                with open(os.path.join(path, "cgroup.procs"), "w") as f:
                    f.write(str(pid))
                return file
            except OSError:
                continue
        raise Skipped("no cgroup that limits writes here")

    def shut_file_system(self, path):
        """From now on every access to this ext4 fails (EXT4_IOC_SHUTDOWN, nothing flushed)."""
        fd = os.open(path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, 0x8004587d, struct.pack("I", 2))
        finally:
            os.close(fd)

    def mount_again(self, path):
        image = self.path("disk.img")
        # The kernel may still complete writes of the process that was killed.
        until(lambda: subprocess.run(["umount", path], capture_output=True,
                                     check=False).returncode == 0, 20, f"unmounted {path}")
        subprocess.run(["mount", "-o", "loop", image, path], check=True)

    def remove_mounts(self):
        for path in self.mounts:
            subprocess.run(["umount", "-l", path], check=False)
        self.mounts.clear()

    def remove_cgroups(self):
        for root, path in self.cgroups:
            try:
                with open(os.path.join(path, "cgroup.procs")) as f:
                    inside = f.read().split()
                for pid in inside:
                    with open(os.path.join(root, "cgroup.procs"), "w") as f:
                        f.write(pid)
                os.rmdir(path)
            except OSError:
                pass
        self.cgroups = [c for c in self.cgroups if os.path.isdir(c[1])]


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, len(values) * percent // 100)] if values else 0


def gap(ends, start, stop):
    """The longest time without any of these, in ms, between start and stop."""
    ends = sorted(ends)
    first = bisect.bisect_left(ends, start)
    inside = [start] + [e for e in ends[first:] if e <= stop] + [stop]
    return round(max(b - a for a, b in zip(inside, inside[1:])) / MS, 2)


__all__ = ["Failed", "Lab", "Operation", "Result", "Rig", "Skipped", "expect", "gap", "note",
           "percentile", "read_history", "until", "version", "MS", "WRITES"]
