"""Figures of modes, pairs and shared neurons of the lottery study (see figures.py)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rosetta_scaling.companions.lottery.activations import ONE_DIMENSION
from rosetta_scaling.companions.lottery.figures import NAMES, each_run, width_axis
from rosetta_scaling.report.figures import style
from rosetta_scaling.report.figures.entry import CompanionFigure

TARGET_TITLES = {ONE_DIMENSION: "one input", "distinct": "distinct eigenvalues", "isotropic": "equal eigenvalues"}
SHARES = ("width", "share", "low", "high")
NULL_LOOKS = {
    "null_other": ("mirror partners in another network", "o"),
    "null_sign": ("signs drawn anew", "s"),
    "null_untrained": ("untrained networks", "D"),
    "null_shuffled": ("parameters dealt anew", "^"),
}


@style.styled()
def draw_modes(data: pd.DataFrame, mode_share: float) -> Figure:
    """Histogram of the losses of networks with two neurons, coloured by mode, with the asymmetry of each."""
    figure, axes = style.panels(4, height=2.6)
    logs = np.log10(data["loss"])
    edges = np.arange(np.floor(logs.min()), np.ceil(logs.max()) + 0.1, 0.1)
    for ax, title, part in each_run(data, axes):
        kept = sorted(part.loc[part["share"] >= mode_share, "mode"].unique())
        shades = {mode: style.colour(i) for i, mode in enumerate(kept)}
        bottom, highest = np.zeros(len(edges) - 1), 0
        for mode, group in part.groupby("mode"):
            found, _ = np.histogram(np.log10(group["loss"]), edges)
            ax.bar(edges[:-1], found, 0.1, bottom, align="edge", color=shades.get(mode, "0.8"))
            bottom += found
            if mode in shades:
                place = edges[found.argmax()] + 0.05
                text = f"{group['asymmetry'].median():.2f}\n{len(group) / len(part):.0%}"
                ax.annotate(text, (place, found.max()), (0, 3), textcoords="offset points", ha="center", fontsize=8)
                highest = max(highest, found.max())
        ax.set(title=title, xlabel="log10 of the mean squared error", ylabel="networks", ylim=(0, 1.35 * highest))
    handles = [Line2D([], [], color="0.8", lw=6, label=f"modes with less than {mode_share:.0%} of the seeds")]
    words = "numbers: median asymmetry (0 is a perfect pair), share of the seeds"
    figure.legend(handles=handles, loc="outside lower center", title=words)
    return figure


def tickets_data(tickets: pd.DataFrame, mode_share: float) -> pd.DataFrame:
    """Networks of the best mode of every run, among the modes that hold enough networks."""
    kept = tickets[tickets["share"] >= mode_share]
    best = kept.groupby(["activation", "steps"])["mode"].transform("min")
    return kept[kept["mode"] == best]


@style.styled()
def draw_tickets(data: pd.DataFrame) -> Figure:
    """Weight and bias of both neurons of every network in the best mode."""
    figure, axes = style.panels(4, height=2.8)
    for ax, title, part in each_run(data, axes):
        ax.plot(part[["w1", "w2"]].to_numpy().T, part[["b1", "b2"]].to_numpy().T, color="0.8", lw=0.6, zorder=1)
        for name in ("1", "2"):
            ax.scatter(part[f"w{name}"], part[f"b{name}"], s=14, color=style.COLOURS[0], lw=0, alpha=0.6)
        ax.axvline(0, color="0.2", ls=":", lw=1)
        ax.set(title=f"{title}, {len(part)} networks", xlabel="weight w", ylabel="bias b")
    handles = [
        Line2D([], [], color=style.COLOURS[0], marker="o", ls="", ms=4, label="neurons"),
        Line2D([], [], color="0.8", label="of one network: level where they mirror each other"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


@style.styled()
def draw_neurons(data: pd.DataFrame) -> Figure:
    """Weight and bias of all neurons of one wide network, with the mirror image of every neuron."""
    figure, axes = style.panels(4, height=2.8)
    for ax, title, part in each_run(data, axes):
        ax.scatter(-part["w"], part["b"], s=34, facecolor="none", edgecolor=style.GREY, lw=0.8)
        ax.scatter(part["w"], part["b"], s=9, color=style.COLOURS[0], lw=0, zorder=4)
        ax.set(title=f"{title}, width {part['width'].iloc[0]}", xlabel="weight w", ylabel="bias b")
    handles = [
        Line2D([], [], color=style.COLOURS[0], marker="o", ls="", ms=4, label="neurons"),
        Line2D([], [], color=style.GREY, marker="o", mfc="none", ls="", label="their mirror images: a pair fills one"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


@style.styled()
def draw_shares(data: pd.DataFrame, ylabel: str) -> Figure:
    """Share of neurons in symmetric pairs, or shared with another network, beside its nulls."""
    figure, axes = style.panels(4, height=2.6)
    nulls = [null for null in NULL_LOOKS if null in data]
    for ax, title, part in each_run(data, axes):
        style.draw_with_range(ax, part, SHARES, color=style.COLOURS[0], marker="o", s=30)
        for i, null in enumerate(nulls):
            look = {"color": style.GREY, "mfc": "white", "ms": 5, "ls": "", "transform": style.beside(ax, 6 + 5 * i)}
            ax.plot(part["width"], part[null], marker=NULL_LOOKS[null][1], **look)
        if "copies" in part:
            ax.plot(part["width"], part["copies"], color=style.COLOURS[1], marker="x", ls="", ms=5)
        width_axis(ax, data["width"])
        ax.set(title=title, ylabel=ylabel, ylim=(-0.01, 1.1 * data[["high", *nulls]].max(axis=None)))
    handles = [Line2D([], [], color=style.COLOURS[0], marker="o", ls="", label="trained networks")]
    if "copies" in data:
        handles.append(Line2D([], [], color=style.COLOURS[1], marker="x", ls="", label="like one in its own network"))
    looks = {"color": style.GREY, "mfc": "white", "ls": ""}
    handles += [Line2D([], [], marker=NULL_LOOKS[n][1], label=f"null: {NULL_LOOKS[n][0]}", **looks) for n in nulls]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


@style.styled()
def draw_activations(data: pd.DataFrame) -> Figure:
    """Share of neurons matched by activations on every target, trained and untrained."""
    figure, axes = style.panels(3, height=3.0)
    for ax, (target, title) in zip(axes, TARGET_TITLES.items(), strict=True):
        of_this = data[data["target"] == target]
        for i, activation in enumerate(NAMES):
            part = of_this[of_this["activation"] == activation]
            shift, look = (-3, 3)[i], {"color": style.colour(i), "marker": style.marker(i), "s": 26}
            style.draw_with_range(ax, part, SHARES, shift=shift, **look)
            look = {"color": style.colour(i), "mfc": "white", "ls": "", "ms": 5, "transform": style.beside(ax, shift)}
            ax.plot(part["width"], part["null_untrained"], style.marker(i), **look)
        width_axis(ax, of_this["width"])
        alone = target == ONE_DIMENSION  # the two quadratic forms are compared, on one scale
        of_scale = data[(data["target"] == ONE_DIMENSION) == alone]
        top = of_scale[["high", "null_untrained"]].max(axis=None)
        ax.set(title=title, ylabel="share of neurons matched", ylim=(-0.04 * top, 1.1 * top))
    handles = [
        Line2D([], [], color=style.colour(i), marker=style.marker(i), ls="", label=f"{name}, trained")
        for i, name in enumerate(NAMES.values())
    ]
    handles += [
        Line2D([], [], color=style.colour(i), marker=style.marker(i), mfc="white", ls="", label=f"{name}, untrained")
        for i, name in enumerate(NAMES.values())
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


FIGURES = (
    CompanionFigure(
        name="modes",
        tables=("tickets",),
        pick=lambda tables, _: tables["tickets"],
        draw=lambda rows, _, settings: draw_modes(rows, settings.mode_share),
    ),
    CompanionFigure(
        name="tickets",
        tables=("tickets",),
        pick=lambda tables, settings: tickets_data(tables["tickets"], settings.mode_share),
        draw=lambda rows, *_: draw_tickets(rows),
    ),
    CompanionFigure(
        name="neurons",
        tables=("neurons",),
        pick=lambda tables, _: tables["neurons"],
        draw=lambda rows, *_: draw_neurons(rows),
    ),
    CompanionFigure(
        name="pairs",
        tables=("pairs",),
        pick=lambda tables, _: tables["pairs"],
        draw=lambda rows, *_: draw_shares(rows, "share of neurons in pairs"),
    ),
    CompanionFigure(
        name="matches",
        tables=("matches",),
        pick=lambda tables, _: tables["matches"],
        draw=lambda rows, *_: draw_shares(rows, "share of neurons shared"),
    ),
    CompanionFigure(
        name="activations",
        tables=("activations",),
        pick=lambda tables, _: tables["activations"],
        draw=lambda rows, *_: draw_activations(rows),
    ),
)
