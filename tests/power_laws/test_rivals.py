"""Rivals of the power law, on curves of known form, and the influence of points."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from rosetta_scaling.power_laws.estimators import fit_power_law
from rosetta_scaling.power_laws.rivals import FORMS, compare, influence, predict
from rosetta_scaling.store.errors import StudyError

X = 192 * 2.0 ** np.arange(8)
U = np.log(X)
PLANTED = {
    "constant": (np.full(8, 40.0), {"c": 40}),
    "proportional": (0.05 * X, {"c": 0.05}),
    "power law": (0.3 * X**0.7, {"c": 0.3, "alpha": 0.7}),
    "logarithmic": (30 * (U - 4.5), {"c": 30, "theta": 4.5}),
    "saturating": (300 * X / (1500 + X), {"c": 300, "theta": 1500}),
    "quadratic": (1e-3 * X**2.2 * np.exp(-0.1 * U**2), {"c": 1e-3, "alpha": 2.2, "curvature": -0.1}),
    "broken power law": (
        0.3 * X**0.9 * np.maximum(1, X / 2000) ** -0.6,
        {"c": 0.3, "alpha": 0.9, "change": -0.6, "theta": 2000},
    ),
}
NOISY = np.array([14, 30, 44, 90, 110, 160, 330, 390.0])


def rows(x, y, confidence: float = 0.95) -> pd.DataFrame:
    return compare(x, y, confidence).set_index("form")


@pytest.mark.parametrize("form", PLANTED)
def test_a_planted_form_comes_back_and_wins(form):
    y, planted = PLANTED[form]
    table = rows(X, y)
    found = table.loc[form]
    assert found[list(planted)].astype(float).to_numpy() == pytest.approx(list(planted.values()), rel=1e-6)
    assert found.squares < 1e-13
    assert table.aicc.idxmin() == form
    assert found.weight > 0.9
    assert found.left_out == pytest.approx(0, abs=1e-6)
    assert found.largest == pytest.approx(0, abs=1e-6)
    assert not found.at_bound
    unused = set(table.columns) & {"alpha", "change", "curvature", "theta"} - set(planted)
    assert found[list(unused)].isna().all()
    for at in (500, 1e5):
        expected = {
            "constant": 40, "proportional": 0.05 * at, "power law": 0.3 * at**0.7,
            "logarithmic": 30 * (np.log(at) - 4.5), "saturating": 300 * at / (1500 + at),
            "quadratic": 1e-3 * at**2.2 * np.exp(-0.1 * np.log(at) ** 2),
            "broken power law": 0.3 * at**0.9 * max(1, at / 2000) ** -0.6,
        }  # fmt: skip
        assert predict(form, X, y, at) == pytest.approx(expected[form], rel=1e-5)


def test_of_forms_that_fit_exactly_only_the_number_of_parameters_tells():
    table = rows(X, PLANTED["constant"][0])
    for form, k in (("power law", 3), ("quadratic", 4), ("broken power law", 5)):
        assert table.aicc[form] - table.aicc["constant"] == pytest.approx(16 * k / (7 - k) - 6.4)


@pytest.mark.parametrize("form", ["constant", "proportional", "power law", "logarithmic", "saturating"])
def test_a_planted_form_mostly_wins_through_noise(form):
    rng, wins = np.random.default_rng(0), []
    for _ in range(10):
        table = rows(X, PLANTED[form][0] * np.exp(rng.normal(0, 0.03, 8)))
        wins.append((table.aicc.idxmin() == form, table.left_out.idxmin() == form))
    assert (np.mean(wins, axis=0) >= (0.8, 0.5)).all()  # leaving points out is less strict with forms that contain it


@pytest.mark.parametrize(
    ("form", "model", "bounds"),
    [
        ("logarithmic", lambda p: p[0] + np.log(U - U[0] + np.exp(p[1])), [(0, 9), (-5, 5)]),
        ("saturating", lambda p: p[0] + U - np.log(np.exp(p[1]) + X), [(0, 20), (3, 15)]),
        (
            "broken power law",
            lambda p: p[0] + p[1] * (U - 8) + p[2] * np.maximum(U - p[3], 0),
            [(0, 9), (-1, 3), (-2, 2), (U[1], U[6])],
        ),
    ],
)
def test_the_search_finds_what_a_general_optimizer_finds(form, model, bounds):
    best = optimize.differential_evolution(
        lambda p: ((np.log(NOISY) - model(p)) ** 2).sum(), bounds, rng=np.random.default_rng(0), tol=1e-10, maxiter=3000
    )
    assert rows(X, NOISY).squares[form] == pytest.approx(best.fun, rel=1e-5)


def test_linear_forms_are_least_squares():
    table, v = rows(X, NOISY, 0.9), np.log(NOISY)
    law = fit_power_law(X, NOISY, 0.9)
    assert table.loc["power law", ["c", "alpha", "low", "high"]].tolist() == pytest.approx(
        [law[key] for key in ("c", "alpha", "low", "high")]
    )
    assert table.c["constant"] == pytest.approx(stats.gmean(NOISY))
    assert table.c["proportional"] == pytest.approx(stats.gmean(NOISY / X))
    coefficients, covariance = np.polyfit(U, v, 2, cov=True)
    half = stats.t.ppf(0.95, 5) * np.sqrt(covariance[0, 0])
    found = table.loc["quadratic"]
    assert [found.curvature, found.alpha, np.log(found.c)] == pytest.approx(coefficients)
    assert [found.low, found.high] == pytest.approx([coefficients[0] - half, coefficients[0] + half])
    assert table.loc["constant", ["low", "high"]].isna().all()
    assert table.loc["broken power law", ["low", "high"]].isna().all()


def test_criteria_are_those_of_their_formulas():
    table, v = rows(X, NOISY), np.log(NOISY)
    assert table.parameters.to_dict() == {
        "constant": 2, "proportional": 2, "power law": 3, "logarithmic": 3, "saturating": 3, "quadratic": 4,
        "broken power law": 5, "persistence": 0,
    }  # fmt: skip
    for form, found in table.drop("persistence").iterrows():
        k = found.parameters
        aic = 8 * np.log(found.squares / 8) + 2 * k
        assert found.aicc == pytest.approx(aic + 2 * k * (k + 1) / (8 - k - 1)), form
    weight = np.exp(-table.aicc.drop("persistence") / 2)
    assert table.weight.drop("persistence").to_numpy() == pytest.approx((weight / weight.sum()).to_numpy())
    without = [np.delete(np.arange(8), i) for i in range(8)]
    errors = [np.polyval(np.polyfit(U[k], v[k], 1), U[i]) - v[i] for i, k in enumerate(without)]
    assert table.left_out["power law"] == pytest.approx(np.sqrt(np.mean(np.square(errors))))
    assert table.largest["power law"] == pytest.approx(errors[-1])
    assert table.largest["constant"] == pytest.approx(v[:7].mean() - v[7])
    assert table.largest["persistence"] == pytest.approx(np.log(330 / 390))
    assert table.loc["persistence", ["squares", "aicc", "weight", "left_out"]].isna().all()


def test_forecasts_need_nothing_but_what_was_seen():
    """`largest` is the error of `predict` from all smaller sizes; the order of points does not matter."""
    table = rows(X, NOISY)
    for form in table.index:
        error = np.log(predict(form, X[:7], NOISY[:7], X[7]) / 390)
        assert table.largest[form] == pytest.approx(error, abs=1e-9), form
    order = np.random.default_rng(0).permutation(8)
    other = rows(X[order], NOISY[order])
    for column in ("squares", "left_out", "largest"):
        assert other[column].to_numpy() == pytest.approx(table[column].to_numpy(), nan_ok=True, rel=1e-4)
    assert predict("persistence", X[::-1], NOISY[::-1], 1e6) == pytest.approx(390)


def test_few_points_leave_criteria_out_and_say_so():
    for n in (3, 4, 5, 6, 7):
        table = rows(X[:n], NOISY[:n])
        enough = table.parameters.drop("persistence") <= n - 2
        fitted = ~table.note.str.contains("needs 6 points")
        assert fitted["broken power law"] == (n >= 6)
        assert (table.aicc.notna() == (enough & fitted).reindex(table.index, fill_value=False)).all()
        assert table.weight.sum() == pytest.approx(1 if n > 3 else 0)
        assert table.left_out.notna()["broken power law"] == (n >= 7)
        assert table.largest.notna()["broken power law"] == (n >= 7)
        assert table.left_out.notna()["quadratic"] == (n >= 4)
        assert table.left_out.notna()["power law"]
    table = rows(X[:5], NOISY[:5])
    assert table.note["quadratic"] == "no AICc below 6 points"
    assert table.note["power law"] == ""
    assert table.note["broken power law"] == "it needs 6 points of different sizes"
    assert np.isnan(predict("broken power law", X[:5], NOISY[:5], 1e4))
    exact = rows(X[:4], 2 * X[:4])
    assert "exactly on the fit" in exact.note["power law"]
    assert exact.note["power law"].endswith("; no AICc below 5 points")
    assert exact.loc["power law", ["low", "high"]].isna().all()


def test_a_break_lies_between_the_second_point_and_the_last_but_one():
    for y in (np.append(1.0, np.full(7, 100.0)), np.append(np.full(7, 100.0), 1000.0)):
        found = rows(X, y).loc["broken power law"]
        assert X[1] < found.theta < X[6]
        assert found.at_bound


def test_a_form_at_its_bound_says_so():
    """Counts that shrink neither saturate nor grow like a logarithm: both become constant."""
    table = rows(X, 1000 * X**-0.5)
    assert table.at_bound[["logarithmic", "saturating"]].all()
    assert table.squares[["logarithmic", "saturating"]].to_numpy() == pytest.approx(table.squares["constant"], rel=0.02)
    table = rows(X, X**1.5)
    assert table.at_bound["saturating"]
    assert table.squares["saturating"] == pytest.approx(table.squares["proportional"], rel=0.02)
    assert not rows(X, NOISY).at_bound.any()


def test_a_logarithm_has_no_value_below_its_zero():
    y = PLANTED["logarithmic"][0]
    assert np.isnan(predict("logarithmic", X, y, 50))
    # Left out in turn, the smallest size is not one at which the form fitted to the others would not exist.
    steep = np.array([1, 10, 50, 90, 130, 170, 210, 250.0])
    assert np.isfinite(rows(X, steep).left_out["logarithmic"])


def test_every_form_is_refused_what_has_no_logarithm():
    for ask in (
        lambda x, y: compare(x, y, 0.95),
        lambda x, y: influence(x, y, 0.95),
        lambda x, y: predict("constant", x, y, 9),
    ):
        with pytest.raises(StudyError, match="it needs at least 3: add rungs"):
            ask([1, 2], [1, 2])
        with pytest.raises(StudyError, match="not positive"):
            ask([1, 2, 3], [1, 0, 2])
        with pytest.raises(StudyError, match="all have size"):
            ask([2, 2, 2], [1, 3, 2])


def test_sizes_may_repeat():
    x = np.array([1, 1, 2, 2, 4, 4, 8, 8.0])
    table = rows(x, 3 * x**0.5 * np.exp([0.1, -0.1, -0.1, 0.1] * 2))
    assert table.alpha["power law"] == pytest.approx(0.5)
    assert table.loc["broken power law", "note"] == "it needs 6 points of different sizes"
    assert table.largest["power law"] == pytest.approx(0, abs=1e-9)
    assert table.largest["persistence"] == pytest.approx(-0.5 * np.log(2))
    assert set(FORMS) | {"persistence"} == set(table.index)


# -- influence -------------------------------------------------------------------------------------------------------


def test_influence_is_that_of_its_formulas():
    x, y = X[:5], NOISY[:5]
    table = influence(x, y, 0.9)
    z = np.column_stack([np.ones(5), np.log(x)])
    hat = z @ np.linalg.inv(z.T @ z) @ z.T
    residual = np.log(y) - hat @ np.log(y)
    leverage, variance = np.diag(hat), (residual**2).sum() / 3
    assert table.x.tolist() == x.tolist()
    assert table.y.tolist() == y.tolist()
    assert table.leverage.to_numpy() == pytest.approx(leverage)
    studentised = residual / np.sqrt(variance * (1 - leverage))
    assert table.residual.to_numpy() == pytest.approx(studentised)
    assert table.cook.to_numpy() == pytest.approx(studentised**2 * leverage / (1 - leverage) / 2)
    for i in range(5):
        others = fit_power_law(np.delete(x, i), np.delete(y, i), 0.9)
        assert table.loc[i, ["alpha", "low", "high"]].tolist() == pytest.approx(
            [others[key] for key in ("alpha", "low", "high")]
        )


def test_influence_of_three_points_and_of_one_that_makes_the_slope():
    table = influence(X[:3], NOISY[:3], 0.95)
    assert table.residual.abs().to_numpy() == pytest.approx(1)
    assert table[["alpha", "low", "high"]].isna().all(axis=None)
    table = influence([1, 1, 1, 2], [3, 4, 5, 9], 0.95)
    assert np.isnan(table.alpha[3])
    assert table.alpha[:3].notna().all()
    assert table.leverage[3] == pytest.approx(1)
