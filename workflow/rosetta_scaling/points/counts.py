"""The counts of a study: beside each its nulls, what survives calibration, and how stable it is."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from rosetta_scaling.config.matching import Criterion
from rosetta_scaling.config.nulls import NULLS
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.nulls import chance
from rosetta_scaling.nulls.calibration import threshold
from rosetta_scaling.points.point import Matches, Point
from rosetta_scaling.points.rosetta import rosetta_neurons
from rosetta_scaling.power_laws.estimators import predict_power_law
from rosetta_scaling.schemas.names import REPLICATES
from rosetta_scaling.store.tables import read_json

LEVELS = {"05": 0.05, "01": 0.01}  # false-discovery rates of the calibrated counts


def by_draw(tables: Matches, criterion: Criterion, strict: bool, draws: Sequence[int]) -> np.ndarray:
    """Count in every draw; NaN where a draw cannot tell (the criterion asks for an excess that is not defined)."""
    partners, outer = tables
    if not can_tell(tables, criterion):
        return np.full(len(draws), np.nan)
    found = rosetta_neurons(partners, outer if strict else {}, criterion, ["draw"])
    count = found.groupby("draw").size().reindex(draws, fill_value=0).to_numpy(float)
    if criterion.min_excess:
        for table in partners.values():
            count[table.groupby("draw").excess_a.count().reindex(draws, fill_value=0) == 0] = np.nan
    return count


def can_tell(tables: Matches, criterion: Criterion) -> bool:
    """Is what the criterion asks for in the tables? Excess is measured on the real pair and its nulls only."""
    return not criterion.min_excess or all("excess_a" in table for table in tables[0].values())


def point_counts(point: Point, table: pd.DataFrame) -> pd.DataFrame:
    """One row per criterion of a point; `table` is its rosetta table (one row per anchor neuron)."""
    layout, study = point.layout, point.layout.study
    replicates = {kind: point.read(partial(layout.replicate, kind)) for kind in REPLICATES}
    rows = []
    for name, criterion, strict in point.criteria():
        chosen = table[name]
        row = {"criterion": name, "count": int(chosen.sum()), "fraction": chosen.mean()}
        for null, tables in point.nulls.items():
            draws = by_draw(tables, criterion, strict, range(study.nulls.draws(null))) * point.scale
            draws = np.full_like(draws, np.nan) if strict and point.sampled else draws
            row |= summary_of(f"null_{null}", draws)
        row["null_iid"] = chance.expected_count(point.sizes([point.anchor, *point.others]), criterion, units(point))
        row["null_iid"] = np.nan if strict else row["null_iid"]
        means = [row[f"null_{null}"] for null in NULLS]
        row["excess"] = row["count"] - (np.nanmax(means) if np.isfinite(means).any() else np.nan)
        row |= calibrated(point, criterion, strict)
        row |= split_half(replicates["half"], criterion, strict)
        resampled = by_draw(replicates["bootstrap"], criterion, strict, range(study.stability.bootstrap))
        row |= interval(row["count"], resampled, study.polarization.confidence)
        equal = [
            by_draw(replicates[kind], criterion, strict, range(study.stability.subset_draws))
            for kind in ("subset", "subset_rotate")
        ]
        row["closer_than_own"] = closer_than_own(point, criterion, strict)
        row |= {"equal_n": layout.smallest, "equal_n_count": equal[0].mean(), "equal_n_null": equal[1].mean()}
        rows.append(row | {"mean_r": table.filter(regex="^r_").mean(axis=1)[chosen].mean()})
    return pd.DataFrame(rows)


def summary_of(name: str, draws: np.ndarray) -> dict[str, float]:
    """Mean, lowest and highest of the draws that can tell."""
    known = draws[np.isfinite(draws)]
    values = (known.mean(), known.min(), known.max()) if len(known) else (np.nan,) * 3
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def units(point: Point) -> int:
    return read_json(Path(point.layout.matches(point.anchor, point.others[0])).with_name("summary.json"))["units"]


def calibrated(point: Point, criterion: Criterion, strict: bool) -> dict:
    """Counts of matches whose q-value is at most a level, and the largest null above the same correlation."""
    row = {}
    for suffix, level in LEVELS.items():
        least = [{key: threshold(table, level) for key, table in part.items()} for part in point.real]
        row[f"calibrated_{suffix}"] = len(survivors(point, criterion, level, strict))
        worst = 0.0
        for null, tables in point.nulls.items():
            kept = [
                {key: as_strong(table, limits[key]) for key, table in part.items()}
                for part, limits in zip(tables, least, strict=True)
            ]
            found = len(rosetta_neurons(kept[0], kept[1] if strict else {}, criterion, ["draw"]))
            worst = max(worst, found * point.scale / point.layout.study.nulls.draws(null))
        row[f"calibrated_{suffix}_null"] = worst
    return row


def survivors(point: Point, criterion: Criterion, level: float, strict: bool = False) -> pd.DataFrame:
    """Rosetta neurons all of whose matches have a q-value of at most `level`; column neuron_a."""
    kept = [{key: table[table.q_a <= level] for key, table in part.items()} for part in point.real]
    return rosetta_neurons(kept[0], kept[1] if strict else {}, criterion)


def as_strong(table: pd.DataFrame, least: float) -> pd.DataFrame:
    """The best mutual partners of a table with at least this correlation."""
    return table[(table.rank_a == 1) & (table.rank_b == 1) & (table.r >= least)]


def closer_than_own(point: Point, criterion: Criterion, strict: bool) -> int:
    """How many Rosetta neurons are closer to their partners than either of a pair is to any neuron of its own model."""
    closer = [{}, {}]
    for place, part in enumerate(point.real):
        for key, table in part.items():
            pair = (point.anchor, key) if place == 0 else key
            own = point.read_pair(partial(point.layout.null, "own"), *pair)
            kept = table
            for side, other in ("ab", "ba"):
                best = own[own.changed == other].set_index(f"neuron_{side}").r
                kept = kept[kept.r > best.reindex(kept[f"neuron_{side}"]).fillna(-1).to_numpy()]
            closer[place][key] = kept
    return len(rosetta_neurons(closer[0], closer[1] if strict else {}, criterion))


def split_half(tables: Matches, criterion: Criterion, strict: bool) -> dict[str, float]:
    """Overlap of what two halves of the documents find, and how strongly it correlates on the other half."""
    if not can_tell(tables, criterion):
        return {"splithalf_jaccard": np.nan, "splithalf_r": np.nan}
    partners, outer = tables
    found = rosetta_neurons(partners, outer if strict else {}, criterion, ["draw"])
    sets, heldout = [], []
    for draw, neurons in found.groupby("draw").neuron_a:
        keys = set()
        for model, table in partners.items():
            one = table[(table.draw == draw) & (table.rank_a == 1) & table.neuron_a.isin(neurons)]
            keys |= {(model, *pair) for pair in zip(one.neuron_a, one.neuron_b, strict=True)}
            heldout.append(one.heldout_r)
        sets.append(keys)
    both = set.union(*sets) if sets else set()
    return {
        "splithalf_jaccard": len(set.intersection(*sets)) / len(both) if len(sets) == 2 and both else np.nan,
        "splithalf_r": pd.concat(heldout).mean() if heldout else np.nan,
    }


def interval(count: int, resampled: np.ndarray, confidence: float) -> dict[str, float]:
    """Interval of a count over resampled documents.

    Resampling repeats documents, so fewer are different and other matches come out: the quantiles of the draws are
    taken around their mean and moved to the count.
    """
    if not np.isfinite(resampled).all():
        return {"count_low": np.nan, "count_high": np.nan}
    low, high = np.quantile(resampled - resampled.mean(), [(1 - confidence) / 2, (1 + confidence) / 2])
    return {"count_low": max(0.0, count + low), "count_high": count + high}


def point_snapshots(point: Point, table: pd.DataFrame) -> pd.DataFrame:
    """Counts after a part of the units, and extrapolated to ten times as many.

    Columns: criterion, units, count, low, high (of the extrapolated one), extrapolated.
    """
    rows, tables = [], point.read(point.layout.snapshots)
    draws = sorted(set.intersection(*(set(part.draw) for _, part in point.pairs(tables))))
    for name, criterion, strict in point.criteria():
        if can_tell(tables, criterion):
            numbers = [*draws, units(point)]
            counts = np.array([*by_draw(tables, criterion, strict, draws), table[name].sum()])
            for number, count in zip(numbers, counts, strict=True):
                rows.append({"criterion": name, "units": number, "count": count, "extrapolated": False})
            if (counts > 0).all() and len(counts) > 2:
                more = predict_power_law(numbers, counts, 10 * numbers[-1], point.layout.study.polarization.confidence)
                row = {"criterion": name, "units": 10 * numbers[-1]} | dict(
                    zip(("count", "low", "high"), more, strict=True)
                )
                rows.append(row | {"extrapolated": True})
    columns = ["criterion", "units", "count", "low", "high", "extrapolated"]
    return pd.DataFrame(rows, columns=columns)


def seeds_table(layout: Layout, counts: pd.DataFrame) -> pd.DataFrame:
    """Counts of curves that differ in nothing but seeds: architectures, point, criterion, curves, mean, deviation."""
    families, rows = layout.study.families, []
    kinds = {
        curve: " ".join(f"{families[name].architecture or name}" for name in members)
        for curve, members in layout.study.curves.items()
    }
    alike = counts.assign(architectures=counts.curve.map(kinds))
    for (kind, point, criterion), part in alike.groupby(["architectures", "point", "criterion"], sort=False):
        if len(part) > 1:
            row = {"architectures": kind, "point": point, "criterion": criterion, "curves": " ".join(part.curve)}
            rows.append(row | {"replicates": len(part), "mean": part["count"].mean(), "deviation": part["count"].std()})
    columns = ["architectures", "point", "criterion", "curves", "replicates", "mean", "deviation"]
    return pd.DataFrame(rows, columns=columns)
