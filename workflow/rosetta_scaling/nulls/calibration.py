"""What a match is worth: its excess over rotated neurons, and the share of false ones among all that are as strong.

Decoys are neurons that cannot be shared. Those of every draw of the central null compete with the real neurons for
each neuron of the other model (target-decoy competition: Elias & Gygi 2007; He et al. 2015 and Emery et al. 2020 for
several decoys). A real neuron that is not shared is as likely to win as a decoy of any one draw, so what decoys win
says how many of the real winners are false. Winners are ordered by their excess: r less the mean of the other
candidates, which for a neuron that matches everything is small however large its r is. Which candidate is the real one
has no influence on this order, so the rate holds.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from rosetta_scaling.schemas.names import UNMARKED


class Candidates(NamedTuple):
    """What competes for the neurons of a model: the real partner, then the decoy of every draw."""

    r: np.ndarray  # (1 + draws, neurons); NaN: a constant neuron, or one that was not looked at
    counts: np.ndarray  # (1 + draws, neurons), whether it is a match, such as that of mutual nearest neighbours

    @property
    def contested(self) -> np.ndarray:
        """Whether there is a competition for a neuron (neurons,): it was looked at in every draw."""
        return np.isfinite(self.r).all(0) & (len(self.r) > 1)


class Competition(NamedTuple):
    """The winners of a competition."""

    winner: np.ndarray  # (neurons,): 0 the real partner, d the decoy of the dth draw, -1 nobody
    excess: np.ndarray  # (neurons,): r of the strongest less the mean of the others; NaN without competition
    draws: int

    def q(self) -> np.ndarray:
        """q-value (neurons,) of every neuron that a real partner wins, 1 of all others; NaN without competition."""
        side = np.select([self.winner == 0, self.winner > 0], [1, -1])
        q = q_values(self.excess, side, 1 / max(1, self.draws))
        return np.where(np.isfinite(self.excess), q, np.nan)

    def local_fdr(self) -> np.ndarray:
        """Probability (neurons,) that what a real partner wins is chance, 1 of all others; NaN without competition.

        A q-value is about all matches that are as strong or stronger, this is about the match itself: false ones per
        real one among winners of such an excess, by wins of decoys per draw. These odds never rise with the excess
        (isotonic regression, as Percolator's posterior error probabilities have it: Kall et al. 2008), and one more
        decoy, stronger than all, keeps them from 0 as the one more of q-values does.
        """
        from scipy.optimize import isotonic_regression

        won = np.flatnonzero(self.winner >= 0)
        order = won[np.argsort(-self.excess[won], kind="stable")]
        of_decoy = np.append(1.0, self.winner[order] > 0)
        decoys = isotonic_regression(of_decoy).x[1:]  # their share among winners of such an excess
        with np.errstate(divide="ignore"):
            odds = decoys / (1 - decoys) / max(1, self.draws)
        found = np.ones(len(self.winner))
        found[order] = np.where(self.winner[order] == 0, np.minimum(1, odds), 1)
        return np.where(np.isfinite(self.excess), found, np.nan)

    def wins(self, least: float = -np.inf) -> np.ndarray:
        """Wins (1 + draws,) of the real partners and of the decoys of every draw, with at least this excess."""
        return np.bincount(self.winner[(self.winner >= 0) & (self.excess >= least)], minlength=1 + self.draws)


def best_in_draws(
    null: pd.DataFrame, neurons: int, side: str, draws: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """r (draws, neurons) of the best partner of every neuron of a side among decoys, and whether it is mutual.

    `null` holds tables of partners with columns draw and changed ('a' or 'b'): the draws in which the other side was
    replaced by decoys count, all of them or `draws`. Neurons that were not looked at, and constant ones, have NaN.
    """
    best = null[(null[f"rank_{side}"] == 1) & (null.changed != side)]
    best = best[best[f"sampled_{side}"]] if f"sampled_{side}" in best else best
    numbers = np.unique(best.draw) if draws is None else np.asarray(draws)
    place = np.searchsorted(numbers, best.draw), best[f"neuron_{side}"].to_numpy()
    r, mutual = np.full((len(numbers), neurons), np.nan), np.zeros((len(numbers), neurons), bool)
    r[place], mutual[place] = best.r, best[f"rank_{'b' if side == 'a' else 'a'}"] == 1
    return r, mutual


def candidates(matches: pd.DataFrame, decoys: pd.DataFrame, neurons: int, side: str) -> Candidates:
    """The real partners of the neurons of a side, and their decoys; they count where they are mutual.

    Nothing competes for the neurons that have a mark in `matches`, in columns mark_a and mark_b.
    """
    real = best_in_draws(matches.assign(draw=0, changed="neither"), neurons, side, [0])
    among = Candidates(*map(np.vstack, zip(real, best_in_draws(decoys, neurons, side), strict=True)))
    return without(among, marks_of_side(matches, neurons, side) != UNMARKED)


def marks_of_side(matches: pd.DataFrame, neurons: int, side: str) -> np.ndarray:
    """The mark of every neuron of a side (neurons,) from a table of partners, in which constant ones do not stand."""
    marks = np.full(neurons, UNMARKED, object)
    marks[matches[f"neuron_{side}"]] = matches[f"mark_{side}"]
    return marks


def without(among: Candidates, left_out: np.ndarray) -> Candidates:
    """The candidates for all neurons but those that are `left_out` (neurons,)."""
    return among._replace(r=np.where(left_out, np.nan, among.r))


def compete(among: Candidates) -> Competition:
    """What wins every neuron: the strongest candidate, if it counts."""
    draws, neurons, contested = len(among.r) - 1, np.arange(among.r.shape[1]), among.contested
    r = np.where(contested, among.r, 0)
    strongest = r.argmax(0)
    winner = np.where(contested & among.counts[strongest, neurons], strongest, -1)
    others = (r.sum(0) - r.max(0)) / max(1, draws)
    return Competition(winner, np.where(contested, r.max(0) - others, np.nan), draws)


def q_values(strength: np.ndarray, winner: np.ndarray, luck: float) -> np.ndarray:
    """Smallest false-discovery rate at which each real winner is kept, 1 of all others, from strength and winner (n,).

    winner is 1 for a real one, -1 for a decoy, 0 for nobody. From a least strength on the rate is luck * (wins of
    decoys + 1) / wins of real ones, where luck is the odds at which chance favours a real one over a decoy: 1 / draws.
    """
    order = np.argsort(-np.where(winner == 0, -np.inf, strength), kind="stable")
    decoys, targets = np.cumsum(winner[order] == -1), np.cumsum(winner[order] == 1)
    rate = np.minimum(1, luck * (decoys + 1) / np.maximum(1, targets))
    # Equal ones stand or fall together; then no worse than at any smaller strength.
    last = np.append(strength[order][1:] != strength[order][:-1], True)[: len(strength)]
    rate = pd.Series(np.where(last, rate, np.nan)).bfill().to_numpy()
    q = np.empty(len(strength))
    q[order] = np.minimum.accumulate(rate[::-1])[::-1]
    return np.where(winner == 1, q, 1.0)


def add_excess(table: pd.DataFrame, rotations: pd.DataFrame, neurons: tuple[int, int]) -> pd.DataFrame:
    """A table of partners of two models with `excess_a` and `excess_b`, the excess correlation.

    excess_a is r less the mean best r that neuron_a has with the rotated neurons of B. Of the draws of a null (columns
    draw and changed), a side that was changed has none, and a draw of `rotations` is not compared with itself.
    """
    table = table.copy()
    itself = table is rotations or table.equals(rotations)
    for side, count in zip("ab", neurons, strict=True):
        decoy, _ = best_in_draws(rotations, count, side)
        index = table[f"neuron_{side}"].to_numpy()
        total, draws = decoy.sum(0)[index], len(decoy)
        unchanged = ~table.changed.isin([side, "both"]).to_numpy() if "changed" in table else np.ones(len(table), bool)
        if itself:
            known = np.unique(rotations.draw[rotations.changed != side])
            own = np.minimum(np.searchsorted(known, table.draw), draws - 1)
            total, draws = total - decoy[own, index], draws - 1
        with np.errstate(invalid="ignore"):
            table[f"excess_{side}"] = np.where(unchanged & (draws > 0), table.r - total / max(1, draws), np.nan)
    return table


def add_q_values(matches: pd.DataFrame, decoys: pd.DataFrame, neurons: tuple[int, int]) -> pd.DataFrame:
    """A table of partners with q_a, q_b and local_fdr_a, local_fdr_b of best mutual matches (see Competition).

    For those of A the draws of `decoys` in which B was changed compete for the neurons of A. NaN for pairs that are not
    best and mutual, and for neurons that are marked or were not looked at.
    """
    matches = matches.copy()
    best = (matches.rank_a == 1) & (matches.rank_b == 1)
    for side, count in zip("ab", neurons, strict=True):
        found, neuron = compete(candidates(matches, decoys, count, side)), matches[f"neuron_{side}"]
        matches[f"q_{side}"] = np.where(best, found.q()[neuron], np.nan)
        matches[f"local_fdr_{side}"] = np.where(best, found.local_fdr()[neuron], np.nan)
    return matches
