"""Legal counts on which fitting libraries give up: a finite estimate, or a note that says why there is none."""

import warnings

import numpy as np
import pandas as pd
import pytest

from rosetta_scaling.fits.counts import one_fit
from rosetta_scaling.fits.tables import can_be_fitted
from rosetta_scaling.fits.theory.data import theory_table
from rosetta_scaling.fits.theory.simulation import QUANTITIES, recovered_exponent
from rosetta_scaling.power_laws.coverage import Truth, coverage
from rosetta_scaling.power_laws.estimators import (
    ESTIMATORS,
    NO_CONVERGENCE,
    NO_PREFACTOR,
    fit_power_law,
    negative_binomial,
    ols,
    quasi_poisson,
    theil_sen,
)
from rosetta_scaling.power_laws.random_effects import fit_measured
from rosetta_scaling.power_laws.rivals import FORMS, compare, influence, predict

pytestmark = pytest.mark.slow(0.5)

# Found by a search through random counts: statsmodels raises ValueError on each of them.
NO_DISPERSION = ([400, 3000, 7000, 8000, 10000, 20000, 800000], [619, 0, 0, 35, 2, 15, 150])
NO_FIT = ([66, 1330, 268797, 367221, 639594, 1246803, 3282002, 8841090], [12, 0, 0, 8, 59, 0, 32, 395288])
NO_START = ([71, 3528, 33140, 617065, 1546489, 1645377], [0, 0, 0, 0, 6, 64])
CLOSE = ([10022, 10028, 10064, 10065, 10072, 10081, 10084], [976, 963, 894, 150, 42, 482, 345])  # within 1%


@pytest.mark.parametrize(
    ("fit", "points"),
    [
        (negative_binomial, NO_DISPERSION),
        (negative_binomial, NO_FIT),
        (negative_binomial, NO_START),
        (quasi_poisson, NO_FIT),
    ],
)
def test_counts_on_which_the_library_gives_up_have_no_estimate(fit, points):
    found = fit(*points, 0.95)
    assert found["note"] == NO_CONVERGENCE == "the fit did not converge"
    assert np.isnan([found[key] for key in ("alpha", "low", "high", "c")]).all()


def test_where_only_the_dispersion_fails_the_other_estimator_has_its_value():
    assert quasi_poisson(*NO_DISPERSION, 0.95)["alpha"] == pytest.approx(-0.4927056, abs=1e-6)
    assert quasi_poisson(*NO_START, 0.95)["note"] == "the fit did not converge in 100 iterations"


def test_mistakes_of_the_caller_are_not_taken_for_a_fit_that_does_not_converge():
    with pytest.raises(ValueError, match="broadcast"):
        quasi_poisson([1, 2, 3], [1, 2, 3, 4], 0.95)


@pytest.mark.parametrize("fit", ESTIMATORS.values())
def test_sizes_within_one_percent_have_an_exponent_without_a_prefactor(fit):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit(*CLOSE, 0.95)
    assert found["alpha"] < -100
    assert np.isnan(found["c"])
    assert NO_PREFACTOR in found["note"]


def test_such_a_curve_is_refused_with_the_reason_by_the_tables():
    x, y = pd.Series(CLOSE[0], name="neurons"), pd.Series(CLOSE[1])
    found = one_fit(x, x, y, 0.95)
    assert np.isnan(found["alpha"])
    assert found["note"] == NO_PREFACTOR
    assert not can_be_fitted(pd.DataFrame({"x": x, "y": y}))
    assert can_be_fitted(pd.DataFrame({"x": x, "y": x}))  # proportional: c is 1


