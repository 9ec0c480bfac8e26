"""Claims and verdicts: what the paper says, what this study's numbers say of it, by rules fixed beforehand.

A claim about all sizes or all curves is supported when every one of them supports it, not supported as soon as one
contradicts it, and inconclusive otherwise.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.fits import excess

SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE = "supported", "not supported", "inconclusive"
PAPER = "Dravid et al. 2026, arXiv 2606.03990"
ABSENT = 0.1  # a null below a tenth of the count is what "absent" means here


def combine(votes: list[str]) -> str:
    """Verdict over curves or sizes."""
    if NOT_SUPPORTED in votes:
        return NOT_SUPPORTED
    return SUPPORTED if votes and all(vote == SUPPORTED for vote in votes) else INCONCLUSIVE


def inside(low: float, high: float, floor: float, ceiling: float) -> str:
    """Does an interval lie inside (floor, ceiling), outside of it, or across a bound?"""
    if np.isnan(low) or np.isnan(high):
        return INCONCLUSIVE
    if floor < low and high < ceiling:
        return SUPPORTED
    return NOT_SUPPORTED if high <= floor or low >= ceiling else INCONCLUSIVE


def judge(
    counts: pd.DataFrame,
    fits: pd.DataFrame,
    polarization: pd.DataFrame,
    trends: pd.DataFrame,
    models: pd.DataFrame,
    criteria: list[str],
) -> list[dict]:
    """All claims, each a dictionary with claim, source, verdict, statistic, sentence.

    Claims about counts are judged for every one of `criteria`; `polarization` holds the anchors' rows.
    """
    fits = fits[fits.x == "neurons"]
    claims = []
    for criterion in criteria:
        counted, fitted = counts[counts.criterion == criterion], fits[fits.criterion == criterion]
        judged = [_null(counted, null) for null in ("untrained", "shift")]
        judged += [_sublinear(fitted, counted), _sublinear_excess(fitted, counted), _paper_range(fitted)]
        claims += [claim | {"claim": f"{claim['claim']} ({criterion})"} for claim in judged]
    for metric in polarization.metric.unique():
        claims.append(_more_selective(polarization[polarization.metric == metric], metric))
        claims.append(_polarizes(trends[trends.metric == metric], metric))
    if models.validation_bits_per_byte.notna().any():
        claims.append(_well_trained(models))
    return claims


def _claim(claim: str, source: str, verdict: str, statistic: str, sentence: str) -> dict:
    return {"claim": claim, "source": source, "verdict": verdict, "statistic": statistic, "sentence": sentence}


def _null(counts: pd.DataFrame, null: str) -> dict:
    found = counts[counts["count"] > 0]  # where nothing was counted, a null of nothing says nothing
    ratio = found[f"null_{null}"] / found["count"]
    votes = [SUPPORTED if r < ABSENT else NOT_SUPPORTED for r in ratio]
    votes += [INCONCLUSIVE] * (len(counts) - len(found))
    worst = ratio.max() if len(ratio) else np.nan
    what = {"untrained": "networks that were never trained", "shift": "networks that read displaced text"}[null]
    return _claim(
        f"Matches are absent between {what}",
        f"{PAPER}, section 4.2" if null == "untrained" else f"{PAPER}, C.3",
        combine(votes),
        f"null / count: {ratio.min():.2f} to {worst:.2f} over {len(ratio)} points",
        f"The {null} null reaches {worst:.0%} of the count at its worst point; absent means under {ABSENT:.0%}.",
    )


def _intervals(rows: pd.DataFrame, value: str) -> str:
    cells = [(row.curve, getattr(row, value), row.low, row.high) for row in rows.itertuples()]
    return "; ".join(
        f"{curve}: no fit" if np.isnan(middle) else f"{curve}: {middle:.2f} [{low:.2f}, {high:.2f}]"
        for curve, middle, low, high in cells
    )


def _sublinear(fits: pd.DataFrame, counts: pd.DataFrame) -> dict:
    """The paper's claim; an exponent that supports it decides nothing where a null is as large as the count."""
    rows = fits[fits.quantity == "count"]
    drowned = counts[counts["count"] <= counts[["null_untrained_high", "null_shift_high"]].max(axis=1)]
    votes = [inside(low, high, 0, 1) for low, high in zip(rows.low, rows.high, strict=True)]
    sentence = f"The interval of alpha lies between 0 and 1 on {votes.count(SUPPORTED)} of {len(votes)} curves"
    if len(drowned):
        sentence += f", but a null is as large as the count at {len(drowned)} of {len(counts)} points"
    votes = [
        INCONCLUSIVE if v == SUPPORTED and c in set(drowned.curve) else v
        for v, c in zip(votes, rows.curve, strict=True)
    ]
    return _claim(
        "The Rosetta count grows as a sublinear power of model size",
        f"{PAPER}, section 4.1",
        combine(votes),
        f"alpha {_intervals(rows, 'alpha')}",
        f"{sentence}.",
    )


