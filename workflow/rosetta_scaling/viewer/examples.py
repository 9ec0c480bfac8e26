"""The units that the page shows of every neuron, and what networks do around them.

Activations are shown in standard deviations from the neuron's mean, z, the unit in which r compares two neurons. So one
scale serves all networks. z is kept as a code of 8 bits (see `codes`), the root of its size.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rosetta_scaling.numerics.runs import begins_run

if TYPE_CHECKING:
    import torch

SETS = {"half 0": 6, "half 1": 6, "random": 4, "near the threshold": 4}  # examples of every neuron
EXAMPLES = sum(SETS.values())
BEFORE, AFTER = 11, 4  # units of text shown around an example, within its passage; of an image, all patches are
WINDOW = BEFORE + 1 + AFTER
THRESHOLD = 2.0  # z about which a response begins to be strong
SAMPLE = 4096  # units, the same for all neurons, from which the last two sets and the histogram are taken
STRONGEST, STEPS = 100.0, 127  # z of the last code, and the number of it
NONE = -128  # code where there is no unit
BINS = 64


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation (neurons,) of the neurons of a network."""

    mean: np.ndarray
    deviation: np.ndarray  # infinite for a constant neuron

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Scale":
        """From a table of selectivity."""
        deviation = np.sqrt(table.variance.to_numpy(np.float32))
        return cls(table["mean"].to_numpy(np.float32), np.where(deviation > 0, deviation, np.inf).astype(np.float32))

    def z(self, values: np.ndarray, neurons: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Activations (neurons, ...) in standard deviations from the mean."""
        return (values - self.mean[neurons][:, None]) / self.deviation[neurons][:, None]


def codes(z: np.ndarray) -> np.ndarray:
    """Signed root of z as int8: -STEPS to STEPS stand for -STRONGEST to STRONGEST."""
    size = np.minimum(np.abs(z) / STRONGEST, 1)
    return np.rint(np.sign(z) * STEPS * np.sqrt(size)).astype(np.int8)


@dataclass
class Sampled:
    """What a sample of the units says of every neuron."""

    random: np.ndarray  # (neurons, SETS["random"]) units
    near: np.ndarray  # (neurons, SETS["near the threshold"]) units, those whose z is nearest to THRESHOLD
    histogram: np.ndarray  # (neurons, BINS) units of the sample by the code of z
    units: int  # in the sample


def sample_units(chunks: Iterable["torch.Tensor"], scale: Scale, units: int, seed: list[int]) -> Sampled:
    """Look at SAMPLE random units in one pass over chunks (neurons, units of the chunk)."""
    rng = np.random.default_rng(seed)
    sample, neurons = np.sort(rng.permutation(units)[:SAMPLE]), len(scale.mean)
    near = np.full((neurons, SETS["near the threshold"]), -1)
    distance = np.full(near.shape, np.inf, np.float32)
    histogram, first = np.zeros((neurons, BINS), np.int64), 0
    for values in chunks:
        here = sample[(sample >= first) & (sample < first + values.shape[1])]
        if len(here):
            z = scale.z(values[:, here - first].float().cpu().numpy())
            bins = (codes(z).astype(np.int64) + STEPS + 1) * BINS // (2 * STEPS + 2)
            flat = (bins + BINS * np.arange(neurons)[:, None]).ravel()
            histogram += np.bincount(flat, minlength=neurons * BINS).reshape(neurons, BINS)
            among = np.concatenate([distance, np.abs(z - THRESHOLD)], 1)
            unit = np.concatenate([near, np.broadcast_to(here, z.shape)], 1)
            nearest = np.argsort(among, 1, kind="stable")[:, : near.shape[1]]
            near, distance = (np.take_along_axis(x, nearest, 1) for x in (unit, among))
        first += values.shape[1]
    return Sampled(rng.choice(sample, (neurons, SETS["random"])), near, histogram, len(sample))


def example_units(contexts: pd.DataFrame, sampled: Sampled) -> np.ndarray:
    """Units (neurons, EXAMPLES) in the order of SETS; -1 where a neuron has fewer."""
    parts = []
    for half in (0, 1):
        top = np.full((len(sampled.near), SETS[f"half {half}"]), -1)
        rows = contexts[(contexts.half == half) & (contexts["rank"] < top.shape[1])]
        top[rows.neuron, rows["rank"]] = rows.unit
        parts.append(top)
    return np.concatenate([*parts, sampled.random, sampled.near], 1).astype(np.int32)


class Windows:
    """The units around examples (neurons, examples): WINDOW of them, of which those in other passages are left out.

    Where a passage is an image, these are all of its `patches`.
    """

    def __init__(self, examples: np.ndarray, passage: np.ndarray, patches: int | None = None):
        self.width = patches or WINDOW
        self.shape = (*examples.shape, self.width)
        self.first = (examples // patches * patches if patches else examples - BEFORE).ravel()
        opens = np.flatnonzero(begins_run(passage))
        own = np.searchsorted(opens, examples.ravel(), side="right") - 1
        low, high = opens[own], np.append(opens[1:], len(passage))[own]
        self.low, self.high = low, np.where(examples.ravel() < 0, 0, high)  # nothing is shown of no unit
        self.order = np.argsort(self.first, kind="stable")

    def read(self, chunks: Iterable["torch.Tensor"], scale: Scale, neurons: np.ndarray) -> np.ndarray:
        """Codes (neurons, examples, width) of a network's `neurons`, one for each row of the examples; -1 is nobody.

        The network may be another one than that of the examples: its best partners then are looked at.
        """
        import torch

        out = np.full((len(self.first), self.width), NONE, np.int8)
        for first, values, rows in self._of_chunks(chunks):
            neuron = neurons[rows // self.shape[1]]
            rows, neuron = rows[neuron >= 0], neuron[neuron >= 0]
            unit = self.first[rows][:, None] + np.arange(self.width)
            shown = (unit >= np.maximum(self.low[rows], first)[:, None]) & (
                unit < np.minimum(self.high[rows], first + values.shape[1])[:, None]
            )
            row, place = np.nonzero(shown)
            index = torch.from_numpy(neuron[row]), torch.from_numpy(unit[row, place] - first)
            found = values[tuple(one.to(values.device) for one in index)].float().cpu().numpy()
            out[rows[row], place] = codes(scale.z(found[:, None], neuron[row])[:, 0])
        return out.reshape(self.shape)

    def _of_chunks(self, chunks: Iterable["torch.Tensor"]) -> Iterator[tuple[int, "torch.Tensor", np.ndarray]]:
        """Number of the first unit of every chunk, the chunk, and the windows that may reach into it."""
        first, sorted_first = 0, self.first[self.order]
        for values in chunks:
            stop = first + values.shape[1]
            begin, end = np.searchsorted(sorted_first, [first - self.width + 1, stop])
            yield first, values, self.order[begin:end]
            first = stop
