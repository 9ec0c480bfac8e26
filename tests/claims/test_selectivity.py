"""Claims about what Rosetta neurons are, judged on networks made by hand: each is supported, refuted, left open."""

import numpy as np
import pandas as pd
import pytest

from rosetta_scaling.claims.selectivity import judge_selectivity, undecidable
from rosetta_scaling.claims.verdicts import INCONCLUSIVE, METRIC, NOT_SUPPORTED, SUPPORTED, Claim
from rosetta_scaling.schemas.metrics import LEAST, METRICS

SETS = ["mutual_top1", "mutual_top1_r0.5", "mutual_top1_fdr05"]
SELECTIVE = "Rosetta neurons are more selective than others that are alike otherwise (vocab_kurtosis)"
POLARIZES = "The difference in selectivity grows with size (vocab_kurtosis; mutual_top1)"
ONLY = "Rosetta neurons become more selective with size, the others do not (vocab_kurtosis)"
CODE = "With size, Rosetta neurons fire more on code"
DEPTH = "Matches join layers of the same relative depth, more than rotated neurons do"

NEURONS = 192 * 2.0 ** np.arange(5)
DECADES = np.log10(NEURONS / NEURONS[2])  # -0.6 to 0.6
WOBBLE = np.array([0.02, -0.02, 0.01, -0.01, 0.0])
EMPTY = {
    "specialisation": pd.DataFrame(columns=["set", "domain", "is_anchor"]),
    "diagonal": pd.DataFrame(columns=["model_a", "model_b", "matches", "share", "low", "high", "expected", "rotated"]),
}


def rows(values, half=0.05, curve="a", family="neox", **columns) -> pd.DataFrame:
    """The anchors of a curve by the primary set: effects (sizes,) with intervals, and medians that do not change."""
    values = np.asarray(values, float) + WOBBLE[: len(values)]
    table = pd.DataFrame({"curve": curve, "model": [f"{family}-r{i + 1}" for i in range(len(values))]})
    table = table.assign(neurons=NEURONS[: len(values)], is_anchor=True, metric="vocab_kurtosis", balanced=True)
    table = table.assign(effect=values, low=values - half, high=values + half, placebo=0.0, set=SETS[0])
    table = table.assign(adjusted=values, adjusted_low=values - half, adjusted_high=values + half)
    table = table.assign(median_rosetta=1 + WOBBLE[: len(values)], median_others=1 - WOBBLE[: len(values)])
    table = table.assign(difference=0.0, difference_low=-half, difference_high=half)
    return table.assign(**columns)


def judged(claim: str, *parts: pd.DataFrame, sets=SETS[:1], **tables) -> Claim:
    given = EMPTY | {"polarization": pd.concat(parts) if parts else rows([0.0] * 5)} | tables
    return next(one for one in judge_selectivity(given, list(sets)) if one.words == claim)


def both(values, **columns) -> list[pd.DataFrame]:
    return [rows(values, **columns), rows(values, curve="b", family="bloom", **columns)]


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        (both([0.3] * 5), SUPPORTED),
        (both([-0.3] * 5), NOT_SUPPORTED),
        (both([0.0] * 5), NOT_SUPPORTED),  # surely less than 0.1: excluded, not merely absent
        (both([0.05] * 5), NOT_SUPPORTED),  # surely above zero, and surely negligible
        (both([0.1] * 5, half=0.3), INCONCLUSIVE),
        (both([0.3] * 5, balanced=False), INCONCLUSIVE),
        ([rows([0.3, 0.3])], INCONCLUSIVE),  # two networks have no interval
        ([rows([0.3] * 5), rows([0.1, 0.0], curve="b", family="bloom", half=0.4)], SUPPORTED),  # no point has a veto
        ([rows([0.3] * 5, low=-0.9, high=-0.5, effect=-0.7)], SUPPORTED),  # the difference to those alike counts
        (both([np.nan] * 5), INCONCLUSIVE),
    ],
)
def test_more_selective_is_one_mean_over_networks(parts, verdict):
    found = judged(SELECTIVE, *parts)
    assert found.verdict == verdict
    assert found.reason == ("power" if verdict == INCONCLUSIVE else "")
    assert bool(found.needs) == (verdict == INCONCLUSIVE)
    assert found.main


