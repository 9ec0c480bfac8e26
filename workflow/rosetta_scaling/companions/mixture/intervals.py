"""Means over replicates with bootstrap intervals.

A replicate is a network, or a set of networks for measures that need several. Different widths have different
replicates, so each width is resampled separately.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from rosetta_scaling.config.companions.mixture import MixtureSettings
from rosetta_scaling.numerics.intervals import of_resamples

HALF = 0.5  # share of a task that makes a width its critical one


def bootstrap(values: np.ndarray, statistic: Callable, settings: MixtureSettings) -> tuple[float, float, float]:
    """Statistic of values (widths, replicates) and its interval, with the replicates of every width resampled.

    `statistic` takes values (..., widths, replicates) and gives one number for each.
    """
    rng = np.random.default_rng(settings.seed)
    drawn = rng.integers(values.shape[1], size=(settings.resamples, *values.shape))
    draws = statistic(np.take_along_axis(values[None], drawn, axis=2))
    low, high = of_resamples(draws, settings.confidence, values.shape[1])
    return float(statistic(values)), float(low), float(high)


def mean_of_one(values: np.ndarray) -> np.ndarray:
    """Mean of the replicates of one width, without NaN."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return (np.where(known, values, 0).sum(-1) / known.sum(-1))[..., 0]


def rank_correlation(widths: Sequence[int]) -> Callable:
    """The statistic that is Spearman's correlation of means with width; 0 where all means are equal."""

    def statistic(values: np.ndarray) -> np.ndarray:
        means = values.mean(-1)
        ranks = (means[..., None] > means[..., None, :]).sum(-1) - (means[..., None] < means[..., None, :]).sum(-1)
        order = np.arange(len(widths)) - (len(widths) - 1) / 2
        size = np.sqrt((ranks**2).sum(-1) * (order**2).sum())
        return np.divide(ranks @ order, size, out=np.zeros(size.shape), where=size > 0)

    return statistic


def summarise(table: pd.DataFrame, by: list[str], columns: list[str], settings: MixtureSettings) -> pd.DataFrame:
    """Mean over replicates of every column, with COLUMN_low and COLUMN_high: one row per group."""
    rows = []
    for names, part in table.groupby(by, sort=False):
        row = dict(zip(by, names, strict=True))
        for column in columns:
            values = part[column].to_numpy(float)[None]
            none = np.isnan(values).all()
            found = (np.nan,) * 3 if none else bootstrap(values, mean_of_one, settings)
            row |= dict(zip((column, f"{column}_low", f"{column}_high"), found, strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def by_width(table: pd.DataFrame, column: str) -> np.ndarray:
    """Values (widths, replicates) of a column of a table with as many replicates, in order, at every width."""
    return np.stack([part[column].to_numpy(float) for _, part in table.groupby("width")])


def crossing(widths: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Width at which share (..., widths) first reaches HALF, between widths on a log axis; infinite if nowhere."""
    reached = share >= HALF
    place = np.where(reached.any(-1), reached.argmax(-1), len(widths) - 1)
    before = np.maximum(place - 1, 0)
    above, below = (np.take_along_axis(share, at[..., None], -1)[..., 0] for at in (place, before))
    rise = np.where(above > below, above - below, 1)
    part = np.where((place > 0) & (above >= HALF), (HALF - below) / rise, 1.0)
    log = np.log(widths)
    return np.where(reached.any(-1), np.exp(log[before] + part * (log[place] - log[before])), np.inf)
