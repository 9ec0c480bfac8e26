"""Scaling laws: losses as a function of width in closed form, and exponents fitted to these and to counts."""

import numpy as np
import pandas as pd

from rosetta_scaling.companions.mixture.networks import compute_optimal_excess, endless_exponent, endless_optimum
from rosetta_scaling.config.companions.mixture import SMALLEST, MixtureSettings
from rosetta_scaling.power_laws.estimators import fit_power_law, ols


def law_table(settings: MixtureSettings) -> pd.DataFrame:
    """L* of infinite mixtures, and the loss above L0 by two scaling laws: law, a, b, width, loss."""
    asked, rows = settings.law, []
    for width in np.geomspace(*asked.window, asked.points):
        for a, b in asked.exponents:
            kept, loss = endless_optimum(width, a, b)
            rows.append({"law": "mixture", "a": a, "b": b, "width": kept, "loss": loss})
        both = {"endless data": width**-asked.alpha}
        both["compute-optimal"] = compute_optimal_excess(np.array([width]), asked.alpha, asked.beta)[0]
        rows += [
            {"law": law, "a": asked.alpha, "b": asked.beta, "width": width, "loss": loss} for law, loss in both.items()
        ]
    return pd.DataFrame(rows).sort_values(["law", "a", "b", "width"], ignore_index=True)


def exponents_table(counts: pd.DataFrame, settings: MixtureSettings) -> pd.DataFrame:
    """Fitted exponents (see power_laws/estimators.py): of, a, b, exponent, low, high, expected, points.

    `of` is a law of law_table, with the exponent by which the loss falls, or the count of Rosetta neurons at widths up
    to the number of features (growing) or from that number on (spare).
    """
    rows = []
    for (law, a, b), part in law_table(settings).groupby(["law", "a", "b"]):
        fit = fit_power_law(part.width, part.loss, settings.confidence)
        expected = endless_exponent(a, b) if law == "mixture" else a
        found = {"exponent": -fit["alpha"], "low": -fit["high"], "high": -fit["low"]}
        rows.append({"of": law, "a": a, "b": b} | found | {"expected": expected, "points": len(part)})
    own, total = counts[counts.kind == "trained"], settings.tasks.total
    for of, part, expected in (("growing", own[own.width <= total], 1.0), ("spare", own[own.width >= total], 0.0)):
        positive = part[part.neurons > 0]
        fit = dict.fromkeys(("alpha", "low", "high"), np.nan)
        if len(positive) >= SMALLEST:
            fit = ols(positive.width, positive.neurons, settings.confidence)
        found = {"exponent": fit["alpha"], "low": fit["low"], "high": fit["high"]}
        rows.append({"of": of, "a": np.nan, "b": np.nan} | found | {"expected": expected, "points": len(positive)})
    return pd.DataFrame(rows)
