"""Claims about growth with size: one exponent for all points of all curves (see power_laws/growth.py)."""

from dataclasses import replace

import numpy as np
import pandas as pd

from rosetta_scaling.claims.decisions import Regions, decide, withheld, within
from rosetta_scaling.claims.estimates import (
    certain_mean,
    count_error,
    exponent,
    growth,
    log_ratio,
    networks_of,
    strongest_null,
)
from rosetta_scaling.claims.verdicts import Claim, interval_words
from rosetta_scaling.power_laws.crossed import Estimated
from rosetta_scaling.power_laws.growth import Growth
from rosetta_scaling.schemas.nulls import NULLS

PAPER = "Dravid et al. 2026, arXiv 2606.03990"
READING = "this study's reading of section 4.1"
SUBLINEAR = within(0.0, 1.0)
PAPER_RANGE = (0.5, 0.7)
MARGIN = 0.1  # exponents that differ by less are called the same
SHARE = 0.01  # of the neurons: fewer shared ones than this are called none
LARGEST = 0.67  # points of at least this part of the largest size are of the largest size
DROWNED = "But a null gives as many, so the growth may be that of the null."


def judge_growth(rows: pd.DataFrame, *, main: bool) -> list[Claim]:
    """Claims about the rows of one criterion in counts.csv; `main` for the published criterion."""
    claims = [replace(one, main=main) for one in of_count(rows)]
    if "beyond_decoys" in rows:
        claims = [*(replace(one, main=main) for one in (any_shared(rows), beyond_grows(rows))), *claims]
    return [*claims, _excess_grows(rows), _calibrated_grows(rows), _larger_pool(rows)]


def of_count(rows: pd.DataFrame) -> list[Claim]:
    """Three claims about the exponent of the count: sublinear, in the paper's range, below a constant share."""
    found, drowned, null = growth(rows, "count", count_error(rows)), is_drowned(rows), _null(rows)
    claims = [replace(one, **null) for one in (_sublinear(found), _paper_range(found), _share_falls(found))]
    return [withheld(one, DROWNED) if drowned else one for one in claims]


def is_drowned(rows: pd.DataFrame) -> bool:
    """Is the count not surely above its strongest null, over all points?

    Where the ratio is the same at all points, or points are few, it has to be above one at every point.
    """
    highest = rows[[null.column for null in NULLS.values() if null.column in rows]].max(axis=1).fillna(0)
    found = log_ratio(rows, rows["count"], highest, count_error(rows))
    return not (found.low > 0 if found else bool((rows["count"] > highest).all()))


def _null(rows: pd.DataFrame) -> dict:
    """Exponent of the strongest null, for comparison."""
    if not (name := strongest_null(rows)):
        return {}
    found = exponent(growth(rows, f"null_{name}"))
    return {"null": found.value if found else None, "null_name": f"exponent of {NULLS[name].label}"}


def grown(words: str, source: str, found: Growth | None, regions: Regions, *, effect: str, sentence: str) -> Claim:
    """A claim about an exponent: what grows has to be there, too."""
    level = np.inf
    if found is not None:
        level = min(1.0, 2 * replace(found.alpha, t_at=lambda _: found.level).p_above(0))
    fields = decide(exponent(found), regions, effect, against=level)
    fitted = found.alpha if found else None
    numbers = (
        interval_words(fitted.value, fitted.low, fitted.high)
        if fitted
        else "no estimate: these points do not determine one"
    )
    base = (
        f" One exponent is fitted to {fitted.points} points of {fitted.networks} networks at once, with "
        f"{fitted.freedom:g} degrees of freedom."
        if fitted
        else ""
    )
    return Claim(words=words, source=source, statistic=f"alpha {numbers}", sentence=f"{sentence}{base}", **fields)


def any_shared(rows: pd.DataFrame) -> Claim:
    top = rows[(rows.neurons >= LARGEST * rows.neurons.max()) & (rows.beyond_decoys + rows.beyond_decoys_se).notna()]
    networks = {name for of in networks_of(top) for name in of}
    shares = top.beyond_decoys / top.anchor_neurons
    found: Estimated | None = None
    if len(top):
        found = certain_mean(shares, top.beyond_decoys_se / top.anchor_neurons, len(networks))
    fields = decide(found, Regions((0.0, np.inf), (SHARE, np.inf)), "share of neurons beyond decoys, largest size")
    cells = [f"{row.curve}: {row.beyond_decoys:.0f} of {row.anchor_neurons:.0f}" for row in top.itertuples()]
    return Claim(
        words="Neurons are shared beyond the decoys at the largest size",
        source=READING,
        statistic="; ".join(cells) or "nothing was counted",
        sentence="Supported when the mean share over the curves surely exceeds zero, not supported when it is surely "
        f"below {SHARE:.0%} of the neurons. Errors of curves count as one, since they share networks; the claim is "
        "about these networks.",
        null=0.0,
        null_name="what decoys win",
        **fields,
    )


