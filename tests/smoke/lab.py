# SPDX-License-Identifier: Apache-2.0
"""lab.py: what the smoke tests share: a lab of real processes, driven through cairnctl alone.

Whatever clients do through it is recorded, and must be linearizable in the end.

Every test is a program: TEST BUILD_DIR [ARGS]. Exit 0 passed, 1 failed, 77 skipped. Nothing here
uses a fixed port, kills by name, or sleeps instead of waiting for a condition.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

KV = {"get", "put", "del", "cas", "incr", "import", "export"}
ENGINE = os.environ.get("CAIRN_SMOKE_ENGINE", "hermes")
PROGRAMS = {"cairn-switch", "cairnd", "cairn-dataplane"}


class Failed(Exception):
    pass


def expect(condition, text):
    if not condition:
        raise Failed(text)


def note(text):
    print(text, flush=True)


def until(condition, seconds, what):
    """Polls until condition() is true; Failed after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Result:
    def __init__(self, args, done):
        self.args, self.code = args, done.returncode
        self.out, self.err = done.stdout, done.stderr

    def __str__(self):
        return (f"cairnctl {' '.join(map(str, self.args))}: exit {self.code}\n"
                f"  stdout: {self.out[:400]!r}\n  stderr: {self.err[:1200]!r}")

    def json(self):
        return json.loads(self.out)


class Lab:
    """A lab folder; `with` takes the lab down and removes everything, whatever happened."""

    def __init__(self, build):
        self.bin = os.path.join(os.path.abspath(build), "mgmt")
        self.ctl_path = os.path.join(self.bin, "cairnctl")
        self.tmp = tempfile.mkdtemp(prefix="cairn-smoke-", dir="/var/tmp")
        self.dir = os.path.join(self.tmp, "lab")
        self.env = dict(os.environ, CAIRN_LAB_DIR=self.dir)
        self.env.pop("CAIRN_ENDPOINTS", None)
        self.env.pop("CAIRN_SOCKET", None)
        self.children = []
        self.check_path = os.path.join(os.path.abspath(build), "tests", "check", "cairn-check")
        self.histories = {}  # lab folder -> what every kv command asked and was answered there

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.show_logs()
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        if os.path.exists(os.path.join(self.dir, "lab.json")):
            self.ctl("lab", "down", judge=False)
        left = self.processes()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        try:
            if kind is None:
                self.judge_all()
        finally:
            shutil.rmtree(self.tmp, ignore_errors=True)
        if left and kind is None:
            raise Failed(f"lab down left processes: {left}")

    def recorded(self, args):
        """The command line, recording what clients do."""
        args = list(map(str, args))
        if args[0] != "kv" or not KV & set(args[1:2]) or {"-e", "--endpoints"} & set(args):
            return args
        where = args[args.index("--dir") + 1] if "--dir" in args else self.dir
        path = self.histories.setdefault(where, self.path(f"history-{time.monotonic_ns()}"))
        return args[:2] + ["--record", path] + args[2:]

    def judge(self, where):
        """Everything clients saw of this lab, from its start to now, must be linearizable."""
        path = self.histories.pop(where, None)
        if path and os.path.exists(path):
            # Versions of the raft engine are log indices: unique, growing, not dense.
            rule = ("--log",) if ENGINE == "raft" else ()
            done = subprocess.run([self.check_path, *rule, path], capture_output=True, text=True,
                                  timeout=300, check=False)
            expect(done.returncode == 0 and "linearizable" in done.stdout,
                   f"the history: {done.stdout[:2000]} {done.stderr[:2000]}")
            note("history:" + done.stdout.strip().rpartition(":")[2])

    def judge_all(self):
        for where in list(self.histories):
            self.judge(where)

    def show_logs(self):
        for folder, _, names in os.walk(self.dir):
            for name in names:
                if name.endswith(".log"):
                    path = os.path.join(folder, name)
                    with open(path, errors="replace") as f:
                        tail = f.readlines()[-8:]
                    sys.stderr.write(f"--- {path}\n{''.join(tail)}")

    def path(self, *names):
        return os.path.join(self.tmp, *names)

    def ctl(self, *args, code=None, data=None, timeout=120, text=True, env=None, judge=True):
        """Runs cairnctl. code: the exit code it must have."""
        done = subprocess.run([self.ctl_path, *self.recorded(args)], input=data,
                              capture_output=True, text=text, timeout=timeout,
                              env=dict(self.env, **(env or {})))
        result = Result(args, done)
        if code is not None:
            expect(result.code == code, f"wanted exit {code}: {result}")
        if judge and args[:2] == ("lab", "down") and done.returncode == 0 and "--help" not in args:
            self.judge(str(args[args.index("--dir") + 1]) if "--dir" in args else self.dir)
        return result

    def error(self, error_id, code, *args, **more):
        """A command that must fail with this exit code and this error id, and say so."""
        result = self.ctl(*args, code=code, **more)
        err = result.err if isinstance(result.err, str) else result.err.decode()
        expect(error_id in err, f"wanted {error_id}: {result}")
        return result

    def up(self, *args):
        """A lab with the engine that the test is run for: CAIRN_SMOKE_ENGINE."""
        return self.ctl("lab", "up", "--engine", ENGINE, *args, code=0)

    def spawn(self, *args, **more):
        child = subprocess.Popen([self.ctl_path, *self.recorded(args)], env=self.env, **more)
        self.children.append(child)
        return child

    def description(self):
        with open(os.path.join(self.dir, "lab.json")) as f:
            return json.load(f)

    def processes(self):
        """Pids of this lab's processes, from /proc."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                exe = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
                with open(f"/proc/{pid}/cmdline") as f:
                    inside = self.dir + "/" in f.read()
            except OSError:
                continue
            if exe.replace(" (deleted)", "") in PROGRAMS and inside:
                found.append(int(pid))
        return found

    def pid(self, program, node):
        rows = self.ctl("lab", "status", "-o", "json").json()["processes"]
        for row in rows:
            if row["PROGRAM"] == program and row.get("NODE") == node:
                return row.get("PID", 0)
        return 0

    def nodes(self):
        return self.ctl("status", "-o", "json").json()["nodes"]

    def status(self, *args):
        return self.ctl("status", "-o", "json", *args).json()

    def word(self, *args):
        """The one word for the whole cluster; with --socket of one node's view."""
        return self.ctl("health", "-o", "json", *args).json()["state"]

    def socket(self, node):
        return "--socket", self.description()["control"][node]

    def members(self):
        """{node: what the best informed node says of it}"""
        return {m["node"]: m for m in self.status().get("members") or ()}

    def state(self, node):
        return self.members().get(node, {}).get("state")

    def await_word(self, *words, seconds=30):
        until(lambda: self.word() in words, seconds, f"the cluster is {' or '.join(words)}")

    def await_state(self, node, *states, seconds=30):
        until(lambda: self.state(node) in states, seconds,
              f"node {node} is {' or '.join(map(str, states))}")

    def serving(self, seconds=30):
        """Waits until every node does its part and has heard every other lately."""
        def linked():
            return (self.ctl("health", "--full").code in (0, 8) and
                    all(n["peers"]["linked"] == n["peers"]["count"] for n in self.nodes()))

        until(linked, seconds, "all nodes healthy and linked")

    def export(self, node, keys, *args, code=0):
        """{key: (value, version)} as one replica answers."""
        out = self.ctl("kv", "export", "--node", node, "--keys", "-", "--with-version", *args,
                       data="".join(k + "\n" for k in keys), code=code).out
        rows = (line.split("\t") for line in out.splitlines())
        return {row[0]: (row[1], row[2]) for row in rows}


