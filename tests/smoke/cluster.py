#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cluster.py BUILD_DIR: a lab from up to down: every command, its exit code and its JSON; a
daemon's death does not disturb its dataplane, and a new one takes it over."""
import json
import os
import signal
import socket
import subprocess
import threading

from lab import ENGINE, Lab, expect, main, note, until, version


def values(lab):
    first = lab.ctl("kv", "put", "a", "one", "--node", 0, code=0).out.strip()
    for node in range(3):
        result = lab.ctl("kv", "get", "a", "--node", node, "--with-version", code=0)
        expect(result.out == f"one\t{first}\n", f"every replica has it: {result}")
    second = lab.ctl("kv", "put", "a", "two", "--node", 2, code=0).out.strip()
    expect(version(second) > version(first), f"versions grow: {first}, {second}")
    expect(lab.ctl("kv", "get", "a", "--node", 1).out == "two\n", "the newer value")
    lab.error("CAIRN-0402", 5, "kv", "cas", "a", "three", "--version", first)
    third = lab.ctl("kv", "cas", "a", "three", "--version", second, code=0).out.strip()
    expect(version(third) > version(second), "cas makes a newer version")
    gone = lab.ctl("kv", "del", "a", "--node", 1, code=0).out.strip()
    lab.error("CAIRN-0401", 3, "kv", "get", "a")
    lab.error("CAIRN-0401", 3, "kv", "del", "never-written")
    answer = lab.ctl("kv", "get", "a", "--node", 2, "-o", "json", code=3).json()
    expect(answer["status"] == "NOT_FOUND" and
           (answer["version"] == gone or ENGINE == "raft"), f"a miss: {answer}")
    lab.ctl("kv", "cas", "a", "again", "--version", 0, code=0)
    lab.error("CAIRN-0402", 5, "kv", "cas", "a", "again", "--version", 0)


def comparisons(lab):
    """put --if-absent, cas --value-is: what they do, and what they say when they cannot."""
    lab.ctl("kv", "put", "new", "one", "--if-absent", "--node", 1, code=0)
    result = lab.error("CAIRN-0402", 5, "kv", "put", "new", "two", "--if-absent", "--node", 2)
    expect("exists already" in result.err, f"the reason: {result}")
    made = lab.ctl("kv", "cas", "new", "two", "--value-is", "one", code=0).out.strip()
    result = lab.error("CAIRN-0402", 5, "kv", "cas", "new", "three", "--value-is", "one")
    expect("another value" in result.err and made in result.err, f"the reason: {result}")
    expect(lab.ctl("kv", "get", "new", "--node", 2).out == "two\n", "the one that matched")
    lab.ctl("kv", "cas", "new", "", "--value-is", "two", code=0)
    lab.ctl("kv", "cas", "new", "x", "--value-is", "", code=0)
    lab.error("CAIRN-0402", 5, "kv", "cas", "never-there", "x", "--value-is", "")
    lab.ctl("kv", "del", "new", code=0)
    lab.error("CAIRN-0402", 5, "kv", "cas", "new", "y", "--value-is", "x")
    lab.ctl("kv", "put", "new", "again", "--if-absent", code=0)
    lab.error("CAIRN-0415", 2, "kv", "cas", "new", "x")
    lab.error("CAIRN-0415", 2, "kv", "cas", "new", "x", "--value-is", "y", "--version", 0)
    result = lab.error("CAIRN-0406", 2, "kv", "cas", "new", "x" * 600, "--value-is", "y" * 600)
    expect("600" in result.err and "848" in result.err, f"value and limit: {result}")
    answer = lab.ctl("kv", "cas", "new", "x", "--value-is", "again", "-o", "json", code=0).json()
    expect(answer["operation"] == "cas" and answer["status"] == "OK", f"cas: {answer}")
    lab.error("CAIRN-0426", 1, "kv", "get", "new", "--record", "/proc/none")


def numbers(lab):
    for node in range(3):
        out = lab.ctl("kv", "incr", "n", 5, "--node", node, code=0).out
        expect(out == f"{5 * (node + 1)}\n", f"incr at node {node}: {out!r}")
    expect(lab.ctl("kv", "incr", "n", -20).out == "-5\n", "incr by a negative number")
    lab.ctl("kv", "put", "word", "x", code=0)
    lab.error("CAIRN-0409", 1, "kv", "incr", "word")
    lab.ctl("kv", "put", "edge", 2**63 - 1, code=0)
    lab.error("CAIRN-0410", 1, "kv", "incr", "edge")
    expect(lab.ctl("kv", "get", "edge").out == f"{2**63 - 1}\n", "a refused incr changes nothing")


