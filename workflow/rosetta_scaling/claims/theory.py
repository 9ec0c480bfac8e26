"""Claims about the paper's theory: what correlations of matches say beside their number (see verdicts.py).

A curve that has no fit supports no claim about all curves.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from rosetta_scaling.claims.decisions import LEVEL, decide, p_values, withheld, within
from rosetta_scaling.claims.estimates import mean_over, networks_of
from rosetta_scaling.claims.growth import PAPER
from rosetta_scaling.claims.verdicts import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    Claim,
    cell,
    combine,
    interval_words,
    vote,
    with_undecided,
    withhold,
)
from rosetta_scaling.power_laws.crossed import Estimated

SAME = 0.1  # exponents that differ by less are called the same
SIMULATED = 0.05  # how close simulated exponents have to be to 1 / beta
RATIO = 1.25  # two values of beta whose ratio is surely below it are called the same


def isolation_claim(isolation: pd.DataFrame, counts: pd.DataFrame) -> Claim:
    """Agreement decides nothing where the matches of a null agree as well.

    The theory has isolation x matches / neurons constant over sizes; what is left of a slope is one regression over all
    points. `isolation` and `counts` have the rows of one criterion.
    """
    rows = isolation.merge(counts[["curve", "point", "neurons", "models"]], on=["curve", "point"])
    gaps = {kind: _gap(part) for kind, part in rows.groupby("kind", sort=False)}
    agree = within(-SAME, SAME)
    drowned = [kind for kind, gap in gaps.items() if kind != "real" and gap and p_values(gap, agree)[0] <= LEVEL]
    found = gaps.get("real")
    numbers = interval_words(found.value, found.low, found.high) if found else "too few points"
    claim = Claim(
        words="The mean isolation of Rosetta neurons grows as the number of neurons to the power 1 - alpha",
        source=f"{PAPER}, section 4.3 and appendix D; tested here first",
        statistic=f"exponent of isolation less (1 - alpha): {numbers}",
        sentence=f"A test of equivalence: the difference has to lie surely within {SAME:g} of 0, or surely outside. "
        "Isolation is read from correlations, s = r / (1 - r).",
        **decide(found, agree, "exponent of isolation less (1 - alpha)"),
    )
    if not drowned:
        return claim
    null = gaps[drowned[0]]
    claim = replace(claim, null=null.value if null else None, null_name=f"the same of {drowned[0]}")
    return withheld(claim, f"But the matches of {' and of '.join(drowned)} agree with the theory as closely.")


def _gap(rows: pd.DataFrame) -> Estimated | None:
    """Slope of ln (isolation x matches / neurons) on ln neurons, with a level for every curve."""
    rows = rows[(rows.isolation > 0) & (rows.matches > 0)]
    if not len(rows):
        return None
    curves, logs = pd.get_dummies(rows.curve).to_numpy(float), np.log(rows.neurons.to_numpy(float))
    values = np.log(rows.isolation * rows.matches / rows.neurons)
    return mean_over(values, np.zeros(len(rows)), networks_of(rows), np.column_stack([curves, logs - logs.mean()]))


def ranks_claim(theory: pd.DataFrame, curves: list[str]) -> Claim:
    """Does beta within a pair of networks equal the beta that counts demand? Decided as in isolation_claim."""
    by_curve, cells, drowned = {}, [], set()
    for (curve, kind), part in theory.groupby(["curve", "kind"], sort=False):
        part = part.set_index("quantity")[["value", "low", "high"]]
        sizes, ranks = part.loc["beta_sizes"], part.loc["beta_ranks"]
        if kind == "real":
            cells.append(f"{curve}: {cell(sizes)} and {cell(ranks)}")
            by_curve[curve] = _same_beta(sizes, ranks)
        elif _same_beta(sizes, ranks) == SUPPORTED:
            drowned.add(curve)
    close = list(by_curve.values()).count(SUPPORTED)
    votes = with_undecided([withhold(one, curve in drowned) for curve, one in by_curve.items()], curves)
    return Claim(
        words="Counts over sizes and correlations within a size give the same beta",
        source=f"{PAPER}, section 4.3 and appendix D; tested here first",
        verdict=combine(votes),
        votes=len(votes),
        reason="null" if drowned and combine(votes) == INCONCLUSIVE != combine(list(by_curve.values())) else "",
        statistic="beta from sizes and from ranks: " + "; ".join(cells),
        sentence=f"Their ratio is surely within a factor of {RATIO:g} of 1 on {close} of {len(votes)} curves; on "
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
    return vote(-np.log(RATIO) < apart - half and apart + half < np.log(RATIO), abs(apart) > half)


def simulation_claim(exponents: pd.DataFrame, simulated: pd.DataFrame) -> Claim:
    """The positive control of all that is asked of real networks."""
    off = (simulated.rank_slope - simulated.beta).abs().mean()
    ranks = "could not be read" if pd.isna(off) else f"is off by {off:.2f} on average"
    rows = exponents[exponents.quantity == "matches_half"]
    votes = []
    for row in rows.itertuples():
        near, known = abs(row.alpha - row.expected) <= SIMULATED, row.high - row.low <= 2 * SAME
        beside = row.high < row.expected or row.low > row.expected
        votes.append(vote(near and known, beside and not near))
    cells = [
        f"beta {row.beta:g}: {interval_words(row.alpha, row.low, row.high, '.3f')} for {row.expected:.3f}"
        for row in rows.itertuples()
    ]
    return Claim(
        words="Networks that obey the theory have counts that grow with exponent 1 / beta",
        source=f"{PAPER}, appendix D.7",
        verdict=combine(votes),
        votes=len(votes),
        statistic="; ".join(cells),
        sentence="Simulated with this study's settings, matches with r of at least 0.5 have an exponent within "
        f"{SIMULATED:g} of 1 / beta, known to {SAME:g}, at {votes.count(SUPPORTED)} of {len(votes)} values of beta; at "
        f"{votes.count(NOT_SUPPORTED)} it is farther, and its interval excludes 1 / beta. Beta from the "
        f"correlations within one pair of networks {ranks}.",
    )
