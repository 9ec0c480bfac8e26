"""Claims and verdicts: what the paper says, what this study's numbers say of it, by rules fixed beforehand.

A claim about all sizes or all curves is supported when every one of them supports it, not supported as soon as one
contradicts it, and inconclusive otherwise.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.schemas.nulls import NULLS, nulls_of_trained

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


def judge(tables: dict[str, pd.DataFrame], criteria: list[str]) -> list[dict]:
    """All claims about counts, each a dictionary with claim, source, verdict, statistic, sentence.

    Each is judged for every one of `criteria`. `tables` has counts, fits and models.
    """
    counts, models = tables["counts"], tables["models"]
    fits = tables["fits"][tables["fits"].x == "neurons"]
    claims = []
    for criterion in criteria:
        counted, fitted = counts[counts.criterion == criterion], fits[fits.criterion == criterion]
        judged = [_null(counted, null) for null in ("untrained", "permute")]
        judged += [_not_an_artefact(counted), _sublinear(fitted, counted), _sublinear_excess(fitted, counted)]
        judged += [_sublinear_calibrated(fitted, counted), _larger_pool(fitted), _paper_range(fitted)]
        claims += [one | {"claim": f"{one['claim']} ({criterion})"} for one in judged]
    if models.validation_bits_per_byte.notna().any():
        claims.append(_well_trained(models))
    return claims


def claim(words: str, source: str, verdict: str, statistic: str, sentence: str, caveat: str = "") -> dict:
    """`caveat` is what the verdict does not say; claims without one have no such key."""
    made = {"claim": words, "source": source, "verdict": verdict, "statistic": statistic, "sentence": sentence}
    return made | ({"caveat": caveat} if caveat else {})


def _null(counts: pd.DataFrame, null: str) -> dict:
    found = counts[counts["count"] > 0]  # where nothing was counted, a null of nothing says nothing
    ratio = found[f"null_{null}"] / found["count"]
    votes = [SUPPORTED if r < ABSENT else NOT_SUPPORTED for r in ratio]
    votes += [INCONCLUSIVE] * (len(counts) - len(found))
    worst = ratio.max() if len(ratio) else np.nan
    what = {"untrained": "networks that were never trained", "permute": "networks whose units are shuffled"}[null]
    return claim(
        f"Matches are absent between {what}",
        f"{PAPER}, section 4.2" if null == "untrained" else f"{PAPER}, C.3",
        combine(votes),
        f"null / count: {ratio.min():.2f} to {worst:.2f} over {len(ratio)} points",
        f"The {null} null reaches {worst:.0%} of the count at its worst point; absent means under {ABSENT:.0%}.",
    )


def _not_an_artefact(counts: pd.DataFrame) -> dict:
    """Trained networks whose neurons, or whose text, no longer correspond must not give as many matches."""
    nulls = nulls_of_trained()
    highest = counts[[null.columns[2] for null in nulls]].max(axis=1)
    means = counts[[null.column for null in nulls]]
    votes = [
        SUPPORTED if low > high else NOT_SUPPORTED if count <= mean else INCONCLUSIVE
        for low, high, count, mean in zip(counts.count_low, highest, counts["count"], means.max(axis=1), strict=True)
    ]
    votes = [vote if count > 0 else INCONCLUSIVE for vote, count in zip(votes, counts["count"], strict=True)]
    ratio = (means.max(axis=1) / counts["count"].where(counts["count"] > 0)).dropna()
    words = ", ".join(dict.fromkeys(null.adjective for null in nulls))
    return claim(
        "The count is not an artefact of the matching",
        f"{PAPER}, section 4.2",
        combine(votes),
        f"largest null of trained networks / count: {ratio.min():.2f} to {ratio.max():.2f}" if len(ratio) else "",
        f"The interval of the count lies above every draw of every null of the trained networks ({words}) at "
        f"{votes.count(SUPPORTED)} of {len(votes)} points; the count is no larger than the mean "
        f"of one of them at {votes.count(NOT_SUPPORTED)}.",
    )


def intervals(rows: pd.DataFrame, value: str) -> str:
    """Estimate and interval of every curve."""
    cells = [(row.curve, getattr(row, value), row.low, row.high) for row in rows.itertuples()]
    return "; ".join(
        f"{curve}: no fit" if np.isnan(middle) else f"{curve}: {middle:.2f} [{low:.2f}, {high:.2f}]"
        for curve, middle, low, high in cells
    )


def _sublinear(fits: pd.DataFrame, counts: pd.DataFrame) -> dict:
    """The paper's claim; an exponent that supports it decides nothing where a null is as large as the count."""
    rows = fits[fits.quantity == "count"]
    drowned = counts[counts["count"] <= counts[[f"null_{null}_high" for null in NULLS]].max(axis=1)]
    votes = [inside(low, high, 0, 1) for low, high in zip(rows.low, rows.high, strict=True)]
    sentence = f"The interval of alpha lies between 0 and 1 on {votes.count(SUPPORTED)} of {len(votes)} curves"
    if len(drowned):
        sentence += f", but a null is as large as the count at {len(drowned)} of {len(counts)} points"
    votes = [
        INCONCLUSIVE if v == SUPPORTED and c in set(drowned.curve) else v
        for v, c in zip(votes, rows.curve, strict=True)
    ]
    return claim(
        "The Rosetta count grows as a sublinear power of model size",
        f"{PAPER}, section 4.1",
        combine(votes),
        f"alpha {intervals(rows, 'alpha')}",
        f"{sentence}.",
    )


