# SPDX-License-Identifier: Apache-2.0
"""classes.py: what goes wrong in a run of rig R2. Each class is one function; it leaves the fault
in place or heals it itself: run.py heals what is left, starts what is down, and judges."""
import os
import random
import shutil
import subprocess
import time

from rig import Skipped, expect, note, until

CLASSES = {}  # name -> Class


class Class:
    def __init__(self, name, group, act, rig=None, short=False):
        self.name, self.group, self.act = name, group, act
        self.rig = rig or {}  # arguments of Rig
        self.short = short    # part of the suite


def fault_class(group, name=None, short=False, **rig):
    def register(act):
        title = name or act.__name__
        CLASSES[title] = Class(title, group, act, rig, short)
        return act
    return register


def needs_views(rig):
    if not rig.has_views:
        raise Skipped("a static cluster")


def shrunk(rig, without, seconds=30):
    """Waits until the view goes on without these nodes."""
    def gone():
        rows = rig.info().get("members", [])
        return rows and not set(without) & {r["node"] for r in rows if r["role"] == "member"}

    if rig.engine == "raft":
        rig.more_load(500)  # its members stay: a shard goes on with a majority
        rig.word_is("DEGRADED")
    elif rig.has_views:
        until(gone, seconds, f"the view is without {without}")
        rig.more_load(200)
        rig.word_is("DEGRADED")
    else:
        time.sleep(1)


# ---- kill ----

@fault_class("kill", short=True)
def kill_leader(rig):
    """Daemon and dataplane of the view leader."""
    leader = rig.view_leader()
    rig.kill_node(leader)
    shrunk(rig, [leader])


@fault_class("kill", short=True)
def kill_member(rig):
    member = rig.member()
    rig.kill_node(member)
    shrunk(rig, [member])


@fault_class("kill")
def kill_dataplane_leader(rig):
    """The dataplane alone: its daemon reaps it, can name the incarnation, and starts another."""
    rig.kill_node(rig.view_leader(), only="cairn-dataplane")


@fault_class("kill")
def kill_dataplane_member(rig):
    rig.kill_node(rig.member(), only="cairn-dataplane")


@fault_class("kill")
def kill_daemons(rig):
    """All control daemons: the data path does not notice."""
    for node in rig.data_nodes():
        rig.kill_node(node, only="cairnd")
    rig.marks["victims"] = set()
    rig.more_load(500)


@fault_class("kill")
def kill_shard_leader(rig):
    if rig.engine != "raft":
        raise Skipped("of the raft engine only")
    leader = rig.shard_leader()
    rig.kill_node(leader)
    rig.word_is("DEGRADED")


@fault_class("kill", nodes=3, witnesses=1)
def kill_witness(rig):
    """Two data nodes and a witness: without it they go on."""
    needs_views(rig)
    rig.kill_node(2)
    rig.more_load(500)


@fault_class("kill", nodes=3, witnesses=1)
def kill_data_beside_witness(rig):
    """Two data nodes and a witness: one data node and the witness go on."""
    needs_views(rig)
    rig.kill_node(rig.member())
    rig.more_load(300)


@fault_class("kill", nodes=5)
def kill_two_of_five(rig):
    leader = rig.view_leader()
    victims = [leader, (leader + 2) % 5]
    rig.kill_nodes(victims)
    shrunk(rig, victims)


@fault_class("kill")
def kill_one_after_the_other(rig):
    """Each node in turn, each back and a member before the next."""
    for node in rig.data_nodes():
        rig.kill_node(node)
        shrunk(rig, [node])
        rig.start_nodes()
        rig.healthy()
        rig.more_load(200)


@fault_class("kill", short=True)
def kill_all(rig):
    """Power failure of all, cold start from disks alone."""
    rig.kill_nodes(rig.data_nodes())
    rig.start_nodes()


