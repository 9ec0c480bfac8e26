"""Points of a curve for tests, with the tables that a test gives and empty ones for all others."""

from collections.abc import Mapping

import pandas as pd

from rosetta_scaling.config.study import Study
from rosetta_scaling.points.point import PartnerTables, Point
from rosetta_scaling.schemas.names import REPLICATES
from rosetta_scaling.schemas.nulls import NULLS

EMPTY = PartnerTables({}, {})


def made_point(
    study: Study,
    widths: Mapping[str, list[int]],
    real: Mapping[str, pd.DataFrame] = EMPTY.anchored,
    nulls: Mapping[str, Mapping[str, pd.DataFrame]] = EMPTY.anchored,
    planted: Mapping[str, pd.DataFrame] = EMPTY.anchored,
) -> Point:
    """A point with matches and nulls of the anchor by other model; `widths` names the models, the anchor first."""
    return Point(
        study=study,
        widths=widths,
        units=100,
        smallest=min(map(sum, widths.values())),
        real=PartnerTables(real, {}),
        nulls={null: PartnerTables(nulls.get(null, {}), {}) for null in NULLS},
        own=EMPTY,
        replicates=dict.fromkeys(REPLICATES, EMPTY),
        planted=PartnerTables(planted, {}),
        snapshots=EMPTY,
    )
