"""Where activations come from: a source gives the pooled activations of a model as chunks of units, in their order.

Chunks of two sources of the same units correspond. A displaced source begins elsewhere and wraps around: its unit 0
stands beside unit `displacement` of the other model (the shift null).
"""

import atexit
import functools
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import torch

from rosetta_scaling.activations.chunks import CHUNK_UNITS
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json
from rosetta_scaling.store.tensors import TensorFile

log = logging.getLogger(__name__)
ROOM = 0.5  # of what is free on the node's disk: other jobs need some too


class Source(Protocol):
    """Pooled activations of a model. Networks, files, nulls and parts of them are sources; tests have more."""

    @property
    def widths(self) -> list[int]:
        """Neurons per layer."""

    @property
    def units(self) -> int:
        """Number of units."""

    @property
    def weights(self) -> object:
        """Names the weights, to refuse a comparison of a network with itself."""

    @property
    def chunk(self) -> int:
        """Units per chunk; the last chunk may have fewer."""

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        """Yield (stop - start neurons, at most `chunk` units) in the dtype of storage; neurons count over all layers.

        The memory belongs to the source: readers do not change it, and it is overwritten by the next chunk.
        """


class ResumableSource(Source, Protocol):
    """A source that can also leave out its first chunks, so that a killed job continues where it was."""

    def chunks(self, start: int = 0, stop: int | None = None, first_chunk: int = 0) -> Iterator[torch.Tensor]:
        """As those of Source, from chunk `first_chunk` on."""


def circular(first: int, units: int) -> list[tuple[int, int]]:
    """All units from `first` around to `first`, as one or two ranges."""
    return [(low, high) for low, high in ((first, units), (0, first)) if low < high]


@functools.cache
def copied(folder: Path, copy_to: str) -> Path:
    """Stored activations, copied to a disk of this node until this process ends; `folder` where there is no room.

    `copy_to` may hold environment variables such as $TMPDIR, which are those of the node.
    """
    target = Path(os.path.expandvars(copy_to))
    if not target.is_dir():
        raise StudyError(f"activations.copy_to is {copy_to}, which is no folder on {socket.gethostname()} ({target})")
    need, free = sum(file.stat().st_size for file in (folder / "layers").iterdir()), shutil.disk_usage(target).free
    if need > ROOM * free:
        log.info(
            "%s is read in place: it has %.1f GB, and %.1f GB are free in %s", folder, need / 1e9, free / 1e9, target
        )
        return folder
    copy = Path(tempfile.mkdtemp(prefix="rosetta-scaling-", dir=target))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    shutil.copytree(folder / "layers", copy / "layers")
    shutil.copy(folder / "summary.json", copy)
    return copy


class StoredActivations:
    """Reads what activations.extract wrote: `layers/shard-NNNN.safetensors`, each (chunks, neurons, chunk)."""

    def __init__(self, folder: str | Path, displacement: int = 0):
        self.folder = Path(folder)
        summary = read_json(self.folder / "summary.json")
        self.widths, self.units, self.weights = summary["neurons"], summary["units"], summary["weights"]
        self.first = -displacement % self.units
        self.shards = sorted((self.folder / "layers").glob("shard-*.safetensors"))
        try:
            files = [TensorFile(shard) for shard in self.shards]
            for file in files:
                file.check()
        except StudyError as error:  # the folder is made as a whole
            raise StudyError(f"{error} Delete the whole folder {self.folder}.") from error
        self.chunk = files[0].shape[2] if files else CHUNK_UNITS
        self.blocks = [(file, index) for file in files for index in range(file.shape[0])]
        if len(self.blocks) != -(-self.units // self.chunk) or any(f.shape[1] != sum(self.widths) for f in files):
            raise StudyError(f"{self.folder} lacks activations that its summary names; delete it and run again")

    def chunks(self, start: int = 0, stop: int | None = None, first_chunk: int = 0) -> Iterator[torch.Tensor]:
        stop = sum(self.widths) if stop is None else stop
        if self.first == 0:
            for block, (file, index) in list(enumerate(self.blocks))[first_chunk:]:
                yield file.read(index, start, stop)[:, : self.units - block * self.chunk]
            return
        if first_chunk:
            raise ValueError("displaced activations are read from their beginning")
        out, filled = torch.empty(stop - start, self.chunk, dtype=self.blocks[0][0].dtype), 0
        for low, high in circular(self.first, self.units):
            for block in range(low // self.chunk, -(-high // self.chunk)):
                file, index = self.blocks[block]
                stored = file.read(index, start, stop)
                begin = max(low - block * self.chunk, 0)
                end = min(high - block * self.chunk, self.chunk)
                while begin < end:
                    taken = min(end - begin, self.chunk - filled)
                    out[:, filled : filled + taken] = stored[:, begin : begin + taken]
                    begin, filled = begin + taken, filled + taken
                    if filled == self.chunk:
                        yield out
                        filled = 0
        if filled:
            yield out[:, :filled]
