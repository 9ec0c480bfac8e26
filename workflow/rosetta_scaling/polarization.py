"""Polarization: are Rosetta neurons more selective than the others, and does the difference grow with size?

Within a model the neurons are the sample; over sizes the model is the replicate.
"""

import numpy as np
import pandas as pd
from scipy import stats

METRICS = ("vocab_kurtosis", "vocab_kurtosis_folded", "activation_kurtosis", "gini")  # of the neurons' tables


def rank_biserial(rosetta: np.ndarray, others: np.ndarray) -> float:
    """P(rosetta > others) - P(rosetta < others) for random members; 1 means every Rosetta neuron lies above."""
    u = stats.mannwhitneyu(rosetta, others, method="asymptotic").statistic
    return float(2 * u / (len(rosetta) * len(others)) - 1)


def bootstrap_effects(rosetta: np.ndarray, others: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Rank-biserial effects (draws,) over resamples of the neurons of either set."""
    others = np.sort(others)
    below, upto = (np.searchsorted(others, rosetta, side) for side in ("left", "right"))
    effects = np.empty(draws)
    for i in range(draws):
        weight = np.bincount(rng.integers(0, len(others), len(others)), minlength=len(others))
        total = np.append(0, np.cumsum(weight))  # resampled others below each place
        chosen = rng.integers(0, len(rosetta), len(rosetta))
        wins, losses = total[below[chosen]], total[-1] - total[upto[chosen]]
        effects[i] = (wins - losses).mean() / len(others)
    return effects


def layer_matched_effects(
    values: np.ndarray, rosetta: np.ndarray, layer: np.ndarray, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Effects (draws,) of random sets with as many neurons of each layer: what the choice of layers alone gives."""
    rank = stats.rankdata(values)
    picked = np.zeros(draws)
    for one in np.unique(layer):
        members, size = rank[layer == one], int(rosetta[layer == one].sum())
        if size:
            order = rng.random((draws, len(members))).argpartition(size - 1, axis=1)[:, :size]
            picked += members[order].sum(1)
    n, m = int(rosetta.sum()), int((~rosetta).sum())
    return 2 * (picked - n * (n + 1) / 2) / (n * m) - 1


def polarization(
    values: np.ndarray, rosetta: np.ndarray, layer: np.ndarray, draws: int, confidence: float, seed
) -> dict[str, float]:
    """Set sizes, medians, effect with a bootstrap interval, and the layer-matched null, for one metric of one model.

    values (neurons,), NaN where the metric is undefined; rosetta (neurons,) bool; layer (neurons,). Effects are NaN
    when either set has fewer than two neurons.
    """
    defined = np.isfinite(values)
    values, rosetta, layer = values[defined], rosetta[defined], layer[defined]
    inside, outside = values[rosetta], values[~rosetta]
    row = {
        "rosetta": len(inside),
        "others": len(outside),
        "median_rosetta": np.median(inside) if len(inside) else np.nan,
        "median_others": np.median(outside) if len(outside) else np.nan,
    }
    names = ("effect", "low", "high", "null_effect", "null_low", "null_high")
    if min(len(inside), len(outside)) < 2:
        return row | dict.fromkeys(names, np.nan)
    rng = np.random.default_rng(seed)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(bootstrap_effects(inside, outside, draws, rng), tails)
    null = layer_matched_effects(values, rosetta, layer, draws, rng)
    found = (rank_biserial(inside, outside), low, high, null.mean(), *np.quantile(null, tails))
    return row | dict(zip(names, found, strict=True))


def trends(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Slope per decade of neurons of effect and medians over the anchor models of each curve, with a t interval.

    `table` has one row per curve, point and metric (the anchor's).
    """
    rows = []
    for (curve, metric), part in table.groupby(["curve", "metric"], sort=False):
        for quantity in ("effect", "median_rosetta", "median_others"):
            known = part.dropna(subset=[quantity])
            row = {"curve": curve, "metric": metric, "quantity": quantity, "points": len(known)}
            if len(known) >= 3:
                fit = stats.linregress(np.log10(known.neurons), known[quantity])
                half = stats.t.ppf((1 + confidence) / 2, len(known) - 2) * fit.stderr
                row |= {"slope": fit.slope, "low": fit.slope - half, "high": fit.slope + half}
            else:
                row |= dict.fromkeys(("slope", "low", "high"), np.nan)
            rows.append(row)
    return pd.DataFrame(rows)
