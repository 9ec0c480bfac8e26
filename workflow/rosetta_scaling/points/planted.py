"""The power of the lists of a point: which planted pairs they would hold, and how many shared neurons they miss.

A planted pair (see matching/planting.py) gives a neuron of the anchor that had no partner one in every other model. It
competes with the decoys that it has, and is found when its excess is at least that from which on the list holds what
real partners win. All other neurons, and so the list, stay as they are: in an empty one nothing is found.
"""

from functools import reduce
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from rosetta_scaling.nulls.calibration import Candidates, Competition, add_excess, best_in_draws, compete
from rosetta_scaling.numerics.intervals import of_share
from rosetta_scaling.points.lists import LEVELS, list_candidates, real_draw, wins_beyond
from rosetta_scaling.points.point import PartnerTables, Point
from rosetta_scaling.schemas.tables.points import LISTS, PLANTED

EVERY = 1.0  # the level at which a neuron only has to win its competition, which is what beyond_decoys counts
ALL_LEVELS = (*LEVELS.values(), EVERY)


def point_planted(point: Point) -> pd.DataFrame:
    """How many of the planted pairs are found, by the primary criterion: a row for every level and r.

    Where half are found, with the number of shared neurons that are at least so strong. No rows for a criterion that
    corrects for hubs: it needs more partners of a copy than are known.
    """
    if point.primary.score != "r":
        return PLANTED.empty()
    among, tables = list_candidates(point, point.rules[0]), []
    excess, found, strength = planted_excess(point, among), compete(among), among.r.max(0)
    for q in ALL_LEVELS:
        least = least_excess(found, q)
        power = power_at(excess, least, point.confidence).assign(criterion=point.primary.name, q=q)
        for row in power[power.power >= 0.5].itertuples():
            strong = Strong(found, (found.excess >= least) & (strength >= row.r), strength, point.scale)
            for name, value in strong.corrected(power, point.confidence).items():
                power.loc[row.Index, name] = value
        tables.append(power.reindex(columns=PLANTED.names))
    return pd.concat(tables, ignore_index=True)


def power_at(excess: pd.DataFrame, least: float, confidence: float) -> pd.DataFrame:
    """How many of the planted pairs have at least this excess: a row for every r, with the interval of their share."""
    planted, rows = len(excess), []
    for r, found in (excess >= least).sum().items():
        low, high = of_share(int(found), planted, confidence)
        power = found / planted if planted else np.nan
        rows.append({"r": r, "planted": planted, "found": found, "power": power, "low": low, "high": high})
    return pd.DataFrame(rows)


def planted_excess(point: Point, among: Candidates) -> pd.DataFrame:
    """Excess of the planted neurons that their copies win: a row for each, a column for every r; NaN where none wins.

    `among` is what competes for the neurons of the anchor as they are.
    """
    tables = planted_tables(point)
    strength = planted_strength(point, tables)
    strength = strength[among.contested[strength.index]]
    met = tables.rosetta_neurons(point.rules[0], ["r"])
    met = pd.crosstab(met.neuron_a, met.r).reindex(index=strength.index, columns=strength.columns, fill_value=0) > 0
    decoys, excess = Candidates(among.r[1:, strength.index], among.counts[1:, strength.index]), {}
    for r in strength:
        found = compete(Candidates(np.vstack([strength[r], decoys.r]), np.vstack([met[r], decoys.counts])))
        excess[r] = np.where(found.winner == 0, found.excess, np.nan)
    return pd.DataFrame(excess, index=strength.index, columns=strength.columns)


def planted_tables(point: Point) -> PartnerTables:
    """Pairs whose originals are neurons of the anchor, with their excess where the primary criterion asks for it."""
    tables = PartnerTables({other: t[t.changed != "a"] for other, t in point.planted.anchored.items()}, {})
    if not point.primary.min_excess:
        return tables
    rotations, neurons = point.nulls["rotate"].anchored, point.neurons
    excess = {
        other: add_excess(table, rotations[other], (neurons[point.anchor], neurons[other]))
        for other, table in tables.anchored.items()
    }
    return PartnerTables(excess, {})


def planted_strength(point: Point, tables: PartnerTables) -> pd.DataFrame:
    """Weakest r of the best partners of every planted neuron without a mutual partner, in a column for every r."""
    planted = reduce(np.intersect1d, (table.neuron_a for table in tables.anchored.values()))
    real = real_draw(point).anchored
    matched = [table.neuron_a[(table.rank_a == 1) & (table.rank_b == 1)] for table in real.values()]
    free = np.setdiff1d(planted, np.concatenate(matched))
    grid = np.unique(np.concatenate([table.r for table in tables.anchored.values()]))
    size = point.neurons[point.anchor]
    best = [best_in_draws(table, size, "a", [0])[0][0, free] for table in real.values()]
    return pd.DataFrame(np.min([np.maximum.outer(r, grid) for r in best], axis=0), index=free, columns=grid)


