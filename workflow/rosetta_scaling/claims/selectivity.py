"""Claims about what Rosetta neurons are: more selective, ever more so with size, specialised, at the same depth.

By rules fixed beforehand (see verdicts.py). A difference counts only beside others that are alike in layer, mean,
variance and share of units; its growth only beyond what placebo sets show.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from rosetta_scaling.claims.counts import PAPER
from rosetta_scaling.claims.verdicts import (
    METRIC,
    NOT_SUPPORTED,
    SUPPORTED,
    Claim,
    combine,
    inside,
    of_curves,
    vote,
    withhold,
)
from rosetta_scaling.schemas.metrics import LEAST, METRICS

SPECIALISES_IN = ("code", "math")  # what Rosetta neurons of larger networks fire on more (the paper's section 5.2)


def judge_selectivity(tables: dict[str, pd.DataFrame], sets: list[str]) -> list[Claim]:
    """All claims; those about a metric have `metric` and `column`, their place in a table of verdicts.

    `tables` has polarization, trends and diagonal; `sets` are the sets of Rosetta neurons, the primary one first.
    """
    polarization, every, diagonal = tables["polarization"], tables["trends"], tables["diagonal"]
    anchors, claims = polarization[polarization.is_anchor], []
    for metric in anchors.metric.unique():
        rows = anchors[(anchors.metric == metric) & (anchors["set"] == sets[0])]
        slopes = every[(every.table == "polarization") & (every.of == metric)]
        judged = [_more_selective(rows, metric)]
        judged += [_polarizes(slopes[slopes["set"] == name], metric, name) for name in sets]
        judged.append(_only_rosetta(slopes[slopes["set"] == sets[0]], metric))
        claims += [replace(one, topic=METRIC, metric=metric) for one in judged]
    slopes = every[(every.table == "specialisation") & (every["set"] == sets[0])]
    claims += [
        _specialises(slopes[slopes.of == domain], domain) for domain in SPECIALISES_IN if domain in set(slopes.of)
    ]
    return [*claims, _same_depth(diagonal)]


def _more_selective(rows: pd.DataFrame, metric: str) -> Claim:
    told = rows.effect.notna()
    spread_low, spread_high = rows.placebo_low - rows.placebo, rows.placebo_high - rows.placebo  # without their layers
    balanced = rows.balanced.astype(bool) & (not METRICS[metric].determined)
    above = balanced & (rows.adjusted_low > spread_high.clip(lower=0))
    below = balanced & (rows.adjusted_high < spread_low.clip(upper=0))
    below |= rows.high < rows.placebo_low.clip(upper=0) if METRICS[metric].determined else False
    votes = [vote(*pair) for pair in zip(above, below, strict=True)]
    raw = (rows.low > rows.placebo_high.clip(lower=0)).sum()
    return Claim(
        words=f"Rosetta neurons are more selective than others that are alike otherwise ({metric})",
        source=f"{PAPER}, section 5.1",
        verdict=combine(votes),
        statistic=f"rank-biserial effect, adjusted: {rows.adjusted.min():.2f} to {rows.adjusted.max():.2f} over "
        f"{told.sum()} points; as measured: {rows.effect.min():.2f} to {rows.effect.max():.2f}",
        sentence="Beside others with the same layers, means, variances and shares of units, the effect lies above "
        f"zero and above placebo sets at {above.sum()} of {len(rows)} points, and below both at {below.sum()}; as "
        f"measured it lies above at {raw}. The others could not be made alike at "
        f"{(told & ~rows.balanced.astype(bool)).sum()} points; {(~told).sum()} have too few Rosetta "
        f"neurons.{_determined(metric)}",
        column="more selective",
    )


def _determined(metric: str) -> str:
    if not METRICS[metric].determined:
        return ""
    return (
        " What the others are made alike in nearly determines this metric, so nothing can be left of it: as measured "
        "it can be refuted, but not supported."
    )


def _polarizes(slopes: pd.DataFrame, metric: str, name: str) -> Claim:
    rows, raw = (slopes[slopes.quantity == quantity] for quantity in ("adjusted", "effect"))
    votes = [_beyond_placebo(row) for row in rows.itertuples()]
    if METRICS[metric].determined:
        votes = [withhold(_beyond_placebo(row), True) for row in raw.itertuples()]
    return Claim(
        words=f"The difference in selectivity grows with size ({metric}; {name})",
        source=f"{PAPER}, section 5.1 (neuron polarization)",
        verdict=combine(votes),
        statistic=f"adjusted effect per decade of neurons {of_curves(rows, 'slope')}",
        sentence=f"The slope over models lies above zero and above those of placebo sets on {votes.count(SUPPORTED)} "
        f"of {len(votes)} curves, and not above zero on {votes.count(NOT_SUPPORTED)}. "
        f"As measured: {of_curves(raw, 'slope')}.{_determined(metric)}",
        column=f"polarizes ({name})",
    )


def _beyond_placebo(row: Any) -> str:
    """Does a slope rise, and beyond the slopes of placebo sets? It has to rise above both to count."""
    return withhold(inside(row.low, row.high, 0, np.inf), not row.low > row.placebo_high)


def _only_rosetta(slopes: pd.DataFrame, metric: str) -> Claim:
    """That the others' slope is not significant does not say that it is none: the difference has to rise, too."""
    of = {name: slopes[slopes.quantity == name] for name in ("median_rosetta", "median_others", "difference")}
    votes = []
    for rows in zip(*(part.itertuples() for part in of.values()), strict=True):
        rosetta, others, difference = (inside(row.low, row.high, 0, np.inf) for row in rows)
        contradicts = NOT_SUPPORTED in (rosetta, difference) or others == SUPPORTED
        votes.append(vote(rosetta == difference == SUPPORTED and not contradicts, contradicts))
    return Claim(
        words=f"Rosetta neurons become more selective with size, the others do not ({metric})",
        source=f"{PAPER}, section 5.1",
        verdict=combine(votes),
        statistic=f"median per decade, Rosetta {of_curves(of['median_rosetta'], 'slope')}; others "
        f"{of_curves(of['median_others'], 'slope')}",
        sentence=f"The median of the Rosetta neurons rises, that of the others does not, and their difference grows on "
        f"{votes.count(SUPPORTED)} of {len(votes)} curves; on {votes.count(NOT_SUPPORTED)} this is contradicted.",
        column="only they become so",
    )