def _sublinear_excess(fits: pd.DataFrame, counts: pd.DataFrame) -> dict:
    """The same of what the nulls leave; where they leave nothing there is nothing that grows."""
    rows = fits[fits.quantity == "excess"]
    nothing = counts[(counts["count"] > 0) & (excess(counts) <= 0)]
    votes = [
        NOT_SUPPORTED if curve in set(nothing.curve) else inside(low, high, 0, 1)
        for curve, low, high in zip(rows.curve, rows.low, rows.high, strict=True)
    ]
    return _claim(
        "The count beyond its larger null grows as a sublinear power of model size",
        "this study's reading of section 4.1",
        combine(votes),
        f"alpha {_intervals(rows, 'alpha')}",
        f"Nothing is left beyond the larger null at {len(nothing)} of {len(counts)} points; the interval of alpha lies "
        f"between 0 and 1 on {votes.count(SUPPORTED)} of {len(votes)} curves.",
    )


def _paper_range(fits: pd.DataFrame) -> dict:
    rows = fits[fits.quantity == "count"]
    votes = [inside(low, high, 0.5, 0.7) for low, high in zip(rows.low, rows.high, strict=True)]
    return _claim(
        "The exponent is about 0.5 to 0.7",
        f"{PAPER}, section 4.1",
        combine(votes),
        f"alpha {_intervals(rows, 'alpha')}",
        f"The interval lies inside the paper's range on {votes.count(SUPPORTED)} of {len(votes)} curves and outside "
        f"on {votes.count(NOT_SUPPORTED)}.",
    )


def _more_selective(rows: pd.DataFrame, metric: str) -> dict:
    above = (rows.low > rows.null_high.clip(lower=0)).sum()
    below = (rows.high < rows.null_low.clip(upper=0)).sum()
    votes = [SUPPORTED] * above + [NOT_SUPPORTED] * below + [INCONCLUSIVE] * (len(rows) - above - below)
    return _claim(
        f"Rosetta neurons are more selective than the others ({metric})",
        f"{PAPER}, section 5.1",
        combine(votes),
        f"rank-biserial effect {rows.effect.min():.2f} to {rows.effect.max():.2f} over {len(rows)} points",
        f"The effect lies above zero and above layer-matched random sets at {above} of {len(rows)} points, and below "
        f"both at {below}.",
    )


def _polarizes(rows: pd.DataFrame, metric: str) -> dict:
    effect = rows[rows.quantity == "effect"]
    votes = [inside(low, high, 0, np.inf) for low, high in zip(effect.low, effect.high, strict=True)]
    return _claim(
        f"The difference in selectivity grows with size ({metric})",
        f"{PAPER}, section 5.1 (neuron polarization)",
        combine(votes),
        f"effect per decade of neurons {_intervals(effect, 'slope')}",
        f"The slope over models is above zero on {votes.count(SUPPORTED)} of {len(votes)} curves and below on "
        f"{votes.count(NOT_SUPPORTED)}.",
    )


def _well_trained(models: pd.DataFrame) -> dict:
    falls = {}
    for family, part in models.dropna(subset=["validation_bits_per_byte"]).groupby("family", sort=False):
        falls[family] = bool((part.sort_values("neurons").validation_bits_per_byte.diff().dropna() < 0).all())
    return _claim(
        "Larger networks of a family predict held-out text better",
        "precondition of this study",
        SUPPORTED if all(falls.values()) else NOT_SUPPORTED,
        ", ".join(f"{family}: {'falls' if ok else 'does not fall'} at every step" for family, ok in falls.items()),
        f"Validation loss falls with every step in size in {sum(falls.values())} of {len(falls)} families; if it did "
        "not, the ladder would be badly trained and nothing above could be read as an effect of size.",
    )
