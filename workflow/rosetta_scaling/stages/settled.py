"""How many draws of the nulls each verdict needs: the study is judged again with a half, a quarter ... of them.

Points, fits and claims are made again as for a study that asks for fewer draws. The competition with decoys is then
another one, with fewer of them, so estimates move by more than an average over fewer draws does.
"""

import logging
import shutil
import tempfile
from pathlib import Path

import pandas as pd

from rosetta_scaling.config.study import Study
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.names import POINT_TABLES
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS
from rosetta_scaling.schemas.tables.fits import FEWER_DRAWS, SETTLED
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.claims import judge
from rosetta_scaling.stages.fits import fit_inputs, write_fit_tables
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.stages.points import point_inputs, write_rosetta
from rosetta_scaling.stages.tables import table_inputs, write_tables
from rosetta_scaling.store.tables import read_json, read_table

log = logging.getLogger(__name__)

LEAST = 2  # draws of a null: one for each network of a pair


def fewer_draws_inputs(plan: StudyPlan) -> Inputs:
    """All that points, tables and fits are made from, and what does not depend on the draws."""
    layout = plan.layout
    parts = [table_inputs(plan), fit_inputs(plan), *(point_inputs(plan, *point) for point in layout.points)]
    files = {path for part in parts for paths in part.values() for path in paths}
    return {"files": sorted(files), "unchanged": unchanged_tables(layout)}


def unchanged_tables(layout: Layout) -> list[str]:
    """The tables that claims are judged on and that do not depend on the number of draws."""
    return [layout.tables("power.csv"), *layout.continued_tables]


def write_fewer_draws(plan: StudyPlan, draws: int, out: Path) -> None:
    """Write the verdicts of all claims with so many draws of the central null."""
    write_checked_table(out, settled_table(draws, judge_with(plan, draws)), FEWER_DRAWS)


def settled_inputs(plan: StudyPlan) -> Inputs:
    layout = plan.layout
    fewer = [layout.settled_with(draws) for draws in fewer_draws(plan.study.nulls.draws(CENTRAL))]
    return {"claims": [layout.tables("claims.json")], "fewer": fewer}


def write_settled(plan: StudyPlan, out: Path) -> None:
    """Write the verdicts of all claims with fewer draws, and with all of them, which are in claims.json."""
    all_draws, claims = plan.study.nulls.draws(CENTRAL), read_json(plan.layout.tables("claims.json"))["claims"]
    tables = [*map(read_table, settled_inputs(plan)["fewer"]), settled_table(all_draws, claims)]
    write_checked_table(out, pd.concat(tables, ignore_index=True), SETTLED)


def settled_table(draws: int, claims: list[dict]) -> pd.DataFrame:
    """The rows of settled.csv for a number of draws, from the entries of claims.json."""
    rows = [
        {"claim": claim["claim"], "draws": draws, "verdict": claim["verdict"]}
        | {name: claim.get(name) for name in ("effect", "effect_low", "effect_high")}
        for claim in claims
    ]
    return pd.DataFrame(rows, columns=SETTLED.names)


def fewer_draws(draws: int) -> list[int]:
    """A half, a quarter ... of a number of draws, even and at least LEAST, rising."""
    halves = []
    while (draws := 2 * (draws // 4)) >= LEAST:
        halves.append(draws)
    return halves[::-1]


def with_draws(study: Study, draws: int) -> Study:
    """The study with so many draws of the central null, and with as small a share of those of the others.

    What no verdict needs is left out, since it takes most of the time: criteria that are not judged, and the coverage
    of intervals.
    """
    share = draws / study.nulls.draws(CENTRAL)
    fewer = {null: max(LEAST, 2 * round(share * study.nulls.draws(null) / 2)) for null in NULLS}
    update = {f"{null}_draws": min(number, study.nulls.draws(null)) for null, number in fewer.items()}
    nulls, fits = study.nulls.model_copy(update=update), study.fits.model_copy(update={"coverage_draws": 2})
    judged = [criterion for criterion in study.matching.criteria if criterion.name in study.judged]
    matching = study.matching.model_copy(update={"criteria": judged})
    return study.model_copy(update={"nulls": nulls, "matching": matching, "fits": fits})


class PointsElsewhere(Layout):
    """The layout of a study whose tables of points lie in another folder."""

    def __init__(self, study: Study, corpus_key: str, folder: str):
        super().__init__(study, corpus_key)
        self.folder = folder

    def point_table(self, name: str, curve: str, rung: str) -> str:
        return f"{self.folder}/{curve}.{rung}.{name}.csv"


def judge_with(plan: StudyPlan, draws: int) -> list[dict]:
    """The entries of claims.json with so many draws of the central null."""
    with tempfile.TemporaryDirectory() as folder:
        layout = PointsElsewhere(with_draws(plan.study, draws), plan.layout.corpus_key, folder)
        fewer = StudyPlan(layout)
        for point in layout.points:
            paths = {name: layout.point_table(name, *point) for name in POINT_TABLES}
            write_rosetta(fewer, *point, f"{folder}/rosetta.parquet", tables=paths)
        write_tables(layout, Path(folder))
        write_fit_tables(layout, Path(folder))
        for path in unchanged_tables(layout):
            shutil.copy(path, folder)
        log.info("judged with %d of %d draws", draws, plan.study.nulls.draws(CENTRAL))
        return judge(layout.study, Path(folder))["claims"]
