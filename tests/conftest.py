"""Small real things for tests: networks with random weights, activations in memory, and the float64 oracle."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from rosetta_scaling.config.families import Family
from rosetta_scaling.config.ladder import Size
from rosetta_scaling.networks.training.architectures import make_config, new_model
from rosetta_scaling.store.tables import write_json
from rosetta_scaling.store.tensors import TensorFile

ARCHITECTURES = ("gpt_neox", "bloom", "llama", "gpt2")


# Two workers take a file at a time, in this order: those that run whole studies first, since they take longest.
LONGEST = (
    "test_workflow",
    "test_faults",
    "test_slurm",
    "test_engines",
    "test_companions",
    "test_shipped_studies",
    "test_hooks",
    "test_depth",
)


def pytest_collection_modifyitems(items):
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param


def tiny_model(architecture: str, hidden: int = 12, layers: int = 2, vocabulary: int = 300, seed: int = 0):
    family = Family(architecture=architecture, vocabulary=vocabulary)
    size = Size(hidden_size=hidden, layers=layers, heads=2, learning_rate=1e-2)
    return new_model(make_config(family, size, context=64), seed).eval()


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


def oracle(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    """All Pearson correlations (a, b) in float64 of activations (neurons, units); NaN for constant neurons."""
    a, b = a.double().numpy(), b.double().numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(a, b)[: len(a), len(a) :]


def assert_best(best, r: np.ndarray, atol: float) -> None:
    """Neighbours are the best of every row of the oracle r; partners closer than `atol` may change places."""
    partners = min(best.r.shape[1], int(np.isfinite(r).sum(1).max()))
    expected = -np.sort(-np.nan_to_num(r, nan=-np.inf), 1)[:, :partners]
    varied = ~best.constant.numpy()
    np.testing.assert_array_equal(varied, np.isfinite(r).any(1))
    np.testing.assert_allclose(best.r[:, :partners].numpy()[varied], expected[varied], atol=atol, rtol=0)
    found = np.take_along_axis(r, best.partner[:, :partners].numpy(), 1)
    np.testing.assert_allclose(found[varied], expected[varied], atol=atol, rtol=0)


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
