"""Claims about the form of the law; judge_fits makes these and those about the theory (see verdicts.py).

A curve that has no fit supports no claim about all curves.
"""

from dataclasses import replace

import pandas as pd

from rosetta_scaling.claims.counts import PAPER
from rosetta_scaling.claims.theory import SAME, isolation_claim, ranks_claim, simulation_claim
from rosetta_scaling.claims.verdicts import (
    FIT,
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    Claim,
    combine,
    interval_words,
    vote,
    with_undecided,
)
from rosetta_scaling.power_laws.estimators import EXACT
from rosetta_scaling.schemas.nulls import compared_nulls

CLOSER = 2.0  # a difference in AICc below it says nothing (Burnham and Anderson 2002)


def judge_fits(tables: dict[str, pd.DataFrame], criteria: list[str]) -> list[Claim]:
    """All claims about forms and theory, for every one of `criteria`; their topic is FIT."""
    claims: list[Claim] = []
    for criterion in criteria:
        rows = {name: table[table.criterion == criterion] for name, table in tables.items() if "criterion" in table}
        curves = list(rows["fits"].curve.unique())
        judged = [_best_form(rows["rivals"], curves), _predicts(rows["rivals"], curves)]
        judged += [_estimators(rows["estimators"], curves), _share_falls(rows["fits"], curves)]
        judged += [_one_exponent(rows["pooled"], curves)]
        judged += [isolation_claim(rows["theory"], curves), ranks_claim(rows["theory"], curves)]
        claims += [replace(one, words=f"{one.words} ({criterion})") for one in judged]
    claims.append(simulation_claim(tables["theory_exponents"], tables["theory_simulation"]))
    return [replace(one, topic=FIT) for one in claims]


def _best_form(rivals: pd.DataFrame, curves: list[str]) -> Claim:
    """Is the power law better than every rival, or worse than one, by AICc and by leave-one-out error alike?

    At five points AICc punishes a parameter by 10 to 20, enough to prefer a constant to a slope that is beyond doubt;
    so it does not decide alone. Curves of fewer points have none, and no vote.
    """
    rivals = rivals[(rivals.quantity == "count") & rivals.aicc.notna() & rivals.left_out.notna()]
    votes, cells = [], []
    for curve, part in rivals.groupby("curve", sort=False):
        scores = part.assign(left_out=part.left_out.clip(lower=EXACT)).set_index("form")[["aicc", "left_out"]]
        if "power law" not in scores.index or len(scores) < 2:
            continue
        own, others = scores.loc["power law"], scores.drop("power law")
        behind, ratio = others.aicc.min() - own.aicc, others.left_out.min() / own.left_out
        ahead = behind > CLOSER and ratio > 1
        beaten = ((others.aicc < own.aicc - CLOSER) & (others.left_out < own.left_out)).any()
        votes.append(vote(ahead, beaten))
        cells.append(f"{curve}: {others.aicc.idxmin()} {behind:+.1f}, {others.left_out.idxmin()} {ratio:.1f} times")
    return Claim(
        words="A power law describes the count better than other forms",
        source=f"{PAPER}, section 4.1",
        verdict=combine(votes),
        statistic="best rival by AICc less power law; best rival by leave-one-out error over power law: "
        + ("; ".join(cells) or "nowhere defined"),
        sentence=f"Both are defined for a power law and a rival on {len(votes)} of {len(curves)} curves: AICc needs "
        "five points, and more for forms with more parameters. The power law is ahead of every such rival by both on "
        f"{votes.count(SUPPORTED)} of them, and behind the same rival by both on {votes.count(NOT_SUPPORTED)}. With "
        "few points AICc prefers fewer parameters whatever the data.",
    )


def _predicts(rivals: pd.DataFrame, curves: list[str]) -> Claim:
    """Is the largest point predicted better by the power law than by no change and by proportional growth?"""
    votes, errors = _predictions(rivals, "count")
    votes = with_undecided(votes, curves)
    beside = {label: _predictions(rivals, f"null_{null}")[0] for null, label in compared_nulls().items()}
    return Claim(
        words="The smaller networks predict the count of the largest",
        source="this study's reading of section 4.1",
        verdict=combine(votes),
        statistic="error in ln units of power law, no change, proportional growth: "
        + ("; ".join(errors) or "too few points"),
        sentence="Fitted to all points above zero but the largest, the power law predicts it better than both "
        f"baselines on {votes.count(SUPPORTED)} of {len(votes)} curves. It predicts the matches of "
        + " and of ".join(f"{label} so on {of.count(SUPPORTED)} of {len(of)}" for label, of in beside.items())
        + ".",
    )


