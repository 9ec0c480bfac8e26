"""From an estimate to a verdict, and the error rates of many."""

from dataclasses import replace

import numpy as np
import pytest

from rosetta_scaling.claims.decisions import above, control_errors, decide, withheld, within
from rosetta_scaling.claims.verdicts import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, VERDICTS, Claim
from rosetta_scaling.power_laws.crossed import Estimated


def estimate(value: float, error: float) -> Estimated:
    """An estimate with a normal interval."""
    return Estimated(value=value, low=value - 1.96 * error, high=value + 1.96 * error, freedom=np.inf,
                     t_at=lambda bound: (value - bound) / error, points=20, networks=10)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "error", "regions", "verdict"),
    [
        (0.3, 0.1, above(0.1), SUPPORTED),
        (0.3, 0.16, above(0.1), INCONCLUSIVE),
        (0.0, 0.05, above(0.1), NOT_SUPPORTED),  # excluded
        (0.0, 0.1, above(0.1), INCONCLUSIVE),  # merely absent
        (-0.3, 0.1, above(0.1), NOT_SUPPORTED),
        (0.05, 0.01, above(0.1), NOT_SUPPORTED),  # there, and negligible
        (0.5, 0.2, within(0, 1), SUPPORTED),
        (0.5, 0.3, within(0, 1), INCONCLUSIVE),
        (1.5, 0.2, within(0, 1), NOT_SUPPORTED),
        (-0.5, 0.2, within(0, 1), NOT_SUPPORTED),
        (0.5, 0.2, within(-np.inf, 1), SUPPORTED),
    ],
)
def test_verdicts_agree_with_the_interval_and_the_margin(value, error, regions, verdict):
    found = decide(estimate(value, error), regions, "effect")
    assert found["verdict"] == verdict
    assert (found["p"] <= 0.05) == (verdict != INCONCLUSIVE)
    assert found["threshold"] == regions.supports


def test_an_open_verdict_says_what_would_decide():
    assert decide(None, above(0.1), "e")["reason"] == "power"
    needs = decide(estimate(0.2, 0.15), above(0.1), "e")["needs"]  # 0.1 from the margin: (1.96 x 0.15 / 0.1)^2
    assert needs.startswith("about 8.6 times as many networks (87 in place of 10)")
    assert decide(estimate(0.1, 0.15), above(0.1), "e")["needs"].startswith("more than 100 times")


def claims(*ps: float, main: bool) -> list[Claim]:
    base = Claim(words="w", source="s", verdict=SUPPORTED, statistic="", sentence="t.", main=main)
    return [replace(base, p=p) for p in ps]


def test_main_claims_are_adjusted_by_holm_and_the_others_by_benjamini_and_hochberg():
    found = control_errors([*claims(0.001, 0.02, 0.03, main=True), *claims(0.001, 0.03, 0.04, main=False)])
    assert [one.p_adjusted for one in found] == pytest.approx([0.003, 0.04, 0.04, 0.003, 0.04, 0.04])
    assert {one.verdict for one in found} == {SUPPORTED}
    found = control_errors([*claims(0.001, 0.03, 0.03, main=True), *claims(0.04, main=False)])
    assert [one.verdict for one in found] == [SUPPORTED, INCONCLUSIVE, INCONCLUSIVE, SUPPORTED]
    assert found[1].reason == "power"
    assert "Alone it would be supported (p 0.030); among 3 main claims p is 0.06." in found[1].sentence


def test_claims_without_a_p_keep_their_verdict():
    claim = replace(claims(0.5, main=False)[0], p=None)
    assert control_errors([claim, *claims(0.9, main=False)])[0] == claim


def test_support_is_withheld_and_nothing_else():
    made = [withheld(replace(claims(0.01, main=True)[0], verdict=one), "Why.") for one in VERDICTS]
    assert [one.verdict for one in made] == [INCONCLUSIVE, NOT_SUPPORTED, INCONCLUSIVE]
    assert (made[0].reason, made[0].sentence) == ("null", "t. Why.")


def test_false_verdicts_of_true_nulls_are_at_most_five_per_cent():
    rng = np.random.default_rng(0)
    decided = [decide(estimate(rng.normal(0, 0.1), 0.1), above(0.0), "e")["verdict"] == SUPPORTED for _ in range(2000)]
    assert np.mean(decided) == pytest.approx(0.025, abs=0.01)
