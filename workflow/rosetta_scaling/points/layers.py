"""Layers of matched neurons: which layers of two networks match, and whether they lie at the same relative depth."""

from typing import NamedTuple

import numpy as np
import pandas as pd


class MatchedLayers(NamedTuple):
    """Layers (matches,) of the two neurons of every match between two networks, and how many layers these have."""

    a: np.ndarray
    layers_a: int
    b: np.ndarray
    layers_b: int

    def at_same_depth(self) -> np.ndarray:
        """Whether each match joins layers of the same relative depth, bool (matches,)."""
        return same_depth(self.a, self.layers_a, self.b, self.layers_b)

    def margins(self) -> tuple[np.ndarray, np.ndarray]:
        """Number of matches of every layer: (layers_a,) and (layers_b,)."""
        return np.bincount(self.a, minlength=self.layers_a), np.bincount(self.b, minlength=self.layers_b)

    def matrix(self) -> pd.DataFrame:
        """Matches by pair of layers. Columns: layer_a, layer_b, matches, and expected, from the margins alone.

        `expected` is (matches of layer a) * (matches of layer b) / all matches.
        """
        matrix = np.zeros([self.layers_a, self.layers_b], int)
        np.add.at(matrix, (self.a, self.b), 1)
        expected = np.outer(matrix.sum(1), matrix.sum(0)) / max(1, matrix.sum())
        a, b = np.indices(matrix.shape).reshape(2, -1)
        return pd.DataFrame({"layer_a": a, "layer_b": b, "matches": matrix.ravel(), "expected": expected.ravel()})


def relative_depth(layer: np.ndarray, layers: int) -> np.ndarray:
    """Layer / (layers - 1): 0 first, 1 last (the paper's section E.3); 0 for a network of one layer."""
    return layer / max(1, layers - 1)


def same_depth(layer_a: np.ndarray, layers_a: int, layer_b: np.ndarray, layers_b: int) -> np.ndarray:
    """Whether layer b is the one whose relative depth is nearest to that of layer a; the layers broadcast."""
    return layer_b == np.rint(relative_depth(layer_a, layers_a) * (layers_b - 1)).astype(int)


def on_diagonal(margin_a: np.ndarray, margin_b: np.ndarray) -> float:
    """Sum of margin_a * margin_b over the pairs of layers of the same relative depth.

    Of the shares of matches in every layer, (layers_a,) and (layers_b,), this is the share of matches on the diagonal
    when partners are dealt anew among the matches.
    """
    layers_a, layers_b = len(margin_a), len(margin_b)
    diagonal = same_depth(np.arange(layers_a)[:, None], layers_a, np.arange(layers_b), layers_b)
    return margin_a @ diagonal @ margin_b
