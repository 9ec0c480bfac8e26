"""Sketch models, find candidates of pairs, and re-score them."""

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rosetta_scaling.matching.tiles import Tile
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.stages.facts import source_files
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import write_json

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


# -- sketches --------------------------------------------------------------------------------------------------------


def sketch_inputs(plan: StudyPlan, scope: str, model: str) -> Inputs:
    return {"source": source_files(plan, scope, model).inputs, "audit": [plan.layout.audit(plan.layout.rung(model))]}


def sketch_model(plan: StudyPlan, scope: str, model: str, device: "torch.device", *, out: Path) -> None:
    """Write the sketch of a model: one pass over its activations, whatever the number of models it is compared with."""
    from rosetta_scaling.matching.sketch import Sketch, write_sketch
    from rosetta_scaling.stages.sources import open_source

    slots, files = plan.study.matching.sketch_slots, source_files(plan, scope, model)
    pieces = max(1, -(-files.neurons * Sketch.BYTES_PER_NEURON // max(1, plan.matching.free_bytes([model]))))
    log.info("%s: %s slots, %d pass(es)", model, f"{slots:,}", pieces)
    write_sketch(open_source(files, plan.study, device), slots, out, device=device, pieces=pieces)


# -- candidates ------------------------------------------------------------------------------------------------------


def candidate_inputs(plan: StudyPlan, pair: str) -> Inputs:
    layout, models = plan.layout, plan.layout.pairs[pair]
    return {"sketches": [layout.sketch(layout.scope(*models), model) for model in models]}


def find_candidates_of_pair(plan: StudyPlan, pair: str, device: "torch.device", out: str) -> None:
    """Write which neurons of a pair may match, by their sketches."""
    from rosetta_scaling.matching.candidates import Search, find_candidates
    from rosetta_scaling.matching.sketch import Sketch
    from rosetta_scaling.numerics.devices import sketch_dtype

    a, b = (Sketch(sketch) for sketch in candidate_inputs(plan, pair)["sketches"])
    matching, dtype = plan.study.matching, sketch_dtype(device)
    search = Search(matching.k, matching.sketch_candidates, device, dtype)
    found = find_candidates(a, b, plan.matching.tiles[pair], search)
    found.write(Path(out))
    log.info("%s: %s candidates, found in %s", pair, f"{found.pairs.shape[1]:,}", dtype)


# -- exact correlations of candidates --------------------------------------------------------------------------------


def group_inputs(plan: StudyPlan, group: str) -> Inputs:
    """Candidates of every pair of a group, and sketches and activations of its models."""
    layout, pairs = plan.layout, plan.layout.groups[group]
    members = {(layout.scope(*layout.pairs[pair]), model) for pair in pairs for model in layout.pairs[pair]}
    return {
        "candidates": [layout.candidates(pair) for pair in pairs],
        "sketches": sorted({layout.sketch(scope, model) for scope, model in members}),
        "sources": sorted({file for member in members for file in source_files(plan, *member).inputs}),
        "audit": sorted({layout.audit(layout.rung(model)) for _, model in members}),
    }


def rescore_group(plan: StudyPlan, group: str, device: "torch.device", *, out: Path, work_dir: Path) -> None:
    """Write the best partners by exact correlation for all pairs of a group, in common passes over its models.

    The passes are saved on the way to `work_dir`, from which a job that was killed continues.
    """
    from rosetta_scaling.matching.candidates import Candidates
    from rosetta_scaling.matching.neighbour_files import write_neighbours
    from rosetta_scaling.matching.neighbours import BestPartners, Growth
    from rosetta_scaling.matching.rescoring import match_by_sketch
    from rosetta_scaling.matching.sketch import Sketch
    from rosetta_scaling.stages.sources import open_source

    layout = plan.layout
    pairs = {name: layout.pairs[name] for name in layout.groups[group]}
    models = sorted({model for pair in pairs.values() for model in pair})
    scope = layout.scope(*next(iter(pairs.values())))
    files = {model: source_files(plan, scope, model) for model in models}
    chunk = plan.matching.rescoring_chunk({model: files[model].neurons for model in models})
    sources = {model: open_source(files[model], plan.study, device, chunk=chunk) for model in models}
    sketches = {model: Sketch(layout.sketch(scope, model)) for model in models}
    for model in models:
        if (sources[model].units, sources[model].weights) != (sketches[model].units, sketches[model].weights):
            raise StudyError(f"{sketches[model].folder} is of other weights or units; delete it and run again")
    candidates = {pair: Candidates.read(layout.candidates(name)) for name, pair in pairs.items()}
    k, saved = plan.study.matching.k, work_dir / str(chunk)
    found = match_by_sketch(sources, sketches, candidates, k, device=device, work_dir=saved)
    with atomic(out) as folder:
        folder.mkdir()
        for name, pair in pairs.items():
            a, b, report = found[pair]
            whole = Tile(0, len(a.r), 0, len(b.r))
            write_neighbours(
                folder / f"{name}.safetensors", whole, Growth({sources[pair[0]].units: BestPartners(a, b)})
            )
            write_json(folder / f"{name}.json", report)
            log.info("%s: %s", name, ", ".join(f"{key} {value:.4g}" for key, value in report.items()))
    shutil.rmtree(work_dir)
