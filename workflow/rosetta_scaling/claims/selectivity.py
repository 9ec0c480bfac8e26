"""Claims about what Rosetta neurons are: more selective, ever more so with size, specialised, at the same depth.

By rules fixed beforehand, as in claims.py. A difference counts only beside others that are alike in layer, mean,
variance and share of units; its growth only beyond what placebo sets show.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.claims.counts import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    PAPER,
    SUPPORTED,
    claim,
    combine,
    inside,
    intervals,
)
from rosetta_scaling.schemas.metrics import LEAST, METRICS

SPECIALISES_IN = ("code", "math")  # what Rosetta neurons of larger networks fire on more (the paper's section 5.2)


def judge_selectivity(tables: dict[str, pd.DataFrame], sets: list[str]) -> list[dict]:
    """All claims, each as in claims.py; those about a metric also have `metric` and `column`, their place in a table.

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
        claims += [one | {"metric": metric} for one in judged]
    slopes = every[(every.table == "specialisation") & (every["set"] == sets[0])]
    claims += [
        _specialises(slopes[slopes.of == domain], domain) for domain in SPECIALISES_IN if domain in set(slopes.of)
    ]
    return [*claims, _same_depth(diagonal)]


def _more_selective(rows: pd.DataFrame, metric: str) -> dict:
    told = rows.effect.notna()
    spread_low, spread_high = rows.placebo_low - rows.placebo, rows.placebo_high - rows.placebo  # without their layers
    balanced = rows.balanced.astype(bool) & (not METRICS[metric].determined)
    above = balanced & (rows.adjusted_low > spread_high.clip(lower=0))
    below = balanced & (rows.adjusted_high < spread_low.clip(upper=0))
    below |= rows.high < rows.placebo_low.clip(upper=0) if METRICS[metric].determined else False
    votes = np.where(above, SUPPORTED, np.where(below, NOT_SUPPORTED, INCONCLUSIVE)).tolist()
    raw = (rows.low > rows.placebo_high.clip(lower=0)).sum()
    return claim(
        f"Rosetta neurons are more selective than others that are alike otherwise ({metric})",
        f"{PAPER}, section 5.1",
        combine(votes),
        f"rank-biserial effect, adjusted: {rows.adjusted.min():.2f} to {rows.adjusted.max():.2f} over {told.sum()} "
        f"points; as measured: {rows.effect.min():.2f} to {rows.effect.max():.2f}",
        f"Beside others with the same layers, means, variances and shares of units, the effect lies above zero and "
        f"above placebo sets at {above.sum()} of {len(rows)} points, and below both at {below.sum()}; as measured it "
        f"lies above at {raw}. The others could not be made alike at {(told & ~rows.balanced.astype(bool)).sum()} "
        f"points; {(~told).sum()} have too few Rosetta neurons.{_determined(metric)}",
    ) | {"column": "more selective"}


def _determined(metric: str) -> str:
    if not METRICS[metric].determined:
        return ""
    return (
        " What the others are made alike in nearly determines this metric, so nothing can be left of it: as measured "
        "it can be refuted, but not supported."
    )


def _polarizes(slopes: pd.DataFrame, metric: str, name: str) -> dict:
    rows, raw = (slopes[slopes.quantity == quantity] for quantity in ("adjusted", "effect"))
    votes = [_beyond_placebo(row) for row in rows.itertuples()]
    if METRICS[metric].determined:
        votes = [vote if vote == NOT_SUPPORTED else INCONCLUSIVE for vote in map(_beyond_placebo, raw.itertuples())]
    return claim(
        f"The difference in selectivity grows with size ({metric}; {name})",
        f"{PAPER}, section 5.1 (neuron polarization)",
        combine(votes),
        f"adjusted effect per decade of neurons {intervals(rows, 'slope')}",
        f"The slope over models lies above zero and above those of placebo sets on {votes.count(SUPPORTED)} of "
        f"{len(votes)} curves, and not above zero on {votes.count(NOT_SUPPORTED)}. "
        f"As measured: {intervals(raw, 'slope')}.{_determined(metric)}",
    ) | {"column": f"polarizes ({name})"}


def _beyond_placebo(row) -> str:
    """Does a slope rise, and beyond the slopes of placebo sets? It has to rise above both to count."""
    vote = inside(row.low, row.high, 0, np.inf)
    return INCONCLUSIVE if vote == SUPPORTED and not row.low > row.placebo_high else vote


def _only_rosetta(slopes: pd.DataFrame, metric: str) -> dict:
    """That the others' slope is not significant does not say that it is none: the difference has to rise, too."""
    of = {name: slopes[slopes.quantity == name] for name in ("median_rosetta", "median_others", "difference")}
    votes = []
    for rows in zip(*(part.itertuples() for part in of.values()), strict=True):
        rosetta, others, difference = (inside(row.low, row.high, 0, np.inf) for row in rows)
        if NOT_SUPPORTED in (rosetta, difference) or others == SUPPORTED:
            votes.append(NOT_SUPPORTED)
        else:
            votes.append(SUPPORTED if rosetta == difference == SUPPORTED else INCONCLUSIVE)
    return claim(
        f"Rosetta neurons become more selective with size, the others do not ({metric})",
        f"{PAPER}, section 5.1",
        combine(votes),
        f"median per decade, Rosetta {intervals(of['median_rosetta'], 'slope')}; others "
        f"{intervals(of['median_others'], 'slope')}",
        f"The median of the Rosetta neurons rises, that of the others does not, and their difference grows on "
        f"{votes.count(SUPPORTED)} of {len(votes)} curves; on {votes.count(NOT_SUPPORTED)} this is contradicted.",
    ) | {"column": "only they become so"}


def _specialises(slopes: pd.DataFrame, domain: str) -> dict:
    rows = slopes[slopes.quantity == "mean"]
    votes = [_beyond_placebo(row) for row in rows.itertuples()]
    return claim(
        f"With size, Rosetta neurons fire more on {domain}",
        f"{PAPER}, section 5.2",
        combine(votes),
        f"normalised firing per decade of neurons {intervals(rows, 'slope')}",
        f"The slope over models lies above zero and above those of placebo sets on {votes.count(SUPPORTED)} of "
        f"{len(votes)} curves, and not above zero on {votes.count(NOT_SUPPORTED)}.",
    )


def _same_depth(diagonal: pd.DataFrame) -> dict:
    rows = diagonal[(diagonal.matches >= LEAST) & (diagonal.expected < 1)]  # of networks with more than one layer
    null = rows[["expected", "rotated_high"]].max(axis=1)
    votes = [
        SUPPORTED if low > most else NOT_SUPPORTED if share <= most else INCONCLUSIVE
        for low, share, most in zip(rows.low, rows.share, null, strict=True)
    ]
    return claim(
        "Matches join layers of the same relative depth, more than rotated neurons do",
        "this study's reading of section E.3",
        combine(votes),
        f"share on the diagonal {rows.share.min():.2f} to {rows.share.max():.2f}; rotated {rows.rotated.min():.2f} to "
        f"{rows.rotated.max():.2f}",
        f"The interval of the share lies above chance and above every draw of the rotated null at "
        f"{votes.count(SUPPORTED)} of {len(votes)} pairs of networks; the share is no larger at "
        f"{votes.count(NOT_SUPPORTED)}.",
    )
