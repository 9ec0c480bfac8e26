"""Which layers of two networks, or of one, hold the same neurons: partners, their matrix, and how diagonal it is.

Layers that follow one smooth flow do the same at the same depth in every network, so matches lie on the diagonal of the
matrix; layers that average may stand in any order, so it is flat. The torch-free half serves the students and the
tables of matches of real models alike.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from rosetta_scaling.numerics import intervals
from rosetta_scaling.points.layers import MatchedLayers, on_diagonal
from rosetta_scaling.units.neurons import layer_and_channel

BETWEEN, INSIDE = "between", "inside"


def best_partners(a, b, hidden: int, inside: bool = False) -> pd.DataFrame:
    """The best partner of every neuron of activations `a` among those of `b`, both (neurons, inputs), by Pearson's r.

    Neurons come layer by layer, `hidden` of each. `inside` one network (a is b) partners of the own layer do not count.
    Columns: layer_a, neuron_a, layer_b, neuron_b, r, mutual. Neurons that never change have no row.
    """
    from rosetta_scaling.matching.neighbours import best_in_rows, partner_table
    from rosetta_scaling.matching.products import CrossProducts

    products = CrossProducts(len(a), len(b), a.shape[1], a.device)
    products.add(a, b)
    r = products.correlations()
    if inside:
        for start in range(0, len(a), hidden):
            r[start : start + hidden, start : start + hidden] = -np.inf
    sides = best_in_rows(r, 1, 0, products.a.constant), best_in_rows(r.T, 1, 0, products.b.constant)
    table = partner_table(*sides, 1)
    table = table[table.rank_a == 1].assign(mutual=table.rank_b == 1)
    return add_layers(table, [hidden] * (len(a) // hidden), [hidden] * (len(b) // hidden))[
        ["layer_a", "neuron_a", "layer_b", "neuron_b", "r", "mutual"]
    ].reset_index(drop=True)


def add_layers(table: pd.DataFrame, widths_a: list[int], widths_b: list[int]) -> pd.DataFrame:
    """A table of partners with columns layer_a, layer_b, from neuron_a, neuron_b and the neurons of every layer.

    Those of nulls lack them.
    """
    layers = {
        f"layer_{side}": layer_and_channel(widths)[0][table[f"neuron_{side}"]]
        for side, widths in (("a", widths_a), ("b", widths_b))
    }
    return table.assign(**layers)


def matched_layers(matches: pd.DataFrame, layers_a: int, layers_b: int) -> MatchedLayers:
    """The layers of matches between two networks.

    `matches` has a row for every match that counts, with columns layer_a and layer_b: mutual best partners of students,
    or rows of a matches.parquet that meet a criterion (see rosetta.satisfying).
    """
    return MatchedLayers(matches.layer_a.to_numpy(), layers_a, matches.layer_b.to_numpy(), layers_b)


class Kappa(NamedTuple):
    """How far matches are on the way from what the margins of their layers give to the diagonal."""

    share: float  # of matches that join layers of the same relative depth
    expected: float  # that share by the margins alone
    kappa: float  # Cohen's: (share - expected) / (1 - expected)


def kappa(layers: MatchedLayers) -> Kappa:
    """All NaN without matches; kappa is NaN, too, where the margins alone give a share of 1."""
    n = len(layers.a)
    if not n:
        return Kappa(np.nan, np.nan, np.nan)
    share = layers.at_same_depth().mean()
    expected = on_diagonal(*layers.margins()) / n**2
    return Kappa(share, expected, (share - expected) / (1 - expected) if expected < 1 else np.nan)


def alignment(layers: MatchedLayers, shuffles: int, confidence: float, seed: list[int] | int) -> dict[str, float]:
    """How diagonal a matrix of matches is (see Kappa), beside its null: partners dealt anew among the matches.

    Keys: ALIGNMENT; null_low and null_high are quantiles of kappa over `shuffles` draws.
    """
    found = kappa(layers)
    low = high = np.nan
    if np.isfinite(found.kappa):
        random = np.random.default_rng(seed)
        dealt = (layers._replace(b=random.permutation(layers.b)) for _ in range(shuffles))
        shares = [one.at_same_depth().mean() for one in dealt]
        draws = (np.array(shares) - found.expected) / (1 - found.expected)  # the margins stay as they are
        low, high = intervals.of_draws(draws, confidence)
    return {"matches": len(layers.a)} | found._asdict() | {"null_low": low, "null_high": high}
