"""What figures of several panels have in common: a panel per group of rows, the legend, the names of both axes."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rosetta_scaling.report.figures import style

NEURONS = "neurons per model (average over the models of a point)"
ROSETTA = "Rosetta neurons of the anchor model"
Panel = tuple[Axes, str, pd.DataFrame]


def panels_by(data: pd.DataFrame, key: str | list[str], height: float) -> tuple[Figure, list[Panel]]:
    """One panel per value of `key`, in the order of the rows: the figure, and (axes, value, rows) of every panel."""
    groups = list(data.groupby(key, sort=False))
    figure, every_axes = style.panels(len(groups), height)
    return figure, [(axes, name, rows) for axes, (name, rows) in zip(every_axes, groups, strict=True)]


def add_words(
    figure: Figure, handles: list[Artist], x: str, y: str, *, columns: int = 3, title: str | None = None
) -> None:
    """The legend above all panels, and the names of the axes that they share."""
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, title=title)
    figure.supxlabel(x, fontsize=9)
    figure.supylabel(y, fontsize=9)


def handles_of(looks: dict[str, dict], **shared) -> list[Line2D]:
    """A line of the legend for every curve or point, from `style.curve_looks` or `style.point_looks`."""
    return [Line2D([], [], label=name, **shared, **look) for name, look in looks.items()]


def filled_and_open(filled: str, opened: str) -> list[Line2D]:
    """Two lines of the legend that tell filled markers from open ones."""
    look = {"color": style.GREY, "marker": "o", "lw": 1}
    return [
        Line2D([], [], label=f"filled: {filled}", **look),
        Line2D([], [], ls=":", markerfacecolor="white", label=f"open: {opened}", **look),
    ]


def panels_against_size(
    data: pd.DataFrame, key: str, y: list[str], height: float
) -> tuple[Figure, Iterator[tuple[Axes, pd.DataFrame]], list[Line2D]]:
    """One panel against neurons per value of `key`, with limits for the columns `y`.

    Values without a number in `y` get no panel. Returns the figure, (axes, rows) of every panel, and a line of the
    legend for every curve.
    """
    groups = [group for group in data.groupby(key, sort=False) if group[1][y].notna().any(axis=None)]
    figure, every_axes = style.panels(len(groups), height, columns=4 if len(groups) > 6 else None)
    for axes, (name, rows) in zip(every_axes, groups, strict=True):
        style.log_axis(axes, "x", data["neurons"])
        low, high = axes.get_xlim()
        axes.set_xlim(low / 1.2, high * 1.2)  # curves stand beside each other
        style.linear_axis(axes, rows[y].to_numpy())
        n = rows.groupby("curve").size()
        points = f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"
        axes.set_title(f"{name.replace('_', ' ')}\nn = {points} points per curve")
    figure.supxlabel("neurons of the anchor model", fontsize=9)
    rows_of_panels = zip(every_axes, (rows for _, rows in groups), strict=True)
    return figure, rows_of_panels, handles_of(style.curve_looks(data), lw=1)
