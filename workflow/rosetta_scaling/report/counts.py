"""The tables of counts, of what they consist of, and of their exponents, as formatted cells."""

from collections.abc import Callable, Mapping

import pandas as pd

from rosetta_scaling.formatting import fixed, interval, number, percent
from rosetta_scaling.report.cells import SIZES, cells, label_of, rosetta_address, to_rosetta
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS, NullKind


def counts_cells(counts: pd.DataFrame, first: dict[str, str]) -> dict:
    """Counts with all nulls beside each, and the excess over the largest."""

    def draws_of(null: NullKind) -> Callable:
        return lambda r: interval(r, *null.columns, form=number)

    columns = first | {
        "point": "point",
        "anchor": "anchor",
        "neurons": lambda r: number(r["neurons"]),
        "Rosetta neurons": to_rosetta(lambda r: number(r["count"])),
        **{f"null: {null.name.replace('_', ' ')}": draws_of(null) for null in NULLS.values()},
        "null: iid": lambda r: number(r["null_iid"]),
        "excess": lambda r: number(r["excess"]),
        "share of anchor": lambda r: percent(r["fraction"]),
        "mean r": lambda r: fixed(r["mean_r"]),
        "constant neurons": lambda r: number(r["constant_neurons"]),
    }
    return cells(counts, columns)


