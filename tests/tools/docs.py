#!/usr/bin/env python3
"""The header is the manual: check the fields of every comment, or write the reference.

docs.py                 every function: a comment, every parameter named in it, "since"
docs.py --write FILE    the reference manual in Markdown
"""
import pathlib
import re
import sys

import headers


def missing_fields(comment, parameters):
    """What holds for all functions, as ctx, is said at the header's top."""
    if not comment.startswith("/**"):
        return ["a comment that begins with /**"]
    missing = [p for p in parameters
               if p != "ctx" and not re.search(rf"\b{re.escape(p)}\b", comment)]
    if not re.search(r"\bsince\s+\d+\.\d+", comment, re.I):
        missing.append("since")
    return missing


def check():
    faults = count = 0
    for path, name, _, comment, parameters in headers.functions():
        count += 1
        missing = missing_fields(comment, parameters)
        if missing:
            faults += 1
            print(f"{path}: {name} lacks {', '.join(missing)}")
    for path in headers.HEADERS:
        text = path.read_text()
        comment = sum(len(c) for c in re.findall(r"/\*.*?\*/", text, re.S))
        print(f"{path}: {100 * comment // len(text)} % comment")
    print(f"{count - faults} passed, {faults} failed, 0 skipped")
    return int(faults > 0)


def body(comment):
    lines = comment.removeprefix("/**").removeprefix("/*").removesuffix("*/").split("\n")
    return "\n".join(re.sub(r"^\s*\* ?", "", line).rstrip() for line in lines).strip("\n")


def write(target):
    parts, seen = ["# Reference\n\nWritten by `make docs` from the public headers.\n"], None
    for path, name, prototype, comment, _ in headers.functions():
        if path != seen:
            seen, text = path, path.read_text()
            top = re.match(r"/\*.*?\*/", text, re.S)
            parts.append(f"## robust/{path.name}\n\n{body(top.group(0)) if top else ''}\n")
        parts.append(f"### {name}\n\n    {prototype}\n\n{body(comment)}\n")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(parts))
    print(f"{target}: {len(parts)} entries")
    return 0


if __name__ == "__main__":
    sys.exit(write(pathlib.Path(sys.argv[2])) if "--write" in sys.argv else check())
