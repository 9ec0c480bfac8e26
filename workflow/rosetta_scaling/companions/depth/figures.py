"""Figures of the study of inverse depth scaling. Every `*_data` picks the rows, every `draw_*` draws them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rosetta_scaling.report.figures import style
from rosetta_scaling.report.figures.entry import CompanionFigure

NAMES = {
    "independent": "independent teachers",
    "tied": "tied teachers",
    "tied_euler": "tied teachers, Euler start",
}
SHADES = dict(zip(NAMES, style.COLOURS, strict=False))
LOSS, START = "loss", "start_loss"


# -- loss --------------------------------------------------------------------------------------------------------------


def loss_data(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Loss over that of the identity, by teacher: mean, lowest, highest; with the exponent of the same students.

    Rows of start_loss are of students before training, where that is not the identity.
    """
    losses, keys = tables["losses"], ["regime", "steps", "depth", "teacher"]
    longest = losses.steps.max()
    parts = []
    for name in (LOSS, START):
        rows = losses if name == LOSS else losses[(losses.regime == "tied_euler") & (losses.steps == longest)]
        relative = rows.assign(relative=rows[name] / rows.identity_loss).groupby(keys, as_index=False).relative.mean()
        ends = relative.groupby(keys[:3], as_index=False).relative.agg(["mean", "min", "max"])
        parts.append(ends.assign(quantity=name))
    exponents = tables["exponents"]
    whole = exponents[exponents.points == exponents.points.max()]
    whole = whole[["regime", "steps", "quantity", "value", "low", "high"]]
    return pd.concat(parts, ignore_index=True).merge(whole, on=["regime", "steps", "quantity"])


