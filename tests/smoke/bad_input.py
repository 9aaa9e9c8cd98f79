#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bad_input.py BUILD_DIR: what users and networks get wrong: each gives a typed error that names
the value and the cure, with the right exit code; nothing running is disturbed."""
import ctypes
import glob
import json
import os
import random
import re
import resource
import shutil
import socket
import struct
import subprocess

from lab import Lab, expect, main, note, until

MIB = 1 << 20


def ids_documented(_lab):
    """Every error id in the sources and in the problem table has its line in docs/operating.md."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    with open(os.path.join(root, "docs", "operating.md")) as f:
        text_of_docs = f.read()
    documented = set(re.findall(r"CAIRN-0\d{3}", text_of_docs))
    used = set()
    for path in glob.glob(os.path.join(root, "mgmt", "*.c")):
        with open(path) as f:
            used |= set(re.findall(r"CAIRN-0\d{3}", f.read()))
    with open(os.path.join(root, "mgmt", "problem.h")) as f:
        table = re.findall(r"\tX\((\w+), (\d+),", text := f.read())
    expect(len(table) > 35 and len(table) == text.count("\tX("), f"the problem table: {table}")
    for name, number in table:
        expect(f"| CAIRN-{int(number):04d} | {name} |" in text_of_docs,
               f"not documented: {number} {name}")
    expect(len(used) > 40 and used <= documented, f"not documented: {used - documented}")


def command_lines(lab):
    lab.error("CAIRN-0701", 2, "kv", "gett", "a")
    expect("kv get" in lab.ctl("kv", "gett", "a").err, "an unknown command has a suggestion")
    lab.error("CAIRN-0701", 2, "frobnicate")
    lab.error("CAIRN-0702", 2, "kv", "get", "a", "--nod", 1)
    expect("--node" in lab.ctl("kv", "get", "a", "--nod", 1).err, "so has an unknown option")
    lab.error("CAIRN-0703", 2, "kv", "get", "a", "--node")
    lab.error("CAIRN-0703", 2, "lab", "up", "--hugepages=yes")
    lab.error("CAIRN-0704", 2, "status", "-o", "xml")
    lab.error("CAIRN-0705", 2, "kv", "put", "a")
    lab.error("CAIRN-0705", 2, "kv", "get", "a", "b")
    for bad in ("0", "8", "-1", "three", "3x", "", "99999999999999999999"):
        lab.error("CAIRN-0706", 2, "lab", "up", f"--nodes={bad}")
    lab.error("CAIRN-0706", 2, "lab", "up", "--wal-bytes", "256Mib")
    lab.error("CAIRN-0706", 2, "lab", "up", "--wal-bytes", "7MiB")
    lab.error("CAIRN-0706", 2, "lab", "up", "--links", "carrier-pigeon")
    result = lab.error("CAIRN-0706", 2, "lab", "up", "--idle", "lazy")
    for choice in ("adaptive", "spin", "auto"):
        expect(choice in result.err, f"every choice of --idle is named: {result}")
    lab.error("CAIRN-0706", 2, "health", "--wait", "5")
    lab.error("CAIRN-0519", 2, "lab", "up", "--fault", "drop=200%")
    lab.error("CAIRN-0520", 2, "lab", "up", "--workers", 2)
    lab.error("CAIRN-0413", 2, "kv", "get", "a", "-e", "nonsense")
    lab.error("CAIRN-0413", 2, "kv", "get", "a", "-e", "127.0.0.1:1,", "--node", 1)
    lab.error("CAIRN-0405", 6, "kv", "get", "a", "-e", "127.0.0.1:9", "-t", "300ms")
    lab.error("CAIRN-0502", 2, "lab", "up", "--dir", lab.path("x" * 90))
    expect(not os.path.exists(lab.dir), "none of them made a lab")


