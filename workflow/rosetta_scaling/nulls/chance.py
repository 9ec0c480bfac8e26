"""What chance alone gives: matches where every correlation is an independent draw."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from rosetta_scaling.config.matching import Criterion

DRAWS = 100_000  # of a neuron's best partners, for k > 1


def expected_count(neurons: Sequence[int], criterion: Criterion, units: int) -> float:
    """Expected number of Rosetta neurons of the first model, when correlations are those of independent noise.

    For mutual best partners of n and m neurons it is n m / (n + m - 1): half of all. A least r is met by noise with the
    probability of Student's t with units - 2 degrees of freedom. NaN for criteria that are not plain.
    """
    if not criterion.is_plain:
        return np.nan
    n, *others = neurons
    share = 1.0
    for m in others:
        tail = stats.t.sf(criterion.min_r * np.sqrt((units - 2) / (1 - criterion.min_r**2)), units - 2)
        share *= _probability(n, m, criterion.k, float(tail) if criterion.min_r > 0 else 1.0)
    return n * share


def _probability(n: int, m: int, k: int, tail: float) -> float:
    """Probability that one of n neurons has a mutual partner among m, within the `tail` of the distribution."""
    if k == 1:
        return m / (n + m - 1) * -np.expm1((n + m - 1) * np.log1p(-tail)) if tail < 1 else m / (n + m - 1)
    rng = np.random.default_rng(0)
    k = min(k, m)
    # Upper tails of its best, second best, ... correlation: the smallest of m uniform numbers, one after the other.
    best = np.cumsum(rng.exponential(size=(DRAWS, k)) / (m - np.arange(k)), axis=1)
    best = -np.expm1(-best)
    returned = stats.binom.cdf(k - 1, n - 1, best) * (best <= tail)
    return float(1 - np.prod(1 - returned, axis=1).mean())
