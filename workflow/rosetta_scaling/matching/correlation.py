"""Exact Pearson correlations of two groups of neurons, in one pass over their units.

Nothing has to be known beforehand: values are shifted by their mean over the first chunk, so that sums of products do
not cancel, and scaled by powers of two, so that neither tiny nor huge activations leave the range of float32. Products
are summed in float32, moments in float64. Constant neurons have no correlation: they are masked and counted.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from rosetta_scaling.activations.sources import Source
from rosetta_scaling.matching.neighbours import BestPartners, Growth, Neighbours, best_in_blocks
from rosetta_scaling.matching.tiles import RANKED_ROWS, Tile
from rosetta_scaling.numerics.moments import Moments

log = logging.getLogger(__name__)
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
        add_products(self.total, x, y, product_dtype(self.total.device))

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


def product_dtype(device: torch.device) -> torch.dtype:
    """A GPU multiplies bfloat16 ten times faster, and sums in float32 all the same."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def add_products(total: torch.Tensor, x: torch.Tensor, y: torch.Tensor, dtype: torch.dtype) -> None:
    """total (a, b) += x (a, units) @ y (b, units).T, with factors rounded to `dtype` and sums in float32.

    The one place where products are summed. A processor, unlike a GPU, rounds each finished product to `dtype`.
    """
    if dtype == torch.float32:
        total.addmm_(x, y.T)
        return
    x, y = x.to(dtype), y.to(dtype)
    keep_float32: dict[str, Any] = {"out_dtype": torch.float32} if total.is_cuda else {}  # unknown to processors
    for rows in range(0, len(x), PRODUCT_ROWS):
        total[rows : rows + PRODUCT_ROWS] += torch.mm(x[rows : rows + PRODUCT_ROWS], y.T, **keep_float32)


def match_tile(a: Source, b: Source, tile: Tile, k: int, *, device: torch.device | str = "cpu") -> BestPartners:
    """The k best partners within a tile, of every neuron of `a` and of every neuron of `b`."""
    return match_tile_growing(a, b, tile, k, device=device).final


def match_tile_growing(
    a: Source, b: Source, tile: Tile, k: int, *, shares: Sequence[float] = (), device: torch.device | str = "cpu"
) -> Growth:
    """match_tile after about these shares of the units, at the end of a chunk, and after all units."""
    products = CrossProducts(tile.a1 - tile.a0, tile.b1 - tile.b0, a.chunk, device)
    growth, due = Growth(), [share * a.units for share in shares]
    for x, y in zip(a.chunks(tile.a0, tile.a1), b.chunks(tile.b0, tile.b1), strict=True):
        products.add(x.to(device), y.to(device))
        if due and products.a.count >= due[0]:
            due = [units for units in due if units > products.a.count]
            if products.a.count < a.units:
                growth[products.a.count] = products.best(tile, k)
    growth[a.units] = products.best(tile, k)
    return growth


def match_tile_or_quarters(
    a: Source, b: Source, tile: Tile, k: int, *, shares: Sequence[float] = (), device: torch.device | str = "cpu"
) -> Growth:
    """match_tile_growing; when memory runs out, once more in four tiles of half the size."""
    try:
        return match_tile_growing(a, b, tile, k, shares=shares, device=device)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError, OSError) as error:
        # On a processor torch has no class for it, and a file that cannot be mapped is an OSError.
        if isinstance(error, RuntimeError | OSError) and "memory" not in str(error):
            raise
        log.warning("out of memory on %s (%s); trying tiles of half the size", tile, str(error).partition("\n")[0])
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    grown = {quarter: match_tile_growing(a, b, quarter, k, shares=shares, device=device) for quarter in tile.quarters()}
    return merge_growth(tile, list(grown.items()), k)


def merge_growth(whole: Tile, parts: list[tuple[Tile, Growth]], k: int) -> Growth:
    """merge_tiles after every number of units; all parts were matched after the same ones."""
    return Growth(
        (units, merge_tiles(whole, [(tile, *growth[units]) for tile, growth in parts], k)) for units in parts[0][1]
    )


def merge_tiles(whole: Tile, parts: list[tuple[Tile, Neighbours, Neighbours]], k: int) -> BestPartners:
    """The k best partners within a tile from those within its parts, which may come in any order."""
    best_a, best_b = Neighbours.empty(whole.a1 - whole.a0, k), Neighbours.empty(whole.b1 - whole.b0, k)
    for tile, of_a, of_b in parts:
        best_a.merge(tile.a0 - whole.a0, of_a)
        best_b.merge(tile.b0 - whole.b0, of_b)
    return BestPartners(best_a, best_b)