def keys_and_values(lab):
    lab.error("CAIRN-0406", 2, "kv", "put", "k" * 513, "v")
    lab.error("CAIRN-0406", 2, "kv", "put", "", "v")
    lab.error("CAIRN-0406", 2, "kv", "put", "k", "v" * 849)
    lab.error("CAIRN-0406", 2, "kv", "put", "k", "-", data="v" * 5000)
    for bad in ("1.2", "x", "1.2.3.4", "-1.0.0", "1.0.99999999", "1.256.1"):
        lab.error("CAIRN-0415", 2, "kv", "cas", "k", "v", f"--version={bad}")
    lab.error("CAIRN-0415", 2, "kv", "cas", "k", "v")
    for bad in ("x", "1.5", "9223372036854775808", ""):
        lab.error("CAIRN-0416", 2, "kv", "incr", "k", bad)
    lab.error("CAIRN-0421", 3, "kv", "import", lab.path("nothing"))
    lab.error("CAIRN-0420", 2, "kv", "import", "-", "--format", "csv")
    lab.error("CAIRN-0424", 2, "kv", "export")
    text = "good\t1\nno tab\n" + "k" * 600 + "\tv\nbig\t" + "v" * 900 + "\nlast\t2\n"
    result = lab.error("CAIRN-0419", 1, "kv", "import", "-", "-o", "json", data=text)
    counts = result.json()
    expect((counts["acknowledged"], counts["malformed"], counts["too_large"]) == (2, 1, 2), counts)
    for line in ("line 2", "line 3", "line 4"):
        expect(line in result.err, f"{line} is named: {result}")
    text = "k" * 600 + "\tv\nok\tv\n"
    lab.error("CAIRN-0406", 1, "kv", "import", "-", data=text)
    lab.ctl("kv", "import", "-", "--skip-large", data=text, code=0)
    expect(lab.ctl("kv", "get", "k", code=3).out == "", "no refused write took effect")


def broken_input(lab):
    """Input that cannot be read, from its start or half way, is no empty input."""
    lab.error("CAIRN-0414", 1, "kv", "import", lab.tmp)
    lab.error("CAIRN-0414", 1, "kv", "export", "--keys", lab.tmp)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        # Closed with unread data in it, our end resets the other once its data are read.
        theirs.send(b"unread")
        ours.send(b"half/a\t1\nhalf/b\t2\nhalf/c\tcut o")
        ours.close()
        done = run(lab, "cairnctl", "kv", "import", "-", "-o", "json", stdin=theirs, env=lab.env)
    expect(done.returncode == 1 and "CAIRN-0414" in done.stderr and "line 2" in done.stderr and
           json.loads(done.stdout)["acknowledged"] == 2, f"an error half way: {done}")
    lab.ctl("kv", "get", "half/b", code=0)
    lab.ctl("kv", "get", "half/c", code=3)


def offline(lab):
    """cairnutil: ids and exit codes."""
    def fails(error_id, code, *args):
        done = run(lab, "cairnutil", *args)
        expect(done.returncode == code and error_id in done.stderr, f"{error_id}: {done}")

    where = ("--data", lab.path("none"))
    shape = ("--cluster", "1", "--node", "0")
    fails("CAIRN-0801", 2, "format", *where, *shape, "--wal-bytes", "7M")
    fails("CAIRN-0801", 2, "inspect", *where, "-o", "xml")
    fails("CAIRN-0802", 2, "frobnicate")
    fails("CAIRN-0802", 2, "format", *where, "more")
    fails("CAIRN-0803", 2, "inspect")
    fails("CAIRN-0803", 2, "format", *where)
    fails("CAIRN-0804", 2, "format", *where, *shape, "--wal-bytes", "8388609")
    fails("CAIRN-0001", 2, "format", "--config", lab.path("none.toml"))
    fails("CAIRN-0810", 3, "verify", *where)
    expect(not os.path.exists(where[1]), "nothing was made")
    fails("CAIRN-0809", 5, "verify", "--data", os.path.join(lab.dir, "node0", "data"))
    fails("CAIRN-0808", 5, "format", "--config", os.path.join(lab.dir, "node0", "node.toml"))


