"""What is fitted, what is reported of every fit, what is claimed and drawn, on numbers whose answer is known."""

import contextlib
import copy
import json
import math
from dataclasses import replace

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
from made_points import made_point
from scipy import stats

from rosetta_scaling import WORKFLOW
from rosetta_scaling.claims.fits import judge_fits
from rosetta_scaling.claims.verdicts import FIT, INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED
from rosetta_scaling.config.study import load, parse
from rosetta_scaling.fits.checklist import UNKNOWN, read_checked, write_checked
from rosetta_scaling.fits.counts import ABSCISSAE, QUANTITIES, fit_counts
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
from rosetta_scaling.fits.theory.data import point_isolation, theory_table
from rosetta_scaling.fits.theory.simulation import simulate
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.points.point import PartnerTables, Point
from rosetta_scaling.power_laws.coverage import Truth, coverage
from rosetta_scaling.power_laws.estimators import ESTIMATORS, predict_power_law
from rosetta_scaling.report import fits as fit_cells
from rosetta_scaling.report.figures import fits as fit_figures
from rosetta_scaling.report.figures import theory as theory_figures
from rosetta_scaling.report.figures.data import counted
from rosetta_scaling.report.figures.fits import multiverse_data, rivals_data
from rosetta_scaling.report.figures.style import COLOURS
from rosetta_scaling.schemas.names import FIT_TABLES
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.stages.fits import write_fits
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, read_table, write_json, write_table

TOP1, HALF = "mutual_top1", "mutual_top1_r0.5"
NEURONS = 192 * 2.0 ** np.arange(5)
SCATTER = np.array([1.1, 0.92, 0.97, 1.06, 0.98])
COUNT = np.round(30 * (NEURONS / 192) ** 0.7 * SCATTER)  # 33, 45, 77, 136, 205
CURVES = {"neox-bloom": ["neox", "bloom"], "llama-neox": ["llama", "neox"], "all": ["neox", "bloom", "llama"]}
T3 = 3.182446305284263  # 97.5% quantile of Student's t with 3 degrees of freedom, from a printed table
NO_SEEDS = pd.DataFrame(columns=["architectures", "point", "criterion", "curves", "replicates", "mean", "deviation"])


def a_study(**sections):
    """The smoke study with five rungs and these curves; sections are merged into it."""
    values = load(WORKFLOW / "studies/smoke.yaml").model_dump(mode="json")
    size = {"hidden_size": 8, "layers": 1, "heads": 2, "learning_rate": 0.01}
    values["ladder"]["rungs"] = {f"r{i}": size for i in range(1, 6)}
    values |= {"curves": CURVES, "theory": {"betas": [2.0], "sizes": [64, 128, 256], "runs": 1, "inputs": 500}}
    values["matching"]["criteria"] = [{}, {"min_r": 0.5}]
    for name, section in sections.items():
        values[name] = values[name] | section if name != "curves" else section
    return parse(values)


def counts_of(count, curve="neox-bloom", criterion=TOP1, neurons=None, **columns) -> pd.DataFrame:
    """The rows of a curve in counts.csv; nulls are 1 in every draw, where `columns` says nothing else."""
    count = np.asarray(count, float)
    neurons = NEURONS[: len(count)] if neurons is None else np.asarray(neurons, float)
    points = [f"r{i + 1}" for i in range(len(count))]
    table = pd.DataFrame({"curve": curve, "point": points, "criterion": criterion, "count": count, "neurons": neurons})
    table["models"] = [" ".join(f"{family}-{point}" for family in CURVES[curve]) for point in points]
    table = table.assign(parameters=neurons**2, non_embedding_parameters=neurons**1.5 + 900, hidden_size=neurons**0.5)
    table = table.assign(training_flops=6e6 * neurons**1.5, anchor_neurons=neurons.astype(int), null_iid=neurons / 2)
    nulls = {f"null_{null}{end}": 1.0 for null in NULLS for end in ("", "_low", "_high")}
    table = table.assign(**nulls, count_low=0.9 * count, count_high=1.1 * count, calibrated_01=0)
    table = table.assign(calibrated_05=0, equal_n_count=9.0, equal_n_null=3.0).assign(**columns)
    return table.assign(excess=table["count"] - table[[f"null_{null}" for null in NULLS]].max(axis=1))


def line(x, y) -> tuple[float, float, float]:
    """Slope, its standard error and the standard deviation of the residuals of ln y on ln x, from the textbook."""
    u, v = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    spread = ((u - u.mean()) ** 2).sum()
    slope = ((u - u.mean()) * (v - v.mean())).sum() / spread
    sd = np.sqrt(((v - v.mean() - slope * (u - u.mean())) ** 2).sum() / (len(u) - 2))
    return slope, sd / np.sqrt(spread), sd


def only(table: pd.DataFrame, **values) -> pd.Series:
    """The one row with these values."""
    for name, value in values.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


# -- fits ------------------------------------------------------------------------------------------------------------


def test_every_quantity_is_fitted_against_every_notion_of_size():
    fits = fit_counts(pd.concat([counts_of(COUNT), counts_of(COUNT[:4], "all", HALF)]), 0.95)
    assert len(fits) == 2 * len(QUANTITIES) * len(ABSCISSAE)
    table = counts_of(COUNT)
    for x in ABSCISSAE:
        row = only(fits, curve="neox-bloom", quantity="count", x=x)
        slope, error, _ = line(table[x], COUNT)
        assert row.alpha == pytest.approx(slope)
        assert row.low == pytest.approx(slope - T3 * error)
        assert row.high == pytest.approx(slope + T3 * error)
        assert row.c == pytest.approx(np.exp(np.log(COUNT).mean() - slope * np.log(table[x]).mean()))
        assert row.r2 == pytest.approx(np.corrcoef(np.log(table[x]), np.log(COUNT))[0, 1] ** 2)
        assert (row.points, row.note) == (5, "")
    assert only(fits, curve="all", quantity="count", x="neurons").points == 4


def test_below_the_slope_of_a_constant_share_is_what_sublinear_means():
    fits = fit_counts(counts_of(COUNT), 0.95).query("quantity == 'count'").set_index("x")
    table = counts_of(COUNT)
    assert fits.geometric.neurons == pytest.approx(1)
    assert fits.geometric.parameters == pytest.approx(0.5)
    assert fits.geometric.hidden_size == pytest.approx(2)
    for x in ABSCISSAE:
        assert fits.geometric[x] == pytest.approx(line(table[x], NEURONS)[0])
        slope, error, _ = line(table[x], COUNT / NEURONS)
        assert fits.p_sublinear[x] == pytest.approx(stats.t(3).cdf(slope / error))
    assert (fits.p_sublinear < 0.01).all()
    rises = fit_counts(counts_of(0.1 * NEURONS**1.4 * SCATTER), 0.95).query("quantity == 'count'")
    assert (rises.p_sublinear > 0.99).all()
    assert (rises.alpha[rises.x == "parameters"] < 1).all(), "below 1 is no answer against parameters"


def test_zeros_and_what_is_not_known_are_left_out_and_said():
    table = counts_of([0, *COUNT[1:]], training_flops=np.nan, null_rotate=[np.nan, 2, 3, 5, 4])
    fits = fit_counts(table, 0.95)
    row = only(fits, quantity="count", x="neurons")
    assert row.alpha == pytest.approx(line(NEURONS[1:], COUNT[1:])[0])
    assert (row.points, row.note) == (4, "1 of 5 points left out: count is not positive")
    unknown = only(fits, quantity="count", x="training_flops")
    assert np.isnan(unknown.alpha)
    assert unknown.note == f"{row.note}; training_flops is not known for every network"
    null = only(fits, quantity="null_rotate", x="neurons")
    assert null.note == "1 of 5 points left out: null_rotate is not positive or not known"
    none = only(fits, quantity="calibrated_05", x="neurons")
    assert np.isnan(none.alpha)
    assert (none.points, none.note) == (0, "5 of 5 points left out: calibrated_05 is not positive")


def test_two_points_and_equal_sizes_are_no_fit():
    fits = fit_counts(counts_of([0, 0, 0, 9, 12], hidden_size=16.0), 0.95).query("quantity == 'count'")
    assert fits.alpha.isna().all()
    assert (fits.points == 2).all()
    deeper = fit_counts(counts_of(COUNT, hidden_size=16.0), 0.95).query("quantity == 'count'").set_index("x")
    assert np.isnan(deeper.alpha.hidden_size)
    assert deeper.note.hidden_size == "hidden_size is the same at every point"
    assert deeper.alpha.drop("hidden_size").notna().all()


@pytest.mark.parametrize(("count", "alpha"), [([3, 3, 3], 0.0), ([3, 6, 12], 1.0)])
def test_points_exactly_on_a_line_have_no_interval_and_no_p(count, alpha):
    row = only(fit_counts(counts_of(count), 0.95), quantity="count", x="neurons")
    assert row.alpha == pytest.approx(alpha)
    assert row[["low", "high", "p_sublinear"]].isna().all()
    assert row.note.startswith("the points lie exactly on the fit")


# -- tables of fits --------------------------------------------------------------------------------------------------


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
    assert set(rivals.quantity) == {"count", "excess", "null_rotate", "null_untrained"}
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
        empty = make(nothing.assign(null_rotate=0.0, null_untrained=0.0))
        assert empty.empty, name
        assert set(empty) == set(make(full)), name
        assert set(make(counts_of(COUNT, neurons=[64] * 5))) == set(empty), "networks of one size have no exponent"


# -- a small study, all of whose fits are made as the workflow makes them --------------------------------------------


def isolation_of(counts: pd.DataFrame) -> pd.DataFrame:
    """Matches whose isolation nearly obeys the theory; those of one null do not, and one null has none."""
    real = counts[["curve", "point", "criterion"]].assign(kind="real", matches=counts["count"], rank_slope=1.4)
    wobble = np.resize([1.01, 0.99, 1.0, 1.005, 0.995], len(counts))
    found = [real.assign(isolation=(counts.neurons / counts["count"].where(counts["count"] > 0)) * wobble)]
    found.append(
        real.assign(kind="rotate", isolation=0.3 * counts.neurons * wobble, matches=counts.neurons * SCATTER[0])
    )
    found.append(real.assign(kind="untrained", isolation=np.nan, matches=0, rank_slope=np.nan))
    table = pd.concat(found, ignore_index=True)
    return table.assign(isolation_low=table.isolation, isolation_high=table.isolation)


def snapshots_of(counts: pd.DataFrame) -> pd.DataFrame:
    rows = counts[["curve", "point", "criterion", "count"]]
    rows = pd.concat(
        [rows.assign(units=200, count=rows["count"] // 2), rows.assign(units=400), rows.assign(units=4000)]
    )
    return rows.assign(low=np.nan, high=np.nan, extrapolated=rows.units == 4000)


def models_of(study) -> pd.DataFrame:
    names = [(f, r) for f in study.families for r in study.rungs_of(f)]
    table = pd.DataFrame({"model": [f"{f}-{r}" for f, r in names], "sha256": [f"{f}{r}sha" for f, r in names]})
    return table.assign(seed=[study.families[f].seed for f, _ in names], training_tokens=30_000)


def fitted(folder, study, counts: pd.DataFrame, **tables) -> dict[str, pd.DataFrame]:
    """Write the tables that fits are made from, and make all fits; returns the FIT_TABLES, counts and isolation."""
    with contextlib.chdir(folder):
        layout = Layout(study, corpus_key="k")
        made = {"counts": counts, "seeds": NO_SEEDS, "isolation": isolation_of(counts), "models": models_of(study)}
        made |= {"snapshots": snapshots_of(counts)} | tables
        for name, table in made.items():
            write_table(f"tables/{name}.csv", table)
        write_json(f"{layout.corpus_dir}/manifest.json", {"sha256": "c" * 64})
        write_table(layout.units("study"), pd.DataFrame({"unit": range(400)}))
        write_table(layout.simulations[0], simulate(2.0, [64, 128, 256], 1, 500))
        write_fits(layout, folder / "tables")
    return {name: read_table(folder / f"tables/{name}.csv") for name in (*FIT_TABLES, "counts", "isolation")}


def small_counts() -> pd.DataFrame:
    """Three curves by two criteria; the calibrated count is always zero, one curve has a zero, and no excess there."""
    tables = []
    for criterion, factor in ((TOP1, 1.0), (HALF, 0.4)):
        for i, curve in enumerate(CURVES):
            count = np.round(factor * COUNT * np.roll(SCATTER, i))
            tables.append(counts_of(count, curve, criterion, null_rotate=np.round(0.3 * NEURONS**0.6)))
    table = pd.concat(tables, ignore_index=True)
    zero = (table.curve == "all") & (table.criterion == HALF) & (table.point == "r1")
    table.loc[zero, ["count", "count_low", "count_high", "excess"]] = 0.0, 0.0, 0.0, -7.0
    return table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a study whose fits are made."""
    folder = tmp_path_factory.mktemp("fitted")
    fitted(folder, a_study(), small_counts())
    return folder


@pytest.fixture
def tables(folder) -> dict[str, pd.DataFrame]:
    return {name: read_table(folder / f"tables/{name}.csv") for name in (*FIT_TABLES, "counts", "isolation")}


def test_all_tables_of_fits_are_written(tables):
    counts = tables["counts"]
    expected = fit_counts(counts, 0.95)
    pd.testing.assert_frame_equal(tables["fits"].fillna({"note": ""}), expected, check_dtype=False)
    sizes = counts[["curve", "point", "neurons"]].drop_duplicates()
    made = {
        "estimators": estimators_table(counts, 0.95),
        "pooled": pooled_table(counts, CURVES, 0.95),
        "rivals": rivals_table(counts, [TOP1, HALF], 0.95),
        "forecast": forecast_table(counts, a_study()),
        "theory": theory_table(tables["isolation"].merge(sizes), 0.95),
    }
    for name, table in made.items():
        expected = table.assign(note=table.note.replace("", None)) if "note" in table else table
        pd.testing.assert_frame_equal(tables[name], expected, check_dtype=False, obj=name)
    assert tables["theory_simulation"].neurons.tolist() == [64, 128, 256]
    assert set(tables["theory_exponents"].expected) == {0.5}


# -- what a fit must report ------------------------------------------------------------------------------------------

ROWS = ("count_against_units", "sensitivity", "coverage", "residuals", "curvature", "influence", "rivals",
        "largest_rung", "below_proportional")  # fmt: skip
NUMBERS_OR_WHY = {"r2", "model_sd", "documents_sd", "nulls_sd", "seeds_sd"}


@pytest.fixture(scope="module")
def whole(folder) -> dict:
    """fits.json with one fit of three points, and one refused."""
    known = read_json(folder / "tables/fits.json")
    fit = known["fits"][0]
    fit["data"]["points"] = fit["data"]["points"][:3]
    return {"fits": [fit], "refused": known["refused"][:1]}


def entries(values, path=()):
    """The path of every entry that the checklist names."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        if isinstance(values, dict):
            yield (*path, key)
        block = isinstance(value, dict) and key not in ("nulls", "versions")
        if block or (isinstance(value, list) and key in ("fits", "refused", "points")):
            yield from entries(value, (*path, key))


def changed(values: dict, path: tuple, *new) -> dict:
    """A copy with the entry at `path` replaced, or without it."""
    values = copy.deepcopy(values)
    place = values
    for key in path[:-1]:
        place = place[key]
    if new:
        place[path[-1]] = new[0]
    else:
        del place[path[-1]]
    return values


def refusal(folder, values: dict) -> str:
    """What the checklist says to a file with these values, NaN included; nothing if it takes them."""
    (folder / "fits.json").write_text(json.dumps(values))
    try:
        read_checked(folder / "fits.json")
    except StudyError as error:
        return str(error)
    return ""


def test_a_whole_file_is_taken_and_comes_back_as_it_was(whole, tmp_path):
    assert refusal(tmp_path, whole) == ""
    write_checked(tmp_path / "again.json", whole)
    assert read_json(tmp_path / "again.json") == whole
    assert read_checked(tmp_path / "again.json").fits[0].data.points[2].point == "r3"


def test_every_entry_is_required(whole, tmp_path):
    paths = list(entries(whole))
    assert len(paths) > 80
    for path in paths:
        name = ".".join(map(str, path))
        said = refusal(tmp_path, changed(whole, path))
        assert f"{name}: Field required" in said, name
        with pytest.raises(StudyError, match="a fit must report"):
            write_checked(tmp_path / "new.json", changed(whole, path))
    assert not (tmp_path / "new.json").exists()


@pytest.mark.parametrize("nothing", [math.nan, None, "", "  ", [], {}, "not measured:", UNKNOWN, f"{UNKNOWN}  "])
def test_no_entry_may_say_nothing(whole, tmp_path, nothing):
    for path in entries(whole):
        name = ".".join(map(str, path))
        if path in (("fits",), ("refused",)) and nothing == []:
            continue  # one of both may be empty
        said = refusal(tmp_path, changed(whole, path, nothing))
        assert name in said, name


def test_a_number_may_be_missing_with_a_reason_only_where_a_study_cannot_know_it(whole, tmp_path):
    for path in entries(whole):
        values = whole
        for key in path:
            values = values[key]
        said = refusal(tmp_path, changed(whole, path, f"{UNKNOWN}nobody counted"))
        if isinstance(values, str):
            assert said == ""
        else:
            assert (said == "") == (path[-1] in NUMBERS_OR_WHY), path
    for path in (("uncertainty", "alpha", 0), ("data", "points", 0, "nulls", "iid")):
        assert refusal(tmp_path, changed(whole, ("fits", 0, *path), f"{UNKNOWN}one draw")) == ""
        assert "nulls" in (said := refusal(tmp_path, changed(whole, ("fits", 0, *path), "unknown"))) or "alpha" in said
    assert "covariance" in refusal(
        tmp_path, changed(whole, ("fits", 0, "estimation", "covariance"), [[1, 2], [3, math.nan]])
    )


def test_rows_and_lists_inside_an_entry_say_something_too(whole, tmp_path):
    fit = whole["fits"][0]
    for block, name in [(b, n) for b in ("uncertainty", "adequacy", "claim") for n in ROWS if n in fit[b]]:
        for nothing in ({"x": math.nan}, {"x": None}, {"x": ""}, {"x": "not measured:"}, {}):
            assert name in refusal(tmp_path, changed(whole, ("fits", 0, block, name), [nothing])), (name, nothing)
        assert refusal(tmp_path, changed(whole, ("fits", 0, block, name), [{"x": f"{UNKNOWN}why not"}])) == ""
    for path in (("form", "rivals"), ("data", "exclusions"), ("data", "points", 1, "seeds")):
        assert ".".join(map(str, path)) in refusal(tmp_path, changed(whole, ("fits", 0, *path), [""]))
    assert "versions" in refusal(tmp_path, changed(whole, ("fits", 0, "estimation", "versions"), {"numpy": ""}))


def test_two_points_an_unknown_key_and_a_damaged_file_are_refused(whole, tmp_path):
    two = changed(whole, ("fits", 0, "data", "points"), whole["fits"][0]["data"]["points"][:2])
    assert "fits.0.data.points: List should have at least 3 items" in refusal(tmp_path, two)
    more = copy.deepcopy(whole)
    more["fits"][0]["claim"]["beautiful"] = "very"
    assert "fits.0.claim.beautiful: Extra inputs are not permitted" in refusal(tmp_path, more)
    assert "refused.0.reason" in refusal(tmp_path, changed(whole, ("refused", 0, "reason"), " "))
    (tmp_path / "fits.json").write_text('{"fits": [')
    with pytest.raises(StudyError, match="damaged or truncated"):
        read_checked(tmp_path / "fits.json")


def test_a_file_without_any_fit_says_why_there_is_none(whole, tmp_path):
    assert refusal(tmp_path, changed(whole, ("fits",), [])) == ""
    assert refusal(tmp_path, changed(whole, ("refused",), [])) == ""
    assert "every curve has a fit, or a reason" in refusal(tmp_path, {"fits": [], "refused": []})


def test_many_faults_are_counted(whole, tmp_path):
    values = changed(changed(whole, ("fits", 0, "form"), {}), ("fits", 0, "claim"), {})
    assert refusal(tmp_path, values).endswith(", and 7 more")


# -- what is reported of a fit ---------------------------------------------------------------------------------------


def report_of(folder, curve="neox-bloom", criterion=TOP1, quantity="count") -> dict:
    known = read_json(folder / "tables/fits.json")["fits"]
    key = {"curve": curve, "criterion": criterion, "quantity": quantity}
    (found,) = [fit for fit in known if key.items() <= fit.items()]
    return found


def test_every_fit_is_reported_or_refused_with_a_reason(folder, tables):
    known = read_json(folder / "tables/fits.json")
    names = [(fit["curve"], fit["criterion"], fit["quantity"]) for fit in known["fits"] + known["refused"]]
    assert len(names) == len(set(names)) == 3 * 2 * 3
    judged = tables["uncertainty"]
    assert set(names[: len(known["fits"])]) == set(zip(judged.curve, judged.criterion, judged.quantity, strict=True))
    reasons = {(one["curve"], one["quantity"]): one["reason"] for one in known["refused"]}
    assert reasons["neox-bloom", "calibrated_05"] == (
        "0 points are positive and a fit needs 3; 5 of 5 points left out: calibrated_05 is not positive"
    )


def test_a_report_has_the_numbers_of_the_fit(folder, tables):
    fit, counts = report_of(folder), tables["counts"].query(f"curve == 'neox-bloom' and criterion == '{TOP1}'")
    y = counts["count"].to_numpy()
    alpha, error, sd = line(NEURONS, y)
    design = np.column_stack([np.ones(5), np.log(NEURONS)])
    covariance = sd**2 * np.linalg.inv(design.T @ design)
    assert fit["estimation"]["alpha"] == pytest.approx(alpha)
    assert fit["estimation"]["log_c"] == pytest.approx(np.log(y).mean() - alpha * np.log(NEURONS).mean())
    np.testing.assert_allclose(fit["estimation"]["covariance"], covariance, rtol=1e-6)
    spread = fit["uncertainty"]
    assert spread["alpha"] == pytest.approx([alpha - T3 * error, alpha + T3 * error])
    assert (spread["points"], spread["degrees_of_freedom"], spread["warning"]) == (5, 3, "none")
    assert spread["model_sd"] == pytest.approx(sd)
    assert spread["documents_sd"] == pytest.approx(np.log(1.1 / 0.9) / 2 / 1.959964)
    assert spread["seeds_sd"] == f"{UNKNOWN}no other curve differs from this one in its seeds only"
    assert spread["nulls_sd"] == f"{UNKNOWN}only the excess depends on the draws of nulls"
    residuals = [row["residual"] for row in fit["adequacy"]["residuals"]]
    assert sum(residuals) == pytest.approx(0, abs=1e-12)
    assert np.sqrt(np.square(residuals).sum() / 3) == pytest.approx(sd)
    assert [row["point"] for row in fit["adequacy"]["influence"]] == ["r1", "r2", "r3", "r4", "r5"]
    curvature = np.polyfit(np.log(NEURONS), np.log(y), 2)[0]
    assert fit["adequacy"]["curvature"][0]["curvature"] == pytest.approx(curvature)
    assert fit["adequacy"]["r2"] == pytest.approx(np.corrcoef(np.log(NEURONS), np.log(y))[0, 1] ** 2)
    assert {row["form"] for row in fit["adequacy"]["rivals"]} >= {"constant", "power law", "persistence"}
    assert [row["x"] for row in fit["claim"]["below_proportional"]] == list(ABSCISSAE)
    assert fit["claim"]["range_of_validity"].startswith("192 to 3072 neurons")
    assert fit["claim"]["reproduce"] == "make study STUDY=smoke"
    np.testing.assert_allclose(residuals, np.log(y) - fit["estimation"]["log_c"] - alpha * np.log(NEURONS), atol=1e-12)
    others = {(row["criterion"], row["quantity"], row["x"], row["estimator"]) for row in spread["sensitivity"]}
    assert len(spread["sensitivity"]) == 2 * 3 * len(ABSCISSAE) + len(ESTIMATORS) + 1, "of this curve alone"
    assert {(HALF, "count", "neurons", "ols"), (TOP1, "excess", "parameters", "ols"),
            (TOP1, "count", "neurons", "theil_sen")} <= others  # fmt: skip


def test_a_report_has_the_points_with_their_models_nulls_and_units(folder):
    fit = report_of(folder, "all", HALF)
    points = fit["data"]["points"]
    assert [point["point"] for point in points] == ["r2", "r3", "r4", "r5"]
    assert fit["data"]["exclusions"] == ["r1: count is 0"]
    assert report_of(folder)["data"]["exclusions"] == ["none"]
    assert points[0]["models"] == ["neox-r2", "bloom-r2", "llama-r2"]
    assert points[0]["weights_sha256"] == ["neoxr2sha", "bloomr2sha", "llamar2sha"]
    assert points[0]["seeds"] == ["neox-r2: 1", "bloom-r2: 2", "llama-r2: 3"]
    assert points[0]["denominator"] == points[0]["neurons"] == 384
    assert points[0]["nulls"].keys() == {*NULLS, "iid"}
    assert points[0]["nulls"]["rotate"] == np.round(0.3 * 384**0.6)
    assert points[0]["count_against_units"] == [{"units": 200, "count": points[0]["count"] // 2},
                                                {"units": 400, "count": points[0]["count"]}]  # fmt: skip
    assert fit["data"]["units"] == 400
    assert fit["data"]["decades"] == pytest.approx(np.log10(8))
    assert fit["uncertainty"]["degrees_of_freedom"] == 2
    assert "4 points leave 2 degrees of freedom" in fit["uncertainty"]["warning"]
    assert "matched in every other model of the point by the criterion mutual_top1_r0.5" in fit["form"]["y"]
    assert "matched in the other model of the point" in report_of(folder)["form"]["y"]
    assert "on the same tokens in the same order" in fit["data"]["training_data"]
    assert "all sizes of a family have its seed" in fit["data"]["independence"]
    assert "same number of tokens" in fit["data"]["confounds"]


def test_what_is_simulated_or_resampled_for_counts_is_not_passed_off_as_that_of_the_excess(folder, tables):
    excess, count = report_of(folder, quantity="excess"), report_of(folder)
    assert excess["uncertainty"]["coverage"] == [{"none": f"{UNKNOWN}coverage is simulated for counts only"}]
    assert {row["estimator"] for row in count["uncertainty"]["coverage"]} == {*ESTIMATORS, "measured"}
    assert excess["data"]["points"][4]["count"] == count["data"]["points"][4]["count"] - np.round(0.3 * 3072**0.6)
    row = only(tables["rivals"], curve="neox-bloom", criterion=TOP1, quantity="excess", form="power law")
    (reported,) = [row for row in excess["adequacy"]["rivals"] if row["form"] == "power law"]
    assert reported["largest"] == pytest.approx(row.largest)
    assert len(excess["adequacy"]["rivals"]) == len(count["adequacy"]["rivals"])
    assert isinstance(excess["uncertainty"]["nulls_sd"], float)


def test_equal_counts_are_fitted_and_reported(tmp_path):
    table = pd.concat([counts_of([3, 3, 3]), counts_of([3, 6, 12], criterion=HALF)])
    tables = fitted(tmp_path, a_study(curves={"neox-bloom": ["neox", "bloom"]}), table)
    fit = report_of(tmp_path)
    assert fit["adequacy"]["r2"] == f"{UNKNOWN}all counts are equal"
    assert fit["uncertainty"]["alpha"][0].startswith(f"{UNKNOWN}the points lie exactly on the fit")
    assert fit["uncertainty"]["model_sd"] == pytest.approx(0)
    assert report_of(tmp_path, criterion=HALF)["adequacy"]["r2"] == pytest.approx(1)
    assert tables["pooled"].empty


def test_points_whose_names_are_numbers_keep_them(tmp_path):
    table = counts_of(COUNT)
    fitted(tmp_path, a_study(curves={"neox-bloom": ["neox", "bloom"]}), table.assign(point=["1", "2", "3", "4", "5"]))
    assert [point["point"] for point in report_of(tmp_path)["data"]["points"]] == ["1", "2", "3", "4", "5"]


def test_networks_that_were_not_trained_here_are_reported_as_such(tmp_path):
    families = {}
    for family in ("neox", "bloom"):
        for rung in ("r1", "r2", "r3"):
            for file in ("config.json", "tokenizer.json", "model.safetensors"):
                write_json(tmp_path / family / rung / file, {})
        folders = {rung: str(tmp_path / family / rung) for rung in ("r1", "r2", "r3")}
        families[family] = {"source": "local", "models": folders}
    values = a_study().model_dump(mode="json") | {"families": families, "curves": {"neox-bloom": ["neox", "bloom"]}}
    study = parse(values | {"study": "elsewhere"})
    models = models_of(study).assign(seed=np.nan, training_tokens=np.nan)
    counts = counts_of(COUNT[:3], training_flops=np.nan)
    nulls = {f"null_{null}{end}": np.nan for null in NULLS for end in ("", "_low", "_high")}
    tables = fitted(
        tmp_path, study, counts.assign(**nulls, excess=np.nan), models=models, snapshots=snapshots_of(counts)[:0]
    )
    fit = report_of(tmp_path)
    assert fit["data"]["training_data"].startswith(UNKNOWN)
    assert fit["data"]["independence"].startswith(UNKNOWN)
    assert "are not known" in fit["data"]["confounds"]
    assert fit["data"]["points"][0]["training_tokens"][0] == f"neox-r1: {UNKNOWN}not trained here"
    assert set(fit["data"]["points"][0]["nulls"].values()) - {96.0} == {f"{UNKNOWN}no draw can tell"}
    assert fit["data"]["points"][0]["count_against_units"] == [{"none": f"{UNKNOWN}the study has none"}]
    assert fit["claim"]["reproduce"] == "make study"
    compute = [row for row in fit["claim"]["below_proportional"] if row["x"] == "training_flops"]
    assert compute[0]["alpha"].startswith(UNKNOWN)
    assert "3 points leave 1 degree of freedom" in fit["uncertainty"]["warning"]
    excess = read_json(tmp_path / "tables/fits.json")["refused"][0]
    assert excess["reason"].endswith("3 of 3 points left out: excess is not positive or not known")
    assert len(judge_fits(tables, study.judged)) == 15


# -- claims ----------------------------------------------------------------------------------------------------------

BEST = "A power law describes the count better than other forms"
PREDICTS = "The smaller networks predict the count of the largest"
ROBUST = "The exponent of the count does not depend on the estimator"
SHARE = "The share of Rosetta neurons falls with size, whatever size is measured by"
ONE = "One exponent holds for all curves"
ISOLATION = "The mean isolation of Rosetta neurons grows as the number of neurons to the power 1 - alpha"
RANKS = "Counts over sizes and correlations within a size give the same beta"
SIMULATED = "Networks that obey the theory have counts that grow with exponent 1 / beta"
COLUMNS = {
    "rivals": ["curve", "quantity", "form", "aicc", "left_out", "largest"],
    "estimators": ["curve", "quantity", "estimator", "alpha", "agrees"],
    "fits": ["curve", "quantity", "x", "p_sublinear"],
    "pooled": ["quantity", "without", "curves", "alpha", "low", "high", "between_sd", "p_same"],
    "theory": ["curve", "kind", "quantity", "value", "low", "high"],
    "theory_exponents": ["beta", "quantity", "alpha", "low", "high", "expected"],
    "theory_simulation": ["beta", "rank_slope"],
}


def judged(claim: str, curves=("a",), **rows) -> dict:
    """The claim as it is judged on these rows, a list of tuples by table; the curves have rows in fits at least."""
    rows.setdefault("fits", [(curve, "null_shift", "neurons", np.nan) for curve in curves])
    tables = {name: pd.DataFrame(rows.get(name, []), columns=columns) for name, columns in COLUMNS.items()}
    for name, table in tables.items():
        if name not in ("theory_exponents", "theory_simulation"):
            table["criterion"] = TOP1
    found = judge_fits(tables, [TOP1])
    assert all(list(one.as_json()) == ["claim", "source", "verdict", "statistic", "sentence", "fit"] for one in found)
    assert len(found) == 8
    (one,) = [one for one in found if one.words in (claim, f"{claim} ({TOP1})")]
    return one


def forms(curve="a", quantity="count", **scores) -> list[tuple]:
    """Rows of rivals: aicc, left_out and error at the largest point by form."""
    return [(curve, quantity, name.replace("_", " "), *values) for name, values in scores.items()]


AHEAD = {"power_law": (0, 0.1, 0.1), "constant": (9, 0.5, 0.9), "proportional": (3, 0.2, 0.3)}
BETWEEN = {"power_law": (0, 0.1, 0.1), "proportional": (-9, 0.2, 0.3)}
BEHIND = {"power_law": (0, 0.1, 0.1), "proportional": (-3, 0.05, 0.3)}
UNDEFINED = {"power_law": (np.nan, 0.1, 0.1), "proportional": (-3, 0.05, 0.3)}


@pytest.mark.parametrize(
    ("curves", "verdict"),
    [
        ([AHEAD], SUPPORTED),
        ([AHEAD, AHEAD], SUPPORTED),
        ([AHEAD, BETWEEN], INCONCLUSIVE),
        ([AHEAD, BEHIND], NOT_SUPPORTED),
        ([AHEAD | {"proportional": (2, 0.2, 0.3)}], INCONCLUSIVE),  # 2 says nothing
        ([AHEAD | {"proportional": (3, 0.09, 0.3)}], INCONCLUSIVE),
        ([BEHIND | {"proportional": (-2, 0.05, 0.3)}], INCONCLUSIVE),
        ([BETWEEN | {"constant": (9, 0.05, 0.3)}], INCONCLUSIVE),  # one is ahead by this, another by that
        ([AHEAD | {"quadratic": (np.nan, 0.01, 0.0)}], SUPPORTED),
        ([AHEAD | {"logarithmic": (-9, np.nan, 0.0)}], SUPPORTED),
        ([{"power_law": (0, 3e-16, 0.0), "proportional": (-9, 1e-16, 0.0)}], INCONCLUSIVE),  # both are exact
        ([UNDEFINED], INCONCLUSIVE),
        ([], INCONCLUSIVE),
    ],
)
def test_the_best_form_is_so_by_both_measures(curves, verdict):
    rows = [row for i, scores in enumerate(curves) for row in forms("ab"[i], **scores)]
    assert judged(BEST, "ab"[: len(curves)], rivals=rows).verdict == verdict


def test_the_best_form_is_judged_where_it_is_defined_and_says_where():
    rows = [*forms("a", **AHEAD), *forms("b", **UNDEFINED), *forms("a", "null_rotate", **BEHIND)]
    found = judged(BEST, "ab", rivals=rows)
    assert found.verdict == SUPPORTED
    assert "are defined for a power law and a rival on 1 of 2 curves" in found.sentence
    assert found.statistic.endswith("a: proportional +3.0, proportional 2.0 times")
    assert judged(BEST, rivals=forms(**UNDEFINED)).statistic.endswith("nowhere defined")


WINS = {"power_law": (0, 0, -0.1), "persistence": (0, 0, -0.5), "proportional": (0, 0, 0.2)}
LOSES = WINS | {"proportional": (0, 0, 0.05)}
STAYS = WINS | {"persistence": (0, 0, 0.09)}
TIES = WINS | {"persistence": (0, 0, -0.1)}
CANNOT = WINS | {"power_law": (0, 0, np.nan)}


@pytest.mark.parametrize(
    ("curves", "verdict"),
    [
        ([WINS, WINS], SUPPORTED),
        ([WINS, LOSES], NOT_SUPPORTED),
        ([STAYS], NOT_SUPPORTED),
        ([TIES], INCONCLUSIVE),
        ([WINS, CANNOT], INCONCLUSIVE),
        ([WINS | {"quadratic": (0, 0, 0.0)}], SUPPORTED),  # not one of the baselines
        ([], INCONCLUSIVE),
    ],
)
def test_a_prediction_is_better_than_both_baselines(curves, verdict):
    rows = [row for i, scores in enumerate(curves) for row in forms("ab"[i], **scores)]
    assert judged(PREDICTS, "ab"[: len(curves)], rivals=rows).verdict == verdict
    if verdict == SUPPORTED:
        one_more = judged(PREDICTS, "abc"[: len(curves) + 1], rivals=rows)
        assert one_more.verdict == INCONCLUSIVE, "a curve without a fit is no support"


def test_predictions_of_nulls_are_told_by_the_name_of_the_null():
    rows = [*forms(**WINS), *forms(quantity="null_rotate", **WINS), *forms("b", "null_rotate", **LOSES),
            *forms("b", "null_untrained", **LOSES)]  # fmt: skip
    found = judged(PREDICTS, "ab", rivals=rows)
    assert "better than both baselines on 1 of 2 curves" in found.sentence
    assert (
        "It predicts the matches of rotated neurons so on 1 of 2 and of untrained networks so on 0 of 1."
        in found.sentence
    )
    assert "a: 0.10, 0.50, 0.20" in found.statistic


@pytest.mark.parametrize(
    ("curves", "verdict"),
    [
        ([[(0.5, True), (0.59, True)]], SUPPORTED),
        ([[(0.5, True), (0.59, False)]], SUPPORTED),  # outside a very narrow interval
        ([[(0.5, True), (0.61, True)]], INCONCLUSIVE),
        ([[(0.5, True), (0.61, False)]], NOT_SUPPORTED),
        ([[(0.5, True), (0.5, True)], [(0.5, True), (0.7, False)]], NOT_SUPPORTED),
        ([[(0.5, True), (np.nan, np.nan)]], INCONCLUSIVE),
        ([[(0.5, np.nan), (0.9, np.nan)]], INCONCLUSIVE),
        ([[(0.5, True), (0.7, False), (np.nan, np.nan)]], NOT_SUPPORTED),
        ([[(0.5, True), (0.55, False), (np.nan, np.nan)]], INCONCLUSIVE),
        ([], INCONCLUSIVE),
    ],
)
def test_estimators_agree_differ_or_leave_it_open(curves, verdict):
    rows = [("ab"[i], "count", f"e{j}", *one) for i, curve in enumerate(curves) for j, one in enumerate(curve)]
    rows += [("a", "excess", "ols", 9.0, False)]
    assert judged(ROBUST, "ab"[: len(curves)], estimators=rows).verdict == verdict
    if verdict == SUPPORTED:
        assert judged(ROBUST, "abc", estimators=rows).verdict == INCONCLUSIVE


def test_estimators_are_judged_alike_after_they_were_written(tmp_path):
    rows = [
        ("a", "count", "ols", 0.5, True),
        ("a", "count", "theil_sen", 0.7, False),
        ("a", "count", "x", np.nan, np.nan),
    ]
    write_table(tmp_path / "t.csv", pd.DataFrame(rows, columns=COLUMNS["estimators"]))
    read = read_table(tmp_path / "t.csv")
    found = judged(ROBUST, estimators=list(read.itertuples(index=False, name=None)))
    assert found.verdict == NOT_SUPPORTED
    assert "on 1 they do not, and one lies outside" in found.sentence
    assert found.statistic == "alpha over estimators: a: 0.50 to 0.70"


@pytest.mark.parametrize(
    ("curves", "verdict"),
    [
        ([[0.01, 0.049]], SUPPORTED),
        ([[0.01, 0.05]], INCONCLUSIVE),
        ([[0.01, 0.96]], NOT_SUPPORTED),
        ([[0.01, np.nan]], SUPPORTED),  # training compute is not always known
        ([[0.01], [0.95]], INCONCLUSIVE),
        ([[0.01], [0.951]], NOT_SUPPORTED),
        ([[0.01], [np.nan, np.nan]], INCONCLUSIVE),
        ([[np.nan]], INCONCLUSIVE),
    ],
)
def test_the_share_falls_by_every_notion_of_size_or_it_does_not(curves, verdict):
    rows = [("ab"[i], "count", x, p) for i, curve in enumerate(curves) for x, p in zip(ABSCISSAE, curve, strict=False)]
    rows += [("a", "null_rotate", "neurons", 0.01), ("b", "null_rotate", "neurons", 0.2)]
    rows += [("a", "null_shift", "neurons", 0.99)] if len(curves) == 1 else []
    found = judged(SHARE, fits=[row for row in rows if row[0] in "ab"[: len(curves)]])
    assert found.verdict == verdict
    assert f"rotated neurons on 1 of {len(curves)} and of untrained networks on 0 of 0." in found.sentence


POOLED = ("count", "none", 2, 0.6, 0.55, 0.65, 0.05, 0.5)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, SUPPORTED),
        ({"p_same": 0.05}, SUPPORTED),
        ({"p_same": 0.049}, NOT_SUPPORTED),
        ({"between_sd": 0.1}, INCONCLUSIVE),
        ({"low": 0.49, "high": 0.7}, INCONCLUSIVE),  # not known well enough
        ({"curves": 1}, INCONCLUSIVE),
        ({"without": "neox"}, INCONCLUSIVE),
        ({"quantity": "excess"}, INCONCLUSIVE),
    ],
)
def test_one_exponent_is_one_when_curves_agree_and_it_is_known(changes, verdict):
    row = dict(zip(COLUMNS["pooled"], POOLED, strict=True)) | changes
    assert judged(ONE, "ab", pooled=[tuple(row.values())]).verdict == verdict


def test_one_exponent_is_told_beside_those_of_the_nulls():
    null = ("null_untrained", "none", 2, 0.44, 0.3, 0.7, 0.05, 0.5)
    found = judged(ONE, "abc", pooled=[POOLED, null, ("count", "neox", 2, 0.9, 0.8, 1.0, 0.0, 0.9)])
    assert found.verdict == INCONCLUSIVE
    assert "2 of 3 have a fit. Mean exponents of the nulls: untrained networks 0.44." in found.sentence
    assert found.statistic.startswith("mean alpha 0.60 [0.55, 0.65], standard deviation between curves 0.05")
    assert judged(ONE, "abc").sentence == "Of 3 curves, fewer than two have a fit."


def gap(curve: str, low: float, high: float, kind: str = "real") -> tuple:
    return (curve, kind, "gap", (low + high) / 2, low, high)


@pytest.mark.parametrize(
    ("gaps", "verdict"),
    [
        ([gap("a", -0.09, 0.09)], SUPPORTED),
        ([gap("a", 0.01, 0.09)], SUPPORTED),  # surely small, even if it is not zero
        ([gap("a", -0.09, 0.1)], INCONCLUSIVE),
        ([gap("a", 0.01, 0.11)], NOT_SUPPORTED),
        ([gap("a", -0.4, -0.01)], NOT_SUPPORTED),
        ([gap("a", -0.4, 0.01)], INCONCLUSIVE),
        ([gap("a", np.nan, np.nan)], INCONCLUSIVE),
        ([gap("a", -0.09, 0.09), gap("a", -0.05, 0.05, "rotate")], INCONCLUSIVE),
        ([gap("a", -0.09, 0.09), gap("a", -0.05, 0.2, "rotate")], SUPPORTED),
        ([gap("a", -0.09, 0.09), gap("b", -0.05, 0.05), gap("b", -0.05, 0.05, "shift")], INCONCLUSIVE),
        ([gap("a", 0.2, 0.3), gap("a", -0.05, 0.05, "rotate")], NOT_SUPPORTED),
        ([gap("a", -0.05, 0.05, "rotate")], INCONCLUSIVE),
        ([], INCONCLUSIVE),
    ],
)
def test_isolation_agrees_with_the_theory_where_that_of_no_null_does(gaps, verdict):
    curves = list(dict.fromkeys(one[0] for one in gaps)) or ["a"]
    theory = gaps + [row for one in gaps for row in both_betas(one[0], kind=one[1])]
    assert judged(ISOLATION, curves, theory=theory).verdict == verdict
    if verdict == SUPPORTED:
        assert judged(ISOLATION, "abc", theory=theory).verdict == INCONCLUSIVE


def both_betas(curve="a", sizes=(1.5, 1.4, 1.6), ranks=(1.5, 1.4, 1.6), kind="real") -> list[tuple]:
    return [(curve, kind, "beta_sizes", *sizes), (curve, kind, "beta_ranks", *ranks)]


def test_isolation_says_what_its_verdict_hides():
    found = judged(ISOLATION, "ab", theory=[gap("a", -0.02, 0.04), gap("a", -0.05, 0.05, "rotate"), gap("b", 0.2, 0.4),
                                            *both_betas(), *both_betas("b"), *both_betas(kind="rotate")])  # fmt: skip
    assert found.statistic == "exponent of isolation less (1 - alpha): a: 0.01 [-0.02, 0.04]; b: 0.30 [0.20, 0.40]"
    assert "within 0.1 of 0 on 1 of 2 curves; on 1 it does not, and excludes 0" in found.sentence
    assert "as closely on 1 curves" in found.sentence


NULL = {"kind": "rotate"}


@pytest.mark.parametrize(
    ("betas", "verdict"),
    [
        ([{}], SUPPORTED),
        ([{"ranks": (1.4, 1.2, 1.6)}], INCONCLUSIVE),
        ([{"sizes": (1.5, 1.0001, 4.0)}], INCONCLUSIVE),
        ([{"ranks": (2.5, 2.4, 2.6)}], NOT_SUPPORTED),
        ([{"ranks": (1.7, 1.69, 1.71), "sizes": (1.5, 1.49, 1.51)}], SUPPORTED),  # surely not 1, surely near
        ([{"ranks": (0.5, 0.3, 0.99)}], NOT_SUPPORTED),
        ([{"ranks": (0.5, 0.3, 0.99), "sizes": (np.nan, np.nan, np.nan)}], NOT_SUPPORTED),
        ([{"ranks": (0.5, -0.3, 1.3)}], INCONCLUSIVE),
        ([{"ranks": (1.5, np.nan, np.nan)}], INCONCLUSIVE),
        ([{"sizes": (1.5, np.nan, 1.6)}], INCONCLUSIVE),
        ([{}, {"curve": "b", "ranks": (2.5, 2.4, 2.6)}], NOT_SUPPORTED),
        ([{}, NULL], INCONCLUSIVE),
        ([{}, NULL | {"ranks": (0.5, 0.3, 0.7)}], SUPPORTED),
        ([{}, NULL | {"curve": "b"}], SUPPORTED),
        ([NULL], INCONCLUSIVE),
        ([], INCONCLUSIVE),
    ],
)
def test_beta_of_sizes_and_beta_of_ranks_are_one(betas, verdict):
    rows = [row for one in betas for row in both_betas(**one)]
    curves = list(dict.fromkeys(row[0] for row in rows if row[1] == "real")) or ["a"]
    assert judged(RANKS, curves, theory=rows).verdict == verdict
    if verdict == SUPPORTED:
        assert judged(RANKS, "abc", theory=rows).verdict == INCONCLUSIVE


def test_betas_are_told_and_their_agreement_too():
    rows = both_betas(sizes=(1.5, np.nan, 1.6)) + both_betas("b") + both_betas("b", kind="shift")
    found = judged(RANKS, "ab", theory=rows)
    assert found.statistic.endswith(
        "a: 1.50 [none, 1.60] and 1.50 [1.40, 1.60]; b: 1.50 [1.40, 1.60] and 1.50 [1.40, 1.60]"
    )
    assert "of 1 on 1 of 2 curves" in found.sentence
    assert "agree as closely on 1 curves" in found.sentence


@pytest.mark.parametrize(
    ("alphas", "verdict"),
    [
        ([(0.52, 0.48, 0.56), (0.45, 0.44, 0.46)], SUPPORTED),
        ([(0.52, 0.48, 0.56), (0.44, 0.43, 0.45)], NOT_SUPPORTED),
        ([(0.56, 0.53, 0.59)], NOT_SUPPORTED),
        ([(0.44, 0.37, 0.51)], INCONCLUSIVE),
        ([(0.5, 0.3, 0.7)], INCONCLUSIVE),  # by luck
        ([(0.5, np.nan, np.nan)], INCONCLUSIVE),
        ([], INCONCLUSIVE),
    ],
)
def test_the_simulation_gives_what_it_was_made_with(alphas, verdict):
    rows = [(2.0, "matches_half", *alpha, 0.5) for alpha in alphas]
    rows += [(2.0, "matches", 0.9, 0.8, 1.0, 0.5), (2.0, "predicted", 0.9, 0.8, 1.0, 0.5)]
    found = judged(SIMULATED, theory_exponents=rows, theory_simulation=[(2.0, 2.03), (1.5, 1.45)])
    assert found.verdict == verdict
    assert "off by 0.04 on average" in found.sentence
    assert found.statistic.count("beta 2:") == len(alphas)
    few = judged(SIMULATED, theory_exponents=rows, theory_simulation=[(2.0, np.nan)])
    assert few.sentence.endswith("within one pair of networks could not be read.")


