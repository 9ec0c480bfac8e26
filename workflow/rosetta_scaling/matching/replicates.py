"""How stable the matches of a pair are: on the other half of the documents, on resampled ones, among fewer neurons.

All of it comes as tables of partners (see neighbours.partner_table) with a column draw, so that what is counted in them
is counted by the same rules as the real matches.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.activations.moments import mean_and_deviation
from rosetta_scaling.activations.sources import Source
from rosetta_scaling.matching.neighbours import BestPartners, Neighbours, pair_numbers, partner_table
from rosetta_scaling.matching.products import CrossProducts
from rosetta_scaling.matching.rescoring import sparse_pattern
from rosetta_scaling.matching.subsets import Selected
from rosetta_scaling.matching.tiles import Tile
from rosetta_scaling.numerics.ranking import strongest


class GroupSums:
    """Sums over the units of every group, which give correlations of given pairs for any weights of the groups."""

    def __init__(self, a: Source, b: Source, pairs: torch.Tensor, group: np.ndarray):
        """pairs (2, n) neurons of A and of B, sorted and each once; group (units,), 0, 1, ..."""
        self.pairs, groups = pairs, int(group.max()) + 1
        self.count = torch.from_numpy(np.bincount(group, minlength=groups)).double()
        scales = [mean_and_deviation(source, 0, sum(source.widths)) for source in (a, b)]
        self.sums, self.squares = (
            [torch.zeros(len(mean), groups, dtype=torch.float64) for mean, _ in scales] for _ in range(2)
        )
        self.products = torch.zeros(pairs.shape[1], groups, dtype=torch.float64)
        pattern = sparse_pattern(pairs, [len(mean) for mean, _ in scales])
        begin = 0
        for values in zip(a.chunks(), b.chunks(), strict=True):
            units = values[0].shape[1]
            chunk = group[begin : begin + units]
            standard = []
            for x, (mean, deviation) in zip(values, scales, strict=True):
                standard.append((x.cpu().float() - mean[:, None]) / deviation.clamp(min=1e-30)[:, None])
            edges = [0, *(np.flatnonzero(np.diff(chunk)) + 1), units]  # documents are not torn apart
            for start, stop in itertools.pairwise(edges):
                x, y = (part[:, start:stop].contiguous() for part in standard)
                place = chunk[start]
                for side, part in enumerate((x, y)):
                    self.sums[side][:, place] += part.sum(1)
                    self.squares[side][:, place] += part.square().sum(1)
                self.products[:, place] += torch.sparse.sampled_addmm(pattern, x, y.T, beta=0.0).values()
            begin += units

    def correlations(self, weights: torch.Tensor) -> torch.Tensor:
        """Pearson's r (pairs, draws), float32, when groups count (groups, draws) times; -inf for constant neurons."""
        n = self.count @ weights
        sums = [total @ weights for total in self.sums]
        spread = [s @ weights - total**2 / n for s, total in zip(self.squares, sums, strict=True)]
        (i, j), (sum_a, sum_b), (spread_a, spread_b) = self.pairs, sums, spread
        covariance = self.products @ weights - sum_a[i] * sum_b[j] / n
        r = covariance / (spread_a[i] * spread_b[j]).clamp(min=1e-300).sqrt()
        return torch.where((spread_a[i] > 1e-9) & (spread_b[j] > 1e-9), r, -torch.inf).float()


def resample(sums: GroupSums, near: BestPartners, k: int, draws: int, *, seed: list[int]) -> pd.DataFrame:
    """Matches when groups of documents are drawn with replacement, among the partners that are near with all of them.

    `near` holds these, all of which are among the pairs of `sums`.
    """
    rng, groups = np.random.default_rng(seed), len(sums.count)
    weights = torch.from_numpy(rng.multinomial(groups, np.full(groups, 1 / groups), size=draws).T.astype(float))
    r, neurons_b = sums.correlations(weights), len(near[1].r)
    known = sums.pairs[0] * neurons_b + sums.pairs[1]
    sides = [pair_numbers(side, neurons_b, swap) for side, swap in zip(near, (False, True), strict=True)]
    tables = []
    for draw in range(draws):
        a, b = (_reordered(side, code, known, r[:, draw]) for side, code in zip(near, sides, strict=True))
        tables.append(partner_table(a, b, k).assign(draw=draw))
    return pd.concat(tables, ignore_index=True)


def _reordered(best: Neighbours, code: torch.Tensor, known: torch.Tensor, r: torch.Tensor) -> Neighbours:
    """The same partners in the order of other correlations, r of the pairs in `known`."""
    value = torch.where(code >= 0, r[torch.searchsorted(known, code.clamp(min=0))], -torch.inf)
    partner = torch.where(value > -torch.inf, best.partner, 2**31)  # sorts last among equals
    value, partner = strongest(value, partner, value.shape[1], dim=1)
    return replace(best, r=value, partner=torch.where(value > -torch.inf, partner, -1))


def match_subsets(a: Source, b: Source, subsets: list[tuple[np.ndarray, np.ndarray]], k: int) -> pd.DataFrame:
    """Tables of partners among some neurons of two sources, by their numbers in the whole models; a draw each."""
    products = [CrossProducts(len(mine), len(other), a.chunk) for mine, other in subsets]
    for x, y in zip(a.chunks(), b.chunks(), strict=True):
        for running, (mine, other) in zip(products, subsets, strict=True):
            running.add(x[mine].cpu(), y[other].cpu())
    tables = []
    for draw, (running, (mine, other)) in enumerate(zip(products, subsets, strict=True)):
        table = partner_table(*running.best(Tile(0, len(mine), 0, len(other)), k + 1), k)
        tables.append(table.assign(neuron_a=mine[table.neuron_a], neuron_b=other[table.neuron_b], draw=draw))
    return pd.concat(tables, ignore_index=True)


def match_sample(
    a, b, index_a: np.ndarray, index_b: np.ndarray, *, k: int, match: Callable[..., tuple[Neighbours, Neighbours]]
) -> pd.DataFrame:
    """The rows of the table of partners of two sources that tell whether some neurons of either match.

    Of the neurons in `index_a` and `index_b`, and of their partners, all partners are looked for; `match(a, b)` gives
    the k + 1 best partners both ways of two sources.
    """
    neurons_a, neurons_b = sum(a.widths), sum(b.widths)
    from_a = match(Selected(a, index_a), b)[0]
    from_b = match(a, Selected(b, index_b))[1]
    more_a = np.setdiff1d(np.unique(from_b.partner[:, :k]), [-1])
    more_b = np.setdiff1d(np.unique(from_a.partner[:, :k]), [-1])
    best = []
    for index, found, more, neurons, side in (
        (index_a, from_a, np.setdiff1d(more_a, index_a), neurons_a, 0),
        (index_b, from_b, np.setdiff1d(more_b, index_b), neurons_b, 1),
    ):
        all_best = Neighbours.empty(neurons, k + 1)
        for rows, part in ((index, found), (more, None)):
            if len(rows):
                if part is None:
                    part = match(Selected(a, rows), b)[0] if side == 0 else match(a, Selected(b, rows))[1]
                all_best.r[rows], all_best.partner[rows] = part.r, part.partner
                all_best.constant[rows] = part.constant
        best.append(all_best)
    table = partner_table(best[0], best[1], k)
    return table[table.neuron_a.isin(index_a) | table.neuron_b.isin(index_b)].reset_index(drop=True)