def bytes_through(lab):
    """Any byte, the longest value and the longest key pass unchanged."""
    value = bytes(range(256)) * 3 + b"\0" * 80
    lab.ctl("kv", "put", "bytes", "-", data=value, text=False, code=0)
    got = lab.ctl("kv", "get", "bytes", "--raw", "--node", 2, text=False, code=0).out
    expect(got == value, "848 bytes of any kind")
    coded = lab.ctl("kv", "get", "bytes", "-o", "json", code=0).json()["value"]
    expect(isinstance(coded, dict) and "base64" in coded, f"no UTF-8 is base64: {coded}")
    lab.ctl("kv", "put", "k" * 512, "long", code=0)
    expect(lab.ctl("kv", "get", "k" * 512).out == "long\n", "a key of 512 bytes")
    lab.ctl("kv", "put", "empty", "", code=0)
    expect(lab.ctl("kv", "get", "empty", code=0).out == "\n", "an empty value")


def shapes(lab):
    """JSON keys that scripts rely on; ids and versions are strings."""
    put = lab.ctl("kv", "put", "j", "v", "-o", "json", code=0).json()
    expect(list(put)[0] == "schema" and put["schema"] == "cairn.kv/1", f"schema first: {put}")
    durability = "quorum" if ENGINE == "raft" else "all"
    expect(put["durability"] == durability and isinstance(put["version"], str), f"put: {put}")
    incr = lab.ctl("kv", "incr", "jn", "-o", "json", code=0).json()
    expect(incr["number"] == "1", f"incr: {incr}")
    status = lab.ctl("status", "-o", "json", code=0).json()
    expect(len(status["nodes"]) == 3, f"three nodes: {status}")
    expect(list(status)[:2] == ["schema", "state"] and status["state"] in ("HEALTHY", "WARNINGS"),
           f"the word: {status}")
    cluster = status["cluster"]
    expect((cluster["engine"], cluster["quorum"], cluster["voters_heard"], cluster["members"]) ==
           (ENGINE, True, 3, 3) and cluster["leader"] in range(3), f"the cluster: {cluster}")
    expect([m["state"] for m in status["members"]] == ["SERVING"] * 3, f"{status['members']}")
    for node in status["nodes"]:
        expect(node["state"] == "SERVING" and node["peers"] == {"count": 2, "linked": 2}, node)
        expect(isinstance(node["cluster"]["id"], str), "the cluster's id is a string")
        expect(node["dataplane"]["disk"] in ("io_uring", "pwritev2") and
               isinstance(node["dataplane"]["direct"], bool), f"the disk's backend: {node}")
    health = lab.ctl("health", "-o", "json").json()
    expect(health["state"] in ("HEALTHY", "WARNINGS") and len(health["nodes"]) == 3, health)
    description = lab.description()
    for name in ("memif_socket", "memif_client_first", "memif_clients", "nodes", "shards",
                 "port_base", "cluster", "gateway", "control", "idle", "links", "dir"):
        expect(name in description, f"lab.json has {name}")
    table = json.loads(lab.ctl("--dump-commands", code=0).out)
    for command in table["commands"]:
        text = lab.ctl("help", *command["path"].split(), code=0).out
        expect(command["summary"] in text, f"help {command['path']}: {text}")
        again = lab.ctl(*command["path"].split(), "--help", code=0).out
        expect(again == text, f"{command['path']} --help is the same text")


def example(lab):
    """The example program of libcairn does what it says, twice."""
    program = os.path.join(os.path.dirname(lab.bin), "dataplane", "client", "cairn-example")
    endpoints = ",".join("gw:" + e for e in lab.description()["gateway"])
    for turn in (1, 2):
        done = subprocess.run([program, endpoints], capture_output=True, text=True, timeout=60,
                              check=False)
        expect(done.returncode == 0 and 'value "hello, world"' in done.stdout and
               f"number {turn}\n" in done.stdout and "100 of 100 OK" in done.stdout,
               f"the example: {done}")
    done = subprocess.run([program, "nonsense"], capture_output=True, text=True, timeout=60,
                          check=False)
    expect(done.returncode == 2 and "nonsense" in done.stderr, f"wrong endpoints: {done}")


