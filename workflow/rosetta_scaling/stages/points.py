"""Rosetta neurons and counts of one point."""

from pathlib import Path

from rosetta_scaling.config.study import NULLS
from rosetta_scaling.fits.theory.data import point_isolation
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.points.counts import LEVELS, point_counts, point_snapshots, survivors
from rosetta_scaling.points.decomposition import point_decomposition
from rosetta_scaling.points.depth import point_depth, point_diagonal, point_layers
from rosetta_scaling.points.point import Point
from rosetta_scaling.points.rosetta import rosetta_table
from rosetta_scaling.schemas.names import POINT_TABLES, REPLICATES
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import write_table
from rosetta_scaling.units.neurons import layer_and_channel


def point_inputs(plan: StudyPlan, curve: str, rung: str) -> Inputs:
    """Matches, nulls and stability of every pair of a point, and the sizes of its models."""
    layout, pairs = plan.layout, plan.layout.pairs_of_point(curve, rung)
    return {
        "summaries": layout.summaries(curve, rung),
        "matches": [layout.matches(*pair) for pair in pairs],
        "snapshots": [layout.snapshots(*pair) for pair in pairs],
        "nulls": [layout.null(null, *pair) for pair in pairs for null in (*NULLS, "own")],
        "replicates": [layout.replicate(kind, *pair) for pair in pairs for kind in REPLICATES],
    }


def write_rosetta(plan: StudyPlan, curve: str, rung: str, out: str | Path) -> None:
    """One row per anchor neuron of a point, with layer and channel; and its counts, to the other POINT_TABLES."""
    layout, point = plan.layout, Point(plan, curve, rung)
    primary = layout.study.matching.criteria[0]
    table = rosetta_table(point.neurons, *point.real, layout.study.matching.criteria)
    layer, channel = layer_and_channel(point.widths[point.anchor])
    table.insert(1, "layer", layer)
    table.insert(2, "channel", channel)
    table[f"{primary.name}_fdr05"] = table.neuron.isin(survivors(point, primary, LEVELS["05"]).neuron_a)
    write_table(out, table)
    tables = {
        "counts": point_counts(point, table),
        "decomposition": point_decomposition(point),
        "snapshots": point_snapshots(point, table),
        "layers": point_layers(point, table),
        "depth": point_depth(point, table),
        "diagonal": point_diagonal(point, table),
        "isolation": point_isolation(point),
    }
    for name in POINT_TABLES:
        write_table(layout.point_table(name, curve, rung), tables[name])
