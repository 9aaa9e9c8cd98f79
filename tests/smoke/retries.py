#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""retries.py BUILD_DIR: nodes are killed and started again while clients increment a counter. Each
increment counts exactly once, those of the killed nodes too: the client library asks again,
elsewhere or when the node is back."""
import threading

from lab import Lab, expect, main, note, until

CLIENTS = 8
ROUNDS = 3


class Load:
    """Clients, each in a thread, that increment one counter until told to stop."""

    def __init__(self, lab):
        self.lab = lab
        self.stop = threading.Event()
        self.count, self.bad = [0] * CLIENTS, []
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(CLIENTS)]

    def run(self, i):
        # Half of the clients insist on a node, the others take any.
        where = ("--node", i // 2 % 3) if i % 2 else ()
        while not self.stop.is_set():
            result = self.lab.ctl("kv", "incr", "counter", *where, "--timeout", "60s")
            if result.code == 0:
                self.count[i] += 1
            elif result.code != 6:  # certainly not applied: a node that does not serve yet
                self.bad.append(str(result))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def progress(self):
        """Waits until every client has been served once more."""
        before = list(self.count)
        until(lambda: all(n > b for n, b in zip(self.count, before)), 90,
              f"every client goes on: {before} {self.count}")


def kills(lab):
    with Load(lab) as load:
        load.progress()
        for turn in range(ROUNDS * 3):
            node = turn % 3
            lab.ctl("lab", "kill", node, code=0)
            lab.ctl("lab", "start", node, code=0)
            load.progress()
    expect(not load.bad, f"nothing but OK: {load.bad[:2]}")
    return sum(load.count)


def test(build, _args):
    with Lab(build) as lab:
        lab.up("--shards", 2)
        total = kills(lab)
        lab.serving()
        for node in range(3):
            out = lab.ctl("kv", "get", "counter", "--node", node, code=0).out
            expect(out == f"{total}\n", f"node {node} counts {out!r} for {total} increments")
        note(f"retries: {total} increments across {ROUNDS * 3} kills, each counted once")


main(test)
