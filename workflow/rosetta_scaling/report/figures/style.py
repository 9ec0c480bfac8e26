"""The look of figures: sizes, colours, log axes that keep zeros, nulls; and files that are equal run after run."""

import contextlib
import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation, Transform

from rosetta_scaling.formatting import MINUS
from rosetta_scaling.schemas.nulls import drawn_nulls
from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.tables import write_table

WIDTH = 9.5  # inches; shown about 1000 pixels wide, so 9 points read like body text
GREY = "0.45"
ALPHA, TIMES = "\N{GREEK SMALL LETTER ALPHA}", "\N{MULTIPLICATION SIGN}"
# seaborn's "colorblind" palette (Okabe and Ito's colours), repeated here because importing seaborn takes a second
COLOURS = ["#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#56b4e9", "#ece133"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]
RC = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the bytes do not depend on the machine's fonts
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "legend.frameon": False,
    "svg.hashsalt": "rosetta-scaling",  # without it the ids inside an SVG are random
    "svg.fonttype": "path",
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """The house style, whatever the reader's own matplotlibrc says. Works as a decorator too."""
    with style.context(RC, after_reset=True):
        yield


def panels(n: int, height: float = 3.0, columns: int | None = None) -> tuple[Figure, list[Axes]]:
    """A figure of page width with n panels; no global pyplot state, so it needs no display and leaks nothing."""
    columns = columns or (2 if n == 4 else min(n, 3))
    rows = math.ceil(n / columns)
    # A figure of one panel is narrower: a lone panel of page width hides slopes.
    figure = Figure(figsize=(WIDTH if columns > 1 else 0.62 * WIDTH, height * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(rows, columns)
    return figure, [figure.add_subplot(grid[divmod(i, columns)]) for i in range(n)]


@styled()
def empty_figure(sentence: str) -> Figure:
    """A figure that says why there is nothing to draw: the workflow expects every figure of every study."""
    figure = Figure(figsize=(WIDTH, 1.2))
    FigureCanvasAgg(figure)
    figure.text(0.5, 0.5, sentence, ha="center", va="center", color=GREY)
    return figure


def colour(i: int) -> str:
    return COLOURS[i % len(COLOURS)]


def marker(i: int) -> str:
    return MARKERS[i % len(MARKERS)]


def short(value: float, _position: int | None = None) -> str:
    """1234 as 1.2k, 3e9 as 3B: tick labels that fit."""
    for size, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"


def log_axis(axes: Axes, which: str, values: Iterable[float], smallest: float = 1.0) -> None:
    """Log scale with limits and ticks for `values`, on the x or y axis.

    When a value lies under `smallest`, the part under it is linear (symlog), so that zeros stay visible at the foot.
    """
    shown = np.asarray(list(values), dtype=float)
    shown = shown[np.isfinite(shown)]
    has_zeros = bool((shown < smallest).any())
    low, high = max(shown.min(), smallest), max(shown.max(), smallest)
    # At least a factor 2.5 between the limits: then a 1-2-5 tick always lies between them.
    pad = 1.6 if high / low < 2.5 else (high / low) ** 0.1
    bottom, top = (-0.35 * smallest if has_zeros else low / pad), high * pad
    steps = (1,) if high / low > 300 else (1, 3) if high / low > 30 else (1, 2, 5)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(top)) + 1)
    ticks = [step * 10.0**d for d in decades for step in steps if step * 10.0**d >= smallest or not has_zeros]
    ticks = [tick for tick in ticks if bottom <= tick <= top]
    if has_zeros:
        getattr(axes, f"set_{which}scale")("symlog", linthresh=smallest, linscale=0.4)
        ticks = [0.0, *ticks]
    else:
        getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(short))
    getattr(axes, f"set_{which}lim")(bottom, top)


def linear_axis(axes: Axes, values: np.ndarray) -> None:
    """Limits of the y axis for `values`: matplotlib itself does not count what is drawn `beside` its place."""
    low, high = np.nanmin(values), np.nanmax(values)
    pad = 0.08 * (high - low) or 0.1
    axes.set_ylim(low - pad, high + pad)


def beside(axes: Axes, points: float) -> Transform:
    """Data coordinates moved right by `points`: neighbours do not cover each other and the data stay as they are."""
    return axes.transData + ScaledTranslation(points / 72, 0, axes.figure.dpi_scale_trans)


def curve_looks(data: pd.DataFrame) -> dict[str, dict]:
    """Curve -> its colour and marker."""
    curves = data["curve"].unique()
    return {c: {"color": colour(i), "marker": marker(i)} for i, c in enumerate(curves)}


