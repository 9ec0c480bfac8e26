"""All fits of a study."""

from collections.abc import Mapping

import pandas as pd

from rosetta_scaling.config.study import Study
from rosetta_scaling.fits.counts import fit_counts
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