def point_lists(point: Point, planted: pd.DataFrame) -> pd.DataFrame:
    """The lists of the primary criterion beside their power: a row for every level of `planted` (see point_planted)."""
    among = list_candidates(point, point.rules[0])
    found, strength, rows = compete(among), among.r.max(0), []
    for level, power in planted.groupby("q"):
        in_list = found.excess >= least_excess(found, float(level))
        half = half_found(power, "power")
        count, false, _ = wins_beyond(found, in_list.astype(float), point.scale)
        row = {"criterion": point.primary.name, "q": level, "count": count, "false": false, "half_r": half}
        row |= {"half_r_low": half_found(power, "high"), "half_r_high": half_found(power, "low")}
        strong = Strong(found, in_list & (strength >= half), strength, point.scale)
        rows.append(row | strong.corrected(power, point.confidence) if np.isfinite(half) else row)
    return pd.DataFrame(rows, columns=LISTS.names)


def least_excess(found: Competition, level: float) -> float:
    """The excess from which on winners are in a list; infinity where it is empty."""
    kept = (found.winner == 0) & (found.q() <= level)
    return found.excess[kept].min(initial=np.inf) if level < EVERY else -np.inf


def half_found(power: pd.DataFrame, column: str) -> float:
    """The r at which half are found by this column of `power`, on a line between the values of r.

    Where more than half are found at the least r already, that one; NaN where half are found nowhere.
    """
    share = np.maximum.accumulate(power[column].fillna(0))
    return float(np.interp(0.5, share, power.r)) if share.max() >= 0.5 else np.nan


def at_common_r(counts: pd.DataFrame, planted: pd.DataFrame) -> pd.DataFrame:
    """Of every row of counts.csv, the number of shared neurons that are at least as strong as one r of the whole study.

    It is the least r at which half of the planted pairs win their competition at every point, so the number means the
    same at all of them. Columns: common_r, and those of planted.csv; NaN where there is no such r, and for criteria
    other than the primary one.
    """
    every = planted[planted.q == EVERY]
    known = every.groupby("r").power.agg(lambda power: (power >= 0.5).all())
    columns = ["corrected", "corrected_low", "corrected_high", "corrected_se"]
    at = every[every.r == known[known].index.min()].assign(common_r=every.r)
    keys = ["curve", "point", "criterion"]
    return counts[keys].merge(at[[*keys, "common_r", *columns]], how="left", on=keys).drop(columns=keys)


class Strong(NamedTuple):
    """Winners in a list that are so strong that at least half of their like are found."""

    found: Competition
    inside: np.ndarray  # (neurons,) whether the winner is one
    strength: np.ndarray  # (neurons,) r of the strongest candidate
    scale: float

    def corrected(self, power: pd.DataFrame, confidence: float) -> dict[str, float]:
        """How many are won by real partners, and the number of shared neurons so strong, with its interval.

        A neuron whose partner has this r is in the list with the power at r, so each that is there stands for 1 / power
        (Horvitz and Thompson 1952), and so do those that decoys win, which are taken off. The variance is that of the
        wins (see wins_beyond) and of which shared neurons are found, and that of the power: what the ends of its
        intervals give, as if it were off at every r alike.
        """
        z = stats.norm.ppf((1 + confidence) / 2)
        weights = {column: self.weights(power, column) for column in ("power", "low", "high")}
        wins = {column: wins_beyond(self.found, weight, self.scale) for column, weight in weights.items()}
        middle, most, least = (wins[column][0] - wins[column][1] for column in ("power", "low", "high"))
        real = weights["power"][self.found.winner == 0]
        variance = wins["power"][2] + self.scale**2 * (real**2 - real).sum() + ((most - least) / (2 * z)) ** 2
        half, strong = z * np.sqrt(variance), self.scale * np.count_nonzero(real)
        row = {"strong": strong, "corrected": middle, "corrected_low": middle - half, "corrected_high": middle + half}
        return row | {"corrected_se": half / z}

    def weights(self, power: pd.DataFrame, column: str) -> np.ndarray:
        """1 / power (neurons,) of those inside, by one of its columns; 0 of all others."""
        share = np.interp(self.strength, power.r, np.maximum.accumulate(power[column]))
        return np.divide(1, share, out=np.zeros(len(share)), where=self.inside)
