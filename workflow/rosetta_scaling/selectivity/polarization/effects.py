"""Polarization: are Rosetta neurons more selective than the others, and does the difference grow with size?

Within a model the neurons are the sample; over sizes the model is the replicate. Each difference is measured as it is,
and against others that are alike in layer, mean, variance and share of units (see confounds.py); beside it stands the
placebo: random sets of other neurons, with as many from each layer as there are Rosetta neurons.
"""

import numpy as np
import pandas as pd
from scipy import stats

from rosetta_scaling.numerics import intervals
from rosetta_scaling.numerics.intervals import Estimate
from rosetta_scaling.schemas.metrics import LEAST, METRICS
from rosetta_scaling.selectivity.polarization.confounds import Adjustment


def beyond_chance(table: pd.DataFrame, metric: str) -> np.ndarray:
    """Values (neurons,) of a metric, less what it is by chance where chance has a part in it."""
    null = METRICS[metric].null
    return (table[metric] - table[null] if null else table[metric]).to_numpy(float)


def rank_biserial(
    rosetta: np.ndarray, others: np.ndarray, confidence: float, weights: np.ndarray | None = None
) -> Estimate:
    """P(rosetta > others) - P(rosetta < others) for random members, and its interval; 1: every Rosetta neuron is above.

    `weights` (others,) with sum 1, equal by default, are taken as given, which makes the interval too wide rather than
    too narrow. It is that of DeLong et al. (1988), on Fisher's scale, so that it stays between -1 and 1; where all of
    one set lie above all of the other, that of as many wins in a row as the smaller set has members.
    """
    weights = np.full(len(others), 1 / len(others)) if weights is None else weights
    order = np.argsort(others)
    total = np.append(0, np.cumsum(weights[order]))
    below, upto = (total[np.searchsorted(others[order], rosetta, side)] for side in ("left", "right"))
    of_rosetta = below + upto - total[-1]  # share of the others below less share above, for every Rosetta neuron
    ordered = np.sort(rosetta)
    above, from_here = (len(rosetta) - np.searchsorted(ordered, others, side) for side in ("right", "left"))
    of_others = (above + from_here) / len(rosetta) - 1
    effect = float(of_rosetta.mean())
    variance = of_rosetta.var(ddof=1) / len(rosetta) + (weights**2 * (of_others - effect) ** 2).sum()
    if 1 - abs(effect) < 1e-9:
        wins = min(len(rosetta), 1 / (weights**2).sum())
        bounds = np.sign(effect), np.sign(effect) * (2 * ((1 - confidence) / 2) ** (1 / wins) - 1)
        return Estimate(effect, float(min(bounds)), float(max(bounds)))
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(variance) / (1 - effect**2)
    return Estimate(effect, float(np.tanh(np.arctanh(effect) - half)), float(np.tanh(np.arctanh(effect) + half)))


def median_difference(rosetta: np.ndarray, others: np.ndarray, confidence: float) -> Estimate:
    """Median of the Rosetta neurons less that of the others, and its interval.

    The interval joins those of the two medians, which are order statistics (Zou & Donner 2008).
    """
    middle, reach = [], []
    for values in (rosetta, others):
        ordered, n = np.sort(values), len(values)
        low = int(stats.binom.ppf((1 - confidence) / 2, n, 0.5))
        middle.append(np.median(values))
        reach.append((middle[-1] - ordered[max(0, low - 1)], ordered[min(n - 1, n - low)] - middle[-1]))
    difference = middle[0] - middle[1]
    below, above = np.hypot(reach[0][0], reach[1][1]), np.hypot(reach[0][1], reach[1][0])
    return Estimate(difference, difference - below, difference + above)


