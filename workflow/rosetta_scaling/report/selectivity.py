"""The tables of what Rosetta neurons are, as formatted cells: polarization, means, layers, verdicts by metric."""

from collections.abc import Callable

import pandas as pd

from rosetta_scaling.claims.verdicts import Claim
from rosetta_scaling.formatting import fixed, interval, number, percent
from rosetta_scaling.report.cells import cells, label_of
from rosetta_scaling.report.claims import verdict_with_reason


def trends_cells(trends: pd.DataFrame, of: str) -> dict:
    columns = {
        of: "of",
        "what": "words",
        "set": "set",
        "curve": "curve",
        "slope per decade": lambda r: interval(r, "slope", "low", "high", form=number),
        "placebo": lambda r: f"[{number(r['placebo_low'])}, {number(r['placebo_high'])}]",
        "points": lambda r: number(r["points"]),
    }
    return cells(trends.assign(words=trends["quantity"].map(label_of)), columns)


def polarization_cells(polarization: pd.DataFrame) -> dict:
    columns = {
        "metric": "metric",
        "curve": "curve",
        "point": "point",
        "model": "model",
        "neurons": lambda r: number(r["neurons"]),
        "Rosetta": lambda r: number(r["rosetta"]),
        "others": lambda r: number(r["others"]),
        "median, Rosetta": lambda r: number(r["median_rosetta"]),
        "median, others": lambda r: number(r["median_others"]),
        "difference": lambda r: interval(r, "difference", "difference_low", "difference_high", form=number),
        "effect": lambda r: interval(r, "effect", "low", "high"),
        "placebo": lambda r: interval(r, "placebo", "placebo_low", "placebo_high"),
        "effect, adjusted": lambda r: interval(r, "adjusted", "adjusted_low", "adjusted_high"),
        "effective others": lambda r: number(r["effective_others"]),
        "imbalance before, after": lambda r: f"{fixed(r['imbalance_before'])}, {fixed(r['imbalance'])}",
        "alike": lambda r: "yes" if r["balanced"] else "no",
    }
    return cells(polarization, columns)


def mean_cells(rows: pd.DataFrame, key: str, form: Callable) -> dict:
    columns = {
        key: key,
        "curve": "curve",
        "point": "point",
        "Rosetta": lambda r: number(r["rosetta"]),
        "Rosetta neurons": lambda r: interval(r, "mean", "low", "high", form=form),
        "other neurons": lambda r: form(r["mean_others"]),
        "placebo": lambda r: interval(r, "placebo", "placebo_low", "placebo_high", form=form),
    }
    return cells(rows, columns)


def continued_cells(continued: pd.DataFrame) -> dict:
    columns = {
        "curve": "curve",
        "point": "point",
        "trained further": "model",
        "on": "text",
        "bits per byte before, after": lambda r: f"{fixed(r['bits_before'], 3)}, {fixed(r['bits_after'], 3)}",
        "set": "set",
        "fate": "fate",
        "Rosetta": lambda r: number(r["rosetta"]),
        "Rosetta neurons": lambda r: interval(r, "share", "low", "high", form=percent),
        "other neurons": lambda r: percent(r["share_others"]),
        "placebo": lambda r: interval(r, "placebo", "placebo_low", "placebo_high", form=percent),
        "less others that are alike": lambda r: interval(r, "difference", "difference_low", "difference_high"),
        "alike": lambda r: "yes" if r["balanced"] else "no",
        "strongest null": lambda r: percent(r["null"]),
    }
    return cells(continued, columns)


def diagonal_cells(diagonal: pd.DataFrame) -> dict:
    columns = {
        "curve": "curve",
        "point": "point",
        "models": "models",
        "matches": lambda r: number(r["matches"]),
        "at the same depth": lambda r: interval(r, "share", "low", "high"),
        "partners dealt anew": lambda r: fixed(r["expected"]),
        "rotated neurons": lambda r: interval(r, "rotated", "rotated_low", "rotated_high"),
    }
    return cells(diagonal.assign(models=diagonal["model_a"] + ", " + diagonal["model_b"]), columns)


def judge_cells(judge: pd.DataFrame) -> dict:
    columns = {
        "curve": "curve",
        "point": "point",
        "neurons": "group",
        "what": "measure",
        "judged": lambda r: number(r["neurons"]),
        "answered": lambda r: percent(r["answered"]),
        "mean": lambda r: interval(r, "mean", "low", "high"),
        "chance": lambda r: fixed(r["chance"]),
    }
    return cells(judge, columns)


def verdict_cells(claims: list[Claim]) -> dict:
    """Verdicts by metric, one column per kind of claim."""
    rows = [(claim.metric, claim.column, verdict_with_reason(claim)) for claim in claims]
    table = pd.DataFrame(rows, columns=["metric", "column", "verdict"])
    columns = list(dict.fromkeys(table["column"]))
    wide = table.pivot_table(index="metric", columns="column", values="verdict", aggfunc="first", sort=False)
    return cells(wide.reset_index(), {"metric": "metric"} | {name: name for name in columns})