@fault_class("kill")
def kill_all_shrunk(rig):
    """The view had shrunk to two when these two went, too; the third comes back first."""
    member = rig.member()
    rig.kill_node(member)
    shrunk(rig, [member])
    rest = [n for n in rig.data_nodes() if n != member]
    rig.kill_nodes(rest)
    if rig.has_views:
        rig.ctl("lab", "start", member, "--wait", "2s")  # cannot serve alone: any exit code
    rig.start_nodes()


@fault_class("kill")
def kill_majority(rig):
    """Two of three: nothing is acknowledged until one is back."""
    leader = rig.view_leader()
    rig.kill_nodes([leader, rig.member()])
    rig.word_is("NO_QUORUM")


# ---- stop ----

STOPS = (0.001, 0.01, 0.1, 1, 10, 60)  # seconds


def stopped(rig, node, seconds):
    """Short ones again and again."""
    repeat = 20 if seconds <= 0.01 else 5 if seconds <= 0.1 else 1
    for _ in range(repeat):
        rig.stop_dataplane([node], seconds, lambda: rig.word_is("DEGRADED"))
        time.sleep(0.05 if repeat > 1 else 0)


def stop_role(rig, choose):
    """Who has the role now, for each time anew; between long ones all have to be well again."""
    for seconds in STOPS:
        stopped(rig, choose(), seconds)
        if seconds >= 1:
            rig.healthy()


@fault_class("stop")
def stop_leader(rig):
    """SIGSTOP of the view leader's dataplane: 1, 10, 100 ms again and again, 1, 10, 60 s."""
    stop_role(rig, rig.view_leader)


@fault_class("stop")
def stop_member(rig):
    """The same of a member that does not lead."""
    stop_role(rig, rig.member)


@fault_class("stop", nodes=3, witnesses=1)
def stop_witness(rig):
    """The same of a witness."""
    needs_views(rig)
    stop_role(rig, lambda: 2)


@fault_class("stop")
def stop_shard_leader(rig):
    """The same of a shard's leader."""
    if rig.engine != "raft":
        raise Skipped("of the raft engine only")
    stop_role(rig, rig.shard_leader)


@fault_class("stop")
def stop_joiner(rig):
    """The same of a new node, from its first moment on: while it copies, and comes back to copy."""
    needs_views(rig)
    rig.load_records(8000, 800, "big")
    before = set(roles(rig))
    member_command(rig, "lab", "add", "--no-wait")
    rig.new_nodes += sorted(set(roles(rig)) - before)
    for seconds in STOPS:
        until(lambda: ("cairn-dataplane", rig.new_nodes[0]) in rig.pids(), 30, "the joiner runs")
        stopped(rig, rig.new_nodes[0], seconds)


@fault_class("stop", short=True)
def stop_leader_1s(rig):
    rig.stop_dataplane([rig.view_leader()], 1)


@fault_class("stop")
def stop_all_1s(rig):
    """All at once, woken one after the other: leases ran out in their sleep."""
    rig.stop_dataplane(rig.data_nodes(), 1)


@fault_class("stop")
def stop_at_random(rig):
    """Any node, 1 ms to 500 ms, thirty times."""
    lot = random.Random(rig.seed)
    for _ in range(30):
        rig.stop_dataplane([lot.choice(rig.data_nodes())], lot.choice((0.001, 0.01, 0.1, 0.5)))
        time.sleep(lot.random() * 0.3)


# ---- network ----

def others(rig, node):
    return [n for n in range(rig.nodes_count) if n != node]


def text(nodes):
    return ",".join(map(str, nodes))


def epochs_at_most(rig, before, most):
    rig.marks["epochs"] = rig.epoch() - before
    expect(rig.marks["epochs"] <= most, f"{rig.marks['epochs']} epochs, at most {most}")


def isolate(rig, node, seconds):
    rig.mark([node])
    rig.partition(f"{node}|{text(others(rig, node))}")
    time.sleep(seconds)
    rig.word_is("DEGRADED")


@fault_class("network", short=True)
def isolate_leader(rig):
    """Cut off from the other nodes, not from its clients: it may serve its lease and no longer."""
    isolate(rig, rig.view_leader(), 5)


