"""Match two models, and match them again where no shared neuron can exist: the nulls.

A pair is matched in variants: `real`; `untrainedN`, the Nth fresh initialisation of both; `shiftN`, with the units of
one displaced by whole documents. All variants go through the same engine.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rosetta_scaling import checkpoints
from rosetta_scaling.correlation import match_tile_or_quarters, merge_tiles
from rosetta_scaling.devices import product_rate, sketch_dtype
from rosetta_scaling.forward import ForwardPass
from rosetta_scaling.layout import Layout
from rosetta_scaling.neighbours import Neighbours, mutual_matches
from rosetta_scaling.plan import CHUNK_UNITS, Tile, exact_flops
from rosetta_scaling.sketch import Candidates, Sketch, find_candidates, match_by_sketch, write_sketch
from rosetta_scaling.sources import StoredActivations, layer_and_channel
from rosetta_scaling.store import (
    StudyError,
    atomic,
    digest,
    read_json,
    read_table,
    read_tensors,
    write_json,
    write_table,
    write_tensors,
)

log = logging.getLogger(__name__)

LONG = 1e12  # floating-point operations above which a job says how long it will take


# -- sources ---------------------------------------------------------------------------------------------------------


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
        return StoredActivations(layout.activations(scope, name), places)
    folder, settings = layout.checkpoint(model), layout.study.activations
    if draw is None:
        network = checkpoints.load_model(folder, device)
        weights = read_json(layout.checkpoint_manifest(model))["sha256"]
    else:
        weights = layout.untrained_seed(model, draw)
        network = checkpoints.untrained_model(folder, weights, device)
    tokens = read_table(layout.tokens(scope, model))
    return ForwardPass(network, tokens, settings.batch_passages, settings.dtype, device, digest(weights), places, chunk)


def open_pair(layout: Layout, pair: str, variant: str, device: torch.device) -> tuple:
    """Both sources of a variant of a pair, checked to be comparable."""
    models = layout.pairs[pair]
    scope = layout.scope(*models)
    draw, places = None, [0, 0]
    if variant.startswith("untrained"):
        draw = int(variant.removeprefix("untrained"))
    elif variant.startswith("shift"):
        places = shifts(layout, pair)[int(variant.removeprefix("shift"))]
    a, b = (open_source(layout, scope, m, device, draw, place) for m, place in zip(models, places, strict=True))
    names = [f"{model} ({layout.activations(scope, model)})" for model in models]
    if a.units != b.units:
        raise StudyError(
            f"{names[0]} has {a.units:,} units and {names[1]} {b.units:,}; they must have the same ones: "
            "delete the older folder and run the study again"
        )
    if a.weights == b.weights:
        raise StudyError(f"{names[0]} and {names[1]} are the same weights; a network is not compared with itself")
    for model, source in zip(models, (a, b), strict=True):
        if sum(source.widths) != layout.size(model).neurons:
            raise StudyError(
                f"{model} has {sum(source.widths):,} neurons, but its configuration made the plan expect "
                f"{layout.size(model).neurons:,}; this architecture is not supported"
            )
    return a, b


def shifts(layout: Layout, pair: str) -> list[tuple[int, int]]:
    """Displacements of A and B for every draw.

    Which model is called A must not matter: of the two, the one later in the alphabet is displaced.
    """
    models, nulls = layout.pairs[pair], layout.study.nulls
    seed = [nulls.seed, int(digest(sorted(models)), 16)]
    doc = read_table(layout.units(layout.scope(*models))).doc.to_numpy()
    places = displacements(doc, nulls.shift_draws, seed)
    return [(0, int(place)) if models[1] == max(models) else (int(place), 0) for place in places]


def displacements(doc: np.ndarray, draws: int, seed) -> np.ndarray:
    """Different displacements in units, each ending at a document boundary, by a quarter to three quarters of all.

    `doc` is the document of every unit. Documents of all domains are interleaved, so domains do not stay aligned.
    """
    starts = np.flatnonzero(np.append(False, doc[1:] != doc[:-1]))
    starts = starts[(starts >= len(doc) // 4) & (starts <= 3 * len(doc) // 4)]
    if len(starts) < draws:
        raise StudyError(
            f"the probe text has {len(starts)} document boundaries in its middle half, too few for "
            f"nulls.shift_draws = {draws}; raise corpus.probe_bytes_per_domain or lower the draws"
        )
    return np.random.default_rng(seed).choice(starts, draws, replace=False)


# -- exact engine ----------------------------------------------------------------------------------------------------


def match_one_tile(layout: Layout, pair: str, variant: str, index: int, device: torch.device, out: str) -> None:
    """Write the best partners within one tile of a pair."""
    a, b = open_pair(layout, pair, variant, device)
    write_neighbours(out, *_tile(a, b, layout.plan.tiles[pair][index], layout, f"{pair} {variant}", device))


def _tile(a, b, tile: Tile, layout: Layout, name: str, device) -> tuple[Tile, Neighbours, Neighbours]:
    flops = exact_flops(tile.a1 - tile.a0, tile.b1 - tile.b0, a.units)
    log.info("%s: tile of %.0f MB, %.1e FLOP, activations %s", name, tile.bytes / 1e6, flops, layout.plan.placement)
    if flops > LONG:
        rate = product_rate(device)
        log.info("%s: about %.0f s of products at %.0f GFLOP/s", name, flops / rate, rate / 1e9)
    return tile, *match_tile_or_quarters(a, b, tile, layout.study.matching.k + 1, device)


def write_neighbours(path: str | Path, tile: Tile, a: Neighbours, b: Neighbours) -> None:
    tensors = {f"{side}_{name}": value for side, found in (("a", a), ("b", b)) for name, value in vars(found).items()}
    write_tensors(path, tensors | {"tile": torch.tensor([tile.a0, tile.a1, tile.b0, tile.b1])})


def read_neighbours(path: str | Path) -> tuple[Tile, Neighbours, Neighbours]:
    values = read_tensors(path)
    sides = [Neighbours(*(values[f"{side}_{name}"] for name in ("r", "partner", "constant"))) for side in "ab"]
    return Tile(*values["tile"].tolist()), *sides


# -- sketch engine ---------------------------------------------------------------------------------------------------


def sketch_model(layout: Layout, scope: str, model: str, device: torch.device, out: Path) -> None:
    """Write the sketch of a model: one pass over its activations, whatever the number of models it is compared with."""
    matching, neurons = layout.study.matching, layout.size(model).neurons
    pieces = max(1, -(-neurons * Sketch.BYTES_PER_NEURON // max(1, layout.plan.free_bytes([model]))))
    log.info("%s: %s slots, %d pass(es)", model, f"{matching.sketch_slots:,}", pieces)
    write_sketch(open_source(layout, scope, model, device), matching.sketch_slots, out, device, pieces)


def find_candidates_of_pair(layout: Layout, pair: str, device: torch.device, out: str) -> None:
    """Write which neurons of a pair may match, by their sketches."""
    models, matching = layout.pairs[pair], layout.study.matching
    a, b = (Sketch(layout.sketch(layout.scope(*models), model)) for model in models)
    dtype = sketch_dtype(device)
    found = find_candidates(a, b, layout.plan.tiles[pair], matching.k, matching.sketch_candidates, device, dtype)
    found.write(out)
    log.info("%s: %s candidates, found in %s", pair, f"{found.pairs.shape[1]:,}", dtype)


def rescore_group(layout: Layout, group: str, device: torch.device, out: Path) -> None:
    """Write the best partners by exact correlation for all pairs of a group, in common passes over its models."""
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
    found = match_by_sketch(sources, sketches, candidates, layout.study.matching.k, device)
    with atomic(out) as folder:
        folder.mkdir()
        for name, pair in pairs.items():
            a, b, report = found[pair]
            whole = Tile(0, len(a.r), 0, len(b.r))
            write_neighbours(folder / f"{name}.safetensors", whole, a, b)
            write_json(folder / f"{name}.json", report)
            log.info("%s: %s", name, ", ".join(f"{key} {value:.4g}" for key, value in report.items()))


# -- matches and nulls -----------------------------------------------------------------------------------------------


def match(layout: Layout, pair: str, variant: str, device: torch.device) -> tuple[pd.DataFrame, dict]:
    """Mutual top-k matches of a variant of a pair, and a summary that counts the constant neurons.

    What jobs before this one found is put together; a pair that is one tile is matched here.
    """
    models = layout.pairs[pair]
    whole = Tile(0, layout.size(models[0]).neurons, 0, layout.size(models[1]).neurons)
    k = layout.study.matching.k
    if files := layout.found(pair, variant):
        best_a, best_b = merge_tiles(whole, [read_neighbours(file) for file in files], k + 1)
    else:
        _, best_a, best_b = _tile(*open_pair(layout, pair, variant, device), whole, layout, f"{pair} {variant}", device)
    table = mutual_matches(best_a, best_b, k)
    summary = {"matches": len(table), "engine": layout.plan.engine, "placement": layout.plan.placement}
    for side, model, best in zip("ab", models, (best_a, best_b), strict=True):
        size = layout.size(model)
        layer, channel = layer_and_channel([size.width] * size.layers)
        table[f"layer_{side}"] = layer[table[f"neuron_{side}"]]
        table[f"channel_{side}"] = channel[table[f"neuron_{side}"]]
        summary |= {f"neurons_{side}": len(best.r), f"constant_{side}": int(best.constant.sum())}
    return table, summary


def match_pair(layout: Layout, pair: str, device: torch.device, out: Path) -> None:
    """Write matches.parquet and, beside it, summary.json."""
    table, summary = match(layout, pair, "real", device)
    if layout.plan.engine == "sketch":
        summary |= read_json(Path(layout.rescored(pair)) / f"{pair}.json")
    summary["units"] = len(read_table(layout.units(layout.scope(*layout.pairs[pair]))))
    write_table(out, table)
    write_json(out.with_name("summary.json"), summary)
    log.info("%s: %s mutual matches", pair, f"{len(table):,}")


def match_null(layout: Layout, pair: str, null: str, device: torch.device, out: Path) -> None:
    """Write the matches of all draws of a null, with a column draw."""
    tables = [
        match(layout, pair, variant, device)[0].assign(draw=draw) for draw, variant in enumerate(layout.variants(null))
    ]
    write_table(out, pd.concat(tables, ignore_index=True))
