"""The fits of a study beside everything that could refute them: other estimators, rival forms, influence, coverage."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from rosetta_scaling.config.nulls import Nulls
from rosetta_scaling.config.study import Study
from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.power_laws.coverage import Truth, coverage
from rosetta_scaling.power_laws.estimators import ESTIMATORS, fit_power_law, predict_power_law
from rosetta_scaling.power_laws.random_effects import fit_measured, pool
from rosetta_scaling.power_laws.rivals import FORMS, PERSISTENCE, compare, influence, predict
from rosetta_scaling.schemas.nulls import NULLS, compared_nulls
from rosetta_scaling.schemas.tables.fits import COVERAGE, FORECAST, INFLUENCE, POOLED, RIVALS, UNCERTAINTY
from rosetta_scaling.schemas.tables.fits import ESTIMATORS as ESTIMATORS_TABLE
from rosetta_scaling.schemas.tables.schema import TableSchema

USE_ZEROS = ("quasi_poisson", "negative_binomial")
COMPARED = ("count", "excess", "calibrated_05", "corrected")  # what estimators, rivals and forecasts are about
BESIDE = (*COMPARED, *(f"null_{null}" for null in compared_nulls()))  # what claims hold them against


class Curve(NamedTuple):
    """The points of one quantity on one curve, by one criterion."""

    name: dict[str, str]  # curve, criterion, quantity
    points: pd.DataFrame  # rows of counts, with columns x (neurons) and y (the quantity)

    @property
    def quantity(self) -> str:
        return self.name["quantity"]


def curves_of(
    counts: pd.DataFrame,
    criteria: Sequence[str] | None = None,
    quantities: Sequence[str] = COMPARED,
    *,
    zeros: bool = False,
) -> list[Curve]:
    """The curves of every criterion (or of `criteria`) and quantity, at the points where that is positive.

    `zeros`: points where it is zero belong to the curve too.
    """
    curves = []
    for (curve, criterion), part in counts.groupby(["curve", "criterion"], sort=False):
        if criteria is None or criterion in criteria:
            for quantity in quantities:
                points = part[part[quantity] >= 0] if zeros else part[part[quantity] > 0]
                points = points.assign(x=points.neurons, y=points[quantity])
                curves.append(Curve({"curve": curve, "criterion": criterion, "quantity": quantity}, points))
    return curves


def fittable(curves: list[Curve]) -> list[Curve]:
    """The curves that can be fitted."""
    return [curve for curve in curves if can_be_fitted(curve.points)]


def can_be_fitted(points: pd.DataFrame) -> bool:
    if len(points) < MINIMUM_RUNGS or points.x.min() == points.x.max():
        return False
    positive = (points.y > 0).all()  # only then has ordinary least squares a say
    return not positive or np.isfinite(fit_power_law(points.x, points.y)["c"])


def concat_or_empty(tables: list[pd.DataFrame], schema: TableSchema) -> pd.DataFrame:
    """The tables as one; without any, an empty one with the columns of the schema."""
    return pd.concat(tables, ignore_index=True) if tables else schema.empty()


def documents_sd(points: pd.DataFrame, confidence: float) -> pd.Series:
    """Standard error of the logarithm of every count, from its interval over resampled documents."""
    widths = np.log(points.count_high) - np.log(points.count_low.where(points.count_low > 0))
    return widths / (2 * stats.norm.ppf((1 + confidence) / 2))


def estimators_table(counts: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One row per curve, criterion, quantity and estimator; `agrees`: inside the interval of ols, NaN without either.

    Where some points are zero, only the estimators that can use them use them.
    """
    rows = []
    for curve in fittable(curves_of(counts, zeros=True)):
        fits = estimates(curve, confidence)
        for key, fit in fits.items():
            low, high = fits["ols"]["low"], fits["ols"]["high"]
            agrees = low <= fit["alpha"] <= high if np.isfinite([low, high, fit["alpha"]]).all() else np.nan
            values = {column: fit[column] for column in ("points", "alpha", "low", "high", "c", "note")}
            rows.append(curve.name | {"estimator": key, "agrees": agrees} | values)
    return pd.DataFrame(rows, columns=ESTIMATORS_TABLE.names)


def estimates(curve: Curve, confidence: float) -> dict[str, dict]:
    """The estimate of every estimator with its number of points; none when too few points are positive."""
    positive, fits = curve.points[curve.points.y > 0], {}
    if not can_be_fitted(positive):
        return {}
    for key, estimator in ESTIMATORS.items():
        used = curve.points if key in USE_ZEROS else positive
        fits[key] = estimator(used.x, used.y, confidence) | {"points": len(used)}
    errors = documents_sd(positive, confidence)
    if curve.quantity == "count" and (errors > 0).all():
        fits["measured"] = fit_measured(positive.x, positive.y, errors, confidence) | {"points": len(positive)}
    return fits


def pooled_table(counts: pd.DataFrame, curves: Mapping[str, Sequence[str]], confidence: float) -> pd.DataFrame:
    """Mean exponent over curves of every criterion and quantity: all of them, and without the curves of every family.

    Columns: criterion, quantity, without ("none": all curves), curves, alpha, low, high, between_sd, p_same.
    """
    families = list(dict.fromkeys(family for members in curves.values() for family in members))
    fitted = fittable(curves_of(counts, None, BESIDE))
    long = [points.assign(**name)[[*name, "x", "y"]] for name, points in fitted]
    rows = []
    for (criterion, quantity), part in pd.concat(long).groupby(["criterion", "quantity"], sort=False) if long else ():
        for without in ("none", *families):
            kept = part[[without not in curves[curve] for curve in part.curve]]
            if len(set(kept.curve)) > 1:
                found = pool(kept, confidence)
                row = {"criterion": criterion, "quantity": quantity, "without": without}
                row |= {"curves": len(found["curves"]), "between_sd": found["between"], "p_same": found["p_same"]}
                rows.append(row | {key: found[key] for key in ("alpha", "low", "high")})
    return pd.DataFrame(rows, columns=POOLED.names)


