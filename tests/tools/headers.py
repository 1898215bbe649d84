"""The public headers as data: every ROB_API function with its comment and parameters."""
import pathlib
import re

HEADERS = sorted(pathlib.Path("include/robust").glob("*.h"))
ORDER = ["status", "ctx", "tape", "model", "data", "trainer", "query", "attack", "bound",
         "sampler"]
PROTOTYPE = re.compile(
    r"(?P<comment>/\*(?:(?!\*/).)*\*/)?\s*ROB_API\s+(?P<result>[\w\s*]+?)(?P<name>rob_\w+)\s*"
    r"\((?P<list>.*?)\)\s*;", re.S)
ENUM = re.compile(r"enum\s*\w*\s*\{(.*?)\}", re.S)


def in_order(path):
    return (ORDER.index(path.stem) if path.stem in ORDER else len(ORDER), path.stem)


def split_parameters(text):
    """Split at the commas that are in no parentheses."""
    depth, start, parts = 0, 0, []
    for i, c in enumerate(text + ","):
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append(" ".join(text[start:i].split()))
            start = i + 1
    return [p for p in parts if p not in ("void", "")]


def parameter_name(text):
    pointer = re.search(r"\(\s*\*\s*(\w+)\s*\)\s*\(", text)
    return pointer.group(1) if pointer else re.findall(r"\w+", text)[-1]


def functions():
    """Yield (header, name, prototype, comment, [parameter names])."""
    for path in sorted(HEADERS, key=in_order):
        for match in PROTOTYPE.finditer(path.read_text()):
            text = " ".join(match.group(0)[len(match.group("comment") or ""):].split())
            names = [parameter_name(p) for p in split_parameters(match.group("list"))]
            yield (path, match.group("name"), text.replace("ROB_API ", ""),
                   match.group("comment") or "", names)


def constants():
    found = set()
    for path in HEADERS:
        plain = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
        for body in ENUM.findall(plain):
            found |= set(re.findall(r"\bROB_\w+", body))
    return found


def types():
    found = set()
    for path in HEADERS:
        found |= set(re.findall(r"typedef\s+[^;(]*?\b(rob_\w+)\s*;", path.read_text()))
    return found
