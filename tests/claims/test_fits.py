"""Claims about fits, judged on rows whose verdict is known."""

import numpy as np
import pandas as pd
import pytest
from fitted_studies import fitted_tables
from judged_fits import BEST, COLUMNS, ISOLATION, ONE, PREDICTS, RANKS, ROBUST, SHARE, SIMULATED, judged
from planted_counts import HALF, TOP1

from rosetta_scaling.claims.fits import judge_fits
from rosetta_scaling.claims.verdicts import FIT, INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED
from rosetta_scaling.fits.counts import ABSCISSAE
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
