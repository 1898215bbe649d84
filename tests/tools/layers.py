#!/usr/bin/env python3
"""Hold every #include of src against the table src/LAYERS."""
import pathlib
import re
import sys

SRC = pathlib.Path("src")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
LAPACK = ("cblas.h", "lapacke.h", "lapack.h")


def table():
    allowed = {}
    for line in (SRC / "LAYERS").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            module, others = line.split(":")
            allowed[module.strip()] = set(others.split())
    return allowed


def cycles(allowed):
    """Modules that may include themselves through others."""
    def reach(module, seen):
        for other in allowed.get(module, ()):
            if other not in seen:
                seen.add(other)
                reach(other, seen)
        return seen
    return [f"LAYERS: {m} reaches itself" for m in allowed if m in reach(m, set())]


def faults_of(path, allowed):
    module = path.parts[1]
    for kind, name in INCLUDE.findall(path.read_text()):
        other = name.split("/")[0]
        if name in LAPACK and module != "la":
            yield f"{path}: only src/la includes {name}"
        elif kind == '"' and "/" not in name:
            if not (path.parent / name).exists():
                yield f'{path}: write "module/{name}"'
        elif kind == '"' and other != module and other not in allowed[module]:
            yield f"{path}: {module} may not include {name}"


def main():
    allowed = table()
    files = sorted(SRC.rglob("*.[ch]"))
    unknown = sorted({p.parts[1] for p in files} - set(allowed))
    faults = [f"src/{m} is not in src/LAYERS" for m in unknown] + cycles(allowed)
    for path in files:
        if path.parts[1] in allowed:
            faults += faults_of(path, allowed)
    print("\n".join(faults), end="\n" if faults else "")
    bad = len({f.split(":")[0] for f in faults})
    print(f"{len(files) - min(bad, len(files))} passed, {len(faults)} failed, 0 skipped")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
