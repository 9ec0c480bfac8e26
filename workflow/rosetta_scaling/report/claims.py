"""Claims for people: which are shown first, and a claim in words and numbers."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rosetta_scaling.claims.verdicts import FIT, GENERAL, INCONCLUSIVE, METRIC, VERDICTS, Claim, power_of_votes
from rosetta_scaling.formatting import MINUS, fixed
from rosetta_scaling.report.cells import cells
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, read_table

MOST = 10  # claims with a card of their own; all others stand in a table
REASONS = {"power": "too little data", "null": "a null does as well"}  # why a verdict is inconclusive
TOPICS = {GENERAL: "counts, domains and layers", METRIC: "selectivity", FIT: "fits and theory"}
CONTROL = "precondition"  # how the source of a claim begins that tests the study and not the paper
FINDINGS, CONTROLS = "Findings", "Controls"
GROUPS = {FINDINGS: "", CONTROLS: "Were they not supported, the findings could not be read."}
TRUTHS = {"null": "no effect", "half": "half of the paper's", "paper": "the paper's effect"}  # in tables/power.csv
WORDS = ("claim", "verdict", "reason", "effect_name", "null_name")  # columns of a table of main claims
NUMBERS = ("effect", "low", "high", "floor", "ceiling", "null", "power")


def read_claims(path: Path) -> list[Claim]:
    """The claims of a claims.json. Raises StudyError when a verdict is none of VERDICTS."""
    claims = [Claim.from_json(entry) for entry in read_json(path)["claims"]]
    for claim in claims:
        if claim.verdict not in VERDICTS:
            raise StudyError(
                f"claims.json: the verdict {claim.verdict!r} is none of {VERDICTS}; mend the step that writes it."
            )
    return claims


def read_undecidable(path: Path) -> list[dict[str, str]]:
    """The metrics of which a claims.json says that the design can decide nothing (`metric`), and why (`because`)."""
    return read_json(path).get("undecidable", [])


def claims_of(folders: Iterable[str | Path]) -> list[Claim]:
    """All claims of the folders that have a claims.json."""
    return [claim for folder in folders for claim in read_claims(Path(folder) / "claims.json")]


def leading(claims: Sequence[Claim]) -> list[Claim]:
    """The claims that are shown first: the main ones, or the first few where none is called that."""
    main = [claim for claim in claims if claim.main] or [claim for claim in claims if group_of(claim) == FINDINGS]
    return main[:MOST]


def group_of(claim: Claim) -> str:
    """The part of the table of claims in which a claim stands."""
    return CONTROLS if claim.source.startswith(CONTROL) else FINDINGS


def main_claims_frame(claims: Iterable[Claim]) -> pd.DataFrame:
    """A row per main claim, with the columns WORDS and NUMBERS: what the figure of the main claims draws."""
    rows = []
    for claim in claims:
        if claim.main:
            words = (claim.words, claim.verdict, claim.reason, claim.effect_name, claim.null_name)
            numbers = (claim.effect, claim.effect_low, claim.effect_high, *(claim.threshold or (None, None)))
            rows.append((*words, *numbers, claim.null, claim.power))
    return pd.DataFrame(rows, columns=[*WORDS, *NUMBERS]).astype(dict.fromkeys(NUMBERS, float))


# -- in words ----------------------------------------------------------------------------------------------------------


def verdict_words(claims: Sequence[Claim]) -> str:
    """How many claims have each verdict, and why the inconclusive ones have theirs, as far as they say so."""
    counted = {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in VERDICTS}
    words = listed([f"{number} {verdict}" for verdict, number in counted.items()])
    reasons = [claim.reason for claim in claims if claim.verdict == INCONCLUSIVE and claim.reason]
    why = [f"{reasons.count(name)} because {because(name)}" for name in REASONS if name in reasons]
    return f"{words} ({listed(why)})" if why else words


def because(reason: str) -> str:
    """Why a claim is undecided, as the end of a sentence."""
    return {"power": "the data are too few", "null": "a null does as well"}.get(reason, reason)


def listed(words: list[str]) -> str:
    """`a, b and c`."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def reason_words(claim: Claim) -> str:
    """Why an inconclusive claim is so, and what would decide it; nothing of others."""
    if claim.verdict != INCONCLUSIVE:
        return ""
    return REASONS.get(claim.reason, claim.reason) or ("its votes differ" if claim.votes else "reason not given")


def verdict_with_reason(claim: Claim) -> str:
    """`inconclusive: too little data`; other verdicts stand alone."""
    return f"{claim.verdict}: {REASONS[claim.reason]}" if claim.reason in REASONS else claim.verdict


