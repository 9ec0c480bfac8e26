"""Open the activations of a network or of both networks of a pair, as they are or as a null."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rosetta_scaling.activations.chunks import CHUNK_UNITS
from rosetta_scaling.activations.forward import ForwardPass, Reading
from rosetta_scaling.activations.inputs.opening import open_inputs
from rosetta_scaling.activations.rotated import PreActivations, RotatedBeforeNonlinearity
from rosetta_scaling.activations.sources import StoredActivations, copied
from rosetta_scaling.config.networks import Networks
from rosetta_scaling.config.study import Study
from rosetta_scaling.matching.subsets import OfUnits, OnDevice
from rosetta_scaling.networks.loading import load_model, untrained_model
from rosetta_scaling.networks.model_sizes import require_planned
from rosetta_scaling.nulls.transforms import TRANSFORMS
from rosetta_scaling.numerics.seeds import seed_from
from rosetta_scaling.schemas.nulls import displaced_nulls
from rosetta_scaling.stages.facts import PairFacts, SourceFiles, changed_side, kind_and_draw
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, read_table
from rosetta_scaling.units.groups import displacements, document_groups


def open_source(
    files: SourceFiles, study: Study, device: torch.device, *, places: int = 0, chunk: int = CHUNK_UNITS
) -> StoredActivations | ForwardPass:
    """The activations of a network; `places` displaces the units, `chunk` matters only where they are computed anew."""
    settings = study.activations
    if files.is_stored:
        folder = Path(files.folder)
        return StoredActivations(copied(folder, settings.copy_to) if settings.copy_to else folder, places)
    reading = Reading(settings.batch_passages, settings.dtype, device, chunk)
    weights = digest(read_json(files.manifest)["sha256"] if files.seed is None else files.seed)
    seeing = {"modality": study.modality, "noise_level": study.images.noise_level}
    if files.rotation is not None:
        network = pre_activations(files.checkpoint, files.tokens, reading, networks=study.networks, **seeing)
        return RotatedBeforeNonlinearity(network, seed=files.rotation, weights=weights)
    if files.seed is None:
        model = load_model(files.checkpoint, device, study.networks, **seeing)
    else:
        model = untrained_model(files.checkpoint, files.seed, device, study.networks, **seeing)
    inputs = open_inputs(model, read_table(files.tokens), device)
    return ForwardPass(model, inputs, reading, weights=weights, displacement=places)


@functools.lru_cache(maxsize=1)
def pre_activations(
    checkpoint: str, tokens: str, reading: Reading, *, networks: Networks, modality: str, noise_level: float
) -> PreActivations:
    """A network and what enters its MLPs. The last one stays open, for the next draw that rotates it."""
    model = load_model(checkpoint, reading.device, networks, modality=modality, noise_level=noise_level)
    return PreActivations(model, open_inputs(model, read_table(tokens), reading.device), reading)


def open_pair(pair: PairFacts, variant: str, device: torch.device) -> tuple:
    """Both sources of a variant of a pair, checked to be comparable."""
    kind, draw = kind_and_draw(variant)
    places, side = [0, 0], changed_side(pair.models, draw)
    if kind in displaced_nulls():
        places[side] = displacement(pair, kind, draw)
    sources: list[Any] = [
        open_source(files, pair.study, device, places=place)
        for files, place in zip(pair.sources_of(variant), places, strict=True)
    ]
    check_pair(pair, sources)
    if kind in TRANSFORMS:
        seed = [pair.study.nulls.seed, kind, draw, pair.models[side]]
        sources[side] = TRANSFORMS[kind](OnDevice(sources[side], device), seed)
    elif kind == "half":
        doc = read_table(pair.units).doc.to_numpy()
        chosen = document_groups(doc, pair.study.nulls.seed) % 2 == draw
        sources = [OfUnits(source, chosen) for source in sources]
    return tuple(sources)


def check_pair(pair: PairFacts, sources: list) -> None:
    """Refuse two sources that cannot be compared, and networks that are not as large as was planned."""
    names = [f"{files.model} ({files.folder})" for files in pair.sources]
    a, b = sources
    if a.units != b.units:
        raise StudyError(
            f"{names[0]} has {a.units:,} units and {names[1]} {b.units:,}; they must have the same ones: "
            "delete the older folder and run the study again"
        )
    if a.weights == b.weights:
        raise StudyError(f"{names[0]} and {names[1]} are the same weights; a network is not compared with itself")
    for files, source in zip(pair.sources, sources, strict=True):
        require_planned(files.model, sum(source.widths), files.neurons)


def displacement(pair: PairFacts, kind: str, draw: int) -> int:
    """By how many units a draw of the null `shift` or `permute` displaces a model."""
    nulls = pair.study.nulls
    seed = [nulls.seed, seed_from([kind, *sorted(pair.models)])]
    doc = read_table(pair.units).doc.to_numpy()
    if kind == "shift":
        return int(displacements(doc, nulls.shift_draws, seed)[draw])
    return int(np.random.default_rng([*seed, draw]).integers(len(doc) // 4, 3 * len(doc) // 4 + 1))
