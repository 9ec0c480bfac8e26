"""Exponents by random effects: of points with errors of measurement, and of several curves with errors of exponents."""

import numpy as np
import pandas as pd
from scipy import optimize, stats

from rosetta_scaling.power_laws.estimators import (
    EXACT,
    Values,
    checked_points,
    prefactor,
    student_estimate,
    t_quantile,
)
from rosetta_scaling.store.errors import StudyError


def meta_regression(design: np.ndarray, y: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients (p,) of y (n,) on design (n, p), their covariance (p, p), and tau2, the variance beyond `variance`.

    tau2 makes the weighted sum of squares n - p (Paule & Mandel 1982), and is 0 if that is less already. The covariance
    has the factor of Knapp & Hartung (2003), sum of squares / (n - p), for Student's t with n - p degrees of freedom.
    It may be below 1, so with equal variances the interval is that of least squares. In simulations of 3 to 5 points,
    95% intervals covered 94 to 96%, and 88 to 94% where one point was measured ten times worse than the others and tau
    was no less than their errors; a factor kept at 1 or more made it 93 to 100%, mostly above 97%.
    The covariance is NaN where points weigh so unequally that nothing tells it.
    """
    freedom = len(y) - design.shape[1]

    def solve(tau2: float) -> tuple[np.ndarray, np.ndarray, float]:
        root = 1 / np.sqrt(tau2 + variance)
        beta = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
        return beta, root, ((root * (y - design @ beta)) ** 2).sum()

    tau2 = 0.0
    if solve(0.0)[2] > freedom:
        beta = np.linalg.lstsq(design, y, rcond=None)[0]
        top = 2 * ((y - design @ beta) ** 2).sum() / freedom  # above the root: the sum of squares is half or less
        # The inverse of the sum is almost a straight line in tau2, however small the variances are.
        tau2 = optimize.brentq(lambda tau2: freedom / solve(tau2)[2] - 1, 0, top, xtol=1e-10 * top)
    beta, root, squares = solve(tau2)
    triangle = np.linalg.qr(design * root[:, None]).R  # its square is not inverted: weights may differ by 1e17
    try:
        inverse = np.linalg.inv(triangle)
    except np.linalg.LinAlgError:
        inverse = np.full_like(triangle, np.nan)
    return beta, squares / freedom * inverse @ inverse.T, tau2


def fit_measured(x: Values, y: Values, se: Values, confidence: float) -> dict:
    """Meta-regression of ln y on ln x, where measurement gives ln y of every point a standard error se (points,).

    An estimate (see estimators.py) with `between`: the standard deviation of ln y beyond the measurement.
    """
    x, y = checked_points(x, y)
    se = np.asarray(se, float)
    if not (np.isfinite(se) & (se > 0)).all():
        raise StudyError(f"standard errors of ln y must be positive, found {se.tolist()}: measure them or use ols")
    (intercept, alpha), covariance, tau2 = meta_regression(
        np.column_stack([np.ones_like(x), np.log(x)]), np.log(y), se**2
    )
    error = np.sqrt(covariance[1, 1])
    c = prefactor(intercept)
    estimate = student_estimate(alpha, error, c, freedom=len(x) - 2, confidence=confidence)
    return estimate | {"between": np.sqrt(tau2)}


def pool(table: pd.DataFrame, confidence: float) -> dict:
    """Partial pooling of the exponents of the curves of a table with columns curve, x, y.

    Every curve has its own line in log-log and all have one residual variance: 1 to 6 degrees of freedom tell little.
    The exponents scatter around their mean by random effects. Returns the mean alpha with its interval low, high
    (Student's t, curves - 1 degrees of freedom); the standard deviations `between` curves (of exponents) and `residual`
    (of ln y); `p_same`, of the F test that all curves have one exponent; and `curves`, a row each: curve, points,
    alpha, low, high (Student's t, the common variance) and the shrunken (empirical-Bayes) exponent.
    """
    rows = []
    for curve, part in table.groupby("curve", sort=False):
        x, y = np.log(checked_points(part.x, part.y))
        fit = stats.linregress(x, y)
        squares, spread = ((y - fit.intercept - fit.slope * x) ** 2).sum(), ((x - x.mean()) ** 2).sum()
        rows.append({"curve": curve, "points": len(x), "alpha": fit.slope, "squares": squares, "spread": spread})
    if len(rows) < 2:
        raise StudyError(f"pooling was asked of {len(rows)} curves; it needs at least 2: add curves")
    found = pd.DataFrame(rows)
    freedom = int((found.points - 2).sum())
    residual = max(found.squares.sum() / freedom, EXACT**2)  # without any no curve would have a finite weight
    alpha, variance = found.alpha.to_numpy(), residual / found.spread.to_numpy()
    (mean,), covariance, tau2 = meta_regression(np.ones((len(found), 1)), alpha, variance)
    half = t_quantile(confidence, len(found) - 1) * np.sqrt(covariance[0, 0])
    own, shrunken = (
        t_quantile(confidence, freedom) * np.sqrt(variance),
        mean + (alpha - mean) * tau2 / (tau2 + variance),
    )
    curves = found[["curve", "points", "alpha"]].assign(low=alpha - own, high=alpha + own, shrunken=shrunken)
    apart = ((alpha - np.average(alpha, weights=1 / variance)) ** 2 / variance).sum() / (len(found) - 1)
    spreads = {"between": np.sqrt(tau2), "residual": np.sqrt(residual)}
    spreads["p_same"] = stats.f.sf(apart, len(found) - 1, freedom)
    return {"alpha": mean, "low": mean - half, "high": mean + half} | spreads | {"curves": curves}
