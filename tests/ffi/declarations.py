#!/usr/bin/env python3
"""Every C function is wrapped; every one that a wrapper declares is in the headers, with the
same parameters. What is left out on purpose stands in LEFT_OUT, with the reason.

A type is compared by its kind: width and sign of a number, what a pointer points at, that
a callback is a callback. Handles are one kind; where a language names them (Rust), the
names are compared too. C++ includes the headers, so for it only the names are looked up.

usage: declarations.py      (in the root of the repository)
"""
import ast
import pathlib
import re
import sys

sys.path.insert(0, "tests/tools")
import headers  # noqa: E402

NUMBERS = {"int32_t": "i32", "rob_status": "i32", "rob_var": "i32", "int64_t": "i64",
           "uint64_t": "u64", "uint8_t": "u8", "double": "f64", "char": "char",
           "void": "void"}


CALLBACKS = set(re.findall(r"typedef\s+\w+\s*\(\*(rob_\w+)\)",
                           "".join(p.read_text() for p in headers.HEADERS)))


# ---- C: the truth --------------------------------------------------------------------
def c_kind(text):
    """Kind of a C type: "i64", "f64*", "rob_query*", "rob_query**"."""
    stars = text.count("*")
    base = [w for w in text.replace("*", " ").split() if w != "const"][0]
    return "callback" if base in CALLBACKS else NUMBERS.get(base, base) + "*" * stars


def c_parameter(text):
    if re.search(r"\(\s*\*", text):
        return "callback"
    return c_kind(re.match(r"(.*?)\w+$", text).group(1))


def c_functions():
    """{name: [result, parameters...]} in kinds."""
    found = {}
    for _, name, prototype, _, _ in headers.functions():
        result, rest = prototype.split(name, 1)
        inside = rest[rest.index("(") + 1:rest.rindex(")")]
        kinds = [c_parameter(p) for p in headers.split_parameters(inside)]
        found[name] = [c_kind(result), *kinds]
    return found


# ---- the wrappers --------------------------------------------------------------------
def until_closed(text, start):
    """What stands before the parenthesis that closes the one before start; its end."""
    depth, end = 1, start
    while depth:
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    return text[start:end - 1], end


RUST = {"i32": "i32", "rob_status": "i32", "rob_var": "i32", "i64": "i64", "u64": "u64",
        "u8": "u8", "f64": "f64", "c_char": "char", "c_void": "void",
        **dict.fromkeys(CALLBACKS, "callback")}
RUST_TYPE = re.compile(r"((?:\*(?:const|mut)\s+)*)(\w+)$")


def rust_kind(text):
    if text.startswith("Option<unsafe extern"):
        return "callback"
    pointers, base = RUST_TYPE.match(text.strip()).groups()
    return RUST.get(base, base) + "*" * pointers.count("*")


def rust_functions(path):
    text = re.sub(r"//.*", "", path.read_text())
    for match in re.finditer(r"pub fn (rob_\w+)\(", text):
        inside, end = until_closed(text, match.end())
        result = re.match(r"\s*->\s*([^;]+);", text[end:])
        parts = headers.split_parameters(inside)
        kinds = [rust_kind(p.split(":", 1)[1].strip()) for p in parts]
        yield match.group(1), [rust_kind(result.group(1) if result else "c_void"), *kinds]


JULIA = {"Int32": "i32", "Cint": "i32", "Int64": "i64", "UInt64": "u64", "UInt8": "u8",
         "Float64": "f64", "Cdouble": "f64", "Cchar": "char", "Cstring": "char*",
         "Cvoid": "void", "Handle": "handle", "Callback": "callback"}


def julia_kind(text):
    pointer = re.match(r"(?:Ptr|Ref)\{(.*)\}$", text)
    if pointer:
        return JULIA[pointer.group(1)] + "*"
    return JULIA[text]


def julia_functions(path):
    text = re.sub(r"#.*", "", path.read_text())
    for match in re.finditer(r"@ccall[\s(]+\w+\.(rob_\w+)\(", text):
        inside, after = until_closed(text, match.end())
        result = re.match(r"::([\w{}]+)", text[after:]).group(1)
        parts = headers.split_parameters(inside)
        yield match.group(1), [julia_kind(k) for k in
                               [result, *(p.rsplit("::", 1)[1] for p in parts)]]


PYTHON = {"text": "char*", "char*": "char*", "step": "callback", "line": "callback",
          "logits": "callback", "pullback": "callback"}