def beyond_grows(rows: pd.DataFrame) -> Claim:
    return grown(
        "The number of shared neurons beyond the decoys grows as a sublinear power of model size",
        READING,
        growth(rows, "corrected", rows.corrected_se),
        SUBLINEAR,
        effect="exponent of the number of shared neurons",
        sentence="Supported when the exponent surely lies between 0 and 1 and the number surely above zero; not "
        f"supported when the exponent surely lies outside. {_common_r(rows)}",
    )


def _common_r(rows: pd.DataFrame) -> str:
    """What is counted, so that power does not grow with size in place of what is shared."""
    r = rows.common_r.max()
    if np.isnan(r):
        return "Nothing is counted: planted pairs are found too rarely at every r."
    return (
        f"Counted are neurons with an r of {r:g} or more, where half of the planted pairs are found at every point; "
        "each stands for as many as the power at its r says."
    )


def _sublinear(found: Growth | None) -> Claim:
    return grown(
        "The Rosetta count grows as a sublinear power of model size",
        f"{PAPER}, section 4.1",
        found,
        SUBLINEAR,
        effect="exponent of the count",
        sentence="Supported when the exponent surely lies between 0 and 1, not supported when it surely lies outside.",
    )


def _paper_range(found: Growth | None) -> Claim:
    low, high = PAPER_RANGE
    return grown(
        "The exponent is about 0.5 to 0.7",
        f"{PAPER}, section 4.1",
        found,
        within(low - MARGIN, high + MARGIN),
        effect="exponent of the count",
        sentence=f"A test of equivalence: `about` is a margin of {MARGIN:g} on either side, so the exponent has to lie "
        f"surely between {low - MARGIN:g} and {high + MARGIN:g}, or surely outside.",
    )


def _share_falls(found: Growth | None) -> Claim:
    return grown(
        "The share of Rosetta neurons falls with size",
        f"{PAPER}, section 4.1",
        found,
        within(-np.inf, 1.0),
        effect="exponent of the count",
        sentence="A constant share of the neurons has the exponent 1. The sign is the same for any notion of size that "
        "rises with the number of neurons.",
    )


def _excess_grows(rows: pd.DataFrame) -> Claim:
    nothing = rows[(rows["count"] > 0) & (rows.excess <= 0)]
    return grown(
        "The count beyond its largest null grows as a sublinear power of model size",
        READING,
        growth(rows, "excess", count_error(rows)),
        SUBLINEAR,
        effect="exponent of the excess",
        sentence=f"Points with nothing beyond the largest null ({len(nothing)} of {len(rows)}) count as they are.",
    )


def _calibrated_grows(rows: pd.DataFrame) -> Claim:
    return grown(
        "The count that survives calibration grows as a sublinear power of model size",
        READING,
        growth(rows, "calibrated_05"),
        SUBLINEAR,
        effect="exponent of the calibrated count",
        sentence=f"At a false-discovery rate of 5% against decoys, {rows.calibrated_05.min():.0f} to "
        f"{rows.calibrated_05.max():.0f} matches are left; zeros count as zeros.",
    )


def _larger_pool(rows: pd.DataFrame) -> Claim:
    """It can be supported only: one-to-one pairs fall at equal n, the more surely the truer they are."""
    found = growth(rows, "equal_n_count")
    claim = grown(
        "The count grows also among equally many neurons",
        f"{PAPER}, section 4.2 (it is not explained by a larger selection pool)",
        found,
        Regions((0.0, np.inf), (-np.inf, np.inf)),
        effect="exponent at equal n",
        sentence="Random subsets of one size are matched at every rung.",
    )
    caveat = "If neurons correspond one to one, a subset loses most partners and this count falls, the more surely the "
    caveat += "truer the pairs are; if matches were luck among many, it would not change. So a fall refutes nothing."
    return replace(claim, caveat=caveat)
