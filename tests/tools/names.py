#!/usr/bin/env python3
"""Guard lib/librobust.names, the list of every public name.

A listed line fails when its name has vanished: functions, constants and types from the
headers, everything else as a string in src. A public name that is not listed fails too:
functions, constants, types, and the options of every table.

names.py --write    add what is missing to the list (lines are taken out by hand only)
"""
import pathlib
import re
import sys

import headers

LIST = pathlib.Path("lib/librobust.names")
HEAD = """# librobust.names -- every public name. A line that vanishes breaks somebody: taking one
# out is a decision, written down in docs/changelog.md. `make check-names` guards it.
# kinds: function constant type (headers); option method column word key operator (strings)
"""
KINDS = ["function", "constant", "type", "option", "method", "column", "word", "key",
         "operator"]
IN_HEADERS = KINDS[:3]
TABLE = re.compile(r"\brob_option\s+\w+\s*\[\w*\]\s*=\s*\{(.*?)\n\s*\};", re.S)


def sources():
    return "\n".join(p.read_text() for p in sorted(pathlib.Path("src").rglob("*.[ch]")))


def options(text):
    found = {"isa"}
    for body in TABLE.findall(text):
        found |= set(re.findall(r'\{\s*"([\w.]+)"', body))
    return found


def operators(text):
    listed = pathlib.Path("src/op/list.h").read_text()
    return set(re.findall(r"^OP\((\w+)\)", listed, re.M))


def public(text):
    return ({("function", name) for _, name, *_ in headers.functions()}
            | {("constant", name) for name in headers.constants()}
            | {("type", name) for name in headers.types()}
            | {("option", name) for name in options(text)}
            | {("operator", name) for name in operators(text)})


def listed():
    if not LIST.exists():
        return set()
    lines = [l.split() for l in LIST.read_text().splitlines()
             if l.strip() and not l.startswith("#")]
    return {(l[0], " ".join(l[1:])) for l in lines}


def exists(kind, name, now, text):
    if (kind, name) in now:
        return True
    if kind in IN_HEADERS or kind not in KINDS:
        return False
    return re.search(rf'"(?:[^"\n]*[\s,;|])?{re.escape(name)}(?:[=\s,;|][^"\n]*)?"', text) is not None


def write(names):
    order = sorted(names, key=lambda n: (KINDS.index(n[0]), n[1]))
    LIST.write_text(HEAD + "".join(f"{kind} {name}\n" for kind, name in order))
    print(f"{LIST}: {len(order)} names")
    return 0


def main():
    text = sources()
    now, names = public(text), listed()
    if "--write" in sys.argv:
        return write(names | now)
    faults = [f"{kind} {name} is listed, but gone" for kind, name in sorted(names)
              if not exists(kind, name, now, text)]
    faults += [f"{kind} {name} is public, but not in {LIST}"
               for kind, name in sorted(now - names)]
    print("\n".join(faults), end="\n" if faults else "")
    print(f"{len(names | now) - len(faults)} passed, {len(faults)} failed, 0 skipped")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
