"""Match the nulls of a pair."""

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.schemas.tables.matching import NULL_DRAW, NULL_TABLE, OWN
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.facts import changed_side, variants_inputs
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.progress import Reporter
from rosetta_scaling.store.tables import read_table

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


def null_inputs(plan: StudyPlan, pair: str) -> Inputs:
    """What all nulls are matched from, and the models themselves, which are matched with themselves too."""
    variants = [variant for null in NULLS for variant in plan.layout.variants(null)]
    return variants_inputs(plan, pair, variants, tiled=plan.study.nulls.rows is None)


def match_nulls(plan: StudyPlan, pair: str, device: "torch.device", *, folder: Path, work_dir: Path) -> None:
    """Write folder/NULL.parquet for every null: tables of partners of all draws; and folder/own.parquet.

    Columns draw and changed tell them apart: the side that the draw changed, `a`, `b` or `both`. Where only some
    neurons are looked at, sampled_a and sampled_b say whether a row is of one. Every draw is saved to `work_dir` when
    it is done, and a job that was killed continues from there: the name of the folder must encode everything that the
    draws depend on.
    """
    from rosetta_scaling.stages.null_draws import null_draw, own_partners
    from rosetta_scaling.stages.sources import pre_activations

    layout, models = plan.layout, plan.layout.pairs[pair]
    draws = sum(len(layout.variants(null)) for null in NULLS)
    done, report = 0, Reporter(log, f"nulls of {pair}", draws + 1)
    for null in NULLS:
        variants, tables = layout.variants(null), []
        # Those that change the same network one after the other: it stays open.
        for draw in sorted(range(len(variants)), key=lambda draw: changed_side(models, draw)):
            if not (saved := work_dir / f"{variants[draw]}.parquet").exists():
                write_checked_table(saved, null_draw(plan, pair, variants[draw], device), NULL_DRAW)
            report(done := done + 1, null)
        pre_activations.cache_clear()
        for draw, variant in enumerate(variants):
            side = "both" if NULLS[null].changes == "both" else "ab"[changed_side(models, draw)]
            tables.append(read_table(work_dir / f"{variant}.parquet").assign(draw=draw, changed=side))
        write_checked_table(folder / f"{null}.parquet", pd.concat(tables, ignore_index=True), NULL_TABLE)
    write_checked_table(folder / "own.parquet", own_partners(plan, pair, device), OWN)
    report(draws + 1, "own")
    shutil.rmtree(work_dir)
