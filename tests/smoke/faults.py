#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""faults.py BUILD_DIR: an import and its read-back while the switch loses, repeats, delays,
damages, cuts and replays frames; a node cut off by a partition; nothing is lost or made up."""
import re

from lab import Lab, dpkg_records, expect, main, note, until

FAULTS = "seed=11,drop=2%,dup=2%,delay=5%,hold=50-1000,corrupt=1%,truncate=1%,replay=1%"


def fault_counters(lab):
    text = lab.ctl("lab", "fault", code=0).out
    return {name: int(n) for name, n in re.findall(r"fault_(\w+)=(\d+)", text)}


def import_under_faults(lab, records):
    lab.ctl("lab", "fault", FAULTS, code=0)
    text = "".join(f"{k}\t{v}\n" for k, v in records)
    done = lab.ctl("kv", "import", "-", "--retry", "--patience", "60s", "-o", "json", data=text,
                   code=0).json()
    expect(done["acknowledged"] == len(records), f"all acknowledged: {done}")
    compare(lab, dict(records))
    counters = fault_counters(lab)
    for name in ("drop", "dup", "delay", "corrupt", "truncate", "replay"):
        expect(counters[name] > 0, f"the switch did {name}: {counters}")
    lab.ctl("lab", "fault", "off", code=0)
    compare(lab, dict(records))
    note(f"faults: {len(records)} records through {counters}")


def compare(lab, wanted):
    for node in range(3):
        found = lab.export(node, wanted, "--patience", "60s")
        got = {key: value for key, (value, _) in found.items()}
        expect(got == wanted, f"node {node} gives back the same")


def partition(lab):
    """Node 2 cut off: the others go on, it acknowledges nothing; healed, it catches up."""
    lab.ctl("kv", "put", "p", "before", code=0)
    lab.ctl("lab", "partition", "0,1|2", code=0)
    result = lab.ctl("kv", "put", "p", "alone", "--node", 2, "--timeout", "500ms")
    expect(result.code in (6, 7), f"no acknowledgement by a minority: {result}")
    lab.ctl("kv", "put", "p", "during", "--node", 0, "--timeout", "20s", code=0)
    expect(fault_counters(lab)["partition"] > 0, "frames were cut off")
    lab.ctl("lab", "partition", "off", code=0)
    lab.serving()
    until(lambda: lab.ctl("kv", "put", "p", "after", "--node", 2).code == 0, 20, "a write again")
    for node in range(3):
        out = lab.ctl("kv", "get", "p", "--node", node, code=0).out
        expect(out == "after\n", f"node {node} after the partition: {out!r}")


def increments(lab):
    """Each increment counts once, also when its frames are repeated: exactly as many as acked."""
    lab.ctl("lab", "fault", FAULTS, code=0)
    acked = unknown = 0
    for i in range(300):
        result = lab.ctl("kv", "incr", "count", "--node", i % 3)
        expect(result.code in (0, 7), f"acknowledged or unknown: {result}")
        acked += result.code == 0
        unknown += result.code == 7
    lab.ctl("lab", "fault", "off", code=0)
    total = int(lab.ctl("kv", "get", "count", code=0).out)
    expect(acked <= total <= acked + unknown, f"{total} of {acked} acked and {unknown} unknown")
    note(f"faults: 300 increments, {acked} acknowledged, {unknown} unknown, the sum is {total}")


def test(build, _args):
    records = dpkg_records(20000)
    with Lab(build) as lab:
        lab.up("--shards", 2)
        import_under_faults(lab, records)
        partition(lab)
        increments(lab)


main(test)