def python_functions(path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DECLARED":
            for name, words in ast.literal_eval(node.value).items():
                yield name, [PYTHON.get(w, w) for w in words.split()]


def cpp_functions(path, truth):
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    types = headers.types()
    for name in sorted(set(re.findall(r"\brob_\w+", text)) - types):
        yield name, truth.get(name, [])


# ---- the comparison ------------------------------------------------------------------
def same(declared, true):
    if declared == "handle":
        return re.fullmatch(r"rob_\w+\*", true) is not None
    if declared == "handle*":
        return re.fullmatch(r"rob_\w+\*\*", true) is not None
    return declared == true


def fault(name, declared, truth):
    if name not in truth:
        return "is in no header"
    true = truth[name]
    if len(declared) != len(true):
        return f"has {len(declared) - 1} parameters, the header {len(true) - 1}"
    for i, (mine, theirs) in enumerate(zip(declared, true)):
        if not same(mine, theirs):
            place = f"parameter {i}" if i else "the result"
            return f"{place} is {mine}, in the header {theirs}"
    return None


def rust_constants(path):
    """Faults of `ROB_NAME = value;` against the headers' enums."""
    text = "".join(p.read_text() for p in headers.HEADERS)
    true = dict(re.findall(r"\b(ROB_[A-Z0-9_]+) = (-?\d+)", text))
    for name, value in re.findall(r"\b(ROB_\w+) = (-?\d+);", path.read_text()):
        yield name, None if true.get(name) == value else f"is {value}, not {true.get(name)}"


# What a wrapper lacks on purpose, and why.
ALLOCATOR = "an allocator is called on threads that the language does not know"
COUNTED = "its own objects are counted by the language already"
LEFT_OUT = {
    "python/robust.py": {"rob_ctx_create_with": ALLOCATOR, "rob_model_ref": COUNTED},
    "julia/Robust.jl": {"rob_ctx_create_with": ALLOCATOR, "rob_model_ref": COUNTED},
    "rust/robust/src/*.rs": {"rob_ctx_create_with": "robust-sys has it; safe code has the "
                                                    "allocator of the program"},
}


def forgotten(pattern, truth, times):
    """(name, fault) of every public function: does it occur so often? A name left out on
    purpose that does is a fault too, so that the list stays true."""
    text = "".join(p.read_text() for p in sorted(pathlib.Path("examples").glob(pattern)))
    words = re.findall(r"\brob_\w+", text)
    left = LEFT_OUT.get(pattern, {})
    yield from ((name, "is left out, and no function") for name in left.keys() - truth.keys())
    for name in sorted(truth):
        if (words.count(name) >= times) == (name not in left):
            yield name, None
        else:
            yield name, "is in LEFT_OUT and wrapped" if name in left else \
                "is not wrapped (docs/bindings.md says how; or name it in LEFT_OUT)"


def main():
    truth = c_functions()
    examples = pathlib.Path("examples")
    rust = examples / "rust/robust-sys/src/lib.rs"
    wrappers = [(rust, rust_functions(rust))]
    julia, python, cpp = (examples / p for p in (
        "julia/Robust.jl", "python/robust.py", "cpp/robust.hpp"))
    wrappers += [(julia, julia_functions(julia)), (python, python_functions(python)),
                 (cpp, cpp_functions(cpp, truth))]
    passed, faults = 0, []
    for path, functions in wrappers:
        functions = list(functions)
        checked = [(name, fault(name, kinds, truth)) for name, kinds in functions]
        checked += list(rust_constants(path)) if path == rust else []
        checked += [] if functions else [("", "declares nothing")]
        passed += sum(why is None for _, why in checked)
        faults += [f"{path}: {name} {why}" for name, why in checked if why]
    # In Python a function is declared and then called; elsewhere once is enough.
    for pattern, times in (("cpp/robust.hpp", 1), ("python/robust.py", 2),
                           ("julia/Robust.jl", 1), ("rust/robust-sys/src/lib.rs", 1),
                           ("rust/robust/src/*.rs", 1)):
        checked = list(forgotten(pattern, truth, times))
        passed += sum(why is None for _, why in checked)
        faults += [f"examples/{pattern}: {name} {why}" for name, why in checked if why]
    print("\n".join(faults), end="\n" if faults else "")
    print(f"{passed} passed, {len(faults)} failed, 0 skipped")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
