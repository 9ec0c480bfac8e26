"""Explicit ensembles: averages of k networks, with the bias that they share and the variance that they do not."""

from typing import Any

import numpy as np
import pandas as pd

from rosetta_scaling.companions.lottery.results import Run, log_medians, resample_counts
from rosetta_scaling.config.companions.lottery import LotterySettings
from rosetta_scaling.numerics.intervals import of_draws


def bias_and_variance(errors: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared bias and variance (draws,) over seeds, means over x, unbiased, so that the average of k networks drawn
    from the population of seeds has the expected loss bias^2 + variance / k.

    errors (seeds, points) are f(x) - y(x); weights (draws, seeds) say how often a draw holds each of them.
    """
    seeds = weights.sum(1)
    of_mean = ((weights / seeds[:, None] @ errors) ** 2).mean(1)
    variance = (weights @ (errors**2).mean(1) / seeds - of_mean) * seeds / (seeds - 1)
    return of_mean - variance / seeds, variance


def groups(losses: np.ndarray) -> dict[str, np.ndarray]:
    """Seeds of both groups; the better half is also shown alone, since networks in bad minima dominate the mean."""
    return {"all": np.arange(len(losses)), "good half": np.flatnonzero(losses <= np.median(losses))}


def ensemble_table(settings: LotterySettings, runs: list[Run]) -> pd.DataFrame:
    """Averages of k networks of a width, beside networks that are k times as wide.

    Columns: activation, steps, group (all, good half), width, networks, k; loss (mean over random sets of k), bias2,
    variance, expected (bias2 + variance / k); variance_share (of the loss of one) with _low, _high; trained (median
    loss at width x k), ratio (expected / trained) with _low, _high, missing where no such width was trained.
    """
    rows = []
    for run in runs:
        logs, log_draws = log_medians(settings, run)
        for width in settings.widths:
            errors = run.errors(width)
            for group, members in groups(run.losses(width)).items():
                part = errors[members]
                (bias2,), (variance,) = bias_and_variance(part, np.ones((1, len(part))))
                draws = bias_and_variance(part, resample_counts(settings, len(part)))
                share = of_draws(draws[1] / (draws[0] + draws[1]), settings.confidence)
                rng = np.random.default_rng([settings.seed, width, 5])
                for k in (k for k in settings.ensembles if 2 * k <= len(part)):
                    sets = np.stack([rng.choice(len(part), k, replace=False) for _ in range(settings.ensemble_draws)])
                    row: dict[str, Any] = {"group": group, "width": width, "networks": len(part), "k": k}
                    row |= {"loss": (part[sets].mean(1) ** 2).mean(), "bias2": bias2, "variance": variance}
                    row |= {"expected": bias2 + variance / k, "variance_share": variance / (bias2 + variance)}
                    row |= {"variance_share_low": share[0], "variance_share_high": share[1]}
                    row |= dict.fromkeys(("trained", "ratio", "ratio_low", "ratio_high"), np.nan)
                    if width * k in settings.widths:
                        wide = settings.widths.index(width * k)
                        row["trained"] = 2 ** logs[wide]
                        row["ratio"] = row["expected"] / row["trained"]
                        resamples = (draws[0] + draws[1] / k) / 2 ** log_draws[:, wide]
                        row["ratio_low"], row["ratio_high"] = of_draws(resamples, settings.confidence)
                    rows.append(run.name | row)
    return pd.DataFrame(rows)
