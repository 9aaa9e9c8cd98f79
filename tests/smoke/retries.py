#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""retries.py BUILD_DIR: nodes are killed and started again while clients increment a counter. Each
increment counts exactly once, those of the killed nodes too: the client library asks again,
elsewhere or when the node is back."""
import subprocess

from lab import Lab, expect, main, note

CLIENTS = 8
ROUNDS = 12  # all clients together stay below the 128 sessions of a shard: nothing is evicted


def increments(lab):
    """Half of the clients insist on a node, the others take any."""
    for i in range(CLIENTS):
        where = ("--node", i // 2 % 3) if i % 2 else ()
        yield lab.spawn("kv", "incr", "counter", *where, "--timeout", "60s", text=True,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def one_round(lab, node):
    """Kills a node while increments are under way; returns how many were acknowledged."""
    children = list(increments(lab))
    lab.ctl("lab", "kill", node, code=0)
    lab.ctl("lab", "start", node, code=0)
    acked = 0
    for child in children:
        _, err = child.communicate(timeout=90)
        acked += child.returncode == 0
        # 6: certainly not applied, by a node that did not serve.
        expect(child.returncode in (0, 6), f"no outcome is left open: {child.args}: {err}")
    return acked


def test(build, _args):
    with Lab(build) as lab:
        lab.up()
        total = sum(one_round(lab, i % 3) for i in range(ROUNDS))
        lab.serving()
        for node in range(3):
            out = lab.ctl("kv", "get", "counter", "--node", node, code=0).out
            expect(out == f"{total}\n", f"node {node} counts {out!r} for {total} increments")
        expect(total > CLIENTS * ROUNDS // 2, f"most increments were acknowledged: {total}")
        note(f"retries: {total} increments across {ROUNDS} kills, each counted once")


main(test)
