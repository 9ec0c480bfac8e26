"""Sums of products as a GPU makes them: of float16 factors, with a bound on what rounding can do to every correlation.

The few strongest partners of every neuron are read off the sums by whole-tensor reductions: the largest r of every
segment of partners first, then the entries of the best segments. What the bounds leave open is decided in a second pass
over the activations (see settling.py).

The bound. Let q be the rounded values of a neuron and x what they stand for, with e = |x - q| and N the norm of the
deviations of x from its mean. By Cauchy and Schwarz, q_a q_b differs from x_a x_b by at most e_a |x_b| + |x_a| e_b +
e_a e_b; divided by N_a N_b that bounds the error of r, together with what sums in float32 lose (SUMMED, ADDED).
"""

from typing import NamedTuple

import torch

from rosetta_scaling.activations.chunks import CHUNK_UNITS
from rosetta_scaling.matching.products import add_products
from rosetta_scaling.numerics import devices
from rosetta_scaling.numerics.rounded import RoundedMoments

SEGMENT = 128  # partners of which only the largest r is kept at first
OPENED = 8  # segments beyond k whose partners are looked at
KEPT = 12  # partners beyond k that are kept
BLOCK = 2**28  # correlations in memory at a time
GATHERED = 2**24  # entries of segments in memory at a time
# Share of |x_a| |x_b| that float32 sums may lose: a GPU adds up a product in steps of 8 or 16 units, and cuts the last
# digit, 2^-23, in each. The benchmark of a card (workflow/benchmarks/card.py) measures what it loses.
SUMMED = CHUNK_UNITS / 8 * 2.0**-23
ADDED = 2.0**-24  # the same, where a product is added to the sums of those before: they are rounded to nearest
MOST_LOSS, MOST_STRETCH = 1e-3, 6.0  # neurons beyond are hard: they are correlated in float32


class Side(NamedTuple):
    """The neurons of one model after some units; all tensors are (neurons,)."""

    mean: torch.Tensor  # float64
    norm: torch.Tensor  # of deviations from the mean, float64
    weight: torch.Tensor  # r is sum * weight_a * weight_b - offset_a * offset_b
    offset: torch.Tensor
    loss: torch.Tensor  # of rounding, as a share of the norm
    stretch: torch.Tensor  # norm of what is multiplied, as a multiple of the norm
    constant: torch.Tensor
    hard: torch.Tensor  # rounding or cancellation costs too much: they are not in shortlists
    summed: float  # share of |x_a| |x_b| that float32 sums may lose

    @classmethod
    def of(cls, moments: RoundedMoments, products: int) -> "Side":
        """After so many products were added up."""
        norm, loss, stretch = moments.norm(), moments.loss(), moments.stretch()
        hard = ~((loss <= MOST_LOSS) & (stretch <= MOST_STRETCH))  # also where they are not finite
        out = moments.constant | hard
        weight = torch.where(out, 0.0, 1 / (moments.scale.double() * norm)).float()
        offset = torch.where(out, 0.0, moments.sum / norm / moments.count**0.5).float()
        loss, stretch = torch.where(out, 0.0, loss).float(), torch.where(out, 1.0, stretch).float()
        hard &= ~moments.constant
        summed = SUMMED + products * ADDED
        return cls(moments.mean(), norm, weight, offset, loss, stretch, moments.constant, hard, summed)

    @property
    def left_out(self) -> torch.Tensor:
        """Neurons that no shortlist holds."""
        return self.constant | self.hard


def error_bound(mine: Side, other: Side, rows: slice, partner: torch.Tensor) -> torch.Tensor:
    """How far r of some neurons with their partners (rows, n) may be from what sums of rounded products give."""
    loss, stretch = mine.loss[rows, None], mine.stretch[rows, None]
    return _bound(mine.summed, (loss, stretch), (other.loss[partner], other.stretch[partner]))


def _bound(summed: float, mine: tuple[torch.Tensor, torch.Tensor], other: tuple[torch.Tensor, torch.Tensor]):
    (loss, stretch), (other_loss, other_stretch) = mine, other
    return loss * other_stretch + stretch * other_loss + loss * other_loss + summed * stretch * other_stretch


class Shortlist(NamedTuple):
    """The strongest partners of every neuron of one model, best first, and how far their r may be wrong."""

    r: torch.Tensor  # (neurons, n) float32; -inf where there is no partner
    partner: torch.Tensor  # (neurons, n) int64, counted within the tile
    bound: torch.Tensor  # (neurons, n)
    beyond: torch.Tensor  # (neurons,) what r of a partner that is not listed can be at most; -inf when all are listed


class Draft(NamedTuple):
    """What sums of rounded products say after some units."""

    units: int
    a: Side
    b: Side
    near_a: Shortlist
    near_b: Shortlist


