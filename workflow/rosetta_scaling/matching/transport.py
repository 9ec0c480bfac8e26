"""Neurons of two models matched one to one by partial optimal transport: each has one partner at most, or none.

A match is worth r less the price of leaving its neurons alone, and the matching is worth the most of all (after Kapoor,
Williams and Khosla 2026, arXiv 2602.19331, with one unit of mass for every neuron). This takes the whole matrix of
correlations, and time that grows with the third power of the number of neurons.
"""

import numpy as np
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment

from rosetta_scaling.activations.sources import Source
from rosetta_scaling.matching.products import CrossProducts
from rosetta_scaling.numerics.partners import MutualPartners, mutual_partners


def transport(a: Source, b: Source, min_r: float, *, device: torch.device | str = "cpu") -> pd.DataFrame:
    """The pairs of neurons with an r above min_r that are transported, or each other's best partner, or both.

    Columns: neuron_a, neuron_b, r, transported, mutual.
    """
    products = CrossProducts(sum(a.widths), sum(b.widths), a.chunk, device)
    for x, y in zip(a.chunks(), b.chunks(), strict=True):
        products.add(x.to(device), y.to(device))
    return transport_table(products.correlations().cpu().numpy(), min_r)


def transport_table(r: np.ndarray, min_r: float) -> pd.DataFrame:
    """The table of `transport` from correlations r (neurons of A, neurons of B); -inf for constant neurons."""
    found = {"transported": transported_pairs(r, min_r), "mutual": mutual_partners(r)}
    is_pair = {name: np.zeros(r.shape, bool) for name in found}
    for name, pairs in found.items():
        is_pair[name][pairs] = r[pairs] > min_r
    neuron_a, neuron_b = np.nonzero(is_pair["transported"] | is_pair["mutual"])
    columns = {"neuron_a": neuron_a, "neuron_b": neuron_b, "r": r[neuron_a, neuron_b].astype(float)}
    return pd.DataFrame(columns | {name: chosen[neuron_a, neuron_b] for name, chosen in is_pair.items()})


def transported_pairs(r: np.ndarray, min_r: float) -> MutualPartners:
    """The one-to-one pairs, all with an r above min_r, whose sum of r - min_r is the largest."""
    gain = np.where(r > min_r, r - min_r, 0)
    rows, columns = np.flatnonzero(gain.any(1)), np.flatnonzero(gain.any(0))  # the other neurons stay alone
    chosen_rows, chosen_columns = linear_sum_assignment(gain[np.ix_(rows, columns)], maximize=True)
    a, b = rows[chosen_rows], columns[chosen_columns]
    worth = gain[a, b] > 0  # an assignment leaves no row alone
    return MutualPartners(a[worth], b[worth])
