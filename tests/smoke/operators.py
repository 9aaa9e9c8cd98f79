#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""operators.py BUILD_DIR: what cairnctl does and says when operators err or contradict each other.
Most of it against a control daemon that is played here: it says what cluster there is, and keeps
what is asked of it."""
import http.client
import http.server
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from urllib.parse import parse_qs, urlparse

from lab import Lab, expect, main, note, until


def member(node, state="SERVING", role="member", **more):
    return {"node": node, "name": f"node{node}", "address": f"10.77.0.{node + 1}", "role": role,
            "state": state, "heard": state != "DEAD", "drained": False, "joined": True,
            "incarnation": "1", **more}


class Played:
    """A cairnd of three nodes; `story` may change what it knows, each time it is asked."""

    def __init__(self, path):
        played = self
        self.members = [member(n) for n in range(3)]
        self.revision, self.posts, self.looks = 5, [], 0
        self.story = lambda played: None
        self.more, self.cluster = {}, "0000000000c0ffee"

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, body, code=200):
                text = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                if self.path.startswith("/v1/command"):
                    self.answer({"command": "1", "done": True, "index": "6"})
                    return
                if played.posts:
                    played.looks += 1
                    played.story(played)
                self.answer(played.status())

            def do_POST(self):
                played.posts.append({k: v[0] for k, v in
                                     parse_qs(urlparse(self.path).query).items()})
                self.answer({"command": "1", "done": True, "index": "6"}, 202)

            def address_string(self):
                return "unix"

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self.server = Server(path, Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def status(self):
        return {"schema": "cairn.status/1", "state": "SERVING", "node": {"id": 0, "name": "node0"},
                "cluster": {"id": self.cluster, "name": "played", "state": "HEALTHY",
                            "engine": "raft", "quorum": True, "changing": False, "leader": 0,
                            "epoch": 3,
                            "revision": str(self.revision)},
                "members": self.members, "warnings": [], **self.more}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def play(lab):
    path = lab.path("played.sock")
    if os.path.exists(path):
        os.unlink(path)
    played = Played(path)
    lab.env["CAIRN_SOCKET"] = path
    return played


def options_first(lab):
    """What cannot be read is refused before anything is asked of the cluster."""
    played = play(lab)
    for wait in ("-5s", "99999999999999999999d", "5", ""):
        for words in (("drain", 2), ("undrain", 2), ("promote", 2), ("remove", 2, "--yes"),
                      ("add", "x", "--address", "10.77.0.9"),
                      ("replace", 2, "x", "--address", "10.77.0.9", "--yes")):
            lab.error("CAIRN-0706", 2, "member", *words, f"--wait={wait}")
            lab.error("CAIRN-0706", 2, "member", *words, f"--timeout={wait}")
        lab.error("CAIRN-0706", 2, "leader", "transfer", 1, f"--wait={wait}")
        lab.error("CAIRN-0706", 2, "cluster", "copies", 2, f"--wait={wait}")
    expect(played.posts == [], f"nothing was asked: {played.posts}")
    played.close()


def only_agreed_on(lab):
    """--no-wait knows that a change was agreed on, and no more."""
    played = play(lab)
    for words in (("drain", 2), ("add", "x", "--address", "10.77.0.9"),
                  ("replace", 1, "x", "--address", "10.77.0.9", "--yes")):
        result = lab.ctl("member", *words, "--no-wait", code=0)
        expect("agreed on, " in result.err, f"no more is known: {result}")
        result = lab.ctl("member", *words, "--no-wait", "-o", "json", code=0)
        expect(result.json()["done"] == "agreed on", f"no more is known: {result}")
    expect(len(played.posts) == 6, f"{played.posts}")
    played.close()


def countermanded(lab):
    """Who waits for what another operator takes back is told so, at once; not by an old answer."""
    played = play(lab)

    def story(p):
        p.members[2] = member(2, "SERVING", "member", drained=p.looks < 5 or p.looks == 7)
        p.revision = 6 if p.looks < 3 else 5 if p.looks == 3 else 7
        if p.looks == 3:  # a node that is behind
            p.members[2] = member(2)
        if p.looks == 4:
            p.revision = 6
        if p.looks >= 5:
            p.members[2] = member(2)

    played.story = story
    result = lab.error("CAIRN-0610", 5, "member", "drain", 2, "--wait", "100s")
    expect("node2" in result.err and played.looks >= 5, f"{played.looks} {result}")
    played.close()

    played = play(lab)
    played.members[2] = member(2, "DRAINED", "out", drained=True)

    def again(p):
        p.members[2] = member(2, "OUT", "out", drained=p.looks > 2)
        p.revision = 6 + (p.looks > 2)

    played.story = again
    lab.error("CAIRN-0610", 5, "member", "undrain", 2, "--wait", "100s")
    played.close()

    for last in ("gone", "LEAVING"):
        played = play(lab)

        def remove(p, last=last):
            p.members = [member(n) for n in range(3)] + [member(3, "DEAD", "out")]
            p.revision = 6 + (p.looks > 2)
            if p.looks > 2:
                p.members = p.members[:3] + [member(3, last, "out")] * (last != "gone")

        played.story = remove
        lab.error("CAIRN-0610", 5, "member", "add", "node3", "--address", "10.77.0.4", "--wait",
                  "100s")
        played.close()


def add_names_the_engine(lab):
    """Who adds a node that is not there yet is told how to format it: for the cluster's engine."""
    played = play(lab)

    def silent(p):
        p.members = [member(n) for n in range(3)] + [member(3, "DEAD", "out")]

    played.story = silent
    result = lab.ctl("member", "add", "node3", "--address", "10.77.0.4", "--wait", "5s", code=1)
    expect("--join --engine raft" in result.err, f"the hint: {result}")
    played.close()


