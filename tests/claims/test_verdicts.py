"""Claims as they are written, and the rule by which votes make a verdict."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from rosetta_scaling.claims.verdicts import (
    FIT,
    INCONCLUSIVE,
    METRIC,
    NOT_SUPPORTED,
    SUPPORTED,
    VERDICTS,
    Claim,
    combine,
    inside,
    power_of_votes,
    vote,
    withhold,
)


def test_a_claim_is_the_same_after_it_was_written():
    general = Claim(words="w", source="s", verdict=SUPPORTED, statistic="1", sentence="t.")
    assert list(general.as_json()) == ["claim", "source", "verdict", "statistic", "sentence"]
    of_metric = replace(general, topic=METRIC, metric="gini", column="polarizes")
    assert list(of_metric.as_json())[5:] == ["column", "metric"]
    measured = replace(general, main=True, effect=0.0, effect_low=-0.1, effect_high=0.2, effect_name="exponent")
    measured = replace(measured, threshold=(0.0, np.inf), null=0.1, null_name="shifted", power=0.4, p=0.02)
    measured = replace(measured, p_adjusted=0.2, reason="power", needs="nine curves")
    json.dumps(measured.as_json(), allow_nan=False)
    for claim in (general, of_metric, replace(general, topic=FIT, votes=3), replace(general, caveat="c"), measured):
        assert Claim.from_json(claim.as_json()) == claim
    assert "effect" not in replace(measured, effect=np.nan).as_json()


def test_support_is_withheld_and_nothing_else():
    assert [withhold(one, True) for one in VERDICTS] == [INCONCLUSIVE, NOT_SUPPORTED, INCONCLUSIVE]
    assert [withhold(one, False) for one in VERDICTS] == list(VERDICTS)


def test_contradictions_beyond_chance_decide_and_nothing_proves_nothing():
    assert combine([SUPPORTED, NOT_SUPPORTED]) == NOT_SUPPORTED
    assert combine([SUPPORTED, SUPPORTED, NOT_SUPPORTED]) == INCONCLUSIVE, "one of forty intervals errs"
    assert combine([*[SUPPORTED] * 6, *[NOT_SUPPORTED] * 2]) == NOT_SUPPORTED
    assert combine([SUPPORTED, INCONCLUSIVE]) == INCONCLUSIVE
    assert combine([]) == INCONCLUSIVE
    assert inside(np.nan, np.nan, 0, 1) == INCONCLUSIVE


@pytest.mark.parametrize("votes", [1, 3, 9])
def test_votes_of_intervals_have_the_error_rates_and_the_power_that_are_stated(votes):
    """Each vote is a 95% interval of a normal estimate; a claim is that all means are above zero."""
    random, studies = np.random.default_rng(0), 2000
    for_80 = stats.norm.isf(0.025) + stats.norm.isf(0.2)  # the mean that one vote finds in 80%

    def rate(means, verdict):
        low = random.normal(means, size=(studies, votes)) - stats.norm.isf(0.025)
        high = low + 2 * stats.norm.isf(0.025)
        told = [combine([vote(a > 0, b < 0) for a, b in zip(*one, strict=True)]) for one in zip(low, high, strict=True)]
        return told.count(verdict) / studies

    false_of_one, luck = [0.0] + [10.0] * (votes - 1), 0.012
    assert rate(false_of_one, SUPPORTED) == pytest.approx(0.025, abs=luck)
    assert rate([0.0] * votes, NOT_SUPPORTED) <= 0.05 + luck
    assert rate([for_80] * votes, SUPPORTED) == pytest.approx(power_of_votes(votes), abs=3 * luck)
