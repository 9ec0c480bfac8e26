"""Judge the claims of a study, and say how often each main claim would get each verdict at its sizes: `make power`."""

import argparse
from pathlib import Path

import pandas as pd

from rosetta_scaling.config.parsing import load
from rosetta_scaling.config.study import Study
from rosetta_scaling.jobs.run import configuration_of
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.names import FIT_TABLES, STUDY_TABLES
from rosetta_scaling.schemas.tables.fits import POWER
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_table, write_json


def claim_inputs(plan: StudyPlan) -> Inputs:
    layout = plan.layout
    return {
        "tables": [layout.tables(f"{name}.csv") for name in STUDY_TABLES],
        "continued": layout.continued_tables,
        "fits": [*(layout.tables(f"{name}.csv") for name in FIT_TABLES), layout.tables("fits.json")],
        "power": [layout.tables("power.csv")],
    }


def write_claims(study: Study, folder: Path) -> None:
    """Judge the tables in `folder`, and write claims.json there."""
    write_json(folder / "claims.json", judge(study, folder))


def judge(study: Study, folder: Path) -> dict:
    """What the tables in `folder` say: the content of claims.json."""
    from rosetta_scaling.claims.continued import judge_continued
    from rosetta_scaling.claims.counts import judge_counts
    from rosetta_scaling.claims.decisions import control_errors
    from rosetta_scaling.claims.fits import judge_fits
    from rosetta_scaling.claims.power import with_power
    from rosetta_scaling.claims.selectivity import judge_selectivity, undecidable

    tables = {name: read_table(folder / f"{name}.csv") for name in (*STUDY_TABLES, *FIT_TABLES)}
    claims = judge_counts(tables, study.judged) + judge_fits(tables, study.judged)
    claims += judge_selectivity(tables, study.judged_sets)
    if study.trains_further:
        claims += judge_continued(read_table(folder / "continued.csv"), study.judged[0])
    power = read_table(folder / "power.csv")
    entries = [claim.as_json() for claim in with_power(control_errors(claims), power)]
    return {"claims": entries, "undecidable": undecidable()}


def power_inputs(plan: StudyPlan) -> Inputs:
    return {"counts": [plan.layout.tables("counts.csv")]}


def write_power(study: Study, counts: str, power: str) -> None:
    """Write the operating characteristics of the main claims at the sizes of the points of a table of counts."""
    from rosetta_scaling.claims.power import SIZES

    table = read_table(counts)
    sizes = table.loc[table.criterion == study.judged[0], SIZES]
    write_checked_table(power, characteristics(study, sizes), POWER)


def characteristics(study: Study, sizes: pd.DataFrame) -> pd.DataFrame:
    """The operating characteristics of the main claims at the points of `sizes` (see claims/power.py)."""
    from rosetta_scaling.claims.power import operating_characteristics
    from rosetta_scaling.claims.selectivity import PAPER_METRIC, SPECIALISES_IN

    return operating_characteristics(
        sizes,
        metric=PAPER_METRIC,
        chosen=study.judged_sets[0],
        domain=SPECIALISES_IN[0],
        draws=study.fits.power_draws,
        seed=study.fits.seed,
    )


def planned_sizes(plan: StudyPlan) -> pd.DataFrame:
    """The points of a study from its configuration alone, with the columns of counts.csv that say their sizes."""
    rows = []
    for (curve, point), models in plan.layout.points.items():
        neurons = [plan.size(model).neurons for model in models]
        rows.append((curve, point, " ".join(models), models[0], sum(neurons) / len(neurons), neurons[0]))
    return pd.DataFrame(rows, columns=["curve", "point", "models", "anchor", "neurons", "anchor_neurons"])


def main() -> int:
    """Print how often each main claim of a study would get each verdict; the study need not have run."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("study", nargs="?", default="", help="name of a file in workflow/studies; default: config.yaml")
    study = load(configuration_of(parser.parse_args().study) or Path("config.yaml"))
    table = characteristics(study, planned_sizes(StudyPlan(Layout(study, corpus_key="unused"))))
    for claim, rows in table.groupby("claim", sort=False):
        print(f"{claim}\n  probability of supported / not supported / inconclusive ({rows.effect_name.iloc[0]})")
        for row in rows.itertuples():
            chances = f"{row.supported:.2f} / {row.not_supported:.2f} / {row.inconclusive:.2f}"
            print(f"  {row.truth:>5} ({row.effect:.2f}): {chances}")
    return 0
