"""Estimators of an exponent, against independent computations, and how often their intervals hold the truth."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from rosetta_scaling.numerics.intervals import of_share
from rosetta_scaling.power_laws.coverage import Truth, coverage
from rosetta_scaling.power_laws.estimators import (
    ESTIMATORS,
    concordant_pairs,
    few_points_warning,
    fit_power_law,
    negative_binomial,
    ols,
    predict_power_law,
    quasi_poisson,
    theil_sen,
)
from rosetta_scaling.power_laws.random_effects import fit_measured
from rosetta_scaling.store.errors import StudyError

pytestmark = pytest.mark.slow(0.5)

SIZES = 192 * 2.0 ** np.arange(8)
LOGARITHMIC = ("ols", "theil_sen")
COUNTING = ("quasi_poisson", "negative_binomial")
T3 = 3.182446305284263  # 97.5% quantile of Student's t with 3 degrees of freedom, from a printed table

# Counts at the first five sizes: much and slightly more varied than Poisson, and less.
VARIED, SLIGHTLY, EVEN = np.array([[14, 40, 33, 90, 80], [14, 30, 44, 90, 110], [14, 24, 40, 67, 112.0]])


def counts(seed: int, points: int = 5, sd: float = 0.2, first: float = 20, alpha: float = 0.75) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.poisson(first * (SIZES[:points] / 192) ** alpha * np.exp(sd * rng.standard_normal(points))).astype(float)


def design(points: int) -> np.ndarray:
    return np.column_stack([np.ones(points), np.log(SIZES[:points])])


# -- what all have in common -----------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(alpha=st.floats(-1.5, 2), first=st.floats(1, 300), points=st.integers(3, 8))
def test_noise_free_counts_give_the_exponent_back(alpha, first, points):
    x = SIZES[:points]
    for name, estimate in ESTIMATORS.items():
        found = estimate(x, first * (x / 192) ** alpha, 0.95)
        assert found["alpha"] == pytest.approx(alpha, abs=1e-6), name
        assert np.log(found["c"]) == pytest.approx(np.log(first) - alpha * np.log(192), abs=1e-5), name


@pytest.mark.parametrize("y", [[5, 5, 5], [10, 20, 40], [3, 6, 12, 24]])
def test_points_exactly_on_the_fit_have_no_interval_but_a_note(y):
    for name in ("ols", "quasi_poisson"):
        found = ESTIMATORS[name](SIZES[: len(y)], y, 0.95)
        assert np.isfinite(found["alpha"])
        assert np.isnan([found["low"], found["high"]]).all()
        assert "exactly on the fit" in found["note"]
    # Chance is still there.
    found = negative_binomial(SIZES[: len(y)], y, 0.95)
    assert found["low"] < found["alpha"] < found["high"]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimate_is_the_same_whatever_the_order_and_unit_of_size(name):
    one = ESTIMATORS[name](SIZES[:5], VARIED, 0.9)
    order = [3, 0, 4, 2, 1]
    other = ESTIMATORS[name](7e6 * SIZES[:5][order], VARIED[order], 0.9)
    for key in ("alpha", "low", "high"):
        assert other[key] == pytest.approx(one[key], abs=1e-6)
    assert other["c"] * 7e6 ** other["alpha"] == pytest.approx(one["c"], rel=1e-5)
    assert one["low"] < one["alpha"] < one["high"]
    assert one["note"] == other["note"] == ""
    wider = ESTIMATORS[name](SIZES[:5], VARIED, 0.95)
    assert wider["high"] - wider["low"] >= one["high"] - one["low"]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_has_no_exponent_is_refused(name):
    estimate = ESTIMATORS[name]
    with pytest.raises(StudyError, match=r"of 2 points; it needs at least 3: add rungs"):
        estimate([1, 2], [1, 2], 0.95)
    with pytest.raises(StudyError, match=r"all have size 4; sizes must differ: add rungs"):
        estimate([4, 4, 4], [1, 2, 3], 0.95)
    for x, y in (
        ([0, 1, 2], [1, 2, 3]),
        ([1, 2, 3], [1, -1, 2]),
        ([1, 2, 3], [1, np.nan, 2]),
        ([1, 2, np.inf], [1, 2, 3]),
    ):
        with pytest.raises(StudyError, match=r"are (not positive|negative or missing): x .*; leave them out"):
            estimate(x, y, 0.95)


@pytest.mark.parametrize("name", LOGARITHMIC)
def test_zeros_have_no_logarithm(name):
    with pytest.raises(StudyError, match="not positive"):
        ESTIMATORS[name]([1, 2, 3], [0, 1, 2], 0.95)


@pytest.mark.parametrize("name", COUNTING)
def test_counts_may_be_zero_and_need_not_be_whole(name):
    found = ESTIMATORS[name](SIZES[:5], [0, 3.5, 2, 9, 20.25], 0.95)
    assert found["note"] == ""
    assert 0.5 < found["alpha"] < 2


@pytest.mark.parametrize("name", COUNTING)
@pytest.mark.parametrize(
    ("y", "note"),
    [([0, 0, 0], "all counts are zero"), ([0, 0, 5], "size 768, an end"), ([5, 0, 0], "size 192, an end")],
)
def test_where_the_likelihood_has_no_maximum_there_is_no_fit(name, y, note):
    found = ESTIMATORS[name](SIZES[:3], y, 0.95)
    assert np.isnan([found[key] for key in ("alpha", "low", "high", "c")]).all()
    assert note in found["note"]


def test_a_fit_that_did_not_converge_says_so():
    found = negative_binomial(SIZES[:7], [7, 0, 1, 0, 0, 0, 99], 0.95)
    assert np.isnan(found["alpha"])
    assert found["note"] == "the fit did not converge in 100 iterations"


def test_few_points_are_warned_of():
    assert few_points_warning(5) == few_points_warning(8) == ""
    assert "3 points leave 1 degree of freedom" in few_points_warning(3)
    assert "is 12.7 standard errors" in few_points_warning(3)
    assert "4 points leave 2 degrees of freedom" in few_points_warning(4)
    assert "is 4.3 standard errors" in few_points_warning(4)


def test_reading_tables_does_not_wait_for_statsmodels():
    code = "import sys; from rosetta_scaling.power_laws import coverage, rivals; sys.exit('statsmodels' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- least squares ---------------------------------------------------------------------------------------------------


def test_least_squares_are_those_of_the_normal_equations_and_of_statsmodels():
    from statsmodels.regression.linear_model import OLS

    z, v = design(5), np.log(VARIED)
    beta = np.linalg.solve(z.T @ z, z.T @ v)
    variance = ((v - z @ beta) ** 2).sum() / 3 * np.linalg.inv(z.T @ z)[1, 1]
    found = ols(SIZES[:5], VARIED, 0.95)
    assert found["alpha"] == pytest.approx(beta[1])
    assert found["c"] == pytest.approx(np.exp(beta[0]))
    assert found["high"] - found["alpha"] == pytest.approx(T3 * np.sqrt(variance))
    assert found["alpha"] - found["low"] == pytest.approx(T3 * np.sqrt(variance))
    reference = OLS(v, z).fit()
    assert [ols(SIZES[:5], VARIED, 0.8)[key] for key in ("low", "high")] == pytest.approx(reference.conf_int(0.2)[1])
    law = fit_power_law(SIZES[:5], VARIED)
    assert law == pytest.approx(
        {k: v for k, v in found.items() if k != "note"} | {"r2": reference.rsquared, "points": 5}
    )
    middle, low, high = predict_power_law(SIZES[:5], VARIED, 10_000)
    frame = reference.get_prediction([1, np.log(10_000)]).summary_frame(0.05)
    assert np.log([middle, low, high]) == pytest.approx(frame[["mean", "obs_ci_lower", "obs_ci_upper"]].to_numpy()[0])


# -- counts ----------------------------------------------------------------------------------------------------------


def newton(y: np.ndarray, dispersion: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients, the inverse of the expected information and Pearson's chi2, from the likelihood alone."""
    z = design(len(y))
    z[:, 1] -= z[:, 1].mean()

    def minus_likelihood(beta):
        eta = z @ beta
        if dispersion == 0:
            return (np.exp(eta) - y * eta).sum()
        size = 1 / dispersion
        return (np.logaddexp(np.log(size), eta) * (y + size) - y * eta).sum()

    beta = optimize.minimize(minus_likelihood, [np.log(y.mean()), 0], tol=1e-12, method="Nelder-Mead").x
    mean = np.exp(z @ beta)
    weight = mean / (1 + dispersion * mean)
    chi2 = ((y - mean) ** 2 / (mean + dispersion * mean**2)).sum()
    return beta, np.linalg.inv((z * weight[:, None]).T @ z), chi2


