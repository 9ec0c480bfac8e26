"""Match two models: tile by tile or by sketches, as they are and as nulls, and see how stable the matches are.

Every variant of a pair (see variants.py) goes through the same engine and comes out as a table of partners.
"""

import logging
from pathlib import Path

import pandas as pd
import torch

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.matching.correlation import match_tile_or_quarters, merge_tiles
from rosetta_scaling.matching.neighbour_files import Found, read_neighbours, write_neighbours
from rosetta_scaling.matching.neighbours import partner_table
from rosetta_scaling.matching.tiles import Tile, exact_flops
from rosetta_scaling.nulls.calibration import add_excess, add_q_values
from rosetta_scaling.numerics.devices import product_rate
from rosetta_scaling.schemas.nulls import decoys
from rosetta_scaling.schemas.tables.matching import MATCHES, SNAPSHOTS
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.sources import open_pair
from rosetta_scaling.store.tables import read_json, read_table, write_json
from rosetta_scaling.units.neurons import layer_and_channel

log = logging.getLogger(__name__)

LONG = 1e12  # floating-point operations above which a job says how long it will take


# -- exact engine ----------------------------------------------------------------------------------------------------


def match_one_tile(layout: Layout, pair: str, variant: str, index: int, device: torch.device, out: str) -> None:
    """Write the best partners within one tile of a pair."""
    tile = layout.plan.tiles[pair][index]
    write_neighbours(out, tile, _match(*open_pair(layout, pair, variant, device), tile, layout, pair, variant, device))


def _match(a, b, tile: Tile, layout: Layout, pair: str, variant: str, device) -> Found:
    """The best partners within a tile; of the real pair also on the way, for the curve of counts against units."""
    name = f"{pair} {variant}"
    flops = exact_flops(tile.a1 - tile.a0, tile.b1 - tile.b0, a.units)
    log.info("%s: tile of %.0f MB, %.1e FLOP, activations %s", name, tile.bytes / 1e6, flops, layout.plan.placement)
    if flops > LONG:
        rate = product_rate(device)
        log.info("%s: about %.0f s of products at %.0f GFLOP/s", name, flops / rate, rate / 1e9)
    shares = layout.study.stability.snapshots if variant == "real" else ()
    return match_tile_or_quarters(a, b, tile, layout.study.matching.k + 1, device, shares)


# -- matches and nulls -----------------------------------------------------------------------------------------------


def best_partners(layout: Layout, pair: str, variant: str, device: torch.device) -> Found:
    """What jobs before this one found, put together; a pair that is one tile is matched here."""
    models = layout.pairs[pair]
    whole = Tile(0, layout.size(models[0]).neurons, 0, layout.size(models[1]).neurons)
    if files := layout.found(pair, variant):
        parts = [read_neighbours(file) for file in files]
        return {
            units: merge_tiles(whole, [(tile, *found[units]) for tile, found in parts], layout.study.matching.k + 1)
            for units in parts[0][1]
        }
    return _match(*open_pair(layout, pair, variant, device), whole, layout, pair, variant, device)


def match_pair(layout: Layout, pair: str, device: torch.device, out: Path) -> None:
    """Write matches.parquet with the evidence for every match; beside it neighbours.safetensors (the best partners of
    every neuron), snapshots.parquet (matches after a part of the units, whose number is the column draw), summary.json.
    """
    models, k = layout.pairs[pair], layout.study.matching.k
    found = best_partners(layout, pair, "real", device)
    units = max(found)
    best = found.pop(units)
    sizes = [layout.size(model) for model in models]
    neurons = tuple(size.neurons for size in sizes)
    false = {null: read_table(layout.null(null, *models)) for null in decoys()}
    table = add_q_values(add_excess(partner_table(*best, k), false["rotate"], neurons), false, neurons)
    count = int(((table.rank_a > 0) & (table.rank_b > 0)).sum())
    summary = {"matches": count, "engine": layout.plan.engine, "placement": layout.plan.placement}
    for side, size, partners in zip("ab", sizes, best, strict=True):
        layer, channel = layer_and_channel([size.width] * size.layers)
        table[f"layer_{side}"] = layer[table[f"neuron_{side}"]]
        table[f"channel_{side}"] = channel[table[f"neuron_{side}"]]
        summary |= {f"neurons_{side}": len(partners.r), f"constant_{side}": int(partners.constant.sum())}
    if layout.plan.engine == "sketch":
        summary |= read_json(Path(layout.rescored(pair)) / f"{pair}.json")
    summary["units"] = units
    snapshots = [partner_table(*sides, k).assign(draw=draw) for draw, sides in found.items()]
    write_checked_table(out, table, MATCHES)
    write_neighbours(out.with_name("neighbours.safetensors"), Tile(0, neurons[0], 0, neurons[1]), {units: best})
    read = pd.concat(snapshots) if snapshots else table[:0].assign(draw=0)
    write_checked_table(out.with_name("snapshots.parquet"), read, SNAPSHOTS)
    write_json(out.with_name("summary.json"), summary)
    log.info("%s: %s mutual matches", pair, f"{count:,}")