def placebo_sets(rosetta: np.ndarray, layer: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Random sets (draws, size) of other neurons with as many of each layer as there are Rosetta neurons.

    A set takes at most half of the other neurons of a layer, so that as many are left to compare it with; where a
    layer has too few, the set is smaller.
    """
    picked = []
    for one in np.unique(layer):
        members = np.flatnonzero((layer == one) & ~rosetta)
        size = min(int(rosetta[layer == one].sum()), len(members) // 2)
        if size:
            order = rng.random((draws, len(members))).argpartition(size - 1, axis=1)[:, :size]
            picked.append(members[order])
    return np.concatenate(picked, 1) if picked else np.zeros((draws, 0), int)


def placebo_effects(values: np.ndarray, others: np.ndarray, sets: np.ndarray) -> np.ndarray:
    """Rank-biserial effects (draws,) of placebo sets against the rest of the others; NaN where too few are defined.

    values (neurons,), NaN where undefined; others (neurons,) bool.
    """
    known = np.isfinite(values) & others
    rank = np.zeros(len(values))
    rank[known] = stats.rankdata(values[known])
    n = known[sets].sum(1)
    m = known.sum() - n
    with np.errstate(divide="ignore", invalid="ignore"):
        effects = 2 * (rank[sets].sum(1) - n * (n + 1) / 2) / (n * m) - 1
    return np.where((n >= LEAST) & (m >= LEAST), effects, np.nan)


def polarization(
    values: np.ndarray, rosetta: np.ndarray, adjustment: Adjustment | None, sets: np.ndarray, *, confidence: float
) -> tuple[dict[str, float], np.ndarray]:
    """One metric of one model: set sizes, medians and their difference, effects with intervals, placebo; and its draws.

    values (neurons,), NaN where the metric is undefined; rosetta (neurons,) bool; sets as of placebo_sets. Effects are
    NaN when either set has fewer than LEAST neurons.
    """
    inside, outside = np.isfinite(values) & rosetta, np.isfinite(values) & ~rosetta
    of_rosetta, of_others = values[inside], values[outside]
    is_told = min(len(of_rosetta), len(of_others)) >= LEAST
    medians, difference, effect, adjusted, placebo = (np.nan, np.nan), *[Estimate.unknown()] * 4
    draws = placebo_effects(values, ~rosetta, sets)
    if is_told:
        medians = np.median(of_rosetta), np.median(of_others)
        difference = median_difference(of_rosetta, of_others, confidence)
        effect = rank_biserial(of_rosetta, of_others, confidence)
        if adjustment is not None and (weights := adjustment.weights[outside]).sum() > 0:
            adjusted = rank_biserial(of_rosetta, of_others, confidence, weights / weights.sum())
        if np.isfinite(draws).any():
            placebo = Estimate(np.nanmean(draws), *intervals.of_draws(draws, confidence))
    row: dict[str, float] = {"rosetta": len(of_rosetta), "others": len(of_others)}
    row |= {"median_rosetta": medians[0], "median_others": medians[1]} | difference.columns("difference")
    row |= {"effect": effect.value, "low": effect.low, "high": effect.high}
    return row | adjusted.columns("adjusted") | placebo.columns("placebo"), draws


def mean_against_placebo(
    values: np.ndarray, rosetta: np.ndarray, sets: np.ndarray, confidence: float, *, share: bool = False
) -> tuple[dict[str, float], np.ndarray]:
    """Mean of a quantity over the Rosetta neurons with its interval, over the others, over placebo sets; and its draws.

    values (neurons,), NaN where undefined. A `share` is the mean of zeros and ones and has Wilson's interval; other
    means have Student's.
    """
    inside, outside = (values[chosen & np.isfinite(values)] for chosen in (rosetta, ~rosetta))
    mean = placebo = Estimate.unknown()
    draws, others = np.full(len(sets), np.nan), np.nan
    if min(len(inside), len(outside)) >= LEAST:
        if share:
            bounds = intervals.of_share(int(inside.sum()), len(inside), confidence)
        else:
            bounds = intervals.of_mean(inside, confidence)
        mean, others = Estimate(inside.mean(), *bounds), outside.mean()
        known = np.isfinite(values[sets])
        if sets.shape[1] and known.any(1).all():
            draws = np.where(known, values[sets], 0).sum(1) / known.sum(1)
            placebo = Estimate(draws.mean(), *intervals.of_draws(draws, confidence))
    row: dict[str, float] = {"rosetta": len(inside), "others": len(outside)}
    row |= {"mean": mean.value, "low": mean.low, "high": mean.high, "mean_others": others}
    return row | placebo.columns("placebo"), draws


def slope(neurons: np.ndarray, values: np.ndarray, confidence: float) -> dict[str, float]:
    """Slope of values per decade of neurons with a t interval; the model is the replicate. NaN below three points."""
    known = np.isfinite(values)
    row = {"points": int(known.sum())} | dict.fromkeys(("slope", "low", "high"), np.nan)
    if known.sum() < 3 or len(set(neurons[known])) < 2:
        return row
    fit = stats.linregress(np.log10(neurons[known]), values[known])
    half = stats.t.ppf((1 + confidence) / 2, known.sum() - 2) * fit.stderr
    return row | {"slope": fit.slope, "low": fit.slope - half, "high": fit.slope + half}


def placebo_slopes(neurons: np.ndarray, draws: list[np.ndarray], confidence: float) -> dict[str, float]:
    """Quantiles of the slopes of placebo sets, joining one draw (draws,) of every point.

    NaN where `slope` has none, and when a draw of one of the points is not known.
    """
    if len(draws) < 3 or len(set(neurons)) < 2 or not all(np.isfinite(one).all() for one in draws):
        return {"placebo_low": np.nan, "placebo_high": np.nan}
    x = np.log10(neurons)
    x = x - x.mean()
    slopes = x @ np.stack(draws) / (x @ x)
    low, high = intervals.of_draws(slopes, confidence)
    return {"placebo_low": low, "placebo_high": high}