@style.styled()
def draw_loss(data: pd.DataFrame) -> Figure:
    """Relative loss against depth, for both lengths of training, beside lines of slope -1 and -3."""
    figure, axes = style.panels(len(NAMES), height=3.4)
    lengths = sorted(data["steps"].unique())
    for ax, (regime, title) in zip(axes, NAMES.items(), strict=True):
        rows = data[data["regime"] == regime]
        for i, ((name, steps), group) in enumerate(rows.groupby(["quantity", "steps"], sort=False)):
            look = {"color": SHADES[regime] if steps == lengths[-1] else style.GREY, "marker": style.marker(i)}
            look |= {"mfc": "white", "color": "0.2"} if name == START else {}
            row = group.iloc[0]
            words = "before training" if name == START else f"{steps:,} steps"
            label = f"{words}: {row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
            ax.vlines(group["depth"], group["min"], group["max"], color=look["color"], lw=1.2)
            ax.plot(group["depth"], group["mean"], lw=1.2, ms=5, label=label, **look)
        depth = np.array(sorted(rows["depth"].unique()), float)
        top = rows["mean"].max()
        for slope, dash in ((1, ":"), (3, "--")):
            ax.plot(depth, top * (depth / depth[0]) ** -slope, color="0.6", lw=1, ls=dash, zorder=1)
        style.log_axis(ax, "x", depth)
        lowest = data["min"].min() / 4  # room for the legend
        style.log_axis(ax, "y", [lowest, data["max"].max()], smallest=lowest)
        ax.set_xticks(depth, [f"{d:g}" for d in depth])
        ax.set(title=title, xlabel="layers of the student")
        ax.legend(
            title="exponent",
            loc="lower left",
            fontsize=8,
            title_fontsize=8,
            frameon=True,
            framealpha=1,
            edgecolor="white",
        )
    axes[0].set_ylabel("loss / loss of the identity")
    handles = [
        Line2D([], [], color="0.6", ls=dash, lw=1, label=f"depth$^{{-{slope}}}$")
        for slope, dash in ((1, ":"), (3, "--"))
    ]
    handles.append(Line2D([], [], color="0.2", marker="|", ls="", label="lowest to highest teacher"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def local_data(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Exponents of the loss between neighbouring depths, for every length of training."""
    exponents = tables["exponents"]
    rows = exponents[(exponents.points == 2) & exponents.quantity.isin([LOSS, START])]
    return rows.assign(depth=np.sqrt(rows["first"] * rows["last"])).reset_index(drop=True)


@style.styled()
def draw_local(data: pd.DataFrame) -> Figure:
    """Local exponents against depth: what a single number hides."""
    figure, axes = style.panels(len(NAMES), height=2.8)
    lengths, limits = sorted(data["steps"].unique()), (min(0, data["low"].min()), max(3.2, data["high"].max()))
    for ax, (regime, title) in zip(axes, NAMES.items(), strict=True):
        rows = data[data["regime"] == regime]
        groups = list(rows.groupby(["quantity", "steps"], sort=False))
        for i, (((name, steps), group), shift) in enumerate(zip(groups, style.shifts(len(groups)), strict=True)):
            shade = "0.2" if name == START else SHADES[regime] if steps == lengths[-1] else style.GREY
            label = "before training" if name == START else f"{steps:,} steps"
            look = {"color": shade, "marker": style.marker(i), "s": 26, "label": label}
            style.draw_with_range(ax, group, ("depth", "value", "low", "high"), shift=shift, **look)
        for level in (1, 3):
            ax.axhline(level, color="0.2", ls=":", lw=1)
        style.log_axis(ax, "x", [rows["first"].min(), rows["last"].max()])
        places = rows.drop_duplicates("depth").sort_values("depth")
        ax.set_xticks(places["depth"], [f"{a} to {b}" for a, b in zip(places["first"], places["last"], strict=True)])
        ax.set(title=title, xlabel="layers", ylim=(limits[0] - 0.1, limits[1] + 0.1))
        ax.legend(loc="upper left", fontsize=8)
    axes[0].set_ylabel("exponent of the loss between them")
    return figure


# -- angles ------------------------------------------------------------------------------------------------------------


def angles_data(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """After the longer training: angles against depth (no layer), and by layer of the deepest students."""
    turns, angles = (tables[name][tables[name].steps == tables[name].steps.max()] for name in ("turns", "angles"))
    deepest = angles[angles.depth == angles.depth.max()]
    by_layer = deepest.melt(["regime", "steps", "depth", "network", "layer"], ["step_angle", "update_angle"], "angle")
    return pd.concat([turns, by_layer], ignore_index=True).drop(columns="teachers")


@style.styled()
def draw_angles(data: pd.DataFrame) -> Figure:
    """Step and update angles over pi, against the depth of students (left) and by layer of the deepest (right)."""
    figure, axes = style.panels(4, height=2.9)
    data = data.assign(**{name: data[name] / np.pi for name in ("value", "low", "high")})
    regimes = [regime for regime in NAMES if regime != "tied_euler"]
    for row, (name, words) in enumerate((("step_angle", "step"), ("update_angle", "update"))):
        left, right = axes[2 * row], axes[2 * row + 1]
        rows = data[(data["angle"] == name) & data["regime"].isin(regimes)]
        for i, ((regime, network), group) in enumerate(rows.groupby(["regime", "network"], sort=False)):
            look = {"color": SHADES[regime], "marker": style.marker(i), "ms": 5, "lw": 1.2}
            look |= {"mfc": "white", "ls": "--"} if network == "untrained" else {}
            means, layers = group[group["layer"].isna()], group[group["layer"].notna()]
            left.vlines(means["depth"], means["low"], means["high"], color=look["color"], lw=1.2)
            left.plot(means["depth"], means["value"], **look)
            right.plot(layers["layer"] + 1, layers["value"], **look)
        depth = np.array(sorted(rows["depth"].unique()), float)
        left.set_xscale("log")
        if name == "step_angle":
            top = rows[rows["layer"].isna()]["value"].max()
            for slope, dash in ((1, ":"), (0.5, "-.")):
                left.plot(depth, top * (depth / depth[0]) ** -slope, color="0.6", lw=1, ls=dash, zorder=1)
            style.log_axis(left, "y", rows[rows["layer"].isna()]["value"], smallest=rows["value"].min())
        else:
            for ax in (left, right):
                ax.axhline(0.5, color="0.2", ls=":", lw=1)
                ax.set_ylim(0, 0.65)
        style.log_axis(left, "x", depth)
        left.set_xticks(depth, [f"{d:g}" for d in depth])
        left.set(xlabel="layers of the student", ylabel=f"{words} angle / \N{GREEK SMALL LETTER PI}, mean")
        right.set(xlabel=f"layer of a student with {depth[-1]:g}", ylabel=f"{words} angle / \N{GREEK SMALL LETTER PI}")
    handles = [
        Line2D([], [], color=SHADES[regime], marker="o", mfc=None if network == "trained" else "white",
               ls="-" if network == "trained" else "--", label=f"{NAMES[regime]}, {network}")
        for regime in regimes for network in ("trained", "untrained")
    ]  # fmt: skip
    handles += [
        Line2D([], [], color="0.6", ls=dash, lw=1, label=f"depth$^{{{-slope:g}}}$")
        for slope, dash in ((1, ":"), (0.5, "-."))
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


# -- matches -----------------------------------------------------------------------------------------------------------


def matrices_data(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Matrices of layers after the longer training, of the deepest students but one: fine enough and readable."""
    layers = tables["layers"]
    depths = sorted(layers.depth.unique())
    return layers[(layers.steps == layers.steps.max()) & (layers.depth == depths[-2])].reset_index(drop=True)


@style.styled()
def draw_matrices(data: pd.DataFrame) -> Figure:
    """Where the matches of a layer lie: between the students of a teacher (above) and inside a student (below)."""
    groups = [(regime, network) for regime in ("tied", "independent") for network in ("trained", "untrained")]
    figure, axes = style.panels(8, height=2.1, columns=4)
    depth = int(data["depth"].iloc[0])
    for i, kind in enumerate(("between", "inside")):
        for j, (regime, network) in enumerate(groups):
            ax = axes[4 * i + j]
            rows = data[(data["kind"] == kind) & (data["regime"] == regime) & (data["network"] == network)]
            matrix = np.zeros((depth, depth))
            matrix[rows["layer_a"], rows["layer_b"]] = rows["matches"]
            share = matrix / matrix.sum(1, keepdims=True).clip(min=1)
            image = ax.imshow(share, cmap="Blues", vmin=0, vmax=0.5, origin="lower")
            ax.set_title(f"{NAMES[regime]},\n{network}" if i == 0 else "", fontsize=8)
            ticks = [0, depth - 1]
            ax.set_xticks(ticks, [str(t + 1) for t in ticks])
            ax.set_yticks(ticks, [str(t + 1) for t in ticks])
            ax.grid(visible=False)
            ax.set_xlabel("layer of the partner", labelpad=-6)
            if j == 0:
                ax.set_ylabel({"between": "layer\n(between students)", "inside": "layer\n(inside a student)"}[kind])
    figure.colorbar(image, ax=axes, label="share of a layer's matches", shrink=0.6, extend="max")
    return figure


def rosetta_data(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Kappa and shares of Rosetta neurons, of trained and untrained students, after the longer training."""
    rosetta = tables["rosetta"]
    chosen = rosetta.quantity.isin(["kappa", "rosetta", "inside_rosetta"]) & (rosetta.network != "excess")
    return rosetta[(rosetta.steps == rosetta.steps.max()) & chosen].reset_index(drop=True)


@style.styled()
def draw_rosetta(data: pd.DataFrame) -> Figure:
    """How diagonal the matrix is, and how many neurons are shared between students and between layers of a student."""
    panels = {
        "kappa": "kappa of the layers of matches",
        "rosetta": "Rosetta neurons between students",
        "inside_rosetta": "neurons repeated in another layer",
    }
    figure, axes = style.panels(len(panels), height=3.0)
    for ax, (quantity, title) in zip(axes, panels.items(), strict=True):
        rows = data[data["quantity"] == quantity]
        groups = list(rows.groupby(["regime", "network"], sort=False))
        for i, (((regime, network), group), shift) in enumerate(zip(groups, style.shifts(len(groups)), strict=True)):
            look = {"color": SHADES[regime], "marker": style.marker(i), "s": 28, "edgecolor": SHADES[regime]}
            look |= {"color": "white"} if network == "untrained" else {}
            label = f"{NAMES[regime]}, {network}"
            columns = ("depth", "value", "low", "high")
            style.draw_with_range(ax, group, columns, shift=shift, label=label, **look)
        depth = np.array(sorted(rows["depth"].unique()), float)
        style.log_axis(ax, "x", depth)
        ax.set_xticks(depth, [f"{d:g}" for d in depth])
        ax.axhline(0, color="0.2", ls=":", lw=1)
        style.linear_axis(ax, rows[["low", "high", "value"]].to_numpy())
        ax.set(title=title, xlabel="layers of the students", ylabel="kappa" if quantity == "kappa" else "share")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


FIGURES = (
    CompanionFigure(
        name="loss",
        tables=("losses", "exponents"),
        pick=lambda tables, _: loss_data(tables),
        draw=lambda rows, *_: draw_loss(rows),
    ),
    CompanionFigure(
        name="local",
        tables=("exponents",),
        pick=lambda tables, _: local_data(tables),
        draw=lambda rows, *_: draw_local(rows),
    ),
    CompanionFigure(
        name="angles",
        tables=("turns", "angles"),
        pick=lambda tables, _: angles_data(tables),
        draw=lambda rows, *_: draw_angles(rows),
    ),
    CompanionFigure(
        name="matrices",
        tables=("layers",),
        pick=lambda tables, _: matrices_data(tables),
        draw=lambda rows, *_: draw_matrices(rows),
    ),
    CompanionFigure(
        name="rosetta",
        tables=("rosetta",),
        pick=lambda tables, _: rosetta_data(tables),
        draw=lambda rows, *_: draw_rosetta(rows),
    ),
)
