"""Match two sources whole, in one job."""

import torch

from rosetta_scaling.activations.sources import Source
from rosetta_scaling.matching.correlation import match_tile_or_quarters, merge_tiles
from rosetta_scaling.matching.neighbours import BestPartners
from rosetta_scaling.matching.tiles import Tile, tiles
from rosetta_scaling.numerics import devices


def match_all(a: Source, b: Source, k: int, memory: int, *, device: torch.device) -> BestPartners:
    """The k best partners both ways of two sources, in this job, in tiles that fit the memory, or the GPU."""
    whole = Tile(0, sum(a.widths), 0, sum(b.widths))
    cut = [whole] if devices.is_card(device) else tiles(whole.a1, whole.b1, memory)
    parts = [(tile, *match_tile_or_quarters(a, b, tile, k, device=device).final) for tile in cut]
    return merge_tiles(whole, parts, k)
