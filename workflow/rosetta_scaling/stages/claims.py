"""Judge the claims of a study."""

from pathlib import Path

from rosetta_scaling.config.study import Study
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.names import FIT_TABLES, STUDY_TABLES
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_table, write_json


def claim_inputs(plan: StudyPlan) -> Inputs:
    layout = plan.layout
    return {
        "tables": [layout.tables(f"{name}.csv") for name in STUDY_TABLES],
        "fits": [*(layout.tables(f"{name}.csv") for name in FIT_TABLES), layout.tables("fits.json")],
    }


def write_claims(study: Study, folder: Path) -> None:
    """Judge the tables in `folder`."""
    from rosetta_scaling.claims.counts import judge_counts
    from rosetta_scaling.claims.fits import judge_fits
    from rosetta_scaling.claims.selectivity import judge_selectivity

    tables = {name: read_table(folder / f"{name}.csv") for name in (*STUDY_TABLES, *FIT_TABLES)}
    claims = judge_counts(tables, study.judged) + judge_fits(tables, study.judged)
    claims += judge_selectivity(tables, study.judged_sets)
    write_json(folder / "claims.json", {"claims": [claim.as_json() for claim in claims]})