@fault_class("network")
def isolate_member(rig):
    isolate(rig, rig.member(), 5)


@fault_class("network", nodes=5)
def partition_two_of_five(rig):
    leader = rig.view_leader()
    some = [leader, (leader + 1) % 5]
    rig.mark(some)
    rig.partition(f"{text(some)}|{text(n for n in range(5) if n not in some)}")
    time.sleep(5)
    rig.word_is("DEGRADED")


@fault_class("network")
def partition_all(rig):
    """Nobody hears anybody."""
    rig.mark(rig.data_nodes())
    rig.partition("|".join(map(str, range(rig.nodes_count))))
    time.sleep(5)
    rig.word_is("NO_QUORUM")


SERVED_S = 5  # the product's figure is the simulator's (docs/failover.md)


def served_at(rig, nodes, seconds):
    """Clients that insist on one of these nodes get updates of every shard done there."""
    for node in nodes:
        path = rig.path(f"tied{node}")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(f"tied{node}-{i}\tv\n" for i in range(40))
        done = subprocess.run(
            list(map(str, [rig.ctl_path, "kv", "import", path, "--retry", "--patience",
                           f"{seconds}s", "-o", "json", "--endpoints", rig.endpoints([node])])),
            env=rig.env, text=True, capture_output=True, timeout=120, check=False)
        expect(done.returncode == 0,
               f"clients tied to node {node} are served: {done.stdout[-200:]} {done.stderr[-300:]}")


def members(rig):
    return [r["node"] for r in rig.info()["members"] if r["role"] == "member"]


def cut_link(rig, a, b):
    """Between two nodes; both reach the others. Nobody who is a member is without service, no view
    after view, and the word says what is wrong: who is left out, or, with the raft engine, which
    leaves out nobody, which link it is."""
    before = rig.epoch()
    rig.mark([a, b])
    rig.partition(f"{a}|{b}")
    if rig.engine == "raft":
        served_at(rig, [a, b], SERVED_S)
    time.sleep(8)
    rig.word_is("DEGRADED")
    if rig.engine == "raft":
        expect(sorted(members(rig)) == rig.data_nodes(), "all stay members")
        until(lambda: "CAIRN-0119" in rig.ctl("status").err, 10, "the status tells of the link")
    served_at(rig, members(rig), SERVED_S)
    epochs_at_most(rig, before, 2)


@fault_class("network")
def partial_partition(rig):
    """A and B are cut from each other, both reach C: one agreed view, no flapping."""
    leader = rig.view_leader()
    cut_link(rig, *[n for n in rig.data_nodes() if n != leader][:2])


@fault_class("network")
def partial_partition_leader(rig):
    """The same, and the leader is one of the two."""
    cut_link(rig, rig.view_leader(), rig.member())


@fault_class("network")
def partial_partition_shard_leader(rig):
    """The same, and a shard's leader is one of the two."""
    if rig.engine != "raft":
        raise Skipped("of the raft engine only")
    leader = rig.shard_leader()
    cut_link(rig, leader, next(n for n in rig.data_nodes() if n != leader))


@fault_class("network")
def asymmetric_deaf(rig):
    """A member that sends and hears nothing."""
    member = rig.member()
    rig.mark([member])
    rig.partition(f"{text(others(rig, member))}>{member}")
    time.sleep(5)
    rig.word_is("DEGRADED")


@fault_class("network")
def asymmetric_mute_leader(rig):
    """A leader that hears and cannot send."""
    leader = rig.view_leader()
    rig.mark([leader])
    rig.partition(f"{leader}>{text(others(rig, leader))}")
    time.sleep(5)
    rig.word_is("DEGRADED")


@fault_class("network")
def flapping(rig):
    """A member's links come and go every half lease."""
    member = rig.member()
    half = rig.timers().get("lease_us", 200_000) / 2e6
    before = rig.epoch()
    rig.mark([member])
    for _ in range(round(10 / (2 * half))):
        rig.partition(f"{member}|{text(others(rig, member))}")
        time.sleep(half)
        rig.partition("off")
        time.sleep(half)
    epochs_at_most(rig, before, 10)  # out, back and a member, out, held down for longer and longer