@pytest.mark.parametrize("y", [VARIED, EVEN, counts(1, 8), np.array([0, 2, 0, 9, 14.0])])
def test_quasi_poisson_is_the_likelihood_with_the_variance_of_the_residuals(y):
    n = len(y)
    beta, inverse, chi2 = newton(y, 0)
    found = quasi_poisson(SIZES[:n], y, 0.95)
    assert found["alpha"] == pytest.approx(beta[1], abs=1e-6)
    half = stats.t.ppf(0.975, n - 2) * np.sqrt(chi2 / (n - 2) * inverse[1, 1])
    assert [found["low"], found["high"]] == pytest.approx([beta[1] - half, beta[1] + half], abs=1e-5)
    assert (found["c"] * SIZES[:n] ** found["alpha"]).sum() == pytest.approx(y.sum())  # as every Poisson fit


@pytest.mark.parametrize("y", [VARIED, SLIGHTLY, counts(1, 8), counts(2, 8, 0.5), np.array([0, 3, 2, 19, 14.0])])
def test_the_dispersion_solves_the_moment_equation(y):
    n = len(y)
    grid = np.exp(np.linspace(np.log(1e-3), np.log(10), 60))
    excess = np.array([newton(y, d)[2] - (n - 2) for d in grid])
    assert (np.diff(np.sign(excess)) != 0).sum() == 1
    dispersion = np.exp(np.interp(0, -excess, np.log(grid)))
    beta, inverse, _ = newton(y, dispersion)
    found = negative_binomial(SIZES[:n], y, 0.95)
    half = stats.t.ppf(0.975, n - 2) * np.sqrt(inverse[1, 1])
    # As near as the grid is fine.
    assert found["alpha"] == pytest.approx(beta[1], abs=0.002)
    assert [found["low"], found["high"]] == pytest.approx([beta[1] - half, beta[1] + half], abs=0.01)


