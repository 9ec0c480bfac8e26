"""Mutual best partners of two sets of neurons that fit into memory at once; matching/ does it tile by tile.

Among equal correlations the lower index wins, as everywhere.
"""

from typing import NamedTuple

import numpy as np


class MutualPartners(NamedTuple):
    """Pairs of neurons of which each is the best partner of the other, in the order of a."""

    a: np.ndarray  # (pairs,) rows of the first set
    b: np.ndarray  # (pairs,) rows of the second set


def mutual_partners(r: np.ndarray) -> MutualPartners:
    """The mutual best partners by correlations r (neurons of a, neurons of b)."""
    best = r.argmax(1)
    a = np.flatnonzero(r.argmax(0)[best] == np.arange(len(r)))
    return MutualPartners(a, best[a])


def match_activations(a: np.ndarray, b: np.ndarray) -> tuple[MutualPartners, np.ndarray]:
    """Mutual best partners of a and b (neurons, inputs), and their Pearson r (pairs,). Standardises a and b in place.

    Partners are found in the precision of a and b. Their r is float64: isolation is r / (1 - r), and 1 - r can be as
    small as 1e-6.
    """
    for values in (a, b):
        values -= values.mean(1, keepdims=True)
        values /= np.sqrt(np.vecdot(values, values))[:, None]
    pairs = mutual_partners(a @ b.T)
    r = [np.corrcoef(a[row], b[column])[0, 1] for row, column in zip(*pairs, strict=True)]
    return pairs, np.array(r)
