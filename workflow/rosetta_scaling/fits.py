"""Power laws: count = c * x**alpha by least squares in log-log, with a t interval. The model is the replicate."""

import numpy as np
import pandas as pd
from scipy import stats

from rosetta_scaling.config import MINIMUM_RUNGS, NULLS
from rosetta_scaling.store import StudyError

ABSCISSAE = ("neurons", "parameters", "non_embedding_parameters")
QUANTITIES = ("count", "excess", *(f"null_{null}" for null in (*NULLS, "iid")))
QUANTITIES += ("calibrated_05", "calibrated_01", "equal_n_count", "equal_n_null")


def fit_power_law(x: np.ndarray, y: np.ndarray, confidence: float = 0.95) -> dict[str, float]:
    """alpha, its interval [low, high], c and R^2 of y = c * x**alpha, and the number of points.

    Ordinary least squares of ln y on ln x; the interval is Student's t with points - 2 degrees of freedom.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if len(x) < MINIMUM_RUNGS:
        raise StudyError(f"a fit was asked of {len(x)} points; it needs at least {MINIMUM_RUNGS}: add rungs")
    if (y <= 0).any() or (x <= 0).any():
        raise StudyError(f"a power law was asked of values that are not positive: x {x.tolist()}, y {y.tolist()}")
    if len(set(x)) < 2:
        raise StudyError(f"a power law was asked of points that all have size {x[0]:g}; sizes must differ")
    fit = stats.linregress(np.log(x), np.log(y))
    half = stats.t.ppf((1 + confidence) / 2, len(x) - 2) * fit.stderr
    return {
        "alpha": fit.slope,
        "low": fit.slope - half,
        "high": fit.slope + half,
        "c": np.exp(fit.intercept),
        "r2": fit.rvalue**2,
        "points": len(x),
    }


def predict_power_law(x, y, at: float, confidence: float = 0.95) -> tuple[float, float, float]:
    """y = c * x**alpha at another x, with the prediction interval of one more observation (least squares, log-log)."""
    x, y = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    fit, n = stats.linregress(x, y), len(x)
    middle = fit.intercept + fit.slope * np.log(at)
    spread = np.sqrt(((y - fit.intercept - fit.slope * x) ** 2).sum() / (n - 2))
    far = np.sqrt(1 + 1 / n + (np.log(at) - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    half = stats.t.ppf((1 + confidence) / 2, n - 2) * spread * far
    return tuple(np.exp([middle, middle - half, middle + half]).tolist())


def fit_counts(counts: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Fits of every curve and criterion and each of QUANTITIES, against every abscissa.

    Points where the quantity is zero cannot enter a logarithm: they are left out and the note says so.
    """
    rows = []
    for (curve, criterion), part in counts.groupby(["curve", "criterion"], sort=False):
        for quantity in QUANTITIES:
            positive = part[part[quantity] > 0]
            dropped = len(part) - len(positive)
            note = f"{dropped} of {len(part)} points left out: {quantity} is not positive" if dropped else ""
            for x in ABSCISSAE:
                if len(positive) >= MINIMUM_RUNGS:
                    fit = fit_power_law(positive[x], positive[quantity], confidence)
                else:
                    fit = dict.fromkeys(("alpha", "low", "high", "c", "r2"), np.nan) | {"points": len(positive)}
                rows.append({"curve": curve, "criterion": criterion, "quantity": quantity, "x": x, **fit, "note": note})
    return pd.DataFrame(rows)
