"""Write all fits of a study."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.study import Study
from rosetta_scaling.fits.checklist import write_checked
from rosetta_scaling.fits.counts import fit_counts
from rosetta_scaling.fits.report import FitFacts, report_fits
from rosetta_scaling.fits.tables import (
    coverage_table,
    estimators_table,
    forecast_table,
    influence_table,
    pooled_table,
    rivals_table,
    uncertainty_table,
)
from rosetta_scaling.fits.theory.data import theory_table
from rosetta_scaling.fits.theory.simulation import recovered_exponent
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.schemas.tables.fits import FIT_TABLES
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.store.tables import read_json, read_table

READ = ("counts", "seeds", "isolation", "models", "snapshots")  # tables that fits are made from and reported with


def write_fits(layout: Layout, folder: Path) -> None:
    """Write every one of FIT_TABLES, and fits.json, from the other tables in `folder`."""
    read = {name: read_table(folder / f"{name}.csv") for name in READ}
    simulated = pd.concat(map(read_table, layout.simulations), ignore_index=True)
    tables = fit_tables(layout.study, read, simulated)
    for name, table in tables.items():
        write_checked_table(folder / f"{name}.csv", table, FIT_TABLES[name])
    write_checked(folder / "fits.json", report_fits(layout.study, {**read, **tables}, read_facts(layout)))


def fit_tables(study: Study, read: Mapping[str, pd.DataFrame], simulated: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The FIT_TABLES, from the tables of counts, seeds and isolation, and the simulated networks of the theory."""
    counts, confidence = read["counts"], study.polarization.confidence
    sizes = counts[["curve", "point", "neurons"]].drop_duplicates()
    return {
        "fits": fit_counts(counts, confidence),
        "estimators": estimators_table(counts, confidence),
        "pooled": pooled_table(counts, study.curves, confidence),
        "rivals": rivals_table(counts, study.judged, confidence),
        "influence": influence_table(counts, study.judged, confidence),
        "uncertainty": uncertainty_table(counts, read["seeds"], study),
        "coverage": coverage_table(counts, study),
        "forecast": forecast_table(counts, study),
        "theory": theory_table(read["isolation"].merge(sizes), confidence),
        "theory_simulation": simulated,
        "theory_exponents": recovered_exponent(simulated, confidence),
    }


def read_facts(layout: Layout) -> FitFacts:
    """Read what the report of fits says of the corpus, the units and the networks."""
    name = layout.study.study
    scopes = {layout.scope(*pair) for pair in layout.pairs.values()}
    is_shipped = (WORKFLOW / "studies" / f"{name}.yaml").is_file()
    return FitFacts(
        corpus_sha256=read_json(f"{layout.corpus_dir}/manifest.json")["sha256"],
        units=max(len(read_table(layout.units(scope))) for scope in scopes),
        trained_here=frozenset(filter(layout.is_trained_here, layout.models)),
        reproduce="make study" + (f" STUDY={name}" if is_shipped else ""),
    )
