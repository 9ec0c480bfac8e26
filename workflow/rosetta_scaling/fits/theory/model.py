"""The analytical model of Dravid et al. 2026 (arXiv 2606.03990, section 4.3 and appendix D): utility against capacity.

Features of ranks r = 1, 2, ... have importance w_r = C r**-beta with beta > 1. The neuron c that represents feature r
has isolation s_r = W_rc**2 / (sigma**2 + sum over k != r of W_kc**2), the signal to interference ratio. A network of N
neurons maximises sum w_r log(1 + s_r) while sum s_r <= kappa N, which gives s_r = (r0 / r)**beta - 1 up to rank r0 and
nothing beyond: water-filling. A feature is detectable where s_r >= tau; their number grows as N**alpha, alpha = 1/beta.

The paper spends the budget in an integral over r >= 1, and so does r0 here. Integer ranks sum to more: for large N to
(beta - 1) zeta(beta) times kappa N, 1.3 times for beta = 1.5 and 2.4 times for beta = 3. No exponent depends on that.
"""

from typing import Any, TypeAlias

import numpy as np
from scipy import optimize, special, stats

from rosetta_scaling.store.errors import StudyError

LEAST = 5  # isolations for a slope
Numbers: TypeAlias = float | np.ndarray  # a function gives numbers of the shape that it is given


def last_represented(neurons: Numbers, beta: float, kappa: float) -> Any:
    """r0 > 1, the rank at which isolation falls to zero, a real number; of the shape of `neurons`.

    It solves kappa N = (r0**beta - beta r0) / (beta - 1) + 1; for beta = 2 it is 1 + sqrt(kappa N).
    """
    if not beta > 1:
        raise StudyError(f"beta must be above 1, found {beta:g}: the importance of all features must have a finite sum")
    budget = kappa * np.asarray(neurons, float)
    if not (kappa > 0 and (budget > 0).all()):
        raise StudyError(f"neurons and kappa must be positive, found {np.min(neurons):g} and {kappa:g}")
    return np.vectorize(_last_represented, otypes=[float])(budget, beta)[()]


def _last_represented(budget: float, beta: float) -> float:
    if beta == 2:  # exact, since r0 is an integer here for N = 4, 16, 64, ..., and no error must make it one rank more
        return 1 + np.sqrt(budget)
    # With x = ln r0 what is spent is the sum over k >= 2 of (beta**k - beta) / (beta - 1) x**k / k!. Every term is at
    # least beta**(k - 1) x**k / k!, so the sum is at least (e**y - 1 - y) / beta >= (e**(y/2) - 1)**2 / beta with
    # y = beta x. The root is below the x at which the latter is the budget, and above 0, where nothing is spent.
    high = 2 / beta * np.log1p(np.sqrt(beta * budget))

    def unspent(x: float) -> float:
        return budget - (np.expm1(beta * x) - beta * np.expm1(x)) / (beta - 1)

    return np.exp(optimize.brentq(unspent, 0, high, xtol=1e-15, rtol=4 * np.finfo(float).eps))


def isolation(rank: Numbers, r0: Numbers, beta: float) -> np.ndarray:
    """s of features of a rank >= 1, zero from r0 on; `rank` and `r0` broadcast."""
    return np.maximum((np.asarray(r0, float) / rank) ** beta - 1, 0)


def detectable(neurons: Numbers, beta: float, kappa: float, tau: float) -> Any:
    """r_tau, the rank up to which s >= tau: the predicted count, of the shape of `neurons`; 0 where not even s_1 is."""
    r_tau = last_represented(neurons, beta, kappa) * (1 + tau) ** (-1 / beta)
    return np.where(r_tau < 1, 0.0, r_tau)[()]


def mean_isolation(neurons: Numbers, beta: float, kappa: float, tau: float) -> Any:
    """Mean s over the detectable integer ranks 1, ..., floor(r_tau), of the shape of `neurons`; NaN if there are none.

    It grows as N**(1 - alpha): the detectable neurons polarise.
    """
    last = np.floor(detectable(neurons, beta, kappa, tau))
    total = special.zeta(beta, 1) - special.zeta(beta, last + 1)  # of r**-beta over r <= last
    with np.errstate(invalid="ignore"):
        return last_represented(neurons, beta, kappa) ** beta * total / last - 1


def predicted_correlation(s: Numbers, s_other: Numbers) -> np.ndarray:
    """Pearson r of the neurons that represent one feature in two networks: 1 / sqrt((1 + 1/s) (1 + 1/s'))."""
    s, s_other = np.asarray(s, float), np.asarray(s_other, float)
    return np.sqrt(s / (1 + s) * (s_other / (1 + s_other)))


def isolation_of_correlation(r: Numbers) -> np.ndarray:
    """The isolation s = s' at which a feature has correlation r, 0 <= r <= 1, in two networks; infinite for r = 1."""
    r = np.asarray(r, float)
    with np.errstate(divide="ignore"):
        return r / (1 - r)


def beta_of_alpha(alpha: Numbers) -> Any:
    """The exponent of importance that gives a count that grows as N**alpha; NaN unless 0 < alpha < 1, as it needs."""
    alpha = np.asarray(alpha, float)
    return np.divide(1, alpha, out=np.full(alpha.shape, np.nan), where=(alpha > 0) & (alpha < 1))[()]


def rank_slope(isolation: Numbers, tau: float = 1.0) -> float:
    """beta from the isolations (n,) of one pair of networks, in any order; NaN when fewer than LEAST can be used.

    ln(1 + s_r) = beta ln r0 - beta ln r, so beta is the least-squares slope against the logarithm of the rank, negated.
    Missing ones and those below tau are left out. Infinite ones, of neurons that are equal, take up ranks and no more.
    """
    s = -np.sort(-np.asarray(isolation, float))
    used = (s >= tau) & np.isfinite(s)
    if used.sum() < LEAST:
        return np.nan
    return -stats.linregress(np.log(np.arange(1, len(s) + 1)[used]), np.log1p(s[used])).slope