@fault_class("network", short=True)
def loss_burst(rig):
    """Loss, repetition, reordering and damage on all links."""
    rig.mark()
    rig.fault(f"seed={rig.seed},drop=10%,dup=5%,delay=20%,hold=50-5000,corrupt=1%,truncate=1%,"
              "replay=2%")
    time.sleep(5)


@fault_class("network")
def loss_heavy(rig):
    rig.mark()
    rig.fault(f"seed={rig.seed},drop=30%,dup=10%,delay=30%,hold=1000-20000,replay=5%")
    time.sleep(5)


@fault_class("network")
def loss_while_killed(rig):
    """A lossy network, and a member dies and comes back in it."""
    rig.fault(f"seed={rig.seed},drop=5%,dup=5%,delay=10%,hold=50-2000,replay=2%")
    member = rig.member()
    rig.kill_node(member)
    shrunk(rig, [member])
    rig.start_nodes()


# The lab's own timers take a node for slow only when it is far slower than shared cores make it.
SLOW = {"slow_ms": 1000, "slow_floor_us": 10000}


@fault_class("slow", timers=SLOW)
def slow_link(rig):
    """Every frame of one member takes 40 to 50 ms: some 100 x longer."""
    member = rig.member()
    rig.mark([member])
    rig.marks["slow"] = member
    rig.fault(f"delay=100%,hold=40000-50000,port={member}")
    time.sleep(12)
    rig.marks["slow_end"] = time.monotonic_ns()


# ---- disk ----

@fault_class("slow", short=True, timers=SLOW)
def slow_disk(rig):
    """One member's dataplane gets 10 disk writes a second from the kernel (cgroup): 100 ms each,
    some 100 x longer than in a loaded lab."""
    member = rig.member()
    rig.mark([member])
    rig.marks["slow"] = member
    note(f"  {rig.slow_disk(member, 10)}")
    time.sleep(12)
    rig.marks["slow_end"] = time.monotonic_ns()


@fault_class("slow", timers=SLOW)
def slow_disk_leader(rig):
    leader = rig.view_leader()
    rig.mark([leader])
    rig.marks["slow"] = leader
    note(f"  {rig.slow_disk(leader, 10)}")
    time.sleep(12)
    rig.marks["slow_end"] = time.monotonic_ns()


@fault_class("slow", timers=SLOW)
def slow_disk_shard_leader(rig):
    if rig.engine != "raft":
        raise Skipped("of the raft engine only")
    leader = rig.shard_leader()
    rig.mark([leader])
    rig.marks["slow"] = leader
    note(f"  {rig.slow_disk(leader, 10)}")
    time.sleep(12)
    rig.marks["slow_end"] = time.monotonic_ns()


def on_own_file_system(rig, node):
    """Moves a node's data to an ext4 of its own on a loop device."""
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        raise Skipped("mounting needs root and mkfs.ext4")
    data, image = os.path.join(rig.dir, f"node{node}", "data"), rig.path("disk.img")
    rig.kill_node(node)
    with open(image, "wb") as f:
        f.truncate(1 << 30)
    kept = rig.path("kept")
    shutil.copytree(data, kept)
    if (subprocess.run(["mkfs.ext4", "-q", "-F", image], check=False).returncode or
            subprocess.run(["mount", "-o", "loop", image, data], check=False).returncode):
        raise Skipped("a loop device cannot be mounted here")
    rig.mounts.append(data)
    shutil.copytree(kept, data, dirs_exist_ok=True)
    os.sync()
    rig.start_nodes()
    rig.healthy()
    return data


@fault_class("disk")
def failed_disk(rig):
    """All writes of one member's file system fail from now on (ext4 shut down); later it is
    mounted again and the node restarted."""
    member = rig.member()
    data = on_own_file_system(rig, member)
    rig.more_load(300)
    rig.mark([member])
    rig.shut_file_system(data)
    shrunk(rig, [member])
    rig.kill_node(member)
    rig.mount_again(data)
    rig.start_nodes()


