"""Points, polarization, fits and claims on populations whose answer is known."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rosetta_scaling import claims
from rosetta_scaling.config import NULLS, Criterion
from rosetta_scaling.fits import fit_counts, fit_power_law, predict_power_law
from rosetta_scaling.polarization import bootstrap_effects, layer_matched_effects, polarization, rank_biserial, trends
from rosetta_scaling.rosetta import criterion_names, orient, rosetta_table
from rosetta_scaling.store import StudyError
from rosetta_scaling.variants import displacements

TOP1, TOP2 = Criterion(), Criterion(k=2)


def matches(*rows) -> pd.DataFrame:
    """(neuron_a, neuron_b, r, rank_a, rank_b)"""
    return pd.DataFrame(rows, columns=["neuron_a", "neuron_b", "r", "rank_a", "rank_b"])


# -- points ----------------------------------------------------------------------------------------------------------


def test_a_rosetta_neuron_is_matched_in_every_model_and_strictly_when_the_others_agree():
    ab = matches((0, 10, 0.9, 1, 1), (1, 11, 0.6, 1, 1), (2, 12, 0.4, 1, 1))
    ac = matches((0, 20, 0.8, 1, 1), (1, 21, 0.7, 1, 1), (3, 23, 0.9, 1, 1))
    bc = matches((10, 20, 0.7, 1, 1), (11, 29, 0.7, 1, 1))
    half = Criterion(min_r=0.65)
    table = rosetta_table(5, {"B": ab, "C": ac}, {("B", "C"): bc}, [TOP1, half])
    assert table.mutual_top1.tolist() == [True, True, False, False, False]
    assert table.mutual_top1_strict.tolist() == [True, False, False, False, False]
    assert table["mutual_top1_r0.65"].tolist() == [True, False, False, False, False]
    assert table.partner_B.tolist() == [10, 11, 12, -1, -1]
    assert criterion_names([TOP1], 3) == ["mutual_top1", "mutual_top1_strict"]


def test_matches_found_at_a_larger_k_give_the_smaller_one():
    found = matches((0, 5, 0.9, 1, 1), (1, 5, 0.8, 1, 2), (1, 6, 0.7, 2, 1))
    table = rosetta_table(3, {"B": found}, {}, [TOP1, TOP2])
    assert table.mutual_top1.tolist() == [True, False, False]
    assert table.mutual_top2.tolist() == [True, True, False]
    assert table.partner_B.tolist() == [5, 5, -1]


def test_orient_exchanges_the_sides_and_back():
    found = matches((0, 5, 0.9, 1, 2))
    swapped = orient(found, swap=True)
    assert (swapped.neuron_a[0], swapped.neuron_b[0], swapped.rank_a[0], swapped.rank_b[0]) == (5, 0, 2, 1)
    assert orient(swapped, swap=True)[found.columns.tolist()].equals(found)


def test_displacements_end_at_documents():
    doc = np.repeat(np.arange(40), np.random.default_rng(0).integers(3, 30, 40))
    places = displacements(doc, 5, seed=1)
    assert len(set(places)) == 5
    assert (doc[places] != doc[places - 1]).all()
    assert (places >= len(doc) // 4).all()
    assert (places <= 3 * len(doc) // 4).all()
    with pytest.raises(StudyError, match="too few"):
        displacements(np.array([0, 0, 1, 1]), 5, seed=1)


# -- polarization ----------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 30), m=st.integers(2, 30))
def test_rank_biserial_is_the_difference_of_wins_and_losses(seed, n, m):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 9, n), rng.integers(0, 9, m)
    expected = np.mean([np.sign(x - y) for x, y in itertools.product(a, b)])
    assert rank_biserial(a, b) == pytest.approx(expected)
    assert bootstrap_effects(a, b, 400, rng).mean() == pytest.approx(expected, abs=0.15)


def test_bootstrap_interval_covers_the_true_effect():
    """95% intervals of normal populations one standard deviation apart must cover 2 Phi(1/sqrt 2) - 1."""
    rng, truth, covered = np.random.default_rng(0), 2 * stats.norm.cdf(1 / np.sqrt(2)) - 1, []
    for _ in range(200):
        effects = bootstrap_effects(rng.normal(1, 1, 60), rng.normal(0, 1, 90), 200, rng)
        low, high = np.quantile(effects, [0.025, 0.975])
        covered.append(low < truth < high)
    assert 0.90 <= np.mean(covered) <= 0.99


def test_layer_matched_null_explains_an_effect_of_depth_alone():
    """Selectivity that depends on the layer only, and Rosetta neurons that sit in late layers."""
    rng = np.random.default_rng(0)
    layer = np.repeat(np.arange(4), 300)
    values = layer + rng.normal(0, 0.5, 1200)
    rosetta = rng.random(1200) < np.array([0.05, 0.1, 0.2, 0.4])[layer]
    row = polarization(values, rosetta, layer, 300, 0.95, 0)
    assert row["low"] > 0.3
    assert row["null_low"] < row["effect"] < row["null_high"]
    assert abs(layer_matched_effects(rng.permutation(values), rosetta, layer, 300, rng).mean()) < 0.05


def test_undefined_metrics_and_small_sets():
    values = np.array([np.nan, 1.0, 2.0, 3.0])
    row = polarization(values, np.array([True, True, False, False]), np.zeros(4, int), 100, 0.95, 0)
    assert (row["rosetta"], row["others"]) == (1, 2)
    assert np.isnan(row["effect"])


def test_trends_use_one_value_per_model():
    table = pd.DataFrame(
        {
            "curve": "c",
            "metric": "gini",
            "neurons": [100, 1000, 10000],
            "effect": [0.1, 0.2, 0.3],
            "median_rosetta": [1.0, 2.0, 2.5],
            "median_others": [1.0, 1.0, 1.0],
        }
    )
    rows = trends(table, 0.95).set_index("quantity")
    assert rows.slope["effect"] == pytest.approx(0.1)
    assert rows.low["effect"] == pytest.approx(0.1)
    fit = stats.linregress([2, 3, 4], [1.0, 2.0, 2.5])
    assert rows.high["median_rosetta"] == pytest.approx(fit.slope + stats.t.ppf(0.975, 1) * fit.stderr)


# -- fits ------------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(alpha=st.floats(-2, 2), c=st.floats(1e-3, 1e3))
def test_a_noise_free_law_comes_back_exactly(alpha, c):
    x = np.array([192, 384, 768, 1536, 3072])
    fit = fit_power_law(x, c * x**alpha)
    assert fit["alpha"] == pytest.approx(alpha, abs=1e-9)
    assert fit["c"] == pytest.approx(c, rel=1e-6)


@pytest.mark.parametrize("points", [3, 5])
def test_the_interval_covers_at_its_nominal_rate(points):
    rng, x, covered = np.random.default_rng(0), 2.0 ** np.arange(7, 7 + points), []
    for _ in range(2000):
        fit = fit_power_law(x, 3 * x**0.6 * np.exp(rng.normal(0, 0.2, points)))
        covered.append(fit["low"] < 0.6 < fit["high"])
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("at", [12, 320])
def test_a_prediction_interval_covers_one_more_observation(at):
    rng, x, covered = np.random.default_rng(0), np.array([4.0, 8.0, 16.0, 32.0]), []
    for _ in range(2000):
        y = 3 * np.append(x, at) ** 0.4 * np.exp(rng.normal(0, 0.1, 5))
        middle, low, high = predict_power_law(x, y[:4], at)
        covered.append(low < y[4] < high)
        assert low < middle < high
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)
    assert predict_power_law(x, 2 * x**0.5, 64)[0] == pytest.approx(16)


def counts_of(count, untrained, shift, curve="c") -> pd.DataFrame:
    n, nulls = len(count), {f"null_{null}": 0.0 for null in (*NULLS, "iid")}
    table = pd.DataFrame({
        "curve": curve, "criterion": "mutual_top1", "count": count, **nulls,
        "null_untrained": untrained, "null_permute": shift,
        "calibrated_05": np.array(count) // 2, "calibrated_01": np.array(count) // 3,
        "equal_n_count": 20.0 / 2.0 ** np.arange(n), "equal_n_null": 3.0,
        "count_low": np.array(count) * 0.9, "count_high": np.array(count) * 1.1,
        "neurons": 2.0 ** np.arange(7, 7 + n), "parameters": 4.0 ** np.arange(7, 7 + n),
        "non_embedding_parameters": 5.0 ** np.arange(7, 7 + n),
    })  # fmt: skip
    return table.assign(excess=table["count"] - table[list(nulls)].max(axis=1))


def test_zero_counts_are_left_out_and_said_so():
    fits = fit_counts(counts_of([10, 20, 40, 80], [0, 0, 3, 5], [1, 2, 3, 4]), 0.95)
    row = fits[(fits.quantity == "null_untrained") & (fits.x == "neurons")].iloc[0]
    assert np.isnan(row.alpha)
    assert "2 of 4 points left out" in row.note
    excess = fits[(fits.quantity == "excess") & (fits.x == "neurons")].iloc[0]
    slope = stats.linregress(np.log([128, 256, 512, 1024]), np.log([9, 18, 37, 75])).slope
    assert excess.alpha == pytest.approx(slope)


def test_too_few_points_and_zeros_are_refused():
    with pytest.raises(StudyError, match="at least 3"):
        fit_power_law([1, 2], [1, 2])
    with pytest.raises(StudyError, match="not positive"):
        fit_power_law([1, 2, 3], [1, 0, 2])


# -- claims ----------------------------------------------------------------------------------------------------------


def verdicts(count, untrained, shift) -> dict[str, str]:
    counts = counts_of(count, untrained, shift)
    for null in NULLS:
        counts[f"null_{null}_high"] = counts[f"null_{null}"]
    effects = pd.DataFrame({"metric": "gini", "effect": [0.1] * 4, "low": [0.05] * 4, "high": [0.2] * 4,
                            "null_low": [-0.02] * 4, "null_high": [0.02] * 4})  # fmt: skip
    slopes = pd.DataFrame({"curve": "c", "metric": "gini", "quantity": ["effect"], "slope": [0.1], "low": [-0.1],
                           "high": [0.3]})  # fmt: skip
    models = pd.DataFrame({"family": "f", "neurons": [1, 2, 3], "validation_bits_per_byte": [3.0, 2.0, 2.5]})
    judged = claims.judge(counts, fit_counts(counts, 0.95), effects, slopes, models, ["mutual_top1"])
    assert all(set(c) == {"claim", "source", "verdict", "statistic", "sentence"} for c in judged)
    return {c["claim"].removesuffix(" (mutual_top1)"): c["verdict"] for c in judged}


GROWS = "The Rosetta count grows as a sublinear power of model size"
EXCESS = "The count beyond its largest null grows as a sublinear power of model size"


ARTEFACT = "The count is not an artefact of the matching"
CALIBRATED = "The count that survives calibration grows as a sublinear power of model size"
POOL = "The count grows also among equally many neurons"


def test_claims_can_be_supported():
    found = verdicts([100, 152, 230, 350], [2, 3, 3, 4], [5, 6, 9, 30])
    assert found[GROWS] == found[EXCESS] == claims.SUPPORTED
    assert found["Matches are absent between networks whose units are shuffled"] == claims.SUPPORTED
    assert found[ARTEFACT] == found[CALIBRATED] == claims.SUPPORTED
    assert found["Rosetta neurons are more selective than the others (gini)"] == claims.SUPPORTED


def test_claims_can_be_refuted():
    found = verdicts([100, 230, 505, 1150], [50, 3, 3, 4], [5, 6, 9, 30])
    assert found[GROWS] == claims.NOT_SUPPORTED
    assert found["Matches are absent between networks that were never trained"] == claims.NOT_SUPPORTED
    assert found["Larger networks of a family predict held-out text better"] == claims.NOT_SUPPORTED


def test_claims_can_stay_open():
    assert verdicts([100, 400, 120, 300], [1] * 4, [1] * 4)[GROWS] == claims.INCONCLUSIVE
    found = verdicts([100, 152, 230, 350], [2, 3, 3, 4], [5, 6, 9, 30])
    assert found["The difference in selectivity grows with size (gini)"] == claims.INCONCLUSIVE


def test_a_null_as_large_as_the_count_takes_the_support_away():
    found = verdicts([100, 152, 230, 350], [2, 3, 3, 4], [5, 6, 230, 30])
    assert found[GROWS] == claims.INCONCLUSIVE
    assert found[EXCESS] == claims.NOT_SUPPORTED
    assert found[ARTEFACT] == claims.NOT_SUPPORTED
    assert verdicts([100, 152, 230, 350], [2, 3, 3, 4], [5, 6, 220, 30])[ARTEFACT] == claims.INCONCLUSIVE


def test_untrained_networks_do_not_decide_whether_the_matching_makes_the_count():
    found = verdicts([100, 152, 230, 350], [200, 3, 3, 4], [5, 6, 9, 30])
    assert found[ARTEFACT] == claims.SUPPORTED
    assert found[POOL] == claims.NOT_SUPPORTED


def test_one_contradiction_decides_and_nothing_proves_nothing():
    assert claims.combine([claims.SUPPORTED, claims.NOT_SUPPORTED]) == claims.NOT_SUPPORTED
    assert claims.combine([claims.SUPPORTED, claims.INCONCLUSIVE]) == claims.INCONCLUSIVE
    assert claims.combine([]) == claims.INCONCLUSIVE
    assert claims.inside(np.nan, np.nan, 0, 1) == claims.INCONCLUSIVE
