"""Match two models: tile by tile or by sketches, as they are and as nulls, and see how stable the matches are.

Every variant of a pair (see variants.py) goes through the same engine and comes out as a table of partners.
"""

import functools
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.config.study import NULLS
from rosetta_scaling.layout.layout import Layout, layer_and_channel
from rosetta_scaling.matching.correlation import match_tile_or_quarters, merge_tiles
from rosetta_scaling.matching.neighbours import Neighbours, pair_numbers, partner_table
from rosetta_scaling.matching.replicates import GroupSums, match_sample, match_subsets, resample
from rosetta_scaling.matching.sketch import Candidates, Sketch, find_candidates, match_by_sketch, write_sketch
from rosetta_scaling.matching.tiles import Tile, exact_flops, tiles
from rosetta_scaling.nulls.calibration import DECOYS, add_excess, add_q_values
from rosetta_scaling.nulls.variants import changed_side, document_groups, open_pair, open_source
from rosetta_scaling.numerics.devices import product_rate, sketch_dtype
from rosetta_scaling.store.progress import Reporter
from rosetta_scaling.store.tables import (
    StudyError,
    atomic,
    read_json,
    read_table,
    read_tensors,
    write_json,
    write_table,
    write_tensors,
)

log = logging.getLogger(__name__)

LONG = 1e12  # floating-point operations above which a job says how long it will take


# -- exact engine ----------------------------------------------------------------------------------------------------


def match_one_tile(layout: Layout, pair: str, variant: str, index: int, device: torch.device, out: str) -> None:
    """Write the best partners within one tile of a pair."""
    tile = layout.plan.tiles[pair][index]
    write_neighbours(out, tile, _match(*open_pair(layout, pair, variant, device), tile, layout, pair, variant, device))


Found = dict[int, tuple[Neighbours, Neighbours]]  # the best partners both ways, by the number of units


def _match(a, b, tile: Tile, layout: Layout, pair: str, variant: str, device) -> Found:
    """The best partners within a tile; of the real pair also on the way, for the curve of counts against units."""
    name = f"{pair} {variant}"
    flops = exact_flops(tile.a1 - tile.a0, tile.b1 - tile.b0, a.units)
    log.info("%s: tile of %.0f MB, %.1e FLOP, activations %s", name, tile.bytes / 1e6, flops, layout.plan.placement)
    if flops > LONG:
        rate = product_rate(device)
        log.info("%s: about %.0f s of products at %.0f GFLOP/s", name, flops / rate, rate / 1e9)
    shares = layout.study.stability.snapshots if variant == "real" else ()
    return match_tile_or_quarters(a, b, tile, layout.study.matching.k + 1, device, shares)


def write_neighbours(path: str | Path, tile: Tile, found: Found) -> None:
    tensors = {
        f"{units}_{side}_{name}": value
        for units, sides in found.items()
        for side, best in zip("ab", sides, strict=True)
        for name, value in vars(best).items()
    }
    write_tensors(path, tensors | {"tile": torch.tensor([tile.a0, tile.a1, tile.b0, tile.b1])})


def read_neighbours(path: str | Path) -> tuple[Tile, Found]:
    values = read_tensors(path)
    tile, names = Tile(*values.pop("tile").tolist()), ("r", "partner", "constant")
    return tile, {
        units: tuple(Neighbours(*(values[f"{units}_{side}_{name}"] for name in names)) for side in "ab")
        for units in sorted({int(name.split("_")[0]) for name in values})
    }


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
    found = match_by_sketch(sources, sketches, candidates, layout.study.matching.k, device, work_dir / str(chunk))
    with atomic(out) as folder:
        folder.mkdir()
        for name, pair in pairs.items():
            a, b, report = found[pair]
            whole = Tile(0, len(a.r), 0, len(b.r))
            write_neighbours(folder / f"{name}.safetensors", whole, {sources[pair[0]].units: (a, b)})
            write_json(folder / f"{name}.json", report)
            log.info("%s: %s", name, ", ".join(f"{key} {value:.4g}" for key, value in report.items()))
    shutil.rmtree(work_dir)


# -- matches and nulls -----------------------------------------------------------------------------------------------


