"""Open the activations of a pair, as they are or as a null."""

import re
from pathlib import Path

import numpy as np
import torch

from rosetta_scaling.activations.chunks import CHUNK_UNITS
from rosetta_scaling.activations.forward import ForwardPass
from rosetta_scaling.activations.sources import StoredActivations, copied
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.matching.subsets import OfUnits
from rosetta_scaling.networks import loading as checkpoints
from rosetta_scaling.nulls.transforms import FRESH, TRANSFORMS
from rosetta_scaling.schemas.nulls import displaced_nulls
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, read_table
from rosetta_scaling.units.groups import displacements, document_groups


def open_source(
    layout: Layout,
    scope: str,
    model: str,
    device: torch.device,
    draw: int | None = None,
    places: int = 0,
    chunk: int = CHUNK_UNITS,
) -> StoredActivations | ForwardPass:
    """The activations of a model (or of its fresh initialisation `draw`) on the units of a scope.

    `places` displaces the units; `chunk` matters only where activations are computed anew.
    """
    if layout.stores_activations:
        name = model if draw is None else f"{model}.untrained{draw}"
        folder = Path(layout.activations(scope, name))
        if layout.study.activations.copy_to:
            folder = copied(folder, layout.study.activations.copy_to)
        return StoredActivations(folder, places)
    folder, settings = layout.checkpoint(model), layout.study.activations
    if draw is None:
        network = checkpoints.load_model(folder, device, layout.study.networks)
        weights = read_json(layout.checkpoint_manifest(model))["sha256"]
    else:
        weights = layout.untrained_seed(model, draw)
        network = checkpoints.untrained_model(folder, weights, device, layout.study.networks)
    tokens = read_table(layout.tokens(scope, model))
    return ForwardPass(network, tokens, settings.batch_passages, settings.dtype, device, digest(weights), places, chunk)


def open_pair(layout: Layout, pair: str, variant: str, device: torch.device) -> tuple:
    """Both sources of a variant of a pair, checked to be comparable."""
    models = layout.pairs[pair]
    scope = layout.scope(*models)
    kind, draw = re.fullmatch(r"(\D+?)(\d*)", variant).groups()
    untrained, places = None, [0, 0]
    if kind == FRESH:
        untrained = int(draw)
    elif kind in displaced_nulls():
        places[changed_side(layout, pair, int(draw))] = displacement(layout, pair, kind, int(draw))
    sources = [
        open_source(layout, scope, model, device, untrained, place) for model, place in zip(models, places, strict=True)
    ]
    check_pair(layout, pair, sources)
    if kind in TRANSFORMS:
        side = changed_side(layout, pair, int(draw))
        seed = [layout.study.nulls.seed, kind, int(draw), models[side]]
        sources[side] = TRANSFORMS[kind](sources[side], seed)
    elif kind == "half":
        doc = read_table(layout.units(scope)).doc.to_numpy()
        chosen = document_groups(doc, layout.study.nulls.seed) % 2 == int(draw)
        sources = [OfUnits(source, chosen) for source in sources]
    return tuple(sources)


def check_pair(layout: Layout, pair: str, sources: list) -> None:
    models = layout.pairs[pair]
    scope = layout.scope(*models)
    names = [f"{model} ({layout.activations(scope, model)})" for model in models]
    a, b = sources
    if a.units != b.units:
        raise StudyError(
            f"{names[0]} has {a.units:,} units and {names[1]} {b.units:,}; they must have the same ones: "
            "delete the older folder and run the study again"
        )
    if a.weights == b.weights:
        raise StudyError(f"{names[0]} and {names[1]} are the same weights; a network is not compared with itself")
    for model, source in zip(models, sources, strict=True):
        if sum(source.widths) != layout.size(model).neurons:
            raise StudyError(
                f"{model} has {sum(source.widths):,} neurons, but its configuration made the plan expect "
                f"{layout.size(model).neurons:,}; this architecture is not supported"
            )


def changed_side(layout: Layout, pair: str, draw: int) -> int:
    """Which model of a pair a draw of a null changes: 0 (A) or 1 (B)."""
    models = layout.pairs[pair]
    later = models.index(max(models))
    return later if draw % 2 == 0 else 1 - later


def displacement(layout: Layout, pair: str, kind: str, draw: int) -> int:
    """By how many units a draw of the null `shift` or `permute` displaces a model."""
    models, nulls = layout.pairs[pair], layout.study.nulls
    seed = [nulls.seed, int(digest([kind, *sorted(models)]), 16)]
    doc = read_table(layout.units(layout.scope(*models))).doc.to_numpy()
    if kind == "shift":
        return int(displacements(doc, nulls.shift_draws, seed)[draw])
    return int(np.random.default_rng([*seed, draw]).integers(len(doc) // 4, 3 * len(doc) // 4 + 1))
