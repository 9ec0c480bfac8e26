"""Figures of the filtering study."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rosetta_scaling.companions.filtering.arms import ALL_DATA, ARMS, NEURONS, TEXT
from rosetta_scaling.config.companions.filtering import FilteringSettings
from rosetta_scaling.report.figures import style
from rosetta_scaling.report.figures.entry import CompanionFigure, Tables

LABELS = {name: arm.label for name, arm in ARMS.items()} | {ALL_DATA: "all data, same compute"}


def arms_data(tables: Tables, settings: FilteringSettings) -> pd.DataFrame:
    """Rows: arm, task, what ("f1", or "gain" with its learning_rate) and value."""
    selection = tables["selection"]
    labels = selection.arm.map(lambda name: settings.training_labels if ARMS[name].labels else 0)
    f1 = selection[selection.labels == labels].groupby(["arm", "task"], sort=False).f1.mean().reset_index(name="value")
    training = tables["training"].dropna(subset=["lost"])
    gain = training.assign(value=1 - training.lost, what="gain")[["arm", "task", "learning_rate", "what", "value"]]
    return pd.concat([f1.assign(what="f1"), gain], ignore_index=True)


@style.styled()
def draw_arms(data: pd.DataFrame, tables: Tables, settings: FilteringSettings) -> Figure:
    """Every arm: F1 of its choice, and how much of the oracle's gain a network has that is trained on it."""
    arms = [name for name in (*ARMS, ALL_DATA) if name in set(data.arm)]
    figure, axes = style.panels(3, height=0.24 * len(arms) + 1.2)
    _rows(axes[0], data[data.what == "f1"], arms)
    axes[0].set(title="choice", xlabel="F1", xlim=(-0.03, 1.03))
    axes[0].set_yticks(range(len(arms)), [LABELS[arm] for arm in arms])
    for ax, rate in zip(axes[1:], sorted(settings.learning_rates), strict=True):
        _rows(ax, data[(data.what == "gain") & (data.learning_rate == rate)], arms)
        ax.axvline(1, color="0.2", ls=":", lw=1)
        ax.axvline(0, color="0.6", ls=":", lw=1)
        ax.set(title=f"training at {rate:g} of the first rate", xlabel="share of the oracle's gain")
        ax.set_yticks(range(len(arms)), [])
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def _rows(ax: Axes, data: pd.DataFrame, arms: list[str]) -> None:
    """A row per arm, a mark per task, and a bar at their mean."""
    for i, (task, part) in enumerate(data.groupby("task", sort=False)):
        known = part[part.arm.isin(arms)]
        look = {"color": style.colour(i), "marker": style.marker(i), "s": 22, "alpha": 0.8, "lw": 0}
        ax.scatter(known.value, [arms.index(arm) for arm in known.arm], label=str(task), **look)
    mean = data.groupby("arm").value.mean()
    for arm in mean.index:
        ax.plot([mean[arm]] * 2, np.array([-0.35, 0.35]) + arms.index(arm), color="0.2", lw=1.5)
    ax.set_ylim(len(arms) - 0.4, -0.6)


def curves_data(tables: Tables, settings: FilteringSettings) -> pd.DataFrame:
    """Mean F1 over tasks and networks: over labels (panel "labels"), and of the arms with neurons over sizes ("size").

    `x` is the number of labels, or the mean number of neurons of the networks of a size.
    """
    selection, chosen = tables["selection"], tables["chosen_neurons"]
    budget = selection.groupby(["arm", "labels"], sort=False).f1.mean().reset_index().rename(columns={"labels": "x"})
    fixed = selection.arm.map(lambda name: settings.training_labels if ARMS[name].labels else 0)
    neurons = chosen.groupby(["task", "curve", "rung"])["size"].sum().groupby("rung").mean()
    rows = selection[(selection.labels == fixed) & (selection.arm.map(lambda name: ARMS[name].looks) == NEURONS)]
    size = rows.assign(x=rows.rung.map(neurons)).groupby(["arm", "x"], sort=False).f1.mean().reset_index()
    return pd.concat([budget.assign(panel="labels"), size.assign(panel="size")], ignore_index=True)


@style.styled()
def draw_curves(data: pd.DataFrame, tables: Tables, settings: FilteringSettings) -> Figure:
    """F1 over the number of labels, of arms with text and with neurons, and over the size of the network."""
    figure, axes = style.panels(3, height=4.2)
    by_look = {look: [name for name, arm in ARMS.items() if arm.looks == look] for look in (TEXT, NEURONS)}
    for ax, panel, look in zip(axes, ("labels", "labels", "size"), (TEXT, NEURONS, NEURONS), strict=True):
        for i, arm in enumerate(by_look[look]):
            part = data[(data.panel == panel) & (data.arm == arm)].sort_values("x")
            colour = {
                "color": style.colour(i),
                "label": LABELS[arm],
                "lw": 1.2,
                "ls": "-" if ARMS[arm].labels else "--",
            }
            if panel == "labels" and not ARMS[arm].labels and len(part):
                ax.axhline(part.f1.iloc[0], **colour)
            else:
                ax.plot(part.x, part.f1, marker=style.marker(i), ms=4, **colour)
        ax.set(ylim=(0, 1.03), title="arms with neurons" if look == NEURONS else "arms with text")
    for ax in axes[:2]:
        ax.set_xscale("symlog", linthresh=8)
        ax.set_xticks(settings.labels, [str(number) for number in settings.labels])
        ax.set_xlabel("labelled documents")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=8)
    axes[0].set_ylabel("F1, mean over targets and networks")
    style.log_axis(axes[2], "x", data.x[data.panel == "size"])
    axes[2].set_xlabel("neurons of the network")
    return figure


FIGURES = [
    CompanionFigure("arms", ("selection", "training"), arms_data, draw_arms),
    CompanionFigure("curves", ("selection", "chosen_neurons"), curves_data, draw_curves),
]