def taken(lab):
    """Second starts: of a lab, on a gateway's port, on the same data."""
    lab.error("CAIRN-0508", 5, "lab", "up")
    lab.error("CAIRN-0507", 5, "lab", "up", "--dir", lab.tmp)
    lab.error("CAIRN-0509", 1, "lab", "down", "--dir", lab.tmp)
    port = lab.description()["gateway"][0].split(":")[1]
    result = lab.error("CAIRN-0516", 1, "lab", "up", "--dir", lab.path("two"), "--wal-bytes",
                       "8MiB", "--gateway-port", port, "--nodes", 1)
    expect(port in result.err, f"the port is named: {result}")
    lab.ctl("lab", "down", "--dir", lab.path("two"), code=0)
    config = os.path.join(lab.dir, "node0", "node.toml")
    for program in ("cairn-dataplane", "cairnd"):
        done = run(lab, program, "--config", config)
        expect(done.returncode != 0 and "CAIRN-02" in done.stderr, f"second {program}: {done}")
    done = run(lab, "cairnutil", "format", "--config", config)
    expect(done.returncode != 0, f"format over a running node's data: {done}")
    lab.serving()


def run(lab, program, *args, **more):
    if program == "cairnctl":
        args = lab.recorded(args)
    return subprocess.run([os.path.join(lab.bin, program), *args], capture_output=True, text=True,
                          timeout=60, check=False, **more)


def counters(lab):
    path = lab.description()["control"][0]
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(path)
        s.sendall(b"GET /v1/counters HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
    return json.loads(answer.partition(b"\r\n\r\n")[2])["counters"]


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def frame(body=b"", magic=0x4e43, fmt=4, kind=2, cluster=0, shard=0):
    """A client's frame with a right checksum (see docs/wire.md)."""
    head = struct.pack("<HBBIQQIBBH", magic, fmt, kind, 0, cluster, 0, 0, 255, 0, shard)
    whole = bytearray(head + body)
    struct.pack_into("<I", whole, 4, crc32c(bytes(whole)))
    return bytes(whole)


def malformed_datagrams(lab):
    """Hostile datagrams are counted by reason and dropped; the node goes on."""
    description = lab.description()
    host, port = description["gateway"][0].split(":")
    cluster = int(description["cluster"], 16)
    head = struct.pack("<BBHHBBQIIQ", 17, 0, 1, 0, 0, 0, 0, 0, 0, 1)
    bad = {
        "bad_magic": frame(head + b"k", magic=0x1111, cluster=cluster),
        "bad_format": frame(head + b"k", fmt=9, cluster=cluster),
        "bad_kind": frame(head + b"k", kind=77, cluster=cluster),
        "bad_checksum": frame(head + b"k", cluster=cluster)[:-1] + b"x",
        "short": frame(head[:20], cluster=cluster),
        "bad_length": frame(struct.pack("<BBHHBBQIIQ", 17, 0, 600, 0, 0, 0, 0, 0, 0, 1) +
                            b"k" * 600, cluster=cluster),
    }
    before = counters(lab)
    pid = lab.pid("cairn-dataplane", 0)
    rng = random.Random(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((host, int(port)))
        for _ in range(10):
            for datagram in bad.values():
                s.send(datagram)
        for _ in range(2000):
            s.send(rng.randbytes(rng.randrange(0, 1473)))
        for _ in range(500):
            whole = bytearray(frame(head + b"k", cluster=cluster))
            whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
            s.send(bytes(whole))

    def counted():
        now = counters(lab)
        return all(grown(before, now, name) >= 10 for name in bad)

    until(counted, 10, f"every reason is counted: {wire_counters(counters(lab))}")
    expect(lab.pid("cairn-dataplane", 0) == pid, "the dataplane is the same process")
    lab.ctl("kv", "put", "after", "fine", "--node", 0, code=0)


def wire_counters(all_counters):
    return {k: v for k, v in all_counters.items() if "wire" in k}


def grown(before, now, reason):
    return sum(int(v) - int(before.get(k, 0)) for k, v in now.items()
               if k.lower().replace("wire_", "").endswith("." + reason) and "wire" in k.lower())


def copy_node(lab, name, **changes):
    """A stopped node of its own, formatted, with some settings changed."""
    home = lab.path(name)
    os.makedirs(os.path.join(home, "data"))
    settings = {
        "node": {"id": 0, "data": home + "/data", "runtime": home + "/run"},
        "cluster": {"id": "abc", "shards": 1},
        "memory": {"keys_max": 1024, "value_bytes": MIB, "hugepages": "never"},
        "net": {"device": f"memif:cairn-none-{os.getpid()}:0", "address": "10.77.0.1/24"},
        "storage": {"wal_bytes": 8 * MIB},
    }
    for key, value in changes.items():
        section, _, setting = key.partition("_")
        settings[section][setting] = value
    path = os.path.join(home, "node.toml")
    with open(path, "w") as f:
        for section, pairs in settings.items():
            f.write(f"[{section}]\n")
            for setting, value in pairs.items():
                f.write(f"{setting} = {json.dumps(value)}\n")
    return path, home


def machine_lacks(lab):
    """A missing NIC, no permission on the data, a disk that is full."""
    path, _ = copy_node(lab, "nonic", net_device="af_packet:cairn-no-such")
    expect(run(lab, "cairnutil", "format", "--config", path).returncode == 0, "format")
    done = run(lab, "cairn-dataplane", "--config", path)
    expect(done.returncode == 1 and "CAIRN-0209" in done.stderr and
           "cairn-no-such" in done.stderr, f"a missing NIC: {done}")
    path, _ = copy_node(lab, "blank")
    done = run(lab, "cairn-dataplane", "--config", path)
    expect(done.returncode == 1 and "CAIRN-0202" in done.stderr, f"not formatted: {done}")
    path, home = copy_node(lab, "readonly")
    expect(run(lab, "cairnutil", "format", "--config", path).returncode == 0, "format")
    no_permission(lab, path, home)
    full_disk(lab)


def no_permission(lab, path, home):
    command = [os.path.join(lab.bin, "cairn-dataplane"), "--config", path]
    if os.geteuid() == 0:
        # The program and its configuration are readable for nobody, the data are not.
        shutil.copy(command[0], home)
        command[0] = os.path.join(home, "cairn-dataplane")
        for folder in (lab.tmp, home):
            os.chmod(folder, 0o755)
        os.chmod(os.path.join(home, "data"), 0o700)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
    else:
        os.chmod(os.path.join(home, "data"), 0)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    os.chmod(os.path.join(home, "data"), 0o700)
    expect(done.returncode in (1, 2, 4) and "CAIRN-02" in done.stderr and home in done.stderr,
           f"no permission on the data: {done}")


def full_disk(lab):
    """format where the log does not fit: a small file system as root, else a size limit."""
    path, home = copy_node(lab, "full", storage_wal_bytes=64 * MIB)
    mounted = os.geteuid() == 0 and mount_tmpfs(home + "/data")
    limit = None if mounted else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))
    try:
        done = run(lab, "cairnutil", "format", "--config", path, preexec_fn=limit)
        expect(done.returncode not in (0, None) and home in done.stderr, f"a full disk: {done}")
        expect(done.returncode > 0, f"an error, not a signal: {done}")
        done = run(lab, "cairn-dataplane", "--config", path)
        expect(done.returncode == 1 and "CAIRN-02" in done.stderr, f"half a format: {done}")
    finally:
        if mounted:
            subprocess.run(["umount", home + "/data"], check=True)


