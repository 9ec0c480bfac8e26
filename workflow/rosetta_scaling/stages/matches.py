"""Match two models: a tile of them in a job of its own, or all of both.

Every variant of a pair (see facts.py) goes through the same engine and comes out as a table of partners.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from rosetta_scaling.matching.tiles import Tile
from rosetta_scaling.nulls.calibration import add_excess, add_q_values
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.nulls import decoys
from rosetta_scaling.schemas.tables.matching import MATCHES, SNAPSHOTS
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.facts import pair_facts, variant_inputs
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_json, read_table, write_json
from rosetta_scaling.units.neurons import layer_and_channel

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


# -- a tile ----------------------------------------------------------------------------------------------------------


def tile_inputs(plan: StudyPlan, pair: str, variant: str) -> Inputs:
    return variant_inputs(plan, pair, variant)


def match_one_tile(plan: StudyPlan, pair: str, variant: str, index: int, *, device: "torch.device", out: str) -> None:
    """Write the best partners within one tile of a pair."""
    from rosetta_scaling.matching.neighbour_files import write_neighbours
    from rosetta_scaling.stages.partners import match_tile

    tile = plan.matching.tiles[pair][index]
    write_neighbours(out, tile, match_tile(pair_facts(plan, pair), variant, tile, device))


# -- a pair ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MatchFiles:
    """What is written of a pair."""

    matches: Path  # every match with its evidence
    neighbours: Path  # the best partners of every neuron
    snapshots: Path  # matches after a part of the units, whose number is the column draw
    summary: Path


def match_inputs(plan: StudyPlan, pair: str) -> Inputs:
    """What was found by jobs before, or else what a pair of one tile is matched from; and the decoys."""
    layout, models = plan.layout, plan.layout.pairs[pair]
    rest = {
        "units": [pair_facts(plan, pair).units],
        "decoys": [layout.null(null, *models) for null in decoys()],
    }
    if plan.matching.engine == "sketch":
        return {"found": [layout.rescored(pair)], **rest}
    if tiles := plan.neighbour_files(pair, "real"):
        return {"found": tiles, **rest}
    return variant_inputs(plan, pair, "real") | rest


def match_pair(plan: StudyPlan, pair: str, device: "torch.device", out: MatchFiles) -> None:
    """Write the matches of a pair."""
    from rosetta_scaling.matching.neighbour_files import write_neighbours
    from rosetta_scaling.matching.neighbours import partner_table
    from rosetta_scaling.stages.partners import best_partners

    layout, facts, k = plan.layout, pair_facts(plan, pair), plan.study.matching.k
    found = best_partners(plan, pair, "real", device)
    units = max(found)
    best = found.pop(units)
    false = {null: read_table(layout.null(null, *facts.models)) for null in decoys()}
    table = add_q_values(add_excess(partner_table(*best, k), false["rotate"], facts.neurons), false, facts.neurons)
    count = int(((table.rank_a > 0) & (table.rank_b > 0)).sum())
    summary = {"matches": count, "engine": plan.matching.engine, "placement": plan.matching.placement}
    for side, size, partners in zip("ab", facts.sizes, best, strict=True):
        layer, channel = layer_and_channel(list(size.widths))
        table[f"layer_{side}"] = layer[table[f"neuron_{side}"]]
        table[f"channel_{side}"] = channel[table[f"neuron_{side}"]]
        summary |= {f"neurons_{side}": len(partners.r), f"constant_{side}": int(partners.constant.sum())}
    if plan.matching.engine == "sketch":
        summary |= read_json(Path(layout.rescored(pair)) / f"{pair}.json")
    summary["units"] = units
    snapshots = [partner_table(*sides, k).assign(draw=draw) for draw, sides in found.items()]
    write_checked_table(out.matches, table, MATCHES)
    write_neighbours(out.neighbours, Tile(0, facts.neurons[0], 0, facts.neurons[1]), {units: best})
    read = pd.concat(snapshots) if snapshots else table[:0].assign(draw=0)
    write_checked_table(out.snapshots, read, SNAPSHOTS)
    write_json(out.summary, summary)
    log.info("%s: %s mutual matches", pair, f"{count:,}")
