"""Lists at a point: by hand, against the competition of a pair, and with some neurons looked at only."""

import numpy as np
import pandas as pd
import pytest
from made_points import made_point
from planted_counts import a_study
from planted_truth import decoy_draws, partners, planted

from rosetta_scaling.config.matching import Criterion
from rosetta_scaling.nulls.calibration import Competition, add_q_values
from rosetta_scaling.points.lists import anchor_marks, beyond_decoys, list_columns, list_competition
from rosetta_scaling.points.point import CountRule, PartnerTables, Point
from rosetta_scaling.schemas.names import UNMARKED
from rosetta_scaling.schemas.nulls import CENTRAL

TOP1 = CountRule("mutual_top1", Criterion())


def table(*rows, **columns) -> pd.DataFrame:
    names = ["neuron_a", "neuron_b", "r", "rank_a", "rank_b"]
    return pd.DataFrame(rows, columns=names).assign(mark_a=UNMARKED, mark_b=UNMARKED, **columns)


def planted_point(neurons: int, rows: int | None = None) -> tuple[Point, pd.DataFrame]:
    """A point of two planted networks with four draws of decoys, and the table of partners with q-values."""
    pair = planted(3, neurons, share=0.3, units=1500)
    a, b = (network.activations() for network in pair.networks)
    decoys = decoy_draws(a, {2 * draw: pair.networks[1].activations(draw) for draw in range(4)})
    if rows:
        looked_at = np.random.default_rng(0).choice(neurons, rows, replace=False)
        decoys = decoys[decoys.neuron_a.isin(looked_at)].assign(sampled_a=True)
    matches = add_q_values(partners(a, b), decoys, (neurons, neurons))
    study = a_study(nulls={"rows": rows})
    widths = {"a": [neurons], "b": [neurons]}
    return made_point(study, widths, {"b": matches}, {CENTRAL: {"b": decoys}}), matches


def test_with_two_models_the_list_is_that_of_the_pair():
    point, matches = planted_point(192)
    q = list_competition(point, TOP1).q()
    best = matches[matches.q_a.notna()]
    assert (best.q_a <= 0.05).sum() > 10
    np.testing.assert_allclose(q[best.neuron_a], best.q_a)
    row = list_columns(point, TOP1)
    assert row["calibrated_05"] == (best.q_a <= 0.05).sum()
    assert row["beyond_decoys"] == row["wins"] - row["decoy_wins"]


def test_counts_of_a_sample_of_neurons_are_scaled():
    whole, part = (list_columns(planted_point(384, rows)[0], TOP1) for rows in (None, 96))
    for name in ("calibrated_05", "wins", "decoy_wins", "beyond_decoys"):
        assert part[name] == pytest.approx(whole[name], rel=0.5)
        assert (part[name] * 96 / 384 * 4).is_integer()  # four draws
    assert part["beyond_decoys_se"] > 1.5 * whole["beyond_decoys_se"]


# Three models. The decoys of B are in the even draws, those of C in the odd ones.
REAL = {
    "b": table((0, 0, 0.9, 1, 1), (1, 1, 0.8, 1, 1), (2, 2, 0.9, 1, 1), (3, 3, 0.9, 1, 1)),
    "c": table((0, 0, 0.7, 1, 1), (1, 1, 0.3, 1, 1), (2, 2, 0.9, 1, 0), (3, 3, 0.9, 1, 1)),
}
DECOYS = {
    "b": pd.concat(
        [
            table(*((i, i, r, 1, 1) for i, r in enumerate((0.8, 0.9, 0.1, 0.1))), draw=0, changed="b"),
            table(*((i, i, 1.0, 1, 1) for i in range(4)), draw=1, changed="a"),
            table(*((i, i, 0.1, 1, 1) for i in range(4)), draw=2, changed="b"),
        ]
    ),
    "c": pd.concat(
        [
            table(*((i, i, 1.0, 1, 1) for i in range(4)), draw=0, changed="a"),
            table(*((i, i, r, 1, 1) for i, r in enumerate((0.6, 0.5, 0.1, 0.95))), draw=1, changed="b"),
            table(*((i, i, 0.1, 1, 1) for i in range(4)), draw=3, changed="b"),
        ]
    ),
}


