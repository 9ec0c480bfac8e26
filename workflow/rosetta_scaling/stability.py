"""How stable the matches of a pair are: on the other half of the documents, on resampled ones, among fewer neurons.

All of it comes as tables of partners (see neighbours.partner_table) with a column draw, so that what is counted in them
is counted by the same rules as the real matches.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.correlation import Moments, match_tile
from rosetta_scaling.neighbours import Neighbours, partner_table
from rosetta_scaling.plan import Tile
from rosetta_scaling.ranking import strongest
from rosetta_scaling.transforms import Selected, mean_and_deviation

GROUPS = 64  # of documents, at most, that are resampled
BLOCK = 4096  # pairs worked on at a time


def document_groups(doc: np.ndarray, seed: int) -> np.ndarray:
    """Group of every unit (0, 1, ...) from its document: one document each, or as many as make GROUPS groups."""
    _, document = np.unique(doc, return_inverse=True)
    count = document.max() + 1
    return (np.random.default_rng([seed, 3]).permutation(count) % min(count, GROUPS))[document]


class GroupSums:
    """Sums over the units of every group, which give correlations of given pairs for any weights of the groups."""

    def __init__(self, a, b, pairs: np.ndarray, group: np.ndarray):
        """a, b: sources; pairs (2, n) neurons of A and of B; group (units,)."""
        groups = int(group.max()) + 1
        member = torch.nn.functional.one_hot(torch.from_numpy(group), groups).float()  # (units, groups)
        self.pairs = torch.from_numpy(pairs)
        self.count = member.sum(0).double()
        scales = [mean_and_deviation(source, 0, sum(source.widths)) for source in (a, b)]
        self.sums = [torch.zeros(len(mean), groups, dtype=torch.float64) for mean, _ in scales]
        self.squares = [torch.zeros_like(total) for total in self.sums]
        self.products = torch.zeros(pairs.shape[1], groups, dtype=torch.float64)
        begin = 0
        for values in zip(a.chunks(), b.chunks(), strict=True):
            part = member[begin : begin + values[0].shape[1]]
            begin += values[0].shape[1]
            standard = []
            for side, (mean, deviation) in enumerate(scales):
                x = (values[side].cpu().float() - mean[:, None]) / deviation.clamp(min=1e-30)[:, None]
                self.sums[side] += x @ part
                self.squares[side] += x.square() @ part
                standard.append(x)
            for start in range(0, pairs.shape[1], BLOCK):
                x, y = (standard[side][self.pairs[side, start : start + BLOCK]] for side in (0, 1))
                self.products[start : start + BLOCK] += x.mul_(y) @ part

    def correlations(self, weights: torch.Tensor) -> torch.Tensor:
        """Pearson's r (pairs, draws), float32, when the groups count (groups, draws) times."""
        n = self.count @ weights
        sums = [total @ weights for total in self.sums]
        spread = [s @ weights - total**2 / n for s, total in zip(self.squares, sums, strict=True)]
        (i, j), (sum_a, sum_b), (spread_a, spread_b) = self.pairs, sums, spread
        covariance = self.products @ weights - sum_a[i] * sum_b[j] / n
        r = covariance / (spread_a[i] * spread_b[j]).clamp(min=1e-300).sqrt()
        return torch.where((spread_a[i] > 1e-9) & (spread_b[j] > 1e-9), r, -torch.inf).float()


def bootstrap(a, b, best: tuple[Neighbours, Neighbours], k: int, group: np.ndarray, draws: int, seed) -> pd.DataFrame:
    """Matches when groups of documents are drawn with replacement, among the partners that are near with all of them.

    `best` holds these, a few more than k; draws weigh whole groups as often as they were drawn.
    """
    neurons_b = len(best[1].r)
    codes = [_codes(best[0], neurons_b, swap=False), _codes(best[1], neurons_b, swap=True)]
    code = torch.unique(torch.cat([side[side >= 0] for side in codes]))
    pairs = torch.stack([code // neurons_b, code % neurons_b]).numpy()
    sums = GroupSums(a, b, pairs, group)
    rng, groups = np.random.default_rng(seed), len(sums.count)
    weights = torch.from_numpy(rng.multinomial(groups, np.full(groups, 1 / groups), size=draws).T.astype(float))
    r = sums.correlations(weights)
    tables = []
    for draw in range(draws):
        sides = [_resampled(side, at, code, r[:, draw]) for side, at in zip(best, codes, strict=True)]
        tables.append(partner_table(*sides, k).assign(draw=draw))
    return pd.concat(tables, ignore_index=True)


def _codes(best: Neighbours, neurons_b: int, swap: bool) -> torch.Tensor:
    """Number of the pair of every neuron with every partner; -1 where there is none."""
    mine = torch.arange(len(best.r))[:, None]
    code = best.partner * neurons_b + mine if swap else mine * neurons_b + best.partner
    return torch.where(best.partner >= 0, code, -1)


def _resampled(best: Neighbours, codes: torch.Tensor, known: torch.Tensor, r: torch.Tensor) -> Neighbours:
    """The same partners in the order of other correlations."""
    value = torch.where(codes >= 0, r[torch.searchsorted(known, codes.clamp(min=0))], -torch.inf)
    partner = torch.where(value > -torch.inf, best.partner, 2**31)  # sorts last among equals
    value, partner = strongest(value, partner, value.shape[1], dim=1)
    return Neighbours(value, torch.where(value > -torch.inf, partner, -1), best.constant)


def pair_correlations(a, b, neuron_a: np.ndarray, neuron_b: np.ndarray) -> np.ndarray:
    """Pearson's r (n,) of given pairs of neurons of two sources, in one pass; NaN when one is constant."""
    pairs = torch.from_numpy(np.stack([neuron_a, neuron_b]))
    moments = [Moments(pairs.shape[1]) for _ in "ab"]
    out = [torch.empty(pairs.shape[1], a.chunk) for _ in "ab"]
    total = torch.zeros(pairs.shape[1], dtype=torch.float64)
    for values in zip(a.chunks(), b.chunks(), strict=True):
        for side in (0, 1):
            x = values[side].cpu()[pairs[side]]
            factor = moments[side].add(x, out[side][:, : x.shape[1]])
            if factor is not None:
                total *= factor
        units = values[0].shape[1]
        total += (out[0][:, :units] * out[1][:, :units]).sum(1).double()
    x, y = moments
    r = (total - x.sum * y.sum / x.count) / (x.norm() * y.norm())
    return torch.where(x.constant | y.constant, torch.nan, r).numpy()


def match_subset(a, b, index_a: np.ndarray, index_b: np.ndarray, k: int, device: torch.device) -> pd.DataFrame:
    """The table of partners among some neurons of two sources, by their numbers in the whole models."""
    whole = Tile(0, len(index_a), 0, len(index_b))
    table = partner_table(*match_tile(Selected(a, index_a), Selected(b, index_b), whole, k + 1, device), k)
    return table.assign(neuron_a=index_a[table.neuron_a], neuron_b=index_b[table.neuron_b])


def match_sample(
    a, b, index_a: np.ndarray, index_b: np.ndarray, k: int, match: Callable[..., tuple[Neighbours, Neighbours]]
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
    table = partner_table(*best, k)
    return table[table.neuron_a.isin(index_a) | table.neuron_b.isin(index_b)].reset_index(drop=True)
