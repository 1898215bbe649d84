#!/usr/bin/env python3
"""Run test programs, print the seconds of each and one total line.

usage: run.py [--jobs N] [--timeout S] (--step NAME=COMMAND | --suite NAME=COMMAND)...

A suite ends with the line "N passed, M failed, K skipped"; a suite without that line, or
one that exits with an error although nothing failed, counts as one failure. A step is a
command that works (counted as nothing) or does not (one failure). Items run in order;
neighbouring suites run side by side, N at a time. What failed is said once more at the end.
"""
import concurrent.futures
import re
import subprocess
import sys
import time

TOTAL = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")


def arguments(argv):
    jobs, timeout, items = 1, 900, []
    for option, value in zip(argv[::2], argv[1::2]):
        if option == "--jobs":
            jobs = int(value)
        elif option == "--timeout":
            timeout = int(value)
        elif option in ("--step", "--suite"):
            name, command = value.split("=", 1)
            items.append((option[2:], name, command))
        else:
            sys.exit(f"run.py: no option {option}")
    return jobs, timeout, items


def call(command, timeout):
    process = subprocess.Popen(command, shell=True, text=True, errors="replace",
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        text, _ = process.communicate(timeout=timeout)
        return process.returncode, text
    except subprocess.TimeoutExpired:
        import os
        import signal
        os.killpg(process.pid, signal.SIGKILL)
        text, _ = process.communicate()
        return 1, text + f"stopped after {timeout} s\n"


def without_progress(text):
    """A failed build: the compiler's words, not the list of what went well."""
    lines = [l for l in text.split("\n") if not l.startswith(("CC ", "AR ", "LD "))]
    return "\n".join(lines[:80])


def run(item, timeout):
    kind, name, command = item
    start = time.monotonic()
    code, text = call(command, timeout)
    seconds = time.monotonic() - start
    if kind == "step":
        text = "" if code == 0 else without_progress(text)
        return name, seconds, text, (0, int(code != 0), 0), code
    lines = [l for l in text.rstrip("\n").split("\n") if not l.startswith("make")]
    match = TOTAL.match(lines[-1])
    if match:
        counts = tuple(map(int, match.groups()))
        text = "\n".join(lines[:-1])
    else:
        counts = (0, 1, 0)
        text += "\nno total line at the end"
    if code != 0 and counts[1] == 0:
        counts = (counts[0], 1, counts[2])
        text += f"\nended with code {code}"
    return name, seconds, text, counts, code


def report(result, total):
    name, seconds, text, counts, _ = result
    if text.strip():
        print(text.strip("\n"))
    words = "{} passed, {} failed, {} skipped".format(*counts)
    print(f"{name:<24} {seconds:7.1f} s   {words}", flush=True)
    return [a + b for a, b in zip(total, counts)]


def repeat(failures):
    """The end of a long log is what is read: which ones failed, and their last words."""
    for name, _, text, counts, _ in failures:
        print(f"FAILED {name}: {counts[1]} of {sum(counts)}")
        for line in text.strip("\n").split("\n")[-8:]:
            print("    " + line)


def main():
    jobs, timeout, items = arguments(sys.argv[1:])
    total, failures = [0, 0, 0], []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        while items:
            length = 1
            while items[0][0] == "suite" and length < len(items) \
                    and items[length][0] == "suite":
                length += 1
            group, items = items[:length], items[length:]
            for result in pool.map(lambda item: run(item, timeout), group):
                total = report(result, total)
                failures += [result] if result[3][1] else []
    repeat(failures)
    print("{} passed, {} failed, {} skipped".format(*total))
    return int(total[1] > 0)


if __name__ == "__main__":
    sys.exit(main())
