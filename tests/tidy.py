#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tidy: the rules of docs/style.md that a machine can check, in about a second.

  tests/tidy.py [--root DIR]      check the tree; exit 1 if a rule is broken
  tests/tidy.py --report          the same, with warnings and densities per folder
  tests/tidy.py --self-test       feed it one known-bad snippet per rule; each must be caught
  tests/tidy.py --list-headers    public headers, for the target that compiles each one alone
"""
import argparse
import glob
import os
import re
import stat
import sys

TOP = {"meson.build", "dataplane", "replication", "storage", "mgmt", "tests", "perf", "docs",
       "README.md", "LICENSE", "quickstart"}
LINE = ["replication", "storage", "dataplane", "mgmt"]  # include direction: only to the left
CORE_HEADERS = {"stdint.h", "stdbool.h", "stddef.h", "string.h"}
ONE_SOURCE = {"rte_": "dataplane/netdev_dpdk.c", "liburing.h": "storage/blockdev_file.c"}
LINE_MAX = 100
FUNCTION, FUNCTION_EXCEPTION, EXCEPTIONS_MAX = (50, 70), 120, 6
SOURCE, HEADER = (600, 1000), (300, 500)
PARAMETERS, NESTING = (5, 7), (3, 4)

PRINTS = {"printf", "fprintf", "vprintf", "vfprintf", "dprintf", "puts", "fputs", "putchar",
          "perror", "syslog", "warn", "warnx", "err", "errx"}
ALLOCS = {"malloc", "calloc", "realloc", "reallocarray", "free", "strdup", "strndup",
          "aligned_alloc", "posix_memalign", "asprintf", "vasprintf", "rte_malloc", "rte_zmalloc"}
CLOCKS = {"clock_gettime", "gettimeofday", "time", "getrandom", "rte_rdtsc", "timespec_get",
          "rte_get_timer_cycles", "rte_get_tsc_cycles"}
BANNED = {"strcpy": "use memcpy with a checked length", "strcat": "use snprintf",
          "sprintf": "use snprintf", "vsprintf": "use vsnprintf", "gets": "use fgets",
          "alloca": "memory is sized at start", "assert": "use must()", "strtok": "use strtok_r",
          "rand": "seeds are parameters", "srand": "seeds are parameters",
          "random": "seeds are parameters", "drand48": "seeds are parameters",
          "atoi": "use strtol and check", "atol": "use strtol and check"}
# Start-up and program-side files that may do what the rest of their folder may not.
MAY_ALLOC = {"storage/blockdev_file.c", "dataplane/netdev_dpdk.c", "dataplane/gateway_udp.c",
             "dataplane/client/client.c"}
MAY_PRINT = {"dataplane/client/example.c"}  # a program, for readers of cairn.h
MAY_CLOCK = {"dataplane/poller.c", "dataplane/idle.c", "dataplane/netdev_dpdk.c",
             "dataplane/client/client.c", "storage/blockdev_file.c"}
# Writers of a field called `state` besides the movers (*_move) and constructors (*_init).
MAY_SET_STATE = {("storage/store.c", "store_merge"),
                 ("dataplane/worker.c", "copy_out")}  # a copy in the statistics
# Words of the place where this was written; they mean nothing to a reader of the repository.
WORKSHOP = ["deb." + "debian.org", "regis" + "try", "/wo" + "rk/", "far" + "m-"]
KEYWORDS = {"if", "for", "while", "switch", "return", "sizeof", "_Alignas", "_Alignof", "defined",
            "_Static_assert", "__attribute__", "_Generic", "do", "else", "case"}


class Tidy:
    def __init__(self, root):
        self.root = root
        self.errors, self.warnings = [], []
        self.long_exceptions = 0
        self.density = {}

    def error(self, path, line, text):
        self.errors.append(f"{path}:{line}: {text}")

    def warn(self, path, line, text):
        self.warnings.append(f"{path}:{line}: {text}")

    def budget(self, path, line, what, value, limits):
        if value > limits[1]:
            self.error(path, line, f"{what}: {value}, at most {limits[1]}")
        elif value > limits[0]:
            self.warn(path, line, f"{what}: {value}, better at most {limits[0]}")

    def count(self, path, key, n):
        folder = path.split("/")[0]
        counts = self.density.setdefault(folder, {})
        counts[key] = counts.get(key, 0) + n


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


TOKENS = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def strip_comments(text, strings=True):
    """The text with comments (and strings) as blanks: same lines, same columns."""
    def one(match):
        s = match.group(0)
        if s[0] == "/" or strings:
            return blank(match) if s[0] == "/" else s[0] + blank(match)[1:-1] + s[-1]
        return s
    return TOKENS.sub(one, text)


def strip_preprocessor(code):
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, code, flags=re.M)


def matching(code, at, opening, closing):
    """Index just after the bracket that closes code[at]."""
    depth = 0
    for match in re.compile("[" + re.escape(opening + closing) + "]").finditer(code, at):
        depth += 1 if match.group(0) == opening else -1
        if depth == 0:
            return match.end()
    return len(code)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def functions(code):
    """Yields (name, start, body, end, parameters, static) of each function definition."""
    at = 0
    while True:
        at = code.find("{", at)
        if at < 0:
            return
        end = matching(code, at, "{", "}")
        head = code[:at].rstrip()
        begin = max(head.rfind(";"), head.rfind("}"), 0)
        signature = re.sub(r"\s*__attribute__\s*\(\(.*?\)\)\s*$", "", head[begin:], flags=re.S)
        match = re.search(r"([A-Za-z_]\w*)\s*(\((?:[^()]|\([^()]*\))*\))\s*$", signature)
        if match and match.group(1) not in KEYWORDS and "=" not in signature[:match.start()]:
            inner = match.group(2)[1:-1].strip()
            flat = re.sub(r"\([^()]*\)", "", inner)
            count = 0 if inner in ("", "void") else flat.count(",") + 1
            yield (match.group(1), begin + match.start(1), at, end, count,
                   bool(re.search(r"\bstatic\b", signature[:match.start()])))
        at = end


def nesting(body):
    """Deepest block inside a function body, initialisers not counted."""
    deepest, stack = 0, []
    for match in re.finditer(r"[{}]", body):
        if match.group(0) == "}":
            if stack:
                stack.pop()
            continue
        before = body[:match.start()].rstrip()
        block = before.endswith((";", "}", "else", "do", ":")) or not before
        if before.endswith(")"):
            depth, i = 0, len(before) - 1
            while i >= 0:
                depth += {")": 1, "(": -1}.get(before[i], 0)
                if depth == 0:
                    break
                i -= 1
            block = bool(re.search(r"\b(if|for|while|switch|\w*FOREACH\w*)\s*$", before[:i]))
        stack.append(block)
        deepest = max(deepest, sum(stack))
    return deepest - 1


def check_includes(t, path, text):
    folder = path.split("/")[0]
    code = strip_comments(text, strings=False)
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', code, re.M):
        kind, name = match.groups()
        line = line_of(code, match.start())
        for prefix, owner in ONE_SOURCE.items():
            if os.path.basename(name).startswith(prefix) and path != owner:
                t.error(path, line, f"{name} belongs in {owner} alone")
        if kind == "<":
            if folder == "replication" and name not in CORE_HEADERS:
                t.error(path, line, f"replication may not include <{name}>")
            continue
        target = name.split("/")[0]
        if "/" not in name or target not in LINE + ["tests", "perf"]:
            t.error(path, line, f'include "{name}": write it from the repository root')
        elif folder in LINE and (target not in LINE or LINE.index(target) > LINE.index(folder)):
            t.error(path, line, f"{folder} may not include {target} ({' < '.join(LINE)})")
        elif folder != target and target in ("tests", "perf"):
            if not (folder in ("tests", "perf") and {folder, target} == {"tests", "perf"}):
                t.error(path, line, f"nobody includes {target}")


def check_calls(t, path, code):
    folder = path.split("/")[0]
    low = folder in LINE[:3]
    for match in re.finditer(r"(?<![\w.])(?<!->)([A-Za-z_]\w*)\s*\(", code):
        name = match.group(1)
        reason = BANNED.get(name)
        if low and name in PRINTS and path not in MAY_PRINT:
            reason = "libraries do not print or log; mgmt/ does"
        elif low and name in ALLOCS and path not in MAY_ALLOC:
            reason = "memory is given by the caller at start"
        elif low and name in CLOCKS and path not in MAY_CLOCK:
            reason = "time and chance are parameters"
        if reason:
            t.error(path, line_of(code, match.start()), f"{name}(): {reason}")


def check_states(t, path, code, name, body, end):
    if path.split("/")[0] in LINE[:3] and (path, name) not in MAY_SET_STATE:
        if not re.search(r"(_|^)(move|init)$", name):
            for match in re.finditer(r"->state\s*=(?!=)", code[body:end]):
                t.error(path, line_of(code, body + match.start()),
                        f"{name} writes ->state; only the mover does (rule 4)")
    for match in re.finditer(r"\bswitch\s*\(([^{;]*)\)\s*\{", code[body:end]):
        if not re.search(r"\b\w*state\b", match.group(1)):
            continue
        first = body + match.end() - 1
        block = code[first:matching(code, first, "{", "}")]
        hit = re.search(r"\bdefault\s*:", block)
        if hit:
            t.error(path, line_of(code, first + hit.start()),
                    "default: in a switch over states; list every state")


def check_length(t, path, text, name, at, lines):
    start = line_of(text, at)
    near = "\n".join(text.split("\n")[max(0, start - 6):start + 2])
    exception = re.search(r"/\* tidy: long, because \S", near)
    if exception and lines > FUNCTION[1]:
        t.long_exceptions += 1
        if lines > FUNCTION_EXCEPTION:
            t.error(path, start, f"{name}: {lines} lines, {FUNCTION_EXCEPTION} even as exception")
        if t.long_exceptions > EXCEPTIONS_MAX:
            t.error(path, start, f"{name}: more than {EXCEPTIONS_MAX} annotated long functions")
    else:
        t.budget(path, start, f"function {name}: lines", lines, FUNCTION)


def check_functions(t, path, text, code):
    for name, at, body, end, parameters, static in functions(code):
        lines = code.count("\n", body, end) + 1
        check_length(t, path, text, name, at, lines)
        start = line_of(code, at)
        above = "\n".join(text.split("\n")[max(0, start - 4):start])
        if not re.search(r"/\* tidy: callback, because \S", above):  # a library set its signature
            t.budget(path, start, f"function {name}: parameters", parameters, PARAMETERS)
        t.budget(path, start, f"function {name}: nesting", nesting(code[body:end]), NESTING)
        check_states(t, path, code, name, body, end)
        t.count(path, "functions", 1)
        t.count(path, "musts", len(re.findall(r"\bmust(?:_dbg)?\s*\(", code[body:end])))


def check_text(t, path, lines):
    """What holds for every text file."""
    suffix = os.path.splitext(path)[1]
    c_like = suffix in (".c", ".h", ".cc")
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            t.error(path, number, "trailing white space")
        if c_like and line.startswith("        "):
            t.error(path, number, "indent with tabs")
        if "\t" in line and (suffix in (".py", ".md") or path.endswith("meson.build")):
            t.error(path, number, "tab")
        if c_like or suffix in (".py", ".sh") or path == "quickstart":
            columns = len(line.expandtabs(8))
            if columns > LINE_MAX:
                t.error(path, number, f"line of {columns} columns, at most {LINE_MAX}")
        lower = line.lower()
        for word in WORKSHOP:
            if word in lower and path != "LICENSE":
                t.error(path, number, f"'{word}' means nothing to a reader of this repository")
        if re.search(r"\b(FIXME|XXX)\b", line) or re.search(r"\bTODO\b(?!\(#\d+\))", line):
            if path != "tests/tidy.py":
                t.error(path, number, "TODO needs an issue number: TODO(#12)")


def check_c(t, path, text, lines):
    header = path.endswith(".h")
    t.budget(path, len(lines), "file: lines", len(lines), HEADER if header else SOURCE)
    check_includes(t, path, text)
    code = strip_comments(text)
    plain = strip_preprocessor(code)
    check_calls(t, path, plain)
    check_functions(t, path, text, plain)
    if header:
        stem = re.sub(r"\W", "_", os.path.basename(path)).upper()
        guard = re.search(r"^#ifndef (\w+)\n#define \1\n", code, re.M)
        if not guard or not re.fullmatch(f"CAIRN_(?:\\w+_)?{stem}|{stem}", guard.group(1)):
            t.error(path, 1, f"header guard CAIRN_FOLDER_{stem} missing")
    comment = sum(1 for a, b in zip(lines, code.split("\n")) if a.strip() and not b.strip())
    coded = sum(1 for b in code.split("\n") if b.strip())
    key = "header" if header else "source"
    t.count(path, key + "_comment", comment)
    t.count(path, key + "_code", coded)


def slug(heading):
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
    return "#" + text.replace(" ", "-")


def check_links(t, path, text):
    here = os.path.dirname(os.path.join(t.root, path))
    prose = re.sub(r"^```.*?^```", blank, text, flags=re.S | re.M)
    for match in re.finditer(r"\]\(([^)\s]+)\)", prose):
        target, line = match.group(1), line_of(prose, match.start())
        if re.match(r"[a-z]+://|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        full = os.path.normpath(os.path.join(here, name)) if name else os.path.join(t.root, path)
        if not os.path.exists(full):
            t.error(path, line, f"dead link: {target}")
        elif anchor and full.endswith(".md"):
            heads = re.findall(r"^#+ (.*)$", read(full), re.M)
            if "#" + anchor not in [slug(h) for h in heads]:
                t.error(path, line, f"dead anchor: {target}")
    known = "|".join(LINE + ["docs", "tests", "perf", r"\.ci"])
    for match in re.finditer(rf"`((?:{known})/[\w./*-]*\w)`", prose):
        if not glob.glob(os.path.join(t.root, match.group(1))):
            t.error(path, line_of(prose, match.start()), f"no such file: {match.group(1)}")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def check_file(t, path):
    text = read(os.path.join(t.root, path))
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    else:
        t.error(path, len(lines), "no newline at the end of the file")
    check_text(t, path, lines)
    suffix = os.path.splitext(path)[1]
    script = suffix in (".sh", ".py") or path in ("quickstart", ".ci/run")
    if suffix in (".c", ".h", ".cc") or script or path.endswith("meson.build"):
        if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(lines[:3]):
            t.error(path, 1, "SPDX-License-Identifier: Apache-2.0 missing in the first lines")
    if script and not os.stat(os.path.join(t.root, path)).st_mode & stat.S_IXUSR:
        t.error(path, 1, "script is not executable")
    if suffix in (".c", ".h", ".cc"):
        check_c(t, path, text, lines)
    if suffix == ".md":
        check_links(t, path, text)


TEXT = re.compile(r"(\.(c|h|cc|py|sh|md|in|build|toml|job|txt|scd|service)|/run|^quickstart"
                  r"|^LICENSE|clang-format)$")


def tree(root):
    for folder, folders, files in os.walk(root):
        inside = os.path.relpath(folder, root)
        folders[:] = sorted(f for f in folders
                            if (not f.startswith(".") or f == ".ci") and f != "__pycache__"
                            and not os.path.exists(os.path.join(folder, f, "meson-private"))
                            and not (inside == "tests/fuzz" and f == "corpus"))
        for name in sorted(files):
            path = os.path.normpath(os.path.join(inside, name))
            if TEXT.search(path):
                yield path


def check_top(t):
    for name in os.listdir(t.root):
        if name.startswith(".") or name in TOP:
            continue
        if os.path.exists(os.path.join(t.root, name, "meson-private")):
            continue
        t.error(name, 1, "the top level holds only " + " ".join(sorted(TOP)))


def check_tree(root):
    t = Tidy(root)
    check_top(t)
    for path in tree(root):
        check_file(t, path)
    return t


def ratio(counts, a, b):
    return f"{counts.get(a, 0) / counts[b]:.2f}" if counts.get(b) else "-"


def report(t):
    for w in sorted(t.warnings):
        print("warning:", w)
    print(f"{'folder':12} {'functions':>9} {'must/function':>13} {'header comment/code':>19} "
          f"{'source comment/code':>19} {'code lines':>10}")
    for folder in LINE + ["tests", "perf"]:
        c = t.density.get(folder, {})
        print(f"{folder:12} {c.get('functions', 0):9} {ratio(c, 'musts', 'functions'):>13} "
              f"{ratio(c, 'header_comment', 'header_code'):>19} "
              f"{ratio(c, 'source_comment', 'source_code'):>19} "
              f"{c.get('header_code', 0) + c.get('source_code', 0):10}")
    print(f"annotated long functions: {t.long_exceptions} of at most {EXCEPTIONS_MAX}")


def public_headers(root):
    return [p for p in tree(root) if p.endswith(".h") and not p.startswith("tests/")]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--root", default=here)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--list-headers", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
        sys.dont_write_bytecode = True
        import tidy_cases
        return tidy_cases.run(check_tree)
    if args.list_headers:
        print("\n".join(public_headers(args.root)))
        return 0
    t = check_tree(args.root)
    if args.report:
        report(t)
    for e in sorted(t.errors):
        print(e)
    print(f"tidy: {len(t.errors)} errors, {len(t.warnings)} warnings")
    return 1 if t.errors else 0


if __name__ == "__main__":
    sys.exit(main())
