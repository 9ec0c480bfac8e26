"""Figures of fits. Every `*_data` picks the rows, every `draw_*` draws them."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rosetta_scaling.report.figures import style
from rosetta_scaling.report.figures.data import counted, primary, primary_criterion
from rosetta_scaling.report.figures.entry import FigureEntry

PLAIN = "neurons"  # the abscissa of the claims
FORM_LOOKS = {
    "power law": {"color": style.COLOURS[0], "ls": "-"},
    "proportional": {"color": "0.2", "ls": ":"},
    "persistence": {"color": "0.6", "ls": "-"},
    "logarithmic": {"color": style.COLOURS[1], "ls": "--"},
    "saturating": {"color": style.COLOURS[2], "ls": "--"},
    "quadratic": {"color": style.COLOURS[4], "ls": "-."},
    "broken power law": {"color": style.COLOURS[5], "ls": "-."},
}


def multiverse_data(fits: pd.DataFrame, estimators: pd.DataFrame, pooled: pd.DataFrame) -> pd.DataFrame:
    """Every exponent of a count, of what is left of it, or of a null: one row per set of choices, smallest first."""
    others = estimators[estimators["estimator"] != "ols"].assign(x=PLAIN)
    together = pooled[pooled["without"] == "none"].assign(x=PLAIN, estimator="ols", curve="all curves, pooled")
    columns = ["curve", "criterion", "quantity", "x", "estimator", "alpha", "low", "high"]
    rows = pd.concat([fits.assign(estimator="ols")[columns], others[columns], together[columns]], ignore_index=True)
    rows = rows.dropna(subset=["alpha"])
    null = rows["quantity"].str.startswith("null_")
    calibrated = dict.fromkeys(("calibrated_05", "calibrated_01", "beyond_decoys", "corrected"), "calibrated")
    kinds = {"count": "counts", "excess": "excess"} | calibrated
    rows["kind"] = rows["quantity"].map(kinds).where(~null, "nulls")
    return rows.dropna(subset=["kind"]).sort_values(["kind", "alpha"], ignore_index=True)


@style.styled()
def draw_multiverse(data: pd.DataFrame) -> Figure:
    """Sorted exponents of every kind against neurons and against the other notions of size."""
    if data.empty:
        return style.empty_figure("No power law could be fitted.")
    figure, axes = style.panels(2, height=3.6, columns=2)
    looks = {
        "counts": style.COLOURS[0],
        "excess": style.COLOURS[1],
        "calibrated": style.COLOURS[2],
        "nulls": style.GREY,
    }
    spread = data["alpha"].quantile([0.01, 0.99]).tolist()
    limits = min(-0.1, spread[0] - 0.2), max(1.2, spread[1] + 0.2)
    plain = data["x"] == PLAIN
    for ax, title, rows in zip(axes, ("neurons", "other sizes"), (data[plain], data[~plain]), strict=True):
        for kind, shade in looks.items():
            group = rows[rows["kind"] == kind].sort_values("alpha")
            place = np.linspace(0, 1, len(group)) if len(group) > 1 else np.full(len(group), 0.5)
            ax.vlines(place, group["low"], group["high"], color=shade, alpha=0.12, lw=1)
            pooled = group["curve"] == "all curves, pooled"
            ax.scatter(place[~pooled], group["alpha"][~pooled], s=7, color=shade, lw=0)
            ax.scatter(place[pooled], group["alpha"][pooled], s=26, color=shade, marker="D", edgecolor="white")
        for level in (0, 1):
            ax.axhline(level, color="0.2", ls=":", lw=1)
        ax.set(title=f"against {title}", xlabel="share of the choices", ylabel=f"exponent {style.ALPHA}", ylim=limits)
    handles = [Line2D([], [], marker="o", ls="", color=shade, label=kind) for kind, shade in looks.items()]
    handles.append(Line2D([], [], marker="D", ls="", color="0.2", label="all curves, pooled"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


@style.styled()
def draw_estimators(data: pd.DataFrame) -> Figure:
    """Exponent and interval of every estimator, curve by curve."""
    if data.empty:
        return style.empty_figure("No power law could be fitted.")
    curves = data["curve"].unique()
    names = list(dict.fromkeys(data["estimator"]))
    figure, axes = style.panels(len(curves), height=2.1)
    lows, highs = data["low"].fillna(data["alpha"]), data["high"].fillna(data["alpha"])
    limits = max(lows.min(), -1) - 0.1, min(highs.max(), 3) + 0.1
    for i, (ax, curve) in enumerate(zip(axes, curves, strict=True)):
        group = data[data["curve"] == curve].set_index("estimator").reindex(names).reset_index()
        for place, row in group.iterrows():
            shade = style.COLOURS[3] if row["agrees"] == 0 else style.COLOURS[0]  # it may be missing
            ax.hlines(place, row["low"], row["high"], color=shade, lw=1.4)
            ax.scatter(row["alpha"], place, color=shade, s=30, zorder=4)
        ax.set_yticks(range(len(names)), [name.replace("_", " ") for name in names] if i % 3 == 0 else [])
        ax.axvline(1, color="0.2", ls=":", lw=1)
        ax.set(xlim=limits, ylim=(len(names) - 0.5, -0.5), xlabel=f"exponent {style.ALPHA}")
        ax.set_title(style.curve_title(curve, int(group["points"].max())))
    return figure


def rivals_data(counts: pd.DataFrame, rivals: pd.DataFrame) -> pd.DataFrame:
    """Predictions of the largest point by every form fitted to the smaller ones, beside the counts."""
    points = primary(counts)[["curve", "point", "neurons", "count"]].reset_index(drop=True)
    positive = points[points["count"] > 0]  # what the forms are fitted to
    largest = positive.loc[positive.groupby("curve")["neurons"].idxmax(), ["curve", "neurons", "count"]]
    rivals = counted(rivals, primary_criterion(counts))
    found = rivals[["curve", "form", "largest"]].merge(largest, on="curve")
    found["predicted"] = found["count"] * np.exp(found["largest"])
    return pd.concat([points.assign(form="measured"), found], ignore_index=True)


@style.styled()
def draw_rivals(data: pd.DataFrame) -> Figure:
    """Counts, and where every form puts the largest one."""
    curves = data["curve"].unique()
    figure, axes = style.panels(len(curves), height=2.6)
    predictions = data[(data["form"] != "measured") & data["predicted"].notna()]
    forms = [form for form in FORM_LOOKS if form in set(predictions["form"])]
    for ax, curve in zip(axes, curves, strict=True):
        points = data[(data["curve"] == curve) & (data["form"] == "measured")].sort_values("neurons")
        found = predictions[predictions["curve"] == curve].set_index("form")
        ax.plot(points["neurons"], points["count"], "o-", color="0.2", ms=5, lw=1)
        for shift, form in zip(np.linspace(6, 34, max(len(forms), 2)), forms, strict=False):
            if form in found.index:
                row, place = found.loc[form], style.beside(ax, shift)
                look = {"color": FORM_LOOKS[form]["color"], "ms": 5, "clip_on": False, "transform": place}
                ax.plot([row["neurons"]], [row["predicted"]], "D", **look)
        style.log_axis(ax, "x", [*points["neurons"], points["neurons"].max() * 1.7])
        style.log_axis(ax, "y", [*points["count"], *found["predicted"]])
        ax.set(title=style.curve_title(curve, len(points)), xlabel="neurons", ylabel="Rosetta neurons")
    handles = [Line2D([], [], marker="o", color="0.2", label="measured")]
    handles += [Line2D([], [], marker="D", ls="", color=FORM_LOOKS[form]["color"], label=form) for form in forms]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 7))
    return figure


@style.styled()
def draw_coverage(data: pd.DataFrame) -> Figure:
    """Coverage of the nominal interval by every estimator on simulated curves like the real ones."""
    if data.empty:
        return style.empty_figure("No power law could be fitted.")
    figure, (ax,) = style.panels(1, height=2.8)
    names = list(dict.fromkeys(data["estimator"]))
    looks = style.curve_looks(data)
    for (curve, look), shift in zip(looks.items(), style.shifts(len(looks)), strict=True):
        group = data[data["curve"] == curve].set_index("estimator").reindex(names)
        columns = ("place", "coverage", "coverage_low", "coverage_high")
        style.draw_with_range(ax, group.assign(place=range(len(names))), columns, shift=shift, label=curve, **look)
    ax.axhline(data["nominal"].iloc[0], color="0.2", ls=":", lw=1)
    ax.set_xticks(range(len(names)), [name.replace("_", "\n") for name in names])
    ax.set(ylabel="coverage", xlim=(-0.5, len(names) - 0.5), ylim=(min(0.8, data["coverage_low"].min() - 0.02), 1.01))
    figure.legend(loc="outside lower center", ncols=3)
    return figure


@style.styled()
def draw_forecast(data: pd.DataFrame) -> Figure:
    """Extrapolated counts with prediction intervals and the range over rival forms."""
    if data.empty:
        return style.empty_figure("Nothing was extrapolated.")
    curves = data["curve"].unique()
    figure, axes = style.panels(len(curves), height=2.7)
    for ax, curve in zip(axes, curves, strict=True):
        group = data[data["curve"] == curve].sort_values("neurons")
        place = np.arange(len(group))
        ax.vlines(place, group["low"], group["high"], color=style.COLOURS[0], lw=1.4)
        ax.scatter(place, group["forecast"], color="white", edgecolor=style.COLOURS[0], s=34, zorder=4)
        ax.vlines(place + 0.2, group["rivals_low"], group["rivals_high"], color=style.COLOURS[1], lw=3, alpha=0.6)
        ax.plot(place, group["neurons"], "_", color="0.2", ms=12)
        drawn = group[["low", "high", "rivals_low", "rivals_high", "neurons"]].clip(lower=1, upper=1e9)
        style.log_axis(ax, "y", drawn.to_numpy().ravel())
        ax.set_xticks(place, [style.wrap(name.replace("-", " "), 8) for name in group["name"]])
        ax.set_title(style.wrap(curve, 40))
        ax.set_ylabel("Rosetta neurons")
    handles = [
        Line2D([], [], marker="o", mfc="white", color=style.COLOURS[0], label="power law, prediction interval"),
        Line2D([], [], color=style.COLOURS[1], lw=3, alpha=0.6, label="range over rival forms"),
        Line2D([], [], marker="_", ls="", color="0.2", label="all neurons of the model"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, title="extrapolation")
    return figure


FIGURES = (
    FigureEntry(
        name="estimators",
        title="Exponents by estimator",
        place="fits.html: estimators",
        tables=("estimators", "counts"),
        pick=lambda tables: counted(tables["estimators"], primary_criterion(tables["counts"])),
        draw=draw_estimators,
    ),
    FigureEntry(
        name="rivals",
        title="The largest point predicted from the smaller ones",
        place="fits.html: rivals",
        tables=("counts", "rivals"),
        pick=lambda tables: rivals_data(tables["counts"], tables["rivals"]),
        draw=draw_rivals,
    ),
    FigureEntry(
        name="coverage",
        title="Coverage of the intervals, by simulation",
        place="fits.html: coverage",
        tables=("coverage", "counts"),
        pick=lambda tables: counted(tables["coverage"], primary_criterion(tables["counts"])),
        draw=draw_coverage,
    ),
    FigureEntry(
        name="multiverse",
        title="The exponent under every choice",
        place="fits.html: choices",
        tables=("fits", "estimators", "pooled"),
        pick=lambda tables: multiverse_data(tables["fits"], tables["estimators"], tables["pooled"]),
        draw=draw_multiverse,
    ),
    FigureEntry(
        name="forecast",
        title="Extrapolated counts",
        place="fits.html: forecast",
        tables=("forecast", "counts"),
        pick=lambda tables: counted(tables["forecast"], primary_criterion(tables["counts"])),
        draw=draw_forecast,
    ),
)
