"""The figures of where in the networks Rosetta neurons lie, and which layers match."""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rosetta_scaling.report.figures import style
from rosetta_scaling.report.figures.data import diagonal_data, layers_data
from rosetta_scaling.report.figures.entry import FigureEntry
from rosetta_scaling.report.figures.panels import NEURONS, add_words, handles_of, panels_by


@style.styled()
def draw_depth(data: pd.DataFrame) -> Figure:
    """Rosetta neurons over all neurons by relative depth, a line per point, one panel per curve; rows of depth.csv."""
    figure, panels = panels_by(data, "curve", height=2.4)
    looks = style.point_looks(data)
    ratio = (data["rosetta_share"] / data["neurons_share"]).to_numpy()
    for axes, curve, group in panels:
        style.linear_axis(axes, np.append(ratio, 0))
        axes.axhline(1, color="0.3", lw=0.8)
        for point, part in group.groupby("point", sort=False):
            look = looks[point] | {"markersize": 4, "lw": 1}
            axes.plot(part["depth"], part["rosetta_share"] / part["neurons_share"], **look)
        axes.set_title(style.curve_title(curve, group["point"].nunique()))
        axes.set_xlim(0, 1)
    add_words(
        figure,
        handles_of(looks),
        "relative depth (0: first layer, 1: last)",
        "share of Rosetta / share of all neurons",
        columns=8,
    )
    return figure


@style.styled()
def draw_diagonal(data: pd.DataFrame) -> Figure:
    """Share of matches at the same relative depth against neurons, with chance and rotated neurons; diagonal.csv."""
    data = data.assign(pair=data["curve"] + ": " + data["model_a"].str.rsplit("-", n=1).str[0] + " and "
                       + data["model_b"].str.rsplit("-", n=1).str[0])  # fmt: skip
    figure, panels = panels_by(data, "pair", height=2.4)
    for axes, pair, rows in panels:
        style.log_axis(axes, "x", data["neurons"])
        axes.set_ylim(-0.03, 1.05)
        grey = {"color": style.GREY, "lw": 1, "markersize": 5, "markerfacecolor": "white"}
        axes.plot(rows["neurons"], rows["expected"], ls=":", marker="v", **grey)
        axes.vlines(rows["neurons"], rows["rotated_low"], rows["rotated_high"], color="0.75", lw=5)
        axes.plot(rows["neurons"], rows["rotated"], ls=":", marker="s", **grey)
        share = ("neurons", "share", "low", "high")
        style.draw_with_range(axes, rows, share, s=30, color=style.colour(0), marker="o")
        axes.set_title(style.curve_title(pair, len(rows), width=34))
    look = {"color": style.GREY, "ls": ":", "lw": 1, "markerfacecolor": "white"}
    handles = [
        Line2D([], [], color=style.colour(0), marker="o", lw=0, label="matches"),
        Line2D([], [], marker="s", label="null: rotated neurons", **look),
        Line2D([], [], marker="v", label="partners dealt anew", **look),
    ]
    add_words(figure, handles, NEURONS, "share of matches at the same relative depth")
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
    layout = figure.get_layout_engine()
    figure.set_layout_engine("none")  # seaborn draws the figure for every heatmap, which needs no layout
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
    figure.set_layout_engine(layout)
    return figure


FIGURES = (
    FigureEntry(
        name="depth",
        title="Depth of Rosetta neurons",
        place="index.html: depth",
        tables=("depth",),
        pick=lambda tables: tables["depth"],
        draw=draw_depth,
    ),
    FigureEntry(
        name="diagonal",
        title="Matches between layers of the same relative depth",
        place="index.html: depth",
        tables=("diagonal", "counts"),
        pick=lambda tables: diagonal_data(tables["diagonal"], tables["counts"]),
        draw=draw_diagonal,
    ),
    FigureEntry(
        name="layers",
        title="Matches between layers",
        place="index.html: layers",
        tables=("layers", "counts"),
        pick=lambda tables: layers_data(tables["layers"], tables["counts"]),
        draw=draw_layers,
    ),
)
