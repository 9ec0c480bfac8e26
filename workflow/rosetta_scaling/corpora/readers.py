"""Texts of the user: a folder, .jsonl shards in the Pile's format, or the Hugging Face hub.

Every reader yields `Original`s: whole, uncut documents.
"""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import NamedTuple

import zstandard

from rosetta_scaling.store.errors import StudyError

JSONL_SUFFIXES = (".jsonl", ".jsonl.zst", ".jsonl.gz")


class Original(NamedTuple):
    domain: str
    source: str  # package==version:path, or the path below the corpus folder
    text: str | bytes  # bytes when it is not known yet whether they are UTF-8


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
