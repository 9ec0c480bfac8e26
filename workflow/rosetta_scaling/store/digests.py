"""Digests of values and of files, which name their content."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from rosetta_scaling.store.errors import StudyError


def digest(value: object) -> str:
    """Short sha256 of any JSON-like value; the order of keys does not matter. Used as KEY in cache paths."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def file_sha256(path: str | Path) -> str:
    """sha256 of a file, streamed."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def file_states(paths: Iterable[str | Path]) -> list[tuple[str, int, int]]:
    """Name, size and time of change of files: a cheap way to notice that one of them has changed."""
    stats = [(str(path), os.stat(path)) for path in paths]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def require_unchanged(folder: str | Path, digests: dict[str, str], users_own: bool = False) -> None:
    """Raise a StudyError when files of a folder are no longer those with these sha256 digests.

    `users_own`: the folder was not made by this project, and is not to be deleted.
    """
    remedy = f"delete the folder {folder} and run the study again"
    if users_own:
        remedy = f"copy or download that file again; if the change is meant, `touch {folder}/*`: it is measured anew"
    for name, expected in digests.items():
        if (actual := file_sha256(Path(folder) / name)) != expected:
            raise StudyError(
                f"{folder}/{name} is damaged or was changed (sha256 {actual[:12]}..., where {expected[:12]}... was "
                f"written); {remedy}"
            )