class RoundedProducts:
    """Running sums of rounded products of two groups of neurons."""

    def __init__(self, neurons_a: int, neurons_b: int, chunk: int, device: torch.device | str):
        self.total = torch.zeros(neurons_a, neurons_b, device=device)
        self.a, self.b = RoundedMoments(neurons_a, device), RoundedMoments(neurons_b, device)
        self.chunk, self.memory = chunk, (torch.empty(0), torch.empty(0))  # (terms, neurons, chunk) each
        self.products = 0

    @property
    def count(self) -> int:
        """Number of units so far."""
        return self.a.count

    def add(self, values_a: torch.Tensor, values_b: torch.Tensor) -> None:
        """Take in a chunk of both groups, (neurons, units) each, of the same dtype in every chunk."""
        if not self.count:
            sizes = [(1 + (of.dtype == torch.float32), len(of), self.chunk) for of in (values_a, values_b)]
            a, b = (torch.empty(size, dtype=torch.float16, device=self.total.device) for size in sizes)
            self.memory = a, b
        x, y = (memory[:, :, : values_a.shape[1]] for memory in self.memory)
        self.a.add(values_a, *x)
        self.b.add(values_b, *y)
        # The product of both second terms is below the last digit of the sums.
        factors = [(x[0], y[0]), *((x[0], second) for second in y[1:]), *((second, y[0]) for second in x[1:])]
        for factor_a, factor_b in factors:
            add_products(self.total, factor_a, factor_b, torch.float16)
        self.products += len(factors)

    def sides(self) -> tuple[Side, Side]:
        """The neurons of both models after the units so far."""
        return Side.of(self.a, self.products), Side.of(self.b, self.products)

    def draft(self, k: int) -> Draft:
        """Shortlists, from which the k best partners of every neuron are found."""
        a, b = self.sides()
        of_rows, of_columns = segment_maxima(self.total, a, b)
        near_a = shortlist(self.total, (a, b), of_rows, k)
        return Draft(self.count, a, b, near_a, shortlist(self.total.T, (b, a), of_columns.T, k))


def segment_maxima(total: torch.Tensor, a: Side, b: Side) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest r of every neuron of A in every segment of B (a, segments), and of B in A (segments, b)."""
    if devices.runs_kernels(total):
        from rosetta_scaling.matching import kernels

        return kernels.segment_maxima(total, a, b, SEGMENT)
    neurons, others = total.shape
    across, down = -(-others // SEGMENT), -(-neurons // SEGMENT)
    of_rows = torch.empty(neurons, across, device=total.device)
    of_columns = torch.empty(down, others, device=total.device)
    no_row, no_column = a.left_out.nonzero()[:, 0], b.left_out.nonzero()[:, 0]
    step = SEGMENT * max(1, BLOCK // (across * SEGMENT) // SEGMENT)
    memory = torch.empty(min(step, down * SEGMENT), across * SEGMENT, device=total.device)
    for start in range(0, neurons, step):
        rows = slice(start, min(start + step, neurons))
        count = rows.stop - start
        block = memory[: -(-count // SEGMENT) * SEGMENT]
        block[count:], block[:, others:] = -torch.inf, -torch.inf
        r = torch.mul(total[rows], a.weight[rows, None], out=block[:count, :others])
        r.mul_(b.weight).addcmul_(a.offset[rows, None], b.offset, value=-1).index_fill_(1, no_column, -torch.inf)
        r.index_fill_(0, no_row[(no_row >= start) & (no_row < rows.stop)] - start, -torch.inf)
        of_rows[rows] = block[:count].view(count, across, SEGMENT).amax(2)
        largest = block.view(-1, SEGMENT, across * SEGMENT).amax(1)
        of_columns[start // SEGMENT :][: len(largest)] = largest[:, :others]
    return of_rows, of_columns


def shortlist(total: torch.Tensor, sides: tuple[Side, Side], maxima: torch.Tensor, k: int) -> Shortlist:
    """The strongest partners by sums (neurons, others) of two sides, given the largest r in every segment of others."""
    mine, other = sides
    (neurons, others), segments = total.shape, maxima.shape[1]
    opened = min(k + OPENED, segments)
    inside = torch.arange(SEGMENT, device=total.device)
    step, parts = max(1, GATHERED // (opened * SEGMENT)), []
    for start in range(0, neurons, step):
        rows = slice(start, min(start + step, neurons))
        best = maxima[rows].topk(min(opened + 1, segments), dim=1)
        index = (best.indices[:, :opened, None] * SEGMENT + inside).flatten(1)  # (rows, opened * SEGMENT)
        missing = index >= others
        index = index.clamp_(max=others - 1)
        r = total[rows].gather(1, index).mul_(mine.weight[rows, None]).mul_(other.weight[index])
        r.addcmul_(mine.offset[rows, None], other.offset[index], value=-1)
        r.masked_fill_(missing | other.left_out[index] | mine.left_out[rows, None], -torch.inf)
        kept = min(k + KEPT, r.shape[1])
        near = r.topk(min(kept + 1, r.shape[1]), dim=1)
        left = torch.cat([near.values[:, kept:], best.values[:, opened:]], 1)
        beyond = left.amax(1) if left.shape[1] else torch.full_like(near.values[:, 0], -torch.inf)
        partner = index.gather(1, near.indices[:, :kept])
        largest = other.loss.amax(), other.stretch.amax()
        most = _bound(mine.summed, (mine.loss[rows], mine.stretch[rows]), largest)
        bound = error_bound(mine, other, rows, partner)
        parts.append(Shortlist(near.values[:, :kept], partner, bound, beyond + most))
    return Shortlist(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
