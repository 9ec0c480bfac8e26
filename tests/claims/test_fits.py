"""Claims about fits, judged on rows whose verdict is known."""

import numpy as np
import pandas as pd
import pytest
from fitted_studies import fitted_tables
from judged_fits import BEST, COLUMNS, DROWNED, ISOLATION, ONE, PREDICTS, RANKS, ROBUST, SIMULATED, judged
from planted_counts import HALF, NEURONS, TOP1, counts_of

from rosetta_scaling.claims.fits import judge_fits
from rosetta_scaling.claims.verdicts import FIT, INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED
from rosetta_scaling.store.tables import read_table, write_table


@pytest.fixture
def tables(fitted_folder) -> dict[str, pd.DataFrame]:
    return fitted_tables(fitted_folder)


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
        ([AHEAD, BETWEEN], INCONCLUSIVE),
        ([AHEAD, AHEAD, AHEAD, AHEAD, BETWEEN | {"proportional": (-3, 0.2, 0.3)}], SUPPORTED),  # none has a veto
        ([BEHIND, BEHIND], NOT_SUPPORTED),
        ([AHEAD | {"proportional": (2, 0.2, 0.3)}], INCONCLUSIVE),  # 2 says nothing
        ([AHEAD | {"proportional": (3, 0.09, 0.3)}], INCONCLUSIVE),
        ([BEHIND | {"proportional": (-2, 0.05, 0.3)}], INCONCLUSIVE),
        ([BETWEEN | {"constant": (9, 0.05, 0.3)}], INCONCLUSIVE),  # one is ahead by this, another by that
        ([AHEAD | {"quadratic": (np.nan, 0.01, 0.0)}], SUPPORTED),
        ([{"power_law": (0, 3e-16, 0.0), "proportional": (-9, 1e-16, 0.0)}], INCONCLUSIVE),  # both are exact
        ([UNDEFINED], INCONCLUSIVE),
        ([], INCONCLUSIVE),
    ],
)
def test_the_best_form_is_so_by_both_measures(curves, verdict):
    rows = [row for i, scores in enumerate(curves) for row in forms("abcde"[i], **scores)]
    assert judged(BEST, "abcde"[: len(curves)], rivals=rows).verdict == verdict


def test_the_best_form_is_judged_where_it_is_defined_and_says_where():
    rows = [*forms("a", **AHEAD), *forms("b", **UNDEFINED), *forms("a", "null_rotate", **BEHIND)]
    found = judged(BEST, "ab", rivals=rows)
    assert found.verdict == SUPPORTED
    assert "are defined for a power law and a rival on 1 of 2 curves" in found.sentence
    assert found.statistic.endswith("constant +9.0, 5.0 times; proportional +3.0, 2.0 times")
    assert judged(BEST, rivals=forms(**UNDEFINED)).statistic.endswith("nowhere defined")


def gains(*values: float) -> list[tuple]:
    """Rows of curves on which the power law is better than the better baseline by this."""
    rows: list[tuple] = []
    for curve, gain in zip("abcdef", values, strict=False):
        rows += forms(curve, power_law=(0, 0, -1.0), persistence=(0, 0, -1.0 - gain), proportional=(0, 0, 9))
    return rows


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.4, 0.5, 0.45, 0.42), SUPPORTED),
        ((0.4, 0.5, 0.45, 0.42, 0.38, 0.0), SUPPORTED),  # one curve without a gain has no veto
        ((0.4, -0.5, 0.4, -0.3), INCONCLUSIVE),
        ((-0.05, -0.06, -0.055, -0.06), NOT_SUPPORTED),
        ((0.4, 0.5), INCONCLUSIVE),
        ((0.4, np.nan, 0.4), INCONCLUSIVE),
        ((), INCONCLUSIVE),
    ],
)
def test_a_prediction_is_better_than_both_baselines(values, verdict):
    assert judged(PREDICTS, "abcdef"[: max(len(values), 1)], rivals=gains(*values)).verdict == verdict


def test_predictions_of_nulls_are_told_by_the_name_of_the_null():
    null = forms("a", "null_rotate", power_law=(0, 0, 0.1), persistence=(0, 0, 0.5), proportional=(0, 0, 0.7))
    found = judged(PREDICTS, "ab", rivals=[*gains(0.4, 0.1), *null])
    assert "rotated neurons (0.40)" in found.sentence
    assert "untrained networks (none)" in found.sentence
    assert "a: 1.00, 1.40, 9.00" in found.statistic


@pytest.mark.parametrize(
    ("curves", "verdict"),
    [
        ([[(0.5, True), (0.59, True)]], SUPPORTED),
        ([[(0.5, True), (0.59, False)]], SUPPORTED),  # outside a very narrow interval
        ([[(0.5, True), (0.61, True)]], INCONCLUSIVE),
        ([[(0.5, True), (0.61, False)]], NOT_SUPPORTED),
        ([[(0.5, True), (0.5, True)], [(0.5, True), (0.65, False)]], SUPPORTED),  # 0.075 on average
        ([[(0.5, True), (0.5, True)], [(0.5, True), (0.8, False)]], NOT_SUPPORTED),
        ([[(0.5, True), (np.nan, np.nan)]], INCONCLUSIVE),
        ([[(0.5, np.nan), (0.9, np.nan)]], INCONCLUSIVE),
        ([], INCONCLUSIVE),
    ],
)
def test_estimators_agree_differ_or_leave_it_open(curves, verdict):
    rows = [("ab"[i], "count", f"e{j}", *one, 5) for i, curve in enumerate(curves) for j, one in enumerate(curve)]
    rows += [("a", "excess", "ols", 9.0, False, 5)]
    assert judged(ROBUST, "ab"[: len(curves)], estimators=rows).verdict == verdict


