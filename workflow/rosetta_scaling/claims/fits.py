"""Claims about the form of the law; judge_fits makes these and those about the theory (see verdicts.py).

Each is about all curves together: curves weigh by what they tell, and none has a veto. What a null does as well is not
supported.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from rosetta_scaling.claims.decisions import about, above, decide, withheld
from rosetta_scaling.claims.estimates import mean_over
from rosetta_scaling.claims.growth import MARGIN, PAPER, is_drowned
from rosetta_scaling.claims.theory import isolation_claim, ranks_claim, simulation_claim
from rosetta_scaling.claims.verdicts import (
    FIT,
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    Claim,
    interval_words,
    number_words,
    vote,
)
from rosetta_scaling.power_laws.estimators import EXACT
from rosetta_scaling.schemas.nulls import compared_nulls

CLOSER = 2.0  # a difference in AICc below it says nothing (Burnham and Anderson 2002)
DROWNED = "But a null gives as many matches, so this may be said of the null."


def judge_fits(tables: dict[str, pd.DataFrame], criteria: list[str]) -> list[Claim]:
    """All claims about forms and theory, for every one of `criteria`; their topic is FIT.

    `tables` has the FIT_TABLES, counts and isolation. The theory's slope by the first criterion is a main claim.
    """
    claims: list[Claim] = []
    for criterion in criteria:
        rows = {name: table[table.criterion == criterion] for name, table in tables.items() if "criterion" in table}
        curves = list(rows["fits"].curve.unique())
        judged = [_best_form(rows["rivals"], curves), _predicts(rows["rivals"], curves)]
        judged += [_estimators(rows["estimators"], curves), _one_exponent(rows["pooled"], curves)]
        if is_drowned(rows["counts"]):
            judged = [withheld(one, DROWNED) for one in judged]
        judged += [isolation_claim(rows["isolation"], rows["counts"]), ranks_claim(rows["theory"], curves)]
        judged[-2] = replace(judged[-2], main=criterion == criteria[0])
        claims += [one if one.main else about(one, criterion) for one in judged]
    claims.append(simulation_claim(tables["theory_exponents"], tables["theory_simulation"]))
    return [replace(one, topic=FIT) for one in claims]


def _best_form(rivals: pd.DataFrame, curves: list[str]) -> Claim:
    """Is the power law better than every rival, or worse than one, by AICc and by leave-one-out error alike?

    Over all curves on which both are defined, AICc adds up and errors are averaged by their logarithm. At five points
    AICc punishes a parameter by 10 to 20, enough to prefer a constant to a slope that is beyond doubt; so it does not
    decide alone. Curves of fewer points have none, and no say.
    """
    rivals = rivals[(rivals.quantity == "count") & rivals.aicc.notna() & rivals.left_out.notna()]
    scores = rivals.assign(error=np.log(rivals.left_out.clip(lower=EXACT)))[["curve", "form", "aicc", "error"]]
    both = scores.merge(scores[scores.form == "power law"], on="curve", suffixes=("", "_own"))
    both = both[both.form != "power law"]
    behind = (both.aicc - both.aicc_own).groupby(both.form, sort=False).sum()
    ratio = np.exp((both.error - both.error_own).groupby(both.form, sort=False).mean())
    ahead = len(both) > 0 and bool((behind > CLOSER).all() and (ratio > 1).all())
    beaten = bool(((behind < -CLOSER) & (ratio < 1)).any())
    cells = [f"{form} {value:+.1f}, {ratio[form]:.1f} times" for form, value in behind.items()]
    return Claim(
        words="A power law describes the count better than other forms",
        source=f"{PAPER}, section 4.1",
        verdict=vote(ahead, beaten),
        reason="" if ahead or beaten else "power",
        statistic="AICc of rivals less that of the power law, summed over curves; leave-one-out error over that of the "
        "power law: " + ("; ".join(cells) or "nowhere defined"),
        sentence=f"Both are defined for a power law and a rival on {both.curve.nunique()} of {len(curves)} curves: "
        "AICc needs five points, and more for forms with more parameters. Supported when the power law is ahead of "
        "every rival by both, not supported when it is behind the same rival by both. With few points AICc prefers "
        "fewer parameters whatever the data.",
    )


def _predicts(rivals: pd.DataFrame, curves: list[str]) -> Claim:
    """Is the largest point predicted better by the power law than by no change and by proportional growth?"""
    gains, cells = _gains(rivals, "count")
    beside = {label: _gains(rivals, f"null_{null}")[0] for null, label in compared_nulls().items()}
    found = mean_over(gains, np.zeros(len(gains)), [[str(curve)] for curve in gains.index])
    return Claim(
        words="The smaller networks predict the count of the largest",
        source="this study's reading of section 4.1",
        statistic="error in ln units of power law, no change, proportional growth: "
        + ("; ".join(cells) or "too few points"),
        sentence="Fitted to all points above zero but the largest, the power law has to predict it better than the "
        f"better of both baselines, as a mean over curves; {len(gains)} of {len(curves)} have a prediction. It gains "
        "by as much for " + " and for ".join(f"{label} ({_mean_words(of)})" for label, of in beside.items()) + ".",
        **decide(found, above(0.0), "error of the better baseline less that of the power law, ln units"),
    )


def _mean_words(gains: pd.Series) -> str:
    return f"{gains.mean():.2f}" if len(gains) else "none"


def _gains(rivals: pd.DataFrame, quantity: str) -> tuple[pd.Series, list[str]]:
    """Error of the better baseline less that of the power law, by curve; and the errors as words."""
    gains, cells = {}, []
    for curve, part in rivals[rivals.quantity == quantity].groupby("curve", sort=False):
        error = part.set_index("form").largest.abs().reindex(["power law", "persistence", "proportional"])
        if error.notna().all():
            gains[curve] = error.drop("power law").min() - error["power law"]
            cells.append(f"{curve}: {', '.join(f'{value:.2f}' for value in error)}")
    return pd.Series(gains, dtype=float), cells


def _estimators(rows: pd.DataFrame, curves: list[str]) -> Claim:
    """How far the estimators lie apart on a curve, averaged by points less two. None that found nothing has a say."""
    rows = rows[(rows.quantity == "count") & rows.alpha.notna()]
    by_curve = rows.groupby("curve", sort=False)
    apart, weight = by_curve.alpha.max() - by_curve.alpha.min(), (by_curve["points"].max() - 2).clip(lower=0)
    known = (by_curve.size() > 1) & (weight > 0)
    mean = np.average(apart[known], weights=weight[known]) if known.any() else np.nan
    outside = rows.agrees.isin([False]).any()
    ranges = [f"{curve}: {part.alpha.min():.2f} to {part.alpha.max():.2f}" for curve, part in by_curve]
    verdict = vote(bool(mean < MARGIN), bool(mean >= MARGIN and outside))
    return Claim(
        words="The exponent of the count does not depend on the estimator",
        source="precondition of this study",
        verdict=verdict,
        reason="power" if verdict == INCONCLUSIVE else "",
        statistic="alpha over estimators: " + "; ".join(ranges),
        sentence=f"On average over {known.sum()} of {len(curves)} curves, weighted by their points less two, the "
        f"largest and the smallest estimate differ by {number_words(mean)}; less than {MARGIN:g} is called the same. "
        "Not supported when they differ by more and one lies outside the interval of ordinary least squares.",
    )


def _one_exponent(pooled: pd.DataFrame, curves: list[str]) -> Claim:
    """One exponent for all curves? Their common scatter decides: three points can lie on a line by luck."""
    words, source = "One exponent holds for all curves", f"{PAPER}, section 4.1"
    rows = pooled[(pooled.quantity == "count") & (pooled.without == "none")]
    if not len(rows):
        few = f"Of {len(curves)} curves, fewer than two have a fit."
        return Claim(words=words, source=source, verdict=INCONCLUSIVE, statistic="", sentence=few, reason="power")
    one, means = rows.iloc[0], pooled[pooled.without == "none"].set_index("quantity").alpha
    beside = [
        f"{words} {means[f'null_{null}']:.2f}" for null, words in compared_nulls().items() if f"null_{null}" in means
    ]
    close = one.between_sd < MARGIN and one.high - one.low < 2 * MARGIN and one.curves == len(curves)
    return Claim(
        words=words,
        source=source,
        verdict=NOT_SUPPORTED if one.p_same < 0.05 else SUPPORTED if close else INCONCLUSIVE,
        statistic=f"mean alpha {interval_words(one.alpha, one.low, one.high)}, standard deviation between curves "
        f"{one.between_sd:.2f}, p of no difference {one.p_same:.2f}",
        sentence="Supported when curves do not differ (p of at least 0.05), and their mean is known and they agree "
        f"within {MARGIN:g}, all of them; {one.curves} of {len(curves)} have a fit. Mean exponents of the nulls: "
        f"{', '.join(beside) or 'none'}. Curves with a family in common share networks: they are fewer than they look.",
    )
