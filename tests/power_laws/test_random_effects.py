"""Random effects: points with errors of measurement, and several curves."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from rosetta_scaling.power_laws.estimators import ols
from rosetta_scaling.power_laws.random_effects import fit_measured, meta_regression, pool
from rosetta_scaling.store.errors import StudyError

SIZES = 192 * 2.0 ** np.arange(8)
VARIED = np.array([14, 40, 33, 90, 80.0])
ERRORS = np.array([0.3, 0.05, 0.2, 0.1, 0.1])


def design(points: int) -> np.ndarray:
    return np.column_stack([np.ones(points), np.log(SIZES[:points])])


# -- points that are measured with error -----------------------------------------------------------------------------


@pytest.mark.parametrize("se", [1e-3, 0.1, 5.0])
def test_equal_errors_make_it_least_squares(se):
    """Whether they explain all that the points scatter, or nothing of it."""
    found, expected = fit_measured(SIZES[:5], VARIED, [se] * 5, 0.9), ols(SIZES[:5], VARIED, 0.9)
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    spread = np.var(np.log(VARIED) - expected["alpha"] * np.log(SIZES[:5])) * 5 / 3
    assert found["between"] == pytest.approx(np.sqrt(max(0, spread - se**2)), abs=1e-6)


def test_the_variance_between_models_solves_the_equation_of_paule_and_mandel():
    from statsmodels.regression.linear_model import WLS

    def sum_of_squares(tau2: float) -> float:
        return WLS(np.log(VARIED), design(5), weights=1 / (tau2 + ERRORS**2)).fit().ssr

    tau2 = optimize.bisect(lambda tau2: sum_of_squares(tau2) - 3, 0, 10)
    reference = WLS(np.log(VARIED), design(5), weights=1 / (tau2 + ERRORS**2)).fit()
    found = fit_measured(SIZES[:5], VARIED, ERRORS, 0.95)
    assert found["between"] == pytest.approx(np.sqrt(tau2))
    assert found["alpha"] == pytest.approx(reference.params[1])
    assert np.log(found["c"]) == pytest.approx(reference.params[0])
    assert [found["low"], found["high"]] == pytest.approx(reference.conf_int()[1])


def test_errors_that_explain_all_scatter_leave_weighted_least_squares():
    from statsmodels.regression.linear_model import WLS

    reference = WLS(np.log(VARIED), design(5), weights=1 / (3 * ERRORS) ** 2).fit()
    assert reference.ssr < 3
    found = fit_measured(SIZES[:5], VARIED, 3 * ERRORS, 0.95)
    assert found["between"] == 0
    assert [found["low"], found["high"]] == pytest.approx(reference.conf_int()[1])


def test_a_badly_measured_point_counts_little():
    y = 20 * (SIZES[:5] / 192) ** 0.75 * np.exp([0.01, -0.02, 0.01, 0.01, 1.0])
    assert fit_measured(SIZES[:5], y, [0.02, 0.02, 0.02, 0.02, 1.5], 0.95)["alpha"] == pytest.approx(0.75, abs=0.02)
    assert ols(SIZES[:5], y, 0.95)["alpha"] > 1


def test_a_noise_free_law_comes_back_without_an_interval():
    found = fit_measured(SIZES[:4], 3 * SIZES[:4] ** 0.6, [0.1, 0.2, 0.1, 0.3], 0.95)
    assert found["alpha"] == pytest.approx(0.6)
    assert np.isnan(found["low"])
    assert "exactly" in found["note"]


@pytest.mark.parametrize(("tau", "least"), [(0, 0.92), (0.1, 0.9)])
def test_it_covers_when_errors_differ(tau, least):
    rng, hits = np.random.default_rng(0), 0
    for _ in range(1000):
        y = SIZES[:5] ** 0.75 * np.exp(rng.normal(0, np.hypot(tau, ERRORS)))
        found = fit_measured(SIZES[:5], y, ERRORS, 0.95)
        hits += found["low"] < 0.75 < found["high"]
    assert least < hits / 1000 < 0.975


def test_errors_must_be_known_and_points_enough():
    for se in ([0, 0.1, 0.1], [np.nan, 0.1, 0.1], [-0.1, 0.1, 0.1], [np.inf, 1, 1]):
        with pytest.raises(StudyError, match=r"must be positive, found .*: measure them or use ols"):
            fit_measured(SIZES[:3], [1, 2, 3], se, 0.95)
    with pytest.raises(StudyError, match="at least 3"):
        fit_measured(SIZES[:2], [1, 2], [0.1, 0.1], 0.95)
    with pytest.raises(StudyError, match="not positive"):
        fit_measured(SIZES[:3], [0, 1, 2], [0.1, 0.1, 0.1], 0.95)


# -- several curves --------------------------------------------------------------------------------------------------


def curves(seed: int, points=(3, 4, 5), number: int = 6, between: float = 0.2, sd: float = 0.1) -> pd.DataFrame:
    """Curves that start anywhere, with exponents around 0.75."""
    rng, parts = np.random.default_rng(seed), []
    for curve in range(number):
        x = SIZES[: points[curve % len(points)]]
        y = np.exp(rng.normal(3, 0.5) + rng.normal(0.75, between) * np.log(x / 192) + rng.normal(0, sd, len(x)))
        parts.append(pd.DataFrame({"curve": f"curve {9 - curve}", "x": x, "y": y}))
    return pd.concat(parts, ignore_index=True)


def test_the_parts_of_a_pool_are_those_of_a_meta_analysis():
    from statsmodels.stats.meta_analysis import combine_effects

    table = curves(1)
    found = pool(table, 0.9)
    fits = {
        curve: stats.linregress(np.log(part.x), np.log(part.y)) for curve, part in table.groupby("curve", sort=False)
    }
    squares = sum(
        ((np.log(part.y) - fits[curve].intercept - fits[curve].slope * np.log(part.x)) ** 2).sum()
        for curve, part in table.groupby("curve")
    )
    residual = np.sqrt(squares / 12)  # 24 points, 6 lines
    assert found["residual"] == pytest.approx(residual)
    spreads = [np.var(np.log(part.x), ddof=0) * len(part) for _, part in table.groupby("curve", sort=False)]
    errors = residual / np.sqrt(spreads)
    slopes = np.array([fit.slope for fit in fits.values()])
    reference = combine_effects(slopes, errors**2, method_re="pm", use_t=True, alpha=0.1, atol=1e-10)
    assert found["alpha"] == pytest.approx(reference.mean_effect_re)
    assert found["between"] == pytest.approx(np.sqrt(reference.tau2), abs=1e-6)
    half = stats.t.ppf(0.95, 5) * np.sqrt(reference.var_hksj_re)
    assert [found["low"], found["high"]] == pytest.approx([found["alpha"] - half, found["alpha"] + half], abs=1e-6)
    rows = found["curves"]
    assert rows.curve.tolist() == list(fits)
    assert rows.points.tolist() == [3, 4, 5, 3, 4, 5]
    assert rows.alpha.to_numpy() == pytest.approx(slopes)
    assert rows.low.to_numpy() == pytest.approx(slopes - stats.t.ppf(0.95, 12) * errors)
    assert rows.high.to_numpy() == pytest.approx(slopes + stats.t.ppf(0.95, 12) * errors)
    trust = found["between"] ** 2 / (found["between"] ** 2 + errors**2)
    assert rows.shrunken.to_numpy() == pytest.approx(trust * slopes + (1 - trust) * found["alpha"])


@pytest.mark.parametrize(("points", "number"), [((8,), 8), ((4,), 6), ((3,), 6)])
def test_a_pool_is_the_mixed_model_where_that_converges(points, number):
    """With equal curves the estimate by moments and the one by restricted likelihood (statsmodels) are the same."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    compared = 0
    for seed in range(6):
        table = curves(seed, points, number, between=0.3)
        x = np.column_stack([np.ones(len(table)), np.log(table.x / table.x.median())])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            mixed = MixedLM(np.log(table.y), x, table.curve, exog_re=x).fit(reml=True)
        if not mixed.converged or caught:
            continue
        found = pool(table, 0.95)
        compared += 1
        assert found["alpha"] == pytest.approx(mixed.fe_params.iloc[1], abs=1e-6)
        assert found["between"] == pytest.approx(np.sqrt(mixed.cov_re.iloc[1, 1]), abs=1e-3)
        assert found["residual"] == pytest.approx(np.sqrt(mixed.scale), abs=1e-3)
        rows = found["curves"]
        own = mixed.params["x1"] + np.array([mixed.random_effects[curve].iloc[1] for curve in rows.curve])
        # The mixed model's exponents also use the starts of the curves, which tell little of them.
        assert rows.shrunken.to_numpy() == pytest.approx(own, abs=0.1)
    assert compared >= 3


