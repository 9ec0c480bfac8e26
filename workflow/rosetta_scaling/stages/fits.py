"""Write all fits of a study."""

from pathlib import Path

import pandas as pd

from rosetta_scaling.fits.checklist import write_checked
from rosetta_scaling.fits.counts import fit_counts
from rosetta_scaling.fits.report import report_fits
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
from rosetta_scaling.store.tables import read_table


def write_fits(layout: Layout, folder: Path) -> None:
    """Write every one of FIT_TABLES, and fits.json, from the other tables in `folder`."""
    study, confidence = layout.study, layout.study.polarization.confidence
    counts, seeds, isolation = (read_table(folder / f"{name}.csv") for name in ("counts", "seeds", "isolation"))
    simulated = pd.concat(map(read_table, layout.simulations), ignore_index=True)
    sizes = counts[["curve", "point", "neurons"]].drop_duplicates()
    tables = {
        "fits": fit_counts(counts, confidence),
        "estimators": estimators_table(counts, confidence),
        "pooled": pooled_table(counts, study.curves, confidence),
        "rivals": rivals_table(counts, study.judged, confidence),
        "influence": influence_table(counts, study.judged, confidence),
        "uncertainty": uncertainty_table(counts, seeds, study),
        "coverage": coverage_table(counts, study),
        "forecast": forecast_table(counts, study),
        "theory": theory_table(isolation.merge(sizes), confidence),
        "theory_simulation": simulated,
        "theory_exponents": recovered_exponent(simulated, confidence),
    }
    for name, table in tables.items():
        write_checked_table(folder / f"{name}.csv", table, FIT_TABLES[name])
    write_checked(folder / "fits.json", report_fits(layout, folder, tables))
