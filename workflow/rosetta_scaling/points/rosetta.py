"""Rosetta neurons: neurons of a point's anchor model that are matched in every other model of the point."""

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import pandas as pd

from rosetta_scaling.config.matching import Criterion


def orient(matches: pd.DataFrame, swap: bool) -> pd.DataFrame:
    """The same matches with the sides exchanged when `swap`."""
    if not swap:
        return matches
    other = {"a": "b", "b": "a"}
    matches = matches.rename(columns=lambda c: f"{c[:-1]}{other[c[-1]]}" if c[-2:] in ("_a", "_b") else c)
    return matches.assign(changed=matches.changed.replace(other)) if "changed" in matches else matches


def meets(matches: pd.DataFrame, criterion: Criterion) -> np.ndarray:
    """Which pairs of a table of partners (see neighbours.partner_table) meet a criterion; side a is the anchor.

    Ranks found at a larger k decide for a smaller one.
    """
    rank = "csls_rank" if criterion.score == "csls" else "rank"

    def near(side: str) -> np.ndarray:
        ranks = matches[f"{rank}_{side}"].to_numpy()
        return (ranks >= 1) & (ranks <= criterion.k)

    met = near("a") & (matches.r.to_numpy() >= criterion.min_r)
    if criterion.mutual:
        met &= near("b")
    if criterion.min_margin:
        met &= np.minimum(matches.margin_a.to_numpy(), matches.margin_b.to_numpy()) >= criterion.min_margin
    if criterion.min_excess:
        met &= matches.excess_a.to_numpy() >= criterion.min_excess
    return met


def satisfying(matches: pd.DataFrame, criterion: Criterion) -> pd.DataFrame:
    """The pairs that meet a criterion; see meets."""
    return matches[meets(matches, criterion)]


def rosetta_table(
    neurons: int,
    partners: Mapping[str, pd.DataFrame],
    outer: Mapping[tuple[str, str], pd.DataFrame],
    criteria: list[Criterion],
) -> pd.DataFrame:
    """One row per anchor neuron.

    `partners` maps each other model to its table of partners with the anchor (the anchor is side a); `outer` maps each
    pair of others to theirs. Columns: neuron; for every other model the best partner `partner_M` that meets the first
    criterion, or else is mutual (-1: none), and `r_M`; for every criterion whether the neuron is a Rosetta neuron, and
    with three models or more `CRITERION_strict`, where all models match each other.
    """
    table = pd.DataFrame({"neuron": np.arange(neurons)})
    for model, matches in partners.items():
        decides = meets(matches, criteria[0])
        best = matches.assign(other=~decides)[decides | ((matches.rank_a > 0) & (matches.rank_b > 0))]
        best = best.sort_values(["neuron_a", "other", "rank_a"]).drop_duplicates("neuron_a").set_index("neuron_a")
        table[f"partner_{model}"] = best.neuron_b.reindex(table.neuron).fillna(-1).astype(int).to_numpy()
        table[f"r_{model}"] = best.r.reindex(table.neuron).to_numpy()
    for criterion in criteria:
        for name, rule in {criterion.name: {}, f"{criterion.name}_strict": outer}.items():
            if rule or name == criterion.name:
                table[name] = table.neuron.isin(rosetta_neurons(partners, rule, criterion).neuron_a)
    return table


def rosetta_neurons(
    partners: Mapping[str, pd.DataFrame],
    outer: Mapping[tuple[str, str], pd.DataFrame],
    criterion: Criterion,
    by: Sequence[str] = (),
) -> pd.DataFrame:
    """Anchor neurons that meet a criterion with every other model: a row each, columns `by` and neuron_a.

    With `outer`, their partners must match each other too. `by` are columns that keep tables apart which are counted
    at once, such as the draws of a null.
    """
    keys = [*by, "neuron_a"]

    def chosen(matches: pd.DataFrame, *columns: str) -> pd.DataFrame:
        return matches[[*keys, *columns]][meets(matches, criterion)]

    if not outer:
        return reduce(lambda x, y: x.merge(y, on=keys), [chosen(m).drop_duplicates() for m in partners.values()])
    pairs = [chosen(matches, "neuron_b").set_axis([*keys, model], axis=1) for model, matches in partners.items()]
    tuples = reduce(lambda x, y: x.merge(y, on=keys), pairs)
    for (first, second), matches in outer.items():
        edges = chosen(matches, "neuron_b").set_axis([*by, first, second], axis=1)
        tuples = tuples.merge(edges, on=[*by, first, second])
    return tuples[keys].drop_duplicates()


def strengths_by_draw(tables: Mapping[str, pd.DataFrame], criterion: Criterion, draws: int) -> list[np.ndarray]:
    """The strengths of the Rosetta neurons in every draw."""
    found = strengths(tables, criterion, ["draw"])
    return [found[found.index == draw].to_numpy() for draw in range(draws)]


def strengths(partners: Mapping[str, pd.DataFrame], criterion: Criterion, by: Sequence[str] = ()) -> pd.Series:
    """The weakest correlation of every Rosetta neuron with its partners; indexed by draw where `by` says so."""
    keys = [*by, "neuron_a"]
    found = [satisfying(table, criterion).groupby(keys).r.max().rename(other) for other, table in partners.items()]
    weakest = pd.concat(found, axis=1, join="inner").min(axis=1)
    return weakest.droplevel("neuron_a") if by else weakest
