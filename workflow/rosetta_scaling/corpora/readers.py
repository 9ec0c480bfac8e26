"""Texts of the user: a folder, .jsonl shards in the Pile's format, or the Hugging Face hub.

Every reader yields `Original`s: whole, uncut documents.
"""

import codecs
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import NamedTuple

from rosetta_scaling.corpora.lines import lines, require_text_itself, unreadable
from rosetta_scaling.store.errors import StudyError

log = logging.getLogger(__name__)

JSONL_SUFFIXES = (".jsonl", ".jsonl.zst", ".jsonl.gz")


class Original(NamedTuple):
    domain: str
    source: str  # package==version:path, or the path below the corpus folder
    text: str | bytes  # bytes when it is not known yet whether they are UTF-8


def text_files(root: Path) -> list[tuple[str, Path]]:
    """(path below root with forward slashes, file) of a text corpus, sorted; hidden files are not part of it."""
    if not root.is_dir():
        raise StudyError(f"corpus: {root} is not a folder, a folder of text files was expected; correct corpus.path.")
    files = ((p.relative_to(root), p) for p in root.rglob("*") if not p.is_dir())
    found = [(r, p) for r, p in files if not any(part.startswith(".") for part in r.parts)]
    if lost := [p for _, p in found if p.is_symlink() and not p.exists()]:
        raise StudyError(
            f"corpus: {min(lost)} is a link to {min(lost).readlink()}, which is not there; fetch that file, or remove "
            "the link."
        )
    return sorted((r.as_posix(), p) for r, p in found if p.is_file())


def folder_originals(settings: SimpleNamespace) -> Iterator[Original]:
    """A file is a document and the first folder on its way is its domain; files directly in root are "text"."""
    root = Path(settings.path)
    files = [(PurePosixPath(name), path) for name, path in text_files(root)]
    filled = {name.parts[0] for name, _ in files}
    for folder in sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
        if folder not in filled and (settings.domains is None or folder in settings.domains):
            raise StudyError(
                f"corpus: domain {folder!r} is an empty folder in {root}; put text in it, or name the other domains in "
                "corpus.domains."
            )
    if records := [name for name, _ in files if str(name).endswith(JSONL_SUFFIXES)]:
        log.warning(
            "corpus: %d files of JSON lines in %s (first: %s) are read as plain text, with their braces and quotes; "
            "set corpus.kind to jsonl if their records are meant",
            *(len(records), root, records[0]),
        )
    for name, path in files:
        try:
            text = path.read_bytes()
        except OSError as error:
            raise unreadable(path, error) from error
        require_text_itself(path, text)
        yield Original(name.parts[0] if len(name.parts) > 1 else "text", str(name), text)


def jsonl_files(path: Path) -> list[tuple[str, Path]]:
    """One .jsonl(.zst|.gz) file, or all of them below a folder, sorted."""
    if path.is_file():
        return [(path.name, path)]
    if not path.exists():
        raise StudyError(
            f"corpus: there is no {path}, a file of JSON lines or a folder of them was expected; correct corpus.path."
        )
    files = text_files(path)
    shards = [pair for pair in files if pair[0].endswith(JSONL_SUFFIXES)]
    if not shards:
        held = sorted({file.suffix or "files without a suffix" for _, file in files}) or "nothing"
        raise StudyError(
            f"corpus: no file in {path} ends in {', '.join(JSONL_SUFFIXES)}, it holds {held}; correct corpus.path."
        )
    return shards


def jsonl_originals(settings: SimpleNamespace) -> Iterator[Original]:
    """One document per line that is not blank.

    A byte order mark is none of its text: it begins a file, or one of several that were joined.
    """
    for name, path in jsonl_files(Path(settings.path)):
        for number, line in enumerate(lines(path), start=1):
            line = line.removeprefix(codecs.BOM_UTF8)
            if line.strip():
                source = f"{name}:{number}"
                yield row_original(_object(line, source), source, settings)


def _object(line: bytes, source: str) -> dict:
    """The JSON object that a line holds; what else it may hold is refused, each by its own sentence."""
    expected = "one JSON object per line was expected"
    try:
        found = json.loads(line.decode().rstrip())
    except UnicodeDecodeError as error:
        raise StudyError(
            f"corpus: {source} is not UTF-8 (0x{line[error.start]:02x} at byte {error.start + 1}); "
            "convert the file to UTF-8, take the line out, or, if the file is damaged, fetch it again."
        ) from error
    except json.JSONDecodeError as error:
        fault = f"{error.msg.removesuffix(' at')} at column {error.pos + 1}"
        if line.lstrip().startswith(b"{") and not line.endswith(b"\n"):
            raise StudyError(
                f"corpus: {source} breaks off ({fault}), {expected}; the file is truncated: fetch it again."
            ) from error
        hint = "is it a .json array?" if line.lstrip().startswith(b"[") else "correct the line, or take it out"
        raise StudyError(f"corpus: {source} is not JSON ({fault}), {expected} ({hint}).") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, lists a thousand deep
        raise StudyError(f"corpus: {source} is JSON that Python does not read ({error}); take the line out.") from error
    if not isinstance(found, dict):
        hint = "is it a .json array?" if isinstance(found, list) else "correct the line, or take it out"
        raise StudyError(f"corpus: {source} is {kind_of(found)}; {expected} ({hint}).")
    return found


def kind_of(value: object) -> str:
    """What a value is called in JSON."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else f"a {type(value).__name__}")


def row_original(row: dict, source: str, settings: SimpleNamespace) -> Original:
    """Text and domain of one row; "meta.pile_set_name" is the column inside the column."""
    text = _column(row, settings.text_column, source)
    if not isinstance(text, str):
        raise StudyError(
            f"corpus: {source} has {kind_of(text)} in column {settings.text_column!r}, text was expected; "
            f"correct corpus.text_column, or the record."
        )
    domain = _column(row, settings.domain_column, source) if settings.domain_column else "text"
    if domain is None or isinstance(domain, list | dict):
        raise StudyError(
            f"corpus: {source} has {kind_of(domain)} in column {settings.domain_column!r}, the name of a domain was "
            "expected; correct corpus.domain_column, or the record."
        )
    return Original(str(domain), source, text)


def _column(row: dict, column: str, source: str) -> object:
    value = row
    for key in [column] if column in row else column.split("."):
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