def point_looks(data: pd.DataFrame) -> dict[str, dict]:
    """Point -> its colour and marker."""
    return {point: {"color": colour(i), "marker": marker(i)} for i, point in enumerate(data["point"].unique())}


def curve_title(curve: str, points: int, width: int = 40) -> str:
    """Name of a curve, and how many points it has."""
    return f"{wrap(curve, width)}\nn = {points} points"


def by_curve(data: pd.DataFrame, rows: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, dict, float]]:
    """Rows, look and shift (points) of every curve: curves of one anchor share their x, so they stand side by side."""
    looks = curve_looks(data)
    for (curve, look), shift in zip(looks.items(), shifts(len(looks)), strict=True):
        yield rows[rows["curve"] == curve].sort_values("neurons"), look, shift


def shifts(curves: int) -> np.ndarray:
    """Places of the curves around their common x: 6 points apart, closer when there are many."""
    reach = min(3 * (curves - 1), 10)
    return np.linspace(-reach, reach, curves)


def draw_with_range(axes: Axes, rows: pd.DataFrame, columns: Sequence[str], *, shift: float = 0.0, **look) -> None:
    """Markers with vertical range bars, `shift` points to the right of x. Missing values are left out.

    `columns` are the names of x, y and the two ends of the range.
    """
    move = beside(axes, shift)
    x, y, low, high = (rows[column] for column in columns)
    axes.vlines(x, low, high, color=look.get("edgecolor", look.get("color")), lw=1.2, transform=move, zorder=3)
    axes.scatter(x, y, transform=move, clip_on=False, zorder=4, **look)


def draw_nulls(axes: Axes, group: pd.DataFrame, suffix: str = "") -> None:
    """The nulls of counts.csv as open grey markers (mean of the draws) with bars (smallest to largest draw)."""
    for null, look in drawn_nulls():
        columns = ("neurons", *(f"{column}{suffix}" for column in null.columns))
        marks = {"marker": look.marker, "facecolor": "white", "edgecolor": GREY, "s": 26}
        draw_with_range(axes, group, columns, shift=look.shift, **marks)


def null_handles() -> list[Line2D]:
    marks = {"color": GREY, "markerfacecolor": "white", "lw": 1.2, "markersize": 5}
    return [Line2D([], [], marker=look.marker, label=f"null: {null.label}", **marks) for null, look in drawn_nulls()]


def draw_points(axes: Axes, group: pd.DataFrame, y: str) -> None:
    import seaborn as sns

    look = {"color": COLOURS[0], "s": 42, "linewidth": 0, "zorder": 5, "clip_on": False, "legend": False}
    sns.scatterplot(data=group, x="neurons", y=y, ax=axes, **look)
    axes.set(xlabel="", ylabel="")


def draw_lines(axes: Axes, group: pd.DataFrame) -> None:
    """The fitted power law, and the line of slope 1 that fits the same counts best (least squares in log-log)."""
    x = np.geomspace(group["neurons"].min(), group["neurons"].max(), 100)
    alpha, c = group[["fit_alpha", "fit_c"]].iloc[0]
    found = group[group["count"] > 0]
    share = np.exp(np.log(found["count"] / found["neurons"]).mean()) if len(found) > 1 else np.nan
    for y, look in ((c * x**alpha, {"color": COLOURS[0], "lw": 1.4}), (share * x, {"color": "0.2", "ls": ":"})):
        axes.plot(x, np.where(y >= 1, y, np.nan), **look)  # below 1 the axis is linear and would bend the line


def fit_words(group: pd.DataFrame) -> str:
    """The exponent with its interval and number of points; why there is none is in the table of fits."""
    alpha, low, high, points = group[["fit_alpha", "fit_low", "fit_high", "fit_points"]].iloc[0]
    n = f"n = {len(group) if pd.isna(points) else int(points)}"
    if not np.isfinite(alpha):
        return f"no fit, {n}"
    ends = f"[{low:.2f}, {high:.2f}]" if np.isfinite(low) else "[no interval]"
    return f"{ALPHA} = {alpha:.2f} {ends}, {n}".replace("-", MINUS)


def wrap(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(str(text), width))


def save_figure(figure: Figure, data: pd.DataFrame, stem: str | Path) -> None:
    """Write stem.svg, stem.png and stem.csv (the data that `figure` draws), whole or not at all, without a date."""
    stem = Path(stem)
    with styled():
        for suffix, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 150})):
            with atomic(stem.with_name(f"{stem.name}.{suffix}")) as part:
                figure.savefig(part, format=suffix, **options)
            figure.set_layout_engine("none")  # the picture has the layout of the drawing, which is not worked out again
    write_table(stem.with_name(f"{stem.name}.csv"), data)
