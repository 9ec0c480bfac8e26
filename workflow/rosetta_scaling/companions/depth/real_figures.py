"""Figures of inverse depth scaling outside of the toy: published runs, and a ladder of language models."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rosetta_scaling.report.figures import style
from rosetta_scaling.report.figures.entry import CompanionFigure
from rosetta_scaling.schemas.tables.depth import LANGUAGE


@style.styled()
def draw_runs(data: pd.DataFrame) -> Figure:
    """Exponent of depth, and errors of both forms, against the number of runs left out (see chinchilla_table)."""
    figure, (left, right) = style.panels(2, height=2.8, columns=2)
    rows = data[data["of"] == "depth"].sort_values("dropped")
    left.vlines(rows["dropped"], rows["low"], rows["high"], color=style.COLOURS[0], lw=1.4)
    left.plot(rows["dropped"], rows["alpha"], "o", color=style.COLOURS[0], ms=5)
    left.axhline(1, color="0.2", ls=":", lw=1)
    left.set(xlabel="runs left out", ylabel="exponent of depth", ylim=(0, None))
    for i, (form, part) in enumerate(data.groupby("form", sort=False)):
        part = part.drop_duplicates("dropped").sort_values("dropped")
        right.plot(part["dropped"], part["rmse"], marker=style.marker(i), color=style.colour(i), ms=5, label=form)
    right.set(xlabel="runs left out", ylabel="root mean square of ln loss", ylim=(0, None))
    right.legend()
    return figure


def language_data(models: pd.DataFrame, middle: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """What is drawn of a depth ladder, a row per point: panel (loss, step_angle, update_angle, kappa), name (family or
    pair of models' families), kind (trained, untrained, or middle: matches of layers in the middle), layers, value.

    The arguments are rows of models.csv, and the tables middle_angles and pairs_table of depth_language.py.
    """
    families = models[["model", "family"]]
    loss = models.assign(panel="loss", kind="trained", name=models.family, value=models.validation_bits_per_byte)
    angles = middle.merge(families, on="model").melt(
        ["network", "layers", "family"], ["step_angle", "update_angle"], "panel", "value"
    )
    angles = angles.assign(name=angles.family, kind=angles.network, value=angles.value / np.pi).dropna(subset=["value"])
    names = (pairs.model_a + " and " + pairs.model_b).str.replace(r"-[^-\s]+", "", regex=True)
    found = pairs.assign(name=names, panel="kappa", kind=pairs.kind.replace("real", "trained"))
    real = found[found.kind == "trained"].assign(kind="middle")
    kappas = [found.assign(value=found.kappa), real.assign(value=real.middle_kappa)]
    columns = LANGUAGE["language_drawn"].names
    return pd.concat([table[columns] for table in (loss, angles, *kappas)], ignore_index=True)


@style.styled()
def draw_language(data: pd.DataFrame) -> Figure:
    """Loss, angles in the middle and alignment of layers, against the depth of language models of equal width."""
    if data.empty:
        return style.empty_figure("No family has one width and three depths.")
    figure, axes = style.panels(4, height=2.7)
    labels = {
        "loss": "validation loss (bits per byte)",
        "step_angle": "step angle / \N{GREEK SMALL LETTER PI}, middle layers",
        "update_angle": "update angle / \N{GREEK SMALL LETTER PI}, middle layers",
        "kappa": "kappa of the layers of matches",
    }
    for ax, (panel, label) in zip(axes, labels.items(), strict=True):
        rows = data[data["panel"] == panel]
        _lines(ax, rows)
        depth = np.array(sorted(data["layers"].unique()), float)
        style.log_axis(ax, "x", depth)
        ax.set_xticks(depth, [f"{d:g}" for d in depth])
        ax.set(xlabel="layers", ylabel=label)
        if panel == "step_angle" and len(rows):
            style.log_axis(ax, "y", rows["value"], smallest=rows["value"].min())
        if panel in ("update_angle", "kappa"):
            ax.axhline(0.5 if panel == "update_angle" else 0, color="0.2", ls=":", lw=1)
        ax.legend(fontsize=8)
    kinds = {"trained": ("-", None), "untrained": ("--", "white"), "middle": (":", None)}
    handles = [
        Line2D([], [], color="0.2", marker="o", ls=dash, mfc=fill, ms=5, label=label)
        for (dash, fill), label in zip(kinds.values(), ("trained", "untrained", "trained, middle layers"), strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _lines(ax: Axes, rows: pd.DataFrame) -> None:
    """One colour per name, one line style per kind; only trained ones are named."""
    for i, (name, group) in enumerate(rows.groupby("name", sort=False)):
        for kind, part in group.groupby("kind", sort=False):
            part = part.groupby("layers", as_index=False)["value"].mean()
            look = {"color": style.colour(i), "marker": style.marker(i), "ms": 5, "lw": 1.2}
            look |= {"ls": "--", "mfc": "white"} if kind == "untrained" else {"ls": ":"} if kind == "middle" else {}
            ax.plot(part["layers"], part["value"], label=name if kind == "trained" else None, **look)


FIGURES = (
    CompanionFigure(
        name="runs",
        tables=("runs",),
        pick=lambda tables, _: tables["runs"],
        draw=lambda rows, *_: draw_runs(rows),
    ),
    CompanionFigure(
        name="language",
        tables=("language_drawn",),
        pick=lambda tables, _: tables["language_drawn"],
        draw=lambda rows, *_: draw_language(rows),
    ),
)
