"""What was matched at one point of a curve, seen from its anchor: the tables that all measures of the point start from.

A point opens no file. A notebook can make one from tables of its own; stages/points.py reads that of a study.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from rosetta_scaling.config.matching import Criterion
from rosetta_scaling.config.study import Study
from rosetta_scaling.nulls.calibration import add_excess
from rosetta_scaling.points.rosetta import rosetta_neurons


class CountRule(NamedTuple):
    """When a neuron of the anchor counts as a Rosetta neuron."""

    name: str  # of the count, as tables have it
    criterion: Criterion  # which every pair with the anchor has to meet
    strict: bool = False  # whether the partners have to match each other too


@dataclass(frozen=True)
class PartnerTables:
    """A table of partners (see neighbours.partner_table) for every two models of a point."""

    anchored: Mapping[str, pd.DataFrame]  # other model -> table of the anchor, which is side a, with it
    outer: Mapping[tuple[str, str], pd.DataFrame]  # two other models -> their table

    def map(self, change: Callable[..., pd.DataFrame], *others: "PartnerTables") -> "PartnerTables":
        """The result of `change` for every pair; it is given the pair's table here, then those in `others`."""
        return PartnerTables(
            {key: change(table, *(one.anchored[key] for one in others)) for key, table in self.anchored.items()},
            {key: change(table, *(one.outer[key] for one in others)) for key, table in self.outer.items()},
        )

    def all(self) -> list[pd.DataFrame]:
        """The tables of all pairs."""
        return [*self.anchored.values(), *self.outer.values()]

    def rosetta_neurons(self, rule: CountRule, by: Sequence[str] = ()) -> pd.DataFrame:
        """Rosetta neurons by a rule: a row each, with columns `by` and neuron_a (see rosetta.rosetta_neurons)."""
        return rosetta_neurons(self.anchored, self.outer if rule.strict else {}, rule.criterion, by)


@dataclass(frozen=True)
class Point:
    """The tables and settings of one point of a curve."""

    study: Study
    widths: Mapping[str, list[int]]  # neurons of every layer of every model, the anchor first
    units: int  # on which the models were matched
    smallest: int  # neurons of the smallest model of the study: so many are compared at equal n
    real: PartnerTables
    nulls: Mapping[str, PartnerTables]  # all draws of every null, with their excess (see nulls_with_excess)
    own: PartnerTables  # partners of both models of a pair within their own network
    replicates: Mapping[str, PartnerTables]  # of the documents and of the neurons, by kind (REPLICATES)
    planted: PartnerTables  # how pairs rank that were planted (see matching/planting.py)
    snapshots: PartnerTables  # partners after a part of the units; `draw` is their number

    @property
    def anchor(self) -> str:
        return next(iter(self.widths))

    @property
    def others(self) -> list[str]:
        """The models of the point but its anchor."""
        return list(self.widths)[1:]

    @property
    def neurons(self) -> dict[str, int]:
        """Neurons of every model, the anchor first."""
        return {model: sum(widths) for model, widths in self.widths.items()}

    @property
    def primary(self) -> Criterion:
        """The criterion that claims are judged on first."""
        return self.study.matching.criteria[0]

    @property
    def confidence(self) -> float:
        return self.study.polarization.confidence

    @property
    def rules(self) -> list[CountRule]:
        """The rules of all counts; with three models or more there are strict ones too."""
        plain = [CountRule(criterion.name, criterion) for criterion in self.study.matching.criteria]
        strict = [CountRule(f"{rule.name}_strict", rule.criterion, strict=True) for rule in plain]
        return plain + (strict if len(self.others) > 1 else [])

    @property
    def is_sampled(self) -> bool:
        """Whether the nulls look at some neurons of a model only."""
        return self.study.nulls.rows is not None

    @property
    def scale(self) -> float:
        """What counts of nulls are multiplied by: neurons of the anchor for each one that the nulls look at."""
        neurons = self.neurons[self.anchor]
        return neurons / min(neurons, self.study.nulls.rows or neurons)


def nulls_with_excess(
    nulls: Mapping[str, PartnerTables], neurons: Mapping[str, int], is_sampled: bool
) -> dict[str, PartnerTables]:
    """All draws of every null with the excess correlation of every pair; `neurons` of every model, the anchor first.

    Where the nulls look at some neurons only (`is_sampled`), those of the anchor that they do not look at are left out.
    """
    anchor, rotations = next(iter(neurons)), nulls["rotate"]
    found = {}
    for null, tables in nulls.items():
        anchored = {
            other: add_excess(table, rotations.anchored[other], (neurons[anchor], neurons[other]))
            for other, table in tables.anchored.items()
        }
        if is_sampled:
            anchored = {other: table[table.sampled_a] for other, table in anchored.items()}
        outer = {
            (a, b): add_excess(table, rotations.outer[a, b], (neurons[a], neurons[b]))
            for (a, b), table in tables.outer.items()
        }
        found[null] = PartnerTables(anchored, outer)
    return found