def silent_peer(lab):
    """A node cut off: the others leave it out and go on; it serves nothing; it comes back."""
    lab.ctl("lab", "partition", "0,1|2", code=0)
    until(lambda: lab.state(2) in ("DEAD", "SILENT"), 20, "node 2 is silent")
    result = lab.ctl("health", code=8)
    expect(result.out == "DEGRADED\n" and "CAIRN-0102" in result.err, f"with the reason: {result}")
    lab.ctl("health", "--full", code=1)
    lab.ctl("kv", "put", "meanwhile", "x", "--node", 0, code=0)
    expect(lab.ctl("kv", "get", "meanwhile", "--node", 1, code=0).out == "x\n", "the others go on")
    expect(lab.word(*lab.socket(2)) == "NO_QUORUM", "node 2 knows that it is alone")
    lab.ctl("health", *lab.socket(2), code=1)
    lab.error("CAIRN-0405", 6, "kv", "get", "meanwhile", "--node", 2, "--timeout", "500ms")
    result = lab.ctl("kv", "put", "refused", "x", "--node", 2, "--timeout", "500ms")
    expect(result.code in (6, 7), f"no update in a minority: {result}")
    lab.ctl("lab", "partition", "off", code=0)
    lab.serving()
    expect(lab.ctl("kv", "get", "meanwhile", "--node", 2, code=0).out == "x\n", "it copied")
    lab.ctl("kv", "put", "refused", "y", "--node", 2, code=0)


def crowd(lab):
    """More connections at once than a daemon serves: it answers again when they are gone."""
    path = lab.nodes()[0]["socket"]
    crowd = []
    for _ in range(80):
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        one.setblocking(False)
        crowd.append(one)
        try:
            one.connect(path)
            one.send(b"GET /v1")
        except BlockingIOError:  # its backlog is full: a crowd indeed
            pass
    for one in crowd:
        one.close()
    until(lambda: lab.ctl("health", timeout=20).code in (0, 8), 20, "it answers after a crowd")


def lone_daemon(lab):
    """SIGKILL of a daemon: its dataplane keeps serving, without a gap; the next one takes over."""
    dataplane, daemon = lab.pid("cairn-dataplane", 1), lab.pid("cairnd", 1)
    before = lab.nodes()[1]["node"]["incarnation"]
    bad, stop = [], threading.Event()

    def load():
        i = 0
        while not stop.is_set():
            i += 1
            result = lab.ctl("kv", "put", "steady", i, "--node", 1)
            if result.code:
                bad.append(str(result))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        os.kill(daemon, signal.SIGKILL)
        until(lambda: lab.pid("cairnd", 1) == 0, 10, "the daemon is gone")
        result = lab.ctl("health", code=8)
        expect(result.out == "WARNINGS\n" and "does not answer" in result.err,
               f"health tells that a daemon does not answer: {result}")
        expect(lab.pid("cairn-dataplane", 1) == dataplane, "its dataplane lives")
        lab.ctl("kv", "put", "alone", "yes", "--node", 1, code=0)
        lab.ctl("lab", "start", 1, code=0)
        expect(lab.pid("cairn-dataplane", 1) == dataplane, "the new daemon took the old dataplane")
        node = lab.nodes()[1]
        expect(node["state"] == "SERVING", f"it reports: {node}")
        expect(node["node"]["incarnation"] == before, "the same incarnation")
    finally:
        stop.set()
        thread.join()
    expect(not bad, f"no write failed meanwhile: {bad[:1]}")


def dead_dataplane(lab):
    """SIGKILL of a dataplane: its daemon starts it again, and nothing is lost."""
    lab.ctl("kv", "put", "kept", "yes", code=0)
    old = lab.pid("cairn-dataplane", 2)
    os.kill(old, signal.SIGKILL)
    until(lambda: lab.pid("cairn-dataplane", 2) not in (0, old), 30, "a new dataplane")
    lab.serving()
    for node in range(3):
        expect(lab.ctl("kv", "get", "kept", "--node", node, code=0).out == "yes\n", "kept")


