"""Random counts go through every fit: a finite estimate, or the reason why there is none. See fuzzing.py."""

import math

import numpy as np
import pandas as pd
import pytest
from fuzzing import fuzz, sentence_of
from hypothesis import event, example, given
from hypothesis import strategies as st
from planted_counts import CURVES, HALF, NO_SEEDS, TOP1, a_study, counts_of

from rosetta_scaling.fits.counts import fit_counts
from rosetta_scaling.fits.tables import (
    estimators_table,
    forecast_table,
    influence_table,
    pooled_table,
    rivals_table,
    uncertainty_table,
)
from rosetta_scaling.fits.theory.data import theory_table
from rosetta_scaling.power_laws.coverage import Truth, coverage
from rosetta_scaling.power_laws.estimators import ESTIMATORS, fit_power_law, predict_power_law
from rosetta_scaling.power_laws.random_effects import fit_measured, pool
from rosetta_scaling.power_laws.rivals import FORMS, PERSISTENCE, compare, influence, predict
from rosetta_scaling.store.errors import StudyError

pytestmark = [pytest.mark.slow(1), pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")]

SIZES = st.integers(1, 2000) | st.integers(1, 10**9)
COUNT = st.just(0) | st.integers(1, 5) | st.integers(0, 10**4) | st.integers(0, 10**9)
NUMBERS = COUNT.map(float) | st.floats(0, 1e9)
CONFIDENCE = st.floats(0.5, 0.9999, exclude_min=True) | st.just(0.95)


@st.composite
def points(draw, numbers=COUNT, fewest: int = 1) -> tuple[list[float], list[float]]:
    """Sizes and what was counted at them: few or many, equal, in any order, zero, on a line."""
    x = draw(st.lists(SIZES, min_size=fewest, max_size=8))
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return x, [draw(numbers)] * len(x)
    if kind == 1:
        return x, [float(one) for one in x]
    return x, draw(st.lists(numbers, min_size=len(x), max_size=len(x)))


def is_told(estimate: dict) -> None:
    """Finite numbers, or a note that says why one is missing."""
    numbers = [estimate[key] for key in ("alpha", "low", "high", "c") if key in estimate]
    assert not np.isinf(numbers).any(), estimate
    assert np.isfinite(numbers).all() or estimate["note"].strip(), estimate
    event("missing" if np.isnan(numbers).any() else "fitted")
    if np.isfinite([estimate["low"], estimate["high"]]).all():
        assert estimate["low"] <= estimate["alpha"] <= estimate["high"]


def refused(function, *arguments, **named):
    """What a function gives; None when it refuses the points with a sentence."""
    try:
        return function(*arguments, **named)
    except StudyError as error:
        event("refused")
        sentence_of(error)
    return None


DIVERGES = ([400, 3000, 7000, 8000, 10000, 20000, 800000], [619, 0, 0, 35, 2, 15, 150])


@fuzz()
@given(points(), st.sampled_from(list(ESTIMATORS)), CONFIDENCE)
@example(DIVERGES, "negative_binomial", 0.95)
@example(DIVERGES, "quasi_poisson", 0.95)
def test_estimators(values, name, confidence):
    if (found := refused(ESTIMATORS[name], *values, confidence)) is not None:
        is_told(found)


@fuzz()
@given(points(), st.lists(st.floats(1e-9, 1e3), min_size=8, max_size=8), CONFIDENCE)
def test_measured_points(values, errors, confidence):
    x, y = values
    if (found := refused(fit_measured, x, y, errors[: len(x)], confidence)) is not None:
        is_told(found)
        assert found["between"] >= 0


@fuzz()
@given(points(), CONFIDENCE, SIZES)
def test_rivals_and_influence_and_forecasts(values, confidence, at):
    table = refused(compare, *values, confidence)
    if table is None:
        return
    numbers = table[["c", "alpha", "squares", "aicc", "left_out", "largest"]].to_numpy(float)
    assert not np.isinf(numbers).any(), table
    fitted = table[(table.form != PERSISTENCE) & table.squares.notna()]
    assert fitted.c.notna().all()
    assert (table.squares.notna() | (table.note != "")).all(), table
    assert (table.aicc.notna() | (table.note != "")).all(), table
    found = influence(*values, confidence)
    assert len(found) == len(values[0])
    assert not np.isinf(found.to_numpy(float)).any(), found
    told = [predict(form, *values, at) for form in (*FORMS, PERSISTENCE)]
    told += predict_power_law(*values, at, confidence)
    assert not np.isinf(told).any(), told


@fuzz()
@given(st.lists(points(fewest=3), min_size=1, max_size=4), CONFIDENCE)
def test_pooled_curves(curves, confidence):
    table = pd.concat([pd.DataFrame({"curve": str(i), "x": x, "y": y}) for i, (x, y) in enumerate(curves)])
    if (found := refused(pool, table, confidence)) is not None:
        numbers = [found[key] for key in ("alpha", "low", "high", "between", "residual", "p_same")]
        assert np.isfinite(numbers).all(), found
        assert np.isfinite(found["curves"][["alpha", "low", "high", "shrunken"]].to_numpy()).all()


@fuzz(slow=True)
@given(points(fewest=3), st.floats(-3, 3), st.floats(1e-3, 1e3), st.floats(0, 2), CONFIDENCE)
@example(([1, 1, 904261], [0, 0, 0]), 3.0, 1.0, 0.0, 0.75)
def test_coverage_of_any_curve(values, alpha, c, sd, confidence):
    found = refused(coverage, values[0], Truth(alpha, c, sd), confidence, draws=10, seed=0)
    if found is not None:
        assert found.without.between(0, 1).all()
        assert (found.coverage.notna() | (found.without == 1)).all()
        assert not np.isinf(found.select_dtypes("number").to_numpy()).any(), found


@st.composite
def counts_tables(draw) -> pd.DataFrame:
    """counts.csv of some curves, of any numbers."""
    parts = []
    for curve in draw(st.lists(st.sampled_from(list(CURVES)), min_size=1, max_size=3, unique=True)):
        for criterion in (TOP1, HALF):
            neurons, counts = draw(points())
            same = len(neurons)
            others = st.lists(st.just(math.nan) | NUMBERS, min_size=same, max_size=same)
            names = ("calibrated_05", "calibrated_01", "beyond_decoys", "null_rotate", "equal_n_count")
            columns = {key: draw(others) for key in names}
            low = draw(st.floats(0, 1))
            columns |= {"count_low": np.multiply(counts, low), "count_high": np.multiply(counts, 1.5)}
            if draw(st.booleans()):
                columns["training_flops"] = [math.nan, *([1.0] * (same - 1))]
            parts.append(counts_of(counts, curve, criterion, neurons, **columns))
    return pd.concat(parts, ignore_index=True)


STUDY = a_study(fits={"coverage_draws": 50, "forecast": {"a": 1, "b": 10**12}})


@fuzz(slow=True)
@given(counts_tables(), CONFIDENCE)
def test_every_table_of_fits(counts, confidence):
    """Except that of coverage, which simulates hundreds of studies of a curve: see above."""
    fits = fit_counts(counts, confidence)
    assert not np.isinf(fits[["alpha", "low", "high", "c", "r2"]].to_numpy(float)).any()
    assert (fits.alpha.notna() | (fits.note != "") | (fits.points < 3)).all()
    assert (fits.low.notna() | (fits.note != "") | fits.alpha.isna()).all()
    estimators = estimators_table(counts, confidence)
    assert (estimators[["alpha", "low", "high", "c"]].notna().all(axis=1) | (estimators.note != "")).all()
    pooled = pooled_table(counts, CURVES, confidence)
    assert np.isfinite(pooled[["alpha", "low", "high", "p_same"]].to_numpy(float)).all()
    rivals = rivals_table(counts, STUDY.judged, confidence)
    assert (rivals.aicc.notna() | (rivals.note != "")).all()
    for table in (
        influence_table(counts, STUDY.judged, confidence),
        uncertainty_table(counts, NO_SEEDS, STUDY),
        forecast_table(counts, STUDY),
    ):
        assert not np.isinf(table.select_dtypes("number").to_numpy(float)).any(), table


@fuzz()
@given(points(), st.lists(st.just(math.nan) | st.floats(0, 1e6), min_size=16, max_size=16), CONFIDENCE)
def test_the_theory_against_any_matches(values, more, confidence):
    neurons, matches = values
    same = len(neurons)
    about = {"curve": "a", "criterion": TOP1, "kind": "real", "neurons": np.array(neurons, float)}
    about |= {"matches": np.array(matches, float), "isolation": more[:same], "rank_slope": more[8 : 8 + same]}
    found = refused(theory_table, pd.DataFrame(about), confidence)
    if found is not None and len(found):
        assert not np.isinf(found[["value", "low", "high", "predicted"]].to_numpy(float)).any(), found


@fuzz()
@given(points(numbers=NUMBERS), CONFIDENCE)
def test_the_power_law_itself(values, confidence):
    if (found := refused(fit_power_law, *values, confidence)) is not None:
        assert np.isfinite([found["alpha"], found["c"]]).all(), found
