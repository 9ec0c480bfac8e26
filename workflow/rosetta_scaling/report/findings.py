"""The numbers of docs/findings.md: main claims and counts of the default study, from what is committed of its last run.

python -m rosetta_scaling.report.findings results/ladder    copies them from a finished study, and writes the page
"""

import sys
from pathlib import Path

import pandas as pd

from rosetta_scaling import WORKFLOW
from rosetta_scaling.claims.verdicts import Claim
from rosetta_scaling.formatting import duration, fixed, interval, number
from rosetta_scaling.report.claims import effect_words, verdict_with_reason, verdict_words
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS
from rosetta_scaling.store.tables import read_json, read_table, write_json

DOCS = WORKFLOW.parent / "docs"
PAGE, NUMBERS = DOCS / "findings.md", DOCS / "findings.json"
BEGIN, END = "<!-- made from findings.json; do not edit -->\n", "<!-- end of what was made -->\n"
CENTRAL_LABEL = CENTRAL.replace("_", " ")
COUNTED = ["curve", "point", "neurons", "anchor_neurons", "count", *(null.column for null in NULLS.values())]
COUNTED += ["calibrated_05", "wins", "decoy_wins", "beyond_decoys", "beyond_decoys_low", "beyond_decoys_high"]
COUNTED += ["common_r", "corrected", "corrected_low", "corrected_high"]


def of_study(tables: Path) -> dict:
    """What is committed of a finished study, from its tables: main claims, counts of the first criterion, the run."""
    counts, run = read_table(tables / "counts.csv"), read_json(tables / "provenance.json")
    first = counts[counts.criterion == counts.criterion.iloc[0]]
    return {
        "run": {key: run[key] for key in ("study", "finished", "seconds")} | {"machine": run["machine"]},
        "claims": [entry for entry in read_json(tables / "claims.json")["claims"] if entry.get("main")],
        "counts": first[COUNTED].astype(object).where(first[COUNTED].notna(), None).to_dict("records"),
    }


def made(found: dict) -> str:
    """The part of the page that is made: the run, a table of claims, a table of counts."""
    run, claims = found["run"], [Claim.from_json(entry) for entry in found["claims"]]
    counts = pd.DataFrame(found["counts"]).infer_objects()
    lines = [
        f"Run of {run['finished'][:10]} on {run['machine']['cores']} cores ({run['machine']['processor']}); its jobs "
        f"took {duration(run['seconds'])} in all. Of {len(claims)} main claims, {verdict_words(claims)}.",
        "",
        "| claim | effect | the same of a null | power | verdict |",
        "|---|---|---|---|---|",
        *map(claim_row, claims),
        "",
        *counts_table(counts),
    ]
    return "\n".join(lines) + "\n"


def claim_row(claim: Claim) -> str:
    """A claim, its effect with interval, its null, its power and its verdict, as a row of Markdown."""
    effect = f"{effect_words(claim.effect, claim.effect_low, claim.effect_high) or 'no estimate'} ({claim.effect_name})"
    null = f"{fixed(claim.null)} ({claim.null_name})" if claim.null is not None else ""
    power = "" if claim.power is None else fixed(claim.power)
    return f"| {claim.words} | {effect} | {null} | {power} | *{verdict_with_reason(claim)}* |"


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


def main(arguments: list[str]) -> None:
    """Copy the numbers of a finished study, if one is named, and write the page."""
    for folder in arguments:
        write_json(NUMBERS, of_study(Path(folder) / "tables"))
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), read_json(NUMBERS)), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main(sys.argv[1:])
