"""Operating characteristics: how often each main claim gets each verdict where the truth is known, at given sizes.

The rules are those of the claims themselves, at the strictest that Holm's adjustment can ask of a main claim.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rosetta_scaling.claims import growth, planted, selectivity, theory
from rosetta_scaling.claims.decisions import LEVEL, MOST_MAIN, SMALL_POWER
from rosetta_scaling.claims.verdicts import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Claim
from rosetta_scaling.store.digests import digest

NULL, HALF, PAPER = "null", "half", "paper"  # no effect, half of the paper's, the paper's
SIZES = ["curve", "point", "models", "anchor", "neurons", "anchor_neurons"]

Judge = Callable[[pd.DataFrame, float, np.random.Generator], Iterable[Claim]]


@dataclass(frozen=True)
class Trial:
    """Claims judged on the same simulated studies: the effect under each truth, what it is, and how they are judged."""

    effects: dict[str, float]
    words: str
    judge: Judge


def _beyond(sizes: pd.DataFrame, alpha: float, rng: np.random.Generator) -> list[Claim]:
    return [growth.beyond_grows(planted.planted_counts(sizes, alpha, rng))]


def _any(sizes: pd.DataFrame, share: float, rng: np.random.Generator) -> list[Claim]:
    return [growth.any_shared(planted.planted_counts(sizes, planted.ALPHA, rng, share=share))]


def _counted(*which: int) -> Judge:
    def judge(sizes: pd.DataFrame, alpha: float, rng: np.random.Generator) -> list[Claim]:
        claims = growth.of_count(planted.planted_counts(sizes, alpha, rng))
        return [claims[i] for i in which]

    return judge


def _trials(metric: str, chosen: str, domain: str) -> list[Trial]:
    """All trials. Null, half and paper of an exponent are 1, 0.8 and 0.6."""
    alphas = {NULL: 1.0, HALF: 0.8, PAPER: planted.ALPHA}
    edge = growth.PAPER_RANGE[1] + growth.MARGIN
    near = {NULL: edge, HALF: (edge + planted.ALPHA) / 2, PAPER: planted.ALPHA}

    def selective(sizes: pd.DataFrame, effect: float, rng: np.random.Generator) -> list[Claim]:
        return [selectivity.more_selective(planted.planted_effects(sizes, effect, 0.0, rng), metric)]

    def polarizes(sizes: pd.DataFrame, slope: float, rng: np.random.Generator) -> list[Claim]:
        return [selectivity.polarizes(planted.planted_effects(sizes, 0.2, slope, rng), metric, chosen)]

    def specialises(sizes: pd.DataFrame, slope: float, rng: np.random.Generator) -> list[Claim]:
        return [selectivity.specialises(planted.planted_firing(sizes, slope, rng), domain)]

    def same_depth(sizes: pd.DataFrame, beyond: float, rng: np.random.Generator) -> list[Claim]:
        return [selectivity.same_depth(planted.planted_depths(sizes, beyond, rng))]

    def isolation(sizes: pd.DataFrame, gap: float, rng: np.random.Generator) -> list[Claim]:
        return [theory.isolation_claim(planted.planted_isolation(sizes, gap, rng), sizes)]

    share = f"of {planted.SHARED:g} n^{planted.ALPHA:g} shared neurons"
    return [
        Trial({NULL: 0.0, HALF: 0.5, PAPER: 1.0}, share, _any),
        Trial(alphas, "exponent", _beyond),
        Trial(alphas, "exponent, nulls of zero", _counted(0, 2)),
        Trial(near, "exponent, nulls of zero", _counted(1)),
        Trial({NULL: 0.0, HALF: 0.15, PAPER: 0.3}, "rank-biserial effect", selective),
        Trial({NULL: 0.0, HALF: 0.1, PAPER: 0.2}, "effect per decade of neurons", polarizes),
        Trial({NULL: 0.0, HALF: 0.15, PAPER: 0.3}, "normalised firing per decade of neurons", specialises),
        Trial({NULL: 0.0, HALF: 0.05, PAPER: 0.1}, "share of matches beyond the null", same_depth),
        Trial({NULL: theory.SAME, HALF: theory.SAME / 2, PAPER: 0.0}, "exponent less that of the theory", isolation),
    ]


def strictest(claim: Claim, main_claims: int = MOST_MAIN) -> str:
    """The verdict of a main claim where no other main claim has one."""
    surely = claim.p is not None and claim.p * main_claims <= LEVEL
    return claim.verdict if surely else INCONCLUSIVE


def operating_characteristics(
    sizes: pd.DataFrame, *, metric: str, chosen: str, domain: str, draws: int, seed: int = 0
) -> pd.DataFrame:
    """A row per main claim and truth, with the probability of every verdict (the columns of tables/power.csv).

    `sizes` has the columns SIZES; `draws` studies are simulated per truth; `metric`, `chosen` (the set) and `domain`
    are those of the main claims.
    """
    rows = [
        row
        for trial in _trials(metric, chosen, domain)
        for truth, effect in trial.effects.items()
        for row in _tried(trial, sizes.reset_index(drop=True), truth, effect, draws=draws, seed=seed)
    ]
    return pd.DataFrame(rows)


def _tried(
    trial: Trial, sizes: pd.DataFrame, truth: str, effect: float, *, draws: int, seed: int
) -> Iterator[dict[str, object]]:
    rng = np.random.default_rng(int(digest([seed, trial.words, truth, effect]), 16))
    verdicts: dict[str, list[str]] = {}
    for _ in range(draws):
        for claim in trial.judge(sizes, effect, rng):
            verdicts.setdefault(claim.words, []).append(strictest(claim))
    for words, of in verdicts.items():
        row: dict[str, object] = {"claim": words, "truth": truth, "effect": effect, "effect_name": trial.words}
        yield row | {
            "supported": of.count(SUPPORTED) / draws,
            "not_supported": of.count(NOT_SUPPORTED) / draws,
            "inconclusive": of.count(INCONCLUSIVE) / draws,
            "draws": draws,
        }


def with_power(claims: Iterable[Claim], table: pd.DataFrame) -> list[Claim]:
    """The claims with the probability of `supported` under the paper's effect, where the table has it.

    An inconclusive main claim whose power is small says so.
    """
    power = table[table.truth == PAPER].set_index("claim").supported
    made = []
    for claim in claims:
        if claim.main and claim.words in power:
            claim = replace(claim, power=float(power[claim.words]))
            if claim.verdict == INCONCLUSIVE and claim.power is not None and claim.power < SMALL_POWER:
                words = f" A study of these sizes supports the paper's effect with probability {claim.power:.2f}."
                claim = replace(claim, sentence=claim.sentence + words)
        made.append(claim)
    return made