def witness_stays(lab):
    """A witness has nothing to drain: that is said, and nothing is asked."""
    played = play(lab)
    played.members[2] = member(2, "VOTING", "witness")
    result = lab.error("CAIRN-0320", 2, "member", "drain", 2)
    expect("is a witness" in result.err and "member remove" in result.err, f"{result}")
    expect(played.posts == [], f"nothing was asked: {played.posts}")
    played.close()


def no_host(lab):
    """Addresses that no node can have."""
    played = play(lab)
    for address in ("0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.2.3", "255.255.255.255",
                    "240.0.0.1"):
        lab.error("CAIRN-0608", 2, "member", "add", "x", "--address", address)
        lab.error("CAIRN-0608", 2, "member", "replace", 2, "x", "--address", address, "--yes")
    expect(played.posts == [], f"nothing was asked: {played.posts}")
    played.close()


def taken_number(lab):
    """A number that a lost disk still has: the cure that is told is one that works."""
    played = play(lab)
    for words in (("add", "x", "--id", 2), ("replace", 2, "x", "--id", 2, "--yes")):
        result = lab.error("CAIRN-0315", 5, "member", *words, "--address", "10.77.0.9")
        expect("cairnctl member remove 2" in result.err, f"what comes first is told: {result}")
    result = lab.error("CAIRN-0315", 5, "member", "add", "x", "--address", "10.77.0.2")
    expect("node1" in result.err, f"whose it is: {result}")
    expect(played.posts == [], f"nothing was asked: {played.posts}")
    result = lab.ctl("member", "add", "x", "--address", "10.77.0.9", "--no-wait", code=0)
    played.close()


def no_room(lab):
    """Where updates are refused for want of room, the word says that there are none."""
    played = play(lab)
    for space, word, code in (("OK", "HEALTHY", 0), ("LOW", "READ_ONLY", 1),
                              ("FULL", "READ_ONLY", 1)):
        played.more = {"store": {"space": space}}
        result = lab.ctl("health", code=code)
        expect(result.out == word + "\n", f"{space}: {result}")
    played.close()


def no_leader(lab):
    """Engine raft: that a witness votes in the view service does not serve any shard."""
    text, paths = sockets_of(lab, 2)
    data, witness = (Played(path) for path in paths)
    for state, leader, word, code in (("SERVING", None, "HEALTHY", 0),
                                      ("WAITING", None, "NO_QUORUM", 1),
                                      ("WAITING", 1, "DEGRADED", 8)):
        data.more = {"state": state, "leaders": [0, None]}
        witness.more = {"state": "VOTING", "leaders": [0, leader]}
        result = lab.ctl("health", code=code)
        expect(result.out == word + "\n", f"{state}, {leader}: {result}")
        result = lab.ctl("health", "--socket", paths[1], code=0)
        expect(result.out == "HEALTHY\n", f"a witness alone does not know: {result}")
    for one in (data, witness):
        one.close()
    for path in paths + [text]:
        os.unlink(path)


