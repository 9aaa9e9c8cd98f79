#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Known-bad snippets for tidy.py: each must be caught, and the good file must pass."""
import os
import shutil
import tempfile

C = "/* SPDX-License-Identifier: Apache-2.0 */\n"
GOOD = C + '#include "replication/types.h"\n\nint f(int a)\n{\n\treturn a;\n}\n'


def lines(n, text="\ta = 1;\n"):
    return C + "int f(int a)\n{\n" + text * n + "}\n"


def body(text):
    return C + "int f(struct x *e)\n{\n" + text + "}\n"


# (path, content, part of the message that must appear)
CASES = [
    ("replication/x.c", C + "#include <stdio.h>\n", "may not include <stdio.h>"),
    ("replication/x.c", C + '#include "storage/wal.h"\n', "replication may not include storage"),
    ("storage/x.c", C + '#include "dataplane/frame.h"\n', "storage may not include dataplane"),
    ("dataplane/x.c", C + '#include "mgmt/toml.h"\n', "dataplane may not include mgmt"),
    ("mgmt/x.c", C + '#include "tests/sim/sim.h"\n', "mgmt may not include tests"),
    ("storage/x.c", C + '#include "wal.h"\n', "from the repository root"),
    ("dataplane/x.c", C + "#include <rte_mbuf.h>\n", "belongs in dataplane/netdev_dpdk.c"),
    ("storage/x.c", C + "#include <liburing.h>\n", "belongs in storage/blockdev_file.c"),
    ("storage/x.c", lines(80), "function f: lines"),
    ("storage/x.c", C + "/* tidy: long, because it is a table */\n" + lines(130)[len(C):],
     "even as exception"),
    ("storage/x.c", C + "int a;\n" * 1001, "file: lines"),
    ("storage/x.h", C + "int a;\n" * 501, "file: lines"),
    ("storage/x.c", C + "int f(int a, int b, int c, int d, int e, int g, int h, int i)\n{\n}\n",
     "function f: parameters: 8"),
    ("storage/x.c", body("\tif (e) {\n" * 5 + "\t}\n" * 5), "function f: nesting: 5"),
    ("storage/x.c", C + "/* " + "x" * 100 + " */\n", "columns"),
    ("storage/x.c", body('\tprintf("x");\n'), "printf()"),
    ("dataplane/x.c", body('\tfprintf(f, "x");\n'), "fprintf()"),
    ("storage/x.c", body("\te = malloc(1);\n"), "malloc()"),
    ("dataplane/x.c", body("\tfree(e);\n"), "free()"),
    ("storage/x.c", body("\tclock_gettime(0, e);\n"), "clock_gettime()"),
    ("replication/x.c", body("\ttime(0);\n"), "time()"),
    ("mgmt/x.c", body("\trand();\n"), "rand()"),
    ("mgmt/x.c", body("\tstrcpy(a, b);\n"), "strcpy()"),
    ("mgmt/x.c", body("\tstrcat(a, b);\n"), "strcat()"),
    ("perf/x.c", body("\tsprintf(a, b);\n"), "sprintf()"),
    ("perf/x.c", body("\tgets(a);\n"), "gets()"),
    ("perf/x.c", body("\talloca(9);\n"), "alloca()"),
    ("tests/x.c", body("\tassert(e);\n"), "assert()"),
    ("replication/x.c", body("\te->state = 3;\n"), "only the mover"),
    ("replication/x.c", body("\tswitch (e->state) {\n\tdefault:\n\t\tbreak;\n\t}\n"), "default:"),
    ("mgmt/x.c", C + "/* TO" + "DO: later */\n", "issue number"),
    ("mgmt/x.c", C + "/* FIX" + "ME */\n", "issue number"),
    ("mgmt/x.c", "int a;\n", "SPDX"),
    ("mgmt/x.h", C + "int a;\n", "header guard CAIRN_FOLDER_X_H"),
    ("docs/x.md", "[a](nowhere.md)\n", "dead link"),
    ("docs/x.md", "# A\n\n[a](#b)\n", "dead anchor"),
    ("docs/x.md", "see `storage/nothing.c`\n", "no such file"),
    ("docs/x.md", "see deb." + "debian.org\n", "means nothing"),
    ("docs/x.md", "in /wo" + "rk/main\n", "means nothing"),
    ("mgmt/x.sh", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n", "not executable"),
    ("mgmt/x.c", C + "int a; \n", "trailing white space"),
    ("mgmt/x.c", C + "        int a;\n", "indent with tabs"),
    ("mgmt/x.py", "\tx\n", "tab"),
    ("mgmt/x.c", C + "int a;", "no newline"),
    ("stray/x.c", GOOD, "the top level holds only"),
]

# Must not be flagged: what looks bad but is in a comment, a string or another word.
INNOCENT = [
    ("storage/x.c", GOOD),
    ("storage/x.c", C + "/* printf(), malloc() and ->state = 1 are banned */\n"),
    ("mgmt/x.c", body('\tprintf("strcpy(a)");\n')),
    ("storage/x.c", body("\te->free(1);\n\tmust(e);\n\tif (e->state == 3)\n\t\treturn 1;\n")),
    ("replication/x.c", C + "void x_move(struct x *e)\n{\n\te->state = 3;\n}\n"),
    ("storage/x.c", C + "/* tidy: long, because it is a table */\n" + lines(110)[len(C):]),
    ("storage/x.c", lines(68)),
    ("docs/x.md", "# A b\n\n[a](#a-b) and `docs/x.md`\n"),
]


def errors_of(check_tree, path, content):
    root = tempfile.mkdtemp(prefix="tidy-")
    try:
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full))
        with open(full, "w", encoding="utf-8") as f:
            f.write(content)
        return check_tree(root).errors
    finally:
        shutil.rmtree(root)


def run(check_tree):
    failed = 0
    for path, content, expected in CASES:
        if not any(expected in e for e in errors_of(check_tree, path, content)):
            print(f"not caught: {expected!r} in {path}")
            failed += 1
    for path, content in INNOCENT:
        found = errors_of(check_tree, path, content)
        if found:
            print(f"wrongly flagged: {found}")
            failed += 1
    print(f"tidy self-test: {len(CASES) + len(INNOCENT)} cases, {failed} failed")
    return 1 if failed else 0
