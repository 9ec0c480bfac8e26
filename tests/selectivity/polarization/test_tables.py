"""Polarization on neurons whose answer is known: effects and intervals, placebo sets, confounds, the tables."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rosetta_scaling import WORKFLOW
from rosetta_scaling.claims.selectivity import judge_selectivity
from rosetta_scaling.claims.verdicts import INCONCLUSIVE
from rosetta_scaling.config.parsing import load
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.schemas.metrics import METRICS
from rosetta_scaling.schemas.names import POLARIZATION_TABLES
from rosetta_scaling.selectivity.kinds import FAMILIES
from rosetta_scaling.selectivity.polarization import tables as polarization_tables
from rosetta_scaling.selectivity.polarization.confounds import BALANCED, adjust, imbalance, normal_score
from rosetta_scaling.selectivity.polarization.effects import (
    LEAST,
    beyond_chance,
    mean_against_placebo,
    median_difference,
    placebo_effects,
    placebo_sets,
    placebo_slopes,
    polarization,
    rank_biserial,
    slope,
)
from rosetta_scaling.selectivity.polarization.tables import NeuronSet, metric_rows
from rosetta_scaling.stages.polarization import neuron_sets, write_polarization
from rosetta_scaling.store.tables import read_table, write_table

INTERVAL = ("placebo", "placebo_low", "placebo_high")
ADJUSTED = ["adjusted", "adjusted_low", "adjusted_high"]

# -- effects ---------------------------------------------------------------------------------------------------------

samples = st.lists(st.integers(0, 8), min_size=2, max_size=25).map(np.array)


@settings(max_examples=80)
@given(rosetta=samples, others=samples)
def test_rank_biserial_is_the_mean_sign_over_all_pairs(rosetta, others):
    effect, low, high = rank_biserial(rosetta, others, 0.95)
    signs = [np.sign(x - y) for x, y in itertools.product(rosetta, others)]
    assert effect == pytest.approx(np.mean(signs), abs=1e-12)
    assert -1 <= low <= effect + 1e-8
    assert effect - 1e-8 <= high <= 1


@settings(max_examples=40)
@given(rosetta=samples, others=samples, data=st.data())
def test_whole_weights_are_as_many_neurons(rosetta, others, data):
    weights = np.array(data.draw(st.lists(st.integers(0, 4), min_size=len(others), max_size=len(others))))
    if weights.sum() == 0:
        weights[0] = 1
    found = rank_biserial(rosetta, others, 0.95, weights / weights.sum())
    assert found[0] == pytest.approx(rank_biserial(rosetta, np.repeat(others, weights), 0.95)[0], abs=1e-12)
    equal = rank_biserial(rosetta, others, 0.95, np.full(len(others), 1 / len(others)))
    assert equal == pytest.approx(rank_biserial(rosetta, others, 0.95))


@settings(max_examples=40)
@given(rosetta=samples, others=samples)
def test_only_ranks_and_sides_matter(rosetta, others):
    effect, low, high = rank_biserial(rosetta, others, 0.95)
    assert rank_biserial(np.exp(rosetta), np.exp(others), 0.95) == pytest.approx((effect, low, high))
    assert rank_biserial(-rosetta, -others, 0.95) == pytest.approx((-effect, -high, -low))
    assert rank_biserial(others, rosetta, 0.95)[0] == pytest.approx(-effect)
    assert rank_biserial(rosetta[::-1], others[::-1], 0.95) == pytest.approx((effect, low, high))


NO_DIAGONAL = pd.DataFrame(columns=["model_a", "model_b", "matches", "expected", "rotated", "low", "high", "share"])


def test_a_higher_confidence_is_a_wider_interval_and_separation_is_one():
    rng = np.random.default_rng(0)
    rosetta, others = rng.normal(1, 1, 20), rng.normal(0, 1, 60)
    effect, low, high = rank_biserial(rosetta, others, 0.8)
    wider = rank_biserial(rosetta, others, 0.99)
    assert wider[1] < low < effect < high < wider[2]
    ratio = stats.norm.ppf(0.995) / stats.norm.ppf(0.9)
    half = [np.arctanh(upper) - np.arctanh(effect) for upper in (high, wider[2])]
    assert half[1] / half[0] == pytest.approx(ratio)
    wins = 2 * 0.025 ** (1 / min(len(others), len(others))) - 1  # as many wins in a row have this chance at least
    assert rank_biserial(others + 100, others, 0.95) == pytest.approx((1, wins, 1))
    assert rank_biserial(others - 100, others, 0.95) == pytest.approx((-1, -1, -wins))


@pytest.mark.parametrize(("n", "m"), [(20, 60), (60, 20)])
def test_intervals_cover_the_truth_at_their_nominal_rate(n, m):
    """Normal populations one standard deviation apart, whose effect is 2 Phi(1 / sqrt 2) - 1."""
    rng, truth, covered = np.random.default_rng(0), 2 * stats.norm.cdf(1 / np.sqrt(2)) - 1, []
    for _ in range(1500):
        rosetta, others = rng.normal(1, 1, n), rng.normal(0, 1, m)
        found = rank_biserial(rosetta, others, 0.95), median_difference(rosetta, others, 0.95)
        covered.append([low < middle < high for middle, (_, low, high) in zip((truth, 1), found, strict=True)])
    effects, medians = np.mean(covered, axis=0)
    assert 0.93 < effects < 0.97  # 0.944 and 0.948
    assert 0.955 < medians < 0.99  # 0.97 and 0.98: order statistics do not come in between


def test_the_medians_differ_by_what_their_order_statistics_say():
    rng = np.random.default_rng(0)
    rosetta, others = rng.normal(3, 1, 31), rng.normal(0, 1, 40)
    middle, low, high = median_difference(rosetta, others, 0.95)
    assert middle == np.median(rosetta) - np.median(others)
    bounds = []
    for values in (rosetta, others):
        n, ordered = len(values), np.sort(values)
        k = max(k for k in range(n // 2) if stats.binom.cdf(k - 1, n, 0.5) <= 0.025)  # k-th from either end
        bounds.append(np.abs([ordered[k - 1], ordered[n - k]] - np.median(values)))
    assert low == pytest.approx(middle - np.hypot(bounds[0][0], bounds[1][1]))
    assert high == pytest.approx(middle + np.hypot(bounds[0][1], bounds[1][0]))
    whole = median_difference(rosetta[:3], np.zeros(9), 0.95)  # too few: all there is
    assert whole[1:] == pytest.approx((rosetta[:3].min(), rosetta[:3].max()))


# -- placebo ---------------------------------------------------------------------------------------------------------


def test_placebo_sets_have_the_layers_of_the_rosetta_neurons_and_none_of_them():
    rng = np.random.default_rng(0)
    layer = np.repeat([0, 1, 2, 3], [40, 60, 20, 10])
    rosetta = np.zeros(130, bool)
    rosetta[[*range(5), *range(50, 62), *range(100, 114)]] = True  # 5, 12, 14 of 20, none
    sets = placebo_sets(rosetta, layer, 400, rng)
    assert sets.shape == (400, 5 + 12 + 3)  # of the 6 others in layer 2, half are left to compare with
    assert (np.array([np.bincount(layer[one], minlength=4) for one in sets]) == [5, 12, 3, 0]).all()
    assert not rosetta[sets].any()
    assert all(len(set(one)) == len(one) for one in sets)
    assert len({tuple(sorted(one)) for one in sets}) > 390
    often = np.bincount(sets.ravel(), minlength=130)[(layer == 0) & ~rosetta]
    assert stats.chisquare(often).pvalue > 0.001, "some neurons are drawn more often than others"
    assert placebo_sets(np.zeros(130, bool), layer, 7, rng).shape == (7, 0)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_the_effect_of_every_placebo_set_is_that_against_the_rest_of_the_others(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 20, 90).astype(float)
    values[rng.random(90) < 0.2] = np.nan
    rosetta = rng.random(90) < 0.15
    others, sets = ~rosetta, placebo_sets(rosetta, rng.integers(0, 3, 90), 6, rng)
    found = placebo_effects(values, others, sets)
    for draw, one in zip(found, sets, strict=True):
        chosen = np.isin(np.arange(90), one)
        inside, rest = (values[side & others & np.isfinite(values)] for side in (chosen, ~chosen))
        if len(inside) < LEAST:
            assert np.isnan(draw)
        else:
            assert draw == pytest.approx(rank_biserial(inside, rest, 0.95)[0])


def test_placebo_sets_show_nothing_where_there_is_nothing():
    rng = np.random.default_rng(0)
    rosetta, layer = rng.random(600) < 0.1, rng.integers(0, 4, 600)
    draws = placebo_effects(rng.standard_normal(600), ~rosetta, placebo_sets(rosetta, layer, 2000, rng))
    assert abs(draws.mean()) < 4 * draws.std() / np.sqrt(2000) + 0.01
    assert 0.05 < draws.std() < 0.12
    assert np.isnan(placebo_effects(np.full(600, np.nan), ~rosetta, placebo_sets(rosetta, layer, 3, rng))).all()


def test_placebo_sets_show_what_layers_alone_do():
    rng = np.random.default_rng(0)
    layer = np.repeat(np.arange(4), 300)
    values = layer + rng.normal(0, 0.5, 1200)
    rosetta = rng.random(1200) < np.array([0.05, 0.1, 0.2, 0.4])[layer]
    row, draws = polarization(values, rosetta, None, placebo_sets(rosetta, layer, 300, rng), confidence=0.95)
    assert row["low"] > 0.3
    assert row["placebo_low"] > 0.3
    assert row["placebo"] == pytest.approx(row["effect"], abs=0.1)
    assert [row[name] for name in INTERVAL] == pytest.approx([draws.mean(), *np.quantile(draws, [0.025, 0.975])])


# -- one metric, one quantity ----------------------------------------------------------------------------------------


def neurons(rng: np.random.Generator, n: int, **columns) -> pd.DataFrame:
    """A table with confounds of no meaning, but for the columns given."""
    table = {"layer": rng.integers(0, 6, n), "mean": rng.standard_normal(n), "variance": rng.random(n)}
    return pd.DataFrame(table | {"fraction_active": rng.random(n)} | columns)


def test_a_row_is_its_parts():
    rng = np.random.default_rng(0)
    table, rosetta = neurons(rng, 300), np.arange(300) % 5 == 0
    values = rng.standard_normal(300) + rosetta
    values[:30] = np.nan
    adjustment, sets = adjust(table, rosetta), placebo_sets(rosetta, table.layer.to_numpy(), 100, rng)
    row, draws = polarization(values, rosetta, adjustment, sets, confidence=0.9)
    inside, outside = (values[side & np.isfinite(values)] for side in (rosetta, ~rosetta))
    weights = adjustment.weights[~rosetta & np.isfinite(values)]
    assert (row["rosetta"], row["others"]) == (54, 216)
    assert (row["median_rosetta"], row["median_others"]) == (np.median(inside), np.median(outside))
    difference = tuple(row[name] for name in ("difference", "difference_low", "difference_high"))
    assert difference == pytest.approx(median_difference(inside, outside, 0.9))
    assert tuple(row[name] for name in ("effect", "low", "high")) == rank_biserial(inside, outside, 0.9)
    adjusted = rank_biserial(inside, outside, 0.9, weights / weights.sum())
    assert tuple(row[name] for name in ADJUSTED) == adjusted != (row["effect"], row["low"], row["high"])
    np.testing.assert_array_equal(draws, placebo_effects(values, ~rosetta, sets))
    assert [row[name] for name in INTERVAL] == pytest.approx([draws.mean(), *np.quantile(draws, [0.05, 0.95])])
    bare, _ = polarization(values, rosetta, None, sets[:, :0], confidence=0.9)
    assert {name for name in row if np.isnan(bare[name])} == {*ADJUSTED, *INTERVAL}


@pytest.mark.parametrize("defined", [(LEAST - 1, 100), (100, LEAST - 1), (0, 0)])
def test_sets_that_are_too_small_have_no_effect(defined):
    rng = np.random.default_rng(0)
    values, rosetta = np.full(300, np.nan), np.arange(300) < 150
    values[: defined[0]], values[150 : 150 + defined[1]] = 1.0, 0.0
    sets = placebo_sets(rosetta, np.zeros(300, int), 100, rng)
    row, draws = polarization(values, rosetta, None, sets, confidence=0.95)
    assert (row["rosetta"], row["others"]) == defined
    assert {name for name, value in row.items() if np.isfinite(value)} == {"rosetta", "others"}
    assert draws.shape == (100,)
    mean, draws = mean_against_placebo(values, rosetta, sets, 0.95)
    assert {name for name, value in mean.items() if np.isfinite(value)} == {"rosetta", "others"}
    assert np.isnan(draws).all()


def test_the_smallest_sets_that_have_an_effect():
    values, rosetta = np.arange(30.0), np.arange(30) < LEAST
    values[LEAST : 30 - LEAST] = np.nan
    row, _ = polarization(values, rosetta, None, np.zeros((3, 0), int), confidence=0.95)
    assert row["effect"] == -1
    assert mean_against_placebo(values, rosetta, np.zeros((3, 0), int), 0.95)[0]["mean"] == 2


def test_shares_have_wilsons_interval_and_means_students():
    rng = np.random.default_rng(0)
    rosetta = np.arange(200) < 50
    sets = placebo_sets(rosetta, np.zeros(200, int), 300, rng)
    truth = rng.random(200) < np.where(rosetta, 0.1, 0.3)
    row, draws = mean_against_placebo(truth, rosetta, sets, 0.95, share=True)
    n, p, z = 50, truth[:50].mean(), stats.norm.ppf(0.975)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    bounds = [(p + z**2 / (2 * n) + sign * half) / (1 + z**2 / n) for sign in (-1, 1)]
    assert [row["mean"], row["low"], row["high"]] == pytest.approx([p, *bounds])
    assert row["mean_others"] == truth[50:].mean()
    np.testing.assert_allclose(draws, truth[sets].mean(1))
    assert [row[name] for name in INTERVAL] == pytest.approx([draws.mean(), *np.quantile(draws, [0.025, 0.975])])

    values = np.where(rng.random(200) < 0.3, np.nan, rng.gamma(2.0, size=200))
    row, draws = mean_against_placebo(values, rosetta, sets, 0.9)
    inside = values[:50][np.isfinite(values[:50])]
    student = stats.t(len(inside) - 1, inside.mean(), stats.sem(inside)).interval(0.9)
    assert [row["rosetta"], row["mean"], row["low"], row["high"]] == pytest.approx(
        [len(inside), inside.mean(), *student]
    )
    assert row["mean_others"] == pytest.approx(np.nanmean(values[50:]))
    np.testing.assert_allclose(draws, np.nanmean(values[sets], axis=1))


def test_metrics_are_taken_beyond_what_shuffled_units_give():
    table = pd.DataFrame({"gini": [1.0, 2.0], "token_information": [1.0, 2.0], "token_information_null": [0.5, np.nan]})
    np.testing.assert_array_equal(beyond_chance(table, "gini"), [1, 2])
    np.testing.assert_array_equal(beyond_chance(table, "token_information"), [0.5, np.nan])
    assert beyond_chance(pd.DataFrame({"gini": [1, 2]}), "gini").dtype == float


# -- slopes ----------------------------------------------------------------------------------------------------------


def test_slopes_are_per_decade_with_one_value_per_model():
    sizes = np.array([100.0, 1000, 10000, 100000])
    values = np.array([0.1, 0.25, 0.3, np.nan])
    row = slope(sizes, values, 0.9)
    fit = stats.linregress([2, 3, 4], values[:3])
    half = stats.t.ppf(0.95, 1) * fit.stderr
    assert row["points"] == 3
    assert [row["slope"], row["low"], row["high"]] == pytest.approx([0.1, 0.1 - half, 0.1 + half])
    few = slope(sizes, np.array([0.1, np.nan, 0.3, np.nan]), 0.9)
    assert few["points"] == 2
    assert np.isnan([few["slope"], few["low"], few["high"]]).all()


def test_the_interval_of_a_slope_covers_at_its_nominal_rate():
    rng, sizes, covered = np.random.default_rng(0), np.array([192.0, 384, 768, 1536, 3072]), []
    for _ in range(1500):
        row = slope(sizes, 0.2 * np.log10(sizes) + rng.normal(0, 0.1, 5), 0.95)
        covered.append(row["low"] < 0.2 < row["high"])
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_placebo_slopes_join_one_draw_of_every_point():
    rng, sizes = np.random.default_rng(0), np.array([100.0, 300, 1000, 5000, 7000])
    draws = [rng.normal(0, 0.1 * i, 200) for i in range(1, 6)]
    slopes = [np.polyfit(np.log10(sizes), [point[one] for point in draws], 1)[0] for one in range(200)]
    found = placebo_slopes(sizes, draws, 0.9)
    assert [found["placebo_low"], found["placebo_high"]] == pytest.approx(list(np.quantile(slopes, [0.05, 0.95])))
    assert np.isnan(list(placebo_slopes(sizes[:2], draws[:2], 0.9).values())).all()
    assert np.isnan(list(placebo_slopes(np.full(5, 192.0), draws, 0.9).values())).all(), "points of one size"
    assert np.isnan(slope(np.full(5, 192.0), np.arange(5.0), 0.9)["slope"])
    draws[1][7] = np.nan  # a slope of other points than those of the real one would be no null of it
    assert np.isnan(list(placebo_slopes(sizes, draws, 0.9).values())).all()


# -- confounds -------------------------------------------------------------------------------------------------------

SHAPES = {  # of the log odds of matching, and of selectivity: functions of the confound's normal score
    "rising": lambda x: 1.3 * x,
    "u": lambda x: 0.6 * (x**2 - 1),
    "hump": lambda x: -0.9 * (x**2 - 1),
    "saturating": lambda x: 2 * np.tanh(2 * x),
}
SCALES = {"variance": lambda x: np.exp(3 * x), "mean": lambda x: x**3, "fraction_active": stats.norm.cdf}


def confounded(rng: np.random.Generator, n: int, confound: str, shape: str, true: float = 0.0):
    """Neurons that match, and are selective, by one confound: table, who is Rosetta, selectivity.

    `true` is added to the selectivity of the Rosetta neurons, in standard deviations of its noise.
    """
    table, x = neurons(rng, n), rng.standard_normal(n)
    if confound == "layer":
        x = (table.layer.to_numpy() - 2.5) / 1.7
    else:
        table[confound] = SCALES[confound](x)
    g = SHAPES[shape](x)
    rosetta = rng.random(n) < 1 / (1 + np.exp(1.8 - g))
    return table, rosetta, g + 0.7 * (rng.standard_normal(n) + true * rosetta)


CASES = [("variance", shape) for shape in SHAPES]
CASES += [("layer", "rising"), ("layer", "u"), ("mean", "rising"), ("mean", "u"), ("fraction_active", "hump")]


@pytest.mark.parametrize(("confound", "shape"), CASES)
def test_what_a_confound_makes_vanishes_beside_others_that_are_alike(confound, shape):
    rng, found, balance = np.random.default_rng(0), [], []
    for _ in range(40):
        table, rosetta, values = confounded(rng, 2000, confound, shape)
        adjustment = adjust(table, rosetta)
        assert adjustment.weights.sum() == pytest.approx(1)
        assert (adjustment.weights[rosetta] == 0).all()
        row, _ = polarization(values, rosetta, adjustment, np.zeros((1, 0), int), confidence=0.95)
        found.append([row[name] for name in ("effect", *ADJUSTED)])
        balance.append([adjustment.imbalance_before, adjustment.imbalance])
    raw, adjusted, low, high = np.array(found).T
    assert raw.mean() > 0.15
    assert abs(adjusted.mean()) < (0.035 if shape == "u" else 0.02)
    assert ((low <= 0) & (high >= 0)).mean() > 0.95 - 2 * np.sqrt(0.95 * 0.05 / 40)
    before, after = np.array(balance).mean(0)
    assert after < 0.16
    if SHAPES[shape](1.0) != SHAPES[shape](-1.0) or confound == "layer":
        assert after < 0.35 * before


@pytest.mark.parametrize(("confound", "shape"), [("variance", "rising"), ("variance", "u"), ("layer", "rising")])
def test_a_true_effect_is_found_beside_a_confound(confound, shape):
    """Were others equal, the effect would be that of normals `true` standard deviations apart, or a little less."""
    rng, found = np.random.default_rng(0), []
    for _ in range(30):
        table, rosetta, values = confounded(rng, 2000, confound, shape, true=1.0)
        row, _ = polarization(values, rosetta, adjust(table, rosetta), np.zeros((1, 0), int), confidence=0.95)
        found.append([row[name] for name in ADJUSTED])
    adjusted, low, _ = np.array(found).T
    assert 0.2 < adjusted.mean() < 2 * stats.norm.cdf(1 / np.sqrt(2)) - 1
    assert (low > 0).mean() >= 0.9


def test_without_confounding_others_are_left_as_they_are():
    rng = np.random.default_rng(0)
    table, rosetta = neurons(rng, 3000), rng.random(3000) < 0.2
    values = rng.standard_normal(3000) + rosetta
    adjustment = adjust(table, rosetta)
    row, _ = polarization(values, rosetta, adjustment, np.zeros((1, 0), int), confidence=0.95)
    assert row["adjusted"] == pytest.approx(row["effect"], abs=0.02)
    assert 0.9 * (~rosetta).sum() < adjustment.effective_others <= (~rosetta).sum()
    assert adjustment.effective_others == pytest.approx(1 / (adjustment.weights**2).sum())


def test_who_cannot_be_made_alike_is_said_so_and_decides_nothing():
    rng = np.random.default_rng(0)
    rosetta = rng.random(2000) < 0.2
    table = neurons(rng, 2000, variance=rng.random(2000) + rosetta).assign(**dict.fromkeys(METRICS, 0.0))
    table = table.assign(token_information_null=0.0, content_information_null=0.0, domain_information_null=0.0)
    table[list(METRICS)] = rng.standard_normal((2000, len(METRICS))) + 3 * rosetta[:, None]
    adjustment = adjust(table, rosetta)
    assert np.isfinite(adjustment.weights).all()
    assert adjustment.imbalance > BALANCED
    assert not adjustment.balanced
    assert adjustment.effective_others < 0.05 * (~rosetta).sum()
    sets = placebo_sets(rosetta, table.layer.to_numpy(), 100, rng)
    about = {"curve": "c", "is_anchor": True, "set": "s", "neurons": 2000}
    rows = [row for row, _ in metric_rows(NeuronSet(about, table, rosetta, sets), 0.95)]
    rows = pd.DataFrame([row | {"model": f"m-{i}"} for i in range(3) for row in rows])  # as if of three networks
    assert (rows.adjusted_low > rows.placebo_high).all()
    empty = {"specialisation": pd.DataFrame(columns=["set", "domain", "is_anchor"]), "diagonal": NO_DIAGONAL}
    judged = judge_selectivity({"polarization": rows, **empty}, ["s"])
    assert {one.verdict for one in judged if one.column == "more selective"} == {INCONCLUSIVE}
    alike = judge_selectivity({"polarization": rows.assign(balanced=True), **empty}, ["s"])
    assert INCONCLUSIVE not in {one.verdict for one in alike if one.column == "more selective"}


@pytest.mark.parametrize("least", [0.6, 1.2])
def test_sets_apart_in_the_middle_or_in_both_tails_are_not_called_alike(least):
    """Their means agree, so means alone would not tell."""
    called = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        score = rng.standard_normal(1500)
        rosetta = np.abs(score) < least if least < 1 else np.abs(score) > least
        called.append(adjust(neurons(rng, 1500, variance=np.exp(score)), rosetta).balanced)
    assert np.mean(called) <= 0.1


def test_weights_go_with_their_neurons_and_know_no_scale():
    rng = np.random.default_rng(0)
    table, rosetta, _ = confounded(rng, 1000, "variance", "u")
    before, order = adjust(table, rosetta), rng.permutation(1000)
    after = adjust(table.iloc[order], rosetta[order])
    np.testing.assert_allclose(after.weights, before.weights[order], rtol=0.02)
    assert after.imbalance == pytest.approx(before.imbalance, abs=0.01)
    scaled = table.assign(
        mean=3 * table["mean"] - 7, variance=np.log(table.variance), fraction_active=table.fraction_active**3
    )
    np.testing.assert_allclose(adjust(scaled, rosetta).weights, before.weights, rtol=1e-6)
    names = dict(enumerate([9, 4, 7, 1, 0, 3]))
    renamed = adjust(table.assign(layer=table.layer.map(names)), rosetta)
    np.testing.assert_allclose(renamed.weights, before.weights, rtol=0.02)


@pytest.mark.parametrize("kind", ["constant", "mostly zero", "mostly one", "undefined", "partly undefined", "infinite"])
def test_confounds_that_are_tied_or_undefined_are_borne(kind):
    rng = np.random.default_rng(0)
    most, drawn = rng.random(800) < 0.8, rng.random(800)
    values = {
        "constant": np.ones(800),
        "mostly zero": np.where(most, 0, drawn),
        "mostly one": np.where(most, 1, drawn),
        "undefined": np.full(800, np.nan),
        "partly undefined": np.where(most, np.nan, drawn),
        "infinite": np.where(most, drawn, np.inf),
    }[kind]
    table = neurons(rng, 800, fraction_active=values)
    rosetta = rng.random(800) < 1 / (1 + np.exp(2 - 2 * table.variance))
    found = adjust(table, rosetta)
    assert np.isfinite(found.weights).all()
    assert found.balanced
    assert found.imbalance < 0.35 * found.imbalance_before


def test_normal_scores_are_quantiles_of_ranks():
    found = normal_score(np.array([30.0, np.nan, 10.0, 20.0, 20.0, np.inf]))
    np.testing.assert_allclose(found, stats.norm.ppf([0.875, 0.5, 0.125, 0.5, 0.5, 0.5]), atol=1e-12)
    rng = np.random.default_rng(0)
    assert stats.kstest(normal_score(rng.exponential(size=2000)), "norm").statistic < 0.01
    assert (normal_score(np.full(3, np.nan)) == 0).all()


def test_imbalance_is_the_largest_standardised_difference():
    features = np.array([[0.0, 1, 5], [1, 1, 5], [2, 0, 5], [3, 0, 5]])
    rosetta, weights = np.array([True, True, False, False]), np.array([0, 0, 0.75, 0.25])
    assert imbalance(features, rosetta, weights) == pytest.approx(1 / 0.5)
    assert imbalance(features[:, :1], rosetta, weights) == pytest.approx((2.25 - 0.5) / features[:, 0].std())
    assert imbalance(features[:, 2:], rosetta, weights) == 0


# -- the tables of a curve -------------------------------------------------------------------------------------------

RUNGS, CURVE = {"r1": 350, "r2": 650, "r3": 1200}, "neox-bloom"


def selectivity(rng: np.random.Generator, rosetta: np.ndarray) -> pd.DataFrame:
    """A model of a study: gini is what variance makes, monoscore a true effect, detection_auc rarely defined."""
    n = len(rosetta)
    table = neurons(rng, n, variance=np.exp(rng.standard_normal(n) + 0.6 * rosetta))
    table = table.assign(**{metric: rng.standard_normal(n) for metric in METRICS})
    table = table.assign(token_information_null=0.5, content_information_null=0.0, domain_information_null=0.0)
    table["gini"] = stats.rankdata(table.variance) / n + 0.1 * rng.standard_normal(n)
    table["monoscore"] += 2 * rosetta
    table["token_information"] = 0.5 + rosetta  # one beyond chance
    table.loc[3:, "detection_auc"] = np.nan
    table = table.assign(**{family: (rng.random(n) < 0.3).astype(float) for family in FAMILIES})
    return table.assign(firing_code=rng.gamma(1 + rosetta), firing_prose=rng.gamma(1, size=n))


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Layout:
    """Written tables of one curve of three points; Rosetta neurons of the anchor have their partners, turned around."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        layout, rng = Layout(load(WORKFLOW / "studies/smoke.yaml"), corpus_key="k"), np.random.default_rng(0)
        for rung, n in RUNGS.items():
            rosetta = rng.random(n) < 0.2
            partner = np.where(rosetta, n - 1 - np.arange(n), -1)
            few = rosetta & (np.cumsum(rosetta) < LEAST)  # of a set that is too small
            sets = dict(zip(layout.study.judged_sets, (rosetta, few, rosetta & (np.arange(n) % 2 == 0)), strict=True))
            table = pd.DataFrame({"neuron": np.arange(n), f"partner_bloom-{rung}": partner, **sets})
            write_table(layout.rosetta(CURVE, rung), table)
            for model, mask in ((f"neox-{rung}", rosetta), (f"bloom-{rung}", rosetta[::-1])):
                write_table(layout.selectivity("study", model), selectivity(rng, mask))
        write_polarization(layout, CURVE, paths_of(layout))
        yield layout