def test_a_network_that_anchors_three_curves_is_one_network():
    once = judged(SELECTIVE, rows([0.3] * 5))
    thrice = judged(SELECTIVE, *(rows([0.3] * 5, curve=curve) for curve in "abc"))
    assert (thrice.effect, thrice.effect_low, thrice.p) == pytest.approx((once.effect, once.effect_low, once.p))
    others = judged(SELECTIVE, *(rows([0.3] * 5, curve=curve, family=curve) for curve in "abc"))
    assert others.p < once.p


def test_what_placebo_sets_show_is_taken_off_what_is_measured_and_is_no_second_bar():
    found = judged(SELECTIVE, *both([0.3] * 5, placebo=0.3, placebo_low=0.1, placebo_high=0.9))
    assert found.verdict == SUPPORTED
    assert "as measured, less placebo: -0.00 [" in found.statistic


def test_networks_that_are_not_the_anchor_and_other_sets_do_not_count():
    others = [rows([-0.9] * 5, is_anchor=False), rows([-0.9] * 5, set=SETS[1])]
    assert judged(SELECTIVE, *both([0.3] * 5), *others, sets=SETS).verdict == SUPPORTED


@pytest.mark.parametrize(
    ("slope", "half", "verdict"),
    [(0.3, 0.03, SUPPORTED), (-0.3, 0.03, NOT_SUPPORTED), (0.0, 0.01, NOT_SUPPORTED), (0.03, 0.3, INCONCLUSIVE)],
)
def test_growth_is_one_slope_over_networks(slope, half, verdict):
    assert judged(POLARIZES, *both(0.2 + slope * DECADES, half=half)).verdict == verdict
    firing = pd.concat(both(1 + 3 * slope * DECADES, half=half)).assign(domain="code", placebo=1.0)
    found = judged(CODE, specialisation=firing.assign(mean=firing.effect))
    assert found.verdict == verdict
    assert found.main


def test_growth_of_firing_is_beyond_that_of_placebo_sets():
    firing = pd.concat(both(1 + DECADES, half=0.02)).assign(domain="code")
    firing = firing.assign(mean=firing.effect, placebo=1 + np.log10(firing.neurons / NEURONS[2]))
    assert judged(CODE, specialisation=firing).verdict == NOT_SUPPORTED


def test_growth_is_judged_for_every_set_on_its_own():
    values = {SETS[0]: 0.2 + 0 * DECADES, SETS[1]: 0.2 + 0.5 * DECADES, SETS[2]: 0.2 - 0.5 * DECADES}
    parts = [part for name, value in values.items() for part in both(value, set=name, half=0.01)]
    found = [judged(POLARIZES.replace(SETS[0], name), *parts, sets=SETS) for name in SETS]
    assert [one.verdict for one in found] == [NOT_SUPPORTED, SUPPORTED, NOT_SUPPORTED]
    assert [one.main for one in found] == [True, False, False]


@pytest.mark.parametrize(
    ("rosetta", "others", "verdict"),
    [
        (0.5, 0.0, SUPPORTED),
        (0.5, -0.3, SUPPORTED),
        (0.5, 0.5, NOT_SUPPORTED),  # the others rise as well
        (-0.5, 0.0, NOT_SUPPORTED),
        (0.0, 0.0, INCONCLUSIVE),
    ],
)
def test_only_rosetta_neurons_become_selective_when_the_others_do_not(rosetta, others, verdict):
    medians = {"median_rosetta": 1 + rosetta * DECADES + WOBBLE, "median_others": 1 + others * DECADES - WOBBLE}
    difference = medians["median_rosetta"] - medians["median_others"]
    medians |= {"difference": difference, "difference_low": difference - 0.02, "difference_high": difference + 0.02}
    found = judged(ONLY, *both([0.2] * 5, **medians))
    assert found.verdict == verdict
    assert found.reason == ("power" if verdict == INCONCLUSIVE else "")