def _sublinear_excess(fits: pd.DataFrame, counts: pd.DataFrame) -> dict:
    """The same of what the nulls leave; where they leave nothing there is nothing that grows."""
    rows = fits[fits.quantity == "excess"]
    nothing = counts[(counts["count"] > 0) & (counts.excess <= 0)]
    votes = [
        NOT_SUPPORTED if curve in set(nothing.curve) else inside(low, high, 0, 1)
        for curve, low, high in zip(rows.curve, rows.low, rows.high, strict=True)
    ]
    return claim(
        "The count beyond its largest null grows as a sublinear power of model size",
        "this study's reading of section 4.1",
        combine(votes),
        f"alpha {intervals(rows, 'alpha')}",
        f"Nothing is left beyond the largest null at {len(nothing)} of {len(counts)} points; the interval of alpha "
        f"lies between 0 and 1 on {votes.count(SUPPORTED)} of {len(votes)} curves.",
    )


def _sublinear_calibrated(fits: pd.DataFrame, counts: pd.DataFrame) -> dict:
    rows = fits[fits.quantity == "calibrated_05"]
    votes = [inside(low, high, 0, 1) for low, high in zip(rows.low, rows.high, strict=True)]
    return claim(
        "The count that survives calibration grows as a sublinear power of model size",
        "this study's reading of section 4.1",
        combine(votes),
        f"alpha {intervals(rows, 'alpha')}",
        f"At a false-discovery rate of 5% against decoys, {counts.calibrated_05.min():.0f} to "
        f"{counts.calibrated_05.max():.0f} matches are left; the interval of alpha lies between 0 and 1 on "
        f"{votes.count(SUPPORTED)} of {len(votes)} curves.",
    )


def _larger_pool(fits: pd.DataFrame) -> dict:
    rows = fits[fits.quantity == "equal_n_count"]
    votes = [inside(low, high, 0, np.inf) for low, high in zip(rows.low, rows.high, strict=True)]
    return claim(
        "The count grows also among equally many neurons",
        f"{PAPER}, section 4.2 (it is not explained by a larger selection pool)",
        combine(votes),
        f"alpha at equal n {intervals(rows, 'alpha')}",
        f"Among random subsets of one size at every rung, the exponent is above zero on {votes.count(SUPPORTED)} of "
        f"{len(votes)} curves and below on {votes.count(NOT_SUPPORTED)}. If neurons correspond one to one, a subset "
        "loses most partners and this count falls; if matches were luck among many, it would not change.",
    )


def _paper_range(fits: pd.DataFrame) -> dict:
    rows = fits[fits.quantity == "count"]
    votes = [inside(low, high, 0.5, 0.7) for low, high in zip(rows.low, rows.high, strict=True)]
    return claim(
        "The exponent is about 0.5 to 0.7",
        f"{PAPER}, section 4.1",
        combine(votes),
        f"alpha {intervals(rows, 'alpha')}",
        f"The interval lies inside the paper's range on {votes.count(SUPPORTED)} of {len(votes)} curves and outside "
        f"on {votes.count(NOT_SUPPORTED)}.",
    )


def _well_trained(models: pd.DataFrame) -> dict:
    falls = {}
    for family, part in models.dropna(subset=["validation_bits_per_byte"]).groupby("family", sort=False):
        falls[family] = bool((part.sort_values("neurons").validation_bits_per_byte.diff().dropna() < 0).all())
    return claim(
        "Larger networks of a family predict held-out text better",
        "precondition of this study",
        SUPPORTED if all(falls.values()) else NOT_SUPPORTED,
        ", ".join(f"{family}: {'falls' if ok else 'does not fall'} at every step" for family, ok in falls.items()),
        f"Validation loss falls with every step in size in {sum(falls.values())} of {len(falls)} families; if it did "
        "not, the ladder would be badly trained and nothing above could be read as an effect of size.",
    )
