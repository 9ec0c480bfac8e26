"""Marks of neurons that correlate between any two networks: massive ones, and those that fire where a text starts.

A few units decide the correlation of such a neuron. Networks of every family have massive activations, most of them at
the start of what they read (Sun et al. 2024, arXiv 2402.17762), so two of them match whatever else they respond to.
Lists of shared neurons leave marked ones out, and count them apart.
"""

from collections.abc import Callable

import numpy as np
import torch

from rosetta_scaling.schemas.names import MARKS
from rosetta_scaling.selectivity.input_side import bin_edges, moments

# Sun et al. call an activation massive that exceeds 100 and 1,000 times the median magnitude of its layer. The limit of
# 100 is for networks of one scale, and with a ReLU the median is 0: the median over the neurons of the layer of their
# root mean squares takes its place.
MASSIVE = 1000.0
STARTS = 0.5  # share of starts among the strongest contexts of a neuron that fires on them, which is also ...
OFTEN = 5.0  # ... at least so many times the share of starts among all units

READ = ("count", "shift", "power", "histogram", "top_value", "top_unit")


def marks_of_layer(read: Callable[[str], torch.Tensor], starts: np.ndarray) -> np.ndarray:
    """The mark of every neuron of a layer (neurons,), one of MARKS, from the state of its NeuronStatistics.

    `read` gives a tensor of the state by its name. `starts` (units,) says of every unit whether it is the first of its
    passage, which is what a network reads at once.
    """
    s = {name: read(name).numpy() for name in READ}
    found = moments(s)
    rms = np.hypot(found["mean"], np.sqrt(found["variance"]))
    largest = np.maximum(found["maximum"], largest_binned(s["histogram"]))
    on_starts = fires_on_starts(np.concatenate(s["top_unit"]), starts)
    return np.array(MARKS)[is_massive(largest, rms) + 2 * on_starts]


def largest_binned(histogram: np.ndarray) -> np.ndarray:
    """Lower edge of the last bin that holds a magnitude (neurons,), from counts (neurons, BINS)."""
    return np.where(histogram > 0, bin_edges()[:-1], 0).max(1)


def is_massive(largest: np.ndarray, rms: np.ndarray) -> np.ndarray:
    """Whether the largest magnitude of a neuron is MASSIVE times what is usual in its layer; both have (neurons,)."""
    alive = rms > 0
    return alive & (largest >= MASSIVE * np.median(rms[alive] if alive.any() else rms))


def fires_on_starts(contexts: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Whether starts (units,) are the contexts of a neuron (neurons,): half of them, and far more than by chance.

    contexts (number, neurons): the units on which a neuron is strongest; negative where there are fewer.
    """
    known = contexts >= 0
    share = (known & starts[contexts]).sum(0) / np.maximum(1, known.sum(0))
    return share >= max(STARTS, OFTEN * starts.mean())
