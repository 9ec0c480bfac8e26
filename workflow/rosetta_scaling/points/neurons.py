"""The neurons of a point's anchor, a row each: where they are, their partners, and by which rules they are Rosetta."""

import pandas as pd

from rosetta_scaling.points.lists import LEVELS, anchor_marks, list_competition
from rosetta_scaling.points.point import Point
from rosetta_scaling.points.rosetta import rosetta_table
from rosetta_scaling.units.neurons import layer_and_channel


def point_neurons(point: Point) -> pd.DataFrame:
    """The rosetta table of a point, with layer, channel and mark of every neuron, and which survive calibration."""
    real, primary = point.real, point.rules[0]
    table = rosetta_table(point.neurons[point.anchor], real.anchored, real.outer, point.study.matching.criteria)
    layer, channel = layer_and_channel(point.widths[point.anchor])
    table.insert(1, "layer", layer)
    table.insert(2, "channel", channel)
    table.insert(3, "mark", anchor_marks(point))
    table[f"{primary.name}_fdr05"] = list_competition(point, primary).q() <= LEVELS["05"]
    return table