def test_what_the_confounds_determine_is_declared_undecidable_and_not_tested():
    every = pd.concat([rows([0.9] * 5, metric=metric) for metric in METRICS])
    claims = judge_selectivity(EMPTY | {"polarization": every}, SETS[:1])
    declared = {one["metric"]: one for one in undecidable()}
    assert set(declared) == {"gini", "hoyer", "skewness", "activation_kurtosis", "token_information"}
    assert {one.metric for one in claims if one.topic == METRIC} == set(METRICS) - set(declared)
    assert all(one["r2"] >= 0.8 and f"{one['r2']:.0%}" in one["because"] for one in declared.values())


def test_documents_are_judged_where_there_are_any_of_the_kind():
    firing = pd.concat(both(1 + DECADES)).assign(domain="math", placebo=1.0)
    found = judge_selectivity(
        EMPTY | {"polarization": rows([0.2] * 5), "specialisation": firing.assign(mean=firing.effect)}, SETS[:1]
    )
    assert [one.words for one in found if "fire more" in one.words] == [CODE.replace("code", "math")]


def depths(beyond: float, **columns) -> pd.DataFrame:
    """Four families of three sizes, every two of them matched."""
    pairs = [(f"{a}-{i}", f"{b}-{i}") for i in range(3) for a, b in (("n", "b"), ("n", "l"), ("b", "l"))]
    share = 0.3 + beyond + np.resize([0.01, -0.01, 0.005, -0.005], len(pairs))
    table = pd.DataFrame({"model_a": [a for a, _ in pairs], "model_b": [b for _, b in pairs], "share": share})
    table = table.assign(matches=200, low=share - 0.03, high=share + 0.03, expected=0.3, rotated=0.25)
    return table.assign(**columns)


@pytest.mark.parametrize(
    ("table", "verdict"),
    [
        (depths(0.2), SUPPORTED),
        (depths(-0.1), NOT_SUPPORTED),
        (depths(0.0, low=0.295, high=0.305), NOT_SUPPORTED),
        (depths(0.03, low=0.1, high=0.6), INCONCLUSIVE),
        (depths(0.2, rotated=0.55), NOT_SUPPORTED),
        (depths(0.2, rotated=np.nan), SUPPORTED),
        (depths(0.2, matches=LEAST), SUPPORTED),
        (depths(0.2, matches=LEAST - 1), INCONCLUSIVE),  # too few to say
        (depths(0.2, expected=1.0), INCONCLUSIVE),  # networks of one layer
    ],
)
def test_the_same_depth_means_above_dealt_and_rotated_partners(table, verdict):
    assert judged(DEPTH, diagonal=table).verdict == verdict
    if verdict == SUPPORTED:
        again = judged(
            DEPTH, diagonal=pd.concat([table, table.rename(columns={"model_a": "model_b", "model_b": "model_a"})])
        )
        assert again.p == pytest.approx(judged(DEPTH, diagonal=table).p), "a pair counts once"


def test_claims_about_a_metric_say_where_they_stand_in_a_table():
    parts = [rows([0.2] * 5, metric=metric, set=name) for metric in ("vocab_kurtosis", "monoscore") for name in SETS]
    claims = judge_selectivity(EMPTY | {"polarization": pd.concat(parts)}, SETS)
    columns = ["more selective", *(f"polarizes ({name})" for name in SETS), "only they become so"]
    about = [one for one in claims if one.topic == METRIC]
    assert [(one.metric, one.column) for one in about] == [
        (m, c) for m in ("vocab_kurtosis", "monoscore") for c in columns
    ]
    assert [one.words for one in claims if one.main] == [SELECTIVE, POLARIZES, DEPTH]
    assert len({one.words for one in claims}) == len(claims)