def test_claims_are_judged_on_tables_as_they_are_written(tables):
    found = {one.words: one for one in judge_fits(tables, [TOP1, HALF])}
    assert len(found) == 2 * 7 + 1
    assert all(one.topic == FIT and one.as_json()["fit"] for one in found.values())
    assert found[f"{ONE} ({TOP1})"].verdict == SUPPORTED
    assert found[f"{PREDICTS} ({TOP1})"].verdict == SUPPORTED
    assert found[f"{SHARE} ({TOP1})"].verdict == SUPPORTED
    assert found[f"{ISOLATION} ({TOP1})"].verdict == SUPPORTED
    assert "nan" not in " ".join(one.statistic + one.sentence for one in found.values())


# -- the theory against data -----------------------------------------------------------------------------------------


@pytest.fixture
def point() -> Point:
    """Three networks; nothing is matched yet."""
    return empty_point(load(WORKFLOW / "studies/smoke.yaml"))


def empty_point(study) -> Point:
    none, others = matches_of([]).assign(draw=0), ("bloom-r3", "llama-r3")
    nulls = {null: dict.fromkeys(others, none) for null in NULLS}
    return made_point(study, {model: [64, 64] for model in ("neox-r3", *others)}, nulls=nulls)


def with_real(point: Point, real: dict[str, pd.DataFrame]) -> Point:
    return replace(point, real=PartnerTables(real, {}))


def matches_of(r, first: int = 0) -> pd.DataFrame:
    """Mutual best partners with these correlations, of neurons from `first` on."""
    neurons = np.arange(first, first + len(r))
    return pd.DataFrame({"neuron_a": neurons, "neuron_b": neurons, "r": np.array(r, float), "rank_a": 1, "rank_b": 1})


def test_isolation_is_that_of_the_mean_correlation_with_all_partners(point):
    chance = matches_of([0.99], 50).assign(rank_b=2)  # not mutual
    bloom, llama = matches_of([0.8, 0.5, 0.7]), matches_of([0.6, 0.9, 1.0, 0.2], 1)
    point = with_real(point, {"bloom-r3": pd.concat([bloom, chance]), "llama-r3": pd.concat([llama, chance])})
    found = point_isolation(point)
    assert found.criterion.unique().tolist() == [TOP1, HALF]
    assert found.kind.unique().tolist() == ["real", *NULLS]
    row = only(found, criterion=TOP1, kind="real")
    r = np.array([(0.5 + 0.6) / 2, (0.7 + 0.9) / 2])  # neurons 1 and 2; 0, 3 and 4 lack a partner
    assert row.matches == 2
    assert row.isolation == row.isolation_low == row.isolation_high == pytest.approx((r / (1 - r)).mean())
    assert np.isnan(row.rank_slope)
    nothing = only(found, criterion=TOP1, kind="shift")
    assert nothing.matches == 0
    assert nothing[["isolation", "isolation_low", "isolation_high", "rank_slope"]].isna().all()


def test_equal_neurons_have_an_isolation_that_is_finite(point):
    point = with_real(point, {model: matches_of([1.0, 0.5]) for model in point.others})
    assert only(point_isolation(point), criterion=TOP1, kind="real").isolation == pytest.approx((999 + 1) / 2)


def test_nulls_are_counted_and_averaged_draw_by_draw(point):
    draws = [
        matches_of([0.5, 0.6]).assign(draw=0),
        matches_of([0.8], 9).assign(draw=1),
        matches_of([0.4], 3).assign(draw=1),
    ]
    point.nulls["rotate"] = PartnerTables({model: pd.concat(draws) for model in point.others}, {})
    assert point.study.nulls.rotate_draws == 2
    point = with_real(point, {model: matches_of([0.5]) for model in point.others})
    found = point_isolation(point)
    row = only(found, criterion=TOP1, kind="rotate")
    means = [(1 + 1.5) / 2, (4 + 2 / 3) / 2]
    assert row.matches == 2
    assert (row.isolation, row.isolation_low, row.isolation_high) == pytest.approx((np.mean(means), *sorted(means)))
    half = only(found, criterion=HALF, kind="rotate")
    assert half.matches == 1.5
    assert (half.isolation_low, half.isolation_high) == pytest.approx((1.25, 4))


def test_a_sample_of_the_nulls_stands_for_all_neurons():
    values = load(WORKFLOW / "studies/smoke.yaml").model_dump(mode="json")
    values["nulls"]["rows"] = 16
    values["matching"]["criteria"] = [{}, {"min_r": 0.5}]
    point = empty_point(parse(values))
    assert point.neurons["neox-r3"] == 2 * 4 * 16
    point = with_real(point, {model: matches_of([0.5]) for model in point.others})
    point.nulls["shift"] = PartnerTables({model: matches_of([0.5, 0.6]).assign(draw=0) for model in point.others}, {})
    row = only(point_isolation(point), criterion=TOP1, kind="shift")
    assert row.matches == 2 * 128 / 16
    assert row.isolation == pytest.approx(1.25)


def test_draws_that_cannot_tell_are_no_zeros():
    """Half of the rotations change the anchor, whose neurons then have no excess."""
    values = load(WORKFLOW / "studies/smoke.yaml").model_dump(mode="json")
    values["matching"]["criteria"] = [{"min_excess": 0.2}]
    point = empty_point(parse(values))
    point = with_real(point, {model: matches_of([0.5]).assign(excess_a=0.3) for model in point.others})
    excess = [0.3, 0.3, np.nan, np.nan]
    rotated = matches_of([0.5, 0.6, 0.5, 0.6]).assign(draw=[0, 0, 1, 1], excess_a=excess)
    for null in NULLS:
        point.nulls[null] = PartnerTables(dict.fromkeys(point.others, rotated), {})
    assert only(point_isolation(point), criterion="mutual_top1_excess0.2", kind="rotate").matches == 2


def test_ranks_give_beta_back(point):
    beta, r0 = 1.7, 30.0
    s = (r0 / np.arange(1, 12)) ** beta - 1
    point = with_real(point, {model: matches_of((s / (1 + s))[::-1]) for model in point.others})
    row = only(point_isolation(point), criterion=HALF, kind="real")
    assert row.rank_slope == pytest.approx(beta)


SMALL = SCATTER**0.4


def planted(alpha: float, gap: float = 0.0, beta: float | None = None, curve: str = "a", kind: str = "real"):
    """Isolations of networks whose matches grow with alpha, and that miss the theory by `gap`."""
    noise = np.array([1.02, 0.99, 1.01, 0.97, 1.01])
    table = pd.DataFrame({"curve": curve, "criterion": TOP1, "kind": kind, "neurons": NEURONS})
    table["matches"] = 0.5 * NEURONS**alpha * SMALL
    table["isolation"] = 0.1 * NEURONS ** (1 - alpha + gap) / SMALL * noise
    return table.assign(rank_slope=(beta or 1 / alpha) * np.array([1.01, 0.98, 1.02, 0.99, 1.0]))


def test_networks_that_obey_the_theory_have_no_gap_and_the_same_beta():
    found = theory_table(planted(0.6), 0.95).set_index("quantity")
    alpha, error, _ = line(NEURONS, NEURONS**0.6 * SMALL)
    noise = planted(0.6).isolation * planted(0.6).matches / NEURONS
    assert found.value.alpha == pytest.approx(alpha)
    assert found.value.isolation_slope == pytest.approx(line(NEURONS, planted(0.6).isolation)[0])
    assert found.predicted.isolation_slope == pytest.approx(1 - alpha)
    slope, small, _ = line(NEURONS, noise)
    assert found.value.gap == pytest.approx(slope, abs=1e-12)
    assert (found.low.gap, found.high.gap) == pytest.approx((slope - T3 * small, slope + T3 * small))
    assert abs(found.value.gap) < 0.02
    assert found.predicted.gap == 0
    assert found.value.beta_sizes == pytest.approx(1 / alpha)
    assert found.low.beta_sizes == pytest.approx(1 / (alpha + T3 * error))
    assert found.high.beta_sizes == pytest.approx(1 / (alpha - T3 * error))
    assert found.value.beta_ranks == pytest.approx(1 / 0.6)
    spread = np.std([1.01, 0.98, 1.02, 0.99, 1.0], ddof=1) / 0.6 / np.sqrt(5)
    t4 = 2.7764451051977987  # 97.5% quantile with 4 degrees of freedom
    assert found.high.beta_ranks - found.value.beta_ranks == pytest.approx(t4 * spread)
    assert found.predicted.beta_ranks == pytest.approx(1 / alpha)
    assert (found.points == 5).all()


