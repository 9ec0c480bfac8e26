"""What the jobs of a network or of a pair have to know, found once, and the files that follow from it."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace

from rosetta_scaling.config.study import Study
from rosetta_scaling.networks.model_sizes import ModelSize
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.nulls import NULLS, displaced_nulls
from rosetta_scaling.stages.inputs import Inputs

# -- a network -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SourceFiles:
    """Where the activations of a network, or of a fresh initialisation of it, come from."""

    model: str
    neurons: int  # of its configuration
    is_stored: bool
    folder: str  # of stored activations
    checkpoint: str  # folder of the network
    manifest: str
    tokens: str
    seed: list | None  # of a fresh initialisation
    rotation: list | None = None  # seed of a rotation before the nonlinearity

    @property
    def inputs(self) -> list[str]:
        """Files to declare. The summary of a folder of activations stands for all files in it."""
        return [f"{self.folder}/summary.json"] if self.is_stored else [self.manifest, self.tokens]


def source_files(plan: StudyPlan, scope: str, model: str, draw: int | None = None) -> SourceFiles:
    """Of a model, or of its fresh initialisation `draw`, on the units of a scope."""
    layout = plan.layout
    return SourceFiles(
        model=model,
        neurons=plan.size(model).neurons,
        is_stored=plan.stores_activations,
        folder=layout.activations(scope, model if draw is None else f"{model}.untrained{draw}"),
        checkpoint=layout.checkpoint(model),
        manifest=layout.checkpoint_manifest(model),
        tokens=layout.tokens(scope, model),
        seed=None if draw is None else untrained_seed(plan.study, model, draw),
    )


def untrained_seed(study: Study, model: str, draw: int) -> list:
    """What decides a fresh initialisation."""
    return [study.nulls.seed, draw, model]


# -- a pair ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PairFacts:
    """What the jobs of a pair have to know."""

    name: str
    rung: str
    models: tuple[str, str]
    sizes: tuple[ModelSize, ModelSize]
    units: str  # path of the unit table on which they are compared
    sources: tuple[SourceFiles, SourceFiles]
    untrained: list[tuple[SourceFiles, SourceFiles]]  # of every draw of fresh initialisations
    study: Study

    @property
    def neurons(self) -> tuple[int, int]:
        return self.sizes[0].neurons, self.sizes[1].neurons

    def sources_of(self, variant: str) -> tuple[SourceFiles, SourceFiles]:
        kind, draw = kind_and_draw(variant)
        if kind in NULLS and NULLS[kind].changes == "both":
            return self.untrained[draw]
        if kind in NULLS and NULLS[kind].inside:
            side, (a, b) = changed_side(self.models, draw), self.sources
            rotation = [self.study.nulls.seed, kind, draw, self.models[side]]
            changed = replace(self.sources[side], is_stored=False, rotation=rotation)
            return (a, changed) if side else (changed, b)
        return self.sources


@functools.cache
def pair_facts(plan: StudyPlan, pair: str) -> PairFacts:
    layout, (a, b) = plan.layout, plan.layout.pairs[pair]
    scope = layout.scope(a, b)
    return PairFacts(
        name=pair,
        rung=layout.rung(a),
        models=(a, b),
        sizes=(plan.size(a), plan.size(b)),
        units=layout.units(scope),
        sources=(source_files(plan, scope, a), source_files(plan, scope, b)),
        untrained=[
            (source_files(plan, scope, a, draw), source_files(plan, scope, b, draw)) for draw in layout.untrained_draws
        ],
        study=plan.study,
    )


def kind_and_draw(variant: str) -> tuple[str, int]:
    """`rotate_raw1` -> ("rotate_raw", 1); `real` -> ("real", 0)."""
    kind = variant.rstrip("0123456789")
    return kind, int(variant.removeprefix(kind) or 0)


def changed_side(models: tuple[str, str], draw: int) -> int:
    """Which model of a pair a draw of a null changes: 0 (A) or 1 (B)."""
    later = models.index(max(models))
    return later if draw % 2 == 0 else 1 - later


def variant_inputs(plan: StudyPlan, pair: str, variant: str) -> Inputs:
    """Files behind both models of a variant of a pair, and the units whose documents it looks at."""
    facts = pair_facts(plan, pair)
    files = facts.sources_of(variant)
    return {
        "sources": [file for source in files for file in source.inputs],
        "audit": [plan.layout.audit(facts.rung)],
        "units": [facts.units] if kind_and_draw(variant)[0] in (*displaced_nulls(), "half") else [],
    }


def variants_inputs(plan: StudyPlan, pair: str, variants: Iterable[str], tiled: bool = True) -> Inputs:
    """What several variants of a pair are matched from, and the pair as it is: its activations and units."""
    facts, tiles = pair_facts(plan, pair), set()
    sources = {file for source in facts.sources for file in source.inputs}
    for variant in variants:
        if tiled and (files := plan.tiles(pair, variant)):
            tiles |= set(files)
        else:
            sources |= {file for source in facts.sources_of(variant) for file in source.inputs}
    return {
        "sources": sorted(sources),
        "tiles": sorted(tiles),
        "audit": [plan.layout.audit(facts.rung)],
        "units": [facts.units],
    }
