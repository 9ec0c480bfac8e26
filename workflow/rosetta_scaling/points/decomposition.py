"""What a count consists of: chance, a shared subspace, shared neurons."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from rosetta_scaling.points.point import Point
from rosetta_scaling.points.rosetta import strengths, strengths_by_draw
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS, chance_nulls

Draws = Mapping[str, Sequence[np.ndarray]]  # null -> strengths of its Rosetta neurons in every draw


def point_decomposition(point: Point) -> pd.DataFrame:
    """What the count of the primary criterion consists of, in one row, as numbers and shares.

    chance: Rosetta neurons no stronger than the strongest 5% of those found where no two units correspond. neurons: of
    the others, the most by which they outnumber those of every other null (rotated, untrained) above any one
    correlation, less what the same calculation gives on average for a draw of the central null in place of the real
    matches, since the most of several differences is above zero where nothing is shared; 0 at least. Its interval is
    about resampled documents and about draws. subspace: the rest, which nulls match at the same correlation. The
    strength of a Rosetta neuron is its weakest correlation with a partner.
    """
    criterion, nulls = point.primary, point.study.nulls
    real = strengths(point.real.anchored, criterion).to_numpy()
    by_chance = pd.concat([strengths(point.nulls[null].anchored, criterion, ["draw"]) for null in chance_nulls()])
    least = by_chance.quantile(0.95) if len(by_chance) else -np.inf
    others = {
        null: strengths_by_draw(point.nulls[null].anchored, criterion, nulls.draws(null))
        for null in set(NULLS) - set(chance_nulls())
    }
    held_out = held_out_gaps(others, least, point.scale)
    gap = largest_gap(real, others, least, scale=(1, point.scale)) - held_out.mean()
    of_draws = held_out.std(ddof=1) * np.sqrt(1 + 1 / len(held_out))  # of one draw, and of the mean that is subtracted
    half = stats.norm.ppf((1 + point.confidence) / 2) * np.hypot(documents_error(point, others, least), of_draws)
    above, (low, neurons, high) = (real > least).sum(), np.maximum(0, [gap - half, gap, gap + half])
    parts = {"chance": len(real) - above, "subspace": above - neurons, "neurons": neurons}
    shares = {f"{part}_share": number / len(real) if len(real) else np.nan for part, number in parts.items()}
    row = {"criterion": criterion.name, "count": len(real)} | parts | {"neurons_low": low, "neurons_high": high}
    return pd.DataFrame([row | shares])


def largest_gap(found: np.ndarray, nulls: Draws, least: float, *, scale: tuple[float, float]) -> float:
    """The most by which `found` outnumber the mean of the draws of every null above any one strength over `least`.

    Both hold strengths; scale: what the numbers of `found` and of the nulls are multiplied by.
    """
    above = np.sort(found[found > least])
    worst = np.zeros(len(above))
    for draws in nulls.values():
        if draws:
            counts = [len(draw) - np.searchsorted(np.sort(draw), above) for draw in draws]
            worst = np.maximum(worst, scale[1] * np.mean(counts, axis=0))
    return float((scale[0] * np.arange(len(above), 0, -1) - worst).max(initial=0))


def held_out_gaps(nulls: Draws, least: float, scale: float) -> np.ndarray:
    """The largest gap (draws,) of every draw of the central null, when it stands for the real matches."""
    central = nulls[CENTRAL]
    rest = [{**nulls, CENTRAL: [*central[:i], *central[i + 1 :]]} for i in range(len(central))]
    gaps = [largest_gap(draw, others, least, scale=(scale, scale)) for draw, others in zip(central, rest, strict=True)]
    return np.array(gaps)


def documents_error(point: Point, nulls: Draws, least: float) -> float:
    """Standard deviation of the largest gap over resampled documents; NaN where the criterion is not resampled."""
    tables = point.replicates["bootstrap"].anchored
    if point.primary.min_excess:
        return np.nan
    resampled = strengths_by_draw(tables, point.primary, point.study.stability.bootstrap)
    return float(np.std([largest_gap(draw, nulls, least, scale=(1, point.scale)) for draw in resampled], ddof=1))
