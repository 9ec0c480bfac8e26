"""All tables of fits, as the workflow writes them."""

import pandas as pd
import pytest
from fitted_studies import fitted_tables
from planted_counts import CURVES, HALF, TOP1, a_study

from rosetta_scaling.fits.counts import fit_counts
from rosetta_scaling.fits.tables import estimators_table, forecast_table, pooled_table, rivals_table
from rosetta_scaling.fits.theory.data import theory_table


@pytest.fixture
def tables(fitted_folder) -> dict[str, pd.DataFrame]:
    return fitted_tables(fitted_folder)


@pytest.mark.slow(0.1)
def test_all_tables_of_fits_are_written(tables):
    counts = tables["counts"]
    expected = fit_counts(counts, 0.95)
    pd.testing.assert_frame_equal(tables["fits"].fillna({"note": ""}), expected, check_dtype=False)
    sizes = counts[["curve", "point", "neurons"]].drop_duplicates()
    made = {
        "estimators": estimators_table(counts, 0.95),
        "pooled": pooled_table(counts, CURVES, 0.95),
        "rivals": rivals_table(counts, [TOP1, HALF], 0.95),
        "forecast": forecast_table(counts, a_study()),
        "theory": theory_table(tables["isolation"].merge(sizes), 0.95),
    }
    for name, table in made.items():
        expected = table.assign(note=table.note.replace("", None)) if "note" in table else table
        pd.testing.assert_frame_equal(tables[name], expected, check_dtype=False, obj=name)
    assert tables["theory_simulation"].neurons.tolist() == [64, 128, 256]
    assert set(tables["theory_exponents"].expected) == {0.5}
