"""Claims about the form of the law and about the theory, with verdicts by rules fixed beforehand (see claims.py).

A curve that has no fit supports no claim about all curves.
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
from rosetta_scaling.power_laws.estimators import EXACT
from rosetta_scaling.schemas.nulls import compared_nulls

CLOSER = 2.0  # a difference in AICc below it says nothing (Burnham and Anderson 2002)
SAME = 0.1  # exponents that differ by less are called the same
SIMULATED = 0.05  # how close simulated exponents have to be to 1 / beta
RATIO = 1.25  # two values of beta whose ratio is surely below it are called the same


def judge_fits(tables: dict[str, pd.DataFrame], criteria: list[str]) -> list[dict]:
    """All claims about forms and theory, for every one of `criteria`; each has the key `fit`."""
    claims = []
    for criterion in criteria:
        rows = {name: table[table.criterion == criterion] for name, table in tables.items() if "criterion" in table}
        curves = list(rows["fits"].curve.unique())
        judged = [_best_form(rows["rivals"], curves), _predicts(rows["rivals"], curves)]
        judged += [_estimators(rows["estimators"], curves), _share_falls(rows["fits"], curves)]
        judged += [_one_exponent(rows["pooled"], curves)]
        judged += [_isolation(rows["theory"], curves), _ranks(rows["theory"], curves)]
        claims += [one | {"claim": f"{one['claim']} ({criterion})"} for one in judged]
    return [
        one | {"fit": True} for one in [*claims, _simulation(tables["theory_exponents"], tables["theory_simulation"])]
    ]


def _of_all(votes: list[str], curves: list[str]) -> list[str]:
    """The votes, and one for every curve that has none."""
    return votes + [INCONCLUSIVE] * (len(curves) - len(votes))


def _best_form(rivals: pd.DataFrame, curves: list[str]) -> dict:
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
        votes.append(SUPPORTED if ahead else NOT_SUPPORTED if beaten else INCONCLUSIVE)
        cells.append(f"{curve}: {others.aicc.idxmin()} {behind:+.1f}, {others.left_out.idxmin()} {ratio:.1f} times")
    return claim(
        "A power law describes the count better than other forms",
        f"{PAPER}, section 4.1",
        combine(votes),
        "best rival by AICc less power law; best rival by leave-one-out error over power law: "
        + ("; ".join(cells) or "nowhere defined"),
        f"Both are defined for a power law and a rival on {len(votes)} of {len(curves)} curves: AICc needs five "
        "points, and more for forms with more parameters. The power law is ahead of every such rival by both on "
        f"{votes.count(SUPPORTED)} of them, and behind the same rival by both on {votes.count(NOT_SUPPORTED)}. With "
        "few points AICc prefers fewer parameters whatever the data.",
    )


def _predicts(rivals: pd.DataFrame, curves: list[str]) -> dict:
    """Is the largest point predicted better by the power law than by no change and by proportional growth?"""
    votes, errors = _predictions(rivals, "count")
    votes = _of_all(votes, curves)
    beside = {label: _predictions(rivals, f"null_{null}")[0] for null, label in compared_nulls().items()}
    return claim(
        "The smaller networks predict the count of the largest",
        "this study's reading of section 4.1",
        combine(votes),
        "error in ln units of power law, no change, proportional growth: " + ("; ".join(errors) or "too few points"),
        f"Fitted to all points above zero but the largest, the power law predicts it better than both baselines on "
        f"{votes.count(SUPPORTED)} of {len(votes)} curves. It predicts the matches of "
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
            votes.append(INCONCLUSIVE if abs(ahead) < EXACT else SUPPORTED if ahead > 0 else NOT_SUPPORTED)
            errors.append(f"{curve}: {', '.join(f'{value:.2f}' for value in error)}")
    return votes, errors


def _estimators(rows: pd.DataFrame, curves: list[str]) -> dict:
    """An estimator that found no exponent, or has nothing to be compared with, decides nothing."""
    rows = rows[rows.quantity == "count"]
    votes, ranges = [], []
    for curve, part in rows.groupby("curve", sort=False):
        close = part.alpha.max() - part.alpha.min() < SAME
        outside = part.agrees.isin([False]).any()
        votes.append(NOT_SUPPORTED if outside and not close else INCONCLUSIVE)
        if close and part.alpha.notna().all():
            votes[-1] = SUPPORTED
        ranges.append(f"{curve}: {part.alpha.min():.2f} to {part.alpha.max():.2f}")
    votes = _of_all(votes, curves)
    return claim(
        "The exponent of the count does not depend on the estimator",
        "precondition of this study",
        combine(votes),
        "alpha over estimators: " + "; ".join(ranges),
        f"All estimators lie within {SAME:g} of each other on {votes.count(SUPPORTED)} of {len(votes)} curves; on "
        f"{votes.count(NOT_SUPPORTED)} they do not, and one lies outside the interval of ordinary least squares.",
    )


def _share_falls(fits: pd.DataFrame, curves: list[str]) -> dict:
    """Sublinear against the slope that a constant share of the neurons would have, for every notion of size."""
    worst = {
        quantity: part.groupby("curve", sort=False).p_sublinear.max()
        for quantity, part in fits[fits.p_sublinear.notna()].groupby("quantity")
    }
    counts = worst.get("count", pd.Series(dtype=float))
    votes = [SUPPORTED if p < 0.05 else NOT_SUPPORTED if p > 0.95 else INCONCLUSIVE for p in counts]
    votes = _of_all(votes, curves)
    beside = {words: worst.get(f"null_{null}", pd.Series(dtype=float)) for null, words in compared_nulls().items()}
    return claim(
        "The share of Rosetta neurons falls with size, whatever size is measured by",
        f"{PAPER}, section 4.1",
        combine(votes),
        "largest one-sided p over the notions of size: " + "; ".join(f"{c}: {p:.3f}" for c, p in counts.items()),
        "A constant share has the exponent 1 against neurons, and the geometric slope against parameters, width and "
        f"compute. The exponent lies below it (p < 0.05) for every one that is known on {votes.count(SUPPORTED)} of "
        f"{len(votes)} curves. So does that of "
        + " and of ".join(f"{words} on {(p < 0.05).sum()} of {len(p)}" for words, p in beside.items())
        + ".",
    )


def _one_exponent(pooled: pd.DataFrame, curves: list[str]) -> dict:
    """One exponent for all curves? Their common scatter decides: three points can lie on a line by luck."""
    words, source = "One exponent holds for all curves", f"{PAPER}, section 4.1"
    rows = pooled[(pooled.quantity == "count") & (pooled.without == "none")]
    if not len(rows):
        return claim(words, source, INCONCLUSIVE, "", f"Of {len(curves)} curves, fewer than two have a fit.")
    one, means = rows.iloc[0], pooled[pooled.without == "none"].set_index("quantity").alpha
    beside = [
        f"{words} {means[f'null_{null}']:.2f}" for null, words in compared_nulls().items() if f"null_{null}" in means
    ]
    close = one.between_sd < SAME and one.high - one.low < 2 * SAME and one.curves == len(curves)
    return claim(
        words,
        source,
        NOT_SUPPORTED if one.p_same < 0.05 else SUPPORTED if close else INCONCLUSIVE,
        f"mean alpha {one.alpha:.2f} [{one.low:.2f}, {one.high:.2f}], standard deviation between curves "
        f"{one.between_sd:.2f}, p of no difference {one.p_same:.2f}",
        f"Supported when curves do not differ (p of at least 0.05), and their mean is known and they agree within "
        f"{SAME:g}, all of them; {one.curves} of {len(curves)} have a fit. Mean exponents of the nulls: "
        f"{', '.join(beside) or 'none'}. Curves with a family in common share networks: they are fewer than they look.",
    )


def _isolation(theory: pd.DataFrame, curves: list[str]) -> dict:
    """Agreement decides nothing where the matches of a null agree as well."""
    gaps = theory[theory.quantity == "gap"]
    rows, nulls = gaps[gaps.kind == "real"], gaps[gaps.kind != "real"]
    agree = [inside(one.low, one.high, -SAME, SAME) == SUPPORTED for one in nulls.itertuples()]
    drowned = set(nulls.curve[agree])
    votes, close = [], 0
    for one in rows.itertuples():
        if inside(one.low, one.high, -SAME, SAME) == SUPPORTED:
            close += 1
            votes.append(INCONCLUSIVE if one.curve in drowned else SUPPORTED)
        else:
            votes.append(NOT_SUPPORTED if one.low > 0 or one.high < 0 else INCONCLUSIVE)
    votes = _of_all(votes, curves)
    return claim(
        "The mean isolation of Rosetta neurons grows as the number of neurons to the power 1 - alpha",
        f"{PAPER}, section 4.3 and appendix D; tested here first",
        combine(votes),
        f"exponent of isolation less (1 - alpha): {intervals(rows, 'value')}",
        f"The interval of the difference lies within {SAME:g} of 0 on {close} of {len(votes)} curves; on "
        f"{votes.count(NOT_SUPPORTED)} it does not, and excludes 0. Isolation is read from correlations, "
        f"s = r / (1 - r). Matches of a null agree with the theory as closely on {len(drowned)} curves: there "
        "agreement would say nothing.",
    )


def _ranks(theory: pd.DataFrame, curves: list[str]) -> dict:
    """Does beta within a pair of networks equal the beta that counts demand? Agreement decides as in _isolation."""
    votes, pairs, drowned = {}, [], set()
    for (curve, kind), part in theory.groupby(["curve", "kind"], sort=False):
        part = part.set_index("quantity")[["value", "low", "high"]]
        sizes, ranks = part.loc["beta_sizes"], part.loc["beta_ranks"]
        if kind == "real":
            pairs.append(f"{curve}: {_cell(sizes)} and {_cell(ranks)}")
            votes[curve] = _same_beta(sizes, ranks)
        elif _same_beta(sizes, ranks) == SUPPORTED:
            drowned.add(curve)
    close = list(votes.values()).count(SUPPORTED)
    decided = [INCONCLUSIVE if v == SUPPORTED and curve in drowned else v for curve, v in votes.items()]
    votes = _of_all(decided, curves)
    return claim(
        "Counts over sizes and correlations within a size give the same beta",
        f"{PAPER}, section 4.3 and appendix D; tested here first",
        combine(votes),
        "beta from sizes and from ranks: " + "; ".join(pairs),
        f"Their ratio is surely within a factor of {RATIO:g} of 1 on {close} of {len(votes)} curves; on "
        f"{votes.count(NOT_SUPPORTED)} it is not, and surely not 1 (or beta from ranks is below 1, which the theory "
        f"excludes). Matches of a null agree as closely on {len(drowned)} curves: there agreement would say nothing.",
    )


def _same_beta(sizes: pd.Series, ranks: pd.Series) -> str:
    if ranks.high < 1:  # the theory needs more: the importance of all features would have no finite sum
        return NOT_SUPPORTED
    if pd.concat([sizes, ranks]).isna().any() or ranks.low <= 0:
        return INCONCLUSIVE
    apart = np.log(ranks.value / sizes.value)
    half = np.hypot(*(np.log(one.high / one.low) / 2 for one in (sizes, ranks)))
    if -np.log(RATIO) < apart - half and apart + half < np.log(RATIO):
        return SUPPORTED
    return NOT_SUPPORTED if abs(apart) > half else INCONCLUSIVE


def _cell(row: pd.Series) -> str:
    value, low, high = ("none" if pd.isna(number) else f"{number:.2f}" for number in row[["value", "low", "high"]])
    return f"{value} [{low}, {high}]"


def _simulation(exponents: pd.DataFrame, simulated: pd.DataFrame) -> dict:
    """The positive control of all that is asked of real networks."""
    off = (simulated.rank_slope - simulated.beta).abs().mean()
    ranks = "could not be read" if pd.isna(off) else f"is off by {off:.2f} on average"
    rows = exponents[exponents.quantity == "matches_half"]
    votes = []
    for row in rows.itertuples():
        near, known = abs(row.alpha - row.expected) <= SIMULATED, row.high - row.low <= 2 * SAME
        beside = row.high < row.expected or row.low > row.expected
        votes.append(SUPPORTED if near and known else NOT_SUPPORTED if beside and not near else INCONCLUSIVE)
    cells = [
        f"beta {row.beta:g}: {row.alpha:.3f} [{row.low:.3f}, {row.high:.3f}] for {row.expected:.3f}"
        for row in rows.itertuples()
    ]
    return claim(
        "Networks that obey the theory have counts that grow with exponent 1 / beta",
        f"{PAPER}, appendix D.7",
        combine(votes),
        "; ".join(cells),
        f"Simulated with this study's settings, matches with r of at least 0.5 have an exponent within {SIMULATED:g} "
        f"of 1 / beta, known to {SAME:g}, at {votes.count(SUPPORTED)} of {len(votes)} values of beta; at "
        f"{votes.count(NOT_SUPPORTED)} it is farther, and its interval excludes 1 / beta. Beta from the "
        f"correlations within one pair of networks {ranks}.",
    )
