"""The tables of one curve about its Rosetta neurons: polarization, specialisation, families, and their trends."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rosetta_scaling.schemas.metrics import LEAST, METRICS
from rosetta_scaling.selectivity.kinds import FAMILIES
from rosetta_scaling.selectivity.polarization.confounds import Adjustment, adjust
from rosetta_scaling.selectivity.polarization.effects import (
    beyond_chance,
    mean_against_placebo,
    placebo_sets,
    placebo_slopes,
    polarization,
    slope,
)

QUANTITIES = ("effect", "adjusted", "median_rosetta", "median_others", "difference")
MEANS = ("mean", "mean_others")
BALANCE = ("effective_others", "imbalance_before", "imbalance", "balanced")
DRAWN = ("effect", "adjusted", "mean")  # quantities that a placebo has, too


@dataclass(frozen=True)
class PointModel:
    """One model of a point: which of its neurons are Rosetta neurons by several rules, and how selective all are."""

    curve: str
    point: str
    model: str
    is_anchor: bool
    neurons: pd.DataFrame  # selectivity of all its neurons
    rosetta: dict[str, np.ndarray]  # name of a rule -> numbers of the Rosetta neurons by it


@dataclass(frozen=True)
class NeuronSet:
    """The Rosetta neurons of one model of a point, by one rule."""

    about: dict[str, Any]  # curve, point, model, is_anchor, neurons, set
    table: pd.DataFrame  # selectivity of all neurons of the model
    rosetta: np.ndarray  # (neurons,) bool
    sets: np.ndarray  # placebo sets (draws, size)


class Row(NamedTuple):
    """A row of a table, and what placebo sets have in its place (draws,)."""

    values: dict[str, Any]
    draws: np.ndarray


class Trended(NamedTuple):
    """A table whose quantities have trends: its rows, the column that names what they are about, the quantities."""

    rows: list[Row]
    key: str
    quantities: tuple[str, ...]


def curve_tables(sets: Iterable[NeuronSet], confidence: float) -> dict[str, pd.DataFrame]:
    """The POLARIZATION_TABLES of a curve, from the sets of all its models."""
    tables = {
        "polarization": Trended([], "metric", QUANTITIES),
        "specialisation": Trended([], "domain", MEANS),
        "families": Trended([], "family", MEANS),
    }
    for one in sets:
        tables["polarization"].rows.extend(metric_rows(one, confidence))
        tables["specialisation"].rows.extend(mean_rows(one, "domain", firing_columns(one.table), confidence))
        tables["families"].rows.extend(
            mean_rows(one, "family", one.table[[name for name in FAMILIES if name in one.table]], confidence)
        )
    slopes = [trends(name, table, confidence) for name, table in tables.items()]
    made = {name: pd.DataFrame([row.values for row in table.rows]) for name, table in tables.items()}
    return made | {"trends": pd.concat(slopes, ignore_index=True)}


def neuron_set(of: PointModel, name: str, draws: int, rng: np.random.Generator) -> NeuronSet:
    """The Rosetta neurons of a model by the rule `name`, with `draws` placebo sets."""
    about = {"curve": of.curve, "point": of.point, "model": of.model, "is_anchor": of.is_anchor}
    about |= {"neurons": len(of.neurons), "set": name}
    mask = np.isin(np.arange(len(of.neurons)), of.rosetta[name])
    return NeuronSet(about, of.neurons, mask, placebo_sets(mask, of.neurons.layer.to_numpy(), draws, rng))


def metric_rows(one: NeuronSet, confidence: float) -> Iterator[Row]:
    """Polarization of every metric, with the balance of the confounds."""
    adjustments: dict[bytes, Adjustment | None] = {}
    for metric in (name for name in METRICS if name in one.table):
        values = beyond_chance(one.table, metric)
        defined = np.isfinite(values)
        if defined.tobytes() not in adjustments:
            adjustments[defined.tobytes()] = adjust_among(one, defined)
        adjustment = adjustments[defined.tobytes()]
        row, draws = polarization(values, one.rosetta, adjustment, one.sets, confidence=confidence)
        balance = {name: getattr(adjustment, name, np.nan) for name in BALANCE}
        balance["balanced"] = balance["balanced"] is True
        yield Row(one.about | {"metric": metric} | row | balance, draws)


def adjust_among(one: NeuronSet, defined: np.ndarray) -> Adjustment | None:
    """The adjustment among the neurons on which a metric is defined; None when there are too few of either kind."""
    if min((one.rosetta & defined).sum(), (~one.rosetta & defined).sum()) < LEAST:
        return None
    found = adjust(one.table[defined], one.rosetta[defined])
    weights = np.zeros(len(defined))
    weights[defined] = found.weights
    return replace(found, weights=weights)


def mean_rows(one: NeuronSet, key: str, table: pd.DataFrame, confidence: float) -> Iterator[Row]:
    """Means of all columns of a table over the Rosetta neurons, the others, and the placebo; `key` names the column."""
    for name, values in table.items():
        is_share = key == "family"
        row, draws = mean_against_placebo(values.to_numpy(), one.rosetta, one.sets, confidence, share=is_share)
        yield Row(one.about | {key: name} | row, draws)


def firing_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Normalised firing of every neuron in every domain, or type of document."""
    return table.filter(regex="^firing_").rename(columns=lambda name: name.removeprefix("firing_"))


def trends(name: str, table: Trended, confidence: float) -> pd.DataFrame:
    """Slopes per decade of neurons over the anchors of a curve, per set and metric, with the slopes of the placebo.

    Columns: curve, table (`name`), set, of, quantity, and those of `slope` and `placebo_slopes`.
    """
    rows, every = [], pd.DataFrame([row.values for row in table.rows])
    for (curve, chosen, of), part in every[every.is_anchor].groupby(["curve", "set", table.key], sort=False):
        for quantity in table.quantities:
            known = part[np.isfinite(part[quantity].to_numpy(float))]
            row = {"curve": curve, "table": name, "set": chosen, "of": of, "quantity": quantity}
            row |= slope(part.neurons.to_numpy(float), part[quantity].to_numpy(float), confidence)
            if quantity in DRAWN:
                draws = [table.rows[i].draws for i in known.index]
                if quantity == "adjusted":  # layers are the same there, so what placebo sets have of them is taken off
                    draws = [one - one.mean() for one in draws]
                row |= placebo_slopes(known.neurons.to_numpy(float), draws, confidence)
            rows.append(row)
    return pd.DataFrame(rows)
