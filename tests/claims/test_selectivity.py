"""Claims about what Rosetta neurons are, judged on tables made by hand: each can be supported, refuted, left open."""

import numpy as np
import pandas as pd
import pytest

from rosetta_scaling.claims.selectivity import judge_selectivity
from rosetta_scaling.claims.verdicts import INCONCLUSIVE, METRIC, NOT_SUPPORTED, SUPPORTED
from rosetta_scaling.schemas.metrics import LEAST

SETS = ["mutual_top1", "mutual_top1_r0.5", "mutual_top1_fdr05"]
SELECTIVE = "Rosetta neurons are more selective than others that are alike otherwise (vocab_kurtosis)"
POLARIZES = "The difference in selectivity grows with size (vocab_kurtosis; mutual_top1)"
ONLY = "Rosetta neurons become more selective with size, the others do not (vocab_kurtosis)"
CODE = "With size, Rosetta neurons fire more on code"
DEPTH = "Matches join layers of the same relative depth, more than rotated neurons do"

EFFECT = {"effect": 0.4, "low": 0.3, "high": 0.5, "adjusted": 0.3, "adjusted_low": 0.2, "adjusted_high": 0.4}
EFFECT |= {"placebo": 0.0, "placebo_low": -0.1, "placebo_high": 0.1, "balanced": True}
RISES = {"slope": 0.2, "low": 0.1, "high": 0.3, "placebo_low": -0.05, "placebo_high": 0.05}
LEVEL = {"slope": 0.0, "low": -0.1, "high": 0.1, "placebo_low": -0.05, "placebo_high": 0.05}
FALLS = {"slope": -0.2, "low": -0.3, "high": -0.1, "placebo_low": -0.05, "placebo_high": 0.05}
NO_FIT = dict.fromkeys(LEVEL, np.nan)
DIAGONAL = {"matches": 40, "share": 0.5, "low": 0.4, "expected": 0.3, "rotated": 0.25, "rotated_high": 0.35}


def tables(
    points=({}, {}), slopes=None, diagonal=({},), metrics=("vocab_kurtosis",), sets=SETS
) -> dict[str, pd.DataFrame]:
    """Points differ from EFFECT and DIAGONAL by what is given; slopes: {(what, quantity, set or None): [of curves]}."""
    rows = [
        {"metric": metric, "set": name, "is_anchor": True} | EFFECT | point
        for metric in metrics
        for name in sets
        for point in points
    ]
    expected = {
        (metric, quantity): LEVEL
        for metric in metrics
        for quantity in ("effect", "adjusted", "median_rosetta", "median_others", "difference")
    }
    expected = {(*key, name): [value] for key, value in expected.items() for name in sets} | (slopes or {})
    trends = [
        {"table": "polarization" if of in metrics else "specialisation", "of": of, "quantity": quantity}
        | {"set": name, "curve": f"curve{i}"}
        | value
        for (of, quantity, name), values in expected.items()
        for i, value in enumerate(values)
    ]
    return {
        "polarization": pd.DataFrame(rows),
        "trends": pd.DataFrame(trends),
        "diagonal": pd.DataFrame([DIAGONAL | one for one in diagonal], columns=list(DIAGONAL)),
    }


def verdicts(*, sets=SETS, **given) -> dict[str, str]:
    return {one.words: one.verdict for one in judge_selectivity(tables(**given, sets=sets), sets)}


def slopes(quantity: str, *values: dict, of: str = "vocab_kurtosis", name: str = SETS[0]) -> dict:
    return {(of, quantity, name): list(values)}


BELOW = {"adjusted": -0.3, "adjusted_low": -0.4, "adjusted_high": -0.2}
ACROSS = {"adjusted_low": -0.01}
WITHIN_PLACEBO = {"placebo_high": 0.21}
UNBALANCED = {"balanced": False}


@pytest.mark.parametrize(
    ("points", "verdict"),
    [
        ([{}, {}], SUPPORTED),
        ([{}, ACROSS], INCONCLUSIVE),
        ([{}, {"placebo_high": -0.3, "placebo_low": -0.5, "adjusted_low": -0.1}], INCONCLUSIVE),  # above placebo only
        ([{}, WITHIN_PLACEBO], INCONCLUSIVE),
        ([{}, UNBALANCED], INCONCLUSIVE),
        ([{}, {"adjusted": np.nan, "adjusted_low": np.nan, "adjusted_high": np.nan}], INCONCLUSIVE),
        ([{}, BELOW], NOT_SUPPORTED),
        ([BELOW, UNBALANCED], NOT_SUPPORTED),
        ([{}, BELOW | UNBALANCED], INCONCLUSIVE),
        ([{}, BELOW | {"placebo_low": -0.3}], INCONCLUSIVE),
        ([{}, BELOW | {"placebo_low": 0.1, "adjusted_high": 0.05}], INCONCLUSIVE),  # below placebo, not below zero
        ([{"low": -0.5, "high": -0.1, "effect": -0.3}], SUPPORTED),  # what counts is the difference to those alike
    ],
)
def test_more_selective_means_above_zero_and_placebo_beside_others_that_are_alike(points, verdict):
    assert verdicts(points=points)[SELECTIVE] == verdict


