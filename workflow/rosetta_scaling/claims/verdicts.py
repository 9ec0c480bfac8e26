"""What a claim is, how numbers vote on it, how votes make a verdict, and how numbers are written in its words.

A claim about all sizes or all curves that has votes is supported when every one of them supports it, not supported when
more contradict it than the errors of their intervals explain, and inconclusive otherwise. All rules are fixed before
the results are looked at.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE = "supported", "not supported", "inconclusive"
VERDICTS = (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE)
GENERAL, METRIC, FIT = "general", "metric", "fit"  # topics: where the report shows a claim
WORDS = ("effect_name", "null_name", "reason", "needs", "votes")  # fields that claims.json leaves out if empty ...
NUMBERS = ("effect", "effect_low", "effect_high", "null", "power", "p", "p_adjusted")  # ... or if unknown


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement, and what the numbers of a study say of it."""

    words: str
    source: str  # the paper that claims it, or this study
    verdict: str  # one of VERDICTS
    statistic: str  # the numbers that decide
    sentence: str  # the rule, and how often it is met
    caveat: str = ""  # what the verdict does not say
    topic: str = GENERAL
    criterion: str = ""  # the set of Rosetta neurons that the claim is about, unless it is that of the first criterion
    metric: str = ""  # of claims about a metric of selectivity: its row in the table of verdicts ...
    column: str = ""  # ... and its column
    main: bool = False  # one of the few claims that answer the question of the study; at most ten
    effect: float | None = None  # the estimate that decides, with its interval ...
    effect_low: float | None = None
    effect_high: float | None = None
    effect_name: str = ""  # ... what it is, and its unit
    threshold: tuple[float, float] | None = None  # the effect has to lie between these two; the ends may be infinite
    null: float | None = None  # what the strongest null gives on the same scale
    null_name: str = ""
    votes: int = 0  # how many sizes, curves or tasks have voted; none where one estimate decides
    power: float | None = None  # probability of *supported* under the paper's effect at the sizes of this study
    p: float | None = None  # of the effect outside of the threshold
    p_adjusted: float | None = None  # the same after Holm (main claims) or Benjamini and Hochberg (all others)
    reason: str = ""  # why the verdict is inconclusive: "power" or "null"
    needs: str = ""  # the size of study that would decide

    def as_json(self) -> dict[str, Any]:
        """The entry of claims.json: five keys of all claims, and the others where they say something.

        Infinite ends of a threshold are null, since JSON has no infinity.
        """
        made: dict[str, Any] = {"claim": self.words, "source": self.source, "verdict": self.verdict}
        made |= {"statistic": self.statistic, "sentence": self.sentence}
        made |= {
            key: getattr(self, key) for key in ("caveat", "column", "metric", "criterion", *WORDS) if getattr(self, key)
        }
        made |= {key: float(getattr(self, key)) for key in NUMBERS if _is_known(getattr(self, key))}
        if self.threshold is not None:
            made["threshold"] = [float(end) if np.isfinite(end) else None for end in self.threshold]
        return made | ({"main": True} if self.main else {}) | ({"fit": True} if self.topic == FIT else {})

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> "Claim":
        """The claim of an entry of claims.json."""
        values = {key: value for key, value in entry.items() if key not in ("claim", "fit")}
        if "threshold" in values:
            low, high = values["threshold"]
            values["threshold"] = (-np.inf if low is None else low, np.inf if high is None else high)
        topic = FIT if "fit" in entry else METRIC if "metric" in entry else GENERAL
        return cls(words=entry["claim"], topic=topic, **values)


def _is_known(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))


# -- votes and verdicts ------------------------------------------------------------------------------------------------


def vote(supports: bool, contradicts: bool) -> str:
    """The vote of one size, curve or pair; where it both supports and contradicts, it supports."""
    return SUPPORTED if supports else NOT_SUPPORTED if contradicts else INCONCLUSIVE


def withhold(decided: str, when: bool) -> str:
    """A vote or verdict, but inconclusive in place of supported `when` something else could explain the support."""
    return INCONCLUSIVE if when and decided == SUPPORTED else decided


def inside(low: float, high: float, floor: float, ceiling: float) -> str:
    """The vote of an interval: does it lie inside (floor, ceiling), outside of it, or across a bound?"""
    if np.isnan(low) or np.isnan(high):
        return INCONCLUSIVE
    return vote(bool(floor < low and high < ceiling), bool(high <= floor or low >= ceiling))


def votes_inside(
    rows: pd.DataFrame, floor: float, ceiling: float, *, low: str = "low", high: str = "high"
) -> list[str]:
    """The votes of the intervals of all rows; `low` and `high` are their columns."""
    return [inside(bottom, top, floor, ceiling) for bottom, top in zip(rows[low], rows[high], strict=True)]


def with_undecided(votes: Sequence[str], curves: Sequence[str]) -> list[str]:
    """The votes, and an inconclusive one for every curve that has none."""
    return [*votes, *[INCONCLUSIVE] * (len(curves) - len(votes))]


def combine(votes: Sequence[str]) -> str:
    """Verdict over curves or sizes.

    Where the truth is at a bound, one of forty 95% intervals lies beyond it; so among three votes or more a single one
    has no veto, and the votes against a claim refute it where chance gives as many in at most 5% of studies. A claim
    that is false of one of them is supported in at most 2.5% of studies (a test of a union, Berger 1982), and a true
    one as often as `power_of_votes` says.
    """
    against = votes.count(NOT_SUPPORTED)
    if against and stats.binom.sf(against - 1, len(votes), 0.025) <= 0.05:
        return NOT_SUPPORTED
    return SUPPORTED if votes and all(one == SUPPORTED for one in votes) else INCONCLUSIVE


def power_of_votes(votes: int, each: float = 0.8) -> float:
    """Probability that `combine` supports a true claim whose votes are independent and support it with `each`."""
    return each**votes


# -- numbers in words --------------------------------------------------------------------------------------------------


def number_words(value: float, form: str = ".2f") -> str:
    """The number, or `none` where it is missing."""
    return "none" if pd.isna(value) else f"{value:{form}}"


def interval_words(value: float, low: float, high: float, form: str = ".2f") -> str:
    """VALUE [LOW, HIGH]."""
    return f"{number_words(value, form)} [{number_words(low, form)}, {number_words(high, form)}]"


def cell(row: pd.Series, name: str = "value", form: str = ".2f") -> str:
    """A value of a row and its interval, which is in the columns NAME_low and NAME_high, or else in low and high."""
    low, high = (f"{name}_low", f"{name}_high") if f"{name}_low" in row else ("low", "high")
    return interval_words(row[name], row[low], row[high], form)


def span(values: pd.Series, form: str = ".2f") -> str:
    """The smallest and the largest value."""
    return f"{values.min():{form}} to {values.max():{form}}" if len(values) else "nowhere defined"


def labelled(
    rows: pd.DataFrame, labels: Sequence[Hashable], value: str, *, low: str = "low", high: str = "high"
) -> str:
    """LABEL LABEL: VALUE [LOW, HIGH] of every row; `labels`, `value`, `low` and `high` are columns."""
    cells = [
        f"{' '.join(map(str, label))}: {interval_words(*numbers)}"
        for label, numbers in zip(
            rows[list(labels)].itertuples(index=False, name=None),
            rows[[value, low, high]].itertuples(index=False, name=None),
            strict=True,
        )
    ]
    return "; ".join(cells)
