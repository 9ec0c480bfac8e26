"""The figures of a study: each `draw_*` turns the rows that `figure_data` picked into a Figure.

Each figure is saved with the csv of exactly the rows that draw it. Counts are never drawn without their nulls.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rosetta_scaling.formatting import fixed
from rosetta_scaling.report.figures import style
from rosetta_scaling.report.figures.data import (
    DECOMPOSED,
    anchor_rows,
    counts_data,
    decomposition_data,
    fraction_data,
    layers_data,
    primary,
    snapshots_data,
    training_data,
)
from rosetta_scaling.report.figures.fits import (
    counted,
    draw_coverage,
    draw_estimators,
    draw_forecast,
    draw_isolation,
    draw_multiverse,
    draw_rivals,
    draw_simulation,
    isolation_data,
    multiverse_data,
    rivals_data,
)
from rosetta_scaling.report.figures.selectivity import (
    draw_depth,
    draw_diagonal,
    draw_families,
    draw_layers,
    draw_medians,
    draw_polarization,
    draw_specialisation,
)
from rosetta_scaling.schemas.names import FIT_TABLES
from rosetta_scaling.store.tables import read_table

# Seaborn is imported where it is used: it takes more than a second, and the report only needs the names below.
FIGURES = (
    "counts",
    "decomposition",
    "snapshots",
    "counts_criteria",
    "fraction",
    "polarization",
    "medians",
    "specialisation",
    "families",
    "depth",
    "diagonal",
    "layers",
    "loss",
    "training",
    "estimators",
    "rivals",
    "coverage",
    "multiverse",
    "simulation",
    "isolation",
    "forecast",
)
TABLES = ("models", "training", "counts", "snapshots", "polarization", "specialisation", "families")
TABLES += ("depth", "diagonal", "layers", "isolation", *FIT_TABLES)


def make_figures(tables_dir: str | Path, figures_dir: str | Path) -> None:
    """Draw every name of FIGURES from the csv tables in `tables_dir`: NAME.svg, NAME.png and NAME.csv."""
    tables = {name: read_table(Path(tables_dir) / f"{name}.csv") for name in TABLES}
    counts, models = tables["counts"], tables["models"]
    main, others = counts_data(counts, tables["fits"])
    criterion = counts["criterion"].iloc[0]
    polarization = anchor_rows(tables["polarization"])
    drawn = {
        "counts": (draw_counts, main),
        "decomposition": (draw_decomposition, decomposition_data(counts, tables["fits"])),
        "snapshots": (draw_snapshots, snapshots_data(tables["snapshots"])),
        "counts_criteria": (draw_criteria, others),
        "fraction": (draw_fraction, fraction_data(counts)),
        "polarization": (draw_polarization, polarization),
        "medians": (draw_medians, polarization),
        "specialisation": (draw_specialisation, anchor_rows(tables["specialisation"])),
        "families": (draw_families, anchor_rows(tables["families"])),
        "depth": (draw_depth, tables["depth"]),
        "diagonal": (draw_diagonal, tables["diagonal"].merge(primary(counts)[["curve", "point", "neurons"]])),
        "layers": (draw_layers, layers_data(tables["layers"], counts)),
        "loss": (draw_loss, models.dropna(subset=["validation_bits_per_byte"])),
        "training": (draw_training, training_data(tables["training"], models)),
        "estimators": (draw_estimators, counted(tables["estimators"], criterion)),
        "rivals": (draw_rivals, rivals_data(counts, tables["rivals"])),
        "coverage": (draw_coverage, counted(tables["coverage"], criterion)),
        "multiverse": (draw_multiverse, multiverse_data(*(tables[t] for t in ("fits", "estimators", "pooled")))),
        "simulation": (draw_simulation, tables["theory_simulation"]),
        "isolation": (draw_isolation, isolation_data(tables["isolation"], counts, tables["theory"])),
        "forecast": (draw_forecast, counted(tables["forecast"], criterion)),
    }
    for name in FIGURES:
        draw, data = drawn[name]
        style.save_figure(draw(data), data, Path(figures_dir) / name)


# ---- counts ----------------------------------------------------------------------------------------------------------


@style.styled()
def draw_counts(data: pd.DataFrame) -> Figure:
    """Rosetta neurons against neurons, log-log, one panel per curve: count, nulls, fit, slope 1.

    data: rows of counts.csv with the columns fit_alpha, fit_low, fit_high, fit_c and fit_points of `counts_data`.
    """
    groups = list(data.groupby("curve", sort=False))
    figure, every_axes = style.panels(len(groups), height=3.2)
    heights = data[["count", *style.NULL_COLUMNS]].to_numpy().ravel()
    for axes, (curve, group) in zip(every_axes, groups, strict=True):
        style.log_axis(axes, "x", data["neurons"])
        style.log_axis(axes, "y", heights)
        style.draw_lines(axes, group)
        style.draw_nulls(axes, group)
        style.draw_points(axes, group, "count")
        axes.set_title(f"{style.wrap(curve, 40)}\n{style.fit_words(group)}")
    lines = [
        Line2D([], [], color=style.colour(0), marker="o", lw=0, label="Rosetta neurons"),
        *style.null_handles(),
        Line2D([], [], color=style.colour(0), lw=1.4, label="power-law fit"),
        Line2D([], [], color="0.2", lw=1.1, ls=":", label=f"{style.ALPHA} = 1: a constant share"),
    ]
    figure.legend(handles=lines, loc="outside upper center", ncols=3)
    figure.supxlabel("neurons per model (average over the models of a point)", fontsize=9)
    figure.supylabel("Rosetta neurons of the anchor model", fontsize=9)
    return figure


@style.styled()
def draw_criteria(data: pd.DataFrame) -> Figure:
    """Counts (filled) and the largest null (open) against neurons, one panel per criterion."""
    if data.empty:
        return style.empty_figure("Only one match criterion was counted in this study.")
    groups = list(data.groupby("criterion", sort=False))
    figure, every_axes = style.panels(len(groups), height=2.5)
    looks = style.curve_looks(data)
    for axes, (criterion, group) in zip(every_axes, groups, strict=True):
        style.log_axis(axes, "x", data["neurons"])
        style.log_axis(axes, "y", group[["count", "largest_null"]].to_numpy().ravel())
        for (curve, part), shift in zip(group.groupby("curve", sort=False), style.shifts(len(looks)), strict=False):
            line = {"markersize": 4, "lw": 1, "clip_on": False, "transform": style.beside(axes, shift / 2)}
            line |= looks[curve]
            axes.plot(part["neurons"], part["largest_null"], ls=":", markerfacecolor="white", **line)
            axes.plot(part["neurons"], part["count"], **line)
        axes.set_title(criterion)
    handles = [Line2D([], [], lw=1, label=curve, **look) for curve, look in looks.items()]
    look = {"color": style.GREY, "marker": "o", "lw": 1}
    handles += [
        Line2D([], [], label="filled: count", **look),
        Line2D([], [], ls=":", markerfacecolor="white", label="open: largest null", **look),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    figure.supxlabel("neurons per model (average over the models of a point)", fontsize=9)
    figure.supylabel("Rosetta neurons of the anchor model", fontsize=9)
    return figure


@style.styled()
def draw_decomposition(data: pd.DataFrame) -> Figure:
    """What the count consists of against neurons, log-log, one panel per curve; rows of `decomposition_data`.

    The legend of every panel gives the exponents.
    """
    groups = list(data.groupby("curve", sort=False))
    figure, every_axes = style.panels(len(groups), height=3.6)
    for axes, (curve, group) in zip(every_axes, groups, strict=True):
        style.log_axis(axes, "x", data["neurons"])
        style.log_axis(axes, "y", np.clip(data["value"].dropna(), 0, None))
        for i, (quantity, part) in enumerate(group.groupby("quantity", sort=False)):
            null = quantity.startswith("null")
            look = {"color": style.GREY if null else style.colour(i), "marker": style.marker(i), "markersize": 5}
            look |= {"lw": 1, "ls": ":" if null else "-", "markerfacecolor": "white" if null else None}
            alpha = part["alpha"].iloc[0]
            words = f"{style.ALPHA} = {fixed(alpha)}" if np.isfinite(alpha) else "no fit"
            shown = part["value"].clip(lower=0)
            axes.plot(part["neurons"], shown, label=words, clip_on=False, **look)
            if quantity == "count":
                axes.vlines(part["neurons"], part["low"], part["high"], color=look["color"], lw=1.2)
        axes.set_title(style.curve_title(curve, group["point"].nunique()))
        axes.legend(loc="lower right", fontsize=6.5, handlelength=1.2, labelspacing=0.2)
    handles = [
        Line2D([], [], label=label, ls=line.get_linestyle(), marker=line.get_marker(), color=line.get_color(),
               markerfacecolor=line.get_markerfacecolor())
        for label, line in zip(DECOMPOSED.values(), every_axes[0].lines, strict=True)
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    figure.supxlabel("neurons per model (average over the models of a point)", fontsize=9)
    figure.supylabel("neurons of the anchor model", fontsize=9)
    return figure


@style.styled()
def draw_snapshots(data: pd.DataFrame) -> Figure:
    """Counts against the number of units they were counted on, one panel per curve, a line per point."""
    if data.empty:
        return style.empty_figure("Counts against units are read from the running products of the exact engine only.")
    groups = list(data.groupby("curve", sort=False))
    figure, every_axes = style.panels(len(groups), height=2.6)
    looks = style.point_looks(data)
    for axes, (curve, group) in zip(every_axes, groups, strict=True):
        style.log_axis(axes, "x", data["units"])
        style.log_axis(axes, "y", data["count"])
        for point, part in group.groupby("point", sort=False):
            look = looks[point] | {"markersize": 5, "lw": 1}
            measured = part[~part["extrapolated"]]
            axes.plot(measured["units"], measured["count"], **look)
            last = part.iloc[len(measured) - 1 :]
            axes.plot(last["units"], last["count"], ls=":", markerfacecolor="white", zorder=1, **look)
        axes.set_title(style.curve_title(curve, group["point"].nunique()))
    handles = [Line2D([], [], label=point, **look) for point, look in looks.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=8)
    figure.supxlabel("units (the last filled marker: all of them; open: extrapolated)", fontsize=9)
    figure.supylabel("Rosetta neurons of the anchor model", fontsize=9)
    return figure


@style.styled()
def draw_fraction(data: pd.DataFrame) -> Figure:
    """Share of the anchor's neurons that are Rosetta neurons against neurons, one panel per curve, with the nulls.

    data: rows of `fraction_data`.
    """
    groups = list(data.groupby("curve", sort=False))
    figure, every_axes = style.panels(len(groups), height=2.6)
    top = data[["fraction", *(f"{name}_fraction" for name in style.NULL_COLUMNS)]].max(axis=None)
    for axes, (curve, group) in zip(every_axes, groups, strict=True):
        style.log_axis(axes, "x", data["neurons"])
        style.draw_nulls(axes, group, "_fraction")
        style.draw_points(axes, group, "fraction")
        axes.set_ylim(-0.03 * (top or 1), 1.1 * (top or 1))
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
        axes.set_title(style.curve_title(curve, len(group)))
    handles = [Line2D([], [], color=style.colour(0), marker="o", lw=0, label="Rosetta neurons"), *style.null_handles()]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    figure.supxlabel("neurons per model (average over the models of a point)", fontsize=9)
    figure.supylabel("share of the anchor's neurons", fontsize=9)
    return figure


# ---- training --------------------------------------------------------------------------------------------------------


@style.styled()
def draw_loss(data: pd.DataFrame) -> Figure:
    """Validation loss in bits per byte (comparable across tokenizers) against parameters; rows of models.csv."""
    if data.empty:
        return style.empty_figure("No validation loss: no model of this study was trained or evaluated here.")
    import seaborn as sns

    figure, (axes,) = style.panels(1, height=3.4)
    families = range(data["family"].nunique())
    shared = {"data": data, "x": "non_embedding_parameters", "y": "validation_bits_per_byte", "ax": axes}
    shared |= {"hue": "family", "style": "family", "palette": [style.colour(i) for i in families]}
    style.log_axis(axes, "x", data["non_embedding_parameters"])
    sns.lineplot(**shared, dashes=False, errorbar=None, legend=False, lw=1)  # through the mean of equal sizes
    sns.scatterplot(**shared, markers=[style.marker(i) for i in families], s=45)
    axes.set(xlabel="parameters without embeddings", ylabel="validation loss (bits per byte)")
    axes.set_title(f"n = {len(data)} models")
    axes.legend(title="family")
    return figure


@style.styled()
def draw_training(data: pd.DataFrame) -> Figure:
    """Training loss against tokens, one panel per family, larger models darker; rows of `training_data`."""
    if data.empty:
        return style.empty_figure("No training curves: no model of this study was trained here.")
    import seaborn as sns

    groups = list(data.groupby("family", sort=False))
    figure, every_axes = style.panels(len(groups), height=2.8)
    rungs = list(data.sort_values("non_embedding_parameters")["rung"].unique())
    palette = dict(zip(rungs, sns.color_palette("mako_r", len(rungs) + 1)[1:], strict=True))
    tokens = data["tokens"]
    for axes, (family, group) in zip(every_axes, groups, strict=True):
        style.log_axis(axes, "x", tokens, smallest=tokens[tokens > 0].min())
        lines = {"hue": "rung", "palette": palette, "units": "model", "estimator": None, "lw": 1.2}
        sns.lineplot(data=group, x="tokens", y="loss", ax=axes, legend=False, **lines)
        axes.set_title(f"{family} (n = {group['model'].nunique()} models)")
        axes.set(xlabel="", ylabel="", ylim=(0.95 * data["loss"].min(), 1.03 * data["loss"].max()))
    handles = [Line2D([], [], color=colour, label=f"{rung}") for rung, colour in palette.items()]
    figure.legend(handles=handles, title="rung", loc="outside upper center", ncols=min(len(rungs), 8))
    figure.supxlabel("training tokens", fontsize=9)
    figure.supylabel("training loss (nats per token)", fontsize=9)
    return figure
