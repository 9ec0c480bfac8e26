"""Partners found on either half of the documents, with their correlation on the other half."""

import pandas as pd
import torch

from rosetta_scaling.matching.neighbours import Neighbours, pair_numbers, partner_table
from rosetta_scaling.matching.replicates import GroupSums

Sides = tuple[Neighbours, Neighbours]  # the best partners of the neurons of A, and of those of B


def pair_codes(found: list[Sides], neurons_b: int) -> torch.Tensor:
    """Sorted numbers a * neurons_b + b (pairs,) of all pairs of neurons that are among the best partners of either."""
    numbers = [pair_numbers(sides[i], neurons_b, swap=i == 1).flatten() for sides in found for i in (0, 1)]
    every = torch.cat(numbers)
    return torch.unique(every[every >= 0])


def pairs_of_codes(code: torch.Tensor, neurons_b: int) -> torch.Tensor:
    """Neurons (2, pairs) of A and of B, by their codes (pairs,)."""
    return torch.stack([code // neurons_b, code % neurons_b])


def half_tables(sums: GroupSums, halves: list[Sides], code: torch.Tensor, *, k: int, neurons_b: int) -> pd.DataFrame:
    """Tables of partners of both halves, which a column draw tells apart, with heldout_r.

    `sums` are of all pairs of neurons in `code`; even groups of documents are the half 0, odd ones the half 1.
    """
    even = torch.arange(len(sums.count)) % 2 == 0
    heldout = sums.correlations(torch.stack([even, ~even], 1).double())
    heldout[heldout == -torch.inf] = torch.nan
    tables = []
    for draw in (0, 1):
        table = partner_table(*halves[draw], k)
        place = torch.searchsorted(code, torch.tensor((table.neuron_a * neurons_b + table.neuron_b).to_numpy()))
        tables.append(table.assign(draw=draw, heldout_r=heldout[place, 1 - draw].numpy()))
    return pd.concat(tables, ignore_index=True)
