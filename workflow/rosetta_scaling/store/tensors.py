"""Safetensors files, sealed with a checksum."""

import contextlib
import functools
import json
import math
import mmap
import os
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.tables import _readable


def write_tensors(path: str | Path, tensors: dict, metadata: dict[str, str] | None = None) -> None:
    from safetensors.torch import save_file

    with atomic(path) as part:
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, part, metadata=(metadata or {}) | UNSEALED)
        seal(part)


def read_tensors(path: str | Path) -> dict:
    from safetensors.torch import load_file

    with _readable(path):
        check(path)
        return load_file(path)


# A checksum of the data stands in the header of every safetensors file of ours, so that a flipped bit is noticed.
UNSEALED = {"crc32": "00000000"}


def seal(path: str | Path) -> None:
    """Write the checksum into the header of a file that was written with UNSEALED among its metadata.

    safetensors writes metadata in random order; here they are sorted, so that the same tensors give the same bytes.
    """
    with open(path, "r+b") as file:
        header, found = _header_and_checksum(file)
        entries = json.loads(header)
        metadata = entries.pop("__metadata__")
        sealed = {"__metadata__": dict(sorted((metadata | {"crc32": found}).items()))} | entries
        file.seek(8)
        text = json.dumps(sealed, separators=(",", ":"), ensure_ascii=False).encode()
        file.write(text.ljust(len(header)))


def check(path: str | Path) -> None:
    """Raise a ValueError when the data of a safetensors file are not those that were sealed; others' files pass."""
    with open(path, "rb") as file:
        header, found = _header_and_checksum(file)
    expected = json.loads(header).get("__metadata__", {}).get("crc32", found)
    if expected != found:
        raise ValueError(f"its checksum is {found}, not {expected}")


@functools.cache
def _check_once(path: Path, changed: int, size: int) -> None:
    check(path)


def _header_and_checksum(file) -> tuple[bytes, str]:
    size = int.from_bytes(file.read(8), "little")
    if size > 100_000_000:  # what safetensors allows
        raise ValueError(f"its header claims {size} bytes")
    header, checksum = file.read(size), 0
    while data := file.read(2**22):
        checksum = zlib.crc32(data, checksum)
    return header, f"{checksum:08x}"


@contextlib.contextmanager
def open_tensors(path: str | Path) -> Iterator:
    """A lazily read safetensors file (`get_slice`), with the house's error when it is truncated."""
    from safetensors import safe_open

    with _readable(path):
        check(path)
        with safe_open(path, framework="pt") as f:
            yield f


class TensorFile:
    """One tensor of shape (blocks, rows, columns) in a safetensors file, written and read a part at a time.

    Only the part that is read is mapped, so that a file never counts as memory of the process; and the library writes
    only whole files.
    """

    NAMES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}

    def __init__(self, path: str | Path):
        import torch

        with _readable(path), open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > 10_000:
                raise ValueError(f"its header claims {size} bytes")
            header = json.loads(file.read(size))
            about = header["activations"]
            expected, found = 8 + size + about["data_offsets"][1], os.path.getsize(path)
            if expected != found:
                raise ValueError(f"{found} bytes of {expected}")
        self.path, self.shape, self.origin = Path(path), tuple(about["shape"]), 8 + size
        self.dtype = getattr(torch, self.NAMES[about["dtype"]])

    @classmethod
    def create(cls, path: str | Path, shape: tuple[int, int, int], dtype: str) -> "TensorFile":
        """A file full of zeros; once all is written, the caller seals it and makes it whole (see `atomic`)."""
        name = next(name for name, value in cls.NAMES.items() if value == dtype)
        size = math.prod(shape) * {"F32": 4}.get(name, 2)
        header = {"activations": {"dtype": name, "shape": list(shape), "data_offsets": [0, size]}}
        text = json.dumps({"__metadata__": UNSEALED} | header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with open(path, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(8 + len(text) + size)
        return cls(path)

    def seal(self) -> None:
        seal(self.path)

    def check(self) -> None:
        """Read it once in this process, to be sure that it holds what was written."""
        with _readable(self.path):
            about = os.stat(self.path)
            _check_once(self.path, about.st_mtime_ns, about.st_size)

    def write(self, block: int, start: int, values) -> None:
        """Write values (rows, columns), contiguous and of the file's dtype, to the rows of a block from `start` on."""
        import torch

        if values.dtype != self.dtype or values.shape[1:] != self.shape[2:] or not values.is_contiguous():
            raise ValueError(
                f"{self.path} holds {self.shape[2]} {self.dtype} a row, not {values.shape}, {values.dtype}"
            )
        with open(self.path, "r+b") as file:
            file.seek(self._offset(block, start, start + len(values)))
            file.write(memoryview(values.view(torch.uint8).numpy()).cast("B"))

    def read(self, block: int, start: int, stop: int):
        """Rows start..stop of a block, (rows, columns), straight from the file: not to be changed."""
        import torch

        offset, columns = self._offset(block, start, stop), self.shape[2]
        begin = offset - offset % mmap.ALLOCATIONGRANULARITY
        length = offset - begin + (stop - start) * columns * self.dtype.itemsize
        with open(self.path, "rb") as file, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given buffer is not writable")
            part = mmap.mmap(file.fileno(), length, access=mmap.ACCESS_READ, offset=begin)
            rows = torch.frombuffer(part, dtype=self.dtype, count=(stop - start) * columns, offset=offset - begin)
        return rows.view(stop - start, columns)

    def _offset(self, block: int, start: int, stop: int) -> int:
        blocks, rows, columns = self.shape
        if not (0 <= block < blocks and 0 <= start < stop <= rows):
            raise ValueError(f"rows {start}..{stop} of block {block} are not in {self.path}, which is {self.shape}")
        return self.origin + (block * rows + start) * columns * self.dtype.itemsize
