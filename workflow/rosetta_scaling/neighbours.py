"""The best partners of every neuron: found tile by tile, merged in any order, and compared from both sides."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.plan import RANKED_ROWS
from rosetta_scaling.ranking import strongest


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

    def merge(self, start: int, other: "Neighbours") -> None:
        """Take in partners of the neurons from `start` on, of which none is known here yet."""
        rows = slice(start, start + len(other.r))
        r, partner = torch.cat([self.r[rows], other.r], 1), torch.cat([self.partner[rows], other.partner], 1)
        self.r[rows], self.partner[rows] = strongest(r, partner, self.r.shape[1], dim=1)
        self.constant[rows] |= other.constant


def best_in_rows(r: torch.Tensor, k: int, offset: int, constant: torch.Tensor) -> Neighbours:
    """The k largest of every row of r (neurons, candidates); candidate j is neuron `offset` + j of the other model."""
    best = Neighbours.empty(len(r), k)
    index = torch.arange(offset, offset + r.shape[1], device=r.device)
    for start in range(0, len(r), RANKED_ROWS):
        block = r[start : start + RANKED_ROWS].contiguous()
        value, partner = strongest(block, index.expand_as(block), k, dim=1)
        partner = torch.where(value == -torch.inf, -1, partner)
        best.r[start : start + RANKED_ROWS, : value.shape[1]] = value.cpu()
        best.partner[start : start + RANKED_ROWS, : value.shape[1]] = partner.cpu()
    best.constant[:] = constant.cpu()
    return best


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
