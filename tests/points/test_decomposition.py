"""The decomposition of a count: by hand, and on draws of a null, where nothing is shared."""

import numpy as np
import pandas as pd
import pytest
from made_points import made_point
from planted_counts import a_study

from rosetta_scaling.points.decomposition import held_out_gaps, largest_gap, point_decomposition
from rosetta_scaling.points.point import PartnerTables, Point
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS, chance_nulls


def of_strengths(*draws: np.ndarray) -> pd.DataFrame:
    """Tables of partners that match one to one."""
    columns = {"neuron_b": 0, "rank_a": 1, "rank_b": 1}
    return pd.concat([
        pd.DataFrame({"neuron_a": np.arange(len(r)), "r": r, "draw": draw}).assign(**columns)
        for draw, r in enumerate(draws)
    ])  # fmt: skip


def a_point(rng: np.random.Generator, shared: int, draws: int = 6) -> Point:
    """150 matches of random strength in every draw of every null, as many real ones, and `shared` strong ones."""
    study = a_study(nulls={f"{null}_draws": draws for null in NULLS}, stability={"bootstrap": 10})

    def drawn() -> pd.DataFrame:
        return of_strengths(*(rng.beta(2, 4, rng.poisson(150)) for _ in range(draws)))

    real = np.append(rng.beta(2, 4, rng.poisson(150)), rng.uniform(0.4, 0.9, shared))
    nulls = {null: {"b": of_strengths(*[np.full(9, 0.05)] * 2)} for null in chance_nulls()}
    nulls |= {null: {"b": drawn()} for null in NULLS if null not in nulls}
    point = made_point(study, {"a": [400], "b": [400]}, {"b": of_strengths(real)}, nulls)
    resampled = of_strengths(*(real + 0.01 * rng.standard_normal(len(real)) for _ in range(10)))
    replicates = {**point.replicates, "bootstrap": PartnerTables({"b": resampled}, {})}
    return Point(**{**vars(point), "replicates": replicates})


def test_the_largest_gap_is_the_most_by_which_any_strength_is_outnumbered():
    found = np.array([0.2, 0.9, 0.8, 0.5])
    assert largest_gap(found, {"x": [np.array([0.6, 0.1])], "y": []}, 0.3, scale=(1, 1)) == 2
    assert largest_gap(found, {"x": [np.array([0.6, 0.1])], "y": [np.array([0.95] * 3)]}, 0.3, scale=(1, 1)) == 0
    assert largest_gap(found, {"x": [np.array([0.6]), np.array([])]}, 0.0, scale=(3, 2)) == 12 - 1
    assert largest_gap(found[:0], {"x": [found]}, 0.0, scale=(1, 1)) == 0


def test_a_held_out_draw_is_not_compared_with_itself():
    nulls = {CENTRAL: [np.array([0.5]), np.array([0.5, 0.6]), np.array([])]}
    assert held_out_gaps(nulls, 0.0, 10.0).tolist() == [0, 15, 0]


def test_where_nothing_is_shared_the_interval_includes_zero():
    rng, found = np.random.default_rng(0), []
    for _ in range(10):
        found.append(point_decomposition(a_point(rng, 0)).iloc[0])
    found = pd.DataFrame(found)
    assert (found.neurons_low == 0).mean() >= 0.8
    assert found.neurons_share.mean() < 0.05
    assert (found.chance + found.subspace + found.neurons == found["count"]).all()


def test_shared_neurons_are_found_and_their_number_is_covered():
    rng, found = np.random.default_rng(1), []
    for _ in range(5):
        found.append(point_decomposition(a_point(rng, 60)).iloc[0])
    found = pd.DataFrame(found)
    assert found.neurons.mean() == pytest.approx(60, rel=0.3)
    assert (found.neurons_low > 0).all()
