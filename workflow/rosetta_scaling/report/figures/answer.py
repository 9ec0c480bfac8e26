"""The two figures of the first screen: matches above every correlation beside all nulls, and the main claims."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from rosetta_scaling.claims.verdicts import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED
from rosetta_scaling.report.claims import REASONS, effect_words, power_words
from rosetta_scaling.report.figures import style
from rosetta_scaling.report.figures.data import answer_data
from rosetta_scaling.report.figures.entry import FigureEntry
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS

COLOURS = {SUPPORTED: "#0a6b4a", NOT_SUPPORTED: "#a33a00", INCONCLUSIVE: "#5c6370"}  # as the badges of the pages
REGION, ROW = "#d5ecdf", 0.55  # where the effect has to lie; inches
NARROW = "\N{NO-BREAK SPACE}"  # an interval stays on one line


@style.styled()
def draw_answer(data: pd.DataFrame) -> Figure:
    """Rosetta neurons with a correlation of at least r against r: the count in blue, every null in its own grey.

    data: rows of `answer_data`. Bands are intervals of the count, and the range of the draws of a null.
    """
    figure = Figure(figsize=(5.0, 4.9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    style.log_axis(axes, "y", [*data["count"], *data["high"].dropna(), 0])
    looks = _looks(data)
    for source, rows in data.groupby("source", sort=False):
        look = looks[source]
        axes.fill_between(rows["r"], rows["low"], rows["high"], color=look["color"], alpha=0.18, lw=0, step="mid")
        axes.plot(rows["r"], rows["count"], drawstyle="steps-mid", **look)
    axes.set_xlim(0, 1)
    axes.set_xlabel("least correlation r")
    axes.set_ylabel("Rosetta neurons with at least this correlation")
    _label_lines(axes, data, looks)
    return figure


def _looks(data: pd.DataFrame) -> dict[str, dict]:
    """Source -> look of its line: the count blue, the null that matters most orange, all others grey."""
    dashes = iter(["-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)), (0, (6, 2))])
    looks: dict[str, dict] = {}
    for source in data["source"].unique():
        if source not in NULLS:
            looks[source] = {"color": style.COLOURS[0], "lw": 2.2, "zorder": 5}
        elif source == CENTRAL:
            looks[source] = {"color": style.COLOURS[3], "lw": 1.7, "zorder": 4}
        else:
            looks[source] = {"color": style.GREY, "lw": 1.1, "ls": next(dashes)}
    return looks


def _label_lines(axes: Axes, data: pd.DataFrame, looks: dict[str, dict]) -> None:
    """The name of every line at the right, joined by a thin rule to the place where the line passes that height."""
    most = data.groupby("source")["count"].max().reindex(looks)
    reach = data[data["count"] >= 1].groupby("source")["r"].max().reindex(looks).fillna(0)
    order = reach.sort_values(ascending=False, kind="stable").index
    to_axes, to_data = axes.transData + axes.transAxes.inverted(), axes.transAxes + axes.transData.inverted()
    top = max(to_axes.transform((0, 0.97 * most[most >= 1].min() if (most >= 1).any() else 1))[1], 0.6)
    for source, height in zip(order, np.linspace(top, 0.16, len(order)), strict=True):
        rows, look, level = data[data["source"] == source], looks[source], to_data.transform((0, height))[1]
        start = rows.loc[rows["count"] >= level, "r"].max()
        if np.isfinite(start):
            axes.plot([start, 1], [level, level], color=look["color"], lw=0.5, marker="o", markersize=3, markevery=[0])
        words = NULLS[source].label if source in NULLS else "real neurons"
        axes.annotate(words, (1.01, level), color=look["color"], va="center", fontsize=8,
                      weight="normal" if source in NULLS else "bold", annotation_clip=False)  # fmt: skip


@style.styled()
def draw_main_claims(data: pd.DataFrame) -> Figure:
    """One row per main claim: words, estimate and interval on a scale of its own, deciding region, null, verdict.

    data: rows of claims.main_claims_frame.
    """
    if data.empty:
        return style.empty_figure("This study names no main claims.")
    height = 0.45 + ROW * len(data)
    figure = Figure(figsize=(7.6, height))
    FigureCanvasAgg(figure)
    for i, row in enumerate(data.to_dict("records")):
        top = 1 - (0.42 + ROW * i) / height
        axes = figure.add_axes((0.41, top - 0.52 * ROW / height, 0.27, 0.4 * ROW / height))
        _draw_claim(axes, row)
        middle = top - 0.36 * ROW / height
        figure.text(0.005, middle, style.wrap(row["claim"], 47), va="center", fontsize=8, linespacing=1.15)
        look = {"fontsize": 8.5, "weight": "bold", "color": COLOURS[row["verdict"]]}
        figure.text(0.70, middle + 0.09 / height, _verdict_of(row), va="bottom", **look)
        look = {"fontsize": 7.5, "linespacing": 1.15, "color": "0.25"}
        figure.text(0.70, middle + 0.07 / height, _numbers_of(row), va="top", **look)
    figure.legend(handles=_handles(), loc="upper center", ncols=3, fontsize=8)
    return figure


def _draw_claim(axes: Axes, row: dict) -> None:
    """Estimate, interval, null and deciding region of one claim."""
    known = [row[name] for name in ("effect", "low", "high", "null", "floor", "ceiling") if np.isfinite(row[name])]
    colour = COLOURS[row["verdict"]]
    axes.spines[["left"]].set_visible(False)
    axes.set_yticks([])
    if pd.isna(row["effect"]):
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no estimate", ha="center", va="center", color=style.GREY, fontsize=8)
        return
    pad = 0.12 * (max(known) - min(known)) or 0.1
    left, right = min(known) - pad, max(known) + pad
    if pd.notna(row["floor"]):
        axes.axvspan(max(left, row["floor"]), min(right, row["ceiling"]), color=REGION, lw=0)
    if pd.notna(row["low"]) or pd.notna(row["high"]):  # an end that is not known is infinite
        ends = [edge if pd.isna(end) else end for end, edge in ((row["low"], left), (row["high"], right))]
        axes.plot(ends, [0, 0], color=colour, lw=2, solid_capstyle="butt")
    if pd.notna(row["null"]):
        axes.plot([row["null"]], [0], marker="D", markersize=6, color="0.35", markerfacecolor="white", lw=0)
    axes.plot([row["effect"]], [0], marker="o", markersize=6, color=colour, lw=0, clip_on=False)
    axes.set(xlim=(left, right), ylim=(-1, 1))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda value, _: style.short(value).replace("-", style.MINUS))
    axes.tick_params(labelsize=6.5, length=2, pad=1)


def _verdict_of(row: dict) -> str:
    why = REASONS.get(row["reason"]) if row["verdict"] == INCONCLUSIVE else None
    return f"{row['verdict']}: {why}" if why else row["verdict"]


def _numbers_of(row: dict) -> str:
    """Effect, interval, null and power as words."""
    effect = effect_words(row["effect"], row["low"], row["high"])
    effect = style.wrap(f"{row['effect_name']} {effect.replace(' ', NARROW)}", 40) if effect else ""
    beside = [f"null {effect_words(row['null'])}"] if pd.notna(row["null"]) else []
    beside += [f"power {power_words(row['power'])}"] if pd.notna(row["power"]) else []
    return "\n".join(words for words in (effect, ", ".join(beside)) if words)


def _handles() -> list:
    look = {"color": "0.25", "lw": 2}
    return [
        Line2D([], [], marker="o", markersize=6, label="estimate and interval", **look),
        Line2D([], [], marker="D", markersize=6, markerfacecolor="white", color="0.35", lw=0, label="strongest null"),
        Patch(color=REGION, lw=0, label="where the interval has to lie"),
    ]


FIGURES = (
    FigureEntry(
        name="answer",
        title="Matches above every correlation",
        place="index.html: answer",
        tables=("above_r", "counts"),
        pick=lambda tables: answer_data(tables["above_r"], tables["counts"]),
        draw=draw_answer,
    ),
    FigureEntry(
        name="main_claims",
        title="The main claims",
        place="index.html: answer",
        tables=("claims",),
        pick=lambda tables: tables["claims"],
        draw=draw_main_claims,
    ),
)