def test_forms_of_sizes_that_are_almost_equal():
    """The quadratic has three columns that are almost one; the inverse of their products does not exist."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = compare([10070, 10076, 10085, 10085], [3, 1, 1, 4], 0.95).set_index("form")
    quadratic = table.loc["quadratic"]
    assert np.isfinite(quadratic.squares)
    assert np.isnan(quadratic.low)
    assert "no standard error" in quadratic.note
    assert NO_PREFACTOR in table.loc["power law"].note


def test_a_prediction_is_a_number_however_steep_the_form():
    found = predict("quadratic", [10008, 10056, 10077], [55, 66, 89], 100770)
    assert found in (np.exp(700.0), np.exp(-700.0))


def test_the_influence_of_a_point_alone_at_its_size_is_not_known():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = influence([7000, 7000, 10000], [1462, 1362, 1977], 0.95)
    assert table.leverage.round(6).tolist() == [0.5, 0.5, 1.0]
    assert table[["residual", "cook"]].isna().all(axis=1).tolist() == [False, False, True]


def test_points_that_weigh_too_unequally_have_no_interval():
    x = [10042, 10045, 10053, 10064, 10090, 10092, 10095]
    y = [10042, 10045, 1015, 4996, 10090, 8341, 10095]
    se = [3.813981494366777, 3.5842153133043455, 17.76444691313977, 5.112615997757258, 0.06374463770487035]
    found = fit_measured(x, y, [*se, 7.609101761349524e-06, 17.9784354889048], 0.95)
    assert np.isfinite(found["alpha"]) or found["note"]
    assert np.isfinite(found["low"]) or "no standard error" in found["note"]


def test_coverage_of_a_curve_that_scatters_by_many_orders_of_magnitude():
    """Poisson's mean would be more than numpy draws."""
    table = coverage(np.array([100.0, 1000, 10000]), Truth(1.0, 1.0, sd=25.0), 0.95, draws=50, seed=0)
    assert table["draws"].tolist() == [50] * 5
    assert table.set_index("estimator").bias["ols"] == pytest.approx(0, abs=20)


def test_theory_of_a_curve_whose_points_have_one_size():
    point = {"curve": "a", "criterion": "best", "kind": "real", "matches": 5.0, "isolation": 2.0, "rank_slope": 1.5}
    assert theory_table(pd.DataFrame([point | {"neurons": 1000}] * 3), 0.95).empty


def test_a_simulation_that_finds_nothing_has_no_exponent():
    sizes = [16, 32, 64, 128]
    table = pd.DataFrame({"beta": 2.0, "neurons": sizes} | {key: [1.0, 2, 4, 8] for key in QUANTITIES})
    found = recovered_exponent(table.assign(matches_half=[0.0, 0, 1, 2]), 0.95).set_index("quantity")
    assert found.alpha["matches"] == pytest.approx(1.0)
    assert np.isnan(found.alpha["matches_half"])
    assert found.points.to_dict() == {"matches": 4, "matches_half": 2, "predicted": 4}


def random_counts(rng: np.random.Generator) -> tuple[list[float], list[float]]:
    """3 to 8 sizes, far apart or almost equal, and counts of one of several kinds, many of them zero."""
    n = rng.integers(3, 9)
    close = rng.random() < 0.25
    x = np.sort(np.round(1e4 * (1 + rng.uniform(0, 0.01, n)) if close else np.exp(rng.uniform(np.log(16), 16, n))))
    kinds = (
        rng.integers(0, 1000, n),
        np.round(np.exp(rng.uniform(0, np.log(1e6), n))) * rng.integers(0, 2, n),
        np.minimum(x, np.round(np.exp(rng.uniform(-1, 16, n)))),
        np.where(rng.random(n) < 0.6, 0, rng.integers(1, 4, n)),
        rng.poisson(x ** rng.uniform(0, 1)),
    )
    return x.tolist(), kinds[rng.integers(len(kinds))].astype(float).tolist()


def test_random_counts_have_a_finite_estimate_or_a_reason():
    rng, fitted = np.random.default_rng(0), 0
    for _ in range(150):
        x, y = random_counts(rng)
        if len(set(x)) < 2:
            continue
        fits = [quasi_poisson, negative_binomial] + ([ols, theil_sen] if min(y) > 0 else [])
        for fit in fits:
            found = fit(x, y, 0.95)
            finite = np.isfinite([found[key] for key in ("alpha", "low", "high", "c")]).all()
            assert finite or found["note"], (fit.__name__, x, y)
            fitted += finite
        if min(y) > 0:
            found = fit_measured(x, y, np.exp(rng.uniform(-12, 3, len(x))), 0.95)
            assert np.isfinite(list(found.values())[:4]).all() or found["note"], (x, y)
    assert fitted > 150


def test_random_curves_pass_through_all_forms():
    rng, compared = np.random.default_rng(1), 0
    for _ in range(60):
        x, y = random_counts(rng)
        if min(y) == 0 or len(set(x)) < 2:
            continue
        table = compare(x, y, 0.95).set_index("form")
        for name, form in FORMS.items():
            row = table.loc[name]
            assert np.isfinite(row[[*form.names, "squares"]].astype(float)).all() or row.note, (name, x, y)
            assert not np.isinf(predict(name, x, y, 10 * max(x))), (name, x, y)
        assert np.isfinite(influence(x, y, 0.95).leverage).all()
        assert np.isfinite(fit_power_law(x, y)["alpha"])
        compared += 1
    assert compared > 10