def test_counts_that_vary_less_than_chance_are_poisson():
    beta, inverse, chi2 = newton(EVEN, 0)
    assert chi2 < 3
    found = negative_binomial(SIZES[:5], EVEN, 0.95)
    half = T3 * np.sqrt(inverse[1, 1])
    assert [found["low"], found["high"]] == pytest.approx([beta[1] - half, beta[1] + half], abs=1e-5)


@pytest.mark.parametrize("factor", [1.0001, 1.001, 1.1, 3])
def test_the_dispersion_is_found_however_small(factor):
    """Counts whose chi2 is barely above its degrees of freedom."""
    beta, _, _ = newton(EVEN, 0)
    mean = EVEN.sum() * SIZES[:5] ** beta[1] / (SIZES[:5] ** beta[1]).sum()
    deviation = VARIED - mean
    scale = optimize.brentq(lambda s: newton(mean + s * deviation, 0)[2] - 3 * factor, 0, 2)
    y = mean + scale * deviation
    found, poisson = negative_binomial(SIZES[:5], y, 0.95), quasi_poisson(SIZES[:5], y, 0.95)
    assert found["note"] == ""
    assert found["alpha"] == pytest.approx(poisson["alpha"], abs=0.06 * (factor - 1) + 1e-5)


# -- Theil and Sen ---------------------------------------------------------------------------------------------------


def rising(sizes, values) -> int:
    """Pairs of points of different size of which the larger has the larger value."""
    pairs = itertools.combinations(range(len(sizes)), 2)
    return sum((sizes[j] - sizes[i]) * (values[j] - values[i]) > 0 for i, j in pairs)


