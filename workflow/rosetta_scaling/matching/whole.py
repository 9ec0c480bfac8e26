"""Match two sources whole, in one job."""

import torch

from rosetta_scaling.activations.sources import Source
from rosetta_scaling.matching.correlation import match_tile_or_quarters, merge_tiles
from rosetta_scaling.matching.neighbours import BestPartners
from rosetta_scaling.matching.tiles import Tile, tiles


def match_all(a: Source, b: Source, k: int, memory: int, *, device: torch.device) -> BestPartners:
    """The k best partners both ways of two sources, in this job, in tiles that fit the memory."""
    sizes = sum(a.widths), sum(b.widths)
    parts = [(tile, *match_tile_or_quarters(a, b, tile, k, device=device).final) for tile in tiles(*sizes, memory)]
    return merge_tiles(Tile(0, sizes[0], 0, sizes[1]), parts, k)
