"""Decide what rounded products leave open: a second pass over the activations, in float32 with float64 sums.

A neuron is settled when its k best partners and the next one lie further from each other than the bounds on their r. Of
the others all partners that may be among the k best are re-scored. Neurons with too many of them, and hard ones (see
rounded.py), are correlated with all neurons of the other model in float32.
"""

import logging
from typing import NamedTuple

import torch

from rosetta_scaling.activations.ahead import on_device
from rosetta_scaling.activations.sources import Source
from rosetta_scaling.matching.neighbours import BestPartners, Growth, Neighbours, best_in_rows
from rosetta_scaling.matching.products import CrossProducts
from rosetta_scaling.matching.rounded import Draft, Shortlist, Side
from rosetta_scaling.matching.tiles import Tile
from rosetta_scaling.numerics import devices
from rosetta_scaling.numerics.ranking import strongest

log = logging.getLogger(__name__)
GATHERED = 2**24  # activations of pairs in memory at a time


def settle(a: Source, b: Source, tile: Tile, drafts: list[Draft], *, k: int, device: torch.device | str) -> Growth:
    """The k best partners within a tile after the units of every draft.

    A tile that is only a part of its pair has all partners re-scored that it names: they are yet to be compared with
    those of other tiles.
    """
    is_part = tile != Tile(0, sum(a.widths), 0, sum(b.widths))
    pending = [Pending(draft, k, is_part, a.chunk) for draft in drafts]
    for found in pending:
        log.info("%s units: re-scored %s", f"{found.draft.units:,}", found.told())
    count, last = 0, max((found.draft.units for found in pending if found.is_open), default=0)
    if last:
        read = (a.chunks(tile.a0, tile.a1), b.chunks(tile.b0, tile.b1))
        for x, y in zip(*(on_device(chunks, device) for chunks in read), strict=True):
            count += x.shape[1]
            for found in pending:
                if found.is_open and count <= found.draft.units:
                    found.add(x, y)
            if count >= last:
                break
    return Growth((found.draft.units, found.best(tile)) for found in pending)


class OpenSide(NamedTuple):
    """What is open of the neurons of one model."""

    members: torch.Tensor  # (neurons, n) partners of the shortlist that are re-scored
    rows: torch.Tensor  # numbers of neurons that are correlated with all others
    hard: torch.Tensor  # (rows,) which of these are in no shortlist of the other model


def open_side(near: Shortlist, side: Side, k: int, every: bool) -> OpenSide:
    """What of a shortlist the bounds leave open; of `every` neuron the k best are re-scored, or of those in doubt."""
    there = near.r > -torch.inf
    lower = torch.where(there, near.r - near.bound, -torch.inf)
    upper = torch.where(there, near.r + near.bound, -torch.inf)
    columns = min(k, lower.shape[1])
    least = lower.topk(columns, dim=1).values[:, -1]  # what the k-th best has at least
    members = there & (upper >= least[:, None])
    crowded = (near.beyond > -torch.inf) & (near.beyond >= least)
    following = torch.nn.functional.pad(upper, (0, 1), value=-torch.inf)[:, 1 : columns + 1]
    settled = ((lower[:, :columns] > following) | ~there[:, :columns]).all(1)
    if not every:
        members &= ~settled[:, None]
    members &= ~(crowded | side.hard)[:, None]
    rows = (crowded | side.hard).nonzero()[:, 0]
    return OpenSide(members, rows, side.hard[rows])


