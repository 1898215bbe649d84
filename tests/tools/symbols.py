#!/usr/bin/env python3
"""ROB_API prototypes == globals of lib/librobust.map == symbols the shared library exports."""
import pathlib
import re
import subprocess
import sys

import headers


def in_map():
    text = pathlib.Path("lib/librobust.map").read_text()
    return set(re.findall(r"\b(\w+);", text.split("global:")[1].split("local:")[0]))


def in_library(path):
    lines = subprocess.run(["nm", "-D", "--defined-only", path], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    return {l.split()[-1].split("@")[0] for l in lines if l.split()[-2] != "A"}


def main():
    declared = [name for _, name, *_ in headers.functions()]
    sets = {"headers": set(declared), "lib/librobust.map": in_map(),
            sys.argv[1]: in_library(sys.argv[1])}
    faults = [f"{n} is declared twice" for n in set(declared) if declared.count(n) > 1]
    everything = set().union(*sets.values())
    for name in sorted(everything):
        absent = [where for where, names in sets.items() if name not in names]
        if absent:
            faults.append(f"{name} is not in {' and '.join(absent)}")
    for header in headers.HEADERS:
        plain = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        for word in re.findall(r"\b(bool|long|va_list|FILE)\b|\.\.\.", plain):
            faults.append(f"{header}: {word or '...'} has no place in a public header")
    print("\n".join(faults), end="\n" if faults else "")
    print(f"{max(0, len(everything) - len(faults))} passed, {len(faults)} failed, 0 skipped")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
