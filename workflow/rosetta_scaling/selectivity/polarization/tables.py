"""The tables of one curve about its Rosetta neurons: polarization, specialisation, families, and their trends."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rosetta_scaling.schemas.metrics import LEAST, METRICS
from rosetta_scaling.selectivity.polarization.confounds import Adjustment, adjust
from rosetta_scaling.selectivity.polarization.effects import (
    beyond_chance,
    mean_against_placebo,
    placebo_slopes,
    polarization,
    slope,
)

QUANTITIES = ("effect", "adjusted", "median_rosetta", "median_others", "difference")
BALANCE = ("effective_others", "imbalance_before", "imbalance", "balanced")
DRAWN = ("effect", "adjusted", "mean")  # quantities that a placebo has, too


@dataclass(frozen=True)
class NeuronSet:
    """Who is a Rosetta neuron in one model of a point, by one rule."""

    about: dict  # curve, point, model, is_anchor, neurons, set
    table: pd.DataFrame  # selectivity of all neurons of the model
    rosetta: np.ndarray  # (neurons,) bool
    sets: np.ndarray  # placebo sets


def metric_rows(one: NeuronSet, confidence: float) -> list[tuple[dict, np.ndarray]]:
    """Polarization of every metric, with the balance of the confounds; and its placebo draws."""
    adjustments, found = {}, []
    for metric in METRICS:
        values = beyond_chance(one.table, metric)
        defined = np.isfinite(values)
        if defined.tobytes() not in adjustments:
            adjustments[defined.tobytes()] = adjust_among(one, defined)
        adjustment = adjustments[defined.tobytes()]
        row, drawn = polarization(values, one.rosetta, adjustment, one.sets, confidence)
        balance = {name: getattr(adjustment, name, np.nan) for name in BALANCE}
        balance["balanced"] = balance["balanced"] is True
        found.append((one.about | {"metric": metric} | row | balance, drawn))
    return found


def adjust_among(one: NeuronSet, defined: np.ndarray) -> Adjustment | None:
    """The adjustment among the neurons on which a metric is defined; None when there are too few of either kind."""
    if min((one.rosetta & defined).sum(), (~one.rosetta & defined).sum()) < LEAST:
        return None
    found = adjust(one.table[defined], one.rosetta[defined])
    weights = np.zeros(len(defined))
    weights[defined] = found.weights
    return replace(found, weights=weights)


def mean_rows(one: NeuronSet, key: str, table: pd.DataFrame, confidence: float) -> list[tuple[dict, np.ndarray]]:
    """Means of all columns of a table over the Rosetta neurons, the others, and the placebo; and its draws."""
    found = []
    for name, values in table.items():
        row, drawn = mean_against_placebo(values.to_numpy(), one.rosetta, one.sets, confidence, key == "family")
        found.append((one.about | {key: name} | row, drawn))
    return found


def firing(table: pd.DataFrame) -> pd.DataFrame:
    """Normalised firing of every neuron in every domain, or type of document."""
    return table.filter(regex="^firing_").rename(columns=lambda name: name.removeprefix("firing_"))


def trends(
    table: pd.DataFrame, draws: dict, name: str, key: str, quantities: tuple[str, ...], confidence: float
) -> pd.DataFrame:
    """Slopes per decade of neurons over the anchors of a curve, per set and metric, with the slopes of the placebo."""
    rows = []
    for (curve, chosen, of), part in table[table.is_anchor].groupby(["curve", "set", key], sort=False):
        neurons = part.neurons.to_numpy(float)
        for quantity in quantities:
            row = {"curve": curve, "table": name, "set": chosen, "of": of, "quantity": quantity}
            values = part[quantity].to_numpy(float)
            row |= slope(neurons, values, confidence)
            if quantity in DRAWN:
                drawn = [draws[name, i] for i in part.index[np.isfinite(values)]]
                if quantity == "adjusted":  # layers are the same there, so what placebo sets have of them is taken off
                    drawn = [one - one.mean() for one in drawn]
                row |= placebo_slopes(neurons[np.isfinite(values)], drawn, confidence)
            rows.append(row)
    return pd.DataFrame(rows)
