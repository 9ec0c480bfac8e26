"""The sizes that the house rules allow, and what of the library breaks them.

python tests/support/house.py        write what breaks a rule now to house_exceptions.yaml; its reasons stay

That file has one line for each exception, with its reason.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import yaml

from rosetta_scaling import WORKFLOW

LIBRARY = WORKFLOW / "rosetta_scaling"
EXCEPTIONS = Path(__file__).with_name("house_exceptions.yaml")
FILE_LINES, FUNCTION_LINES, PARAMETERS, POSITIONAL = 300, 60, 6, 4
RULES = {
    "file": f"a file has at most {FILE_LINES} lines",
    "function": f"a function has at most {FUNCTION_LINES} lines",
    "parameters": f"a function has at most {PARAMETERS} parameters",
    "positional": f"a function has at most {POSITIONAL} parameters that may be given by position",
}
UNTOLD = "written before this rule was checked"


def offences(library: Path = LIBRARY) -> dict[str, dict[str, int]]:
    """By rule: what breaks it, as room/file.py or room/file.py:function, and its size."""
    found: dict[str, dict[str, int]] = {rule: {} for rule in RULES}
    for path in sorted(library.rglob("*.py")):
        text, name = path.read_text(), str(path.relative_to(library))
        measured = [("file", name, len(text.splitlines()), FILE_LINES), *_measured_functions(ast.parse(text), name)]
        for rule, place, size, allowed in measured:
            if size > allowed:
                found[rule][place] = size
    return found


def _measured_functions(module: ast.Module, file: str) -> Iterator[tuple[str, str, int, int]]:
    """Rule, place, size and the size that is allowed, of every function and method."""
    for node in ast.walk(module):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        place, arguments = f"{file}:{node.name}", node.args
        positional = [a for a in (*arguments.posonlyargs, *arguments.args) if a.arg not in ("self", "cls")]
        yield "function", place, node.end_lineno - node.lineno + 1, FUNCTION_LINES
        yield "parameters", place, len(positional) + len(arguments.kwonlyargs), PARAMETERS
        yield "positional", place, len(positional), POSITIONAL


def read_exceptions() -> dict[str, dict[str, str]]:
    """By rule: what may break it, and why."""
    read = yaml.safe_load(EXCEPTIONS.read_text())
    return {rule: read.get(rule) or {} for rule in RULES}


def write_exceptions() -> None:
    known = read_exceptions() if EXCEPTIONS.exists() else {rule: {} for rule in RULES}
    now = {rule: {place: known[rule].get(place, UNTOLD) for place in found} for rule, found in offences().items()}
    head = "# What of the library breaks a house rule, and why. This list only shrinks: see house.py.\n"
    EXCEPTIONS.write_text(head + yaml.safe_dump(now, sort_keys=False, width=120))


if __name__ == "__main__":
    write_exceptions()
