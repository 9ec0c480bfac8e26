"""What becomes of the neurons of an anchor when it is trained further: do they stay what they are, do they specialise?

Training starts from the anchor, so that a neuron has a place where it can be found again: its layer and channel. Beside
the Rosetta neurons stand the others, which are followed in the same way; a neuron of high variance is found again more
easily, so the others are also weighted to be alike (see selectivity/polarization/confounds.py).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rosetta_scaling.config.matching import Criterion
from rosetta_scaling.numerics.intervals import Estimate, of_difference, of_weighted_share
from rosetta_scaling.points.rosetta import satisfying
from rosetta_scaling.selectivity.polarization.effects import mean_against_placebo
from rosetta_scaling.selectivity.polarization.tables import NeuronSet, PointModel, adjust_among


@dataclass(frozen=True)
class Continuation:
    """An anchor of a point, and the same network after further training."""

    anchor: PointModel
    after: pd.DataFrame  # selectivity of all its neurons after further training
    matches: pd.DataFrame  # its partners; the anchor is side a
    nulls: Mapping[str, pd.DataFrame]  # all draws of every null of the two, of the neurons that nulls look at
    domain: str | None  # or type of document, on which it was trained further; None: on all text
    scale: float = 1.0  # neurons of the anchor for each one that the nulls look at


def fates(one: Continuation, criterion: Criterion) -> pd.DataFrame:
    """What becomes of every neuron of the anchor, a row each: 1 or 0 in columns of FATES, NaN where it is not defined.

    A neuron whose activation never rises has no strongest contexts, before or after.
    """
    neurons = np.arange(len(one.anchor.neurons))
    found = satisfying(one.matches, criterion)
    table = pd.DataFrame(
        {
            "stays": np.isin(neurons, found.neuron_a[found.neuron_a == found.neuron_b]),
            "matched": np.isin(neurons, found.neuron_a),
        },
        dtype=float,
    )
    if one.domain is not None:
        column = f"firing_{one.domain}"
        change = one.after[column].to_numpy() - one.anchor.neurons[column].to_numpy()
        known = np.isfinite(change)
        table["rises"] = np.where(known, change > 0, np.nan)
        table["falls"] = np.where(known, change < 0, np.nan)
    return table


def strongest_null(one: Continuation, criterion: Criterion, rosetta: np.ndarray, fate: str) -> float:
    """Largest mean over nulls of the share of the Rosetta neurons (neurons,) bool that stay or are matched."""
    means = []
    for null in one.nulls.values():
        found = satisfying(null, criterion)
        found = found[rosetta[found.neuron_a]]
        if fate == "stays":
            found = found[found.neuron_a == found.neuron_b]
        met = len(found.drop_duplicates(["draw", "neuron_a"])) * one.scale
        means.append(met / (max(1, null.draw.nunique()) * rosetta.sum()))
    return max(means)


def fate_rows(one: Continuation, of: NeuronSet, criterion: Criterion, confidence: float) -> Iterator[dict]:
    """Rows of the table CONTINUED from `set` on, for the Rosetta neurons of one set."""
    for fate, values in fates(one, criterion).items():
        share, _ = mean_against_placebo(values.to_numpy(), of.rosetta, of.sets, confidence, share=True)
        row = {"set": of.about["set"], "fate": fate}
        row |= {{"mean": "share", "mean_others": "share_others"}.get(name, name): share[name] for name in share}
        row |= difference(values.to_numpy(), of, confidence)
        has_null = fate in ("stays", "matched") and of.rosetta.any()
        yield row | {"null": strongest_null(one, criterion, of.rosetta, str(fate)) if has_null else np.nan}


def difference(values: np.ndarray, of: NeuronSet, confidence: float) -> dict:
    """Share of the Rosetta neurons less that of others that are alike, and whether these could be made alike."""
    known = np.isfinite(values)
    adjustment = adjust_among(of, known)
    if adjustment is None:
        return Estimate.unknown().columns("difference") | {"balanced": False}
    inside = of.rosetta & known
    rosetta = of_weighted_share(values[inside].mean(), inside.sum(), confidence)
    alike = adjustment.weights[known] @ values[known]
    others = of_weighted_share(alike, adjustment.effective_others, confidence)
    return of_difference(rosetta, others).columns("difference") | {"balanced": bool(adjustment.balanced)}