def best_partners(layout: Layout, pair: str, variant: str, device: torch.device) -> Found:
    """What jobs before this one found, put together; a pair that is one tile is matched here."""
    models = layout.pairs[pair]
    whole = Tile(0, layout.size(models[0]).neurons, 0, layout.size(models[1]).neurons)
    if files := layout.found(pair, variant):
        parts = [read_neighbours(file) for file in files]
        return {
            units: merge_tiles(whole, [(tile, *found[units]) for tile, found in parts], layout.study.matching.k + 1)
            for units in parts[0][1]
        }
    return _match(*open_pair(layout, pair, variant, device), whole, layout, pair, variant, device)


def match_pair(layout: Layout, pair: str, device: torch.device, out: Path) -> None:
    """Write matches.parquet with the evidence for every match; beside it neighbours.safetensors (the best partners of
    every neuron), snapshots.parquet (matches after a part of the units, whose number is the column draw), summary.json.
    """
    models, k = layout.pairs[pair], layout.study.matching.k
    found = best_partners(layout, pair, "real", device)
    units = max(found)
    best = found.pop(units)
    sizes = [layout.size(model) for model in models]
    neurons = tuple(size.neurons for size in sizes)
    decoys = {null: read_table(layout.null(null, *models)) for null in DECOYS}
    table = add_q_values(add_excess(partner_table(*best, k), decoys["rotate"], neurons), decoys, neurons)
    count = int(((table.rank_a > 0) & (table.rank_b > 0)).sum())
    summary = {"matches": count, "engine": layout.plan.engine, "placement": layout.plan.placement}
    for side, size, partners in zip("ab", sizes, best, strict=True):
        layer, channel = layer_and_channel([size.width] * size.layers)
        table[f"layer_{side}"] = layer[table[f"neuron_{side}"]]
        table[f"channel_{side}"] = channel[table[f"neuron_{side}"]]
        summary |= {f"neurons_{side}": len(partners.r), f"constant_{side}": int(partners.constant.sum())}
    if layout.plan.engine == "sketch":
        summary |= read_json(Path(layout.rescored(pair)) / f"{pair}.json")
    summary["units"] = units
    snapshots = [partner_table(*sides, k).assign(draw=draw) for draw, sides in found.items()]
    write_table(out, table)
    write_neighbours(out.with_name("neighbours.safetensors"), Tile(0, neurons[0], 0, neurons[1]), {units: best})
    write_table(out.with_name("snapshots.parquet"), pd.concat(snapshots) if snapshots else table[:0].assign(draw=0))
    write_json(out.with_name("summary.json"), summary)
    log.info("%s: %s mutual matches", pair, f"{count:,}")


def match_nulls(layout: Layout, pair: str, device: torch.device, folder: Path, work_dir: Path) -> None:
    """Write folder/NULL.parquet for every null: tables of partners of all draws; and folder/own.parquet.

    Columns draw and changed tell them apart: the side that the draw changed, `a`, `b` or `both`. Where only some
    neurons are looked at, sampled_a and sampled_b say whether a row is of one. Every draw is saved to `work_dir` when
    it is done, which a job that was killed goes on from: the folder must be named by all that the draws depend on.
    """
    draws = sum(len(layout.variants(null)) for null in NULLS)
    done, report = 0, Reporter(log, f"nulls of {pair}", draws + 1)
    for null in NULLS:
        tables = []
        for draw, variant in enumerate(layout.variants(null)):
            side = "both" if null == "untrained" else "ab"[changed_side(layout, pair, draw)]
            if not (saved := work_dir / f"{variant}.parquet").exists():
                write_table(saved, _null_draw(layout, pair, variant, device))
            tables.append(read_table(saved).assign(draw=draw, changed=side))
            report(done := done + 1, null)
        write_table(folder / f"{null}.parquet", pd.concat(tables, ignore_index=True))
    write_table(folder / "own.parquet", own_partners(layout, pair, device))
    report(draws + 1, "own")
    shutil.rmtree(work_dir)


