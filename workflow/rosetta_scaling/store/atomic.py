"""Files that appear whole or not at all, and folders that one process writes at a time."""

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it becomes `path` only when the block ends without an error."""
    path = Path(path)
    sys.audit("open", str(path), "w", 0)  # libraries in other languages open it unseen
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")
    try:
        yield part
        for file in [path for path in part.rglob("*") if path.is_file()] if part.is_dir() else [part]:
            file.chmod(file.stat().st_mode | (0o666 & ~_umask()))  # safetensors are written for their owner only
        if part.is_dir() and path.exists():  # os.replace cannot replace a folder that holds files
            old = part.with_name(f".old{part.name}")
            os.replace(path, old)
            os.replace(part, path)
            shutil.rmtree(old)
        else:
            os.replace(part, path)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def sweep(folder: str | Path) -> None:
    """Remove what processes that are no more have half written (see `atomic`).

    What another machine writes cannot be asked after; it goes when nothing has touched it for a day.
    """
    for part in Path(folder).rglob(".*.part"):
        host, _, process = part.name.removesuffix(".part").rpartition(".")
        if host.endswith(f".{socket.gethostname()}"):
            left = not Path(f"/proc/{process}").exists()
        else:
            left = time.time() - part.stat().st_mtime > 86400
        if left:
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)


def _umask() -> int:
    before = os.umask(0)
    os.umask(before)
    return before


NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # what file systems without locks say


@contextlib.contextmanager
def alone(folder: str | Path) -> Iterator[None]:
    """Wait until no other process of this machine is at work in `folder`, which is made if missing.

    It only saves work: two at a time would do the same and each would write whole files. So where a file system has no
    locks, or they do not reach other machines, nothing goes wrong.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    with open(Path(folder) / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield
