"""The best partners of every neuron: found tile by tile, merged in any order, and compared from both sides."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.matching.tiles import RANKED_ROWS
from rosetta_scaling.numerics import devices
from rosetta_scaling.numerics.ranking import strongest

RANKED_ON_CARD = 2**28  # entries of a matrix that a GPU ranks at a time


@dataclass(frozen=True)
class Neighbours:
    """The k best partners of every neuron of one model, best first. Ties go to the lower index."""

    r: torch.Tensor  # (neurons, k) float32; -inf where there is no partner
    partner: torch.Tensor  # (neurons, k) int64; -1 where there is no partner
    constant: torch.Tensor  # (neurons,) bool
    rescored: torch.Tensor  # (neurons,) bool: rounded products left its partners open (on a GPU, see settling.py)

    @classmethod
    def empty(cls, neurons: int, k: int) -> "Neighbours":
        return cls(
            torch.full((neurons, k), -torch.inf),
            torch.full((neurons, k), -1, dtype=torch.int64),
            torch.zeros(neurons, dtype=torch.bool),
            torch.zeros(neurons, dtype=torch.bool),
        )

    def merge(self, start: int, other: "Neighbours") -> None:
        """Take in partners of the neurons from `start` on, of which none is known here yet."""
        rows = slice(start, start + len(other.r))
        r, partner = torch.cat([self.r[rows], other.r], 1), torch.cat([self.partner[rows], other.partner], 1)
        self.r[rows], self.partner[rows] = strongest(r, partner, self.r.shape[1], dim=1)
        self.constant[rows] |= other.constant
        self.rescored[rows] |= other.rescored


class BestPartners(NamedTuple):
    """The best partners of every neuron of both models of a pair."""

    a: Neighbours
    b: Neighbours


class Growth(dict[int, BestPartners]):
    """The best partners of a pair after some of the units and after all of them, by the number of units, rising."""

    @property
    def units(self) -> int:
        """Number of all units."""
        return max(self)

    @property
    def final(self) -> BestPartners:
        """The best partners after all units."""
        return self[self.units]

    @property
    def snapshots(self) -> dict[int, BestPartners]:
        """Those after a part of the units, by its number of units."""
        return {units: best for units, best in self.items() if units < self.units}


def best_in_rows(r: torch.Tensor, k: int, offset: int, constant: torch.Tensor) -> Neighbours:
    """The k largest of every row of r (neurons, candidates); candidate j is neuron `offset` + j of the other model."""
    rows = max(RANKED_ROWS, RANKED_ON_CARD // r.shape[1]) if devices.is_card(r.device) else RANKED_ROWS
    return best_in_blocks(r.split(rows), k, range(offset, offset + r.shape[1]), constant)


def best_in_blocks(blocks: Iterable[torch.Tensor], k: int, candidates: range, constant: torch.Tensor) -> Neighbours:
    """best_in_rows of a matrix that comes a few rows at a time; its columns are these neurons of the other model."""
    best, start = Neighbours.empty(len(constant), k), 0
    for block in blocks:
        index = torch.arange(candidates.start, candidates.stop, device=block.device)
        value, partner = strongest(block.contiguous(), index.expand_as(block), k, dim=1)
        partner = torch.where(value == -torch.inf, -1, partner)
        best.r[start : start + len(block), : value.shape[1]] = value.cpu()
        best.partner[start : start + len(block), : value.shape[1]] = partner.cpu()
        start += len(block)
    best.constant[:] = constant.cpu()
    return best


def partner_table(a: Neighbours, b: Neighbours, k: int) -> pd.DataFrame:
    """Pairs of neurons of which each is among the k best of the other, and every neuron's best partner.

    Columns: neuron_a, neuron_b, r, rank_a (place of b among a's partners, from 1; 0: not among the k), rank_b,
    margin_a (r above a's next partner; NaN where rank_a is 0), margin_b, and csls_rank_a, csls_rank_b: ranks among the
    pairs that are mutual, by 2 r - (mean r of a's k best) - (mean r of b's k best); 0 for the others.
    """
    sides = [_ranked(side, k, len(b.r), swap) for side, swap in ((a, False), (b, True))]
    table = pd.DataFrame({"pair": np.union1d(sides[0].index, sides[1].index)}).set_index("pair")
    for name, side in zip("ab", sides, strict=True):
        table[f"rank_{name}"] = side["rank"].reindex(table.index).fillna(0).astype(np.int64)
        table[f"margin_{name}"] = side.margin.reindex(table.index)
    table["r"] = sides[0].r.reindex(table.index).fillna(sides[1].r)
    mutual = (table.rank_a > 0) & (table.rank_b > 0)
    table = table[mutual | (table.rank_a == 1) | (table.rank_b == 1)]
    table.insert(0, "neuron_a", table.index // len(b.r))
    table.insert(1, "neuron_b", table.index % len(b.r))
    table = table.reset_index(drop=True)
    mutual = table[(table.rank_a > 0) & (table.rank_b > 0)]
    hubs = [np.ma.masked_invalid(side.r[:, :k].double().numpy()).mean(1).filled(0) for side in (a, b)]
    score = 2 * mutual.r - hubs[0][mutual.neuron_a] - hubs[1][mutual.neuron_b]
    for name in "ab":
        rank = score.groupby(mutual[f"neuron_{name}"]).rank(ascending=False, method="first")
        table[f"csls_rank_{name}"] = rank.reindex(table.index).fillna(0).astype(np.int64)
    return table[["neuron_a", "neuron_b", "r", *(f"{name}_{side}" for name in RANKS for side in "ab")]]


RANKS = ("rank", "margin", "csls_rank")


def pair_numbers(side: Neighbours, neurons_b: int, swap: bool) -> torch.Tensor:
    """Number of the pair (neuron of A * neurons of B + neuron of B) of every neuron with every partner; -1: none.

    `swap` when the neurons are those of B.
    """
    mine = torch.arange(len(side.r))[:, None]
    pair = side.partner * neurons_b + mine if swap else mine * neurons_b + side.partner
    return torch.where(side.partner >= 0, pair, -1)


def _ranked(side: Neighbours, k: int, neurons_b: int, swap: bool) -> pd.DataFrame:
    """Known partners of one side, by the number of the pair."""
    other, pair = side.partner[:, :k], pair_numbers(side, neurons_b, swap)[:, :k]
    following = torch.cat([side.r, torch.full((len(side.r), 1), torch.nan)], 1)[:, 1 : k + 1]
    rank = torch.arange(1, k + 1).expand_as(other)
    known = other >= 0
    columns = {"rank": rank[known], "r": side.r[:, :k][known].double(), "margin": (side.r[:, :k] - following)[known]}
    return pd.DataFrame({name: value.numpy() for name, value in columns.items()}, index=pair[known].numpy())


def mutual_matches(a: Neighbours, b: Neighbours, k: int) -> pd.DataFrame:
    """The rows of partner_table in which each neuron is among the k best of the other."""
    table = partner_table(a, b, k)
    return table[(table.rank_a > 0) & (table.rank_b > 0)].reset_index(drop=True)
