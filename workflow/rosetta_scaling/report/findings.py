"""The numbers and figures of docs/findings.md, from what is committed of the last run of the study `ladder`.

python -m rosetta_scaling.report.findings results/ladder    copies them from a finished study and makes the page
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from rosetta_scaling import WORKFLOW
from rosetta_scaling.claims.decisions import NULL, SMALL_POWER
from rosetta_scaling.claims.verdicts import INCONCLUSIVE, SUPPORTED, Claim
from rosetta_scaling.formatting import duration, fixed, interval, number
from rosetta_scaling.report.claims import (
    TRUTHS,
    effect_words,
    main_claims_frame,
    other_verdicts,
    power_words,
    settled_words,
    verdict_with_reason,
    verdict_words,
)
from rosetta_scaling.report.figures import answer, counts, style
from rosetta_scaling.report.figures.data import fraction_data
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS
from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.tables import read_json, read_table, write_json

DOCS = WORKFLOW.parent / "docs"
PAGE, NUMBERS, IMAGES = "findings.md", "findings.json", "images"  # in docs
CLAIMS_FIGURE, SHARES_FIGURE = "main-claims.svg", "shares.svg"
BEGIN, END = "<!-- made from findings.json; do not edit -->\n", "<!-- end of what was made -->\n"
CENTRAL_LABEL = CENTRAL.replace("_", " ")
COUNTED = ["curve", "point", "neurons", "anchor_neurons", "count"]
COUNTED += [column for null in NULLS.values() for column in null.columns]
COUNTED += ["calibrated_05", "wins", "decoy_wins", "beyond_decoys", "beyond_decoys_low", "beyond_decoys_high"]
COUNTED += ["common_r", "corrected", "corrected_low", "corrected_high"]


def of_study(tables: Path) -> dict:
    """What is committed of a finished study, from its tables: the run, main claims, their power, the first counts."""
    counts, run = read_table(tables / "counts.csv"), read_json(tables / "provenance.json")
    first = counts[counts.criterion == counts.criterion.iloc[0]]
    return {
        "run": {key: run[key] for key in ("study", "finished", "seconds")} | {"machine": run["machine"]},
        "claims": [entry for entry in read_json(tables / "claims.json")["claims"] if entry.get("main")],
        "power": read_table(tables / "power.csv").to_dict("records"),
        "settled": read_table(tables / "settled.csv")[["claim", "draws", "verdict"]].to_dict("records"),
        "counts": first[COUNTED].astype(object).where(first[COUNTED].notna(), None).to_dict("records"),
    }


def made(found: dict) -> str:
    """The part of the page that is made: the run, main claims, what they rest on, and counts; tables and figures."""
    run, claims = found["run"], main_claims(found)
    lines = [
        f"Run of {run['finished'][:10]} on {run['machine']['cores']} cores ({run['machine']['processor']}); its jobs "
        f"took {duration(run['seconds'])} in all. Of {len(claims)} main claims, {verdict_words(claims)}.",
        "",
        f"![The main claims: estimate, interval and null of each]({IMAGES}/{CLAIMS_FIGURE})",
        "",
        "| claim | effect | the same of a null | power | verdict |",
        "|---|---|---|---|---|",
        *map(claim_row, claims),
        "",
        *fewer_draws(claims, pd.DataFrame(found["settled"])),
        "",
        "What would change the conclusion:",
        "",
        *(f"- {claim.words}: {what_would_change(claim)}" for claim in claims),
        "",
        "How often each claim would be *supported* / *not supported* in studies of these sizes in which the truth is "
        f"known ({found['power'][0]['draws']} simulated studies for each truth):",
        "",
        *power_table(pd.DataFrame(found["power"])),
        "",
        f"![Shares of matched neurons beside those of nulls]({IMAGES}/{SHARES_FIGURE})",
        "",
        *counts_table(pd.DataFrame(found["counts"]).infer_objects()),
    ]
    return "\n".join(lines) + "\n"


def main_claims(found: dict) -> list[Claim]:
    return [Claim.from_json(entry) for entry in found["claims"]]


def claim_row(claim: Claim) -> str:
    """A claim, its effect with interval, its null, its power and its verdict, as a row of Markdown."""
    effect = f"{effect_words(claim.effect, claim.effect_low, claim.effect_high) or 'no estimate'} ({claim.effect_name})"
    null = f"{fixed(claim.null)} ({claim.null_name})" if claim.null is not None else ""
    power = "" if claim.power is None else fixed(claim.power)
    return f"| {claim.words} | {effect} | {null} | {power} | *{verdict_with_reason(claim)}* |"


def fewer_draws(claims: list[Claim], settled: pd.DataFrame) -> list[str]:
    """On how many of the main claims fewer draws of the nulls would say the same, and what they say on the others."""
    settled = settled[settled.claim.isin([claim.words for claim in claims])]
    words, changed = settled_words(settled), list(dict.fromkeys(other_verdicts(settled).claim))
    *fewer, most = map(str, sorted(set(settled.draws)))
    if not fewer:
        return ["Fewer draws of the nulls were not tried."]
    alike = f"{len(claims) - len(changed)} of these {len(claims)} verdicts would be the same"
    lines = [f"With {', '.join(fewer)} in place of {most} draws of the nulls {alike}{':' if changed else '.'}"]
    return lines + ["", *(f"- {claim}: {words[claim]}" for claim in changed)] * bool(changed)


def what_would_change(claim: Claim) -> str:
    """What another verdict would take: of an inconclusive claim what it says that it needs, of others its interval."""
    if claim.verdict == INCONCLUSIVE:
        words = claim.needs or "votes that agree"
        if claim.reason == NULL and claim.null is not None:
            words += f" ({claim.null_name} {effect_words(claim.null)} beside {effect_words(claim.effect)})"
        if claim.power is not None and claim.power < SMALL_POWER:
            words += f"; the paper's effect would be supported in {power_words(claim.power)} of such studies"
        return f"{words}."
    found = effect_words(claim.effect, claim.effect_low, claim.effect_high)
    if claim.verdict == SUPPORTED:
        return f"a study in which the interval, here {found}, is not all {region_words(claim)}."
    inconclusive = "too wide to exclude an effect that matters (*inconclusive*)"
    return f"a study in which the interval, here {found}, is {inconclusive} or all {region_words(claim)} (*supported*)."


def region_words(claim: Claim) -> str:
    """Where the interval of a supported claim lies."""
    low, high = claim.threshold or (-np.inf, np.inf)
    if np.isfinite(low) and np.isfinite(high):
        return f"between {fixed(low)} and {fixed(high)}"
    return f"above {fixed(low)}" if np.isfinite(low) else f"below {fixed(high)}"


def power_table(power: pd.DataFrame) -> list[str]:
    """A row of Markdown for every main claim: what is planted, and how often that gets which verdict."""
    rows = [f"| claim | planted | {' | '.join(TRUTHS.values())} |", "|" + "---|" * (2 + len(TRUTHS))]
    for claim, part in power.groupby("claim", sort=False):
        of = part.set_index("truth").loc[list(TRUTHS)]
        planted = f"{', '.join(map(fixed, of.effect))} ({of.effect_name.iloc[0]})"
        decided = zip(of.supported, of.not_supported, strict=True)
        cells = [f"{power_words(supported)} / {power_words(refuted)}" for supported, refuted in decided]
        rows.append(f"| {' | '.join([str(claim), planted, *cells])} |")
    return rows


def counts_table(counts: pd.DataFrame) -> list[str]:
    """A row of Markdown for every point, and the head of the table."""
    common = counts.common_r.max()
    head = ["point", "neurons", "matched", CENTRAL_LABEL, "largest null", "list at 5%", "beyond decoys"]
    head.append("shared" if pd.isna(common) else f"shared, r ≥ {common:g}")
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in counts.to_dict("records"):
        means = pd.Series({null.name: row[null.column] for null in NULLS.values()}, dtype=float).dropna()
        cells = [
            f"{row['curve']} {row['point']}",
            number(row["anchor_neurons"]),
            number(row["count"]),
            number(row[NULLS[CENTRAL].column]),
            f"{number(means.max())} ({means.idxmax().replace('_', ' ')})",
            number(row["calibrated_05"]),
            interval(row, "beyond_decoys", "beyond_decoys_low", "beyond_decoys_high", form=number),
            interval(row, "corrected", "corrected_low", "corrected_high", form=number),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def filled(page: str, found: dict) -> str:
    """The page with its made part made anew."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{made(found)}\n{END}{rest.split(END)[1]}"


def draw(found: dict, images: Path) -> None:
    """Write the figures of the page: main claims, and shares of matched neurons beside nulls; both as in a report."""
    table = pd.DataFrame(found["counts"]).infer_objects()
    table = table.reindex(columns=COUNTED).assign(criterion="first", fraction=table["count"] / table["anchor_neurons"])
    drawn = {
        CLAIMS_FIGURE: answer.draw_main_claims(main_claims_frame(main_claims(found))),
        SHARES_FIGURE: counts.draw_fraction(fraction_data(table)),
    }
    for name, figure in drawn.items():
        with style.styled(), atomic(images / name) as part:
            figure.savefig(part, format="svg", metadata={"Date": None})


def main(arguments: list[str], docs: Path = DOCS) -> None:
    """Copy the numbers of a finished study, if one is named, write the page in `docs`, and draw its figures."""
    for folder in arguments:
        write_json(docs / NUMBERS, of_study(Path(folder) / "tables"))
    found, page = read_json(docs / NUMBERS), docs / PAGE
    page.write_text(filled(page.read_text(encoding="utf-8"), found), encoding="utf-8")
    draw(found, docs / IMAGES)
    print(f"wrote {page} and its figures")


if __name__ == "__main__":
    main(sys.argv[1:])