def nothing_left(lab):
    pids, control = lab.processes(), [n["socket"] for n in lab.nodes()]
    expect(len(pids) == 7 and len(control) == 3, f"seven processes: {pids}")
    memif, run = lab.description()["memif_socket"], lab.description()["run"]
    with open("/proc/net/unix") as f:
        expect(memif in f.read(), "the switch's abstract socket shows in /proc/net/unix")
    lab.ctl("lab", "down", code=0)
    expect(not lab.processes(), "no process is left")
    expect(not os.path.exists(lab.dir) and not os.path.exists(run), "the folders are gone")
    with open("/proc/net/unix") as f:
        text = f.read()
    expect(memif not in text and lab.dir not in text and run not in text, "no socket is left")
    lab.ctl("lab", "down", code=0)
    lab.error("CAIRN-0504", 3, "lab", "status")
    lab.error("CAIRN-0412", 6, "kv", "get", "a")


def piped(lab):
    """`lab up` in a pipe ends when the lab is up: its processes keep no file of the caller."""
    done = subprocess.run(f"'{lab.ctl_path}' lab up --engine {ENGINE} | cat", shell=True,
                          env=lab.env, timeout=90,
                          capture_output=True, text=True, check=False)
    expect(done.stdout.strip() == lab.dir, f"the folder's name: {done}")


def race(lab):
    """Several `lab up` and `lab down` of one folder at once: one changes it, the others say so."""
    where = ("--dir", lab.path("race"))
    children = [lab.spawn("lab", "up", "--nodes", 1, "--wal-bytes", "8MiB", *where,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(4)]
    errors = [child.communicate(timeout=90)[1].decode() for child in children]
    codes = sorted(child.returncode for child in children)
    expect(codes == [0, 5, 5, 5], f"one lab: {codes} {errors}")
    for child, error in zip(children, errors):
        expect(child.returncode == 0 or "CAIRN-0506" in error or "CAIRN-0508" in error, error)
    children = [lab.spawn("lab", *args, *where, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
                for args in (("down",), ("up", "--nodes", 1), ("down",), ("up", "--nodes", 1))]
    for child in children:
        expect(child.wait(90) in (0, 1, 5), f"no half measures: {child.args}: {child.returncode}")
    lab.ctl("lab", "down", *where, code=0)
    expect(not os.path.exists(lab.path("race")), "the folder is gone")


def late_race(lab):
    """A second `lab up` while the first one is at work: it is told so, and harms nothing."""
    where = ("--dir", lab.path("late"))
    up = ("lab", "up", "--nodes", 2, "--wal-bytes", "8MiB", *where)
    first = lab.spawn(*up, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until(lambda: first.poll() is not None or os.path.exists(lab.path("late", "lab.json")), 30,
          "the first one has begun")
    second = lab.ctl(*up)
    error = first.communicate(timeout=90)[1].decode()
    expect(first.returncode == 0, f"the first one wins: {error}")
    expect(second.code == 5 and ("CAIRN-0506" in second.err or "CAIRN-0508" in second.err), second)
    lab.error("CAIRN-0508", 5, *up)
    lab.ctl("kv", "put", "a", "b", *where, code=0)
    expect(len(lab.ctl("lab", "status", "-o", "json", *where, code=0).json()["processes"]) == 5,
           "a switch, two daemons, two dataplanes")
    lab.ctl("lab", "down", *where, code=0)


def namesakes(lab):
    """A lab whose path has another lab's whole path in it is another lab."""
    short = lab.path("a")
    long = lab.path("s") + short
    os.makedirs(os.path.dirname(long))
    up = ("lab", "up", "--nodes", 1, "--wal-bytes", "8MiB")
    lab.ctl(*up, "--dir", short, code=0)
    lab.ctl(*up, "--dir", long, code=0)
    lab.ctl("kv", "put", "a", "b", "--dir", long, code=0)
    lab.ctl("lab", "down", "--dir", short, code=0)
    expect(lab.ctl("kv", "get", "a", "--dir", long, code=0).out == "b\n", "the other one serves")
    lab.ctl("health", "--dir", long, code=0)
    lab.ctl("lab", "down", "--dir", long, code=0)
    expect(not os.path.exists(long), "and goes when told")


def test(build, _args):
    with Lab(build) as lab:
        race(lab)
        late_race(lab)
        namesakes(lab)
        piped(lab)
        for step in (values, comparisons, numbers, bytes_through, shapes, example, silent_peer,
                     crowd, lone_daemon, dead_dataplane, nothing_left):
            note(f"cluster: {step.__name__}")
            step(lab)


main(test)
