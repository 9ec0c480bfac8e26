"""The best partners of the neurons of two sources, tile by tile."""

import logging
from collections.abc import Iterator, Sequence

import torch

from rosetta_scaling.activations.ahead import on_device
from rosetta_scaling.activations.sources import Source
from rosetta_scaling.matching.neighbours import BestPartners, Growth, Neighbours
from rosetta_scaling.matching.products import CrossProducts
from rosetta_scaling.matching.rounded import RoundedProducts
from rosetta_scaling.matching.settling import settle
from rosetta_scaling.matching.tiles import Tile
from rosetta_scaling.numerics import devices

log = logging.getLogger(__name__)


def match_tile(a: Source, b: Source, tile: Tile, k: int, *, device: torch.device | str = "cpu") -> BestPartners:
    """The k best partners within a tile, of every neuron of `a` and of every neuron of `b`."""
    return match_tile_growing(a, b, tile, k, device=device).final


def match_tile_growing(
    a: Source, b: Source, tile: Tile, k: int, *, shares: Sequence[float] = (), device: torch.device | str = "cpu"
) -> Growth:
    """match_tile after about these shares of the units, at the end of a chunk, and after all units."""
    sizes = tile.a1 - tile.a0, tile.b1 - tile.b0
    if devices.is_card(device):
        rounded = RoundedProducts(*sizes, a.chunk, device)
        drafts = [rounded.draft(k) for _ in _pauses(rounded, (a, b), tile, shares)]
        del rounded  # its memory is needed
        return settle(a, b, tile, drafts, k=k, device=device)
    products = CrossProducts(*sizes, a.chunk, device)
    return Growth((units, products.best(tile, k)) for units in _pauses(products, (a, b), tile, shares))


def _pauses(
    products: CrossProducts | RoundedProducts, sources: tuple[Source, Source], tile: Tile, shares: Sequence[float]
) -> Iterator[int]:
    """Sum up the products of a tile, and yield the number of units after about these shares of them and after all."""
    a, b = sources
    due = [share * a.units for share in shares]
    read = (a.chunks(tile.a0, tile.a1), b.chunks(tile.b0, tile.b1))
    for x, y in zip(*(on_device(chunks, products.total.device) for chunks in read), strict=True):
        products.add(x, y)
        if due and products.a.count >= due[0]:
            due = [units for units in due if units > products.a.count]
            if products.a.count < a.units:
                yield products.a.count
    yield a.units


def match_tile_or_quarters(
    a: Source, b: Source, tile: Tile, k: int, *, shares: Sequence[float] = (), device: torch.device | str = "cpu"
) -> Growth:
    """match_tile_growing, on a GPU in tiles that fit it; when memory runs out, once more in tiles of half the size."""
    free = devices.free_memory(device)
    if free is not None and tile.card_bytes > free:
        log.info("%s does not fit the %.1f GB that are free on the GPU", tile, free / 1e9)
        parts = [(t, match_or_quarter(a, b, t, k, shares=shares, device=device)) for t in tile.cut_for_card(free)]
        return merge_growth(tile, parts, k)
    return match_or_quarter(a, b, tile, k, shares=shares, device=device)


def match_or_quarter(
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