def rivals_table(counts: pd.DataFrame, criteria: Sequence[str], confidence: float) -> pd.DataFrame:
    """One row per curve, criterion, quantity and form: see rivals.compare."""
    curves = fittable(curves_of(counts, criteria, BESIDE))
    found = [compare(points.x, points.y, confidence).assign(**name) for name, points in curves]
    return concat_or_empty(found, RIVALS)


def influence_table(counts: pd.DataFrame, criteria: Sequence[str], confidence: float) -> pd.DataFrame:
    """One row per curve, criterion, quantity and point: see rivals.influence."""
    found = [
        influence(p.x, p.y, confidence).assign(point=p.point.astype(str).to_numpy(), **name)
        for name, p in fittable(curves_of(counts, criteria))
    ]
    return concat_or_empty(found, INFLUENCE)


def uncertainty_table(counts: pd.DataFrame, seeds: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Where the scatter comes from: standard deviations of the logarithm of the count (0.1 is about 10%).

    Columns: curve, criterion, quantity, points; model_sd: of points around the fitted line; documents_sd: of one point,
    from resampled documents; nulls_sd: of the excess, from the draws of the largest null (half their range; one draw
    has none); seeds_sd: of a point between curves that differ in their seeds only. Means over the points of a curve
    where they are known, NaN where there are none.
    """
    rows = []
    for curve in fittable(curves_of(counts, study.judged)):
        name, points = curve
        row = {"points": len(points), "model_sd": scatter(points)}
        row |= dict.fromkeys(("documents_sd", "nulls_sd", "seeds_sd"), np.nan)
        if curve.quantity in ("count", "excess"):
            errors = documents_sd(points, study.polarization.confidence)
            row["documents_sd"] = (errors * (points["count"] / points.y)).mean()  # of the quantity, not of the count
        if curve.quantity == "excess":
            row["nulls_sd"] = (half_range(points, study.nulls) / points.y).mean()
        if curve.quantity == "count":
            alike = np.array([name["curve"] in curves.split() for curves in seeds.curves], dtype=bool)
            same = seeds[alike & (seeds.criterion == name["criterion"])]
            row["seeds_sd"] = (same.deviation / same["mean"]).mean()
        rows.append(name | row)
    return pd.DataFrame(rows, columns=UNCERTAINTY.names)


def scatter(points: pd.DataFrame) -> float:
    """Standard deviation of ln y around the line fitted to the points, with points - 2 degrees of freedom."""
    fit = stats.linregress(np.log(points.x), np.log(points.y))
    rest = np.log(points.y) - fit.intercept - fit.slope * np.log(points.x)
    return np.sqrt((rest**2).sum() / (len(points) - 2))


def half_range(points: pd.DataFrame, nulls: Nulls) -> np.ndarray:
    """Half the range of the draws of the null with the largest mean, at every point; NaN where it was drawn once."""
    means = points[[f"null_{null}" for null in NULLS]].fillna(-1).to_numpy()
    ranges = points[[f"null_{null}_high" for null in NULLS]].to_numpy()
    ranges = ranges - points[[f"null_{null}_low" for null in NULLS]].to_numpy()
    ranges = np.where([nulls.draws(null) > 1 for null in NULLS], ranges, np.nan)
    return ranges[np.arange(len(points)), means.argmax(axis=1)] / 2


def coverage_table(counts: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Coverage of the intervals on simulated curves with the sizes, exponent, and scatter of every curve's counts."""
    rows, confidence = [], study.polarization.confidence
    for name, points in fittable(curves_of(counts, study.judged, ("count",))):
        fit = ESTIMATORS["ols"](points.x, points.y, confidence)
        rest = np.log(points.y) - np.log(fit["c"]) - fit["alpha"] * np.log(points.x)
        truth = Truth(fit["alpha"], fit["c"], sd=np.sqrt((rest**2).sum() / (len(points) - 2)))
        found = coverage(points.x, truth, confidence, draws=study.fits.coverage_draws, seed=study.fits.seed)
        rows.append(found.assign(**name, points=len(points), nominal=confidence))
    return concat_or_empty(rows, COVERAGE)


def forecast_table(counts: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Counts extrapolated to named models, with the interval of one more observation and the range over rival forms.

    Columns: curve, criterion, quantity, name, neurons, forecast, low, high, rivals_low, rivals_high, beyond (decades
    from the nearest measured size, 0 between them), measured (decades that the measured sizes span), reach ("inside",
    "near": beyond them by no more than they span, "far").
    """
    rows = []
    for name, points in fittable(curves_of(counts, study.judged, ("count", "excess"))):
        span = np.log10(points.x.max() / points.x.min())
        for model, neurons in study.fits.forecast.items():
            beyond = max(0.0, np.log10(neurons / points.x.max()), np.log10(points.x.min() / neurons))
            reach = "inside" if not beyond else "near" if beyond <= span else "far"
            forecast, low, high = predict_power_law(points.x, points.y, neurons, study.polarization.confidence)
            others = [predict(form, points.x, points.y, neurons) for form in (*FORMS, PERSISTENCE)]
            row = {"name": model, "neurons": neurons, "beyond": beyond, "measured": span, "reach": reach}
            row |= {"forecast": forecast, "low": low, "high": high}
            rows.append(name | row | {"rivals_low": np.nanmin(others), "rivals_high": np.nanmax(others)})
    return pd.DataFrame(rows, columns=FORECAST.names)
