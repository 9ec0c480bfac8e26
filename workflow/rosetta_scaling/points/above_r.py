"""How many Rosetta neurons a point has above every correlation, really and in every null."""

import numpy as np
import pandas as pd

from rosetta_scaling.points.counts import count_interval, defines_excess
from rosetta_scaling.points.point import PartnerTables, Point
from rosetta_scaling.points.rosetta import strengths, strengths_by_draw
from rosetta_scaling.schemas.tables.points import ABOVE_R

STEPS = np.arange(50) / 50  # correlations from 0 to 0.98 above which neurons are counted
REAL = "count"  # the source of the rows that no null made


def point_above_r(point: Point) -> pd.DataFrame:
    """One row per correlation and source (the count, every null): Rosetta neurons at least that strong.

    They are those of the primary criterion, and the strength of one is its weakest correlation with a partner. Of the
    count, the interval is over resampled documents (see counts.count_interval); of a null, mean, fewest and most over
    its draws are scaled to all neurons of the anchor where the nulls look at some of them only.
    """
    real = above(strengths(point.real.anchored, point.primary).to_numpy())
    resampled = of_draws(point.replicates["bootstrap"], point, point.study.stability.bootstrap)
    rows = [
        {"r": r, "source": REAL, "count": count, "low": ends["count_low"], "high": ends["count_high"]}
        for r, count, draws in zip(STEPS, real, resampled.T, strict=True)
        for ends in [count_interval(count, draws, point.confidence)]
    ]
    for null, tables in point.nulls.items():
        counts = point.scale * of_draws(tables, point, point.study.nulls.draws(null))
        ends = {"count": counts.mean(0), "low": counts.min(0), "high": counts.max(0)}
        rows += pd.DataFrame({"r": STEPS, "source": null} | ends).to_dict("records")
    return pd.DataFrame(rows).assign(criterion=point.primary.name)[ABOVE_R.names]


def above(strength: np.ndarray) -> np.ndarray:
    """How many of the strengths are at least as large as every one of STEPS."""
    return len(strength) - np.searchsorted(np.sort(strength), STEPS)


def of_draws(tables: PartnerTables, point: Point, draws: int) -> np.ndarray:
    """Rosetta neurons above every one of STEPS in every draw (draws, steps); NaN where the criterion is not defined."""
    if not defines_excess(tables, point.rules[0]):
        return np.full((draws, len(STEPS)), np.nan)
    return np.array([above(strength) for strength in strengths_by_draw(tables.anchored, point.primary, draws)])
