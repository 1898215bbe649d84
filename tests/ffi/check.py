#!/usr/bin/env python3
"""The shared library from other languages: ctypes here; C++ and Rust where they are.

usage: check.py BUILD
"""
import ctypes
import pathlib
import shutil
import subprocess
import sys

BUILD = pathlib.Path(sys.argv[1])
count = {"passed": 0, "failed": 0, "skipped": 0}


def expect(truth, what):
    count["passed" if truth else "failed"] += 1
    if not truth:
        print(f"failed: {what}")


def skip(why):
    count["skipped"] += 1
    print(f"skipped: {why}")


def from_python():
    """Handles, strings, errors and a callback through plain ctypes."""
    lib = ctypes.CDLL(str(BUILD / "librobust.so"))
    for name in ("rob_version", "rob_status_string", "rob_ctx_error", "rob_build_info"):
        getattr(lib, name).restype = ctypes.c_char_p
    ctx = ctypes.c_void_p()
    expect(lib.rob_ctx_create(ctypes.byref(ctx)) == 0 and ctx, "rob_ctx_create")
    expect(lib.rob_version().count(b".") == 2, "rob_version")
    expect(lib.rob_status_string(-20) == b"wrong argument", "rob_status_string")
    expect(lib.rob_ctx_set_threads(ctx, -3) == -20, "a wrong argument is refused")
    expect(b"-3" in lib.rob_ctx_error(ctx), "the error names the value")
    step = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_char_p,
                            ctypes.c_int64, ctypes.c_int64)(lambda *_: 0)
    expect(lib.rob_ctx_set_progress(ctx, step, None) == 0, "rob_ctx_set_progress")
    lib.rob_ctx_free(ctx)


def by_compiler(folder, pattern, tool, command):
    files = sorted(pathlib.Path("examples", folder).glob(pattern))
    if not files:
        return
    if not shutil.which(tool):
        return skip(f"{tool} is not installed")
    target = BUILD / "ffi"
    target.mkdir(exist_ok=True)
    for path in files:
        line = [tool, *command(path), "-o", str(target / path.stem)]
        result = subprocess.run(line, capture_output=True, text=True)
        expect(result.returncode == 0, f"{path}: {result.stderr[-2000:]}")


def main():
    from_python()
    link = ["-L" + str(BUILD), "-lrobust"]
    by_compiler("cpp", "*.cpp", "g++",
                lambda p: ["-std=c++17", "-Wall", "-Wextra", "-Iinclude", str(p), *link])
    by_compiler("rust", "*.rs", "rustc", lambda p: [str(p), *link])
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**count))
    return int(count["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
