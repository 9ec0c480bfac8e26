"""Which layers of two networks, or of one, hold the same neurons: partners, their matrix, and how diagonal it is.

Layers that follow one smooth flow do the same at the same depth in every network, so matches lie on the diagonal of the
matrix; layers that average may stand in any order, so it is flat. The torch-free half serves the students and the
tables of matches of real models alike.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.numerics import intervals
from rosetta_scaling.points.depth import same_depth
from rosetta_scaling.units.neurons import layer_and_channel

ALIGNMENT = ("matches", "share", "expected", "kappa", "null_low", "null_high")  # keys of `alignment`
BETWEEN, INSIDE = "between", "inside"


def best_partners(a, b, hidden: int, inside: bool = False) -> pd.DataFrame:
    """The best partner of every neuron of activations `a` among those of `b`, both (neurons, inputs), by Pearson's r.

    Neurons come layer by layer, `hidden` of each. `inside` one network (a is b) partners of the own layer do not count.
    Columns: layer_a, neuron_a, layer_b, neuron_b, r, mutual. Neurons that never change have no row.
    """
    from rosetta_scaling.matching.correlation import CrossProducts
    from rosetta_scaling.matching.neighbours import best_in_rows, partner_table

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


def layer_matrix(matches: pd.DataFrame, layers_a: int, layers_b: int) -> pd.DataFrame:
    """Matches by pair of layers. Columns: layer_a, layer_b, matches, expected from the margins alone.

    `matches` has a row for every match that counts, with columns layer_a and layer_b: mutual best partners of students,
    or rows of a matches.parquet that meet a criterion (see rosetta.satisfying).
    """
    matrix = np.zeros([layers_a, layers_b], int)
    np.add.at(matrix, (matches.layer_a.to_numpy(), matches.layer_b.to_numpy()), 1)
    expected = np.outer(matrix.sum(1), matrix.sum(0)) / max(1, matrix.sum())
    a, b = np.indices(matrix.shape).reshape(2, -1)
    return pd.DataFrame({"layer_a": a, "layer_b": b, "matches": matrix.ravel(), "expected": expected.ravel()})


def kappa(layer_a: np.ndarray, layers_a: int, layer_b: np.ndarray, layers_b: int) -> tuple[float, float, float]:
    """Share of matches at the same relative depth, what the margins alone give, and Cohen's kappa: how far the former
    is on the way from the latter to 1. NaN without matches; kappa is NaN, too, where the margins alone give 1.
    """
    if not len(layer_a):
        return np.nan, np.nan, np.nan
    share = same_depth(layer_a, layers_a, layer_b, layers_b).mean()
    margins = np.bincount(layer_a, minlength=layers_a), np.bincount(layer_b, minlength=layers_b)
    diagonal = same_depth(np.arange(layers_a)[:, None], layers_a, np.arange(layers_b), layers_b)
    expected = margins[0] @ diagonal @ margins[1] / len(layer_a) ** 2
    return share, expected, (share - expected) / (1 - expected) if expected < 1 else np.nan


def alignment(
    matches: pd.DataFrame, layers_a: int, layers_b: int, shuffles: int, confidence: float, seed: int | list[int]
) -> dict[str, float]:
    """How diagonal a matrix of matches is (see kappa), beside its null: partners dealt anew among the matches.

    Keys: matches, share, expected, kappa, null_low, null_high (quantiles of kappa over `shuffles` draws).
    """
    a, b = matches.layer_a.to_numpy(), matches.layer_b.to_numpy()
    found = dict(zip(("share", "expected", "kappa"), kappa(a, layers_a, b, layers_b), strict=True))
    low = high = np.nan
    if np.isfinite(found["kappa"]):
        random = np.random.default_rng(seed)
        shares = [same_depth(a, layers_a, random.permutation(b), layers_b).mean() for _ in range(shuffles)]
        draws = (np.array(shares) - found["expected"]) / (1 - found["expected"])  # the margins stay as they are
        low, high = intervals.of_draws(draws, confidence)
    return {"matches": len(a)} | found | {"null_low": low, "null_high": high}