@pytest.mark.parametrize("sizes", [(1, 2, 3), (1, 2, 3, 4, 5), (1, 2, 2, 3), (1, 1, 2, 2, 2, 3), (4, 1, 3, 2, 4, 4, 1)])
def test_the_distribution_of_rising_pairs_is_that_of_all_orders(sizes):
    found = [rising(sizes, order) for order in itertools.permutations(range(len(sizes)))]
    expected = np.bincount(found, minlength=len(concordant_pairs(np.array(sizes))))
    assert concordant_pairs(np.array(sizes)) == pytest.approx(expected / expected.sum())


@pytest.mark.parametrize(("points", "confidence"), [(4, 0.9), (5, 0.95), (5, 0.9), (6, 0.95), (7, 0.95), (7, 0.9)])
def test_the_interval_is_what_an_exact_test_does_not_reject(points, confidence):
    """Slopes just inside are not rejected by Kendall's test of y against size; those just outside are."""
    x, y = SIZES[:points], counts(3, points, 0.4)
    found = theil_sen(x, y, confidence)
    null = np.array([rising(range(points), order) for order in itertools.permutations(range(points))])

    def rejected(slope: float) -> bool:
        observed = rising(x, np.log(y) - slope * np.log(x))
        pairs = points * (points - 1) // 2
        return (null >= max(observed, pairs - observed)).mean() <= (1 - confidence) / 2

    assert not rejected(found["low"] + 1e-9)
    assert not rejected(found["high"] - 1e-9)
    assert rejected(found["low"] - 1e-9)
    assert rejected(found["high"] + 1e-9)
    slopes = [np.log(y[j] / y[i]) / np.log(x[j] / x[i]) for i, j in itertools.combinations(range(points), 2)]
    assert found["alpha"] == pytest.approx(np.median(slopes))
    assert np.log(found["c"]) == pytest.approx(np.median(np.log(y) - found["alpha"] * np.log(x)))


def test_the_interval_at_five_points_is_between_the_extreme_slopes():
    slopes = [np.log(VARIED[j] / VARIED[i]) / np.log(2) / (j - i) for i, j in itertools.combinations(range(5), 2)]
    found = theil_sen(SIZES[:5], VARIED, 0.95)
    assert [found["low"], found["high"]] == pytest.approx([min(slopes), max(slopes)])


@pytest.mark.parametrize(
    ("points", "confidence", "widest", "enough"),
    [(3, 0.95, "66.7%", 5), (4, 0.95, "91.7%", 5), (5, 0.99, "98.3%", 6), (3, 0.9, "66.7%", 4)],
)
def test_too_few_slopes_have_no_interval(points, confidence, widest, enough):
    found = theil_sen(SIZES[:points], counts(4, points), confidence)
    assert np.isfinite(found["alpha"])
    assert np.isnan([found["low"], found["high"]]).all()
    assert f"no {100 * confidence:g}% interval exists for {points} points" in found["note"]
    assert f"have {widest}, and {enough} points" in found["note"]
    assert np.isfinite(theil_sen(SIZES[:enough], counts(4, enough), confidence)["low"])


def test_equal_sizes_have_no_slope_between_them():
    x, y = np.array([1, 2, 2, 4, 8, 16.0]), np.array([1, 2, 9, 4, 8, 16.0])
    found = theil_sen(x, y, 0.95)
    assert found["alpha"] == pytest.approx(1)
    assert np.isfinite(found["low"])


def test_one_wild_point_moves_the_median_of_slopes_little():
    y = 20 * (SIZES / 192) ** 0.75
    y[7] *= 4
    assert abs(theil_sen(SIZES, y, 0.95)["alpha"] - 0.75) < 0.01
    assert ols(SIZES, y, 0.95)["alpha"] > 0.9


# -- coverage --------------------------------------------------------------------------------------------------------


def simulate(points: int, first: float, sd: float, draws: int, alpha: float = 0.75):
    found = coverage(SIZES[:points], Truth(alpha, first / 192**alpha, sd), 0.95, draws=draws, seed=0)
    return found.set_index("estimator")


def test_least_squares_cover_at_their_nominal_rate_where_only_models_differ():
    """Counts so large that chance is nothing: ln y is normal with one variance, as the theory has it."""
    rng, hits = np.random.default_rng(0), 0
    x = SIZES[:5]
    for _ in range(1000):
        found = ols(x, 3 * x**0.75 * np.exp(rng.normal(0, 0.15, 5)), 0.95)
        hits += found["low"] < 0.75 < found["high"]
    assert 0.93 < hits / 1000 < 0.97


