"""Activations that tests hold in memory, and activations written to disk as a job writes them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from rosetta_scaling.store.tables import write_json
from rosetta_scaling.store.tensors import TensorFile


class MemorySource:
    """A source of activations (neurons, units) in memory that is strict about its contract (see sources.py).

    A chunk is gone with the next one: it is overwritten with NaN. A reader that changes it is caught.
    """

    def __init__(self, values: torch.Tensor, chunk: int = 64, displacement: int = 0, weights: object = None):
        self.values = values.roll(displacement, 1)
        self.widths, self.units = [len(values)], values.shape[1]
        self.chunk, self.weights = chunk, weights
        self.passes = 0  # how often it was read

    def chunks(self, start: int = 0, stop: int | None = None, first_chunk: int = 0) -> Iterator[torch.Tensor]:
        self.passes += 1
        for values in self.values[start:stop].split(self.chunk, 1)[first_chunk:]:
            lent = values.clone()
            yield lent
            assert lent.equal(values), "the memory of a source is not to be changed"
            lent.fill_(torch.nan)


def write_stored(folder: Path, values: torch.Tensor, chunk: int, shards: int = 2) -> None:
    """Activations (neurons, units) as activations.extract stores them."""
    (folder / "layers").mkdir(parents=True)
    chunks = values.split(chunk, 1)
    for i, part in enumerate(np.array_split(np.arange(len(chunks)), shards)):
        path = folder / f"layers/shard-{i:04d}.safetensors"
        file = TensorFile.create(path, (len(part), len(values), chunk), str(values.dtype).removeprefix("torch."))
        for place, index in enumerate(part):
            padded = torch.nn.functional.pad(chunks[index], (0, chunk - chunks[index].shape[1]))
            file.write(place, 0, padded)
        file.seal()
    write_json(folder / "summary.json", {"neurons": [len(values)], "units": values.shape[1], "weights": str(folder)})