@fault_class("calm")
def calm(rig):
    """Nothing goes wrong for 20 s: nothing may change."""
    before = rig.epoch()
    rig.mark()
    time.sleep(20)
    rig.word_is("HEALTHY", "WARNINGS")
    epochs_at_most(rig, before, 0)


# ---- operators ----

def member_command(rig, *args):
    """While nodes come and go it may have to be asked for again."""
    def done():
        return rig.ctl(*args).code == 0

    if not rig.has(" ".join(args[:2])):
        raise Skipped(f"no command {args[0]} {args[1]}")
    until(done, 30, f"cairnctl {' '.join(map(str, args))}")


@fault_class("operator", short=True)
def drain_undrain(rig):
    member = rig.member()
    rig.mark([member])
    member_command(rig, "member", "drain", str(member))
    shrunk(rig, [member])
    member_command(rig, "member", "undrain", str(member))


@fault_class("operator")
def drain_leader(rig):
    leader = rig.view_leader()
    rig.mark([leader])
    member_command(rig, "member", "drain", str(leader))
    shrunk(rig, [leader])
    member_command(rig, "member", "undrain", str(leader))


@fault_class("operator")
def transfer(rig):
    """Leadership goes round, twenty times."""
    rig.mark()
    for turn in range(20):
        nodes = rig.data_nodes()
        member_command(rig, "leader", "transfer", str(nodes[turn % len(nodes)]))
        time.sleep(0.2)


@fault_class("operator", nodes=5)
def drain_during_kill(rig):
    """Five nodes: one drained while another one is dead."""
    leader = rig.view_leader()
    drained, killed = [n for n in rig.data_nodes() if n != leader][:2]
    rig.kill_node(killed)
    rig.mark([drained])
    member_command(rig, "member", "drain", str(drained))
    shrunk(rig, [drained, killed])
    member_command(rig, "member", "undrain", str(drained))


def roles(rig):
    return {r["node"]: r["role"] for r in rig.info().get("members", [])}


def gone(rig, nodes):
    """Waits until nothing is known of these nodes any more; their processes end."""
    until(lambda: all(roles(rig).get(n, "none") in ("none", "removed", "leaving") for n in nodes),
          60, f"{nodes} are gone")
    rig.gone_nodes |= set(nodes)
    rig.kill_nodes(nodes)


def add(rig, *args):
    before = set(roles(rig))
    member_command(rig, "lab", "add", *args)
    new = sorted(set(roles(rig)) - before)
    rig.new_nodes += new
    return new


@fault_class("operator")
def replace_dead(rig):
    """A node dies for good; one command replaces it, under load."""
    needs_views(rig)
    member = rig.member()
    rig.kill_node(member)
    shrunk(rig, [member])
    rig.gone_nodes.add(member)
    rig.marks["added"] = add(rig, "--replaces", str(member))


@fault_class("operator")
def replace_leader(rig):
    """A living leader is replaced by a new node."""
    needs_views(rig)
    leader = rig.view_leader()
    rig.mark([leader])
    rig.marks["added"] = add(rig, "--replaces", str(leader))
    gone(rig, [leader])


@fault_class("operator")
def grow_and_shrink(rig):
    """Three to five and back to three, while serving."""
    needs_views(rig)
    rig.mark()
    new = add(rig) + add(rig)
    rig.more_load(300)
    for node in new:
        member_command(rig, "member", "remove", str(node), "--yes")
    gone(rig, new)


@fault_class("operator")
def kill_joiner(rig):
    """A new node dies while it copies, and comes back."""
    needs_views(rig)
    rig.mark()
    rig.more_load(1000)
    before = set(roles(rig))
    member_command(rig, "lab", "add", "--no-wait")
    rig.new_nodes += sorted(set(roles(rig)) - before)
    rig.kill_node(rig.new_nodes[0])
