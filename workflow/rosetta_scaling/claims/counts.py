"""Claims about counts: what the paper says, and what this study's numbers say of it (see verdicts.py)."""

from dataclasses import replace

import numpy as np
import pandas as pd

from rosetta_scaling.claims.verdicts import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    Claim,
    combine,
    inside,
    of_curves,
    span,
    vote,
    votes_inside,
    withhold,
)
from rosetta_scaling.schemas.nulls import NULLS, nulls_of_trained

PAPER = "Dravid et al. 2026, arXiv 2606.03990"
ABSENT = 0.1  # a null below a tenth of the count is what "absent" means here


def judge_counts(tables: dict[str, pd.DataFrame], criteria: list[str]) -> list[Claim]:
    """All claims about counts, each for every one of `criteria`. `tables` has counts, fits and models."""
    counts, models = tables["counts"], tables["models"]
    fits = tables["fits"][tables["fits"].x == "neurons"]
    claims = []
    for criterion in criteria:
        rows, fitted = counts[counts.criterion == criterion], fits[fits.criterion == criterion]
        judged = [_null(rows, null) for null in ("untrained", "permute")]
        judged += [_not_an_artefact(rows), _sublinear(fitted, rows), _sublinear_excess(fitted, rows)]
        judged += [_sublinear_calibrated(fitted, rows), _larger_pool(fitted), _paper_range(fitted)]
        claims += [replace(one, words=f"{one.words} ({criterion})") for one in judged]
    if models.validation_bits_per_byte.notna().any():
        claims.append(_well_trained(models))
    return claims


def _null(counts: pd.DataFrame, null: str) -> Claim:
    found = counts[counts["count"] > 0]  # where nothing was counted, a null of nothing says nothing
    ratio = found[f"null_{null}"] / found["count"]
    votes = [SUPPORTED if r < ABSENT else NOT_SUPPORTED for r in ratio]
    votes += [INCONCLUSIVE] * (len(counts) - len(found))
    worst = ratio.max() if len(ratio) else np.nan
    what = {"untrained": "networks that were never trained", "permute": "networks whose units are shuffled"}[null]
    return Claim(
        words=f"Matches are absent between {what}",
        source=f"{PAPER}, section 4.2" if null == "untrained" else f"{PAPER}, C.3",
        verdict=combine(votes),
        statistic=f"null / count: {ratio.min():.2f} to {worst:.2f} over {len(ratio)} points",
        sentence=f"The {null} null reaches {worst:.0%} of the count at its worst point; absent means under "
        f"{ABSENT:.0%}.",
    )


def _not_an_artefact(counts: pd.DataFrame) -> Claim:
    """Trained networks whose neurons, or whose text, no longer correspond must not give as many matches."""
    nulls = nulls_of_trained()
    highest = counts[[null.columns[2] for null in nulls]].max(axis=1)
    means = counts[[null.column for null in nulls]]
    votes = [
        vote(low > high, count <= mean)
        for low, high, count, mean in zip(counts.count_low, highest, counts["count"], means.max(axis=1), strict=True)
    ]
    votes = [one if count > 0 else INCONCLUSIVE for one, count in zip(votes, counts["count"], strict=True)]
    ratio = (means.max(axis=1) / counts["count"].where(counts["count"] > 0)).dropna()
    words = ", ".join(dict.fromkeys(null.adjective for null in nulls))
    return Claim(
        words="The count is not an artefact of the matching",
        source=f"{PAPER}, section 4.2",
        verdict=combine(votes),
        statistic=f"largest null of trained networks / count: {span(ratio)}" if len(ratio) else "",
        sentence=f"The interval of the count lies above every draw of every null of the trained networks ({words}) at "
        f"{votes.count(SUPPORTED)} of {len(votes)} points; the count is no larger than the mean of one of them at "
        f"{votes.count(NOT_SUPPORTED)}.",
    )


def _sublinear(fits: pd.DataFrame, counts: pd.DataFrame) -> Claim:
    """The paper's claim; an exponent that supports it decides nothing where a null is as large as the count."""
    rows = fits[fits.quantity == "count"]
    drowned = counts[counts["count"] <= counts[[f"null_{null}_high" for null in NULLS]].max(axis=1)]
    votes = votes_inside(rows, 0, 1)
    sentence = f"The interval of alpha lies between 0 and 1 on {votes.count(SUPPORTED)} of {len(votes)} curves"
    if len(drowned):
        sentence += f", but a null is as large as the count at {len(drowned)} of {len(counts)} points"
    votes = [withhold(one, curve in set(drowned.curve)) for one, curve in zip(votes, rows.curve, strict=True)]
    return Claim(
        words="The Rosetta count grows as a sublinear power of model size",
        source=f"{PAPER}, section 4.1",
        verdict=combine(votes),
        statistic=f"alpha {of_curves(rows, 'alpha')}",
        sentence=f"{sentence}.",
    )


