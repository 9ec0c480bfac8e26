"""One exponent for all points of all curves, on the scale of the counts: zero and less are values like others."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize

from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.power_laws.crossed import Estimated, crossed_root, freedom_of, incidence
from rosetta_scaling.power_laws.estimators import t_quantile
from rosetta_scaling.store.errors import StudyError

EXPONENTS = np.linspace(-2, 4, 61)  # an interval that reaches an end of these is taken to have no end there
STEP = EXPONENTS[1] - EXPONENTS[0]
FIRST = 0.7  # the exponent, and ...
SCATTER = 0.2  # ... the scatter with which the first weights are made
ROUNDS = 50  # of exponent and weights in turn, at most
WHOLE = 4  # of these rounds take the new means as they are, which settles most studies
SETTLED = 5e-4  # the change of the exponent in a round that ends them
LEAST = 1e-3  # of the largest mean: points with a smaller or negative one scatter like this


class Growth(NamedTuple):
    """The exponent of all curves, and by how many standard errors the sum of their factors lies above zero."""

    alpha: Estimated
    level: float


@dataclass(frozen=True)
class Curves:
    """Values y (points,) of curves, `of` (points, curves) with a one each, weighted by `white`, as c x^alpha."""

    of: np.ndarray
    logs: np.ndarray  # (points,) ln x, less its mean
    y: np.ndarray
    white: np.ndarray  # (points, points) inverse of the root of the covariance

    def design(self, alpha: float | np.ndarray) -> np.ndarray:
        """(points, curves) weighted, or one for each of several exponents."""
        return self.white @ (self.of * np.exp(np.multiply.outer(alpha, self.logs))[..., None])

    def squares(self, alpha: float | np.ndarray) -> np.ndarray:
        """Weighted sum of squares that is left of y."""
        y = self.white @ self.y
        basis = np.linalg.qr(self.design(alpha)).Q
        return ((y - (basis @ (np.swapaxes(basis, -1, -2) @ y)[..., None])[..., 0]) ** 2).sum(-1)

    def best(self) -> float:
        """The exponent with the least sum of squares."""
        near = EXPONENTS[np.argmin(self.squares(EXPONENTS))]
        around = np.clip([near - STEP, near + STEP], EXPONENTS[0], EXPONENTS[-1])
        return float(optimize.minimize_scalar(self.squares, bounds=around, method="bounded", options={"xatol": 1e-8}).x)

    def factors(self, alpha: float) -> np.ndarray:
        return np.linalg.lstsq(self.design(alpha), self.white @ self.y, rcond=None)[0]

    def means(self, alpha: float) -> np.ndarray:
        """Fitted values (points,), kept positive."""
        means = self.of @ self.factors(alpha) * np.exp(alpha * self.logs)
        return np.maximum(means, LEAST * max(means.max(), LEAST * np.abs(self.y).max()))

    def weighted(self, root: np.ndarray) -> "Curves":
        return Curves(self.of, self.logs, self.y, np.linalg.inv(root))


def fit_growth(table: pd.DataFrame, members: Sequence[Collection[str]], confidence: float) -> Growth:
    """The exponent alpha of y = c x^alpha with a factor c for every curve and one alpha for all.

    `table` has a row per point: curve, x, y (of any sign) and se, the standard error of y; `members` are the networks
    of every point. Beyond se, points scatter in proportion to their mean, and those that share a network together (see
    crossed.py). A curve of three points counts by what it tells. The interval is that of the likelihood (exponents
    whose sum of squares exceeds the least by no more than Student's t allows), for it is not symmetric where counts
    are small; it has no end where every exponent beyond fits as well. In 150 simulated studies each of the sizes of
    the study `ladder`, 95% intervals covered 94 to 98%, whether networks or points scattered by 5, 10 or 30%, and 99%
    where a twenty-fifth as much is shared; 44 of these 150 had no exponent, and hardly any of the others. Raises
    StudyError where the points have no exponent, no interval, or one without either end.
    """
    x, y, se = (table[name].to_numpy(float) for name in ("x", "y", "se"))
    if not (np.isfinite(x) & np.isfinite(y) & np.isfinite(se) & (x > 0) & (se >= 0)).all():
        raise StudyError("a growth was asked of points without a size, a value or its error; leave them out")
    of, networks = pd.get_dummies(table.curve).to_numpy(float), incidence(members)
    if len(x) < max(MINIMUM_RUNGS, of.shape[1] + 2) or not np.ptp(np.log(x)) > 0 or not (y > 0).any():
        raise StudyError(f"{len(x)} points of {of.shape[1]} curves have no common exponent: add rungs")
    logs = np.log(x) - np.log(x).mean()
    freedom = freedom_of(np.column_stack([of, logs]), networks)
    if freedom < 1:
        raise StudyError(f"{networks.shape[1]} networks are too few to give the exponent an interval: add rungs")
    curves = Curves(of, logs, y, np.diag(np.exp(-FIRST * logs)))
    curves = curves.weighted(np.diag(np.hypot(se, SCATTER * curves.means(FIRST))))
    return _growth(_settled(curves, se, networks), networks.shape[1], freedom=freedom, confidence=confidence)


def _settled(curves: Curves, se: np.ndarray, networks: np.ndarray) -> Curves:
    """The curves with weights that follow from their own exponent. Raises StudyError where there are none.

    The weights need the means, and the means the weights. Whole steps can lead back and forth for ever, with one
    exponent in even rounds and another in odd ones; so later rounds go half of the way, on the logarithm.
    """
    alpha, means = np.nan, curves.means(FIRST)  # the first weights are a guess, and never settled
    for number in range(ROUNDS):
        last, alpha = alpha, curves.best()
        if abs(alpha - last) < SETTLED:
            return curves
        share = 1.0 if number < WHOLE else 0.5
        means = means ** (1 - share) * curves.means(alpha) ** share
        tangent = np.column_stack([curves.of * np.exp(alpha * curves.logs)[:, None], means * curves.logs])
        curves = curves.weighted(crossed_root(tangent, curves.y, se**2, networks, scale=means))
    raise StudyError(f"exponent and weights of these points did not settle in {ROUNDS} rounds: add rungs")


def _growth(curves: Curves, networks: int, *, freedom: int, confidence: float) -> Growth:
    best = curves.best()
    factors, design, least = curves.factors(best), curves.design(best), float(curves.squares(best))
    factor = max(1.0, least / (len(curves.y) - len(factors) - 1))

    def t_at(alpha: float) -> float:
        return float(np.sign(best - alpha) * np.sqrt(max(float(curves.squares(alpha)) - least, 0.0) / factor))

    def end(last: float) -> float:
        if abs(t_at(last)) <= bound:
            return float(np.sign(last) * np.inf)
        return float(optimize.brentq(lambda alpha: abs(t_at(alpha)) - bound, best, last))

    bound = t_quantile(confidence, freedom)
    low, high = end(EXPONENTS[0]), end(EXPONENTS[-1])
    if np.isinf([low, high]).all():
        raise StudyError(f"every exponent from {EXPONENTS[0]:g} to {EXPONENTS[-1]:g} fits these points: add rungs")
    alpha = Estimated(
        value=best,
        low=low,
        high=high,
        freedom=freedom,
        t_at=t_at,
        points=len(curves.y),
        networks=networks,
    )
    error = np.sqrt(factor * np.linalg.pinv(design.T @ design).sum())
    return Growth(alpha, float(factors.sum() / error))