def dpkg_records(limit):
    """Up to limit (path, md5) of the machine's Debian package database; falls back to none."""
    records, folder = {}, "/var/lib/dpkg/info"
    for name in sorted(os.listdir(folder)):
        if name.endswith(".md5sums"):
            with open(os.path.join(folder, name), errors="surrogateescape") as f:
                for line in f:
                    md5, _, path = line.rstrip("\n").partition("  ")
                    if path and len(path) < 500:
                        records.setdefault("/" + path, md5)
        if len(records) >= limit:
            break
    return list(records.items())[:limit]


def version(text):
    """Versions compare as what this returns: by number, then by lot (op_ts_lot of types.h)."""
    number, node, incarnation = map(int, text.split("."))
    writer, word = node << 24 | incarnation, (1 << 64) - 1
    lot = ((number << 32 ^ number >> 32 ^ writer) & word) * 0x9e3779b97f4a7c15 & word
    lot = (lot ^ lot >> 29) * 0xbf58476d1ce4e5b9 & word
    return number, lot ^ lot >> 32, writer


def main(test):
    """Runs test(build, args) and turns its outcome into an exit code."""
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} BUILD_DIR [ARGS]")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        code = test(sys.argv[1], sys.argv[2:])
    except Failed as failure:
        note(f"FAILED: {failure}")
        code = 1
    sys.exit(code or 0)
