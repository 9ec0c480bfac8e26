"""The theory put to the test: does the isolation of matched neurons grow as the exponent of their number demands?

By the theory (model.py) a network with N neurons represents N^alpha features with a mean isolation of N^(1 - alpha),
and within one pair of networks ln(1 + isolation) falls with ln rank by beta = 1 / alpha. Both can be read from the
correlations of matches, which the fit of alpha to counts does not use.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from rosetta_scaling.fits.theory.model import beta_of_alpha, isolation_of_correlation, rank_slope
from rosetta_scaling.numerics.intervals import of_mean
from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.points.counts import by_draw, draws_summary
from rosetta_scaling.points.point import CountRule, PartnerTables, Point
from rosetta_scaling.points.rosetta import satisfying
from rosetta_scaling.power_laws.estimators import fit_power_law
from rosetta_scaling.schemas.tables.fits import THEORY

MOST = 0.999  # correlations above it are read as this one: isolation has a pole at 1


class Drawn(NamedTuple):
    """Matches of one kind: their tables, how often they were drawn, and what their counts are multiplied by."""

    tables: PartnerTables
    draws: int
    scale: float


def correlations(tables: PartnerTables, rule: CountRule) -> pd.DataFrame:
    """Rosetta neurons of every draw: columns draw, neuron_a, r (mean over the partners in the other models)."""
    keys = ["draw", "neuron_a"]
    strongest = [
        satisfying(table, rule.criterion).groupby(keys, as_index=False).r.max() for table in tables.anchored.values()
    ]
    r = pd.concat(strongest).groupby(keys, as_index=False).r.mean()
    return tables.rosetta_neurons(rule, ["draw"]).merge(r, on=keys)


def point_isolation(point: Point) -> pd.DataFrame:
    """Isolation of matched neurons, from their correlations, and of the matches of every null.

    Columns: criterion (those that claims are judged on), kind ("real" or a null), matches, isolation (mean) and
    rank_slope (beta within the pair), means over the draws that have them, with isolation_low and isolation_high.
    """
    real = {model: table.assign(draw=0) for model, table in point.real.anchored.items()}
    kinds = {"real": Drawn(PartnerTables(real, {}), 1, 1.0)}
    for null, tables in point.nulls.items():
        kinds[null] = Drawn(tables, point.study.nulls.draws(null), point.scale)
    rows = [
        {"criterion": rule.name, "kind": kind} | isolation_of(drawn, rule)
        for rule in point.rules
        if rule.name in point.study.judged
        for kind, drawn in kinds.items()
    ]
    return pd.DataFrame(rows)


def isolation_of(drawn: Drawn, rule: CountRule) -> dict[str, float]:
    """Number, isolation and rank slope of the matches of one kind."""
    found = correlations(drawn.tables, rule)
    found["isolation"] = isolation_of_correlation(found.r.clip(upper=MOST))
    groups = found.groupby("draw").isolation
    means = groups.mean()
    return {
        "matches": draws_summary(by_draw(drawn.tables, rule, range(drawn.draws))).value * drawn.scale,
        "isolation": means.mean(),
        "isolation_low": means.min(),
        "isolation_high": means.max(),
        "rank_slope": pd.Series([rank_slope(s) for _, s in groups], dtype=float).mean(),
    }


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
        beta = {end: beta_of_alpha(alpha[of]) for end, of in (("value", "alpha"), ("low", "high"), ("high", "low"))}
        ranks = {"value": slopes.mean(), "low": low, "high": high}
        name, n = {"curve": curve, "criterion": criterion, "kind": kind}, {"points": len(part)}
        rows += [
            name | {"quantity": "alpha"} | exponent(alpha) | n,
            name | {"quantity": "isolation_slope"} | exponent(slope) | {"predicted": 1 - alpha["alpha"]} | n,
            name | {"quantity": "gap"} | exponent(gap) | {"predicted": 0.0} | n,
            name | {"quantity": "beta_sizes"} | beta | n,
            name | {"quantity": "beta_ranks"} | ranks | {"predicted": beta["value"], "points": len(slopes)},
        ]
    return pd.DataFrame(rows, columns=THEORY.names)


def exponent(fit: dict[str, float]) -> dict[str, float]:
    """Value, low and high of a fitted exponent."""
    return {"value": fit["alpha"], "low": fit["low"], "high": fit["high"]}
