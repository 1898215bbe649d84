#!/usr/bin/env python3
"""The library from other languages, by people who only have an installed copy.

A scratch prefix gets headers, shared library and robust.pc. The C library makes a small
model, series and the line of a misspelt option; the C quickstart prints the bits of its
numbers. Then each language runs its quickstart, which must print what C's prints, and its
test program calls.*, which compares bits and lines and counts what it checked. A language
whose tools are not there counts as one skipped.

usage: check.py BUILD      (in the root of the repository; BUILD holds librobust.so)
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

BUILD = pathlib.Path(sys.argv[1]).resolve()
HERE = BUILD / "ffi"
PREFIX, WORK = HERE / "prefix", HERE / "work"
ENVIRONMENT = dict(os.environ, PKG_CONFIG_PATH=str(PREFIX / "lib/pkgconfig"),
                   LD_LIBRARY_PATH=str(PREFIX / "lib"), ROBUST_FFI=str(WORK),
                   CARGO_TARGET_DIR=str(HERE / "rust"), CARGO_NET_OFFLINE="true",
                   PYTHONDONTWRITEBYTECODE="1")
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
TOTAL = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.M)
CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", re.M)
INPUT = [str(WORK / "model.safetensors"), str(WORK / "series.tsv")]
count = {"passed": 0, "failed": 0, "skipped": 0}


def expect(truth, what):
    count["passed" if truth else "failed"] += 1
    if not truth:
        print(f"failed: {what}")
    return truth


def skip(why):
    count["skipped"] += 1
    print(f"skipped: {why}")


def run(*line, folder="."):
    return subprocess.run([str(w) for w in line], cwd=folder, env=ENVIRONMENT, text=True,
                          errors="replace", capture_output=True, timeout=600, check=False)


def works(what, *line, folder="."):
    """Whether a command ends well: (yes, its output)."""
    result = run(*line, folder=folder)
    words = (result.stdout + result.stderr)[-3000:]
    return expect(result.returncode == 0, f"{what}\n{words}"), result.stdout


def add_totals(what, result, pattern):
    """Take over the counts a test program printed; none printed is a failure."""
    found = pattern.findall(result.stdout)
    for passed, failed, skipped in found:
        count["passed"] += int(passed)
        count["failed"] += int(failed)
        count["skipped"] += int(skipped)
    failed = sum(int(f[1]) for f in found)
    if failed:
        print(f"{what}:\n{result.stdout[-3000:]}")
    elif not found or result.returncode != 0:
        expect(False, f"{what}\n{(result.stdout + result.stderr)[-3000:]}")


# ---- an installed library and what C says -------------------------------------------
def install():
    """As `make install`, of what a wrapper needs; apart, because suites run at once."""
    shutil.rmtree(HERE / "prefix", ignore_errors=True)
    shutil.rmtree(WORK, ignore_errors=True)
    for folder in (PREFIX / "include", PREFIX / "lib/pkgconfig", WORK):
        folder.mkdir(parents=True)
    shutil.copy("include/robust.h", PREFIX / "include")
    shutil.copytree("include/robust", PREFIX / "include/robust")
    shutil.copy(BUILD / "librobust.so", PREFIX / "lib/librobust.so.0")
    (PREFIX / "lib/librobust.so").symlink_to("librobust.so.0")
    text = pathlib.Path("pkgconfig/robust.pc.in").read_text()
    for name, value in (("prefix", str(PREFIX)), ("version", "0"), ("libs", "")):
        text = text.replace(f"@{name}@", value)
    (PREFIX / "lib/pkgconfig/robust.pc").write_text(text)


def flags():
    return run("pkg-config", "--cflags", "--libs", "robust").stdout.split()


def from_c():
    """The fixtures; the C quickstart's lines, and its bits in bits.txt."""
    cc = [shutil.which("gcc") or "cc", "-std=c11", "-D_POSIX_C_SOURCE=200809L", *STRICT]
    fixture, plain, bits = (HERE / n for n in ("fixture", "quickstart", "bits"))
    good, _ = works("fixture.c", *cc, "tests/ffi/fixture.c", *flags(), "-o", fixture)
    good = good and works("the fixtures", fixture, WORK)[0]
    source = ["examples/quickstart.c", *flags(), "-o"]
    good = good and works("quickstart.c", *cc, *source, plain)[0]
    good = good and works("quickstart.c with bits.h", *cc, "-include", "tests/ffi/bits.h",
                          *source, bits)[0]
    if not good:
        return None
    (WORK / "bits.txt").write_text(works("bits", bits, *INPUT)[1])
    return works("the C quickstart", plain, *INPUT)[1]


# ---- the languages -------------------------------------------------------------------
def quickstart(name, expected, *line, folder="."):
    good, text = works(f"the {name} quickstart", *line, *INPUT, folder=folder)
    if good:
        expect(text == expected, f"the {name} quickstart prints\n{text}and not\n{expected}")


def from_cpp(expected):
    compilers = [c for c in ("g++", "clang++") if shutil.which(c)]
    if not compilers:
        return skip("C++: neither g++ nor clang++ is installed")
    for cxx in compilers:
        line = [cxx, "-std=c++17", *STRICT, "-pthread"]
        program, calls = HERE / f"quickstart-{cxx}", HERE / f"calls-{cxx}"
        if works(f"quickstart.cpp, {cxx}", *line, "examples/cpp/quickstart.cpp", *flags(),
                 "-o", program)[0]:
            quickstart(cxx, expected, program)
        if works(f"calls.cpp, {cxx}", *line, "tests/ffi/calls.cpp", *flags(), "-o",
                 calls)[0]:
            add_totals(f"calls.cpp, {cxx}", run(calls, WORK), TOTAL)


def from_rust(expected):
    if not shutil.which("cargo") or run("cargo", "--version").returncode != 0:
        return skip("Rust: cargo is not installed")
    cargo, folder = ["cargo", "--quiet"], "examples/rust"
    offline = ["--offline", "--locked"]
    if works("cargo build", *cargo, "build", *offline, "--examples", folder=folder)[0]:
        quickstart("Rust", expected, HERE / "rust/debug/examples/quickstart")
        line = [*cargo, "test", *offline, "-p", "robust", "--", "--include-ignored"]
        add_totals("cargo test", run(*line, folder=folder), CARGO)


def with_numpy():
    """A Python that has numpy: this one, or the system's."""
    return next((p for p in (sys.executable, "/usr/bin/python3") if shutil.which(p)
                 and run(p, "-c", "import numpy").returncode == 0), None)


def from_python(expected):
    python = with_numpy()
    if python is None:
        return skip("Python: numpy is not installed")
    quickstart("Python", expected, python, "examples/python/quickstart.py")
    good, text = works("geometry.py", python, "examples/python/geometry.py", *INPUT)
    if good:
        distance, *_, safe, margin = map(float, re.findall(r"-?\d+\.\d+", text))
        expect(0 < safe <= distance and margin > 0, f"geometry.py prints\n{text}")
    line = [python, "tests/ffi/calls.py", WORK]
    add_totals("calls.py", run(*line), TOTAL)
    line.append(PREFIX / "lib/librobust.so")
    add_totals("calls.py with the library's path", run(*line), TOTAL)


def from_julia(expected):
    if not shutil.which("julia"):
        return skip("Julia: julia is not installed")
    julia = ["julia", "--startup-file=no"]
    quickstart("Julia", expected, *julia, "examples/julia/quickstart.jl")
    add_totals("calls.jl", run(*julia, "tests/ffi/calls.jl", WORK), TOTAL)


def main():
    add_totals("declarations.py", run(sys.executable, "tests/ffi/declarations.py"), TOTAL)
    install()
    expected = from_c()
    if expected is not None:
        for language in (from_cpp, from_rust, from_python, from_julia):
            language(expected)
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**count))
    return int(count["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
