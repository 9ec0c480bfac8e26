"""Figures of the companion study of mixtures: every `draw_*` takes the tables of mixture_results, by name."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rosetta_scaling.companions.mixture.networks import Mixture
from rosetta_scaling.config.companions.mixture import MixtureSettings
from rosetta_scaling.formatting import fixed
from rosetta_scaling.report.figures import style
from rosetta_scaling.report.figures.entry import CompanionFigure

Tables = Mapping[str, pd.DataFrame]
FORM = {"color": "0.2", "lw": 1.2}  # closed forms are dark lines
EDGE = {"color": "0.2", "ls": ":", "lw": 1}
OPEN = {"facecolor": "white", "s": 26}


def points(axes: Axes, rows: pd.DataFrame, column: str, shift: float = 0, **look) -> None:
    """Means of a column and their intervals against width."""
    style.draw_with_range(axes, rows, ("width", column, f"{column}_low", f"{column}_high"), shift=shift, **look)


def width_axis(axes: Axes, widths: pd.Series, **labels) -> None:
    style.log_axis(axes, "x", widths)
    axes.set(**({"xlabel": "width (neurons)"} | labels))


def share_axis(axes: Axes, **labels) -> None:
    axes.set(**({"ylim": (-0.05, 1.08)} | labels))


def closed_form(rows: pd.DataFrame, settings: MixtureSettings) -> tuple[np.ndarray, Mixture]:
    """Every whole width in the range of a table, and the mixture whose closed forms are drawn there."""
    return np.arange(rows.width.min(), rows.width.max() + 1), Mixture.of(settings.tasks)


@style.styled()
def draw_optimum(tables: Tables, settings: MixtureSettings) -> Figure:
    """Losses against the closed form, in total and by task; which features are kept."""
    figure, axes = style.panels(3, height=3.2)
    linear, relu, losses = tables["optimum"], tables["relu"], tables["losses"]
    form = pd.concat([linear, relu])
    widths, mixture = closed_form(form, settings)
    axes[0].plot(widths, [mixture.optimum(width) for width in widths], **FORM)
    points(axes[0], linear, "loss", -3, color=style.colour(0), s=24)
    points(axes[0], relu, "loss", 3, color=style.colour(3), marker="s", s=20)
    axes[0].set(title="loss of the mixture", ylabel="loss (1: nothing learned)")
    widths, mixture = closed_form(losses, settings)
    for task, part in losses.groupby("task"):
        look = {"color": style.colour(task - 1)}
        left = [mixture.task_optimum(width)[task - 1] for width in widths]
        axes[1].plot(widths, left, drawstyle="steps-post", lw=1.2, **look)
        axes[1].scatter(part.width, part.loss, s=20, marker=style.marker(task - 1), **look, zorder=4)
    axes[1].set(title="loss of every task, linear")
    apart = linear[linear.told_apart]
    below = relu[(relu.width < settings.tasks.total) & ~relu.tied]
    points(axes[2], apart, "kept_utility", -4, color=style.colour(0), s=24)
    points(axes[2], apart, "kept_frequency", -4, edgecolor=style.colour(0), **OPEN)
    points(axes[2], below, "useful", 4, color=style.colour(3), marker="s", s=20)
    points(axes[2], below, "frequent", 4, edgecolor=style.colour(3), marker="s", **OPEN)
    axes[2].set_title("share learned in the order of ...")
    for ax, shown in zip(axes, (form.width, losses.width, below.width), strict=True):
        width_axis(ax, shown)
        share_axis(ax)
    handles = [
        Line2D([], [], label="closed form", **FORM),
        Line2D([], [], marker="o", ls="", color=style.colour(0), label="linear networks"),
        Line2D([], [], marker="s", ls="", color=style.colour(3), label="networks with ReLU"),
        Line2D([], [], marker="o", ls="", color=style.GREY, label="right: ... utility"),
        Line2D([], [], marker="o", ls="", color=style.GREY, mfc="white", label="right: ... frequency"),
        *(
            Line2D([], [], marker=style.marker(i), color=style.colour(i), label=f"task {i + 1}")
            for i in range(settings.tasks.count)
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


@style.styled()
def draw_rosetta(tables: Tables, settings: MixtureSettings) -> Figure:
    """The share of every task's features that are Rosetta against width, with the critical widths drawn in."""
    critical, rosetta = tables["critical"], tables["rosetta"]
    widths, mixture = closed_form(rosetta, settings)
    figure, axes = style.panels(len(critical), height=2.6, columns=3)
    for i, (ax, task) in enumerate(zip(axes, critical.itertuples(), strict=True)):
        of = rosetta[rosetta.task == task.task]
        own, nulls = of[of.kind == "trained"], of[of.kind != "trained"]
        kept = [mixture.kept(width)[task.task - 1].mean() for width in widths]
        ax.plot(widths, kept, drawstyle="steps-post", **FORM)
        for width in (task.first, task.whole):
            ax.axvline(width, **EDGE)
        null = nulls.groupby("width").rosetta.max()
        ax.scatter(null.index, null, marker="D", edgecolor=style.GREY, clip_on=False, **OPEN)
        points(ax, own, "recovered", -3, edgecolor=style.colour(2), **OPEN)
        points(ax, own, "rosetta", 3, color=style.colour(0), s=24)
        ax.plot(own.width, own.together, "_", color=style.colour(3), ms=9, mew=1.6, zorder=5)
        width_axis(ax, own.width, xlabel="width (neurons)" if i >= len(critical) - 3 else "")
        share_axis(ax, ylabel="share of its features" if i % 3 == 0 else "")
        ax.set_title(f"task {task.task}: {task.frequency:.1%} of the data, spectrum $j^{{-{task.decay:g}}}$")
    networks = settings.relu.sets * settings.relu.seeds
    handles = [
        Line2D([], [], label="kept by the optimum", **FORM),
        Line2D([], [], label="critical widths, first and last feature", **EDGE),
        Line2D([], [], marker="o", ls="", color=style.colour(2), mfc="white", label="has a neuron in a network"),
        Line2D([], [], marker="o", ls="", color=style.colour(0), label=f"Rosetta among {settings.relu.seeds} networks"),
        Line2D([], [], marker="_", ls="", color=style.colour(3), ms=9, label=f"Rosetta among all {networks}"),
        Line2D([], [], marker="D", ls="", color=style.GREY, mfc="white", label="larger null: untrained or rotated"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


@style.styled()
def draw_counts(tables: Tables, settings: MixtureSettings) -> Figure:
    """Rosetta neurons and copies against width, and neurons by task."""
    figure, axes = style.panels(2, height=3.2, columns=2)
    counts, allocation, total = tables["counts"], tables["allocation"], settings.tasks.total
    own = counts[counts.kind == "trained"]
    widths, mixture = closed_form(counts, settings)
    axes[0].plot(widths, np.minimum(widths, total), **FORM)
    points(axes[0], own, "neurons", color=style.colour(0), s=26)
    points(axes[0], own, "copies", color=style.colour(1), marker="^", s=26)
    null = counts[counts.kind != "trained"].groupby("width").neurons.max()
    axes[0].scatter(null.index, null, marker="D", edgecolor=style.GREY, clip_on=False, zorder=4, **OPEN)
    width_axis(axes[0], own.width, ylabel="neurons", title="Rosetta neurons, and copies inside a network")
    style.log_axis(axes[0], "y", [0, *widths])
    for task, part in allocation.groupby("task"):
        look = {"color": style.colour(task - 1), "marker": style.marker(task - 1)}
        kept = [mixture.kept(width)[task - 1].sum() for width in widths]
        axes[1].plot(widths, kept, color=look["color"], drawstyle="steps-post", lw=1)
        points(axes[1], part, "neurons", (task - 3.5) * 1.5, s=20, **look)
    width_axis(axes[1], allocation.width, ylabel="neurons", title="neurons that a task needs, by ablation")
    style.linear_axis(axes[1], allocation.neurons_high.to_numpy())
    for ax in axes:
        ax.axvline(total, **EDGE)
    handles = [
        Line2D([], [], label="left: width, up to the number of features", **FORM),
        Line2D([], [], marker="o", ls="", color=style.colour(0), label="Rosetta neurons"),
        Line2D([], [], marker="^", ls="", color=style.colour(1), label="copies"),
        Line2D([], [], marker="D", ls="", color=style.GREY, mfc="white", label="larger null: untrained or rotated"),
        *(
            Line2D([], [], marker=style.marker(i), color=style.colour(i), label=f"task {i + 1} (line: optimum)")
            for i in range(settings.tasks.count)
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


@style.styled()
def draw_retention(tables: Tables, settings: MixtureSettings) -> Figure:
    """What is left of a rare task after a burst of it and common training, and the gradient of common tasks."""
    figure, axes = style.panels(3, height=3.0)
    rows, tasks = tables["retention"], settings.tasks
    labels = {
        "burst": "after the burst",
        "probe": f"{settings.retention.probe} steps later",
        "end": f"{settings.retention.again:,} steps later",
    }
    titles = {
        "rare_loss": "loss of the rare task",
        "energy": "its features in the span",
        "gradient": "gradient of common tasks",
    }
    for ax, (column, title) in zip(axes, titles.items(), strict=True):
        for i, (moment, label) in enumerate(labels.items()):
            look = {"color": style.colour(i), "marker": style.marker(i), "s": 22}
            part = rows[rows.moment == moment]
            points(ax, part, column, 3 * (i - 1), label=label, **look)
            ax.plot(part.width, part[column], color=style.colour(i), lw=0.8, alpha=0.5)
        for width in (tasks.total - tasks.features, tasks.total):
            ax.axvline(width, **EDGE)
        width_axis(ax, rows.width, title=title)
    share_axis(axes[1])
    axes[0].set_ylabel("loss (1: as if never learned)")
    axes[1].set_ylabel("share of energy")
    axes[2].set_ylabel("norm, by the encoder")
    handles, _ = axes[0].get_legend_handles_labels()
    handles.append(Line2D([], [], label="features of common tasks, and of all", **EDGE))
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


@style.styled()
def draw_injection(tables: Tables, settings: MixtureSettings) -> Figure:
    """The rare task at one frequency and several gaps: its loss, what an injection changes, the cosine of gradients."""
    figure, axes = style.panels(3, height=3.0)
    rows = tables["injection"]
    titles = {
        "loss": "loss of the rare task",
        "swing": "learned at once, forgotten in the gap",
        "spread": "cosine of common and rare gradient",
    }
    for i, (gap, part) in enumerate(rows.groupby("gap")):
        look = {"color": style.colour(i), "marker": style.marker(i)}
        for ax, column in zip(axes, titles, strict=True):
            points(
                ax,
                part,
                column,
                4 * (i - 1),
                s=22,
                label=f"{gap} at once, every {gap * settings.injection.every} batches",
                **look,
            )
            ax.plot(part.width, part[column], color=look["color"], lw=0.8, alpha=0.5)
    axes[2].plot(part.width, part.chance, **FORM)
    labels = ("loss", "loss before less after", "root mean square")
    for ax, (column, title), label in zip(axes, titles.items(), labels, strict=True):
        for width in (settings.tasks.total - settings.tasks.features, settings.tasks.total):
            ax.axvline(width, **EDGE)
        width_axis(ax, rows.width, title=title, ylabel=label)
        style.linear_axis(ax, rows[[column, f"{column}_low", f"{column}_high"]].to_numpy())
    handles, _ = axes[0].get_legend_handles_labels()
    handles.append(Line2D([], [], label="right: random directions", **FORM))
    handles.append(Line2D([], [], label="features of common tasks, and of all", **EDGE))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, title="examples of the rare task")
    return figure


@style.styled()
def draw_law(tables: Tables, settings: MixtureSettings) -> Figure:
    """L* of endless mixtures with exponents; what size buys with endless data and along the compute-optimal path."""
    figure, axes = style.panels(2, height=3.0, columns=2)
    law, fits = tables["law"], tables["exponents"]
    for i, ((a, b), part) in enumerate(law[law.law == "mixture"].groupby(["a", "b"])):
        fit = fits[(fits.of == "mixture") & (fits.a == a) & (fits.b == b)].iloc[0]
        label = f"a = {a:g}, b = {b:g}: exponent {fixed(fit.exponent, 3)} for {fit.expected:g}"
        axes[0].plot(part.width, part.loss, marker=style.marker(i), ms=4, lw=1, color=style.colour(i), label=label)
    axes[0].set(
        xlabel="width", ylabel="loss that is left", title="endless mixtures, frequencies $k^{-a}$, spectra $j^{-b}$"
    )
    for i, (name, part) in enumerate(law[law.law != "mixture"].groupby("law")):
        fit = fits[fits.of == name].iloc[0]
        label = f"{name}: exponent {fixed(fit.exponent, 3)}"
        axes[1].plot(part.width, part.loss, marker=style.marker(i), ms=4, lw=1, color=style.colour(4 + i), label=label)
    axes[1].set(xlabel="size", ylabel="loss above its limit", title="sum of a power of size and one of data")
    for ax, shown in zip(axes, (law[law.law == "mixture"], law[law.law != "mixture"]), strict=True):
        style.log_axis(ax, "x", shown.width)
        style.log_axis(ax, "y", shown.loss, smallest=shown.loss.min())
        low, high = shown.loss.min(), shown.loss.max()
        ax.set_ylim(bottom=low * (low / high) ** 0.4)  # room for the legend
        ax.legend(loc="lower left")
    return figure


FIGURES = (
    CompanionFigure(
        name="optimum",
        tables=("optimum", "relu", "losses"),
        pick=lambda tables, _: tables["optimum"],
        draw=lambda _, tables, settings: draw_optimum(tables, settings),
    ),
    CompanionFigure(
        name="rosetta",
        tables=("rosetta", "critical"),
        pick=lambda tables, _: tables["rosetta"],
        draw=lambda _, tables, settings: draw_rosetta(tables, settings),
    ),
    CompanionFigure(
        name="counts",
        tables=("counts", "allocation"),
        pick=lambda tables, _: tables["counts"],
        draw=lambda _, tables, settings: draw_counts(tables, settings),
    ),
    CompanionFigure(
        name="retention",
        tables=("retention",),
        pick=lambda tables, _: tables["retention"],
        draw=lambda _, tables, settings: draw_retention(tables, settings),
    ),
    CompanionFigure(
        name="injection",
        tables=("injection",),
        pick=lambda tables, _: tables["injection"],
        draw=lambda _, tables, settings: draw_injection(tables, settings),
    ),
    CompanionFigure(
        name="law",
        tables=("law", "exponents"),
        pick=lambda tables, _: tables["law"],
        draw=lambda _, tables, settings: draw_law(tables, settings),
    ),
)
