"""The figures of counts: each `draw_*` turns the rows that its `*_data` picked into a Figure.

No count is drawn without its nulls.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rosetta_scaling.formatting import fixed
from rosetta_scaling.report.figures import style
from rosetta_scaling.report.figures.data import (
    counts_data,
    decomposed,
    decomposition_data,
    fraction_data,
    null_columns,
    primary,
)
from rosetta_scaling.report.figures.entry import FigureEntry
from rosetta_scaling.report.figures.panels import NEURONS, ROSETTA, add_words, filled_and_open, handles_of, panels_by


@style.styled()
def draw_counts(data: pd.DataFrame) -> Figure:
    """Rosetta neurons against neurons, log-log, one panel per curve: count, nulls, fit, slope 1.

    data: rows of counts.csv with the columns fit_alpha, fit_low, fit_high, fit_c and fit_points of `counts_data`.
    """
    figure, panels = panels_by(data, "curve", height=3.2)
    heights = data[["count", *null_columns()]].to_numpy().ravel()
    for axes, curve, group in panels:
        style.log_axis(axes, "x", data["neurons"])
        style.log_axis(axes, "y", heights)
        style.draw_lines(axes, group)
        style.draw_nulls(axes, group)
        style.draw_points(axes, group, "count")
        axes.set_title(f"{style.wrap(curve, 40)}\n{style.fit_words(group)}")
    lines = [
        Line2D([], [], color=style.colour(0), marker="o", lw=0, label="Rosetta neurons"),
        *style.null_handles(),
        Line2D([], [], color=style.colour(0), lw=1.4, label="power-law fit"),
        Line2D([], [], color="0.2", lw=1.1, ls=":", label=f"{style.ALPHA} = 1: a constant share"),
    ]
    add_words(figure, lines, NEURONS, ROSETTA)
    return figure


@style.styled()
def draw_criteria(data: pd.DataFrame) -> Figure:
    """Counts (filled) and the largest null (open) against neurons, one panel per criterion."""
    if data.empty:
        return style.empty_figure("Only one match criterion was counted in this study.")
    figure, panels = panels_by(data, "criterion", height=2.5)
    looks = style.curve_looks(data)
    for axes, criterion, group in panels:
        style.log_axis(axes, "x", data["neurons"])
        style.log_axis(axes, "y", group[["count", "largest_null"]].to_numpy().ravel())
        for (curve, part), shift in zip(group.groupby("curve", sort=False), style.shifts(len(looks)), strict=False):
            line = {"markersize": 4, "lw": 1, "clip_on": False, "transform": style.beside(axes, shift / 2)}
            line |= looks[curve]
            axes.plot(part["neurons"], part["largest_null"], ls=":", markerfacecolor="white", **line)
            axes.plot(part["neurons"], part["count"], **line)
        axes.set_title(criterion)
    handles = handles_of(looks, lw=1) + filled_and_open("count", "largest null")
    add_words(figure, handles, NEURONS, ROSETTA, columns=4)
    return figure


@style.styled()
def draw_decomposition(data: pd.DataFrame) -> Figure:
    """What the count consists of against neurons, log-log, one panel per curve; rows of `decomposition_data`.

    The legend of every panel gives the exponents, but for those of nulls: they are in the table of exponents.
    """
    figure, panels = panels_by(data, "curve", height=3.6)
    for axes, curve, group in panels:
        style.log_axis(axes, "x", data["neurons"])
        style.log_axis(axes, "y", np.clip(data["value"].dropna(), 0, None))
        for i, (quantity, part) in enumerate(group.groupby("quantity", sort=False)):
            null = quantity.startswith("null")
            look = {"color": style.GREY if null else style.colour(i), "marker": style.marker(i), "markersize": 5}
            look |= {"lw": 1, "ls": ":" if null else "-", "markerfacecolor": "white" if null else None}
            alpha = part["alpha"].iloc[0]
            words = f"{style.ALPHA} = {fixed(alpha)}" if np.isfinite(alpha) else "no fit"
            words = "_" if null else words  # matplotlib leaves such lines out of a legend
            shown = part["value"].clip(lower=0)
            axes.plot(part["neurons"], shown, label=words, clip_on=False, **look)
            if quantity == "count":
                axes.vlines(part["neurons"], part["low"], part["high"], color=look["color"], lw=1.2)
        axes.set_title(style.curve_title(curve, group["point"].nunique()))
        axes.legend(loc="lower right", fontsize=6.5, handlelength=1.2, labelspacing=0.2)
    handles = [
        Line2D([], [], label=label, ls=line.get_linestyle(), marker=line.get_marker(), color=line.get_color(),
               markerfacecolor=line.get_markerfacecolor())
        for label, line in zip(decomposed().values(), panels[0][0].lines, strict=True)
    ]  # fmt: skip
    add_words(figure, handles, NEURONS, "neurons of the anchor model", columns=4)
    return figure


@style.styled()
def draw_snapshots(data: pd.DataFrame) -> Figure:
    """Counts against the number of units they were counted on, one panel per curve, a line per point."""
    if data.empty:
        return style.empty_figure("Counts against units are read from the running products of the exact engine only.")
    figure, panels = panels_by(data, "curve", height=2.6)
    looks = style.point_looks(data)
    for axes, curve, group in panels:
        style.log_axis(axes, "x", data["units"])
        style.log_axis(axes, "y", data["count"])
        for point, part in group.groupby("point", sort=False):
            look = looks[point] | {"markersize": 5, "lw": 1}
            measured = part[~part["extrapolated"]]
            axes.plot(measured["units"], measured["count"], **look)
            last = part.iloc[len(measured) - 1 :]
            axes.plot(last["units"], last["count"], ls=":", markerfacecolor="white", zorder=1, **look)
        axes.set_title(style.curve_title(curve, group["point"].nunique()))
    add_words(
        figure, handles_of(looks), "units (the last filled marker: all of them; open: extrapolated)", ROSETTA, columns=8
    )
    return figure


@style.styled()
def draw_fraction(data: pd.DataFrame) -> Figure:
    """Share of the anchor's neurons that are Rosetta neurons against neurons, one panel per curve, with the nulls.

    data: rows of `fraction_data`.
    """
    figure, panels = panels_by(data, "curve", height=2.6)
    top = data[["fraction", *(f"{name}_fraction" for name in null_columns())]].max(axis=None)
    for axes, curve, group in panels:
        style.log_axis(axes, "x", data["neurons"])
        style.draw_nulls(axes, group, "_fraction")
        style.draw_points(axes, group, "fraction")
        axes.set_ylim(-0.03 * (top or 1), 1.1 * (top or 1))
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
        axes.set_title(style.curve_title(curve, len(group)))
    handles = [Line2D([], [], color=style.colour(0), marker="o", lw=0, label="Rosetta neurons"), *style.null_handles()]
    add_words(figure, handles, NEURONS, "share of the anchor's neurons")
    return figure


FIGURES = (
    FigureEntry(
        name="counts",
        title="Counts, their nulls and the fitted power law",
        place="index.html: counts",
        tables=("counts", "fits"),
        pick=lambda tables: counts_data(tables["counts"], tables["fits"])[0],
        draw=draw_counts,
    ),
    FigureEntry(
        name="decomposition",
        title="Count, calibrated count, excess and nulls",
        place="index.html: decomposition",
        tables=("counts", "fits"),
        pick=lambda tables: decomposition_data(tables["counts"], tables["fits"]),
        draw=draw_decomposition,
    ),
    FigureEntry(
        name="snapshots",
        title="Counts against units",
        place="index.html: stability",
        tables=("snapshots",),
        pick=lambda tables: primary(tables["snapshots"]),
        draw=draw_snapshots,
    ),
    FigureEntry(
        name="counts_criteria",
        title="Counts under the other criteria",
        place="index.html: criteria",
        tables=("counts", "fits"),
        pick=lambda tables: counts_data(tables["counts"], tables["fits"])[1],
        draw=draw_criteria,
    ),
    FigureEntry(
        name="fraction",
        title="Share of Rosetta neurons",
        place="index.html: shares",
        tables=("counts",),
        pick=lambda tables: fraction_data(tables["counts"]),
        draw=draw_fraction,
    ),
)
