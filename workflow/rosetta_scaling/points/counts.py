"""The counts of a point: beside each its nulls, what survives calibration, and how stable it is."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from rosetta_scaling.nulls import chance
from rosetta_scaling.numerics.intervals import Estimate
from rosetta_scaling.points.lists import list_columns
from rosetta_scaling.points.point import CountRule, PartnerTables, Point
from rosetta_scaling.power_laws.estimators import predict_power_law
from rosetta_scaling.schemas.names import UNMARKED
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.schemas.tables.points import SEEDS, SNAPSHOTS


def by_draw(tables: PartnerTables, rule: CountRule, draws: Sequence[int]) -> np.ndarray:
    """Count in every draw; NaN where the rule asks for an excess that the draw does not define."""
    if not defines_excess(tables, rule):
        return np.full(len(draws), np.nan)
    neurons = tables.rosetta_neurons(rule, ["draw"])
    count = neurons.groupby("draw").size().reindex(draws, fill_value=0).to_numpy(float)
    if rule.criterion.min_excess:
        for table in tables.anchored.values():
            count[table.groupby("draw").excess_a.count().reindex(draws, fill_value=0) == 0] = np.nan
    return count


def defines_excess(tables: PartnerTables, rule: CountRule) -> bool:
    """Whether the tables have the excess, if the rule asks for one: it is measured on real pairs and nulls only."""
    return not rule.criterion.min_excess or all("excess_a" in table for table in tables.anchored.values())


def point_counts(point: Point, table: pd.DataFrame) -> pd.DataFrame:
    """One row per rule of a point; `table` is its rosetta table (one row per anchor neuron)."""
    return pd.DataFrame([_count_row(point, table, rule) for rule in point.rules])


def _count_row(point: Point, table: pd.DataFrame, rule: CountRule) -> dict:
    chosen, stability = table[rule.name], point.study.stability
    row = {"criterion": rule.name, "count": int(chosen.sum()), "fraction": chosen.mean()}
    row["marked"] = int((chosen & (table.mark != UNMARKED)).sum())
    row |= null_counts(point, rule)
    means = [row[f"null_{null}"] for null in NULLS]
    row["excess"] = row["count"] - (np.nanmax(means) if np.isfinite(means).any() else np.nan)
    row |= list_columns(point, rule)
    row |= split_half(point.replicates["half"], rule)
    resampled = by_draw(point.replicates["bootstrap"], rule, range(stability.bootstrap))
    row |= count_interval(row["count"], resampled, point.confidence)
    row["closer_than_own"] = closer_than_own(point, rule)
    row["equal_n"] = point.smallest
    for column, kind in (("equal_n_count", "subset"), ("equal_n_null", "subset_rotate")):
        row[column] = by_draw(point.replicates[kind], rule, range(stability.subset_draws)).mean()
    return row | {"mean_r": table.filter(regex="^r_").mean(axis=1)[chosen].mean()}


def null_counts(point: Point, rule: CountRule) -> dict[str, float]:
    """The counts of every null: mean, lowest and highest of its draws; and null_iid, what noise alone would give.

    A strict rule has no count where the nulls look at some neurons only, and none of noise.
    """
    row: dict[str, float] = {}
    for null, tables in point.nulls.items():
        draws = by_draw(tables, rule, range(point.study.nulls.draws(null))) * point.scale
        if rule.strict and point.is_sampled:
            draws = np.full_like(draws, np.nan)
        row |= draws_summary(draws).columns(f"null_{null}")
    sizes = list(point.neurons.values())
    row["null_iid"] = np.nan if rule.strict else chance.expected_count(sizes, rule.criterion, point.units)
    return row


def draws_summary(draws: np.ndarray) -> Estimate:
    """Mean, lowest and highest of the draws that are not NaN."""
    known = draws[np.isfinite(draws)]
    return Estimate(known.mean(), known.min(), known.max()) if len(known) else Estimate.unknown()


def closer_than_own(point: Point, rule: CountRule) -> int:
    """Number of Rosetta neurons whose partners are closer than any neuron of either's own model is to it."""
    return len(point.real.map(closer_matches, point.own).rosetta_neurons(rule))


def closer_matches(table: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """The pairs of a table of partners with a larger r than either neuron has with any other one of its model.

    `own` are partners within one network: in its rows where side b was `changed` both neurons are of model A.
    """
    for side, changed in (("a", "b"), ("b", "a")):
        neuron = f"neuron_{side}"
        best = own[own.changed == changed].set_index(neuron).r
        table = table[table.r > best.reindex(table[neuron]).fillna(-1).to_numpy()]
    return table


def split_half(tables: PartnerTables, rule: CountRule) -> dict[str, float]:
    """Overlap of the matches in two halves of the documents, and their mean correlation on the other half."""
    if not defines_excess(tables, rule):
        return {"splithalf_jaccard": np.nan, "splithalf_r": np.nan}
    matched, heldout = [], []
    for draw, neurons in tables.rosetta_neurons(rule, ["draw"]).groupby("draw").neuron_a:
        pairs = set()
        for model, table in tables.anchored.items():
            best = table[(table.draw == draw) & (table.rank_a == 1) & table.neuron_a.isin(neurons)]
            pairs |= {(model, *pair) for pair in zip(best.neuron_a, best.neuron_b, strict=True)}
            heldout.append(best.heldout_r)
        matched.append(pairs)
    every = set.union(*matched) if matched else set()
    return {
        "splithalf_jaccard": len(set.intersection(*matched)) / len(every) if len(matched) == 2 and every else np.nan,
        "splithalf_r": pd.concat(heldout).mean() if heldout else np.nan,
    }


def count_interval(count: int, resampled: np.ndarray, confidence: float) -> dict[str, float]:
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
    rows, tables = [], point.snapshots
    draws = sorted(set.intersection(*(set(part.draw) for part in tables.all())))
    for rule in point.rules:
        if not defines_excess(tables, rule):
            continue
        units = [*draws, point.units]
        counts = np.array([*by_draw(tables, rule, draws), table[rule.name].sum()])
        for number, count in zip(units, counts, strict=True):
            rows.append({"criterion": rule.name, "units": number, "count": count, "extrapolated": False})
        if (counts > 0).all() and len(counts) > 2:
            more = 10 * units[-1]
            count, low, high = predict_power_law(units, counts, more, point.confidence)
            row = {"criterion": rule.name, "units": more, "count": count, "low": low, "high": high}
            rows.append(row | {"extrapolated": True})
    return pd.DataFrame(rows, columns=SNAPSHOTS.names)


def seeds_table(counts: pd.DataFrame, architectures: Mapping[str, str]) -> pd.DataFrame:
    """Counts of curves that differ in nothing but seeds; `architectures` are those that a curve compares.

    Columns: architectures, point, criterion, curves, replicates, mean, deviation.
    """
    rows = []
    alike = counts.assign(architectures=counts.curve.map(architectures))
    for (kind, point, criterion), part in alike.groupby(["architectures", "point", "criterion"], sort=False):
        if len(part) > 1:
            row = {"architectures": kind, "point": point, "criterion": criterion, "curves": " ".join(part.curve)}
            rows.append(row | {"replicates": len(part), "mean": part["count"].mean(), "deviation": part["count"].std()})
    return pd.DataFrame(rows, columns=SEEDS.names)
