"""The estimates that decide claims: one for all points of all curves, from rows of the tables of a study.

All are None where there are too few points for an interval.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.power_laws.crossed import Estimated, crossed_regression
from rosetta_scaling.power_laws.growth import Growth, fit_growth
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.store.errors import StudyError

CONFIDENCE = 0.95  # of the intervals of claims and of those in the tables that they are read from
Z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
HALF = 0.5  # added to counts before their logarithm, so that nothing counted has one


def networks_of(rows: pd.DataFrame) -> list[list[str]]:
    """The networks of every point."""
    return [models.split() for models in rows.models]


def growth(rows: pd.DataFrame, column: str, se: pd.Series | None = None) -> Growth | None:
    """The exponent of a column of counts.csv against neurons; `se` is its standard error, the root of it by default."""
    se = np.sqrt(rows[column].clip(lower=1)) if se is None else se
    table = pd.DataFrame({"curve": rows.curve, "x": rows.neurons, "y": rows[column], "se": se})
    known = np.isfinite(table[["x", "y", "se"]]).all(axis=1)
    try:
        return fit_growth(table[known], networks_of(rows[known]), CONFIDENCE)
    except StudyError:
        return None


def exponent(found: Growth | None) -> Estimated | None:
    return found and found.alpha


def count_error(rows: pd.DataFrame) -> pd.Series:
    """Standard error of a count, from its interval over resampled documents."""
    return (rows.count_high - rows.count_low) / (2 * Z)


def strongest_null(rows: pd.DataFrame) -> str:
    """The null with the largest mean at the largest size; "" where none is known."""
    means = rows.loc[[rows.neurons.idxmax()], [null.column for null in NULLS.values() if null.column in rows]].iloc[0]
    return str(means.idxmax()).removeprefix("null_") if means.notna().any() else ""


def log_ratio(rows: pd.DataFrame, above: pd.Series, below: pd.Series, errors: pd.Series) -> Estimated | None:
    """Mean over points of ln (above / below); `errors` (points,) are standard errors of `above`."""
    ratio = np.log(above + HALF) - np.log(below + HALF)
    return mean_over(ratio, errors / (above + HALF), networks_of(rows))


def mean_over(
    values: pd.Series,
    errors: pd.Series | np.ndarray,
    members: Sequence[Collection[str]],
    design: np.ndarray | None = None,
) -> Estimated | None:
    """The mean of values that share networks, or the last coefficient of their regression on `design` (values, p)."""
    y, se = np.asarray(values, float), np.asarray(errors, float)
    design = np.ones((len(y), 1)) if design is None else design
    known = np.isfinite(y) & np.isfinite(se) & np.isfinite(design).all(axis=1)
    if known.sum() < MINIMUM_RUNGS:
        return None
    kept = [one for one, is_known in zip(members, known, strict=True) if is_known]
    try:
        return crossed_regression(
            design[known], y[known], se[known] ** 2, kept, which=design.shape[1] - 1, confidence=CONFIDENCE
        )
    except StudyError:
        return None


def one_per_network(rows: pd.DataFrame, values: str | pd.Series, low: str, high: str) -> pd.DataFrame:
    """Rows of points as rows of networks: model, neurons, value, error.

    A network that is the anchor on several curves is one network: its values are averaged, and so are their errors,
    since its neurons are the same each time.
    """
    value = rows[values] if isinstance(values, str) else values
    table = pd.DataFrame({"model": rows.model, "neurons": rows.neurons, "value": value})
    table["error"] = (rows[high] - rows[low]) / (2 * Z)
    return table.dropna().groupby("model", sort=False, as_index=False).mean()


def slope_over(table: pd.DataFrame) -> Estimated | None:
    """Slope per decade of neurons of the rows of one_per_network."""
    if table.neurons.nunique() < 2:
        return None
    design = np.column_stack([np.ones(len(table)), np.log10(table.neurons)])
    return mean_over(table.value, table.error, [[one] for one in table.model], design)


def certain_mean(values: pd.Series, errors: pd.Series, networks: int) -> Estimated:
    """The mean of values of these very points, whose errors may all be one: it says nothing of other networks."""
    value, error = float(values.mean()), max(float(errors.mean()), 1e-12)
    return Estimated(
        value=value,
        low=value - Z * error,
        high=value + Z * error,
        freedom=np.inf,
        t_at=lambda bound: (value - bound) / error,
        points=len(values),
        networks=networks,
    )


def exponentiated(found: Estimated | None) -> Estimated | None:
    """The estimate of a logarithm as that of a ratio."""
    if found is None:
        return None
    low, value, high = np.exp([found.low, found.value, found.high])
    return replace(found, low=low, value=value, high=high, t_at=lambda bound: found.t_at(float(np.log(bound))))
