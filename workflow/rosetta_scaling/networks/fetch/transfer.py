"""Bytes from the hub, by huggingface_hub: continued where they broke off, compared with what the hub says they are.

Requests, ranges, limits of rate and the cache are the library's. Ours is what its hf_hub_download (2.4) does not do: it
begins a file anew in every process, over Xet as over HTTP, gives up when a connection is reset or the hub answers 5xx
within a file, and compares sizes, not digests. So its http_get writes here to a file that outlives the process.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar, cast

import httpx2
from huggingface_hub import constants, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers
from huggingface_hub.utils.sha import git_hash

from rosetta_scaling.networks.fetch.hub_files import File
from rosetta_scaling.store.digests import file_sha256
from rosetta_scaling.store.errors import StudyError

log = logging.getLogger(__name__)

ATTEMPTS = 7  # of one request, without a byte in between
FIRST_WAIT = 2.0  # seconds between attempts; doubles every time
BUSY = (408, 425, 429)  # worth another attempt, like every 5xx
BROKEN = (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError)

Answer = TypeVar("Answer")


def patiently(what: str, request: Callable[[], Answer], arrived: Callable[[], int] = lambda: 0) -> Answer:
    """What `request` returns, which is asked again when the connection or the server fails.

    `what` is for messages. `arrived` counts bytes: when more have, attempts are counted anew.
    """
    attempt, most = 1, arrived()
    while True:
        try:
            return request()
        except BROKEN as error:
            reason = str(error) or type(error).__name__
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status not in BUSY and status < 500:
                raise
            reason = f"HTTP {status}"
        if arrived() > most:
            attempt, most = 1, arrived()
        if attempt == ATTEMPTS:
            raise StudyError(
                f"{what} cannot be fetched from {constants.ENDPOINT} ({reason}, attempt {attempt}); run again when the "
                "network and the hub are back, what has arrived is kept"
            )
        wait = FIRST_WAIT * 2 ** (attempt - 1)
        log.info("%s: %s, asked again after %.3g s", what, reason, wait)
        time.sleep(wait)
        attempt += 1


def fetch(repository: str, commit: str, file: File, path: Path, *, report: Callable[[int], None]) -> None:
    """Make `path` the whole file, of which it may hold a part, and compare its digest.

    `report` is told how many bytes there are. Raises a StudyError when other bytes arrive than the hub promises, twice.
    """
    what = f"{file.name} of {repository}"
    for _ in range(2):
        if not path.exists() or size(path) < file.size:
            request = partial(_append, hf_hub_url(repository, file.name, revision=commit), path, report)
            patiently(what, request, partial(size, path))
        found, found_size = _digest(path, file), size(path)
        if found == file.digest:
            return
        log.info("%s: digest %s instead of %s", what, found, file.digest)
        path.unlink()
    raise StudyError(
        f"{what} arrives damaged, also when it is fetched again: {found_size:,} bytes with digest {found}, where "
        f"{file.size:,} with {file.digest} are expected; run again later, or set HF_ENDPOINT to another mirror"
    )


def _append(url: str, path: Path, report: Callable[[int], None]) -> None:
    """Add to `path` the bytes that come after those it holds. Their number is not compared here: the digest decides."""
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}  # ranges of compressed bytes would be others
    with open(path, "ab") as out:
        bar = SimpleNamespace(update=lambda count: report(out.tell() + count))  # told of bytes before they are written
        make_bar = cast(type, lambda **_: nullcontext(bar))
        http_get(url, out, resume_size=out.tell(), headers=headers, tqdm_class=make_bar)


def take_cached(repository: str, commit: str, file: File, path: Path) -> None:
    """Take a file from the cache of huggingface_hub, if it is there."""
    cached = try_to_load_from_cache(repository, file.name, revision=commit)
    if not isinstance(cached, str) or os.path.getsize(cached) != file.size or size(path) == file.size:
        return
    path.unlink(missing_ok=True)
    try:
        os.link(os.path.realpath(cached), path)  # never written to: it has its size
    except OSError:
        shutil.copyfile(cached, path)


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _digest(path: Path, file: File) -> str:
    return file_sha256(path) if len(file.digest) == 64 else git_hash(path.read_bytes())