def test_planted_theory_is_supported_and_a_planted_violation_is_refuted():
    curves = [{"alpha": 0.6, "curve": "a"}, {"alpha": 0.8, "curve": "b"}]
    obeys = pd.concat([planted(**one) for one in curves])
    nulls = pd.concat([planted(**one | {"gap": 0.9, "kind": "rotate"}) for one in curves])

    def verdicts(table: pd.DataFrame) -> list[str]:
        rows = list(theory_table(table, 0.95)[COLUMNS["theory"]].itertuples(index=False, name=None))
        return [judged(claim, "ab", theory=rows).verdict for claim in (ISOLATION, RANKS)]

    assert verdicts(obeys) == [SUPPORTED, SUPPORTED]
    assert verdicts(pd.concat([obeys, nulls.assign(rank_slope=np.nan)])) == [SUPPORTED, SUPPORTED]
    assert verdicts(pd.concat([obeys, obeys.assign(kind="rotate")])) == [INCONCLUSIVE, INCONCLUSIVE]
    flat = pd.concat([planted(0.6), planted(0.8, gap=-0.2, curve="b")])
    assert verdicts(flat) == [NOT_SUPPORTED, SUPPORTED]
    steep = pd.concat([planted(0.6), planted(0.8, beta=2.5, curve="b")])
    assert verdicts(steep) == [SUPPORTED, NOT_SUPPORTED]


def test_points_without_matches_are_left_out_and_few_points_have_no_theory():
    table = planted(0.6)
    table.loc[[0, 1], ["matches", "isolation", "rank_slope"]] = 0, np.nan, np.nan
    found = theory_table(table, 0.95)
    assert (found.points == 3).all()
    table.loc[2, "rank_slope"] = np.nan
    assert only(theory_table(table, 0.95), quantity="beta_ranks").points == 2
    table.loc[3, "rank_slope"] = np.nan
    one = only(theory_table(table, 0.95), quantity="beta_ranks")
    assert one.points == 1
    assert np.isnan(one.low)
    table.loc[2, "isolation"] = 0.0
    empty = theory_table(table, 0.95)
    assert empty.empty
    assert set(empty) == set(found)
    grows = only(theory_table(planted(1.1), 0.95), quantity="beta_sizes")
    assert np.isnan(grows.value), "alpha above 1 has no beta"


# -- figures ---------------------------------------------------------------------------------------------------------


def drawings(tables: dict[str, pd.DataFrame]) -> dict:
    """Every figure of fits as make_figures draws it: its function and its rows."""
    counts = tables["counts"]
    primary = counts.criterion.iloc[0]
    return {
        "estimators": (fit_figures.draw_estimators, counted(tables["estimators"], primary)),
        "rivals": (fit_figures.draw_rivals, rivals_data(counts, tables["rivals"])),
        "coverage": (fit_figures.draw_coverage, counted(tables["coverage"], primary)),
        "multiverse": (
            fit_figures.draw_multiverse,
            multiverse_data(tables["fits"], tables["estimators"], tables["pooled"]),
        ),
        "simulation": (theory_figures.draw_simulation, tables["theory_simulation"]),
        "isolation": (
            theory_figures.draw_isolation,
            theory_figures.isolation_data(tables["isolation"], counts, tables["theory"]),
        ),
        "forecast": (fit_figures.draw_forecast, counted(tables["forecast"], primary)),
    }