def test_what_layers_do_to_placebo_sets_is_no_bar_beside_others_of_the_same_layers():
    offset = {"placebo": 0.3, "placebo_low": 0.2, "placebo_high": 0.4}
    assert verdicts(points=[offset])[SELECTIVE] == SUPPORTED
    assert verdicts(points=[offset | {"adjusted_low": 0.09}])[SELECTIVE] == INCONCLUSIVE


def test_a_metric_that_the_confounds_determine_can_be_refuted_but_not_supported():
    claim = SELECTIVE.replace("vocab_kurtosis", "hoyer"), POLARIZES.replace("vocab_kurtosis", "hoyer")
    rise = slopes("adjusted", RISES, of="hoyer") | slopes("effect", RISES, of="hoyer")
    found = verdicts(metrics=["hoyer"], slopes=rise)
    assert [found[one] for one in claim] == [INCONCLUSIVE, INCONCLUSIVE]
    raw = {"effect": -0.4, "low": -0.5, "high": -0.3}
    found = verdicts(metrics=["hoyer"], points=[raw], slopes=rise | slopes("effect", FALLS, of="hoyer"))
    assert [found[one] for one in claim] == [NOT_SUPPORTED, NOT_SUPPORTED]


def test_a_set_that_could_not_be_made_alike_anywhere_decides_nothing():
    found = verdicts(points=[UNBALANCED, BELOW | UNBALANCED])
    assert found[SELECTIVE] == INCONCLUSIVE


def test_networks_that_are_not_the_anchor_and_other_sets_do_not_vote():
    given = tables()
    others = given["polarization"].assign(is_anchor=False, **BELOW)
    loose = given["polarization"][given["polarization"]["set"] != SETS[0]].assign(**BELOW)
    first = given["polarization"][given["polarization"]["set"] == SETS[0]]
    judged = judge_selectivity(given | {"polarization": pd.concat([first, loose, others])}, SETS)
    assert next(one for one in judged if one.words == SELECTIVE).verdict == SUPPORTED


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([RISES], SUPPORTED),
        ([RISES, RISES], SUPPORTED),
        ([LEVEL], INCONCLUSIVE),
        ([RISES, LEVEL], INCONCLUSIVE),
        ([RISES | {"placebo_high": 0.1}], INCONCLUSIVE),
        ([RISES | {"placebo_low": np.nan, "placebo_high": np.nan}], INCONCLUSIVE),
        ([NO_FIT], INCONCLUSIVE),
        ([RISES, FALLS], NOT_SUPPORTED),
        ([FALLS | {"placebo_high": -0.4}], NOT_SUPPORTED),
        ([FALLS | {"high": 0.0}], NOT_SUPPORTED),
    ],
)
def test_growth_counts_only_beyond_zero_and_what_placebo_sets_do(values, verdict):
    found = verdicts(slopes=slopes("adjusted", *values))
    assert found[POLARIZES] == verdict
    domain = verdicts(slopes=slopes("mean", *values, of="code"))
    assert domain[CODE] == verdict


def test_growth_as_measured_is_told_but_does_not_decide():
    given = tables(slopes=slopes("effect", RISES))
    claim = next(one for one in judge_selectivity(given, SETS) if one.words == POLARIZES)
    assert claim.verdict == INCONCLUSIVE
    assert "As measured: curve0: 0.20 [0.10, 0.30]" in claim.sentence
    assert claim.statistic == "adjusted effect per decade of neurons curve0: 0.00 [-0.10, 0.10]"


def test_growth_is_judged_for_every_set_on_its_own():
    found = verdicts(slopes=slopes("adjusted", RISES, name=SETS[1]) | slopes("adjusted", FALLS, name=SETS[2]))
    assert [found[POLARIZES.replace(SETS[0], name)] for name in SETS] == [INCONCLUSIVE, SUPPORTED, NOT_SUPPORTED]


