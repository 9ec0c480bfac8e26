"""Compare Rosetta neurons with the others, for every curve."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.numerics.seeds import seed_from
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.selectivity import OF_CURVE
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_table

if TYPE_CHECKING:
    from rosetta_scaling.selectivity.polarization.tables import NeuronSet


def polarization_inputs(plan: StudyPlan, curve: str) -> Inputs:
    """The Rosetta neurons of a curve, and the selectivity of its models on the units of its points."""
    layout, neurons = plan.layout, set()
    rungs = plan.study.points_of(curve)
    for rung in rungs:
        for member, model in enumerate(layout.points[curve, rung]):
            neurons.add(layout.selectivity(layout.scope_of_member(curve, rung, member), model))
    return {"rosetta": [layout.rosetta(curve, rung) for rung in rungs], "neurons": sorted(neurons)}


def neuron_sets(layout: Layout, curve: str) -> Iterator["NeuronSet"]:
    """All sets of a curve: the primary criterion, what of it survives calibration, and the strongest correlations.

    In the models that are not the anchor, the Rosetta neurons are the best partners of the anchor's.
    """
    from rosetta_scaling.selectivity.polarization.effects import placebo_sets
    from rosetta_scaling.selectivity.polarization.tables import NeuronSet

    settings = layout.study
    for rung in settings.points_of(curve):
        rosetta = read_table(layout.rosetta(curve, rung))
        for member, model in enumerate(layout.points[curve, rung]):
            table = read_table(layout.selectivity(layout.scope_of_member(curve, rung, member), model))
            for name in settings.judged_sets:
                chosen = rosetta[rosetta[name]]
                neurons = chosen.neuron if member == 0 else chosen[f"partner_{model}"]
                mask = np.isin(np.arange(len(table)), neurons)
                about = {"curve": curve, "point": rung, "model": model, "is_anchor": member == 0}
                about |= {"neurons": len(table), "set": name}
                rng = np.random.default_rng([settings.nulls.seed, seed_from([curve, rung, model, name])])
                sets = placebo_sets(mask, table.layer.to_numpy(), settings.polarization.draws, rng)
                yield NeuronSet(about, table, mask, sets)


def write_polarization(layout: Layout, curve: str, paths: Mapping[str, str]) -> None:
    """Write every one of the POLARIZATION_TABLES of a curve to its path."""
    from rosetta_scaling.selectivity.kinds import FAMILIES
    from rosetta_scaling.selectivity.polarization.tables import QUANTITIES, firing, mean_rows, metric_rows, trends

    confidence, draws = layout.study.polarization.confidence, {}
    rows: dict[str, list[dict]] = {name: [] for name in ("polarization", "specialisation", "families")}
    for one in neuron_sets(layout, curve):
        found = {
            "polarization": metric_rows(one, confidence),
            "specialisation": mean_rows(one, "domain", firing(one.table), confidence),
            "families": mean_rows(one, "family", one.table[list(FAMILIES)], confidence),
        }
        for name, pairs in found.items():
            for row, drawn in pairs:
                rows[name].append(row)
                draws[name, len(rows[name]) - 1] = drawn
    tables = {name: pd.DataFrame(found) for name, found in rows.items()}
    tables["trends"] = pd.concat(
        [
            trends(tables["polarization"], draws, "polarization", "metric", QUANTITIES, confidence),
            trends(tables["specialisation"], draws, "specialisation", "domain", ("mean", "mean_others"), confidence),
            trends(tables["families"], draws, "families", "family", ("mean", "mean_others"), confidence),
        ],
        ignore_index=True,
    )
    for name, path in paths.items():
        write_checked_table(path, tables[name], OF_CURVE[name])
