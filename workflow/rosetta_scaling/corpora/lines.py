"""Lines of a text file, plain or compressed, and a sentence of its own for whatever can be wrong with the file.

What a decoder raises is turned into a StudyError here and nowhere else.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import zstandard

from rosetta_scaling.store.errors import StudyError

COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
SKIPPABLE = [bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60)]  # zstd frames without text
BEGINNINGS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    **dict.fromkeys(SKIPPABLE, "zstd"),
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"SQLite format 3": "sqlite",
    b"%PDF": "pdf",
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"{\0": "UTF-16",
    b"\0{": "UTF-16",
}
POINTER = b"version https://git-lfs.github.com/spec/"


def lines(path: Path) -> Iterator[bytes]:
    """Lines of a plain, .gz or .zst file. Raises StudyError for a file that is not what its name says, or not whole."""
    number = 0
    try:
        read = {"gzip": _gzip_lines, "zstd": _zstd_lines, None: _plain_lines}[_format(path)]
        for line in read(path):
            yield line
            number += 1
    except EOFError:
        raise StudyError(f"corpus: {path} is truncated after line {number}; fetch the file again.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise StudyError(f"corpus: {path} is damaged after line {number} ({error}); fetch the file again.") from error
    except zstandard.ZstdError as error:
        raise StudyError(f"corpus: {path} {_zstd_fault(number, error)}") from error
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> StudyError:
    return StudyError(
        f"corpus: {path} cannot be read ({error.strerror or error}), a file that this user may read was expected; "
        "correct it or corpus.path."
    )


def require_text_itself(path: Path, start: bytes) -> None:
    """Raise StudyError for a file that begins as those that git-lfs leaves behind in place of the text."""
    if start.startswith(POINTER):
        raise StudyError(
            f"corpus: {path} is a git-lfs pointer of {path.stat().st_size} bytes, not the text itself; "
            "run `git lfs pull` in its repository."
        )


def _format(path: Path) -> str | None:
    """How a file is compressed by name and content alike; None: not at all."""
    with path.open("rb") as file:
        start = file.read(64)
    named = COMPRESSED.get(path.suffix)
    found = next((name for beginning, name in BEGINNINGS.items() if start.startswith(beginning)), None)
    require_text_itself(path, start)
    if found == named:
        return named
    if found and found not in COMPRESSED.values():
        raise StudyError(
            f"corpus: {path} is in {found} format, lines of JSON in UTF-8, plain or compressed with gzip or zstd, were "
            "expected; convert it."
        )
    if found:
        suffix = next(suffix for suffix, name in COMPRESSED.items() if name == found)
        raise StudyError(
            f"corpus: {path} is compressed with {found}, which its name does not say; let it end in {suffix}."
        )
    raise StudyError(
        f"corpus: {path} is named as a {named} file, but {'does not begin as one' if start else 'is empty'}; "
        f"fetch the file again, or take {path.suffix} off its name if it is plain text."
    )


def _plain_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _gzip_lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") as file:
        yield from file


def _zstd_lines(path: Path) -> Iterator[bytes]:
    """Lines of one or more zstd frames. The library's own reader takes a truncated frame for the end of the file."""
    decoder = zstandard.ZstdDecompressor(max_window_size=2**zstandard.WINDOWLOG_MAX)  # as `zstd --long=31` writes
    frame, rest = None, b""
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            while chunk:
                frame = frame or decoder.decompressobj()
                *whole, rest = (rest + frame.decompress(chunk)).split(b"\n")
                yield from (line + b"\n" for line in whole)
                frame, chunk = (None, frame.unused_data) if frame.eof else (frame, b"")
    if frame is not None:
        raise EOFError
    if rest:
        yield rest


def _zstd_fault(number: int, error: zstandard.ZstdError) -> str:
    """What is wrong with a file, by the library's words; a file may hold frames of several kinds."""
    said = str(error)
    if "Dictionary mismatch" in said:
        return "was compressed with a zstd dictionary; compress it again without a dictionary."
    if "memory" in said:
        return "has a zstd window that is more than this machine or library can hold; compress it again without --long."
    return f"is damaged after line {number} ({error}); fetch the file again."