def three_models() -> Point:
    real = {model: found.copy() for model, found in REAL.items()}
    point = made_point(a_study(), {model: [5] for model in "abc"}, real, {CENTRAL: DECOYS})
    return Point(**{**vars(point), "real": PartnerTables(real, {("b", "c"): table((0, 0, 0.9, 1, 1))})})


def test_a_candidate_of_three_models_is_as_strong_as_its_weakest_match():
    found = list_competition(three_models(), TOP1)
    # 0: .7 of real ones against .6; 1: .3 against .5; 2: the real ones are strongest but not mutual; 4: not looked at
    assert found.winner.tolist() == [0, 1, -1, 0, -1]
    np.testing.assert_allclose(found.excess[:4], [0.7 - 0.35, 0.5 - 0.2, 0.9 - 0.1, 0.9 - 0.1])
    assert np.isnan(found.excess[4])
    strict = list_competition(three_models(), TOP1._replace(strict=True))
    assert strict.winner.tolist() == [0, 1, -1, -1, -1]  # decoys need not match each other, real ones have to
    strong = list_competition(three_models(), CountRule("strong", Criterion(min_r=0.65)))
    assert strong.winner.tolist() == [0, -1, -1, 0, -1]  # decoys have to meet the criterion too


def test_the_false_ones_of_a_list_are_what_decoys_win_there():
    real = table(*((i, i, 0.9 - 0.001 * i if 1 < i < 56 else 0.1, 1, 1) for i in range(60)))
    weak = table(*((i, i, 0.1, 1, 1) for i in range(60)))
    decoys = pd.concat([weak.assign(draw=draw, changed="b") for draw in range(4)])
    decoys.loc[(decoys.draw == 1) & decoys.neuron_a.isin([0, 1]), "r"] = 0.99  # in the list
    decoys.loc[(decoys.draw == 2) & (decoys.neuron_a > 55), "r"] = 0.88
    point = made_point(a_study(), {"a": [60], "b": [60]}, {"b": real}, {CENTRAL: {"b": decoys}})
    row = list_columns(point, TOP1)
    assert row["calibrated_05"] == 54
    assert row["calibrated_05_null"] == 2 / 4 + 4 / 4
    assert (row["wins"], row["decoy_wins"]) == (54, 6 / 4)


def test_marked_neurons_of_the_anchor_stand_in_no_list():
    """A mark in one table of the anchor is enough; marks of partners count nowhere."""
    point = three_models()
    point.real.anchored["b"]["mark_a"] = ["none", "none", "none", "start"]
    point.real.anchored["b"]["mark_b"] = ["massive", "none", "none", "none"]
    found = list_competition(point, TOP1)
    assert found.winner.tolist() == [0, 1, -1, -1, -1]
    assert np.isnan(found.q()[3])
    assert anchor_marks(point).tolist() == ["none", "none", "none", "start", "none"]
    assert list_columns(point, TOP1)["wins"] == 1


def test_without_an_excess_there_is_no_list():
    point, _ = planted_point(192)
    point.real.anchored["b"]["excess_a"] = 0.5
    point.nulls[CENTRAL].anchored["b"]["excess_a"] = np.nan
    row = list_columns(point, CountRule("excess", Criterion(min_excess=0.2)))
    assert np.isnan(list(row.values())).all()


def simulated(rng: np.random.Generator, neurons: int, draws: int, hubs: float) -> Competition:
    """Nothing is shared: every candidate wins with the same probability, and in some draws all hubs do or do not."""
    chance = np.repeat(rng.random(neurons // 4) < 0.3, 4)
    strength = rng.random((1 + draws, neurons)) + hubs * rng.random((1 + draws, 1))
    winner = np.where(chance, strength.argmax(0), -1)
    return Competition(winner, np.ones(neurons), draws)


@pytest.mark.parametrize(("draws", "hubs"), [(8, 0.0), (2, 0.0), (8, 0.3)])
def test_the_interval_covers_nothing_where_nothing_is_shared(draws, hubs):
    rng, covered, error = np.random.default_rng(1), [], []
    for _ in range(800):
        row = beyond_decoys(simulated(rng, 400, draws, hubs), 1.0, 0.95)
        covered.append(row["beyond_decoys_low"] <= 0 <= row["beyond_decoys_high"])
        error.append(row["beyond_decoys"] / row["beyond_decoys_se"])
    assert 0.93 <= np.mean(covered) <= 0.985
    assert abs(np.mean(error)) < 0.1
