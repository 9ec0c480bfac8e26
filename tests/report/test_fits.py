"""Cells of tables of fits, as readers see them."""

import numpy as np
import pandas as pd
import pytest
from fitted_studies import fitted_tables
from planted_counts import COUNT, HALF, TOP1, counts_of

from rosetta_scaling.fits.checklist import read_checked
from rosetta_scaling.fits.counts import ABSCISSAE, fit_counts
from rosetta_scaling.report import fits as fit_cells


@pytest.fixture
def tables(fitted_folder) -> dict[str, pd.DataFrame]:
    return fitted_tables(fitted_folder)


def test_curves_of_three_and_four_points_are_warned_of():
    table = pd.concat([counts_of(COUNT), counts_of([0, *COUNT[1:]], "all"), counts_of(COUNT[:3], "llama-neox"),
                       counts_of(COUNT[:3], criterion=HALF)])  # fmt: skip
    found = fit_cells.warnings(fit_counts(table, 0.95))
    assert found == [
        "llama-neox: 3 points leave 1 degree of freedom: the half width of a 95% interval is 12.7 standard errors, "
        "where many points would make it 2.0.",
        "all: 4 points leave 2 degrees of freedom: the half width of a 95% interval is 4.3 standard errors, where many "
        "points would make it 2.0.",
    ]
    assert fit_cells.warnings(fit_counts(counts_of(COUNT), 0.95)) == []
    for none in (counts_of([0, 0, 0, 5, 9]), counts_of(COUNT[:3], neurons=[64] * 3, training_flops=9.0)):
        assert fit_cells.warnings(fit_counts(none, 0.95)) == [], "it has no fit"
    both = pd.concat([counts_of(COUNT[:4], "all"), counts_of(COUNT[:4])])
    assert fit_cells.warnings(fit_counts(both, 0.95))[0].startswith("all, neox-bloom: 4 points")


def column(table: dict, name: str) -> list[str]:
    return [row[[header for header, _ in table["columns"]].index(name)] for row in table["rows"]]


def test_cells_say_what_agrees_and_what_cannot_be_said(tables, fitted_folder):
    values = [(0.5, 0.4, 0.6, True, np.nan), (0.9, np.nan, np.nan, False, "none"), (*[np.nan] * 4, "no fit")]
    table = pd.DataFrame(values, columns=["alpha", "low", "high", "agrees", "note"])
    table = table.assign(curve="a", criterion=TOP1, quantity="count", estimator="ols", points=5)
    rows = fit_cells.estimators_cells(table)
    assert column(rows, "agrees with ols") == ["yes", "NO", ""]
    assert column(rows, "exponent") == ["0.50 [0.40, 0.60]", "0.90", "\u2013"]
    assert column(rows, "note") == ["", "none", "no fit"]
    assert column(rows, "what") == ["Rosetta neurons"] * 3
    tables["pooled"] = pd.concat([tables["pooled"], tables["pooled"].assign(without="neox")])
    cells = fit_cells.fit_cells(tables, read_checked(fitted_folder / "tables/fits.json"))
    assert column(cells["pooled_without"], "without") == ["neox", "neox"]
    assert set(column(cells["rivals"], "criterion")) == {TOP1}
    assert set(column(cells["rivals"], "what")) == {"Rosetta neurons"}
    assert len(cells["rivals"]["rows"]) + len(cells["rivals_others"]["rows"]) == len(tables["rivals"])
    assert set(column(cells["pooled"], "without")) == {"none"}
    assert set(column(cells["theory"], "matches")) == {"real"}
    assert set(column(cells["theory_nulls"], "matches")) == {"rotate"}
    assert len(cells["sizes"]["rows"]) == 3 * len(ABSCISSAE)
    assert cells["checklist"][0][0] == f"neox-bloom, {TOP1}, count"
    shown = {(block, entry): value for block, entry, value in cells["checklist"][0][1]["rows"]}
    assert shown["uncertainty", "degrees of freedom"] == "3"
    assert shown["data", "points"] == "5 rows in fits.json"
    assert shown["data", "units"] == "400"
    assert column(cells["refused"], "why")[0].startswith("0 points are positive")


def test_single_choices_are_summed_up_over_all_others():
    rows = [
        ("counts", "a", TOP1, "neurons", "ols", 0.2, -0.1, 0.5),
        ("counts", "a", HALF, "neurons", "ols", 0.6, 0.3, 0.9),
        ("counts", "b", TOP1, "neurons", "theil_sen", 1.0, np.nan, np.nan),
        ("counts", "b", TOP1, "parameters", "ols", 0.4, 0.3, 0.5),
        ("nulls", "b", TOP1, "neurons", "ols", 0.9, 0.5, 1.3),
    ]
    data = pd.DataFrame(rows, columns=["kind", "curve", "criterion", "x", "estimator", "alpha", "low", "high"])
    found = {(row[0], row[1]): row[2:] for row in fit_cells.choices_cells(data)["rows"]}
    assert found["what is fitted", "counts"] == ["4", "0.50 [0.35, 0.70]", "75.0%", "50.0%"]
    assert found["what is fitted", "nulls"] == ["1", "0.90 [0.90, 0.90]", "0.0%", "100.0%"]
    assert found["size", "parameters"] == ["1", "0.40 [0.40, 0.40]", "100.0%", "100.0%"]
    assert found["criterion", TOP1] == ["2", "0.60 [0.40, 0.80]", "50.0%", "0.0%"]
    assert found["curve", "a"] == ["2", "0.40 [0.30, 0.50]", "100.0%", "50.0%"]
    assert found["estimator", "theil_sen"] == ["1", "1.00 [1.00, 1.00]", "0.0%", "0.0%"]