def test_a_curve_of_three_points_weighs_a_third_of_one_of_five():
    rows = [("a", "count", "e1", 0.5, True, 5), ("a", "count", "e2", 0.5, True, 5)]
    rows += [("b", "count", "e1", 0.5, True, 3), ("b", "count", "e2", 0.86, False, 3)]
    found = judged(ROBUST, "ab", estimators=rows)
    assert found.verdict == SUPPORTED
    assert "estimate differ by 0.09" in found.sentence


def test_estimators_are_judged_alike_after_they_were_written(tmp_path):
    rows = [("a", "count", "ols", 0.5, True, 5), ("a", "count", "theil_sen", 0.7, False, 5),
            ("a", "count", "x", np.nan, np.nan, 5)]  # fmt: skip
    write_table(tmp_path / "t.csv", pd.DataFrame(rows, columns=COLUMNS["estimators"]))
    read = read_table(tmp_path / "t.csv")
    found = judged(ROBUST, estimators=list(read.itertuples(index=False, name=None)))
    assert found.verdict == NOT_SUPPORTED
    assert found.statistic == "alpha over estimators: a: 0.50 to 0.70"


def test_what_a_null_does_as_well_is_supported_by_no_claim_about_the_same_counts():
    pooled = [tuple(POOLED)]
    estimators = [("a", "count", "e1", 0.5, True, 5), ("a", "count", "e2", 0.5, True, 5)]
    given = {"rivals": [*forms("a", **AHEAD), *gains(0.4, 0.5, 0.45)], "pooled": pooled, "estimators": estimators}
    given["rivals"] = forms("a", **AHEAD)
    for claim in (BEST, ROBUST, ONE):
        assert judged(claim, "ab", **given).verdict == SUPPORTED
        found = judged(claim, "ab", counts=DROWNED, **given)
        assert (found.verdict, found.reason) == (INCONCLUSIVE, "null")
        assert "a null gives as many" in found.sentence
    found = judged(PREDICTS, "abc", counts=DROWNED, rivals=gains(0.4, 0.5, 0.45))
    assert (found.verdict, found.reason) == (INCONCLUSIVE, "null")


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


WOBBLE = np.array([1.01, 0.99, 1.0, 1.005, 0.995])


def isolation(gap: float, scatter: float = 1.0, kind: str = "real") -> list[tuple]:
    """Rows of a curve of five points whose isolation x matches / neurons grows with exponent `gap`."""
    matches = 3 * NEURONS**0.6
    values = NEURONS / matches * NEURONS**gap * WOBBLE**scatter
    return [("neox-bloom", f"r{i + 1}", kind, m, s) for i, (m, s) in enumerate(zip(matches, values, strict=True))]


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        (isolation(0.0), SUPPORTED),
        (isolation(0.05), SUPPORTED),  # surely small, even if it is not zero
        (isolation(0.1), INCONCLUSIVE),
        (isolation(0.3), NOT_SUPPORTED),
        (isolation(-0.3), NOT_SUPPORTED),
        (isolation(0.0, scatter=30), INCONCLUSIVE),
        (isolation(0.0)[:2], INCONCLUSIVE),
        ([], INCONCLUSIVE),
        ([*isolation(0.0), *isolation(0.0, kind="rotate")], INCONCLUSIVE),
        ([*isolation(0.0), *isolation(0.3, kind="rotate")], SUPPORTED),
        ([*isolation(0.3), *isolation(0.0, kind="rotate")], NOT_SUPPORTED),
    ],
)
def test_isolation_agrees_with_the_theory_where_that_of_no_null_does(rows, verdict):
    found = judged(ISOLATION, counts=counts_of(3 * NEURONS**0.6), isolation=rows)
    assert found.verdict == verdict
    assert found.reason == ("" if verdict != INCONCLUSIVE else "null" if "rotate" in str(rows) else "power")


def test_isolation_says_what_its_verdict_hides():
    rows = [*isolation(0.0), *isolation(0.02, kind="rotate")]
    found = judged(ISOLATION, counts=counts_of(3 * NEURONS**0.6), isolation=rows)
    assert found.statistic.startswith("exponent of isolation less (1 - alpha): -0.00 [-0.02,")
    assert found.null == pytest.approx(0.02, abs=0.01)
    assert "the matches of rotate agree with the theory as closely" in found.sentence


def both_betas(curve="a", sizes=(1.5, 1.4, 1.6), ranks=(1.5, 1.4, 1.6), kind="real") -> list[tuple]:
    return [(curve, kind, "beta_sizes", *sizes), (curve, kind, "beta_ranks", *ranks)]


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


@pytest.mark.slow(0.2)
def test_claims_are_judged_on_tables_as_they_are_written(tables):
    found = {one.words: one for one in judge_fits(tables, [TOP1, HALF])}
    assert len(found) == 2 * 6 + 1
    assert all(one.topic == FIT and one.as_json()["fit"] for one in found.values())
    assert found[f"{ONE} ({TOP1})"].verdict == SUPPORTED
    assert found[f"{PREDICTS} ({TOP1})"].verdict == SUPPORTED
    assert found[ISOLATION].verdict == SUPPORTED
    assert "nan" not in " ".join(one.statistic + one.sentence for one in found.values())
