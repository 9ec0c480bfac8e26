"""Names of models, pairs, points and unit sets, as they follow from the configuration.

A model is FAMILY-RUNG (`gpt2-r3`), a pair is A--B, a scope is the set of tokenizers that share unit boundaries:
`study`, or the name of a pair.
"""

import itertools
from collections.abc import Iterable
from functools import cached_property

from rosetta_scaling.config.families import root_of
from rosetta_scaling.config.study import Study

ALL_TEXT = "all text"


class Names:
    """Names of everything in one study."""

    def __init__(self, study: Study):
        self.study = study

    @cached_property
    def models(self) -> list[str]:
        """Every model that some curve needs, and what it becomes when it is trained further."""
        return self.in_order([*self.models_of_points(self.points), *self.continued])

    def models_of_points(self, points: Iterable[tuple[str, str]]) -> list[str]:
        """The models of some points, each a curve and a rung."""
        return self.in_order(model for point in points for model in self.points[point])

    def models_of_rung(self, rung: str) -> list[str]:
        return [model for model in self.models if self.rung(model) == rung]

    def in_order(self, models: Iterable[str]) -> list[str]:
        """These models, each once, in the order of families and rungs."""
        needed = set(models)
        return [m for f in self.study.families for r in self.study.rungs_of(f) if (m := f"{f}-{r}") in needed]

    @cached_property
    def points(self) -> dict[tuple[str, str], list[str]]:
        """(curve, rung) -> models of the point, the anchor first."""
        return {
            (curve, rung): [f"{family}-{rung}" for family in families]
            for curve, families in self.study.curves.items()
            for rung in self.study.points_of(curve)
        }

    @cached_property
    def continued(self) -> dict[str, str]:
        """Network that is trained further -> the network it goes on from, at every size where that is an anchor."""
        anchors = {models[0] for models in self.points.values()}
        families = [name for name, family in self.study.families.items() if family.source == "continued"]
        models = [f"{family}-{rung}" for family in families for rung in self.study.rungs_of(family)]
        return {model: self.original(model) for model in models if self.original(model) in anchors}

    @cached_property
    def pairs(self) -> dict[str, tuple[str, str]]:
        """Pair name -> its two models, for every two models that share a point (outer pairs included), and for every
        anchor and what it becomes when it is trained further."""
        found = [self.pair(a, b) for point in self.points.values() for a, b in itertools.combinations(point, 2)]
        found += [self.pair(origin, model) for model, origin in self.continued.items()]
        return dict(sorted({"--".join(pair): pair for pair in found}.items()))

    @property
    def trained_further(self) -> tuple[str, str]:
        """Curve and size of the network that filtering trains further: of the first curve, its largest if none is
        named."""
        curve = next(iter(self.study.curves))
        return curve, self.study.companions.filtering.rung or self.study.points_of(curve)[-1]

    def pair(self, a: str, b: str) -> tuple[str, str]:
        """The two models in the order of the study, so that A--B and B--A are one artifact."""
        return (a, b) if self.models.index(a) < self.models.index(b) else (b, a)

    def pair_name(self, a: str, b: str) -> str:
        return "--".join(self.pair(a, b))

    def pairs_of_point(self, curve: str, rung: str) -> list[tuple[str, str]]:
        return [self.pair(a, b) for a, b in itertools.combinations(self.points[curve, rung], 2)]

    @property
    def pairs_of_points(self) -> list[str]:
        """Names of the pairs that share a point, each once, in the order of curves and points."""
        pairs = itertools.chain.from_iterable(itertools.starmap(self.pairs_of_point, self.points))
        return list(dict.fromkeys(itertools.starmap(self.pair_name, pairs)))

    # -- models ------------------------------------------------------------------------------------------------------

    def family(self, model: str) -> str:
        return model.split("-")[0]

    def rung(self, model: str) -> str:
        return model.split("-")[1]

    def source(self, model: str) -> str:
        return self.study.families[self.family(model)].source

    def is_trained_here(self, model: str) -> bool:
        return self.source(model) in ("ladder", "continued")

    def network_reference(self, model: str) -> str:
        """What the study calls a network that is not trained here: a folder, owner/name@revision, a package's model."""
        models = self.study.families[self.family(model)].models
        if models is None:
            raise ValueError(f"{model} has the source {self.source(model)}: the study gives it no other name")
        return models[self.rung(model)]

    def original(self, model: str) -> str:
        """The network whose configuration and tokenizer an untrained one has, or one that is trained further."""
        return f"{self.study.families[self.family(model)].of}-{self.rung(model)}"

    def root(self, model: str) -> str:
        """The network from which the training of a model goes on; itself unless it is trained further."""
        return f"{root_of(self.study.families, self.family(model))}-{self.rung(model)}"

    def further_text(self, model: str) -> str:
        """What a network is trained further on: a domain, or `all text`."""
        return self.study.families[self.family(model)].domain or ALL_TEXT

    def tokenizer_name(self, model: str) -> str:
        """Trained models of a family share a tokenizer; a local folder brings its own. All read the same images."""
        if self.study.modality == "image":
            return "images"
        if self.source(model) in ("untrained", "continued"):
            return self.tokenizer_name(self.original(model))
        return self.family(model) if self.is_trained_here(model) else model

    # -- unit sets ---------------------------------------------------------------------------------------------------

    def scope(self, a: str, b: str) -> str:
        """The unit set on which two models are compared."""
        return "study" if self.study.units.scope == "study" else self.pair_name(a, b)

    def scope_of_member(self, curve: str, rung: str, member: int) -> str:
        """The unit set on which a point compares its anchor with one of its models; the anchor's is the first's."""
        models = self.points[curve, rung]
        return self.scope(models[0], models[member or 1])

    def models_of_scope(self, scope: str) -> list[str]:
        return self.models if scope == "study" else list(self.pairs[scope])

    # -- variants ----------------------------------------------------------------------------------------------------

    @property
    def untrained_draws(self) -> range:
        return range(self.study.nulls.untrained_draws)

    def variants(self, null: str) -> list[str]:
        """The draws of a null: one side or both are changed, then matched like the real pair."""
        return [f"{null}{draw}" for draw in range(self.study.nulls.draws(null))]

    @cached_property
    def pairs_of_rungs(self) -> dict[str, list[str]]:
        """Rung -> its pairs. Networks of two rungs are never matched."""
        found: dict[str, list[str]] = {}
        for name, (a, _) in self.pairs.items():
            found.setdefault(self.rung(a), []).append(name)
        return found

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """Pairs that are re-scored in one pass over all their models: those of a rung, when they share their units."""
        return self.pairs_of_rungs if self.study.units.scope == "study" else {name: [name] for name in self.pairs}

    def group_of(self, pair: str) -> str:
        return next(group for group, pairs in self.groups.items() if pair in pairs)
