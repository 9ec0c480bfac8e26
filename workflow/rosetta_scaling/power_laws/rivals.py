"""The power law beside its rivals, and the influence of single points on it.

All forms of y(x) are fitted by least squares of ln y: one error model, so their AICc compare. With u = ln x a form is
ln y = offset(u, theta) + columns(u, theta) @ coefficients. The coefficients are solved for at every theta, and theta is
looked for on a grid, then between the neighbours of the best.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize

from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.power_laws.estimators import (
    EXACT,
    Values,
    bounded_exp,
    checked_points,
    fit_power_law,
    prefactor,
    student_estimate,
    with_prefactor,
)

GRID = 200
PERSISTENCE = "persistence"


@dataclass(frozen=True)
class Form:
    """A form: the names of its coefficients (the first is ln c), its terms, its grid of theta, the sizes it needs.

    terms(u (points,), theta (grid, 1)) gives the offset and the columns, each of which broadcasts to (grid, points).
    candidates(u, first) gives theta (grid,), where the form is positive from `first` on, the smallest u.
    """

    names: tuple[str, ...]
    terms: Callable[[np.ndarray, np.ndarray], tuple]
    candidates: Callable[[np.ndarray, float], np.ndarray] | None = None
    least: int = 1

    def design(self, u: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Offset (grid, points) and columns (grid, points, coefficients)."""
        offset, columns = self.terms(u, theta[:, None])
        shape = len(theta), len(u)
        return np.broadcast_to(offset, shape), np.stack([np.broadcast_to(column, shape) for column in columns], -1)

    def squares(self, u: np.ndarray, v: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Residual sum of squares (grid,) of v = ln y."""
        offset, columns = self.design(u, theta)
        basis, rest = np.linalg.qr(columns).Q, (v - offset)[..., None]
        return ((rest - basis @ (basis.mT @ rest)) ** 2).sum((1, 2))


def _log_of_positive(values: np.ndarray) -> np.ndarray:
    return np.log(np.where(values > 0, values, np.nan))


# theta is, of the logarithm, y = c * (u - theta), the ln x where y would be 0; of the saturating form,
# y = c * x / (theta + x), the x of half the limit c; of the broken one the x of the break. At one end of the grids
# the first two become constant, at the other the second becomes proportional.
FORMS = {
    "constant": Form(("c",), lambda u, theta: (0, [1])),
    "proportional": Form(("c",), lambda u, theta: (u, [1])),
    "power law": Form(("c", "alpha"), lambda u, theta: (0, [1, u]), least=2),
    "logarithmic": Form(
        ("c",),
        lambda u, theta: (_log_of_positive(u - theta), [1]),
        lambda u, first: first - (u.max() - first) * np.geomspace(1e-6, 1e3, GRID),
        least=2,
    ),
    "saturating": Form(
        ("c",),
        lambda u, theta: (u - np.logaddexp(u, np.log(theta)), [1]),
        lambda u, first: np.exp(np.linspace(u.min() - np.log(1e3), u.max() + np.log(1e3), GRID)),
        least=2,
    ),
    "quadratic": Form(("c", "alpha", "curvature"), lambda u, theta: (0, [1, u, u**2]), least=3),
    "broken power law": Form(
        ("c", "alpha", "change"),
        lambda u, theta: (0, [1, u, np.maximum(u - np.log(theta), 0)]),
        lambda u, first: np.exp(np.linspace(np.unique(u)[1], np.unique(u)[-2], GRID + 2)[1:-1]),  # strictly between
        least=6,
    ),
}


@dataclass(frozen=True)
class Fit:
    form: Form
    theta: float
    coefficients: np.ndarray
    squares: float
    at_bound: bool

    def at(self, u: np.ndarray) -> np.ndarray:
        """ln y at u (points,); NaN where the form is not positive."""
        offset, columns = self.form.design(u, np.array([self.theta]))
        return offset[0] + columns[0] @ self.coefficients


def fit_form(form: Form, u: np.ndarray, v: np.ndarray, first: float) -> Fit | None:
    """Least squares of v = ln y on u = ln x; None where there are fewer different sizes than the form asks for."""
    if len(np.unique(u)) < form.least:
        return None
    theta, at_bound = 0.0, False
    if form.candidates:
        grid = form.candidates(u, first)
        squares = form.squares(u, v, grid)
        best = int(squares.argmin())
        around = np.sort(grid[[max(best - 1, 0), min(best + 1, GRID - 1)]])
        refined = optimize.minimize_scalar(
            lambda theta: form.squares(u, v, np.array([theta]))[0],
            bounds=around, method="bounded", options={"xatol": 1e-10 * (around[1] - around[0])},
        )  # fmt: skip
        theta = refined.x if refined.fun < squares[best] else grid[best]
        at_bound = theta in (grid[0], grid[-1])
    offset, columns = form.design(u, np.array([theta]))
    coefficients = np.linalg.lstsq(columns[0], v - offset[0], rcond=None)[0]
    squares = ((v - offset[0] - columns[0] @ coefficients) ** 2).sum()
    return Fit(form, theta, coefficients, squares, at_bound)


def compare(x: Values, y: Values, confidence: float) -> pd.DataFrame:
    """A row per form, and one for persistence, which predicts the value of the next smaller size.

    c, alpha, change, curvature, theta: y = c * x**alpha * exp(curvature * ln(x)**2), or what FORMS says; beyond theta
    the exponent of a broken power law is alpha + change. low, high: the interval of alpha of the power law and of the
    curvature. parameters: how many, the variance counted; squares: of the residuals of ln y. aicc (Hurvich & Tsai 1989)
    and weight (Akaike's, among the forms that have an aicc). Errors of ln y, predicted less observed, of forms fitted
    to other points: left_out, root mean square over the points, each left out in turn; largest, that of the largest
    size fitted to all smaller ones; both NaN where those points are too few for the form. at_bound: theta is at an end
    of its grid, so the form is no better than a simpler one. note: which of the others are missing, and why.
    """
    x, y = checked_points(x, y)
    u, v = np.log(x), np.log(y)
    table = pd.DataFrame([_row(name, form, u, v, confidence=confidence) for name, form in FORMS.items()])
    likelihood = np.exp(-(table.aicc - table.aicc.min()) / 2)
    table.insert(table.columns.get_loc("aicc") + 1, "weight", likelihood / likelihood.sum())
    smaller = u < u.max()
    persistence = {"form": PERSISTENCE, "largest": _last(u[smaller], v[smaller]) - _last(u, v), "at_bound": False}
    persistence |= {"parameters": 0, "note": "the value of the next smaller size; nothing is fitted"}
    return pd.concat([table, pd.DataFrame([persistence])], ignore_index=True)


def predict(form: str, x: Values, y: Values, at: float) -> float:
    """y at another size by a form fitted to x and y; NaN where they are too few, or the form is not positive there."""
    x, y = checked_points(x, y)
    u, v = np.log(x), np.log(y)
    if form == PERSISTENCE:
        return float(np.exp(_last(u, v)))
    fit = fit_form(FORMS[form], u, v, u.min())
    return float(bounded_exp(fit.at(np.log([at]))[0])) if fit else np.nan


def influence(x: Values, y: Values, confidence: float) -> pd.DataFrame:
    """The influence of every point on the power law: a row each, in the order given.

    x, y; leverage; residual, internally studentised (always 1 or -1 at 3 points: one degree of freedom); cook, Cook's
    distance; and alpha, low, high of the other points, NaN where these are fewer than 3 or of one size. Residual and
    distance are NaN where the leverage is 1: the line goes through such a point, wherever it is.
    """
    from statsmodels.regression.linear_model import OLS
    from statsmodels.stats.outliers_influence import OLSInfluence

    x, y = checked_points(x, y)
    found = OLSInfluence(OLS(np.log(y), np.column_stack([np.ones_like(x), np.log(x)])).fit())
    table = pd.DataFrame({"x": x, "y": y, "leverage": found.hat_matrix_diag})
    with np.errstate(divide="ignore", invalid="ignore"):
        table["residual"], table["cook"] = found.resid_studentized_internal, found.cooks_distance[0]
    table.loc[table.leverage > 1 - EXACT, ["residual", "cook"]] = np.nan
    without = []
    for i in range(len(x)):
        others = np.delete(x, i), np.delete(y, i)
        fits = len(others[0]) >= MINIMUM_RUNGS and len(set(others[0])) > 1
        without.append(fit_power_law(*others, confidence) if fits else {})
    return table.join(pd.DataFrame(without, columns=["alpha", "low", "high"], dtype=float))


def _row(name: str, form: Form, u: np.ndarray, v: np.ndarray, *, confidence: float) -> dict[str, Any]:
    """One row of `compare`, without the weight."""
    n, coefficients, bounded = len(u), len(form.names), form.candidates is not None
    parameters = coefficients + bounded + 1
    row: dict[str, Any] = {"form": name} | dict.fromkeys(
        ("c", "alpha", "change", "curvature", "theta", "low", "high"), np.nan
    )
    row |= {"parameters": parameters} | dict.fromkeys(("squares", "aicc", "left_out", "largest"), np.nan)
    fit = fit_form(form, u, v, u.min())
    if fit is None:
        return row | {"at_bound": False, "note": f"it needs {form.least} points of different sizes"}
    row |= dict(zip(form.names, fit.coefficients, strict=True)) | {"c": prefactor(fit.coefficients[0])}
    row |= {"squares": fit.squares, "at_bound": fit.at_bound, "note": with_prefactor("", row["c"])}
    if bounded:
        row["theta"] = fit.theta
    elif coefficients > 1 and n > coefficients:
        error = _last_error(form.design(u, np.zeros(1))[1][0], fit.squares / (n - coefficients))
        alpha = fit.coefficients[-1]
        interval = student_estimate(alpha, error, row["c"], freedom=n - coefficients, confidence=confidence)
        row |= {key: interval[key] for key in ("low", "high", "note")}
    if n - parameters - 1 > 0:
        squares = max(fit.squares, n * EXACT**2)  # of two forms that fit exactly, the simpler one is better
        row["aicc"] = n * np.log(squares / n) + 2 * parameters * n / (n - parameters - 1)
    else:
        row["note"] = "; ".join(filter(None, [row["note"], f"no AICc below {parameters + 2} points"]))
    errors = [_error(form, u, v, np.arange(n) != i) for i in range(n)]
    return row | {"left_out": np.sqrt(np.mean(np.square(errors))), "largest": _error(form, u, v, u < u.max())}


def _last_error(columns: np.ndarray, variance: float) -> float:
    """Standard error of the last coefficient; NaN where columns (points, coefficients) are too alike to tell it."""
    try:
        squared = np.linalg.inv(columns.T @ columns)[-1, -1]
    except np.linalg.LinAlgError:
        return np.nan
    return np.sqrt(variance * squared) if squared >= 0 else np.nan


def _error(form: Form, u: np.ndarray, v: np.ndarray, fitted: np.ndarray) -> float:
    """Mean error of ln y of the points that are not `fitted` (points,), predicted less observed; NaN without a fit."""
    fit = fit_form(form, u[fitted], v[fitted], u.min())
    return np.mean(fit.at(u[~fitted]) - v[~fitted]) if fit else np.nan


def _last(u: np.ndarray, v: np.ndarray) -> float:
    """ln y of the largest size."""
    return v[u == u.max()].mean()
