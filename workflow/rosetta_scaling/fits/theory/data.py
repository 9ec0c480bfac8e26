"""The theory put to the test: does the isolation of matched neurons grow as the exponent of their number demands?

By the theory (theory.py) a network with N neurons represents N^alpha features with a mean isolation of N^(1 - alpha),
and within one pair of networks ln(1 + isolation) falls with ln rank by beta = 1 / alpha. Both can be read from the
correlations of matches, which the fit of alpha to counts does not use.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.config.matching import Criterion
from rosetta_scaling.fits.theory.model import beta_of_alpha, isolation_of_correlation, rank_slope
from rosetta_scaling.numerics.intervals import of_mean
from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.points.counts import by_draw, summary_of
from rosetta_scaling.points.point import Matches, Point
from rosetta_scaling.points.rosetta import rosetta_neurons, satisfying
from rosetta_scaling.power_laws.estimators import fit_power_law

MOST = 0.999  # correlations above it are read as this one: isolation has a pole at 1


def correlations(tables: Matches, criterion: Criterion) -> pd.DataFrame:
    """Rosetta neurons of every draw: columns draw, neuron_a, r (mean over the partners in the other models)."""
    partners, _ = tables
    found = rosetta_neurons(partners, {}, criterion, ["draw"])
    strongest = [
        satisfying(table, criterion).groupby(["draw", "neuron_a"], as_index=False).r.max()
        for table in partners.values()
    ]
    r = pd.concat(strongest).groupby(["draw", "neuron_a"], as_index=False).r.mean()
    return found.merge(r, on=["draw", "neuron_a"])


def point_isolation(point: Point) -> pd.DataFrame:
    """Isolation of matched neurons, from their correlations, and of the matches of every null.

    Columns: criterion (those that claims are judged on), kind ("real" or a null), matches, isolation (mean) and
    rank_slope (beta within the pair), means over the draws that can tell, with isolation_low and isolation_high.
    """
    study = point.layout.study
    real = {model: table.assign(draw=0) for model, table in point.real[0].items()}, {}
    kinds = {"real": (real, 1, 1.0)}
    kinds |= {null: (tables, study.nulls.draws(null), point.scale) for null, tables in point.nulls.items()}
    rows = []
    for criterion in study.matching.criteria:
        if criterion.name in study.judged:
            for kind, (tables, draws, scale) in kinds.items():
                found = correlations(tables, criterion)
                found["isolation"] = isolation_of_correlation(found.r.clip(upper=MOST))
                groups = found.groupby("draw").isolation
                rows.append(
                    {
                        "criterion": criterion.name,
                        "kind": kind,
                        "matches": summary_of("mean", by_draw(tables, criterion, False, range(draws)))["mean"] * scale,
                        "isolation": groups.mean().mean(),
                        "isolation_low": groups.mean().min(),
                        "isolation_high": groups.mean().max(),
                        "rank_slope": pd.Series([rank_slope(s) for _, s in groups], dtype=float).mean(),
                    }
                )
    return pd.DataFrame(rows)


def theory_table(isolation: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """What the theory says of every curve, criterion and kind of match (real, nulls), beside what was measured.

    `isolation` is that of all points with their neurons. Columns: curve, criterion, kind, quantity, value, low, high,
    predicted, points. Quantities:
    alpha: exponent of the matches; isolation_slope: exponent of their mean isolation, predicted 1 - alpha;
    gap: exponent of mean isolation x matches / neurons, which is isolation_slope + alpha - 1 with an interval of its
    own (both come from the same points), predicted 0; beta_sizes: 1 / alpha; beta_ranks: beta within the pairs of
    networks, mean over the points, predicted 1 / alpha.
    """
    rows = []
    for (curve, criterion, kind), part in isolation.groupby(["curve", "criterion", "kind"], sort=False):
        part = part[(part.matches > 0) & (part.isolation > 0)]
        if len(part) < MINIMUM_RUNGS or part.neurons.nunique() < 2:
            continue
        alpha, slope, gap = (
            fit_power_law(part.neurons, y, confidence)
            for y in (part.matches, part.isolation, part.isolation * part.matches / part.neurons)
        )
        slopes = part.rank_slope.dropna()
        low, high = of_mean(slopes, confidence) if len(slopes) > 1 else (np.nan, np.nan)
        found = {
            "alpha": (alpha["alpha"], alpha["low"], alpha["high"], np.nan),
            "isolation_slope": (slope["alpha"], slope["low"], slope["high"], 1 - alpha["alpha"]),
            "gap": (gap["alpha"], gap["low"], gap["high"], 0.0),
            "beta_sizes": (*map(beta_of_alpha, (alpha["alpha"], alpha["high"], alpha["low"])), np.nan),
            "beta_ranks": (slopes.mean(), low, high, beta_of_alpha(alpha["alpha"])),
        }
        rows += [
            {"curve": curve, "criterion": criterion, "kind": kind, "quantity": quantity}
            | dict(zip(("value", "low", "high", "predicted"), values, strict=True))
            | {"points": len(slopes) if quantity == "beta_ranks" else len(part)}
            for quantity, values in found.items()
        ]
    columns = ["curve", "criterion", "kind", "quantity", "value", "low", "high", "predicted", "points"]
    return pd.DataFrame(rows, columns=columns)