def test_coverage_at_five_points():
    """The sizes and counts of a study. Theil and Sen's interval has 98.3%; the negative binomial is never narrower
    than chance, so it covers more than it says.
    """
    found = simulate(5, 14, 0.15, 400)
    assert (found.draws == 400).all()
    assert (found.without == 0).all()
    assert found.coverage[["ols", "quasi_poisson", "measured"]].between(0.91, 0.98).all()
    assert 0.96 < found.coverage["theil_sen"] <= 1
    assert 0.95 < found.coverage["negative_binomial"] <= 1
    assert found.bias.abs().max() < 0.04
    assert found.half_width["theil_sen"] > 1.4 * found.half_width["ols"]
    for row in found.itertuples():
        assert [row.coverage_low, row.coverage_high] == pytest.approx(of_share(round(row.coverage * 400), 400, 0.95))


def test_where_the_usual_intervals_cover_too_little():
    """At 8 points from 8 to 300: chance makes small counts vary more than least squares know, and 30% of difference
    between models makes large counts vary more than quasi-Poisson knows. Errors that are measured mend both.
    """
    found = simulate(8, 8, 0, 400)
    assert 0.87 < found.coverage["ols"] < 0.95
    assert 0.92 < found.coverage["measured"] < 0.98
    assert found.half_width["measured"] < 0.9 * found.half_width["ols"]
    found = simulate(8, 14, 0.3, 200)
    assert 0.86 < found.coverage["quasi_poisson"] < 0.96
    assert found.coverage[["negative_binomial", "measured"]].between(0.91, 0.99).all()


def test_three_points_have_wide_intervals_that_hold():
    found = simulate(3, 14, 0.15, 300)
    assert found.coverage[["ols", "quasi_poisson", "measured"]].between(0.92, 0.98).all()
    assert found.coverage["negative_binomial"] > 0.99
    assert found.without["theil_sen"] == 1
    assert np.isnan(found.coverage["theil_sen"])
    assert np.isnan(found.coverage_low["theil_sen"])
    assert found.half_width["ols"] > 1.5


def test_draws_without_an_interval_are_told_apart():
    found = simulate(5, 2, 0.1, 100)
    zeros = np.random.default_rng(0).poisson(2, 1000)
    assert found.without["ols"] == pytest.approx((zeros == 0).mean(), abs=0.1)  # hardly any but at the smallest size
    assert found.without["ols"] == found.without["theil_sen"] == found.without["measured"]
    assert found.without["quasi_poisson"] < 0.03


def test_a_simulation_of_one_draw_is_its_fits():
    x, rng = SIZES[:5], np.random.default_rng(6)
    error = rng.standard_normal((1, 5))
    y = rng.poisson(20 * (x / 192) ** 0.75 * np.exp(0.2 * error))[0]
    found = coverage(x, Truth(0.75, 20 / 192**0.75, 0.2), 0.9, draws=1, seed=6).set_index("estimator")
    expected = {name: estimate(x, y, 0.9) for name, estimate in ESTIMATORS.items()}
    expected["measured"] = fit_measured(x, y, 1 / np.sqrt(y), 0.9)
    assert list(found.index) == list(expected)
    for name, fit in expected.items():
        assert found.half_width[name] == pytest.approx((fit["high"] - fit["low"]) / 2)
        assert found.bias[name] == pytest.approx(fit["alpha"] - 0.75)
        assert found.coverage[name] == (fit["low"] < 0.75 < fit["high"])


def test_a_simulation_is_that_of_its_seed():
    first, again = (coverage(SIZES[:4], Truth(0.5, 2, 0.1), 0.9, draws=20, seed=3) for _ in range(2))
    assert first.equals(again)
    other = coverage(SIZES[:4], Truth(0.5, 2, 0.1), 0.9, draws=20, seed=4)
    assert not first.equals(other)
    with pytest.raises(StudyError, match="at least 3"):
        coverage(SIZES[:2], Truth(0.5, 2, 0.1), 0.9, draws=20, seed=3)