@pytest.mark.parametrize("between", [0, 0.1, 0.3])
@pytest.mark.slow(0.1)
def test_a_pool_recovers_the_mean_and_the_spread_of_exponents(between):
    found = [pool(curves(seed, between=between), 0.95) for seed in range(200)]
    assert np.mean([one["alpha"] for one in found]) == pytest.approx(0.75, abs=0.02)
    assert 0.92 < np.mean([one["low"] < 0.75 < one["high"] for one in found]) < 0.98
    assert np.mean([one["residual"] ** 2 for one in found]) == pytest.approx(0.01, rel=0.1)
    variance = np.mean([one["between"] ** 2 for one in found])
    # It is truncated at 0: where there is none, it is a part of the variance of one exponent, 0.01 / 2.4 or so.
    assert (variance < 0.003) if between == 0 else variance == pytest.approx(between**2, rel=0.15)


@pytest.mark.parametrize("between", [0, 0.3])
def test_the_test_of_one_exponent_is_that_of_nested_models(between):
    from statsmodels.formula.api import ols as formula

    table = curves(3, (3, 5, 4, 8), between=between)
    logs = pd.DataFrame({"curve": table.curve, "u": np.log(table.x), "v": np.log(table.y)})
    full, one = (formula(f"v ~ C(curve) {sign} u", logs).fit() for sign in "*+")
    assert pool(table, 0.95)["p_same"] == pytest.approx(full.compare_f_test(one)[1])


def test_shrunken_exponents_are_nearer_to_the_truth():
    own, shrunken = [], []
    for seed in range(100):
        rows = pool(curves(seed, (3,), between=0.05), 0.95)["curves"]
        own.append(((rows.alpha - 0.75) ** 2).mean())
        shrunken.append(((rows.shrunken - 0.75) ** 2).mean())
    assert np.mean(shrunken) < 0.7 * np.mean(own)


@pytest.mark.slow(0.1)
def test_curves_of_common_variance_have_intervals_that_hold():
    rng, hits, planted = np.random.default_rng(0), [], np.array([0.5, 0.75, 1.0])
    for _ in range(300):
        parts = [
            pd.DataFrame({"curve": i, "x": SIZES[:3], "y": SIZES[:3] ** alpha * np.exp(rng.normal(0, 0.1, 3))})
            for i, alpha in enumerate(planted)
        ]
        rows = pool(pd.concat(parts), 0.95)["curves"]
        hits.append((rows.low < planted) & (planted < rows.high))
    assert np.mean(hits) == pytest.approx(0.95, abs=0.03)


def test_noise_free_curves_keep_their_exponents():
    table = pd.concat([pd.DataFrame({"curve": i, "x": SIZES[:4], "y": SIZES[:4] ** (0.5 + i / 10)}) for i in range(4)])
    found = pool(table, 0.95)
    assert found["alpha"] == pytest.approx(0.65)
    assert found["between"] == pytest.approx(np.std([0.5, 0.6, 0.7, 0.8], ddof=1))
    assert found["curves"].shrunken.to_numpy() == pytest.approx([0.5, 0.6, 0.7, 0.8])
    alike = pool(table.assign(y=3 * table.x**0.6), 0.95)
    assert [alike["alpha"], alike["between"]] == pytest.approx([0.6, 0], abs=1e-6)
    level = pool(table.assign(y=1.0), 0.95)  # without a trace of rounding
    assert [level["alpha"], level["between"]] == [0, 0]
    assert (level["curves"].shrunken == 0).all()


def test_variances_of_any_size_leave_the_moment_equation_solved():
    effects = np.array([0.2, 0.9, 0.5, 0.7])
    for scale in (1e-14, 1e-8, 1e-3):
        variance = scale * np.array([1, 5, 2, 3.0])
        (mean,), _, tau2 = meta_regression(np.ones((4, 1)), effects, variance)
        assert ((effects - mean) ** 2 / (tau2 + variance)).sum() == pytest.approx(3, abs=1e-6)


def test_a_pool_needs_two_curves_of_three_points():
    with pytest.raises(StudyError, match="of 1 curves; it needs at least 2: add curves"):
        pool(curves(0, number=1), 0.95)
    with pytest.raises(StudyError, match="at least 3: add rungs"):
        pool(curves(0, (3, 2)), 0.95)
    assert np.isfinite(pool(curves(0, (3,), number=2), 0.95)["low"])
