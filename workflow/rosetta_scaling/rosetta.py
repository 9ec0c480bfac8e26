"""Rosetta neurons: neurons of a point's anchor model that are matched in every other model of the point."""

from collections.abc import Mapping
from functools import reduce

import numpy as np
import pandas as pd

from rosetta_scaling.config import Criterion


def orient(matches: pd.DataFrame, swap: bool) -> pd.DataFrame:
    """The same matches with the sides exchanged when `swap`."""
    if not swap:
        return matches
    other = {"a": "b", "b": "a"}
    return matches.rename(columns=lambda c: f"{c[:-1]}{other[c[-1]]}" if c[-2:] in ("_a", "_b") else c)


def satisfying(matches: pd.DataFrame, criterion: Criterion) -> pd.DataFrame:
    """The matches that meet a criterion; matches found at a larger k carry the ranks that decide for a smaller one."""
    within = (matches.rank_a <= criterion.k) & (matches.rank_b <= criterion.k)
    return matches[within & (matches.r >= criterion.min_r)]


def rosetta_table(
    neurons: int,
    partners: Mapping[str, pd.DataFrame],
    outer: Mapping[tuple[str, str], pd.DataFrame],
    criteria: list[Criterion],
) -> pd.DataFrame:
    """One row per anchor neuron.

    `partners` maps each other model to its matches with the anchor (the anchor is side a); `outer` maps each pair of
    others to their matches. Columns: neuron; for every other model the best partner `partner_M` (-1: none) and `r_M`;
    for every criterion whether the neuron is a Rosetta neuron, and with three models or more `CRITERION_strict`,
    where all models match each other.
    """
    table = pd.DataFrame({"neuron": np.arange(neurons)})
    for model, matches in partners.items():
        best = matches.sort_values(["neuron_a", "rank_a"]).drop_duplicates("neuron_a").set_index("neuron_a")
        table[f"partner_{model}"] = best.neuron_b.reindex(table.neuron).fillna(-1).astype(int).to_numpy()
        table[f"r_{model}"] = best.r.reindex(table.neuron).to_numpy()
    for criterion in criteria:
        chosen = {model: satisfying(matches, criterion) for model, matches in partners.items()}
        everywhere = [table.neuron.isin(matches.neuron_a) for matches in chosen.values()]
        table[criterion.name] = np.logical_and.reduce(everywhere)
        if outer:
            table[f"{criterion.name}_strict"] = table.neuron.isin(_cliques(chosen, outer, criterion))
    return table


def _cliques(
    chosen: Mapping[str, pd.DataFrame], outer: Mapping[tuple[str, str], pd.DataFrame], criterion: Criterion
) -> np.ndarray:
    """Anchor neurons with one partner in every model such that the partners match each other too."""
    columns = [
        matches[["neuron_a", "neuron_b"]].set_axis(["anchor", model], axis=1) for model, matches in chosen.items()
    ]
    tuples = reduce(lambda left, right: left.merge(right, on="anchor"), columns)
    for (first, second), matches in outer.items():
        edges = satisfying(matches, criterion)[["neuron_a", "neuron_b"]].set_axis([first, second], axis=1)
        tuples = tuples.merge(edges, on=[first, second])
    return tuples.anchor.unique()


def criterion_names(criteria: list[Criterion], models: int) -> list[str]:
    """Names of all counts at a point of so many models."""
    names = [criterion.name for criterion in criteria]
    return names + [f"{name}_strict" for name in names] if models > 2 else names
