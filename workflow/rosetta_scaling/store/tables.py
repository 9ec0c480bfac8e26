"""Artifacts: written whole or not at all, named by content, refused when truncated.

Tensors are safetensors, tables are parquet (csv where a person reads them), nothing is ever pickled.
"""

import contextlib
import errno
import fcntl
import functools
import hashlib
import json
import math
import mmap
import os
import shutil
import socket
import time
import warnings
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd


class StudyError(Exception):
    """A mistake the user can mend: one sentence with what was found, what was expected, what to do."""


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it becomes `path` only when the block ends without an error."""
    path = Path(path)
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


def write_json(path: str | Path, value: object) -> None:
    with atomic(path) as part:
        part.write_text(json.dumps(value, indent=1, default=str, allow_nan=False) + "\n")


def read_json(path: str | Path) -> dict:
    with _readable(path):
        return json.loads(Path(path).read_text())


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write parquet or csv, by the suffix of `path`. Floats in csv keep full precision."""
    with atomic(path) as part:
        if Path(path).suffix == ".csv":
            table.to_csv(part, index=False)
        else:
            table.to_parquet(part, index=False, write_page_checksum=True)


def read_table(path: str | Path) -> pd.DataFrame:
    with _readable(path):
        if Path(path).suffix == ".csv":
            return pd.read_csv(path)
        return pd.read_parquet(path, page_checksum_verification=True)


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


@contextlib.contextmanager
def _readable(path: str | Path) -> Iterator[None]:
    """Turn the many exceptions of damaged files into one sentence that says what to do."""
    from safetensors import SafetensorError

    if not Path(path).is_file():
        raise StudyError(f"{path}: no such file; run the study again and the step that writes it will.")
    try:
        yield
    except PermissionError:
        raise
    except (OSError, ValueError, SafetensorError) as error:  # pyarrow and json errors are ValueErrors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StudyError(f"{path}: damaged or truncated ({reason}); delete it and run the study again.") from error


def model_files(folder: str | Path) -> list[str]:
    """The files of a `save_pretrained` folder that decide what is measured; refuses an incomplete one."""
    folder = Path(folder)
    if not folder.is_dir():
        raise StudyError(f"model folder {folder} does not exist; correct the path in families.*.models")
    weights = sorted(folder.glob("*.safetensors"))
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if missing := missing + ([] if weights else ["*.safetensors (weights)"]):
        raise StudyError(
            f"model folder {folder} lacks {', '.join(missing)}; expected a folder written by save_pretrained "
            "for model and tokenizer"
        )
    return [str(file) for file in (folder / "config.json", folder / "tokenizer.json", *weights)]
