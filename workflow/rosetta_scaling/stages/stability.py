"""How stable the matches of a pair are."""

from pathlib import Path

import pandas as pd
import torch

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.matching.neighbour_files import read_neighbours
from rosetta_scaling.matching.neighbours import pair_numbers, partner_table
from rosetta_scaling.matching.replicates import GroupSums, match_subsets, resample
from rosetta_scaling.schemas.tables.matching import REPLICATE
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.matches import best_partners
from rosetta_scaling.stages.sources import open_pair
from rosetta_scaling.store.tables import read_table
from rosetta_scaling.units.groups import document_groups

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
    write_checked_table(folder / "half.parquet", pd.concat(tables, ignore_index=True), REPLICATE)
    resampled = resample(sums, near, k, settings.bootstrap, [layout.study.nulls.seed, 4])
    write_checked_table(folder / "bootstrap.parquet", resampled, REPLICATE)
    subsets = [
        tuple(layout.sample(model, layout.smallest, "subset", draw) for model in models)
        for draw in range(settings.subset_draws)
    ]
    write_checked_table(folder / "subset.parquet", match_subsets(*real, subsets, k), REPLICATE)
    rotated = match_subsets(*open_pair(layout, pair, "rotate0", device), subsets, k)
    write_checked_table(folder / "subset_rotate.parquet", rotated, REPLICATE)
