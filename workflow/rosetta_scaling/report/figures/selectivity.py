"""The figures about what Rosetta neurons are, against size: polarization, specialisation, kinds of neurons."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rosetta_scaling.report.figures import style
from rosetta_scaling.report.figures.data import anchor_rows
from rosetta_scaling.report.figures.entry import FigureEntry
from rosetta_scaling.report.figures.panels import filled_and_open, panels_against_size


def draw_against_placebo(axes: Axes, data: pd.DataFrame, rows: pd.DataFrame, names: tuple[str, str, str]) -> None:
    """Values with their intervals (columns `names`) of every curve, and what placebo sets have in grey behind them."""
    width = min(7, 24 / data["curve"].nunique())
    for part, look, shift in style.by_curve(data, rows):
        move = {"transform": style.beside(axes, shift)}
        axes.vlines(part["neurons"], part["placebo_low"], part["placebo_high"], color="0.8", lw=width, **move)
        axes.scatter(part["neurons"], part["placebo"], marker="_", color=style.GREY, s=45, zorder=3, **move)
        axes.plot(part["neurons"], part[names[0]], color=look["color"], lw=0.8, alpha=0.6, **move)
        style.draw_with_range(axes, part, ("neurons", *names), shift=shift, s=26, **look)


def draw_pair(axes: Axes, data: pd.DataFrame, rows: pd.DataFrame, columns: tuple[str, str]) -> None:
    """Values of the Rosetta neurons (filled) and of the others (open) of every curve."""
    for part, look, shift in style.by_curve(data, rows):
        line = {"markersize": 5, "lw": 1, "transform": style.beside(axes, shift)} | look
        axes.plot(part["neurons"], part[columns[1]], ls=":", markerfacecolor="white", **line)
        axes.plot(part["neurons"], part[columns[0]], **line)


PLACEBO = Patch(color="0.8", label="placebo: random sets of other neurons, same layers")


@style.styled()
def draw_polarization(data: pd.DataFrame) -> Figure:
    """Adjusted effect with its interval and effect as measured (small, open) against neurons, and the placebo."""
    if data["effect"].isna().all():
        return style.empty_figure("No set of this study has enough Rosetta neurons to compare them with the others.")
    columns = ["adjusted_low", "adjusted_high", "effect", "placebo_low", "placebo_high"]
    figure, every_panel, handles = panels_against_size(data, "metric", columns, height=2.6)
    for axes, rows in every_panel:
        axes.axhline(0, color="0.3", lw=0.8)
        # Others that are alike have the same layers, so what layers alone do to placebo sets is taken off.
        ends = {name: rows[name] - rows["placebo"] for name in ("placebo_low", "placebo_high", "placebo")}
        draw_against_placebo(axes, data, rows.assign(**ends), ("adjusted", "adjusted_low", "adjusted_high"))
        for part, look, shift in style.by_curve(data, rows):
            open_look = look | {"facecolor": "white", "edgecolor": look["color"], "s": 12, "zorder": 4, "lw": 0.8}
            del open_look["color"]
            axes.scatter(part["neurons"], part["effect"], transform=style.beside(axes, shift), **open_look)
    look = {"color": style.GREY, "marker": "o", "lw": 0}
    handles += [
        Line2D([], [], label="filled: beside others that are alike", **look),
        Line2D([], [], markerfacecolor="white", markersize=3.5, label="small, open: as measured", **look),
        PLACEBO,
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    figure.supylabel(f"effect (rank-biserial, {style.MINUS}1 to 1)", fontsize=9)
    return figure


@style.styled()
def draw_medians(data: pd.DataFrame) -> Figure:
    """Median selectivity of the Rosetta neurons (filled) and of the other neurons (open) against neurons."""
    if data["median_rosetta"].isna().all():
        return style.empty_figure("No set of this study has enough Rosetta neurons to compare them with the others.")
    figure, every_panel, handles = panels_against_size(data, "metric", ["median_rosetta", "median_others"], height=2.4)
    for axes, rows in every_panel:
        draw_pair(axes, data, rows, ("median_rosetta", "median_others"))
    figure.legend(
        handles=handles + filled_and_open("Rosetta neurons", "the other neurons"), loc="outside upper center", ncols=4
    )
    figure.supylabel("median of the metric", fontsize=9)
    return figure


@style.styled()
def draw_specialisation(data: pd.DataFrame) -> Figure:
    """Normalised firing of the Rosetta neurons in every domain against neurons, with the placebo; 1: as all units."""
    if data["mean"].isna().all():
        return style.empty_figure("No set of this study has enough Rosetta neurons to tell what they fire on.")
    figure, every_panel, handles = panels_against_size(
        data, "domain", ["low", "high", "placebo_low", "placebo_high"], height=2.8
    )
    for axes, rows in every_panel:
        axes.axhline(1, color="0.3", lw=0.8)
        draw_against_placebo(axes, data, rows, ("mean", "low", "high"))
    figure.legend(handles=[*handles, PLACEBO], loc="outside upper center", ncols=3)
    figure.supylabel("share of contexts / share of units", fontsize=9)
    return figure


@style.styled()
def draw_families(data: pd.DataFrame) -> Figure:
    """Share of every family among the Rosetta neurons (filled) and the others (open) against neurons."""
    if data["mean"].isna().all():
        return style.empty_figure("No set of this study has enough Rosetta neurons to tell of what families they are.")
    figure, every_panel, handles = panels_against_size(data, "family", ["mean", "mean_others"], height=2.4)
    for axes, rows in every_panel:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
        top = max(rows[["mean", "mean_others"]].max(axis=None), 0.01)
        axes.set_ylim(-0.06 * top, 1.1 * top)
        draw_pair(axes, data, rows, ("mean", "mean_others"))
    figure.legend(
        handles=handles + filled_and_open("Rosetta neurons", "the other neurons"), loc="outside upper center", ncols=4
    )
    figure.supylabel("share of neurons", fontsize=9)
    return figure


FIGURES = (
    FigureEntry(
        name="polarization",
        title="Polarization of the anchor models",
        place="index.html: polarization",
        tables=("polarization",),
        pick=lambda tables: anchor_rows(tables["polarization"]),
        draw=draw_polarization,
    ),
    FigureEntry(
        name="medians",
        title="Selectivity of Rosetta and other neurons",
        place="index.html: medians",
        tables=("polarization",),
        pick=lambda tables: anchor_rows(tables["polarization"]),
        draw=draw_medians,
    ),
    FigureEntry(
        name="specialisation",
        title="Normalised firing by domain",
        place="index.html: specialisation",
        tables=("specialisation",),
        pick=lambda tables: anchor_rows(tables["specialisation"]),
        draw=draw_specialisation,
    ),
    FigureEntry(
        name="families",
        title="Families of neurons",
        place="index.html: families",
        tables=("families",),
        pick=lambda tables: anchor_rows(tables["families"]),
        draw=draw_families,
    ),
)
