"""Write all fits of a study."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from rosetta_scaling import WORKFLOW
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.names import STUDY_TABLES
from rosetta_scaling.schemas.tables.fits import FIT_TABLES
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_json, read_table

if TYPE_CHECKING:
    from rosetta_scaling.fits.report import FitFacts

READ = ("counts", "seeds", "isolation", "models", "snapshots")  # tables that fits are made from and reported with


def fit_inputs(plan: StudyPlan) -> Inputs:
    layout = plan.layout
    return {
        "tables": [layout.tables(f"{name}.csv") for name in STUDY_TABLES],
        "simulations": layout.simulations,
        "corpus": [layout.corpus_manifest],
        "units": layout.units_tables,
    }


def write_fits(layout: Layout, folder: Path) -> None:
    """Write every one of FIT_TABLES, and fits.json, from the other tables in `folder`."""
    from rosetta_scaling.fits.checklist import write_checked
    from rosetta_scaling.fits.report import report_fits

    tables = write_fit_tables(layout, folder)
    write_checked(folder / "fits.json", report_fits(layout.study, tables, read_facts(layout)))


def write_fit_tables(layout: Layout, folder: Path) -> dict[str, pd.DataFrame]:
    """Write every one of FIT_TABLES from the other tables in `folder`; these tables, and what they are made from."""
    from rosetta_scaling.fits.study import fit_tables

    read = {name: read_table(folder / f"{name}.csv") for name in READ}
    simulated = pd.concat(map(read_table, layout.simulations), ignore_index=True)
    tables = fit_tables(layout.study, read, simulated)
    for name, table in tables.items():
        write_checked_table(folder / f"{name}.csv", table, FIT_TABLES[name])
    return {**read, **tables}


def read_facts(layout: Layout) -> "FitFacts":
    """Read what the report of fits says of the corpus, the units and the networks."""
    from rosetta_scaling.fits.report import FitFacts

    name = layout.study.study
    is_shipped = (WORKFLOW / "studies" / f"{name}.yaml").is_file()
    return FitFacts(
        corpus_sha256=read_json(layout.corpus_manifest)["sha256"],
        units=max(len(read_table(units)) for units in layout.units_tables),
        trained_here=frozenset(filter(layout.is_trained_here, layout.models)),
        reproduce="make study" + (f" STUDY={name}" if is_shipped else ""),
    )