def paths_of(layout: Layout) -> dict[str, str]:
    return {name: layout.polarization(CURVE, name) for name in POLARIZATION_TABLES}


def written(layout: Layout) -> dict[str, pd.DataFrame]:
    return {name: read_table(layout.polarization(CURVE, name)) for name in POLARIZATION_TABLES}


def test_every_model_of_every_point_has_every_set_and_metric(study):
    tables = written(study)
    keys = ["point", "model", "set"]
    models = [(rung, f"{family}-{rung}") for rung in RUNGS for family in ("neox", "bloom")]
    for name, key, values in (
        ("polarization", "metric", METRICS),
        ("specialisation", "domain", ("code", "prose")),
        ("families", "family", FAMILIES),
    ):
        expected = [(*model, chosen, one) for model in models for chosen in study.study.judged_sets for one in values]
        assert list(tables[name][[*keys, key]].itertuples(index=False, name=None)) == expected
        assert (tables[name].curve == CURVE).all()
        assert (tables[name].is_anchor == tables[name].model.str.startswith("neox")).all()
        assert (tables[name].neurons == tables[name].point.map(RUNGS)).all()


def test_partners_are_the_rosetta_neurons_of_the_other_models(study):
    for one in neuron_sets(study, CURVE):
        rosetta = read_table(study.rosetta(CURVE, one.about["point"]))
        chosen = rosetta[one.about["set"]].to_numpy()
        assert (one.rosetta == (chosen if one.about["is_anchor"] else chosen[::-1])).all()
        assert one.sets.shape[0] == study.study.polarization.draws
        assert not one.rosetta[one.sets].any()


