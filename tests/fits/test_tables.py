"""Tables of fits, on numbers whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from planted_counts import COUNT, CURVES, HALF, NEURONS, NO_SEEDS, SCATTER, T3, TOP1, a_study, counts_of, line, only
from scipy import stats

from rosetta_scaling.fits.tables import (
    coverage_table,
    documents_sd,
    estimators_table,
    forecast_table,
    influence_table,
    pooled_table,
    rivals_table,
    uncertainty_table,
)
from rosetta_scaling.power_laws.coverage import Truth, coverage
from rosetta_scaling.power_laws.estimators import ESTIMATORS, predict_power_law
from rosetta_scaling.store.errors import StudyError


def test_estimators_stand_side_by_side():
    table = estimators_table(counts_of(COUNT), 0.95).query("quantity == 'count'").set_index("estimator")
    assert table.index.tolist() == [*ESTIMATORS, "measured"]
    slope, error, _ = line(NEURONS, COUNT)
    assert table.alpha.ols == pytest.approx(slope)
    assert table.high.ols == pytest.approx(slope + T3 * error)
    assert (table.points == 5).all()
    assert (table.agrees == True).all()  # noqa: E712, a table of True and missing values
    shifted = counts_of([*COUNT[:4], 900])
    found = estimators_table(shifted, 0.5).query("quantity == 'count'").set_index("estimator")
    for row in found.itertuples():
        assert row.agrees == (found.low.ols <= row.alpha <= found.high.ols)
    assert found.agrees.nunique() == 2


def test_only_estimators_that_can_use_zeros_use_them():
    found = estimators_table(counts_of([0, *COUNT[1:]]), 0.95).query("quantity == 'count'").set_index("estimator")
    assert found.points.to_dict() == {
        "ols": 4,
        "quasi_poisson": 5,
        "negative_binomial": 5,
        "theil_sen": 4,
        "measured": 4,
    }
    direct = ESTIMATORS["quasi_poisson"](NEURONS, [0, *COUNT[1:]], 0.95)
    assert found.alpha.quasi_poisson == pytest.approx(direct["alpha"])
    assert found.alpha.ols == pytest.approx(line(NEURONS[1:], COUNT[1:])[0])
    few = estimators_table(counts_of([0, 0, 0, 5, 9]), 0.95)
    assert few.empty
    assert {"agrees", "note"} <= set(few)


def test_documents_weigh_points_where_their_error_is_known_and_counts_only():
    error = np.array([0.3, 0.2, 0.1, 0.1, 0.05])
    table = counts_of(COUNT, count_low=COUNT * np.exp(-1.959964 * error), count_high=COUNT * np.exp(1.959964 * error))
    np.testing.assert_allclose(documents_sd(table, 0.95), error, rtol=1e-6)
    np.testing.assert_allclose(documents_sd(table, 0.9), error * 1.959964 / 1.644854, rtol=1e-6)
    assert "measured" in estimators_table(table, 0.95).query("quantity == 'count'").estimator.to_list()
    assert "measured" not in estimators_table(table, 0.95).query("quantity == 'excess'").estimator.to_list()
    table.loc[0, "count_low"] = 0.0
    assert np.isnan(documents_sd(table, 0.95)[0])
    assert "measured" not in estimators_table(table, 0.95).estimator.to_list()


def test_an_estimator_agrees_only_where_there_is_an_interval_to_agree_with():
    found = estimators_table(counts_of([3, 6, 12]), 0.95).query("quantity == 'count'")
    assert found.agrees.isna().all()


def test_exponents_are_pooled_over_curves_and_without_every_family():
    curves = {"a-b": ["a", "b"], "a-c": ["a", "c"], "b-c": ["b", "c"], "a-d": ["a", "d"]}
    exponents = dict(zip(curves, (0.5, 0.7, 0.9, 1.1), strict=True))
    table = [counts_of(30 * (NEURONS / 192) ** a * SCATTER, "all").assign(curve=c) for c, a in exponents.items()]
    found = pooled_table(pd.concat(table), curves, 0.95).query("quantity == 'count'").set_index("without")
    bias, error, _ = line(NEURONS, SCATTER)
    assert found.curves.to_dict() == {"none": 4, "b": 2, "c": 2, "d": 3}, "one curve is left without a"
    assert (found.alpha - bias).to_dict() == pytest.approx({"none": 0.8, "b": 0.9, "c": 0.8, "d": 0.7})
    spread = np.std([0.5, 0.7, 0.9], ddof=1)
    assert found.between_sd["d"] == pytest.approx(np.sqrt(spread**2 - error**2))
    assert found.high["d"] - found.alpha["d"] == pytest.approx(stats.t(2).ppf(0.975) * spread / np.sqrt(3))
    assert found.p_same["d"] == pytest.approx(stats.f(2, 9).sf(spread**2 / error**2))
    assert set(pooled_table(pd.concat(table), curves, 0.95).quantity) == {
        "count",
        "excess",
        "null_rotate_pre",
        "null_rotate",
        "null_untrained",
    }


def test_one_curve_is_not_pooled():
    found = pooled_table(counts_of(COUNT), CURVES, 0.95)
    assert found.empty
    assert {"criterion", "quantity", "without", "curves", "alpha", "low", "high", "between_sd", "p_same"} == set(found)


def test_rivals_and_influence_are_of_the_judged_criteria_and_belong_to_their_points():
    table = pd.concat([counts_of(COUNT, null_rotate=2 * SCATTER), counts_of(COUNT, criterion="mutual_top5")])
    rivals = rivals_table(table, [TOP1], 0.95)
    assert set(rivals.criterion) == {TOP1}
    assert set(rivals.quantity) == {"count", "excess", "null_rotate_pre", "null_rotate", "null_untrained"}
    constant = only(rivals, quantity="count", form="constant")
    assert constant.c == pytest.approx(np.exp(np.log(COUNT).mean()))
    assert constant.largest == pytest.approx(np.log(COUNT[:4]).mean() - np.log(COUNT[4]))
    assert only(rivals, quantity="count", form="persistence").largest == pytest.approx(np.log(COUNT[3] / COUNT[4]))
    found = influence_table(counts_of([0, *COUNT[1:]]), [TOP1], 0.95).query("quantity == 'count'")
    assert found.point.tolist() == ["r2", "r3", "r4", "r5"]
    u = np.log(NEURONS[1:]) - np.log(NEURONS[1:]).mean()
    np.testing.assert_allclose(found.leverage, 1 / 4 + u**2 / (u**2).sum())
    assert found.alpha.iloc[0] == pytest.approx(line(NEURONS[2:], COUNT[2:])[0])


def test_where_the_scatter_comes_from():
    error = np.array([0.3, 0.2, 0.1, 0.1, 0.05])
    table = counts_of(COUNT, count_low=COUNT * np.exp(-1.959964 * error), count_high=COUNT * np.exp(1.959964 * error),
                      null_rotate=[3, 5, 6, 9, 12], null_rotate_low=[2, 5, 5, 7, 9],
                      null_rotate_high=[4, 5, 7, 11, 15], null_shift_high=40.0)  # fmt: skip
    row = {"architectures": "gpt_neox bloom", "criterion": TOP1, "curves": "neox-bloom neox-bloom2", "replicates": 2}
    seeds = pd.DataFrame([row | {"point": "r1", "mean": 30.0, "deviation": 3.0},
                          row | {"point": "r2", "mean": 50.0, "deviation": 1.0},
                          row | {"point": "r2", "mean": 50.0, "deviation": 25.0, "criterion": HALF},
                          row | {"point": "r2", "mean": 5.0, "deviation": 9.0, "curves": "all bloom"}])  # fmt: skip
    found = uncertainty_table(table, seeds, a_study()).set_index("quantity")
    assert found.index.tolist() == ["count", "excess"]
    excess = COUNT - [3, 5, 6, 9, 12]
    assert found.model_sd["count"] == pytest.approx(line(NEURONS, COUNT)[2])
    assert found.model_sd["excess"] == pytest.approx(line(NEURONS, excess)[2])
    assert found.documents_sd["count"] == pytest.approx(error.mean(), rel=1e-6)
    assert found.documents_sd["excess"] == pytest.approx((error * COUNT / excess).mean(), rel=1e-6)
    assert found.nulls_sd["excess"] == pytest.approx(([1, 0, 1, 2, 3] / excess).mean())
    assert found.seeds_sd["count"] == pytest.approx((0.1 + 0.02) / 2)
    assert found.loc["count", ["nulls_sd"]].isna().all()
    assert np.isnan(found.seeds_sd["excess"])


def test_one_draw_of_a_null_and_no_other_seeds_tell_no_scatter():
    table = counts_of(COUNT, null_shift=9.0, null_shift_low=9.0, null_shift_high=9.0)
    study = a_study()
    assert study.nulls.shift_draws == 1
    found = uncertainty_table(table, NO_SEEDS, study).set_index("quantity")
    assert np.isnan(found.nulls_sd["excess"])
    assert np.isnan(found.seeds_sd["count"])
    twice = uncertainty_table(table, NO_SEEDS, a_study(nulls={"shift_draws": 2})).set_index("quantity")
    assert twice.nulls_sd["excess"] == 0


def test_coverage_is_simulated_with_the_sizes_exponent_and_scatter_of_the_curve():
    study = a_study()
    table = pd.concat([counts_of(COUNT), counts_of(COUNT, criterion="mutual_top5")])
    found = coverage_table(table, study)
    alpha, _, sd = line(NEURONS, COUNT)
    c = np.exp(np.log(COUNT).mean() - alpha * np.log(NEURONS).mean())
    expected = coverage(NEURONS, Truth(alpha, c, sd), 0.95, draws=study.fits.coverage_draws, seed=study.fits.seed)
    pd.testing.assert_frame_equal(found[expected.columns], expected)
    assert set(found.criterion) == {TOP1}
    assert set(found.points) == {5}
    assert set(found.nominal) == {0.95}
    assert only(found, estimator="ols").coverage > 0.8


def test_forecasts_say_how_far_they_reach():
    names = {"inside": 1000, "edge": 3072, "twice": 6144, "near": 49_152, "far": 49_153, "below": 100, "under": 10}
    found = forecast_table(counts_of(COUNT), a_study(fits={"forecast": names})).query("quantity == 'count'")
    found = found.set_index("name")
    reach = {"inside": "inside", "edge": "inside", "twice": "near", "near": "near", "far": "far"}
    assert found.reach.to_dict() == reach | {"below": "near", "under": "far"}
    assert found.measured.to_list() == pytest.approx([np.log10(16)] * 7)
    beyond = {"inside": 0, "edge": 0, "twice": np.log10(2), "below": np.log10(1.92), "under": np.log10(19.2)}
    assert found.beyond[list(beyond)].to_dict() == pytest.approx(beyond)
    for name, neurons in names.items():
        expected = predict_power_law(NEURONS, COUNT, neurons, 0.95)
        assert found.loc[name, ["forecast", "low", "high"]].to_list() == pytest.approx(expected)
    low, high = np.exp(np.log(COUNT).mean()), np.exp(np.log(COUNT / NEURONS).mean()) * 49_153
    assert found.rivals_low.far == pytest.approx(low), "a constant"
    assert found.rivals_high.far >= high * 0.999, "a constant share"
    with pytest.raises(StudyError, match=r"fits\.forecast"):
        a_study(fits={"forecast": {"nothing": 0}})


def test_where_nothing_can_be_fitted_every_table_is_empty_and_has_its_columns():
    study = a_study()
    full, nothing = counts_of(COUNT, null_rotate=2.0), counts_of([0, 0, 0, 0, 0])
    made = {
        "estimators": lambda t: estimators_table(t, 0.95),
        "pooled": lambda t: pooled_table(pd.concat([t, t.assign(curve="all")]), CURVES, 0.95),
        "rivals": lambda t: rivals_table(t, [TOP1], 0.95),
        "influence": lambda t: influence_table(t, [TOP1], 0.95),
        "uncertainty": lambda t: uncertainty_table(t, NO_SEEDS, study),
        "coverage": lambda t: coverage_table(t, study),
        "forecast": lambda t: forecast_table(t, study),
    }
    for name, make in made.items():
        empty = make(nothing.assign(null_rotate_pre=0.0, null_rotate=0.0, null_untrained=0.0))
        assert empty.empty, name
        assert set(empty) == set(make(full)), name
        assert set(make(counts_of(COUNT, neurons=[64] * 5))) == set(empty), "networks of one size have no exponent"
