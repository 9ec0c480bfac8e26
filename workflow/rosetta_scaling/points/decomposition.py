"""What a count consists of: chance, a shared subspace, shared neurons."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from rosetta_scaling.config.study import Criterion
from rosetta_scaling.points.point import Point
from rosetta_scaling.points.rosetta import satisfying
from rosetta_scaling.schemas.nulls import NULLS, chance_nulls


def point_decomposition(point: Point) -> pd.DataFrame:
    """What the count of the primary criterion consists of, in one row, as numbers and shares.

    chance: Rosetta neurons no stronger than the strongest 5% of those found where no two units correspond. neurons: of
    the others, the most by which they outnumber those of every other null (rotated, untrained) above any one
    correlation; least and most over the draws. subspace: the rest, which nulls match at the same correlation. The
    strength of a Rosetta neuron is its weakest correlation with a partner.
    """
    criterion = point.primary
    real = np.sort(strengths(point.real.anchored, criterion).to_numpy())
    by_chance = pd.concat([strengths(point.nulls[null].anchored, criterion, ["draw"]) for null in chance_nulls()])
    above = real[real > (by_chance.quantile(0.95) if len(by_chance) else -np.inf)]
    worst = np.zeros((3, len(above)))  # mean, fewest and most over the draws, of the null that has most
    for null in sorted(set(NULLS) - set(chance_nulls())):
        strength = strengths(point.nulls[null].anchored, criterion, ["draw"])
        draws = [strength[strength.index == draw].to_numpy() for draw in range(point.study.nulls.draws(null))]
        counts = np.array([point.scale * (draw[:, None] >= above).sum(0) for draw in draws])
        worst = np.maximum(worst, [counts.mean(0), counts.min(0), counts.max(0)])
    neurons, high, low = ((np.arange(len(above), 0, -1) - null).max(initial=0) for null in worst)
    parts = {"chance": len(real) - len(above), "subspace": len(above) - neurons, "neurons": neurons}
    shares = {f"{part}_share": number / len(real) if len(real) else np.nan for part, number in parts.items()}
    row = {"criterion": criterion.name, "count": len(real)} | parts | {"neurons_low": low, "neurons_high": high}
    return pd.DataFrame([row | shares])


def strengths(partners: Mapping[str, pd.DataFrame], criterion: Criterion, by: Sequence[str] = ()) -> pd.Series:
    """The weakest correlation of every Rosetta neuron with its partners; indexed by draw where `by` says so."""
    keys = [*by, "neuron_a"]
    found = [satisfying(table, criterion).groupby(keys).r.max().rename(other) for other, table in partners.items()]
    weakest = pd.concat(found, axis=1, join="inner").min(axis=1)
    return weakest.droplevel("neuron_a") if by else weakest
