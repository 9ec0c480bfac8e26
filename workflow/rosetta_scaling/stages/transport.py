"""Match neurons one to one by partial optimal transport: a pair of networks, and all pairs in one table."""

import logging
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rosetta_scaling.config.matching import TRANSPORT_NEURONS
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.planning.transport import is_transported, neurons_of_pair
from rosetta_scaling.schemas.nulls import CENTRAL
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.transport import COUNTED, TRANSPORT, TRANSPORTED
from rosetta_scaling.stages.facts import pair_facts, variants_inputs
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.progress import Reporter
from rosetta_scaling.store.tables import read_table

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


def transport_pair_inputs(plan: StudyPlan, pair: str) -> Inputs:
    """Both networks as they are, and what the draws of the central null are read from."""
    return variants_inputs(plan, pair, plan.layout.variants(CENTRAL), tiled=False)


def transport_pair(plan: StudyPlan, pair: str, device: "torch.device", out: str) -> None:
    """Write the pairs of neurons that are transported, of the real networks and of draws of the central null."""
    from rosetta_scaling.matching.transport import transport
    from rosetta_scaling.stages.sources import open_pair

    facts, min_r = pair_facts(plan, pair), plan.study.matching.transport_min_r
    assert min_r is not None, "the rule exists only where the study asks for it"
    variants, tables = ["real", *plan.layout.variants(CENTRAL)], []
    report = Reporter(log, f"transport of {pair}", len(variants))
    for done, variant in enumerate(variants, 1):
        a, b = open_pair(facts, variant, device)
        table = transport(a, b, min_r, device=device)
        tables.append(table.assign(variant=variant))
        report(done, variant)
    write_checked_table(out, pd.concat(tables, ignore_index=True), TRANSPORTED)


def transport_inputs(plan: StudyPlan) -> Inputs:
    """The pairs whose networks are small enough."""
    layout = plan.layout
    return {"pairs": [layout.transported(pair) for pair in layout.pairs_of_points if is_transported(plan, pair)]}


def write_transport(plan: StudyPlan, out: str) -> None:
    """Write one row per pair of networks that share a point; of one that is too large it only says so."""
    from rosetta_scaling.points.transport import transport_counts

    layout, study, rows = plan.layout, plan.study, []
    for pair in layout.pairs_of_points:
        (a, b), neurons = layout.pairs[pair], neurons_of_pair(plan, pair)
        row: dict[str, object] = {"point": layout.rung(a), "model_a": a, "model_b": b}
        row |= {"neurons_a": neurons[0], "neurons_b": neurons[1], "min_r": study.matching.transport_min_r}
        if is_transported(plan, pair):
            found = read_table(layout.transported(pair))
            row |= transport_counts(found, layout.variants(CENTRAL), study.polarization.confidence) | {"note": ""}
        else:
            row |= dict.fromkeys(COUNTED, np.nan)
            row["note"] = f"{max(neurons):,} neurons; at most {TRANSPORT_NEURONS:,} are matched one to one"
        rows.append(row)
    write_checked_table(out, pd.DataFrame(rows), TRANSPORT)