def effect_words(effect: float | None, low: float | None = None, high: float | None = None) -> str:
    """An effect with its interval, `0.71 [0.60, 0.82]`, with as many decimals as its size asks for.

    Nothing where the effect is not known; an end that is not known is infinite.
    """
    if effect is None or np.isnan(effect):
        return ""
    known = [end for end in (effect, low, high) if end is not None and np.isfinite(end)]
    largest = max(map(abs, known))
    decimals = 0 if largest >= 100 else 1 if largest >= 10 else 2
    if len(known) == 1:
        return fixed(effect, decimals)
    bottom, top = (
        sign if end is None or not np.isfinite(end) else fixed(end, decimals)
        for end, sign in ((low, f"{MINUS}\N{INFINITY}"), (high, "\N{INFINITY}"))
    )
    return f"{fixed(effect, decimals)} [{bottom}, {top}]"


def power_words(power: float | None) -> str:
    """A probability in percent; nothing where it is not known."""
    return "" if power is None or np.isnan(power) else f"{power:.0%}"


def votes_words(votes: int) -> str:
    """What a rule of so many votes can do; nothing where there was none."""
    return f"{power_of_votes(votes):.0%} if each of {votes} votes has 80%" if votes > 1 else ""


def other_verdicts(settled: pd.DataFrame) -> pd.DataFrame:
    """The rows of settled.csv whose verdict is not that of all draws, by rising number of draws."""
    of_all = settled[settled.draws == settled.draws.max()].set_index("claim").verdict
    return settled[settled.verdict != of_all.reindex(settled.claim).to_numpy()].sort_values("draws")


def settled_words(settled: pd.DataFrame) -> dict[str, str]:
    """Claim -> what its verdict would be with fewer draws of the nulls; empty where settled.csv has no fewer."""
    least, most = settled.draws.min(), settled.draws.max()
    if least == most:
        return {}
    words = dict.fromkeys(settled.claim, f"The verdict is the same with {least} to {most} draws of the nulls.")
    for row in other_verdicts(settled).itertuples():  # the largest number of draws comes last
        words[row.claim] = f"With {row.draws} draws of the nulls in place of {most} it would be: {row.verdict}."
    return words


def claim_parts(claim: Claim, settled: Mapping[str, str]) -> dict[str, str | list[str]]:
    """What cards and tables show of a claim, all of it as words; what is not known is empty.

    `settled` has, by claim, what fewer draws of the nulls would have said.
    """
    caveat = f"Caveat: {claim.caveat}" if claim.caveat else ""
    return {
        "words": claim.words,
        "verdict": claim.verdict,
        "reason": reason_words(claim),
        "needs": claim.needs if claim.verdict == INCONCLUSIVE else "",
        "effect": effect_words(claim.effect, claim.effect_low, claim.effect_high),
        "effect_name": claim.effect_name,
        "null": effect_words(claim.null),
        "null_name": claim.null_name,
        "power": power_words(claim.power) or votes_words(claim.votes),
        "p": "" if claim.p_adjusted is None else f"{claim.p_adjusted:.2g}",
        "sentence": claim.sentence,
        "details": [words for words in (claim.statistic, caveat, settled.get(claim.words, "")) if words],
        "source": claim.source,
        "topic": TOPICS[claim.topic],
        "metric": claim.metric,
        "criterion": claim.criterion,
    }


def claim_table(claims: Sequence[Claim], settled: Mapping[str, str]) -> dict:
    """The table of claims: its parts, and what it can be filtered by."""
    parts = {group: [claim_parts(claim, settled) for claim in claims if group_of(claim) == group] for group in GROUPS}
    topics = [TOPICS[topic] for topic in TOPICS if any(claim.topic == topic for claim in claims)]
    return {
        "rows": len(claims),
        "groups": [{"name": name, "words": GROUPS[name], "claims": rows} for name, rows in parts.items() if rows],
        "verdicts": [verdict for verdict in VERDICTS if any(claim.verdict == verdict for claim in claims)],
        "topics": topics,
        "metrics": list(dict.fromkeys(claim.metric for claim in claims if claim.metric)),
    }


def shown_first(
    claims: Sequence[Claim], undecidable: Sequence[dict[str, str]] = (), settled: Mapping[str, str] | None = None
) -> dict:
    """What every page says of its claims: cards of the leading ones, a table of the others, and what is no claim."""
    first, settled = leading(claims), settled or {}
    return {
        "cards": [claim_parts(claim, settled) for claim in first],
        "undecidable": undecidable,
        "others": claim_table([claim for claim in claims if all(claim is not one for one in first)], settled),
    }


def power_cells(path: Path) -> dict:
    """How often each main claim gets each verdict where the truth is known; no rows where that was not simulated."""
    rows = read_table(path) if path.is_file() else pd.DataFrame()
    rows = rows.assign(of=rows["effect_name"], truth=rows["truth"].map(TRUTHS)) if len(rows) else rows
    columns = {"claim": "claim", "true effect": "truth", "of": "of"} | {
        "planted": lambda r: fixed(r["effect"]),
        "supported": lambda r: power_words(r["supported"]),
        "not supported": lambda r: power_words(r["not_supported"]),
        "inconclusive": lambda r: power_words(r["inconclusive"]),
    }
    return cells(rows, columns)
