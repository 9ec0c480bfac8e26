"""The table of the viewer: every neuron of a network with its selectivity, its best partners and what they prove."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rosetta_scaling.nulls.calibration import best_in_draws
from rosetta_scaling.points.lists import LEVELS
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.schemas.tables.selectivity import KINDS

LEVEL = LEVELS["05"]  # largest q of what the column `matched` counts


@dataclass(frozen=True)
class PairEvidence:
    """The tables of partners of a network, which is side a, with another one."""

    matches: pd.DataFrame
    nulls: Mapping[str, pd.DataFrame]  # all draws of every null
    half: pd.DataFrame  # found on either half of the documents, with the r on the other


def neuron_table(
    neurons: pd.DataFrame,
    pairs: Mapping[str, PairEvidence],
    rosetta: Mapping[str, pd.DataFrame],
    labels: pd.Series | None = None,
) -> pd.DataFrame:
    """One row per neuron, from its table of selectivity; `pairs` by other network, `rosetta` by curve.

    `labels` are descriptions of a judge by neuron. The columns are those of schemas/tables/viewer.py.
    """
    table = neurons[["layer", "channel"]].copy()
    table["depth"] = table.layer / max(1, int(table.layer.max()))
    evidence = {other: pair_columns(pair, len(table)) for other, pair in pairs.items()}
    table["mutual"] = sum(columns["mutual"].astype(int) for columns in evidence.values())
    found = [columns["mutual"] & (columns["q"] <= LEVEL) for columns in evidence.values()]
    table["matched"] = sum(one.astype(int) for one in found)
    for other, columns in evidence.items():
        table = pd.concat([table, columns.add_suffix(f".{other}")], axis=1)
    table["kind"] = kind_words(neurons)
    table["domain"] = strongest_domain(neurons)
    table["label"] = None if labels is None else labels.reindex(table.index).to_numpy()
    measured = neurons.drop(columns=["layer", "channel", *kinds_in(neurons)])
    sets = {
        f"rosetta.{curve}.{name}": members[name].to_numpy(bool)
        for curve, members in rosetta.items()
        for name in members.select_dtypes(bool)
    }
    return pd.concat([table, measured, pd.DataFrame(sets, index=table.index)], axis=1)


def pair_columns(pair: PairEvidence, neurons: int) -> pd.DataFrame:
    """What is known of the best partner of every neuron (see schemas/tables/viewer.py); NaN or -1 without one."""
    rows = range(neurons)
    best = pair.matches[pair.matches.rank_a == 1].set_index("neuron_a").reindex(rows)
    columns = {
        "partner": best.neuron_b.fillna(-1).astype(int),
        "r": best.r,
        "mutual": best.rank_b == 1,
        "margin": best.margin_a,
        "excess": best.excess_a,
        "q": best.q_a,
    }
    means, largest = {}, {}
    for name, table in pair.nulls.items():
        r, _ = best_in_draws(table, neurons, "a")
        draws = pd.DataFrame(r.T)  # (neurons, draws); no column where no draw leaves this network as it is
        means[name], largest[name] = draws.mean(axis=1).to_numpy(float), draws.max(axis=1).to_numpy(float)
    columns["null"] = np.fmax.reduce(list(means.values()))
    again = pair.half.merge(best.neuron_b.rename("best"), left_on="neuron_a", right_index=True)
    again = again[again.neuron_b == again.best]
    columns["refound"] = again[again.rank_a == 1].groupby("neuron_a").size().reindex(rows, fill_value=0)
    columns["heldout_r"] = again.groupby("neuron_a").heldout_r.mean().reindex(rows)
    for name in NULLS:
        columns |= {name: means[name], f"{name}_largest": largest[name]}
    return pd.DataFrame(columns, index=rows)


def kinds_in(neurons: pd.DataFrame) -> list[str]:
    """The kinds that are known of neurons: those of text and of images differ."""
    return [name for name in KINDS if name in neurons]


def kind_words(neurons: pd.DataFrame) -> pd.Series:
    """The kinds of every neuron in words, separated by commas; none: empty."""
    member = neurons[kinds_in(neurons)].eq(1).to_numpy()
    names = np.array([name.replace("_", " ") for name in kinds_in(neurons)])
    return pd.Series([", ".join(names[row]) for row in member], neurons.index)


def strongest_domain(neurons: pd.DataFrame) -> pd.Series:
    """The domain in which every neuron is strongest on average."""
    means = neurons.filter(regex="^mean_.")
    return means.fillna(-np.inf).idxmax(axis=1).str.removeprefix("mean_")