def mount_tmpfs(folder):
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.mount(b"none", folder.encode(), b"tmpfs", 0, b"size=8m") == 0


def full_store(lab):
    """More than the store holds: NO_SPACE, named, and reads and deletes go on; room comes back."""
    lab.up("--keys", 16384, "--wal-bytes", "64MiB")
    lab.ctl("kv", "put", "first", "1", code=0)
    text = "".join(f"key{i}\t{'x' * 400}\n" for i in range(40000))
    result = lab.error("CAIRN-0404", 1, "kv", "import", "-", "-o", "json", data=text)
    expect(result.json()["acknowledged"] > 100, f"up to the limit: {result}")
    for node in range(3):
        expect(lab.ctl("kv", "get", "first", "--node", node, code=0).out == "1\n", "still read")
    expect(lab.ctl("kv", "get", "key0", code=0).out == "x" * 400 + "\n", "still there")
    lab.ctl("kv", "del", "key0", code=0)
    expect("CAIRN-010" in lab.ctl("health").err, "health names the reason")
    lab.ctl("lab", "down", code=0)


def test(build, _args):
    with Lab(build) as lab:
        for step in (ids_documented, command_lines, full_store):
            note(f"bad_input: {step.__name__}")
            step(lab)
        lab.up()
        for step in (keys_and_values, broken_input, offline, taken, malformed_datagrams,
                     machine_lacks):
            note(f"bad_input: {step.__name__}")
            step(lab)
        lab.serving()


main(test)