def sockets_of(lab, nodes):
    """The sockets of a lab that is played: its description, and where that is."""
    lab.env.pop("CAIRN_SOCKET", None)
    run = lab.path("r")
    os.makedirs(lab.dir, exist_ok=True)
    for node in range(nodes):
        os.makedirs(os.path.join(run, f"node{node}"), exist_ok=True)
    text = os.path.join(lab.dir, "lab.json")
    with open(text, "w") as f:
        json.dump({"schema": "cairn.lab/1", "state": "up", "links": "memif", "run": run,
                   "tag": "t", "memif_socket": "m", "idle": "adaptive", "fault": "",
                   "cluster": "c0ffee", "nodes": nodes, "shards": 1, "workers": 1,
                   "founders": nodes, "port_base": 7400, "keys": 1000, "wal_bytes": 8 << 20,
                   "ports": nodes + 1, "engine": "hermes",
                   "gateway_ports": list(range(1, nodes + 2))}, f)
    return text, [os.path.join(run, f"node{node}", "cairnd.sock") for node in range(nodes)]


def deaf_daemons(lab):
    """Daemons that hang are asked all at once: they cost one patience of 3 s, not one each."""
    text, paths = sockets_of(lab, 4)
    played = Played(paths[0])
    deaf = []
    for path in paths[1:]:
        deaf.append(socket.socket(socket.AF_UNIX))
        deaf[-1].bind(path)
        deaf[-1].listen(16)
    for words, code in ((("health",), 8), (("member", "list"), 0), (("events",), 0)):
        began = time.monotonic()
        lab.ctl(*words, code=code)
        took = time.monotonic() - began
        expect(2.5 < took < 5.5, f"{words}: {took:.1f} s")
    for one in deaf + [played]:
        one.close()
    for path in paths + [text]:
        os.unlink(path)


def two_clusters(lab):
    """Nodes of two clusters answer, as after an unsafe recovery while old nodes run: it is said."""
    text, paths = sockets_of(lab, 2)
    played = [Played(path) for path in paths]
    result = lab.ctl("health", code=0)
    expect("CAIRN-0611" not in result.err, f"one cluster: {result}")
    played[1].cluster = "00000000000decaf"
    played[1].revision = 9
    result = lab.ctl("health", code=8)
    for part in ("CAIRN-0611", "00000000000decaf", "0000000000c0ffee"):
        expect(part in result.err, f"{part}: {result}")
    for one in played:
        one.close()
    os.unlink(text)


class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


def post(path, what):
    connection = Unix(path)
    connection.request("POST", what, headers={"Host": "node"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


HOLDER = """
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o640)
fcntl.fcntl(fd, 37, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))
os.write(fd, b"%d\\n" % os.getpid())
print("held", flush=True)
sys.stdin.read()
"""


def not_its_own(lab):
    """A cairnd leaves a dataplane alone that holds its data, and is of another configuration."""
    data, runtime = lab.path("data"), lab.path("run")
    os.mkdir(data)
    with open(lab.path("node.toml"), "w") as f:
        f.write(f'[node]\nid = 0\ndata = "{data}"\nruntime = "{runtime}"\n[cluster]\nid = "bad1"\n'
                f'[net]\ndevice = "memif:cairn-op-{os.getpid()}:0"\naddress = "10.77.0.1/24"\n'
                '[storage]\nwal_bytes = "8MiB"\n')
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, os.path.join(data, "dataplane.lock")],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lab.children.append(holder)
    expect(holder.stdout.readline() == "held\n", "the other one's dataplane")
    with open(lab.path("node.log"), "w") as log:
        daemon = subprocess.Popen([os.path.join(lab.bin, "cairnd"), "-c", lab.path("node.toml")],
                                  stderr=log)
    lab.children.append(daemon)
    lab.env["CAIRN_SOCKET"] = os.path.join(runtime, "cairnd.sock")

    def said():
        result = lab.ctl("health")
        return "CAIRN-0206" in result.err and f"process {holder.pid}" in result.err and result

    until(said, 30, "it says who has the folder")
    for address in ("10.77.0.255", "10.77.0.0", "255.255.255.255", "127.0.0.1"):
        code, text = post(lab.env["CAIRN_SOCKET"],
                          f"/v1/command?verb=add&node=3&name=x&address={address}")
        expect((code, "CAIRN-0304" in text) == (400, True), f"{address}: {code} {text}")
    code, text = post(lab.env["CAIRN_SOCKET"],
                      "/v1/command?verb=add&node=3&name=x&address=10.77.1.0")
    expect("CAIRN-0305" in text, f"of another network all are possible: {code} {text}")
    daemon.send_signal(signal.SIGTERM)
    expect(daemon.wait(30) == 0, "it ends")
    expect(holder.poll() is None, "the other one's dataplane goes on")
    holder.stdin.close()
    holder.wait(30)


def test(build, _args):
    with Lab(build) as lab:
        for case in (options_first, only_agreed_on, countermanded, add_names_the_engine,
                     witness_stays, no_host, taken_number, no_room, no_leader, deaf_daemons,
                     two_clusters, not_its_own):
            note(case.__name__)
            case(lab)


main(test)
