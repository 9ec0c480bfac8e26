"""What a match is worth: its excess over rotated neurons, and the share of false ones among all that are as strong.

Decoys are neurons that cannot be shared; how many of them match tells how many real matches are false. A match has to
hold in two ways:

- in competition: rotated neurons of the other model compete with the real ones for the neurons of this one (Elias &
  Gygi 2007; He et al. 2015 and Emery et al. 2020 for several decoys). Where only the subspace is shared and neurons are
  any directions in it, a rotated neuron is as likely to win as a real one. But rotated neurons lose the shape that a
  nonlinearity gives, and real ones with alike but unrelated shapes pass them.
- in separate searches: rotated neurons, and those of untrained networks, which have the nonlinearity and have learned
  nothing, are matched as the real ones were, and counted against them above every correlation.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.schemas.nulls import decoys


def best_in_draws(null: pd.DataFrame, neurons: int, side: str) -> tuple[np.ndarray, np.ndarray]:
    """r (draws, neurons) of the best partner of every neuron of a side among decoys, and whether it is mutual.

    `null` holds tables of partners with columns draw and changed ('a' or 'b'): the draws in which the other side was
    replaced by decoys count. Neurons that were not looked at, and constant ones, have NaN.
    """
    best = null[(null[f"rank_{side}"] == 1) & (null.changed != side)]
    best = best[best[f"sampled_{side}"]] if f"sampled_{side}" in best else best
    draws = np.unique(best.draw)
    place = np.searchsorted(draws, best.draw), best[f"neuron_{side}"].to_numpy()
    r, mutual = np.full((len(draws), neurons), np.nan), np.zeros((len(draws), neurons), bool)
    r[place], mutual[place] = best.r, best[f"rank_{'b' if side == 'a' else 'a'}"] == 1
    return r, mutual


def competition(matches: pd.DataFrame, decoys: pd.DataFrame, neurons: int, side: str) -> tuple[np.ndarray, np.ndarray]:
    """What wins the neurons of a side, in the competition of real partners with the decoys of all draws.

    Returns winner (neurons,): 1 a real partner, -1 a decoy, 0 nobody, because the best is not mutual; and its r (NaN
    where there was no competition: a constant neuron, or one that was not looked at).
    """
    decoy, decoy_mutual = best_in_draws(decoys, neurons, side)
    mine = matches[matches[f"rank_{side}"] == 1]
    r, mutual = np.full(neurons, np.nan), np.zeros(neurons, bool)
    r[mine[f"neuron_{side}"]] = mine.r
    mutual[mine[f"neuron_{side}"]] = mine[f"rank_{'b' if side == 'a' else 'a'}"] == 1
    every, every_mutual = np.vstack([r, decoy]), np.vstack([mutual, decoy_mutual])
    looked_at = np.isfinite(every).all(0)
    strongest = np.where(looked_at, every, -np.inf).argmax(0)
    won = looked_at & every_mutual[strongest, np.arange(neurons)]
    winner = np.where(won, np.where(strongest == 0, 1, -1), 0)
    return winner, np.where(looked_at, every[strongest, np.arange(neurons)], np.nan)


def q_values(r: np.ndarray, winner: np.ndarray, luck: float) -> np.ndarray:
    """Smallest false-discovery rate at which each real winner is kept (1 for all others), from r and winner (n,).

    At a least r the rate is luck * (wins of decoys + 1) / wins of real ones, where luck is the odds at which chance
    favours a real one over a decoy: 1 / draws.
    """
    order = np.argsort(-np.where(winner == 0, -np.inf, r), kind="stable")
    decoys, targets = np.cumsum(winner[order] == -1), np.cumsum(winner[order] == 1)
    rate = np.minimum(1, luck * (decoys + 1) / np.maximum(1, targets))
    # Equal r stand or fall together; then no worse than at any smaller r.
    last = np.append(r[order][1:] != r[order][:-1], True)[: len(r)]
    rate = pd.Series(np.where(last, rate, np.nan)).bfill().to_numpy()
    q = np.empty(len(r))
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


def add_q_values(matches: pd.DataFrame, nulls: dict[str, pd.DataFrame], neurons: tuple[int, int]) -> pd.DataFrame:
    """A table of partners with `q_a` and `q_b`, the q-value of a best mutual match: the largest of all kinds of decoys.

    `nulls` has the draws of all decoys. For q_a neurons of B compete for those of A. NaN for pairs that are
    not best and mutual, and for neurons that were not looked at.
    """
    matches, rotations = matches.copy(), nulls["rotate"]
    best = (matches.rank_a == 1) & (matches.rank_b == 1)
    for side, count in zip("ab", neurons, strict=True):
        index, draws = matches[f"neuron_{side}"].to_numpy(), rotations.draw[rotations.changed != side].nunique()
        winner, r = competition(matches, rotations, count, side)
        q = np.where(np.isfinite(r), q_values(r, winner, 1 / max(1, draws)), np.nan)[index]
        for kind in decoys():
            q = np.maximum(q, separate_search(matches.r, best, nulls[kind], neurons=count, side=side))
        matches[f"q_{side}"] = np.where(best, q, np.nan)
    return matches


def separate_search(r: pd.Series, best: pd.Series, decoys: pd.DataFrame, *, neurons: int, side: str) -> np.ndarray:
    """q-values (n,) of the `best` of pairs with correlations r, from the best mutual matches in draws of decoys."""
    false = decoys[(decoys.rank_a == 1) & (decoys.rank_b == 1)]
    share = 1.0
    if f"sampled_{side}" in false:  # as many as there would be among all neurons
        share = decoys.loc[decoys[f"sampled_{side}"], f"neuron_{side}"].nunique() / neurons
        false = false[false[f"sampled_{side}"]]
    winner = np.concatenate([np.where(best, 1, 0), np.full(len(false), -1)])
    luck = 1 / (share * max(1, decoys.draw.nunique()))
    return q_values(np.concatenate([r, false.r]), winner, luck)[: len(r)]


def threshold(matches: pd.DataFrame, level: float) -> float:
    """Least r of the matches whose q-value from the side of A is at most `level`; infinite when there is none."""
    return matches.r[matches.q_a <= level].min() if (matches.q_a <= level).any() else np.inf
