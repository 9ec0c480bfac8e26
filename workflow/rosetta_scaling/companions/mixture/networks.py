"""A mixture of tasks and what a network of a given width can learn of it, in closed form (Huang et al. 2026).

Task k is drawn with frequency pi_k. It has features b_kj, orthonormal within and over tasks, with a spectrum lambda_kj.
A network whose encoder spans U, with the best decoder for every task, has on task k the loss
ell_k = sum_j lambda_kj (1 - |P_U b_kj|^2), and in total L = sum_k pi_k ell_k. A feature is therefore worth its utility
u_kj = pi_k lambda_kj; N neurons do best to keep the N largest utilities, which leaves L*(N), the sum of all others.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from rosetta_scaling.config.companions.mixture import Tasks


@dataclass(frozen=True)
class Mixture:
    """Tasks with their frequencies and the spectra of their features."""

    frequencies: np.ndarray  # (tasks,), summing to 1
    spectra: np.ndarray  # (tasks, features); those of one task sum to 1, so that learning nothing costs 1

    @classmethod
    def of(cls, tasks: Tasks) -> "Mixture":
        """The mixture of a configuration: frequencies ratio**k, spectra j**-decay."""
        frequencies = tasks.ratio ** np.arange(tasks.count)
        decays = np.resize(tasks.decays, tasks.count)
        spectra = np.arange(1, tasks.features + 1.0) ** -decays[:, None]
        return cls(frequencies / frequencies.sum(), spectra / spectra.sum(1, keepdims=True))

    @property
    def utilities(self) -> np.ndarray:
        """pi_k lambda_kj, (tasks, features)."""
        return self.frequencies[:, None] * self.spectra

    def at_frequency(self, task: int, frequency: float) -> "Mixture":
        """The same tasks with another frequency of one of them; all others are scaled by one factor."""
        changed = np.where(np.arange(len(self.frequencies)) == task, 0, self.frequencies)
        changed *= (1 - frequency) / changed.sum()
        changed[task] = frequency
        return Mixture(changed, self.spectra)

    def kept(self, width: int) -> np.ndarray:
        """Which features (tasks, features) a network of this width keeps; the first ones where utilities are equal."""
        return _largest(self.utilities, width)

    def kept_by_frequency(self, width: int) -> np.ndarray:
        """Which features a network would keep if it learned whole tasks, most frequent first: the rival of `kept`."""
        place = -self.frequencies.argsort()[::-1].argsort().astype(float)
        return _largest(place[:, None] - np.arange(self.spectra.shape[1]) / self.spectra.shape[1], width)

    def optimum(self, width: int) -> float:
        """L*(N): the smallest loss of a network of this width (theorem 3)."""
        return float(np.sort(self.utilities, axis=None)[::-1][width:].sum())

    def task_optimum(self, width: int) -> np.ndarray:
        """Losses ell_k (tasks,) of that network."""
        return (self.spectra * ~self.kept(width)).sum(1)

    def gap(self, width: int) -> float:
        """Relative difference between the last utility that is kept and the first that is left out; 1 if all fit in.

        If it is small, networks of different seeds may keep different features at no cost.
        """
        ranked = np.sort(self.utilities, axis=None)[::-1]
        return 1.0 if width >= len(ranked) else float(1 - ranked[width] / ranked[width - 1])

    def critical_widths(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest width (tasks,) at which a network keeps a task's first feature, and all of them (proposition 6)."""
        utilities = self.utilities
        order = np.argsort(-utilities, axis=None, kind="stable")
        ranks = np.empty(utilities.size, int)
        ranks[order] = np.arange(1, utilities.size + 1)
        rank = ranks.reshape(utilities.shape)
        return rank.min(1), rank.max(1)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Where the `count` largest values are, bool; the first ones where values are equal."""
    chosen = np.zeros(values.size, bool)
    chosen[np.argsort(-values, axis=None, kind="stable")[:count]] = True
    return chosen.reshape(values.shape)


def endless_optimum(width: float, a: float, b: float) -> tuple[float, float]:
    """Width and L* of the mixture pi_k = k**-a, lambda_j = j**-b of infinitely many tasks and features, for a, b > 1.

    All features above a threshold of utility are kept; the threshold is chosen so that about `width` features are, and
    their exact number is returned. What is left out is summed with Hurwitz' zeta function, without truncation.
    """

    def kept(log_level: float) -> np.ndarray:  # features (tasks,) with k**a j**b <= e**log_level
        tasks = np.arange(1, int(np.exp(log_level / a)) + 1.0)
        return np.floor(np.exp((log_level - a * np.log(tasks)) / b) + 1e-9)

    level = optimize.brentq(lambda x: kept(x).sum() - width - 0.5, 0, min(a, b) * np.log(4 * width + 4))
    features = kept(level)
    tasks = np.arange(1, len(features) + 1.0)
    untouched = special.zeta(a, len(features) + 1) * special.zeta(b)
    return float(features.sum()), float((tasks**-a * special.zeta(b, features + 1)).sum() + untouched)


def endless_exponent(a: float, b: float) -> float:
    """Exponent with which endless_optimum falls: L* is of order width**-exponent, with an extra logarithm if a = b.

    >>> endless_exponent(1.5, 3.0)
    0.5
    """
    return min(a, b) - 1


def compute_optimal_excess(size: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """N**-alpha + D**-beta at the compute N D for which N is the best size, with both prefactors 1.

    There the derivative by ln N at constant N D vanishes: alpha N**-alpha = beta D**-beta.
    """
    return size**-alpha * (1 + alpha / beta)


def matching_share(alpha: float, beta: float) -> float:
    """Size of the smallest network, as a share of N, that with infinite data is as good as a compute-optimal N."""
    return (1 + alpha / beta) ** (-1 / alpha)


def seed_of(*numbers: int) -> int:
    """A seed (64 bits) from numbers: the seed of a study, one of its experiments, a width, a replicate."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
