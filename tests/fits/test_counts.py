"""Fits of counts, on numbers whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from planted_counts import COUNT, HALF, NEURONS, SCATTER, T3, counts_of, line, only
from scipy import stats

from rosetta_scaling.fits.counts import ABSCISSAE, QUANTITIES, fit_counts


def test_every_quantity_is_fitted_against_every_notion_of_size():
    fits = fit_counts(pd.concat([counts_of(COUNT), counts_of(COUNT[:4], "all", HALF)]), 0.95)
    assert len(fits) == 2 * len(QUANTITIES) * len(ABSCISSAE)
    table = counts_of(COUNT)
    for x in ABSCISSAE:
        row = only(fits, curve="neox-bloom", quantity="count", x=x)
        slope, error, _ = line(table[x], COUNT)
        assert row.alpha == pytest.approx(slope)
        assert row.low == pytest.approx(slope - T3 * error)
        assert row.high == pytest.approx(slope + T3 * error)
        assert row.c == pytest.approx(np.exp(np.log(COUNT).mean() - slope * np.log(table[x]).mean()))
        assert row.r2 == pytest.approx(np.corrcoef(np.log(table[x]), np.log(COUNT))[0, 1] ** 2)
        assert (row.points, row.note) == (5, "")
    assert only(fits, curve="all", quantity="count", x="neurons").points == 4


def test_below_the_slope_of_a_constant_share_is_what_sublinear_means():
    fits = fit_counts(counts_of(COUNT), 0.95).query("quantity == 'count'").set_index("x")
    table = counts_of(COUNT)
    assert fits.geometric.neurons == pytest.approx(1)
    assert fits.geometric.parameters == pytest.approx(0.5)
    assert fits.geometric.hidden_size == pytest.approx(2)
    for x in ABSCISSAE:
        assert fits.geometric[x] == pytest.approx(line(table[x], NEURONS)[0])
        slope, error, _ = line(table[x], COUNT / NEURONS)
        assert fits.p_sublinear[x] == pytest.approx(stats.t(3).cdf(slope / error))
    assert (fits.p_sublinear < 0.01).all()
    rises = fit_counts(counts_of(0.1 * NEURONS**1.4 * SCATTER), 0.95).query("quantity == 'count'")
    assert (rises.p_sublinear > 0.99).all()
    assert (rises.alpha[rises.x == "parameters"] < 1).all(), "below 1 is no answer against parameters"


def test_zeros_and_what_is_not_known_are_left_out_and_said():
    table = counts_of([0, *COUNT[1:]], training_flops=np.nan, null_rotate=[np.nan, 2, 3, 5, 4])
    fits = fit_counts(table, 0.95)
    row = only(fits, quantity="count", x="neurons")
    assert row.alpha == pytest.approx(line(NEURONS[1:], COUNT[1:])[0])
    assert (row.points, row.note) == (4, "1 of 5 points left out: count is not positive")
    unknown = only(fits, quantity="count", x="training_flops")
    assert np.isnan(unknown.alpha)
    assert unknown.note == f"{row.note}; training_flops is not known for every network"
    null = only(fits, quantity="null_rotate", x="neurons")
    assert null.note == "1 of 5 points left out: null_rotate is not positive or not known"
    none = only(fits, quantity="calibrated_05", x="neurons")
    assert np.isnan(none.alpha)
    assert (none.points, none.note) == (0, "5 of 5 points left out: calibrated_05 is not positive")


def test_two_points_and_equal_sizes_are_no_fit():
    fits = fit_counts(counts_of([0, 0, 0, 9, 12], hidden_size=16.0), 0.95).query("quantity == 'count'")
    assert fits.alpha.isna().all()
    assert (fits.points == 2).all()
    deeper = fit_counts(counts_of(COUNT, hidden_size=16.0), 0.95).query("quantity == 'count'").set_index("x")
    assert np.isnan(deeper.alpha.hidden_size)
    assert deeper.note.hidden_size == "hidden_size is the same at every point"
    assert deeper.alpha.drop("hidden_size").notna().all()


@pytest.mark.parametrize(("count", "alpha"), [([3, 3, 3], 0.0), ([3, 6, 12], 1.0)])
def test_points_exactly_on_a_line_have_no_interval_and_no_p(count, alpha):
    row = only(fit_counts(counts_of(count), 0.95), quantity="count", x="neurons")
    assert row.alpha == pytest.approx(alpha)
    assert row[["low", "high", "p_sublinear"]].isna().all()
    assert row.note.startswith("the points lie exactly on the fit")