class Pending:
    """The open questions of a draft, and the sums that answer them."""

    def __init__(self, draft: Draft, k: int, every: bool, chunk: int):
        self.draft, self.k = draft, k
        every = every or bool((draft.a.hard.any() | draft.b.hard.any()).item())  # they are compared with exact r
        self.a = open_side(draft.near_a, draft.a, k, every)
        self.b = open_side(draft.near_b, draft.b, k, every)
        sides = ((self.a, draft.near_a), (self.b, draft.near_b))
        neuron, partner = zip(*((s.members.nonzero()[:, 0], near.partner[s.members]) for s, near in sides), strict=True)
        # Pairs that A asks for, then those that B asks for: (2, pairs).
        self.pairs = torch.stack([torch.cat([neuron[0], partner[1]]), torch.cat([partner[0], neuron[1]])])
        device, count = self.pairs.device, (len(draft.a.mean), len(draft.b.mean))
        self.sums = torch.zeros(self.pairs.shape[1], dtype=torch.float64, device=device)
        self.of_a = CrossProducts(len(self.a.rows), count[1], chunk, device) if len(self.a.rows) else None
        self.of_b = CrossProducts(len(self.b.rows), count[0], chunk, device) if len(self.b.rows) else None

    @property
    def is_open(self) -> bool:
        return bool(len(self.sums) or self.of_a or self.of_b)

    def told(self) -> str:
        """How much is re-scored, for people."""
        some = [int(side.members.any(1).sum()) for side in (self.a, self.b)]
        whole = [len(side.rows) for side in (self.a, self.b)]
        return f"{some[0]:,} and {some[1]:,} neurons, with all others {whole[0]:,} and {whole[1]:,}"

    def add(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Take in a chunk of both models, (neurons, units) each."""
        add_pair_products(self.sums, (x, y), self.pairs, (self.draft.a.mean.float(), self.draft.b.mean.float()))
        if self.of_a:
            self.of_a.add(x[self.a.rows], y)
        if self.of_b:
            self.of_b.add(y[self.b.rows], x)

    def best(self, tile: Tile) -> BestPartners:
        """The k best partners, once all units have been added."""
        draft, r = self.draft, self._correlations()
        count = int(self.a.members.sum())
        whole_a, whole_b = (of.correlations() if of else None for of in (self.of_a, self.of_b))
        best = []
        for near, side, open_, own, other, exact in (
            (draft.near_a, draft.a, self.a, whole_a, (self.b, whole_b), r[:count]),
            (draft.near_b, draft.b, self.b, whole_b, (self.a, whole_a), r[count:]),
        ):
            rescored = torch.full_like(near.r, -torch.inf)
            rescored[open_.members] = exact
            value = torch.where(open_.members.any(1)[:, None], rescored, near.r)
            partner = near.partner
            if other[1] is not None and other[0].hard.any():  # these are in no shortlist
                hard = other[0].rows[other[0].hard]
                value = torch.cat([value, other[1][other[0].hard].T], 1)
                partner = torch.cat([partner, hard.expand(len(partner), -1)], 1)
            best.append(neighbours_of(value, partner, self.k, side.constant))
            best[-1].rescored[:] = open_.members.any(1).cpu()
            if own is not None:
                exactly, rows = best_in_rows(own, self.k, 0, side.constant[open_.rows]), open_.rows.cpu()
                best[-1].r[rows], best[-1].partner[rows] = exactly.r, exactly.partner
                best[-1].rescored[rows] = True
        for found, first in zip(best, (tile.b0, tile.a0), strict=True):
            found.partner[found.partner >= 0] += first
        return BestPartners(*best)

    def _correlations(self) -> torch.Tensor:
        """Pearson's r (pairs,) of the pairs, float32."""
        (i, j), a, b = self.pairs, self.draft.a, self.draft.b
        rest = (a.mean - a.mean.float())[i] * (b.mean - b.mean.float())[j] * self.draft.units
        return ((self.sums - rest) / (a.norm[i] * b.norm[j])).float()


def neighbours_of(value: torch.Tensor, partner: torch.Tensor, k: int, constant: torch.Tensor) -> Neighbours:
    """The k best of some partners (neurons, n), on the processor; those of r = -inf are none."""
    best = Neighbours.empty(len(value), k)
    value, partner = strongest(value, partner, k, dim=1)
    best.r[:, : value.shape[1]] = value.cpu()
    best.partner[:, : value.shape[1]] = torch.where(value > -torch.inf, partner, -1).cpu()
    best.constant[:] = constant.cpu()
    return best


def add_pair_products(
    sums: torch.Tensor,
    values: tuple[torch.Tensor, torch.Tensor],
    pairs: torch.Tensor,
    means: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """sums (n,) += products of pairs (2, n) of rows of two chunks (neurons, units), less their means."""
    if devices.runs_kernels(sums):
        from rosetta_scaling.matching import kernels

        kernels.add_pair_products(sums, values, pairs, means)
        return
    step = max(1, GATHERED // values[0].shape[1])
    for start in range(0, len(sums), step):
        part = slice(start, start + step)
        x, y = (v[i].float() - mean[i, None] for v, i, mean in zip(values, pairs[:, part], means, strict=True))
        sums[part] += x.mul_(y).sum(1, dtype=torch.float64)
