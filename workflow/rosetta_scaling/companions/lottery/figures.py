"""Figures of losses and ensembles of the lottery study: every `draw_*` turns the rows of a table into a Figure."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rosetta_scaling.report.figures import style

NAMES = {"silu": "SiLU", "relu": "ReLU"}
GUIDE = {"color": "0.2", "lw": 1}


def each_run(data: pd.DataFrame, axes: list[Axes]) -> Iterator[tuple[Axes, str, pd.DataFrame]]:
    """One panel for every activation and training length, with its title."""
    for ax, ((activation, steps), part) in zip(axes, data.groupby(["activation", "steps"], sort=False), strict=False):
        yield ax, f"{NAMES[activation]}, {steps:,} steps", part


def width_axis(axes: Axes, widths: pd.Series) -> None:
    """A tick at every width: they are octaves."""
    style.log_axis(axes, "x", widths)
    axes.set_xticks(sorted(widths.unique()), [str(width) for width in sorted(widths.unique())])
    axes.set_xlabel("hidden neurons")


@style.styled()
def draw_losses(data: pd.DataFrame) -> Figure:
    """Median loss against width at both training lengths, the fit in its window, and what theory gives.

    data: the table of losses with the columns first, last, alpha and c of the fits.
    """
    figure, axes = style.panels(2, height=3.4, columns=2)
    for ax, activation in zip(axes, NAMES, strict=True):
        of_this = data[data["activation"] == activation]
        for i, (_, part) in enumerate(of_this.groupby("steps")):
            look = {"color": style.colour(i), "marker": style.marker(i)}
            shift = (-2, 2)[i]
            style.draw_with_range(ax, part, ("width", "median", "low", "high"), shift=shift, s=26, **look)
            ax.plot(part["width"], part["best"], "_", color=look["color"], ms=9, transform=style.beside(ax, shift))
            x = part[["first", "last"]].iloc[0].to_numpy(float)
            ax.plot(x, part["c"].iloc[0] * x ** part["alpha"].iloc[0], color=look["color"], lw=1.4)
        widths = of_this["width"].drop_duplicates().to_numpy()
        anchor = of_this[of_this["width"] == of_this["first"]].iloc[0]  # where the window begins
        for power, line in ((-1, ":"), (-4, "--")):
            ax.plot(widths, anchor["median"] * (widths / anchor["width"]) ** power, ls=line, **GUIDE)
        ax.plot(widths, of_this["optimum"].iloc[: len(widths)], color=style.COLOURS[2], lw=1.4)
        width_axis(ax, of_this["width"])
        style.log_axis(ax, "y", [data["best"].min() / 2, 1], smallest=1e-12)
        ax.set(title=NAMES[activation], ylabel="mean squared error")
    handles = [
        Line2D([], [], color=style.colour(i), marker=style.marker(i), label=f"{steps:,} steps: median, fit")
        for i, steps in enumerate(sorted(data["steps"].unique()))
    ]
    handles += [
        Line2D([], [], color=style.GREY, marker="_", ls="", ms=9, label="best seed"),
        Line2D([], [], ls=":", label=f"slope {style.MINUS}1", **GUIDE),
        Line2D([], [], ls="--", label=f"slope {style.MINUS}4", **GUIDE),
        Line2D([], [], color=style.COLOURS[2], label="least error of any ReLU network"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


@style.styled()
def draw_slopes(data: pd.DataFrame, window: tuple[int, int]) -> Figure:
    """All local slopes with their intervals."""
    figure, axes = style.panels(2, height=3.0, columns=2)
    lengths = sorted(data["steps"].unique())
    for ax, activation in zip(axes, NAMES, strict=True):
        of_this = data[data["activation"] == activation].assign(middle=lambda rows: rows["width"] * 2**0.5)
        ax.axvspan(*window, color="0.95", zorder=0)
        for i, (_, part) in enumerate(of_this.groupby("steps")):
            look = {"color": style.colour(i), "marker": style.marker(i)}
            style.draw_with_range(ax, part, ("middle", "slope", "low", "high"), shift=(-3, 3)[i], s=26, **look)
        ax.axhline(-1, ls=":", **GUIDE)
        ax.axhline(-4, ls="--", **GUIDE)
        if activation == "relu":
            one = of_this[of_this["steps"] == lengths[0]]
            ax.plot(one["middle"], one["optimum_slope"], color=style.COLOURS[2], lw=1.4)
        width_axis(ax, pd.concat([data["width"], data["next_width"]]))
        ax.set(title=NAMES[activation], ylabel="local slope", ylim=(data["low"].min() - 0.3, data["high"].max() + 0.3))
    handles = [
        Line2D([], [], color=style.colour(i), marker=style.marker(i), ls="", label=f"{steps:,} steps")
        for i, steps in enumerate(lengths)
    ]
    handles += [
        Line2D([], [], ls=":", label=f"{style.MINUS}1", **GUIDE),
        Line2D([], [], ls="--", label=f"{style.MINUS}4", **GUIDE),
        Line2D([], [], color=style.COLOURS[2], label="of the least error of any ReLU network"),
        Line2D([], [], color="0.9", lw=6, label="window of the fit"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


@style.styled()
def draw_curves(data: pd.DataFrame, constant: float) -> Figure:
    """Loss of every width while training goes on, and when the learning rate begins to fall."""
    figure, axes = style.panels(4, height=2.6)
    widths = sorted(data["width"].unique())
    shades = [str(shade) for shade in np.linspace(0.8, 0.0, len(widths))]
    for ax, title, part in each_run(data, axes):
        for width, shade in zip(widths, shades, strict=True):
            group = part[part["width"] == width]
            ax.plot(group["step"], group["loss"], color=shade, lw=1.3)
        ax.axvline(constant * part["step"].max(), color=style.COLOURS[1], ls="--", lw=1)
        style.log_axis(ax, "x", [10, data["step"].max()])
        style.log_axis(ax, "y", data["loss"], smallest=1e-12)
        ax.set(title=title, xlabel="step", ylabel="median training loss")
    handles = [Line2D([], [], color=shade, label=str(width)) for width, shade in zip(widths, shades, strict=True)]
    handles.append(Line2D([], [], color=style.COLOURS[1], ls="--", label="learning rate begins to fall"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), title="hidden neurons")
    return figure


@style.styled()
def draw_ensembles(data: pd.DataFrame) -> Figure:
    """Loss of averages of k networks of the better half, their bias, and networks k times as wide."""
    figure, axes = style.panels(4, height=2.9)
    widths = sorted(data["width"].unique())[::2]
    for ax, title, part in each_run(data, axes):
        for i, width in enumerate(widths):
            group = part[part["width"] == width].sort_values("k")
            ax.plot(group["k"], group["expected"], color=style.colour(i), lw=1.2)
            ax.plot(group["k"], group["loss"], style.marker(i), color=style.colour(i), ms=5)
            ax.plot(group["k"], group["bias2"], color=style.colour(i), ls=":", lw=1.2)
            wide = group[group["k"] > 1]
            ax.plot(wide["k"], wide["trained"], style.marker(i), color=style.colour(i), mfc="white", ms=5)
        style.log_axis(ax, "x", data["k"])
        ax.set_xticks(sorted(data["k"].unique()), [str(k) for k in sorted(data["k"].unique())])
        shown = part[part["width"].isin(widths)]
        style.log_axis(ax, "y", pd.concat([shown["loss"], shown["bias2"], shown["trained"]]).dropna(), smallest=1e-12)
        ax.set(title=title, xlabel="networks averaged, k", ylabel="mean squared error")
    handles = [
        Line2D([], [], color=style.colour(i), marker=style.marker(i), label=f"averages of width {width}")
        for i, width in enumerate(widths)
    ]
    handles += [
        Line2D([], [], color=style.GREY, ls=":", label="their bias squared"),
        Line2D([], [], color=style.GREY, marker="o", mfc="white", ls="", label="one network, k times as wide"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure
