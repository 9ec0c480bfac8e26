"""Rosetta neurons above a correlation: counted by the same rule with that correlation as its least one."""

import numpy as np
import pandas as pd
import pytest

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.matching import Criterion
from rosetta_scaling.config.parsing import load, parse
from rosetta_scaling.points.above_r import STEPS, point_above_r
from rosetta_scaling.points.counts import by_draw, count_interval
from rosetta_scaling.points.point import CountRule, PartnerTables, Point
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.schemas.tables.points import OF_POINT

NEURONS, ROWS, BOOTSTRAP = 60, 20, 10


def partners(draws: int, seed: int) -> PartnerTables:
    rng, tables = np.random.default_rng(seed), {}
    for other in ("b", "c"):
        drawn = {"draw": rng.integers(0, draws, 400), "rank_a": rng.integers(0, 3, 400)}
        drawn |= {"rank_b": rng.integers(0, 3, 400), "neuron_a": rng.integers(0, NEURONS, 400)}
        tables[other] = pd.DataFrame(drawn | {"neuron_b": rng.integers(0, NEURONS, 400), "r": rng.random(400)})
    return PartnerTables(tables, {("b", "c"): tables["b"]})


def the_point(criterion: dict | None = None) -> Point:
    values = load(WORKFLOW / "studies/smoke.yaml").model_dump(mode="json")
    values["nulls"] |= {f"{null}_draws": i + 1 for i, null in enumerate(NULLS)} | {"rows": None if criterion else ROWS}
    values["stability"] |= {"bootstrap": BOOTSTRAP}
    values["matching"]["criteria"] = [criterion or {}]
    return Point(
        study=parse(values),
        widths={model: [NEURONS] for model in "abc"},
        units=100,
        smallest=NEURONS,
        real=partners(1, 0),
        nulls={null: partners(i + 1, i + 1) for i, null in enumerate(NULLS)},
        own=partners(1, 50),
        replicates={"bootstrap": partners(BOOTSTRAP, 60)},
        planted=PartnerTables({}, {}),
        snapshots=partners(1, 70),
    )


@pytest.mark.slow(0.1)
def test_every_row_is_the_count_with_that_least_correlation():
    point = the_point()
    table = point_above_r(point)
    OF_POINT["above_r"].check(table)
    assert list(table.source.unique()) == ["count", *NULLS]
    assert table["count"].nunique() > 20
    for source, rows in table.groupby("source"):
        assert rows.r.tolist() == STEPS.tolist()
        for row in rows.to_dict("records"):
            rule = CountRule("some", Criterion(min_r=row["r"]))
            if source == "count":
                assert row["count"] == len(point.real.rosetta_neurons(rule))
                draws = by_draw(point.replicates["bootstrap"], rule, range(BOOTSTRAP))
                assert (row["low"], row["high"]) == tuple(count_interval(row["count"], draws, 0.95).values())
            else:
                draws = NEURONS / ROWS * by_draw(point.nulls[source], rule, range(point.study.nulls.draws(source)))
                found = row["count"], row["low"], row["high"]
                assert found == pytest.approx((draws.mean(), draws.min(), draws.max()))


def test_where_resamples_have_no_excess_the_count_has_no_interval():
    point = the_point({"min_excess": 0.2})
    tables = [*point.nulls.values(), point.real]
    for table in (table for one in tables for table in one.all()):
        table["excess_a"] = table.r - 0.1
    made = point_above_r(point)
    assert made.loc[made.source == "count", ["low", "high"]].isna().all(axis=None)
    assert made["count"].notna().all()