def _specialises(slopes: pd.DataFrame, domain: str) -> Claim:
    rows = slopes[slopes.quantity == "mean"]
    votes = [_beyond_placebo(row) for row in rows.itertuples()]
    return Claim(
        words=f"With size, Rosetta neurons fire more on {domain}",
        source=f"{PAPER}, section 5.2",
        verdict=combine(votes),
        statistic=f"normalised firing per decade of neurons {of_curves(rows, 'slope')}",
        sentence=f"The slope over models lies above zero and above those of placebo sets on {votes.count(SUPPORTED)} "
        f"of {len(votes)} curves, and not above zero on {votes.count(NOT_SUPPORTED)}.",
    )


def _same_depth(diagonal: pd.DataFrame) -> Claim:
    rows = diagonal[(diagonal.matches >= LEAST) & (diagonal.expected < 1)]  # of networks with more than one layer
    null = rows[["expected", "rotated_high"]].max(axis=1)
    votes = [vote(low > most, share <= most) for low, share, most in zip(rows.low, rows.share, null, strict=True)]
    return Claim(
        words="Matches join layers of the same relative depth, more than rotated neurons do",
        source="this study's reading of section E.3",
        verdict=combine(votes),
        statistic=f"share on the diagonal {rows.share.min():.2f} to {rows.share.max():.2f}; rotated "
        f"{rows.rotated.min():.2f} to {rows.rotated.max():.2f}",
        sentence=f"The interval of the share lies above chance and above every draw of the rotated null at "
        f"{votes.count(SUPPORTED)} of {len(votes)} pairs of networks; the share is no larger at "
        f"{votes.count(NOT_SUPPORTED)}.",
    )