def words_of(figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


def dots(axes) -> list[tuple]:
    """x, y of all scattered markers and of all lines that have markers."""
    found = [
        tuple(xy) for marks in axes.collections if hasattr(marks, "get_sizes") for xy in marks.get_offsets().tolist()
    ]
    marked = [one for one in axes.lines if one.get_marker() not in ("None", None, "")]
    return found + [xy for one in marked for xy in zip(*one.get_data(), strict=True)]


def test_every_exponent_is_among_all_choices(tables):
    without = tables["pooled"].assign(without="neox")
    data = multiverse_data(tables["fits"], tables["estimators"], pd.concat([tables["pooled"], without]))
    fits = tables["fits"].dropna(subset="alpha")
    own = fits[
        fits.quantity.isin(["count", "excess", "calibrated_05", "calibrated_01"])
        | fits.quantity.str.startswith("null_")
    ]
    others = tables["estimators"].dropna(subset="alpha").query("estimator != 'ols'")
    together = tables["pooled"].query("without == 'none'")
    assert len(data) == len(own) + len(others) + len(together)
    kinds = {"count": "counts", "excess": "excess"}
    assert all(row.kind == kinds.get(row.quantity, "nulls") for row in data.itertuples())
    assert set(data.kind) == {"counts", "excess", "nulls"}
    assert data.groupby("kind").alpha.is_monotonic_increasing.all()
    figure = fit_figures.draw_multiverse(data)
    drawn = sorted(y for axes in figure.axes for _, y in dots(axes))
    np.testing.assert_allclose(drawn, np.sort(data.alpha))
    assert [len(dots(axes)) for axes in figure.axes] == [(data.x == "neurons").sum(), (data.x != "neurons").sum()]
    assert figure.axes[0].get_ylim()[0] <= -0.1
    assert figure.axes[0].get_ylim()[1] >= 1.2


def test_estimators_that_disagree_are_seen(tables):
    rows = counted(tables["estimators"], TOP1)
    assert set(rows.criterion) == {TOP1}
    assert set(rows.quantity) == {"count"}
    rows["agrees"] = rows.agrees.astype(object)
    rows.loc[1, "agrees"] = False
    rows.loc[2, ["agrees", "low", "high"]] = np.nan
    figure = fit_figures.draw_estimators(rows)
    assert [axes.get_title().split("\n")[0] for axes in figure.axes] == list(CURVES)
    shades = [
        matplotlib.colors.to_hex(marks.get_facecolor()[0])
        for marks in figure.axes[0].collections
        if hasattr(marks, "get_sizes")
    ]
    assert shades == [COLOURS[0], COLOURS[3], *[COLOURS[0]] * 3]
    assert [x for x, _ in dots(figure.axes[1])] == pytest.approx(rows[rows.curve == "llama-neox"].alpha.tolist())


def test_rivals_stand_where_they_put_the_largest_count():
    table = pd.concat([counts_of(COUNT), counts_of([*COUNT[:4], 0], "all"), counts_of(COUNT * 2, criterion=HALF)])
    data = rivals_data(table, rivals_table(table, [TOP1, HALF], 0.95))
    assert len(data[data.form == "measured"]) == 10
    row = only(data, curve="neox-bloom", form="persistence")
    assert (row.neurons, row.predicted) == (3072, pytest.approx(COUNT[3]))
    share = only(data, curve="neox-bloom", form="proportional")
    assert share.predicted == pytest.approx(3072 * np.exp(np.log(COUNT[:4] / NEURONS[:4]).mean()))
    zero = only(data, curve="all", form="persistence")
    assert (zero.neurons, zero.predicted) == (1536, pytest.approx(COUNT[2])), "no form is fitted to a zero"
    figure = fit_figures.draw_rivals(data)
    drawn = dots(figure.axes[0])
    for form in ("persistence", "proportional", "power law", "logarithmic", "saturating"):
        assert any(np.allclose(xy, (3072, only(data, curve="neox-bloom", form=form).predicted)) for xy in drawn), form
    assert {tuple(xy) for xy in zip(NEURONS, COUNT, strict=True)} <= set(drawn)


def test_a_criterion_without_fits_is_not_replaced_by_another():
    table = pd.concat([counts_of([0, 0, 0, 0, 2]), counts_of(COUNT, criterion=HALF)])
    estimators, rivals = estimators_table(table, 0.95), rivals_table(table, [TOP1, HALF], 0.95)
    assert set(estimators[estimators.quantity == "count"].criterion) == {HALF}
    figure = fit_figures.draw_estimators(counted(estimators, TOP1))
    assert words_of(figure) == "No power law could be fitted."
    data = rivals_data(table, rivals)
    assert set(data.form) == {"measured"}
    assert dots(fit_figures.draw_rivals(data).axes[0]) == [*zip(NEURONS, [0, 0, 0, 0, 2], strict=True)]


def test_isolation_is_drawn_with_both_its_slopes(tables):
    data = theory_figures.isolation_data(tables["isolation"], tables["counts"], tables["theory"])
    figure = theory_figures.draw_isolation(data)
    for axes, (curve, rows) in zip(figure.axes, data[data.criterion == TOP1].groupby("curve", sort=False), strict=True):
        real, rotated = rows[rows.kind == "real"], rows[rows.kind == "rotate"]
        assert {
            *zip(real.neurons, real.isolation, strict=True),
            *zip(rotated.neurons, rotated.isolation, strict=True),
        } == set(dots(axes))
        lines = [one for one in axes.lines if len(one.get_xdata()) == 50]
        slopes = [np.polyfit(np.log(one.get_xdata()), np.log(one.get_ydata()), 1)[0] for one in lines]
        row = only(tables["theory"], curve=curve, criterion=TOP1, kind="real", quantity="isolation_slope")
        assert slopes == pytest.approx([row.value, row.predicted])
        assert row.value == pytest.approx(line(real.neurons, real.isolation)[0])


def test_nothing_matched_is_said_and_a_curve_without_matches_leaves_its_panel(tables):
    data = theory_figures.isolation_data(tables["isolation"], tables["counts"], tables["theory"])
    nothing = data.assign(isolation=np.nan)
    assert words_of(theory_figures.draw_isolation(nothing)) == "No neuron was matched."
    one = data.assign(isolation=data.isolation.where(data.curve != "all"))
    figure = theory_figures.draw_isolation(one)
    figure.canvas.draw()
    assert [len(dots(axes)) for axes in figure.axes] == [10, 10, 0]
    half = data.assign(isolation=data.isolation.where((data.curve != "all") | (data.kind != "real")))
    assert [len(dots(axes)) for axes in theory_figures.draw_isolation(half).axes] == [10, 10, 5]


def test_extrapolations_are_drawn_open_with_interval_and_rivals(tables):
    figure = fit_figures.draw_forecast(counted(tables["forecast"], TOP1))
    assert figure.legends[0].get_title().get_text() == "extrapolation"
    rows = tables["forecast"].query(f"curve == 'neox-bloom' and criterion == '{TOP1}' and quantity == 'count'")
    axes = figure.axes[0]
    drawn = [y for _, y in dots(axes)]
    assert set(rows.forecast) | set(rows.neurons) == set(drawn)
    bars = [
        segment[:, 1].tolist()
        for lines in axes.collections
        if hasattr(lines, "get_segments")
        for segment in lines.get_segments()
    ]
    for row in rows.itertuples():
        assert [row.low, row.high] in bars
        assert [row.rivals_low, row.rivals_high] in bars
    low, high = axes.get_ylim()
    assert low < min(map(min, bars))
    assert max(map(max, bars)) < high
    (marks,) = [marks for marks in axes.collections if hasattr(marks, "get_sizes")]
    assert matplotlib.colors.to_hex(marks.get_facecolor()[0]) == "#ffffff"


def one_curve(points: int = 5, **columns) -> pd.DataFrame:
    return pd.concat([counts_of(COUNT[:points], **columns), counts_of(COUNT[:points] // 2, criterion=HALF, **columns)])


NOTHING = counts_of([0, 0, 0], null_rotate=0.0, null_untrained=0.0)
UNKNOWN_NULLS = {f"null_{null}{end}": np.nan for null in NULLS for end in ("", "_low", "_high")}
STUDIES = {
    "one curve": one_curve(),
    "three points": one_curve(3),
    "nothing matched": pd.concat([NOTHING, NOTHING.assign(criterion=HALF)]),
    "nothing by the first criterion": pd.concat([NOTHING, counts_of(COUNT[:3], criterion=HALF)]),
    "nothing by the second criterion": pd.concat([counts_of(COUNT[:3]), NOTHING.assign(criterion=HALF)]),
    "two points that matched": pd.concat([counts_of([0, 5, 7]), NOTHING.assign(criterion=HALF)]),
    "exactly on a line": pd.concat([counts_of([4, 8, 16]), counts_of([3, 3, 3], criterion=HALF)]),
    "no null and no compute": one_curve(4, training_flops=np.nan).assign(**UNKNOWN_NULLS, excess=np.nan),
    "one width": one_curve(4, hidden_size=64.0),
}


@pytest.mark.parametrize("name", list(STUDIES))
def test_every_study_gets_its_fits_figures_tables_and_claims(tmp_path, name):
    study = a_study(curves={"neox-bloom": ["neox", "bloom"]})
    tables = fitted(tmp_path, study, STUDIES[name])
    fits = read_checked(tmp_path / "tables/fits.json")
    assert len(fits.fits) + len(fits.refused) == 2 * 3
    assert len(fits.fits) == len(tables["uncertainty"])
    for draw, data in drawings(tables).values():
        figure = draw(data)
        figure.canvas.draw()
        if data.empty:
            assert words_of(figure) in ("No power law could be fitted.", "Nothing was extrapolated.")
    cells = fit_cells.fit_cells(tables, fits)
    for table in (value for key, value in cells.items() if key not in ("warnings", "checklist")):
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
        assert all(isinstance(cell, str) for row in table["rows"] for cell in row)
        assert not any("nan" in cell.lower() for row in table["rows"] for cell in row), table
    found = judge_fits(tables, study.judged)
    assert len(found) == 15
    if name.startswith(("nothing", "two", "exactly")):
        decided = [one.words for one in found if one.verdict != INCONCLUSIVE and f"({TOP1})" in one.words]
        assert not decided or "second" in name or decided == [f"{ROBUST} ({TOP1})"], decided
    assert not any("nan" in one.sentence + one.statistic for one in found)


def test_missing_intervals_are_drawn_as_none(tables):
    for name in ("fits", "estimators", "pooled", "coverage", "forecast", "theory"):
        ends = [end for end in ("low", "high", "coverage_low", "coverage_high") if end in tables[name]]
        tables[name][ends] = np.nan
    for draw, data in drawings(tables).values():
        draw(data).canvas.draw()


# -- cells -----------------------------------------------------------------------------------------------------------


def test_curves_of_three_and_four_points_are_warned_of():
    table = pd.concat([counts_of(COUNT), counts_of([0, *COUNT[1:]], "all"), counts_of(COUNT[:3], "llama-neox"),
                       counts_of(COUNT[:3], criterion=HALF)])  # fmt: skip
    found = fit_cells.warnings(fit_counts(table, 0.95))
    assert found == [
        "llama-neox: 3 points leave 1 degree of freedom: the half width of a 95% interval is 12.7 standard errors, "
        "where many points would make it 2.0.",
        "all: 4 points leave 2 degrees of freedom: the half width of a 95% interval is 4.3 standard errors, where many "
        "points would make it 2.0.",
    ]
    assert fit_cells.warnings(fit_counts(counts_of(COUNT), 0.95)) == []
    for none in (counts_of([0, 0, 0, 5, 9]), counts_of(COUNT[:3], neurons=[64] * 3, training_flops=9.0)):
        assert fit_cells.warnings(fit_counts(none, 0.95)) == [], "it has no fit"
    both = pd.concat([counts_of(COUNT[:4], "all"), counts_of(COUNT[:4])])
    assert fit_cells.warnings(fit_counts(both, 0.95))[0].startswith("all, neox-bloom: 4 points")


def column(table: dict, name: str) -> list[str]:
    return [row[[header for header, _ in table["columns"]].index(name)] for row in table["rows"]]


def test_cells_say_what_agrees_and_what_cannot_be_said(tables, folder):
    values = [(0.5, 0.4, 0.6, True, np.nan), (0.9, np.nan, np.nan, False, "none"), (*[np.nan] * 4, "no fit")]
    table = pd.DataFrame(values, columns=["alpha", "low", "high", "agrees", "note"])
    table = table.assign(curve="a", criterion=TOP1, quantity="count", estimator="ols", points=5)
    rows = fit_cells.estimators_cells(table)
    assert column(rows, "agrees with ols") == ["yes", "NO", ""]
    assert column(rows, "exponent") == ["0.50 [0.40, 0.60]", "0.90", "\u2013"]
    assert column(rows, "note") == ["", "none", "no fit"]
    assert column(rows, "what") == ["Rosetta neurons"] * 3
    tables["pooled"] = pd.concat([tables["pooled"], tables["pooled"].assign(without="neox")])
    cells = fit_cells.fit_cells(tables, read_checked(folder / "tables/fits.json"))
    assert column(cells["pooled_without"], "without") == ["neox", "neox"]
    assert set(column(cells["rivals"], "criterion")) == {TOP1}
    assert set(column(cells["rivals"], "what")) == {"Rosetta neurons"}
    assert len(cells["rivals"]["rows"]) + len(cells["rivals_others"]["rows"]) == len(tables["rivals"])
    assert set(column(cells["pooled"], "without")) == {"none"}
    assert set(column(cells["theory"], "matches")) == {"real"}
    assert set(column(cells["theory_nulls"], "matches")) == {"rotate"}
    assert len(cells["sizes"]["rows"]) == 3 * len(ABSCISSAE)
    assert cells["checklist"][0][0] == f"neox-bloom, {TOP1}, count"
    shown = {(block, entry): value for block, entry, value in cells["checklist"][0][1]["rows"]}
    assert shown["uncertainty", "degrees of freedom"] == "3"
    assert shown["data", "points"] == "5 rows in fits.json"
    assert shown["data", "units"] == "400"
    assert column(cells["refused"], "why")[0].startswith("0 points are positive")


def test_single_choices_are_summed_up_over_all_others():
    rows = [
        ("counts", "a", TOP1, "neurons", "ols", 0.2, -0.1, 0.5),
        ("counts", "a", HALF, "neurons", "ols", 0.6, 0.3, 0.9),
        ("counts", "b", TOP1, "neurons", "theil_sen", 1.0, np.nan, np.nan),
        ("counts", "b", TOP1, "parameters", "ols", 0.4, 0.3, 0.5),
        ("nulls", "b", TOP1, "neurons", "ols", 0.9, 0.5, 1.3),
    ]
    data = pd.DataFrame(rows, columns=["kind", "curve", "criterion", "x", "estimator", "alpha", "low", "high"])
    found = {(row[0], row[1]): row[2:] for row in fit_cells.choices_cells(data)["rows"]}
    assert found["what is fitted", "counts"] == ["4", "0.50 [0.35, 0.70]", "75.0%", "50.0%"]
    assert found["what is fitted", "nulls"] == ["1", "0.90 [0.90, 0.90]", "0.0%", "100.0%"]
    assert found["size", "parameters"] == ["1", "0.40 [0.40, 0.40]", "100.0%", "100.0%"]
    assert found["criterion", TOP1] == ["2", "0.60 [0.40, 0.80]", "50.0%", "0.0%"]
    assert found["curve", "a"] == ["2", "0.40 [0.30, 0.50]", "100.0%", "50.0%"]
    assert found["estimator", "theil_sen"] == ["1", "1.00 [1.00, 1.00]", "0.0%", "0.0%"]
