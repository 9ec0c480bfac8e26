"""Rosetta neurons and counts of one point."""

from pathlib import Path

from rosetta_scaling.fits.theory.data import point_isolation
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.points.counts import LEVELS, point_counts, point_snapshots, survivors
from rosetta_scaling.points.decomposition import point_decomposition
from rosetta_scaling.points.depth import point_depth, point_diagonal, point_layers
from rosetta_scaling.points.point import Point
from rosetta_scaling.points.rosetta import rosetta_table
from rosetta_scaling.schemas.names import POINT_TABLES
from rosetta_scaling.schemas.tables.points import OF_POINT, ROSETTA
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.units.neurons import layer_and_channel


def write_rosetta(layout: Layout, curve: str, rung: str, out: str | Path) -> None:
    """One row per anchor neuron of a point, with layer and channel; and its counts, to the other POINT_TABLES."""
    point = Point(layout, curve, rung)
    primary = layout.study.matching.criteria[0]
    table = rosetta_table(point.neurons, *point.real, layout.study.matching.criteria)
    layer, channel = layer_and_channel(point.widths[point.anchor])
    table.insert(1, "layer", layer)
    table.insert(2, "channel", channel)
    table[f"{primary.name}_fdr05"] = table.neuron.isin(survivors(point, primary, LEVELS["05"]).neuron_a)
    write_checked_table(out, table, ROSETTA)
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
        write_checked_table(layout.point_table(name, curve, rung), tables[name], OF_POINT[name])