def own_partners(layout: Layout, pair: str, device: torch.device) -> pd.DataFrame:
    """The best partner of every neuron within its own model, as rows of a table of partners.

    In draw 0 the neurons of A stand for those of B too (changed `b`), in draw 1 those of B for those of A.
    """
    tables, scope = [], layout.scope(*layout.pairs[pair])
    for draw, model in enumerate(layout.pairs[pair]):
        sources = [open_source(layout, scope, model, device) for _ in "ab"]
        best = match_all(*sources, 3, layout.plan.free_bytes([model, model]), device)[0]
        r, partner = best_other(best)
        found = np.flatnonzero(partner >= 0)
        mutual = partner[partner[found]] == found
        mine, other = ("a", "b") if draw == 0 else ("b", "a")
        columns = {f"neuron_{mine}": found, f"neuron_{other}": partner[found], "r": r[found]}
        columns |= {f"rank_{mine}": 1, f"rank_{other}": mutual.astype(int), "draw": draw, "changed": other}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def best_other(best: Neighbours) -> tuple[np.ndarray, np.ndarray]:
    """r and number of the best partner of every neuron that is not itself; -1 where there is none."""
    partner = best.partner.numpy()
    value = np.where((partner == np.arange(len(partner))[:, None]) | (partner < 0), -np.inf, best.r.numpy())
    place = value.argmax(1)
    r = value[np.arange(len(value)), place].astype(float)
    return r, np.where(r > -np.inf, partner[np.arange(len(value)), place], -1)


def match_all(a, b, k: int, memory: int, device: torch.device) -> tuple[Neighbours, Neighbours]:
    """The k best partners both ways of two sources, in this job, in tiles that fit the memory."""
    sizes = sum(a.widths), sum(b.widths)
    parts = [(tile, *match_tile_or_quarters(a, b, tile, k, device)[a.units]) for tile in tiles(*sizes, memory)]
    return merge_tiles(Tile(0, sizes[0], 0, sizes[1]), parts, k)


def _null_draw(layout: Layout, pair: str, variant: str, device: torch.device) -> pd.DataFrame:
    k, rows = layout.study.matching.k, layout.study.nulls.rows
    if rows is None:
        return partner_table(*best_partners(layout, pair, variant, device).popitem()[1], k)
    a, b = open_pair(layout, pair, variant, device)
    memory = layout.plan.free_bytes(layout.pairs[pair])
    match = functools.partial(match_all, k=k + 1, memory=memory, device=device)
    index = [layout.sample(model, rows, "null") for model in layout.pairs[pair]]
    table = match_sample(a, b, *index, k, match)
    return table.assign(sampled_a=table.neuron_a.isin(index[0]), sampled_b=table.neuron_b.isin(index[1]))


# -- stability -------------------------------------------------------------------------------------------------------


def replicate_pair(layout: Layout, pair: str, device: torch.device, folder: Path) -> None:
    """Write folder/{half, bootstrap, subset, subset_rotate}.parquet: tables of partners with a column draw.

    `half` has a column heldout_r, the correlation on the other half; in `subset` equally many random neurons of both
    models were compared, in `subset_rotate` the same with one model rotated.
    """
    models, k, settings = layout.pairs[pair], layout.study.matching.k, layout.study.stability
    halves = [best_partners(layout, pair, f"half{draw}", device).popitem()[1] for draw in (0, 1)]
    near = read_neighbours(layout.neighbours(*models))[1].popitem()[1]
    neurons_b = layout.size(models[1]).neurons
    every = torch.cat(
        [pair_numbers(sides[i], neurons_b, swap=i == 1).flatten() for sides in (near, *halves) for i in (0, 1)]
    )
    code = torch.unique(every[every >= 0])
    pairs = torch.stack([code // neurons_b, code % neurons_b])
    group = document_groups(read_table(layout.units(layout.scope(*models))).doc.to_numpy(), layout.study.nulls.seed)
    real = open_pair(layout, pair, "real", device)
    sums = GroupSums(*real, pairs, group)
    even = torch.arange(len(sums.count)) % 2 == 0
    heldout = sums.correlations(torch.stack([even, ~even], 1).double())
    heldout[heldout == -torch.inf] = torch.nan
    tables = []
    for draw in (0, 1):
        table = partner_table(*halves[draw], k)
        place = torch.searchsorted(code, torch.tensor((table.neuron_a * neurons_b + table.neuron_b).to_numpy()))
        tables.append(table.assign(draw=draw, heldout_r=heldout[place, 1 - draw].numpy()))
    write_table(folder / "half.parquet", pd.concat(tables, ignore_index=True))
    write_table(folder / "bootstrap.parquet", resample(sums, near, k, settings.bootstrap, [layout.study.nulls.seed, 4]))
    subsets = [
        tuple(layout.sample(model, layout.smallest, "subset", draw) for model in models)
        for draw in range(settings.subset_draws)
    ]
    write_table(folder / "subset.parquet", match_subsets(*real, subsets, k))
    write_table(
        folder / "subset_rotate.parquet", match_subsets(*open_pair(layout, pair, "rotate0", device), subsets, k)
    )
