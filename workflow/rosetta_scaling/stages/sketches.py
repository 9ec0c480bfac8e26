"""Sketch models, find candidates of pairs, and re-score them."""

import logging
import shutil
from pathlib import Path

import torch

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.matching.candidates import Candidates, Search, find_candidates
from rosetta_scaling.matching.neighbour_files import write_neighbours
from rosetta_scaling.matching.neighbours import BestPartners, Growth
from rosetta_scaling.matching.rescoring import match_by_sketch
from rosetta_scaling.matching.sketch import Sketch, write_sketch
from rosetta_scaling.matching.tiles import Tile
from rosetta_scaling.numerics.devices import sketch_dtype
from rosetta_scaling.stages.sources import open_source
from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import write_json

log = logging.getLogger(__name__)


# -- sketch engine ---------------------------------------------------------------------------------------------------


def sketch_model(layout: Layout, scope: str, model: str, device: torch.device, out: Path) -> None:
    """Write the sketch of a model: one pass over its activations, whatever the number of models it is compared with."""
    matching, neurons = layout.study.matching, layout.size(model).neurons
    pieces = max(1, -(-neurons * Sketch.BYTES_PER_NEURON // max(1, layout.plan.free_bytes([model]))))
    log.info("%s: %s slots, %d pass(es)", model, f"{matching.sketch_slots:,}", pieces)
    write_sketch(open_source(layout, scope, model, device), matching.sketch_slots, out, device=device, pieces=pieces)


def find_candidates_of_pair(layout: Layout, pair: str, device: torch.device, out: str) -> None:
    """Write which neurons of a pair may match, by their sketches."""
    models, matching = layout.pairs[pair], layout.study.matching
    a, b = (Sketch(layout.sketch(layout.scope(*models), model)) for model in models)
    dtype = sketch_dtype(device)
    search = Search(matching.k, matching.sketch_candidates, device, dtype)
    found = find_candidates(a, b, layout.plan.tiles[pair], search)
    found.write(out)
    log.info("%s: %s candidates, found in %s", pair, f"{found.pairs.shape[1]:,}", dtype)


def rescore_group(layout: Layout, group: str, device: torch.device, out: Path, work_dir: Path) -> None:
    """Write the best partners by exact correlation for all pairs of a group, in common passes over its models.

    The passes are saved on the way to `work_dir`, which a job that was killed goes on from.
    """
    pairs = {name: layout.pairs[name] for name in layout.groups[group]}
    models = sorted({model for pair in pairs.values() for model in pair})
    scope = layout.scope(*next(iter(pairs.values())))
    chunk = layout.plan.rescoring_chunk({model: layout.size(model).neurons for model in models})
    sources = {model: open_source(layout, scope, model, device, chunk=chunk) for model in models}
    sketches = {model: Sketch(layout.sketch(scope, model)) for model in models}
    for model in models:
        if (sources[model].units, sources[model].weights) != (sketches[model].units, sketches[model].weights):
            raise StudyError(f"{sketches[model].folder} is of other weights or units; delete it and run again")
    candidates = {pair: Candidates.read(layout.candidates(name)) for name, pair in pairs.items()}
    found = match_by_sketch(
        sources, sketches, candidates, layout.study.matching.k, device=device, work_dir=work_dir / str(chunk)
    )
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
