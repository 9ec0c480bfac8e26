"""Match the nulls of a pair."""

import functools
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.matching.neighbours import Neighbours, partner_table
from rosetta_scaling.matching.replicates import match_sample
from rosetta_scaling.matching.whole import match_all
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.schemas.tables.matching import NULL_DRAW, NULL_TABLE, OWN
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.matches import best_partners
from rosetta_scaling.stages.sources import changed_side, open_pair, open_source
from rosetta_scaling.store.progress import Reporter
from rosetta_scaling.store.tables import read_table

log = logging.getLogger(__name__)


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
            side = "both" if NULLS[null].changes == "both" else "ab"[changed_side(layout, pair, draw)]
            if not (saved := work_dir / f"{variant}.parquet").exists():
                write_checked_table(saved, _null_draw(layout, pair, variant, device), NULL_DRAW)
            tables.append(read_table(saved).assign(draw=draw, changed=side))
            report(done := done + 1, null)
        write_checked_table(folder / f"{null}.parquet", pd.concat(tables, ignore_index=True), NULL_TABLE)
    write_checked_table(folder / "own.parquet", own_partners(layout, pair, device), OWN)
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