def test_every_set_of_every_model_draws_its_own_placebo(study, monkeypatch):
    monkeypatch.setattr(polarization_tables, "placebo_sets", lambda mask, layer, draws, rng: rng.random((draws, 1)))
    drawn = [one.sets[0, 0] for one in neuron_sets(study, CURVE)]
    assert len(set(drawn)) == len(drawn) == 3 * 2 * 3


@pytest.mark.slow(0.1)
def test_rows_of_the_tables_are_those_of_their_sets(study):
    tables, confidence = written(study), study.study.polarization.confidence
    for one in neuron_sets(study, CURVE):
        where = {key: one.about[key] for key in ("model", "set")}
        rows = {
            name: table[(table.model == where["model"]) & (table["set"] == where["set"])]
            for name, table in tables.items()
            if name != "trends"
        }
        for row in rows["polarization"].to_dict("records"):
            values = beyond_chance(one.table, row["metric"])
            known = np.isfinite(values)
            enough = min((one.rosetta & known).sum(), (~one.rosetta & known).sum()) >= LEAST
            adjustment = adjust(one.table[known], one.rosetta[known]) if enough else None
            if enough:
                weights = np.zeros(len(known))
                weights[known] = adjustment.weights
                adjustment = replace(adjustment, weights=weights)
            assert row["balanced"] == (enough and adjustment.balanced)
            expected, _ = polarization(values, one.rosetta, adjustment, one.sets, confidence=confidence)
            assert [row[name] for name in expected] == pytest.approx(list(expected.values()), nan_ok=True)
            for name in ("effective_others", "imbalance_before", "imbalance"):
                assert row[name] == pytest.approx(getattr(adjustment, name, np.nan), nan_ok=True)
        for name, key, prefix in (("specialisation", "domain", "firing_"), ("families", "family", "")):
            for row in rows[name].to_dict("records"):
                values = one.table[prefix + row[key]].to_numpy()
                expected, _ = mean_against_placebo(values, one.rosetta, one.sets, confidence, share=key == "family")
                assert [row[column] for column in expected] == pytest.approx(list(expected.values()), nan_ok=True)


