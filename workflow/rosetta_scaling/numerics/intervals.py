"""The intervals that several tables give: of a share, of a mean, of draws."""

from typing import NamedTuple

import numpy as np
from scipy import stats


class Estimate(NamedTuple):
    """A value and the ends of its interval, or of the range of its draws; NaN where it is not known."""

    value: float
    low: float
    high: float

    @classmethod
    def unknown(cls) -> "Estimate":
        return cls(np.nan, np.nan, np.nan)

    def columns(self, name: str) -> dict[str, float]:
        """The columns of a table row: NAME, NAME_low, NAME_high."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def of_share(successes: int, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's interval of successes / n; NaN for n of 0."""
    if not n:
        return np.nan, np.nan
    found = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


def of_weighted_share(share: float, effective: float, confidence: float) -> Estimate:
    """A share with Wilson's interval, of weighted members that are as precise as `effective` equal ones."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(share * effective, effective, 1 - confidence, "wilson")
    return Estimate(float(share), float(low), float(high))


def of_difference(a: Estimate, b: Estimate) -> Estimate:
    """The difference of two independent shares, from their Wilson intervals (Newcombe 1998, method 10)."""
    below, above = np.hypot(a.value - a.low, b.high - b.value), np.hypot(a.high - a.value, b.value - b.low)
    return Estimate(a.value - b.value, a.value - b.value - below, a.value - b.value + above)


def of_mean(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Student's interval of the mean of two values or more."""
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return values.mean() - half, values.mean() + half


def of_excess(count: float, draws: np.ndarray, confidence: float) -> Estimate:
    """A count less the mean of two draws of its null or more, with Student's interval.

    The interval holds zero where the count may be one more draw.
    """
    half = stats.t.ppf((1 + confidence) / 2, len(draws) - 1) * draws.std(ddof=1) * np.sqrt(1 + 1 / len(draws))
    excess = count - draws.mean()
    return Estimate(excess, excess - half, excess + half)


def of_draws(draws: np.ndarray, confidence: float) -> tuple[float, float]:
    """Equal-tailed quantiles of the draws that are not NaN."""
    low, high = np.nanquantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return low, high


def of_resamples(draws: np.ndarray, confidence: float, replicates: int) -> tuple[float, float]:
    """Percentile interval of resampled means, as wide as Student's for so few replicates (Hesterberg 2015, 4.2).

    Plain percentiles of six resampled values are too narrow by sqrt(5 / 6), and by normal quantiles in place of t.
    """
    if replicates < 2:
        return np.nan, np.nan
    t = stats.t.ppf((1 + confidence) / 2, replicates - 1)
    tail = stats.norm.sf(np.sqrt(replicates / (replicates - 1)) * t)
    return of_draws(draws, 1 - 2 * tail)
