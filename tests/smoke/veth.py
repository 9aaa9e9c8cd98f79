#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""veth.py BUILD_DIR: a lab in network namespaces: ping a node, see its frames with tcpdump, kernel
clients; afterwards no interface or namespace is left. Needs root."""
import os
import shutil
import socket
import subprocess

from lab import Failed, Lab, dpkg_records, expect, main, note


def names():
    """Interfaces and namespaces of labs that exist."""
    found = [n for n in os.listdir("/sys/class/net") if n.startswith("cairn-")]
    if os.path.isdir("/run/netns"):
        found += [n for n in os.listdir("/run/netns") if n.startswith("cairn-")]
    return found


def ping(lab):
    for node in (1, 2, 3):
        done = subprocess.run(["ping", "-c", "3", "-i", "0.2", "-W", "2", f"10.77.0.{node}"],
                              capture_output=True, text=True, timeout=30, check=False)
        expect(done.returncode == 0 and " 0% packet loss" in done.stdout, f"ping: {done}")


def capture(lab, bridge):
    """tcpdump on the bridge sees a request and its reply, with true checksums."""
    with open(lab.path("dump"), "w") as out, open(lab.path("dump.err"), "w+") as err:
        command = ["tcpdump", "-i", bridge, "-n", "-vv", "-c", "4", "--immediate-mode", "udp",
                   "and", "host", "10.77.0.254"]
        dump = subprocess.Popen(command, stdout=out, stderr=err)
        try:
            while "listening on" not in open(lab.path("dump.err")).read():
                expect(dump.poll() is None, f"tcpdump: {open(lab.path('dump.err')).read()}")
            lab.ctl("kv", "put", "seen", "by tcpdump", "--node", 0, code=0)
            dump.wait(20)
        finally:
            if dump.poll() is None:
                dump.kill()
                dump.wait()
    text = open(lab.path("dump")).read()
    expect("10.77.0.254" in text and "10.77.0.1." in text, f"the frames: {text}")
    expect("bad udp cksum" not in text, f"true checksums: {text}")


def clients(lab):
    for node in range(3):
        lab.ctl("kv", "put", f"v{node}", node, "--node", node, code=0)
        lab.ctl("kv", "get", f"v{node}", "--node", (node + 1) % 3, code=0)
    records = dpkg_records(20000)
    text = "".join(f"{k}\t{v}\n" for k, v in records)
    done = lab.ctl("kv", "import", "-", "-o", "json", data=text, code=0).json()
    for node in range(3):
        got = {k: v for k, (v, _) in lab.export(node, dict(records)).items()}
        expect(got == dict(records), f"node {node} gives back the same")
    lab.ctl("lab", "kill", "all", code=0)
    lab.ctl("lab", "start", code=0)
    got = {k: v for k, (v, _) in lab.export(1, dict(records)).items()}
    expect(got == dict(records), "after a kill too")
    note(f"veth: {done['acknowledged']} records at {done['per_second']}/s by kernel UDP")


def garbage(lab):
    """Frames that no lab client would send do not disturb a node."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for size in (0, 1, 31, 32, 33, 1472, 4000):
            s.sendto(os.urandom(size), ("10.77.0.1", 7400))
        s.sendto(b"x", ("10.77.0.1", 9))
    lab.ctl("kv", "get", "v0", "--node", 0, code=0)


def test(build, _args):
    if os.geteuid() != 0:
        with Lab(build) as lab:
            lab.error("CAIRN-0511", 4, "lab", "up", "--links", "veth")
        raise Failed("namespaces and veth need root: the rest of this test did not run")
    for program in ("ping", "tcpdump", "ip"):
        if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            raise Failed(f"{program} is missing: ./quickstart test installs it")
    before = names()
    with Lab(build) as lab:
        lab.up("--links", "veth", "--shards", 2)
        bridge = lab.description()["bridge"]
        lab.error("CAIRN-0510", 5, "lab", "up", "--links", "veth", "--dir", lab.path("two"))
        lab.error("CAIRN-0521", 1, "lab", "fault", "drop=1%")
        ping(lab)
        capture(lab, bridge)
        clients(lab)
        garbage(lab)
        lab.ctl("lab", "down", code=0)
    expect(names() == before, f"nothing is left: {set(names()) - set(before)}")


main(test)
