"""How often the intervals of the estimators hold the exponent, at the sizes and counts of a curve: a simulation."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rosetta_scaling.numerics import intervals
from rosetta_scaling.power_laws.estimators import ESTIMATORS, Values, checked_points, missing
from rosetta_scaling.power_laws.random_effects import fit_measured
from rosetta_scaling.store.errors import StudyError

LARGEST_MEAN = 1e18  # numpy draws no larger counts, which only curves ask for that scatter by many orders of magnitude


@dataclass(frozen=True)
class Truth:
    """What counts are drawn from: Poisson(c * x**alpha * exp(sd * e)), e standard normal for every model."""

    alpha: float
    c: float
    sd: float


def coverage(x: Values, truth: Truth, confidence: float, *, draws: int, seed: int) -> pd.DataFrame:
    """A row per estimator, from `draws` curves of counts at the sizes x (points,).

    The estimator `measured` is given the standard error 1 / sqrt(y) of ln y that a count has by chance. Columns:
    estimator, draws; without, the share of draws that have no interval, because a count is zero or points are too few;
    of the others coverage with its interval coverage_low, coverage_high (of the same confidence), and half_width, their
    median; bias, the mean of alpha less the true one.
    """
    rng, x, alpha = np.random.default_rng(seed), np.asarray(x, float), truth.alpha
    expected = checked_points(x, truth.c * x**alpha)[1]
    means = np.minimum(expected * np.exp(truth.sd * rng.standard_normal((draws, len(x)))), LARGEST_MEAN)
    counts = rng.poisson(means)
    rows = []
    for name, estimate in {**ESTIMATORS, "measured": _measured}.items():
        fits = pd.DataFrame([_fit(estimate, x, y, confidence) for y in counts])
        some = fits[fits.low.notna()]
        covered = int(((some.low <= alpha) & (alpha <= some.high)).sum())
        low, high = intervals.of_share(covered, len(some), confidence)
        row = {"estimator": name, "draws": draws, "without": 1 - len(some) / draws}
        row |= {"coverage": covered / len(some) if len(some) else np.nan, "coverage_low": low, "coverage_high": high}
        rows.append(row | {"half_width": ((some.high - some.low) / 2).median(), "bias": fits.alpha.mean() - alpha})
    return pd.DataFrame(rows)


def _measured(x: np.ndarray, y: np.ndarray, confidence: float) -> dict:
    return fit_measured(x, y, 1 / np.sqrt(np.maximum(y, 1)), confidence)  # a count of zero is refused there


def _fit(estimate: Callable[..., dict], x: np.ndarray, y: np.ndarray, confidence: float) -> dict:
    try:
        return estimate(x, y, confidence)
    except StudyError as error:  # a count of zero has no logarithm
        return missing(str(error))
