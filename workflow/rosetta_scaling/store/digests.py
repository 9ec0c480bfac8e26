"""What names content: digests of values and of files."""

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
    """Name, size and time of change of files: what tells cheaply whether any of them is another one now."""
    return [(str(path), (found := os.stat(path)).st_size, found.st_mtime_ns) for path in paths]


def require_unchanged(folder: str | Path, digests: dict[str, str]) -> None:
    """Raise a StudyError when files of a folder are no longer those with these sha256 digests."""
    for name, expected in digests.items():
        if (found := file_sha256(Path(folder) / name)) != expected:
            raise StudyError(
                f"{folder}/{name} is damaged or was changed (sha256 {found[:12]}..., where {expected[:12]}... was "
                f"written); delete the folder {folder} and run the study again"
            )
