"""Exact Pearson correlations of two groups of neurons, in one pass over their units.

Nothing has to be known beforehand: values are shifted by their mean over the first chunk, so that sums of products do
not cancel, and scaled by powers of two, so that neither tiny nor huge activations leave the range of float32. Products
are summed in float32, moments in float64. Constant neurons have no correlation: they are masked and counted.
"""

from collections.abc import Iterator
from typing import Any

import torch

from rosetta_scaling.matching.neighbours import BestPartners, best_in_blocks
from rosetta_scaling.matching.tiles import RANKED_ROWS, Tile
from rosetta_scaling.numerics.moments import Moments

PRODUCT_ROWS = 1024  # rows of a rounded product in memory at a time


class CrossProducts:
    """Running sums of products of two groups of neurons, which become their correlations."""

    def __init__(self, neurons_a: int, neurons_b: int, chunk: int, device: torch.device | str = "cpu"):
        self.total = torch.zeros(neurons_a, neurons_b, device=device)
        self.memory_a, self.memory_b = (torch.empty(n, chunk, device=device) for n in (neurons_a, neurons_b))
        self.a, self.b = Moments(neurons_a, device), Moments(neurons_b, device)

    def add(self, values_a: torch.Tensor, values_b: torch.Tensor) -> None:
        """Take in a chunk of both groups, (neurons, units) each."""
        units = values_a.shape[1]
        x, y = self.memory_a[:, :units], self.memory_b[:, :units]
        if (factor := self.a.add(values_a, x)) is not None:
            self.total *= factor[:, None]
        if (factor := self.b.add(values_b, y)) is not None:
            self.total *= factor
        add_products(self.total, x, y, torch.float32)

    def blocks(self, transposed: bool = False) -> Iterator[torch.Tensor]:
        """Pearson's r of a few neurons of A with all of B after the other, float32; -inf for constant neurons.

        When `transposed`, of neurons of B with all of A.
        """
        total, mine, other = (self.total.T, self.b, self.a) if transposed else (self.total, self.a, self.b)
        mean, norm = (other.sum / other.count).float(), other.norm().float()
        for start in range(0, len(total), RANKED_ROWS):
            rows = slice(start, start + RANKED_ROWS)
            r = total[rows] - mine.sum[rows, None].float() * mean
            r /= mine.norm()[rows, None].float()
            r /= norm
            r[mine.constant[rows]] = -torch.inf
            r[:, other.constant] = -torch.inf
            yield r

    def correlations(self) -> torch.Tensor:
        """All of them, (a, b)."""
        return torch.cat([self.total[:0], *self.blocks()])

    def best(self, tile: Tile, k: int) -> BestPartners:
        """The k best partners within a tile; these are the products of its neurons."""
        best_a = best_in_blocks(self.blocks(), k, range(tile.b0, tile.b1), self.a.constant)
        best_b = best_in_blocks(self.blocks(transposed=True), k, range(tile.a0, tile.a1), self.b.constant)
        return BestPartners(best_a, best_b)


def add_products(total: torch.Tensor, x: torch.Tensor, y: torch.Tensor, dtype: torch.dtype) -> None:
    """total (a, b) += x (a, units) @ y (b, units).T, with factors rounded to `dtype` and sums in float32.

    The one place where products are summed. A processor, unlike a GPU, rounds each finished product to bfloat16.
    """
    if dtype == torch.float32:
        total.addmm_(x, y.T)
        return
    x, y = x.to(dtype), y.to(dtype)
    if total.is_cuda:
        in_place: dict[str, Any] = {"out_dtype": torch.float32, "out": total}  # unknown to processors
        torch.addmm(total, x, y.T, **in_place)
        return
    if dtype == torch.float16:  # what a GPU computes: a processor has no fast product of it
        total.addmm_(x.float(), y.float().T)
        return
    for rows in range(0, len(x), PRODUCT_ROWS):
        total[rows : rows + PRODUCT_ROWS] += torch.mm(x[rows : rows + PRODUCT_ROWS], y.T)
