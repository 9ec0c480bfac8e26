"""Rosetta neurons and counts of one point."""

from collections.abc import Mapping

from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.names import REPLICATES
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.schemas.tables.points import OF_POINT, ROSETTA
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.inputs import Inputs


def point_inputs(plan: StudyPlan, curve: str, rung: str) -> Inputs:
    """Matches, nulls and stability of every pair of a point, and the sizes of its models."""
    layout, pairs = plan.layout, plan.layout.pairs_of_point(curve, rung)
    return {
        "summaries": layout.summaries(curve, rung),
        "matches": [layout.matches(*pair) for pair in pairs],
        "match_summary": [layout.match_summary(*layout.points[curve, rung][:2])],
        "snapshots": [layout.snapshots(*pair) for pair in pairs],
        "nulls": [layout.null(null, *pair) for pair in pairs for null in (*NULLS, "own")],
        "replicates": [layout.replicate(kind, *pair) for pair in pairs for kind in REPLICATES],
        "planted": [layout.replicate("planted", *pair) for pair in pairs],
    }


def write_rosetta(plan: StudyPlan, curve: str, rung: str, out: str, *, tables: Mapping[str, str]) -> None:
    """Write one row per anchor neuron of a point, with layer and channel; and every one of POINT_TABLES to its path."""
    from rosetta_scaling.points.neurons import point_neurons
    from rosetta_scaling.stages.point_tables import point_tables, read_point

    point = read_point(plan, curve, rung)
    table = point_neurons(point)
    write_checked_table(out, table, ROSETTA)
    made = point_tables(point, table)
    for name, path in tables.items():
        write_checked_table(path, made[name], OF_POINT[name])
