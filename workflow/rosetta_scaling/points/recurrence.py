"""Whether a neuron that is matched in one network is matched in others too: its recurrence over seeds or families.

With matches that hit all neurons alike, the networks in which a neuron is matched would be independent of each other.
Neurons also differ by how easily anything matches them, so the same is measured on decoys.
"""

import numpy as np
import pandas as pd
from scipy import stats

from rosetta_scaling.points.lists import numbered
from rosetta_scaling.points.point import PartnerTables, Point
from rosetta_scaling.points.rosetta import satisfying
from rosetta_scaling.schemas.nulls import CENTRAL
from rosetta_scaling.schemas.tables.points import RECURRENCE


def point_recurrence(point: Point) -> pd.DataFrame:
    """One row about the matches of the primary criterion; none at a point of two networks."""
    if len(point.others) < 2:
        return RECURRENCE.empty()
    real = matched(point, point.real)
    decoys, draws = numbered(point.nulls[CENTRAL])
    drawn = [
        recurrence(matched(point, decoys.map(lambda table, draw=draw: table[table.draw == draw])))
        for draw in range(draws)
    ]
    row = {"criterion": point.primary.name, "networks": len(real)} | recurrence(real)
    row["again_low"], row["again_high"] = again_interval(real.sum(0), len(real), point.confidence)
    row |= {f"{name}_independent": value for name, value in independent(real).items()}
    for name in ("one", "all", "again"):
        row[f"{name}_decoys"] = np.mean([one[name] for one in drawn]) * (point.scale if name != "again" else 1)
    return pd.DataFrame([row], columns=RECURRENCE.names)


def matched(point: Point, tables: PartnerTables) -> np.ndarray:
    """Whether every neuron of the anchor is matched in every other network (networks, neurons)."""
    found = np.zeros((len(tables.anchored), point.neurons[point.anchor]), bool)
    for row, table in zip(found, tables.anchored.values(), strict=True):
        row[satisfying(table, point.primary).neuron_a] = True
    return found


def recurrence(found: np.ndarray) -> dict[str, float]:
    """Neurons matched in one network at least and in all, and the probability that a match recurs in another network.

    The last is the mean over all ordered pairs of networks, weighted by the matches in the first; NaN without matches.
    """
    times, networks = found.sum(0), len(found)
    again = times @ (times - 1) / ((networks - 1) * times.sum()) if times.any() else np.nan
    return {"one": int((times > 0).sum()), "all": int((times == networks).sum()), "again": again}


def independent(found: np.ndarray) -> dict[str, float]:
    """What recurrence would be on average if the networks in which a neuron is matched were independent."""
    share, neurons = found.mean(1), found.shape[1]
    others = share.sum() - share  # of every network
    again = share @ others / ((len(share) - 1) * share.sum()) if share.any() else np.nan
    return {"one": neurons * (1 - np.prod(1 - share)), "all": neurons * np.prod(share), "again": again}


def again_interval(times: np.ndarray, networks: int, confidence: float) -> tuple[float, float]:
    """Interval of `again` over neurons, which are matched so many `times` (neurons,): of a ratio of two sums."""
    if not times.any():
        return np.nan, np.nan
    pairs, chances = times * (times - 1), (networks - 1) * times
    again = pairs.sum() / chances.sum()
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(((pairs - again * chances) ** 2).sum()) / chances.sum()
    return again - half, again + half
