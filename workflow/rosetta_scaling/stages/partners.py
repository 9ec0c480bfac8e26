"""The best partners of all neurons of a variant of a pair: matched here, or put together from what jobs found."""

import logging

import torch

from rosetta_scaling.matching.correlation import match_tile_or_quarters, merge_tiles
from rosetta_scaling.matching.neighbour_files import Found, read_neighbours
from rosetta_scaling.matching.tiles import Tile, exact_flops
from rosetta_scaling.numerics.devices import product_rate
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.stages.facts import PairFacts, pair_facts
from rosetta_scaling.stages.sources import open_pair

log = logging.getLogger(__name__)

LONG = 1e12  # floating-point operations above which a job says how long it will take


def match_tile(pair: PairFacts, variant: str, tile: Tile, device: torch.device) -> Found:
    """The best partners within a tile; of the real pair also on the way, for the curve of counts against units."""
    a, b = open_pair(pair, variant, device)
    flops = exact_flops(tile.a1 - tile.a0, tile.b1 - tile.b0, a.units)
    where = "stored" if pair.sources[0].is_stored else "recomputed"
    log.info("%s %s: tile of %.0f MB, %.1e FLOP, activations %s", pair.name, variant, tile.bytes / 1e6, flops, where)
    if flops > LONG:
        rate = product_rate(device)
        log.info("%s %s: about %.0f s of products at %.0f GFLOP/s", pair.name, variant, flops / rate, rate / 1e9)
    shares = pair.study.stability.snapshots if variant == "real" else ()
    return match_tile_or_quarters(a, b, tile, pair.study.matching.k + 1, device, shares)


def best_partners(plan: StudyPlan, pair: str, variant: str, device: torch.device) -> Found:
    """What jobs before this one found, put together; a pair that is one tile is matched here."""
    facts = pair_facts(plan, pair)
    whole = Tile(0, facts.neurons[0], 0, facts.neurons[1])
    if files := plan.neighbour_files(pair, variant):
        return merge_files(files, whole, facts.study.matching.k + 1)
    return match_tile(facts, variant, whole, device)


def merge_files(files: list[str], whole: Tile, k: int) -> Found:
    """The best partners within `whole` from those within its tiles."""
    parts = [read_neighbours(file) for file in files]
    return {units: merge_tiles(whole, [(tile, *found[units]) for tile, found in parts], k) for units in parts[0][1]}
