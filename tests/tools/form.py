#!/usr/bin/env python3
"""The budgets of form: function and file lengths, columns, nesting.

Fails on functions over 80 lines unless the comment above says "reads better whole", on
files over 500 lines, on tabs and on a .c file that opens without a comment; prints the
rest of the budget.
"""
import collections
import pathlib
import re
import sys

FOLDERS = ("src", "include", "examples", "tests")
FUNCTION_STOP, FILE_STOP, COLUMNS = 80, 500, 88


def c_files():
    for folder in FOLDERS:
        yield from sorted(pathlib.Path(folder).rglob("*.[ch]"))


def functions(lines):
    """Yield (name, first line, lines of the body, comment above, deepest nesting)."""
    start = None
    for i, line in enumerate(lines):
        if line.startswith("{"):
            start = i
        elif line.startswith("}") and start is not None:
            head = start
            while head > 0 and lines[head - 1].strip() and not lines[head - 1].startswith(
                    ("}", "#")) and not lines[head - 1].rstrip().endswith((";", "*/")):
                head -= 1
            text = " ".join(lines[head:start])
            match = re.search(r"(\w+)\s*\(", text)
            if match and line.rstrip() == "}":
                above = "\n".join(lines[max(0, head - 12):head])
                body = lines[start + 1:i]
                yield match.group(1), start + 1, len(body), above, nesting(body)
            start = None


def nesting(body):
    """Deepest block inside the function, by its indent of four spaces."""
    indents = [len(l) - len(l.lstrip()) for l in body
               if re.match(r"\s*(if|for|while|switch|do)\b", l)]
    return max((n // 4 for n in indents), default=0)


def faults_of(path, lines):
    for name, line, length, above, depth in functions(lines):
        if length > FUNCTION_STOP and "reads better whole" not in above:
            yield f"{path}:{line}: {name} has {length} lines, the stop is {FUNCTION_STOP}"
    if len(lines) > FILE_STOP:
        yield f"{path}: {len(lines)} lines, the stop is {FILE_STOP}"
    for i, line in enumerate(lines):
        if "\t" in line or line != line.rstrip():
            yield f"{path}:{i + 1}: a tab or a blank at the end"
    if path.suffix == ".c" and lines and not lines[0].startswith("/*"):
        yield f"{path}:1: opens with what it computes, in a comment"


def print_budget(lengths, deep, wide):
    lengths = sorted(lengths)
    if not lengths:
        return
    median, p90 = lengths[len(lengths) // 2], lengths[9 * len(lengths) // 10]
    print(f"functions in src: {len(lengths)}, median {median} (budget 12), "
          f"p90 {p90} (budget 40), longest {lengths[-1]} (stop {FUNCTION_STOP})")
    print(f"lines over {COLUMNS} columns: {sum(wide.values())} "
          + ", ".join(f"{p} {n}" for p, n in wide.most_common(6)))
    print(f"functions nested deeper than 3: {len(deep)} {' '.join(deep[:8])}")


def main():
    faults, lengths, deep, count = [], [], [], 0
    wide = collections.Counter()
    for path in c_files():
        count += 1
        lines = path.read_text().split("\n")
        lines = lines[:-1] if lines[-1] == "" else lines
        faults += faults_of(path, lines)
        wide[str(path)] += sum(len(l) > COLUMNS for l in lines)
        if path.parts[0] == "src":
            found = list(functions(lines))
            lengths += [f[2] for f in found]
            deep += [f[0] for f in found if f[4] > 3]
    print_budget(lengths, deep, wide)
    print("\n".join(faults), end="\n" if faults else "")
    bad = len({f.split(":")[0] for f in faults})
    print(f"{count - bad} passed, {len(faults)} failed, 0 skipped")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
