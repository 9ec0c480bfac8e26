"""Regression of values at points that share networks: networks and points are crossed random effects."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.power_laws.estimators import EXACT, t_quantile
from rosetta_scaling.store.errors import StudyError

SHARES = np.array([0.5, 0.7, 0.9])  # of the scatter of a pair that networks make; with less, intervals cover too little
TOTALS = np.geomspace(0.02, 2, 12)  # scatter over the deviation of the residuals


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """An estimate with its interval, and how far it is from any other value.

    `t_at(x)` is how many standard errors the estimate lies above x, for Student's t with `freedom` degrees of freedom;
    `points` and `networks` are what it rests on.
    """

    value: float
    low: float
    high: float
    freedom: float
    t_at: Callable[[float], float]
    points: int
    networks: int

    def p_below(self, bound: float) -> float:
        """One-sided p of the hypothesis that the truth is at or above `bound`: small if the estimate is far below."""
        return float(stats.t.cdf(self.t_at(bound), self.freedom))

    def p_above(self, bound: float) -> float:
        """One-sided p of the hypothesis that the truth is at or below `bound`."""
        return float(stats.t.sf(self.t_at(bound), self.freedom))


def incidence(members: Sequence[Collection[str]]) -> np.ndarray:
    """Which networks (columns, in order of appearance) belong to which point (rows): a pair has a row of length 1."""
    names = {name: i for i, name in enumerate(dict.fromkeys(name for row in members for name in row))}
    made = np.zeros((len(members), len(names)))
    for row, of in enumerate(members):
        made[row, [names[name] for name in of]] = 1 / np.sqrt(2)
    return made


def crossed_root(
    design: np.ndarray, y: np.ndarray, variance: np.ndarray, networks: np.ndarray, *, scale: np.ndarray
) -> np.ndarray:
    """Lower triangle (n, n) whose square is the covariance of y (n,), fitted to design (n, p).

    The covariance is `variance` (n,) of the measurement on the diagonal, plus scale (n,) times scatter, a share of
    which points with a network in common have in common. It is the mean over a grid of scatter and share, weighted by
    restricted likelihood (Patterson and Thompson 1971), since few points tell neither well. `networks` is an
    incidence (n, networks).
    """
    rest = (y - design @ np.linalg.lstsq(design / scale[:, None], y / scale, rcond=None)[0]) / scale
    spread = np.sqrt((rest**2).sum() / (len(y) - design.shape[1]))
    if not spread > EXACT:
        if not (variance > 0).all():
            raise StudyError("the points lie exactly on the fit: no residual is left to give an interval")
        return np.diag(np.sqrt(variance))
    share, total = (grid.ravel()[:, None, None] for grid in np.meshgrid(SHARES, spread * TOTALS))
    common = networks @ networks.T
    scatter = total**2 * (share * common + (1 - share) * np.eye(len(y)))
    roots = np.linalg.cholesky(np.diag(variance + (EXACT * scale) ** 2) + np.outer(scale, scale) * scatter)
    joint = np.linalg.solve(roots, np.column_stack([design, y])[None])
    corner = np.abs(np.diagonal(np.linalg.qr(joint, mode="r"), axis1=1, axis2=2))
    unexplained = 2 * np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(1) + 2 * np.log(corner[:, :-1]).sum(1)
    unlikely = unexplained + corner[:, -1] ** 2
    weights = np.exp((unlikely.min() - unlikely) / 2)
    return np.linalg.cholesky(np.tensordot(weights / weights.sum(), roots @ roots.transpose(0, 2, 1), 1))


def freedom_of(design: np.ndarray, networks: np.ndarray) -> int:
    """Degrees of freedom of a fit (n, p): what is left of the points, or of the networks, whichever is less.

    If nothing but networks scatter, points tell no more than their networks do.
    """
    points, parameters = design.shape
    return min(points, int(np.linalg.matrix_rank(np.column_stack([design, networks])))) - parameters


def crossed_regression(
    design: np.ndarray,
    y: np.ndarray,
    variance: np.ndarray,
    members: Sequence[Collection[str]],
    *,
    which: int,
    confidence: float,
) -> Estimated:
    """The coefficient `which` of y (n,) on design (n, p), whose points are measured with `variance` (n,).

    `members` are the networks of every point. Student's interval with the degrees of freedom of `freedom_of`, and the
    factor of Knapp and Hartung where it is more than 1. Raises StudyError where there are too few points, or where
    nothing scatters.
    """
    networks = incidence(members)
    freedom = freedom_of(design, networks) if len(y) >= MINIMUM_RUNGS else 0
    if freedom < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        raise StudyError(f"{len(y)} points of {networks.shape[1]} networks are too few to give an interval")
    root = crossed_root(design, y, variance, networks, scale=np.ones_like(y))
    design, y = np.linalg.solve(root, design), np.linalg.solve(root, y)
    beta = np.linalg.lstsq(design, y, rcond=None)[0]
    factor = max(1.0, ((y - design @ beta) ** 2).sum() / (len(y) - design.shape[1]))
    error = float(np.sqrt(factor * np.linalg.inv(design.T @ design)[which, which]))
    value, half = float(beta[which]), t_quantile(confidence, freedom) * error
    return Estimated(
        value=value,
        low=value - half,
        high=value + half,
        freedom=freedom,
        t_at=lambda bound: (value - bound) / error,
        points=len(y),
        networks=networks.shape[1],
    )