def points_of_curves(counts: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Curve -> every point with the address of its Rosetta neurons (see ToNeurons), from counts by one criterion."""
    points: dict[str, list[tuple[str, str]]] = {}
    for row in counts.to_dict("records"):
        address = rosetta_address(row["anchor"], row["curve"], row["criterion"])
        points.setdefault(row["curve"], []).append((row["point"], address))
    return points


def points_behind(counts: pd.DataFrame, claim: Mapping) -> dict[str, list[tuple[str, str]]]:
    """As points_of_curves, for the parts of a claim: the neurons that it is about, sorted by its metric, if any."""
    first = counts["criterion"].iloc[0]
    rows = counts[counts["criterion"] == first].assign(criterion=claim["criterion"] or first)
    order = f"&s={claim['metric']}&d=1" if claim["metric"] else ""
    return {
        curve: [(point, address + order) for point, address in points]
        for curve, points in points_of_curves(rows).items()
    }


def stability_cells(counts: pd.DataFrame, first: dict[str, str]) -> dict:
    """Interval, calibrated counts, split halves and counts at equal n."""
    columns = first | {
        "point": "point",
        "Rosetta neurons": to_rosetta(lambda r: interval(r, "count", "count_low", "count_high", form=number)),
        "marked": lambda r: number(r["marked"]),
        "FDR 5%": lambda r: number(r["calibrated_05"]),
        "expected false": lambda r: number(r["calibrated_05_null"]),
        "FDR 1%": lambda r: number(r["calibrated_01"]),
        "beyond decoys": lambda r: interval(r, "beyond_decoys", "beyond_decoys_low", "beyond_decoys_high", form=number),
        "shared at the common r": shared_words,
        "closer than own": lambda r: number(r["closer_than_own"]),
        "split-half Jaccard": lambda r: fixed(r["splithalf_jaccard"]),
        "held-out r": lambda r: fixed(r["splithalf_r"]),
        "mean r": lambda r: fixed(r["mean_r"]),
        "at equal n": lambda r: f"{number(r['equal_n_count'])} of {number(r['equal_n'])}",
        "rotated, at equal n": lambda r: number(r["equal_n_null"]),
    }
    if "beyond_decoys" not in counts:
        del columns["beyond decoys"], columns["shared at the common r"]
    return cells(counts, columns)


def shared_words(row: dict) -> str:
    """The number of shared neurons that are as strong as an r at which half are found at every point."""
    shared = interval(row, "corrected", "corrected_low", "corrected_high", form=number)
    return shared if pd.isna(row["common_r"]) else f"{shared} (r ≥ {fixed(row['common_r'], 1)})"


def lists_cells(lists: pd.DataFrame) -> dict:
    """The lists of every point, the r at which half of the planted pairs are found, and the count corrected for it."""
    columns = {
        "curve": "curve",
        "point": "point",
        "list": lambda r: "every win" if r["q"] == 1 else f"FDR {r['q']:.0%}",
        "neurons": lambda r: number(r["count"]),
        "expected false": lambda r: number(r["false"]),
        "half are found at r": half_words,
        "as strong": lambda r: number(r["strong"]),
        "as strong, corrected": lambda r: interval(r, "corrected", "corrected_low", "corrected_high", form=number),
    }
    return cells(lists, columns)


def half_words(row: Mapping) -> str:
    """The r at which half of the planted pairs are found, with its interval; the least r that was planted, or none."""
    if pd.isna(row["half_r"]):
        return "none"
    if row["half_r"] == row["half_r_low"]:  # more than half are found there already
        return f"{fixed(row['half_r'])} or less"
    return interval(row, "half_r", "half_r_low", "half_r_high")


def decomposition_cells(table: pd.DataFrame) -> dict:
    def share(name: str) -> Callable:
        return lambda r: f"{number(r[name])} ({percent(r[f'{name}_share'])})"

    columns = {
        "curve": "curve",
        "point": "point",
        "Rosetta neurons": lambda r: number(r["count"]),
        "chance": share("chance"),
        "shared subspace": share("subspace"),
        "shared neurons": lambda r: (
            f"{interval(r, 'neurons', 'neurons_low', 'neurons_high', form=number)} ({percent(r['neurons_share'])})"
        ),
    }
    if no_chance(table):
        del columns["chance"]
    return cells(table, columns)


def no_chance(table: pd.DataFrame) -> str:
    """A sentence in place of a column of zeros, where chance explains no match at any point."""
    if not len(table) or (table["chance"] > 0).any():
        return ""
    return (
        "No match at any point is as weak as the strongest 5% of those found although no two units correspond, so "
        "there is no column for chance. That does not say that counts exceed these nulls: weaker matches fill them."
    )


def seeds_cells(seeds: pd.DataFrame) -> dict:
    columns = {"architectures": "architectures", "point": "point", "curves": "curves"} | {
        "mean count": lambda r: number(r["mean"]),
        "standard deviation": lambda r: number(r["deviation"]),
    }
    return cells(seeds, columns)


def recurrence_cells(recurrence: pd.DataFrame) -> dict:
    """How many neurons are matched again in another network, beside independence and decoys."""

    def beside(name: str) -> Callable:
        return lambda r: f"{number(r[name])} ({number(r[f'{name}_independent'])}; {number(r[f'{name}_decoys'])})"

    columns = {"curve": "curve", "point": "point"} | {
        "other networks": lambda r: number(r["networks"]),
        "matched in one": beside("one"),
        "matched in all": beside("all"),
        "matched again": lambda r: interval(r, "again", "again_low", "again_high", form=percent),
        "if independent": lambda r: percent(r["again_independent"]),
        "decoys": lambda r: percent(r["again_decoys"]),
    }
    return cells(recurrence, columns)


def transport_cells(transport: pd.DataFrame) -> dict:
    """How many neurons partial optimal transport matches, beside its null and beside mutual best partners."""
    columns = {"point": "point", "network": "model_a", "and": "model_b"} | {
        "neurons": lambda r: f"{number(r['neurons_a'])} and {number(r['neurons_b'])}",
        "r above": lambda r: fixed(r["min_r"]),
        "one to one": lambda r: number(r["transported"]),
        "of these mutual": lambda r: number(r["both"]),
        "null: rotate pre": lambda r: interval(r, *NULLS[CENTRAL].columns, form=number),
        "excess": lambda r: interval(r, "excess", "excess_low", "excess_high", form=number),
        "mutual best partners": lambda r: number(r["mutual"]),
        "null of these": lambda r: number(r["mutual_null"]),
    }
    return cells(transport.assign(note=transport["note"].fillna("")), columns | {"note": "note"})


def fits_cells(fits: pd.DataFrame, first: dict[str, str]) -> dict:
    """One row per curve, criterion and quantity; one column per notion of size."""
    rows = []
    for (curve, criterion, quantity), group in fits.groupby(["curve", "criterion", "quantity"], sort=False):
        exponents = {row["x"]: exponent(row) for row in group.to_dict("records")}
        row = {"curve": curve, "criterion": criterion, "quantity": label_of(quantity)}
        rows.append(row | {x: exponents.get(x, "not fitted") for x in SIZES})
    columns = {"what": "quantity"} | {header: x for x, header in SIZES.items()}
    return cells(pd.DataFrame(rows), first | columns)


def exponent(row: Mapping) -> str:
    """The exponent with interval, R2 and number of points, or why there is none; then the note, if any."""
    note = "" if pd.isna(row["note"]) else f"; {row['note']}"
    if pd.isna(row["alpha"]):
        return f"no fit (n = {number(row['points'])}){note}"
    quality = f"R\N{SUPERSCRIPT TWO} {fixed(row['r2'])}, n = {number(row['points'])}"
    return f"{interval(row, 'alpha', 'low', 'high')}\n{quality}{note}"
