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
from rosetta_scaling.schemas.nulls import CENTRAL
from rosetta_scaling.schemas.tables.matching import MATCHES, MATCHES_WITHOUT_NULLS, SNAPSHOTS
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.facts import PairFacts, pair_facts, variant_inputs
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.stages.marks import add_marks, mark_inputs
from rosetta_scaling.store.tables import read_json, read_table, write_json
from rosetta_scaling.units.neurons import layer_and_channel

if TYPE_CHECKING:
    import torch

    from rosetta_scaling.matching.neighbours import BestPartners

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


WITHOUT_NULLS = "no null stands beside them, so nothing says how many matches there would be by chance"


def pair_inputs(plan: StudyPlan, pair: str) -> Inputs:
    """What was found by jobs before, or else what a pair of one tile is matched from."""
    units = {"units": [pair_facts(plan, pair).units]}
    if plan.matching.engine == "sketch":
        return {"found": [plan.layout.rescored(pair)], **units}
    if tiles := plan.neighbour_files(pair, "real"):
        return {"found": tiles, **units}
    return variant_inputs(plan, pair, "real") | units


def match_inputs(plan: StudyPlan, pair: str) -> Inputs:
    """The same, the rotated neurons that q-values and excess are measured against, and what neurons are marked by."""
    layout, models = plan.layout, plan.layout.pairs[pair]
    nulls = dict.fromkeys((CENTRAL, "rotate"))  # each once
    decoys = {"decoys": [layout.null(null, *models) for null in nulls]}
    return pair_inputs(plan, pair) | decoys | mark_inputs(plan, pair)


def match_pair(plan: StudyPlan, pair: str, device: "torch.device", out: MatchFiles) -> None:
    """Write the matches of a pair."""
    from rosetta_scaling.matching.neighbour_files import write_neighbours
    from rosetta_scaling.matching.neighbours import Growth, partner_table
    from rosetta_scaling.stages.partners import best_partners

    layout, facts, k = plan.layout, pair_facts(plan, pair), plan.study.matching.k
    found = best_partners(plan, pair, "real", device)
    best = found.final
    decoys, rotations = (read_table(layout.null(null, *facts.models)) for null in (CENTRAL, "rotate"))
    table = add_excess(partner_table(*best, k), rotations, facts.neurons)
    add_marks(plan, pair, table)
    table = add_q_values(table, decoys, facts.neurons)
    add_places(facts, table)
    snapshots = [partner_table(*sides, k).assign(draw=draw) for draw, sides in found.snapshots.items()]
    write_checked_table(out.matches, table, MATCHES)
    whole = Tile(0, facts.neurons[0], 0, facts.neurons[1])
    write_neighbours(out.neighbours, whole, Growth({found.units: best}))
    read = pd.concat(snapshots) if snapshots else table[:0].assign(draw=0)
    write_checked_table(out.snapshots, read, SNAPSHOTS)
    write_json(out.summary, summary_of_matches(plan, pair, table, best) | {"units": found.units})


def match_without_nulls(plan: StudyPlan, pair: str, device: "torch.device", matches: str, *, summary: str) -> None:
    """Write the table and the summary of a pair as `match_pair` does, without what only nulls can tell.

    The table has no q_a, q_b, excess_a and excess_b, and the summary says under `nulls` that none stands beside it.
    """
    from rosetta_scaling.matching.neighbours import partner_table
    from rosetta_scaling.stages.partners import best_partners

    found = best_partners(plan, pair, "real", device)
    table = partner_table(*found.final, plan.study.matching.k)
    add_places(pair_facts(plan, pair), table)
    write_checked_table(matches, table, MATCHES_WITHOUT_NULLS)
    about = summary_of_matches(plan, pair, table, found.final)
    write_json(summary, about | {"units": found.units, "nulls": WITHOUT_NULLS})


def add_places(facts: PairFacts, table: pd.DataFrame) -> None:
    """Add columns to a table of partners: layer and channel of the neurons of both models."""
    for side, size in zip("ab", facts.sizes, strict=True):
        layer, channel = layer_and_channel(list(size.widths))
        table[f"layer_{side}"] = layer[table[f"neuron_{side}"]]
        table[f"channel_{side}"] = channel[table[f"neuron_{side}"]]


def summary_of_matches(plan: StudyPlan, pair: str, table: pd.DataFrame, best: "BestPartners") -> dict[str, object]:
    """How many neurons were compared, how, and how many matches there are."""
    count = int(((table.rank_a > 0) & (table.rank_b > 0)).sum())
    log.info("%s: %s mutual matches", pair, f"{count:,}")
    summary = {"matches": count, "engine": plan.matching.engine, "placement": plan.matching.placement}
    for side, partners in zip("ab", best, strict=True):
        summary |= {f"neurons_{side}": len(partners.r), f"constant_{side}": int(partners.constant.sum())}
        if plan.matching.engine == "exact":  # 0 on a processor
            summary[f"rescored_{side}"] = int(partners.rescored.sum())
    if plan.matching.engine == "sketch":
        summary |= read_json(Path(plan.layout.rescored(pair)) / f"{pair}.json")
    return summary