def _predictions(rivals: pd.DataFrame, quantity: str) -> tuple[list[str], list[str]]:
    """Votes of the curves, and the errors as words."""
    votes, errors = [], []
    for curve, part in rivals[rivals.quantity == quantity].groupby("curve", sort=False):
        error = part.set_index("form").largest.abs().reindex(["power law", "persistence", "proportional"])
        if error.isna().any():
            votes.append(INCONCLUSIVE)
        else:
            ahead = error.drop("power law").min() - error["power law"]
            votes.append(vote(ahead >= EXACT, ahead <= -EXACT))
            errors.append(f"{curve}: {', '.join(f'{value:.2f}' for value in error)}")
    return votes, errors


def _estimators(rows: pd.DataFrame, curves: list[str]) -> Claim:
    """An estimator that found no exponent, or has nothing to be compared with, decides nothing."""
    rows = rows[rows.quantity == "count"]
    votes, ranges = [], []
    for curve, part in rows.groupby("curve", sort=False):
        close = part.alpha.max() - part.alpha.min() < SAME
        outside = part.agrees.isin([False]).any()
        votes.append(vote(close and part.alpha.notna().all(), outside and not close))
        ranges.append(f"{curve}: {part.alpha.min():.2f} to {part.alpha.max():.2f}")
    votes = with_undecided(votes, curves)
    return Claim(
        words="The exponent of the count does not depend on the estimator",
        source="precondition of this study",
        verdict=combine(votes),
        statistic="alpha over estimators: " + "; ".join(ranges),
        sentence=f"All estimators lie within {SAME:g} of each other on {votes.count(SUPPORTED)} of {len(votes)} "
        f"curves; on {votes.count(NOT_SUPPORTED)} they do not, and one lies outside the interval of ordinary least "
        "squares.",
    )


def _share_falls(fits: pd.DataFrame, curves: list[str]) -> Claim:
    """Sublinear against the slope that a constant share of the neurons would have, for every notion of size."""
    worst = {
        quantity: part.groupby("curve", sort=False).p_sublinear.max()
        for quantity, part in fits[fits.p_sublinear.notna()].groupby("quantity")
    }
    counts = worst.get("count", pd.Series(dtype=float))
    votes = [vote(p < 0.05, p > 0.95) for p in counts]
    votes = with_undecided(votes, curves)
    beside = {words: worst.get(f"null_{null}", pd.Series(dtype=float)) for null, words in compared_nulls().items()}
    return Claim(
        words="The share of Rosetta neurons falls with size, whatever size is measured by",
        source=f"{PAPER}, section 4.1",
        verdict=combine(votes),
        statistic="largest one-sided p over the notions of size: "
        + "; ".join(f"{curve}: {p:.3f}" for curve, p in counts.items()),
        sentence="A constant share has the exponent 1 against neurons, and the geometric slope against parameters, "
        "width and compute. The exponent lies below it (p < 0.05) for every one that is known on "
        f"{votes.count(SUPPORTED)} of {len(votes)} curves. So does that of "
        + " and of ".join(f"{words} on {(p < 0.05).sum()} of {len(p)}" for words, p in beside.items())
        + ".",
    )


def _one_exponent(pooled: pd.DataFrame, curves: list[str]) -> Claim:
    """One exponent for all curves? Their common scatter decides: three points can lie on a line by luck."""
    words, source = "One exponent holds for all curves", f"{PAPER}, section 4.1"
    rows = pooled[(pooled.quantity == "count") & (pooled.without == "none")]
    if not len(rows):
        few = f"Of {len(curves)} curves, fewer than two have a fit."
        return Claim(words=words, source=source, verdict=INCONCLUSIVE, statistic="", sentence=few)
    one, means = rows.iloc[0], pooled[pooled.without == "none"].set_index("quantity").alpha
    beside = [
        f"{words} {means[f'null_{null}']:.2f}" for null, words in compared_nulls().items() if f"null_{null}" in means
    ]
    close = one.between_sd < SAME and one.high - one.low < 2 * SAME and one.curves == len(curves)
    return Claim(
        words=words,
        source=source,
        verdict=NOT_SUPPORTED if one.p_same < 0.05 else SUPPORTED if close else INCONCLUSIVE,
        statistic=f"mean alpha {interval_words(one.alpha, one.low, one.high)}, standard deviation between curves "
        f"{one.between_sd:.2f}, p of no difference {one.p_same:.2f}",
        sentence="Supported when curves do not differ (p of at least 0.05), and their mean is known and they agree "
        f"within {SAME:g}, all of them; {one.curves} of {len(curves)} have a fit. Mean exponents of the nulls: "
        f"{', '.join(beside) or 'none'}. Curves with a family in common share networks: they are fewer than they look.",
    )
