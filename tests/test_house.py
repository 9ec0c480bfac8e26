"""The rules of the house: sizes of files and functions, and tests that do not lean on each other."""

import ast
from pathlib import Path

import pytest
from house import RULES, offences, read_exceptions

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, int]]:
    return offences()


@pytest.mark.parametrize("rule", RULES)
def test_the_library_keeps_the_rule_or_says_why_not(found, rule):
    unknown = found[rule].keys() - read_exceptions()[rule].keys()
    assert not unknown, f"{RULES[rule]}: { ({place: found[rule][place] for place in unknown}) }"


@pytest.mark.parametrize("rule", RULES)
def test_no_exception_outlives_what_it_was_for(found, rule):
    kept = read_exceptions()[rule].keys() - found[rule].keys()
    assert not kept, f"python tests/support/house.py takes these off the list of exceptions: {sorted(kept)}"


def test_every_exception_has_a_reason():
    for exceptions in read_exceptions().values():
        assert all(isinstance(reason, str) and reason.strip() for reason in exceptions.values())


@pytest.mark.parametrize(
    ("code", "rule", "size"),
    [
        ("#\n" * 301, "file", 301),
        ("def f():\n" + "    x = 1\n" * 60, "function", 61),
        ("def f(a, b, *, c, d, e, f, g): ...", "parameters", 7),
        ("class A:\n    def f(self, a, b, /, c, d, e): ...", "positional", 5),
    ],
)
def test_what_is_one_too_large_is_found(tmp_path, code, rule, size):
    (tmp_path / "room").mkdir()
    (tmp_path / "room/file.py").write_text(code)
    assert [list(places.values()) for name, places in offences(tmp_path).items() if name == rule] == [[size]]
    assert sum(map(len, offences(tmp_path).values())) == 1


def test_what_is_just_small_enough_is_none(tmp_path):
    code = "def f(a, b, c, d, *, e, g):\n" + "    x = 1\n" * 59
    (tmp_path / "file.py").write_text(code + "#\n" * 240)
    assert not any(offences(tmp_path).values())


def imported(path: Path) -> set[str]:
    """The top-level names of all modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


def test_no_test_imports_another():
    tests = [*TESTS.rglob("test_*.py"), *TESTS.rglob("conftest.py")]
    theirs = {path.stem for path in tests} | {"tests"}
    for path in TESTS.rglob("*.py"):
        assert not imported(path) & theirs, f"{path}: what tests share stands in tests/support/"


def test_tests_stand_in_rooms_of_the_library_or_among_whole_studies():
    library = TESTS.parent / "workflow/rosetta_scaling"
    rooms = {str(folder.relative_to(library)) for folder in library.rglob("*") if folder.is_dir()} | {"studies", "."}
    elsewhere = {str(path.relative_to(TESTS)) for path in TESTS.rglob("test_*.py")
                 if str(path.parent.relative_to(TESTS)) not in rooms}  # fmt: skip
    assert not elsewhere
