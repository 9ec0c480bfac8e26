"""What was matched at one point of a curve, seen from its anchor."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import pandas as pd

from rosetta_scaling.config.matching import Criterion
from rosetta_scaling.config.nulls import NULLS
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.nulls.calibration import add_excess
from rosetta_scaling.points.rosetta import orient
from rosetta_scaling.store.tables import read_json, read_table

Matches = tuple[dict, dict]  # of a point: the anchor with each other model, and the others with each other


class Point:
    """What was matched at one point of a curve, seen from its anchor."""

    def __init__(self, layout: Layout, curve: str, rung: str):
        self.layout, self.curve, self.rung = layout, curve, rung
        self.anchor, *self.others = layout.points[curve, rung]
        self.outer = [(a, b) for i, a in enumerate(self.others) for b in self.others[i + 1 :]]
        self.neurons = layout.size(self.anchor).neurons

    @cached_property
    def widths(self) -> dict[str, list[int]]:
        """Neurons of every layer of every model."""
        paths = self.layout.summaries(self.curve, self.rung)
        return {name: read_json(path)["neurons"] for name, path in zip([self.anchor, *self.others], paths, strict=True)}

    def criteria(self) -> list[tuple[str, Criterion, bool]]:
        """Name of every count, its criterion, and whether it is strict."""
        plain = [(criterion.name, criterion, False) for criterion in self.layout.study.matching.criteria]
        return plain + [(f"{name}_strict", criterion, True) for name, criterion, _ in plain if self.outer]

    def read(self, path: Callable[[str, str], str]) -> Matches:
        """Tables of partners of all pairs; `path(a, b)` names that of two models. The anchor is side a."""

        anchored = {other: self.read_pair(path, self.anchor, other) for other in self.others}
        return anchored, {pair: self.read_pair(path, *pair) for pair in self.outer}

    def read_pair(self, path: Callable[[str, str], str], a: str, b: str) -> pd.DataFrame:
        return orient(read_table(path(a, b)), swap=self.layout.pair(a, b) != (a, b))

    @cached_property
    def real(self) -> Matches:
        """The matches of all pairs."""
        return self.read(self.layout.matches)

    @cached_property
    def nulls(self) -> dict[str, Matches]:
        """The draws of every null, with the excess correlation of every pair."""
        tables = {null: self.read(partial(self.layout.null, null)) for null in NULLS}
        rotations, found = dict(self.pairs(tables["rotate"])), {}
        for null, matches in tables.items():
            excess = {pair: add_excess(t, rotations[pair], self.sizes(pair)) for pair, t in self.pairs(matches)}
            anchored = {other: excess[self.anchor, other] for other in self.others}
            if self.sampled:
                anchored = {other: table[table.sampled_a] for other, table in anchored.items()}
            found[null] = anchored, {pair: excess[pair] for pair in self.outer}
        return found

    @property
    def sampled(self) -> bool:
        """Do the nulls look at some neurons only?"""
        return self.layout.study.nulls.rows is not None

    @property
    def scale(self) -> float:
        """What counts of nulls are multiplied by: how many neurons of the anchor stand for one that was looked at."""
        return self.neurons / len(self.layout.sample(self.anchor, self.layout.study.nulls.rows))

    def pairs(self, tables: Matches):
        """(two models, table) of all pairs."""
        yield from (((self.anchor, other), table) for other, table in tables[0].items())
        yield from tables[1].items()

    def sizes(self, models: Sequence[str]) -> tuple[int, ...]:
        return tuple(self.layout.size(model).neurons for model in models)