def _sublinear_excess(fits: pd.DataFrame, counts: pd.DataFrame) -> Claim:
    """The same of what the nulls leave; where they leave nothing there is nothing that grows."""
    rows = fits[fits.quantity == "excess"]
    nothing = counts[(counts["count"] > 0) & (counts.excess <= 0)]
    votes = [
        NOT_SUPPORTED if curve in set(nothing.curve) else inside(low, high, 0, 1)
        for curve, low, high in zip(rows.curve, rows.low, rows.high, strict=True)
    ]
    return Claim(
        words="The count beyond its largest null grows as a sublinear power of model size",
        source="this study's reading of section 4.1",
        verdict=combine(votes),
        statistic=f"alpha {of_curves(rows, 'alpha')}",
        sentence=f"Nothing is left beyond the largest null at {len(nothing)} of {len(counts)} points; the interval of "
        f"alpha lies between 0 and 1 on {votes.count(SUPPORTED)} of {len(votes)} curves.",
    )


def _sublinear_calibrated(fits: pd.DataFrame, counts: pd.DataFrame) -> Claim:
    rows = fits[fits.quantity == "calibrated_05"]
    votes = votes_inside(rows, 0, 1)
    return Claim(
        words="The count that survives calibration grows as a sublinear power of model size",
        source="this study's reading of section 4.1",
        verdict=combine(votes),
        statistic=f"alpha {of_curves(rows, 'alpha')}",
        sentence=f"At a false-discovery rate of 5% against decoys, {counts.calibrated_05.min():.0f} to "
        f"{counts.calibrated_05.max():.0f} matches are left; the interval of alpha lies between 0 and 1 on "
        f"{votes.count(SUPPORTED)} of {len(votes)} curves.",
    )


def _larger_pool(fits: pd.DataFrame) -> Claim:
    rows = fits[fits.quantity == "equal_n_count"]
    votes = votes_inside(rows, 0, np.inf)
    return Claim(
        words="The count grows also among equally many neurons",
        source=f"{PAPER}, section 4.2 (it is not explained by a larger selection pool)",
        verdict=combine(votes),
        statistic=f"alpha at equal n {of_curves(rows, 'alpha')}",
        sentence="Among random subsets of one size at every rung, the exponent is above zero on "
        f"{votes.count(SUPPORTED)} of {len(votes)} curves and below on {votes.count(NOT_SUPPORTED)}. If neurons "
        "correspond one to one, a subset loses most partners and this count falls; if matches were luck among many, it "
        "would not change.",
    )


def _paper_range(fits: pd.DataFrame) -> Claim:
    rows = fits[fits.quantity == "count"]
    votes = votes_inside(rows, 0.5, 0.7)
    return Claim(
        words="The exponent is about 0.5 to 0.7",
        source=f"{PAPER}, section 4.1",
        verdict=combine(votes),
        statistic=f"alpha {of_curves(rows, 'alpha')}",
        sentence=f"The interval lies inside the paper's range on {votes.count(SUPPORTED)} of {len(votes)} curves and "
        f"outside on {votes.count(NOT_SUPPORTED)}.",
    )


def _well_trained(models: pd.DataFrame) -> Claim:
    falls: dict[str, bool] = {}
    for family, part in models.dropna(subset=["validation_bits_per_byte"]).groupby("family", sort=False):
        falls[family] = bool((part.sort_values("neurons").validation_bits_per_byte.diff().dropna() < 0).all())
    cells = [f"{family}: {'falls' if ok else 'does not fall'} at every step" for family, ok in falls.items()]
    return Claim(
        words="Larger networks of a family predict held-out text better",
        source="precondition of this study",
        verdict=SUPPORTED if all(falls.values()) else NOT_SUPPORTED,
        statistic=", ".join(cells),
        sentence=f"Validation loss falls with every step in size in {sum(falls.values())} of {len(falls)} families; if "
        "it did not, the ladder would be badly trained and nothing above could be read as an effect of size.",
    )
