"""The list of Rosetta neurons at a point that survive a false-discovery rate, and how many are shared at no threshold.

Lists are calibrated as lists. For a neuron of the anchor the real partners in all other models compete with the decoys
of every draw, in which each of these models is replaced by rotated neurons. A candidate counts when it meets the rule
in all pairs, and is as strong as its weakest r. With two models that is the competition of the pair (see
nulls/calibration.py). Of strict rules, decoys need not match each other, though real partners have to: that is
conservative. Neurons that are marked (see selectivity/marks.py) stand in no list and in no number of wins.
"""

import numpy as np
from scipy import stats

from rosetta_scaling.nulls.calibration import (
    Candidates,
    Competition,
    best_in_draws,
    compete,
    marks_of_side,
    without,
)
from rosetta_scaling.points.point import CountRule, PartnerTables, Point
from rosetta_scaling.schemas.names import UNMARKED
from rosetta_scaling.schemas.nulls import CENTRAL

LEVELS = {"05": 0.05, "01": 0.01}  # false-discovery rates of the calibrated counts


def list_competition(point: Point, rule: CountRule) -> Competition:
    """What wins every neuron of the anchor."""
    return compete(list_candidates(point, rule))


def list_candidates(point: Point, rule: CountRule) -> Candidates:
    """What competes for every neuron of the anchor."""
    real = real_draw(point)
    decoys, draws = numbered(point.nulls[CENTRAL])
    neurons, plain = point.neurons[point.anchor], rule._replace(strict=False)
    sides = candidates_of(real, rule, neurons, draws=1), candidates_of(decoys, plain, neurons, draws=draws)
    among = Candidates(*map(np.vstack, zip(*sides, strict=True)))
    return without(among, anchor_marks(point) != UNMARKED)


def real_draw(point: Point) -> PartnerTables:
    """The real partners, as one draw in which neither model was changed."""
    return point.real.map(lambda table: table.assign(draw=0, changed="neither"))


def anchor_marks(point: Point) -> np.ndarray:
    """The mark of every neuron of the anchor (neurons,)."""
    return marks_of_side(next(iter(point.real.anchored.values())), point.neurons[point.anchor], "a")


def numbered(tables: PartnerTables) -> tuple[PartnerTables, int]:
    """The draws in which the other model was changed, numbered 0, 1, ... in every pair, and how many all pairs have."""
    changed = {other: table[table.changed != "a"] for other, table in tables.anchored.items()}
    number = {other: np.unique(table.draw, return_inverse=True)[1] for other, table in changed.items()}
    draws = min(1 + draw.max(initial=-1) for draw in number.values())
    kept = {other: table.assign(draw=number[other])[number[other] < draws] for other, table in changed.items()}
    return PartnerTables(kept, {}), draws


def candidates_of(tables: PartnerTables, rule: CountRule, neurons: int, *, draws: int) -> Candidates:
    """The weakest of the best partners in all pairs, as candidates for the neurons of the anchor in every draw."""
    anchored = list(tables.anchored.values())
    if rule.criterion.min_excess:  # where it is not known, there is no competition
        anchored = [table[table.excess_a.notna()] for table in anchored]
    r = np.min([best_in_draws(table, neurons, "a", range(draws))[0] for table in anchored], axis=0)
    counts, found = np.zeros(r.shape, bool), tables.rosetta_neurons(rule, ["draw"])
    counts[found.draw.astype(int), found.neuron_a.astype(int)] = True
    return Candidates(r, counts)


def list_columns(point: Point, rule: CountRule) -> dict[str, float]:
    """The columns of a table of counts about the list of a rule; NaN where no neuron has a competition.

    Where nulls look at some neurons only, competition is for these, and all numbers are scaled up.
    """
    found, row = list_competition(point, rule), dict[str, float]()
    known = 1.0 if np.isfinite(found.excess).any() else np.nan
    q = found.q()
    for suffix, level in LEVELS.items():
        kept = q <= level
        false = found.wins(found.excess[kept].min())[1:].mean() if kept.any() else 0.0
        row |= {f"calibrated_{suffix}": known * kept.sum() * point.scale}
        row |= {f"calibrated_{suffix}_null": known * false * point.scale}
    return row | {name: known * value for name, value in beyond_decoys(found, point.scale, point.confidence).items()}


def beyond_decoys(found: Competition, scale: float, confidence: float) -> dict[str, float]:
    """Wins of real partners, of decoys per draw, and their difference with its interval and standard error.

    The difference estimates the shared neurons that win, since the others win as often as decoys of one draw do. The
    interval is about this text: documents are not resampled.
    """
    real, decoys, variance = wins_beyond(found, np.ones(len(found.winner)), scale)
    middle, error = real - decoys, np.sqrt(variance)
    half = stats.norm.ppf((1 + confidence) / 2) * error
    row = {"wins": real, "decoy_wins": decoys, "beyond_decoys": middle}
    return row | {"beyond_decoys_low": middle - half, "beyond_decoys_high": middle + half, "beyond_decoys_se": error}


def wins_beyond(found: Competition, weight: np.ndarray, scale: float) -> tuple[float, float, float]:
    """Weighted wins of real partners, of decoys per draw, and the variance of their difference; `weight` (neurons,).

    Each neuron has one winner; so with independent neurons the difference of two such numbers of wins has the variance
    of both, and with neurons that depend on each other, through hubs, that which the draws have among each other. The
    larger of both is taken, plus that of the choice of neurons where one of `scale` is looked at.
    """
    won, draws = found.winner >= 0, max(1, found.draws)
    (real, *decoys), (real_squares, *squares) = (
        np.bincount(found.winner[won], weights=each[won], minlength=1 + found.draws) for each in (weight, weight**2)
    )
    mean, square = np.sum(decoys) / draws, np.sum(squares) / draws
    between = np.var(decoys, ddof=1) if draws > 1 else 0.0
    variance = (1 + 1 / draws) * max(square + 1 / draws, between) + (1 - 1 / scale) * (real_squares + square / draws)
    return scale * real, scale * mean, scale**2 * variance
