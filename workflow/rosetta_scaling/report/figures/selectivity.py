"""The figures about what Rosetta neurons are: polarization, specialisation, families, depth. See figures.py."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rosetta_scaling.report.figures import style

# ---- over sizes ------------------------------------------------------------------------------------------------------


def panels_of(
    data: pd.DataFrame, key: str, y: list[str], height: float
) -> tuple[Figure, Iterator[tuple[Axes, pd.DataFrame]], list[Line2D]]:
    """One panel per value of `key`, with limits for the columns `y`: the figure, (axes, rows), legend handles."""
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
    handles = [Line2D([], [], lw=1, label=curve, **look) for curve, look in style.curve_looks(data).items()]
    return figure, zip(every_axes, (rows for _, rows in groups), strict=True), handles


def draw_against_placebo(axes: Axes, data: pd.DataFrame, rows: pd.DataFrame, names: tuple[str, str, str]) -> None:
    """Values with their intervals (columns `names`) of every curve, and what placebo sets have in grey behind them."""
    value, low, high = names
    width = min(7, 24 / data["curve"].nunique())
    for part, look, shift in style.by_curve(data, rows):
        move = {"transform": style.beside(axes, shift)}
        axes.vlines(part["neurons"], part["placebo_low"], part["placebo_high"], color="0.8", lw=width, **move)
        axes.scatter(part["neurons"], part["placebo"], marker="_", color=style.GREY, s=45, zorder=3, **move)
        axes.plot(part["neurons"], part[value], color=look["color"], lw=0.8, alpha=0.6, **move)
        style.draw_with_range(axes, part["neurons"], part[value], part[low], part[high], shift, s=26, **look)


def draw_pair(axes: Axes, data: pd.DataFrame, rows: pd.DataFrame, rosetta: str, others: str) -> None:
    """Values of the Rosetta neurons (filled) and of the others (open) of every curve."""
    for part, look, shift in style.by_curve(data, rows):
        line = {"markersize": 5, "lw": 1, "transform": style.beside(axes, shift)} | look
        axes.plot(part["neurons"], part[others], ls=":", markerfacecolor="white", **line)
        axes.plot(part["neurons"], part[rosetta], **line)


PLACEBO = Patch(color="0.8", label="placebo: random sets of other neurons, same layers")


def filled_and_open() -> list[Line2D]:
    look = {"color": style.GREY, "marker": "o", "lw": 1}
    return [
        Line2D([], [], label="filled: Rosetta neurons", **look),
        Line2D([], [], ls=":", markerfacecolor="white", label="open: the other neurons", **look),
    ]


@style.styled()
def draw_polarization(data: pd.DataFrame) -> Figure:
    """Adjusted effect with its interval and effect as measured (small, open) against neurons, and the placebo."""
    if data["effect"].isna().all():
        return style.empty_figure("No set of this study has enough Rosetta neurons to compare them with the others.")
    columns = ["adjusted_low", "adjusted_high", "effect", "placebo_low", "placebo_high"]
    figure, every_panel, handles = panels_of(data, "metric", columns, height=2.6)
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
    figure, every_panel, handles = panels_of(data, "metric", ["median_rosetta", "median_others"], height=2.4)
    for axes, rows in every_panel:
        draw_pair(axes, data, rows, "median_rosetta", "median_others")
    figure.legend(handles=handles + filled_and_open(), loc="outside upper center", ncols=4)
    figure.supylabel("median of the metric", fontsize=9)
    return figure


@style.styled()
def draw_specialisation(data: pd.DataFrame) -> Figure:
    """Normalised firing of the Rosetta neurons in every domain against neurons, with the placebo; 1: as all units."""
    if data["mean"].isna().all():
        return style.empty_figure("No set of this study has enough Rosetta neurons to tell what they fire on.")
    figure, every_panel, handles = panels_of(data, "domain", ["low", "high", "placebo_low", "placebo_high"], height=2.8)
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
    figure, every_panel, handles = panels_of(data, "family", ["mean", "mean_others"], height=2.4)
    for axes, rows in every_panel:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
        top = max(rows[["mean", "mean_others"]].max(axis=None), 0.01)
        axes.set_ylim(-0.06 * top, 1.1 * top)
        draw_pair(axes, data, rows, "mean", "mean_others")
    figure.legend(handles=handles + filled_and_open(), loc="outside upper center", ncols=4)
    figure.supylabel("share of neurons", fontsize=9)
    return figure


# ---- depth and layers ------------------------------------------------------------------------------------------------


@style.styled()
def draw_depth(data: pd.DataFrame) -> Figure:
    """Rosetta neurons over all neurons by relative depth, a line per point, one panel per curve; rows of depth.csv."""
    groups = list(data.groupby("curve", sort=False))
    figure, every_axes = style.panels(len(groups), height=2.4)
    looks = style.point_looks(data)
    ratio = (data["rosetta_share"] / data["neurons_share"]).to_numpy()
    for axes, (curve, group) in zip(every_axes, groups, strict=True):
        style.linear_axis(axes, np.append(ratio, 0))
        axes.axhline(1, color="0.3", lw=0.8)
        for point, part in group.groupby("point", sort=False):
            look = looks[point] | {"markersize": 4, "lw": 1}
            axes.plot(part["depth"], part["rosetta_share"] / part["neurons_share"], **look)
        axes.set_title(style.curve_title(curve, group["point"].nunique()))
        axes.set_xlim(0, 1)
    handles = [Line2D([], [], label=point, **look) for point, look in looks.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=8)
    figure.supxlabel("relative depth (0: first layer, 1: last)", fontsize=9)
    figure.supylabel("share of Rosetta / share of all neurons", fontsize=9)
    return figure


@style.styled()
def draw_diagonal(data: pd.DataFrame) -> Figure:
    """Share of matches at the same relative depth against neurons, with chance and rotated neurons; diagonal.csv."""
    data = data.assign(pair=data["curve"] + ": " + data["model_a"].str.rsplit("-", n=1).str[0] + " and "
                       + data["model_b"].str.rsplit("-", n=1).str[0])  # fmt: skip
    groups = list(data.groupby("pair", sort=False))
    figure, every_axes = style.panels(len(groups), height=2.4)
    for axes, (pair, rows) in zip(every_axes, groups, strict=True):
        style.log_axis(axes, "x", data["neurons"])
        axes.set_ylim(-0.03, 1.05)
        grey = {"color": style.GREY, "lw": 1, "markersize": 5, "markerfacecolor": "white"}
        axes.plot(rows["neurons"], rows["expected"], ls=":", marker="v", **grey)
        axes.vlines(rows["neurons"], rows["rotated_low"], rows["rotated_high"], color="0.75", lw=5)
        axes.plot(rows["neurons"], rows["rotated"], ls=":", marker="s", **grey)
        look = {"color": style.colour(0), "marker": "o"}
        style.draw_with_range(axes, rows["neurons"], rows["share"], rows["low"], rows["high"], s=30, **look)
        axes.set_title(style.curve_title(pair, len(rows), width=34))
    look = {"color": style.GREY, "ls": ":", "lw": 1, "markerfacecolor": "white"}
    handles = [
        Line2D([], [], color=style.colour(0), marker="o", lw=0, label="matches"),
        Line2D([], [], marker="s", label="null: rotated neurons", **look),
        Line2D([], [], marker="v", label="partners dealt anew", **look),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    figure.supxlabel("neurons per model (average over the models of a point)", fontsize=9)
    figure.supylabel("share of matches at the same relative depth", fontsize=9)
    return figure


def layer_matrix(group: pd.DataFrame, value: str) -> pd.DataFrame:
    return group.pivot_table(index="layer_a", columns="layer_b", values=value, dropna=False)


@style.styled()
def draw_layers(data: pd.DataFrame) -> Figure:
    """Two heatmaps per curve: matches between the layers of its two models, and matches over chance (log colours)."""
    if data.empty:
        return style.empty_figure("No curve of two models in this study, or no match between layers.")
    import seaborn as sns

    groups = list(data.groupby(["curve", "model_a", "model_b"], sort=False))
    figure, every_axes = style.panels(2 * len(groups), height=2.2, columns=2 if len(groups) == 1 else 4)
    bound = np.log2(np.clip(data["ratio"].max(), 2, 64))
    for i, ((_, model_a, model_b), group) in enumerate(groups):
        matches, ratio = (layer_matrix(group, value) for value in ("matches", "ratio"))
        small = matches.size <= 36  # more numbers than that cannot be read
        with np.errstate(divide="ignore"):
            shade = np.log2(ratio).clip(-bound, bound)
        look = {"square": small, "cbar_kws": {"shrink": 0.7 if small else 1}, "annot_kws": {"fontsize": 7}}
        for axis, layers in zip(("y", "x"), matches.shape, strict=True):
            look[f"{axis}ticklabels"] = math.ceil(layers / 6)  # every nth layer, so that labels never overlap
        left, right = every_axes[2 * i : 2 * i + 2]
        sns.heatmap(matches, cmap="mako_r", annot=small, fmt=".0f", vmin=0, ax=left, **look)
        words = ratio.map(lambda r: "" if pd.isna(r) else f"{r:.2g}") if small else False
        sns.heatmap(shade, cmap="vlag", annot=words, fmt="", vmin=-bound, vmax=bound, ax=right, **look)
        right.collections[0].colorbar.ax.yaxis.set_major_formatter(lambda value, _: f"{2**value:.2g}{style.TIMES}")
        left.set_title(f"matches (sum {matches.to_numpy().sum():,.0f})")
        right.set_title("matches / chance")
        for axes in (left, right):
            axes.set(xlabel=f"layer of {model_b}", ylabel=f"layer of {model_a}")
            axes.tick_params(rotation=0)
            axes.invert_yaxis()
    return figure
