"""Exact Pearson correlation of all neurons of two models, and the mutual nearest neighbours among them.

The correlation matrix is walked in tiles under a memory budget and never stored. Sums are float32; means and norms
are float64. Constant neurons have no correlation: they are masked and counted.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.store import StudyError

Rows = Callable[[int, int], torch.Tensor]  # (start, stop) -> (stop - start, units) float32


@dataclass(frozen=True)
class Neighbours:
    """The k best partners of every neuron of one model, best first. Ties go to the lower index."""

    r: torch.Tensor  # (neurons, k) float32; -inf where there is no partner
    partner: torch.Tensor  # (neurons, k) int64; -1 where there is no partner
    constant: torch.Tensor  # (neurons,) bool

    @classmethod
    def empty(cls, neurons: int, k: int) -> "Neighbours":
        return cls(
            torch.full((neurons, k), -torch.inf),
            torch.full((neurons, k), -1, dtype=torch.int64),
            torch.zeros(neurons, dtype=torch.bool),
        )


def standardise(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows (neurons, units) centred and scaled to unit norm, so that a dot product is Pearson's r.

    Returns the rows and a mask of the constant ones, which become zero.
    """
    constant = rows.amax(1) == rows.amin(1)
    standard = torch.empty_like(rows)
    few = max(1, 250_000 // rows.shape[1])  # rows whose float64 copy stays in the processor's cache
    for part, out in zip(rows.split(few), standard.split(few), strict=True):
        centred = part.double()
        centred -= centred.mean(1, keepdim=True)
        out.copy_(centred / torch.linalg.vector_norm(centred, dim=1, keepdim=True))
    standard[constant] = 0
    return standard, constant


def tile_size(units: int, memory_bytes: int) -> int:
    """Neurons per tile t, so that a tile of each model with two copies in the making, and their correlations with one
    copy, fit the budget: 4 bytes * (4 * units * t + 2 * t * t).
    """
    tile = int(math.sqrt(units**2 + memory_bytes / 8) - units)
    if tile < 1:
        raise StudyError(
            f"matching.memory_mb allows {memory_bytes / 1e6:.0f} MB, but one neuron of each model over {units:,} "
            f"units takes {16 * units / 1e6:.0f} MB; raise it"
        )
    return tile


def best_matches(
    rows_a: Rows,
    neurons_a: int,
    rows_b: Rows,
    neurons_b: int,
    units: int,
    k: int,
    memory_bytes: int,
    device: torch.device | str = "cpu",
    displacement: int = 0,
) -> tuple[Neighbours, Neighbours]:
    """The k best partners, by Pearson's r, of every neuron of A in B and of every neuron of B in A.

    `displacement` rolls the units of B by so many places: the shift null.
    """
    tile = tile_size(units, memory_bytes)
    a, b = Neighbours.empty(neurons_a, k), Neighbours.empty(neurons_b, k)
    for a0 in range(0, neurons_a, tile):
        a1 = min(a0 + tile, neurons_a)
        block_a, constant_a = standardise(rows_a(a0, a1).to(device))
        for b0 in range(0, neurons_b, tile):
            b1 = min(b0 + tile, neurons_b)
            block_b, constant_b = standardise(rows_b(b0, b1).to(device))
            r = correlate(block_a, block_b.roll(displacement, 1) if displacement else block_b)
            r[constant_a] = -torch.inf
            r[:, constant_b] = -torch.inf
            b.constant[b0:b1] = constant_b.cpu()
            _keep_best(b, b0, b1, r.T, a0)
            _keep_best(a, a0, a1, r, b0)
        a.constant[a0:a1] = constant_a.cpu()
    return a, b


def correlate(block_a: torch.Tensor, block_b: torch.Tensor) -> torch.Tensor:
    """Correlations (a, b) of standardised float32 rows; the one place where products are summed."""
    return block_a @ block_b.T


def _keep_best(best: Neighbours, start: int, stop: int, r: torch.Tensor, offset: int) -> None:
    """Merge the correlations of one tile, r (stop - start, candidates), into the running best of its rows."""
    k = best.r.shape[1]
    r = r.clone() if k > 1 else r
    values, partners = [best.r[start:stop]], [best.partner[start:stop]]
    for _ in range(min(k, r.shape[1])):
        value, index = r.max(1, keepdim=True)  # the first of equals, unlike topk
        values.append(value.cpu())
        partners.append(torch.where(value == -torch.inf, -1, index + offset).cpu())
        if k > 1:
            r.scatter_(1, index, -torch.inf)
    value, partner = torch.cat(values, 1), torch.cat(partners, 1)
    # Stable: what came from an earlier tile has a lower index and stays first among equals.
    order = value.argsort(dim=1, descending=True, stable=True)[:, :k]
    best.r[start:stop], best.partner[start:stop] = value.gather(1, order), partner.gather(1, order)


def mutual_matches(a: Neighbours, b: Neighbours, k: int) -> pd.DataFrame:
    """Pairs in which each neuron is among the k best of the other.

    Columns: neuron_a, neuron_b, r, rank_a (place of b among a's partners, from 1), rank_b, margin_a (r above a's next
    partner), margin_b.
    """
    neuron_a = torch.arange(len(a.r)).repeat_interleave(k)
    neuron_b, r = a.partner[:, :k].flatten(), a.r[:, :k].flatten()
    known = neuron_b >= 0
    neuron_a, neuron_b, r = neuron_a[known], neuron_b[known], r[known]
    rank_a = torch.arange(k).repeat(len(a.r))[known]
    returned = b.partner[neuron_b, :k] == neuron_a[:, None]  # (pairs, k)
    mutual = returned.any(1)
    neuron_a, neuron_b, r, rank_a = (x[mutual] for x in (neuron_a, neuron_b, r, rank_a))
    rank_b = returned[mutual].int().argmax(1)
    next_a, next_b = (torch.cat([x.r, torch.full((len(x.r), 1), torch.nan)], 1) for x in (a, b))
    return pd.DataFrame(
        {
            "neuron_a": neuron_a,
            "neuron_b": neuron_b,
            "r": r.numpy().astype(np.float64),
            "rank_a": rank_a + 1,
            "rank_b": rank_b + 1,
            "margin_a": (r - next_a[neuron_a, rank_a + 1]).numpy(),
            "margin_b": (r - next_b[neuron_b, rank_b + 1]).numpy(),
        }
    )
