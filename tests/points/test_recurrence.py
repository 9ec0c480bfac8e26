"""Recurrence: by hand, and where matches hit neurons independently of each other."""

import numpy as np
import pandas as pd
import pytest
from made_points import made_point
from planted_counts import a_study

from rosetta_scaling.points.recurrence import again_interval, independent, point_recurrence, recurrence
from rosetta_scaling.schemas.nulls import CENTRAL
from rosetta_scaling.schemas.tables.points import RECURRENCE


def table(*neurons: int, **columns) -> pd.DataFrame:
    return pd.DataFrame({"neuron_a": neurons, "neuron_b": neurons, "r": 0.5, "rank_a": 1, "rank_b": 1}).assign(
        **columns
    )


def test_a_point_tells_how_many_neurons_are_matched_again():
    real = {"b": table(0, 1, 2, 3), "c": table(0, 1, 4), "d": table(0, 5)}
    decoys = {model: pd.concat([table(0, 7, draw=first, changed="b"), table(8, draw=first + 2, changed="b"),
                                table(9, draw=5, changed="a")]) for first, model in enumerate("bcd")}  # fmt: skip
    decoys["d"].loc[decoys["d"].neuron_a == 7, "rank_b"] = 2  # which is no match
    point = made_point(a_study(), {model: [10] for model in "abcd"}, real, {CENTRAL: decoys})
    found = point_recurrence(point)
    RECURRENCE.check(found)
    row = found.iloc[0]
    assert (row.networks, row.one, row["all"]) == (3, 6, 1)
    # 0 is matched 3 times, 1 twice, four neurons once: 6 + 2 of 2 * 9 ordered chances
    assert row.again == pytest.approx(8 / 18)
    assert row.all_independent == pytest.approx(10 * 0.4 * 0.3 * 0.2)
    assert row.one_independent == pytest.approx(10 * (1 - 0.6 * 0.7 * 0.8))
    assert row.again_independent == pytest.approx((0.4 * 0.5 + 0.3 * 0.6 + 0.2 * 0.7) / (2 * 0.9))
    assert (row.one_decoys, row.all_decoys) == ((2 + 1) / 2, (1 + 1) / 2)
    assert row.again_decoys == pytest.approx(((6 + 2) / 10 + 1) / 2)


def test_two_networks_have_no_recurrence():
    assert point_recurrence(made_point(a_study(), {"a": [10], "b": [10]}, {"b": table(0, 1)})).empty


def test_where_matches_are_independent_recurrence_is_what_it_says_and_the_interval_covers():
    rng, off, covered = np.random.default_rng(0), [], []
    for _ in range(400):
        found = rng.random((3, 300)) < np.array([[0.1], [0.2], [0.3]])
        row, expected = recurrence(found), independent(found)
        off.append([row[name] / expected[name] - 1 for name in ("one", "all", "again")])
        low, high = again_interval(found.sum(0), 3, 0.95)
        truth = (0.1 * 0.5 + 0.2 * 0.4 + 0.3 * 0.3) / (2 * 0.6)
        covered.append(low <= truth <= high)
    assert (abs(np.mean(off, axis=0)) < 0.03).all()
    assert 0.92 <= np.mean(covered) <= 0.98
