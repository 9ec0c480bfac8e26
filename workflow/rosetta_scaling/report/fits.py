"""The tables of the page of fits and theory, as formatted cells."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from rosetta_scaling.fits.checklist import FitReport, Fits
from rosetta_scaling.formatting import fixed, interval, number, percent
from rosetta_scaling.power_laws.estimators import few_points_warning
from rosetta_scaling.report.cells import SIZES, cells, fixed_of, with_labels
from rosetta_scaling.report.figures.data import primary
from rosetta_scaling.report.figures.fits import multiverse_data

FIRST = {"curve": "curve", "criterion": "criterion", "what": "quantity"}
THEORY = {
    "alpha": "\N{GREEK SMALL LETTER ALPHA} of the matches",
    "isolation_slope": "exponent of mean isolation",
    "gap": "gap",
    "beta_sizes": "\N{GREEK SMALL LETTER BETA} from sizes",
    "beta_ranks": "\N{GREEK SMALL LETTER BETA} from ranks",
    "matches": "mutual best matches",
    "matches_half": "of these, r \N{GREATER-THAN OR EQUAL TO} 0.5",
    "predicted": "closed form",
}


def fit_cells(tables: dict[str, pd.DataFrame], fits: Fits) -> dict:
    """Every table of the page by the name the template knows it under, and the warnings."""
    rivals, theory, pooled = tables["rivals"], tables["theory"], tables["pooled"]
    main = (rivals["criterion"] == tables["counts"]["criterion"].iloc[0]) & (rivals["quantity"] == "count")
    real = theory["kind"] == "real"
    return {
        "warnings": warnings(tables["fits"]),
        "estimators": estimators_cells(tables["estimators"]),
        "pooled": pooled_cells(pooled[pooled["without"] == "none"]),
        "pooled_without": pooled_cells(pooled[pooled["without"] != "none"]),
        "choices": choices_cells(multiverse_data(tables["fits"], tables["estimators"], pooled)),
        "sizes": sizes_cells(tables["fits"]),
        "rivals": rivals_cells(rivals[main]),
        "rivals_others": rivals_cells(rivals[~main]),
        "uncertainty": uncertainty_cells(tables["uncertainty"]),
        "influence": influence_cells(tables["influence"]),
        "coverage": coverage_cells(tables["coverage"]),
        "theory_exponents": exponents_cells(tables["theory_exponents"]),
        "theory": theory_cells(theory[real]),
        "theory_nulls": theory_cells(theory[~real]),
        "forecast": forecast_cells(tables["forecast"]),
        "checklist": [(f"{fit.curve}, {fit.criterion}, {fit.quantity}", checklist_cells(fit)) for fit in fits.fits],
        "refused": cells(
            pd.DataFrame(
                [one.model_dump() for one in fits.refused], columns=["curve", "criterion", "quantity", "reason"]
            ),
            {"curve": "curve", "criterion": "criterion", "quantity": "quantity", "why": "reason"},
        ),
    }


def warnings(fits: pd.DataFrame) -> list[str]:
    """One sentence for the curves of every number of points that is too small for comfort."""
    rows = primary(fits)
    points = rows[(rows["quantity"] == "count") & rows["alpha"].notna()].groupby("curve", sort=False)["points"].min()
    return [
        f"{', '.join(curves)}: {few_points_warning(n)}."
        for n, curves in points.groupby(points).groups.items()
        if few_points_warning(n)
    ]


def alpha(row: Mapping) -> str:
    """The exponent, with its interval where there is one."""
    return fixed(row["alpha"]) if pd.isna(row["low"]) else interval(row, "alpha", "low", "high")


def estimators_cells(table: pd.DataFrame) -> dict:
    columns = FIRST | {
        "estimator": "estimator",
        "n": lambda r: number(r["points"]),
        "exponent": alpha,
        "agrees with ols": lambda r: "" if pd.isna(r["agrees"]) else "yes" if r["agrees"] else "NO",
        "note": "note",
    }
    return cells(with_labels(table), columns)


def pooled_cells(table: pd.DataFrame) -> dict:
    columns = {"criterion": "criterion", "what": "quantity", "without": "without"} | {
        "curves": lambda r: number(r["curves"]),
        "mean exponent": alpha,
        "between curves": lambda r: fixed(r["between_sd"]),
        "p of no difference": lambda r: fixed(r["p_same"]),
    }
    return cells(with_labels(table[table["quantity"] == "count"]), columns)


def choices_cells(data: pd.DataFrame) -> dict:
    """What every single choice does to the exponent, over all others: median, middle half, share surely below 1."""
    counts = data[data["kind"] == "counts"]
    plain = counts[counts["x"] == "neurons"]
    choices = {"what is fitted": ("kind", data), "size": ("x", counts)}
    choices |= {name: (name, plain) for name in ("criterion", "curve", "estimator")}
    rows = []
    for choice, (column, fits) in choices.items():
        for option, group in fits.groupby(column, sort=False):
            low, middle, high = group["alpha"].quantile([0.25, 0.5, 0.75])
            row = {"choice": choice, "option": option, "n": len(group), "alpha": middle, "low": low, "high": high}
            rows.append(row | {"below": (group["high"] < 1).mean(), "above": (group["low"] > 0).mean()})
    columns = {"choice": "choice", "option": "option"} | {
        "fits": lambda r: number(r["n"]),
        "median exponent [middle half]": alpha,
        "interval below 1": lambda r: percent(r["below"]),
        "interval above 0": lambda r: percent(r["above"]),
    }
    return cells(pd.DataFrame(rows), columns)


def sizes_cells(fits: pd.DataFrame) -> dict:
    rows = fits[(fits["quantity"] == "count") & (fits["criterion"] == fits["criterion"].iloc[0])]
    columns = {"curve": "curve", "size": "size"} | {
        "n": lambda r: number(r["points"]),
        "exponent": alpha,
        "geometric slope": lambda r: fixed(r["geometric"]),
        "p": lambda r: number(r["p_sublinear"]),
    }
    return cells(rows.assign(size=rows["x"].map(SIZES)), columns)


def rivals_cells(table: pd.DataFrame) -> dict:
    columns = FIRST | {
        "form": "form",
        "AICc": lambda r: fixed(r["aicc"], 1),
        "weight": lambda r: percent(r["weight"]),
        "leave-one-out": lambda r: fixed(r["left_out"]),
        "largest point": lambda r: fixed(r["largest"]),
        "curvature": lambda r: interval(r, "curvature", "low", "high") if pd.notna(r["curvature"]) else "",
        "note": "note",
    }
    return cells(with_labels(table), columns)


def uncertainty_cells(table: pd.DataFrame) -> dict:
    columns = FIRST | {"n": lambda r: number(r["points"])}
    names = {"networks": "model_sd", "documents": "documents_sd", "nulls": "nulls_sd", "seeds": "seeds_sd"}
    return cells(with_labels(table), columns | {header: fixed_of(name) for header, name in names.items()})


def influence_cells(table: pd.DataFrame) -> dict:
    columns: dict[str, Any] = FIRST | {"point": "point"}
    names = {"leverage": "leverage", "standardised residual": "residual", "Cook's distance": "cook"}
    columns |= {header: fixed_of(name) for header, name in names.items()}
    return cells(with_labels(table), columns | {"exponent without it": alpha})


def coverage_cells(table: pd.DataFrame) -> dict:
    columns = {"curve": "curve", "criterion": "criterion", "estimator": "estimator"} | {
        "n": lambda r: number(r["points"]),
        "coverage": lambda r: interval(r, "coverage", "coverage_low", "coverage_high"),
        "promised": lambda r: fixed(r["nominal"]),
        "bias": lambda r: number(r["bias"]),
        "half width": lambda r: fixed(r["half_width"]),
        "without interval": lambda r: percent(r["without"]),
    }
    return cells(table, columns)


def exponents_cells(table: pd.DataFrame) -> dict:
    columns = {"\N{GREEK SMALL LETTER BETA}": lambda r: number(r["beta"]), "of": "quantity"} | {
        "exponent": alpha,
        "1/\N{GREEK SMALL LETTER BETA}": lambda r: fixed(r["expected"], 3),
        "sizes": lambda r: number(r["points"]),
    }
    return cells(table.assign(quantity=table["quantity"].map(THEORY)), columns)


def theory_cells(table: pd.DataFrame) -> dict:
    columns = {"curve": "curve", "criterion": "criterion", "matches": "kind", "what": "quantity"} | {
        "measured": lambda r: fixed(r["value"]) if pd.isna(r["low"]) else interval(r, "value", "low", "high"),
        "by the theory": lambda r: fixed(r["predicted"]) if pd.notna(r["predicted"]) else "",
        "points": lambda r: number(r["points"]),
    }
    return cells(table.assign(quantity=table["quantity"].map(THEORY)), columns)


def forecast_cells(table: pd.DataFrame) -> dict:
    columns = FIRST | {
        "model": "name",
        "neurons": lambda r: number(r["neurons"]),
        "extrapolated": lambda r: interval(r, "forecast", "low", "high", form=number),
        "rival forms": lambda r: f"[{number(r['rivals_low'])}, {number(r['rivals_high'])}]",
        "decades beyond": lambda r: fixed(r["beyond"], 1),
        "decades measured": lambda r: fixed(r["measured"], 1),
        "reach": "reach",
    }
    return cells(with_labels(table), columns)


def checklist_cells(fit: FitReport) -> dict:
    """Every entry of a fit as a row; lists of rows are counted, for they stand in fits.json and in the tables above."""
    rows = []
    for block, entries in fit.model_dump(exclude={"curve", "criterion", "quantity"}).items():
        for name, value in entries.items():
            rows.append({"block": block, "entry": name.replace("_", " "), "value": _shown(value)})
    return cells(pd.DataFrame(rows), {"block": "block", "entry": "entry", "value": "value"})


def _shown(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(one)}" for key, one in value.items())
    if isinstance(value, list):
        tabular = value and isinstance(value[0], dict)
        return f"{len(value)} rows in fits.json" if tabular else "; ".join(map(_shown, value))
    return number(value) if isinstance(value, int | float) else value