@pytest.mark.parametrize(
    ("rosetta", "others", "difference", "verdict"),
    [
        ([RISES], [LEVEL], [RISES], SUPPORTED),
        ([RISES], [FALLS], [RISES], SUPPORTED),
        ([RISES], [LEVEL], [LEVEL], INCONCLUSIVE),  # the others may rise as well, only not visibly
        ([RISES], [LEVEL], [FALLS], NOT_SUPPORTED),
        ([RISES], [RISES], [RISES], NOT_SUPPORTED),
        ([LEVEL], [RISES], [LEVEL], NOT_SUPPORTED),
        ([FALLS], [LEVEL], [RISES], NOT_SUPPORTED),
        ([LEVEL], [LEVEL], [RISES], INCONCLUSIVE),
        ([NO_FIT], [NO_FIT], [NO_FIT], INCONCLUSIVE),
        ([RISES, RISES], [LEVEL, RISES], [RISES, RISES], NOT_SUPPORTED),
        ([RISES, LEVEL], [LEVEL, LEVEL], [RISES, LEVEL], INCONCLUSIVE),
    ],
)
def test_only_rosetta_neurons_become_selective_when_the_others_do_not(rosetta, others, difference, verdict):
    medians = slopes("median_rosetta", *rosetta) | slopes("median_others", *others)
    assert verdicts(slopes=medians | slopes("difference", *difference))[ONLY] == verdict


def test_documents_are_judged_where_there_are_any_of_the_kind():
    assert not any("fire more" in claim for claim in verdicts())
    prose = verdicts(slopes=slopes("mean", RISES, of="prose") | slopes("mean", RISES, of="code", name=SETS[1]))
    assert not any("fire more" in claim for claim in prose)
    both = slopes("mean", RISES, of="code") | slopes("mean", FALLS, of="math")
    found = verdicts(slopes=both | slopes("mean_others", FALLS, of="code"))
    assert found[CODE] == SUPPORTED
    assert found[CODE.replace("code", "math")] == NOT_SUPPORTED


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([{}, {}], SUPPORTED),
        ([{}, {"low": 0.35}], INCONCLUSIVE),
        ([{}, {"expected": 0.45}], INCONCLUSIVE),
        ([{}, {"rotated_high": np.nan}], SUPPORTED),
        ([{}, {"share": 0.35, "low": 0.2}], NOT_SUPPORTED),
        ([{}, {"expected": 0.5}], NOT_SUPPORTED),
        ([{}, {"share": 0.2, "low": 0.1, "matches": LEAST - 1}], SUPPORTED),  # too few to say
        ([{}, {"share": 1.0, "low": 0.9, "expected": 1.0}], SUPPORTED),  # networks of one layer
        ([{"matches": LEAST}], SUPPORTED),
        ([{"expected": 1.0}], INCONCLUSIVE),
        ([{"matches": 0, "share": np.nan, "low": np.nan, "expected": np.nan}], INCONCLUSIVE),
    ],
)
def test_the_same_depth_means_above_dealt_and_rotated_partners(rows, verdict):
    assert verdicts(diagonal=rows)[DEPTH] == verdict


def test_claims_about_a_metric_say_where_they_stand_in_a_table():
    metrics = ("vocab_kurtosis", "monoscore")
    given = tables(metrics=metrics, slopes=slopes("mean", RISES, of="code"))
    judged = judge_selectivity(given, SETS)
    keys = {"claim", "source", "verdict", "statistic", "sentence"}
    columns = ["more selective", *(f"polarizes ({name})" for name in SETS), "only they become so"]
    about = [one for one in judged if one.topic == METRIC]
    assert [(one.metric, one.column) for one in about] == [(m, c) for m in metrics for c in columns]
    assert all(set(one.as_json()) == keys | {"metric", "column"} for one in about)
    assert all(one.metric in one.words for one in about)
    assert [one.words for one in judged if set(one.as_json()) == keys] == [CODE, DEPTH]
    assert len(judged) == len(about) + 2
    assert len({one.words for one in judged}) == len(judged)


def test_every_metric_is_judged_on_its_own():
    given = tables(metrics=("vocab_kurtosis", "monoscore"))
    ours = given["polarization"]
    mixed = ours.assign(adjusted_high=ours.adjusted_high.where(ours.metric == "vocab_kurtosis", -0.2),
                        adjusted_low=ours.adjusted_low.where(ours.metric == "vocab_kurtosis", -0.4))  # fmt: skip
    found = {one.words: one.verdict for one in judge_selectivity(given | {"polarization": mixed}, SETS)}
    assert found[SELECTIVE] == SUPPORTED
    assert found[SELECTIVE.replace("vocab_kurtosis", "monoscore")] == NOT_SUPPORTED


def test_sentences_tell_the_numbers():
    given = tables(points=[{}, {"adjusted": 0.1, "effect": 0.2, "low": 0.05} | ACROSS, UNBALANCED])
    claim = next(one for one in judge_selectivity(given, SETS) if one.words == SELECTIVE)
    assert "adjusted: 0.10 to 0.30 over 3 points; as measured: 0.20 to 0.40" in claim.statistic
    assert "above placebo sets at 1 of 3 points, and below both at 0" in claim.sentence
    assert "as measured it lies above at 2" in claim.sentence
    assert "could not be made alike at 1 points" in claim.sentence