def test_the_tables_know_a_confound_from_an_effect(study):
    rows = written(study)["polarization"]
    rows = rows[(rows["set"] == "mutual_top1") & (rows.point == "r3")].set_index("metric")
    assert (rows.low["gini"] > 0.15).all()
    assert (rows.adjusted["gini"].abs() < 0.1).all()
    assert (rows.adjusted_low["monoscore"] > 0.6).all()
    assert rows.adjusted["token_information"].to_numpy() == pytest.approx(1)
    assert (rows.median_others["token_information"] == 0).all()
    assert rows.effect["detection_auc"].isna().all()
    few = written(study)["polarization"]
    few = few[few["set"] == "mutual_top1_r0.5"]
    assert few[["effect", "adjusted", "imbalance", "placebo"]].isna().all(axis=None)


def test_trends_are_slopes_of_the_anchors_with_their_own_placebo(study):
    tables, confidence, drawn = written(study), study.study.polarization.confidence, {}
    for one in neuron_sets(study, CURVE):
        if one.about["is_anchor"] and one.about["set"] == "mutual_top1":
            rows = metric_rows(one, confidence)
            drawn[one.about["point"]] = {row["metric"]: draws for row, draws in rows}
            for name, values in (("code", one.table.firing_code), ("dead", one.table.dead)):
                values = values.to_numpy(float)
                drawn[one.about["point"]][name] = mean_against_placebo(values, one.rosetta, one.sets, confidence)[1]
    found = tables["trends"].set_index(["table", "set", "of", "quantity"]).sort_index()
    quantities = {"polarization": ("effect", "adjusted", "median_rosetta", "median_others")}
    quantities |= dict.fromkeys(("specialisation", "families"), ("mean", "mean_others"))
    assert len(found) == 3 * (5 * len(METRICS) + 2 * 2 + 2 * len(FAMILIES))
    assert (found.curve == CURVE).all()
    sizes = np.array(list(RUNGS.values()), float)
    for name, key, of in (
        ("polarization", "metric", "monoscore"),
        ("polarization", "metric", "detection_auc"),
        ("specialisation", "domain", "code"),
        ("families", "family", "dead"),
    ):
        part = tables[name][tables[name].is_anchor & (tables[name]["set"] == "mutual_top1")]
        part = part[part[key] == of]
        for quantity in quantities[name]:
            row = found.loc[(name, "mutual_top1", of, quantity)]
            expected = slope(sizes, part[quantity].to_numpy(), confidence)
            if quantity in ("effect", "adjusted", "mean"):
                ones = [drawn[rung][of] for rung in RUNGS]
                if quantity == "adjusted":  # the others have the same layers there
                    ones = [one - one.mean() for one in ones]
                known = np.isfinite(part[quantity].to_numpy())
                ones = [one for one, use in zip(ones, known, strict=True) if use]
                expected |= placebo_slopes(sizes[known], ones, confidence)
            else:
                assert np.isnan([row.placebo_low, row.placebo_high]).all()
            assert [row[column] for column in expected] == pytest.approx(list(expected.values()), nan_ok=True)
    assert np.isfinite(found.placebo_high["polarization", "mutual_top1", "monoscore", "adjusted"])


def test_the_same_study_gives_the_same_tables(study):
    before = written(study)
    write_polarization(study, CURVE, paths_of(study))
    for name, table in written(study).items():
        pd.testing.assert_frame_equal(table, before[name])


def test_the_tables_can_be_judged(study):
    judged = judge_selectivity(written(study) | {"diagonal": NO_DIAGONAL}, study.study.judged_sets)
    verdict = {one.words.split(" (")[1][:-1]: one.verdict for one in judged if "more selective than" in one.words}
    assert verdict["monoscore"] == "supported"
    assert "gini" not in verdict
    assert verdict["detection_auc"] == INCONCLUSIVE
    assert len(judged) == 5 * len(verdict) + 2  # code is among the domains, mathematics is not
