"""Match two models: tile by tile or by sketches, as they are and as nulls, and see how stable the matches are.

Every variant of a pair (see variants.py) goes through the same engine and comes out as a table of partners.
"""

import logging
from pathlib import Path

import pandas as pd
import torch

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.matching.correlation import match_tile_or_quarters, merge_growth
from rosetta_scaling.matching.neighbour_files import read_neighbours, write_neighbours
from rosetta_scaling.matching.neighbours import BestPartners, Growth, partner_table
from rosetta_scaling.matching.tiles import Tile, exact_flops
from rosetta_scaling.nulls.calibration import DECOYS, add_excess, add_q_values
from rosetta_scaling.numerics.devices import product_rate
from rosetta_scaling.stages.sources import open_pair
from rosetta_scaling.store.tables import read_json, read_table, write_json, write_table
from rosetta_scaling.units.neurons import layer_and_channel

log = logging.getLogger(__name__)

LONG = 1e12  # floating-point operations above which a job says how long it will take
WITHOUT_NULLS = "no null stands beside them, so nothing says how many matches there would be by chance"


# -- exact engine ----------------------------------------------------------------------------------------------------


def match_one_tile(layout: Layout, pair: str, variant: str, index: int, device: torch.device, out: str) -> None:
    """Write the best partners within one tile of a pair."""
    tile = layout.plan.tiles[pair][index]
    write_neighbours(out, tile, _match(*open_pair(layout, pair, variant, device), tile, layout, pair, variant, device))


def _match(a, b, tile: Tile, layout: Layout, pair: str, variant: str, device) -> Growth:
    """The best partners within a tile; of the real pair also on the way, for the curve of counts against units."""
    name = f"{pair} {variant}"
    flops = exact_flops(tile.a1 - tile.a0, tile.b1 - tile.b0, a.units)
    log.info("%s: tile of %.0f MB, %.1e FLOP, activations %s", name, tile.bytes / 1e6, flops, layout.plan.placement)
    if flops > LONG:
        rate = product_rate(device)
        log.info("%s: about %.0f s of products at %.0f GFLOP/s", name, flops / rate, rate / 1e9)
    shares = layout.study.stability.snapshots if variant == "real" else ()
    return match_tile_or_quarters(a, b, tile, layout.study.matching.k + 1, shares=shares, device=device)


# -- matches and nulls -----------------------------------------------------------------------------------------------


def best_partners(layout: Layout, pair: str, variant: str, device: torch.device) -> Growth:
    """What jobs before this one found, put together; a pair that is one tile is matched here."""
    models = layout.pairs[pair]
    whole = Tile(0, layout.size(models[0]).neurons, 0, layout.size(models[1]).neurons)
    if files := layout.found(pair, variant):
        return merge_growth(whole, [read_neighbours(file) for file in files], layout.study.matching.k + 1)
    return _match(*open_pair(layout, pair, variant, device), whole, layout, pair, variant, device)


def match_pair(layout: Layout, pair: str, device: torch.device, out: Path) -> None:
    """Write matches.parquet with the evidence for every match; beside it neighbours.safetensors (the best partners of
    every neuron), snapshots.parquet (matches after a part of the units, whose number is the column draw), summary.json.
    """
    models, k = layout.pairs[pair], layout.study.matching.k
    found = best_partners(layout, pair, "real", device)
    best = found.final
    neurons = tuple(layout.size(model).neurons for model in models)
    decoys = {null: read_table(layout.null(null, *models)) for null in DECOYS}
    table = add_q_values(add_excess(partner_table(*best, k), decoys["rotate"], neurons), decoys, neurons)
    add_places(layout, pair, table)
    snapshots = [partner_table(*sides, k).assign(draw=draw) for draw, sides in found.snapshots.items()]
    write_table(out, table)
    write_neighbours(
        out.with_name("neighbours.safetensors"), Tile(0, neurons[0], 0, neurons[1]), Growth({found.units: best})
    )
    write_table(out.with_name("snapshots.parquet"), pd.concat(snapshots) if snapshots else table[:0].assign(draw=0))
    write_json(out.with_name("summary.json"), summary_of_matches(layout, pair, table, best) | {"units": found.units})


def match_without_nulls(layout: Layout, pair: str, device: torch.device, out: Path) -> None:
    """Write matches.parquet and summary.json as `match_pair` does, without what is known from nulls only.

    The table has no q_a, q_b, excess_a and excess_b, and the summary says under `nulls` that none stands beside it.
    """
    found = best_partners(layout, pair, "real", device)
    table = partner_table(*found.final, layout.study.matching.k)
    add_places(layout, pair, table)
    summary = summary_of_matches(layout, pair, table, found.final) | {"units": found.units}
    write_table(out, table)
    write_json(out.with_name("summary.json"), summary | {"nulls": WITHOUT_NULLS})


def add_places(layout: Layout, pair: str, table: pd.DataFrame) -> None:
    """Add columns to a table of partners: layer and channel of the neurons of both models."""
    for side, model in zip("ab", layout.pairs[pair], strict=True):
        size = layout.size(model)
        layer, channel = layer_and_channel([size.width] * size.layers)
        table[f"layer_{side}"] = layer[table[f"neuron_{side}"]]
        table[f"channel_{side}"] = channel[table[f"neuron_{side}"]]


def summary_of_matches(layout: Layout, pair: str, table: pd.DataFrame, best: BestPartners) -> dict:
    """How many neurons were compared, how, and how many matches there are."""
    count = int(((table.rank_a > 0) & (table.rank_b > 0)).sum())
    log.info("%s: %s mutual matches", pair, f"{count:,}")
    summary = {"matches": count, "engine": layout.plan.engine, "placement": layout.plan.placement}
    for side, partners in zip("ab", best, strict=True):
        summary |= {f"neurons_{side}": len(partners.r), f"constant_{side}": int(partners.constant.sum())}
    if layout.plan.engine == "sketch":
        summary |= read_json(Path(layout.rescored(pair)) / f"{pair}.json")
    return summary
