"""From an estimate to a verdict, and the error rates of all verdicts together.

A claim names two regions beforehand. It is supported when the estimate surely lies inside the first, and not supported
when it surely lies outside of the second, which is the first less a margin: an effect too small to matter is excluded,
not merely absent. Anything else is inconclusive, and says what would decide.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from rosetta_scaling.claims.verdicts import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Claim
from rosetta_scaling.power_laws.crossed import Estimated

LEVEL = 0.05  # a verdict needs a two-sided p of at most this after adjustment, so its 95% interval agrees with it
HOPELESS = 100.0  # times this study: larger ones are not named
MOST_MAIN = 10  # main claims of a study
SMALL_POWER = 0.8  # a rule that supports a true effect less often says so
POWER, NULL = "power", "null"  # reasons of an inconclusive verdict


class Regions(NamedTuple):
    """Between which bounds the effect supports a claim, and outside of which it refutes it; ends may be infinite."""

    supports: tuple[float, float]
    keeps: tuple[float, float]


def above(margin: float, bound: float = 0.0) -> Regions:
    """The effect lies above `bound`; it is refuted when it is surely less than `margin` above."""
    return Regions((bound, np.inf), (bound + margin, np.inf))


def within(low: float, high: float) -> Regions:
    """The effect lies between two bounds, or surely outside of them."""
    return Regions((low, high), (low, high))


def p_values(found: Estimated, regions: Regions) -> tuple[float, float]:
    """Two-sided p of `supported` and of `not supported`: twice that of one-sided tests at the bounds.

    Inside a region both ends have to be passed (two one-sided tests, Schuirmann 1987), outside of it either.
    """
    (low, high), (floor, ceiling) = regions
    inside = max(found.p_above(low) if np.isfinite(low) else 0.0, found.p_below(high) if np.isfinite(high) else 0.0)
    outside = min(
        found.p_below(floor) if np.isfinite(floor) else 1.0, found.p_above(ceiling) if np.isfinite(ceiling) else 1.0
    )
    return min(1.0, 2 * inside), min(1.0, 2 * outside)


def decide(found: Estimated | None, regions: Regions, effect_name: str, *, against: float = np.inf) -> dict[str, Any]:
    """The fields of a claim that follow from its estimate, before the error rates of all claims are controlled.

    `against` is a p that support has to pass as well (two-sided); None for an estimate that could not be made.
    """
    made: dict[str, Any] = {"effect_name": effect_name, "threshold": regions.supports}
    if found is None:
        return made | {"verdict": INCONCLUSIVE, "reason": POWER, "needs": "a study of more sizes and networks"}
    supported, refuted = p_values(found, regions)
    supported = max(supported, against) if np.isfinite(against) else supported
    made |= {"effect": found.value, "effect_low": found.low, "effect_high": found.high, "p": min(supported, refuted)}
    if made["p"] > LEVEL:
        return made | {"verdict": INCONCLUSIVE, "reason": POWER, "needs": needed(found, regions)}
    return made | {"verdict": NOT_SUPPORTED if refuted <= supported else SUPPORTED}


def needed(found: Estimated, regions: Regions) -> str:
    """How many networks would decide, if the estimate stayed where it is: errors fall with the root of their number."""
    bounds = {bound for region in regions for bound in region if np.isfinite(bound)}
    nearest = min(abs(found.t_at(bound)) for bound in bounds)
    return study_of(stats.t.ppf(1 - LEVEL / 2, found.freedom) / max(nearest, 1e-9), found.networks)


def study_of(factor: float, networks: int) -> str:
    """A study whose standard errors are smaller by a factor."""
    times = max(float(factor) ** 2, 1.0)
    if times > HOPELESS:
        return f"more than {HOPELESS:g} times as many networks: at this size the effect is too close to the threshold"
    count = f" ({int(np.ceil(times * networks))} in place of {networks})" if networks else ""
    return f"about {times:.1f} times as many networks{count}, if the effect is as large as it looks here"


def about(claim: Claim, criterion: str) -> Claim:
    """The claim, said to be about the Rosetta neurons by this criterion."""
    return replace(claim, words=f"{claim.words} ({criterion})", criterion=criterion)


def withheld(claim: Claim, why: str) -> Claim:
    """The claim, but inconclusive in place of supported, since a null does the same; `why` is a sentence."""
    if claim.verdict != SUPPORTED:
        return claim
    needs = "no larger study of this kind: only a measurement whose null does less"
    return replace(claim, verdict=INCONCLUSIVE, reason=NULL, needs=needs, sentence=f"{claim.sentence} {why}")


def control_errors(claims: Sequence[Claim]) -> list[Claim]:
    """The claims with adjusted p-values, and inconclusive where the verdict does not pass the adjustment.

    Main claims by Holm (1979): a false verdict among them, in either direction (Shaffer 1980), comes in at most LEVEL
    of studies. All other claims with a p by Benjamini and Hochberg (1995): of their verdicts at most LEVEL are false on
    average. Claims without a p are judged by rules of their own and left alone.
    """
    from statsmodels.stats.multitest import multipletests

    made = list(claims)
    for is_main, method in ((True, "holm"), (False, "fdr_bh")):
        places = [i for i, one in enumerate(made) if one.main == is_main and one.p is not None]
        if places:
            adjusted = multipletests([made[i].p for i in places], LEVEL, method)[1]
            for i, p in zip(places, adjusted, strict=True):
                made[i] = _adjusted(made[i], float(p), len(places))
    return [replace(one, reason=one.reason or POWER) if one.verdict == INCONCLUSIVE else one for one in made]


def _adjusted(claim: Claim, p: float, claims: int) -> Claim:
    claim = replace(claim, p_adjusted=p)
    if claim.verdict == INCONCLUSIVE or p <= LEVEL:
        return claim
    among = f"{claims} main claims" if claim.main else f"{claims} claims beside the main ones"
    sentence = f"{claim.sentence} Alone it would be {claim.verdict} (p {claim.p:.3f}); among {among} p is {p:.2f}."
    factor = stats.norm.isf(LEVEL / claims / 2) / stats.norm.isf((claim.p or LEVEL) / 2)
    return replace(claim, verdict=INCONCLUSIVE, reason=POWER, needs=study_of(factor, 0), sentence=sentence)
