"""Figures of the theory: simulated networks, and the isolation of Rosetta neurons."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rosetta_scaling.report.figures import style
from rosetta_scaling.report.figures.data import primary
from rosetta_scaling.report.figures.entry import FigureEntry
from rosetta_scaling.schemas.nulls import drawn_nulls


@style.styled()
def draw_simulation(data: pd.DataFrame) -> Figure:
    """Counts of simulated networks against the closed form, their null, and the correlation error."""
    figure, axes = style.panels(2, height=3.2, columns=2)
    means = data.groupby(["beta", "neurons"], as_index=False).mean(numeric_only=True)
    for i, (beta, group) in enumerate(means.groupby("beta")):
        look = {"color": style.colour(i)}
        axes[0].plot(group["neurons"], group["predicted"], lw=1.2, **look)
        axes[0].scatter(
            group["neurons"], group["matches_half"], s=20, marker=style.marker(i), label=f"{beta:g}", **look
        )
        axes[1].plot(group["neurons"], group["predicted_mean_isolation"], lw=1.2, **look)
        axes[1].scatter(group["neurons"], group["mean_isolation"], s=20, marker=style.marker(i), **look)
    labels = {"matches_half": "matches with r \N{GREATER-THAN OR EQUAL TO} 0.5", "mean_isolation": "mean isolation"}
    for ax, (measured, label) in zip(axes, labels.items(), strict=True):
        style.log_axis(ax, "x", means["neurons"])
        style.log_axis(ax, "y", means[measured].dropna())
        ax.set(xlabel="neurons of the simulated networks", ylabel=label)
    figure.legend(loc="outside lower center", ncols=6, title="\N{GREEK SMALL LETTER BETA} (lines: closed form)")
    return figure


def isolation_data(isolation: pd.DataFrame, counts: pd.DataFrame, theory: pd.DataFrame) -> pd.DataFrame:
    """Mean isolation of every point and kind of match, with the predicted exponent of the real ones."""
    sizes = counts[["curve", "point", "neurons"]].drop_duplicates()
    slopes = theory[(theory["quantity"] == "isolation_slope") & (theory["kind"] == "real")]
    slopes = slopes[["curve", "criterion", "value", "predicted"]]
    return isolation.merge(sizes).merge(slopes, on=["curve", "criterion"], how="left")


@style.styled()
def draw_isolation(data: pd.DataFrame) -> Figure:
    """Mean isolation against neurons: real matches, nulls, and the slope that the theory predicts from the counts."""
    data = primary(data)
    if not (data["isolation"] > 0).any():
        return style.empty_figure("No neuron was matched.")
    curves = data["curve"].unique()
    figure, axes = style.panels(len(curves), height=2.6)
    kinds = {"real": None} | {null.name: look.marker for null, look in drawn_nulls()}
    for ax, curve in zip(axes, curves, strict=True):
        group = data[data["curve"] == curve]
        real = group[(group["kind"] == "real") & (group["isolation"] > 0)].sort_values("neurons")
        for kind, shape in kinds.items():
            rows = group[(group["kind"] == kind) & (group["isolation"] > 0)].sort_values("neurons")
            if shape:
                ax.plot(rows["neurons"], rows["isolation"], shape, color=style.GREY, mfc="white", ms=5)
            else:
                ax.plot(rows["neurons"], rows["isolation"], "o", color=style.COLOURS[0], ms=6, zorder=4)
        if len(real):
            x = np.geomspace(real["neurons"].min(), real["neurons"].max(), 50)
            centre = np.exp(np.log(real["neurons"]).mean()), np.exp(np.log(real["isolation"]).mean())
            for slope, look in (
                ("value", {"color": style.COLOURS[0], "lw": 1.2}),
                ("predicted", {"color": "0.2", "ls": ":"}),
            ):
                ax.plot(x, centre[1] * (x / centre[0]) ** real[slope].iloc[0], **look)
        style.log_axis(ax, "x", group["neurons"])
        shown = [1.0, *group[group["kind"].isin(list(kinds)) & (group["isolation"] > 0)]["isolation"]]
        style.log_axis(ax, "y", shown, smallest=min(shown))
        ax.set(title=style.curve_title(curve, len(real)), xlabel="neurons", ylabel="mean isolation")
    handles = [
        Line2D([], [], marker="o", color=style.COLOURS[0], label="Rosetta neurons, and their slope"),
        Line2D([], [], color="0.2", ls=":", label=f"slope 1 {style.MINUS} {style.ALPHA} of the theory"),
        *style.null_handles(),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


FIGURES = (
    FigureEntry(
        name="simulation",
        title="Simulated networks that obey the theory",
        place="fits.html: simulation",
        tables=("theory_simulation",),
        pick=lambda tables: tables["theory_simulation"],
        draw=draw_simulation,
    ),
    FigureEntry(
        name="isolation",
        title="Isolation of Rosetta neurons against size",
        place="fits.html: isolation",
        tables=("isolation", "counts", "theory"),
        pick=lambda tables: isolation_data(tables["isolation"], tables["counts"], tables["theory"]),
        draw=draw_isolation,
    ),
)
