"""Exponents of y = c * x**alpha at 3 to 8 sizes, by several estimators. The model (one point) is the replicate.

x (points,) are sizes, y (points,) counts. An estimate is a dictionary: alpha, its interval [low, high], the prefactor c
and a note, which says why an interval or a fit is missing (NaN) and is empty otherwise. Values that no estimator, or
not this one, can fit raise StudyError. statsmodels is imported where it is used: that takes a second.
"""

import functools
import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import optimize, stats

from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import keep_traceback

Values: TypeAlias = np.ndarray | pd.Series  # one number per point

LARGEST_LOG = 700.0  # exp of more is no floating-point number
NO_PREFACTOR = "the sizes lie too close together to tell the prefactor: it is no floating-point number"
NO_CONVERGENCE = "the fit did not converge"
EXACT = 1e-7  # residuals of ln y that are smaller are rounding: a count of a million that is one off has a larger one


def checked_points(x: Values, y: Values, *, zeros: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """x and y as floats. Raises StudyError where they have no exponent; counts of zero pass if `zeros`."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    if len(x) < MINIMUM_RUNGS:
        raise StudyError(f"a fit was asked of {len(x)} points; it needs at least {MINIMUM_RUNGS}: add rungs")
    if not (np.isfinite(x * y) & (x > 0) & ((y >= 0) if zeros else (y > 0))).all():
        wrong = "are negative or missing" if zeros else "are not positive"
        raise StudyError(
            f"a power law was asked of values that {wrong}: x {x.tolist()}, y {y.tolist()}; leave them out"
        )
    if len(set(x)) < 2:
        raise StudyError(f"a power law was asked of points that all have size {x[0]:g}; sizes must differ: add rungs")
    return x, y


def t_quantile(confidence: float, freedom: int) -> float:
    """How many standard errors Student's interval reaches to either side."""
    return stats.t.ppf((1 + confidence) / 2, freedom)


def few_points_warning(n: int) -> str:
    """What a fit to 3 or 4 points cannot tell, for a 95% interval; empty for more, and for fewer: they have no fit."""
    if n not in (3, 4):
        return ""
    freedom = "1 degree" if n == 3 else "2 degrees"
    return (
        f"{n} points leave {freedom} of freedom: the half width of a 95% interval is "
        f"{t_quantile(0.95, n - 2):.1f} standard errors, where many points would make it 2.0"
    )


def missing(note: str) -> dict:
    """The estimate where nothing could be fitted: all NaN, with the note that says why."""
    return dict.fromkeys(("alpha", "low", "high", "c"), np.nan) | {"note": note}


def prefactor(log_c: float) -> float:
    """exp(log_c), NaN where that is no floating-point number: far from all sizes, y can be anything at x = 1."""
    return np.exp(log_c) if abs(log_c) <= LARGEST_LOG else np.nan


def fit_power_law(x: Values, y: Values, confidence: float = 0.95) -> dict[str, float]:
    """alpha, its interval [low, high], c and R^2 of y = c * x**alpha, and the number of points.

    c is NaN where it is no floating-point number; where all y are equal, R^2 and the interval are. Ordinary least
    squares of ln y on ln x; the interval is Student's t with points - 2 degrees of freedom.
    """
    x, y = checked_points(x, y)
    fit = stats.linregress(np.log(x), np.log(y))
    half = t_quantile(confidence, len(x) - 2) * fit.stderr
    return {
        "alpha": fit.slope,
        "low": fit.slope - half,
        "high": fit.slope + half,
        "c": prefactor(fit.intercept),
        "r2": fit.rvalue**2,
        "points": len(x),
    }


def bounded_exp(log_y: Any) -> Any:
    """exp of the logarithm of predicted values; those that no floating-point number can hold become e**700, e**-700."""
    return np.exp(np.clip(log_y, -LARGEST_LOG, LARGEST_LOG))


def predict_power_law(x: Values, y: Values, at: float, confidence: float = 0.95) -> tuple[float, float, float]:
    """y = c * x**alpha at another x, with the prediction interval of one more observation (least squares, log-log)."""
    x, y = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    fit, n = stats.linregress(x, y), len(x)
    middle = fit.intercept + fit.slope * np.log(at)
    spread = np.sqrt(((y - fit.intercept - fit.slope * x) ** 2).sum() / (n - 2))
    far = np.sqrt(1 + 1 / n + (np.log(at) - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    half = t_quantile(confidence, n - 2) * spread * far
    return tuple(bounded_exp([middle, middle - half, middle + half]).tolist())


def ols(x: Values, y: Values, confidence: float) -> dict:
    """Least squares of ln y on ln x, Student's t with points - 2 degrees of freedom.

    It takes ln y to vary equally at all sizes. The smallest counts vary more by chance: where they are 8 to 14 and 8
    points reach to 300 or 500, 95% intervals cover 91 to 93% (coverage.py); `fit_measured` weighs them.
    """
    x, y = checked_points(x, y)
    fit = stats.linregress(np.log(x), np.log(y))
    error = 0.0 if np.isnan(fit.rvalue) else fit.stderr  # linregress knows no error of equal values
    return student_estimate(fit.slope, error, prefactor(fit.intercept), freedom=len(x) - 2, confidence=confidence)


def quasi_poisson(x: Values, y: Values, confidence: float) -> dict:
    """Variance in proportion to the mean, by the factor chi2 / (points - 2) (McCullagh & Nelder 1989); Student's t.

    Where models differ by 30% beyond chance, the variance of large counts grows faster, and at 8 points 95% intervals
    cover 92 to 93% (coverage.py).
    """

    def fit(x: np.ndarray, y: np.ndarray) -> dict:
        poisson = _glm(x, y)
        return _glm_estimate(x, poisson, poisson.pearson_chi2 / (len(x) - 2), confidence)

    return _if_it_converges(fit, x, y)


def negative_binomial(x: Values, y: Values, confidence: float) -> dict:
    """Variance mean + d * mean^2, with d so that Pearson's chi2 is points - 2 (Breslow 1984); Student's t.

    d is looked for on its logarithm. It is zero (Poisson) when the counts vary no more than that already, and since the
    variance is never less than that, the interval is too wide where chance is all there is: it covers 98 to 100%.
    """
    return _if_it_converges(lambda x, y: _glm_estimate(x, _dispersed_glm(x, y), 1.0, confidence), x, y)


def _dispersed_glm(x: np.ndarray, y: np.ndarray):
    """The negative binomial fit with the dispersion that makes Pearson's chi2 points - 2, or Poisson's without any."""
    fit, freedom = _glm(x, y), len(x) - 2

    @functools.cache  # the search comes back to the ends of its bracket, and to the root
    def dispersed(log_dispersion: float) -> Any:
        return _glm(x, y, np.exp(log_dispersion))

    def excess(log_dispersion: float) -> float:
        return dispersed(log_dispersion).pearson_chi2 / freedom - 1

    poisson = fit.pearson_chi2 / freedom - 1
    if poisson > EXACT:
        low = high = np.log(poisson / y.mean())
        while excess(low) < 0:
            low -= 1
        while excess(high) > 0:
            high += 1
        fit = dispersed(optimize.brentq(excess, low, high))
    return fit


def _if_it_converges(fit: Callable[[np.ndarray, np.ndarray], dict], x, y) -> dict:
    """What `fit` finds on the counts y at sizes x, zeros among them; missing where statsmodels and scipy give up.

    They do on extreme but legal counts: weights overflow, and nothing is left of the likelihood.
    """
    x, y = checked_points(x, y, zeros=True)
    if note := _no_maximum(x, y):
        return missing(note)
    try:
        with np.errstate(all="ignore"):
            found = fit(x, y)
    except (ValueError, ArithmeticError) as error:  # LinAlgError is a ValueError
        keep_traceback(error)
        return missing(NO_CONVERGENCE)
    return found if np.isfinite(found["alpha"]) or found["note"] else missing(NO_CONVERGENCE)


def _no_maximum(x: np.ndarray, y: np.ndarray) -> str:
    """Why the likelihood of counts has no maximum; empty where it has one."""
    some = x[y > 0]
    if not len(some):
        return "all counts are zero: they have no exponent"
    if some.min() == x.max() or some.max() == x.min():
        return f"only the counts at size {some[0]:g}, an end of the curve, are not zero: the exponent has no bound"
    return ""


def _glm(x: np.ndarray, y: np.ndarray, dispersion: float = 0.0) -> Any:
    """Counts fitted to ln x, less its mean, with log link: Poisson, or negative binomial (NB2) with a dispersion."""
    from statsmodels.genmod import families
    from statsmodels.genmod.generalized_linear_model import GLM
    from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

    family = families.NegativeBinomial(alpha=dispersion) if dispersion else families.Poisson()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PerfectSeparationWarning)  # raised by an exact fit, which does no harm here
        design = np.column_stack([np.ones_like(x), np.log(x) - np.log(x).mean()])
        return GLM(y, design, family).fit(tol=1e-8, tol_criterion="params")


def _glm_estimate(x: np.ndarray, fit: Any, scale: float, confidence: float) -> dict:
    """The estimate of a fit of statsmodels that converged, with Student's interval; `scale` multiplies the variance."""
    if not fit.converged:
        return missing(f"{NO_CONVERGENCE} in {fit.fit_history['iteration']} iterations")
    (middle, alpha), error = fit.params, np.sqrt(scale * fit.normalized_cov_params[1, 1])
    c = prefactor(middle - alpha * np.log(x).mean())
    return student_estimate(alpha, error, c, freedom=len(x) - 2, confidence=confidence)


def student_estimate(alpha: float, error: float, c: float, *, freedom: int, confidence: float) -> dict:
    """An estimate with Student's interval, which is missing where the standard error is zero or not known.

    Where c is NaN, the note says that there is no prefactor.
    """
    half, note = t_quantile(confidence, freedom) * error, ""
    if error < EXACT:
        half, note = np.nan, "the points lie exactly on the fit: no residual is left to give an interval"
    elif not np.isfinite(error):
        half, note = np.nan, "no standard error: the sizes lie too close together, or the points weigh too unequally"
    return {"alpha": alpha, "low": alpha - half, "high": alpha + half, "c": c, "note": with_prefactor(note, c)}


def with_prefactor(note: str, c: float) -> str:
    """The note of an estimate, which also tells when there is no prefactor."""
    return note if np.isfinite(c) else "; ".join(filter(None, [note, NO_PREFACTOR]))


def theil_sen(x: Values, y: Values, confidence: float) -> dict:
    """Median of the log-log slopes of all pairs of points; the interval is between two of these (Sen 1968).

    Which two, the exact distribution of Kendall's S says (Hollander & Wolfe): S steps in units, so the confidence is at
    least the nominal one (98.3% for 95% at 5 points), and with few points no two slopes are far enough apart.
    """
    x, y = checked_points(x, y)
    (i, j), x, y = np.triu_indices(len(x), 1), np.log(x), np.log(y)
    differ = x[i] != x[j]
    slopes = np.sort((y[j] - y[i])[differ] / (x[j] - x[i])[differ])
    fit = stats.theilslopes(y, x, method="joint")
    at_most = np.cumsum(concordant_pairs(x))
    cut = int((at_most <= (1 - confidence) / 2 + 1e-12).sum())  # as many slopes are left out at either end
    low, high, note = np.nan, np.nan, ""
    if cut:
        low, high = slopes[cut - 1], slopes[-cut]
    else:
        enough = next(n for n in itertools.count(3) if 2 / math.factorial(n) <= 1 - confidence)
        note = (
            f"no {100 * confidence:g}% interval exists for {len(x)} points: all slopes together have "
            f"{100 - 200 * at_most[0]:.1f}%, and {enough} points of different sizes are needed"
        )
    c = prefactor(fit.intercept)
    return {"alpha": fit.slope, "low": low, "high": high, "c": c, "note": with_prefactor(note, c)}


def concordant_pairs(sizes: np.ndarray) -> np.ndarray:
    """Probability (pairs + 1,) of every number of rising pairs of different size, if all orders of y are as likely.

    Kendall's S is twice this number less the pairs. The orders with n rising pairs are counted by the coefficient of
    q^n in the product of 1 + q + ... + q^(k-1) for k up to the number of points, divided by the same for every size
    that occurs several times.
    """
    ways = np.ones(1)
    for k in range(2, len(sizes) + 1):
        ways = np.convolve(ways, np.ones(k))
    for tied in np.unique(sizes, return_counts=True)[1]:
        for k in range(2, tied + 1):
            ways = np.asarray(np.polydiv(ways, np.ones(k))[0])
    return ways / ways.sum()


ESTIMATORS = {
    "ols": ols, "quasi_poisson": quasi_poisson, "negative_binomial": negative_binomial, "theil_sen": theil_sen
}  # fmt: skip
